"""Times an image along batch sizes: what a claim `metric: latency, over: {batch: [1, 8, 64]}` asks.

A call on twice the images is another call, so what is compared along batches is seconds *an image*.
Batches are timed one after the other and not in turns, so here the unit is the process: each gives
a time an image for every batch, and what is between two batches is the mean over processes of the
logarithm of their ratio, with a t interval over processes. It holds what the machine did between
the two as well; that is one more reason for a margin of some per cent. Of a single process there is
no interval.

It is decided by `decide.trend`: from the first batch to the last beyond the margin, and never back
by more than the margin on the way. The steps on the way share an error rate of 5 % by themselves.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ablate.evidence import decide, latency, sources, welch
from ablate.evidence.collect import ComparisonEvidence, RowEvidence
from ablate.evidence.decide import Decision, Estimate
from ablate.evidence.family import ALPHA
from ablate.evidence.hypotheses import Decider, Group, Hypothesis
from ablate.evidence.latency import Measured
from ablate.evidence.sources import Lacks
from ablate.evidence.spelling import listed, variant_name
from ablate.records import canonical
from ablate.suite.claims import Claim, Trend

BATCH = "batch"


def is_about(claim: Claim) -> bool:
    """Return whether a claim is judged here."""
    return claim.is_of_batches


def of(comparison: ComparisonEvidence, claim: Claim) -> list[Group] | Lacks:
    """Return what such a claim asks, a group for each setting that has all of its batches.

    Raises:
        TypeError: the claim is none.
    """
    if not isinstance(claim, Trend):
        raise TypeError("along batches a trend is claimed")
    row = _drop_in(comparison, claim.of)
    if row is None:
        return Lacks("not tested", f"this study has no drop-in row of {variant_name(claim.of)}")
    at: dict[str, Any] = dict(claim.at) | ({"device": claim.device} if claim.device else {})
    found = sources.times(comparison, (row, row), at, _share(claim))
    if isinstance(found, Lacks):
        return found
    wanted = [float(batch) for batch in claim.over[BATCH]]
    by_setting: dict[str, dict[float, Measured]] = {}
    for one in found:
        by_setting.setdefault(canonical(_without_batch(one.setting)), {})[one.batch] = one
    whole = [those for those in by_setting.values() if set(wanted) <= those.keys()]
    if not whole:
        absent = [b for b in wanted if not any(b in those for those in by_setting.values())]
        return Lacks("not tested", f"not timed at batch {listed([f'{b:g}' for b in absent])}")
    seconds = _by_process(comparison, row)
    return [(_hypothesis(claim, row, [those[b] for b in wanted], seconds),) for those in whole]


def _hypothesis(
    claim: Trend,
    row: RowEvidence,
    those: Sequence[Measured],
    seconds: Mapping[str, Mapping[str, float]],
) -> Hypothesis:
    """Return what there is to decide of one network along batches, at one setting."""
    last, batches = those[-1], [one.batch for one in those]
    margin = last.margin
    per_image = [
        {id: math.log(s / one.batch) for id, s in seconds[canonical(dict(one.setting))].items()}
        for one in those
    ]
    together = sorted(set.intersection(*(set(each) for each in per_image)))
    logs = np.array([[each[id] for id in together] for each in per_image])  # (batches, processes)
    rising = claim.expect == "rising"
    return Hypothesis(
        match=("none",),
        rows=(row,),
        setting=replace(
            last,
            setting=_without_batch(last.setting),
            processes=len(together),
            floor=max(one.floor for one in those),
        ),
        lacks=None,
        key=canonical([row.asked.variant, claim.expect, margin, dict(last.setting), batches]),
        source="timed",
        scale="ratio",
        estimate=_estimate(logs[-1] - logs[0]),
        decide=_decider(np.diff(logs, axis=0), rising, math.log1p(margin)),
        margin=margin,
        runs=(len(together),),
        means=tuple(np.exp(logs.mean(axis=1)).tolist()),
        title="Time an image",
        unit="s",
        direction="lower",
        noisy=any(one.floor > margin for one in those),
        along=tuple(batches),
    )


def _decider(steps: "np.ndarray[Any, Any]", rising: bool, margin: float) -> Decider:
    """Return the decider of the change from end to end, given the steps between, (k, processes)."""
    bounds = []
    for step in steps:
        found = _estimate(step)
        if found is None:
            return lambda low, high: Decision("inconclusive")
        bounds.append(found.bounds(1 - ALPHA / len(steps)))

    def turned(low: float, high: float) -> tuple[float, float]:
        return (low, high) if rising else (-high, -low)

    def decider(low: float, high: float) -> Decision:
        found = decide.trend([turned(*each) for each in bounds], turned(low, high), margin)
        if found.why == "falls on the way" and not rising:
            return Decision(found.word, "rises on the way")
        return found

    return decider


def _estimate(logs: "np.ndarray[Any, Any]") -> Estimate | None:
    """Return the mean of processes' logarithms, None without any spread."""
    values = logs.tolist()
    spread = welch.deviation(values)
    if not spread:
        return None
    return Estimate(welch.mean(values), spread / len(values) ** 0.5, len(values) - 1)


def _by_process(comparison: ComparisonEvidence, row: RowEvidence) -> dict[str, dict[str, float]]:
    """Return a row's seconds a call by setting, then by pass."""
    found: dict[str, dict[str, float]] = {}
    for id, setting, seconds in latency.by_process(comparison, row):
        found.setdefault(canonical(dict(setting)), {})[id] = seconds
    return found


def _without_batch(setting: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in setting.items() if key != BATCH}


def _drop_in(comparison: ComparisonEvidence, name: str) -> RowEvidence | None:
    rows = [row for row in comparison.rows if row.asked.variant == name]
    return next((row for row in rows if row.is_reference or "none" in row.asked.match), None)


def _share(claim: Trend) -> float | None:
    """Return the margin as a ratio - 1; None where the suite's is meant."""
    if isinstance(claim.margin, str):
        return float(claim.margin.rstrip("% ")) / 100
    return None
