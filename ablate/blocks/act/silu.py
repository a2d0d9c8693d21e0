"""The sigmoid linear unit, also called swish: x · sigmoid(x).

Source: Elfwing et al. 2017, arXiv 1702.03118; found again by Ramachandran et al. 2017,
arXiv 1710.05941.
"""

from typing import Any

from torch import nn

SAMPLES: list[dict[str, Any]] = [{}]


def build() -> nn.Module:
    """Return any shape -> the same shape."""
    return nn.SiLU()
