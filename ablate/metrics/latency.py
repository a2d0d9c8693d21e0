"""Latency: wall-clock seconds of one forward pass of a batch, networks measured in turns.

Times of networks that are measured one after the other differ by what the machine did meanwhile:
its clock, its temperature, its other work. So all networks of a comparison are measured together,
in *rounds*. A round holds one *block* of calls of each network; rounds go through the networks
forward and backward by turns (ABBA), so that drift falls on all alike. A block's value is the
median of its calls. Calls within a block depend on each other: the rounds are what is compared.

Every network is in evaluation mode, in fp32 and channels_last, under `torch.inference_mode`, on the
CPU with one thread, with denormal numbers flushed to zero (they make a convolution tens of times
slower, and which weights have them is chance) and without garbage collection. Inputs are normal
random numbers, the same for all; the weights are whatever the networks hold.

Warm-up, the same rule for every network: until it was called 10 times and for 0.3 s, or for 3 s.
A block has as many calls as last 20 ms and at least 3, but where that would be more than 50 ms only
as many as last 50 ms, and at least 1: of long calls, rounds tell more than repetitions.

Other programs slow long calls down more than short ones, which no control by a copy can show. So
each block also says for what share of its time this process was computing: less than about 0.95 of
it, and the machine was not left alone. (What a virtual machine's host takes is not seen by this.)

Source: Kalibera and Jones, "Rigorous benchmarking in reasonable time" (ISMM 2013), on repeating at
every level that varies. Only the level of rounds is repeated here: one process is one draw of what
differs between processes, and the clock's frequency is not sampled.
"""

import contextlib
import gc
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from time import perf_counter, process_time
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn

TITLE: Final = "Latency"
UNIT: Final = "s"
DIRECTION: Final = "lower"
KIND: Final = "pass"

THREADS: Final = 1

_WARM_CALLS, _WARM_SECONDS, _WARM_MOST = 10, 0.3, 3.0
_BLOCK_CALLS, _BLOCK_SECONDS, _BLOCK_MOST = 3, 0.02, 0.05


@dataclass(frozen=True)
class Timing:
    """What was measured of networks at one batch size; arrays have a column per network."""

    seconds: "np.ndarray[Any, Any]"  # (rounds, networks) float64, per call: medians of blocks
    on_cpu: "np.ndarray[Any, Any]"  # (rounds, networks) float64, share of the block's time
    calls: "np.ndarray[Any, Any]"  # (networks,) int64, of each block
    warm_calls: "np.ndarray[Any, Any]"  # (networks,) int64, before the first round
    warm_seconds: "np.ndarray[Any, Any]"  # (networks,) float64, that these took
    flushed: bool  # the CPU could be told to flush denormal numbers


def measure(
    networks: Sequence[nn.Module], input_shape: tuple[int, int, int], batch: int, rounds: int
) -> Timing:
    """Time networks in turns, in this process, as it stands beside what else the machine does.

    Args:
        networks: on the CPU; they are put into evaluation mode and channels_last.
        input_shape: (channels, height, width) of one image.
        batch: images of a call.
        rounds: blocks per network; an even number has as many in either direction.

    Raises:
        Exception: what a network raised, with a note that says which network it was.
    """
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(batch, *input_shape, generator=generator)
    inputs = inputs.contiguous(memory_format=torch.channels_last)
    for network in networks:
        network.eval().to(memory_format=torch.channels_last)
    seconds, on_cpu = np.empty((2, rounds, len(networks)))
    with _conditions() as flushed, torch.inference_mode():
        warm = []
        for number, network in enumerate(networks, start=1):
            try:
                warm.append(_warm_up(network, inputs))
            except Exception as error:
                error.add_note(f"network {number} of {len(networks)}, batch {batch}")
                raise
        calls = [block_calls(float(np.median(times))) for times in warm]
        for number in range(rounds):
            columns = range(len(networks))
            for column in columns if number % 2 == 0 else reversed(columns):
                began = process_time()
                times = [_call(networks[column], inputs) for _ in range(calls[column])]
                on_cpu[number, column] = (process_time() - began) / sum(times)
                seconds[number, column] = np.median(times)
    return Timing(
        seconds=seconds,
        on_cpu=on_cpu,
        calls=np.array(calls, np.int64),
        warm_calls=np.array([len(times) for times in warm], np.int64),
        warm_seconds=np.array([sum(times) for times in warm], np.float64),
        flushed=flushed,
    )


def block_calls(seconds: float) -> int:
    """Return the calls of a block of a network that takes so many seconds a call."""
    wanted = max(_BLOCK_CALLS, math.ceil(_BLOCK_SECONDS / seconds))
    return max(1, min(wanted, math.floor(_BLOCK_MOST / seconds)))


def _warm_up(network: nn.Module, inputs: Tensor) -> list[float]:
    times: list[float] = []
    total = 0.0
    while total < _WARM_MOST and (len(times) < _WARM_CALLS or total < _WARM_SECONDS):
        times.append(_call(network, inputs))
        total += times[-1]
    return times


def _call(network: nn.Module, inputs: Tensor) -> float:
    began = perf_counter()
    network(inputs)
    return perf_counter() - began


@contextlib.contextmanager
def _conditions() -> Iterator[bool]:
    """Pin what else would differ, and put it back; tells whether denormals are flushed."""
    threads, collecting = torch.get_num_threads(), gc.isenabled()
    torch.set_num_threads(THREADS)
    flushed = torch.set_flush_denormal(True)
    gc.collect()
    gc.disable()
    try:
        yield flushed
    finally:
        if collecting:
            gc.enable()
        torch.set_flush_denormal(False)  # torch's default; it does not tell what it was
        torch.set_num_threads(threads)
