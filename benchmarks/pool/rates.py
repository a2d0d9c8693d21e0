"""How often five trials of a pool against five others are decided, and how."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ablate.evidence import decide, effects, welch

RUNS, SPLITS = 5, 2000


@dataclass(frozen=True)
class Rates:
    """Shares of the splits, 0 to 1.

    Attributes:
        decided: a claim of order, of either direction, has a verdict that is not inconclusive.
        supported: the claim that `theirs` is above `ours` is supported, in direction at least.
        apart: the claim that both are the same within the margin is refuted.
        marked: the row is marked higher or lower.
        visible: the difference of the pools' means is above the detectable effect that is printed
            for the split.
        found: of the visible ones, those in which the claim is supported; nan without any.
    """

    decided: float
    supported: float
    apart: float
    marked: float
    visible: float
    found: float


def rates(
    ours: Sequence[float],
    theirs: Sequence[float] | None,
    margin: float,
    splits: int = SPLITS,
    seed: int = 0,
) -> Rates:
    """Judge random splits, five runs a side that have none in common.

    Args:
        ours: values of a pool, ten at least where there is no other.
        theirs: of the pool that is claimed to be above; None: other runs of the same pool.
        margin: the smallest difference that matters, in the unit of the values.
        splits: how many.
        seed: of the splits.
    """
    stream = np.random.RandomState(seed)
    truth = 0.0 if theirs is None else welch.mean(theirs) - welch.mean(ours)
    decided, supported, apart, marked, visible = (np.zeros(splits, bool) for _ in range(5))
    for number in range(splits):
        mine = stream.permutation(len(ours))
        if theirs is None:
            below, above = ([ours[i] for i in part] for part in (mine[:RUNS], mine[RUNS:][:RUNS]))
        else:
            below = [ours[i] for i in mine[:RUNS]]
            above = [theirs[i] for i in stream.permutation(len(theirs))[:RUNS]]
        estimate = decide.difference(above, below)
        if estimate is None:
            continue
        word = decide.order(*estimate.bounds(), margin).word
        same = decide.equivalence(*estimate.bounds(sides=1), margin).word
        mark = effects.effect(welch.interval(above, below), margin)
        decided[number] = word != "inconclusive"
        supported[number] = word in ("supported", "supported in direction", "true but negligible")
        apart[number] = same == "refuted"
        marked[number] = mark in (effects.HIGHER, effects.LOWER)
        if theirs is not None:
            spreads = welch.deviation(above) or 0.0, welch.deviation(below) or 0.0
            least = welch.detectable(spreads[0], RUNS, spreads[1], RUNS, estimated=True)
            visible[number] = truth > least
    return Rates(
        decided=float(decided.mean()),
        supported=float(supported.mean()),
        apart=float(apart.mean()),
        marked=float(marked.mean()),
        visible=float(visible.mean()),
        found=float(supported[visible].mean()) if visible.any() else math.nan,
    )
