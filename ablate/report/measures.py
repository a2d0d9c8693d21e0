"""The table of what the trials of a comparison and their weights show beside its own metric."""

import math

from ablate.evidence import citable, welch
from ablate.evidence.collect import ComparisonEvidence, RowEvidence
from ablate.evidence.spelling import (
    between,
    counted,
    listed,
    lower_first,
    quantity,
    row_name,
    upper_first,
)
from ablate.records import Measurement
from ablate.report.comparison import ARROW, NONE, labels, slug, standing
from ablate.report.tables import Cell, Column, Line, Table, Value, end
from ablate.study import Study

# What a metric's detail may hold beside its value: the same measure of things that no row made.
NULLS = {"target": "targets themselves", "white_noise": "white noise, expected"}


def measures(study: Study, comparison: ComparisonEvidence) -> Table | None:
    """Return the table of every other metric of the trials, by row; None where there is none."""
    found = _measured(comparison)
    if not found:
        return None
    lines = [
        *(line for key in NULLS if (line := _null_line(study, comparison, found, key))),
        *(_line(study, comparison, found, row) for row in comparison.rows if row.trials),
    ]
    seeds = between({len(row.having("ok")) for row in comparison.rows if row.trials}, "seed")
    notes = [
        f"Mean and standard deviation (sd) over the seeds that ended well ({seeds} a row); "
        "↑: higher is better, ↓: lower."
    ]
    if read := [name for name in found if name in _read(comparison)]:
        titles = listed([lower_first(_any(found[name]).title) for name in read])
        notes.append(f"Of the weights of a row's first seeds, read after all training: {titles}.")
    if len(devices := _devices(comparison)) > 1:
        notes.append(f"The trials ran on {len(devices)} devices, so their times are left out.")
    if len(lines) > sum(len(row.trials) > 0 for row in comparison.rows):
        notes.append(
            "First lines: the same measure of what no network has made, the target images "
            "themselves or noise without any pattern."
        )
    return Table(
        id=f"{comparison.asked.table}-measures",
        title=f"{end(comparison.asked.title)} Other measures",
        notes=(*notes, *standing(study, comparison)),
        columns=(
            Column("Row", numeric=False),
            *(
                Column(upper_first(it.title), f"{it.unit} {ARROW[it.direction]}".strip())
                for it in (_any(by_row) for by_row in found.values())
            ),
        ),
        fields=tuple(lines[0].values),
        lines=tuple(lines),
        screening=tuple(citable.reasons(study, comparison)),
    )


Measured = dict[str, dict[str, list[Measurement]]]  # metric -> row's name -> one a seed


def _measured(comparison: ComparisonEvidence) -> Measured:
    """Return what the trials and readings of each row measured, but for the comparison's metric."""
    found: Measured = {}
    for row in comparison.rows:
        ended = (trial.record for trial in row.having("ok", "invalid"))
        for record in (*ended, *(reading.record for reading in row.readings)):
            for name, measurement in record.metrics.items() if record else ():
                by_row = found.setdefault(name, {})
                by_row.setdefault(_name(row), []).append(measurement)
    timed = {name for name in found if _any(found[name]).unit == "s"}
    left_out = {comparison.measure.name, *(timed if len(_devices(comparison)) > 1 else ())}
    return {name: found[name] for name in sorted(found) if name not in left_out}


def _devices(comparison: ComparisonEvidence) -> set[str]:
    """Return what the trials ran on: times of several devices are not to be compared."""
    found = (t.record.environment for t in comparison.trials().values() if t.record)
    return {str(around.get("gpu") or around.get("cpu")) for around in found}


def _read(comparison: ComparisonEvidence) -> set[str]:
    """Return the metrics that readings measured."""
    found = (reading.record for row in comparison.rows for reading in row.readings)
    return {name for record in found if record for name in record.metrics}


def _line(study: Study, comparison: ComparisonEvidence, found: Measured, row: RowEvidence) -> Line:
    cells = [Cell(_name(row))]
    numbers: dict[str, Value] = {}
    for name, by_row in found.items():
        here = by_row.get(_name(row), [])
        values = [float(it.value) for it in here if it.value is not None]
        numbers |= _numbers(name, by_row, values)
        invalid = [it for it in here if it.value is None]
        if not values and invalid:
            reason = str(invalid[0].detail.get("invalid", "no value"))
            cells.append(Cell("invalid", (reason,), tone="worse"))
        else:
            cells.append(_cell(values, _largest(by_row), len(row.values)))
    first = {"variant": row.asked.variant, "match": "+".join(row.asked.match)}
    return Line(
        tuple(cells), _values(study, comparison, first, numbers), reference=row.is_reference
    )


def _null_line(
    study: Study, comparison: ComparisonEvidence, found: Measured, key: str
) -> Line | None:
    """Return the line of what no row made, where a metric's detail tells it."""
    cells = [Cell(NULLS[key])]
    numbers: dict[str, Value] = {}
    for name, by_row in found.items():
        details = [it.detail.get(key) for measured in by_row.values() for it in measured]
        told = sorted({float(it) for it in details if isinstance(it, int | float)})
        # The same test images give every trial the same value.
        value = welch.mean(told) if told else None
        numbers |= _numbers(name, by_row, [] if value is None else [value])
        cells.append(NONE if value is None else Cell(quantity(value, _largest(by_row))))
    if all(cell is NONE for cell in cells[1:]):
        return None
    first = {"variant": NULLS[key], "match": ""}
    return Line(tuple(cells), _values(study, comparison, first, numbers), reference=True)


def _values(
    study: Study, comparison: ComparisonEvidence, first: dict[str, str], numbers: dict[str, Value]
) -> dict[str, Value]:
    return {
        "suite": study.suite,
        "comparison": comparison.asked.id,
        **first,
        **numbers,
        **labels(study, comparison),
    }


def _numbers(
    name: str, by_row: dict[str, list[Measurement]], values: list[float]
) -> dict[str, Value]:
    unit = slug(_any(by_row).unit)
    return {
        f"{name}_n": len(values),
        f"{name}_mean{unit}": welch.mean(values) if values else None,
        f"{name}_sd{unit}": welch.deviation(values),
    }


def _cell(values: list[float], largest: float, expected: int) -> Cell:
    """Spell a mean, and below it the deviation and how many seeds it is of, unless it is of all."""
    if not values:
        return NONE
    spread = welch.deviation(values)
    below = [f"sd {_small(spread)}"] if spread is not None else []
    below += [counted(len(values), "seed")] if len(values) != expected else []
    return Cell(quantity(welch.mean(values), largest), (", ".join(below),) if below else ())


def _small(value: float) -> str:
    """Spell a deviation with two digits; below a millionth it is rounding, and none."""
    if value < 1e-6:
        return "0"
    places = max(0, 1 - math.floor(math.log10(value)))
    return f"{value:,.{places}f}"


def _largest(by_row: dict[str, list[Measurement]]) -> float:
    return max((abs(it.value or 0) for found in by_row.values() for it in found), default=0.0)


def _any(by_row: dict[str, list[Measurement]]) -> Measurement:
    return next(it for found in by_row.values() for it in found)


def _name(row: RowEvidence) -> str:
    return row_name(row.asked, row.is_baseline)
