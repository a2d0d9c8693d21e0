"""Facts of single layers: memory for the backward pass, kinds, overlap, coverage."""

import copy
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from ablate import catalog, metrics
from ablate.metrics import activation_memory, input_coverage, layers, overlap

SHAPE = (3, 32, 32)
MIB = 2**20
SAMPLES = [
    pytest.param(family, options, id=f"{family}-{number}")
    for family in catalog.names("networks")
    for number, options in enumerate(catalog.load("networks", family).SAMPLES)
]


def built(family: str, options: dict[str, Any]) -> nn.Module:
    component = {"family": family, **options}
    network: nn.Module = catalog.build("networks", component, "family", SHAPE, SHAPE[0])
    return network


class Calls(nn.Module):
    """A network that is a function and what it needs."""

    def __init__(self, function: Callable[..., Tensor], *parts: nn.Module) -> None:
        super().__init__()
        self.function = function
        self.parts = nn.ModuleList(parts)

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x, *self.parts)


class Untraceable(nn.Module):
    """Something that no tracer can follow, since it looks at values."""

    def __init__(self, *parts: nn.Module) -> None:
        super().__init__()
        self.parts = nn.Sequential(*parts)

    def forward(self, x: Tensor) -> Tensor:
        return self.parts(x) if x.sum() > 0 else self.parts(-x)


def depthwise(channels: int = 4, out_channels: int = 4, **options: Any) -> nn.Conv2d:
    return nn.Conv2d(channels, out_channels, 3, padding=1, groups=channels, **options)


def pointwise(channels: int = 4) -> nn.Conv2d:
    return nn.Conv2d(channels, 6, 1)


# --- all of them, on networks of the catalog ------------------------------------------------------


@pytest.mark.parametrize(("family", "options"), SAMPLES)
def test_facts_of_layers_leave_the_network_as_it_was(family: str, options: dict[str, Any]) -> None:
    network = built(family, options)
    for number, module in enumerate(network.modules()):
        module.training = number % 2 == 0
    for parameter in network.parameters():
        parameter.grad = torch.ones_like(parameter)
    before = copy.deepcopy(network)
    randomness = torch.random.get_rng_state()
    for metric in (activation_memory, input_coverage, layers, overlap):
        measured = metric.measure(network, SHAPE)
        assert measured is None or measured.value is not None
        assert measured is None or measured == type(measured).model_validate_json(
            measured.model_dump_json()
        )
    assert torch.equal(randomness, torch.random.get_rng_state())
    assert [m.training for m in network.modules()] == [m.training for m in before.modules()]
    assert all(not m._forward_hooks and not m._forward_pre_hooks for m in network.modules())
    for key, tensor in before.state_dict().items():
        assert torch.equal(tensor, network.state_dict()[key])
    for parameter in network.parameters():
        assert parameter.grad is not None
        assert torch.equal(parameter.grad, torch.ones_like(parameter))


def test_facts_that_do_not_apply_are_left_out() -> None:
    staged = metrics.facts(built("staged", {"stages": [[4], [4]]}), SHAPE)
    assert {"activation_memory", "layers", "input_coverage"} < set(staged)
    assert "overlap" not in staged
    flat = metrics.facts(built("interpolation", {}), SHAPE)
    assert {"activation_memory", "layers", "overlap"} < set(flat)
    assert "input_coverage" not in flat


# --- activation memory ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        # The input, what the convolution gives, what the ReLU gives: 2 MiB each for 8 images.
        ((nn.Conv2d(64, 64, 3, padding=1), nn.BatchNorm2d(64), nn.ReLU()), 6.0),
        (
            (
                nn.Conv2d(64, 64, 3, padding=1, groups=64),
                nn.Conv2d(64, 64, 1),
                nn.BatchNorm2d(64),
                nn.ReLU(),
            ),
            8.0,
        ),
        ((nn.Conv2d(64, 64, 3, padding=1), nn.ReLU()), 4.0),
        ((nn.Conv2d(64, 64, 3, padding=1), nn.MaxPool2d(2)), 5.0),  # with the places of the maxima
        ((nn.Conv2d(64, 64, 3, padding=1), nn.AvgPool2d(2)), 4.0),
        ((nn.Conv2d(64, 64, 3, padding=1, stride=2),), 2.0),
        ((nn.Conv2d(64, 64, 3, padding=1), nn.ReLU(inplace=True)), 4.0),
        ((nn.Conv2d(64, 64, 1), nn.ChannelShuffle(2), nn.Conv2d(64, 64, 1)), 4.0),
    ],
)
def test_activation_memory_of_small_stacks(parts: tuple[nn.Module, ...], expected: float) -> None:
    measured = activation_memory.measure(nn.Sequential(*parts), (64, 32, 32))
    assert measured.value is not None
    assert 8 * measured.value == expected * MIB


def test_activation_memory_is_traced_to_layers() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU())
    detail = activation_memory.measure(network, SHAPE).detail
    assert detail == {
        "by_layer": {"0": 3 * 1024 * 4, "1": 4 * 1024 * 4, "2": 4 * 1024 * 4},
        "fixed": 2 * 4 * 4,  # a mean and a scale of each channel
        "batches": [2, 3],
    }


def test_activation_memory_of_functions_is_traced_to_the_module_that_calls_them() -> None:
    network = Calls(lambda x, conv: functional.relu(conv(x)), nn.Conv2d(3, 4, 1))
    assert activation_memory.measure(network, SHAPE).detail["by_layer"] == {
        "parts.0": 3 * 1024 * 4,
        "": 4 * 1024 * 4,
    }


def test_activation_memory_counts_what_two_layers_save_once() -> None:
    network = Calls(
        lambda x, one, other: one(x) + other(x), nn.Conv2d(3, 4, 1), nn.Conv2d(3, 4, 3, padding=1)
    )
    measured = activation_memory.measure(network, SHAPE)
    assert measured.value == 3 * 1024 * 4
    assert measured.detail["by_layer"] == {"parts.0": 3 * 1024 * 4}


def test_nothing_is_saved_without_parameters() -> None:
    network = nn.Sequential(nn.MaxPool2d(2), nn.ReLU(), nn.Upsample(scale_factor=2))
    measured = activation_memory.measure(network, SHAPE)
    assert measured.value == 0
    assert measured.detail == {"by_layer": {}, "fixed": 0, "batches": [2, 3]}


def test_activation_memory_is_that_of_training_whatever_is_asked_for_outside() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Dropout(0.5)).eval()
    with torch.no_grad():
        measured = activation_memory.measure(network, SHAPE)
    # The images and what dropout multiplies with.
    assert measured.detail["by_layer"]["0"] == 3 * 1024 * 4
    assert measured.detail["by_layer"]["1"] in (4 * 1024, 4 * 1024 * 4)


@pytest.mark.parametrize(("family", "options"), SAMPLES)
def test_activation_memory_is_what_the_graph_of_gradients_holds(
    family: str, options: dict[str, Any]
) -> None:
    network = built(family, options)
    measured = activation_memory.measure(network, SHAPE)
    assert measured.value is not None
    network.train()
    for batch in (2, 5):
        held = bytes_held(network, network(torch.zeros(batch, *SHAPE)))
        assert held == batch * measured.value + measured.detail["fixed"]


def bytes_held(network: nn.Module, output: Tensor) -> int:
    """Return the bytes of all tensors that the nodes of a graph of gradients hold."""
    owned = {t.untyped_storage().data_ptr() for t in (*network.parameters(), *network.buffers())}
    storages = {}
    seen, waiting = set(), [output.grad_fn]
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        waiting.extend(following for following, _ in node.next_functions)
        for name in dir(node):
            if name.startswith("_saved_") and isinstance(saved := getattr(node, name), Tensor):
                storage = saved.untyped_storage()
                storages[storage.data_ptr()] = storage
    return sum(storage.nbytes() for at, storage in storages.items() if at not in owned)


# --- kinds of layers ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        (nn.Conv2d(4, 8, 3), {"normal"}),
        (nn.Conv2d(1, 8, 5), {"normal"}),
        (nn.Conv2d(4, 8, (3, 5), stride=(1, 2)), {"normal", "strided"}),
        (nn.Conv2d(4, 8, 1), {"pointwise", "pointwise_expand"}),
        (nn.Conv2d(4, 4, 1), {"pointwise", "pointwise_keep"}),
        (nn.Conv2d(4, 3, 1), {"pointwise", "pointwise_reduce"}),
        (
            nn.Conv2d(4, 8, 1, stride=2, dilation=2),
            {"pointwise", "pointwise_expand", "strided"},
        ),
        (nn.Conv2d(4, 4, 3, groups=4), {"depthwise"}),
        (nn.Conv2d(4, 8, 3, groups=4, stride=2), {"depthwise", "strided"}),
        (nn.Conv2d(4, 4, 3, groups=4, dilation=2), {"depthwise", "dilated"}),
        (nn.Conv2d(4, 8, 3, groups=2), {"grouped"}),
        (nn.Conv2d(4, 8, 1, groups=2), {"grouped"}),
        (nn.Conv2d(4, 8, 3, dilation=2), {"dilated"}),
        (nn.Conv2d(4, 8, 3, dilation=(1, 2)), {"dilated"}),
        (nn.Conv2d(4, 8, (1, 3)), {"asymmetric"}),
        (nn.Conv2d(4, 8, (3, 1), dilation=(2, 1)), {"asymmetric", "dilated"}),
        (nn.Conv2d(4, 8, (3, 1), dilation=(1, 2)), {"asymmetric"}),
        (nn.ConvTranspose2d(4, 4, 3, stride=2, groups=4), {"transposed"}),
        (nn.Linear(4, 8), {"linear"}),
        (nn.PixelShuffle(2), {"pixel_shuffle"}),
        (nn.AdaptiveAvgPool2d(1), {"gap"}),
        (nn.AdaptiveAvgPool2d((1, 1)), {"gap"}),
        (nn.AdaptiveAvgPool2d(2), set()),
        (nn.AdaptiveAvgPool2d((1, None)), set()),
        (nn.MaxPool2d(2), {"maxpool"}),
        (nn.AvgPool2d(2), {"avgpool"}),
        (nn.BatchNorm2d(4), set()),
        (nn.PixelUnshuffle(2), set()),
    ],
)
def test_the_kinds_of_a_layer(layer: nn.Module, expected: set[str]) -> None:
    measured = layers.measure(nn.Sequential(layer), (4, 8, 8))
    assert {kind for kind in layers.KINDS if measured.detail[kind]} == expected
    assert measured.detail["where"] == {kind: ["0"] for kind in expected}
    assert measured.value == isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear)


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (lambda x: functional.max_pool2d(x, 2), {"maxpool": ["max_pool2d"]}),
        (lambda x: functional.avg_pool2d(x, 2), {"avgpool": ["avg_pool2d"]}),
        (lambda x: functional.adaptive_avg_pool2d(x, 1), {"gap": ["adaptive_avg_pool2d"]}),
        (
            lambda x: functional.adaptive_avg_pool2d(x, output_size=(1, 1)),
            {"gap": ["adaptive_avg_pool2d"]},
        ),
        (lambda x: functional.adaptive_avg_pool2d(x, 2), {}),
        (lambda x: functional.pixel_shuffle(x, 2), {"pixel_shuffle": ["pixel_shuffle"]}),
        (lambda x: x.mean((2, 3)), {"gap": ["mean"]}),
        (lambda x: x.mean(dim=(-1, -2), keepdim=True), {"gap": ["mean"]}),
        (lambda x: torch.mean(x, [3, 2]), {"gap": ["mean"]}),
        (lambda x: torch.mean(x, axis=(2, 3)), {"gap": ["mean"]}),
        (lambda x: x.mean(1), {}),
        (lambda x: x.mean((1, 2)), {}),
        (lambda x: x.mean(), {}),
        (functional.relu, {}),
    ],
)
def test_the_kinds_of_functions(
    function: Callable[[Tensor], Tensor], expected: dict[str, list[str]]
) -> None:
    measured = layers.measure(Calls(function), (4, 8, 8))
    assert measured.value == 0
    assert measured.detail["where"] == expected
    assert measured.detail["read_from"] == "graph"


@pytest.mark.parametrize("container", [nn.Sequential, Untraceable])
@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ((depthwise(), pointwise()), 1),
        ((depthwise(), nn.BatchNorm2d(4), nn.SiLU(), nn.Identity(), pointwise()), 1),
        ((depthwise(), nn.Dropout2d(), nn.GroupNorm(2, 4), pointwise()), 1),
        ((depthwise(4, 8, stride=2), pointwise(8)), 1),
        ((depthwise(), pointwise(), nn.ReLU(), depthwise(6, 6), pointwise(6)), 2),
        ((depthwise(), nn.MaxPool2d(2), pointwise()), 0),
        ((depthwise(), depthwise(), pointwise()), 1),
        ((depthwise(), nn.Conv2d(4, 6, 3)), 0),
        ((depthwise(), nn.Conv2d(4, 4, 1, groups=2)), 0),
        ((nn.Conv2d(4, 4, 3, groups=2), pointwise()), 0),
        ((pointwise(), depthwise(6, 6)), 0),
        ((depthwise(), nn.ReLU()), 0),
        ((nn.Conv2d(1, 4, 3), pointwise()), 0),
    ],
)
def test_what_is_depthwise_separable(
    parts: tuple[nn.Module, ...], expected: int, container: Callable[..., nn.Module]
) -> None:
    detail = layers.measure(container(*parts), (4, 8, 8)).detail
    assert detail["depthwise_separable"] == expected
    assert detail["read_from"] == ("graph" if container is nn.Sequential else "modules")


def test_modules_of_other_channels_do_not_follow_each_other() -> None:
    branches = Untraceable(depthwise(), pointwise(6))
    assert layers.measure(branches, (4, 8, 8)).detail["depthwise_separable"] == 0


def test_what_follows_what_is_read_off_the_graph() -> None:
    parts = pointwise(), depthwise()  # registered the other way round
    in_turn = Calls(lambda x, after, before: after(functional.silu(before(x))), *parts)
    measured = layers.measure(in_turn, (4, 8, 8))
    assert measured.detail["where"]["depthwise_separable"] == ["parts.1"]
    apart = Calls(lambda x, before, after: before(x).sum() + after(x).sum(), *reversed(parts))
    assert layers.measure(apart, (4, 8, 8)).detail["depthwise_separable"] == 0


def test_a_path_around_does_not_hide_what_follows() -> None:
    def around(x: Tensor, before: nn.Module, after: nn.Module) -> Tensor:
        between = before(x).relu()
        return between.sum() + after(between).sum()

    measured = layers.measure(Calls(around, depthwise(), pointwise()), (4, 8, 8))
    assert measured.detail["depthwise_separable"] == 1


def test_a_layer_that_is_used_twice_counts_once() -> None:
    shared, mixing = depthwise(), nn.Conv2d(4, 4, 1)
    measured = layers.measure(nn.Sequential(shared, mixing, shared, mixing), (4, 8, 8))
    assert measured.value == 2
    assert measured.detail["where"] == {
        "pointwise": ["1"],
        "pointwise_keep": ["1"],
        "depthwise": ["0"],
        "depthwise_separable": ["0"],
    }


class Standardised(nn.Conv2d):
    """A convolution whose weights are standardised before use."""

    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight - self.weight.mean((2, 3), keepdim=True)
        return functional.conv2d(x, weight, self.bias)


def test_a_layer_of_ones_own_type_is_a_layer() -> None:
    measured = layers.measure(nn.Sequential(depthwise(), Standardised(4, 8, 1)), (4, 8, 8))
    assert measured.value == 2
    assert measured.detail["where"] == {
        "pointwise": ["1"],
        "pointwise_expand": ["1"],
        "depthwise": ["0"],
        "depthwise_separable": ["0"],
    }  # and its mean over weights is no pooling


def test_a_network_may_be_a_single_layer() -> None:
    measured = layers.measure(nn.Conv2d(3, 8, 3), SHAPE)
    assert measured.value == 1
    assert measured.detail["where"] == {"normal": [""]}


def test_the_layers_of_a_staged_network() -> None:
    stages = [[8, 8], {"layers": [16, {"channels": 16, "conv": "dilated"}]}, [32]]
    measured = layers.measure(built("staged", {"stages": stages, "down": "strided"}), SHAPE)
    assert measured.value == 6
    assert measured.detail["where"] == {
        "normal": [
            "features.stage1.layer1.conv",
            "features.stage1.layer2.conv",
            "features.stage2.layer1.conv",
            "features.stage3.layer1.conv",
        ],
        "dilated": ["features.stage2.layer2.conv"],
        "strided": ["features.stage1.layer2.conv", "features.stage2.layer2.conv"],
        "linear": ["head.linear"],
        "gap": ["head.pool"],
    }


@pytest.mark.parametrize(
    ("conv", "kind"),
    [
        ("normal", "normal"),
        ("dilated", "dilated"),
        ("grouped", "grouped"),
        ("depthwise_separable", "depthwise_separable"),
        ({"kind": "depthwise_separable", "mid": "norm_act"}, "depthwise_separable"),
        ("spatially_separable", "asymmetric"),
        ("bottleneck", "pointwise"),
    ],
)
def test_blocks_are_of_the_kind_that_they_are_called(conv: Any, kind: str) -> None:
    network = built("staged", {"stages": [[8], [8, 8]], "stem": "normal", "conv": conv})
    stem_alone = 1 if kind == "normal" else 0
    detail = layers.measure(network, SHAPE).detail
    assert detail[kind] == stem_alone + (4 if kind == "asymmetric" or conv == "bottleneck" else 2)


# --- overlap and coverage -------------------------------------------------------------------------

GRID = [
    (kernel, stride, dilation, padding)
    for kernel in range(1, 7)
    for stride in range(2, 5)
    for dilation in (1, 2, 3)
    for padding in (0, 1, 2)
]


def period(counts: Tensor, stride: int) -> Tensor:
    """The first period of counts far from the border, in phase with the first pixel."""
    start = 12 * stride
    inner = counts[start : start + 4 * stride, start : start + 4 * stride]
    tiles = inner.unfold(0, stride, stride).unfold(1, stride, stride)
    assert bool((tiles == tiles[0, 0]).all())  # a lattice indeed
    return tiles[0, 0]


def variation(counts: Tensor) -> float:
    return float(counts.std(correction=0) / counts.mean())


@pytest.mark.parametrize(("kernel", "stride", "dilation", "padding"), GRID)
def test_the_overlap_is_that_of_ones_spread_by_ones(
    kernel: int, stride: int, dilation: int, padding: int
) -> None:
    layer = nn.ConvTranspose2d(
        1, 1, kernel, stride=stride, padding=padding, dilation=dilation, bias=False
    ).double()
    nn.init.ones_(layer.weight)
    with torch.no_grad():
        expected = period(layer(torch.ones(1, 1, 40, 40, dtype=torch.float64))[0, 0], stride)
    measured = overlap.measure(nn.Sequential(layer), (1, 8, 8))
    assert measured is not None
    assert measured.value == pytest.approx(variation(expected), abs=1e-12)
    assert measured.detail["touched"] == {"0": expected.int().tolist()}


@pytest.mark.parametrize(
    ("pool", "kernel", "stride", "dilation", "padding"),
    [(False, *window) for window in GRID]
    # Torch averages no windows that are dilated, or more than half of padding.
    + [(True, k, s, d, p) for k, s, d, p in GRID if d == 1 and p <= k // 2],
)
def test_the_coverage_is_where_gradients_of_ones_arrive(
    pool: bool, kernel: int, stride: int, dilation: int, padding: int
) -> None:
    image = torch.ones(1, 1, 40 * stride, 40 * stride, dtype=torch.float64, requires_grad=True)
    layer: nn.Module
    if pool:
        layer = nn.AvgPool2d(kernel, stride, padding)
        (layer(image).sum() * kernel**2).backward()
    else:
        layer = nn.Conv2d(1, 1, kernel, stride, padding, dilation, bias=False).double()
        nn.init.ones_(layer.weight)
        layer(image).sum().backward()
    assert image.grad is not None
    expected = period(image.grad[0, 0].round(decimals=9), stride)
    measured = input_coverage.measure(nn.Sequential(layer), (1, 8, 8))
    assert measured is not None
    assert measured.value == pytest.approx(variation(expected), abs=1e-12)
    assert measured.detail["seen"] == {"0": expected.int().tolist()}


@pytest.mark.parametrize(
    ("kernel", "stride", "expected"),
    [(2, 2, 0.0), (4, 2, 0.0), (6, 2, 0.0), (3, 2, 0.48), (5, 2, 0.29), (4, 3, 0.52)],
)
def test_published_overlaps(kernel: int, stride: int, expected: float) -> None:
    measured = overlap.measure(nn.ConvTranspose2d(3, 4, kernel, stride=stride), SHAPE)
    assert measured is not None
    assert measured.value is not None
    assert round(measured.value, 2) == expected
    assert measured.value == 0 or expected > 0  # exactly, where the stride divides the kernel


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        (nn.Conv2d(3, 4, 3, stride=2, padding=1), [[1, 2], [2, 4]]),
        (nn.Conv2d(3, 4, 5, stride=2, padding=2), [[9, 6], [6, 4]]),
        (nn.Conv2d(3, 4, 3, stride=2, padding="valid"), [[4, 2], [2, 1]]),
        (nn.Conv2d(3, 4, 2, stride=2), [[1, 1], [1, 1]]),
        (nn.Conv2d(3, 4, 4, stride=2, padding=1), [[4, 4], [4, 4]]),
        (nn.Conv2d(3, 4, 1, stride=2), [[1, 0], [0, 0]]),
        (nn.Conv2d(3, 4, (3, 1), stride=(2, 1), padding=(1, 0)), [[1], [2]]),
        (nn.Conv2d(3, 4, 3, stride=2, dilation=2), [[9, 0], [0, 0]]),  # always the same pixels
        (nn.MaxPool2d(2), [[1, 1], [1, 1]]),
        (nn.MaxPool2d(3, stride=2, padding=1), [[1, 2], [2, 4]]),
        (nn.MaxPool2d(2, stride=2, dilation=2), [[4, 0], [0, 0]]),
        (nn.AvgPool2d((2, 1)), [[1], [1]]),
        (nn.LPPool2d(2, 2), [[1, 1], [1, 1]]),
        (nn.LPPool2d(2, 3, stride=2), [[4, 2], [2, 1]]),
    ],
)
def test_coverages(layer: nn.Module, expected: list[list[int]]) -> None:
    measured = input_coverage.measure(nn.Sequential(nn.Conv2d(3, 3, 3), layer), SHAPE)
    assert measured is not None
    assert measured.detail["seen"] == {"1": expected}
    assert measured.value == pytest.approx(variation(torch.tensor(expected, dtype=torch.float64)))


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (lambda x: functional.max_pool2d(x, 2), [[1, 1], [1, 1]]),
        (lambda x: functional.max_pool2d(x, 3, 2, 1), [[1, 2], [2, 4]]),
        (lambda x: functional.max_pool2d(x, 2, 2, 0, 2), [[4, 0], [0, 0]]),
        (lambda x: functional.avg_pool2d(x, 3, stride=2), [[4, 2], [2, 1]]),
        (lambda x: functional.avg_pool2d(x, (1, 2), ceil_mode=True), [[1, 1]]),
    ],
)
def test_coverages_of_functions(
    function: Callable[[Tensor], Tensor], expected: list[list[int]]
) -> None:
    measured = input_coverage.measure(Calls(function), SHAPE)
    assert measured is not None
    assert list(measured.detail["seen"].values()) == [expected]


@pytest.mark.parametrize(
    "network",
    [
        nn.Conv2d(3, 4, 3),
        nn.MaxPool2d(3, stride=1),
        nn.AdaptiveAvgPool2d(1),
        nn.ConvTranspose2d(3, 4, 3, stride=2),
        nn.Upsample(scale_factor=2),
        Calls(lambda x: functional.avg_pool2d(x, 3, 1)),
        Calls(lambda x: functional.avg_pool2d(x, x.shape[2])),  # the whole map, whatever it is
        Calls(lambda x: functional.avg_pool2d(x, x.shape[2:])),
    ],
)
def test_coverage_does_not_apply_where_nothing_strides(network: nn.Module) -> None:
    assert input_coverage.measure(network, SHAPE) is None


@pytest.mark.parametrize(
    ("network", "name"),
    [
        (nn.PixelShuffle(2), ""),
        (nn.Upsample(scale_factor=2), ""),
        (nn.Upsample(scale_factor=(1, 1.5)), ""),
        (nn.Upsample(size=64), ""),
        (Calls(lambda x: functional.interpolate(x, scale_factor=2)), "interpolate"),
        (Calls(lambda x: functional.interpolate(x, (64, 64))), "interpolate"),
        (Calls(lambda x: functional.pixel_shuffle(x, 2)), "pixel_shuffle"),
    ],
)
def test_where_each_output_is_computed_once_the_overlap_is_even(
    network: nn.Module, name: str
) -> None:
    measured = overlap.measure(network, (4, 8, 8))
    assert measured is not None
    assert measured.value == 0
    assert measured.detail == {"by_layer": {name: 0.0}, "worst": name, "touched": {}}


@pytest.mark.parametrize(
    "network",
    [
        nn.Conv2d(3, 4, 3, stride=2),
        nn.ConvTranspose2d(3, 4, 3),
        nn.PixelShuffle(1),
        nn.Upsample(scale_factor=0.5),
        Calls(lambda x: functional.interpolate(x, scale_factor=0.5)),
        Calls(lambda x: functional.pixel_shuffle(x, 1)),
        Calls(functional.relu),
    ],
)
def test_overlap_does_not_apply_where_nothing_upsamples(network: nn.Module) -> None:
    assert overlap.measure(network, SHAPE) is None


def test_the_worst_layer_counts() -> None:
    network = nn.Sequential(
        nn.Conv2d(3, 4, 2, stride=2),
        nn.Conv2d(4, 4, 3, stride=2, padding=1),
        nn.MaxPool2d(3, stride=2, padding=1),
        nn.ConvTranspose2d(4, 4, 5, stride=2),
        nn.ConvTranspose2d(4, 4, 3, stride=2),
        nn.PixelShuffle(2),
    )
    uneven = math.sqrt(25 / 4 / 2.25**2 - 1)  # of 1, 2, 2 and 4
    seen = input_coverage.measure(network, SHAPE)
    assert seen is not None
    assert seen.value == pytest.approx(uneven)
    assert seen.detail["worst"] == "1"
    assert list(seen.detail["by_layer"]) == ["0", "1", "2"]
    touched = overlap.measure(network, SHAPE)
    assert touched is not None
    assert touched.value == pytest.approx(uneven)
    assert touched.detail["worst"] == "4"
    assert touched.detail["by_layer"]["5"] == 0
    assert list(touched.detail["touched"]) == ["3", "4"]


@pytest.mark.parametrize(
    ("down", "worst", "expected"),
    [
        ("maxpool", "features.stage1.layer1.pool", 0.0),
        ("strided", "features.stage1.layer1.conv", math.sqrt(25 / 4 / 2.25**2 - 1)),
        ({"kind": "strided", "kernel": 4}, "features.stage1.layer1.conv", 0.0),
    ],
)
def test_the_coverage_of_reductions(down: Any, worst: str, expected: float) -> None:
    measured = input_coverage.measure(built("staged", {"stages": [[4], [4]], "down": down}), SHAPE)
    assert measured is not None
    assert measured.value == pytest.approx(expected)
    assert measured.detail["worst"] == worst


@pytest.mark.parametrize(
    ("up", "expected"),
    [
        ({"kind": "transposed", "kernel": 2}, 0.0),
        ({"kind": "transposed", "kernel": 3}, math.sqrt(25 / 4 / 2.25**2 - 1)),
        ({"kind": "transposed", "kernel": 4}, 0.0),
        ("pixel_shuffle", 0.0),
        ("resize", 0.0),
    ],
)
def test_the_overlap_of_upsampling_blocks(up: Any, expected: float) -> None:
    network = built("post_upsampling", {"layers": [4], "up": up})
    measured = overlap.measure(network, SHAPE)
    assert measured is not None
    assert measured.value == pytest.approx(expected)
    assert measured.detail["worst"].startswith("head.up.")
