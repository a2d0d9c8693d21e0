"""Output: what a network puts out, as a distribution of numbers.

Sixteen inputs of independent standard normal numbers (numpy's default generator, seed 0) go
through the network in evaluation mode and float64. Value: the standard deviation of all numbers
that come out, over all inputs, channels and pixels together. It tells whether layers let amplitudes
grow or fade (He et al. 2015, arXiv 1502.01852, section 2.2), what a normalisation does to them, and
what a loss comes to, whose output is a number for each input.

Detail: `deviation`, the value; `mean`; `minimum`, `maximum`; `amplitude`, the root of the mean of
squares; `rank_correlation`, Spearman's, of the numbers that come out with those that go in at the
same place: 1 where their order is kept. It is there where both have one shape and neither is
constant.
"""

import copy
import math
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ablate.records import Measurement

TITLE: Final = "Deviation of the output"
UNIT: Final = ""
DIRECTION: Final = "none"
KIND: Final = "reading"

_INPUTS: Final = 16
_TITLES: Final = {
    "deviation": TITLE,
    "mean": "Mean of the output",
    "minimum": "Smallest number of the output",
    "maximum": "Largest number of the output",
    "amplitude": "Amplitude of the output",
    "rank_correlation": "Rank correlation of output and input",
}


def measure(
    network: nn.Module, input_shape: tuple[int, int, int]
) -> tuple[Measurement, dict[str, NDArray[Any]]]:
    """Return how the numbers that a network puts out are distributed; there are no arrays."""
    inputs = np.random.default_rng(0).standard_normal((_INPUTS, *input_shape))
    with torch.no_grad():
        output = copy.deepcopy(network).double().eval()(torch.tensor(inputs, device="cpu"))
    if not isinstance(output, Tensor):
        return _measurement(None, {"invalid": "the network puts out no single tensor"}), {}
    found = output.numpy()
    if not np.isfinite(found).all():
        return _measurement(None, {"invalid": "it puts out numbers that are not finite"}), {}
    deviation = float(found.std())
    detail: dict[str, Any] = {
        "titles": _TITLES,
        "deviation": deviation,
        "mean": float(found.mean()),
        "minimum": float(found.min()),
        "maximum": float(found.max()),
        "amplitude": math.sqrt((found**2).mean()),
    }
    if found.shape == inputs.shape and deviation > 0:
        detail["rank_correlation"] = _rank_correlation(inputs, found)
    return _measurement(deviation, detail), {}


def _rank_correlation(ours: NDArray[np.float64], theirs: NDArray[np.float64]) -> float:
    from scipy import stats  # a second to import, and few claims need it

    ranks = [stats.rankdata(each.ravel()) for each in (ours, theirs)]
    found = float(np.corrcoef(*ranks)[0, 1])
    # One order is one order: no last digit is to make it another.
    return round(found) if math.isclose(abs(found), 1, abs_tol=1e-12) else found


def _measurement(value: float | None, detail: dict[str, Any]) -> Measurement:
    return Measurement(value=value, unit=UNIT, title=TITLE, direction=DIRECTION, detail=detail)
