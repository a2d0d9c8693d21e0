"""A 1x1 convolution to the outputs, then global average pooling of each output's map.

Source: Lin et al. 2014, "Network in network", arXiv 1312.4400 (without the activation between its
last convolution and the pooling). A linear map and a mean may change places, so this computes what
`gap` does, of the same number of parameters; what differs is that the map is applied at every
pixel, h · w times as often, and that it leaves a map of every class to look at.

Parameters: channels · outputs + outputs.
"""

from collections import OrderedDict
from typing import Any

from torch import nn

SAMPLES: list[dict[str, Any]] = [{}]


def build(channels: int, outputs: int, size: tuple[int, int]) -> nn.Module:
    """Return (n, channels, h, w) -> (n, outputs)."""
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    layers["conv"] = nn.Conv2d(channels, outputs, 1)
    layers["pool"] = nn.AdaptiveAvgPool2d(1)
    layers["flatten"] = nn.Flatten()
    return nn.Sequential(layers)
