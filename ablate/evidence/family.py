"""Several claims at once: the level at which each one's interval is drawn and decided.

A family is the claims that one comparison makes at one match (or the few that a suite declares
primary). With ten claims judged at 95 % each, one in three families would hold a wrong verdict; by
Holm's step-down procedure (Holm 1979, Scand. J. Statist. 6, 65-70) at most one in twenty does, and
it decides whatever Bonferroni's correction decides, and more.
"""

from collections.abc import Sequence

ALPHA = 0.05  # share of families with a wrong verdict


def holm(ps: Sequence[float], alpha: float = ALPHA) -> list[float]:
    """Return the level of each member of a family, in the order given.

    All members start at 1 - alpha / k. Those that are decided at their level keep it; the rest are
    then a family of their own, without those, until a round decides nothing more. What is decided
    is the same as by Holm's steps of one member at a time. But members that are decided in the same
    round share its level, and it is the strictest of their steps: a verdict also speaks of sizes
    ("by more than the margin"), which the steps of one at a time would not guard in a family of
    four or more.

    Args:
        ps: the smallest error rate at which each member is decided (`decide.decided_at`); 1.0 for
            a member of which nothing is known yet.
        alpha: share of families in which something wrong may be said.

    Returns:
        Levels between 0 and 1: member i is decided exactly where ps[i] <= 1 - level; those that
        are not all have the level of the round that decided nothing.
    """
    rates = [0.0] * len(ps)
    rest = list(range(len(ps)))
    while rest:
        rate = alpha / len(rest)
        for member in rest:
            rates[member] = rate
        left = [member for member in rest if ps[member] > rate]
        if len(left) == len(rest):
            break
        rest = left
    return [1 - rate for rate in rates]
