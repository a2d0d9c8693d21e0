"""The table of how long the networks of a comparison take, timed in turns."""

from ablate.evidence.collect import ComparisonEvidence
from ablate.evidence.latency import METRIC, UNSTEADY, Batch, Ratio, Timed, batches
from ablate.evidence.spelling import (
    against,
    between,
    bounds,
    counted,
    listed,
    number,
    one_line,
    quantity,
    row_name,
    variant_name,
)
from ablate.report.comparison import NONE
from ablate.report.tables import Cell, Column, Line, Table, Value, end
from ablate.study import Study


def latency(study: Study, comparison: ComparisonEvidence) -> Table | None:
    """Return the table of a comparison's latency pass; None where none has ended well."""
    found = batches(comparison)
    if not found:
        return None
    lines = []
    for row in comparison.rows:
        timed = [batch.of(row) for batch in found]
        other = against(row.asked, comparison.asked.baseline)
        cells = [Cell(row_name(row.asked, row.is_baseline), (other,) if other else ())]
        values: dict[str, Value] = {
            "suite": study.suite,
            "comparison": comparison.asked.id,
            "variant": row.asked.variant,
            "match": "+".join(row.asked.match),
        }
        for batch, it in zip(found, timed, strict=True):
            cells += _cells(it, row.is_reference)
            values |= _values(batch, it)
        values |= {
            "pass": comparison.passes[METRIC].id,
            "study": study.id,
            "reference_variant": row.asked.reference,
        }
        if any(timed):
            lines.append(Line(tuple(cells), values, reference=row.is_reference))
    if not lines:
        return None
    return Table(
        id=f"{comparison.asked.table}-latency",
        title=f"{end(comparison.asked.title)} Latency",
        notes=tuple(_notes(comparison, found)),
        columns=(
            Column("Row", numeric=False),
            *(
                column
                for batch in found
                for column in (
                    Column("Time", "ms a call ↓", f"Batch of {number(batch.size)}"),
                    Column("Ratio", "[95 %]", f"Batch of {number(batch.size)}"),
                )
            ),
        ),
        fields=tuple(lines[0].values),
        lines=tuple(lines),
    )


def _cells(timed: Timed | None, is_reference: bool) -> list[Cell]:
    if timed is None:
        return [NONE, NONE]
    shown = Cell(quantity(1000 * timed.seconds))
    if timed.ratio is None:
        return [shown, Cell("reference", tone="quiet") if is_reference else NONE]
    return [shown, Cell(_spelled(timed.ratio))]


def _spelled(ratio: Ratio) -> str:
    if ratio.low is None or ratio.high is None:
        return f"{number(ratio.value, 2)} [no interval]"
    return f"{number(ratio.value, 2)} {bounds(ratio.low, ratio.high, 2)}"


def _values(batch: Batch, timed: Timed | None) -> dict[str, Value]:
    ratio, at = timed.ratio if timed else None, f"batch_{batch.size}"
    return {
        f"median_{at}_seconds": timed.seconds if timed else None,
        f"ratio_{at}": ratio.value if ratio else None,
        f"low_{at}": ratio.low if ratio else None,
        f"high_{at}": ratio.high if ratio else None,
        f"control_{at}": batch.control.value,
        f"control_low_{at}": batch.control.low,
        f"control_high_{at}": batch.control.high,
        f"rounds_{at}": batch.rounds,
    }


def _notes(comparison: ComparisonEvidence, found: tuple[Batch, ...]) -> list[str]:
    record = comparison.passes[METRIC]
    machine = {**record.environment, **record.spec.get("machine", {})}
    reference = "each row's reference"
    if comparison.against_baseline:
        reference = f"the baseline, {variant_name(comparison.baseline.asked.variant)}"
    device = one_line(str(machine.get("gpu") or machine.get("cpu") or "an unnamed machine"))
    threads = machine.get("threads")
    on = [device]
    if isinstance(threads, int):
        on.append(counted(threads, "thread"))
    if precision := record.spec.get("precision"):
        on.append(one_line(str(precision)))
    rounds = between({batch.rounds for batch in found}, "round")
    controls = [f"{_spelled(b.control)} for a batch of {number(b.size)}" for b in found]
    notes = [
        "Inference by the full network, also where a narrower one was trained: median over rounds "
        f"of the time of a call, and the ratio to that of {reference}, with its 95 % interval (t, "
        "over rounds).",
        f"Measured on {', '.join(on)}; {rounds} in turns, in one process: how processes differ is "
        "not in the intervals.",
        f"A/A control, a copy of the first network to itself: {listed(controls)}.",
    ]
    if any(batch.unsteady for batch in found):
        notes.append(
            f"Not to be believed: the copy differs by more than {100 * UNSTEADY:g} %, so the "
            "machine was not steady."
        )
    return notes
