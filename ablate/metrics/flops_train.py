"""Training FLOPs: floating point operations of one image's forward and backward, in training mode.

A multiply-accumulate is two. What counts is what counts for MACs: convolutions, linear layers and
matrix products, and of the backward pass the gradients of their weights and inputs. A gradient
costs what the forward costs, so a layer costs three times its forward, and twice where its input
needs no gradient, as that of the first layer. The update of the parameters does not count, nor does
the loss; the backward begins at all outputs that need a gradient. Auxiliary heads that run in
training only (GoogLeNet, Inception) count: it may be more than three times the MACs.

Counted by torch's `FlopCounterMode` with its formula for the backward of a convolution replaced:
that one counts the gradient of a grouped convolution's weight once for each group, 66 times the
forward for a depthwise layer of 64 channels. Proof: the closed forms of the convolutional and
linear layers, with the gradients that arrive at them, and three times the forward of products
outside of layers, whose operands both need a gradient, must come to the same; else the figure is
invalid.

Shapes decide it, so it runs on the meta device, which computes nothing, where the network can run
there. Batch normalisation of a single pixel needs two images; they are counted and halved.

Detail: `forward`, FLOPs in training mode; `ratio`, all to forward; `by_layer`, `forward` and
`training` FLOPs by the path of the layer; `elsewhere`, the same of products outside of layers;
`batch`.
"""

import copy
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from ablate.metrics import _count
from ablate.records import Measurement

TITLE: Final = "Training FLOPs"
UNIT: Final = "FLOP"
DIRECTION: Final = "lower"
KIND: Final = "fact"


def measure(network: nn.Module, input_shape: tuple[int, int, int]) -> Measurement:
    """Return the FLOPs of a training step for each image of (channels, height, width)."""
    for copied in (_on_meta, copy.deepcopy):
        for batch in (1, 2):
            try:
                forward, training, calls = _run(copied(network), input_shape, batch)
            except Exception:  # a network can fail in every way there is, and once more for good
                if (copied, batch) == (copy.deepcopy, 2):
                    raise
            else:
                return _figure(forward, training, calls, batch)
    raise AssertionError("unreachable")


def _run(
    model: nn.Module, input_shape: tuple[int, int, int], batch: int
) -> tuple[int, int, list[_count.Call]]:
    """Return the FLOPs of forward, of forward and backward, and the calls of layers."""
    model.train()
    calls = _count.watch(model)
    images = _count.image(model, input_shape, batch)
    with _count.as_written(), torch.enable_grad(), _count.flop_counter() as counter:
        outputs = tree_leaves(model(images))
        forward = counter.get_total_flops()
        ends = [it for it in outputs if isinstance(it, Tensor) and it.requires_grad]
        if ends:  # none where all parameters are frozen
            torch.autograd.backward(ends, [torch.ones_like(end) for end in ends])
    return forward, counter.get_total_flops(), calls


def _figure(forward: int, training: int, calls: list[_count.Call], batch: int) -> Measurement:
    by_layer: dict[str, dict[str, int]] = {}
    for call in calls:
        flops = 2 * call.macs // batch
        layer = by_layer.setdefault(call.path, {"forward": 0, "training": 0})
        layer["forward"] += flops
        layer["training"] += flops * (1 + call.gradients)
    forward, training = forward // batch, training // batch
    elsewhere = forward - sum(layer["forward"] for layer in by_layer.values())
    expected = 3 * elsewhere + sum(layer["training"] for layer in by_layer.values())
    detail: dict[str, Any] = {
        "forward": forward,
        "ratio": training / forward if forward else None,
        "by_layer": by_layer,
        "elsewhere": {"forward": elsewhere, "training": 3 * elsewhere},
        "batch": batch,
    }
    if training != expected:
        detail["invalid"] = (
            f"two counters disagree: torch's FlopCounterMode counts {training:,} FLOPs, the closed "
            f"forms of its layers and three times the forward of other products come to "
            f"{expected:,}"
        )
    return Measurement(
        value=training if training == expected else None,
        unit=UNIT,
        title=TITLE,
        direction=DIRECTION,
        detail=detail,
    )


def _on_meta(network: nn.Module) -> nn.Module:
    """Return a copy whose parameters and buffers have shapes and no values."""
    parameters = {
        id(it): nn.Parameter(torch.empty_like(it, device="meta"), it.requires_grad)
        for it in network.parameters()
    }
    buffers = {id(it): torch.empty_like(it, device="meta") for it in network.buffers()}
    return copy.deepcopy(network, {**parameters, **buffers})
