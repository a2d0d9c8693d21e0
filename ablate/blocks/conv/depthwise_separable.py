"""A depthwise separable convolution: each channel alone in space, then all channels at each pixel.

Source: Howard et al. 2017, "MobileNets", arXiv 1704.04861 (`mid: norm_act`); Chollet 2017,
"Xception", arXiv 1610.02357, and Keras' `SeparableConv2D` (`mid: none`). The two differ in what
stands between the depthwise and the pointwise convolution: `norm_act` doubles the non-linearities.
The stride sits in the depthwise convolution, as in MobileNet.

Parameters: kernel² · in + in · out, and those of the normalisation over `in` channels if any.
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
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    layers["depthwise"] = nn.Conv2d(
        in_channels,
        in_channels,
        kernel,
        stride=stride,
        padding=(kernel - 1) // 2,
        groups=in_channels,
        bias=False,
    )
    if mid == "norm_act":
        layers["norm"] = norm(in_channels)
        layers["act"] = act()
    layers["pointwise"] = nn.Conv2d(in_channels, out_channels, 1, bias=False)
    return nn.Sequential(layers)
