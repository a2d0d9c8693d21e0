"""Images of any shape that show nothing, for networks that are measured and not trained.

What a network has of parameters, MACs and shapes depends on the images' shape alone: "images of
100x100 with 16 channels" is `{name: blank, shape: [16, 100, 100]}`. Nothing is loaded or made for
them. There is nothing to be learnt from them either, so they cannot be had for training.
"""

from typing import Annotated

import numpy as np
from pydantic import Field

from ablate.data import Dataset, Split, Unavailable

Side = Annotated[int, Field(ge=1, le=65_536)]
Shape = Annotated[list[Side], Field(min_length=3, max_length=3)]
SHAPE: list[int] = [3, 32, 32]


def load(*, shape: Shape = SHAPE) -> Dataset:
    """Refuse: they are for `outline` alone.

    Args:
        shape: channels, height and width.

    Raises:
        Unavailable: always.
    """
    raise Unavailable(
        f"blank images of {_size(shape)} are for networks that are measured and not trained",
        "write `seeds: 0`, or name a data set with pictures",
    )


def outline(*, shape: Shape = SHAPE) -> Dataset:
    """Return one black image a split, (1, height, width, channels)."""
    channels, height, width = shape
    split = Split(np.zeros((1, height, width, channels), np.uint8), np.zeros(1, np.int64))
    return Dataset(f"blank images of {_size(shape)}", [], split, None, split, "", [], False)


def _size(shape: list[int]) -> str:
    return "x".join(map(str, shape))
