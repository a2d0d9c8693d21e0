"""Comparisons that a suite declares paired: refused where they cannot be, and what they gain."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats
from test_evidence import Lab
from test_verdicts import ORDER, claim, only
from tiny import changed, checked, loaded
from torch import nn

from ablate.evidence import contrast, decide, paired, stop, welch
from ablate.evidence.answer import answers
from ablate.evidence.collect import collect
from ablate.report.render import render
from ablate.suite import pairing
from ablate.suite import plan as planning
from ablate.suite.preflight import check
from ablate.suite.source import SuiteError

NORMAL = [62.3, 66.9, 59.8, 64.5, 61.0]
LOWER = [61.1, 65.5, 58.9, 63.2, 60.1]  # by about 1, on every seed
LATER = {"kind": "order", "metric": "accuracy", "expect": "dilated < normal", "margin": 0.5}


def gaps() -> list[float]:
    return [ours - theirs for ours, theirs in zip(LOWER, NORMAL, strict=True)]


def two(runs: Path, ours: list[Any], *claims: dict[str, Any], **asked: Any) -> Lab:
    lab = Lab(runs)
    lab.compare(
        lab.row("normal", NORMAL),
        lab.row("dilated", ours),
        claims=[claim(**said) for said in claims],
        **asked,
    )
    return lab


# --- the interval ---------------------------------------------------------------------------------


def test_the_interval_is_that_of_the_differences() -> None:
    found = paired.interval(dict(enumerate(LOWER)), dict(enumerate(NORMAL)))
    assert found is not None
    wanted = stats.ttest_rel(LOWER, NORMAL).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((wanted.low, wanted.high), rel=1e-9)
    assert found.degrees_of_freedom == 4
    assert found.half_width < 0.2 * welch.interval(LOWER, NORMAL).half_width  # type: ignore[union-attr]


def test_seeds_of_one_side_are_left_out() -> None:
    ours, theirs = {0: 1.0, 1: 3.0, 4: 9.0}, {4: 8.0, 0: 2.0, 7: 5.0, 1: 1.0}
    assert paired.common(ours, theirs) == ([1.0, 3.0, 9.0], [2.0, 1.0, 8.0])
    assert paired.gaps(ours, theirs) == [-1.0, 2.0, 1.0]
    assert paired.left_out(ours, theirs) == 1
    assert paired.interval({0: 1.0}, theirs) is None
    assert paired.interval({0: 3.0, 1: 2.0}, {0: 2.0, 1: 1.0}) is None  # they do not vary


def test_a_ratio_of_paired_runs_is_that_of_their_means() -> None:
    found = decide.paired_log_ratio(LOWER, NORMAL)
    assert found is not None
    ours, theirs = np.asarray(LOWER), np.asarray(NORMAL)
    assert found.value == pytest.approx(math.log(ours.mean() / theirs.mean()), rel=1e-9)
    # The delta method as a regression through the covariance of the two means.
    spread = np.cov(ours / ours.mean(), theirs / theirs.mean())
    variance = spread[0, 0] + spread[1, 1] - 2 * spread[0, 1]
    assert found.error == pytest.approx(math.sqrt(variance / 5), rel=1e-9)
    assert found.freedom == 4
    assert decide.paired_log_ratio([1.0, -2.0], [1.0, 2.0]) is None
    assert decide.paired_log_ratio([], []) is None
    with pytest.raises(ValueError, match="argument 2 is longer"):
        decide.paired_log_ratio([1.0], [1.0, 2.0])


@pytest.mark.parametrize("n", [3, 5, 10])
def test_paired_intervals_cover_and_are_narrower_where_runs_go_together(n: int) -> None:
    draws, correlation, true = 2_000, 0.8, 0.7
    noise = np.random.default_rng(n)
    common = noise.normal(0, math.sqrt(correlation), (draws, n))
    own = noise.normal(0, math.sqrt(1 - correlation), (2, draws, n))
    widths, covered = np.zeros((draws, 2)), np.zeros((draws, 2))
    for draw, (ours, theirs) in enumerate(
        zip(common + own[0] + true, common + own[1], strict=True)
    ):
        found = (
            paired.interval(dict(enumerate(ours.tolist())), dict(enumerate(theirs.tolist()))),
            welch.interval(ours.tolist(), theirs.tolist()),
        )
        for kind, one in enumerate(found):
            assert one is not None
            widths[draw, kind] = one.half_width
            covered[draw, kind] = one.low <= true <= one.high
    # Within three standard errors of the simulation, 1.5 %, of what is promised.
    assert 0.935 <= covered[:, 0].mean() <= 0.965
    assert covered[:, 1].mean() > 0.985  # Welch's is too wide here, and safe
    assert np.median(widths[:, 0]) < 0.75 * np.median(widths[:, 1])


# --- what a suite may pair ------------------------------------------------------------------------


def test_a_parameter_that_two_networks_do_not_share_is_named() -> None:
    one = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Linear(4, 2))
    assert pairing.unlike(one, nn.Sequential(nn.Conv2d(3, 4, 3), nn.Linear(4, 2)), "b") is None
    dilated = nn.Sequential(nn.Conv2d(3, 4, 3, dilation=2), nn.Linear(4, 2))
    assert pairing.unlike(one, dilated, "b") is None
    wider = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Linear(8, 2))
    assert pairing.unlike(one, wider, "b") == "0.weight is 4x3x3x3, and 8x3x3x3 in 'b'"
    shorter = nn.Sequential(nn.Conv2d(3, 4, 3))
    assert pairing.unlike(one, shorter, "b") == "1.weight (2x4) is no parameter of 'b'"
    assert pairing.unlike(shorter, one, "b") == "1.weight (2x4) is a parameter of 'b' alone"


@pytest.mark.usefixtures("here")
def test_a_suite_may_pair_what_has_equal_parameters() -> None:
    (found,) = checked(changed(add="    paired: true\n"))
    assert [row.variant.name for row in found.rows] == ["normal", "dilated"]
    plan = _planned(changed(add="    paired: true\n"))
    assert plan.study.comparisons[0].paired
    assert not _planned(changed()).study.comparisons[0].paired


def _planned(text: str) -> planning.Plan:
    read = loaded(text)
    return planning.make(read, check(read), Path("runs"), "cpu")


@pytest.mark.usefixtures("here")
def test_a_suite_may_not_pair_what_has_other_parameters() -> None:
    text = changed(
        ("dilated: {network.conv: dilated}", "wide: {network.width: 2}"), add="    paired: true\n"
    )
    with pytest.raises(SuiteError) as raised:
        checked(text)
    said = str(raised.value)
    assert said.startswith(
        "tiny.yaml:16:7: conv/wide: runs can be paired by seed only where all parameters have the "
        "same names and shapes: "
    )
    assert "is 2x3x3x3, and 4x3x3x3 in 'normal'; leave `paired` out, or this variant" in said


# --- what is said of it ---------------------------------------------------------------------------


def test_verdict_and_contrast_are_of_the_differences(tmp_path: Path) -> None:
    alone = only(two(tmp_path / "a", LOWER, LATER))
    assert alone.word == "inconclusive"
    lab = two(tmp_path / "b", LOWER, LATER, paired=True)
    found = only(lab)
    (part,) = found.parts
    wanted = stats.ttest_rel(LOWER, NORMAL).confidence_interval(0.95)
    assert (part.low, part.high) == pytest.approx((wanted.low, wanted.high), rel=1e-9)
    assert (found.word, part.paired, part.runs) == ("supported", True, (5, 5))
    assert "[−1.4, −0.9] (95 % interval, paired by seed, 5 seeds a row)" in found.sentence
    (comparison,) = collect(lab.runs, lab.ask()).comparisons
    _, row = contrast.contrasts(comparison)
    assert row.interval is not None
    assert (row.interval.low, row.interval.high) == pytest.approx((wanted.low, wanted.high))
    assert (row.pairs, row.left_out) == (5, 0)
    # With known spread, n runs of one sample: statsmodels' solver is held against in test_evidence.
    assert row.detectable is not None
    assert row.detectable < 0.2 * contrast.contrasts(_one(tmp_path / "a"))[1].detectable  # type: ignore[operator]


def _one(runs: Path) -> Any:
    return collect(runs, two(runs, LOWER, LATER).ask()).comparisons[0]


def test_a_seed_that_ended_on_one_side_is_left_out_and_counted(tmp_path: Path) -> None:
    lab = two(tmp_path, [61.1, 65.5, "failed", 63.2, 60.1], LATER, paired=True)
    evidence = collect(lab.runs, lab.ask())
    (part,) = only(lab).parts
    kept = [gap for at, gap in enumerate(gaps()) if at != 2]
    assert part.estimate == pytest.approx(np.mean(kept), rel=1e-9)
    assert part.runs == (4, 4)
    without = "without 1 seed that only one of the two has"
    assert f"paired by seed, 4 seeds a row, {without})" in part.said
    (answer,) = answers(evidence)
    assert without in answer.findings[0]
    assert answer.scope.endswith("Intervals: 95 %, of the differences, paired by seed.")


def test_without_a_seed_in_common_nothing_is_decided(tmp_path: Path) -> None:
    lab = two(tmp_path, [None, None, None, None, None, 60.0, 61.0], LATER, paired=True)
    found = only(lab)
    assert found.word == "not tested"
    assert found.why == "paired by seed, and no seed of both is there yet"


def test_the_page_says_that_runs_are_paired(tmp_path: Path) -> None:
    lab = two(tmp_path, LOWER, LATER, paired=True)
    page = render(lab.runs, lab.ask(), tmp_path / "reports").read_text(encoding="utf-8")
    assert "(Student&#39;s t, of the differences paired by seed, each row for itself)" in page
    assert "(of differences paired by seed). Ticks: the seeds, each against the same seed" in page
    # Further seeds of the baseline have no others to be paired with.
    assert "Welch" not in page[: page.index("-noise")]


def test_precision_is_that_of_the_differences(tmp_path: Path) -> None:
    width = welch.interval(LOWER, NORMAL).half_width  # type: ignore[union-attr]
    for name, is_paired in (("a", False), ("b", True)):
        lab = two(tmp_path / name, LOWER, ORDER, paired=is_paired)
        lab.settings["stop"] = {"until": width / 2, "at_most": 10.0}
        evidence = collect(lab.runs, lab.ask())
        assert stop.settled_comparison(evidence.study, evidence.comparisons[0]) is is_paired
        records = {id: trial.record for id, trial in evidence.trials().items() if trial.record}
        assert stop.settled(evidence.study, records) is is_paired
