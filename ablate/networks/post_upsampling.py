"""Post-upsampling networks: layers at the input's resolution, which is doubled at the very end.

The plan of FSRCNN (Dong et al. 2016, "Accelerating the super-resolution convolutional neural
network", arXiv 1608.00367), with a transposed convolution at the end, and of ESPCN (Shi et al.
2016, arXiv 1609.05158), with pixel shuffle; the name is that of the survey by Wang, Chen, Hoi 2020,
arXiv 1902.06068. Nothing goes around the network: no interpolated input is added at the end, which
would hide what the up block does.

`features` is the trunk, a list of layers: convolution, normalisation, activation. What a layer does
not say, the network says, except that the very first layer uses `stem` in place of `conv` (with
three input channels a depthwise separable convolution, say, is another experiment). Departure:
convolutions of the trunk have no bias, as everywhere here, even where no normalisation follows.

`head` is the up block, whose output is the network's; or, with `after`, so many 3x3 convolutions
(padded by zeros, with bias) follow it, each after an activation. The up block then gives as many
channels as the trunk's last layer, and so do those convolutions, of which the last gives `outputs`.

`width` is the number of channels of the first layer; given, it scales all others of the trunk in
proportion. It may be fractional: it is the knob that budgets are matched with. Scaled channels are
rounded to whole numbers, or to multiples of what the blocks on both sides need; layer i of n is
rounded up where the remainder is at least 1 - (i - 1/2) / n, so that the layers gain their channels
one after another.
"""

import math
from collections import OrderedDict
from dataclasses import replace
from typing import Annotated, Any

from pydantic import Field
from torch import nn

from ablate import components
from ablate.components import Act, Conv, Norm, Up
from ablate.networks._layers import Layer, LayerPlan, located, make_layer, multiple, rounded

SAMPLES: list[dict[str, Any]] = [
    {"layers": [8, 8]},
    {"layers": [8, 12], "up": "pixel_shuffle", "norm": "batch", "act": "silu"},
    {"layers": [8, {"channels": 12, "conv": "dilated"}], "up": "resize", "after": 1},
    {"layers": [8, 8, 8], "conv": "grouped", "width": 5.5, "after": 2},
]

NORMAL = Conv(kind="normal")
NONE = Norm(kind="none")
RELU = Act(kind="relu")
TRANSPOSED = Up(kind="transposed")


def build(
    input_shape: tuple[int, int, int],
    outputs: int,
    *,
    layers: Annotated[list[Layer], Field(min_length=1)],
    width: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None,
    stem: Conv = NORMAL,
    conv: Conv = NORMAL,
    norm: Norm = NONE,
    act: Act = RELU,
    up: Up = TRANSPOSED,
    after: Annotated[int, Field(ge=0)] = 0,
) -> nn.Module:
    """Return (n, *input_shape) -> (n, outputs, 2·height, 2·width).

    Raises:
        ValueError: the channels do not suit a block.
    """
    plans = _plans(layers, width, stem, conv, norm, act, up)
    channels = input_shape[0]
    features: OrderedDict[str, nn.Module] = OrderedDict()
    for number, plan in enumerate(plans, start=1):
        with located(f"layer {number}"):
            features[f"layer{number}"] = make_layer(channels, plan.channels, plan, stride=1)
        channels = plan.channels
    network: OrderedDict[str, nn.Module] = OrderedDict()
    network["features"] = nn.Sequential(features)
    network["head"] = _head(channels, outputs, up, act, after)
    return nn.Sequential(network)


def channels(
    *,
    layers: list[Layer],
    width: float | None = None,
    stem: Conv = NORMAL,
    conv: Conv = NORMAL,
    norm: Norm = NONE,
    act: Act = RELU,
    up: Up = TRANSPOSED,
    **others: Any,
) -> list[int]:
    """Return the channels of every layer at that width."""
    return [plan.channels for plan in _plans(layers, width, stem, conv, norm, act, up)]


def _plans(
    layers: list[Layer],
    width: float | None,
    stem: Conv,
    conv: Conv,
    norm: Norm,
    act: Act,
    up: Up,
) -> list[LayerPlan]:
    """Return the layers with nothing left open."""
    plans = [
        LayerPlan(
            layer.channels,
            layer.conv or (conv if i else stem),
            layer.norm or norm,
            layer.act or act,
        )
        for i, layer in enumerate(layers)
    ]
    return plans if width is None else _scaled(plans, up, width)


def _scaled(plans: list[LayerPlan], up: Up, width: float) -> list[LayerPlan]:
    """Return the layers with the channels that they have at a width."""
    first = plans[0].channels
    readers = [*(plan.conv for plan in plans[1:]), up]
    scaled = []
    for i, (plan, reader) in enumerate(zip(plans, readers, strict=True)):
        step = math.lcm(multiple(plan.conv), multiple(reader))
        channels = rounded(plan.channels * width / first, step, (i + 0.5) / len(plans))
        scaled.append(replace(plan, channels=channels))
    return scaled


def _head(channels: int, outputs: int, up: Up, act: Act, after: int) -> nn.Module:
    """Return (n, channels, h, w) -> (n, outputs, 2·h, 2·w)."""
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    with located("up"):
        layers["up"] = components.build(up, channels, channels if after else outputs)
    for number in range(1, after + 1):
        layers[f"act{number}"] = components.build(act)
        out_channels = channels if number < after else outputs
        layers[f"conv{number}"] = nn.Conv2d(channels, out_channels, 3, padding=1)
    return nn.Sequential(layers)
