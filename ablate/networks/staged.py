"""Staged networks: stages of convolutions, the resolution halved between them.

The plain design of VGG (Simonyan and Zisserman 2015, arXiv 1409.1556), without its fully connected
layers; with the blocks chosen accordingly also MobileNet v1 (Howard et al. 2017, arXiv 1704.04861).

A layer is convolution, normalisation, activation. A stage is a list of layers, the last of which
takes part in the reduction (`down`). What a layer does not say, its stage says; what the stage does
not say, the network says. Two rules besides:

* the very first layer uses `stem` in place of the network's `conv`: with three input channels a
  depthwise separable stem, say, is another experiment. A `conv` of its stage or its own still wins;
* the last stage has no `down` unless it names one itself.

`width` is the number of channels of the first layer; given, it scales all others in proportion. It
may be fractional: it is the knob that budgets are matched with.
"""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Annotated, Any

import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError
from torch import nn
from torch.func import functional_call

from ablate import components
from ablate.components import Act, Conv, Down, Head, Norm

SAMPLES: list[dict[str, Any]] = [
    {"stages": [[8, 8], [16], [32]]},
    {"stages": [[8], [16, 24]], "conv": "depthwise_separable", "down": "strided", "act": "silu"},
    {"stages": [[8, 8], {"layers": [16, {"channels": 16, "conv": "dilated"}], "norm": "none"}]},
    {"stages": [[8, 8], {"layers": [16], "down": "maxpool"}], "width": 5.5},
]

NORMAL = Conv(kind="normal")
MAXPOOL = Down(kind="maxpool")
BATCH = Norm(kind="batch")
RELU = Act(kind="relu")
GAP = Head(kind="gap")


class Layer(BaseModel):
    """One layer: convolution, normalisation, activation. Short form: its number of channels."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    channels: Annotated[int, Field(gt=0)]
    conv: Conv | None = None
    norm: Norm | None = None
    act: Act | None = None

    @model_validator(mode="before")
    @classmethod
    def _spelt_out(cls, value: Any) -> Any:
        if isinstance(value, int) and not isinstance(value, bool):
            return {"channels": value}
        if isinstance(value, Mapping | cls):
            return value
        raise PydanticCustomError("layer", "expected a number of channels or {channels: …}")


class Stage(BaseModel):
    """Layers at one resolution. Short form: the list of its layers."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    layers: Annotated[list[Layer], Field(min_length=1)]
    conv: Conv | None = None
    down: Down | None = None
    norm: Norm | None = None
    act: Act | None = None

    @model_validator(mode="before")
    @classmethod
    def _spelt_out(cls, value: Any) -> Any:
        if isinstance(value, Mapping | cls):
            return value
        if isinstance(value, Sequence) and not isinstance(value, str):
            return {"layers": value}
        raise PydanticCustomError("stage", "expected a list of layers or {layers: […], …}")


def build(
    input_shape: tuple[int, int, int],
    outputs: int,
    *,
    stages: Annotated[list[Stage], Field(min_length=1)],
    width: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None,
    stem: Conv = NORMAL,
    conv: Conv = NORMAL,
    down: Down = MAXPOOL,
    norm: Norm = BATCH,
    act: Act = RELU,
    head: Head = GAP,
) -> nn.Module:
    """Return (n, *input_shape) -> (n, outputs).

    Raises:
        ValueError: the image is too small to be halved once more.
    """
    channels, *size = input_shape
    first = stages[0].layers[0].channels
    features: OrderedDict[str, nn.Module] = OrderedDict()
    for i, stage in enumerate(stages):
        reduction = stage.down or (down if i < len(stages) - 1 else None)
        if reduction is not None and min(size) < 2:
            raise ValueError(_too_small(input_shape, size, i, reduction))
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        for j, layer in enumerate(stage.layers):
            out = layer.channels
            if width is not None:
                out = max(1, round(out * width / first))
            make = partial(
                _layer,
                channels,
                out,
                layer.conv or stage.conv or (stem if i == j == 0 else conv),
                layer.norm or stage.norm or norm,
                layer.act or stage.act or act,
            )
            if reduction is None or j < len(stage.layers) - 1:
                module = make(1)
            else:
                module = components.build(reduction, make)
                size = _output_size(module, channels, size)
            layers[f"layer{j + 1}"] = module
            channels = out
        features[f"stage{i + 1}"] = nn.Sequential(layers)
    network: OrderedDict[str, nn.Module] = OrderedDict()
    network["features"] = nn.Sequential(features)
    network["head"] = components.build(head, channels, outputs)
    return nn.Sequential(network)


def _layer(
    in_channels: int, out_channels: int, conv: Conv, norm: Norm, act: Act, stride: int
) -> nn.Sequential:
    make_norm, make_act = partial(components.build, norm), partial(components.build, act)
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    layers["conv"] = components.build(conv, in_channels, out_channels, stride, make_norm, make_act)
    layers["norm"] = make_norm(out_channels)
    layers["act"] = make_act()
    return nn.Sequential(layers)


def _output_size(reduction: nn.Module, channels: int, size: list[int]) -> list[int]:
    """Return [height, width] of what a reduction makes of an input of that size.

    A forward pass without data, so that no block has to say how it rounds; in evaluation mode,
    where batch normalisation takes a single image and is quick.
    """
    tensors = {**dict(reduction.named_parameters()), **dict(reduction.named_buffers())}
    shapes = {name: tensor.detach().to("meta") for name, tensor in tensors.items()}
    image = torch.empty(1, channels, *size, device="meta")
    reduction.eval()
    with torch.no_grad():
        output = functional_call(reduction, shapes, image)
    reduction.train()
    return list(output.shape[2:])


def _too_small(
    input_shape: tuple[int, int, int], size: list[int], stage: int, reduction: Down
) -> str:
    height, width = input_shape[1:]
    where = f"after stage {stage}" if stage else "from the start"
    return (
        f"stage {stage + 1}: the {height}x{width} input is down to {size[0]}x{size[1]} {where}, "
        f"which {components.name_of(reduction)!r} cannot halve; "
        "use fewer downsamplings or larger images"
    )
