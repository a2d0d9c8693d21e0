"""Pixel shuffle: a convolution to four times the channels, dealt out to the four pixels of each.

Source: Shi et al. 2016, "Real-time single image and video super-resolution using an efficient
sub-pixel convolutional neural network", arXiv 1609.05158. With a 3x3 kernel it is a transposed
convolution with a kernel of 6, but for its four biases a channel in the place of one.

`init: icnr` is that of Aitken et al. 2017, "Checkerboard artifact free sub-pixel convolution",
arXiv 1707.02937: the four kernels of an output channel start equal, so that the block starts as a
convolution and nearest-neighbour interpolation after it. So do the four biases, which would draw a
lattice all by themselves. What the four start from is what the first of them starts from with
`default`, torch's own initialisation.

Parameters: 4 · kernel² · in · out + 4 · out. MACs per pixel of the input: 4 · kernel² · in · out;
with a 3x3 kernel 36 of both for every pair of channels.
"""

from typing import Any, Literal

import torch
from torch import Tensor, nn

from ablate.blocks.conv import OddKernel

SAMPLES: list[dict[str, Any]] = [{}, {"init": "icnr"}, {"kernel": 1}]


def build(
    in_channels: int,
    out_channels: int,
    *,
    kernel: OddKernel = 3,
    init: Literal["default", "icnr"] = "default",
) -> nn.Module:
    """Return (n, in, h, w) -> (n, out, 2·h, 2·w)."""
    return SubPixel(in_channels, out_channels, kernel, init)


class SubPixel(nn.Module):
    """A convolution and a pixel shuffle, started together."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int, init: str) -> None:
        super().__init__()
        self.init = init
        self.conv = nn.Conv2d(in_channels, 4 * out_channels, kernel, padding=(kernel - 1) // 2)
        self.shuffle = nn.PixelShuffle(2)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Make the convolution start as `init` says, after its own `reset_parameters`."""
        if self.init == "icnr":
            with torch.no_grad():
                for parameter in self.conv.parameters():
                    # Channel 4·c + i is pixel i, of four, of output channel c.
                    pixels = parameter.view(-1, 4, *parameter.shape[1:])
                    pixels[:, 1:] = pixels[:, :1]

    def forward(self, x: Tensor) -> Tensor:
        shuffled: Tensor = self.shuffle(self.conv(x))
        return shuffled

    def extra_repr(self) -> str:
        return f"init={self.init}"
