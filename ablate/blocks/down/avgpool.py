"""Average pooling after the stage's last layer: the mean of every 2x2 pixels.

Source: LeCun, Bottou, Bengio, Haffner 1998, "Gradient-based learning applied to document
recognition", doi:10.1109/5.726791 ("sub-sampling"). Departure: no trained coefficient and bias.

A side of odd length loses its last pixel (rounds down).
"""

from typing import Any

from torch import nn

from ablate.blocks.down import MakeLayer

SAMPLES: list[dict[str, Any]] = [{}]


def build(layer: MakeLayer) -> nn.Module:
    """Return (n, in, h, w) -> (n, out, floor(h / 2), floor(w / 2))."""
    end = layer(1)
    end.add_module("pool", nn.AvgPool2d(2))
    return end
