"""The contracts of blocks, over everything in the catalog, and the sizes known in closed form."""

import math
import re
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from ablate import catalog, components, networks
from ablate.blocks import Unfit
from ablate.blocks.merge import Join
from ablate.components import Conv
from ablate.metrics import macs, params

ROLES = ["conv", "down", "up", "merge", "norm", "act", "head"]
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


def layer(stride: int, kernel: int | None = None) -> nn.Sequential:
    """A layer from 6 to 10 channels as the staged family gives it to a down block."""
    side = kernel or 3
    block = nn.Sequential()
    block.add_module(
        "conv", nn.Conv2d(6, 10, side, stride=stride, padding=(side - 1) // 2, bias=False)
    )
    block.add_module("norm", nn.BatchNorm2d(10))
    block.add_module("act", nn.ReLU())
    return block


def merge(component: dict[str, Any], around: int = 6, channels: int = 6) -> Join | None:
    return catalog.build(
        "blocks/merge", component, "kind", around, channels, nn.BatchNorm2d, nn.ReLU
    )


class Around(nn.Module):
    """A convolution of 6 channels with a merge block around it."""

    def __init__(self, component: dict[str, Any]) -> None:
        super().__init__()
        self.join = merge(component)
        self.conv = nn.Conv2d(6, 6 if self.join is None else self.join.through, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x) if self.join is None else self.join(x, self.conv(x))


def build(role: str, component: dict[str, Any], size: tuple[int, int] = (8, 8)) -> nn.Module:
    """A block of any role for 6 channels; a head is one for features of a size."""
    if role == "merge":
        return Around(component)
    context = {
        "conv": (6, 10, 1, nn.BatchNorm2d, nn.ReLU),
        "down": (layer,),
        "up": (6, 10),
        "norm": (6,),
        "act": (),
        "head": (6, 10, size),
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


@pytest.mark.parametrize("component", samples("conv"))
def test_a_stride_leaves_out_every_second_output(component: dict[str, Any]) -> None:
    full, strided = (conv(component, stride=stride).eval() for stride in (1, 2))
    strided.load_state_dict(full.state_dict())
    torch.testing.assert_close(full(images((7, 10)))[..., ::2, ::2], strided(images((7, 10))))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("component", samples("conv"))
def test_a_down_block_may_give_a_conv_block_an_even_kernel(
    component: dict[str, Any], size: tuple[int, int]
) -> None:
    asked = Conv.model_validate(component), 6, 10, 2, nn.BatchNorm2d, nn.ReLU
    if component["kind"] == "stacked":
        with pytest.raises(Unfit, match="stacked convolutions cannot have a kernel of 4"):
            components.build(*asked, kernel=4)
        return
    n, channels, height, width = components.build(*asked, kernel=4).eval()(images(size)).shape
    assert (n, channels) == (2, 10)
    assert height in (size[0] // 2, -(-size[0] // 2))
    assert width in (size[1] // 2, -(-size[1] // 2))


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
@pytest.mark.parametrize("component", samples("down"))
def test_a_down_block_halves_what_goes_around_the_layer_alike(
    component: dict[str, Any], size: tuple[int, int]
) -> None:
    def nothing(stride: int, kernel: int | None = None) -> nn.Sequential:
        window = 1 if kernel is None else 2 - kernel % 2
        return nn.Sequential(nn.AvgPool2d(window, stride))

    x = images(size)
    around = catalog.build("blocks/down", component, "kind", nothing)(x)
    assert around.shape[1] == 6
    assert around.shape[2:] == build("down", component)(x).shape[2:]


@pytest.mark.parametrize("component", samples("merge"))
def test_a_join_gives_the_channels_it_says(component: dict[str, Any]) -> None:
    join = merge(component, around=6, channels=6)
    if join is None:
        assert component == {"kind": "none"}
        return
    for size in (*SIZES, (1, 1)):
        around = images(size)
        through = torch.randn(2, join.through, *size)
        assert join(around, through).shape == (2, join.out_channels, *size)
        assert torch.equal(around, images(size))


@pytest.mark.parametrize(
    ("component", "through", "out_channels"),
    [
        ({"kind": "add"}, 6, 6),
        ({"kind": "add", "project": "pointwise"}, 6, 6),
        ({"kind": "concat"}, 6, 12),
        ({"kind": "concat", "project": "pointwise"}, 6, 6),
        ({"kind": "concat", "width": "constant"}, 3, 6),
        ({"kind": "concat", "width": "constant", "project": "pointwise"}, 3, 6),
    ],
)
def test_the_channels_of_a_join(component: dict[str, Any], through: int, out_channels: int) -> None:
    join = merge(component)
    assert join is not None
    assert (join.through, join.out_channels) == (through, out_channels)


def test_concatenation_at_constant_width_keeps_the_first_half() -> None:
    join = merge({"kind": "concat", "width": "constant"})
    assert join is not None
    around, through = images(), images(seed=1)[:, :3]
    assert torch.equal(join(around, through), torch.cat((around[:, :3], through), 1))


def test_concatenation_takes_unequal_channels() -> None:
    join = merge({"kind": "concat"}, around=6, channels=10)
    assert join is not None
    assert (join.through, join.out_channels) == (10, 16)


@pytest.mark.parametrize(
    ("component", "around", "channels", "message"),
    [
        (
            {"kind": "add"},
            6,
            10,
            "6 channels that go around cannot be added to 10 that come through; "
            "give the layers equal channels, or the stage `merge: none`",
        ),
        (
            {"kind": "concat", "width": "constant"},
            5,
            5,
            "of 5 channels, half cannot be kept of 5 that go around; "
            "give the layers equal and even channels, or the merge `width: sum`",
        ),
        (
            {"kind": "concat", "width": "constant"},
            4,
            10,
            "of 10 channels, half cannot be kept of 4 that go around; "
            "give the layers equal and even channels, or the merge `width: sum`",
        ),
    ],
)
def test_channels_that_cannot_be_merged_are_refused(
    component: dict[str, Any], around: int, channels: int, message: str
) -> None:
    with pytest.raises(Unfit) as caught:
        merge(component, around, channels)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("inputs", "outputs", "message"),
    [
        (30, 32, "30 channels do not fall into 4 groups; 28 or 32 would"),
        (32, 3, "3 channels do not fall into 4 groups; 4 would"),
    ],
)
def test_channels_that_groups_do_not_divide_are_refused(
    inputs: int, outputs: int, message: str
) -> None:
    with pytest.raises(Unfit) as caught:
        conv({"kind": "grouped"}, inputs, outputs)
    assert str(caught.value) == message


@pytest.mark.parametrize("role", ["conv", "merge"])
def test_a_block_takes_channels_that_its_multiple_divides(role: str) -> None:
    for sample in samples(role):
        (component,) = sample.values
        block = catalog.load(f"blocks/{role}", component["kind"])
        options = {k: v for k, v in component.items() if k != "kind"}
        filled = catalog.options(f"blocks/{role}", component["kind"])(**options).model_dump()
        multiple = block.multiple(**filled) if hasattr(block, "multiple") else 1
        for channels in (multiple, 3 * multiple):
            build_with = conv if role == "conv" else merge
            assert build_with(component, channels, channels) or component["kind"] == "none"


def test_the_shuffle_deals_every_group_out_to_all() -> None:
    block = conv({"kind": "grouped", "groups": 2, "then": "shuffle"}, 6, 6)
    channels = torch.arange(6.0).view(1, 6, 1, 1)
    assert block.get_submodule("shuffle")(channels).flatten().tolist() == [0, 3, 1, 4, 2, 5]


@pytest.mark.parametrize("size", [(8, 8), (7, 9), (2, 3), (5, 2)])
@pytest.mark.parametrize("of", ["maxpool", "conv"])
def test_the_blur_is_the_binomial_filter_of_the_paper(of: str, size: tuple[int, int]) -> None:
    block = build("down", {"kind": "blurpool", "of": of}).eval()
    x = images(size)
    dense = block.get_submodule("act")(block.get_submodule("norm")(block.get_submodule("conv")(x)))
    if of == "maxpool":
        dense = nn.functional.max_pool2d(dense, 2, stride=1)
    row = torch.tensor([1.0, 2.0, 1.0]) / 4
    kernel = (row[:, None] * row).expand(10, 1, 3, 3)
    padded = nn.functional.pad(dense, (1, 1, 1, 1), mode="replicate")
    expected = nn.functional.conv2d(padded, kernel, stride=2, groups=10)
    torch.testing.assert_close(block(x), expected)


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
    assert build("head", component, size)(images(size)).shape == (2, 10)


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


def dense(inputs: int, outputs: int, kernel: int = 3) -> int:
    return kernel**2 * inputs * outputs


def separable(inputs: int, outputs: int, kernel: int = 3) -> int:
    return kernel**2 * inputs + inputs * outputs


def crossed(inputs: int, outputs: int, kernel: int = 3) -> int:
    return kernel * inputs * outputs + kernel * outputs**2


def grouped(inputs: int, outputs: int, groups: int, kernel: int = 3, pointwise: int = 0) -> int:
    return kernel**2 * inputs * outputs // groups + pointwise * outputs**2


def weights_used(block: nn.Module) -> int:
    """MACs by the textbook's formula: every weight once at every place where its kernel stands.

    A kernel stands at every output pixel, that of a transposed convolution at every input pixel.
    """
    total = 0

    def count(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal total
        if isinstance(module, nn.ConvTranspose2d):
            total += module.weight.numel() * inputs[0].shape[-2:].numel()
        elif isinstance(module, nn.Conv2d):
            total += module.weight.numel() * output.shape[-2:].numel()
        elif isinstance(module, nn.Linear):
            total += module.weight.numel()

    for module in block.modules():
        module.register_forward_hook(count)
    block.eval()(images((9, 6))[:1])
    return total


@samples_of(*ROLES)
def test_the_macs_of_every_block_are_those_of_the_textbook(
    role: str, component: dict[str, Any]
) -> None:
    measured = macs.measure(build(role, component, (9, 6)), (6, 9, 6))
    assert measured.value == weights_used(build(role, component, (9, 6)))
    layers = build(role, component).modules()
    assert (measured.value > 0) == any(isinstance(m, _ConvNd | nn.Linear) for m in layers)


# Each with its weights, and the channels that are normalised within it.
CLOSED_FORMS: list[tuple[dict[str, Any], Any, Any]] = [
    ({"kind": "normal"}, dense, None),
    ({"kind": "normal", "kernel": 1}, partial(dense, kernel=1), None),
    ({"kind": "normal", "kernel": 7}, partial(dense, kernel=7), None),
    ({"kind": "dilated"}, dense, None),
    ({"kind": "dilated", "dilation": 4, "kernel": 5}, partial(dense, kernel=5), None),
    ({"kind": "depthwise_separable"}, separable, None),
    ({"kind": "depthwise_separable", "kernel": 5}, partial(separable, kernel=5), None),
    ({"kind": "depthwise_separable", "mid": "norm_act"}, separable, lambda i, o: i),
    ({"kind": "grouped"}, partial(grouped, groups=4), None),
    ({"kind": "grouped", "groups": 2, "kernel": 5}, partial(grouped, groups=2, kernel=5), None),
    ({"kind": "grouped", "then": "shuffle"}, partial(grouped, groups=4), None),
    ({"kind": "grouped", "then": "pointwise"}, partial(grouped, groups=4, pointwise=1), None),
    ({"kind": "spatially_separable"}, crossed, None),
    ({"kind": "spatially_separable", "kernel": 7}, partial(crossed, kernel=7), None),
    ({"kind": "spatially_separable", "mid": "norm_act"}, crossed, lambda i, o: o),
]


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize(("inputs", "outputs"), [(16, 32), (4, 4), (8, 4)])
@pytest.mark.parametrize(("component", "weights", "normalised"), CLOSED_FORMS)
def test_parameters_and_macs_are_those_of_the_closed_form(
    component: dict[str, Any], weights: Any, normalised: Any, inputs: int, outputs: int, stride: int
) -> None:
    shape = (inputs, 9, 6)
    block = conv(component, inputs, outputs, stride)
    normed = 2 * normalised(inputs, outputs) if normalised else 0
    assert params.measure(block, shape).value == weights(inputs, outputs) + normed
    if stride == 1 or component["kind"] != "spatially_separable":  # whose two strides differ
        pixels = math.ceil(9 / stride) * math.ceil(6 / stride)  # each weight is used once at each
        assert macs.measure(block, shape).value == weights(inputs, outputs) * pixels


@pytest.mark.parametrize(
    ("component", "parameters", "cost"),
    [
        # 16 -> 32 channels on 10x6 pixels at stride 2, by hand: 60 pixels before it, 15 after it.
        # The column of 3 is used at 5·6 pixels, the row of 3 at 5·3.
        ({"kind": "spatially_separable"}, 3 * 512 + 3 * 1024, 30 * 1536 + 15 * 3072),
        # 16 -> 8 -> 8 -> 32, and two normalisations of 8
        ({"kind": "bottleneck"}, 128 + 576 + 256 + 32, 60 * 128 + 15 * (576 + 256)),
        (
            {"kind": "bottleneck", "ratio": 2, "kernel": 5},
            256 + 25 * 256 + 512 + 64,
            60 * 256 + 15 * (6400 + 512),
        ),
        ({"kind": "stacked", "mid": "none"}, 4608 + 9216, 60 * 4608 + 15 * 9216),
        ({"kind": "stacked"}, 4608 + 9216 + 64, 60 * 4608 + 15 * 9216),
        (
            {"kind": "stacked", "count": 3},
            4608 + 2 * 9216 + 2 * 64,
            60 * (4608 + 9216) + 15 * 9216,
        ),
    ],
)
def test_parameters_and_macs_of_several_convolutions(
    component: dict[str, Any], parameters: int, cost: int
) -> None:
    block = conv(component, 16, 32, stride=2)
    assert params.measure(block, (16, 10, 6)).value == parameters
    assert macs.measure(block, (16, 10, 6)).value == cost


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_a_bottleneck_never_closes(channels: int) -> None:
    block = conv({"kind": "bottleneck"}, channels, channels)
    assert block.get_submodule("spatial").out_channels == 1


@pytest.mark.parametrize(
    ("component", "parameters"),
    [
        ({"kind": "add"}, 0),
        ({"kind": "add", "project": "pointwise"}, 36 + 12),
        ({"kind": "concat"}, 0),
        ({"kind": "concat", "width": "constant"}, 0),
        ({"kind": "concat", "project": "pointwise"}, 72 + 12),
        ({"kind": "concat", "width": "constant", "project": "pointwise"}, 36 + 12),
    ],
)
def test_the_parameters_of_a_join(component: dict[str, Any], parameters: int) -> None:
    join = merge(component)
    assert join is not None
    assert params.measure(join, (6, 8, 8)).value == parameters


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
