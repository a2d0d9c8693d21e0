"""One trial: a spec in, a record directory out. This is the work that executors are given.

The spec is JSON, so that it can cross processes and machines:

    {"spec": {engine, config, seed, data, precision, device, plugins},   what determines the result
     "data": {"name": "photos", …},                                      where to find the images
     "plugins": ["/path/my_block.py"],
     "runs": "runs"}

`spec["data"]` is the digest of the images, so the same images elsewhere are the same trial.
"""

import functools
import io
import json
import time
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn

from ablate import catalog, environment, metrics, networks, records
from ablate.data import Dataset, open_data, with_validation
from ablate.execute import OutOfMemory
from ablate.records import Record
from ablate.suite.schema import Recipe
from ablate.tasks import Task
from ablate.train import ENGINE, allocator, batches, checkpoint
from ablate.train.checkpoint import Arrays, Seen
from ablate.train.exact import exact
from ablate.train.loop import (
    EVALUATION_BATCH,
    Diverged,
    Plan,
    State,
    begin,
    evaluate,
    keepsakes,
    train,
)
from ablate.train.seeds import number
from ablate.train.source import Source, first, open_source

# A checkpoint is written when so many times its own cost has gone by since the one before.
CHECKPOINT_AGE: Final = 100


class WrongData(ValueError):
    """The images found are not those that the trial was planned for."""


def run(job: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Train and measure, yielding an `Epoch` as JSON after each; the last message is the record.

    A trial that was stopped before goes on after its last checkpoint. A network that diverges or
    raises is a record too. What cannot be recorded (a full disk, an interruption) is raised.

    Yields:
        {"epoch": {…}, "epochs": n} after each epoch, those of before a stop at once;
        {"notice": text} of what a user should know; then {"record": path, "status": …}.

    Raises:
        OutOfMemory: there is too little memory for it beside what else runs. A trial that runs
            alone (`job["alone"]`) makes a failed record of that.
        NoRoom: the disk is full.
    """
    runs, spec = Path(job["runs"]), job["spec"]
    started, began = records.now(), time.perf_counter()
    id = records.identity(spec)
    kept = checkpoint.place(runs, id)
    seen = Seen()
    how: dict[str, Any] = {}  # it was run: part of the record's environment
    measured: dict[str, records.Measurement] = {}
    arrays: Arrays = {}
    extra = {}
    status: records.Status = "ok"
    reason = None
    try:
        for path in job["plugins"]:
            catalog.plug(Path(path))
        recipe = Recipe.model_validate(spec["config"]["recipe"])
        torch.set_num_threads(recipe.threads)
        how["keeps_freed_memory"] = spec["device"] == "cpu" and allocator.keep_freed_memory()
        dataset, statistics = _dataset(job)
        with exact(recipe.exact):
            state, plan = _begin(spec, dataset)
            try:
                checkpoint.resume(kept, id, state, seen, plan.device)
            except checkpoint.Unusable as error:
                yield {"notice": f"starts over, its checkpoint is of no use: {error}"}
                state, plan = _begin(spec, dataset)
            data, validation, test = _sources(dataset, statistics, spec, plan, job.get("memory"))
            how["streamed"] = data.whole is None
            if plan.task.before and not seen.epochs:
                seen.arrays |= _before(state.network, plan, test)
            for epoch in seen.epochs:
                yield {"epoch": epoch.model_dump(), "epochs": recipe.epochs}
            due = 0.0
            for epoch in train(state, plan, data, validation):
                seen.epochs.append(epoch)
                if epoch.epoch < recipe.epochs and time.perf_counter() >= due:
                    since = time.perf_counter()
                    try:
                        checkpoint.save(kept, id, state, seen, since - began, plan.device)
                    except OSError as error:  # it trains on: by its end there may be room
                        yield {"notice": f"no checkpoint after epoch {epoch.epoch}: {error}"}
                    due = time.perf_counter() + CHECKPOINT_AGE * (time.perf_counter() - since)
                yield {"epoch": epoch.model_dump(), "epochs": recipe.epochs}
            scores = evaluate(state.network, plan, test, "test loss after the last epoch")
            last = keepsakes(state.network, plan, test)
        arrays = {f"test_{name}": values for name, values in scores.items()}
        arrays |= seen.arrays | {f"final_{name}": array for name, array in last.items()}
        if dataset.test.clusters is not None:
            arrays["test_cluster"] = dataset.test.clusters[test.rows.numpy()]
        outcome = metrics.Outcome(
            test=scores,
            epochs=seen.epochs,
            train_seconds=sum(epoch.seconds for epoch in seen.epochs),
            images=sum(epoch.images for epoch in seen.epochs),
            initial={
                name.removeprefix("initial_test_"): values
                for name, values in seen.arrays.items()
                if name.startswith("initial_test_")
            },
        )
        measured = metrics.of_trial(outcome)
        extra["weights.pt"] = lambda path: _save_weights(state.network, path)
    except Diverged as error:
        status, reason = "diverged", str(error)
    except Exception as error:  # one bad trial must not end the suite; its record says why
        if isinstance(error, OSError) and (full := records.no_room(error, runs)):
            raise full from error
        reason = f"{type(error).__name__}: {error}"
        if _is_out_of_memory(error):
            if not job.get("alone"):
                raise OutOfMemory(str(error)) from error
            reason = f"out of memory, alone on the machine: {error}"
        status = "failed"
        arrays, extra = {}, {"traceback.txt": _writer(traceback.format_exc())}
    if seen.stops:
        how["resumed_after"] = seen.stops
    record = Record(
        kind="trial",
        id=id,
        spec=dict(spec),
        status=status,
        reason=reason,
        metrics=measured,
        epochs=seen.epochs,
        seconds=seen.seconds + time.perf_counter() - began,
        environment=environment.describe(spec["device"]) | {"execution": how},
        started=started,
        finished=records.now(),
    )
    written = records.write(runs, record, arrays, extra)
    checkpoint.remove(kept)
    yield {"record": str(written), "status": status}


def spec_of(
    config: Mapping[str, Any],
    seed: int,
    digest: str,
    precision: str,
    device: str,
    plugins: Mapping[str, str],
) -> dict[str, Any]:
    """Return what determines a trial's result; its hash is the trial's id.

    Args:
        config: the resolved configuration. Of its data only the sizes are kept: the digest says
            which images they are.
        seed: of every random stream.
        digest: of the data set.
        precision: fp32 or bf16.
        device: the device class: cpu, cuda or mps.
        plugins: name → SHA-256 of each plugin file.
    """
    sizes = ("train_images", "validation_images", "test_images")
    return {
        "engine": ENGINE,
        "config": {
            "task": config["task"],
            "network": config["network"],
            "recipe": config["recipe"],
            "data": {size: config["data"][size] for size in sizes},
        },
        "seed": seed,
        "data": digest,
        "precision": precision,
        "device": device,
        "plugins": dict(plugins),
    }


def assemble(
    config: Mapping[str, Any], dataset: Dataset
) -> tuple[nn.Module, Task, tuple[int, int, int]]:
    """Build the task and the network of a configuration for a data set.

    Returns:
        the network with torch's initial weights, the task, and the shape (c, h, w) of its inputs.

    Raises:
        ValueError: the data do not fit the task, or the network not the images.
    """
    smoothing = config["recipe"]["label_smoothing"]
    task = catalog.build("tasks", config["task"], "kind", dataset, smoothing)
    shape = task.input_shape
    network = catalog.build("networks", config["network"], "family", shape, task.outputs)
    return network, task, shape


def _dataset(job: Mapping[str, Any]) -> tuple[Dataset, tuple[Tensor, Tensor]]:
    """Return the images of a trial and their statistics, opened once for all trials of a process.

    Raises:
        WrongData: they are not those that the trial was planned for.
    """
    component = json.dumps(job["data"], sort_keys=True)
    validation = job["spec"]["config"]["data"]["validation_images"]
    if _opened(component, validation)[0].digest != job["spec"]["data"]:
        _opened.cache_clear()  # perhaps it was planned since then
    dataset, statistics = _opened(component, validation)
    if dataset.digest != job["spec"]["data"]:
        raise WrongData(
            f"the images of {dataset.title} have changed since this trial was planned "
            f"(digest {dataset.digest[:8]}, planned {job['spec']['data'][:8]}); run the suite again"
        )
    return dataset, statistics


@functools.lru_cache(maxsize=2)  # a suite may have two; what was held out of them is a copy
def _opened(component: str, validation: int) -> tuple[Dataset, tuple[Tensor, Tensor]]:
    dataset, _, _ = open_data(json.loads(component), fallback=None, allow_fallback=False)
    dataset = with_validation(dataset, validation)
    return dataset, batches.channel_statistics(dataset.train)


def _begin(spec: Mapping[str, Any], dataset: Dataset) -> tuple[State, Plan]:
    """Return a trial before its first epoch."""
    recipe = Recipe.model_validate(spec["config"]["recipe"])
    network, task, _ = assemble(spec["config"], dataset)
    networks.initialise(network, spec["seed"])
    torch.manual_seed(number(spec["seed"], "network"))  # of layers that draw, such as dropout
    plan = Plan(task, recipe, spec["precision"], spec["device"], spec["seed"])
    return begin(network, plan), plan


def _sources(
    dataset: Dataset,
    statistics: tuple[Tensor, Tensor],
    spec: Mapping[str, Any],
    plan: Plan,
    memory: int | None,
) -> tuple[Source, Source | None, Source]:
    """Return the training, validation and test examples; `memory` is the bytes for all three."""
    sizes, device = spec["config"]["data"], plan.device
    share = None if memory is None else memory // 3
    pad = batches.PAD if "crop" in plan.recipe.augment else 0
    rows = batches.subset(len(dataset.train.images), sizes["train_images"], plan.seed)
    data = open_source(dataset.train, rows, pad, statistics, device, share)
    validation = None
    if dataset.validation is not None:
        validation = open_source(dataset.validation, None, 0, statistics, device, share)
    # A seed that no trial can have: every trial is tested on the same images.
    tested = batches.subset(len(dataset.test.images), sizes["test_images"], seed=-1)
    return data, validation, open_source(dataset.test, tested, 0, statistics, device, share)


def _before(network: nn.Module, plan: Plan, test: Source) -> Arrays:
    """Return the scores and the arrays of the first test examples before the first step."""
    few = first(test, EVALUATION_BATCH)
    scores = evaluate(network, plan, few, "test loss before the first step")
    kept = keepsakes(network, plan, few)
    arrays = {f"initial_test_{name}": values for name, values in scores.items()}
    return arrays | {f"initial_{name}": kept[name] for name in kept if name not in plan.task.fixed}


def _is_out_of_memory(error: Exception) -> bool:
    """Whether an error says that memory ran out, of the machine or of a GPU."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    # torch's allocator for CPUs has no error type of its own.
    return isinstance(error, RuntimeError) and "DefaultCPUAllocator: " in str(error)


def _save_weights(network: nn.Module, path: Path) -> None:
    content = io.BytesIO()  # torch.save on a file hides that the disk is full
    torch.save({name: value.cpu() for name, value in network.state_dict().items()}, content)
    path.write_bytes(content.getbuffer())


def _writer(text: str) -> Any:
    return lambda path: path.write_text(text, encoding="utf-8")
