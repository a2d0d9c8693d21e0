"""Merge blocks: how what went around some layers joins what came through them.

    build(around: int, channels: int,
          norm: Callable[[int], nn.Module], act: Callable[[], nn.Module], *, options) -> Join | None

`around` is the number of channels that go around the layers, `channels` what the network says that
the last of them puts out. The block returns the module that joins the two; it says how many
channels it really wants `through` the layers, and how many it gives. None: nothing goes around.

The join stands after the layers' own normalisation and activation and after the reduction, if a
stage ends there: the next thing that its output meets is a convolution (or a linear head). Addition
is then the case of concatenation in which that convolution has the same weights for both halves,
exactly. `norm(channels)` and `act()` are for layers that the block itself adds.

Raises `Unfit` where the channels do not go together.
"""

from collections import OrderedDict
from collections.abc import Callable

from torch import nn


def pointwise(
    in_channels: int,
    out_channels: int,
    norm: Callable[[int], nn.Module],
    act: Callable[[], nn.Module],
) -> nn.Module:
    """Return a layer of one 1x1 convolution: (n, in, h, w) -> (n, out, h, w)."""
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    layers["conv"] = nn.Conv2d(in_channels, out_channels, 1, bias=False)
    layers["norm"] = norm(out_channels)
    layers["act"] = act()
    return nn.Sequential(layers)


class Join(nn.Module):
    """What a merge block builds: a module of two inputs.

    `forward(around, through)` maps (n, around, h, w) and (n, through, h, w) to
    (n, out_channels, h, w).
    """

    def __init__(self, through: int, out_channels: int) -> None:
        super().__init__()
        self.through = through
        self.out_channels = out_channels
