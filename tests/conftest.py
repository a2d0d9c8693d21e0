"""Fixtures that several test files share."""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ablate import catalog


@pytest.fixture(scope="session")
def one_thread() -> None:
    """Networks this small are slower with more threads, and much slower beside other work."""
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def single_thread() -> Iterator[None]:
    """One thread for the tests of a module that compare bytes; afterwards as many as before."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder data set of 32x32 noise: 2 classes, 8 training and 4 test images of each."""
    folder = tmp_path_factory.mktemp("data") / "images"
    rng = np.random.default_rng(0)
    for split, count in (("train", 8), ("test", 4)):
        for name in ("cat", "dog"):
            place = folder / split / name
            place.mkdir(parents=True)
            for number in range(count):
                pixels = rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(place / f"{number}.png")
    return folder


@pytest.fixture
def here(
    tmp_path: Path, tiny_folder: Path, one_thread: None, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """An empty working directory with the folder data set in `images`.

    What is prepared of the data lies beside the data set, so that it is prepared once a session.
    """
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ABLATE_DATA", str(tiny_folder.parent / "prepared"))
    (tmp_path / "images").symlink_to(tiny_folder)
    return tmp_path


@pytest.fixture
def no_plugins(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A catalog without plugins, which is the same afterwards whatever was plugged in."""
    monkeypatch.setattr(catalog, "_plugins", {})
    catalog.options.cache_clear()
    yield
    catalog.options.cache_clear()
    for name in [name for name in sys.modules if name.startswith("ablate_plugin.")]:
        del sys.modules[name]
