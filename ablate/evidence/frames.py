"""Data frames of what suites found: comparisons, verdicts, trials, and all else by its kind.

The columns are an interface: they are only ever added to. `COLUMNS` says of each what it holds; a
column that lacks a value in a line has pandas' missing value there. `frame.py` has the same numbers
in one tidy table.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from ablate.evidence import citable, latency, memory
from ablate.evidence.collect import ComparisonEvidence, Evidence, RowEvidence, Trial
from ablate.evidence.contrast import Contrast, contrasts
from ablate.evidence.spelling import difference_unit
from ablate.evidence.verdicts import Part, Verdict, judge
from ablate.records import Measurement
from ablate.study import AtBudget

if TYPE_CHECKING:
    import pandas

Line = dict[str, Any]


class Column(NamedTuple):
    """What a column of a data frame holds."""

    dtype: str  # of pandas
    unit: str  # of its numbers; "" of what is no number or a plain count
    meaning: str


_PLACE = {
    "study": Column("str", "", "id of the study, e.g. s7-0a19aa74"),
    "suite": Column("str", "", "id of the suite"),
    "comparison": Column("str", "", "id of the comparison"),
}
_ROW = {
    **_PLACE,
    "variant": Column("str", "", "name of the variant"),
    "match": Column("str", "", "what is equal with the reference: none, params, macs, compute; +"),
}
_SCREENING = Column("bool", "", "whether the trained numbers may not be cited")
_VALUE = {
    "metric": Column("str", "", "name of the metric"),
    "value": Column("float64", "as in unit", "the number; missing where there is none"),
    "unit": Column("str", "", "of the value; empty where it has none"),
}
_TRIAL = Column("str", "", "id of the trial")
_SEED = Column("Int64", "", "seed of the trial")

COLUMNS: Final[Mapping[str, Mapping[str, Column]]] = {
    "comparisons": {
        **_ROW,
        "reference": Column("str", "", "variant it is compared with; missing of a reference"),
        "table": Column("str", "", "permanent id of the table of the comparison"),
        "metric": Column("str", "", "name of the metric that the comparison is read by"),
        "unit": Column("str", "", "of the metric; empty where it has none"),
        "direction": Column("str", "", "whether higher or lower is better"),
        "margin": Column("float64", "as in difference_unit", "smallest difference that matters"),
        "planned": Column("Int64", "", "trials that were asked for"),
        "seeds": Column("Int64", "", "trials that have a value"),
        "mean": Column("float64", "as in unit", "over the seeds that have a value"),
        "sd": Column("float64", "as in difference_unit", "standard deviation over them"),
        "difference": Column("float64", "as in difference_unit", "from the mean of the reference"),
        "low": Column("float64", "as in difference_unit", "lower end of its 95 % interval"),
        "high": Column("float64", "as in difference_unit", "upper end"),
        "interval": Column("str", "", "its kind: welch, paired or exact (nothing is trained)"),
        "difference_unit": Column("str", "", "points where unit is %, else as unit"),
        "effect": Column("str", "", "higher, lower, same (within the margin) or unknown"),
        "seeds_needed": Column("Int64", "", "a row, to see a difference of the margin in 8 of 10"),
        "params": Column("float64", "", "parameters of the network that is trained"),
        "macs": Column("float64", "", "its multiply-accumulates of one image"),
        "full_params": Column("float64", "", "parameters of the full network"),
        "full_macs": Column("float64", "", "its multiply-accumulates of one image"),
        "data": Column("str", "", "name of the data set that was used"),
        "screening": _SCREENING,
    },
    "verdicts": {
        **_PLACE,
        "note": Column("str", "", "note and line that the claim is of, e.g. A:113"),
        "says": Column("str", "", "the claim, as the notes have it"),
        "kind": Column("str", "", "kind of the claim: order, ratio, range, …"),
        "metric": Column("str", "", "name of the metric that it is about"),
        "verdict": Column("str", "", "on the whole claim: supported, refuted, …"),
        "match": Column("str", "", "at which this part was judged; as of rows"),
        "at": Column("str", "", "setting of what was timed, e.g. batch=1 device=cpu …"),
        "part": Column("str", "", "the verdict at this match and setting"),
        "source": Column("str", "", "what it rests on: arithmetic, trained, timed or peak"),
        "estimate": Column("float64", "of the metric, or a ratio", "what was found"),
        "low": Column("float64", "as estimate", "lower end of its interval"),
        "high": Column("float64", "as estimate", "upper end"),
        "level": Column("float64", "share", "of intervals that cover; missing of what is exact"),
        "tests": Column("Int64", "", "that the level is adjusted for"),
        "margin": Column("float64", "of the metric, or ratio - 1", "fixed before the first trial"),
        "seeds": Column("Int64", "", "of the row with fewest, or processes that timed"),
        "seeds_needed": Column("Int64", "", "a row, that would decide what is open"),
        "too_few": Column("bool", "", "whether it stands on fewer seeds than a verdict needs"),
        "screening": Column("bool", "", "whether the verdict may not be cited"),
        "sentence": Column("str", "", "the finding with what it holds for, as pages have it"),
    },
    "trials": {
        **_ROW,
        "role": Column("str", "", "row; budget (a point of a curve); control (baseline again)"),
        "seed": _SEED,
        "trial": _TRIAL,
        "status": Column("str", "", "ok, failed, diverged, invalid or missing"),
        **_VALUE,
        "steps": Column("Int64", "", "optimizer steps taken"),
        "seconds": Column("float64", "s", "how long it took"),
        "started": Column("str", "", "when it was begun, ISO 8601 in UTC"),
        "device": Column("str", "", "cpu, cuda or mps"),
        "precision": Column("str", "", "fp32, fp16 or bf16"),
        "data": Column("str", "", "name of the data set that was used"),
        "screening": _SCREENING,
        "reason": Column("str", "", "why there is no value"),
    },
    "scores": {
        **_ROW,
        "seed": _SEED,
        "trial": _TRIAL,
        "split": Column("str", "", "train, validation or test: the images that it is about"),
        **_VALUE,
    },
    "epochs": {
        **_ROW,
        "seed": _SEED,
        "trial": _TRIAL,
        "epoch": Column("Int64", "", "counted from 1"),
        "step": Column("Int64", "", "of the optimizer, counted from 1"),
        "split": Column("str", "", "as of scores; missing of times and rates"),
        **_VALUE,
    },
    "readings": {
        **_ROW,
        "seed": _SEED,
        "reading": Column("str", "", "id of the reading of the trial's weights"),
        "status": Column("str", "", "ok, invalid or missing"),
        **_VALUE,
    },
    "facts": {
        **_ROW,
        "network": Column("str", "", "trained, full, swept or pair: see ablate.evidence.frame"),
        "at": Column("str", "", "settings of a network that a claim sweeps; else missing"),
        "fact": Column("str", "", "id of the fact"),
        **_VALUE,
    },
    "passes": {
        **_ROW,
        "phase": Column("str", "", "inference or training_step"),
        "batch": Column("Int64", "", "images a call"),
        "precision": Column("str", "", "fp32 or bf16"),
        "memory_format": Column("str", "", "channels_last or contiguous"),
        "mode": Column("str", "", "eager or compiled"),
        "threads": Column("Int64", "", "of the process"),
        "device": Column("str", "", "cpu or cuda"),
        "pass": Column("str", "", "id of the pass: one process"),
        "status": Column("str", "", "ok, invalid or bound (a peak that is known to be no higher)"),
        **_VALUE,
    },
}
_SETTING: Final = ("phase", "batch", "precision", "memory_format", "mode", "threads", "device")


def comparisons(evidence: Evidence) -> list[Line]:
    """Return a line for every row of every comparison, the baseline first."""
    return [
        {**_place(evidence, found), **_screening(evidence, found), **_contrast(found, contrast)}
        for found in evidence.comparisons
        for contrast in contrasts(found)
    ]


def verdicts(evidence: Evidence) -> list[Line]:
    """Return a line for every claim, or for each of its parts where it has some."""
    where = {found.asked.id: found for found in evidence.comparisons}
    return [
        {**_place(evidence, where[verdict.comparison]), **_verdict(verdict), **part}
        for verdict in judge(evidence)
        for part in (map(_part, verdict.parts) if verdict.parts else [{"too_few": False}])
    ]


def trials(evidence: Evidence) -> list[Line]:
    """Return a line for every trial that was asked for, in each row that has it."""
    lines = []
    for found in evidence.comparisons:
        shared = {
            **_place(evidence, found),
            **_screening(evidence, found),
            "metric": found.measure.name,
            "unit": found.measure.unit,
            "data": found.data.name,
        }
        for role, row in (
            *(("row", row) for row in found.rows),
            *(("budget", point) for point in found.budgets),
        ):
            lines += [{**shared, **_name(row), "role": role, **_trial(t)} for t in row.trials]
        baseline = {**_name(found.baseline), "role": "control"}
        lines += [{**shared, **baseline, **_trial(trial)} for trial in found.control]
    return lines


def passes(evidence: Evidence) -> list[Line]:
    """Return a line for every network, setting and process that was timed or weighed.

    A time is the median over the rounds of its process, a peak that over its rounds; the record
    has every round.
    """
    lines = []
    for found in evidence.comparisons:
        for row in found.rows:
            name = {**_place(evidence, found), **_name(row)}
            lines += [
                {
                    **name,
                    **_setting(setting),
                    "pass": id,
                    "status": "ok",
                    "metric": latency.METRIC,
                    "value": seconds,
                    "unit": "s",
                }
                for id, setting, seconds in latency.by_process(found, row)
            ]
            lines += [
                {
                    **name,
                    **_setting(peak.setting),
                    "pass": peak.id,
                    "status": "bound" if peak.is_bound else "invalid" if peak.invalid else "ok",
                    "metric": peak.metric,
                    "value": None if peak.invalid else peak.value,
                    "unit": "B",
                }
                for peak in memory.peaks(found, row)
            ]
    return lines


def of_numbers(numbers: "pandas.DataFrame") -> dict[str, "pandas.DataFrame"]:
    """Return the parts of the tidy table as data frames: scores, epochs, readings and facts."""
    of_trial, per_epoch = numbers["seed"].notna(), numbers["epoch"].notna()
    has_split, is_pass = numbers["split"].notna(), numbers["metric"] == latency.METRIC
    parts = {
        "scores": numbers[of_trial & ~per_epoch & has_split],
        "epochs": numbers[per_epoch],
        "readings": numbers[of_trial & ~per_epoch & ~has_split].rename(
            columns={"trial": "reading"}
        ),
        "facts": numbers[~of_trial & ~is_pass].rename(columns={"trial": "fact"}),
    }
    return {
        name: part[list(COLUMNS[name])].reset_index(drop=True).astype(_dtypes(name))
        for name, part in parts.items()
    }


def frame(name: str, lines: Sequence[Line]) -> "pandas.DataFrame":
    """Return lines as the data frame of that name, with its columns and no others.

    Raises:
        KeyError: a line has what is no column.
    """
    import pandas

    known = COLUMNS[name]
    if unknown := {key for line in lines for key in line} - known.keys():
        raise KeyError(f"{name} has no column {', '.join(sorted(unknown))}")
    return pandas.DataFrame(lines, columns=list(known)).astype(_dtypes(name))


def columns() -> "pandas.DataFrame":
    """Return what every column of every data frame holds."""
    import pandas

    return pandas.DataFrame(
        [
            {"frame": name, "column": key, **column._asdict()}
            for name, known in COLUMNS.items()
            for key, column in known.items()
        ]
    )


def _dtypes(name: str) -> dict[str, str]:
    return {key: column.dtype for key, column in COLUMNS[name].items()}


def _place(evidence: Evidence, found: ComparisonEvidence) -> Line:
    return {
        "study": evidence.study.id,
        "suite": evidence.study.suite,
        "comparison": found.asked.id,
    }


def _screening(evidence: Evidence, found: ComparisonEvidence) -> Line:
    return {"screening": bool(citable.reasons(evidence.study, found))}


def _name(row: RowEvidence) -> Line:
    match = "+".join(row.asked.match)
    if isinstance(row.asked, AtBudget):
        match = f"{row.asked.match[0]}={row.asked.factor:g}"
    return {"variant": row.asked.variant, "match": match}


def _contrast(found: ComparisonEvidence, contrast: Contrast) -> Line:
    row, span, measure = contrast.row, contrast.interval, found.measure
    interval = "exact" if contrast.is_exact else None
    low = high = contrast.difference if contrast.is_exact else None
    if span is not None:
        interval = "welch" if contrast.pairs is None else "paired"
        low, high = span.low, span.high
    return {
        **_name(row),
        "reference": row.asked.reference,
        "table": found.asked.table,
        "metric": measure.name,
        "unit": measure.unit,
        "direction": measure.direction,
        "margin": measure.margin,
        "planned": len(row.asked.seeds),
        "seeds": len(row.values),
        "mean": contrast.mean,
        "sd": contrast.deviation,
        "difference": contrast.difference,
        "low": low,
        "high": high,
        "interval": interval,
        "difference_unit": difference_unit(measure.unit),
        "effect": contrast.effect.key if contrast.effect else None,
        "seeds_needed": contrast.seeds_to_detect,
        "params": _fact(row.trained, "params"),
        "macs": _fact(row.trained, "macs"),
        "full_params": _fact(row.full, "params"),
        "full_macs": _fact(row.full, "macs"),
        "data": found.data.name,
    }


def _fact(facts: Mapping[str, Measurement], name: str) -> float | None:
    return facts[name].value if name in facts else None


def _verdict(verdict: Verdict) -> Line:
    claim = verdict.claim
    return {
        "note": claim.get("note"),
        "says": claim.get("says"),
        "kind": claim.get("kind"),
        "metric": claim.get("metric"),
        "verdict": verdict.word,
        "screening": bool(verdict.screening),
        "sentence": verdict.sentence,
    }


def _part(part: Part) -> Line:
    return {
        "match": "+".join(part.match),
        "at": _in_words(part.setting),
        "part": part.word,
        "source": part.source,
        "estimate": part.estimate,
        "low": part.low,
        "high": part.high,
        "level": part.level,
        "tests": part.tests,
        "margin": part.margin,
        "seeds": min(part.runs, default=None),
        "seeds_needed": part.seeds,
        "too_few": part.too_few,
    }


def _in_words(setting: Mapping[str, Any] | None) -> str | None:
    """Spell a setting as the tidy table does."""
    return " ".join(f"{key}={value}" for key, value in sorted((setting or {}).items())) or None


def _trial(trial: Trial) -> Line:
    record = trial.record
    return {
        "seed": trial.seed,
        "trial": trial.id,
        "status": trial.outcome,
        "value": trial.value,
        "steps": trial.steps,
        "seconds": record.seconds if record else None,
        "started": record.started if record else None,
        "device": record.spec.get("device") if record else None,
        "precision": record.spec.get("precision") if record else None,
        "reason": None if trial.outcome == "ok" else trial.reason,
    }


def _setting(setting: Mapping[str, Any]) -> Line:
    return {key: setting.get(key) for key in _SETTING}
