"""Mechanisms that compute the same function, once their weights are tied in the right way.

What two blocks have in common exactly cannot be what makes one better than the other. Everything is
in float64 on random inputs and weights; outputs are of the order of 1 and must agree to `EXACT`.
"""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from ablate import catalog, networks
from ablate.components import Network, expand

EXACT = 1e-12
SIZES = [(8, 8), (7, 10), (2, 3)]


def tensor(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def conv(kind: str, inputs: int, outputs: int, stride: int = 1, **options: Any) -> nn.Module:
    """A conv block in float64, with weights of its own for every path."""
    component = {"kind": kind, **options}
    context = inputs, outputs, stride, nn.BatchNorm2d, nn.ReLU
    block: nn.Module = catalog.build("blocks/conv", component, "kind", *context)
    networks.initialise(block, 0)
    return block.double().eval()


def up(kind: str, **options: Any) -> nn.Module:
    """An up block from 4 to 6 channels in float64, with weights of its own."""
    block: nn.Module = catalog.build("blocks/up", {"kind": kind, **options}, "kind", 4, 6)
    networks.initialise(block, 0)
    return block.double().eval()


def tie(block: nn.Module, kernels: Tensor, biases: Tensor) -> None:
    """Give an up block the weights that make it the same as another one."""
    block.load_state_dict({"conv.weight": kernels, "conv.bias": biases})


def weight(block: nn.Module, path: str = "weight") -> Tensor:
    return block.get_parameter(path).detach()


def staged(**options: Any) -> nn.Module:
    """A staged network for 3x32x32 images in float64, its running averages as if it had trained."""
    component, problems = expand(Network.model_validate({"family": "staged", **options}))
    assert problems == []
    network: nn.Module = catalog.build("networks", component, "family", (3, 32, 32), 10)
    networks.initialise(network, 0)
    for path, module in network.named_modules():
        if isinstance(module, nn.BatchNorm2d):
            seed = len(path)
            nn.init.normal_(module.weight, generator=torch.Generator().manual_seed(seed))
            module.running_mean.copy_(tensor(module.num_features, seed=seed))
            module.running_var.copy_(tensor(module.num_features, seed=seed).square() + 0.5)
    return network.double().eval()


def assert_same(one: Tensor, other: Tensor) -> None:
    assert one.shape == other.shape
    assert one.abs().max() > 0.01
    torch.testing.assert_close(one, other, rtol=EXACT, atol=EXACT)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kernel", [1, 3, 5])
def test_a_strided_convolution_is_the_full_one_with_outputs_left_out(
    kernel: int, size: tuple[int, int]
) -> None:
    full, strided = (conv("normal", 4, 6, stride, kernel=kernel) for stride in (1, 2))
    x = tensor(2, 4, *size)
    assert_same(full(x)[..., ::2, ::2], strided(x))


def test_a_strided_network_is_the_dense_one_that_skips_pixels() -> None:
    # What replaces a pooling is the reduction alone: the same layer, then every second pixel.
    strided = staged(stages=[[8, 8], [12, 12]], down="strided")
    dense = staged(stages=[[8, 8], [12, 12]], down="maxpool")
    dense.get_submodule("features.stage1.layer2").add_module("pool", nn.MaxPool2d(1, stride=2))
    x = tensor(2, 3, 32, 32)
    assert_same(strided(x), dense(x))


def spread_by_average(kernel: Tensor) -> Tensor:
    """The 4x4 kernel of a 3x3 convolution and a 2x2 average pooling.

    Each of its 16 weights is the mean of what the 3x3 kernel has there at the four places to which
    the four pixels put it: 9 free numbers in 16.
    """
    places = [(right, 1 - right, below, 1 - below) for right in (0, 1) for below in (0, 1)]
    return torch.stack([functional.pad(kernel, place) for place in places]).mean(0)


@pytest.mark.parametrize("size", [(8, 8), (7, 10), (2, 3)])
def test_a_convolution_and_an_average_pooling_are_a_4x4_stride_of_tied_weights(
    size: tuple[int, int],
) -> None:
    block = conv("normal", 4, 6)
    x = tensor(2, 4, *size)
    tied = spread_by_average(weight(block))
    assert tied.shape == (6, 4, 4, 4)
    assert_same(functional.avg_pool2d(block(x), 2), functional.conv2d(x, tied, stride=2, padding=1))


def test_a_4x4_stride_in_a_network_can_be_its_convolution_and_average_pooling() -> None:
    # But for the activation in between: a mean of activations is no activation of the mean.
    options: dict[str, Any] = {"stages": [[8, 8], [12, 12]], "norm": "none"}
    pooled = staged(**options, down="avgpool")
    strided = staged(**options, down={"kind": "strided", "kernel": 4})
    path = "features.stage1.layer2.conv.weight"
    tied = pooled.state_dict()
    tied[path] = spread_by_average(tied[path])
    strided.load_state_dict(tied)
    for network in (pooled, strided):
        network.get_submodule("features.stage1.layer2").add_module("act", nn.Identity())
    x = tensor(2, 3, 32, 32)
    assert_same(pooled(x), strided(x))


def test_addition_is_concatenation_of_tied_weights() -> None:
    around, through = tensor(2, 4, 7, 9), tensor(2, 4, 7, 9, seed=1)
    context = 4, 4, nn.BatchNorm2d, nn.ReLU
    added, joined = (
        catalog.build("blocks/merge", {"kind": kind}, "kind", *context)(around, through)
        for kind in ("add", "concat")
    )
    once = tensor(6, 4, 3, 3, seed=2)
    twice = torch.cat((once, once), 1)
    assert_same(functional.conv2d(added, once), functional.conv2d(joined, twice))


@pytest.mark.parametrize("span", [1, 2])
@pytest.mark.parametrize("project", ["none", "pointwise"])
@pytest.mark.parametrize("down", ["maxpool", "strided", "blurpool"])
def test_a_network_that_adds_is_one_that_concatenates_with_tied_weights(
    down: str, project: str, span: int
) -> None:
    options: dict[str, Any] = {"stages": [[8] * 5, [12] * 3, [8, 8]], "down": down, "span": span}
    added, joined = (
        staged(**options, merge={"kind": kind, "project": project}) for kind in ("add", "concat")
    )
    tied = {}
    for path, value in joined.state_dict().items():
        own = added.state_dict()[path]
        copies = value.shape[1] // own.shape[1] if value.dim() > 1 else 1
        tied[path] = torch.cat([own] * copies, 1) if copies > 1 else own
    assert any(value.shape != added.state_dict()[path].shape for path, value in tied.items())
    joined.load_state_dict(tied)
    x = tensor(2, 3, 32, 32)
    assert_same(added(x), joined(x))


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("groups", [2, 4])
def test_a_grouped_convolution_is_parallel_convolutions_side_by_side(
    groups: int, stride: int
) -> None:
    block = conv("grouped", 8, 12, stride, groups=groups)
    x = tensor(2, 8, 7, 9)
    parts = zip(x.chunk(groups, 1), weight(block, "grouped.weight").chunk(groups), strict=True)
    apart = [functional.conv2d(part, w, stride=stride, padding=1) for part, w in parts]
    assert_same(block(x), torch.cat(apart, 1))


def test_a_grouped_convolution_is_a_full_one_with_zeros_between_groups() -> None:
    block = conv("grouped", 8, 12, groups=4)
    full = torch.zeros(12, 8, 3, 3, dtype=torch.float64)
    for group in range(4):
        own = slice(3 * group, 3 * group + 3)
        full[own, 2 * group : 2 * group + 2] = weight(block, "grouped.weight")[own]
    x = tensor(2, 8, 7, 9)
    assert_same(block(x), functional.conv2d(x, full, padding=1))


def test_a_shuffle_only_changes_the_order_of_channels() -> None:
    # So it computes nothing by itself: it is what the *next* grouped convolution reads together.
    plain, shuffled = (conv("grouped", 8, 8, groups=2, then=then) for then in ("none", "shuffle"))
    x = tensor(2, 8, 7, 9)
    assert_same(plain(x)[:, [0, 4, 1, 5, 2, 6, 3, 7]], shuffled(x))


def test_groups_of_one_channel_and_a_1x1_are_depthwise_separable() -> None:
    grouped = conv("grouped", 8, 8, groups=8, then="pointwise")
    separable = conv("depthwise_separable", 8, 8)
    tied = {
        "depthwise.weight": weight(grouped, "grouped.weight"),
        "pointwise.weight": weight(grouped, "pointwise.weight"),
    }
    separable.load_state_dict(tied)
    x = tensor(2, 8, 7, 9)
    assert_same(grouped(x), separable(x))


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("dilation", [1, 2, 3])
def test_a_dilated_convolution_is_one_with_zeros_between_its_taps(
    dilation: int, kernel: int, stride: int
) -> None:
    block = conv("dilated", 4, 6, stride, kernel=kernel, dilation=dilation)
    side = (kernel - 1) * dilation + 1
    stuffed = torch.zeros(6, 4, side, side, dtype=torch.float64)
    stuffed[..., ::dilation, ::dilation] = weight(block)
    x = tensor(2, 4, 9, 11)
    assert_same(block(x), functional.conv2d(x, stuffed, stride=stride, padding=side // 2))


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize(("kernel", "size"), [(3, (7, 9)), (5, (7, 9)), (3, (1, 2))])
def test_a_spatially_separable_convolution_has_kernels_of_few_outer_products(
    kernel: int, size: tuple[int, int], stride: int
) -> None:
    # One outer product of a column and a row for each channel in between, so with one channel in
    # between its kernels have rank 1.
    block = conv("spatially_separable", 4, 6, stride, kernel=kernel)
    columns = weight(block, "vertical.weight")[..., 0]  # (mid, in, kernel)
    rows = weight(block, "horizontal.weight")[:, :, 0]  # (out, mid, kernel)
    full = torch.einsum("omx,miy->oiyx", rows, columns)
    x = tensor(2, 4, *size)
    assert_same(block(x), functional.conv2d(x, full, stride=stride, padding=kernel // 2))


def test_a_spatially_separable_convolution_of_one_channel_has_a_kernel_of_rank_1() -> None:
    block = conv("spatially_separable", 1, 1)
    kernel = torch.outer(
        weight(block, "vertical.weight").flatten(), weight(block, "horizontal.weight").flatten()
    )
    assert torch.linalg.matrix_rank(kernel) == 1
    x = tensor(2, 1, 7, 9)
    assert_same(block(x), functional.conv2d(x, kernel[None, None], padding=1))


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("kernel", [3, 5])
def test_a_depthwise_separable_convolution_is_a_full_one_of_factorised_kernels(
    kernel: int, stride: int
) -> None:
    block = conv("depthwise_separable", 4, 6, stride, kernel=kernel)
    full = weight(block, "pointwise.weight") * weight(block, "depthwise.weight")[:, 0]
    assert full.shape == (6, 4, kernel, kernel)
    x = tensor(2, 4, 7, 9)
    assert_same(block(x), functional.conv2d(x, full, stride=stride, padding=kernel // 2))


def test_stacked_convolutions_without_an_activation_are_one_larger_convolution() -> None:
    # Away from the border, where the larger one would need what lies beyond the zeros.
    block = conv("stacked", 4, 6, mid="none")
    first, second = weight(block, "conv1.weight"), weight(block, "conv2.weight")
    full = functional.conv2d(first.transpose(0, 1), second.flip(2, 3), padding=2).transpose(0, 1)
    assert full.shape == (6, 4, 5, 5)
    x = tensor(2, 4, 9, 9)
    assert_same(block(x)[..., 2:-2, 2:-2], functional.conv2d(x, full))


def as_one_kernel(shuffled: nn.Module) -> Tensor:
    """The kernel of 6x6 that a transposed convolution needs to be a pixel shuffle after a 3x3."""
    four = weight(shuffled, "conv.weight")
    # Tap m of place (a, b) becomes tap 2·(2 - m) + a, since a transposed convolution looks back.
    places = four.reshape(-1, 2, 2, four.shape[1], 3, 3).flip(4, 5)  # (out, a, b, in, m, m)
    return places.permute(3, 0, 4, 1, 5, 2).reshape(four.shape[1], -1, 6, 6)


@pytest.mark.parametrize("init", ["default", "icnr"])
@pytest.mark.parametrize("size", [(1, 1), (4, 5), (7, 3)])
def test_a_pixel_shuffle_after_3x3_is_a_transposed_convolution_of_6x6(
    size: tuple[int, int], init: str
) -> None:
    shuffled, transposed = up("pixel_shuffle", init=init), up("transposed", kernel=6)
    tie(transposed, as_one_kernel(shuffled), weight(transposed, "conv.bias"))
    # Four biases for each of the other's, if they are equal.
    repeated = weight(transposed, "conv.bias").repeat_interleave(4)
    tie(shuffled, weight(shuffled, "conv.weight"), repeated)
    x = tensor(2, 4, *size)
    assert_same(shuffled(x), transposed(x))


def test_what_a_pixel_shuffle_has_more_is_a_lattice_of_biases() -> None:
    shuffled, transposed = up("pixel_shuffle"), up("transposed", kernel=6)
    four = weight(shuffled, "conv.bias").reshape(6, 2, 2)
    tie(transposed, as_one_kernel(shuffled), four.mean((1, 2)))
    x = tensor(2, 4, 4, 5)
    lattice = (four - four.mean((1, 2), keepdim=True)).tile(4, 5).expand(2, 6, 8, 10)
    assert_same(shuffled(x) - transposed(x), lattice)


def test_a_pixel_shuffle_with_icnr_starts_as_a_convolution_and_nearest() -> None:
    shuffled = up("pixel_shuffle", init="icnr")
    x = tensor(2, 4, 7, 9)
    first = weight(shuffled, "conv.weight")[::4], weight(shuffled, "conv.bias")[::4]
    convolved = functional.conv2d(x, *first, padding=1)
    assert_same(shuffled(x), functional.interpolate(convolved, scale_factor=2.0))


@pytest.mark.parametrize("size", [(1, 1), (4, 5), (7, 3)])
def test_nearest_and_3x3_are_a_transposed_convolution_of_4x4_with_tied_weights(
    size: tuple[int, int],
) -> None:
    resized, transposed = up("resize"), up("transposed", kernel=4)
    # Along a side the taps that fall on one pixel add up: w2, w1 + w2, w0 + w1, w0.
    sums = torch.tensor([[0, 0, 1], [0, 1, 1], [1, 1, 0], [1, 0, 0]], dtype=torch.float64)
    assert torch.linalg.matrix_rank(torch.kron(sums, sums)) == 9  # free, of the 16
    tied = torch.einsum("yp,xq,oipq->ioyx", sums, sums, weight(resized, "conv.weight"))
    tie(transposed, tied, weight(resized, "conv.bias"))
    x = tensor(2, 4, *size)
    assert_same(resized(x), transposed(x))


def test_bilinear_and_3x3_lie_within_a_transposed_convolution_of_6x6() -> None:
    resized, transposed = up("resize", mode="bilinear"), up("transposed", kernel=6)
    # Bilinear is a transposed convolution by (1, 3, 3, 1) / 4 along each side.
    ramp = torch.tensor([1, 3, 3, 1], dtype=torch.float64) / 4
    kernels = weight(resized, "conv.weight").reshape(24, 1, 3, 3)
    whole = functional.conv2d(torch.outer(ramp, ramp)[None, None], kernels, padding=2)
    tied = whole.reshape(6, 4, 6, 6).transpose(0, 1)
    tie(transposed, tied, weight(resized, "conv.bias"))
    x = tensor(2, 4, 9, 11)
    # At the border bilinear repeats the outermost pixels, which the other knows nothing of.
    assert_same(resized(x)[..., 2:-2, 2:-2], transposed(x)[..., 2:-2, 2:-2])
    assert not torch.allclose(resized(x), transposed(x), atol=1e-3)
