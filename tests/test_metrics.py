"""Metrics against closed forms, a second method, and cases in which a figure must not be given."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from ablate import catalog, metrics
from ablate.components import Network, expand
from ablate.metrics import Outcome
from ablate.networks import zoo
from ablate.records import Measurement


def staged(shape: tuple[int, int, int] = (3, 32, 32), **options: Any) -> nn.Module:
    component, problems = expand(Network.model_validate({"family": "staged", **options}))
    assert problems == []
    network: nn.Module = catalog.build("networks", component, "family", shape, 10)
    return network


def outcome(initial: dict[str, Any] | None = None, **test: Any) -> Outcome:
    return Outcome(
        {k: np.array(v) for k, v in test.items()},
        [],
        train_seconds=4.0,
        images=200,
        initial={k: np.array(v) for k, v in (initial or {}).items()},
    )


CLASSIFIED = {"correct": [True, False], "loss": [0.5, 1.0]}
RESTORED = {
    "loss": [0.5, 1.0],
    "psnr": [20.0, 24.0],
    "ssim": [0.5, 0.8],
    "phase_variance": [0.125, 0.375],
    "output_phase_variance": [0.0, 0.25],
    "target_phase_variance": [0.0, 0.125],
    "white_noise_phase_variance": [0.0625, 0.0625],
    "lattice_power": [1.0, 5.0],
    "lattice_surroundings": [1.0, 2.0],
    "target_lattice_power": [3.0, 3.0],
    "target_lattice_surroundings": [0.5, 1.5],
}


@pytest.mark.parametrize("name", catalog.names("metrics"))
def test_a_metric_says_what_it_is(name: str) -> None:
    metric = catalog.load("metrics", name)
    assert metric.TITLE
    assert metric.KIND in ("fact", "trial", "pass", "reading", "pair")
    if metric.KIND == "pass":
        assert metric.DIRECTION in ("higher", "lower", "none")
        return  # its raw values are no measurement
    if metric.KIND == "fact":
        measured = metric.measure(staged(stages=[[4], [4]]), (3, 32, 32))
        if measured is None:  # it may not apply to a network that only goes down
            measured = metric.measure(nn.ConvTranspose2d(3, 4, 2, stride=2), (3, 32, 32))
        if measured is None:  # or be of published networks alone
            published = zoo.build((3, 32, 32), 10, source="torchvision:squeezenet1_1")
            measured = metric.measure(published, (3, 32, 32))
    elif metric.KIND == "reading":
        measured, _ = metric.measure(staged(stages=[[4], [4]]), (3, 32, 32))
    elif metric.KIND == "pair":
        measured = metric.measure(*[staged(stages=[[4], [4]])] * 2, (3, 32, 32))
    else:
        measured = metric.measure(outcome(RESTORED, **CLASSIFIED | RESTORED))
    assert (measured.title, measured.unit, measured.direction) == (
        metric.TITLE,
        metric.UNIT,
        metric.DIRECTION,
    )
    assert measured.value is not None
    assert Measurement.model_validate_json(measured.model_dump_json()) == measured


def test_facts_leave_the_network_as_it_was() -> None:
    network = staged(stages=[[4, 4], [4]])
    network.head.eval()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    modes = [module.training for module in network.modules()]
    found = metrics.facts(network, (3, 32, 32))
    assert set(found) >= {"params", "macs", "receptive_field"}
    assert modes == [module.training for module in network.modules()]
    assert all(torch.equal(before[key], value) for key, value in network.state_dict().items())
    assert all(parameter.grad is None for parameter in network.parameters())


def test_the_metrics_of_a_trial() -> None:
    found = metrics.of_trial(outcome(correct=[True, True, False, True], loss=[0.5, 1, 1, 1.5]))
    assert {name: found[name].value for name in ("accuracy", "test_loss", "train_seconds")} == {
        "accuracy": 75.0,
        "test_loss": 1.0,
        "train_seconds": 4.0,
    }
    assert found["accuracy"].detail == {"correct": 3, "examples": 4}
    assert found["train_seconds"].detail == {"images_per_second": 50.0}


def test_the_metrics_of_restored_images() -> None:
    before = {name: [value / 2 for value in values] for name, values in RESTORED.items()}
    found = metrics.of_trial(outcome(before, **RESTORED))
    assert {name: measured.value for name, measured in found.items()} == {
        "initial_phase_variance": 0.0625,
        "lattice_contrast": 2.0,  # of sums, not the mean of the ratios 1 and 2.5
        "phase_variance": 0.25,
        "psnr": 22.0,
        "ssim": 0.65,
        "test_loss": 0.75,
        "train_seconds": 4.0,
    }
    assert found["psnr"].detail == found["ssim"].detail == {"examples": 2}
    assert found["phase_variance"].detail == {
        "examples": 2,
        "target": 0.0625,
        "white_noise": 0.0625,
        "output": 0.125,
    }
    assert found["initial_phase_variance"].detail == {
        "examples": 2,
        "target": 0.03125,
        "white_noise": 0.03125,
    }


@pytest.mark.parametrize(
    ("name", "called"),
    [("psnr", "PSNR"), ("ssim", "SSIM"), ("phase_variance", "phase variance")],
)
def test_a_score_that_is_not_finite_is_no_figure(name: str, called: str) -> None:
    measured = metrics.of_trial(outcome(**RESTORED | {name: [1.0, math.inf]}))[name]
    assert measured.value is None
    assert measured.detail["invalid"] == f"the {called} of some test example is not finite"
    Measurement.model_validate_json(measured.model_dump_json())


def test_a_metric_that_does_not_apply_is_left_out() -> None:
    assert metrics.of_trial(outcome(**CLASSIFIED)).keys() == {
        "accuracy",
        "test_loss",
        "train_seconds",
    }
    assert "accuracy" not in metrics.of_trial(outcome(loss=[1.0]))
    assert "test_loss" not in metrics.of_trial(outcome(correct=[True]))


def test_a_loss_that_is_not_finite_is_no_figure() -> None:
    for loss in (math.nan, math.inf):
        measured = metrics.of_trial(outcome(loss=[1.0, loss]))["test_loss"]
        assert measured.value is None
        assert measured.detail["invalid"] == "the loss of some test example is not finite"
