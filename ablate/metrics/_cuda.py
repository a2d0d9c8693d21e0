"""Calls on a CUDA GPU in turns, timed by events: hot, and with a cold cache. Never run on one yet.

Calls return before the GPU has done them, so the host's clock sees how long they took to issue. An
event on either side of a call is stamped by the GPU itself; one synchronisation ends a block.
"""

from time import perf_counter
from typing import Final

import numpy as np
import torch
from torch import Tensor

from ablate.metrics.latency import Arrays, Block, Call, Timer, interleave

# Written over before each cold call; the largest second-level cache of any GPU so far is smaller.
_CACHE: Final = 256 * 2**20  # bytes


def interleaved(calls: list[Call], rounds: int) -> Arrays:
    """Time calls hot and cold.

    Returns:
        what `latency.interleave` returns for hot calls, with `issued` (rounds, n), the seconds in
        which the host issued a call, and `clock` (rounds, n), MHz of the multiprocessors at the end
        of the block, nan where the driver's library (nvidia-ml-py) is not installed; the same for
        cold calls under names with `cold_` before them; and `default_clock` () in MHz, nan where
        torch does not tell it.
    """
    hot = interleave(calls, rounds, _events(None))
    flushed = torch.empty(_CACHE, dtype=torch.uint8, device="cuda")
    cold = interleave(calls, rounds, _events(flushed))
    default = getattr(torch.cuda.get_device_properties(), "clock_rate", float("nan")) / 1000
    cold = {f"cold_{name}": array for name, array in cold.items()}
    return hot | cold | {"default_clock": np.array(default)}


def _events(flushed: Tensor | None) -> Timer:
    """Return the timer; what it is given to flush is written over before each call."""

    def timer(call: Call, calls: int) -> Block:
        events = [(_event(), _event()) for _ in range(calls)]
        torch.cuda.synchronize()
        began = perf_counter()
        for before, after in events:
            if flushed is not None:
                flushed.zero_()
            before.record()
            call()
            after.record()
        issued = (perf_counter() - began) / calls
        torch.cuda.synchronize()
        seconds = np.array([before.elapsed_time(after) / 1000 for before, after in events])
        return Block(seconds, {"issued": issued, "clock": _clock()})

    return timer


def _event() -> torch.cuda.Event:
    return torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]  # untyped in torch


def _clock() -> float:
    try:
        return float(torch.cuda.clock_rate())
    except (ModuleNotFoundError, RuntimeError):  # no library of the driver, or it does not tell
        return float("nan")
