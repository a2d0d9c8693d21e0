"""Facts: what follows from the structure of networks, taken where no record has it yet.

Most take a blink and are taken here and now. Those that are left after `PATIENCE` seconds go to
worker processes, as many as may run side by side: a worker takes some seconds to begin, which only
large networks are worth. Who takes a fact makes no difference to it: all compute with one thread.
"""

import errno
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import torch

from ablate import catalog, environment, metrics, records
from ablate.execute import Done, Lost
from ablate.records import Measurement, Record
from ablate.suite.source import Problem, SuiteError
from ablate.train import ENGINE, allocator

PATIENCE: Final = 4.0  # seconds
WORK: Final = "ablate.suite.taking:run"

PAIR: Final = "equality"  # the metric of two networks
_WITHOUT_VALUES: Final = {"params"}  # metrics of which no forward pass is needed

Wanted = Mapping[str, tuple[str, dict[str, Any]]]  # by id: for people whose facts, and their spec


def spec_of(
    networks: Sequence[Mapping[str, Any]],
    names: Sequence[str],
    shape: Sequence[int],
    outputs: int,
    plugins: Mapping[str, str],
) -> dict[str, Any]:
    """Return what determines the facts of a network, or of two together; its hash is their id.

    Args:
        networks: one or two configurations ("family" and its options).
        names: of metrics; one that is added is computed for old networks too.
        shape: (channels, height, width) of one image.
        outputs: that the networks are built for.
        plugins: name → SHA-256 of each plugin file that may decide them.
    """
    of = {"networks": list(networks)} if len(networks) == 2 else {"network": networks[0]}
    return {
        "engine": ENGINE,
        **of,
        "input_shape": list(shape),
        "outputs": outputs,
        "metrics": list(names),
        "plugins": dict(plugins),
    }


def take(
    wanted: Wanted,
    runs: Path,
    plugins: Sequence[str] = (),
    workers: int = 1,
    show: Callable[[int, int], None] | None = None,
    patience: float = PATIENCE,
) -> dict[str, Record]:
    """Take facts and record them; return the records by id.

    Args:
        wanted: none of which is on record.
        runs: the folder of all records.
        plugins: paths of the files that workers need.
        workers: how many may run side by side; with 1 all is done in this process.
        show: is told after each how many are taken, and of how many.
        patience: seconds after which what is left goes to workers.

    Raises:
        SuiteError: a worker died of a network, and once more when nothing ran beside it.
        NoRoom: the disk is full.
    """
    found: dict[str, Record] = {}
    began, left = time.perf_counter(), dict(wanted)
    while left and (workers == 1 or time.perf_counter() - began < patience):
        id = next(iter(left))
        found[id] = _taken(left.pop(id)[1], runs)
        if show is not None:
            show(len(found), len(wanted))
    jobs = [{"spec": s, "plugins": list(plugins), "runs": str(runs)} for _, s in left.values()]
    lost = []
    for index, loss in _beside(jobs, min(workers, len(jobs))):
        if loss is not None:
            lost.append(index)
            continue
        id = list(left)[index]
        found[id] = _read(runs, id)
        if show is not None:
            show(len(found), len(wanted))
    problems = []
    for index in lost:  # perhaps for what ran beside it: once more, alone
        id, (name, _) = list(left.items())[index]
        for _, loss in _beside([jobs[index]], 1):
            if loss is None:
                found[id] = _read(runs, id)
                continue
            problems.append(Problem(name, f"its facts could not be taken: {loss}"))
    if problems:
        raise SuiteError("", "", problems)
    return found


def run(job: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Take the facts of one spec: work for an executor.

    Yields:
        {"record": path, "status": "ok"}.

    Raises:
        NoRoom: the disk is full.
    """
    for path in job["plugins"]:
        catalog.plug(Path(path))
    torch.set_num_threads(1)
    allocator.keep_freed_memory()
    runs = Path(job["runs"])
    record = _taken(job["spec"], runs)
    yield {"record": str(records.folder(runs, "fact", record.id)), "status": record.status}


def measured(spec: Mapping[str, Any]) -> dict[str, Measurement]:
    """Return the facts that a spec asks for, by metric."""
    names, shape = spec["metrics"], tuple(spec["input_shape"])
    configs = spec.get("networks") or [spec["network"]]
    device = "meta" if set(names) <= _WITHOUT_VALUES else "cpu"
    built = [build(config, shape, spec["outputs"], device) for config in configs]
    if len(built) == 2:
        found: Measurement = catalog.load("metrics", PAIR).measure(*built, shape)
        return {PAIR: found}
    kinds = {catalog.load("metrics", name).KIND for name in names}
    measure = metrics.at_the_beginning if "reading" in kinds else metrics.facts
    return measure(built[0], shape, names)


def build(network: Mapping[str, Any], shape: Sequence[int], outputs: int, device: str) -> Any:
    """Return a network for (channels, height, width) images with torch's initial weights.

    On the device "meta" it has shapes and no values, so that a wide one costs as much as any.
    """
    with torch.device(device):
        return catalog.build("networks", dict(network), "family", tuple(shape), outputs)


def _taken(spec: Mapping[str, Any], runs: Path) -> Record:
    """Take facts here and record them."""
    started, began = records.now(), time.perf_counter()
    record = Record(
        kind="fact",
        id=records.identity(dict(spec)),
        spec=dict(spec),
        status="ok",
        metrics=measured(spec),
        seconds=time.perf_counter() - began,
        environment=environment.describe("cpu"),
        started=started,
        finished=records.now(),
    )
    records.write(runs, record)
    return record


def _beside(jobs: Sequence[Mapping[str, Any]], workers: int) -> Iterable[tuple[int, str | None]]:
    """Do jobs in worker processes, yielding each that ended with why it was lost, None if not."""
    if not jobs:
        return
    execute = catalog.load("execute", "processes").run
    with closing(execute(jobs, WORK, workers)) as events:
        for event in events:
            if isinstance(event, Lost) and event.error == records.NoRoom.__name__:
                raise records.NoRoom(errno.ENOSPC, event.reason.removeprefix(f"{event.error}: "))
            if isinstance(event, Lost):
                yield event.index, event.reason
            elif isinstance(event, Done):
                yield event.index, None


def _read(runs: Path, id: str) -> Record:
    record = records.read(runs, "fact", id)
    assert record is not None  # it was written a moment ago
    return record
