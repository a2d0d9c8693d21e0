"""The benchmarks: peers that do the same work, processes that are fresh, tables that are right."""

import hashlib
import importlib
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import stats
from small_runs import images as opened
from torch import nn
from torch.nn.modules.module import register_module_forward_pre_hook
from torch.optim.optimizer import register_optimizer_step_pre_hook

from ablate import catalog, records
from ablate.suite.schema import Recipe
from ablate.train import batches, trial
from ablate.train.loop import learning_rates
from benchmarks import bare, floor, fresh, matching, page, planning, results, setting, speed, work
from benchmarks.peers.ours import as_trial

SIDE = 32
STEP = 7  # between the values of neighbouring pixels, which say where they come from


def coded(number: int) -> np.ndarray[Any, Any]:
    """Return an image whose red says the row, green the column and blue which image it is."""
    image = np.empty((SIDE, SIDE, 3), np.uint8)
    image[..., 0] = STEP * (1 + np.arange(SIDE))[:, None]
    image[..., 1] = STEP * (1 + np.arange(SIDE))[None, :]
    image[..., 2] = number
    return image


pytestmark = pytest.mark.usefixtures("single_thread")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Two classes, 120 training and 40 test images, every one another blue."""
    place = tmp_path_factory.mktemp("benchmarks")
    number = 0
    for split, count in (("train", 60), ("test", 20)):
        for name in ("one", "two"):
            (place / "images" / split / name).mkdir(parents=True)
            for index in range(count):
                number += 1
                path = place / "images" / split / name / f"{index:03}.png"
                Image.fromarray(coded(number)).save(path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ABLATE_DATA", str(place / "prepared"))
        yield place / "images"


def job(folder: Path, network: str = "normal", **changes: Any) -> dict[str, Any]:
    """Return 4 epochs of 5 batches of 20, and 30 images to be tested on."""
    dataset = opened(folder)
    mean, std = batches.channel_statistics(dataset.train)
    given: dict[str, Any] = {
        "width": 2,
        "batch": 20,
        "epochs": 4,
        "sizes": (100, 30),
        "precision": "fp32",
        "threads": 1,
        "data": {
            "component": {"name": "folder", "path": str(folder)},
            "digest": dataset.digest,
        },
        "statistics": (mean.tolist(), std.tolist()),
        "seed": 3,
    }
    return work.job(network, **given | changes)


@dataclass
class Seen:
    """What a peer showed its network, and how it stepped."""

    trained: list[np.ndarray[Any, Any]] = field(default_factory=list)  # uint8 (b, h, w, c)
    tested: list[np.ndarray[Any, Any]] = field(default_factory=list)
    initial: str = ""  # digest of the weights before the first step
    rates: list[float] = field(default_factory=list)
    groups: list[tuple[int, float, float, bool]] = field(default_factory=list)


def watch(peer: ModuleType, job: dict[str, Any]) -> tuple[Seen, dict[str, Any]]:
    """Run a peer and return what its network and its optimizer saw, and what it returned."""
    seen = Seen()
    mean, std = (np.asarray(job[name], np.float32) for name in ("mean", "std"))

    def given(module: nn.Module, inputs: Any) -> None:
        if not {"features", "head"} <= dict(module.named_children()).keys():
            return
        if not seen.initial:
            weights = b"".join(p.detach().numpy().tobytes() for p in module.parameters())
            seen.initial = hashlib.sha256(weights).hexdigest()
        pixels = inputs[0].permute(0, 2, 3, 1).numpy() * std + mean
        kept = np.rint(pixels).astype(np.uint8)
        assert np.abs(pixels - kept).max() < 0.01
        (seen.trained if module.training else seen.tested).append(kept)

    def stepped(optimizer: torch.optim.Optimizer, *_: Any) -> None:
        assert isinstance(optimizer, torch.optim.SGD)
        groups = optimizer.param_groups
        if sum(p.numel() for p in groups[0]["params"]) == 1:
            return  # no network's: the one by which `ablate` finds its learning rates
        seen.rates.append(groups[0]["lr"])
        seen.groups = [
            (sum(p.numel() for p in g["params"]), g["weight_decay"], g["momentum"], g["nesterov"])
            for g in groups
        ]

    hooks = [register_module_forward_pre_hook(given), register_optimizer_step_pre_hook(stepped)]
    try:
        return seen, peer.train(job)
    finally:
        for hook in hooks:
            hook.remove()


@pytest.fixture(scope="module")
def ours(folder: Path) -> tuple[Seen, dict[str, Any]]:
    return watch(importlib.import_module("benchmarks.peers.ours"), job(folder))


@pytest.fixture(
    params=["plain", "advised", "lightning", "timm_parts"],
)
def peer(request: pytest.FixtureRequest) -> ModuleType:
    package = {"lightning": "pytorch_lightning", "timm_parts": "timm"}.get(request.param)
    if package:
        pytest.importorskip(package, exc_type=ImportError)
    return importlib.import_module(f"benchmarks.peers.{request.param}")


def numbers(parts: list[np.ndarray[Any, Any]]) -> list[int]:
    """Return which images are in batches, by their blue in the middle."""
    return [int(image[SIDE // 2, SIDE // 2, 2]) for part in parts for image in part]


def augmented(image: np.ndarray[Any, Any]) -> tuple[int, int, bool]:
    """Return rows and columns of the shift and whether it is mirrored, all of it checked."""
    middle = SIDE // 2
    row, column, number = (int(value) for value in image[middle, middle])
    flip = bool(image[middle, middle + 1, 1] < column)
    down = row // STEP - 1 - middle
    right = column // STEP - 1 - (SIDE - 1 - middle if flip else middle)
    padded = np.pad(coded(number), ((4, 4), (4, 4), (0, 0)))
    cut = padded[4 + down : 4 + down + SIDE, 4 + right : 4 + right + SIDE]
    assert np.array_equal(image, cut[:, ::-1] if flip else cut)
    return down, right, flip


def check_augmentation(seen: Seen) -> None:
    drawn = [augmented(image) for part in seen.trained for image in part]
    for axis in (0, 1):
        counts = [sum(d[axis] == shift for d in drawn) for shift in range(-4, 5)]
        assert sum(counts) == len(drawn)
        assert stats.chisquare(counts).pvalue > 1e-4
    assert stats.binomtest(sum(flip for *_, flip in drawn), len(drawn)).pvalue > 1e-4
    for part in seen.trained:  # every image of a batch has its own
        assert len({augmented(image) for image in part}) > 10


def test_our_augmentation_is_what_it_says(ours: tuple[Seen, dict[str, Any]]) -> None:
    check_augmentation(ours[0])


def test_peers_do_the_same_work(
    peer: ModuleType, ours: tuple[Seen, dict[str, Any]], folder: Path
) -> None:
    (seen, result), (wanted, reference) = watch(peer, job(folder)), ours
    assert seen.initial == wanted.initial
    assert {part.shape for part in seen.trained} == {(20, SIDE, SIDE, 3)}
    assert len(seen.trained) == len(wanted.trained) == 20
    for start in range(0, 20, 5):  # every example once an epoch, the same ones
        epoch = [sorted(numbers(s.trained[start : start + 5])) for s in (seen, wanted)]
        assert epoch[0] == epoch[1]
        assert len(set(epoch[0])) == 100
    check_augmentation(seen)
    tested = [np.concatenate(s.tested) for s in (seen, wanted)]
    assert np.array_equal(tested[0], tested[1])
    assert len(tested[0]) == 30
    recipe = Recipe.model_validate(job(folder)["config"]["recipe"])
    assert seen.rates == pytest.approx(learning_rates(recipe, 20))
    assert wanted.rates == pytest.approx(seen.rates)
    assert seen.groups == wanted.groups
    for found in (result, reference):
        assert (found["steps"], found["images"]) == (20, 400)
        assert found["train_seconds"] > 0
        assert 0 <= found["accuracy"] <= 100


def test_peers_spare_depthwise_filters_alike(
    peer: ModuleType, folder: Path, tmp_path: Path
) -> None:
    short = job(folder, "depthwise", epochs=1, precision="bf16")
    seen, _ = watch(peer, short)
    wanted, _ = watch(importlib.import_module("benchmarks.peers.ours"), short)
    assert seen.groups == wanted.groups
    assert len(seen.groups) == 2


def test_workers_of_a_data_loader_augment_each_on_its_own(folder: Path) -> None:
    plain = importlib.import_module("benchmarks.peers.plain")
    seen, result = watch(plain, job(folder, workers=2))
    check_augmentation(seen)
    assert result["steps"] == 20


def test_a_short_last_batch_is_refused(folder: Path) -> None:
    with pytest.raises(ValueError, match="100 training images are no whole number of batches"):
        job(folder, batch=30)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_bare_loop_ends_with_the_same_weights(
    precision: str, folder: Path, tmp_path: Path
) -> None:
    given = as_trial(job(folder, precision=precision), tmp_path)
    *_, last = trial.run(given)
    assert last["status"] == "ok"
    network, accuracy = bare.train(given)
    kept = torch.load(Path(last["record"]) / "weights.pt", weights_only=True)
    found = network.state_dict()
    assert found.keys() == kept.keys()
    assert all(torch.equal(found[name], kept[name]) for name in kept)
    record = records.read(tmp_path, "trial", records.identity(given["spec"]))
    assert record is not None
    assert record.metrics["accuracy"].value == pytest.approx(accuracy)


@pytest.mark.parametrize("network", list(work.NETWORKS))
def test_a_network_needs_six_operations_for_each_mac(network: str, folder: Path) -> None:
    asked = job(folder, network)
    built, _, _ = trial.assemble(asked["config"], opened(folder))
    macs = catalog.load("metrics", "macs").measure(built, (3, SIDE, SIDE)).value
    needed = floor.needs(asked)
    assert sum(flops for flops, _ in needed) == 6 * macs
    # The first layer: 3 channels in, 2 out, of 32x32 pixels; read or written three times each.
    assert needed[0][1] == 3 * (3 + 2) * SIDE**2


# --- processes ------------------------------------------------------------------------------------


def test_processes_answer_turn_by_turn() -> None:
    first, second = fresh.turns("math:sqrt", [[4, 9], [16, 25]], threads=1)
    assert (first.results, second.results) == ([2, 3], [4, 5])
    assert first.seconds > second.seconds  # which started no process
    assert 0 < second.cpu_seconds + 1e-9 < first.cpu_seconds
    assert first.peak_bytes > 1_000_000


def test_a_process_that_fails_says_why() -> None:
    with pytest.raises(fresh.Failed) as caught:
        fresh.call("math:sqrt", -1)
    lines = str(caught.value).splitlines()
    assert lines[0] == "math:sqrt: its process ended with exit code 1"
    assert lines[-1].startswith("ValueError: ")


# --- results and tables ---------------------------------------------------------------------------


def test_results_outlive_an_interruption(tmp_path: Path) -> None:
    results.append(tmp_path, "speed", [{"a": 1}, {"a": 2}])
    with (tmp_path / "speed.jsonl").open("a") as file:
        file.write('\n[{"a": 3}, {"a"')
    results.append(tmp_path, "speed", [{"a": 4}])
    assert [row["a"] for row in results.load(tmp_path, "speed")] == [1, 2, 4]
    assert results.load(tmp_path, "accuracy") == []


def warm(contestant: str, number: int, seconds: float, workers: int = 0) -> results.Row:
    return {
        "round": number,
        "network": "normal",
        "batch": 128,
        "mode": "alone",
        "contestant": contestant,
        "temperature": "warm",
        "workers": workers,
        "seconds": seconds,
    }


ALONE = {"network": "normal", "batch": 128, "mode": "alone"}


def test_ratios_are_of_one_round_and_of_the_best_workers() -> None:
    rows = [
        *(warm("ours", number, seconds) for number, seconds in ((1, 2.0), (2, 4.0), (3, 1.0))),
        warm("plain", 1, 9.0, workers=0),
        warm("plain", 1, 6.0, workers=2),
        warm("plain", 2, 10.0, workers=2),
    ]
    assert page.ratios(rows, ALONE | {"contestant": "plain"}) == [3.0, 2.5]
    assert page.ratios(rows, ALONE | {"contestant": "timm"}) == []
    assert speed.best_workers([]) is None


def test_the_floor_is_the_longer_of_arithmetic_and_memory() -> None:
    rates = {"fp32": 10.0, "bf16": 100.0, "copy": 50.0}
    layers = [[1000.0, 1.0], [1.0, 1000.0]]
    assert page.least_seconds(layers, rates, "fp32") == 1000 / 10 + 4 * 1000 / 50
    assert page.least_seconds(layers, rates, "bf16") == 1000 / 100 + 2 * 1000 / 50


def test_the_interval_of_the_overhead_is_that_of_the_logarithms() -> None:
    rows = [{"trial": t, "bare": b} for t, b in ((1.02, 1.0), (2.1, 2.0), (0.99, 1.0), (1.5, 1.4))]
    logs = np.log([row["trial"] / row["bare"] for row in rows])
    wanted = stats.ttest_1samp(logs, 0).confidence_interval(0.95)
    middle, low, high = page.overhead_interval(rows)
    assert middle == pytest.approx(stats.gmean(np.exp(logs)) - 1)
    assert (low, high) == pytest.approx(tuple(np.expm1(wanted)))


ABOUT = {
    "environment": {
        "cpu": "A CPU",
        "system": "Linux",
        "python": "3.11.9",
        "packages": {"torch": "2.9.0", "pytorch-lightning": None, "timm": "1.0.31"},
        "commit": "0123456789abcdef",
        "dirty": False,
    },
    "cores": 2,
    "precision": "bf16",
    "title": "CIFAR-10",
    "photographs": True,
    "quick": False,
    "date": "2026-01-02",
}


def test_tables_replace_what_stands_between_the_markers(tmp_path: Path) -> None:
    results.append(
        tmp_path,
        "overhead",
        [{"round": n, "trial": 1.01 + n / 1000, "bare": 1.0} for n in range(20)],
    )
    results.append(
        tmp_path,
        "rerun",
        [
            {"repeat": n, "seconds": s, "cpu_seconds": 1.0, "trials": 7}
            for n, s in enumerate((90.0, 3.5, 2.5, 2.75))
        ],
    )
    target = tmp_path / "README.md"
    target.write_text(f"before\n{page.BEGIN}\nold\n{page.END}\nafter\n")
    page.write(target, tmp_path, ABOUT)
    text = target.read_text()
    assert text.startswith("before\n")
    assert text.endswith(f"{page.END}\nafter\n")
    assert "\nold\n" not in text
    assert (
        "A CPU, 2 cores, Linux; Python 3.11.9, torch 2.9.0, timm 1.0.31.\n"
        "Images: CIFAR-10. Precision that ablate chose: bf16. "
        "Measured 2026-01-02, commit 0123456789ab.\n"
        "Left out, since they are not installed: pytorch-lightning.\n"
    ) in text
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines()]
    assert ["a suite again, everything there", "under 3 s", "2.75 s", "yes"] in cells
    again = ["a suite again, 7 trials there", "2.75 s (2.50 s–3.50 s)", "1.00 s (1.00 s–1.00 s)"]
    assert again in cells
    assert any(line[:1] == ["overhead over the bare loop"] and line[3] == "yes" for line in cells)
    page.write(target, tmp_path, ABOUT)
    assert target.read_text() == text


def test_a_page_without_markers_is_left_alone(tmp_path: Path) -> None:
    target = tmp_path / "README.md"
    target.write_text("mine")
    with pytest.raises(ValueError, match="there are no markers"):
        page.write(target, tmp_path, ABOUT)
    assert target.read_text() == "mine"


def test_accuracy_is_judged_by_its_interval(tmp_path: Path) -> None:
    for name, values in {"ours": [70.0, 71.0, 70.5], "plain": [70.2, 70.8, 70.6]}.items():
        rows = [{"contestant": name, "seeds": [0, 1, 2], "accuracy": values}]
        results.append(tmp_path, "accuracy", rows)
    target = tmp_path / "README.md"
    page.write(target, tmp_path, ABOUT)
    assert "equivalent within ±2." in target.read_text()
    more = {"contestant": "plain", "seeds": [3, 4], "accuracy": [60.0, 80.0]}
    results.append(tmp_path, "accuracy", [more])
    page.write(target, tmp_path, ABOUT)
    assert "not shown to be equivalent within ±2." in target.read_text()


# --- the command ----------------------------------------------------------------------------------


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", *arguments],
        cwd=fresh.ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_command_measures_once_and_writes_its_tables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ABLATE_DATA", str(tmp_path / "prepared"))
    asked = ["--quick", "--results", str(tmp_path), "--only", "overhead"]
    first = command(*asked)
    assert first.returncode == 0, first.stderr
    assert first.stderr.startswith("0 of 1 steps are there\n")
    written = Path(first.stdout.strip())
    assert written.parent.parent == tmp_path
    text = written.read_text()
    assert "**Made with `--quick`: a proof that the benchmarks work. No number counts.**" in text
    assert "beside a bare loop of the same steps" in text
    (rounds,) = [
        json.loads(line) for line in (written.parent / "overhead.jsonl").read_text().split("\n")[1:]
    ]
    assert [row["round"] for row in rounds] == [1, 2]
    second = command(*asked)
    assert second.stderr == "1 of 1 steps are there\n"
    assert written.read_text() == text


def test_the_command_refuses_what_it_cannot_use(tmp_path: Path) -> None:
    done = command("--results", str(tmp_path), "--write")
    assert done.returncode == 2
    assert done.stderr == (f"there are no results in {tmp_path}; run this without --write first\n")
    done = command("--images", str(tmp_path / "none"), "--results", str(tmp_path))
    assert done.returncode == 2
    assert "there is no such folder" in done.stderr


def test_planning_times_every_part(folder: Path) -> None:
    text = planning.suite({"name": "folder", "path": str(folder), "size": None}, 2, 5)
    found = planning.once({"suite": text})
    assert found.pop("planned") == 10
    assert found.keys() == {"load", "check", "probe", "make"}
    assert all(part["seconds"] > 0 for part in found.values())


def test_matching_finds_what_it_finds_where_every_candidate_is_counted(tmp_path: Path) -> None:
    (row,) = matching._measure(most=1)
    assert len(row["ours"]["found"]) == 2  # one by parameters, one by MACs
    assert row["in_full"]["found"] == row["ours"]["found"]
    assert min(side["cpu_seconds"] for side in row.values()) > 0
    results.append(tmp_path, matching.SECTION, [{"repeat": 0} | row])
    target = tmp_path / "README.md"
    page.write(target, tmp_path, ABOUT)
    text = target.read_text()
    ratio = row["in_full"]["cpu_seconds"] / row["ours"]["cpu_seconds"]
    assert f"in full takes {ratio:.1f} times the CPU time, and finds the same." in text
    assert "| 2 matches of s7, every candidate counted in full |" in text


def test_sizes_are_whole_numbers_of_batches() -> None:
    from benchmarks import accuracy, memory, overhead

    sizes: list[setting.Sizes] = [accuracy.SIZES, memory.SIZES, overhead.SIZES, speed.SIZES]
    assert all(each.train % each.batch == 0 for each in sizes)
    assert all(speed.SIZES.train % batch == 0 for batch in speed.BATCHES)
