"""What the tables of one comparison say: its results, all its runs, and further facts."""

import json
from collections.abc import Iterable

from ablate.evidence import citable
from ablate.evidence.collect import ComparisonEvidence, RowEvidence, Trial
from ablate.evidence.contrast import Contrast, contrasts
from ablate.evidence.effects import gain
from ablate.evidence.spelling import (
    bounds,
    counted,
    decimals,
    difference_unit,
    fewer_or_more,
    lower_first,
    match_name,
    number,
    one_line,
    quantity,
    ratio,
    row_name,
    signed,
    upper_first,
    variant_name,
    with_unit,
)
from ablate.records import Measurement
from ablate.report.tables import Cell, Column, Line, Table, Value, end
from ablate.study import Measure, Study

HEADLINES = ("params", "macs", "receptive_field")  # facts that stand in the table of results
SHORT = {"receptive_field": "Receptive field"}
NONE = Cell("–", tone="quiet")
ARROW = {"higher": "↑", "lower": "↓", "none": ""}
VARIES = "A seed decides the initial weights, the order and augmentation of the data, any subset."


def results(study: Study, comparison: ComparisonEvidence) -> Table:
    """Return the table of a comparison: a line for every row, the baseline first."""
    measure = comparison.measure
    rows = contrasts(comparison)
    costs = _costs(comparison)
    unit = difference_unit(measure.unit)
    columns = [
        Column("Variant", numeric=False),
        Column("Difference", f"{unit} [95 %]"),
        Column("Effect", numeric=False),
        Column("Seeds", "ok/planned"),
        Column(upper_first(measure.title), f"{measure.unit} {ARROW[measure.direction]}".strip()),
        Column("sd", unit),
        Column("Test s.e.", unit),
        *(
            Column(_title(comparison, name), _below(comparison, name), group)
            for group, _, name in costs
        ),
    ]
    lines = tuple(
        Line(
            tuple(_cells(study, comparison, contrast, costs)),
            _values(study, comparison, contrast),
            reference=contrast.row.is_baseline,
        )
        for contrast in rows
    )
    return Table(
        id=comparison.asked.table,
        title=comparison.asked.title,
        notes=tuple(_notes(study, comparison, rows)),
        columns=tuple(columns),
        fields=tuple(lines[0].values),
        lines=lines,
        screening=tuple(citable.reasons(study, comparison)),
    )


def runs(study: Study, comparison: ComparisonEvidence) -> Table:
    """Return the table of every trial of a comparison, whatever became of it."""
    measure = comparison.measure
    unit = _slug(measure.unit)
    lines = []
    for row in comparison.rows:
        for trial in row.trials:
            values: dict[str, Value] = {
                "suite": study.suite,
                "comparison": comparison.asked.id,
                "variant": row.asked.variant,
                "match": "+".join(row.asked.match),
                "seed": trial.seed,
                "status": trial.outcome,
                "metric": measure.name,
                f"value{unit}": trial.value,
                "optimizer_steps": trial.steps,
                "seconds": trial.record.seconds if trial.record else None,
                "trial": trial.id,
                "reason": None if trial.outcome == "ok" else trial.reason,
                **_labels(study, comparison),
            }
            lines.append(Line(tuple(_run_cells(row, trial, measure)), values))
    return Table(
        id=f"{comparison.asked.table}-runs",
        title=f"{end(comparison.asked.title)} All runs",
        notes=(
            f"{upper_first(measure.title)}"
            f"{f', {measure.unit}' if measure.unit else ''} {ARROW[measure.direction]}, "
            f"of every trial on the test images after the last epoch. {VARIES}",
            *_standing(study, comparison),
        ),
        columns=(
            Column("Row", numeric=False),
            Column("Seed"),
            Column("Status", numeric=False),
            Column(upper_first(measure.title), measure.unit),
            Column("Steps"),
            Column("Time", "s"),
            Column("Trial", numeric=False),
        ),
        fields=tuple(lines[0].values),
        lines=tuple(lines),
        screening=tuple(citable.reasons(study, comparison)),
    )


def facts(study: Study, comparison: ComparisonEvidence) -> Table | None:
    """Return the table of the facts that the results have no column for; None without any."""
    names = sorted(
        {name for row in comparison.rows for name in (*row.full, *row.trained)} - set(HEADLINES)
    )
    lines = []
    for name in names:
        for row in comparison.rows:
            found = row.full.get(name) or row.trained.get(name)
            title = found.title if found else name
            cells = [Cell(title), Cell(row_name(row.asked, row.is_baseline))]
            values: dict[str, Value] = {
                "suite": study.suite,
                "comparison": comparison.asked.id,
                "variant": row.asked.variant,
                "match": "+".join(row.asked.match),
                "metric": name,
                "unit": found.unit if found else None,
                "full": _value(row.full.get(name)),
                "trained": _value(row.trained.get(name)),
            }
            for _, network in _networks(comparison):
                measured, base = _pair(comparison, row, network, name)
                unit = measured.unit if measured else ""
                cells.append(_fact(measured, base, row.is_baseline, unit=unit))
            lines.append(Line(tuple(cells), values, reference=row.is_baseline))
    if not lines:
        return None
    return Table(
        id=f"{comparison.asked.table}-facts",
        title=f"{end(comparison.asked.title)} Further facts",
        notes=("Computed from the configurations, without training.", *_code_note(study)),
        columns=(
            Column("Fact", numeric=False),
            Column("Row", numeric=False),
            *(Column(group or "Value") for group, _ in _networks(comparison)),
        ),
        fields=tuple(lines[0].values),
        lines=tuple(lines),
    )


def seeds_planned(study: Study, comparison: ComparisonEvidence, row: RowEvidence) -> int:
    """Return how many trials a row was to have; seeds that precision made needless do not count."""
    if citable.missing(study, comparison) == 0:
        return len(row.trials) - len(row.having("missing"))
    return len(row.trials)


def differs(row: RowEvidence) -> list[str]:
    """Return a row's difference from the base as `path: value` lines."""
    return [f"{path}: {shown(value)}" for path, value in sorted(row.asked.changes.items())]


def shown(value: object) -> str:
    """Spell a setting: words as they are, everything else as JSON, which YAML reads too."""
    return one_line(value) if isinstance(value, str) else json.dumps(value, sort_keys=True)


# --- the table of results -------------------------------------------------------------------------


def _cells(
    study: Study,
    comparison: ComparisonEvidence,
    contrast: Contrast,
    costs: list[tuple[str, str, str]],
) -> Iterable[Cell]:
    row, measure = contrast.row, comparison.measure
    places = decimals(measure.margin)
    yield Cell(variant_name(row.asked.variant), (_match_line(row),))
    yield from _difference_cells(contrast, measure, places)
    planned = seeds_planned(study, comparison, row)
    short = "†" if len(row.values) < planned else ""
    yield Cell(f"{len(row.values)}/{planned}{short}")
    yield Cell(number(contrast.mean, places)) if contrast.mean is not None else NONE
    yield Cell(number(contrast.deviation, places + 1)) if contrast.deviation is not None else NONE
    error = contrast.test_error
    yield Cell(number(error.value, places + 1)) if error else NONE
    for _, network, name in costs:
        measured, base = _pair(comparison, row, network, name)
        yield _fact(measured, base, row.is_baseline, _largest(comparison, name))


def _difference_cells(contrast: Contrast, measure: Measure, places: int) -> Iterable[Cell]:
    if contrast.row.is_baseline:
        yield from (Cell("reference", tone="quiet"), NONE)
        return
    if contrast.difference is None:
        yield NONE
    else:
        span = contrast.interval
        interval = bounds(span.low, span.high, places) if span else "[no interval]"
        yield Cell(f"{signed(contrast.difference, places)} {interval}")
    assert contrast.effect is not None  # only a baseline has none
    tone = gain(contrast.effect, measure.direction) or "quiet"
    yield Cell(f"{contrast.effect.symbol} {contrast.effect.words}", tone=tone)


def _match_line(row: RowEvidence) -> str:
    """Say what was held equal, and by which solved width it was, how closely."""
    parts = [match_name(row.asked, row.is_baseline)]
    solved = [
        f"{path.rpartition('.')[2]} {quantity(value)}"
        for path, value in sorted(row.asked.solved.items())
    ]
    if solved:
        parts.append(f"{', '.join(solved)}{' as trained' if row.full_differs else ''}")
    if row.asked.residual is not None:
        parts.append(f"{signed(100 * row.asked.residual, 1)} %")
    return ", ".join(parts)


def _values(study: Study, comparison: ComparisonEvidence, contrast: Contrast) -> dict[str, Value]:
    """Return the numbers of one line; the same names for every line of the table."""
    row, measure = contrast.row, comparison.measure
    unit, points = _slug(measure.unit), _slug(difference_unit(measure.unit))
    span, error = contrast.interval, contrast.test_error
    found: dict[str, Value] = {
        "suite": study.suite,
        "comparison": comparison.asked.id,
        "variant": row.asked.variant,
        "match": "+".join(row.asked.match),
        "reference": row.is_baseline,
        "n_ok": len(row.values),
        "n_planned": seeds_planned(study, comparison, row),
        "n_failed": len(row.having("failed", "invalid")),
        "n_diverged": len(row.having("diverged")),
        "metric": measure.name,
        f"mean{unit}": contrast.mean,
        f"sd{points}": contrast.deviation,
        f"difference{points}": contrast.difference,
        f"low{points}": span.low if span else None,
        f"high{points}": span.high if span else None,
        "degrees_of_freedom": span.degrees_of_freedom if span else None,
        f"margin{points}": measure.margin,
        "effect": contrast.effect.words if contrast.effect else None,
        f"detectable{points}": contrast.detectable,
        f"test_se{points}": error.value if error else None,
        f"population_low{points}": error.population[0] if error and error.population else None,
        f"population_high{points}": error.population[1] if error and error.population else None,
    }
    for network, measured in (("full", row.full), ("trained", row.trained)):
        found |= {f"{name}_{network}": _value(measured.get(name)) for name in HEADLINES}
    paths = {path for r in comparison.rows for path in (*r.asked.solved, *r.asked.full_solved)}
    for path in sorted(paths):
        found[f"{path}_full"] = row.asked.full_solved.get(path)
        found[f"{path}_trained"] = row.asked.solved.get(path)
    return found | {
        "residual_full": row.asked.full_residual,
        "residual_trained": row.asked.residual,
        "changes": json.dumps(row.asked.changes, sort_keys=True),
        **_labels(study, comparison),
    }


def _labels(study: Study, comparison: ComparisonEvidence) -> dict[str, Value]:
    """Return what must travel with every number."""
    return {
        "data": comparison.data.name,
        "screening": bool(citable.reasons(study, comparison)),
        "study": study.id,
    }


def _notes(
    study: Study, comparison: ComparisonEvidence, rows: tuple[Contrast, ...]
) -> Iterable[str]:
    measure, data = comparison.measure, comparison.data
    unit = difference_unit(measure.unit)
    of_unit = f", {measure.unit}" if measure.unit else ""
    tested = f" on {number(data.sizes['test'])} test images" if "test" in data.sizes else ""
    baseline = variant_name(comparison.baseline.asked.variant)
    margin = f"{number(measure.margin, decimals(measure.margin))} {unit}".strip()
    yield (
        f"{upper_first(measure.title)}{of_unit} ({measure.direction} is better){tested}: mean and "
        f"standard deviation (sd) over the seeds that ended well. {VARIES}"
    )
    yield (
        f"Difference: from the baseline, {baseline}, with its 95 % interval (Welch, over seeds, "
        "unpaired, each row for itself)."
    )
    yield (
        f"Effect, for a margin of ±{margin}: ▲ higher or ▼ lower by more than the margin; "
        "≈ no practical difference, the interval lies within it; ? cannot tell."
    )
    yield from _test_error_note(comparison, rows)
    if any(row.full_differs for row in comparison.rows):
        yield (
            f"{upper_first(measure.title)} is of the network as trained; the full network's costs "
            "are given beside its own, unless they are the same."
        )
    if any(len(c.row.values) < seeds_planned(study, comparison, c.row) for c in rows):
        yield "† fewer seeds than planned."
    yield from _standing(study, comparison)


def _test_error_note(comparison: ComparisonEvidence, rows: tuple[Contrast, ...]) -> Iterable[str]:
    errors = [contrast.test_error for contrast in rows if contrast.test_error]
    if not errors:
        return
    what = counted(errors[0].n, "test image")
    if errors[0].counts == "clusters":
        what = f"{counted(errors[0].n, 'cluster')} of test images that share an origin"
    yield (
        "The interval is for these test images. Test s.e.: standard error of the difference from "
        f"the choice of the {what}."
    )
    if any(error.population is None for error in errors):
        yield "Nothing is said of a population."


def _standing(study: Study, comparison: ComparisonEvidence) -> Iterable[str]:
    """Say on what the numbers stand: data, device, commit."""
    title = one_line(comparison.data.title)
    yield f"Trained on {title}, on {study.device} in {study.precision}."
    yield from _code_note(study)


def _code_note(study: Study) -> Iterable[str]:
    if study.commit:
        yield f"Commit {one_line(study.commit)[:12]}{', with changes' if study.dirty else ''}."


# --- facts ----------------------------------------------------------------------------------------


def _networks(comparison: ComparisonEvidence) -> list[tuple[str, str]]:
    """Return the networks whose facts are shown: the heading, and which one of a row it is."""
    if any(row.full_differs for row in comparison.rows):
        return [("Full network", "full"), ("Network as trained", "trained")]
    return [("", "full")]


def _costs(comparison: ComparisonEvidence) -> list[tuple[str, str, str]]:
    """Return the columns of facts: heading, network and fact.

    What the trained network has in common with the full one in every row is given once.
    """
    names = [
        name
        for name in HEADLINES
        if any(name in row.full or name in row.trained for row in comparison.rows)
    ]
    return [
        (group, network, name)
        for group, network in _networks(comparison)
        for name in names
        if network == "full"
        or any(row.full.get(name) != row.trained.get(name) for row in comparison.rows)
    ]


def _pair(
    comparison: ComparisonEvidence, row: RowEvidence, network: str, name: str
) -> tuple[Measurement | None, Measurement | None]:
    """Return a fact of a row's network and the same of the baseline's."""
    if network == "full":
        return row.full.get(name), comparison.baseline.full.get(name)
    return row.trained.get(name), comparison.baseline.trained.get(name)


def _fact(
    found: Measurement | None,
    base: Measurement | None,
    is_baseline: bool,
    largest: float | None = None,
    unit: str = "",
) -> Cell:
    if found is None:
        return NONE
    if found.value is None:
        return Cell("invalid", (str(found.detail.get("invalid", "no value")),), tone="worse")
    text = with_unit(quantity(found.value, largest), unit)
    share = ratio(found, base)
    comparable = found.direction == "lower" and not is_baseline and share is not None and share > 0
    return Cell(text, (fewer_or_more(share),) if comparable and share is not None else ())


def _any(comparison: ComparisonEvidence, name: str) -> Measurement:
    return next(
        found
        for row in comparison.rows
        for found in (row.full.get(name), row.trained.get(name))
        if found is not None
    )


def _largest(comparison: ComparisonEvidence, name: str) -> float:
    """Return the largest value of a fact: columns that are read together share a scale."""
    found = [
        facts[name].value or 0
        for row in comparison.rows
        for facts in (row.full, row.trained)
        if name in facts
    ]
    return max(found)


def _title(comparison: ComparisonEvidence, name: str) -> str:
    return SHORT.get(name) or upper_first(_any(comparison, name).title)


def _below(comparison: ComparisonEvidence, name: str) -> str:
    found = _any(comparison, name)
    redundant = lower_first(found.unit) in lower_first(found.title)
    return f"{'' if redundant else found.unit} {ARROW[found.direction]}".strip()


def _value(found: Measurement | None) -> Value:
    return found.value if found else None


# --- all runs -------------------------------------------------------------------------------------


def _run_cells(row: RowEvidence, trial: Trial, measure: Measure) -> Iterable[Cell]:
    reason = () if trial.outcome == "ok" or trial.reason is None else (one_line(trial.reason),)
    yield Cell(row_name(row.asked, row.is_baseline))
    yield Cell(str(trial.seed))
    yield Cell(trial.outcome, reason, tone="" if trial.outcome == "ok" else "worse")
    places = decimals(measure.margin) + 1
    yield Cell(number(trial.value, places)) if trial.value is not None else NONE
    yield Cell(number(trial.steps)) if trial.steps is not None else NONE
    yield Cell(number(trial.record.seconds, 1)) if trial.record else NONE
    yield Cell(trial.id)


def _slug(unit: str) -> str:
    """Return a unit as the end of a column's name: `_percent`, `_points`, `` for none."""
    word = "percent" if unit == "%" else "".join(c if c.isalnum() else "_" for c in unit.lower())
    return f"_{word}" if word else ""
