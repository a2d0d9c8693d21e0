"""Where a record was made: machine, software and the state of the code."""

import contextlib
import functools
import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

import ablate

_PACKAGES = ("torch", "torchvision", "numpy", "fvcore", "scikit-image", "pillow")


def describe(device: str) -> dict[str, Any]:
    """Return what a reader needs to judge or repeat a measurement on this machine."""
    import torch

    found: dict[str, Any] = {
        "ablate": ablate.__version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "packages": {name: _version(name) for name in _PACKAGES},
    }
    if device == "cuda":
        found["gpu"] = torch.cuda.get_device_name()
        found["cuda"] = torch.version.cuda
        found["cudnn"] = torch.backends.cudnn.version()  # type: ignore[no-untyped-call]  # untyped in torch
    commit, dirty = code()
    return found | {"commit": commit, "dirty": dirty}


def gpus() -> list[str]:
    """Return how `CUDA_VISIBLE_DEVICES` names each CUDA GPU that is visible, in order."""
    import torch

    count = torch.cuda.device_count()
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    # CUDA takes the names in order up to the first that is none.
    return [str(index) for index in range(count)] if visible is None else visible.split(",")[:count]


def memory() -> int:
    """Return the bytes of memory that processes may use here: the machine's, or a group's share."""
    found = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    # Of control groups (containers), version 2 and 1; "max" is no limit.
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        with contextlib.suppress(OSError, ValueError):
            found.append(int(Path("/sys/fs/cgroup", name).read_text(encoding="ascii")))
    return min(found)


@functools.cache
def code() -> tuple[str | None, bool]:
    """Return the commit of the running code and whether it has changes that are in no commit.

    (None, False) where it does not run from a git checkout.
    """
    root = Path(ablate.__file__).parent.parent
    if not (root / ".git").exists():
        return None, False
    try:
        commit = _git(root, "rev-parse", "HEAD")
        dirty = bool(_git(root, "status", "--porcelain", "--untracked-files=no"))
    except (OSError, subprocess.CalledProcessError):
        return None, False
    return commit, dirty


def _git(root: Path, *arguments: str) -> str:
    return subprocess.run(
        ["git", "-C", str(root), *arguments], capture_output=True, text=True, check=True
    ).stdout.strip()


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
