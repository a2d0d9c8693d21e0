"""Decisions on numbers: what an interval says of a claim.

A decider takes the two bounds of an interval, on a scale on which the claim says "positive" or
names the numbers it wants, and returns one word of the vocabulary of verdicts. Its docstring is its
decision table. A bound of arithmetic is the value itself, twice, and is never inconclusive.

Deciders are monotone: whatever lies inside an interval that was decided is decided too, and the
same way. The one exception is a refinement: "supported in direction" becomes "supported" or "true
but negligible" as the interval narrows. So there is a smallest error rate at which a decision can
be had, and `decided_at` finds it: the p value of the verdict, whatever its kind.

A difference is Welch's (see welch.py). Runs are paired only where a suite says so beforehand.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from ablate.evidence import welch

Word = Literal[
    "supported", "supported in direction", "true but negligible", "refuted", "inconclusive"
]
# 2: each bound may be wrong half as often as the level allows. 1: each may as often as it allows,
# as two one-sided tests take them (Schuirmann 1987, J. Pharmacokinet. Biopharm. 15, 657-680), so
# that at 95 % the bounds are those of a 90 % interval.
Sides = Literal[1, 2]


@dataclass(frozen=True)
class Decision:
    """A word, and which of its cases it is."""

    word: Word
    why: str = ""


@dataclass(frozen=True)
class Estimate:
    """A number and how well it is known, on the scale on which a claim is judged.

    With an error of 0 it is arithmetic: exact at every level.
    """

    value: float  # a difference in the metric's unit, or the logarithm of a ratio
    error: float = 0.0  # standard error
    freedom: float = math.inf  # degrees of freedom of the error

    def bounds(self, level: float = welch.LEVEL, sides: Sides = 2) -> tuple[float, float]:
        """Return the bounds that hold at a level; with `sides` 1 each for itself (see `Sides`)."""
        if self.error == 0:
            return self.value, self.value
        return self.within(_quantile(self.freedom, (1 - level) / sides))

    def within(self, reach: float) -> tuple[float, float]:
        """Return the bounds that lie so many standard errors away."""
        return self.value - reach * self.error, self.value + reach * self.error


def difference(ours: Sequence[float], theirs: Sequence[float]) -> Estimate | None:
    """Return mean(ours) - mean(theirs) by Welch.

    None with fewer than two runs a side, and where neither side varies at all: runs that all came
    out the same do not tell how far another would come out.
    """
    spread_ours, spread_theirs = welch.deviation(ours), welch.deviation(theirs)
    if spread_ours is None or spread_theirs is None:
        return None
    value = welch.mean(ours) - welch.mean(theirs)
    return _estimate(value, spread_ours, len(ours), spread_theirs, len(theirs))


def paired(ours: Sequence[float], theirs: Sequence[float]) -> Estimate | None:
    """Return the mean of ours - theirs, run by run.

    None with fewer than two pairs, and where all pairs differ by the same.

    Raises:
        ValueError: the sides are not of one length.
    """
    gaps = [mine - other for mine, other in zip(ours, theirs, strict=True)]
    spread = welch.deviation(gaps)
    if not spread:
        return None
    return Estimate(welch.mean(gaps), spread / math.sqrt(len(gaps)), len(gaps) - 1)


def log_ratio(ours: Sequence[float], theirs: Sequence[float]) -> Estimate | None:
    """Return log(mean(ours) / mean(theirs)), with its error by the delta method.

    It is the ratio of the means, since these are what a table shows; the mean of the logarithms
    would be another number. The error is Welch's of the two coefficients of variation. With runs
    that vary by up to 20 % of their mean, five a side, its 95 % interval covers 94 to 96 %.

    None with fewer than two runs a side, where neither side varies at all, and where a mean is not
    above zero.
    """
    spread_ours, spread_theirs = welch.deviation(ours), welch.deviation(theirs)
    if spread_ours is None or spread_theirs is None:
        return None
    mine, other = welch.mean(ours), welch.mean(theirs)
    if not (mine > 0 and other > 0):
        return None
    value = math.log(mine) - math.log(other)
    return _estimate(value, spread_ours / mine, len(ours), spread_theirs / other, len(theirs))


def paired_log_ratio(ours: Sequence[float], theirs: Sequence[float]) -> Estimate | None:
    """Return log(mean(ours) / mean(theirs)) as `log_ratio` does, of runs that are paired.

    The error is of what each pair is off, each side as a share of its mean.

    None with fewer than two pairs, where all pairs are off by the same, and where a mean is not
    above zero.

    Raises:
        ValueError: the sides are not of one length.
    """
    pairs = list(zip(ours, theirs, strict=True))
    if not pairs:
        return None
    mine, other = welch.mean(ours), welch.mean(theirs)
    if not (mine > 0 and other > 0):
        return None
    spread = welch.deviation([one / mine - against / other for one, against in pairs])
    if not spread:
        return None
    value = math.log(mine) - math.log(other)
    return Estimate(value, spread / math.sqrt(len(pairs)), len(pairs) - 1)


def order(low: float, high: float, margin: float) -> Decision:
    """Decide "ours is above theirs", a claim that states no size.

    ====================================  ======================  ==============================
    bounds of ours - theirs               word                    why
    ====================================  ======================  ==============================
    margin < low                          supported
    0 < low, high <= margin               true but negligible
    0 < low, otherwise                    supported in direction
    high < 0                              refuted                 opposite
    low = high = 0 (arithmetic)           refuted                 equal
    -margin <= low <= 0 <= high <= margin inconclusive            below the margin either way
    otherwise                             inconclusive
    ====================================  ======================  ==============================

    A difference that is known to be too small to matter, but not to which side it falls, leaves
    such a claim open: it said to which side. It does not refute it, since a claim that is true by
    less than the margin would then be called wrong. So wherever the interval holds the truth, a
    true claim is never refuted and a false one never supported.

    Args:
        low, high: bounds of ours - theirs, where the claim says that ours is above.
        margin: the smallest difference that matters, not negative.
    """
    if low > 0:
        if low > margin:
            return Decision("supported")
        return Decision("true but negligible" if high <= margin else "supported in direction")
    if high < 0:
        return Decision("refuted", "opposite")
    if low == high == 0:
        return Decision("refuted", "equal")
    if -margin <= low and high <= margin:
        return Decision("inconclusive", "below the margin either way")
    return Decision("inconclusive")


def equivalence(low: float, high: float, margin: float) -> Decision:
    """Decide "the two differ by no more than the margin".

    ================================  ============  =========
    bounds of the difference          word          why
    ================================  ============  =========
    -margin <= low, high <= margin    supported
    margin < low or high < -margin    refuted       different
    otherwise                         inconclusive
    ================================  ============  =========

    Bounds with `sides` 1 make this two one-sided tests at the level: at 95 % an interval of 90 %.
    Supported wrongly, where the true difference is the margin, it is in at most 5 % of cases, and
    refuted wrongly too.

    Args:
        low, high: bounds of the difference.
        margin: the largest difference that does not matter, not negative.
    """
    found = about(low, high, -margin, margin)
    return Decision("refuted", "different") if found.word == "refuted" else found


def at_least(low: float, high: float, wanted: float) -> Decision:
    """Decide "it is so much or more", a claim that states a number.

    ==============  ============  ====================
    bounds          word          why
    ==============  ============  ====================
    wanted <= low   supported
    high < wanted   refuted       smaller than claimed
    otherwise       inconclusive
    ==============  ============  ====================
    """
    return about(low, high, wanted, math.inf)


def at_most(low: float, high: float, wanted: float) -> Decision:
    """Decide "it is so much or less", a claim that states a number.

    ==============  ============  ===================
    bounds          word          why
    ==============  ============  ===================
    high <= wanted  supported
    wanted < low    refuted       larger than claimed
    otherwise       inconclusive
    ==============  ============  ===================
    """
    return about(low, high, -math.inf, wanted)


def about(low: float, high: float, wanted_low: float, wanted_high: float) -> Decision:
    """Decide "it is about so much", within a band, or "it lies in this range".

    ===============================  ============  ====================
    bounds                           word          why
    ===============================  ============  ====================
    wanted_low <= low,
    high <= wanted_high              supported
    high < wanted_low                refuted       smaller than claimed
    wanted_high < low                refuted       larger than claimed
    otherwise                        inconclusive
    ===============================  ============  ====================
    """
    if high < wanted_low:
        return Decision("refuted", "smaller than claimed")
    if low > wanted_high:
        return Decision("refuted", "larger than claimed")
    if wanted_low <= low and high <= wanted_high:
        return Decision("supported")
    return Decision("inconclusive")


def trend(
    steps: Sequence[tuple[float, float]], ends: tuple[float, float], margin: float
) -> Decision:
    """Decide "it rises along the sweep": it does from end to end, and never falls on the way.

    =====================================  ============================  =================
    bounds                                 word                          why
    =====================================  ============================  =================
    of some step: high < -margin           refuted                       falls on the way
    of the ends: refuted by `order`        refuted                       as there
    of some step: low < -margin            inconclusive
    otherwise                              as `order` says of the ends
    =====================================  ============================  =================

    A step may stay level, or fall by no more than the margin.

    Args:
        steps: bounds of the change from each value of the sweep to the next. One of them is enough
            to refute, so their level should be adjusted for their number.
        ends: bounds of the change from the first value to the last.
        margin: the smallest change that matters, not negative.
    """
    if any(high < -margin for _, high in steps):
        return Decision("refuted", "falls on the way")
    found = order(*ends, margin)
    if found.word != "refuted" and any(low < -margin for low, _ in steps):
        return Decision("inconclusive")
    return found


def decided_at(
    estimate: Estimate, decide: Callable[[float, float], Decision], sides: Sides = 2
) -> float:
    """Return the smallest error rate at which an estimate is decided: the p value of its verdict.

    Args:
        estimate: on the scale of the decider.
        decide: a decider of bounds, monotone.
        sides: of the bounds that it is given.

    Returns:
        1.0 where no rate gives a decision, 0.0 where the estimate is exact and decided.
    """

    def undecided(reach: float) -> bool:
        return decide(*estimate.within(reach)).word == "inconclusive"

    if undecided(0.0):
        return 1.0
    if estimate.error == 0:
        return 0.0
    far = 1.0
    while not undecided(far) and far < math.inf:
        far *= 2
    return min(1.0, sides * _tail(estimate.freedom, welch.bisect(undecided, 0.0, far)))


def _estimate(
    value: float, spread_ours: float, n_ours: int, spread_theirs: float, n_theirs: int
) -> Estimate | None:
    error, freedom = welch.satterthwaite(spread_ours, n_ours, spread_theirs, n_theirs)
    return Estimate(value, error, freedom) if error > 0 else None


def _quantile(freedom: float, tail: float) -> float:
    """Return what Student's t exceeds with a probability, the normal's for infinite freedom."""
    from scipy.special import ndtri, stdtrit

    return -float(ndtri(tail) if math.isinf(freedom) else stdtrit(freedom, tail))


def _tail(freedom: float, limit: float) -> float:
    """Return with which probability Student's t exceeds a limit."""
    from scipy.special import ndtr, stdtr

    return float(ndtr(-limit) if math.isinf(freedom) else stdtr(freedom, -limit))
