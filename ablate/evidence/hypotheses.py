"""From a claim to what is to be decided: one hypothesis for each match and setting it is about.

A claim without a `match` is about every match that its comparison has, each for itself, and one
about latency without an `at` about every setting that was timed. Only a budget that a match holds
equal is not asked at that match: it would say nothing.

===========  ==========================  ==================================  =====================
kind         of a fact, or trained       of latency                          decided by
===========  ==========================  ==================================  =====================
order        difference of means         log of the ratio                    `decide.order`
equivalence  difference of means         log of the ratio                    `decide.equivalence`
ratio        log of the ratio of means   log of the ratio                    `decide.about`
range        mean                        not tested                          `decide.about`
equality     difference, seed by seed    not tested                          equal or not
count        value of every seed         not tested                          equal or not
question     difference, every pair      log of the ratio, every pair        apart, or equivalent
===========  ==========================  ==================================  =====================

Peaks of memory are decided like facts, by bands instead of numbers (see memory.py). Of an order or
an equivalence of several variants there is a hypothesis for every two of them (several.py), and
`within` gives each of them its budgets (within.py).

Requirements are judged by requirements.py; a trend, whatever is swept by `over`, and what two
networks compute, by sweeps.py, but a trend of times along batches by batches.py.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from itertools import combinations, product
from typing import Any, Literal

from ablate.evidence import (
    blocks,
    decide,
    memory,
    paired,
    power,
    sampling,
    saving,
    several,
    sources,
    welch,
    within,
)
from ablate.evidence.collect import ComparisonEvidence, RowEvidence
from ablate.evidence.decide import Decision, Estimate, Sides
from ablate.evidence.latency import Measured
from ablate.evidence.memory import Peak
from ablate.evidence.sources import Lacks, Values
from ablate.evidence.spelling import MATCHES, listed, variant_name
from ablate.evidence.within import Budget
from ablate.records import canonical
from ablate.suite.claims import (
    FUNCTION,
    RESULT,
    Claim,
    Count,
    Equality,
    Equivalence,
    Order,
    Question,
    Range,
    RatioClaim,
    RequirementClaim,
    Trend,
)

Decider = Callable[[float, float], Decision]


@dataclass(frozen=True)
class Hypothesis:
    """One thing to decide, on rows that hold the same equal and at one setting."""

    match: tuple[str, ...]  # what the rows hold equal; several where they give the same networks
    rows: tuple[RowEvidence, ...]  # ours and theirs, or the one
    setting: Measured | Peak | None  # of times, and of peaks of memory
    lacks: Lacks | None  # why there is nothing to decide; the rest then says little
    key: str = ""  # the same of two claims that ask the same
    source: sources.Kind = "arithmetic"
    scale: Literal["difference", "ratio", "value"] = "difference"
    estimate: Estimate | None = None  # ours - theirs, or log(ours / theirs); None: no interval
    decide: Decider = lambda low, high: Decision("inconclusive")
    sides: Sides = 2
    margin: float = 0.0  # in the unit; of latency a ratio - 1
    wanted: tuple[float, float] | None = None  # the numbers that the claim wants it between
    runs: tuple[int, ...] = ()  # seeds of each row, but of one without training; or processes
    means: tuple[float, ...] = ()  # of the rows
    title: str = ""
    unit: str = ""
    direction: Literal["higher", "lower", "none"] = "none"
    noisy: bool = False  # the A/A control came out above the margin
    by_seed: tuple[Mapping[int, float], ...] = ()  # values of each row that is trained
    # Standard error of the difference over test examples; None where nothing is said of others.
    test_error: float | None = None
    paired: bool = False  # of differences seed by seed; `runs` are then those of both rows
    left_out: int = 0  # seeds that only one of the rows has, where it is paired

    budgets: tuple[tuple[Budget, ...], tuple[Budget, ...]] = ((), ())  # of ours and of theirs
    about: int = 0  # which of the two a claim over several variants is about
    beyond: bool = False  # the estimate lies beyond what was measured: only a bound is known
    along: tuple[int, ...] = ()  # batches that `means` are of, of one row (batches.py)

    @property
    def is_exact(self) -> bool:
        return self.estimate is not None and self.estimate.error == 0 and self.source != "peak"

    @property
    def is_unbounded(self) -> bool:
        """Whether the runs bound nothing on a side, so that little is known of their spread."""
        if self.estimate is None:
            return False
        return any(map(math.isinf, self.estimate.bounds(welch.LEVEL, self.sides)))

    @property
    def planned(self) -> float | None:
        """The true value that further runs are planned for, on the estimate's scale.

        For two rows to be equivalent it is no difference at all, unless they were found further
        apart than that; then, and for one to have more, the effect that `power` plans for. None:
        what was estimated.
        """
        if self.estimate is None or self.wanted is not None or self.margin == 0:
            return None
        margin = math.log1p(self.margin) if self.scale == "ratio" else self.margin
        if self.sides == 1 and abs(self.estimate.value) < margin:
            return 0.0
        return power.effect(self.estimate, margin)


# A part of a verdict stands on one hypothesis; the answer to a question on one for every pair.
Group = tuple[Hypothesis, ...]


def of(comparison: ComparisonEvidence, claim: Claim, device: str) -> list[Group] | Lacks:
    """Return what a claim asks, a group for each part of its verdict.

    Args:
        comparison: the evidence of the claim's comparison.
        claim: of any kind but a requirement.
        device: that the study trains on.

    Raises:
        TypeError: the claim is a requirement, or of other networks than the rows'.
    """
    if claim.over or isinstance(claim, Trend) or claim.metric == FUNCTION:
        raise TypeError("what is of other networks than the rows' is judged by sweeps.py")
    if isinstance(claim, RequirementClaim):
        raise TypeError("requirements are judged by requirements.py")
    if claim.match == RESULT:
        return _same_result(comparison, claim)
    kind = sources.kind_of(comparison, claim.metric)
    if isinstance(kind, Lacks):
        return kind
    if claim.at and kind not in ("timed", "peak") and claim.metric != blocks.METRIC:
        why = "only latency and peak memory are measured at a setting; leave out `at`"
        return Lacks("not tested", why)
    if kind == "trained" and claim.device not in (None, device):
        return Lacks("not tested", f"trained on {device}, and the claim is about {claim.device}")
    about = several.about(claim)
    claim = several.spelled_out(claim, [row.asked.variant for row in comparison.rows])
    places = _places(comparison, claim)
    if isinstance(places, Lacks):
        return places
    groups = [group for match, rows in places for group in _groups(comparison, claim, match, rows)]
    return [_kept_to(comparison, claim, about, group) for group in groups]


def of_facts(
    comparison: ComparisonEvidence, claim: Claim, rows: tuple[RowEvidence, ...]
) -> Hypothesis:
    """Return what a claim asks of facts alone, of rows that hold nothing equal.

    A margin that is a share is of the last one of them.
    """
    return _untimed(replace(comparison, rows=rows[::-1]), claim, ("none",), rows)


def apart(low: float, high: float, margin: float) -> Decision:
    """Decide a question: which of the two has more, or that it makes no practical difference.

    ================================  ============  ==========
    bounds of ours - theirs           word          why
    ================================  ============  ==========
    0 < low                           supported     more
    high < 0                          supported     less
    -margin <= low, high <= margin    supported     equivalent
    otherwise                         inconclusive
    ================================  ============  ==========
    """
    if low > 0 or high < 0:
        return Decision("supported", "more" if low > 0 else "less")
    if (-margin <= low and high <= margin) or low == high == 0:
        return Decision("supported", "equivalent")
    return Decision("inconclusive")


def equal(low: float, high: float) -> Decision:
    """Decide "exactly the same".

    ==================  ============  =========
    bounds              word          why
    ==================  ============  =========
    low = high = 0      supported
    0 < low, high < 0   refuted       different
    otherwise           inconclusive
    ==================  ============  =========

    No interval shows that two numbers are exactly the same.
    """
    if low == high == 0:
        return Decision("supported")
    return Decision("refuted", "different") if low > 0 or high < 0 else Decision("inconclusive")


def _places(
    comparison: ComparisonEvidence, claim: Claim
) -> list[tuple[tuple[str, ...], tuple[RowEvidence, ...]]] | Lacks:
    """Return the rows that a claim is about, by what they hold equal."""
    names = claim.variants()
    known = {row.asked.variant for row in comparison.rows}
    if absent := [variant_name(name) for name in names if name not in known]:
        return Lacks("not tested", f"this study has no row of {listed(absent)}")
    matches: Iterable[str] = [claim.match] if claim.match else _matches(comparison, names)
    found: dict[tuple[int, ...], tuple[list[str], tuple[RowEvidence, ...]]] = {}
    for match in matches:
        rows = [_row(comparison, name, match) for name in names]
        there = tuple(row for row in rows if row is not None)
        if len(there) < len(rows):
            continue
        if claim.match is None and match == claim.metric.removesuffix(".block"):
            continue  # held equal
        found.setdefault(tuple(map(id, there)), ([], there))[0].append(match)
    if not found:
        what = MATCHES.get(claim.match or "none", claim.match)
        return Lacks("not tested", f"this study has no rows of {listed(_spelled(names))} at {what}")
    return [(_together(rows) or tuple(matches), rows) for matches, rows in found.values()]


def _together(rows: Sequence[RowEvidence]) -> tuple[str, ...]:
    """Return all that rows hold equal, also beside what was asked; () where it is not the same."""
    own = {tuple(row.asked.match) for row in rows if not row.is_reference}
    return own.pop() if len(own) == 1 else ()


def _matches(comparison: ComparisonEvidence, names: Sequence[str]) -> list[str]:
    """Return the matches of the variants' rows; a reference alone stands for the drop-in."""
    rows = [row for row in comparison.rows if row.asked.variant in names]
    own = {m for row in rows if not row.is_reference for m in row.asked.match}
    return [match for match in MATCHES if match in (own or {"none"})]


def _row(comparison: ComparisonEvidence, name: str, match: str) -> RowEvidence | None:
    """Return a variant's row under a match; a reference is the same under all."""
    rows = [row for row in comparison.rows if row.asked.variant == name]
    own = next((row for row in rows if match in row.asked.match), None)
    return own or next((row for row in rows if row.is_reference), None)


def _groups(
    comparison: ComparisonEvidence,
    claim: Claim,
    match: tuple[str, ...],
    rows: tuple[RowEvidence, ...],
) -> list[Group]:
    roots = {row.asked.reference or row.asked.variant for row in rows}
    if "none" not in match and len(roots) > 1:
        with_ = listed(_spelled(sorted(roots)))
        why = f"their budgets are matched with those of different rows, {with_}"
        return [(Hypothesis(match, rows, None, Lacks("not tested", why)),)]
    kind = sources.kind_of(comparison, claim.metric)
    if kind == "timed":
        return _timed(comparison, claim, match, rows)
    if kind == "peak":
        return _peaked(comparison, claim, match, rows)
    return [tuple(_untimed(comparison, claim, match, each) for each in _parts(claim, rows))]


def _parts(claim: Claim, rows: tuple[RowEvidence, ...]) -> list[tuple[RowEvidence, ...]]:
    """Return the rows of each hypothesis: every pair of a question, all that a claim names."""
    if isinstance(claim, Question):
        return [*combinations(rows, 2)]
    if isinstance(claim, Order | Equivalence):
        ours = len(claim.sides()[0])
        return [*product(rows[:ours], rows[ours:])]
    return [rows]


def _kept_to(comparison: ComparisonEvidence, claim: Claim, about: int, group: Group) -> Group:
    """Return the hypotheses of a claim with the budgets that it keeps to."""
    limits = claim.within if isinstance(claim, Order | Question) else {}
    if not limits:
        return tuple(replace(one, about=about) for one in group)
    rows = {id(row): row for one in group for row in one.rows}
    budgets = {key: within.of_row(comparison, row, limits) for key, row in rows.items()}
    if lacking := [found for found in budgets.values() if isinstance(found, Lacks)]:
        return (replace(group[0], lacks=lacking[0]),)
    known = {key: found for key, found in budgets.items() if not isinstance(found, Lacks)}
    return tuple(
        replace(one, about=about, budgets=(known[id(one.rows[0])], known[id(one.rows[1])]))
        if len(one.rows) == 2
        else one
        for one in group
    )


def _untimed(
    comparison: ComparisonEvidence,
    claim: Claim,
    match: tuple[str, ...],
    rows: tuple[RowEvidence, ...],
) -> Hypothesis:
    """Return the hypothesis on a fact, or on what was trained."""
    kind = sources.kind_of(comparison, claim.metric)
    values = (
        blocks.values(claim, rows)
        if claim.metric == blocks.METRIC
        else [_values(comparison, row, claim.metric, kind) for row in rows]
    )
    if lacking := [it for it in values if isinstance(it, Lacks)]:
        worst = next((it for it in lacking if it.word == "invalid"), lacking[0])
        return Hypothesis(match, rows, None, worst, _key(claim, rows), _source(kind))
    known = [it for it in values if isinstance(it, Values)]
    if kind == "trained" and (differing := sources.mixed(rows)):
        lacks = Lacks("invalid", differing)
        return Hypothesis(match, rows, None, lacks, source="trained")
    means = tuple(welch.mean(it.values) for it in known)
    margin = _margin(comparison, claim, means[-1], kind)
    by_seed = [dict(zip(it.seeds, it.values, strict=True)) for it in known if it.seeds]
    left_out = 0
    if is_paired := len(by_seed) == 2 and paired.holds(comparison, rows):
        left_out = paired.left_out(*by_seed)
        known = [_of_seeds(it, by_seed[0].keys() & by_seed[1].keys()) for it in known]
        if not known[0].values:
            why = "paired by seed, and no seed of both is there yet"
            lacks = Lacks("not tested", why, pending=True)
            return Hypothesis(match, rows, None, lacks, _key(claim, rows), _source(kind))
        means = tuple(welch.mean(it.values) for it in known)
    found = _estimate(claim, known, is_paired)
    if isinstance(found, Lacks):
        return Hypothesis(match, rows, None, found, source=_source(kind))
    scale, estimate = found
    wanted = _wanted(claim)
    return Hypothesis(
        match=match,
        rows=rows,
        setting=None,
        lacks=None,
        key=_key(claim, rows),
        source=_source(kind),
        scale=scale,
        estimate=estimate,
        decide=_decider(claim, scale, margin, wanted),
        sides=1 if isinstance(claim, Equivalence) else 2,
        margin=margin,
        wanted=wanted,
        runs=tuple(len(it.values) for it in known if not it.exact),
        means=means,
        title=known[0].title,
        unit=known[0].unit,
        direction=known[0].direction,
        by_seed=tuple(by_seed),
        test_error=_test_error(comparison, claim, rows) if scale == "difference" else None,
        paired=is_paired,
        left_out=left_out,
    )


def _peaked(
    comparison: ComparisonEvidence,
    claim: Claim,
    match: tuple[str, ...],
    rows: tuple[RowEvidence, ...],
) -> list[Group]:
    """Return the hypotheses on peaks of memory, a group for each setting."""
    if isinstance(claim, Count | Equality):
        why = "a peak is no exact number; claim an order, a ratio or a range"
        return [(Hypothesis(match, rows, None, Lacks("not tested", why), source="peak"),)]
    at: dict[str, Any] = dict(claim.at) | ({"device": claim.device} if claim.device else {})
    by_setting: dict[str, list[Hypothesis]] = {}
    share, wanted = _share(claim), _wanted(claim)
    for each in _parts(claim, rows):
        found = sources.peaks(comparison, (*each, comparison.baseline), claim.metric, at)
        if isinstance(found, Lacks):
            return [(Hypothesis(match, each, None, found, _key(claim, each), "peak"),)]
        for *ours, baseline in found:
            margin = float(getattr(claim, "margin", 0.0)) if share is None else 0.0
            margin = margin if share is None else share * baseline.value
            scale: Literal["difference", "ratio", "value"] = "difference"
            estimate = memory.difference(ours[0], ours[-1])
            if isinstance(claim, RatioClaim):
                scale, estimate = "ratio", memory.log_ratio(ours[0], ours[-1])
            elif isinstance(claim, Range):
                scale, estimate = "value", ours[0].band
            made = Hypothesis(
                match=match,
                rows=each,
                setting=ours[0],
                lacks=None,
                key=_key(claim, each, ours[0].setting),
                source="peak",
                scale=scale,
                estimate=estimate,
                decide=_decider(claim, scale, margin, wanted),
                sides=1 if isinstance(claim, Equivalence) else 2,
                margin=margin,
                wanted=wanted,
                means=tuple(float(peak.value) for peak in ours),
                title=claim.metric.replace("_", " ").capitalize(),
                unit="B",
                direction="lower",
            )
            by_setting.setdefault(canonical(dict(ours[0].setting)), []).append(made)
    return [tuple(group) for group in by_setting.values()]


def _timed(
    comparison: ComparisonEvidence,
    claim: Claim,
    match: tuple[str, ...],
    rows: tuple[RowEvidence, ...],
) -> list[Group]:
    """Return the hypotheses on times, a group for each setting."""
    if not isinstance(claim, Order | Equivalence | RatioClaim | Question):
        why = "a time by itself is that of a machine; claim an order or a ratio of two"
        return [(Hypothesis(match, rows, None, Lacks("not tested", why), source="timed"),)]
    at: dict[str, Any] = dict(claim.at) | ({"device": claim.device} if claim.device else {})
    by_setting: dict[str, list[Hypothesis]] = {}
    for pair in _parts(claim, rows):
        share = _share(claim)
        found = sources.times(comparison, pair, at, share)
        if isinstance(found, Lacks):
            return [(Hypothesis(match, pair, None, found, _key(claim, pair), "timed"),)]
        alone = [sources.times(comparison, (row, row), at, share) for row in pair]
        for number, one in enumerate(found):
            seconds = tuple(
                each[number].rows[sources.PAIR].seconds
                for each in alone
                if not isinstance(each, Lacks)
            )
            if share is None and not isinstance(claim, RatioClaim):  # a margin in seconds
                margin = float(claim.margin) / seconds[-1]
            else:
                margin = one.margin
            wanted = _wanted(claim)
            made = Hypothesis(
                match=match,
                rows=pair,
                setting=one,
                lacks=None,
                key=_key(claim, pair, one.setting),
                source="timed",
                scale="ratio",
                estimate=sources.log_ratio(one),
                decide=_decider(claim, "ratio", math.log1p(margin), wanted),
                sides=1 if isinstance(claim, Equivalence) else 2,
                margin=margin,
                wanted=wanted,
                runs=(one.processes,),
                means=seconds,
                title="Latency",
                unit="s",
                direction="lower",
                noisy=one.floor > margin,
            )
            by_setting.setdefault(canonical(dict(one.setting)), []).append(made)
    return [tuple(group) for group in by_setting.values()]


def _same_result(comparison: ComparisonEvidence, claim: Claim) -> list[Group] | Lacks:
    """Return the hypotheses on what is saved for the same result, one for each cost it is of."""
    if not comparison.asked.budgets:
        return Lacks("not tested", "this study trains no networks of further widths")
    ours, theirs = claim.variants()
    known = [
        cost
        for cost in saving.costs(comparison)
        if cost.metric == claim.metric and claim.at.get("batch", cost.batch) == cost.batch
    ]
    if not known:
        why = f"{claim.metric} of the networks of further widths is not measured yet"
        return Lacks("not tested", why, pending=True)
    groups: list[Group] = []
    for cost in known:
        found = [
            one
            for name in (ours, theirs)
            if (one := saving.saving(comparison, name, cost)) is not None
            and {one.variant, one.reference} == {ours, theirs}
        ]
        if not found:
            return Lacks("not tested", "what is saved is told against a variant's reference alone")
        groups.append((_saved(claim, found[0], found[0].variant == ours),))
    return groups


def _saved(claim: Claim, found: saving.Saving, is_inverse: bool) -> Hypothesis:
    """Return the hypothesis on what one variant saves of one cost.

    Args:
        claim: a ratio.
        found: of the reference's cost to the variant's.
        is_inverse: whether the claim has them the other way round.
    """
    rows = (found.points[0], found.base) if is_inverse else (found.base, found.points[0])
    match, key = (RESULT,), _key(claim, rows, {"cost": found.cost.name})
    if found.meeting is None or found.curve is None:
        lacks = Lacks("not tested", found.why, pending=True)
        return Hypothesis(match, rows, None, lacks, key, "trained")
    if found.misfits:
        name, p = found.misfits[0]
        why = f"the curve over {found.cost.noun} of {variant_name(name)} does not fit (p {p:.2g})"
        return Hypothesis(match, rows, None, Lacks("invalid", why), key, "trained")
    wanted = _wanted(claim)
    meeting = found.meeting.turned() if is_inverse else found.meeting
    return Hypothesis(
        match=match,
        rows=rows,
        setting=None,
        lacks=None,
        key=key,
        source="trained",
        scale="ratio",
        estimate=meeting,
        decide=_decider(claim, "ratio", 0.0, wanted),
        wanted=wanted,
        runs=(min(found.curve.seeds), len(found.base.values)),
        title=f"The {found.cost.noun}" if found.cost.unit else f"The number of {found.cost.noun}",
        direction="lower",
        beyond=bool(meeting.beyond),
    )


def _values(
    comparison: ComparisonEvidence, row: RowEvidence, metric: str, kind: sources.Kind | Lacks
) -> Values | Lacks:
    if kind == "arithmetic":
        return sources.fact(row, metric)
    return sources.trained(comparison, row, metric)


def _of_seeds(values: Values, seeds: Set[int]) -> Values:
    """Return the values of some of the seeds, in the order of the seeds."""
    kept = sorted(
        (seed, value)
        for seed, value in zip(values.seeds, values.values, strict=True)
        if seed in seeds
    )
    return replace(
        values, seeds=tuple(seed for seed, _ in kept), values=tuple(value for _, value in kept)
    )


def _estimate(
    claim: Claim, values: Sequence[Values], is_paired: bool = False
) -> tuple[Literal["difference", "ratio", "value"], Estimate | None] | Lacks:
    """Return what is estimated and on which scale; None where the runs give no interval."""
    ours, theirs = values[0], values[-1]
    exact = ours.exact and theirs.exact
    if isinstance(claim, Count):
        # Of every seed, so one that has another number is enough.
        other = [value for value in ours.values if value != claim.equals]
        return "value", Estimate(other[0] if other else claim.equals)
    if isinstance(claim, Trend | RequirementClaim):
        return "value", Estimate(ours.values[0])  # of facts: what is trained is judged elsewhere
    if isinstance(claim, Range):
        if exact:
            return "value", Estimate(ours.values[0])
        spread = welch.deviation(ours.values)
        if not spread:
            return "value", None
        n = len(ours.values)
        return "value", Estimate(welch.mean(ours.values), spread / math.sqrt(n), n - 1)
    if isinstance(claim, RatioClaim):
        if any(welch.mean(side.values) <= 0 for side in values):
            return Lacks("invalid", f"a ratio takes {ours.title.lower()} above zero")
        if exact:
            return "ratio", Estimate(math.log(ours.values[0] / theirs.values[0]))
        log_ratio = decide.paired_log_ratio if is_paired else decide.log_ratio
        return "ratio", log_ratio(_runs(ours), _runs(theirs))
    if exact:
        return "difference", Estimate(ours.values[0] - theirs.values[0])
    if isinstance(claim, Equality) and (ours.seeds, ours.values) == (theirs.seeds, theirs.values):
        return "difference", Estimate(0.0)
    difference = decide.paired if is_paired else decide.difference
    return "difference", difference(_runs(ours), _runs(theirs))


def _test_error(
    comparison: ComparisonEvidence, claim: Claim, rows: Sequence[RowEvidence]
) -> float | None:
    data = comparison.data
    # Images that stand in for others, or that share a few origins, are a sample of nothing.
    if claim.metric != comparison.measure.name or data.fallback_reason or data.clustered:
        return None
    found = sampling.of_rows(rows[0], rows[-1], comparison.measure.unit)
    return found[0] if found else None


def _runs(side: Values) -> list[float]:
    """Return values; where nothing is trained, one run is as good as any number."""
    return [*side.values] * (2 if side.exact and len(side.values) == 1 else 1)


def _decider(
    claim: Claim,
    scale: str,
    margin: float,
    wanted: tuple[float, float] | None,
) -> Decider:
    """Return what decides a claim from the bounds of ours against theirs."""
    if isinstance(claim, Order):
        if "<" in claim.expect:
            return lambda low, high: decide.order(-high, -low, margin)
        return lambda low, high: decide.order(low, high, margin)
    if isinstance(claim, Equivalence):
        return lambda low, high: decide.equivalence(low, high, margin)
    if isinstance(claim, Question):
        return lambda low, high: apart(low, high, margin)
    if isinstance(claim, Equality):
        return equal
    if isinstance(claim, Trend):  # which is of several values; see sweeps.py
        return lambda low, high: decide.order(low, high, margin)
    assert wanted is not None  # it claims a number
    least, most = wanted
    if scale == "ratio":
        least, most = math.log(least) if least > 0 else -math.inf, math.log(most)
    return lambda low, high: decide.about(low, high, least, most)


def _wanted(claim: Claim) -> tuple[float, float] | None:
    """Return the numbers between which a claim wants its own; None where it names none."""
    if isinstance(claim, Count):
        return claim.equals, claim.equals
    if isinstance(claim, Range):
        return claim.low, claim.high
    if isinstance(claim, RequirementClaim):
        low = -math.inf if claim.at_least is None else claim.at_least
        return low, math.inf if claim.at_most is None else claim.at_most
    if not isinstance(claim, RatioClaim):
        return None
    low, high = claim.at_least or 0.0, claim.at_most or math.inf
    if claim.about is not None:
        low = max(low, claim.about * (1 - claim.band))
        high = min(high, claim.about * (1 + claim.band))
    return low, high


def _margin(
    comparison: ComparisonEvidence, claim: Claim, theirs: float, kind: sources.Kind | Lacks
) -> float:
    """Return the margin in the metric's unit; a share is of what the baseline has."""
    if not isinstance(claim, Order | Equivalence | Question | Trend):
        return 0.0
    share = _share(claim)
    if share is None:
        return float(claim.margin)
    baseline = _values(comparison, comparison.baseline, claim.metric, kind)
    value = theirs if isinstance(baseline, Lacks) else welch.mean(baseline.values)
    return share * abs(value)


def _share(claim: Claim) -> float | None:
    """Return a margin that is a share, 0.02 of `2%`; None for one in the metric's unit."""
    margin = getattr(claim, "margin", None)
    return float(margin.rstrip("% ")) / 100 if isinstance(margin, str) else None


def _key(claim: Claim, rows: Sequence[RowEvidence], setting: Mapping[str, Any] = {}) -> str:
    """Return what two claims share that ask the same of the same rows."""
    asked = claim.model_dump(
        mode="json",
        exclude={
            *("note", "says", "primary", "match", "at", "device", "of", "between"),
            "contradicts",
        },
    )
    places = [[row.asked.variant, *row.asked.match] for row in rows]
    return canonical([asked, places, dict(setting)])


def _source(kind: sources.Kind | Lacks) -> sources.Kind:
    return "arithmetic" if isinstance(kind, Lacks) else kind


def _spelled(names: Iterable[str]) -> list[str]:
    return [variant_name(name) for name in names]
