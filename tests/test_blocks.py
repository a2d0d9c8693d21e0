"""The contracts of blocks, over everything in the catalog, and the sizes known in closed form."""

import math
import re
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ablate import catalog, networks
from ablate.metrics import macs, params

ROLES = ["conv", "down", "norm", "act", "head"]
SIZES = [(8, 8), (7, 9), (2, 3)]


def samples(role: str) -> list[Any]:
    """Every block of a role with each of its sample options."""
    room = f"blocks/{role}"
    return [
        pytest.param({"kind": name, **options}, id=f"{name}-{number}")
        for name in catalog.names(room)
        for number, options in enumerate(catalog.load(room, name).SAMPLES)
    ]


def samples_of(*roles: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(
        ("role", "component"),
        [
            pytest.param(role, *sample.values, id=f"{role}-{sample.id}")
            for role in roles
            for sample in samples(role)
        ],
    )


def conv(
    component: dict[str, Any], inputs: int = 6, outputs: int = 10, stride: int = 1
) -> nn.Module:
    return catalog.build(
        "blocks/conv", component, "kind", inputs, outputs, stride, nn.BatchNorm2d, nn.ReLU
    )


def layer(stride: int, inputs: int = 6, outputs: int = 10) -> nn.Sequential:
    """A layer as the staged family gives it to a down block."""
    block = nn.Sequential()
    block.add_module("conv", nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False))
    block.add_module("norm", nn.BatchNorm2d(outputs))
    block.add_module("act", nn.ReLU())
    return block


def build(role: str, component: dict[str, Any]) -> nn.Module:
    """A block of any role for 6 channels."""
    context = {
        "conv": (6, 10, 1, nn.BatchNorm2d, nn.ReLU),
        "down": (layer,),
        "norm": (6,),
        "act": (),
        "head": (6, 10),
    }
    return catalog.build(f"blocks/{role}", component, "kind", *context[role])


def images(size: tuple[int, int] = (8, 8), seed: int = 0) -> Tensor:
    return torch.randn(2, 6, *size, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [*SIZES, (1, 1)])
@pytest.mark.parametrize("component", samples("conv"))
def test_a_conv_block_divides_the_sides_by_its_stride_and_rounds_up(
    component: dict[str, Any], size: tuple[int, int], stride: int
) -> None:
    block = conv(component, stride=stride).eval()
    expected = (2, 10, math.ceil(size[0] / stride), math.ceil(size[1] / stride))
    assert block(images(size)).shape == expected


@pytest.mark.parametrize("component", samples("conv"))
def test_a_conv_block_has_no_bias(component: dict[str, Any]) -> None:
    biases = [m.bias for m in conv(component).modules() if isinstance(m, nn.Conv2d)]
    assert biases == [None] * len(biases)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("component", samples("down"))
def test_a_down_block_halves_the_sides(component: dict[str, Any], size: tuple[int, int]) -> None:
    n, channels, height, width = build("down", component)(images(size)).shape
    assert (n, channels) == (2, 10)
    assert height in (size[0] // 2, -(-size[0] // 2))
    assert width in (size[1] // 2, -(-size[1] // 2))


@pytest.mark.parametrize("component", samples("down"))
def test_a_down_block_keeps_the_paths_of_the_layers_parameters(component: dict[str, Any]) -> None:
    paths = dict(build("down", component).named_parameters())
    assert set(dict(layer(1).named_parameters())) <= set(paths)


@pytest.mark.parametrize("size", SIZES)
@samples_of("norm", "act")
def test_norms_and_acts_keep_the_shape_and_their_input(
    role: str, component: dict[str, Any], size: tuple[int, int]
) -> None:
    x = images(size)
    assert build(role, component)(x).shape == x.shape
    assert torch.equal(x, images(size))


@pytest.mark.parametrize("size", [*SIZES, (1, 1)])
@pytest.mark.parametrize("component", samples("head"))
def test_a_head_gives_the_tasks_outputs(component: dict[str, Any], size: tuple[int, int]) -> None:
    assert build("head", component)(images(size)).shape == (2, 10)


@samples_of(*ROLES)
def test_the_gradient_reaches_every_parameter(role: str, component: dict[str, Any]) -> None:
    block = build(role, component)
    networks.initialise(block, 0)
    output = block(images())
    weights = torch.randn(output.shape, generator=torch.Generator().manual_seed(1))
    if not list(block.parameters()):
        return
    (output * weights).sum().backward()
    for path, parameter in block.named_parameters():
        assert parameter.grad is not None, path
        assert parameter.grad.abs().sum() > 0, path


@samples_of(*ROLES)
def test_the_same_seed_gives_the_same_weights_and_output(
    role: str, component: dict[str, Any]
) -> None:
    one, other = build(role, component), build(role, component)
    networks.initialise(one, 3)
    networks.initialise(other, 3)
    assert torch.equal(one(images()), other(images()))


@samples_of(*ROLES)
def test_a_block_can_be_built_and_run_without_data(role: str, component: dict[str, Any]) -> None:
    real = build(role, component).eval()(images())
    with torch.device("meta"):
        assert build(role, component).eval()(images().to("meta")).shape == real.shape


@samples_of(*ROLES)
def test_a_block_can_be_traced(role: str, component: dict[str, Any]) -> None:
    network = nn.Sequential(build(role, component)).eval()  # tracing goes into its outermost module
    assert torch.equal(torch.fx.symbolic_trace(network)(images()), network(images()))


@pytest.mark.parametrize("role", ROLES)
def test_every_option_shows_in_the_signature(role: str) -> None:
    for name in catalog.names(f"blocks/{role}"):
        options = catalog.load(f"blocks/{role}", name).SAMPLES
        signatures = {str(networks.signature(build(role, {"kind": name, **o}))) for o in options}
        assert len(signatures) == len(options), name


@pytest.mark.parametrize(
    ("role", "name"), [(role, name) for role in ROLES for name in catalog.names(f"blocks/{role}")]
)
def test_a_block_cites_its_source(role: str, name: str) -> None:
    text = catalog.load(f"blocks/{role}", name).__doc__ or ""
    assert re.search(r"arXiv \d{4}\.\d{4,5}|doi:10\.\d{4}|et al\. \d{4}", text)


def dense(inputs: int, outputs: int, kernel: int = 3, dilation: int = 1) -> int:
    return kernel**2 * inputs * outputs


def separable(inputs: int, outputs: int, kernel: int = 3, mid: str = "none") -> int:
    return kernel**2 * inputs + inputs * outputs


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize(("inputs", "outputs"), [(16, 32), (5, 3), (1, 4)])
@pytest.mark.parametrize(
    ("component", "weights"),
    [
        ({"kind": "normal"}, dense),
        ({"kind": "normal", "kernel": 1}, partial(dense, kernel=1)),
        ({"kind": "normal", "kernel": 7}, partial(dense, kernel=7)),
        ({"kind": "dilated"}, dense),
        ({"kind": "dilated", "dilation": 4, "kernel": 5}, partial(dense, kernel=5)),
        ({"kind": "depthwise_separable"}, separable),
        ({"kind": "depthwise_separable", "kernel": 5}, partial(separable, kernel=5)),
        ({"kind": "depthwise_separable", "mid": "norm_act"}, separable),
    ],
)
def test_parameters_and_macs_are_those_of_the_closed_form(
    component: dict[str, Any], weights: Any, inputs: int, outputs: int, stride: int
) -> None:
    shape = (inputs, 9, 6)
    pixels = math.ceil(9 / stride) * math.ceil(6 / stride)  # each weight is used once at each
    block = conv(component, inputs, outputs, stride)
    normalised = 2 * inputs if component.get("mid") == "norm_act" else 0
    assert params.measure(block, shape).value == weights(inputs, outputs) + normalised
    assert macs.measure(block, shape).value == weights(inputs, outputs) * pixels


def test_the_ratio_that_course_notes_quote_for_16_to_32_channels() -> None:
    # 16·32·9 against 16·9 + 16·32, by hand
    counts = [
        params.measure(conv({"kind": kind}, 16, 32), (16, 8, 8)).value
        for kind in ("normal", "depthwise_separable")
    ]
    assert counts == [4608, 656]


def test_the_stride_of_a_depthwise_separable_convolution_is_in_its_depthwise_half() -> None:
    block = conv({"kind": "depthwise_separable"}, stride=2)
    strides = {path: m.stride for path, m in block.named_modules() if isinstance(m, nn.Conv2d)}
    assert strides == {"depthwise": (2, 2), "pointwise": (1, 1)}


def test_a_strided_convolution_is_the_full_one_with_three_of_four_outputs_left_out() -> None:
    full, strided = (conv({"kind": "normal"}, stride=stride) for stride in (1, 2))
    strided.load_state_dict(full.state_dict())
    torch.testing.assert_close(full(images())[..., ::2, ::2], strided(images()))
