"""Classification: one of k classes per image, cross-entropy with label smoothing.

Label smoothing: Szegedy et al. 2016, arXiv 1512.00567, section 7.
"""

from torch import Tensor
from torch.nn.functional import cross_entropy

from ablate.data import Dataset
from ablate.tasks import Task

PRIMARY = "accuracy"
MARGIN = 0.5  # percentage points


def build(dataset: Dataset, label_smoothing: float) -> Task:
    """Return the task of telling the data set's classes apart.

    Raises:
        ValueError: the data set has no classes.
    """
    if not dataset.classes:
        raise ValueError(f"{dataset.title} has no classes, so there is nothing to classify")

    outputs = len(dataset.classes)

    def loss(output: Tensor, target: Tensor) -> Tensor:
        if output.shape[1:] != (outputs,):
            given = tuple(output.shape[1:])
            raise ValueError(
                f"the network gives {given} for each image where classification asks for "
                f"{(outputs,)}"
            )
        return cross_entropy(output, target, label_smoothing=label_smoothing)

    def scores(output: Tensor, target: Tensor) -> dict[str, Tensor]:
        return {
            "loss": cross_entropy(output, target, reduction="none"),
            "correct": output.argmax(1) == target,
        }

    height, width, channels = dataset.train.images.shape[1:]
    return Task(
        input_shape=(channels, height, width),
        outputs=outputs,
        examples=lambda images, targets: (images, targets),
        loss=loss,
        scores=scores,
        means={"accuracy": ("correct", 100.0)},
    )
