"""Metrics against closed forms, a second method, and cases in which a figure must not be given."""

import copy
import math
from collections import OrderedDict
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from ablate import catalog, metrics
from ablate.components import Network, expand
from ablate.metrics import Outcome, macs, params, receptive_field
from ablate.records import Measurement

SHAPE = (3, 12, 10)


def staged(shape: tuple[int, int, int] = (3, 32, 32), **options: Any) -> nn.Module:
    component, problems = expand(Network.model_validate({"family": "staged", **options}))
    assert problems == []
    network: nn.Module = catalog.build("networks", component, "family", shape, 10)
    return network


def outcome(initial: dict[str, Any] | None = None, **test: Any) -> Outcome:
    return Outcome(
        {k: np.array(v) for k, v in test.items()},
        [],
        train_seconds=4.0,
        images=200,
        initial={k: np.array(v) for k, v in (initial or {}).items()},
    )


CLASSIFIED = {"correct": [True, False], "loss": [0.5, 1.0]}
RESTORED = {
    "loss": [0.5, 1.0],
    "psnr": [20.0, 24.0],
    "ssim": [0.5, 0.8],
    "phase_variance": [0.125, 0.375],
    "output_phase_variance": [0.0, 0.25],
    "target_phase_variance": [0.0, 0.125],
    "white_noise_phase_variance": [0.0625, 0.0625],
}


class Features(nn.Module):
    """A network of nothing but the given features."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.features = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return self.features(x)


class Branches(nn.Module):
    """Paths that start together and are added or concatenated."""

    def __init__(self, *paths: nn.Module, join: str = "add") -> None:
        super().__init__()
        self.paths = nn.ModuleList(paths)
        self.join = join

    def forward(self, x: Tensor) -> Tensor:
        outputs = [path(x) for path in self.paths]
        return torch.cat(outputs, 1) if self.join == "cat" else outputs[0] + outputs[1]


@pytest.mark.parametrize("name", catalog.names("metrics"))
def test_a_metric_says_what_it_is(name: str) -> None:
    metric = catalog.load("metrics", name)
    assert metric.TITLE
    assert metric.KIND in ("fact", "trial", "pass")
    if metric.KIND == "pass":
        assert metric.DIRECTION in ("higher", "lower", "none")
        return  # its raw values are no measurement
    if metric.KIND == "fact":
        measured = metric.measure(staged(stages=[[4], [4]]), (3, 32, 32))
        if measured is None:  # it may not apply to a network that only goes down
            measured = metric.measure(nn.ConvTranspose2d(3, 4, 2, stride=2), (3, 32, 32))
    else:
        measured = metric.measure(outcome(RESTORED, **CLASSIFIED | RESTORED))
    assert (measured.title, measured.unit, measured.direction) == (
        metric.TITLE,
        metric.UNIT,
        metric.DIRECTION,
    )
    assert measured.value is not None
    assert Measurement.model_validate_json(measured.model_dump_json()) == measured


def test_facts_leave_the_network_as_it_was() -> None:
    network = staged(stages=[[4, 4], [4]])
    network.head.eval()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    modes = [module.training for module in network.modules()]
    found = metrics.facts(network, (3, 32, 32))
    assert set(found) >= {"params", "macs", "receptive_field"}
    assert modes == [module.training for module in network.modules()]
    assert all(torch.equal(before[key], value) for key, value in network.state_dict().items())
    assert all(parameter.grad is None for parameter in network.parameters())


def test_parameters_are_counted_once_and_by_role() -> None:
    shared = nn.Conv2d(8, 8, 3, bias=False)
    network = nn.Sequential(
        OrderedDict(
            features=nn.Sequential(
                nn.Conv2d(3, 8, 3), shared, shared, nn.BatchNorm2d(8), nn.PReLU()
            ),
            head=nn.Linear(8, 10),
        )
    )
    detail = {"conv": 3 * 8 * 9 + 8 + 8 * 8 * 9, "norm": 16, "head": 90, "other": 1}
    measured = params.measure(network, SHAPE)
    assert measured.value == sum(detail.values())
    assert measured.detail == {**detail, "buffers": 8 + 8 + 1}


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        (nn.Conv2d(3, 8, 3, padding="same"), 3 * 8 * 9 * 120),
        (nn.Conv2d(3, 8, 4, padding="same"), 3 * 8 * 16 * 120),
        (nn.Conv2d(3, 8, 3, padding="valid"), 3 * 8 * 9 * 80),
        (nn.Conv2d(3, 3, 3, padding="same", groups=3), 3 * 9 * 120),
        (nn.Conv2d(3, 8, 3, stride=2, dilation=2), 3 * 8 * 9 * 4 * 3),
        (nn.ConvTranspose2d(3, 8, 4, stride=2), 3 * 8 * 16 * 120),
        (nn.Linear(10, 7), 3 * 12 * 10 * 7),
        (nn.Sequential(nn.Flatten(), nn.Linear(360, 5)), 360 * 5),
        (nn.Sequential(nn.BatchNorm2d(3), nn.SiLU(), nn.AdaptiveAvgPool2d(1)), 0),
    ],
)
@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")  # meant here
def test_macs_are_those_of_the_closed_form(layer: nn.Module, expected: int) -> None:
    assert macs.measure(nn.Sequential(layer), SHAPE).value == expected


def test_macs_say_what_was_counted_and_what_was_not() -> None:
    detail = macs.measure(staged(stages=[[4], [4]], act="silu"), (3, 32, 32)).detail
    assert detail["by_operator"] == {"conv": 3 * 4 * 9 * 1024 + 4 * 4 * 9 * 256, "linear": 40}
    assert detail["unsupported"] == {"aten::max_pool2d": 1, "aten::silu": 2}


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


def test_macs_on_which_two_counters_disagree_are_no_figure() -> None:
    measured = macs.measure(UsesHidden(), SHAPE)
    assert measured.value is None
    assert measured.detail["invalid"] == (
        "two counters disagree: fvcore counts 0 MACs, torch's FlopCounterMode 8,640 FLOPs, "
        "which is not twice as many"  # 2 · 3 · 9 · 10 · 8 MACs are 4,320
    )


def test_macs_of_what_cannot_be_traced_are_no_figure() -> None:
    measured = macs.measure(Refuses(), SHAPE)
    assert measured.value is None
    assert measured.detail == {"invalid": "fvcore cannot trace the network: not traceable"}


def blocks(kind: str, **options: Any) -> st.SearchStrategy[dict[str, Any]]:
    choices = {name: st.sampled_from(values) for name, values in options.items()}
    return st.fixed_dictionaries({"kind": st.just(kind), **choices})


MID = ["none", "norm_act"]
conv_blocks = st.one_of(
    blocks("normal", kernel=[1, 3, 5]),
    blocks("dilated", dilation=[1, 2, 3]),
    blocks("depthwise_separable", mid=MID),
    blocks("grouped", groups=[2], then=["none", "shuffle", "pointwise"]),
    blocks("spatially_separable", mid=MID, kernel=[3, 5]),
    blocks("bottleneck", ratio=[2]),
    blocks("stacked", mid=MID, count=[2, 3]),
)
down_blocks = st.one_of(
    st.none(),
    blocks("maxpool"),
    blocks("avgpool"),
    blocks("blurpool", of=["maxpool", "conv"]),
    blocks("strided", kernel=[None, 5]),
)
merge_blocks = st.one_of(
    blocks("none"),
    blocks("add", project=["none", "pointwise"]),
    blocks("concat", project=["none", "pointwise"], width=["sum", "constant"]),
)
stages = st.fixed_dictionaries(
    {
        "layers": st.lists(st.just(4), min_size=1, max_size=3),
        "conv": conv_blocks,
        "down": down_blocks,
        "merge": merge_blocks,
    }
)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.lists(stages, min_size=1, max_size=3), st.integers(1, 2))
def test_the_receptive_field_is_where_a_gradient_arrives(
    stages: list[dict[str, Any]], span: int
) -> None:
    network = staged((4, 64, 64), stages=stages, span=span)
    measured = receptive_field.measure(network, (4, 64, 64))
    assert measured.value == measured.detail["height"] == measured.detail["width"]
    assert seen_from_the_centre(network.features, channels=4, side=measured.value + 32) == (
        measured.value,
        measured.value,
    )


def test_the_receptive_field_of_a_4x4_stride_is_where_a_gradient_arrives() -> None:
    network = staged((3, 64, 64), stages=[[4, 4], [4]], down={"kind": "strided", "kernel": 4})
    assert receptive_field.measure(network, (3, 64, 64)).value == 10
    assert seen_from_the_centre(network.features, channels=3, side=64) == (10, 10)


class Halves(nn.Module):
    """Half of the channels, or half of the rows."""

    def __init__(self, *index: slice) -> None:
        super().__init__()
        self.index = index

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.relu(x)[self.index]


def test_cutting_channels_leaves_the_receptive_field_as_it_is() -> None:
    half = Halves(slice(None), slice(None, 2))
    assert receptive_field.measure(Features(nn.Conv2d(3, 4, 3), half), SHAPE).value == 3


@pytest.mark.parametrize("join", ["add", "cat"])
@pytest.mark.parametrize(
    "paths",
    [
        (nn.Conv2d(2, 2, 3, padding=1), nn.Identity()),
        (nn.Conv2d(2, 2, 3, padding=4, dilation=4), nn.Conv2d(2, 2, 5, padding=2)),
        # centres that do not agree: the box around both is larger than either
        (nn.Conv2d(2, 2, 2, stride=2), nn.Conv2d(2, 2, 2, stride=2, padding=1, dilation=2)),
        (nn.Conv2d(2, 2, (1, 5), padding=(0, 2)), nn.Conv2d(2, 2, (3, 1), padding=(1, 0))),
    ],
)
def test_where_paths_meet_the_receptive_field_holds_all_of_them(
    paths: tuple[nn.Module, ...], join: str
) -> None:
    channels = 4 if join == "cat" else 2
    features = [
        nn.Conv2d(2, 2, 3, padding=1),
        nn.MaxPool2d(3, stride=2, padding=1),
        Branches(*paths, join=join),
        nn.Conv2d(channels, 2, 3),
    ]
    network = Features(*features)
    detail = receptive_field.measure(network, SHAPE).detail
    assert (detail["height"], detail["width"]) == seen_from_the_centre(network.features, 2, 64)


def seen_from_the_centre(features: nn.Module, channels: int, side: int) -> tuple[int, int]:
    """The height and width of the pixels on which one output depends, found by backpropagation.

    With weights of 1 and averages for maxima no contribution can cancel.
    """
    features = copy.deepcopy(features).double()
    for parent in list(features.modules()):
        for name, child in parent.named_children():
            if isinstance(child, nn.MaxPool2d):
                window = child.kernel_size, child.stride, child.padding
                parent.add_module(name, nn.AvgPool2d(*window))
            elif isinstance(child, nn.Conv2d):
                nn.init.ones_(child.weight)
                if child.bias is not None:
                    nn.init.zeros_(child.bias)
            elif isinstance(child, nn.BatchNorm2d | nn.ReLU):
                parent.add_module(name, nn.Identity())
    image = torch.zeros(1, channels, side, side, dtype=torch.float64, requires_grad=True)
    output = features(image)[0].sum(0)
    output[output.shape[0] // 2, output.shape[1] // 2].backward()
    assert image.grad is not None
    rows, columns = image.grad[0].sum(0).nonzero(as_tuple=True)
    return int(rows.max() - rows.min()) + 1, int(columns.max() - columns.min()) + 1


def test_the_receptive_field_of_each_side_is_given() -> None:
    measured = receptive_field.measure(Features(nn.Conv2d(3, 3, (1, 7))), SHAPE)
    assert measured.value == 7
    assert measured.detail == {"height": 1, "width": 7}


@pytest.mark.parametrize("padding", ["same", "valid"])
def test_a_padding_may_be_a_word(padding: str) -> None:
    network = Features(nn.Conv2d(3, 3, 5, dilation=2, padding=padding))
    assert receptive_field.measure(network, SHAPE).value == 9


class Softens(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.softmax(x, 3)


class Decides(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x if x.sum() > 0 else -x


@pytest.mark.parametrize(
    ("network", "reason"),
    [
        (nn.Sequential(nn.ReLU()), "the network has no child `features`"),
        (
            Features(nn.Sequential(nn.ReLU(), nn.AdaptiveAvgPool2d(1))),
            "the reach of AdaptiveAvgPool2d (features.0.1) is not known",
        ),
        (Features(Softens()), "the reach of the function softmax is not known"),
        (
            Features(Halves(slice(None), slice(None), slice(None, 5))),
            "the reach of the function getitem is not known",
        ),
        (
            Features(Branches(nn.Conv2d(3, 3, 3, stride=2), nn.Conv2d(3, 3, 3))),
            "paths of different resolution meet at add",
        ),
    ],
)
def test_a_receptive_field_that_cannot_be_known_is_no_figure(
    network: nn.Module, reason: str
) -> None:
    measured = receptive_field.measure(network, SHAPE)
    assert measured.value is None
    assert measured.detail == {"invalid": reason}


def test_a_receptive_field_that_depends_on_the_data_is_no_figure() -> None:
    reason = receptive_field.measure(Features(Decides()), SHAPE).detail["invalid"]
    assert reason.startswith("torch.fx cannot trace `features`: symbolically traced variables")


def test_the_metrics_of_a_trial() -> None:
    found = metrics.of_trial(outcome(correct=[True, True, False, True], loss=[0.5, 1, 1, 1.5]))
    assert {name: found[name].value for name in ("accuracy", "test_loss", "train_seconds")} == {
        "accuracy": 75.0,
        "test_loss": 1.0,
        "train_seconds": 4.0,
    }
    assert found["accuracy"].detail == {"correct": 3, "examples": 4}
    assert found["train_seconds"].detail == {"images_per_second": 50.0}


def test_the_metrics_of_restored_images() -> None:
    before = {name: [value / 2 for value in values] for name, values in RESTORED.items()}
    found = metrics.of_trial(outcome(before, **RESTORED))
    assert {name: measured.value for name, measured in found.items()} == {
        "initial_phase_variance": 0.0625,
        "phase_variance": 0.25,
        "psnr": 22.0,
        "ssim": 0.65,
        "test_loss": 0.75,
        "train_seconds": 4.0,
    }
    assert found["psnr"].detail == found["ssim"].detail == {"examples": 2}
    assert found["phase_variance"].detail == {
        "examples": 2,
        "target": 0.0625,
        "white_noise": 0.0625,
        "output": 0.125,
    }
    assert found["initial_phase_variance"].detail == {
        "examples": 2,
        "target": 0.03125,
        "white_noise": 0.03125,
    }


@pytest.mark.parametrize(
    ("name", "called"),
    [("psnr", "PSNR"), ("ssim", "SSIM"), ("phase_variance", "phase variance")],
)
def test_a_score_that_is_not_finite_is_no_figure(name: str, called: str) -> None:
    measured = metrics.of_trial(outcome(**RESTORED | {name: [1.0, math.inf]}))[name]
    assert measured.value is None
    assert measured.detail["invalid"] == f"the {called} of some test example is not finite"
    Measurement.model_validate_json(measured.model_dump_json())


def test_a_metric_that_does_not_apply_is_left_out() -> None:
    assert metrics.of_trial(outcome(**CLASSIFIED)).keys() == {
        "accuracy",
        "test_loss",
        "train_seconds",
    }
    assert "accuracy" not in metrics.of_trial(outcome(loss=[1.0]))
    assert "test_loss" not in metrics.of_trial(outcome(correct=[True]))


def test_a_loss_that_is_not_finite_is_no_figure() -> None:
    for loss in (math.nan, math.inf):
        measured = metrics.of_trial(outcome(loss=[1.0, loss]))["test_loss"]
        assert measured.value is None
        assert measured.detail["invalid"] == "the loss of some test example is not finite"
