"""One trial: a spec in, a record directory out. This is the work that executors are given.

The spec is JSON, so that it can cross processes and machines:

    {"spec": {engine, config, seed, data, precision, device, plugins},   what determines the result
     "data": {"name": "photos", …},                                      where to find the images
     "plugins": ["/path/my_block.py"],
     "runs": "runs"}

`spec["data"]` is the digest of the images, so the same images elsewhere are the same trial.
"""

import io
import time
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from ablate import catalog, environment, metrics, networks, records
from ablate.data import Dataset, open_data, with_validation
from ablate.records import Epoch, Record
from ablate.suite.schema import Recipe
from ablate.tasks import Task
from ablate.train import ENGINE, batches
from ablate.train.loop import EVALUATION_BATCH, Diverged, Plan, evaluate, keepsakes, train
from ablate.train.seeds import number

Arrays = dict[str, "np.ndarray[Any, Any]"]


class WrongData(ValueError):
    """The images found are not those that the trial was planned for."""


def run(job: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Train and measure, yielding an `Epoch` as JSON after each; the last message is the record.

    A network that diverges or raises is a record too. What cannot be recorded (a full disk, an
    interruption) is raised.

    Yields:
        {"epoch": {…}, "epochs": n} after each epoch, then {"record": path, "status": …}.
    """
    runs, spec = Path(job["runs"]), job["spec"]
    started, began = records.now(), time.perf_counter()
    epochs: list[Epoch] = []
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
        dataset = _dataset(job)
        network, task, _ = assemble(spec["config"], dataset)
        networks.initialise(network, spec["seed"])
        torch.manual_seed(number(spec["seed"], "network"))  # of layers that draw, such as dropout
        plan = Plan(task, recipe, spec["precision"], spec["device"], spec["seed"])
        data, validation, test, clusters = _splits(dataset, spec, plan)
        initial, first = _before(network, plan, test) if task.before else ({}, {})
        for epoch in train(network, plan, data, validation):
            epochs.append(epoch)
            yield {"epoch": epoch.model_dump(), "epochs": recipe.epochs}
        scores = evaluate(network, plan, test, "test loss after the last epoch")
        arrays = {f"test_{name}": values for name, values in scores.items()}
        arrays |= {f"initial_test_{name}": values for name, values in initial.items()}
        arrays |= {f"initial_{name}": kept for name, kept in first.items()}
        last = keepsakes(network, plan, test)
        arrays |= {f"final_{name}": kept for name, kept in last.items()}
        if clusters is not None:
            arrays["test_cluster"] = clusters
        outcome = metrics.Outcome(
            test=scores,
            epochs=epochs,
            train_seconds=sum(epoch.seconds for epoch in epochs),
            images=sum(epoch.images for epoch in epochs),
            initial=initial,
        )
        measured = metrics.of_trial(outcome)
        extra["weights.pt"] = lambda path: _save_weights(network, path)
    except Diverged as error:
        status, reason = "diverged", str(error)
    except Exception as error:  # one bad trial must not end the suite; its record says why
        if isinstance(error, OSError) and (full := records.no_room(error, runs)):
            raise full from error
        status = "failed"
        reason = f"{type(error).__name__}: {error}"
        arrays, extra = {}, {"traceback.txt": _writer(traceback.format_exc())}
    record = Record(
        kind="trial",
        id=records.identity(spec),
        spec=dict(spec),
        status=status,
        reason=reason,
        metrics=measured,
        epochs=epochs,
        seconds=time.perf_counter() - began,
        environment=environment.describe(spec["device"]),
        started=started,
        finished=records.now(),
    )
    yield {"record": str(records.write(runs, record, arrays, extra)), "status": status}


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


def _dataset(job: Mapping[str, Any]) -> Dataset:
    dataset, _, _ = open_data(job["data"], fallback=None, allow_fallback=False)
    dataset = with_validation(dataset, job["spec"]["config"]["data"]["validation_images"])
    if dataset.digest != job["spec"]["data"]:
        raise WrongData(
            f"the images of {dataset.title} have changed since this trial was planned "
            f"(digest {dataset.digest[:8]}, planned {job['spec']['data'][:8]}); run the suite again"
        )
    return dataset


def _splits(
    dataset: Dataset, spec: Mapping[str, Any], plan: Plan
) -> tuple[batches.Images, batches.Images | None, batches.Images, "np.ndarray[Any, Any] | None"]:
    sizes = spec["config"]["data"]
    pad = batches.PAD if "crop" in plan.recipe.augment else 0
    statistics = batches.channel_statistics(dataset.train)
    rows = batches.subset(len(dataset.train.images), sizes["train_images"], plan.seed)
    train_data = batches.to_device(dataset.train, rows, pad, statistics, plan.device)
    validation = None
    if dataset.validation is not None:
        validation = batches.to_device(dataset.validation, None, 0, statistics, plan.device)
    # A seed that no trial can have: every trial is tested on the same images.
    tested = batches.subset(len(dataset.test.images), sizes["test_images"], seed=-1)
    test = batches.to_device(dataset.test, tested, 0, statistics, plan.device)
    clusters = dataset.test.clusters
    if clusters is not None and tested is not None:
        clusters = clusters[tested.numpy()]
    return train_data, validation, test, clusters


def _before(network: nn.Module, plan: Plan, test: batches.Images) -> tuple[Arrays, Arrays]:
    """Return the scores and the arrays of the first test examples before the first step."""
    few = replace(
        test, images=test.images[:EVALUATION_BATCH], targets=test.targets[:EVALUATION_BATCH]
    )
    scores = evaluate(network, plan, few, "test loss before the first step")
    kept = keepsakes(network, plan, few)
    return scores, {name: kept[name] for name in kept if name not in plan.task.fixed}


def _save_weights(network: nn.Module, path: Path) -> None:
    content = io.BytesIO()  # torch.save on a file hides that the disk is full
    torch.save({name: value.cpu() for name, value in network.state_dict().items()}, content)
    path.write_bytes(content.getbuffer())


def _writer(text: str) -> Any:
    return lambda path: path.write_text(text, encoding="utf-8")
