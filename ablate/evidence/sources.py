"""What the rows of a comparison have of a claim's metric, whatever the metric is of.

A *fact* is of the full network and exact. What was *trained* has a value a seed, of trials or of
readings of their weights. What was *timed* has a ratio over processes, a *peak* of memory a band
over the rounds of one process. Where a row has nothing that
a verdict could stand on, that is said with a reason: *invalid* if something went wrong, *not
tested* if it was not asked for or is not there yet.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ablate.evidence import citable, latency, memory
from ablate.evidence.collect import ComparisonEvidence, RowEvidence
from ablate.evidence.decide import Estimate
from ablate.evidence.spelling import counted, listed, one_line, row_name
from ablate.evidence.welch import LEVEL
from ablate.records import Measurement, canonical

Kind = Literal["arithmetic", "trained", "timed", "peak"]

# Of a trial's spec: what no two rows of a comparison may differ in, unless their variants say so.
ALIKE = ("data", "precision", "device", "engine")


@dataclass(frozen=True)
class Lacks:
    """Why there is nothing to judge."""

    word: Literal["invalid", "not tested"]
    why: str
    pending: bool = False  # it was asked for and is still to come


@dataclass(frozen=True)
class Values:
    """What one row has of a metric, and how it is called."""

    values: tuple[float, ...]  # one of a fact; in the order of the seeds of what is trained
    seeds: tuple[int, ...]  # () of a fact
    title: str
    unit: str
    direction: Literal["higher", "lower", "none"]
    exact: bool  # arithmetic, or nothing of the row is trained


def kind_of(comparison: ComparisonEvidence, metric: str) -> Kind | Lacks:
    """Return what a metric is of in a comparison."""
    head, _, part = metric.partition(".")
    if metric == latency.METRIC:
        return "timed"
    if metric in memory.METRICS:
        return "peak"
    measured = {name for row in comparison.rows for name in _names(row)}
    measured |= {comparison.measure.name, *comparison.asked.readings}
    is_fact = any(head in row.full for row in comparison.rows)
    is_trained = head in measured and not is_fact
    if part and not is_trained and not any(_has_part(row, head, part) for row in comparison.rows):
        return Lacks("not tested", f"{metric}: parts of a network are not measured yet")
    if is_fact:
        return "arithmetic"
    if is_trained:
        return "trained"
    if lacking := [lack for row in comparison.rows for lack in row.lacking]:
        return Lacks("invalid", one_line(lacking[0]))
    if any(trial.outcome == "missing" for trial in comparison.trials().values()):
        return Lacks("not tested", f"{metric.replace('_', ' ')} is not measured yet")
    why = "it is no fact of these networks, and no trial measured it"
    return Lacks("not tested", f"{metric.replace('_', ' ')}: {why}")


def _has_part(row: RowEvidence, head: str, part: str) -> bool:
    """Return whether a fact tells a part: layers of a kind, parameters by block or of norms."""
    if head == "layers":
        return True
    found = row.full.get(head)
    if found is None:
        return False
    value = found.detail.get("by_layer" if part == "block" else part)
    return isinstance(value, dict if part == "block" else int | float)


def fact(row: RowEvidence, metric: str) -> Values | Lacks:
    """Return a fact of a row's full network; of `layers.dilated` how many layers are dilated."""
    head, _, part = metric.partition(".")
    found, name = row.full.get(head), row_name(row.asked, row.is_baseline)
    if found is None:
        why = one_line("; ".join(row.lacking)) or f"{head.replace('_', ' ')} does not apply to it"
        return Lacks("invalid", f"{name}: {why}")
    value = found.detail.get(part) if part else found.value
    if found.value is None:
        why = one_line(str(found.detail.get("invalid", "no value")))
        return Lacks("invalid", f"{found.title} of {name}: {why}")
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return Lacks("invalid", f"{name}: {metric} was not counted")
    title = _title(found, part) if part else found.title
    if head == "layers" and part:
        title = f"{part.replace('_', ' ')} layers"
    return Values((float(value),), (), title, _unit(found, part), found.direction, True)


def _title(found: Measurement, part: str) -> str:
    """Return what people call a part of what was measured."""
    titles = found.detail.get("titles")
    own = titles.get(part) if isinstance(titles, Mapping) else None
    return one_line(str(own)) if own else f"{found.title} ({part.replace('_', ' ')})"


def _unit(found: Measurement, part: str) -> str:
    """Return the unit of a metric, or of a part of it."""
    return "" if part == "ratio" else found.unit


def measured(row: RowEvidence, metric: str) -> Measurement | None:
    """Return a fact of a row's full network, or a part of one (`layers.dilated`), if it has it.

    A part that was not counted is invalid.
    """
    head, _, part = metric.partition(".")
    whole = row.full.get(head)
    if whole is None or not part:
        return whole
    found = fact(row, metric)
    if isinstance(found, Lacks):
        return whole.model_copy(update={"value": None, "detail": {"invalid": found.why}})
    update = {"value": found.values[0], "title": found.title, "unit": found.unit}
    return whole.model_copy(update=update)


def trained(comparison: ComparisonEvidence, row: RowEvidence, metric: str) -> Values | Lacks:
    """Return what the seeds of a row measured, in their order."""
    name = row_name(row.asked, row.is_baseline)
    if not row.trials and row.asked.seeds:
        return Lacks("not tested", f"{name} waits for its settings to be tuned", pending=True)
    if not row.trials:
        return Lacks("not tested", f"{name} is not trained")
    diverged, ended = len(row.having("diverged")), len(row.having("ok", "diverged"))
    if ended and diverged / ended > citable.MOST_DIVERGED:
        why = f"{diverged} of {counted(ended, 'trial')} of {name} diverged"
        return Lacks("invalid", f"{why}, so the rest do not speak for it")
    found = _by_seed(row, metric)
    for seed, measured in found.items():
        if measured.value is None or not math.isfinite(measured.value):
            why = one_line(str(measured.detail.get("invalid", "it is no number")))
            return Lacks("invalid", f"{measured.title} of {name}, seed {seed}: {why}")
    if metric == comparison.measure.name and (broken := row.having("invalid")):
        why = one_line(broken[0].reason or "no reason given")
        return Lacks("invalid", f"{name}, seed {broken[0].seed}: {why}")
    if not found:
        done = sum(trial.outcome != "missing" for trial in row.trials)
        read = row.readings if metric.partition(".")[0] in comparison.asked.readings else ()
        if done and (unread := [it.reason for it in read if it.reason]):
            why = f"{name}: no trained weights were read yet: {one_line(unread[0])}"
            return Lacks("not tested", why, pending=unread[0] == "not taken yet")
        if done == len(row.trials):
            return Lacks("not tested", f"{name}: its trials did not measure it")
        of = counted(len(row.trials), "trial")
        return Lacks("not tested", f"{name}: no value yet, {done} of {of} done", pending=True)
    values = tuple(float(it.value) for it in found.values() if it.value is not None)
    first = next(iter(found.values()))
    exact = row.is_fixed and len(set(values)) == 1
    return Values(values, tuple(found), first.title, first.unit, first.direction, exact)


def mixed(rows: Sequence[RowEvidence]) -> str:
    """Say in what the trials of some rows differ that should not; "" where they are alike."""
    found: dict[str, set[str]] = {}
    for row in rows:
        for trial in row.having("ok"):
            for key in ALIKE:
                if trial.record is not None and key in trial.record.spec:
                    found.setdefault(key, set()).add(str(trial.record.spec[key]))
            plugins = trial.record.spec.get("plugins") if trial.record is not None else None
            for file, digest in plugins.items() if isinstance(plugins, Mapping) else ():
                found.setdefault(f"the code of {file}", set()).add(str(digest))
    recipes = [row.asked.config.get("recipe", {}) for row in rows]
    asked = {str(recipe.get("precision")) for recipe in recipes if isinstance(recipe, Mapping)}
    if len(asked) > 1:  # precision is what these variants differ in
        found.pop("precision", None)
    differing = [
        f"{key} ({listed(sorted(one_line(value)[:12] for value in values))})"
        for key, values in found.items()
        if len(values) > 1
    ]
    return f"the trials differ in {listed(differing)}" if differing else ""


def times(
    comparison: ComparisonEvidence,
    rows: Sequence[RowEvidence],
    at: Mapping[str, Any],
    margin: float | None,
) -> list[latency.Measured] | Lacks:
    """Return the times of two networks at the settings that a claim names, with their ratio.

    Args:
        rows: ours and theirs; the ratio is ours / theirs, under the key `PAIR`.
        at: what a setting must have; {}: any.
        margin: the ratio - 1 that matters; None: the suite's.
    """
    passes = comparison.passes.get(latency.METRIC, ())
    if latency.METRIC not in comparison.asked.passes:
        return Lacks("not tested", "this study asks for no latency")
    if not passes:
        why = "; ".join(lack for lack in comparison.lacking if lack.startswith(latency.METRIC))
        return Lacks("not tested", one_line(why) or "latency: not measured yet", pending=True)
    networks = passes[0].spec.get("networks", [])
    wanted = [row.asked.full_config.get("network") for row in rows]
    if absent := [r for r, it in zip(rows, wanted, strict=True) if it not in networks]:
        return Lacks("not tested", f"{row_name(absent[0].asked)} was not timed")
    ours, theirs = (networks.index(network) for network in wanted)
    if margin is None:
        margin = comparison.asked.margins.get(latency.METRIC, latency.MARGIN)
    found = latency.of_passes(passes, {PAIR: (ours, theirs)}, margin)
    there = [one for one in found if is_at(one.setting, at)]
    if not there:
        # Times that none of these settings has: `at: {batch: 16}`.
        asked = listed([f"{key} {plain(value)}" for key, value in at.items()])
        known = listed(
            [
                ", ".join(f"{key} {plain(one.setting.get(key, 'unknown'))}" for key in at)
                for one in found
            ]
        )
        return Lacks(
            "not tested",
            f"not timed at {asked}, but at {known}" if known else "there are no times of it",
        )
    return there


def is_at(setting: Mapping[str, Any], at: Mapping[str, Any]) -> bool:
    """Return whether a setting has what is asked of it."""
    return all(setting.get(key) == at[key] for key in at)


def peaks(
    comparison: ComparisonEvidence, rows: Sequence[RowEvidence], metric: str, at: Mapping[str, Any]
) -> list[tuple[memory.Peak, ...]] | Lacks:
    """Return the peaks of memory of some rows at each setting that a claim names.

    Args:
        rows: each has a peak in what is returned, in this order.
        metric: which peak.
        at: what a setting must have; {}: any.
    """
    name = metric.replace("_", " ")
    if metric not in comparison.asked.passes:
        return Lacks("not tested", f"this study asks for no {name}")
    by_setting: dict[str, list[memory.Peak]] = {}
    for row in rows:
        found = [peak for peak in memory.peaks(comparison, row) if peak.metric == metric]
        if not found:
            what = f"{name} of {row_name(row.asked, row.is_baseline)} is not measured yet"
            return Lacks("not tested", what, pending=True)
        for peak in found:
            if is_at(peak.setting, at):
                by_setting.setdefault(canonical(dict(peak.setting)), []).append(peak)
    whole = [tuple(found) for found in by_setting.values() if len(found) == len(rows)]
    if not whole:
        asked = listed([f"{key} {plain(value)}" for key, value in at.items()])
        return Lacks("not tested", f"{name} was not measured at {asked or 'one setting'}")
    for there in whole:
        for row, peak in zip(rows, there, strict=True):
            if peak.unusable:
                of = row_name(row.asked, row.is_baseline)
                return Lacks("invalid", f"{name} of {of}: {peak.unusable}")
    return whole


PAIR = ("pair",)


def log_ratio(one: latency.Measured) -> Estimate | None:
    """Return the logarithm of a ratio of times, None without any spread to build an interval from.

    Over processes, as its interval is; of a single process over its rounds.
    """
    ratio = one.rows[PAIR].ratio
    if ratio is None or ratio.low is None or ratio.high is None:
        return None
    freedom = (one.processes if one.processes > 1 else one.rounds) - 1
    _, unit = Estimate(0.0, 1.0, freedom).bounds(LEVEL)
    error = math.log(ratio.high / ratio.low) / 2 / unit
    return Estimate(math.log(ratio.value), error, freedom) if error > 0 else None


def _by_seed(row: RowEvidence, metric: str) -> dict[int, Measurement]:
    head, _, part = metric.partition(".")
    found = {
        trial.seed: trial.record.metrics[head]
        for trial in row.having("ok", "invalid")
        if trial.record is not None and head in trial.record.metrics
    }
    found = found or {
        reading.seed: reading.record.metrics[head]
        for reading in row.readings
        if reading.record is not None and head in reading.record.metrics
    }
    return {seed: _part(whole, part) if part else whole for seed, whole in found.items()}


def _part(whole: Measurement, part: str) -> Measurement:
    """Return a part of what was measured; where there is none, it is invalid."""
    value = None if whole.value is None else whole.detail.get(part)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    update: dict[str, Any] = {
        "value": value if is_number else None,
        "title": _title(whole, part),
        "unit": _unit(whole, part),
    }
    if not is_number:
        update["detail"] = {"invalid": "it has no such part"} | whole.detail
    return whole.model_copy(update=update)


def _names(row: RowEvidence) -> Iterator[str]:
    for trial in row.having("ok", "invalid"):
        yield from trial.record.metrics if trial.record else ()
    for reading in row.readings:
        yield from reading.record.metrics if reading.record else ()


def plain(value: Any) -> str:
    """Spell a value of a setting."""
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return one_line(text).replace("_", " ")
