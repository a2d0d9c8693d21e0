"""Receptive field: the side of the square of input pixels that one output of `features` can see.

    r = 1 + Σ (kernel - 1) · dilation · jump,   jump = product of the strides before

over the layers of a path (Araujo, Norris, Sim 2019, "Computing receptive fields of convolutional
neural networks", Distill, doi:10.23915/distill.00021). Where paths meet, the field is the smallest
box around all of them, which is the largest one's where their centres agree. It is the field on an
unbounded image: it may exceed the real one, and dilated kernels do not look at every pixel of it.
Batch normalisation counts as elementwise, which it is in evaluation mode; what comes after
`features` (a global pooling) sees the whole image and is left out.

Read off the graph that `torch.fx` traces. With a module or function whose reach is not known, the
figure is invalid. Value: the longer side. Detail: `height` and `width`.
"""

import operator
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import fx, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd

from ablate.records import Measurement

TITLE: Final = "Receptive field"
UNIT: Final = "px"
DIRECTION: Final = "none"
KIND: Final = "fact"

# Of one pixel, whatever they do with its channels.
_ELEMENTWISE_MODULES = (
    nn.Identity,
    nn.ChannelShuffle,
    _BatchNorm,
    _DropoutNd,
    nn.ReLU,
    nn.ReLU6,
    nn.LeakyReLU,
    nn.PReLU,
    nn.ELU,
    nn.GELU,
    nn.SiLU,
    nn.Mish,
    nn.Hardswish,
    nn.Sigmoid,
    nn.Hardsigmoid,
    nn.Tanh,
    nn.Softplus,
)
# Of one tensor or of several, which must have the same resolution.
_ELEMENTWISE_FUNCTIONS: set[Callable[..., Any]] = {
    operator.add,
    operator.iadd,
    operator.sub,
    operator.mul,
    torch.add,
    torch.sub,
    torch.mul,
    torch.relu,
    torch.sigmoid,
    torch.tanh,
    functional.relu,
    functional.silu,
    functional.gelu,
}
_CONCATENATIONS: set[Callable[..., Any]] = {torch.cat, torch.concat}


class Unknown(ValueError):
    """The receptive field cannot be worked out; the message says why."""


@dataclass(frozen=True)
class Reach:
    """What one output sees along one axis: output i sees inputs i·jump + first to i·jump + last."""

    jump: int = 1
    first: int = 0
    last: int = 0

    @property
    def size(self) -> int:
        return self.last - self.first + 1


def measure(network: nn.Module, input_shape: tuple[int, int, int]) -> Measurement:
    """Return the receptive field of the network's child `features`, in pixels of its input."""
    try:
        height, width = (reach.size for reach in _of_features(network))
    except Unknown as error:
        return _measurement(None, {"invalid": str(error)})
    return _measurement(max(height, width), {"height": height, "width": width})


def _measurement(value: int | None, detail: dict[str, Any]) -> Measurement:
    return Measurement(value=value, unit=UNIT, title=TITLE, direction=DIRECTION, detail=detail)


def _of_features(network: nn.Module) -> tuple[Reach, Reach]:
    features = getattr(network, "features", None)
    if not isinstance(features, nn.Module):
        raise Unknown("the network has no child `features`")
    # Tracing goes into the outermost module whatever it is, so here it is one more container.
    root = nn.Sequential(OrderedDict(features=features))
    try:
        graph = fx.symbolic_trace(root).graph
    except Exception as error:  # a forward run on placeholders can fail in every way there is
        reason = " ".join(str(error).split())
        raise Unknown(f"torch.fx cannot trace `features`: {reason}") from error
    reaches: dict[fx.Node, tuple[Reach, Reach]] = {}
    for node in graph.nodes:
        if node.op == "placeholder":
            reaches[node] = (Reach(), Reach())
            continue
        inputs = [reaches[source] for source in node.all_input_nodes if source in reaches]
        if not inputs:  # a parameter or a constant, which sees nothing
            continue
        met = (_meet([r[0] for r in inputs], node), _meet([r[1] for r in inputs], node))
        if node.op == "output":
            return met
        reaches[node] = _through(node, root, met)
    raise Unknown("`features` returns nothing that depends on its input")


def _meet(reaches: list[Reach], node: fx.Node) -> Reach:
    """Return the box around what several paths see."""
    if len({reach.jump for reach in reaches}) > 1:
        raise Unknown(f"paths of different resolution meet at {node.name}")
    return Reach(reaches[0].jump, min(r.first for r in reaches), max(r.last for r in reaches))


def _through(node: fx.Node, root: nn.Module, reaches: tuple[Reach, Reach]) -> tuple[Reach, Reach]:
    """Return what the outputs of a node see, given what its inputs see."""
    if node.op == "call_function":
        if node.target in _ELEMENTWISE_FUNCTIONS or _joins_channels(node) or _cuts_channels(node):
            return reaches
        raise Unknown(f"the reach of the function {node.name} is not known")
    if node.op != "call_module":
        raise Unknown(f"the reach of {node.op} {node.target} is not known")
    module = root.get_submodule(str(node.target))
    if isinstance(module, _ELEMENTWISE_MODULES):
        return reaches
    if isinstance(module, nn.Conv2d):
        dilation = module.dilation
        padding = _padding(module)
    elif isinstance(module, nn.MaxPool2d | nn.AvgPool2d):
        dilation = _pair(module.dilation) if isinstance(module, nn.MaxPool2d) else (1, 1)
        padding = _pair(module.padding)
    else:
        kind = type(module).__name__
        raise Unknown(f"the reach of {kind} ({node.target}) is not known")
    kernel, stride = _pair(module.kernel_size), _pair(module.stride)
    vertical, horizontal = (
        _slide(reach, kernel[axis], stride[axis], dilation[axis], padding[axis])
        for axis, reach in enumerate(reaches)
    )
    return vertical, horizontal


def _slide(reach: Reach, kernel: int, stride: int, dilation: int, padding: int) -> Reach:
    """Return the reach of a window over outputs that reach so far."""
    # Output i looks at the inputs i·stride - padding + dilation·(0 … kernel - 1).
    first = reach.first - padding * reach.jump
    last = reach.last + (dilation * (kernel - 1) - padding) * reach.jump
    return Reach(reach.jump * stride, first, last)


def _padding(conv: nn.Conv2d) -> tuple[int, int]:
    """Return the padding above and left of the image."""
    if isinstance(conv.padding, str):
        if conv.padding == "valid":
            return 0, 0
        spans = [d * (k - 1) for k, d in zip(conv.kernel_size, conv.dilation, strict=True)]
        return spans[0] // 2, spans[1] // 2  # an odd pixel of "same" goes below and right
    return conv.padding[0], conv.padding[1]


def _joins_channels(node: fx.Node) -> bool:
    dim = node.args[1] if len(node.args) > 1 else node.kwargs.get("dim", 0)
    return node.target in _CONCATENATIONS and dim in (1, -3)


def _cuts_channels(node: fx.Node) -> bool:
    """Return whether a node is x[:, a:b], which leaves every pixel in its place."""
    if node.target is not operator.getitem:
        return False
    index = node.args[1]
    cuts = index if isinstance(index, tuple) else (index,)
    return len(cuts) <= 2 and all(isinstance(cut, slice) for cut in cuts)


def _pair(sides: int | tuple[int, ...]) -> tuple[int, int]:
    return (sides, sides) if isinstance(sides, int) else (sides[0], sides[1])
