"""What variants save for the same result: the table, that of its points, and the curves."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ablate.evidence import citable, curve, saving, welch
from ablate.evidence.collect import ComparisonEvidence, RowEvidence
from ablate.evidence.saving import Saving, same_result, savings
from ablate.evidence.spelling import (
    between,
    decimals,
    difference_unit,
    lower_first,
    number,
    quantity,
    times,
    upper_first,
    variant_name,
    with_unit,
)
from ablate.report.comparison import ARROW, NONE, VARIES, labels, slug, standing
from ablate.report.figures import Drawn, Figure, Palette, Panel, draw, write_heading
from ablate.report.tables import Cell, Column, Line, Table, Value, end
from ablate.study import AtBudget, Study

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PANEL = (4.4, 3.0)  # inches
_STEPS = 80  # of a drawn curve


def table(study: Study, comparison: ComparisonEvidence) -> Table | None:
    """Return what each variant saves of each cost; None where no budgets were asked for."""
    found = savings(comparison)
    if not found:
        return None
    measure = comparison.measure
    lines = [Line(tuple(_cells(one)), _values(study, comparison, one, found)) for one in found]
    title = lower_first(measure.title)
    points = [len(one.points) for one in found]
    return Table(
        id=f"{comparison.asked.table}-saving",
        title=f"{end(comparison.asked.title)} What is saved for the same {title}",
        notes=(
            "How many times fewer parameters or MACs, or less time, than its reference a variant "
            f"takes: as a drop-in, whatever that does to the {title}, and for the {title} of the "
            "reference, with its 95 % interval (Fieller, over seeds, each line for itself).",
            f"Read from a curve through the means of {between(points, 'width')}, each weighted by "
            "its seeds: a line through three, a parabola in the logarithm of the cost through four "
            "or more. Nothing is extrapolated: an end that was not measured is called below or "
            "above what was.",
            "Costs are those of the networks as trained. Misfit: p value of the lack of fit; below "
            f"{saving.MISFIT:g} nothing is read from a curve.",
            *standing(study, comparison),
        ),
        columns=(
            Column("Variant", numeric=False),
            Column("Cost", numeric=False),
            Column("As a drop-in"),
            Column(f"For the same {title}", "[95 %]"),
            Column("Curves cross", "at times the reference's"),
            Column("Misfit", "p"),
            Column("Seeds", "a width"),
        ),
        fields=tuple(lines[0].values),
        lines=tuple(lines),
        screening=tuple(_reasons(study, comparison)),
    )


def points(study: Study, comparison: ComparisonEvidence) -> Table | None:
    """Return the networks that curves go through; None where no budgets were asked for."""
    measure, lines = comparison.measure, []
    known = {cost.name: cost for cost in saving.costs(comparison)}
    unit, spread = slug(measure.unit), slug(difference_unit(measure.unit))
    places = decimals(measure.margin)
    for row in _networks(comparison):
        values = list(row.values.values())
        mean, deviation = (welch.mean(values) if values else None), welch.deviation(values)
        asked = f"{row.asked.factor:g}" if isinstance(row.asked, AtBudget) else "row"
        costs = [cost.values.get(row.asked.facts) for cost in known.values()]
        width = row.asked.config["network"].get("width")
        cells = [
            Cell(variant_name(row.asked.variant)),
            Cell(asked, tone="" if isinstance(row.asked, AtBudget) else "quiet"),
            Cell(quantity(width)) if isinstance(width, int | float) else NONE,
            *(
                Cell(quantity(1000 * cost if of.unit == "s" else cost)) if cost else NONE
                for cost, of in zip(costs, known.values(), strict=True)
            ),
            Cell(f"{len(values)}/{len(row.trials)}"),
            Cell(number(mean, places)) if mean is not None else NONE,
            Cell(number(deviation, places + 1)) if deviation is not None else NONE,
        ]
        fields: dict[str, Value] = {
            "suite": study.suite,
            "comparison": comparison.asked.id,
            "variant": row.asked.variant,
            "match": "+".join(row.asked.match),
            "budget": row.asked.factor if isinstance(row.asked, AtBudget) else None,
            "residual": row.asked.residual,
            "width": width if isinstance(width, int | float) else None,
            **{slugged(name): cost for name, cost in zip(known, costs, strict=True)},
            "n_ok": len(values),
            "n_planned": len(row.trials),
            "metric": measure.name,
            f"mean{unit}": mean,
            f"sd{spread}": deviation,
            **labels(study, comparison),
        }
        lines.append(Line(tuple(cells), fields))
    if not lines:
        return None
    return Table(
        id=f"{comparison.asked.table}-budgets",
        title=f"{end(comparison.asked.title)} The same variants at other widths",
        notes=(
            "Budget: times the baseline's, to which the width was solved; row: a network that the "
            "comparison has anyway. All as trained.",
            f"{upper_first(measure.title)}{f', {measure.unit}' if measure.unit else ''} "
            f"({measure.direction} is better): mean and standard deviation (sd) over the seeds "
            f"that ended well. {VARIES}",
            *standing(study, comparison),
        ),
        columns=(
            Column("Variant", numeric=False),
            Column("Budget", _kind(comparison)),
            Column("Width"),
            *(
                Column(upper_first(cost.noun), "ms ↓" if cost.unit else "↓")
                for cost in known.values()
            ),
            Column("Seeds", "ok/planned"),
            Column(
                upper_first(measure.title), f"{measure.unit} {ARROW[measure.direction]}".strip()
            ),
            Column("sd", difference_unit(measure.unit)),
        ),
        fields=tuple(lines[0].values),
        lines=tuple(lines),
        screening=tuple(_reasons(study, comparison)),
    )


def is_complete(comparison: ComparisonEvidence) -> bool:
    """Return whether all networks of the curves were trained."""
    return all(row.having("missing") == () for row in _networks(comparison))


def slugged(name: str) -> str:
    """Return a cost's name as that of a column: `latency_at_batch_1_seconds`."""
    return f"{name.replace(' ', '_')}{'_seconds' if name.startswith('latency') else ''}"


def _kind(comparison: ComparisonEvidence) -> str:
    (kind,) = comparison.budgets[0].asked.match
    return {"params": "parameters", "macs": "MACs"}.get(kind, kind)


def _networks(comparison: ComparisonEvidence) -> list[RowEvidence]:
    variants = dict.fromkeys(point.asked.variant for point in comparison.budgets)
    found = []
    for variant in variants:
        rows = saving.points(comparison, variant)
        found += sorted(rows, key=lambda row: getattr(row.trained.get("params"), "value", 0) or 0)
    return found


def _reasons(study: Study, comparison: ComparisonEvidence) -> list[str]:
    """Return why these numbers may not be cited: of the rows, and of the further networks."""
    several = replace(comparison, rows=(*comparison.rows, *comparison.budgets))
    return citable.reasons(study, several)


def _cells(one: Saving) -> list[Cell]:
    against = f"in place of {variant_name(one.reference)}"
    cells = [Cell(variant_name(one.variant), (against,)), Cell(one.cost.noun)]
    if one.drop_in is None:
        cells.append(NONE)
    else:
        more = one.drop_in < 1
        size = times(1 / one.drop_in if more else one.drop_in)
        cells.append(Cell(f"{size}× {'as much' if more else one.cost.fewer}"))
    if one.meeting is None:
        cells += [Cell("not known yet", (one.why,), tone="quiet"), NONE, NONE]
    else:
        shown = "cannot tell" if one.is_open else same_result(one, f" {one.cost.fewer}")
        tone = "quiet" if one.misfits else ""
        low, high = one.bounds()
        if not one.misfits and (low or 0) > 1:
            tone = "better"
        elif not one.misfits and high is not None and high < 1:
            tone = "worse"
        cells.append(Cell(shown, tone=tone))
        cells.append(_crossing(one))
        p = min(
            found.lack_of_fit for found in (one.curve, one.curve_of_reference) if found is not None
        )
        cells.append(Cell(f"{p:.2g}", tone="worse" if one.misfits else ""))
    return [*cells, Cell(_seeds(one))]


def _seeds(one: Saving) -> str:
    counts = {len(row.values) for row in one.points}
    return between(counts, "seed").removesuffix("s").removesuffix(" seed") if counts else "0"


def _crossing(one: Saving) -> Cell:
    it = one.crossing
    if it is None:
        return NONE
    span = f"{number(it.start, 2)} to {number(it.end, 2)}"
    if not it.roots:
        return Cell("nowhere" if it.is_known else "cannot tell", (f"from {span}",))
    low = f"below {number(it.start, 2)}" if it.low is None else number(it.low, 2)
    high = f"above {number(it.end, 2)}" if it.high is None else number(it.high, 2)
    where = " and ".join(number(root, 2) for root in it.roots)
    return Cell(f"{where} [{low}, {high}]" if len(it.roots) == 1 else where)


def _values(
    study: Study, comparison: ComparisonEvidence, one: Saving, found: Sequence[Saving]
) -> dict[str, Value]:
    low, high = one.bounds()
    crossing = one.crossing
    single = crossing is not None and len(crossing.roots) == 1
    of_variant = [other for other in found if other.variant == one.variant]
    return {
        "suite": study.suite,
        "comparison": comparison.asked.id,
        "variant": one.variant,
        "reference_variant": one.reference,
        "cost": slugged(one.cost.name),
        "drop_in": one.drop_in,
        "same_result": one.value,
        "low": low,
        "high": high,
        "beyond": (one.meeting.beyond or None) if one.meeting else None,
        "measured_from": math.exp(one.curve.low) if one.curve else None,
        "measured_to": math.exp(one.curve.high) if one.curve else None,
        "crossing": crossing.roots[0] if crossing is not None and single else None,
        "crossing_low": crossing.low if crossing is not None else None,
        "crossing_high": crossing.high if crossing is not None else None,
        "crossings": len(crossing.roots) if crossing is not None else None,
        "lack_of_fit": one.curve.lack_of_fit if one.curve else None,
        "lack_of_fit_reference": (
            one.curve_of_reference.lack_of_fit if one.curve_of_reference else None
        ),
        "widths": one.curve.budgets if one.curve else None,
        "why": one.why or None,
        "sentence": saving.sentence(comparison, of_variant),
        **labels(study, comparison),
    }


# --- the figure -----------------------------------------------------------------------------------


def figure(
    comparison: ComparisonEvidence, kept: Mapping[str, Drawn] = {}, exports: bool = True
) -> Figure | None:
    """Return the curves over the budget, a panel a variant; None where there are none yet.

    The arguments are those of `figures.forest`.
    """
    if not comparison.budgets:
        return None
    (kind,) = comparison.budgets[0].asked.match
    shown = [one for one in savings(comparison) if one.cost.name == kind and one.curve is not None]
    measure = comparison.measure
    id = f"fig-{comparison.asked.table.removeprefix('tbl-')}-saving"
    panels = []
    for one in shown:

        def paint(ax: "Axes", palette: Palette, one: Saving = one) -> None:
            _panel(ax, comparison, one, palette)

        heading = f"{upper_first(measure.title)} over {one.cost.noun} of {one.variant}."
        panels.append(Panel(paint, heading, saving.sentence(comparison, [one]), PANEL))
    return Figure(
        id=id,
        title=f"{upper_first(measure.title)} over {_kind(comparison)}",
        notes=(
            "Dots: the seeds; lines: the curves through their means, that of the reference dashed. "
            f"The bar lies at the {lower_first(measure.title)} of the reference, from what the "
            "variant takes for it to what the reference takes; brackets: the 95 % interval.",
        ),
        table=f"{comparison.asked.table}-budgets",
        drawn=(kept.get(id) or draw(id, panels, exports, across=2)) if panels else Drawn(),
        lacking="no variant has two seeds at three widths.",
    )


def _panel(ax: "Axes", comparison: ComparisonEvidence, one: Saving, palette: Palette) -> None:
    measure = comparison.measure
    sign = -1.0 if measure.direction == "lower" else 1.0
    unit = one.cost.values[one.base.asked.facts]
    sides: list[tuple[Sequence[RowEvidence], curve.Curve | None, str, str]] = [
        (one.theirs, one.curve_of_reference, palette.quiet, "--"),
        (one.points, one.curve, palette.text, "-"),
    ]
    for rows, fitted, colour, style in sides:
        for row in rows:
            cost = one.cost.values.get(row.asked.facts)
            if cost is not None:
                values = list(row.values.values())
                ax.plot([cost] * len(values), values, "o", color=colour, markersize=3, alpha=0.6)
        if fitted is not None:
            logs = np.linspace(fitted.low, fitted.high, _STEPS)
            heights = [sign * fitted.at(log) for log in logs.tolist()]
            ax.plot(np.exp(logs) * unit, heights, color=colour, linestyle=style, linewidth=1.6)
    level = welch.mean([*one.base.values.values()])
    low, high = one.bounds()
    if one.value is not None:
        saved = (low or 0) > 1, high is not None and high < 1
        colour = palette.better if saved[0] else palette.worse if saved[1] else palette.open
        at = unit / one.value
        ax.plot((at, unit), (level, level), color=colour, linewidth=2.4, solid_capstyle="butt")
        ends = [unit / end for end in (low, high) if end is not None]
        ax.plot(ends, [level] * len(ends), "|", color=colour, markersize=11, markeredgewidth=1.6)
        ax.annotate(
            f"{times(max(one.value, 1 / one.value))}×",
            (math.sqrt(at * unit), level),
            xytext=(0, 4),
            textcoords="offset points",
            ha="center",
            color=colour,
        )
    else:
        ax.axhline(level, color=palette.quiet, linewidth=0.6)
    _budget_axis(ax, [unit * math.exp(log) for log in _span(one)])
    ax.set_xlabel(one.cost.noun)
    ax.set_ylabel(with_unit(lower_first(measure.title), f"({measure.unit})" * bool(measure.unit)))
    ax.spines[["top", "right"]].set_visible(False)
    write_heading(ax, f"{variant_name(one.variant)} and {variant_name(one.reference)}")


def _span(one: Saving) -> tuple[float, float]:
    found = [it for it in (one.curve, one.curve_of_reference) if it is not None]
    return min(it.low for it in found), max(it.high for it in found)


def _budget_axis(ax: "Axes", ends: Sequence[float]) -> None:
    """Give an axis of budgets a logarithmic scale, with a few whole numbers at it."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    low, high = ends
    ax.set_xscale("log")
    ax.set_xlim(low / 1.15, high * 1.15)
    ticks = [
        digit * 10.0**power
        for power in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        for digit in ((1, 2, 5) if high / low > 4 else (1, 1.5, 2, 3, 4, 5, 7))
        if low / 1.15 <= digit * 10.0**power <= high * 1.15
    ]
    ax.xaxis.set_major_locator(FixedLocator(ticks))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _tick(value)))


def _tick(value: float) -> str:
    for scale, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= scale:
            return f"{value / scale:g} {letter}"
    return f"{value:g}"
