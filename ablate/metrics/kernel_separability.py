"""Kernel separability: how much of a kernel one column times one row can hold.

A kernel of k x k numbers that is the product of a column and a row has rank 1: it can be split into
a k x 1 and a 1 x k convolution, of 2·k numbers. Of any other, the product that comes nearest is the
first term of its singular value decomposition, and it holds σ₁² / Σ σᵢ² of the sum of squares
(Eckart and Young 1936, doi:10.1007/BF02288367; of learnt kernels: Denton et al. 2014, arXiv
1404.0736). Value: the mean of that share over all kernels of the network, from 0 to 1.

Kernels are those of its convolutions, one for each pair of an input and an output channel, where
both sides are longer than 1; kernels of zeros are left out. Independent random numbers hold less
than all as well: what the same network has before training is what its value after it stands
against. It does not apply to networks without such kernels.

Detail: `smallest`, the smallest share; `separable`, the share of kernels that hold at least 99 %
that way; `rank`, the largest rank, where singular values below 1e-6 of the first count as zero;
`kernels`, their number.
"""

from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from ablate.records import Measurement

TITLE: Final = "Share of kernels in one row and one column"
UNIT: Final = ""
DIRECTION: Final = "none"
KIND: Final = "reading"

_SEPARABLE: Final = 0.99
_ZERO: Final = 1e-6
_TITLES: Final = {
    "smallest": "Smallest share of a kernel in one row and one column",
    "separable": "Share of kernels that are separable",
    "rank": "Largest rank of a kernel",
    "kernels": "Kernels",
}


def measure(
    network: nn.Module, input_shape: tuple[int, int, int]
) -> tuple[Measurement, dict[str, NDArray[Any]]] | None:
    """Return the mean share of kernels in one row and one column; None without kernels."""
    shares: list[NDArray[np.float64]] = []
    rank = 0
    for module in network.modules():
        if isinstance(module, nn.Conv2d) and min(module.kernel_size) > 1:
            kernels = module.weight.detach().to("cpu", torch.float64).flatten(0, 1)
            values = torch.linalg.svdvals(kernels).numpy()
            values = values[values[:, 0] > 0]
            if len(values):
                shares.append(values[:, 0] ** 2 / (values**2).sum(1))
                rank = max(rank, int((values > _ZERO * values[:, :1]).sum(1).max()))
    if not shares:
        return None
    all_ = np.concatenate(shares)
    detail: dict[str, Any] = {
        "titles": _TITLES,
        "smallest": float(all_.min()),
        "separable": float((all_ >= _SEPARABLE).mean()),
        "rank": rank,
        "kernels": len(all_),
    }
    value = float(all_.mean())
    return Measurement(value=value, unit=UNIT, title=TITLE, direction=DIRECTION, detail=detail), {}
