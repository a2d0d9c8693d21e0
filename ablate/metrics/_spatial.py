"""The spatial part of a network, read off the graph that `torch.fx` traces in evaluation mode.

It is the child `features` where that is the first child, else the network as a whole, up to where
space is lost: a pooling of all pixels, or an image flattened to (n, features), after which no image
follows. It is read as *layers*: windows that slide over maps, and places at which maps meet. What
is done to a pixel whatever its neighbours (activations, batch normalisation, what moves or cuts
channels) adds no layer. Channels are taken to be mixed: where some of them are cut off or kept
apart, each is held to see what all of them see.

Something pooled over all pixels may return to the map, as squeeze-and-excitation does (Hu, Shen,
Sun 2018, arXiv 1709.01507): from there on, every pixel sees the whole image. So it does after a
normalisation by statistics of the image itself (group, instance).
"""

import copy
import operator
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, fx, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd
from torch.nn.modules.instancenorm import _InstanceNorm
from torch.nn.modules.padding import _ConstantPadNd, _ReflectionPadNd, _ReplicationPadNd

# Of one pixel, whatever they do with its channels.
_ELEMENTWISE_MODULES = (
    nn.Identity,
    nn.ChannelShuffle,
    nn.LocalResponseNorm,
    _DropoutNd,
    nn.ReLU,
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
    nn.Hardtanh,  # ReLU6 is one
    nn.Sigmoid,
    nn.Hardsigmoid,
    nn.LogSigmoid,
    nn.Tanh,
    nn.Softplus,
    nn.Softsign,
)
# Of one tensor or of several, which must have the same resolution.
_ELEMENTWISE_FUNCTIONS: set[Callable[..., Any]] = {
    operator.add,
    operator.iadd,
    operator.sub,
    operator.isub,
    operator.mul,
    operator.imul,
    operator.truediv,
    operator.neg,
    torch.add,
    torch.sub,
    torch.mul,
    torch.div,
    torch.maximum,
    torch.minimum,
    torch.clamp,
    torch.relu,
    torch.sigmoid,
    torch.tanh,
    functional.relu,
    functional.relu6,
    functional.leaky_relu,
    functional.elu,
    functional.celu,
    functional.selu,
    functional.gelu,
    functional.silu,
    functional.mish,
    functional.hardswish,
    functional.hardsigmoid,
    functional.hardtanh,
    functional.logsigmoid,
    functional.sigmoid,
    functional.softplus,
    functional.softsign,
    functional.tanh,
    functional.dropout,
    functional.dropout2d,
    functional.local_response_norm,
}
_ELEMENTWISE_METHODS = {
    *("add", "add_", "sub", "sub_", "mul", "mul_", "div", "div_", "clamp", "clamp_"),
    *("relu", "relu_", "sigmoid", "sigmoid_", "tanh", "tanh_"),
    *("clone", "contiguous", "detach", "float", "expand_as"),
}
# Of torchvision, by its name: a branch left out at random in training, and none in evaluation mode.
_IDENTITIES = {"stochastic_depth"}
_CONCATENATIONS: set[Callable[..., Any]] = {torch.cat, torch.concat}
_ADAPTIVE = (nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d)
# Functions with the arguments of a module.
_MODULE_OF: dict[Any, Callable[..., nn.Module]] = {
    functional.max_pool2d: nn.MaxPool2d,
    functional.avg_pool2d: nn.AvgPool2d,
    functional.lp_pool2d: nn.LPPool2d,
    functional.adaptive_avg_pool2d: nn.AdaptiveAvgPool2d,
    functional.adaptive_max_pool2d: nn.AdaptiveMaxPool2d,
    functional.interpolate: nn.Upsample,
    functional.pixel_shuffle: nn.PixelShuffle,
    functional.pixel_unshuffle: nn.PixelUnshuffle,
    functional.layer_norm: partial(nn.LayerNorm, device="meta"),
}


class Unknown(ValueError):
    """What a network's outputs see cannot be worked out; the message says why."""


@dataclass(frozen=True)
class Window:
    """What outputs see along one axis: output q·len(offsets) + r sees q·stride + offsets[r].

    Outputs differ in what they see only after something that upsamples. An output may see nothing.
    """

    offsets: tuple[tuple[int, ...], ...] = ((0,),)
    stride: int = 1

    def taps(self, output: int) -> list[int]:
        """Return the inputs that an output sees, in any order."""
        period, phase = divmod(output, len(self.offsets))
        return [period * self.stride + offset for offset in self.offsets[phase]]


@dataclass(frozen=True)
class Layer:
    """A map: what a window makes of another map, or the place where several meet.

    `of_ones` computes it for one channel, with every weight a positive constant: (n, 1, h, w) of
    the source to (n, 1, h', w'). The image itself has no sources.
    """

    name: str
    sources: tuple[int, ...] = ()
    windows: tuple[Window, Window] = (Window(), Window())  # of rows and columns
    of_ones: Callable[[Tensor], Tensor] | None = None


@dataclass(frozen=True)
class Spatial:
    """The spatial part: its layers in order, of which `end` is the last, called `at`.

    `whole` names what shows the whole image to every output of it, if anything does.
    """

    layers: list[Layer]
    end: int
    at: str
    whole: str | None
    module: Callable[[], nn.Module]  # makes it a module: (n, c, h, w) -> (n, c', h', w')


@dataclass(frozen=True)
class _Map:
    """A tensor of which two axes are space; `axes` says what each is: n, c, h or w."""

    layer: int
    axes: str = "nchw"
    whole: str | None = None


@dataclass(frozen=True)
class _Parts:
    """The list of tensors into which a map's channels are cut."""

    of: _Map


@dataclass(frozen=True)
class _Pooled:
    """A tensor in which no space is left; `ends` are the nodes where it was lost."""

    ends: frozenset[fx.Node]
    by: str
    evenly: bool  # of all pixels alike, not of some for each output


@dataclass(frozen=True)
class _Shape:
    """The shape of a map, or a part of it."""

    axes: str


_State = _Map | _Parts | _Pooled | _Shape


def read(network: nn.Module) -> Spatial:
    """Return the spatial part of a network; it shares the network's parameters.

    Raises:
        Unknown: the network cannot be traced, does not say where space ends, or something in it
            has a reach that is not known.
    """
    tensors = (*network.parameters(), *network.buffers())
    network = copy.deepcopy(network, {id(tensor): tensor for tensor in tensors}).eval()
    name, first = next(network.named_children(), ("", network))
    at, part = (name, first) if name == "features" else ("network", network)
    # Tracing goes into the outermost module whatever it is, so here it is one more container.
    root = nn.Sequential(OrderedDict([(at, part)]))
    try:
        graph = fx.symbolic_trace(root).graph
    except Exception as error:  # a forward run on placeholders can fail in every way there is
        reason = " ".join(str(error).split())
        what = "`features`" if at == "features" else "the network"
        raise Unknown(f"torch.fx cannot trace {what}: {reason}") from error
    return _Reader(root, graph).read()


class _Reader:
    """Goes through a graph once; what it knows of every node is in `states`."""

    def __init__(self, root: nn.Module, graph: fx.Graph) -> None:
        self.root = root
        self.graph = graph
        self.layers: list[Layer] = []
        self.states: dict[fx.Node, _State] = {}

    def read(self) -> Spatial:
        for node in self.graph.nodes:
            if node.op == "placeholder":
                self.layers.append(Layer("input"))
                self.states[node] = _Map(0)
            elif node.op == "output":
                break
            elif (state := self._state(node)) is not None:
                self.states[node] = state
        end, at = self._end(node)
        state = self.states[end]
        assert isinstance(state, _Map)
        if state.axes != "nchw":
            raise Unknown(f"channels are not the second axis of {at}")
        module = partial(_until, self.root, self.graph, end)
        return Spatial(self.layers, state.layer, at, state.whole, module)

    def _end(self, output: fx.Node) -> tuple[fx.Node, str]:
        """Return the node that makes the last map, and its path."""
        returned = {node: self.states.get(node) for node in output.all_input_nodes}
        maps = [node for node, state in returned.items() if isinstance(state, _Map)]
        pooled = [state for state in returned.values() if isinstance(state, _Pooled)]
        if maps and pooled:
            raise Unknown("some outputs are maps and some are not")
        ends = {*maps, *(end for state in pooled for end in state.ends)}
        if not ends:
            raise Unknown("nothing that is returned depends on an image")
        if len(ends) > 1:
            names = ", ".join(sorted(self._path(end) for end in ends))
            raise Unknown(f"space ends at several places: {names}")
        [end] = ends
        if maps and hasattr(self.root, "features"):
            return end, "features"
        return end, self._path(end)

    def _state(self, node: fx.Node) -> _State | None:
        """Return what a node makes; None where no pixel matters to it."""
        try:
            return self._made(node)
        except (AttributeError, IndexError, TypeError) as error:
            raise self._unknown(node) from error  # called with what is computed on the way

    def _made(self, node: fx.Node) -> _State | None:
        given = [self.states[source] for source in node.all_input_nodes if source in self.states]
        maps = [state for state in given if isinstance(state, _Map)]
        pooled = [state for state in given if isinstance(state, _Pooled)]
        shapes = [state for state in given if isinstance(state, _Shape)]
        parts = [state for state in given if isinstance(state, _Parts)]
        if parts:
            if node.target is operator.getitem and isinstance(node.args[1], int):
                return parts[0].of
            raise self._unknown(node)
        if not maps:
            if pooled:
                return _Pooled(
                    frozenset().union(*(state.ends for state in pooled)),
                    pooled[0].by,
                    all(state.evenly for state in pooled),
                )
            return _entry(shapes[0], node) if shapes else None
        if node.op == "call_module":
            return self._after_module(node, self.root.get_submodule(str(node.target)), maps, pooled)
        if node.target in _MODULE_OF:
            module = _MODULE_OF[node.target](*node.args[1:], **_without_tensors(node.kwargs))
            return self._after_module(node, module, maps, pooled)
        return self._after_call(node, maps, pooled)

    def _after_module(
        self, node: fx.Node, module: nn.Module, maps: list[_Map], pooled: list[_Pooled]
    ) -> _State:
        if isinstance(module, _ELEMENTWISE_MODULES):
            return self._met(node, maps, pooled)
        if len(maps) > 1 or pooled:
            raise self._unknown(node, module)
        [source] = maps
        if isinstance(module, _BatchNorm | _InstanceNorm | nn.GroupNorm):
            fixed = not isinstance(module, nn.GroupNorm) and module.running_mean is not None
            return source if fixed else replace(source, whole=self._path(node))
        if isinstance(module, nn.LayerNorm):
            normalised = source.axes[-len(module.normalized_shape) :]
            if set(normalised) == {"c"}:
                return source
            if set(normalised) >= {"h", "w"}:
                return replace(source, whole=self._path(node))
            raise self._unknown(node, module)
        if isinstance(module, nn.Linear) and source.axes.endswith("c"):
            return source
        if isinstance(module, nn.Flatten) and (module.start_dim, module.end_dim) == (1, -1):
            return self._pooled(node, evenly=False)
        if source.axes != "nchw":
            raise self._unknown(node, module)
        if isinstance(module, _ADAPTIVE):
            size = module.output_size
            one = all(side == 1 for side in size) if isinstance(size, tuple) else size == 1
            return self._pooled(node, evenly=one)
        windows, of_ones = _windows(module) or (None, None)
        if windows is None:
            raise self._unknown(node, module)
        return self._slid(node, source, windows, of_ones)

    def _after_call(self, node: fx.Node, maps: list[_Map], pooled: list[_Pooled]) -> _State | None:
        """Return what a function or a method makes of maps."""
        first = maps[0]
        target = node.target
        if (node.op == "call_method" and target in _ELEMENTWISE_METHODS) or (
            node.op == "call_function"
            and (target in _ELEMENTWISE_FUNCTIONS or _called(node) in _IDENTITIES)
        ):
            return self._met(node, maps, pooled)
        if target in _CONCATENATIONS:
            dim = _argument(node, 1, "dim", 0)
            if all(isinstance(dim, int) and it.axes[dim] == "c" for it in maps):
                return self._met(node, maps, pooled)
            raise self._unknown(node)
        if len(maps) > 1 or pooled:
            raise self._unknown(node)
        called = _called(node)
        if called == "size" or (called == "getattr" and node.args[1] == "shape"):
            dim = _argument(node, 1, "dim", None) if called == "size" else None
            return _Shape(first.axes if dim is None else first.axes[dim])
        if called == "dim" or (called == "getattr" and node.args[1] in ("ndim", "dtype", "device")):
            return None
        if called == "batch_norm" and not _argument(node, 5, "training", False):
            return first
        if called == "mean":
            dims = _argument(node, 1, "dim", None)
            if isinstance(dims, list | tuple) and {first.axes[dim] for dim in dims} == {"h", "w"}:
                return self._pooled(node, evenly=True)
        if called == "flatten":
            ends = _argument(node, 1, "start_dim", 0), _argument(node, 2, "end_dim", -1)
            if ends == (1, -1):
                return self._pooled(node, evenly=False)
        if called in ("view", "reshape"):
            return self._reshaped(node, first)
        if called in ("permute", "transpose"):
            return self._permuted(node, first)
        if called in ("chunk", "split"):
            dim = _argument(node, 2, "dim", 0)
            if isinstance(dim, int) and first.axes[dim] == "c":
                return _Parts(first)
        if called == "getitem" and _cuts_channels(node.args[1], first.axes):
            return first
        if called == "linear" and first.axes.endswith("c"):
            return first
        if called == "pad":
            sides = _argument(node, 1, "pad", ())
            if first.axes == "nchw" and len(sides) <= 4 and all(type(i) is int for i in sides):
                left, right, top, bottom = (*sides, 0, 0, 0, 0)[:4]
                return self._slid(node, first, *_padded(left, right, top, bottom))
        if called == "conv2d" and first.axes == "nchw":
            return self._convolved(node, first)
        raise self._unknown(node)

    def _met(self, node: fx.Node, maps: list[_Map], pooled: list[_Pooled]) -> _Map:
        """Return the map in which each pixel depends on the same pixel of several."""
        if any(it.axes != maps[0].axes for it in maps):
            raise self._unknown(node)
        for it in pooled:
            if not it.evenly:
                raise Unknown(f"what {it.by} does depends on the size of the image")
        whole = next((it.whole for it in maps if it.whole), pooled[0].by if pooled else None)
        layers = tuple(dict.fromkeys(it.layer for it in maps))
        if len(layers) == 1:
            return replace(maps[0], whole=whole)
        self.layers.append(Layer(node.name, layers))
        return _Map(len(self.layers) - 1, maps[0].axes, whole)

    def _slid(
        self,
        node: fx.Node,
        source: _Map,
        windows: tuple[Window, Window],
        of_ones: Callable[[Tensor], Tensor] | None,
    ) -> _Map:
        self.layers.append(Layer(node.name, (source.layer,), windows, of_ones))
        return replace(source, layer=len(self.layers) - 1)

    def _pooled(self, node: fx.Node, *, evenly: bool) -> _Pooled:
        source = node.all_input_nodes[0]
        return _Pooled(frozenset({source}), self._path(node), evenly)

    def _reshaped(self, node: fx.Node, source: _Map) -> _State:
        sizes = node.args[1:]
        if len(sizes) == 1 and isinstance(sizes[0], list | tuple):
            sizes = tuple(sizes[0])
        axes = ""
        for size in sizes:
            known = self.states.get(size) if isinstance(size, fx.Node) else None
            if isinstance(known, _Shape) and len(known.axes) == 1:
                axes += known.axes
            else:
                axes += "c" if axes else "n"
        if _merged(axes) == _merged(source.axes):
            return replace(source, axes=axes)
        if axes == "nc":
            return self._pooled(node, evenly=False)
        raise self._unknown(node)

    def _permuted(self, node: fx.Node, source: _Map) -> _Map:
        axes = list(source.axes)
        if _called(node) == "transpose":
            one, other = (_argument(node, at, f"dim{at - 1}", 0) for at in (1, 2))
            axes[one], axes[other] = axes[other], axes[one]
            return replace(source, axes="".join(axes))
        dims = _argument(node, 1, "dims", None)
        order: Any = dims if isinstance(dims, list | tuple) else node.args[1:]
        return replace(source, axes="".join(axes[dim] for dim in order))

    def _convolved(self, node: fx.Node, source: _Map) -> _Map:
        """Return what a convolution makes that is no module, but a function of a parameter."""
        weight = _argument(node, 1, "weight", None)
        if not isinstance(weight, fx.Node) or weight.op != "get_attr":
            raise self._unknown(node)
        kernel = operator.attrgetter(str(weight.target))(self.root).shape[2:]
        stride, padding, dilation = (
            _argument(node, at, name, default)
            for at, name, default in ((3, "stride", 1), (4, "padding", 0), (5, "dilation", 1))
        )
        return self._slid(node, source, *_sliding(tuple(kernel), stride, padding, dilation))

    def _path(self, node: fx.Node) -> str:
        """Return the path of a module, and of a function that of the module that calls it."""
        if node.op == "placeholder":
            return "input"
        if node.op == "call_module":
            path = str(node.target)
        else:
            path = next(reversed(node.meta.get("nn_module_stack", [""])))
        return path.removeprefix("network").removeprefix(".") or node.name

    def _unknown(self, node: fx.Node, module: nn.Module | None = None) -> Unknown:
        if module is not None and node.op == "call_module":
            what = f"{type(module).__name__} ({self._path(node)})"
        else:
            what = f"the {'method' if node.op == 'call_method' else 'function'} {node.name}"
        return Unknown(f"the reach of {what} is not known")


def _windows(
    module: nn.Module,
) -> tuple[tuple[Window, Window], Callable[[Tensor], Tensor]] | None:
    """Return the windows of a module along both axes, and what it makes of one channel."""
    if isinstance(module, nn.Conv2d):
        return _sliding(module.kernel_size, module.stride, module.padding, module.dilation)
    if isinstance(module, nn.MaxPool2d | nn.AvgPool2d | nn.LPPool2d):
        stride = module.stride or module.kernel_size
        padding, dilation = getattr(module, "padding", 0), getattr(module, "dilation", 1)
        return _sliding(module.kernel_size, stride, padding, dilation)
    if isinstance(module, nn.ConvTranspose2d):
        kernel, dilation = _pair(module.kernel_size), _pair(module.dilation)
        stride, padding = _pair(module.stride), _pair(cast(tuple[int, ...], module.padding))
        of_ones: Callable[[Tensor], Tensor] = partial(
            functional.conv_transpose2d,
            weight=_ones(kernel),
            stride=stride,
            padding=padding,
            output_padding=module.output_padding,
            dilation=dilation,
        )
        return _each(_transposed, kernel, stride, padding, dilation), of_ones
    if isinstance(module, _ConstantPadNd | _ReflectionPadNd | _ReplicationPadNd):
        return _padded(*module.padding) if len(module.padding) == 4 else None
    if isinstance(module, nn.PixelUnshuffle):
        return _sliding(module.downscale_factor, module.downscale_factor, 0, 1)
    if isinstance(module, nn.PixelShuffle):
        factors = _pair(module.upscale_factor)
        return _each(_nearest, factors), partial(functional.interpolate, scale_factor=factors)
    if isinstance(module, nn.Upsample) and not module.align_corners and module.scale_factor:
        scale = module.scale_factor
        given = scale if isinstance(scale, tuple) else (scale, scale)
        taps = {"nearest": _nearest, "nearest-exact": _nearest, "bilinear": _bilinear}
        # With a fraction the phases of outputs would depend on the image's size.
        if module.mode not in taps or any(factor != int(factor) for factor in given):
            return None
        factors = _pair(tuple(int(factor) for factor in given))
        of_ones = partial(functional.interpolate, scale_factor=factors, mode=module.mode)
        return _each(taps[module.mode], factors), of_ones
    return None


def _sliding(
    kernel: int | tuple[int, ...],
    stride: int | tuple[int, ...],
    padding: int | str | tuple[int, ...],
    dilation: int | tuple[int, ...],
) -> tuple[tuple[Window, Window], Callable[[Tensor], Tensor]]:
    """Return the windows of a convolution or a pooling, and what it makes of one channel."""
    kernel, stride, dilation = _pair(kernel), _pair(stride), _pair(dilation)
    if isinstance(padding, str):
        # An odd pixel of "same" goes below and right.
        spans = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
        before = (0, 0) if padding == "valid" else (spans[0] // 2, spans[1] // 2)
    else:
        padding = before = _pair(padding)
    of_ones: Callable[[Tensor], Tensor] = partial(
        functional.conv2d, weight=_ones(kernel), stride=stride, padding=padding, dilation=dilation
    )
    return _each(_window, kernel, stride, before, dilation), of_ones


def _window(kernel: int, stride: int, padding: int, dilation: int) -> Window:
    """Return the window of a sliding kernel; `padding` is what stands before the map."""
    return Window((tuple(dilation * tap - padding for tap in range(kernel)),), stride)


def _transposed(kernel: int, stride: int, padding: int, dilation: int) -> Window:
    """Return the window of a transposed convolution: input i reaches i·stride - padding + taps."""
    offsets: list[list[int]] = [[] for _ in range(stride)]
    for phase in range(stride):
        for tap in range(kernel):
            source, rest = divmod(phase + padding - dilation * tap, stride)
            if rest == 0:
                offsets[phase].append(source)
    return Window(tuple(map(tuple, offsets)))


def _nearest(factor: int) -> Window:
    return Window(((0,),) * factor)


def _bilinear(factor: int) -> Window:
    """Return the window of linear interpolation in which corners of pixels stay where they are."""
    offsets = []
    for phase in range(factor):
        below, rest = divmod(2 * phase + 1 - factor, 2 * factor)
        offsets.append((below, below + 1) if rest else (below,))
    return Window(tuple(offsets))


def _padded(
    left: int, right: int, top: int, bottom: int
) -> tuple[tuple[Window, Window], Callable[[Tensor], Tensor]]:
    """Return what padding does, whatever stands there: it moves the map."""
    of_ones = partial(functional.pad, pad=(left, right, top, bottom))
    return (Window(((-top,),)), Window(((-left,),))), of_ones


def _each(make: Callable[..., Window], *settings: tuple[int, ...]) -> tuple[Window, Window]:
    """Return a window for each axis, of settings that are each for both."""
    rows, columns = zip(*settings, strict=True)
    return make(*rows), make(*columns)


def _ones(kernel: tuple[int, ...]) -> Tensor:
    return torch.ones(1, 1, *kernel, dtype=torch.float64)


def _pair(sides: int | tuple[int, ...]) -> tuple[int, int]:
    return (sides, sides) if isinstance(sides, int) else (sides[0], sides[-1])


def _until(root: nn.Module, graph: fx.Graph, end: fx.Node) -> nn.Module:
    """Return a module that returns what the node `end` of a graph makes."""
    values: dict[fx.Node, fx.Node] = {}
    part = fx.Graph()
    for node in graph.nodes:
        values[node] = part.node_copy(node, values.__getitem__)
        if node is end:
            break
    part.output(values[end])
    return fx.GraphModule(root, part)


def _entry(shape: _Shape, node: fx.Node) -> _Shape | None:
    """Return an entry of a shape, or a part of it; None for what is computed of one."""
    if _called(node) != "getitem" or not isinstance(node.args[1], int | slice):
        return None
    return _Shape(shape.axes[node.args[1]])


def _cuts_channels(index: Any, axes: str) -> bool:
    """Return whether an index is such as x[:, a:b], which leaves every pixel in its place."""
    cuts = index if isinstance(index, tuple) else (index,)
    return len(cuts) <= len(axes) and all(
        isinstance(cut, slice) and (axis in "nc" or cut == slice(None))
        for cut, axis in zip(cuts, axes, strict=False)
    )


def _merged(axes: str) -> str:
    """Return axes with neighbouring ones of channels made one."""
    while "cc" in axes:
        axes = axes.replace("cc", "c")
    return axes


def _called(node: fx.Node) -> str:
    """Return the name of the function or method that a node calls."""
    return str(getattr(node.target, "__name__", node.target))


def _argument(node: fx.Node, at: int, name: str, default: Any) -> Any:
    return node.args[at] if len(node.args) > at else node.kwargs.get(name, default)


def _without_tensors(options: dict[str, Any]) -> dict[str, Any]:
    """Return the options of a function that its module has too."""
    left = {"input", "antialias", "return_indices", "weight", "bias"}
    return {name: value for name, value in options.items() if name not in left}
