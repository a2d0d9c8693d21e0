"""A trial that was stopped goes on after its last whole epoch, and ends in the same bytes."""

import pickle
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from small_runs import DROPOUT, draw, job, record_of, trained

from ablate import records
from ablate.records import Record
from ablate.train import checkpoint, trial

RECIPE = {"epochs": 4, "batch_size": 16, "precision": "fp32", "momentum": 0.9}


pytestmark = pytest.mark.usefixtures("single_thread")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    place = tmp_path_factory.mktemp("checkpoint")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ABLATE_DATA", str(place / "prepared"))
        yield draw(place / "images", contrast=30)


@pytest.fixture(autouse=True)
def _every_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "CHECKPOINT_AGE", 0)


@pytest.fixture
def asked(folder: Path, tmp_path: Path) -> dict[str, Any]:
    """A trial with all that a checkpoint must hold: momentum, batch norm and random layers."""
    return dropping(folder, tmp_path, tmp_path / "runs")


def dropping(folder: Path, place: Path, runs: Path) -> dict[str, Any]:
    plugin = place / "dropped.py"
    plugin.write_text(DROPOUT)
    sizes = {"validation_images": 16, "train_images": 50}
    made = job(folder, runs, recipe=RECIPE, sizes=sizes, plugins={"blocks/act/dropped": plugin})
    made["spec"]["config"]["network"]["act"] = {"kind": "dropped", "share": 0.3}
    return made


def stop(job: dict[str, Any], after: int) -> Path:
    """Begin a trial, stop it after so many epochs and return its checkpoint."""
    messages = trial.run(job)
    for _ in range(after):
        assert "epoch" in next(messages)
    messages.close()  # type: ignore[attr-defined]  # a generator, which is more than an iterator
    path = checkpoint.place(Path(job["runs"]), records.identity(job["spec"]))
    assert path.exists() == (after > 0)
    return path


def results(job: dict[str, Any]) -> dict[str, Any]:
    """Return all of a trial's record but times and machine, files byte by byte."""
    found = record_of(job)
    place = records.folder(Path(job["runs"]), "trial", found.id)
    seen = {name: (place / name).read_bytes() for name in ("arrays.npz", "weights.pt")}
    seen["epochs"] = [epoch.model_copy(update={"seconds": 0.0}) for epoch in found.epochs]
    seen["metrics"] = {
        name: found.metrics[name].value for name in found.metrics if name != "train_seconds"
    }
    return seen | {"status": found.status}


@pytest.fixture
def uninterrupted(folder: Path, tmp_path: Path) -> dict[str, Any]:
    whole = dropping(folder, tmp_path, tmp_path / "uninterrupted")
    trained(whole)
    return results(whole)


@pytest.mark.usefixtures("no_plugins")
@pytest.mark.parametrize("stops", [[1], [3], [0], [1, 2], [1, 1, 3]])
def test_a_trial_that_was_stopped_ends_in_the_same_bytes(
    asked: dict[str, Any], uninterrupted: dict[str, Any], stops: list[int]
) -> None:
    for epochs in stops:  # counted from the beginning: those of before are told again
        path = stop(asked, epochs)
        torch.manual_seed(99)  # what happens in between has no say
        torch.rand(5)
    messages = list(trial.run(asked))
    assert [m["epoch"]["epoch"] for m in messages if "epoch" in m] == [1, 2, 3, 4]
    assert results(asked) == uninterrupted
    assert not path.exists()
    how = record_of(asked).environment["execution"]
    assert how.get("resumed_after", []) == sorted({epochs for epochs in stops if epochs})


@pytest.mark.usefixtures("no_plugins")
def test_a_trial_of_super_resolution_keeps_what_it_saw_before_its_first_step(
    folder: Path, tmp_path: Path
) -> None:
    # Images of even sides that are large enough are more than the other tests need.
    large = draw_large(tmp_path / "large")
    network = {"family": "post_upsampling", "layers": [4], "up": "pixel_shuffle"}
    recipe = {**RECIPE, "label_smoothing": 0.0, "augment": ["flip"]}
    jobs = [
        job(large, tmp_path / name, network=network, recipe=recipe, task="super_resolution")
        for name in ("whole", "stopped")
    ]
    trained(jobs[0])
    stop(jobs[1], 2)
    trained(jobs[1])
    assert "initial_test_psnr" in record_of(jobs[1]).arrays
    assert results(jobs[1]) == results(jobs[0])


def draw_large(folder: Path) -> Path:
    import numpy as np
    from PIL import Image

    noise = np.random.RandomState(5)
    for split in ("train", "test"):
        for name in ("a", "b"):
            place = folder / split / name
            place.mkdir(parents=True)
            for number in range(8):
                pixels = noise.randint(0, 256, (16, 16, 3)).astype(np.uint8)
                Image.fromarray(pixels).save(place / f"{number}.png")
    return folder


def test_the_time_of_all_sessions_is_the_trials(folder: Path, tmp_path: Path) -> None:
    asked = job(folder, tmp_path, recipe=RECIPE)
    path = stop(asked, 2)
    content = torch.load(path, weights_only=True)
    assert 0 < content["seconds"] < 60
    torch.save(content | {"seconds": 1000.0}, path)
    assert 1000 < trained(asked).seconds < 1060


# --- checkpoints that are of no use ---------------------------------------------------------------


def cut(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def other(**changes: Any) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        torch.save(torch.load(path, weights_only=True) | changes, path)

    return change


class Harmful:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


def flip(path: Path) -> None:
    """Change a byte of the first tensor's numbers."""
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        (tensor,) = [item for item in archive.infolist() if item.filename.endswith("/data/0")]
        numbers = archive.read(tensor)
    content[content.index(numbers) + 5] ^= 0xFF
    path.write_bytes(content)


OURS = f"format 1, trial {{id}}, torch {torch.__version__}"


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (cut, "it is cut short or damaged"),
        (lambda path: path.write_bytes(b""), "it is cut short or damaged"),
        (lambda path: path.write_bytes(pickle.dumps(Harmful(path))), "it is cut short or damaged"),
        (
            lambda path: torch.save({"format": Harmful(path.with_name("harm"))}, path),
            "it cannot be read (UnpicklingError)",
        ),
        (flip, "it is cut short or damaged"),
        (
            other(format=2),
            f"it is of format 2, trial {{id}}, torch {torch.__version__}, where this is {OURS}",
        ),
        (
            other(torch="1.0"),
            f"it is of format 1, trial {{id}}, torch 1.0, where this is {OURS}",
        ),
        (
            other(id="abc"),
            f"it is of format 1, trial abc, torch {torch.__version__}, where this is {OURS}",
        ),
        (other(network={}), "its contents do not fit (RuntimeError)"),
        (other(epochs=[{"epoch": 1}]), "its contents do not fit (ValidationError)"),
        (
            lambda path: torch.save({"format": 1}, path),
            "its contents do not fit (KeyError)",
        ),
    ],
    ids=[
        "cut",
        "empty",
        "pickle",
        "harmful",
        "flipped",
        "format",
        "torch",
        "trial",
        "network",
        "epochs",
        "fields",
    ],
)
def test_a_checkpoint_of_no_use_is_said_and_the_trial_starts_over(
    folder: Path, tmp_path: Path, spoil: Callable[[Path], None], why: str
) -> None:
    whole = job(folder, tmp_path / "uninterrupted", recipe=RECIPE)
    trained(whole)
    asked = job(folder, tmp_path / "runs", recipe=RECIPE)
    path = stop(asked, 2)
    spoil(path)
    messages = list(trial.run(asked))
    id = records.identity(asked["spec"])
    assert messages[0] == {
        "notice": f"starts over, its checkpoint is of no use: {why.format(id=id)}"
    }
    assert [m["epoch"]["epoch"] for m in messages if "epoch" in m] == [1, 2, 3, 4]
    assert results(asked) == results(whole)
    assert not path.exists()
    assert not path.with_name("harm").exists()


def test_no_room_for_a_checkpoint_is_said_and_the_trial_trains_on(
    folder: Path, tmp_path: Path
) -> None:
    import os

    asked = job(folder, tmp_path, recipe={**RECIPE, "epochs": 2})
    path = checkpoint.place(tmp_path, records.identity(asked["spec"]))
    path.parent.mkdir()
    # Where it is to be written lies the device on which nothing has room.
    path.with_name(f".{path.name}.{os.getpid()}").symlink_to("/dev/full")
    messages = list(trial.run(asked))
    notices = [m["notice"] for m in messages if "notice" in m]
    assert notices == ["no checkpoint after epoch 1: [Errno 28] No space left on device"]
    assert record_of(asked).status == "ok"
    assert list(path.parent.iterdir()) == []  # nor is anything half written left


def test_a_trial_that_diverges_leaves_no_checkpoint(folder: Path, tmp_path: Path) -> None:
    recipe = {**RECIPE, "lr": 1e4, "momentum": 0.0, "schedule": "constant", "epochs": 40}
    found: Record = trained(job(folder, tmp_path, recipe=recipe | {"weight_decay": 1.0}))
    assert found.status == "diverged"
    assert list((tmp_path / "checkpoints").iterdir()) == []


def test_checkpoints_take_a_hundredth_of_the_time(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trial, "CHECKPOINT_AGE", 1e9)
    asked = job(folder, tmp_path, recipe=RECIPE)
    path = stop(asked, 3)
    # One after the first epoch, and then none for a very long time.
    assert len(torch.load(path, weights_only=True)["epochs"]) == 1
