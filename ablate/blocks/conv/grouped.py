"""A grouped convolution: the channels fall into groups, and each group is convolved by itself.

Source: Krizhevsky et al. 2012, "ImageNet classification with deep convolutional neural networks",
doi:10.1145/3065386; as a factor of design Xie et al. 2017, "ResNeXt", arXiv 1611.05431. Grouped
convolutions that follow each other seal their groups off, so `then` says what mixes the channels:

* `none`: nothing;
* `shuffle`: the channels are dealt out to new groups, one of each old group after the other
  (Zhang et al. 2018, "ShuffleNet", arXiv 1707.01083). Departure: before the normalisation and the
  activation, which treat every channel by itself, so that the order makes no difference;
* `pointwise`: a 1x1 convolution of all channels, with nothing between. With as many groups as
  channels it would be a depthwise separable convolution.

The groups must divide the channels on both sides; see `multiple`.

Parameters: kernel² · in · out / groups, and out² of the pointwise convolution if any.
"""

from collections import OrderedDict
from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import Field
from torch import nn

from ablate.blocks import Unfit
from ablate.blocks.conv import OddKernel

SAMPLES: list[dict[str, Any]] = [
    {"groups": 2},
    {"groups": 2, "then": "shuffle"},
    {"groups": 2, "then": "pointwise"},
    {"groups": 2, "kernel": 5},
]


def multiple(*, groups: int, **others: Any) -> int:
    """Return the number that must divide the channels."""
    return groups


def build(
    in_channels: int,
    out_channels: int,
    stride: int,
    norm: Callable[[int], nn.Module],
    act: Callable[[], nn.Module],
    *,
    groups: Annotated[int, Field(ge=2)] = 4,
    kernel: OddKernel = 3,
    then: Literal["none", "shuffle", "pointwise"] = "none",
) -> nn.Module:
    """Return (n, in, h, w) -> (n, out, ceil(h / stride), ceil(w / stride)).

    Raises:
        Unfit: the groups do not divide the channels.
    """
    for channels in (in_channels, out_channels):
        if channels % groups:
            below = channels // groups * groups
            fitting = f"{below} or {below + groups}" if below else f"{groups}"
            raise Unfit(f"{channels} channels do not fall into {groups} groups; {fitting} would")
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    layers["grouped"] = nn.Conv2d(
        in_channels,
        out_channels,
        kernel,
        stride=stride,
        padding=(kernel - 1) // 2,
        groups=groups,
        bias=False,
    )
    if then == "shuffle":
        layers["shuffle"] = nn.ChannelShuffle(groups)
    elif then == "pointwise":
        layers["pointwise"] = nn.Conv2d(out_channels, out_channels, 1, bias=False)
    return nn.Sequential(layers)
