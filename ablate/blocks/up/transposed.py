"""A transposed convolution of stride 2: every pixel puts down a kernel, and what overlaps adds up.

Source: Dumoulin and Visin 2016, "A guide to convolution arithmetic for deep learning",
arXiv 1603.07285; as the last layer of a super-resolution network Dong et al. 2016, "Accelerating
the super-resolution convolutional neural network", arXiv 1608.00367. Equally many kernels overlap
at every output only where the stride divides the kernel's side (Odena et al. 2016,
doi:10.23915/distill.00003): with 2, 4 and 6, not with 3.

What reaches beyond twice the input is cut off: with a kernel of 3 one pixel above and left, with 4
one on each side, with 6 two. With 4 it has nearest-neighbour interpolation and a 3x3 convolution as
the case of tied weights; with 6 it is pixel shuffle after a 3x3 convolution.

It starts as torch starts it: uniform within ±1/√(kernel² · out), although on average it is
kernel² · in / 4 products that add up to an output.

Parameters: kernel² · in · out + out. MACs per pixel of the input: kernel² · in · out. That is 4, 9,
16 or 36 of both for every pair of channels.
"""

from collections import OrderedDict
from typing import Any, Literal

from torch import nn

SAMPLES: list[dict[str, Any]] = [{}, {"kernel": 2}, {"kernel": 3}, {"kernel": 6}]


def build(in_channels: int, out_channels: int, *, kernel: Literal[2, 3, 4, 6] = 4) -> nn.Module:
    """Return (n, in, h, w) -> (n, out, 2·h, 2·w)."""
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    layers["conv"] = nn.ConvTranspose2d(
        in_channels,
        out_channels,
        kernel,
        stride=2,
        padding=(kernel - 1) // 2,
        output_padding=kernel % 2,
    )
    return nn.Sequential(layers)
