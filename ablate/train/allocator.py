"""Freed memory stays with the process, where the C library would hand it back at every step.

glibc maps large blocks straight from the kernel and gives freed memory back, so that every step of
training faults its activations in again, page by page: 100,000 faults and a third of the time at
batch 512. Keeping the memory changes no number and costs little of it. What is timed in passes runs
without this, in processes of its own, as it would for who uses torch as it comes.

Source: mallopt(3), parameters M_MMAP_MAX, M_TRIM_THRESHOLD and M_TOP_PAD.
"""

import ctypes
import sys
from typing import Final

# Of malloc.h.
_M_TRIM_THRESHOLD: Final = -1
_M_TOP_PAD: Final = -2
_M_MMAP_MAX: Final = -4
_TOP_PAD: Final = 16 << 20  # bytes that the heap grows by beyond what is asked for


def keep_freed_memory() -> bool:
    """Have this process keep what it frees, from now on; return whether its C library does so."""
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
    if mallopt is None:
        return False
    settings = {_M_MMAP_MAX: 0, _M_TRIM_THRESHOLD: 2**31 - 1, _M_TOP_PAD: _TOP_PAD}
    return all(mallopt(name, value) == 1 for name, value in settings.items())
