"""Memory: bytes of weights, and peaks in processes of their own that are known by hand."""

import json
import multiprocessing
import shutil
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ablate import catalog
from ablate.metrics import (
    _peak,
    activation_memory,
    inference_memory,
    training_memory,
    weight_memory,
)

SHAPE = (32, 64, 64)
BATCH = 8
MAP = BATCH * 32 * 64 * 64 * 4  # bytes of an activation: 4 MiB
DEPTH = 6
SETTING = {
    "batch": BATCH,
    "precision": "fp32",
    "memory_format": "channels_last",
    "threads": 1,
    "device": "cpu",
}
linux = pytest.mark.skipif(sys.platform != "linux", reason="its peaks are upper bounds elsewhere")

Arrays = dict[str, Any]


class Residual(nn.Module):
    """Two layers and what they are given, which stays until both are done."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = chain(2)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layers(x)
        return y + x


def chain(depth: int) -> nn.Sequential:
    """Layers that put out as many bytes as they are given and need no work space."""
    return nn.Sequential(*(nn.Conv2d(32, 32, 1, bias=False) for _ in range(depth)))


def blocks() -> nn.Sequential:
    return nn.Sequential(*(Residual() for _ in range(3)))


def normalised() -> nn.Sequential:
    return nn.Sequential(
        *(
            layer
            for _ in range(4)
            for layer in (nn.Conv2d(32, 32, 1), nn.BatchNorm2d(32), nn.ReLU())
        )
    )


def nothing_to_learn() -> nn.Module:
    return nn.Upsample(scale_factor=2)


def staged() -> nn.Module:
    config = {"family": "staged", "stages": [[32, 32], [64, 64], [128]]}
    from ablate.components import Network, expand

    component, problems = expand(Network.model_validate(config))
    assert problems == []
    network: nn.Module = catalog.build("networks", component, "family", (3, 32, 32), 10)
    return network


def peak(metric: str, build: str, shape: tuple[int, int, int], setting: dict[str, Any]) -> Arrays:
    """Measure a network of this module; called in a process of its own."""
    torch.set_num_threads(1)
    network = globals()[build]() if build.isidentifier() else chain(int(build))
    found: Arrays = catalog.load("metrics", metric).measure([network], shape, setting, 3)
    return found


def without_reset() -> Arrays:
    """Measure as systems do that have no /proc."""
    _peak._LINUX = False
    return peak("inference_memory", str(DEPTH), SHAPE, SETTING)


def profiled(path: str) -> int:
    """Return the most bytes that torch's allocator had given out at once in a training step."""
    torch.set_num_threads(1)
    network, inputs = _peak.prepared([chain(DEPTH)], SHAPE, SETTING)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.0, momentum=0.9)
    for number in range(2):
        with torch.profiler.profile(
            activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=number == 1
        ) as profile:
            output = network(inputs)
            torch.autograd.backward(output, output.detach() * (2 / output.numel()))
            optimizer.step()
            optimizer.zero_grad()
            del output
    profile.export_chrome_trace(path)
    events = [
        event
        for event in json.loads(Path(path).read_text(encoding="utf-8"))["traceEvents"]
        if event.get("name") == "[memory]"
    ]
    sizes = [event["args"]["Bytes"] for event in sorted(events, key=lambda event: event["ts"])]
    return int(np.cumsum(sizes).max())


def alone(function: Any, *arguments: Any) -> Any:
    """Call a function in a process of its own, forked from one that has torch and ran nothing."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["ablate.metrics.training_memory"])
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(function, *arguments).result()


def measured(
    metric: str,
    build: str = str(DEPTH),
    shape: tuple[int, int, int] = SHAPE,
    **setting: Any,
) -> Arrays:
    found: Arrays = alone(peak, metric, build, shape, SETTING | setting)
    return found


def maps(found: Arrays) -> float:
    """Return the median peak as a multiple of one activation's bytes."""
    return float(np.median(found["peak"])) / MAP


@pytest.fixture(scope="module")
def inference() -> Arrays:
    return measured("inference_memory")


@pytest.fixture(scope="module")
def training() -> Arrays:
    return measured("training_memory")


# --- weights --------------------------------------------------------------------------------------


def test_weights_are_counted_as_they_are_stored() -> None:
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Linear(8, 2, bias=False))
    network[2].half()
    parameters, buffers = 4 * (3 * 8 * 9 + 8 + 8 + 8) + 2 * 16, 4 * (8 + 8) + 8
    found = weight_memory.measure(network, (3, 9, 9))
    assert found.value == parameters + buffers
    assert found.detail == {
        "parameters": parameters,
        "buffers": buffers,
        "by_dtype": {"float32": parameters - 32 + 64, "float16": 32, "int64": 8},
    }


def test_weights_that_share_a_storage_count_once() -> None:
    network = nn.Module()
    network.one = nn.Parameter(torch.zeros(4, 5))
    network.same = network.one
    network.part = nn.Parameter(network.one.detach()[1:3])
    network.register_buffer("view", network.one.detach().T)
    network.register_buffer("slice", torch.zeros(100)[:7])
    detail = weight_memory.measure(network, (1, 1, 1)).detail
    assert detail == {"parameters": 80, "buffers": 400, "by_dtype": {"float32": 480}}


def test_weights_need_not_be_there_to_be_counted() -> None:
    with torch.device("meta"):
        network = staged()
    found = weight_memory.measure(network, (3, 32, 32))
    assert found == weight_memory.measure(staged(), (3, 32, 32))
    assert found.detail["parameters"] == 4 * sum(p.numel() for p in network.parameters())


def test_nothing_weighs_nothing() -> None:
    assert weight_memory.measure(nothing_to_learn(), SHAPE).value == 0


# --- peaks ----------------------------------------------------------------------------------------


@linux
def test_inference_needs_two_neighbouring_activations(inference: Arrays) -> None:
    assert maps(inference) == pytest.approx(2, rel=0.1)
    assert inference["tensors"].tolist() == [2 * MAP]


@linux
def test_training_needs_all_activations_and_two_gradients(training: Arrays) -> None:
    weights = DEPTH * 32 * 32 * 4
    assert maps(training) == pytest.approx(DEPTH + 2, rel=0.1)
    assert training["tensors"] == pytest.approx((DEPTH + 2) * MAP, rel=0.001)
    assert training["optimizer"].tolist() == [weights]  # a momentum for each weight
    assert training["weights"].tolist() == [weights]


@linux
@pytest.mark.parametrize("metric", ["inference_memory", "training_memory"])
def test_a_figure_says_what_it_is(metric: str, request: pytest.FixtureRequest) -> None:
    found = request.getfixturevalue(metric.removesuffix("_memory"))
    of_rounds = {name: array for name, array in found.items() if array.ndim == 2}
    assert set(of_rounds) == {"peak", "start", "left"}
    assert {(a.shape, a.dtype.name) for a in of_rounds.values()} == {((3, 1), "int64")}
    assert {a.shape for name, a in found.items() if name not in of_rounds} == {(1,)}
    assert found["inputs"].tolist() == [MAP]
    assert found["reset"].tolist() == [True]
    assert (found["start"] > 100e6).all()  # torch itself
    assert (abs(found["left"]) < 2**20).all()


@linux
@pytest.mark.parametrize("metric", ["inference_memory", "training_memory"])
def test_another_process_and_another_round_find_the_same(
    metric: str, request: pytest.FixtureRequest
) -> None:
    first = request.getfixturevalue(metric.removesuffix("_memory"))
    again = measured(metric)
    assert maps(again) == pytest.approx(maps(first), rel=0.05)
    for found in (first, again):
        assert np.ptp(found["peak"]) < 0.05 * found["peak"].mean()


@linux
def test_depth_costs_memory_in_training_alone(inference: Arrays, training: Arrays) -> None:
    deep = str(2 * DEPTH)
    assert maps(measured("inference_memory", deep)) == pytest.approx(maps(inference), rel=0.05)
    added = maps(measured("training_memory", deep)) - maps(training)
    assert added == pytest.approx(DEPTH, rel=0.05)


@linux
def test_what_waits_for_a_sum_stays() -> None:
    assert maps(measured("inference_memory", "blocks")) == pytest.approx(3, rel=0.1)


@linux
@pytest.mark.parametrize("metric", ["inference_memory", "training_memory"])
def test_peaks_grow_with_the_batch(metric: str, request: pytest.FixtureRequest) -> None:
    found = request.getfixturevalue(metric.removesuffix("_memory"))
    twice = measured(metric, batch=2 * BATCH)
    assert maps(twice) == pytest.approx(2 * maps(found), rel=0.05)
    assert twice["inputs"] == 2 * found["inputs"]
    assert twice["weights"] == found["weights"]


@linux
def test_half_the_bits_need_half_the_memory() -> None:
    found = measured("inference_memory", precision="bf16")
    # Two activations of half the size; the inputs are cast, but gone when the second is made.
    assert maps(found) == pytest.approx(1, rel=0.1)
    assert found["weights"].tolist() == [DEPTH * 32 * 32 * 4]  # which stay as they are


@linux
def test_layouts_and_threads_may_need_work_space_but_never_less() -> None:
    found = measured("training_memory", "normalised", memory_format="contiguous", threads=2)
    assert found["peak"].min() > 0.95 * found["tensors"][0]
    assert found["peak"].max() < 1.25 * found["tensors"][0]  # a copy or two in another layout


@linux
def test_what_is_saved_for_the_backward_pass_is_a_lower_bound() -> None:
    network, shape = staged(), (3, 32, 32)
    found = measured("training_memory", "staged", shape, batch=64)
    saved = activation_memory.measure(network, shape).value
    assert saved is not None
    least = 64 * saved - found["inputs"][0]
    assert least > 2**24
    assert least < found["peak"].min() < 2 * least
    assert found["peak"].max() < 1.2 * found["tensors"][0]
    only = measured("inference_memory", "staged", shape, batch=64)
    assert only["peak"].max() < found["peak"].min()
    assert only["weights"] == found["weights"] == weight_memory.measure(network, shape).value


@linux
def test_torchs_profiler_counts_the_same(training: Arrays, tmp_path: Path) -> None:
    counted = alone(profiled, str(tmp_path / "trace.json"))
    assert counted == pytest.approx(training["tensors"][0], rel=0.01)
    assert np.median(training["peak"]) == pytest.approx(counted, rel=0.05)


@linux
def test_a_network_without_parameters_takes_a_step_of_a_forward_pass() -> None:
    found = measured("training_memory", "nothing_to_learn")
    assert maps(found) == pytest.approx(4, rel=0.1)  # twice as high and wide
    assert (found["optimizer"], found["weights"]) == (0, 0)


@pytest.mark.skipif(shutil.which("ps") is None, reason="systems without /proc have ps")
def test_where_the_peak_cannot_be_forgotten_it_is_an_upper_bound() -> None:
    found = alone(without_reset)
    assert found["reset"].tolist() == [False]
    assert found["peak"].min() > 1.95 * MAP
    assert (np.diff(found["peak"], axis=0) >= 0).all()  # the highest of all that was
    assert np.ptp(found["start"]) == 0


# --- what cannot be measured ----------------------------------------------------------------------


@pytest.mark.parametrize("metric", [inference_memory, training_memory])
def test_only_one_network_on_a_known_device_is_measured(metric: Any) -> None:
    assert metric.ALONE
    with pytest.raises(ValueError, match="peak memory") as caught:
        metric.measure([chain(1)], SHAPE, SETTING | {"device": "mps"}, 1)
    assert str(caught.value) == "peak memory cannot be measured on 'mps', only on cpu and cuda"
    with pytest.raises(ValueError, match="peak memory") as caught:
        metric.measure([chain(1), chain(1)], SHAPE, SETTING, 1)
    assert str(caught.value) == (
        "peak memory is measured of one network in a process of its own, not of 2"
    )


def test_what_the_network_raises_comes_out() -> None:
    with pytest.raises(RuntimeError, match="channels"):
        measured("inference_memory", shape=(3, 8, 8))


@linux
def test_a_step_that_does_not_fit_raises() -> None:
    with pytest.raises(RuntimeError, match="memory"):
        measured("inference_memory", shape=(32, 8, 8), batch=2**40)
