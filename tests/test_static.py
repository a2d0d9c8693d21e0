"""Comparisons that are measured and not trained: `seeds: 0`."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from test_evidence import DROP_IN, NORMAL, Lab

import ablate
from ablate import commands, study
from ablate.cli import Exit
from ablate.data import cifar10, outline
from ablate.evidence.collect import collect
from ablate.report.comparison import results
from ablate.report.render import render
from ablate.report.suite_page import data_used
from ablate.suite.request import Request
from ablate.suite.source import SuiteError
from tests import tiny
from tests.tiny import changed, checked, loaded

NOWHERE = """\
id: tiny
title: Structure alone
question: What follows from the structure?
base:
  task: classify
  data: {name: cifar10}
  network: {family: staged, stages: [[4], [8]]}
seeds: 0
comparisons:
  - id: conv
    title: Normal or depthwise?
    baseline: normal
    variants:
      normal: {}
      depthwise: {network.conv: depthwise_separable}
    claims:
      - {note: "A:1", says: fewer, kind: ratio, metric: params, of: normal/depthwise, at_least: 1}
profiles:
  quick: {seeds: 3}
"""


def run() -> Exit:
    asked = Request("tiny.yaml", "full")
    return commands.run(asked, "cpu", Path("runs"), Path("reports"), "1", None, False)


def refused(text: str, **request: Any) -> str:
    with pytest.raises(SuiteError) as caught:
        checked(text, **request)
    return str(caught.value)


def test_the_outline_of_a_data_set_is_what_its_images_have() -> None:
    found = outline({"name": "cifar10"})
    assert found is not None
    assert found.train.images.shape[1:] == found.test.images.shape[1:] == (32, 32, 3)
    assert found.classes == cifar10.CLASSES
    assert len(set(found.classes)) == 10
    assert (found.digest, found.title) == ("", "CIFAR-10")
    assert outline({"name": "photos"}) is None


def test_a_whole_suite_that_trains_nothing_needs_no_images(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cifar10, "load", lambda: pytest.fail("the images were asked for"))
    tiny.write(NOWHERE)
    assert run() == Exit.OK
    said = capsys.readouterr()
    assert "measured, not trained" in said.err
    assert "images as in CIFAR-10; nothing is trained" in said.err
    assert "0 trials to run, 0 there already" in said.err
    assert "Normal or depthwise? The claim holds.\n  Facts of 2 networks as built." in said.out
    assert "A:1 “fewer”: supported\n" in said.out
    assert "0 trained, 0 there already" in said.out
    assert not (here / "runs" / "trials").exists()
    asked = study.newest(here / "runs", "tiny")
    assert asked is not None
    assert not asked.comparisons[0].is_trained
    assert (asked.seeds, asked.comparisons[0].data.sizes) == ([], {})
    # Again: what was planned is remembered, and the images are still not asked for.
    assert run() == Exit.OK
    page = (here / "reports" / "tiny" / "index.html").read_text()
    assert "nothing is trained" in page
    assert "Screening" not in page
    assert "Nothing is trained." in page
    header = (here / "reports" / "tiny" / "tbl-tiny-conv.csv").read_text().splitlines()[0]
    assert "params_full" in header
    assert "mean" not in header
    assert "n_ok" not in header
    frame = ablate.load("tiny").numbers
    assert set(frame.metric) >= {"params", "macs"}
    assert frame.seed.isna().all()
    assert not frame.screening.any()


def test_the_table_has_no_column_of_what_is_trained(here: Path) -> None:
    tiny.write(NOWHERE)
    assert run() == Exit.OK
    asked = study.newest(here / "runs", "tiny")
    assert asked is not None
    evidence = collect(here / "runs", asked)
    table = results(asked, evidence.comparisons[0])
    assert [column.title for column in table.columns] == [
        "Variant", "Parameters", "MACs", "Receptive field", "Activations",
    ]  # fmt: skip
    assert all(len(line.cells) == len(table.columns) for line in table.lines)
    assert table.screening == ()
    verdict = json.loads(json.dumps(asked.comparisons[0].claims))
    assert verdict[0]["metric"] == "params"


@pytest.mark.usefixtures("here")
def test_a_static_comparison_stays_so_beside_trained_ones() -> None:
    text = changed(
        ("    baseline: normal\n", "    baseline: normal\n    seeds: 0\n"),
        add="""\
  - id: other
    title: And trained?
    baseline: normal
    variants:
      normal: {}
      dilated: {network.conv: dilated}
profiles:
  quick: {seeds: 4}
""",
    )
    for request, seeds in (
        ({}, [0, 1]),
        ({"seeds": "3"}, [0, 1, 2]),
        ({"profile": "quick"}, [*range(4)]),
    ):
        found = loaded(text, **request)
        static, trained = found.suite.comparisons
        assert found.seeds(static, "normal") == []
        assert found.seeds(trained, "normal") == seeds
        assert (found.is_static(static), found.is_static(trained)) == (True, False)


@pytest.mark.usefixtures("here")
def test_a_profile_may_train_what_the_suite_does_not() -> None:
    found = loaded(NOWHERE, profile="quick")
    (comparison,) = found.suite.comparisons
    assert found.seeds(comparison, "normal") == [0, 1, 2]
    own = NOWHERE.replace("    claims:", "    profiles: {quick: {seeds: 0}}\n    claims:")
    again = loaded(own, profile="quick")
    assert again.seeds(again.suite.comparisons[0], "normal") == []


@pytest.mark.usefixtures("here")
def test_none_are_trained_where_the_command_line_says_so() -> None:
    found = loaded(seeds="0")
    (comparison,) = found.suite.comparisons
    assert found.seeds(comparison, "normal") == []
    # What takes training may be asked all the same, another time it is trained.
    assert not found.is_static(comparison)


STATIC = ("seeds: 2", "seeds: 0")
WHY = "this comparison is not trained (seeds: 0)"


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("add", "where", "message"),
    [
        ("    readings: [effective_receptive_field]\n", "17:15",
         f"readings are of trained weights, and {WHY}; leave them out"),
        ("    match: [none, compute]\n", "17:12",
         f"training compute is matched by epochs, and {WHY}; leave it out"),
        ("    budgets: [0.5, 1, 2]\n", "17:14",
         f"variants are trained at other budgets, and {WHY}; leave them out"),
        ("    paired: true\n", "17:13",
         f"differences are paired by seed, and {WHY}; leave it out"),
    ],
)  # fmt: skip
def test_what_takes_training_is_refused(add: str, where: str, message: str) -> None:
    assert f"tiny.yaml:{where}: {message}" in refused(changed(STATIC, add=add))


@pytest.mark.usefixtures("here")
def test_a_claim_on_what_is_trained_is_refused() -> None:
    claim = (
        "      - {note: 'A:1', says: so, kind: order, metric: accuracy, expect: dilated > normal, "
        "margin: 1}\n"
    )
    said = refused(changed(STATIC, add=f"    claims:\n{claim}"))
    assert re.search(
        r"tiny\.yaml:18:54: 'accuracy' is measured of trained networks, and this comparison is not "
        r"trained \(seeds: 0\); claim latency or a fact \(activation_memory, .*, params, .*\), or "
        r"give it seeds",
        said,
    )
    assert "18:54" not in str(loaded(changed(add=f"    claims:\n{claim}")).problems)


def test_a_page_names_the_data_of_what_is_trained_alone(tmp_path: Path) -> None:
    """Beside photographs that stood in, nothing is said of the set that a static part outlines."""
    lab = Lab(tmp_path)
    stood_in = {"name": "photos", "title": "photos", "sizes": {"train": 256, "test": 256}}
    lab.compare(lab.row("normal", NORMAL), lab.row("depthwise", DROP_IN), data=stood_in)
    static = [lab.row(name, [], network={"width": 3.0}) for name in ("narrow", "narrower")]
    lab.compare(*static, id="static", data={"sizes": {}})
    asked = lab.ask()
    evidence = collect(tmp_path, asked)
    assert [found.asked.is_trained for found in evidence.comparisons] == [True, False]
    assert [data.title for data in data_used(evidence)] == ["photos"]
    page = render(tmp_path, asked, tmp_path / "reports").read_text(encoding="utf-8")
    chips = page[: page.index("<main>")]
    assert "photos: 256 training and 256 test images" in chips
    assert "CIFAR-10" not in chips
