"""The patches data set: what is cut from where, and that nothing is shared or filtered."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ablate.data import DataError, Dataset, Split, Unavailable, cache_dir, digest_of, hold_out
from ablate.data import patches as patches_file
from ablate.data._cells import cells


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Keep what these tests prepare out of the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ABLATE_DATA", str(tmp_path_factory.mktemp("cache")))
        yield cache_dir()


@pytest.fixture(scope="module")
def patches(cache: Path) -> Dataset:
    return patches_file.load()


@pytest.fixture(scope="module")
def photographs() -> dict[str, np.ndarray]:
    """Return the pictures as documented, read by other means: halved by the mean of 2 x 2."""
    import skimage

    found = {}
    for name, (file, halved) in patches_file.PICTURES.items():
        with Image.open(Path(skimage.__file__).parent / "data" / file) as opened:
            assert opened.format == "PNG"
            picture = np.asarray(opened.convert("L"))
        if halved:
            height, width = (side // 2 for side in picture.shape)
            blocks = picture[: 2 * height, : 2 * width].reshape(height, 2, width, 2).astype(int)
            picture = ((blocks.sum((1, 3)) + 2) // 4).astype(np.uint8)
        found[name] = picture
    return found


def everywhere(picture: np.ndarray, first_rows: set[bytes]) -> Iterator[tuple[int, int]]:
    """Yield every place of a picture where 32 pixels of a row begin a wanted patch."""
    height, width = picture.shape
    for top in range(height - 31):
        line = picture[top].tobytes()
        for left in range(width - 31):
            if line[left : left + 32] in first_rows:
                yield top, left


@pytest.fixture(scope="module")
def places(
    patches: Dataset, photographs: dict[str, np.ndarray]
) -> dict[bytes, list[tuple[str, int, int]]]:
    """Return where each patch lies, found by comparing it with every place of every picture."""
    wanted = {image.tobytes() for split in (patches.train, patches.test) for image in split.images}
    first_rows = {patch[:32] for patch in wanted}
    found: dict[bytes, list[tuple[str, int, int]]] = {patch: [] for patch in wanted}
    for name, picture in photographs.items():
        for top, left in everywhere(picture, first_rows):
            patch = picture[top : top + 32, left : left + 32].tobytes()
            if patch in found:
                found[patch].append((name, top, left))
    return found


def rows(split: Split) -> list[bytes]:
    return [image.tobytes() for image in split.images]


def test_shapes_and_targets(patches: Dataset) -> None:
    assert patches.classes == []
    assert patches.validation is None
    for split, count in ((patches.train, 10_000), (patches.test, 1_000)):
        assert split.images.shape == (count, 32, 32, 1)
        assert split.targets.dtype == np.int64
        assert split.targets.shape == (count,)
        assert not split.targets.any()


def test_no_patch_is_flat_or_comes_twice(patches: Dataset) -> None:
    for split in (patches.train, patches.test):
        assert split.images.std(axis=(1, 2, 3)).min() >= 4
    assert len({*rows(patches.train), *rows(patches.test)}) == 11_000


def test_patches_occur_verbatim(places: dict[bytes, list[tuple[str, int, int]]]) -> None:
    assert {len(found) for found in places.values()} == {1}
    assert {name for ((name, _, _),) in places.values()} == set(patches_file.PICTURES)


def test_splits_share_no_pixel(
    patches: Dataset,
    photographs: dict[str, np.ndarray],
    places: dict[bytes, list[tuple[str, int, int]]],
) -> None:
    covered = {
        split: {name: np.zeros(picture.shape, bool) for name, picture in photographs.items()}
        for split in ("train", "test")
    }
    for split, examples in (("train", patches.train), ("test", patches.test)):
        for patch in rows(examples):
            ((name, top, left),) = places[patch]
            covered[split][name][top : top + 32, left : left + 32] = True
    for name in photographs:
        assert not (covered["train"][name] & covered["test"][name]).any()
        assert covered["train"][name].any()
        assert covered["test"][name].any()


def test_clusters_are_cells(
    patches: Dataset,
    photographs: dict[str, np.ndarray],
    places: dict[bytes, list[tuple[str, int, int]]],
) -> None:
    """The number of a cell, counted from the geometry as it is documented, is the cluster."""
    first, number = {}, 0
    for name, picture in photographs.items():
        first[name] = number
        number += (picture.shape[0] // 64) * (picture.shape[1] // 64)
    assert number == 409
    for split, test in ((patches.train, False), (patches.test, True)):
        assert split.clusters is not None
        for patch, cluster in zip(rows(split), split.clusters.tolist(), strict=True):
            ((name, top, left),) = places[patch]
            height, width = (side // (side // 64) for side in photographs[name].shape)
            row, column = top // height, left // width
            assert ((top + 31) // height, (left + 31) // width) == (row, column)
            columns = photographs[name].shape[1] // 64
            assert cluster == first[name] + row * columns + column
            assert ((column + 2 * row) % 3 == 0) == test


def test_cells_have_equally_many(patches: Dataset) -> None:
    for split, used in ((patches.train, 258), (patches.test, 128)):
        counts = np.unique(split.clusters, return_counts=True)[1]
        assert len(counts) == used
        assert counts.max() - counts.min() <= 1
        assert f"{used} " in patches.notes[1]


def test_cells_that_are_mostly_flat_are_left_out(photographs: dict[str, np.ndarray]) -> None:
    """Whether a quarter of a cell's patches vary by 4 grey levels, from every one of them."""
    most = patches_file.load(train_patches=300, test_patches=150)
    for split, test in ((most.train, False), (most.test, True)):
        assert split.clusters is not None
        expected = set()
        for cell in cells(photographs):
            picture = list(photographs.values())[cell.label]
            region = picture[cell.top :, cell.left :][: cell.height, : cell.width]
            windows = np.lib.stride_tricks.sliding_window_view(region, (32, 32))
            lively = (windows[::2, ::2].std(axis=(2, 3)) >= 4).mean()
            if abs(lively - 0.25) < 0.02:  # every other place cannot tell
                lively = (windows.std(axis=(2, 3)) >= 4).mean()
            if cell.test == test and lively >= 0.25:
                expected.add(cell.number)
        assert set(split.clusters.tolist()) == expected


def test_loads_are_alike(patches: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    again = patches_file.load()  # from the cache
    monkeypatch.setenv("ABLATE_DATA", str(tmp_path))
    np.random.seed(1)  # nothing depends on the seeds of others
    anew = patches_file.load()
    assert patches.digest == again.digest == anew.digest
    assert anew.digest == digest_of(anew.train, None, anew.test)
    assert not any(dataset.lossy for dataset in (patches, again, anew))
    np.testing.assert_array_equal(patches.train.images, anew.train.images)


def test_patches_are_those_of_recorded_trials(patches: Dataset) -> None:
    """Trials are recorded under the digest: other bytes need another `VERSION`."""
    digest = "da7c28ea2f8f1b2161561bb040764fc14b9684966a8eadd95676eac64183a9ce"
    assert patches.digest == digest


def test_few_are_the_first_of_many(patches: Dataset) -> None:
    few = patches_file.load(train_patches=700, test_patches=3)
    np.testing.assert_array_equal(few.train.images, patches.train.images[:700])
    np.testing.assert_array_equal(few.train.clusters, patches.train.clusters[:700])
    np.testing.assert_array_equal(few.test.images, patches.test.images[:3])


def test_cells_suffice_for_the_most(photographs: dict[str, np.ndarray]) -> None:
    most = patches_file.cut(photographs, 50_000, 25_000)
    assert (len(most.train), len(most.test)) == (50_000, 25_000)
    for split in (most.train, most.test):
        # Few places of one picture look alike in all 1024 pixels; no place is drawn twice.
        assert len(set(rows(split))) > 0.9999 * len(split)


def test_other_pixels_in_test_cells_change_no_training_patch(
    photographs: dict[str, np.ndarray],
) -> None:
    painted = {name: picture.copy() for name, picture in photographs.items()}
    for cell in cells(photographs):
        if cell.test:
            picture = list(painted.values())[cell.label]
            region = picture[cell.top :, cell.left :][: cell.height, : cell.width]
            region[:] = 255 - region
    before = patches_file.cut(photographs, 600, 300)
    after = patches_file.cut(painted, 600, 300)
    np.testing.assert_array_equal(before.train.images, after.train.images)
    np.testing.assert_array_equal(after.test.images, 255 - before.test.images)


def test_hold_out(patches: Dataset) -> None:
    held = hold_out(patches, 500)
    assert held.validation is not None
    assert held.train.clusters is not None
    assert len(held.validation) == 500
    assert not {*held.train.clusters} & {*held.validation.clusters}
    assert not {*rows(held.train)} & {*rows(held.validation)}
    assert {*rows(held.train)} | {*rows(held.validation)} <= {*rows(patches.train)}
    dropped = 9_500 - len(held.train)
    assert 0 < dropped < 40  # the rest of one cell
    assert held.notes[-1] == (
        "500 of the 10,000 training images are held out for validation. "
        f"{dropped} more are dropped, since they share their origin with these."
    )
    assert held.lossy is False
    with pytest.raises(DataError) as caught:
        hold_out(patches, 9_999)
    assert str(caught.value) == (
        "patches (of 8 photographs): cannot hold 9,999 of 10,000 training images out: the data "
        "set (10,000 images of 258 clusters) would have none in training; ask for fewer"
    )


def phase_variance(picture: np.ndarray) -> float:
    """Return the variance of the means over the four phases of a 2 x 2 lattice, over that of all.

    By Parseval: what the discrete Fourier transform holds at the frequencies of the lattice.
    """
    height, width = (side // 2 * 2 for side in picture.shape)
    power = np.abs(np.fft.fft2(picture[:height, :width])) ** 2
    at = power[0, width // 2] + power[height // 2, 0] + power[height // 2, width // 2]
    return float(at / (power.sum() - power[0, 0]))


def test_pictures_carry_no_lattice(patches: Dataset, photographs: dict[str, np.ndarray]) -> None:
    """No picture has more of it than white noise would; and the docstring says how much."""
    label = {cell.number: cell.label for cell in cells(photographs)}
    shares: dict[int, list[float]] = {number: [] for number in range(len(photographs))}
    for split in (patches.train, patches.test):
        assert split.clusters is not None
        for patch, cluster in zip(split.images, split.clusters.tolist(), strict=True):
            shares[label[cluster]].append(phase_variance(patch[..., 0]))
    said = dict(
        line.split(maxsplit=1)
        for line in (patches_file.__doc__ or "").splitlines()
        if line.strip() and line.split()[0] in patches_file.PICTURES
    )
    assert said.keys() == photographs.keys()
    for number, (name, picture) in enumerate(photographs.items()):
        found, noise = phase_variance(picture), 3 / picture.size
        of_patches = np.mean(shares[number])
        assert found < noise
        assert of_patches < 3 / 1024
        height, width = picture.shape
        numbers = f"{width} x {height} {1e6 * found:.1f} ({1e6 * noise:.1f}) "
        numbers += f"{1e6 * of_patches:.0f} ({3e6 / 1024:.0f}) "
        assert " ".join(said[name].split()).startswith(numbers)


def test_says_what_it_is_not(patches: Dataset) -> None:
    assert patches.notes == [
        "patches has no classes: it is for tasks whose target is the image itself.",
        "Training and test patches come from 258 and 128 cells of the same photographs, which "
        "share no pixel; patches of one cell are not independent, so standard errors are clustered "
        "by cell.",
        "patches stands in where nothing can be downloaded; results on it are not to be cited.",
    ]


def test_without_a_photograph(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patches_file, "PICTURES", {"kidney": ("kidney.tif", False)})
    with pytest.raises(Unavailable) as caught:
        patches_file.pictures()
    assert str(caught.value) == (
        "the installed scikit-image lacks the photograph kidney.tif; "
        "pip install --force-reinstall scikit-image"
    )
