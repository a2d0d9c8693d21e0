"""PSNR: the peak signal-to-noise ratio of test images against their targets, mean over images.

10 log10(peak² / mean squared error), the error over all pixels and channels of an image. The
conventions of super-resolution: the peak is the largest value of 8 bits, outputs are clipped to
0…255 (and not rounded), and as many pixels as the scale are left out at each border (Lim et al.
2017, arXiv 1707.02921). All channels of colour images count alike, where much of the
literature takes the luma alone; those figures are higher and no comparison for these.

An image that is met exactly would count as infinite; no image counts as more than 100 dB.

Measured after the last epoch, in evaluation mode, on every test example once.
"""

from typing import Final

import torch
from torch import Tensor

from ablate.metrics import Outcome
from ablate.metrics._scores import detail, mean
from ablate.records import Measurement

TITLE: Final = "PSNR"
UNIT: Final = "dB"
DIRECTION: Final = "higher"
KIND: Final = "trial"

LEAST_ERROR: Final = 1e-10  # of squares, with a peak of 1: 100 dB


def measure(outcome: Outcome) -> Measurement | None:
    """Return the mean PSNR of the test images, None for a task whose outputs are no images."""
    psnr = outcome.test.get("psnr")
    if psnr is None:
        return None
    return Measurement(
        value=mean(psnr), unit=UNIT, title=TITLE, direction=DIRECTION, detail=detail(psnr, "PSNR")
    )


def per_image(output: Tensor, target: Tensor) -> Tensor:
    """Return the PSNR of each image in dB.

    Args:
        output: (n, c, h, w), with a peak of 1.
        target: the same shape.

    Returns:
        (n,), at most 100.
    """
    error = (output - target).square().mean((1, 2, 3))
    return -10 * torch.log10(error.clamp_min(LEAST_ERROR))
