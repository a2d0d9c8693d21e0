"""What peers take from the harness, so that all do the same work and only their loops differ.

Peers read images as torchvision's CIFAR10 has them, an array in memory of which every example is
made a PIL image: decoding files each time would cost them more.
"""

import functools
import json
from collections.abc import Callable, Mapping
from typing import Any

import torch
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from ablate import networks
from ablate.data import Dataset as Images
from ablate.data import Split, open_data
from ablate.suite.schema import Recipe
from ablate.train import batches
from ablate.train.loop import EVALUATION_BATCH, parameter_groups
from ablate.train.trial import assemble

Job = Mapping[str, Any]


class Pictures(Dataset[Any]):
    """Images and classes of some examples; the transform is given PIL images."""

    def __init__(self, split: Split, rows: Any, transform: Callable[[Any], Any] | None) -> None:
        self.images, self.targets = split.images[rows], split.targets[rows].tolist()
        self.transform = transform

    def __getitem__(self, index: int) -> tuple[Any, int]:
        image = Image.fromarray(self.images[index])
        return (self.transform(image) if self.transform else image), self.targets[index]

    def __len__(self) -> int:
        return len(self.images)


def recipe(job: Job) -> Recipe:
    """Return how the network is trained."""
    return Recipe.model_validate(job["config"]["recipe"])


def network(job: Job) -> nn.Module:
    """Return the network with the initial weights of the job's seed."""
    built, _, _ = assemble(job["config"], _dataset(job))
    networks.initialise(built, job["seed"])
    return built


def pictures(
    job: Job,
    augmented: Callable[[Any], Any] | None = None,
    plain: Callable[[Any], Any] | None = None,
) -> tuple[Pictures, Pictures]:
    """Return the training and the test examples, the rows that a trial of this seed has."""
    dataset, sizes = _dataset(job), job["config"]["data"]
    train = batches.subset(len(dataset.train), sizes["train_images"], job["seed"])
    test = batches.subset(len(dataset.test), sizes["test_images"], seed=-1)
    rows = [slice(None) if some is None else some.numpy() for some in (train, test)]
    return (
        Pictures(dataset.train, rows[0], augmented),
        Pictures(dataset.test, rows[1], plain),
    )


def loaders(job: Job, workers: int, persistent: bool) -> tuple[DataLoader[Any], DataLoader[Any]]:
    """Return DataLoaders of the augmented training and the plain test examples."""
    mean, std = normalisation(job)
    plain = [transforms.ToTensor(), transforms.Normalize(mean, std)]
    train, test = pictures(job, None, transforms.Compose(plain))
    side = train.images.shape[1:3]
    train.transform = transforms.Compose(
        [
            transforms.RandomCrop(side, padding=batches.PAD),
            transforms.RandomHorizontalFlip(),
            *plain,
        ]
    )
    more: dict[str, Any] = {
        "num_workers": workers,
        "persistent_workers": persistent and workers > 0,
    }
    return (
        DataLoader(train, batch_size=recipe(job).batch_size, shuffle=True, **more),
        DataLoader(test, batch_size=EVALUATION_BATCH, num_workers=workers),
    )


def normalisation(job: Job) -> tuple[list[float], list[float]]:
    """Return mean and standard deviation per channel on the scale 0…1, as torchvision has it."""
    return [value / 255 for value in job["mean"]], [value / 255 for value in job["std"]]


def optimizer(job: Job, network: nn.Module, fused: bool | None = None) -> torch.optim.SGD:
    """Return SGD with Nesterov momentum over the harness's parameter groups."""
    asked = recipe(job)
    return torch.optim.SGD(
        parameter_groups(network, asked),
        lr=asked.lr,
        momentum=asked.momentum,
        nesterov=True,
        fused=fused,
    )


def cycle(
    job: Job, optimizer: torch.optim.Optimizer, steps: int
) -> torch.optim.lr_scheduler.OneCycleLR:
    """Return the one-cycle schedule over all steps, with the momentum left alone."""
    asked = recipe(job)
    return torch.optim.lr_scheduler.OneCycleLR(
        optimizer, asked.lr, total_steps=steps, pct_start=asked.warmup, cycle_momentum=False
    )


def _dataset(job: Job) -> Images:
    return _opened(json.dumps(job["data"], sort_keys=True))


@functools.lru_cache(maxsize=1)  # a user's script opens its data once for all that it trains
def _opened(component: str) -> Images:
    dataset, _, _ = open_data(json.loads(component), fallback=None, allow_fallback=False)
    return dataset
