"""What is predicted. One task a file; the file's stem is its name.

Contract of a task file:
    PRIMARY: str     the metric (a name in `metrics/`) by which comparisons are read by default
    MARGIN: float    the smallest difference of it that matters, in its unit, unless a suite says
    LOSSLESS: Final = True
                     where images that were ever stored with a loss will not do; else left out
    build(dataset, label_smoothing, *, options) -> Task
                     raises ValueError where the data set does not fit the task
"""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

Scores = Callable[[Tensor, Tensor], dict[str, Tensor]]


@dataclass(frozen=True)
class Task:
    """The functions by which a task is trained and scored.

    `examples(images, targets)` turns a batch of the data set, normalised and augmented, into what
    the network is given and what it should put out. `loss(output, wanted)` is a scalar, the mean
    over the batch. `scores(output, wanted)` holds one value per example, each of shape (n,):
    `loss` (without smoothing) and what else the task counts.

    A task may ask for more. `progress(output, wanted)` gives those scores alone that `means` needs,
    for every training step, where others are dear. With `before`, scores are also taken before the
    first step, on the first test examples. `keep(inputs, output, wanted)` makes arrays worth
    keeping of the first test examples (a batch of up to 1000), after training and, with `before`,
    before it; those named in `fixed` do not depend on the network and are kept once.
    """

    input_shape: tuple[int, int, int]  # (channels, height, width) of what the network is given
    outputs: int  # channels or classes that the network must predict
    examples: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
    loss: Callable[[Tensor, Tensor], Tensor]
    scores: Scores
    means: dict[str, tuple[str, float]]  # shown per epoch: name → (score to average, factor)
    progress: Scores | None = None
    before: bool = False
    keep: Callable[[Tensor, Tensor, Tensor], dict[str, Tensor]] | None = None
    fixed: frozenset[str] = frozenset()
