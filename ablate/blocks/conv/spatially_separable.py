"""A spatially separable convolution: a column of weights, then a row of them.

Source: Szegedy et al. 2016, "Rethinking the Inception architecture", arXiv 1512.00567, section 3.2
(`mid: norm_act`, as its convolutions all have); `mid: none` is the classical factorisation, in
which one channel in between gives a kernel of rank 1 (Jin et al. 2015, "Flattened convolutional
neural networks", arXiv 1412.5474). As many channels in between as come out.

Parameters: kernel · in · out + kernel · out², and those of the normalisation over `out` channels
if any.
"""

from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Literal

from torch import nn

from ablate.blocks.conv import OddKernel

SAMPLES: list[dict[str, Any]] = [{}, {"mid": "norm_act"}, {"kernel": 5}]


def build(
    in_channels: int,
    out_channels: int,
    stride: int,
    norm: Callable[[int], nn.Module],
    act: Callable[[], nn.Module],
    *,
    kernel: OddKernel = 3,
    mid: Literal["none", "norm_act"] = "none",
) -> nn.Module:
    """Return (n, in, h, w) -> (n, out, ceil(h / stride), ceil(w / stride))."""
    around = (kernel - 1) // 2
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    layers["vertical"] = nn.Conv2d(
        in_channels,
        out_channels,
        (kernel, 1),
        stride=(stride, 1),
        padding=(around, 0),
        bias=False,
    )
    if mid == "norm_act":
        layers["norm"] = norm(out_channels)
        layers["act"] = act()
    layers["horizontal"] = nn.Conv2d(
        out_channels,
        out_channels,
        (1, kernel),
        stride=(1, stride),
        padding=(0, around),
        bias=False,
    )
    return nn.Sequential(layers)
