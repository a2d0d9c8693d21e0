"""MACs: multiply-accumulate operations of one image's forward pass, in evaluation mode.

Convolutions, linear layers and matrix products are counted; normalisation, activation, pooling,
interpolation and biases are not, since tools disagree on them (and on whether a MAC is one or two
"FLOPs"). Taps that fall on the padding count as work. A transposed convolution counts by its input.

Counted by fvcore, with a handle for convolutions whose padding is a word ("same", "valid"), which
fvcore counts as nothing. Torch's `FlopCounterMode`, which counts two operations for a MAC and hooks
in at another level, must come to the same total; otherwise the figure is invalid, as it is where a
counter cannot see inside an operation.

Detail: `by_operator`, MACs; `unsupported`, the calls of operations that fvcore does not know, which
are counted as nothing.
"""

import copy
import warnings
from collections import Counter
from typing import Any, Final

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from ablate.records import Measurement

TITLE: Final = "MACs"
UNIT: Final = "MAC"
DIRECTION: Final = "lower"
KIND: Final = "fact"

_MULTIPLY = {"conv", "linear", "addmm", "mm", "bmm", "matmul", "einsum"}


def measure(network: nn.Module, input_shape: tuple[int, int, int]) -> Measurement:
    """Return the MACs of one image of (channels, height, width)."""
    model = copy.deepcopy(network).eval()  # tracing in training mode would move running averages
    image = torch.zeros(1, *input_shape)
    with torch.no_grad():
        flops = FlopCounterMode(display=False)
        with flops:
            model(image)
        try:
            counted, unsupported = _fvcore(model, image)
        except (RuntimeError, TypeError) as error:  # the tracer met what it cannot trace
            reason = f"fvcore cannot trace the network: {' '.join(str(error).split())}"
            return _measurement(None, {"invalid": reason})
    by_operator = {name: int(n) for name, n in sorted(counted.items()) if name in _MULTIPLY}
    detail = {"by_operator": by_operator, "unsupported": dict(sorted(unsupported.items()))}
    total = sum(by_operator.values())
    if 2 * total != flops.get_total_flops():
        reason = (
            f"two counters disagree: fvcore counts {total:,} MACs, torch's FlopCounterMode "
            f"{flops.get_total_flops():,} FLOPs, which is not twice as many"
        )
        return _measurement(None, {"invalid": reason, **detail})
    return _measurement(total, detail)


def _measurement(value: int | None, detail: dict[str, Any]) -> Measurement:
    return Measurement(value=value, unit=UNIT, title=TITLE, direction=DIRECTION, detail=detail)


def _fvcore(model: nn.Module, image: torch.Tensor) -> tuple[Counter[str], Counter[str]]:
    """Return fvcore's counts by operator, and the operations it does not know."""
    with warnings.catch_warnings():
        # Importing fvcore compiles a loss with torch.jit.script, which torch 2.15 warns about.
        warnings.simplefilter("ignore")
        from fvcore.nn import FlopCountAnalysis
        from fvcore.nn.jit_handles import conv_flop_count, get_shape

    def named_padding(inputs: list[Any], outputs: list[Any]) -> Counter[str]:
        shapes = get_shape(inputs[0]), get_shape(inputs[1]), get_shape(outputs[0])
        return Counter(conv=conv_flop_count(*shapes))

    analysis = (
        FlopCountAnalysis(model, image)
        .set_op_handle("aten::_convolution_mode", named_padding)
        .unsupported_ops_warnings(False)  # they go into the detail
        .uncalled_modules_warnings(False)
        .tracer_warnings("none")
    )
    return analysis.by_operator(), analysis.unsupported_ops()
