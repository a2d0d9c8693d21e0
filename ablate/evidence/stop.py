"""Whether the intervals are narrow enough to stop adding seeds.

Looking at the half-width alone, never at where the interval lies, keeps its coverage (0.94 to 0.95
in simulation); stopping when a difference becomes significant would not (14 % false alarms after
eight looks).
"""

from collections.abc import Mapping

from ablate.evidence import paired, welch
from ablate.evidence.collect import ComparisonEvidence, reference_at
from ablate.records import Record
from ablate.study import ComparisonAsked, Row, Study

# A spread estimated from fewer would stop too early too often. A row that may have fewer gets all.
FEWEST_SEEDS = 5


def settled(study: Study, records: Mapping[str, Record]) -> bool:
    """Return whether every row of every comparison is known well enough.

    Args:
        study: its `stop` holds under "until" the half-width to reach, in the metric's unit.
        records: trials that have ended, by id; others are not done yet.

    Returns:
        False for a study that does not stop by precision.
    """
    if study.stop is None:
        return False
    until = study.stop["until"]
    for comparison in study.comparisons:
        values = [_values(comparison, row, records) for row in comparison.rows]
        for row, ours in zip(comparison.rows, values, strict=True):
            at = reference_at(comparison, row)
            theirs = values[at] if at is not None and comparison.rows[at].trials else None
            if not _narrow(ours, theirs, len(row.trials), until, comparison.paired):
                return False
    return True


def settled_comparison(study: Study, comparison: ComparisonEvidence) -> bool:
    """Return the same of one comparison, from its evidence."""
    if study.stop is None:
        return False
    for row in comparison.rows:
        reference = comparison.reference_of(row)
        theirs = reference.values if reference and reference.trials else None
        until, by_seed = study.stop["until"], comparison.asked.paired
        if not _narrow(row.values, theirs, len(row.trials), until, by_seed):
            return False
    return True


def _values(
    comparison: ComparisonAsked, row: Row, records: Mapping[str, Record]
) -> dict[int, float]:
    return {
        seed: float(value)
        for seed, id in row.trials.items()
        if (record := records.get(id)) is not None
        and record.status == "ok"
        and (found := record.metrics.get(comparison.measure.name)) is not None
        and (value := found.value) is not None
    }


def _narrow(
    ours: Mapping[int, float],
    theirs: Mapping[int, float] | None,
    planned: int,
    until: float,
    by_seed: bool,
) -> bool:
    """Return whether a row needs no more seeds.

    Args:
        ours: its values by seed.
        theirs: those of its reference; None where it has none, or one that is not trained.
        planned: the trials that the row may have, none where it is not trained.
        until: half-width of the interval of the difference to reach, in the metric's unit.
        by_seed: whether the comparison is paired.
    """
    if len(ours) < min(FEWEST_SEEDS, planned):
        return False
    if theirs is None or planned == 0:
        return True
    if by_seed:
        found, runs = paired.interval(ours, theirs), len(ours.keys() & theirs.keys())
    else:
        found = welch.interval(list(ours.values()), list(theirs.values()))
        runs = min(len(ours), len(theirs))
    if found is None:  # one run says nothing; runs without any spread say all
        return runs > 1
    return found.half_width <= until
