"""Marked blocks in somebody's notes: what stands between two comments is what the page says today.

    <!-- ablate: tbl-s7-depthwise format=md -->
    …
    <!-- /ablate -->

or, in LaTeX and BibTeX, `% ablate: tbl-s7-depthwise` … `% /ablate`. Without a format it is Markdown
between the first, LaTeX between the second. A marker stands on a line by itself; what stands before
it there (spaces, the `>` of a quotation) goes before every line of the block. In code that Markdown
fences, comments are text, and no block begins. Nothing outside of the blocks is ever touched.
"""

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ablate.citing import formats, published
from ablate.citing.published import Item
from ablate.citing.texts import Notes, as_written, lines
from ablate.suite.source import Problem, SuiteError

_LEAD = r"(?P<lead>\ufeff?[ \t>]*)"
# form -> its first line, its last line, what any of its markers begins with
_FORMS = {
    "html": (
        re.compile(rf"{_LEAD}<!--\s*ablate:(?P<what>.*?)-->\s*"),
        re.compile(r"[ \t>]*<!--\s*/ablate\s*-->\s*"),
    ),
    "latex": (
        re.compile(rf"{_LEAD}%+\s*ablate:(?P<what>.*?)\s*"),
        re.compile(r"[ \t>]*%+\s*/ablate\s*"),
    ),
}
_MARK = re.compile(r"\ufeff?[ \t>]*(?:<!--|%+)\s*(?:ablate:|/ablate\b)")
_FENCE = re.compile(r"[ \t>]*(?P<fence>```+|~~~+)[ \t]*(?P<info>[^`]*?)\s*")
_DEFAULT = {"html": "md", "latex": "latex"}
_AIRY = ("md", "myst", "quarto")  # with an empty line on both sides: paragraphs of their own


@dataclass(frozen=True)
class Block:
    """A block: what it asks for, and the lines of its text between its markers."""

    where: str  # `notes.md:12`
    text: int  # number of the text in its file
    first: int  # the line after the marker
    end: int  # the line of the marker at its end
    lead: str
    newline: str
    id: str
    format: str


@dataclass(frozen=True)
class Refreshed:
    """A file with its blocks as they should be."""

    notes: Notes
    blocks: tuple[Block, ...]
    stale: tuple[Block, ...]
    content: str

    @property
    def diff(self) -> str:
        """What would change, as a unified diff."""
        name = str(self.notes.path)
        return "".join(
            line if line.endswith("\n") else f"{line}\n"
            for line in difflib.unified_diff(
                self.notes.whole.splitlines(True), self.content.splitlines(True), name, name
            )
        )


def find(notes: Notes) -> tuple[list[Block], list[Problem]]:
    """Return the blocks of a file, and what is wrong with its markers."""
    found = [
        one
        for number, (text, name) in enumerate(zip(notes.texts, notes.names, strict=True))
        for one in _found(text, number, name, fenced=notes.path.suffix != ".tex")
    ]
    wrong = [one for one in found if isinstance(one, Problem)]
    return [one for one in found if isinstance(one, Block)], wrong


def refresh(
    files: Sequence[tuple[Notes, Sequence[Block]]], known: Mapping[str, Mapping[str, Item]]
) -> list[Refreshed]:
    """Return files with their blocks as the pages are now. Writes nothing.

    Args:
        files: each with its blocks.
        known: what the page of each suite has, by suite and id.

    Raises:
        SuiteError: a block asks for what is not there; the message has all of them.
    """
    wrong = [
        Problem(block.where, said)
        for _, blocks in files
        for block in blocks
        if (said := _refusal(block, known))
    ]
    if wrong:
        raise SuiteError("", "", wrong)
    made = [_refreshed(notes, blocks, known) for notes, blocks in files]
    message = "its JSON is not laid out as Jupyter's; save it in Jupyter once"
    if odd := [it.notes for it in made if it.stale and not as_written(it.notes)]:
        raise SuiteError("", "", [Problem(str(notes.path), message) for notes in odd])
    return made


def _found(text: str, number: int, name: str, fenced: bool) -> Iterator[Block | Problem]:
    opened: tuple[str, re.Match[str], int] | None = None  # form, marker, line
    fence = ""
    split = lines(text)
    for at, line in enumerate(split):
        if fenced and opened is None and (found := _FENCE.fullmatch(line)):
            # ```{note} is a directive of MyST, whose content is text like any other.
            if not fence and not found["info"].startswith("{"):
                fence = found["fence"]
            elif fence and not found["info"] and found["fence"].startswith(fence):
                fence = ""
        if fence or not _MARK.match(line):
            continue
        where = f"{name}:{at + 1}"
        kind, begins = _marker(line)
        if kind is None:
            yield Problem(where, "a marker of a block is alone on its line, as <!-- ablate: ID -->")
        elif begins is not None:
            if opened is not None:
                line_of = opened[2] + 1
                yield Problem(where, f"a block within the one of line {line_of}; close that first")
            else:
                opened = (kind, begins, at)
        elif opened is None:
            yield Problem(where, "the end of a block that does not begin")
        elif opened[0] != kind:
            yield Problem(where, f"the block of line {opened[2] + 1} ends with {_end(opened[0])}")
        else:
            newline = split[opened[2]][len(split[opened[2]].rstrip("\r\n")) :]
            about = (number, opened[2] + 1, at, opened[1]["lead"].lstrip("\ufeff"), newline)
            yield _block(f"{name}:{opened[2] + 1}", *about, opened[1]["what"], kind)
            opened = None
    if opened is not None:
        message = f"a block that is not closed; write {_end(opened[0])} on a line below it"
        yield Problem(f"{name}:{opened[2] + 1}", message)


def _marker(line: str) -> tuple[str | None, re.Match[str] | None]:
    """Return the form of a marker and, where it begins a block, its parts; None for no form."""
    for form, (begins, ends) in _FORMS.items():
        if found := begins.fullmatch(line):
            return form, found
        if ends.fullmatch(line):
            return form, None
    return None, None


def _end(form: str) -> str:
    return "<!-- /ablate -->" if form == "html" else "% /ablate"


def _block(
    where: str,
    text: int,
    first: int,
    end: int,
    lead: str,
    newline: str,
    what: str,
    form: str,
) -> Block | Problem:
    id, *options = what.split() or [""]
    said = dict(option.partition("=")[::2] for option in options)
    if not id or "=" in id:
        return Problem(where, "a block names a table or a figure first, as in tbl-s7-depthwise")
    if wrong := [key for key in said if key != "format"]:
        return Problem(where, f"unknown option {wrong[0]!r}; a block has format=md and no other")
    return Block(where, text, first, end, lead, newline, id, said.get("format", _DEFAULT[form]))


def _refusal(block: Block, known: Mapping[str, Mapping[str, Item]]) -> str | None:
    """Return why a block cannot be what it asks for, None if it can."""
    suite = published.suite_of(block.id, known)
    if suite is None:
        there = ", ".join(sorted(known)) or "none"
        return f"{block.id!r} is of no suite that has a page; suites that have one: {there}"
    if block.id not in known[suite]:
        return published.unknown(known[suite], block.id)
    return formats.refusal(known[suite][block.id], block.format)


def _refreshed(
    notes: Notes, blocks: Sequence[Block], known: Mapping[str, Mapping[str, Item]]
) -> Refreshed:
    items = {id: item for of_suite in known.values() for id, item in of_suite.items()}
    texts = [lines(text) for text in notes.texts]
    stale = []
    for block in reversed(blocks):  # from the end, so that what is above keeps its lines
        now = _body(block, formats.text(items[block.id], block.format, notes.path.resolve().parent))
        if texts[block.text][block.first : block.end] != now:
            texts[block.text][block.first : block.end] = now
            stale.append(block)
    content = notes.with_texts(["".join(text) for text in texts]) if stale else notes.whole
    return Refreshed(notes, tuple(blocks), tuple(reversed(stale)), content)


def _body(block: Block, text: str) -> list[str]:
    """Return the lines between the markers of a block."""
    found = text.split("\n")
    if block.format in _AIRY:
        found = ["", *found, ""]
    quiet = block.lead.rstrip(" \t")  # no line ends with spaces
    return [(f"{block.lead}{line}" if line else quiet) + block.newline for line in found]
