"""Interpolation alone: twice the resolution without a parameter, the reference for learned ones.

Source: Keys 1981, "Cubic convolution interpolation for digital image processing",
doi:10.1109/TASSP.1981.1163711, with which super-resolution is compared by custom (Dong, Loy, He,
Tang 2016, arXiv 1501.00092). Departure: `bicubic` is torch's, with a = -0.75 where Keys has -0.5.

Pixels are squares whose corners stay where they are (`align_corners=False`); the outermost ones are
repeated beyond the border.

There is nothing to train, and no `width`.
"""

from collections import OrderedDict
from typing import Any, Literal

from torch import nn

SAMPLES: list[dict[str, Any]] = [{}, {"mode": "nearest"}, {"mode": "bilinear"}]


def build(
    input_shape: tuple[int, int, int],
    outputs: int,
    *,
    mode: Literal["nearest", "bilinear", "bicubic"] = "bicubic",
) -> nn.Module:
    """Return (n, *input_shape) -> (n, outputs, 2·height, 2·width).

    Raises:
        ValueError: there are not as many outputs as channels.
    """
    if outputs != input_shape[0]:
        raise ValueError(
            f"interpolation makes {input_shape[0]} channels of {input_shape[0]}, and the task asks "
            f"for {outputs} outputs; use another network family"
        )
    network: OrderedDict[str, nn.Module] = OrderedDict()
    network["features"] = nn.Identity()
    # Without `align_corners` torch leaves corners where they are.
    network["head"] = nn.Upsample(scale_factor=2, mode=mode)
    return nn.Sequential(network)
