"""Resize-convolution: interpolation to twice the sides, then a convolution.

Source: Odena et al. 2016, "Deconvolution and checkerboard artifacts", doi:10.23915/distill.00003.
With `nearest` and a 3x3 kernel it is a transposed convolution with a kernel of 4, of the 16 weights
of which 9 are free; with `bilinear`, away from the border, it is one with a kernel of 6.

Pixels are squares whose corners stay where they are (`align_corners=False`), so bilinear
interpolation repeats the outermost ones. The convolution's padding is zeros and keeps the size.

Parameters: kernel² · in · out + out. MACs per pixel of the input: 4 · kernel² · in · out, since the
convolution runs at the output's resolution, and none for the interpolation. With a 3x3 kernel that
is 9 parameters and 36 MACs for every pair of channels.
"""

from collections import OrderedDict
from typing import Any, Literal

from torch import nn

from ablate.blocks.conv import OddKernel

SAMPLES: list[dict[str, Any]] = [{}, {"mode": "bilinear"}, {"kernel": 5}]


def build(
    in_channels: int,
    out_channels: int,
    *,
    mode: Literal["nearest", "bilinear"] = "nearest",
    kernel: OddKernel = 3,
) -> nn.Module:
    """Return (n, in, h, w) -> (n, out, 2·h, 2·w)."""
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    # Without `align_corners` torch leaves corners as they are.
    layers["resize"] = nn.Upsample(scale_factor=2, mode=mode)
    layers["conv"] = nn.Conv2d(in_channels, out_channels, kernel, padding=(kernel - 1) // 2)
    return nn.Sequential(layers)
