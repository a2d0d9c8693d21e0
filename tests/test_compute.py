"""Parameters and compute against closed forms, published numbers, and counters that are wrong."""

import copy
import math
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torchvision
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.utils import parametrizations
from torch.utils.flop_counter import FlopCounterMode

from ablate import catalog
from ablate.components import Network, expand
from ablate.metrics import (
    _count,
    flops_train,
    macs,
    macs_total,
    params,
    unsupported_ops,
)
from ablate.records import Measurement

pytestmark = pytest.mark.usefixtures("one_thread")

SHAPE = (3, 12, 10)
FACTS = (params, macs, macs_total, unsupported_ops, flops_train)


def staged(shape: tuple[int, int, int] = (3, 32, 32), **options: Any) -> nn.Module:
    component, problems = expand(Network.model_validate({"family": "staged", **options}))
    assert problems == []
    network: nn.Module = catalog.build("networks", component, "family", shape, 10)
    return network


# Closed forms on random layers


def size(side: int, kernel: int, stride: int, padding: int | str, dilation: int) -> int:
    """The outputs of a convolution along an axis."""
    if padding == "same":
        return side
    around = 0 if padding == "valid" else 2 * int(padding)
    return (side + around - dilation * (kernel - 1) - 1) // stride + 1


@st.composite
def convolutions(draw: st.DrawFn) -> tuple[dict[str, Any], tuple[int, int]]:
    """Options of a convolution, and the height and width of an image that it fits."""
    groups = draw(st.sampled_from([1, 2, 4]))
    padding = draw(st.sampled_from([0, 1, 2, "same", "valid"]))
    options = {
        "in_channels": groups * draw(st.integers(1, 3)),
        "out_channels": groups * draw(st.integers(1, 3)),
        # Of even kernels, "same" pads unevenly, and torch warns.
        "kernel_size": tuple(draw(st.sampled_from([1, 3, 5])) for _ in range(2)),
        "stride": 1 if padding == "same" else draw(st.integers(1, 3)),
        "padding": padding,
        "dilation": draw(st.integers(1, 2)),
        "groups": groups,
        "bias": draw(st.booleans()),
    }
    return options, (draw(st.integers(9, 14)), draw(st.integers(9, 14)))


@settings(max_examples=40, deadline=None, derandomize=True)
@given(convolutions())
def test_a_convolution_costs_what_the_closed_form_says(
    case: tuple[dict[str, Any], tuple[int, int]],
) -> None:
    options, sides = case
    layer = nn.Conv2d(**options)
    taps = math.prod(options["kernel_size"])
    per_output = options["in_channels"] // options["groups"] * taps
    weights = options["out_channels"] * per_output
    outputs = [
        size(side, kernel, options["stride"], options["padding"], options["dilation"])
        for side, kernel in zip(sides, options["kernel_size"], strict=True)
    ]
    shape = (options["in_channels"], *sides)
    bias = options["out_channels"] if options["bias"] else 0
    assert params.measure(layer, shape).value == weights + bias
    assert macs.measure(layer, shape).value == weights * math.prod(outputs)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(
    groups=st.sampled_from([1, 2, 4]),
    channels=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    kernel=st.tuples(st.integers(2, 4), st.integers(2, 5)),
    stride=st.integers(1, 3),
    more=st.booleans(),
    sides=st.tuples(st.integers(3, 7), st.integers(3, 7)),
)
def test_a_transposed_convolution_costs_what_its_loops_do(
    groups: int,
    channels: tuple[int, int],
    kernel: tuple[int, int],
    stride: int,
    more: bool,
    sides: tuple[int, int],
) -> None:
    into, out = (groups * number for number in channels)
    layer = nn.ConvTranspose2d(
        into, out, kernel, stride, padding=1, output_padding=int(more and stride > 1), groups=groups
    )
    # Every pixel of every channel is spread over the kernel, into each channel of its group.
    taps = sum(
        sides[0] * sides[1] * kernel[0] * kernel[1]
        for source in range(into)
        for target in range(out)
        if source // (into // groups) == target // (out // groups)
    )
    shape = (into, *sides)
    assert macs.measure(layer, shape).value == taps
    assert params.measure(layer, shape).value == into * (out // groups) * math.prod(kernel) + out


@settings(max_examples=20, deadline=None, derandomize=True)
@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 9), st.booleans())
def test_a_linear_layer_costs_what_the_closed_form_says(
    rows: int, into: int, out: int, bias: bool
) -> None:
    layer = nn.Linear(into, out, bias=bias)
    assert params.measure(layer, (2, rows, into)).value == into * out + (out if bias else 0)
    assert macs.measure(layer, (2, rows, into)).value == 2 * rows * into * out


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        (nn.Conv2d(3, 8, 4, padding="same"), 3 * 8 * 16 * 120),
        (nn.Sequential(nn.Flatten(), nn.Linear(360, 5)), 360 * 5),
        (nn.Sequential(nn.Flatten(2), nn.Conv1d(3, 4, 5)), 3 * 4 * 5 * 116),
        (nn.Sequential(nn.Unflatten(1, (1, 3)), nn.Conv3d(1, 2, 3)), 2 * 27 * 10 * 8),
        (nn.Sequential(nn.BatchNorm2d(3), nn.SiLU(), nn.AdaptiveAvgPool2d(1)), 0),
    ],
)
@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")  # meant here
def test_macs_are_those_of_the_closed_form(layer: nn.Module, expected: int) -> None:
    assert macs.measure(nn.Sequential(layer), SHAPE).value == expected


class Function(nn.Module):
    """A function of the image and of a parameter, with a layer that makes the image need one."""

    def __init__(self, function: Callable[[Tensor, Tensor], Tensor], *shape: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 3, 1, groups=3)  # 360 MACs
        self.weight = nn.Parameter(torch.ones(shape))
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(self.first(x), self.weight)


def attention(x: Tensor, weight: Tensor) -> Tensor:
    return nn.functional.scaled_dot_product_attention(x, x, x @ weight)


PRODUCTS: dict[str, tuple[Callable[[Tensor, Tensor], Tensor], tuple[int, ...], int]] = {
    "matmul": (lambda x, w: x @ w, (10, 4), 3 * 12 * 10 * 4),
    "broadcast": (lambda x, w: x @ w, (5, 1, 10, 4), 5 * 3 * 12 * 10 * 4),
    "einsum": (lambda x, w: torch.einsum("b c h w, k c -> b k h w", x, w), (4, 3), 4 * 360),
    "einsum of rows": (lambda x, w: torch.einsum("bchw,cwk->bchk", x, w), (3, 10, 4), 4 * 360),
    "batched": (lambda x, w: torch.baddbmm(w, x[0], x[0].mT), (3, 12, 12), 3 * 12 * 12 * 10),
    # Queries times keys, weights times values, and what makes values.
    "attention": (attention, (10, 10), 3 * 12 * 12 * (10 + 10) + 3 * 12 * 10 * 10),
    "attention of other values": (attention, (10, 4), 3 * 12 * 12 * (10 + 4) + 3 * 12 * 10 * 4),
    "convolution": (nn.functional.conv2d, (2, 3, 3, 3), 2 * 27 * 10 * 8),
}


@pytest.mark.parametrize("name", PRODUCTS)
def test_products_outside_of_layers_count(name: str) -> None:
    function, shape, expected = PRODUCTS[name]
    network = Function(function, *shape)
    measured = macs.measure(network, SHAPE)
    assert measured.value == 360 + expected
    assert measured.detail["counted_by"] == "fvcore"
    assert measured.detail["by_layer"] == {"": expected, "first": 360}
    trained = flops_train.measure(network, SHAPE)
    assert trained.value == 2 * 360 * 2 + 3 * 2 * expected
    assert trained.detail["elsewhere"] == {"forward": 2 * expected, "training": 6 * expected}
    assert flops_train.measure(nn.Sequential(network, OnlyHere()), SHAPE).value == trained.value


def test_a_transformer_counts_with_its_attention() -> None:
    network = nn.Sequential(
        OrderedDict(
            patches=nn.Conv2d(3, 8, 1),
            flat=nn.Flatten(2),
            swap=Function(lambda x, w: x.mT, 1),
            block=nn.TransformerEncoderLayer(8, 2, 16, batch_first=True),
        )
    )
    network.swap.first = nn.Identity()
    expected = 3 * 8 * 120 + 120 * (8 * 24 + 8 * 8 + 2 * 8 * 16) + 2 * 120 * 120 * 8
    assert macs.measure(network, SHAPE).value == expected
    assert flops_train.measure(network, SHAPE).value == 2 * (3 * expected - 3 * 8 * 120)


# Published numbers


# Counted by both counters, on the CPU.
TRACED = (
    *("alexnet", "squeezenet1_0", "squeezenet1_1", "resnet18", "resnet34", "resnet50", "googlenet"),
    *("mobilenet_v2", "mobilenet_v3_small", "mobilenet_v3_large", "mnasnet0_5", "mnasnet1_0"),
    *("shufflenet_v2_x0_5", "shufflenet_v2_x1_0", "efficientnet_b0", "regnet_x_400mf"),
    *("regnet_y_400mf", "swin_t", "vit_b_32"),
)
# Without values, on the meta device, where fvcore cannot trace and closed forms take its place.
UNTRACED = (
    *("vgg11", "vgg11_bn", "vgg13", "vgg13_bn", "vgg16", "vgg16_bn", "vgg19", "vgg19_bn"),
    *("resnet101", "resnet152", "resnext50_32x4d", "wide_resnet50_2", "densenet121", "densenet161"),
    *("densenet169", "densenet201", "inception_v3", "mnasnet0_75", "mnasnet1_3"),
    *("shufflenet_v2_x1_5", "shufflenet_v2_x2_0", "efficientnet_b1", "efficientnet_b4"),
    *("convnext_tiny", "convnext_base"),
)
# Published without the auxiliary heads, or (Inception) with; drawing initial values takes long.
OPTIONS: dict[str, dict[str, Any]] = {
    "googlenet": {"aux_logits": False, "init_weights": False},
    "inception_v3": {"init_weights": False},
}


@pytest.mark.parametrize("name", [*TRACED, *UNTRACED])
def test_torchvision_publishes_the_same_numbers(name: str) -> None:
    weights = torchvision.models.get_model_weights(name).DEFAULT
    (side,) = weights.transforms().crop_size
    shape = (3, side, side)
    network = published(name)
    assert params.measure(network, shape).value == weights.meta["num_params"]
    measured = macs.measure(network, shape)
    assert measured.value is not None
    assert round(measured.value / 1e9, 3) == weights.meta["_ops"]  # "GFLOPS", of MACs
    assert measured.detail["counted_by"] == ("fvcore" if name in TRACED else "closed forms")
    assert sum(measured.detail["by_layer"].values()) == measured.value
    if name in TRACED:
        assert unsupported_ops.measure(network, shape).value == 0


def published(name: str) -> nn.Module:
    """A model of torchvision, on the meta device where that will do."""
    if name.startswith(("regnet", "swin")):  # they cannot be built there
        return torchvision.models.get_model(name)
    with torch.device("meta"):
        network = torchvision.models.get_model(name, **OPTIONS.get(name, {}))
    if name in TRACED:
        network = network.to_empty(device="cpu")
        for tensor in network.state_dict().values():
            tensor.zero_()
    return network


# Training


LAYERS = {
    "normal": lambda: nn.Conv2d(64, 32, 3, padding=1),
    "strided and dilated": lambda: nn.Conv2d(64, 32, 3, stride=2, dilation=2),
    "a word for padding": lambda: nn.Conv2d(64, 32, 5, padding="same"),
    "grouped": lambda: nn.Conv2d(64, 32, 3, groups=4),
    "depthwise": lambda: nn.Conv2d(64, 64, 3, groups=64),
    "depthwise, multiplied": lambda: nn.Conv2d(64, 128, (1, 3), groups=64),
    "transposed": lambda: nn.ConvTranspose2d(64, 32, 4, stride=2),
    "transposed, grouped": lambda: nn.ConvTranspose2d(64, 32, 3, 2, output_padding=1, groups=4),
    "transposed, depthwise": lambda: nn.ConvTranspose2d(64, 64, 3, groups=64),
    "linear": lambda: nn.Linear(10, 7),
}


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("device", ["meta", "cpu"])
def test_training_costs_three_times_the_forward_and_twice_at_the_first_layer(
    name: str, device: str
) -> None:
    network = nn.Sequential(
        OrderedDict(first=nn.Conv2d(3, 64, 1), layer=LAYERS[name]()),
    )
    if device == "cpu":
        network.append(OnlyHere())
    measured = flops_train.measure(network, SHAPE)
    forward = 2 * (macs.measure(network, SHAPE).value or 0)
    by_layer = measured.detail["by_layer"]
    assert by_layer["first"]["training"] / by_layer["first"]["forward"] == pytest.approx(2, 0.01)
    assert by_layer["layer"]["training"] / by_layer["layer"]["forward"] == pytest.approx(3, 0.01)
    assert measured.detail["forward"] == forward
    assert measured.value == sum(layer["training"] for layer in by_layer.values())
    assert measured.detail["ratio"] == pytest.approx((measured.value or 0) / forward)


class OnlyHere(nn.Module):
    """What cannot run on the meta device."""

    def __init__(self) -> None:
        super().__init__()
        self.constant = [torch.ones(1)]  # no buffer, so it is not moved

    def forward(self, x: Tensor) -> Tensor:
        return x * self.constant[0]


def test_torch_alone_agrees_on_the_training_of_what_it_counts_rightly() -> None:
    network = staged(stages=[[4, 4], [8]])
    with FlopCounterMode(display=False) as counter:
        copy.deepcopy(network).train()(torch.zeros(2, 3, 32, 32)).sum().backward()
    assert flops_train.measure(network, (3, 32, 32)).value == counter.get_total_flops() / 2


def test_of_a_frozen_layer_only_the_input_has_a_gradient() -> None:
    network = nn.Sequential(*(nn.Conv2d(3, 3, 1, bias=False) for _ in range(4)))
    network[0].requires_grad_(False)
    network[2].requires_grad_(False)
    by_layer = flops_train.measure(network, SHAPE).detail["by_layer"]
    ratios = [layer["training"] // layer["forward"] for layer in by_layer.values()]
    assert ratios == [1, 2, 2, 3]
    network.requires_grad_(False)
    assert flops_train.measure(network, SHAPE).detail["ratio"] == 1


class Outputs(nn.Module):
    """Outputs by name, one of which is detached from the loss."""

    def __init__(self) -> None:
        super().__init__()
        self.image = nn.Conv2d(3, 2, 1)
        self.monitor = nn.Conv2d(3, 2, 1)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return {"image": self.image(x), "monitor": self.monitor(x).detach()}


def test_a_layer_that_no_gradient_reaches_costs_its_forward() -> None:
    by_layer = flops_train.measure(Outputs(), SHAPE).detail["by_layer"]
    assert by_layer == {
        "image": {"forward": 1440, "training": 2880},
        "monitor": {"forward": 1440, "training": 1440},
    }


def test_auxiliary_heads_count_where_they_run() -> None:
    with torch.device("meta"):
        network = torchvision.models.googlenet(init_weights=False)
    trained = flops_train.measure(network, (3, 224, 224))
    evaluated = macs.measure(network, (3, 224, 224))
    heads = [path for path in trained.detail["by_layer"] if path.startswith("aux")]
    assert len(heads) == 6
    assert not any(path.startswith("aux") for path in evaluated.detail["by_layer"])
    aux = sum(trained.detail["by_layer"][path]["forward"] for path in heads)
    assert trained.detail["forward"] == 2 * (evaluated.value or 0) + aux


def test_batch_normalisation_of_one_pixel_needs_two_images() -> None:
    layers = nn.AdaptiveAvgPool2d(1), nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Conv2d(4, 5, 1)
    measured = flops_train.measure(nn.Sequential(*layers), SHAPE)
    assert measured.value == 2 * (2 * 12 + 3 * 20)
    assert measured.detail["batch"] == 2


class Twice(nn.Module):
    """Works a layer out again in the backward pass, instead of keeping its output."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1))

    def forward(self, x: Tensor) -> Tensor:
        again = torch.utils.checkpoint.checkpoint(self.layers, x, use_reentrant=False)
        assert isinstance(again, Tensor)
        return again


def test_training_on_which_the_closed_forms_do_not_agree_is_no_figure() -> None:
    measured = flops_train.measure(Twice(), SHAPE)
    assert measured.value is None
    assert measured.detail["invalid"].startswith(
        "two counters disagree: torch's FlopCounterMode counts "
    )


# What counters get wrong


def test_padding_that_is_a_word_does_not_make_a_layer_free() -> None:
    from fvcore.nn import FlopCountAnalysis

    layer = nn.Conv2d(3, 8, 3, padding="same")
    alone = FlopCountAnalysis(layer, torch.zeros(1, *SHAPE)).unsupported_ops_warnings(False)
    assert macs.measure(layer, SHAPE).value == macs_total.measure(layer, SHAPE).value == 25_920
    assert alone.total() in (0, 25_920)  # the first, as long as it has not been mended


def test_depthwise_training_is_not_66_times_the_forward() -> None:
    layer = nn.Conv2d(64, 64, 3, padding=1, groups=64, bias=False)
    x = torch.zeros(1, 64, 8, 8, requires_grad=True)
    ratios = []
    for counter in (FlopCounterMode(display=False), _count.flop_counter()):
        with counter:
            y = layer(x)
            forward = counter.get_total_flops()
            y.sum().backward()
        ratios.append(counter.get_total_flops() / forward)
    assert ratios[0] in (66, 3)
    assert ratios[1] == 3


class Unpools(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.pool = nn.MaxPool2d(2, return_indices=True)
        self.unpool = nn.MaxUnpool2d(2)

    def forward(self, x: Tensor) -> Tensor:
        return self.unpool(*self.pool(self.conv(x)))


def test_unpooling_breaks_tracers_and_is_counted_all_the_same() -> None:
    measured = macs.measure(Unpools(), SHAPE)
    assert measured.value == 3 * 4 * 9 * 120
    assert measured.detail["by_layer"] == {"conv": measured.value}
    assert flops_train.measure(Unpools(), SHAPE).value == 2 * 2 * measured.value


class Hidden(torch.autograd.Function):
    """A convolution that a tracer of TorchScript sees as one opaque operation."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        return nn.functional.conv2d(x, weight)


class UsesHidden(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(2, 3, 3, 3))

    def forward(self, x: Tensor) -> Tensor:
        return Hidden.apply(x, self.weight)


class Refuses(nn.Module):
    """What cannot be traced, as unpooling cannot in some versions of torch."""

    def forward(self, x: Tensor) -> Tensor:
        if torch.jit.is_tracing():
            raise RuntimeError("not\n  traceable")
        return x


# 2 · 3 · 9 · 10 · 8 MACs are 4,320.
HALF = "torch's FlopCounterMode 8,640 FLOPs, which is not twice as many"


def test_macs_on_which_two_counters_disagree_are_no_figure() -> None:
    measured = macs.measure(UsesHidden(), SHAPE)
    assert measured.value is None
    disagree = f"two counters disagree: fvcore counts 0 MACs, {HALF}"
    assert measured.detail["invalid"] == (
        f"{disagree}; the closed forms of its layers come to 0 MACs"
    )
    total = macs_total.measure(UsesHidden(), SHAPE)
    assert (total.value, total.detail["invalid"]) == (None, disagree)
    assert unsupported_ops.measure(UsesHidden(), SHAPE).detail["unknown"] == {
        "prim::PythonOp.Hidden": 1
    }


def test_what_cannot_be_traced_is_counted_by_closed_forms() -> None:
    network = nn.Sequential(OrderedDict(conv=nn.Conv2d(3, 2, 1), refuses=Refuses()))
    measured = macs.measure(network, SHAPE)
    assert measured.value == 720
    reason = "fvcore cannot trace the network: not traceable"
    assert measured.detail == {
        "counted_by": "closed forms",
        "by_operator": {"conv": 720},
        "by_layer": {"conv": 720},
        "not_fvcore": reason,
    }
    for fact in (macs_total, unsupported_ops):
        assert fact.measure(network, SHAPE).value is None
        assert fact.measure(network, SHAPE).detail == {"invalid": reason}


def test_macs_that_neither_way_can_count_are_no_figure() -> None:
    measured = macs.measure(nn.Sequential(UsesHidden(), Refuses()), SHAPE)
    assert measured.value is None
    assert measured.detail == {
        "invalid": "fvcore cannot trace the network: not traceable; and two counters disagree: "
        f"the closed forms of its layers come to 0 MACs, {HALF}"
    }


class Deforms(nn.Module):
    """A convolution of torchvision's, which no counter knows."""

    def __init__(self) -> None:
        super().__init__()
        self.where = nn.Conv2d(3, 18, 3)
        self.conv = torchvision.ops.DeformConv2d(3, 4, 3)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x, self.where(x))
        assert isinstance(y, Tensor)
        return y


@pytest.mark.parametrize("fact", [macs, macs_total])
def test_an_operation_that_no_counter_sees_into_is_no_figure(fact: Any) -> None:
    measured = fact.measure(Deforms(), SHAPE)
    assert measured.value is None
    assert measured.detail["invalid"] == "no counter sees into torchvision::deform_conv2d"
    assert unsupported_ops.measure(Deforms(), SHAPE).value == 1


def test_a_recurrence_is_not_taken_for_free() -> None:
    network = nn.Sequential(nn.Flatten(2), nn.LSTM(120, 4))
    assert macs.measure(network, SHAPE).value is None
    assert unsupported_ops.measure(network, SHAPE).detail["unknown"] == {"aten::lstm": 1}


def test_a_compiled_network_is_counted_without_compiling_it() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    compiled = torch.compile(network, backend=refuses_to_compile)
    for fact in (params, macs, flops_train):
        assert fact.measure(compiled, SHAPE).value == fact.measure(network, SHAPE).value
    assert macs.measure(compiled, SHAPE).detail["counted_by"] == "closed forms"


def refuses_to_compile(graph: Any, inputs: Any) -> Any:
    raise AssertionError("it was compiled")


# What the details say, and what is left alone


def test_macs_say_what_was_counted_and_what_was_not() -> None:
    network = staged(stages=[[4], [4]], act="silu")
    detail = macs.measure(network, (3, 32, 32)).detail
    first, second = 3 * 4 * 9 * 1024, 4 * 4 * 9 * 256
    assert detail == {
        "counted_by": "fvcore",
        "by_operator": {"conv": first + second, "linear": 40},
        "by_layer": {
            "features.stage1.layer1.conv": first,
            "features.stage2.layer1.conv": second,
            "head.linear": 40,
        },
        "unsupported": {"aten::max_pool2d": 1, "aten::silu": 2},
    }
    measured = unsupported_ops.measure(network, (3, 32, 32))
    assert measured.value == 0
    assert measured.detail == {"unknown": {}, "without_macs": detail["unsupported"]}


def test_the_total_has_norms_and_pooling_by_the_rules_of_fvcore() -> None:
    layers = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(1)
    measured = macs_total.measure(nn.Sequential(*layers), SHAPE)
    pixels = 4 * 10 * 8
    assert measured.detail["by_operator"] == {
        "adaptive_avg_pool2d": pixels,
        "batch_norm": 2 * pixels,
        "conv": pixels * 27,
    }
    assert measured.value == pixels * 30


@pytest.mark.parametrize(
    ("layer", "operation"),
    [
        (nn.Hardswish(inplace=True), "aten::hardswish_"),
        (nn.ReLU6(), "aten::hardtanh"),
        (nn.GELU(), "aten::gelu"),
        (nn.PixelShuffle(1), "aten::pixel_shuffle"),
        (nn.AvgPool2d(2), "aten::avg_pool2d"),
        (nn.Softmax(1), "aten::softmax"),
        (nn.ReflectionPad2d(1), "aten::pad"),
    ],
)
def test_operations_without_macs_alarm_nobody(layer: nn.Module, operation: str) -> None:
    measured = unsupported_ops.measure(nn.Sequential(layer), SHAPE)
    assert measured.value == 0
    assert operation in measured.detail["without_macs"]


class Fourier(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.fft.rfft2(x).abs()


def test_an_operation_of_unknown_cost_is_told() -> None:
    measured = unsupported_ops.measure(Fourier(), SHAPE)
    assert measured.value == 1
    assert measured.detail == {
        "unknown": {"aten::fft_rfft2": 1},
        "without_macs": {"aten::abs": 1},
    }


def test_parameters_are_counted_once_and_by_role() -> None:
    shared = nn.Conv2d(8, 8, 3, bias=False)
    network = nn.Sequential(
        OrderedDict(
            features=nn.Sequential(
                nn.Conv2d(3, 8, 3), shared, shared, nn.BatchNorm2d(8), nn.PReLU()
            ),
            head=nn.Linear(8, 10),
            again=nn.Sequential(shared),
        )
    )
    by_role = {"conv": 3 * 8 * 9 + 8 + 8 * 8 * 9, "norm": 16, "head": 90, "other": 1}
    measured = params.measure(network, SHAPE)
    assert measured.value == sum(by_role.values())
    assert measured.detail == {
        "convention": "elements of distinct parameter tensors, without buffers",
        **by_role,
        "buffers": 8 + 8 + 1,
        "by_layer": {
            "features.0": 3 * 8 * 9 + 8,
            "features.1": 8 * 8 * 9,
            "features.3": 16,
            "features.4": 1,
            "head": 90,
        },
    }
    assert params.of_block(measured, "") == measured.value
    assert params.of_block(measured, "features") == measured.value - 90
    assert params.of_block(measured, "features.1") == 8 * 8 * 9
    assert params.of_block(measured, "again") == params.of_block(measured, "feat") == 0


def test_tied_weights_count_once() -> None:
    network = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    network[1].weight = network[0].weight
    assert params.measure(network, SHAPE).value == 16 + 4 + 4


def test_a_shared_layer_counts_each_time_that_it_runs() -> None:
    shared = nn.Conv2d(3, 3, 1)
    measured = macs.measure(nn.Sequential(shared, nn.Sequential(shared)), SHAPE)
    assert measured.value == 2 * 9 * 120
    assert measured.detail["by_layer"] == {"0": measured.value}


def test_a_parametrised_layer_counts_with_what_makes_its_weight() -> None:
    measured = macs.measure(parametrizations.weight_norm(nn.Conv2d(3, 4, 1)), SHAPE)
    assert measured.value == 3 * 4 * 120
    trained = flops_train.measure(parametrizations.weight_norm(nn.Conv2d(3, 4, 1)), SHAPE)
    assert trained.value == 2 * 2 * 3 * 4 * 120


def test_a_network_that_was_changed_is_counted_anew() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 1, bias=False), nn.Conv2d(4, 4, 1))
    before = [fact.measure(network, SHAPE).value for fact in (macs, macs_total, flops_train)]
    network[0].stride = (2, 2)
    after = [fact.measure(network, SHAPE).value for fact in (macs, macs_total, flops_train)]
    assert [value and 4 * value for value in after] == before


def test_what_drops_at_random_draws_nothing_from_the_random_numbers_of_others() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Dropout(), OnlyHere())
    state = torch.random.get_rng_state()
    flops_train.measure(network, SHAPE)
    assert torch.equal(state, torch.random.get_rng_state())


@pytest.mark.parametrize("fact", FACTS)
def test_counting_leaves_the_network_and_torch_as_they_were(fact: Any) -> None:
    network = staged(stages=[[4, 4], [4]])
    network.head.append(nn.Dropout())
    network.head.eval()
    before = copy.deepcopy(network.state_dict())
    modes = [module.training for module in network.modules()]
    hooks = [len(module._forward_hooks) for module in network.modules()]
    state = torch.random.get_rng_state()
    first = fact.measure(network, (3, 32, 32))
    assert torch.equal(state, torch.random.get_rng_state())
    assert torch.is_grad_enabled()
    assert torch.backends.mha.get_fastpath_enabled()
    assert modes == [module.training for module in network.modules()]
    assert hooks == [len(module._forward_hooks) for module in network.modules()]
    assert all(torch.equal(before[key], value) for key, value in network.state_dict().items())
    assert all(parameter.grad is None for parameter in network.parameters())
    assert fact.measure(network, (3, 32, 32)) == first
    assert Measurement.model_validate_json(first.model_dump_json()) == first
