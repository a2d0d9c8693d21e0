"""Training memory: the peak of memory in one training step, above what was there before it.

A step is what a network costs in `train/loop.py`, whatever its task: a forward pass in training
mode, the backward pass, a step of SGD with momentum (fused), and gradients are let go. Part of the
peak are all activations that the backward pass needs, gradients of activations and of parameters,
the output, and the work space of kernels. Not part of it is what is there before: `weights`,
`inputs` and the optimizer's momentum, which is given apart too (`optimizer`, mostly as large as the
parameters). What training needs is the sum of the four, and the programs it loads. In the loop
gradients of parameters live on into the next forward pass, which may add as much again as the
optimizer at most.

The gradient that the backward pass begins with is that of the mean of squared outputs, worked out
as such: what a loss itself keeps is the task's. The learning rate is 0, so that weights stay finite
however many rounds there are. A network without parameters has nothing to go back to: its step is a
forward pass.

This is another figure than `activation_memory`, the bytes saved for the backward pass, which is
counted for fp32 and follows from the structure: of a batch, that times the images less the inputs
is a lower bound of the peak in fp32.

How it is measured, how exact that is and what a second count of it (`tensors`) says: `_peak.py`.
`peak` has a value for each round; they differ by less than 5 % where it is more than 5 MiB. Take
their median.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn

from ablate.metrics import _peak

TITLE: Final = "Training memory"
UNIT: Final = "B"
DIRECTION: Final = "lower"
KIND: Final = "pass"
ALONE: Final = True  # each network is measured in a process of its own


def measure(
    networks: Sequence[nn.Module],
    input_shape: tuple[int, int, int],
    setting: Mapping[str, Any],
    rounds: int,
) -> "dict[str, np.ndarray[Any, Any]]":
    """Measure one network, in a process that does nothing else; its C library is set up for that.

    Args:
        networks: one; it is moved to the device and put into training mode, where running averages
            move. Its gradients are let go.
        input_shape: (channels, height, width) of one image.
        setting: batch (images), precision (fp32 or bf16), memory_format (channels_last or
            contiguous), threads, device (cpu or cuda).
        rounds: steps that are measured.

    Returns:
        (rounds, 1) int64, bytes: `peak`; `start`, what was in use before the step; `left`, what is
        in use after it beyond that; on CUDA `reserved`, the peak of what the allocator took.
        (1,) int64, bytes: `weights`; `inputs`; `optimizer`; `tensors`, the peak as another method
        counts it, a lower bound. (1,) bool: `reset`, false where `peak` is but an upper bound.

    Raises:
        ValueError: there is not one network, or memory cannot be measured on this device.
        OSError: this system does not tell how much memory a process uses.
        Exception: what the network raised, also where memory runs out.
    """
    network, inputs = _peak.prepared(networks, input_shape, setting)
    network.train()
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    optimizer = (
        torch.optim.SGD(parameters, lr=0.0, momentum=0.9, fused=True) if parameters else None
    )

    def step() -> None:
        with torch.enable_grad(), _peak.autocast(setting):
            output = network(inputs)
        if optimizer is not None:
            torch.autograd.backward(output, output.detach() * (2 / output.numel()))
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)

    found = _peak.measured(step, network, inputs, setting, rounds)
    states = optimizer.state.values() if optimizer is not None else ()
    momentum = [value for state in states for value in state.values() if isinstance(value, Tensor)]
    kept = sum(tensor.nbytes for tensor in momentum)
    return found | {"optimizer": np.array([kept], np.int64)}
