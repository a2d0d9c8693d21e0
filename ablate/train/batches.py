"""The data set on the device and one gather per batch: shift, mirror and normalise together.

What a trial sees is decided before the first step: the order and the augmentation of every epoch
are drawn on the CPU from streams of their own (`seeds.py`), so they are equal for every network,
device and number of trials side by side.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ablate.data import Split
from ablate.train.seeds import stream

PAD = 4  # pixels that a crop may shift by, as in He et al. 2016, arXiv 1512.03385, section 4.2
CUTOUT = 0.5  # side of the square that is cut out, as a share of the image's shorter side


@dataclass(frozen=True)
class Images:
    """A split on the device.

    `images` is uint8 (n, h + 2 pad, w + 2 pad, c), padded with black; `targets` is (n, …). Targets
    with a value for each pixel, (n, h, w, …), are padded with zeros and go where their pixels go.
    """

    images: Tensor
    targets: Tensor
    pad: int
    mean: Tensor  # per channel, on the scale 0…255
    std: Tensor

    def __len__(self) -> int:
        return len(self.images)

    @property
    def is_paired(self) -> bool:
        """Whether the targets have a value for each pixel."""
        return _are_paired(self.images.shape, self.targets.shape)


@dataclass(frozen=True)
class Schedule:
    """Which examples make up each batch of an epoch, and how each is augmented."""

    order: Tensor  # int64 (steps, batch)
    shift: Tensor  # int64 (steps, batch, 2): rows and columns cut off at the top left
    flip: Tensor  # bool (steps, batch)
    # float32 (steps, batch, 2): centre of what is cut out, as shares of height and width; or None
    hole: Tensor | None = None


def channel_statistics(split: Split) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation of each channel, on the scale 0…255, shapes (c,)."""
    channels = split.images.shape[-1]
    counts = np.zeros((channels, 256), np.int64)  # of every value: exact, and quickly counted
    for start in range(0, len(split.images), 1024):  # in parts: no wider copy of the whole set
        part = split.images[start : start + 1024].reshape(-1, channels)
        for channel in range(channels):
            counts[channel] += np.bincount(part[:, channel], minlength=256)
    values, total = np.arange(256), counts[0].sum()
    mean = counts @ values / total
    variance = counts @ values**2 / total - mean**2
    std = np.sqrt(np.maximum(variance, 1e-12))
    return torch.from_numpy(mean).float(), torch.from_numpy(std).float()


def to_device(
    split: Split, rows: Tensor | None, pad: int, statistics: tuple[Tensor, Tensor], device: str
) -> Images:
    """Copy a split (or some rows of it) to the device, padded once.

    Args:
        split: the images and targets.
        rows: int64 (k,), which examples to take; None takes all.
        pad: pixels of black around each image.
        statistics: mean and standard deviation per channel of the training images.
        device: cpu, cuda or mps.
    """
    chosen = slice(None) if rows is None else rows.numpy()
    images = torch.from_numpy(np.ascontiguousarray(split.images[chosen])).to(device)
    targets = torch.from_numpy(np.ascontiguousarray(split.targets[chosen])).to(device)
    if pad:
        if _are_paired(split.images.shape, split.targets.shape):
            targets = _padded(targets, pad)
        images = _padded(images, pad)
    mean, std = (statistic.to(device) for statistic in statistics)
    return Images(images, targets, pad, mean, std)


def size(split: Split, pad: int) -> int:
    """Return the bytes that an example takes on the device, its targets included."""
    _, height, width, _ = split.images.shape
    image: int = split.images[:1].nbytes
    target: int = split.targets[:1].nbytes
    if _are_paired(split.images.shape, split.targets.shape):
        image, target = image + target, 0
    padded: int = image * (height + 2 * pad) * (width + 2 * pad) // (height * width)
    return padded + target


def _are_paired(images: Sequence[int], targets: Sequence[int]) -> bool:
    """Whether targets of that shape have a value for each pixel of images of that shape."""
    return len(targets) > 2 and tuple(targets[1:3]) == tuple(images[1:3])


def _padded(pixels: Tensor, pad: int) -> Tensor:
    """Return (n, h, w, …) with so many zeros around each (h, w)."""
    rest = (0, 0) * (pixels.ndim - 3)
    return torch.nn.functional.pad(pixels, (*rest, pad, pad, pad, pad))


def subset(images: int, wanted: int | None, seed: int) -> Tensor | None:
    """Return the rows of this seed's training subset, sorted; None where all are wanted."""
    if wanted is None or wanted >= images:
        return None
    return torch.randperm(images, generator=stream(seed, "subset"))[:wanted].sort().values


def schedules(
    images: int, batch: int, epochs: int, augment: Sequence[str], pad: int, seed: int
) -> Iterator[Schedule]:
    """Yield one epoch after the other.

    Every example comes at least once an epoch; the last batch is filled up with the epoch's first
    examples, so that all batches have one size.
    """
    order, draws, holes = (stream(seed, purpose) for purpose in ("order", "augment", "cutout"))
    steps = -(-images // batch)
    for _ in range(epochs):
        permutation = torch.randperm(images, generator=order)
        filled = permutation.repeat(-(-steps * batch // images))[: steps * batch]
        # Drawn whether used or not: switching one augmentation off leaves the others' draws alone.
        shift = torch.randint(0, 2 * pad + 1, (steps, batch, 2), generator=draws)
        flip = torch.rand((steps, batch), generator=draws) < 0.5
        if "crop" not in augment:
            shift = torch.full_like(shift, pad)
        if "flip" not in augment:
            flip = torch.zeros_like(flip)
        hole = torch.rand((steps, batch, 2), generator=holes) if "cutout" in augment else None
        yield Schedule(filled.view(steps, batch), shift, flip, hole)


def gather(
    data: Images, order: Tensor, shift: Tensor, flip: Tensor, hole: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Return a batch, cropped, mirrored, normalised and with a square cut out.

    Args:
        data: the images, padded by `data.pad`.
        order: int64 (b,), which ones.
        shift: int64 (b, 2), the top left corner of each crop within the padded image.
        flip: bool (b,), which ones are mirrored left to right.
        hole: float32 (b, 2), where the centre of each square is that becomes the mean (DeVries and
            Taylor 2017, arXiv 1708.04552); what of it lies outside of the image is lost. Targets
            are left whole.

    Returns:
        float32 (b, c, h, w) in channels_last memory, and the targets (b, …).
    """
    tall, wide = data.images.shape[1:3]
    height, width = tall - 2 * data.pad, wide - 2 * data.pad
    device = data.images.device
    rows = shift[:, 0, None] + torch.arange(height, device=device)  # (b, h)
    columns = torch.arange(width, device=device).expand(len(order), width)
    columns = torch.where(flip[:, None], width - 1 - columns, columns) + shift[:, 1, None]  # (b, w)
    # One index into all pixels: twice as fast on a CPU as an index an axis.
    places = ((order[:, None] * tall + rows) * wide)[:, :, None] + columns[:, None, :]  # (b, h, w)
    images = normalise(data, _at(data.images, places))
    if hole is not None:
        images.masked_fill_(_square(hole, height, width)[:, None], 0)  # in place: channels_last
    return images, _at(data.targets, places) if data.is_paired else data.targets[order]


def plain(data: Images, start: int, stop: int) -> tuple[Tensor, Tensor]:
    """Return examples start…stop as they are, and their targets.

    Returns:
        float32 (b, c, h, w), normalised, in channels_last memory, and (b, …).
    """
    inner = slice(data.pad, data.images.shape[1] - data.pad)
    across = slice(data.pad, data.images.shape[2] - data.pad)
    targets = data.targets[start:stop]
    if data.is_paired:
        targets = targets[:, inner, across]
    return normalise(data, data.images[start:stop, inner, across]), targets


def _at(pixels: Tensor, places: Tensor) -> Tensor:
    """Return what is at places (b, h, w) of (n, tall, wide, …): (b, h, w, …)."""
    rest = pixels.shape[3:]
    return pixels.view(-1, *rest).index_select(0, places.view(-1)).view(*places.shape, *rest)


def _square(hole: Tensor, height: int, width: int) -> Tensor:
    """Return bool (b, h, w), which pixels lie in the squares around these centres."""
    side = round(CUTOUT * min(height, width))
    axes = []
    for axis, length in enumerate((height, width)):
        begin = (hole[:, axis, None] * length).long() - side // 2
        pixel = torch.arange(length, device=hole.device)
        axes.append((pixel >= begin) & (pixel < begin + side))
    return axes[0][:, :, None] & axes[1][:, None, :]


def normalise(data: Images, pixels: Tensor) -> Tensor:
    """Turn uint8 (b, h, w, c) into float32 (b, c, h, w) of mean 0 and deviation 1 per channel."""
    return ((pixels.float() - data.mean) / data.std).permute(0, 3, 1, 2)
