"""Phase variance before training: the share of the output's variance that repeats every 2 pixels.

The measure of `phase_variance`, of the outputs themselves and before the first step, in evaluation
mode, mean over the first 1000 test images: which checkerboard a network brings along by the way it
is built and initialised (Aitken et al. 2017, arXiv 1707.02937). An output without any lattice has
what pictures have, `target` in the detail.
"""

from typing import Final

from ablate.metrics import Outcome
from ablate.metrics._scores import detail, mean
from ablate.records import Measurement

TITLE: Final = "Phase variance before training"
UNIT: Final = ""
DIRECTION: Final = "lower"
KIND: Final = "trial"


def measure(outcome: Outcome) -> Measurement | None:
    """Return the mean phase variance of the first outputs, None for tasks that do not ask."""
    output = outcome.initial.get("output_phase_variance")
    if output is None:
        return None
    beside = {
        "target": mean(outcome.initial["target_phase_variance"]),
        "white_noise": mean(outcome.initial["white_noise_phase_variance"]),
    }
    return Measurement(
        value=mean(output),
        unit=UNIT,
        title=TITLE,
        direction=DIRECTION,
        detail=detail(output, "phase variance") | beside,
    )
