"""Receptive field: the side of the square of input pixels that one output can see.

    r = 1 + Σ (kernel - 1) · dilation · jump,   jump = product of the strides before

over the layers of a path (Araujo, Norris, Sim 2019, "Computing receptive fields of convolutional
neural networks", Distill, doi:10.23915/distill.00021). Where paths meet, the field is the smallest
box around all of them, which is the largest one's where their centres agree. After something that
upsamples, outputs differ in what they see, and the one that sees most counts. It is the field on an
unbounded image: it may exceed the real one, and dilated kernels do not look at every pixel of it
(see the receptive field's density). Batch normalisation counts as elementwise, which it is in
evaluation mode.

The outputs are those of `features`, or of the last map of a network without such a child (the
docstring of `_spatial` says where it ends and how it is read); what comes after it, a global
pooling, sees the whole image and is left out. Where a pooling of all pixels leads back into the
map, as in squeeze-and-excitation, every output sees all of an image of any size. That is no number
of pixels, so the figure is invalid, and the detail says how far the rest sees.

Checked on every network: the same layers, with one channel and all weights one, are run in float64
on an image larger than the field. No contribution can cancel, so the gradient of an output in its
middle is positive at every pixel that it sees; the box around those must be the closed form's, or
the figure is invalid. It is also invalid where the reach of some module or function is not known.

Value: the longer side. Detail: `height` and `width`; `stride`, the pixels from one output to the
next, down and across; `at`, the path of the last module that counts; where every output sees the
whole image, `whole`, the path of what shows it to them.
"""

import math
import operator
from dataclasses import dataclass
from functools import reduce
from typing import Any, Final

import torch
from torch import Tensor, nn

from ablate.metrics import _count
from ablate.metrics._spatial import Spatial, Unknown, Window, read
from ablate.records import Measurement

TITLE: Final = "Receptive field"
UNIT: Final = "px"
DIRECTION: Final = "none"
KIND: Final = "fact"


@dataclass(frozen=True)
class Field:
    """What an output of the spatial part sees: boxes of the closed form, down and across.

    Each is a window of two offsets a phase, the first and the last input that is seen.
    """

    spatial: Spatial
    boxes: tuple[Window, Window]

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels, of the output that sees most."""
        rows, columns = (_widest(box)[1] for box in self.boxes)
        return rows, columns

    @property
    def stride(self) -> tuple[int | float, int | float]:
        """The pixels from one output to the next, down and across."""
        rows, columns = (_quotient(box.stride, len(box.offsets)) for box in self.boxes)
        return rows, columns


def measure(network: nn.Module, input_shape: tuple[int, int, int]) -> Measurement:
    """Return the receptive field of the network's spatial part, in pixels of its input."""
    try:
        field, _ = checked(network)
    except Unknown as error:
        return _measurement(None, {"invalid": str(error)})
    detail = describe(field)
    return _measurement(None if "invalid" in detail else max(field.size), detail)


def checked(network: nn.Module) -> tuple[Field, Tensor]:
    """Return the receptive field and which of its pixels are seen, as `touched` says.

    Raises:
        Unknown: it cannot be worked out, or two methods disagree.
    """

    def both() -> tuple[Field, Tensor]:
        field = of(network)
        return field, touched(field)

    return _count.remembered(both, "receptive field", network)


def of(network: nn.Module) -> Field:
    """Return the receptive field by the closed form.

    Raises:
        Unknown: it cannot be worked out.
    """
    spatial = read(network)
    boxes = [(Window(((0, 0),)), Window(((0, 0),)))]  # of the image itself
    for layer in spatial.layers[1:]:
        met = [_around([boxes[source][axis] for source in layer.sources]) for axis in (0, 1)]
        if None in met:
            raise Unknown(f"paths of different resolution meet at {layer.name}")
        rows, columns = (
            _through(box, window) for box, window in zip(met, layer.windows, strict=True) if box
        )
        boxes.append((rows, columns))
    field = Field(spatial, boxes[spatial.end])
    if 0 in field.size:
        raise Unknown("no output depends on any pixel")
    return field


def describe(field: Field) -> dict[str, Any]:
    """Return a field as a measurement's detail, with the reason where it is no figure."""
    height, width = field.size
    detail: dict[str, Any] = {
        "height": height,
        "width": width,
        "stride": list(field.stride),
        "at": field.spatial.at,
    }
    whole = field.spatial.whole
    if whole is None:
        return detail
    reason = (
        f"every output sees the whole image, through {whole}; "
        f"without that, {height}x{width} pixels of it"
    )
    return {"invalid": reason, **detail, "whole": whole}


def touched(field: Field) -> Tensor:
    """Return which pixels of its field an output sees: bool, (height, width) of the field.

    Raises:
        Unknown: they are not those of the closed form.
    """
    # Room for the field and for whole strides around it, so that nothing is cut off at a border.
    sides = [size + 4 * box.stride for size, box in zip(field.size, field.boxes, strict=True)]
    image = torch.zeros(1, 1, *sides, dtype=torch.float64, requires_grad=True)
    values = [image]
    with torch.enable_grad():
        for layer in field.spatial.layers[1 : field.spatial.end + 1]:
            # Paths may differ by a last row or column, which no output in the middle sees.
            rows, columns = (min(values[i].shape[axis] for i in layer.sources) for axis in (2, 3))
            met = reduce(operator.add, (values[i][..., :rows, :columns] for i in layer.sources))
            values.append(met if layer.of_ones is None else layer.of_ones(met))
    row, column = (middle(box, side) for box, side in zip(field.boxes, sides, strict=True))
    [gradient] = torch.autograd.grad(values[-1][0, 0, row, column], image)
    seen = gradient[0, 0] > 0
    top, left = (min(box.taps(at)) for box, at in zip(field.boxes, (row, column), strict=True))
    height, width = field.size
    found = [_extent(seen.any(1)), _extent(seen.any(0))]
    if found != [(top, top + height), (left, left + width)]:
        tall, wide = (end - begin for begin, end in found)
        shifted = ", elsewhere" if (tall, wide) == (height, width) else ""
        raise Unknown(
            f"two methods disagree: the closed form gives {height}x{width} pixels, "
            f"the gradient of ones {tall}x{wide}{shifted}"
        )
    return seen[top : top + height, left : left + width]


def middle(box: Window, side: int) -> int:
    """Return the output that sees most of an image's middle; `side` is that of the image."""
    phase, size = _widest(box)
    first = min(box.offsets[phase])
    return round(((side - size) / 2 - first) / box.stride) * len(box.offsets) + phase


def _measurement(value: int | None, detail: dict[str, Any]) -> Measurement:
    return Measurement(value=value, unit=UNIT, title=TITLE, direction=DIRECTION, detail=detail)


def _around(boxes: list[Window]) -> Window | None:
    """Return the box around what several paths see; None where their resolutions differ."""
    count = math.lcm(*(len(box.offsets) for box in boxes))
    strides = {box.stride * count // len(box.offsets) for box in boxes}
    if len(strides) > 1:
        return None
    return Window(
        tuple(_hull([tap for box in boxes for tap in box.taps(output)]) for output in range(count)),
        strides.pop(),
    )


def _through(box: Window, window: Window) -> Window:
    """Return what the outputs of a window see, of what its inputs see."""
    # After so many periods of the window its inputs are in the same phase again.
    periods = len(box.offsets) // math.gcd(len(box.offsets), window.stride)
    seen = [
        _hull([tap for source in window.taps(output) for tap in box.taps(source)])
        for output in range(periods * len(window.offsets))
    ]
    return Window(tuple(seen), box.stride * window.stride * periods // len(box.offsets))


def _hull(taps: list[int]) -> tuple[int, ...]:
    return (min(taps), max(taps)) if taps else ()


def _widest(box: Window) -> tuple[int, int]:
    """Return the phase of outputs that sees most, and how many pixels that are."""
    sizes = [offsets[-1] - offsets[0] + 1 if offsets else 0 for offsets in box.offsets]
    return sizes.index(max(sizes)), max(sizes)


def _extent(seen: Tensor) -> tuple[int, int]:
    """Return where the true entries begin and end; (0, 0) where there are none."""
    places = seen.nonzero()
    return (int(places.min()), int(places.max()) + 1) if len(places) else (0, 0)


def _quotient(above: int, below: int) -> int | float:
    return above // below if above % below == 0 else above / below
