"""What is predicted. One task a file; the file's stem is its name.

Contract of a task file:
    PRIMARY: str     the metric (a name in `metrics/`) by which comparisons are read by default
    MARGIN: float    the smallest difference of it that matters, in its unit, unless a suite says
    build(dataset, label_smoothing, *, options) -> Task
                     raises ValueError where the data set does not fit the task
"""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Task:
    """The functions by which a task is trained and scored.

    `examples(images, targets)` turns a batch of the data set, normalised and augmented, into what
    the network is given and what it should put out. `loss(output, target)` is a scalar, the mean
    over the batch. `scores(output, target)` holds one value per example, each of shape (n,):
    `loss` (without smoothing) and what else the task counts.
    """

    input_shape: tuple[int, int, int]  # (channels, height, width) of what the network is given
    outputs: int  # channels or classes that the network must predict
    examples: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
    loss: Callable[[Tensor, Tensor], Tensor]
    scores: Callable[[Tensor, Tensor], dict[str, Tensor]]
    means: dict[str, tuple[str, float]]  # shown per epoch: name → (score to average, factor)
