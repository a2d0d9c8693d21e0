"""What the machine can do at most, and the least that a network asks of it.

The machine: the rate of a large matrix product in fp32 and bf16, and of a copy of memory that no
cache holds. The network: for every convolution and linear layer the arithmetic of one training
image, three times that of the forward pass (the product itself and, going back, the gradients of
input and weights), and the activations that these three products read and write, as if
normalisation and activation cost nothing. The time below which no loop comes is the sum over layers
of the longer one of the two. Caches can beat the copy rate, so the floor is one of main memory.
"""

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import nn

from benchmarks import given

_SIDE = 2048  # of square matrices: large enough that the product is all that counts
_COPIED = 256 << 20  # bytes


def rates(argument: dict[str, Any]) -> dict[str, float]:
    """Return FLOP/s of products and bytes/s of a copy (read and written), the best of a while.

    Args:
        argument: {"threads", "seconds"}.
    """
    torch.set_num_threads(argument["threads"])
    found = {}
    for name, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        left, right = (torch.randn(_SIDE, _SIDE).to(dtype) for _ in range(2))
        out = torch.empty(_SIDE, _SIDE, dtype=dtype)
        best = _best(partial(torch.mm, left, right, out=out), argument["seconds"])
        found[name] = 2 * _SIDE**3 / best
    source, target = (torch.zeros(_COPIED, dtype=torch.uint8) for _ in range(2))
    found["copy"] = 2 * _COPIED / _best(partial(target.copy_, source), argument["seconds"])
    return found


def needs(job: given.Job) -> list[tuple[float, float]]:
    """Return (FLOP, elements moved) of one training image for each layer of a job's network."""
    network = given.network(job).eval()
    train, _ = given.pictures(job)
    height, width, channels = train.images.shape[1:]
    found: list[tuple[float, float]] = []

    def note(layer: nn.Module, inputs: Any, output: Any) -> None:
        assert isinstance(layer, nn.Conv2d | nn.Linear)
        weights = layer.weight[0].numel()  # taps of one output value
        found.append(
            (3 * 2.0 * weights * output.numel(), 3.0 * (inputs[0].numel() + output.numel()))
        )

    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            layer.register_forward_hook(note)
    with torch.no_grad():
        network(torch.zeros(1, channels, height, width))
    return found


def _best(work: Callable[[], Any], seconds: float) -> float:
    work()
    best, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end:
        began = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - began)
    return best
