"""Activation memory: what one more image in the batch makes the forward pass keep for the backward.

Counted are the tensors that autograd saves in a forward pass in training mode, in fp32 on the CPU,
up to the network's output: each storage once, however many operations save it or a part of it. The
images themselves count, since the first convolution saves them; parameters and buffers do not, as
they are there anyway. A storage counts for the layer that saves it first, so an activation often
for the layer after the one that computes it. Nothing is saved for a backward pass that nobody asks
for: a network without parameters needs 0 B.

It is the difference between a batch of three and one of two, so that what does not grow with the
batch (the mean and scale of each channel that batch normalisation saves) is left out exactly. It is
no peak of memory: gradients, parameters, optimizer states and work space come on top.

Method: hooks on saved tensors (`torch.autograd.graph.saved_tensors_hooks`), run on real tensors.

Detail: `by_layer`, bytes an image by the layer's path (of a function, that of the module that calls
it; the network's own is empty); `fixed`, the bytes that are saved once for a batch of any size;
`batches`.
"""

import copy
from collections import Counter
from typing import Any, Final

import torch
from torch import Tensor, nn

from ablate.records import Measurement

TITLE: Final = "Activation memory"
UNIT: Final = "B"
DIRECTION: Final = "lower"
KIND: Final = "fact"

# Of one image batch normalisation cannot work out a variance where it meets a single pixel.
_BATCHES: Final = (2, 3)


def measure(network: nn.Module, input_shape: tuple[int, int, int]) -> Measurement:
    """Return the bytes saved for the backward pass for each image of (channels, height, width)."""
    small, large = _BATCHES
    before, after = (_saved(network, input_shape, batch) for batch in _BATCHES)
    by_layer = {path: after[path] - before[path] for path in after if after[path] > before[path]}
    total = sum(by_layer.values())
    return Measurement(
        value=total,
        unit=UNIT,
        title=TITLE,
        direction=DIRECTION,
        detail={
            "by_layer": by_layer,
            "fixed": before.total() - small * total,
            "batches": [small, large],
        },
    )


def _saved(network: nn.Module, input_shape: tuple[int, int, int], batch: int) -> Counter[str]:
    """Return the bytes that a forward pass saves, by the layer that saves them first."""
    model = copy.deepcopy(network).train()  # which moves running averages
    owned = {t.untyped_storage().data_ptr() for t in (*model.parameters(), *model.buffers())}
    kept: dict[int, torch.UntypedStorage] = {}  # alive, so that no address is used again
    by_layer: Counter[str] = Counter()
    running: list[str] = []

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        address = storage.data_ptr()
        if address not in owned and address not in kept:
            kept[address] = storage
            by_layer[running[-1]] += storage.nbytes()
        return tensor

    def unpack(tensor: Tensor) -> Tensor:
        return tensor

    for path, module in model.named_modules():

        def enter(module: nn.Module, inputs: Any, path: str = path) -> None:
            running.append(path)

        def leave(module: nn.Module, inputs: Any, outputs: Any) -> None:
            running.pop()

        module.register_forward_pre_hook(enter)
        module.register_forward_hook(leave)
    with (
        torch.random.fork_rng(devices=[]),
        torch.enable_grad(),
        torch.autograd.graph.saved_tensors_hooks(keep, unpack),
    ):
        torch.default_generator.manual_seed(0)  # for layers that drop at random
        model(torch.zeros(batch, *input_shape))
    return by_layer
