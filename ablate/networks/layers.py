"""Explicit lists of layers: what a line of notes draws, layer by layer.

"100x100 with 16 channels, 32 kernels of 3x3x16" is, on images of that shape (data set `blank`),

    layers: [{kind: conv, channels: 32, kernel: 3}]

Kinds, with what they take (sides are one number, or [height, width]):

* `conv`: `channels`, `kernel`; `stride`, `dilation` (1), `padding` (0: sides, `valid` or `same`),
  `groups` (1; `depthwise`: as many as channels come in), `bias` (false), `weights`;
* `transposed`: likewise, with `output_padding` (0), and no padding in words;
* `linear`: `channels`; `bias` (false). After `flatten` or `gap`;
* `maxpool`, `avgpool`: `kernel`; `stride` (the kernel), `padding` (0);
* `gap` (global average, no sides are left), `flatten`;
* `upsample`: `factor`; `mode` (nearest or bilinear). `pixel_shuffle`: `factor`;
* `insert_zeros`: `stride`, the distance of what were neighbours; nothing comes after the last;
* `pad`: `sides`, of zeros;
* `norm`, `act`: `of`, a block (`batch`, `relu`);
* `parallel`: `paths`, lists of layers; `merge` (concat or add); `split` (false; true: each path
  gets its share of the channels, in order);
* `image`: `values`, [row][column] or [channel][row][column]: this map in the place of what comes;
* `shift`, `scale`: `by`, one number or one for each channel: added, or multiplied with;
* `batch_norm`: `mean` and `variance`, a number for each channel, or neither: those of the batch;
  `gamma` (1), `beta` (0), one number or one for each channel; `eps` (1e-5);
* `unfold`: `kernel`; `stride` (1), `padding` (0): the pixels of each window as channels of one
  pixel. `fold`: likewise, the other way: windows laid out, and summed where they overlap;
* `stack`: `layers`, `depth` times (1) one after the other, each time with parameters of its own;
  `init`, the deviation of a normal distribution that all kernels of these layers are drawn from,
  or `xavier` (2 / (fan-in + fan-out) is its square), `he` (2 / fan-in);
* `cross_entropy`: `target`, a class; `smoothing` (0): the loss of each image, of as many classes as
  there are numbers. After `flatten` or `gap`;
* `targets`: `classes`; `target` (0), `smoothing` (0): what that loss takes the label for, a number
  for each class, in the place of what comes.

A kind that takes nothing may be written as its name alone. Where `channels` is left out, there are
as many as the task asks for. `depth: 3` ends the network after its third layer.

Parameters are drawn at random as everywhere, or given: `weights` are those of the kernels,
[row][column], where one channel comes in and one goes out, else as torch has them ([out][in][row]
[column], of a transposed one [in][out][row][column]). Given weights are constants, and no
parameters: nothing trains them, counts them or draws them anew. So networks with given weights are
compared by what they really compute (`metric: function`).

Sequences are images of height 1, with kernels [1, k].

`features` are the layers before the first `flatten`, `gap` or `linear`; the rest is the `head`.
Layers are called layer1, layer2, … in both.
"""

import copy
import math
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, get_args

import torch
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError
from torch import Tensor, nn
from torch.nn import functional

from ablate import catalog, components
from ablate.components import Act, Norm
from ablate.networks._operations import (
    Affine,
    Begun,
    Folded,
    GivenNorm,
    Loss,
    Unfolded,
    smoothed,
)

SAMPLES: list[dict[str, Any]] = [
    {"layers": [{"kind": "conv", "channels": 8, "kernel": 3}, "gap", {"kind": "linear"}]},
    {
        "layers": [
            {"kind": "conv", "channels": 6, "kernel": [1, 3], "padding": "same", "bias": True},
            {"kind": "norm", "of": "batch"},
            {"kind": "act", "of": "relu"},
            {"kind": "maxpool", "kernel": 2},
            {"kind": "conv", "channels": 6, "kernel": 3, "dilation": 2, "groups": "depthwise"},
            {"kind": "avgpool", "kernel": 3, "stride": 2, "padding": 1},
            "flatten",
            {"kind": "linear", "bias": True},
        ]
    },
    {
        "layers": [
            {"kind": "parallel", "paths": [[{"kind": "conv", "channels": 4, "kernel": 1}], []]},
            {"kind": "conv", "channels": 12, "kernel": 3, "padding": 1},
            {"kind": "pixel_shuffle", "factor": 2},
        ]
    },
    {"layers": [{"kind": "transposed", "kernel": 4, "stride": 2, "padding": 1}]},
    {
        "layers": [
            {"kind": "pad", "sides": 1},
            {"kind": "upsample", "factor": 2},
            {"kind": "conv", "kernel": 5},
        ]
    },
    {
        "layers": [
            {"kind": "shift", "by": -2},
            {"kind": "scale", "by": [1, 2, 4]},
            {"kind": "batch_norm", "gamma": 2, "beta": [1, 0, 3]},
            {"kind": "batch_norm", "mean": [1, 0, 3], "variance": [4, 4, 4]},
            {
                "kind": "stack",
                "layers": [{"kind": "conv", "channels": 3, "kernel": 3, "padding": 1}],
                "depth": 2,
                "init": "he",
            },
            {"kind": "unfold", "kernel": 2, "stride": 2},
            {"kind": "fold", "kernel": 2, "stride": 2},
            "gap",
            {"kind": "linear"},
        ]
    },
]

Whole = Annotated[int, Field(ge=1)]
Room = Annotated[int, Field(ge=0)]
Side = Whole | Annotated[list[Whole], Field(min_length=2, max_length=2)]
Sides = Room | Annotated[list[Room], Field(min_length=2, max_length=2)]
Share = Annotated[float, Field(ge=0, le=1)]
Numbers = list[list[float]]
# Of kernels: one, or all of them as torch has them.
Weights = Numbers | list[list[Numbers]]
_WITHOUT_SPACE = ("flatten", "gap", "linear")  # with the first of these the head begins


class _Layer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Convolution(_Layer):
    """A convolution."""

    kind: Literal["conv"]
    channels: Whole | None = None
    kernel: Side
    stride: Side = 1
    padding: Sides | Literal["same", "valid"] = 0
    dilation: Side = 1
    groups: Whole | Literal["depthwise"] = 1
    bias: bool = False
    weights: Weights | None = None


class Transposed(_Layer):
    """A transposed convolution."""

    kind: Literal["transposed"]
    channels: Whole | None = None
    kernel: Side
    stride: Side = 1
    padding: Sides = 0
    output_padding: Sides = 0
    dilation: Side = 1
    groups: Whole | Literal["depthwise"] = 1
    bias: bool = False
    weights: Weights | None = None


class Linear(_Layer):
    """A fully connected layer."""

    kind: Literal["linear"]
    channels: Whole | None = None
    bias: bool = False


class Pool(_Layer):
    """A pooling through windows."""

    kind: Literal["maxpool", "avgpool"]
    kernel: Side
    stride: Side | None = None
    padding: Sides = 0


class Plain(_Layer):
    """A layer that takes nothing."""

    kind: Literal["flatten", "gap"]


class Upsample(_Layer):
    """An interpolation; corners of pixels stay where they are."""

    kind: Literal["upsample"]
    factor: Whole
    mode: Literal["nearest", "bilinear"] = "nearest"


class Shuffle(_Layer):
    """A pixel shuffle."""

    kind: Literal["pixel_shuffle"]
    factor: Whole


class InsertZeros(_Layer):
    """Zeros between pixels."""

    kind: Literal["insert_zeros"]
    stride: Whole


class Pad(_Layer):
    """Zeros around the map."""

    kind: Literal["pad"]
    sides: Sides


class Normalise(_Layer):
    """A normalisation."""

    kind: Literal["norm"]
    of: Norm


class Activate(_Layer):
    """An activation."""

    kind: Literal["act"]
    of: Act


class Image(_Layer):
    """A map of given values."""

    kind: Literal["image"]
    values: Numbers | list[Numbers]


class Channelwise(_Layer):
    """A number added to each channel, or multiplied with it."""

    kind: Literal["shift", "scale"]
    by: float | Annotated[list[float], Field(min_length=1)]


class Normalised(_Layer):
    """A batch normalisation with given numbers."""

    kind: Literal["batch_norm"]
    mean: list[float] | None = None
    variance: list[Annotated[float, Field(ge=0)]] | None = None
    gamma: float | list[float] = 1.0
    beta: float | list[float] = 0.0
    eps: Annotated[float, Field(ge=0)] = 1e-5


class Windows(_Layer):
    """Windows as channels of one pixel, or the other way."""

    kind: Literal["unfold", "fold"]
    kernel: Side
    stride: Side = 1
    padding: Sides = 0


class Stacked(_Layer):
    """Layers over and over, and how their parameters begin."""

    kind: Literal["stack"]
    layers: Annotated[list["Layer"], Field(min_length=1)]
    depth: Whole = 1
    init: Literal["xavier", "he"] | Annotated[float, Field(gt=0)] | None = None


class CrossEntropy(_Layer):
    """A loss."""

    kind: Literal["cross_entropy"]
    target: Room
    smoothing: Share = 0.0


class Targets(_Layer):
    """What a loss takes a label for."""

    kind: Literal["targets"]
    classes: Annotated[int, Field(ge=2)]
    target: Room = 0
    smoothing: Share = 0.0


class Parallel(_Layer):
    """Paths side by side."""

    kind: Literal["parallel"]
    paths: Annotated[list["list[Layer]"], Field(min_length=1)]
    merge: Literal["concat", "add"] = "concat"
    split: bool = False


_Any = (
    Convolution
    | Transposed
    | Linear
    | Pool
    | Plain
    | Upsample
    | Shuffle
    | InsertZeros
    | Pad
    | Normalise
    | Activate
    | Image
    | Channelwise
    | Normalised
    | Windows
    | Stacked
    | CrossEntropy
    | Targets
    | Parallel
)
_MODELS: dict[str, type[_Layer]] = {
    kind: model
    for model in get_args(_Any)
    for kind in get_args(model.model_fields["kind"].annotation)
}


def _spelt_out(value: Any) -> Any:
    """Accept the name alone, and say what is wrong with the form of a layer, all at once."""
    if isinstance(value, _Layer):
        return value
    if isinstance(value, str):
        value = {"kind": value}
    if not isinstance(value, Mapping) or "kind" not in value:
        raise _refused("expected a layer, for example {kind: conv, channels: 32, kernel: 3}")
    kind = str(value["kind"])
    if kind not in _MODELS:
        raise _refused(f"unknown kind of layer {kind!r}; {catalog.suggest(kind, _MODELS)}")
    fields = _MODELS[kind].model_fields
    known = [name for name in fields if name != "kind"]
    unknown = [str(key) for key in value if key not in fields]
    said = [f"has no {key!r}; {catalog.suggest(key, known)}" for key in unknown]
    said += [
        f"needs {name!r}"
        for name, field in fields.items()
        if field.is_required() and name not in value and not catalog.alike(name, unknown)
    ]
    if said:
        raise _refused(f"a layer of kind {kind!r} " + ", and ".join(said))
    return value


def _refused(message: str) -> PydanticCustomError:
    # Braces would be taken for places of a template.
    return PydanticCustomError("layer", "{words}", {"words": message, "said": True})


Layer = Annotated[_Any, Field(discriminator="kind"), BeforeValidator(_spelt_out)]
Parallel.model_rebuild()
Stacked.model_rebuild()


def build(
    input_shape: tuple[int, int, int],
    outputs: int,
    *,
    layers: Annotated[list[Layer], Field(min_length=1)],
    depth: Whole | None = None,
) -> nn.Module:
    """Return (n, *input_shape) -> what the last layer makes of it.

    Raises:
        ValueError: a layer cannot be built or does not take what the one before it makes, or
            `depth` is more than there are layers.
    """
    if depth is not None and depth > len(layers):
        raise ValueError(f"there are {len(layers)} layers; a depth of {depth} is beyond the last")
    made = OrderedDict(_made(layers[:depth], tuple(input_shape), outputs, "layer "))
    kinds = [layer.kind for layer in layers]
    spatial = next((i for i, kind in enumerate(kinds) if kind in _WITHOUT_SPACE), len(kinds))
    parts = list(made.items())
    network: OrderedDict[str, nn.Module] = OrderedDict()
    network["features"] = nn.Sequential(OrderedDict(parts[:spatial]))
    network["head"] = nn.Sequential(OrderedDict(parts[spatial:]))
    return nn.Sequential(network)


def _made(
    layers: list[Layer], shape: tuple[int, ...], outputs: int, place: str
) -> Iterator[tuple[str, nn.Module]]:
    """Yield layers as modules, by name, each tried on the shape that the ones before it make."""
    for number, layer in enumerate(layers, start=1):
        where = f"{place}{number} ({layer.kind})"
        try:
            module = _module(layer, shape, outputs, f"{place}{number}, path ")
            tried = copy.deepcopy(module).to("meta").eval()
            with torch.no_grad():
                shape = tuple(tried(torch.empty(1, *shape, device="meta")).shape[1:])
        except _Refused as error:  # in a path, which has said where
            raise error
        except (ValueError, RuntimeError) as error:
            size = "x".join(map(str, shape))
            why = " ".join(str(error).split())
            raise _Refused(f"{where} does not take {size}: {why}") from error
        yield f"layer{number}", module


class _Refused(ValueError):
    """What is wrong with a layer, with its number."""


def _module(layer: Layer, shape: tuple[int, ...], outputs: int, place: str) -> nn.Module:
    """Return a layer as a module.

    Raises:
        ValueError, RuntimeError: it does not suit the shape.
    """
    if len(shape) == 1 and layer.kind not in ("linear", "act", "flatten", "stack", "cross_entropy"):
        raise ValueError("no rows and columns are left; put it before `flatten` and `gap`")
    match layer:
        case Convolution() | Transposed():
            return _convolution(layer, shape[0], outputs)
        case Linear():
            if len(shape) > 1:
                raise ValueError("it has rows and columns; put `flatten` or `gap` before it")
            return nn.Linear(shape[0], _channels(layer.channels, outputs), bias=layer.bias)
        case Pool():
            pool = nn.MaxPool2d if layer.kind == "maxpool" else nn.AvgPool2d
            stride = layer.kernel if layer.stride is None else layer.stride
            return pool(_pair(layer.kernel), _pair(stride), _pair(layer.padding))
        case Plain(kind="flatten"):
            return nn.Flatten()
        case Plain():
            return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        case Upsample():
            return nn.Upsample(scale_factor=layer.factor, mode=layer.mode)
        case Shuffle():
            return nn.PixelShuffle(layer.factor)
        case InsertZeros():
            return ZerosBetween(layer.stride)
        case Pad():
            height, width = _pair(layer.sides)
            return nn.ZeroPad2d((width, width, height, height))
        case Normalise():
            norm: nn.Module = components.build(layer.of, shape[0])
            return norm
        case Activate():
            act: nn.Module = components.build(layer.of)
            return act
        case Image():
            return Given(layer.values)
        case Channelwise():
            return Affine(layer.kind, layer.by, shape[0])
        case Normalised():
            given = layer.model_dump(include={"mean", "variance", "gamma", "beta"})
            return GivenNorm(given, layer.eps, shape[0])
        case Windows():
            make = Unfolded if layer.kind == "unfold" else Folded
            return make(_pair(layer.kernel), _pair(layer.stride), _pair(layer.padding))
        case Stacked():
            return _stacked(layer, shape, outputs, place)
        case CrossEntropy():
            if len(shape) > 1:
                raise ValueError("it has rows and columns; put `flatten` or `gap` before it")
            return Loss(shape[0], layer.target, layer.smoothing)
        case Targets():
            return Given([[[it]] for it in smoothed(layer.classes, layer.target, layer.smoothing)])
        case Parallel():
            return _parallel(layer, shape, outputs, place)


def _convolution(layer: Convolution | Transposed, inputs: int, outputs: int) -> nn.Module:
    groups = inputs if layer.groups == "depthwise" else layer.groups
    options: dict[str, Any] = {
        "kernel_size": _pair(layer.kernel),
        "stride": _pair(layer.stride),
        "dilation": _pair(layer.dilation),
        "groups": groups,
        "bias": layer.bias,
    }
    channels = _channels(layer.channels, outputs)
    if isinstance(layer, Transposed):
        options["padding"] = _pair(layer.padding)
        options["output_padding"] = _pair(layer.output_padding)
        kinds: tuple[Any, Any] = nn.ConvTranspose2d, FixedTransposed
    else:
        word = isinstance(layer.padding, str)
        options["padding"] = layer.padding if word else _pair(layer.padding)  # type: ignore[arg-type]
        kinds = nn.Conv2d, FixedConv
    if layer.weights is None:
        made: nn.Module = kinds[0](inputs, channels, **options)
        return made
    fixed: FixedConv | FixedTransposed = kinds[1](inputs, channels, **options)
    _give(fixed, layer.weights)
    return fixed


def _channels(channels: int | None, outputs: int) -> int:
    if channels is None and not outputs:
        raise ValueError("say its channels; the task asks for no outputs")
    return outputs if channels is None else channels


def _stacked(layer: Stacked, shape: tuple[int, ...], outputs: int, place: str) -> nn.Module:
    inner = f"{place.removesuffix(', path ')}, layer "
    made = OrderedDict(_made(layer.layers * layer.depth, shape, outputs, inner))
    layers = nn.Sequential(made)
    return layers if layer.init is None else Begun(layers, layer.init)


def _parallel(layer: Parallel, shape: tuple[int, ...], outputs: int, place: str) -> nn.Module:
    count = len(layer.paths)
    if layer.split and shape[0] % count:
        raise ValueError(f"{shape[0]} channels cannot be shared out among {count} paths")
    own = (shape[0] // count, *shape[1:]) if layer.split else shape
    paths = [
        nn.Sequential(OrderedDict(_made(path, own, outputs, f"{place}{number}, layer ")))
        for number, path in enumerate(layer.paths, start=1)
    ]
    return Paths(paths, layer.merge, layer.split)


class Paths(nn.Module):
    """Paths side by side, each of all channels or of its share; (n, c, h, w) -> (n, c', h', w')."""

    def __init__(self, paths: list[nn.Sequential], merge: str, split: bool) -> None:
        super().__init__()
        self.paths = nn.ModuleList(paths)
        self.merge = merge
        self.split = split

    def forward(self, x: Tensor) -> Tensor:
        given = x.chunk(len(self.paths), 1) if self.split else [x] * len(self.paths)
        made = [path(given[number]) for number, path in enumerate(self.paths)]
        if self.merge == "concat":
            return torch.cat(made, 1)
        total: Tensor = made[0]
        for more in made[1:]:
            total = total + more
        return total

    def extra_repr(self) -> str:
        return f"{len(self.paths)} paths, merge={self.merge}, split={self.split}"


class ZerosBetween(nn.Module):
    """Zeros between pixels: (n, c, h, w) -> (n, c, s·(h - 1) + 1, s·(w - 1) + 1)."""

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        n, channels, height, width = x.shape
        more, s = self.stride - 1, self.stride
        # A pixel becomes the first of s x s, and those after the last are cut off again.
        spread = functional.pad(
            x.reshape(n, channels, height, 1, width, 1), (0, more, 0, 0, 0, more)
        )
        spread = spread.reshape(n, channels, height * s, width * s)
        return spread[:, :, : height * s - more, : width * s - more]

    def extra_repr(self) -> str:
        return f"stride={self.stride}"


class Given(nn.Module):
    """A map of given values, whatever comes: (n, …) -> (n, c, h, w)."""

    values: Tensor

    def __init__(self, values: list[Any]) -> None:
        super().__init__()
        self.written = values
        self.register_buffer("values", _tensor(values, "values"))

    def forward(self, x: Tensor) -> Tensor:
        height, width = self.values.shape[-2:]
        # Once for each image: a product, since torch.fx cannot follow a number of images.
        return torch.ones_like(x[:, :1, :1, :1]) * self.values.reshape(1, -1, height, width)

    def extra_repr(self) -> str:
        return f"values={self.written}"


class FixedConv(nn.Conv2d):
    """A convolution with given weights."""

    written: Any = None

    def reset_parameters(self) -> None:
        _reset(self, super().reset_parameters)

    def extra_repr(self) -> str:
        said: str = super().extra_repr()  # type: ignore[no-untyped-call]
        return f"{said}, weights={self.written}"


class FixedTransposed(nn.ConvTranspose2d):
    """A transposed convolution with given weights."""

    written: Any = None

    def reset_parameters(self) -> None:
        _reset(self, super().reset_parameters)

    def extra_repr(self) -> str:
        said: str = super().extra_repr()  # type: ignore[no-untyped-call]
        return f"{said}, weights={self.written}"


def _give(module: FixedConv | FixedTransposed, weights: Weights) -> None:
    """Replace the kernels of a module by constants."""
    given = _tensor(weights, "weights")
    wanted = tuple(module.weight.shape)
    one = given.dim() == 2 and wanted[:2] == (1, 1)
    if (given[None, None] if one else given).shape != wanted:
        sizes = ["x".join(map(str, shape)) for shape in (given.shape, wanted)]
        raise ValueError(f"its weights are {sizes[0]}, and it takes {sizes[1]}")
    del module.weight
    module.register_buffer("weight", given.reshape(wanted))
    module.written = weights


def _reset(module: nn.Module, reset: Any) -> None:
    """Draw what is not given: the bias."""
    given = module._buffers.get("weight")
    if given is None:
        reset()
    elif isinstance(module.bias, nn.Parameter):
        bound = 1 / math.sqrt(given[0].numel())  # torch's own, of the fan-in
        nn.init.uniform_(module.bias, -bound, bound)


def _tensor(values: list[Any], name: str) -> Tensor:
    try:
        return torch.tensor(values, dtype=torch.float32)
    except ValueError as error:
        raise ValueError(f"its {name} are not all of one length") from error


def _pair(sides: int | list[int]) -> tuple[int, int]:
    return (sides, sides) if isinstance(sides, int) else (sides[0], sides[1])
