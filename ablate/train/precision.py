"""Precision by rule, not by timing: a property of the hardware, so part of a trial's identity.

bf16 on NVIDIA GPUs of compute capability 8.0 and newer and on CPUs with avx512_bf16 or AMX; fp32
everywhere else. fp16 with loss scaling, for older tensor cores, is not offered: it was never run.
"""

import contextlib
import platform
from pathlib import Path
from typing import Literal

import torch

Precision = Literal["fp32", "bf16"]


def choose(wanted: str, device: str) -> tuple[Precision, str]:
    """Return the precision to train in, and why in words.

    Args:
        wanted: auto, fp32 or bf16.
        device: cpu, cuda or mps.
    """
    if wanted == "fp32":
        return "fp32", "asked for"
    if wanted == "bf16":
        return "bf16", "asked for"
    if device == "cuda":
        major, minor = torch.cuda.get_device_capability()
        fast = major >= 8
        return ("bf16" if fast else "fp32"), f"GPU of compute capability {major}.{minor}"
    if device == "cpu":
        features = _cpu_features() & {"avx512_bf16", "amx_bf16"}
        if features:
            return "bf16", f"the CPU has {' and '.join(sorted(features))}"
        return "fp32", "the CPU has no bf16 arithmetic"
    return "fp32", f"the rule for {device}"


def autocast(precision: str, device: str) -> contextlib.AbstractContextManager[object]:
    """Return the context in which a forward pass runs: mixed precision with fp32 weights."""
    if precision == "bf16":
        return torch.autocast(device, dtype=torch.bfloat16)
    return contextlib.nullcontext()


def _cpu_features() -> set[str]:
    if platform.system() != "Linux":
        return set()
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("flags"):
            return set(line.partition(":")[2].split())
    return set()
