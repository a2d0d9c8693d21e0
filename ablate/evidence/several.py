"""Claims over several variants: one against each of some others, or each of some against another.

"X is the best of these" says that X is better than a, and than b, and than c. It is supported only
where each part is, so the parts need no correction among each other: where the whole is false, one
part is, and that one is wrongly supported no more often than its own level allows (the
intersection-union test: Berger 1982, Technometrics 24, 295-300). To refute it, one part is enough,
so a wrong one has as many chances as there are parts, and those share the rate (Bonferroni).

With L the level of the claim and k the number of parts, a part's word is that of its kind's table
in decide.py:

==============================================  ======================  ==========================
parts                                           word                    why
==============================================  ======================  ==========================
some part refuted at 1 - (1 - L) / k            refuted                 of the first such part
all supported at L                              supported
all for the claim at L, and some true but       true but negligible
negligible at 1 - (1 - L) / k
all for the claim at L, otherwise               supported in direction
otherwise, where what is open is all below the  inconclusive            below the margin either way
margin either way
otherwise                                       inconclusive
==============================================  ======================  ==========================

("For the claim" is supported, supported in direction or true but negligible.) A best variant whose
lead over the second is negligible is so called however far the others are.

At a fixed budget (`within:`, see within.py) a part is also settled for the claim where its variant
is surely over the budget: it is not among those that are compared. The null hypothesis of that part
is then rejected in either of two ways, each at half of 1 - L or less, so the whole keeps 1 - L. A
part refutes only where its variant is surely within. The variant that the claim is about must be
surely within for anything but "refuted", and is refuted where it is surely over. All budgets are
judged at 1 - (1 - L) / k; where that of the claim's own variant is no arithmetic, k is one more.
Simulated in tests/test_several.py: with the truth at the margin, or a budget at its limit, at most
5 % of claims are wrongly supported.
"""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from ablate.evidence import decide
from ablate.evidence.decide import Decision
from ablate.evidence.within import State, state
from ablate.suite.claims import ALL, Claim, Equivalence, Order, RequirementClaim

if TYPE_CHECKING:
    from ablate.evidence.collect import RowEvidence
    from ablate.evidence.hypotheses import Hypothesis

_FOR = ("supported", "supported in direction", "true but negligible")
_DIGITS = 12.0  # of the smallest error rate that is told from none
_HALVINGS = 36  # until the digits are good to a ten-billionth
_EITHER_WAY = "below the margin either way"
OVER = "over the budget"


def spelled_out(claim: Claim, variants: Iterable[str]) -> Claim:
    """Return a claim with the variants that its `all` stands for; any other claim as it is.

    Args:
        claim: of any kind.
        variants: of the comparison, in its order.
    """
    if isinstance(claim, RequirementClaim) and claim.of.strip() == ALL:
        every = ", ".join(dict.fromkeys(variants))
        return claim.model_copy(update={"of": every}) if every else claim
    if not isinstance(claim, Order | Equivalence) or [ALL] not in claim.sides():
        return claim
    known = list(dict.fromkeys(variants))
    if ALL in known:  # a variant's own name
        return claim
    one = claim.variants()
    rest = ", ".join(name for name in known if name not in one)
    left, right = (rest if side == [ALL] else ", ".join(side) for side in claim.sides())
    sign = next(sign for sign in "<>=" if sign in claim.expect)
    return claim.model_copy(update={"expect": f"{left} {sign} {right}"}) if rest else claim


def about(claim: Claim) -> int:
    """Return which side of a claim's pairs is the variant that it is about: 0 ours, 1 theirs."""
    if isinstance(claim, Order | Equivalence):
        ours, theirs = claim.sides()
        return int((len(ours) > 1 or ours == [ALL]) and len(theirs) == 1 and theirs != [ALL])
    return 0


def left(group: Sequence["Hypothesis"], level: float) -> list["Hypothesis"]:
    """Return the parts whose variant is not surely over the budget, at a level of the whole."""
    strict = adjusted(group, level)
    return [one for one in group if state(one.budgets[1 - one.about], strict) != "over"]


def adjusted(group: Sequence["Hypothesis"], level: float) -> float:
    """Return the level at which one part alone may settle the whole."""
    uncertain = any(not budget.is_exact for budget in group[0].budgets[group[0].about])
    return 1 - (1 - level) / (len(group) + uncertain)


def decision(group: Sequence["Hypothesis"], level: float) -> Decision:
    """Decide a claim over several variants.

    Args:
        group: the parts of the claim, each with an estimate or without; what lacks is open.
        level: of the whole, 0 to 1.
    """
    strict = adjusted(group, level)
    subject = group[0].budgets[group[0].about]
    if state(subject, strict) == "over":
        return Decision("refuted", OVER)
    for one in group:
        found = part(one, strict)
        if found.word == "refuted" and state(one.budgets[1 - one.about], strict) == "within":
            return found
    rest = left(group, level)
    words = [part(one, level) for one in rest]
    still = [found for found in words if found.word not in _FOR]
    if still or not rest or state(subject, strict) != "within":
        small = bool(still) and all(found.why == _EITHER_WAY for found in still)
        return Decision("inconclusive", _EITHER_WAY if small else "")
    if all(found.word == "supported" for found in words):
        return Decision("supported")
    if any(part(one, strict).word == "true but negligible" for one in rest):
        return Decision("true but negligible")
    return Decision("supported in direction")


def is_uncertain(group: Sequence["Hypothesis"]) -> bool:
    """Return whether a claim needs statistics: whether it may be wrong by chance.

    Arithmetic may not, and a band of peaks of memory has no chance that could be told.
    """
    budgets = [it for one in group for side in one.budgets for it in side]
    known = [it.estimate for it in budgets if it.unit == "s"]
    return bool(known) or any(not one.is_exact and one.source != "peak" for one in group)


def states(one: "Hypothesis", level: float) -> set[State]:
    """Return whether the two rows of a hypothesis are within their budgets."""
    return {state(budgets, level) for budgets in one.budgets}


def state_of(one: "Hypothesis", row: "RowEvidence", level: float) -> State:
    """Return whether a row of a hypothesis is within its budgets."""
    return state(one.budgets[0 if one.rows[0] is row else 1], level)


def part(one: "Hypothesis", level: float) -> Decision:
    """Decide one part by itself."""
    if one.estimate is None or one.noisy or one.lacks is not None:
        return Decision("inconclusive")
    return one.decide(*one.estimate.bounds(level, one.sides))


def decided_at(group: Sequence["Hypothesis"]) -> float:
    """Return the smallest error rate at which a claim over several variants is decided.

    A single part without a budget has that of `decide.decided_at`; 1.0 where no rate decides.
    """
    one = group[0]
    if len(group) == 1 and not any(one.budgets):
        if one.estimate is None or one.noisy:
            return 1.0
        return decide.decided_at(one.estimate, one.decide, one.sides)

    def undecided(digits: float) -> bool:
        return decision(group, 1 - 10**-digits).word == "inconclusive"

    smallest = 1e-9  # digits: a rate of nearly 1, where intervals are points
    if undecided(smallest):
        return 1.0
    if not undecided(_DIGITS):
        return 0.0
    low, high = smallest, _DIGITS
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if undecided(middle) else (middle, high)
    return float(10**-low)  # of the two, the rate that decides
