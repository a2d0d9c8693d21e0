"""What a variant saves for the same result: curves of the metric over parameters, MACs and time.

A drop-in that has fewer parameters and is less accurate has saved nothing yet: a narrower baseline
would have lost accuracy too. So each variant is trained at several widths (`budgets:`), a curve is
drawn through their means (curve.py), and read where it reaches the mean of its reference: as many
times fewer parameters as the reference has more there, with the interval. Points of a variant's
curve are its networks at these budgets and those of its rows that differ in width alone (as a
drop-in, at equal parameters or MACs), each with the cost of the network as trained, since its
accuracy is that network's.

The same accuracies stand over each cost, so one cost's curve may reach the level where another's
ends. Costs are taken as known: counts are, and of times the spread (per cents) is small beside what
the seeds leave open. Where the reference's result lies outside of the range measured, a bound is
given and no number. What the curves do between is said with the cost that the budgets are of.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ablate.evidence import curve, latency, sources, welch
from ablate.evidence.collect import ComparisonEvidence, RowEvidence
from ablate.evidence.curve import Crossing, Curve, Meeting
from ablate.evidence.spelling import counted, listed, lower_first, number, upper_first, variant_name

TIMES = "latency_at_budgets"  # the passes that time the networks of the curves
MISFIT = 0.01  # p value of the lack of fit below which a curve says nothing


@dataclass(frozen=True)
class Cost:
    """What may be saved, and how much of it each network has."""

    name: str  # params, macs, or latency with its setting
    noun: str  # "parameters"
    fewer: str  # "fewer" of counts, "less" of times
    unit: str
    values: Mapping[str, float]  # by the fact id of the network as trained
    batch: int | None = None  # of times

    @property
    def metric(self) -> str:
        """The metric's name."""
        return self.name if self.batch is None else latency.METRIC


@dataclass(frozen=True)
class Saving:
    """What one variant saves of one cost against its reference."""

    variant: str
    reference: str
    cost: Cost
    drop_in: float | None  # reference's cost / ours; None where there is no row without a match
    points: tuple[RowEvidence, ...]  # of our curve, rising in cost
    theirs: tuple[RowEvidence, ...]  # of the reference's curve
    base: RowEvidence  # the reference
    curve: Curve | None = None  # over log(cost / the reference's); better is always higher
    curve_of_reference: Curve | None = None
    meeting: Meeting | None = None
    crossing: Crossing | None = None
    why: str = ""  # there is no curve

    @property
    def misfits(self) -> list[tuple[str, float]]:
        """Return the variants whose curve does not fit, each with the p value."""
        found = ((self.variant, self.curve), (self.reference, self.curve_of_reference))
        return [(v, c.lack_of_fit) for v, c in found if c is not None and c.lack_of_fit < MISFIT]

    def bounds(self, level: float = welch.LEVEL) -> tuple[float | None, float | None]:
        """Return the interval of the saving, None where it goes beyond what was measured."""
        if self.meeting is None:
            return None, None
        low, high = self.meeting.bounds(level)
        return (
            None if math.isinf(low) else math.exp(low),
            None if math.isinf(high) else math.exp(high),
        )

    @property
    def is_open(self) -> bool:
        """Whether all that was measured may be what the same result takes."""
        return self.meeting is not None and self.bounds() == (None, None)

    @property
    def value(self) -> float | None:
        """The reference's cost / ours for the same result; None beyond what was measured."""
        if self.meeting is None or self.meeting.beyond:
            return None
        return math.exp(self.meeting.value)


def points(comparison: ComparisonEvidence, variant: str) -> tuple[RowEvidence, ...]:
    """Return the networks of a variant that differ in width alone, each once."""
    found: dict[str, RowEvidence] = {}
    made = [row for row in comparison.budgets if row.asked.variant == variant]
    for row in (*comparison.rows, *made):
        # Of rows that are tuned, or have other epochs, more than the width differs.
        if row.trials and any(_but_width(row) == _but_width(one) for one in made):
            found.setdefault(row.asked.facts, row)
    return tuple(found.values())


def _but_width(row: RowEvidence) -> tuple[str, Any]:
    config = row.asked.config
    network = {key: value for key, value in config["network"].items() if key != "width"}
    return row.asked.variant, {**config, "network": network}


def savings(comparison: ComparisonEvidence) -> tuple[Saving, ...]:
    """Return what each variant saves of each cost, () where no budgets were asked for."""
    variants = dict.fromkeys(point.asked.variant for point in comparison.budgets)
    return tuple(
        found
        for variant in variants
        for cost in costs(comparison)
        if (found := saving(comparison, variant, cost)) is not None
    )


def saving(comparison: ComparisonEvidence, variant: str, cost: Cost) -> Saving | None:
    """Return what a variant saves of a cost; None for one that is compared with no other."""
    ours = points(comparison, variant)
    reference = next((r.asked.reference for r in ours if r.asked.reference is not None), None)
    base = _drop_in(comparison, reference) if reference is not None else None
    if reference is None or base is None:
        return None
    theirs = points(comparison, reference)
    own, level = _drop_in(comparison, variant), cost.values.get(base.asked.facts)
    drop_in = None
    if own is not None and level is not None and own.asked.facts in cost.values:
        drop_in = level / cost.values[own.asked.facts]
    made = Saving(variant, reference, cost, drop_in, ours, theirs, base)
    sign = -1.0 if comparison.measure.direction == "lower" else 1.0
    if level is None:
        return replace(made, why=f"the {cost.noun} of {variant_name(reference)} are not known")
    if differing := sources.mixed([*ours, *theirs]):
        return replace(made, why=differing)
    if len(base.values) < 2:
        return replace(made, why=f"{variant_name(reference)} has fewer than two seeds yet")
    logs = [_measured(side, cost, level, sign) for side in (ours, theirs)]
    curves = [curve.fit(side) for side in logs]
    if curves[0] is None:
        ready = sum(len(values) > 1 for _, values in logs[0])
        if ready < curve.FEWEST:
            return replace(
                made,
                why=f"{ready} of {counted(len(ours), 'width')} of {variant_name(variant)} "
                f"{'has' if ready == 1 else 'have'} two seeds or more, and three are needed",
            )
        return replace(made, why="its seeds do not vary, or its widths cost the same")
    gap = curve.above(curves[0], [sign * value for value in base.values.values()])
    crossed = curve.between(curves[0], curves[1]) if curves[1] is not None else None
    return replace(
        made,
        curve=curves[0],
        curve_of_reference=curves[1],
        meeting=curve.meeting(gap),
        crossing=None if crossed is None else curve.crossing(crossed),
    )


def costs(comparison: ComparisonEvidence) -> list[Cost]:
    """Return what may be saved: parameters, MACs, and times where the networks were timed."""
    rows = [*comparison.rows, *comparison.budgets]
    found = [
        Cost(name, noun, "fewer", "", values)
        for name, noun in (("params", "parameters"), ("macs", "MACs"))
        if (values := _facts(rows, name))
    ]
    return [*found, *_times(comparison, rows)]


def _facts(rows: Sequence[RowEvidence], name: str) -> dict[str, float]:
    return {
        row.asked.facts: float(fact.value)
        for row in rows
        if (fact := row.trained.get(name)) is not None and fact.value
    }


def _times(comparison: ComparisonEvidence, rows: Sequence[RowEvidence]) -> list[Cost]:
    passes = comparison.passes.get(TIMES, ())
    if not passes:
        return []
    networks = passes[0].spec.get("networks", [])
    columns: dict[tuple[str, ...], tuple[int, int | None]] = {
        (row.asked.facts,): (networks.index(row.asked.config["network"]), None)
        for row in rows
        if row.asked.config.get("network") in networks
    }
    margin = comparison.asked.margins.get(latency.METRIC, latency.MARGIN)
    found = []
    for one in latency.of_passes(passes, columns, margin):
        if not one.unsteady:
            values = {key[0]: timed.seconds for key, timed in one.rows.items()}
            noun = f"time a call (batch {number(one.batch)})"
            found.append(
                Cost(f"latency at batch {one.batch}", noun, "less", "s", values, one.batch)
            )
    # Where settings differ in more than the batch, which is meant cannot be told apart in a word.
    return found if len({cost.name for cost in found}) == len(found) else []


def _drop_in(comparison: ComparisonEvidence, variant: str) -> RowEvidence | None:
    rows = (row for row in comparison.rows if row.asked.variant == variant)
    return next((row for row in rows if "none" in row.asked.match), None)


def _measured(
    rows: Sequence[RowEvidence], cost: Cost, level: float, sign: float
) -> list[tuple[float, list[float]]]:
    """Return the logarithm of each network's cost / the reference's, with its values."""
    return [
        (
            math.log(cost.values[row.asked.facts] / level),
            [sign * value for value in row.values.values()],
        )
        for row in rows
        if row.asked.facts in cost.values
    ]


def as_json(comparison: ComparisonEvidence) -> list[dict[str, Any]]:
    """Return what every variant saves of every cost as JSON has it."""
    found = savings(comparison)
    return [
        {
            "comparison": comparison.asked.id,
            "variant": one.variant,
            "reference": one.reference,
            "cost": one.cost.name,
            "drop_in": one.drop_in,
            "same_result": one.value,
            "low": one.bounds()[0],
            "high": one.bounds()[1],
            "beyond": one.meeting.beyond if one.meeting else "",
            "why": one.why,
            "sentence": sentence(comparison, [it for it in found if it.variant == one.variant]),
        }
        for one in found
    ]


# --- words ----------------------------------------------------------------------------------------


def findings(comparison: ComparisonEvidence) -> tuple[str, ...]:
    """Say what every variant saves, a sentence each: in the terminal, on the page, in exports."""
    by_variant: dict[str, list[Saving]] = {}
    for found in savings(comparison):
        by_variant.setdefault(found.variant, []).append(found)
    return tuple(sentence(comparison, found) for found in by_variant.values())


def sentence(comparison: ComparisonEvidence, found: Sequence[Saving]) -> str:
    """Say what one variant saves of some costs."""
    first, title = found[0], lower_first(comparison.measure.title)
    ours, theirs = variant_name(first.variant), variant_name(first.reference)
    lead = f"{upper_first(ours)} in place of {theirs}"
    if first.why and len({one.why for one in found}) == 1:
        drop_in = [words for one in found if (words := _drop_in_words(one))]
        known = f"{listed(drop_in)} as a drop-in; " if drop_in else ""
        return f"{lead}: {known}for the same {title} not known yet, {first.why}."
    told = []
    for one in found:
        drop = _drop_in_words(one)
        parts = [f"{drop} as a drop-in"] if drop else []
        if one.why:
            parts.append(f"for the same {title} not known yet, {one.why}")
        if one.is_open:
            parts.append(f"how much for the same {title} cannot be told")
        elif one.meeting is not None:
            fewer = f" {one.cost.fewer}" + ("" if drop else f" {one.cost.noun}")
            parts.append(f"{same_result(one, fewer)} for the same {title}")
        told.append(", ".join(parts))
    (kind,) = comparison.budgets[0].asked.match
    asked = next((one for one in found if one.cost.name == kind), first)
    text = f"{lead}: {'; '.join(told)}. {crossing_words(asked)}".rstrip()
    for one in found:
        for variant, p in one.misfits:
            text += (
                f" The curve over {one.cost.noun} of {variant_name(variant)} does not fit (p "
                f"{p:.2g}), so what is read from it is no result."
            )
    return text


def _drop_in_words(one: Saving) -> str:
    if one.drop_in is None:
        return ""
    if one.drop_in >= 1:
        return f"{_times_over(one.drop_in)} times {one.cost.fewer} {one.cost.noun}"
    return f"{_times_over(1 / one.drop_in)} times the {one.cost.noun}"


def same_result(one: Saving, fewer: str) -> str:
    """Spell what is saved for the same result with its interval: `2.2 [1.5, 3.7] times fewer`.

    Args:
        one: with a meeting, and not open.
        fewer: what is put behind "times", where the reference has more.
    """
    assert one.meeting is not None
    assert one.curve is not None
    low, high = one.bounds()
    if one.meeting.beyond:
        is_above = one.meeting.beyond == "more"
        bound = low if is_above else high
        assert bound is not None  # of the side that was measured
        at = "at least" if is_above == (bound >= 1) else "at most"
        size = f"{at} {_times_over(max(bound, 1 / bound))} times"
        why = "the narrowest is above it" if is_above else "the widest does not reach it"
        return f"{size}{fewer if bound >= 1 else f' the {one.cost.noun}'} ({why})"
    value = one.value
    assert value is not None  # it is not beyond what was measured
    # Where an interval is open, the end of what was measured stands in its place.
    least, most = math.exp(-one.curve.high), math.exp(-one.curve.low)
    if value >= 1:
        span = (_end(low, least, "below"), _end(high, most, "above"))
        return f"{_times_over(value)} [{', '.join(span)}] times{fewer}"
    span = (
        _end(None if high is None else 1 / high, 1 / most, "below"),
        _end(None if low is None else 1 / low, 1 / least, "above"),
    )
    return f"{_times_over(1 / value)} [{', '.join(span)}] times the {one.cost.noun}"


def _end(found: float | None, measured: float, side: str) -> str:
    return f"{side} {_times_over(measured)}" if found is None else _times_over(found)


def crossing_words(one: Saving) -> str:
    """Say where the curves cross; "" where they cannot be compared."""
    if one.crossing is None:
        return ""
    it, ours, theirs = one.crossing, variant_name(one.variant), variant_name(one.reference)
    of = f"times the {one.cost.noun} of {theirs}"
    span = f"{_times_over(it.start)} to {_times_over(it.end)}"
    if not it.roots:
        who = ours if it.ahead[0] else theirs
        if it.is_known:
            return f"From {span} {of} the curves do not cross: {who} is ahead."
        return f"Whether the curves cross from {span} {of} cannot be told; {who} is ahead so far."
    if len(it.roots) > 1 or not it.is_known:
        where = listed([_times_over(root) for root in it.roots])
        return f"The curves meet at {where} {of}; who is ahead where from {span} cannot be told."
    low = f"below {_times_over(it.start)}" if it.low is None else _times_over(it.low)
    high = f"above {_times_over(it.end)}" if it.high is None else _times_over(it.high)
    who = ours if it.ahead[1] else theirs
    return (
        f"The curves cross at {_times_over(it.roots[0])} [{low}, {high}] {of}: above that, {who} "
        "is ahead."
    )


def _times_over(ratio: float) -> str:
    """Spell a ratio in a sentence."""
    return number(ratio, 2 if ratio < 1.995 else 1 if ratio < 9.95 else 0)
