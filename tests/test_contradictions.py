"""Claims that contradict each other, and verdicts that are the same wherever they are read."""

import csv
import html
import json
import re
from pathlib import Path
from typing import Any

import pytest
from test_evidence import DROP_IN, EQUAL, NORMAL, Lab
from test_verdicts import EQUAL_TO, FASTER, ORDER, RATIO, claim, question
from tiny import changed, loaded

from ablate import commands
from ablate.evidence import contradictions
from ablate.evidence.collect import collect
from ablate.evidence.verdicts import Part, Verdict, Word, judge, judge_comparison
from ablate.report.render import render
from ablate.suite.source import SuiteError

WORSE = ORDER | {"note": "B:1"}
BETTER = ORDER | {"expect": "depthwise > normal", "note": "B:2", "contradicts": ["B:1"]}
OPEN = ORDER | {"metric": "psnr", "note": "B:2", "contradicts": ["B:1"]}


def lab_of(runs: Path, *claims: dict[str, Any], elsewhere: tuple[dict[str, Any], ...] = ()) -> Lab:
    """Return a lab with a variant that loses as a drop-in and wins at equal parameters."""
    lab = Lab(runs)
    rows = [
        lab.row("normal", NORMAL, params=80_000),
        lab.row("depthwise", DROP_IN, params=10_000),
        lab.row("depthwise", EQUAL, match=("params",), params=80_100, solved={"network.width": 44}),
    ]
    lab.compare(*rows, claims=[claim(**said) for said in claims])
    if elsewhere:
        lab.compare(*rows, id="elsewhere", claims=[claim(**said) for said in elsewhere])
    return lab


def judged(lab: Lab) -> tuple[Verdict, ...]:
    return judge(collect(lab.runs, lab.ask()))


def ending(verdict: Verdict) -> str:
    """Return what stands behind the finding and its scope."""
    return verdict.sentence[verdict.sentence.index(" Contradicts ") + 1 :]


@pytest.mark.parametrize(
    ("one", "other", "said"),
    [
        (WORSE | {"match": "none"}, BETTER | {"match": "none"},
         ("which is refuted", "which is supported", "B:1 holds, B:2 does not")),
        (WORSE | {"match": "none"}, BETTER | {"match": "params"},
         ("which is supported", "which is supported",
          "B:1 holds as a drop-in and B:2 holds at equal parameters")),
        (WORSE | {"match": "none"}, RATIO | {"about": 8, "note": "B:2", "contradicts": ["B:1"]},
         ("which is supported", "which is supported",
          "both hold, so they do not exclude each other here")),
        (WORSE | {"match": "params"}, BETTER | {"match": "none"},
         ("which is refuted", "which is refuted", "neither holds")),
        (WORSE, BETTER, ("which depends", "which depends",
         "B:1 holds as a drop-in and B:2 holds at equal parameters")),
        (WORSE, EQUAL_TO | {"match": "none", "note": "B:2", "contradicts": ["B:1"]},
         ("which is refuted", "which depends", "B:1 holds as a drop-in and B:2 holds nowhere")),
        (WORSE | {"match": "none"}, OPEN,
         ("which is not tested", "which is supported", "B:1 holds, B:2 is not decided")),
        (WORSE | {"match": "params"}, OPEN,
         ("which is not tested", "which is refuted", "B:1 does not hold, B:2 is not decided")),
        (WORSE, OPEN, ("which is not tested", "which depends",
         "B:1 holds in part, B:2 is not decided")),
        (FASTER | {"note": "B:1"}, OPEN,
         ("which is not tested", "which is not tested", "neither is decided")),
        (WORSE | {"match": "none"},
         question("depthwise", "normal", match="none", note="B:2", contradicts=["B:1"]),
         ("which is answered", "which is supported", "a question takes no side")),
    ],
)  # fmt: skip
def test_each_is_told_of_the_other_and_what_both_come_to(
    tmp_path: Path, one: dict[str, Any], other: dict[str, Any], said: tuple[str, str, str]
) -> None:
    first, second = judged(lab_of(tmp_path, one, other))
    assert ending(first) == f"Contradicts B:2, {said[0]}: {said[2]}."
    assert ending(second) == f"Contradicts B:1, {said[1]}: {said[2]}."
    assert [it["note"] for it in first.contradicts] == ["B:2"]
    assert second.contradicts == ({"note": "B:1", "comparison": "depthwise", "word": first.word},)
    # The order in which a suite makes them changes nothing.
    turned = judged(lab_of(tmp_path / "turned", other, one))
    assert turned == (second, first)


def test_a_contradiction_changes_no_verdict(tmp_path: Path) -> None:
    plain = {key: value for key, value in BETTER.items() if key != "contradicts"}
    alone = judged(lab_of(tmp_path / "alone", WORSE, plain))
    found = judged(lab_of(tmp_path / "linked", WORSE, BETTER))
    assert [it.word for it in found] == [it.word for it in alone]
    assert [it.parts for it in found] == [it.parts for it in alone]
    assert [it.contradicts for it in alone] == [(), ()]
    assert [it.sentence.startswith(that.sentence) for it, that in zip(found, alone, strict=True)]


def test_claims_of_other_comparisons_are_linked_and_named(tmp_path: Path) -> None:
    lab = lab_of(tmp_path, WORSE | {"match": "none"}, elsewhere=(BETTER | {"match": "none"},))
    evidence = collect(tmp_path, lab.ask())
    first, second = judge(evidence)
    assert ending(first).startswith("Contradicts B:2 (in elsewhere), which is refuted: ")
    assert ending(second).startswith("Contradicts B:1 (in depthwise), which is supported: ")
    # A page judges one comparison at a time, and says the same.
    by_page = [it for found in evidence.comparisons for it in judge_comparison(evidence, found)]
    assert by_page == [first, second]


def test_a_line_that_is_judged_twice_is_named_twice(tmp_path: Path) -> None:
    again = (WORSE | {"match": "params"},)
    lab = lab_of(tmp_path, WORSE | {"match": "none"}, BETTER | {"match": "none"}, elsewhere=again)
    _, found, _ = judged(lab)
    assert ending(found) == (
        "Contradicts B:1, which is supported: B:1 holds, B:2 does not. "
        "Contradicts B:1 (in elsewhere), which is refuted: neither holds."
    )


def test_a_claim_that_the_study_does_not_make_is_said(tmp_path: Path) -> None:
    (found,) = judged(lab_of(tmp_path, BETTER))
    assert ending(found) == "Contradicts B:1, which this study does not judge."
    assert found.contradicts == ()


# --- the language ---------------------------------------------------------------------------------

CLAIM = "kind: order, metric: accuracy, expect: dilated < normal, margin: 1"


def problems(*named: str) -> list[str]:
    lines = [
        f"      - {{note: 'B:6{number}', says: so, {CLAIM}, contradicts: [{names}]}}\n"
        for number, names in enumerate(named)
    ]
    try:
        found = loaded(changed(add=f"    claims:\n{''.join(lines)}")).problems
    except SuiteError as error:
        found = error.problems
    return [problem.message for problem in found]


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("named", "message"),
    [
        (("'B:66'", ""), "no claim of this suite cites 'B:66'; did you mean 'B:61'?"),
        (("'B:60'", ""), "'B:60' is this claim's own line; name another claim's"),
        (("'B:61', 'B:61'", ""), "'B:61' is given twice; give each claim once"),
        (("B61", ""), "'B61' is no reference; write a note and its line, "
         "for example A:113"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_contradiction_is_said(named: tuple[str, ...], message: str) -> None:
    (found,) = problems(*named)
    assert found == message


@pytest.mark.usefixtures("here")
def test_one_side_or_both_may_name_the_other() -> None:
    assert problems("'B:61'", "") == problems("'B:61'", "'B:60'") == []


def test_swept_claims_say_at_which_values_each_holds() -> None:

    made = [
        swept("A:113", 8, [("supported", 64), ("supported", 128), ("refuted", 512)]),
        swept("B:60", 9, [("refuted", 64), ("supported", 128), ("supported", 512)]),
    ]
    assert contradictions.resolution(*made) == (
        "A:113 holds at width 64 and 128; B:60 holds at width 128 and 512"
    )


def swept(note: str, about: int, places: list[tuple[Word, int]]) -> Verdict:
    parts = tuple(
        Part(("none",), {"network.width": width}, word, "", f"at width {width}", "", "arithmetic")
        for word, width in places
    )
    claim = RATIO | {"note": note, "about": about}
    return Verdict("depthwise", claim, "depends", "on the width", "", (), None, parts)


# --- one sentence everywhere ----------------------------------------------------------------------


def test_a_verdict_is_the_same_in_terminal_page_and_exports(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = (
        WORSE,
        BETTER,
        RATIO | {"about": 8, "note": "A:1"},
        RATIO | {"about": 9, "note": "A:2", "contradicts": ["A:1"]},
        question("depthwise", "normal", note="A:3"),
        FASTER | {"note": "A:4"},
        {"kind": "order", "metric": "params", "expect": "depthwise < all", "margin": 0,
         "note": "A:5"},
        EQUAL_TO | {"margin": 3.0, "note": "A:6", "match": "none"},
    )  # fmt: skip
    lab = lab_of(tmp_path, *asked)
    study = lab.ask()
    sentences = [it.sentence for it in judge(collect(tmp_path, study))]
    assert len(set(sentences)) == len(asked)

    commands.verdicts("s7", True, False, tmp_path)
    said = json.loads(capsys.readouterr().out)
    assert [it["sentence"] for it in said["verdicts"]] == sentences
    commands.verdicts("s7", False, False, tmp_path)
    lines = capsys.readouterr().out.splitlines()
    assert [line.strip() for line in lines if line.strip() in sentences] == sentences

    place = render(tmp_path, study, tmp_path / "reports")
    page = re.sub(r"<[^>]+>", " ", place.read_text(encoding="utf-8"))
    text = html.unescape(re.sub(r"\s+", " ", page))
    at = [text.index(re.sub(r"\s+", " ", sentence)) for sentence in sentences]
    assert at == sorted(at)  # in the order of the suite
    (table,) = (tmp_path / "reports").rglob("*-claims.csv")
    with table.open(encoding="utf-8", newline="") as file:
        assert [row["sentence"] for row in csv.DictReader(file)] == sentences
