"""The mark that an interval and a margin give to a row.

A mark says what the number did, not whether that is good: a lower error and a lower accuracy both
read "lower". "No practical difference" is a finding that the interval must show; a difference that
was merely not seen is "cannot tell".
"""

from dataclasses import dataclass
from typing import Literal

from ablate.evidence.welch import Interval


@dataclass(frozen=True)
class Effect:
    """A symbol and the words that stand beside it, so that neither is needed to read the other."""

    symbol: str
    words: str
    key: Literal["higher", "lower", "same", "unknown"]


HIGHER = Effect("▲", "higher", "higher")
LOWER = Effect("▼", "lower", "lower")
SAME = Effect("≈", "no practical difference", "same")
UNKNOWN = Effect("?", "cannot tell", "unknown")


def effect(interval: Interval | None, margin: float) -> Effect:
    """Return the mark of a difference.

    Args:
        interval: of the difference; None where there are too few runs for one.
        margin: the smallest difference that matters, not negative, in the metric's unit.
    """
    return UNKNOWN if interval is None else effect_of(interval.low, interval.high, margin)


def effect_of(low: float, high: float, margin: float) -> Effect:
    """Return the mark of a difference that lies between two bounds; of an exact one they agree."""
    if low > margin:
        return HIGHER
    if high < -margin:
        return LOWER
    if -margin < low and high < margin:
        return SAME
    return UNKNOWN


def gain(effect: Effect, direction: Literal["higher", "lower"]) -> Literal["better", "worse", ""]:
    """Return whether an effect is welcome, given which direction of the metric is."""
    if effect.key not in ("higher", "lower"):
        return ""
    return "better" if effect.key == direction else "worse"
