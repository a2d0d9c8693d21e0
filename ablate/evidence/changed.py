"""Claims and margins that were changed after the trials they are judged by existed.

A margin that was chosen when the results were known decides nothing. A study is written down
before its first trial, so the studies of a suite say what was asked when. What a study asks is held
against the last one that asked for the same rows before these had trials or, where none is on
record that is so old, the first that asked for them. What differs, and what was not claimed at all,
is labelled, and so is a comparison whose margin differs.

A claim speaks of several rows, and can be seen to hold or not once each of them has a trial: so its
trials exist from the moment at which the last of its rows had one begun. What was asked before that
moment was asked beforehand. Of arithmetic and of times nothing is said.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from ablate.records import Record, canonical
from ablate.study import ComparisonAsked, Row, Study
from ablate.suite.claims import ALL, Claim

_CLAIM: TypeAdapter[Any] = TypeAdapter(Claim)
# Of a claim: what says nothing of how it is judged.
_NAMES = ("note", "says", "contradicts")
_WORDS = {
    "about": "number",
    "at": "setting",
    "at_least": "least",
    "at_most": "most",
    "between": "list of variants",
    "equals": "number",
    "expect": "expectation",
    "high": "upper limit",
    "low": "lower limit",
    "of": "variant",
}


@dataclass(frozen=True)
class Earlier:
    """What an older study of the suite asked, as far as it matters here."""

    created: str
    trials: frozenset[str]
    margins: Mapping[tuple[str, str], float]  # by comparison and the metric that it is read by
    claims: tuple[Mapping[str, Any], ...]


def earlier(runs: Path, study: Study) -> tuple[Earlier, ...]:
    """Return the older studies of the same suite, the oldest first.

    One that cannot be read says nothing.
    """
    found = []
    for path in sorted((runs / "studies").glob(f"{study.suite}-*/study.json")):
        try:
            stored = json.loads(path.read_text(encoding="utf-8"))
            if stored["suite"] == study.suite and stored["created"] < study.created:
                found.append(_of(stored))
        except (OSError, ValueError, RecursionError, KeyError, TypeError, AttributeError):
            continue
    return tuple(sorted(found, key=lambda one: (one.created, sorted(one.trials))))


def of_margin(
    study: Study,
    before: Sequence[Earlier],
    comparison: ComparisonAsked,
    trials: Mapping[str, Record],
) -> str:
    """Say that the margin of a comparison is another than before its trials; "" if it is not.

    Args:
        study: that asks it now.
        before: the older studies, the oldest first.
        comparison: as it is asked now.
        trials: what there is of its trials, by id.
    """
    measure = comparison.measure
    key = (comparison.id, measure.name)
    with_it = [one for one in before if key in one.margins]
    first, when = _first(study, with_it, comparison.rows, trials)
    if first is None or first.margins[key] == measure.margin:
        return ""
    return _upper(_was("margin", first.margins[key], measure.margin, when))


def of_claims(
    study: Study,
    before: Sequence[Earlier],
    comparison: ComparisonAsked,
    trials: Mapping[str, Record],
) -> dict[str, str]:
    """Say of each claim that was changed or added after its trials what was, by `key_of`.

    Args:
        study, before, comparison, trials: as of `of_margin`.
    """
    said = {}
    now = [_terms(claim) for claim in comparison.claims]
    for claim, terms in zip(comparison.claims, now, strict=True):
        try:
            names = _CLAIM.validate_python(claim).variants()
        except (ValidationError, TypeError):
            continue
        # Of one variant against all others, each of them is a row that it is about.
        is_of_all = ALL in str(claim.get("expect", "")).replace(",", " ").split()
        rows = [row for row in comparison.rows if is_of_all or row.variant in names]
        first, when = _first(study, before, rows, trials)
        if first is None:
            continue
        of_same = [other for other in first.claims if _source(other) == _source(claim)]
        if any(_terms(other) == terms for other in of_same):
            continue
        # Those that are claimed still are the former state of no other.
        former = [old for old in map(_terms, of_same) if old not in now]
        if former:
            closest = min(former, key=lambda old: len(list(_differing(old, terms))))
            what = [_was(*each, when) for each in _differing(closest, terms)]
            said[key_of(claim)] = _upper("; ".join(what))
        else:
            said[key_of(claim)] = (
                f"The claim was added after its first trials were trained, {when}."
            )
    return said


def key_of(claim: Mapping[str, Any]) -> str:
    """Return what stands for a claim as a study has it."""
    return canonical(dict(claim))


def _of(stored: Mapping[str, Any]) -> Earlier:
    comparisons = stored["comparisons"]
    return Earlier(
        created=str(stored["created"]),
        trials=frozenset(
            id for one in comparisons for row in one["rows"] for id in row["trials"].values()
        ),
        margins={
            (str(one["id"]), str(one["measure"]["name"])): float(one["measure"]["margin"])
            for one in comparisons
        },
        claims=tuple(dict(claim) for one in comparisons for claim in one["claims"]),
    )


def _first(
    study: Study, before: Sequence[Earlier], rows: Sequence[Row], trials: Mapping[str, Record]
) -> tuple[Earlier | None, str]:
    """Return the study that says what was asked beforehand, and when the rows had trials.

    None where this study is that one, or the rows have no trials yet.
    """
    trained = [list(row.trials.values()) for row in rows if row.trials]
    begun = [
        min((trials[id].started for id in ids if id in trials), default=None) for ids in trained
    ]
    when = max((at for at in begun if at is not None), default=None)
    if when is None or None in begun or when >= study.created:
        return None, ""
    asking = [one for one in before if all(one.trials & set(ids) for ids in trained)]
    beforehand = [one for one in asking if one.created <= when]
    found = beforehand[-1] if beforehand else next(iter(asking), None)
    return found, f"on {when[:10]}"


def _source(claim: Mapping[str, Any]) -> tuple[str, str]:
    return str(claim.get("note")), str(claim.get("metric"))


def _terms(claim: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a claim is judged by; what came to the language later has its default."""
    try:
        claim = _CLAIM.validate_python(dict(claim)).model_dump(mode="json")
    except ValidationError:
        claim = dict(claim)
    return {key: value for key, value in claim.items() if key not in _NAMES}


def _differing(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    for key in sorted({*old, *new}):
        if old.get(key) != new.get(key):
            yield key, old.get(key), new.get(key)


def _was(key: str, old: Any, new: Any, when: str) -> str:
    word = _WORDS.get(key, key.replace("_", " "))
    return (
        f"the {word} was {_shown(old)} when its first trials were trained, {when}; "
        f"it is {_shown(new)} now"
    )


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value in (None, {}, []):
        return "not said"
    if isinstance(value, int | float):
        return f"{value:g}"
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)


def _upper(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."
