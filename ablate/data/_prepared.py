"""Data sets as arrays on disk, made once and memory-mapped ever after.

An entry is a directory `<cache>/prepared/<name>-<hash of its key>/` with a file for each array and
`meta.json`, which holds the rest of the data set and the size of every file. It is written under
another name, synced and renamed whole, so what a killed process leaves is never opened; an entry
whose files do not have their sizes, or that lacks a field, is made anew. Workers that map one entry
share its pages.
"""

import hashlib
import json
import os
import shutil
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ablate.data import DataError, Dataset, Split, cache_dir

_FORMAT = 1  # of an entry; another number gives other directories
_LEFTOVER = 24 * 3600  # seconds after which an unfinished entry has no writer any more


def prepared(name: str, key: object, make: Callable[[], Dataset]) -> Dataset:
    """Return a data set from the cache; make it and put it there if it is not.

    Args:
        name: of the data set; begins the entry's directory name.
        key: JSON data that determine the arrays (options, versions, state of the sources).
        make: reads the sources; called if there is no sound entry.

    Raises:
        DataError: the cache cannot be written; or what `make` raises.
    """
    digest = hashlib.sha256(json.dumps([_FORMAT, key], sort_keys=True).encode()).hexdigest()
    place = cache_dir() / "prepared" / f"{name}-{digest[:16]}"
    found = _open(place)
    if found is not None:
        return found
    dataset = make()
    try:
        _write(place, dataset)
    except OSError as error:
        raise DataError(
            f"cannot keep the prepared images in {place.parent}: {error.strerror or error}; "
            "make room there, or set ABLATE_DATA to a directory that has it"
        ) from error
    return _open(place) or dataset  # the arrays at hand, if another process took the entry away


def _open(place: Path) -> Dataset | None:
    """Return what an entry holds, memory-mapped, or None if it is missing or damaged."""
    try:
        meta = json.loads((place / "meta.json").read_text(encoding="utf-8"))
        splits: dict[str, Split] = {}
        for split, sizes in meta["splits"].items():
            if any((place / f"{split}.{part}.npy").stat().st_size != sizes[part] for part in sizes):
                return None
            splits[split] = Split(**{part: _map(place / f"{split}.{part}.npy") for part in sizes})
        return Dataset(
            title=meta["title"],
            classes=meta["classes"],
            train=splits["train"],
            validation=splits.get("validation"),
            test=splits["test"],
            digest=meta["digest"],
            notes=meta["notes"],
            lossy=meta["lossy"],
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None  # not there, cut short or scribbled over: it is made anew


def _map(path: Path) -> NDArray[Any]:
    # Copy on write, not read-only: pages are shared just the same, nothing written reaches the
    # file, and torch takes the array without a warning.
    return np.load(path, mmap_mode="c").view(np.ndarray)  # type: ignore[no-any-return]


def _write(place: Path, dataset: Dataset) -> None:
    """Write an entry whole or not at all; one that is there and sound is left as it is."""
    place.parent.mkdir(parents=True, exist_ok=True)
    _sweep(place.parent)
    partial = place.with_name(f".{place.name}.{uuid.uuid4().hex[:8]}")
    partial.mkdir()
    try:
        splits: dict[str, dict[str, int]] = {}
        for name in ("train", "validation", "test"):
            split: Split | None = getattr(dataset, name)
            if split is None:
                continue
            arrays = {part: getattr(split, part) for part in ("images", "targets", "clusters")}
            splits[name] = {
                part: _save(partial / f"{name}.{part}.npy", array)
                for part, array in arrays.items()
                if array is not None
            }
        meta = {
            "title": dataset.title,
            "classes": dataset.classes,
            "notes": dataset.notes,
            "digest": dataset.digest,
            "lossy": dataset.lossy,
            "splits": splits,
        }
        with (partial / "meta.json").open("w", encoding="utf-8") as file:
            json.dump(meta, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        if place.exists() and _open(place) is None:
            damaged = partial.with_name(f"{partial.name}.damaged")
            with suppress(FileNotFoundError):  # another process was as quick
                place.rename(damaged)
            shutil.rmtree(damaged, ignore_errors=True)
        try:
            partial.rename(place)
        except OSError:
            if _open(place) is None:  # otherwise another process has just made the same entry
                raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _save(path: Path, array: NDArray[Any]) -> int:
    """Write an array and return the size of its file in bytes."""
    with path.open("wb") as file:
        np.save(file, array, allow_pickle=False)
        file.flush()
        os.fsync(file.fileno())
        return file.tell()


def _sweep(folder: Path) -> None:
    """Remove what processes that were killed while writing have left."""
    for leftover in folder.glob(".*"):
        with suppress(OSError):
            if time.time() - leftover.stat().st_mtime > _LEFTOVER:
                shutil.rmtree(leftover, ignore_errors=True)
