"""The highest use of memory while something runs, above what was used before: the common part of
`inference_memory` and `training_memory`, which say what runs.

Protocol, on every device: threads as asked for; no garbage collection meanwhile, but one before
each round; two calls to warm up (thread pools, compiled kernels, pages of libraries); then, each
round: free what can be freed, forget the highest use so far, see what is used (`start`), call once,
see the highest use (`peak` = highest - `start`), see what is used now (`left` = that - `start`).

CPU: the process's resident memory, so everything that the call touches counts: tensors, work space
of kernels, copies in other layouts. On Linux the highest is VmHWM of /proc/self/status, forgotten
by writing 5 to /proc/self/clear_refs, and `start` is VmRSS. Left to itself the C library keeps part
of what is freed and, as it learns how large blocks are, more and more, so that the same step uses
10 to 14 units of memory where 10 is right. So glibc is told to stay as it begins (blocks of 128 KiB
and more are asked from the system and given back to it at once), and what lies free below that is
given back before each round. The setting stays: *measure in a process that does nothing else*.

Exactness: the kernel counts pages for each core apart and adds them up in portions of 32 pages, or
twice the number of cores if that is more; a figure may be off by that for each core used (128 KiB
on few cores). Libraries keep up to some MiB in small blocks, part of which is counted again each
time: a peak of less than 5 MiB or so says more of them than of the network. What a process
allocates and never touches is not resident and does not count.

Where VmHWM cannot be reset, and off Linux, where it is the `ru_maxrss` of getrusage(2) (bytes on
macOS, KiB elsewhere; it never falls), `reset` is false and `peak` an upper bound: the highest since
the process began, above what was used before the first of all calls, and so with what first calls
take. On Linux `ru_maxrss` would not do even then: a process inherits it from the one that started
it. Off Linux this has run only where Linux was taken for another system.

CUDA: bytes of tensors by torch's allocator, work space of cuDNN included; `reserved` is the same of
what the allocator took from the device, which is more by its rounding and its pools. What the
driver and libraries take past it (the context, some hundred MB) is not seen. Whether cuDNN chooses
kernels by timing (`torch.backends.cudnn.benchmark`) decides about their work space and stands in a
record's environment. This branch has never run.

A second method counts tensors: `tensors` is the highest sum of the bytes of those storages that
operations made and that were alive together (`_Alive`, in a call of its own). It sees no work space
within an operation, so on the CPU `peak` may not be less by more than the exactness above. Where it
is, some allocator kept freed memory in spite of all that, and `peak` is wrong; where `left` is more
than some MiB, large blocks lie in memory that was got before it was told, and `peak` is too high:
the process had run something.

Sources: proc(5), mallopt(3), malloc_trim(3), getrusage(2).
"""

import contextlib
import ctypes
import gc
import os
import resource
import subprocess
import sys
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from ablate.metrics import weight_memory

DEVICES: Final = ("cpu", "cuda")

_LINUX = sys.platform == "linux"
_WARM_CALLS: Final = 2
_FORMATS: Final = {
    "channels_last": torch.channels_last,
    "contiguous": torch.contiguous_format,
}
# Of malloc.h, and glibc's own defaults: one that is set is no longer adapted.
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD, _M_MMAP_MAX = -1, -2, -3, -4
_STEADY: Final = {
    _M_MMAP_MAX: 65536,
    _M_MMAP_THRESHOLD: 128 << 10,
    _M_TRIM_THRESHOLD: 128 << 10,
    _M_TOP_PAD: 0,
}

Arrays = dict[str, "np.ndarray[Any, Any]"]


def prepared(
    networks: Sequence[nn.Module], input_shape: tuple[int, int, int], setting: Mapping[str, Any]
) -> tuple[nn.Module, Tensor]:
    """Return the only network and a batch of normal random numbers, as the setting wants them.

    Raises:
        ValueError: there is not one network, or memory cannot be measured on this device.
    """
    device = setting["device"]
    if device not in DEVICES:
        raise ValueError(f"peak memory cannot be measured on {device!r}, only on cpu and cuda")
    if len(networks) != 1:
        raise ValueError(
            f"peak memory is measured of one network in a process of its own, not of "
            f"{len(networks)}"
        )
    layout = _FORMATS[setting["memory_format"]]
    network = networks[0].to(device, memory_format=layout)  # type: ignore[call-overload]  # the stub of Module.to lacks memory_format beside a device
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(setting["batch"], *input_shape, generator=generator)
    return network, inputs.to(device).contiguous(memory_format=layout)


def autocast(setting: Mapping[str, Any]) -> torch.autocast:
    """Return the context of the setting's precision: bf16 arithmetic with fp32 weights, or fp32."""
    bf16 = setting["precision"] == "bf16"
    return torch.autocast(setting["device"], dtype=torch.bfloat16, enabled=bf16)


def measured(
    step: Callable[[], object],
    network: nn.Module,
    inputs: Tensor,
    setting: Mapping[str, Any],
    rounds: int,
) -> Arrays:
    """Return the peak memory of a call, above what is there before it.

    Args:
        step: a call of it is what is measured; it leaves nothing behind that matters.
        network, inputs: what it works on; there before, so no part of the peak.
        setting: with the threads and the device.
        rounds: calls that are measured, after those that warm up.

    Returns:
        (rounds, 1) int64, bytes: `peak`, `start`, `left`; on CUDA `reserved`.
        (1,) int64, bytes: `weights`, `inputs`, `tensors`. (1,) bool: `reset`.

    Raises:
        OSError: this system does not tell how much memory a process uses.
        Exception: what the step raised.
    """
    cuda = setting["device"] == "cuda"
    names = ("peak", "start", "left", *(["reserved"] if cuda else []))
    found: Arrays = {name: np.empty((rounds, 1), np.int64) for name in names}
    reset = True
    _keep_nothing_freed()  # before the first call
    with _conditions(setting["threads"]):
        first = _used(cuda)
        for _ in range(_WARM_CALLS):
            step()
        for number in range(rounds):
            reset = (_settle_cuda() if cuda else _settle()) and reset
            start = _used(cuda) if reset else first
            took = torch.cuda.memory_reserved() if cuda else 0
            step()
            highest = _highest(cuda)
            found["start"][number] = start
            found["peak"][number] = highest - start
            found["left"][number] = _used(cuda) - start
            if cuda:
                found["reserved"][number] = torch.cuda.max_memory_reserved() - took
        with _Alive() as alive:
            step()
    weights = weight_memory.measure(network, (0, 0, 0)).value
    single = {"weights": weights, "inputs": inputs.nbytes, "tensors": alive.most}
    return (
        found
        | {name: np.array([value], np.int64) for name, value in single.items()}
        | {"reset": np.array([reset])}
    )


@contextlib.contextmanager
def _conditions(threads: int) -> Iterator[None]:
    before, collecting = torch.get_num_threads(), gc.isenabled()
    torch.set_num_threads(threads)
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()
        torch.set_num_threads(before)


def _keep_nothing_freed() -> None:
    """Have the C library give large blocks back at once, and now what lies free of small ones."""
    if _LINUX:
        library = ctypes.CDLL(None)
        if hasattr(library, "malloc_trim"):  # musl has none; it gives large blocks back anyway
            for name, value in _STEADY.items():
                library.mallopt(name, value)
            library.malloc_trim(0)


def _settle() -> bool:
    """Free what can be freed and forget the highest use; return whether it could be forgotten."""
    gc.collect()
    _keep_nothing_freed()
    if _LINUX:
        with contextlib.suppress(OSError):  # a kernel or a container without it
            Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
            return True
    return False


def _settle_cuda() -> bool:
    gc.collect()
    torch.cuda.synchronize()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    return True


def _used(cuda: bool) -> int:
    """Return the bytes that are in use now."""
    if cuda:
        torch.cuda.synchronize()
        return torch.cuda.memory_allocated()
    if _LINUX:
        return _status("VmRSS")
    command = ["ps", "-o", "rss=", "-p", str(os.getpid())]
    found = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    if not found.strip().isdigit():
        raise OSError("this system does not tell how much memory a process uses")
    return int(found) * 1024


def _highest(cuda: bool) -> int:
    """Return the most bytes that were in use at once since that was forgotten last."""
    if cuda:
        torch.cuda.synchronize()
        return torch.cuda.max_memory_allocated()
    if _LINUX:
        return _status("VmHWM")
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def _status(name: str) -> int:
    with open("/proc/self/status", encoding="ascii", errors="replace") as file:
        for line in file:
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) * 1024  # "kB" is KiB there
    raise OSError(f"/proc/self/status does not tell {name}, the memory that this process uses")


class _Alive(TorchDispatchMode):  # type: ignore[no-untyped-call]  # untyped in torch
    """Adds up the bytes of storages that operations make, for as long as they are alive."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # untyped in torch
        self.now = self.most = 0
        self._known: set[int] = set()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        given = {id(storage) for storage in _storages((args, kwargs))}
        made = func(*args, **(kwargs or {}))
        for storage in _storages(made):
            if id(storage) not in given | self._known:
                self._known.add(id(storage))
                self.now += storage.nbytes()
                weakref.finalize(storage, self._gone, id(storage), storage.nbytes())
        self.most = max(self.most, self.now)
        return made

    def _gone(self, name: int, size: int) -> None:
        self._known.discard(name)  # the name may be used again
        self.now -= size


def _storages(tree: Any) -> list[torch.UntypedStorage]:
    return [leaf.untyped_storage() for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]
