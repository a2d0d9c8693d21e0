"""The baseline against itself, and what the seeds of a plan are too few for."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats
from test_command_line import call
from test_evidence import NORMAL, Lab
from test_verdicts import ORDER, claim, judged
from tiny import changed, loaded, write

from ablate import commands, records
from ablate.evidence import control, decide, welch
from ablate.evidence.answer import answers
from ablate.evidence.collect import collect
from ablate.evidence.decide import Estimate
from ablate.evidence.verdicts import report_lines
from ablate.report.render import render
from ablate.suite import foretell
from ablate.suite import plan as planning
from ablate.suite.claims import Equivalence, Order
from ablate.suite.plan import Plan
from ablate.suite.preflight import check
from ablate.suite.request import Request
from ablate.suite.source import SuiteError

AGAIN = [62.0, 62.6, 61.7, 62.9, 62.1]


def planned(text: str, **request: Any) -> Plan:
    read = loaded(text, **request)
    return planning.make(read, check(read), Path("runs"), "cpu")


# --- what is asked --------------------------------------------------------------------------------

TWO = changed(
    add="""\
  - id: down
    title: Another question about the same baseline
    baseline: plain
    variants: {plain: {}, strided: {network.down: strided}}
    seeds: {each: 2, baseline: 3}
control: 2
profiles:
  without: {comparisons: [conv]}
  more: {control: 3}
"""
)


@pytest.mark.usefixtures("here")
def test_a_control_has_seeds_that_no_row_has_and_a_shared_baseline_one_control() -> None:
    plan = planned(TWO)
    conv, down = plan.study.comparisons
    assert list(conv.control) == [3, 4]  # after the highest of all rows
    assert conv.control == down.control
    assert plan.study.seeds == [0, 1, 2]
    rows = {id for it in plan.study.comparisons for row in it.rows for id in row.trials.values()}
    assert not rows & set(conv.control.values())
    # Each is trained once, after all rows, and is the baseline with another seed.
    last = plan.trials[-2:]
    assert [(t.name, t.id) for t in last] == [
        ("conv/normal (control) seed 3", conv.control[3]),
        ("conv/normal (control) seed 4", conv.control[4]),
    ]
    first = next(t for t in plan.trials if t.id == conv.rows[0].trials[0])
    assert {**first.job["spec"], "seed": 3} == last[0].job["spec"]
    assert records.identity(last[0].job["spec"]) == last[0].id


@pytest.mark.usefixtures("here")
def test_a_control_is_asked_for_by_suite_profile_comparison_or_command_line() -> None:
    assert planned(changed()).study.comparisons[0].control == {}
    assert len(planned(TWO, profile="more").study.comparisons[0].control) == 3
    own = TWO.replace("    seeds: {each: 2, baseline: 3}\n", "    control: 1\n")
    assert [len(it.control) for it in planned(own).study.comparisons] == [2, 1]
    typed = planned(own, control=4)
    assert [len(it.control) for it in typed.study.comparisons] == [4, 4]
    assert typed.study.overrides == ["--control 4"]
    assert planned(own, control=0).study.comparisons[0].control == {}


@pytest.mark.usefixtures("here")
def test_what_was_asked_before_keeps_its_ids() -> None:
    before, after = planned(changed()), planned(changed(add="control: 2\n"))
    ids = [[row.trials for row in plan.study.comparisons[0].rows] for plan in (before, after)]
    assert ids[0] == ids[1]


@pytest.mark.usefixtures("here")
def test_a_run_trains_the_control_and_tells_of_it() -> None:
    write(changed(add="control: 2\n"))
    done = call("run", "tiny.yaml", "--profile", "full", "--jobs", "1")
    assert done.returncode == 0, done.stderr
    assert "control: normal against itself, with seeds 2 to 3, 0/2 done" in done.stderr
    assert "The baseline against itself, normal with other seeds: accuracy" in done.stdout
    assert "6 trained" in done.stdout
    told = json.loads(call("verdicts", "tiny", "--json").stdout)
    (found,) = told["controls"]
    assert (found["comparison"], found["seeds"], found["planned"]) == ("conv", [2, 2], 2)
    again = call("run", "tiny.yaml", "--profile", "full", "--jobs", "1")
    assert "0 trained, 6 there already" in again.stdout


# --- what it shows --------------------------------------------------------------------------------


def lab(runs: Path, again: list[Any], **asked: Any) -> Lab:
    made = Lab(runs)
    other = made.row("normal", again)
    made.compare(
        made.row("normal", NORMAL),
        made.row("depthwise", [58.4, 59.6, 58.0, 59.1]),
        claims=[claim(**ORDER)],
        control={seed + 5: id for seed, id in other.trials.items()},
        **asked,
    )
    return made


def only(made: Lab) -> Any:
    return collect(made.runs, made.ask()).comparisons[0]


def test_a_control_is_welch_s_interval_and_in_no_row(tmp_path: Path) -> None:
    comparison = only(lab(tmp_path, AGAIN))
    found = control.of(comparison)
    assert found is not None
    wanted = stats.ttest_ind(NORMAL, AGAIN, equal_var=False).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((wanted.low, wanted.high), rel=1e-9)
    assert found.difference == pytest.approx(np.mean(NORMAL) - np.mean(AGAIN))
    assert (found.state, found.seeds, found.planned) == ("no difference", (5, 5), 5)
    assert list(comparison.baseline.values.values()) == NORMAL
    # Of a row with 4 seeds against the baseline's 5, at the spread of both groups together.
    pooled = math.sqrt((np.var(NORMAL, ddof=1) + np.var(AGAIN, ddof=1)) / 2)
    assert found.compared == (4, 5)
    assert found.detectable == pytest.approx(
        welch.detectable(pooled, 4, pooled, 5, estimated=True), rel=1e-9
    )


def test_a_control_is_a_sentence_in_terminal_and_page(tmp_path: Path) -> None:
    made = lab(tmp_path, AGAIN)
    evidence = collect(made.runs, made.ask())
    (comparison,) = evidence.comparisons
    said = control.sentence(comparison)
    found = control.of(comparison)
    assert found is not None
    assert found.detectable is not None
    assert said == (
        "The baseline against itself, normal with other seeds: accuracy differs by 0.0 "
        "[−0.6, 0.7] points (5 against 5 seeds): no difference, as it must be; the smallest "
        f"effect that 4 against 5 seeds can see in 8 of 10 cases: {found.detectable:.1f} points."
    )
    assert said in answers(evidence)[0].findings
    assert f"  {said}" in report_lines(evidence, judged(made))
    page = render(made.runs, made.ask(), tmp_path / "reports").read_text(encoding="utf-8")
    assert said in page.replace("\u00a0", " ")  # between a number and its unit


@pytest.mark.parametrize(
    ("shift", "state", "words"),
    [
        (0.3, "no difference", "no difference, as it must be"),
        (0.9, "by chance", "a difference where there is none, as one control in 20 shows"),
        (3.0, "beyond the margin", "warning: a difference beyond the margin of 0.5 points where"),
    ],
)
def test_what_a_control_means(tmp_path: Path, shift: float, state: str, words: str) -> None:
    comparison = only(lab(tmp_path, [value - shift for value in AGAIN]))
    found = control.of(comparison)
    assert found is not None
    assert found.state == state
    assert words in (control.sentence(comparison) or "")


def test_a_control_that_is_not_there_yet_says_so(tmp_path: Path) -> None:
    assert control.of(only(lab(tmp_path / "a", []))) is None
    waiting = control.sentence(only(lab(tmp_path / "b", [None, None]))) or ""
    assert waiting.endswith("accuracy not known yet, 0 of 2 trials done.")
    single = control.sentence(only(lab(tmp_path / "c", [62.0]))) or ""
    assert "(5 against 1 seed): cannot tell, no interval can be had of these." in single


def test_controls_of_one_kind_of_runs_seldom_warn() -> None:
    draws = np.random.default_rng(0).normal(60, 1, (2_000, 2, 5))
    states = [
        control._state(welch.interval(one.tolist(), other.tolist()), 0.0) for one, other in draws
    ]
    assert 0.03 <= states.count("beyond the margin") / 2_000 <= 0.06


# --- what seeds are too few for -------------------------------------------------------------------

CLAIMS = """\
    claims:
      - {note: "B:72", says: "not as strong", kind: order, metric: accuracy,
         expect: dilated < normal, margin: 0.5}
      - {note: "B:31", says: "the same", kind: equivalence, metric: accuracy,
         expect: dilated = normal, margin: 1}
      - {note: "A:1", says: "fewer", kind: order, metric: params,
         expect: dilated < normal, margin: 0}
"""


@pytest.mark.usefixtures("here")
def test_one_seed_gives_no_verdict() -> None:
    plan = planned(changed(("seeds: 2", "seeds: 1"), add=CLAIMS))
    said = (
        "conv: with 1 seed a row no verdict is possible on B:72 and B:31: a verdict needs at "
        "least 2 seeds a row, one to be cited 5"
    )
    assert said in plan.notices
    assert plan.too_few == [said]


@pytest.mark.usefixtures("here")
def test_a_known_spread_tells_which_claims_stay_open() -> None:
    plan = planned(changed(("seeds: 2", "seeds: 3"), add=f"    spread: 0.9\n{CLAIMS}"))
    seen = welch.detectable(0.9, 3, 0.9, 3)
    order = welch.seeds_to_detect(1.0, 0.9, 0.9)
    same = foretell.seeds_wanted(_equivalence(1.0), 1.0, 0.9)
    said = (
        f"conv: with 3 seeds a row, differences below {seen:.2g} points will not be told, where "
        f"runs vary by 0.9 (sd): B:72 (margin 0.5) would need about {order}; B:31 (margin 1) "
        f"would need about {same}"
    )
    assert said in plan.notices
    assert [line for line in plan.notices if line.startswith("conv: where runs vary")] == []
    assert plan.too_few == [
        said,
        "conv: with 3 seeds a row verdicts on B:72 and B:31 are screening: one to be cited needs 5",
    ]
    enough = planned(changed(("seeds: 2", f"seeds: {same}"), add=f"    spread: 0.9\n{CLAIMS}"))
    assert enough.too_few == []


def _equivalence(margin: float) -> Equivalence:
    return Equivalence.model_validate(
        claim(kind="equivalence", metric="accuracy", expect="a = b", margin=margin)
    )


@pytest.mark.parametrize("kind", ["order", "equivalence"])
def test_the_seeds_that_are_foretold_decide_in_eight_of_ten_cases(kind: str) -> None:
    margin, spread = 0.5, 0.9
    order = Order.model_validate(
        claim(kind="order", metric="accuracy", expect="a > b", margin=margin)
    )
    seeds = foretell.seeds_wanted(
        order if kind == "order" else _equivalence(margin), margin, spread
    )
    assert seeds is not None
    true = 2 * margin if kind == "order" else 0.0
    draws = np.random.default_rng(1).normal(0, spread, (1_500, 2, seeds))
    decided = 0
    for ours, theirs in draws:
        found = decide.difference((ours + true).tolist(), theirs.tolist())
        assert isinstance(found, Estimate)
        if kind == "order":
            word = decide.order(*found.bounds(), margin).word
        else:
            word = decide.equivalence(*found.bounds(sides=1), margin).word
        decided += word != "inconclusive"
    assert 0.77 <= decided / 1_500 <= 0.86


@pytest.mark.usefixtures("here")
def test_a_strict_plan_and_run_refuse_what_has_too_few_seeds() -> None:
    write(changed(add=CLAIMS))
    words = (
        "--strict: conv: with 2 seeds a row verdicts on B:72 and B:31 are screening: one to be "
        "cited needs 5"
    )
    done = call("run", "tiny.yaml", "--profile", "full", "--strict")
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert not Path("runs/trials").exists()
    for seeds, is_refused in ((None, True), ("5", False)):
        asked = Request("tiny.yaml", "full", seeds=seeds)
        commands.plan(asked, "cpu", Path("runs"), as_json=True)
        if is_refused:
            with pytest.raises(SuiteError, match="one to be cited needs 5"):
                commands.plan(asked, "cpu", Path("runs"), as_json=True, strict=True)
        else:
            commands.plan(asked, "cpu", Path("runs"), as_json=True, strict=True)
