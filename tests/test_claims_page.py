"""The page of all claims: every row of a register, what was found of it, why, and where."""

import contextlib
import csv
import html
import io
import re
from collections import Counter
from pathlib import Path
from typing import get_args

import pytest
from test_contradictions import BETTER, WORSE
from test_evidence import DROP_IN, NORMAL, Lab, two_rows
from test_report import Page, everything, read
from test_verdicts import claim

from ablate import commands, notes, study
from ablate.evidence.register import COURSE_FILE, course
from ablate.evidence.registered import RowWord
from ablate.report import claims_page, kept
from ablate.report.render import render, render_index

REGISTER = """\
title: My <i>notes</i>
notes:
  A: {title: One, url: "https://example.org/one"}
  B: {title: "<script>x</script>", url: "javascript:x"}
rows:
  - {row: 1, note: "A:1", says: worse, kinds: [T]}
  - {row: 2, note: "B:1", says: "<script>alert(1)</script>", kinds: [S, T]}
  - {row: 3, note: "B:2", says: better, kinds: [T]}
  - {row: 4, note: "B:3", says: it has a name, kinds: [D]}
  - {row: 5, note: "B:4", says: who knows, kinds: [L], untestable: it is not said of what}
  - {row: 6, note: "B:5", says: and so on, kinds: [X]}
  - {row: 7, note: "B:6", says: on Sundays, kinds: [T]}
  - {row: 8, note: "B:7", says: sharper, kinds: [T]}
  - {row: 9, note: "B:8", says: fewer, kinds: [S]}
contradictions:
  - {topic: Which is better?, sides: [[{note: "B:1", says: worse}], [{note: "B:2", says: better}]]}
  - {topic: What it means, of_words: true, sides: [[{note: "B:1", says: a}], [{says: b}]]}
  - {topic: What is to come, sides: [[{note: "A:1", says: a}], [{note: "B:5", says: b}]]}
"""
ASKING = "id: {}\ncites: ../mine.yaml\ncomparisons: [{{id: x, claims: [{}]}}]\n"
RATIO = {"kind": "ratio", "metric": "params", "of": "normal/depthwise", "match": "none"}


def lab_of(
    suite: str,
    *said: dict[str, object],
    trained: bool,
    runs: Path = Path("runs"),
    **asked: object,
) -> Lab:
    """Return a suite in which a variant loses 4 points and has an eighth of the parameters."""
    lab = Lab(runs, settings={"suite": suite, "question": "Which?", **asked})
    rows = [
        lab.row("normal", NORMAL if trained else [], params=80_000),
        lab.row("depthwise", DROP_IN if trained else [], params=10_000),
    ]
    lab.compare(*rows, claims=[claim(**it) for it in said])
    return lab


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two suites about a register of one's own, one that has not been run, and one of the course.

    Returns:
        the folder of the pages.
    """
    root = tmp_path_factory.mktemp("claims")
    with contextlib.chdir(root):
        Path("suites").mkdir()
        Path("mine.yaml").write_text(REGISTER, encoding="utf-8")
        asked = {"one": "{note: 'B:1'}, {note: 'B:6'}", "later": "{note: 'A:1'}", "count": ""}
        for suite, lines in asked.items():
            Path(f"suites/{suite}.yaml").write_text(ASKING.format(suite, lines), encoding="utf-8")
        Path("suites/wrong.yaml").write_text("id: [\n", encoding="utf-8")
        labs = [
            lab_of(
                "one",
                WORSE | {"match": "none"},
                BETTER | {"match": "none", "contradicts": []},
                WORSE | {"note": "B:7", "metric": "psnr"},
                RATIO | {"note": "B:8", "about": 8},
                trained=True,
                dirty=True,  # so that what is trained may not be cited
                profile="quick",
            ),
            lab_of(
                "count",
                RATIO | {"note": "B:1b", "about": 8},
                RATIO | {"note": "B:1", "about": 8},
                RATIO | {"note": "B:8", "about": 8},
                RATIO | {"note": "B:8", "about": 2},
                trained=False,
            ),
        ]
        for lab in labs:
            render(lab.runs, lab.ask(), Path("reports"))
        two_rows(Path("runs"), DROP_IN, NORMAL, suite="s7").ask()  # about the course; has no page
        render_index(Path("runs"), Path("reports"), suites())
    return root / "reports"


def suites() -> list[Path]:
    return sorted(Path("suites").glob("*.yaml"))


@pytest.fixture(scope="module")
def page(made: Path) -> Page:
    return read(made / "claims.html")


def rows_of(page: Page) -> dict[str, list[str]]:
    """Return the texts of the cells of every row with an id."""
    found = {}
    for id, row in re.findall(r'<tr role="row" id="([^"]+)" data(.*?)</tr>', page.text, re.DOTALL):
        cells = re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.DOTALL)
        plain = (html.unescape(re.sub("<[^>]+>", " ", cell)) for cell in cells)
        found[id] = [" ".join(cell.split()).replace("\xa0", " ") for cell in plain]
    return found


# --- what the rows say ----------------------------------------------------------------------------


def test_every_row_says_what_was_claimed_what_was_found_and_why(page: Page) -> None:
    rows = {id: cells for id, cells in rows_of(page).items() if id.startswith("mine-")}
    assert list(rows) == [
        *("mine-A-1", "mine-B-1", "mine-B-2", "mine-B-4", "mine-B-5"),
        *("mine-B-6", "mine-B-7", "mine-B-8", "mine-B-3"),  # the definition is folded, at the end
    ]
    eighth = (
        "Supported: parameters of normal 80,000, of depthwise 10,000: 8.00 times, "
        "claimed 7.20 to 8.80 times. (arithmetic of the full networks, staged, width 16) "
    )
    first = rows["mine-B-1"]
    assert first[:2] == ["B:1 S T", "“<script>alert(1)</script>”"]
    assert first[2] == "✓ supported one: screening"
    # Of two suites, each with its table; the second claim of `count` says the same, and only once.
    assert first[3].startswith(f"{eighth}count, depthwise Supported as a drop-in: accuracy of ")
    assert "more than the margin of 0.5 points." in first[3]
    assert first[3].endswith("cpu in bf16) one, depthwise")
    assert rows["mine-B-2"][2:3] == ["✗ refuted screening"]
    assert rows["mine-B-3"][2:] == ["· a definition", ""]
    assert [rows[f"mine-{id}"][2:] for id in ("A-1", "B-4", "B-5", "B-6", "B-7")] == [
        ["○ not yet tested", "later asks it and has not been run."],
        ["– cannot be tested", "it is not said of what."],
        ["○ not yet tested", "No suite tests it yet; it takes a census of published networks."],
        ["○ not yet tested", "one asks it, but not in profile quick."],
        [
            "○ not yet tested",
            "one: Not tested: psnr: it is no fact of these networks, and no trial measured it.",
        ],
    ]
    # Where suites and claims differ, every verdict is told.
    differing = rows["mine-B-8"]
    assert differing[2] == "◐ depends"
    # In the suite that trains nothing there is nothing to be a drop-in of.
    assert re.findall("Supported(?: as a drop-in)?:", differing[3]) == [
        "Supported:",
        "Supported as a drop-in:",
    ]
    assert re.findall("Refuted(?: as a drop-in)?:", differing[3]) == ["Refuted:"]


def test_the_counts_are_those_of_the_rows(page: Page, made: Path) -> None:
    """Counted in the rows, and again in the file of the register that comes with the package."""
    rows = rows_of(page)
    course_rows = {id: cells for id, cells in rows.items() if not id.startswith("mine-")}
    assert sorted(course_rows) == sorted(row.note.replace(":", "-") for row in course().rows)
    words = Counter(cells[2].split(" screening")[0][2:] for cells in course_rows.values())
    assert words["a definition"] == sum("D" in row.kinds for row in course().rows)
    # 82,010 parameters are 6.7 times 12,240 and not 8; the accuracies are those of the one suite.
    said = "2 of 228 claims have a verdict: 1 supported, 1 refuted. 226 have none yet."
    assert said in page.prose
    said = "3 of 8 claims have a verdict: 1 supported, 1 refuted, 1 depends. 5 have none yet."
    assert said in page.prose
    assert "✓ 1 supported ✗ 1 refuted ◐ 1 depends ○ 4 not yet tested – 1 cannot be tested" in (
        page.prose
    )
    # The bar has the same counts, in the same order.
    bars = re.findall(r'<div class="tally" aria-hidden="true">(.*?)</div>', page.text, re.DOTALL)
    assert [re.findall(r"flex-grow:(\d+)", bar) for bar in bars] == [
        ["1", "1", "1", "4", "1"],
        ["1", "1", "224", "2"],
    ]
    for view in ("one (3)", "count (2)", "A: One (1)", "B: <script>x</script> (7)"):
        assert view in page.prose, view


def test_contradictions_come_with_their_resolution(page: Page) -> None:
    prose = page.prose
    start = prose.index("Which is better?")
    assert prose[start:].startswith(
        "Which is better? B:1 “worse” against B:2 “better” "
        "→ B:1b holds, B:2 does not (count; one, screening); B:1 holds, B:2 does not "
        "(count; one, screening) "
        "What it means B:1 “a” against b → a matter of words, which no experiment settles "
        "What is to come A:1 “a” against B:5 “b” → No verdict on either side yet."
    )
    assert prose.index("Which is better?") < prose.index("Line Claimed Verdict")


def test_links_lead_to_the_table_that_decides(page: Page, made: Path) -> None:
    """Of what is trained to the results, of the rest to the claims; all ids are there, and once."""
    assert len(set(page.ids)) == len(page.ids)
    targets = set()
    for attrs in page.all("a"):
        href = attrs["href"] or ""
        file, _, anchor = href.partition("#")
        if href.startswith("https:"):
            continue
        assert (made / file).exists(), href
        if file.startswith(("one/", "count/")):
            targets.add(href)
        other = read(made / file) if file.endswith(".html") else page
        assert not anchor or anchor in other.ids, href
    tables = ("one/index.html#tbl-one-depthwise", "one/index.html#tbl-one-depthwise-claims")
    assert targets >= {*tables, "count/index.html#tbl-count-depthwise-claims"}
    assert not any((a["href"] or "").startswith("s7/") for a in page.all("a"))  # it has no page


def test_each_list_names_the_rows_it_counts(page: Page) -> None:
    refuted = page.text[page.text.index('<dt id="claims-mine_refuted">') :].partition("</dd>")[0]
    assert re.findall('href="([^"]+)"', refuted) == ["#mine-B-2"]
    untested = page.text[page.text.index('id="claims-mine_untested"') :].partition("</dl>")[0]
    named = set(re.findall('href="#([^"]+)"', untested))
    assert named == {"mine-A-1", "mine-B-4", "mine-B-5", "mine-B-6", "mine-B-7"}
    assert "“who knows”: cannot be tested. it is not said of what." in page.prose


# --- how it is made -------------------------------------------------------------------------------


def test_nothing_becomes_markup_and_nothing_is_asked_for(page: Page) -> None:
    assert len(page.all("script")) == 1
    assert page.all("script")[0] == {}
    assert "<script>alert" not in page.text
    assert "“<script>alert(1)</script>”" in page.prose
    hrefs = [attrs["href"] or "" for attrs in page.all("a")]
    assert not [href for href in hrefs if href.startswith("javascript:")]
    # Only the address that the register gives of a note leads out, and only when it is followed.
    assert {href for href in hrefs if ":" in href} == {
        *("https://example.org/one", *(note.url for note in course().notes.values() if note.url)),
    }
    for tag, attrs in page.elements:
        assert tag not in ("link", "iframe", "img", "object"), tag
        assert "src" not in attrs
        assert not any(name.startswith("on") for name in attrs)
    # A suite that cannot be read is told, and hinders nothing.
    assert "suites/wrong.yaml:2:1: not valid YAML" in page.prose


def test_it_can_be_read_by_all(page: Page) -> None:
    assert page.all("html")[0]["lang"] == "en"
    assert len(page.all("h1")) == 1
    assert len(page.all("caption")) == len(page.all("table"))
    assert all("scope" in attrs for attrs in page.all("th"))
    fields = {attrs.get("id") for tag, attrs in page.elements if tag in ("input", "select")}
    assert fields == {attrs.get("for") for attrs in page.all("label")}
    assert "hidden" in page.all("form")[0]  # until the script shows it
    for symbol, _, meaning in claims_page.MARKS.values():
        assert symbol
        assert meaning.endswith(".")


def test_every_word_of_a_row_has_a_mark() -> None:
    assert {*claims_page.MARKS} == {*get_args(RowWord)} - {"not tested"}


def test_the_exports_hold_every_row(made: Path) -> None:
    text = (made / "tbl-claims-mine.csv").read_text(encoding="utf-8")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["line"] for row in rows] == ["A:1", *(f"B:{n}" for n in range(1, 9))]
    assert rows[1]["suites"] == "count one"
    assert rows[1]["tables"] == "tbl-count-depthwise tbl-one-depthwise"
    assert rows[1]["screening"] == "one: screening"
    assert rows[4]["why_not"] == "it is not said of what."
    of_course = io.StringIO((made / "tbl-claims.csv").read_text(encoding="utf-8"))
    assert len(list(csv.DictReader(of_course))) == 261
    for kind in ("md", "tex"):
        assert "on Sundays" in (made / f"tbl-claims-mine.{kind}").read_text(encoding="utf-8")


def test_it_is_small_enough(page: Page) -> None:
    assert len(page.text.encode()) < 200_000  # 270 rows, few of them judged


def test_the_same_records_give_the_same_bytes_and_are_not_read_twice(
    made: Path, tmp_path: Path
) -> None:
    before = {name: it for name, it in everything(made).items() if "/" not in name}
    with contextlib.chdir(made.parent):
        stamp = (made / "claims.html").stat().st_mtime_ns
        render_index(Path("runs"), Path("reports"), suites())
        assert (made / "claims.html").stat().st_mtime_ns == stamp  # it was kept
        (made / kept.NAME).unlink()
        render_index(Path("runs"), Path("reports"), suites())
    assert {name: it for name, it in everything(made).items() if "/" not in name} == before
    assert str(made.parent) not in (made / "claims.html").read_text(encoding="utf-8")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a register, one suite about it, and a study of that."""
    monkeypatch.chdir(tmp_path)
    Path("suites").mkdir()
    Path("mine.yaml").write_text(REGISTER, encoding="utf-8")
    Path("suites/one.yaml").write_text(ASKING.format("one", "{note: 'B:8'}"), encoding="utf-8")
    lab_of("one", RATIO | {"note": "B:8", "about": 8}, trained=False).ask()
    return tmp_path


def made_again() -> str:
    render_index(Path("runs"), Path("reports"), suites())
    return html.unescape(Path("reports/claims.html").read_text(encoding="utf-8"))


@pytest.mark.usefixtures("folder")
def test_a_register_that_changes_makes_the_page_anew() -> None:
    assert "on Sundays" in made_again()
    Path("mine.yaml").write_text(REGISTER.replace("on Sundays", "on Mondays"), encoding="utf-8")
    assert "on Mondays" in made_again()
    # One that cannot be used is told as the terminal tells it.
    Path("mine.yaml").write_text(REGISTER.replace("kinds: [S]", "kinds: [Q]"), encoding="utf-8")
    said = made_again()
    assert "mine.yaml:14:" in said
    assert ": unknown kind 'Q'; there are: S, X, L, T, P, D\n" in said
    assert "What cannot be read" in said
    assert not Path("reports/tbl-claims-mine.csv").exists()  # nothing stale is left
    # Without suites about it, the course's register stands there.
    Path("suites/one.yaml").unlink()
    assert "Course notes on convolutions" in made_again()


@pytest.mark.usefixtures("folder")
def test_registers_of_one_name_are_told_apart() -> None:
    Path("more").mkdir()
    Path("more/mine.yaml").write_text(REGISTER, encoding="utf-8")
    other = ASKING.format("two", "{note: 'B:8'}").replace("../mine", "../more/mine")
    Path("suites/two.yaml").write_text(other, encoding="utf-8")
    said = made_again()
    assert 'id="mine-B-8"' in said
    assert 'id="mine-2-B-8"' in said


@pytest.mark.usefixtures("folder")
def test_report_writes_it_and_verdicts_says_where(capsys: pytest.CaptureFixture[str]) -> None:
    Path("suites/one.yaml").unlink()  # which the command would refuse
    assert notes.verdicts(False, False, Path("runs")) == 0
    told = capsys.readouterr()
    assert told.err == "\nas a page, `ablate report` writes reports/claims.html of it\n"
    commands.report([], Path("runs"), Path("reports"))
    assert capsys.readouterr().out.splitlines() == [
        *("reports/one/index.html", "reports/index.html", "reports/claims.html"),
    ]
    assert notes.verdicts(False, False, Path("runs")) == 0
    assert capsys.readouterr().err == "\nas a page, with filters: reports/claims.html\n"


def test_the_course_alone(tmp_path: Path) -> None:
    """Without a run and without a suite, every claim of the course waits."""
    render_index(tmp_path / "runs", tmp_path / "reports")
    page = read(tmp_path / "reports" / "claims.html")
    assert "0 of 228 claims have a verdict. 228 have none yet." in page.prose
    assert "No suite that judges any of these lines has been run yet." in page.prose
    assert COURSE_FILE.name in (tmp_path / "reports" / "tbl-claims.csv").read_text()
    assert study.suites(tmp_path / "runs") == []
