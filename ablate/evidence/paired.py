"""Differences seed by seed, where a suite declares a comparison paired.

Two networks of equal parameter shapes begin, with the same seed, from the same weights and see the
same images in the same order. Where their results go up and down together, the differences vary
less than the results do, and their interval is narrower than Welch's; where they do not, it is
about as wide, for its degrees of freedom are half of Welch's. So it is declared beforehand, and
never chosen by what came out. Seeds that only one side has are left out.

Student 1908, Biometrika 6, 1-25.
"""

from collections.abc import Mapping

from ablate.evidence import decide, welch
from ablate.evidence.collect import ComparisonEvidence, RowEvidence


def holds(comparison: ComparisonEvidence, rows: tuple[RowEvidence, ...]) -> bool:
    """Return whether two rows are to be compared seed by seed.

    Preflight holds every row to the shapes of its reference, so rows of different references need
    not have equal ones; and what is not trained has nothing that seeds could share.
    """
    references = {row.asked.reference or row.asked.variant for row in rows}
    is_trained = not any(row.is_fixed for row in rows)
    return comparison.asked.paired and len(rows) == 2 and len(references) == 1 and is_trained


def common(
    ours: Mapping[int, float], theirs: Mapping[int, float]
) -> tuple[list[float], list[float]]:
    """Return the values of the seeds that both sides have, in the order of the seeds."""
    seeds = sorted(ours.keys() & theirs.keys())
    return [ours[seed] for seed in seeds], [theirs[seed] for seed in seeds]


def left_out(ours: Mapping[int, float], theirs: Mapping[int, float]) -> int:
    """Return how many seeds only one of the sides has."""
    return len(ours.keys() ^ theirs.keys())


def interval(
    ours: Mapping[int, float], theirs: Mapping[int, float], level: float = welch.LEVEL
) -> welch.Interval | None:
    """Return the interval of the mean difference ours - theirs over the seeds of both.

    Args:
        ours, theirs: value by seed.
        level: how often it covers the true one.

    Returns:
        None with fewer than two seeds in both, and where all differences are the same.
    """
    found = decide.paired(*common(ours, theirs))
    if found is None:
        return None
    low, high = found.bounds(level)
    return welch.Interval(found.value, low, high, found.error, found.freedom, level)


def gaps(ours: Mapping[int, float], theirs: Mapping[int, float]) -> list[float]:
    """Return ours - theirs of the seeds that both sides have."""
    return [mine - other for mine, other in zip(*common(ours, theirs), strict=True)]
