"""How operations are counted, in three ways that look at different levels.

* fvcore reads the graph that TorchScript traces, with handles for what it does not know by itself:
  convolutions whose padding is a word, broadcast and batched products, attention.
* Torch's `FlopCounterMode` sees the calls that arrive at the kernels, two FLOPs for a
  multiply-accumulate. Its formula for the backward of a convolution is replaced: that one counts
  the gradient of a grouped convolution's weight once for each group.
* Closed forms, from the shapes that convolutional and linear layers meet. They do not see products
  outside of such layers, but need no tracer.

An error of one is unlikely to be repeated by another. All run modules as they are written: without
compilation, without the fused kernels of attention, which hide products or repeat them.
"""

import copy
import math
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd
from torch.utils.flop_counter import FlopCounterMode, conv_flop_count

T = TypeVar("T")

# What fvcore calls the operations that multiply and accumulate; its other rules are estimates.
PRODUCTS = (
    *("conv", "linear", "addmm", "mm", "bmm", "baddbmm", "matmul", "mv", "dot", "einsum"),
    "attention",
)


class Untraceable(ValueError):
    """fvcore cannot trace a network; the message says why."""


@dataclass(frozen=True)
class Trace:
    """What fvcore makes of a forward pass."""

    by_operator: dict[str, int]  # everything that it has a rule for, sorted
    macs_by_layer: dict[str, int]  # `PRODUCTS` alone, by the path of the module that calls them
    unsupported: dict[str, int]  # calls of operations that it has no rule for, sorted

    @property
    def macs(self) -> dict[str, int]:
        """Multiply-accumulates by operator."""
        return {name: n for name, n in self.by_operator.items() if name in PRODUCTS}

    @property
    def foreign(self) -> str:
        """The names of operations that are not torch's own, which no counter sees into."""
        # A Python function (prim::PythonOp) is made of torch's own operations.
        own = ("aten::", "prim::")
        return ", ".join(name for name in self.unsupported if not name.startswith(own))


@dataclass
class Call:
    """One call of a convolutional or linear layer."""

    path: str
    operator: str  # "conv" or "linear"
    macs: int  # of all images together
    gradients: int = 0  # that the backward pass works out: of the weight, of the input


def image(network: nn.Module, input_shape: tuple[int, int, int], batch: int = 1) -> Tensor:
    """Return black images (batch, channels, height, width) where the network's parameters are."""
    like = next((p for p in network.parameters() if p.is_floating_point()), torch.empty(0))
    return torch.zeros(batch, *input_shape, device=like.device, dtype=like.dtype)


@contextmanager
def as_written() -> Iterator[None]:
    """Let modules run as they are written, and leave torch's global state as it was."""
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with (
            warnings.catch_warnings(),
            torch.random.fork_rng(devices=[]),
            torch.compiler.set_stance("force_eager"),
            sdpa_kernel(SDPBackend.MATH),
        ):
            # The counter's hooks are for all modules, and are seen twice by one that is compiled.
            warnings.filterwarnings("ignore", message="Using `torch.compile")
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)


@contextmanager
def once() -> Iterator[None]:
    """Let what several facts share be found once for a network, which they leave as it is.

    Outside of this nothing is remembered: a network that was changed is counted anew.
    """
    global _counted
    _counted = {}
    try:
        yield
    finally:
        _counted = None


_counted: dict[tuple[Any, ...], Any] | None = None


def remembered(count: Callable[[], T], *key: Any) -> T:
    """Return what `count` does, within `once` that of its first call with the same key."""
    if _counted is None:
        return count()
    if key not in _counted:
        _counted[key] = count()
    found: T = _counted[key]
    return found


def forward(network: nn.Module, input_shape: tuple[int, int, int]) -> tuple[int, list[Call]]:
    """Return the FLOPs of one image's forward pass in evaluation mode, and its layers' calls.

    The FLOPs are counted by `FlopCounterMode`, those of the layers by closed forms.
    """
    return remembered(lambda: _forward(network, input_shape), "forward", network, input_shape)


def _forward(network: nn.Module, input_shape: tuple[int, int, int]) -> tuple[int, list[Call]]:
    model = copy.deepcopy(network).eval()
    calls = watch(model)
    with as_written(), torch.no_grad(), flop_counter() as counter:
        model(image(model, input_shape))
    return counter.get_total_flops(), calls


def trace(network: nn.Module, input_shape: tuple[int, int, int]) -> Trace:
    """Return what fvcore makes of one image's forward pass in evaluation mode.

    Raises:
        Untraceable: fvcore cannot trace the network, or one of its rules does not fit.
    """
    return remembered(lambda: _trace(network, input_shape), "trace", network, input_shape)


def _trace(network: nn.Module, input_shape: tuple[int, int, int]) -> Trace:
    with warnings.catch_warnings():
        # Importing fvcore compiles a loss with torch.jit.script, which torch 2.15 warns about.
        warnings.simplefilter("ignore")
        from fvcore.nn import FlopCountAnalysis
    model = copy.deepcopy(network).eval()  # tracing in training mode would move running averages
    analysis = (
        FlopCountAnalysis(model, image(model, input_shape))
        .set_op_handle(**_HANDLES)
        .unsupported_ops_warnings(False)  # they are returned
        .uncalled_modules_warnings(False)
        .tracer_warnings("none")
    )
    try:
        with as_written(), torch.no_grad():
            by_module = analysis.by_module_and_operator()
    except Exception as error:  # a tracer can fail in every way there is
        reason = " ".join(str(error).split()) or type(error).__name__
        raise Untraceable(f"fvcore cannot trace the network: {reason}") from error
    # fvcore gives each module what is below it too.
    below = {path: int(sum(n[name] for name in PRODUCTS)) for path, n in by_module.items()}
    own = dict(below)
    for path, macs in below.items():
        if path:
            own[path.rpartition(".")[0]] -= macs
    return Trace(
        {name: int(n) for name, n in sorted(by_module[""].items())},
        {path: macs for path, macs in own.items() if macs},
        dict(sorted(analysis.unsupported_ops().items())),
    )


def disagreement(macs: int, flops: int, counted: str = "fvcore counts") -> str:
    """Return the sentence that a counter and `FlopCounterMode` do not agree."""
    return (
        f"two counters disagree: {counted} {macs:,} MACs, torch's FlopCounterMode "
        f"{flops:,} FLOPs, which is not twice as many"
    )


def flop_counter() -> FlopCounterMode:
    """Return torch's counter, mended, and with products that it counts as nothing."""
    aten = torch.ops.aten
    mended: dict[Any, Callable[..., int]] = {
        aten.convolution_backward: _convolution_backward,
        aten.mv: _mv,
        aten.addmv: _addmv,
        aten.dot: _dot,
        aten.vdot: _dot,
        aten.addbmm: _addbmm,
        aten.mkldnn_rnn_layer: _recurrence,
    }
    return FlopCounterMode(display=False, custom_mapping=mended)


def watch(model: nn.Module) -> list[Call]:
    """Return a list to which each call of a layer of the model is appended from now on.

    The hooks stay: a model to be watched is a copy. How many gradients a call needs is known after
    the backward pass.
    """
    calls: list[Call] = []
    for path, module in model.named_modules():
        if isinstance(module, _ConvNd | nn.Linear):
            module.register_forward_hook(partial(_note, calls, path), with_kwargs=True)
    return calls


def _note(
    calls: list[Call],
    path: str,
    layer: _ConvNd | nn.Linear,
    inputs: tuple[Any, ...],
    named: dict[str, Any],
    output: Any,
) -> None:
    """Append a call, as a forward hook does it."""
    given = inputs[0] if inputs else named["input"]
    if isinstance(layer, nn.Linear):
        call = Call(path, "linear", output.numel() * layer.in_features)
    else:
        taps = math.prod(layer.kernel_size)
        if isinstance(layer, _ConvTransposeNd):  # every input is spread over a group's outputs
            macs = given.numel() * (layer.out_channels // layer.groups) * taps
        else:  # every output is gathered from a group's inputs
            macs = output.numel() * (layer.in_channels // layer.groups) * taps
        call = Call(path, "conv", macs)
    calls.append(call)
    if output.requires_grad:
        # A parametrised weight is a parameter of a child.
        weight = any(p.requires_grad for name, p in layer.named_parameters() if name != "bias")
        needed = int(weight) + int(given.requires_grad)
        # Where no gradient arrives, none is worked out.
        output.register_hook(lambda gradient: setattr(call, "gradients", needed))


def _convolution_backward(
    output: Sequence[int], x: Sequence[int], weight: Sequence[int], *arguments: Any, **named: Any
) -> int:
    """Count the backward of a convolution: a gradient costs what the forward costs."""
    transposed, wanted = arguments[4], arguments[7]  # …, output padding, groups, which gradients
    one = conv_flop_count(list(x), list(weight), list(output), transposed)
    return one * (int(wanted[0]) + int(wanted[1]))


def _mv(matrix: Sequence[int], vector: Sequence[int], *others: Any, **named: Any) -> int:
    return 2 * math.prod(matrix)


def _addmv(bias: Any, matrix: Sequence[int], *others: Any, **named: Any) -> int:
    return 2 * math.prod(matrix)


def _dot(vector: Sequence[int], *others: Any, **named: Any) -> int:
    return 2 * math.prod(vector)


def _addbmm(bias: Any, first: Sequence[int], second: Sequence[int], **named: Any) -> int:
    return 2 * math.prod(first) * second[-1]


def _recurrence(
    x: Sequence[int], of_input: Sequence[int], of_state: Sequence[int], *others: Any, **named: Any
) -> int:
    """Count a layer of an LSTM, of (steps, batch, features) and its two matrices."""
    return 2 * math.prod(x[:-1]) * (math.prod(of_input) + math.prod(of_state))


def _shapes(values: Sequence[Any]) -> list[list[int]]:
    """Return the shapes of traced tensors."""
    return [list(value.type().sizes()) for value in values]


def _named_padding(inputs: Sequence[Any], outputs: Sequence[Any]) -> "Counter[str]":
    weight, output = _shapes([inputs[1], outputs[0]])
    return Counter(conv=math.prod(output) * math.prod(weight[1:]))


def _matmul(inputs: Sequence[Any], outputs: Sequence[Any]) -> "Counter[str]":
    first, output = _shapes([inputs[0], outputs[0]])
    return Counter(matmul=math.prod(output) * first[-1])


def _baddbmm(inputs: Sequence[Any], outputs: Sequence[Any]) -> "Counter[str]":
    first, second = _shapes(inputs[1:3])
    return Counter(baddbmm=math.prod(first) * second[-1])


def _matrix_vector(inputs: Sequence[Any], outputs: Sequence[Any]) -> "Counter[str]":
    return Counter(mv=math.prod(_shapes(inputs[:1])[0]))


def _bias_matrix_vector(inputs: Sequence[Any], outputs: Sequence[Any]) -> "Counter[str]":
    return Counter(mv=math.prod(_shapes(inputs[1:2])[0]))


def _vectors(inputs: Sequence[Any], outputs: Sequence[Any]) -> "Counter[str]":
    return Counter(dot=math.prod(_shapes(inputs[:1])[0]))


def _attention(inputs: Sequence[Any], outputs: Sequence[Any]) -> "Counter[str]":
    query, key, value = _shapes(inputs[:3])
    output = _shapes(outputs[:1])[0]
    weights = math.prod(output[:-1]) * key[-2]  # of all heads, a number for each query and key
    return Counter(attention=weights * (query[-1] + value[-1]))


def _einsum(inputs: Sequence[Any], outputs: Sequence[Any]) -> "Counter[str]":
    """Count the products of two operands; those of more depend on their order."""
    given, found, result = inputs[0].toIValue().replace(" ", "").partition("->")
    terms = given.split(",")
    if len(terms) != 2 or not found or "." in given:
        raise NotImplementedError(f"einsum {given}{found}{result}")
    first, second = (set(term) for term in terms)
    sizes: dict[str, int] = {}
    for term, shape in zip(terms, _shapes(list(inputs[1].node().inputs())), strict=True):
        sizes.update(zip(term, shape, strict=True))
    if first & second <= set(result):  # nothing is accumulated
        return Counter(einsum=0)
    # What only one operand has and the result has not is summed before the product.
    together = (first & second) | set(result)
    return Counter(einsum=math.prod(sizes[axis] for axis in together))


_HANDLES = {
    "aten::_convolution_mode": _named_padding,
    "aten::matmul": _matmul,
    "aten::baddbmm": _baddbmm,
    "aten::addbmm": _baddbmm,
    "aten::mv": _matrix_vector,
    "aten::addmv": _bias_matrix_vector,
    "aten::dot": _vectors,
    "aten::vdot": _vectors,
    "aten::scaled_dot_product_attention": _attention,
    "aten::einsum": _einsum,
}
