"""The table of the peaks of memory of a comparison's networks."""

from ablate.evidence import citable
from ablate.evidence.collect import ComparisonEvidence
from ablate.evidence.memory import Peak, peaks
from ablate.evidence.spelling import (
    against,
    byte_count,
    fewer_or_more,
    number,
    one_line,
    row_name,
    upper_first,
)
from ablate.report.comparison import NONE
from ablate.report.tables import Cell, Column, Line, Table, Value, end
from ablate.study import Study

_TITLES = {"inference_memory": "Inference", "training_memory": "Training step"}
_Key = tuple[str, int, str]  # metric, batch, precision


def memory(study: Study, comparison: ComparisonEvidence) -> Table | None:
    """Return the table of a comparison's memory passes; None where none has ended well."""
    found = {
        row.asked.variant + "+".join(row.asked.match): {
            _key(peak): peak for peak in peaks(comparison, row)
        }
        for row in comparison.rows
    }
    keys = list(dict.fromkeys(key for of_row in found.values() for key in of_row))
    if not keys:
        return None
    lines = []
    for row in comparison.rows:
        ours = found[row.asked.variant + "+".join(row.asked.match)]
        reference = comparison.reference_of(row)
        theirs = (
            found[reference.asked.variant + "+".join(reference.asked.match)] if reference else {}
        )
        other = against(row.asked, comparison.asked.baseline)
        values: dict[str, Value] = {
            "suite": study.suite,
            "comparison": comparison.asked.id,
            "variant": row.asked.variant,
            "match": "+".join(row.asked.match),
        }
        for key in keys:
            values |= _values(key, ours.get(key))
        values |= {"study": study.id, "reference_variant": row.asked.reference}
        cells = [Cell(row_name(row.asked, row.is_baseline), (other,) if other else ())]
        cells += [_cell(ours.get(key), theirs.get(key)) for key in keys]
        lines.append(Line(tuple(cells), values, reference=row.is_reference))
    several = len({precision for _, _, precision in keys}) > 1
    return Table(
        id=f"{comparison.asked.table}-memory",
        title=f"{end(comparison.asked.title)} Peak memory",
        notes=tuple(_notes(comparison, [p for of_row in found.values() for p in of_row.values()])),
        columns=(
            Column("Row", numeric=False),
            *(
                Column(
                    _TITLES[metric],
                    "↓",
                    upper_first(f"batch of {number(batch)}" + (f", {how}" if several else "")),
                )
                for metric, batch, how in keys
            ),
        ),
        fields=tuple(lines[0].values),
        lines=tuple(lines),
        caveats=tuple(citable.of_peaks(study)),
    )


def _key(peak: Peak) -> _Key:
    return peak.metric, int(peak.setting["batch"]), str(peak.setting["precision"])


def _cell(ours: Peak | None, theirs: Peak | None) -> Cell:
    if ours is None:
        return NONE
    if ours.invalid:
        return Cell("invalid", (ours.invalid,), tone="worse")
    below: tuple[str, ...] = ()
    if theirs and theirs.value and not theirs.invalid:
        below = (fewer_or_more(ours.value / theirs.value, is_count=False),)
    return Cell(("≤ " if ours.is_bound else "") + byte_count(ours.value), below)


def _values(key: _Key, peak: Peak | None) -> dict[str, Value]:
    at = "_".join(map(str, key))
    return {
        f"{at}_bytes": peak.value if peak and not peak.invalid else None,
        f"{at}_weights_bytes": peak.weights if peak else None,
        f"{at}_inputs_bytes": peak.inputs if peak else None,
        f"{at}_pass": peak.id if peak else None,
    }


def _notes(comparison: ComparisonEvidence, found: list[Peak]) -> list[str]:
    record = next(r for p in comparison.passes.values() for r in p if r.id == found[0].id)
    machine = {**record.environment, **record.spec["machine"]}
    on = one_line(str(machine.get("gpu") or machine.get("cpu")))
    notes = [
        "The full network alone in a process: the highest use of memory, beside the weights and "
        "inputs that were there before; median over rounds, and the ratio to the reference.",
        f"Measured on {on}, {found[0].setting['memory_format']}.",
    ]
    if any(peak.is_bound for peak in found):
        notes.append("≤: this system tells only the highest use since the process began.")
    return notes
