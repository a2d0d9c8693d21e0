"""Which convolutions published networks are made of, counted by hand off the papers' tables.

torchvision's networks are the papers' with what its documentation says of them: ResNet strides in
the 3x3 of a bottleneck, and GoogLeNet has 3x3 where the paper has 5x5, which changes no count here.
"""

import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models import get_model

from ablate.metrics import layers

IMAGENET = (3, 224, 224)

# Per network: what its paper says, and how many layers of each kind follow. A kind that is not
# named does not occur; sums are of the parts that the comment names.
CENSUSES: list[tuple[str, dict[str, int]]] = [
    # Krizhevsky 2014, arXiv 1404.5997: five convolutions, the first 11x11 of stride 4, three of
    # them before a pooling; three linear layers.
    ("alexnet", {"normal": 5, "strided": 1, "linear": 3, "maxpool": 3}),
    # Simonyan, Zisserman 2014, arXiv 1409.1556, table 1, column D: 2 + 2 + 3 + 3 + 3 convolutions.
    ("vgg16", {"normal": 13, "linear": 3, "maxpool": 5}),
    # He et al. 2015, arXiv 1512.03385, table 1: 2 x (2 + 2 + 2 + 2) after the stem; a projection
    # (B) where a stage begins with other channels: three. Strides: stem, and those three stages'
    # first convolution and projection.
    (
        "resnet18",
        {
            **{"normal": 1 + 16, "pointwise": 3, "pointwise_expand": 3},
            **{"strided": 1 + 3 + 3, "linear": 1, "gap": 1, "maxpool": 1},
        },
    ),
    # The same table: 3 + 4 + 6 + 3 = 16 bottlenecks of 1x1, 3x3, 1x1 and four projections. The
    # first 1x1 reduces, but in the very first block, which reads the stem's 64 channels.
    (
        "resnet50",
        {
            **{"normal": 1 + 16, "pointwise": 2 * 16 + 4, "pointwise_reduce": 15},
            **{"pointwise_keep": 1, "pointwise_expand": 16 + 4, "strided": 7},
            **{"linear": 1, "gap": 1, "maxpool": 1},
        },
    ),
    # Xie et al. 2016, arXiv 1611.05431, table 1: as ResNet-50, each 3x3 in 32 groups and twice as
    # wide. Of the stages' first blocks the first 1x1 makes 128 of 64, 256 of 256, 512 of 512 and
    # 1024 of 1024; the twelve others reduce.
    (
        "resnext50_32x4d",
        {
            **{"normal": 1, "grouped": 16, "pointwise": 36, "pointwise_reduce": 12},
            **{"pointwise_keep": 3, "pointwise_expand": 1 + 16 + 4, "strided": 7},
            **{"linear": 1, "gap": 1, "maxpool": 1},
        },
    ),
    # Sandler et al. 2018, arXiv 1801.04381, table 2: 1 + 2 + 3 + 4 + 3 + 3 + 1 = 17 bottlenecks.
    # All but the first (t = 1) expand; all project to fewer channels; a 1x1 makes 1280 of 320.
    # Strides: the first layer and four rows. A linear projection leads to the next expansion with
    # nothing between in the seven blocks that begin a row, which have no shortcut.
    (
        "mobilenet_v2",
        {
            **{"normal": 1, "depthwise": 17, "depthwise_separable": 17, "strided": 1 + 4},
            **{"pointwise": 16 + 17 + 1, "pointwise_expand": 16 + 1, "pointwise_reduce": 17},
            **{"pointwise_pair": 7, "linear": 1, "gap": 1},
        },
    ),
    # Ma et al. 2018, arXiv 1807.11164, table 5 (1x) and figure 3: units 4 + 8 + 4. Thirteen of
    # stride 1: 1x1, depthwise, 1x1 on half of the channels. Three of stride 2: two branches, of two
    # strided depthwise convolutions and three 1x1 in all; in stage 2 both read 24 channels and make
    # 58. Conv5 makes 1024 of 464.
    (
        "shufflenet_v2_x1_0",
        {
            **{"normal": 1, "depthwise": 13 + 2 * 3, "depthwise_separable": 19},
            **{"pointwise": 2 * 13 + 3 * 3 + 1, "pointwise_expand": 2 + 1},
            **{"pointwise_keep": 2 * 13 + 3 * 3 - 2, "strided": 1 + 2 * 3},
            **{"linear": 1, "gap": 1, "maxpool": 1},
        },
    ),
    # Szegedy et al. 2014, arXiv 1409.4842, table 1: nine modules of four 1x1 (its own, two before
    # larger ones, one after the pooling), each of which makes fewer channels than the module reads,
    # and of two larger ones; before them 7x7, a 1x1 from 64 to 64, 3x3. A pooling in each module
    # and four between.
    (
        "googlenet",
        {
            **{"normal": 2 + 2 * 9, "pointwise": 1 + 4 * 9, "pointwise_reduce": 4 * 9},
            **{"pointwise_keep": 1, "strided": 1, "maxpool": 9 + 4, "linear": 1, "gap": 1},
        },
    ),
    # Iandola et al. 2016, arXiv 1602.07360, table 1: eight fire modules: a squeezing 1x1, then an
    # expanding 1x1 beside a 3x3. The last 1x1 makes 1000 classes of 512 channels. No linear layer.
    (
        "squeezenet1_0",
        {
            **{"normal": 1 + 8, "pointwise": 2 * 8 + 1, "pointwise_reduce": 8},
            **{"pointwise_expand": 8 + 1, "pointwise_pair": 8, "strided": 1},
            **{"maxpool": 3, "gap": 1},
        },
    ),
    # Szegedy et al. 2015, arXiv 1512.00567, figures 5 to 7 and 10, 3 + 4 + 2 modules and two that
    # reduce: figure 6 has 1x7 and 7x1 six times, figure 7 two pairs of 1x3 and 3x1, and the second
    # reduction one pair of 1x7 and 7x1. Normal: four before the modules, three a module of figure
    # 5, three and two in the reductions, one in figure 7. 1x1: one before the modules (80 of 64
    # channels, the only one that expands), four, one, four, two and four in turn.
    (
        "inception_v3",
        {
            **{"asymmetric": 6 * 4 + 2 + 4 * 2, "normal": 4 + 3 * 3 + 3 + 2 + 1 * 2},
            **{"pointwise": 1 + 4 * 3 + 1 + 4 * 4 + 2 + 4 * 2, "pointwise_expand": 1},
            **{"pointwise_reduce": 39, "strided": 1 + 2 + 2, "linear": 1, "gap": 1},
            **{"maxpool": 2 + 2, "avgpool": 3 + 4 + 2},
        },
    ),
    # Huang et al. 2016, arXiv 1608.06993, table 1: 6 + 12 + 24 + 16 = 58 pairs of 1x1 (to 4k = 128
    # channels) and 3x3, and three transitions, which halve. What a pair reads grows by 32: 64, 96
    # and 128 channels first in block 1, 128 first in block 2; all others read more than 128.
    (
        "densenet121",
        {
            **{"normal": 1 + 58, "pointwise": 58 + 3, "pointwise_reduce": 58 - 4 + 3},
            **{"pointwise_expand": 2, "pointwise_keep": 2, "strided": 1, "linear": 1},
            **{"gap": 1, "maxpool": 1, "avgpool": 3},
        },
    ),
    # Tan, Le 2019, arXiv 1905.11946, table 1: 1 + 2 + 2 + 3 + 3 + 4 + 1 = 16 MBConv blocks as in
    # MobileNetV2, each with squeeze-and-excitation, two 1x1 on one pixel with an activation
    # between; the pairs are those and the seven of blocks that begin a row.
    (
        "efficientnet_b0",
        {
            **{"normal": 1, "depthwise": 16, "strided": 1 + 4, "pointwise": 15 + 16 + 2 * 16 + 1},
            **{"pointwise_expand": 15 + 16 + 1, "pointwise_reduce": 16 + 16},
            **{"pointwise_pair": 16 + 7, "gap": 16 + 1, "linear": 1},
        },
    ),
    # Liu et al. 2022, arXiv 2201.03545, table 9: 3 + 3 + 9 + 3 = 18 blocks of a depthwise 7x7 and
    # two pointwise layers, which torchvision (as the authors' code) has as linear ones; a 4x4 stem
    # and three 2x2 of stride 2.
    (
        "convnext_tiny",
        {"normal": 1 + 3, "depthwise": 18, "strided": 1 + 3, "linear": 2 * 18 + 1, "gap": 1},
    ),
]


@pytest.mark.parametrize(("name", "expected"), CENSUSES, ids=[name for name, _ in CENSUSES])
def test_the_census_of_a_published_network(name: str, expected: dict[str, int]) -> None:
    # Auxiliary heads, which only training has, are in no paper's table.
    auxiliary = {"aux_logits": False} if name in ("googlenet", "inception_v3") else {}
    with warnings.catch_warnings(), torch.device("meta"):
        warnings.simplefilter("ignore", FutureWarning)  # of how those two are initialised
        network = get_model(name, weights=None, **auxiliary)
    measured = layers.measure(network, IMAGENET)
    assert {kind: n for kind in layers.KINDS if (n := measured.detail[kind])} == expected
    assert measured.detail["read_from"] == "graph"
    convolutions = ("normal", "pointwise", "grouped", "depthwise", "asymmetric", "linear")
    assert measured.value == sum(expected.get(kind, 0) for kind in convolutions)
    assert measured.detail["pointwise"] == sum(
        measured.detail[f"pointwise_{kind}"] for kind in ("reduce", "keep", "expand")
    )


def test_the_census_of_a_shufflenet_unit() -> None:
    # Zhang et al. 2017, arXiv 1707.01083, figure 2b: a grouped 1x1 and a shuffle, a depthwise 3x3,
    # a grouped 1x1; no 1x1 is of all channels, so nothing is depthwise separable.
    unit = nn.Sequential(
        nn.Conv2d(240, 60, 1, groups=3, bias=False),
        nn.BatchNorm2d(60),
        nn.ReLU(),
        nn.ChannelShuffle(3),
        nn.Conv2d(60, 60, 3, padding=1, groups=60, bias=False),
        nn.BatchNorm2d(60),
        nn.Conv2d(60, 240, 1, groups=3, bias=False),
        nn.BatchNorm2d(240),
    )
    detail = layers.measure(unit, (240, 28, 28)).detail
    found = {kind: n for kind in layers.KINDS if (n := detail[kind])}
    assert found == {"grouped": 2, "depthwise": 1}


def test_convolutions_of_one_channel_are_pointwise_by_their_outputs() -> None:
    detail = layers.measure(nn.Sequential(nn.Conv2d(1, 4, 1), nn.Conv2d(4, 1, 1)), (1, 4, 4)).detail
    assert detail["where"] == {
        "pointwise": ["0", "1"],
        "pointwise_expand": ["0"],
        "pointwise_reduce": ["1"],
        "pointwise_pair": ["0"],
    }


class Untraceable(nn.Module):
    """Something that no tracer can follow, since it looks at values."""

    def __init__(self, *parts: nn.Module) -> None:
        super().__init__()
        self.parts = nn.Sequential(*parts)

    def forward(self, x: Tensor) -> Tensor:
        return self.parts(x) if x.sum() > 0 else self.parts(-x)


@pytest.mark.parametrize("container", [nn.Sequential, Untraceable])
@pytest.mark.parametrize(
    ("between", "pairs"),
    [
        ([], 1),
        ([nn.BatchNorm2d(6), nn.ReLU(), nn.Dropout2d()], 1),
        ([nn.Conv2d(6, 6, 1)], 2),
        ([nn.Conv2d(6, 6, 3, padding=1)], 0),
        ([nn.Conv2d(6, 6, 1, groups=2)], 0),
        ([nn.MaxPool2d(3, 1, 1)], 0),
    ],
)
def test_what_is_a_pointwise_pair(
    between: list[nn.Module], pairs: int, container: Callable[..., nn.Module]
) -> None:
    network = container(nn.Conv2d(4, 6, 1), *between, nn.Conv2d(6, 3, 1))
    assert layers.measure(network, (4, 8, 8)).detail["pointwise_pair"] == pairs


@pytest.mark.parametrize(
    ("forward", "pairs"),
    [
        (lambda x, a, b: b(functional.relu(a(x))), 1),
        (lambda x, a, b: b(a(x) + x), 0),  # a sum is between
        (lambda x, a, b: a(x) + b(x), 0),  # side by side
        (lambda x, a, b: a(b(x)), 1),
    ],
)
def test_pairs_are_read_off_the_graph(forward: Callable[..., Any], pairs: int) -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 1)

        def forward(self, x: Tensor) -> Tensor:
            found: Tensor = forward(x, self.a, self.b)
            return found

    assert layers.measure(Two(), (4, 8, 8)).detail["pointwise_pair"] == pairs
