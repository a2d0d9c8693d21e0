"""The rates of a pool: on values whose true differences are known, and on trials that really ran.

The pool whose rates are published is in `benchmarks/README.md`; this one is of tiny images.
"""

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from small_runs import draw

from ablate import catalog
from benchmarks.pool.__main__ import lines, main
from benchmarks.pool.rates import rates
from benchmarks.pool.suite import HERE, POOLS, WORSE, adapted, pools, train

TRIALS = 20


def test_equals_are_told_apart_as_seldom_as_the_level_allows() -> None:
    """Splits of one pool depend on it, so what is checked is the mean over some pools."""
    stream = np.random.RandomState(0)
    found = [rates(stream.normal(45, 1.5, 40).tolist(), None, 0.5, splits=1000) for _ in range(3)]
    assert 0.02 < np.mean([one.decided for one in found]) <= 0.07
    assert 0.02 < np.mean([one.apart for one in found]) <= 0.07
    assert np.mean([one.marked for one in found]) < 0.05  # the margin is to be passed as well


def test_what_is_visible_is_found_and_in_the_right_direction() -> None:
    stream = np.random.RandomState(1)
    low, high = (stream.normal(mean, 1, 40).tolist() for mean in (40, 45))
    planted = rates(low, high, 0.5, splits=100)
    assert planted.visible > 0.99
    assert planted.found > 0.95
    assert rates(high, low, 0.5, splits=50).supported == 0
    nothing = rates(low, [value + 0.01 for value in low], 0.5, splits=50)
    assert (nothing.visible, np.isnan(nothing.found)) == (0, True)


def plugged(name: str) -> ModuleType:
    room, stem = catalog.plug(HERE / f"{name}.py")
    return catalog.load(room, stem)


@pytest.mark.usefixtures("no_plugins")
@pytest.mark.parametrize(("share", "wrong"), [(0, 0), (0.1, 8), (1, 80)])
def test_so_many_training_labels_are_wrong_and_nothing_else(
    share: float, wrong: int, tmp_path: Path
) -> None:
    component = {"name": "folder", "path": str(draw(tmp_path / "images"))}
    right = catalog.build("data", component, "name")
    found = plugged("mislabelled").load(of=component, share=share)
    assert (found.train.targets != right.train.targets).sum() == wrong
    assert set(found.train.targets) == {0, 1}
    assert np.array_equal(found.train.images, right.train.images)
    assert np.array_equal(found.test.targets, right.test.targets)
    assert (found.digest == right.digest) == (share == 0)  # the same trials, then


@pytest.mark.usefixtures("no_plugins")
def test_an_eighth_of_the_channels_is_dead() -> None:
    torch.manual_seed(0)
    x = torch.randn(4, 16, 3, 3)
    dead, alive = plugged("dead").build(16), torch.nn.BatchNorm2d(16)
    assert not dead(x)[:, :2].any()
    assert torch.equal(dead(x)[:, 2:], alive(x)[:, 2:])
    assert plugged("dead").build(8)(x[:, :8])[:, 1:].all()


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ("phots", "unknown data set 'phots'; did you mean 'photos'?"),
        ("folder", "write a data set's name, or folder:PATH"),
        ("photos:here", "write a data set's name, or folder:PATH"),
    ],
)
def test_images_that_are_none_are_refused(data: str, said: str) -> None:
    done = CliRunner().invoke(main, ["--data", data])
    assert done.exit_code == 2
    assert done.output.endswith(f"Error: Invalid value for --data: {said}\n")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[float]]:
    """Return the accuracies of pools of tiny trials, in one of which six in ten labels are wrong.

    There are two classes: what learns such labels is wrong more often than not.
    """
    folder = tmp_path_factory.mktemp("pool")
    images = draw(folder / "images", train=100, test=100, contrast=10)
    suite = adapted({"name": "folder", "path": str(images)}, TRIALS)
    suite["base"]["network"]["stages"] = [[8], [8]]
    suite["base"]["recipe"] = {"epochs": 2, "batch_size": 20, "augment": [], "precision": "fp32"}
    suite["variants"]["wide"] = {"network.stages": [[8], [12]]}
    suite["comparisons"][1]["base"] = {"data.share": 0.6}
    assert train(suite, folder / "runs") == 0
    return pools(folder / "runs")


def test_pools_are_of_many_trials_that_differ(trained: dict[str, list[float]]) -> None:
    counted = {name: len(values) for name, values in trained.items()}
    assert counted == dict.fromkeys(POOLS, TRIALS // 2) | {"narrow": TRIALS}
    assert all(len(set(values)) > 2 for values in trained.values())


@pytest.mark.parametrize("equals", sorted(set(WORSE.values())))
def test_trained_equals_are_seldom_told_apart(equals: str, trained: dict[str, list[float]]) -> None:
    """About 5 %; of so few trials all splits share their luck, and normal draws come to 10 %."""
    same = rates(trained[equals], None, 0.5)
    assert same.decided <= 0.15
    assert same.apart <= 0.15
    assert same.marked <= same.decided


def test_wrong_labels_are_found(trained: dict[str, list[float]]) -> None:
    planted = rates(trained["mislabelled"], trained["wide"], 0.5, splits=200)
    assert planted.visible > 0.5
    assert planted.found >= 0.95
    said = "\n".join(lines(trained, 0.5, splits=20))
    assert f"narrow: {TRIALS} trials, " in said
    assert "  5 against 5 of wide, 20 times: " in said
