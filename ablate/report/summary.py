"""The first lines of a suite's page: the answer, how sure it is, and where to read on.

A suite of one comparison is answered by that one's own sentence. Of many the verdicts on the
claims are counted, and the largest gain and loss stand for the rest, which follows below.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import get_args

from ablate.evidence.answer import Answer
from ablate.evidence.collect import ComparisonEvidence
from ablate.evidence.contrast import Contrast, contrasts
from ablate.evidence.effects import HIGHER, LOWER, SAME, UNKNOWN, gain
from ablate.evidence.spelling import (
    against,
    between,
    bounds,
    counted,
    decimals,
    difference_unit,
    listed,
    lower_first,
    number,
    row_name,
    signed,
    with_unit,
)
from ablate.evidence.verdicts import Word
from ablate.report.tables import Table


@dataclass(frozen=True)
class Said:
    """A sentence and the place on the page that it is about."""

    text: str
    link: str = ""  # an id on the page; "" for none


@dataclass(frozen=True)
class Summary:
    """What a reader who reads no further knows."""

    answer: tuple[Said, ...]
    sure: Said

    @property
    def texts(self) -> tuple[str, ...]:
        return tuple(said.text for said in self.answer)


FEW = 2  # variants whose findings stand there whole
MARKS = (HIGHER, LOWER, SAME, UNKNOWN)
Found = tuple[ComparisonEvidence, Contrast]


def summary(
    answers: Sequence[Answer], claims: Sequence[Table], warnings: Sequence[str], lead: str = ""
) -> Summary:
    """Return the first lines of a page.

    Args:
        answers: of every comparison.
        claims: the tables of claims with their verdicts.
        warnings: why trained numbers may not be cited; () if they may.
        lead: the answer of a suite that trains nothing; "" of any other.
    """
    found = [(a.comparison, c) for a in answers for c in contrasts(a.comparison)]
    compared = [(where, c) for where, c in found if c.effect is not None and not c.refused]
    said = [Said(lead)] if lead else []
    if len(answers) == 1:
        variants = {(c.row.asked.variant, c.row.asked.reference) for _, c in compared}
        told = answers[0].findings[: len(variants) or 1]
        if len(told) <= FEW:
            said = [Said(finding, answers[0].comparison.asked.table) for finding in told]
    if not said:
        said = [*(_judged(claims) or _marked(compared)), *_extremes(compared)]
    if not said:
        said = [Said(_nothing(answers))]
    return Summary(tuple(said), _sure(answers, [c for _, c in compared], warnings))


def _judged(claims: Sequence[Table]) -> list[Said]:
    """Count the verdicts in the order of the vocabulary."""
    words = Counter(str(line.values["verdict"]) for table in claims for line in table.lines)
    parts = [f"{word} {number(words[word])}" for word in get_args(Word) if words[word]]
    return [Said(f"{counted(words.total(), 'claim')}: {listed(parts)}.")] if parts else []


def _marked(compared: Sequence[Found]) -> list[Said]:
    """Count the rows by their mark."""
    marks = Counter(c.effect for _, c in compared)
    parts = [f"{mark.words} {number(marks[mark])}" for mark in MARKS if marks[mark]]
    if not parts:
        return []
    what = listed(list(dict.fromkeys(lower_first(where.measure.title) for where, _ in compared)))
    return [Said(f"{counted(len(compared), 'row')} by their {what}: {listed(parts)}.")]


def _extremes(compared: Sequence[Found]) -> Iterable[Said]:
    """Yield the largest effects of either kind, in margins."""
    for kind, title in (("better", "Largest gain"), ("worse", "Largest loss")):
        beyond = [
            (where, c)
            for where, c in compared
            if c.effect is not None
            and c.interval is not None
            and gain(c.effect, where.measure.direction) == kind
        ]
        if beyond:
            where, contrast = max(beyond, key=lambda found: _in_margins(*found))
            yield Said(f"{title}: {_spelled(where, contrast)}.", where.asked.table)


def _in_margins(where: ComparisonEvidence, contrast: Contrast) -> float:
    return abs(contrast.difference or 0.0) / (where.measure.margin or 1.0)


def _spelled(where: ComparisonEvidence, contrast: Contrast) -> str:
    assert contrast.interval is not None  # it has an effect that is not exact
    assert contrast.difference is not None
    measure, span = where.measure, contrast.interval
    places = decimals(measure.margin)
    change = with_unit(signed(contrast.difference, places), difference_unit(measure.unit))
    other = against(contrast.row.asked, where.asked.baseline)
    name = row_name(contrast.row.asked) + (f" {other}" if other else "")
    return f"{name}, {lower_first(measure.title)} {change} {bounds(span.low, span.high, places)}"


def _nothing(answers: Sequence[Answer]) -> str:
    if any(answer.comparison.asked.is_trained for answer in answers):
        return "Nothing is known yet: no comparison has a finished trial on both sides."
    return "Nothing is claimed and nothing is trained: the tables show what the networks cost."


def _sure(answers: Sequence[Answer], compared: Sequence[Contrast], warnings: Sequence[str]) -> Said:
    """Say how far the answer can be trusted."""
    rows = [row for answer in answers for row in answer.comparison.rows if row.trials]
    if not rows:
        passes = [p for answer in answers for p in answer.comparison.passes.values() if p]
        if not passes:
            return Said("How sure: arithmetic, the same on any machine.")
        most = max(len(records) for records in passes)
        runs = "1 process" if most == 1 else f"{number(most)} processes"
        return Said(
            "How sure: counts are arithmetic; times and memory are this machine's, over up to "
            f"{runs} a comparison, with a copy of its first network as control."
        )
    seeds = {len(row.values) for row in rows}
    estimated = [contrast for contrast in compared if not contrast.is_exact]
    open_ = sum(contrast.effect == UNKNOWN for contrast in estimated)
    text = f"How sure: 95 % intervals over {between(seeds, 'seed')} a row"
    if not any(seeds):
        text = "How sure: not at all, no trial has a result"
    elif max(seeds) == 1:
        text = "How sure: one seed a row has no interval"
    elif not estimated:
        text = f"How sure: {between(seeds, 'seed')} a row, and nothing to compare"
    elif open_ and len(estimated) > 1:
        text += f"; {number(open_)} of {number(len(estimated))} differences cannot be told yet"
    if not warnings:
        return Said(f"{text}. May be cited.")
    return Said(
        f"{text}. Screening, not to be cited, for {counted(len(warnings), 'reason')}.", "screening"
    )
