"""How far a difference hangs on which test examples happened to be drawn.

The interval over seeds answers "would other runs, tested on the same images, agree?". This answers
the other half: with other images from the same source, how far would the difference move? It is
computed from which example each run got right, averaged over the runs of a row.

Examples that share an origin (patches of one photograph) are not independent: their residuals are
added up within a cluster before they are squared (Liang and Zeger 1986, Biometrika 73, 13-22), with
the usual factor G / (G - 1) for few clusters. Clusters of one give the plain standard error.
"""

import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from ablate.evidence.collect import RowEvidence

Floats = np.ndarray[Any, np.dtype[np.float64]]
Ints = np.ndarray[Any, np.dtype[np.int64]]

TOLERANCE = 1e-3  # of a mean over examples against the stored metric, relative to the larger


def standard_error(ours: Floats, theirs: Floats, cluster: Ints | None = None) -> float | None:
    """Return the standard error of mean(ours - theirs) over test examples.

    Args:
        ours, theirs: (n,) score of each example, averaged over the runs of a row.
        cluster: (n,) which examples belong together; None: each stands alone.

    Returns:
        In the unit of the scores; None below two independent examples.
    """
    difference = ours - theirs
    n = len(difference)
    labels = np.arange(n) if cluster is None else np.unique(cluster, return_inverse=True)[1]
    groups = int(labels.max()) + 1 if n else 0
    if groups < 2:
        return None
    sums = np.bincount(labels, weights=difference - difference.mean(), minlength=groups)
    return math.sqrt(groups / (groups - 1) * float(sums @ sums)) / n


def of_rows(
    row: RowEvidence, reference: RowEvidence, unit: str
) -> tuple[float, Literal["examples", "clusters"], int] | None:
    """Return the error of a row's difference to its reference, what it counts, and how many.

    Args:
        row, reference: their trials' arrays hold `test_correct` (n,) and maybe `test_cluster` (n,).
        unit: of the metric; "%" scales the error to percentage points.

    Returns:
        None where the examples of the two rows were not kept, are not the same ones, or do not
        average to the metric (which then is no mean over examples).
    """
    scale = 100.0 if unit == "%" else 1.0
    scores: list[Floats] = []
    clusters: list[Ints | None] = []
    for side in (row, reference):
        found = _arrays(side, scale)
        if found is None:
            return None
        scores.append(found[0])
        clusters.append(found[1])
    ours, theirs = clusters
    alike = (
        ours is theirs is None
        if ours is None or theirs is None
        else np.array_equal(ours, theirs) and len(ours) == len(scores[0])
    )
    if scores[0].shape != scores[1].shape or not alike:
        return None
    error = standard_error(scores[0], scores[1], ours)
    if error is None:
        return None
    if ours is None:
        return scale * error, "examples", len(scores[0])
    return scale * error, "clusters", len(np.unique(ours))


def _arrays(row: RowEvidence, scale: float) -> tuple[Floats, Ints | None] | None:
    """Return the mean score of each example over a row's runs, and the clusters they share."""
    scores: list[Floats] = []
    clusters: list[Ints | None] = []
    for trial in row.having("ok"):
        assert trial.record is not None  # it is ok
        assert trial.value is not None
        correct = trial.record.arrays.get("test_correct")
        if correct is None or correct.ndim != 1 or not len(correct):
            return None
        score = correct.astype(np.float64)
        if not math.isclose(
            scale * float(score.mean()), trial.value, rel_tol=TOLERANCE, abs_tol=TOLERANCE * scale
        ):
            return None
        scores.append(score)
        clusters.append(trial.record.arrays.get("test_cluster"))
    if not scores or len({score.shape for score in scores}) > 1 or not _same(clusters):
        return None
    return np.mean(scores, axis=0), clusters[0]


def _same(clusters: Sequence[Ints | None]) -> bool:
    first = clusters[0]
    if first is None:
        return all(other is None for other in clusters)
    return all(other is not None and np.array_equal(first, other) for other in clusters)
