"""What a plan foretells, and what it does about data that a task cannot use."""

import math
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_runs import draw
from statsmodels.stats.power import TTestIndPower
from tiny import changed, checked, loaded

from ablate import passes, records
from ablate.evidence import welch
from ablate.suite import plan as planning
from ablate.suite.plan import Plan
from ablate.suite.preflight import check
from ablate.suite.source import SuiteError
from ablate.train.trial import run, spec_of

RESOLVE = """\
id: tiny
title: A tiny suite
question: What should double the resolution?
base:
  task: super_resolution
  data: {name: patches, train_patches: 64, test_patches: 32}
  network: {family: post_upsampling, layers: [4]}
  recipe: {epochs: 1, batch_size: 8, augment: [flip]}
seeds: 1
comparisons:
  - id: up
    title: What should double the resolution?
    baseline: transposed
    variants: {transposed: {}, nearest: {network.up: resize}}
"""


def planned(text: str, runs: Path = Path("runs"), **request: Any) -> Plan:
    found = loaded(text, **request)
    return planning.make(found, check(found), runs, "cpu")


# --- what the seeds will not show -----------------------------------------------------------------


def foretold(plan: Plan) -> list[str]:
    return [notice for notice in plan.notices if "where runs vary" in notice]


@pytest.mark.usefixtures("here")
def test_a_plan_says_which_differences_its_seeds_will_show() -> None:
    text = changed(("seeds: 2", "seeds: 6"), add="    spread: 0.8\n    margin: 0.5\n")
    (said,) = foretold(planned(text))
    # The effect that 6 runs a side see in 8 of 10 cases. Another library says nearly the same, but
    # of a test that knows the spreads to be equal.
    effect = welch.detectable(0.8, 6, 0.8, 6)
    pooled = 0.8 * TTestIndPower().solve_power(nobs1=6, alpha=0.05, power=0.8)
    assert pooled < effect < 1.03 * pooled
    runs = TTestIndPower().solve_power(effect_size=0.5 / 0.8, alpha=0.05, power=0.8)
    assert said == (
        f"conv: where runs vary by 0.8 points (sd), these seeds show differences of {effect:.2f} "
        "points in 8 of 10 cases: smaller ones stay open, and so does whether two are the same "
        f"within the margin of 0.5, which takes {math.ceil(runs)} seeds a row"
    )


@pytest.mark.usefixtures("here")
def test_a_profile_has_a_spread_of_its_own() -> None:
    text = changed(add="    spread: 0.8\n    profiles: {p: {spread: 2}}\nprofiles: {p: {}}\n")
    assert "vary by 0.8 points" in foretold(planned(text))[0]
    assert "vary by 2 points" in foretold(planned(text, profile="p"))[0]


@pytest.mark.usefixtures("here")
def test_one_seed_tells_nothing() -> None:
    text = changed(("seeds: 2", "seeds: {each: 1, baseline: 9}"), add="    spread: 0.8\n")
    (said,) = foretold(planned(text))
    assert said == (
        "conv: where runs vary by 0.8 points (sd), one seed tells nothing; "
        "the margin of 0.5 takes 42 seeds"
    )


@pytest.mark.parametrize("add", ["", "    spread: 0.01\n", "    spread: 0.8\n    margin: 0\n"])
@pytest.mark.usefixtures("here")
def test_nothing_is_foretold_without_need(add: str) -> None:
    assert foretold(planned(changed(("seeds: 2", "seeds: 5"), add=add))) == []


@pytest.mark.usefixtures("here")
def test_a_plan_says_how_many_seeds_its_rows_have() -> None:
    few = "seeds: screening only; verdicts need 5 or more"
    assert f"2 {few}" in planned(changed()).notices
    shared = planned(changed(("seeds: 2", "seeds: {each: 2, baseline: 5}")))
    assert "2 to 5 seeds a row: rows with fewer than 5 are screening only" in shared.notices


# --- latency --------------------------------------------------------------------------------------


@pytest.mark.usefixtures("here")
def test_latency_is_measured_where_a_suite_asks_for_it() -> None:
    assert planned(changed()).passes == []
    text = changed(add="latency: {batches: [1, 2], rounds: 4}\n")
    plan = planned(text)
    timed, *others = plan.missing_passes
    assert [one.name for one in plan.passes] == [
        f"latency of conv, process {number} of 3" for number in (1, 2, 3)
    ]
    assert [one.process for one in plan.passes] == [0, 1, 2]
    assert plan.study.comparisons[0].passes == {"latency": [one.id for one in plan.passes]}
    assert plan.study.comparisons[0].margins == {"latency": 0.02}
    spec = timed.job["spec"]
    for number, other in enumerate(others, start=1):
        assert other.job["spec"] == spec | {"process": number}
    assert records.identity(spec) == timed.id
    assert [setting["batch"] for setting in spec["settings"]] == [1, 2]
    assert (spec["rounds"], spec["outputs"]) == (4, 2)
    rows = plan.study.comparisons[0].rows
    assert spec["networks"] == [row.full_config["network"] for row in rows]
    assert timed.seconds == passes.expected_seconds(spec) > 0


@pytest.mark.usefixtures("here")
def test_latency_is_that_of_the_full_network() -> None:
    text = changed(add="latency: {}\nprofiles: {p: {network.width: 2}}\n")
    timed, *_ = planned(text, profile="p").passes
    assert [net["width"] for net in timed.job["spec"]["networks"]] == [None, None]
    assert [setting["batch"] for setting in timed.job["spec"]["settings"]] == [1, 64]


@pytest.mark.usefixtures("here")
def test_a_profile_has_a_latency_of_its_own() -> None:
    own = "{batches: [3], rounds: 5, processes: 1, precisions: [bf16], margin: 5%}"
    plan = planned(
        changed(add=f"latency: {{}}\nprofiles: {{p: {{latency: {own}}}}}\n"), profile="p"
    )
    (timed,) = plan.passes
    (setting,) = timed.job["spec"]["settings"]
    assert (setting["batch"], setting["precision"], timed.job["spec"]["rounds"]) == (3, "bf16", 5)
    assert plan.study.comparisons[0].margins == {"latency": 0.05}


@pytest.mark.usefixtures("here")
def test_processes_come_one_after_the_other_over_all_comparisons() -> None:
    text = changed(add="latency: {processes: 2}\n").replace(
        "comparisons:\n",
        "comparisons:\n  - {id: other, title: Other, baseline: a, "
        "variants: {a: {}, b: {network.norm: none}}}\n",
    )
    assert [one.name for one in planned(text).passes] == [
        f"latency of {id}, process {number} of 2" for number in (1, 2) for id in ("other", "conv")
    ]


@pytest.mark.usefixtures("here")
def test_more_processes_keep_those_that_there_are() -> None:
    few, more = (planned(changed(add=f"latency: {{processes: {n}}}\n")) for n in (3, 5))
    assert [one.id for one in more.passes[:3]] == [one.id for one in few.passes]


@pytest.mark.usefixtures("here")
def test_peaks_of_memory_are_measured_network_by_network() -> None:
    plan = planned(changed(add="memory: {batches: [4]}\n"))
    rows = plan.study.comparisons[0].rows
    found = [(one.name, one.job["spec"]["metric"], one.process) for one in plan.passes]
    assert found == [
        (f"{metric.replace('_', ' ')} of {row.variant} of conv", metric, None)
        for metric in ("inference_memory", "training_memory")
        for row in rows
    ]
    for one, row in zip(plan.passes, [*rows, *rows], strict=True):
        assert one.job["spec"]["networks"] == [row.full_config["network"]]


@pytest.mark.usefixtures("here")
def test_a_pass_that_is_there_is_not_measured_again() -> None:
    text = changed(add="latency: {batches: [1], rounds: 3, processes: 1}\n")
    (timed,) = planned(text).missing_passes
    *_, last = passes.run(timed.job)
    assert last["status"] == "ok"
    again = planned(text)
    assert [(found.id, found.done) for found in again.passes] == [(timed.id, True)]
    assert again.missing_passes == []


# --- images that were stored with a loss ----------------------------------------------------------


@pytest.fixture
def jpegs(here: Path) -> Path:
    """A folder of JPEG images."""
    from PIL import Image

    folder = draw(here / "jpegs", train=12, test=6)
    for path in sorted(folder.rglob("*.png")):
        with Image.open(path) as image:
            image.resize((32, 32)).save(path.with_suffix(".jpg"))
        path.unlink()
    return folder


def test_targets_are_never_taken_from_lossy_images(jpegs: Path) -> None:
    plan = planned(RESOLVE, data=f"folder:{jpegs}")
    used = plan.study.comparisons[0].data
    assert used.name == "patches"
    assert {trial.job["data"]["name"] for trial in plan.trials} == {"patches"}
    assert (
        "up: images of jpegs (folder) are stored with a loss, which its targets would show; "
        f"it keeps to the suite's own data, {used.title}"
    ) in plan.notices


def test_targets_may_be_taken_from_other_images(here: Path) -> None:
    folder = draw(here / "pngs", train=12, test=6)
    from PIL import Image

    for path in sorted(folder.rglob("*.png")):
        with Image.open(path) as image:
            image.resize((32, 32)).save(path)
    plan = planned(RESOLVE, data=f"folder:{folder}")
    assert plan.study.comparisons[0].data.name == "folder"


def test_what_a_suite_names_itself_is_refused_where_it_is_lossy(jpegs: Path) -> None:
    text = RESOLVE.replace(
        "name: patches, train_patches: 64, test_patches: 32", "name: folder, path: jpegs"
    )
    with pytest.raises(SuiteError) as caught:
        checked(text)
    assert [problem.message for problem in caught.value.problems] == [
        "up/transposed: images of jpegs (folder) were stored with a loss (JPEG), so their 8x8 "
        "blocks and subsampled colours put a lattice into the very targets of "
        "super-resolution; take the data set 'patches', or PNG files that never were JPEG"
    ]


# --- networks that are none for the task ----------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            RESOLVE.replace(
                "nearest: {network.up: resize}",
                "staged: {network: {family: staged, stages: [[4], [4]]}}",
            ),
            "up/staged: the network is none for this task: the network gives (1,) for each image "
            "where super-resolution asks for (1, 32, 32)",
        ),
        (
            changed(("network.conv: dilated", "network: {family: post_upsampling, layers: [4]}")),
            "conv/dilated: the network is none for this task: the network gives (2, 64, 64) for "
            "each image where classification asks for (2,)",
        ),
    ],
)
@pytest.mark.usefixtures("here")
def test_a_network_must_put_out_what_the_task_asks_for(text: str, said: str) -> None:
    with pytest.raises(SuiteError) as caught:
        checked(text)
    assert [problem.message for problem in caught.value.problems] == [said]


# --- many trials ----------------------------------------------------------------------------------

_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(
    config=st.dictionaries(st.text() | st.just("seed"), _VALUES, max_size=4),
    data=st.text(),
    plugins=st.dictionaries(st.text(), st.text(), max_size=2),
    seeds=st.lists(st.integers(0, 10**12), unique=True, max_size=4),
)
def test_ids_of_many_seeds_are_those_of_each(
    config: dict[str, Any], data: str, plugins: dict[str, str], seeds: list[int]
) -> None:
    parts = {"task": config, "network": config, "recipe": config}
    sizes = {"train_images": None, "validation_images": 0, "test_images": None}
    spec = spec_of({**parts, "data": sizes}, 0, data, "fp32", "cpu", plugins)
    assert planning.identities(spec, seeds) == {
        seed: records.identity({**spec, "seed": seed}) for seed in seeds
    }


def test_a_key_after_the_seed_is_refused() -> None:
    with pytest.raises(AssertionError, match="after its seed"):
        planning.identities({"seed": 0, "size": None}, [0])


@pytest.mark.usefixtures("here")
def test_ten_thousand_trials_are_planned_in_a_moment() -> None:
    found = loaded(changed(("seeds: 2", "seeds: 5000")))
    built = check(found)
    planning.make(found, built, Path("runs"), "cpu")  # facts, and what the first call imports
    began = time.process_time()
    plan = planning.make(found, built, Path("runs"), "cpu")
    assert time.process_time() - began < 2
    assert len({trial.id for trial in plan.missing}) == 10_000
    last = plan.trials[-1]
    assert last.id == records.identity(last.job["spec"])
    assert [trial.seed for trial in plan.trials[:4]] == [0, 0, 1, 1]


@pytest.mark.usefixtures("here")
def test_what_a_trial_took_says_what_its_other_seeds_will_take() -> None:
    found = loaded(changed(("seeds: 2", "seeds: [0, 1, 7]")))
    plan = planning.make(found, check(found), Path("runs"), "cpu")
    last = plan.trials[-1]
    *_, _ = run(last.job)
    again = planning.make(found, check(found), Path("runs"), "cpu")
    record = records.read(Path("runs"), "trial", last.id)
    assert record is not None
    same = [trial for trial in again.trials if trial.label == last.label]
    assert [trial.done for trial in same] == [False, False, True]
    assert {trial.seconds for trial in same} == {record.seconds}


@pytest.mark.usefixtures("here")
def test_trials_take_longer_side_by_side(monkeypatch: pytest.MonkeyPatch) -> None:
    beside: list[int] = []
    at_once = threading.Barrier(3)

    def seconds(config: dict[str, Any], *_: Any) -> float:
        width = config["network"]["conv"]["kind"]
        if threading.current_thread() is threading.main_thread():
            return {"normal": 2.0, "dilated": 4.0}[width]
        at_once.wait(10)  # all three are timed together
        beside.append(1)
        return 5.0 if width == "dilated" else 0.0

    monkeypatch.setattr(planning.probe, "seconds", seconds)
    found = loaded(changed())
    plan = planning.make(found, check(found), Path("runs"), "cpu", workers=3)
    assert len(beside) == 3
    assert [trial.seconds for trial in plan.trials] == [2.5, 5.0, 2.5, 5.0]
    alone = planning.make(found, check(found), Path("runs"), "cpu")
    assert [trial.seconds for trial in alone.trials] == [2.0, 4.0, 2.0, 4.0]
