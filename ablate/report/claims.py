"""The claims and requirements that a study carries, judged, as tables."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ablate.evidence.collect import ComparisonEvidence, Evidence
from ablate.evidence.requirements import Verdict
from ablate.evidence.requirements import judged as judge
from ablate.evidence.spelling import one_line, upper_first, variant_name
from ablate.evidence.verdicts import Part, Word, judge_comparison, standing
from ablate.report.comparison import NONE
from ablate.report.tables import Cell, Column, Line, Table, Value, end
from ablate.study import Study

TONES: dict[Verdict, str] = {"met": "better", "not met": "worse", "not tested": "quiet"}
JUDGED: dict[Word, str] = {
    "supported": "better",
    "supported in direction": "better",
    "refuted": "worse",
    "not tested": "quiet",
}


def claims(evidence: Evidence, comparison: ComparisonEvidence) -> Table | None:
    """Return the table of a comparison's claims with their verdicts; None without any.

    A claim has a line in the order of the suite, whatever number of parts its verdict has; their
    numbers are in the CSV, as JSON.
    """
    study = evidence.study
    lines = []
    verdicts = judge_comparison(evidence, comparison)
    for verdict in verdicts:
        claim = verdict.claim
        note, says = str(claim.get("note", "")), str(claim.get("says", ""))
        values: dict[str, Value] = {
            "suite": study.suite,
            "comparison": comparison.asked.id,
            "note": note,
            "says": says,
            "kind": str(claim.get("kind", "")),
            "claim": json.dumps(claim, sort_keys=True),
            "verdict": verdict.word,
            "why": verdict.why or None,
            "sentence": verdict.sentence,
            "screening": "; ".join(verdict.screening) or None,
            **_numbers(verdict.parts),
            "parts": json.dumps(verdict.as_json()["parts"], sort_keys=True),
            "study": study.id,
        }
        cells = (
            Cell(one_line(note)),
            Cell(f"“{one_line(says)}”"),
            Cell(upper_first(str(claim.get("kind", ""))), (_terms(claim),)),
            Cell(
                upper_first(verdict.word),
                ("screening",) if verdict.screening else (),
                JUDGED.get(verdict.word, ""),
            ),
            Cell(verdict.sentence),
        )
        lines.append(Line(cells, values))
    if not lines:
        return None
    return Table(
        id=f"{comparison.asked.table}-claims",
        title=f"{end(comparison.asked.title)} Claims",
        notes=(
            _source(study, [line.values["note"] for line in lines]),
            "The words are the source's own; the line is that of the note.",
            "Each match is judged for itself. Where several trained or timed claims stand at one "
            "match, levels are Holm's, and the intervals drawn are the adjusted ones.",
            *standing(verdicts),
        ),
        caveats=tuple(map(_caveat, standing(verdicts))),
        columns=(
            Column("Line", numeric=False, whole=True),
            Column("Says", numeric=False),
            Column("Judged as", numeric=False),
            Column("Verdict", numeric=False),
            Column("Found", numeric=False),
        ),
        fields=tuple(lines[0].values),
        lines=tuple(lines),
    )


def requirements(evidence: Evidence) -> Table | None:
    """Return the table of a suite's requirements, a line for every part; None without any."""
    study = evidence.study
    lines = []
    for judged in judge(evidence):
        for at, part in enumerate(judged.parts):
            values: dict[str, Value] = {
                "suite": study.suite,
                "variant": judged.variant,
                "requirement": json.dumps(judged.requirement, sort_keys=True),
                "metric": part.metric,
                "bound": part.bound,
                "limit": part.limit,
                "value": part.value,
                "found": part.found,
                "verdict": part.verdict,
                "reason": part.reason or None,
                "overall": judged.verdict,
                "study": study.id,
            }
            below = (f"overall: {judged.verdict}",) if at == 0 else ()
            cells = (
                Cell(variant_name(judged.variant), below),
                Cell(one_line(part.asked)),
                Cell(part.found) if part.found else NONE,
                Cell(part.verdict, (part.reason,) if part.reason else (), TONES[part.verdict]),
            )
            lines.append(Line(cells, values))
    if not lines:
        return None
    return Table(
        id=f"tbl-{study.suite}-requirements",
        title="Requirements",
        notes=(
            "Of the full network of each variant, as a drop-in. What follows from its structure is "
            "arithmetic. What takes training is met where every seed reaches it, and not tested "
            "where anything else was trained: another network, for fewer epochs, on fewer images "
            "or on other data.",
            _source(study),
        ),
        columns=(
            Column("Variant", numeric=False),
            Column("Asked", numeric=False),
            Column("Found", numeric=False),
            Column("Verdict", numeric=False),
        ),
        fields=tuple(lines[0].values),
        lines=tuple(lines),
    )


def _source(study: Study, cited: Sequence[Value] = ()) -> str:
    """Name the notes that are cited (`A:113`), by their letters, or else the suite's source."""
    letters = dict.fromkeys(str(reference).partition(":")[0] for reference in cited)
    titles = [
        f"{letter}, {one_line(study.notes[letter])}" for letter in letters if letter in study.notes
    ]
    if titles:
        return f"Notes: {end('; '.join(titles))}"
    if study.source is None:
        return "The suite names no source."
    note, title = study.source.get("note"), study.source.get("title")
    named = ", ".join(one_line(part) for part in (note and f"note {note}", title) if part)
    return f"Source: {end(named)}"


def _caveat(said: str) -> str:
    """Return why a claim may not be cited: `A:111: the claim was added after …`."""
    return said.removeprefix("Screening, not to be cited (").replace("): ", ": ", 1)


def _numbers(parts: Sequence[Part]) -> dict[str, Value]:
    """Return the numbers of a verdict of one part; of several none is the claim's."""
    one = parts[0] if len(parts) == 1 else None
    names = ("estimate", "low", "high", "level", "margin")
    return {
        **{name: getattr(one, name, None) for name in names},
        "runs": "+".join(map(str, one.runs)) if one and one.runs else None,
        "seeds_to_decide": one.seeds if one else None,
    }


def _terms(claim: Mapping[str, Any]) -> str:
    """Spell what a claim says beside its words: `metric accuracy, expect a < b, margin 0.5`."""
    said = {k: v for k, v in claim.items() if k not in ("note", "says", "kind")}
    return ", ".join(
        f"{key.replace('_', ' ')} {_plain(value)}"
        for key, value in sorted(said.items(), key=lambda item: (item[0] != "metric", item[0]))
        if value not in (None, False, {}, [])
    )


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return one_line(", ".join(f"{key} {_plain(of)}" for key, of in sorted(value.items())))
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, list):
        return one_line(", ".join(map(_plain, value)))
    return one_line(value if isinstance(value, str) else json.dumps(value, sort_keys=True))
