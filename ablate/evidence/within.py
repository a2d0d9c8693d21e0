"""Budgets that a claim keeps to: which rows cost no more than a limit.

A budget is a fact of the full network (`macs: {at_most: 40_000_000}`), exact, or what a pass
measured of it: a time, over processes, or a peak of memory, over rounds (see memory.py). A time has
an interval, and where that holds the limit, nobody knows whether the row is within.

A time is the mean over processes of the logarithm of the median call, with Student's t over
processes. It is that of one machine, as the claim then is.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ablate.evidence import latency, memory, sources, welch
from ablate.evidence.collect import ComparisonEvidence, RowEvidence
from ablate.evidence.decide import Estimate
from ablate.evidence.sources import Lacks
from ablate.evidence.spelling import byte_count, listed, number, quantity, with_unit
from ablate.suite.claims import AtMost

State = Literal["within", "over", "unknown"]


@dataclass(frozen=True)
class Budget:
    """What a row costs, beside the most that it may."""

    metric: str
    title: str
    unit: str
    limit: float
    value: float
    estimate: Estimate | None  # of the value, of a time its logarithm; None: no interval

    def state(self, level: float) -> State:
        """Return whether the row is within the limit, surely at a level."""
        if self.estimate is None:
            return "unknown"
        limit = math.log(self.limit) if self.unit == "s" else self.limit
        low, high = self.estimate.bounds(level)
        return "within" if high <= limit else "over" if low > limit else "unknown"

    @property
    def asked(self) -> str:
        """The limit in words: `MACs of at most 40,000,000`."""
        return f"{self.title} of at most {_spelled(self.limit, self.unit, self.title)}"

    @property
    def is_exact(self) -> bool:
        """Whether it is arithmetic."""
        return self.estimate is not None and self.estimate.bounds(0.5) == (self.value, self.value)

    def found(self, level: float) -> str:
        """Return the value in words, with its interval where it has one."""
        said = _spelled(self.value, self.unit, self.title)
        if self.estimate is None:
            return f"{said}, without an interval"
        low, high = self.estimate.bounds(level)
        if low == high:
            return said
        if self.unit == "s":
            ends = [_milliseconds(math.exp(end)) for end in (low, high)]
            return f"{_milliseconds(self.value)} [{', '.join(ends)}] ms"
        return f"{said} [{_spelled(low, self.unit)}, {_spelled(high, self.unit)}]"


def state(budgets: Sequence[Budget], level: float) -> State:
    """Return whether a row is within all of its budgets; without any it is."""
    states = {budget.state(level) for budget in budgets}
    return "over" if "over" in states else "unknown" if "unknown" in states else "within"


def of_row(
    comparison: ComparisonEvidence, row: RowEvidence, within: Mapping[str, AtMost]
) -> tuple[Budget, ...] | Lacks:
    """Return what a row costs of each metric that a claim limits.

    A metric that was measured at several settings that fit has a budget for each.
    """
    found: list[Budget] = []
    for metric, most in within.items():
        if metric == latency.METRIC:
            budgets = _times(comparison, row, most)
        elif metric in memory.METRICS:
            budgets = _peaks(comparison, row, metric, most)
        else:
            fact = sources.fact(row, metric)
            if isinstance(fact, Lacks):
                return fact
            (value,) = fact.values
            title = fact.title[:1].lower() + fact.title[1:] if fact.title != "MACs" else fact.title
            budgets = [Budget(metric, title, fact.unit, most.limit, value, Estimate(value))]
        if isinstance(budgets, Lacks):
            return budgets
        found += budgets
    return tuple(found)


def _times(comparison: ComparisonEvidence, row: RowEvidence, most: AtMost) -> list[Budget] | Lacks:
    by_setting: dict[str, list[float]] = {}
    for _, setting, seconds in latency.by_process(comparison, row):
        if sources.is_at(setting, most.at):
            by_setting.setdefault(_place(setting), []).append(math.log(seconds))
    if not by_setting:
        return _not_measured(comparison, latency.METRIC, most)
    budgets = []
    for place, logs in by_setting.items():
        spread, n = welch.deviation(logs), len(logs)
        known = Estimate(welch.mean(logs), spread / math.sqrt(n), n - 1) if spread else None
        title = f"latency at {place}"
        value = math.exp(welch.mean(logs))
        budgets.append(Budget(latency.METRIC, title, "s", most.limit, value, known))
    return budgets


def _peaks(
    comparison: ComparisonEvidence, row: RowEvidence, metric: str, most: AtMost
) -> list[Budget] | Lacks:
    there = [p for p in memory.peaks(comparison, row) if sources.is_at(p.setting, most.at)]
    if not there:
        return _not_measured(comparison, metric, most)
    budgets = []
    for peak in there:
        if why := peak.unusable:
            return Lacks("invalid", f"{metric.replace('_', ' ')}: {why}")
        title = f"{metric.replace('_', ' ')} at {_place(peak.setting)}"
        budgets.append(Budget(metric, title, "B", most.limit, float(peak.value), peak.band))
    return budgets


def _not_measured(comparison: ComparisonEvidence, metric: str, most: AtMost) -> Lacks:
    name = metric.replace("_", " ")
    if metric not in comparison.asked.passes:
        return Lacks("not tested", f"the budget: this study asks for no {name}")
    if not comparison.passes.get(metric):
        return Lacks("not tested", f"the budget: {name} is not measured yet", pending=True)
    at = listed([f"{key} {sources.plain(value)}" for key, value in most.at.items()])
    return Lacks("not tested", f"the budget: there is no {name} {f'at {at}' if at else 'of it'}")


def _place(setting: Mapping[str, Any]) -> str:
    """Name a setting: `batch 64, fp32`."""
    return f"batch {number(float(setting['batch']))}, {setting.get('precision')}"


def _spelled(value: float, unit: str, title: str = "") -> str:
    if unit == "B":
        return byte_count(value)
    if unit == "s":
        return f"{_milliseconds(value)} ms"
    text = number(value) if float(value).is_integer() else quantity(value)
    return with_unit(text, "" if unit in title else unit)  # MACs are not counted in MAC


def _milliseconds(seconds: float) -> str:
    """Spell a time with three digits."""
    return number(1000 * seconds, max(0, 2 - math.floor(math.log10(1000 * seconds))))
