"""All features of all places, then one linear layer: each place has weights of its own.

Source: LeCun, Bottou, Bengio, Haffner 1998, "Gradient-based learning applied to document
recognition", doi:10.1109/5.726791. Departure: one linear layer in place of several.

It takes images of one size alone. With weights that are equal at all places it would be `gap`.

Parameters: channels · h · w · outputs + outputs.
"""

from collections import OrderedDict
from typing import Any

from torch import nn

SAMPLES: list[dict[str, Any]] = [{}]


def build(channels: int, outputs: int, size: tuple[int, int]) -> nn.Module:
    """Return (n, channels, *size) -> (n, outputs)."""
    height, width = size
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    layers["flatten"] = nn.Flatten()
    layers["linear"] = nn.Linear(channels * height * width, outputs)
    return nn.Sequential(layers)
