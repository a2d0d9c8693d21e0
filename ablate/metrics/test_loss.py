"""Test loss: the mean of the task's loss over the test examples, without label smoothing.

Measured after the last epoch (no epoch is picked), in evaluation mode; summed in float64.
"""

import math
from typing import Final

from ablate.metrics import Outcome
from ablate.records import Measurement

TITLE: Final = "Test loss"
UNIT: Final = ""
DIRECTION: Final = "lower"
KIND: Final = "trial"


def measure(outcome: Outcome) -> Measurement | None:
    """Return the mean test loss, None for a task without a loss per example."""
    loss = outcome.test.get("loss")
    if loss is None:
        return None
    value = float(loss.mean(dtype="float64"))
    finite = math.isfinite(value)
    return Measurement(
        value=value if finite else None,
        unit=UNIT,
        title=TITLE,
        direction=DIRECTION,
        detail={"examples": len(loss)}
        | ({} if finite else {"invalid": "the loss of some test example is not finite"}),
    )
