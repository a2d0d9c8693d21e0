"""Layers: how many convolutional and linear layers the network has, and of which kinds.

Found by looking at the built modules, never at their names. A module that is used twice counts
once. A layer may count under several kinds (a strided depthwise convolution, say):

* `normal`: a convolution of all channels with a kernel of several pixels on every axis, undilated;
* `pointwise`: a convolution of all channels with a kernel of one pixel; among them
  `pointwise_reduce`, `pointwise_keep` and `pointwise_expand`, with fewer outputs than inputs, as
  many, and more;
* `depthwise`: a convolution of as many groups as input channels, of which there are several;
* `grouped`: a convolution of several groups, but fewer than input channels;
* `dilated`: a convolution whose taps lie apart;
* `asymmetric`: a convolution with a kernel of one pixel on one axis and several on another;
* `strided`: a convolution that leaves out outputs;
* `transposed`: a transposed convolution, which counts under no other kind;
* `linear`: a linear layer;
* `depthwise_separable`: a depthwise convolution that a pointwise one of all its outputs follows,
  with nothing but normalisation, activation and dropout between;
* `pointwise_pair`: a pointwise convolution that another one follows in the same way: the second
  is fed by nothing that looks around, and without an activation between both are one;
* `pixel_shuffle`: space made of channels;
* `gap`: global average pooling, to one pixel, wherever it stands (in an attention block, too): an
  adaptive pooling, or a mean over both axes; an average pooling whose window happens to be the
  whole map counts as `avgpool`;
* `maxpool`, `avgpool`: other pooling with a window.

What follows what, and which functions are called (a pooling need not be a module), is read off the
graph that `torch.fx` traces. Where the network cannot be traced, modules are taken to follow each
other in the order in which they are registered, and functions are not seen. A convolution that is
no module, but a function of parameters, is not seen either way.

Detail: the count of every kind; `multigroup`, that of the convolutions of several groups, which are
the depthwise and the grouped ones; `where`, the paths of the layers (of a function, the name of its
call) by kind; `read_from`, "graph" or "modules".
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import torch
from torch import fx, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd
from torch.nn.modules.dropout import _DropoutNd
from torch.nn.modules.pooling import _AdaptiveAvgPoolNd, _AvgPoolNd, _MaxPoolNd

from ablate.records import Measurement

TITLE: Final = "Layers"
UNIT: Final = ""
DIRECTION: Final = "none"
KIND: Final = "fact"

KINDS: Final = (
    "normal",
    "pointwise",
    "pointwise_reduce",
    "pointwise_keep",
    "pointwise_expand",
    "depthwise",
    "grouped",
    "dilated",
    "asymmetric",
    "strided",
    "transposed",
    "linear",
    "depthwise_separable",
    "pointwise_pair",
    "pixel_shuffle",
    "gap",
    "maxpool",
    "avgpool",
)

_LAYERS = (_ConvNd, nn.Linear)
_POOLS = (_MaxPoolNd, _AvgPoolNd, _AdaptiveAvgPoolNd)
# Kinds of two convolutions, by that of the first; the second is pointwise. They are at the path of
# the first.
_PAIRS: Final = {"depthwise_separable": "depthwise", "pointwise_pair": "pointwise"}
# What may stand between the two.
_BETWEEN_MODULES = (
    nn.Identity,
    _NormBase,
    nn.GroupNorm,
    nn.LayerNorm,
    nn.RMSNorm,
    nn.LocalResponseNorm,
    _DropoutNd,
    nn.ReLU,
    nn.ReLU6,
    nn.LeakyReLU,
    nn.PReLU,
    nn.RReLU,
    nn.ELU,
    nn.CELU,
    nn.SELU,
    nn.GELU,
    nn.SiLU,
    nn.Mish,
    nn.Hardswish,
    nn.Hardtanh,
    nn.Sigmoid,
    nn.Hardsigmoid,
    nn.Tanh,
    nn.Softplus,
    nn.Softsign,
)
_BETWEEN_FUNCTIONS: set[Callable[..., Any]] = {
    torch.relu,
    torch.sigmoid,
    torch.tanh,
    functional.relu,
    functional.relu6,
    functional.leaky_relu,
    functional.elu,
    functional.gelu,
    functional.silu,
    functional.mish,
    functional.hardswish,
    functional.hardtanh,
    functional.dropout,
    functional.dropout2d,
    functional.batch_norm,
    functional.group_norm,
}
_BETWEEN_METHODS = {"relu", "relu_", "sigmoid", "tanh"}


def measure(network: nn.Module, input_shape: tuple[int, int, int]) -> Measurement:
    """Return the number of convolutional and linear layers; each kind's is in the detail."""
    modules = dict(network.named_modules())  # every module under one path
    nodes = trace(network)
    where: dict[str, list[str]] = {kind: [] for kind in KINDS}
    for path, module in modules.items():
        for kind in kinds(module):
            where[kind].append(path)
    for node in nodes or []:
        if (kind_of_call := _kind_of_call(node)) is not None:
            where[kind_of_call].append(node.name)
    for pair, first in _PAIRS.items():
        if nodes is None:
            where[pair] = _before_pointwise_in_order(first, modules)
        else:
            where[pair] = _before_pointwise_in_graph(first, nodes, modules)
    return Measurement(
        value=sum(isinstance(module, _LAYERS) for module in modules.values()),
        unit=UNIT,
        title=TITLE,
        direction=DIRECTION,
        detail={
            **{kind: len(paths) for kind, paths in where.items()},
            "multigroup": len(where["depthwise"]) + len(where["grouped"]),
            "where": {kind: paths for kind, paths in where.items() if paths},
            "read_from": "modules" if nodes is None else "graph",
        },
    )


def kinds(module: nn.Module) -> list[str]:
    """Return the kinds that a module is of, by itself."""
    if isinstance(module, _ConvTransposeNd):
        return ["transposed"]
    if isinstance(module, _ConvNd):
        return _kinds_of_convolution(module)
    if isinstance(module, _AdaptiveAvgPoolNd):
        return ["gap"] if _is_one(module.output_size) else []
    found = {
        "linear": nn.Linear,
        "pixel_shuffle": nn.PixelShuffle,
        "maxpool": _MaxPoolNd,
        "avgpool": _AvgPoolNd,
    }
    return [kind for kind, of in found.items() if isinstance(module, of)]


def trace(network: nn.Module) -> list[fx.Node] | None:
    """Return the graph that `torch.fx` traces of a network; None where it cannot.

    The targets of modules are their paths in the network, each module under the first of its paths.
    """
    # Tracing goes into the outermost module whatever it is, so here it is one more container.
    root = nn.Sequential(OrderedDict(network=network))
    try:
        graph = _Tracer().trace(root)
    except Exception:  # a forward run on placeholders can fail in every way there is
        return None
    for node in graph.nodes:
        if node.op == "call_module":
            node.target = str(node.target).removeprefix("network").removeprefix(".")
    return list(graph.nodes)


def arguments(node: fx.Node, *names: str) -> dict[str, Any]:
    """Return the arguments of a call by name, given the names of those that may be positional."""
    return {**dict(zip(names, node.args, strict=False)), **node.kwargs}


def _kinds_of_convolution(conv: _ConvNd) -> list[str]:
    several = [side > 1 for side in conv.kernel_size]
    dilated = any(
        side > 1 and step > 1 for side, step in zip(conv.kernel_size, conv.dilation, strict=True)
    )
    pointwise = conv.groups == 1 and not any(several)
    is_of_kind = {
        "normal": conv.groups == 1 and all(several) and not dilated,
        "pointwise": pointwise,
        "pointwise_reduce": pointwise and conv.out_channels < conv.in_channels,
        "pointwise_keep": pointwise and conv.out_channels == conv.in_channels,
        "pointwise_expand": pointwise and conv.out_channels > conv.in_channels,
        "depthwise": conv.groups == conv.in_channels > 1,
        "grouped": 1 < conv.groups < conv.in_channels,
        "dilated": dilated,
        "asymmetric": any(several) and not all(several),
        "strided": max(conv.stride) > 1,
    }
    return [kind for kind, holds in is_of_kind.items() if holds]


def _kind_of_call(node: fx.Node) -> str | None:
    """Return the kind of a layer that is a function or a method, no module."""
    if node.op == "call_function":
        if node.target is functional.pixel_shuffle:
            return "pixel_shuffle"
        if node.target is functional.max_pool2d:
            return "maxpool"
        if node.target is functional.avg_pool2d:
            return "avgpool"
        if node.target is functional.adaptive_avg_pool2d:
            size = arguments(node, "input", "output_size")["output_size"]
            return "gap" if _is_one(size) else None
    if node.target in (torch.mean, "mean"):
        given = arguments(node, "input", "dim")
        dims = given.get("dim", given.get("axis"))
        if isinstance(dims, list | tuple) and all(isinstance(dim, int) for dim in dims):
            # Of an image's four axes, counted from either end.
            return "gap" if sorted(dim % 4 for dim in dims) == [2, 3] else None
    return None


def _is_one(size: object) -> bool:
    return all(side == 1 for side in size) if isinstance(size, list | tuple) else size == 1


def _before_pointwise_in_graph(
    kind: str, nodes: list[fx.Node], modules: Mapping[str, nn.Module]
) -> list[str]:
    """Return the paths of convolutions of a kind that lead to a pointwise one."""
    found: dict[str, None] = {}  # in order, and each once though it be called twice
    for node in nodes:
        module = _module(node, modules)
        if (
            isinstance(module, _ConvNd)
            and kind in kinds(module)
            and _reaches(node.users, modules, module.out_channels)
        ):
            found[str(node.target)] = None
    return list(found)


def _reaches(users: Iterable[fx.Node], modules: Mapping[str, nn.Module], channels: int) -> bool:
    """Whether some of the nodes leads to a pointwise convolution of so many channels."""
    for node in users:
        module = _module(node, modules)
        if module is not None and _mixes(module, channels):
            return True
        between = (
            isinstance(module, _BETWEEN_MODULES)
            or (node.op == "call_function" and node.target in _BETWEEN_FUNCTIONS)
            or (node.op == "call_method" and node.target in _BETWEEN_METHODS)
        )
        if between and _reaches(node.users, modules, channels):
            return True
    return False


def _before_pointwise_in_order(kind: str, modules: Mapping[str, nn.Module]) -> list[str]:
    """Return the paths of convolutions of a kind before a pointwise one, as registered."""
    leaves = [(path, m) for path, m in modules.items() if not list(m.children())]
    found = []
    for at, (path, module) in enumerate(leaves):
        if isinstance(module, _ConvNd) and kind in kinds(module):
            rest = (m for _, m in leaves[at + 1 :] if not isinstance(m, _BETWEEN_MODULES))
            following = next(rest, None)
            if following is not None and _mixes(following, module.out_channels):
                found.append(path)
    return found


def _module(node: fx.Node, modules: Mapping[str, nn.Module]) -> nn.Module | None:
    return modules[str(node.target)] if node.op == "call_module" else None


def _mixes(module: nn.Module, channels: int) -> bool:
    """Whether a module is a pointwise convolution of so many channels."""
    return (
        isinstance(module, _ConvNd)
        and "pointwise" in kinds(module)
        and module.in_channels == channels
    )


class _Tracer(fx.Tracer):
    """Goes into every module but torch's own and those derived from a layer or a pooling."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, (*_LAYERS, *_POOLS)) or super().is_leaf_module(
            m, module_qualified_name
        )
