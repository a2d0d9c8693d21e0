"""Numbers that notes cite: found wherever they stand, and held against today's."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cited_suite import TABLE, command, made, made_later
from scipy import stats
from test_evidence import DROP_IN, NORMAL

from ablate import citations
from ablate.citing import formats, grids, published, texts, verify
from ablate.citing.published import Item
from ablate.cli import Exit
from ablate.report.tables import latex, markdown
from ablate.suite.source import SuiteError

MERGE = "tbl-s7-merge"  # whose numbers stay as they are


@pytest.fixture(scope="module")
def cited(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory)


@pytest.fixture(scope="module")
def later(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_later(tmp_path_factory)


@pytest.fixture(scope="module")
def then(cited: Path) -> dict[str, Item]:
    return published.items(cited / "reports", "s7")


@pytest.fixture(scope="module")
def now(later: Path) -> dict[str, Item]:
    return published.items(later / "reports", "s7")


def notes(tmp_path: Path, name: str, text: str) -> Path:
    path = tmp_path / name
    path.write_bytes(text.encode())
    return path


def judged(path: Path, now: dict[str, Item]) -> list[verify.Judged]:
    return [verify.judge(it, {"s7": now}) for it in verify.citations(texts.read(path))]


def check(root: Path, *targets: Path, id: str | None = None, data: str | None = None) -> Exit:
    return citations.check(targets, id, data, root / "runs", root / "reports")


# --- where citations stand ------------------------------------------------------------------------


@pytest.mark.parametrize("format", ["md", "latex", "bibtex", "myst", "quarto"])
@pytest.mark.parametrize("id", [TABLE, MERGE, "fig-s7-depthwise-forest", "fig-s7-merge-curves"])
def test_every_form_is_found_again(
    tmp_path: Path, then: dict[str, Item], now: dict[str, Item], format: str, id: str
) -> None:
    text = formats.text(then[id], format, tmp_path)
    (found,) = judged(notes(tmp_path, "notes.md", f"Before.\n\n{text}\n\nAfter.\n"), now)
    assert (found.id, found.fingerprint) == (id, then[id].fingerprint)
    assert found.standing == ("holds" if id in (MERGE, "fig-s7-merge-curves") else "changed")


@pytest.mark.parametrize(
    "written",
    [
        "see (tbl-s7-merge), data {}, commit abc",
        "`tbl-s7-merge`, data `{}`",
        "**tbl-s7-merge**, data {}.",
        "> wrapped: tbl-s7-merge, data\n> {} and so on",
        "tbl-s7-merge,\r\ndata {}",
        "% in a comment of LaTeX: tbl-s7-merge,\n% data {}",
        r"\texttt{{tbl-s7-merge}}, data~{}",
    ],
)
def test_sentences_are_found(
    tmp_path: Path, then: dict[str, Item], now: dict[str, Item], written: str
) -> None:
    path = notes(tmp_path, "notes.md", f"One\r\nTwo\n{written.format(then[MERGE].fingerprint)}\n")
    (found,) = judged(path, now)
    assert (found.standing, found.where) == ("holds", f"{path}:3")


@pytest.mark.parametrize(
    "written",
    ["tbl-s7-merge and data {}", "data {}", "tbl-s7-merge, data {}0", "xtbl-s7-merge, data {}"],
)
def test_what_is_no_citation(tmp_path: Path, then: dict[str, Item], written: str) -> None:
    path = notes(tmp_path, "notes.md", written.format(then[MERGE].fingerprint))
    assert list(verify.citations(texts.read(path))) == []


def test_the_cells_of_a_notebook(
    tmp_path: Path, then: dict[str, Item], now: dict[str, Item]
) -> None:
    said = f"tbl-s7-merge, data {then[MERGE].fingerprint}"
    cells = [
        {"cell_type": "code", "source": [f"# {said}"], "outputs": []},
        {"cell_type": "markdown", "source": ["One\n", said]},
        {"cell_type": "raw", "source": said},
    ]
    path = notes(tmp_path, "notes.ipynb", json.dumps({"cells": cells, "nbformat": 4}))
    assert [it.where for it in judged(path, now)] == [f"{path} cell 2:2", f"{path} cell 3:1"]


# --- what has changed -----------------------------------------------------------------------------


def expected(values: list[float]) -> tuple[str, str, str]:
    """Return the difference with its interval, the mean and the deviation of a row, by scipy."""
    found = stats.ttest_ind(values, NORMAL, equal_var=False).confidence_interval(0.95)
    parts = (np.mean(values) - np.mean(NORMAL), found.low, found.high)
    change, low, high = (f"{part:.1f}".replace("-", "−") for part in parts)
    return f"{change} [{low}, {high}]", f"{np.mean(values):.1f}", f"{np.std(values, ddof=1):.2f}"


@pytest.mark.parametrize(
    ("format", "lead"),
    [("md", ""), ("md", "> "), ("latex", ""), ("latex", "  "), ("myst", ""), ("quarto", "")],
)
def test_numbers_are_told_where_the_table_stands(
    tmp_path: Path, then: dict[str, Item], now: dict[str, Item], format: str, lead: str
) -> None:
    text = "\n".join(
        f"{lead}{line}" for line in formats.text(then[TABLE], format, tmp_path).split("\n")
    )
    other = formats.text(then[MERGE], format, tmp_path)  # another table, nearer to the top
    path = notes(tmp_path, "notes.md", f"{other}\n\n{text}\n")
    _, found = judged(path, now)
    assert found.standing == "changed"
    assert found.why == f", today data {now[TABLE].fingerprint}"
    columns = ("Difference, points [95 %]", "Accuracy, % ↑", "sd, points")
    told = zip(columns, expected(DROP_IN), expected([50.0, *DROP_IN[1:]]), strict=True)
    assert set(found.changes) == {
        *(f"depthwise (drop-in), {column}: {old} → {new}" for column, old, new in told),
        "depthwise (drop-in), Effect: ▼ lower → ? cannot tell",
    }


def test_without_the_table_only_the_fingerprint_is_told(
    tmp_path: Path, then: dict[str, Item], now: dict[str, Item]
) -> None:
    path = notes(tmp_path, "notes.md", f"{TABLE}, data {then[TABLE].fingerprint}")
    (found,) = judged(path, now)
    assert str(found) == (
        f"{path}:1: {TABLE}, data {then[TABLE].fingerprint}: changed, today data "
        f"{now[TABLE].fingerprint}"
    )


def test_rows_and_columns_that_come_and_go() -> None:
    old = grids.Grid(("Row", "Old", "Both"), (("a", "1", "2"), ("b", "3", "4")), 0, 3)
    new = grids.Grid(("Row", "Both", "New"), (("a", "2", "0"), ("c", "5", "6")), 0, 3)
    assert grids.changes(old, new) == [
        "column Old: not there any more",
        "column New: new",
        "row b: not there any more",
        "row c: new",
    ]


def test_rows_go_by_as_many_cells_as_tell_them_apart() -> None:
    heads = ("Row", "Seed", "Accuracy")
    old = grids.Grid(heads, (("a", "0", "61"), ("a", "1", "62")), 0, 3)
    new = grids.Grid(heads, (("a", "0", "61"), ("a", "1", "63")), 0, 3)
    assert grids.changes(old, new) == ["a, 1, Accuracy: 62 → 63"]
    same = grids.Grid(("Row", "Word"), (("a", "x"), ("a", "x")), 0, 3)
    assert grids.changes(same, same) == []


@pytest.mark.parametrize("name", ["a|b", r"c\d", "x & y", "_e_ [f]", "5 % <g>"])
def test_cells_are_read_as_they_were_written(name: str) -> None:
    pipe = f"| {markdown(name)} | Number |\n|:---|---:|\n| {markdown(name)} | −1.5 \\[2\\] |\n"
    assert grids.in_markdown(pipe).rows == ((name, "−1.5 [2]"),)
    tabular = (
        "\\begin{tabular}{lr}\n\\toprule\n"
        + "".join(
            f"{latex(cell)} & {latex(number)} \\\\\n"
            for cell, number in ((name, "Number"), (name, "−1.5 [2]"))
        )
        + "\\end{tabular}"
    )
    like = grids.Grid((name, "Number"), (), 0, 0)
    found = grids.nearest(tabular.split("\n"), 0, like)
    assert found is not None
    assert (found.heads, found.rows) == ((name, "Number"), ((name, "−1.5 [2]"),))


# --- the command ----------------------------------------------------------------------------------


def test_all_is_said_and_the_exit_code_is_4(
    later: Path, tmp_path: Path, then: dict[str, Item], capsys: Any
) -> None:
    path = notes(
        tmp_path,
        "notes.md",
        f"{MERGE}, data {then[MERGE].fingerprint}\n{TABLE}, data {then[TABLE].fingerprint}\n"
        "tbl-s7-depthwis, data 00000000\ntbl-s9-other, data 00000000\n",
    )
    assert check(later, path) == Exit.STALE == 4
    out, err = capsys.readouterr()
    head, *lines = out.splitlines()
    assert head == (
        f"{path}:1: {MERGE}, data {then[MERGE].fingerprint}: holds, screening: not to be cited"
    )
    assert ": changed, today data " in lines[0]
    assert lines[1] == (
        f"{path}:3: tbl-s7-depthwis, data 00000000: unknown: there is no 'tbl-s7-depthwis' on the "
        f"page; did you mean '{TABLE}' or '{TABLE}-runs' or '{TABLE}-facts'?"
    )
    assert lines[2] == (
        f"{path}:4: tbl-s9-other, data 00000000: unknown: of no suite that has a page; there are s7"
    )
    assert err == "4 citations: 1 holds, 1 changed, 2 unknown\n"


def test_what_holds_exits_with_0(cited: Path, then: dict[str, Item], tmp_path: Path) -> None:
    text = "\n\n".join(formats.text(item, "md", tmp_path) for item in then.values())
    path = notes(tmp_path, "notes.md", text)
    code, out, err = command(cited, "verify", str(path), str(path))  # a file is read once
    assert (code, err) == (0, f"{len(then)} citations: {len(then)} hold\n")
    assert out.count(": holds") == len(then)


def test_a_suite_with_id_and_fingerprint(
    later: Path, then: dict[str, Item], now: dict[str, Item], capsys: Any
) -> None:
    assert check(later, Path("s7"), id=TABLE, data=now[TABLE].fingerprint) == Exit.OK
    assert capsys.readouterr().out == f"s7: {TABLE}, data {now[TABLE].fingerprint}: holds\n"
    assert check(later, Path("s7"), id=TABLE, data=then[TABLE].fingerprint) == Exit.STALE
    assert ": changed, today data " in capsys.readouterr().out


def test_without_records_the_pages_are_enough(
    later: Path, then: dict[str, Item], tmp_path: Path
) -> None:
    shutil.copytree(later / "reports", tmp_path / "reports")
    path = notes(tmp_path, "notes.md", f"{TABLE}, data {then[TABLE].fingerprint}")
    assert check(tmp_path, path) == Exit.STALE
    assert not (tmp_path / "runs").exists()


def test_a_page_older_than_the_records_is_brought_up_to_date(
    cited: Path, later: Path, now: dict[str, Item], tmp_path: Path
) -> None:
    shutil.copytree(later / "runs", tmp_path / "runs")
    shutil.copytree(cited / "reports", tmp_path / "reports")
    path = notes(tmp_path, "notes.md", f"{TABLE}, data {now[TABLE].fingerprint}")
    assert check(tmp_path, path) == Exit.OK


def test_notes_that_cite_nothing(tmp_path: Path, cited: Path, capsys: Any) -> None:
    path = notes(tmp_path, "notes.md", "Nothing here.\n")
    assert check(cited, path) == Exit.OK
    assert capsys.readouterr().err == (
        f"no citation in {path}: an id with its fingerprint, as captions have\n"
    )


@pytest.mark.parametrize(
    ("targets", "id", "data", "said"),
    [
        (("s7",), TABLE, None, "verify: --table and --data go together, with one suite"),
        (("s7", "s7"), TABLE, "0" * 8, "verify: --table and --data go together, with one suite"),
        (("s7",), None, None, "verify: of s7, say what: --table ID --data FINGERPRINT"),
        (("s7",), "x", "0" * 8, "verify: there is no 'x' on the page; without an id, "
         "`ablate cite` lists all there are"),
        (("nowhere.md", "images"), None, None, "images: is a folder; name the files in it\n"
         "nowhere.md: cannot be read: No such file or directory"),
        (("latin.md", "bad.ipynb"), None, None, "bad.ipynb: is no notebook of version 4; save it "
         "anew in Jupyter\nlatin.md: is not UTF-8 text; save it as UTF-8"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_at_once(
    cited: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    targets: tuple[str, ...],
    id: str | None,
    data: str | None,
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "images").mkdir()
    (tmp_path / "latin.md").write_bytes("é".encode("latin-1"))
    (tmp_path / "bad.ipynb").write_text('{"cells": [3]}')
    with pytest.raises(SuiteError) as error:
        check(cited, *map(Path, targets), id=id, data=data)
    assert str(error.value) == said
