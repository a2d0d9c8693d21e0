"""Exact mode: deterministic kernels, so that the same trial gives the same bytes again.

On a CPU a trial of one thread does so anyway. On a GPU the fastest kernels add up in whatever order
their threads end; `recipe.exact: true` asks for those that do not, at some cost of speed, and makes
a trial fail whose layers have none. It is part of a trial's identity, since it changes rounding.

Source: pytorch.org/docs/stable/notes/randomness.html. It has never run on a GPU.
"""

import contextlib
import os
from collections.abc import Iterator

import torch


@contextlib.contextmanager
def exact(wanted: bool) -> Iterator[None]:
    """Train deterministically within this context, if wanted; afterwards all is as it was."""
    if not wanted:
        yield
        return
    before = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
        torch.backends.cudnn.benchmark,
    )
    # Read when a process first uses cuBLAS, which is later than this.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.benchmark = False  # which picks kernels by timing them
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])
        torch.backends.cudnn.benchmark = before[2]
