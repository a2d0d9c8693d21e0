"""Training: what a trial is fed, what a step computes, and that nothing else has a say in it."""

import dataclasses
import itertools
import math
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from small_runs import DROPOUT, NETWORK, RECIPE, SIDE, draw, images, job, record_of, trained
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_pre_hook
from torch.optim.optimizer import register_optimizer_step_pre_hook

from ablate import catalog
from ablate.data import Dataset, Split
from ablate.execute import Done
from ablate.records import Epoch, Record
from ablate.suite.schema import Recipe
from ablate.tasks import Task
from ablate.train import ENGINE, batches, precision
from ablate.train.loop import (
    Diverged,
    Plan,
    begin,
    evaluate,
    learning_rates,
    parameter_groups,
    train,
)
from ablate.train.seeds import stream
from ablate.train.source import Source, open_source

DEPTHWISE = {**NETWORK, "conv": "depthwise_separable", "act": "silu", "norm": "none"}


pytestmark = pytest.mark.usefixtures("single_thread")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Two classes that cannot be told apart: 80 training and 48 test images."""
    place = tmp_path_factory.mktemp("train")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ABLATE_DATA", str(place / "prepared"))
        yield draw(place / "images")


@pytest.fixture(scope="module")
def easy(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes that differ in brightness."""
    return draw(tmp_path_factory.mktemp("easy") / "images", contrast=60)


@pytest.fixture(scope="module")
def dataset(folder: Path) -> Dataset:
    return images(folder)


def source(split: Split, pad: int = 0) -> Source:
    return open_source(split, None, pad, batches.channel_statistics(split), "cpu")


def on_device(split: Split, pad: int = 0) -> batches.Images:
    whole = source(split, pad).whole
    assert whole is not None
    return whole


def plan(dataset: Dataset, recipe: Recipe, seed: int = 0, number_format: str = "fp32") -> Plan:
    task: Task = catalog.build(
        "tasks", {"kind": "classify"}, "kind", dataset, recipe.label_smoothing
    )
    return Plan(task, recipe, number_format, "cpu", seed)


def run(network: nn.Module, plan: Plan, dataset: Dataset) -> Iterator[Epoch]:
    """Train from the beginning, without validation."""
    return train(begin(network, plan), plan, source(dataset.train), None)


# --- what a network is fed ------------------------------------------------------------------------


class Feed:
    """Keeps what whole networks are given while they train, byte by byte, and while they do not."""

    def __init__(self) -> None:
        self.trained: list[bytes] = []
        self.tested: list[bytes] = []
        self.shapes: set[tuple[int, ...]] = set()
        self.last_in_memory = True

    def __call__(self, module: nn.Module, inputs: Any) -> None:
        if not {"features", "head"} <= dict(module.named_children()).keys():
            return
        (given,) = inputs
        kept = given.contiguous().numpy().tobytes()
        (self.trained if module.training else self.tested).append(kept)
        if module.training:
            self.shapes.add(tuple(given.shape))
            self.last_in_memory &= given.is_contiguous(memory_format=torch.channels_last)


def feed(job: dict[str, Any]) -> tuple[Feed, Record]:
    """Run a real trial and return all that its network was given."""
    seen = Feed()
    hook = register_module_forward_pre_hook(seen)
    try:
        record = trained(job)
    finally:
        hook.remove()
    assert record.status == "ok", record.reason
    return seen, record


SIZES = {"train_images": 50, "validation_images": 16, "test_images": 20}


def test_variants_of_a_seed_see_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    one, first = feed(job(folder, tmp_path, seed=3, sizes=SIZES))
    other, second = feed(job(folder, tmp_path, seed=3, sizes=SIZES, network=DEPTHWISE))
    assert first.id != second.id
    assert first.metrics["test_loss"].value != second.metrics["test_loss"].value
    assert len(one.trained) == 2 * math.ceil(50 / 16)
    assert one.trained == other.trained
    assert one.tested == other.tested
    assert len(set(one.trained)) == len(one.trained)  # no batch comes twice
    assert one.shapes == {(16, 3, SIDE, SIDE)}  # the last batch of an epoch too
    assert one.last_in_memory


def test_seeds_see_other_batches_and_the_same_tests(folder: Path, tmp_path: Path) -> None:
    one, first = feed(job(folder, tmp_path, seed=0, sizes=SIZES))
    other, second = feed(job(folder, tmp_path, seed=1, sizes=SIZES))
    assert not set(one.trained) & set(other.trained)
    assert one.tested == other.tested
    assert len(first.arrays["test_correct"]) == len(second.arrays["test_correct"]) == 20


def test_a_recipe_changes_no_more_of_the_batches_than_it_says(folder: Path, tmp_path: Path) -> None:
    usual, _ = feed(job(folder, tmp_path))
    hot, _ = feed(job(folder, tmp_path, recipe={**RECIPE, "lr": 0.5, "weight_decay": 0}))
    assert hot.trained == usual.trained
    long, _ = feed(job(folder, tmp_path, recipe={**RECIPE, "epochs": 3}))
    assert long.trained[: len(usual.trained)] == usual.trained
    still, _ = feed(job(folder, tmp_path, recipe={**RECIPE, "augment": []}))
    assert still.trained != usual.trained


@given(
    images=st.integers(1, 70),
    batch=st.integers(1, 90),
    seed=st.integers(0, 3),
    pad=st.sampled_from([0, 4]),
)
def test_every_example_comes_in_every_epoch(images: int, batch: int, seed: int, pad: int) -> None:
    steps = math.ceil(images / batch)
    epochs = list(batches.schedules(images, batch, 3, ["crop", "flip"], pad, seed))
    assert len(epochs) == 3
    for epoch in epochs:
        assert epoch.order.shape == epoch.flip.shape == (steps, batch)
        assert epoch.shift.shape == (steps, batch, 2)
        once, rest = epoch.order.flatten().split([images, steps * batch - images])
        assert sorted(once.tolist()) == list(range(images))
        # what fills the last batch are the epoch's first examples
        assert rest.tolist() == (once.tolist() * (1 + len(rest) // images))[: len(rest)]
        assert 0 <= int(epoch.shift.min()) <= int(epoch.shift.max()) <= 2 * pad


def test_epochs_differ_in_order_and_augmentation() -> None:
    one, two = batches.schedules(64, 16, 2, ["crop", "flip"], 4, 0)
    assert not torch.equal(one.order, two.order)
    assert not torch.equal(one.shift, two.shift)
    assert not torch.equal(one.flip, two.flip)


def test_augmentations_are_spread_evenly() -> None:
    (epoch,) = batches.schedules(9000, 100, 1, ["crop", "flip"], 4, 0)
    for axis in (0, 1):
        counts = torch.bincount(epoch.shift[..., axis].flatten(), minlength=9)
        assert len(counts) == 9
        assert all(900 < count < 1100 for count in counts.tolist())  # 1000 ± 3.4 deviations
    assert 4300 < int(epoch.flip.sum()) < 4700
    assert abs(torch.corrcoef(epoch.shift.view(-1, 2).T.float())[0, 1].item()) < 0.04


@pytest.mark.parametrize("augment", [[], ["crop"], ["flip"], ["cutout"]])
def test_switching_an_augmentation_off_leaves_the_rest_alone(augment: list[str]) -> None:
    (full,) = batches.schedules(50, 8, 1, ["crop", "flip", "cutout"], 4, 7)
    (part,) = batches.schedules(50, 8, 1, augment, 4, 7)
    assert torch.equal(part.order, full.order)
    assert torch.equal(part.shift, full.shift) == ("crop" in augment)
    assert torch.equal(part.flip, full.flip) == ("flip" in augment)
    assert full.hole is not None
    if part.hole is None:
        assert "cutout" not in augment
    else:
        assert torch.equal(part.hole, full.hole)
        assert 0 <= part.hole.min() < 0.1 < 0.9 < part.hole.max() < 1
    if "crop" not in augment:
        assert (part.shift == 4).all()  # the middle: the image as it is
    if "flip" not in augment:
        assert not part.flip.any()


def test_streams_of_purposes_and_seeds_are_apart() -> None:
    purposes = ("subset", "order", "augment", "cutout", "init", "network")
    drawn = {
        (seed, purpose): int(torch.randint(2**62, (), generator=stream(seed, purpose)))
        for seed in range(3)
        for purpose in purposes
    }
    assert len(set(drawn.values())) == 18
    again = torch.randint(2**62, (), generator=stream(2, "order"))
    assert int(again) == drawn[2, "order"]


def test_a_subset_is_drawn_for_each_seed() -> None:
    chosen = [batches.subset(100, 30, seed) for seed in range(4)]
    for one in chosen:
        assert one is not None
        assert len(one) == 30
        assert one.tolist() == sorted(set(one.tolist()))
    assert len({tuple(one.tolist()) for one in chosen if one is not None}) == 4
    assert torch.equal(batches.subset(100, 30, 2), chosen[2])  # type: ignore[arg-type]
    union = set().union(*(one.tolist() for one in chosen if one is not None))
    assert len(union) > 60  # 100 (1 - 0.7^4) = 76 are expected
    assert batches.subset(100, None, 0) is None
    assert batches.subset(100, 100, 0) is None
    assert batches.subset(100, 200, 0) is None


# --- a batch --------------------------------------------------------------------------------------


def reference(
    split: Split, order: Sequence[int], shift: Sequence[Sequence[int]], flip: Sequence[bool]
) -> "np.ndarray[Any, Any]":
    """Pad, crop, mirror and normalise one pixel after the other."""
    count, height, width, channels = split.images.shape
    wide = split.images.astype(np.float64)
    mean = [wide[..., c].mean() for c in range(channels)]
    std = [wide[..., c].std() for c in range(channels)]
    pad = batches.PAD
    out = np.zeros((len(order), channels, height, width))
    for b, image in enumerate(order):
        for c, i, j in itertools.product(range(channels), range(height), range(width)):
            across = width - 1 - j if flip[b] else j
            y, x = i + shift[b][0] - pad, across + shift[b][1] - pad
            inside = 0 <= y < height and 0 <= x < width
            value = float(split.images[image, y, x, c]) if inside else 0.0
            out[b, c, i, j] = (value - mean[c]) / std[c]
    assert count > max(order)
    return out


@pytest.mark.parametrize("channels", [1, 3])
def test_a_batch_is_what_slow_loops_make_of_it(channels: int) -> None:
    noise = np.random.RandomState(1)
    pixels = noise.randint(0, 256, (7, 5, 6, channels)).astype(np.uint8)  # not square
    split = Split(pixels, np.arange(7))
    order = [3, 0, 6, 3, 5, 1]
    shift = [[0, 0], [8, 8], [4, 4], [0, 8], [3, 5], [7, 1]]
    flip = [False, True, True, False, True, False]
    data = on_device(split, batches.PAD)
    assert data.images.shape == (7, 5 + 8, 6 + 8, channels)
    found, targets = batches.gather(
        data, torch.tensor(order), torch.tensor(shift), torch.tensor(flip)
    )
    assert targets.tolist() == order
    assert found.shape == (6, channels, 5, 6)
    assert found.dtype == torch.float32
    assert found.is_contiguous(memory_format=torch.channels_last)
    np.testing.assert_allclose(found.numpy(), reference(split, order, shift, flip), atol=1e-5)


def test_without_augmentation_a_batch_is_the_plain_images(dataset: Dataset) -> None:
    (epoch,) = batches.schedules(80, 80, 1, [], batches.PAD, 0)
    padded, bare = on_device(dataset.train, batches.PAD), on_device(dataset.train)
    order = torch.arange(80)
    one, targets = batches.gather(padded, order, epoch.shift[0], epoch.flip[0])
    for data in (padded, bare):
        images, wanted = batches.plain(data, 0, 80)
        assert torch.equal(one, images)
        assert torch.equal(targets, wanted)
        assert images.is_contiguous(memory_format=torch.channels_last)
    assert [len(part) for part in batches.plain(bare, 64, 96)] == [16, 16]


@pytest.mark.parametrize("kind", [np.int64, np.uint8, np.bool_, np.float32])
@pytest.mark.parametrize("depth", [(), (2,)])
def test_targets_of_each_pixel_go_where_their_pixels_go(kind: Any, depth: tuple[int, ...]) -> None:
    noise = np.random.RandomState(3)
    pixels = noise.randint(1, 256, (9, 5, 6, 1)).astype(np.uint8)
    spread = np.broadcast_to(pixels.reshape(9, 5, 6, *[1] * len(depth)), (9, 5, 6, *depth))
    masks = (spread > 128) if kind is np.bool_ else spread.astype(kind)
    (epoch,) = batches.schedules(9, 9, 1, ["crop", "flip", "cutout"], batches.PAD, 2)
    statistics = torch.zeros(1), torch.ones(1)  # so that the images stay what they are
    split = Split(pixels, masks)
    whole = open_source(split, None, batches.PAD, statistics, "cpu").whole
    assert whole is not None
    assert epoch.hole is not None
    images, targets = batches.gather(whole, epoch.order[0], epoch.shift[0], epoch.flip[0])
    there = images[:, 0].numpy().reshape(9, 5, 6, *[1] * len(depth))
    expected = there > 128 if kind is np.bool_ else there
    assert targets.dtype == torch.from_numpy(masks).dtype
    assert (targets.numpy() == expected).all()
    assert (there == 0).any()  # of the black around them
    cut, same = batches.gather(whole, epoch.order[0], epoch.shift[0], epoch.flip[0], epoch.hole[0])
    assert torch.equal(same, targets)  # they are left whole
    assert not torch.equal(cut, images)
    for start in (0, 4):
        given, wanted = batches.plain(whole, start, 9)
        assert (given[:, 0].numpy() == pixels[start:, ..., 0]).all()
        assert (wanted.numpy() == masks[start:]).all()


def test_what_is_cut_out_is_a_square_around_its_centre() -> None:
    pixels = np.full((4, 8, 12, 2), 9, np.uint8)
    statistics = torch.full((2,), 5.0), torch.full((2,), 2.0)
    whole = open_source(Split(pixels, np.zeros(4)), None, 0, statistics, "cpu").whole
    assert whole is not None
    centres = [(0.5, 0.5), (0.0, 0.0), (0.99, 0.99), (0.3, 0.8)]
    still, order = torch.zeros(4, 2, dtype=torch.int64), torch.arange(4)
    images, _ = batches.gather(whole, order, still, still[:, 0] > 0, torch.tensor(centres))
    side = 4  # half of the shorter side
    expected = np.full((4, 2, 8, 12), 2.0)  # (9 - 5) / 2
    for image, (down, across) in enumerate(centres):
        for i, j in itertools.product(range(8), range(12)):
            row, column = int(down * 8) - side // 2, int(across * 12) - side // 2
            if row <= i < row + side and column <= j < column + side:
                expected[image, :, i, j] = 0  # the mean
    assert (images.numpy() == expected).all()
    assert [(image == 0).sum() // 2 for image in expected] == [16, 4, 9, 16]
    assert images.is_contiguous(memory_format=torch.channels_last)


def test_training_images_are_normalised_by_their_own_statistics(dataset: Dataset) -> None:
    mean, std = batches.channel_statistics(dataset.train)
    pixels = dataset.train.images.reshape(-1, 3).astype(np.float64)
    np.testing.assert_allclose(mean.numpy(), pixels.mean(0), rtol=1e-6)
    np.testing.assert_allclose(std.numpy(), pixels.std(0), rtol=1e-6)
    inputs, _ = batches.plain(on_device(dataset.train), 0, 80)
    assert inputs.mean((0, 2, 3)).abs().max() < 1e-5
    assert (inputs.std((0, 2, 3)) - 1).abs().max() < 1e-3
    flat = Split(np.full((5000, 2, 2, 1), 7, np.uint8), np.zeros(5000, np.int64))
    even, _ = batches.plain(on_device(flat), 0, 9)
    assert even.abs().max() == 0  # no deviation, no division by it


def test_the_device_gets_the_chosen_rows(dataset: Dataset) -> None:
    rows = torch.tensor([1, 5, 41])
    statistics = batches.channel_statistics(dataset.train)
    found = batches.to_device(dataset.train, rows, 0, statistics, "cpu")
    assert len(found) == 3
    assert np.array_equal(found.images.numpy(), dataset.train.images[[1, 5, 41]])
    assert found.targets.tolist() == [0, 0, 1]


# --- learning rates -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("steps", "warmup"), [(100, 0.3), (7, 0.3), (628, 0.25), (3, 0.3), (2, 0.3), (40, 0.9)]
)
def test_one_cycle_is_torchs_own(steps: int, warmup: float) -> None:
    recipe = Recipe(lr=0.4, warmup=warmup)
    weight = nn.Parameter(torch.ones(1))
    optimizer = torch.optim.SGD([weight], lr=0.4, momentum=0.9)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, 0.4, total_steps=steps, pct_start=warmup, cycle_momentum=False
    )
    used = []
    for step in range(steps):
        weight.grad = torch.ones(1)
        used.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if step < steps - 1:
            scheduler.step()
    assert learning_rates(recipe, steps) == pytest.approx(used, rel=1e-12)


def test_one_cycle_has_the_published_corners() -> None:
    rates = learning_rates(Recipe(lr=0.5, warmup=0.3), 100)
    assert rates[0] == pytest.approx(0.5 / 25)
    assert max(rates) == pytest.approx(0.5)
    assert rates.index(max(rates)) == 29  # the 30th of 100 steps
    assert rates[-1] == pytest.approx(0.5 / 25 / 1e4)
    assert all(a < b for a, b in itertools.pairwise(rates[:30]))
    assert all(a > b for a, b in itertools.pairwise(rates[30:]))
    way = (1 - math.cos(math.pi * 10 / 29)) / 2
    assert rates[10] == pytest.approx(0.5 / 25 + way * (0.5 - 0.5 / 25))
    way = (1 + math.cos(math.pi * 40 / 70)) / 2
    assert rates[29 + 40] == pytest.approx(way * 0.5, rel=1e-4)


@pytest.mark.parametrize(("steps", "warmup"), [(10, 0.1), (4, 0.25), (2, 0.5), (1000, 0.001)])
def test_a_way_up_of_one_step_is_no_division_by_zero(steps: int, warmup: float) -> None:
    rates = learning_rates(Recipe(lr=0.5, warmup=warmup), steps)
    assert len(rates) == steps
    assert rates[0] == pytest.approx(0.5 / 25)
    if steps > 2:
        assert rates[1] > 0.3
    assert rates[-1] == pytest.approx(0.5 / 25 / 1e4)


def test_a_single_step_and_a_constant_schedule_have_the_rate_itself() -> None:
    assert learning_rates(Recipe(lr=0.5), 1) == [0.5]
    assert learning_rates(Recipe(lr=0.5, schedule="constant"), 4) == [0.5] * 4


def test_the_optimizer_really_uses_these_rates(folder: Path, tmp_path: Path) -> None:
    used: list[set[float]] = []

    def note(optimizer: torch.optim.Optimizer, *_: Any) -> None:
        if len(optimizer.param_groups) == 2:  # not the one by which torch's schedule is read
            used.append({group["lr"] for group in optimizer.param_groups})

    hook = register_optimizer_step_pre_hook(note)
    try:
        record = trained(job(folder, tmp_path))
    finally:
        hook.remove()
    rates = learning_rates(Recipe(**RECIPE), 10)
    assert used == [{rate} for rate in rates]
    assert [epoch.learning_rate for epoch in record.epochs] == [rates[4], rates[9]]


# --- weight decay ---------------------------------------------------------------------------------


class Everything(nn.Module):
    """One of each kind of parameter that weight decay may tell apart."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3)
        self.depthwise = nn.Conv2d(8, 8, 3, groups=8)
        self.multiplied = nn.Conv2d(8, 16, 3, groups=8, bias=False)
        self.grouped = nn.Conv2d(16, 16, 3, groups=4, bias=False)
        self.batch = nn.BatchNorm2d(16)
        self.group = nn.GroupNorm(4, 16)
        self.layer = nn.LayerNorm(16)
        self.linear = nn.Linear(16, 2)
        self.tied = nn.Linear(16, 2, bias=False)
        self.tied.weight = self.linear.weight
        self.scale = nn.Parameter(torch.ones(1))


NORMS = {f"{kind}.{part}" for kind in ("batch", "group", "layer") for part in ("weight", "bias")}
BIASES = {"conv.bias", "depthwise.bias", "batch.bias", "group.bias", "layer.bias", "linear.bias"}
DEPTHWISE_FILTERS = {"depthwise.weight", "multiplied.weight"}


@pytest.mark.parametrize(
    ("no_decay", "spared"),
    [
        (["norm", "bias", "depthwise"], NORMS | BIASES | DEPTHWISE_FILTERS),
        (["norm"], NORMS),
        (["bias"], BIASES),
        (["depthwise"], DEPTHWISE_FILTERS),
        ([], set()),
    ],
)
def test_weight_decay_spares_what_the_recipe_says(no_decay: Any, spared: set[str]) -> None:
    network = Everything()
    names = {parameter: name for name, parameter in network.named_parameters()}
    everything = set(names.values())
    groups = parameter_groups(network, Recipe(no_decay=no_decay, weight_decay=0.01))
    found = {
        group["weight_decay"]: {names[parameter] for parameter in group["params"]}
        for group in groups
    }
    assert found.pop(0.0, set()) == spared
    assert found == {0.01: everything - spared}
    assert sorted(names[p] for group in groups for p in group["params"]) == sorted(everything)
    torch.optim.SGD(groups, lr=0.1)  # which refuses a parameter in two groups


def test_a_network_that_is_spared_altogether_has_one_group() -> None:
    groups = parameter_groups(nn.BatchNorm2d(4), Recipe())
    assert [group["weight_decay"] for group in groups] == [0.0]


# --- what a step computes -------------------------------------------------------------------------


def smoothed(logits: "np.ndarray[Any, Any]", target: "np.ndarray[Any, Any]", by: float) -> Any:
    """Return the smoothed target distribution and the loss per example, by the formula."""
    classes = logits.shape[1]
    wanted = np.full(logits.shape, by / classes)
    wanted[np.arange(len(target)), target] += 1 - by
    shifted = logits - logits.max(1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
    return wanted, log_p, -(wanted * log_p).sum(1)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.7])
def test_the_loss_of_classification_follows_its_formula(dataset: Dataset, smoothing: float) -> None:
    task = plan(dataset, Recipe(label_smoothing=smoothing)).task
    noise = np.random.RandomState(0)
    logits, target = noise.randn(20, 2) * 3, noise.randint(0, 2, 20)
    given = torch.from_numpy(logits), torch.from_numpy(target)
    assert task.loss(*given).item() == pytest.approx(smoothed(logits, target, smoothing)[2].mean())
    scores = task.scores(*given)
    np.testing.assert_allclose(scores["loss"].numpy(), smoothed(logits, target, 0.0)[2])
    assert scores["correct"].tolist() == (logits.argmax(1) == target).tolist()


def test_classification_needs_classes(dataset: Dataset) -> None:
    with pytest.raises(ValueError, match="has no classes, so there is nothing to classify"):
        plan(dataclasses.replace(dataset, classes=[], title="Depths"), Recipe())


def test_steps_are_those_of_sgd_with_nesterov_by_hand(dataset: Dataset) -> None:
    recipe = Recipe(
        lr=0.05,
        momentum=0.9,
        weight_decay=0.01,
        schedule="constant",
        epochs=2,
        batch_size=32,
        augment=[],
        label_smoothing=0.1,
    )
    network = nn.Sequential(nn.Flatten(), nn.Linear(3 * SIDE * SIDE, 2))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network[1].reset_parameters()
    weight = network[1].weight.detach().double().numpy().copy()
    bias = network[1].bias.detach().double().numpy().copy()
    images, _ = batches.plain(on_device(dataset.train), 0, 80)
    inputs = images.double().flatten(1).numpy()
    velocity_w = velocity_b = 0.0
    losses = []
    for epoch in batches.schedules(80, 32, 2, [], 0, 0):
        total = 0.0
        for rows in epoch.order.numpy():
            x, target = inputs[rows], dataset.train.targets[rows]
            wanted, log_p, loss = smoothed(x @ weight.T + bias, target, 0.1)
            error = (np.exp(log_p) - wanted) / len(rows)
            gradient_w = error.T @ x + 0.01 * weight
            gradient_b = error.sum(0)  # biases are spared
            velocity_w = 0.9 * velocity_w + gradient_w
            velocity_b = 0.9 * velocity_b + gradient_b
            weight -= 0.05 * (gradient_w + 0.9 * velocity_w)
            bias -= 0.05 * (gradient_b + 0.9 * velocity_b)
            total += loss.mean()
        losses.append(total / 3)
    epochs = list(run(network, plan(dataset, recipe), dataset))
    np.testing.assert_allclose(network[1].weight.detach().numpy(), weight, atol=2e-6)
    np.testing.assert_allclose(network[1].bias.detach().numpy(), bias, atol=2e-6)
    assert [epoch.scores["train_loss"] for epoch in epochs] == pytest.approx(losses, rel=1e-5)
    assert [(e.epoch, e.step, e.images) for e in epochs] == [(1, 3, 96), (2, 6, 96)]


def test_a_problem_that_can_be_learned_is_learned(easy: Path, tmp_path: Path) -> None:
    recipe = {**RECIPE, "epochs": 6}
    found = trained(job(easy, tmp_path, recipe=recipe, sizes={"validation_images": 16}))
    assert found.metrics["accuracy"].value is not None
    assert found.metrics["accuracy"].value > 95
    last = found.epochs[-1].scores
    assert last["train_accuracy"] > 95
    assert last["validation_accuracy"] > 95
    assert last["train_loss"] < found.epochs[0].scores["train_loss"]
    assert last.keys() == {
        "train_loss",
        "train_accuracy",
        "validation_loss",
        "validation_accuracy",
    }


def test_noise_cannot_be_learned(folder: Path, tmp_path: Path) -> None:
    found = trained(job(folder, tmp_path, recipe={**RECIPE, "epochs": 6}))
    assert found.metrics["accuracy"].value is not None
    assert 25 < found.metrics["accuracy"].value < 75  # 48 coins: 50 ± 3.5 deviations


# --- what is recorded -----------------------------------------------------------------------------


def test_the_scores_are_those_of_the_weights_that_are_kept(folder: Path, tmp_path: Path) -> None:
    asked = job(folder, tmp_path, sizes={"validation_images": 16, "test_images": 30})
    found = trained(asked)
    weights = torch.load(tmp_path / "trials" / found.id / "weights.pt", weights_only=True)
    network: nn.Module = catalog.build(
        "networks", found.spec["config"]["network"], "family", (3, SIDE, SIDE), 2
    )
    network.load_state_dict(weights)
    network.eval()
    data = images(folder, validation=16)
    assert len(data.train) == 64
    pixels = data.train.images.reshape(-1, 3).astype(np.float64)
    rows = batches.subset(48, 30, seed=-1)
    assert rows is not None
    inputs = (data.test.images[rows.numpy()] - pixels.mean(0)) / pixels.std(0)
    with torch.no_grad():
        output = network(torch.from_numpy(inputs).float().permute(0, 3, 1, 2))
    target = data.test.targets[rows.numpy()]
    assert found.arrays["test_correct"].tolist() == (output.argmax(1).numpy() == target).tolist()
    loss = smoothed(output.double().numpy(), target, 0.0)[2]
    np.testing.assert_allclose(found.arrays["test_loss"], loss, rtol=1e-4)
    correct = found.arrays["test_correct"]
    assert found.metrics["accuracy"].value == pytest.approx(100 * correct.mean())
    assert found.metrics["test_loss"].value == pytest.approx(loss.mean(), rel=1e-4)


def test_time_of_training_is_that_of_training_alone(folder: Path, tmp_path: Path) -> None:
    def slow(module: nn.Module, inputs: Any) -> None:
        if not module.training and "head" in dict(module.named_children()):
            time.sleep(0.6)

    hook = register_module_forward_pre_hook(slow)
    try:
        recipe = {**RECIPE, "epochs": 1}
        found = trained(job(folder, tmp_path, recipe=recipe, sizes={"validation_images": 16}))
    finally:
        hook.remove()
    (epoch,) = found.epochs
    assert epoch.seconds < 0.6
    assert found.metrics["train_seconds"].value == pytest.approx(epoch.seconds)
    assert found.seconds > 1.2  # validation and test


@pytest.mark.parametrize(
    ("recipe", "sizes", "epochs", "reason"),
    [
        ({"epochs": 3, "lr": 1e30}, {}, 0, "the training loss was nan in epoch 1"),
        (
            {"epochs": 1, "lr": 1e30, "batch_size": 80},
            {},
            1,
            "the test loss after the last epoch was nan",
        ),
        (
            {"epochs": 1, "lr": 1e30, "batch_size": 64},
            {"validation_images": 16},
            0,
            "the validation loss after epoch 1 was nan",
        ),
    ],
)
def test_a_trial_that_diverges_is_a_record_that_says_so(
    folder: Path, tmp_path: Path, recipe: Any, sizes: Any, epochs: int, reason: str
) -> None:
    asked = job(folder, tmp_path, recipe={**RECIPE, **recipe}, sizes=sizes)
    found = trained(asked)
    assert (found.status, found.reason) == ("diverged", reason)
    assert len(found.epochs) == epochs
    assert (found.metrics, found.arrays) == ({}, {})
    path = tmp_path / "trials" / found.id
    assert [item.name for item in path.iterdir()] == ["record.json"]


def test_divergence_names_the_epoch(dataset: Dataset) -> None:
    # Gradients that grow with the outputs: under a rate that is too large they overflow in time.
    network = nn.Sequential(nn.Flatten(), nn.Linear(3 * SIDE * SIDE, 2), Square())
    recipe = Recipe(lr=0.5, schedule="constant", epochs=50, batch_size=80, augment=[])
    running = run(network, plan(dataset, recipe), dataset)
    epochs: list[Epoch] = []
    with pytest.raises(Diverged) as caught:
        epochs.extend(running)
    assert 1 <= len(epochs) < 50
    assert all(math.isfinite(epoch.scores["train_loss"]) for epoch in epochs)
    assert str(caught.value).endswith(f"in epoch {len(epochs) + 1}")


class Square(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * x


def test_a_trial_that_raises_is_a_record_that_says_so(folder: Path, tmp_path: Path) -> None:
    asked = job(folder, tmp_path, sizes={"test_images": 30})
    asked["spec"]["data"] = "0" * 64
    found = trained(asked)
    assert found.status == "failed"
    digest = images(folder).digest[:8]
    assert found.reason == (
        "WrongData: the images of images of images (folder) have changed since this trial was "
        f"planned (digest {digest}, planned 00000000); run the suite again"
    )
    trace = (tmp_path / "trials" / found.id / "traceback.txt").read_text()
    assert trace.startswith("Traceback")
    assert "WrongData" in trace


# --- the same again -------------------------------------------------------------------------------


def weights_of(record: Record, runs: Path) -> bytes:
    return (runs / "trials" / record.id / "weights.pt").read_bytes()


def test_a_trial_gives_the_same_bytes_wherever_it_runs(folder: Path, tmp_path: Path) -> None:
    plugin = tmp_path / "dropped.py"
    plugin.write_text(DROPOUT)
    runs = [tmp_path / name for name in ("inline", "again", "first", "second")]
    plain = [job(folder, place, sizes=SIZES) for place in runs]
    drawing = [
        job_with_plugin(folder, place, plugin)
        for place in runs[2:]  # in workers alone: this process's catalog stays as it is
    ]
    torch.manual_seed(1)
    trained(plain[0])
    torch.manual_seed(2)
    torch.rand(7)
    trained(plain[1])
    # Two at a time in two workers, the trials that draw in another state of the worker each.
    jobs = [drawing[0], plain[2], plain[3], drawing[1]]
    run = catalog.load("execute", "processes").run
    events = list(run(jobs, "ablate.train.trial:run", 2))
    assert [event.status for event in events if isinstance(event, Done)] == ["ok"] * 4

    for asked in (plain, drawing):
        first, *others = (record_of(one) for one in asked)
        for one, other in zip(asked[1:], others, strict=True):
            assert first.arrays.keys() == other.arrays.keys() == {"test_correct", "test_loss"}
            for name, array in first.arrays.items():
                assert array.tobytes() == other.arrays[name].tobytes()
            assert weights_of(first, Path(asked[0]["runs"])) == weights_of(other, Path(one["runs"]))
            assert [e.scores for e in first.epochs] == [e.scores for e in other.epochs]
    assert record_of(drawing[0]).arrays["test_loss"].tobytes() != (
        record_of(plain[0]).arrays["test_loss"].tobytes()
    )


def job_with_plugin(folder: Path, runs: Path, plugin: Path) -> dict[str, Any]:
    asked = job(folder, runs, sizes=SIZES, plugins={"blocks/act/dropped": plugin})
    network = asked["spec"]["config"]["network"]
    network["act"] = {"kind": "dropped", "share": 0.5}
    return asked


# --- the engine's version -------------------------------------------------------------------------

# Of a trial in fp32 with one thread: losses of the two epochs in training and in validation, test
# loss. By the number of the engine that computes them; records of other numbers are other trials.
GOLDEN = {2: [0.640529, 0.455917, 0.609314, 0.538931, 0.596595]}


def test_what_a_trial_computes_is_what_its_engine_number_says(easy: Path, tmp_path: Path) -> None:
    network = {
        "family": "staged",
        "stages": [[8], {"layers": [12], "conv": "depthwise_separable", "act": "silu"}],
    }
    found = trained(
        job(easy, tmp_path, seed=7, network=network, recipe={**RECIPE, "lr": 0.2}, sizes=SIZES)
    )
    losses = [
        found.epochs[k].scores[name] for name in ("train_loss", "validation_loss") for k in (0, 1)
    ]
    test_loss = found.metrics["test_loss"].value
    assert test_loss is not None
    losses.append(test_loss)
    assert losses == pytest.approx(GOLDEN.get(ENGINE, []), rel=1e-4), (
        f"what a trial computes has changed: {losses}; raise ENGINE and update GOLDEN"
    )


# --- precision ------------------------------------------------------------------------------------


def test_precision_can_be_asked_for() -> None:
    for device in ("cpu", "cuda", "mps"):
        assert precision.choose("fp32", device) == ("fp32", "asked for")
        assert precision.choose("bf16", device) == ("bf16", "asked for")


def test_precision_on_this_cpu_follows_its_arithmetic() -> None:
    words = set(Path("/proc/cpuinfo").read_text().split()) if os.path.exists("/proc") else set()
    has = sorted(words & {"avx512_bf16", "amx_bf16"})
    expected = (
        ("bf16", f"the CPU has {' and '.join(has)}")
        if has
        else ("fp32", "the CPU has no bf16 arithmetic")
    )
    assert precision.choose("auto", "cpu") == expected


@pytest.mark.parametrize(
    ("features", "chosen"),
    [
        (set(), ("fp32", "the CPU has no bf16 arithmetic")),
        ({"avx512f", "avx512_vnni"}, ("fp32", "the CPU has no bf16 arithmetic")),
        ({"avx512_bf16"}, ("bf16", "the CPU has avx512_bf16")),
        ({"amx_bf16", "avx512_bf16"}, ("bf16", "the CPU has amx_bf16 and avx512_bf16")),
    ],
)
def test_precision_by_the_cpus_features(
    features: set[str], chosen: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision, "_cpu_features", lambda: features)
    assert precision.choose("auto", "cpu") == chosen


@pytest.mark.parametrize(
    ("capability", "chosen"),
    [((6, 1), "fp32"), ((7, 5), "fp32"), ((8, 0), "bf16"), ((9, 0), "bf16"), ((12, 0), "bf16")],
)
def test_precision_by_the_gpus_capability(
    capability: tuple[int, int], chosen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A GPU of each kind is more than a test can ask for.
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: capability)
    words = f"GPU of compute capability {capability[0]}.{capability[1]}"
    assert precision.choose("auto", "cuda") == (chosen, words)


def test_precision_elsewhere_is_full() -> None:
    assert precision.choose("auto", "mps") == ("fp32", "the rule for mps")


def test_mixed_precision_keeps_weights_and_scores_in_full(dataset: Dataset) -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(3 * SIDE * SIDE, 2))
    kinds = set()
    network[1].register_forward_hook(lambda module, inputs, output: kinds.add(output.dtype))
    recipe = Recipe(epochs=1, batch_size=40)
    mixed = plan(dataset, recipe, number_format="bf16")
    list(run(network, mixed, dataset))
    assert kinds == {torch.bfloat16}
    assert {parameter.dtype for parameter in network.parameters()} == {torch.float32}
    assert evaluate(network, mixed, source(dataset.test), "loss")["loss"].dtype == np.float32
    kinds.clear()
    list(run(network, plan(dataset, recipe), dataset))
    assert kinds == {torch.float32}


def test_evaluation_leaves_the_network_as_it_is(dataset: Dataset) -> None:
    network = nn.Sequential(nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(3 * SIDE * SIDE, 2))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    scores = evaluate(network, plan(dataset, Recipe()), source(dataset.test), "loss")
    assert {name: values.shape for name, values in scores.items()} == {
        "loss": (48,),
        "correct": (48,),
    }
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name])
