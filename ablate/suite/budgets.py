"""Budgets at which variants are trained besides: what each saves for the same result.

`budgets: [0.5, 0.7, 1, 1.4]` trains every variant of a comparison, the baseline too, also at widths
that are solved to these multiples of the baseline's parameters, as `match: params` does it; with
`budgets: {macs: [0.5, 1, 2]}` of its multiply-accumulates. These are no rows: they are the points
of curves (`evidence/saving.py`).
"""

import re
from collections.abc import Mapping
from typing import Any

from ablate.suite import match
from ablate.suite.match import Budget, Shape, Solution, Unreachable

# Of a budget. Wider than a match has, since curves are drawn over what networks really have.
TOLERANCE = 0.05


def solve(
    network: Mapping[str, Any],
    base: Mapping[str, Any],
    kind: Budget,
    factor: float,
    shape: Shape,
    outputs: int,
) -> Solution:
    """Find the width at which a network has so many times the budget of another.

    Args:
        network, base: the two, spelt out.
        kind: of the budget.
        factor: of the other's budget.
        shape: (c, h, w) of an input.
        outputs: of the networks.

    Raises:
        Unreachable: none comes within 5 %; the message names the nearest.
    """
    target = round(factor * match.budget(base, kind, shape, outputs))
    try:
        return match.solve(network, kind, target, TOLERANCE, shape, outputs)
    except Unreachable as error:
        # What to do instead, its last clause, is said for a match.
        what = re.sub(r"; (widen the tolerance.*|leave this match out)$", "", str(error))
        raise Unreachable(f"{what}; change this budget or leave it out") from error
