"""A stride of 2 in the stage's last layer, in place of a pooling after it.

Source: Springenberg et al. 2015, "Striving for simplicity: the all convolutional net",
arXiv 1412.6806 (its "Strided-CNN"). It computes a quarter of the outputs that the layer has at
stride 1, and nothing else changes.

With `kernel` the layer's convolution gets a kernel of that side. One of 4 has the receptive field
of a 3x3 convolution and a 2x2 average pooling, and those two are the case of it in which weights
are tied.

A side of odd length rounds up, and with an even kernel down.
"""

from typing import Annotated, Any

from pydantic import Field
from torch import nn

from ablate.blocks.down import MakeLayer

SAMPLES: list[dict[str, Any]] = [{}, {"kernel": 4}]


def build(layer: MakeLayer, *, kernel: Annotated[int, Field(ge=1)] | None = None) -> nn.Module:
    """Return (n, in, h, w) -> (n, out, h', w'), where h' and w' are h / 2 and w / 2, rounded."""
    return layer(2, kernel)
