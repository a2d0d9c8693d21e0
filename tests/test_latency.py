"""The latency protocol on a simulated machine: rounds, warm-up, ratios, and how often it errs.

The machine of the simulations takes, for a call of network k at time t in process p,

    base[k] · exp(between · z[p, k]) · (1 + drift · min(t / span, 1)) · exp(noise) · hang

* noise: autocorrelated from call to call, AR(1) with coefficient 0.3 and deviation `noise`, over
  whatever networks the calls are of;
* between: deviation from process to process, z normal, drawn once for each network and process;
* drift: of all networks alike, linear over `span` seconds and then constant;
* hang: one call in a hundred takes 1 + Exp(1) times as long, as where another program runs.
"""

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from ablate.evidence import latency as evidence
from ablate.evidence.effects import HIGHER, LOWER, SAME, UNKNOWN
from ablate.metrics import latency
from ablate.metrics.latency import Block, Call, Timer

PASSES = 1000
MARGIN = evidence.MARGIN


class Machine:
    """A process on a simulated machine. Calls are numbers of networks."""

    def __init__(
        self,
        rng: np.random.Generator,
        base: Sequence[float],
        noise: float = 0.01,
        between: float = 0.0,
        drift: float = 0.0,
        span: float = 2.0,
        hangs: float = 0.01,
    ) -> None:
        self.rng, self.noise, self.drift, self.span, self.hangs = rng, noise, drift, span, hangs
        self.base = [b * math.exp(between * rng.standard_normal()) for b in base]
        self.now = self.level = 0.0

    def calls(self) -> list[Call]:
        return [lambda k=k: k for k in range(len(self.base))]  # type: ignore[misc]  # k is bound

    def timer(self, call: Call, calls: int) -> Block:
        base = self.base[int(call())]  # type: ignore[call-overload]  # it returns its number
        shocks = self.rng.standard_normal(calls) * self.noise * math.sqrt(1 - 0.3**2)
        hang = 1 + self.rng.exponential(size=calls) * (self.rng.random(calls) < self.hangs)
        seconds = np.empty(calls)
        for number in range(calls):
            self.level = 0.3 * self.level + shocks[number]
            drifted = 1 + self.drift * min(self.now / self.span, 1)
            seconds[number] = base * drifted * math.exp(self.level) * hang[number]
            self.now += seconds[number]
        return Block(seconds, {"on_cpu": 1.0})


def logs(machine: Machine, rounds: int = 10) -> "np.ndarray[Any, Any]":
    found = latency.interleave(machine.calls(), rounds, machine.timer)
    times: np.ndarray[Any, Any] = np.log(found["seconds"])
    return times


def judged(
    rng: np.random.Generator, base: Sequence[float], processes: int = 3, **more: float
) -> tuple[evidence.Ratio, evidence.Ratio, str]:
    """Measure networks 0 and 1, and a copy of 0, in some processes; return what is said of 1."""
    seen = [logs(Machine(rng, [*base, base[0]], **more)) for _ in range(processes)]
    ratio = evidence.ratio_of([each[:, 1] - each[:, 0] for each in seen])
    control = [each[:, 2] - each[:, 0] for each in seen]
    mark = evidence.effect(ratio, MARGIN, evidence.floor_of(control))
    return ratio, evidence.ratio_of(control), mark.key


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"between": 0.005},
        {"noise": 0.03, "hangs": 0.05},
        {"noise": 0.02, "between": 0.015, "drift": 0.2},
    ],
    ids=["quiet", "processes differ", "noisy", "everything"],
)
def test_identical_networks_are_not_called_different(more: dict[str, float]) -> None:
    rng = np.random.default_rng(1)
    said = [judged(rng, [0.01, 0.01], **more)[2] for _ in range(PASSES // 4)]
    different = sum(mark in ("higher", "lower") for mark in said)
    assert different <= 0.05 * len(said)


def test_identical_networks_are_called_different_in_at_most_one_pass_in_twenty() -> None:
    """And the interval alone, without the margin, covers 1 as often as it says."""
    rng = np.random.default_rng(2)
    found = [judged(rng, [0.02, 0.02], noise=0.01, between=0.003) for _ in range(PASSES)]
    assert sum(mark in ("higher", "lower") for _, _, mark in found) <= 0.05 * PASSES
    for which in (0, 1):  # of the network, and of the control
        ratios: list[Any] = [it[which] for it in found]
        covered = sum(ratio.low <= 1 <= ratio.high for ratio in ratios) / PASSES
        assert covered == pytest.approx(0.95, abs=3 * math.sqrt(0.95 * 0.05 / PASSES))


@pytest.mark.parametrize("seconds", [0.002, 0.01, 0.04])
def test_a_difference_of_five_per_cent_is_found_at_one_per_cent_noise(seconds: float) -> None:
    rng = np.random.default_rng(3)
    count = 300
    slower = [judged(rng, [seconds, 1.05 * seconds])[2] for _ in range(count)]
    assert slower.count("higher") >= 0.9 * count
    faster = [judged(rng, [1.05 * seconds, seconds])[2] for _ in range(count)]
    assert faster.count("lower") >= 0.9 * count


def test_more_processes_find_what_differs_between_processes_hides() -> None:
    rng = np.random.default_rng(4)
    found = {}
    for processes in (3, 5):
        marks = [judged(rng, [0.01, 0.0105], processes, between=0.005)[2] for _ in range(200)]
        found[processes] = marks.count("higher") / len(marks)
    assert 0.7 < found[3] < 0.95  # the docstring of `ablate.evidence.latency`: 85 %
    assert found[5] >= 0.97


@pytest.mark.parametrize("drift", [0.2, -0.2])
def test_drift_of_a_fifth_moves_no_ratio_by_a_hundredth(drift: float) -> None:
    for seed, base in itertools.product(range(20), ([0.01, 0.0105], [0.03, 0.012])):
        ratios = [
            judged(np.random.default_rng(seed), base, drift=drift * on, span=3.0)[0].value
            for on in (0, 1)
        ]
        assert ratios[1] / ratios[0] == pytest.approx(1, abs=0.01)


def test_sequential_timing_calls_identical_networks_different() -> None:
    """What the protocol is there for: one network after the other, and Welch over the calls."""
    from scipy import stats

    rng = np.random.default_rng(5)
    wrong = 0
    for _ in range(200):
        machine = Machine(rng, [0.01, 0.01], drift=0.2, span=2.0)
        one, other = (machine.timer(call, 60).seconds for call in machine.calls())
        wrong += bool(stats.ttest_ind(one, other, equal_var=False).pvalue < 0.05)
    assert wrong > 100


# --- statistics -----------------------------------------------------------------------------------


def test_the_interval_is_that_of_the_processes() -> None:
    from scipy import stats

    rng = np.random.default_rng(6)
    rounds = [0.1 + 0.01 * rng.standard_normal(8) for _ in range(4)]
    ratio = evidence.ratio_of(rounds)
    levels = [stats.trim_mean(each, 0.25) for each in rounds]
    expected = stats.ttest_1samp(levels, 0.0).confidence_interval(0.95)
    assert ratio.value == pytest.approx(math.exp(np.mean(levels)), rel=1e-12)
    assert (ratio.low, ratio.high) == pytest.approx(tuple(np.exp(expected)), rel=1e-9)
    alone = evidence.ratio_of(rounds[:1])
    expected = stats.ttest_1samp(rounds[0], 0.0).confidence_interval(0.95)
    width = math.log(alone.high or 0) - math.log(alone.low or 0)
    assert width == pytest.approx(expected.high - expected.low, rel=1e-9)
    assert evidence.ratio_of([np.array([0.3])]) == evidence.Ratio(math.exp(0.3), None, None)


def test_a_round_that_hangs_does_not_move_a_process() -> None:
    steady = np.full(8, 0.05)
    hung = steady.copy()
    hung[[2, 5]] = [3.0, -1.0]
    assert evidence.level(hung) == pytest.approx(0.05)


def test_marks_hold_to_the_margin_and_to_the_floor() -> None:
    def mark(low: float, high: float, floor: float = 0.0) -> Any:
        return evidence.effect(evidence.Ratio(math.sqrt(low * high), low, high), 0.02, floor)

    assert mark(1.021, 1.1) == HIGHER
    assert mark(1.019, 1.1) == UNKNOWN
    assert mark(0.9, 0.98) == LOWER
    assert mark(0.9, 0.981) == UNKNOWN
    assert mark(0.985, 1.015) == SAME
    assert mark(1.021, 1.1, floor=0.0201) == UNKNOWN  # the margin stays what it is
    assert mark(1.021, 1.1, floor=0.0199) == HIGHER
    assert evidence.effect(evidence.Ratio(2.0, None, None), 0.02, 0.0) == UNKNOWN


def test_the_floor_is_how_far_the_copy_came_out_from_the_network() -> None:
    for sign in (1, -1):  # faster is as bad as slower
        apart = [np.full(4, sign * value) for value in (0.01, -0.02, 0.04)]
        assert evidence.floor_of(apart) == pytest.approx(math.exp(0.01) - 1, rel=1e-12)


# --- blocks and rounds ----------------------------------------------------------------------------


class Tape:
    """A timer by which each network takes the next of some times, and what it was asked for."""

    def __init__(self, *seconds: Sequence[float]) -> None:
        self.seconds = [itertools.cycle(each) for each in seconds]
        self.blocks: list[tuple[int, int]] = []  # network, calls

    def calls(self) -> list[Call]:
        return [lambda k=k: k for k in range(len(self.seconds))]  # type: ignore[misc]  # k is bound

    def timer(self, call: Call, calls: int) -> Block:
        network = int(call())  # type: ignore[call-overload]  # it returns its number
        self.blocks.append((network, calls))
        taken = [next(self.seconds[network]) for _ in range(calls)]
        return Block(np.array(taken), {"on_cpu": 0.5 + network / 4})


def test_rounds_go_forward_and_backward_by_turns() -> None:
    fast, slow, slowest = 2.0**-8, 2.0**-7, 2.0**-5  # 3.9 ms, 7.8 ms, 31 ms
    tape = Tape([fast], [slow], [slowest])
    found = latency.interleave(tape.calls(), 4, tape.timer)
    assert found["calls"].tolist() == [6, 3, 1]  # 6 · 3.9 ms = 23 ms; at least 3; 50 ms hold only 1
    prepared = [(n, calls) for n in range(3) for calls in (1, 3)]
    there = [(0, 6), (1, 3), (2, 1)]
    warm = len(found["warm_seconds"])
    assert warm == 8  # rounds of one call of 31 ms until they have lasted 0.25 s
    turns = list(itertools.chain(*(there if n % 2 == 0 else there[::-1] for n in range(warm))))
    assert tape.blocks == prepared + turns + 2 * (there + there[::-1])
    assert found["seconds"].tolist() == [[fast, slow, slowest]] * 4
    assert found["seconds"].dtype == np.float64
    assert found["on_cpu"].tolist() == [[0.5, 0.75, 1.0]] * 4
    assert bool(found["settled"])


def test_a_block_is_the_median_of_its_calls_and_every_call_is_kept() -> None:
    tape = Tape([2.0**-8, 2.0**-7, 2.0**-6], [2.0**-6])
    found = latency.interleave(tape.calls(), 3, tape.timer)
    assert found["calls"].tolist() == [6, 3]
    assert found["seconds"].tolist() == [[2.0**-7, 2.0**-6]] * 3
    assert found["call_seconds"].shape == (3, 2, 6)
    assert sorted(found["call_seconds"][0, 0].tolist()) == sorted([2.0**-8, 2.0**-7, 2.0**-6] * 2)
    assert np.isnan(found["call_seconds"][:, 1, 3:]).all()
    assert (found["call_seconds"][:, 1, :3] == 2.0**-6).all()


@pytest.mark.parametrize(
    ("milliseconds", "calls"),
    [(0.01, 2000), (0.5, 40), (6, 4), (8, 3), (16, 3), (17, 2), (24, 2), (26, 1), (3000, 1)],
)
def test_a_block_is_long_enough_and_not_too_long(milliseconds: float, calls: int) -> None:
    assert latency.block_calls(milliseconds / 1000) == calls


def falling(rounds: int) -> Timer:
    """A timer of a machine that gets 3 % faster from round to round, for so many rounds."""
    blocks = itertools.count()

    def timer(call: Call, calls: int) -> Block:
        passed = min(max(0, next(blocks) - 2), rounds)  # after the two that prepare
        return Block(np.full(calls, 0.006 * 1.03 ** (rounds - passed)), {})

    return timer


@pytest.mark.parametrize(
    ("falls", "warm", "settled"), [(0, 3, True), (4, 7, True), (60, 12, False)]
)
def test_warm_up_ends_when_times_have_settled(falls: int, warm: int, settled: bool) -> None:
    found = latency.interleave([lambda: None], 2, falling(falls))
    assert (len(found["warm_seconds"]), bool(found["settled"])) == (warm, settled)


@pytest.mark.parametrize(
    ("seconds", "rounds"),
    [(2.0**-9, 3), (2.0**-5, 8), (2.0**-3, 3), (0.03, 9), (4.0, 3)],
)
def test_every_network_is_warmed_up_by_the_same_rule(seconds: float, rounds: int) -> None:
    """At least 3 rounds; 10 calls, or 0.25 s: 8 of 31 ms, 9 of 30 ms."""
    tape = Tape([seconds], [0.006])
    found = latency.interleave(tape.calls(), 2, tape.timer)
    assert found["warm_seconds"].shape == (rounds, 2)


def test_the_clock_on_the_wall_times_calls() -> None:
    import time

    block = latency.wall_clock(1)(lambda: time.sleep(0.01), 3)
    assert block.seconds.shape == (3,)
    assert (block.seconds >= 0.0099).all()
    assert 0 <= block.beside["on_cpu"] < 0.6  # it slept

    def compute() -> None:
        until = time.process_time() + 0.02
        while time.process_time() < until:
            pass

    assert latency.wall_clock(1)(compute, 3).beside["on_cpu"] > 0.2
    alone, halved = (latency.wall_clock(threads)(compute, 1).beside["on_cpu"] for threads in (1, 4))
    assert halved < alone


# --- settings -------------------------------------------------------------------------------------


class Tells(nn.Module):
    """Keeps what holds around each of its calls."""

    seen: "list[dict[str, Any]]" = []  # noqa: RUF012  # of all copies, which is what is timed

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.conv(x)
        Tells.seen.append(
            {
                "training": self.training,
                "grad": torch.is_grad_enabled(),
                "input": x.dtype,
                "weight": self.conv.weight.dtype,
                "output": out.dtype,
                "last": x.is_contiguous(memory_format=torch.channels_last)
                and self.conv.weight.is_contiguous(memory_format=torch.channels_last),
                "batch": len(x),
                "bias": self.conv.bias.detach().clone(),
            }
        )
        return out


USUAL = {
    "phase": "inference",
    "batch": 2,
    "precision": "fp32",
    "memory_format": "channels_last",
    "mode": "eager",
    "threads": 1,
    "device": "cpu",
}


def told(**setting: Any) -> list[dict[str, Any]]:
    Tells.seen = []
    network = Tells()
    weights = {name: value.clone() for name, value in network.state_dict().items()}
    latency.measure([network], (3, 8, 8), USUAL | setting, 2)
    assert all(torch.equal(value, weights[name]) for name, value in network.state_dict().items())
    return Tells.seen


def test_inference_is_without_gradients_in_evaluation_mode() -> None:
    for seen in told(batch=3):
        assert (seen["training"], seen["grad"], seen["batch"]) == (False, False, 3)
        assert (seen["input"], seen["weight"], seen["last"]) == (torch.float32, torch.float32, True)


def test_a_training_step_trains() -> None:
    seen = told(phase="training_step")
    assert all(each["training"] and each["grad"] for each in seen)
    assert not torch.equal(seen[0]["bias"], seen[-1]["bias"])


def test_bf16_is_weights_for_inference_and_autocast_for_steps() -> None:
    for seen in told(precision="bf16"):
        assert {seen["input"], seen["weight"], seen["output"]} == {torch.bfloat16}
    for seen in told(precision="bf16", phase="training_step"):
        assert (seen["weight"], seen["output"]) == (torch.float32, torch.bfloat16)


def test_a_memory_format_may_be_asked_for() -> None:
    assert not any(seen["last"] for seen in told(memory_format="contiguous"))


def test_a_network_without_parameters_has_a_step_too() -> None:
    network = nn.Upsample(scale_factor=2)
    found = latency.measure([network], (3, 8, 8), USUAL | {"phase": "training_step"}, 2)
    assert (found["seconds"] > 0).all()
