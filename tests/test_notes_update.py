"""Marked blocks of notes: refreshed, and nothing else touched."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from cited_suite import TABLE, command, made
from hypothesis import given, settings
from hypothesis import strategies as st

from ablate import citations
from ablate.citing import blocks, formats, published, texts
from ablate.citing.published import Item
from ablate.cli import Exit
from ablate.suite.source import SuiteError

HTML = "<!-- ablate: {} -->\n{}<!-- /ablate -->"
LATEX = "% ablate: {}\n{}% /ablate"


@pytest.fixture(scope="module")
def cited(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory)


@pytest.fixture(scope="module")
def items(cited: Path) -> dict[str, Item]:
    return published.items(cited / "reports", "s7")


@pytest.fixture
def here(cited: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with the pages alone, as notes in a repository of their own have them."""
    shutil.copytree(cited / "reports", tmp_path / "reports")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def update(*names: str, check: bool = False) -> Exit:
    return citations.update([Path(name) for name in names], check, Path("runs"), Path("reports"))


def put(name: str, text: str) -> Path:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode())
    return path


def problems(*names: str, check: bool = False) -> list[str]:
    before = {name: Path(name).read_bytes() for name in names}
    with pytest.raises(SuiteError) as error:
        update(*names, check=check)
    assert {name: Path(name).read_bytes() for name in names} == before  # nothing is written
    return str(error.value).splitlines()


# --- what is written ------------------------------------------------------------------------------


@pytest.mark.parametrize("format", ["md", "latex", "csv", "bibtex", "myst", "quarto"])
@pytest.mark.parametrize("form", [HTML, LATEX])
def test_a_block_is_what_cite_prints(
    here: Path, items: dict[str, Item], capsys: Any, form: str, format: str
) -> None:
    path = put(
        "notes.md", f"Before.\n{form.format(f'{TABLE} format={format}', 'old' + chr(10))}\nAfter.\n"
    )
    assert update("notes.md") == Exit.OK
    text = path.read_text(encoding="utf-8")
    start, end = form.format(f"{TABLE} format={format}", "\0").split("\0")
    assert text.startswith(f"Before.\n{start}")
    assert text.endswith(f"{end}\nAfter.\n")
    inner = text.removeprefix(f"Before.\n{start}").removesuffix(f"{end}\nAfter.\n")
    assert inner.strip("\n") == formats.text(items[TABLE], format, here)
    airy = format in ("md", "myst", "quarto")  # paragraphs of their own
    assert (inner[0] == "\n", inner[-2:] == "\n\n") == (airy, airy)
    assert capsys.readouterr().out == f"notes.md:2: {TABLE} is refreshed\n"
    assert update("notes.md", check=True) == Exit.OK  # and stays so


def test_the_usual_formats(here: Path, items: dict[str, Item]) -> None:
    put("a.md", HTML.format(TABLE, ""))
    put("b.tex", LATEX.format(TABLE, ""))
    assert update("a.md", "b.tex") == Exit.OK
    assert formats.text(items[TABLE], "md", here) in Path("a.md").read_text("utf-8")
    assert formats.text(items[TABLE], "latex", here) in Path("b.tex").read_text("utf-8")


def test_figures_are_named_from_the_file_of_notes(here: Path) -> None:
    path = put("course/week 1/notes.md", HTML.format("fig-s7-merge-forest format=quarto", ""))
    assert update(str(path)) == Exit.OK
    (line,) = [it for it in path.read_text("utf-8").splitlines() if it.startswith("![")]
    place = line.partition("](")[2].partition(")")[0]
    assert place == "../../reports/s7/fig-s7-merge-forest.svg"
    assert (path.parent / place).is_file()


def test_what_may_not_be_cited_is_said(here: Path, capsys: Any) -> None:
    put("notes.md", HTML.format("tbl-s7-merge", "") + "\n" + HTML.format("tbl-s7-merge", ""))
    update("notes.md")
    out, err = capsys.readouterr()
    assert "Screening, not to be cited." in Path("notes.md").read_text("utf-8")
    assert out == "notes.md:1: tbl-s7-merge is refreshed\nnotes.md:3: tbl-s7-merge is refreshed\n"
    assert err == (
        "tbl-s7-merge is not to be cited: Fewer than 5 seeds: none (baseline) has 3 and add "
        "(drop-in) has 3.\n2 blocks, 2 refreshed\n"
    )


# --- what is left alone ---------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(
    parts=st.lists(
        st.text(st.sampled_from("ab |>`%\t#<-!é\u2028\x0c\n\r"), max_size=30),
        min_size=2,
        max_size=4,
    ),
    newline=st.sampled_from(["\n", "\r\n", "\r"]),
    form=st.sampled_from([HTML, LATEX]),
)
def test_nothing_outside_of_blocks_changes(
    items: dict[str, Item], parts: list[str], newline: str, form: str
) -> None:
    block = form.format(f"{TABLE} format=csv", "\0").replace("\n", newline)
    parts = [part.replace("```", "").replace("~~~", "") for part in parts]
    old = [block.replace("\0", f"old{newline}") for _ in parts[1:]]
    text = (
        "".join(f"{part}{newline}{one}{newline}" for part, one in zip(parts, old, strict=False))
        + parts[-1]
    )
    notes = texts.Notes(Path("notes.md"), text, (text,), ("notes.md",))
    found, wrong = blocks.find(notes)
    assert (len(found), wrong) == (len(parts) - 1, [])
    (made,) = blocks.refresh([(notes, found)], {"s7": items})
    now = formats.text(items[TABLE], "csv", Path()).replace("\n", newline)
    assert made.content == text.replace(f"old{newline}", f"{now}{newline}")


def test_line_endings_marks_of_order_and_indents_stay(here: Path) -> None:
    text = (
        "\ufeff<!-- ablate: tbl-s7-merge format=csv -->\r\n<!-- /ablate -->\r\n"
        "> quoted\n> <!-- ablate: tbl-s7-merge -->\n> <!-- /ablate -->\n"
        "* a list\n\n  <!-- ablate: tbl-s7-merge format=csv -->\n  x\n  <!-- /ablate -->\nend"
    )
    path = put("notes.md", text)
    assert update("notes.md") == Exit.OK
    content = path.read_bytes().decode()
    windows, _, rest = content.partition("<!-- /ablate -->\r\n")
    assert windows.startswith("\ufeff<!-- ablate: tbl-s7-merge format=csv -->\r\nsuite,")
    assert "\n" not in windows.replace("\r\n", "")
    quote = rest.partition("> <!-- ablate: tbl-s7-merge -->\n")[2].partition("> <!-- /")[0]
    assert quote.startswith(">\n> | Variant")
    assert all(line.startswith(">") for line in quote.splitlines())
    listed = rest.partition("* a list\n\n")[2].removesuffix("\nend")
    assert all(line.startswith("  ") for line in listed.splitlines())
    assert not any(line.endswith(" ") for line in content.splitlines())


def test_the_file_stays_what_it_is(here: Path) -> None:
    """Its mode, and what links to it; nothing is left beside it."""
    path = put("notes.md", HTML.format(TABLE, ""))
    path.chmod(0o640)
    Path("link.md").symlink_to(path)
    assert update("link.md", "notes.md") == Exit.OK  # the same file twice
    assert Path("link.md").is_symlink()
    assert path.stat().st_mode & 0o777 == 0o640
    assert "Variant" in path.read_text("utf-8")
    assert sorted(os.listdir(here)) == ["link.md", "notes.md", "reports"]


def test_a_file_that_is_current_is_not_written(here: Path) -> None:
    path = put("notes.md", HTML.format(TABLE, ""))
    update("notes.md")
    path.chmod(0o444)
    before = path.stat()
    assert update("notes.md") == Exit.OK
    assert path.stat() == before


def test_a_notebook(here: Path, items: dict[str, Item]) -> None:
    cells = [
        {"cell_type": "code", "id": "a", "metadata": {}, "outputs": [], "execution_count": None,
         "source": ["# <!-- ablate: tbl-s7-merge -->\n", "x = 1.50"]},
        {"cell_type": "markdown", "id": "b", "metadata": {"tags": ["é"]},
         "source": ["Before é\n", f"<!-- ablate: {TABLE} -->\n", "<!-- /ablate -->"]},
        {"cell_type": "raw", "id": "c", "metadata": {}, "source": LATEX.format(TABLE, "")},
    ]  # fmt: skip
    notebook = {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    written = json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"
    path = put("notes.ipynb", written)
    assert update("notes.ipynb") == Exit.OK
    after = json.loads(path.read_text("utf-8"))
    for at in (1, 2):
        source = after["cells"][at]["source"]
        format = ("md", "latex")[at - 1]
        assert formats.text(items[TABLE], format, here) in "".join(source)
        assert isinstance(source, list if at == 1 else str)
        after["cells"][at]["source"] = cells[at]["source"]
    assert after == notebook
    first, _, _ = written.partition("<!-- ablate")
    assert path.read_text("utf-8").startswith(first)
    put("odd.ipynb", json.dumps(notebook).replace(": ", ":"))
    assert problems("odd.ipynb") == [
        "odd.ipynb: its JSON is not laid out as Jupyter's; save it in Jupyter once"
    ]


@pytest.mark.parametrize(
    "text",
    [
        "```\n<!-- ablate: nothing -->\n```\n",
        "~~~~ html\n<!-- ablate: nothing -->\n~~~\n<!-- /ablate -->\n~~~~\n",
        "Write `<!-- ablate: ID -->` on a line.\n",
        "<!-- ablated: x -->\n% ablation\n",
    ],
)
def test_what_is_no_block(here: Path, capsys: Any, text: str) -> None:
    put("notes.md", text)
    assert update("notes.md", check=True) == Exit.OK
    assert capsys.readouterr().err == "0 blocks, 0 stale\n"


def test_a_block_in_a_directive_is_one(here: Path) -> None:
    path = put("notes.md", f"```{{note}}\n{HTML.format(TABLE, '')}\n```\n")
    assert update("notes.md") == Exit.OK
    assert "Variant" in path.read_text("utf-8")


# --- --check --------------------------------------------------------------------------------------


def test_check_changes_nothing_and_shows_what_would(here: Path, capsys: Any) -> None:
    path = put("notes.md", f"Before.\n{HTML.format('tbl-s7-merge format=csv', 'old' + chr(10))}\n")
    put("current.md", "No block.\n")
    before = path.read_bytes()
    assert update("notes.md", "current.md", check=True) == Exit.STALE == 4
    assert path.read_bytes() == before
    out, err = capsys.readouterr()
    head, *diff = out.splitlines()
    assert head == "notes.md:2: tbl-s7-merge is stale"
    assert diff[:2] == ["--- notes.md", "+++ notes.md"]
    assert "-old" in diff
    removed = {line for line in diff[2:] if line.startswith("-")}
    assert removed == {"-old"}
    added = [line[1:] for line in diff[2:] if line.startswith("+")]
    assert added == Path("reports/s7/tbl-s7-merge.csv").read_text("utf-8").splitlines()
    assert err.endswith("1 block, 1 stale\n")


def test_the_command(here: Path) -> None:
    put("notes.md", HTML.format(TABLE, ""))
    assert command(here, "notes", "update", "--check", "notes.md")[0] == 4
    code, out, err = command(here, "notes", "update", "notes.md")
    assert (code, out, err) == (0, f"notes.md:1: {TABLE} is refreshed\n", "1 block, 1 refreshed\n")
    assert command(here, "notes", "update", "--check", "notes.md") == (0, "", "1 block, 0 stale\n")


# --- what is wrong --------------------------------------------------------------------------------


def test_wrong_markers_are_all_told_at_once(here: Path) -> None:
    put("a.md", "\n".join([
        "<!-- /ablate -->",  # 1
        "<!-- ablate: tbl-s7-merge -->",
        "<!-- ablate: tbl-s7-merge -->",  # 3
        "% /ablate",  # 4
        "<!-- /ablate -->",
        "<!-- ablate: tbl-s7-merge --> text",  # 6
        "<!-- ablate: -->",  # 7
        "<!-- /ablate -->",
        "<!-- ablate: format=md -->",  # 9
        "<!-- /ablate -->",
        "<!-- ablate: tbl-s7-merge wide=yes -->",  # 11
        "<!-- /ablate -->",
    ]))  # fmt: skip
    put("b.tex", "one\n% ablate: tbl-s7-merge\ntext\n")
    put("c.md", HTML.format(TABLE, ""))
    assert problems("a.md", "b.tex", "c.md") == [
        "a.md:1: the end of a block that does not begin",
        "a.md:11: unknown option 'wide'; a block has format=md and no other",
        "a.md:3: a block within the one of line 2; close that first",
        "a.md:4: the block of line 2 ends with <!-- /ablate -->",
        "a.md:6: a marker of a block is alone on its line, as <!-- ablate: ID -->",
        "a.md:7: a block names a table or a figure first, as in tbl-s7-depthwise",
        "a.md:9: a block names a table or a figure first, as in tbl-s7-depthwise",
        "b.tex:2: a block that is not closed; write % /ablate on a line below it",
    ]


def test_wrong_contents_are_all_told_at_once(here: Path) -> None:
    asked = (
        "tbl-s7-depthwis",
        "tbl-s9-x",
        "tbl-s7-merge format=svg",
        "fig-s7-merge-forest format=x",
    )
    put("a.md", "\n".join(HTML.format(one, "") for one in (TABLE, *asked)))
    assert (
        problems("a.md")
        == problems("a.md", check=True)
        == [
            "a.md:3: there is no 'tbl-s7-depthwis' on the page; did you mean 'tbl-s7-depthwise' or "
            "'tbl-s7-depthwise-runs' or 'tbl-s7-depthwise-facts'?",
            "a.md:5: 'tbl-s9-x' is of no suite that has a page; suites that have one: s7",
            "a.md:7: svg is for figures, and tbl-s7-merge is a table; it has md, latex, csv, "
            "bibtex, myst, quarto",
            "a.md:9: unknown format 'x'; known: md, latex, csv, bibtex, myst, quarto, svg",
        ]
    )


def test_a_full_disk_leaves_the_file(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ablate.records import NoRoom

    path = put("notes.md", HTML.format(TABLE, ""))

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    before = path.read_bytes()
    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", full)
        with pytest.raises(NoRoom):
            update("notes.md")
    assert path.read_bytes() == before
    assert sorted(os.listdir(here)) == ["notes.md", "reports"]
