"""MACs: multiply-accumulate operations of one image's forward pass, in evaluation mode.

Convolutions, linear layers and matrix products (with those of attention) are counted;
normalisation, activation, pooling, interpolation and biases are not, since tools disagree on them
(and on whether a MAC is one or two "FLOPs"). Taps that fall on the padding count as work. A
transposed convolution counts by its input.

Counted by fvcore, with handles for what it counts as nothing (convolutions whose padding is a word,
attention) or in part. Torch's `FlopCounterMode`, which counts two operations for a MAC and hooks in
at another level, must come to the same total. Where fvcore cannot trace the network, or does not
agree, the closed forms of its convolutional and linear layers are taken, if they do agree. The
figure is invalid if neither does, and if the network calls an operation of a library that no
counter sees into. A compiled network is counted uncompiled.

Detail: `counted_by`, "fvcore" or "closed forms"; `by_operator`, MACs; `by_layer`, MACs by the path
of the module that calls the operation (the network's own is empty; a shared module is under its
first path); `unsupported`, the calls of operations that fvcore does not know, which are counted as
nothing (`unsupported_ops` says which of them might matter); `not_fvcore`, why the closed forms were
taken.
"""

from collections import Counter
from typing import Any, Final

from torch import nn

from ablate.metrics import _count
from ablate.records import Measurement

TITLE: Final = "MACs"
UNIT: Final = "MAC"
DIRECTION: Final = "lower"
KIND: Final = "fact"


def measure(network: nn.Module, input_shape: tuple[int, int, int]) -> Measurement:
    """Return the MACs of one image of (channels, height, width)."""
    flops, calls = _count.forward(network, input_shape)
    detail: dict[str, Any] = {}
    try:
        trace = _count.trace(network, input_shape)
    except _count.Untraceable as error:
        reason = str(error)
    else:
        total = sum(trace.macs.values())
        detail = {
            "by_operator": trace.macs,
            "by_layer": trace.macs_by_layer,
            "unsupported": trace.unsupported,
        }
        if trace.foreign:
            reason = f"no counter sees into {trace.foreign}"
            return _measurement(None, {"invalid": reason, **detail})
        if 2 * total == flops:
            return _measurement(total, {"counted_by": "fvcore", **detail})
        reason = _count.disagreement(total, flops)
    by_operator: Counter[str] = Counter()
    by_layer: Counter[str] = Counter()
    for call in calls:
        by_operator[call.operator] += call.macs
        by_layer[call.path] += call.macs
    total = by_operator.total()
    if 2 * total != flops:
        closed = "the closed forms of its layers come to"
        if detail:
            reason += f"; {closed} {total:,} MACs"
        else:
            reason += f"; and {_count.disagreement(total, flops, closed)}"
        return _measurement(None, {"invalid": reason, **detail})
    return _measurement(
        total,
        {
            "counted_by": "closed forms",
            "by_operator": dict(by_operator),
            "by_layer": dict(by_layer),
            "not_fvcore": reason,
        },
    )


def _measurement(value: int | None, detail: dict[str, Any]) -> Measurement:
    return Measurement(value=value, unit=UNIT, title=TITLE, direction=DIRECTION, detail=detail)
