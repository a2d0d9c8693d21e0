"""One row against its reference: everything that a table, a figure or a sentence says of it."""

import math
from dataclasses import dataclass
from typing import Literal

from ablate.evidence import paired, sampling, sources, welch
from ablate.evidence.collect import ComparisonEvidence, RowEvidence
from ablate.evidence.effects import UNKNOWN, Effect, effect, effect_of


@dataclass(frozen=True)
class TestError:
    """Standard error of a difference over test examples, in the unit of the difference."""

    __test__ = False  # not a test case, whatever its name looks like to pytest

    value: float
    counts: Literal["examples", "clusters"]
    n: int
    # Interval for other examples of the same source; None where nothing is said of a population.
    population: tuple[float, float] | None


@dataclass(frozen=True)
class Contrast:
    """A row, and its difference from its reference; for a reference itself, only the row."""

    row: RowEvidence
    reference: RowEvidence | None  # None for a row that is compared with no other
    mean: float | None  # of the row's values, in the metric's unit
    deviation: float | None  # standard deviation over seeds; None below two
    difference: float | None  # of the means, row - reference
    interval: welch.Interval | None  # None with an effect that is known: the difference is exact
    effect: Effect | None  # None for a reference, and where one of the two has no trials
    test_error: TestError | None
    detectable: float | None  # smallest true difference that these runs would see in 8 of 10 cases
    seeds_to_detect: int | None  # runs a row that would so see a difference of the margin's size
    # Seeds that both have where the comparison is paired: what the difference is over; else None.
    pairs: int | None = None
    left_out: int = 0  # seeds that only one of the two has, where it is paired
    refused: str = ""  # why the two are not compared: their trials differ in what they must not

    @property
    def is_exact(self) -> bool:
        """Whether there is nothing to estimate, since nothing of either row is trained."""
        return self.interval is None and self.effect not in (None, UNKNOWN)


def contrasts(comparison: ComparisonEvidence) -> tuple[Contrast, ...]:
    """Return every row of a comparison against its reference, the baseline first."""
    return tuple(_contrast(comparison, row) for row in comparison.rows)


def _contrast(comparison: ComparisonEvidence, row: RowEvidence) -> Contrast:
    measure = comparison.measure
    ours = list(row.values.values())
    mean = welch.mean(ours) if ours else None
    deviation = welch.deviation(ours)
    reference = comparison.reference_of(row)
    if reference is None or not (row.trials and reference.trials):
        return Contrast(row, reference, mean, deviation, None, None, None, None, None, None)
    if refused := sources.mixed((row, reference)):
        none = (None, None, UNKNOWN, None, None, None)
        return Contrast(row, reference, mean, deviation, *none, refused=refused)
    if paired.holds(comparison, (row, reference)):
        return _paired(comparison, row, reference, mean, deviation)
    theirs = list(reference.values.values())
    difference = mean - welch.mean(theirs) if mean is not None and theirs else None
    interval = welch.interval(_runs(row), _runs(reference))
    mark = effect(interval, measure.margin)
    if difference is not None and row.is_fixed and reference.is_fixed:
        mark = effect_of(difference, difference, measure.margin)
    detectable = needed = None
    if interval is not None:
        spreads = [welch.deviation(_runs(side)) or 0.0 for side in (row, reference)]
        runs = [len(_runs(side)) for side in (row, reference)]
        detectable = welch.detectable(spreads[0], runs[0], spreads[1], runs[1], estimated=True)
        needed = welch.seeds_to_detect(measure.margin, *spreads)
    return Contrast(
        row=row,
        reference=reference,
        mean=mean,
        deviation=deviation,
        difference=difference,
        interval=interval,
        effect=mark,
        test_error=_test_error(comparison, row, reference, interval),
        detectable=detectable,
        seeds_to_detect=needed,
    )


def _paired(
    comparison: ComparisonEvidence,
    row: RowEvidence,
    reference: RowEvidence,
    mean: float | None,
    deviation: float | None,
) -> Contrast:
    """Return the same over the differences of the seeds that both rows have."""
    margin = comparison.measure.margin
    gaps = paired.gaps(row.values, reference.values)
    interval = paired.interval(row.values, reference.values)
    detectable = needed = None
    if interval is not None:
        # One sample of differences: as against a side that does not vary at all.
        spread, pairs = welch.deviation(gaps) or 0.0, len(gaps)
        detectable = welch.detectable(spread, pairs, 0.0, pairs, estimated=True)
        needed = welch.seeds_to_detect(margin, spread, 0.0)
    return Contrast(
        row=row,
        reference=reference,
        mean=mean,
        deviation=deviation,
        difference=welch.mean(gaps) if gaps else None,
        interval=interval,
        effect=effect(interval, margin),
        test_error=_test_error(comparison, row, reference, interval),
        detectable=detectable,
        seeds_to_detect=needed,
        pairs=len(gaps),
        left_out=paired.left_out(row.values, reference.values),
    )


def _runs(row: RowEvidence) -> list[float]:
    """Return a row's values; where nothing is trained, one run is as good as any number."""
    values = list(row.values.values())
    return values * 2 if row.is_fixed and len(values) == 1 else values


def _test_error(
    comparison: ComparisonEvidence,
    row: RowEvidence,
    reference: RowEvidence,
    interval: welch.Interval | None,
) -> TestError | None:
    found = sampling.of_rows(row, reference, comparison.measure.unit)
    if found is None:
        return None
    error, counts, n = found
    data = comparison.data
    population = None
    # Images that stand in for others, or that share a few origins, are a sample of nothing.
    if interval is not None and data.fallback_reason is None and not data.clustered:
        reach = interval.half_width * math.hypot(1, error / interval.standard_error)
        population = (interval.mean - reach, interval.mean + reach)
    return TestError(error, counts, n, population)
