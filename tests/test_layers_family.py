"""The family `layers`: shapes and counts by closed forms, given weights, and what is refused."""

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

from ablate import catalog, networks
from ablate.components import Network, expand
from ablate.data import Unavailable, open_data, outline
from ablate.metrics import equality, macs, output_shape, params, receptive_field
from ablate.suite.source import SuiteError
from tests import tiny

Shape = tuple[int, int, int]
KERNEL = [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]]


def built(
    layers: list[Any], shape: Shape = (3, 16, 16), outputs: int = 0, **options: Any
) -> nn.Module:
    written = {"family": "layers", "layers": layers, **options}
    component, problems = expand(Network.model_validate(written))
    assert problems == []
    network: nn.Module = catalog.build("networks", component, "family", shape, outputs)
    return network


def conv(channels: int = 8, kernel: Any = 3, **options: Any) -> dict[str, Any]:
    return {"kind": "conv", "channels": channels, "kernel": kernel, **options}


def side(size: int, kernel: int, stride: int = 1, padding: int = 0, dilation: int = 1) -> int:
    return (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1


@pytest.mark.parametrize("kernel", [1, 2, 3, 5])
@pytest.mark.parametrize(
    "options", [{}, {"stride": 2}, {"padding": 2}, {"dilation": 3}, {"stride": 3, "padding": 1}]
)
def test_the_size_after_a_convolution(kernel: int, options: dict[str, int]) -> None:
    found = output_shape.measure(built([conv(8, kernel, **options)]), (3, 16, 16))
    expected = side(16, kernel, **options)
    assert found.detail == {
        "channels": 8, "height": expected, "width": expected, "shape": [8, expected, expected],
    }  # fmt: skip
    assert found.value == 8 * expected**2


@pytest.mark.parametrize(("padding", "expected"), [("same", 16), ("valid", 12), ([2, 0], 16)])
def test_padding_in_words_and_by_side(padding: Any, expected: int) -> None:
    found = output_shape.measure(built([conv(kernel=5, padding=padding)]), (3, 16, 16))
    assert found.detail["height"] == expected
    assert found.detail["width"] == (12 if padding == [2, 0] else expected)


def test_the_size_after_a_transposed_convolution() -> None:
    for stride in (1, 2, 3):
        layer = {"kind": "transposed", "channels": 4, "kernel": 3, "stride": stride, "padding": 1}
        found = output_shape.measure(built([layer]), (3, 5, 7))
        height, width = 4 * stride + 1, 6 * stride + 1  # (size - 1)·stride - 2·padding + kernel
        assert found.detail["shape"] == [4, height, width]


def test_parameters_and_macs_are_counted_without_biases_unless_asked() -> None:
    shape = (16, 100, 100)
    network = built([conv(32)], shape)
    assert params.measure(network, shape).value == 32 * 16 * 9
    assert macs.measure(network, shape).value == 32 * 16 * 9 * 98 * 98
    biased = built([conv(32, bias=True)], shape)
    assert params.measure(biased, shape).value == 32 * 16 * 9 + 32
    depthwise = built([conv(16, groups="depthwise"), conv(32, 1)], shape)
    assert params.measure(depthwise, shape).value == 16 * 9 + 16 * 32


def test_features_end_where_space_does() -> None:
    network = built([conv(8), "gap", {"kind": "linear"}], outputs=5)
    assert [name for name, _ in network.features.named_children()] == ["layer1"]
    assert [name for name, _ in network.head.named_children()] == ["layer2", "layer3"]
    assert network(torch.zeros(2, 3, 16, 16)).shape == (2, 5)
    assert output_shape.measure(network, (3, 16, 16)).detail == {"channels": 5, "shape": [5]}


def test_a_depth_ends_the_network_after_so_many_layers() -> None:
    layers = [conv(1), conv(1, stride=2), {"kind": "maxpool", "kernel": 2}, conv(1)]
    fields = [
        receptive_field.measure(built(layers, depth=depth), (3, 16, 16)).value
        for depth in (1, 2, 3, 4)
    ]
    assert fields == [3, 5, 7, 15]  # 1 + Σ (k - 1)·jump, with jumps 1, 1, 2, 4
    with pytest.raises(ValueError, match="there are 4 layers; a depth of 5 is beyond the last"):
        built(layers, depth=5)


def test_sequences_are_images_of_height_1() -> None:
    layers = [conv(1, [1, 2]), conv(1, [1, 2], dilation=[1, 2]), conv(1, [1, 2], dilation=[1, 4])]
    network = built(layers, (1, 1, 32))
    found = receptive_field.measure(network, (1, 1, 32))
    assert (found.value, found.detail["height"], found.detail["width"]) == (8, 1, 8)
    assert output_shape.measure(network, (1, 1, 32)).detail["shape"] == [1, 1, 25]


# --- given weights --------------------------------------------------------------------------------


def test_given_weights_are_constants() -> None:
    network = built([conv(1, weights=KERNEL, bias=True)], (1, 5, 5))
    assert params.measure(network, (1, 5, 5)).value == 1  # the bias
    networks.initialise(network, 3)
    assert torch.equal(network.features.layer1.weight[0, 0], torch.tensor(KERNEL))
    bias = network.features.layer1.bias
    assert bias.abs() <= 1 / 3
    image = torch.randn(1, 1, 5, 5)
    assert torch.equal(network(image), functional.conv2d(image, torch.tensor([[KERNEL]]), bias))
    turned = built([conv(1, weights=[row[::-1] for row in KERNEL[::-1]], bias=True)], (1, 5, 5))
    assert networks.signature(turned) != networks.signature(network)


def test_given_weights_of_several_channels() -> None:
    weights = torch.arange(2 * 3 * 2 * 2.0).reshape(2, 3, 2, 2)
    network = built([conv(2, 2, weights=weights.tolist())])
    image = torch.randn(2, 3, 16, 16)
    assert torch.equal(network(image), functional.conv2d(image, weights))
    layer = {"kind": "transposed", "channels": 3, "kernel": 2, "stride": 2}
    network = built([{**layer, "weights": weights.tolist()}], (2, 4, 4))
    image = torch.randn(1, 2, 4, 4)
    expected = functional.conv_transpose2d(image, weights, stride=2)
    assert torch.equal(network(image), expected)


def test_a_given_map_takes_the_place_of_what_comes() -> None:
    values = [[1.0, 2.0], [3.0, 4.0]]
    network = built([{"kind": "image", "values": values}], (3, 9, 9))
    output = network(torch.randn(5, 3, 9, 9))
    assert torch.equal(output, torch.tensor(values).expand(5, 1, 2, 2))
    same = equality.measure(network, built([{"kind": "image", "values": [values]}]), (3, 9, 9))
    assert same.detail["equal"] is True
    other = built([{"kind": "image", "values": [[1, 2], [3, 5]]}])
    assert equality.measure(network, other, (3, 9, 9)).value == pytest.approx(1 / 5)


@pytest.mark.parametrize("stride", [1, 2, 3])
def test_zeros_between_pixels(stride: int) -> None:
    image = torch.randn(2, 3, 4, 5)
    found = built([{"kind": "insert_zeros", "stride": stride}], (3, 4, 5))(image)
    expected = torch.zeros(2, 3, 3 * stride + 1, 4 * stride + 1)
    expected[:, :, ::stride, ::stride] = image
    assert torch.equal(found, expected)


@pytest.mark.parametrize("merge", ["concat", "add"])
@pytest.mark.parametrize("split", [False, True])
def test_paths_side_by_side(merge: str, split: bool) -> None:
    paths = [[conv(4, 1)], [conv(4, padding=1)]]
    layer = {"kind": "parallel", "paths": paths, "merge": merge, "split": split}
    network = built([layer], (6, 8, 8))
    image = torch.randn(2, 6, 8, 8)
    first, second = (path.layer1.weight for path in network.features.layer1.paths)
    one, other = (image[:, :3], image[:, 3:]) if split else (image, image)
    made = functional.conv2d(one, first), functional.conv2d(other, second, padding=1)
    expected = torch.cat(made, 1) if merge == "concat" else made[0] + made[1]
    assert torch.equal(network(image), expected)


# --- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([{"kind": "cov"}], "unknown kind of layer 'cov'; did you mean 'conv'?"),
        ([3], "expected a layer, for example {kind: conv, channels: 32, kernel: 3}"),
        (["conv"], "a layer of kind 'conv' needs 'kernel'"),
        ([conv(stirde=2)], "a layer of kind 'conv' has no 'stirde'; did you mean 'stride'?"),
        (
            [{"kind": "upsample", "by": 2}],
            "a layer of kind 'upsample' has no 'by'; there are: factor, mode, and needs 'factor'",
        ),
        ([{"kind": "conv", "kernal": 3}], "has no 'kernal'; did you mean 'kernel'?"),
        ([conv(channels=0)], "should be at least 1"),
    ],
)
def test_the_form_of_a_layer(layers: list[Any], message: str) -> None:
    _, problems = expand(Network.model_validate({"family": "layers", "layers": layers}))
    assert len(problems) == 1
    where, _, said = problems[0]
    assert where[:2] == ("layers", 0)
    assert message in said


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([conv(), conv(kernel=20)], r"layer 2 \(conv\) does not take 8x14x14: .*[Kk]ernel size"),
        ([conv(groups=2)], r"layer 1 \(conv\) does not take 3x16x16: .*divisible by groups"),
        ([{"kind": "linear", "channels": 2}], r"layer 1 \(linear\) .* put `flatten` or `gap`"),
        (["gap", conv()], r"layer 2 \(conv\) does not take 3: no rows and columns are left"),
        (["flatten", {"kind": "linear"}], r"layer 2 .*: say its channels; the task asks for no"),
        ([conv(1, weights=KERNEL)], r"layer 1 .*: its weights are 3x3, and it takes 1x3x3x3"),
        ([conv(1, weights=[[1], [1, 2]])], r"layer 1 .*: its weights are not all of one length"),
        (
            [{"kind": "parallel", "paths": [[], []], "split": True}],
            "3 channels cannot be shared out among 2 paths",
        ),
        (
            [{"kind": "parallel", "paths": [[], [conv(), conv(kernel=40)]]}],
            r"^layer 1, path 2, layer 2 \(conv\) does not take 8x14x14: ",
        ),
    ],
)
def test_layers_that_do_not_fit_are_refused_with_their_number(
    layers: list[Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        built(layers)


# --- images without a data set, and the task of measuring -----------------------------------------

MEASURED = """\
id: tiny
title: Measured
question: What comes out?
base:
  task: measure
  data: {name: blank, shape: [16, 100, 100]}
  network: {family: layers}
seeds: 0
comparisons:
  - id: conv
    title: Two kernels
    baseline: three
    variants:
      three: {network.layers: [{kind: conv, channels: 32, kernel: 3}]}
      five: {network.layers: [{kind: conv, channels: 32, kernel: 5}]}
"""


def test_blank_images_have_the_shape_that_is_asked_for_and_teach_nothing() -> None:
    found = outline({"name": "blank", "shape": [16, 100, 90]})
    assert found is not None
    assert found.train.images.shape == (1, 100, 90, 16)
    assert not found.train.images.any()
    with pytest.raises(Unavailable, match="blank images of 16x100x90 are for networks that are"):
        open_data({"name": "blank", "shape": [16, 100, 90]}, None, False)


@pytest.mark.usefixtures("here")
def test_networks_are_built_for_blank_images() -> None:
    [item] = tiny.checked(MEASURED)
    assert item.shape == (16, 100, 100)
    assert [row.variant.name for row in item.rows] == ["three", "five"]


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("seeds: 0\n", "seeds: 2\n", "write `seeds: 0`, or name a data set with pictures"),
        ("kernel: 5", "kernel: 101", r"conv/five: layer 1 \(conv\) does not take 16x100x100"),
        ("kernel: 5", "kernels: 5", "has no 'kernels'; did you mean 'kernel'?"),
        ("[16, 100, 100]", "[16, 100]", "at least 3 items"),
    ],
)
def test_what_cannot_be_measured_is_said_with_its_place(old: str, new: str, message: str) -> None:
    with pytest.raises(SuiteError, match=message):
        tiny.checked(MEASURED.replace(old, new))


@pytest.mark.usefixtures("here")
def test_nothing_is_trained_for_no_outputs() -> None:
    text = MEASURED.replace("{name: blank, shape: [16, 100, 100]}", "{name: folder, path: images}")
    assert tiny.checked(text)  # measured on the shape of pictures
    with pytest.raises(
        SuiteError, match=r"conv: its task asks for no outputs, .*; write `seeds: 0`"
    ):
        tiny.checked(text.replace("seeds: 0", "seeds: 2"))
