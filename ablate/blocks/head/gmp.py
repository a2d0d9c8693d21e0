"""Global max pooling, then one linear layer.

Source: Oquab, Bottou, Laptev, Sivic 2015, "Is object localization for free? Weakly-supervised
learning with convolutional neural networks", doi:10.1109/CVPR.2015.7298668. Departure: there the
classes' maps are pooled; here it is the features, as global average pooling does in `gap`, so that
the pooling is all in which the two differ.

Parameters: channels · outputs + outputs.
"""

from collections import OrderedDict
from typing import Any

from torch import nn

SAMPLES: list[dict[str, Any]] = [{}]


def build(channels: int, outputs: int, size: tuple[int, int]) -> nn.Module:
    """Return (n, channels, h, w) -> (n, outputs)."""
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    layers["pool"] = nn.AdaptiveMaxPool2d(1)
    layers["flatten"] = nn.Flatten()
    layers["linear"] = nn.Linear(channels, outputs)
    return nn.Sequential(layers)
