"""Report: the same bytes from the same records, the right numbers, and pages that hold up."""

import csv
import hashlib
import io
import json
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_evidence import (
    DROP_IN,
    EQUAL,
    ICNR,
    NORMAL,
    RESIZE,
    SHUFFLE,
    Lab,
    layers,
    remembered,
    three_rows,
    two_references,
    two_rows,
)

from ablate import records
from ablate import study as studies
from ablate.evidence.collect import collect
from ablate.evidence.verdicts import judge
from ablate.records import Measurement
from ablate.report import kept
from ablate.report.render import publish, render, render_index
from ablate.report.tables import Cell, Column, Line, Table, latex, to_latex, to_markdown

VOID = {"meta", "link", "br", "hr", "img", "input", "col"}


class Page(HTMLParser):
    """Reads a page strictly: every element is closed, in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        assert len(dict(attrs)) == len(attrs), f"an attribute of {tag} is given twice"
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert "svg" in self.open or tag in VOID
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.words.append(data)

    @property
    def prose(self) -> str:
        return " ".join(" ".join(self.words).split()).replace("\u00a0", " ")

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.elements if name == tag]

    @property
    def ids(self) -> list[str]:
        return [attrs["id"] or "" for _, attrs in self.elements if "id" in attrs]


def read(page: Path) -> Page:
    return Page(page.read_text(encoding="utf-8"))


def everything(folder: Path) -> dict[str, bytes]:
    """Return the contents of all files below a folder, but for what was noted of their making."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != kept.NAME)
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def rows_of(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"))))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished study with its page; its folder holds runs/ and reports/."""
    root = tmp_path_factory.mktemp("made")
    lab = three_rows(
        root / "runs",
        requirements=[{"variant": "normal", "params": {"below": 1_000_000}, "uses": ["gap"]}],
    )
    render(root / "runs", lab.ask(), root / "reports")
    render_index(root / "runs", root / "reports")
    return root


@pytest.fixture(scope="module")
def suite(made: Path) -> Page:
    return read(made / "reports" / "s7" / "index.html")


# --- the same input, the same bytes ---------------------------------------------------------------


def _reversed(value: Any) -> Any:
    """Return JSON with the keys of every object in the opposite order."""
    if isinstance(value, dict):
        return {key: _reversed(value[key]) for key in reversed(value)}
    return [_reversed(item) for item in value] if isinstance(value, list) else value


def test_the_order_of_keys_on_disk_changes_nothing(made: Path, tmp_path: Path) -> None:
    runs = tmp_path / "elsewhere"
    shutil.copytree(made / "runs", runs)
    for path in runs.rglob("*.json"):
        stored = json.loads(path.read_text(encoding="utf-8"))
        path.write_text(json.dumps(_reversed(stored)), encoding="utf-8")
    newest = studies.newest(runs, "s7")
    assert newest is not None
    render(runs, newest, tmp_path / "reports")
    render_index(runs, tmp_path / "reports")
    assert everything(tmp_path / "reports") == everything(made / "reports")


def test_another_process_writes_the_same_and_never_loads_torch(made: Path, tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from ablate import study;"
        "from ablate.report.render import render, render_index;"
        f"runs, reports = Path({str(made / 'runs')!r}), Path({str(tmp_path)!r});"
        "render(runs, study.newest(runs, 's7'), reports); render_index(runs, reports);"
        "print('torch' in sys.modules)"
    )
    # Hashes of strings differ between processes; nothing may depend on them.
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONHASHSEED": "4711", "PATH": "", "HOME": str(tmp_path / "home")},
        cwd=Path(__file__).parent.parent,
    )
    assert done.stdout.strip() == "False"
    shutil.rmtree(tmp_path / "home", ignore_errors=True)
    assert everything(tmp_path) == everything(made / "reports")


def test_rendering_again_leaves_other_peoples_files(made: Path, tmp_path: Path) -> None:
    shutil.copytree(made / "reports", tmp_path / "reports")
    folder = tmp_path / "reports" / "s7"
    (folder / "my-notes.txt").write_text("mine", encoding="utf-8")
    publish(folder, {"index.html": b"<p>", "manifest.json": b'{"files": ["index.html"]}'})
    assert sorted(everything(folder)) == ["index.html", "manifest.json", "my-notes.txt"]


@pytest.mark.parametrize("manifest", ["{", "[]", '{"files": 3}', '{"files": ["../index.html"]}'])
def test_a_manifest_of_somebody_else_removes_nothing(tmp_path: Path, manifest: str) -> None:
    (tmp_path / "index.html").write_text("home", encoding="utf-8")
    folder = tmp_path / "s7"
    folder.mkdir()
    (folder / "manifest.json").write_text(manifest, encoding="utf-8")
    publish(folder, {"index.html": b"new"})
    assert (tmp_path / "index.html").read_text(encoding="utf-8") == "home"


def test_a_full_disk_leaves_the_old_page(made: Path, tmp_path: Path, monkeypatch: Any) -> None:
    shutil.copytree(made / "reports" / "s7", tmp_path / "s7")
    before = everything(tmp_path / "s7")

    def full(self: Path, content: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(records.NoRoom):
        publish(tmp_path / "s7", {"index.html": b"new"})
    monkeypatch.undo()
    assert everything(tmp_path / "s7") == before


# --- numbers --------------------------------------------------------------------------------------


def test_the_table_holds_the_numbers(made: Path, suite: Page) -> None:
    from scipy import stats

    found = rows_of(made / "reports" / "s7" / "tbl-s7-depthwise.csv")
    for line, values in zip(found, (NORMAL, DROP_IN, EQUAL), strict=True):
        assert float(line["mean_percent"]) == pytest.approx(np.mean(values), rel=1e-9)
        assert float(line["sd_points"]) == pytest.approx(np.std(values, ddof=1), rel=1e-9)
        assert f"{np.mean(values):.1f}" in suite.prose
    for line, values in zip(found[1:], (DROP_IN, EQUAL), strict=True):
        test = stats.ttest_ind(values, NORMAL, equal_var=False)
        low, high = test.confidence_interval(0.95)
        assert float(line["low_points"]) == pytest.approx(low, rel=1e-9)
        assert float(line["high_points"]) == pytest.approx(high, rel=1e-9)
        shown = f"{np.mean(values) - np.mean(NORMAL):+.1f} [{low:.1f}, {high:.1f}]"
        assert shown.replace("-", "−") in suite.prose
    assert [line["effect"] for line in found] == ["", "lower", "higher"]
    assert [line["params_full"] for line in found] == ["324330", "40190", "325000"]
    assert [line["params_trained"] for line in found] == ["82010", "12240", "82400"]
    assert found[2]["network.width_trained"] == "43.7"
    assert found[2]["residual_trained"] == "0.0048"
    assert found[0]["difference_points"] == ""  # nothing where there is nothing
    assert {line["screening"] for line in found} == {"false"}
    assert "8.07× fewer" in suite.prose
    assert "6.70× fewer" in suite.prose


def test_all_runs_and_every_epoch_are_there(made: Path) -> None:
    import pandas

    folder = made / "reports" / "s7"
    runs = pandas.read_csv(folder / "tbl-s7-depthwise-runs.csv")
    assert runs.value_percent.tolist() == NORMAL + DROP_IN + EQUAL
    assert set(runs.optimizer_steps) == {628}
    tidy = pandas.read_csv(folder / "runs.csv")
    assert tidy[tidy.metric == "accuracy"].value.tolist() == NORMAL + DROP_IN + EQUAL
    curves = pandas.read_csv(folder / "curves.csv")
    assert len(curves) == 15 * 4 * 5  # trials, epochs, numbers an epoch


def test_the_answer_is_the_one_of_the_terminal(made: Path, suite: Page) -> None:
    from ablate.evidence.answer import lines
    from ablate.evidence.collect import collect

    newest = studies.newest(made / "runs", "s7")
    assert newest is not None
    for line in lines(collect(made / "runs", newest)):
        assert line.strip() in suite.prose


def test_fingerprints_are_of_the_csv(made: Path, suite: Page) -> None:
    folder = made / "reports" / "s7"
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    for id, table in manifest["tables"].items():
        text = (folder / f"{id}.csv").read_text(encoding="utf-8")
        lines = csv.DictReader(io.StringIO(text))
        data = [name for name in lines.fieldnames or () if name not in ("study", "screening")]
        out = io.StringIO()
        writer = csv.DictWriter(out, data, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(lines)
        digest = hashlib.sha256(out.getvalue().encode()).hexdigest()[:8]
        assert table["data"] == digest
        assert f"{id}, data {digest}" in suite.prose
        assert f"{id}, data {digest}" in (folder / f"{id}.md").read_text(encoding="utf-8")
        assert f"ablate-s7-{digest}" in (folder / "cite.bib").read_text(encoding="utf-8")
    assert manifest["files"] == sorted(everything(folder))
    assert manifest["study"]["id"] == newest_id(made)


def newest_id(made: Path) -> str:
    newest = studies.newest(made / "runs", "s7")
    assert newest is not None
    return newest.id


# --- the page -------------------------------------------------------------------------------------


def test_ids_are_permanent_and_unique(made: Path, suite: Page) -> None:
    assert len(set(suite.ids)) == len(suite.ids)
    for id in (
        "tbl-s7-depthwise",
        "tbl-s7-depthwise-runs",
        "tbl-s7-depthwise-claims",
        "tbl-s7-requirements",
    ):
        assert id in suite.ids
        for kind in ("csv", "md", "tex"):
            assert (made / "reports" / "s7" / f"{id}.{kind}").stat().st_size > 0
    for id in ("fig-s7-depthwise-forest", "fig-s7-depthwise-curves"):
        assert id in suite.ids
        for kind in ("svg", "pdf", "png"):
            assert (made / "reports" / "s7" / f"{id}.{kind}").stat().st_size > 0


def test_every_link_leads_somewhere(made: Path) -> None:
    for path in (made / "reports" / "s7" / "index.html", made / "reports" / "index.html"):
        page = read(path)
        for attrs in page.all("a"):
            target, _, anchor = (attrs["href"] or "").partition("#")
            other = read(path.parent / target) if target.endswith(".html") else page
            assert (path.parent / target).exists()
            assert not anchor or anchor in other.ids
    for attrs in page.all("use"):
        assert (attrs["href"] or "").removeprefix("#") in page.ids


def test_the_page_asks_for_nothing(suite: Page) -> None:
    for tag, attrs in suite.elements:
        assert tag not in ("script", "link", "iframe", "img", "object")
        assert "src" not in attrs
        assert not any(name.startswith("on") for name in attrs)
        assert not (attrs.get("href") or "").startswith(("http:", "https:", "//"))
    assert "@import" not in suite.text
    assert not re.search(r"url\((?!#)", suite.text)
    for name in re.findall(r"url\(#([^)]+)\)", suite.text):
        assert name in suite.ids
    assert len(suite.text.encode()) < 300_000


def test_the_page_can_be_read_by_all(suite: Page) -> None:
    assert suite.all("html")[0]["lang"] == "en"
    assert len(suite.all("h1")) == 1
    assert suite.text.startswith("<!doctype html>\n<html")
    assert len(suite.all("caption")) == len(suite.all("table"))
    assert all("scope" in attrs for attrs in suite.all("th"))
    for attrs in suite.all("div"):
        if attrs.get("class") == "scroll":
            assert attrs["tabindex"] == "0"
            assert attrs["role"] == "region"
            assert attrs["aria-labelledby"] in suite.ids
    for attrs in suite.all("svg"):
        assert attrs["role"] == "img"
        for id in (attrs["aria-labelledby"] or "").split():
            assert id in suite.ids
    assert suite.text.count("<title id=") == suite.text.count("<desc id=") == 6
    assert "normal (baseline): 62.3 %, 5 seeds." in suite.prose
    assert "▼ −3.6 [−4.5, −2.8], lower, 5 seeds." in suite.prose


def test_figures_take_the_colours_of_the_page(suite: Page) -> None:
    drawings = "".join(re.findall(r"<svg.*?</svg>", suite.text, re.DOTALL))
    assert not re.search("#[0-9a-f]{6}", drawings)
    assert "var(--better)" in drawings
    assert "currentColor" in drawings
    assert "<text" in drawings  # text is text
    assert "<metadata" not in drawings
    assert "<style" not in drawings


def test_exported_figures_hold_no_text_and_no_date(made: Path) -> None:
    for path in (made / "reports" / "s7").glob("fig-*.svg"):
        text = path.read_text(encoding="utf-8")
        assert "<text" not in text
        assert "<dc:date>" not in text
    for path in (made / "reports" / "s7").glob("fig-*.pdf"):
        assert b"CreationDate" not in path.read_bytes()


def test_captions_say_what_the_numbers_are(suite: Page) -> None:
    captions = dict(
        re.findall(r'<b id="(tbl-[^"]+)-title">(.*?)</div></caption>', suite.text, re.S)
    )
    caption = captions["tbl-s7-depthwise"].replace("\u00a0", " ")
    for part in (
        "Table s7.1. Normal or depthwise separable?",  # number and title
        "Accuracy, % (higher is better) on 10,000 test images",  # metric, unit, direction
        "over the seeds",  # what n counts, and what varies with it:
        "A seed decides the initial weights, the order and augmentation of the data",
        "95 % interval (Welch, over seeds, unpaired",
        "from the baseline, normal",
        "margin of ±0.5 points",
        "Trained on CIFAR-10, on cpu in bf16",
        "tbl-s7-depthwise, data ",
    ):
        assert part in caption
    figures = re.findall(r"<figcaption.*?</figcaption>", suite.text, re.DOTALL)
    assert len(figures) == 3
    assert "Figure s7.1." in figures[0]
    assert "95 % interval (Welch, over seeds)" in figures[0].replace("\u00a0", " ")
    assert "Ticks: the seeds" in figures[0]
    assert '<a href="#tbl-s7-depthwise">' in figures[0]
    assert "±" not in re.sub(r"±(?=[\d.]+ points|0\.5)", "", suite.prose)  # never a bare one


def test_a_finished_study_has_no_banner(suite: Page) -> None:
    assert "screening" not in suite.ids
    assert "15 of 15 trials ok" in suite.prose
    assert "0 of 15 trials ended without a result." in suite.prose
    assert "Not tested: this study has no row of depthwise." in suite.prose
    assert "A:113" in suite.prose
    assert "“8 times less parameters”" in suite.prose
    assert "network.conv: depthwise_separable" in suite.prose
    assert "+ 6 Conv2d 3x3 depthwise" in suite.prose
    assert "equal parameters, width 43.7 as trained, +0.5 %" in suite.prose
    assert "commit 3d688c5bd55e298b3bdbf4b2f81c7ce739778d0b" in suite.prose
    assert "15 trials in 6.6 minutes of compute, 2026-11-21" in suite.prose
    assert "digest 0f1e2d3c4b5a" in suite.prose
    assert "packages.torch 2.15.0" in suite.prose


# --- incomplete studies ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study on stand-in data with failed, diverged, missing and short trials."""
    root = tmp_path_factory.mktemp("broken")
    lab = Lab(root / "runs", settings={"dirty": True, "source": None, "overrides": ["seeds=3"]})
    invalid = Measurement(
        value=None,
        unit="B",
        title="Memory",
        direction="lower",
        detail={"invalid": "no such counter"},
    )
    lab.compare(
        lab.row("normal", [60.1, 61.0, None], facts={"memory": invalid}),
        lab.row("depthwise", [55.5, 56.5, "diverged"], steps=40, params=15_000),
        lab.row("failing", ["failed", "diverged", None]),
        data={
            "name": "photos",
            "title": "Patches of 14 photographs",
            "fallback_reason": "there is no CIFAR-10 in data/ and no network",
            "notes": ["texture only"],
            "clustered": True,
        },
        claims=[],
    )
    render(root / "runs", lab.ask(), root / "reports")
    return root / "reports" / "s7"


def test_failed_and_missing_trials_stay(broken: Path) -> None:
    page = read(broken / "index.html")
    table = rows_of(broken / "tbl-s7-depthwise.csv")
    assert [(line["n_ok"], line["n_planned"]) for line in table] == [("2", "3")] * 2 + [("0", "3")]
    assert [line["n_diverged"] for line in table] == ["0", "1", "1"]
    assert "2/3†" in page.prose
    assert "0/3†" in page.prose
    assert "3 of 9 trials ended without a result." in page.prose
    assert "depthwise (drop-in), seed 2 diverged after 10 steps: the loss is not a" in page.prose
    assert "failing (drop-in), seed 0 failed" in page.prose
    assert "invalid" in page.prose
    assert "no such counter" in page.prose
    runs = rows_of(broken / "tbl-s7-depthwise-runs.csv")
    assert len(runs) == 9
    assert [line["status"] for line in runs][-3:] == ["failed", "diverged", "missing"]


def test_stand_in_data_are_told_everywhere(broken: Path) -> None:
    page = read(broken / "index.html")
    assert "screening" in page.ids
    assert "Screening: do not cite the trained numbers of this page." in page.prose
    reason = (
        "The data are photos, in place of cifar10: there is no CIFAR-10 in data/ and no network."
    )
    assert reason in page.prose
    assert "The code held changes that are in no commit." in page.prose
    assert "texture only" in page.prose
    assert reason in (broken / "tbl-s7-depthwise.md").read_text(encoding="utf-8")
    assert reason in (broken / "tbl-s7-depthwise.tex").read_text(encoding="utf-8")
    manifest = json.loads((broken / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["comparisons"]["depthwise"]["screening"] is True
    assert reason in manifest["comparisons"]["depthwise"]["reasons"]
    for name in ("tbl-s7-depthwise.csv", "tbl-s7-depthwise-runs.csv", "runs.csv", "curves.csv"):
        lines = rows_of(broken / name)
        assert {line["screening"].lower() for line in lines} == {"true"}
        assert {line["data"] for line in lines} == {"photos"}


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [([None, None], [None, None]), ([58.0], [62.0]), ([58.0, None], [None, None]),
     (["failed"], ["diverged"]), ([58.0, 58.0], [58.0, 58.0])],
)  # fmt: skip
def test_a_page_at_any_time(tmp_path: Path, ours: list[Any], theirs: list[Any]) -> None:
    lab = two_rows(tmp_path / "runs", ours, theirs)
    page = read(render(tmp_path / "runs", lab.ask(), tmp_path / "reports"))
    assert {"tbl-s7-depthwise", "fig-s7-depthwise-forest", "fig-s7-depthwise-curves"} < set(
        page.ids
    )
    drawn = any(isinstance(value, float) for value in theirs)
    assert ("the baseline, normal, has no finished trial" in page.prose) is not drawn
    (forest,) = re.findall(r'<figure id="fig-s7-depthwise-forest">.*?</figure>', page.text, re.S)
    assert ("<svg" in forest) is drawn
    # Files of a figure that may not be cited, and is drawn again any moment, are of no use.
    exported = drawn and None not in (*ours, *theirs)
    for kind in ("svg", "pdf", "png"):
        name = f"fig-s7-depthwise-forest.{kind}"
        assert (tmp_path / "reports" / "s7" / name).exists() is exported
        assert (f'href="{name}"' in page.text) is exported
    assert "Screening" in page.prose
    index = read(render_index(tmp_path / "runs", tmp_path / "reports"))
    assert "cannot tell yet" in index.prose


def test_files_that_no_longer_belong_go(tmp_path: Path) -> None:
    """A trial that is tried again may take a figure with it: the page keeps to what is there."""
    lab = two_rows(tmp_path / "runs", [58.0], [62.0])
    study = lab.ask()
    render(tmp_path / "runs", study, tmp_path / "reports")
    figure = tmp_path / "reports/s7/fig-s7-depthwise-forest.svg"
    assert figure.exists()
    for kind, id in (("trial", row.trials[0]) for row in study.comparisons[0].rows):
        records.set_aside(tmp_path / "runs", kind, id)  # type: ignore[arg-type]
    render(tmp_path / "runs", study, tmp_path / "reports")
    assert not figure.exists()


def test_without_epochs_or_facts(tmp_path: Path) -> None:
    lab = Lab(tmp_path / "runs")
    lab.compare(
        lab.row("normal", [62.0, 61.0], scores=()), lab.row("other", [58.0, 57.0], scores=())
    )
    study = lab.ask()
    for row in study.comparisons[0].rows:
        records.set_aside(tmp_path / "runs", "fact", row.facts)
    page = read(render(tmp_path / "runs", study, tmp_path / "reports"))
    assert "no finished trial recorded a score per epoch" in page.prose
    assert "other (drop-in), no facts of the network as trained: not computed yet" in page.prose


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        (("train_accuracy", "train_loss"), "Accuracy on the training images"),
        (("validation_loss", "train_loss"), "Loss on the validation images"),
    ],
)
def test_curves_show_the_best_score_there_is(
    tmp_path: Path, scores: tuple[str, ...], expected: str
) -> None:
    lab = Lab(tmp_path / "runs")
    lab.compare(*(lab.row(name, [62.0, 61.0], scores=scores) for name in ("normal", "other")))
    page = read(render(tmp_path / "runs", lab.ask(), tmp_path / "reports"))
    assert f"Learning curves. {expected}" in page.prose


# --- several references ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study with two references and a chain, where rows have different numbers of seeds."""
    root = tmp_path_factory.mktemp("several")
    render(root / "runs", two_references(root / "runs").ask(), root / "reports")
    return root / "reports" / "s7"


def test_every_row_stands_with_its_reference(several: Path) -> None:
    page = read(several / "index.html")
    lines = rows_of(several / "tbl-s7-upsample.csv")
    assert list(lines[0])[-1] == "reference_variant"
    assert [(line["variant"], line["reference_variant"]) for line in lines] == [
        ("transposed", ""),
        ("shuffle", "transposed"),
        ("wide", "transposed"),
        ("bicubic", ""),
        ("nearest", "bicubic"),
        ("resize", "bicubic"),
        ("icnr", "shuffle"),
    ]
    assert [line["reference"] for line in lines] == [
        *("true", "false", "false", "true", "false", "false", "false")
    ]
    assert float(lines[5]["difference_db"]) == pytest.approx(np.mean(RESIZE) - 26.9)
    assert float(lines[6]["difference_db"]) == pytest.approx(np.mean(ICNR) - np.mean(SHUFFLE))
    assert [(line["n_ok"], line["n_planned"]) for line in lines] == [
        *(("5", "5"), ("3", "3"), ("0", "0"), ("3", "3"), ("1", "1"), ("3", "3"), ("3", "3"))
    ]
    assert (
        "Difference: from each row's reference, the baseline, transposed, unless the row says "
        "against what, with its 95 % interval (Welch, over seeds, unpaired, each row for itself). "
        "Costs (×, %) are against the same. Tinted rows are compared with no other." in page.prose
    )
    assert "nearest drop-in against bicubic −1.00 [exact] ▼ lower 1/1" in page.prose
    assert "wide drop-in not trained – – – –" in page.prose
    assert "1 to 5 seeds a row" in page.prose
    # The cost against the reference: shuffle's 14,000, not the baseline's 12,000.
    assert "icnr drop-in against shuffle" in page.prose
    assert page.prose.count("1.17× as many") == 2  # parameters and MACs, of shuffle alone
    tinted = re.findall(r'<tr class="reference">\s*<th scope="row">(\w+)<', page.text)
    assert tinted == ["transposed", "bicubic"]


def test_the_forest_of_several_references(several: Path) -> None:
    page = read(several / "index.html")
    assert "PSNR: difference from each row's reference." in page.prose
    assert "Ticks: the seeds, each against the mean of its row's reference." in page.prose
    drawing = re.findall(r"<svg.*?</svg>", page.text, re.DOTALL)[0]
    words = Page(drawing).prose
    assert "icnr (drop-in) against shuffle: ? +0.07 [−0.03, 0.17], cannot tell, 3 seeds." in words
    assert "icnr (against shuffle)" in words  # the label that is drawn
    assert "nearest (against bicubic)" in words
    assert "transposed (baseline): 27.52 dB, 5 seeds." in words
    assert "bicubic (reference): 26.90 dB, 3 seeds." in words
    assert "wide" not in words


def test_curves_leave_out_what_is_not_trained(several: Path) -> None:
    page = read(several / "index.html")
    assert "dashed: the mean of its row's reference." in page.prose
    assert (
        "Without a curve, since nothing of it is trained: bicubic (reference) and nearest "
        "(drop-in)." in page.prose
    )
    assert page.text.count('id="fig-s7-upsample-curves-4-title"') == 1
    assert 'id="fig-s7-upsample-curves-5-title"' not in page.text


def test_a_long_name_keeps_what_it_is_against(tmp_path: Path) -> None:
    lab = Lab(tmp_path / "runs")
    long, other = "a_long_name" * 5, "another_long_name" * 3
    lab.compare(
        lab.row("normal", [62.0, 61.0]),
        lab.row(other, [60.0, 61.0], reference=None),
        lab.row(long, [60.0, 62.0], reference=other, match=("params",)),
        lab.row("short", [60.0, 62.0], reference=other, match=("params",)),
    )
    page = read(render(tmp_path / "runs", lab.ask(), tmp_path / "reports"))
    labels = re.findall(r"<text[^>]*>([^<]*against[^<]*)</text>", page.text)
    assert labels == [
        "a long name… (equal parameters, against an…)",
        "short (equal parameters, against an…)",
    ]


@pytest.mark.parametrize(("rows", "folded"), [(6, False), (7, True)])
def test_many_curves_are_folded(tmp_path: Path, rows: int, folded: bool) -> None:
    lab = Lab(tmp_path / "runs")
    lab.compare(*(lab.row(f"v{at}", [60.0, 61.0]) for at in range(rows)))
    page = read(render(tmp_path / "runs", lab.ask(), tmp_path / "reports"))
    assert (f"<summary>{rows} learning curves</summary>" in page.text) is folded
    assert "fig-s7-depthwise-curves" in page.ids


def test_a_page_of_facts_alone(tmp_path: Path) -> None:
    lab = Lab(tmp_path / "runs")
    lab.compare(lab.row("normal", []), lab.row("depthwise", [], params=12_240), claims=[])
    page = read(render(tmp_path / "runs", lab.ask(), tmp_path / "reports"))
    assert sorted(p.name for p in (tmp_path / "reports/s7").glob("*.csv")) == [
        "curves.csv",
        "runs.csv",
        "tbl-s7-depthwise.csv",
    ]
    assert "Facts of 2 networks as built." in page.prose
    assert "8.17× fewer" in page.prose
    assert "fig-s7-depthwise-forest" not in page.ids
    index = read(render_index(tmp_path / "runs", tmp_path / "reports"))
    assert "none" in index.prose


# --- costs, other measures, latency, requirements -------------------------------------------------


def _number(value: float, title: str, unit: str = "", **detail: Any) -> Measurement:
    return Measurement(value=value, unit=unit, title=title, direction="lower", detail=detail)


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study with all that stands beside the metric: facts, measures, latency, requirements."""
    root = tmp_path_factory.mktemp("measured")
    lab = Lab(root / "runs", settings={"requirements": [
        {"variant": "depthwise", "uses": ["depthwise", "dilated"], "params": {"below": 1_000_000},
         "accuracy": {"at_least": 58.0}},
        {"variant": "normal", "params": {"at_most": 82_010}},
    ]})  # fmt: skip
    variance = {"target": 0.0061, "white_noise": 0.0052}
    rows = []
    for name, values, found in (("normal", [62.0, 61.0], (0.05, 0.07)),
                                ("depthwise", [58.0, 57.0, 57.5], (0.5, 0.9, 0.4))):  # fmt: skip
        memory = _number(3 * 2**20 if name == "normal" else 4 * 2**20, "Activation memory", "B")
        facts = {"activation_memory": memory}
        if name == "depthwise":
            facts |= {"overlap": _number(0.48, "Overlap unevenness"), **layers(depthwise=3)}
        rows.append(
            lab.row(
                name,
                values,
                params=82_010 if name == "normal" else 12_240,
                facts=facts,
                network={"conv": name},
                measured=[
                    {
                        "phase_variance": _number(value, "Phase variance", **variance),
                        "train_seconds": _number(31.5, "Training time", "s"),
                    }
                    for value in found
                ],
            )
        )
    # Exactly twice as slow in every round, which then has no spread.
    seconds = np.array([[0.001, 0.002, 0.001], [0.003, 0.006, 0.003], [0.002, 0.004, 0.002]])
    networks = [row.full_config["network"] for row in rows]
    times = {1: seconds, 64: 50 * seconds * [1, 1, 1.1]}
    lab.compare(*rows, passes=lab.time(networks, times, times))
    render(root / "runs", lab.ask(), root / "reports")
    return root / "reports" / "s7"


def test_activation_memory_stands_among_the_costs(measured: Path) -> None:
    page = read(measured / "index.html")
    assert "3.00 MiB" in page.prose
    assert "4.00 MiB 1.33× as much" in page.prose
    lines = rows_of(measured / "tbl-s7-depthwise.csv")
    assert [line["activation_memory_full"] for line in lines] == ["3145728", "4194304"]


def test_a_fact_that_does_not_apply_is_left_out(measured: Path) -> None:
    lines = rows_of(measured / "tbl-s7-depthwise-facts.csv")
    assert [(line["metric"], line["variant"], line["full"]) for line in lines] == [
        ("layers", "depthwise", "9"),
        ("overlap", "depthwise", "0.48"),
    ]


def test_other_measures_have_a_table(measured: Path) -> None:
    page = read(measured / "index.html")
    lines = rows_of(measured / "tbl-s7-depthwise-measures.csv")
    names = ["targets themselves", "white noise, expected", "normal", "depthwise"]
    assert [line["variant"] for line in lines] == names
    assert [line["phase_variance_mean"] for line in lines[:2]] == ["0.0061", "0.0052"]
    assert lines[0]["train_seconds_mean_s"] == ""
    for line, values in zip(lines[2:], ((0.05, 0.07), (0.5, 0.9, 0.4)), strict=True):
        assert float(line["phase_variance_mean"]) == pytest.approx(np.mean(values))
        assert float(line["phase_variance_sd"]) == pytest.approx(np.std(values, ddof=1))
        assert line["phase_variance_n"] == str(len(values))
        assert float(line["train_seconds_sd_s"]) == 0
    assert "targets themselves 0.00610 –" in page.prose
    assert "normal (baseline) 0.0600 sd 0.014 31.5 sd 0" in page.prose
    assert "depthwise (drop-in) 0.600 sd 0.26 31.5 sd 0" in page.prose
    assert "accuracy" not in lines[0]


def test_times_of_several_devices_stand_in_no_table(tmp_path: Path) -> None:
    lab = Lab(tmp_path / "runs")
    measured = [{"train_seconds": _number(31.5, "Training time", "s"), "x": _number(1.0, "X")}] * 2
    rows = [lab.row(n, [60.0, 61.0], network={"conv": n}, measured=measured) for n in ("a", "b")]
    lab.compare(*rows)
    study = lab.ask()
    pages = tmp_path / "reports" / "s7"

    def fields() -> set[str]:
        render(lab.runs, study, tmp_path / "reports")
        return set(rows_of(pages / "tbl-s7-depthwise-measures.csv")[0])

    assert "train_seconds_mean_s" in fields()
    moved = lab.runs / "trials" / rows[1].trials[0] / "record.json"
    record = json.loads(moved.read_text())
    record["environment"]["cpu"] = "Another CPU"
    moved.write_text(json.dumps(record))
    found = fields()
    assert "train_seconds_mean_s" not in found
    assert "x_mean" in found
    said = "The trials ran on 2 devices, so their times are left out."
    assert said in read(pages / "index.html").prose


def test_a_classification_has_no_line_of_targets(made: Path) -> None:
    assert not (made / "reports" / "s7" / "tbl-s7-depthwise-measures.csv").exists()


def test_latency_has_a_table(measured: Path) -> None:
    page = read(measured / "index.html")
    lines = rows_of(measured / "tbl-s7-depthwise-latency.csv")
    assert [line["median_batch_1_seconds"] for line in lines] == ["0.002", "0.004"]
    assert [line["median_batch_64_seconds"] for line in lines] == ["0.1", "0.2"]
    assert [line["ratio_batch_1"] for line in lines] == ["", "2"]
    assert (lines[1]["low_batch_1"], lines[1]["high_batch_1"]) == ("2", "2")
    assert {line["control_batch_1"] for line in lines} == {"1"}
    assert {line["control_batch_64"] for line in lines} == {"1.1"}
    assert list(lines[0])[-1] == "reference_variant"
    assert {line["floor_batch_64"] for line in lines} == {"0.1"}
    assert {line["processes_batch_1"] for line in lines} == {"2"}
    assert [line["effect_batch_1"] for line in lines] == ["", "slower"]
    assert [line["effect_batch_64"] for line in lines] == ["", "cannot tell"]
    row = "depthwise (drop-in) 4 2.00 [2.00, 2.00] ▲ slower 200 2.00 [2.00, 2.00] ? cannot tell"
    assert row in page.prose
    assert (
        "Screening, not to be cited. Timed in 2 of the 5 processes that it takes. The A/A control "
        "came out above the margin." in page.prose
    )
    assert (
        "The full network, also where a narrower one was trained: median time of a call, and the "
        "ratio to that of the baseline, normal, compared within rounds in which all took their "
        "turns, with its 95 % interval over processes. Measured on A CPU, 1 thread, inference, "
        "fp32, channels_last, eager; 3 rounds in each of 2 processes. Margin 2 %: ▲ and ▼ mark "
        "what is surely beyond it, ≈ what is surely within. A/A control, a copy of the first "
        "network to itself: 1.00 [1.00, 1.00] for a batch of 1 and 1.10 [1.10, 1.10] for a batch "
        "of 64. The machine was too noisy for a verdict: the copy differed from the network by "
        "more than the margin for a batch of 64 (10.0 %)." in page.prose
    )


def test_a_pass_that_is_not_there_is_no_error(tmp_path: Path) -> None:
    lab = Lab(tmp_path / "runs")
    lab.compare(
        lab.row("normal", [62.0]),
        lab.row("other", [61.0]),
        passes={"latency": ["0123456789abcdef"]},
    )
    page = read(render(tmp_path / "runs", lab.ask(), tmp_path / "reports"))
    assert "depthwise: no latency: not measured yet" in page.prose
    assert "tbl-s7-depthwise-latency" not in page.ids


def test_peak_memory_has_a_table(tmp_path: Path) -> None:
    lab = Lab(tmp_path / "runs")
    rows = [lab.row(name, [60.0], network={"conv": name}) for name in ("normal", "depthwise")]
    sizes = {"inference_memory": (24 * 2**20, 12 * 2**20), "training_memory": (70 * 2**20, 2**27)}
    ids = {
        metric: [
            remembered(lab.runs, row.full_config["network"], metric, size)
            for row, size in zip(rows, those, strict=True)
        ]
        for metric, those in sizes.items()
    }
    lab.compare(*rows, passes=ids)
    render(tmp_path / "runs", lab.ask(), tmp_path / "reports")
    page = read(tmp_path / "reports" / "s7" / "index.html")
    lines = rows_of(tmp_path / "reports" / "s7" / "tbl-s7-depthwise-memory.csv")
    assert [line["inference_memory_8_fp32_bytes"] for line in lines] == ["25165824", "12582912"]
    assert [line["training_memory_8_fp32_bytes"] for line in lines] == ["73400320", "134217728"]
    assert [line["training_memory_8_fp32_pass"] for line in lines] == ids["training_memory"]
    assert "normal (baseline) 24.0 MiB 70.0 MiB" in page.prose
    assert "depthwise (drop-in) 12.0 MiB 2.00× less 128 MiB 1.83× as much" in page.prose
    assert "Measured on A CPU, channels_last." in page.prose


def test_requirements_are_judged_part_by_part(measured: Path) -> None:
    page = read(measured / "index.html")
    lines = rows_of(measured / "tbl-s7-requirements.csv")
    assert [(line["metric"], line["bound"], line["limit"], line["verdict"]) for line in lines] == [
        ("accuracy", "at_least", "58", "not met"),
        ("params", "below", "1000000", "met"),
        ("layers", "uses", "depthwise", "met"),
        ("layers", "uses", "dilated", "not met"),
        ("params", "at_most", "82010", "met"),
    ]
    assert [line["overall"] for line in lines] == ["not met"] * 4 + ["met"]
    assert "depthwise overall: not met Accuracy ≥ 58 % lowest 57.00 %, mean 57.50 %" in page.prose
    assert "normal overall: met Parameters ≤ 82,010 82,010 met" in page.prose
    text = (measured / "tbl-s7-requirements.tex").read_text(encoding="utf-8")
    assert r"Parameters $\leq$ 82,010" in text
    assert r"Accuracy $\geq$ 58 \%" in text


# --- the index ------------------------------------------------------------------------------------


def test_the_index_lists_every_suite(made: Path) -> None:
    page = read(made / "reports" / "index.html")
    assert "Which of the session's design choices earn their cost?" in page.prose
    assert "▼ accuracy lower −3.6 [−4.5, −2.8] points depthwise separable (drop-in)" in page.prose
    assert "15/15 citable" in page.prose
    assert "2026-11-21" in page.prose
    line = rows_of(made / "reports" / "tbl-index.csv")[0]
    assert (line["suite"], line["variant"], line["effect"]) == (
        "s7",
        "depthwise_separable",
        "lower",
    )
    assert len(page.all("h1")) == 1


def test_the_index_of_nothing(tmp_path: Path) -> None:
    assert "No suite has been run yet." in read(render_index(tmp_path, tmp_path / "reports")).prose


def test_a_damaged_study_does_not_hide_the_others(tmp_path: Path) -> None:
    two_rows(tmp_path, [58.0], [62.0], suite="s7").ask()
    damaged = two_rows(tmp_path, [58.0], [62.0], suite="s8").ask()
    (studies.folder(tmp_path, damaged.id) / "study.json").write_text("{", encoding="utf-8")
    page = read(render_index(tmp_path, tmp_path / "reports"))
    assert "s7" in page.prose
    assert f"studies/{damaged.id}/study.json: damaged" in page.prose
    assert str(tmp_path) not in page.text


def test_ids_that_would_leave_the_folder_are_refused(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.compare(lab.row("normal", [1.0]), lab.row("other", [2.0]), table="../../tbl-escape")
    with pytest.raises(ValueError, match="is no id"):
        render(tmp_path, lab.ask(), tmp_path / "reports")


# --- whatever a suite file may hold ---------------------------------------------------------------

HOSTILE = (
    "$x_{$中<script>alert(\"1\")</script> & 'q' | _a_ % $x^2$ {b} \\c #1 ~\n[y](z) *s* `t` \x07 é"
)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("hostile")
    asked = {
        "title": HOSTILE,
        "question": HOSTILE,
        "source": {"note": HOSTILE, "title": HOSTILE, "url": "javascript:alert(1)"},
        "profile": HOSTILE,
        "overrides": [HOSTILE],
        "requirements": [{"variant": HOSTILE, "uses": [HOSTILE]}],
    }
    lab = Lab(root / "runs", settings=asked)
    lab.compare(
        lab.row(HOSTILE, [62.0, 61.0, "failed"]),
        lab.row(
            f"{HOSTILE}2",
            [58.0, 57.0, 58.5],
            changes={HOSTILE: HOSTILE},
            structure=(HOSTILE,),
            facts={
                "more": Measurement(value=1, unit=HOSTILE, title=HOSTILE, direction="none"),
            },
        ),
        title=HOSTILE,
        claims=[{"note": HOSTILE, "says": HOSTILE, "kind": HOSTILE, "of": HOSTILE}],
        data={"title": HOSTILE, "name": HOSTILE, "fallback_reason": HOSTILE, "notes": [HOSTILE]},
    )
    render(root / "runs", lab.ask(), root / "reports")
    render_index(root / "runs", root / "reports")
    return root / "reports"


def test_names_do_not_become_markup(hostile: Path) -> None:
    for path in (hostile / "s7" / "index.html", hostile / "index.html"):
        page = read(path)
        assert page.all("script") == []
        assert "\x07" not in page.text
        assert "javascript:" not in " ".join(a.get("href") or "" for a in page.all("a"))
        assert '<script>alert("1")</script>' in page.prose  # shown as what it is
        assert len(set(page.ids)) == len(page.ids)


def test_names_keep_the_columns_of_markdown(hostile: Path) -> None:
    for path in (hostile / "s7").glob("*.md"):
        table = path.read_text(encoding="utf-8").split("\n\n")[0].splitlines()
        bars = [len(re.findall(r"(?<!\\)\|", line.replace("\\\\", ""))) for line in table]
        assert len(set(bars)) == 1
        assert "<script" not in path.read_text(encoding="utf-8")


def test_names_come_back_from_csv(hostile: Path) -> None:
    lines = rows_of(hostile / "s7" / "tbl-s7-depthwise.csv")
    assert [line["variant"] for line in lines] == [HOSTILE, f"{HOSTILE}2"]
    assert json.loads(lines[1]["changes"]) == {HOSTILE: HOSTILE}
    assert rows_of(hostile / "s7" / "tbl-s7-depthwise-claims.csv")[0]["says"] == HOSTILE


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs pdflatex")
def test_latex_compiles(hostile: Path, made: Path, tmp_path: Path) -> None:
    files = [*(hostile / "s7").glob("*.tex"), *(made / "reports" / "s7").glob("*.tex")]
    for at, path in enumerate(files):
        shutil.copy(path, tmp_path / f"{at}.tex")
    inputs = "\n".join(rf"\input{{{at}}}\clearpage" for at in range(len(files)))
    (tmp_path / "all.tex").write_text(
        "\\documentclass{article}\\usepackage[T1]{fontenc}\\usepackage{booktabs,graphicx}\n"
        f"\\begin{{document}}\n\\listoftables\n{inputs}\n\\end{{document}}\n",
        encoding="utf-8",
    )
    for _ in range(2):  # the second run reads the list of tables
        done = subprocess.run(
            ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "all.tex"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            errors="replace",
        )
        assert done.returncode == 0, done.stdout[-2000:]
    for name in ("tbl-s7-depthwise", "tbl-s7-depthwise-runs"):
        assert rf"\newlabel{{{name}}}" in (tmp_path / "all.aux").read_text(encoding="utf-8")


@given(st.text())
def test_latex_holds_no_command_of_the_text(text: str) -> None:
    written = latex(text)
    assert all(ord(c) < 0x180 for c in written)
    plain = re.sub(r"\\[{}$&#%_]|\\[a-z]+(\{\})?|\$\\?[-a-z]+(\{\})?\$", "", written)
    plain = re.sub(r"\\[a-z]+\{\}|\$[^$]*\$", "", plain)
    assert not set(plain) & set("\\$&#%_^|<>")
    assert plain.replace("{[}", "").replace("{]}", "").count("{") == 0


def test_a_table_in_every_form() -> None:
    table = Table(
        id="tbl-x",
        title="Two things",
        notes=("A note.",),
        columns=(Column("Name", numeric=False), Column("Δ", "points", "Group")),
        fields=("name", "difference_points", "ok", "nothing"),
        lines=(
            Line(
                (Cell("a|b"), Cell("−1.5 [−2.0, −1.0]", ("≈ same",))),
                {"name": 'a|"b"', "difference_points": -1.5, "ok": True, "nothing": None},
            ),
        ),
        number="Table x.1",
        screening=("Too few seeds.",),
    )
    assert table.csv == 'name,difference_points,ok,nothing\n"a|""b""",-1.5,true,\n'
    head, rule, line, _, caption, _ = to_markdown(table).split("\n")
    assert [cell.strip() for cell in head.split("|")] == ["", "Name", "Δ, points (Group)", ""]
    assert (rule[1], rule[-2]) == (":", ":")  # to the left, to the right
    assert [cell.strip() for cell in re.split(r"(?<!\\)\|", line)] == [
        "",
        r"a\|b",
        r"−1.5 \[−2.0, −1.0\] (≈ same)",
        "",
    ]
    assert caption == (
        "Table x.1. Two things. Screening, not to be cited. Too few seeds. A note. "
        f"tbl-x, data {table.fingerprint}."
    )
    assert r"\label{tbl-x}" in to_latex(table)
    assert r"a\textbar{}b & $-$1.5 {[}$-$2.0, $-$1.0{]} ($\approx$ same) \\" in to_latex(table)
    assert table.groups == [("", 1), ("Group", 1)]


@pytest.mark.parametrize(
    ("notes", "said"),
    [
        ({}, "Source: note A, EVA4 Session 7 notes."),
        (
            {"A": "EVA4 Session 7", "B": "EIP4 Session 5"},
            "Notes: A, EVA4 Session 7; B, EIP4 Session 5.",
        ),
        ({"C": "Session 7"}, "Source: note A, EVA4 Session 7 notes."),
    ],
)
def test_a_table_of_claims_names_the_notes_that_they_cite(
    tmp_path: Path, notes: dict[str, str], said: str
) -> None:
    study = three_rows(tmp_path / "runs", notes=notes).ask()
    text = (
        render(tmp_path / "runs", study, tmp_path).parent / "tbl-s7-depthwise-claims.md"
    ).read_text()
    assert f"{said} The words are the source's own" in " ".join(text.split())


def test_a_claim_s_verdict_is_the_same_sentence_everywhere(tmp_path: Path) -> None:
    lab = two_rows(tmp_path / "runs", DROP_IN[:4], NORMAL)
    study = lab.ask()
    folder = render(tmp_path / "runs", study, tmp_path / "reports").parent
    ratio, order = judge(collect(tmp_path / "runs", study))
    assert (ratio.word, order.word) == ("refuted", "supported")
    page = read(folder / "index.html")
    table = (folder / "tbl-s7-depthwise-claims.md").read_text(encoding="utf-8")
    lines = rows_of(folder / "tbl-s7-depthwise-claims.csv")
    for verdict, line in zip((ratio, order), lines, strict=True):
        assert verdict.sentence in page.prose
        assert f"| {verdict.word.capitalize()}" in table
        assert (line["sentence"], line["verdict"]) == (verdict.sentence, verdict.word)
        assert json.loads(line["parts"])[0]["said"] in verdict.sentence
    assert [line["screening"] for line in lines] == [
        "",
        "Fewer than 5 seeds: depthwise (drop-in) has 4.",
    ]
    assert float(lines[1]["low"]) == pytest.approx(order.parts[0].low)
    assert (lines[1]["runs"], lines[1]["level"], lines[1]["margin"]) == ("4+5", "0.95", "0.5")
    assert "Supported (screening)" in table
    assert (
        "Screening, not to be cited (B:72): Fewer than 5 seeds: depthwise (drop-in) has 4."
        in page.prose
    )
