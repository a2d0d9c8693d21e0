"""A metric over budgets: a curve through means over seeds, and where it meets a level or another.

The curve is a polynomial in the logarithm of the budget, fitted to the means of the budgets, each
weighted by its seeds: a straight line through three budgets, a parabola through four or more (how
much a network gains by being twice as wide shrinks as it widens). The degree hangs on the number of
budgets alone, never on how the fit came out, so intervals keep what they promise. Whether the curve
fits is tested against the spread over seeds (the classical F test of lack of fit, Fisher 1922, J.
R. Stat. Soc. 85, 597-612).

Its coefficients are sums of independent means, so that where it meets a level is known as Fieller
has it (1954, J. R. Stat. Soc. B 16, 175-185), for a parabola too: the interval holds every budget
at which the gap between curve and level is no further from 0 than its error allows. Errors are
Welch's, each mean with its own spread, and the degrees of freedom Satterthwaite's where the two
meet. Nothing is extrapolated: an interval that reaches an end of the budgets measured is open
there. Simulated with 3, 5 and 10 seeds a budget, intervals of 95 % hold the truth in 94 to 97 % of
cases (tests/test_saving.py).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.polynomial import polynomial

from ablate.evidence import welch
from ablate.evidence.decide import Estimate

Floats = np.ndarray[Any, np.dtype[np.float64]]

FEWEST = 3  # budgets that make a curve
_CURVED = 4  # budgets from which it is a parabola
_FAR = 1e6  # standard errors: nothing is excluded


@dataclass(frozen=True)
class Gap:
    """By how much a curve is above a level or another curve, over the logarithm of the budget."""

    coefficients: Floats  # (degree + 1,), of the powers of the logarithm from 0 on
    # (means, degree + 1): by how much a standard error of each mean moves them.
    shares: Floats
    freedoms: Floats  # (means,), of each mean's error
    low: float  # the ends of the budgets measured, as logarithms
    high: float

    def at(self, log: float) -> float:
        """Return the gap at a budget."""
        return float(polynomial.polyval(log, self.coefficients))

    def error(self, log: float) -> tuple[float, float]:
        """Return its standard error there, and the degrees of freedom of that."""
        parts = self.shares @ log ** np.arange(len(self.coefficients))
        squares = parts**2
        total = float(squares.sum())
        if total == 0:
            return 0.0, math.inf
        return math.sqrt(total), total**2 / float((squares**2 / self.freedoms).sum())

    def roots(self) -> list[float]:
        """Return the logarithms within the ends at which the gap is 0, rising."""
        return _real_roots(self.coefficients, self.low, self.high)

    def within(self, reach: float) -> list[tuple[float, float]]:
        """Return the stretches of logarithms where it is within so many standard errors of 0."""
        if reach > _FAR:
            return [(self.low, self.high)]
        square = polynomial.polymul(self.coefficients, self.coefficients)
        errors: Any = 0.0
        for share in self.shares:
            errors = polynomial.polyadd(errors, polynomial.polymul(share, share))
        beyond = polynomial.polysub(square, reach**2 * errors)
        cuts = [self.low, *_real_roots(beyond, self.low, self.high), self.high]
        found: list[tuple[float, float]] = []
        for low, high in pairwise(cuts):
            if polynomial.polyval((low + high) / 2, beyond) <= 0:
                if found and found[-1][1] == low:
                    low = found.pop()[0]
                found.append((low, high))
        return found


@dataclass(frozen=True)
class Curve:
    """A metric over the logarithm of the budget."""

    gap: Gap  # above 0
    lack_of_fit: float  # p value: how often seeds alone would leave the means so far off it
    budgets: int
    seeds: tuple[int, ...]  # of each budget, rising

    @property
    def low(self) -> float:
        return self.gap.low

    @property
    def high(self) -> float:
        return self.gap.high

    def at(self, log: float) -> float:
        """Return the metric at a budget's logarithm."""
        return self.gap.at(log)


def fit(points: Sequence[tuple[float, Sequence[float]]]) -> Curve | None:
    """Fit a curve.

    Args:
        points: of each budget its logarithm and the values of its seeds, two or more.

    Returns:
        None with fewer than three budgets, or where the seeds do not vary at all.
    """
    from scipy.special import fdtrc

    known = sorted((log, list(values)) for log, values in points if len(values) > 1)
    logs = np.array([log for log, _ in known])
    if len(set(logs.tolist())) < FEWEST:
        return None
    counts = np.array([len(values) for _, values in known])
    means = np.array([welch.mean(values) for _, values in known])
    spreads = np.array([welch.deviation(values) or 0.0 for _, values in known])
    if not spreads.any():
        return None
    degree = 2 if len(set(logs.tolist())) >= _CURVED else 1
    powers = logs[:, None] ** np.arange(degree + 1)
    root = np.sqrt(counts)
    solved = np.linalg.pinv(powers * root[:, None]) * root  # (degree + 1, points)
    coefficients = solved @ means
    errors = spreads / root
    left = len(means) - degree - 1
    misfit = float((counts * (means - powers @ coefficients) ** 2).sum()) / left
    free = int((counts - 1).sum())
    noise = float(((counts - 1) * spreads**2).sum()) / free
    return Curve(
        Gap(coefficients, (solved * errors).T, counts - 1.0, float(logs[0]), float(logs[-1])),
        float(fdtrc(left, free, misfit / noise)),
        len(means),
        tuple(counts.tolist()),
    )


def above(curve: Curve, level: Sequence[float]) -> Gap:
    """Return the gap between a curve and the mean of other runs.

    Args:
        curve: the curve.
        level: the runs, two or more, none of which made the curve.
    """
    own, width = curve.gap, len(curve.gap.coefficients)
    error = (welch.deviation(level) or 0.0) / math.sqrt(len(level))
    first = np.eye(1, width)
    return Gap(
        own.coefficients - welch.mean(level) * first[0],
        np.vstack([own.shares, error * first]),
        np.append(own.freedoms, len(level) - 1.0),
        own.low,
        own.high,
    )


def between(ours: Curve, theirs: Curve) -> Gap | None:
    """Return the gap between two curves where both were measured; None where nowhere."""
    low, high = max(ours.low, theirs.low), min(ours.high, theirs.high)
    if low >= high:
        return None
    width = max(len(ours.gap.coefficients), len(theirs.gap.coefficients))
    padded = [
        np.pad(one.gap.shares, ((0, 0), (0, width - one.gap.shares.shape[1])))
        for one in (ours, theirs)
    ]
    return Gap(
        np.asarray(polynomial.polysub(ours.gap.coefficients, theirs.gap.coefficients)),
        np.vstack(padded),
        np.concatenate([ours.gap.freedoms, theirs.gap.freedoms]),
        low,
        high,
    )


@dataclass(frozen=True)
class Meeting(Estimate):
    """The logarithm of level's budget / budget of the curve where it first reaches that level.

    With `beyond` the curve is above the level from its lowest budget on ("more": the ratio is more
    than `value`), or below it up to its highest ("less").
    """

    gap: Gap | None = None
    beyond: str = ""
    is_turned: bool = False

    def turned(self) -> "Meeting":
        """Return the same of the budget of the curve / the level's."""
        other = {"more": "less", "less": "more"}.get(self.beyond, "")
        turned = not self.is_turned
        return replace(self, value=-self.value, beyond=other, is_turned=turned)

    def within(self, reach: float) -> tuple[float, float]:
        """Return the least and the largest ratio within so many standard errors, as logarithms."""
        assert self.gap is not None  # `meeting` gives it
        if self.is_turned:
            low, high = self.turned().within(reach)
            return -high, -low
        if reach > _FAR:
            return -math.inf, math.inf
        there = self.gap.within(reach) if reach > 0 else []
        lows = [low for low, _ in there] + ([] if self.beyond else [-self.value])
        highs = [high for _, high in there] + ([] if self.beyond else [-self.value])
        low, high = (min(lows), max(highs)) if lows else (-self.value, -self.value)
        if self.beyond == "more" or (there and low == self.gap.low):
            low = -math.inf
        if self.beyond == "less" or (there and high == self.gap.high):
            high = math.inf
        return -high, -low


def meeting(gap: Gap) -> Meeting:
    """Return where a curve first rises to a level, whose own budget has the logarithm 0."""
    rising = [log for log in gap.roots() if _slope(gap, log) >= 0]
    beyond = ""
    if gap.at(gap.low) > 0:
        log, beyond = gap.low, "more"
    elif rising:
        log = rising[0]
    else:
        log, beyond = gap.high, "less"
    error, freedom = gap.error(log)
    slope = abs(_slope(gap, log))
    # By the delta method: for how many seeds would decide; bounds are Fieller's.
    return Meeting(-log, error / slope if slope else math.inf, freedom, gap, beyond)


@dataclass(frozen=True)
class Crossing:
    """What two curves do over the budgets where both were measured.

    Budgets are multiples of the one whose logarithm is 0. `roots` are where the curves cross; `low`
    and `high` are the interval of a single crossing, None where it goes beyond what was measured.
    """

    start: float
    end: float
    roots: tuple[float, ...]
    low: float | None
    high: float | None
    is_known: bool  # without a root that there is none, with one that it lies within the ends
    ahead: tuple[bool, ...]  # whether the first curve is above: up to the first root, then on


def crossing(gap: Gap, level: float = welch.LEVEL) -> Crossing:
    """Return where the gap between two curves is 0, and how well that is known."""
    roots = gap.roots()
    edges = [gap.low, *roots, gap.high]
    ahead = tuple(gap.at((low + high) / 2) > 0 for low, high in pairwise(edges))
    slope: Floats = np.asarray(polynomial.polyder(gap.coefficients), np.float64)
    turns = _real_roots(slope, gap.low, gap.high)
    nearest = min([*roots, gap.low, gap.high, *turns], key=lambda log: abs(gap.at(log)))
    _, freedom = gap.error(nearest)
    _, reach = Estimate(0.0, 1.0, freedom).bounds(level)
    there = gap.within(reach)
    low = high = None
    is_known = not there
    if len(roots) == 1 and there:
        first, last = there[0][0], there[-1][1]
        low = None if first == gap.low else math.exp(first)
        high = None if last == gap.high else math.exp(last)
        is_known = low is not None or high is not None
    times = tuple(math.exp(root) for root in roots)
    return Crossing(math.exp(gap.low), math.exp(gap.high), times, low, high, is_known, ahead)


def _slope(gap: Gap, log: float) -> float:
    return float(polynomial.polyval(log, polynomial.polyder(gap.coefficients)))


def _real_roots(coefficients: Floats, low: float, high: float) -> list[float]:
    """Return the real roots of a polynomial strictly between two numbers, rising."""
    scale = float(np.abs(coefficients).max())
    if scale == 0:
        return []
    # A last power with next to no share has its root far outside.
    kept = polynomial.polytrim(coefficients, 1e-14 * scale)
    roots = polynomial.polyroots(kept)
    real = roots.real[np.abs(roots.imag) <= 1e-7 * np.maximum(1.0, np.abs(roots))]
    return sorted(root for root in real.tolist() if low < root < high)
