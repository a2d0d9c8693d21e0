"""What `ablate.load` gives: data frames whose columns are published, and what shows itself."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
from scipy import stats
from test_evidence import DROP_IN, EQUAL, NORMAL, Lab

import ablate
from ablate import records
from ablate.evidence import frames
from ablate.results import Comparison, Figure, NothingFound, Results, Table

ROOT = Path(ablate.__file__).parent.parent


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Records of two suites: one trained and timed, one that has a failure and a missing trial."""
    folder = tmp_path_factory.mktemp("load") / "runs"
    lab = Lab(folder)
    networks = [{"family": "staged", "width": width} for width in (16.0, 24.0)]
    noise = np.random.default_rng(0)
    times = [{1: 1e-3 * noise.lognormal(0, 0.001, (20, 3)) * [1, 2, 1]} for _ in range(3)]
    first = lab.row("normal", NORMAL, params=82_010, full_params=324_330, network=networks[0])
    second = lab.row("depthwise", DROP_IN, params=12_240, network=networks[1])
    equal = lab.row("depthwise", EQUAL, match=("params",), params=82_000, network=networks[1])
    configs = [row.full_config["network"] for row in (first, second)]
    lab.compare(first, second, equal, passes=lab.time(configs, *times))
    lab.ask()
    other = Lab(folder, settings={"suite": "s8", "hash": "bb"})
    broken = other.row("<script>alert(1)</script>", [58.0, "diverged", "failed", None])
    other.compare(other.row("normal", NORMAL[:4]), broken)
    other.compare(
        other.row("normal", NORMAL[:4], scores=()), other.row("separable", DROP_IN[:4]), id="other"
    )
    other.ask()
    return folder


@pytest.fixture(scope="module")
def s7(runs: Path) -> Results:
    return ablate.load("s7", runs=str(runs))


@pytest.fixture(scope="module")
def both(runs: Path) -> Results:
    return ablate.load(runs=str(runs))


# --- the published columns ------------------------------------------------------------------------

# As they were published: an addition is added here; nothing else may change.
PUBLISHED = {
    "comparisons": (
        "study:str suite:str comparison:str variant:str match:str reference:str table:str "
        "metric:str unit:str direction:str margin:float64 planned:Int64 seeds:Int64 mean:float64 "
        "sd:float64 difference:float64 low:float64 high:float64 interval:str difference_unit:str "
        "effect:str seeds_needed:Int64 params:float64 macs:float64 full_params:float64 "
        "full_macs:float64 data:str screening:bool"
    ),
    "verdicts": (
        "study:str suite:str comparison:str note:str says:str kind:str metric:str verdict:str "
        "match:str at:str part:str source:str estimate:float64 low:float64 high:float64 "
        "level:float64 tests:Int64 margin:float64 seeds:Int64 seeds_needed:Int64 too_few:bool "
        "screening:bool sentence:str"
    ),
    "trials": (
        "study:str suite:str comparison:str variant:str match:str role:str seed:Int64 trial:str "
        "status:str metric:str value:float64 unit:str steps:Int64 seconds:float64 started:str "
        "device:str precision:str data:str screening:bool reason:str"
    ),
    "scores": (
        "study:str suite:str comparison:str variant:str match:str seed:Int64 trial:str split:str "
        "metric:str value:float64 unit:str"
    ),
    "epochs": (
        "study:str suite:str comparison:str variant:str match:str seed:Int64 trial:str epoch:Int64 "
        "step:Int64 split:str metric:str value:float64 unit:str"
    ),
    "readings": (
        "study:str suite:str comparison:str variant:str match:str seed:Int64 reading:str "
        "status:str metric:str value:float64 unit:str"
    ),
    "facts": (
        "study:str suite:str comparison:str variant:str match:str network:str at:str fact:str "
        "metric:str value:float64 unit:str"
    ),
    "passes": (
        "study:str suite:str comparison:str variant:str match:str phase:str batch:Int64 "
        "precision:str memory_format:str mode:str threads:Int64 device:str pass:str status:str "
        "metric:str value:float64 unit:str"
    ),
}


def test_every_data_frame_is_published() -> None:
    assert list(frames.COLUMNS) == list(PUBLISHED)


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_data_frame_has_the_columns_that_were_published(name: str, both: Results) -> None:
    found = getattr(both, name)
    types = {key: "str" if str(it) == "object" else str(it) for key, it in found.dtypes.items()}
    assert " ".join(f"{key}:{it}" for key, it in types.items()) == PUBLISHED[name]
    assert list(found.index) == list(range(len(found)))


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_column_says_what_it_holds_and_numbers_in_which_unit(name: str) -> None:
    columns = frames.COLUMNS[name]
    assert [key for key, it in columns.items() if not it.meaning] == []
    unitless = {"params", "macs", "full_params", "full_macs"}  # counts
    numbers = [key for key, it in columns.items() if it.dtype == "float64"]
    assert [key for key in numbers if not columns[key].unit and key not in unitless] == []


def test_the_columns_describe_themselves(s7: Results) -> None:
    told = s7.columns.set_index(["frame", "column"])
    assert tuple(told.loc[("trials", "seconds")]) == ("float64", "s", "how long it took")
    assert len(told) == sum(len(columns) for columns in frames.COLUMNS.values())


# --- the numbers ----------------------------------------------------------------------------------


def test_a_comparison_has_the_numbers_of_scipy(s7: Results) -> None:
    table = s7.comparisons.set_index(["variant", "match"])
    assert list(table.index) == [("normal", "none"), ("depthwise", "none"), ("depthwise", "params")]
    for match, values in (("none", DROP_IN), ("params", EQUAL)):
        row = table.loc[("depthwise", match)]
        test = stats.ttest_ind(values, NORMAL, equal_var=False)
        low, high = test.confidence_interval(0.95)
        assert row["difference"] == pytest.approx(np.mean(values) - np.mean(NORMAL))
        assert (row["low"], row["high"]) == (pytest.approx(low), pytest.approx(high))
        assert row["mean"] == pytest.approx(np.mean(values))
        assert row["sd"] == pytest.approx(np.std(values, ddof=1))
        assert (row["planned"], row["seeds"], row["interval"]) == (5, 5, "welch")
    assert table["effect"].tolist()[1:] == ["lower", "higher"]
    assert table["difference_unit"].tolist() == ["points"] * 3
    assert table["params"].tolist() == [82_010, 12_240, 82_000]
    assert table["full_params"].tolist() == [324_330, 12_240, 82_000]
    assert table.loc[("normal", "none")][["reference", "difference", "low"]].isna().all()


def test_every_trial_that_was_asked_for_has_a_line(both: Results) -> None:
    trials = both.trials[(both.trials["suite"] == "s8") & (both.trials["variant"] != "normal")]
    here = trials[trials["comparison"] == "depthwise"]
    assert here["status"].tolist() == ["ok", "diverged", "failed", "missing"]
    assert here["value"].tolist()[:1] == [58.0]
    assert here["value"].isna().tolist() == [False, True, True, True]
    assert here["reason"].isna().tolist() == [True, False, False, False]
    assert here["seconds"].tolist()[:3] == [26.25] * 3
    assert here["steps"].isna().tolist() == [False, False, False, True]
    assert set(both.trials["role"]) == {"row"}
    ids = both.numbers[both.numbers["seed"].notna()]["trial"]
    assert set(both.trials["trial"]) == set(ids)


def test_verdicts_are_those_of_the_terminal(s7: Results) -> None:
    by_note = s7.verdicts.set_index("note")
    smaller = by_note.loc["A:113"]
    assert (smaller["kind"], smaller["metric"], smaller["source"]) == (
        "ratio", "params", "arithmetic",
    )  # fmt: skip
    assert smaller["estimate"] == pytest.approx(324_330 / 12_240)
    strength = by_note.loc[["B:72"]]
    assert strength["match"].tolist() == ["none", "params"]
    assert strength["part"].tolist() == ["supported", "refuted"]
    assert set(strength["verdict"]) == {"depends"}
    assert strength["seeds"].tolist() == [5, 5]


def test_a_time_is_the_median_of_its_process(s7: Results) -> None:
    passes = s7.passes
    assert len(passes) == 3 * 3  # rows and processes
    assert set(passes["unit"]) == {"s"}
    assert set(passes["batch"]) == {1}
    medians = passes.groupby("variant")["value"].median()
    assert medians["depthwise"] / medians["normal"] == pytest.approx(2, rel=0.01)


def peak(runs: Path, network: dict[str, Any], *rounds: int, tensors: int, reset: bool) -> str:
    """Write a pass that weighed a network, and return its id."""
    setting = {"phase": "training_step", "batch": 8, "precision": "fp32", "threads": 1}
    spec = {
        "metric": "training_memory",
        "networks": [network],
        "settings": [setting],
        "machine": {"cpu": "A CPU"},
    }
    found = records.Record(
        kind="pass",
        id=records.identity(spec),
        spec=spec,
        status="ok",
        seconds=1.0,
        environment={"cores": 1},
        started="2026-11-21T09:10:00+00:00",
        finished="2026-11-21T09:10:01+00:00",
    )
    counts = {"peak": rounds, "tensors": [tensors], "weights": [100], "inputs": [10]}
    arrays = {f"{name}_0": np.array(values) for name, values in counts.items()}
    records.write(runs, found, arrays | {"reset_0": np.array([reset] * len(rounds))})
    return found.id


def test_a_peak_is_the_median_of_its_rounds_and_says_what_it_is_worth(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    rows = [lab.row(f"v{w}", NORMAL, network={"width": float(w)}) for w in (8, 16, 24)]
    networks = [row.full_config["network"] for row in rows]
    sound, high = 2**30, 2**40  # more in tensors than the process used: not to be believed
    ids = [
        peak(tmp_path, networks[0], 5 * sound, 3 * sound, 4 * sound, tensors=sound, reset=True),
        peak(tmp_path, networks[1], 2 * sound, tensors=high, reset=True),
        peak(tmp_path, networks[2], 6 * sound, tensors=sound, reset=False),
    ]
    lab.compare(*rows, claims=[], passes={"training_memory": ids})
    lab.ask()
    passes = ablate.load("s7", runs=tmp_path).passes.set_index("variant")
    assert passes["status"].to_dict() == {"v8": "ok", "v16": "invalid", "v24": "bound"}
    assert passes["value"].isna().to_dict() == {"v8": False, "v16": True, "v24": False}
    assert passes.loc["v8", "value"] == 4 * sound
    assert set(passes["unit"]) == {"B"}
    assert set(passes["phase"]) == {"training_step"}
    assert passes.loc["v24", "pass"] == ids[2]


def test_the_parts_of_the_tidy_table_are_all_of_it(both: Results) -> None:
    parts = [both.scores, both.epochs, both.readings, both.facts]
    timed = both.numbers[both.numbers["metric"] == "latency"]
    assert sum(map(len, parts)) + len(timed) == len(both.numbers)
    assert len(timed) == len(both.passes)
    assert set(both.facts["metric"]) == {"params", "macs", "receptive_field"}
    curve = both.epochs[(both.epochs["metric"] == "accuracy") & (both.epochs["seed"] == 0)]
    curve = curve[(curve["suite"] == "s7") & (curve["split"] == "validation")]
    assert curve[curve["match"] == "params"]["value"].tolist() == [
        EQUAL[0] - 8 * n for n in (3, 2, 1, 0)
    ]


def test_a_line_of_another_column_is_refused() -> None:
    with pytest.raises(KeyError, match="trials has no column colour"):
        frames.frame("trials", [{"colour": 1}])


def test_data_frames_of_nothing_have_their_types() -> None:
    assert str(frames.frame("trials", [])["seed"].dtype) == "Int64"


# --- what shows itself ----------------------------------------------------------------------------


def test_everything_with_an_id_shows_itself(both: Results) -> None:
    assert both.suites == ("s7", "s8")
    kinds = {id: type(both[id]) for id in both}
    assert kinds["s7/depthwise"] is kinds["s8/depthwise"] is kinds["other"] is Comparison
    assert kinds["tbl-s7-depthwise"] is kinds["tbl-s8-other-runs"] is Table
    assert kinds["fig-s7-depthwise-forest"] is kinds["fig-s8-other-curves"] is Figure
    assert list(both.ids) == both._ipython_key_completions_() == list(both)
    assert len(both) == len(kinds)


def test_a_comparison_shows_its_table_and_forest_plot(s7: Results) -> None:
    found = s7["depthwise"]
    assert isinstance(found, Comparison)
    html = found._repr_html_()
    assert html.count("<table") == html.count("<svg") == 1
    assert 'id="tbl-s7-depthwise"' in html
    assert 'id="fig-s7-depthwise-forest"' in html
    assert found.answer[0].startswith("Depthwise in place of normal: accuracy 3.6 points lower")
    assert "accuracy 3.6 points lower" in html  # 58.66 against 62.3
    assert found.rows["mean"].tolist() == s7.comparisons["mean"].tolist()
    assert len(found.trials) == 15
    assert set(found.verdicts["note"]) == {"A:113", "B:72"}
    assert repr(found).splitlines()[0] == "s7/depthwise: Normal or depthwise separable?"


def test_a_table_has_the_numbers_of_its_csv(s7: Results, tmp_path: Path) -> None:
    for id in s7:
        table = s7[id]
        if isinstance(table, Table):
            path = tmp_path / "table.csv"
            path.write_text(table.table.csv, encoding="utf-8")
            again = pandas.read_csv(path)
            assert list(table.frame.columns) == list(again.columns)
            numbers = again.select_dtypes("number").columns
            for name in numbers:
                ours = table.frame[name].astype(float).to_numpy()
                np.testing.assert_allclose(ours, again[name].to_numpy(float), rtol=1e-9)
            assert table.id in table._repr_html_()
            assert table.table.fingerprint in table.caption
            assert repr(table).startswith("|")


def test_a_figure_is_the_one_of_the_page(s7: Results, runs: Path, tmp_path: Path) -> None:
    from ablate import study
    from ablate.report.render import render

    found = s7["fig-s7-depthwise-forest"]
    assert isinstance(found, Figure)
    asked = study.newest(runs, "s7")
    assert asked is not None
    page = render(runs, asked, tmp_path)
    assert str(found.drawn.pictures[0]) in page.read_text(encoding="utf-8")
    for kind in ("svg", "pdf", "png"):
        ours = found.save(tmp_path / f"ours.{kind}").read_bytes()
        assert ours == page.with_name(f"{found.id}.{kind}").read_bytes()
    with pytest.raises(NothingFound, match=r"no file of the kind '.gif'; there are: svg, pdf, png"):
        found.save(tmp_path / "ours.gif")
    assert repr(found).startswith("fig-s7-depthwise-forest: Figure s7.1. Accuracy: difference")


def test_a_figure_of_missing_trials_has_no_files(both: Results, tmp_path: Path) -> None:
    found = both["fig-s8-depthwise-forest"]
    assert isinstance(found, Figure)
    assert "<svg" in found._repr_html_()
    with pytest.raises(NothingFound, match="there is none yet: trials of it are missing"):
        found.save(tmp_path / "forest.svg")


def test_what_is_shown_asks_for_nothing_and_is_escaped(both: Results) -> None:
    for shown in (both, *(both[id] for id in both)):
        html = shown._repr_html_()
        assert "<script" not in html
        assert "<a " not in html  # a link of the page would lead nowhere
        assert "@import" not in html
        assert "url(http" not in html
    assert "&lt;script&gt;" in both["s8/depthwise"]._repr_html_()


def test_a_style_stays_in_its_place(s7: Results) -> None:
    """Every rule is of the element that wraps what is shown, so the notebook keeps its looks."""
    html = s7._repr_html_()
    style = html[html.index("<style>") + 7 : html.index("</style>")]
    selectors = [
        one.strip() for rule in style.split("}")[:-1] for one in rule.partition("{")[0].split(",")
    ]
    assert selectors
    assert [one for one in selectors if not one.startswith(".ablate")] == []
    assert "prefers-color-scheme" not in style  # which the notebook need not follow


def test_what_drawings_leave_to_the_style_sheet_is_the_same_as_on_pages() -> None:
    folder = Path(ablate.__file__).parent / "report" / "templates"
    rules = [
        line
        for line in (folder / "style.css").read_text(encoding="utf-8").splitlines()
        if line.startswith(("figure svg {", "figure svg text {"))
    ]
    assert rules
    ours = (folder / "notebook.css").read_text(encoding="utf-8").splitlines()
    assert [rule for rule in rules if f".ablate {rule}" not in ours] == []


def test_the_whole_shows_answers_and_verdicts(both: Results) -> None:
    html = both._repr_html_()
    assert html.count("earn their cost?") == 2
    assert "2 claims and their verdicts" in html
    assert "8 times less parameters" in html
    text = repr(both)
    assert text.startswith("s7: EVA4 Session 7: advanced convolutions\n")
    assert "depthwise: Depthwise in place of normal: accuracy" in text


# --- what is not there ----------------------------------------------------------------------------


def test_no_studies_is_one_clear_message(tmp_path: Path) -> None:
    with pytest.raises(NothingFound) as error:
        ablate.load("s7", runs=str(tmp_path / "runs"))
    assert str(error.value) == (
        f"there are no studies under {tmp_path / 'runs'}; `ablate run` makes them, and "
        'load(…, runs="FOLDER") reads those of another folder'
    )


def test_an_unknown_suite_or_id_names_what_there_is(runs: Path, s7: Results) -> None:
    with pytest.raises(NothingFound) as error:
        ablate.load("sixteen", runs=str(runs))
    assert str(error.value) == f"there is no study of 'sixteen' under {runs}; there are: s7, s8"
    with pytest.raises(NothingFound) as error:
        s7["fig-s7-depthwise-forrest"]
    assert str(error.value) == (
        "there is no 'fig-s7-depthwise-forrest' in s7; did you mean 'fig-s7-depthwise-forest'?"
    )
    assert "depthwise" in s7.ids
    assert dict.fromkeys(s7.ids).get("nothing") is None


# --- what it takes --------------------------------------------------------------------------------


def test_it_costs_little(runs: Path) -> None:
    code = (
        "import sys, ablate\n"
        "heavy = {'torch', 'pandas', 'numpy', 'matplotlib', 'pydantic', 'jinja2'}\n"
        "print(sorted(heavy & sys.modules.keys()))\n"
        f"found = ablate.load('s7', runs={str(runs)!r})\n"
        "print(sorted({'torch', 'pandas', 'matplotlib'} & sys.modules.keys()))\n"
        "found['depthwise']._repr_html_(), found.trials, found.passes, found.numbers\n"
        "print(sorted({'torch', 'IPython'} & sys.modules.keys()))\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout.splitlines(), done.stderr) == (["[]"] * 3, "")
