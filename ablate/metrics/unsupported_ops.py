"""Uncounted operations: calls in one image's forward pass that MACs may miss.

fvcore, which counts MACs, counts an operation that it does not know as nothing. That is right for
most: elementwise operations, pooling, padding and moving of data multiply and accumulate nothing,
and interpolation, softmax and normalisation are none of what MACs are said to count. What is left
over is the value: calls of operations that are in none of these, so that nobody can say that they
cost nothing. 0 for a network of ordinary layers.

Which operations are elementwise is torch's own word (the tag `pointwise`); the rest is a list. A
network whose total `FlopCounterMode` confirms may have uncounted operations all the same, since it
does not know all either.

Invalid where fvcore cannot trace the network.

Detail: `unknown`, these calls by operation; `without_macs`, the calls of the others that fvcore
does not know, by operation.
"""

from typing import Any, Final

import torch
from torch import nn

from ablate.metrics import _count
from ablate.records import Measurement

TITLE: Final = "Uncounted operations"
UNIT: Final = ""
DIRECTION: Final = "none"
KIND: Final = "fact"

# Operations of torch that do none of what MACs count and that it does not tag as elementwise, less
# the underscore of those that work in place: elementwise, random, sums and extremes, pooling,
# normalisation and softmax, interpolation, moving of data.
_WITHOUT_MACS: Final = """
    hardswish hardtanh relu6 leaky_relu prelu glu selu celu log_sigmoid masked_fill fill zero clone
    dropout feature_dropout alpha_dropout feature_alpha_dropout bernoulli
    rand rand_like randn randn_like uniform normal
    mean sum prod amax amin min argmax argmin cumsum std var std_mean var_mean norm
    linalg_vector_norm linalg_norm frobenius_norm logsumexp topk sort argsort
    max_pool1d max_pool2d max_pool3d max_pool2d_with_indices max_unpool2d fractional_max_pool2d
    avg_pool1d avg_pool2d avg_pool3d
    adaptive_max_pool1d adaptive_max_pool2d adaptive_avg_pool1d adaptive_avg_pool3d
    softmax log_softmax rms_norm _weight_norm
    upsample_linear1d upsample_nearest1d upsample_bicubic2d _upsample_nearest_exact2d
    _upsample_bilinear2d_aa _upsample_bicubic2d_aa
    pixel_shuffle pixel_unshuffle channel_shuffle native_channel_shuffle im2col col2im unfold
    pad reflection_pad1d reflection_pad2d replication_pad1d replication_pad2d
    flip rot90 movedim swapaxes swapdims numpy_T unflatten expand_as view_as reshape_as
    broadcast_to repeat repeat_interleave tile tensor_split index_select masked_select take
    scatter scatter_add index_add alias diagonal as_strided embedding one_hot
    concat hstack vstack meshgrid linspace tril triu eye ones_like empty_like new_ones
    scalar_tensor lift_fresh numel
"""


def measure(network: nn.Module, input_shape: tuple[int, int, int]) -> Measurement:
    """Return how many calls MACs may miss in the pass of one (channels, height, width) image."""
    try:
        trace = _count.trace(network, input_shape)
    except _count.Untraceable as error:
        return _measurement(None, {"invalid": str(error)})
    unknown = {name: n for name, n in trace.unsupported.items() if not has_no_macs(name)}
    known = {name: n for name, n in trace.unsupported.items() if name not in unknown}
    return _measurement(sum(unknown.values()), {"unknown": unknown, "without_macs": known})


def has_no_macs(operation: str) -> bool:
    """Whether an operation of a TorchScript graph ("aten::silu_") does none of what MACs count."""
    namespace, _, name = operation.partition("::")
    if namespace != "aten":
        return False
    if name.rstrip("_") in _WITHOUT_MACS.split():
        return True
    operators = [getattr(torch.ops.aten, it, None) for it in (name, name.rstrip("_"))]
    return any(
        torch.Tag.pointwise in getattr(operator, overload).tags
        for operator in operators
        if operator is not None
        for overload in operator.overloads()
    )


def _measurement(value: int | None, detail: dict[str, Any]) -> Measurement:
    return Measurement(value=value, unit=UNIT, title=TITLE, direction=DIRECTION, detail=detail)
