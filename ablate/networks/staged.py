"""Staged networks: stages of convolutions, the resolution halved between them.

The plain design of VGG (Simonyan and Zisserman 2015, arXiv 1409.1556), without its fully connected
layers; with the blocks chosen accordingly also MobileNet v1 (Howard et al. 2017, arXiv 1704.04861).

A layer is convolution, normalisation, activation. A stage is a list of layers, the last of which
takes part in the reduction (`down`). What a layer does not say, its stage says; what the stage does
not say, the network says. Two rules besides:

* the very first layer uses `stem` in place of the network's `conv`: with three input channels a
  depthwise separable stem, say, is another experiment. A `conv` of its stage or its own still wins;
* the last stage has no `down` unless it names one itself.

`merge` joins what went around some layers with what came through them. A stage's first layer, which
may change the channels, has nothing go around it. Those after it are taken `span` at a time, and
what goes into each such span is merged with what comes out of it: in [64, 64] the input of layer 2
with its output; in [64, 64, 64, 64, 64], with a span of 2, the input of layer 2 with the output of
layer 3, and the input of layer 4 (the first merge) with the output of layer 5. The last span of a
stage is shorter where the layers do not suffice. Where it ends in the stage's reduction, what goes
around is reduced in the same way (pooled, or its pixels skipped) and the merge comes after that.
After a concatenation there are more channels than the layer says: C becomes 2·C, and 3·C in a stage
of two spans.

`width` is the number of channels of the first layer; given, it scales all others in proportion. It
may be fractional: it is the knob that budgets are matched with. Scaled channels are rounded to
whole numbers, or to multiples of what the stage's blocks need (`multiple` in `ablate.blocks`; the
groups of a grouped convolution, say). Layer i of n is rounded up where the remainder is at least
1 - (i - 1/2) / n; all layers of a stage that merges are rounded like its first one. So the layers
gain their channels one after another as the width grows, budgets rise in small steps, and one near
the target can be found. What needs no rounding stays as it is.
"""

import math
from collections import OrderedDict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated, Any

import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError
from torch import Tensor, nn

from ablate import catalog, components
from ablate.blocks.merge import Join
from ablate.components import Act, Conv, Down, Head, Merge, Norm
from ablate.networks._layers import (
    Layer,
    LayerPlan,
    located,
    make_layer,
    makers,
    multiple,
    rounded,
)

SAMPLES: list[dict[str, Any]] = [
    {"stages": [[8, 8], [16], [32]]},
    {"stages": [[8], [16, 24]], "conv": "depthwise_separable", "down": "strided", "act": "silu"},
    {"stages": [[8, 8], {"layers": [16, {"channels": 16, "conv": "dilated"}], "norm": "none"}]},
    {"stages": [[8, 8], {"layers": [16], "down": "maxpool"}], "width": 5.5},
    {"stages": [[8] * 4, [16, 16]], "merge": "add", "down": "blurpool"},
    {"stages": [[8] * 4, {"layers": [16] * 2, "merge": "none"}], "merge": "concat", "span": 3},
    {"stages": [[8, 8], [16, 16]], "conv": "grouped", "width": 5},
]

NORMAL = Conv(kind="normal")
MAXPOOL = Down(kind="maxpool")
NONE = Merge(kind="none")
BATCH = Norm(kind="batch")
NO_NORM = Norm(kind="none")
RELU = Act(kind="relu")
GAP = Head(kind="gap")


class Stage(BaseModel):
    """Layers at one resolution. Short form: the list of its layers."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    layers: Annotated[list[Layer], Field(min_length=1)]
    conv: Conv | None = None
    down: Down | None = None
    merge: Merge | None = None
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
    merge: Merge = NONE,
    span: Annotated[int, Field(ge=1)] = 2,
    norm: Norm = BATCH,
    act: Act = RELU,
    head: Head = GAP,
) -> nn.Module:
    """Return (n, *input_shape) -> (n, outputs).

    Raises:
        ValueError: the image is too small to be halved once more, or the channels do not suit a
            block.
    """
    plans = _plans(stages, width, stem, conv, down, merge, norm, act)
    channels, *size = input_shape
    features: OrderedDict[str, nn.Module] = OrderedDict()
    for number, plan in enumerate(plans, start=1):
        if plan.down is not None and min(size) < 2:
            raise ValueError(_too_small(input_shape, size, number, plan.down))
        module, channels, size = _stage(plan, channels, size, span, f"stage {number}")
        features[f"stage{number}"] = module
    network: OrderedDict[str, nn.Module] = OrderedDict()
    network["features"] = nn.Sequential(features)
    network["head"] = components.build(head, channels, outputs, (size[0], size[1]))
    return nn.Sequential(network)


def channels(
    *,
    stages: list[Stage],
    width: float | None = None,
    stem: Conv = NORMAL,
    conv: Conv = NORMAL,
    down: Down = MAXPOOL,
    merge: Merge = NONE,
    norm: Norm = BATCH,
    act: Act = RELU,
    **others: Any,
) -> list[int]:
    """Return the channels of every layer at that width."""
    plans = _plans(stages, width, stem, conv, down, merge, norm, act)
    return [layer.channels for plan in plans for layer in plan.layers]


def _plans(
    stages: list[Stage],
    width: float | None,
    stem: Conv,
    conv: Conv,
    down: Down,
    merge: Merge,
    norm: Norm,
    act: Act,
) -> list["_StagePlan"]:
    """Return the stages with nothing left open."""
    plans = [
        _StagePlan(
            layers=[
                LayerPlan(
                    layer.channels,
                    layer.conv or stage.conv or (stem if i == j == 0 else conv),
                    layer.norm or stage.norm or norm,
                    layer.act or stage.act or act,
                )
                for j, layer in enumerate(stage.layers)
            ],
            down=stage.down or (down if i < len(stages) - 1 else None),
            merge=stage.merge or merge,
            norm=stage.norm or norm,
            act=stage.act or act,
        )
        for i, stage in enumerate(stages)
    ]
    return plans if width is None else _scaled(plans, width)


def _scaled(plans: list["_StagePlan"], width: float) -> list["_StagePlan"]:
    """Return the stages with the channels that they have at a width."""
    first = plans[0].layers[0].channels
    count = sum(len(plan.layers) for plan in plans)
    before = 0
    scaled = []
    for i, plan in enumerate(plans):
        readers = [following.layers[0].conv for following in plans[i + 1 : i + 2]]
        convs = [*(layer.conv for layer in plan.layers), *readers]
        step = math.lcm(*map(multiple, convs)) * multiple(plan.merge)
        layers = []
        for j, layer in enumerate(plan.layers):
            # Layers that are merged stay equal where they were.
            up = (before + (j if plan.merge == NONE else 0) + 0.5) / count
            channels = rounded(layer.channels * width / first, step, up)
            layers.append(replace(layer, channels=channels))
        before += len(layers)
        scaled.append(replace(plan, layers=layers))
    return scaled


def _stage(
    plan: "_StagePlan", channels: int, size: list[int], span: int, where: str
) -> tuple[nn.Module, int, list[int]]:
    """Return a stage, and the channels and [height, width] of what comes out of it."""
    last = len(plan.layers) - 1
    make_norm, make_act = makers(plan.norm, plan.act)
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    skips: list[_Skip] = []
    for start in (0, *range(1, last + 1, span)):
        end = min(start + span - 1, last) if start else 0
        join: Join | None = None
        if start:
            with located(f"{where}, {_numbers(start + 1, end + 1)}"):
                out_channels = plan.layers[end].channels
                join = components.build(plan.merge, channels, out_channels, make_norm, make_act)
        for j in range(start, end + 1):
            layer = plan.layers[j]
            out = join.through if join is not None and j == end else layer.channels
            with located(f"{where}, layer {j + 1}"):
                make = partial(make_layer, channels, out, layer)
                if plan.down is None or j < last:
                    module = make(1)
                else:
                    module = components.build(plan.down, make)
                    size = _output_size(plan.down, channels, out, layer, size)
            layers[f"layer{j + 1}"] = module
            channels = out
        if join is not None:
            around: nn.Module = nn.Identity()
            if plan.down is not None and end == last:
                around = components.build(plan.down, _nothing)
            skips.append(_Skip(start + 1, end + 1, around, join))
            channels = join.out_channels
    return Skips(layers, skips) if skips else nn.Sequential(layers), channels, size


def _nothing(stride: int, kernel: int | None = None) -> nn.Sequential:
    """Return a layer that does nothing but leave out pixels, for what goes around one."""
    if stride == 1:
        return nn.Sequential()
    # A convolution of an even kernel looks from between two pixels, so it is their mean.
    window = 1 if kernel is None or kernel % 2 else 2
    return nn.Sequential(OrderedDict(skip=nn.AvgPool2d(window, stride)))


def _output_size(
    down: Down, in_channels: int, out_channels: int, layer: LayerPlan, size: list[int]
) -> list[int]:
    """Return [height, width] of what a reduction makes of an input of that size.

    A forward pass without data through another one like it, so that no block has to say how it
    rounds. Normalisations keep sizes, so it is built without; and sizes do not depend on channels,
    so those of all widths that matching tries are known after the first.
    """
    # The modules too, since a plugin may be replaced by another one of its name.
    blocks = tuple(catalog.load(one.room, components.name_of(one)) for one in (down, layer.conv))
    key = (blocks, down, layer.conv, *size)
    if key not in _output_sizes:
        make = partial(make_layer, in_channels, out_channels, replace(layer, norm=NO_NORM))
        with torch.device("meta"), torch.no_grad():
            output = components.build(down, make).eval()(torch.empty(1, in_channels, *size))
        _output_sizes[key] = tuple(output.shape[2:])
    return list(_output_sizes[key])


_output_sizes: dict[Hashable, tuple[int, ...]] = {}


def _too_small(
    input_shape: tuple[int, int, int], size: list[int], stage: int, reduction: Down
) -> str:
    height, width = input_shape[1:]
    where = f"after stage {stage - 1}" if stage > 1 else "from the start"
    return (
        f"stage {stage}: the {height}x{width} input is down to {size[0]}x{size[1]} {where}, "
        f"which {components.name_of(reduction)!r} cannot halve; "
        "use fewer downsamplings or larger images"
    )


def _numbers(first: int, last: int) -> str:
    return f"layer {first}" if first == last else f"layers {first}-{last}"


@dataclass(frozen=True)
class _StagePlan:
    """A stage with nothing left open; None: no reduction."""

    layers: list[LayerPlan]
    down: Down | None
    merge: Merge
    norm: Norm  # of layers that the merge adds
    act: Act


@dataclass(frozen=True)
class _Skip:
    """What goes around the layers from `first` to `last`, numbered from 1."""

    first: int
    last: int
    around: nn.Module
    join: Join


class Skips(nn.Module):
    """A stage in which some layers are gone around.

    Beside the layers it has two children for every skip that ends at layer j: `around{j}`, which
    reduces what goes around if that layer reduces, and `merge{j}`.
    """

    def __init__(self, layers: Mapping[str, nn.Module], skips: Sequence[_Skip]) -> None:
        super().__init__()
        for name, layer in layers.items():
            self.add_module(name, layer)
        for skip in skips:
            self.add_module(f"around{skip.last}", skip.around)
            self.add_module(f"merge{skip.last}", skip.join)
        self.layers = len(layers)
        self.starts = {skip.first for skip in skips}
        self.ends = {skip.last for skip in skips}
        self.spans = [_numbers(skip.first, skip.last) for skip in skips]

    def forward(self, x: Tensor) -> Tensor:
        around = x
        for number in range(1, self.layers + 1):
            if number in self.starts:
                around = x
            x = self.get_submodule(f"layer{number}")(x)
            if number in self.ends:
                around = self.get_submodule(f"around{number}")(around)
                x = self.get_submodule(f"merge{number}")(around, x)
        return x

    def extra_repr(self) -> str:
        return f"around {', '.join(self.spans)}"
