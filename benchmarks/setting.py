"""The machine, the images and the sizes that a run of the benchmarks is about."""

import hashlib
import importlib.metadata
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ablate import environment, records
from ablate.data import DataError, Unavailable, open_data
from benchmarks import fresh, work
from benchmarks.results import Row

HERE = Path(__file__).parent
PACKAGES = ("pytorch-lightning", "timm")  # beside those that every record names


class Refused(ValueError):
    """The benchmarks cannot run as asked; the message says why and what to do instead."""


@dataclass(frozen=True)
class Sizes:
    """How much one trial trains and tests."""

    width: int  # channels of the first layer
    batch: int
    train: int  # images, a whole number of batches
    epochs: int
    test: int  # images


@dataclass(frozen=True)
class Setting:
    """What stays the same in a run of the benchmarks."""

    folder: Path  # of its raw results
    quick: bool  # proves that the benchmarks work; its numbers mean nothing
    rounds: int
    seeds: int
    cores: int
    precision: str  # that ablate chooses on this machine
    environment: dict[str, Any]
    data: dict[str, Any]  # {"component", "digest"}
    title: str  # of the images
    photographs: bool  # else noise, on which accuracy means nothing
    statistics: tuple[list[float], list[float]]

    def job(
        self,
        network: str,
        sizes: Sizes,
        seed: int,
        threads: int,
        precision: str | None = None,
        workers: int = 0,
    ) -> dict[str, Any]:
        """Return one (variant, seed) to be trained."""
        return work.job(
            network,
            width=sizes.width,
            batch=sizes.batch,
            epochs=sizes.epochs,
            sizes=(sizes.train, sizes.test),
            precision=precision or self.precision,
            threads=threads,
            data=self.data,
            statistics=self.statistics,
            seed=seed,
            workers=workers,
        )


@dataclass(frozen=True)
class Step:
    """One thing to be measured: it is there when its section has rows with its key."""

    section: str
    key: Row
    guess: float  # seconds that it takes on two cores
    measure: Callable[[], list[Row]]


def make(
    results: Path, images: Path | None, quick: bool, rounds: int | None, seeds: int | None
) -> Setting:
    """Look at the machine and the images; nothing is measured yet.

    Raises:
        Refused: the images cannot be used.
    """
    component, photographs = _component(results, images, quick)
    found = fresh.call("benchmarks.setting:describe", component)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    decides = {
        "code": _digest([HERE.parent / "ablate", HERE]),
        "data": found["data"],
        "cores": cores,
        "cpu": found["environment"]["cpu"],
        "python": found["environment"]["python"],
        "packages": found["environment"]["packages"],
        "precision": found["precision"],
        "quick": quick,
    }
    return Setting(
        folder=results / records.identity(decides)[:12],
        quick=quick,
        rounds=rounds or (1 if quick else 3),
        seeds=seeds or (2 if quick else 10),
        cores=cores or 1,
        precision=found["precision"],
        environment=found["environment"],
        data=found["data"],
        title=found["title"],
        photographs=photographs,
        statistics=found["statistics"],
    )


def describe(component: dict[str, Any]) -> dict[str, Any]:
    """Return the machine, the precision to train in and the images. Loads torch."""
    from ablate.train import batches, precision

    dataset, _, _ = open_data(component, fallback=None, allow_fallback=False)
    if dataset.train.images.shape[-1] != 3:
        raise Refused(f"{dataset.title} is not in colour; the peers' loops are for RGB images")
    described = environment.describe("cpu")
    described["packages"] |= {name: _version(name) for name in PACKAGES}
    statistics = [part.tolist() for part in batches.channel_statistics(dataset.train)]
    return {
        "environment": described,
        "precision": precision.choose("auto", "cpu")[0],
        "data": {"component": component, "digest": dataset.digest},
        "title": dataset.title,
        "statistics": statistics,
    }


def _component(results: Path, images: Path | None, quick: bool) -> tuple[dict[str, Any], bool]:
    """Return the data set to use, and whether it shows anything."""
    if images is not None:
        return _checked({"name": "folder", "path": str(images.resolve()), "size": None}), True
    if not quick:
        try:
            return _checked({"name": "cifar10"}), True
        except Unavailable:
            pass
    count = 16 if quick else 512
    place = results.resolve() / f"noise{count}"
    return _checked({"name": "folder", "path": str(_noise(place, count))}), False


def _checked(component: dict[str, Any]) -> dict[str, Any]:
    try:
        open_data(component, fallback=None, allow_fallback=False)
    except Unavailable:
        raise
    except DataError as error:
        raise Refused(str(error)) from error
    return component


def _noise(place: Path, each: int) -> Path:
    """Write a folder of seeded noise, so many training images of each of ten classes."""
    noise = np.random.RandomState(0)
    for split, count in (("train", each), ("test", max(1, each // 4))):
        for label in range(10):
            folder = place / split / f"class{label}"
            folder.mkdir(parents=True, exist_ok=True)
            for number in range(count):
                pixels = noise.randint(0, 256, (32, 32, 3)).astype(np.uint8)
                path = folder / f"{number:04}.png"
                if not path.exists():
                    Image.fromarray(pixels).save(path)
    return place


def _digest(folders: Sequence[Path]) -> str:
    """Return the SHA-256 of all code that has a part in what is measured."""
    state = hashlib.sha256()
    for folder in folders:
        for path in sorted(folder.rglob("*.py")):
            if path != HERE / "page.py":  # how tables look changes no number
                state.update(f"{path.relative_to(folder)}\n".encode() + path.read_bytes())
    return state.hexdigest()


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
