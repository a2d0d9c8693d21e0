"""Batch normalisation after which an eighth of the channels, the first ones, are 0 for ever."""

from typing import Any

import torch
from torch import Tensor, nn

ROOM = "blocks/norm"
SAMPLES: list[dict[str, Any]] = [{}]


class Dead(nn.BatchNorm2d):
    """Batch normalisation with dead channels: what follows never sees them."""

    def forward(self, x: Tensor) -> Tensor:
        alive = torch.arange(self.num_features, device=x.device) >= self.num_features // 8
        return super().forward(x) * alive.to(x.dtype)[:, None, None]


def build(channels: int) -> nn.Module:
    """Return (n, channels, h, w) -> the same shape."""
    return Dead(channels)
