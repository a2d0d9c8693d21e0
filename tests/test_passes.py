"""Passes: what is measured of networks in turns, when, under which conditions, and what is kept."""

import gc
import itertools
import json
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ablate import catalog, environment, networks, passes, records
from ablate.components import Network, expand
from ablate.execute import Done, Lost, Progress, Started
from ablate.metrics import latency

SHAPE = (3, 8, 8)
WORK = "ablate.passes:run"
PARTS = ("seconds", "on_cpu", "calls", "warm_calls", "warm_seconds")


class Clock:
    """Time that passes only where a network says so."""

    def __init__(self) -> None:
        self.now = self.computed = 0.0
        self.calls: list[str] = []  # the names of what was called


class Takes(nn.Module):
    """A network each call of which takes the next of some times, by a clock."""

    def __init__(self, clock: Clock, name: str, *seconds: float, share: float = 1.0) -> None:
        super().__init__()
        self.clock, self.name, self.share = clock, name, share
        self.seconds = itertools.cycle(seconds)

    def forward(self, x: Tensor) -> Tensor:
        took = next(self.seconds)
        self.clock.now += took
        self.clock.computed += took * self.share
        self.clock.calls.append(self.name)
        return x


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """A clock that latency is measured by."""
    made = Clock()
    monkeypatch.setattr(latency, "perf_counter", lambda: made.now)
    monkeypatch.setattr(latency, "process_time", lambda: made.computed)
    return made


def network(**options: Any) -> dict[str, Any]:
    """Return the configuration of a small staged network, every option set."""
    component, problems = expand(
        Network.model_validate({"family": "staged", "stages": [[4], [4]], **options})
    )
    assert problems == []
    return component


def job_of(
    runs: Path,
    *configs: dict[str, Any],
    plugins: Sequence[Path] = (),
    batches: Sequence[int] = (1, 3),
    rounds: int = 4,
) -> dict[str, Any]:
    """Return a pass as an executor is given it."""
    spec = passes.spec_of(configs, SHAPE, 10, {}, batches=batches, rounds=rounds)
    return {"spec": spec, "plugins": [str(path) for path in plugins], "runs": str(runs)}


def record_of(job: dict[str, Any]) -> records.Record:
    found = records.read(Path(job["runs"]), "pass", records.identity(job["spec"]))
    assert found is not None
    return found


# --- blocks and rounds ----------------------------------------------------------------------------


def test_rounds_go_forward_and_backward_by_turns(clock: Clock) -> None:
    fast, slow, slowest = 2.0**-8, 2.0**-7, 2.0**-5  # 3.9 ms, 7.8 ms, 31 ms
    built = [Takes(clock, "a", fast), Takes(clock, "b", slow), Takes(clock, "c", slowest)]
    timing = latency.measure(built, SHAPE, 1, rounds=4)
    assert timing.calls.tolist() == [6, 3, 1]  # 6 · 3.9 ms = 23 ms; at least 3; 50 ms hold only 1
    there = ["a"] * 6 + ["b"] * 3 + ["c"]
    warm = ["a"] * 77 + ["b"] * 39 + ["c"] * 10
    assert clock.calls == warm + 2 * (there + there[::-1])
    assert timing.seconds.tolist() == [[fast, slow, slowest]] * 4
    assert timing.seconds.dtype == np.float64


def test_a_block_is_the_median_of_its_calls(clock: Clock) -> None:
    rare = Takes(clock, "rare", *[2.0**-7] * 4, 8.0)  # every fifth call hangs
    mixed = Takes(clock, "mixed", 2.0**-8, 2.0**-7, 2.0**-6)
    timing = latency.measure([rare, mixed], SHAPE, 1, rounds=5)
    assert timing.warm_calls.tolist() == [5, 33]  # 8 s is beyond the 3 s at which warm-up ends
    assert timing.seconds.tolist() == [[2.0**-7, 2.0**-7]] * 5


def test_a_block_tells_how_much_of_its_time_was_computing(clock: Clock) -> None:
    built = [Takes(clock, "alone", 2.0**-6), Takes(clock, "beside", 2.0**-6, share=0.25)]
    assert latency.measure(built, SHAPE, 1, rounds=2).on_cpu.tolist() == [[1, 0.25]] * 2


@pytest.mark.parametrize(
    ("milliseconds", "calls"),
    [(0.01, 2000), (0.5, 40), (6, 4), (8, 3), (16, 3), (17, 2), (24, 2), (26, 1), (3000, 1)],
)
def test_a_block_is_long_enough_and_not_too_long(milliseconds: float, calls: int) -> None:
    assert latency.block_calls(milliseconds / 1000) == calls


@pytest.mark.parametrize(
    ("seconds", "calls"),
    [
        (2.0**-9, 154),  # for 0.3 s: 153.6 calls
        (2.0**-5, 10),  # 0.31 s
        (2.0**-3, 10),  # 10 calls, in 1.25 s
        (0.5, 6),  # 3 s
        (4.0, 1),
    ],
)
def test_every_network_is_warmed_up_by_the_same_rule(
    seconds: float, calls: int, clock: Clock
) -> None:
    other = Takes(clock, "other", 2.0**-6)
    timing = latency.measure([Takes(clock, "this", seconds), other], SHAPE, 1, rounds=2)
    assert timing.warm_calls.tolist() == [calls, 20]
    assert timing.warm_seconds.tolist() == [calls * seconds, 20 * 2.0**-6]
    assert clock.calls[: calls + 20] == ["this"] * calls + ["other"] * 20


@pytest.mark.parametrize(
    ("count", "rounds"), [(1, 30), (4, 30), (5, 26), (7, 20), (15, 10), (100, 10)]
)
def test_few_networks_get_more_rounds(count: int, rounds: int) -> None:
    assert passes.rounds_for(count) == rounds
    assert passes.spec_of([{"n": n} for n in range(count)], SHAPE, 2, {})["rounds"] == rounds


def test_the_time_a_pass_takes_goes_with_its_blocks() -> None:
    def seconds(networks: int, **more: Any) -> float:
        configs = [{"n": n} for n in range(networks)]
        return passes.expected_seconds(passes.spec_of(configs, SHAPE, 2, {}, **more))

    start = seconds(1, batches=[])
    one = seconds(1, batches=[1], rounds=10) - start
    assert seconds(15, rounds=10) - start == pytest.approx(16 * one)  # 16 / 2 columns, 2 batches
    more = seconds(1, batches=[1], rounds=30) - seconds(1, batches=[1], rounds=20)
    assert 0 < more < one  # the rest is warm-up
    assert seconds(15) < 30


# --- conditions -----------------------------------------------------------------------------------


class Watches(nn.Module):
    """Keeps what it is given and what holds around it."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 5, 3)
        self.given: list[Tensor] = []
        self.around: set[tuple[Any, ...]] = set()

    def forward(self, x: Tensor) -> Tensor:
        self.given.append(x)
        self.around.add(
            (
                self.training,
                torch.is_inference_mode_enabled(),
                torch.get_num_threads(),
                flushes(),
                gc.isenabled(),
                x.is_contiguous(memory_format=torch.channels_last),
                self.conv.weight.is_contiguous(memory_format=torch.channels_last),
                torch.is_autocast_enabled("cpu"),
            )
        )
        out: Tensor = self.conv(x)
        return out


def flushes() -> bool:
    """Whether a product that is a denormal number comes out as zero."""
    return bool((torch.tensor([1e-30]) * 1e-10 == 0).all())


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_every_network_is_measured_under_the_same_conditions(two_threads: None) -> None:
    built = [Watches(), Watches()]
    timing = latency.measure(built, SHAPE, 5, rounds=2)
    for one in built:
        assert one.around == {(False, True, 1, timing.flushed, False, True, True, False)}
    first, *others = built[0].given + built[1].given
    assert all(other is first for other in others)
    assert (first.shape, first.dtype) == ((5, *SHAPE), torch.float32)
    assert (torch.get_num_threads(), flushes(), gc.isenabled()) == (2, False, True)


def test_inputs_are_normal_numbers_that_are_the_same_every_time() -> None:
    def inputs(seed: int) -> Tensor:
        torch.manual_seed(seed)
        watching = Watches()
        before = torch.get_rng_state()
        latency.measure([watching], (3, 64, 64), 4, rounds=1)
        assert torch.equal(torch.get_rng_state(), before)
        return watching.given[0]

    given = inputs(1)
    assert torch.equal(given, inputs(2))
    error = 1 / math.sqrt(given.numel())  # of the mean; of the deviation 1 / √(2n)
    assert abs(given.mean().item()) < 5 * error
    assert abs(given.std().item() - 1) < 5 * error / math.sqrt(2)


class Fails(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        raise ValueError("no more")


def test_a_network_that_raises_is_named_and_leaves_no_trace(two_threads: None) -> None:
    with pytest.raises(ValueError, match="no more") as caught:
        latency.measure([nn.Identity(), Fails(), nn.Identity()], SHAPE, 4, rounds=2)
    assert caught.value.__notes__ == ["network 2 of 3, batch 4"]
    assert (torch.get_num_threads(), flushes(), gc.isenabled()) == (2, False, True)


# --- the identity of a pass -----------------------------------------------------------------------


def test_a_pass_is_what_is_measured_and_where(monkeypatch: pytest.MonkeyPatch) -> None:
    normal, dilated = network(), network(conv="dilated")

    def spec(*configs: dict[str, Any], **more: Any) -> dict[str, Any]:
        options: dict[str, Any] = {"input_shape": SHAPE, "outputs": 10, "plugins": {}}
        return passes.spec_of(configs, **(options | more))

    usual = spec(normal, dilated)
    same = [spec(normal, dilated), spec(normal, dilated, normal, dilated)]
    assert same == [usual, usual]  # what is there already is not measured again
    assert usual["networks"] == [normal, dilated]
    assert json.loads(json.dumps(usual)) == usual
    assert usual["batches"] == [1, 64]
    others = [
        spec(dilated, normal),  # the first one is the control's original
        spec(normal),
        spec(normal, dilated, input_shape=(3, 8, 9)),
        spec(normal, dilated, outputs=11),
        spec(normal, dilated, batches=[1]),
        spec(normal, dilated, rounds=12),
        spec(normal, dilated, plugins={"blocks/conv/mine": "0" * 64}),
    ]
    found = environment.describe("cpu")
    for name, value in (
        ("cpu", "Another CPU"),
        ("cores", 4096),
        ("packages", found["packages"] | {"torch": "1.0"}),
    ):
        monkeypatch.setattr(environment, "describe", lambda _, n=name, v=value: found | {n: v})
        others.append(spec(normal, dilated))
    monkeypatch.setattr(environment, "describe", lambda _: found | {"load": 99.0, "threads": 7})
    assert spec(normal, dilated) == usual  # the machine's mood makes no other machine
    ids = {records.identity(one) for one in [usual, *others]}
    assert len(ids) == 1 + len(others)


@pytest.mark.parametrize("device", ["cuda", "mps"])
def test_only_the_cpu_is_timed(device: str) -> None:
    with pytest.raises(ValueError, match="latency") as caught:
        passes.spec_of([network()], SHAPE, 10, {}, device=device)
    assert str(caught.value) == f"latency cannot be measured on {device!r} yet, only on the CPU"
    assert device not in passes.DEVICES


def test_a_pass_for_another_machine_is_not_recorded(tmp_path: Path) -> None:
    job = job_of(tmp_path, network())
    here = dict(job["spec"]["machine"])
    job["spec"]["machine"] |= {"cpu": "Another CPU", "cores": 3, "torch": "9.9"}
    (started, lost) = catalog.load("execute", "inline").run([job], WORK)
    assert started == Started(0)
    assert lost == Lost(
        0,
        "WrongMachine: planned for Another CPU (3 cores, torch 9.9); this is "
        f"{here['cpu']} ({here['cores']} cores, torch {here['torch']})",
        "WrongMachine",
    )
    assert list(tmp_path.iterdir()) == []


# --- records --------------------------------------------------------------------------------------


def test_a_deeper_network_is_slower_and_everything_is_kept(tmp_path: Path) -> None:
    """The real thing: a process of its own, and 16 layers against 2."""
    job = job_of(tmp_path, network(), network(stages=[[4] * 8, [4] * 8]), network())
    run = catalog.load("execute", "processes").run
    id = records.identity(job["spec"])
    assert list(run([job], WORK, 1)) == [
        Started(0),
        Progress(0, {"batch": 1, "done": 1, "of": 2}),
        Progress(0, {"batch": 3, "done": 2, "of": 2}),
        Done(0, tmp_path / "passes" / id, "ok"),
    ]
    record = record_of(job)
    assert (record.kind, record.id, record.status, record.reason) == ("pass", id, "ok", None)
    assert (record.spec, record.metrics, record.epochs) == (job["spec"], {}, [])
    assert record.environment["threads"] == record.environment["processes"] == 1
    assert record.environment["cpu"] == job["spec"]["machine"]["cpu"]
    assert {"load", "load_after", "denormals_flushed", "commit"} <= set(record.environment)
    shapes = {"seconds": (4, 3), "on_cpu": (4, 3)}
    assert {name: array.shape for name, array in record.arrays.items()} == {
        f"{part}_{batch}": shapes.get(part, (3,)) for part in PARTS for batch in (1, 3)
    }
    for batch in (1, 3):
        seconds = record.arrays[f"seconds_{batch}"]
        assert (seconds > 0).all()
        assert np.median(seconds[:, 1] / seconds[:, 0]) > 1
        assert (record.arrays[f"warm_seconds_{batch}"] >= 0.3).all()
    assert 0 < np.median(record.arrays["on_cpu_3"]) < 1.1


@pytest.fixture
def plugin(no_plugins: None, tmp_path: Path) -> Callable[[str], Path]:
    """Write a network family, `mine`, the forward pass of which is the given lines."""

    def write(forward: str) -> Path:
        path = tmp_path / "mine.py"
        path.write_text(
            "from torch import nn\n"
            'ROOM = "networks"\n'
            "SEEN = []\n"
            "class Mine(nn.Module):\n"
            "    def __init__(self, outputs):\n"
            "        super().__init__()\n"
            "        self.features = nn.Conv2d(3, outputs, 3)\n"
            "    def forward(self, x):\n"
            f"        {forward}\n"
            "def build(input_shape, outputs, *, scale: int = 1):\n"
            "    return Mine(outputs * scale)\n"
        )
        return path

    return write


def test_the_last_column_is_a_copy_of_the_first_network(
    plugin: Callable[[str], Path], tmp_path: Path
) -> None:
    path = plugin("SEEN.append(self); return self.features(x)")
    mine: list[dict[str, Any]] = [{"family": "mine"}, {"family": "mine", "scale": 2}]
    job = job_of(tmp_path, *mine, plugins=[path], batches=[2], rounds=2)
    *_, last = passes.run(job)
    assert last["status"] == "ok"
    seen: Sequence[nn.Conv2d] = [
        one.features for one in sys.modules["ablate_plugin.networks.mine"].SEEN
    ]
    first, second, control = dict.fromkeys(seen)
    assert record_of(job).arrays["calls_2"].shape == (3,)
    assert [one.out_channels for one in (first, second, control)] == [10, 20, 10]
    assert torch.equal(first.weight, control.weight)
    assert first.weight.data_ptr() != control.weight.data_ptr()
    again = catalog.build("networks", mine[0], "family", SHAPE, 10)
    networks.initialise(again, seed=0)
    assert torch.equal(first.weight, again.features.weight)


def test_a_network_that_raises_makes_a_failed_record(
    plugin: Callable[[str], Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = plugin('raise RuntimeError("out of luck")')
    job = job_of(tmp_path, network(), {"family": "mine"}, plugins=[path])
    events = list(catalog.load("execute", "inline").run([job], WORK))
    folder = tmp_path / "passes" / records.identity(job["spec"])
    assert events == [Started(0), Done(0, folder, "failed")]
    assert capfd.readouterr() == ("", "")
    record = record_of(job)
    assert record.status == "failed"
    assert record.reason == "RuntimeError: out of luck (network 2 of 3, batch 1)"
    assert record.arrays == {}
    trace = (folder / "traceback.txt").read_text()
    assert trace.startswith("Traceback (most recent call last):")
    assert "mine.py" in trace


def test_a_network_that_cannot_be_built_makes_a_failed_record(tmp_path: Path) -> None:
    job = job_of(tmp_path, network(), {"family": "no_such_family"})
    (only,) = passes.run(job)
    assert only["status"] == "failed"
    reason = record_of(job).reason
    assert reason is not None
    assert reason.startswith("UnknownName: unknown network family 'no_such_family'; ")
