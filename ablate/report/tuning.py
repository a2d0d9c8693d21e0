"""The table of what tuning tried out for each row, and what it chose."""

import json

from ablate.evidence import tuned
from ablate.evidence.collect import ComparisonEvidence, RowEvidence
from ablate.evidence.spelling import decimals, number, one_line, row_name
from ablate.evidence.tuning import at_edge
from ablate.report.comparison import NONE, slug
from ablate.report.tables import Cell, Column, Line, Table, Value, end
from ablate.study import Study

WIDEST = 8  # cells that have a column each; of more, the CSV has all


def tuning(study: Study, comparison: ComparisonEvidence) -> Table | None:
    """Return the table of a comparison's tuning; None where nothing is tuned."""
    asked = comparison.asked.tuning
    rows = [row for row in comparison.rows if row.tuning]
    if asked is None or not rows:
        return None
    lines = [_line(study, comparison, row, len(asked.cells) <= WIDEST) for row in rows]
    group = f"Score with {', '.join(one_line(path) for path in asked.cells[0])}"
    of_cells = [
        Column(", ".join(one_line(str(value)) for value in cell.values()), group=group)
        for cell in asked.cells
        if len(asked.cells) <= WIDEST
    ]
    return Table(
        id=f"{comparison.asked.table}-tuning",
        title=f"{end(comparison.asked.title)} Tuning",
        notes=(*tuned.sentences(comparison), "Scores are of the validation images; *: chosen."),
        columns=(
            Column("Row", numeric=False),
            Column("Chosen", numeric=False),
            Column("Score", comparison.measure.unit if asked.score != "validation_loss" else ""),
            *of_cells,
        ),
        fields=tuple(lines[0].values),
        lines=tuple(lines),
    )


def _line(study: Study, comparison: ComparisonEvidence, row: RowEvidence, wide: bool) -> Line:
    places = decimals(comparison.measure.margin) + 1
    asked = row.asked.tuned
    assert asked is not None
    chosen = asked.chosen
    best = None if chosen is None else row.tuning[chosen].score
    edges = [] if chosen is None else at_edge(row.tuning, chosen)
    said = Cell("not yet", tone="quiet")
    if chosen is not None:
        said = Cell(tuned.settings(row), ("at the edge",) if edges else ())
    cells = [
        Cell(row_name(row.asked, row.is_baseline)),
        said,
        NONE if best is None else Cell(number(best, places)),
    ]
    unit = slug(comparison.measure.unit)
    values: dict[str, Value] = {
        "suite": study.suite,
        "comparison": comparison.asked.id,
        "variant": row.asked.variant,
        "match": "+".join(row.asked.match),
        "chosen": None if chosen is None else _json(row.tuning[chosen].settings),
        "at_edge": ", ".join(edges),
        "trials": sum(cell.trials for cell in row.tuning),
        "seconds": sum(cell.seconds for cell in row.tuning),
    }
    for at, cell in enumerate(row.tuning):
        values[f"cell_{at + 1}"] = _json(cell.settings)
        values[f"cell_{at + 1}_outcome"] = cell.outcome
        values[f"cell_{at + 1}_score{unit}"] = cell.score
        if wide and cell.score is None:
            cells.append(Cell(cell.outcome, tone="quiet" if cell.outcome == "missing" else "worse"))
        elif wide and cell.score is not None:
            mark = "*" if at == chosen else ""
            cells.append(Cell(f"{number(cell.score, places)}{mark}"))
    values |= {"study": study.id, "reference_variant": row.asked.reference}
    return Line(tuple(cells), values, reference=row.is_reference)


def _json(settings: object) -> str:
    return json.dumps(settings, sort_keys=True)
