"""The rows of a register, each with what suites found of it.

=================  ================================================================================
word of a row      when
=================  ================================================================================
a definition       it is of kind D: there is nothing to judge
cannot be tested   the register says so, and why
not yet tested     no suite cites it, or none of those that do has anything to judge it by
a word of          all verdicts on it have this word; what is not tested yet does not count, and of
verdicts.py        questions that are answered only where there is nothing else
inconclusive,      a verdict on it is: what is open leaves the row open
invalid
depends            suites, or claims of one, decided differently
=================  ================================================================================

A claim on `A:113b` is of that row where there is one, else a further one on the row `A:113`.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from ablate.evidence import contradictions
from ablate.evidence.register import Contradiction, Register, Row, Said
from ablate.evidence.spelling import counted, listed, one_line
from ablate.evidence.verdicts import Verdict, Word

RowWord = Literal[Word, "not yet tested", "cannot be tested", "a definition"]


@dataclass(frozen=True)
class Cited:
    """A claim of a suite, with its verdict where there is a study of it."""

    suite: str
    note: str
    verdict: Verdict | None = None
    study: str | None = None
    table: str | None = None  # of the comparison that it is about


@dataclass(frozen=True)
class Entry:
    """A row with everything that was found of it."""

    row: Row
    cited: tuple[Cited, ...]
    word: RowWord

    @property
    def is_tested(self) -> bool:
        """Whether a suite has a claim on it, run or not."""
        return bool(self.cited)

    @property
    def needs_no_training(self) -> bool:
        """Whether a part of it is arithmetic, a census, or measured of networks as they are."""
        return not {"S", "X", "L"}.isdisjoint(self.row.kinds)

    @property
    def is_judged_untrained(self) -> bool:
        """Whether a verdict on it has a part that no training is in."""
        parts = [
            part for one in self.cited if one.verdict is not None for part in one.verdict.parts
        ]
        return any(part.source != "trained" and part.word != "not tested" for part in parts)


def join(register: Register, cited: Iterable[Cited]) -> list[Entry]:
    """Return the rows of a register in its order, each with the claims that cite it."""
    found: dict[int, list[Cited]] = {}
    for one in cited:
        row = register.row_of(one.note)
        if row is not None:
            found.setdefault(row.row, []).append(one)
    here = [(row, tuple(found.get(row.row, ()))) for row in register.rows]
    return [Entry(row, claims, _word(row, claims)) for row, claims in here]


def by_suite(entry: Entry) -> dict[str, Entry]:
    """Return what each suite that judges a row found of it, with its own word."""
    names = dict.fromkeys(one.suite for one in entry.cited if is_judged(one))
    mine = {name: tuple(it for it in entry.cited if it.suite == name) for name in names}
    return {name: Entry(entry.row, it, _word(entry.row, it)) for name, it in mine.items()}


def _word(row: Row, cited: Sequence[Cited]) -> RowWord:
    if row.is_definition:
        return "a definition"
    words = {one.verdict.word for one in cited if one.verdict is not None} - {"not tested"}
    if not words:
        return "not yet tested" if row.untestable is None else "cannot be tested"
    for open_word in ("invalid", "inconclusive"):
        if open_word in words:
            return open_word
    judged = words - {"answered"} or words
    if judged == {"supported", "supported in direction"}:
        return "supported in direction"
    return judged.pop() if len(judged) == 1 else "depends"


def line(entry: Entry) -> str:
    """Return a row in a line: `45 A:113 “8 times less parameters”: depends (s7)`."""
    return f"{heading(entry.row)}: {_finding(entry)}"


def heading(row: Row) -> str:
    """Return what a row says, with its number and its line."""
    return f"{row.row} {row.note} “{one_line(row.says)}”"


def _finding(entry: Entry) -> str:
    """Return a row's word, with the suites that found it; where they differ, what each found."""
    claims: dict[str, list[Cited]] = {}
    for one in entry.cited:
        if one.verdict is not None and is_judged(one):
            claims.setdefault(one.verdict.word, []).append(one)
    if entry.word == "a definition":
        return entry.word
    if not claims:
        waiting = dict.fromkeys(one.suite for one in entry.cited)
        asked = f" ({listed(list(waiting))} {'asks' if len(waiting) == 1 else 'ask'} it)"
        why = f" ({one_line(entry.row.untestable)})" if entry.row.untestable else ""
        return f"{entry.word}{asked if waiting else why}"
    said = [f"{word}{_where(*found)}" for word, found in claims.items()]
    together = "" if len(said) == 1 else f"{entry.word}: "
    return together + ", ".join(said)


def counts(entries: Iterable[Entry]) -> dict[RowWord, int]:
    """Return how many rows have each word, in the order of the words, without those of none."""
    found = Counter(entry.word for entry in entries)
    order: list[RowWord] = [*get_args(Word), "not yet tested", "cannot be tested", "a definition"]
    return {word: found[word] for word in order if found[word]}


def counts_in_words(entries: Sequence[Entry]) -> list[str]:
    """Return the counts in sentences: of all rows, and of those that need no training."""
    found = counts(entries)
    definitions = found.pop("a definition", 0)
    told = [f"{number} {word}" for word, number in found.items()]
    told += [counted(definitions, "definition")] * (definitions > 0)
    said = [f"{counted(len(entries), 'row')}: {', '.join(told)}"]
    untrained = [entry for entry in entries if entry.needs_no_training]
    if untrained:
        judged = sum(entry.is_judged_untrained for entry in untrained)
        rows = f"{judged} of {counted(len(untrained), 'row')} {'is' if judged == 1 else 'are'}"
        said.append(f"without training (S, X, L in its kinds) {rows} judged")
    return said


def resolution(found: Contradiction, entries: Iterable[Entry]) -> str | None:
    """Say what the verdicts on both sides of a contradiction come to, None where there are none.

    Every claim of one side is held against every one of the other, as claims of a suite are that
    contradict each other; where that would be too many words, each claim is told alone. A side that
    cites no row is no verdict, so that of the other stands.
    """
    if found.of_words:
        return "a matter of words, which no experiment settles"
    by_note = {entry.row.note: entry for entry in entries}
    rows = [[by_note[said.note] for said in side if said.note] for side in found.sides]
    judged = [[one for entry in side for one in entry.cited if is_judged(one)] for side in rows]
    if not any(judged):
        return None
    if not all(rows):
        alone = [one for side in judged for one in side]
        return "; ".join(dict.fromkeys(f"{_alone(one)}{_where(one)}" for one in alone))
    one_side, other_side = (
        claims or [Cited("", entry.row.note) for entry in side]
        for claims, side in zip(judged, rows, strict=True)
    )
    said: dict[str, list[Cited]] = {}  # with the claims that say so
    for one in one_side:
        for other in other_side:
            text = contradictions.resolution(_verdict(one), _verdict(other))
            said.setdefault(text, []).extend((one, other))
    if len(said) > _MOST_PAIRS:
        said = {}
        for one in (*one_side, *other_side):
            said.setdefault(contradictions.alone(_verdict(one)), []).append(one)
    return "; ".join(f"{text}{_where(*claims)}" for text, claims in said.items())


_MOST_PAIRS = 4  # of claims that are told of together


def is_judged(one: Cited) -> bool:
    """Whether there is a verdict on a claim, other than that it is not tested."""
    return one.verdict is not None and one.verdict.word != "not tested"


def _verdict(one: Cited) -> Verdict:
    """Return the verdict on a claim; of a row that has none, that it is not tested."""
    return one.verdict or Verdict("", {"note": one.note}, "not tested", "", "", (), None)


def _alone(one: Cited) -> str:
    word = _verdict(one).word
    return f"{one.note} depends" if word == "depends" else f"{one.note} is {word}"


def _where(*claims: Cited) -> str:
    """Return which suites say so, and of which of them that may not be cited."""
    suites: dict[str, bool] = {}
    for one in claims:
        if one.suite:
            screening = one.verdict is not None and bool(one.verdict.screening)
            suites[one.suite] = suites.get(one.suite, False) or screening
    said = [f"{name}, screening" if screening else name for name, screening in suites.items()]
    return f" ({'; '.join(said)})"


def as_json(register: Register, entries: Sequence[Entry]) -> dict[str, Any]:
    """Return a register with everything that was found, as JSON has it."""
    return {
        "title": register.title,
        "notes": {letter: note.model_dump() for letter, note in register.notes.items()},
        "counts": counts(entries),
        "without_training": {
            "rows": sum(entry.needs_no_training for entry in entries),
            "judged": sum(e.needs_no_training and e.is_judged_untrained for e in entries),
        },
        "rows": [_row_as_json(entry) for entry in entries],
        "contradictions": [
            {**it.model_dump(), "resolution": resolution(it, entries)}
            for it in register.contradictions
        ],
    }


def _row_as_json(entry: Entry) -> dict[str, Any]:
    claims = [
        {"suite": one.suite, "study": one.study, "note": one.note}
        | ({} if one.verdict is None else _verdict_as_json(one.verdict))
        for one in entry.cited
    ]
    return {**entry.row.model_dump(), "verdict": entry.word, "claims": claims}


def _verdict_as_json(verdict: Verdict) -> dict[str, Any]:
    return {
        "comparison": verdict.comparison,
        "word": verdict.word,
        "sentence": verdict.sentence,
        "screening": list(verdict.screening),
    }


def lines(register: Register, entries: Sequence[Entry]) -> list[str]:
    """Return a register for a terminal: a line for every row, what contradicts, and the counts."""
    said = [f"{one_line(register.title)}", "", *(f"  {line(entry)}" for entry in entries), ""]
    resolved = [(it, resolution(it, entries)) for it in register.contradictions]
    if resolved:
        said += ["  Where the notes contradict each other", ""]
        for found, text in resolved:
            said.append(f"  {one_line(found.topic)}: {' | '.join(map(_side, found.sides))}")
            said.append(f"    {text or 'no verdict on either side yet'}")
        said.append("")
    return [*said, *counts_in_words(entries)]


def _side(side: Sequence[Said]) -> str:
    return ", ".join(
        f"{said.note} “{one_line(said.says)}”" if said.note else one_line(said.says)
        for said in side
    )
