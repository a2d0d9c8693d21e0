"""The table of how long the networks of a comparison take, timed in turns.

Few settings stand side by side. Of many, those that differ in the batch alone do, where there are
no more than two batches; all else goes down the page, setting by setting.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ablate.evidence import citable, settings
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
_ACROSS = 2  # batches that stand side by side beside other differences
_WORDS = {"higher": "slower", "lower": "faster"}


def latency(study: Study, comparison: ComparisonEvidence) -> Table | None:
    """Return the table of a comparison's latency passes; None where none has ended well."""
    found = measured(comparison)
    if not found:
        return None
    varies = [part for part in _PARTS if len({m.setting[part] for m in found}) > 1]
    down = _down(found, varies)  # what goes down the page
    across = [part for part in varies if part not in down]
    lines = []
    for beside in _beside(found, down):
        for row in comparison.rows:
            timed = [one.of(row) for one in beside]
            other = against(row.asked, comparison.asked.baseline)
            cells = [Cell(row_name(row.asked, row.is_baseline), (other,) if other else ())]
            cells += [Cell(", ".join(_label(beside[0], part) for part in down))] if down else []
            values: dict[str, Value] = {
                "suite": study.suite,
                "comparison": comparison.asked.id,
                "variant": row.asked.variant,
                "match": "+".join(row.asked.match),
            }
            values |= {part: beside[0].setting[part] for part in down}
            for one, it in zip(beside, timed, strict=True):
                cells += _cells(it, row.is_reference)
                if "batch" in down:
                    cells.append(_an_image(one, it))
                values |= _values(one, it, across, "batch" not in down)
            values |= {
                "passes": " ".join(comparison.asked.passes[METRIC]),
                "study": study.id,
                "reference_variant": row.asked.reference,
            }
            if any(timed):
                lines.append(Line(tuple(cells), values, reference=row.is_reference))
    if not lines:
        return None
    columns = [Column("Row", numeric=False)]
    columns += [Column("At", numeric=False)] if down else []
    for one in _beside(found, down)[0]:
        heading = "" if "batch" in down else _heading(one, across)
        columns += [Column("Time", "ms a call ↓", heading), Column("Ratio", "[95 %]", heading)]
        columns += [Column("Time", "ms an image ↓")] if "batch" in down else []
    return Table(
        id=f"{comparison.asked.table}-latency",
        title=f"{end(comparison.asked.title)} Latency",
        notes=(*_notes(comparison, found, varies), *_standing(study, found)),
        caveats=tuple(citable.of_times(study, found)),
        columns=tuple(columns),
        fields=tuple(lines[0].values),
        lines=tuple(lines),
    )


def _down(found: Sequence[Measured], varies: Sequence[str]) -> list[str]:
    """Return what settings differ in that goes down the page: nothing where they are few."""
    if len(found) <= settings.FEW:
        return []
    batches = {one.batch for one in found}
    at_all = {tuple(str(one.setting[part]) for part in varies) for one in found}
    is_whole = len(batches) * len(at_all) == len(found)
    return [*varies] if varies and is_whole and len(batches) <= _ACROSS else [*varies, "batch"]


def _beside(found: Sequence[Measured], down: Sequence[str]) -> list[list[Measured]]:
    """Return the settings that stand side by side, for each that goes down the page."""
    groups: dict[tuple[str, ...], list[Measured]] = {}
    for one in found:
        groups.setdefault(tuple(str(one.setting[part]) for part in down), []).append(one)
    return list(groups.values())


def _label(one: Measured, part: str) -> str:
    return f"batch {number(one.batch)}" if part == "batch" else _word(one.setting[part])


def _an_image(one: Measured, timed: Timed | None) -> Cell:
    return Cell(quantity(1000 * timed.seconds / one.batch)) if timed else NONE


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


def _values(
    one: Measured, timed: Timed | None, varies: Sequence[str], named: bool
) -> dict[str, Value]:
    """Return the numbers at a setting; `named` tells the batch in their names."""
    ratio = timed.ratio if timed else None
    at = "_".join([f"batch_{one.batch}", *(str(one.setting[part]) for part in varies)])
    found = _numbers(one, timed, ratio, at)
    return found if named else {key.replace(f"_{at}", ""): it for key, it in found.items()}


def _numbers(one: Measured, timed: Timed | None, ratio: Ratio | None, at: str) -> dict[str, Value]:
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
    controls = listed([f"{_spelled(one.control)} for a {_lower(one, varies)}" for one in found])
    if len(found) > settings.FEW:
        each = sorted(one.control.value for one in found)
        at = f"over {number(len(found))} settings, each with its interval in the CSV"
        controls = f"{number(each[0], 3)} to {number(each[-1], 3)} {at}"
    notes = [
        "The full network, also where a narrower one was trained: median time of a call, and the "
        f"ratio to that of {reference}, compared within rounds in which all took their turns, with "
        f"its 95 % interval over {over}.",
        f"Measured on {', '.join(on)}; {rounds} in each of {processes}."
        if several
        else f"Measured on {', '.join(on)}; {rounds}.",
        f"Margin {100 * found[0].margin:g} %: ▲ and ▼ mark what is surely beyond it, ≈ what is "
        "surely within.",
        f"A/A control, a copy of the first network to itself: {controls}.",
    ]
    if noisy := [one for one in found if one.unsteady]:
        which = listed([f"a {_lower(one, varies)} ({100 * one.floor:.1f} %)" for one in noisy])
        if len(found) > settings.FEW:
            where = settings.spelled([it.setting for it in noisy], [it.setting for it in found])
            which = f"what was timed {where} ({100 * max(it.floor for it in noisy):.1f} % at most)"
        notes.append(
            f"The machine was too noisy for a verdict: the copy differed from the network by more "
            f"than the margin for {which}."
        )
    if dropped := sum(one.dropped for one in found):
        notes.append(f"{counted(dropped, 'round')} left out, in which the GPU's clock was low.")
    notes += _unmeasured(comparison, [one.setting for one in found])
    if not all(one.settled for one in found):
        notes.append("Times had not settled within 2 % when the warm-up ended.")
    shares = [one.on_cpu for one in found if one.on_cpu is not None]
    if shares and min(shares) < FREE:
        notes.append(
            f"The machine was not left alone: other programs took up to "
            f"{100 * (1 - min(shares)):.0f} % of the time of some network's calls."
        )
    return notes


def _unmeasured(
    comparison: ComparisonEvidence, found: Sequence[Mapping[str, Any]]
) -> Iterator[str]:
    """Say which settings have no times, and why."""
    by_reason: dict[str, dict[str, Mapping[str, Any]]] = {}
    for record in comparison.passes[METRIC]:
        for place, why in record.environment.get("unmeasured", {}).items():
            setting = record.spec["settings"][int(place)]
            by_reason.setdefault(one_line(str(why)), {})[str(setting)] = setting
    for why, those in by_reason.items():
        lacking = list(those.values())
        where = settings.spelled(lacking, [*found, *(it for it in lacking if it not in found)])
        yield f"Not timed {where}: {why}."


def _standing(study: Study, found: Sequence[Measured]) -> list[str]:
    reasons = citable.of_times(study, found)
    return [f"Screening, not to be cited. {' '.join(reasons)}"] if reasons else []


def _lower(one: Measured, varies: Sequence[str]) -> str:
    return lower_first(_heading(one, varies))
