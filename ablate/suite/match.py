"""Matched budgets: what a variant must have more or less of to cost what the baseline costs.

* `params` and `macs` solve for the width, or for another number of the network that the suite names
  (its *knob*), at which parameters or multiply-accumulates agree;
* `compute` solves for the epochs after which as many training FLOPs were spent.

Parameters and MACs are counted on the meta device, which computes shapes and no values, so that a
candidate costs milliseconds. They go in steps (channels are whole numbers, and multiples of what
groups ask for), need not rise with the knob, and not every value of it need give a network (groups
must divide the channels). So values are scanned from small to large; wherever the budget passes
the target, bisection finds the step at which it does, and the nearer side of it is the solution.
Where that is not near enough, values all over the range are tried before it is said that none is.
"""

import copy
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, partial
from itertools import pairwise
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd
from torch.utils.flop_counter import FlopCounterMode

from ablate import catalog, components
from ablate.components import Network
from ablate.metrics import flops_train
from ablate.suite import dotted
from ablate.suite.source import Loc

Shape = tuple[int, int, int]
Budget = Literal["params", "macs"]

KNOB = "network.width"  # scales all channels of a network
WIDEST = 2.0**14
_FINEST = 1e-3  # of a knob that need not be whole
_PAST = 4  # times the target, where whole numbers are not tried further
_IDLE = 64  # whole numbers that change nothing
_PARTS = 32  # into which what lies between two scanned values is divided, where none will do


class Unreachable(ValueError):
    """Nothing brings the budget within the tolerance; the message names the nearest budgets."""


@dataclass(frozen=True)
class Solution:
    """The number that was solved for, and how near it comes: `residual` is budget / target - 1."""

    value: float
    residual: float


def budget(network: Mapping[str, Any], kind: Budget, shape: Shape, outputs: int) -> int:
    """Count the parameters of a network, or its multiply-accumulates for one input (c, h, w).

    MACs are those of convolutions and matrix products, as in `metrics/macs.py`.

    Raises:
        Unreachable: it cannot be built or run without values.
    """
    try:
        built = _build(network, shape, outputs)
        return _params(built) if kind == "params" else _macs(built, shape)
    except Exception as error:  # somebody's network can fail in every way there is
        raise Unreachable(f"its {kind} cannot be counted: {_line(error)}") from error


def solve(
    network: Mapping[str, Any],
    kind: Budget,
    target: int,
    tolerance: float,
    shape: Shape,
    outputs: int,
    knob: str = KNOB,
) -> Solution:
    """Find the value of a knob at which a network's budget comes nearest to the target.

    Args:
        network: the component, spelt out.
        kind: which budget.
        target: what it is to be.
        tolerance: the largest share of the target by which it may be off.
        shape: (c, h, w) of an input.
        outputs: of the network.
        knob: the path of a number. One that is an integer now takes whole numbers from 1 on; else
            it takes any above 0.

    Raises:
        Unreachable: the network has no such knob, or the nearest budget is out of tolerance.
    """
    loc, name = dotted.parse(knob)[1:], knob.removeprefix("network.")
    is_whole = _is_whole(network, loc, name, kind)
    if not target:
        raise Unreachable(f"what it is compared with has no {kind} to match")

    def at(value: float) -> dict[str, Any]:
        return put(network, loc, value)

    def in_full(value: float) -> int:
        return budget(at(value), kind, shape, outputs)

    def once(count: Callable[[float], int]) -> Callable[[float], int]:
        return _once_for_channels(count, network) if knob == KNOB else count

    if kind == "macs":
        quickly = _quick_macs(lambda value: _build(at(value), shape, outputs), shape)
        with suppress(Unreachable):
            found = _nearest(once(quickly), is_whole, target, tolerance, name, kind)
            if quickly(found.value) == in_full(found.value):
                return found
    return _nearest(once(in_full), is_whole, target, tolerance, name, kind)


def training_flops(network: nn.Module, shape: Shape) -> int:
    """Count the training FLOPs of one image (c, h, w), as `metrics/flops_train.py` does.

    Raises:
        Unreachable: the figure is invalid, or nothing is trained.
    """
    try:
        found = flops_train.measure(network, shape)
    except Exception as error:  # somebody's network can fail in every way there is
        raise Unreachable(f"training FLOPs cannot be counted: {_line(error)}") from error
    if found.value is None:
        raise Unreachable(f"training FLOPs are invalid: {found.detail['invalid']}")
    if found.value <= found.detail["forward"]:  # no backward pass
        raise Unreachable("nothing is trained, so there is no compute to match")
    return int(found.value)


def solve_epochs(each: int, target: int, tolerance: float) -> Solution:
    """Find the number of epochs whose training FLOPs come nearest to the target.

    Args:
        each: the FLOPs of one epoch.
        target: the FLOPs of the whole training of what it is compared with.
        tolerance: the largest share of the target by which it may be off.

    Raises:
        Unreachable: the nearest is out of tolerance.
    """
    fewer = target // each
    near = [Solution(n, n * each / target - 1) for n in (fewer, fewer + 1) if n]
    best = min(near, key=lambda one: abs(one.residual))
    if abs(best.residual) > tolerance:
        nearest = " and ".join(
            f"{one.value} {'epoch' if one.value == 1 else 'epochs'} ({one.residual:+.1%})"
            for one in near
        )
        raise Unreachable(
            f"no whole number of epochs comes within {tolerance:.1%} of {target:,} training FLOPs; "
            f"the nearest: {nearest}; {_instead('compute', best.residual)}"
        )
    return best


def put(tree: Mapping[str, Any], loc: Loc, value: float) -> dict[str, Any]:
    """Return a configuration, or a part of one, with another number at a place that there is."""
    changed: dict[str, Any] = {**tree}
    inner: Any = changed
    for step in loc[:-1]:
        inner[step] = copy.copy(inner[step])
        inner = inner[step]
    inner[loc[-1]] = value
    return changed


# --- counting -------------------------------------------------------------------------------------


def _build(network: Mapping[str, Any], shape: Shape, outputs: int) -> nn.Module:
    with torch.device("meta"):
        built: nn.Module = catalog.build("networks", network, "family", shape, outputs)
    return built


def _params(built: nn.Module) -> int:
    return sum(parameter.numel() for parameter in built.parameters())


def _macs(built: nn.Module, shape: Shape) -> int:
    for module in built.modules():
        if type(module) is nn.BatchNorm2d:  # slow without values; it has no products and no shape
            module.forward = _unchanged  # type: ignore[assignment,method-assign]
    with torch.device("meta"), FlopCounterMode(display=False) as counter, torch.no_grad():
        built.eval()(torch.empty(1, *shape))
    return int(counter.get_total_flops()) // 2  # it counts a multiply-add as two


def _unchanged(x: Tensor) -> Tensor:
    return x


def _quick_macs(build: Callable[[float], nn.Module], shape: Shape) -> Callable[[float], int]:
    """Return what counts the MACs at a value of the knob, mostly without a forward pass.

    Each weight of a convolution or a linear layer is multiplied once at every position. How many
    positions there are does not depend on channels, so one pass tells it for all widths. It is made
    again where there are other layers, and every time where products outside of layers count.
    """
    positions: Counter[str] = Counter()

    def count(value: float) -> int:
        built = build(value)
        layers = {
            path: module
            for path, module in built.named_modules()
            if isinstance(module, _ConvNd | nn.Linear)
        }
        if layers and positions.keys() == layers.keys():
            return _by_positions(layers, positions)
        positions.clear()
        for path, layer in layers.items():
            layer.register_forward_hook(partial(_note, positions, path), with_kwargs=True)
        found = _macs(built, shape)
        if found != _by_positions(layers, positions):
            positions.clear()
        return found

    return count


def _once_for_channels(
    count: Callable[[float], int], network: Mapping[str, Any]
) -> Callable[[float], int]:
    """Return a count by width that counts no network twice: many widths round to one.

    As it was where the network's family does not say the channels that a width gives.
    """
    component = Network.model_validate(network)
    family = catalog.load(component.room, components.name_of(component))
    if not hasattr(family, "channels"):
        return count
    options = components.options_of(component)
    counts: dict[tuple[int, ...], int] = {}

    def counted(width: float) -> int:
        channels = tuple(family.channels(**(options | {"width": width})))
        if channels not in counts:
            counts[channels] = count(width)
        return counts[channels]

    return counted


def _by_positions(layers: Mapping[str, _ConvNd | nn.Linear], positions: Mapping[str, int]) -> int:
    return sum(layer.weight.numel() * positions.get(path, 0) for path, layer in layers.items())


def _note(
    positions: "Counter[str]",
    path: str,
    layer: _ConvNd | nn.Linear,
    inputs: tuple[Any, ...],
    named: dict[str, Any],
    output: Tensor,
) -> None:
    """Note at how many positions a layer is applied, as a forward hook does it."""
    image = output
    if isinstance(layer, _ConvTransposeNd):  # its weights meet every pixel of the input
        image = inputs[0] if inputs else named["input"]
    channels = image.shape[-1] if isinstance(layer, nn.Linear) else image.shape[1]
    positions[path] += image.numel() // channels


# --- searching ------------------------------------------------------------------------------------


def _is_whole(network: Mapping[str, Any], loc: Loc, name: str, kind: Budget) -> bool:
    """Return whether a knob takes whole numbers alone.

    Raises:
        Unreachable: the network has no such knob, or it is no number.
    """
    try:
        present = dotted.get(network, loc)
    except dotted.PathError as error:
        if len(loc) > 1:
            raise Unreachable(f"there is no {name} to match {kind} with: {error}") from None
        raise Unreachable(
            f"the network family {network['family']!r} has no option {name!r} to match {kind} with"
        ) from None
    if isinstance(present, bool) or not isinstance(present, int | float | None):
        raise Unreachable(f"{name} is no number to match {kind} with")
    return isinstance(present, int) and name != "width"


def _nearest(
    count: Callable[[float], int],
    is_whole: bool,
    target: int,
    tolerance: float,
    name: str,
    kind: Budget,
) -> Solution:
    """Return the value at which the count is nearest to the target.

    Raises:
        Unreachable: it is out of tolerance, or no value can be counted.
    """
    reasons: list[str] = []

    @cache
    def at(value: float) -> int | None:
        try:
            return count(value)
        except Exception as error:
            reasons.append(str(error) if isinstance(error, Unreachable) else _line(error))
            return None

    def known(value: float) -> int:
        found = at(value)
        assert found is not None  # only such values are kept
        return found

    def off(value: float) -> int:
        return abs(known(value) - target)

    seen = list(_scanned(at, is_whole, target))
    if reasons and not is_whole:  # perhaps only some whole numbers will do
        seen = sorted({*seen, *_scanned(at, True, target)})
    if not any(value for value, _ in seen):
        raise Unreachable(f"{reasons[-1]} (with every {name} that was tried)")
    stretches = [
        (low, high, at_low < target)
        for (low, at_low), (high, at_high) in pairwise(seen)
        if (at_low < target) != (at_high < target)
    ]
    steps = [_step(at, *stretch, is_whole, target) for stretch in stretches]
    ends = [value for step in steps for value in step if value > 0]
    ends += [value for value, _ in seen if value > 0]
    best = min(ends, key=off)
    if off(best) > tolerance * target and stretches:
        # Either nothing is nearer, or the budget goes up and down on the way.
        pairs = pairwise(value for value, _ in seen)
        tried = [value for pair in pairs for value in _between(*pair, is_whole)]
        ends += [value for value in tried if at(value) is not None]
        best = min(ends, key=off)
    residual = known(best) / target - 1
    if abs(residual) <= tolerance:
        return Solution(_short(best, at, is_whole), residual)
    sides = [[e for e in ends if known(e) < target], [e for e in ends if known(e) > target]]
    if not all(sides):
        than = "fewer" if known(best) < target else "more"
        raise Unreachable(
            f"even at {name} {_short(best, at, is_whole):g} it has {known(best):,} {kind}, {than} "
            f"than {target:,}; leave this match out"
        )
    nearest = " and ".join(
        f"{known(value):,} ({name} {_short(value, at, is_whole):g})"
        for value in (min(side, key=off) for side in sides)
    )
    raise Unreachable(
        f"no {name} brings it within {tolerance:.1%} of {target:,} {kind}; "
        f"the nearest: {nearest}; {_instead(kind, residual)}"
    )


def _scanned(
    at: Callable[[float], int | None], is_whole: bool, target: int
) -> Iterator[tuple[float, int]]:
    """Yield values with their counts from small to large, until these rise past the target.

    Those that cannot be counted are left out. Whole numbers are tried one by one at first, since
    few may be possible (divisors, say), and until they rise well past it or change nothing any
    more. Others double, after 0 with nothing to count and 8, since few networks are narrower.
    """
    before = None if is_whole else 0
    idle = 0
    if not is_whole:
        yield 0.0, 0
    value: float = 1 if is_whole else 8.0
    while value <= WIDEST and idle < _IDLE:
        found = at(value)
        idle = idle + 1 if found in (None, before) else 0
        if found is not None:
            yield value, found
            rises = before is not None and before < found
            if rises and found >= (_PAST * target if is_whole else target):
                return
            before = found
        value = value + max(1, value // 32) if is_whole else 2 * value


def _step(
    at: Callable[[float], int | None],
    low: float,
    high: float,
    rises: bool,
    is_whole: bool,
    target: int,
) -> tuple[float, float]:
    """Return neighbouring values between which the count passes the target.

    They are as near as can be, or as long as all values in the middle can be counted.

    Args:
        at: the count at a value.
        low, high: values on the two sides of the target.
        rises: whether the count at `low` is the smaller one.
        is_whole: whether values are whole numbers.
        target: to be passed.
    """
    while high - low > (1 if is_whole else _FINEST):
        middle = (low + high) // 2 if is_whole else (low + high) / 2
        found = at(middle)
        if found is None:
            break
        low, high = (middle, high) if (found < target) == rises else (low, middle)
    return low, high


def _between(low: float, high: float, is_whole: bool) -> list[float]:
    """Return values all over a stretch, rising, without its ends."""
    inner = [low + (high - low) * part / _PARTS for part in range(1, _PARTS)]
    return sorted({int(value) for value in inner} - {low}) if is_whole else inner


def _short(value: float, at: Callable[[float], int | None], is_whole: bool) -> float:
    """Return the value with the fewest decimals that gives the same count."""
    if is_whole:
        return int(value)
    for decimals in range(4):
        rounded = round(value, decimals)
        if rounded > 0 and at(rounded) == at(value):
            return rounded
    return value


# --- words ----------------------------------------------------------------------------------------


def _instead(kind: str, residual: float) -> str:
    """Say what to do where the nearest budget is off by so much."""
    enough = math.floor(abs(residual) * 100) + 1  # the next whole percentage
    if enough >= 50:  # which no tolerance may be
        return "leave this match out"
    return f"widen the tolerance, for example match: {{{kind}: {enough}%}}, or leave this match out"


def _line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
