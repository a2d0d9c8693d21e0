"""The plan: a study with the ids of everything it needs, what is there already, and the time left.

Trials go seed by seed, all variants of one seed before the next, so that a run that is interrupted
is balanced, and drift of the machine falls on all variants alike.
"""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ablate import catalog, environment, metrics, passes, records
from ablate.data import Dataset
from ablate.records import Record
from ablate.study import ComparisonAsked, Row, Study
from ablate.suite.ask import comparison_of, row_of, study_of
from ablate.suite.load import Loaded
from ablate.suite.notices import FEWEST_STEPS, fewest_steps, notices
from ablate.suite.preflight import BuiltRow, Checked
from ablate.suite.source import Problem, SuiteError
from ablate.train import ENGINE, precision, probe
from ablate.train.trial import assemble, spec_of


@dataclass(frozen=True)
class TrialPlan:
    """One trial of the plan and what is known of it."""

    id: str
    seed: int
    comparison: str  # that needs it first
    label: str  # of the row there: "depthwise/normal"
    job: dict[str, Any]  # for the executor
    done: bool
    seconds: float  # what it took, or is expected to take

    @property
    def name(self) -> str:
        """How people are told of it."""
        return f"{self.label} seed {self.seed}"


@dataclass(frozen=True)
class PassPlan:
    """What is measured over the networks of a comparison together, and what is known of it."""

    id: str
    name: str  # for people: "latency of depthwise"
    job: dict[str, Any]  # for the executor
    done: bool
    seconds: float


@dataclass(frozen=True)
class Plan:
    """Everything that `ablate run` will do, before it does it."""

    study: Study
    trials: list[TrialPlan]  # each once, seed-major
    passes: list[PassPlan]  # after the trials, one at a time
    facts: dict[str, Record]
    damaged: list[str]  # records that were set aside, in words
    notices: list[str]  # what the user should know before paying for it
    other: tuple[str, float] | None  # another profile and its core-seconds, for who wants more

    @property
    def missing(self) -> list[TrialPlan]:
        """The trials that are yet to be run, in order."""
        return [trial for trial in self.trials if not trial.done]

    @property
    def missing_passes(self) -> list[PassPlan]:
        """The passes that are yet to be measured, in order."""
        return [found for found in self.passes if not found.done]


def make(loaded: Loaded, checked: list[Checked], runs: Path, device: str) -> Plan:
    """Turn checked comparisons into a study, trials and facts.

    Facts are computed and recorded where they are missing (they take a second, and need no seed);
    nothing is trained. Damaged records are set aside, so that they are made again.

    Raises:
        NewerRecord: a record is of a newer version of ablate.
        SuiteError: the device cannot train in the precision that is asked for.
    """
    damaged: list[str] = []
    facts: dict[str, Record] = {}
    plugins = {name: catalog.digest(path) for name, path in loaded.plugins.items()}
    trials: dict[str, TrialPlan] = {}
    pace = _Pace(runs, damaged, device)
    together: dict[str, PassPlan] = {}
    asked = []
    for item in checked:
        rows = []
        for built in item.rows:
            ids = {}
            for seed in loaded.seeds(item.comparison, built.variant.name):
                spec = _spec(built, seed, device, _used(built.config, plugins))
                job = {
                    "spec": spec,
                    "data": built.opened.component,
                    "plugins": [str(path) for path in loaded.plugins.values()],
                    "runs": str(runs),
                }
                ids[seed] = records.identity(spec)
                label = f"{item.comparison.id}/{built.variant.name}"
                if built.matches != ["none"] and built is not item.rows[0]:
                    label += f" (equal {', '.join(m for m in built.matches if m != 'none')})"
                if ids[seed] not in trials:
                    done, seconds = pace.of(ids[seed], spec, built.config, built.opened.dataset)
                    trials[ids[seed]] = TrialPlan(
                        ids[seed], seed, item.comparison.id, label, job, done, seconds
                    )
            fact = _fact(runs, built.config, item, plugins, facts, damaged)
            full = _fact(runs, built.full_config, item, plugins, facts, damaged)
            rows.append(row_of(built, ids, fact, full))
        timed = _latency(loaded, item, runs, device, plugins, damaged)
        if timed is not None:
            together[timed.id] = timed
        ids_by_metric = {} if timed is None else {"latency": timed.id}
        asked.append(comparison_of(loaded, item, rows, ids_by_metric))
    study = study_of(loaded, asked, device)
    ordered = sorted(trials.values(), key=lambda trial: study.seeds.index(trial.seed))
    other = None
    if study.profile != "full" and all(
        fewest_steps(comparison) >= FEWEST_STEPS for comparison in asked
    ):  # a shorter trial is too small a base
        other = ("full", _full_cost(loaded, checked, trials, asked, facts))
    said = [*notices(study, checked), *pace.notices()]
    return Plan(study, ordered, list(together.values()), facts, damaged, said, other)


class _Pace:
    """How long trials take: from records of the same configuration, else from a few timed steps."""

    def __init__(self, runs: Path, damaged: list[str], device: str) -> None:
        self.runs, self.damaged, self.device = runs, damaged, device
        self.known: dict[str, float] = {}
        self.other_code: dict[str, int] = {}  # trials that are there already, by their commit

    def of(
        self, id: str, spec: dict[str, Any], config: dict[str, Any], dataset: Dataset
    ) -> tuple[bool, float]:
        """Return whether a trial needs no more work, and its seconds."""
        key = records.canonical({**spec, "seed": None})
        record = stored(self.runs, "trial", id, self.damaged)
        if record is not None and record.status != "failed":  # what failed is tried again
            commit, current = record.environment.get("commit"), environment.code()[0]
            if commit and current and commit != current:
                self.other_code[commit] = self.other_code.get(commit, 0) + 1
            self.known[key] = record.seconds
            return True, record.seconds
        if key not in self.known:
            try:
                seconds = probe.seconds(config, dataset, spec["precision"], self.device)
            except Exception:  # its trials fail as early, and their records say why
                seconds = 1.0
            self.known[key] = seconds
        return False, self.known[key]

    def notices(self) -> list[str]:
        """Say which trials come from other code; what changes their result changes `ENGINE`."""
        return [
            f"{count} trials that are there already come from commit {commit[:12]}"
            for commit, count in self.other_code.items()
        ]


def _full_cost(
    loaded: Loaded,
    checked: list[Checked],
    trials: dict[str, TrialPlan],
    asked: list[ComparisonAsked],
    facts: dict[str, Record],
) -> float:
    """Return about what the full profile takes, in core-seconds: time goes with MACs and images."""
    total = 0.0
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
            one = trials[next(iter(row.trials.values()))].seconds
            seeds = loaded.seeds(item.comparison, row.variant, "full")
            total += one * work[0] / work[1] * len(seeds)
    return total


def stored(runs: Path, kind: records.Kind, id: str, damaged: list[str]) -> Record | None:
    """Return a record; set a damaged one aside, name it in `damaged` and return None.

    Raises:
        NewerRecord: it is of a newer version of ablate.
    """
    try:
        return records.read(runs, kind, id)
    except records.NewerRecord:
        raise
    except records.DamagedRecord as error:
        moved = records.set_aside(runs, kind, id)
        damaged.append(f"{error}; set aside as {moved}, it is made again")
        return None


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


def _fact(
    runs: Path,
    config: dict[str, Any],
    item: Checked,
    plugins: dict[str, str],
    facts: dict[str, Record],
    damaged: list[str],
) -> str:
    """Return the id of a network's fact record, computing it where it is missing."""
    measures = {name: code for name, code in plugins.items() if name.startswith("metrics/")}
    spec = {
        "engine": ENGINE,
        "network": config["network"],
        "input_shape": list(item.shape),
        "outputs": item.outputs,
        "metrics": metrics.of_kind("fact"),  # one that is added is computed for old networks too
        "plugins": measures | _used({"network": config["network"]}, plugins),
    }
    id = records.identity(spec)
    if id not in facts:
        found = stored(runs, "fact", id, damaged)
        if found is None:
            started, began = records.now(), time.perf_counter()
            network, _, _ = assemble(config, item.opened.dataset)
            found = Record(
                kind="fact",
                id=id,
                spec=spec,
                status="ok",
                metrics=metrics.facts(network, item.shape),
                seconds=time.perf_counter() - began,
                environment=environment.describe("cpu"),
                started=started,
                finished=records.now(),
            )
            records.write(runs, found)
        facts[id] = found
    return id


def _latency(
    loaded: Loaded,
    item: Checked,
    runs: Path,
    device: str,
    plugins: dict[str, str],
    damaged: list[str],
) -> PassPlan | None:
    """Return the latency pass of a comparison, None where none is asked for or can be made.

    It is about the full networks, as facts are: what a width that saves time in training would say
    of them is little.
    """
    wanted = loaded.latency
    if wanted is None or device not in passes.DEVICES:
        return None
    used = {k: v for row in item.rows for k, v in _used(row.full_config, plugins).items()}
    spec = passes.spec_of(
        [row.full_config["network"] for row in item.rows],
        item.shape,
        item.outputs,
        used,
        device,
        wanted.batches,
        wanted.rounds,
    )
    id = records.identity(spec)
    record = stored(runs, "pass", id, damaged)
    done = record is not None and record.status == "ok"
    paths = [str(path) for path in loaded.plugins.values()]
    return PassPlan(
        id,
        f"latency of {item.comparison.id}",
        {"spec": spec, "plugins": paths, "runs": str(runs)},
        done,
        record.seconds if done and record else passes.expected_seconds(spec),
    )


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


def by_row(plan: Plan) -> Iterator[tuple[ComparisonAsked, Row, int, int]]:
    """Yield every row with how many of its trials are done and planned."""
    done = {trial.id for trial in plan.trials if trial.done}
    for comparison in plan.study.comparisons:
        for row in comparison.rows:
            yield comparison, row, len(done & set(row.trials.values())), len(row.trials)
