"""The layers of a network that enlarge or reduce: found by running it, then measured on their own.

What changes the resolution is told by shapes and not by names. A copy of the network is run once; a
module that takes one map (n, c, h, w) and gives one is then asked on its own how many more pixels
it gives for so many more. The innermost such modules are layers. What gives a map of one size
whatever it takes, or a single pixel, has no lattice and is none.

Layers are run away from their network, on inputs of their own, in evaluation mode, with parameters
drawn anew: what is found follows from how they are built and initialised, not from what they have
learnt.
"""

import copy
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final, Literal

import torch
from torch import Tensor, nn

from ablate import networks
from ablate.metrics import _count
from ablate.records import Measurement

INITIALISATIONS: Final = 20

# Pixels of the finer grid left out at each border, where padding shows.
_EDGE: Final = 8
# Periods of the lattice that are left at least.
_LEAST: Final = 4
# Pixels by which an input is made larger to see what that does to the output, times what a module
# seems to reduce by: a number that has many divisors.
_MORE: Final = 12


class NoLattice(ValueError):
    """The lattice of a layer cannot be measured; the message says which layer and why."""


@dataclass(frozen=True)
class Layer:
    """A module that takes `channels` channels and changes the resolution by `stride`.

    The stride, of rows and columns, is the period of the lattice on the finer grid: outputs for
    each input of a layer that enlarges, inputs for each output of one that reduces.
    """

    path: str
    module: nn.Module
    channels: int
    stride: tuple[int, int]
    enlarges: bool

    def initialised(self) -> Iterator[nn.Module]:
        """Yield one copy of the module as each of the initialisations leaves it.

        Raises:
            NoLattice: a parameter is set by no `reset_parameters`.
        """
        module = copy.deepcopy(self.module).eval().requires_grad_(False)
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(0)  # for modules that draw whenever they run
            for seed in range(INITIALISATIONS):
                try:
                    networks.initialise(module, seed)
                except RuntimeError as error:
                    raise NoLattice(f"{_named(self.path)}: {error}") from error
                yield module

    def sides(self, pixels: int) -> tuple[int, int]:
        """Return the height and width of inputs that leave `inner` about so many pixels a side."""
        rows, columns = (
            max(_LEAST, pixels // stride) + 2 * -(-_EDGE // stride) for stride in self.stride
        )
        if self.enlarges:
            return rows, columns
        return rows * self.stride[0], columns * self.stride[1]

    def inner(self, maps: Tensor) -> Tensor:
        """Return whole periods of maps (n, c, h, w) on the finer grid, away from the borders."""
        for axis, stride in zip((2, 3), self.stride, strict=True):
            edge = -(-_EDGE // stride) * stride
            periods = (maps.shape[axis] - 2 * edge) // stride
            if periods < 1:
                raise NoLattice(f"{_named(self.path)} loses too much at the borders")
            maps = maps.narrow(axis, edge, periods * stride)
        return maps


def enlarging(network: nn.Module, input_shape: tuple[int, int, int]) -> list[Layer]:
    """Return the innermost modules that enlarge and have parameters.

    A module that enlarges without parameters is part of the nearest one around it that has some and
    enlarges too, as an interpolation is of its block with the convolution after it; without such
    a one it is a layer by itself.

    Raises:
        NoLattice: a module enlarges by a factor that is no whole number.
    """
    return _layers(network, input_shape, "enlarges")


def reducing(network: nn.Module, input_shape: tuple[int, int, int]) -> list[Layer]:
    """Return the innermost modules that reduce the resolution, with or without parameters.

    Raises:
        NoLattice: a module reduces by a factor that is no whole number.
    """
    return _layers(network, input_shape, "reduces")


def of_worst(title: str, found: Mapping[str, tuple[Sequence[float], float]]) -> Measurement | None:
    """Return the measurement of the layer with the largest mean over the initialisations.

    Args:
        title: of the metric, which has no unit and is the better the lower.
        found: by path the value at each initialisation, and the value without any lattice. Where
            there is none, there is no measurement.
    """
    if not found:
        return None
    by_layer = {path: statistics.fmean(values) for path, (values, _) in found.items()}
    worst = max(by_layer, key=by_layer.__getitem__)
    values, null = found[worst]
    detail = {
        "by_layer": by_layer,
        "worst": worst,
        "values": list(values),
        "sd": statistics.stdev(values),
        "null": null,
    }
    return _measurement(title, by_layer[worst], detail)


def invalid(title: str, error: NoLattice) -> Measurement:
    """Return the measurement that is no figure, with the reason."""
    return _measurement(title, None, {"invalid": str(error)})


def _measurement(title: str, value: float | None, detail: dict[str, Any]) -> Measurement:
    return Measurement(value=value, unit="", title=title, direction="lower", detail=detail)


_How = Literal["enlarges", "reduces"]
_Shapes = Mapping[nn.Module, tuple[torch.Size, torch.Size]]


def _layers(network: nn.Module, input_shape: tuple[int, int, int], how: _How) -> list[Layer]:
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        model, shapes = _count.remembered(
            lambda: _run(network, input_shape), "resampling", network, input_shape
        )
        return _innermost(model, "", shapes, how)


def _run(network: nn.Module, input_shape: tuple[int, int, int]) -> tuple[nn.Module, _Shapes]:
    model = copy.deepcopy(network).eval()
    return model, _shapes(model, input_shape)


def _shapes(model: nn.Module, input_shape: tuple[int, int, int]) -> _Shapes:
    """Return the shapes of input and output of every module that makes a map of a map."""
    shapes: dict[nn.Module, tuple[torch.Size, torch.Size]] = {}

    def note(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        if len(inputs) == 1 and _is_map(inputs[0]) and _is_map(output):
            shapes.setdefault(module, (inputs[0].shape, output.shape))

    hooks = [module.register_forward_hook(note) for module in model.modules()]
    model(torch.zeros(1, *input_shape))
    for hook in hooks:
        hook.remove()
    return shapes


def _is_map(value: Any) -> bool:
    return isinstance(value, Tensor) and value.ndim == 4


def _innermost(module: nn.Module, path: str, shapes: _Shapes, how: _How) -> list[Layer]:
    """Return the layers of a module: those of its children or, if they have none, itself."""
    found: dict[nn.Module, Layer] = {}  # each once, though it be used twice
    for name, child in module.named_children():
        for layer in _innermost(child, f"{path}.{name}".removeprefix("."), shapes, how):
            found.setdefault(layer.module, layer)
    parts = how == "enlarges" and _has_parameters(module) and not any(map(_has_parameters, found))
    if (parts or not found) and module in shapes:
        stride = _stride(module, path, *shapes[module], how)
        if stride is not None:
            return [Layer(path, module, shapes[module][0][1], stride, how == "enlarges")]
    return list(found.values())


def _has_parameters(module: nn.Module) -> bool:
    return next(module.parameters(), None) is not None


def _stride(
    module: nn.Module, path: str, given: torch.Size, returned: torch.Size, how: _How
) -> tuple[int, int] | None:
    """Return by what a module enlarges or reduces; None where it does not."""
    sides = list(zip(given[2:], returned[2:], strict=True))
    changed = [after > before if how == "enlarges" else after < before for before, after in sides]
    if not any(changed) or returned[2:] == (1, 1):
        return None
    more = [_MORE * max(1, round(before / after)) for before, after in sides]
    larger = torch.zeros(1, given[1], given[2] + more[0], given[3] + more[1])
    try:
        grown = module(larger).shape[2:]
    except Exception:  # a forward run on another size can fail in every way there is
        return None
    gained = [after - before for before, after in zip(returned[2:], grown, strict=True)]
    if 0 in gained:
        return None
    factors = [Fraction(to, by) for to, by in zip(gained, more, strict=True)]
    if how == "reduces":
        factors = [1 / factor for factor in factors]
    if max(factors) <= 1:  # what changed the size was padding, or the want of it
        return None
    if any(factor.denominator != 1 for factor in factors):
        by = " x ".join(f"{float(factor):g}" for factor in factors)
        raise NoLattice(f"{_named(path)} {how} by {by}: its lattice has no period of whole pixels")
    return factors[0].numerator, factors[1].numerator


def _named(path: str) -> str:
    return path or "the network"
