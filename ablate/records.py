"""Records: what was seen. One directory each under `runs/<kind>s/<id>/`, the only truth.

A record is written under another name, synced and renamed whole, so a reader sees all of it or
nothing. It keeps raw values (every epoch, per-example scores, every latency round), so that a
verdict can be traced and a new statistic computed later. Failed and diverged trials are records
like any other.

    runs/trials/<id>/record.json   a `Record`
    runs/trials/<id>/arrays.npz    raw arrays, e.g. `test_correct` (n,) bool
    runs/trials/<id>/weights.pt    final weights; may be deleted to save room
    runs/facts/<id>/record.json
    runs/passes/<id>/…             a record with raw arrays, e.g. `seconds_0` (rounds, columns)
    runs/readings/<id>/…           what was measured later of a trial's weights, with raw arrays

What failed has a `traceback.txt` beside its record. What is not finished may have a checkpoint,
`runs/checkpoints/<id>.pt`, which is no record and may be deleted.
"""

import contextlib
import errno
import hashlib
import json
import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

SCHEMA = 1  # Readers refuse a higher number and name the version of ablate that they need.

Kind = Literal["trial", "fact", "pass", "reading"]
Status = Literal["ok", "failed", "diverged"]

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_LEFTOVER = 3600  # seconds after which what was not finished has no writer any more


class DamagedRecord(ValueError):
    """A record that cannot be read; the message names its directory and what is wrong."""


class NewerRecord(DamagedRecord):
    """A sound record of a newer version of ablate: not to be read, nor to be made again."""


class NoRoom(OSError):
    """The disk (or the quota) is full; what was written before is intact."""

    def __str__(self) -> str:
        return str(self.strerror)  # the message says it all; no "[Errno 28]" before it


class Measurement(BaseModel):
    """One measured number and what it means, so that a report can show it without the metric.

    `value` is None where the figure is invalid; `detail` then holds the reason under "invalid".
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    value: float | int | None
    unit: str
    title: str
    direction: Literal["higher", "lower", "none"]
    detail: dict[str, Any] = {}


class Epoch(BaseModel):
    """What one epoch of training showed. Accuracies and other task scores are in `scores`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    epoch: int  # counted from 1
    step: int  # optimizer steps so far
    seconds: float  # of this epoch
    images: int  # seen in this epoch
    learning_rate: float  # at the end of the epoch
    scores: dict[str, float]  # train_loss, train_accuracy, validation_accuracy, …


class Record(BaseModel):
    """One trial (a configuration and a seed), fact (a configuration), pass or reading.

    A pass is measured over several networks together, in turns, on one machine; a reading of the
    weights that a trial left.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: int = SCHEMA
    kind: Kind
    id: str
    spec: dict[str, Any]  # what determines the result; the id is its hash
    status: Status
    reason: str | None = None  # why it failed or diverged
    metrics: dict[str, Measurement] = {}
    epochs: list[Epoch] = []
    seconds: float = Field(ge=0)  # wall time of the whole record
    environment: dict[str, Any] = {}
    started: str  # ISO 8601, UTC
    finished: str
    _folder: Path | None = None

    @cached_property
    def arrays(self) -> dict[str, "np.ndarray[Any, Any]"]:
        """The raw arrays beside the record, read when first asked for; {} for one not on disk."""
        path = None if self._folder is None else self._folder / "arrays.npz"
        if path is None or not path.exists():
            return {}
        # numpy leaves a file open that it cannot read.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}


def canonical(value: Any) -> str:
    """Return JSON with one spelling for one value: sorted keys, no spaces, no NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def identity(spec: Mapping[str, Any]) -> str:
    """Return the id of what a spec asks for: 16 hex digits of the SHA-256 of its canonical JSON."""
    return hashlib.sha256(canonical(spec).encode()).hexdigest()[:16]


def now() -> str:
    """Return the time as records write it (ISO 8601, UTC, to the second)."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def folder(runs: Path, kind: Kind, id: str) -> Path:
    """Return where a record lies or would lie."""
    plural = {"trial": "trials", "fact": "facts", "pass": "passes", "reading": "readings"}
    return runs / plural[kind] / id


def weights(runs: Path, trial: str) -> Path | None:
    """Return the final weights of a trial, None where it has none or they were deleted."""
    path = folder(runs, "trial", trial) / "weights.pt"
    return path if path.exists() else None


def write(
    runs: Path,
    record: Record,
    arrays: Mapping[str, "np.ndarray[Any, Any]"] | None = None,
    extra: Mapping[str, Callable[[Path], None]] | None = None,
) -> Path:
    """Write a record directory whole or not at all, and return it.

    Args:
        runs: the folder of all records.
        record: what to write.
        arrays: raw arrays for `arrays.npz`.
        extra: further files, each as a name and a function that writes the given path.

    Raises:
        NoRoom: the disk is full; nothing is left of this record.
    """
    target = folder(runs, record.kind, record.id)
    partial = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}")
    try:
        partial.mkdir(parents=True)
        if arrays:
            np.savez_compressed(partial / "arrays.npz", **dict(arrays))  # type: ignore[arg-type]  # numpy's stub takes a keyword of savez for an array's name
        for name, save in (extra or {}).items():
            save(partial / name)
        (partial / "record.json").write_text(
            json.dumps(record.model_dump(mode="json"), indent=1, allow_nan=False) + "\n",
            encoding="utf-8",
        )
        for path in [*partial.iterdir(), partial]:
            _sync(path)
        if target.exists():  # a failed trial that is tried again: the old record gives way whole
            old = target.with_name(f".{target.name}.old-{uuid.uuid4().hex[:8]}")
            target.rename(old)
            partial.rename(target)
            shutil.rmtree(old)
        else:
            partial.rename(target)
        _sync(target.parent)
    except BaseException as error:  # Ctrl-C too: nothing half written is left
        shutil.rmtree(partial, ignore_errors=True)
        full = no_room(error, target) if isinstance(error, OSError) else None
        if full is None:
            raise
    else:
        return target
    # Here, where the first error is let go: it holds on to buffers of files that were not finished,
    # and Python 3.13 complains of these when it ends.
    raise full


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all.

    Raises:
        NoRoom: the disk is full; a file that was there before is as it was.
    """
    partial = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(text, encoding="utf-8")
        _sync(partial)
        partial.replace(path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            partial.unlink()
        if isinstance(error, OSError) and (full := no_room(error, path)):
            raise full from error
        raise


def read(runs: Path, kind: Kind, id: str) -> Record | None:
    """Return a record, or None if there is none.

    Raises:
        DamagedRecord: it is there but cannot be read.
        NewerRecord: it is there and of a newer version.
    """
    path = folder(runs, kind, id)
    if not path.exists():
        return None
    try:
        stored = json.loads((path / "record.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:  # not there, no UTF-8, no JSON
        raise DamagedRecord(f"{path}: cannot be read: {error}") from error
    if newer := is_newer(stored, SCHEMA):
        raise NewerRecord(f"{path}: {newer}")
    try:
        record = Record.model_validate(stored)
        actual = identity(record.spec)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "record.json"
        raise DamagedRecord(f"{path}: {where}: {first['msg']}") from error
    except ValueError as error:  # a number that JSON does not have
        raise DamagedRecord(f"{path}: spec: {error}") from error
    if actual != id or record.id != id:
        raise DamagedRecord(f"{path}: its contents belong to another id ({actual})")
    record._folder = path
    try:
        _ = record.arrays  # a truncated archive is found here, not in the middle of a report
    except Exception as error:  # zipfile and zlib have error types of their own
        raise DamagedRecord(f"{path}: arrays.npz cannot be read: {error}") from error
    return record


def set_aside(runs: Path, kind: Kind, id: str) -> Path:
    """Move a damaged record out of the way, where it can be looked at, and return its new place."""
    source = folder(runs, kind, id)
    target = runs / "damaged" / f"{kind}-{id}-{uuid.uuid4().hex[:8]}"
    target.parent.mkdir(parents=True, exist_ok=True)
    source.rename(target)
    return target


def sweep(runs: Path) -> None:
    """Remove what writers that were killed left behind under a temporary name.

    What is younger than an hour stays: another run may be writing it at this moment.
    """
    for path in _leftovers(runs):
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime > _LEFTOVER:
                shutil.rmtree(path) if path.is_dir() else path.unlink()


def is_newer(stored: Any, schema: int) -> str | None:
    """Return what to say of a stored file of a schema above `schema`, None for any other."""
    version = stored.get("schema_version") if isinstance(stored, dict) else None
    if not isinstance(version, int) or version <= schema:
        return None
    return (
        f"written by a newer version of ablate (schema {version}, this one reads up to {schema}); "
        "update ablate to read it"
    )


def no_room(error: OSError, path: Path) -> NoRoom | None:
    """Return the clear form of an error that says the disk is full, None for any other error."""
    if error.errno not in _NO_ROOM:
        return None
    return NoRoom(
        error.errno,
        f"no room left to write {path}: {os.strerror(error.errno or 0)}; "
        "free some space and run the same command again, what was finished is kept",
    )


def _leftovers(runs: Path) -> Iterator[Path]:
    kinds = ("trials", "facts", "passes", "readings")
    for place in (*kinds, "studies/*", "checkpoints", "plans"):
        yield from runs.glob(f"{place}/.*")


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
