"""Effective receptive field: the side of the square of pixels that really matter to one output.

Of the pixels in a receptive field those in the middle reach the output along many more paths, and
so matter more: their influence falls off like a Gaussian, and the part that counts grows with the
square root of the depth only (Luo, Li, Urtasun, Zemel 2016, "Understanding the effective receptive
field in deep convolutional neural networks", arXiv 1701.04128). Training may widen it.

    map = mean over inputs of Σ over input channels |d y / d x|

where y is the sum over channels of one output in the middle of the spatial part (the same outputs
as for the receptive field). The value is the square root of the number of pixels of the map above
4.55 % of its maximum, as much as a Gaussian leaves outside two standard deviations.

In evaluation mode, on 32 inputs of independent standard normal pixels, always the same ones of a
size; over other draws the value has a standard deviation of 0.1 to 0.3 px, for networks of 6 to 20
layers. The input is larger than the network's own where that cannot hold the receptive field and a
stride on all sides of it, so that nothing is cut off; by whole strides, so that all layers fit. It
is the network's own where the network takes no other, or where every output sees the whole image.

Detail: `above`, the number of pixels; `squares`, the sides of the smallest squares around the
field's middle that hold 20, 50 and 99 % of the map's sum; `receptive_field`, [height, width] of the
closed form; `ratio`, the value over the side of the square of the same area, None where every
output sees the whole image; `box`, [top, left] of the receptive field in the map, negative where it
reaches beyond; `input`, [height, width], and `enlarged`, whether that is more than the network's
own; `inputs`, their number; `at` as for the receptive field.

Array: `map`, float32, (height, width) of the input.
"""

import math
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from ablate.metrics import receptive_field
from ablate.metrics._spatial import Unknown
from ablate.metrics.receptive_field import Field
from ablate.records import Measurement

TITLE: Final = "Effective receptive field"
UNIT: Final = "px"
DIRECTION: Final = "none"
KIND: Final = "reading"

_INPUTS: Final = 32
_AT_ONCE: Final = 8  # so that large inputs fit into memory
_THRESHOLD: Final = 0.0455
_SHARES: Final = (20, 50, 99)


def measure(
    network: nn.Module, input_shape: tuple[int, int, int]
) -> tuple[Measurement, dict[str, NDArray[Any]]] | None:
    """Return the effective receptive field, and its map; None where no layer comes before it."""
    try:
        field = receptive_field.of(network)
    except Unknown as error:
        return _measurement(None, {"invalid": str(error)}), {}
    if field.spatial.end == 0:
        return None
    channels, *own = input_shape
    sides = own if field.spatial.whole else _enlarged(field, own)
    try:
        found = _map(field, network, channels, sides)
    except RuntimeError:
        if sides == own:
            raise
        sides = own  # something in the network has the size of its own input
        found = _map(field, network, channels, sides)
    influence, (top, left) = found
    height, width = field.size
    whole = field.spatial.whole is not None
    detail = {
        "receptive_field": [height, width],
        "box": [top, left],
        "input": sides,
        "enlarged": sides != own,
        "inputs": _INPUTS,
        "at": field.spatial.at,
    }
    largest = influence.max()
    if not 0 < largest < math.inf:
        what = "no pixel matters to the output" if largest == 0 else "the gradient is not finite"
        return _measurement(None, {"invalid": what, **detail}), {"map": influence}
    above = int((influence > _THRESHOLD * largest).sum())
    side = math.sqrt(above)
    middle = (top + (height - 1) / 2, left + (width - 1) / 2)
    squares = {str(share): _square(influence, middle, share / 100) for share in _SHARES}
    ratio = None if whole else side / math.sqrt(height * width)
    detail = {"above": above, "squares": squares, "ratio": ratio, **detail}
    return _measurement(side, detail), {"map": influence}


def _measurement(value: float | None, detail: dict[str, Any]) -> Measurement:
    return Measurement(value=value, unit=UNIT, title=TITLE, direction=DIRECTION, detail=detail)


def _enlarged(field: Field, own: list[int]) -> list[int]:
    """Return the sides of an input that holds the receptive field, whole strides larger."""
    wanted = [size + 2 * box.stride for size, box in zip(field.size, field.boxes, strict=True)]
    return [
        side + max(0, math.ceil((least - side) / box.stride)) * box.stride
        for side, least, box in zip(own, wanted, field.boxes, strict=True)
    ]


def _map(
    field: Field, network: nn.Module, channels: int, sides: list[int]
) -> tuple[NDArray[np.float32], tuple[int, int]]:
    """Return how much each pixel matters to the middle output, and where its field begins."""
    module = field.spatial.module()
    like = next(network.parameters(), torch.empty(0))
    generator = torch.Generator().manual_seed(0)
    total = torch.zeros(*sides, dtype=torch.float64)
    for _ in range(_INPUTS // _AT_ONCE):
        images = torch.randn(_AT_ONCE, channels, *sides, generator=generator)
        images = images.to(like).requires_grad_()
        with torch.enable_grad():
            outputs = module(images)
        middle = [
            min(max(receptive_field.middle(box, side), 0), count - 1)
            for box, side, count in zip(field.boxes, sides, outputs.shape[2:], strict=True)
        ]
        [gradient] = torch.autograd.grad(outputs[..., middle[0], middle[1]].sum(), images)
        total += gradient.detach().abs().double().sum((0, 1)).cpu()
    top, left = (min(box.taps(at)) for box, at in zip(field.boxes, middle, strict=True))
    return (total / _INPUTS).to(torch.float32).numpy(), (top, left)


def _square(influence: NDArray[np.float32], middle: tuple[float, float], share: float) -> int:
    """Return the side of the smallest square around a point that holds a share of the sum."""
    rows, columns = (
        np.abs(np.arange(count) - at) for count, at in zip(influence.shape, middle, strict=True)
    )
    sides = (2 * np.maximum.outer(rows, columns) + 1).astype(np.int64)
    held = np.bincount(sides.ravel(), weights=influence.ravel()).cumsum()
    return int(np.searchsorted(held, share * held[-1]))
