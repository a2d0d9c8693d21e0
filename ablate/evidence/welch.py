"""Welch's interval of a difference of two means, and how small a difference could be seen.

The unit of replication is one training run. The variances of the two groups may differ, and the
groups are not paired: two variants of the same seed share the order of the data, which makes their
results at most positively correlated, and then this interval is too wide rather than too narrow.

Welch 1947, Biometrika 34, 28-35. With three runs a side the interval covers the true difference in
about 96 % of cases; a bootstrap over the same runs covers it in 79 %.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    Floats = np.ndarray[Any, np.dtype[np.float64]]

LEVEL = 0.95
POWER = 0.8
MOST_SEEDS = 100_000  # Past this many runs a side, a number says no more than "out of reach".

_PARTS = 32  # of a chi-squared distribution; the power is then good to 0.1 %
_ALIKE = 8  # half-widths next to each other in size that one number stands for


@dataclass(frozen=True)
class Interval:
    """A difference of means with the interval that covers the true one at `level`."""

    mean: float
    low: float
    high: float
    standard_error: float
    degrees_of_freedom: float
    level: float = LEVEL

    @property
    def half_width(self) -> float:
        return (self.high - self.low) / 2


def mean(values: Sequence[float]) -> float:
    """Return the mean, rounded once, so that its bytes do not depend on the order of the sum."""
    return math.fsum(values) / len(values)


def deviation(values: Sequence[float]) -> float | None:
    """Return the standard deviation of a sample (n - 1); None below two values."""
    if len(values) < 2:
        return None
    if min(values) == max(values):
        return 0.0  # exactly; their mean may be a rounding away from them
    centre = mean(values)
    return math.hypot(*(value - centre for value in values)) / math.sqrt(len(values) - 1)


def interval(
    ours: Sequence[float], theirs: Sequence[float], level: float = LEVEL
) -> Interval | None:
    """Return the interval of mean(ours) - mean(theirs).

    None where there is no spread to build one from: fewer than two runs on a side, or not the
    slightest difference between the runs of either side.
    """
    from scipy.special import stdtrit

    spread_ours, spread_theirs = deviation(ours), deviation(theirs)
    if spread_ours is None or spread_theirs is None:
        return None
    error, freedom = satterthwaite(spread_ours, len(ours), spread_theirs, len(theirs))
    if error == 0:
        return None
    centre = mean(ours) - mean(theirs)
    reach = float(stdtrit(freedom, 0.5 + level / 2)) * error
    return Interval(centre, centre - reach, centre + reach, error, freedom, level)


def detectable(
    spread_ours: float,
    n_ours: int,
    spread_theirs: float,
    n_theirs: int,
    power: float = POWER,
    *,
    level: float = LEVEL,
    estimated: bool = False,
) -> float:
    """Return the smallest true difference whose interval excludes zero with the given power.

    Args:
        spread_ours, spread_theirs: standard deviations over runs, not both zero.
        n_ours, n_theirs: runs a side, at least two.
        power: probability of seeing it.
        level: of the interval; above `LEVEL` where it is adjusted for several claims.
        estimated: whether the spreads are those that as many runs happened to show. The true ones
            may be larger, and the power is then averaged over how large. False: they are known.
    """
    error, freedom = satterthwaite(spread_ours, n_ours, spread_theirs, n_theirs)
    reaches = _reaches(spread_ours, n_ours, spread_theirs, n_theirs, level)
    scales = _scales(freedom) if estimated else None

    def enough(shift: float) -> bool:
        return _power(shift if scales is None else shift / scales, reaches) >= power

    far = 1.0
    while not enough(far):
        far *= 2
    return error * bisect(enough, 0.0, far)


def seeds_to_detect(
    difference: float,
    spread_ours: float,
    spread_theirs: float,
    power: float = POWER,
    *,
    level: float = LEVEL,
) -> int | None:
    """Return how many runs a side see a true difference of this size with the given power.

    None where more than `MOST_SEEDS` were needed, and where nothing varies.
    """

    def enough(runs: int) -> bool:
        error, _ = satterthwaite(spread_ours, runs, spread_theirs, runs)
        reaches = _reaches(spread_ours, runs, spread_theirs, runs, level)
        return _power(abs(difference) / error, reaches) >= power

    if spread_ours == 0 == spread_theirs or difference == 0:
        return None
    return fewest(enough)


def fewest(enough: Callable[[int], bool]) -> int | None:
    """Return the fewest runs, two or more, that are enough; None past `MOST_SEEDS`.

    Args:
        enough: monotone in the number of runs.
    """
    few, many = 1, 2  # `few` is never enough: one run has no spread
    while not enough(many):
        if many > MOST_SEEDS:
            return None
        few, many = many, many * 2
    while many - few > 1:
        middle = (few + many) // 2
        few, many = (few, middle) if enough(middle) else (middle, many)
    return many


def satterthwaite(
    spread_ours: float, n_ours: int, spread_theirs: float, n_theirs: int
) -> tuple[float, float]:
    """Return the standard error of the difference and its Welch-Satterthwaite degrees of freedom.

    The two parts are scaled by their sum before they are squared: spreads as small as 1e-90 would
    otherwise vanish. Without any spread the error is 0 and the degrees of freedom are nan.
    """
    ours, theirs = spread_ours / math.sqrt(n_ours), spread_theirs / math.sqrt(n_theirs)
    error = math.hypot(ours, theirs)
    if error == 0:
        return 0.0, math.nan
    share_ours, share_theirs = (ours / error) ** 2, (theirs / error) ** 2
    return error, 1 / (share_ours**2 / (n_ours - 1) + share_theirs**2 / (n_theirs - 1))


def bisect(holds: Callable[[float], bool], low: float, high: float) -> float:
    """Return the least number in [low, high] for which a monotone condition holds."""
    for _ in range(80):  # halves the interval below the precision of a double
        middle = (low + high) / 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high


def _reaches(
    spread_ours: float, n_ours: int, spread_theirs: float, n_theirs: int, level: float
) -> "Floats":
    """Return half-widths that intervals may come to have, in true standard errors, equally likely.

    Runs estimate their spreads, and with them the degrees of freedom: with three runs a side these
    lie anywhere from 2 to 4. A noncentral t with the 4 of the true spreads promises a power of 80 %
    where it is 70 %. So the two variances are averaged over, at the middles of equally likely
    parts of their chi-squared distributions.
    """
    import numpy as np
    from scipy.special import chdtri, stdtrit

    true_error, _ = satterthwaite(spread_ours, n_ours, spread_theirs, n_theirs)
    middles = (np.arange(_PARTS) + 0.5) / _PARTS
    ours, theirs = (
        (spread / true_error) ** 2 / n * chdtri(n - 1, middles) / (n - 1)
        for spread, n in ((spread_ours, n_ours), (spread_theirs, n_theirs))
    )
    ours, theirs = ours[:, None], theirs[None, :]
    square = ours + theirs
    freedom = square**2 / (ours**2 / (n_ours - 1) + theirs**2 / (n_theirs - 1))
    reaches = np.sort((stdtrit(freedom, 0.5 + level / 2) * np.sqrt(square)).ravel())
    grouped: Floats = reaches.reshape(-1, _ALIKE).mean(axis=1)
    return grouped


def _scales(freedom: float) -> "Floats":
    """Return how many times too small an estimated standard error may be, equally likely."""
    import numpy as np
    from scipy.special import chdtri

    middles = (np.arange(_PARTS) + 0.5) / _PARTS
    scales: Floats = np.sqrt(freedom / chdtri(freedom, middles))
    return scales[:, None]


def _power(shift: "float | Floats", reaches: "Floats") -> float:
    """Return how likely an interval of these half-widths excludes zero, all in standard errors.

    Args:
        shift: the true difference, or an equally likely one a row, (rows, 1).
        reaches: half-widths, equally likely.
    """
    from scipy.special import ndtr

    return float((ndtr(shift - reaches) + ndtr(-shift - reaches)).mean())
