"""Numbers and names as people read them: in the terminal, on pages and in tables.

Minus signs are U+2212 and large counts have thousands separators; exports that programs read (CSV,
JSON) do not come through here.
"""

import math
from collections.abc import Iterable, Sequence

from ablate.records import Measurement
from ablate.study import Row

MINUS = "\u2212"
MATCHES = {
    "none": "drop-in",
    "params": "equal parameters",
    "macs": "equal MACs",
    "compute": "equal training compute",
}
_BYTES = ("B", "KiB", "MiB", "GiB", "TiB")


def number(value: float, decimals: int = 0) -> str:
    """Spell a number with fixed decimals; what rounds to zero has no sign."""
    text = f"{value:,.{decimals}f}"
    if text.startswith("-"):
        text = MINUS + text[1:] if any(digit in text for digit in "123456789") else text[1:]
    return text


def signed(value: float, decimals: int) -> str:
    """Spell a difference: like `number`, with a plus sign where it is positive."""
    text = number(value, decimals)
    return f"+{text}" if value > 0 and any(digit in text for digit in "123456789") else text


def bounds(low: float, high: float, decimals: int) -> str:
    """Spell an interval."""
    return f"[{number(low, decimals)}, {number(high, decimals)}]"


def decimals(margin: float) -> int:
    """Return how many decimals differences get: a fifth of the margin shows; at least one."""
    return max(1, math.ceil(-math.log10(margin / 5) - 1e-9)) if margin > 0 else 1


def quantity(value: float, largest: float | None = None) -> str:
    """Spell a quantity that no margin gives decimals to.

    Args:
        value: to spell; whole where it is whole, and 0 where it is less than half a millionth.
        largest: the largest value it stands beside, which decides whether all are in millions.
    """
    scale, sign = (1e6, " M") if abs(largest or value) >= 10_000_000 else (1.0, "")
    scaled = value / scale
    if abs(scaled) < 5e-7:
        return "0"
    if scale == 1 and float(value).is_integer():
        return number(value)
    places = 2 - math.floor(math.log10(abs(scaled)))
    return number(scaled, max(0, min(places, 6))) + sign


def byte_count(value: float, largest: float | None = None) -> str:
    """Spell a number of bytes in binary units, with three digits: `3.50 MiB`.

    Args:
        value: in bytes.
        largest: the largest value it stands beside, which decides the unit of all.
    """
    if value == 0:
        return "0 B"
    scale = min(int(math.log2(max(1.0, abs(largest or value)))) // 10, len(_BYTES) - 1)
    shown = value / 1024**scale
    places = max(0, 2 - math.floor(math.log10(abs(shown)))) if scale else 0
    return f"{number(shown, min(places, 4))} {_BYTES[scale]}"


def times(ratio: float) -> str:
    """Spell a ratio above one with three digits at most: 8.07, 18.4, 123."""
    return number(ratio, 2 if ratio < 9.995 else 1 if ratio < 99.95 else 0)


def fewer_or_more(ratio: float, is_count: bool = True) -> str:
    """Spell a cost against the reference's, for a table: `8.07× fewer`, `+0.2 %`, `2.00× as much`.

    Args:
        ratio: of the two costs.
        is_count: whether they are counts rather than an amount.
    """
    if abs(ratio - 1) < 0.1:
        return f"{signed(100 * (ratio - 1), 1)} %" if ratio != 1 else "the same"
    less, more = ("fewer", "as many") if is_count else ("less", "as much")
    return f"{times(1 / ratio)}× {less}" if ratio < 1 else f"{times(ratio)}× {more}"


def difference_unit(unit: str) -> str:
    """Return the unit of a difference of two values: percentages differ by points."""
    return "points" if unit == "%" else unit


def with_unit(text: str, unit: str) -> str:
    """Put a number's unit behind it."""
    return f"{text} {unit}" if unit else text


def counted(n: int, noun: str) -> str:
    """Spell a count with its noun: `1 seed`, `12 seeds`."""
    return f"{number(n)} {noun}{'' if n == 1 else 's'}"


def between(values: Iterable[int], noun: str) -> str:
    """Spell the range of some counts with their noun: `450 to 471 steps`."""
    found = sorted(set(values))
    if len(found) == 1:
        return counted(found[0], noun)
    return f"{number(found[0])} to {number(found[-1])} {noun}s"


def listed(parts: Sequence[str]) -> str:
    """Join parts as prose does: `a`, `a and b`, `a, b and c`."""
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def lower_first(text: str) -> str:
    """Lower the first letter, except of an abbreviation (MACs, PSNR)."""
    return text if text[1:2].isupper() else text[:1].lower() + text[1:]


def upper_first(text: str) -> str:
    """Return a text with its first letter as a capital, the rest as it is."""
    return text[:1].upper() + text[1:]


def one_line(text: str) -> str:
    """Bring text from a suite file onto one line, without characters that print nothing."""
    printable = "".join(c if c.isprintable() or c.isspace() else "\ufffd" for c in text)
    return " ".join(printable.split())


def variant_name(name: str) -> str:
    """Spell a variant's name as words, on one line."""
    return one_line(name.replace("_", " "))


def match_name(row: Row, is_baseline: bool = False) -> str:
    """Spell what a row holds equal with its reference, or that it is one itself."""
    if is_baseline:
        return "baseline"
    if row.reference is None:
        return "reference"
    return listed([MATCHES.get(m, m) for m in row.match])


def against(row: Row, baseline: str) -> str:
    """Say what a row is compared with, `against bicubic`; "" for no other and for the baseline."""
    if row.reference is None or row.reference == baseline:
        return ""
    return f"against {variant_name(row.reference)}"


def row_name(row: Row, is_baseline: bool = False) -> str:
    """Spell a row so that it is told from the same variant under another match."""
    return f"{variant_name(row.variant)} ({match_name(row, is_baseline)})"


def ratio(ours: Measurement | None, theirs: Measurement | None) -> float | None:
    """Return ours / theirs; None where one is unknown or there is nothing to divide by."""
    if ours is None or theirs is None or ours.value is None or not theirs.value:
        return None
    return ours.value / theirs.value
