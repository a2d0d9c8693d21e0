"""A dilated convolution: the kernel's taps lie `dilation` pixels apart.

Source: Yu and Koltun 2016, "Multi-scale context aggregation by dilated convolutions",
arXiv 1511.07122. It covers (kernel - 1) · dilation + 1 pixels a side with kernel² weights.
Departure: zero padding that keeps the size.

Parameters: kernel² · in · out.
"""

from collections.abc import Callable
from typing import Annotated, Any

from pydantic import Field
from torch import nn

from ablate.blocks.conv import OddKernel

SAMPLES: list[dict[str, Any]] = [{}, {"dilation": 3}, {"kernel": 5}]


def build(
    in_channels: int,
    out_channels: int,
    stride: int,
    norm: Callable[[int], nn.Module],
    act: Callable[[], nn.Module],
    *,
    kernel: OddKernel = 3,
    dilation: Annotated[int, Field(ge=1)] = 2,
) -> nn.Module:
    """Return (n, in, h, w) -> (n, out, ceil(h / stride), ceil(w / stride))."""
    return nn.Conv2d(
        in_channels,
        out_channels,
        kernel,
        stride=stride,
        padding=dilation * (kernel - 1) // 2,
        dilation=dilation,
        bias=False,
    )
