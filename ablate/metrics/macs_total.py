"""MACs with norms: fvcore's total of one image's forward pass, in evaluation mode.

To the MACs of convolutions and products come fvcore's estimates of other operations: of every
element batch normalisation counts 2 (1 without scale and shift), group, layer and instance
normalisation 5 (4), nearest interpolation 1 and bilinear 4 an output, adaptive average pooling 1 an
input. Activations, other pooling and additions count nothing.

A secondary figure, for comparison with what is published as fvcore's "flops". It must not be
compared across norms (the rules differ without the work doing so) or across activations (none
counts, a sigmoid or a ReLU), nor be the ground of a claim: that is `macs`.

Invalid where fvcore cannot trace the network, or where its count of convolutions and products is
not half of what torch's `FlopCounterMode` counts.

Detail: `by_operator`, fvcore's count.
"""

from typing import Any, Final

from torch import nn

from ablate.metrics import _count
from ablate.records import Measurement

TITLE: Final = "MACs with norms"
UNIT: Final = "MAC"
DIRECTION: Final = "lower"
KIND: Final = "fact"


def measure(network: nn.Module, input_shape: tuple[int, int, int]) -> Measurement:
    """Return fvcore's total of one image of (channels, height, width)."""
    flops, _ = _count.forward(network, input_shape)
    try:
        trace = _count.trace(network, input_shape)
    except _count.Untraceable as error:
        return _measurement(None, {"invalid": str(error)})
    detail = {"by_operator": trace.by_operator}
    macs = sum(trace.macs.values())
    if trace.foreign:
        return _measurement(None, {"invalid": f"no counter sees into {trace.foreign}", **detail})
    if 2 * macs != flops:
        return _measurement(None, {"invalid": _count.disagreement(macs, flops), **detail})
    return _measurement(sum(trace.by_operator.values()), detail)


def _measurement(value: int | None, detail: dict[str, Any]) -> Measurement:
    return Measurement(value=value, unit=UNIT, title=TITLE, direction=DIRECTION, detail=detail)
