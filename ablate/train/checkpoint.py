"""Checkpoints: what a trial needs to go on after its last whole epoch, if it is killed.

`runs/checkpoints/<trial id>.pt` is written under another name and renamed, so it is whole or not
there, and is removed when the trial's record is written. A trial that goes on from it ends in the
same bytes, on a CPU, as one that was never stopped: weights, momentum, random state and all that
was seen so far are in it, while order and augmentation follow from the seed.

A checkpoint that cannot be read, or that other versions wrote, is no error: the trial starts over.
The folder may be deleted at any time.
"""

import io
import os
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from ablate.records import Epoch
from ablate.train.loop import State

FORMAT: Final = 1

Arrays = dict[str, "np.ndarray[Any, Any]"]


@dataclass
class Seen:
    """What a trial has seen so far that its record will hold."""

    epochs: list[Epoch] = field(default_factory=list)
    arrays: Arrays = field(default_factory=dict)  # of before the first step
    stops: list[int] = field(default_factory=list)  # epochs after which it was resumed
    seconds: float = 0.0  # that it took until then


class Unusable(ValueError):
    """A checkpoint that a trial cannot go on from; the message says why."""


def place(runs: Path, id: str) -> Path:
    """Return where a trial's checkpoint lies or would lie."""
    return runs / "checkpoints" / f"{id}.pt"


def save(path: Path, id: str, state: State, seen: Seen, seconds: float, device: str) -> None:
    """Write a checkpoint in the place of the one before, whole or not at all.

    Args:
        path: where.
        id: of the trial.
        state: of the training, between two epochs.
        seen: so far.
        seconds: since the trial began, or went on.
        device: cpu, cuda or mps.

    Raises:
        OSError: it cannot be written; the one before is as it was.
    """
    assert state.optimizer is not None  # what has no parameters has no epochs
    content = {
        "format": FORMAT,
        "id": id,
        "torch": str(torch.__version__),
        "network": state.network.state_dict(),
        "optimizer": state.optimizer.state_dict(),
        "random": _random(device),
        "epochs": [epoch.model_dump() for epoch in seen.epochs],
        "arrays": {name: torch.from_numpy(array) for name, array in seen.arrays.items()},
        "stops": seen.stops,
        "seconds": seen.seconds + seconds,
    }
    buffer = io.BytesIO()  # torch.save on a file hides that the disk is full
    torch.save(content, buffer)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        # Not synced: after a power cut it may be damaged, and then the trial starts over.
        partial.write_bytes(buffer.getbuffer())
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def resume(path: Path, id: str, state: State, seen: Seen, device: str) -> None:
    """Bring a trial to where its checkpoint was written, if there is one.

    Args:
        path: of the checkpoint.
        id: of the trial.
        state: from `begin`; changed.
        seen: nothing so far; filled.
        device: cpu, cuda or mps.

    Raises:
        Unusable: it cannot be read, or is of another trial or other versions. The state is then
            no longer of use; `seen` is as it was.
    """
    if not path.exists() or state.optimizer is None:
        return
    if not _is_sound(path):
        raise Unusable("it is cut short or damaged")
    try:
        # Only tensors and plain values are read: nothing that a file could have executed.
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # scribbled over, or made to do harm
        raise Unusable(f"it cannot be read ({type(error).__name__})") from error
    try:
        written = (content["format"], content["id"], content["torch"])
        ours = (FORMAT, id, str(torch.__version__))
        if written != ours:
            names = ("format", "trial", "torch")
            raise Unusable(
                "it is of " + _words(names, written) + ", where this is " + _words(names, ours)
            )
        state.network.load_state_dict(content["network"])
        state.optimizer.load_state_dict(content["optimizer"])
        epochs = [Epoch.model_validate(epoch) for epoch in content["epochs"]]
        arrays = {name: array.numpy() for name, array in content["arrays"].items()}
        seconds = float(content["seconds"])
        _set_random(content["random"], device)
    except Unusable:
        raise
    except Exception as error:  # whole, but not what a checkpoint holds
        raise Unusable(f"its contents do not fit ({type(error).__name__})") from error
    state.epochs = len(epochs)
    seen.epochs, seen.arrays, seen.seconds = epochs, arrays, seconds
    seen.stops = [*content["stops"], len(epochs)]


def _is_sound(path: Path) -> bool:
    """Whether a file is a zip archive, as torch writes them, whose checksums are right.

    Torch looks at no checksum, and takes what is no archive for one of its oldest files.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except (zipfile.BadZipFile, OSError):
        return False


def remove(path: Path) -> None:
    """Remove a checkpoint, if there is one."""
    path.unlink(missing_ok=True)


def _random(device: str) -> dict[str, torch.Tensor]:
    """Return the state of the generators that layers such as dropout draw from."""
    states = {"cpu": torch.get_rng_state()}
    if device == "cuda":
        states["cuda"] = torch.cuda.get_rng_state()
    elif device == "mps":
        states["mps"] = torch.mps.get_rng_state()
    return states


def _set_random(states: dict[str, torch.Tensor], device: str) -> None:
    torch.set_rng_state(states["cpu"])
    if device == "cuda":
        torch.cuda.set_rng_state(states["cuda"])
    elif device == "mps":
        torch.mps.set_rng_state(states["mps"])


def _words(names: Iterable[str], values: Iterable[object]) -> str:
    return ", ".join(f"{name} {value}" for name, value in zip(names, values, strict=True))
