"""One `ablate run` at a time on a folder of records: the next one waits, and trains nothing twice.

The lock is the operating system's, on `runs/.lock`, so it is free again however its holder ends.
The file says who holds it, for those who wait.
"""

import contextlib
import errno
import json
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from ablate import records

_POLL = 0.5  # seconds between two tries of who waits
_NO_LOCKS = {errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK}


@contextlib.contextmanager
def alone(runs: Path, suite: str, wait: Callable[[str], None]) -> Iterator[str | None]:
    """Hold the lock of a folder of records; the folder is made, and not left empty.

    Args:
        runs: the folder of all records.
        suite: what is run, for those who wait.
        wait: called where the lock is taken, before waiting for it, with who holds it in words.

    Yields:
        None, or why there is no lock to hold, as a notice.

    Raises:
        NoRoom: the disk is full.
    """
    path, new = runs / ".lock", not runs.exists()
    # Without flock others are told of a lock by a file, which would stay when its holder is killed.
    lock = FileLock(path, fallback_to_soft=False)
    try:
        notice = _acquire(lock, path, wait)
        if notice is None:
            _sign(path, suite)
    except OSError as error:
        if full := records.no_room(error, path):
            raise full from error
        raise
    try:
        yield notice
    finally:
        if new and [entry.name for entry in runs.iterdir()] == [path.name]:
            with contextlib.suppress(OSError):  # a file system may hide that it is still open
                path.unlink()
                runs.rmdir()
        lock.release()


def _acquire(lock: FileLock, path: Path, wait: Callable[[str], None]) -> str | None:
    try:
        with contextlib.suppress(Timeout):
            lock.acquire(timeout=0)
            return None
        wait(_holder(path))
        lock.acquire(poll_interval=_POLL)
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        return (
            f"the file system of {path.parent} has no locks ({error.strerror}); "
            "see to it that no other run uses it at the same time"
        )
    return None


def _sign(path: Path, suite: str) -> None:
    """Write into the lock's file who holds it now."""
    holder = {
        "suite": suite,
        "process": os.getpid(),
        "host": socket.gethostname(),
        "since": records.now(),
    }
    path.write_text(json.dumps(holder) + "\n", encoding="utf-8")


def _holder(path: Path) -> str:
    """Return who holds the lock, in words."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return "{suite}, process {process} on {host}, since {since}".format(**found)
    except (OSError, ValueError, KeyError, TypeError):  # it has only just begun
        return "which has just begun"
