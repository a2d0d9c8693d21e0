"""Matched budgets: the width at which a variant costs what the baseline costs.

Budgets are counted on the meta device, which computes shapes and no values, so that a candidate
costs milliseconds. They rise with the width in steps (channels are whole numbers), so bisection
finds the step at which the target is crossed; the nearer side of it is the solution.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import torch
from torch.utils.flop_counter import FlopCounterMode

from ablate import catalog

KNOB = "width"  # the option of a network family that scales all of its channels
WIDEST = 2.0**14


class Unreachable(ValueError):
    """No width brings the budget within the tolerance; the message names the nearest budgets."""


@dataclass(frozen=True)
class Solution:
    """A width and how near it comes: `residual` is budget / target - 1."""

    width: float
    residual: float


def budget(
    network: Mapping[str, Any],
    kind: Literal["params", "macs"],
    shape: tuple[int, int, int],
    outputs: int,
) -> int:
    """Count the parameters of a network, or its multiply-accumulates for one input (c, h, w).

    MACs are those of convolutions and matrix products, as in `metrics/macs.py`.
    """
    with torch.device("meta"):
        built = catalog.build("networks", network, "family", shape, outputs)
        if kind == "params":
            return sum(parameter.numel() for parameter in built.parameters())
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            built.eval()(torch.empty(1, *shape))
    return int(counter.get_total_flops()) // 2  # it counts a multiply-add as two


def solve(
    network: Mapping[str, Any],
    kind: Literal["params", "macs"],
    target: int,
    tolerance: float,
    shape: tuple[int, int, int],
    outputs: int,
) -> Solution:
    """Find the width at which a network's budget comes nearest to the target.

    Raises:
        Unreachable: the family has no width, or the nearest budget is out of tolerance.
    """
    if KNOB not in network:
        raise Unreachable(
            f"the network family {network['family']!r} has no option {KNOB!r} to match {kind} with"
        )

    if not target:
        raise Unreachable(f"what it is compared with has no {kind} to match")

    @cache
    def at(width: float) -> int:
        return budget({**network, KNOB: width}, kind, shape, outputs)

    low, high = 0.0, 1.0
    while at(high) < target:
        low, high = high, high * 2
        if high > WIDEST:
            raise Unreachable(f"even at width {WIDEST:g} it has fewer than {target:,} {kind}")
    while high - low > 1e-3:
        middle = (low + high) / 2
        low, high = (middle, high) if at(middle) < target else (low, middle)
    candidates = {_short(width, at): at(width) for width in (low, high) if width > 0}
    width = min(candidates, key=lambda w: abs(candidates[w] - target))
    residual = candidates[width] / target - 1
    if abs(residual) > tolerance:
        nearest = " and ".join(f"{count:,} (width {w:g})" for w, count in candidates.items())
        raise Unreachable(
            f"no width brings it within {tolerance:.1%} of {target:,} {kind}; "
            f"the nearest: {nearest}; widen the tolerance, for example "
            f"match: {{{kind}: {_enough(residual)}}}, or leave this match out"
        )
    return Solution(width, residual)


def _enough(residual: float) -> str:
    """Return the next whole percentage above a residual."""
    return f"{math.floor(abs(residual) * 100) + 1}%"


def _short(width: float, at: Callable[[float], int]) -> float:
    """Return the width with the fewest decimals that gives the same network."""
    for decimals in range(4):
        rounded = round(width, decimals)
        if rounded > 0 and at(rounded) == at(width):
            return rounded
    return width
