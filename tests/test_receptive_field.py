"""Receptive fields against gradients of real networks, published tables and closed forms."""

import copy
import json
import math
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from ablate import catalog
from ablate.components import Network, expand
from ablate.metrics import (
    effective_receptive_field,
    receptive_field,
    receptive_field_density,
)
from ablate.metrics._spatial import Unknown, Window
from ablate.records import Measurement

pytestmark = pytest.mark.usefixtures("single_thread")

SHAPE = (3, 12, 10)
IMAGENET = (3, 224, 224)


def staged(shape: tuple[int, int, int] = (3, 32, 32), **options: Any) -> nn.Module:
    component, problems = expand(Network.model_validate({"family": "staged", **options}))
    assert problems == []
    network: nn.Module = catalog.build("networks", component, "family", shape, 10)
    return network


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


class Calls(nn.Module):
    """A function and the modules that it needs."""

    def __init__(self, function: Callable[..., Tensor], *parts: nn.Module) -> None:
        super().__init__()
        self.function = function
        self.parts = nn.ModuleList(parts)

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x, *self.parts)


def conv(kernel: Any = 3, inside: int = 2, outside: int = 2, **options: Any) -> nn.Conv2d:
    return nn.Conv2d(inside, outside, kernel, **options)


def field(network: nn.Module, shape: tuple[int, int, int] = SHAPE) -> tuple[int, int]:
    """The height and width that the metric gives."""
    measured = receptive_field.measure(network, shape)
    assert "invalid" not in measured.detail, measured.detail
    height, width = measured.detail["height"], measured.detail["width"]
    assert measured.value == max(height, width)
    return height, width


def touched(network: nn.Module, shape: tuple[int, int, int] = SHAPE) -> tuple[int, int]:
    """The pixels that the metric says are looked at, and those of the box."""
    measured = receptive_field_density.measure(network, shape)
    assert measured.value == measured.detail["touched"] / measured.detail["box"]
    return measured.detail["touched"], measured.detail["box"]


def of_ones(features: nn.Module) -> nn.Module:
    """The real network with weights of 1 and averages for maxima: no contribution can cancel."""
    features = copy.deepcopy(features).double().eval()
    for parent in list(features.modules()):
        for name, child in parent.named_children():
            if isinstance(child, nn.MaxPool2d):
                window = child.kernel_size, child.stride, child.padding
                parent.add_module(name, nn.AvgPool2d(*window))
            elif isinstance(child, nn.Conv2d | nn.ConvTranspose2d):
                nn.init.ones_(child.weight)
                if child.bias is not None:
                    nn.init.zeros_(child.bias)
            elif isinstance(child, nn.BatchNorm2d | nn.ReLU | nn.SiLU):
                parent.add_module(name, nn.Identity())
    return features


def arrival(chosen: Tensor, image: Tensor) -> tuple[int, int, int]:
    """The height and width of the pixels on which outputs depend, and their number."""
    [gradient] = torch.autograd.grad(chosen.sum(), image, retain_graph=True)
    rows, columns = gradient[0].sum(0).nonzero(as_tuple=True)
    if not len(rows):  # an output of a transposed convolution may see nothing
        return 0, 0, 0
    for at, side in zip((rows, columns), image.shape[2:], strict=True):
        assert at.min() > 0
        assert at.max() < side - 1
    height, width = (int(at.max() - at.min()) + 1 for at in (rows, columns))
    return height, width, len(rows)


def seen_from_the_centre(features: nn.Module, channels: int, side: int) -> tuple[int, int, int]:
    """The height, width and number of the pixels on which the middle output depends."""
    image = torch.zeros(1, channels, side, side, dtype=torch.float64, requires_grad=True)
    output = of_ones(features)(image)[0].sum(0)
    return arrival(output[output.shape[0] // 2, output.shape[1] // 2], image)


def most_seen(features: nn.Module, channels: int, side: int) -> tuple[int, int]:
    """The largest height and width among outputs near the middle, which may differ."""
    image = torch.zeros(1, channels, side, side, dtype=torch.float64, requires_grad=True)
    output = of_ones(features)(image)[0].sum(0)
    row, column = (size // 2 - 3 for size in output.shape)
    near = output[row : row + 6, column : column + 6]
    heights = [arrival(near[phase], image)[0] for phase in range(6)]
    return max(heights), max(arrival(near[:, phase], image)[1] for phase in range(6))


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


@settings(max_examples=30, deadline=None, derandomize=True)
@given(st.lists(stages, min_size=1, max_size=3), st.integers(1, 2))
def test_the_receptive_field_is_where_a_gradient_arrives(
    stages: list[dict[str, Any]], span: int
) -> None:
    network = staged((4, 64, 64), stages=stages, span=span)
    height, width = field(network, (4, 64, 64))
    assert height == width
    count, box = touched(network, (4, 64, 64))
    assert box == height * width
    found = seen_from_the_centre(network.features, channels=4, side=height + 40)
    assert found == (height, width, count)


sides = st.tuples(st.integers(1, 4), st.integers(1, 4))
few = st.tuples(st.integers(1, 3), st.integers(1, 3))
CONVS = st.builds(
    lambda kernel, stride, dilation, padding: conv(
        kernel, stride=stride, dilation=dilation, padding=padding
    ),
    sides,
    few,
    few,
    st.tuples(st.integers(0, 5), st.integers(0, 5)),
)
ODD = st.sampled_from([1, 3, 5])
KEPT = st.builds(
    lambda rows, columns, dilation: conv((rows, columns), dilation=dilation, padding="same"),
    ODD,
    ODD,
    few,
)
LAYERS = st.one_of(
    CONVS,
    KEPT,
    st.builds(lambda k, s: nn.MaxPool2d(k, s, padding=min(k) // 2), sides, few),
    st.builds(lambda k, s: nn.AvgPool2d(k, s), sides, few),
    st.builds(lambda a, b: Branches(a, b), KEPT, KEPT),
    st.builds(lambda a: nn.Sequential(Branches(a, nn.Identity(), join="cat"), conv(1, 4)), KEPT),
    st.builds(lambda *pads: nn.ZeroPad2d(pads), *[st.integers(0, 2)] * 4),
)
ENLARGING = st.one_of(
    st.builds(
        lambda kernel, dilation, padding: nn.ConvTranspose2d(
            2, 2, kernel, stride=2, dilation=dilation, padding=padding
        ),
        sides,
        few,
        st.integers(0, 1),
    ),
    st.builds(
        lambda mode, factor: nn.Upsample(scale_factor=factor, mode=mode),
        st.sampled_from(["nearest", "nearest-exact", "bilinear"]),
        st.integers(2, 3),
    ),
    st.just(nn.Sequential(conv(1, 2, 8), nn.PixelShuffle(2))),
)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(LAYERS, min_size=1, max_size=5))
def test_so_it_is_with_any_windows_strides_and_paths(layers: list[nn.Module]) -> None:
    network = Features(*layers)
    height, width = field(network)
    stride = max(receptive_field.measure(network, SHAPE).detail["stride"])
    assume(max(height, width) + 4 * stride < 150)
    count, _ = touched(network)
    side = max(height, width) + 4 * stride + 20
    assert seen_from_the_centre(network.features, 2, side) == (height, width, count)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(
    st.lists(LAYERS, max_size=2),
    ENLARGING,
    st.lists(LAYERS, max_size=2),
    st.lists(ENLARGING, max_size=1),
)
def test_after_upsampling_the_output_that_sees_most_counts(
    before: list[nn.Module], up: nn.Module, between: list[nn.Module], more: list[nn.Module]
) -> None:
    network = Features(*before, up, *between, *more)
    measured = receptive_field.measure(network, SHAPE)
    if measured.detail == {"invalid": "no output depends on any pixel"}:
        assert most_seen(network.features, 2, 80) == (0, 0)
        return
    height, width = field(network)
    stride = max(measured.detail["stride"])
    assume(max(height, width) + 4 * stride < 30)
    side = math.ceil(max(height, width) + 10 * stride + 10)
    assert most_seen(network.features, 2, side) == (height, width)


@pytest.mark.parametrize(
    ("layers", "side"),
    [
        ((nn.PixelUnshuffle(2), conv(3, 8)), 6),
        ((conv(3), nn.PixelUnshuffle(3)), 5),
        ((nn.ConvTranspose2d(2, 2, 4, stride=2, padding=1),), 2),
        ((nn.Upsample(scale_factor=2), conv(4)), 3),  # two pixels at every second output
        ((nn.Upsample(scale_factor=2, mode="bilinear"), conv(3, stride=2)), 3),
    ],
)
def test_layers_that_trade_space(layers: tuple[nn.Module, ...], side: int) -> None:
    network = Features(*layers)
    assert field(network) == (side, side)
    assert most_seen(network.features, 2, 38) == (side, side)


def test_the_receptive_field_of_a_4x4_stride_is_where_a_gradient_arrives() -> None:
    network = staged((3, 64, 64), stages=[[4, 4], [4]], down={"kind": "strided", "kernel": 4})
    assert field(network, (3, 64, 64)) == (10, 10)
    assert seen_from_the_centre(network.features, channels=3, side=64) == (10, 10, 100)


@pytest.mark.parametrize("join", ["add", "cat"])
@pytest.mark.parametrize(
    "paths",
    [
        (conv(padding=1), nn.Identity()),
        (conv(padding=4, dilation=4), conv(5, padding=2)),
        # centres that do not agree: the box around both is larger than either
        (conv(2, stride=2), conv(2, stride=2, padding=1, dilation=2)),
        (conv((1, 5), padding=(0, 2)), conv((3, 1), padding=(1, 0))),
    ],
)
def test_where_paths_meet_the_receptive_field_holds_all_of_them(
    paths: tuple[nn.Module, ...], join: str
) -> None:
    network = Features(
        conv(padding=1),
        nn.MaxPool2d(3, stride=2, padding=1),
        Branches(*paths, join=join),
        conv(inside=4 if join == "cat" else 2),
    )
    count, _ = touched(network)
    assert (*field(network), count) == seen_from_the_centre(network.features, 2, 64)


MOBILENET: dict[str, Any] = {
    "stages": [[32], [64, 128], [128, 256], [256, 512], [*[512] * 5, 1024], [1024]],
    "conv": {"kind": "depthwise_separable", "mid": "norm_act"},
    "down": "strided",
}


def torchvisions(name: str, **options: Any) -> nn.Module:
    with torch.device("meta"):
        network: nn.Module = torchvision.models.get_model(name, weights=None, **options)
        return network


def resnet_v1(name: str) -> nn.Module:
    """The paper's network, in which the first 1x1 convolution of a bottleneck has the stride."""
    network = torchvisions(name)
    for block in network.modules():
        if isinstance(block, torchvision.models.resnet.Bottleneck):
            block.conv1.stride, block.conv2.stride = block.conv2.stride, block.conv1.stride
    return network


@pytest.mark.parametrize(
    ("make", "side", "at"),
    [
        # Araujo et al. 2019, table of receptive fields
        (lambda: torchvisions("alexnet"), 195, "features"),
        (lambda: torchvisions("vgg16"), 212, "features"),
        (lambda: staged(IMAGENET, **MOBILENET), 315, "features"),
        (lambda: resnet_v1("resnet50"), 483, "layer4.2.relu"),
        (lambda: resnet_v1("resnet101"), 1027, "layer4.2.relu"),
        (lambda: torchvisions("inception_v3", init_weights=False), 1311, "Mixed_7c"),
        # Three 3x3 convolutions have the stride themselves and step by 4, 8 and 16 pixels, not by
        # twice that: 483 - 2 · (4 + 8 + 16).
        (lambda: torchvisions("resnet50"), 427, "layer4.2.relu"),
    ],
)
def test_published_receptive_fields(make: Callable[[], nn.Module], side: int, at: str) -> None:
    measured = receptive_field.measure(make(), IMAGENET)
    assert measured.value == side
    assert measured.detail == {"height": side, "width": side, "stride": [32, 32], "at": at}


@pytest.mark.parametrize("name", ["alexnet", "vgg11", "mobilenet_v2", "mnasnet1_0"])
def test_networks_that_are_one_path_have_the_sum_over_their_layers(name: str) -> None:
    network = torchvisions(name)
    seen, jump = 1, 1
    for module in getattr(network, "features", network).modules():  # in the order of the path
        if isinstance(module, nn.Conv2d | nn.MaxPool2d):
            # Each setting is a number, or one for each axis.
            kernel, stride = (int(np.max(it)) for it in (module.kernel_size, module.stride))
            seen += (kernel - 1) * jump
            jump *= stride
    assert field(network, IMAGENET) == (seen, seen)


@pytest.mark.parametrize(
    ("name", "whole"),
    [
        ("googlenet", None),
        ("densenet121", None),
        ("squeezenet1_0", None),
        ("shufflenet_v2_x0_5", None),
        ("convnext_tiny", None),
        ("resnext50_32x4d", None),
        ("mobilenet_v3_small", "features.1.block.1.avgpool"),
        ("efficientnet_b0", "features.1.0.block.1.avgpool"),
    ],
)
def test_convolutional_classifiers_can_be_read(name: str, whole: str | None) -> None:
    options = {"init_weights": False} if name == "googlenet" else {}
    found = receptive_field.of(torchvisions(name, **options))
    assert found.spatial.whole == whole
    height, width = found.size
    assert height == width > 64


def test_dilated_layers_leave_holes() -> None:
    gridded = Features(*[conv(dilation=2) for _ in range(3)])
    assert field(gridded) == (13, 13)
    assert touched(gridded) == (49, 169)
    assert touched(Features(*[conv(dilation=d) for d in (1, 2, 4)])) == (225, 225)
    assert touched(Features(conv(1, stride=2), conv())) == (9, 25)
    crossed = Features(Branches(conv((1, 5), padding=(0, 2)), conv((5, 1), padding=(2, 0))))
    assert touched(crossed) == (9, 25)
    assert touched(Features(nn.ReLU())) == (1, 1)


def test_the_density_says_what_it_is_of() -> None:
    measured = receptive_field_density.measure(Features(conv(1, stride=2), conv((3, 1))), SHAPE)
    assert measured.value == 3 / 5
    assert measured.detail == {"touched": 3, "box": 5, "height": 5, "width": 1, "at": "features"}


def test_the_receptive_field_of_each_side_is_given() -> None:
    measured = receptive_field.measure(Features(conv((1, 7), 3, stride=(1, 2))), SHAPE)
    assert measured.value == 7
    assert measured.detail == {"height": 1, "width": 7, "stride": [1, 2], "at": "features"}
    halved = receptive_field.measure(Features(nn.Upsample(scale_factor=2)), SHAPE)
    assert halved.detail["stride"] == [0.5, 0.5]


@pytest.mark.parametrize("padding", ["same", "valid"])
def test_a_padding_may_be_a_word(padding: str) -> None:
    assert field(Features(conv(5, dilation=2, padding=padding))) == (9, 9)


def functions(x: Tensor, first: nn.Module, second: nn.Module) -> Tensor:
    x = functional.conv2d(functional.pad(x, (1, 2, 1, 2)), first.weight, stride=2, dilation=2)
    x = functional.hardswish(functional.max_pool2d(x, 3, stride=2, padding=1)).contiguous()
    y = functional.avg_pool2d(x, 3, stride=1, padding=1)
    x = torch.cat([functional.pixel_shuffle(functional.pixel_unshuffle(y, 2), 2), x], dim=1)
    x = functional.interpolate(functional.relu6(x, inplace=True), scale_factor=2.0, mode="bilinear")
    return second(x[:, :2].mul(0.5).chunk(2, dim=1)[0])


def test_functions_count_like_their_modules() -> None:
    first, second = conv(3, 3, 2), conv((5, 3), 1)
    network = Calls(functions, first, second)
    modules = Features(
        nn.Sequential(nn.ReflectionPad2d((1, 2, 1, 2)), conv(3, 3, stride=2, dilation=2)),
        nn.MaxPool2d(3, stride=2, padding=1),
        Branches(
            nn.Sequential(nn.AvgPool2d(3, 1, padding=1), nn.PixelUnshuffle(2), nn.PixelShuffle(2)),
            nn.Identity(),
            join="cat",
        ),
        nn.Upsample(scale_factor=2, mode="bilinear"),
        conv((5, 3), 4),
    )
    assert field(network) == field(modules)
    assert touched(network) == touched(modules)


def pooled(x: Tensor, body: nn.Module, *rest: nn.Module) -> Tensor:
    return functional.adaptive_avg_pool2d(body(x), (1, 1)).flatten(1)


def averaged(x: Tensor, body: nn.Module, head: nn.Module) -> Tensor:
    return head(body(x).mean([2, 3]))


def viewed(x: Tensor, body: nn.Module, head: nn.Module) -> Tensor:
    x = functional.max_pool2d(body(x), 2)
    return functional.linear(x.view(x.size(0), -1), head.weight)


@pytest.mark.parametrize(
    ("network", "side", "at"),
    [
        (Calls(pooled, conv(5)), 5, "parts.0"),
        (Calls(averaged, conv(5), nn.Linear(2, 3)), 5, "parts.0"),
        (Calls(viewed, conv(5), nn.Linear(2, 3)), 6, "max_pool2d"),
        (nn.Sequential(conv(3), nn.ReLU(), nn.Flatten(), nn.Linear(4, 2)), 3, "1"),
        (nn.Sequential(conv(3), nn.AdaptiveMaxPool2d(1), conv(1), nn.Flatten()), 3, "0"),
        (nn.Sequential(nn.Flatten(), nn.Linear(4, 2)), 1, "input"),
        (nn.Sequential(OrderedDict(stem=conv(3), features=conv(4))), 6, "features"),
        (Features(conv(3), nn.AdaptiveAvgPool2d((1, 1))), 3, "features.0"),
        (Features(conv(3), nn.AdaptiveAvgPool2d(7), nn.Conv2d(2, 2, 7)), 3, "features.0"),
        (nn.ReLU(), 1, "network"),
        (nn.Sequential(conv(3), nn.Sequential(conv(4))), 6, "1.0"),  # no space is lost
    ],
)
def test_the_spatial_part_ends_where_space_is_lost(network: nn.Module, side: int, at: str) -> None:
    assert field(network) == (side, side)
    assert receptive_field.measure(network, SHAPE).detail["at"] == at


def excited(x: Tensor, before: nn.Module, squeeze: nn.Module, after: nn.Module) -> Tensor:
    x = before(x)
    n, c, _, _ = x.size()
    scale = squeeze(functional.adaptive_avg_pool2d(x, 1).view(n, c))
    return after(x * scale.view(n, c, 1, 1).expand_as(x))


class Excitation(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.scale = nn.Sequential(conv(1), nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        return x * self.scale(self.pool(x))


@pytest.mark.parametrize(
    ("network", "through", "side"),
    [
        (Features(conv(3), Excitation(), conv(5, stride=2)), "features.1.pool", 7),
        (Calls(excited, conv(3), nn.Linear(2, 2), conv(5)), "adaptive_avg_pool2d", 7),
        (Features(conv(3), nn.GroupNorm(1, 2), conv(3)), "features.1", 5),
        (Features(conv(3), nn.InstanceNorm2d(2)), "features.1", 3),
        (Features(conv(3), nn.BatchNorm2d(2, track_running_stats=False)), "features.1", 3),
        (Features(conv(3), nn.LayerNorm([2, 10, 8])), "features.1", 3),
    ],
)
def test_where_every_output_sees_the_whole_image_there_is_no_figure(
    network: nn.Module, through: str, side: int
) -> None:
    measured = receptive_field.measure(network, SHAPE)
    assert measured.value is None
    assert measured.detail["invalid"] == (
        f"every output sees the whole image, through {through}; "
        f"without that, {side}x{side} pixels of it"
    )
    assert (measured.detail["height"], measured.detail["whole"]) == (side, through)
    density = receptive_field_density.measure(network, SHAPE)
    assert density.value is None
    assert density.detail["invalid"] == measured.detail["invalid"]


def channels_last(x: Tensor, spatial: nn.Module, norm: nn.Module, mix: nn.Module) -> Tensor:
    y = torch.permute(mix(norm(spatial(x).permute(0, 2, 3, 1))), (0, 3, 1, 2))
    return x + y


def shuffled(x: Tensor, before: nn.Module, after: nn.Module) -> Tensor:
    x = before(x)
    n, c, h, w = x.shape
    x = x.view(n, 2, c // 2, h, w).transpose(1, 2).contiguous().view(n, -1, h, w)
    return after(x)


def test_moving_and_cutting_channels_leaves_the_receptive_field_as_it_is() -> None:
    parts = conv(7, padding=3), nn.LayerNorm(2), nn.Linear(2, 2)
    assert field(Features(Calls(channels_last, *parts))) == (7, 7)
    assert field(Features(Calls(shuffled, conv(3, 2, 4), conv(3, 4)))) == (5, 5)
    halves = Calls(lambda x: functional.relu(x)[:, :1])
    assert field(Features(conv(3, 3, 4), halves)) == (3, 3)


class Decides(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x if x.sum() > 0 else -x


class Twice(nn.Module):
    """Two classifiers' worth of features."""

    def __init__(self) -> None:
        super().__init__()
        self.one = conv(3)
        self.other = conv(5)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.one(x).mean((2, 3)), self.other(x).mean((2, 3))


@pytest.mark.parametrize(
    ("network", "reason"),
    [
        (
            Features(Calls(lambda x: functional.softmax(x, 3))),
            "the reach of the function softmax is not known",
        ),
        (
            Features(Calls(lambda x: x[:, :, :5])),
            "the reach of the function getitem is not known",
        ),
        (Features(Calls(lambda x: x.flip(3))), "the reach of the method flip is not known"),
        (
            Features(nn.Upsample(scale_factor=2, mode="bicubic")),
            "the reach of Upsample (features.0) is not known",
        ),
        (Features(nn.Upsample(9)), "the reach of Upsample (features.0) is not known"),
        (
            Calls(lambda x: x + functional.interpolate(x, x.shape[2:])),
            "the reach of the function interpolate is not known",
        ),
        (
            # an image cut into tokens, as transformers have it
            Calls(lambda x, cut: cut(x).flatten(2).transpose(1, 2), conv(4, stride=4)),
            "the reach of the method flatten is not known",
        ),
        (nn.Sequential(conv(3), nn.Linear(8, 8)), "the reach of Linear (1) is not known"),
        (
            Features(Branches(conv(3, stride=2), conv(3))),
            "paths of different resolution meet at add",
        ),
        (
            Features(Branches(nn.Identity(), nn.AdaptiveAvgPool2d(2))),
            "what features.0.paths.1 does depends on the size of the image",
        ),
        (Twice(), "space ends at several places: one, other"),
        (
            Calls(lambda x: (x, x.mean((2, 3)))),
            "some outputs are maps and some are not",
        ),
        (
            Calls(lambda x, body: body(x).mean(x.dim() - 1), conv(3)),
            "the reach of the method mean is not known",
        ),
        (Calls(lambda x: x.mean((2, 5))), "the reach of the method mean is not known"),
        (Calls(lambda x: torch.ones(3)), "nothing that is returned depends on an image"),
    ],
)
def test_a_receptive_field_that_cannot_be_known_is_no_figure(
    network: nn.Module, reason: str
) -> None:
    for metric in (receptive_field, receptive_field_density):
        measured = metric.measure(network, SHAPE)
        assert measured.value is None
        assert measured.detail == {"invalid": reason}
    found = effective_receptive_field.measure(network, SHAPE)
    assert found is not None
    assert (found[0].value, found[0].detail, found[1]) == (None, {"invalid": reason}, {})


def test_a_receptive_field_that_depends_on_the_data_is_no_figure() -> None:
    reason = receptive_field.measure(Features(Decides()), SHAPE).detail["invalid"]
    assert reason.startswith("torch.fx cannot trace `features`: symbolically traced variables")
    reason = receptive_field.measure(Decides(), SHAPE).detail["invalid"]
    assert reason.startswith("torch.fx cannot trace the network: symbolically traced variables")


@pytest.mark.parametrize(
    ("offsets", "says"),
    [
        ((-2, 1), "gives 4x5 pixels, the gradient of ones 5x5"),
        ((-3, 2), "gives 6x5 pixels, the gradient of ones 5x5"),
        ((-1, 3), "gives 5x5 pixels, the gradient of ones 5x5, elsewhere"),
    ],
)
def test_the_gradient_of_ones_finds_a_closed_form_that_is_wrong(
    offsets: tuple[int, int], says: str
) -> None:
    right = receptive_field.of(Features(conv(padding=1), conv(padding=1)))
    assert receptive_field.touched(right).shape == (5, 5)
    assert right.boxes == (Window(((-2, 2),)), Window(((-2, 2),)))
    wrong = replace(right, boxes=(Window((offsets,)), right.boxes[1]))
    with pytest.raises(Unknown) as error:
        receptive_field.touched(wrong)
    assert str(error.value) == f"two methods disagree: the closed form {says}"


@pytest.mark.parametrize(
    "metric", [receptive_field, receptive_field_density, effective_receptive_field]
)
def test_the_network_is_left_as_it_was(metric: Any) -> None:
    network = nn.Sequential(staged(stages=[[4, 4], [4]]), nn.Dropout())
    network[0].head.eval()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    modes = [module.training for module in network.modules()]
    state = torch.random.get_rng_state()
    assert metric.measure(network, (3, 32, 32)) is not None
    assert torch.equal(torch.random.get_rng_state(), state)
    assert modes == [module.training for module in network.modules()]
    assert all(torch.equal(before[key], value) for key, value in network.state_dict().items())
    assert all(parameter.grad is None for parameter in network.parameters())
    assert all(parameter.requires_grad for parameter in network.parameters())


def stack(depth: int, channels: int = 16, seed: int = 0) -> nn.Module:
    """3x3 convolutions of stride 1, each with ReLU, as torch starts them."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        first = [nn.Conv2d(3, channels, 3, padding=1), nn.ReLU()]
        rest = [(nn.Conv2d(channels, channels, 3, padding=1), nn.ReLU()) for _ in range(depth - 1)]
        return Features(*first, *(module for pair in rest for module in pair))


def effective(
    network: nn.Module, shape: tuple[int, int, int] = (3, 32, 32)
) -> tuple[Measurement, np.ndarray[Any, Any]]:
    found = effective_receptive_field.measure(network, shape)
    assert found is not None
    measured, arrays = found
    assert set(arrays) == {"map"}
    assert arrays["map"].dtype == np.float32
    assert list(arrays["map"].shape) == measured.detail["input"]
    return measured, arrays["map"]


@pytest.mark.parametrize(
    ("depth", "true", "side"), [(3, 7, 7.0), (6, 13, 11.8), (12, 25, 17.1), (20, 41, 21.4)]
)
def test_the_effective_receptive_field_grows_slower_than_the_true_one(
    depth: int, true: int, side: float
) -> None:
    # Luo et al. 2016, section 2: as the square root of the depth; the sides were measured with
    # another implementation, one input and one random network at a time.
    measured, found = effective(stack(depth))
    assert measured.detail["receptive_field"] == [true, true]
    assert measured.value == pytest.approx(side, abs=0.8)
    assert measured.value == math.sqrt((found > 0.0455 * found.max()).sum())
    assert measured.detail["ratio"] == measured.value / true


@pytest.mark.parametrize("kernel", [3, 4])
def test_the_map_of_a_linear_network_of_ones_is_a_spline(kernel: int) -> None:
    depth, channels = 4, 2
    layers = [conv(kernel, 3 if i == 0 else channels, bias=False) for i in range(depth)]
    for layer in layers:
        nn.init.ones_(layer.weight)
    measured, found = effective(Features(*layers), (3, 9, 11))
    # A box convolved with itself; each further layer sums over its channels, and the map over the
    # image's three and the outputs' two.
    profile = np.ones(1)
    for _ in range(depth):
        profile = np.convolve(profile, np.ones(kernel))
    expected = np.zeros_like(found)
    top, left = measured.detail["box"]
    side = depth * (kernel - 1) + 1
    assert measured.detail["input"] == [side + 2, side + 2]
    assert measured.detail["enlarged"] is True
    expected[top : top + side, left : left + side] = np.outer(profile, profile)
    assert np.array_equal(found, expected * channels**depth * 3)
    # Of the sum, by the profile alone: the square of what lies within along one axis.
    centred = [
        (n, (profile[(side - n) // 2 : (side + n) // 2].sum() / profile.sum()) ** 2)
        for n in range(side % 2, side + 1, 2)
    ]
    for share, square in measured.detail["squares"].items():
        assert square == next(n for n, held in centred if held >= int(share) / 100)
    above = np.outer(profile, profile) > 0.0455 * profile.max() ** 2
    assert (measured.detail["above"], measured.value) == (above.sum(), math.sqrt(above.sum()))


def test_the_effective_receptive_field_is_the_same_every_time() -> None:
    network = staged(stages=[[4, 4], [4]])
    first, second = effective(network), effective(network)
    assert first[0] == second[0]
    assert np.array_equal(first[1], second[1])
    other = staged(stages=[[4, 4], [4]])  # other parameters
    assert not np.array_equal(effective(other)[1], first[1])
    network.train()
    assert np.array_equal(effective(network)[1], first[1])
    assert json.loads(first[0].model_dump_json())["detail"] == first[0].detail


def test_a_layer_of_one_tap_sees_one_pixel() -> None:
    layer = conv(3, 3, 1, padding=1, bias=False)
    nn.init.zeros_(layer.weight)
    with torch.no_grad():
        layer.weight[0, :, 0, 2] = torch.tensor([1.0, -2.0, 3.0])
    measured, found = effective(Features(layer), (3, 8, 8))
    top, left = measured.detail["box"]
    assert found[top, left + 2] == 6.0  # above and right of the middle
    assert (measured.value, found.sum()) == (1.0, 6.0)
    assert measured.detail["squares"] == {"20": 3, "50": 3, "99": 3}


class Placed(nn.Module):
    """Adds something learned for each pixel, so that the size of the input is fixed."""

    def __init__(self) -> None:
        super().__init__()
        self.place = nn.Parameter(torch.zeros(2, 10, 10))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.place


def test_a_network_of_one_size_is_measured_at_its_own() -> None:
    layers = [conv(3, 3, 2, padding=1), conv(7, padding=3)]
    free, _ = effective(Features(*layers), (3, 10, 10))
    assert (free.detail["input"], free.detail["enlarged"]) == ([11, 11], True)
    own, found = effective(Features(*layers, Placed()), (3, 10, 10))
    assert (own.detail["input"], own.detail["enlarged"]) == ([10, 10], False)
    assert own.detail["receptive_field"] == [9, 9]
    assert own.detail["box"] in ([0, 0], [1, 1])
    assert found.all() == (own.detail["box"] is None)  # some pixel lies outside of the field


def test_sides_are_enlarged_by_whole_strides() -> None:
    network = staged((3, 33, 34), stages=[[4], [4], [4]])
    measured, _ = effective(network, (3, 33, 34))
    assert measured.detail["input"] == [33, 34]
    deep = staged((3, 33, 34), stages=[[4, 4], [4, 4], [4, 4]])
    measured, _ = effective(deep, (3, 33, 34))
    assert measured.detail["receptive_field"] == [32, 32]
    assert measured.detail["input"] == [41, 42]


def test_where_every_output_sees_the_whole_image_the_map_is_of_all_of_it() -> None:
    network = Features(conv(3, 3, 2), Excitation(), conv(3))
    measured, found = effective(network, (3, 16, 16))
    assert measured.detail["ratio"] is None
    assert measured.detail["input"] == [16, 16]
    assert (found > 0).all()
    assert measured.value is not None


def test_it_does_not_apply_where_no_layer_comes_first() -> None:
    assert effective_receptive_field.measure(nn.Sequential(nn.Flatten()), SHAPE) is None
    plain = catalog.build("networks", {"family": "interpolation"}, "family", (3, 8, 8), 3)
    assert effective_receptive_field.measure(plain, (3, 8, 8)) is None


@pytest.mark.parametrize(
    ("value", "reason"),
    [(0.0, "no pixel matters to the output"), (math.inf, "the gradient is not finite")],
)
def test_an_effective_receptive_field_without_a_gradient_is_no_figure(
    value: float, reason: str
) -> None:
    layer = conv(3, 3, 1)
    nn.init.constant_(layer.weight, value)
    measured, _ = effective(Features(layer), (3, 8, 8))
    assert measured.value is None
    assert measured.detail["invalid"] == reason
    assert Measurement.model_validate_json(measured.model_dump_json()) == measured
