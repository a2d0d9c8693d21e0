"""What the noise of runs is made of, and how often it turns a comparison around.

Two things make the accuracy of runs differ: runs differ in quality, and even equally good runs err
on different examples of a finite test set. The second part would vanish on a larger test set, and
picking the best of several seeds picks mostly that (Jordan 2024, "On the variance of neural network
training with respect to test sets and distributions", ICLR).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ablate.evidence import welch
from ablate.evidence.decide import Estimate

Floats = np.ndarray[Any, np.dtype[np.float64]]
Ints = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True)
class Noise:
    """Standard deviations over runs, in the unit of the scores."""

    total: float  # of the mean score over the test examples
    examples: float  # of it, what runs of equal quality would show: they err on other examples
    quality: float  # the rest, which a larger test set would show too; 0 where none is left


def apart(scores: Floats, cluster: Ints | None = None) -> Noise | None:
    """Return the noise of a row's runs, in its two parts.

    Args:
        scores: (runs, n) of every run on the same test examples, such as 0 and 1 for wrong and
            right.
        cluster: (n,) which examples belong together, so that a run is right or wrong on them
            together; None: each stands alone.

    Returns:
        None below two runs or without examples.
    """
    runs, n = scores.shape
    if runs < 2 or n == 0:
        return None
    total = float(scores.mean(axis=1).std(ddof=1))
    labels = np.arange(n) if cluster is None else np.unique(cluster, return_inverse=True)[1]
    sums = np.zeros((int(labels.max()) + 1, runs))
    np.add.at(sums, labels, scores.T)
    examples = math.sqrt(float(sums.var(axis=1, ddof=1).sum())) / n
    return Noise(total, examples, math.sqrt(max(0.0, total**2 - examples**2)))


def on_population(estimate: Estimate, test_error: float) -> Estimate:
    """Return a difference on this test set as one on the population that it was drawn from.

    Args:
        estimate: over runs, all on the same test examples.
        test_error: the standard error of the difference over test examples, in the same unit
            (`sampling.of_rows`).

    Returns:
        The same value, less certain by what other examples would change. The error is a little too
        large, since the runs' own holds some of that already.
    """
    return Estimate(estimate.value, math.hypot(estimate.error, test_error), estimate.freedom)


def probability_of_superiority(ours: Sequence[float], theirs: Sequence[float]) -> float | None:
    """Return how likely a run of ours is above one of theirs, ties counting half.

    Over all pairs of runs, seeds aside: 0.5 where neither side has the upper hand. None without
    runs on a side. It describes these runs and tests nothing.
    """
    if not ours or not theirs:
        return None
    wins = sum((mine > other) + 0.5 * (mine == other) for mine in ours for other in theirs)
    return wins / (len(ours) * len(theirs))


def sign_consistency(
    ours: Mapping[int, float], theirs: Mapping[int, float]
) -> tuple[int, int] | None:
    """Return on how many seeds the difference has the sign of the mean one, and of how many.

    Args:
        ours, theirs: value by seed; only the seeds of both are counted.

    Returns:
        For example (4, 5): the direction held on four of five seeds. A seed without any difference
        does not count as having held. None where no seed is in both, or the mean difference is 0.
    """
    gaps = [value - theirs[seed] for seed, value in ours.items() if seed in theirs]
    if not gaps or (centre := welch.mean(gaps)) == 0:
        return None
    return sum(gap * centre > 0 for gap in gaps), len(gaps)
