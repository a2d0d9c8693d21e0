"""Anti-aliased downsampling: a low-pass filter before every second pixel is left out.

Source: Zhang 2019, "Making convolutional networks shift-invariant again", arXiv 1904.11486. `of`
says which reduction is split into its dense part and the blurred one: `maxpool`, a 2x2 maximum at
stride 1 before the filter (the paper's MaxBlurPool); `conv`, the layer itself, at stride 1
(ConvBlurPool, in the place of a strided convolution).

The filter is the paper's Tri-3, [1 2 1] / 4 along each axis, as two 2x2 averages: what they compute
is the same, and like other poolings they count no multiply-accumulates. Departure: the outermost
pixels are repeated beyond the border, where the paper reflects; that takes sides of any length.

A side of odd length rounds down after the maximum, which is one pixel shorter than the layer, and
up without it.
"""

from typing import Any, Literal

from torch import nn

from ablate.blocks.down import MakeLayer

SAMPLES: list[dict[str, Any]] = [{}, {"of": "conv"}]


def build(layer: MakeLayer, *, of: Literal["maxpool", "conv"] = "maxpool") -> nn.Module:
    """Return (n, in, h, w) -> (n, out, h', w'), where h' and w' are h / 2 and w / 2, rounded."""
    end = layer(1)
    if of == "maxpool":
        end.add_module("max", nn.MaxPool2d(2, stride=1))
    # Windows that reach over the border average the pixels they have, as if those were repeated.
    end.add_module("blur", nn.AvgPool2d(2, stride=1, padding=1, count_include_pad=False))
    end.add_module("pool", nn.AvgPool2d(2))
    return end
