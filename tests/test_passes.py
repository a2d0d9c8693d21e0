"""Passes: what is measured of networks in turns, when, under which conditions, and what is kept."""

import gc
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

from ablate import catalog, environment, passes, records
from ablate.components import Network, expand
from ablate.execute import Done, Lost, Progress, Started
from ablate.metrics import latency

SHAPE = (3, 8, 8)
WORK = "ablate.passes:run"


SETTING = {
    "phase": "inference",
    "batch": 5,
    "precision": "fp32",
    "memory_format": "channels_last",
    "mode": "eager",
    "threads": 1,
    "device": "cpu",
}


def network(**options: Any) -> dict[str, Any]:
    """Return the configuration of a small staged network, every option set."""
    component, problems = expand(
        Network.model_validate({"family": "staged", "stages": [[4], [4]], **options})
    )
    assert problems == []
    return component


def spec_of(
    configs: Sequence[dict[str, Any]], batches: Sequence[int] = (1, 3), **more: Any
) -> dict[str, Any]:
    """Return the spec of a pass of latency."""
    settings = passes.settings("cpu", batches=batches)
    options: dict[str, Any] = {"input_shape": SHAPE, "outputs": 10, "plugins": {}}
    return passes.spec_of("latency", configs, **(options | {"settings": settings} | more))


def job_of(
    runs: Path,
    *configs: dict[str, Any],
    plugins: Sequence[Path] = (),
    batches: Sequence[int] = (1, 3),
    rounds: int = 4,
    **more: Any,
) -> dict[str, Any]:
    """Return a pass as an executor is given it."""
    spec = spec_of(configs, batches, rounds=rounds, **more)
    return {"spec": spec, "plugins": [str(path) for path in plugins], "runs": str(runs)}


def record_of(job: dict[str, Any]) -> records.Record:
    found = records.read(Path(job["runs"]), "pass", records.identity(job["spec"]))
    assert found is not None
    return found


def test_the_time_a_pass_takes_goes_with_its_blocks() -> None:
    def seconds(networks: int, batches: Sequence[int] = (1,), rounds: int = 10) -> float:
        configs = [{"n": n} for n in range(networks)]
        return passes.expected_seconds(spec_of(configs, batches=batches, rounds=rounds))

    one = seconds(1)
    assert seconds(15) == pytest.approx(8 * one)  # 16 columns for 2
    assert one < seconds(1, (1, 64)) < 2 * one  # building is done once
    more = seconds(1, rounds=30) - seconds(1, rounds=20)
    assert 0 < more < one  # the rest is warm-up
    assert seconds(15, (1, 64)) < 30


# --- conditions -----------------------------------------------------------------------------------


class Watches(nn.Module):
    """Keeps what its copies are given and what holds around them."""

    copies: "list[Watches]" = []  # noqa: RUF012  # what is timed are copies

    def __deepcopy__(self, memo: dict[int, Any]) -> "Watches":
        with torch.random.fork_rng(devices=[]):
            made = Watches()
        made.load_state_dict(self.state_dict())
        Watches.copies.append(made)
        return made

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
    Watches.copies = []
    found = latency.measure([Watches(), Watches()], SHAPE, SETTING, rounds=2)
    one, other = Watches.copies
    flushed = bool(found["flushed"])
    assert one.around == other.around == {(False, True, 1, flushed, False, True, True, False)}
    first, *others = one.given + other.given
    assert all(other is first for other in others)
    assert (first.shape, first.dtype) == ((5, *SHAPE), torch.float32)
    assert (torch.get_num_threads(), flushes(), gc.isenabled()) == (2, False, True)


def test_inputs_are_normal_numbers_that_are_the_same_every_time() -> None:
    def inputs(seed: int) -> Tensor:
        torch.manual_seed(seed)
        watching = Watches()
        before = torch.get_rng_state()
        latency.measure([watching], (3, 64, 64), SETTING, rounds=1)
        assert torch.equal(torch.get_rng_state(), before)
        return Watches.copies[-1].given[0]

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
        latency.measure([nn.Identity(), Fails(), nn.Identity()], SHAPE, SETTING, rounds=2)
    assert caught.value.__notes__ == ["network 2 of 3"]
    assert (torch.get_num_threads(), flushes(), gc.isenabled()) == (2, False, True)


# --- the identity of a pass -----------------------------------------------------------------------


def test_a_pass_is_what_is_measured_and_where(monkeypatch: pytest.MonkeyPatch) -> None:
    normal, dilated = network(), network(conv="dilated")
    usual = spec_of([normal, dilated])
    same = [spec_of([normal, dilated]), spec_of([normal, dilated, normal, dilated])]
    assert same == [usual, usual]  # what is there already is not measured again
    assert usual["networks"] == [normal, dilated]
    assert json.loads(json.dumps(usual)) == usual
    assert [setting["batch"] for setting in usual["settings"]] == [1, 3]
    others = [
        spec_of([dilated, normal]),  # the first one is the control's original
        spec_of([normal]),
        spec_of([normal, dilated], input_shape=(3, 8, 9)),
        spec_of([normal, dilated], outputs=11),
        spec_of([normal, dilated], batches=[1]),
        spec_of([normal, dilated], rounds=12),
        spec_of([normal, dilated], process=1),
        spec_of([normal, dilated], settings=passes.settings("cpu", 2, batches=[1, 3])),
        spec_of([normal, dilated], plugins={"blocks/conv/mine": "0" * 64}),
    ]
    found = environment.describe("cpu")
    for name, value in (
        ("cpu", "Another CPU"),
        ("cores", 4096),
        ("packages", found["packages"] | {"torch": "1.0"}),
    ):
        monkeypatch.setattr(environment, "describe", lambda _, n=name, v=value: found | {n: v})
        others.append(spec_of([normal, dilated]))
    monkeypatch.setattr(environment, "describe", lambda _: found | {"load": 99.0, "threads": 7})
    assert spec_of([normal, dilated]) == usual  # the machine's mood makes no other machine
    ids = {records.identity(one) for one in [usual, *others]}
    assert len(ids) == 1 + len(others)


def test_settings_are_every_combination() -> None:
    found = passes.settings(
        "cpu", 2, batches=[1, 8], precisions=["fp32", "bf16"], modes=["eager", "compiled"]
    )
    assert len(found) == 8
    assert all(
        (one["threads"], one["device"], one["phase"]) == (2, "cpu", "inference") for one in found
    )
    assert len({records.canonical(one) for one in found}) == 8


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
        Progress(0, {"setting": 0, "done": 1, "of": 2}),
        Progress(0, {"setting": 1, "done": 2, "of": 2}),
        Done(0, tmp_path / "passes" / id, "ok"),
    ]
    record = record_of(job)
    assert (record.kind, record.id, record.status, record.reason) == ("pass", id, "ok", None)
    assert (record.spec, record.metrics, record.epochs) == (job["spec"], {}, [])
    assert record.environment["threads"] == 1
    assert record.environment["cpu"] == job["spec"]["machine"]["cpu"]
    assert {"load", "load_after", "commit"} <= set(record.environment)
    assert {name.rpartition("_")[0] for name in record.arrays} == {
        *("seconds", "call_seconds", "calls", "warm_seconds", "settled", "on_cpu", "flushed")
    }
    for number in (0, 1):
        seconds = record.arrays[f"seconds_{number}"]
        assert seconds.shape == record.arrays[f"on_cpu_{number}"].shape == (4, 3)
        assert record.arrays[f"call_seconds_{number}"].shape[:2] == (4, 3)
        assert (seconds > 0).all()
        assert np.median(seconds[:, 1] / seconds[:, 0]) > 1
        assert len(record.arrays[f"warm_seconds_{number}"]) >= 3
    assert 0 < np.median(record.arrays["on_cpu_1"]) < 1.1


def test_a_setting_that_cannot_be_measured_takes_no_other_with_it(
    plugin: Callable[[str], Path], tmp_path: Path
) -> None:
    path = plugin("assert len(x) < 3, 'too many'; return self.features(x)")
    job = job_of(tmp_path, {"family": "mine"}, plugins=[path], batches=[1, 3, 2])
    *_, last = passes.run(job)
    assert last["status"] == "ok"
    record = record_of(job)
    assert {name.rpartition("_")[2] for name in record.arrays} == {"0", "2"}
    assert record.environment["unmeasured"] == {"1": "AssertionError: too many (network 1 of 2)"}


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
    assert record_of(job).arrays["calls_0"].shape == (3,)
    assert [one.out_channels for one in (first, second, control)] == [10, 20, 10]
    assert torch.equal(first.weight, control.weight)
    assert first.weight.data_ptr() != control.weight.data_ptr()
    torch.manual_seed(0)
    again = catalog.build("networks", mine[0], "family", SHAPE, 10)
    assert torch.equal(first.weight, again.features.weight)


def test_a_network_that_raises_makes_a_failed_record(
    plugin: Callable[[str], Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = plugin('raise RuntimeError("out of luck")')
    job = job_of(tmp_path, network(), {"family": "mine"}, plugins=[path])
    events = list(catalog.load("execute", "inline").run([job], WORK))
    folder = tmp_path / "passes" / records.identity(job["spec"])
    assert (events[0], events[-1]) == (Started(0), Done(0, folder, "failed"))
    assert capfd.readouterr() == ("", "")
    record = record_of(job)
    assert record.status == "failed"
    assert record.reason == "RuntimeError: out of luck (network 2 of 3)"
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
