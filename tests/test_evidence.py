"""Evidence: statistics against other implementations and simulation, and what the records show."""

import math
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.power import TTestPower

from ablate import records
from ablate import study as studies
from ablate.evidence import (
    answer,
    citable,
    contrast,
    effects,
    latency,
    memory,
    requirements,
    sampling,
    spelling,
    stop,
    welch,
)
from ablate.evidence.collect import collect
from ablate.evidence.effects import HIGHER, LOWER, UNKNOWN
from ablate.evidence.frame import COLUMNS, load
from ablate.records import Epoch, Measurement, Record
from ablate.study import ComparisonAsked, DataUsed, Measure, Row, Study

# --- a study and its records, made of numbers -----------------------------------------------------


ACCURACY = Measure(name="accuracy", title="Accuracy", unit="%", direction="higher", margin=0.5)
PSNR = Measure(name="psnr", title="PSNR", unit="dB", direction="higher", margin=0.1)


@dataclass
class Lab:
    """Writes a study and records with chosen values, through the same functions as a real run."""

    runs: Path
    measure: Measure = ACCURACY
    comparisons: list[ComparisonAsked] = field(default_factory=list)
    settings: dict[str, Any] = field(default_factory=dict)
    count: int = 0

    def row(
        self,
        variant: str,
        values: Sequence[float | str | None],
        *,
        reference: str | None = "",
        match: tuple[str, ...] = ("none",),
        params: float = 100_000,
        full_params: float | None = None,
        changes: dict[str, Any] | None = None,
        solved: dict[str, float] | None = None,
        residual: float | None = None,
        structure: tuple[str, ...] = (),
        steps: int = 628,
        correct: "np.ndarray[Any, Any] | None" = None,
        cluster: "np.ndarray[Any, Any] | None" = None,
        facts: dict[str, Measurement] | None = None,
        scores: tuple[str, ...] = ("train_accuracy", "validation_accuracy", "train_loss"),
        measured: list[dict[str, Measurement]] | None = None,
        network: dict[str, Any] | None = None,
        trained_as: dict[str, Any] | None = None,
    ) -> Row:
        """Write a row's records. A value is a number, "failed", "diverged", or None: missing.

        `reference` "" is the baseline, whichever that will be. `steps` 0: nothing is trained.
        `correct` (seeds, n) are the examples that each seed's network gets right, `measured`
        (seeds) what its trial measured beside the accuracy, `network` options of its network and
        `trained_as` the parts of its configuration that differ from the full one.
        """
        trials = {}
        for seed, value in enumerate(values):
            spec = {
                "variant": variant,
                "match": list(match),
                "seed": seed,
                "lab": [self.settings, self.count],
            }
            trials[seed] = records.identity(spec)
            arrays = {}
            if correct is not None:
                arrays["test_correct"] = correct[seed]
            if cluster is not None:
                arrays["test_cluster"] = cluster
            if value is not None:
                more = measured[seed] if measured else {}
                record = self._trial(trials[seed], spec, value, steps, scores, more)
                records.write(self.runs, record, arrays)
        ids = []
        for size in (params, full_params or params):  # of the network as trained, of the full one
            spec = {
                "facts": variant,
                "match": list(match),
                "size": size,
                "lab": [self.settings, self.count],
            }
            ids.append(records.identity(spec))
            records.write(self.runs, self._fact(ids[-1], spec, size, facts or {}))
        self.count += 1
        config = {
            "task": {"kind": "classify"},
            "data": {"name": "cifar10"},
            "network": {
                "family": "staged",
                "stages": [{"layers": [{"channels": 16}, {"channels": 16}]}],
                "width": 16.0,
            }
            | (network or {}),
            "recipe": {"optimizer": "sgd", "lr": 0.1, "epochs": 4, "augment": ["crop", "flip"]},
        }
        return Row(
            variant=variant,
            match=list(match),
            reference=reference,
            changes=changes or {},
            solved=solved or {},
            full_solved={k: 2 * v for k, v in (solved or {}).items()},
            residual=residual,
            full_residual=residual,
            structure=list(structure),
            config=config | (trained_as or {}),
            full_config=config,
            trials=trials,
            facts=ids[0],
            full_facts=ids[1],
        )

    def compare(self, *rows: Row, id: str = "depthwise", **changed: Any) -> None:
        """Add a comparison of rows, the first of which is the baseline."""
        first = rows[0].variant
        rows = (
            rows[0].model_copy(update={"reference": None}),
            *(
                row if row.reference != "" else row.model_copy(update={"reference": first})
                for row in rows[1:]
            ),
        )
        data = {
            "name": "cifar10",
            "title": "CIFAR-10",
            "digest": "0f1e2d3c4b5a",
            "requested": "cifar10",
            "sizes": {"train": 10_000, "validation": 2_000, "test": 10_000},
        }
        asked = {
            "id": id,
            "title": "Normal or depthwise separable?",
            "table": f"tbl-{self.settings.get('suite', 's7')}-{id}",
            "baseline": rows[0].variant,
            "measure": self.measure,
            "data": DataUsed(**(data | changed.pop("data", {}))),
            "rows": list(rows),
            "claims": [
                {"note": "A:113", "says": "8 times less parameters", "kind": "ratio",
                 "metric": "params", "of": "normal/depthwise", "about": 8, "primary": False},
                {"note": "B:72", "says": "not as strong as 3x3", "kind": "order",
                 "metric": "accuracy", "expect": "depthwise < normal", "margin": 0.5},
            ],
        }  # fmt: skip
        self.comparisons.append(ComparisonAsked(**(asked | changed)))

    def time(
        self,
        networks: list[dict[str, Any]],
        *processes: "dict[int, np.ndarray[Any, Any]]",
        **more: Any,
    ) -> dict[str, list[str]]:
        """Write passes over networks, each (rounds, networks + 1) by batch; return what to ask."""
        made = [self._timed(networks, p, seconds, more) for p, seconds in enumerate(processes)]
        return {"latency": made}

    def _timed(
        self,
        networks: list[dict[str, Any]],
        process: int,
        seconds: "dict[int, np.ndarray[Any, Any]]",
        more: dict[str, Any],
    ) -> str:
        shared = {
            "phase": "inference",
            "precision": "fp32",
            "memory_format": "channels_last",
            "mode": "eager",
            "threads": 1,
            "device": "cpu",
        }
        spec = {
            "networks": networks,
            "settings": [shared | {"batch": batch} for batch in seconds],
            "process": process,
            "machine": {"cpu": "A CPU", "cores": 2, "torch": "2.15.0"},
            "lab": [self.settings, self.count],
        }
        fields = {
            "kind": "pass",
            "id": records.identity(spec),
            "spec": spec,
            "status": "ok",
            "seconds": 12.0,
            "environment": {"cpu": "A CPU", "threads": 1, "processes": 1},
            "started": "2026-11-21T09:10:00+00:00",
            "finished": "2026-11-21T09:10:12+00:00",
        }
        arrays = {f"seconds_{number}": times for number, times in enumerate(seconds.values())}
        made = Record(**(fields | more))
        records.write(self.runs, made, arrays)
        return made.id

    def ask(self) -> Study:
        """Write the study down."""
        chosen = {
            "suite": "s7",
            "title": "EVA4 Session 7: advanced convolutions",
            "question": "Which of the session's design choices earn their cost?",
            "source": {"note": "A", "title": "EVA4 Session 7 notes"},
            "profile": "quick",
            "overrides": [],
            "seeds": sorted({s for c in self.comparisons for r in c.rows for s in r.trials}),
            "stop": None,
            "device": "cpu",
            "precision": "bf16",
            "engine": 1,
            "comparisons": self.comparisons,
            "requirements": [],
            "created": "2026-11-21T09:00:00+00:00",
            "commit": "3d688c5bd55e298b3bdbf4b2f81c7ce739778d0b",
            "dirty": False,
        } | self.settings
        made = Study(id=f"{chosen['suite']}-{self.settings.get('hash', '0a1b2c3d')}", **{
            name: value for name, value in chosen.items() if name != "hash"
        })  # fmt: skip
        return studies.ask(self.runs, made)

    def _trial(
        self,
        id: str,
        spec: dict[str, Any],
        value: float | str,
        steps: int,
        scores: tuple[str, ...],
        more: dict[str, Measurement],
    ) -> Record:
        ended = isinstance(value, float | int)
        final = float(value) if ended else 30.0
        epochs = [
            Epoch(
                epoch=epoch,
                step=steps * epoch // 4,
                seconds=6.5,
                images=10_000,
                learning_rate=0.1 * (1 - epoch / 4),
                scores={
                    name: 2.3 - 0.3 * epoch
                    if name.endswith("loss")
                    else final - 8 * (4 - epoch) - (name == "train_accuracy")
                    for name in scores
                },
            )
            for epoch in range(1, (5 if ended else 2) if steps else 1)
        ]
        it = self.measure
        metrics = {
            it.name: Measurement(value=final, unit=it.unit, title=it.title, direction=it.direction)
        }
        return Record(
            kind="trial",
            id=id,
            spec=spec,
            status="ok" if ended else value,
            reason=None if ended else "the loss is not a number",
            metrics=metrics | more if ended else {},
            epochs=epochs,
            seconds=26.25,
            environment={
                "python": "3.11.9", "cpu": "A CPU", "load": final, "packages": {"torch": "2.15.0"}
            },
            started="2026-11-21T09:00:00+00:00",
            finished="2026-11-21T09:00:26+00:00",
        )  # fmt: skip

    def _fact(
        self, id: str, spec: dict[str, Any], size: float, more: dict[str, Measurement]
    ) -> Record:
        def fact(value: float, title: str, unit: str = "", direction: Any = "lower") -> Measurement:
            return Measurement(value=value, unit=unit, title=title, direction=direction)

        return Record(
            kind="fact",
            id=id,
            spec=spec,
            status="ok",
            metrics={
                "params": fact(int(size), "Parameters"),
                "macs": fact(int(size) * 150, "MACs"),
                "receptive_field": fact(76, "Receptive field", "px", "none"),
            }
            | more,
            seconds=0.2,
            started="2026-11-21T09:00:00+00:00",
            finished="2026-11-21T09:00:00+00:00",
        )


NORMAL = [62.3, 62.9, 61.8, 62.5, 62.0]
DROP_IN = [58.4, 59.6, 58.0, 59.1, 58.2]
EQUAL = [65.2, 64.8, 65.4, 64.3, 65.1]


def three_rows(runs: Path, **asked: Any) -> Lab:
    """Return a lab with the comparison of the session: drop-in and at equal parameters."""
    lab = Lab(runs, settings=asked)
    lab.compare(
        lab.row("normal", NORMAL, params=82_010, full_params=324_330),
        lab.row(
            "depthwise_separable",
            DROP_IN,
            params=12_240,
            full_params=40_190,
            changes={"network.conv": "depthwise_separable"},
            structure=("- 6 Conv2d 3x3", "+ 6 Conv2d 3x3 depthwise", "+ 6 Conv2d 1x1"),
        ),
        lab.row(
            "depthwise_separable",
            EQUAL,
            match=("params",),
            params=82_400,
            full_params=325_000,
            changes={"network.conv": "depthwise_separable"},
            solved={"network.width": 43.7},
            residual=0.0048,
            structure=("- 6 Conv2d 3x3", "+ 6 Conv2d 3x3 depthwise", "+ 6 Conv2d 1x1"),
        ),
    )
    return lab


def two_rows(runs: Path, ours: list[Any], theirs: list[Any], **asked: Any) -> Lab:
    """Return a lab with one variant against a baseline."""
    lab = Lab(runs, settings=asked)
    lab.compare(lab.row("normal", theirs, params=82_010), lab.row("depthwise", ours, params=12_240))
    return lab


def gathered(lab: Lab) -> Any:
    """Return the evidence of a lab's only comparison."""
    return collect(lab.runs, lab.ask()).comparisons[0]


# --- Welch ----------------------------------------------------------------------------------------

SAMPLES = [
    ([62.3, 62.9, 61.8], [58.4, 59.6, 58.0, 59.1]),
    ([0.1, 0.2], [5.0, 5.5, 4.1, 4.4, 9.9, 3.1]),
    ([1e6, 1e6 + 1, 1e6 - 3], [1e6, 1e6, 1e6 + 2]),
    ([5.0, 5.0, 5.0], [1.0, 2.0, 4.0]),
]


# scipy warns where one side does not vary; the interval is right all the same.
@pytest.mark.filterwarnings("ignore:Precision loss:RuntimeWarning")
@pytest.mark.parametrize(("ours", "theirs"), SAMPLES)
def test_interval_equals_scipy_and_statsmodels(ours: list[float], theirs: list[float]) -> None:
    from scipy import stats
    from statsmodels.stats.weightstats import CompareMeans, DescrStatsW

    found = welch.interval(ours, theirs)
    assert found is not None
    expected = stats.ttest_ind(ours, theirs, equal_var=False)
    assert found.degrees_of_freedom == pytest.approx(expected.df, rel=1e-9)
    low, high = expected.confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((low, high), rel=1e-9)
    compared = CompareMeans(DescrStatsW(ours), DescrStatsW(theirs))
    low, high = compared.tconfint_diff(usevar="unequal")
    assert (found.low, found.high) == pytest.approx((low, high), rel=1e-9)
    assert found.mean == pytest.approx(np.mean(ours) - np.mean(theirs), rel=1e-9)


@pytest.mark.parametrize(
    ("runs_a_side", "least", "most"), [(3, 0.94, 0.975), (5, 0.94, 0.96), (10, 0.94, 0.96)]
)
def test_interval_covers_the_truth_as_often_as_it_says(
    runs_a_side: int, least: float, most: float
) -> None:
    rng = np.random.default_rng(20260101)
    ours = rng.normal(1.0, 0.7, (6000, runs_a_side)).tolist()
    theirs = rng.normal(0.0, 0.5, (6000, runs_a_side)).tolist()
    found = [welch.interval(a, b) for a, b in zip(ours, theirs, strict=True)]
    covered = np.mean([i is not None and i.low < 1.0 < i.high for i in found])
    assert least < covered < most


def test_no_interval_without_spread() -> None:
    assert welch.interval([1.0], [1.0, 2.0]) is None
    assert welch.interval([1.0, 2.0], []) is None
    assert welch.interval([3.0, 3.0], [1.0, 1.0]) is None
    tiny = welch.interval([0.0, 1e-200], [0.0, 2e-200])  # squares of these are zero
    assert tiny is not None
    assert 1 < tiny.degrees_of_freedom < 2


@pytest.mark.parametrize("constant", [60.0, 0.1, 26.9])  # a mean of 26.9s is not quite 26.9
@pytest.mark.parametrize("runs", [2, 3, 7])
def test_against_a_constant_it_is_the_interval_of_one_sample(constant: float, runs: int) -> None:
    from scipy import stats

    values = [61.2, 60.7, 61.9, 61.1]
    assert welch.deviation([constant] * runs) == 0.0
    found = welch.interval(values, [constant] * runs)
    assert found is not None
    expected = stats.ttest_1samp(values, constant)
    low, high = expected.confidence_interval(0.95)
    assert found.degrees_of_freedom == pytest.approx(expected.df)
    assert (found.low, found.high) == pytest.approx((low - constant, high - constant), rel=1e-9)
    # Closed form: mean ± t(0.975, 3) s / √4 with t = 3.1824.
    reach = 3.182446305 * np.std(values, ddof=1) / 2
    assert found.half_width == pytest.approx(reach, rel=1e-8)


def test_seeds_needed_agree_with_the_noncentral_t() -> None:
    # Sample sizes of Welch's test at 80 % power and 5 %, two-sided, equal spreads; the noncentral t
    # says 3 in place of the 4, since it does not know that the degrees of freedom are estimated.
    expected = {(0.15, 0.2): 10, (0.15, 0.5): 4, (0.25, 0.2): 26, (0.3, 0.5): 7, (0.5, 0.2): 100,
                (0.5, 0.5): 17, (0.5, 1.0): 6, (0.7, 0.5): 32}  # fmt: skip
    for (spread, difference), seeds in expected.items():
        assert welch.seeds_to_detect(difference, spread, spread) == seeds
    assert welch.seeds_to_detect(0.5, 0.0, 0.0) is None
    assert welch.seeds_to_detect(0.0, 1.0, 1.0) is None
    assert welch.seeds_to_detect(1e-6, 1.0, 1.0) is None


def test_detectable_difference_has_the_power_it_says() -> None:
    # In units of the spread: 3.5 with three runs, 2.1 with five, 1.3 with ten (simulated in
    # test_decide.py; a noncentral t would say 3.1 and 2.0, and these are seen in 70 and 78 %).
    for runs, expected in ((3, 3.5), (5, 2.08), (8, 1.5), (10, 1.3), (20, 0.9)):
        assert welch.detectable(1.0, runs, 1.0, runs) == pytest.approx(expected, abs=0.06)
    size = welch.detectable(0.5, 5, 0.8, 5)
    rng = np.random.default_rng(7)
    seen = 0
    for ours, theirs in zip(
        rng.normal(size, 0.5, (4000, 5)).tolist(),
        rng.normal(0, 0.8, (4000, 5)).tolist(),
        strict=True,
    ):
        found = welch.interval(ours, theirs)
        assert found is not None
        seen += found.low > 0 or found.high < 0
    assert 0.77 < seen / 4000 < 0.83


def test_detectable_difference_of_very_unequal_sides() -> None:
    assert math.isfinite(welch.detectable(1.0, 2, 1.0, 200))
    # Against a constant it is the test of one sample, whose power is a noncentral t.
    size = TTestPower().solve_power(nobs=5, alpha=0.05, power=0.8)
    assert welch.detectable(1.0, 5, 0.0, 5) == pytest.approx(size, rel=0.005)


# --- test examples --------------------------------------------------------------------------------


def test_error_of_independent_examples_is_the_plain_one() -> None:
    rng = np.random.default_rng(1)
    ours, theirs = rng.random(500), rng.random(500)
    plain = np.std(ours - theirs, ddof=1) / math.sqrt(500)
    assert sampling.standard_error(ours, theirs) == pytest.approx(plain, rel=1e-12)
    singles = rng.permutation(500) * 7
    assert sampling.standard_error(ours, theirs, singles) == pytest.approx(plain, rel=1e-12)


def test_clustered_error_equals_the_sum_over_pairs() -> None:
    rng = np.random.default_rng(2)
    cluster = rng.integers(0, 12, 90)
    ours, theirs = rng.random(90), rng.random(90)
    residual = (ours - theirs) - np.mean(ours - theirs)
    pairs = sum(
        residual[i] * residual[j] for i in range(90) for j in range(90) if cluster[i] == cluster[j]
    )
    groups = len(set(cluster.tolist()))
    expected = math.sqrt(groups / (groups - 1) * pairs) / 90
    assert sampling.standard_error(ours, theirs, cluster) == pytest.approx(expected, rel=1e-10)
    assert sampling.standard_error(ours, theirs, np.zeros(90, dtype=np.int64)) is None


def test_clustered_error_is_how_far_the_mean_really_moves() -> None:
    rng = np.random.default_rng(3)
    cluster = np.repeat(np.arange(40), 25)
    moved, errors, naive = [], [], []
    for _ in range(400):
        difference = rng.normal(0, 1, 1000) + np.repeat(rng.normal(0, 0.5, 40), 25)
        moved.append(difference.mean())
        errors.append(sampling.standard_error(difference, np.zeros(1000), cluster))
        naive.append(sampling.standard_error(difference, np.zeros(1000)))
    assert np.mean(errors) == pytest.approx(np.std(moved), rel=0.1)
    assert np.mean(naive) < 0.6 * np.std(moved)


def _examples(values: list[float], n: int, rng: np.random.Generator) -> "np.ndarray[Any, Any]":
    return np.stack([rng.permutation(np.arange(n) < round(value * n / 100)) for value in values])


def test_test_error_of_rows_and_of_the_population(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    lab = Lab(tmp_path)
    ours, theirs = (
        _examples([58.0, 59.0, 60.0], 1000, rng),
        _examples([62.0, 63.0, 64.0], 1000, rng),
    )
    lab.compare(
        lab.row("normal", [62.0, 63.0, 64.0], correct=theirs),
        lab.row("depthwise", [58.0, 59.0, 60.0], correct=ours),
    )
    row = contrast.contrasts(gathered(lab))[1]
    assert row.test_error is not None
    difference = 100 * (ours.mean(0) - theirs.mean(0))
    error = np.std(difference, ddof=1) / math.sqrt(1000)
    assert row.test_error.value == pytest.approx(error, rel=1e-9)
    assert (row.test_error.counts, row.test_error.n) == ("examples", 1000)
    assert row.interval is not None
    assert row.test_error.population is not None
    reach = (row.interval.high - row.interval.low) / 2 / row.interval.standard_error
    both = math.hypot(row.interval.standard_error, error)
    low, high = row.test_error.population
    assert (low, high) == pytest.approx((-4 - reach * both, -4 + reach * both), rel=1e-9)


@pytest.mark.parametrize("data", [{"clustered": True}, {"fallback_reason": "no CIFAR-10 here"}])
def test_nothing_is_said_of_a_population_of_stand_ins(tmp_path: Path, data: dict[str, Any]) -> None:
    rng = np.random.default_rng(5)
    cluster = np.arange(200) // 10
    lab = Lab(tmp_path)
    rows = [
        lab.row(name, [60.0, 61.0], correct=_examples([60.0, 61.0], 200, rng), cluster=cluster)
        for name in ("normal", "depthwise")
    ]
    lab.compare(*rows, data=data)
    found = contrast.contrasts(gathered(lab))[1].test_error
    assert found is not None
    assert (found.counts, found.n, found.population) == ("clusters", 20, None)


def test_examples_that_do_not_average_to_the_metric_are_not_used(tmp_path: Path) -> None:
    rng = np.random.default_rng(6)
    lab = Lab(tmp_path)
    lab.compare(
        lab.row("normal", [60.0, 61.0], correct=_examples([60.0, 61.0], 200, rng)),
        lab.row("depthwise", [60.0, 61.0], correct=_examples([50.0, 61.0], 200, rng)),
        lab.row("other", [60.0, 61.0], correct=_examples([60.0, 61.0], 100, rng)),
        lab.row("without", [60.0, 61.0]),
    )
    assert [c.test_error for c in contrast.contrasts(gathered(lab))[1:]] == [None, None, None]


# --- effects --------------------------------------------------------------------------------------


def _interval(low: float, high: float) -> welch.Interval:
    return welch.Interval((low + high) / 2, low, high, 1.0, 4.0)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.6, 2.0, effects.HIGHER),
        (-2.0, -0.6, effects.LOWER),
        (-0.4, 0.4, effects.SAME),
        (0.2, 0.4, effects.SAME),  # surely above zero, and surely too small to matter
        (0.2, 0.9, effects.UNKNOWN),
        (-0.9, 0.9, effects.UNKNOWN),
        (0.5, 0.9, effects.UNKNOWN),  # on the margin is not beyond it
        (-0.5, 0.0, effects.UNKNOWN),
    ],
)
def test_effect(low: float, high: float, expected: effects.Effect) -> None:
    assert effects.effect(_interval(low, high), 0.5) == expected


def test_effect_without_an_interval_or_a_margin() -> None:
    assert effects.effect(None, 0.5) == effects.UNKNOWN
    assert effects.effect(_interval(0.1, 0.2), 0.0) == effects.HIGHER
    assert effects.effect(_interval(-0.1, 0.2), 0.0) == effects.UNKNOWN


def test_whether_an_effect_is_welcome_depends_on_the_metric() -> None:
    assert effects.gain(effects.LOWER, "higher") == "worse"
    assert effects.gain(effects.LOWER, "lower") == "better"
    assert effects.gain(effects.SAME, "higher") == effects.gain(effects.UNKNOWN, "lower") == ""


# --- collecting -----------------------------------------------------------------------------------


def test_every_outcome_stays_in_its_row(tmp_path: Path) -> None:
    lab = two_rows(tmp_path, [58.0, "failed", "diverged", None], [62.0, 61.0, 63.0, 62.0])
    study = lab.ask()
    damaged = study.comparisons[0].rows[0].trials[3]
    (tmp_path / "trials" / damaged / "record.json").write_text("{", encoding="utf-8")
    evidence = collect(tmp_path, study)
    baseline, row = evidence.comparisons[0].rows
    assert [t.outcome for t in row.trials] == ["ok", "failed", "diverged", "missing"]
    assert row.values == {0: 58.0}
    assert row.trials[1].reason == "the loss is not a number"
    assert baseline.trials[3].outcome == "missing"
    assert baseline.trials[3].reason == evidence.damaged[0]
    assert evidence.damaged[0].startswith(f"trials/{damaged}: cannot be read")  # no machine's path


def test_a_trial_without_the_metric_is_invalid(tmp_path: Path) -> None:
    lab = two_rows(tmp_path, [58.0, 59.0], [62.0, 61.0])
    study = lab.ask()
    row = study.comparisons[0].rows[1]
    for seed, value in ((0, None), (1, Measurement(value=None, unit="%", title="Accuracy",
                        direction="higher", detail={"invalid": "an empty test set"}))):  # fmt: skip
        record = records.read(tmp_path, "trial", row.trials[seed])
        assert record is not None
        metrics = {} if value is None else {"accuracy": value}
        records.write(tmp_path, record.model_copy(update={"metrics": metrics}))
    trials = collect(tmp_path, study).comparisons[0].rows[1].trials
    assert [(t.outcome, t.reason) for t in trials] == [
        ("invalid", "accuracy was not measured"),
        ("invalid", "an empty test set"),
    ]


def test_facts_that_lack_are_named(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.compare(
        lab.row("normal", [62.0]), lab.row("depthwise", [58.0], params=900, full_params=12_240)
    )
    study = lab.ask()
    records.set_aside(tmp_path, "fact", study.comparisons[0].rows[1].facts)
    row = collect(tmp_path, study).comparisons[0].rows[1]
    assert row.lacking == ("network as trained: not computed yet",)
    assert row.trained == {}
    assert row.full["params"].value == 12_240


# --- references -----------------------------------------------------------------------------------

K4 = [27.50, 27.56, 27.48, 27.53, 27.51]
SHUFFLE = [27.61, 27.66, 27.58]
ICNR = [27.70, 27.64, 27.73]
RESIZE = [27.45, 27.41, 27.47]


def two_references(runs: Path, **asked: Any) -> Lab:
    """Return a lab with a baseline, a second reference that is not trained, and a chain."""
    lab = Lab(runs, PSNR, settings=asked)
    lab.compare(
        lab.row("transposed", K4, params=12_000),
        lab.row("icnr", ICNR, reference="shuffle", params=14_000),
        lab.row("bicubic", [26.9] * 3, reference=None, params=0, steps=0),
        lab.row("shuffle", SHUFFLE, params=14_000),
        lab.row("nearest", [25.9], reference="bicubic", params=0, steps=0),
        lab.row("resize", RESIZE, reference="bicubic", params=12_000),
        lab.row("wide", [], params=90_000),
        id="upsample",
        title="Which upsampling?",
        claims=[],
    )
    return lab


def test_rows_follow_upon_what_they_are_compared_with(tmp_path: Path) -> None:
    found = gathered(two_references(tmp_path))
    assert [row.asked.variant for row in found.rows] == [
        "transposed",
        "shuffle",  # against the baseline, as is
        "wide",
        "bicubic",
        "nearest",
        "resize",
        "icnr",  # its reference stands above, among what is compared with the baseline
    ]
    references = [found.reference_of(row) for row in found.rows]
    assert [row and row.asked.variant for row in references] == [
        *(None, "transposed", "transposed", None, "bicubic", "bicubic", "shuffle")
    ]
    assert [row.is_reference for row in found.rows] == [True, False, False, True] + [False] * 3
    assert [row.is_fixed for row in found.rows] == [False] * 3 + [True, True] + [False] * 2
    assert found.baseline is found.rows[0]
    assert not found.against_baseline


def test_the_reference_of_a_matched_row_is_the_drop_in(tmp_path: Path) -> None:
    lab = three_rows(tmp_path)
    first = lab.comparisons.pop()
    lab.compare(
        *first.rows,
        lab.row("lighter", [1.0], reference="depthwise_separable", match=("none", "params")),
    )
    found = gathered(lab)
    assert found.reference_of(found.rows[3]) is found.rows[1]
    assert found.rows[1].asked.match == ["none"]
    assert not found.against_baseline
    assert gathered(three_rows(tmp_path / "other")).against_baseline


@pytest.mark.filterwarnings("ignore:Precision loss:RuntimeWarning")
def test_a_row_is_contrasted_with_its_reference(tmp_path: Path) -> None:
    from scipy import stats

    by_name = {
        c.row.asked.variant: c for c in contrast.contrasts(gathered(two_references(tmp_path)))
    }
    for name, ours, theirs in (
        ("shuffle", SHUFFLE, K4),
        ("icnr", ICNR, SHUFFLE),
        ("resize", RESIZE, [26.9] * 3),
    ):
        expected = stats.ttest_ind(ours, theirs, equal_var=False).confidence_interval(0.95)
        found = by_name[name]
        assert found.difference == pytest.approx(np.mean(ours) - np.mean(theirs))
        assert found.interval is not None
        assert (found.interval.low, found.interval.high) == pytest.approx(tuple(expected))
    assert by_name["resize"].effect == effects.HIGHER
    assert by_name["icnr"].effect == effects.UNKNOWN
    for name in ("transposed", "bicubic", "wide"):  # references, and one without trials
        assert by_name[name].effect is None
        assert by_name[name].interval is None
    assert by_name["nearest"].is_exact  # one number less another: nothing to estimate
    assert by_name["nearest"].difference == pytest.approx(-1.0)
    assert by_name["nearest"].effect == effects.LOWER


def test_one_run_of_what_is_not_trained_stands_for_all(tmp_path: Path) -> None:
    from scipy import stats

    lab = Lab(tmp_path, PSNR)
    lab.compare(lab.row("bicubic", [26.9], steps=0), lab.row("resize", RESIZE))
    found = contrast.contrasts(gathered(lab))[1]
    low, high = stats.ttest_1samp(RESIZE, 26.9).confidence_interval(0.95)
    assert found.interval is not None
    assert (found.interval.low, found.interval.high) == pytest.approx((low - 26.9, high - 26.9))


def test_the_answer_names_the_reference(tmp_path: Path) -> None:
    lab = two_references(tmp_path)
    found = answer.lines(collect(tmp_path, lab.ask()))
    assert found[:4] == [
        "Shuffle in place of transposed: PSNR 0.10 dB higher [0.02, 0.18] with 1.2 times the "
        "parameters (drop-in): cannot tell whether by more than 0.10.",
        "Nearest in place of bicubic: PSNR changes by −1.00 dB (drop-in): exact, nothing of either "
        "is trained.",
        "Resize in place of bicubic: PSNR 0.54 dB higher [0.47, 0.62] (drop-in).",
        "Icnr in place of shuffle: PSNR changes by +0.07 dB [−0.03, 0.17] (drop-in): cannot tell.",
    ]
    assert "; 1 to 5 seeds a row. " in found[5]


def test_a_row_without_parameters_costs_none(tmp_path: Path) -> None:
    lab = Lab(tmp_path, PSNR)
    lab.compare(lab.row("resize", RESIZE), lab.row("bicubic", [26.9], params=0, steps=0))
    assert answer.lines(collect(tmp_path, lab.ask()))[0] == (
        "Bicubic in place of resize: PSNR 0.54 dB lower [−0.62, −0.47] with no parameters "
        "(drop-in)."
    )


def test_a_comparison_of_facts_alone(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.compare(lab.row("normal", []), lab.row("depthwise", [], params=12_240))
    study = lab.ask()
    evidence = collect(tmp_path, study)
    assert answer.lines(evidence) == [
        "Normal or depthwise separable? The claim holds. Not tested: B:72.",
        "  Facts of 2 networks as built.",
    ]
    assert citable.reasons(study, evidence.comparisons[0]) == []


def test_seeds_may_differ_by_row(tmp_path: Path) -> None:
    lab = two_rows(tmp_path, DROP_IN, [*NORMAL, 62.1, 62.7, 62.2])
    study = lab.ask()
    evidence = collect(tmp_path, study)
    assert "; 5 to 8 seeds a row. " in answer.lines(evidence)[-1]
    assert citable.reasons(study, evidence.comparisons[0]) == []


# --- citing and stopping --------------------------------------------------------------------------


def test_a_full_study_may_be_cited(tmp_path: Path) -> None:
    lab = three_rows(tmp_path)
    study = lab.ask()
    assert citable.reasons(study, collect(tmp_path, study).comparisons[0]) == []


def test_reasons_not_to_cite(tmp_path: Path) -> None:
    lab = Lab(tmp_path, settings={"dirty": True})
    lab.compare(
        lab.row("normal", [60.0, 61.0, 62.0, None, "failed"]),
        lab.row("depthwise", [60.0, "diverged", 62.0, 61.0, 60.5], steps=40),
        data={"name": "photos", "fallback_reason": "there is no network."},
    )
    study = lab.ask()
    assert citable.reasons(study, collect(tmp_path, study).comparisons[0]) == [
        "The data are photos, in place of cifar10: there is no network.",
        "1 of 10 trials is missing.",
        "1 trial failed or left no result.",
        "Fewer than 5 seeds: normal (baseline) has 3 and depthwise (drop-in) has 4.",
        "Trained for 40 steps; below 450, a difference may be no more than one of learning speed.",
        "The code held changes that are in no commit.",
    ]


def test_what_is_not_trained_needs_no_steps_and_no_seeds(tmp_path: Path) -> None:
    lab = Lab(tmp_path, PSNR)
    lab.compare(
        lab.row("bicubic", [26.9], steps=0),
        lab.row("resize", [27.45, 27.41, 27.47, 27.40, 27.43]),
        lab.row("wide", []),
    )
    study = lab.ask()
    assert citable.reasons(study, collect(tmp_path, study).comparisons[0]) == []


def test_many_rows_with_few_seeds_are_counted(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.compare(*(lab.row(f"v{at}", [60.0, 61.0, 62.0][: 2 + at % 2]) for at in range(7)))
    study = lab.ask()
    assert citable.reasons(study, collect(tmp_path, study).comparisons[0]) == [
        "Fewer than 5 seeds: 7 rows have 2 to 3 seeds."
    ]


def test_without_a_commit_nothing_is_cited(tmp_path: Path) -> None:
    study = three_rows(tmp_path, commit=None).ask()
    assert citable.reasons(study, collect(tmp_path, study).comparisons[0]) == [
        "No commit is on record, so the code that made the numbers cannot be named."
    ]


def test_too_many_diverged(tmp_path: Path) -> None:
    lab = two_rows(tmp_path, [60.0, 61.0, 62.0, 60.5, 61.5, "diverged", "diverged"], [60.0] * 7)
    study = lab.ask()
    assert citable.reasons(study, collect(tmp_path, study).comparisons[0]) == [
        "Too many trials diverged for a mean over the rest to speak for the row: "
        "depthwise (drop-in)."
    ]


def _settled(lab: Lab) -> bool:
    study = lab.ask()
    found = collect(lab.runs, study).trials()
    return stop.settled(study, {id: t.record for id, t in found.items() if t.record})


@pytest.mark.parametrize(
    ("until", "ours", "expected"),
    [
        (0.8, [58.0, 58.2, 58.4, 58.1, 58.3, None, None], True),
        (0.2, [58.0, 58.2, 58.4, 58.1, 58.3, None, None], False),
        (0.8, [58.0, 58.2, 58.4, 58.1, None, None, None], False),  # four seeds
        (0.8, [58.0, 58.2, 58.4, 58.1, "diverged", None, None], False),
        (0.8, [58.0, 58.2, 58.4, 58.1, "diverged", 58.3, None], True),
    ],
)
def test_settled(tmp_path: Path, until: float, ours: list[Any], expected: bool) -> None:
    theirs = [62.0, 62.4, 62.1, 62.3, 62.2, None, None]
    lab = two_rows(tmp_path, ours, theirs, stop={"until": until, "at_most": 7.0})
    assert _settled(lab) is expected
    study = lab.ask()
    absent = citable.missing(study, collect(tmp_path, study).comparisons[0])
    assert (absent == 0) is expected  # seeds that are not needed are not missing


@pytest.mark.parametrize(("until", "expected"), [(1.0, False), (2.5, True)])
def test_settled_is_against_the_reference(tmp_path: Path, until: float, expected: bool) -> None:
    lab = Lab(tmp_path, settings={"stop": {"until": until, "at_most": 7.0}})
    wide = [58.0, 60.0, 61.0, 59.0, 57.5]
    lab.compare(
        lab.row("normal", [62.0, 62.4, 62.1, 62.3, 62.2, None]),
        lab.row("other", wide, reference=None),
        lab.row("narrow", [58.0, 58.2, 58.4, 58.1, 58.3], reference="other"),
        lab.row("few", [58.0, 58.2, 58.4]),  # may have no more than three
        lab.row("untrained", []),
    )
    half = welch.interval([58.0, 58.2, 58.4, 58.1, 58.3], wide)
    assert half is not None
    assert 1.0 < half.half_width < 2.5
    assert _settled(lab) is expected
    study = lab.ask()
    assert stop.settled_comparison(study, collect(tmp_path, study).comparisons[0]) is expected


def test_rows_that_never_vary_are_settled(tmp_path: Path) -> None:
    lab = two_rows(tmp_path, [58.0] * 5, [62.0] * 5, stop={"until": 0.1, "at_most": 5.0})
    assert _settled(lab)


def test_a_study_with_a_fixed_number_of_seeds_never_stops_early(tmp_path: Path) -> None:
    assert _settled(two_rows(tmp_path, DROP_IN, NORMAL)) is False


# --- latency --------------------------------------------------------------------------------------


def timed(
    runs: Path, processes: int = 3, rounds: int = 12, **more: Any
) -> "tuple[Lab, list[dict[int, np.ndarray[Any, Any]]]]":
    """Return a lab whose two trained networks were timed, and each process's times by batch.

    They are (rounds, 3).
    """
    rng = np.random.default_rng(11)
    lab = Lab(runs)
    rows = [
        lab.row("normal", [62.0, 61.0], network={"conv": "normal"}),
        lab.row("depthwise", [58.0, 57.0], network={"conv": "depthwise"}),
    ]
    drift = 1 + 0.3 * np.linspace(0, 1, rounds)[:, None]  # the machine gets slower and slower
    times = []
    for _ in range(processes):
        noise = np.exp(rng.normal(0, 0.01, (rounds, 3)))
        times.append({64: np.array([0.05, 0.04, 0.05]) * drift * noise, 1: 1e-3 * drift * noise})
    networks = [row.full_config["network"] for row in rows]
    lab.compare(*rows, passes=lab.time(networks, *times, **more))
    return lab, times


def test_latency_is_compared_within_rounds_and_over_processes(tmp_path: Path) -> None:
    from scipy import stats

    lab, times = timed(tmp_path)
    comparison = gathered(lab)
    found = latency.measured(comparison)
    assert [(one.batch, one.processes, one.rounds) for one in found] == [(64, 3, 36), (1, 3, 36)]
    for one in found:
        seconds = [process[one.batch] for process in times]
        normal, depthwise = (one.of(row) for row in comparison.rows)
        assert normal is not None
        assert depthwise is not None
        medians = [np.median(each, axis=0) for each in seconds]
        assert normal.seconds == pytest.approx(np.median([each[0] for each in medians]))
        assert depthwise.seconds == pytest.approx(np.median([m[1] for m in medians]))
        assert (normal.ratio, normal.effect) == (None, None)
        for ratio, column in ((depthwise.ratio, 1), (one.control, 2)):
            levels = [
                stats.trim_mean(np.log(each[:, column]) - np.log(each[:, 0]), 0.25)
                for each in seconds
            ]
            expected = stats.ttest_1samp(levels, 0.0).confidence_interval(0.95)
            assert ratio is not None
            assert ratio.value == pytest.approx(math.exp(np.mean(levels)))
            assert (ratio.low, ratio.high) == pytest.approx(tuple(np.exp(expected)), rel=1e-9)
        assert not one.unsteady
    # The drift of 30 % is in both of a round, so it is not in the interval.
    faster = found[0].of(comparison.rows[1])
    assert faster is not None
    assert faster.effect == LOWER
    assert faster.ratio is not None
    assert faster.ratio.high is not None
    assert faster.ratio.high < 0.85


def test_of_one_process_the_interval_is_over_rounds(tmp_path: Path) -> None:
    from scipy import stats

    lab, (times,) = timed(tmp_path, processes=1)
    ratio = latency.measured(gathered(lab))[0].control
    logs = np.log(times[64][:, 2]) - np.log(times[64][:, 0])
    expected = stats.ttest_1samp(logs, 0.0).confidence_interval(0.95)
    assert ratio.value == pytest.approx(math.exp(stats.trim_mean(logs, 0.25)))
    assert ratio.low is not None
    assert ratio.high is not None
    assert math.log(ratio.high / ratio.low) == pytest.approx(expected.high - expected.low)


def test_a_copy_that_differs_tells_of_an_unsteady_machine(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    row = lab.row("normal", [62.0])
    other = lab.row("other", [61.0], network={"conv": "other"})
    untimed = lab.row("more", [61.0], network={"conv": "more"})
    steady = np.full((10, 3), 0.01) * np.linspace(1, 1.001, 30).reshape(10, 3)
    twice = steady * [1.0, 2.0, 1.0]
    networks = [r.full_config["network"] for r in (row, other)]
    times = {1: twice, 8: twice * [1.0, 1.0, 1.05]}
    lab.compare(row, other, untimed, passes=lab.time(networks, times, times))
    comparison = gathered(lab)
    one, eight = latency.measured(comparison)
    assert (one.unsteady, eight.unsteady) == (False, True)
    assert eight.floor == pytest.approx(0.05, rel=0.01)
    marks = [found.of(comparison.rows[1]) for found in (one, eight)]
    assert [mark.effect for mark in marks if mark] == [HIGHER, UNKNOWN]
    assert one.of(comparison.rows[2]) is None  # its network was not timed


def test_one_round_has_no_interval(tmp_path: Path) -> None:
    lab, (times,) = timed(tmp_path, processes=1, rounds=1)
    found = latency.measured(gathered(lab))[1]
    assert (found.control.low, found.control.high) == (None, None)
    assert found.control.value == pytest.approx(times[1][0, 2] / times[1][0, 0])


@pytest.mark.parametrize(
    "seconds",
    [np.ones((3, 2)), np.ones(3), np.zeros((3, 3)), np.full((3, 3), np.nan), np.ones((0, 3))],
)
def test_times_that_cannot_be_are_not_used(tmp_path: Path, seconds: "np.ndarray[Any, Any]") -> None:
    lab = Lab(tmp_path)
    rows = [lab.row(name, [60.0], network={"conv": name}) for name in ("normal", "depthwise")]
    networks = [row.full_config["network"] for row in rows]
    lab.compare(*rows, passes=lab.time(networks, {1: seconds, 2: np.ones((3, 3))}))
    assert [found.batch for found in latency.measured(gathered(lab))] == [2]


def test_times_of_another_machine_are_left_out(tmp_path: Path) -> None:
    """A study asks for none; were it to, they would not stand in one table."""
    lab, _ = timed(tmp_path, processes=2)
    comparison = gathered(lab)
    first, second = comparison.passes["latency"]
    moved = second.model_copy(update={"spec": second.spec | {"machine": {"cpu": "Another"}}})
    both = replace(comparison, passes={"latency": (first, moved)})
    assert [found.processes for found in latency.measured(both)] == [1, 1]
    assert {id for id, _, _ in latency.by_process(both, comparison.rows[0])} == {first.id}


def test_percentiles_are_told_where_there_are_calls_enough(tmp_path: Path) -> None:
    lab, _ = timed(tmp_path, processes=1, rounds=10)
    comparison = gathered(lab)
    (record,) = comparison.passes["latency"]
    arrays = record.arrays

    def of(calls: int) -> latency.Timed:
        each = np.full((10, 3, calls), 0.05, np.float32)
        each[0, 1, 0] = 0.9
        each[1:, 1, -1] = np.nan  # beyond what a block of this network had
        record.__dict__["arrays"] = arrays | {"call_seconds_0": each}
        found = latency.measured(comparison)[0].of(comparison.rows[1])
        assert found is not None
        return found

    few, many, most = of(100), of(200), of(1010)
    assert (few.calls, few.p90, few.p99) == (991, None, None)
    assert (many.calls, many.p99) == (1991, None)
    assert many.p90 == pytest.approx(0.05)
    assert most.p99 == pytest.approx(0.05)
    assert few.slowest == pytest.approx(0.9)
    assert few.far == pytest.approx(1 / 991)


def test_rounds_in_which_a_gpu_was_slow_are_left_out_and_counted(tmp_path: Path) -> None:
    lab, _ = timed(tmp_path, processes=1, rounds=4)
    comparison = gathered(lab)
    (record,) = comparison.passes["latency"]
    clock = np.full((4, 3), 1980.0)
    clock[1, 2] = 1480.0  # below three quarters
    clock[2, 0] = 1490.0
    issued = np.array([0.5, 0.95, 0.5]) * record.arrays["seconds_0"]
    extra = {"clock_0": clock, "default_clock_0": np.array(1980.0), "issued_0": issued}
    record.__dict__["arrays"] = record.arrays | extra
    slow, whole = latency.measured(comparison)
    assert (slow.rounds, slow.dropped) == (3, 1)
    assert (whole.rounds, whole.dropped) == (4, 0)
    waits = [found.waits for row in comparison.rows if (found := slow.of(row))]
    assert waits == [False, True]  # launch-bound


def test_passes_that_are_not_there_are_named(tmp_path: Path) -> None:
    lab, _ = timed(tmp_path, processes=2)
    study = lab.ask()
    id = study.comparisons[0].passes["latency"][1]
    path = tmp_path / "passes" / id / "record.json"
    whole = path.read_text(encoding="utf-8")
    path.write_text("{", encoding="utf-8")
    evidence = collect(tmp_path, study)
    assert [one.processes for one in latency.measured(evidence.comparisons[0])] == [1, 1]
    assert evidence.comparisons[0].lacking == (f"latency: {evidence.damaged[0]} (1 of 2)",)
    assert evidence.damaged[0].startswith(f"passes/{id}: cannot be read")
    path.write_text(whole.replace('"status": "ok"', '"status": "failed"'), encoding="utf-8")
    assert collect(tmp_path, study).comparisons[0].lacking == ("latency: no reason given (1 of 2)",)
    for one in study.comparisons[0].passes["latency"]:
        records.set_aside(tmp_path, "pass", one)
    found = collect(tmp_path, study).comparisons[0]
    assert found.lacking == ("latency: not measured yet (2 of 2)",)
    assert found.passes == {"latency": ()}
    assert latency.measured(found) == ()


# --- memory ---------------------------------------------------------------------------------------


def remembered(runs: Path, network: dict[str, Any], metric: str, peak: int, **more: Any) -> str:
    """Write a pass of memory over one network; return its id."""
    setting = {
        "phase": "inference",
        "batch": 8,
        "precision": "fp32",
        "memory_format": "channels_last",
        "mode": "eager",
        "threads": 1,
        "device": "cpu",
    }
    machine = {"cpu": more.pop("cpu", "A CPU"), "cores": 2, "torch": "2.15.0"}
    spec = {"metric": metric, "networks": [network], "settings": [setting], "machine": machine}
    arrays = {
        "peak": np.array([[peak - 4096], [peak], [peak + 8192]]),
        "weights": np.array([1_000]),
        "inputs": np.array([2_000]),
        "tensors": np.array([peak]),
        "reset": np.array([True]),
    }
    record = Record(
        kind="pass",
        id=records.identity(spec),
        spec=spec,
        status="ok",
        seconds=2.0,
        environment={"cpu": machine["cpu"], "cores": 2},
        started="2026-11-21T09:10:00+00:00",
        finished="2026-11-21T09:10:02+00:00",
    )
    records.write(runs, record, {f"{name}_0": it for name, it in (arrays | more).items()})
    return record.id


def test_peaks_are_medians_over_rounds_and_of_one_machine(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    rows = [lab.row(name, [60.0], network={"conv": name}) for name in ("normal", "depthwise", "x")]
    networks = [row.full_config["network"] for row in rows]
    ids = [
        remembered(tmp_path, networks[0], "inference_memory", 30_000_000),
        remembered(tmp_path, networks[1], "inference_memory", 20_000_000, cpu="Another CPU"),
        remembered(tmp_path, networks[2], "inference_memory", 40_000_000),
    ]
    lab.compare(*rows, passes={"inference_memory": ids})
    comparison = gathered(lab)
    (normal,), other, (last,) = (memory.peaks(comparison, row) for row in comparison.rows)
    assert (normal.value, normal.weights, normal.inputs) == (30_000_000, 1_000, 2_000)
    assert (normal.is_bound, normal.invalid, normal.id) == (False, None, ids[0])
    assert other == []  # it was measured on another machine
    assert last.value == 40_000_000


def test_a_peak_below_its_tensors_is_invalid(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    row = lab.row("normal", [60.0])
    network = row.full_config["network"]
    id = remembered(
        tmp_path,
        network,
        "training_memory",
        20_000_000,
        tensors=np.array([30_000_000]),
        reset=np.array([False]),
    )
    lab.compare(row, passes={"training_memory": [id]})
    (peak,) = memory.peaks(gathered(lab), gathered(lab).rows[0])
    assert peak.is_bound
    assert peak.invalid == (
        "the process used 20,000,000 bytes and its tensors 30,000,000: it went on in memory that "
        "was freed before"
    )


# --- requirements ---------------------------------------------------------------------------------


def layers(**counts: int) -> dict[str, Measurement]:
    detail = {"depthwise": 0, "dilated": 0, "gap": 1, "read_from": "graph", **counts}
    made = Measurement(value=9, unit="", title="Layers", direction="none", detail=detail)
    return {"layers": made}


def required(lab: Lab, **bounds: Any) -> requirements.Judged:
    lab.settings["requirements"] = [{"variant": "assignment", **bounds}]
    return requirements.judged(collect(lab.runs, lab.ask()))[0]


def assignment(runs: Path, values: list[Any], **more: Any) -> Lab:
    """Return a lab with the variant that the requirements are about."""
    lab = Lab(runs)
    facts = layers(depthwise=3)
    lab.compare(lab.row("normal", NORMAL), lab.row("assignment", values, facts=facts, **more))
    return lab


def test_requirements_of_structure_are_arithmetic(tmp_path: Path) -> None:
    lab = assignment(tmp_path, [None], params=12_240, full_params=999_999)
    found = required(
        lab,
        params={"below": 1_000_000, "above": 999_999, "at_least": 999_999, "at_most": 999_998},
        receptive_field={"above": 44.0, "below": None},
        uses=["depthwise", "dilated", "gap", "read_from"],
    )
    assert [(part.asked, part.found, part.verdict) for part in found.parts] == [
        ("Parameters < 1,000,000", "999,999", "met"),
        ("Parameters > 999,999", "999,999", "not met"),
        ("Parameters ≥ 999,999", "999,999", "met"),
        ("Parameters ≤ 999,998", "999,999", "not met"),
        ("Receptive field > 44 px", "76 px", "met"),
        ("uses depthwise", "3 layers", "met"),
        ("uses dilated", "0 layers", "not met"),
        ("uses gap", "1 layer", "met"),
        ("uses read from", "", "not tested"),
    ]
    assert found.verdict == "not met"


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([80.0, 81.25, 80.5], ("lowest 80.00 %, mean 80.58 %, 3 seeds", "met", "")),
        ([79.99, 81.25, 80.5], ("lowest 79.99 %, mean 80.58 %, 3 seeds", "not met", "")),
        ([81.0], ("81.00 %, 1 seed", "met", "")),
        ([81.0, 82.0, "diverged"],
         ("lowest 81.00 %, mean 81.50 %, 2 seeds; 1 seed diverged", "not met", "")),
        ([81.0, 82.0, "failed"],
         ("lowest 81.00 %, mean 81.50 %, 2 seeds", "not tested", "2 of 3 seeds have a value")),
        ([81.0, None], ("81.00 %, 1 seed", "not tested", "1 of 2 seeds have a value")),
        ([79.0, None], ("79.00 %, 1 seed", "not met", "")),
        ([None, None], ("", "not tested", "no trial has ended yet")),
        ([], ("", "not tested", "it is not trained")),
    ],
)  # fmt: skip
def test_requirements_of_training(
    tmp_path: Path, values: list[Any], expected: tuple[str, str, str]
) -> None:
    found = required(assignment(tmp_path, values), accuracy={"at_least": 80})
    (part,) = found.parts
    assert (part.found, part.verdict, part.reason) == expected
    assert part.asked == "Accuracy ≥ 80 %"
    assert found.verdict == {"not tested": "not tested yet"}.get(part.verdict, part.verdict)


RECIPE = {"optimizer": "sgd", "lr": 0.1, "epochs": 1, "augment": ["crop", "flip"]}


@pytest.mark.parametrize(
    ("row", "data", "reason"),
    [
        ({"full_params": 400_000}, {}, "the network that was trained is not the full one"),
        (
            {"trained_as": {"data": {"name": "cifar10", "train_images": 10_000}}},
            {},
            "it was trained on a subset, 10,000 images",
        ),
        ({}, {"name": "photos", "fallback_reason": "no network"},
         "the data are photos, in place of cifar10"),
        ({"trained_as": {"recipe": RECIPE}}, {}, "the recipe is not that of the full profile"),
        (
            {"full_params": 400_000, "trained_as": {"recipe": RECIPE}},
            {},
            "the network that was trained is not the full one and the recipe is not that of the "
            "full profile",
        ),
    ],
)  # fmt: skip
def test_a_requirement_is_not_tested_by_something_else(
    tmp_path: Path, row: dict[str, Any], data: dict[str, Any], reason: str
) -> None:
    lab = Lab(tmp_path)
    lab.compare(lab.row("normal", NORMAL), lab.row("assignment", [90.0], **row), data=data)
    (part,) = required(lab, accuracy={"at_least": 80}).parts
    assert (part.found, part.verdict, part.reason) == ("90.00 %, 1 seed", "not tested", reason)


def test_a_requirement_without_a_row_or_a_record(tmp_path: Path) -> None:
    lab = two_rows(tmp_path, [58.0], [62.0])
    found = required(lab, params={"below": 10}, uses=["gap"])
    assert [part.reason for part in found.parts] == [
        "no comparison of this study has it as a drop-in"
    ] * 2
    lab = assignment(tmp_path / "more", [60.0])
    invalid = Measurement(value=None, unit="", title="MACs", direction="lower",
                          detail={"invalid": "the counters differ"})  # fmt: skip
    lab.compare(lab.row("normal", [1.0]), lab.row("assignment", [1.0], facts={"macs": invalid}))
    lab.comparisons.pop(0)
    found = required(lab, macs={"below": 10}, psnr={"above": 3}, uses=["gap"])
    assert [(part.asked, part.reason) for part in found.parts] == [
        ("MACs < 10", "invalid: the counters differ"),
        ("psnr > 3", "its trials did not measure it"),
        ("uses gap", "its layers were not counted"),
    ]
    study = lab.ask()
    records.set_aside(lab.runs, "fact", study.comparisons[0].rows[1].full_facts)
    found = requirements.judged(collect(lab.runs, study))[0]
    assert {part.reason for part in found.parts} == {"network as trained: not computed yet"}
    assert found.verdict == "not tested yet"


def test_seeds_that_precision_made_needless_are_not_asked_for(tmp_path: Path) -> None:
    values = [82.0, 82.1, 82.05, 82.0, 82.1, None, None]
    lab = assignment(tmp_path, values)
    lab.comparisons.clear()
    lab.settings["stop"] = {"until": 0.5, "at_most": 7.0}
    lab.compare(lab.row("normal", values), lab.row("assignment", values))
    (part,) = required(lab, accuracy={"at_least": 80}).parts
    assert (part.verdict, part.value) == ("met", 82.0)


# --- sentences ------------------------------------------------------------------------------------


def test_the_answer_in_words(tmp_path: Path) -> None:
    lab = three_rows(tmp_path)
    assert answer.lines(collect(tmp_path, lab.ask())) == [
        "Depthwise separable in place of normal: accuracy 3.6 points lower [−4.5, −2.8] with 6.7 "
        "times fewer parameters (drop-in); 2.7 points higher [2.0, 3.3] at equal parameters.",
        "  Trained: staged, width 16; CIFAR-10, 10,000 training images; 628 optimizer steps; cpu "
        "in bf16; 5 seeds a row. Intervals: 95 %, Welch, over seeds.",
    ]


@pytest.mark.parametrize(
    ("ours", "theirs", "expected"),
    [
        (
            [62.2, 62.3, 62.1, 62.2, 62.25],
            [62.2, 62.3, 62.2, 62.15, 62.25],
            "accuracy changes by 0.0 points [−0.1, 0.1] with 6.7 times fewer parameters (drop-in): "
            "no practical difference, within ±0.5.",
        ),
        (
            [61.4, 62.6, 61.0, 62.2, 61.8],
            [62.2, 62.9, 61.3, 62.0, 62.4],
            "accuracy changes by −0.4 points [−1.2, 0.5] with 6.7 times fewer parameters "
            "(drop-in): cannot tell.",
        ),
        (
            [61.4, 61.6, 61.2, 61.5, 61.3],
            [62.2, 62.0, 61.8, 62.1, 61.9],
            "accuracy 0.6 points lower [−0.8, −0.4] with 6.7 times fewer parameters (drop-in): "
            "cannot tell whether by more than 0.5.",
        ),
        (
            [58.0],
            [62.0],
            "accuracy changes by −4.0 points with 6.7 times fewer parameters (drop-in): "
            "cannot tell, from one seed.",
        ),
        (
            [58.0, 58.0],
            [62.0, 62.0],
            "accuracy changes by −4.0 points with 6.7 times fewer parameters (drop-in): "
            "cannot tell, the seeds do not vary.",
        ),
        (
            [None, "diverged"],
            [62.0, None],
            "accuracy not known yet with 6.7 times fewer parameters (drop-in), 2 of 4 trials done "
            "and 1 without a result.",
        ),
    ],
)
def test_other_answers(tmp_path: Path, ours: list[Any], theirs: list[Any], expected: str) -> None:
    lab = two_rows(tmp_path, ours, theirs)
    first = answer.lines(collect(tmp_path, lab.ask()))[0]
    assert first == f"Depthwise in place of normal: {expected}"


def test_an_open_question_says_what_would_settle_it(tmp_path: Path) -> None:
    lab = two_rows(tmp_path, [61.4, 62.6, 61.0, 62.2, 61.8], [62.2, 62.9, 61.3, 62.0, 62.4])
    row = contrast.contrasts(gathered(lab))[1]
    said = answer.lines(collect(tmp_path, lab.ask()))[1]
    spreads = [float(np.std(v, ddof=1)) for v in (list(row.row.values.values()),
               [62.2, 62.9, 61.3, 62.0, 62.4])]  # fmt: skip
    seeds = welch.seeds_to_detect(0.5, *spreads)
    size = welch.detectable(spreads[0], 5, spreads[1], 5, estimated=True)
    assert said == (
        f"These seeds would show a difference of {size:.1f} points in 8 of 10 cases; "
        f"one of 0.5 points takes about {seeds} seeds a row."
    )


def test_networks_are_named_by_their_channels() -> None:
    stages = [[32, 32], {"layers": [{"channels": 64}, 128]}]
    assert answer.network({"network": {"family": "staged", "stages": stages}}) == (
        "staged 32-32 | 64-128"
    )
    assert answer.network({"network": {"family": "staged", "width": 43.70}}) == "staged, width 43.7"
    assert answer.network({}) == "the network below"


def test_numbers_as_people_read_them() -> None:
    assert spelling.number(-0.04, 1) == "0.0"
    assert spelling.number(-1234.56, 1) == "−1,234.6"
    assert spelling.signed(0.26, 1) == "+0.3"
    margins = (0.5, 1.0, 0.05, 20.0, 0.0, 0.1, 0.2, 0.002)
    assert [spelling.decimals(m) for m in margins] == [1, 1, 2, 1, 1, 2, 2, 4]
    assert spelling.quantity(324_330) == "324,330"
    assert spelling.quantity(46_399_488) == "46.4 M"
    assert spelling.quantity(6_028_500, largest=48_649_500) == "6.03 M"
    assert spelling.quantity(0, largest=48_649_500) == "0"
    sizes = (0, 512, 1024, 360_000, 3 * 2**21, 5 * 2**30)
    assert [spelling.byte_count(size) for size in sizes] == [
        *("0 B", "512 B", "1.00 KiB", "352 KiB", "6.00 MiB", "5.00 GiB")
    ]
    assert spelling.byte_count(2**17, largest=2**21) == "0.125 MiB"
    assert [spelling.fewer_or_more(r) for r in (1 / 8.07, 1.0, 1.0048, 1.95)] == [
        "8.07× fewer",
        "the same",
        "+0.5 %",
        "1.95× as many",
    ]
    assert [spelling.fewer_or_more(r, is_count=False) for r in (0.5, 1.5)] == [
        "2.00× less",
        "1.50× as much",
    ]
    assert spelling.listed(["a"]) == "a"
    assert spelling.listed(["a", "b", "c"]) == "a, b and c"
    assert spelling.one_line("a\n\tb\x00c\u202ed") == "a b\ufffdc\ufffdd"


@given(st.floats(-1e9, 1e9), st.integers(0, 6))
def test_a_spelled_number_reads_back(value: float, places: int) -> None:
    text = spelling.number(value, places)
    assert float(text.replace(",", "").replace("−", "-")) == round(value, places)
    assert text.strip("0.,") != "−"  # no negative zero


# --- the tidy frame -------------------------------------------------------------------------------


def test_the_frame_holds_every_number(tmp_path: Path) -> None:
    lab = two_rows(tmp_path, [58.0, "diverged", None], [62.0, 61.0, 63.0])
    lab.ask()
    frame = load(tmp_path)
    assert list(frame.columns) == list(COLUMNS)
    final = frame[(frame.metric == "accuracy") & frame.epoch.isna()]
    assert final.groupby("variant").size().to_dict() == {"normal": 3, "depthwise": 3}
    assert final[final.variant == "depthwise"].status.tolist() == ["ok", "diverged", "missing"]
    assert final.value.sum() == 58.0 + 62.0 + 61.0 + 63.0
    assert set(final.split) == {"test"}
    assert set(final.unit) == {"%"}
    curve = frame[(frame.split == "validation") & (frame.metric == "accuracy") & (frame.seed == 0)]
    curve = curve[curve.variant == "depthwise"]
    assert curve.epoch.tolist() == [1, 2, 3, 4]
    assert curve.step.tolist() == [157, 314, 471, 628]
    assert curve.value.tolist() == [34.0, 42.0, 50.0, 58.0]
    params = frame[(frame.metric == "params") & (frame.network == "full")]
    assert params.value.tolist() == [82_010, 12_240]
    assert params.seed.isna().all()
    assert str(frame.dtypes["seed"]) == str(frame.dtypes["step"]) == "Int64"
    assert frame.screening.all()


def test_the_frame_holds_passes(tmp_path: Path) -> None:
    lab, times = timed(tmp_path, processes=2)
    lab.ask()
    frame = load(tmp_path)
    found = frame[frame.metric == "latency"]
    shared = "device=cpu memory_format=channels_last mode=eager phase=inference precision=fp32"
    assert found["at"].tolist() == [f"batch={b} {shared} threads=1" for b in (64, 1)] * 4
    assert found.variant.tolist() == ["normal"] * 4 + ["depthwise"] * 4
    medians = [
        np.median(process[size][:, column])
        for column in (0, 1)
        for process in times
        for size in (64, 1)
    ]
    assert found.value.tolist() == pytest.approx(medians, rel=1e-12)
    assert set(found.unit) == {"s"}
    assert set(found.network) == {"full"}
    assert found.split.isna().all()
    assert found.seed.isna().all()
    assert found.trial.tolist() == [
        id for _ in range(2) for id in lab.comparisons[0].passes["latency"] for _ in range(2)
    ]
    assert frame[frame.metric != "latency"]["at"].isna().all()
    assert list(frame.columns)[-1] == "at"


def test_the_frame_of_one_suite_and_of_all(tmp_path: Path) -> None:
    two_rows(tmp_path, [58.0], [62.0], suite="s7", hash="aa").ask()
    two_rows(tmp_path, [57.0], [61.0], suite="s8-quick", hash="bb").ask()
    assert set(load(tmp_path).suite) == {"s7", "s8-quick"}
    assert set(load(str(tmp_path), suite="s8-quick").suite) == {"s8-quick"}
    with pytest.raises(studies.StudyError, match="no study of the suite 's9'"):
        load(tmp_path, suite="s9")


def test_the_frame_of_nothing_has_the_columns(tmp_path: Path) -> None:
    frame = load(tmp_path)
    assert list(frame.columns) == list(COLUMNS)
    assert len(frame) == 0


def test_sentences_need_no_heavy_import() -> None:
    code = (
        "import sys, ablate.evidence.answer, ablate.evidence.stop, ablate.evidence.frame\n"
        "import ablate.evidence.latency, ablate.evidence.requirements\n"
        "print({'torch', 'pandas', 'scipy', 'matplotlib', 'seaborn'} & sys.modules.keys())"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "set()"


def test_a_row_that_nothing_is_compared_with_is_told_alone(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.compare(lab.row("normal", [61.0, 62.5, 63.0], params=82_010))
    (said,) = answer.answers(collect(tmp_path, lab.ask()))
    assert said.findings == ("Normal: accuracy 62.2 %, the lowest of 3 seeds 61.0 %.",)


def test_nothing_is_told_of_a_row_without_results(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.compare(lab.row("normal", [], params=82_010))
    (said,) = answer.answers(collect(tmp_path, lab.ask()))
    assert said.findings == ("Normal or depthwise separable? Not tested: A:113, B:72.",)
