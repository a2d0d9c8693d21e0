"""Parameters: how many numbers training may change.

Every parameter tensor counts once, however many modules share it. Buffers (the running averages of
batch normalisation) are no parameters; their elements are given apart.

Detail: elements by role: `head` (everything under the child of that name), else by the type of the
module that owns them `conv`, `norm`, `other`; and `buffers`.
"""

from typing import Final

from torch import nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.conv import _ConvNd

from ablate.records import Measurement

TITLE: Final = "Parameters"
UNIT: Final = ""
DIRECTION: Final = "lower"
KIND: Final = "fact"

_NORMS = (_NormBase, nn.GroupNorm, nn.LayerNorm, nn.RMSNorm)


def measure(network: nn.Module, input_shape: tuple[int, int, int]) -> Measurement:
    """Return the number of distinct parameter elements."""
    count = {"conv": 0, "norm": 0, "head": 0, "other": 0}
    seen: set[nn.Parameter] = set()
    for path, module in network.named_modules():
        for parameter in module.parameters(recurse=False):
            if parameter not in seen:
                seen.add(parameter)
                count[_role(path, module)] += parameter.numel()
    buffers = sum(buffer.numel() for buffer in network.buffers())
    return Measurement(
        value=sum(count.values()),
        unit=UNIT,
        title=TITLE,
        direction=DIRECTION,
        detail={**count, "buffers": buffers},
    )


def _role(path: str, module: nn.Module) -> str:
    if path.split(".")[0] == "head":
        return "head"
    if isinstance(module, _ConvNd):
        return "conv"
    return "norm" if isinstance(module, _NORMS) else "other"
