"""A split as training gets it: on the device whole, or in portions where memory is too small.

Either way a batch is the same examples with the same augmentation: a portion holds what the next
steps of the epoch's schedule ask for, and the schedule is rewritten to say where in the portion
they lie.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ablate.data import Split
from ablate.train import batches
from ablate.train.batches import Images, Schedule


@dataclass(frozen=True)
class Source:
    """Examples of a split, ready to be trained on or tested with.

    `whole` holds all of them on the device; it is None where they are too many, and come from
    `split` in portions of `at_once` examples.
    """

    split: Split
    rows: Tensor  # int64 (n,): which examples of the split, in order
    pad: int
    statistics: tuple[Tensor, Tensor]
    device: str
    at_once: int
    whole: Images | None

    def __len__(self) -> int:
        return len(self.rows)


def open_source(
    split: Split,
    rows: Tensor | None,
    pad: int,
    statistics: tuple[Tensor, Tensor],
    device: str,
    memory: int | None = None,
) -> Source:
    """Put a split (or some rows of it) on the device, if it takes no more than so many bytes.

    Args:
        split: the images and targets.
        rows: int64 (k,), which examples to take; None takes all.
        pad: pixels of black around each image.
        statistics: mean and standard deviation per channel of the training images.
        device: cpu, cuda or mps.
        memory: bytes that images and targets may take on the device at once; None: any number.
    """
    chosen = torch.arange(len(split)) if rows is None else rows
    each = batches.size(split, pad)
    if memory is None or len(chosen) * each <= memory:
        whole = batches.to_device(split, rows, pad, statistics, device)
        return Source(split, chosen, pad, statistics, device, len(chosen), whole)
    return Source(split, chosen, pad, statistics, device, max(1, memory // each), None)


def first(source: Source, count: int) -> Source:
    """Return the first examples of a source, at most so many."""
    whole = source.whole
    if whole is not None:
        whole = replace(whole, images=whole.images[:count], targets=whole.targets[:count])
    return replace(source, rows=source.rows[:count], whole=whole)


def portions(source: Source, epoch: Schedule) -> Iterator[tuple[Images, Schedule]]:
    """Yield images on the device and the steps to be taken with them, in the epoch's order."""
    if source.whole is not None:
        yield source.whole, _moved(epoch, source.device)
        return
    steps, batch = epoch.order.shape
    at_once = max(1, source.at_once // batch)
    for start in range(0, steps, at_once):
        taken = slice(start, start + at_once)
        # The steps of a portion name an example more than once where the last batch is filled up.
        wanted, places = epoch.order[taken].unique(return_inverse=True)  # type: ignore[no-untyped-call]  # untyped in torch
        hole = None if epoch.hole is None else epoch.hole[taken]
        some = Schedule(places.view(-1, batch), epoch.shift[taken], epoch.flip[taken], hole)
        yield _fetched(source, wanted), _moved(some, source.device)


def plain(source: Source, batch: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the examples in order and as they are, normalised, with their targets.

    Yields:
        float32 (b, c, h, w) in channels_last memory and (b, …), `batch` of them, the last time
        those that are left.
    """
    for start in range(0, len(source), batch):
        if source.whole is not None:
            yield batches.plain(source.whole, start, start + batch)
        else:
            stop = min(start + batch, len(source))
            some = _fetched(source, torch.arange(start, stop))
            yield batches.plain(some, 0, stop - start)


def _fetched(source: Source, places: Tensor) -> Images:
    rows = source.rows[places]
    return batches.to_device(source.split, rows, source.pad, source.statistics, source.device)


def _moved(epoch: Schedule, device: str) -> Schedule:
    hole = None if epoch.hole is None else epoch.hole.to(device)
    return Schedule(epoch.order.to(device), epoch.shift.to(device), epoch.flip.to(device), hole)
