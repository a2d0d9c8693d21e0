"""Do numbers that were cited still hold? By the fingerprint that stands beside their id.

Captions, BibTeX entries and sentences to cite all hold `tbl-s7-merge, data a4c24395`. Numbers hold
as long as the fingerprint is that of today's page.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from ablate.citing import grids, published
from ablate.citing.published import Item
from ablate.citing.texts import Notes, lines
from ablate.evidence.spelling import counted, listed

# An id and its fingerprint; marks, brackets and the ends of lines may stand between them.
_BETWEEN = r"[\s`*_)\]}>%#]*,[\s`*_>%#]*data[\s~`*_>%#]*"
_CITED = re.compile(rf"\b((?:tbl|fig)(?:-[A-Za-z0-9]+)+){_BETWEEN}([0-9a-f]{{8}})\b")

Standing = Literal["holds", "changed", "unknown"]


@dataclass(frozen=True)
class Citation:
    """A place where something is cited."""

    where: str  # `notes.md:12`
    id: str
    fingerprint: str
    line: int  # in its text, counted from 0
    lines: tuple[str, ...]  # of the text


@dataclass(frozen=True)
class Judged:
    """What became of what was cited."""

    where: str
    id: str
    fingerprint: str
    standing: Standing
    why: str = ""
    changes: tuple[str, ...] = ()  # of the cells, where the cited table stands in the text

    def __str__(self) -> str:
        head = f"{self.where}: {self.id}, data {self.fingerprint}: {self.standing}{self.why}"
        return "\n  ".join([head, *self.changes])


def citations(notes: Notes) -> Iterator[Citation]:
    """Yield what is cited in a file."""
    for text, name in zip(notes.texts, notes.names, strict=True):
        split = tuple(lines(text))
        for found in _CITED.finditer(text):
            line = len(lines(text[: found.start()] + "x")) - 1
            yield Citation(f"{name}:{line + 1}", found[1], found[2], line, split)


def judge(cited: Citation, known: Mapping[str, Mapping[str, Item]]) -> Judged:
    """Say whether numbers that were cited hold.

    Args:
        cited: what to judge.
        known: what the page of each suite has, by suite and id.
    """
    suite = published.suite_of(cited.id, known)
    about = (cited.where, cited.id, cited.fingerprint)
    if suite is None:
        there = f"there are {listed(sorted(known))}" if known else "there are none"
        return Judged(*about, "unknown", f": of no suite that has a page; {there}")
    if cited.id not in known[suite]:
        return Judged(*about, "unknown", f": {published.unknown(known[suite], cited.id)}")
    item = known[suite][cited.id]
    if item.fingerprint == cited.fingerprint:
        return Judged(*about, "holds", ", screening: not to be cited" if item.screening else "")
    said = tuple(_changes(cited, item)) if item.is_table else ()
    return Judged(*about, "changed", f", today data {item.fingerprint}", said)


def _changes(cited: Citation, item: Item) -> Iterator[str]:
    today = grids.in_markdown(item.export("md"))
    then = grids.nearest(cited.lines, cited.line, today)
    if then is not None:
        yield from grids.changes(then, today) or ["what is shown is the same; more digits differ"]


def summary(judged: Sequence[Judged], files: Iterable[str]) -> str:
    """Return the closing line: how many citations hold."""
    if not judged:
        return f"no citation in {listed(list(files))}: an id with its fingerprint, as captions have"
    words: tuple[Standing, ...] = ("holds", "changed", "unknown")
    counts = {word: sum(it.standing == word for it in judged) for word in words}
    said = [f"{count} {_word(word, count)}" for word, count in counts.items() if count]
    return f"{counted(len(judged), 'citation')}: {', '.join(said)}"


def _word(word: Standing, count: int) -> str:
    return "hold" if word == "holds" and count != 1 else word
