"""Parameters: how many numbers training may change.

Every parameter tensor counts once, however many modules share it; frozen ones count. Buffers (the
running averages of batch normalisation) are no parameters; their elements are given apart.

Detail: `convention`; elements by role: `head` (everything under the child of that name), else by
the type of the module that owns them `conv`, `norm`, `other`; `buffers`; and `by_layer`, elements
by the path of the module that owns them (the network's own is empty), shared ones under the first.
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

CONVENTION: Final = "elements of distinct parameter tensors, without buffers"

_NORMS = (_NormBase, nn.GroupNorm, nn.LayerNorm, nn.RMSNorm)


def measure(network: nn.Module, input_shape: tuple[int, int, int]) -> Measurement:
    """Return the number of distinct parameter elements."""
    count = {"conv": 0, "norm": 0, "head": 0, "other": 0}
    by_layer: dict[str, int] = {}
    seen: set[nn.Parameter] = set()
    for path, module in network.named_modules():
        for parameter in module.parameters(recurse=False):
            if parameter not in seen:
                seen.add(parameter)
                count[_role(path, module)] += parameter.numel()
                by_layer[path] = by_layer.get(path, 0) + parameter.numel()
    buffers = sum(buffer.numel() for buffer in network.buffers())
    return Measurement(
        value=sum(count.values()),
        unit=UNIT,
        title=TITLE,
        direction=DIRECTION,
        detail={
            "convention": CONVENTION,
            **count,
            "buffers": buffers,
            "by_layer": by_layer,
        },
    )


def of_block(measurement: Measurement, path: str) -> int:
    """Return the parameters of the module at a path of the network, and of all below it.

    What it shares with a module before it is that one's. The empty path is the whole network.
    """
    by_layer: dict[str, int] = measurement.detail["by_layer"]
    within = path + "." if path else ""
    return sum(n for owner, n in by_layer.items() if owner == path or owner.startswith(within))


def _role(path: str, module: nn.Module) -> str:
    if path.split(".")[0] == "head":
        return "head"
    if isinstance(module, _ConvNd):
        return "conv"
    return "norm" if isinstance(module, _NORMS) else "other"
