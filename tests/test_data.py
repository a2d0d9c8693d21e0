"""The data sets' contract over every one that can be had here, and what each promises besides."""

import functools
import http.server
import inspect
import json
import os
import pickle
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, features

from ablate import catalog
from ablate.data import (
    DataError,
    Dataset,
    Split,
    Unavailable,
    assemble,
    cache_dir,
    digest_of,
    hold_out,
    open_data,
)
from ablate.data import cifar10 as cifar10_file
from ablate.data import folder as folder_file
from ablate.data import photos as photos_file
from ablate.data._cells import cells as cells_of
from ablate.data._prepared import prepared

USERS_CACHE = cache_dir()  # what is there already need not be fetched for a test

CLOSED = "http://127.0.0.1:9/cifar-10-python.tar.gz"  # a port on which nothing listens


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Keep what these tests prepare out of the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ABLATE_DATA", str(tmp_path_factory.mktemp("cache")))
        yield cache_dir()


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ABLATE_DATA", str(tmp_path / "cache"))
    return cache_dir()


@pytest.fixture(scope="module")
def photos(cache: Path) -> Dataset:
    return photos_file.load()


@pytest.fixture
def no_download(monkeypatch: pytest.MonkeyPatch) -> None:
    from torchvision.datasets import CIFAR10

    monkeypatch.setattr(CIFAR10, "url", CLOSED)
    monkeypatch.setattr(cifar10_file, "URL", CLOSED)


def save(path: Path, pixels: Any, **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(pixels, np.uint8)).save(path, **options)
    return path


def noise(seed: int, height: int = 8, width: int = 10, channels: int = 3) -> np.ndarray:
    return np.random.RandomState(seed).randint(0, 256, (height, width, channels)).astype(np.uint8)


def make_folder(root: Path, splits: tuple[str, ...] = ("train", "test")) -> Path:
    """Write a folder of PNG noise: 4 images for each of two classes in each split."""
    for k, split in enumerate(splits):
        for j, name in enumerate(("cat", "dog")):
            for n in range(4):
                save(root / split / name / f"{n}.png", noise(100 * k + 10 * j + n))
    return root


def toy(n: int = 60, clusters: bool = False, targets: np.ndarray | None = None) -> Dataset:
    """Return a data set of noise: class 0 has half of the images, 1 a third and 2 the rest."""
    labels = np.repeat([0, 1, 2], [n // 2, n // 3, n - n // 2 - n // 3]).astype(np.int64)
    origin = (np.arange(n) // 4).astype(np.int32)
    train = Split(
        noise(n, n, 6 * 6 * 3, 1).reshape(n, 6, 6, 3),
        labels if targets is None else targets,
        origin if clusters else None,
    )
    test = Split(
        noise(n + 1, n, 6 * 6 * 3, 1).reshape(n, 6, 6, 3),
        labels if targets is None else targets,
        origin + 1000 if clusters else None,
    )
    classes = ["a", "b", "c"] if targets is None else []
    return assemble(title="toy", classes=classes, train=train, test=test)


def splits_of(dataset: Dataset) -> dict[str, Split]:
    every = {"train": dataset.train, "validation": dataset.validation, "test": dataset.test}
    return {name: split for name, split in every.items() if split is not None}


def rows(split: Split) -> set[bytes]:
    return {image.tobytes() for image in split.images}


# The contract, over every data set in the catalog


def component(name: str, tmp: Path) -> dict[str, Any]:
    """Return a component for a data set; those that need no options need nothing here."""
    if name == "folder":
        return {"name": name, "path": str(make_folder(tmp / "contract", ("train", "val", "test")))}
    return {"name": name}


@pytest.fixture(scope="module", params=catalog.names("data"))
def loading(
    request: pytest.FixtureRequest, cache: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[], Dataset]]:
    """Return what loads a data set once more, for every data set that can be had."""
    name: str = request.param
    chosen = component(name, tmp_path_factory.mktemp(name))
    with pytest.MonkeyPatch.context() as patch:
        if name == "cifar10":  # taken from the user's cache, and never downloaded for a test
            from torchvision.datasets import CIFAR10

            patch.setattr(CIFAR10, "url", CLOSED)
            patch.setattr(cifar10_file, "URL", CLOSED)
            if any(USERS_CACHE.glob("**/cifar*10*")):
                patch.setenv("ABLATE_DATA", str(USERS_CACHE))
        try:
            open_data(chosen, None, False)
        except Unavailable as error:
            pytest.skip(str(error))
        yield lambda: open_data(chosen, None, False)[0]


def test_file_states_its_options() -> None:
    for name in catalog.names("data"):
        assert catalog.describe("data", name).endswith((".", "?"))
        parameters = inspect.signature(catalog.load("data", name).load).parameters.values()
        assert all(p.kind is p.KEYWORD_ONLY and p.annotation is not p.empty for p in parameters)
        catalog.options("data", name)


def test_contract(loading: Callable[[], Dataset]) -> None:
    dataset = loading()
    assert dataset.title
    assert all(note.endswith(".") and "\n" not in note for note in dataset.notes)
    for split in splits_of(dataset).values():
        assert split.images.dtype == np.uint8
        assert split.images.ndim == 4
        assert split.images.shape[1:] == dataset.train.images.shape[1:]
        assert split.images.shape[-1] in (1, 3)
        assert len(split) == len(split.images) == len(split.targets) > 0
        if dataset.classes:
            assert split.targets.dtype == np.int64
            assert split.targets.shape == (len(split),)
            assert np.unique(split.targets).tolist() == list(range(len(dataset.classes)))
        if split.clusters is not None:
            assert split.clusters.dtype == np.int32
            assert split.clusters.shape == (len(split),)
    clusters = [set(s.clusters) for s in splits_of(dataset).values() if s.clusters is not None]
    assert len(set().union(*clusters)) == sum(map(len, clusters))


def test_equal_options_give_equal_arrays(loading: Callable[[], Dataset]) -> None:
    first, second = loading(), loading()
    assert first.digest == second.digest == digest_of(first.train, first.validation, first.test)
    for one, other in zip(splits_of(first).values(), splits_of(second).values(), strict=True):
        np.testing.assert_array_equal(one.images, other.images)
        np.testing.assert_array_equal(one.targets, other.targets)


def test_one_pixel_changes_the_digest(loading: Callable[[], Dataset]) -> None:
    dataset = loading()
    images = dataset.test.images.copy()
    images[-1, -1, -1, -1] ^= 1
    test = Split(images, dataset.test.targets, dataset.test.clusters)
    assert digest_of(dataset.train, dataset.validation, test) != dataset.digest


def test_second_load_is_quick(loading: Callable[[], Dataset]) -> None:
    loading()
    start = time.process_time()
    loading()
    assert time.process_time() - start < 0.3


def test_torch_takes_the_arrays_as_they_are(loading: Callable[[], Dataset]) -> None:
    import torch

    train = loading().train
    assert torch.from_numpy(train.images).data_ptr() == train.images.ctypes.data


def test_held_out_images_are_not_trained_on(loading: Callable[[], Dataset]) -> None:
    dataset = loading()
    if dataset.validation is not None:
        with pytest.raises(DataError, match="has a validation split of its own"):
            hold_out(dataset, 1)
        return
    held = hold_out(dataset, len(dataset.train) // 10)
    assert held.validation is not None
    assert len(held.validation) == len(dataset.train) // 10
    if dataset.classes:
        shares = np.bincount(held.validation.targets) / np.bincount(dataset.train.targets)
        np.testing.assert_allclose(shares, 0.1, atol=0.01)
    if dataset.train.clusters is not None:
        assert not set(held.train.clusters) & set(held.validation.clusters)
    else:
        assert len(held.train) + len(held.validation) == len(dataset.train)


# Digests and the checks of `assemble`


@pytest.mark.parametrize("part", ["images", "targets", "clusters"])
def test_digest_covers_every_array(part: str) -> None:
    dataset = toy(clusters=True)
    arrays = {name: getattr(dataset.test, name) for name in ("images", "targets", "clusters")}
    changed = arrays[part].copy()
    changed.reshape(-1)[0] += 1
    assert digest_of(dataset.train, None, Split(**arrays | {part: changed})) != dataset.digest


def test_digest_tells_shapes_dtypes_and_splits_apart() -> None:
    zeros = Split(np.zeros((4, 2, 2, 1), np.uint8), np.zeros(4, np.int64))
    others = [
        Split(np.zeros((4, 4, 1, 1), np.uint8), np.zeros(4, np.int64)),
        Split(np.zeros((4, 2, 2, 1), np.uint8), np.zeros(8, np.int32)),
        Split(np.zeros((4, 2, 2, 1), np.uint8), np.zeros(4, np.int64), np.zeros(4, np.int32)),
    ]
    digests = [digest_of(zeros, None, other) for other in [zeros, *others]]
    digests += [digest_of(zeros, zeros, zeros), digest_of(zeros, others[0], zeros)]
    assert len(set(digests)) == len(digests)


def test_digest_does_not_depend_on_memory_layout() -> None:
    images = noise(0, 5, 7 * 9 * 3, 1).reshape(5, 7, 9, 3)
    strided = np.asfortranarray(images)
    targets = np.zeros(5, np.int64)
    plain, turned = Split(images, targets), Split(strided, targets)
    assert digest_of(plain, None, plain) == digest_of(turned, None, turned)


IMAGES = np.zeros((4, 8, 8, 3), np.uint8)
LABELS = np.array([0, 1, 0, 1])


@pytest.mark.parametrize(
    ("train", "test", "problem"),
    [
        (
            Split(IMAGES / 255, LABELS),
            None,
            "images are float64 (4, 8, 8, 3), not uint8 (n, h, w, c)",
        ),
        (Split(IMAGES[0], LABELS), None, "images are uint8 (8, 8, 3), not uint8 (n, h, w, c)"),
        (Split(IMAGES[:0], LABELS[:0]), None, "there are no images in it, (0, 8, 8, 3)"),
        (Split(IMAGES, LABELS[:3]), None, "4 images have 3 targets"),
        (Split(IMAGES, LABELS.astype(np.int32)), None, "targets are int32 (4,), not int64 (4,)"),
        (Split(IMAGES, LABELS + 1), None, "targets are 1…2, of 2 classes"),
        (Split(IMAGES, LABELS * 0), None, "there is no image of class 'dog' in it"),
        (Split(IMAGES, LABELS, LABELS), None, "clusters are int64 (4,), not int32 (4,)"),
        (None, Split(IMAGES[:, 1:], LABELS), "its images are (7, 8, 3), those of train (8, 8, 3)"),
        (None, Split(IMAGES, LABELS, np.full(4, 7, np.int32)), "cluster 7 is also in train"),
    ],
)
def test_broken_contract(train: Split | None, test: Split | None, problem: str) -> None:
    sound = Split(IMAGES, LABELS, np.full(4, 7, np.int32))
    with pytest.raises(DataError) as caught:
        assemble(
            title="mine",
            classes=["cat", "dog"],
            train=sound if train is None else train,
            test=sound if test is None else test,
        )
    where = "test" if train is None else "train"
    assert str(caught.value) == f"mine: the {where} split breaks the contract: {problem}"


# hold_out


def test_hold_out_is_stratified_and_disjoint() -> None:
    dataset = toy(60)
    held = hold_out(dataset, 12)
    assert held.validation is not None
    assert np.bincount(held.validation.targets).tolist() == [6, 4, 2]
    assert np.bincount(held.train.targets).tolist() == [24, 16, 8]
    assert rows(held.train) | rows(held.validation) == rows(dataset.train)
    assert not rows(held.train) & rows(held.validation)
    assert held.test is dataset.test
    assert held.notes == ["12 of the 60 training images are held out for validation."]


def test_hold_out_keeps_images_and_targets_together() -> None:
    dataset = toy(60)
    belongs = {
        image.tobytes(): target
        for image, target in zip(dataset.train.images, dataset.train.targets, strict=True)
    }
    for split in (hold_out(dataset, 12).train, hold_out(dataset, 12).validation):
        assert split is not None
        for image, target in zip(split.images, split.targets, strict=True):
            assert belongs[image.tobytes()] == target


def test_hold_out_is_independent_of_seeds() -> None:
    dataset = toy(60)
    np.random.seed(1)
    first = hold_out(dataset, 12)
    np.random.seed(2)
    second = hold_out(dataset, 12)
    assert first.validation is not None
    assert second.validation is not None
    np.testing.assert_array_equal(first.validation.images, second.validation.images)
    assert first.digest == second.digest


def test_hold_out_changes_the_digest_with_the_split() -> None:
    dataset = toy(60)
    digests = {dataset.digest, hold_out(dataset, 12).digest, hold_out(dataset, 13).digest}
    assert len(digests) == 3


def test_hold_out_keeps_clusters_whole() -> None:
    dataset = toy(60, clusters=True)
    held = hold_out(dataset, 12)
    assert held.validation is not None
    assert held.train.clusters is not None
    assert np.bincount(held.validation.targets).tolist() == [6, 4, 2]
    assert not set(held.train.clusters) & set(held.validation.clusters)
    dropped = 60 - 12 - len(held.train)
    assert dropped > 0
    assert held.notes[-1].endswith(
        f" {dropped} more are dropped, since they share their origin with these."
    )


@pytest.mark.parametrize(
    "targets",
    [
        np.arange(60, dtype=np.float16),
        np.arange(60, dtype=">i2"),
        np.arange(60) % 2 == 0,
        noise(5, 60, 6 * 6, 1).reshape(60, 6, 6, 1),
        np.linspace(0, 1, 60 * 36, dtype=np.float32).reshape(60, 6, 6),
        np.arange(60).astype("datetime64[s]"),
        np.arange(60) * 1j,
    ],
    ids=lambda targets: str(targets.dtype),
)
def test_hold_out_passes_any_targets_through(targets: np.ndarray, empty_cache: Path) -> None:
    dataset = toy(60, targets=targets)
    dataset = prepared("toy", str(targets.dtype), lambda: dataset)
    held = hold_out(dataset, 20)
    assert held.validation is not None
    assert held.validation.targets.dtype == held.train.targets.dtype == targets.dtype
    assert held.validation.targets.shape == (20, *targets.shape[1:])
    both = np.concatenate([held.train.targets, held.validation.targets])
    assert sorted(map(bytes, both)) == sorted(map(bytes, targets))


@pytest.mark.parametrize(
    ("images", "clusters", "problem"),
    [
        (60, False, "ask for at least one image of each class and fewer than there are"),
        (0, False, "ask for at least one image of each class and fewer than there are"),
        (2, False, "ask for at least one image of each class and fewer than there are"),
        (3, False, "class 'c' (10 images) would have none in validation; ask for more"),
        (58, False, "class 'c' (10 images) would have none in training; ask for fewer"),
        (
            45,
            True,
            "class 'c' (10 images of 3 clusters) would have none in training; ask for fewer",
        ),
    ],
)
def test_hold_out_refuses(images: int, clusters: bool, problem: str) -> None:
    with pytest.raises(DataError) as caught:
        hold_out(toy(60, clusters=clusters), images)
    assert str(caught.value) == f"toy: cannot hold {images} of 60 training images out: {problem}"


def test_hold_out_refuses_a_second_validation_split() -> None:
    with pytest.raises(DataError) as caught:
        hold_out(hold_out(toy(60), 12), 12)
    assert str(caught.value) == (
        "toy: cannot hold 12 of 48 training images out: "
        "it has a validation split of its own; use that one"
    )


# Where data are kept


def test_cache_dir(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for variable in ("ABLATE_DATA", "XDG_CACHE_HOME"):
        monkeypatch.delenv(variable, raising=False)
    assert cache_dir() == tmp_path / ".cache" / "ablate"
    monkeypatch.setenv("XDG_CACHE_HOME", "not/absolute")
    assert cache_dir() == tmp_path / ".cache" / "ablate"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_dir() == tmp_path / "xdg" / "ablate"
    monkeypatch.setenv("ABLATE_DATA", "~/data")
    assert cache_dir() == tmp_path / "data"


def refuse() -> Dataset:
    raise AssertionError("made although it was prepared")


def entry_of(cache: Path) -> Path:
    (entry,) = (cache / "prepared").iterdir()
    return entry


def test_prepared_once(empty_cache: Path) -> None:
    made = prepared("toy", [1, "a"], lambda: toy(clusters=True))
    again = prepared("toy", [1, "a"], refuse)
    assert made.digest == again.digest == digest_of(again.train, again.validation, again.test)
    assert (again.title, again.classes, again.notes) == ("toy", ["a", "b", "c"], [])
    assert again.validation is None
    assert prepared("toy", [1, "b"], lambda: toy(30)).digest != made.digest


def test_prepared_arrays_are_mapped_and_guarded(empty_cache: Path) -> None:
    first = prepared("toy", 0, toy)
    assert isinstance(first.train.images.base, np.memmap)
    first.train.images[:] = 0  # stays with this process
    again = prepared("toy", 0, refuse)
    assert again.digest == digest_of(again.train, None, again.test)


def test_prepared_keeps_a_validation_split(empty_cache: Path) -> None:
    held = hold_out(toy(), 12)
    again = prepared("toy", 0, lambda: held) and prepared("toy", 0, refuse)
    assert again.validation is not None
    assert held.validation is not None
    np.testing.assert_array_equal(again.validation.images, held.validation.images)


def cut_short(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


@pytest.mark.parametrize("damage", [cut_short, Path.unlink, lambda path: path.write_bytes(b"")])
@pytest.mark.parametrize("file", ["train.images.npy", "test.targets.npy", "meta.json"])
def test_damaged_entry_is_made_anew(
    empty_cache: Path, file: str, damage: Callable[[Path], None]
) -> None:
    digest = prepared("toy", 0, toy).digest
    damage(entry_of(empty_cache) / file)
    assert prepared("toy", 0, toy).digest == digest
    again = prepared("toy", 0, refuse)
    assert digest_of(again.train, None, again.test) == digest
    assert [path.name for path in (empty_cache / "prepared").iterdir()] == [
        entry_of(empty_cache).name
    ]


@pytest.mark.parametrize("text", ["[]", "{}", "null", '{"splits": 3}', '{"splits": {"train": {}}}'])
def test_entry_of_another_shape_is_made_anew(empty_cache: Path, text: str) -> None:
    prepared("toy", 0, toy)
    (entry_of(empty_cache) / "meta.json").write_text(text)
    assert prepared("toy", 0, toy).digest == toy().digest
    prepared("toy", 0, refuse)


def test_loss_is_kept_and_not_part_of_the_digest(empty_cache: Path) -> None:
    split = Split(IMAGES, LABELS)
    lossy, lossless = (
        assemble(title="mine", classes=["cat", "dog"], train=split, test=split, lossy=lossy)
        for lossy in (True, False)
    )
    assert (lossy.lossy, lossless.lossy, toy().lossy) == (True, False, False)
    assert lossy.digest == lossless.digest == digest_of(split, None, split)
    for dataset in (lossy, lossless):
        prepared("toy", dataset.lossy, lambda dataset=dataset: dataset)
        again = prepared("toy", dataset.lossy, refuse)
        assert again.lossy is hold_out(again, 2).lossy is dataset.lossy


def test_entry_that_does_not_know_of_loss_is_made_anew(empty_cache: Path) -> None:
    before = prepared("toy", 0, lambda: replace(toy(), lossy=True))
    file = entry_of(empty_cache) / "meta.json"
    meta = json.loads(file.read_text())
    del meta["lossy"]
    file.write_text(json.dumps(meta))
    made = prepared("toy", 0, lambda: replace(toy(), lossy=True))
    again = prepared("toy", 0, refuse)
    assert made.lossy is again.lossy is True
    assert made.digest == again.digest == before.digest
    assert file == entry_of(empty_cache) / "meta.json"  # nothing is left beside it


PREPARE = """
    import numpy as np
    from ablate.data import Split, assemble
    from ablate.data._prepared import prepared

    def make():
        images = np.arange({megabytes} * 2**18, dtype=np.uint32).view(np.uint8)
        split = Split(images.reshape(-1, 32, 32, 1), np.zeros({megabytes} * 2**10, np.int64))
        return assemble(title="large", classes=["a"], train=split, test=split)

    print(prepared("large", 0, make).digest)
"""


def prepare_elsewhere(megabytes: int) -> "subprocess.Popen[str]":
    code = textwrap.dedent(PREPARE.format(megabytes=megabytes))
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)


def test_kill_while_writing_leaves_nothing_that_is_opened(empty_cache: Path) -> None:
    writer = prepare_elsewhere(64)
    place = empty_cache / "prepared"
    while not list(place.glob(".large-*/train.images.npy")):
        assert writer.poll() is None, "it ended before it was seen writing"
        time.sleep(0.002)
    writer.send_signal(signal.SIGKILL)
    writer.communicate()
    (leftover,) = place.iterdir()
    assert leftover.name.startswith(".large-")
    again = prepare_elsewhere(64)
    digest, _ = again.communicate()
    assert again.returncode == 0
    entry = next(path for path in place.iterdir() if path != leftover)
    assert f'"digest": "{digest.strip()}"' in (entry / "meta.json").read_text()
    os.utime(leftover, (0, 0))  # as if a day had passed
    prepared("toy", 0, toy)
    assert not leftover.exists()
    assert entry.exists()


def test_several_may_prepare_at_once(empty_cache: Path) -> None:
    writers = [prepare_elsewhere(4) for _ in range(3)]
    digests = {writer.communicate()[0] for writer in writers}
    assert [writer.returncode for writer in writers] == [0, 0, 0]
    assert len(digests) == 1
    assert entry_of(empty_cache).name.startswith("large-")


def test_cache_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "file"
    file.write_text("in the way")
    monkeypatch.setenv("ABLATE_DATA", str(file))
    with pytest.raises(DataError) as caught:
        prepared("toy", 0, toy)
    assert str(caught.value) == (
        f"cannot keep the prepared images in {file}/prepared: Not a directory; "
        "make room there, or set ABLATE_DATA to a directory that has it"
    )


def test_importing_data_is_light() -> None:
    heavy = {"torch", "torchvision", "PIL", "skimage", "scipy"}
    code = f"import sys, ablate.data; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


# Fallbacks


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Add data sets of a user's own to the catalog: one to be had, two not, one broken."""
    bodies = {
        "mine": "return assemble(title='mine', classes=[], train=S, test=S)",
        "far": "raise Unavailable('the server is down', 'start it')",
        "farther": "raise Unavailable('there is no server')",
        "broken": "raise DataError('mine.npy: cut short')",
    }
    monkeypatch.setattr(catalog, "_plugins", {})
    for name, body in bodies.items():
        file = tmp_path / f"{name}.py"
        file.write_text(
            "import numpy as np\n"
            "from ablate.data import *\n"
            "from ablate.data import DataError, Dataset, Split, Unavailable, assemble\n"
            'ROOM = "data"\n'
            "S = Split(np.zeros((2, 4, 4, 1), np.uint8), np.zeros(2))\n"
            f"def load() -> Dataset:\n    {body}\n"
        )
        catalog.plug(file)
        monkeypatch.delitem(sys.modules, f"ablate_plugin.data.{name}", raising=False)
    catalog.options.cache_clear()


@pytest.mark.usefixtures("shelf")
def test_open_data() -> None:
    dataset, name, reason = open_data({"name": "mine"}, "far", True)
    assert (dataset.title, name, reason) == ("mine", "mine", None)
    dataset, name, reason = open_data({"name": "far"}, "mine", True)
    assert (dataset.title, name, reason) == ("mine", "mine", "the server is down")


@pytest.mark.usefixtures("shelf")
@pytest.mark.parametrize(
    ("name", "fallback", "allowed", "message"),
    [
        ("far", None, True, "the server is down; start it"),
        ("farther", None, True, "there is no server"),
        ("far", "mine", False, "the server is down; start it, or allow the fallback to 'mine'"),
        ("farther", "mine", False, "there is no server; allow the fallback to 'mine'"),
        (
            "far",
            "farther",
            True,
            "the server is down; nor can the fallback 'farther' be had: there is no server; "
            "start it",
        ),
        ("far", "far", True, "the server is down; start it"),
    ],
)
def test_open_data_says_what_to_do(
    name: str, fallback: str | None, allowed: bool, message: str
) -> None:
    with pytest.raises(Unavailable) as caught:
        open_data({"name": name}, fallback, allowed)
    assert str(caught.value) == message


@pytest.mark.usefixtures("shelf")
def test_fallback_hides_no_damage() -> None:
    with pytest.raises(DataError, match=r"^mine\.npy: cut short$"):
        open_data({"name": "broken"}, "mine", True)


def test_unavailable_crosses_processes() -> None:
    error = pickle.loads(pickle.dumps(Unavailable("the server is down", "start it")))
    assert (error.reason, error.instead) == ("the server is down", "start it")
    assert str(error) == "the server is down; start it"


# cifar10


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """Serve a wrong archive from this machine, as a login page of a network would."""
    (tmp_path / "www").mkdir()
    (tmp_path / "www" / "cifar-10-python.tar.gz").write_bytes(b"<html>Log in first</html>")

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args: Any) -> None:
            pass

    handler = functools.partial(Quiet, directory=str(tmp_path / "www"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}/cifar-10-python.tar.gz"
        running.shutdown()


def advice(cache: Path) -> str:
    return (
        "put cifar-10-python.tar.gz from www.cs.toronto.edu/~kriz/cifar.html into "
        f"{cache / 'cifar10'}, or use a folder of images (DATA=folder:PATH)"
    )


@pytest.mark.usefixtures("no_download")
def test_cifar10_without_a_network(empty_cache: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(Unavailable) as caught:
        cifar10_file.load()
    assert caught.value.reason == "CIFAR-10 cannot be had: the download failed (Connection refused)"
    assert caught.value.instead == advice(empty_cache)
    assert capfd.readouterr() == ("", "")
    assert socket.getdefaulttimeout() is None


def test_cifar10_is_asked_for_where_torchvision_asks() -> None:
    from torchvision.datasets import CIFAR10

    assert CIFAR10.url == cifar10_file.URL
    assert cifar10_file.URL.endswith(f"/{CIFAR10.filename}")
    assert CIFAR10.base_folder.startswith("cifar-10")


def test_cifar10_needs_no_torch_to_find_no_network(empty_cache: Path) -> None:
    code = (
        "import sys\n"
        "from ablate.data import Unavailable, cifar10\n"
        f"cifar10.URL = {CLOSED!r}\n"
        "try:\n    cifar10.load()\n"
        "except Unavailable as error:\n    print(error.reason, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == (
        "CIFAR-10 cannot be had: the download failed (Connection refused) False\n"
    )


@pytest.mark.usefixtures("no_download")
def test_cifar10_never_uses_half_an_archive(empty_cache: Path) -> None:
    archive = empty_cache / "cifar10" / "cifar-10-python.tar.gz"
    archive.parent.mkdir(parents=True)
    archive.write_bytes(b"\x1f\x8b half of it")
    with pytest.raises(Unavailable) as caught:
        cifar10_file.load()
    assert caught.value.reason == (
        "CIFAR-10 cannot be had: cifar-10-python.tar.gz in the cache is damaged, "
        "and downloading it again failed (Connection refused)"
    )


def test_cifar10_refuses_what_has_another_checksum(
    empty_cache: Path,
    server: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    from torchvision.datasets import CIFAR10

    monkeypatch.setattr(CIFAR10, "url", server)
    monkeypatch.setattr(cifar10_file, "URL", server)
    with pytest.raises(Unavailable) as caught:
        cifar10_file.load()
    assert caught.value.reason == (
        "CIFAR-10 cannot be had: the download failed "
        "(what arrived does not have the published checksum)"
    )
    assert capfd.readouterr() == ("", "")
    assert not (empty_cache / "prepared").exists()


def test_cifar10_gives_up_on_silence(empty_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from torchvision.datasets import CIFAR10

    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/cifar-10-python.tar.gz"
        monkeypatch.setattr(CIFAR10, "url", address)
        monkeypatch.setattr(cifar10_file, "URL", address)
        monkeypatch.setattr(cifar10_file, "PATIENCE", 0.3)
        with pytest.raises(Unavailable) as caught:
            cifar10_file.load()
    assert caught.value.reason == "CIFAR-10 cannot be had: the download failed (timed out)"
    assert socket.getdefaulttimeout() is None


@pytest.mark.usefixtures("no_download", "empty_cache")
def test_cifar10_falls_back_with_the_reason(tmp_path: Path) -> None:
    cache = cache_dir()
    reason = "CIFAR-10 cannot be had: the download failed (Connection refused)"
    with pytest.raises(Unavailable) as caught:
        open_data({"name": "cifar10"}, "photos", allow_fallback=False)
    assert str(caught.value) == f"{reason}; {advice(cache)}, or allow the fallback to 'photos'"


def test_cifar10_fallback_to_photos(photos: Dataset, no_download: None, cache: Path) -> None:
    dataset, name, reason = open_data({"name": "cifar10"}, "photos", allow_fallback=True)
    assert (dataset.digest, name) == (photos.digest, "photos")
    assert reason == "CIFAR-10 cannot be had: the download failed (Connection refused)"


# folder


def load_folder(path: Path, **options: Any) -> Dataset:
    return folder_file.load(path=str(path), **options)


def refusal(path: Path, **options: Any) -> str:
    with pytest.raises(DataError) as caught:
        load_folder(path, **options)
    assert not isinstance(caught.value, Unavailable)
    return str(caught.value)


def test_folder_reads_what_is_there(tmp_path: Path) -> None:
    dataset = load_folder(make_folder(tmp_path / "pets"))
    assert dataset.title == "images of pets (folder)"
    assert dataset.classes == ["cat", "dog"]
    assert dataset.validation is None
    assert dataset.notes == []
    assert dataset.train.images.shape == dataset.test.images.shape == (8, 8, 10, 3)
    assert dataset.train.targets.tolist() == [0, 0, 0, 0, 1, 1, 1, 1]
    expected = [noise(10 * j + n) for j in range(2) for n in range(4)]
    np.testing.assert_array_equal(dataset.train.images, expected)
    np.testing.assert_array_equal(dataset.test.images[5], noise(111))


def test_folder_title_is_only_a_name(tmp_path: Path) -> None:
    path = make_folder(tmp_path / "pets")
    plain, named = load_folder(path), load_folder(path, title="Pets")
    assert named.title == "Pets"
    assert named.digest == plain.digest


def test_folder_with_val_and_test(tmp_path: Path) -> None:
    dataset = load_folder(make_folder(tmp_path / "pets", ("train", "val", "test")))
    assert dataset.validation is not None
    np.testing.assert_array_equal(dataset.validation.images[0], noise(100))
    np.testing.assert_array_equal(dataset.test.images[0], noise(200))


def test_folder_with_val_alone(tmp_path: Path) -> None:
    dataset = load_folder(make_folder(tmp_path / "pets", ("train", "val")))
    assert dataset.validation is None
    np.testing.assert_array_equal(dataset.test.images[0], noise(100))
    assert dataset.notes == ["The folder has no test/: its val/ is the test split."]


def test_folder_leaves_other_files_out(tmp_path: Path) -> None:
    path = make_folder(tmp_path / "pets")
    (path / "train" / "cat" / "notes.txt").write_text("ears")
    (path / "train" / "cat" / "0.avif").write_bytes(b"")
    (path / "train" / "cat" / "._0.png").write_bytes(b"left by an archive")
    (path / "train" / ".git").mkdir()
    (path / "README").write_text("pets")
    dataset = load_folder(path)
    assert len(dataset.train) == 8
    assert dataset.notes == ["2 files are not among the images, by extension."]


def test_folder_says_that_files_are_jpeg(tmp_path: Path) -> None:
    path = make_folder(tmp_path / "pets")
    save(path / "test" / "cat" / "9.JPG", noise(9), format="JPEG")
    dataset = load_folder(path)
    assert len(dataset.test) == 9
    assert dataset.notes == [
        "JPEG files: chroma is usually subsampled, and blocks of 8 pixels show; "
        "artefacts of upsampling cannot be measured on them."
    ]


EXIF = Image.Exif()
EXIF[305] = "a camera"


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("9.png", {}),
        ("9.bmp", {}),
        ("9.jpg", {}),
        ("9.png", {"format": "JPEG"}),
        ("9.jpeg", {"format": "PNG"}),
        ("9.jpg", {"format": "MPO", "save_all": True}),
        ("9.webp", {}),
        ("9.webp", {"lossless": True}),
        ("9.webp", {"exif": EXIF}),
        ("9.webp", {"exif": EXIF, "lossless": True, "icc_profile": b"odd"}),
        ("9.webp", {"save_all": True}),
        ("9.webp", {"save_all": True, "lossless": True}),
        ("9.tif", {}),
        ("9.tif", {"compression": "tiff_lzw"}),
        ("9.tiff", {"compression": "jpeg"}),
        ("9.png", {"format": "JPEG2000", "irreversible": True}),
        ("9.png", {"format": "AVIF", "quality": 50}),
    ],
    ids=lambda it: it if isinstance(it, str) else "-".join(map(str, it)),
)
def test_folder_knows_of_a_loss(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, options: dict[str, Any]
) -> None:
    """One file among PNGs: whether it is stored with a loss shows in the pixels."""
    needed = {"JPEG2000": "jpg_2000", "AVIF": "avif"}.get(options.get("format", ""))
    if needed is not None and needed not in features.get_supported():
        pytest.skip(f"Pillow was built without {needed}")
    path = make_folder(tmp_path / "pets")
    more = [Image.fromarray(noise(8))] if "save_all" in options else []
    options = options | ({"append_images": more} if more else {})
    file = save(path / "test" / "cat" / name, noise(9), **options)
    with Image.open(file) as opened:
        lost = not np.array_equal(np.asarray(opened.convert("RGB")), noise(9))
    assert load_folder(path).lossy is lost
    monkeypatch.setattr(folder_file, "_read", lambda *_: refuse())
    assert load_folder(path, title="from the cache").lossy is lost
    file.unlink()
    monkeypatch.undo()
    assert load_folder(path).lossy is False


def test_folder_reads_every_format_and_mode(tmp_path: Path) -> None:
    path = make_folder(tmp_path / "pets")
    place = path / "train" / "cat"
    pixels = noise(1)
    for name in ("a.bmp", "b.PNG", "c.ppm", "d.TIF", "e.tiff", "f.Jpeg", "g.webp"):
        save(place / name, pixels, **({"lossless": True} if name.endswith("webp") else {}))
    rgba = np.concatenate([pixels, noise(2, channels=1)], axis=2)
    save(place / "h.png", rgba)
    palette = Image.fromarray(np.arange(80, dtype=np.uint8).reshape(8, 10), mode=None).convert("P")
    palette.putpalette(pixels.tobytes() + bytes(768 - 240))
    palette.save(place / "i.gif")
    palette.save(place / "j.png", transparency=bytes(range(80)))
    exif = Image.Exif()
    exif[274] = 3  # turned by 180 degrees
    save(place / "k.png", pixels[::-1, ::-1], exif=exif)
    save(place / "l.png", pixels[..., 0])
    dataset = load_folder(path)
    files = sorted(file.name for file in place.iterdir())
    for name in ("a.bmp", "b.PNG", "c.ppm", "d.TIF", "e.tiff", "g.webp", "h.png", "k.png"):
        np.testing.assert_array_equal(dataset.train.images[files.index(name)], pixels, name)
    for name in ("i.gif", "j.png"):
        np.testing.assert_array_equal(dataset.train.images[files.index(name)], pixels, name)
    grey = np.repeat(pixels[..., :1], 3, axis=2)
    np.testing.assert_array_equal(dataset.train.images[files.index("l.png")], grey)


def test_folder_of_grey_images_has_one_channel(tmp_path: Path) -> None:
    path = tmp_path / "digits"
    for split in ("train", "test"):
        for j, name in enumerate(("0", "1", "10", "2")):
            save(path / split / name / "a.png", noise(j, channels=1)[..., 0])
            save(path / split / name / "b.png", np.repeat(noise(9 + j, channels=1), 3, axis=2))
    dataset = load_folder(path)
    assert dataset.classes == ["0", "1", "10", "2"]
    assert dataset.train.images.shape == (8, 8, 10, 1)
    assert dataset.notes == ["All images are grey and have one channel."]
    np.testing.assert_array_equal(dataset.train.images[0], noise(0, channels=1))
    save(path / "test" / "2" / "c.png", noise(50))
    assert load_folder(path).train.images.shape == (8, 8, 10, 3)


def test_folder_size(tmp_path: Path) -> None:
    path = make_folder(tmp_path / "pets")
    wide = np.zeros((20, 60, 3), np.uint8)
    wide[:, 20:40] = 200  # the middle third
    save(path / "train" / "cat" / "wide.png", wide)
    dataset = load_folder(path, size=5)
    assert dataset.train.images.shape == (9, 5, 5, 3)
    inner = dataset.train.images[4][:, 1:-1]  # the outer columns blend with what lies beside
    np.testing.assert_array_equal(inner, np.full((5, 3, 3), 200))


def test_folder_with_threads_gives_the_same(tmp_path: Path) -> None:
    small, large = tmp_path / "small", tmp_path / "large"
    for split in ("train", "test"):
        for name in ("cat", "dog"):
            for n in range(6):
                pixels = noise(n, 90, 90)
                save(large / split / name / f"{n}.png", pixels)
                assert (large / split / name / f"{n}.png").stat().st_size > folder_file.THREADED
                save(small / split / name / f"{n}.png", pixels[:20, :20])
    pixels = load_folder(large).train.images
    np.testing.assert_array_equal(pixels[:, :20, :20], load_folder(small).train.images)


def test_folder_is_decoded_once(tmp_path: Path) -> None:
    path = make_folder(tmp_path / "pets")
    digest = load_folder(path).digest
    file = path / "train" / "dog" / "2.png"
    state = file.stat()
    file.write_bytes(bytes(state.st_size))  # no image any more, but of the same size
    os.utime(file, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert load_folder(path).digest == digest
    os.utime(file, ns=(state.st_atime_ns, state.st_mtime_ns + 1))
    assert "train/dog/2.png: not an image of a known format" in refusal(path)


def test_folder_sees_new_and_removed_files(tmp_path: Path) -> None:
    path = make_folder(tmp_path / "pets")
    first = load_folder(path).digest
    added = save(path / "train" / "cat" / "4.png", noise(77))
    second = load_folder(path)
    assert len(second.train) == 9
    added.unlink()
    assert len({first, second.digest}) == 2
    assert load_folder(path).digest == first


def test_folder_is_not_there(tmp_path: Path) -> None:
    path = tmp_path / "nowhere"
    assert (
        refusal(path)
        == f"{path}: there is no such folder; give the folder that holds train/ and test/"
    )


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("pets.tar.gz", "unpack it first: tar xzf pets.tar.gz"),
        ("pets.zip", "unpack it first: unzip pets.zip"),
        ("cat.png", "give the folder that holds train/ and test/"),
    ],
)
def test_folder_is_a_file(tmp_path: Path, name: str, advice: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"")
    assert refusal(path) == f"{path}: this is a file, not a folder of images; {advice}"


def test_folder_without_train(tmp_path: Path) -> None:
    path = make_folder(tmp_path / "pets", ("training", "test"))
    assert refusal(path) == (
        f"{path}: there is no train/ in it; expected train/<class>/ and test/<class>/, "
        "found test/, training/"
    )
    (tmp_path / "empty").mkdir()
    assert refusal(tmp_path / "empty").endswith(", found nothing")


def test_folder_without_test(tmp_path: Path) -> None:
    path = make_folder(tmp_path / "pets", ("train", "valid"))
    assert refusal(path) == (
        f"{path}: there is neither test/ nor val/ beside train/; found train/, valid/"
    )


def test_folder_without_classes(tmp_path: Path) -> None:
    path = tmp_path / "pets"
    save(path / "train" / "0.png", noise(0))
    save(path / "test" / "0.png", noise(1))
    assert refusal(path) == (
        f"{path}/train: expected a folder for each of two or more classes, found nothing"
    )


def test_folder_with_an_empty_class(tmp_path: Path) -> None:
    path = make_folder(tmp_path / "pets")
    for split in ("train", "test"):
        (path / split / "bird").mkdir()
    assert refusal(path) == (
        f"{path}/train: no images in bird/; expected files that end in "
        ".png, .jpg, .jpeg, .bmp, .webp, .gif, .ppm, .tif, .tiff"
    )


def test_folder_whose_test_has_other_classes(tmp_path: Path) -> None:
    path = make_folder(tmp_path / "pets")
    (path / "test" / "cat").rename(path / "test" / "Cat")
    assert refusal(path) == (
        f"{path}/test: its classes are not those of train/: without cat and with Cat besides"
    )


def test_folder_with_damaged_images(tmp_path: Path) -> None:
    path = make_folder(tmp_path / "pets")
    place = path / "train" / "cat"
    (place / "0.png").write_bytes(b"not an image")
    cut_short(place / "1.png")
    cut_short(save(place / "2.jpg", noise(3, 40, 40), format="JPEG"))
    Image.fromarray(np.arange(80, dtype=np.uint16).reshape(8, 10)).save(place / "3.png")
    (path / "test" / "dog" / "0.png").write_bytes(b"")
    assert refusal(path) == (
        f"{path}: 5 images of 17 cannot be read; replace or remove\n"
        "  train/cat/0.png: not an image of a known format\n"
        "  train/cat/1.png: damaged or cut short\n"
        "  train/cat/2.jpg: damaged or cut short\n"
        "  train/cat/3.png: more than 8 bits a pixel (mode I;16); convert it to 8 bits first\n"
        "  test/dog/0.png: not an image of a known format"
    )


def test_folder_counts_damaged_images_past_the_tenth(tmp_path: Path) -> None:
    path = make_folder(tmp_path / "pets")
    for n in range(12):
        (path / "test" / "cat" / f"x{n:02}.png").write_bytes(b"")
    lines = refusal(path).splitlines()
    assert lines[0] == f"{path}: 12 images of 28 cannot be read; replace or remove"
    assert len(lines) == 12
    assert lines[10:] == ["  test/cat/x09.png: not an image of a known format", "  and 2 more"]


def test_folder_with_images_of_several_sizes(tmp_path: Path) -> None:
    path = make_folder(tmp_path / "pets")
    save(path / "test" / "cat" / "9.png", noise(1, 5, 6))
    save(path / "train" / "dog" / "9.png", noise(1, 6, 5))
    save(path / "train" / "cat" / "9.png", noise(1, 5, 6))
    assert refusal(path) == (
        f"{path}: the images have 3 sizes (width x height): 10 x 8 (16), 6 x 5 (2), 5 x 6 (1); "
        "set `size` to bring all to one, for example size: 32"
    )


@pytest.mark.skipif(not hasattr(os, "sysconf"), reason="the amount of memory is not known here")
def test_folder_that_does_not_fit_into_memory(tmp_path: Path) -> None:
    path = make_folder(tmp_path / "pets")
    assert refusal(path, size=1_000_000).startswith(
        f"{path}: 16 images of 1000000 x 1000000 pixels are 48000 GB, and this machine has "
    )


# photos


def test_photos_are_balanced_and_grey(photos: Dataset) -> None:
    assert photos.train.images.shape == (14_000, 32, 32, 1)
    assert photos.test.images.shape == (7_000, 32, 32, 1)
    assert np.bincount(photos.train.targets).tolist() == [1000] * 14
    assert np.bincount(photos.test.targets).tolist() == [500] * 14
    assert photos.validation is None


def test_photos_has_no_constant_patch(photos: Dataset) -> None:
    for split in (photos.train, photos.test):
        assert split.images.std(axis=(1, 2, 3)).min() > 5


def test_photos_patches_are_distinct(photos: Dataset) -> None:
    assert not rows(photos.train) & rows(photos.test)
    assert len(rows(photos.train) | rows(photos.test)) == 21_000


def test_photos_cells_do_not_overlap() -> None:
    pictures = photos_file.pictures()
    covered = {
        label: np.zeros(picture.shape, int) for label, picture in enumerate(pictures.values())
    }
    cells = list(cells_of(pictures))
    assert [cell.number for cell in cells] == list(range(len(cells)))
    for cell in cells:
        assert min(cell.height, cell.width) >= max(photos_file.CROP)
        region = covered[cell.label][cell.top :, cell.left :][: cell.height, : cell.width]
        assert region.shape == (cell.height, cell.width)
        region += 1
    assert all(count.max() == 1 for count in covered.values())


def for_testing(picture: np.ndarray) -> np.ndarray:
    """Return which pixels lie in test cells, from the geometry as it is documented."""
    height, width = (side // (side // 64) for side in picture.shape)
    rows, columns = np.indices(picture.shape)
    row, column = rows // height, columns // width
    inside = (row < picture.shape[0] // 64) & (column < picture.shape[1] // 64)
    return inside & ((column + 2 * row) % 3 == 0)


def test_photos_splits_share_no_pixel() -> None:
    """Other pixels in all test cells change every test patch and not one training patch."""
    pictures = photos_file.pictures()
    painted = {name: np.where(for_testing(p), 255 - p, p) for name, p in pictures.items()}
    before = photos_file.cut(pictures, 700, 350)
    np.random.seed(1)  # nor does anything depend on the seeds of others
    after = photos_file.cut(painted, 700, 350)
    np.testing.assert_array_equal(before.train.images, after.train.images)
    np.testing.assert_array_equal(before.train.clusters, after.train.clusters)
    same = (before.test.images == after.test.images).all(axis=(1, 2, 3))
    assert not same.any()


def test_photos_clusters_are_cells(photos: Dataset) -> None:
    cells = {cell.number: cell for cell in cells_of(photos_file.pictures())}
    for split, test in ((photos.train, False), (photos.test, True)):
        assert split.clusters is not None
        for number, label in zip(split.clusters.tolist(), split.targets.tolist(), strict=True):
            assert (cells[number].label, cells[number].test) == (label, test)


def test_photos_gives_the_number_asked_for(empty_cache: Path) -> None:
    dataset = photos_file.load(train_patches=31, test_patches=14)
    assert (len(dataset.train), len(dataset.test)) == (31, 14)
    assert np.bincount(dataset.train.targets).tolist() == [3, 3, 3] + [2] * 11


def test_photos_are_those_of_recorded_trials(empty_cache: Path) -> None:
    """Trials are recorded under the digest: other bytes need another `VERSION`."""
    dataset = photos_file.load(train_patches=31, test_patches=14)
    assert dataset.digest == "670bd80de3fed0eac483833bc1a2876a67218c432922f9276348b77f55e9cd64"
    assert dataset.lossy
    assert any(file.endswith(".jpg") for file in photos_file.PICTURES.values())


def test_photos_says_what_it_is_not(photos: Dataset) -> None:
    said = " ".join(photos.notes)
    for word in ("texture", "receptive field", "dilation", "context", "not to be cited", "cell"):
        assert word in said


def test_photos_without_a_photograph(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(photos_file, "PICTURES", {"kidney": "kidney.tif"})
    with pytest.raises(Unavailable) as caught:
        photos_file.pictures()
    assert str(caught.value) == (
        "the installed scikit-image lacks the photograph kidney.tif; "
        "pip install --force-reinstall scikit-image"
    )
