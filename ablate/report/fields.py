"""The figure of effective receptive fields: what the centre of a network's output hangs on.

Two maps a row, before and after training, all in one scale of pixels and one of colours, so that
fields can be compared by eye: between rows, with the field that follows from the layers (the box),
and with what training made of them.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ablate.evidence import welch
from ablate.evidence.collect import ComparisonEvidence, Reading, RowEvidence
from ablate.evidence.spelling import between, listed, number, row_name
from ablate.records import Record
from ablate.report.figures import Drawn, Figure, Palette, Panel, draw, short_name, write_heading
from ablate.report.fingerprint import of_arrays

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.patches import Rectangle

Array = np.ndarray[Any, Any]

METRIC = "effective_receptive_field"
BEFORE = "initial_"
PANEL = (3.5, 2.25)  # inches
MARGIN = 0.04  # of the widest field, around what is shown
SHADES = 32  # of the colours: more are not told apart, and the pixels would take twice the bytes
GAP = 0.12  # between the two maps, of the side of one
TICKS = (0.01, 0.05, 0.25, 0.5, 1.0)  # of the colours
STEPS = (1, 2, 5, 10, 20, 50, 100, 200, 500)  # pixels between the ticks of an axis


@dataclass(frozen=True)
class Field:
    """What one row's networks see, before or after training."""

    map: Array  # (h, w), mean over seeds, the largest value 1
    value: float | None  # the metric's, mean over seeds


@dataclass(frozen=True)
class Shown:
    """One row of the figure."""

    row: RowEvidence
    seeds: tuple[int, ...]
    before: Field
    after: Field
    # The field that follows from the layers; None where every output sees the whole image.
    box: tuple[float, float] | None  # height and width in pixels
    centre: tuple[float, float]  # of the box, from the upper left corner of the maps


def fields(
    comparison: ComparisonEvidence, kept: Mapping[str, Drawn] = {}, exports: bool = True
) -> Figure | None:
    """Return the effective receptive fields of the rows that were read; None without any.

    The arguments are those of `figures.forest`.
    """
    shown = [found for row in comparison.rows if (found := _shown(row)) is not None]
    if not shown:
        return None
    side = _side(shown)
    panels = []
    for one in shown:

        def paint(ax: "Axes", palette: Palette, one: Shown = one) -> None:
            _panel(ax, one, side, palette)

        heading = f"Effective receptive field of {short_name(one.row)}."
        panels.append(Panel(paint, heading, _in_words(one), PANEL))
    id = f"fig-{comparison.asked.table.removeprefix('tbl-')}-fields"
    return Figure(
        id=id,
        title="Effective receptive fields, before and after training",
        notes=tuple(_notes(comparison, shown)),
        table=f"{comparison.asked.table}-measures",
        drawn=kept.get(id) or draw(id, panels, exports),
        fingerprint=of_arrays(
            (f"{row_name(one.row.asked)} {reading.seed} {name}", reading.record.arrays[name])
            for one in shown
            for reading in one.row.readings
            if reading.record and reading.seed in one.seeds
            for name in (f"{BEFORE}{METRIC}_map", f"{METRIC}_map")
        ),
    )


# --- what there is to show ------------------------------------------------------------------------


def _shown(row: RowEvidence) -> Shown | None:
    """Return the fields of a row, None where no reading has both maps."""
    wanted = {f"{METRIC}_map", f"{BEFORE}{METRIC}_map"}
    found = [r for r in row.readings if r.record and r.record.arrays.keys() >= wanted]
    if not found:
        return None
    before, after = _field(found, BEFORE), _field(found, "")
    height, width = before.map.shape
    box, centre = None, (height / 2, width / 2)
    record = found[0].record
    detail = record.metrics[METRIC].detail if record else {}  # of all seeds the same, but for sums
    if detail.get("ratio") is not None:
        height, width = detail["receptive_field"]
        top, left = detail["box"]
        box, centre = (height, width), (top + height / 2, left + width / 2)
    return Shown(row, tuple(reading.seed for reading in found), before, after, box, centre)


def _field(readings: Sequence[Reading], before: str) -> Field:
    name = f"{before}{METRIC}"
    taken: list[Record] = [reading.record for reading in readings if reading.record]
    maps = [record.arrays[f"{name}_map"].astype(np.float64) for record in taken]
    mean: Array = np.mean([_over_maximum(of_seed) for of_seed in maps], axis=0)
    values = [m.value for r in taken if (m := r.metrics.get(name)) and m.value is not None]
    return Field(_over_maximum(mean), welch.mean([*map(float, values)]) if values else None)


def _over_maximum(values: Array) -> Array:
    """Return a map over its maximum; one without any value stays as it is."""
    return values / (values.max() or 1.0)


def _side(shown: Sequence[Shown]) -> float:
    """Return the side of the square in pixels that holds what is to be seen of every field."""
    # A map may be much larger than the field in it: what is empty around it is not shown.
    sides = [max(one.box or one.before.map.shape) for one in shown]
    return max(sides) * (1 + 2 * MARGIN)


# --- drawing --------------------------------------------------------------------------------------


def _panel(ax: "Axes", one: Shown, side: float, palette: Palette) -> None:
    """Draw the two maps of a row side by side, each in a square of so many pixels."""
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import PowerNorm

    shades = colormaps["viridis"].resampled(SHADES)
    half, step = side / 2, side * (1 + GAP)
    scale = PowerNorm(0.5, 0, 1)
    for at, (field, when) in enumerate(((one.before, "before"), (one.after, "after"))):
        middle = at * step
        top, left = one.centre
        high, wide = field.map.shape
        image = ax.imshow(
            field.map,
            cmap=shades,
            norm=scale,
            interpolation="none",
            extent=(middle - left, middle - left + wide, high - top, -top),
        )
        if one.box is not None:
            outline = _outline(middle, one.box)
            ax.add_patch(outline)
            image.set_clip_path(outline)  # beyond it nothing counts
        value = "" if field.value is None else f": {number(field.value, 1)} px"
        top_left = (middle - half, -half)
        ax.annotate(
            f"{when}{value}",
            top_left,
            xytext=(0, 3),
            textcoords="offset points",
            fontsize=8,
            color=palette.text,
        )
    ax.set(xlim=(-half, step + half), ylim=(half, -half), aspect="equal")
    tick = next((s for s in STEPS if s >= side / 5), STEPS[-1])
    ends = (-tick, 0, tick)
    ax.set_yticks([])  # a pixel is as high as it is wide
    ax.set_xticks([middle + end for middle in (0, step) for end in ends])
    ax.set_xticklabels([f"{end}".replace("-", "−") for end in ends] * 2)
    ax.set_xlabel("pixels from the centre")
    ax.spines[:].set_visible(False)
    write_heading(ax, short_name(one.row), pad=17)
    colours = ScalarMappable(scale, shades)
    bar = ax.figure.colorbar(colours, cax=ax.inset_axes((1.03, 0, 0.03, 1)))
    bar.set_ticks(list(TICKS), labels=[f"{100 * tick:g} %" for tick in TICKS])
    bar.ax.tick_params(labelsize=7)
    bar.ax.minorticks_off()
    bar.outline.set_visible(False)


def _outline(middle: float, box: tuple[float, float]) -> "Rectangle":
    """Return the box around a field, in pixels."""
    from matplotlib.patches import Rectangle
    from matplotlib.patheffects import withStroke

    high, wide = box
    return Rectangle(
        (middle - wide / 2, -high / 2),
        wide,
        high,
        fill=False,
        # White on black: over any colour of the map and over the page, light or dark.
        edgecolor="white",
        linewidth=0.7,
        path_effects=[withStroke(linewidth=1.9, foreground="black")],
    )


def _in_words(one: Shown) -> str:
    whose = (
        f"Seed {one.seeds[0]}"
        if len(one.seeds) == 1
        else f"Mean over seeds {listed([str(seed) for seed in one.seeds])}"
    )
    sides = [
        f"{'no value' if field.value is None else f'{number(field.value, 1)} px'} {when} training"
        for field, when in ((one.before, "before"), (one.after, "after"))
    ]
    words = f"{whose}: {listed(sides)}"
    if one.box is not None:
        words += f"; the box has {number(one.box[0])} × {number(one.box[1])} px"
    return f"{words}."


def _notes(comparison: ComparisonEvidence, shown: Sequence[Shown]) -> Iterable[str]:
    seeds = between({len(one.seeds) for one in shown}, "seed")
    yield (
        "How much one output in the centre hangs on each pixel of the image: mean size of the "
        f"gradient over random inputs (Luo et al. 2016), and over {seeds} a row. Networks as "
        "trained, with the weights that they began with and ended with."
    )
    yield (
        "Colours: parts of the largest value of each map, by their square root, the same in all "
        "panels. Above each map, before training and after it: the side of a square of as many "
        "pixels as have more than 4.55 % of the largest value. Box: the field that follows from "
        "the layers."
    )
    drawn = {id(one.row) for one in shown}
    names = [
        row_name(r.asked, r.is_baseline) for r in comparison.rows if r.trials and id(r) not in drawn
    ]
    if names:
        yield f"Not shown, as there is no reading of its weights: {listed(names)}."
