"""Your own images: a folder with `train/<class>/*` and `test/<class>/*`, `val/<class>/*` or both.

* With both, `val/` is the validation split and `test/` the test split. With `val/` alone it is the
  test split, and `hold_out` can take a validation split out of training.
* Classes are the folders in `train/`, sorted as text ("10" comes before "2"); the other splits have
  the same. Files are read in the order of their names, by extension (png, jpg, jpeg, bmp, webp,
  gif, ppm, tif, tiff, in any case); what else lies there is left out and counted in the notes.
* The images count as lossy where any file is JPEG or lossy WebP (or a TIFF that holds such), by its
  contents, not by its extension. What was a JPEG before it became a PNG is not known.
* Images become RGB, as a viewer would show them, without their transparency; of a moving picture
  the first frame counts. Where every image is grey there is one channel instead of three.
* `size` shrinks or enlarges each image so that its shorter side is that long, and cuts the middle
  out. Without `size` all images must have one shape.
"""

import hashlib
import math
import os
import struct
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import numpy as np
import PIL
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError
from pydantic import Field

from ablate.data import DataError, Dataset, Split, assemble
from ablate.data._prepared import prepared

VERSION = 1  # of the reading below; a change of it changes the arrays

EXTENSIONS = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".gif", ".ppm", ".tif", ".tiff")
JPEG = (".jpg", ".jpeg")
# Pillow's names of what is stored with a loss: formats, and compressions inside a TIFF. (MPO is a
# JPEG with further pictures behind it, as telephones make them. JPEG 2000, AVIF and WebP in a TIFF
# may be lossless, which is not seen from outside; they hardly ever are.)
LOSSY = {"JPEG", "MPO", "JPEG2000", "AVIF"}
LOSSY_TIFF = {"jpeg", "tiff_jpeg", "webp"}
ARCHIVES = {
    ".zip": "unzip",
    ".tar": "tar xf",
    ".gz": "tar xzf",
    ".tgz": "tar xzf",
    ".xz": "tar xJf",
}

# Modes whose values are not bytes: reading them as grey would clip all that is above 255.
DEEP = ("I", "I;16", "I;16B", "I;16L", "I;16N", "F")

HOLDS = "give the folder that holds train/ and test/"
DAMAGED = "damaged or cut short"
NAMED = 10  # files that a message names before it only counts
# Mean size of a file above which decoding takes longer than the hand-over between threads: measured
# on 2 cores, 60,000 JPEGs of 1 kB took 5.2 s with one thread and 8.8 s with two, 400 JPEGs of 65 kB
# (500 x 375) 0.83 s and 0.42 s.
THREADED = 16_384


Images = NDArray[np.uint8]
File = tuple[str, int, int]  # name, size in bytes, time of the last change in nanoseconds


@dataclass(frozen=True)
class Place:
    """A split as it lies in a folder."""

    path: Path
    files: list[list[File]]  # of each class, by name


@dataclass(frozen=True)
class Listing:
    """What lies in a folder of images."""

    classes: list[str]
    splits: dict[str, Place]  # train, test, perhaps validation
    notes: list[str]

    def files(self) -> Iterator[tuple[str, int, int]]:
        """Yield path, size and time of every file, in the order in which they are read."""
        for place in self.splits.values():
            for name, files in zip(self.classes, place.files, strict=True):
                for file, size, modified in files:
                    yield f"{place.path}/{name}/{file}", size, modified


def load(
    *,
    path: str,
    size: Annotated[int, Field(ge=1)] | None = None,
    title: str | None = None,
) -> Dataset:
    """Return the images of a folder, uint8 (n, h, w, 3) or (n, h, w, 1), and their classes.

    Args:
        path: of the folder; `~` is the home directory.
        size: pixels, height and width that every image is brought to.
        title: how pages call the data; by default "images of <the folder's name> (folder)".

    Raises:
        DataError: the folder is not there or not laid out as above, or images cannot be read.
    """
    folder = Path(path).expanduser().resolve()
    listing = _listing(folder)
    # Not hashed: the files' contents. A file that is replaced has another time or size.
    lines = "".join(f"{file}\t{length}\t{time}\n" for file, length, time in listing.files())
    state = hashlib.sha256(lines.encode(errors="surrogateescape")).hexdigest()
    key = [VERSION, PIL.__version__, str(folder), size, state, listing.notes]
    dataset = prepared("folder", key, lambda: _read(folder, listing, size))
    return dataset if title is None else replace(dataset, title=title)


def _listing(folder: Path) -> Listing:
    """Return what lies in the folder, refusing a layout that is not the one above."""
    if folder.is_file():
        unpack = ARCHIVES.get(folder.suffix.lower())
        advice = f"unpack it first: {unpack} {folder.name}" if unpack else HOLDS
        raise DataError(f"{folder}: this is a file, not a folder of images; {advice}")
    if not folder.is_dir():
        raise DataError(f"{folder}: there is no such folder; {HOLDS}")
    inside = _folders(folder)
    if "train" not in inside:
        raise DataError(
            f"{folder}: there is no train/ in it; expected train/<class>/ and test/<class>/, "
            f"found {_list(f'{name}/' for name in inside)}"
        )
    tests = [name for name in ("val", "test") if name in inside]
    if not tests:
        raise DataError(
            f"{folder}: there is neither test/ nor val/ beside train/; "
            f"found {_list(f'{name}/' for name in inside)}"
        )
    classes = _folders(folder / "train")
    if len(classes) < 2:
        raise DataError(
            f"{folder / 'train'}: expected a folder for each of two or more classes, "
            f"found {_list(f'{name}/' for name in classes)}"
        )
    places = {"train": folder / "train", "test": folder / tests[-1]}
    if len(tests) == 2:
        places["validation"] = folder / "val"
    notes = []
    if tests == ["val"]:
        notes.append("The folder has no test/: its val/ is the test split.")
    others = 0
    splits = {}
    for split, place in places.items():
        found = _folders(place)
        if found != classes:
            missing, extra = sorted({*classes} - {*found}), sorted({*found} - {*classes})
            parts = [f"without {_list(missing)}"] * bool(missing)
            parts += [f"with {_list(extra)} besides"] * bool(extra)
            raise DataError(f"{place}: its classes are not those of train/: {' and '.join(parts)}")
        listed = [_files(place / name) for name in classes]
        others += sum(left_out for _, left_out in listed)
        splits[split] = Place(place, [files for files, _ in listed])
        empty = [name for name, (files, _) in zip(classes, listed, strict=True) if not files]
        if empty:
            raise DataError(
                f"{place}: no images in {_list(f'{name}/' for name in empty)}; "
                f"expected files that end in {', '.join(EXTENSIONS)}"
            )
    if others:
        verb = "file is" if others == 1 else "files are"
        notes.append(f"{others:,} {verb} not among the images, by extension.")
    listing = Listing(classes, splits, notes)
    if any(path.lower().endswith(JPEG) for path, _, _ in listing.files()):
        notes.append(
            "JPEG files: chroma is usually subsampled, and blocks of 8 pixels show; "
            "artefacts of upsampling cannot be measured on them."
        )
    return listing


def _folders(place: Path) -> list[str]:
    """Return the names of the folders in a folder, hidden ones left out, sorted."""
    with os.scandir(place) as entries:
        return sorted(e.name for e in entries if e.is_dir() and not e.name.startswith("."))


def _files(place: Path) -> tuple[list[File], int]:
    """Return the image files of a class by name, and how many other files lie beside them.

    Hidden files are neither: file managers and archives leave them (`.DS_Store`, `._1.png`).
    """
    files, others = [], 0
    with os.scandir(place) as entries:
        for entry in entries:
            if entry.name.startswith(".") or not entry.is_file():
                continue
            if entry.name.lower().endswith(EXTENSIONS):
                state = entry.stat()
                files.append((entry.name, state.st_size, state.st_mtime_ns))
            else:
                others += 1
    return sorted(files), others


def _read(folder: Path, listing: Listing, size: int | None) -> Dataset:
    """Decode all images of a listing."""
    paths, lengths, _ = zip(*listing.files(), strict=True)
    images, lossy = _decode(folder, paths, sum(lengths) / len(lengths), size)
    notes = list(listing.notes)
    if images.shape[-1] == 1:
        notes.append("All images are grey and have one channel.")
    splits, start = {}, 0
    for name, place in listing.splits.items():
        counts = [len(files) for files in place.files]
        targets = np.repeat(np.arange(len(counts), dtype=np.int64), counts)
        splits[name] = Split(images[start : start + len(targets)], targets)
        start += len(targets)
    return assemble(
        title=f"images of {folder.name} (folder)",
        classes=listing.classes,
        train=splits["train"],
        validation=splits.get("validation"),
        test=splits["test"],
        notes=notes,
        lossy=lossy,
    )


def _decode(
    folder: Path, paths: Sequence[str], bytes_each: float, size: int | None
) -> tuple[Images, bool]:
    """Return the images, (n, h, w, 3), or (n, h, w, 1) where all are grey, and if any is lossy."""
    shape = (size, size, 3) if size else _first_shape(paths)
    _fits(folder, (len(paths), *shape))
    images = np.zeros((len(paths), *shape), np.uint8)
    other_shapes: dict[int, tuple[int, ...]] = {}  # by position: threads finish in any order
    problems: dict[int, str] = {}
    lossy = np.zeros(len(paths), bool)

    def read(k: int) -> None:
        found = _image(paths[k], size)
        if isinstance(found, str):
            problems[k] = found
            return
        image, lossy[k] = found
        if image.shape != shape:
            other_shapes[k] = image.shape
        else:
            images[k] = image

    if bytes_each >= THREADED:
        with ThreadPoolExecutor(min(os.cpu_count() or 1, 8)) as pool:
            list(pool.map(read, range(len(paths))))
    else:
        for k in range(len(paths)):
            read(k)
    if problems:
        lines = [f"{os.path.relpath(paths[k], folder)}: {problems[k]}" for k in sorted(problems)]
        images_are = "image" if len(lines) == 1 else "images"
        raise DataError(
            f"{folder}: {len(lines):,} {images_are} of {len(paths):,} cannot be read; "
            "replace or remove\n  " + "\n  ".join(_first(lines))
        )
    if other_shapes:
        counts = Counter(other_shapes.values())
        counts[shape] = len(paths) - len(other_shapes)
        sizes = [f"{w} x {h} ({n:,})" for (h, w, _), n in counts.most_common()]
        raise DataError(
            f"{folder}: the images have {len(sizes)} sizes (width x height): "
            f"{', '.join(_first(sizes))}; set `size` to bring all to one, for example size: 32"
        )
    if _grey(images):
        images = np.ascontiguousarray(images[..., :1])
    return images, bool(lossy.any())


def _image(path: str, size: int | None) -> tuple[Images, bool] | str:
    """Return an image as (h, w, 3) and whether it was stored with a loss, or why it is no image."""
    try:
        with Image.open(path) as opened:
            lossy = _lossy(opened, path)
            image: Image.Image = opened
            if image.mode in DEEP:
                return f"more than 8 bits a pixel (mode {image.mode}); convert it to 8 bits first"
            if "exif" in image.info:  # a camera that was held upright says so only there
                image = ImageOps.exif_transpose(image)
            if image.mode in ("P", "PA"):  # by way of RGBA, or Pillow warns of its transparency
                image = image.convert("RGBA")
            image = image.convert("RGB")
            if size is not None:
                image = ImageOps.fit(image, (size, size), Image.Resampling.BILINEAR)
            return np.asarray(image), lossy
    except UnidentifiedImageError:
        return "not an image of a known format"
    except OSError as error:
        return error.strerror or DAMAGED
    except (
        SyntaxError,  # Pillow's, for a broken PNG
        ValueError,
        EOFError,
        struct.error,
        Image.DecompressionBombError,
    ):
        return DAMAGED


def _lossy(opened: Image.Image, path: str) -> bool:
    """Return whether an image is stored with a loss."""
    if opened.format == "TIFF":
        return opened.info.get("compression") in LOSSY_TIFF
    if opened.format != "WEBP":
        return opened.format in LOSSY
    # Pillow does not say. RFC 9649: after 12 bytes of header come chunks, each a name, a length and
    # so many bytes (an even number); the first frame is in the first `VP8L`, without loss, or
    # `VP8 `, with loss. Of an animation it lies in a chunk `ANMF`, after 16 bytes of its own.
    with open(path, "rb") as file:
        file.seek(12)
        while len(head := file.read(8)) == 8:
            name, length = struct.unpack("<4sI", head)
            if name in (b"VP8 ", b"VP8L"):
                return bool(name == b"VP8 ")
            file.seek(16 if name == b"ANMF" else length + length % 2, os.SEEK_CUR)
    return True  # nothing of both: decoding will refuse it


def _first_shape(paths: Sequence[str]) -> tuple[int, int, int]:
    """Return (h, w, 3) of the first image that can be read."""
    for path in paths:
        found = _image(path, None)
        if not isinstance(found, str):
            return *found[0].shape[:2], 3
    return 1, 1, 3  # none can be read, as decoding is about to say


def _grey(images: Images) -> bool:
    """Return whether all images are grey, in parts: the first colour ends it."""
    parts = (images[start : start + 1024] for start in range(0, len(images), 1024))
    return all((part == part[..., :1]).all() for part in parts)


def _fits(folder: Path, shape: tuple[int, ...]) -> None:
    """Refuse images that together would fill this machine's memory."""
    if "SC_PHYS_PAGES" not in getattr(os, "sysconf_names", {}):
        return  # not known here
    needed, memory = math.prod(shape), os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if needed > memory / 2:
        raise DataError(
            f"{folder}: {shape[0]:,} images of {shape[2]} x {shape[1]} pixels are "
            f"{needed / 1e9:.0f} GB, and this machine has {memory / 1e9:.0f} GB of memory; "
            "set a smaller `size` or give a folder with fewer images"
        )


def _list(names: Iterable[str]) -> str:
    return ", ".join(_first(list(names))) or "nothing"


def _first(items: list[str]) -> list[str]:
    """Return the first items of a list, and a count of those left out."""
    rest = len(items) - NAMED
    return items if rest <= 0 else [*items[:NAMED], f"and {rest:,} more"]
