"""Images and trials so small that training takes a blink. RandomState: its streams never change."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ablate import records
from ablate.components import Network, Task, expand
from ablate.data import Dataset, open_data, with_validation
from ablate.execute import Job
from ablate.suite.schema import Recipe
from ablate.train.trial import run, spec_of

SIDE = 12  # pixels
NETWORK: dict[str, Any] = {"family": "staged", "stages": [[4], [6]]}
RECIPE: dict[str, Any] = {"epochs": 2, "batch_size": 16, "precision": "fp32"}

# A plugin whose layers draw random numbers.
DROPOUT = '''"""Half of the activations are dropped, the others doubled."""

ROOM = "blocks/act"
SAMPLE = {}

from torch import nn


def build(*, share: float = 0.5) -> nn.Module:
    return nn.Dropout(share)
'''


def draw(folder: Path, *, train: int = 40, test: int = 24, contrast: int = 0) -> Path:
    """Write a folder of noisy PNGs of two classes, so many of each, apart by their brightness."""
    noise = np.random.RandomState(0)
    for split, count in (("train", train), ("test", test)):
        for label, name in enumerate(("dark", "light")):
            place = folder / split / name
            place.mkdir(parents=True)
            for number in range(count):
                pixels = noise.randint(0, 256 - contrast, (SIDE, SIDE, 3)) + label * contrast
                Image.fromarray(pixels.astype(np.uint8)).save(place / f"{number:03}.png")
    return folder


def images(folder: Path, validation: int = 0) -> Dataset:
    dataset, _, _ = open_data({"name": "folder", "path": str(folder)}, None, False)
    return with_validation(dataset, validation)


def job(
    folder: Path,
    runs: Path,
    *,
    seed: int = 0,
    network: Mapping[str, Any] = NETWORK,
    recipe: Mapping[str, Any] = RECIPE,
    task: str | Mapping[str, Any] = "classify",
    sizes: Mapping[str, Any] | None = None,
    plugins: Mapping[str, Path] | None = None,
) -> dict[str, Any]:
    """Return a trial as an executor is given it."""
    parts = [expand(Task.model_validate(task)), expand(Network.model_validate(network))]
    assert [problems for _, problems in parts] == [[], []]
    sizes = {"train_images": None, "validation_images": 0, "test_images": None} | (sizes or {})
    config = {
        "task": parts[0][0],
        "network": parts[1][0],
        "recipe": Recipe(**recipe).model_dump(mode="json"),
        "data": sizes,
    }
    digest = images(folder, sizes["validation_images"]).digest
    digests = {
        name: records.identity({"file": p.read_text()}) for name, p in (plugins or {}).items()
    }
    return {
        "spec": spec_of(config, seed, digest, "fp32", "cpu", digests),
        "data": {"name": "folder", "path": str(folder)},
        "plugins": [str(path) for path in (plugins or {}).values()],
        "runs": str(runs),
    }


def record_of(job: Job) -> records.Record:
    found = records.read(Path(job["runs"]), "trial", records.identity(job["spec"]))
    assert found is not None
    return found


def trained(job: Job) -> records.Record:
    """Run a trial in this process and return its record."""
    *_, last = run(job)
    found = record_of(job)
    assert last == {
        "record": str(Path(job["runs"]) / "trials" / found.id),
        "status": found.status,
    }
    return found
