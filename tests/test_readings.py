"""Readings: what is measured of kept weights, when it is, and where it shows."""

import html
import json
import re
import shutil
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from test_evidence import Lab
from tiny import SUITE, changed, checked, loaded, write

import ablate
from ablate import commands, networks, readings, records
from ablate import study as studies
from ablate.catalog import build
from ablate.evidence.collect import ComparisonEvidence, collect
from ablate.execute import inline
from ablate.records import Measurement, Record, identity
from ablate.report.fields import fields
from ablate.report.figures import Figure
from ablate.suite import remembered
from ablate.suite.plan import make
from ablate.suite.planned import Plan
from ablate.suite.request import Request
from ablate.suite.source import SuiteError

RUNS = Path("runs")
# A metric of weights: their sum of squares, with every one of them beside it.
SQUARES = '''"""Sum of the squares of all weights."""

import numpy as np

from ablate.records import Measurement

ROOM = "metrics"
TITLE = "Sum of squares"
UNIT = "u"
DIRECTION = "lower"
KIND = "reading"


def measure(network, input_shape):
    assert not network.training
    every = np.concatenate([p.detach().numpy().ravel() for p in network.parameters()])
    detail = {"input_shape": list(input_shape)}
    value = float(np.square(every, dtype=np.float64).sum())
    found = Measurement(value=value, unit=UNIT, title=TITLE, direction=DIRECTION, detail=detail)
    return found, {"weights": every}
'''
LARGEST = SQUARES.replace("Sum of squares", "Largest weight").replace(
    "np.square(every, dtype=np.float64).sum()", "abs(every).max()"
)
RAISES = SQUARES.replace("    assert not network.training\n", "    raise RuntimeError('no luck')\n")
NOWHERE = SQUARES.replace("    assert not network.training\n", "    return None\n")
OTHER_KIND = SQUARES.replace('KIND = "reading"', 'KIND = "fact"')

PLUGINS = "plugins: [squares.py, largest.py]\n"
ASKED = ("    baseline: normal\n", "    baseline: normal\n    readings: [squares]\n")


@pytest.fixture
def suite(here: Path, no_plugins: None) -> Path:
    """A working directory with the metrics beside the suite, which asks for one of them."""
    Path("squares.py").write_text(SQUARES)
    Path("largest.py").write_text(LARGEST)
    write(changed(ASKED, add=PLUGINS))
    return here


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The trials of the suite, to be copied."""
    return tmp_path_factory.mktemp("finished") / "runs"


@pytest.fixture
def trained(suite: Path, finished: Path) -> Path:
    """The same with its trials run, and no reading taken."""
    if not finished.exists():
        write(SUITE)
        assert run() == 0
        shutil.rmtree(RUNS / "studies")
        shutil.rmtree(RUNS / "plans")
        RUNS.rename(finished)
        write(changed(ASKED, add=PLUGINS))
    shutil.copytree(finished, RUNS)
    return suite


def run(jobs: str = "1") -> int:
    return int(commands.run(Request("tiny.yaml"), "cpu", RUNS, Path("reports"), jobs, None, False))


def planned(keep: bool = False) -> Plan:
    return commands._plan(Request("tiny.yaml"), "cpu", RUNS, "1", keep=keep)[0]


def recalled() -> Plan | None:
    return remembered.recall(remembered.inputs(Request("tiny.yaml"), "cpu"), RUNS)


def taken() -> dict[str, Record]:
    """Return all readings by the id of their trial."""
    found = (records.read(RUNS, "reading", place.name) for place in (RUNS / "readings").iterdir())
    return {record.spec["trial"]: record for record in found if record is not None}


def bytes_of(folder: str) -> dict[str, bytes]:
    return {str(p): p.read_bytes() for p in sorted((RUNS / folder).rglob("*")) if p.is_file()}


def study() -> studies.Study:
    found = studies.newest(RUNS, "tiny")
    assert found is not None
    return found


def evidence() -> ComparisonEvidence:
    (found,) = collect(RUNS, study()).comparisons
    return found


def first_trial() -> str:
    return study().comparisons[0].rows[0].trials[0]


# --- one reading ----------------------------------------------------------------------------------


def job_of(trial: str, *metrics: str, plugins: Mapping[str, str] | None = None) -> dict[str, Any]:
    spec = readings.spec_of(trial, metrics, (3, 32, 32), 2, plugins or {})
    paths = [
        str(Path(f"{name}.py").resolve()) for name in metrics if name in ("squares", "largest")
    ]
    return {"spec": spec, "plugins": paths, "runs": str(RUNS)}


def read(job: dict[str, Any]) -> Record:
    """Take a reading here and return its record."""
    *_, last = readings.run(job)
    found = records.read(RUNS, "reading", identity(job["spec"]))
    assert found is not None
    assert last["status"] == found.status
    assert last["record"] == str(RUNS / "readings" / found.id)
    return found


@pytest.mark.usefixtures("trained")
def test_a_reading_is_of_the_network_before_and_after_training() -> None:
    trial = next(iter(planned().trials))
    record = read(job_of(trial.id, "squares"))
    network = build("networks", trial.job["spec"]["config"]["network"], "family", (3, 32, 32), 2)
    networks.initialise(network, trial.seed)
    stored = torch.load(RUNS / "trials" / trial.id / "weights.pt", weights_only=True)
    first = np.concatenate([p.detach().numpy().ravel() for p in network.parameters()])
    last = np.concatenate([stored[name].numpy().ravel() for name, _ in network.named_parameters()])
    assert np.array_equal(record.arrays["initial_squares_weights"], first)
    assert np.array_equal(record.arrays["squares_weights"], last)
    assert not np.array_equal(first, last)
    assert record.metrics["squares"].value == pytest.approx(float((last.astype(float) ** 2).sum()))
    assert record.metrics["squares"].title == "Sum of squares"
    assert record.metrics["initial_squares"].title == "Sum of squares before training"
    assert record.metrics["initial_squares"].detail == {"input_shape": [3, 32, 32]}
    assert record.environment["threads"] == 1
    assert "cpu" in record.environment


@pytest.mark.usefixtures("trained")
def test_the_id_holds_trial_metrics_and_their_code() -> None:
    trial = planned().trials[0].id
    digests = {"metrics/squares": "a", "metrics/largest": "b", "blocks/act/mine": "c"}

    def id_of(*metrics: str, trial: str = trial, **more: str) -> str:
        return identity(job_of(trial, *metrics, plugins={**digests, **more})["spec"])

    assert id_of("squares", "largest") == id_of("largest", "squares")
    assert id_of("squares", **{"metrics/largest": "x", "blocks/act/mine": "x"}) == id_of("squares")
    distinct = {
        id_of("squares"),
        id_of("largest"),
        id_of("squares", "largest"),
        id_of("squares", trial="0" * 16),
        id_of("squares", **{"metrics/squares": "x"}),
    }
    assert len(distinct) == 5


@pytest.mark.usefixtures("trained")
def test_a_metric_that_does_not_apply_is_not_there() -> None:
    Path("squares.py").write_text(NOWHERE)
    record = read(job_of(planned().trials[0].id, "squares"))
    assert (record.status, record.metrics, record.arrays) == ("ok", {}, {})


@pytest.mark.usefixtures("trained")
def test_a_metric_that_raises_makes_a_failed_record() -> None:
    Path("squares.py").write_text(RAISES)
    record = read(job_of(planned().trials[0].id, "squares"))
    assert (record.status, record.reason) == ("failed", "RuntimeError: no luck")
    assert (record.metrics, record.arrays) == ({}, {})
    text = (records.folder(RUNS, "reading", record.id) / "traceback.txt").read_text()
    assert "no luck" in text


def gone(place: Path) -> None:
    (place / "weights.pt").unlink()


def cut(place: Path) -> None:
    (place / "weights.pt").write_bytes((place / "weights.pt").read_bytes()[:-100])


def of_another(place: Path) -> None:
    weights = torch.load(place / "weights.pt", weights_only=True)
    torch.save({f"other.{name}": value for name, value in weights.items()}, place / "weights.pt")


def code(place: Path) -> None:
    torch.save({"network": Path("x")}, place / "weights.pt")


def damaged(place: Path) -> None:
    (place / "record.json").write_text("{")


def away(place: Path) -> None:
    shutil.rmtree(place)


@pytest.mark.parametrize(
    ("harm", "reason"),
    [
        (gone, "there are no weights of the trial {trial}: its weights were deleted"),
        (cut, "the weights of its trial cannot be loaded: .+"),
        (of_another, "the weights of its trial cannot be loaded: Error.+ state_dict for .+"),
        (code, "the weights of its trial cannot be loaded: Weights only load failed.+"),
        (damaged, "the record of its trial cannot be read: .+"),
        (away, "there is no trial {trial}"),
    ],
)
@pytest.mark.usefixtures("trained")
def test_what_cannot_be_read_says_why(harm: Any, reason: str) -> None:
    trial = planned().trials[0].id
    harm(RUNS / "trials" / trial)
    record = read(job_of(trial, "squares"))
    assert record.status == "failed"
    assert re.fullmatch(reason.format(trial=trial), record.reason or "")
    assert not (records.folder(RUNS, "reading", record.id) / "traceback.txt").exists()


# --- a suite that asks for readings ---------------------------------------------------------------


@pytest.mark.usefixtures("suite")
def test_a_run_takes_readings_after_its_trials_and_a_second_does_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run() == 0
    said = capsys.readouterr()
    assert "4 trials to run, 0 there already, then 4 readings of weights; ETA" in said.err
    ends = [line.split("]")[1].split()[1] for line in said.err.splitlines() if "/8] ok" in line]
    assert ends == ["conv/normal", "conv/dilated"] * 2 + ["reading"] * 4
    assert "4 trained, 0 there already, 4 readings of weights" in said.out
    found = taken()
    assert found.keys() == {id for row in study().comparisons[0].rows for id in row.trials.values()}
    assert {record.status for record in found.values()} == {"ok"}
    before = bytes_of("")
    assert run() == 0
    said = capsys.readouterr()
    assert "0 trials to run, 4 there already\n" in said.err
    assert "0 trained, 4 there already\n" in said.out
    after = bytes_of("")
    asked = str(studies.folder(RUNS, study().id) / "asked.jsonl")
    assert {name for name in after if after[name] != before.get(name)} <= {asked, "runs/.lock"}


@pytest.mark.usefixtures("trained")
def test_a_metric_that_is_asked_for_later_trains_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    trials = bytes_of("trials")
    assert run() == 0
    first = taken()
    write(changed((ASKED[0], ASKED[1].replace("squares", "squares, largest")), add=PLUGINS))
    plan = planned()
    assert (len(plan.missing), len(plan.missing_readings)) == (0, 4)
    assert run() == 0
    assert "0 trained, 4 there already, 4 readings of weights" in capsys.readouterr().out
    assert bytes_of("trials") == trials
    assert len(list((RUNS / "readings").iterdir())) == 8  # the first ones are kept
    for row in study().comparisons[0].rows:
        for seed, id in row.readings.items():
            trial = row.trials[seed]
            record = records.read(RUNS, "reading", id)
            assert record is not None
            assert set(record.metrics) == {
                *("squares", "initial_squares"),
                *("largest", "initial_largest"),
            }
            assert record.metrics["squares"] == first[trial].metrics["squares"]
            assert record.id != first[trial].id


@pytest.mark.usefixtures("suite")
def test_the_first_three_seeds_of_a_row_are_read() -> None:
    text = changed(ASKED, ("seeds: 2", "seeds: [7, 3, 0, 5]"), add=PLUGINS)
    plan = make(loaded(text), checked(text), RUNS, "cpu")
    assert [list(row.readings) for row in plan.study.comparisons[0].rows] == [[7, 3, 0]] * 2
    assert len(plan.readings) == 6
    assert [reading.name for reading in plan.readings][:2] == [
        "reading of conv/normal seed 7",
        "reading of conv/dilated seed 7",
    ]
    assert {reading.seconds for reading in plan.readings} == {readings.EXPECTED}
    told = commands._plan_json(plan, 2)
    assert [reading["id"] for reading in told["readings"]] == [r.id for r in plan.readings]
    both = sum(t.seconds for t in plan.trials) + sum(r.seconds for r in plan.readings)
    assert told["seconds"] == pytest.approx(both / 2)


@pytest.mark.usefixtures("suite")
def test_comparisons_share_the_readings_of_what_they_share() -> None:
    again = SUITE[SUITE.index("  - id: conv") :].replace("id: conv", "id: other")
    text = changed(ASKED, add=again.replace(*ASKED) + PLUGINS)
    assert len(make(loaded(text), checked(text), RUNS, "cpu").readings) == 4
    more = again.replace(ASKED[0], ASKED[1].replace("squares", "largest"))
    text = changed(ASKED, add=more + PLUGINS)
    plan = make(loaded(text), checked(text), RUNS, "cpu")
    assert len(plan.readings) == len({reading.id for reading in plan.readings}) == 8
    assert len({reading.trial for reading in plan.readings}) == 4


@pytest.mark.usefixtures("suite")
def test_a_profile_may_read_other_metrics() -> None:
    own = "    profiles: {few: {readings: []}, other: {readings: [largest]}}\n"
    add = PLUGINS + "profiles: {few: {}, other: {}, usual: {}}\n"
    text = changed((ASKED[0], ASKED[1] + own), add=add)
    asked = {
        profile: make(
            loaded(text, profile=profile), checked(text, profile=profile), RUNS, "cpu"
        ).study.comparisons[0]
        for profile in ("few", "other", "usual")
    }
    read = {profile: found.readings for profile, found in asked.items()}
    assert read == {"few": [], "other": ["largest"], "usual": ["squares"]}
    assert [len(row.readings) for row in asked["few"].rows] == [0, 0]


# --- what is not there ----------------------------------------------------------------------------


@pytest.mark.usefixtures("trained")
def test_deleted_weights_are_no_failure(capsys: pytest.CaptureFixture[str]) -> None:
    (RUNS / "trials" / planned().trials[0].id / "weights.pt").unlink()
    assert run() == 0
    said = capsys.readouterr()
    assert (
        "note: 1 reading cannot be taken: the trials have no weights (they diverged, or their "
        "weights were deleted)\n"
    ) in said.err
    assert "then 3 readings of weights" in said.err
    assert len(taken()) == 3
    row = evidence().rows[0]
    assert [reading.reason for reading in row.readings] == ["the weights were deleted", None]
    page = Path("reports/tiny/index.html").read_text()
    assert "normal (baseline), seed 0: no reading of the weights: the weights were deleted" in page
    assert recalled() is not None  # nothing of it can be done
    assert run() == 0
    assert "note: 1 reading cannot be taken" in capsys.readouterr().err


@pytest.mark.usefixtures("trained")
def test_weights_that_are_deleted_after_their_reading_are_not_missed() -> None:
    assert run() == 0
    page = Path("reports/tiny/index.html").read_bytes()
    for path in RUNS.glob("trials/*/weights.pt"):
        path.unlink()
    plan = recalled()
    assert plan is not None
    assert (len(plan.readings), plan.missing_readings) == (4, [])
    assert len(planned().readings) == 4
    assert run() == 0
    assert Path("reports/tiny/index.html").read_bytes() == page


@pytest.mark.usefixtures("suite")
def test_a_trial_without_a_result_has_no_reading(capsys: pytest.CaptureFixture[str]) -> None:
    hot = ("dilated: {network.conv: dilated}", "dilated: {recipe.lr: 1.0e+30}")
    write(changed(ASKED, hot, add=PLUGINS))
    assert run() == 1
    said = capsys.readouterr()
    assert "4 trials to run, 0 there already, then 4 readings" in said.err
    assert "[6/6] ok       reading of conv/normal seed 1" in said.err  # the others are given up
    assert "2 trained, 0 there already, 2 readings of weights, 2 diverged" in said.out
    assert len(taken()) == 2
    row = evidence().rows[1]
    assert [reading.reason for reading in row.readings] == ["the trial diverged"] * 2
    assert run() == 0
    assert "note: 2 readings cannot be taken" in capsys.readouterr().err


@pytest.mark.usefixtures("trained")
def test_a_reading_that_fails_ends_nothing_and_is_tried_again(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("squares.py").write_text(
        SQUARES.replace(
            "    assert not network.training\n",
            "    from pathlib import Path\n"
            "    if not Path('luck').exists():\n"
            "        raise RuntimeError('no luck')\n",
        )
    )
    assert run() == 1
    said = capsys.readouterr()
    reason = "not ok: reading of conv/normal seed 0 failed: RuntimeError: no luck\n"
    assert reason in said.out
    assert "Traceback" not in said.out + said.err
    assert "0 trained, 4 there already, 4 failed" in said.out
    assert [r.reason for r in evidence().rows[0].readings] == ["RuntimeError: no luck"] * 2
    page = Path("reports/tiny/index.html").read_text()
    assert "seeds 0 and 1: no reading of the weights: RuntimeError: no luck" in page
    assert recalled() is None
    Path("luck").touch()
    assert run() == 0
    assert {record.status for record in taken().values()} == {"ok"}


@pytest.mark.usefixtures("trained")
def test_a_damaged_reading_is_set_aside_and_taken_again(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run() == 0
    place = records.folder(RUNS, "reading", next(iter(taken().values())).id)
    (place / "record.json").write_text("{")
    capsys.readouterr()
    assert run() == 0
    assert f"damaged: {place}: " in capsys.readouterr().err
    assert len(taken()) == 4


@pytest.mark.usefixtures("trained")
def test_what_was_read_before_an_interruption_is_kept() -> None:
    plan = planned(keep=True)
    jobs = [reading.job for reading in plan.missing_readings]
    for _ in inline.run(jobs[:3], "ablate.readings:run", 1):
        pass  # and then Ctrl-C
    before = bytes_of("readings")
    assert recalled() is None
    left = planned().missing_readings
    assert [reading.id for reading in left] == [plan.readings[3].id]
    assert left[0].seconds != readings.EXPECTED  # known from the others
    assert run() == 0
    assert before.items() <= bytes_of("readings").items()
    assert len(taken()) == 4


@pytest.mark.usefixtures("trained")
def test_readings_side_by_side_are_those_of_one_after_the_other() -> None:
    assert run() == 0
    alone = taken()
    shutil.rmtree(RUNS / "readings")
    assert run(jobs="2") == 0
    beside = taken()
    assert {trial: r.metrics for trial, r in beside.items()} == {
        trial: r.metrics for trial, r in alone.items()
    }
    for trial, record in beside.items():
        for name, array in record.arrays.items():
            assert np.array_equal(array, alone[trial].arrays[name])


def test_studies_from_before_readings_are_read(tmp_path: Path) -> None:
    lab = Lab(tmp_path / "runs")
    lab.compare(lab.row("normal", [90.0, 91.0]), lab.row("other", [90.0, 92.0], reference=""))
    path = studies.folder(lab.runs, lab.ask().id) / "study.json"
    stored = lab.ask().model_dump(mode="json") | {"schema_version": 2}
    for comparison in stored["comparisons"]:
        del comparison["readings"]
        comparison["passes"] = {"latency": "0" * 16}
        for row in comparison["rows"]:
            del row["readings"]
    path.write_text(json.dumps(stored))
    found = studies.load(lab.runs, lab.ask().id)
    assert found.schema_version == studies.SCHEMA
    assert found.comparisons[0].readings == []
    assert found.comparisons[0].passes == {"latency": ["0" * 16]}
    assert [row.readings for row in found.comparisons[0].rows] == [{}, {}]


# --- names ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ("[sqares]", "tiny.yaml:14:16: unknown metric 'sqares'; did you mean 'squares'?"),
        (
            "[squares, macs]",
            "tiny.yaml:14:25: 'macs' is a fact of the network, and not read from weights; there "
            "are: ",
        ),
        ("[latency]", "tiny.yaml:14:16: 'latency' is measured in a pass of its own, and not read"),
        ("[squares, squares]", "tiny.yaml:14:15: squares is given twice; give each metric once"),
    ],
)
@pytest.mark.usefixtures("suite")
def test_what_is_no_reading_is_refused(names: str, message: str) -> None:
    text = changed((ASKED[0], ASKED[1].replace("[squares]", names)), add=PLUGINS)
    with pytest.raises(SuiteError) as caught:
        checked(text)
    assert message in str(caught.value)


@pytest.mark.usefixtures("suite")
def test_what_a_profile_reads_is_looked_at_too() -> None:
    own = "    profiles: {few: {readings: [sqares, accuracy]}}\n"
    text = changed((ASKED[0], ASKED[1] + own), add=PLUGINS + "profiles: {few: {}}\n")
    with pytest.raises(SuiteError) as caught:
        checked(text)
    assert "tiny.yaml:15:33: unknown metric 'sqares'; did you mean 'squares'?" in str(caught.value)
    wrong = "tiny.yaml:15:41: 'accuracy' is a measure of the whole trial, and not read from weights"
    assert wrong in str(caught.value)


@pytest.mark.usefixtures("suite")
def test_no_comparison_is_read_by_a_reading() -> None:
    text = changed((ASKED[0], ASKED[0] + "    metric: squares\n"), add=PLUGINS)
    with pytest.raises(SuiteError) as caught:
        checked(text)
    words = "'squares' is read from the weights when all is trained, which no trial measures"
    assert words in str(caught.value)


# --- where they show ------------------------------------------------------------------------------


@pytest.mark.usefixtures("trained")
def test_readings_are_columns_of_the_page_and_rows_of_the_table() -> None:
    assert run() == 0
    page = Path("reports/tiny/index.html").read_text()
    csv = Path("reports/tiny/tbl-tiny-conv-measures.csv").read_text()
    read = "read after all training: sum of squares before training and sum of squares."
    assert f"Of the weights of a row's first seeds, {read}" in html.unescape(page)
    found = taken()
    rows = study().comparisons[0].rows
    for line, row in zip(csv.splitlines()[1:], rows, strict=True):
        told = dict(zip(csv.splitlines()[0].split(","), line.split(","), strict=True))
        values = [found[id].metrics["squares"].value or 0.0 for id in row.trials.values()]
        assert told["squares_n"] == "2"
        assert float(told["squares_mean_u"]) == pytest.approx(np.mean(values))
        assert float(told["squares_sd_u"]) == pytest.approx(np.std(values, ddof=1))
    table = ablate.load("tiny", RUNS).numbers
    read = table[table["metric"].isin(["squares", "initial_squares"])]
    assert len(read) == 8
    assert set(read["trial"]) == {record.id for record in found.values()}
    assert set(read["status"]) == {"ok"}
    assert set(read["unit"]) == {"u"}
    assert read["split"].isna().all()
    assert read["epoch"].isna().all()
    assert sorted(read["seed"].unique()) == [0, 1]
    assert "squares" in Path("reports/tiny/runs.csv").read_text()


@pytest.mark.usefixtures("trained")
def test_a_reading_that_is_missing_is_a_row_without_a_value() -> None:
    (RUNS / "trials" / planned().trials[0].id / "weights.pt").unlink()
    assert run() == 0
    table = ablate.load("tiny", RUNS).numbers
    (row,) = table[table["status"] == "missing"].to_dict("records")
    assert (row["metric"], row["seed"], row["variant"]) == ("squares", 0, "normal")
    assert np.isnan(row["value"])


# --- the figure of effective receptive fields -----------------------------------------------------

ERF = "effective_receptive_field"
SVG = "{http://www.w3.org/2000/svg}"


def bump(side: int, reach: int, width: float) -> "np.ndarray[Any, Any]":
    """Return a map that falls off from its centre and is nothing beyond some pixels from it."""
    away = np.arange(side) - side // 2
    one = np.exp(-0.5 * (away / max(width, 1)) ** 2) * (abs(away) <= reach)
    return (7 * np.outer(one, one)).astype(np.float32)


def effective(lab: Lab, trial: str, before: Any, after: Any, reach: int) -> str:
    """Write a reading of a trial with these maps; their values are 10 and 5."""
    side, corner = 2 * reach + 1, len(before) // 2 - reach
    detail = {"receptive_field": [side, side], "box": [corner, corner], "ratio": 0.5}
    spec = {"reading": 1, "trial": trial}
    arrays = {f"initial_{ERF}_map": before, f"{ERF}_map": after}
    title = "Effective receptive field"
    metrics = {
        name: Measurement(value=value, unit="px", title=title, direction="none", detail=detail)
        for name, value in ((f"initial_{ERF}", 10.0), (ERF, 5.0))
    }
    record = Record(
        kind="reading",
        id=identity(spec),
        spec=spec,
        status="ok",
        metrics=metrics,
        seconds=1.0,
        started=records.now(),
        finished=records.now(),
    )
    records.write(lab.runs, record, arrays)
    return record.id


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """Two rows with fields of 13 and 21 pixels, and one that was not read."""
    lab = Lab(tmp_path_factory.mktemp("lab") / "runs")
    rows = []
    for name, reach in (("normal", 6), ("wide", 10), ("unread", 0)):
        row = lab.row(name, [90.0, 91.0, 92.0], reference="")
        maps = bump(41, reach, 0.6 * reach), bump(41, reach, 0.3 * reach)
        read = {
            seed: effective(lab, id, *maps, reach)
            for seed, id in row.trials.items()
            if reach and seed < 2
        }
        rows.append(row.model_copy(update={"readings": read}))
    lab.compare(*rows, readings=[ERF])
    return lab


@pytest.fixture(scope="module")
def figure(lab: Lab) -> Figure:
    (comparison,) = collect(lab.runs, lab.ask()).comparisons
    found = fields(comparison)
    assert found is not None
    return found


def test_without_maps_there_is_no_figure(tmp_path: Path) -> None:
    lab = Lab(tmp_path / "runs")
    lab.compare(lab.row("normal", [90.0, 91.0]), lab.row("other", [90.0, 92.0], reference=""))
    (comparison,) = collect(lab.runs, lab.ask()).comparisons
    assert fields(comparison) is None


def test_a_figure_has_a_panel_for_each_row_that_was_read(figure: Figure) -> None:
    assert figure.id == "fig-s7-depthwise-fields"
    assert figure.table == "tbl-s7-depthwise-measures"
    assert set(figure.files) == {"svg", "pdf", "png"}
    titles = [re.search(r"<title[^>]*>(.*?)</title>", p) for p in figure.pictures]
    assert [found and found[1] for found in titles] == [
        "Effective receptive field of normal (baseline).",
        "Effective receptive field of wide (drop-in).",
    ]
    assert "Not shown, as there is no reading of its weights: unread (drop-in)." in figure.notes
    assert "2 seeds a row" in figure.notes[0]
    assert "by their square root, the same in all panels" in figure.notes[1]
    words = [" ".join(ET.fromstring(p).itertext()) for p in figure.pictures]
    assert (
        "Mean over seeds 0 and 1: 10.0 px before training and 5.0 px after training; "
        "the box has 21 × 21 px."
    ) in words[1]
    for said in words:
        assert "before: 10.0 px" in said
        assert "after: 5.0 px" in said


def test_the_box_lies_around_the_field_at_the_same_scale(figure: Figure) -> None:
    sides = []
    for markup in figure.pictures:
        found = [
            (float(box[1]), float(box[2]))
            for path in ET.fromstring(markup).iter("path")
            if "stroke:#ffffff" in path.get("style", "")
            and (
                box := re.match(
                    r"M[\d.]+ [\d.]+h([\d.]+)v([\d.]+)h-[\d.]+v-[\d.]+z$", path.attrib["d"]
                )
            )
        ]
        assert len(found) == 2  # before and after
        assert found[0] == pytest.approx(found[1], abs=0.02)  # to a hundredth of a pixel each
        assert found[0][0] == pytest.approx(found[0][1], abs=0.02)
        sides.append(found[0][0])
    assert sides[1] / sides[0] == pytest.approx(21 / 13, rel=1e-3)


def test_the_page_shows_the_figure_and_keeps_it(lab: Lab, tmp_path: Path) -> None:
    from ablate.report.render import render

    page = render(lab.runs, lab.ask(), tmp_path).read_text()
    assert page.count('<figure id="fig-s7-depthwise-fields">') == 1
    assert "Cite or export fig-s7-depthwise-fields" in page
    files = {path.name: path.read_bytes() for path in (tmp_path / "s7").iterdir()}
    assert {f"fig-s7-depthwise-fields.{kind}" for kind in ("svg", "pdf", "png")} <= files.keys()
    manifest = json.loads(files["manifest.json"])
    assert "fig-s7-depthwise-fields" in manifest["figures"]
    assert "fig-s7-depthwise-fields" in json.loads(files[".made.json"])["figures"]


@pytest.mark.usefixtures("suite")
def test_a_plan_tells_its_readings(capsys: pytest.CaptureFixture[str]) -> None:
    commands.plan(Request("tiny.yaml"), "cpu", RUNS, as_json=True)
    told = json.loads(capsys.readouterr().out)
    assert [reading["name"] for reading in told["readings"]] == [
        f"reading of conv/{variant} seed {seed}"
        for seed in (0, 1)
        for variant in ("normal", "dilated")
    ]
    assert {reading["done"] for reading in told["readings"]} == {False}


@pytest.mark.usefixtures("trained")
def test_effective_receptive_fields_of_a_real_run_are_drawn() -> None:
    write(changed((ASKED[0], ASKED[1].replace("squares", ERF))))
    assert run() == 0
    found = fields(evidence())
    assert found is not None
    sides = {8: "8 × 8", 12: "12 × 12"}  # as the receptive field has it, in closed form
    facts = [row.trained["receptive_field"].value for row in evidence().rows]
    for markup, side in zip(found.pictures, facts, strict=True):
        assert f"the box has {sides[int(side or 0)]} px" in " ".join(
            ET.fromstring(markup).itertext()
        )
    for record in taken().values():
        assert record.arrays[f"{ERF}_map"].dtype == np.float32
        assert record.metrics[f"initial_{ERF}"].value is not None
    assert '<figure id="fig-tiny-conv-fields">' in Path("reports/tiny/index.html").read_text()
