"""The figures of one comparison: differences from the references, and learning curves.

Each is drawn twice from the same code: in sentinel colours and with text as text for the page,
which puts its own colours and fonts in their place, and in light colours with text as paths for
notes and papers (SVG, PDF, PNG). Drawing takes nearly all the time that a page takes: a figure that
an earlier page has, of the same records, is taken from there (`kept.py`).
"""

import gc
import io
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from markupsafe import Markup

from ablate.evidence import paired, welch
from ablate.evidence.collect import ComparisonEvidence, RowEvidence
from ablate.evidence.contrast import Contrast, contrasts
from ablate.evidence.effects import gain
from ablate.evidence.spelling import (
    against,
    between,
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
from ablate.report.fingerprint import of_text
from ablate.report.inline_svg import inline
from ablate.report.tables import data_note, end, to_csv

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

BAND = 6  # seeds from which a curve has a band in place of a line for each
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
class Drawn:
    """What a figure looks like."""

    pictures: tuple[Markup, ...] = ()  # for the page; () where there is nothing to draw yet
    files: Mapping[str, bytes] = field(default_factory=dict)  # for elsewhere: svg, pdf, png


@dataclass(frozen=True)
class Panel:
    """A part of a figure: a picture on the page, a cell of the sheet that its files show."""

    paint: Callable[["Axes", Palette], None]
    title: str  # what a screen reader says first
    words: str  # its numbers in words
    size: tuple[float, float]  # width and height on the page, in inches
    is_natural: bool = False  # has that size on the page, not that which the page has room for


@dataclass(frozen=True)
class Figure:
    """A figure with a permanent id: pictures for the page, files for elsewhere."""

    id: str
    title: str
    notes: tuple[str, ...]  # the sentences of the caption
    table: str  # id of the table that holds the values
    drawn: Drawn
    lacking: str = ""  # where there is nothing to draw: why
    number: str = ""  # as printed: "Figure s7.1"; given once the page's order is known
    code: str = ""  # by which it was made, "commit 3d688c5bd55e"; given with the number
    # Of what is drawn. Where a figure gives none, its table has all of it, and the table's is given
    # once that is known.
    fingerprint: str = ""
    screening: tuple[str, ...] = ()  # why it may not be cited: that of its table, given likewise
    about: str = ""  # title of its comparison, below which it stands on the page; given likewise

    @property
    def heading(self) -> str:
        """Number and title: what the caption begins with."""
        return f"{self.number}. {end(self.title)}"

    @property
    def full_title(self) -> str:
        """The title where the figure stands by itself."""
        return f"{end(self.about)} {self.title}" if self.about else self.title

    @property
    def caption(self) -> str:
        """The caption as one text, for where the figure stands by itself."""
        standing = ["Screening, not to be cited.", *self.screening] if self.screening else []
        values = f"Values: {self.table}."
        heading = f"{self.number}. {end(self.full_title)}"
        return " ".join([heading, *standing, *self.notes, values, self.data_note])

    @property
    def data_note(self) -> str:
        """Id, fingerprint and commit, by which a figure is cited and found again."""
        return data_note(self.id, self.fingerprint, self.code)

    @property
    def pictures(self) -> tuple[Markup, ...]:
        return self.drawn.pictures

    @property
    def files(self) -> Mapping[str, bytes]:
        return self.drawn.files


def forest(
    comparison: ComparisonEvidence, kept: Mapping[str, Drawn] = {}, exports: bool = True
) -> Figure:
    """Return the differences from the references with their intervals, every seed as a tick.

    Args:
        comparison: what to draw.
        kept: figures by id that need not be drawn again.
        exports: whether to draw the files too.
    """
    measure = comparison.measure
    unit = difference_unit(measure.unit)
    baseline = variant_name(comparison.baseline.asked.variant)
    rows = [c for c in contrasts(comparison) if (c.reference or c.row).values and c.row.values]
    rows = [c for c in rows if not c.refused]
    id = f"fig-{comparison.asked.table.removeprefix('tbl-')}-forest"
    name, whose, lacking = (
        (baseline, "the baseline's mean", f"the baseline, {baseline}, has no finished trial.")
        if comparison.against_baseline
        else ("each row's reference", "the mean of its row's reference",
              "no reference has a finished trial.")
    )  # fmt: skip
    if comparison.asked.paired:
        whose = "the same seed of what its row is compared with"
    title = f"{upper_first(measure.title)}: difference from {name}"
    drawn = Drawn()
    if rows:

        def paint(ax: "Axes", palette: Palette) -> None:
            _forest(ax, comparison, rows, palette)

        words = " ".join(_forest_in_words(comparison, contrast) for contrast in rows)
        panel = Panel(paint, end(title), words, (5.6, 0.62 * len(rows) + 0.75))
        drawn = kept.get(id) or draw(id, [panel], exports)
    return Figure(
        id=id,
        title=title,
        notes=(
            f"Marker and bar: mean difference in {with_unit(lower_first(measure.title), '')}"
            f"{f', {unit},' if unit else ''} and its 95 % interval ({_method(comparison)}). "
            f"Ticks: the seeds, each against {whose}. "
            f"Grey band: the margin, ±{_limit(comparison)}. Marks as in the table.",
            *seeds_of([contrast.row for contrast in rows]),
        ),
        table=comparison.asked.table,
        drawn=drawn,
        lacking=lacking,
    )


def _method(comparison: ComparisonEvidence) -> str:
    return "of differences paired by seed" if comparison.asked.paired else "Welch, over seeds"


def curves(
    comparison: ComparisonEvidence, kept: Mapping[str, Drawn] = {}, exports: bool = True
) -> Figure:
    """Return the learning curve of every row, with the mean of its reference in each panel.

    The arguments are those of `forest`.
    """
    measure = comparison.measure
    score = _curve_score(comparison)
    id = f"fig-{comparison.asked.table.removeprefix('tbl-')}-curves"
    split, name = ("validation", measure.title)
    if score is not None and score.startswith("train_"):
        split = "training"
    if score is not None and not score.endswith(f"_{measure.name}"):
        name = score.partition("_")[2]
    shown = f"{upper_first(lower_first(name))} on the {split} images"
    drawn = Drawn()
    rows = [row for row in comparison.rows if score is not None and _points(row, score)]
    if score is not None and rows:
        unit = measure.unit if score.endswith(f"_{measure.name}") else ""
        label = with_unit(lower_first(name), f"({unit})" if unit else "")
        limits = _limits(rows, score)
        panels = []
        for row in rows:

            def paint(ax: "Axes", palette: Palette, row: RowEvidence = row) -> None:
                _panel(ax, comparison, row, score, label, palette, limits)

            heading = f"Learning curve of {short_name(row)}."
            panels.append(Panel(paint, heading, _curve_in_words(row, score, unit), (3.4, 2.5)))
        drawn = kept.get(id) or draw(id, panels, exports, cell=(3.0, 2.4))
    return Figure(
        id=id,
        title=f"Learning curves. {shown}",
        notes=(*_curve_notes(comparison), *seeds_of(rows)),
        table=f"{comparison.asked.table}-runs",
        drawn=drawn,
        lacking="no finished trial recorded a score per epoch.",
        fingerprint=_of_curves(rows, score) if score is not None and rows else "",
    )


# --- the forest plot ------------------------------------------------------------------------------


def _forest(
    ax: "Axes", comparison: ComparisonEvidence, rows: Sequence[Contrast], palette: Palette
) -> None:
    measure = comparison.measure
    margin = measure.margin
    for at, contrast in enumerate(rows):
        colour = colour_of(comparison, contrast, palette)
        if at and _group(contrast) != _group(rows[at - 1]):
            ax.axhline(at - 0.47, color=palette.quiet, linewidth=0.5)
        # Band and zero line stop short of the words on the line above.
        strip = (at - 0.13, at + 0.5)
        ax.fill_betweenx(strip, -margin, margin, color=palette.band, linewidth=0, zorder=0)
        ax.plot((0, 0), strip, color=palette.quiet, linewidth=0.8, zorder=1)
        centre = welch.mean([*(contrast.reference or contrast.row).values.values()])
        shifts = [value - centre for value in contrast.row.values.values()]
        if contrast.reference is not None and contrast.pairs is not None:
            shifts = paired.gaps(contrast.row.values, contrast.reference.values)
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
    ax.spines[["left", "top", "right"]].set_visible(False)


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


def colour_of(comparison: ComparisonEvidence, contrast: Contrast, palette: Palette) -> str:
    """Return the colour of a row's mark: welcome, unwelcome, neither, or compared with nothing."""
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
    most = max((len(row.having("ok")) for row in comparison.rows), default=0)
    seeds = "thin lines: the seeds that ended well, thick line: their mean"
    if most >= BAND:
        seeds = "thick line: the mean of the seeds that ended well, band: its 95 % interval"
        seeds += f" (Student's t; fewer than {BAND} seeds are thin lines)"
    yield f"One panel a row; {seeds}, dashed: the mean of {whose}."
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


def seeds_of(rows: Sequence[RowEvidence]) -> Iterator[str]:
    """Say how many seeds rows have: `3 to 5 seeds a row.`; nothing of no row."""
    if counts := {len(row.values) for row in rows}:
        yield f"{upper_first(between(counts, 'seed'))} a row."


def _of_curves(rows: Sequence[RowEvidence], score: str) -> str:
    """Return the fingerprint of all points: the table of runs has the last of each curve alone."""
    fields = ("row", "seed", "epoch", score)
    points = [
        (row_name(row.asked), seed, epoch, value)
        for row in rows
        for seed, points in sorted(_points(row, score).items())
        for epoch, value in points
    ]
    return of_text(to_csv(fields, [dict(zip(fields, point, strict=True)) for point in points]))


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
    from matplotlib.ticker import MaxNLocator

    points = _points(row, score)
    reference = comparison.reference_of(row)
    if reference is not None and (theirs := _points(reference, score)):
        mean = _mean(theirs)
        ax.plot(*mean, color=palette.quiet, linewidth=1.6, linestyle="--", clip_on=False)
    colour = palette.quiet if row.is_reference else palette.text
    if len(points) < BAND:
        for of_seed in points.values():
            epochs, values = zip(*of_seed, strict=True)
            ax.plot(epochs, values, color=colour, linewidth=0.6, alpha=0.6, clip_on=False)
    else:
        ax.fill_between(*_band(points), color=colour, alpha=0.25, linewidth=0)
    single = max(map(len, points.values())) == 1  # a line through one point is not seen
    marker = "o" if single else ""
    ax.plot(*_mean(points), color=colour, linewidth=1.8, marker=marker, clip_on=False)
    ax.set_ylim(*limits)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    ax.set_xlabel("epoch")
    ax.set_ylabel(label)
    ax.spines[["top", "right"]].set_visible(False)
    write_heading(ax, short_name(row))


def _mean(points: Mapping[int, list[tuple[int, float]]]) -> tuple[list[int], list[float]]:
    """Return the epochs, and the mean over the seeds that have a value for each."""
    found: dict[int, list[float]] = {}
    for of_seed in points.values():
        for epoch, value in of_seed:
            found.setdefault(epoch, []).append(value)
    epochs = sorted(found)
    return epochs, [welch.mean(found[epoch]) for epoch in epochs]


def _band(
    points: Mapping[int, list[tuple[int, float]]],
) -> tuple[list[int], list[float], list[float]]:
    """Return the epochs that all seeds have, and the 95 % interval of the mean at each."""
    by_seed = [dict(of_seed) for of_seed in points.values()]
    epochs = sorted(set.intersection(*(set(of_seed) for of_seed in by_seed)))
    low, high = [], []
    for epoch in epochs:
        values = [of_seed[epoch] for of_seed in by_seed]
        # Against what does not vary, Welch's interval is Student's of one sample.
        found = welch.interval(values, [0.0, 0.0])
        low.append(found.low if found else welch.mean(values))
        high.append(found.high if found else welch.mean(values))
    return epochs, low, high


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


def write_heading(ax: "Axes", text: str, pad: float | None = None) -> None:
    """Put a heading above a panel, so many points away."""
    # Where it is to be is told: to find it, matplotlib would measure all labels once more.
    ax.set_title(text, loc="left", fontsize="medium", weight="bold", pad=pad, y=1.0)


def write_beside(
    ax: "Axes", names: Sequence[tuple[float, float, float, str]], palette: Palette
) -> None:
    """Write names in a column to the right of a panel, each with a thin line to what it names.

    Args:
        ax: the panel, with its limits and scales.
        names: what is named, x and y, the height of its name, all in the axes' units, and the name.
        palette: of the drawing.
    """
    place = ax.get_yaxis_transform()  # across in parts of the panel, up in the axes' units
    ax.set_xlim(ax.get_xlim())  # they stay as they are from here on
    parts = ax.transData + ax.transAxes.inverted()
    for x, y, height, _ in names:
        across = float(parts.transform((x, y))[0])
        line = ((across, 1.03), (y, height))
        ax.plot(*line, transform=place, color=palette.quiet, linewidth=0.4, zorder=1, clip_on=False)
    for _, _, height, name in names:
        ax.text(1.04, height, name, transform=place, va="center", fontsize=8, color=palette.text)


def draw(
    id: str,
    panels: Sequence[Panel],
    exports: bool,
    *,
    cell: tuple[float, float] | None = None,
    across: int = 3,
    gap: float = 0,
    labelled: bool = True,
    alike: bool = True,
) -> Drawn:
    """Draw a figure: its panels one by one for the page, and all on one sheet for the files.

    Args:
        id: of the figure.
        panels: one or more.
        exports: whether to draw the files too.
        cell: width and height of a panel on the sheet, in inches; None: those of the largest.
        across: how many cells the sheet has side by side, at most.
        gap: between cells, in inches.
        labelled: whether labels stand around the axes of a panel; else these fill it.
        alike: whether all panels have the axes of the first.
    """
    pictures = []
    with _style(SENTINEL, id, "none"), _uncollected():  # text as text, in the colours of the page
        margins = (0.0, 0.0, 0.0, 0.0)
        if labelled:
            rooms = map(_margins, panels[:1] if alike else panels)
            left, bottom, right, top = (max(sides) for sides in zip(*rooms, strict=True))
            margins = (left, bottom, right, top)
        for number, panel in enumerate(panels, 1):
            svg = _saved(_sheet([panel], panel.size, margins, SENTINEL), "svg", transparent=True)
            width = round(96 * panel.size[0]) if panel.is_natural else None
            prefix = f"{id}-{number}"
            pictures.append(inline(svg, prefix, panel.title, panel.words, ON_PAGE, width))
    if not exports:
        return Drawn(tuple(pictures))
    wide, high = (max(sides) for sides in zip(*(panel.size for panel in panels), strict=True))
    with _style(LIGHT, id, "path"), _uncollected():  # text as paths, on white
        sheet = _sheet(panels, cell or (wide, high), margins, LIGHT, across, gap)
        files = {kind: _saved(sheet, kind, transparent=False) for kind in ("svg", "pdf", "png")}
    return Drawn(tuple(pictures), files)


def _margins(panel: Panel) -> tuple[float, float, float, float]:
    """Return the room for a panel's labels in inches: left, bottom, right, top.

    Every label is measured for that, which takes as long as drawing.
    """
    from matplotlib.figure import Figure as Drawing
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    drawing = Drawing(figsize=panel.size)
    ax = drawing.subplots()
    panel.paint(ax, SENTINEL)
    ConstrainedLayoutEngine().execute(drawing)
    place = ax.get_position(original=True)
    wide, high = panel.size
    return wide * place.x0, high * place.y0, wide * (1 - place.x1), high * (1 - place.y1)


def _sheet(
    panels: Sequence[Panel],
    cell: tuple[float, float],
    margins: tuple[float, float, float, float],
    palette: Palette,
    across: int = 1,
    gap: float = 0,
) -> "Drawing":
    """Paint panels side by side; all lengths are in inches."""
    from matplotlib.figure import Figure as Drawing

    (wide, high), (left, bottom, right, top) = cell, margins
    across = min(across, len(panels))
    width = across * (wide + gap) - gap
    height = -(-len(panels) // across) * (high + gap) - gap
    drawing = Drawing(figsize=(width, height))
    for at, panel in enumerate(panels):
        x = at % across * (wide + gap) + left
        y = height - at // across * (high + gap) - high + bottom
        size = ((wide - left - right) / width, (high - bottom - top) / height)
        panel.paint(drawing.add_axes((x / width, y / height, *size)), palette)
    return drawing


def _saved(drawing: "Drawing", kind: str, transparent: bool) -> bytes:
    # Without dates and versions, so that the same numbers give the same bytes.
    nothing = {
        "svg": {"Date": None, "Creator": None},
        "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
        "png": {"Software": None},
    }[kind]
    out = io.BytesIO()
    drawing.savefig(out, format=kind, metadata=nothing, transparent=transparent, dpi=192)
    return out.getvalue()


@contextmanager
def _style(palette: Palette, id: str, text_as: str) -> Iterator[None]:
    """Draw by our own settings alone, whatever the user's are."""
    import matplotlib
    import seaborn

    with matplotlib.rc_context(), warnings.catch_warnings():
        # A name may hold letters that the font lacks; the page's text has them all the same.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(
            seaborn.axes_style("ticks")
            | {
                "image.composite_image": False,  # pixels stay as they are
                # Of no use at 192 dots per inch, and slow.
                "text.hinting": "no_hinting",
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


@contextmanager
def _uncollected() -> Iterator[None]:
    """Make the many small parts of a drawing without a search for garbage after every few."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
