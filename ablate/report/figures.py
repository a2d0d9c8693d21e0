"""The figures of one comparison: differences from the references, and learning curves.

Each is drawn twice from the same code: in sentinel colours and with text as text for the page,
which puts its own colours and fonts in their place, and in light colours with text as paths for
notes and papers (SVG, PDF, PNG).
"""

import io
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from markupsafe import Markup

from ablate.evidence import welch
from ablate.evidence.collect import ComparisonEvidence, RowEvidence
from ablate.evidence.contrast import Contrast, contrasts
from ablate.evidence.effects import gain
from ablate.evidence.spelling import (
    against,
    bounds,
    decimals,
    difference_unit,
    listed,
    lower_first,
    match_name,
    number,
    row_name,
    signed,
    upper_first,
    variant_name,
    with_unit,
)
from ablate.report.inline_svg import inline
from ablate.report.tables import end

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

LONGEST = 44  # characters of a row's name in a figure; the table has all of it


@dataclass(frozen=True)
class Palette:
    """The few colours of a figure, by what they mean."""

    text: str
    quiet: str  # axes, references
    band: str  # the margin
    better: str
    worse: str
    open: str  # no practical difference, or not known


LIGHT = Palette("#1b1b1b", "#767676", "#e9e9e9", "#0072b2", "#c24e00", "#1b1b1b")
SENTINEL = Palette("#010101", "#010102", "#010103", "#010104", "#010105", "#010106")
ON_PAGE = {
    SENTINEL.text: "currentColor",
    SENTINEL.quiet: "var(--quiet)",
    SENTINEL.band: "var(--band)",
    SENTINEL.better: "var(--better)",
    SENTINEL.worse: "var(--worse)",
    SENTINEL.open: "currentColor",
}


@dataclass(frozen=True)
class Figure:
    """A figure with a permanent id: pictures for the page, files for elsewhere."""

    id: str
    title: str
    notes: tuple[str, ...]  # the sentences of the caption
    table: str  # id of the table that holds the values
    pictures: tuple[Markup, ...]  # () where there is nothing to draw yet
    files: Mapping[str, bytes]  # by extension: svg, pdf, png
    lacking: str = ""  # where there is nothing to draw: why
    number: str = ""  # as printed: "Figure s7.1"; given once the page's order is known

    @property
    def heading(self) -> str:
        """Number and title: what the caption begins with."""
        return f"{self.number}. {end(self.title)}"


def forest(comparison: ComparisonEvidence) -> Figure:
    """Return the differences from the references with their intervals, every seed as a tick."""
    measure = comparison.measure
    unit = difference_unit(measure.unit)
    baseline = variant_name(comparison.baseline.asked.variant)
    rows = [c for c in contrasts(comparison) if (c.reference or c.row).values and c.row.values]
    id = f"fig-{comparison.asked.table.removeprefix('tbl-')}-forest"
    name, whose, lacking = (
        (baseline, "the baseline's mean", f"the baseline, {baseline}, has no finished trial.")
        if comparison.against_baseline
        else ("each row's reference", "the mean of its row's reference",
              "no reference has a finished trial.")
    )  # fmt: skip
    title = f"{upper_first(measure.title)}: difference from {name}"
    pictures: tuple[Markup, ...] = ()
    files: dict[str, bytes] = {}
    if rows:

        def draw(palette: Palette) -> "Drawing":
            return _forest(comparison, rows, palette)

        description = " ".join(_forest_in_words(comparison, contrast) for contrast in rows)
        svg = for_page(draw, id)
        pictures = (inline(svg, id, end(title), description, ON_PAGE),)
        files = for_files(draw, id)
    return Figure(
        id=id,
        title=title,
        notes=(
            f"Marker and bar: mean difference in {with_unit(lower_first(measure.title), '')}"
            f"{f', {unit},' if unit else ''} and its 95 % interval (Welch, over seeds). "
            f"Ticks: the seeds, each against {whose}. "
            f"Grey band: the margin, ±{_limit(comparison)}. Marks as in the table.",
        ),
        table=comparison.asked.table,
        pictures=pictures,
        files=files,
        lacking=lacking,
    )


def curves(comparison: ComparisonEvidence) -> Figure:
    """Return the learning curve of every row, with the mean of its reference in each panel."""
    measure = comparison.measure
    score = _curve_score(comparison)
    id = f"fig-{comparison.asked.table.removeprefix('tbl-')}-curves"
    split, name = ("validation", measure.title)
    if score is not None and score.startswith("train_"):
        split = "training"
    if score is not None and not score.endswith(f"_{measure.name}"):
        name = score.partition("_")[2]
    shown = f"{upper_first(lower_first(name))} on the {split} images"
    pictures: list[Markup] = []
    files: dict[str, bytes] = {}
    rows = [row for row in comparison.rows if score is not None and _points(row, score)]
    if score is not None and rows:
        unit = measure.unit if score.endswith(f"_{measure.name}") else ""
        label = with_unit(lower_first(name), f"({unit})" if unit else "")
        limits = _limits(rows, score)
        for at, row in enumerate(rows):

            def draw_panel(palette: Palette, row: RowEvidence = row) -> "Drawing":
                drawing = empty_drawing(3.4, 2.5)
                _panel(drawing.subplots(), comparison, row, score, label, palette, limits)
                return drawing

            prefix = f"{id}-{at + 1}"
            heading = f"Learning curve of {short_name(row)}."
            words = _curve_in_words(row, score, unit)
            pictures.append(inline(for_page(draw_panel, prefix), prefix, heading, words, ON_PAGE))

        def draw_all(palette: Palette) -> "Drawing":
            across = min(3, len(rows))
            down = -(-len(rows) // across)
            drawing = empty_drawing(3.0 * across, 2.4 * down)
            grid = drawing.subplots(down, across, squeeze=False)
            for place, row in zip(grid.flat, rows, strict=False):
                _panel(place, comparison, row, score, label, palette, limits)
            for place in list(grid.flat)[len(rows) :]:
                place.set_axis_off()
            return drawing

        files = for_files(draw_all, id)
    return Figure(
        id=id,
        title=f"Learning curves. {shown}",
        notes=tuple(_curve_notes(comparison)),
        table=f"{comparison.asked.table}-runs",
        pictures=tuple(pictures),
        files=files,
        lacking="no finished trial recorded a score per epoch.",
    )


# --- the forest plot ------------------------------------------------------------------------------


def _forest(
    comparison: ComparisonEvidence, rows: Sequence[Contrast], palette: Palette
) -> "Drawing":
    import seaborn

    measure = comparison.measure
    drawing = empty_drawing(5.6, 0.62 * len(rows) + 0.75)
    ax = drawing.subplots()
    margin = measure.margin
    for at, contrast in enumerate(rows):
        colour = _colour(comparison, contrast, palette)
        if at and _group(contrast) != _group(rows[at - 1]):
            ax.axhline(at - 0.47, color=palette.quiet, linewidth=0.5)
        # Band and zero line stop short of the words on the line above.
        strip = (at - 0.13, at + 0.5)
        ax.fill_betweenx(strip, -margin, margin, color=palette.band, linewidth=0, zorder=0)
        ax.plot((0, 0), strip, color=palette.quiet, linewidth=0.8, zorder=1)
        centre = welch.mean([*(contrast.reference or contrast.row).values.values()])
        shifts = [value - centre for value in contrast.row.values.values()]
        ax.plot(shifts, [at + 0.34] * len(shifts), "|", color=colour, markersize=6, alpha=0.75)
        _words_beside(ax, comparison, contrast, at, colour)
        if contrast.interval is not None:
            span = (contrast.interval.low, contrast.interval.high)
            ax.plot(span, (at, at), color=colour, linewidth=2, solid_capstyle="butt")
        key = contrast.effect.key if contrast.effect else "reference"
        hollow = key in ("reference", "unknown")
        ax.plot(
            [0.0 if contrast.difference is None else contrast.difference],
            [at],
            {"higher": "^", "lower": "v", "same": "o", "unknown": "o", "reference": "s"}[key],
            color=colour,
            markersize=7,
            markerfacecolor="white"
            if hollow and palette is LIGHT
            else "none"
            if hollow
            else colour,
            markeredgewidth=1.6,
        )
    ax.set_ylim(len(rows) - 0.4, -0.75)
    ax.set_yticks([])
    ax.margins(x=0.04)
    unit = difference_unit(measure.unit)
    ax.set_xlabel(f"difference in {lower_first(measure.title)}{f' ({unit})' if unit else ''}")
    seaborn.despine(ax=ax, left=True)
    return drawing


def _words_beside(
    ax: "Axes", comparison: ComparisonEvidence, contrast: Contrast, at: int, colour: str
) -> None:
    """Write a row's name and numbers on the line above its bar."""
    place = ax.get_yaxis_transform()
    name = _label(comparison, contrast.row)
    ax.text(0, at - 0.3, name, transform=place, va="center", weight="bold")
    ax.text(1, at - 0.3, _numbers(comparison, contrast), transform=place, va="center", ha="right")


def _numbers(comparison: ComparisonEvidence, contrast: Contrast) -> str:
    measure = comparison.measure
    places = decimals(measure.margin)
    if contrast.difference is None or contrast.effect is None:
        assert contrast.mean is not None  # a row without values is not drawn
        return with_unit(number(contrast.mean, places), measure.unit)
    text = f"{contrast.effect.symbol} {signed(contrast.difference, places)}"
    if contrast.interval is None:
        return f"{text} {'[exact]' if contrast.is_exact else '[no interval]'}"
    return f"{text} {bounds(contrast.interval.low, contrast.interval.high, places)}"


def _forest_in_words(comparison: ComparisonEvidence, contrast: Contrast) -> str:
    row = contrast.row
    other = against(row.asked, comparison.asked.baseline)
    words = row_name(row.asked, row.is_baseline) + (f" {other}" if other else "")
    words += f": {_numbers(comparison, contrast)}"
    if contrast.effect is not None:
        words += f", {contrast.effect.words}"
    return f"{words}, {len(row.values)} seeds."


def _label(comparison: ComparisonEvidence, row: RowEvidence) -> str:
    """Return a row's name and, where it is not the baseline, what it is compared with."""
    other = against(row.asked, comparison.asked.baseline)
    if not other:
        return short_name(row)
    # That it is a drop-in goes without saying here: the line is short.
    equal = [] if row.asked.match == ["none"] else [match_name(row.asked)]
    said = _cut(", ".join([*equal, other]), 2 * LONGEST // 3)
    return f"{_cut(variant_name(row.asked.variant), LONGEST - len(said) - 3)} ({said})"


def _group(contrast: Contrast) -> str:
    """Return the variant that a row is compared with, or that is it itself."""
    return (contrast.reference or contrast.row).asked.variant


def _colour(comparison: ComparisonEvidence, contrast: Contrast, palette: Palette) -> str:
    if contrast.effect is None:
        return palette.quiet
    welcome = gain(contrast.effect, comparison.measure.direction)
    return {"better": palette.better, "worse": palette.worse, "": palette.open}[welcome]


def _limit(comparison: ComparisonEvidence) -> str:
    measure = comparison.measure
    text = number(measure.margin, decimals(measure.margin))
    return with_unit(text, difference_unit(measure.unit))


# --- learning curves ------------------------------------------------------------------------------


def _curve_score(comparison: ComparisonEvidence) -> str | None:
    """Return the score to draw: of the validation images if it was recorded, else of training."""
    recorded = {
        name
        for trial in comparison.trials().values()
        if trial.outcome == "ok" and trial.record
        for epoch in trial.record.epochs
        for name in epoch.scores
    }
    name = comparison.measure.name
    wanted = (f"validation_{name}", f"train_{name}", "validation_loss", "train_loss")
    return next((score for score in wanted if score in recorded), None)


def _curve_notes(comparison: ComparisonEvidence) -> Iterator[str]:
    whose = "its row's reference"
    if comparison.against_baseline:
        whose = f"the baseline, {variant_name(comparison.baseline.asked.variant)}"
    yield (
        "One panel a row; thin lines: the seeds that ended well, thick line: their mean, "
        f"dashed: the mean of {whose}."
    )
    untrained = [
        row_name(row.asked, row.is_baseline)
        for row in comparison.rows
        if row.having("ok") and all(trial.steps is None for trial in row.having("ok"))
    ]
    if untrained and _curve_score(comparison) is not None:
        yield f"Without a curve, since nothing of it is trained: {listed(untrained)}."


def _points(row: RowEvidence, score: str) -> dict[int, list[tuple[int, float]]]:
    """Return (epoch, value) by seed, of the trials that ended well."""
    found: dict[int, list[tuple[int, float]]] = {}
    for trial in row.having("ok"):
        assert trial.record is not None  # it ended well
        points = [(e.epoch, e.scores[score]) for e in trial.record.epochs if score in e.scores]
        if points:
            found[trial.seed] = points
    return found


def _limits(rows: Sequence[RowEvidence], score: str) -> tuple[float, float]:
    """Return one range of values for all panels."""
    values = [v for row in rows for points in _points(row, score).values() for _, v in points]
    pad = 0.05 * (max(values) - min(values)) or 0.5
    return min(values) - pad, max(values) + pad


def _panel(
    ax: "Axes",
    comparison: ComparisonEvidence,
    row: RowEvidence,
    score: str,
    label: str,
    palette: Palette,
    limits: tuple[float, float],
) -> None:
    import pandas
    import seaborn
    from matplotlib.ticker import MaxNLocator

    def table(of: RowEvidence) -> pandas.DataFrame:
        points = _points(of, score)
        rows = [(seed, epoch, value) for seed in points for epoch, value in points[seed]]
        return pandas.DataFrame(rows, columns=["seed", "epoch", "value"])

    axes = {"x": "epoch", "y": "value", "ax": ax, "legend": False}
    one = {"markevery": 1, "marker": "o"} if _single_epoch(row, score) else {}
    reference = comparison.reference_of(row)
    if reference is not None and _points(reference, score):
        grey = {"color": palette.quiet, "linewidth": 1.6, "linestyle": "--"}
        seaborn.lineplot(table(reference), **axes, errorbar=None, **grey)
    colour = palette.quiet if row.is_reference else palette.text
    seaborn.lineplot(
        table(row), **axes, units="seed", estimator=None, color=colour, linewidth=0.6, alpha=0.6
    )
    seaborn.lineplot(table(row), **axes, errorbar=None, color=colour, linewidth=1.8, **one)
    ax.set_ylim(*limits)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    ax.set_xlabel("epoch")
    ax.set_ylabel(label)
    ax.set_title(short_name(row), loc="left", fontsize="medium", weight="bold")
    seaborn.despine(ax=ax)


def _single_epoch(row: RowEvidence, score: str) -> bool:
    return max(len(points) for points in _points(row, score).values()) == 1


def _curve_in_words(row: RowEvidence, score: str, unit: str) -> str:
    ends = [(points[0][1], points[-1][1]) for points in _points(row, score).values()]
    first, last = (sum(values) / len(values) for values in zip(*ends, strict=True))
    text = f"Mean over {len(ends)} seeds: from {number(first, 2)} to {number(last, 2)}"
    return f"{with_unit(text, unit)}."


# --- drawing --------------------------------------------------------------------------------------


def short_name(row: RowEvidence) -> str:
    """Return a row's name, cut to what a label has room for."""
    return _cut(row_name(row.asked, row.is_baseline), LONGEST)


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def empty_drawing(width: float, height: float) -> "Drawing":
    """Return an empty drawing of a size in inches."""
    from matplotlib.figure import Figure as Drawing

    return Drawing(figsize=(width, height), layout="constrained")


def for_page(draw: Callable[[Palette], "Drawing"], id: str) -> bytes:
    """Return the picture for the page: text as text, sentinel colours."""
    with _style(SENTINEL, id, "none"):
        return _saved(draw(SENTINEL), "svg", transparent=True)


def for_files(draw: Callable[[Palette], "Drawing"], id: str) -> dict[str, bytes]:
    """Return the picture for elsewhere: text as paths, light colours on white."""
    with _style(LIGHT, id, "path"):
        drawing = draw(LIGHT)
        return {kind: _saved(drawing, kind, transparent=False) for kind in ("svg", "pdf", "png")}


def _saved(drawing: "Drawing", kind: str, transparent: bool) -> bytes:
    # Without dates and versions, so that the same numbers give the same bytes.
    nothing = {
        "svg": {"Date": None, "Creator": None},
        "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
        "png": {"Software": None},
    }[kind]
    out = io.BytesIO()
    with warnings.catch_warnings():
        # A name may hold letters that the font lacks; the page's text has them all the same.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        drawing.savefig(out, format=kind, metadata=nothing, transparent=transparent, dpi=192)
    return out.getvalue()


@contextmanager
def _style(palette: Palette, id: str, text_as: str) -> Iterator[None]:
    """Draw by our own settings alone, whatever the user's are."""
    import matplotlib
    import seaborn

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(seaborn.axes_style("ticks"))
        matplotlib.rcParams.update(
            {
                "font.family": ["DejaVu Sans"],  # comes with matplotlib, so it is the same anywhere
                "font.size": 9,
                "text.parse_math": False,  # a `$` in a name is a dollar
                "text.color": palette.text,
                "axes.labelcolor": palette.text,
                "axes.edgecolor": palette.quiet,
                "xtick.color": palette.quiet,
                "ytick.color": palette.quiet,
                "xtick.labelcolor": palette.text,
                "ytick.labelcolor": palette.text,
                "axes.unicode_minus": True,
                "svg.fonttype": text_as,
                "svg.hashsalt": id,
            }
        )
        yield
