"""The figure of what claims sweep: the number at every value, and what was claimed of it."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ablate.evidence.collect import ComparisonEvidence
from ablate.evidence.spelling import (
    listed,
    lower_first,
    one_line,
    quantity,
    upper_first,
    variant_name,
)
from ablate.evidence.sweeps import Judged
from ablate.evidence.verdicts import swept
from ablate.report.figures import Drawn, Figure, Palette, Panel, draw, write_heading
from ablate.report.tables import end

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PANEL = (4.4, 3.0)  # inches
WIDE = 10.0  # times from the least to the most, beyond which an axis is logarithmic
WITHOUT_SIZE = "function"  # the metric of whether two networks compute the same
TICKS = 8  # that an axis has room for; of more values some go unnamed

Point = tuple[float, float]


def figure(
    comparison: ComparisonEvidence, kept: Mapping[str, Drawn] = {}, exports: bool = True
) -> Figure | None:
    """Return a panel for every claim that sweeps settings; None where there is none to draw.

    Whether two networks compute the same has no size, so that it is in the table alone. The
    arguments are those of `figures.forest`.
    """
    shown = [
        (claim, found)
        for claim, found in swept(comparison)
        if claim.get("metric") != WITHOUT_SIZE and any(len(line) > 1 for _, line in series(found))
    ]
    if not shown:
        return None
    id = f"fig-{comparison.asked.table.removeprefix('tbl-')}-sweep"
    panels = []
    for claim, found in shown:

        def paint(
            ax: "Axes", palette: Palette, claim: Mapping[str, Any] = claim, found: Judged = found
        ) -> None:
            _panel(ax, claim, found, palette)

        panels.append(Panel(paint, f"{_heading(claim, found)}.", end(found.said), PANEL))
    settings = dict.fromkeys(name for _, found in shown for name in _names(found))
    judged = any(claim.get("kind") != "trend" for claim, _ in shown)
    banded = any(found.wanted is not None for _, found in shown)
    notes = [
        "One panel a claim, with its line; arithmetic of the full networks as drop-ins, exact: "
        "nothing is trained."
    ]
    if any(len(series(found)) > 1 for _, found in shown):
        notes.append("Of two variants the second is dashed.")
    if judged:
        notes.append("Filled: the claim holds at this value; a cross: it does not.")
    if banded:
        notes.append("Grey band: the numbers that the claim allows.")
    return Figure(
        id=id,
        title=f"Sweeps over {listed(list(settings))}",
        notes=tuple(notes),
        table=f"{comparison.asked.table}-sweeps",
        drawn=kept.get(id) or draw(id, panels, exports, cell=PANEL, across=2, alike=False),
    )


def series(found: Judged) -> list[tuple[str, list[Point]]]:
    """Return what is drawn of a claim: lines by name, each of (x, y).

    Of a ratio the ratio, else a line for each variant. Where one setting takes numbers these are x,
    else the values are numbered from 0 on. What cannot be vouched for is left out.
    """
    at = _positions(found)
    if found.scale == "ratio":
        line = [
            (x, place.estimate)
            for x, place in zip(at, found.places, strict=True)
            if place.estimate is not None
        ]
        return [(" / ".join(variant_name(row.asked.variant) for row in found.rows), line)]
    return [
        (
            variant_name(row.asked.variant),
            [
                (x, place.values[index])
                for x, place in zip(at, found.places, strict=True)
                if index < len(place.values)
            ],
        )
        for index, row in enumerate(found.rows)
    ]


def _positions(found: Judged) -> list[float]:
    values = [next(iter(place.settings.values())) for place in found.places]
    single = all(len(place.settings) == 1 for place in found.places)
    if single and all(isinstance(it, int | float) for it in values):
        return [float(it) for it in values]
    return [float(index) for index in range(len(values))]


def _names(found: Judged) -> list[str]:
    """Return the settings that are swept, as people know them."""
    paths = found.places[0].settings
    return [one_line(path.rpartition(".")[2]).replace("_", " ") for path in paths]


def _heading(claim: Mapping[str, Any], found: Judged) -> str:
    lines = [name for name, _ in series(found)]
    return f"{one_line(str(claim.get('note', '')))}  {', '.join(lines)}"


def _panel(ax: "Axes", claim: Mapping[str, Any], found: Judged, palette: Palette) -> None:
    lines = series(found)
    at = dict(zip(_positions(found), found.places, strict=True))
    trend = claim.get("kind") == "trend"
    for style, (_, points) in zip(("-", "--"), lines, strict=False):
        colour = palette.text if style == "-" else palette.quiet
        ax.plot(*zip(*points, strict=True), style, color=colour, linewidth=1.2, zorder=2)
        for x, y in points:
            holds = at[x].word == "supported"
            tone = palette.text if trend else palette.better if holds else palette.worse
            shape = "o" if trend or holds else "x"
            ax.plot([x], [y], shape, color=tone, markersize=6, markeredgewidth=1.6, zorder=3)
    values = [y for _, points in lines for _, y in points]
    _y_axis(ax, values, found.wanted)
    _claimed(ax, claim, found, palette)
    _x_axis(ax, found)
    title = lower_first(found.title)
    told = found.unit in ("", "B") or found.unit in found.title
    what = f"{title}, times" if found.scale == "ratio" else title
    ax.set_ylabel(what if told or found.scale == "ratio" else f"{title} ({found.unit})")
    ax.spines[["top", "right"]].set_visible(False)
    write_heading(ax, _heading(claim, found))


def _claimed(ax: "Axes", claim: Mapping[str, Any], found: Judged, palette: Palette) -> None:
    """Draw the numbers that a claim allows, and the one that it names."""
    if found.wanted is None:
        return
    low, high = ax.get_ylim()
    ends = [min(max(edge, low), high) for edge in found.wanted]
    ax.axhspan(*ends, color=palette.band, linewidth=0, zorder=0)
    named = claim.get("about")
    for edge in [named] if isinstance(named, int | float) else found.wanted:
        if low <= edge <= high:
            ax.axhline(edge, color=palette.quiet, linewidth=0.8, linestyle=":", zorder=1)


def _y_axis(ax: "Axes", values: Sequence[float], wanted: tuple[float, float] | None) -> None:
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    seen = [*values, *(edge for edge in wanted or () if math.isfinite(edge))]
    low, high = min(seen), max(seen)
    if min(values) > 0 and max(values) / min(values) > WIDE:
        low = max(low, min(values) / WIDE)  # a claimed 0 has no place on such an axis
        ax.set_yscale("log")
        pad = (high / low) ** 0.08
        ax.set_ylim(low / pad, high * pad)
        powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        digits = (1, 2, 5) if len(powers) < 5 else (1,)
        few = powers[:: -(-len(powers) // TICKS)]
        ax.yaxis.set_major_locator(FixedLocator([d * 10.0**p for p in few for d in digits]))
        ax.yaxis.set_minor_locator(NullLocator())
    else:
        pad = 0.08 * (high - low) or 0.5
        ax.set_ylim(low - pad, high + pad)
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _tick(value)))


def _x_axis(ax: "Axes", found: Judged) -> None:
    from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

    at = places = _positions(found)
    if min(at) > 0 and max(at) / min(at) > WIDE:
        ax.set_xscale("log")
        places = [math.log(it) for it in at]
    apart = (max(places) - min(places)) / (2 * TICKS)  # for the names of two values
    named: list[int] = []
    for index in sorted(range(len(at)), key=places.__getitem__):
        if not named or places[index] - places[named[-1]] >= apart:
            named.append(index)
    labels = [", ".join(map(_plain, found.places[i].settings.values())) for i in named]
    ax.xaxis.set_major_locator(FixedLocator([at[i] for i in named]))
    ax.xaxis.set_major_formatter(FixedFormatter(labels))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xlabel(upper_first(", ".join(_names(found))))


def _tick(value: float) -> str:
    return f"{value:g}" if abs(value) < 1e4 else quantity(value)


def _plain(value: Any) -> str:
    return one_line(f"{value:g}" if isinstance(value, float) else str(value)).replace("_", " ")
