"""The table of how long the networks of a comparison take, timed in turns."""

from collections.abc import Sequence

from ablate.evidence import citable
from ablate.evidence.collect import ComparisonEvidence
from ablate.evidence.effects import Effect, gain
from ablate.evidence.latency import FREE, METRIC, Measured, Ratio, Timed, measured
from ablate.evidence.spelling import (
    against,
    between,
    bounds,
    counted,
    listed,
    lower_first,
    number,
    one_line,
    quantity,
    row_name,
    upper_first,
    variant_name,
)
from ablate.report.comparison import NONE
from ablate.report.tables import Cell, Column, Line, Table, Value, end
from ablate.study import Study

# What a setting may say, in words; where all settings say the same, a note says it for all.
_PARTS = ("phase", "precision", "memory_format", "mode")
_WORDS = {"higher": "slower", "lower": "faster"}


def latency(study: Study, comparison: ComparisonEvidence) -> Table | None:
    """Return the table of a comparison's latency passes; None where none has ended well."""
    found = measured(comparison)
    if not found:
        return None
    varies = [part for part in _PARTS if len({m.setting[part] for m in found}) > 1]
    lines = []
    for row in comparison.rows:
        timed = [one.of(row) for one in found]
        other = against(row.asked, comparison.asked.baseline)
        cells = [Cell(row_name(row.asked, row.is_baseline), (other,) if other else ())]
        values: dict[str, Value] = {
            "suite": study.suite,
            "comparison": comparison.asked.id,
            "variant": row.asked.variant,
            "match": "+".join(row.asked.match),
        }
        for one, it in zip(found, timed, strict=True):
            cells += _cells(it, row.is_reference)
            values |= _values(one, it, varies)
        values |= {
            "passes": " ".join(comparison.asked.passes[METRIC]),
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
        notes=(*_notes(comparison, found, varies), *_standing(study, found)),
        caveats=tuple(citable.of_times(study, found)),
        columns=(
            Column("Row", numeric=False),
            *(
                column
                for one in found
                for column in (
                    Column("Time", "ms a call ↓", _heading(one, varies)),
                    Column("Ratio", "[95 %]", _heading(one, varies)),
                )
            ),
        ),
        fields=tuple(lines[0].values),
        lines=tuple(lines),
    )


def measured_on(comparison: ComparisonEvidence) -> str:
    """Name the device that a comparison was timed on."""
    record = comparison.passes[METRIC][0]
    machine = {**record.environment, **record.spec.get("machine", {})}
    return one_line(str(machine.get("gpu") or machine.get("cpu") or "an unnamed machine"))


def _heading(one: Measured, varies: Sequence[str]) -> str:
    said = [f"batch of {number(one.batch)}", *(_word(one.setting[part]) for part in varies)]
    return upper_first(", ".join(said))


def _word(said: object) -> str:
    return one_line(str(said)) if said == "channels_last" else one_line(str(said)).replace("_", " ")


def _cells(timed: Timed | None, is_reference: bool) -> list[Cell]:
    if timed is None:
        return [NONE, NONE]
    shown = Cell(quantity(1000 * timed.seconds), ("launch-bound",) if timed.waits else ())
    if timed.ratio is None or timed.effect is None:
        return [shown, Cell("reference", tone="quiet") if is_reference else NONE]
    tone = gain(timed.effect, "lower") or "quiet"
    return [shown, Cell(_spelled(timed.ratio), (_mark(timed.effect),), tone=tone)]


def _mark(effect: Effect) -> str:
    return f"{effect.symbol} {_WORDS.get(effect.key, effect.words)}"


def _spelled(ratio: Ratio) -> str:
    if ratio.low is None or ratio.high is None:
        return f"{number(ratio.value, 2)} [no interval]"
    return f"{number(ratio.value, 2)} {bounds(ratio.low, ratio.high, 2)}"


def _values(one: Measured, timed: Timed | None, varies: Sequence[str]) -> dict[str, Value]:
    ratio = timed.ratio if timed else None
    at = "_".join([f"batch_{one.batch}", *(str(one.setting[part]) for part in varies)])
    return {
        f"median_{at}_seconds": timed.seconds if timed else None,
        f"p90_{at}_seconds": timed.p90 if timed else None,
        f"p99_{at}_seconds": timed.p99 if timed else None,
        f"slowest_{at}_seconds": timed.slowest if timed else None,
        f"beyond_twice_the_median_{at}": timed.far if timed else None,
        f"calls_{at}": timed.calls if timed else None,
        f"ratio_{at}": ratio.value if ratio else None,
        f"low_{at}": ratio.low if ratio else None,
        f"high_{at}": ratio.high if ratio else None,
        f"effect_{at}": _WORDS.get(timed.effect.key, timed.effect.words)
        if timed and timed.effect
        else None,
        f"control_{at}": one.control.value,
        f"control_low_{at}": one.control.low,
        f"control_high_{at}": one.control.high,
        f"floor_{at}": one.floor,
        f"margin_{at}": one.margin,
        f"rounds_{at}": one.rounds,
        f"processes_{at}": one.processes,
    }


def _notes(
    comparison: ComparisonEvidence, found: Sequence[Measured], varies: Sequence[str]
) -> list[str]:
    reference = "each row's reference"
    if comparison.against_baseline:
        reference = f"the baseline, {variant_name(comparison.baseline.asked.variant)}"
    first = found[0].setting
    on = [measured_on(comparison)]
    on.append(counted(int(first["threads"]), "thread"))
    on += [_word(first[part]) for part in _PARTS if part not in varies]
    several = max(one.processes for one in found) > 1
    processes = f"{min(one.processes for one in found)} processes"
    rounds = between({one.rounds // one.processes for one in found}, "round")
    over = "processes" if several else "the rounds of one process, and not over processes"
    controls = [f"{_spelled(one.control)} for a {_lower(one, varies)}" for one in found]
    notes = [
        "The full network, also where a narrower one was trained: median time of a call, and the "
        f"ratio to that of {reference}, compared within rounds in which all took their turns, with "
        f"its 95 % interval over {over}.",
        f"Measured on {', '.join(on)}; {rounds} in each of {processes}."
        if several
        else f"Measured on {', '.join(on)}; {rounds}.",
        f"Margin {100 * found[0].margin:g} %: ▲ and ▼ mark what is surely beyond it, ≈ what is "
        "surely within.",
        f"A/A control, a copy of the first network to itself: {listed(controls)}.",
    ]
    if noisy := [one for one in found if one.unsteady]:
        which = listed([f"a {_lower(one, varies)} ({100 * one.floor:.1f} %)" for one in noisy])
        notes.append(
            f"The machine was too noisy for a verdict: the copy differed from the network by more "
            f"than the margin for {which}."
        )
    if dropped := sum(one.dropped for one in found):
        notes.append(f"{counted(dropped, 'round')} left out, in which the GPU's clock was low.")
    if not all(one.settled for one in found):
        notes.append("Times had not settled within 2 % when the warm-up ended.")
    shares = [one.on_cpu for one in found if one.on_cpu is not None]
    if shares and min(shares) < FREE:
        notes.append(
            f"The machine was not left alone: other programs took up to "
            f"{100 * (1 - min(shares)):.0f} % of the time of some network's calls."
        )
    return notes


def _standing(study: Study, found: Sequence[Measured]) -> list[str]:
    reasons = citable.of_times(study, found)
    return [f"Screening, not to be cited. {' '.join(reasons)}"] if reasons else []


def _lower(one: Measured, varies: Sequence[str]) -> str:
    return lower_first(_heading(one, varies))
