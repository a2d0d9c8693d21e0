"""CIFAR-10: 50,000 + 10,000 colour images of 32 x 32 pixels in ten classes, as published.

Source: A. Krizhevsky 2009, "Learning multiple layers of features from tiny images", chapter 3.
torchvision downloads the archive (170 MB) and checks every file against its published checksum, so
what a broken download leaves is never used. It is not even imported where neither the archive nor
its server is to be had. The images are in their published order; the test
batch is the test split, and there is no validation split.
"""

import contextlib
import http.client
import io
import socket
import tarfile
import urllib.request
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ablate.data import Dataset, Split, Unavailable, assemble, cache_dir
from ablate.data._prepared import prepared

TITLE = "CIFAR-10"
CLASSES = [
    *("airplane", "automobile", "bird", "cat", "deer"),
    *("dog", "frog", "horse", "ship", "truck"),
]
URL = "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz"
PATIENCE = 15.0  # seconds without an answer after which the network counts as missing


def load() -> Dataset:
    """Return CIFAR-10, downloaded if neither the archive nor its contents are in the cache.

    Raises:
        Unavailable: the download failed; the message says where to put the archive by hand.
    """
    return prepared("cifar10", None, _read)


def outline() -> Dataset:
    """Return the shape of CIFAR-10: its classes, and one black image a split."""
    black = Split(np.zeros((1, 32, 32, 3), np.uint8), np.zeros(1, np.int64))
    return Dataset(TITLE, CLASSES, black, None, black, digest="", notes=[], lossy=False)


def _read() -> Dataset:
    """Read the batches, fetched if need be."""
    folder = cache_dir() / "cifar10"
    archive = folder / URL.rpartition("/")[2]
    before = archive.exists()
    try:
        with _quiet(), _patience(PATIENCE):
            if not any(folder.glob("cifar-10*")):  # neither packed nor unpacked
                _knock()  # as torchvision does, which takes seconds to import
            from torchvision.datasets import CIFAR10

            parts = [CIFAR10(folder, train=train, download=True) for train in (True, False)]
    except (
        OSError,
        EOFError,
        RuntimeError,  # torchvision's, for a wrong checksum
        http.client.HTTPException,
        tarfile.TarError,
        zlib.error,
    ) as error:
        raise _unavailable(archive, before, error) from error
    train, test = (
        Split(np.ascontiguousarray(part.data), np.asarray(part.targets, np.int64)) for part in parts
    )
    return assemble(title=TITLE, classes=parts[0].classes, train=train, test=test)


def _knock() -> None:
    """Ask the server for the archive and read none of it; raise what comes of that."""
    request = urllib.request.Request(URL, headers={"User-Agent": "ablate"})
    urllib.request.urlopen(request).close()


def _unavailable(archive: Path, before: bool, error: Exception) -> Unavailable:
    """Return the refusal, from whether the archive was there before and what went wrong then."""
    cause = getattr(error, "reason", error)  # urllib's wrapper says less than what it wraps
    why = getattr(cause, "strerror", None) or str(cause) or type(cause).__name__
    if isinstance(error, RuntimeError):
        why = "what arrived does not have the published checksum"
    state = (
        f"{archive.name} in the cache is damaged, and downloading it again"
        if before
        else "the download"
    )
    return Unavailable(
        f"CIFAR-10 cannot be had: {state} failed ({' '.join(why.split())})",
        f"put {archive.name} from www.cs.toronto.edu/~kriz/cifar.html into {archive.parent}, "
        "or use a folder of images (DATA=folder:PATH)",
    )


@contextlib.contextmanager
def _patience(seconds: float) -> Iterator[None]:
    """Give up on a network that is silent for so long; torchvision has no option for it."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep torchvision's progress bar out of logs, and two warnings that nobody can act on."""
    with (
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
        warnings.catch_warnings(),
    ):
        # numpy 2.4.0 to 2.4.4 on the batches, which were pickled in 2009 with `align=0` for False
        # (numpy issue 30786).
        warnings.filterwarnings("ignore", category=np.exceptions.VisibleDeprecationWarning)
        # Python 3.12 and 3.13 on torchvision, which unpacks the archive without a `filter`.
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        yield
