"""Training time: wall-clock seconds spent in training steps, over all epochs.

Evaluation, loading and setting up are not in it. It is a cost on the machine that ran the trial,
perhaps beside other trials, and no measurement of speed: those are taken together and in turns.

Detail: `images_per_second`, training images.
"""

from typing import Final

from ablate.metrics import Outcome
from ablate.records import Measurement

TITLE: Final = "Training time"
UNIT: Final = "s"
DIRECTION: Final = "lower"
KIND: Final = "trial"


def measure(outcome: Outcome) -> Measurement:
    """Return the seconds of training."""
    seconds = outcome.train_seconds
    rate = {"images_per_second": outcome.images / seconds} if seconds > 0 else {}
    return Measurement(value=seconds, unit=UNIT, title=TITLE, direction=DIRECTION, detail=rate)
