"""Equality: whether two networks compute the same function once their weights are tied.

The first network's parameters are drawn at random and given to the second, and both see the same
random images, in float64 and in evaluation mode. Value: the largest absolute difference of their
outputs over the largest absolute output. Up to `TOLERANCE` they are the same function of those
parameters: rounding in float64 leaves 1e-16 an operation, some 1e-13 in a network of a hundred
layers, while functions that differ do so by much more than 1e-10 at random parameters.

Parameters are normal, with a variance of two over the fan-in (of a matrix or kernel) or of one (of
a vector), so that no layer is asleep, as those are that begin with a scale of zero, and the running
averages of batch normalisation are random too. Values that the networks come with do not matter.

Tied "in order": parameters by order of registration, and likewise the running averages. Where two
tensors differ in shape, but have as many rows and elements, values are taken in their order, as in
a 1x1 convolution and a linear layer. Anything else needs a `tie` (`compare`), or the figure is
invalid, as it is where a network cannot be run in float64 or puts out no single tensor.

Outputs of different shapes are not equal; there is no distance between them, and no value.

Detail: `equal`; `tolerance`; `tied`, how; `inputs`, of each pass; `shapes`, of the outputs of one
image. Not equal under one way of tying does not mean that no other would do.
"""

import copy
from collections.abc import Callable, Mapping
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

from ablate.records import Measurement

TITLE: Final = "Difference with tied weights"
UNIT: Final = ""
DIRECTION: Final = "none"
KIND: Final = "pair"

TOLERANCE: Final = 1e-10
INPUTS: Final = 4  # images

# From the first network's parameters and running averages by path to the second's.
Tie = Callable[[Mapping[str, Tensor]], Mapping[str, Tensor]]


class _Untied(ValueError):
    """Nothing can be said of two networks; the message says why."""


def measure(first: nn.Module, second: nn.Module, input_shape: tuple[int, int, int]) -> Measurement:
    """Return how far two networks are apart on (channels, height, width) images, tied in order."""
    return compare(first, second, input_shape)


def compare(
    first: nn.Module,
    second: nn.Module,
    input_shape: tuple[int, int, int],
    tie: Tie | None = None,
) -> Measurement:
    """Return how far two networks are apart whose weights are tied by a function.

    Args:
        first: any module of one image tensor; left as it was, like `second`.
        tie: given the first network's parameters and running averages by path, float64, returns
            all of the second's by path. None: in order.

    Raises:
        ValueError: what `tie` returns does not fit the second network.
    """
    detail: dict[str, Any] = {
        "equal": None,
        "tolerance": TOLERANCE,
        "tied": "in order" if tie is None else "as given",
        "inputs": INPUTS,
    }
    try:
        one, other = _ready(first, "first"), _ready(second, "second")
        generator = torch.Generator().manual_seed(0)
        state = _draw(one, generator)
        _give(other, _in_order(state, _state(other)) if tie is None else tie(state))
        images = torch.randn(
            INPUTS, *input_shape, generator=generator, dtype=torch.float64, device="cpu"
        )
        outputs = _output(one, images, "first"), _output(other, images, "second")
    except _Untied as error:
        return _measurement(None, {"invalid": str(error), **detail})
    detail["shapes"] = [list(output.shape[1:]) for output in outputs]
    if outputs[0].shape != outputs[1].shape:
        shapes = " and ".join("x".join(map(str, shape)) for shape in detail["shapes"])
        reason = f"the outputs differ in shape, {shapes}: the networks are not equal"
        return _measurement(None, {"invalid": reason, **detail, "equal": False})
    largest = max(float(output.abs().amax()) for output in outputs)
    if largest == 0:
        reason = "both put out nothing but zeros, which compares nothing"
        return _measurement(None, {"invalid": reason, **detail})
    value = float((outputs[0] - outputs[1]).abs().amax()) / largest
    return _measurement(value, {**detail, "equal": value <= TOLERANCE})


def _measurement(value: float | None, detail: dict[str, Any]) -> Measurement:
    return Measurement(value=value, unit=UNIT, title=TITLE, direction=DIRECTION, detail=detail)


def _ready(network: nn.Module, which: str) -> nn.Module:
    try:
        return copy.deepcopy(network).to(device="cpu", dtype=torch.float64).eval()
    except Exception as error:  # a module may refuse to be copied or converted in any way
        raise _Untied(f"the {which} network cannot be had in float64: {_line(error)}") from error


def _state(network: nn.Module) -> dict[str, Tensor]:
    """Return parameters, each once, and then the running averages of normalisations, by path."""
    averages = {
        f"{path}.{name}".removeprefix("."): tensor
        for path, module in network.named_modules()
        if isinstance(module, _NormBase)
        for name, tensor in (
            ("running_mean", module.running_mean),
            ("running_var", module.running_var),
        )
        if tensor is not None
    }
    return {**dict(network.named_parameters()), **averages}


def _draw(network: nn.Module, generator: torch.Generator) -> dict[str, Tensor]:
    """Give a network random parameters and averages, and return them."""
    state = _state(network)
    with torch.no_grad():
        for path, tensor in state.items():
            values = torch.randn(tensor.shape, generator=generator, dtype=torch.float64)
            if path.endswith("running_var"):
                values = values.square() + 0.5
            elif tensor.dim() > 1:
                values *= (2 * len(tensor) / tensor.numel()) ** 0.5
            tensor.copy_(values)
    return {path: tensor.detach().clone() for path, tensor in state.items()}


def _in_order(given: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return values for what is wanted out of those that are given, in their order.

    Raises:
        _Untied: there are not as many, or shapes do not allow it.
    """
    if len(given) != len(wanted):
        raise _Untied(
            f"weights cannot be tied in order: the first network has {len(given)} tensors of "
            f"parameters and running averages, the second {len(wanted)}"
        )
    tied = {}
    for (ours, values), (theirs, place) in zip(given.items(), wanted.items(), strict=True):
        rows = values.shape[:1] == place.shape[:1] and values.numel() == place.numel()
        if values.shape != place.shape and not rows:
            sizes = [_size(tensor) for tensor in (values, place)]
            raise _Untied(
                f"weights cannot be tied in order: {ours} of the first network is {sizes[0]}, "
                f"{theirs} of the second {sizes[1]}"
            )
        tied[theirs] = values.reshape(place.shape)
    return tied


def _give(network: nn.Module, values: Mapping[str, Tensor]) -> None:
    """Set all parameters and averages of a network.

    Raises:
        ValueError: some are missing, unknown or of another shape.
    """
    state = _state(network)
    if values.keys() != state.keys():
        missing, unknown = (
            sorted(state.keys() - values.keys()),
            sorted(values.keys() - state.keys()),
        )
        raise ValueError(
            f"the tie leaves out {missing or 'nothing'}, and {unknown or 'nothing'} "
            "is not in the second network"
        )
    with torch.no_grad():
        for path, tensor in state.items():
            if tensor.shape != values[path].shape:
                raise ValueError(
                    f"the tie gives {path} as {_size(values[path])}, and it is {_size(tensor)}"
                )
            tensor.copy_(values[path])


def _output(network: nn.Module, images: Tensor, which: str) -> Tensor:
    """Return what a network puts out, the same whenever it draws.

    Raises:
        _Untied: it does not take the images, or its output is no finite tensor.
    """
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(0)
            output = network(images.clone())  # which it may write to
    except Exception as error:  # a forward run can fail in every way there is
        raise _Untied(f"the {which} network cannot be run in float64: {_line(error)}") from error
    if not isinstance(output, Tensor):
        kind = type(output).__name__
        raise _Untied(f"the {which} network puts out a {kind}, and not one tensor")
    if not bool(output.isfinite().all()):
        raise _Untied(f"the {which} network puts out numbers that are not finite")
    return output


def _size(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "a single number"


def _line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
