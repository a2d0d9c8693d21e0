"""Addition: what went around the layers is added to what they make of it.

Source: He et al. 2016, "Deep residual learning for image recognition", arXiv 1512.03385. Departure:
the sum comes after the last layer's activation, not between its normalisation and activation, so
that all merges have their layers alike; and never a shortcut with weights.

`project: pointwise` puts a 1x1 convolution (with normalisation and activation) after the sum: the
control for concatenation with one, which would otherwise be deeper by it.

Parameters: none, or channels² and those of the normalisation.
"""

from collections.abc import Callable
from typing import Any, Literal

from torch import Tensor, nn

from ablate.blocks import Unfit
from ablate.blocks.merge import Join, pointwise

SAMPLES: list[dict[str, Any]] = [{}, {"project": "pointwise"}]


def build(
    around: int,
    channels: int,
    norm: Callable[[int], nn.Module],
    act: Callable[[], nn.Module],
    *,
    project: Literal["none", "pointwise"] = "none",
) -> Join:
    """Return (n, channels, h, w), (n, channels, h, w) -> (n, channels, h, w).

    Raises:
        Unfit: as many channels do not go around the layers as come through them.
    """
    if around != channels:
        raise Unfit(
            f"{around} channels that go around cannot be added to {channels} that come through; "
            "give the layers equal channels, or the stage `merge: none`"
        )
    after = pointwise(channels, channels, norm, act) if project == "pointwise" else nn.Identity()
    return Add(channels, after)


class Add(Join):
    """The sum of both, then a layer."""

    def __init__(self, channels: int, project: nn.Module) -> None:
        super().__init__(channels, channels)
        self.project = project

    def forward(self, around: Tensor, through: Tensor) -> Tensor:
        joined: Tensor = self.project(around + through)
        return joined
