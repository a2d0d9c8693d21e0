"""A normal (dense) convolution: every output channel sees every input channel.

Source: LeCun, Bottou, Bengio, Haffner 1998, "Gradient-based learning applied to document
recognition", doi:10.1109/5.726791. Departure: zero padding that keeps the size, as is usual since.

Parameters: kernel² · in · out.
"""

from collections.abc import Callable
from typing import Any

from torch import nn

from ablate.blocks.conv import OddKernel

SAMPLES: list[dict[str, Any]] = [{}, {"kernel": 1}, {"kernel": 5}]


def build(
    in_channels: int,
    out_channels: int,
    stride: int,
    norm: Callable[[int], nn.Module],
    act: Callable[[], nn.Module],
    *,
    kernel: OddKernel = 3,
) -> nn.Module:
    """Return (n, in, h, w) -> (n, out, ceil(h / stride), ceil(w / stride))."""
    return nn.Conv2d(
        in_channels, out_channels, kernel, stride=stride, padding=(kernel - 1) // 2, bias=False
    )
