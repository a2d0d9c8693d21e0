"""What is saved for the same result: planted savings, coverage, closed forms, and a real run."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats
from small_runs import draw
from test_evidence import Lab
from tiny import changed, loaded, write

from ablate import commands
from ablate import study as studies
from ablate.evidence import answer, curve, saving, verdicts, welch
from ablate.evidence.collect import collect
from ablate.evidence.decide import decided_at
from ablate.evidence.frame import frame
from ablate.report.render import render
from ablate.study import AtBudget, Study
from ablate.suite import plan as planning
from ablate.suite.planned import Plan
from ablate.suite.preflight import check
from ablate.suite.request import Request
from ablate.suite.source import SuiteError

pytestmark = pytest.mark.usefixtures("no_plugins", "one_thread")

Draws = list[tuple[float, list[float]]]


def drawn(
    rng: np.random.Generator,
    logs: Sequence[float],
    n: int,
    truth: Sequence[float],
    spreads: Sequence[float],
) -> Draws:
    """Return runs of a true curve, its coefficients from the power 0 on, at these budgets."""
    return [
        (log, (np.polyval(truth[::-1], log) + spread * rng.standard_normal(n)).tolist())
        for log, spread in zip(logs, spreads, strict=True)
    ]


# --- the curve ------------------------------------------------------------------------------------


def test_exact_lines_meet_where_algebra_says() -> None:
    # 60 + 3 x reaches 58.5 at x = -1/2: what is saved is exp(1/2).
    near = 1e-9
    points = [(x, [60 + 3 * x - near, 60 + 3 * x + near]) for x in (-1.0, 0.0, 1.0)]
    fitted = curve.fit(points)
    assert fitted is not None
    assert fitted.at(0.3) == pytest.approx(60.9)
    found = curve.meeting(curve.above(fitted, [58.5 - near, 58.5 + near]))
    assert (found.value, found.beyond) == (pytest.approx(0.5), "")
    other = curve.fit([(x, [59 + 5 * x - near, 59 + 5 * x + near]) for x in (-1.0, 0.0, 1.0)])
    assert other is not None
    gap = curve.between(fitted, other)
    assert gap is not None
    crossed = curve.crossing(gap)  # 60 + 3 x = 59 + 5 x at x = 1/2
    assert crossed.roots == (pytest.approx(math.exp(0.5)),)
    assert (crossed.ahead, crossed.is_known) == ((True, False), True)


def test_the_interval_of_a_line_is_fiellers() -> None:
    rng = np.random.default_rng(1)
    logs = (-0.7, 0.0, 0.4)
    points = drawn(rng, logs, 6, (60, 4), (0.5, 0.5, 0.5))
    base = (59.0 + 0.5 * rng.standard_normal(12)).tolist()
    fitted = curve.fit(points)
    assert fitted is not None
    found = curve.meeting(curve.above(fitted, base))
    # Written out: a weighted line, the variances of its coefficients from those of the means, and
    # the quadratic (a + b x)^2 = t^2 (Va + 2 x Vab + x^2 Vb).
    design = np.array([[1, log] for log in logs])
    means = np.array([np.mean(values) for _, values in points])
    variances = np.array([np.var(values, ddof=1) / 6 for _, values in points])
    smoother = np.linalg.inv(design.T @ design) @ design.T
    a, b = smoother @ means - [np.mean(base), 0]
    covariance = smoother @ np.diag(variances) @ smoother.T
    covariance[0, 0] += np.var(base, ddof=1) / 12
    x = -a / b
    parts = np.append((smoother.T @ [1, x]) ** 2 * variances, np.var(base, ddof=1) / 12)
    freedom = parts.sum() ** 2 / (parts**2 / [5, 5, 5, 11]).sum()
    t = stats.t.ppf(0.975, freedom)
    ends = np.roots(
        [
            b**2 - t**2 * covariance[1, 1],
            2 * (a * b - t**2 * covariance[0, 1]),
            a**2 - t**2 * covariance[0, 0],
        ]
    )
    assert found.value == pytest.approx(-x, rel=1e-9)
    assert found.freedom == pytest.approx(freedom, rel=1e-9)
    assert found.bounds() == pytest.approx(sorted(-ends), rel=1e-9)
    # The other way round it is the same, mirrored.
    low, high = found.bounds()
    assert found.turned().bounds() == pytest.approx((-high, -low))
    assert found.turned().turned().bounds() == (low, high)


def test_a_parabola_is_that_of_least_squares() -> None:
    rng = np.random.default_rng(2)
    logs = (-1.2, -0.6, 0.0, 0.3, 0.6)
    counts = (3, 4, 9, 5, 6)
    points = [
        (log, rng.normal(60 + log, 1, n).tolist()) for log, n in zip(logs, counts, strict=True)
    ]
    fitted = curve.fit(points)
    assert fitted is not None
    runs = [(log, value) for log, values in points for value in values]
    over = np.polyfit([log for log, _ in runs], [value for _, value in runs], 2)
    assert fitted.gap.coefficients[::-1] == pytest.approx(over)
    # The classical test of lack of fit: residuals against the spread within budgets.
    within = sum(((np.array(v) - np.mean(v)) ** 2).sum() for _, v in points)
    total = sum((value - np.polyval(over, log)) ** 2 for log, value in runs)
    ratio = (total - within) / 2 / (within / (sum(counts) - 5))
    assert fitted.lack_of_fit == pytest.approx(stats.f.sf(ratio, 2, sum(counts) - 5))


@pytest.mark.parametrize(
    ("n", "widths", "unequal"),
    [(3, 3, False), (3, 5, True), (5, 4, False), (5, 5, True), (10, 4, True), (10, 5, False)],
)
def test_intervals_hold_the_truth_as_often_as_they_say(n: int, widths: int, unequal: bool) -> None:
    rng = np.random.default_rng(n + 100 * unequal + 1000 * widths)
    logs = np.log({3: [0.5, 1, 1.4], 4: [0.5, 0.7, 1, 1.4], 5: [0.15, 0.5, 0.7, 1, 1.4]}[widths])
    truth = (60, 3, 0 if widths == 3 else -0.5)
    wanted = -0.3  # the logarithm at which the curve has the reference's accuracy
    level = np.polyval(truth[::-1], wanted)
    spreads = [0.5 * (1 + (unequal and at % 2)) for at in range(len(logs))]
    draws = 2000
    held = false = 0
    for _ in range(draws):
        fitted = curve.fit(drawn(rng, logs, n, truth, spreads))
        assert fitted is not None
        base = (level + 0.5 * rng.standard_normal(2 * n)).tolist()
        low, high = curve.meeting(curve.above(fitted, base)).bounds()
        held += low <= -wanted <= high
        false += fitted.lack_of_fit < 0.05
    assert 0.94 <= held / draws <= 0.97
    assert unequal or 0.03 <= false / draws <= 0.07


def test_the_crossing_is_held_as_often() -> None:
    rng = np.random.default_rng(3)
    logs = np.log([0.5, 0.7, 1, 1.4])
    held = 0
    for _ in range(1500):
        # 60 + 4 x and 60.3 + x cross at x = 0.1.
        ours = curve.fit(drawn(rng, logs, 5, (60, 4, 0), [0.3] * 4))
        theirs = curve.fit(drawn(rng, logs, 5, (60.3, 1, 0), [0.3] * 4))
        assert ours is not None
        assert theirs is not None
        gap = curve.between(ours, theirs)
        assert gap is not None
        found = curve.crossing(gap)
        low, high = found.low or 0.0, found.high or math.inf
        held += not found.is_known if not found.roots else low <= math.exp(0.1) <= high
    assert 0.935 <= held / 1500 <= 0.98


def test_nothing_is_extrapolated() -> None:
    rng = np.random.default_rng(4)
    logs = np.log([0.5, 0.7, 1, 1.4])
    fitted = curve.fit(drawn(rng, logs, 5, (60, 3, 0), [0.2] * 4))
    assert fitted is not None
    above = curve.meeting(curve.above(fitted, [55.0, 55.1, 54.9]))
    assert above.beyond == "more"  # the narrowest is above 55 already
    assert above.bounds() == (pytest.approx(math.log(2)), math.inf)
    below = curve.meeting(curve.above(fitted, [65.0, 65.1, 64.9]))
    assert below.beyond == "less"
    assert below.bounds() == (-math.inf, pytest.approx(-math.log(1.4)))
    # 62: near the level of the widest, so that the interval is open on its side alone.
    near = curve.meeting(curve.above(fitted, [60.7, 61.3, 61.0, 60.4, 61.6]))
    low, high = near.bounds()
    assert low == -math.inf
    assert -math.log(1.4) < high < math.inf


def test_too_few_widths_or_no_spread_give_no_curve() -> None:
    assert curve.fit([(0.0, [1.0, 2.0]), (1.0, [1.0, 2.0])]) is None
    assert curve.fit([(0.0, [1.0, 2.0]), (1.0, [1.0, 2.0]), (2.0, [3.0])]) is None
    assert curve.fit([(0.0, [1.0, 2.0]), (1.0, [1.0, 2.0]), (1.0, [3.0, 2.0])]) is None
    assert curve.fit([(x, [60.0, 60.0]) for x in (0.0, 1.0, 2.0)]) is None


def test_the_rate_at_which_a_saving_is_decided_is_that_of_its_interval() -> None:
    rng = np.random.default_rng(5)
    fitted = curve.fit(drawn(rng, np.log([0.3, 0.5, 0.7, 1.0]), 5, (60, 3, 0), [0.3] * 4))
    assert fitted is not None
    found = curve.meeting(curve.above(fitted, (58.4 + 0.3 * rng.standard_normal(5)).tolist()))
    low, high = found.bounds(0.99)

    def beyond(least: float, most: float) -> verdicts.Decision:
        return verdicts.Decision("supported" if least > low else "inconclusive")

    assert decided_at(found, beyond) == pytest.approx(0.01, rel=1e-6)
    assert high > found.value > low


# --- evidence, and what is said of it -------------------------------------------------------------

BUDGETS = (0.5, 0.7, 1.0, 1.4)


def planted(
    runs: Path,
    n: int = 10,
    *,
    shift: float = 2.4,
    slope: float = 3.0,
    claims: Sequence[dict[str, Any]] = (),
    bump: float = 0.0,
    unmeasured: int = 0,
    seconds: bool = False,
) -> Study:
    """Write a study: normal networks have 70 + 3 log(budget) %, others a curve of their own."""
    rng = np.random.default_rng(6)
    lab = Lab(runs)

    def values(variant: str, params: float) -> list[float | str | None]:
        log = math.log(params / 100_000)
        mean = 70 + (3 * log if variant == "normal" else slope * log + shift)
        mean += bump if params == 70_000 and variant == "depthwise" else 0
        found: list[float | str | None] = (mean + 0.3 * rng.standard_normal(n)).tolist()
        return found

    def point(variant: str, factor: float, reference: str | None) -> AtBudget:
        params = 100_000 * factor
        network = {"width": 16.0 * factor**0.5, "conv": variant}
        found: list[float | str | None] = values(variant, params)
        if factor < 1 and unmeasured:
            found[unmeasured:] = [None] * (n - unmeasured)
        row = lab.row(variant, found, match=("params",), params=params, network=network)
        fields = row.model_dump() | {"reference": reference, "factor": factor}
        return AtBudget(**fields)

    def timed() -> dict[str, list[str]]:
        """Depthwise networks of a width take twice as long as normal ones."""
        networks = [row.config["network"] for row in (*rows, *points)]
        each = [0.001 * net["width"] * (1 + (net["conv"] == "depthwise")) for net in networks]
        noise = [1 + 0.001 * rng.standard_normal((6, len(each) + 1)) for _ in range(3)]
        times = [{2: np.array([*each, each[0]]) * one} for one in noise]
        return {saving.TIMES: lab.time(networks, *times)["latency"]}

    points = [point("normal", factor, None) for factor in BUDGETS]
    points += [point("depthwise", factor, "normal") for factor in BUDGETS]
    small = {"width": 16.0 * 0.15**0.5, "conv": "depthwise"}
    rows = [
        lab.row("normal", values("normal", 100_001), params=100_001, network={"conv": "normal"}),
        lab.row("depthwise", values("depthwise", 15_000), params=15_000, network=small),
    ]
    lab.compare(
        *rows,
        budgets=points,
        claims=list(claims),
        passes=timed() if seconds else {},
    )
    return lab.ask()


def of(runs: Path, study: Study) -> Any:
    return collect(runs, study).comparisons[0]


def test_a_planted_saving_is_recovered(tmp_path: Path) -> None:
    found = of(tmp_path, planted(tmp_path))
    params, macs = saving.savings(found)
    assert (params.variant, params.reference) == ("depthwise", "normal")
    assert params.drop_in == pytest.approx(100_001 / 15_000)
    # 70 + 3 x + 2.4 reaches 70 at x = -0.8: 2.2 times fewer.
    low, high = params.bounds()
    assert params.value == pytest.approx(math.exp(0.8), rel=0.06)
    assert low is not None
    assert high is not None
    assert low < math.exp(0.8) < high < 1.2 * math.exp(0.8)
    assert low > 0.8 * math.exp(0.8)
    # MACs are 150 times the parameters of these networks, so they are saved alike.
    assert macs.value == pytest.approx(params.value, rel=1e-6)
    assert (len(params.points), len(params.theirs)) == (5, 5)
    assert params.misfits == []


def test_time_is_saved_as_networks_as_trained_were_timed(tmp_path: Path) -> None:
    claim = {"note": "A:1", "says": "so", "kind": "ratio", "metric": "latency", "at": {"batch": 2},
             "of": "depthwise/normal", "about": 1.34, "band": 0.2, "match": "result"}  # fmt: skip
    study = planted(tmp_path, seconds=True, claims=[claim])
    evidence = collect(tmp_path, study)
    *_, one = saving.savings(evidence.comparisons[0])
    assert one.cost.name == "latency at batch 2"
    # Half the logarithm of the budget is that of the width and the time: 2 exp(-0.4) = 1.34.
    assert one.value == pytest.approx(math.exp(0.4) / 2, rel=0.04)
    (said,) = saving.findings(evidence.comparisons[0])
    assert "1.29 times less time a call (batch 2) as a drop-in, 1.3" in said
    assert "] times the time a call (batch 2) for the same accuracy. " in said
    (verdict,) = verdicts.judge(evidence)
    assert verdict.word == "supported", verdict.sentence
    assert "the time a call (batch 2) of depthwise is 1.3" in verdict.sentence


def test_the_sentence_is_one_for_all(tmp_path: Path) -> None:
    study = planted(tmp_path)
    evidence = collect(tmp_path, study)
    (said,) = saving.findings(evidence.comparisons[0])
    one = saving.savings(evidence.comparisons[0])[0]
    low, high = one.bounds()
    part = f"{one.value:.1f} [{low:.1f}, {high:.1f}] times fewer for the same accuracy"
    assert said == (
        f"Depthwise in place of normal: 6.7 times fewer parameters as a drop-in, {part}; 6.7 times "
        f"fewer MACs as a drop-in, {part}. From 0.50 to 1.40 times the parameters of normal the "
        "curves do not cross: depthwise is ahead."
    )
    assert said in answer.lines(evidence)
    assert f"  {said}" in verdicts.report_lines(evidence, verdicts.judge(evidence))
    page = render(tmp_path, study, tmp_path / "reports").read_text(encoding="utf-8")
    assert said in page.replace("\N{NO-BREAK SPACE}", " ")


def test_a_planted_crossing_is_recovered(tmp_path: Path) -> None:
    # 70 + 3 x and 70 + 8 x cross at the reference's own budget.
    (one, _) = saving.savings(of(tmp_path, planted(tmp_path, shift=0.0, slope=8.0)))
    crossed = one.crossing
    assert crossed is not None
    assert (crossed.start, crossed.end) == pytest.approx((0.5, 1.4), rel=1e-4)
    assert crossed.roots == (pytest.approx(1, abs=0.1),)
    assert crossed.low is not None
    assert crossed.high is not None
    assert 0.8 < crossed.low < 1 < crossed.high < 1.2
    assert crossed.ahead == (False, True)
    assert saving.crossing_words(one) == (
        f"The curves cross at {_spelt(crossed.roots[0])} [{_spelt(crossed.low)}, "
        f"{_spelt(crossed.high)}] times the parameters of normal: above that, depthwise is ahead."
    )
    # Twice the same curve: nothing is told of it.
    (same, _) = saving.savings(of(tmp_path / "same", planted(tmp_path / "same", shift=0.0)))
    assert same.value == pytest.approx(1, abs=0.1)
    assert saving.crossing_words(same).count("cannot be told") == 1


def _spelt(ratio: float) -> str:
    return f"{ratio:.2f}" if ratio < 1.995 else f"{ratio:.1f}"


def test_what_lies_beyond_the_widths_is_a_bound(tmp_path: Path) -> None:
    far = of(tmp_path / "far", planted(tmp_path / "far", shift=9.0))
    one = saving.savings(far)[0]
    assert one.value is None
    assert one.bounds() == (pytest.approx(100_001 / 15_000), None)
    (said,) = saving.findings(far)
    assert "at least 6.7 times fewer for the same accuracy" not in said  # the why comes between
    assert "at least 6.7 times fewer (the narrowest is above it) for the same accuracy" in said
    worse = of(tmp_path / "worse", planted(tmp_path / "worse", shift=-4.0))
    (said,) = saving.findings(worse)
    assert "at least 1.40 times the parameters (the widest does not reach it)" in said
    assert "normal is ahead" in said


def test_a_curve_that_does_not_fit_says_nothing(tmp_path: Path) -> None:
    claim = {"note": "A:1", "says": "x", "kind": "ratio", "metric": "params",
             "of": "normal/depthwise", "about": 2.2, "match": "result"}  # fmt: skip
    study = planted(tmp_path, bump=3.0, claims=[claim])
    evidence = collect(tmp_path, study)
    (said,) = saving.findings(evidence.comparisons[0])
    assert "The curve over parameters of depthwise does not fit (p " in said
    (verdict,) = verdicts.judge(evidence)
    assert verdict.word == "invalid"
    assert "the curve over parameters of depthwise does not fit" in verdict.sentence


def test_what_is_still_to_come_is_said(tmp_path: Path) -> None:
    found = of(tmp_path, planted(tmp_path, unmeasured=1))
    (said,) = saving.findings(found)
    # The drop-in and the widths at 1 and 1.4 have their seeds: a line goes through three.
    assert saving.savings(found)[0].curve is not None
    nothing = of(tmp_path / "x", planted(tmp_path / "x", n=1))
    (said,) = saving.findings(nothing)
    assert "for the same accuracy not known yet, normal has fewer than two seeds yet." in said


@pytest.mark.parametrize(
    ("claim", "word"),
    [
        ({"of": "normal/depthwise", "about": 2.2, "band": 0.3}, "supported"),
        ({"of": "normal/depthwise", "about": 8}, "refuted"),
        ({"of": "normal/depthwise", "at_least": 1.5}, "supported"),
        ({"of": "depthwise/normal", "at_most": 0.6}, "supported"),
        ({"of": "depthwise/normal", "at_most": 0.6, "metric": "macs"}, "supported"),
        ({"of": "normal/depthwise", "about": 2.2, "band": 0.01}, "inconclusive"),
        ({"of": "normal/depthwise", "about": 2, "metric": "latency"}, "not tested"),
    ],
)
def test_a_claim_is_judged_on_the_interval_of_the_saving(
    claim: dict[str, Any], word: str, tmp_path: Path
) -> None:
    asked = {"note": "A:1", "says": "so", "kind": "ratio", "metric": "params", "match": "result"}
    study = planted(tmp_path, claims=[asked | claim])
    (verdict,) = verdicts.judge(collect(tmp_path, study))
    assert verdict.word == word
    if word == "supported":
        assert "for the same result: the number of " in verdict.sentence
        (part,) = verdict.parts
        assert part.low is not None
        assert part.high is not None
        assert part.low < (part.estimate or 0) < part.high


def test_a_bound_alone_may_decide_a_claim(tmp_path: Path) -> None:
    claim = {"note": "A:1", "says": "so", "kind": "ratio", "metric": "params",
             "of": "normal/depthwise", "at_least": 3, "match": "result"}  # fmt: skip
    study = planted(tmp_path, shift=9.0, claims=[claim])
    (verdict,) = verdicts.judge(collect(tmp_path, study))
    assert verdict.word == "supported"
    assert "the number of parameters of normal is at least 6.67 times that of" in verdict.sentence
    json.loads(json.dumps(verdict.as_json(), allow_nan=False))


def test_seeds_that_bound_nothing_foretell_none(tmp_path: Path) -> None:
    # A curve that hardly rises meets a level nearly anywhere.
    claim = {"note": "A:1", "says": "so", "kind": "ratio", "metric": "params",
             "of": "normal/depthwise", "about": 8, "match": "result"}  # fmt: skip
    study = planted(tmp_path, n=3, shift=0.1, slope=0.4, claims=[claim])
    (verdict,) = verdicts.judge(collect(tmp_path, study))
    assert verdict.word == "inconclusive"
    (part,) = verdict.parts
    assert part.seeds is None
    assert "it takes more seeds to say how many would decide" in verdict.sentence


def test_tables_of_rows_are_untouched(tmp_path: Path) -> None:
    study = planted(tmp_path)
    plain = study.model_copy(
        update={"comparisons": [study.comparisons[0].model_copy(update={"budgets": []})]}
    )
    both = [collect(tmp_path, one) for one in (study, plain)]
    assert [len(one.comparisons[0].rows) for one in both] == [2, 2]
    numbers = [frame(one) for one in both]
    rows = numbers[0][~numbers[0]["match"].str.contains("=")].reset_index(drop=True)
    assert rows.equals(numbers[1])
    at_half = numbers[0].query("match == 'params=0.5' and metric == 'accuracy'")
    assert at_half.groupby("variant")["seed"].nunique().to_dict() == {"depthwise": 10, "normal": 10}


def test_a_study_of_before_has_no_budgets(tmp_path: Path) -> None:
    study = planted(tmp_path)
    path = studies.folder(tmp_path, study.id) / "study.json"
    stored = json.loads(path.read_text())
    for comparison in stored["comparisons"]:
        del comparison["budgets"]
    path.write_text(json.dumps(stored))
    old = studies.load(tmp_path, study.id)
    assert saving.findings(collect(tmp_path, old).comparisons[0]) == ()


# --- suites ---------------------------------------------------------------------------------------


def planned(text: str, **request: Any) -> Plan:
    found = loaded(text, **request)
    return planning.make(found, check(found), Path("runs"), "cpu")


WIDE = ("[[4], [8]]", "[[16], [32]]")


@pytest.mark.usefixtures("here")
def test_every_variant_is_planned_at_every_budget() -> None:
    plain = planned(changed(WIDE))
    plan = planned(changed(WIDE, add="    budgets: [0.5, 0.7, 1, 1.4]\n"))
    asked = plan.study.comparisons[0]
    assert asked.rows == plain.study.comparisons[0].rows
    found = {(point.variant, point.factor): point for point in asked.budgets}
    assert list(found) == [(v, f) for v in ("normal", "dilated") for f in (0.5, 0.7, 1, 1.4)]
    target = plan.facts[asked.rows[0].full_facts].metrics["params"].value
    assert target is not None
    for (_, factor), point in found.items():
        params = plan.facts[point.facts].metrics["params"].value
        assert params == pytest.approx(factor * target, rel=0.05)
        assert abs(point.residual or 0) <= 0.05
    # What the rows train anyway is trained once: a dilated layer has as many parameters.
    assert found["normal", 1].trials == asked.rows[0].trials
    assert found["dilated", 1].trials == asked.rows[1].trials
    assert len(plan.trials) == len(plain.trials) + 2 * 6
    assert {t.id for t in plain.trials} < {t.id for t in plan.trials}
    assert "conv/dilated (0.5x params) seed 1" in [t.name for t in plan.trials]


@pytest.mark.usefixtures("here")
def test_budgets_are_of_a_profile_or_of_macs() -> None:
    own = "    profiles: {p: {budgets: {macs: [0.5, 1, 2]}}, q: {budgets: []}}\n"
    text = changed(WIDE, add=f"    budgets: [0.5, 1, 2]\n{own}profiles: {{p: {{}}, q: {{}}}}\n")
    asked = {name: planned(text, profile=name).study.comparisons[0] for name in ("full", "p", "q")}
    assert {name: [point.match for point in one.budgets] for name, one in asked.items()} == {
        "full": [["params"]] * 6,
        "p": [["macs"]] * 6,
        "q": [],
    }


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("[0.5, 1]", "two budgets give no curve; give three or more, or [] for none"),
        ("[1]", "one budget gives no curve; give three or more, or [] for none"),
        ("[0.5, 1, 1.0]", "1 is given twice; give each budget once"),
        ("[0.5, 0, 1]", "0 is no budget; a budget is a multiple of the baseline's, above 0"),
        ("[0.5, x, 1]", "'x' is no budget; a budget is a multiple of the baseline's, above 0"),
        ("{mac: [0.5, 1, 2]}", "unknown budget 'mac'; did you mean 'macs'?"),
        ("{macs: 2}", "2 is no list of budgets; write for example [0.5, 0.7, 1, 1.4] or "
                      "{macs: [0.5, 1, 2]}"),
        ("0.5", "budgets are multiples of the baseline's; write for example [0.5, 0.7, 1, 1.4] or "
                "{macs: [0.5, 1, 2]}"),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("here")
def test_wrong_budgets_are_told(written: str, said: str) -> None:
    found = loaded(changed(WIDE, add=f"    budgets: {written}\n"))
    assert [problem.message for problem in found.problems] == [said]
    with pytest.raises(SuiteError) as raised:
        check(found)
    assert "tiny.yaml:17:" in str(raised.value)


@pytest.mark.usefixtures("here")
def test_a_budget_that_no_width_has_names_the_nearest() -> None:
    with pytest.raises(SuiteError) as raised:
        planned(changed(add="    budgets: [0.02, 1, 2]\n"))
    (problem, *_) = raised.value.problems
    assert problem.message == (
        "conv/normal at 0.02 times the params: even at width 0.001 it has 44 params, more than 9; "
        "change this budget or leave it out"
    )
    with pytest.raises(SuiteError) as raised:
        planned(changed(("[[4], [8]]", "[[4]]"), add="    budgets: [0.7, 1, 2]\n"))
    told = [problem.message for problem in raised.value.problems]
    assert told[0] == (
        "conv/normal at 0.7 times the params: no width brings it within 5.0% of 88 params; the "
        "nearest: 64 (width 2) and 95 (width 2.5); change this budget or leave it out"
    )


def claimed(claim: str) -> str:
    head = "    claims:\n      - {note: 'A:1', says: so, "
    return f"{head}{claim}}}\n"


@pytest.mark.parametrize(
    ("claim", "budgets", "said"),
    [
        (
            "kind: ratio, metric: params, of: normal/dilated, about: 2, match: result",
            "",
            "what is saved for the same result takes networks of several widths; add them to the "
            "comparison, for example budgets: [0.5, 0.7, 1, 1.4]",
        ),
        (
            "kind: order, metric: params, expect: dilated < normal, margin: 0, match: result",
            "    budgets: [0.5, 1, 2]\n",
            "what is saved for the same result is a ratio; claim one, or leave `match: result`",
        ),
        (
            "kind: ratio, metric: accuracy, of: normal/dilated, about: 2, match: result",
            "    budgets: [0.5, 1, 2]\n",
            "'accuracy' is not saved; write params, macs or latency",
        ),
    ],
)
@pytest.mark.usefixtures("here")
def test_a_claim_on_a_saving_must_make_sense(claim: str, budgets: str, said: str) -> None:
    found = loaded(changed(WIDE, add=f"{budgets}{claimed(claim)}"))
    assert [problem.message for problem in found.problems] == [said]


# --- a real run -----------------------------------------------------------------------------------


def test_a_real_run_says_what_is_saved(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    draw(here / "own", train=24, test=24, contrast=40)
    write(
        changed(
            WIDE,
            ("path: images", "path: own"),
            ("seeds: 2", "seeds: 3"),
            ("dilated: {network.conv: dilated}", "depthwise: {network.conv: depthwise_separable}"),
            ("batch_size: 4", "batch_size: 16"),
            add="    budgets: [0.5, 1, 2]\n",
        )
    )
    runs, reports = here / "runs", here / "reports"
    asked = Request("tiny.yaml")
    assert commands.run(asked, "cpu", runs, reports, "1", "inline", dry_run=False) == 0
    shown = capsys.readouterr()
    study = studies.newest(runs, "tiny")
    assert study is not None
    (said,) = saving.findings(collect(runs, study).comparisons[0])
    assert said.startswith("Depthwise in place of normal: "), said
    assert "not known yet" not in said
    assert said in shown.out.splitlines()
    assert "depthwise at 0.5 times the params, solved network.width " in shown.err
    commands.verdicts("tiny", False, False, runs)
    assert f"  {said}" in capsys.readouterr().out.splitlines()
    commands.verdicts("tiny", True, False, runs)
    told = json.loads(capsys.readouterr().out)["savings"]
    assert [one["cost"] for one in told] == ["params", "macs"]
    assert {one["sentence"] for one in told} == {said}
    page = (reports / "tiny" / "index.html").read_text(encoding="utf-8")
    assert said in page.replace("\N{NO-BREAK SPACE}", " ")
    for id in ("tbl-tiny-conv-saving", "tbl-tiny-conv-budgets", "fig-tiny-conv-saving"):
        assert f'id="{id}"' in page
    for name in (
        "tbl-tiny-conv-saving.csv",
        "tbl-tiny-conv-budgets.tex",
        "fig-tiny-conv-saving.pdf",
    ):
        assert (reports / "tiny" / name).stat().st_size > 100
    # Nothing is trained again.
    assert commands.run(asked, "cpu", runs, reports, "1", "inline", dry_run=False) == 0
    assert "0 trained, " in capsys.readouterr().out


def test_the_widths_of_a_curve_are_those_of_welch() -> None:
    """A single width's error is that of a mean over its seeds."""
    points = [(x, [60 + x, 61 + x, 63 + x]) for x in (0.0, 1.0, 2.0)]
    fitted = curve.fit(points)
    assert fitted is not None
    errors = np.linalg.pinv(np.array([[1, x] for x, _ in points]))
    spread = welch.deviation([60, 61, 63])
    assert spread is not None
    assert np.abs(fitted.gap.shares) == pytest.approx(np.abs(errors.T) * spread / math.sqrt(3))
