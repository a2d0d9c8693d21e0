"""Passes: what is measured on one machine, over networks as they are built: latency, peak memory.

A pass is work for an executor, as a trial is, but it must be alone: after training, one pass at a
time. One pass is what *one process* saw, as one trial is what one seed gave: what is measured twice
in a process shares the place of its memory and the choice of its kernels, so it is processes that
are repeated, and a comparison has several passes of a metric.

    {"spec": {pass, engine, metric, networks, input_shape, outputs, settings, rounds, process,
              machine, plugins},                          what determines what is measured
     "plugins": ["/path/my_block.py"],
     "runs": "runs"}

The machine is part of the spec, so a pass from another machine is another pass, and `process`
counts those that are alike. The record keeps the raw arrays of the metric's `measure` under the
number of the setting: `seconds_0` is of `spec["settings"][0]`. Where networks are measured in turns
there is a column for each of `spec["networks"]`, and a last one for the *A/A control*, a copy of
the first network: what is found between these two is noise. A setting that a network cannot take,
or the hardware (bf16), has no arrays; `environment["unmeasured"]` tells why. `environment` also
tells the machine's load before and after.
"""

import copy
import itertools
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import nn

from ablate import catalog, environment, records
from ablate.records import Record
from ablate.train import ENGINE, precision

# Part of every pass's id. Raise it when a change alters how a pass measures.
PASS: Final = 2
# Where suites measure by themselves. What times a GPU (`metrics._cuda`) has never run on one.
DEVICES: Final = ("cpu",)
PROCESSES: Final = 3
ROUNDS: Final = 10
PEAK: Final = 4.0  # seconds that a pass of one network alone is expected to take
_BUILD, _BLOCK, _WARM_ROUNDS = 0.05, 0.035, 4  # seconds a network, seconds a block, rounds


class WrongMachine(ValueError):
    """A pass that was planned for another machine."""


class Unfit(Exception):
    """A setting that this machine cannot be judged by."""


def settings(
    device: str,
    threads: int = 1,
    *,
    phases: Sequence[str] = ("inference",),
    batches: Sequence[int] = (1, 64),
    precisions: Sequence[str] = ("fp32",),
    memory_formats: Sequence[str] = ("channels_last",),
    modes: Sequence[str] = ("eager",),
) -> list[dict[str, Any]]:
    """Return every combination, as `ablate.metrics.latency` has them."""
    names = ("phase", "batch", "precision", "memory_format", "mode")
    product = itertools.product(phases, batches, precisions, memory_formats, modes)
    fixed = {"threads": threads, "device": device}
    return [dict(zip(names, values, strict=True)) | fixed for values in product]


def spec_of(
    metric: str,
    configs: Sequence[Mapping[str, Any]],
    input_shape: Sequence[int],
    outputs: int,
    plugins: Mapping[str, str],
    settings: Sequence[Mapping[str, Any]],
    rounds: int = ROUNDS,
    process: int = 0,
) -> dict[str, Any]:
    """Return what determines a pass, as it would be measured on this machine.

    Args:
        metric: the name of a metric of kind "pass".
        configs: of the networks ("family" and its options), in order; where they are measured in
            turns, the first is the one that is measured twice. Of equal ones the first is kept.
        input_shape: (channels, height, width) of one image.
        outputs: that the networks are built for.
        plugins: name → SHA-256 of each plugin file.
        settings: of one device, each measured by itself.
        rounds: in which everything is measured, of each setting.
        process: which of those that are alike.
    """
    distinct: dict[str, dict[str, Any]] = {}
    for config in configs:
        distinct.setdefault(records.canonical(config), dict(config))
    return {
        "pass": PASS,
        "engine": ENGINE,
        "metric": metric,
        "networks": list(distinct.values()),
        "input_shape": list(input_shape),
        "outputs": outputs,
        "settings": [dict(setting) for setting in settings],
        "rounds": rounds,
        "process": process,
        "machine": machine(settings[0]["device"]),
        "plugins": dict(plugins),
    }


def expected_seconds(spec: Mapping[str, Any]) -> float:
    """Return about how long a pass of latency takes: blocks last what their rules say.

    It takes longer where a single call is longer than a block, where something is compiled, or the
    machine is not left alone.
    """
    columns = len(spec["networks"]) + 1
    timed = [setting for setting in spec["settings"] if unfit(spec["metric"], setting) is None]
    blocks = columns * (spec["rounds"] + _WARM_ROUNDS) * len(timed)
    return float(_BUILD * columns + _BLOCK * blocks)


def unfit(metric: str, setting: Mapping[str, Any]) -> str | None:
    """Return why a setting is not measured on this machine, None where it is.

    Where the hardware has no bf16 arithmetic, torch computes it many times slower in other ways: as
    a time that says nothing of the network. (Peaks of memory it does not change.)
    """
    if metric != "latency" or setting["precision"] != "bf16":
        return None
    chosen, why = precision.choose("auto", setting["device"])
    return None if chosen == "bf16" else f"bf16 is not timed here: {why}"


def machine(device: str) -> dict[str, Any]:
    """Return what makes figures of this machine comparable with one another."""
    found = environment.describe(device)
    gpu = {}
    if device == "cuda":
        gpu = {"gpu": found["gpu"], "driver": (found["gpu_state"] or {}).get("driver")}
    shared = {"cpu": found["cpu"], "cores": found["cores"], "torch": found["packages"]["torch"]}
    return shared | gpu


def run(job: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Measure, yielding a message after each setting; the last message is the record.

    Where no setting can be measured, the record is of a failed pass.

    Yields:
        {"setting": number, "done": n, "of": n} after each setting, then {"record": path,
        "status": …}.

    Raises:
        WrongMachine: this is not the machine that the pass was planned for; nothing is recorded.
        NoRoom: the disk is full.
    """
    spec = job["spec"]
    device = spec["settings"][0]["device"]
    here = machine(device)
    if here != spec["machine"]:
        raise WrongMachine(f"planned for {_words(spec['machine'])}; this is {_words(here)}")
    started, began = records.now(), time.perf_counter()
    around = environment.describe(device)  # now, for the load before
    arrays: dict[str, np.ndarray[Any, Any]] = {}
    unmeasured: dict[str, str] = {}
    extra = {}
    trace = ""
    try:
        for path in job["plugins"]:
            catalog.plug(Path(path))
        metric = catalog.load("metrics", spec["metric"])
        built = _networks(spec, metric.ALONE)
    except Exception as error:  # the trials are all there: a pass must not end their suite
        trace, unmeasured = traceback.format_exc(), {"0": _reason(error)}
    else:
        for number, setting in enumerate(spec["settings"]):
            shape = tuple(spec["input_shape"])
            try:
                if why := unfit(spec["metric"], setting):
                    raise Unfit(why)
                found = metric.measure(built, shape, setting, spec["rounds"])
            except Exception as error:
                trace, unmeasured[str(number)] = traceback.format_exc(), _reason(error)
            else:
                arrays |= {f"{name}_{number}": array for name, array in found.items()}
            yield {"setting": number, "done": number + 1, "of": len(spec["settings"])}
    if unmeasured:
        around["unmeasured"] = unmeasured
        extra = {"traceback.txt": lambda path: path.write_text(trace, encoding="utf-8")}
    status: records.Status = "ok" if arrays else "failed"
    after = environment.describe(device)["load"]
    record = Record(
        kind="pass",
        id=records.identity(spec),
        spec=dict(spec),
        status=status,
        reason=None if arrays else next(iter(unmeasured.values())),
        seconds=time.perf_counter() - began,
        environment=around | {"threads": spec["settings"][0]["threads"], "load_after": after},
        started=started,
        finished=records.now(),
    )
    written = records.write(Path(job["runs"]), record, arrays, extra)
    yield {"record": str(written), "status": status}


def _networks(spec: Mapping[str, Any], alone: bool) -> list[nn.Module]:
    """Build the networks of a pass, with weights of seed 0, and the A/A control.

    Initialised by torch, as they are built: a network of other people may not say how to.
    """
    shape, outputs = tuple(spec["input_shape"]), spec["outputs"]
    built: list[nn.Module] = []
    for config in spec["networks"]:
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(0)
            built.append(catalog.build("networks", config, "family", shape, outputs))
    return built if alone else [*built, copy.deepcopy(built[0])]


def _reason(error: Exception) -> str:
    if isinstance(error, Unfit):
        return str(error)
    notes = "".join(f" ({note})" for note in getattr(error, "__notes__", []))
    return f"{type(error).__name__}: {' '.join(str(error).split())}{notes}"


def _words(machine: Mapping[str, Any]) -> str:
    gpu = f", {machine['gpu']}" if machine.get("gpu") else ""
    return f"{machine['cpu']}{gpu} ({machine['cores']} cores, torch {machine['torch']})"
