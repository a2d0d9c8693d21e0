"""Weight memory: bytes of a network's parameters and buffers as they are stored.

Each storage counts once and whole, however many tensors share it or see a part of it; one that a
parameter and a buffer share counts as a parameter's. Networks are built in fp32, so this is 4 bytes
a parameter and what buffers need (of batch normalisation: mean, variance and an int64 counter); a
cast network has other bytes. It follows from the structure: no work space, no padding by an
allocator, no copies that a library makes in a layout of its own. Those show in the peaks
(`inference_memory`, `training_memory`), which do not contain this.

Detail: `parameters`, `buffers`: bytes of each; `by_dtype`: bytes by the type of number, by name.
"""

from collections import Counter
from typing import Final

from torch import nn

from ablate.records import Measurement

TITLE: Final = "Weight memory"
UNIT: Final = "B"
DIRECTION: Final = "lower"
KIND: Final = "fact"


def measure(network: nn.Module, input_shape: tuple[int, int, int]) -> Measurement:
    """Return the bytes that the network's parameters and buffers are stored in."""
    detail: dict[str, int] = {}
    by_dtype: Counter[str] = Counter()
    seen = set()
    for role, tensors in (("parameters", network.parameters()), ("buffers", network.buffers())):
        detail[role] = 0
        for tensor in tensors:
            storage = tensor.untyped_storage()
            if storage not in seen:  # equal only to itself, wherever it lies
                seen.add(storage)
                detail[role] += storage.nbytes()
                by_dtype[str(tensor.dtype).removeprefix("torch.")] += storage.nbytes()
    return Measurement(
        value=sum(detail.values()),
        unit=UNIT,
        title=TITLE,
        direction=DIRECTION,
        detail=detail | {"by_dtype": dict(by_dtype)},
    )
