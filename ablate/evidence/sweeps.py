"""Claims on networks that no row has: swept settings, trends, and what two networks compute.

All of it is arithmetic of the full networks as drop-ins. A claim with `over` is decided at each
combination of its values by itself, and the whole says where it holds:

==================================  ============  =================================
values of the sweep                 word          why
==================================  ============  =================================
a figure that cannot be vouched     invalid       where
for at any
all decided alike                   as decided    as decided, where all say the same
otherwise                           depends       on what is swept
==================================  ============  =================================

So a ratio that is about 8 from 64 channels on, and smaller before, *depends*: it is neither
supported nor refuted, and the sentence says from where on it holds. A *trend* is one decision over
all values (`decide.trend`): from the first to the last by more than the margin, and never back by
more than the margin on the way.

Two networks compute the same *function* where their outputs agree for equal weights, to rounding in
float64 (`metrics/equality.py` says how weights are tied). Outputs of different shapes are another
function.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise, product
from typing import Any, Literal

from ablate.evidence import decide, hypotheses, sentences
from ablate.evidence.collect import ComparisonEvidence, PointEvidence, RowEvidence
from ablate.evidence.decide import Decision
from ablate.evidence.hypotheses import Hypothesis
from ablate.evidence.sources import Lacks
from ablate.evidence.spelling import listed, lower_first, number, one_line, quantity, variant_name
from ablate.suite.claims import FUNCTION, Claim, Trend

Word = Literal[
    "supported",
    "supported in direction",
    "true but negligible",
    "refuted",
    "inconclusive",
    "invalid",
    "depends",
    "not tested",
]
PAIR = "equality"  # the fact of two networks that a claim on `function` takes
LISTED = 6  # values in one sentence; of more, the rest are counted


@dataclass(frozen=True)
class Place:
    """What was found at one combination of values; at `{}` of a claim that sweeps nothing."""

    settings: Mapping[str, Any]
    word: Word
    why: str
    said: str  # the finding in words
    short: str = ""  # its number alone: "7.89 times"
    values: tuple[float, ...] = ()  # of each variant, in the metric's unit
    estimate: float | None = None  # a ratio, ours - theirs, or a value

    @property
    def where(self) -> str:
        """Its settings for people, "at width 64"; "" where nothing is swept."""
        told = [f"{_name(path)} {_plain(value)}" for path, value in self.settings.items()]
        return f"at {', '.join(told)}" if told else ""


@dataclass(frozen=True)
class Judged:
    """A claim on such networks, judged: the places in the order of the sweep."""

    word: Word
    why: str
    said: str  # the whole finding
    places: tuple[Place, ...]
    title: str
    unit: str
    wanted: tuple[float, float] | None  # the numbers that the claim wants it between
    rows: tuple[RowEvidence, ...]  # of the variants, as they are without a sweep
    scale: Literal["difference", "ratio", "value"]


def is_about(claim: Claim) -> bool:
    """Return whether a claim is judged here."""
    if claim.is_of_batches:
        return False
    return bool(claim.over) or isinstance(claim, Trend) or claim.metric == FUNCTION


def judge(comparison: ComparisonEvidence, claim: Claim) -> Judged | Lacks:
    """Return what a claim comes to, at each of its places and as a whole."""
    if isinstance(claim, Trend) and not claim.over:
        return Lacks("not tested", "a trend is along a sweep; add `over`")
    names = claim.variants()
    rows = [_drop_in(comparison, name) for name in names]
    known = tuple(row for row in rows if row is not None)
    if len(known) < len(rows):
        absent = [variant_name(n) for n, row in zip(names, rows, strict=True) if row is None]
        return Lacks("not tested", f"this study has no drop-in row of {listed(absent)}")
    if claim.metric == FUNCTION:
        found: list[Place | Lacks | Hypothesis] = [
            _same_function(comparison, names, at) for at in _settings(claim)
        ]
    else:
        found = [_hypothesis(comparison, claim, known, at) for at in _settings(claim)]
    if lacking := next((it for it in found if isinstance(it, Lacks)), None):
        return lacking
    first = next((it for it in found if isinstance(it, Hypothesis) and it.lacks is None), None)
    places = tuple(
        it if isinstance(it, Place) else _place(it, at)
        for it, at in zip(found, _settings(claim), strict=True)
        if not isinstance(it, Lacks)
    )
    made = Judged(
        word="not tested",
        why="",
        said="",
        places=places,
        title=first.title if first else "Function",
        unit=first.unit if first else "",
        wanted=first.wanted if first else None,
        rows=known,
        scale=first.scale if first else "value",
    )
    if bad := [place for place in places if place.word in ("invalid", "not tested")]:
        worst = next((place for place in bad if place.word == "invalid"), bad[0])
        where = f"at {_label(worst.settings)}: " if worst.settings else ""
        said = f"{worst.word} {where}{worst.why}"
        return replace(made, word=worst.word, why=worst.why, said=said)
    if isinstance(claim, Trend):
        assert first is not None  # facts have values
        return _trend(claim, made, first)
    return _together(claim, made, first)


def _settings(claim: Claim) -> list[dict[str, Any]]:
    """Return the settings at which a claim is asked, in the order of its values; [{}] of none."""
    return [dict(zip(claim.over, each, strict=True)) for each in product(*claim.over.values())]


def _drop_in(comparison: ComparisonEvidence, name: str) -> RowEvidence | None:
    rows = [row for row in comparison.rows if row.asked.variant == name]
    return next((row for row in rows if row.is_reference or "none" in row.asked.match), None)


def _point(
    comparison: ComparisonEvidence, names: Sequence[str], at: Mapping[str, Any]
) -> PointEvidence | Lacks:
    for point in comparison.points:
        if point.asked.variants == list(names) and point.asked.settings == dict(at):
            if point.lacking:
                return Lacks("invalid", f"{_of(names, at)}: {one_line(point.lacking)}")
            return point
    return Lacks("not tested", f"this study has no facts of {_of(names, at)}")


def _of(names: Sequence[str], at: Mapping[str, Any]) -> str:
    spelled = listed([variant_name(name) for name in names])
    return f"{spelled} at {_label(at)}" if at else f"{spelled} together"


def _hypothesis(
    comparison: ComparisonEvidence,
    claim: Claim,
    rows: Sequence[RowEvidence],
    at: Mapping[str, Any],
) -> Hypothesis | Lacks:
    """Return what there is to decide at one place of a sweep."""
    found = []
    for row in rows:
        point = _point(comparison, [row.asked.variant], at)
        if isinstance(point, Lacks):
            return point
        found.append(replace(row, full=dict(point.facts), trials=(), readings=(), lacking=()))
    return hypotheses.of_facts(comparison, claim, tuple(found))


def _place(one: Hypothesis, at: Mapping[str, Any]) -> Place:
    if one.lacks is not None:
        return Place(at, one.lacks.word, one.lacks.why, one.lacks.why)
    assert one.estimate is not None  # facts are exact
    value = one.estimate.value
    decision = one.decide(value, value)
    return Place(
        at,
        decision.word,
        decision.why,
        sentences.finding(one, decision, 1.0, 1, None),
        sentences.short(one),
        one.means,
        math.exp(value) if one.scale == "ratio" else value,
    )


def _same_function(
    comparison: ComparisonEvidence, names: Sequence[str], at: Mapping[str, Any]
) -> Place | Lacks:
    """Return whether two networks compute the same with tied weights."""
    point = _point(comparison, names, at)
    if isinstance(point, Lacks):
        return point
    found = point.facts.get(PAIR)
    if found is None:
        return Lacks("invalid", f"{_of(names, at)}: their functions were not compared")
    both = listed([variant_name(name) for name in names])
    if found.value is None and found.detail.get("equal") is not False:
        why = one_line(str(found.detail.get("invalid", "no value")))
        return Place(at, "invalid", why, why)
    tied = f"weights tied {one_line(str(found.detail.get('tied', 'in order')))}"
    if found.value is None:
        shapes = ["x".join(map(str, shape)) or "1" for shape in found.detail.get("shapes", [])]
        said = f"outputs of {both} differ in shape, {listed(shapes)}"
        return Place(at, "refuted", "different", said, "another shape")
    share = f"{found.value:.1e} of the largest output"
    if found.detail.get("equal"):
        apart = f"by {share}, which is rounding" if found.value else "by nothing"
        said = f"{both} compute the same, {tied}: they differ {apart}"
        return Place(at, "supported", "", said, "the same", (found.value,), found.value)
    share = f"{quantity(100 * found.value)} % of the largest output"
    said = f"{both} differ by {share}, {tied}"
    return Place(at, "refuted", "different", said, f"{share} apart", (found.value,), found.value)


def _together(claim: Claim, made: Judged, first: Hypothesis | None) -> Judged:
    """Return what all places come to together."""
    places = made.places
    if not claim.over:
        (place,) = places
        return replace(made, word=place.word, why=place.why, said=f"{place.word}: {place.said}")
    words = {place.word for place in places}
    numbers = _numbers(made)
    if first is not None and first.wanted is not None:
        numbers += f", claimed {sentences.claimed(first)}"
    elif first is not None and first.margin > 0:
        told = getattr(claim, "margin", 0.0)  # a share is of each value's own
        numbers += f", for a margin of {told if isinstance(told, str) else sentences.margin(first)}"
    if len(words) == 1:
        reasons = {place.why for place in places}
        why = reasons.pop() if len(reasons) == 1 else ""
        places_ = "both" if len(places) == 2 else f"all {number(len(places))}"
        said = f"{places[0].word} at {places_} {_kinds(claim)}, {_extent(claim)}"
        meant = f", {why}" if why and why != "different" else ""
        return replace(made, word=places[0].word, why=why, said=f"{said}{meant}: {numbers}")
    swept = listed([_name(path) for path in claim.over])
    if "supported" in words:
        holds = [place.word == "supported" for place in places]
        where = f"holds at {number(sum(holds))} of {_counted(claim, len(places))}, "
        where += _reach(claim, places, holds)
    else:
        where = ", ".join(
            f"{word} {_reach(claim, places, [place.word == word for place in places])}"
            for word in dict.fromkeys(place.word for place in places)
        )
    said = f"depends on the {swept}: {where}; {numbers}"
    return replace(made, word="depends", why=f"on the {swept}", said=said)


def _trend(claim: Trend, made: Judged, first: Hypothesis) -> Judged:
    """Return whether the values rise, or fall, as the claim has it."""
    (path,) = claim.over
    values = [place.values[0] for place in made.places]
    sign = 1 if claim.expect == "rising" else -1
    steps = [sign * (after - before) for before, after in pairwise(values)]
    ends = sign * (values[-1] - values[0])
    found: Decision = decide.trend([(step, step) for step in steps], (ends, ends), first.margin)
    margin, why = sentences.margin(first), found.why
    if found.word == "refuted" and ends < 0:
        why = "opposite"  # which says more than that it turns on the way
    said = f"{lower_first(made.title)} of {variant_name(claim.of)}: "
    if values[0] == values[-1]:
        said += f"{made.places[0].short} at both ends"
    else:
        said += "up" if values[-1] > values[0] else "down"
        said += f" from {made.places[0].short} to {made.places[-1].short}"
    said += f" over {_counted(claim, len(values))}, {_extent(claim)}"
    if why == "falls on the way":
        at = next(i for i, step in enumerate(steps) if step < -first.margin)
        why = "falls on the way" if sign > 0 else "rises on the way"
        before, after = made.places[at : at + 2]
        said += (
            f", but {why}, from {before.short} at {_plain(before.settings[path])} to {after.short} "
            f"at {_plain(after.settings[path])}"
        )
    elif found.word == "supported":
        said += ", at every step" if all(step > 0 for step in steps) else ", and never turns back"
        said += f" by more than {margin}" if min(steps) < 0 else ""
    elif found.word == "true but negligible":
        said += f", less than the {margin} that matter"
    elif why == "opposite":
        said += ", the opposite of the claim"
    return replace(made, word=found.word, why=why, said=f"{found.word}: {said}")


def _numbers(made: Judged) -> str:
    """Say the numbers at both ends of a sweep, and the largest and smallest between them."""
    names = [variant_name(row.asked.variant) for row in made.rows]
    title = lower_first(made.title)
    subject = f"{title} of {names[0]}"
    if len(names) > 1:
        joint = "to" if made.scale == "ratio" else "against"
        subject = f"{title}, {names[0]} {joint} {names[1]}"
    told = [made.places[0], made.places[-1]]
    between = [place for place in made.places[1:-1] if place.estimate is not None]
    ends = [place.estimate for place in told if place.estimate is not None]
    if between and len(ends) == 2:
        for pick, beyond in ((min, min(ends)), (max, max(ends))):
            extreme = pick(between, key=lambda place: place.estimate or 0.0)
            value = extreme.estimate or 0.0
            if (value < beyond if pick is min else value > beyond) and extreme not in told:
                told.insert(-1, extreme)
    if len({place.short for place in made.places}) == 1:
        return f"{subject}: {told[0].short} throughout"
    told.sort(key=made.places.index)
    spelled = ", ".join(f"{place.short} at {_label(place.settings)}" for place in told)
    return f"{subject}: {spelled}"


def _reach(claim: Claim, places: Sequence[Place], chosen: Sequence[bool]) -> str:
    """Say at which places something is so: `from 64 on`, `up to 32`, `at 16 and 64`."""
    at = [index for index, it in enumerate(chosen) if it]
    spelled = [_label(places[index].settings) for index in at]
    if _is_scale(claim) and len(at) > 1 and at[-1] - at[0] == len(at) - 1:
        if at[-1] == len(places) - 1:
            return f"from {spelled[0]} on"
        return f"up to {spelled[-1]}" if at[0] == 0 else f"from {spelled[0]} to {spelled[-1]}"
    if len(spelled) > LISTED:
        return f"at {', '.join(spelled[:LISTED])} and {number(len(spelled) - LISTED)} more"
    return f"at {listed(spelled)}"


def _is_scale(claim: Claim) -> bool:
    """Return whether one setting is swept, and its values are numbers that go up."""
    (values, *others) = claim.over.values()
    numbers = [value for value in values if isinstance(value, int | float)]
    return not others and len(numbers) == len(values) and numbers == sorted(numbers)


def _extent(claim: Claim) -> str:
    if _is_scale(claim):
        ((first, *_, last),) = claim.over.values()
        return f"{_plain(first)} to {_plain(last)}"
    return listed([", ".join(map(_plain, values)) for values in claim.over.values()])


def _counted(claim: Claim, n: int) -> str:
    """Spell how many places a sweep has: `6 widths`, `12 combinations of width and groups`."""
    return f"{number(n)} {_kinds(claim)}"


def _kinds(claim: Claim) -> str:
    """Name what is swept, in the plural."""
    names = [_name(path) for path in claim.over]
    if len(names) > 1:
        return f"combinations of {listed(names)}"
    is_noun = names[0].isalpha() and not names[0].endswith("s")
    return f"{names[0]}s" if is_noun else f"values of {names[0]}"


def _name(path: str) -> str:
    last = path.rpartition(".")[2]
    return one_line(last if last.isidentifier() else path).replace("_", " ")


def _label(at: Mapping[str, Any]) -> str:
    if len(at) == 1:
        return _plain(next(iter(at.values())))
    return ", ".join(f"{_name(path)} {_plain(value)}" for path, value in at.items())


def _plain(value: Any) -> str:
    return one_line(f"{value:g}" if isinstance(value, float) else str(value)).replace("_", " ")
