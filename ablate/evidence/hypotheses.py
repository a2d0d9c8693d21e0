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

Requirements are judged by requirements.py; a trend, and whatever is swept by `over`, not yet.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Literal

from ablate.evidence import decide, power, sampling, sources, welch
from ablate.evidence.collect import ComparisonEvidence, RowEvidence
from ablate.evidence.decide import Decision, Estimate, Sides
from ablate.evidence.latency import Measured
from ablate.evidence.sources import Lacks, Values
from ablate.evidence.spelling import MATCHES, listed, variant_name
from ablate.records import canonical
from ablate.suite.claims import (
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
    setting: Measured | None  # of times
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

    @property
    def is_exact(self) -> bool:
        return self.estimate is not None and self.estimate.error == 0

    @property
    def planned(self) -> float | None:
        """The true value that further runs are planned for, on the estimate's scale.

        For two rows to be equivalent it is no difference at all, for one to have more the effect
        that `power` plans for; None: what was estimated.
        """
        if self.estimate is None or self.wanted is not None or self.margin == 0:
            return None
        margin = math.log1p(self.margin) if self.scale == "ratio" else self.margin
        if self.sides == 1:
            return 0.0 if abs(self.estimate.value) < margin else None
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
        TypeError: the claim is a requirement.
    """
    if isinstance(claim, Trend) or claim.over:
        return Lacks("not tested", "sweeps come later")
    if isinstance(claim, RequirementClaim):
        raise TypeError("requirements are judged by requirements.py")
    kind = sources.kind_of(comparison, claim.metric)
    if isinstance(kind, Lacks):
        return kind
    if claim.at and kind != "timed":
        return Lacks("not tested", "only latency is measured at a setting; leave out `at`")
    if kind == "trained" and claim.device not in (None, device):
        return Lacks("not tested", f"trained on {device}, and the claim is about {claim.device}")
    places = _places(comparison, claim)
    if isinstance(places, Lacks):
        return places
    return [group for match, rows in places for group in _groups(comparison, claim, match, rows)]


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
        if claim.match is None and match == claim.metric:
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
    if sources.kind_of(comparison, claim.metric) == "timed":
        return _timed(comparison, claim, match, rows)
    pairs = combinations(rows, 2) if isinstance(claim, Question) else [rows]
    return [tuple(_untimed(comparison, claim, match, each) for each in pairs)]


def _untimed(
    comparison: ComparisonEvidence,
    claim: Claim,
    match: tuple[str, ...],
    rows: tuple[RowEvidence, ...],
) -> Hypothesis:
    """Return the hypothesis on a fact, or on what was trained."""
    kind = sources.kind_of(comparison, claim.metric)
    values = [_values(comparison, row, claim.metric, kind) for row in rows]
    if lacking := [it for it in values if isinstance(it, Lacks)]:
        worst = next((it for it in lacking if it.word == "invalid"), lacking[0])
        return Hypothesis(match, rows, None, worst, _key(claim, rows), _source(kind))
    known = [it for it in values if isinstance(it, Values)]
    if kind == "trained" and (differing := sources.mixed(rows)):
        lacks = Lacks("invalid", differing)
        return Hypothesis(match, rows, None, lacks, source="trained")
    means = tuple(welch.mean(it.values) for it in known)
    margin = _margin(comparison, claim, means[-1], kind)
    found = _estimate(claim, known)
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
        by_seed=tuple(dict(zip(it.seeds, it.values, strict=True)) for it in known if it.seeds),
        test_error=_test_error(comparison, claim, rows) if scale == "difference" else None,
    )


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
    for pair in combinations(rows, 2):
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


def _values(
    comparison: ComparisonEvidence, row: RowEvidence, metric: str, kind: sources.Kind | Lacks
) -> Values | Lacks:
    if kind == "arithmetic":
        return sources.fact(row, metric)
    return sources.trained(comparison, row, metric)


def _estimate(
    claim: Claim, values: Sequence[Values]
) -> tuple[Literal["difference", "ratio", "value"], Estimate | None] | Lacks:
    """Return what is estimated and on which scale; None where the runs give no interval."""
    ours, theirs = values[0], values[-1]
    exact = ours.exact and theirs.exact
    if isinstance(claim, Count):
        # Of every seed, so one that has another number is enough.
        other = [value for value in ours.values if value != claim.equals]
        return "value", Estimate(other[0] if other else claim.equals)
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
        return "ratio", decide.log_ratio(_runs(ours), _runs(theirs))
    if exact:
        return "difference", Estimate(ours.values[0] - theirs.values[0])
    if isinstance(claim, Equality) and (ours.seeds, ours.values) == (theirs.seeds, theirs.values):
        return "difference", Estimate(0.0)
    return "difference", decide.difference(_runs(ours), _runs(theirs))


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
    if not isinstance(claim, Order | Equivalence | Question):
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
        mode="json", exclude={"note", "says", "primary", "match", "at", "device", "of", "between"}
    )
    places = [[row.asked.variant, *row.asked.match] for row in rows]
    return canonical([asked, places, dict(setting)])


def _source(kind: sources.Kind | Lacks) -> sources.Kind:
    return "arithmetic" if isinstance(kind, Lacks) else kind


def _spelled(names: Iterable[str]) -> list[str]:
    return [variant_name(name) for name in names]
