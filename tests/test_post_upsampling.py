"""Networks that double the resolution: where the channels go, what they cost, and the reference."""

import math
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from torch import Tensor, nn

from ablate import catalog, metrics, networks
from ablate.components import Network, expand
from ablate.metrics import macs, params, receptive_field
from ablate.suite import match

Shape = tuple[int, int, int]
SHAPE: Shape = (3, 16, 12)
BASE: dict[str, Any] = {"layers": [32, 32, 32, 32]}
UPS: list[dict[str, Any]] = [
    {"kind": name, **options}
    for name in catalog.names("blocks/up")
    for options in catalog.load("blocks/up", name).SAMPLES
]
# Dong et al. 2016, table 2 and section 3.3, without the deconvolution: d, s and m layers.
SHRINKING = {"channels": 12, "conv": {"kind": "normal", "kernel": 1}}
FSRCNN: dict[str, Any] = {
    "layers": [56, SHRINKING, 12, 12, 12, 12, {**SHRINKING, "channels": 56}],
    "stem": {"kind": "normal", "kernel": 5},
}


def built(family: str, outputs: int = 3, shape: Shape = SHAPE, **options: Any) -> nn.Module:
    """A network with the options that a suite would give."""
    component, problems = expand(Network.model_validate({"family": family, **options}))
    assert problems == []
    network: nn.Module = catalog.build("networks", component, "family", shape, outputs)
    return network


def upsampling(outputs: int = 3, shape: Shape = SHAPE, **options: Any) -> nn.Module:
    return built("post_upsampling", outputs, shape, **options)


def trunk(network: nn.Module) -> list[tuple[int, int]]:
    """The input and output channels of the convolutions of `features`."""
    return [
        (m.in_channels, m.out_channels)
        for m in network.features.modules()
        if isinstance(m, nn.Conv2d)
    ]


def images(shape: Shape = SHAPE) -> Tensor:
    return torch.randn(2, *shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("size", [(1, 1), (5, 8), (16, 12)])
@pytest.mark.parametrize("after", [0, 1, 2])
@pytest.mark.parametrize("up", UPS, ids=str)
def test_the_output_has_twice_the_resolution_of_the_input(
    up: dict[str, Any], after: int, size: tuple[int, int]
) -> None:
    network = upsampling(2, (1, *size), layers=[4, 6], up=up, after=after)
    assert network(images((1, *size))).shape == (2, 2, 2 * size[0], 2 * size[1])


def test_modules_have_readable_paths() -> None:
    paths = [
        path
        for path, module in upsampling(**BASE, up="pixel_shuffle", after=2).named_modules()
        if not list(module.children())
    ]
    layers = [f"features.layer{i}.{part}" for i in range(1, 5) for part in ("conv", "norm", "act")]
    assert paths == [
        *layers,
        *("head.up.conv", "head.up.shuffle"),
        *("head.act1", "head.conv1", "head.act2", "head.conv2"),
    ]


def test_the_trunk_starts_alike_whatever_doubles_the_resolution() -> None:
    found = [upsampling(**BASE, up=up, after=after) for up in UPS for after in (0, 1)]
    for network in found:
        networks.initialise(network, 4)
    first = found[0].features.state_dict()
    for network in found[1:]:
        for path, value in network.features.state_dict().items():
            assert torch.equal(value, first[path])


@pytest.mark.parametrize(
    ("after", "shapes"),
    [
        (0, {"up.conv": (32, 3, 4, 4)}),
        (1, {"up.conv": (32, 32, 4, 4), "conv1": (3, 32, 3, 3)}),
        (
            2,
            {"up.conv": (32, 32, 4, 4), "conv1": (32, 32, 3, 3), "conv2": (3, 32, 3, 3)},
        ),
    ],
)
def test_what_comes_after_the_up_block_has_the_channels_of_the_trunk(
    after: int, shapes: dict[str, tuple[int, ...]]
) -> None:
    head = upsampling(**BASE, after=after).head
    found = {path: tuple(p.shape) for path, p in head.named_parameters() if p.dim() == 4}
    assert found == {f"{path}.weight": shape for path, shape in shapes.items()}
    assert {path for path, p in head.named_parameters() if p.dim() == 1} == {
        f"{path}.bias" for path in shapes
    }
    assert sum(isinstance(module, nn.ReLU) for module in head.modules()) == after


@pytest.mark.parametrize("up", UPS, ids=str)
def test_nothing_goes_around_the_network(up: dict[str, Any]) -> None:
    # With a trunk that gives nothing, only biases are left.
    network = upsampling(**BASE, up=up)
    networks.initialise(network, 0)
    nn.init.zeros_(network.get_submodule("features.layer4.conv").weight)
    output = network(images())
    phases = output[..., :2, :2].repeat(1, 1, 16, 12)
    torch.testing.assert_close(output, phases)


# Weights of the head, its biases and its multiply-accumulates per pixel of the input, for 32 and 3.
HEADS: list[tuple[dict[str, Any], int, int, int]] = [
    ({"up": {"kind": "transposed", "kernel": 2}}, 4 * 96, 3, 4 * 96),
    ({"up": {"kind": "transposed", "kernel": 3}}, 9 * 96, 3, 9 * 96),
    ({}, 16 * 96, 3, 16 * 96),
    ({"up": {"kind": "transposed", "kernel": 6}}, 36 * 96, 3, 36 * 96),
    ({"up": "pixel_shuffle"}, 36 * 96, 12, 36 * 96),
    ({"up": {"kind": "pixel_shuffle", "init": "icnr"}}, 36 * 96, 12, 36 * 96),
    ({"up": "resize"}, 9 * 96, 3, 36 * 96),
    ({"up": {"kind": "resize", "mode": "bilinear"}}, 9 * 96, 3, 36 * 96),
    # what follows is at twice the resolution, so that its weights are used four times
    ({"after": 1}, 16 * 1024 + 9 * 96, 32 + 3, 16 * 1024 + 36 * 96),
    ({"up": "resize", "after": 1}, 9 * 1024 + 9 * 96, 32 + 3, 36 * 1024 + 36 * 96),
]


@pytest.mark.parametrize(("options", "weights", "biases", "cost"), HEADS)
def test_the_facts_are_those_worked_out_by_hand(
    options: dict[str, Any], weights: int, biases: int, cost: int
) -> None:
    network = upsampling(**BASE, **options)
    trunk_weights = 9 * (3 * 32 + 3 * 32 * 32)
    found = metrics.facts(network, SHAPE)
    assert found["params"].value == trunk_weights + weights + biases
    assert found["params"].detail["head"] == weights + biases
    assert "invalid" not in found["macs"].detail
    assert found["macs"].value == 16 * 12 * (trunk_weights + cost)
    assert found["receptive_field"].value == 9  # of the trunk: four 3x3 convolutions


def test_the_trunk_of_fsrcnn_has_the_papers_size() -> None:
    # Dong et al. 2016, table 1: 12464 weights with a deconvolution of 9x9 from 56 channels to 1
    network = upsampling(1, (1, 16, 16), **FSRCNN)
    assert params.measure(network.features, (1, 16, 16)).value == 12_464 - 81 * 56
    assert receptive_field.measure(network, (1, 16, 16)).value == 5 + 4 * 2
    # section 4.3, the small model of d, s, m = 32, 5, 1: 3937
    shrunk = {"channels": 5, "conv": {"kind": "normal", "kernel": 1}}
    layers = [32, shrunk, 5, {**shrunk, "channels": 32}]
    small = upsampling(1, (1, 16, 16), stem=FSRCNN["stem"], layers=layers)
    assert params.measure(small.features, (1, 16, 16)).value == 3_937 - 81 * 32


def test_a_layer_overrules_the_network() -> None:
    network = upsampling(
        layers=[8, 8, {"channels": 8, "conv": "dilated", "norm": "none", "act": "relu"}],
        conv={"kind": "normal", "kernel": 5},
        norm="batch",
        act="silu",
        after=1,
    )
    kinds = {path: type(module) for path, module in network.named_modules()}
    assert [kinds[f"features.layer{i}.act"] for i in (1, 2, 3)] == [nn.SiLU, nn.SiLU, nn.ReLU]
    assert [kinds[f"features.layer{i}.norm"] for i in (1, 2, 3)] == [
        nn.BatchNorm2d,
        nn.BatchNorm2d,
        nn.Identity,
    ]
    assert kinds["head.act1"] is nn.SiLU
    convs = [network.get_submodule(f"features.layer{i}.conv") for i in (1, 2, 3)]
    assert [(c.kernel_size[0], c.dilation[0]) for c in convs] == [(3, 1), (5, 1), (3, 2)]


def test_the_stem_stays_dense_unless_something_says_otherwise() -> None:
    conv = "depthwise_separable"
    assert len(trunk(upsampling(**BASE, conv=conv))) == 1 + 3 * 2
    assert len(trunk(upsampling(**BASE, conv=conv, stem=conv))) == 4 * 2
    assert len(trunk(upsampling(layers=[{"channels": 8, "conv": conv}]))) == 2


@pytest.mark.parametrize(
    ("width", "channels"),
    [
        (None, [32, 48, 16]),
        (32, [32, 48, 16]),
        (16, [16, 24, 8]),
        # 10.5, 15.75 and 5.25: of three layers the first rounds up from 5/6 on, the second from
        # 1/2 on, the third from 1/6 on
        (10.5, [10, 16, 6]),
        (1e-6, [1, 1, 1]),
    ],
)
def test_the_width_scales_the_trunk(width: float | None, channels: list[int]) -> None:
    network = upsampling(layers=[32, 48, 16], width=width, after=1)
    assert [out for _, out in trunk(network)] == channels
    assert network.get_submodule("head.up.conv").in_channels == channels[-1]
    assert network.get_submodule("head.conv1").in_channels == channels[-1]
    assert network.get_submodule("head.conv1").out_channels == 3


def test_scaled_channels_are_multiples_of_what_their_blocks_need() -> None:
    # The first layer is read in groups of 4, the last one is not.
    dense = {"channels": 32, "conv": "normal"}
    network = upsampling(layers=[32, 32, dense, dense], conv="grouped", width=9.3)
    assert [m.out_channels for m in network.features.modules() if isinstance(m, nn.Conv2d)] == [
        *(8, 8),
        *(9, 10),
    ]


@pytest.mark.parametrize("kind", ["params", "macs"])
# With an up block between layers of 16 channels, one channel more is a step of 10 % and more.
@pytest.mark.parametrize(("after", "width"), [(0, 16), (0, 32), (1, 32), (1, 64)])
@pytest.mark.parametrize("up", UPS, ids=str)
def test_some_width_meets_the_budget_of_the_base_network(
    up: dict[str, Any], after: int, width: int, kind: Literal["params", "macs"]
) -> None:
    base = {"family": "post_upsampling", **BASE, "after": after, "width": width}
    target = match.budget(base, kind, SHAPE, 3)
    solution = match.solve({**base, "up": up}, kind, target, 0.02, SHAPE, 3)
    assert abs(solution.residual) <= 0.02


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"layers": [8, 30], "conv": "grouped"},
            "layer 2: 30 channels do not fall into 4 groups; 28 or 32 would",
        ),
        (
            {"layers": [8], "stem": "grouped"},
            "layer 1: 3 channels do not fall into 4 groups; 4 would",
        ),
    ],
)
def test_what_does_not_suit_a_block_is_refused_with_its_place(
    options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match="layer") as caught:
        upsampling(**options)
    assert str(caught.value) == message


@pytest.mark.usefixtures("no_plugins")
def test_an_up_block_of_ones_own_may_need_certain_channels(tmp_path: Path) -> None:
    plugin = tmp_path / "halving.py"
    plugin.write_text(
        "from torch import nn\n"
        "from ablate.blocks import Unfit\n"
        'ROOM = "blocks/up"\n'
        "def multiple():\n"
        "    return 4\n"
        "def build(i, o):\n"
        "    if i % 4:\n"
        '        raise Unfit(f"{i} channels have no quarter")\n'
        "    return nn.Sequential(nn.PixelShuffle(2), nn.Conv2d(i // 4, o, 1))\n"
    )
    catalog.plug(plugin)
    assert upsampling(layers=[8, 8], up="halving")(images()).shape == (2, 3, 32, 24)
    assert [out for _, out in trunk(upsampling(layers=[8, 8], up="halving", width=8.9))] == [9, 8]
    with pytest.raises(ValueError, match="quarter") as caught:
        upsampling(layers=[8, 6], up="halving")
    assert str(caught.value) == "up: 6 channels have no quarter"


MODES: list[Literal["nearest", "bilinear", "bicubic"]] = ["nearest", "bilinear", "bicubic"]


@pytest.mark.parametrize("mode", MODES)
def test_interpolation_costs_nothing(mode: str) -> None:
    network = built("interpolation", mode=mode)
    assert {name for name, _ in network.named_children()} == {"features", "head"}
    assert params.measure(network, SHAPE).value == 0
    measured = macs.measure(network, SHAPE)
    assert measured.value == 0
    assert "invalid" not in measured.detail
    assert receptive_field.measure(network, SHAPE).value == 1


def weight(mode: str, distance: float) -> float:
    """How much a pixel counts at a distance from its centre."""
    d = abs(distance)
    if mode == "nearest":
        return float(d < 0.5)
    if mode == "bilinear":
        return max(0.0, 1 - d)
    a = -0.75  # Keys 1981, equation 15, for any a
    if d < 1:
        return (a + 2) * d**3 - (a + 3) * d**2 + 1
    return a * (d**3 - 5 * d**2 + 8 * d - 4) if d < 2 else 0.0


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (6, 5)])
@pytest.mark.parametrize("mode", MODES)
def test_interpolation_is_the_formula_with_the_outermost_pixels_repeated(
    mode: str, size: tuple[int, int]
) -> None:
    def matrix(side: int) -> Tensor:
        found = torch.zeros(2 * side, side, dtype=torch.float64)
        for output in range(2 * side):
            centre = (output + 0.5) / 2 - 0.5
            for pixel in range(math.floor(centre) - 2, math.floor(centre) + 4):
                found[output, min(max(pixel, 0), side - 1)] += weight(mode, pixel - centre)
        return found

    x = images((3, *size)).double()
    expected = torch.einsum("yh,xw,nchw->ncyx", matrix(size[0]), matrix(size[1]), x)
    torch.testing.assert_close(built("interpolation", shape=(3, *size), mode=mode)(x), expected)


def test_interpolation_is_bicubic_unless_said_otherwise() -> None:
    plain, bicubic = built("interpolation"), built("interpolation", mode="bicubic")
    assert networks.signature(plain) == networks.signature(bicubic)
    assert len({str(networks.signature(built("interpolation", mode=mode))) for mode in MODES}) == 3


def test_interpolation_gives_only_the_channels_that_there_are() -> None:
    with pytest.raises(ValueError, match="interpolation") as caught:
        built("interpolation", outputs=10)
    assert str(caught.value) == (
        "interpolation makes 3 channels of 3, and the task asks for 10 outputs; "
        "use another network family"
    )


def test_a_family_without_a_width_cannot_be_matched() -> None:
    component, _ = expand(Network.model_validate({"family": "interpolation"}))
    with pytest.raises(match.Unreachable) as caught:
        match.solve(component, "params", 1000, 0.02, SHAPE, 3)
    assert str(caught.value) == (
        "the network family 'interpolation' has no option 'width' to match params with"
    )
