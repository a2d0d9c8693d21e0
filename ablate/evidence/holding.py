"""How many claims hold, and which do not: the answer of what is not trained, in a line."""

from collections.abc import Sequence
from typing import get_args

from ablate.evidence.collect import ComparisonEvidence, Evidence
from ablate.evidence.spelling import number, one_line, upper_first
from ablate.evidence.verdicts import Verdict, Word, judge, judge_comparison

HOLDS: tuple[Word, ...] = ("supported", "supported in direction")


def of_suite(evidence: Evidence) -> str:
    """Return the line of a suite that trains nothing, in several comparisons; "" of any other."""
    compared = evidence.comparisons
    if len(compared) < 2 or any(row.trials for it in compared for row in it.rows):
        return ""
    return sentences(judge(evidence))


def of_comparison(evidence: Evidence, comparison: ComparisonEvidence) -> str:
    """Return the line of a comparison, after its title; "" where it makes no claim."""
    said = sentences(judge_comparison(evidence, comparison))
    title = one_line(comparison.asked.title)
    return f"{title}{'' if title.endswith(tuple('?.!')) else ':'} {said}" if said else ""


def sentences(verdicts: Sequence[Verdict]) -> str:
    """Return how many claims hold, then those with any other verdict, by their lines.

    A line that makes several claims is named once for each verdict. What is not tested does not
    count, nor does a question, which is answered.
    """
    claims = [
        it for it in verdicts if it.claim.get("kind") != "question" and it.word != "not tested"
    ]
    held = sum(it.word in HOLDS for it in claims)
    said = []
    if len(claims) == held == 1:
        said.append("The claim holds.")
    elif claims and held == len(claims):
        said.append(f"All {number(held)} claims hold.")
    elif len(claims) > 1:
        of = f"of {number(len(claims))} claims"
        said.append(
            f"{number(held)} {of} hold{'s' * (held == 1)}." if held else f"None {of} holds."
        )
    for word in get_args(Word):
        notes = [one_line(str(it.claim.get("note", ""))) for it in verdicts if it.word == word]
        if notes and word not in HOLDS:
            said.append(f"{upper_first(word)}: {', '.join(dict.fromkeys(notes))}.")
    return " ".join(said)
