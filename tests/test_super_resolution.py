"""Super-resolution: its examples, its scores against other libraries, and trials of it."""

import dataclasses
import itertools
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from skimage import data as photographs
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from small_runs import RECIPE, images, job, trained
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_pre_hook

from ablate import catalog, networks
from ablate.components import Network, expand
from ablate.data import Dataset, Split, assemble
from ablate.metrics import phase_variance, psnr, ssim
from ablate.suite.schema import Recipe
from ablate.tasks import Task
from ablate.tasks.super_resolution import spectrum
from ablate.train import batches, probe, trial
from ablate.train.loop import EVALUATION_BATCH, Diverged, Plan, begin, evaluate, keepsakes, train
from ablate.train.source import Source, open_source, plain

SIDE = 24  # pixels
LEARNED: dict[str, Any] = {
    "family": "post_upsampling",
    "layers": [8, 8],
    "up": {"kind": "transposed", "kernel": 2},
}
BICUBIC: dict[str, Any] = {"family": "interpolation"}
SHORT: dict[str, Any] = {**RECIPE, "epochs": 4, "lr": 0.02}
SCORES = {
    "loss",
    "psnr",
    "ssim",
    "phase_variance",
    "output_phase_variance",
    "target_phase_variance",
    "white_noise_phase_variance",
    "lattice_power",
    "lattice_surroundings",
    "target_lattice_power",
    "target_lattice_surroundings",
}


pytestmark = pytest.mark.usefixtures("single_thread")


def waves(count: int, channels: int, side: int, seed: int) -> NDArray[np.uint8]:
    """Return pictures that are smooth, each with stripes of a direction and length of its own."""
    draws = np.random.RandomState(seed)
    rows, columns = np.mgrid[:side, :side]
    pictures = np.empty((count, side, side, channels))
    for picture, channel in itertools.product(range(count), range(channels)):
        along, across, phase = draws.uniform(-1, 1, 3)
        wave = np.sin(along * rows + across * columns + np.pi * phase)
        pictures[picture, ..., channel] = 128 + draws.uniform(60, 120) * wave
    return pictures.round().astype(np.uint8)


def of_pictures(channels: int = 3, side: int = SIDE, count: int = 40, **known: Any) -> Dataset:
    train_split, test_split = (
        Split(waves(n, channels, side, seed), np.zeros(n, np.int64))
        for seed, n in enumerate((count, 12))
    )
    return assemble(title="Waves", classes=[], train=train_split, test=test_split, **known)


def draw(folder: Path, suffix: str = "png") -> Path:
    """Write waves as a folder of images, 40 to train on and 12 to test on."""
    for seed, (split, count) in enumerate((("train", 40), ("test", 12))):
        for number, pixels in enumerate(waves(count, 3, SIDE, seed)):
            place = folder / split / ("even", "odd")[number % 2]  # a folder has classes
            place.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(place / f"{number:03}.{suffix}")
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    place = tmp_path_factory.mktemp("restore")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ABLATE_DATA", str(place / "prepared"))
        yield draw(place / "images")


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return of_pictures()


def task_of(dataset: Dataset, **options: Any) -> Task:
    component = {"kind": "super_resolution", **options}
    task: Task = catalog.build("tasks", component, "kind", dataset, 0.1)
    return task


def plan_of(dataset: Dataset, recipe: dict[str, Any] = SHORT) -> Plan:
    return Plan(task_of(dataset), Recipe(**recipe), "fp32", "cpu", 0)


def on_device(split: Split, statistics: tuple[Tensor, Tensor], pad: int = 0) -> Source:
    return open_source(split, None, pad, statistics, "cpu")


def seen(dataset: Dataset) -> Source:
    """Return the test images as a trial sees them."""
    return on_device(dataset.test, batches.channel_statistics(dataset.train))


def shown(dataset: Dataset, count: int) -> Tensor:
    """Return the first test images as a network is shown them."""
    images, _ = next(plain(seen(dataset), count))
    return images


def network_of(config: dict[str, Any], task: Task, seed: int = 0) -> nn.Module:
    component, problems = expand(Network.model_validate(config))
    assert problems == []
    network: nn.Module = catalog.build(
        "networks", component, "family", task.input_shape, task.outputs
    )
    networks.initialise(network, seed)
    return network


def as_batch(pictures: NDArray[Any]) -> Tensor:
    """Turn (n, h, w, c) into float32 (n, c, h, w)."""
    return torch.from_numpy(np.moveaxis(pictures, -1, 1)).float()


# --- the measures ---------------------------------------------------------------------------------


def pairs(channels: int) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
    """Yield parts of a photograph, values 0…1, with errors of all sizes; and a flat picture."""
    draws = np.random.RandomState(channels)
    photograph = photographs.astronaut()[..., :channels] / 255
    for height, width, error in [(28, 28, 0.3), (11, 11, 0.1), (28, 40, 0.02), (51, 13, 0.001)]:
        top, left = draws.randint(0, 400, 2)
        target = photograph[top : top + height, left : left + width]
        yield np.clip(target + error * draws.randn(*target.shape), 0, 1), target
        yield np.roll(target, 1, 0), target
    # Where nothing varies a float32 has few digits left beside the constants.
    flat = np.full((28, 28, channels), 0.9)
    yield flat + 0.001 * draws.randn(*flat.shape), flat


@pytest.mark.parametrize("channels", [1, 3])
def test_ssim_is_that_of_another_library(channels: int) -> None:
    for output, target in pairs(channels):
        expected = structural_similarity(
            target,
            output,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
            data_range=1,
            channel_axis=-1,
        )
        found = ssim.per_image(as_batch(output[None]), as_batch(target[None]))
        assert found.shape == (1,)
        assert found.item() == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("channels", [1, 3])
def test_psnr_is_that_of_another_library_and_of_its_formula(channels: int) -> None:
    for output, target in pairs(channels):
        (found,) = psnr.per_image(as_batch(output[None]), as_batch(target[None])).tolist()
        expected = peak_signal_noise_ratio(target, output, data_range=1)
        assert found == pytest.approx(expected, abs=1e-4)
        assert found == pytest.approx(-20 * math.log10(math.sqrt(((output - target) ** 2).mean())))


def test_each_image_of_a_batch_has_its_own_score() -> None:
    target = torch.from_numpy(np.random.RandomState(0).rand(4, 3, 16, 16)).float()
    output = target.clone()
    output[2] += 0.1
    assert psnr.per_image(output, target).tolist() == pytest.approx([100, 100, 20, 100], abs=1e-4)
    similar = ssim.per_image(output, target)
    assert similar[[0, 1, 3]].tolist() == pytest.approx([1, 1, 1])
    assert similar[2] < 0.999
    lattice = torch.zeros(3, 1, 8, 8)
    lattice[1, :, ::2, 1::2] = 1
    assert phase_variance.per_image(lattice).tolist() == pytest.approx([0, 1, 0])


@settings(max_examples=30, deadline=None, derandomize=True)
@given(
    height=st.integers(1, 12),
    width=st.integers(1, 12),
    channels=st.sampled_from([1, 3]),
    lattice=st.sampled_from([0.0, 0.3, 3.0]),
    seed=st.integers(0, 99),
)
def test_phase_variance_is_the_energy_at_the_lattices_frequencies(
    height: int, width: int, channels: int, lattice: float, seed: int
) -> None:
    draws = np.random.RandomState(seed)
    shape = (2 * height, 2 * width)
    cell = draws.randn(2, 2, channels)
    image = 5 + draws.randn(*shape, channels) + lattice * np.tile(cell, (height, width, 1))
    energy = (np.abs(np.fft.fft2(image, axes=(0, 1))) ** 2).sum(-1)
    energy[0, 0] = 0
    bins = energy[0, width] + energy[height, 0] + energy[height, width]
    (found,) = phase_variance.per_image(as_batch(image[None])).tolist()
    assert found == pytest.approx(bins / energy.sum(), abs=1e-5)


@pytest.mark.parametrize(("height", "width"), [(8, 8), (24, 24), (6, 30)])
def test_the_level_of_white_noise_is_where_white_noise_lies(height: int, width: int) -> None:
    draws = np.random.RandomState(0)
    found = phase_variance.per_image(as_batch(draws.randn(6000, height, width, 1)))
    # A share of independent normal squares follows a beta distribution, here of (3, pixels - 4)/2.
    share, pixels = 3 / (height * width - 1), height * width
    spread = math.sqrt(2 * share * (1 - share) / (pixels + 1))
    expected = phase_variance.of_white_noise(height, width)
    assert expected == pytest.approx(share)
    assert abs(found.mean().item() - expected) < 4 * spread / math.sqrt(6000)
    assert found.std().item() == pytest.approx(spread, rel=0.1)


def test_channels_are_averaged_before_they_are_divided() -> None:
    lattice = torch.tensor([[1.0, -1.0], [-1.0, 1.0]]).tile(4, 4)
    smooth = torch.tensor([3.0, -3.0]).repeat_interleave(4).tile(8, 1)
    image = torch.stack([lattice, smooth])[None]
    assert phase_variance.per_image(image).item() == pytest.approx(1 / (1 + 9))


@pytest.mark.parametrize("value", [0.0, 0.1, -7.3])
def test_what_is_constant_has_no_phase_variance(value: float) -> None:
    constant = torch.full((2, 3, 24, 24), value)
    assert phase_variance.per_image(constant).tolist() == [0, 0]
    # not even where nothing but rounding varies
    rounded = constant + 1e-7 * torch.tensor([0.0, 1.0]).tile(12)
    assert phase_variance.per_image(rounded).tolist() == [0, 0]


def test_the_checkerboard_of_a_transposed_convolution_is_seen() -> None:
    draws = torch.Generator().manual_seed(0)
    # activations behind a ReLU: smooth and of one sign
    drawn = torch.rand(50, 3, 6, 6, generator=draws)
    smooth = nn.functional.interpolate(drawn, scale_factor=2, mode="bilinear")
    kernel, kernel3 = (torch.randn(3, 3, size, size, generator=draws) for size in (2, 3))
    spotted = nn.functional.conv_transpose2d(smooth, kernel, stride=2)
    clean = nn.functional.conv2d(nn.functional.interpolate(smooth, scale_factor=2), kernel3)
    level = phase_variance.of_white_noise(16, 16)
    found, other = (
        phase_variance.per_image(x[..., 3:19, 3:19]).mean().item() for x in (spotted, clean)
    )
    assert found > 0.3
    assert other < 5 * level < found


def test_a_spectrum_is_numpys_and_its_mean_is_the_variance() -> None:
    noise = np.random.RandomState(0).randn(5, 8, 12, 3)
    found = spectrum(as_batch(noise))
    assert (found.shape, found.dtype) == ((8, 12), torch.float32)
    centred = noise - noise.mean((1, 2), keepdims=True)
    power = np.abs(np.fft.fftshift(np.fft.fft2(centred, axes=(1, 2)), axes=(1, 2))) ** 2 / 96
    np.testing.assert_allclose(found.numpy(), power.mean((0, 3)), rtol=1e-4, atol=1e-5)
    assert found.mean().item() == pytest.approx(noise.var((1, 2)).mean(), rel=1e-5)
    assert found[4, 6].item() == pytest.approx(0, abs=1e-6)  # the mean, in the centre


# --- the task -------------------------------------------------------------------------------------


def test_an_example_is_an_image_and_the_mean_of_its_cells(dataset: Dataset) -> None:
    task = task_of(dataset)
    assert (task.input_shape, task.outputs) == ((3, SIDE // 2, SIDE // 2), 3)
    given = shown(dataset, 4)
    inputs, wanted = task.examples(given, torch.zeros(4, dtype=torch.int64))
    assert wanted is given
    assert inputs.is_contiguous(memory_format=torch.channels_last)
    pixels = given.double().numpy()
    means = sum(pixels[:, :, i::2, j::2] for i in (0, 1) for j in (0, 1)) / 4
    np.testing.assert_allclose(inputs.numpy(), means, atol=1e-6)


def test_interpolation_does_not_shift_the_picture() -> None:
    """The inputs of a slope are that slope, halfway between pixels; interpolated it is back."""
    slope = torch.arange(16.0).tile(16, 1)[None, None]
    inputs, _ = task_of(of_pictures(1, 16)).examples(slope, torch.zeros(1))
    back = nn.functional.interpolate(inputs, scale_factor=2, mode="bilinear")
    assert torch.equal(back[..., 1:-1], slope[..., 1:-1])


@pytest.mark.parametrize("channels", [1, 3])
def test_scores_are_those_of_pictures_without_their_border(channels: int) -> None:
    dataset = of_pictures(channels)
    task = task_of(dataset)
    wanted = shown(dataset, 6)
    output = wanted + 0.3 * torch.from_numpy(np.random.RandomState(0).randn(*wanted.shape)).float()
    found = {name: score.numpy() for name, score in task.scores(output, wanted).items()}
    assert found.keys() == SCORES
    assert {(score.shape, score.dtype.name) for score in found.values()} == {((6,), "float32")}
    np.testing.assert_array_equal(task.progress(output, wanted)["psnr"], found["psnr"])

    pixels = dataset.train.images.reshape(-1, channels).astype(np.float64)
    grey = np.moveaxis(output.double().numpy(), 1, -1) * pixels.std(0) + pixels.mean(0)
    assert grey.min() < 0  # so that it is clipped
    assert grey.max() > 255
    for k in range(6):
        out = np.clip(grey[k], 0, 255)[2:-2, 2:-2]
        target = dataset.test.images[k, 2:-2, 2:-2].astype(np.float64)
        expected = peak_signal_noise_ratio(target, out, data_range=255)
        assert found["psnr"][k] == pytest.approx(expected, abs=1e-3)
        expected = structural_similarity(
            target,
            out,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
            data_range=255,
            channel_axis=-1,
        )
        assert found["ssim"][k] == pytest.approx(expected, abs=1e-5)
    for name, values in (
        ("phase_variance", output - wanted),
        ("output_phase_variance", output),
        ("target_phase_variance", wanted),
    ):
        inner = values[..., 4:-4, 4:-4].double().numpy()
        means = np.stack([inner[..., i::2, j::2].mean((2, 3)) for i in (0, 1) for j in (0, 1)])
        expected = means.var(0).mean(1) / inner.var((2, 3)).mean(1)
        np.testing.assert_allclose(found[name], expected, rtol=1e-3, atol=1e-7)
    np.testing.assert_allclose(
        found["white_noise_phase_variance"], phase_variance.of_white_noise(SIDE - 8, SIDE - 8)
    )


@pytest.mark.parametrize(("loss", "power"), [("l1", 1), ("l2", 2)])
def test_the_loss_is_the_mean_error(dataset: Dataset, loss: str, power: int) -> None:
    task = task_of(dataset, loss=loss)
    output, wanted = torch.from_numpy(np.random.RandomState(0).randn(2, 5, 3, SIDE, SIDE)).float()
    error = (output - wanted).abs().double().numpy() ** power
    assert task.loss(output, wanted).item() == pytest.approx(error.mean())
    np.testing.assert_allclose(
        task.scores(output, wanted)["loss"].numpy(), error.mean((1, 2, 3)), rtol=1e-5
    )


def test_the_loss_is_absolute_unless_it_is_said(dataset: Dataset) -> None:
    ones, threes = torch.ones(2, 1, 3, SIDE, SIDE), torch.full((2, 1, 3, SIDE, SIDE), 3.0)
    assert task_of(dataset).loss(threes[0], ones[0]).item() == 2
    assert task_of(dataset, loss="l2").loss(threes[0], ones[0]).item() == 4


@pytest.mark.parametrize(("height", "width"), [(31, 32), (32, 17)])
def test_odd_sides_are_refused(height: int, width: int) -> None:
    split = Split(np.zeros((2, height, width, 3), np.uint8), np.zeros(2, np.int64))
    odd = assemble(title="Odd ones", classes=[], train=split, test=split)
    with pytest.raises(ValueError, match="Odd ones") as caught:
        task_of(odd)
    assert str(caught.value) == (
        f"Odd ones has images of {height}x{width} pixels; super-resolution halves both sides, "
        "so they must be even: crop them"
    )


def test_small_images_are_refused_and_the_smallest_that_are_not_have_all_scores() -> None:
    with pytest.raises(ValueError, match="Waves") as caught:
        task_of(of_pictures(side=14))
    assert str(caught.value) == (
        "Waves has images of 14x14 pixels; super-resolution needs 16x16 or more"
    )
    dataset = of_pictures(side=16)
    wanted = shown(dataset, 3)
    scores = task_of(dataset).scores(wanted + 0.1, wanted)
    assert all(bool(score.isfinite().all()) for score in scores.values())


LOSSY = (
    "{} were stored with a loss (JPEG), so their 8x8 blocks and subsampled colours put a lattice "
    "into the very targets of super-resolution; take the data set 'patches', or PNG files that "
    "never were JPEG"
)


def test_images_that_were_stored_with_a_loss_are_refused(dataset: Dataset) -> None:
    assert catalog.load("tasks", "super_resolution").LOSSLESS is True
    assert not hasattr(catalog.load("tasks", "classify"), "LOSSLESS")
    with pytest.raises(ValueError, match="lattice") as caught:
        task_of(dataclasses.replace(dataset, lossy=True))
    assert str(caught.value) == LOSSY.format("Waves")


def test_a_network_for_another_task_is_told_what_is_asked(dataset: Dataset) -> None:
    with pytest.raises(ValueError, match="the network gives") as caught:
        task_of(dataset).loss(torch.zeros(5, 3), torch.zeros(5, 3, 24, 24))
    assert str(caught.value) == (
        "the network gives (3,) for each image where super-resolution asks for (3, 24, 24)"
    )


# --- training -------------------------------------------------------------------------------------


class Enlarge(nn.Module):
    """A network of one weight a channel: the nearest pixel, scaled."""

    def __init__(self, scale: float) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.full((3, 1, 1), scale))

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.interpolate(self.scale * x, scale_factor=2)


def test_an_epochs_scores_are_those_of_its_batches(dataset: Dataset) -> None:
    plan = plan_of(dataset, {**SHORT, "epochs": 1, "batch_size": 40, "augment": []})
    statistics = batches.channel_statistics(dataset.train)
    data, test = on_device(dataset.train, statistics), seen(dataset)
    network = Enlarge(0.5)
    expected = evaluate(network, plan, data, "loss")
    (epoch,) = train(begin(network, plan), plan, data, test)
    assert epoch.scores.keys() == {"train_loss", "train_psnr", "validation_loss", "validation_psnr"}
    assert epoch.scores["train_loss"] == pytest.approx(expected["loss"].mean(), rel=1e-5)
    assert epoch.scores["train_psnr"] == pytest.approx(expected["psnr"].mean(), rel=1e-5)
    after = evaluate(network, plan, test, "loss")
    assert epoch.scores["validation_psnr"] == pytest.approx(after["psnr"].mean(), rel=1e-5)


def test_a_task_without_progress_counts_all_its_scores(dataset: Dataset) -> None:
    plan = plan_of(dataset, {**SHORT, "epochs": 1})
    data = seen(dataset)
    (one,) = train(begin(Enlarge(0.5), plan), plan, data, None)
    whole = dataclasses.replace(plan.task, progress=None)
    (other,) = train(
        begin(Enlarge(0.5), dataclasses.replace(plan, task=whole)),
        dataclasses.replace(plan, task=whole),
        data,
        None,
    )
    assert one.scores == other.scores


def test_a_network_without_parameters_is_not_trained(dataset: Dataset) -> None:
    plan = plan_of(dataset)
    network = network_of(BICUBIC, plan.task)
    assert list(train(begin(network, plan), plan, seen(dataset), None)) == []
    scores = evaluate(network, plan, seen(dataset), "loss")
    inputs, wanted = plan.task.examples(shown(dataset, 12), torch.zeros(12))
    output = nn.functional.interpolate(inputs, scale_factor=2, mode="bicubic")
    np.testing.assert_allclose(scores["psnr"], plan.task.scores(output, wanted)["psnr"], rtol=1e-5)


def test_what_is_kept_is_of_the_first_examples() -> None:
    split = Split(waves(EVALUATION_BATCH + 8, 1, 16, 0), np.zeros(EVALUATION_BATCH + 8, np.int64))
    dataset = assemble(title="Many", classes=[], train=split, test=split)
    plan = plan_of(dataset)
    network = network_of(BICUBIC, plan.task)
    found = keepsakes(network, plan, seen(dataset))
    assert {name: (array.shape, array.dtype.name) for name, array in found.items()} == {
        "pictures_input": ((6, 8, 8, 1), "uint8"),
        "pictures_output": ((6, 16, 16, 1), "uint8"),
        "pictures_target": ((6, 16, 16, 1), "uint8"),
        "residual_spectrum": ((8, 8), "float32"),
        "target_spectrum": ((8, 8), "float32"),
    }
    np.testing.assert_array_equal(found["pictures_target"], split.images[:6])
    cells = split.images[:6].reshape(6, 8, 2, 8, 2, 1).mean((2, 4))
    assert np.abs(found["pictures_input"] - cells).max() <= 0.5 + 1e-3
    inputs, wanted = plan.task.examples(
        shown(dataset, EVALUATION_BATCH), torch.zeros(EVALUATION_BATCH)
    )
    output = network(inputs)
    for name, values in (("residual", output - wanted), ("target", wanted)):
        inner = values[..., 4:-4, 4:-4].double().numpy()
        inner -= inner.mean((2, 3), keepdims=True)
        power = np.abs(np.fft.fftshift(np.fft.fft2(inner), axes=(2, 3))) ** 2 / 64
        np.testing.assert_allclose(
            found[f"{name}_spectrum"], power.mean((0, 1)), rtol=1e-3, atol=1e-6
        )
    pixels = split.images.astype(np.float64)
    grey = output[:6].double().numpy() * pixels.std() + pixels.mean()
    expected = np.moveaxis(np.clip(grey, 0, 255), 1, -1)
    assert np.abs(found["pictures_output"] - expected).max() <= 0.5 + 1e-3


def test_classification_keeps_nothing(tiny_folder: Path) -> None:
    data = images(tiny_folder)
    task: Task = catalog.build("tasks", {"kind": "classify"}, "kind", data, 0.1)
    plan = Plan(task, Recipe(), "fp32", "cpu", 0)
    assert keepsakes(nn.Flatten(), plan, seen(data)) == {}


def test_the_expected_time_is_that_of_what_will_be_done(dataset: Dataset) -> None:
    def expected(network: dict[str, Any], epochs: int, validation: int = 0) -> tuple[int, int]:
        """Return how many batches the probe trains on and evaluates."""
        component, _ = expand(Network.model_validate(network))
        config = {
            "task": {"kind": "super_resolution", "loss": "l1"},
            "network": component,
            "recipe": Recipe(**{**SHORT, "epochs": epochs}).model_dump(mode="json"),
            "data": {"train_images": None, "test_images": None, "validation_images": validation},
        }
        counts = [0, 0]

        def count(module: nn.Module, _: Any) -> None:
            if {"features", "head"} <= dict(module.named_children()).keys():
                counts[not module.training] += 1

        hook = register_module_forward_pre_hook(count)
        try:
            assert probe.seconds(config, dataset, "fp32", "cpu") > 0
        finally:
            hook.remove()
        return counts[0], counts[1]

    assert expected(LEARNED, 4) == (2 * probe.STEPS, 2)
    assert expected(BICUBIC, 4) == (0, 2)


# --- trials ---------------------------------------------------------------------------------------


def test_a_trial_improves_on_what_it_began_with(folder: Path, tmp_path: Path) -> None:
    recipe = {**RECIPE, "epochs": 20, "lr": 0.1, "batch_size": 4}
    found = trained(job(folder, tmp_path, task="super_resolution", network=LEARNED, recipe=recipe))
    assert found.status == "ok", found.reason
    assert [epoch.epoch for epoch in found.epochs] == list(range(1, 21))
    before, after = found.arrays["initial_test_psnr"], found.arrays["test_psnr"]
    assert before.shape == after.shape == (12,)
    assert after.mean() > before.mean() + 3
    assert found.metrics["psnr"].value == pytest.approx(after.mean())
    assert (found.metrics["psnr"].unit, found.metrics["psnr"].direction) == ("dB", "higher")
    assert found.metrics["ssim"].value == pytest.approx(found.arrays["test_ssim"].mean())
    assert found.metrics["phase_variance"].value == pytest.approx(
        found.arrays["test_phase_variance"].mean()
    )
    contrast = found.metrics["lattice_contrast"]
    for value, whose in ((contrast.value, ""), (contrast.detail["target"], "target_")):
        sums = (found.arrays[f"test_{whose}lattice_{it}"].sum() for it in ("power", "surroundings"))
        assert value == pytest.approx(next(sums) / next(sums), rel=1e-6)
    first = found.metrics["initial_phase_variance"]
    assert first.value == pytest.approx(
        found.arrays["initial_test_output_phase_variance"].mean(), rel=1e-6
    )
    # A kernel of 2 at a stride of 2 paints each phase with a weight of its own.
    assert first.value is not None
    assert first.value > 10 * first.detail["white_noise"] > first.detail["target"]
    assert found.metrics.keys() == {
        *("psnr", "ssim", "phase_variance", "initial_phase_variance", "lattice_contrast"),
        *("test_loss", "train_seconds"),
    }
    assert found.arrays.keys() == {
        *(f"test_{name}" for name in SCORES),
        *(f"initial_test_{name}" for name in SCORES),
        *("final_pictures_input", "final_pictures_output", "final_pictures_target"),
        *("final_residual_spectrum", "final_target_spectrum"),
        *("initial_pictures_output", "initial_residual_spectrum"),
    }
    assert found.arrays["final_pictures_output"].shape == (6, SIDE, SIDE, 3)
    np.testing.assert_array_equal(
        found.arrays["final_pictures_target"], images(folder).test.images[:6]
    )
    errors = [
        np.abs(
            found.arrays[f"{when}_pictures_output"] - found.arrays["final_pictures_target"] * 1.0
        )
        for when in ("initial", "final")
    ]
    assert errors[1].mean() < errors[0].mean()
    assert found.arrays["final_residual_spectrum"].shape == (SIDE - 8, SIDE - 8)


def test_what_is_measured_before_the_first_step_is_of_the_initial_weights(
    folder: Path, tmp_path: Path
) -> None:
    asked = job(folder, tmp_path, seed=3, task="super_resolution", network=LEARNED, recipe=SHORT)
    found = trained(asked)
    dataset = images(folder)
    plan = plan_of(dataset)
    untrained = network_of(LEARNED, plan.task, seed=3)
    expected = evaluate(untrained, plan, seen(dataset), "loss")
    for name in SCORES:
        assert found.arrays[f"initial_test_{name}"].tobytes() == expected[name].tobytes()


def test_looking_at_it_first_does_not_change_a_training(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {"task": "super_resolution", "network": LEARNED | {"norm": "batch"}}
    one = trained(job(folder, tmp_path / "one", recipe=SHORT, **options))
    build = catalog.build

    def blind(room: str, *arguments: Any) -> Any:
        built = build(room, *arguments)
        return dataclasses.replace(built, before=False) if room == "tasks" else built

    monkeypatch.setattr(catalog, "build", blind)
    other = trained(job(folder, tmp_path / "other", recipe=SHORT, **options))
    assert "initial_phase_variance" not in other.metrics
    assert one.arrays["test_loss"].tobytes() == other.arrays["test_loss"].tobytes()
    assert [e.scores for e in one.epochs] == [e.scores for e in other.epochs]


def test_a_trial_without_parameters_has_scores_and_no_epochs(folder: Path, tmp_path: Path) -> None:
    asked = job(folder, tmp_path, task="super_resolution", network=BICUBIC, recipe=SHORT)
    *messages, last = list(trial.run(asked))
    assert messages == []
    assert last["status"] == "ok"
    found = trained(asked)
    assert found.epochs == []
    assert found.metrics["train_seconds"].value == 0
    assert found.metrics["train_seconds"].detail == {}
    assert found.metrics["psnr"].value == pytest.approx(found.arrays["test_psnr"].mean())
    # What was not trained is the same before and after.
    for name in SCORES:
        np.testing.assert_array_equal(
            found.arrays[f"initial_test_{name}"], found.arrays[f"test_{name}"]
        )
    np.testing.assert_array_equal(
        found.arrays["initial_pictures_output"], found.arrays["final_pictures_output"]
    )
    dataset = images(folder)
    inputs = Image.fromarray(found.arrays["final_pictures_input"][0])
    assert inputs.size == (SIDE // 2, SIDE // 2)
    assert found.spec["config"]["task"] == {"kind": "super_resolution", "loss": "l1"}
    assert len(dataset.test.images) == found.metrics["psnr"].detail["examples"] == 12


def test_a_trial_on_jpeg_files_says_why_it_failed(folder: Path, tmp_path: Path) -> None:
    jpeg = draw(tmp_path / "jpeg", "jpg")
    found = trained(job(jpeg, tmp_path, task="super_resolution", network=LEARNED))
    assert found.status == "failed"
    assert found.reason == f"ValueError: {LOSSY.format(images(jpeg).title)}"


def test_a_network_that_begins_with_no_number_has_diverged(dataset: Dataset) -> None:
    plan = plan_of(dataset)
    with pytest.raises(Diverged) as caught:
        evaluate(Enlarge(math.inf), plan, seen(dataset), "test loss before the first step")
    assert str(caught.value) in {
        f"the test loss before the first step was {value}" for value in ("inf", "nan")
    }
