"""Measures of checkerboards against closed forms, by hand, and where they do not apply."""

import copy
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from ablate import catalog, networks
from ablate.metrics import (
    Outcome,
    dc_gain,
    gradient_phase_variance,
    input_coverage,
    lattice_contrast,
    phase_variance,
    up_phase_variance,
)
from ablate.records import Measurement

FACTS = [dc_gain, up_phase_variance, gradient_phase_variance]
pytestmark = pytest.mark.usefixtures("single_thread")

SHAPE = (3, 32, 32)
SAMPLES = [
    pytest.param(family, options, id=f"{family}-{number}")
    for family in catalog.names("networks")
    for number, options in enumerate(catalog.load("networks", family).SAMPLES)
]
TRANSPOSED: list[Any] = [{"kind": "transposed", "kernel": kernel} for kernel in (2, 3, 4, 6)]
ICNR = {"kind": "pixel_shuffle", "init": "icnr"}
SMOOTH: list[Any] = [ICNR, "resize", {"kind": "resize", "mode": "bilinear"}]
DOWN: list[Any] = ["maxpool", "avgpool", "blurpool", {"kind": "blurpool", "of": "conv"}]


def built(family: str, **options: Any) -> nn.Module:
    component = {"family": family, **options}
    network: nn.Module = catalog.build("networks", component, "family", SHAPE, SHAPE[0])
    return network


def up(block: Any, inputs: int = 32, outputs: int = 32) -> nn.Module:
    component = {"kind": block} if isinstance(block, str) else block
    layer: nn.Module = catalog.build("blocks/up", component, "kind", inputs, outputs)
    return layer


def measured(metric: Any, network: nn.Module, shape: tuple[int, int, int]) -> Measurement:
    found: Measurement | None = metric.measure(network, shape)
    assert found is not None
    assert found.value is not None
    return found


def error_of(found: Measurement) -> float:
    """The standard error of a mean over the initialisations."""
    return float(found.detail["sd"] / math.sqrt(len(found.detail["values"])))


# --- DC gain --------------------------------------------------------------------------------------


def gains(conv: nn.ConvTranspose2d, levels: Tensor) -> Tensor:
    """What constants (n, in) are answered by, (n, out, phases), added up from the weights."""
    (rows, columns), (top, left) = conv.stride, conv.padding
    assert conv.bias is not None
    phases = []
    for y in range(rows):
        for x in range(columns):
            taps = conv.weight[:, :, (y + top) % rows :: rows, (x + left) % columns :: columns]
            phases.append(levels @ taps.sum((2, 3)) + conv.bias)
    return torch.stack(phases, dim=2).detach().double()


def variation(phases: Tensor) -> float:
    between = phases.var(2, correction=0).mean()
    return float((between / phases.mean(2).square().mean()).sqrt())


@pytest.mark.parametrize(
    "conv",
    [
        nn.ConvTranspose2d(5, 4, 2, stride=2),
        nn.ConvTranspose2d(5, 4, 4, stride=2, padding=1),
        nn.ConvTranspose2d(5, 1, 3, stride=2),
        nn.ConvTranspose2d(5, 4, 4, stride=3, padding=2, output_padding=1),
        nn.ConvTranspose2d(5, 4, (3, 6), stride=(1, 3)),
    ],
)
def test_the_dc_gain_is_the_sum_of_the_weights_of_each_phase(conv: nn.ConvTranspose2d) -> None:
    draws = torch.Generator().manual_seed(0)
    expected = []
    for seed in range(20):
        networks.initialise(conv, seed)
        levels = torch.randn(16, 5, generator=draws)
        expected.append(variation(gains(conv, levels)))
    found = measured(dc_gain, conv, (5, 8, 8))
    assert found.detail["values"] == pytest.approx(expected, rel=1e-4)
    assert found.value == pytest.approx(np.mean(expected))
    assert found.detail["sd"] == pytest.approx(np.std(expected, ddof=1))
    assert found.detail["null"] == 0


@pytest.mark.parametrize(
    ("kernel", "stride"), [(2, 2), (3, 2), (4, 2), (5, 2), (6, 2), (3, 3), (4, 3), (4, 4)]
)
def test_independent_weights_have_the_dc_gain_of_the_closed_form(kernel: int, stride: int) -> None:
    conv = nn.ConvTranspose2d(32, 32, kernel, stride=stride, bias=False)
    found = measured(dc_gain, conv, (32, 8, 8))
    assert abs(found.value - math.sqrt(stride**2 - 1)) < 4 * error_of(found)
    assert error_of(found) < 0.05 * math.sqrt(stride**2 - 1)


def test_a_shared_bias_lowers_the_dc_gain() -> None:
    """Of variances: 3/4 of a phase's 32 weights, over 1/4 of them and a bias."""
    found = measured(dc_gain, nn.ConvTranspose2d(32, 32, 2, stride=2), (32, 8, 8))
    assert abs(found.value - math.sqrt((32 * 3 / 4) / (32 / 4 + 1))) < 4 * error_of(found)


# Kernel, stride; of one initialisation of a layer, answering ones: the DC-gain variation; and its
# phase variance. Of pixel shuffle: None.
PUBLISHED = [
    (2, 2, 1.95, 0.70),
    (4, 2, 1.48, 0.61),
    (3, 2, 2.0, 0.69),
    (5, 2, 1.8, 0.64),
    (4, 3, 2.5, 0.79),
]


@pytest.mark.parametrize(("kernel", "stride", "gain", "share"), PUBLISHED)
def test_single_initialisations_lie_among_ours(
    kernel: int, stride: int, gain: float, share: float
) -> None:
    conv = nn.ConvTranspose2d(16, 16, kernel, stride=stride)
    shares = measured(up_phase_variance, conv, (16, 8, 8))
    assert abs(shares.value - share) < 3 * shares.detail["sd"]
    # A single input of ones varies more from one initialisation to the next than several inputs
    # do, and as theirs does; the level is the same.
    ones = []
    for seed in range(20):
        networks.initialise(conv, seed)
        ones.append(variation(gains(conv, torch.ones(1, 16))))
    assert abs(np.mean(ones) - gain) < 2 * np.std(ones)
    found = measured(dc_gain, conv, (16, 8, 8))
    assert found.detail["sd"] < np.std(ones)
    assert abs(np.mean(ones) - found.value) < 3 * np.std(ones) / math.sqrt(20)


def test_a_single_initialisation_of_pixel_shuffle_lies_among_ours() -> None:
    block = up("pixel_shuffle", 16, 16)
    for metric, theirs in ((dc_gain, 1.83), (up_phase_variance, 0.62)):
        found = measured(metric, block, (16, 8, 8))
        assert abs(found.value - theirs) < 2 * found.detail["sd"]


@pytest.mark.parametrize("outputs", [1, 3, 16])
@pytest.mark.parametrize("block", SMOOTH)
def test_resize_convolution_and_icnr_have_no_lattice(block: Any, outputs: int) -> None:
    assert measured(dc_gain, up(block, 16, outputs), (16, 8, 8)).value == 0
    found = measured(up_phase_variance, up(block, 16, outputs), (16, 8, 8))
    assert max(found.detail["values"]) < 1e-3
    assert found.detail["null"] < 1e-3


@pytest.mark.parametrize("mode", ["nearest", "bilinear", "bicubic"])
def test_interpolation_alone_has_no_lattice(mode: str) -> None:
    network = built("interpolation", mode=mode)
    assert measured(dc_gain, network, SHAPE).value == 0
    found = measured(up_phase_variance, network, SHAPE)
    assert found.value < 1e-4
    assert found.detail["by_layer"].keys() == {"head"}


# --- phase variance -------------------------------------------------------------------------------


@settings(max_examples=30, deadline=None, derandomize=True)
@given(
    stride=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    periods=st.tuples(st.integers(1, 6), st.integers(1, 6)),
    lattice=st.sampled_from([0.0, 0.5, 3.0]),
    seed=st.integers(0, 99),
)
def test_phase_variance_is_the_energy_at_the_frequencies_of_any_lattice(
    stride: tuple[int, int], periods: tuple[int, int], lattice: float, seed: int
) -> None:
    draws = np.random.RandomState(seed)
    height, width = (a * b for a, b in zip(stride, periods, strict=True))
    cell = draws.randn(2, *stride)
    image = 5 + draws.randn(2, height, width) + lattice * np.tile(cell, (1, *periods))
    energy = (np.abs(np.fft.fft2(image)) ** 2).sum(0)
    energy[0, 0] = 0
    bins = energy[:: periods[0], :: periods[1]].sum()
    (found,) = phase_variance.per_image(torch.from_numpy(image)[None], stride).tolist()
    expected = bins / energy.sum() if height * width > 1 else 0
    assert found == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(
    ("height", "width", "stride"), [(12, 12, (3, 3)), (8, 10, (2, 1)), (8, 8, (4, 2))]
)
def test_the_level_of_white_noise_on_any_lattice(
    height: int, width: int, stride: tuple[int, int]
) -> None:
    noise = torch.randn(4000, 1, height, width, generator=torch.Generator().manual_seed(0))
    found = phase_variance.per_image(noise, stride)
    expected = phase_variance.of_white_noise(height, width, stride)
    assert abs(found.mean().item() - expected) < 4 * found.std().item() / math.sqrt(4000)


def test_of_a_stride_of_one_there_is_no_lattice() -> None:
    assert phase_variance.of_white_noise(8, 8, (1, 1)) == 0
    assert phase_variance.per_image(torch.rand(2, 3, 5, 7), (1, 1)).tolist() == pytest.approx(
        [0, 0], abs=1e-9
    )


def share(phases: int) -> float:
    """The expected phase variance of independent weights and noise of mean 1/2, variance 1/12."""
    lattice = (phases - 1) / phases / 4
    return lattice / (lattice + 1 / 12)


@pytest.mark.parametrize(
    ("kernel", "stride"), [(2, 2), (3, 2), (4, 2), (6, 2), (3, 3), (4, 3), ((2, 4), (1, 2))]
)
def test_independent_weights_have_the_phase_variance_of_the_closed_form(
    kernel: Any, stride: Any
) -> None:
    conv = nn.ConvTranspose2d(16, 32, kernel, stride=stride, bias=False)
    found = measured(up_phase_variance, conv, (16, 8, 8))
    expected = share(math.prod(conv.stride))
    # A mean of ratios lies a little below the ratio of means.
    assert abs(found.value - expected) < 4 * error_of(found)
    assert found.value == pytest.approx(expected, rel=0.05)


def test_the_expected_share_of_a_lattice_of_two_pixels() -> None:
    assert share(4) == pytest.approx(9 / 13)


def test_up_phase_variance_is_that_of_what_a_layer_makes_of_noise() -> None:
    layer = nn.ConvTranspose2d(5, 4, 3, stride=2, padding=1, output_padding=1)
    draws = torch.Generator().manual_seed(0)
    expected = []
    for seed in range(20):
        networks.initialise(layer, seed)
        output = (
            layer(torch.rand(1, 5, 48, 48, generator=draws))[0, :, 8:-8, 8:-8]
            .detach()
            .double()
            .numpy()
        )
        means = np.stack([output[:, y::2, x::2].mean((1, 2)) for y in (0, 1) for x in (0, 1)])
        expected.append(means.var(0).sum() / output.var((1, 2)).sum())
    found = measured(up_phase_variance, layer, (5, 8, 8))
    assert found.detail["values"] == pytest.approx(expected, rel=1e-3)
    assert found.value == pytest.approx(np.mean(expected), rel=1e-3)
    assert found.detail["null"] == pytest.approx(3 / (80 * 80 - 1))


# --- phase variance of gradients ------------------------------------------------------------------


def test_a_stride_of_a_1x1_convolution_by_hand() -> None:
    """One weight, whatever it is: three pixels of four get nothing, the fourth gets noise.

    With u for the weights in the sum, of mean 1/2 and mean square 1/3, the phases' means are
    (1/2, 0, 0, 0), of variance 3/64, and the pixels' mean square is 1/12, their mean 1/8: 3/64 of
    1/12 - 1/64, which is 9/13.
    """
    conv = nn.Conv2d(1, 1, 1, stride=2)
    found = measured(gradient_phase_variance, conv, (1, 8, 8))
    assert found.detail["values"] == pytest.approx([9 / 13] * 20, abs=0.08)
    assert found.value == pytest.approx(9 / 13, abs=0.02)


def test_the_gradient_is_what_a_transposed_convolution_makes_of_the_weights() -> None:
    conv = nn.Conv2d(5, 4, 3, stride=2, padding=1)
    draws = torch.Generator().manual_seed(0)
    expected = []
    for seed in range(20):
        networks.initialise(conv, seed)
        torch.randn(1, 5, 48, 48, generator=draws)  # the input, on which nothing depends here
        weights = torch.rand(1, 4, 24, 24, generator=draws)
        gradient = functional.conv_transpose2d(
            weights, conv.weight, stride=2, padding=1, output_padding=1
        )
        inner = gradient[0, :, 8:-8, 8:-8].detach().double().numpy()
        means = np.stack([inner[:, y::2, x::2].mean((1, 2)) for y in (0, 1) for x in (0, 1)])
        expected.append(means.var(0).sum() / inner.var((1, 2)).sum())
    found = measured(gradient_phase_variance, conv, (5, 8, 8))
    assert found.detail["values"] == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("kernel", [1, 2, 3, 4])
def test_a_stride_has_a_lattice_however_evenly_it_looks(kernel: int) -> None:
    conv = nn.Conv2d(32, 32, kernel, stride=2, padding=(kernel - 1) // 2)
    found = measured(gradient_phase_variance, conv, (32, 8, 8))
    assert abs(found.value - 9 / 13) < 4 * error_of(found)
    uneven = measured(input_coverage, conv, (32, 8, 8)).value
    assert (uneven == 0) == (kernel % 2 == 0)


@pytest.mark.parametrize("down", DOWN)
def test_pooling_has_no_lattice(down: Any) -> None:
    network = built("staged", stages=[[4], [4], [4]], down=down)
    found = measured(gradient_phase_variance, network, SHAPE)
    assert found.value < 1.5 * found.detail["null"]
    assert len(found.detail["by_layer"]) == 2  # and not the global pooling
    strided = built("staged", stages=[[4], [4], [4]], down="strided")
    assert measured(gradient_phase_variance, strided, SHAPE).value > 0.5


def test_pooling_whose_windows_overlap_unevenly_has_one() -> None:
    for pool in (nn.MaxPool2d(3, stride=2, padding=1), nn.AvgPool2d(3, stride=2, padding=1)):
        found = measured(gradient_phase_variance, pool, (8, 16, 16))
        assert found.value > 10 * found.detail["null"]


def test_why_the_weights_in_the_sum_are_neither_ones_nor_of_zero_mean() -> None:
    conv = nn.Conv2d(16, 16, 2, stride=2)
    noise = torch.randn(1, 16, 64, 64, requires_grad=True)
    output = conv(noise)
    shares = []
    for weights in (torch.ones_like(output), torch.randn_like(output)):
        (gradient,) = torch.autograd.grad(output, noise, weights, retain_graph=True)
        shares.append(phase_variance.per_image(gradient).item())
    assert shares[0] == pytest.approx(1, abs=1e-3)
    assert shares[1] < 5 * phase_variance.of_white_noise(64, 64)


def test_null_levels_are_where_gradients_of_noise_lie() -> None:
    found = measured(gradient_phase_variance, nn.PixelUnshuffle(2), (8, 16, 16))
    assert found.detail["null"] == pytest.approx(3 / (32 * 32 - 1))
    assert abs(found.value - found.detail["null"]) < 4 * error_of(found)


# --- which layers ---------------------------------------------------------------------------------


class Calls(nn.Module):
    """A network that is a function and what it needs."""

    def __init__(self, function: Callable[..., Tensor], *parts: nn.Module) -> None:
        super().__init__()
        self.function = function
        self.parts = nn.ModuleList(parts)

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x, *self.parts)


def doubled(x: Tensor, *convs: nn.Module) -> Tensor:
    for conv in convs:
        x = conv(functional.interpolate(x, scale_factor=2))
    return x


def conv(inputs: int = 3, outputs: int = 3, **options: Any) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, padding=1, **options)


SHARED = nn.ConvTranspose2d(3, 3, 2, stride=2)


@pytest.mark.parametrize(
    ("network", "enlarging", "reducing"),
    [
        (SHARED, [""], []),
        (nn.Sequential(conv(), SHARED, nn.ReLU(), SHARED), ["1"], []),
        # an interpolation and the convolution after it are one layer
        (nn.Sequential(conv(), nn.Sequential(nn.Upsample(scale_factor=2), conv())), ["1"], []),
        (nn.Sequential(conv(3, 12), nn.PixelShuffle(2)), [""], []),
        (Calls(doubled, conv()), [""], []),
        # with nothing around that enlarges, an interpolation stands for itself
        (
            nn.Sequential(conv(stride=2), nn.Upsample(scale_factor=2), conv()),
            ["1"],
            ["0"],
        ),
        (
            nn.Sequential(
                nn.Sequential(nn.Upsample(scale_factor=2), conv()),
                nn.MaxPool2d(2),
                nn.AdaptiveAvgPool2d(4),
                nn.ConvTranspose2d(3, 3, 4, stride=2, padding=1),
            ),
            ["0", "3"],
            ["1"],
        ),
        # a change of size is not one of resolution
        (nn.Sequential(nn.Conv2d(3, 3, 5), nn.MaxPool2d(3, stride=1)), [], []),
        (nn.Sequential(nn.ConvTranspose2d(3, 3, 5)), [], []),
        (nn.Conv2d(3, 3, 1, padding=4), [], []),
        (nn.Upsample(size=64), [], []),
        (nn.Sequential(conv(), nn.AdaptiveAvgPool2d(1)), [], []),
        (nn.Sequential(nn.AvgPool2d(32)), [], []),
        (Calls(lambda x, layer: functional.max_pool2d(layer(x), 2), nn.Conv2d(3, 3, 3)), [], [""]),
        (Calls(lambda x: functional.avg_pool2d(x, x.shape[2:])), [], []),
        (nn.Sequential(nn.Flatten(), nn.Linear(3 * 1024, 10)), [], []),
        (nn.Sequential(nn.ReLU(inplace=True), nn.PixelUnshuffle(2)), [], ["1"]),
    ],
)
def test_layers_are_told_by_what_they_do(
    network: nn.Module, enlarging: list[str], reducing: list[str]
) -> None:
    for metric, expected in zip(FACTS, (enlarging, enlarging, reducing), strict=True):
        found = metric.measure(network, SHAPE)
        assert (found is None) == (expected == [])
        if found is not None:
            assert list(found.detail["by_layer"]) == expected


def test_strides_of_any_size_are_found() -> None:
    for stride in (2, 3, 4, 7, 16):
        patches = nn.Conv2d(3, 8, stride, stride=stride)
        found = measured(gradient_phase_variance, patches, (3, 112, 112))
        assert found.value == pytest.approx(share(stride**2), rel=0.1)
        spread = nn.ConvTranspose2d(16, 4, stride, stride=stride, bias=False)
        found = measured(dc_gain, spread, (16, 8, 8))
        assert abs(found.value - math.sqrt(stride**2 - 1)) < 4 * error_of(found)


def test_the_layer_with_the_largest_mean_is_the_value() -> None:
    network = nn.Sequential(up("resize", 3, 8), up(TRANSPOSED[2], 8, 3))
    for metric in FACTS[:2]:
        found = measured(metric, network, SHAPE)
        assert found.detail["worst"] == "1.conv"
        assert list(found.detail["by_layer"]) == ["0", "1.conv"]
        assert found.value == max(found.detail["by_layer"].values())
        assert found.value == pytest.approx(np.mean(found.detail["values"]))
        assert len(found.detail["values"]) == 20


@pytest.mark.parametrize(
    ("metric", "network", "reason"),
    [
        (
            dc_gain,
            nn.Sequential(conv(), nn.Upsample(scale_factor=(1.5, 2))),
            "1 enlarges by 1.5 x 2: its lattice has no period of whole pixels",
        ),
        (
            up_phase_variance,
            nn.Sequential(nn.Sequential(nn.Upsample(scale_factor=1.25)), nn.Flatten()),
            "0.0 enlarges by 1.25 x 1.25: its lattice has no period of whole pixels",
        ),
        (
            gradient_phase_variance,
            nn.Sequential(nn.Upsample(scale_factor=0.75), nn.Flatten()),
            "0 reduces by 1.33333 x 1.33333: its lattice has no period of whole pixels",
        ),
        (
            dc_gain,
            nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(3, 3, 17)),
            "the network loses too much at the borders",
        ),
    ],
)
def test_a_lattice_that_cannot_be_measured_is_no_figure(
    metric: Any, network: nn.Module, reason: str
) -> None:
    found = metric.measure(network, SHAPE)
    assert found.value is None
    assert found.detail == {"invalid": reason}


class Scaled(nn.Module):
    """A layer with a parameter that no `reset_parameters` sets."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))
        self.up = nn.Upsample(scale_factor=2)

    def forward(self, x: Tensor) -> Tensor:
        return self.up(x) * self.scale


def test_a_layer_that_cannot_be_initialised_is_no_figure() -> None:
    found = dc_gain.measure(nn.Sequential(Scaled()), SHAPE)
    assert found is not None
    assert found.value is None
    assert found.detail["invalid"].startswith("0: no reset_parameters sets scale;")


# --- all of them ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("family", "options"), SAMPLES)
def test_facts_of_lattices_leave_the_network_as_it_was(
    family: str, options: dict[str, Any]
) -> None:
    network = built(family, **options)
    for number, module in enumerate(network.modules()):
        module.training = number % 2 == 0
    for parameter in network.parameters():
        parameter.grad = torch.ones_like(parameter)
    before = copy.deepcopy(network)
    randomness = torch.random.get_rng_state()
    found = [metric.measure(network, SHAPE) for metric in FACTS]
    assert torch.equal(randomness, torch.random.get_rng_state())
    assert [m.training for m in network.modules()] == [m.training for m in before.modules()]
    assert all(not m._forward_hooks for m in network.modules())
    assert all(p.requires_grad and p.grad is not None for p in network.parameters())
    for key, tensor in before.state_dict().items():
        assert torch.equal(tensor, network.state_dict()[key])
    # The same again with other values and in another mode, as they are drawn anew.
    networks.initialise(network, 5)
    with torch.no_grad():
        again = [metric.measure(network.eval(), SHAPE) for metric in FACTS]
    assert again == found
    for it in found:
        assert it is None or it == Measurement.model_validate_json(it.model_dump_json())


def test_what_is_random_in_a_layer_is_so_from_a_fixed_seed() -> None:
    drops = Calls(
        lambda x, conv: functional.interpolate(functional.dropout(conv(x)), scale_factor=2),
        nn.Conv2d(3, 3, 1),
    )
    randomness = torch.random.get_rng_state()
    first = dc_gain.measure(drops, SHAPE)
    assert torch.equal(randomness, torch.random.get_rng_state())
    torch.rand(1)
    assert dc_gain.measure(drops, SHAPE) == first


# --- lattice contrast -----------------------------------------------------------------------------


def contrast(images: Tensor) -> float:
    power, around = lattice_contrast.per_image(images)
    return float(power.sum() / around.sum())


@settings(max_examples=20, deadline=None, derandomize=True)
@given(
    height=st.integers(4, 9),
    width=st.integers(4, 9),
    channels=st.sampled_from([1, 3]),
    seed=st.integers(0, 99),
)
def test_power_at_the_lattice_and_around_it_are_numpys(
    height: int, width: int, channels: int, seed: int
) -> None:
    draws = np.random.RandomState(seed)
    images = 3 + draws.randn(2, channels, 2 * height, 2 * width)
    spectra = np.abs(np.fft.fft2(images - images.mean((2, 3), keepdims=True))) ** 2
    spectra /= 4 * height * width
    powers, medians = [], []
    for row, column in ((height, 0), (0, width), (height, width)):
        # Rolled so that the lattice's bin is the fourth of each axis.
        near = np.roll(spectra, (3 - row, 3 - column), (2, 3))[:, :, :7, :7].reshape(
            2, channels, 49
        )
        powers.append(near[..., 24].mean(1))
        medians.append(np.median(np.delete(near, 24, axis=2), axis=2).mean(1))
    found = lattice_contrast.per_image(torch.from_numpy(images))
    np.testing.assert_allclose(found[0], np.mean(powers, 0), rtol=1e-9)
    np.testing.assert_allclose(found[1], np.mean(medians, 0), rtol=1e-9)


@pytest.mark.parametrize(("channels", "height", "width"), [(1, 8, 8), (3, 24, 24), (2, 10, 16)])
def test_the_contrast_of_white_noise(channels: int, height: int, width: int) -> None:
    draws = torch.Generator().manual_seed(0)
    noise = torch.randn(8000, 1, height, width, generator=draws)
    noise = noise.expand(-1, channels, -1, -1)  # channels that agree: it does not matter
    noise = noise * (0.1 + torch.rand(8000, 1, 1, 1, generator=draws))  # nor images that differ
    power, around = lattice_contrast.per_image(noise)
    ratio = float(power.sum() / around.sum())
    residuals = power - ratio * around
    error = float(residuals.std()) / math.sqrt(8000) / float(around.mean())
    assert abs(ratio - lattice_contrast.WHITE_NOISE) < 4 * error
    assert error < 0.02


def test_the_median_of_exponential_values() -> None:
    draws = np.random.RandomState(0).exponential(size=(200_000, 24))
    expected = 1 / np.median(draws, axis=1).mean()
    assert pytest.approx(expected, rel=0.003) == lattice_contrast.WHITE_NOISE


def test_a_faint_lattice_stands_out_of_a_steep_spectrum() -> None:
    """Smooth errors hide a lattice from the share of variance and not from the contrast."""
    draws = torch.Generator().manual_seed(0)
    coarse = torch.randn(200, 3, 10, 10, generator=draws)
    smooth = functional.interpolate(coarse, scale_factor=4, mode="bicubic")[..., 8:-8, 8:-8]
    noise = 0.1 * torch.randn(200, 3, 24, 24, generator=draws)
    board = 0.05 * torch.tensor([[1.0, -1.0], [-1.0, 1.0]]).tile(12, 12)
    clean, spotted = smooth + noise, smooth + noise + board
    assert phase_variance.per_image(spotted).mean() < 0.05
    assert contrast(spotted) > 10 * contrast(clean)
    assert contrast(spotted - smooth) > 30


def outcome(**test: Any) -> Outcome:
    return Outcome({k: np.array(v) for k, v in test.items()}, [], train_seconds=1.0, images=1)


SCORED = {
    "lattice_power": [1.0, 5.0, 0.0],
    "lattice_surroundings": [0.5, 1.0, 0.0],
    "target_lattice_power": [1.0, 1.0, 1.0],
    "target_lattice_surroundings": [0.25, 0.5, 0.25],
}


def test_the_contrast_of_test_images_is_a_ratio_of_sums() -> None:
    found = lattice_contrast.measure(outcome(**SCORED))
    assert found is not None
    assert found.value == 4
    assert found.detail == {"examples": 3, "target": 3, "white_noise": pytest.approx(1.4, abs=1e-3)}


def test_residuals_without_power_have_no_contrast() -> None:
    found = lattice_contrast.measure(
        outcome(**SCORED | {"lattice_power": [0.0] * 3, "lattice_surroundings": [0.0] * 3})
    )
    assert found is not None
    assert found.value is None
    assert found.detail["invalid"] == (
        "no test residual has any power around the lattice's frequencies"
    )


@pytest.mark.parametrize("name", ["lattice_power", "lattice_surroundings"])
@pytest.mark.parametrize("value", [math.inf, math.nan])
def test_a_contrast_that_is_not_finite_is_no_figure(name: str, value: float) -> None:
    found = lattice_contrast.measure(outcome(**SCORED | {name: [1.0, value, 1.0]}))
    assert found is not None
    assert found.value is None
    assert found.detail["invalid"] == ("the lattice contrast of some test example is not finite")


def test_targets_that_are_flat_have_no_contrast_to_compare_with() -> None:
    flat = {"target_lattice_power": [0.0] * 3, "target_lattice_surroundings": [0.0] * 3}
    found = lattice_contrast.measure(outcome(**SCORED | flat))
    assert found is not None
    assert found.value == 4
    assert found.detail["target"] is None


def test_tasks_without_the_scores_have_no_contrast() -> None:
    assert lattice_contrast.measure(outcome(loss=[1.0])) is None
