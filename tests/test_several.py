"""Claims over several variants, budgets that they keep to, and peaks of memory as claims."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats
from test_evidence import DROP_IN, NORMAL, Lab
from test_verdicts import STAGED, claim, judged, only, question
from tiny import changed, loaded

from ablate import records
from ablate.evidence import decide, family, several
from ablate.evidence.decide import Estimate
from ablate.evidence.hypotheses import Hypothesis
from ablate.evidence.within import Budget
from ablate.records import Record
from ablate.suite.source import SuiteError

FEWER = [60.1, 60.6, 59.8, 60.4, 60.2]
NEAR = [62.1, 63.0, 61.5, 62.8, 61.9]
BEST = {"kind": "order", "metric": "accuracy", "expect": "normal > all", "margin": 0.5}


def lab_of(runs: Path, rows: dict[str, Sequence[Any]], *claims: dict[str, Any], **more: Any) -> Lab:
    """Return a lab with a row for each name, the first the baseline; parameters rise by 10,000."""
    lab = Lab(runs)
    made = [
        lab.row(name, values, params=10_000 * number, network={"conv": name})
        for number, (name, values) in enumerate(rows.items(), 1)
    ]
    passes = more.pop("passes", None)
    networks = [row.full_config["network"] for row in made]
    asked = {"passes": passes(lab, networks)} if passes else {}
    lab.compare(*made, claims=[claim(**said) for said in claims], **asked)
    return lab


def welch_bounds(ours: Sequence[float], theirs: Sequence[float], level: float) -> tuple[Any, Any]:
    found = stats.ttest_ind(ours, theirs, equal_var=False).confidence_interval(level)
    return found.low, found.high


# --- the decision ---------------------------------------------------------------------------------


def part(estimate: Estimate | None, margin: float = 0.5, **more: Any) -> Hypothesis:
    """Return "ours is above theirs", as one part of a claim."""
    return Hypothesis(
        ("none",), (), None, None, "k", "trained", estimate=estimate,
        decide=lambda low, high: decide.order(low, high, margin), margin=margin, **more,
    )  # fmt: skip


def exactly(low: float, high: float) -> Estimate:
    """Return an estimate whose interval at 95 % is this."""
    return Estimate((low + high) / 2, (high - low) / 2 / stats.norm.ppf(0.975))


@pytest.mark.parametrize(
    ("parts", "word"),
    [
        ([(1, 2), (1, 3)], "supported"),
        ([(1, 2), (0.1, 3)], "supported in direction"),
        ([(1, 2), (0.1, 0.3)], "true but negligible"),
        # The lead may be negligible, but not surely so at the level that the two share.
        ([(1, 2), (0.02, 0.49)], "supported in direction"),
        ([(1, 2), (-0.1, 3)], "inconclusive"),
        ([(1, 2), (-0.1, 0.1)], "inconclusive"),
        ([(1, 2), (-3, -1)], "refuted"),
        # Opposite at 95 %, and not at the level that the two share.
        ([(1, 2), (-3, -0.05)], "inconclusive"),
        ([(-0.3, 0.2), (-3, -2)], "refuted"),
    ],
)
def test_the_table_of_claims_over_several(parts: list[tuple[float, float]], word: str) -> None:
    group = [part(exactly(*bounds)) for bounds in parts]
    found = several.decision(group, 0.95)
    assert found.word == word
    assert several.decision(group[::-1], 0.95).word == word
    if parts[1] == (-0.1, 0.1):
        assert found.why == "below the margin either way"


@pytest.mark.parametrize("seed", range(6))
def test_the_rate_at_which_it_is_decided_is_the_smallest(seed: int) -> None:
    noise = np.random.default_rng(seed)
    group = [part(Estimate(noise.normal(1, 1), noise.uniform(0.1, 0.5), 8)) for _ in range(3)]
    rate = several.decided_at(group)
    grid = 10.0 ** -np.arange(0.001, 11, 0.05)
    decided = [several.decision(group, 1 - r).word != "inconclusive" for r in grid]
    assert decided == [bool(r >= rate) for r in grid]  # monotone, and from that rate on


def test_a_single_part_has_the_rate_of_its_own_table() -> None:
    one = part(Estimate(1.2, 0.4, 7))
    assert several.decided_at([one]) == decide.decided_at(one.estimate, one.decide)  # type: ignore[arg-type]
    assert several.decided_at([part(None)]) == 1.0
    assert several.decided_at([part(None), one]) == 1.0
    exact = [part(Estimate(3.0)), part(Estimate(2.0))]
    assert several.decided_at(exact) == 0.0


# --- error rates ----------------------------------------------------------------------------------

DRAWS = 1500


def groups(truth: Sequence[float], n: int, seed: int) -> list[list[Hypothesis]]:
    """Return families of runs: one variant against others that lie so far below it, sd 1."""
    noise = np.random.default_rng(seed)
    ours = noise.normal(0, 1, (DRAWS, n))
    theirs = noise.normal(0, 1, (DRAWS, len(truth), n)) - np.array(truth)[None, :, None]
    return [
        [part(decide.difference(mine.tolist(), other.tolist())) for other in others]
        for mine, others in zip(ours, theirs, strict=True)
    ]


def share(found: Sequence[str], word: str) -> float:
    return sum(it == word for it in found) / len(found)


@pytest.mark.parametrize("truth", [(0.5, 4, 4), (0.5, 0.5, 0.5)])
def test_with_the_truth_at_the_margin_few_are_supported(truth: tuple[float, ...]) -> None:
    found = [several.decision(group, 0.95).word for group in groups(truth, 5, 1)]
    assert share(found, "supported") <= 0.05
    if truth[1] == 4:  # as often as one interval is wrong to one side, so no power is given away
        assert share(found, "supported") >= 0.01


def test_of_equal_variants_few_best_ones_are_refuted_or_supported() -> None:
    made = groups((0.0,) * 6, 5, 2)
    found = [several.decision(group, 0.95).word for group in made]
    wrong = 1 - share(found, "inconclusive")
    assert wrong <= 0.05
    # Each part at the level of the whole would refute more than one in twenty.
    alone = [any(several.part(one, 0.95).word == "refuted" for one in group) for group in made]
    assert sum(alone) / DRAWS > 0.05


def test_in_a_family_with_other_claims_few_hold_a_wrong_verdict() -> None:
    noise = np.random.default_rng(3)
    wrong = 0
    for group in groups((0.5, 0.5), 5, 4):
        runs = noise.normal(0, 1, (4, 5)).tolist()
        other = [[part(decide.difference(runs[k], runs[k + 1]), margin=0)] for k in (0, 2)]
        asked = [group, *other]
        levels = family.holm([several.decided_at(one) for one in asked])
        words = [several.decision(g, level).word for g, level in zip(asked, levels, strict=True)]
        wrong += words[0] == "supported" or any(word != "inconclusive" for word in words[1:])
    assert wrong / DRAWS <= 0.05


def budget(logs: "np.ndarray[Any, Any]", limit: float = 1.0) -> Budget:
    error = float(logs.std(ddof=1) / math.sqrt(len(logs)))
    known = Estimate(float(logs.mean()), error, len(logs) - 1)
    return Budget("latency", "latency", "s", limit, math.exp(logs.mean()), known)


@pytest.mark.parametrize("about", ["rival", "itself"])
def test_a_budget_at_its_limit_does_not_make_wrong_verdicts(about: str) -> None:
    """A rival that is within and better by less than the margin; or an own budget just missed."""
    noise = np.random.default_rng(5)
    found = []
    for group in groups((0.5, 4) if about == "rival" else (4, 4), 5, 6):
        at_limit = budget(noise.normal(0, 0.02, 5))
        far = budget(noise.normal(-1, 0.02, 5))
        mine = at_limit if about == "itself" else far
        theirs = (at_limit if about == "rival" else far, far)
        whole = [
            part(one.estimate, budgets=((mine,), (other,)))
            for one, other in zip(group, theirs, strict=True)
        ]
        found.append(several.decision(whole, 0.95).word)
    assert 0.005 <= share(found, "supported") <= 0.05
    if about == "itself":
        assert share(found, "refuted") <= 0.05


# --- from records ---------------------------------------------------------------------------------


def test_the_best_of_several_is_supported_against_each(tmp_path: Path) -> None:
    rows = {"normal": NORMAL, "depthwise": DROP_IN, "grouped": FEWER}
    found = only(lab_of(tmp_path, rows, BEST))
    assert found.sentence == (
        "Supported as a drop-in: accuracy of normal is 3.6 [2.8, 4.5] points above that of "
        "depthwise and 2.1 [1.5, 2.6] points above that of grouped (95 % interval, 5 seeds a row), "
        f"each by more than 0.5 points ({STAGED})."
    )
    (whole,) = found.parts
    assert (whole.tests, whole.low, found.fails) == (1, None, False)  # none among the parts
    for pair, theirs in zip(whole.each, (DROP_IN, FEWER), strict=True):
        expected = welch_bounds(NORMAL, theirs, 0.95)
        assert (pair["low"], pair["high"]) == pytest.approx(expected, rel=1e-9)
        assert pair["word"] == "supported"
    assert [pair["variants"][1] for pair in whole.each] == ["depthwise", "grouped"]


def test_one_that_is_surely_better_refutes_it(tmp_path: Path) -> None:
    rows = {"normal": NORMAL, "depthwise": DROP_IN, "grouped": FEWER}
    found = only(lab_of(tmp_path, rows, BEST | {"expect": "grouped > all"}))
    assert (found.word, found.fails) == ("refuted", True)
    # One part is enough, at the level that both share.
    low, high = welch_bounds(NORMAL, FEWER, 0.975)
    assert f"is {2.06:.1f} [{low:.1f}, {high:.1f}] points below that of normal" in found.sentence
    assert "(97.5 % interval, adjusted for 2 tests, 5 seeds a row)" in found.sentence
    assert "the opposite of the claim for normal (" in found.sentence


def test_one_that_is_open_leaves_it_open(tmp_path: Path) -> None:
    rows = {"normal": NORMAL, "depthwise": DROP_IN, "near": NEAR}
    found = only(lab_of(tmp_path, rows, BEST))
    assert found.word == "inconclusive"
    assert ", not told apart from near, were the true difference 1.0 points, about " in (
        found.sentence
    )
    assert found.parts[0].seeds is not None
    assert [pair["word"] for pair in found.parts[0].each] == ["supported", "inconclusive"]


@pytest.mark.parametrize(
    ("margin", "word", "ending"),
    [
        (0.5, "supported", "each by more than 0.5 points"),
        (2.1, "supported in direction", "not known whether by more than 2.1 points from grouped"),
        (3.0, "true but negligible", "less than the 3.0 points that matter from grouped"),
    ],
)
def test_the_nearest_decides_how_far_it_is_supported(
    tmp_path: Path, margin: float, word: str, ending: str
) -> None:
    rows = {"normal": NORMAL, "low": [50.0, 50.5, 49.8, 50.2, 50.1], "grouped": FEWER}
    found = only(lab_of(tmp_path, rows, BEST | {"margin": margin}))
    assert found.word == word
    assert f"{ending} (" in found.sentence


def test_each_of_several_is_held_against_another(tmp_path: Path) -> None:
    rows = {"normal": NORMAL, "depthwise": DROP_IN, "grouped": FEWER}
    saves = {"kind": "order", "metric": "params", "expect": "normal, depthwise < grouped"}
    worse = BEST | {"expect": "depthwise, grouped < normal"}
    alike = {"kind": "equivalence", "metric": "accuracy", "expect": "depthwise, grouped = normal"}
    found = judged(lab_of(tmp_path, rows, saves | {"margin": 0}, worse, alike | {"margin": 5.0}))
    assert [verdict.word for verdict in found] == ["supported"] * 3
    assert found[0].sentence == (
        "Supported as a drop-in: parameters of normal 10,000, grouped 30,000 and depthwise 20,000 "
        "(arithmetic of the full networks, staged, width 16)."
    )
    assert found[1].sentence.startswith(
        "Supported as a drop-in: accuracy of normal is 3.6 [2.6, 4.7] points above that of "
        "depthwise and "
    )
    assert "(97.5 % interval, adjusted for 2 tests, 5 seeds a row)" in found[1].sentence
    assert "each within 5.0 points" in found[2].sentence
    # Two claims that ask for statistics share the family; arithmetic is in none.
    assert [verdict.parts[0].tests for verdict in found] == [1, 2, 2]


def test_what_is_not_there_yet_leaves_a_claim_over_several_untested(tmp_path: Path) -> None:
    rows = {"normal": NORMAL, "depthwise": DROP_IN, "grouped": [None, None]}
    found = only(lab_of(tmp_path, rows, BEST))
    assert (found.word, found.why) == (
        "not tested", "grouped (drop-in): no value yet, 0 of 2 trials done",
    )  # fmt: skip


def test_too_few_seeds_of_any_row_are_said(tmp_path: Path) -> None:
    rows = {"normal": NORMAL, "depthwise": DROP_IN[:3], "grouped": FEWER}
    found = only(lab_of(tmp_path, rows, BEST))
    assert found.too_few
    assert found.screening == ("Fewer than 5 seeds: depthwise (drop-in) has 3.",)


# --- at a fixed budget ----------------------------------------------------------------------------


def test_what_is_over_the_budget_is_left_out_and_named(tmp_path: Path) -> None:
    rows = {"normal": DROP_IN, "depthwise": FEWER, "grouped": NORMAL}
    most = {"params": {"at_most": 20_000}}
    within = BEST | {"expect": "depthwise > all", "within": most, "margin": 0.2}
    asked = question("normal", "depthwise", "grouped", within=most)
    alone = BEST | {"expect": "normal > all", "within": {"params": {"at_most": 15_000}}}
    found = judged(
        lab_of(tmp_path, rows, within, BEST | {"expect": "depthwise > all"}, asked, alone)
    )
    assert [verdict.word for verdict in found] == ["supported", "refuted", "answered", "not tested"]
    assert (
        ", compared are networks with parameters of at most 20,000, left out as over it: grouped "
        f"(30,000) ({STAGED})." in found[0].sentence
    )
    assert "grouped" not in found[0].sentence.partition(", compared")[0]
    assert found[2].sentence.startswith(
        "Answered as a drop-in: depthwise has the best accuracy, ahead of normal by 1.6 "
    )
    assert found[2].parts[0].tests == 1  # of the two that are compared
    assert found[3].sentence == (
        "Not tested as a drop-in: compared are networks with parameters of at most 15,000, left "
        f"out as over it: depthwise (20,000) and grouped (30,000) ({STAGED})."
    )


def test_a_best_variant_over_the_budget_is_refuted(tmp_path: Path) -> None:
    rows = {"normal": DROP_IN, "depthwise": FEWER, "grouped": NORMAL}
    most = {"params": {"at_most": 20_000}}
    found = only(lab_of(tmp_path, rows, BEST | {"expect": "grouped > all", "within": most}))
    assert (found.word, found.why) == ("refuted", "over the budget")
    assert "Refuted as a drop-in: grouped is over the budget, compared are" in found.sentence


def seconds(*means: float) -> Any:
    """Return what times networks so, 5 processes that differ by 1 % and one copy."""

    def passes(lab: Lab, networks: list[dict[str, Any]]) -> dict[str, list[str]]:
        scales = (0.99, 0.995, 1.0, 1.005, 1.01)
        times = np.array([*means, means[0]])
        return lab.time(networks, *({1: np.full((8, len(times)), s) * times} for s in scales))

    return passes


@pytest.mark.parametrize(
    ("limit", "word", "told"),
    [
        ("5 ms", "supported", "left out as over it: grouped (8.00 ["),
        ("9 ms", "refuted", "compared are networks with latency at batch 1, fp32 of at most 9.00"),
        ("8 ms", "inconclusive", "not known to be within it: grouped (8.00 [7.89, 8.11] ms)"),
        ("1 ms", "refuted", "depthwise is over the budget, compared are"),
        ("4 ms", "inconclusive", "not known to be within it: depthwise (4.00 [3.94, 4.06] ms)"),
    ],
)
def test_times_are_budgets_with_intervals(tmp_path: Path, limit: str, word: str, told: str) -> None:
    rows = {"normal": DROP_IN, "depthwise": FEWER, "grouped": NORMAL}
    said = BEST | {
        "expect": "depthwise > all",
        "within": {"latency": {"at_most": limit, "at": {"batch": 1}}},
    }
    found = only(lab_of(tmp_path, rows, said, passes=seconds(0.003, 0.004, 0.008)))
    assert found.word == word
    assert told in found.sentence
    logs = np.log(0.008 * np.array([0.99, 0.995, 1.0, 1.005, 1.01]))
    level = 1 - 0.05 / 3  # two others and the budget of the claim's own variant
    ends = np.exp(stats.t.interval(level, 4, logs.mean(), stats.sem(logs)))
    assert [f"{1000 * end:.2f}" for end in ends] == ["7.89", "8.11"]


def test_a_budget_that_nobody_measured_is_said(tmp_path: Path) -> None:
    rows = {"normal": DROP_IN, "depthwise": FEWER}
    said = BEST | {"within": {"latency": {"at_most": "5 ms", "at": {"batch": 64}}}}
    assert only(lab_of(tmp_path / "1", rows, said)).why == (
        "the budget: this study asks for no latency"
    )
    timed = lab_of(tmp_path / "2", rows, said, passes=seconds(0.003, 0.004))
    assert only(timed).why == "the budget: there is no latency at batch 64"


# --- peaks of memory ------------------------------------------------------------------------------

MIB = 2**20
SETTING = {
    "phase": "inference", "batch": 64, "precision": "fp32", "memory_format": "channels_last",
    "mode": "eager", "threads": 1, "device": "cpu",
}  # fmt: skip


def peaks(
    *rounds: Sequence[float], settings: Sequence[dict[str, Any]] = (SETTING,), **more: Any
) -> Any:
    """Return what writes a memory pass of each network, with these peaks in MiB by round."""

    def passes(lab: Lab, networks: list[dict[str, Any]]) -> dict[str, list[str]]:
        made = []
        for network, found in zip(networks, rounds, strict=True):
            spec = {
                "metric": "inference_memory", "networks": [network], "settings": list(settings),
                "machine": {"cpu": "A CPU"},
            }  # fmt: skip
            arrays: dict[str, np.ndarray[Any, Any]] = {}
            for number in range(len(settings)):
                high = np.array([[round(it * MIB)] for it in found], np.int64)
                arrays |= {
                    f"peak_{number}": high,
                    f"tensors_{number}": more.get("tensors", high.min(axis=0)),
                    f"reset_{number}": np.array([more.get("reset", True)]),
                    f"weights_{number}": np.array([4096], np.int64),
                    f"inputs_{number}": np.array([4096], np.int64),
                }
            record = Record(
                kind="pass", id=records.identity(spec), spec=spec, status="ok", seconds=1.0,
                environment={"cores": 2}, started=records.now(), finished=records.now(),
            )  # fmt: skip
            records.write(lab.runs, record, arrays)
            made.append(record.id)
        return {"inference_memory": made}

    return passes


NEEDS = {"kind": "order", "metric": "inference_memory", "expect": "normal > depthwise", "margin": 0}
ROWS: dict[str, Sequence[Any]] = {"normal": [], "depthwise": []}


@pytest.mark.parametrize(
    ("said", "word", "text"),
    [
        (NEEDS, "supported", "inference memory of normal is 8.00 MiB higher than that of depthwise"
         " [5.75 MiB, 10.5 MiB] (band over 3 rounds of one process each)"),
        (NEEDS | {"at": {"batch": 64, "precision": "fp32"}}, "supported", "at batch 64:"),
        (NEEDS | {"margin": 9 * MIB}, "supported in direction", "the margin of 9.00 MiB"),
        (NEEDS | {"margin": "10%"}, "supported", "more than the margin of 2.40 MiB"),
        (NEEDS | {"expect": "normal < depthwise"}, "refuted", "the opposite of the claim"),
        ({"kind": "ratio", "metric": "inference_memory", "of": "normal/depthwise", "about": 1.5,
          "band": 0.3}, "supported", "is 1.50 times that of depthwise [1.34, 1.71]"),
        ({"kind": "ratio", "metric": "inference_memory", "of": "normal/depthwise", "about": 1.5},
         "inconclusive", "other rounds or processes may differ by more than that"),
        ({"kind": "range", "metric": "inference_memory", "of": "normal", "low": 20 * MIB,
          "high": 30 * MIB}, "supported", "claimed 20.0 MiB to 30.0 MiB"),
        ({"kind": "equivalence", "metric": "inference_memory", "expect": "normal = depthwise",
          "margin": 4 * MIB}, "refuted", "more than 4.00 MiB apart"),
        ({"kind": "question", "metric": "inference_memory", "between": ["normal", "depthwise"],
          "margin": MIB}, "answered", "depthwise has the best inference memory, ahead of normal"),
        (NEEDS | {"at": {"batch": 1}}, "not tested", "not measured at batch 1"),
        ({"kind": "count", "metric": "inference_memory", "of": "normal", "equals": 24 * MIB},
         "not tested", "a peak is no exact number; claim an order, a ratio or a range"),
    ],
)  # fmt: skip
def test_peaks_are_judged_by_bands(
    tmp_path: Path, said: dict[str, Any], word: str, text: str
) -> None:
    found = only(lab_of(tmp_path, ROWS, said, passes=peaks((24, 24.1, 24), (16, 16, 15.9))))
    assert found.word == word
    assert text in found.sentence
    for each in found.parts:
        if each.low is not None and each.high is not None and said["kind"] == "order":
            # From the lowest round of the one to the highest of the other, and 1 1/8 MiB for each.
            ends = [24 - 16 - 2.25, 24.1 - 15.9 + 2.25]
            assert [each.low / MIB, each.high / MIB] == pytest.approx(ends, abs=1e-5)
            assert each.tests == 1


def test_peaks_that_are_near_stay_open_and_count_in_no_family(tmp_path: Path) -> None:
    rows = {"normal": NORMAL, "depthwise": DROP_IN}
    order = {"kind": "order", "metric": "accuracy", "expect": "depthwise < normal", "margin": 0.5}
    lab = lab_of(tmp_path, rows, NEEDS, order, passes=peaks((24, 24), (22.5, 22.5)))
    memory, trained = judged(lab)
    assert (memory.word, trained.parts[0].tests) == ("inconclusive", 1)
    assert "other rounds or processes may differ by more than that (the full networks" in (
        memory.sentence
    )


def test_peaks_at_several_settings_are_judged_each(tmp_path: Path) -> None:
    settings = [SETTING, SETTING | {"batch": 1}]
    both = peaks((24, 24), (16, 16), settings=settings)
    found = only(lab_of(tmp_path, ROWS, NEEDS, passes=both))
    assert [each.where for each in found.parts] == [
        "as a drop-in at batch 64", "as a drop-in at batch 1",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("more", "word", "why"),
    [
        ({"reset": False}, "invalid", "this system tells only an upper bound of the peak"),
        ({"tensors": np.array([90 * MIB])}, "invalid", "memory that was freed before"),
    ],
)
def test_peaks_that_cannot_be_vouched_for_are_invalid(
    tmp_path: Path, more: dict[str, Any], word: str, why: str
) -> None:
    found = only(lab_of(tmp_path, ROWS, NEEDS, passes=peaks((24, 24), (16, 16), **more)))
    assert found.word == word
    assert why in found.why


def test_peaks_that_nobody_measured_are_not_tested(tmp_path: Path) -> None:
    assert only(lab_of(tmp_path, ROWS, NEEDS)).why == "this study asks for no inference memory"


def test_peaks_and_timed_budgets_are_screening_where_they_may_not_be_cited(tmp_path: Path) -> None:
    lab = lab_of(tmp_path / "1", ROWS, NEEDS, passes=peaks((24, 24), (16, 16)))
    lab.settings["dirty"] = True
    assert only(lab).screening == ("The code held changes that are in no commit.",)
    rows = {"normal": NORMAL, "depthwise": DROP_IN}
    said = BEST | {"within": {"latency": {"at_most": "5 ms"}}}

    def twice(lab: Lab, networks: list[dict[str, Any]]) -> dict[str, list[str]]:
        return lab.time(networks, *({1: np.full((8, 3), s)} for s in (0.003, 0.0031)))

    assert only(lab_of(tmp_path / "2", rows, said, passes=twice)).screening == (
        "Timed in 2 of the 5 processes that it takes.",
    )


def test_a_peak_may_be_a_budget(tmp_path: Path) -> None:
    rows = {"normal": NORMAL, "depthwise": DROP_IN, "grouped": FEWER}
    most = {"inference_memory": {"at_most": "20 MiB"}}
    found = only(
        lab_of(
            tmp_path, rows, BEST | {"expect": "grouped > all", "within": most},
            passes=peaks((30, 30), (10, 10), (12, 12)),
        )
    )  # fmt: skip
    assert found.word == "supported"
    assert "left out as over it: normal (30.0 MiB [28.9 MiB, 31.1 MiB])" in found.sentence


# --- the language ---------------------------------------------------------------------------------


def messages(said: str) -> list[str]:
    """Return what is wrong with a suite that makes this claim, without places."""
    text = changed(add=f"    claims:\n      - {{note: 'A:1', says: so, {said}}}\n")
    return [problem.message for problem in loaded(text).problems]


ORDER = "kind: order, metric: accuracy, margin: 1, expect: "


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("said", "message"),
    [
        (f"{ORDER}'normal > dilated, dilatd'",
         "the claim is about 'dilatd', which is no variant of this comparison; did you mean "
         "'dilated'?"),
        (f"{ORDER}'normal > dilated,'",
         "'normal > dilated,' has a comma too many; write for example "
         "`strided, strided_4x4 < maxpool`"),
        (f"{ORDER}'normal > dilated, dilated'",
         "'normal > dilated, dilated' names 'dilated' twice; name each variant once"),
        (f"{ORDER}'normal > dilated, all'",
         "'normal > dilated, all': `all` stands for every variant but one; write for example "
         "`pixel_shuffle < all`"),
        (f"{ORDER}'normal > all', over: {{network.width: [8, 16]}}",
         "a sweep (`over`) is of two variants that are named; it goes with no `all` and no "
         "`within`"),
        (f"{ORDER}normal > dilated, within: {{macs: {{at_most: 5}}}}",
         "`within` keeps one variant and those that it is compared with to a budget; write one on "
         "one side and several on the other, for example `pixel_shuffle > all`"),
        (f"{ORDER}normal > all, within: {{mac: {{at_most: 5}}}}",
         "unknown metric 'mac'; did you mean 'macs'?"),
        (f"{ORDER}normal > all, within: {{accuracy: {{at_most: 5}}}}",
         "'accuracy' is known after training only and is no budget; write for example params, macs "
         "or latency"),
        (f"{ORDER}normal > all, within: {{latency: {{at_most: 5}}}}",
         "latency is told in seconds; write the limit with its unit, for example 5 ms"),
        (f"{ORDER}normal > all, within: {{macs: {{at_most: 5 ms}}}}",
         "'5 ms' is no limit of macs, which is in MAC"),
        (f"{ORDER}normal > all, within: {{macs: {{at_most: 5, at: {{batch: 1}}}}}}",
         "macs is the same at every setting; leave this out"),
        (f"{ORDER}normal > all, within: {{macs: {{at_most: 0}}}}",
         "0 is no amount above zero; write a number, or one with a unit (s, ms, us, B, KiB, MiB, "
         "GiB), for example 5 ms"),
        (f"{ORDER}normal > all, within: {{latency: {{at_most: 5 m}}}}",
         "'5 m' is no amount above zero; write a number, or one with a unit (s, ms, us, B, KiB, "
         "MiB, GiB), for example 5 ms"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_claim_over_several_is_said(said: str, message: str) -> None:
    try:
        found = messages(said)
    except SuiteError as error:
        found = [problem.message for problem in error.problems]
    assert [text.removeprefix("claims[0]: ") for text in found] == [message]


@pytest.mark.usefixtures("here")
def test_a_claim_over_several_is_loaded_and_written_as_it_was() -> None:
    said = f"{ORDER}normal > all, within: {{latency: {{at_most: 5 ms, at: {{batch: 1}}}}}}"
    assert messages(said) == []
    plain = changed(
        add=f"    claims:\n      - {{note: 'A:1', says: so, {ORDER}normal > dilated}}\n"
    )
    (stored,) = [it.model_dump(mode="json") for it in loaded(plain).suite.comparisons[0].claims]
    # What came later is not in a claim that does not use it: a study asked again is the same.
    assert stored.keys() == {
        *("note", "says", "metric", "match", "primary", "device", "at", "over"),
        *("kind", "expect", "margin"),
    }
