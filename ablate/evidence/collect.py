"""The records that a study asks for, gathered by comparison, row and seed.

A trial that is not there is as much part of the evidence as one that is: it stays in the row with
the reason. A damaged record counts as missing and is named.
"""

import math
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

from ablate import records
from ablate.evidence import changed
from ablate.evidence.tuning import Cell, cells
from ablate.records import Measurement, Record
from ablate.study import ComparisonAsked, DataUsed, Measure, Point, Row, Study

# "invalid": the trial ended well but holds no value of the comparison's metric.
Outcome = Literal["ok", "failed", "diverged", "invalid", "missing"]


@dataclass(frozen=True)
class Trial:
    """One seed of one row, as it came out."""

    seed: int
    id: str
    outcome: Outcome
    value: float | None  # of the comparison's metric, in its unit; None unless the outcome is "ok"
    reason: str | None  # why there is no value
    record: Record | None  # None where it is missing

    @property
    def steps(self) -> int | None:
        """Optimizer steps taken; None where no epoch was recorded."""
        return self.record.epochs[-1].step if self.record and self.record.epochs else None


@dataclass(frozen=True)
class Reading:
    """What was measured of the weights of one seed, before and after training."""

    seed: int
    id: str
    record: Record | None  # None where it did not end well or is not there
    reason: str | None  # why it is not


@dataclass(frozen=True)
class RowEvidence:
    """One row of a comparison with its trials, by seed, and the facts of its two networks."""

    asked: Row
    trials: tuple[Trial, ...]  # () for a row that is not trained: only its facts are shown
    # Facts of the network as trained; {} where not computed. One that does not apply is left out.
    trained: dict[str, Measurement]
    full: dict[str, Measurement]  # facts of the full network
    is_baseline: bool
    lacking: tuple[str, ...]  # facts that are not there, each with the reason
    readings: tuple[Reading, ...] = ()  # of the few seeds whose weights are read
    tuning: tuple[Cell, ...] = ()  # what was tried out before its settings were chosen

    @cached_property
    def values(self) -> dict[int, float]:
        """The metric's value by seed, of the trials that have one."""
        return {t.seed: t.value for t in self.trials if t.value is not None}

    @property
    def is_reference(self) -> bool:
        """Whether the row is compared with no other: the baseline, or one beside it."""
        return self.asked.reference is None

    @cached_property
    def is_fixed(self) -> bool:
        """Whether nothing of it is trained, so that every seed gives the same value."""
        ended = self.having("ok")
        return len(set(self.values.values())) == 1 and all(t.steps is None for t in ended)

    def having(self, *outcomes: Outcome) -> tuple[Trial, ...]:
        """Return the trials with one of these outcomes."""
        return tuple(trial for trial in self.trials if trial.outcome in outcomes)

    @property
    def full_differs(self) -> bool:
        """Whether the network that was trained is another than the full one."""
        return self.asked.facts != self.asked.full_facts


@dataclass(frozen=True)
class PointEvidence:
    """Facts of a network that no row has, or of two together, for a claim."""

    asked: Point
    facts: dict[str, Measurement]
    lacking: str  # why there are none; "" where there are

    @property
    def row(self) -> str | None:
        """The variant whose full network it is, as it begins; None of others, and of two."""
        alone = len(self.asked.variants) == 1 and not self.asked.settings
        return self.asked.variants[0] if alone else None


@dataclass(frozen=True)
class ComparisonEvidence:
    """One comparison and what is known of each of its rows, the baseline first.

    The rows that are compared with a reference follow upon it; else they are in the study's order.
    """

    asked: ComparisonAsked
    rows: tuple[RowEvidence, ...]
    passes: dict[str, tuple[Record, ...]]  # by metric; one that did not end well is not there
    lacking: tuple[str, ...]  # passes that are not there, each with the reason
    # Variants at other widths, each an `AtBudget`: points of curves, and no rows.
    budgets: tuple[RowEvidence, ...] = ()
    control: tuple[Trial, ...] = ()  # the baseline with further seeds, by seed; in no row
    margin_changed: str = ""  # what its margin was before its trials, where it was another
    points: tuple[PointEvidence, ...] = ()  # of claims on other networks than the rows'
    changed: Mapping[str, str] = field(default_factory=dict)  # the same of claims, see changed.py

    @property
    def baseline(self) -> RowEvidence:
        return self.rows[0]

    def reference_of(self, row: RowEvidence) -> RowEvidence | None:
        """Return the row that another is compared with, None for one that is a reference."""
        return next((r for r in self.rows if _is_reference(r.asked, row.asked)), None)

    @property
    def against_baseline(self) -> bool:
        """Whether all that is compared with anything is compared with the baseline."""
        return all(row.asked.reference in (None, self.asked.baseline) for row in self.rows)

    @property
    def as_they_are(self) -> bool:
        """Whether nothing is trained or held equal: that networks are drop-ins says nothing."""
        matches = (row.asked.match for row in self.rows)
        return not self.asked.is_trained and all(match == ["none"] for match in matches)

    @property
    def measure(self) -> Measure:
        return self.asked.measure

    @property
    def data(self) -> DataUsed:
        return self.asked.data

    def trials(self) -> dict[str, Trial]:
        """Return the trials of all rows by id; rows may share some."""
        return {trial.id: trial for row in self.rows for trial in row.trials}


@dataclass(frozen=True)
class Evidence:
    """A study and everything that its records hold."""

    study: Study
    comparisons: tuple[ComparisonEvidence, ...]
    damaged: tuple[str, ...]  # records that cannot be read, each with what is wrong

    def trials(self) -> dict[str, Trial]:
        """Return the trials of all comparisons by id; comparisons may share some."""
        found = {id: t for comparison in self.comparisons for id, t in comparison.trials().items()}
        points = [point for comparison in self.comparisons for point in comparison.budgets]
        return found | {trial.id: trial for point in points for trial in point.trials}


def reference_at(comparison: ComparisonAsked, row: Row) -> int | None:
    """Return which row of a comparison another is compared with, None for one that is a reference.

    It is the reference's drop-in.
    """
    found = (at for at, other in enumerate(comparison.rows) if _is_reference(other, row))
    return next(found, None)


def _is_reference(row: Row, other: Row) -> bool:
    """Return whether a row is what another one is compared with."""
    return row.variant == other.reference and "none" in row.match


def collect(runs: Path, study: Study) -> Evidence:
    """Read what the records say on a study. Missing and damaged ones are no error."""
    damaged: dict[str, str] = {}
    before = changed.earlier(runs, study)
    seen: dict[tuple[str, str], Record | None] = {}

    def read(kind: records.Kind, id: str) -> Record | None:
        if (kind, id) not in seen:
            seen[kind, id] = None
            try:
                seen[kind, id] = records.read(runs, kind, id)
            except records.DamagedRecord as error:
                # The same records give the same page wherever they lie.
                damaged[id] = str(error).replace(f"{runs}{os.sep}", "")
        return seen[kind, id]

    def facts(id: str, network: str, lacking: list[str]) -> dict[str, Measurement]:
        record = read("fact", id)
        if record is None:
            lacking.append(f"{network}: {damaged.get(id, 'not computed yet')}")
            return {}
        if record.status != "ok":
            lacking.append(f"{network}: {record.reason or 'no reason given'}")
        return dict(sorted(record.metrics.items()))

    def row(asked: Row, measure: Measure, is_baseline: bool) -> RowEvidence:
        trials = tuple(
            _trial(seed, id, read("trial", id), measure, damaged.get(id))
            for seed, id in sorted(asked.trials.items())
        )
        readings = tuple(
            _reading(trial, id, read("reading", id), damaged.get(id), runs)
            for trial in trials
            if (id := asked.readings.get(trial.seed)) is not None
        )
        lacking: list[str] = []
        trained = full = facts(asked.facts, "network as trained", lacking)
        if asked.full_facts != asked.facts:
            full = facts(asked.full_facts, "full network", lacking)
        return RowEvidence(asked, trials, trained, full, is_baseline, tuple(lacking), readings)

    def tried(asked: Row) -> dict[str, Record | None]:
        of_cells = asked.tuned.trials if asked.tuned else []
        return {id: read("trial", id) for ids in of_cells for id in ids.values()}

    def point(asked: Point) -> PointEvidence:
        lacking: list[str] = []
        found = facts(asked.facts, "network", lacking)
        return PointEvidence(asked, found, "; ".join(lacking))

    def comparison(asked: ComparisonAsked) -> ComparisonEvidence:
        rows = tuple(
            replace(row(r, asked.measure, r is asked.rows[0]), tuning=cells(asked, r, tried(r)))
            for r in _grouped(asked)
        )
        points = tuple(map(point, asked.points))
        rows = tuple(_with_values(row, points) for row in rows)
        passes: dict[str, tuple[Record, ...]] = {}
        lacking: list[str] = []
        for metric, ids in sorted(asked.passes.items()):
            found = {id: read("pass", id) for id in ids}
            passes[metric] = tuple(r for r in found.values() if r is not None and r.status == "ok")
            reasons = Counter(
                damaged.get(id, "not measured yet") if r is None else r.reason or "no reason given"
                for id, r in found.items()
                if r is None or r.status != "ok"
            )
            lacking += (
                f"{metric}: {reason}" + (f" ({count} of {len(ids)})" if len(ids) > 1 else "")
                for reason, count in reasons.items()
            )
        begun = {t.id: t.record for row in rows for t in row.trials if t.record is not None}
        return ComparisonEvidence(
            asked,
            rows,
            passes,
            tuple(lacking),
            control=tuple(
                _trial(seed, id, read("trial", id), asked.measure, damaged.get(id))
                for seed, id in sorted(asked.control.items())
            ),
            margin_changed=changed.of_margin(study, before, asked, begun),
            changed=changed.of_claims(study, before, asked, begun),
            points=points,
            budgets=tuple(row(point, asked.measure, False) for point in asked.budgets),
        )

    comparisons = tuple(comparison(asked) for asked in study.comparisons)
    return Evidence(study, comparisons, tuple(damaged[id] for id in sorted(damaged)))


def _with_values(row: RowEvidence, points: Sequence[PointEvidence]) -> RowEvidence:
    """Return a row with what was measured of its network as it begins, where it is a drop-in."""
    if not (row.is_reference or "none" in row.asked.match):
        return row
    for point in points:
        if point.row == row.asked.variant:
            lacking = (*row.lacking, *([point.lacking] if point.lacking else []))
            row = replace(row, full={**row.full, **point.facts}, lacking=lacking)
    return row


def _grouped(comparison: ComparisonAsked) -> list[Row]:
    """Return the rows with those that are compared with a reference right after it."""
    places = []
    for at, row in enumerate(comparison.rows):
        reference = reference_at(comparison, row)
        places.append((at, 0, at) if reference is None else (reference, 1, at))
    return [comparison.rows[at] for *_, at in sorted(places)]


def _trial(
    seed: int, id: str, record: Record | None, measure: Measure, damaged: str | None
) -> Trial:
    if record is None:
        return Trial(seed, id, "missing", None, damaged or "not run yet", None)
    if record.status != "ok":
        return Trial(seed, id, record.status, None, record.reason or "no reason given", record)
    found = record.metrics.get(measure.name)
    if found is None:
        return Trial(seed, id, "invalid", None, f"{measure.name} was not measured", record)
    if found.value is None or not math.isfinite(found.value):
        reason = str(found.detail.get("invalid", f"{measure.name} is no number"))
        return Trial(seed, id, "invalid", None, reason, record)
    return Trial(seed, id, "ok", float(found.value), None, record)


def _reading(
    trial: Trial, id: str, record: Record | None, damaged: str | None, runs: Path
) -> Reading:
    if record is not None and record.status == "ok":
        return Reading(trial.seed, id, record, None)
    if record is not None:
        reason = record.reason or "no reason given"
    elif damaged is not None:
        reason = damaged
    elif trial.outcome in ("failed", "diverged"):
        reason = f"the trial {trial.outcome}"
    elif trial.outcome != "missing" and records.weights(runs, trial.id) is None:
        reason = "the weights were deleted"
    else:
        reason = "not taken yet"
    return Reading(trial.seed, id, None, reason)
