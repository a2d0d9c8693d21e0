"""Making a plan: the ids of everything a study needs, what is there already, and the time left."""

import hashlib
import os
import statistics
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from ablate import catalog, metrics, passes, readings, records
from ablate.evidence import tuning
from ablate.records import Record
from ablate.study import AtBudget, ComparisonAsked, Study, Tuned
from ablate.suite import cells, cited, foretell, sweeps, taking, unmeasured
from ablate.suite.ask import comparison_of, row_of, study_of
from ablate.suite.load import Loaded
from ablate.suite.notices import FEWEST_STEPS, fewest_steps, notices
from ablate.suite.planned import (
    Basis,
    Following,
    PassPlan,
    Plan,
    ReadingPlan,
    Slot,
    TrialPlan,
    bring_together,
    label_of,
    reading_slots,
    slots,
    stored,
    tuning_slots,
)
from ablate.suite.preflight import BuiltRow, Checked, one_thread
from ablate.suite.schema import Latency, Memory
from ablate.suite.source import Problem, SuiteError
from ablate.train import precision, probe
from ablate.train.trial import spec_of


@one_thread()
def make(
    loaded: Loaded,
    checked: list[Checked],
    runs: Path,
    device: str,
    workers: int = 1,
    takers: int = 1,
    show: Callable[[int, int], None] | None = None,
) -> Plan:
    """Turn checked comparisons into a study, trials and facts.

    How long a trial takes is known from another seed of the same, else from a few timed steps, as
    it is where so many `workers` train side by side.

    Facts are taken and recorded where they are missing, by so many `takers` side by side; `show` is
    told after each how many are taken, and of how many. Nothing is trained. Damaged records are set
    aside, so that they are made again.

    Raises:
        NewerRecord: a record is of a newer version of ablate.
        SuiteError: the device cannot train in the precision that is asked for, it cannot be told
            whether two networks compute the same, as a claim has it, or a network cannot be
            measured.
    """
    damaged: list[str] = []
    plugins = {name: catalog.digest(path) for name, path in loaded.plugins.items()}
    distinct: dict[str, _Work] = {}
    work: dict[str, _Work] = {}  # by trial
    together: dict[str, PassPlan] = {}
    read: dict[str, dict[str, Any]] = {}  # specs of readings, by id
    asked = []
    untied: list[Problem] = []
    waiting: list[tuple[str, int, _Work]] = []  # rows whose settings tuning is to choose
    further = 1 + max(_seeds_asked(loaded, checked), default=0)
    tried: dict[str, Record | None] = {}  # the trials of tuning
    checked = [
        _settled(loaded, item, runs, device, plugins, (distinct, work), tried, damaged)
        for item in checked
    ]
    wanted = dict(_facts_wanted(loaded, checked, plugins))
    facts = _facts(wanted, runs, loaded, damaged, takers, show)

    def asked_for(built: BuiltRow, seeds: Iterable[int]) -> tuple[_Work, dict[int, str]]:
        """Return what trials of a row have in common, and the ids of those of some seeds."""
        spec = _spec(built, 0, device, _used(built.config, plugins))
        one = distinct.setdefault(records.canonical(spec), _Work(built, spec))
        ids = identities(spec, seeds)
        for id in ids.values():
            work.setdefault(id, one)
        return one, ids

    def facts_of(built: BuiltRow, item: Checked) -> tuple[str, str]:
        """Return the ids of the facts of a row's network, as trained and in full."""
        specs = [fact_spec(config, item, plugins) for config in (built.config, built.full_config)]
        trained, full = map(records.identity, specs)
        return trained, full

    for item in checked:
        rows = []
        for built in item.rows:
            waits = built.tuned is not None and built.tuned.chosen is None
            seeds = [] if waits else loaded.seeds(item.comparison, built.variant.name)
            one, ids = asked_for(built, seeds)
            specs = _readings(loaded, item, ids, plugins)
            read |= {records.identity(spec): spec for spec in specs.values()}
            of_seed = {seed: records.identity(spec) for seed, spec in specs.items()}
            rows.append(row_of(built, ids, *facts_of(built, item), of_seed))
            if waits:
                label = label_of(item.comparison.id, rows[-1], len(rows) == 1)
                waiting.append((label, len(rows[-1].seeds), one))
        budgets = []
        for built, factor in item.budgets:
            _, ids = asked_for(built, loaded.seeds(item.comparison, built.variant.name))
            point = row_of(built, ids, *facts_of(built, item), {}).model_dump()
            budgets.append(AtBudget(**point, factor=factor))
        # The baseline again, with seeds that no row of the study has.
        control = range(further, further + loaded.control(item.comparison) * bool(rows[0].trials))
        _, against_itself = asked_for(item.rows[0], control)
        asking = (loaded.latency(item.comparison), loaded.memory(item.comparison))
        measured = passes_of(loaded, item, *asking, runs, device, plugins, damaged)
        measured |= at_budgets(loaded, item, runs, device, plugins, damaged)
        together |= {found.id: found for metric in measured.values() for found in metric}
        ids_by_metric = {
            metric: list(dict.fromkeys(found.id for found in those))
            for metric, those in measured.items()
        }
        made = comparison_of(loaded, item, rows, ids_by_metric, against_itself)
        points = []
        for beside in sweeps.wanted(loaded, item):
            deciding = _used({"networks": list(beside.networks)}, plugins)
            points.append(sweeps.point(beside, item, deciding))
            untied += sweeps.untied(loaded, beside, facts[points[-1].facts])
        asked.append(made.model_copy(update={"budgets": budgets, "points": points}))
    if untied:
        raise SuiteError(loaded.source.name, loaded.source.text, untied)
    study = study_of(loaded, asked, device)
    full_cost = None
    trained = [comparison for comparison in asked if comparison.is_trained]
    if (
        study.profile != "full"
        and trained
        and all(fewest_steps(comparison) >= FEWEST_STEPS and not waiting for comparison in trained)
    ):  # a shorter trial is too small a base
        full_cost = _full_cost(loaded, checked, asked, facts)
    said = [*notices(study, checked), *cells.overridden(loaded), *cited.notices(loaded)]
    said += unmeasured.notices(loaded, device)
    basis = Basis(study, said, full_cost, foretell.too_few(study, checked))
    there = _there(runs, [slot.id for slot in slots(study)], damaged)
    paths = [str(path) for path in loaded.plugins.values()]
    tuned = {id: r for id, r in tried.items() if r is not None and r.status != "failed"}
    took = _durations(work, there | tuned, [one for *_, one in waiting], study.device, workers)
    trials = list(_trials(slots(study), work, there, took, runs, paths))
    searched = list(_trials(tuning_slots(study), work, tuned, took, runs, paths))
    following = [Following(label, count, took[one.pace]) for label, count, one in waiting]
    commits = [record.environment.get("commit") for record in there.values()]
    found = list(_to_read(study, read, there, runs, paths, damaged))
    # Process by process, all comparisons of one before the next, as trials go seed by seed.
    alone = sorted(together.values(), key=lambda one: (one.process is None, one.process or 0))
    return bring_together(basis, trials, alone, facts, damaged, commits, found, searched, following)


@dataclass(frozen=True, eq=False)
class _Work:
    """What trials have in common that differ in nothing but the seed."""

    built: BuiltRow
    spec: dict[str, Any]  # but for its seed

    @cached_property
    def pace(self) -> str:
        """What decides how long a trial takes: of equal paces, one is timed for all."""
        recipe = {k: v for k, v in self.built.config["recipe"].items() if k not in _NO_MATTER}
        config = {**self.spec["config"], "recipe": recipe}
        return records.canonical({**self.spec, "config": config})


# Of a recipe: what makes no difference to time.
_NO_MATTER = {
    *("lr", "momentum", "weight_decay", "l1", "no_decay", "schedule", "warmup"),
    "label_smoothing",
}


def _settled(
    loaded: Loaded,
    item: Checked,
    runs: Path,
    device: str,
    plugins: dict[str, str],
    works: tuple[dict[str, "_Work"], dict[str, "_Work"]],
    tried: dict[str, Record | None],
    damaged: list[str],
) -> Checked:
    """Return a comparison with the settings that its tuning has chosen, as far as it has.

    Args:
        loaded, item: a suite, and which of its comparisons.
        runs: the folder of all records.
        device, plugins: as of a spec.
        works: take what the trials of tuning have in common, by spec and by trial.
        tried: takes the records of these trials, None where there is none.
        damaged: takes what is said of records that were set aside.
    """
    asked = item.comparison.tuned(loaded.applied.profile)
    if asked is None:
        return item
    distinct, work = works
    kind = item.rows[0].config["task"]["kind"]
    metric = item.comparison.metric or catalog.load("tasks", kind).PRIMARY
    rows = []
    for built in item.rows:
        trials, found = [], []
        for cell in built.cells:
            with_it = replace(built, config=cell.config, full_config=cell.full_config)
            spec = _spec(with_it, 0, device, _used(cell.config, plugins))
            one = distinct.setdefault(records.canonical(spec), _Work(with_it, spec))
            ids = identities(spec, asked.tuning_seeds)
            for id in ids.values():
                work.setdefault(id, one)
                if id not in tried:
                    tried[id] = stored(runs, "trial", id, damaged)
            there = [tried[id] for id in ids.values()]
            trials.append(ids)
            found.append(tuning.cell(cell.settings, there, tuning.score_name(metric)))
        if not built.cells:  # it has no parameters
            rows.append(built)
            continue
        chosen = tuning.choose(found, catalog.load("metrics", metric).DIRECTION)
        if chosen is not None:
            cell = built.cells[chosen]
            built = replace(built, config=cell.config, full_config=cell.full_config)
        seeds = loaded.seeds(item.comparison, built.variant.name)
        rows.append(replace(built, tuned=Tuned(trials=trials, chosen=chosen, seeds=seeds)))
    return replace(item, rows=rows)


def identities(spec: Mapping[str, Any], seeds: Iterable[int]) -> dict[int, str]:
    """Return by seed the ids of what a spec asks for with that seed.

    They are those of `records.identity`, but what all seeds have in common is hashed once.
    """
    text = records.canonical({**spec, "seed": None})
    # Keys are sorted and no other of a trial's spec comes after "seed"; where one does, and so
    # `null}` is not the end, that is found here.
    before = text.removesuffix("null}")
    assert before.endswith('"seed":'), "a spec has a key that comes after its seed"
    common = hashlib.sha256(before.encode())
    found = {}
    for seed in seeds:
        state = common.copy()
        state.update(f"{seed}}}".encode())
        found[seed] = state.hexdigest()[:16]
    return found


def _there(runs: Path, ids: Iterable[str], damaged: list[str]) -> dict[str, Record]:
    """Return the records of trials that need no more work; what failed is tried again."""
    folder = records.folder(runs, "trial", "_").parent
    listed = {entry.name for entry in os.scandir(folder)} if folder.is_dir() else set()
    found = {}
    for id in ids:
        record = stored(runs, "trial", id, damaged) if id in listed else None
        if record is not None and record.status != "failed":
            found[id] = record
    return found


def _durations(
    work: Mapping[str, _Work],
    there: Mapping[str, Record],
    waiting: Iterable[_Work],
    device: str,
    workers: int,
) -> dict[str, float]:
    """Return the seconds of a trial of each pace, of those that wait for their settings too."""
    # One that diverged tells less than one that came to its end.
    ended = sorted(there.items(), key=lambda found: found[1].status == "ok")
    took = {work[id].pace: record.seconds for id, record in ended}
    unknown = {one.pace: one for one in (*work.values(), *waiting) if one.pace not in took}
    expected = _expected(unknown.values(), device, workers)
    return took | {one.pace: seconds for one, seconds in expected.items()}


def _trials(
    wanted: Iterable[Slot],
    work: Mapping[str, _Work],
    there: Mapping[str, Record],
    took: Mapping[str, float],
    runs: Path,
    plugins: list[str],
) -> Iterator[TrialPlan]:
    """Yield every trial with its state."""
    for slot in wanted:
        one, done = work[slot.id], slot.id in there
        job = {
            "spec": {**one.spec, "seed": slot.seed},
            "data": one.built.opened.component,
            "plugins": plugins,
            "runs": str(runs),
        }
        seconds = there[slot.id].seconds if done else took[one.pace]
        yield TrialPlan(slot.id, slot.seed, slot.comparison, slot.label, job, done, seconds)


def _expected(unknown: Iterable[_Work], device: str, workers: int) -> dict[_Work, float]:
    """Return the seconds of trials of which no seed was run, so many side by side, by timed steps.

    Each is timed alone. How much longer it takes beside others is measured on the longest of them:
    threads that do the same steps at once get in each other's way as processes do.
    """
    found = {one: _probed(one, device) for one in dict.fromkeys(unknown)}
    if not found or workers == 1 or device != "cpu":
        return found
    longest = max(found, key=lambda one: found[one])
    with ThreadPoolExecutor(workers) as pool:
        beside = list(pool.map(lambda _: _probed(longest, device), range(workers)))
    slower = max(1.0, statistics.fmean(beside) / found[longest])
    return {one: seconds * slower for one, seconds in found.items()}


def _probed(one: _Work, device: str) -> float:
    try:
        dataset = one.built.opened.dataset
        return probe.seconds(one.built.config, dataset, one.spec["precision"], device)
    except Exception:  # its trials fail as early, and their records say why
        return 1.0


def _full_cost(
    loaded: Loaded,
    checked: list[Checked],
    asked: list[ComparisonAsked],
    facts: dict[str, Record],
) -> dict[str, float]:
    """Return how many core-seconds of the full profile stand for each second of a trial.

    Time goes with MACs and images. Each row counts by its first trial.
    """
    found: dict[str, float] = {}
    for item, comparison in zip(checked, asked, strict=True):
        for row in comparison.rows:
            work = [
                (facts[fact].metrics["macs"].value or 1)
                * config["recipe"]["epochs"]
                * min(
                    config["data"]["train_images"] or 10**9, len(item.opened.dataset.train.images)
                )
                for fact, config in ((row.full_facts, row.full_config), (row.facts, row.config))
            ]
            if not row.trials:
                continue
            first = next(iter(row.trials.values()))
            runs = len(loaded.seeds(item.comparison, row.variant, "full"))
            if row is comparison.rows[0]:
                runs += loaded.control(item.comparison, "full")
            found[first] = found.get(first, 0.0) + work[0] / work[1] * runs
    return found


def _seeds_asked(loaded: Loaded, checked: list[Checked]) -> Iterator[int]:
    """Yield the seeds of all rows."""
    for item in checked:
        for built in item.rows:
            yield from loaded.seeds(item.comparison, built.variant.name)


def _spec(built: BuiltRow, seed: int, device: str, plugins: dict[str, str]) -> dict[str, Any]:
    chosen, _ = precision.choose(built.config["recipe"]["precision"], device)
    digest = built.opened.dataset.digest
    return spec_of(built.config, seed, digest, chosen, device, plugins)


def _used(config: Mapping[str, Any], plugins: Mapping[str, str]) -> dict[str, str]:
    """Return the plugins that may decide what comes of a configuration, with their digests.

    None for a configuration that names no plugin, so that a suite with plugins shares its baseline
    with suites that have none; else all that can be part of a trial, since one may use another.
    What data sets decide is in the digest of the images; metrics decide nothing.
    """
    parts = {
        entry: code
        for entry, code in plugins.items()
        if entry.startswith(("blocks/", "networks/", "tasks/"))
    }
    named = {entry.rpartition("/")[2] for entry in parts}
    return parts if named & set(_names(config)) else {}


def _names(tree: Any) -> Iterator[str]:
    """Yield the names of the components in a configuration."""
    if isinstance(tree, Mapping):
        yield from (tree[key] for key in ("kind", "family") if isinstance(tree.get(key), str))
        tree = list(tree.values())
    if isinstance(tree, list):
        for part in tree:
            yield from _names(part)


def fact_spec(
    config: Mapping[str, Any], item: Checked, plugins: Mapping[str, str]
) -> dict[str, Any]:
    """Return what determines the facts of the network of a configuration; its hash is their id."""
    measures = {name: code for name, code in plugins.items() if name.startswith("metrics/")}
    deciding = measures | _used({"network": config["network"]}, plugins)
    names = metrics.of_kind("fact")
    return taking.spec_of([config["network"]], names, item.shape, item.outputs, deciding)


def facts_of(
    loaded: Loaded,
    checked: Iterable[Checked],
    runs: Path,
    plugins: Mapping[str, str],
    damaged: list[str],
) -> tuple[dict[str, Record], list[list[str]]]:
    """Return the facts of the full networks of all rows by id, and the ids of each comparison."""
    ids, wanted = [], {}
    for item in checked:
        specs = [fact_spec(built.full_config, item, plugins) for built in item.rows]
        ids.append([records.identity(spec) for spec in specs])
        for built, id, spec in zip(item.rows, ids[-1], specs, strict=True):
            wanted[id] = (f"{item.comparison.id}/{built.variant.name}", spec)
    return _facts(wanted, runs, loaded, damaged, 1, None), ids


def _facts_wanted(
    loaded: Loaded, checked: Iterable[Checked], plugins: Mapping[str, str]
) -> Iterator[tuple[str, tuple[str, dict[str, Any]]]]:
    """Yield the ids of all facts of comparisons, each with whose they are and their spec."""
    for item in checked:
        for built in (*item.rows, *(point for point, _ in item.budgets)):
            for config in (built.config, built.full_config):
                spec = fact_spec(config, item, plugins)
                yield records.identity(spec), (f"{item.comparison.id}/{built.variant.name}", spec)
        for beside in sweeps.wanted(loaded, item):
            spec = sweeps.spec_of(beside, item, _used({"networks": [*beside.networks]}, plugins))
            name = f"{item.comparison.id}/{' and '.join(beside.variants)}"
            yield records.identity(spec), (name, spec)


def _facts(
    wanted: taking.Wanted,
    runs: Path,
    loaded: Loaded,
    damaged: list[str],
    takers: int,
    show: Callable[[int, int], None] | None,
) -> dict[str, Record]:
    """Return the records of facts by id: those that are there, and those that are taken now."""
    there = {id: stored(runs, "fact", id, damaged) for id in wanted}
    missing = {id: one for id, one in wanted.items() if there[id] is None}
    paths = [str(path) for path in loaded.plugins.values()]
    taken = taking.take(missing, runs, paths, takers, show)
    return {id: record for id, record in there.items() if record is not None} | taken


def passes_of(
    loaded: Loaded,
    item: Checked,
    timed: Latency | None,
    peaks: Memory | None,
    runs: Path,
    device: str,
    plugins: dict[str, str],
    damaged: list[str],
) -> dict[str, list[PassPlan]]:
    """Return the passes of a comparison by metric, those of each process in order.

    They are about the full networks, as facts are: what a width that saves time in training would
    say of them is little.

    Args:
        loaded, item: a suite, and which of its comparisons.
        timed, peaks: how latency and memory are measured; None: not at all.
        runs: the folder of all records.
        device: where. None are planned where a suite does not measure by itself.
        plugins: name → SHA-256 of each plugin file.
        damaged: takes what is said of records that were set aside.
    """
    if device not in passes.DEVICES:
        return {}
    configs = [row.full_config["network"] for row in item.rows]
    used = {k: v for row in item.rows for k, v in _used(row.full_config, plugins).items()}
    paths = [str(path) for path in loaded.plugins.values()]

    def plan(spec: dict[str, Any], name: str, process: int | None, expected: float) -> PassPlan:
        id = records.identity(spec)
        record = stored(runs, "pass", id, damaged)
        done = record is not None and record.status == "ok"
        seconds = record.seconds if done and record else expected
        job = {"spec": spec, "plugins": paths, "runs": str(runs)}
        return PassPlan(id, f"{name} of {item.comparison.id}", job, done, seconds, process)

    found: dict[str, list[PassPlan]] = {}
    if timed is not None:
        settings = passes.settings(
            device,
            timed.threads,
            phases=timed.phases,
            batches=timed.batches,
            precisions=timed.precisions,
            memory_formats=timed.memory_formats,
            modes=timed.modes,
        )
        for process in range(timed.processes):
            spec = passes.spec_of(
                "latency",
                configs,
                item.shape,
                item.outputs,
                used,
                settings,
                timed.rounds,
                process,
            )
            one = plan(spec, "latency", process, passes.expected_seconds(spec))
            one = replace(one, name=f"{one.name}, process {process + 1} of {timed.processes}")
            found.setdefault("latency", []).append(one)
    if peaks is not None:
        for phase in peaks.phases:
            metric = {"inference": "inference_memory", "training_step": "training_memory"}[phase]
            settings = passes.settings(
                device,
                peaks.threads,
                phases=[phase],
                batches=peaks.batches,
                precisions=peaks.precisions,
            )
            for row in item.rows:
                spec = passes.spec_of(
                    metric,
                    [row.full_config["network"]],
                    item.shape,
                    item.outputs,
                    used,
                    settings,
                    peaks.rounds,
                )
                name = f"{metric.replace('_', ' ')} of {row.variant.name}"
                one = plan(spec, name, None, passes.PEAK)
                found.setdefault(metric, []).append(one)
    return found


def at_budgets(
    loaded: Loaded,
    item: Checked,
    runs: Path,
    device: str,
    plugins: dict[str, str],
    damaged: list[str],
) -> dict[str, list[PassPlan]]:
    """Return the passes that time the networks of further widths beside those of the rows.

    They are the networks as trained: what is saved for the same result is read of these.
    """
    if not item.budgets:
        return {}
    curves = [*item.rows, *(built for built, _ in item.budgets)]
    as_trained = replace(item, rows=[replace(row, full_config=row.config) for row in curves])
    timed = loaded.latency(item.comparison)
    found = passes_of(loaded, as_trained, timed, None, runs, device, plugins, damaged)
    renamed = [
        replace(one, name=one.name.replace("latency of", "latency at the budgets of", 1))
        for one in found.get("latency", [])
    ]
    return {"latency_at_budgets": renamed} if renamed else {}


def _readings(
    loaded: Loaded, item: Checked, trials: Mapping[int, str], plugins: Mapping[str, str]
) -> dict[int, dict[str, Any]]:
    """Return the specs of the readings of a row by seed, {} where no metric is asked for."""
    names = item.comparison.metrics_read(loaded.applied.profile)
    if not names:
        return {}
    return {
        seed: readings.spec_of(id, names, item.shape, item.outputs, plugins)
        for seed, id in list(trials.items())[: readings.SEEDS]
    }


def _to_read(
    study: Study,
    specs: Mapping[str, dict[str, Any]],
    trials: Mapping[str, Record],
    runs: Path,
    plugins: list[str],
    damaged: list[str],
) -> Iterator[ReadingPlan]:
    """Yield every reading with its state, but those of trials that are there without weights."""
    found = {}
    wanted = []
    for slot in reading_slots(study):
        record = stored(runs, "reading", slot.id, damaged)
        if record is not None and record.status == "ok":
            found[slot.id] = record
        elif slot.trial in trials and records.weights(runs, slot.trial) is None:
            continue
        wanted.append(slot)
    known = [record.seconds for record in found.values()]
    expected = statistics.fmean(known) if known else readings.EXPECTED
    for slot in wanted:
        done = slot.id in found
        job = {"spec": specs[slot.id], "plugins": plugins, "runs": str(runs)}
        seconds = found[slot.id].seconds if done else expected
        yield ReadingPlan(slot.id, slot.trial, slot.name, job, done, seconds)


def precision_of(trial: TrialPlan) -> tuple[str, str]:
    """Return the precision that a trial is trained in, and why in words."""
    spec = trial.job["spec"]
    return precision.choose(spec["config"]["recipe"]["precision"], spec["device"])


def pick_device(wanted: str | None) -> str:
    """Return the device to train on: what is asked for, else CUDA if there is any, else the CPU.

    Raises:
        SuiteError: the device that is asked for is not there.
    """
    there = {
        "cpu": True,
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
    }
    if wanted is None:
        return "cuda" if there["cuda"] else "cpu"
    if not there.get(wanted, False):
        usable = ", ".join(name for name, yes in there.items() if yes)
        message = f"{wanted!r} is not to be had on this machine; usable: {usable}"
        raise SuiteError("", "", [Problem("--device", message)])
    return wanted
