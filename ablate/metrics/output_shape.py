"""Output shape: what comes out of a network for one image, in evaluation mode.

Value: the number of elements. Detail: `channels`; `height` and `width` where the output is a map;
`shape`, all of its sides. So a claim may count `output_shape.height`. Invalid where a network puts
out no single tensor.
"""

import copy
from typing import Any, Final

import torch
from torch import Tensor, nn

from ablate.records import Measurement

TITLE: Final = "Output"
UNIT: Final = ""
DIRECTION: Final = "none"
KIND: Final = "fact"


def measure(network: nn.Module, input_shape: tuple[int, int, int]) -> Measurement:
    """Return the elements of the output for one image of (channels, height, width)."""
    tensors = (*network.parameters(), *network.buffers())
    # Another set of modules on the same tensors: in evaluation mode none of these is written to.
    twin = copy.deepcopy(network, {id(tensor): tensor for tensor in tensors}).eval()
    with torch.no_grad():
        output = twin(torch.zeros(1, *input_shape))
    if not isinstance(output, Tensor):
        kind = type(output).__name__
        return _measurement(None, {"invalid": f"the network puts out a {kind}, not one tensor"})
    shape = list(output.shape[1:])
    sides = zip(("channels", "height", "width"), shape, strict=False)
    return _measurement(output[0].numel(), {**dict(sides), "shape": shape})


def _measurement(value: int | None, detail: dict[str, Any]) -> Measurement:
    return Measurement(value=value, unit=UNIT, title=TITLE, direction=DIRECTION, detail=detail)
