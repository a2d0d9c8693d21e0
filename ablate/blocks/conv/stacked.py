"""Stacked convolutions: several small kernels one after the other in the place of a large one.

Source: Simonyan and Zisserman 2015, arXiv 1409.1556, section 2.3: two 3x3 kernels see as much as
one of 5x5, three as much as one of 7x7, with fewer weights and an activation more each. With
`mid: none` only the weights differ: the stack is one linear convolution. The stride sits in the
last convolution.

Parameters: kernel² · (in · out + (count - 1) · out²), and those of count - 1 normalisations over
`out` channels if any.
"""

from collections import OrderedDict
from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import Field
from torch import nn

from ablate.blocks import Unfit
from ablate.blocks.conv import OddKernel

SAMPLES: list[dict[str, Any]] = [{}, {"mid": "none"}, {"count": 3}, {"kernel": 5}]


def build(
    in_channels: int,
    out_channels: int,
    stride: int,
    norm: Callable[[int], nn.Module],
    act: Callable[[], nn.Module],
    *,
    count: Annotated[int, Field(ge=2)] = 2,
    kernel: OddKernel = 3,
    mid: Literal["none", "norm_act"] = "norm_act",
) -> nn.Module:
    """Return (n, in, h, w) -> (n, out, ceil(h / stride), ceil(w / stride)).

    Raises:
        Unfit: the kernel is even, which only a convolution with a stride can be.
    """
    if kernel % 2 == 0:
        raise Unfit(
            f"stacked convolutions cannot have a kernel of {kernel}: "
            "those at stride 1 keep the size"
        )
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    for number in range(1, count + 1):
        last = number == count
        layers[f"conv{number}"] = nn.Conv2d(
            in_channels,
            out_channels,
            kernel,
            stride=stride if last else 1,
            padding=kernel // 2,
            bias=False,
        )
        if mid == "norm_act" and not last:
            layers[f"norm{number}"] = norm(out_channels)
            layers[f"act{number}"] = act()
        in_channels = out_channels
    return nn.Sequential(layers)
