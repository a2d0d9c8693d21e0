"""Decisions on numbers: against scipy and statsmodels, and how often they go wrong when simulated.

All simulations have fixed seeds and run the functions that verdicts are made with.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.weightstats import ttost_ind

from ablate.evidence import decide, failures, noise, power, stop, welch
from ablate.evidence.decide import Decision, Estimate
from ablate.evidence.family import holm

Decider = Callable[[float, float], Decision]

SAMPLES = [
    ([62.3, 61.9, 62.8, 62.1, 62.6], [58.8, 59.9, 58.1, 58.4, 59.3]),
    ([62.3, 61.9, 62.8], [62.0, 62.2, 61.1, 62.9, 62.4, 63.0, 61.5]),
    ([0.1, 0.5, 0.2, 0.9], [0.4, 0.1, 0.3, 0.25]),
    ([1e6, 1.1e6], [1.3e6, 1.25e6, 1.2e6]),
]


def order(margin: float) -> Decider:
    return lambda low, high: decide.order(low, high, margin)


def equivalence(margin: float) -> Decider:
    return lambda low, high: decide.equivalence(low, high, margin)


def judged(
    estimates: Sequence[Estimate | None], decider: Decider, sides: decide.Sides = 2
) -> list[Decision]:
    """Judge a family as verdicts do: the level from Holm, the word from the interval drawn."""
    known = [estimate for estimate in estimates if estimate is not None]
    levels = holm([decide.decided_at(estimate, decider, sides) for estimate in known])
    return [
        decider(*estimate.bounds(level, sides))
        for estimate, level in zip(known, levels, strict=True)
    ]


def at_most_5_percent(wrong: Sequence[bool]) -> None:
    """Check a share of errors, with the two standard errors that a simulation is good to."""
    assert np.mean(wrong) <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / len(wrong))


def families(
    rng: np.random.Generator,
    count: int,
    shifts: Sequence[float],
    runs: int,
    spreads: Sequence[float],
    spread: float = 1.0,
) -> Iterator[list[Estimate | None]]:
    """Yield the differences of variants to the baseline that they share."""
    theirs = rng.normal(0.0, spread, (count, runs)).tolist()
    ours = [
        rng.normal(shift, own, (count, runs)).tolist()
        for shift, own in zip(shifts, spreads, strict=True)
    ]
    for number in range(count):
        yield [decide.difference(variant[number], theirs[number]) for variant in ours]


# --- the decision tables --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("low", "high", "word", "why"),
    [
        (0.6, 1.2, "supported", ""),
        (0.5, 1.2, "supported in direction", ""),  # it may be just the margin
        (0.1, 1.2, "supported in direction", ""),
        (0.1, 0.5, "true but negligible", ""),
        (-0.1, 0.4, "inconclusive", "below the margin either way"),
        (0.0, 0.4, "inconclusive", "below the margin either way"),
        (-0.1, 1.2, "inconclusive", ""),
        (-0.6, 0.4, "inconclusive", ""),
        (-0.3, -0.1, "refuted", "opposite"),
        (-1.2, -0.6, "refuted", "opposite"),
        (0.0, 0.0, "refuted", "equal"),
        (0.5, 0.5, "true but negligible", ""),
        (0.51, 0.51, "supported", ""),
    ],
)
def test_order(low: float, high: float, word: decide.Word, why: str) -> None:
    assert decide.order(low, high, 0.5) == Decision(word, why)


def test_order_without_a_margin() -> None:
    assert decide.order(0.1, 0.2, 0.0) == Decision("supported")
    assert decide.order(-0.1, 0.2, 0.0) == Decision("inconclusive")
    assert decide.order(3.0, 3.0, 0.0) == Decision("supported")
    assert decide.order(0.0, 0.0, 0.0) == Decision("refuted", "equal")


@pytest.mark.parametrize(
    ("low", "high", "word", "why"),
    [
        (-0.4, 0.4, "supported", ""),
        (0.1, 0.5, "supported", ""),
        (-0.1, 0.6, "inconclusive", ""),
        (-0.9, 0.9, "inconclusive", ""),
        (0.6, 0.9, "refuted", "different"),
        (-0.9, -0.6, "refuted", "different"),
    ],
)
def test_equivalence(low: float, high: float, word: decide.Word, why: str) -> None:
    assert decide.equivalence(low, high, 0.5) == Decision(word, why)


def test_equivalence_without_a_margin_is_equality() -> None:
    assert decide.equivalence(0.0, 0.0, 0.0) == Decision("supported")
    assert decide.equivalence(2.0, 2.0, 0.0) == Decision("refuted", "different")


@pytest.mark.parametrize(
    ("low", "high", "word", "why"),
    [
        (7.5, 8.5, "supported", ""),
        (7.2, 8.8, "supported", ""),
        (7.1, 8.8, "inconclusive", ""),
        (6.1, 7.1, "refuted", "smaller than claimed"),
        (8.9, 9.9, "refuted", "larger than claimed"),
        (5.0, 9.9, "inconclusive", ""),
    ],
)
def test_about(low: float, high: float, word: decide.Word, why: str) -> None:
    assert decide.about(low, high, 7.2, 8.8) == Decision(word, why)


def test_at_least_and_at_most() -> None:
    assert decide.at_least(80.0, 81.0, 80.0) == Decision("supported")
    assert decide.at_least(79.0, 81.0, 80.0) == Decision("inconclusive")
    assert decide.at_least(78.0, 79.9, 80.0) == Decision("refuted", "smaller than claimed")
    assert decide.at_most(78.0, 80.0, 80.0) == Decision("supported")
    assert decide.at_most(79.0, 81.0, 80.0) == Decision("inconclusive")
    assert decide.at_most(80.1, 81.0, 80.0) == Decision("refuted", "larger than claimed")


@pytest.mark.parametrize(
    ("steps", "ends", "expected"),
    [
        ([(1, 1), (0, 0), (2, 2)], (3, 3), Decision("supported")),
        ([(1, 1), (-1, -1), (2, 2)], (2, 2), Decision("refuted", "falls on the way")),
        ([(0, 0), (0, 0)], (0, 0), Decision("refuted", "equal")),
        ([(0.2, 0.9), (0.3, 1.1)], (0.9, 1.6), Decision("supported")),
        ([(-0.4, 0.9), (0.3, 1.1)], (0.9, 1.6), Decision("supported")),
        ([(-0.6, 0.9), (0.3, 1.1)], (0.9, 1.6), Decision("inconclusive")),
        ([(-0.4, 0.4), (-0.4, 0.5)], (0.1, 0.4), Decision("true but negligible")),
        ([(-0.4, 0.4), (-0.4, 0.5)], (-0.6, -0.1), Decision("refuted", "opposite")),
    ],
)
def test_trend(
    steps: list[tuple[float, float]], ends: tuple[float, float], expected: Decision
) -> None:
    margin = 0.0 if all(low == high for low, high in steps) else 0.5
    assert decide.trend(steps, ends, margin) == expected


def test_what_is_not_a_number_decides_nothing() -> None:
    for decider in (*DECIDERS, order(0.0)):
        assert decider(math.nan, math.nan).word == "inconclusive"


# --- monotone -------------------------------------------------------------------------------------

DECIDERS: list[Decider] = [
    order(0.5),
    equivalence(0.5),
    lambda low, high: decide.at_least(low, high, 0.7),
    lambda low, high: decide.at_most(low, high, -0.7),
    lambda low, high: decide.about(low, high, 0.9, 1.1),
    lambda low, high: decide.trend([(low, high), (low + 0.2, high + 0.3)], (low, high), 0.5),
]
REFINED = {("supported in direction", word) for word in ("supported", "true but negligible")}

# Multiples of an eighth are exact and meet margins and one another.
numbers = st.integers(-16, 16).map(lambda eighths: eighths / 8)


@given(which=st.sampled_from(DECIDERS), bounds=st.lists(numbers, min_size=4, max_size=4))
def test_a_narrower_interval_never_changes_a_decision(which: Decider, bounds: list[float]) -> None:
    low, inner_low, inner_high, high = sorted(bounds)
    wide, narrow = which(low, high).word, which(inner_low, inner_high).word
    if wide != "inconclusive":
        assert narrow == wide or (wide, narrow) in REFINED


@given(low=numbers, high=numbers, truth=st.integers(1, 64))
def test_a_true_effect_below_the_margin_is_never_refuted_where_the_interval_holds_it(
    low: float, high: float, truth: int
) -> None:
    if low <= truth / 128 <= high:  # up to the margin
        assert decide.order(low, high, 0.5).word not in ("refuted", "supported")


@given(
    which=st.sampled_from(DECIDERS),
    value=st.floats(-3, 3),
    error=st.floats(1e-6, 10),
    freedom=st.floats(1, 40),
    sides=st.sampled_from([1, 2]),
)
def test_decided_at_is_where_the_decision_begins(
    which: Decider, value: float, error: float, freedom: float, sides: decide.Sides
) -> None:
    estimate = Estimate(value, error, freedom)
    p = decide.decided_at(estimate, which, sides)
    assert 0 <= p <= 1
    if 1e-12 < p < 0.49:
        assert which(*estimate.bounds(1 - p * (1 + 1e-3), sides)).word != "inconclusive"
        assert which(*estimate.bounds(1 - p * (1 - 1e-3), sides)).word == "inconclusive"


def test_decided_at_of_what_is_exact() -> None:
    assert decide.decided_at(Estimate(0.6), order(0.5)) == 0
    assert decide.decided_at(Estimate(-0.6), order(0.5)) == 0
    assert decide.decided_at(Estimate(math.nan), order(0.5)) == 1
    assert Estimate(0.6).bounds(0.999) == (0.6, 0.6)
    assert decide.decided_at(Estimate(1.0, 1e-300, 4.0), order(0.5)) == 0


# --- against scipy and statsmodels ----------------------------------------------------------------


@pytest.mark.parametrize(("ours", "theirs"), SAMPLES)
@pytest.mark.parametrize("level", [0.9, 0.95, 0.99, 1 - 0.05 / 6])
def test_difference_equals_scipy(ours: list[float], theirs: list[float], level: float) -> None:
    found = decide.difference(ours, theirs)
    assert found is not None
    expected = stats.ttest_ind(ours, theirs, equal_var=False)
    assert found.freedom == pytest.approx(expected.df, rel=1e-9)
    assert found.bounds(level) == pytest.approx(expected.confidence_interval(level), rel=1e-9)
    assert found.bounds(level, sides=1) == found.bounds(2 * level - 1)
    # A claim of order is decided where zero is outside: its p value is that of the t test.
    assert decide.decided_at(found, order(0.5)) == pytest.approx(expected.pvalue, rel=1e-9)
    same = welch.interval(ours, theirs, level)
    assert same is not None
    assert found.bounds(level) == pytest.approx((same.low, same.high), rel=1e-12)


@pytest.mark.parametrize(("ours", "theirs"), [SAMPLES[0], SAMPLES[2]])
def test_paired_equals_scipy(ours: list[float], theirs: list[float]) -> None:
    found = decide.paired(ours, theirs)
    assert found is not None
    expected = stats.ttest_rel(ours, theirs)
    assert found.freedom == expected.df
    assert found.bounds(0.95) == pytest.approx(expected.confidence_interval(0.95), rel=1e-9)
    assert decide.decided_at(found, order(0.0)) == pytest.approx(expected.pvalue, rel=1e-9)


@pytest.mark.parametrize(("ours", "theirs"), SAMPLES)
@pytest.mark.parametrize("times", [1.1, 1.5, 3.0])
def test_equivalence_equals_statsmodels(
    ours: list[float], theirs: list[float], times: float
) -> None:
    found = decide.difference(ours, theirs)
    assert found is not None
    margin = times * abs(found.value)
    expected, *_ = ttost_ind(ours, theirs, -margin, margin, usevar="unequal")
    p = decide.decided_at(found, equivalence(margin), sides=1)
    assert p == pytest.approx(expected, rel=1e-9)
    word = decide.equivalence(*found.bounds(0.95, sides=1), margin).word
    assert (word == "supported") == (expected <= 0.05)


def test_a_margin_of_a_fixed_number_equals_a_one_sided_test() -> None:
    ours, theirs = SAMPLES[0]
    found = decide.difference(ours, theirs)
    assert found is not None
    p = decide.decided_at(found, lambda low, high: decide.at_least(low, high, 3.0), sides=1)
    shifted = [value - 3.0 for value in ours]
    expected = stats.ttest_ind(shifted, theirs, equal_var=False, alternative="greater")
    assert p == pytest.approx(expected.pvalue, rel=1e-9)


def test_an_estimate_without_degrees_of_freedom_is_normal() -> None:
    low, high = Estimate(1.0, 2.0).bounds(0.95)
    assert (low, high) == pytest.approx(stats.norm.interval(0.95, 1.0, 2.0), rel=1e-9)
    p = decide.decided_at(Estimate(3.0, 1.0), order(0.0))
    assert p == pytest.approx(2 * stats.norm.sf(3.0), rel=1e-9)


def test_no_estimate_without_runs_or_spread() -> None:
    for make in (decide.difference, decide.log_ratio):
        assert make([1.0], [1.0, 2.0]) is None
        assert make([1.0, 2.0], []) is None
        assert make([3.0, 3.0], [1.0, 1.0]) is None
    assert decide.paired([1.0], [2.0]) is None
    assert decide.paired([1.0, 2.0], [2.0, 3.0]) is None
    with pytest.raises(ValueError, match="zip"):
        decide.paired([1.0, 2.0], [2.0])
    assert decide.log_ratio([-1.0, 0.5], [1.0, 2.0]) is None


def test_log_ratio_is_of_the_means() -> None:
    ours, theirs = SAMPLES[0]
    found = decide.log_ratio(ours, theirs)
    assert found is not None
    assert math.exp(found.value) == pytest.approx(np.mean(ours) / np.mean(theirs), rel=1e-12)
    # With runs this close to their mean it agrees with Welch's test of the logarithms.
    logs = stats.ttest_ind(np.log(ours), np.log(theirs), equal_var=False)
    assert found.bounds() == pytest.approx(logs.confidence_interval(0.95), rel=1e-2)
    back = decide.log_ratio(theirs, ours)
    assert back is not None
    assert back.bounds() == pytest.approx([-bound for bound in found.bounds()[::-1]], rel=1e-9)


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8])
def test_holm_equals_statsmodels(size: int) -> None:
    rng = np.random.default_rng(4)
    decided = 0
    for ps in (0.1 * rng.random((20, size)) ** 2).tolist():
        rejected, *_ = multipletests(ps, alpha=0.05, method="holm")
        levels = holm(ps)
        assert [p <= 1 - level for p, level in zip(ps, levels, strict=True)] == list(rejected)
        assert all(0.95 - 1e-9 < level < 1 - 0.05 / size + 1e-9 for level in levels)
        decided += rejected.sum()
    assert 0 < decided < 20 * size


def test_holm_adjusts_as_much_as_statsmodels() -> None:
    ps = [0.011, 0.0002, 0.03, 0.9, 0.0121, 0.04]
    _, adjusted, *_ = multipletests(ps, method="holm")
    for number, exact in enumerate(adjusted[adjusted < 1]):
        member = np.flatnonzero(adjusted < 1)[number]
        for alpha, decided in ((exact * (1 + 1e-9), True), (exact * (1 - 1e-9), False)):
            assert (ps[member] <= 1 - holm(ps, alpha)[member] + 1e-15) == decided


def test_levels_of_a_family() -> None:
    assert holm([]) == []
    assert holm([0.3]) == [0.95]
    assert holm([0.001]) == [0.95]
    # One after the other, and the rest where it stopped.
    assert holm([0.02, 0.001, 0.04]) == pytest.approx([0.975, 1 - 0.05 / 3, 0.95])
    assert holm([0.03, 0.001, 0.04]) == pytest.approx([0.975, 1 - 0.05 / 3, 0.975])
    # Members of one round share its level.
    assert holm([0.001, 0.002, 0.2]) == pytest.approx([1 - 0.05 / 3, 1 - 0.05 / 3, 0.95])
    assert holm([1.0, 1.0]) == pytest.approx([0.975, 0.975])


@given(st.lists(st.floats(0, 0.2), min_size=2, max_size=6), st.randoms())
def test_holm_does_not_depend_on_the_order(ps: list[float], random: Any) -> None:
    shuffled = list(range(len(ps)))
    random.shuffle(shuffled)
    levels = holm(ps)
    assert holm([ps[i] for i in shuffled]) == [levels[i] for i in shuffled]


# --- how often it goes wrong ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("runs", "least", "most"), [(3, 0.94, 0.975), (5, 0.94, 0.96), (10, 0.94, 0.96)]
)
@pytest.mark.parametrize("spread", [1.0, 1.5, 3.0])
def test_coverage(runs: int, least: float, most: float, spread: float) -> None:
    rng = np.random.default_rng(20260101)
    found = [found for (found,) in families(rng, 10_000, [1.0], runs, [spread])]
    covered = 0
    for estimate in found:
        assert estimate is not None
        low, high = estimate.bounds()
        covered += low < 1.0 < high
    assert least <= covered / len(found) <= most


@pytest.mark.parametrize("spread", [0.02, 0.2])
def test_coverage_of_a_ratio(spread: float) -> None:
    rng = np.random.default_rng(3)
    ours = rng.normal(8.0, 8.0 * spread, (8000, 5)).tolist()
    theirs = rng.normal(1.0, spread, (8000, 5)).tolist()
    covered = 0
    for mine, other in zip(ours, theirs, strict=True):
        estimate = decide.log_ratio(mine, other)
        assert estimate is not None
        low, high = estimate.bounds()
        covered += low < math.log(8.0) < high
    assert 0.94 <= covered / len(ours) <= 0.96


SPREADS = {"equal": [1.0] * 6, "unequal": [0.02, 0.02, 0.02, 0.5, 1.0, 2.0]}


@pytest.mark.parametrize("size", [1, 3, 6])
@pytest.mark.parametrize("margin", [0.3, 2.0])  # of the spread
@pytest.mark.parametrize("spreads", SPREADS)
def test_at_the_margin_hardly_any_family_supports(size: int, margin: float, spreads: str) -> None:
    rng = np.random.default_rng(11)
    own = SPREADS[spreads][-size:] if size < 6 else SPREADS[spreads]
    wrong = [
        any(found.word == "supported" for found in judged(family, order(margin)))
        for family in families(rng, 2000, [margin] * size, 5, own, spread=own[0])
    ]
    assert np.mean(wrong) <= 0.05


@pytest.mark.parametrize("runs", [5, 10])
@pytest.mark.parametrize("size", [1, 3, 6])
@pytest.mark.parametrize("spreads", SPREADS)
def test_without_any_difference_hardly_any_family_names_a_direction(
    size: int, spreads: str, runs: int
) -> None:
    rng = np.random.default_rng(12)
    own = SPREADS[spreads][-size:]
    wrong = [
        any(found.word != "inconclusive" for found in judged(family, order(0.5)))
        for family in families(rng, 3000, [0.0] * size, runs, own)
    ]
    at_most_5_percent(wrong)


@pytest.mark.parametrize("runs", [5, 10])
def test_a_true_effect_below_the_margin_is_never_refuted(runs: int) -> None:
    rng = np.random.default_rng(13)
    words = [
        judged(family, order(0.5))[0]
        for family in families(rng, 4000, [0.3], runs, [0.1], spread=0.1)
    ]
    assert not any(found.word == "refuted" for found in words)
    assert np.mean([found.word == "true but negligible" for found in words]) > 0.7
    # With spreads that hide it, only by the intervals that miss it on the far side.
    words = [
        judged(family, order(0.5))[0]
        for family in families(rng, 4000, [0.3], runs, [0.6], spread=0.6)
    ]
    assert np.mean([found.word == "refuted" for found in words]) < 0.01
    assert {found.why for found in words if found.word == "refuted"} <= {"opposite"}


@pytest.mark.parametrize("size", [1, 3])
@pytest.mark.parametrize(("runs", "spread"), [(5, 0.5), (5, 0.1), (10, 0.5), (10, 0.1)])
def test_at_the_margin_equivalence_is_hardly_ever_claimed(
    size: int, runs: int, spread: float
) -> None:
    rng = np.random.default_rng(14)
    wrong = [
        any(found.word == "supported" for found in judged(family, equivalence(1.0), sides=1))
        for family in families(rng, 6000 // size, [1.0] * size, runs, [spread] * size, spread)
    ]
    at_most_5_percent(wrong)


def test_equivalence_is_found_with_the_seeds_that_it_takes() -> None:
    # Two one-sided tests at 5 %, 80 % power, no true difference: 18 runs a side at a spread of 0.5.
    rng = np.random.default_rng(15)
    for runs, least, most in ((18, 0.79, 0.85), (10, 0.2, 0.5)):
        words = [
            judged(family, equivalence(0.5), sides=1)[0].word
            for family in families(rng, 3000, [0.0], runs, [0.5], 0.5)
        ]
        assert least < np.mean([word == "supported" for word in words]) < most


@pytest.mark.parametrize("runs", [3, 5, 10])
@pytest.mark.parametrize("spread", [1.0, 1.6])
@pytest.mark.parametrize("level", [0.95, 1 - 0.05 / 3])
def test_power_at_the_detectable_effect(runs: int, spread: float, level: float) -> None:
    size = welch.detectable(spread, runs, 1.0, runs, level=level)
    rng = np.random.default_rng(16)
    seen = 0
    for (estimate,) in families(rng, 5000, [size], runs, [spread]):
        assert estimate is not None
        seen += decide.order(*estimate.bounds(level), 0.0).word == "supported"
    assert 0.78 <= seen / 5000 <= 0.83


@pytest.mark.parametrize(("runs", "spread"), [(3, 1.0), (5, 1.6), (10, 1.0)])
def test_power_at_the_detectable_effect_that_a_pilot_prints(runs: int, spread: float) -> None:
    """The effect is computed from the spreads of some runs, and tried on as many others."""
    rng = np.random.default_rng(21)
    lows = []
    for (again,) in families(rng, 3000, [0.0], runs, [spread]):
        assert again is not None
        lows.append(again.bounds()[0])
    pilots = np.std(rng.normal(0.0, 1.0, (300, 2, runs)), axis=2, ddof=1) * [spread, 1.0]
    sizes = [welch.detectable(a, runs, b, runs, estimated=True) for a, b in pilots.tolist()]
    # A true difference of a size moves every interval by it.
    seen = [np.mean(np.array(lows) + size > 0) for size in sizes]
    assert 0.78 <= np.mean(seen) <= 0.90


@pytest.mark.parametrize("until", [0.5, 0.8])
def test_stopping_by_precision_covers(until: float) -> None:
    """Runs are added until the interval is narrow, as a study with `until` does."""
    rng = np.random.default_rng(17)
    ours = rng.normal(0.4, 0.8, (3000, 40)).tolist()
    theirs = rng.normal(0.0, 0.6, (3000, 40)).tolist()
    covered, used = 0, []
    for mine, other in zip(ours, theirs, strict=True):
        sides = [(dict(enumerate(mine[:n])), dict(enumerate(other[:n]))) for n in range(5, 40)]
        runs = next((len(a) for a, b in sides if stop._narrow(a, b, 40, until, False)), 40)
        estimate = decide.difference(mine[:runs], other[:runs])
        assert estimate is not None
        low, high = estimate.bounds()
        covered += low < 0.4 < high
        used.append(runs)
    assert min(used) < np.mean(used) < max(used)  # there was something to stop
    assert covered / len(used) >= 0.93


# --- how many runs would decide -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("difference", "spread", "seeds"),
    [(0.2, 0.25, 26), (0.5, 0.5, 17), (1.0, 0.5, 6), (0.5, 0.7, 32)],
)
def test_with_a_spread_that_is_known_it_is_the_noncentral_t(
    difference: float, spread: float, seeds: int
) -> None:
    pilot = 1000  # so that its spread is as good as known
    estimate = Estimate(difference, spread * math.sqrt(2 / pilot), 2 * pilot - 2)
    found = power.seeds_to_decide(estimate, pilot, order(0.0))
    assert found is not None
    assert abs(found - seeds) <= 1
    assert welch.seeds_to_detect(difference, spread, spread) == seeds


def test_seeds_for_equivalence_agree_with_the_table() -> None:
    # 80 % power, two one-sided tests at 5 %, no true difference.
    for margin, spread, seeds in ((0.5, 0.5, 18), (0.5, 0.3, 7), (0.2, 0.25, 28)):
        estimate = Estimate(0.0, spread * math.sqrt(2 / 1000), 1998)
        found = power.seeds_to_decide(estimate, 1000, equivalence(margin), sides=1)
        assert found is not None
        assert abs(found - seeds) <= 1


def test_a_pilot_that_does_not_know_its_spread_asks_for_more() -> None:
    pilot = Estimate(0.5, 0.5 * math.sqrt(2 / 5), 8.0)
    found = power.seeds_to_decide(pilot, 5, order(0.0))
    assert found is not None
    assert 19 <= found <= 24  # 17 if the spread were known
    stricter = power.seeds_to_decide(pilot, 5, order(0.0), level=1 - 0.05 / 6)
    assert stricter is not None
    assert stricter > found


def test_where_no_number_of_runs_would_do() -> None:
    assert power.seeds_to_decide(Estimate(0.5), 5, order(0.0)) is None
    assert power.seeds_to_decide(Estimate(0.0, 0.3, 8.0), 5, order(0.0)) is None
    assert power.seeds_to_decide(Estimate(1e-5, 0.3, 8.0), 5, order(0.0)) is None


def test_the_effect_to_plan_for() -> None:
    assert power.effect(Estimate(0.3, 0.5, 8.0), 0.5) == 1.0
    assert power.effect(Estimate(-0.3, 0.5, 8.0), 0.5) == -1.0
    assert power.effect(Estimate(0.3, 0.5, 8.0), 0.0) == 0.3
    sure = power.effect(Estimate(3.0, 0.5, 8.0), 0.5)
    assert sure == pytest.approx(3.0 - 0.5 * stats.t.ppf(0.85, 8))
    assert power.seeds_to_decide(
        Estimate(0.1, 0.5, 8.0), 5, order(0.5), truth=1.0
    ) == power.seeds_to_decide(Estimate(1.0, 0.5, 8.0), 5, order(0.5))


@pytest.mark.parametrize("spread", [1.0, 2.0, 3.0])  # in units of the margin
def test_the_stated_number_of_seeds_decides(spread: float) -> None:
    """Pilots of five runs a side, a true effect of twice the margin, and then a new experiment."""
    rng = np.random.default_rng(18)
    decided, stated = [], []
    for (pilot,) in families(rng, 500, [2.0], 5, [spread], spread):
        assert pilot is not None
        truth = power.effect(pilot, 1.0)
        runs = power.seeds_to_decide(pilot, 5, order(1.0), truth=truth)
        assert runs is not None
        ours, theirs = rng.normal(0.0, spread, (2, runs))
        again = decide.difference((ours + 2.0).tolist(), theirs.tolist())
        decided.append(judged([again], order(1.0))[0].word != "inconclusive")
        # It is told where the pilot itself leaves the claim open.
        stated.append(judged([pilot], order(1.0))[0].word == "inconclusive")
    assert 0.75 <= np.mean(decided) <= 0.90
    assert 0.75 <= np.mean(np.array(decided)[stated]) <= 0.95  # such pilots overestimate spreads


# --- failures and noise ---------------------------------------------------------------------------


@pytest.mark.parametrize("table", [(0, 5, 4, 5), (1, 10, 7, 10), (2, 20, 3, 10), (3, 5, 3, 5)])
def test_failure_rates_equal_boschloo(table: tuple[int, int, int, int]) -> None:
    failed_ours, n_ours, failed_theirs, n_theirs = table
    by_row = [[failed_ours, failed_theirs], [n_ours - failed_ours, n_theirs - failed_theirs]]
    p = failures.compare(*table)
    assert p == pytest.approx(stats.boschloo_exact(by_row).pvalue, rel=1e-9)
    assert p <= stats.fisher_exact(by_row).pvalue + 1e-9


def test_failure_rates_of_nothing() -> None:
    for table in ((0, 0, 3, 5), (0, 5, 0, 5), (5, 5, 5, 5), (0, 0, 0, 0)):
        assert failures.compare(*table) == 1.0
    with pytest.raises(ValueError, match="failures are counted out of the trials that ended"):
        failures.compare(6, 5, 0, 5)


def test_probability_of_superiority_is_the_rank_statistic() -> None:
    for ours, theirs in SAMPLES:
        expected = stats.mannwhitneyu(ours, theirs).statistic / (len(ours) * len(theirs))
        assert noise.probability_of_superiority(ours, theirs) == pytest.approx(expected)
    assert noise.probability_of_superiority([1.0, 2.0], [1.0]) == 0.75
    assert noise.probability_of_superiority([], [1.0]) is None


def test_sign_consistency() -> None:
    ours, theirs = {0: 1.0, 1: 2.0, 2: 3.0, 3: 9.0}, {2: 1.0, 1: 2.5, 0: 0.0, 5: 1.0}
    assert noise.sign_consistency(ours, theirs) == (2, 3)
    assert noise.sign_consistency(theirs, ours) == (2, 3)
    assert noise.sign_consistency({0: 1.0}, {1: 1.0}) is None
    assert noise.sign_consistency({0: 1.0, 1: 2.0}, {0: 2.0, 1: 1.0}) is None


@pytest.mark.parametrize("quality", [0.0, 0.02])
def test_noise_comes_apart(quality: float) -> None:
    """Runs of known quality, tested on the same examples, of which some are harder than others."""
    rng = np.random.default_rng(19)
    hard = rng.uniform(0.3, 0.9, 1000)
    rates = np.clip(hard + quality * rng.normal(size=(400, 1)), 0, 1)
    scores = (rng.random((400, 1000)) < rates).astype(float)
    found = noise.apart(scores)
    assert found is not None
    assert found.total == pytest.approx(np.std(scores.mean(axis=1), ddof=1))
    expected = math.sqrt((hard * (1 - hard)).sum()) / 1000
    assert found.examples == pytest.approx(expected, rel=0.02)
    assert found.quality == pytest.approx(quality, abs=0.004 if quality == 0 else 0.002)
    # By hand: sqrt(sum of R / (R - 1) p (1 - p)) / n over the examples.
    p = scores.mean(axis=0)
    assert found.examples == pytest.approx(math.sqrt(400 / 399 * (p * (1 - p)).sum()) / 1000)


def test_noise_of_examples_that_belong_together() -> None:
    rng = np.random.default_rng(20)
    right = (rng.random((300, 200)) < 0.7).astype(float)
    cluster = np.repeat(np.arange(200), 5)
    scores = np.repeat(right, 5, axis=1)  # a run gets a whole cluster right or wrong
    apart, blind = noise.apart(scores, cluster), noise.apart(scores)
    assert apart is not None
    assert blind is not None
    assert apart.examples == pytest.approx(math.sqrt(0.7 * 0.3 / 200), rel=0.03)
    assert blind.quality > 2 * apart.quality  # takes luck for quality
    assert noise.apart(scores[:1]) is None


def test_on_the_population_a_difference_is_less_certain() -> None:
    here = Estimate(1.0, 0.3, 8.0)
    there = noise.on_population(here, 0.4)
    assert there == Estimate(1.0, 0.5, 8.0)
    assert noise.on_population(here, 0.0) == here
