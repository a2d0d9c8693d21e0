"""Which of 14 photographs does a patch come from? For machines that cannot download anything.

The photographs are those that the scikit-image wheel carries. Each is divided into cells; every
third cell gives test patches only, so that the splits share no pixel. A patch is a random square
of a cell, 24 to 64 pixels a side (log-uniform), brought to 32 x 32, turned, mirrored, standardised,
and given another contrast, brightness and polarity. It is grey, since colours and brightness alone
would tell most of the photographs apart. All of it is drawn once from fixed seeds.

What it can show is recognition of **texture**: claims about receptive field, dilation or context
cannot be tested on it. Patches of one cell are alike, so a cell is a cluster: the standard error of
an accuracy is 3.5 times what the number of patches suggests (below).

Measured with version 1 on 10,000 training and all 7,000 test patches, 628 steps of batch 64 (4
epochs), four stages of two 3x3 convolutions (16, 32, 64, 64 channels), batch norm, max pooling, SGD
with one-cycle peak 0.1, bf16 on one CPU thread; mean ± sd over 5 seeds, chance is 7.1 %. The errors
are of one trained network's accuracy, over 304 test cells and over patches:

    network                          test          train    classes   clustered / naive error
    normal                           65.5 ± 2.0 %  71.9 %   30…96 %   2.00 / 0.57
    depthwise separable, drop-in     53.7 ± 2.0 %  59.8 %   24…95 %   2.18 / 0.59
    strided convolution for pooling  61.5 ± 1.8 %  67.6 %   29…96 %   2.11 / 0.58

The order is that of the same networks on CIFAR-10, where the differences are smaller. `brick` is
the easiest picture, `motorcycle` the hardest. Twice as wide and after 16 epochs of all 14,000
patches the normal network reached 85.6 % on test and 98 % on training patches (one seed).
"""

from collections.abc import Mapping
from typing import Annotated

import numpy as np
import PIL
from numpy.typing import NDArray
from PIL import Image
from pydantic import Field

from ablate.data import Dataset, Split, assemble
from ablate.data._cells import CELL, Cell, carrier, cells, grey, origins
from ablate.data._prepared import prepared

VERSION = 1  # of the construction below, and its seed: another number gives other patches

# Class → file in `skimage/data`. All of them are in the wheel itself; what scikit-image would have
# to fetch is not used, nor are drawings, writing, test patterns and a second view of one scene.
PICTURES = {
    "astronaut": "astronaut.png",
    "brick": "brick.png",
    "camera": "camera.png",
    "cat": "chelsea.png",
    "coffee": "coffee.png",
    "coins": "coins.png",
    "galaxies": "hubble_deep_field.jpg",
    "grass": "grass.png",
    "gravel": "gravel.png",
    "moon": "moon.png",
    "motorcycle": "motorcycle_left.png",
    "retina": "retina.jpg",
    "rocket": "rocket.jpg",
    "tissue": "ihc.png",
}

LARGEST = 1024  # pixels; a picture with a longer side is halved, or it would be mostly smooth
CROP = (24, CELL)  # pixels, the least and the greatest side of what a patch shows
SIDE = 32  # pixels, the side of a patch
FLAT = 4.0  # grey levels of standard deviation below which a crop shows nothing
CONTRAST = (24.0, 64.0)  # grey levels of standard deviation that a patch is given
BRIGHTNESS = (96.0, 160.0)  # mean grey level that a patch is given, before clipping to 0…255
TRIES = 12  # crops by which a cell is judged: it is used if a quarter of them are not flat


def load(
    *,
    train_patches: Annotated[int, Field(ge=14)] = 14_000,
    test_patches: Annotated[int, Field(ge=14)] = 7_000,
) -> Dataset:
    """Return grey patches of 32 x 32 pixels, (n, 32, 32, 1), as many of each photograph.

    Raises:
        Unavailable: scikit-image, which carries the photographs, is not installed, or lacks one.
    """
    construction = [VERSION, LARGEST, CELL, CROP, SIDE, FLAT, CONTRAST, BRIGHTNESS, TRIES]
    versions = [carrier(), np.__version__, PIL.__version__]
    key = [construction, list(PICTURES.items()), versions, train_patches, test_patches]
    return prepared("photos", key, lambda: cut(pictures(), train_patches, test_patches))


def pictures() -> dict[str, NDArray[np.uint8]]:
    """Return the photographs by class name, grey, each (height, width).

    Raises:
        Unavailable: the installed scikit-image lacks one of them.
    """
    found = {}
    for name, file in PICTURES.items():
        image = grey(file)
        while max(image.size) > LARGEST:
            image = image.reduce(2)
        found[name] = np.asarray(image)
    return found


def cut(
    pictures: Mapping[str, NDArray[np.uint8]], train_patches: int, test_patches: int
) -> Dataset:
    """Cut patches out of pictures and return the data set.

    Args:
        pictures: by class name, uint8 (height, width).
        train_patches: how many, shared evenly by the pictures and by the cells of a picture.
        test_patches: likewise.
    """
    train, test = (
        _split(pictures, [cell for cell in cells(pictures) if cell.test == test], wanted)
        for test, wanted in ((False, train_patches), (True, test_patches))
    )
    return assemble(
        title=f"photos (patches of {len(pictures)} photographs)",
        classes=list(pictures),
        train=train,
        test=test,
        lossy=True,  # three photographs are JPEG files, and others show the blocks of one
        notes=[
            "photos asks which photograph a patch comes from, which is recognition of texture: "
            "claims about receptive field, dilation or context cannot be tested on it.",
            f"Training and test patches come from {origins(train)} and {origins(test)} cells of "
            "the same photographs, which share no pixel; patches of one cell are not independent, "
            "so standard errors are clustered by cell.",
            "photos stands in where nothing can be downloaded; results on it are not to be cited.",
        ],
    )


def _split(pictures: Mapping[str, NDArray[np.uint8]], cells: list[Cell], patches: int) -> Split:
    """Return so many patches of the given cells, in a fixed shuffled order."""
    images, chosen = [], []
    for label, picture in enumerate(pictures.values()):
        image = Image.fromarray(picture)
        # A stream for each cell, so that its patches depend on no other cell.
        streams = {c: np.random.RandomState([VERSION, c.number]) for c in cells if c.label == label}
        usable = [cell for cell, stream in streams.items() if _shows_something(image, cell, stream)]
        share = patches // len(pictures) + (label < patches % len(pictures))
        for k in range(share):
            cell = usable[k % len(usable)]
            images.append(_patch(image, cell, streams[cell]))
            chosen.append(cell)
    order = np.random.RandomState(VERSION).permutation(len(images))
    return Split(
        np.stack(images)[order, :, :, None],
        np.array([cell.label for cell in chosen], np.int64)[order],
        np.array([cell.number for cell in chosen], np.int32)[order],
    )


def _shows_something(image: Image.Image, cell: Cell, stream: np.random.RandomState) -> bool:
    """Return whether at least a quarter of a cell's crops are not flat."""
    deviations = [float(_crop(image, cell, stream).std()) for _ in range(TRIES)]
    return sum(deviation >= FLAT for deviation in deviations) >= TRIES / 4


def _crop(image: Image.Image, cell: Cell, stream: np.random.RandomState) -> NDArray[np.float64]:
    """Return a random square of a cell, shrunk or enlarged to (SIDE, SIDE), in grey levels."""
    least, greatest = CROP
    side = round(least * (greatest / least) ** stream.uniform())
    top = cell.top + stream.randint(cell.height - side + 1)
    left = cell.left + stream.randint(cell.width - side + 1)
    # Not `resize(box=…)`: its filter reaches beyond the box, into the neighbouring cell.
    square = image.crop((left, top, left + side, top + side))
    return np.asarray(square.resize((SIDE, SIDE), Image.Resampling.BILINEAR), np.float64)


def _patch(image: Image.Image, cell: Cell, stream: np.random.RandomState) -> NDArray[np.uint8]:
    """Return a random crop that shows something, turned, mirrored and with other grey levels.

    Standardising takes away the brightness and contrast by which most photographs could be told
    apart; drawing new ones, and the polarity, keeps a network from relying on what is left of it.
    """
    crop = _crop(image, cell, stream)
    while crop.std() < FLAT:
        crop = _crop(image, cell, stream)
    turns, mirrored = divmod(stream.randint(8), 2)
    crop = np.rot90(crop[:, ::-1] if mirrored else crop, turns)
    contrast = CONTRAST[0] * (CONTRAST[1] / CONTRAST[0]) ** stream.uniform()
    brightness = stream.uniform(*BRIGHTNESS)
    polarity = 1 if stream.uniform() < 0.5 else -1
    # Mean and deviation of 1024 bytes are exact in float64, in whatever order a machine adds.
    grey = brightness + polarity * contrast * (crop - crop.mean()) / crop.std()
    patch: NDArray[np.uint8] = np.clip(np.rint(grey), 0, 255).astype(np.uint8)
    return patch
