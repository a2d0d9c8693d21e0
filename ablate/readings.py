"""Readings: what is measured of the weights that trials left, when these are there already.

A metric that is thought of later, or costs too much for every seed, needs no second training. A
reading loads the weights of one trial and measures the same network twice: as its seed begins it,
and as training left it. It is work for an executor, as a trial is:

    {"spec": {reading, engine, trial, metrics, input_shape, outputs, plugins},
     "plugins": ["/path/my_metric.py"],
     "runs": "runs"}

`trial` is an id, which stands for configuration, seed and data. Metrics are in the reading's id, so
that one which is added is measured of old trials too. `plugins` of the spec are those of the
metrics: the others are in the trial's id.

The record has a measurement `<metric>` of the trained network and `initial_<metric>` of the one
before training, and the arrays of the metric by the same rule: `<metric>_map`,
`initial_<metric>_map`. A metric that does not apply to a network is not there.
"""

import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import nn

from ablate import catalog, environment, networks, records
from ablate.records import Measurement, Record
from ablate.train import ENGINE

# Part of every reading's id. Raise it when a change alters what is measured.
READING: Final = 1
# Seeds of a row that are read, the first ones: what networks of one kind see differs far less from
# seed to seed than their accuracy does, and each reading takes as long as some steps of training.
SEEDS: Final = 3
EXPECTED: Final = 2.0  # seconds, where none was taken yet
_THREADS: Final = 1  # as trials: bytes do not depend on what runs beside


class NoWeights(ValueError):
    """A trial has no weights that a reading could be taken of; the message says why."""


def spec_of(
    trial: str,
    metrics: Sequence[str],
    input_shape: Sequence[int],
    outputs: int,
    plugins: Mapping[str, str],
) -> dict[str, Any]:
    """Return what determines a reading; its hash is the reading's id.

    Args:
        trial: the id of the trial whose weights are read.
        metrics: names of metrics of the kind "reading".
        input_shape: (channels, height, width) of the network's inputs.
        outputs: that the network is built for.
        plugins: name → SHA-256 of each plugin file. Those of other metrics are left out.
    """
    names = {f"metrics/{name}" for name in metrics}
    return {
        "reading": READING,
        "engine": ENGINE,
        "trial": trial,
        "metrics": sorted(metrics),
        "input_shape": list(input_shape),
        "outputs": outputs,
        "plugins": {name: digest for name, digest in plugins.items() if name in names},
    }


def run(job: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Measure, yielding a message after either network; the last message is the record.

    Weights that are not there or do not fit, or a metric that raises, make a failed record.

    Yields:
        {"done": n, "of": 2} after each network, then {"record": path, "status": …}.

    Raises:
        NoRoom: the disk is full.
    """
    runs, spec = Path(job["runs"]), job["spec"]
    started, began = records.now(), time.perf_counter()
    measured: dict[str, Measurement] = {}
    arrays: dict[str, np.ndarray[Any, Any]] = {}
    extra = {}
    status: records.Status = "ok"
    reason = None
    try:
        for path in job["plugins"]:
            catalog.plug(Path(path))
        torch.set_num_threads(_THREADS)
        network, weights = _trial(runs, spec)
        for done, before in enumerate(("initial_", ""), start=1):
            if not before:
                _load(network, weights)
            for name in spec["metrics"]:
                found = catalog.load("metrics", name).measure(network, tuple(spec["input_shape"]))
                if found is not None:
                    measured[f"{before}{name}"] = _titled(found[0], before)
                    arrays |= {f"{before}{name}_{key}": array for key, array in found[1].items()}
            yield {"done": done, "of": 2}
    except NoWeights as error:
        status, reason = "failed", str(error)
    except Exception as error:  # the trials are all there: a reading must not end their suite
        status, reason = "failed", f"{type(error).__name__}: {error}"
        text = traceback.format_exc()
        extra = {"traceback.txt": lambda path: path.write_text(text, encoding="utf-8")}
    if status == "failed":
        measured, arrays = {}, {}
    record = Record(
        kind="reading",
        id=records.identity(spec),
        spec=dict(spec),
        status=status,
        reason=reason,
        metrics=measured,
        seconds=time.perf_counter() - began,
        environment=environment.describe("cpu") | {"threads": _THREADS},
        started=started,
        finished=records.now(),
    )
    written = records.write(runs, record, arrays, extra)
    yield {"record": str(written), "status": status}


def _titled(measurement: Measurement, before: str) -> Measurement:
    title = f"{measurement.title} before training"
    return measurement.model_copy(update={"title": title}) if before else measurement


def _trial(runs: Path, spec: Mapping[str, Any]) -> tuple[nn.Module, Path]:
    """Return the network of a trial before its first step, and the file of its final weights.

    Raises:
        NoWeights: the trial has none.
    """
    try:
        record = records.read(runs, "trial", spec["trial"])
    except records.DamagedRecord as error:
        raise NoWeights(f"the record of its trial cannot be read: {error}") from error
    if record is None:
        raise NoWeights(f"there is no trial {spec['trial']}")
    weights = records.weights(runs, record.id)
    if weights is None:
        gone = "its weights were deleted" if record.status == "ok" else f"it {record.status}"
        raise NoWeights(f"there are no weights of the trial {record.id}: {gone}")
    config, shape = record.spec["config"], tuple(spec["input_shape"])
    network = catalog.build("networks", config["network"], "family", shape, spec["outputs"])
    networks.initialise(network, record.spec["seed"])
    return network.eval(), weights


def _load(network: nn.Module, path: Path) -> None:
    """Put weights into a network.

    Raises:
        NoWeights: they cannot be read, or are of another network.
    """
    try:
        network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    except Exception as error:  # of zip archives, of pickles, of names and shapes that differ
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise NoWeights(f"the weights of its trial cannot be loaded: {first}") from error
