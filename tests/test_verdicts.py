"""Verdicts: every kind of claim and every word, from records, against scipy and by hand."""

import json
import math
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats
from test_command_line import call
from test_evidence import DROP_IN, EQUAL, NORMAL, Lab, layers

from ablate.evidence import hypotheses, sources
from ablate.evidence.collect import collect
from ablate.evidence.verdicts import Verdict, judge, judge_comparison, report_lines, short_lines
from ablate.records import Measurement
from ablate.study import Measure

ORDER = {"kind": "order", "metric": "accuracy", "expect": "depthwise < normal", "margin": 0.5}
EQUAL_TO = ORDER | {"kind": "equivalence", "expect": "depthwise = normal"}
RATIO = {"kind": "ratio", "metric": "params", "of": "normal/depthwise"}
STAGED = "staged, width 16, CIFAR-10, 10,000 training images, 628 optimizer steps, cpu in bf16"


def claim(**said: Any) -> dict[str, Any]:
    return {"note": "A:1", "says": "so it is"} | said


def two(runs: Path, ours: Sequence[Any], theirs: Sequence[Any], *claims: Any, **row: Any) -> Lab:
    """Return a lab with one variant, its baseline, and claims about them."""
    lab = Lab(runs)
    lab.compare(
        lab.row("normal", theirs, params=80_000, network={"conv": "normal"}),
        lab.row("depthwise", ours, params=10_000, network={"conv": "depthwise"}, **row),
        claims=[claim(**said) for said in claims],
    )
    return lab


def judged(lab: Lab) -> tuple[Verdict, ...]:
    return judge(collect(lab.runs, lab.ask()))


def only(lab: Lab) -> Verdict:
    (found,) = judged(lab)
    return found


def welch(
    ours: Sequence[float], theirs: Sequence[float], level: float = 0.95
) -> tuple[float, float]:
    found = stats.ttest_ind(ours, theirs, equal_var=False).confidence_interval(level)
    return float(found.low), float(found.high)


# --- order and equivalence ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expect", "margin", "ours", "word", "why"),
    [
        ("depthwise < normal", 0.5, DROP_IN, "supported", ""),
        ("normal > depthwise", 0.5, DROP_IN, "supported", ""),
        ("depthwise < normal", 3.5, DROP_IN, "supported in direction", ""),
        ("depthwise < normal", 9.0, DROP_IN, "true but negligible", ""),
        ("depthwise > normal", 0.5, DROP_IN, "refuted", "opposite"),
        ("depthwise > normal", 9.0, DROP_IN, "refuted", "opposite"),
        ("depthwise < normal", 0.5, [62.1, 63.0, 61.5, 62.8, 61.9], "inconclusive", ""),
        ("depthwise < normal", 5.0, [62.1, 63.0, 61.5, 62.8, 61.9], "inconclusive",
         "below the margin either way"),
        ("depthwise < normal", 0.5, [58.0], "inconclusive", ""),
    ],
)  # fmt: skip
def test_an_order_is_decided_by_its_interval(
    tmp_path: Path, expect: str, margin: float, ours: list[float], word: str, why: str
) -> None:
    found = only(two(tmp_path, ours, NORMAL, ORDER | {"expect": expect, "margin": margin}))
    assert (found.word, found.why) == (word, why)
    (part,) = found.parts
    if len(ours) > 1:
        low, high = welch(ours, NORMAL)
        if expect.startswith("normal"):
            low, high = -high, -low
        assert (part.low, part.high) == pytest.approx((low, high), rel=1e-9)
        assert (part.level, part.runs, part.margin) == (0.95, (5, 5), margin)
        # The table of an order, once more and by hand.
        reach = (-high, -low) if "<" in expect else (low, high)
        assert (reach[0] > margin) == (word == "supported")
        assert (reach[1] < 0) == (word == "refuted")
        assert (reach[0] <= 0 <= reach[1]) == (word == "inconclusive")


def test_the_sentence_of_an_order_has_its_numbers_and_its_scope(tmp_path: Path) -> None:
    found = only(two(tmp_path, DROP_IN, NORMAL, ORDER))
    assert found.sentence == (
        "Supported as a drop-in: accuracy of depthwise is 3.6 points lower than that of normal "
        "[−4.5, −2.8] (95 % interval, 5 seeds a row), more than the margin of 0.5 points "
        f"({STAGED})."
    )
    assert (found.screening, found.too_few, found.fails) == ((), False, False)
    assert found.comparison == "depthwise"


@pytest.mark.parametrize(
    ("said", "ending"),
    [
        ({"margin": 3.5}, "not known whether by more than the margin of 3.5 points"),
        ({"margin": 9.0}, "less than the 9.0 points that matter"),
        ({"expect": "depthwise > normal"}, "the opposite of the claim"),
        ({"margin": 0}, "[−4.54, −2.74] (95 % interval, 5 seeds a row)"),
        # 2 % of the baseline's 62.3.
        ({"margin": "2%"}, "more than the margin of 1.2 points"),
    ],
)
def test_what_an_order_means_is_said(tmp_path: Path, said: dict[str, Any], ending: str) -> None:
    found = only(two(tmp_path, DROP_IN, NORMAL, ORDER | said))
    assert f"{ending} ({STAGED})." in found.sentence.replace("−4.5, −2.8", "−4.54, −2.74")


def test_an_open_order_says_how_many_seeds_would_decide(tmp_path: Path) -> None:
    near = [62.1, 63.0, 61.5, 62.8, 61.9]
    found = only(two(tmp_path, near, NORMAL, ORDER))
    (part,) = found.parts
    assert part.seeds is not None
    # Twice the margin and a deviation of 0.6 points: 2 · (2.8 · 0.6 / 1.0)² = 5.6 seeds would tell
    # the sign if that deviation were known.
    assert 6 <= part.seeds <= 12
    assert (
        f"points [−0.8, 0.8] (95 % interval, 5 seeds a row), were the true difference 1.0 points, "
        f"about {part.seeds:,} seeds a row would decide (" in found.sentence
    )
    exactly = ORDER | {"margin": 0}  # then it is planned for what was estimated
    same = only(two(tmp_path / "same", [62.2, 62.4], [62.1, 62.5], exactly))
    assert "even 100,000 seeds a row would not decide (" in same.sentence
    single = only(two(tmp_path / "single", [62.0], NORMAL, ORDER))
    assert "(1 and 5 seeds), a single seed has no interval (" in single.sentence
    alike = only(two(tmp_path / "alike", [62.0, 62.0], [61.0, 61.0], ORDER))
    assert "the seeds do not vary, which says nothing of others (" in alike.sentence


@pytest.mark.parametrize(
    ("margin", "word"), [(0.5, "refuted"), (3.6, "inconclusive"), (9.0, "supported")]
)
def test_an_equivalence_is_two_one_sided_tests(tmp_path: Path, margin: float, word: str) -> None:
    found = only(two(tmp_path, DROP_IN, NORMAL, EQUAL_TO | {"margin": margin}))
    (part,) = found.parts
    assert found.word == word
    assert (part.low, part.high) == pytest.approx(welch(DROP_IN, NORMAL, 0.90), rel=1e-9)
    assert part.level == pytest.approx(0.90)
    assert "(90 % interval for two one-sided tests at 5 %, 5 seeds a row)" in found.sentence


def test_runs_of_what_is_not_trained_are_exact(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.compare(
        lab.row("normal", [30.0], steps=0),
        lab.row("depthwise", [29.0], steps=0),
        lab.row("trained", [31.0, 32.0, 31.5]),
        claims=[claim(**ORDER), claim(**ORDER | {"expect": "trained > normal", "margin": 0})],
    )
    exact, against = judged(lab)
    assert exact.word == "supported"
    assert "1.0 points lower than that of normal (exact, nothing is trained)" in exact.sentence
    assert not exact.too_few
    expected = stats.ttest_1samp([31.0, 32.0, 31.5], 30.0).confidence_interval(0.95)
    assert against.parts[0].low == pytest.approx(expected.low - 30, rel=1e-9)
    assert against.parts[0].runs == (3,)


# --- arithmetic -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "word", "text"),
    [
        (RATIO | {"about": 8}, "supported", "8.00 times, claimed 7.20 to 8.80 times"),
        (RATIO | {"about": 9}, "refuted", "smaller than claimed (8.10 to 9.90 times)"),
        (RATIO | {"at_most": 5}, "refuted", "larger than claimed (at most 5.00 times)"),
        (RATIO | {"at_least": 8}, "supported", "claimed at least 8.00 times"),
        (RATIO | {"about": 8.8, "band": 0.01}, "refuted", "smaller than claimed"),
        ({"kind": "count", "metric": "params", "of": "depthwise", "equals": 10_000}, "supported",
         "parameters of depthwise are 10,000, claimed 10,000"),
        ({"kind": "count", "metric": "params", "of": "normal", "equals": 10_000}, "refuted",
         "larger than claimed (10,000)"),
        ({"kind": "range", "metric": "macs", "of": "normal", "low": 1e6, "high": 2e6}, "refuted",
         "MACs of normal are 12,000,000, larger than claimed (1,000,000 to 2,000,000)"),
        ({"kind": "equality", "metric": "receptive_field", "expect": "depthwise = normal"},
         "supported", "receptive field of depthwise 76 px, of normal 76 px"),
        ({"kind": "equality", "metric": "params", "expect": "depthwise = normal"}, "refuted",
         "not the same"),
        ({"kind": "order", "metric": "params", "expect": "depthwise < normal", "margin": 0},
         "supported", "parameters of depthwise 10,000, of normal 80,000"),
        ({"kind": "order", "metric": "receptive_field", "expect": "depthwise < normal",
          "margin": 0}, "refuted", "receptive field of depthwise 76 px, of normal 76 px"),
        ({"kind": "requirement", "metric": "params", "of": "depthwise", "at_most": 20_000},
         "supported", "Parameters ≤ 20,000 of depthwise, found 10,000"),
        ({"kind": "requirement", "metric": "params", "of": "normal", "at_most": 20_000},
         "refuted", "Parameters ≤ 20,000 of normal, found 80,000"),
    ],
)  # fmt: skip
def test_arithmetic_is_never_open(
    tmp_path: Path, said: dict[str, Any], word: str, text: str
) -> None:
    found = only(two(tmp_path, [], [], said))
    assert found.word == word
    assert text in found.sentence
    assert (found.screening, found.too_few, found.parts[0].level) == ((), False, None)


def test_arithmetic_names_the_full_network_as_its_scope(tmp_path: Path) -> None:
    found = only(two(tmp_path, [], [], RATIO | {"about": 8}))
    assert found.sentence == (
        "Supported: parameters of normal 80,000, of depthwise 10,000: 8.00 times, "
        "claimed 7.20 to 8.80 times (arithmetic of the full networks, staged, width 16)."
    )


def test_layers_of_a_kind_are_counted(tmp_path: Path) -> None:
    said = {"kind": "order", "metric": "layers.dilated", "expect": "depthwise > normal"}
    lab = Lab(tmp_path)
    lab.compare(
        lab.row("normal", [], facts=layers()),
        lab.row("depthwise", [], facts=layers(dilated=2)),
        claims=[claim(**said, margin=0), claim(**said | {"metric": "layers.odd"}, margin=0)],
    )
    found, odd = judged(lab)
    assert found.word == "supported"
    assert "dilated layers of depthwise 2, of normal 0" in found.sentence
    assert (odd.word, odd.why) == ("invalid", "depthwise (drop-in): layers.odd was not counted")


def test_a_fact_that_cannot_be_vouched_for_is_invalid(tmp_path: Path) -> None:
    bad = Measurement(
        value=None, unit="", title="Parameters", direction="lower", detail={"invalid": "two counts"}
    )
    found = only(two(tmp_path, [], [], RATIO | {"about": 8}, facts={"params": bad}))
    assert (found.word, found.why) == ("invalid", "Parameters of depthwise (drop-in): two counts")
    assert found.sentence == "Invalid: Parameters of depthwise (drop-in): two counts."


def test_facts_that_are_not_there_are_invalid(tmp_path: Path) -> None:
    lab = two(tmp_path, [], [], RATIO | {"about": 8})
    shutil.rmtree(tmp_path / "facts" / lab.comparisons[0].rows[1].facts)
    assert only(lab).why == "depthwise (drop-in): network as trained: not computed yet"
    shutil.rmtree(tmp_path / "facts")
    found = only(lab)
    assert (found.word, found.why) == ("invalid", "network as trained: not computed yet")


# --- trained: ratios, ranges, equality ------------------------------------------------------------


def test_a_ratio_of_means_is_judged_on_its_logarithm(tmp_path: Path) -> None:
    said = {"kind": "ratio", "metric": "accuracy", "of": "depthwise/normal"}
    lab = two(tmp_path, DROP_IN, NORMAL, said | {"at_least": 0.9}, said | {"about": 1.2})
    found, other = judged(lab)
    ours, theirs = np.array(DROP_IN), np.array(NORMAL)
    ratio = ours.mean() / theirs.mean()
    assert found.parts[0].estimate == pytest.approx(ratio, rel=1e-12)
    # The delta method, with the spreads of both and Welch's degrees of freedom.
    parts = [stats.sem(side) / side.mean() for side in (ours, theirs)]
    freedom = sum(p**2 for p in parts) ** 2 / sum(p**4 / 4 for p in parts)
    # Two hypotheses: the first round of Holm decides both, at 97.5 %.
    reach = stats.t.ppf(1 - 0.0125, freedom) * math.hypot(*parts)
    assert found.parts[0].low == pytest.approx(ratio * math.exp(-reach), rel=1e-9)
    assert (found.word, other.word, other.why) == ("supported", "refuted", "smaller than claimed")
    assert "accuracy of depthwise is 0.942 times that of normal [0.92" in found.sentence
    assert "(97.5 % interval, adjusted for 2 tests, 5 seeds a row), claimed" in found.sentence


@pytest.mark.parametrize(
    ("low", "high", "word"), [(60, 65, "supported"), (62, 65, "inconclusive"), (65, 70, "refuted")]
)
def test_a_range_is_judged_by_the_interval_of_a_mean(
    tmp_path: Path, low: float, high: float, word: str
) -> None:
    said = {"kind": "range", "metric": "accuracy", "of": "normal", "low": low, "high": high}
    found = only(two(tmp_path, DROP_IN, NORMAL, said))
    assert found.word == word
    expected = stats.t.interval(0.95, 4, np.mean(NORMAL), stats.sem(NORMAL))
    (part,) = found.parts
    assert (part.low, part.high) == pytest.approx(expected, rel=1e-9)
    assert f"claimed {low}" in found.sentence or f"claimed ({low}" in found.sentence


def test_the_same_by_every_seed_is_equal_and_no_interval_shows_it(tmp_path: Path) -> None:
    said = {"kind": "equality", "metric": "accuracy", "expect": "depthwise = normal"}
    assert only(two(tmp_path / "1", NORMAL, NORMAL, said)).word == "supported"
    assert only(two(tmp_path / "2", DROP_IN, NORMAL, said)).why == "different"
    near = only(two(tmp_path / "3", [*NORMAL[:4], 62.1], NORMAL, said))
    assert near.word == "inconclusive"


def test_what_a_requirement_needs_is_what_the_suite_s_need(tmp_path: Path) -> None:
    said = {"kind": "requirement", "metric": "accuracy", "of": "normal", "at_least": 60}
    assert only(two(tmp_path / "1", DROP_IN, NORMAL, said)).word == "supported"
    failed = only(two(tmp_path / "2", DROP_IN, [*NORMAL[:4], 59.0], said))
    assert (failed.word, failed.fails) == ("refuted", True)
    lab = Lab(tmp_path / "3")
    short = {"recipe": {"epochs": 1}}
    lab.compare(lab.row("normal", NORMAL, trained_as=short), claims=[claim(**said)])
    found = only(lab)
    assert found.word == "not tested"
    assert found.why == "the recipe is not that of the full profile"


# --- matches, families ----------------------------------------------------------------------------


def matched(runs: Path, *claims: dict[str, Any]) -> Lab:
    """Return a lab with a variant that loses as a drop-in and wins at equal parameters."""
    lab = Lab(runs)
    lab.compare(
        lab.row("normal", NORMAL, params=80_000),
        lab.row("depthwise", DROP_IN, params=10_000),
        lab.row("depthwise", EQUAL, match=("params",), params=80_100, solved={"network.width": 44}),
        claims=[claim(**said) for said in claims],
    )
    return lab


def test_matches_that_disagree_are_said_and_never_averaged(tmp_path: Path) -> None:
    found = only(matched(tmp_path, ORDER))
    assert (found.word, found.why) == ("depends", "on the match")
    assert [(part.match, part.word) for part in found.parts] == [
        (("none",), "supported"),
        (("params",), "refuted"),
    ]
    assert found.sentence.startswith("Depends on the match, supported as a drop-in: accuracy of ")
    assert "; refuted at equal parameters: accuracy of depthwise is 2.7 points higher" in (
        found.sentence
    )
    assert not found.fails


def test_a_claim_keeps_to_the_match_that_it_names(tmp_path: Path) -> None:
    named, absent, budget = judged(
        matched(
            tmp_path,
            ORDER | {"match": "params"},
            ORDER | {"match": "macs"},
            RATIO | {"about": 8},
        )
    )
    assert [part.match for part in named.parts] == [("params",)]
    assert named.word == "refuted"
    assert (absent.word, absent.parts) == ("not tested", ())
    assert absent.sentence == (
        "Not tested: this study has no rows of depthwise and normal at equal MACs."
    )
    # At equal parameters their ratio is 1 by construction.
    assert [part.match for part in budget.parts] == [("none",)]
    assert budget.word == "supported"


def test_a_part_that_is_open_leaves_the_whole_open(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.compare(
        lab.row("normal", NORMAL),
        lab.row("depthwise", DROP_IN),
        lab.row("depthwise", [61.9, 62.4], match=("params",)),
        claims=[claim(**ORDER)],
    )
    found = only(lab)
    assert [part.word for part in found.parts] == ["supported", "inconclusive"]
    assert (found.word, found.why) == ("inconclusive", "at equal parameters")
    assert found.fails  # two seeds


def test_a_family_is_the_claims_at_one_match(tmp_path: Path) -> None:
    wide = ORDER | {"margin": 3.5}
    lab = matched(tmp_path, ORDER, wide, EQUAL_TO | {"match": "none"}, RATIO | {"about": 8})
    first, _, third, arithmetic = judged(lab)
    drop_in, equal = first.parts
    # Three at the first match, two at the second; all of them are decided in the first round.
    assert (drop_in.tests, equal.tests) == (3, 2)
    assert (drop_in.low, drop_in.high) == pytest.approx(welch(DROP_IN, NORMAL, 1 - 0.05 / 3))
    assert (equal.low, equal.high) == pytest.approx(welch(EQUAL, NORMAL, 1 - 0.05 / 2))
    assert third.parts[0].level == pytest.approx(1 - 2 * 0.05 / 3)
    assert "(98.3 % interval, adjusted for 3 tests, 5 seeds a row)" in first.sentence
    assert "(96.7 % interval for two one-sided tests at 1.7 %, adjusted for 3 tests" in (
        third.sentence
    )
    assert arithmetic.parts[0].tests == 1


def test_what_is_still_to_come_counts_in_a_family(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.compare(
        lab.row("normal", NORMAL),
        lab.row("depthwise", DROP_IN),
        lab.row("dilated", [None, None]),
        claims=[claim(**ORDER), claim(**ORDER | {"expect": "dilated < normal"})],
    )
    here, to_come = judged(lab)
    assert (here.parts[0].tests, here.parts[0].level) == (2, 0.975)
    assert to_come.word == "not tested"


def test_claims_that_ask_the_same_count_once(tmp_path: Path) -> None:
    again = ORDER | {"note": "B:2", "says": "in other words"}
    first, second = judged(two(tmp_path, DROP_IN, NORMAL, ORDER, again))
    assert first.sentence == second.sentence
    assert first.parts[0].tests == 1


def test_what_a_suite_declares_primary_is_the_family(tmp_path: Path) -> None:
    wide = ORDER | {"margin": 3.5}
    main, beside = judged(two(tmp_path, DROP_IN, NORMAL, ORDER | {"primary": True}, wide))
    assert (main.primary, main.parts[0].tests) == (True, 1)
    assert (beside.primary, beside.parts[0].level) == (False, 0.95)
    assert (
        "; not among the primary claims, so it is not adjusted for them (staged" in beside.sentence
    )


def test_rows_matched_with_different_ones_are_not_compared(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.compare(
        lab.row("normal", NORMAL),
        lab.row("other", NORMAL, reference=None),
        lab.row("depthwise", DROP_IN, match=("params",)),
        lab.row("grouped", EQUAL, match=("params",), reference="other"),
        claims=[claim(**ORDER | {"expect": "depthwise < grouped"})],
    )
    assert (
        only(lab).why == "their budgets are matched with those of different rows, normal and other"
    )


# --- latency --------------------------------------------------------------------------------------


def timed(
    runs: Path,
    *claims: dict[str, Any],
    ratios: Sequence[float] = (0.80, 0.81, 0.79),
    copy: float = 1.0,
) -> Lab:
    """Return a lab whose variant takes these shares of its baseline's time, by process."""
    lab = Lab(runs)
    rows = [
        lab.row("normal", NORMAL, network={"conv": "normal"}),
        lab.row("depthwise", DROP_IN, network={"conv": "depthwise"}),
    ]
    networks = [row.full_config["network"] for row in rows]
    times: list[dict[int, np.ndarray[Any, Any]]] = [
        {batch: np.full((8, 3), 0.01) * [1.0, ratio, copy] for batch in (1, 64)} for ratio in ratios
    ]
    passes = lab.time(networks, *times)
    lab.compare(*rows, passes=passes, claims=[claim(**said) for said in claims])
    return lab


FASTER = ORDER | {"metric": "latency", "margin": "2%"}


def test_latency_is_a_ratio_over_processes(tmp_path: Path) -> None:
    found = only(timed(tmp_path, FASTER | {"at": {"batch": 1}}))
    logs = np.log([0.80, 0.81, 0.79])
    expected = np.exp(stats.t.interval(0.95, 2, logs.mean(), stats.sem(logs)))
    (part,) = found.parts
    assert (part.low, part.high) == pytest.approx(tuple(expected), rel=1e-9)
    assert (part.runs, part.margin, found.word) == ((3,), 0.02, "supported")
    assert found.sentence == (
        "Supported as a drop-in at batch 1: latency of depthwise is 0.80 times that of normal "
        "[0.78, 0.83] (95 % interval, 3 processes), more than the margin of 2 % (the full "
        "networks, staged, width 16, inference in fp32, eager, 1 thread, cpu)."
    )
    assert found.screening == ("Timed in 3 of the 5 processes that it takes.",)
    assert not found.too_few  # they are no seeds


def test_without_a_batch_every_setting_is_a_part(tmp_path: Path) -> None:
    found = only(timed(tmp_path, FASTER))
    assert [part.where for part in found.parts] == [
        "as a drop-in at batch 1",
        "as a drop-in at batch 64",
    ]
    assert [part.tests for part in found.parts] == [2, 2]
    assert found.word == "supported"


@pytest.mark.parametrize(
    ("said", "ratios", "word"),
    [
        ({"expect": "normal < depthwise"}, (0.80, 0.81, 0.79), "refuted"),
        ({"kind": "equivalence", "expect": "normal = depthwise"}, (0.999, 1.0, 1.001), "supported"),
        ({"kind": "ratio", "of": "normal/depthwise", "at_least": 1.1}, (0.80, 0.81, 0.79),
         "supported"),
        ({"kind": "ratio", "of": "normal/depthwise", "about": 2}, (0.80, 0.81, 0.79), "refuted"),
        ({}, (0.90, 1.10, 0.95), "inconclusive"),
        # 0.1 ms of the 10 ms that the baseline takes are 1 %.
        ({"margin": 0.0001}, (0.980, 0.981, 0.979), "supported"),
    ],
)  # fmt: skip
def test_kinds_of_claims_about_latency(
    tmp_path: Path, said: dict[str, Any], ratios: tuple[float, ...], word: str
) -> None:
    asked = {**FASTER, "at": {"batch": 1}, **said}
    if asked["kind"] == "ratio":
        asked = {key: value for key, value in asked.items() if key not in ("expect", "margin")}
    found = only(timed(tmp_path, asked, ratios=ratios))
    assert found.word == word
    if word == "inconclusive":
        assert f"about {found.parts[0].seeds} processes would decide (" in found.sentence


def test_a_part_tells_of_other_images_and_of_single_runs(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    right = {"normal": rng.random((3, 400)) < 0.6, "depthwise": rng.random((3, 400)) < 0.5}
    lab = Lab(tmp_path)
    rows = [
        lab.row(name, (100 * correct.mean(axis=1)).tolist(), correct=correct)
        for name, correct in right.items()
    ]
    lab.compare(*rows, claims=[claim(**ORDER | {"margin": 0})])
    (part,) = only(lab).parts
    assert part.estimate is not None
    assert part.low is not None
    assert part.population is not None
    gap = 100 * (right["depthwise"].mean(axis=0) - right["normal"].mean(axis=0))
    ours, theirs = (100 * right[name].mean(axis=1) for name in ("depthwise", "normal"))
    error = math.hypot(*(stats.sem(side) for side in (ours, theirs)))
    wider = math.hypot(error, stats.sem(gap)) / error
    reach = (part.estimate - part.low) * wider
    assert part.population[0] == pytest.approx(part.estimate - reach, rel=1e-3)  # n for n - 1
    pairs = stats.mannwhitneyu(ours, theirs).statistic
    assert part.superiority == pytest.approx(pairs / 9)
    assert part.sign == (sum(a < b for a, b in zip(ours, theirs, strict=True)), 3)


def test_a_machine_too_noisy_decides_nothing(tmp_path: Path) -> None:
    found = only(timed(tmp_path, FASTER | {"at": {"batch": 1}}, copy=1.03))
    assert (found.word, found.why) == ("inconclusive", "the machine is too noisy")
    assert (
        "the machine is too noisy: the A/A control differs by 3.0 %, the margin is 2 % ("
        in found.sentence
    )
    calm = only(timed(tmp_path / "2", FASTER | {"at": {"batch": 1}, "margin": "5%"}, copy=1.03))
    assert calm.word == "supported"


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"at": {"batch": 16}}, "not timed at batch 16, but at batch 1 and batch 64"),
        ({"device": "cuda"}, "not timed at device cuda, but at device cpu and device cpu"),
        ({"kind": "count", "of": "normal", "equals": 3},
         "a time by itself is that of a machine; claim an order or a ratio of two"),
    ],
)  # fmt: skip
def test_times_that_nobody_took_are_not_tested(
    tmp_path: Path, said: dict[str, Any], why: str
) -> None:
    asked = FASTER | said
    if asked["kind"] == "count":
        asked = {key: value for key, value in asked.items() if key not in ("expect", "margin")}
    found = only(timed(tmp_path, asked))
    assert (found.word, found.why, found.screening) == ("not tested", why, ())
    assert only(two(tmp_path / "none", [], [], FASTER)).why == "this study asks for no latency"


# --- invalid, not tested --------------------------------------------------------------------------


def test_too_many_diverged_trials_make_it_invalid(tmp_path: Path) -> None:
    found = only(two(tmp_path, [58.0, 58.5, 59.0, "diverged", "diverged"], NORMAL, ORDER))
    assert found.word == "invalid"
    assert found.sentence == (
        "Invalid as a drop-in: 2 of 5 trials of depthwise (drop-in) diverged, so the rest do not "
        "speak for it."
    )
    one = only(two(tmp_path / "one", [*DROP_IN[:4], "diverged"], NORMAL, ORDER))
    assert one.word == "supported"
    assert one.parts[0].runs == (4, 5)
    assert one.too_few


def test_failure_rates_are_told_where_they_differ(tmp_path: Path) -> None:
    ours = [58.0, 58.5, *["failed"] * 4]
    found = only(two(tmp_path, ours, [*NORMAL, 62.2], ORDER))
    p = stats.boschloo_exact([[4, 0], [2, 6]]).pvalue
    assert p < 0.05
    said = f"failures differ: depthwise in 4 of 6 trials and normal in 0 of 6 trials (p {p:.2g}, "
    assert f"{said}Boschloo)" in found.sentence
    fewer = only(two(tmp_path / "2", [*DROP_IN, "failed"], [*NORMAL, 62.2], ORDER))
    assert "failures" not in fewer.sentence


def test_a_figure_that_a_trial_cannot_vouch_for_makes_it_invalid(tmp_path: Path) -> None:
    bad = Measurement(
        value=None, unit="", title="Loss", direction="lower", detail={"invalid": "overflow"}
    )
    good = bad.model_copy(update={"value": 1.0, "detail": {}})
    measured = [{"test_loss": good}, {"test_loss": bad}]
    said = ORDER | {"metric": "test_loss"}
    lab = Lab(tmp_path)
    lab.compare(
        lab.row("normal", NORMAL[:2], measured=[{"test_loss": good}] * 2),
        lab.row("depthwise", DROP_IN[:2], measured=measured),
        claims=[claim(**said)],
    )
    found = only(lab)
    assert (found.word, found.why) == ("invalid", "Loss of depthwise (drop-in), seed 1: overflow")


def test_trials_that_differ_in_data_or_device_are_refused(tmp_path: Path) -> None:
    lab = two(tmp_path, DROP_IN, NORMAL, ORDER)
    evidence = collect(tmp_path, lab.ask())
    (comparison,) = evidence.comparisons

    def made_with(at: int, **spec: str) -> Any:
        trials = tuple(
            replace(t, record=t.record.model_copy(update={"spec": t.record.spec | spec}))
            for t in comparison.rows[at].trials
            if t.record is not None
        )
        return replace(comparison.rows[at], trials=trials)

    rows = (made_with(0, data="aaaa", device="cpu"), made_with(1, data="bbbb", device="cpu"))
    assert sources.mixed(rows) == "the trials differ in data (aaaa and bbbb)"
    (found,) = judge_comparison(evidence, replace(comparison, rows=rows))
    assert (found.word, found.why) == ("invalid", "the trials differ in data (aaaa and bbbb)")
    alike = (made_with(0, data="aaaa"), made_with(1, data="aaaa"))
    assert judge_comparison(evidence, replace(comparison, rows=alike))[0].word == "supported"


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (ORDER | {"metric": "params.block"},
         "params.block: parts of a network are not measured yet"),
        ({"kind": "trend", "metric": "accuracy", "of": "normal", "expect": "rising"},
         "a trend is along a sweep; add `over`"),
        (ORDER | {"over": {"network.width": [8, 16]}},
         "this study has no facts of depthwise at 8"),
        (ORDER | {"expect": "dilated < normal"}, "this study has no row of dilated"),
        (ORDER | {"metric": "psnr"},
         "psnr: it is no fact of these networks, and no trial measured it"),
        (ORDER | {"device": "cuda"}, "trained on cpu, and the claim is about cuda"),
        (ORDER | {"at": {"batch": 1}},
         "only latency and peak memory are measured at a setting; leave out `at`"),
        ({"kind": "vote"}, "this claim cannot be read"),
        ({"kind": "order", "metric": "accuracy", "expect": "normal", "margin": 1},
         "this claim cannot be read"),
    ],
)  # fmt: skip
def test_what_cannot_be_judged_says_why(tmp_path: Path, said: dict[str, Any], why: str) -> None:
    found = only(two(tmp_path, DROP_IN, NORMAL, said))
    assert (found.word, found.why, found.sentence) == ("not tested", why, f"Not tested: {why}.")
    assert (found.screening, found.parts, found.fails) == ((), (), False)


def test_trials_to_come_are_not_tested_and_too_few(tmp_path: Path) -> None:
    found = only(two(tmp_path, [None, None], NORMAL, ORDER))
    assert found.word == "not tested"
    assert found.why == "depthwise (drop-in): no value yet, 0 of 2 trials done"
    assert found.too_few


def test_screening_is_of_the_rows_that_a_claim_is_about(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.compare(
        lab.row("normal", NORMAL),
        lab.row("depthwise", DROP_IN),
        lab.row("dilated", DROP_IN[:3]),
        claims=[claim(**ORDER), claim(**ORDER | {"expect": "dilated < normal"}, note="B:2")],
    )
    first, second = judged(lab)
    assert first.screening == ()
    assert second.screening == ("Fewer than 5 seeds: dilated (drop-in) has 3.",)
    assert (first.too_few, second.too_few) == (False, True)
    lines = report_lines(collect(lab.runs, lab.ask()), (first, second))
    assert (
        "  Screening, not to be cited (B:2): Fewer than 5 seeds: dilated (drop-in) has 3." in lines
    )


# --- questions ------------------------------------------------------------------------------------


def question(*between: str, margin: float = 0.5, **more: Any) -> dict[str, Any]:
    said = {"kind": "question", "metric": "accuracy", "between": list(between), "margin": margin}
    return said | more


def test_a_question_is_answered_with_a_number(tmp_path: Path) -> None:
    found = only(two(tmp_path, DROP_IN, NORMAL, question("depthwise", "normal")))
    assert found.word == "answered"
    assert found.sentence == (
        "Answered as a drop-in: normal has the best accuracy, ahead of depthwise by 3.6 "
        f"[2.8, 4.5] points (95 % interval, 5 seeds a row) ({STAGED})."
    )
    assert not found.fails


def test_a_question_that_cannot_be_answered_says_what_would(tmp_path: Path) -> None:
    near = [62.1, 63.0, 61.5, 62.8, 61.9]
    found = only(two(tmp_path, near, NORMAL, question("depthwise", "normal")))
    assert found.word == "inconclusive"
    assert found.sentence.startswith(
        "We cannot tell yet as a drop-in: normal has the best accuracy so far, over depthwise by "
        "0.0 [−0.8, 0.8] points (95 % interval, 5 seeds a row); were the true difference 1.0 "
        "points, about "
    )
    assert f"about {found.parts[0].seeds:,} seeds a row would tell (" in found.sentence
    wide = only(two(tmp_path / "2", near, NORMAL, question("depthwise", "normal", margin=2)))
    assert wide.word == "answered"
    assert "without a practical difference from depthwise by 0.0 [" in wide.sentence
    assert "(within 2.0 points)" in wide.sentence


def test_the_best_of_several_is_held_against_each_other(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    rows = {"normal": NORMAL, "depthwise": DROP_IN, "dilated": [62.1, 63.1, 61.5, 62.8, 62.2]}
    lab.compare(
        *(lab.row(name, values) for name, values in rows.items()),
        claims=[claim(**question(*rows))],
    )
    found = only(lab)
    # Three pairs, each at 98.3 %, whichever of them is looked at.
    assert "(98.3 % interval, adjusted for 3 tests, 5 seeds a row)" in found.sentence
    low, high = welch(rows["dilated"], DROP_IN, 1 - 0.05 / 3)
    assert f"ahead of depthwise by 3.7 [{low:.1f}, {high:.1f}] points" in found.sentence
    assert "not yet told apart from normal by 0.0 [−1.0, 1.1] points" in found.sentence
    assert found.word == "inconclusive"


def test_less_is_better_of_a_metric_that_says_so(tmp_path: Path) -> None:
    measure = Measure(name="error", title="Error", unit="%", direction="lower", margin=0.5)
    lab = Lab(tmp_path, measure=measure)
    lab.compare(
        lab.row("normal", NORMAL),
        lab.row("depthwise", DROP_IN),
        claims=[claim(**question("normal", "depthwise", metric="error"))],
    )
    assert "depthwise has the best error, ahead of normal by 3.6 [2.8, 4.5]" in only(lab).sentence


def test_a_question_does_not_cost_the_claims_their_power(tmp_path: Path) -> None:
    asked = (ORDER, question("depthwise", "normal"))
    first, _ = judged(two(tmp_path, DROP_IN, NORMAL, *asked))
    assert first.parts[0].tests == 1


@pytest.mark.parametrize(
    ("low", "high", "why"),
    [
        (1, 2, "more"),
        (-2, -1, "less"),
        (-0.4, 0.4, "equivalent"),
        (-1, 0.4, ""),
        (0, 0, "equivalent"),
    ],
)
def test_apart(low: float, high: float, why: str) -> None:
    found = hypotheses.apart(low, high, 0.5)
    assert (found.why, found.word == "inconclusive") == (why, why == "")


# --- the same verdicts every time -----------------------------------------------------------------


def test_verdicts_do_not_depend_on_the_order_of_files_or_claims(tmp_path: Path) -> None:
    asked = (ORDER, EQUAL_TO, RATIO | {"about": 8}, question("depthwise", "normal"))
    lab = matched(tmp_path / "a", *asked)
    study = lab.ask()
    first = judge(collect(tmp_path / "a", study))
    for kind in ("trials", "facts"):
        for place in sorted((tmp_path / "a" / kind).iterdir(), reverse=True):
            shutil.copytree(place, tmp_path / "b" / kind / place.name)
    assert judge(collect(tmp_path / "b", study)) == first
    comparison = study.comparisons[0]
    turned = comparison.model_copy(update={"claims": comparison.claims[::-1]})
    again = judge(collect(tmp_path / "b", study.model_copy(update={"comparisons": [turned]})))
    assert again[::-1] == first


# --- the command ----------------------------------------------------------------------------------


def test_the_command_prints_verdicts_and_needs_no_torch(tmp_path: Path) -> None:
    lab = matched(tmp_path, ORDER, RATIO | {"about": 8, "note": "A:113"})
    evidence = collect(tmp_path, lab.ask())
    expected = "\n".join(report_lines(evidence, judge(evidence)))
    done = call("verdicts", "s7", "--runs", str(tmp_path))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{expected}\n"
    lines = done.stdout.splitlines()
    assert lines[0] == "depthwise: Normal or depthwise separable?"
    assert lines[2] == "  A:1 “so it is”: depends"
    assert lines[4] == "  A:113 “so it is”: supported"
    assert lines[-1] == "2 claims: 1 supported, 1 depends"
    code = (
        "import sys; from pathlib import Path; from ablate import commands;"
        "commands.verdicts('s7', True, False, Path(sys.argv[1]));"
        "sys.exit('torch' in sys.modules)"
    )
    again = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert again.returncode == 0
    said = json.loads(again.stdout)
    assert said["study"] == "s7-0a1b2c3d"
    assert [v["word"] for v in said["verdicts"]] == ["depends", "supported"]
    assert said["verdicts"][0]["parts"][1]["where"] == "at equal parameters"


@pytest.mark.parametrize(
    ("ours", "said", "code"),
    [
        (DROP_IN, ORDER, 0),
        (DROP_IN, ORDER | {"expect": "depthwise > normal"}, 4),
        (DROP_IN[:4], ORDER, 4),  # four seeds
        ([62.1, 63.0, 61.5, 62.8, 61.9], ORDER, 0),  # inconclusive, with five
        (DROP_IN, RATIO | {"about": 9}, 4),
        (DROP_IN, ORDER | {"metric": "psnr"}, 0),
    ],
)
def test_strict_fails_what_is_refuted_or_has_too_few_seeds(
    tmp_path: Path, ours: list[float], said: dict[str, Any], code: int
) -> None:
    from ablate import commands

    two(tmp_path, ours, NORMAL, said).ask()
    assert commands.verdicts("s7", True, True, tmp_path) == code
    assert commands.verdicts("s7", False, False, tmp_path) == 0


def test_strict_is_an_exit_code(tmp_path: Path) -> None:
    two(tmp_path, DROP_IN, NORMAL, ORDER | {"expect": "depthwise > normal"}).ask()
    done = call("verdicts", "s7", "--strict", "--runs", str(tmp_path))
    assert (done.returncode, done.stderr) == (4, "")
    assert "A:1 “so it is”: refuted" in done.stdout


def test_a_suite_that_was_never_run_is_said(tmp_path: Path) -> None:
    two(tmp_path, DROP_IN, NORMAL, ORDER).ask()
    done = call("verdicts", "s8", "--runs", str(tmp_path))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"verdicts: there is no study of 's8' under {tmp_path}; there are: s7; "
        "`ablate run` makes one\n"
    )


def test_a_study_without_claims_says_so(tmp_path: Path) -> None:
    lab = two(tmp_path, DROP_IN, NORMAL)
    evidence = collect(tmp_path, lab.ask())
    assert report_lines(evidence, judge(evidence)) == ["0 claims"]


def test_short_lines_are_for_the_end_of_a_run(tmp_path: Path) -> None:
    found = judged(two(tmp_path, DROP_IN[:3], NORMAL, ORDER, RATIO | {"about": 8}))
    assert short_lines(found) == [
        "A:1 “so it is”: supported (screening)",
        "A:1 “so it is”: supported",
    ]
