"""Another data set, some of the training images of which have a wrong label.

A fixed choice of them gets another class than its own, drawn evenly. Tested is on right labels.
"""

from typing import Annotated, Any

import numpy as np
from pydantic import Field

from ablate import catalog
from ablate.data import Dataset, Split, assemble

ROOM = "data"


def load(
    *,
    of: dict[str, Any] | None = None,
    share: Annotated[float, Field(ge=0, le=1)] = 0.1,
) -> Dataset:
    """Return a data set with wrong labels on a share of the training images.

    Args:
        of: the data set, with its options, as a suite names it; None: `photos`.
        share: 0 to 1. With 0 the images and labels are those of the data set.
    """
    right: Dataset = catalog.build("data", of or {"name": "photos"}, "name")
    labels = right.train.targets.copy()
    stream = np.random.RandomState(0)
    chosen = stream.choice(len(labels), round(share * len(labels)), replace=False)
    labels[chosen] += stream.randint(1, len(right.classes), len(chosen))
    labels %= len(right.classes)
    return assemble(
        title=f"{right.title}, {share:.0%} of the training labels wrong" if share else right.title,
        classes=right.classes,
        train=Split(right.train.images, labels, right.train.clusters),
        validation=right.validation,
        test=right.test,
        lossy=right.lossy,
        notes=right.notes,
    )
