"""Passes: several networks measured together, in turns, on one machine. So far: latency on the CPU.

A pass is work for an executor, as a trial is, but it must be alone: after training, one pass at a
time, each in a process of its own (the executor `processes` with one job and one worker).

    {"spec": {pass, engine, metric, networks, input_shape, outputs, batches, rounds, device,
              precision, machine, plugins},               what determines what is measured
     "plugins": ["/path/my_block.py"],
     "runs": "runs"}

The machine is part of the spec, so a pass from another machine is another pass. The record keeps
raw values, for each batch size B (here r rounds of n networks, as `spec["networks"]` has them):

    seconds_B       (r, n + 1) float64   per call; the last column is the A/A control
    on_cpu_B        (r, n + 1) float64   share of the time that the process was computing
    calls_B         (n + 1,)   int64     of a block
    warm_calls_B    (n + 1,)   int64     before the first round
    warm_seconds_B  (n + 1,)   float64   that these took

The *A/A control* is a copy of the first network, measured like the others: what is found between
these two is noise. `environment` tells the machine's load before and after.
"""

import copy
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from torch import nn

from ablate import catalog, environment, networks, records
from ablate.metrics import latency
from ablate.records import Record
from ablate.train import ENGINE

# Part of every pass's id. Raise it when a change alters how a pass measures.
PASS: Final = 1
# Where a pass can run. Nothing here has ever timed a GPU, where calls return before they are done.
DEVICES: Final = ("cpu",)
BATCHES: Final = (1, 64)  # one image at once, and many
FEWEST_ROUNDS, MOST_ROUNDS = 10, 30
_BLOCKS = 160  # per batch size, as long as the number of rounds allows: some 10 s
_START, _WARM, _BLOCK = 4.0, 0.4, 0.04  # seconds: of a process, of a warm-up, of a block


class WrongMachine(ValueError):
    """A pass that was planned for another machine."""


def spec_of(
    configs: Sequence[Mapping[str, Any]],
    input_shape: Sequence[int],
    outputs: int,
    plugins: Mapping[str, str],
    device: str = "cpu",
    batches: Sequence[int] = BATCHES,
    rounds: int | None = None,
) -> dict[str, Any]:
    """Return what determines a pass, as it would be measured on this machine.

    Args:
        configs: of the networks ("family" and its options), in order; the first is the one that is
            measured twice. Of equal ones the first is kept.
        input_shape: (channels, height, width) of one image.
        outputs: that the networks are built for.
        plugins: name → SHA-256 of each plugin file.
        device: to measure on, one of `DEVICES`.
        batches: sizes, each measured by itself.
        rounds: per batch size; by default what `rounds_for` says.

    Raises:
        ValueError: passes cannot be measured on this device.
    """
    distinct: dict[str, dict[str, Any]] = {}
    for config in configs:
        distinct.setdefault(records.canonical(config), dict(config))
    return {
        "pass": PASS,
        "engine": ENGINE,
        "metric": "latency",
        "networks": list(distinct.values()),
        "input_shape": list(input_shape),
        "outputs": outputs,
        "batches": list(batches),
        "rounds": rounds or rounds_for(len(distinct)),
        "device": device,
        "precision": "fp32",
        "machine": machine(device),
        "plugins": dict(plugins),
    }


def rounds_for(count: int) -> int:
    """Return the rounds for so many networks and the A/A control: an even number of 10 to 30.

    Few networks have time for more rounds, and so for narrower intervals.
    """
    return max(FEWEST_ROUNDS, min(MOST_ROUNDS, _BLOCKS // (count + 1) // 2 * 2))


def expected_seconds(spec: Mapping[str, Any]) -> float:
    """Return about how long a pass takes: warm-up and blocks last what their rules say.

    It takes longer where a single call is longer than a block, or the machine is not left alone.
    """
    columns = len(spec["networks"]) + 1
    return float(_START + len(spec["batches"]) * columns * (_WARM + _BLOCK * spec["rounds"]))


def machine(device: str) -> dict[str, Any]:
    """Return what makes times of this machine comparable with one another.

    Raises:
        ValueError: passes cannot be measured on this device.
    """
    if device not in DEVICES:
        raise ValueError(f"latency cannot be measured on {device!r} yet, only on the CPU")
    found = environment.describe(device)
    return {
        "cpu": found["cpu"],
        "cores": found["cores"],
        "threads": latency.THREADS,
        "torch": found["packages"]["torch"],
    }


def run(job: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Measure, yielding a message after each batch size; the last message is the record.

    A network that raises makes a failed record of the whole pass.

    Yields:
        {"batch": images, "done": n, "of": n} after each batch size, then {"record": path,
        "status": …}.

    Raises:
        WrongMachine: this is not the machine that the pass was planned for; nothing is recorded.
        NoRoom: the disk is full.
    """
    spec = job["spec"]
    here = machine(spec["device"])
    if here != spec["machine"]:
        raise WrongMachine(f"planned for {_words(spec['machine'])}; this is {_words(here)}")
    started, began = records.now(), time.perf_counter()
    around = environment.describe(spec["device"])  # now, for the load before
    arrays: dict[str, np.ndarray[Any, Any]] = {}
    extra = {}
    status: records.Status = "ok"
    reason = None
    try:
        for path in job["plugins"]:
            catalog.plug(Path(path))
        built = _networks(spec)
        for number, batch in enumerate(spec["batches"], start=1):
            timing = latency.measure(built, tuple(spec["input_shape"]), batch, spec["rounds"])
            for name in ("seconds", "on_cpu", "calls", "warm_calls", "warm_seconds"):
                arrays[f"{name}_{batch}"] = getattr(timing, name)
            around["denormals_flushed"] = timing.flushed
            yield {"batch": batch, "done": number, "of": len(spec["batches"])}
    except Exception as error:  # the trials are all there: a pass must not end their suite
        status = "failed"
        notes = "".join(f" ({note})" for note in getattr(error, "__notes__", []))
        reason = f"{type(error).__name__}: {error}{notes}"
        text = traceback.format_exc()
        arrays, extra = {}, {"traceback.txt": lambda path: path.write_text(text, encoding="utf-8")}
    after = environment.describe(spec["device"])["load"]
    record = Record(
        kind="pass",
        id=records.identity(spec),
        spec=dict(spec),
        status=status,
        reason=reason,
        seconds=time.perf_counter() - began,
        environment=around | {"threads": latency.THREADS, "processes": 1, "load_after": after},
        started=started,
        finished=records.now(),
    )
    written = records.write(Path(job["runs"]), record, arrays, extra)
    yield {"record": str(written), "status": status}


def _networks(spec: Mapping[str, Any]) -> list[nn.Module]:
    """Build the networks of a pass, with the weights of seed 0, and the A/A control."""
    built: list[nn.Module] = []
    for config in spec["networks"]:
        shape = tuple(spec["input_shape"])
        network = catalog.build("networks", config, "family", shape, spec["outputs"])
        networks.initialise(network, seed=0)
        built.append(network)
    return [*built, copy.deepcopy(built[0])]


def _words(machine: Mapping[str, Any]) -> str:
    return f"{machine['cpu']} ({machine['cores']} cores, torch {machine['torch']})"
