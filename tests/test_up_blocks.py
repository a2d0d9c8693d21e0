"""Blocks that double the resolution: shapes, sizes in closed form, and how they start."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from ablate import catalog, networks
from ablate.components import Up, expand
from ablate.metrics import macs, params

SAMPLES = [
    pytest.param({"kind": name, **options}, id=f"{name}-{number}")
    for name in catalog.names("blocks/up")
    for number, options in enumerate(catalog.load("blocks/up", name).SAMPLES)
]


def up(component: dict[str, Any], inputs: int = 4, outputs: int = 6, seed: int = 0) -> nn.Module:
    block: nn.Module = catalog.build("blocks/up", component, "kind", inputs, outputs)
    networks.initialise(block, seed)
    return block.double().eval()


def images(*size: int) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(2, 4, *size, generator=generator, dtype=torch.float64)


def conv(block: nn.Module) -> tuple[Tensor, Tensor]:
    """The weights and biases of a block's convolution."""
    return block.get_parameter("conv.weight").detach(), block.get_parameter("conv.bias").detach()


@pytest.mark.parametrize("size", [(1, 1), (1, 4), (2, 3), (7, 9), (8, 8)])
@pytest.mark.parametrize("component", SAMPLES)
def test_an_up_block_doubles_the_sides(component: dict[str, Any], size: tuple[int, int]) -> None:
    assert up(component)(images(*size)).shape == (2, 6, 2 * size[0], 2 * size[1])


@pytest.mark.parametrize("component", SAMPLES)
def test_the_weights_and_biases_are_those_of_a_child_of_one_name(component: dict[str, Any]) -> None:
    assert {path for path, _ in up(component).named_parameters()} == {"conv.weight", "conv.bias"}


@pytest.mark.parametrize("component", SAMPLES)
def test_an_up_block_has_a_bias(component: dict[str, Any]) -> None:
    block = up(component)
    before = block(images(4, 5))
    with torch.no_grad():
        block.get_parameter("conv.bias").add_(0.5)
    torch.testing.assert_close(block(images(4, 5)), before + 0.5)


# For every pair of channels and pixel of the input: weights, and multiply-accumulates.
CLOSED_FORMS: list[tuple[dict[str, Any], int, int]] = [
    ({"kind": "transposed", "kernel": 2}, 4, 4),
    ({"kind": "transposed", "kernel": 3}, 9, 9),
    ({"kind": "transposed"}, 16, 16),
    ({"kind": "transposed", "kernel": 6}, 36, 36),
    ({"kind": "pixel_shuffle"}, 36, 36),
    ({"kind": "pixel_shuffle", "init": "icnr"}, 36, 36),
    ({"kind": "pixel_shuffle", "kernel": 5}, 100, 100),
    ({"kind": "resize"}, 9, 36),
    ({"kind": "resize", "mode": "bilinear"}, 9, 36),
    ({"kind": "resize", "kernel": 5}, 25, 100),
]


@pytest.mark.parametrize(("inputs", "outputs"), [(16, 32), (8, 3), (1, 1)])
@pytest.mark.parametrize(("component", "weights", "cost"), CLOSED_FORMS)
def test_parameters_and_macs_are_those_of_the_closed_form(
    component: dict[str, Any], weights: int, cost: int, inputs: int, outputs: int
) -> None:
    block = catalog.build("blocks/up", component, "kind", inputs, outputs)
    biases = outputs * (4 if component["kind"] == "pixel_shuffle" else 1)
    shape = (inputs, 9, 6)
    assert params.measure(block, shape).value == weights * inputs * outputs + biases
    measured = macs.measure(block, shape)
    assert "invalid" not in measured.detail
    assert measured.value == cost * inputs * outputs * 9 * 6


@pytest.mark.parametrize("size", [(1, 1), (3, 5)])
@pytest.mark.parametrize(("kernel", "cut"), [(2, 0), (3, 1), (4, 1), (6, 2)])
def test_every_pixel_puts_down_a_kernel(kernel: int, cut: int, size: tuple[int, int]) -> None:
    block = up({"kind": "transposed", "kernel": kernel})
    height, width = size
    x = images(height, width)
    weights, biases = conv(block)
    whole = torch.zeros(2, 6, 2 * height + kernel, 2 * width + kernel, dtype=torch.float64)
    for row in range(height):
        for column in range(width):
            put = torch.einsum("ni,ioyx->noyx", x[:, :, row, column], weights)
            whole[..., 2 * row :, 2 * column :][..., :kernel, :kernel] += put
    seen = whole[..., cut : cut + 2 * height, cut : cut + 2 * width]
    torch.testing.assert_close(block(x), seen + biases.view(6, 1, 1))


@pytest.mark.parametrize(("kernel", "even"), [(2, True), (3, False), (4, True), (6, True)])
def test_kernels_overlap_evenly_where_the_stride_divides_them(kernel: int, even: bool) -> None:
    block = up({"kind": "transposed", "kernel": kernel}, inputs=1, outputs=1)
    nn.init.ones_(block.get_parameter("conv.weight"))
    nn.init.zeros_(block.get_parameter("conv.bias"))
    inner = block(torch.ones(1, 1, 8, 8, dtype=torch.float64))[..., 4:-4, 4:-4]
    assert (inner.min() == inner.max()) == even
    if not even:  # Odena et al. 2016: 1 to 2 along a side, 1 to 4 in two dimensions
        assert inner.flatten().unique().tolist() == [1, 2, 4]


def test_the_four_channels_of_a_pixel_are_dealt_out_row_by_row() -> None:
    block = up({"kind": "pixel_shuffle", "kernel": 1}, inputs=1, outputs=2)
    nn.init.zeros_(block.get_parameter("conv.weight"))
    block.get_parameter("conv.bias").data = torch.arange(8.0, dtype=torch.float64)
    output = block(torch.zeros(1, 1, 1, 1, dtype=torch.float64))
    assert output.tolist() == [[[[0, 1], [2, 3]], [[4, 5], [6, 7]]]]


@pytest.mark.parametrize("mode", ["nearest", "bilinear"])
def test_resizing_leaves_corners_where_they_are(mode: str) -> None:
    block = up({"kind": "resize", "mode": mode, "kernel": 1}, inputs=1, outputs=1)
    nn.init.ones_(block.get_parameter("conv.weight"))
    nn.init.zeros_(block.get_parameter("conv.bias"))
    row = block(torch.tensor([[[[0.0, 4.0, 8.0]]]], dtype=torch.float64))[0, 0, 0]
    # Centres lie at 1/4 and 3/4 of a pixel; the outermost pixels are repeated.
    expected = [0, 0, 4, 4, 8, 8] if mode == "nearest" else [0, 1, 3, 5, 7, 8]
    assert row.tolist() == expected


@pytest.mark.parametrize("kernel", [1, 3])
def test_icnr_starts_the_four_kernels_of_a_channel_alike(kernel: int) -> None:
    plain = up({"kind": "pixel_shuffle", "kernel": kernel})
    alike = up({"kind": "pixel_shuffle", "kernel": kernel, "init": "icnr"})
    for all_four, tied in zip(conv(plain), conv(alike), strict=True):
        assert tied.shape[0] == 24
        assert torch.equal(tied, all_four[::4].repeat_interleave(4, 0))
        assert len(tied.flatten(1).unique(dim=0) if tied.dim() > 1 else tied.unique()) == 6


def test_icnr_starts_in_another_way_with_another_seed() -> None:
    one, other = (up({"kind": "pixel_shuffle", "init": "icnr"}, seed=seed) for seed in (0, 1))
    assert not torch.equal(conv(one)[0], conv(other)[0])


def test_icnr_holds_for_a_block_that_is_only_built() -> None:
    context = {"kind": "pixel_shuffle", "init": "icnr"}, "kind", 4, 6
    output = catalog.build("blocks/up", *context)(images(3, 3).float())
    assert torch.equal(output, functional.interpolate(output[..., ::2, ::2], scale_factor=2.0))


def test_icnr_is_a_start_and_no_constraint() -> None:
    block = up({"kind": "pixel_shuffle", "init": "icnr"})
    target = torch.randn(2, 6, 8, 8, generator=torch.Generator().manual_seed(1)).double()
    optimizer = torch.optim.SGD(block.parameters(), lr=0.1)
    (block(images(4, 4)) - target).square().mean().backward()
    optimizer.step()
    kernels = conv(block)[0].view(6, 4, 4, 3, 3)
    assert not torch.allclose(kernels[:, 0], kernels[:, 1])


@pytest.mark.parametrize(
    ("written", "where", "message"),
    [
        (
            {"kind": "transposed", "kernel": 5},
            ("up", "kernel"),
            "should be 2, 3, 4 or 6, not 5",
        ),
        (
            {"kind": "pixel_shuffle", "init": "incr"},
            ("up", "init"),
            "should be 'default' or 'icnr', not 'incr'",
        ),
        (
            {"kind": "resize", "mode": "bicubic"},
            ("up", "mode"),
            "should be 'nearest' or 'bilinear', not 'bicubic'",
        ),
        (
            {"kind": "resize", "kernel": 4},
            ("up", "kernel"),
            "a kernel must be odd, so that the output lies on the input's grid; got 4",
        ),
        (
            {"kind": "pixelshuffle"},
            ("up", "kind"),
            "unknown up block 'pixelshuffle'; did you mean 'pixel_shuffle'?",
        ),
    ],
)
def test_what_a_suite_may_not_set_is_refused(
    written: dict[str, Any], where: tuple[str, ...], message: str
) -> None:
    _, problems = expand(Up.model_validate(written), loc=("up",))
    assert [(loc, text) for loc, _, text in problems] == [(where, message)]
