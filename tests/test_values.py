"""What the notes say of values: the suite's verdicts against loops in numpy and closed forms.

The comparisons of `suites/arithmetic.yaml` that are about values, run once for real; then the
layers and metrics that they need; then claims on parts of what is read of trained weights.
"""

import math
import re
import shutil
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from numpy.typing import NDArray
from scipy import stats
from test_arithmetic import SUITE, Said, check, convolved, weights
from tiny import changed, write
from torch import Tensor, nn
from torch.nn import functional

from ablate import catalog, commands, networks, records, study
from ablate.components import Network, expand
from ablate.evidence import frame, verdicts
from ablate.evidence.collect import ComparisonEvidence, Evidence, collect
from ablate.metrics import gradient, kernel_separability, output
from ablate.networks import layers
from ablate.suite import plan as planning
from ablate.suite.load import load
from ablate.suite.preflight import check as check_networks
from ablate.suite.request import Request

Array = NDArray[np.float64]
RUNS = Path("runs")
ABOUT = [
    *("separable", "factored", "unfactored", "uneven", "twice", "localized", "dot-products"),
    *("formula", "shift-scale", "normalised", "amplitude", "loss", "smoothing", "backpropagation"),
]
WRITTEN = yaml.safe_load(SUITE.read_text(encoding="utf-8"))
KERNEL = np.array([[2.0, 0, 1], [1, 0, 0], [0, 1, 1]])  # of the worked example
LAPLACE = np.array([[0.0, 1, 0], [1, -4, 1], [0, 1, 0]])


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, study.Study]:
    """The records of these comparisons, from one real plan of them: it takes the facts."""
    folder = tmp_path_factory.mktemp("values")
    kept = [it for it in WRITTEN["comparisons"] if it["id"] in ABOUT]
    assert [it["id"] for it in kept] == ABOUT
    (folder / "arithmetic.yaml").write_text(yaml.safe_dump({**WRITTEN, "comparisons": kept}))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("ABLATE_DATA", str(folder / "no data"))
        found = load(Request("arithmetic.yaml", "full"), "full")
        made = planning.make(found, check_networks(found), folder / "runs", "cpu")
    assert made.trials == []
    return folder / "runs", made.study


@pytest.fixture(scope="module")
def evidence(asked: tuple[Path, study.Study]) -> Evidence:
    return collect(*asked)


@pytest.fixture(scope="module")
def said(evidence: Evidence) -> Said:
    return Said(list(verdicts.judge(evidence)))


def of(comparison: str, variant: str) -> tuple[list[Any], tuple[int, int, int]]:
    """Return the layers of a variant as the suite has them, and the shape of its images."""
    found = next(it for it in WRITTEN["comparisons"] if it["id"] == comparison)
    base = {**WRITTEN["base"]["data"], **found.get("base", {})}
    changes = found["variants"][variant]
    return changes["network.layers"], tuple(base.get("data.shape", base["shape"]))


def built(written: list[Any], shape: tuple[int, int, int] = (3, 8, 8)) -> nn.Module:
    component, problems = expand(Network.model_validate({"family": "layers", "layers": written}))
    assert problems == []
    network: nn.Module = catalog.build("networks", component, "family", shape, 0)
    return network


def begun(comparison: str, variant: str) -> nn.Module:
    """Return a variant's network as it begins."""
    network = built(*of(comparison, variant))
    networks.initialise(network, 0)
    return network.double().eval()


def put_out(comparison: str, variant: str, image: Array) -> Array:
    with torch.no_grad():
        found: Array = begun(comparison, variant)(torch.tensor(image)[None])[0].numpy()
    return found


@pytest.fixture
def image() -> Array:
    return np.random.default_rng(7).standard_normal((1, 5, 5))


# --- kernels --------------------------------------------------------------------------------------


def rank(kernel: Array) -> int:
    """Count the rows that elimination leaves."""
    rows, found = kernel.copy(), 0
    for column in range(rows.shape[1]):
        at = next((i for i in range(found, len(rows)) if abs(rows[i, column]) > 1e-9), None)
        if at is None:
            continue
        rows[[found, at]] = rows[[at, found]]
        for i in range(found + 1, len(rows)):
            rows[i] -= rows[i, column] / rows[found, column] * rows[found]
        found += 1
    return found


def test_not_all_kernels_are_a_column_times_a_row(said: Said) -> None:
    assert rank(LAPLACE) == 2
    check(said("factored", "A:135", "smaller", kind="count"), "supported", "of laplace is 2")
    sobel = np.zeros((3, 3))
    for i, j in product(range(3), range(3)):
        sobel[i, j] = (1, 2, 1)[i] * (1, 0, -1)[j]
    assert of("factored", "sobel")[0][0]["weights"] == sobel.tolist()
    assert rank(sobel) == 1
    check(said("factored", "A:135", "but some can"), "supported", "compute the same")
    # Of 64 random kernels none comes near: how near is told by powers of KᵀK, as it is by its
    # largest eigenvalue.
    network = begun("factored", "random")
    shares = []
    for kernel in network.features.layer1.weight.detach().numpy().reshape(-1, 3, 3):
        squared, direction = kernel.T @ kernel, np.ones(3)
        for _ in range(2000):
            direction = squared @ direction
            direction /= np.sqrt((direction**2).sum())
        shares.append(direction @ squared @ direction / (kernel**2).sum())
    none = said("factored", "A:135", kind="range")
    check(none, "supported", "share of kernels that are separable of random is")
    (part,) = none.parts
    assert part.estimate == pytest.approx(np.mean(np.array(shares) >= 0.99), abs=1e-12)
    found, _ = kernel_separability.measure(network, (1, 32, 32)) or (None, None)
    assert found is not None
    assert found.value == pytest.approx(np.mean(shares), rel=1e-9)
    assert found.detail["smallest"] == pytest.approx(min(shares), rel=1e-9)


def test_how_much_of_a_kernel_its_nearest_product_holds() -> None:
    # The eigenvalues of this symmetric kernel are 0 and -2 ± √6.
    network = built([conv(weights=LAPLACE.tolist())], (1, 8, 8))
    found, arrays = kernel_separability.measure(network, (1, 8, 8)) or (None, {})
    assert found is not None
    assert arrays == {}
    assert found.value == pytest.approx((2 + math.sqrt(6)) ** 2 / 20, rel=1e-7)
    assert (found.detail["rank"], found.detail["separable"]) == (2, 0)
    split = built([conv(kernel=[3, 1]), conv(kernel=[1, 3]), conv(kernel=1)], (1, 8, 8))
    assert kernel_separability.measure(split, (1, 8, 8)) is None
    nothing = built([conv(weights=np.zeros((3, 3)).tolist())], (1, 8, 8))
    assert kernel_separability.measure(nothing, (1, 8, 8)) is None


def test_a_depthwise_separable_convolution_takes_any_kernel(said: Said) -> None:
    image = np.random.default_rng(3).standard_normal((2, 6, 6))
    own = np.array([LAPLACE, np.diag([1.0, 2, 3])])
    mixing = np.array([[1.0, 2], [3, 4]])
    apart = [convolved(image[i : i + 1], own[i][None, None])[0][0] for i in range(2)]
    mixed = np.zeros((2, 4, 4))
    full = np.zeros((2, 2, 3, 3))
    for out, channel in product(range(2), range(2)):
        mixed[out] += mixing[out, channel] * apart[channel]
        full[out, channel] = mixing[out, channel] * own[channel]
    assert np.allclose(convolved(image, full)[0], mixed)
    for variant in ("normal", "separable"):
        assert np.allclose(put_out("unfactored", variant, image), mixed)
    check(said("unfactored", "A:139", "work with"), "supported", "the same")
    assert [rank(kernel) for kernel in own] == [2, 3]
    check(said("unfactored", "A:139", kind="requirement"), "supported", "found 3")


def test_separable_convolutions_by_keras_defaults(said: Said) -> None:
    depthwise = weights(16, 1, (3, 3))  # multiplier 1, and its bias is only after both
    pointwise = weights(32, 16, (1, 1)) + 32
    assert depthwise + pointwise == 688
    check(said("separable", "B:148", kind="count", metric="params"), "supported", "are 688")
    check(said("separable", "B:148", kind="equality"), "refuted", f"688, of separable {688 - 32}")
    check(said("separable", "B:148", "valid"), "supported", f"is {len(range(100 - 3 + 1))}")


# --- dot products and sums ------------------------------------------------------------------------


def test_a_convolution_is_dot_products(said: Said, image: Array) -> None:
    padded = np.pad(image[0], 1)
    expected = np.zeros((1, 3, 3))
    for i, j in product(range(3), range(3)):
        for a, b in product(range(3), range(3)):
            expected[0, i, j] += padded[2 * i + a, 2 * j + b] * KERNEL[a, b]
    for variant in ("conv", "dot_products"):
        assert np.allclose(put_out("dot-products", variant, image), expected)
    for note in ("C:17", "D:39"):
        check(said("dot-products", note), "supported", "dot products and conv compute the same")


def test_a_transposed_convolution_sums_where_outputs_overlap(said: Said, image: Array) -> None:
    expected = np.zeros((1, 11, 11))
    for i, j in product(range(5), range(5)):
        for a, b in product(range(3), range(3)):
            expected[0, 2 * i + a, 2 * j + b] += image[0, i, j] * KERNEL[a, b]
    for variant in ("transposed", "summed"):
        assert np.allclose(put_out("dot-products", variant, image), expected)
    check(said("dot-products", "D:45"), "supported", "summed and transposed compute the same")


def test_an_even_image_shows_where_kernels_overlap_unevenly(said: Said) -> None:
    laid_out = {side: np.zeros((10 + side, 10 + side)) for side in (3, 4)}
    for side, image in laid_out.items():
        for i, j, a, b in product(range(6), range(6), range(side), range(side)):
            image[2 * i + a, 2 * j + b] += 1
    uneven, even = laid_out[3][2:-2, 2:-2], laid_out[4][3:-3, 3:-3]  # without the border
    assert set(even.flat) == {4}
    assert uneven[:4, :4].tolist() == [[4, 2, 4, 2], [2, 1, 2, 1], [4, 2, 4, 2], [2, 1, 2, 1]]
    check(said("uneven", "B:54", metric="output.minimum"), "supported", "is 1, claimed 1")
    check(said("uneven", "B:54", metric="output.maximum"), "supported", "is 4, claimed 4")
    check(said("uneven", "B:54", metric="output.deviation"), "supported", "is 0, claimed 0")


def test_two_pixels_at_a_time_along_a_row_and_four_in_the_plane(said: Said) -> None:
    row, plane = np.zeros(11, int), np.zeros((11, 11), int)
    for i, a in product(range(5), range(3)):
        row[2 * i + a] += 1
    for i, j, a, b in product(range(5), range(5), range(3), range(3)):
        plane[2 * i + a, 2 * j + b] += 1
    assert (row.max(), plane.max(), plane.min()) == (2, 4, 1)
    check(said("twice", "B:37b", of="row"), "supported", "of row is 2")
    check(said("twice", "B:37b", of="plane", equals=2), "refuted", "of plane is 4, larger")
    check(said("twice", "B:37b", of="plane", equals=1), "supported", "of plane is 1")


# --- normalisation --------------------------------------------------------------------------------


def test_a_batch_normalisation_is_its_formula_and_can_undo_itself(said: Said) -> None:
    image = np.random.default_rng(5).standard_normal((2, 6, 6))
    expected = np.zeros_like(image)
    for channel, i, j in product(range(2), range(6), range(6)):
        mean, deviation = (3, -1)[channel], (2, 0.5)[channel]
        gamma, beta = (1.5, 4)[channel], (-0.25, 1)[channel]
        expected[channel, i, j] = (image[channel, i, j] - mean) / deviation * gamma + beta
    for variant in ("norm", "by_hand"):
        assert np.allclose(put_out("formula", variant, image), expected)
    check(said("formula", "B:120"), "supported", "by hand and norm compute the same")
    assert np.allclose(put_out("formula", "undone", image), image)
    check(said("formula", "B:114"), "supported", "undone and untouched compute the same")


def test_addition_shifts_and_multiplication_scales(said: Said) -> None:
    example = np.array(WRITTEN["comparisons"][-6]["base"]["network.layers"][0]["values"], float)
    assert example.shape == (5, 5)
    mean = sum(example.ravel()) / 25
    spread = math.sqrt(sum((value - mean) ** 2 for value in example.ravel()) / 25)
    shifted = said("shift-scale", "B:116", kind="order")
    check(shifted, "supported", f"plus 5 {mean + 5:.2f}, of plain {mean:.2f}")
    kept = said("shift-scale", "B:116", kind="equivalence")
    check(kept, "supported", f"of plus 5 {spread:.2f}, of plain {spread:.2f}")
    scaled = said("shift-scale", "B:118", metric="output.deviation")
    check(scaled, "supported", f"times 3 {3 * spread:.2f}, of plain {spread:.2f}: 3.00 times")
    mean_too = said("shift-scale", "B:118", metric="output.mean")
    check(mean_too, "supported", f"times 3 {3 * mean:.2f}, of plain {mean:.2f}: 3.00 times")


def test_normalisation_changes_the_scale_and_keeps_the_order(said: Said) -> None:
    given = np.random.default_rng(0).standard_normal((16, 1, 16, 16)).ravel() * 64 + 128
    mean = sum(given) / len(given)
    spread = math.sqrt(sum((value - mean) ** 2 for value in given) / len(given))
    scale = said("normalised", "B:96", kind="order")
    check(scale, "supported", f"of plain {spread:.1f}")
    one = said("normalised", "B:96", kind="range")
    assert one.word == "supported"
    assert one.parts[0].estimate == pytest.approx(spread / math.sqrt(spread**2 + 1e-5), rel=1e-9)
    normalised = (given - mean) / math.sqrt(spread**2 + 1e-5)
    assert [*np.argsort(given)] == [*np.argsort(normalised)]
    check(said("normalised", "B:98"), "supported", "rank correlation", "is 1, claimed 1")


# --- amplitudes before training -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("variant", "variance", "word"),
    [
        ("normal_1", 1.0, "supported"),
        ("normal_0_01", 1e-4, "refuted"),
        ("xavier", 2 / (2 * 576), "refuted"),
        ("he", 2 / 576, "true but negligible"),
    ],
)
def test_what_initial_weights_do_to_amplitudes(
    said: Said, variant: str, variance: float, word: str
) -> None:
    """The mean square of ReLUs of zero-mean inputs is half of theirs, and theirs 576 · σ² · it."""
    found = said("amplitude", "B:108", of=variant)
    assert found.word == word
    each = 576 * variance / 2
    for part, depth in zip(found.parts, (1, 2, 4, 8), strict=True):
        assert part.estimate is not None
        # A product of the squared lengths of random weights: wider the deeper, with 64 channels.
        assert abs(math.log(part.estimate / each ** (depth / 2))) < 0.2 * math.sqrt(depth)


def test_normalisation_keeps_amplitudes(said: Said) -> None:
    kept = said("amplitude", "B:106", kind="range")
    assert kept.word == "supported"
    for part in kept.parts:
        assert part.estimate == pytest.approx(math.sqrt(1 / 2), rel=0.03)  # half of a variance of 1
    assert said("amplitude", "B:106", kind="order").word == "supported"


def test_how_far_an_output_sees_grows_more_slowly_than_its_receptive_field(said: Said) -> None:
    found = said("localized", "C:121", kind="trend")
    assert found.word == "supported"
    sides = {
        depth: (part.estimate or 0.0) * (2 * depth + 1)
        for depth, part in zip((2, 4, 8, 16), found.parts, strict=True)
    }
    # By the root of the depth (Luo et al. 2016), and no further than the field.
    assert 1.5 < sides[16] / sides[4] < 2.7
    assert all(side <= 2 * depth + 1 + 1e-9 for depth, side in sides.items())
    full = said("localized", "C:121", kind="range")
    holds = [depth for depth, side in sides.items() if side <= 0.9 * (2 * depth + 1)]
    assert [p.setting["network.layers.0.depth"] for p in full.parts if p.word == "supported"] == (
        holds
    )


# --- losses ---------------------------------------------------------------------------------------


def cross_entropy(logits: list[float], target: int) -> float:
    total = sum(math.exp(it) for it in logits)
    return -math.log(math.exp(logits[target]) / total)


def test_a_loss_is_not_always_between_0_and_1(said: Said) -> None:
    assert cross_entropy([0.0] * 10, 0) == pytest.approx(math.log(10))
    for variant, logits, word in (
        ("undecided", [0.0] * 10, "refuted"),
        ("right", [10.0, *[0.0] * 9], "supported"),
        ("mistaken", [0.0, 10.0, *[0.0] * 8], "refuted"),
    ):
        found = said("loss", "B:22", of=variant)
        assert found.word == word
        assert found.parts[0].estimate == pytest.approx(cross_entropy(logits, 0), rel=1e-6)
    # Before training, by torch's functional operations alone.
    conv_weight, weight = begun("loss", "untrained").parameters()
    images = torch.tensor(np.random.default_rng(0).standard_normal((16, 3, 32, 32)))
    maps = functional.conv2d(images, conv_weight).clamp(min=0).mean((2, 3))
    logits = maps @ weight.T
    by_hand = (logits.exp().sum(1).log() - logits[:, 0]).mean().item()
    found = said("loss", "B:22", of="untrained")
    assert found.word == "refuted"
    assert found.parts[0].estimate == pytest.approx(by_hand, rel=1e-9)


def test_label_smoothing_shares_out_among_all_classes(said: Said) -> None:
    def targets(classes: int, smoothing: float) -> tuple[float, float]:
        return 1 - smoothing + smoothing / classes, smoothing / classes

    assert targets(2, 0.2) == pytest.approx((0.9, 0.1))
    check(said("smoothing", "D:119", "by 0.2"), "supported", "two 0 2 and printed compute the same")
    for number, metric in enumerate(("output.maximum", "output.minimum")):
        found = said("smoothing", "D:119", of="two", metric=metric)
        assert found.word == "depends"
        for part in found.parts:
            assert part.setting is not None
            classes = part.setting["network.layers.0.classes"]
            smoothing = part.setting["network.layers.0.smoothing"]
            wanted = targets(classes, smoothing)[number]
            assert part.estimate == pytest.approx(wanted, rel=1e-6)
            printed = (0.9, 0.1)[number]
            assert (part.word == "supported") == (abs(wanted - printed) < 1e-3)
        ten = said("smoothing", "D:119", of="ten", metric=metric)
        assert ten.word == "refuted"
        assert ten.parts[0].estimate == pytest.approx(targets(10, 0.1)[number], rel=1e-6)


# --- gradients ------------------------------------------------------------------------------------


def test_weights_are_moved_against_the_slope_of_the_loss(said: Said) -> None:
    for metric in ("gradient", "gradient.step"):
        found = said("backpropagation", "B:160", metric=metric)
        assert found.word == "supported"
        assert " from finite differences of network is 0, " in found.sentence  # a distance is
        assert 0 < (found.parts[0].estimate or 0.0) < 1e-6
    check(said("backpropagation", "B:160", kind="requirement"), "supported", "of each: network")


class Doubled(torch.autograd.Function):
    """What it is given, with a gradient twice too large."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def backward(ctx: Any, given: Tensor) -> Tensor:  # type: ignore[override]
        return 2 * given


class Wrong(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([3.0]))

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = Doubled.apply(self.weight) * (x * 0 + 5)
        return made


def test_a_wrong_gradient_is_found() -> None:
    # The loss is 5 · w: a slope of 5, a gradient of 10, and a step of 0.1 in place of 0.05.
    network = Wrong()
    found, _ = gradient.measure(network, (1, 2, 2)) or (None, None)
    assert found is not None
    assert found.value == pytest.approx(1, rel=1e-6)
    assert found.detail["step"] == pytest.approx(1, rel=1e-6)
    assert found.detail["descent"] == pytest.approx(0.01 * 10 * 5, rel=1e-6)
    assert (network.weight.item(), network.weight.grad) == (3, None)  # left as it was
    assert gradient.measure(nn.ReLU(), (1, 2, 2)) is None
    nowhere, _ = (
        gradient.measure(
            built(
                [
                    {"kind": "conv", "channels": 1, "kernel": 1},
                    "gap",
                    {"kind": "cross_entropy", "target": 0},
                ]
            ),
            (3, 8, 8),
        )
        or ()
    )
    assert nowhere.value is None  # of one class the loss is 0 whatever the weights
    assert nowhere.detail["invalid"] == "no weight matters to the output"


# --- how networks put out numbers -----------------------------------------------------------------


class Sinking(nn.Module):
    """A network of which every second number changes its sign."""

    def forward(self, x: Tensor) -> Tensor:
        signs = torch.tensor([1.0, -1.0], dtype=x.dtype).repeat(x.shape[-1] // 2)
        return x * signs


def test_how_an_output_is_distributed() -> None:
    found, arrays = output.measure(Sinking(), (1, 2, 4))
    assert arrays == {}
    given = np.random.default_rng(0).standard_normal((16, 1, 2, 4))
    values = (given * np.array([1, -1, 1, -1])).ravel()
    mean = sum(values) / values.size
    spread = math.sqrt(sum((it - mean) ** 2 for it in values) / values.size)
    assert found.value == pytest.approx(spread)
    assert found.detail["mean"] == pytest.approx(mean)
    assert found.detail["amplitude"] == pytest.approx(math.sqrt(sum(values**2) / values.size))
    assert (found.detail["minimum"], found.detail["maximum"]) == (min(values), max(values))
    # Spearman's: 1 - 6 Σ d² / n(n² - 1) of ranks without ties.
    ranks = [np.array([(each < it).sum() for it in each]) for each in (given.ravel(), values)]
    n = len(values)
    spearman = 1 - 6 * sum((ranks[0] - ranks[1]) ** 2) / (n * (n**2 - 1))
    assert found.detail["rank_correlation"] == pytest.approx(spearman)
    flat, _ = output.measure(built([{"kind": "scale", "by": 0}], (1, 2, 4)), (1, 2, 4))
    assert flat.value == 0
    assert "rank_correlation" not in flat.detail
    endless, _ = output.measure(built([{"kind": "scale", "by": 1e38}] * 9, (1, 2, 4)), (1, 2, 4))
    assert endless.value is None
    assert endless.detail == {"invalid": "it puts out numbers that are not finite"}


# --- the layers -----------------------------------------------------------------------------------


def conv(channels: int = 1, kernel: Any = 3, **options: Any) -> dict[str, Any]:
    return {"kind": "conv", "channels": channels, "kernel": kernel, **options}


@pytest.mark.parametrize(("kernel", "stride", "padding"), [(2, 2, 0), (3, 1, 1), ([1, 3], 2, 0)])
def test_windows_are_unfolded_and_folded(kernel: Any, stride: int, padding: int) -> None:
    image = torch.randn(2, 3, 7, 9)
    rows, columns = kernel if isinstance(kernel, list) else (kernel, kernel)
    options = {"kernel": kernel, "stride": stride, "padding": padding}
    found = built([{"kind": "unfold", **options}], (3, 7, 9))(image)
    padded = functional.pad(image, [padding] * 4)
    height = (padded.shape[2] - rows) // stride + 1
    width = (padded.shape[3] - columns) // stride + 1
    assert found.shape == (2, 3 * rows * columns, height, width)
    laid_out = torch.zeros_like(padded)
    for i, j in product(range(height), range(width)):
        top, left = i * stride, j * stride
        window = padded[:, :, top : top + rows, left : left + columns]
        assert torch.equal(found[:, :, i, j], window.flatten(1))
        laid_out[:, :, top : top + rows, left : left + columns] += window
    folded = built([{"kind": "fold", **options}], tuple(found.shape[1:]))(found)
    end = [
        size - padding for size in ((height - 1) * stride + rows, (width - 1) * stride + columns)
    ]
    assert torch.allclose(folded, laid_out[:, :, padding : end[0], padding : end[1]])


def test_a_norm_without_statistics_takes_those_of_the_batch() -> None:
    network = built([{"kind": "batch_norm", "gamma": [1, 2, 3], "beta": 5}]).eval()
    images = torch.randn(4, 3, 8, 8) * 3 + 1
    expected = functional.batch_norm(
        images, None, None, torch.tensor([1.0, 2, 3]), torch.tensor([5.0] * 3), training=True
    )
    assert torch.equal(network(images), expected)
    assert torch.equal(network.train()(images), expected)
    given = built([{"kind": "batch_norm", "mean": [1, 2, 3], "variance": [4, 5, 6]}]).train()
    same = functional.batch_norm(images, torch.tensor([1.0, 2, 3]), torch.tensor([4.0, 5, 6]))
    assert torch.equal(given(images), same)
    assert list(given.parameters()) == []


@pytest.mark.parametrize(
    ("init", "deviation"), [("he", 2 / 288), ("xavier", 2 / (288 + 144)), (0.5, 0.25)]
)
def test_layers_begin_as_they_are_told(init: Any, deviation: float) -> None:
    layer = conv(16, padding=1, bias=True)
    stack = {"kind": "stack", "layers": [conv(32, 1), layer], "depth": 2, "init": init}
    network = built([stack], (32, 8, 8))
    networks.initialise(network, 0)
    weight = dict(network.named_parameters())["features.layer1.layers.layer2.weight"]
    assert weight.shape == (16, 32, 3, 3)
    # Of 4,608 numbers, a standard error of 1 % of their deviation.
    assert weight.std().item() == pytest.approx(math.sqrt(deviation), rel=0.05)
    assert abs(weight.mean().item()) < 5 * math.sqrt(deviation / weight.numel())
    again = dict(network.named_parameters())["features.layer1.layers.layer4.weight"]
    assert not torch.equal(again, weight)
    biases = [p for name, p in network.named_parameters() if name.endswith("bias")]
    assert [bias.abs().max() <= 1 / math.sqrt(288) for bias in biases] == [True] * 2
    other = built([{**stack, "init": None}], (32, 8, 8))
    assert networks.signature(other) != networks.signature(network)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.3])
def test_the_loss_and_the_targets_are_torchs(smoothing: float) -> None:
    logits = torch.randn(5, 7)
    layer = {"kind": "cross_entropy", "target": 2, "smoothing": smoothing}
    network = built(["flatten", layer], (7, 1, 1))
    wanted = torch.full((5,), 2)
    expected = functional.cross_entropy(logits, wanted, reduction="none", label_smoothing=smoothing)
    assert torch.allclose(network(logits[..., None, None]), expected[:, None])
    targets = layers.smoothed(7, 2, smoothing)
    assert sum(targets) == pytest.approx(1)
    rest = smoothing / 7
    assert targets == pytest.approx([rest] * 2 + [1 - smoothing + rest] + [rest] * 4, abs=1e-12)


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ([{"kind": "shift", "by": [1, 2]}],
         "layer 1 (shift) does not take 3x8x8: `by` has 2 numbers, and 3 channels come in"),
        ([{"kind": "batch_norm", "mean": [1, 2, 3]}],
         "layer 1 (batch_norm) does not take 3x8x8: `mean` and `variance` go together; give both, "
         "or neither"),
        ([{"kind": "cross_entropy", "target": 0}],
         "layer 1 (cross_entropy) does not take 3x8x8: it has rows and columns; put `flatten` or "
         "`gap` before it"),
        (["gap", {"kind": "cross_entropy", "target": 3}],
         "layer 2 (cross_entropy) does not take 3: there are 3 classes, counted from 0; 3 is none "
         "of them"),
        ([{"kind": "targets", "classes": 2, "target": 5}],
         "layer 1 (targets) does not take 3x8x8: there are 2 classes, counted from 0; 5 is none "
         "of them"),
        ([{"kind": "stack", "layers": [conv(3), conv(3, 9)]}],
         "layer 1, layer 2 (conv) does not take 3x6x6: "),
    ],
)  # fmt: skip
def test_layers_that_do_not_fit_say_why(written: list[Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        built(written)


# --- how such claims are kept and told ------------------------------------------------------------


def test_values_are_told_with_their_records(
    asked: tuple[Path, study.Study], evidence: Evidence, said: Said
) -> None:
    table = frame.frame(evidence)
    (loss,) = [it for it in evidence.comparisons if it.asked.id == "loss"]
    found = table[(table.comparison == "loss") & (table.metric == "output")]
    assert set(found.network) == {"full"}
    assert sorted(found.variant) == ["mistaken", "right", "undecided", "untrained"]
    for id, variant in zip(found.trial, found.variant, strict=True):
        record = records.read(asked[0], "fact", id)
        assert record is not None
        (row,) = [row for row in loss.rows if row.asked.variant == variant]
        assert record.metrics["output"] == row.full["output"]
    check(said("loss", "B:22", of="mistaken"), "refuted", "mean of the output of mistaken is 10.0,")


def test_a_lost_value_is_missed(asked: tuple[Path, study.Study], tmp_path: Path) -> None:
    runs, made = tmp_path / "runs", asked[1]
    shutil.copytree(asked[0], runs)
    (comparison,) = [it for it in made.comparisons if it.id == "loss"]
    point = next(it for it in comparison.points if it.variants == ["mistaken"])
    shutil.rmtree(records.folder(runs, "fact", point.facts))
    lost = Said(list(verdicts.judge(collect(runs, made))))("loss", "B:22", of="mistaken")
    assert (lost.word, lost.parts[0].estimate) == ("invalid", None)
    assert "not computed yet" in lost.sentence


# --- of trained weights ---------------------------------------------------------------------------

CLAIMS = """\
    readings: [kernel_separability]
    claims:
      - note: "A:135"
        says: not all kernels
        kind: range
        metric: kernel_separability.smallest
        of: normal
        low: 0
        high: 0.9
      - {note: "A:135b", says: most, kind: range, metric: kernel_separability, of: normal, low: 0.1,
         high: 1}
      - {note: "A:135c", says: nothing, kind: range, metric: kernel_separability.nothing,
         of: normal, low: 0, high: 1}
"""


def run(claims: str) -> int:
    write(changed(("seeds: 2", "seeds: 3"), add=claims))
    asked = Request("tiny.yaml", "full")
    return int(commands.run(asked, "cpu", RUNS, Path("reports"), "1", None, False))


def now() -> tuple[ComparisonEvidence, list[verdicts.Verdict]]:
    made = study.newest(RUNS, "tiny")
    assert made is not None
    evidence = collect(RUNS, made)
    return evidence.comparisons[0], list(verdicts.judge(evidence))


@pytest.mark.usefixtures("here")
def test_claims_on_parts_of_what_is_read_of_trained_weights() -> None:
    assert run("") == 0
    shutil.copytree(RUNS, "kept")
    for kept in RUNS.glob("trials/*/weights.pt"):
        kept.unlink()
    assert run(CLAIMS) == 0
    _, found = now()
    assert {verdict.word for verdict in found} == {"not tested"}
    assert "no trained weights were read yet: the weights were deleted" in found[0].sentence
    shutil.rmtree(RUNS)
    Path("kept").rename(RUNS)
    assert run(CLAIMS) == 0
    comparison, (least, most, nothing) = now()
    shares: dict[int, list[float]] = {}
    for reading in comparison.rows[0].readings:
        weight = records.weights(RUNS, comparison.rows[0].asked.trials[reading.seed])
        assert weight is not None
        state = torch.load(weight, map_location="cpu", weights_only=True)
        kernels = [it for it in state.values() if it.dim() == 4 and min(it.shape[2:]) > 1]
        for kernel in np.concatenate([it.numpy().reshape(-1, 3, 3) for it in kernels]):
            values = np.linalg.svd(kernel.astype(np.float64))[1]
            shares.setdefault(reading.seed, []).append(values[0] ** 2 / (values**2).sum())
    assert len(shares) == 3
    smallest = [min(found) for found in shares.values()]
    assert [len(found) for found in shares.values()] == [3 * 4 + 4 * 8] * 3
    for verdict, values in (
        (least, smallest),
        (most, [np.mean(found) for found in shares.values()]),
    ):
        (part,) = verdict.parts
        assert part.runs == (3,)
        assert np.std(values) > 0
        assert part.level is not None
        t = stats.t.ppf(0.5 + part.level / 2, 2)  # two claims: the one that decides first at more
        half = t * np.std(values, ddof=1) / math.sqrt(3)
        assert part.estimate == pytest.approx(np.mean(values), rel=1e-6)
        assert part.low == pytest.approx(np.mean(values) - half, rel=1e-5, abs=1e-9)
    assert most.word == "supported"
    assert "share of kernels in one row and one column of normal" in most.sentence
    assert (nothing.word, nothing.parts[0].estimate) == ("invalid", None)
    assert "it has no such part" in nothing.sentence
