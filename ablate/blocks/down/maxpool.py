"""Max pooling after the stage's last layer: the largest of every 2x2 pixels.

Source: Scherer, Müller, Behnke 2010, "Evaluation of pooling operations in convolutional
architectures for object recognition", doi:10.1007/978-3-642-15825-4_10; in this place (convolution,
activation, 2x2 pool of stride 2) Simonyan and Zisserman 2015, arXiv 1409.1556.

A side of odd length loses its last pixel (rounds down).
"""

from typing import Any

from torch import nn

from ablate.blocks.down import MakeLayer

SAMPLES: list[dict[str, Any]] = [{}]


def build(layer: MakeLayer) -> nn.Module:
    """Return (n, in, h, w) -> (n, out, floor(h / 2), floor(w / 2))."""
    end = layer(1)
    end.add_module("pool", nn.MaxPool2d(2))
    return end
