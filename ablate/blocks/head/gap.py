"""Global average pooling, then one linear layer.

Source: Lin et al. 2014, "Network in network", arXiv 1312.4400. Departure: a linear layer with bias
follows the pooling (as in He et al. 2016, arXiv 1512.03385), so that the number of features need
not be that of the outputs.

Parameters: channels · outputs + outputs.
"""

from collections import OrderedDict
from typing import Any

from torch import nn

SAMPLES: list[dict[str, Any]] = [{}]


def build(channels: int, outputs: int, size: tuple[int, int]) -> nn.Module:
    """Return (n, channels, h, w) -> (n, outputs)."""
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    layers["pool"] = nn.AdaptiveAvgPool2d(1)
    layers["flatten"] = nn.Flatten()
    layers["linear"] = nn.Linear(channels, outputs)
    return nn.Sequential(layers)
