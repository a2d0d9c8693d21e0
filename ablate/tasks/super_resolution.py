"""Super-resolution by 2: an image from its 2x2 mean, by the pixelwise error.

What should come out is the image itself, what goes in the mean of each 2x2 cell of it. So pixel
centres agree: an input pixel lies in the middle of its four output pixels, as interpolation with
`align_corners=False` has it, and a network is not asked to shift the picture by half a pixel.

The loss is L1, the mean absolute error of the normalised values. PSNR is the squared error, so that
L2 would seem the loss to take, and was (Dong et al. 2014, arXiv 1501.00092); networks trained for
PSNR have since been trained with L1, which converges better and ends with no lower PSNR (Zhao et
al. 2015, arXiv 1511.08861; Lim et al. 2017, arXiv 1707.02921; the survey by Wang, Chen, Hoi 2020,
arXiv 1902.06068). `loss: l2` takes the squared error.

Scores: `psnr` and `ssim` of pictures (values clipped to 0…255, a border as wide as the scale left
out) and the phase variance of residuals, by which checkerboards are found (values as they are, 4
pixels left out at each border); the outputs' and the targets' own and that of white noise beside
it; and the power of residuals and targets at the lattice's frequencies and around them. Formulas
and sources: the files of `metrics/`.

Images that were stored as JPEG are refused: they carry lattices of their own (8x8 blocks, colour
at half the resolution), and a network that learned the task well would be blamed for them. The
augmentation `crop` shifts images over black, whose edge is then a target too; `augment: [flip]`
does without.
"""

from functools import cache
from typing import Final, Literal

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from ablate.data import Dataset
from ablate.metrics import lattice_contrast, phase_variance, psnr, ssim
from ablate.tasks import Task
from ablate.train.batches import channel_statistics

PRIMARY = "psnr"
MARGIN = 0.1  # dB
LOSSLESS: Final = True

SCALE: Final = 2
BORDER: Final = SCALE  # pixels that pictures are not compared in, as is the convention
EDGE: Final = 4  # pixels left out where lattices are looked for: there padding shows
SMALLEST: Final = 16  # pixels: the least even side that holds SSIM's window within the border
PICTURES: Final = 6  # kept to be looked at


def build(dataset: Dataset, label_smoothing: float, *, loss: Literal["l1", "l2"] = "l1") -> Task:
    """Return the task of restoring the data set's images from half their resolution.

    Args:
        dataset: its images are what should come out; its targets play no part.
        label_smoothing: plays no part: there are no classes.
        loss: l1, the absolute error, or l2, the squared one.

    Raises:
        ValueError: sides are odd or too small, or the images were stored with a loss.
    """
    height, width, channels = dataset.train.images.shape[1:]
    sides = f"{dataset.title} has images of {height}x{width} pixels"
    if height % SCALE or width % SCALE:
        raise ValueError(
            f"{sides}; super-resolution halves both sides, so they must be even: crop them"
        )
    if min(height, width) < SMALLEST:
        raise ValueError(f"{sides}; super-resolution needs {SMALLEST}x{SMALLEST} or more")
    if dataset.lossy:
        raise ValueError(
            f"{dataset.title} were stored with a loss (JPEG), so their 8x8 blocks and subsampled "
            "colours put a lattice into the very targets of super-resolution; take the data set "
            "'patches', or PNG files that never were JPEG"
        )

    @cache  # counted when first asked for: networks are built many times before one is trained
    def statistics() -> tuple[Tensor, Tensor]:
        mean, std = channel_statistics(dataset.train)
        return mean.view(-1, 1, 1), std.view(-1, 1, 1)

    def pictures(images: Tensor) -> Tensor:
        """Return normalised images as pictures: values from 0 to 1, clipped."""
        mean, std = (statistic.to(images) for statistic in statistics())
        return ((images * std + mean) / 255).clamp(0, 1)

    def errors(output: Tensor, wanted: Tensor) -> Tensor:
        if output.shape != wanted.shape:  # else one would be spread over the other
            given, asked = tuple(output.shape[1:]), tuple(wanted.shape[1:])
            raise ValueError(
                f"the network gives {given} for each image where super-resolution asks for {asked}"
            )
        residual = output - wanted
        return residual.abs() if loss == "l1" else residual.square()

    def progress(output: Tensor, wanted: Tensor) -> dict[str, Tensor]:
        return {"psnr": psnr.per_image(*(_inner(pictures(x), BORDER) for x in (output, wanted)))}

    def scores(output: Tensor, wanted: Tensor) -> dict[str, Tensor]:
        shown = [_inner(pictures(images), BORDER) for images in (output, wanted)]
        residual, out, target = (_inner(x, EDGE) for x in (output - wanted, output, wanted))
        noise = phase_variance.of_white_noise(*target.shape[2:])
        (power, around), (target_power, target_around) = (
            lattice_contrast.per_image(x) for x in (residual, target)
        )
        return {
            "loss": errors(output, wanted).mean((1, 2, 3)),
            "psnr": psnr.per_image(*shown),
            "ssim": ssim.per_image(*shown),
            "phase_variance": phase_variance.per_image(residual),
            "output_phase_variance": phase_variance.per_image(out),
            "target_phase_variance": phase_variance.per_image(target),
            "white_noise_phase_variance": torch.full((len(output),), noise, device=output.device),
            "lattice_power": power,
            "lattice_surroundings": around,
            "target_lattice_power": target_power,
            "target_lattice_surroundings": target_around,
        }

    def keep(inputs: Tensor, output: Tensor, wanted: Tensor) -> dict[str, Tensor]:
        return {
            **{
                f"pictures_{name}": _bytes(pictures(images[:PICTURES]))
                for name, images in (("input", inputs), ("output", output), ("target", wanted))
            },
            "residual_spectrum": spectrum(_inner(output - wanted, EDGE)),
            "target_spectrum": spectrum(_inner(wanted, EDGE)),
        }

    return Task(
        input_shape=(channels, height // SCALE, width // SCALE),
        outputs=channels,
        examples=lambda images, targets: (avg_pool2d(images, SCALE), images),
        loss=lambda output, wanted: errors(output, wanted).mean(),
        scores=scores,
        means={"psnr": ("psnr", 1.0)},
        progress=progress,
        before=True,
        keep=keep,
        fixed=frozenset({"pictures_input", "pictures_target", "target_spectrum"}),
    )


def spectrum(images: Tensor) -> Tensor:
    """Return the power spectrum of images, without their means, the mean over all and channels.

    Args:
        images: (n, c, h, w).

    Returns:
        float32 (h, w), |FFT|² / (h w), the zero frequency in the centre; its mean is the mean
        variance of a channel (Parseval). The lattice of 2 pixels is the first row and column:
        half a cycle per pixel along one axis or both, with zero along the other.
    """
    centred = (images - images.mean((2, 3), keepdim=True)).cpu()
    power = torch.fft.fft2(centred, norm="ortho").abs().square().mean((0, 1))
    shifted: Tensor = torch.fft.fftshift(power)
    return shifted


def _inner(images: Tensor, border: int) -> Tensor:
    return images[..., border:-border, border:-border]


def _bytes(pictures: Tensor) -> Tensor:
    """Turn pictures (n, c, h, w), 0…1, into uint8 (n, h, w, c)."""
    return (pictures * 255).round().to(torch.uint8).permute(0, 2, 3, 1)
