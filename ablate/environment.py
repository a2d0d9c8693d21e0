"""Where a record was made: machine, software and the state of the code."""

import contextlib
import functools
import importlib.metadata
import os
import platform
import statistics
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import ablate

_PACKAGES = ("torch", "torchvision", "triton", "numpy", "fvcore", "scikit-image", "pillow")
# What nvidia-smi is asked of a GPU, and what its answers are called here. The name comes last, as
# the only one that might have a comma in it.
_OF_GPU: Final = {
    "driver_version": "driver",
    "clocks.sm": "sm_mhz",
    "clocks.max.sm": "sm_mhz_max",
    "clocks.applications.graphics": "sm_mhz_set",
    "clocks.mem": "memory_mhz",
    "clocks.max.mem": "memory_mhz_max",
    "clocks.applications.memory": "memory_mhz_set",
    "power.draw": "watts",
    "power.limit": "watts_limit",
    "temperature.gpu": "celsius",
    "ecc.mode.current": "ecc",
    "name": "name",
}
_WORDS: Final = ("driver", "ecc", "name")
_PATIENCE: Final = 10.0  # seconds that nvidia-smi may take
_FIRST_NAMESPACE: Final = "pid:[4026531836]"  # of process numbers: the machine's own, in Linux


def describe(device: str) -> dict[str, Any]:
    """Return what a reader needs to judge or repeat a measurement on this machine.

    What the system does not tell is None. Of the CPU: `cpu_mhz` holds the governors and the
    lowest and highest frequency they may choose, in MHz, and the median of all cores now
    (`mhz_now`); `virtual` is whether a virtual machine shows. `memory`: bytes of the machine, and
    those that processes may use. `numerics`: flags that decide about rounding and speed, of this
    process and this thread. On CUDA also `gpu_state`, which takes nvidia-smi a moment.
    """
    import torch

    told = _cpuinfo()
    found: dict[str, Any] = {
        "ablate": ablate.__version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "cpu": _cpu_model(told),
        "cpu_mhz": _frequency(told),
        "virtual": _virtual(told),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "memory": {"machine": _physical_memory(), "usable": memory()},
        "numerics": _numerics(),
        "packages": {name: _version(name) for name in _PACKAGES},
    }
    if device == "cuda":
        found["gpu"] = torch.cuda.get_device_name()
        found["cuda"] = torch.version.cuda
        found["cudnn"] = torch.backends.cudnn.version()  # type: ignore[no-untyped-call]  # untyped in torch
        found["gpu_state"] = gpu_state(torch.cuda.current_device())
    commit, dirty = code()
    return found | {"commit": commit, "dirty": dirty}


def gpus() -> list[str]:
    """Return how `CUDA_VISIBLE_DEVICES` names each CUDA GPU that is visible, in order."""
    import torch

    count = torch.cuda.device_count()
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    # CUDA takes the names in order up to the first that is none.
    return [str(index) for index in range(count)] if visible is None else visible.split(",")[:count]


def gpu_state(index: int = 0) -> dict[str, Any] | None:
    """Return how an NVIDIA GPU is set and what it does now; None where nvidia-smi does not tell.

    Args:
        index: of the GPU, as torch counts those that are visible.

    Returns:
        `name`, `driver`; in MHz the clocks of the multiprocessors (`sm_mhz`) and of the memory
        (`memory_mhz`) now, with the highest (`…_max`) and what applications asked for (`…_set`);
        `watts` drawn and their limit (`watts_limit`); `celsius`; `ecc` ("Enabled", "Disabled"); all
        None where the GPU does not tell. `others`: for each other process that computes on it
        {"pid", "bytes"}, bytes None where it is not told; None where they are not known, as in a
        container, which cannot tell its own process from others.

    It asks for the CSV that `nvidia-smi --help-query-gpu` and `--help-query-compute-apps` document.
    The parsers are tested on such text; none of this was ever run beside a GPU.
    """
    chosen = ["-i", _name_of_gpu(index), "--format=csv,noheader,nounits"]
    told = _ask([f"--query-gpu={','.join(_OF_GPU)}", *chosen])
    state = None if told is None else parse_gpu(told)
    if state is None:
        return None
    told = _ask(["--query-compute-apps=pid,used_memory", *chosen])
    known = told is not None and _knows_all_processes()
    processes = parse_processes(told) if told is not None and known else None
    return state | {
        "others": processes and [process for process in processes if process["pid"] != os.getpid()]
    }


def others_on_gpu(state: Mapping[str, Any] | None) -> str | None:
    """Say in a sentence that others use the GPU of a `gpu_state`; None where none is known to."""
    others = state["others"] if state is not None else None
    if not others:
        return None
    pids = [str(process["pid"]) for process in others]
    sizes = [process["bytes"] for process in others]
    size = "" if None in sizes else f", with {sum(sizes) / 2**30:.1f} GiB of its memory"
    who = (
        f"another process ({pids[0]}{size})"
        if len(pids) == 1
        else f"{len(pids)} other processes ({', '.join(pids)}{size})"
    )
    return (
        f"the GPU is used by {who}: times that are measured beside it hold for that mixture alone, "
        "and can be repeated only on a GPU that is left alone"
    )


def parse_gpu(text: str) -> dict[str, Any] | None:
    """Return what nvidia-smi says of one GPU, None where the text is something else.

    Args:
        text: a line of values, separated by a comma and a blank, in the order of the query. What a
            GPU has not or does not tell stands in brackets: "[N/A]", "[Not Supported]".
    """
    lines = text.strip().splitlines()
    parts = lines[0].split(",", len(_OF_GPU) - 1) if len(lines) == 1 else []
    if len(parts) != len(_OF_GPU):
        return None
    values = zip(_OF_GPU.values(), (part.strip() for part in parts), strict=True)
    return {
        name: (None if value.startswith("[") else value) if name in _WORDS else _number(value)
        for name, value in values
    }


def parse_processes(text: str) -> list[dict[str, Any]]:
    """Return number and bytes of each process that nvidia-smi lists as "pid, MiB", one a line."""
    found = []
    for line in text.splitlines():
        pid, _, size = line.partition(",")
        if pid.strip().isdigit():
            number = _number(size.strip())
            found.append(
                {"pid": int(pid), "bytes": None if number is None else int(number * 2**20)}
            )
    return found


def memory() -> int:
    """Return the bytes of memory that processes may use here: the machine's, or a group's share."""
    found = [_physical_memory()]
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


@functools.cache
def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _physical_memory() -> int:
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _numerics() -> dict[str, Any]:
    import torch

    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul

    def tf32(where: Any) -> bool | None:
        try:
            return bool(where.allow_tf32)
        except RuntimeError:  # it was set by torch's newer names, which the older one cannot tell
            return None

    return {
        "default_dtype": str(torch.get_default_dtype()).removeprefix("torch."),
        "matmul_precision": torch.get_float32_matmul_precision(),
        "tf32_matmul": tf32(matmul),
        "tf32_cudnn": tf32(cudnn),
        "cudnn_benchmark": cudnn.benchmark,
        "cudnn_deterministic": cudnn.deterministic,
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        # Torch sets this and does not tell: a product that is a denormal number says it.
        "denormals_flushed": bool(
            torch.full((), 1e-30, dtype=torch.float32, device="cpu") * 1e-10 == 0
        ),
        "cpu_kernels": torch.backends.cpu.get_cpu_capability(),
    }


def _cpuinfo() -> dict[str, list[str]]:
    """Return what Linux tells of the cores, by name a value for each; {} elsewhere."""
    found: dict[str, list[str]] = {}
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            name, _, value = line.partition(":")
            found.setdefault(name.strip(), []).append(value.strip())
    return found


def _cpu_model(told: Mapping[str, list[str]]) -> str:
    if not told:
        return platform.processor() or platform.machine()
    return told.get("model name", [platform.machine()])[0]


def _virtual(told: Mapping[str, list[str]]) -> bool | None:
    return "hypervisor" in told["flags"][0].split() if told.get("flags") else None


def _frequency(
    told: Mapping[str, list[str]], folder: Path = Path("/sys/devices/system/cpu/cpufreq")
) -> dict[str, Any]:
    """Return governors and frequencies in MHz, of /proc/cpuinfo and of Linux's cpufreq."""

    def of_policies(name: str) -> list[str]:
        found = []
        for path in sorted(folder.glob(f"policy*/{name}")):
            with contextlib.suppress(OSError):
                found.append(path.read_text(encoding="ascii").strip())
        return found

    def mhz(name: str) -> list[float]:
        return [int(value) / 1000 for value in of_policies(name) if value.isdigit()]

    now = [float(value) for value in told.get("cpu MHz", [])] or mhz("scaling_cur_freq")
    return {
        "governor": ", ".join(sorted(set(of_policies("scaling_governor")))) or None,
        "mhz_now": round(statistics.median(now)) if now else None,
        "mhz_min": min(mhz("scaling_min_freq"), default=None),
        "mhz_max": max(mhz("scaling_max_freq"), default=None),
    }


def _name_of_gpu(index: int) -> str:
    """Return what nvidia-smi calls a GPU: it counts them in another order than CUDA."""
    import torch

    if torch.cuda.is_available():
        uuid = getattr(torch.cuda.get_device_properties(index), "uuid", None)
        if uuid is not None:
            return f"GPU-{uuid}"
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")
    return visible[index] if index < len(visible) and visible[index] else str(index)


def _ask(arguments: list[str]) -> str | None:
    """Return what nvidia-smi answers, None where it is not there or has no answer."""
    try:
        done = subprocess.run(
            ["nvidia-smi", *arguments], capture_output=True, text=True, timeout=_PATIENCE
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


def _knows_all_processes() -> bool:
    """Whether process numbers here are the machine's, as nvidia-smi's are, also in a container."""
    try:
        return os.readlink("/proc/self/ns/pid") == _FIRST_NAMESPACE
    except OSError:
        return True


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
