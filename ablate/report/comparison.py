"""What the tables of one comparison say: its results, all its runs, and further facts."""

import json
from collections.abc import Iterable
from dataclasses import replace

from ablate.evidence import citable, sources
from ablate.evidence.collect import ComparisonEvidence, RowEvidence, Trial
from ablate.evidence.contrast import Contrast, contrasts
from ablate.evidence.effects import gain
from ablate.evidence.spelling import (
    against,
    bounds,
    byte_count,
    counted,
    decimals,
    difference_unit,
    fewer_or_more,
    listed,
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
from ablate.report import footnotes
from ablate.report.tables import Cell, Column, Line, Table, Value, end
from ablate.study import Measure, Study

# Facts that stand in the table of results; of the network as trained only the budgets do.
HEADLINES = ("params", "macs", "receptive_field", "activation_memory")
BUDGETS = ("params", "macs")
SHORT = {"receptive_field": "Receptive field", "activation_memory": "Activations"}
IDENTITY = ("suite", "comparison", "variant", "match", "reference")  # of a row's numbers
NONE = Cell("–", tone="quiet")
ARROW = {"higher": "↑", "lower": "↓", "none": ""}
Counts = dict[str, dict[int, Measurement]]  # by fact, or part of one, and row
VARIES = "A seed decides the initial weights, the order and augmentation of the data, any subset."


def results(study: Study, comparison: ComparisonEvidence) -> Table:
    """Return the table of a comparison: a line for every row, the baseline first."""
    measure = comparison.measure
    rows = contrasts(comparison)
    costs = _costs(comparison)
    counts = _counts(comparison)
    unit = difference_unit(measure.unit)
    tested = any(contrast.test_error for contrast in rows)
    title, better = upper_first(measure.title), ARROW[measure.direction]
    trained = [
        Column("Difference", f"{unit} [95 %]"),
        Column("Effect", numeric=False),
        Column("Seeds", "ok/planned"),
        Column(title, f"{measure.unit} {better}".strip()),
        Column("sd", unit),
        *([Column("Test s.e.", unit)] if tested else []),
    ]
    columns = [
        Column("Variant", numeric=False),
        *(trained if comparison.asked.is_trained else []),
        *(
            Column(upper_first(found.title), f"{found.unit} {ARROW[found.direction]}".strip())
            for found in map(_first, counts.values())
        ),
        *(
            Column(_title(comparison, name), _below(comparison, name), group)
            for group, _, name in costs
        ),
    ]
    lines = tuple(
        Line(
            tuple(_cells(study, comparison, contrast, tested, counts, costs)),
            _values(study, comparison, contrast, counts),
            reference=contrast.row.is_reference,
        )
        for contrast in rows
    )
    lines, reasons = footnotes.moved(lines)
    return Table(
        id=comparison.asked.table,
        title=comparison.asked.title,
        notes=(*_notes(study, comparison, rows), *reasons),
        columns=tuple(columns),
        fields=tuple(lines[0].values),
        lines=lines,
        screening=tuple(citable.reasons(study, comparison)),
    )


def runs(study: Study, comparison: ComparisonEvidence) -> Table | None:
    """Return the table of every trial of a comparison, whatever became of it; None without any."""
    measure = comparison.measure
    unit = slug(measure.unit)
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
                **labels(study, comparison),
            }
            lines.append(Line(tuple(_run_cells(row, trial, measure)), values))
    if not lines:
        return None
    return Table(
        id=f"{comparison.asked.table}-runs",
        title=f"{end(comparison.asked.title)} All runs",
        notes=(
            f"{upper_first(measure.title)}"
            f"{f', {measure.unit}' if measure.unit else ''} {ARROW[measure.direction]}, "
            f"of every trial on the test images after the last epoch. {VARIES}",
            *standing(study, comparison),
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
    found = {name for row in comparison.rows for name in (*row.full, *row.trained)}
    names = sorted(
        name
        for name in found
        if name not in HEADLINES or (name not in BUDGETS and _differs(comparison, name))
    )
    lines = []
    for name in names:
        of_name: list[Line] = []
        for row in comparison.rows:
            known = row.full.get(name) or row.trained.get(name)
            if known is None:
                continue  # it does not apply: no upsampling, no overlap
            cells = [Cell(known.title), Cell(row_name(row.asked, row.is_baseline))]
            values: dict[str, Value] = {
                "suite": study.suite,
                "comparison": comparison.asked.id,
                "variant": row.asked.variant,
                "match": "+".join(row.asked.match),
                "metric": name,
                "unit": known.unit,
                "full": _value(row.full.get(name)),
                "trained": _value(row.trained.get(name)),
            }
            for _, network in _networks(comparison):
                measured, base = _pair(comparison, row, network, name)
                unit = measured.unit if measured else ""
                cells.append(_fact(measured, base, unit=unit))
            of_name.append(Line(tuple(cells), values, reference=row.is_reference))
        lines += _told_once(of_name) if len(of_name) == len(comparison.rows) else of_name
    if not lines:
        return None
    return Table(
        id=f"{comparison.asked.table}-facts",
        title=f"{end(comparison.asked.title)} Further facts",
        notes=(
            "Computed from the configurations, without training: exact, without seeds or interval.",
        ),
        columns=(
            Column("Fact", numeric=False),
            Column("Row", numeric=False),
            *(Column(group or "Value") for group, _ in _networks(comparison)),
        ),
        fields=tuple(lines[0].values),
        lines=tuple(lines),
    )


def _told_once(lines: list[Line]) -> list[Line]:
    """Let the first line of a fact speak for all rows, where it says the same of all of them."""
    first = lines[0]
    if len(lines) == 1 or len({line.cells[2:] for line in lines}) > 1:
        return lines
    cells = (first.cells[0], Cell("all rows"), *first.cells[2:])
    told = replace(first, cells=cells, reference=False)
    return [told, *(replace(line, shown=False) for line in lines[1:])]


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
    tested: bool,
    counts: Counts,
    costs: list[tuple[str, str, str]],
) -> Iterable[Cell]:
    row = contrast.row
    other = against(row.asked, comparison.asked.baseline)
    equal = [] if comparison.as_they_are and not row.is_reference else [_match_line(row)]
    yield Cell(variant_name(row.asked.variant), (*equal, *([other] if other else [])))
    if comparison.asked.is_trained:
        yield from _trained_cells(study, comparison, contrast, tested)
    for by_row in counts.values():
        yield _fact(by_row.get(id(row)), None)
    for _, network, name in costs:
        measured, base = _pair(comparison, row, network, name)
        yield _fact(measured, base, _largest(comparison, name))


def _trained_cells(
    study: Study, comparison: ComparisonEvidence, contrast: Contrast, tested: bool
) -> Iterable[Cell]:
    row, measure = contrast.row, comparison.measure
    places = decimals(measure.margin)
    yield from _difference_cells(contrast, measure, places)
    planned = seeds_planned(study, comparison, row)
    short = "†" if len(row.values) < planned else ""
    yield Cell(f"{len(row.values)}/{planned}{short}") if row.trials else NONE
    yield Cell(number(contrast.mean, places)) if contrast.mean is not None else NONE
    yield Cell(number(contrast.deviation, places + 1)) if contrast.deviation is not None else NONE
    if tested:
        error = contrast.test_error
        yield Cell(number(error.value, places + 1)) if error else NONE


def _difference_cells(contrast: Contrast, measure: Measure, places: int) -> Iterable[Cell]:
    if contrast.reference is None:
        yield from (Cell("reference", tone="quiet"), NONE)
        return
    if contrast.effect is None:
        yield from (Cell("not trained", tone="quiet"), NONE)
        return
    if contrast.refused:
        yield from (Cell("not compared", (contrast.refused,), tone="worse"), NONE)
        return
    if contrast.difference is None:
        yield NONE
    else:
        span = contrast.interval
        none = "[exact]" if contrast.is_exact else "[no interval]"
        interval = bounds(span.low, span.high, places) if span else none
        yield Cell(f"{signed(contrast.difference, places)} {interval}")
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


def _values(
    study: Study, comparison: ComparisonEvidence, contrast: Contrast, counts: Counts
) -> dict[str, Value]:
    """Return the numbers of one line; the same names for every line of the table."""
    row, measure = contrast.row, comparison.measure
    unit, points = slug(measure.unit), slug(difference_unit(measure.unit))
    span, error = contrast.interval, contrast.test_error
    found: dict[str, Value] = {
        "suite": study.suite,
        "comparison": comparison.asked.id,
        "variant": row.asked.variant,
        "match": "+".join(row.asked.match),
        "reference": row.is_reference,
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
    if not comparison.asked.is_trained:
        found = {key: found[key] for key in IDENTITY}
    found |= {f"{name}_full": _value(by_row.get(id(row))) for name, by_row in counts.items()}
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
        **labels(study, comparison),
        "reference_variant": row.asked.reference,
    }


def labels(study: Study, comparison: ComparisonEvidence) -> dict[str, Value]:
    """Return what must travel with every number."""
    return {
        "data": comparison.data.name,
        "screening": bool(citable.reasons(study, comparison)),
        "study": study.id,
    }


def _notes(
    study: Study, comparison: ComparisonEvidence, rows: tuple[Contrast, ...]
) -> Iterable[str]:
    if not comparison.asked.is_trained:
        yield "Facts of the full networks, by their structure; nothing is trained."
        if any(row.asked.reference for row in comparison.rows):
            yield "Costs (×, %) are against each row's reference. Tinted rows have none."
        return
    measure, data = comparison.measure, comparison.data
    unit = difference_unit(measure.unit)
    of_unit = f", {measure.unit}" if measure.unit else ""
    tested = f" on {number(data.sizes['test'])} test images" if "test" in data.sizes else ""
    baseline = f"the baseline, {variant_name(comparison.baseline.asked.variant)},"
    if comparison.against_baseline:
        reference = baseline
    else:
        reference = f"each row's reference, {baseline} unless the row says against what,"
    margin = f"{number(measure.margin, decimals(measure.margin))} {unit}".strip()
    yield (
        f"{upper_first(measure.title)}{of_unit} ({measure.direction} is better){tested}: mean and "
        f"standard deviation (sd) over the seeds that ended well. {VARIES}"
    )
    how = "Welch, over seeds, unpaired"
    if comparison.asked.paired:
        how = "Student's t, of the differences paired by seed"
    yield f"Difference: from {reference} with its 95 % interval ({how}, each row for itself)."
    if any(contrast.left_out for contrast in rows):
        yield (
            "Of seeds that only one of the two has, the difference has none: "
            + listed(
                [
                    f"{row_name(contrast.row.asked)} {number(contrast.left_out)} left out"
                    for contrast in rows
                    if contrast.left_out
                ]
            )
            + "."
        )
    if not comparison.against_baseline:
        yield "Costs (×, %) are against the same. Tinted rows are compared with no other."
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
    if comparison.asked.tuning is not None:
        yield "Each row is trained at the settings that its own tuning chose (table Tuning)."
    yield from standing(study, comparison)


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


def standing(study: Study, comparison: ComparisonEvidence) -> Iterable[str]:
    """Say on what the numbers stand: data and device."""
    title = one_line(comparison.data.title)
    yield f"Trained on {title}, on {study.device} in {study.precision}."


# --- facts ----------------------------------------------------------------------------------------


def _networks(comparison: ComparisonEvidence) -> list[tuple[str, str]]:
    """Return the networks whose facts are shown: the heading, and which one of a row it is."""
    if comparison.asked.is_trained and any(row.full_differs for row in comparison.rows):
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
        if network == "full" or (name in BUDGETS and _differs(comparison, name))
    ]


def _counts(comparison: ComparisonEvidence) -> Counts:
    """Return the further facts that claims are about, where nothing is trained: they are read."""
    if comparison.asked.is_trained:
        return {}
    asked = dict.fromkeys(
        str(claim.get("metric")) for claim in comparison.asked.claims if not claim.get("over")
    )
    found = {
        name: {
            id(row): it
            for row in comparison.rows
            if (it := sources.measured(row, name)) is not None
        }
        for name in asked
        if name not in HEADLINES and not name.endswith(".block")
    }
    return {name: by_row for name, by_row in found.items() if by_row}


def _first(by_row: dict[int, Measurement]) -> Measurement:
    return next(iter(by_row.values()))


def _differs(comparison: ComparisonEvidence, name: str) -> bool:
    """Return whether the trained network of some row has another value than the full one."""
    return any(row.full.get(name) != row.trained.get(name) for row in comparison.rows)


def _pair(
    comparison: ComparisonEvidence, row: RowEvidence, network: str, name: str
) -> tuple[Measurement | None, Measurement | None]:
    """Return a fact of a row's network and the same of its reference's."""
    reference = comparison.reference_of(row)
    if network == "full":
        return row.full.get(name), reference.full.get(name) if reference else None
    return row.trained.get(name), reference.trained.get(name) if reference else None


def _fact(
    found: Measurement | None,
    base: Measurement | None,
    largest: float | None = None,
    unit: str = "",
) -> Cell:
    if found is None:
        return NONE
    if found.value is None:
        return Cell("invalid", (str(found.detail.get("invalid", "no value")),), tone="worse")
    is_bytes = found.unit == "B"
    text = with_unit(quantity(found.value, largest), unit)
    if is_bytes:
        text = byte_count(found.value, largest)
    share = ratio(found, base)
    if found.direction != "lower" or share is None or share <= 0:
        return Cell(text)
    return Cell(text, (fewer_or_more(share, is_count=not is_bytes),))


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
    if found.unit == "B":  # which the cells spell
        return f"{'an image ' if name == 'activation_memory' else ''}{ARROW[found.direction]}"
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


def slug(unit: str) -> str:
    """Return a unit as the end of a column's name: `_percent`, `_points`, `` for none."""
    word = "percent" if unit == "%" else "".join(c if c.isalnum() else "_" for c in unit.lower())
    return f"_{word}" if word else ""
