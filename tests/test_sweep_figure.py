"""The figure of what claims sweep: what it shows is what its table says."""

import csv
from pathlib import Path

import numpy as np
import pytest

from ablate.evidence import verdicts
from ablate.evidence.collect import collect
from ablate.evidence.verdicts import swept
from ablate.report.render import render
from ablate.report.sweep_figure import figure, series
from ablate.suite import plan as planning
from ablate.suite.preflight import check
from tests.test_sweeps import closed_form, suite
from tests.tiny import loaded

WIDTHS = [16, 32, 64, 128, 512]
OVER = f"over: {{network.width: {WIDTHS}}}"
BLOCK = "at: {layer: features.stage1.layer2.conv}"
RATIO = f"kind: ratio, metric: params.block, of: normal/depthwise, about: 8, {BLOCK}, {OVER}"
ORDER = f"kind: order, metric: params, expect: depthwise < normal, margin: 0, {OVER}"
TREND = f"kind: trend, metric: params, of: normal, expect: rising, {OVER}"


def test_the_figure_shows_the_numbers_of_the_table(here: Path) -> None:
    found = loaded(suite(RATIO, ORDER, TREND))
    study = planning.make(found, check(found), Path("runs"), "cpu").study
    evidence = collect(Path("runs"), study)
    (comparison,) = evidence.comparisons
    ratio, order, trend = (series(judged) for _, judged in swept(comparison))
    ((name, points),) = ratio
    assert name == "normal / depthwise"
    np.testing.assert_allclose(points, [(w, closed_form(w)) for w in WIDTHS], rtol=1e-12)
    assert [name for name, _ in order] == ["depthwise", "normal"]
    assert [name for name, _ in trend] == ["normal"]
    assert order[1] == trend[0]

    render(Path("runs"), study, Path("reports"))
    page = Path("reports/tiny")
    with (page / "tbl-tiny-conv-sweeps.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    table = [float(row["ratio"]) for row in rows[:5]]
    np.testing.assert_allclose(table, [y for _, y in points], rtol=1e-8)
    assert [float(row["first_value"]) for row in rows[5:10]] == [y for _, y in order[0][1]]
    drawn = figure(comparison)
    assert drawn is not None
    assert (drawn.id, drawn.table) == ("fig-tiny-conv-sweep", "tbl-tiny-conv-sweeps")
    assert len(drawn.pictures) == 3
    for claim, picture in zip(verdicts.judge(evidence), drawn.pictures, strict=True):
        title, _, rest = picture.partition("</title>")
        assert str(claim.claim["note"]) in title
        assert "<desc" in rest
        assert 'role="img"' in title
    for kind in ("svg", "pdf", "png"):
        assert (page / f"fig-tiny-conv-sweep.{kind}").read_bytes() == drawn.files[kind]
    html = (page / "index.html").read_text()
    assert html.count('<figure id="fig-tiny-conv-sweep">') == 1
    assert "Filled: the claim holds at this value; a cross: it does not." in html


@pytest.mark.usefixtures("here")
def test_nothing_is_drawn_where_nothing_is_swept() -> None:
    found = loaded(suite("kind: ratio, metric: params, of: normal/depthwise, at_least: 1"))
    study = planning.make(found, check(found), Path("runs"), "cpu").study
    (comparison,) = collect(Path("runs"), study).comparisons
    assert figure(comparison) is None
