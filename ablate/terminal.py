"""Words for a terminal that cannot show every letter.

Where the encoding of standard output or error is not Unicode (LC_ALL=C with an old system, a
Windows code page, PYTHONIOENCODING=ascii), symbols are written as ASCII has them, and no message is
lost to an encoding error.
"""

import codecs
import io
import sys
import unicodedata
from typing import Final, TextIO

_ASCII: Final = {
    "\N{MINUS SIGN}": "-",
    "\N{EN DASH}": "-",
    "\N{EM DASH}": "--",
    "\N{MULTIPLICATION SIGN}": "x",
    "\N{PLUS-MINUS SIGN}": "+/-",
    "\N{ALMOST EQUAL TO}": "~",
    "\N{NOT EQUAL TO}": "!=",
    "\N{LESS-THAN OR EQUAL TO}": "<=",
    "\N{GREATER-THAN OR EQUAL TO}": ">=",
    "\N{BLACK UP-POINTING TRIANGLE}": "^",
    "\N{BLACK DOWN-POINTING TRIANGLE}": "v",
    "\N{UPWARDS ARROW}": "^",
    "\N{DOWNWARDS ARROW}": "v",
    "\N{RIGHTWARDS ARROW}": "->",
    "\N{SQUARE ROOT}": "sqrt",
    "\N{GREEK CAPITAL LETTER DELTA}": "Delta",
    "\N{MIDDLE DOT}": "-",
    "\N{DAGGER}": "+",
    "\N{LEFT SINGLE QUOTATION MARK}": "'",
    "\N{RIGHT SINGLE QUOTATION MARK}": "'",
    "\N{LEFT DOUBLE QUOTATION MARK}": '"',
    "\N{RIGHT DOUBLE QUOTATION MARK}": '"',
}
_NAME: Final = "ablate.ascii"


def spell_out() -> None:
    """Let standard output and error write what their encoding lacks in ASCII."""
    codecs.register_error(_NAME, _replace)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and not _is_unicode(stream):
            stream.reconfigure(errors=_NAME)


def ascii_of(text: str) -> str:
    """Return text as ASCII has it: symbols by what is alike, letters without their accents."""
    return "".join(
        letter if letter.isascii() else _ASCII.get(letter) or _plain(letter) for letter in text
    )


def _plain(letter: str) -> str:
    # An ellipsis becomes three dots, an é an e, a no-break space a space.
    return unicodedata.normalize("NFKD", letter).encode("ascii", "ignore").decode() or "?"


def _replace(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)  # nothing is read by this name
    return ascii_of(error.object[error.start : error.end]), error.end


def _is_unicode(stream: TextIO) -> bool:
    return codecs.lookup(stream.encoding).name.startswith("utf")
