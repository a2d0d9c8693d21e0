"""The figure of how long calls took: of every row the share of rounds that were faster."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ablate.evidence import latency
from ablate.evidence.collect import ComparisonEvidence
from ablate.evidence.spelling import counted, number, one_line, quantity, row_name
from ablate.report.figures import (
    Drawn,
    Figure,
    Palette,
    Panel,
    draw,
    short_name,
    write_beside,
    write_heading,
)
from ablate.report.fingerprint import of_arrays
from ablate.report.latency import measured_on

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    Times = np.ndarray[Any, Any]  # seconds, ascending

STEPS = 48  # of a curve at most: more are not seen
WIDE = 10  # times that differ by more than this factor stand on a logarithmic axis


def ecdf(
    comparison: ComparisonEvidence, kept: Mapping[str, Drawn] = {}, exports: bool = True
) -> Figure | None:
    """Return the distribution of the times of every network; None where none was timed.

    The arguments are those of `figures.forest`.
    """
    found = latency.samples(comparison)
    if not found:
        return None
    panels = []
    for setting, rows, control in found:

        def paint(
            ax: "Axes",
            palette: Palette,
            rows: "Mapping[int, Times]" = rows,
            control: "Times" = control,
            said: str = _said(setting),
        ) -> None:
            _panel(ax, comparison, rows, control, said, palette)

        names = len(_curves(comparison, rows, control))
        heading = f"Time of a call, {_said(setting)}."
        words = " ".join(_in_words(comparison, rows, control))
        panels.append(Panel(paint, heading, words, (5.6, 0.2 * names + 1.5)))
    id = f"fig-{comparison.asked.table.removeprefix('tbl-')}-latency"
    rounds = {len(control) for _, _, control in found}
    each = counted(max(rounds), "round") + (" at most" if len(rounds) > 1 else "")
    return Figure(
        id=id,
        title="Time of a call",
        notes=(
            "Full networks. Each step line: the share of rounds in which a call took at most so "
            f"many milliseconds (further left is faster), over {each} of all processes. Square: "
            "where a name's line begins. Dashed: the A/A control, a copy of the first network, "
            "which should lie on that network's line. Blue: faster than its reference beyond the "
            "margin, orange: slower, as the table says.",
            f"Measured on {measured_on(comparison)}.",
        ),
        table=f"{comparison.asked.table}-latency",
        drawn=kept.get(id) or draw(id, panels, exports, across=1),
        fingerprint=of_arrays(
            (f"{_said(setting)} {name}", times)
            for setting, rows, control in found
            for name, times in [
                *((row_name(comparison.rows[at].asked), times) for at, times in rows.items()),
                ("A/A control", control),
            ]
        ),
    )


def _said(setting: Mapping[str, Any]) -> str:
    parts = [f"batch of {number(int(setting['batch']))}"]
    parts += [one_line(str(setting[name])) for name in ("phase", "precision") if name in setting]
    return ", ".join(parts)


def steps(times: "Times") -> "tuple[Times, Times]":
    """Return the corners of a distribution's steps: seconds, and the share up to them.

    Args:
        times: ascending.
    """
    shares = np.arange(1, len(times) + 1) / len(times)
    if len(times) > STEPS:
        at = np.unique(np.linspace(0, len(times) - 1, STEPS).round().astype(int))
        times, shares = times[at], shares[at]
    return np.concatenate([times[:1], times]), np.concatenate([[0.0], shares])


def _curves(
    comparison: ComparisonEvidence, rows: "Mapping[int, Times]", control: "Times"
) -> "list[tuple[str, Times, int | None]]":
    """Return name, times and the row's place (None: the control), the slowest first."""
    found: list[tuple[str, Times, int | None]] = [("A/A control", control, None)]
    found += [(short_name(comparison.rows[at]), times, at) for at, times in rows.items()]
    return sorted(found, key=lambda one: -float(np.median(one[1])))


def _panel(
    ax: "Axes",
    comparison: ComparisonEvidence,
    rows: "Mapping[int, Times]",
    control: "Times",
    said: str,
    palette: Palette,
) -> None:
    curves = _curves(comparison, rows, control)
    timed = {it.batch: it for it in latency.measured(comparison) if _said(it.setting) == said}
    measured = next(iter(timed.values()), None)
    names, dots = [], []
    for at, (name, times, row) in enumerate(curves):
        colour, line = palette.quiet, "--"
        if row is not None:
            one = measured.of(comparison.rows[row]) if measured else None
            key = one.effect.key if one and one.effect else "reference"
            tones = {"higher": palette.worse, "lower": palette.better}
            colour, line = tones.get(key, palette.text), "-"
        x, y = steps(1000 * times)
        ax.step(x, y, where="post", color=colour, linewidth=1.1, linestyle=line, clip_on=False)
        # Every name has a height of its own, at which a line leads to it from its curve.
        height = (at + 0.5) / len(curves)
        begin = float(x[np.searchsorted(y, height, side="left")])
        names.append((begin, height, height, name))
        dots.append((begin, height, colour))
    for begin, height, colour in dots:
        ax.plot([begin], [height], "s", color=colour, markersize=2.5, clip_on=False)
    fastest, slowest = (float(1000 * pick(c[1] for c in curves)) for pick in (_least, _most))
    if slowest / fastest > WIDE:
        ax.set_xscale("log")
    ax.xaxis.set_major_formatter(lambda value, _: f"{value:,g}")
    ax.xaxis.set_minor_formatter(lambda value, _: "")
    ax.set_ylim(0, 1)
    ax.margins(x=0.02)
    write_beside(ax, names, palette)
    ax.set_xlabel("ms a call")
    ax.set_ylabel("share of rounds")
    ax.spines[["top", "right"]].set_visible(False)
    write_heading(ax, said)


def _least(times: "Iterable[Times]") -> float:
    return min(float(each[0]) for each in times)


def _most(times: "Iterable[Times]") -> float:
    return max(float(each[-1]) for each in times)


def _in_words(
    comparison: ComparisonEvidence, rows: "Mapping[int, Times]", control: "Times"
) -> Iterable[str]:
    named: Sequence[tuple[str, Times]] = [
        *((row_name(comparison.rows[at].asked, at == 0), times) for at, times in rows.items()),
        ("A/A control", control),
    ]
    for name, times in named:
        low, middle, high = (1000 * float(np.quantile(times, q)) for q in (0.1, 0.5, 0.9))
        most = f"8 of 10 rounds {quantity(low)} to {quantity(high)}"
        yield f"{name}: median {quantity(middle)} ms, {most}."
