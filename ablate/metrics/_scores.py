"""The mean of a score over examples, as several metrics give it."""

import math
from typing import Any

import numpy as np


def mean(values: "np.ndarray[Any, Any]") -> float | None:
    """Return the mean of a score, summed in float64; None where it is not finite."""
    found = float(values.mean(dtype=np.float64))
    return found if math.isfinite(found) else None


def detail(values: "np.ndarray[Any, Any]", name: str) -> dict[str, Any]:
    """Return what every mean says of itself: over how many examples, and why it is no figure."""
    reason = (
        {}
        if mean(values) is not None
        else {"invalid": f"the {name} of some test example is not finite"}
    )
    return {"examples": len(values)} | reason
