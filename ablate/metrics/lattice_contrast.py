"""Lattice contrast: how far the lattice's frequencies stand out of the error's spectrum.

Of the residuals (output - target) of the test images, the power at the lattice's three bins, half a
cycle per pixel along one axis or both, over the median power of the bins around each, the other 48
of the 7x7 with it in the centre. Where `phase_variance` says which share of the error is a
checkerboard, this says whether there is one: errors of images are not white, and a share is small
where low frequencies err most. The ratio is that of the sums over test images, each the mean over
the three bins and all channels, so that it does not rest on images with next to no error around the
lattice. Power is |FFT|² of each channel without its mean, no window; bins wrap around.

White noise has `white_noise` in the detail, 1.40 and not 1: its powers follow an exponential
distribution, whose median lies below its mean. The 48 neighbours of such a bin are 24 pairs of
equal power (the bin is its own mirror image), and the median of 24 exponential values of mean 1 is
in expectation 1/13 + 1/14 + … + 1/24 + 1/24 = 0.714; that holds for any number of channels, and for
images of any noise each. A spectrum that is steep or has ridges (edges of the picture, which does
not end as it begins) has a contrast without any lattice, and the targets' own is `target`.

Pixels at the border are left out: there padding shows, which is no lattice. Measured after the last
epoch, in evaluation mode, on every test example once. Where no residual has any power around the
lattice's frequencies there is no figure.

Spectra of upsampled images, and their peaks: Durall, Keuper, Keuper 2020, arXiv 2003.01826;
Chandrasegaran, Tran, Cheung 2021, arXiv 2103.17195.
"""

import math
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from ablate.metrics import Outcome
from ablate.metrics._scores import detail
from ablate.records import Measurement

TITLE: Final = "Lattice contrast"
UNIT: Final = ""
DIRECTION: Final = "lower"
KIND: Final = "trial"

REACH: Final = 3  # bins on each side of the lattice's own
_PAIRS: Final = ((2 * REACH + 1) ** 2 - 1) // 2  # of neighbours with equal power
# Of the median of 24 exponential values, the mean of the 12th and the 13th.
_MEDIAN: Final = sum(1 / i for i in range(_PAIRS // 2 + 1, _PAIRS + 1)) + 1 / _PAIRS
WHITE_NOISE: Final = 1 / _MEDIAN


def measure(outcome: Outcome) -> Measurement | None:
    """Return the contrast of the lattice in the test residuals, None where it was not scored."""
    power = outcome.test.get("lattice_power")
    if power is None:
        return None
    around = outcome.test["lattice_surroundings"]
    said = detail(power + around, "lattice contrast")
    value = None if "invalid" in said else _ratio(power, around)
    if value is None:
        said.setdefault(
            "invalid", "no test residual has any power around the lattice's frequencies"
        )
    beside = {
        "target": _ratio(
            outcome.test["target_lattice_power"], outcome.test["target_lattice_surroundings"]
        ),
        "white_noise": WHITE_NOISE,
    }
    return Measurement(
        value=value, unit=UNIT, title=TITLE, direction=DIRECTION, detail=said | beside
    )


def per_image(images: Tensor) -> tuple[Tensor, Tensor]:
    """Return the power at the lattice's bins and the median power around them, of each image.

    Args:
        images: (n, c, h, w), h and w even and 8 or more.

    Returns:
        (n,) and (n,), |FFT|² / (h w), means over three bins and all channels.
    """
    height, width = images.shape[2:]
    centred = images - images.mean((2, 3), keepdim=True)
    power = torch.fft.fft2(centred, norm="ortho").abs().square()
    near = torch.arange(-REACH, REACH + 1, device=images.device)
    lattice = [(height // 2, 0), (0, width // 2), (height // 2, width // 2)]
    around = torch.stack(
        [
            power[..., ((row + near) % height)[:, None], (column + near) % width].flatten(2)
            for row, column in lattice
        ],
        dim=2,
    )  # (n, c, 3, 49)
    own, pairs = around[..., _PAIRS], around[..., :_PAIRS]
    median = pairs.sort(-1).values[..., _PAIRS // 2 - 1 : _PAIRS // 2 + 1].mean(-1)
    return own.mean((1, 2)), median.mean((1, 2))


def _ratio(power: "np.ndarray[Any, Any]", around: "np.ndarray[Any, Any]") -> float | None:
    """Return the ratio of sums, summed in float64; None where there is none."""
    above, below = power.sum(dtype=np.float64), around.sum(dtype=np.float64)
    ratio = above / below if below > 0 else math.nan
    return float(ratio) if math.isfinite(ratio) else None
