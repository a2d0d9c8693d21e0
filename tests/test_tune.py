# ruff: noqa: E501  (messages are held verbatim, as long as they are)
"""Equal tuning: the same cells for every row, judged on validation images alone, and resumable."""

import json
import math
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import changed, checked, loaded, write
from torch import nn

from ablate import commands, records, study
from ablate.evidence import tuned
from ablate.evidence.collect import collect
from ablate.evidence.tuning import Cell, at_edge, cell, choose
from ablate.execute import inline
from ablate.run import WORK, Outcome
from ablate.suite import remembered, tune
from ablate.suite.planned import Plan, TrialPlan
from ablate.suite.request import Request
from ablate.suite.schema import Recipe, Tune
from ablate.suite.source import SuiteError
from ablate.train.loop import Plan as Training
from ablate.train.loop import begin, train

RUNS = Path("runs")
DATA = "data: {name: folder, path: images}"
VALIDATED = "data: {name: folder, path: images, validation_images: 6}"
GRID = "tune: {recipe.lr: [0.01, 0.1]}"


def tuning(text: str = GRID, *pairs: tuple[str, str], add: str = "") -> str:
    """Return the tiny suite with a validation split, tuned."""
    both = [(DATA, VALIDATED), ("    variants:\n", f"    {text}\n    variants:\n")]
    return changed(*both, *pairs, add=add)


def planned(request: Request | None = None, *, keep: bool = False) -> Plan:
    made, _ = commands._plan(request or Request("tiny.yaml"), "cpu", RUNS, "1", keep=keep)
    return made


def carry_out(trials: Sequence[TrialPlan]) -> None:
    for _ in inline.run([trial.job for trial in trials], WORK, 1):
        pass


def run(suite: str = "tiny.yaml", *, dry: bool = False) -> int:
    return commands.run(Request(suite), "cpu", RUNS, Path("reports"), "1", None, dry)


def falsify(id: str, change: Callable[[dict[str, Any]], None]) -> None:
    """Change what the record of a trial says."""
    path = records.folder(RUNS, "trial", id) / "record.json"
    stored = json.loads(path.read_text())
    change(stored)
    path.write_text(json.dumps(stored))


def validated(value: float) -> Callable[[dict[str, Any]], None]:
    def change(stored: dict[str, Any]) -> None:
        stored["epochs"][-1]["scores"]["validation_accuracy"] = value

    return change


def of_test_images(value: float) -> Callable[[dict[str, Any]], None]:
    def change(stored: dict[str, Any]) -> None:
        stored["metrics"]["accuracy"]["value"] = value

    return change


def trial(row: study.Row, at: int) -> str:
    """Return the first trial of one of a row's cells."""
    assert row.tuned is not None
    return next(iter(row.tuned.trials[at].values()))


def chosen(plan: Plan) -> list[Any]:
    return [row.config["recipe"]["lr"] for row in plan.study.comparisons[0].rows]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tuned") / "runs"


@pytest.fixture
def cells_done(here: Path, finished: Path) -> Path:
    """A working directory in which tuning has ended and nothing else was trained yet."""
    write(tuning())
    if not finished.exists():
        carry_out(planned().missing_tuning)
        shutil.copytree(RUNS, finished)
    else:
        shutil.copytree(finished, RUNS)
    return here


# --- what is planned ------------------------------------------------------------------------------


@pytest.mark.usefixtures("here")
def test_tuning_is_planned_first_and_the_rest_follows_from_it() -> None:
    write(tuning())
    plan = planned()
    assert [(t.name, t.done) for t in plan.tuning] == [
        ("conv/normal tried with recipe.lr 0.01 seed 10000", False),
        ("conv/dilated tried with recipe.lr 0.01 seed 10000", False),
        ("conv/normal tried with recipe.lr 0.1 seed 10000", False),
        ("conv/dilated tried with recipe.lr 0.1 seed 10000", False),
    ]
    assert plan.trials == []
    assert [(row.label, row.count) for row in plan.following] == [
        ("conv/normal", 2),
        ("conv/dilated", 2),
    ]
    assert plan.study.seeds == [0, 1]
    asked = plan.study.comparisons[0].tuning
    assert asked is not None
    assert asked.cells == [{"recipe.lr": 0.01}, {"recipe.lr": 0.1}]
    assert (asked.seeds, asked.score) == ([10_000], "validation_accuracy")
    again = planned()
    assert [t.id for t in again.tuning] == [t.id for t in plan.tuning]


@pytest.mark.usefixtures("here")
def test_every_row_gets_the_same_cells_and_seeds() -> None:
    ranges = (
        "random: {recipe.lr: {low: 0.01, high: 0.5, log: true}, recipe.weight_decay: [0, 1.0e-4]}"
    )
    write(
        tuning(
            f"tune: {{{ranges}, trials: 3, seeds: 2}}",
            ("baseline: normal", "baseline: normal\n    match: [none, params]"),
            ("      dilated: {network.conv: dilated}", "      fat: {network.stages.1: [12]}"),
        )
    )
    plan = planned()
    tried: dict[str, set[str]] = {}
    for one in plan.tuning:
        recipe = one.job["spec"]["config"]["recipe"]
        row = records.canonical(one.job["spec"]["config"]["network"])
        tried.setdefault(row, set()).add(f"{recipe['lr']} {recipe['weight_decay']} {one.seed}")
    assert len(tried) == 3  # the baseline, and the variant under two matches
    first, *others = tried.values()
    assert all(other == first for other in others)
    assert len(first) == 6
    assert {one.seed for one in plan.tuning} == {10_000, 10_001}


def test_the_ids_of_what_was_asked_before_tuning_are_its_ids_still(here: Path) -> None:
    """The final trials' ids are those of the resolved configuration, however it came about."""
    text = changed((DATA, VALIDATED), ("batch_size: 4}", "batch_size: 4, lr: 0.01}"))
    write(text)
    plain = {t.id for t in planned().trials}
    write(tuning())
    plan = planned()
    carry_out(plan.missing_tuning)
    for row in plan.study.comparisons[0].rows:
        falsify(trial(row, 0), validated(100.0))
    assert chosen(planned()) == [0.01, 0.01]
    assert {t.id for t in planned().trials} == plain


@pytest.mark.usefixtures("here")
def test_a_later_key_of_the_recipe_stands_in_no_configuration_that_does_not_set_it() -> None:
    found = loaded(changed())
    recipe = found.variants["conv"][0].trained.values["recipe"]
    assert "l1" not in recipe
    assert "l1" not in Recipe(l1=0).model_dump(mode="json")
    found = loaded(changed(), overrides=("recipe.l1=0.001",))
    assert found.problems == []
    assert found.variants["conv"][0].trained.values["recipe"]["l1"] == 0.001


# --- what is chosen -------------------------------------------------------------------------------


@pytest.mark.usefixtures("cells_done")
def test_the_chosen_cells_are_those_of_the_best_validation_scores() -> None:
    plan = planned()
    best: dict[str, tuple[float, float]] = {}
    for path in sorted(RUNS.glob("trials/*/record.json")):
        stored = json.loads(path.read_text())
        config = stored["spec"]["config"]
        assert stored["spec"]["seed"] == 10_000
        score = stored["epochs"][-1]["scores"]["validation_accuracy"]
        key, lr = json.dumps(config["network"], sort_keys=True), config["recipe"]["lr"]
        best[key] = max(best.get(key, (-1.0, 0.0)), (score, -lr))  # of equals the earlier, lower
    expected = [
        -best[json.dumps(row.config["network"], sort_keys=True)][1]
        for row in plan.study.comparisons[0].rows
    ]
    assert chosen(plan) == expected
    assert plan.missing_tuning == plan.following == []
    assert len(plan.missing) == 4


@pytest.mark.usefixtures("cells_done")
@pytest.mark.parametrize(
    ("scores", "lr"), [((80.0, 20.0), 0.01), ((20.0, 80.0), 0.1), ((50.0, 50.0), 0.01)]
)
def test_the_test_images_have_no_say(scores: tuple[float, float], lr: float) -> None:
    for row in planned().study.comparisons[0].rows:
        for at, score in enumerate(scores):
            falsify(trial(row, at), validated(score))
            # By which the other one would be best.
            falsify(trial(row, at), of_test_images(100.0 - score))
            (records.folder(RUNS, "trial", trial(row, at)) / "arrays.npz").unlink()
    assert chosen(planned()) == [lr, lr]


@pytest.mark.usefixtures("cells_done")
def test_where_low_is_better_the_lowest_is_chosen() -> None:
    write(tuning(f"metric: test_loss\n    margin: 0.1\n    {GRID}"))
    plan = planned()
    for row, losses in zip(plan.study.comparisons[0].rows, [(0.5, 0.4), (0.4, 0.5)], strict=True):
        for at, loss in enumerate(losses):
            falsify(
                trial(row, at),
                lambda stored, loss=loss: stored["epochs"][-1]["scores"].update(
                    validation_loss=loss
                ),
            )
    assert plan.study.comparisons[0].tuning is not None
    assert plan.study.comparisons[0].tuning.score == "validation_loss"
    assert chosen(planned()) == [0.1, 0.01]


@pytest.mark.usefixtures("cells_done")
def test_a_cell_that_failed_is_the_worst_and_is_tried_again() -> None:
    row = planned().study.comparisons[0].rows[0]
    falsify(trial(row, 0), validated(99.0))
    falsify(trial(row, 0), lambda stored: stored.update(status="failed", reason="no reason"))
    plan = planned()
    assert chosen(plan)[0] == 0.1
    assert [t.id for t in plan.missing_tuning] == [trial(row, 0)]
    words = tuned.sentences(collect(RUNS, plan.study).comparisons[0])
    assert (
        "Cells that diverged or failed count as the worst: normal (baseline) with recipe.lr 0.01 "
        "(failed: no reason)." in words
    )


def made(score: float | None, outcome: Any = "ok", **settings: Any) -> Cell:
    return Cell(settings or {"recipe.lr": 0.1}, outcome, score, None, 1, 1.0)


@pytest.mark.parametrize(
    ("scores", "direction", "expected"),
    [
        ([1.0, 3.0, 2.0], "higher", 1),
        ([1.0, 3.0, 2.0], "lower", 0),
        ([2.0, 3.0, 3.0], "higher", 1),
        ([None, -3.0], "higher", 1),
        ([None, 3.0], "lower", 1),
        ([None, None], "higher", 0),
        ([], "higher", None),
    ],
)
def test_the_table_of_choices(scores: list[float | None], direction: Any, expected: Any) -> None:
    found = [made(score, "ok" if score is not None else "diverged") for score in scores]
    assert choose(found, direction) == expected
    if found:
        assert choose([*found, made(None, "missing")], direction) is None


@pytest.mark.usefixtures("cells_done")
def test_a_cell_is_a_mean_over_its_seeds_at_the_last_epoch() -> None:
    ids = [t.id for t in planned().tuning[:2]]
    for id, value in zip(ids, (40.0, 70.0), strict=True):
        falsify(id, validated(value))
        falsify(
            id,
            lambda stored: stored["epochs"].insert(
                0, {**stored["epochs"][0], "scores": {"validation_accuracy": 99.0}}
            ),
        )
    found = [records.read(RUNS, "trial", id) for id in ids]
    one = cell({}, found, "validation_accuracy")
    assert (one.outcome, one.score, one.trials) == ("ok", 55.0, 2)
    assert one.seconds == pytest.approx(sum(r.seconds for r in found if r is not None))
    assert cell({}, [*found, None], "validation_accuracy").outcome == "missing"
    other = cell({}, found, "validation_psnr")
    assert (other.outcome, other.reason) == ("failed", "its last epoch has no validation psnr")


@pytest.mark.parametrize(
    ("tried", "at", "expected"),
    [
        ([0.1, 0.2, 0.3], 1, []),
        ([0.1, 0.2, 0.3], 0, ["x"]),
        ([0.1, 0.2, 0.3], 2, ["x"]),
        ([0.3, 0.1, 0.2], 0, ["x"]),
        ([0, 0.1, 0.2], 0, []),  # less than none there is not
        ([-1, 0], 1, ["x"]),
        ([False, True], 0, []),
        (["relu", "silu"], 0, []),
        ([0.1, 0.1], 0, []),
    ],
)
def test_what_is_an_edge(tried: list[Any], at: int, expected: list[str]) -> None:
    assert at_edge([made(1.0, x=value) for value in tried], at) == expected


def test_the_edges_of_a_grid_of_two_settings_are_told_apart() -> None:
    grid = tune.grid({"a": [1, 2, 3], "b": [1, 2, 3]})
    found = [made(1.0, **settings) for settings in grid]
    assert at_edge(found, grid.index({"a": 2, "b": 2})) == []
    assert at_edge(found, grid.index({"a": 2, "b": 3})) == ["b"]
    assert at_edge(found, grid.index({"a": 1, "b": 3})) == ["a", "b"]


# --- cells ----------------------------------------------------------------------------------------


def test_a_grid_is_the_product() -> None:
    asked = Tune.model_validate({"recipe.l1": [0, 1e-4], "recipe.weight_decay": [0, 1e-3]})
    assert asked.cells == [
        {"recipe.l1": 0, "recipe.weight_decay": 0},
        {"recipe.l1": 0, "recipe.weight_decay": 1e-3},
        {"recipe.l1": 1e-4, "recipe.weight_decay": 0},
        {"recipe.l1": 1e-4, "recipe.weight_decay": 1e-3},
    ]


def drawn(count: int, seed: int = 0, **ranges: Any) -> list[tune.Cell]:
    return Tune.model_validate(
        {"random": {f"recipe.{k}": v for k, v in ranges.items()}, "trials": count, "seed": seed}
    ).cells


def test_draws_are_within_their_bounds_distinct_and_always_the_same() -> None:
    ranges = {
        "lr": {"low": 0.01, "high": 0.5, "log": True},
        "momentum": {"low": 0.5, "high": 0.9},
        "weight_decay": [0, 1e-4, 5e-4],
    }
    found = drawn(400, **ranges)
    assert found == drawn(400, **ranges)
    assert found[:7] == drawn(7, **ranges)
    assert len({records.canonical(one) for one in found}) == 400
    rates = sorted(one["recipe.lr"] for one in found)
    assert 0.01 <= rates[0] < 0.012
    assert 0.4 < rates[-1] <= 0.5
    # Uniform in the logarithm: half of them lie below the geometric mean, 0.0707.
    assert 160 < sum(rate < math.sqrt(0.01 * 0.5) for rate in rates) < 240
    values = sorted(one["recipe.momentum"] for one in found)
    assert values[0] >= 0.5
    assert values[-1] <= 0.9
    assert 160 < sum(value < 0.7 for value in values) < 240
    for decay in (0, 1e-4, 5e-4):
        assert 95 < sum(one["recipe.weight_decay"] == decay for one in found) < 175
    assert found != drawn(400, seed=1, **ranges)


def test_a_setting_that_is_added_leaves_the_draws_of_others() -> None:
    one = drawn(5, lr={"low": 0.01, "high": 0.5})
    two = drawn(5, lr={"low": 0.01, "high": 0.5}, momentum={"low": 0.5, "high": 0.9})
    assert [c["recipe.lr"] for c in two] == [c["recipe.lr"] for c in one]


def test_known_draws_never_change() -> None:
    """Records of tuning are found again by these values."""
    assert drawn(3, lr={"low": 0.01, "high": 0.5, "log": True}, weight_decay=[0, 1e-4]) == KNOWN


KNOWN = [
    {"recipe.lr": 0.169, "recipe.weight_decay": 0.0001},
    {"recipe.lr": 0.0356, "recipe.weight_decay": 0},
    {"recipe.lr": 0.027, "recipe.weight_decay": 0.0001},
]


# --- running it -----------------------------------------------------------------------------------


@pytest.mark.usefixtures("here")
def test_a_run_tunes_trains_reports_and_trains_nothing_twice(
    capfd: pytest.CaptureFixture[str],
) -> None:
    write(tuning("tune: {recipe.lr: [0.1, 1.0e+30]}"))
    assert run(dry=True) == 0
    _, err = capfd.readouterr()
    assert "4 trials of tuning to run, 0 there already (ETA " in err
    assert "), then 4 trials at the settings that they choose; ETA " in err
    assert (
        "tuned by validation accuracy, each row alike, over 2 cells with 1 seed each: recipe.lr 0.1; recipe.lr 1e+30"
        in err
    )
    assert not (RUNS / "studies").exists()

    assert run() == 0  # a cell that diverges is a result
    out, err = capfd.readouterr()
    assert "normal: chosen recipe.lr 0.1" in err
    assert "4 tried for tuning, 4 trained, 0 there already" in out
    assert (
        "conv: tuning chose normal (baseline) recipe.lr 0.1; dilated (drop-in) recipe.lr 0.1" in out
    )
    assert (
        "conv: recipe.lr 0.1 of normal (baseline) lies at the edge of what was tried: the best may lie beyond, so widen the grid."
        in out
    )
    assert "conv: Tuning took 4 trials and " in out
    assert (
        "normal (baseline) with recipe.lr 1e+30 (diverged: the training loss was nan in epoch 1)"
        in out
    )
    page = (Path("reports") / "tiny" / "index.html").read_text()
    assert "<h3>Tuning</h3>" in page
    assert "every row was given the same 2 cells of recipe.lr (a grid)" in page
    assert "Each row is trained at the settings that its own tuning chose" in page

    (csv,) = Path("reports").rglob("tbl-tiny-conv-tuning.csv")
    lines = csv.read_text().splitlines()
    assert len(lines) == 3
    assert '"{""recipe.lr"": 0.1}",recipe.lr,2,' in lines[1]

    before = {path: path.stat().st_mtime_ns for path in RUNS.glob("trials/*/*")}
    assert len(list(RUNS.glob("trials/*"))) == 8
    assert remembered.recall(remembered.inputs(Request("tiny.yaml"), "cpu"), RUNS) is not None
    assert run() == 0
    out, _ = capfd.readouterr()
    assert "0 trained, 4 there already" in out
    assert {path: path.stat().st_mtime_ns for path in RUNS.glob("trials/*/*")} == before

    newest = study.newest(RUNS, "tiny")
    assert newest is not None
    assert [row.config["recipe"]["lr"] for row in newest.comparisons[0].rows] == [0.1, 0.1]
    assert [row.tuned.chosen for row in newest.comparisons[0].rows if row.tuned] == [0, 0]
    assert len(list((RUNS / "studies").iterdir())) == 2  # one from before anything was chosen

    # A record that goes is made again, and no plan of before is served meanwhile.
    shutil.rmtree(records.folder(RUNS, "trial", trial(newest.comparisons[0].rows[0], 1)))
    assert len(planned().missing_tuning) == 1
    assert "are not there any more" in " ".join(tuned.lines(collect(RUNS, newest)))


@pytest.mark.usefixtures("cells_done")
def test_an_interrupted_run_goes_on_between_the_phases() -> None:
    final = {t.id for t in planned().trials}
    lost = planned().tuning[0].id
    shutil.rmtree(records.folder(RUNS, "trial", lost))  # as if it had been stopped before
    plan = planned(keep=True)
    assert [t.id for t in plan.missing_tuning] == [lost]
    assert [row.label for row in plan.following] == ["conv/normal"]
    assert {t.id for t in plan.trials} < final  # those of the row that has chosen
    assert not list(RUNS.glob("plans/*"))  # what is chosen yet is not to be remembered
    waiting = collect(RUNS, plan.study)
    assert (
        "conv: Not chosen yet for normal (baseline): trials of tuning are missing."
        in tuned.lines(waiting)
    )
    carry_out(plan.missing_tuning)
    after = planned(keep=True)
    assert {t.id for t in after.trials} == final
    assert after.following == []
    carry_out(after.missing)
    request = Request("tiny.yaml")
    assert remembered.recall(remembered.inputs(request, "cpu"), RUNS) is not None
    # Other records, another choice: the plan of before must not be served.
    row = after.study.comparisons[0].rows[0]
    other = 1 - (row.tuned.chosen or 0) if row.tuned else 0
    falsify(trial(row, other), validated(1000.0))
    assert remembered.recall(remembered.inputs(request, "cpu"), RUNS) is None
    changed_mind = " ".join(tuned.lines(collect(RUNS, after.study)))
    assert "The records now choose recipe.lr" in changed_mind
    assert len(planned().missing) == 2  # of the row that chooses another cell now


@pytest.mark.usefixtures("cells_done")
def test_the_page_of_what_is_not_tuned_yet(capfd: pytest.CaptureFixture[str]) -> None:
    claim = "{kind: order, note: 'A:1', says: better, metric: accuracy, expect: dilated > normal, margin: 0.5}"
    write(tuning(f"claims:\n      - {claim}\n    {GRID}"))
    for one in planned().tuning[:2]:  # the first cell of both rows
        shutil.rmtree(records.folder(RUNS, "trial", one.id))
    study.ask(RUNS, planned().study)
    commands.verdicts("tiny", False, False, RUNS)
    out, _ = capfd.readouterr()
    assert "dilated (drop-in) waits for its settings to be tuned" in out
    assert "Tuned with equal effort: every row was given the same 2 cells of recipe.lr" in out
    commands.report(["tiny"], RUNS, Path("reports"))
    page = (Path("reports") / "tiny" / "index.html").read_text()
    assert (
        "Not chosen yet for normal (baseline) and dilated (drop-in): trials of tuning are missing."
        in page
    )
    assert "trials are missing." in page


def test_what_a_tuning_that_failed_does_to_the_run() -> None:
    outcome = Outcome(ok=4, reasons=["b"])
    outcome.add_tuning(Outcome(ok=2, failed=1, diverged=1, reasons=["a"]))
    assert (outcome.tried, outcome.failed, outcome.diverged, outcome.ok) == (3, 1, 0, 4)
    assert outcome.reasons == ["a", "b"]


@pytest.mark.usefixtures("here")
def test_config_says_what_it_cannot_know(capfd: pytest.CaptureFixture[str]) -> None:
    write(tuning())
    commands.config(Request("tiny.yaml"), "cpu", None, "normal")
    out, _ = capfd.readouterr()
    assert "# chosen anew by tuning, so not as below: recipe.lr" in out


@pytest.mark.usefixtures("cells_done")
def test_the_command_line_does_not_undo_tuning() -> None:
    plan = planned(Request("tiny.yaml", overrides=("recipe.lr=0.5",)))
    assert "conv tunes what recipe.lr=0.5 sets, and chooses for itself" in plan.notices
    assert plan.missing_tuning == []
    assert "conv tunes" not in " ".join(planned().notices)


@pytest.mark.usefixtures("here")
def test_a_profile_tunes_in_its_own_way() -> None:
    own = "profiles: {quick: {tune: {recipe.momentum: [0.5, 0.9]}}}"
    text = tuning(f"{GRID}\n    {own}", add="profiles: {quick: {}}\n")
    write(text)
    cells = planned(Request("tiny.yaml", profile="quick")).study.comparisons[0].tuning
    assert cells is not None
    assert cells.cells == [{"recipe.momentum": 0.5}, {"recipe.momentum": 0.9}]
    full = planned(Request("tiny.yaml", profile="full")).study.comparisons[0].tuning
    assert full is not None
    assert full.cells == [{"recipe.lr": 0.01}, {"recipe.lr": 0.1}]


@pytest.mark.usefixtures("here")
def test_a_setting_of_the_network_is_chosen_with_its_facts() -> None:
    write(tuning("tune: {network.act: [relu, silu]}"))
    plan = planned()
    carry_out(plan.missing_tuning)
    for row in plan.study.comparisons[0].rows:
        falsify(trial(row, 1), validated(1000.0))
    after = planned()
    for row in after.study.comparisons[0].rows:
        assert row.config["network"]["act"] == row.full_config["network"]["act"] == {"kind": "silu"}
        assert after.facts[row.facts].spec["network"]["act"] == {"kind": "silu"}


# --- what is refused ------------------------------------------------------------------------------

BOUNDS = "random: {recipe.lr: {low: 0.01, high: 0.5}}"
REFUSED = {
    "unknown key": ("tune: {recipe.lrr: [0.1, 0.2]}", "unknown key 'lrr'; did you mean 'lr'?"),
    "no path": (
        "tune: {lr: [0.1, 0.2]}",
        "unknown key 'lr'; did you mean 'recipe.lr'? (a setting's path begins with task, data, network or recipe)",
    ),
    "misspelt word": (
        "tune: {recipe.lr: [0.1, 0.2], trails: 3}",
        "unknown key 'trails'; did you mean 'trials'?",
    ),
    "empty grid": (
        "tune: {recipe.lr: []}",
        "an empty list gives no values to try; write for example [0.02, 0.05, 0.1]",
    ),
    "no list": (
        "tune: {recipe.lr: 0.1}",
        "0.1 gives no values to try; write for example [0.02, 0.05, 0.1]",
    ),
    "range in a grid": (
        "tune: {recipe.lr: {low: 0.1, high: 1}}",
        "{'low': 0.1, 'high': 1} gives no values to try (a range stands under `random:`); write for example [0.02, 0.05, 0.1]",
    ),
    "value twice": ("tune: {recipe.lr: [0.1, 0.1]}", "0.1 is given twice; give each value once"),
    "one cell": ("tune: {recipe.lr: [0.1]}", "one cell is no choice; give two values or more"),
    "nothing": (
        "tune: {}",
        "this tunes nothing; write a grid {recipe.lr: [0.02, 0.05, 0.1]} or {random: {recipe.lr: {low: 0.01, high: 0.5, log: true}}, trials: 8}",
    ),
    "grid and draws": (
        f"tune: {{recipe.momentum: [0, 0.9], {BOUNDS}, trials: 3}}",
        "this tunes both a grid and random search; write a grid {recipe.lr: [0.02, 0.05, 0.1]} or {random: {recipe.lr: {low: 0.01, high: 0.5, log: true}}, trials: 8}",
    ),
    "no number of trials": (
        f"tune: {{{BOUNDS}}}",
        "`trials` says how many cells random search draws; add it",
    ),
    "trials of a grid": (
        "tune: {recipe.lr: [0.1, 0.2], trials: 3}",
        "a number of `trials` is for random search",
    ),
    "too few to draw": (
        "tune: {random: {recipe.lr: [0.1, 0.2]}, trials: 3}",
        "there are only 2 different cells to draw, not 3; ask for at most 2 trials, or give more values",
    ),
    "empty range": (
        "tune: {random: {recipe.lr: {low: 0.5, high: 0.1}}, trials: 3}",
        "there is nothing from 0.5 to 0.1; low is below high",
    ),
    "logarithm of zero": (
        "tune: {random: {recipe.lr: {low: 0, high: 0.1, log: true}}, trials: 3}",
        "0 has no logarithm; with log: true, low is more than 0",
    ),
    "settings overlap": (
        "tune: {network.act: [relu, silu], network.act.kind: [relu, silu]}",
        "network.act and network.act.kind are parts of one setting; tune one of them",
    ),
    "data": (
        "tune: {data.train_images: [4, 8]}",
        "'data.train_images' is not for tuning: all rows are trained and judged on the same; tune settings of the recipe or the network, for example recipe.lr",
    ),
    "value that does not fit": ("tune: {recipe.lr: [0.1, -1]}", "lr should be greater than 0"),
    "wrong type": ("tune: {recipe.lr: [0.1, fast]}", "lr should be a number"),
    "unknown block": (
        "tune: {network.act: [relu, rellu]}",
        "unknown act block 'rellu'; did you mean 'relu'?",
    ),
    "set by a variant": (
        "tune: {network.conv: [normal, grouped]}",
        "variant 'dilated' sets network.conv itself, so it cannot be tuned; leave it out of one of the two",
    ),
    "matched": (
        f"match: params\n    {GRID.replace('recipe.lr: [0.01, 0.1]', 'network.act: [relu, silu]')}",
        "network.act decides the parameters that `match: params` holds equal, so it cannot be tuned; leave it out, or the match",
    ),
    "matched by epochs": (
        "match: compute\n    tune: {recipe.epochs: [1, 2]}",
        "recipe.epochs decides the training compute that `match: compute` holds equal, so it cannot be tuned; leave it out, or the match",
    ),
    "seeds of tuning": (
        f"seeds: [0, 10000]\n    {GRID}",
        "seed 10000 is one of tuning's own (10000 and up), and would judge what was chosen by it; give the rows other seeds",
    ),
    "no history": (
        f"metric: train_seconds\n    margin: 1.0\n    {GRID}",
        "the comparison is read by 'train_seconds', which epochs do not have of validation images, so no cell can be judged by it; comparisons that tune are read by one of: accuracy, test_loss",
    ),
    "not trained": (
        f"seeds: 0\n    {GRID}",
        "settings are tuned by training, and this comparison is not trained (seeds: 0); leave it out",
    ),
}


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("kind", REFUSED)
def test_what_cannot_be_tuned_is_refused(kind: str) -> None:
    text, message = REFUSED[kind]
    with pytest.raises(SuiteError) as caught:
        checked(tuning(text))
    said = [problem.message for problem in caught.value.problems]
    assert [one for one in said if message in one], said
    assert len(said) == 1, said
    line = str(caught.value).splitlines()
    assert any("tune" in part or "recipe" in part or "seeds" in part for part in line)


@pytest.mark.usefixtures("here")
def test_tuning_takes_a_validation_split() -> None:
    with pytest.raises(SuiteError) as caught:
        checked(changed(("    variants:\n", f"    {GRID}\n    variants:\n")))
    assert [problem.message for problem in caught.value.problems] == [
        "tuning is judged on a validation split, and there is none; set data.validation_images, "
        "for example 1000: so many training images are held out"
    ]


# --- the L1 penalty -------------------------------------------------------------------------------


class Two(nn.Module):
    """A layer whose weight decays and whose bias does not."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 2)


def one_step(
    l1: float, momentum: float, gradient: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    from ablate.train.penalty import add_l1

    network = Two()
    with torch.no_grad():
        network.layer.weight.copy_(torch.tensor([[1.0, -2.0, 0.0], [0.5, -0.25, 3.0]]))
        network.layer.bias.fill_(1.0)
    recipe = Recipe(lr=0.1, momentum=momentum, weight_decay=0.01, l1=l1)
    optimizer = begin(network, Training(None, recipe, "fp32", "cpu", 0)).optimizer  # type: ignore[arg-type]  # no task is needed to begin
    assert optimizer is not None
    for _ in range(2):
        optimizer.zero_grad()
        network.layer.weight.grad = gradient.clone()
        network.layer.bias.grad = torch.ones(2)
        if l1:
            add_l1(optimizer.param_groups)
        optimizer.step()
    return network.layer.weight.detach().double(), network.layer.bias.detach()


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_the_penalty_is_the_closed_form(momentum: float) -> None:
    gradient = torch.tensor([[0.3, -0.1, 0.0], [0.0, 0.2, -0.4]])
    found, bias = one_step(0.05, momentum, gradient)
    # SGD with Nesterov momentum, weight decay 0.01 and the subgradient 0.05 · sign(w), by hand.
    weight = torch.tensor([[1.0, -2.0, 0.0], [0.5, -0.25, 3.0]], dtype=torch.float64)
    buffer = torch.zeros_like(weight)
    for _ in range(2):
        full = gradient.double() + 0.01 * weight + 0.05 * weight.sign()
        buffer = momentum * buffer + full
        weight = weight - 0.1 * (full + momentum * buffer)
    assert torch.allclose(found, weight, atol=1e-6)
    without, same_bias = one_step(0.0, momentum, gradient)
    assert not torch.allclose(found, without, atol=1e-3)
    assert torch.equal(bias, same_bias)  # what does not decay is not penalised either


def test_training_with_the_penalty_makes_weights_smaller(here: Path) -> None:
    from ablate.data import open_data
    from ablate.networks import initialise
    from ablate.train import batches
    from ablate.train.source import open_source
    from ablate.train.trial import assemble

    dataset, _, _ = open_data({"name": "folder", "path": "images"}, None, False)
    config = loaded(changed()).variants["conv"][0].trained.values
    sizes = []
    for l1 in (0.0, 0.02):
        recipe = Recipe(lr=0.05, epochs=2, batch_size=4, l1=l1)
        network, task, _ = assemble({**config, "recipe": recipe.model_dump(mode="json")}, dataset)
        initialise(network, 0)
        plan = Training(task, recipe, "fp32", "cpu", 0)
        source = open_source(
            dataset.train, None, batches.PAD, batches.channel_statistics(dataset.train), "cpu"
        )
        assert len(list(train(begin(network, plan), plan, source, None))) == 2
        sizes.append(
            sum(
                float(m.weight.detach().abs().sum())
                for m in network.modules()
                if isinstance(m, nn.Conv2d)
            )
        )
    assert sizes[1] < 0.95 * sizes[0]
