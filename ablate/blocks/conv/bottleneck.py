"""A bottleneck: a 1x1 convolution to fewer channels, a 3x3 among those, a 1x1 back to all.

Source: He et al. 2016, "Deep residual learning for image recognition", arXiv 1512.03385, figure 5,
without its shortcut, which is a merge block's matter. A normalisation and an activation follow the
first two convolutions; the network adds the last. Departure: the stride sits in the 3x3
convolution, as in torchvision, where no pixel is skipped unseen.

Parameters, with mid = max(1, out // ratio): in · mid + kernel² · mid² + mid · out, and those of two
normalisations over `mid` channels.
"""

from collections import OrderedDict
from collections.abc import Callable
from typing import Annotated, Any

from pydantic import Field
from torch import nn

from ablate.blocks.conv import OddKernel

SAMPLES: list[dict[str, Any]] = [{}, {"ratio": 2}, {"kernel": 5}]


def build(
    in_channels: int,
    out_channels: int,
    stride: int,
    norm: Callable[[int], nn.Module],
    act: Callable[[], nn.Module],
    *,
    ratio: Annotated[int, Field(ge=1)] = 4,
    kernel: OddKernel = 3,
) -> nn.Module:
    """Return (n, in, h, w) -> (n, out, ceil(h / stride), ceil(w / stride))."""
    mid = max(1, out_channels // ratio)
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    layers["reduce"] = nn.Conv2d(in_channels, mid, 1, bias=False)
    layers["norm1"] = norm(mid)
    layers["act1"] = act()
    layers["spatial"] = nn.Conv2d(
        mid, mid, kernel, stride=stride, padding=(kernel - 1) // 2, bias=False
    )
    layers["norm2"] = norm(mid)
    layers["act2"] = act()
    layers["expand"] = nn.Conv2d(mid, out_channels, 1, bias=False)
    return nn.Sequential(layers)
