"""Everything that the records of a study hold, as one tidy table: a row for every number.

The columns are an interface: they are only ever added to.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ablate import study as studies
from ablate.evidence import citable, latency
from ablate.evidence.collect import (
    ComparisonEvidence,
    Evidence,
    Reading,
    RowEvidence,
    Trial,
    collect,
)
from ablate.records import Measurement
from ablate.study import AtBudget

if TYPE_CHECKING:
    import pandas

COLUMNS = {
    "study": "str",
    "suite": "str",
    "comparison": "str",
    "variant": "str",
    "match": "str",
    "network": "str",
    "data": "str",
    "screening": "bool",
    "seed": "Int64",
    "split": "str",
    "epoch": "Int64",
    "step": "Int64",
    "metric": "str",
    "value": "float64",
    "unit": "str",
    "trial": "str",
    "status": "str",
    "at": "str",
}
SPLITS = ("train", "validation", "test")


def load(runs: Path | str = "runs", suite: str | None = None) -> "pandas.DataFrame":
    """Return every number of the newest study of each suite, or of one suite.

    There are five kinds of rows. What a finished trial scored: `seed` is set, `epoch` is not. What
    a trial showed after an epoch: both are set. A reading of a trial's weights: as of a trial, but
    `split` is not set; `initial_…` is the same before training. A fact of a network (parameters,
    MACs, …): neither is. What a pass measured over all networks in turns (latency): `at` is set. A
    trial without a result has one row, with its `status`, the comparison's metric and no value, so
    that counting rows of that metric counts what was planned. A trial that several rows or
    comparisons share appears in each of them.

    Columns:
        study, suite, comparison: ids.
        variant: the row's variant.
        match: what is equal with the reference: none, params, macs, compute; several joined by "+".
            Of a variant at another budget, which is no row, "params=0.5".
        network: "trained" or "full": the network that the number is about. They differ where a
            profile trains a narrower one; facts are given for both. "swept": the full one with
            other settings, which a claim sweeps; "pair": two full ones, compared with each other.
        data: name of the data set used.
        screening: whether the comparison's trained numbers may not be cited.
        seed: of the trial; missing for facts and passes.
        split: train, validation or test: the images that the number is about; missing for facts,
            readings, passes and the times and rates of an epoch.
        epoch, step: counted from 1; missing for final scores and facts. `step` counts the
            optimizer's.
        metric: its name.
        value: the number; missing where there is none.
        unit: of the value.
        trial: id of the record that holds the number: the trial's, the reading's, the fact's or
            the pass's.
        status: ok, failed, diverged, invalid or missing.
        at: the setting of a pass, e.g. "batch=64 device=cpu …", whose value is the median over the
            rounds of one process (the record has every round); the settings of a swept network,
            e.g. "network.width=64", and the variant that one is compared with, e.g. "with=strided";
            missing for all else.

    Raises:
        StudyError: the suite has no study, or its study cannot be read.
    """
    import pandas

    runs = Path(runs)
    parts = []
    for name in studies.suites(runs) if suite is None else [suite]:
        newest = studies.newest(runs, name)
        if newest is None:
            raise studies.StudyError(f"{runs}: there is no study of the suite {name!r}")
        parts.append(frame(collect(runs, newest)))
    return pandas.concat(parts, ignore_index=True) if parts else _typed([])


def frame(evidence: Evidence) -> "pandas.DataFrame":
    """Return the numbers of one study, with the columns that `load` describes."""
    found: list[dict[str, Any]] = []
    for comparison in evidence.comparisons:
        shared = {
            "study": evidence.study.id,
            "suite": evidence.study.suite,
            "comparison": comparison.asked.id,
            "data": comparison.data.name,
            "screening": bool(citable.reasons(evidence.study, comparison)),
        }
        for row in comparison.rows:
            of_row = {**shared, "variant": row.asked.variant, "match": "+".join(row.asked.match)}
            found += ({**of_row, **number} for number in _numbers(comparison, row))
        found += ({**shared, **number} for number in _points(comparison))
        for point in comparison.budgets:
            if isinstance(point.asked, AtBudget):
                at = f"{point.asked.match[0]}={point.asked.factor:g}"
                of_point = {**shared, "variant": point.asked.variant, "match": at}
                found += ({**of_point, **number} for number in _numbers(comparison, point))
    return _typed(found)


def _typed(rows: list[dict[str, Any]]) -> "pandas.DataFrame":
    import pandas

    table = pandas.DataFrame(rows, columns=list(COLUMNS))
    return table.astype(COLUMNS)


def _numbers(comparison: ComparisonEvidence, row: RowEvidence) -> Iterator[dict[str, Any]]:
    for trial in row.trials:
        of_trial = {
            "network": "trained",
            "seed": trial.seed,
            "trial": trial.id,
            "status": trial.outcome,
        }
        yield from ({**of_trial, **number} for number in _scores(comparison, trial))
    for reading in row.readings:
        of_reading = {"network": "trained", "seed": reading.seed, "trial": reading.id}
        yield from ({**of_reading, **number} for number in _read(comparison, reading))
    begun = {
        name: point.asked.facts
        for point in comparison.points
        if point.row == row.asked.variant
        for name in point.facts
    }
    for network, facts, ids in (
        ("trained", row.trained, {}),
        ("full", row.full, begun),
    ):
        own = row.asked.facts if network == "trained" else row.asked.full_facts
        for name, fact in facts.items():
            of_fact = {"network": network, "trial": ids.get(name, own), "status": "ok"}
            yield {**of_fact, **_measured(name, fact)}
    for id, setting, seconds in latency.by_process(comparison, row):
        yield {
            "network": "full",
            "metric": latency.METRIC,
            "value": seconds,
            "unit": "s",
            "trial": id,
            "status": "ok",
            "at": " ".join(f"{name}={value}" for name, value in sorted(setting.items())),
        }


def _points(comparison: ComparisonEvidence) -> Iterator[dict[str, Any]]:
    """Yield the facts of networks that no row has."""
    for point in comparison.points:
        if point.row is not None:
            continue  # it is among the row's
        variant, *others = point.asked.variants
        at = {**point.asked.settings, **({"with": others[0]} if others else {})}
        for name, fact in point.facts.items():
            yield {
                "variant": variant,
                "match": "none",
                "network": "pair" if others else "swept",
                "trial": point.asked.facts,
                "status": "ok",
                "at": " ".join(f"{key}={value}" for key, value in sorted(at.items())) or None,
                **_measured(name, fact),
            }


def _scores(comparison: ComparisonEvidence, trial: Trial) -> Iterator[dict[str, Any]]:
    final = trial.record.metrics if trial.record else {}
    if comparison.measure.name not in final:
        yield {"metric": comparison.measure.name, "unit": comparison.measure.unit, "split": "test"}
    for name, measured in sorted(final.items()):
        # The task's scores are taken on the test images, once, after the last epoch.
        yield {**_measured(name, measured), "split": split_of(name)[0] or "test"}
    units = {split_of(name)[1]: measured.unit for name, measured in final.items()}
    for epoch in trial.record.epochs if trial.record else []:
        at = {"epoch": epoch.epoch, "step": epoch.step}
        yield {**at, "metric": "learning_rate", "value": epoch.learning_rate, "unit": ""}
        yield {**at, "metric": "seconds", "value": epoch.seconds, "unit": "s"}
        for name, value in sorted(epoch.scores.items()):
            split, metric = split_of(name)
            unit = units.get(metric, "")
            yield {**at, "metric": metric, "value": value, "unit": unit, "split": split}


def _read(comparison: ComparisonEvidence, reading: Reading) -> Iterator[dict[str, Any]]:
    """Yield what was read of a trial's weights; where nothing was, what was to be."""
    if reading.record is None:
        yield from ({"metric": name, "status": "missing"} for name in comparison.asked.readings)
        return
    for name, measured in sorted(reading.record.metrics.items()):
        status = "invalid" if measured.value is None else "ok"
        yield {**_measured(name, measured), "status": status}


def split_of(name: str) -> tuple[str | None, str]:
    """Split a score's name: `validation_accuracy` is the accuracy of the validation images."""
    split, _, metric = name.partition("_")
    return (split, metric) if split in SPLITS and metric else (None, name)


def _measured(name: str, found: Measurement) -> dict[str, Any]:
    return {"metric": name, "value": found.value, "unit": found.unit}
