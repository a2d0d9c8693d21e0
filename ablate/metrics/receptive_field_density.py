"""Receptive field density: the share of the receptive field that an output really looks at.

The receptive field is a box, and dilated kernels, or strides longer than their kernels, skip pixels
of it ("gridding": Wang et al. 2018, "Understanding convolution for semantic segmentation",
arXiv 1702.08502). Three 3x3 convolutions of dilation 2 see 49 of the 169 pixels of their 13x13 box,
and of dilations 1, 2 and 4 all 225 of 15x15. 1 where nothing is skipped.

Counted are the pixels at which the gradient of one output arrives when every weight is one, so that
nothing cancels (see `receptive_field`, which checks its box by it). What trained weights make of
those pixels is another matter: `effective_receptive_field`.

Detail: `touched`, the pixels looked at; `box`, those of the field's box; `height`, `width` and `at`
as for the receptive field. Invalid where that is.
"""

from typing import Any, Final

from torch import nn

from ablate.metrics import receptive_field
from ablate.metrics._spatial import Unknown
from ablate.records import Measurement

TITLE: Final = "Receptive field density"
UNIT: Final = ""
DIRECTION: Final = "none"
KIND: Final = "fact"


def measure(network: nn.Module, input_shape: tuple[int, int, int]) -> Measurement:
    """Return the share of the receptive field's pixels that one output looks at."""
    try:
        field, seen = receptive_field.checked(network)
    except Unknown as error:
        return _measurement(None, {"invalid": str(error)})
    detail = receptive_field.describe(field)
    if "invalid" in detail:
        return _measurement(None, {"invalid": detail["invalid"]})
    height, width = field.size
    touched = int(seen.sum())
    counts = {"touched": touched, "box": height * width}
    place = {name: detail[name] for name in ("height", "width", "at")}
    return _measurement(touched / (height * width), {**counts, **place})


def _measurement(value: float | None, detail: dict[str, Any]) -> Measurement:
    return Measurement(value=value, unit=UNIT, title=TITLE, direction=DIRECTION, detail=detail)
