"""What a page shows beside its tables: costs, times, noise, first lines, lean drawings."""

import base64
import io
import itertools
import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from test_evidence import DROP_IN, EQUAL, NORMAL, Lab, three_rows, two_rows

from ablate.evidence import latency
from ablate.evidence.answer import answers
from ablate.evidence.collect import ComparisonEvidence, collect
from ablate.report import ecdf, noise, pareto
from ablate.report.lean_svg import HREF, PNG, lean, relative
from ablate.report.summary import summary


def of(lab: Lab) -> ComparisonEvidence:
    return collect(lab.runs, lab.ask()).comparisons[0]


# --- what the metric costs ------------------------------------------------------------------------


def rows_of(runs: Path, *found: tuple[str, float, float], **changed: Any) -> ComparisonEvidence:
    """Return a comparison of rows with a mean and parameters."""
    lab = Lab(runs)
    values = {name: [mean - 0.5, mean, mean + 0.5] for name, mean, _ in found}
    lab.compare(*(lab.row(name, values[name], params=params) for name, _, params in found))
    return of(lab)


def test_the_front_is_what_no_row_beats(tmp_path: Path) -> None:
    noise = np.random.RandomState(0)
    found = [(f"v{at}", *noise.uniform(1, 9, 2).round(1)) for at in range(12)]
    found = [(name, mean, 1000 * cost) for name, mean, cost in found]
    comparison = rows_of(tmp_path, *found)
    points = pareto.points(comparison, "params")
    assert [(p.mean, p.cost) for p in points] == [(pytest.approx(m), c) for _, m, c in found]
    for direction, sign in (("higher", 1), ("lower", -1)):
        # The definition itself: no other is at least as good in both and better in one.
        unbeaten = {
            name
            for name, mean, cost in found
            if not any(
                sign * m >= sign * mean and c <= cost and (m, c) != (mean, cost)
                for _, m, c in found
            )
        }
        front = pareto.front(points, direction)
        assert {p.contrast.row.asked.variant for p in front} == unbeaten
        assert [p.cost for p in front] == sorted(p.cost for p in front)


def test_the_interval_of_a_mean_is_student_s(tmp_path: Path) -> None:
    from scipy import stats

    comparison = of(three_rows(tmp_path))
    for point, values in zip(
        pareto.points(comparison, "macs"), (NORMAL, DROP_IN, EQUAL), strict=True
    ):
        low, high = stats.t.interval(0.95, 4, np.mean(values), stats.sem(values))
        assert point.interval is not None
        assert (point.interval.low, point.interval.high) == pytest.approx((low, high), rel=1e-9)


def test_a_figure_of_costs_says_its_numbers(tmp_path: Path) -> None:
    figure = pareto.cost(of(three_rows(tmp_path)), exports=False)
    assert figure is not None
    assert figure.id == "fig-s7-depthwise-cost"
    assert figure.table == "tbl-s7-depthwise"
    parameters, macs = figure.pictures
    assert (
        "depthwise separable (drop-in): 58.7 % [57.8, 59.5], 12,240 parameters, on the line."
        in (parameters)
    )
    # 82,010 parameters beat 82,400 in cost alone, and 82,400 them in accuracy: both are on it.
    assert "normal (baseline): 62.3 % [61.8, 62.8], 82,010 parameters, on the line." in parameters
    assert "12.3 M MACs" in macs


def test_without_a_choice_of_cost_there_is_no_figure(tmp_path: Path) -> None:
    assert pareto.cost(rows_of(tmp_path / "a", ("a", 60, 1e5), ("b", 61, 1e5))) is None
    assert pareto.cost(of(two_rows(tmp_path / "b", ["failed"], ["failed"]))) is None


@given(st.lists(st.floats(-50, 50), min_size=1, max_size=40).map(sorted), st.floats(0.01, 5))
def test_names_never_overlap_and_stay_near(heights: list[float], gap: float) -> None:
    found = pareto.spread(heights, gap)
    for low, high in itertools.pairwise(found):
        assert high - low >= gap * (1 - 1e-6)
    if all(b - a >= gap for a, b in itertools.pairwise(heights)):
        assert found == pytest.approx(heights)
    assert sum(found) / len(found) == pytest.approx(sum(heights) / len(heights), abs=1e-6)


# --- how long calls took --------------------------------------------------------------------------


def timed(runs: Path, *processes: "np.ndarray[Any, Any]") -> ComparisonEvidence:
    """Return two networks of which every process timed rounds (rounds, 2 + control)."""
    lab = Lab(runs)
    rows = (
        lab.row("normal", NORMAL, network={"width": 16.0}),
        lab.row("depthwise", DROP_IN, network={"width": 17.0}),
    )
    passes = lab.time(
        [row.full_config["network"] for row in rows], *({1: seconds} for seconds in processes)
    )
    lab.compare(*rows, passes=passes)
    return of(lab)


def test_all_rounds_of_all_processes_count(tmp_path: Path) -> None:
    noise = np.random.RandomState(0)
    one, two = noise.uniform(1e-3, 2e-3, (2, 30, 3))
    ((setting, rows, control),) = latency.samples(timed(tmp_path, one, two))
    both = np.concatenate([one, two])
    assert setting["batch"] == 1
    assert rows[0].tolist() == sorted(both[:, 0])
    assert rows[1].tolist() == sorted(both[:, 1])
    assert control.tolist() == sorted(both[:, 2])


@given(st.lists(st.floats(1e-4, 1), min_size=1, max_size=300).map(sorted))
def test_steps_are_the_share_that_is_faster(seconds: list[float]) -> None:
    times = np.array(seconds)
    x, y = ecdf.steps(times)
    assert (y[0], y[-1]) == (0, 1)
    assert len(x) == len(y) <= ecdf.STEPS + 1
    for at, share in zip(x[1:], y[1:], strict=True):
        # Of equal times, a step may stand before the last.
        assert np.mean(times < at) <= share + 1e-9
        assert share <= np.mean(times <= at) + 1e-9


def test_a_figure_of_times_has_the_control(tmp_path: Path) -> None:
    noise = np.random.RandomState(0)
    rounds = noise.uniform(1, 1.1, (3, 40, 3)) * [2e-3, 1e-3, 2e-3]
    comparison = timed(tmp_path, *rounds)
    figure = ecdf.ecdf(comparison, exports=False)
    assert figure is not None
    assert figure.id == "fig-s7-depthwise-latency"
    assert figure.table == "tbl-s7-depthwise-latency"
    (picture,) = figure.pictures
    for name, column in (("normal (baseline)", 0), ("depthwise (drop-in)", 1), ("A/A control", 2)):
        median = 1000 * np.median(rounds[:, :, column])
        assert f"{name}: median {median:.3g}" in picture.replace("1.00", "1")
        assert f">{name}</text>" in picture
    assert "120 rounds" in figure.notes[0]
    other = ecdf.ecdf(timed(tmp_path / "b", *(rounds * 1.0001)), exports=False)
    assert other is not None
    assert other.fingerprint != figure.fingerprint


def test_without_passes_there_is_no_figure_of_times(tmp_path: Path) -> None:
    assert ecdf.ecdf(of(three_rows(tmp_path))) is None


# --- the noise floor ------------------------------------------------------------------------------


def test_the_noise_floor_is_of_seeds_alone(tmp_path: Path) -> None:
    lab = three_rows(tmp_path)
    table = noise.noise(collect(lab.runs, lab.ask()))
    assert table is not None
    assert table.id == "tbl-s7-noise"
    (line,) = table.lines
    spreads = [np.std(values, ddof=1) for values in (NORMAL, DROP_IN, EQUAL)]
    assert line.values["sd"] == pytest.approx(max(spreads))
    assert line.values["difference"] is None
    assert line.values["margin"] == 0.5
    assert line.values["least_seeds"] == 5
    assert line.cells[3].text == "–"  # no control was asked for
    assert isinstance(line.values["detectable"], float)


def test_one_seed_has_no_noise(tmp_path: Path) -> None:
    lab = two_rows(tmp_path, [58.4], [62.3])
    assert noise.noise(collect(lab.runs, lab.ask())) is None


# --- the first lines ------------------------------------------------------------------------------


def first_lines(lab: Lab, warnings: tuple[str, ...] = ()) -> tuple[list[str], str]:
    found = summary(answers(collect(lab.runs, lab.ask())), [], warnings)
    return [said.text for said in found.answer], found.sure.text


def test_one_comparison_is_answered_by_its_own_sentence(tmp_path: Path) -> None:
    lab = three_rows(tmp_path)
    said, sure = first_lines(lab)
    assert said == [answers(collect(lab.runs, lab.ask()))[0].findings[0]]
    assert sure == "How sure: 95 % intervals over 5 seeds a row. May be cited."


def test_of_many_rows_the_marks_are_counted(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.compare(
        lab.row("normal", [60.0, 60.1, 59.9]),
        lab.row("better", [63.0, 63.1, 62.9]),
        lab.row("best", [64.0, 64.1, 63.9]),
        lab.row("worse", [55.0, 55.1, 54.9]),
        lab.row("same", [60.0, 60.1, 59.9]),
        lab.row("unknown", [58.0, 63.0, 60.0]),
        claims=[],
    )
    said, sure = first_lines(lab, ("one", "two"))
    assert said[0] == (
        "5 rows by their accuracy: higher 2, lower 1, no practical difference 1 and cannot tell 1."
    )
    assert said[1].startswith("Largest gain: best (drop-in), accuracy +4.0 points [3.8, 4.2].")
    assert said[2].startswith("Largest loss: worse (drop-in), accuracy −5.0 points [−5.2, −4.8].")
    assert sure == (
        "How sure: 95 % intervals over 3 seeds a row; 1 of 5 differences cannot be told yet. "
        "Screening, not to be cited, for 2 reasons."
    )


@pytest.mark.parametrize(
    ("ours", "theirs", "said", "sure"),
    [
        (["failed"], ["diverged"], "not known yet", "not at all, no trial has a result."),
        ([58.4], [62.3], "cannot tell, from one seed", "one seed a row has no interval."),
        (
            [],
            [],
            "Refuted: A:113. Not tested: B:72.",
            "arithmetic, the same on any machine",
        ),
    ],
)
def test_what_is_not_known_is_said(
    tmp_path: Path, ours: list[Any], theirs: list[Any], said: str, sure: str
) -> None:
    found = first_lines(two_rows(tmp_path, ours, theirs))
    assert said in found[0][0]
    assert sure in found[1]


# --- lean drawings --------------------------------------------------------------------------------

POINTS = st.lists(st.tuples(st.floats(-999, 999), st.floats(-999, 999)), min_size=1, max_size=20)


@given(POINTS, st.booleans())
def test_a_relative_path_goes_where_the_absolute_one_goes(
    points: list[tuple[float, float]], closed: bool
) -> None:
    path = " ".join(f"{'L' if at else 'M'} {x:.6f} {y:.6f}" for at, (x, y) in enumerate(points))
    short = relative(path + (" z" if closed else ""))
    assert short.endswith("z") is closed
    # Followed step by step, as the standard says.
    at, ends = np.zeros(2), []
    for letter, numbers in re.findall(r"([Mlhv])([^Mlhvz]*)", short):
        values = [float(n) for n in re.findall(r"-?(?:\d+\.?\d*|\.\d+)", numbers)]
        step = {"h": [*values, 0], "v": [0, *values]}.get(letter, values)
        at = np.array(step) if letter == "M" else at + step
        ends.append(at)
    assert np.allclose(ends[-1], points[-1], atol=0.006)
    corners = [corner for corner, _ in itertools.groupby(points)]
    near = [any(np.allclose(end, corner, atol=0.006) for end in ends) for corner in corners]
    assert all(near)


def test_pictures_keep_every_pixel() -> None:
    noise = np.random.RandomState(0)
    few = noise.randint(0, 4, (9, 7, 1)) * np.array([[[60, 20, 80, 0]]]) + [[[0, 0, 0, 255]]]
    many = np.concatenate([noise.randint(0, 256, (40, 40, 3)), np.full((40, 40, 1), 255)], axis=2)
    clear = few.copy()
    clear[0, 0, 3] = 0
    for pixels, is_shorter in ((few, True), (many, False), (clear, False)):
        pixels = pixels.astype(np.uint8)
        out = io.BytesIO()
        Image.fromarray(pixels).save(out, "png", compress_level=0)
        source = PNG + base64.b64encode(out.getvalue()).decode()
        root = ET.Element("svg")
        image = ET.SubElement(root, "image", {HREF: source, "width": "7.123456"})
        lean(root)
        assert (len(image.attrib[HREF]) < len(source)) is is_shorter
        kept = Image.open(io.BytesIO(base64.b64decode(image.attrib[HREF].removeprefix(PNG))))
        assert np.array_equal(np.asarray(kept.convert("RGBA")), pixels)
        assert image.attrib["width"] == "7.123456"  # where its pixels lie stays as it is
