"""The figures of what networks make of test images: pictures to look at, spectra of what is wrong.

They are there for trials whose task keeps pictures, as super-resolution does, and are drawn twice
like the others. A pixel of a picture is a square whose sides are whole pixels of the screen and of
the PNG file, without smoothing: an enlargement by any other factor would have a lattice of its own,
and a lattice is what one looks for here.
"""

import math
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from ablate.evidence.collect import ComparisonEvidence, RowEvidence, Trial
from ablate.evidence.spelling import between, counted, listed, number, one_line, row_name
from ablate.report.figures import (
    Drawn,
    Figure,
    Palette,
    Panel,
    draw,
    short_name,
    write_heading,
)
from ablate.report.fingerprint import of_arrays

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = np.ndarray[Any, Any]

# What a record's arrays are called.
INPUT, OUTPUT, TARGET = (f"final_pictures_{part}" for part in ("input", "output", "target"))
BEFORE = "initial_pictures_output"
RESIDUAL, NULL = "final_residual_spectrum", "final_target_spectrum"

SHOWN = 3  # test images
MOST = 1000  # test images that a task takes spectra over: its first batch
STRIDE = 2  # pixels: the lattice that upsampling by 2 leaves
DEEPEST = 80  # dB below the highest power; what is weaker has the lowest colour

# Of the sheet of pictures, in CSS pixels: 1/96 inch, for which a PNG has two.
PANEL = 160  # width of a column: two stand side by side on a small screen
LARGEST = 64  # pixels of a picture's side; of a larger picture the middle is shown
GAP = 16  # between columns
LINE = 15  # of text
LETTERS = 19  # of a name, bold, that fit into a column
ACROSS = 5  # columns side by side, in a file
LETTERS_OF_PANEL = 32  # of a name, bold, that fit above a spectrum


@dataclass(frozen=True)
class Column:
    """Pictures of one kind, one above the other."""

    name: str
    heading: str  # what a screen reader says first
    words: str  # what can be seen, in words
    above: str  # the line above the pictures
    pictures: tuple[Array, ...]  # uint8 (h, w, 3)
    below: tuple[str, ...]  # the line below each
    before: tuple[Array, str] | None = None  # one from before training, with the line below it


@dataclass(frozen=True)
class Spectrum:
    """A mean power spectrum (h, w), both even, with the zero frequency in the centre."""

    name: str
    heading: str
    seeds: tuple[int, ...]  # () for the targets, which have none
    power: Array

    @cached_property
    def elsewhere(self) -> Array:
        """The powers of all bins but the centre, which is empty: (h · w - 1,)."""
        height, width = self.power.shape
        return np.delete(self.power.ravel(), height // 2 * width + width // 2)

    @property
    def share(self) -> float:
        """Part of the power at the lattice's bins; 0 where there is no power at all."""
        height, width = self.power.shape
        lattice = self.power[0, 0] + self.power[0, width // 2] + self.power[height // 2, 0]
        return float(lattice / (self.elsewhere.sum() or 1.0))

    @property
    def of_noise(self) -> float:
        """The same part for white noise."""
        return (STRIDE**2 - 1) / len(self.elsewhere)


def pictures(
    comparison: ComparisonEvidence, kept: Mapping[str, Drawn] = {}, exports: bool = True
) -> Figure | None:
    """Return test images as every row gives them, beside input and target; None without any.

    The arguments are those of `figures.forest`.
    """
    firsts = [(row, _having(row, INPUT, OUTPUT, TARGET)[:1]) for row in comparison.rows]
    shown = [(row, trial) for row, found in firsts for trial in found]
    if not shown:
        return None
    given, wanted = (_arrays(shown[0][1])[name] for name in (INPUT, TARGET))
    scale = wanted.shape[1] // given.shape[1]
    columns = [
        _plain("Input", given, scale, 1),
        _plain("Target", wanted, scale, scale),
        *(_of_row(row, trial, scale) for row, trial in shown),
    ]
    high, wide = columns[1].pictures[0].shape[:2]
    pixel = PANEL // max(high, wide)  # CSS pixels
    size = (high * pixel, wide * pixel)
    lines = max(len(_wrapped(column.name, LETTERS)) for column in columns)
    id = f"fig-{comparison.asked.table.removeprefix('tbl-')}-pictures"
    panels = []
    for column in columns:

        def paint(ax: "Axes", palette: Palette, column: Column = column) -> None:
            _strip(ax, column, size, lines, palette)

        # In its natural size, in which the sides of its pixels are whole.
        tall = _height(column, size, lines)
        natural = (PANEL / 96, tall / 96)
        panels.append(Panel(paint, column.heading, column.words, natural, is_natural=True))
    drawn = kept.get(id) or draw(id, panels, exports, across=ACROSS, gap=GAP / 96, labelled=False)
    return Figure(
        id=id,
        title="Test images: input, target, and what each row makes of the input",
        notes=tuple(_picture_notes(comparison, shown, scale)),
        table=f"{comparison.asked.table}-runs",
        drawn=drawn,
        fingerprint=of_arrays(
            (f"{row_name(row.asked)} {trial.seed} {name}", _arrays(trial)[name])
            for row, trial in shown
            for name in (INPUT, TARGET, BEFORE, OUTPUT)
            if name in _arrays(trial)
        ),
    )


def spectra(
    comparison: ComparisonEvidence, kept: Mapping[str, Drawn] = {}, exports: bool = True
) -> Figure | None:
    """Return the spectrum of each row's residuals, after that of the targets; None without any.

    The arguments are those of `figures.forest`.
    """
    having = [(row, _having(row, RESIDUAL, NULL)) for row in comparison.rows]
    shown = [(row, trials) for row, trials in having if trials]
    if not shown:
        return None
    null = _arrays(shown[0][1][0])[NULL].astype(np.float64)
    powers = [Spectrum("Targets", "Power spectrum of the targets.", (), null)]
    for row, trials in shown:
        each = np.stack([_arrays(trial)[RESIDUAL] for trial in trials])
        power: Array = each.mean(axis=0, dtype=np.float64)
        heading = f"Power spectrum of the residual of {short_name(row)}."
        powers.append(Spectrum(short_name(row), heading, tuple(t.seed for t in trials), power))
    zero = float(powers[0].elsewhere.mean()) or 1.0  # the power of 0 dB
    limits = _limits(powers, zero)
    lines = max(len(_wrapped(found.name, LETTERS_OF_PANEL)) for found in powers)
    panels = []
    for found in powers:

        def paint(ax: "Axes", palette: Palette, found: Spectrum = found) -> None:
            _panel(ax, found, zero, limits, lines, palette)

        words = _spectrum_in_words(found, zero)
        panels.append(Panel(paint, found.heading, words, (3.4, 3.05)))
    id = f"fig-{comparison.asked.table.removeprefix('tbl-')}-spectra"
    return Figure(
        id=id,
        title="Power spectra of the residuals, output − target, on the test images",
        notes=tuple(_spectrum_notes(comparison, shown, powers[0])),
        table=comparison.asked.table,
        drawn=kept.get(id) or draw(id, panels, exports, cell=(3.0, 2.7)),
        fingerprint=of_arrays(
            (f"{row_name(row.asked)} {trial.seed} {name}", _arrays(trial)[name])
            for row, trials in shown
            for trial in trials
            for name in (NULL, RESIDUAL)
        ),
    )


# --- what there is to show ------------------------------------------------------------------------


def _having(row: RowEvidence, *names: str) -> list[Trial]:
    """Return the trials that ended well and keep these arrays, by seed."""
    return [trial for trial in row.having("ok") if _arrays(trial).keys() >= set(names)]


def _arrays(trial: Trial) -> dict[str, Array]:
    return trial.record.arrays if trial.record else {}


def _left_out(comparison: ComparisonEvidence, shown: Iterable[RowEvidence]) -> Iterable[str]:
    """Yield the sentence on the rows that a figure lacks, if there are any."""
    drawn = {id(row) for row in shown}
    names = [
        row_name(r.asked, r.is_baseline) for r in comparison.rows if r.trials and id(r) not in drawn
    ]
    if names:
        yield f"Not shown, as no trial ended well that kept them: {listed(names)}."


# --- pictures -------------------------------------------------------------------------------------


def _plain(name: str, images: Array, scale: int, factor: int) -> Column:
    """Return the column of the inputs (factor 1) or the targets (factor: the scale)."""
    images = images[:SHOWN]
    size = f"{images.shape[1]} × {images.shape[2]} pixels"
    below = tuple(f"image {at + 1}" for at in range(len(images)))
    return Column(
        name=name,
        heading=f"{name} pictures.",
        words=f"Test {_numbered(len(images))}, {size}.",
        above=size,
        pictures=tuple(_part(image, scale, factor) for image in images),
        below=below,
    )


def _of_row(row: RowEvidence, trial: Trial, scale: int) -> Column:
    """Return the column of what one trial made of the inputs."""
    kept = _arrays(trial)
    wanted, after = kept[TARGET][:SHOWN], kept[OUTPUT][:SHOWN]
    ratios = [_psnr(*pair, border=scale) for pair in zip(after, wanted, strict=True)]
    found = [f"{ratio} for image {at + 1}" for at, ratio in enumerate(ratios)]
    words = f"PSNR against the target: {listed(found)}."
    before = None
    if not (trial.record and trial.record.epochs):
        above = "not trained"
        words = f"Not trained. {words}"
    else:
        above = f"after training, seed {trial.seed}"
        words = f"After training, seed {trial.seed}. {words}"
        if BEFORE in kept:
            ratio = _psnr(kept[BEFORE][0], wanted[0], border=scale)
            before = (_part(kept[BEFORE][0], scale, scale), f"image 1: {ratio}")
            words += f" Before training: {ratio} for image 1."
    return Column(
        name=short_name(row),
        heading=f"Pictures by {short_name(row)}.",
        words=words,
        above=above,
        pictures=tuple(_part(image, scale, scale) for image in after),
        below=tuple(f"image {at + 1}: {ratio}" for at, ratio in enumerate(ratios)),
        before=before,
    )


def _psnr(output: Array, target: Array, border: int) -> str:
    """Spell the PSNR of a picture (h, w, c) in dB, its border left out as the metric does."""
    inner = slice(border, -border)
    pair = (picture[inner, inner].astype(np.float64) for picture in (output, target))
    error = float(np.square(np.subtract(*pair)).mean())
    return f"{number(10 * math.log10(255**2 / error), 2)} dB" if error else "no difference"


def _part(image: Array, scale: int, factor: int) -> Array:
    """Return the middle of a picture (h, w, c) in three channels; all of it where it is small.

    Args:
        image: uint8, c is 1 or 3.
        scale: of the task; the part is cut between the pixels of the input.
        factor: how many times as large as the input this picture is.
    """
    cuts = []
    for side in image.shape[:2]:
        cells = side // factor
        size = min(cells, LARGEST // scale)
        start = (cells - size) // 2
        cuts.append(slice(start * factor, (start + size) * factor))
    part = image[cuts[0], cuts[1]]
    return np.repeat(part, 3, axis=2) if part.shape[2] == 1 else part


def _numbered(count: int) -> str:
    """Spell which images are shown: `images 1, 2 and 3`."""
    return f"image{'' if count == 1 else 's'} {listed([str(at + 1) for at in range(count)])}"


def _wrapped(name: str, letters: int) -> list[str]:
    return textwrap.wrap(name, letters, break_on_hyphens=False)


def _picture_notes(
    comparison: ComparisonEvidence, shown: Sequence[tuple[RowEvidence, Trial]], scale: int
) -> Iterable[str]:
    wanted = _arrays(shown[0][1])[TARGET]
    count = min(SHOWN, len(wanted))
    total = comparison.data.sizes.get("test", len(wanted))
    which = (
        "The first test image"
        if count == 1
        else f"The first {count} of {number(total)} test images"
    )
    yield f"{which} ({one_line(comparison.data.title)}); every pixel is shown as a square."
    height, width = wanted.shape[1:3]
    if max(height, width) > LARGEST:
        least = [min(side, LARGEST // scale * scale) for side in (height, width)]
        yield (
            f"Of {height} × {width} pixels the middle {least[0]} × {least[1]} are shown, and as "
            "much of the input."
        )
    yield (
        "One column a row, from the lowest seed that ended well. Below each picture: its PSNR "
        f"against the target, in 8 bits and without a border of {counted(scale, 'pixel')}."
    )
    if any(BEFORE in _arrays(trial) and trial.record and trial.record.epochs for _, trial in shown):
        yield "Last line: image 1 by the same network before its first step."
    yield "So few pictures of one seed show what an effect looks like, not how large it is."
    yield from _left_out(comparison, [row for row, _ in shown])


def _height(column: Column, size: tuple[int, int], lines: int) -> int:
    """Return how high a column is, in CSS pixels."""
    block = size[0] + LINE + GAP // 2  # a picture and the line below it
    pictures = _above(lines) + len(column.pictures) * block
    return pictures + (LINE + block if column.before else 0)


def _above(lines: int) -> int:
    """Return how far below the top of its column the first picture begins, in CSS pixels."""
    return (lines + 1) * LINE + 3


def _strip(ax: "Axes", column: Column, size: tuple[int, int], lines: int, palette: Palette) -> None:
    """Paint a column from the top of the axes, so many lines of text for its name.

    Args:
        ax: which fill their cell.
        column: what to paint.
        size: height and width of every picture on the sheet, in CSS pixels.
        lines: of text.
        palette: its colours.
    """
    high, wide = size
    block = high + LINE + GAP // 2
    tall = round(96 / ax.figure.dpi * ax.bbox.height)

    def write(y: int, text: str, colour: str, **how: Any) -> None:
        ax.text(0, y, text, va="top", color=colour, **how)

    def show(y: int, picture: Array, below: str) -> None:
        # Not "nearest": only "none" leaves the enlargement to who shows the file.
        extent = (0, wide, y + high, y)
        ax.imshow(picture, interpolation="none", aspect="auto", extent=extent, clip_on=False)
        write(y + high + 2, below, palette.text, fontsize=8)

    name = _wrapped(column.name, LETTERS)
    for line, words in enumerate(name, start=lines - len(name)):
        write(line * LINE, words, palette.text, fontsize=9, weight="bold")
    write(lines * LINE, column.above, palette.quiet, fontsize=8)
    first = _above(lines)
    for nth, picture in enumerate(column.pictures):
        show(first + nth * block, picture, column.below[nth])
    if column.before:
        last = first + len(column.pictures) * block
        write(last, "before training", palette.quiet, fontsize=8)
        show(last + LINE, *column.before)
    ax.set(xlim=(0, PANEL), ylim=(tall, 0))
    ax.set_axis_off()


# --- spectra --------------------------------------------------------------------------------------


def _decibels(power: Array, zero: float, lowest: float = -math.inf) -> Array:
    """Return powers in dB over the power `zero`, none of them below `lowest`."""
    with np.errstate(divide="ignore"):  # nothing at all is infinitely low
        levels: Array = 10 * np.log10(power / zero)
    return np.maximum(levels, lowest)


def _limits(panels: Sequence[Spectrum], zero: float) -> tuple[float, float]:
    """Return one range in dB for all panels, `DEEPEST` at most, whatever the empty centres say."""
    values = np.concatenate([_decibels(panel.elsewhere, zero) for panel in panels])
    values = values[np.isfinite(values)]
    high = float(values.max()) if len(values) else 0.0
    low = max(float(values.min()), high - DEEPEST) if len(values) else high
    return (low, high) if low < high else (high - 1, high)


def _panel(
    ax: "Axes",
    panel: Spectrum,
    zero: float,
    limits: tuple[float, float],
    lines: int,
    palette: Palette,
) -> None:
    """Draw one spectrum with its bar of colours, its name over so many lines of text."""
    from matplotlib.patheffects import withStroke

    # A spectrum repeats: with the first row and column again at the far ends, it is as symmetric as
    # the residual's, and half a cycle per pixel stands on either side.
    power = np.pad(panel.power, ((0, 1), (0, 1)), mode="wrap")
    half = [0.5 + 0.5 / side for side in panel.power.shape]
    image = ax.imshow(
        _decibels(power, zero, limits[0]),
        cmap="viridis",
        vmin=limits[0],
        vmax=limits[1],
        interpolation="none",
        origin="lower",
        extent=(-half[1], half[1], -half[0], half[0]),
        aspect="equal",
    )
    ends = (-0.5, 0.0, 0.5)
    lattice = [(x, y) for x in ends for y in ends if x or y]
    # White on black: over any colour of the map and over the page, light or dark.
    ax.plot(
        *zip(*lattice, strict=True),
        "o",
        markersize=9,
        markerfacecolor="none",
        markeredgecolor="white",
        markeredgewidth=0.7,
        clip_on=False,
        path_effects=[withStroke(linewidth=1.9, foreground="black")],
    )
    ax.set_xticks(ends)
    ax.set_yticks(ends)
    ax.tick_params(pad=6)
    ax.set_xlabel("cycles per pixel")
    ax.set_ylabel("cycles per pixel")
    name = _wrapped(panel.name, LETTERS_OF_PANEL)
    title = "\n".join([""] * (lines - len(name)) + name)
    write_heading(ax, title, pad=23)
    ax.annotate(
        f"lattice bins: {_percent(panel.share)} of the power",
        (0, 1),
        xytext=(0, 10),
        xycoords="axes fraction",
        textcoords="offset points",
        fontsize=8,
        color=palette.text,
    )
    bar = ax.figure.colorbar(image, cax=ax.inset_axes((1.08, 0, 0.05, 1)))
    bar.set_label("power (dB)")
    bar.outline.set_visible(False)


def _percent(part: float) -> str:
    return f"{number(100 * part, 2)} %"


def _spectrum_in_words(panel: Spectrum, zero: float) -> str:
    values = _decibels(panel.elsewhere, zero)
    if not panel.seeds:
        whose = "The targets themselves"
    elif len(panel.seeds) == 1:
        whose = f"Seed {panel.seeds[0]}"
    else:
        whose = f"Mean over seeds {listed([str(seed) for seed in panel.seeds])}"
    if not np.isfinite(values).any():
        return f"{whose}: no power at all."
    return (
        f"{whose}: {_percent(panel.share)} of the power at the lattice bins (white noise: "
        f"{_percent(panel.of_noise)}); from {_level(values.min())} to {_level(values.max())}."
    )


def _level(value: float) -> str:
    return f"{number(value, 1)} dB" if math.isfinite(value) else "nothing"


def _spectrum_notes(
    comparison: ComparisonEvidence,
    shown: Sequence[tuple[RowEvidence, Sequence[Trial]]],
    null: Spectrum,
) -> Iterable[str]:
    images = min(MOST, comparison.data.sizes.get("test", MOST))
    seeds = between({len(trials) for _, trials in shown}, "seed")
    yield (
        f"Mean power over {counted(images, 'test image')} ({one_line(comparison.data.title)}), "
        f"their channels, and the seeds that ended well ({seeds} a row), without the images' "
        "borders. 0 dB: the mean power of the targets. All panels have one range of colours; the "
        "centre is empty, since the mean of each image is taken off."
    )
    yield (
        "First panel: the targets themselves, the null. Rings: the lattice bins, half a cycle per "
        "pixel on either axis or both. A pattern that repeats every 2 pixels, as a checkerboard "
        "does, has all its power there: a peak that the targets lack is the network's own. White "
        f"noise has {_percent(null.of_noise)} of its power there."
    )
    yield from _left_out(comparison, [row for row, _ in shown])
