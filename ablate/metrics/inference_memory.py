"""Inference memory: the peak of memory in one forward pass, above what was there before it.

The network is in evaluation mode, under `torch.inference_mode`. Its weights and the batch of inputs
are there before and not part of the peak; they are given apart (`weights`, `inputs`: what a process
needs is the sum of the three, and the programs it loads). So the peak is that of activations that
are alive together, the output among them, and the work space of kernels. In bf16 the weights stay
fp32; casts of them are part of the peak.

It is no sum over layers: of a chain of layers two neighbouring activations are alive at once, so
only the largest pair counts, and a network may be made deeper without needing more. Branches keep
activations alive for longer.

How it is measured, how exact that is and what a second count of it (`tensors`) says: `_peak.py`.
`peak` has a value for each round; they differ by less than 5 % where it is more than 5 MiB. Take
their median.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import torch
from torch import nn

from ablate.metrics import _peak

if TYPE_CHECKING:
    import numpy as np

TITLE: Final = "Inference memory"
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
        networks: one; it is moved to the device and put into evaluation mode.
        input_shape: (channels, height, width) of one image.
        setting: batch (images), precision (fp32 or bf16), memory_format (channels_last or
            contiguous), threads, device (cpu or cuda).
        rounds: forward passes that are measured.

    Returns:
        (rounds, 1) int64, bytes: `peak`; `start`, what was in use before the pass; `left`, what is
        in use after it beyond that; on CUDA `reserved`, the peak of what the allocator took.
        (1,) int64, bytes: `weights`; `inputs`; `tensors`, the peak as another method counts it, a
        lower bound. (1,) bool: `reset`, false where `peak` is but an upper bound.

    Raises:
        ValueError: there is not one network, or memory cannot be measured on this device.
        OSError: this system does not tell how much memory a process uses.
        Exception: what the network raised, also where memory runs out.
    """
    network, inputs = _peak.prepared(networks, input_shape, setting)
    network.eval()

    def step() -> None:
        with torch.inference_mode(), _peak.autocast(setting):
            network(inputs)

    return _peak.measured(step, network, inputs, setting, rounds)
