"""The line that answers what trains nothing: how many claims hold, and which do not."""

from typing import Any

import pytest

from ablate.evidence import holding
from ablate.evidence.verdicts import Verdict
from ablate.report import footnotes
from ablate.report.tables import Cell, Line


def verdict(note: str, word: Any, kind: str = "count") -> Verdict:
    return Verdict("conv", {"note": note, "kind": kind}, word, "", "", (), None)


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ([], ""),
        ([("A:1", "supported")], "The claim holds."),
        ([("A:1", "refuted")], "Refuted: A:1."),
        ([("A:1", "supported"), ("A:2", "supported in direction")], "All 2 claims hold."),
        ([("A:1", "refuted"), ("A:2", "depends")], "None of 2 claims holds. Refuted: A:1. "
         "Depends: A:2."),
        # One line with two claims that fail is named once.
        ([("A:1", "refuted"), ("A:1", "refuted"), ("B:2", "supported")],
         "1 of 3 claims holds. Refuted: A:1."),
    ],
)  # fmt: skip
def test_what_is_said(found: list[tuple[str, str]], said: str) -> None:
    assert holding.sentences([verdict(*one) for one in found]) == said


def test_what_is_not_tested_does_not_count() -> None:
    found = [verdict("A:1", "not tested"), verdict("A:2", "supported"), verdict("A:3", "refuted")]
    assert holding.sentences(found) == "1 of 2 claims holds. Refuted: A:3. Not tested: A:1."


def test_a_question_is_no_claim() -> None:
    found = [verdict("A:1", "answered", "question"), verdict("A:2", "supported")]
    assert holding.sentences(found) == "The claim holds. Answered: A:1."


def test_a_long_reason_becomes_a_note_once() -> None:
    reason = "every output sees the whole image, through network.features.1.block.1.avgpool"
    invalid, short = Cell("invalid", (reason,), "worse"), Cell("invalid", ("no value",), "worse")
    other = Cell("3", ("half",))
    lines = [Line((invalid, short), {}), Line((other, invalid), {})]
    found, notes = footnotes.moved(lines)
    assert notes == (f"Note a: {reason}.",)
    assert [line.cells for line in found] == [
        (Cell("invalid", ("note a",), "worse"), short),
        (other, Cell("invalid", ("note a",), "worse")),
    ]
