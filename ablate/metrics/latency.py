"""Latency: seconds of one forward pass, or of one training step, networks measured in turns.

Times of networks that are measured one after the other differ by what the machine did meanwhile:
its clock, its temperature, its other work. So all networks of a comparison are measured together,
in *rounds*. A round holds one *block* of calls of each network; rounds go through the networks
forward and backward by turns (ABBA), so that drift falls on all alike. A block's value is the
median of its calls. Calls within a block depend on each other, and rounds of one process share what
differs between processes (where memory lies, which kernels were chosen): networks are compared
within a round, and processes are what is repeated. `ablate.evidence.latency` makes ratios of them.

A *setting* says what a call is:

* `phase`: `inference`, a forward pass in evaluation mode under `torch.inference_mode`; or
  `training_step`, a forward pass in training mode, the backward pass of the mean square of the
  outputs, and a step of SGD with momentum and weight decay (fused). That loss needs no targets
  and costs next to nothing. Of a network without parameters it is a forward pass;
* `batch`: images of a call;
* `precision`: `fp32`; or `bf16`, parameters and inputs for inference, `torch.autocast` for steps;
* `memory_format`: `channels_last` or `contiguous`, of weights and inputs;
* `mode`: `eager`, or `compiled` by `torch.compile` with its defaults, figures of their own. What
  compiling takes is not in them: it is over before the warm-up.

Conditions: a fixed number of threads (1 unless asked), denormal numbers flushed to zero (they make
a convolution tens of times slower, and which weights have them is chance), no garbage collection.
Inputs are normal random numbers (zeros draw less power, and GPUs then keep a higher clock), the
same for all; the weights are whatever the networks hold.

Warm-up, the same rule for every network: whole rounds, thrown away, as the later ones are done.
There are at least 3, until every network was called 10 times or for 0.25 s, and until the networks
have settled: of their last 3 rounds, the means over the networks of the logarithms of the blocks
lie within 2 %. After 12 rounds it is over, and `settled` says whether it was reached.

A block has as many calls as last 20 ms and at least 3, but where that would be more than 50 ms only
as many as last 50 ms, and at least 1: of long calls, rounds tell more than repetitions.

Other programs slow long calls down more than short ones, which no control by a copy can show. So
each block also says for what share of its time this process was computing: less than about 0.95 of
it, and the machine was not left alone. (What a virtual machine's host takes is not seen by this.)

On a GPU, calls are timed by CUDA events, twice: `hot`, and `cold` with the second-level cache
overwritten before each call, outside of the events. `issued` is the time in which the host issued a
call; where it is near the events' time, the GPU waited for the host (`launch-bound`). The clock of
the multiprocessors is sampled in every round. This has not run on a GPU yet, so no suite asks for
it by itself.

Sources: Kalibera and Jones, "Rigorous benchmarking in reasonable time" (ISMM 2013), on repeating at
every level that varies; NVBench on clocks and cold caches.
"""

import contextlib
import copy
import gc
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
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
ALONE: Final = False  # networks are measured together, in one process

WARM_ROUNDS: Final = 3  # at least
MOST_WARM_ROUNDS: Final = 12
SETTLED: Final = 0.02
_WARM_CALLS, _WARM_SECONDS = 10, 0.25
_BLOCK_CALLS, _BLOCK_SECONDS, _BLOCK_MOST = 3, 0.02, 0.05

Arrays = dict[str, "np.ndarray[Any, Any]"]
Call = Callable[[], object]


@dataclass(frozen=True)
class Block:
    """The calls of one network in one round."""

    seconds: "np.ndarray[Any, Any]"  # (calls,) float64
    # Whatever else a timer sees, one number a block: `on_cpu`, the share of the block's time that
    # this process was computing, by thread.
    beside: Mapping[str, float]


# Makes so many calls and says what they took.
Timer = Callable[[Call, int], Block]


def measure(
    networks: Sequence[nn.Module],
    input_shape: tuple[int, int, int],
    setting: Mapping[str, Any],
    rounds: int,
) -> Arrays:
    """Time networks in turns, in this process, as it stands beside what else the machine does.

    Args:
        networks: on the CPU; what is timed are copies.
        input_shape: (channels, height, width) of one image.
        setting: phase, batch, precision, memory_format, mode, threads and device.
        rounds: blocks per network; an even number has as many in either direction.

    Returns:
        what `interleave` returns, and `flushed`, () bool: the CPU could be told to flush denormals.

    Raises:
        Exception: what a network raised, with a note that says which network it was.
    """
    generator = torch.Generator().manual_seed(0)
    inputs = _placed(torch.randn(setting["batch"], *input_shape, generator=generator), setting)
    prepare = {"inference": _inference, "training_step": _training_step}[setting["phase"]]
    calls = []
    with _conditions(setting) as flushed, _compiling(setting["mode"]):
        for number, network in enumerate(networks, start=1):
            try:
                call = prepare(network, inputs, setting)
                call()  # compiles, where that is the mode; and what cannot be called is found here
            except Exception as error:
                error.add_note(f"network {number} of {len(networks)}")
                raise
            calls.append(call)
        if setting["device"] == "cuda":
            from ablate.metrics import _cuda  # the only part that needs a GPU

            found = _cuda.interleaved(calls, rounds)
        else:
            found = interleave(calls, rounds, wall_clock(setting["threads"]))
    return found | {"flushed": np.array(flushed)}


def interleave(calls: Sequence[Call], rounds: int, timer: Timer) -> Arrays:
    """Make calls in turns: the protocol, whatever it is that is called and by which clock.

    Returns:
        `seconds` (rounds, n) float64, of a call: medians of blocks;
        `call_seconds` (rounds, n, most) float32, of each call; nan beyond a network's `calls`;
        `calls` (n,) int64, of a block;
        `warm_seconds` (warm-up rounds, n) float64, as `seconds`;
        `settled` () bool;
        and of what else the timer saw of blocks, (rounds, n) float64 each.
    """
    sizes = [_calibrated(call, timer) for call in calls]
    warm: list[list[Block]] = []
    while not _is_warm(warm) and len(warm) < MOST_WARM_ROUNDS:
        warm.append(_round(calls, sizes, timer, len(warm)))
    kept = [_round(calls, sizes, timer, number) for number in range(rounds)]
    each = np.full((rounds, len(calls), max(sizes, default=0)), np.nan, np.float32)
    for number, blocks in enumerate(kept):
        for column, block in enumerate(blocks):
            each[number, column, : len(block.seconds)] = block.seconds
    beside = {
        name: np.array([[block.beside[name] for block in blocks] for blocks in kept])
        for name in kept[0][0].beside
    }
    return {
        "seconds": _medians(kept),
        "call_seconds": each,
        "calls": np.array(sizes, np.int64),
        "warm_seconds": _medians(warm),
        "settled": np.array(_is_settled(_medians(warm))),
        **beside,
    }


def wall_clock(threads: int) -> Timer:
    """Return the timer for calls that are done when they return, with so many threads."""

    def timer(call: Call, calls: int) -> Block:
        seconds = np.empty(calls)
        computing = process_time()
        for number in range(calls):
            began = perf_counter()
            call()
            seconds[number] = perf_counter() - began
        share = (process_time() - computing) / (seconds.sum() * threads)
        return Block(seconds, {"on_cpu": share})

    return timer


def block_calls(seconds: float) -> int:
    """Return the calls of a block of a network that takes so many seconds a call."""
    wanted = max(_BLOCK_CALLS, math.ceil(_BLOCK_SECONDS / seconds))
    return max(1, min(wanted, math.floor(_BLOCK_MOST / seconds)))


def _calibrated(call: Call, timer: Timer) -> int:
    """Return the calls of a block, by the quickest of three after a first that prepares."""
    timer(call, 1)
    return block_calls(float(timer(call, 3).seconds.min()))


def _round(calls: Sequence[Call], sizes: Sequence[int], timer: Timer, number: int) -> list[Block]:
    """Return a block of every network, in the networks' order whichever way it was gone through."""
    columns = range(len(calls))
    blocks = {
        column: timer(calls[column], sizes[column])
        for column in (columns if number % 2 == 0 else reversed(columns))
    }
    return [blocks[column] for column in columns]


def _is_warm(rounds: Sequence[Sequence[Block]]) -> bool:
    """Whether warm-up rounds were enough."""
    if len(rounds) < WARM_ROUNDS:
        return False
    for blocks in zip(*rounds, strict=True):
        called = sum(len(block.seconds) for block in blocks)
        lasted = sum(float(block.seconds.sum()) for block in blocks)
        if called < _WARM_CALLS and lasted < _WARM_SECONDS:
            return False
    return _is_settled(_medians(rounds))


def _is_settled(seconds: "np.ndarray[Any, Any]") -> bool:
    levels = np.log(seconds[-WARM_ROUNDS:]).mean(axis=1)
    return len(levels) == WARM_ROUNDS and float(np.ptp(levels)) <= SETTLED


def _medians(rounds: Sequence[Sequence[Block]]) -> "np.ndarray[Any, Any]":
    return np.array([[float(np.median(block.seconds)) for block in blocks] for blocks in rounds])


def _inference(network: nn.Module, inputs: Tensor, setting: Mapping[str, Any]) -> Call:
    model = _placed(copy.deepcopy(network).eval(), setting)
    if setting["precision"] == "bf16":
        model, inputs = model.to(torch.bfloat16), inputs.to(torch.bfloat16)
    forward = torch.compile(model, dynamic=False) if setting["mode"] == "compiled" else model

    def call() -> object:
        with torch.inference_mode():
            return forward(inputs)

    return call


def _training_step(network: nn.Module, inputs: Tensor, setting: Mapping[str, Any]) -> Call:
    model = _placed(copy.deepcopy(network).train(), setting)
    parameters = list(model.parameters())
    if not parameters:
        return _inference(network, inputs, setting)
    optimizer = torch.optim.SGD(parameters, lr=1e-6, momentum=0.9, weight_decay=5e-4, fused=True)
    forward = torch.compile(model, dynamic=False) if setting["mode"] == "compiled" else model
    device, bf16 = setting["device"], setting["precision"] == "bf16"

    def call() -> None:
        with torch.autocast(device, torch.bfloat16, enabled=bf16):
            loss = forward(inputs).float().square().mean()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return call


def _placed(it: Any, setting: Mapping[str, Any]) -> Any:
    """Return a network or images on the device and in the memory format of a setting."""
    format = getattr(
        torch,
        {"channels_last": "channels_last", "contiguous": "contiguous_format"}[
            setting["memory_format"]
        ],
    )
    return it.to(setting["device"], memory_format=format)


@contextlib.contextmanager
def _conditions(setting: Mapping[str, Any]) -> Iterator[bool]:
    """Pin what else would differ, and put it back; tells whether denormals are flushed."""
    threads, collecting = torch.get_num_threads(), gc.isenabled()
    torch.set_num_threads(setting["threads"])
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


@contextlib.contextmanager
def _compiling(mode: str) -> Iterator[None]:
    """Let every network be compiled: beyond 8 of one forward pass, torch stops without a word."""
    if mode != "compiled":
        yield
        return
    import torch._dynamo.config as dynamo  # it takes a second

    before = dynamo.cache_size_limit
    dynamo.cache_size_limit = 10_000
    try:
        yield
    finally:
        dynamo.cache_size_limit = before
