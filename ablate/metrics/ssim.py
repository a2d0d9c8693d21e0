"""SSIM: the structural similarity of test images and their targets, mean over images.

Wang, Bovik, Sheikh, Simoncelli 2004, "Image quality assessment: from error visibility to structural
similarity", IEEE Transactions on Image Processing 13(4), equation 13: a Gaussian window of 11x11
pixels with a deviation of 1.5, K1 = 0.01, K2 = 0.03, variances without Bessel's correction; the map
is averaged over all windows that lie within the image, and over channels. It is what
`skimage.metrics.structural_similarity` gives with `gaussian_weights=True, sigma=1.5,
use_sample_covariance=False`.

Outputs are clipped, and pixels at the border left out, as for PSNR. Measured after the last epoch,
in evaluation mode, on every test example once.
"""

from typing import Final

import torch
from torch import Tensor

from ablate.metrics import Outcome
from ablate.metrics._scores import detail, mean
from ablate.records import Measurement

TITLE: Final = "SSIM"
UNIT: Final = ""
DIRECTION: Final = "higher"
KIND: Final = "trial"

WINDOW: Final = 11  # pixels
DEVIATION: Final = 1.5  # of the window's Gaussian, pixels
C1: Final = 0.01**2  # (K1 peak)² and (K2 peak)², with a peak of 1
C2: Final = 0.03**2


def measure(outcome: Outcome) -> Measurement | None:
    """Return the mean SSIM of the test images, None for a task whose outputs are no images."""
    ssim = outcome.test.get("ssim")
    if ssim is None:
        return None
    return Measurement(
        value=mean(ssim), unit=UNIT, title=TITLE, direction=DIRECTION, detail=detail(ssim, "SSIM")
    )


def per_image(output: Tensor, target: Tensor) -> Tensor:
    """Return the SSIM of each image.

    Args:
        output: (n, c, h, w), with a peak of 1; h and w at least 11.
        target: the same shape.

    Returns:
        (n,), at most 1.
    """
    height, width = output.shape[2:]
    down, across = _windows(height).to(output), _windows(width).to(output)
    # Variances are unmoved by a shift; around the mean, squares lose fewer digits in float32.
    middle = target.mean((2, 3), keepdim=True)
    x, y = output - middle, target - middle
    # Matrix products: a GPU's convolutions would round to 10 bits (TF32).
    mean_x, mean_y, square_x, square_y, product = (
        down @ image @ across.T for image in (x, y, x * x, y * y, x * y)
    )
    variance_x, variance_y = square_x - mean_x**2, square_y - mean_y**2
    covariance = product - mean_x * mean_y
    mean_x, mean_y = mean_x + middle, mean_y + middle
    luminance = (2 * mean_x * mean_y + C1) / (mean_x**2 + mean_y**2 + C1)
    structure = (2 * covariance + C2) / (variance_x + variance_y + C2)
    return (luminance * structure).mean((1, 2, 3))


def _windows(side: int) -> Tensor:
    """Return a matrix (side - 10, side) that averages a column of pixels by each window."""
    first = torch.arange(side - WINDOW + 1)[:, None]
    distance = torch.arange(side) - first - WINDOW // 2
    weights = torch.exp(-(distance**2) / (2 * DEVIATION**2)) * (distance.abs() <= WINDOW // 2)
    return weights / weights.sum(1, keepdim=True)
