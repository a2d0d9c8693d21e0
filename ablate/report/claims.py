"""The claims and requirements that a study carries, as tables. This version judges none of them."""

import json
from collections.abc import Mapping
from typing import Any

from ablate.evidence.collect import ComparisonEvidence
from ablate.evidence.spelling import one_line, upper_first, variant_name
from ablate.report.tables import Cell, Column, Line, Table, Value, end
from ablate.study import Study

OPEN = "not judged yet: this version judges no claims"
_SIGNS = {"below": "<", "above": ">", "at_least": "≥", "at_most": "≤"}


def claims(study: Study, comparison: ComparisonEvidence) -> Table | None:
    """Return the table of a comparison's claims, in the order of the suite; None without any."""
    lines = []
    for claim in comparison.asked.claims:
        note, says = str(claim.get("note", "")), str(claim.get("says", ""))
        values: dict[str, Value] = {
            "suite": study.suite,
            "comparison": comparison.asked.id,
            "note": note,
            "says": says,
            "kind": str(claim.get("kind", "")),
            "claim": json.dumps(claim, sort_keys=True),
            "verdict": OPEN,
        }
        cells = (
            Cell(one_line(note)),
            Cell(f"“{one_line(says)}”"),
            Cell(upper_first(str(claim.get("kind", ""))), (_terms(claim),)),
            Cell(OPEN, tone="quiet"),
        )
        lines.append(Line(cells, values))
    if not lines:
        return None
    return Table(
        id=f"{comparison.asked.table}-claims",
        title=f"{end(comparison.asked.title)} Claims",
        notes=(_source(study), "The words are the source's own; the line is that of the note."),
        columns=(
            Column("Line", numeric=False, whole=True),
            Column("Says", numeric=False),
            Column("To be judged as", numeric=False),
            Column("Verdict", numeric=False),
        ),
        fields=tuple(lines[0].values),
        lines=tuple(lines),
    )


def requirements(study: Study) -> Table | None:
    """Return the table of a suite's requirements; None without any."""
    lines = []
    for requirement in study.requirements:
        variant = str(requirement.get("variant", ""))
        values: dict[str, Value] = {
            "suite": study.suite,
            "variant": variant,
            "requirement": json.dumps(requirement, sort_keys=True),
            "verdict": OPEN,
        }
        cells = (Cell(variant_name(variant)), Cell(_bounds(requirement)), Cell(OPEN, tone="quiet"))
        lines.append(Line(cells, values))
    if not lines:
        return None
    return Table(
        id=f"tbl-{study.suite}-requirements",
        title="Requirements",
        notes=(_source(study),),
        columns=(
            Column("Variant", numeric=False),
            Column("Must reach", numeric=False),
            Column("Verdict", numeric=False),
        ),
        fields=tuple(lines[0].values),
        lines=tuple(lines),
    )


def _source(study: Study) -> str:
    if study.source is None:
        return "The suite names no source."
    note, title = study.source.get("note"), study.source.get("title")
    named = ", ".join(one_line(part) for part in (note and f"note {note}", title) if part)
    return f"Source: {end(named)}"


def _terms(claim: Mapping[str, Any]) -> str:
    """Spell what a claim says beside its words: `metric accuracy, expect a < b, margin 0.5`."""
    said = {k: v for k, v in claim.items() if k not in ("note", "says", "kind")}
    return ", ".join(
        f"{key.replace('_', ' ')} {_plain(value)}"
        for key, value in sorted(said.items(), key=lambda item: (item[0] != "metric", item[0]))
        if value not in (None, False, {}, [])
    )


def _bounds(requirement: Mapping[str, Any]) -> str:
    parts = []
    for key, value in sorted(requirement.items()):
        if key == "variant" or not value:
            continue
        if isinstance(value, Mapping):
            for side, limit in sorted(value.items()):
                if limit is not None:
                    parts.append(f"{key.replace('_', ' ')} {_SIGNS.get(side, side)} {limit:,}")
        else:
            parts.append(f"{key} {_plain(value)}")
    return one_line("; ".join(parts))


def _plain(value: Any) -> str:
    if isinstance(value, list):
        return one_line(", ".join(map(str, value)))
    return one_line(value if isinstance(value, str) else json.dumps(value, sort_keys=True))
