"""Photographs that the scikit-image wheel carries, and their division into cells.

What is cut out of photographs is divided so that no pixel is in two splits: each photograph falls
into cells, every third of which gives test patches only. A cell is a cluster, since its patches are
alike.
"""

import importlib.util
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ablate.data import Split, Unavailable

CELL = 64  # pixels, the least side of a cell; every cell of a picture has the same size


class Cell(NamedTuple):
    """A region of a picture, in pixels of the (perhaps halved) picture."""

    number: int  # over all pictures; the cluster of its patches
    label: int  # of its picture, by order
    top: int
    left: int
    height: int
    width: int
    test: bool


def carrier() -> str:
    """Return the version of scikit-image.

    Raises:
        Unavailable: it is not installed.
    """
    try:
        return version("scikit-image")
    except PackageNotFoundError as error:
        raise Unavailable("scikit-image is not installed", "pip install scikit-image") from error


def grey(file: str) -> Image.Image:
    """Return a photograph of `skimage/data` in grey: ITU-R 601 luma, mode L.

    Raises:
        Unavailable: the installed scikit-image lacks it.
    """
    found = importlib.util.find_spec("skimage")
    if found is None or not found.submodule_search_locations:
        raise Unavailable("scikit-image is not installed", "pip install scikit-image")
    try:
        with Image.open(Path(found.submodule_search_locations[0]) / "data" / file) as picture:
            return picture.convert("L")
    except OSError as error:
        raise Unavailable(
            f"the installed scikit-image lacks the photograph {file}",
            "pip install --force-reinstall scikit-image",
        ) from error


def cells(pictures: Mapping[str, NDArray[np.uint8]]) -> Iterator[Cell]:
    """Yield the cells of all pictures, uint8 (height, width) each. No two share a pixel.

    Every third cell is for testing, in diagonals, so that both splits see all parts of a picture.
    """
    number = 0
    for label, picture in enumerate(pictures.values()):
        rows, columns = (side // CELL for side in picture.shape)
        height, width = picture.shape[0] // rows, picture.shape[1] // columns
        for row in range(rows):
            for column in range(columns):
                test = (column + 2 * row) % 3 == 0
                yield Cell(number, label, row * height, column * width, height, width, test)
                number += 1


def origins(split: Split) -> int:
    """Return how many cells the patches of a split come from."""
    return 0 if split.clusters is None else len(np.unique(split.clusters))
