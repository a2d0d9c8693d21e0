"""Registers of claims: read, held against suites, and brought together with verdicts."""

import json
import textwrap
from collections import Counter
from pathlib import Path
from typing import Any, get_args

import pytest
from test_contradictions import BETTER, OPEN, WORSE, lab_of
from test_evidence import Lab
from test_verdicts import claim
from tiny import changed, loaded, write

from ablate import commands, notes
from ablate.evidence import register
from ablate.evidence.collect import collect
from ablate.evidence.register import Contradiction, Register
from ablate.evidence.registered import Cited, Entry, counts, join, line, lines, resolution
from ablate.evidence.verdicts import Verdict, Word, judge
from ablate.suite import cited, remembered
from ablate.suite.load import find
from ablate.suite.preflight import check
from ablate.suite.request import Request
from ablate.suite.source import SuiteError, parse
from ablate.suite.structure import structure

SUITES = sorted((Path(__file__).parent.parent / "suites").glob("*.yaml"))

MINE = """\
title: My notes
notes: {A: {title: One}, B: {title: Two}}
rows:
  - {row: 1, note: "A:1", says: worse, kinds: [T]}
  - {row: 2, note: "B:1", says: worse, kinds: [S, T]}
  - {row: 3, note: "B:2", says: better, kinds: [T]}
  - {row: 4, note: "B:3", says: it has a name, kinds: [D]}
  - {row: 5, note: "B:4", says: who knows, kinds: [L], untestable: it is not said of what}
  - {row: 6, note: "B:5", says: and so on, kinds: [X]}
later: [6]
contradictions:
  - {topic: Which is better?, sides: [[{note: "B:1", says: worse}], [{note: "B:2", says: better}]]}
  - {topic: What it means, of_words: true, sides: [[{note: "B:1", says: a}], [{says: b}]]}
  - {topic: What is done, sides: [[{note: "B:1", says: worse}], [{says: many do}]]}
"""


def mine(text: str = MINE, name: str = "mine.yaml") -> Path:
    path = Path(name)
    path.write_text(text, encoding="utf-8")
    return path


def refused(path: Path) -> str:
    with pytest.raises(SuiteError) as error:
        register.load(path)
    return str(error.value)


# the register that comes with the package


def test_the_course_has_every_row_in_order() -> None:
    course = register.course()
    assert [row.row for row in course.rows] == list(range(1, 262))
    assert list(course.notes) == list("ABCDE")
    # Counted by hand in the notes' table: rows with a static part, a census, times, training, …
    kinds = Counter(kind for row in course.rows for kind in row.kinds)
    assert sum(not {"S", "X", "L"}.isdisjoint(row.kinds) for row in course.rows) == 109
    assert kinds["D"] == sum(row.is_definition for row in course.rows) == 33
    per_note = Counter(row.note[0] for row in course.rows)
    assert sum(per_note.values()) == 261
    assert set(per_note) == set(course.notes)
    said = {row.row: (row.note, row.says, row.kinds) for row in course.rows}
    assert said[45] == ("A:113", "8 times less parameters", ["S"])
    assert said[53] == ("A:135", 'not all kernels can be "separated"', ["S"])
    assert said[78][2] == ["T", "L"]
    assert said[206][:2] == ("D:65", "16x3x3x1 → 98x98x16; 32x1x1x16 → 98x98x32; 656")
    assert said[261] == ("E:158", "[ref] distill deconv-checkerboard", ["T"])
    assert len(course.contradictions) == 10


def test_the_kinds_are_explained_wherever_they_are_written_down() -> None:
    assert list(register.KINDS) == list(get_args(register.Kind))
    for text in (register.COURSE_FILE.read_text(encoding="utf-8"), notes._SKELETON):
        for kind, meaning in register.KINDS.items():
            (told,) = [it for it in text.splitlines() if it.startswith(f"#   {kind}  ")]
            assert told.removeprefix(f"#   {kind}  ").startswith(meaning)


def suites_on(known: Register, path: Path, without: str = "") -> list[Entry]:
    """Return a register's rows with the claims of all suites that are about it, less one line's."""
    found = []
    for file in SUITES:
        suite = structure(parse(file, file.name)).suite
        lines = [it.note for comparison in suite.comparisons for it in comparison.claims]
        if register.path_of(suite.cites, file.parent, lines) == path:
            found += [Cited(suite.id, note) for note in lines if note != without]
    return join(known, found)


def test_every_row_is_tested_or_known_to_wait() -> None:
    """A row that no suite tests stands under `later`, and none that one does."""
    course = register.course()
    entries = suites_on(course, register.COURSE_FILE)
    waiting = [
        entry.row.row
        for entry in entries
        if not (entry.is_tested or entry.row.is_definition or entry.row.untestable)
    ]
    now = textwrap.fill(f"later: {waiting}", 100, subsequent_indent="  ", break_on_hyphens=False)
    dropped = sorted(set(waiting) - set(course.later))
    added = sorted(set(course.later) - set(waiting))
    assert (dropped, added) == ([], []), (
        f"no suite tests rows {dropped} any more; rows {added} are tested now. If that is meant, "
        f"registers/course.yaml should say\n{now}"
    )


def test_a_claim_that_a_suite_drops_is_noticed() -> None:
    course = register.course()
    entries = suites_on(course, register.COURSE_FILE)
    assert notes.untested(course, entries) == []
    alone = next(entry for entry in entries if len({it.note for it in entry.cited}) == 1)
    (lost,) = notes.untested(course, suites_on(course, register.COURSE_FILE, alone.cited[0].note))
    assert lost.row == alone.row


# reading one


@pytest.mark.usefixtures("here")
def test_all_mistakes_are_said_at_once() -> None:
    path = mine("""\
title: My notes
notes: {A: {title: One, link: x}, B: {title: ""}}
rows:
  - {row: 1, note: "A:1", says: worse, kinds: [T]}
  - {row: 1, note: "A:1", says: worse, kinds: [Q]}
  - {row: 1, note: "A:1", says: worse, kinds: [D, T]}
  - {row: 2, note: "C:1", says: worse, kinds: [D], untestable: so}
  - {row: 3, note: "A12", say: worse, kinds: []}
later: [1, 1, 2, 7, x]
contradictions:
  - {topic: T, sides: [[{note: "A:2", says: worse}], [{note: "F:1", says: b}]]}
  - {topic: T, sides: [[{says: worse}]]}
""")
    said = [it for it in refused(path).splitlines() if it.startswith("mine.yaml:")]
    assert said == [
        "mine.yaml:2:25: unknown key 'link'; there are: title, url",
        "mine.yaml:2:46: there are no words here; quote the notes, or say why",
        "mine.yaml:5:48: unknown kind 'Q'; there are: S, X, L, T, P, D",
        "mine.yaml:6:11: row 1 is A:1 already; take a new number",
        "mine.yaml:6:20: 'A:1' is row 1 already; a further claim on that line has a letter behind "
        "it: 'A:1b'",
        "mine.yaml:6:47: D has nothing to judge, so it stands alone",
        "mine.yaml:7:20: 'C:1' is of a note that `notes` does not have; there are: A, B",
        "mine.yaml:7:64: a row of kind D has no verdict anyway; leave this out",
        "mine.yaml:8:20: 'A12' is no reference; write a note and its line, for example A:113",
        "mine.yaml:8:27: unknown key 'say'; did you mean 'says'?",
        "mine.yaml:8:46: kinds should have at least 1 item",
        "mine.yaml:9:12: row 1 is given twice",
        "mine.yaml:9:15: row 2 can have no verdict, and waits for none; leave it out",
        "mine.yaml:9:18: there is no row 7",
        "mine.yaml:9:21: later[4] should be a whole number, not 'x'",
        "mine.yaml:11:32: 'A:2' is no row; did you mean 'A:1'?",
        "mine.yaml:11:62: 'F:1' is no row; there is no note F; there are: A, B",
        "mine.yaml:12:23: sides should have at least 2 items",
    ]


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "mine.yaml: is empty; a register needs title, notes and rows"),
        ("- a\n", "mine.yaml:1:1: a register is a mapping: title, notes, rows, contradictions, "
                  "later\n  1 | - a\n    | ^"),
        ("title: t\nnotes: {A: {title: a}}\n", "mine.yaml:1:1: the register has no 'rows', which "
                                               "it needs\n  1 | title: t\n    | ^"),
    ],
)  # fmt: skip
def test_what_is_no_register_is_refused(text: str, said: str) -> None:
    assert refused(mine(text)) == said


def test_a_file_that_is_not_there_is_refused() -> None:
    assert (
        refused(Path("nowhere.yaml")) == "nowhere.yaml: cannot be read: No such file or directory"
    )


@pytest.mark.parametrize(
    ("note", "row", "hint"),
    [
        ("A:113", 45, None),
        ("A:115b", 47, None),  # a row of its own
        ("A:113b", 45, None),  # a further claim on that line
        ("C:205b", 180, None),
        ("A:img1", 64, None),
        ("A:1133", None, "did you mean 'A:113'?"),
        ("A:img3", None, "did you mean 'A:img2'?"),
        ("F:12", None, "there is no note F; there are: A, B, C, D, E"),
    ],
)
def test_a_line_belongs_to_a_row(note: str, row: int | None, hint: str | None) -> None:
    course = register.course()
    found = course.row_of(note)
    assert (found and found.row, course.unknown(note)) == (row, hint)


def test_a_suite_that_names_no_register_is_about_the_course_if_most_of_its_lines_are() -> None:
    here = Path("suites")
    assert register.path_of(None, here, ["A:113", "A:115", "A:1133"]) == register.COURSE_FILE
    assert register.path_of(None, here, ["A:113", "A:1133"]) is None
    assert register.path_of(None, here, []) is None
    assert register.path_of("course", here, []) == register.COURSE_FILE
    assert register.path_of("mine.yaml", here, ["A:113"]) == here / "mine.yaml"


# with verdicts


def test_the_word_of_a_row() -> None:
    known = Register.model_validate({
        "title": "t", "notes": {"A": {"title": "a"}},
        "rows": [{"row": 1, "note": "A:1", "says": "so", "kinds": ["T"]}],
    })  # fmt: skip

    def word(*words: Word) -> str:
        given = [Verdict("c", {"note": "A:1"}, it, "", "", (), None) for it in words]
        return join(known, [Cited("s", "A:1", it) for it in given])[0].word

    assert word() == word("not tested") == "not yet tested"
    for one in get_args(Word):
        if one != "not tested":
            assert word(one) == word(one, one, "not tested") == one
    assert word("supported", "refuted") == word("supported", "depends") == "depends"
    assert word("supported", "supported in direction") == "supported in direction"
    assert word("supported", "answered") == "supported"
    assert word("supported", "inconclusive") == "inconclusive"
    assert word("supported", "inconclusive", "invalid") == "invalid"


def judged(lab: Lab, suite: str = "s7") -> list[Cited]:
    found = judge(collect(lab.runs, lab.ask()))
    return [Cited(suite, str(it.claim["note"]), it, "id") for it in found]


@pytest.mark.usefixtures("here")
def test_rows_and_verdicts_come_together(tmp_path: Path) -> None:
    """The variant loses as a drop-in, wins at equal parameters, and has 8 times fewer of them."""
    known = register.load(mine())
    static = {"kind": "ratio", "metric": "params", "of": "normal/depthwise", "about": 8}
    screening = "s7, screening"
    lab = lab_of(tmp_path / "r", WORSE | {"match": "none"}, BETTER | {"match": "none"})
    lab.settings["dirty"] = True  # so that it may not be cited
    other = lab_of(tmp_path / "s", static | {"note": "B:1b", "match": "none"})
    both = [*judged(lab), *judged(other, "count"), Cited("later", "B:5"), Cited("s7", "F:1")]
    entries = join(known, both)
    assert lines(known, entries) == textwrap.dedent(f"""\
        My notes

          1 A:1 “worse”: not yet tested
          2 B:1 “worse”: supported (s7, screening; count)
          3 B:2 “better”: refuted ({screening})
          4 B:3 “it has a name”: a definition
          5 B:4 “who knows”: cannot be tested (it is not said of what)
          6 B:5 “and so on”: not yet tested (later asks it)

          Where the notes contradict each other

          Which is better?: B:1 “worse” | B:2 “better”
            B:1 holds, B:2 does not ({screening}); B:1b holds, B:2 does not (count; {screening})
          What it means: B:1 “a” | b
            a matter of words, which no experiment settles
          What is done: B:1 “worse” | many do
            B:1 is supported ({screening}); B:1b is supported (count)

        6 rows: 1 supported, 1 refuted, 2 not yet tested, 1 cannot be tested, 1 definition
        without training (S, X, L in its kinds) 1 of 3 rows is judged
        """).splitlines()  # fmt: skip
    assert sum(counts(entries).values()) == len(known.rows)
    trained = join(known, judged(lab))
    assert not any(entry.is_judged_untrained for entry in trained)


def test_verdicts_that_differ_are_all_said(tmp_path: Path) -> None:
    lab = lab_of(tmp_path, WORSE | {"match": "none"}, WORSE | {"match": "params"})
    row = {"row": 9, "note": "B:1", "says": "worse", "kinds": ["T"]}
    known = Register.model_validate({"title": "t", "notes": {"B": {"title": "b"}}, "rows": [row]})
    (entry,) = join(known, judged(lab))
    assert line(entry) == ("9 B:1 “worse”: depends: supported (s7), refuted (s7)")


@pytest.mark.usefixtures("here")
def test_a_side_without_a_verdict_is_not_decided(tmp_path: Path) -> None:
    known = register.load(mine())
    (which, *_) = known.contradictions
    assert resolution(which, join(known, [Cited("s7", "B:2")])) is None
    only = lab_of(tmp_path / "a", WORSE | {"match": "none"})
    text = "B:1 holds, B:2 is not decided (s7)"
    assert resolution(which, join(known, judged(only))) == text
    untested = lab_of(tmp_path / "b", WORSE | {"match": "none"}, OPEN)
    assert resolution(which, join(known, judged(untested))) == text
    neither = lab_of(tmp_path / "c", OPEN)
    assert resolution(which, join(known, judged(neither))) is None
    alone = Contradiction.model_validate(
        {"topic": "t", "sides": [[{"says": "a"}], [{"says": "b"}]]}
    )
    assert resolution(alone, join(known, judged(only))) is None


# suites that cite lines

CLAIMS = """\
    claims:
      - {note: "A:1", says: worse, kind: equality, metric: params, expect: dilated = normal}
      - {note: "B:22", says: better, kind: equality, metric: params, expect: dilated = normal}
"""
STATIC = changed(("seeds: 2", "seeds: 0\ncites: mine.yaml"), add=CLAIMS)
OWN = STATIC.replace("cites: mine.yaml", "cites: ../mine.yaml")  # in suites/


@pytest.mark.usefixtures("here")
def test_a_line_that_is_no_row_is_a_warning_of_the_plan() -> None:
    mine()
    suite = loaded(STATIC)
    check(suite)
    said = "claims cite a line that is no row of “My notes”: B:22 (did you mean 'B:2'?)"
    assert cited.notices(suite) == [said]
    plan, _ = commands._plan(Request("tiny.yaml"), None, Path("runs"), "1", keep=True)
    assert said in plan.notices

    def recalled() -> Any:
        asked = Request("tiny.yaml")
        return remembered.recall(remembered.inputs(asked, None), Path("runs"))

    # The plan is made anew when the register is another one.
    assert recalled() is None or said in recalled().notices
    mine(MINE.replace('"B:5"', '"B:22"'))
    assert recalled() is None
    plan, _ = commands._plan(Request("tiny.yaml"), None, Path("runs"), "1")
    assert [it for it in plan.notices if "claims cite" in it] == []


@pytest.mark.usefixtures("here")
def test_a_register_that_cannot_be_read_is_a_mistake_of_the_suite() -> None:
    suite = loaded(STATIC)
    with pytest.raises(SuiteError) as error:
        check(suite)
    assert str(error.value).startswith(
        "tiny.yaml:10:8: the register 'mine.yaml' cannot be used:\n"
        "mine.yaml: cannot be read: No such file or directory\n"
        "  10 | cites: mine.yaml"
    )


@pytest.mark.usefixtures("here")
def test_a_suite_about_nothing_has_no_warning() -> None:
    assert cited.notices(loaded(changed(add=CLAIMS))) == []
    of_course = changed(("seeds: 2", "seeds: 0\ncites: course"), add=CLAIMS)
    (said,) = cited.notices(loaded(of_course))
    assert said == (
        "claims cite a line that is no row of “Course notes on convolutions”: A:1 (did you mean "
        "'A:91'?)"
    )


# the commands


@pytest.mark.usefixtures("here")
def test_a_new_register_is_sound_and_overwrites_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    notes.new(Path("own.yaml"))
    assert capsys.readouterr().out.startswith(
        "own.yaml is written, with three rows to be replaced by yours. Then\n"
        "  ablate notes check own.yaml\n"
        "    says what is wrong in it, and which rows no suite tests\n"
        "  cites: ../own.yaml\n"
    )
    assert len(register.load(Path("own.yaml")).rows) == 3
    Path("own.yaml").write_text("mine")
    for name, said in (
        ("own.yaml", "own.yaml is there already, and is left as it is; choose another name"),
        ("own", "a register is a YAML file; write own.yaml"),
        (
            "suites/own.yaml",
            "every YAML file in suites/ is a suite; write it elsewhere, as own.yaml",
        ),
        ("no/own.yaml", "no/own.yaml cannot be written: No such file or directory"),
    ):
        with pytest.raises(SuiteError, match=f"^notes new: {said}$"):
            notes.new(Path(name))
    assert Path("own.yaml").read_text() == "mine"


@pytest.mark.usefixtures("here")
def test_the_check_says_what_no_suite_tests(capsys: pytest.CaptureFixture[str]) -> None:
    Path("suites").mkdir()
    mine()
    write(OWN.replace("B:22", "B:5"), "suites/tiny.yaml")
    assert find("tiny") == Path("suites/tiny.yaml")
    expected = """\
mine.yaml: 6 rows: 2 tested by tiny, 1 definition, 1 for later
  no suite tests these rows; cite them in a claim, or write them under `later`:
    2 B:1 “worse”
    3 B:2 “better”
  tested now, so no longer for later: 6
"""
    for files in ([], [Path("mine.yaml")]):
        notes.check(files)
        assert capsys.readouterr().out == expected
    mine(name="other.yaml")
    notes.check([Path("other.yaml")])
    assert capsys.readouterr().out.startswith("other.yaml: 6 rows: no suite is about it, 1")
    write(OWN, "suites/tiny.yaml")
    notes.check([])
    told = capsys.readouterr().out
    assert "  tiny cites B:22, which is no row; did you mean 'B:2'?\n" in told


@pytest.mark.usefixtures("here")
def test_all_verdicts_stand_at_their_rows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of the course's rows, by a study whose suite's file is gone; then of the user's own."""
    Path("suites").mkdir()
    lab = Lab(tmp_path / "runs")
    rows = [lab.row("normal", [], params=80_000), lab.row("depthwise", [], params=10_000)]
    ratio = {"kind": "ratio", "metric": "params", "of": "normal/depthwise", "about": 8}
    lab.compare(*rows, claims=[claim(**ratio, note="A:113")])
    asked = lab.ask()
    assert notes.verdicts(False, True, lab.runs) == 0
    said = capsys.readouterr().out.splitlines()
    assert f"  45 A:113 “8 times less parameters”: supported ({asked.suite})" in said
    reasons = sum(row.untestable is not None for row in register.course().rows)
    waiting = f"{227 - reasons} not yet tested, {reasons} cannot be tested"
    assert said[-2].startswith(f"261 rows: 1 supported, {waiting}, 33 definitions")
    assert said[-1].endswith("1 of 109 rows is judged")
    assert notes.verdicts(True, False, lab.runs) == 0
    (found,) = json.loads(capsys.readouterr().out)["registers"]
    assert (found["file"], found["counts"]["supported"]) == ("course.yaml", 1)
    row = next(it for it in found["rows"] if it["row"] == 45)
    (one,) = row["claims"]
    assert (row["verdict"], one["study"], one["word"]) == ("supported", asked.id, "supported")
    mine()
    write(OWN, "suites/tiny.yaml")
    assert notes.verdicts(True, False, Path("none")) == 0
    (found,) = json.loads(capsys.readouterr().out)["registers"]
    assert (found["title"], found["counts"]["not yet tested"]) == ("My notes", 4)
    assert found["rows"][0]["claims"] == [{"suite": "tiny", "study": None, "note": "A:1"}]
