"""Citing: text to paste, captions that say what numbers are, fingerprints that stand for data."""

import csv
import io
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cited_suite import COMMIT, FIGURE, TABLE, change, command, made, newest, write

from ablate import citations
from ablate.citing import formats, published
from ablate.citing.published import Item
from ablate.evidence.collect import collect
from ablate.report.figures import Drawn
from ablate.report.suite_page import Page, page
from ablate.report.tables import Table, from_latex, from_markdown, latex, markdown
from ablate.study import Study
from ablate.suite.source import SuiteError

FEW = "Fewer than 5 seeds: none (baseline) has 3 and add (drop-in) has 3."


class Undrawn(dict[str, Drawn]):
    """Stands for the figures of an earlier page, so that none is drawn."""

    def get(self, key: str, default: Any = None) -> Drawn:
        return Drawn()


def gathered(runs: Path, study: Study | None = None) -> Page:
    return page(collect(runs, study or newest(runs)), Undrawn())


def cite(root: Path, id: str | None, format: str = "md") -> None:
    citations.cite("s7", id, format, root / "runs", root / "reports")


def refused(root: Path, id: str | None, format: str = "md") -> str:
    with pytest.raises(SuiteError) as error:
        cite(root, id, format)
    return str(error.value)


@pytest.fixture(scope="module")
def cited(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory)


@pytest.fixture(scope="module")
def items(cited: Path) -> dict[str, Item]:
    return published.items(cited / "reports", "s7")


@pytest.fixture(scope="module")
def whole(cited: Path) -> Page:
    return gathered(cited / "runs")


# --- what there is, and as what -------------------------------------------------------------------


def test_everything_of_the_page_is_listed(cited: Path, capsys: Any) -> None:
    cite(cited, None)
    lines = capsys.readouterr().out.splitlines()
    manifest = json.loads((cited / "reports/s7/manifest.json").read_text(encoding="utf-8"))
    told = manifest["tables"] | manifest["figures"]
    assert {line.split()[0]: line.split()[1] for line in lines} == {
        id: one["data"] for id, one in told.items()
    }
    standing = {line.split()[0]: line.split()[2] for line in lines}
    assert {id for id, word in standing.items() if word == "screening"} == {
        *("tbl-s7-merge", "tbl-s7-merge-runs", "fig-s7-merge-forest", "fig-s7-merge-curves"),
        *("tbl-s7-depthwise-latency", "fig-s7-depthwise-latency"),  # 2 of 5 processes
    }
    first = next(line for line in lines if line.startswith(f"{TABLE} "))
    assert first.endswith("citable    Table s7.1. Normal or depthwise separable?")
    assert lines[0] == first  # in the order of the page


def test_a_table_in_markdown_is_complete(cited: Path, items: dict[str, Item], capsys: Any) -> None:
    cite(cited, TABLE)
    out, err = capsys.readouterr()
    assert out == (cited / f"reports/s7/{TABLE}.md").read_text(encoding="utf-8")
    assert out.endswith(f"{TABLE}, data {items[TABLE].fingerprint}, {COMMIT}.\n")
    assert err == ""


def test_what_may_not_be_cited_is_said_beside_it(cited: Path, capsys: Any) -> None:
    cite(cited, "tbl-s7-merge", "csv")
    out, err = capsys.readouterr()
    assert out == (cited / "reports/s7/tbl-s7-merge.csv").read_text(encoding="utf-8")
    assert err == f"not to be cited: {FEW}\n"


@pytest.mark.parametrize("id", [TABLE, FIGURE])
def test_every_form_has_caption_fingerprint_and_commit(items: dict[str, Item], id: str) -> None:
    item = items[id]
    for format in formats.OF_TABLES if item.is_table else formats.OF_FIGURES:
        text = formats.text(item, format, Path())
        if format in ("csv", "svg"):  # data, and a picture
            assert text in (item.folder / f"{id}.{format}").read_text(encoding="utf-8")
            continue
        assert f"{id}, data {item.fingerprint}" in text
        assert COMMIT in text
        assert from_latex(item.title) in from_latex(text)
    assert f":name: {id}\n" in formats.text(item, "myst", Path())
    assert f"{{#{id}}}" in formats.text(item, "quarto", Path())
    assert rf"\label{{{id}}}" in formats.text(item, "latex", Path())


def test_myst_and_quarto_hold_the_rows_of_markdown(items: dict[str, Item]) -> None:
    rows, caption = formats.text(items[TABLE], "md", Path()).split("\n\n")
    myst = formats.text(items[TABLE], "myst", Path())
    assert myst == f"```{{table}} {caption}\n:name: {TABLE}\n\n{rows}\n```"
    quarto = formats.text(items[TABLE], "quarto", Path())
    assert quarto == f"::: {{#{TABLE}}}\n\n{rows}\n\n{caption}\n\n:::"


def test_figures_are_named_from_where_the_text_will_stand(
    items: dict[str, Item], cited: Path
) -> None:
    for format, kind in (("md", "svg"), ("myst", "svg"), ("quarto", "svg"), ("latex", "pdf")):
        text = formats.text(items[FIGURE], format, cited / "notes" / "part 1")
        assert f"../../reports/s7/{FIGURE}.{kind}" in text
        assert (cited / "reports" / "s7" / f"{FIGURE}.{kind}").is_file()


def test_references_are_entries_of_their_own(items: dict[str, Item], cited: Path) -> None:
    keys = set()
    shown = (cited / "reports/s7/cite.bib").read_text(encoding="utf-8")
    for item in items.values():
        entry = formats.text(item, "bibtex", Path())
        assert entry in shown
        assert entry.count("{") == entry.count("}")
        found = re.fullmatch(r"@misc\{([^,\s]+),\n(?:  \w+ = \{.*\},\n)+\}", entry)
        assert found is not None
        keys.add(found[1])
        kind = "Table" if item.is_table else "Figure"
        note = f"{kind} {item.id}, data {item.fingerprint}, study s7-0a1b2c3d, {COMMIT}"
        assert f"  note = {{{note}}},\n" in entry
    assert len(keys) == len(items)


def test_where_only_the_pages_are_they_are_enough(cited: Path, tmp_path: Path, capsys: Any) -> None:
    shutil.copytree(cited / "reports", tmp_path / "reports")
    cite(tmp_path, TABLE)
    assert capsys.readouterr().out == (tmp_path / f"reports/s7/{TABLE}.md").read_text("utf-8")
    assert not (tmp_path / "runs").exists()


# --- what is wrong --------------------------------------------------------------------------------


def test_an_unknown_id_has_near_ones(cited: Path) -> None:
    assert refused(cited, "fig-s7-merg-forest") == (
        "cite: there is no 'fig-s7-merg-forest' on the page; did you mean 'fig-s7-merge-forest' or "
        "'fig-s7-merge-curves' or 'fig-s7-depthwise-forest'?"
    )
    assert refused(cited, "x") == (
        "cite: there is no 'x' on the page; without an id, `ablate cite` lists all there are"
    )


def test_a_form_that_there_is_not(cited: Path) -> None:
    assert refused(cited, TABLE, "word") == (
        "--format: unknown format 'word'; known: md, latex, csv, bibtex, myst, quarto, svg"
    )
    assert refused(cited, TABLE, "svg") == (
        "--format: svg is for figures, and tbl-s7-depthwise is a table; it has md, latex, csv, "
        "bibtex, myst, quarto"
    )
    assert refused(cited, FIGURE, "csv") == (
        "--format: csv is for tables, and fig-s7-depthwise-forest is a figure; its values are "
        "those of tbl-s7-depthwise, and it has md, latex, svg, bibtex, myst, quarto"
    )


def test_a_suite_that_was_never_run(cited: Path) -> None:
    code, out, err = command(cited, "cite", "s77")
    assert (code, out) == (2, "")
    assert err == (
        "cite: there is no page of 's77' under reports, nor records under runs; `ablate run` makes "
        "both; did you mean 's7'?\n"
    )


@pytest.mark.parametrize("manifest", ["{", "[]", '{"study": {}}', '{"tables": 3, "study": null}'])
def test_a_page_of_another_version(tmp_path: Path, manifest: str) -> None:
    path = tmp_path / "reports" / "s7" / "manifest.json"
    path.parent.mkdir(parents=True)
    path.write_text(manifest)
    assert refused(tmp_path, TABLE) == (
        f"{path}: damaged, or written by another version of ablate; `ablate report s7` writes it "
        "anew"
    )


def test_a_figure_without_files(cited: Path, tmp_path: Path) -> None:
    shutil.copytree(cited / "reports", tmp_path / "reports")
    path = tmp_path / "reports" / "s7" / f"{FIGURE}.svg"
    path.unlink()
    assert refused(tmp_path, FIGURE, "svg") == (
        f"{FIGURE}: {path} is not there: figures have no files while trials are missing; "
        "`ablate run s7` goes on, and writes it"
    )


# --- captions -------------------------------------------------------------------------------------

# What the caption of each kind of table must hold, by the end of its id, beside number, title, id,
# fingerprint and commit, which all have.
TRAINED = ("Trained on CIFAR-10, on cpu in bf16",)
CAPTIONS: dict[str, tuple[str, ...]] = {
    "": (
        "Accuracy, % (higher is better) on 10,000 test images",  # metric, unit, direction
        "mean and standard deviation (sd) over the seeds that ended well",  # what the n are
        "A seed decides the initial weights, the order and augmentation of the data",  # what varies
        "95 % interval (Welch, over seeds, unpaired",
        "from the baseline, ",
        "for a margin of ±0.5 points",
        *TRAINED,
    ),
    "-measures": (
        "over the seeds that ended well (",
        "seeds a row)",
        "↑: higher is better",
        *TRAINED,
    ),
    "-latency": (
        "median time of a call",
        "the ratio to that of the baseline, normal",
        "95 % interval over processes",
        "Measured on A CPU, 1 thread, inference, fp32, channels_last, eager",  # device, protocol
        "2 rounds in each of 2 processes",
        "Margin 2 %",
        "A/A control",
    ),
    "-facts": ("Computed from the configurations, without training: exact",),
    "-claims": ("Source: ", "levels are Holm's", "the intervals drawn are the adjusted ones"),
    "-runs": (
        "Accuracy, % ↑, of every trial on the test images after the last epoch",
        "A seed decides",
        *TRAINED,
    ),
    "tbl-s7-noise": (
        *(
            "A seed decides",
            "sd: the largest standard deviation over seeds",
            "95 % interval (Welch",
        ),
        *("Smallest effect: ", "to so show a difference of the margin"),
    ),
    "tbl-s7-requirements": ("What follows from its structure is arithmetic", "every seed"),
}
FIGURES: dict[str, tuple[str, ...]] = {
    "-forest": (
        *("Marker and bar: mean difference", "Ticks: the seeds", "Grey band: the margin"),
        *("accuracy, points", "95 % interval (Welch, over seeds)", "seeds a row"),
    ),
    "-curves": ("One panel a row", "lines: the seeds that ended well", "dashed:", "seeds a row"),
    "-cost": ("Marker and bar: mean", "95 % interval", "Square:", "Line:", "seeds a row"),
    "-latency": (
        "Each step line",
        "Dashed: the A/A control",
        "rounds of all processes",
        "on A CPU",
    ),
}


def kind_of(id: str, kinds: dict[str, tuple[str, ...]]) -> tuple[str, ...]:
    """Return what a caption must hold; an id of a kind that is not told fails."""
    rest = re.sub(r"^(tbl|fig)-s7-(depthwise|merge)", "", id)
    assert rest in kinds, f"say in this file what the caption of {id} must hold"
    return kinds[rest]


def test_every_caption_says_what_its_numbers_are(items: dict[str, Item]) -> None:
    assert {re.sub(r".*(depthwise|merge)", "", id) for id in items} >= {*CAPTIONS, *FIGURES} - {
        "tbl-s7-requirements"
    }
    for id, item in items.items():
        caption = item.caption
        if item.is_table:
            caption = from_markdown(item.export("md").rstrip("\n").rpartition("\n\n")[2])
        caption = caption.replace("\u00a0", " ")
        assert re.match(rf"{item.number}\. {re.escape(item.title)}", caption)
        assert re.fullmatch(r"(Table|Figure) s7\.\d+", item.number)
        assert caption.endswith(f" {id}, data {item.fingerprint}, {COMMIT}.")
        for part in kind_of(id, CAPTIONS if item.is_table else FIGURES):
            assert part in caption, (id, part, caption)
        if not item.is_table:
            assert f"Values: {item.values}." in caption
            assert item.values in items
        if "merge" in id:
            assert f"Screening, not to be cited. {FEW}" in caption
        # ± is never printed bare: people ask what it is.
        assert "±" not in re.sub(r"±\d[\d.]* points", "", caption)


# --- exports --------------------------------------------------------------------------------------


def test_csv_reads_back_to_the_same_numbers(whole: Page, cited: Path) -> None:
    seen = 0
    for table in whole.tables:
        with (cited / "reports" / "s7" / f"{table.id}.csv").open(newline="") as file:
            lines = list(csv.DictReader(file))
        assert len(lines) == len(table.lines)
        for line, read in zip(table.lines, lines, strict=True):
            assert list(read) == list(table.fields)
            for field in table.fields:
                value = line.values[field]
                if isinstance(value, bool) or value is None or isinstance(value, str):
                    words = {None: "", True: "true", False: "false"}
                    assert read[field] == (value if isinstance(value, str) else words[value])
                else:
                    seen += 1
                    assert float(read[field]) == pytest.approx(value, rel=1e-9, abs=0)
    assert seen > 200


def cells_of(tex: str) -> list[list[str]]:
    """Read the rows of a tabular as TeX would split them: & and \\\\ outside of braces."""
    body = re.search(r"\\begin\{tabular\}\{[lr]+\}\n(.*)\n\\end\{tabular\}", tex, re.DOTALL)
    assert body is not None
    rows, cells, cell, depth = [], [], "", 0
    text = re.sub(r"\\(top|mid|bottom)rule\n?", "", body[1])
    at = 0
    while at < len(text):
        if text[at] == "\\":
            token = text[at : at + 2]
            if token == r"\\" and depth == 0:
                cells.append(cell.strip())
                rows.append(cells)
                cells, cell = [], ""
            else:
                cell += token
            at += 2
            continue
        depth += {"{": 1, "}": -1}.get(text[at], 0)
        assert depth >= 0
        if text[at] == "&" and depth == 0:
            cells.append(cell.strip())
            cell = ""
        else:
            cell += text[at]
        at += 1
    assert (depth, cells, cell.strip()) == (0, [], "")
    return rows


def test_latex_has_the_cells_of_the_table(whole: Page, cited: Path) -> None:
    for table in whole.tables:
        tex = (cited / "reports" / "s7" / f"{table.id}.tex").read_text(encoding="utf-8")
        head, *rows = cells_of(tex)
        assert [from_latex(cell) for cell in head] == [
            rf"\textbf{{{column.flat}}}" for column in table.columns
        ]
        assert [[from_latex(cell) for cell in row] for row in rows] == [
            [cell.flat for cell in line.cells] for line in table.shown
        ]
        open_: list[str] = []
        for word, name in re.findall(r"\\(begin|end)\{(\w+)\}", tex):
            if word == "begin":
                open_.append(name)
            else:
                assert open_.pop() == name
        assert open_ == []


@pytest.mark.skipif(
    shutil.which("pdflatex") is None, reason="needs pdflatex (Debian: texlive-latex-recommended)"
)
def test_pasted_latex_compiles(items: dict[str, Item], tmp_path: Path) -> None:
    texts = [formats.text(item, "latex", tmp_path) for item in items.values()]
    (tmp_path / "all.tex").write_text(
        "\\documentclass{article}\\usepackage[T1]{fontenc}\\usepackage{booktabs,graphicx}\n"
        "\\begin{document}\n" + "\n\\clearpage\n".join(texts) + "\n\\end{document}\n",
        encoding="utf-8",
    )
    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "all.tex"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        errors="replace",
    )
    assert done.returncode == 0, done.stdout[-2000:]
    written = (tmp_path / "all.aux").read_text(encoding="utf-8")
    for id in items:
        assert rf"\newlabel{{{id}}}" in written


@pytest.mark.parametrize(
    "text", ["a|b_c*d", "50 % & #1 ~ {x} ^y \\z $5$", "−1.5 ± 2 ≈ ▲ é", "中 <b>"]
)
def test_escapes_come_back(text: str) -> None:
    assert from_markdown(markdown(text)) == text
    assert from_latex(latex(text)) == text


# --- fingerprints ---------------------------------------------------------------------------------


def fingerprints(of: Page) -> dict[str, str]:
    return {thing.id: thing.fingerprint for thing in (*of.tables, *of.figures)}


@pytest.fixture
def runs(cited: Path, tmp_path: Path) -> Path:
    """A copy of the records, to be changed."""
    shutil.copytree(cited / "runs", tmp_path / "runs")
    return tmp_path / "runs"


def edit(runs: Path, kind: str, id: str, change: Callable[[Any], None]) -> None:
    path = runs / kind / id / "record.json"
    record = json.loads(path.read_text(encoding="utf-8"))
    change(record)
    path.write_text(json.dumps(record), encoding="utf-8")


def _accuracy(runs: Path) -> None:
    change(runs, 2, 58.01)


def _epoch(runs: Path) -> None:
    def later(record: Any) -> None:
        record["epochs"][1]["scores"]["validation_accuracy"] += 1e-6

    edit(runs, "trials", newest(runs).comparisons[0].rows[0].trials[1], later)


def _fact(runs: Path) -> None:
    def more(record: Any) -> None:
        record["metrics"]["kernels"]["value"] = 8

    edit(runs, "facts", newest(runs).comparisons[0].rows[1].full_facts, more)


def _time(runs: Path) -> None:
    (id, _) = newest(runs).comparisons[0].passes["latency"]
    path = runs / "passes" / id / "arrays.npz"
    with np.load(path) as stored:
        seconds = stored["seconds_0"] * [1, 1, 1, 1.001]  # the control alone
    np.savez_compressed(path, seconds_0=seconds)


def _seconds(runs: Path) -> None:
    def slower(record: Any) -> None:
        record["metrics"]["train_seconds"]["value"] += 0.25

    edit(runs, "trials", newest(runs).comparisons[0].rows[2].trials[4], slower)


@pytest.mark.parametrize(
    ("change", "depend"),
    [
        (_accuracy, ("tbl", "tbl-claims", "tbl-runs", "fig-forest", "fig-cost", "tbl-s7-noise")),
        (_epoch, ("fig-curves",)),
        (_fact, ("tbl-facts",)),
        (_time, ("tbl-latency", "fig-latency")),
        (_seconds, ("tbl-measures",)),
    ],
)
def test_a_number_changes_what_depends_on_it_alone(
    whole: Page, runs: Path, change: Callable[[Path], None], depend: tuple[str, ...]
) -> None:
    change(runs)
    before, after = fingerprints(whole), fingerprints(gathered(runs))
    assert before.keys() == after.keys()  # ids are permanent
    changed = {id for id in before if before[id] != after[id]}
    assert changed == {it if "s7" in it else f"{it[:3]}-s7-depthwise{it[3:]}" for it in depend}


def test_what_is_no_number_changes_no_fingerprint(whole: Page, runs: Path) -> None:
    """Another order of keys and seeds, a commit, changes in the tree, one comparison more."""
    for path in runs.rglob("record.json"):
        stored = json.loads(path.read_text(encoding="utf-8"))
        path.write_text(json.dumps(dict(reversed(stored.items()))), encoding="utf-8")
    study = newest(runs)
    rows = [
        [row.model_copy(update={"trials": dict(reversed(row.trials.items()))}) for row in it.rows]
        for it in study.comparisons
    ]
    comparisons = [
        it.model_copy(update={"rows": of}) for it, of in zip(study.comparisons, rows, strict=True)
    ]
    further = comparisons[1].model_copy(update={"id": "more", "table": "tbl-s7-more"})
    asked = study.model_copy(
        update={
            "id": "s7-ffffffff",
            "comparisons": [further, *comparisons],
            "commit": "0" * 40,
            "dirty": True,
        }
    )
    again = gathered(runs, asked)
    before, after = fingerprints(whole), fingerprints(again)
    del before["tbl-s7-noise"]  # which has a line for every comparison
    assert {id: after[id] for id in before} == before
    numbers = {thing.id: thing.number for thing in (*again.tables, *again.figures)}
    assert numbers[TABLE] != "Table s7.1"  # printed numbers follow the page; ids do not
    assert "s7-ffffffff" in next(table.csv for table in again.tables if table.id == TABLE)


def test_the_fingerprint_is_of_the_columns_that_are_data(whole: Page) -> None:
    table = next(table for table in whole.tables if table.id == TABLE)
    lines = list(csv.DictReader(io.StringIO(table.csv)))
    assert {"study", "screening"} < set(lines[0])
    for field, same in (
        ("study", True),
        ("screening", True),
        ("variant", False),
        ("low_points", False),
    ):
        changed = [{**line.values, field: "x"} for line in table.lines]
        other = Table(table.id, "", (), (), table.fields, tuple(
            type(line)((), values) for line, values in zip(table.lines, changed, strict=True)
        ))  # fmt: skip
        assert (other.fingerprint == table.fingerprint) is same


def test_two_runs_of_the_same_have_the_same_ids(whole: Page, tmp_path: Path) -> None:
    write(tmp_path / "runs")
    assert fingerprints(gathered(tmp_path / "runs")) == fingerprints(whole)
