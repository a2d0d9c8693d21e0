"""Images that do not fit into memory come in portions, and nothing else about a trial changes."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from small_runs import draw, job, record_of, trained

from ablate import records
from ablate.data import Split
from ablate.records import Record
from ablate.train import allocator, batches, trial
from ablate.train.exact import exact
from ablate.train.source import first, open_source, plain, portions

STATISTICS = (torch.tensor([100.0, 120.0]), torch.tensor([50.0, 60.0]))


pytestmark = pytest.mark.usefixtures("single_thread")


def numbered(count: int) -> Split:
    """Images of 4x6 pixels and 2 channels of noise, whose targets are their numbers."""
    pixels = np.random.RandomState(count).randint(0, 256, (count, 4, 6, 2)).astype(np.uint8)
    return Split(pixels, np.arange(count))


@given(
    images=st.integers(1, 40),
    batch=st.integers(1, 17),
    memory=st.integers(0, 6000),
    seed=st.integers(0, 3),
)
def test_portions_hold_the_same_batches_in_the_same_order(
    images: int, batch: int, memory: int, seed: int
) -> None:
    split = numbered(images)
    rows = torch.randperm(images, generator=torch.Generator().manual_seed(seed))
    (epoch,) = batches.schedules(images, batch, 1, ["crop", "flip", "cutout"], 4, seed)
    seen = []
    for allowed in (None, memory):
        source = open_source(split, rows, 4, STATISTICS, "cpu", allowed)
        seen.append([])
        for part, steps in portions(source, epoch):
            if source.whole is None:
                each = (4 + 8) * (6 + 8) * 2 + 8
                assert len(part) * each <= max(memory, batch * each)  # one batch there must be
            assert steps.hole is not None
            for step in zip(steps.order, steps.shift, steps.flip, steps.hole, strict=True):
                given, targets = batches.gather(part, *step)
                seen[-1].append((given.numpy().tobytes(), targets.tolist()))
    assert seen[0] == seen[1]
    assert [targets for _, targets in seen[0]] == rows[epoch.order].tolist()


@pytest.mark.parametrize("count", [1, 5, 12])
def test_examples_in_order_are_the_same_from_memory_and_in_portions(count: int) -> None:
    rows = torch.tensor([7, 1, 1, 9, 3, 0, 2, 11, 4, 5, 6, 8])
    seen = []
    for memory in (None, 500):
        source = first(open_source(numbered(12), rows, 0, STATISTICS, "cpu", memory), count)
        assert len(source) == count
        assert (source.whole is None) == (memory is not None)
        seen.append([(x.numpy().tobytes(), x.shape, y.tolist()) for x, y in plain(source, 5)])
    assert seen[0] == seen[1]
    assert [target for *_, targets in seen[0] for target in targets] == rows[:count].tolist()


def test_what_fits_exactly_is_held_whole() -> None:
    size = 12 * (4 * 6 * 2 + 8)
    assert open_source(numbered(12), None, 0, STATISTICS, "cpu", size).whole is not None
    assert open_source(numbered(12), None, 0, STATISTICS, "cpu", size - 1).whole is None


@pytest.mark.parametrize("pad", [0, 4])
@pytest.mark.parametrize("target", [(), (3,), (4, 6), (4, 6, 5)])
def test_the_size_of_an_example_is_what_it_takes(pad: int, target: tuple[int, ...]) -> None:
    split = Split(numbered(7).images, np.zeros((7, *target), np.int32))
    whole = open_source(split, None, pad, STATISTICS, "cpu").whole
    assert whole is not None
    assert 7 * batches.size(split, pad) == whole.images.nbytes + whole.targets.nbytes


# --- whole trials ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    place = tmp_path_factory.mktemp("source")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ABLATE_DATA", str(place / "prepared"))
        yield draw(place / "images", contrast=30)


RECIPE = {
    "epochs": 2,
    "batch_size": 16,
    "precision": "fp32",
    "augment": ["crop", "flip", "cutout"],
}
SIZES = {"validation_images": 16, "train_images": 50, "test_images": 40}


def same(one: Record, other: Record, runs: list[Path]) -> None:
    for name in ("arrays.npz", "weights.pt"):
        first, second = (
            (records.folder(place, "trial", record.id) / name).read_bytes()
            for place, record in zip(runs, (one, other), strict=True)
        )
        assert first == second
    assert [e.scores for e in one.epochs] == [e.scores for e in other.epochs]


def test_a_trial_in_portions_gives_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    runs = [tmp_path / "whole", tmp_path / "portions"]
    whole, portioned = (job(folder, place, recipe=RECIPE, sizes=SIZES) for place in runs)
    found = trained(whole), trained(portioned | {"memory": 3 * 20 * 20 * 20 * 3})
    assert [one.environment["execution"]["streamed"] for one in found] == [False, True]
    same(*found, runs)


def test_exact_trials_give_the_same_bytes_again(folder: Path, tmp_path: Path) -> None:
    runs = [tmp_path / "one", tmp_path / "two"]
    recipe = {**RECIPE, "exact": True}
    one, two = (trained(job(folder, place, recipe=recipe, sizes=SIZES)) for place in runs)
    assert one.status == "ok"
    same(one, two, runs)
    plain = job(folder, tmp_path, recipe=RECIPE, sizes=SIZES)
    assert records.identity(plain["spec"]) != one.id  # it rounds otherwise: another trial


def test_exact_mode_is_on_for_as_long_as_it_is_wanted(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", True)
    seen = []
    for wanted in (True, False):
        messages = trial.run(job(folder, tmp_path, recipe={**RECIPE, "exact": wanted}))
        assert "epoch" in next(messages)
        seen.append((torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark))
        list(messages)
        assert not torch.are_deterministic_algorithms_enabled()
        assert torch.backends.cudnn.benchmark
    assert seen == [(True, False), (False, True)]


def test_a_layer_without_deterministic_kernels_is_refused_in_exact_mode() -> None:
    # Of those that torch has no deterministic kernel of, this one is so on every device.
    values = torch.zeros(4).put_(torch.tensor([0, 0]), torch.ones(2), accumulate=False)
    assert values[0] == 1
    with exact(True), pytest.raises(RuntimeError, match="does not have a deterministic"):
        torch.zeros(4).put_(torch.tensor([0, 0]), torch.ones(2), accumulate=False)


# --- memory ---------------------------------------------------------------------------------------

GREEDY = '''"""Asks for more memory than there is on any machine, once it is trained."""

ROOM = "blocks/act"
SAMPLE = {}

import torch
from torch import nn


class Greedy(nn.Module):
    def forward(self, x):
        return x + torch.empty(1 << 50).sum() if self.training else x


def build() -> nn.Module:
    return Greedy()
'''


@pytest.mark.usefixtures("no_plugins")
def test_a_trial_without_memory_says_so_or_records_it_where_it_was_alone(
    folder: Path, tmp_path: Path
) -> None:
    plugin = tmp_path / "greedy.py"
    plugin.write_text(GREEDY)
    network: dict[str, Any] = {"family": "staged", "stages": [[4], [6]]}
    asked = job(folder, tmp_path, network=network, plugins={"blocks/act/greedy": plugin})
    asked["spec"]["config"]["network"]["act"] = {"kind": "greedy"}
    with pytest.raises(MemoryError, match="DefaultCPUAllocator: can't allocate memory"):
        list(trial.run(asked))
    assert not (tmp_path / "trials").exists()
    list(trial.run(asked | {"alone": True}))
    found = record_of(asked)
    assert found.status == "failed"
    assert found.reason is not None
    assert found.reason.startswith("out of memory, alone on the machine: ")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="it is about glibc")
def test_freed_memory_stays_with_the_process() -> None:
    # In a process of its own: there is no way back.
    import subprocess

    program = """if True:
        import resource, sys
        from ablate.train.allocator import keep_freed_memory
        if sys.argv[1] == "keep":
            assert keep_freed_memory()
        def faults():
            return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        bytearray(100 << 20)
        before = faults()
        for _ in range(10):
            bytearray(100 << 20)  # zeroed: every page is touched
        print(faults() - before)
    """
    counts = {}
    for word in ("keep", "leave"):
        done = subprocess.run(
            [sys.executable, "-c", program, word], capture_output=True, text=True, check=True
        )
        counts[word] = int(done.stdout)
    assert counts["leave"] > 1000  # calloc gets fresh pages from the kernel each time
    assert counts["keep"] < counts["leave"] / 10


def test_other_systems_are_left_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert not allocator.keep_freed_memory()
