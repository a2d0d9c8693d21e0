"""The figure of what the metric costs: every row by its parameters and MACs, the best joined."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ablate.evidence import welch
from ablate.evidence.collect import ComparisonEvidence
from ablate.evidence.contrast import Contrast, contrasts
from ablate.evidence.spelling import (
    bounds,
    decimals,
    listed,
    lower_first,
    number,
    quantity,
    row_name,
    upper_first,
    with_unit,
)
from ablate.report.figures import (
    Drawn,
    Figure,
    Palette,
    Panel,
    colour_of,
    draw,
    seeds_of,
    short_name,
    write_beside,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COSTS = {"params": "parameters", "macs": "MACs"}
WIDE = 10  # costs that differ by more than this factor stand on a logarithmic axis


@dataclass(frozen=True)
class Point:
    """A row: what its network costs and what it reaches."""

    contrast: Contrast
    cost: float
    mean: float
    interval: welch.Interval | None  # of the mean, 95 %; None of one seed, or of what is exact


def cost(
    comparison: ComparisonEvidence, kept: Mapping[str, Drawn] = {}, exports: bool = True
) -> Figure | None:
    """Return the metric against what it costs; None where no cost differs between two rows.

    The arguments are those of `figures.forest`.
    """
    shown = {name: found for name in COSTS if (found := points(comparison, name))}
    if not shown:
        return None
    measure = comparison.measure
    panels = []
    for name, found in shown.items():

        def paint(
            ax: "Axes", palette: Palette, name: str = name, found: Sequence[Point] = found
        ) -> None:
            _panel(ax, comparison, name, found, palette)

        heading = f"{upper_first(measure.title)} against {COSTS[name]}."
        size = (5.6, 0.21 * len(found) + 1.9)
        panels.append(Panel(paint, heading, _in_words(comparison, name, found), size))
    id = f"fig-{comparison.asked.table.removeprefix('tbl-')}-cost"
    costs = listed([COSTS[name] for name in shown])
    of_unit = f"({measure.unit})" if measure.unit else ""
    better = "up" if measure.direction == "higher" else "down"
    return Figure(
        id=id,
        title=f"{upper_first(measure.title)} against {costs}",
        notes=(
            f"Marker and bar: mean of {with_unit(lower_first(measure.title), of_unit)} over seeds "
            "and its 95 % interval (Student's t), of the network as trained. Square: compared with "
            "no other. Line: the rows that no other beats in both, so that nothing lies to the "
            f"left and further {better}. Colours: marks of the table.",
            *seeds_of([point.contrast.row for found in shown.values() for point in found]),
        ),
        table=comparison.asked.table,
        drawn=kept.get(id) or draw(id, panels, exports, across=1),
    )


def points(comparison: ComparisonEvidence, name: str) -> list[Point]:
    """Return the rows that have a value and a cost; () where all cost the same."""
    found = []
    for contrast in contrasts(comparison):
        fact = contrast.row.trained.get(name)
        values = list(contrast.row.values.values())
        if not values or fact is None or fact.value is None:
            continue
        interval = welch.interval(values, [0.0, 0.0])  # of one sample: against what does not vary
        found.append(Point(contrast, float(fact.value), welch.mean(values), interval))
    return found if len({point.cost for point in found}) > 1 else []


def front(found: Sequence[Point], direction: str) -> list[Point]:
    """Return the points that no other beats: none costs as little and reaches more, by cost."""
    sign = 1 if direction == "higher" else -1
    best: list[Point] = []
    for point in sorted(found, key=lambda p: (p.cost, -sign * p.mean)):
        if not best or sign * point.mean > sign * best[-1].mean:
            best.append(point)
    return best


def spread(heights: Sequence[float], gap: float) -> list[float]:
    """Return heights as near as can be to those wanted, at least a gap apart, in their order.

    Args:
        heights: ascending.
        gap: between neighbours.
    """
    blocks: list[tuple[float, int]] = []  # the middle of so many labels that touch
    for height in heights:
        block = (height, 1)
        while blocks and block[0] - blocks[-1][0] < gap * (block[1] + blocks[-1][1]) / 2:
            middle, count = blocks.pop()
            total = count + block[1]
            block = ((middle * count + block[0] * block[1]) / total, total)
        blocks.append(block)
    return [
        middle + gap * (at - (count - 1) / 2) for middle, count in blocks for at in range(count)
    ]


def _panel(
    ax: "Axes",
    comparison: ComparisonEvidence,
    name: str,
    found: Sequence[Point],
    palette: Palette,
) -> None:
    measure = comparison.measure
    costs = [point.cost for point in found]
    if min(costs) > 0 and max(costs) / min(costs) > WIDE:
        ax.set_xscale("log")
    best = front(found, measure.direction)
    ax.plot(
        [p.cost for p in best], [p.mean for p in best], color=palette.quiet, linewidth=1, zorder=1
    )
    for point in found:
        colour = colour_of(comparison, point.contrast, palette)
        if point.interval is not None:
            ends = (point.interval.low, point.interval.high)
            both = (point.cost, point.cost)
            ax.plot(both, ends, color=colour, linewidth=1.2, clip_on=False)
    for point in found:
        colour = colour_of(comparison, point.contrast, palette)
        marker = "s" if point.contrast.reference is None else "o"
        ax.plot([point.cost], [point.mean], marker, color=colour, markersize=5, clip_on=False)
    low = min(p.interval.low if p.interval else p.mean for p in found)
    high = max(p.interval.high if p.interval else p.mean for p in found)
    # Names stand in a column to the right, each a line's height apart, with a thin line to its row.
    tall = 0.21 * len(found) + 1.25  # inches of the axes
    gap = (high - low or 1.0) * 0.2 / tall
    ordered = sorted(found, key=lambda p: (p.mean, p.cost))
    places = spread([p.mean for p in ordered], gap)
    pad = 0.04 * (high - low or 1.0)
    bottom, top = min(low, places[0]) - pad, max(high, places[-1]) + pad
    ax.set_ylim(bottom, top)
    ax.margins(x=0.06)
    names = [
        (point.cost, point.mean, place, short_name(point.contrast.row))
        for point, place in zip(ordered, places, strict=True)
    ]
    write_beside(ax, names, palette)
    ax.xaxis.set_major_formatter(lambda value, _: quantity(value, max(costs)))
    ax.xaxis.set_minor_formatter(lambda value, _: "")
    if ax.get_xscale() == "linear":
        ax.locator_params(axis="x", nbins=5)
    ax.set_xlabel(COSTS[name])
    unit = f"({measure.unit})" if measure.unit else ""
    ax.set_ylabel(with_unit(lower_first(measure.title), unit))
    ax.spines[["top", "right"]].set_visible(False)


def _in_words(comparison: ComparisonEvidence, name: str, found: Sequence[Point]) -> str:
    measure = comparison.measure
    places = decimals(measure.margin)
    best = front(found, measure.direction)
    parts = []
    for point in found:
        row = point.contrast.row
        text = with_unit(number(point.mean, places), measure.unit)
        if point.interval is not None:
            text += f" {bounds(point.interval.low, point.interval.high, places)}"
        on = ", on the line" if point in best else ""
        cost = quantity(point.cost) if math.isfinite(point.cost) else "?"
        parts.append(f"{row_name(row.asked, row.is_baseline)}: {text}, {cost} {COSTS[name]}{on}.")
    return " ".join(parts)
