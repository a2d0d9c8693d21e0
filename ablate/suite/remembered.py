"""Plans that were made before: what need not be worked out again where all of it is there.

A plan follows from the suite, the command line, the code, the packages, the machine and the data.
Making one takes torch and builds all networks; whether what it follows from is what it was shows
in a moment. So the plan of a request is kept in `runs/plans/<suite>-<hash of the request>.json`,
beside all of that. It is used where all of that is equal and every record that it needs is there,
sound and not failed; in any other case the plan is made anew. The folder may be deleted at any
time.

Data sets are opened again, as planning opens them, and compared. Of a suite with plugins the files
of all modules count that belong to no installed package; what a plugin reads besides is not seen,
as it is not in the ids of its trials either. The register that its claims cite counts as well.
"""

import contextlib
import hashlib
import json
import os
import platform
import sys
import sysconfig
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from ablate import catalog, environment, records
from ablate.data import DataError, Dataset, open_data
from ablate.evidence import tuning as tuned_by
from ablate.records import DamagedRecord, Record
from ablate.study import Study
from ablate.suite import cited
from ablate.suite.load import Loaded, find
from ablate.suite.planned import (
    Basis,
    PassPlan,
    Plan,
    ReadingPlan,
    TrialPlan,
    bring_together,
    reading_slots,
    slots,
    tuning_slots,
)
from ablate.suite.request import Request

if TYPE_CHECKING:
    from ablate.suite.preflight import Checked

SCHEMA = 1  # of an entry; one of another number is not used

# Variables that decide which GPUs torch sees, and what it does with them.
_VARIABLES = ("CUDA", "HIP", "ROCR", "NVIDIA", "PYTORCH", "LD_LIBRARY_PATH")
# Where drivers say which GPUs there are.
_DEVICES = ("/dev/nvidia*", "/dev/nvidia-caps/*", "/dev/kfd", "/dev/dri/*", "/dev/dxg")
_DRIVERS = ("/proc/driver/nvidia/version", "/proc/driver/nvidia/gpus/*/information")


@dataclass(frozen=True)
class Inputs:
    """What a plan follows from, but for the data and what plugins import."""

    place: str  # the entry's file name: a request has one
    values: dict[str, Any]  # JSON
    looked: float  # when these were seen, in seconds since the epoch


def inputs(asked: Request, device: str | None) -> Inputs:
    """Return what the plan of a request follows from, as it is now.

    Args:
        asked: of the command line.
        device: that was asked for, None where it was not said.

    Raises:
        SuiteError: there is no such suite.
    """
    looked = time.time()
    suite = find(asked.suite).resolve()
    request = {
        "suite": str(suite),
        "profile": asked.profile,
        "data": asked.data,
        "seeds": asked.seeds,
        "control": asked.control,
        "overrides": list(asked.overrides),
        "device": device,
    }
    values = {
        "schema": SCHEMA,
        "request": request,
        "as_written": asked.suite,  # messages and origins show it
        "suite": _digest(suite) if os.access(suite, os.R_OK) else None,
        "code": _code(),
        "commit": environment.code(),
        "python": sys.version,
        "packages": _packages(),
        "machine": _machine(),
        "variables": {
            name: value for name, value in os.environ.items() if name.startswith(_VARIABLES)
        },
    }
    place = f"{suite.stem}-{records.identity(request)}.json"
    return Inputs(place, json.loads(records.canonical(values)), looked)


def recall(given: Inputs, runs: Path) -> Plan | None:
    """Return the plan that was kept for these inputs, None where one must be made.

    It has no jobs, since nothing of it is missing. Nothing is set aside or computed.
    """
    entry = _read(runs / "plans" / given.place)
    if entry is None or entry["inputs"] != given.values:
        return None
    try:
        study = Study.model_validate(entry["study"])
        if any(_digest(Path(path)) != digest for path, digest in entry["modules"].items()):
            return None
        there = _everything(study, runs)  # first, since it is the cheaper to find missing
        if there is None or not _chosen_as_then(study, there):
            return None
        for path in entry["plugins"]:
            catalog.plug(Path(path))
        for seen in entry["data"]:
            fallback = seen["fallback"]
            found = open_data(seen["asked"], fallback, allow_fallback=fallback is not None)
            if _seen(seen["asked"], fallback, *found) != seen:
                return None
    except (OSError, ValidationError, DataError, DamagedRecord, catalog.PluginError):
        return None
    # What is written into a study is when it was asked first; if it is gone, that is now.
    study = study.model_copy(update={"created": records.now()})
    basis = Basis(study, entry["notices"], entry["full"], entry["too_few"])
    trials = [
        TrialPlan(s.id, s.seed, s.comparison, s.label, {}, True, there["trial", s.id].seconds)
        for s in slots(study)
    ]
    tuning = [
        TrialPlan(s.id, s.seed, s.comparison, s.label, {}, True, there["trial", s.id].seconds)
        for s in tuning_slots(study)
    ]
    passes = [
        PassPlan(id, name, {}, True, there["pass", id].seconds)
        for id, name in entry["passes"].items()
    ]
    readings = [
        ReadingPlan(s.id, s.trial, s.name, {}, True, there["reading", s.id].seconds)
        for s in reading_slots(study)
        if ("reading", s.id) in there
    ]
    facts = {id: record for (kind, id), record in there.items() if kind == "fact"}
    commits = [there["trial", trial.id].environment.get("commit") for trial in trials]
    return bring_together(basis, trials, passes, facts, [], commits, readings, tuning, [])


def keep(
    given: Inputs,
    asked: Request,
    device: str | None,
    loaded: Loaded,
    checked: "list[Checked]",
    plan: Plan,
    runs: Path,
) -> None:
    """Keep a plan for the next time, unless something that it was made from has just changed.

    Args:
        given: from `inputs`, before the suite was read.
        asked: as of `inputs`.
        device: as of `inputs`.
        loaded: the suite as it was read.
        checked: its comparisons.
        plan: made of these.
        runs: the folder of all records.
    """
    assert plan.basis is not None  # it was made
    if plan.following:  # it ends where settings are chosen, and is made anew then
        return
    cites = cited.file(loaded)
    modules = [*(_modules() if loaded.plugins else []), *([cites.resolve()] if cites else [])]
    data = {}
    for source in (source for item in checked for source in item.sources):
        seen = _seen(source.asked, source.fallback, source.dataset, source.used, source.reason)
        data[records.canonical(seen)] = seen
    with contextlib.suppress(OSError):  # the next run plans again, that is all
        if any(path.stat().st_mtime >= given.looked for path in modules):
            return
        entry = {
            "inputs": given.values,
            "plugins": [str(path) for path in loaded.plugins.values()],
            "modules": {str(path): _digest(path) for path in modules},
            "data": list(data.values()),
            "study": plan.study.model_dump(mode="json"),
            "passes": {found.id: found.name for found in plan.passes},
            "notices": plan.basis.notices,
            "too_few": plan.basis.too_few,
            "full": plan.basis.full,
        }
        now = inputs(asked, device).values
        if {**now, "variables": given.values["variables"]} == given.values:  # torch sets its own
            text = json.dumps({"id": records.identity(entry), **entry})
            records.write_text(runs / "plans" / given.place, text + "\n")


def _read(path: Path) -> dict[str, Any] | None:
    """Return an entry, None where there is none, or not as it was written."""
    try:
        entry = json.loads(path.read_text(encoding="utf-8"))
        id = entry.pop("id")
        return entry if id == records.identity(entry) else None
    except (OSError, ValueError, RecursionError, AttributeError, KeyError, TypeError):
        return None


def _everything(study: Study, runs: Path) -> dict[tuple[records.Kind, str], Record] | None:
    """Return all records of a study by kind and id, None where one is missing or failed.

    Readings that cannot be taken, since there are no weights, are not missing.

    Raises:
        DamagedRecord: one cannot be read.
    """
    wanted: dict[tuple[records.Kind, str], None] = {}
    for comparison in study.comparisons:
        for row in (*comparison.rows, *comparison.budgets):
            wanted |= {("fact", row.facts): None, ("fact", row.full_facts): None}
            wanted |= {("trial", id): None for id in row.trials.values()}
            for cell in row.tuned.trials if row.tuned else ():
                wanted |= {("trial", id): None for id in cell.values()}
        wanted |= {("fact", point.facts): None for point in comparison.points}
        wanted |= {("trial", id): None for id in comparison.control.values()}
        wanted |= {("pass", id): None for ids in comparison.passes.values() for id in ids}
    for slot in reading_slots(study):
        is_there = records.folder(runs, "reading", slot.id).exists()
        if is_there or records.weights(runs, slot.trial) is not None:
            wanted["reading", slot.id] = None
    if not all(records.folder(runs, kind, id).exists() for kind, id in wanted):
        return None
    found: dict[tuple[records.Kind, str], Record] = {}
    for kind, id in wanted:
        record = records.read(runs, kind, id)
        if (
            record is None
            or record.status == "failed"
            or (kind in ("pass", "reading") and record.status != "ok")
        ):
            return None
        found[kind, id] = record
    return found


def _chosen_as_then(study: Study, there: Mapping[tuple[records.Kind, str], Record]) -> bool:
    """Whether tuning chooses of these records what the study says that it chose."""
    found = {id: record for (kind, id), record in there.items() if kind == "trial"}
    return all(
        tuned_by.choose(tuned_by.cells(comparison, row, found), comparison.measure.direction)
        == row.tuned.chosen
        for comparison in study.comparisons
        for row in comparison.rows
        if row.tuned is not None
    )


def _seen(
    asked: dict[str, Any], fallback: str | None, dataset: Dataset, used: str, reason: str | None
) -> dict[str, Any]:
    """Return what was asked of `open_data` and what it gave: JSON, with the arrays' digest."""
    splits = {"train": dataset.train, "validation": dataset.validation, "test": dataset.test}
    return {
        "asked": asked,
        "fallback": fallback,
        "used": used,
        "reason": reason,
        "title": dataset.title,
        "classes": dataset.classes,
        "notes": dataset.notes,
        "lossy": dataset.lossy,
        "digest": dataset.digest,
        "shapes": {
            name: list(split.images.shape) for name, split in splits.items() if split is not None
        },
    }


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _code() -> str:
    """Return a digest over every file of this package that is Python."""
    state = hashlib.sha256()
    for path in sorted(catalog.PACKAGE.rglob("*.py")):
        state.update(f"{path.relative_to(catalog.PACKAGE)}\0{_digest(path)}\n".encode())
    return state.hexdigest()


def _packages() -> list[str]:
    """Return what is installed, with versions, by the names of its metadata's folders."""
    found: set[str] = set()
    for folder in sys.path:
        with contextlib.suppress(OSError):  # an archive, or not there
            found |= {name for name in os.listdir(folder or ".") if name.endswith("-info")}
    return sorted(found)


def _machine() -> dict[str, Any]:
    """Return what decides device and precision, and what times of this machine go by."""
    gpus = sorted(str(path) for pattern in _DEVICES for path in Path("/").glob(pattern[1:]))
    drivers = [
        path.read_text(encoding="utf-8", errors="replace")
        for pattern in _DRIVERS
        for path in sorted(Path("/").glob(pattern[1:]))
    ]
    return {
        "system": [sys.platform, platform.machine(), platform.release()],
        "cpu": sorted(set(_cpu())),
        "cores": os.cpu_count(),
        "gpus": gpus,
        "drivers": drivers,
    }


def _cpu() -> Iterator[str]:
    """Yield what Linux says of the processors: model and features."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith(("model name", "flags", "Features", "CPU part")):
                yield line


def _modules() -> list[Path]:
    """Return the files of imported modules that belong to no installed package, nor to this one."""
    installed = (
        sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")
    )
    own = tuple(f"{folder}{os.sep}" for folder in (catalog.PACKAGE, *installed))
    files = {getattr(module, "__file__", None) for module in list(sys.modules.values())}
    return sorted(
        Path(file) for file in files if file and not file.startswith(own) and Path(file).is_file()
    )
