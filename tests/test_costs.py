"""`ablate measure --latency --memory`: the real thing, in fresh processes, and what is refused."""

import json
from pathlib import Path

import pytest
from tiny import changed

from ablate import costs, environment, measure
from ablate.suite.source import SuiteError

pytestmark = pytest.mark.usefixtures("here")

MINE = """\
from torch import nn


def wide(outputs):
    return nn.Sequential(nn.Conv2d(3, 64, 3, padding=1), nn.ReLU(), nn.Conv2d(64, 64, 3, padding=1))


def narrow(outputs):
    return nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 64, 3, padding=1))


def fragile(outputs):
    class Fragile(nn.Conv2d):
        def forward(self, x):
            assert len(x) < 3, "too many at once"
            return super().forward(x)

    return Fragile(3, 4, 3)
"""


def asked(**more: object) -> costs.Asked:
    return costs.Asked(**({"processes": 2, "rounds": 4} | more))  # type: ignore[arg-type]  # by name


def test_two_networks_are_timed_in_turns_and_their_memory_is_measured(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("mine.py").write_text(MINE)
    wanted = asked(latency=True, memory=True, batches=(4,))
    measure.measure(
        "mine.py:wide", "3x64x64", 10, True, False, "mine.py:narrow", Path("runs"), wanted
    )
    out, err = capsys.readouterr()
    found = json.loads(out)["costs"]
    (timed,) = found["latency"]
    assert (timed["processes"], timed["rounds"], timed["setting"]["batch"]) == (2, 8, 4)
    wide, narrow = timed["networks"].values()
    assert wide["seconds"] > narrow["seconds"] > 0
    assert wide["ratio"] is None
    # 8 times fewer channels in the middle: 5.4 times fewer multiply-accumulates.
    # (Over two processes the interval is as wide as t with one degree of freedom.)
    assert narrow["ratio"]["low"] < narrow["ratio"]["value"] < 1
    assert narrow["ratio"]["value"] < narrow["ratio"]["high"]
    assert timed["control"]["value"] == pytest.approx(1, abs=0.5)
    peaks = {name: peak for name, (peak,) in found["memory"].items()}
    one_map = 4 * 4 * 64 * 64 * 64  # bytes: 4 images of 64 channels, 64x64
    assert peaks["mine.py:wide"]["peak_bytes"] > 1.9 * one_map
    assert peaks["mine.py:narrow"]["peak_bytes"] > one_map
    assert peaks["mine.py:narrow"]["peak_bytes"] < peaks["mine.py:wide"]["peak_bytes"]
    assert peaks["mine.py:wide"]["inputs_bytes"] == 4 * 4 * 3 * 64 * 64
    assert found["unmeasured"] == []
    assert "latency, process 2 of 2 measured" in err
    assert not Path("runs").exists()  # of no suite's network is anything kept


def test_what_a_network_cannot_take_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    Path("mine.py").write_text(MINE)
    wanted = asked(latency=True, batches=(1, 4), processes=1)
    measure.measure("mine.py:fragile", "3x8x8", 10, False, False, None, Path("runs"), wanted)
    out = capsys.readouterr().out
    assert "latency, inference, batch of 1, fp32, channels_last, eager, cpu, 1 thread" in out
    assert "4 rounds in turns, in one fresh process" in out
    assert (
        "not measured: latency, process 1 of 1: inference, batch of 4, fp32, channels_last, eager, "
        "cpu, 1 thread: AssertionError: too many at once (network 1 of 2)" in out
    )


def test_a_suite_says_itself_how_and_keeps_what_is_measured(
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = changed(add="latency: {batches: [3], rounds: 4, processes: 1, margin: 50%}\n")
    Path("tiny.yaml").write_text(text)
    for _ in range(2):
        wanted = asked(latency=True, batches=(1,))
        measure.measure("tiny.yaml", None, None, False, False, None, Path("runs"), wanted)
        out, err = capsys.readouterr()
        assert "  latency, inference, batch of 3, fp32" in out
        assert "  4 rounds in turns, in one fresh process" in out
    assert "measured" not in err  # the second time it is there already
    (kept,) = Path("runs/passes").iterdir()
    assert (kept / "arrays.npz").exists()


@pytest.mark.parametrize(
    ("device", "timed", "message"),
    [
        ("tpu", True, "latency and memory are measured on cpu or cuda, not 'tpu'"),
        ("cpu", False, "says where --latency and --memory are measured; ask for either"),
    ],
)
def test_devices_that_are_refused(device: str, timed: bool, message: str) -> None:
    with pytest.raises(SuiteError) as caught:
        measure.device_of(device, timed)
    assert str(caught.value) == f"--device: {message}"


def test_a_gpu_that_is_not_there_is_said() -> None:
    if environment.gpus():
        pytest.skip("there is a GPU")
    with pytest.raises(SuiteError, match="'cuda' is not to be had on this machine; usable: cpu"):
        measure.device_of("cuda", True)


def test_costs_are_spelled() -> None:
    from ablate.evidence.latency import Measured, Ratio

    one = Measured(
        setting={
            "phase": "training_step",
            "batch": 64,
            "precision": "bf16",
            "memory_format": "contiguous",
            "mode": "compiled",
            "threads": 2,
            "device": "cpu",
        },
        processes=3,
        rounds=29,
        dropped=1,
        rows={},
        control=Ratio(1.031, 1.02, 1.042),
        floor=0.0312,
        margin=0.02,
        settled=False,
        on_cpu=0.8,
    )
    ((title, heads, rows, notes),) = costs.tables(costs.Costs((one,), {}, []))
    assert title == (
        "latency, training step, batch of 64, bf16, contiguous, compiled, cpu, 2 threads"
    )
    assert (heads[0], rows) == ("network", [])
    assert notes == [
        "29 rounds in turns, in 3 fresh processes",
        "A/A control, a copy of the first network to itself: 1.03 [1.02, 1.04]",
        "the machine is too noisy for a verdict: the copy differed from the network by 3.1 %, "
        "more than the margin of 2 %",
        "the machine was not left alone: other programs took up to 20 % of the time of some "
        "network's calls",
        "times had not settled within 2 % when the warm-up ended",
        "1 round left out: the GPU's clock was low",
    ]
