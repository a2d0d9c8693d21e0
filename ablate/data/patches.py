"""Patches of 8 photographs as they are, for tasks whose target is the image itself.

For super-resolution, and for what upsampling leaves behind (checkerboards), on machines that cannot
download anything. The photographs are PNG files of the scikit-image wheel in whose pixels neither a
lattice nor the blocks of an earlier JPEG were found. They are grey (luma): only four of them have
colours, and four scenes are too few. Each is divided into cells; every third cell gives test
patches only, so that the splits share no pixel. A patch is a square of 32 x 32 pixels of a cell
that is not flat, copied as it is: nothing is turned, resized or standardised, since a filter leaves
its own trace in the finest detail. No patch comes twice. All is drawn once from fixed seeds.

Cameras see one colour in each pixel and interpolate the others, which leaves a lattice of 2 pixels;
the mean over 2 x 2 pixels takes it away. Hence `cat` is halved. `moon` is halved because it was a
JPEG: in full size steps at the edges of blocks of 8 pixels stand out by 21 standard errors, halved
by 1.4 (of 4 pixels, then). Measured on the pictures as they are used, with the level of white noise
in brackets: the phase variance, which is the variance of the means over the 2 x 2 phases of a
lattice, over that of the pixels, in millionths; and the probability of so much power at the
frequencies of such a lattice if they held what their neighbours hold (Hann window, chi square):

    picture     pixels     phase variance   of its patches   probability
    astronaut   512 x 512    2.0 (11.4)      1163 (2930)        0.69
    brick       512 x 512    0.1 (11.4)       820 (2930)        0.95
    camera      512 x 512    4.1 (11.4)      1912 (2930)        0.57
    cat         225 x 150   27.2 (88.9)       750 (2930)        0.25, in full size 0.006
    coffee      600 x 400    0.4 (12.5)      1322 (2930)        0.69
    gravel      512 x 512    0.2 (11.4)       307 (2930)        0.76
    moon        256 x 256    2.2 (45.8)       798 (2930)        0.91
    motorcycle  741 x 500    0.4 (8.1)      1004 (2930)        0.28

Left out for blocks of 8 pixels (standard errors in full size): `tissue` (30; and a lattice, with a
probability below 0.0005), `retina` (36), `rocket` (7) and `coins` (4, and 2.6 halved). `galaxies`
is a JPEG file, and `grass` was cut out of one, so its authors say; `brick` and `gravel` they
brought from JPEG files to half the size, and no blocks of 4 or 8 pixels show (2.1 at most).

Patches of one cell are alike, so a cell is a cluster. The 1,000 test patches, halved by the mean
over 2 x 2 pixels and enlarged by bicubic interpolation, have a mean PSNR of 33.1 dB, from 27.7
(`gravel`) to 38.6 (`moon`); its standard error is 0.18 by patches, 0.48 by cells, 0.53 by cells of
twice the side and 1.30 by photographs: what is found holds for these photographs.
"""

from collections.abc import Mapping
from typing import Annotated

import numpy as np
import PIL
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from pydantic import Field

from ablate.data import Dataset, Split, assemble
from ablate.data._cells import CELL, Cell, carrier, cells, grey, origins
from ablate.data._prepared import prepared

VERSION = 1  # of the construction below, and its seed: another number gives other patches

# Name → file in `skimage/data`, and whether it is halved.
PICTURES = {
    "astronaut": ("astronaut.png", False),
    "brick": ("brick.png", False),
    "camera": ("camera.png", False),
    "cat": ("chelsea.png", True),
    "coffee": ("coffee.png", False),
    "gravel": ("gravel.png", False),
    "moon": ("moon.png", True),
    "motorcycle": ("motorcycle_left.png", False),
}

SIDE = 32  # pixels, the side of a patch
FLAT = 4  # grey levels of standard deviation below which a patch shows nothing
LIVELY = 0.25  # of the positions in a cell, those that are not flat: with fewer it is not used


def load(
    *,
    # The most are what the cells have different positions for, with as many of each.
    train_patches: Annotated[int, Field(ge=1, le=50_000)] = 10_000,
    test_patches: Annotated[int, Field(ge=1, le=25_000)] = 1_000,
) -> Dataset:
    """Return grey patches of 32 x 32 pixels, (n, 32, 32, 1), as many of each cell.

    There are no classes: the targets are zeros that no task reads. The first patches of many are
    those of few.

    Raises:
        Unavailable: scikit-image, which carries the photographs, is not installed, or lacks one.
    """
    construction = [VERSION, CELL, SIDE, FLAT, LIVELY]
    versions = [carrier(), np.__version__, PIL.__version__]
    key = [construction, list(PICTURES.items()), versions, train_patches, test_patches]
    return prepared("patches", key, lambda: cut(pictures(), train_patches, test_patches))


def pictures() -> dict[str, NDArray[np.uint8]]:
    """Return the photographs by name, grey, each (height, width).

    Raises:
        Unavailable: the installed scikit-image lacks one of them.
    """
    found = {}
    for name, (file, halved) in PICTURES.items():
        image = grey(file)
        if halved:  # without the last of an odd number, which would be a mean over fewer pixels
            image = image.crop((0, 0, image.width // 2 * 2, image.height // 2 * 2)).reduce(2)
        found[name] = np.asarray(image)
    return found


def cut(
    pictures: Mapping[str, NDArray[np.uint8]], train_patches: int, test_patches: int
) -> Dataset:
    """Cut patches out of pictures and return the data set.

    Args:
        pictures: by name, uint8 (height, width).
        train_patches: how many, shared evenly by the cells that are not flat.
        test_patches: likewise.
    """
    train, test = (
        _split(pictures, [cell for cell in cells(pictures) if cell.test == test], wanted)
        for test, wanted in ((False, train_patches), (True, test_patches))
    )
    return assemble(
        title=f"patches (of {len(pictures)} photographs)",
        classes=[],
        train=train,
        test=test,
        lossy=False,
        notes=[
            "patches has no classes: it is for tasks whose target is the image itself.",
            f"Training and test patches come from {origins(train)} and {origins(test)} cells of "
            "the same photographs, which share no pixel; patches of one cell are not independent, "
            "so standard errors are clustered by cell.",
            "patches stands in where nothing can be downloaded; results on it are not to be cited.",
        ],
    )


def _split(pictures: Mapping[str, NDArray[np.uint8]], cells: list[Cell], patches: int) -> Split:
    """Return so many patches of the given cells, by turns in a fixed shuffled order of the cells.

    Each cell has a stream of its own, so that its patches depend on no other cell.
    """
    images = list(pictures.values())
    found = [(cell, _lively(images[cell.label], cell)) for cell in cells]
    usable = [
        (cell, np.random.RandomState([VERSION, cell.number]).permutation(lively))
        for cell, lively in found
        if len(lively) >= LIVELY * (cell.height - SIDE + 1) * (cell.width - SIDE + 1)
    ]
    order = np.random.RandomState(VERSION).permutation(len(usable))
    chosen = np.empty((patches, SIDE, SIDE, 1), np.uint8)
    clusters = np.empty(patches, np.int32)
    for k in range(patches):
        turn, place = divmod(k, len(usable))
        cell, positions = usable[order[place]]
        top, left = positions[turn]
        chosen[k, :, :, 0] = images[cell.label][top : top + SIDE, left : left + SIDE]
        clusters[k] = cell.number
    return Split(chosen, np.zeros(patches, np.int64), clusters)


def _lively(image: NDArray[np.uint8], cell: Cell) -> NDArray[np.int64]:
    """Return the top left corners, (n, 2), of all patches of a cell that are not flat."""
    region = image[cell.top :, cell.left :][: cell.height, : cell.width].astype(np.int64)
    n = SIDE * SIDE
    total, squares = (_sums(part) for part in (region, region * region))
    # Variance n² times over, in whole numbers: no rounding decides what a patch is.
    lively = n * squares - total * total >= (FLAT * n) ** 2
    corners: NDArray[np.int64] = np.argwhere(lively) + np.array([cell.top, cell.left])
    return corners


def _sums(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the sum over each square of SIDE x SIDE values, (h - SIDE + 1, w - SIDE + 1)."""
    rows = sliding_window_view(values, SIDE, axis=0).sum(-1)
    sums: NDArray[np.int64] = sliding_window_view(rows, SIDE, axis=1).sum(-1)
    return sums
