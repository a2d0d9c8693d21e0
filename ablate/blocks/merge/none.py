"""No merge: nothing goes around any layer, the plain network that the others are compared with.

Source: the "plain" networks of He et al. 2016, arXiv 1512.03385.
"""

from collections.abc import Callable
from typing import Any

from torch import nn

SAMPLES: list[dict[str, Any]] = [{}]


def build(
    around: int,
    channels: int,
    norm: Callable[[int], nn.Module],
    act: Callable[[], nn.Module],
) -> None:
    """Return None."""
