"""Accuracy: the percentage of test examples whose highest-scoring class is the right one.

Measured after the last epoch (no epoch is picked), on every test example once, in evaluation mode.
It is the mean of the per-example score `correct`; without that score it does not apply.
"""

from typing import Final

from ablate.metrics import Outcome
from ablate.records import Measurement

TITLE: Final = "Accuracy"
UNIT: Final = "%"
DIRECTION: Final = "higher"
KIND: Final = "trial"


def measure(outcome: Outcome) -> Measurement | None:
    """Return the percentage of correct test examples, None for a task without `correct`."""
    correct = outcome.test.get("correct")
    if correct is None:
        return None
    return Measurement(
        value=100 * float(correct.mean()),
        unit=UNIT,
        title=TITLE,
        direction=DIRECTION,
        detail={"correct": int(correct.sum()), "examples": len(correct)},
    )
