"""Global average pooling, then a hidden linear layer with ReLU, and one to the outputs.

Source: the last layers of MobileNet v3 (Howard et al. 2019, arXiv 1905.02244). Departures: ReLU in
place of h-swish, and no dropout.

Parameters: channels · hidden + hidden + hidden · outputs + outputs.
"""

from collections import OrderedDict
from typing import Annotated, Any

from pydantic import Field
from torch import nn

SAMPLES: list[dict[str, Any]] = [{}, {"hidden": 5}]


def build(
    channels: int,
    outputs: int,
    size: tuple[int, int],
    *,
    hidden: Annotated[int, Field(ge=1)] | None = None,
) -> nn.Module:
    """Return (n, channels, h, w) -> (n, outputs).

    Args:
        hidden: features of the hidden layer; None: as many as channels.
    """
    features = hidden or channels
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    layers["pool"] = nn.AdaptiveAvgPool2d(1)
    layers["flatten"] = nn.Flatten()
    layers["hidden"] = nn.Linear(channels, features)
    layers["act"] = nn.ReLU()
    layers["linear"] = nn.Linear(features, outputs)
    return nn.Sequential(layers)
