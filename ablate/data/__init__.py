"""Data sets. One a file; the file's stem is its name in a suite.

Contract of a data set file:
    load(*, options) -> Dataset
        reads the images from where the options say, or fetches them, and returns all splits. The
        options are typed, so that a suite is refused before anything is read. Equal options and
        equal sources give equal arrays, whatever the machine, and hence one digest.
        Raises `Unavailable` where the images cannot be had here (no network, a library missing):
        a suite's fallback then takes their place. Raises `DataError` where they are there and
        unusable (a damaged file, a wrong layout): no fallback hides that.
    outline(*, options) -> Dataset
        if there is one: the title, classes and one black image a split, of the shape that all have,
        without loading anything, and "" as digest. It stands in where networks are measured and
        none is trained. Only where that shape is known beforehand; options as of `load`.

A file builds its `Dataset` with `assemble`, which holds it to what is promised below, and keeps it
in `_prepared.prepared`, so that decoding happens once and workers share the pages of the arrays.
Nothing is printed: what a reader must know is in `notes`.

Everything that is fetched or prepared lies in one place: `$ABLATE_DATA`, else `~/.cache/ablate`
(`$XDG_CACHE_HOME` is respected). It may be deleted at any time; the next run makes it again.
"""

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ablate import catalog

# Of the permutation by which `hold_out` chooses. Part of no configuration: a validation split that
# moved with a trial's seed would let every image be trained on and tuned on, in turn.
_HOLD_OUT_SEED = 20_240_607


class DataError(ValueError):
    """Images that cannot be used. The message says where, what is wrong and what to do instead."""


class Unavailable(DataError):
    """Images that cannot be had on this machine: a suite's fallback may take their place.

    Attributes:
        reason: why, in one line without a full stop; pages print it beside a fallback's results.
        instead: what a user may do about it, in one line without a full stop; may be empty.
    """

    def __init__(self, reason: str, instead: str = "") -> None:
        super().__init__(reason, instead)
        self.reason = reason
        self.instead = instead

    def __str__(self) -> str:
        return "; ".join(part for part in (self.reason, self.instead) if part)


@dataclass(frozen=True, eq=False)
class Split:
    """Examples: what goes in and what is to come out. The arrays are not to be written to.

    `images` is uint8 (n, h, w, c). `targets` is (n, …): int64 (n,) class numbers where the data set
    has classes, images or masks of any dtype for other tasks, zeros where nothing but the image is
    to come out. `clusters` is int32 (n,): examples with one number share an origin (a region of a
    photograph, a patient) and are therefore not independent; the numbers are unique over all
    splits. None: every example stands for itself.
    """

    images: NDArray[np.uint8]
    targets: NDArray[Any]
    clusters: NDArray[np.int32] | None = None

    def __len__(self) -> int:
        return len(self.images)


@dataclass(frozen=True, eq=False)
class Dataset:
    """A data set as loaded. All splits have images of one shape, and every class is in each.

    No example (and no cluster) is in two splits. `validation` is None where the source has none of
    its own; `hold_out` makes one.
    """

    title: str  # how pages call it
    classes: list[str]  # by class number; empty where the targets are not classes
    train: Split
    validation: Split | None
    test: Split
    digest: str  # SHA-256 in hex over all splits, see `digest_of`
    notes: list[str]  # what a reader must know, a sentence each
    # Whether the images were ever stored with a loss that their pixels show: JPEG, lossy WebP. What
    # is measured of artefacts is then partly theirs. Not in the digest, which is of the arrays.
    lossy: bool


def cache_dir() -> Path:
    """Return where data are kept: `$ABLATE_DATA`, else `ablate` in the user's cache directory."""
    if chosen := os.environ.get("ABLATE_DATA"):
        return Path(chosen).expanduser()
    base = os.environ.get("XDG_CACHE_HOME", "")
    # The XDG base directory specification: a path that is not absolute is to be ignored.
    return (Path(base) if os.path.isabs(base) else Path.home() / ".cache") / "ablate"


def assemble(
    *,
    title: str,
    classes: Sequence[str],
    train: Split,
    test: Split,
    validation: Split | None = None,
    notes: Sequence[str] = (),
    lossy: bool = False,
) -> Dataset:
    """Return a data set with its digest, held to the contract.

    Raises:
        DataError: it breaks the contract; the message names the split and what is wrong.
    """
    splits = {"train": train, "validation": validation, "test": test}
    seen: dict[int, str] = {}
    for name, split in splits.items():
        if split is None:
            continue
        problem = _problem(split, train, classes)
        if split.clusters is not None and problem is None:
            numbers = np.unique(split.clusters).tolist()
            shared = next((number for number in numbers if number in seen), None)
            if shared is not None:
                problem = f"cluster {shared} is also in {seen[shared]}"
            seen |= dict.fromkeys(numbers, name)
        if problem is not None:
            raise DataError(f"{title}: the {name} split breaks the contract: {problem}")
    digest = digest_of(train, validation, test)
    return Dataset(title, list(classes), train, validation, test, digest, list(notes), lossy)


def digest_of(train: Split, validation: Split | None, test: Split) -> str:
    """Return the SHA-256, in hex, over shapes, dtypes and bytes of all splits' arrays, in order."""
    state = hashlib.sha256()
    for name, split in (("train", train), ("validation", validation), ("test", test)):
        for part in ("images", "targets", "clusters"):
            array = None if split is None else getattr(split, part)
            if array is None:
                state.update(f"{name}.{part}: none\n".encode())
                continue
            state.update(f"{name}.{part}: {array.dtype.str} {array.shape}\n".encode())
            state.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return state.hexdigest()


def hold_out(dataset: Dataset, images: int) -> Dataset:
    """Return the data set with a validation split of so many images taken out of training.

    They are chosen by one fixed permutation, the same for every seed, in the proportions of the
    classes (if it has classes). Clusters stay whole: where a cluster is only partly needed, the
    rest of it is dropped, since it would tie training to validation. The arrays are copies.

    Raises:
        DataError: it has a validation split already, or too many or too few images are asked for.
    """
    train = dataset.train
    asked = f"{dataset.title}: cannot hold {images:,} of {len(train):,} training images out"
    if dataset.validation is not None:
        raise DataError(f"{asked}: it has a validation split of its own; use that one")
    # Class numbers, or one stratum for all where the targets are images, masks or values.
    strata = train.targets if dataset.classes else np.zeros(len(train), np.int64)
    sizes = np.bincount(strata)
    if not 0 < images < len(train) or images < np.count_nonzero(sizes):
        raise DataError(
            f"{asked}: ask for at least one image of each class and fewer than there are"
        )
    clusters = np.arange(len(train)) if train.clusters is None else train.clusters
    _, cluster = np.unique(clusters, return_inverse=True)
    place = np.random.RandomState(_HOLD_OUT_SEED).permutation(cluster.max() + 1)[cluster]
    order = np.lexsort((np.arange(len(train)), place))
    quotas = _proportional(images, sizes)
    chosen = np.sort(
        np.concatenate([order[strata[order] == k][:quota] for k, quota in enumerate(quotas)])
    )
    rest = np.flatnonzero(~np.isin(cluster, cluster[chosen]))
    left = np.bincount(strata[rest], minlength=len(sizes))
    for k in np.flatnonzero((sizes > 0) & ((left == 0) | (quotas == 0))):
        of = f"class {dataset.classes[k]!r}" if dataset.classes else "the data set"
        groups = len(np.unique(cluster[strata == k]))
        held = f"{sizes[k]:,} images" + ("" if train.clusters is None else f" of {groups} clusters")
        amount, where = ("fewer", "training") if quotas[k] else ("more", "validation")
        raise DataError(f"{asked}: {of} ({held}) would have none in {where}; ask for {amount}")
    note = f"{images:,} of the {len(train):,} training images are held out for validation."
    if dropped := len(train) - images - len(rest):
        note += f" {dropped:,} more are dropped, since they share their origin with these."
    digest = hashlib.sha256(f"hold_out {images} {dataset.digest}".encode()).hexdigest()
    return replace(
        dataset,
        train=_rows(train, rest),
        validation=_rows(train, chosen),
        digest=digest,
        notes=[*dataset.notes, note],
    )


def with_validation(dataset: Dataset, images: int) -> Dataset:
    """Return the data set with its own validation split, or with so many images held out for one.

    Raises:
        DataError: as `hold_out`.
    """
    if dataset.validation is not None or images == 0:
        return dataset
    return hold_out(dataset, images)


def open_data(
    component: Mapping[str, Any], fallback: str | None, allow_fallback: bool
) -> tuple[Dataset, str, str | None]:
    """Load the data set that a suite names, or its fallback where that one cannot be had.

    Args:
        component: canonical, `{"name": "cifar10", …options}`.
        fallback: the name of a data set that needs no options, if the suite gives one.
        allow_fallback: whether it may be used.

    Returns:
        the data set, the name of the one that was loaded, and why it is the fallback (one line), or
        None if it is not.

    Raises:
        Unavailable: neither can be had, or the fallback may not be used.
        DataError: the images are there but unusable.
    """
    name = component["name"]
    try:
        return catalog.build("data", component, "name"), name, None
    except Unavailable as error:
        if fallback is None or fallback == name:
            raise
        if not allow_fallback:
            other = f"or allow the fallback to {fallback!r}"
            instead = f"{error.instead}, {other}" if error.instead else other.removeprefix("or ")
            raise Unavailable(error.reason, instead) from error
        first = error
    try:
        return catalog.build("data", {"name": fallback}, "name"), fallback, first.reason
    except Unavailable as error:
        both = f"{first.reason}; nor can the fallback {fallback!r} be had: {error.reason}"
        raise Unavailable(both, first.instead or error.instead) from error


def outline(component: Mapping[str, Any]) -> Dataset | None:
    """Return what is known of a data set without loading it; None where its file does not say.

    Args:
        component: as of `open_data`.
    """
    made = getattr(catalog.load("data", component["name"]), "outline", None)
    options = {key: value for key, value in component.items() if key != "name"}
    return None if made is None else made(**options)


def _problem(split: Split, train: Split, classes: Sequence[str]) -> str | None:
    """Return how a split breaks the contract, or None."""
    images, targets, clusters = split.images, split.targets, split.clusters
    if images.dtype != np.uint8 or images.ndim != 4:
        return f"images are {images.dtype} {images.shape}, not uint8 (n, h, w, c)"
    if not images.size:
        return f"there are no images in it, {images.shape}"
    if images.shape[1:] != train.images.shape[1:]:
        return f"its images are {images.shape[1:]}, those of train {train.images.shape[1:]}"
    if len(targets) != len(images):
        return f"{len(images)} images have {len(targets)} targets"
    if targets.dtype.hasobject:
        return "its targets are Python objects"
    if clusters is not None and (clusters.dtype != np.int32 or clusters.shape != (len(images),)):
        return f"clusters are {clusters.dtype} {clusters.shape}, not int32 ({len(images)},)"
    if not classes:
        return None
    if targets.dtype != np.int64 or targets.ndim != 1:
        return f"targets are {targets.dtype} {targets.shape}, not int64 ({len(images)},)"
    if targets.min() < 0 or targets.max() >= len(classes):
        return f"targets are {targets.min()}…{targets.max()}, of {len(classes)} classes"
    missing = np.flatnonzero(np.bincount(targets, minlength=len(classes)) == 0).tolist()
    return f"there is no image of class {classes[missing[0]]!r} in it" if missing else None


def _proportional(total: int, sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return whole shares of a total, in proportion to sizes, by the largest remainder."""
    shares, remainders = np.divmod(total * sizes, sizes.sum())
    largest = np.argsort(-remainders, kind="stable")[: total - shares.sum()]
    shares[largest] += 1
    return shares


def _rows(split: Split, rows: NDArray[np.int64]) -> Split:
    clusters = None if split.clusters is None else split.clusters[rows]
    return Split(split.images[rows], split.targets[rows], clusters)
