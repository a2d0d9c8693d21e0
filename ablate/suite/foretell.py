"""Which verdicts the seeds of a plan are too few for, said before they are paid for.

A verdict on what is trained needs an interval, which takes 2 seeds a row, and to be cited it needs
5. Whether so many decide hangs on how much runs vary: where a comparison says that (`spread`), the
seeds are told that would decide a claim in 8 of 10 cases. An order or a question is planned for a
true difference of twice its margin, an equivalence for none at all.
"""

import math
from collections.abc import Sequence

from ablate import metrics
from ablate.evidence import decide, power, welch
from ablate.evidence.decide import Estimate
from ablate.study import ComparisonAsked, Study
from ablate.suite.claims import ALL, Claim, Equivalence, Order, Question
from ablate.suite.preflight import Checked
from ablate.suite.schema import OwnProfile

NEEDED = 2  # seeds a row for any verdict
CITABLE = 5  # for one that may be cited

_PILOT = 100_000  # runs of a pilot that knows the spread as well as if it were told


def undecided(study: Study, item: Checked, comparison: ComparisonAsked) -> str | None:
    """Say which claims of a comparison its seeds will not decide; None where that is not known.

    Args:
        study: that is planned.
        item: the comparison as the suite has it.
        comparison: the same as it is asked.
    """
    claims = _trained(item, comparison)
    if not claims:
        return None
    fewest = min(_seeds(comparison, claim) for claim in claims)
    if fewest < NEEDED:
        alone = [claim for claim in claims if _seeds(comparison, claim) < NEEDED]
        return (
            f"{comparison.id}: with 1 seed a row no verdict is possible on {_notes(alone)}: a "
            f"verdict needs at least {NEEDED} seeds a row, one to be cited {CITABLE}"
        )
    own = item.comparison.profiles.get(study.profile, OwnProfile()).spread
    spread = item.comparison.spread if own is None else own
    if spread is None or comparison.paired:
        return None  # how much differences vary by seed, runs do not tell
    short: dict[tuple[float, int | None], list[Claim]] = {}
    for claim in claims:
        margin = getattr(claim, "margin", None)
        if claim.metric != comparison.measure.name or not isinstance(margin, float) or margin == 0:
            continue
        wanted = seeds_wanted(claim, margin, spread)
        if wanted is None or wanted > _seeds(comparison, claim):
            short.setdefault((margin, wanted), []).append(claim)
    if not short:
        return None
    fewest = min(_seeds(comparison, claim) for them in short.values() for claim in them)
    unit = "points" if comparison.measure.unit == "%" else comparison.measure.unit
    seen = welch.detectable(spread, fewest, spread, fewest)
    needed = [
        f"{_notes(them)} (margin {margin:g}) would need "
        + (f"about {wanted}" if wanted is not None else f"more than {welch.MOST_SEEDS:,}")
        for (margin, wanted), them in short.items()
    ]
    return (
        f"{comparison.id}: with {fewest} seeds a row, differences below {seen:.2g} {unit} will not "
        f"be told, where runs vary by {spread:g} (sd): {'; '.join(needed)}"
    )


def too_few(study: Study, checked: Sequence[Checked]) -> list[str]:
    """Return what speaks against verdicts that a strict reader wants, a sentence each."""
    said = []
    for item, comparison in zip(checked, study.comparisons, strict=True):
        if open_claims := undecided(study, item, comparison):
            said.append(open_claims)
        few = [c for c in _trained(item, comparison) if NEEDED <= _seeds(comparison, c) < CITABLE]
        if few:
            fewest = min(_seeds(comparison, claim) for claim in few)
            said.append(
                f"{comparison.id}: with {fewest} seeds a row verdicts on {_notes(few)} are "
                f"screening: one to be cited needs {CITABLE}"
            )
    return said


def seeds_wanted(claim: Claim, margin: float, spread: float) -> int | None:
    """Return how many seeds a row decide a claim in 8 of 10 cases, where runs vary by so much.

    Args:
        claim: an order, a question or an equivalence; 0 is returned for others.
        margin: of the claim, above zero, in the unit of the spread.
        spread: standard deviation over seeds, known, of either row.

    Returns:
        None where `welch.MOST_SEEDS` would not do.
    """
    if isinstance(claim, Order | Question):
        return welch.seeds_to_detect(2 * margin, spread, spread)
    if not isinstance(claim, Equivalence):
        return 0
    error = spread * math.sqrt(2 / _PILOT)
    return power.seeds_to_decide(
        Estimate(0.0, error, 2.0 * (_PILOT - 1)),
        _PILOT,
        lambda low, high: decide.equivalence(low, high, margin),
        sides=1,
    )


def _trained(item: Checked, comparison: ComparisonAsked) -> list[Claim]:
    """Return the claims of a comparison about what trials or their weights measure."""
    if not any(row.seeds for row in comparison.rows):
        return []
    measured = {*metrics.of_kind("trial"), *metrics.of_kind("reading")}
    claims = item.comparison.claims
    return [claim for claim in claims if claim.metric.partition(".")[0] in measured]


def _seeds(comparison: ComparisonAsked, claim: Claim) -> int:
    """Return the seeds of the row with fewest among those that a claim is about."""
    names = claim.variants()
    about = ALL in getattr(claim, "expect", "").replace(",", " ").split()
    seeds = [len(row.seeds) for row in comparison.rows if about or row.variant in names]
    return min(seeds, default=CITABLE)


def _notes(claims: Sequence[Claim]) -> str:
    notes = list(dict.fromkeys(claim.note for claim in claims))
    return notes[0] if len(notes) == 1 else f"{', '.join(notes[:-1])} and {notes[-1]}"
