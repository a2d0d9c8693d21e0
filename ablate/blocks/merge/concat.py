"""Concatenation: what went around the layers stands beside what they make of it.

Source: Huang et al. 2017, "Densely connected convolutional networks", arXiv 1608.06993 (and within
a block Szegedy et al. 2015, "Going deeper with convolutions", arXiv 1409.4842). Departure from the
former: the layers are no narrower for it, and the normalisation and activation stay behind the
convolution.

* `width: sum`: all channels of both, so that the next convolution has twice the weights;
* `width: constant`: no more channels than without a merge. The last layer has half as many, and of
  what goes around the first half is kept; along a stage it is always the same half, as in the
  channel split of Ma et al. 2018, "ShuffleNet V2", arXiv 1807.11164, but the layers see all of it.

`project: pointwise` puts a 1x1 convolution (with normalisation and activation) behind it, back to
as many channels as without a merge; its control is addition with the same.

Parameters: none, or joined · channels and those of the normalisation; besides, the next convolution
and, with `width: constant`, the last layer change with their channels.
"""

from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor, nn

from ablate.blocks import Unfit
from ablate.blocks.merge import Join, pointwise

SAMPLES: list[dict[str, Any]] = [
    {},
    {"width": "constant"},
    {"project": "pointwise"},
    {"width": "constant", "project": "pointwise"},
]


def multiple(*, width: str, **others: Any) -> int:
    """Return the number that must divide the channels."""
    return 2 if width == "constant" else 1


def build(
    around: int,
    channels: int,
    norm: Callable[[int], nn.Module],
    act: Callable[[], nn.Module],
    *,
    width: Literal["sum", "constant"] = "sum",
    project: Literal["none", "pointwise"] = "none",
) -> Join:
    """Return (n, around, h, w), (n, through, h, w) -> (n, out, h, w).

    Raises:
        Unfit: the channels have no half, or fewer go around.
    """
    kept, through = around, channels
    if width == "constant":
        kept = through = channels // 2
        if channels % 2 or around < kept:
            raise Unfit(
                f"of {channels} channels, half cannot be kept of {around} that go around; "
                "give the layers equal and even channels, or the merge `width: sum`"
            )
    if project == "pointwise":
        return Concat(
            width, kept, through, channels, pointwise(kept + through, channels, norm, act)
        )
    return Concat(width, kept, through, kept + through, nn.Identity())


class Concat(Join):
    """Kept channels of the one and all of the other, then a layer."""

    def __init__(
        self, width: str, kept: int, through: int, out_channels: int, project: nn.Module
    ) -> None:
        super().__init__(through, out_channels)
        self.width = width
        self.kept = kept
        self.project = project

    def forward(self, around: Tensor, through: Tensor) -> Tensor:
        joined: Tensor = self.project(torch.cat((around[:, : self.kept], through), 1))
        return joined

    def extra_repr(self) -> str:
        return f"width={self.width}"
