"""Phase variance: the share of the error's variance that repeats every 2 pixels, mean over images.

A checkerboard is an error that depends on where a pixel lies within its 2x2 cell. With the four
phases of a lattice of stride 2, it is the variance of the phases' means over the variance of all
pixels, for the residual (output - target) of each test image: 1 where the error is nothing but a
lattice, 0 where the four phases err alike on average. Where the sides are even it equals, exactly,
the part of the residual's spectral energy that lies at the lattice's frequencies, half a cycle per
pixel along one axis or both (the mean left out). Numerator and denominator are averaged over
channels before they are divided. A residual that is constant has 0.

Pixels at the border are left out: there padding shows, which is no lattice. Values are those that
the network gives, normalised per channel and not clipped. Measured after the last epoch, in
evaluation mode, on every test example once.

Why the residual: pictures have lattices of their own (demosaicing, JPEG's blocks, a fence). Detail
holds the same measure of the targets and the outputs themselves, and `white_noise`, what noise
without any lattice has on average; a value near it says that there is no checkerboard.

Checkerboards: Odena, Dumoulin, Olah 2016, "Deconvolution and checkerboard artifacts", Distill.
Spectra of upsampled images: Durall, Keuper, Keuper 2020, arXiv 2003.01826; the lattice's bins
are taken here, since radial averages blur its peaks.
"""

from typing import Final

from torch import Tensor

from ablate.metrics import Outcome
from ablate.metrics._scores import detail, mean
from ablate.records import Measurement

TITLE: Final = "Phase variance"
UNIT: Final = ""
DIRECTION: Final = "lower"
KIND: Final = "trial"

STRIDE: Final = 2  # pixels, of the lattice
# Normalised values have a deviation near 1 and float32 rounds them to 1e-7: what deviates by less
# than 1e-6 is constant.
CONSTANT: Final = 1e-12


def measure(outcome: Outcome) -> Measurement | None:
    """Return the mean phase variance of the test residuals, None for tasks that do not give it."""
    residual = outcome.test.get("phase_variance")
    if residual is None:
        return None
    beside = {
        "target": mean(outcome.test["target_phase_variance"]),
        "white_noise": mean(outcome.test["white_noise_phase_variance"]),
        "output": mean(outcome.test["output_phase_variance"]),
    }
    return Measurement(
        value=mean(residual),
        unit=UNIT,
        title=TITLE,
        direction=DIRECTION,
        detail=detail(residual, "phase variance") | beside,
    )


def per_image(images: Tensor, stride: tuple[int, int] = (STRIDE, STRIDE)) -> Tensor:
    """Return the phase variance of each image.

    Args:
        images: (n, c, h, w), h and w multiples of the stride.
        stride: rows and columns of the lattice's period.

    Returns:
        (n,), from 0 to 1.
    """
    n, c, height, width = images.shape
    centred = images - images.mean((2, 3), keepdim=True)
    rows, columns = stride
    cells = centred.reshape(n, c, height // rows, rows, width // columns, columns)
    between = cells.mean((2, 4)).square().mean((1, 2, 3))  # the mean of all phases is 0
    total = centred.square().mean((1, 2, 3))
    return (between / total.clamp_min(CONSTANT)).where(total > CONSTANT, 0)


def of_white_noise(height: int, width: int, stride: tuple[int, int] = (STRIDE, STRIDE)) -> float:
    """Return the expected phase variance of white noise on so many pixels, as `per_image` has it.

    Of the height · width - 1 frequencies beside the mean, which have equal shares, as many are the
    lattice's as it has phases beside the first.
    """
    return (stride[0] * stride[1] - 1) / (height * width - 1)
