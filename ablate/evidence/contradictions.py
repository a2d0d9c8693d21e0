"""Claims that contradict each other, each told of the other and of its verdict.

A claim names the lines of those that it contradicts (`contradicts: ["B:60"]`); one of the two is
enough. What both verdicts come to is said in the same words on either side:

====================================  =============================================================
words of the two                      resolution
====================================  =============================================================
one holds, the other is refuted       the one holds and the other does not
both hold                             both hold, so they do not exclude each other here
                                      (and where each does, if that is not at the same matches)
both refuted                          neither holds
one holds at some matches or          where each of them holds
settings and not at others
one is open or not tested             the other alone is decided, and how
both are                              neither is decided
one is a question                     a question takes no side
====================================  =============================================================

A claim holds that is supported, supported in direction, or true but negligible.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ablate.evidence.spelling import listed, one_line

if TYPE_CHECKING:
    from ablate.evidence.collect import ComparisonEvidence, Evidence
    from ablate.evidence.verdicts import Verdict

_HOLDS = ("supported", "supported in direction", "true but negligible")


def partners(
    evidence: "Evidence", comparison: "ComparisonEvidence", claim: Mapping[str, Any]
) -> list[tuple[str, str]]:
    """Return the comparison and the line of every claim that contradicts one, in their order.

    Claims are told apart by comparison and line: two comparisons may make the same claim.
    """
    note = claim.get("note")
    named = _named(claim)
    return [
        (place, other)
        for place, other, back in _all(evidence)
        if other != note
        and (other in named or note in back)
        and (place, other) != (comparison.asked.id, note)
    ]


def absent(evidence: "Evidence", claim: Mapping[str, Any]) -> list[str]:
    """Return the lines that a claim contradicts and that this study does not judge."""
    known = {note for _, note, _ in _all(evidence)}
    return [note for note in _named(claim) if note not in known]


def told(
    verdict: "Verdict", others: Sequence["Verdict"], not_asked: Sequence[str] = ()
) -> tuple[str, ...]:
    """Return a sentence for every claim that a verdict's own contradicts.

    Args:
        verdict: of the claim.
        others: of those that it contradicts.
        not_asked: lines of those that the study does not judge.
    """
    found = []
    for other in others:
        line = note_of(other)
        place = ""
        if other.comparison != verdict.comparison:
            place = f" (in {one_line(other.comparison)})"
        what = "which depends" if other.word == "depends" else f"which is {other.word}"
        both = sorted((verdict, other), key=lambda one: (note_of(one), one.comparison))
        found.append(f"Contradicts {line}{place}, {what}: {resolution(*both)}.")
    return (
        *found,
        *(f"Contradicts {line}, which this study does not judge." for line in not_asked),
    )


def resolution(one: "Verdict", other: "Verdict") -> str:
    """Say what the verdicts on two claims that contradict each other come to."""
    names = [note_of(one), note_of(other)]
    kinds = [_kind(one), _kind(other)]
    if "question" in kinds:
        return "a question takes no side"
    if kinds == ["open", "open"]:
        return "neither is decided"
    if "open" in kinds:
        decided = 1 - kinds.index("open")
        left = names[1 - decided]
        return f"{names[decided]} {_SAID[kinds[decided]]}, {left} is not decided"
    if kinds == ["fails", "fails"]:
        return "neither holds"
    if set(kinds) == {"holds", "fails"}:
        holds, fails = names if kinds[0] == "holds" else names[::-1]
        return f"{holds} holds, {fails} does not"
    places = [_places(verdict) for verdict in (one, other)]
    if kinds == ["holds", "holds"] and set(places[0]) == set(places[1]):
        return "both hold, so they do not exclude each other here"
    said = [_where(name, there) for name, there in zip(names, places, strict=True)]
    return listed(said) if max(map(len, places)) < 2 else "; ".join(said)


def alone(verdict: "Verdict") -> str:
    """Say of one claim whether and where it holds: `A:113 holds at width 16, 32 and 64`."""
    kind = _kind(verdict)
    if kind == "partly":
        return _where(note_of(verdict), _places(verdict))
    words = {"question": "is a question", "open": "is not decided"} | _SAID
    return f"{note_of(verdict)} {words[kind]}"


def _where(name: str, there: Sequence[str]) -> str:
    return f"{name} holds {listed(_shortly(there))}".rstrip() if there else f"{name} holds nowhere"


_SAID = {"holds": "holds", "fails": "does not hold", "partly": "holds in part"}


def note_of(verdict: "Verdict") -> str:
    """Return the line of a verdict's claim."""
    return one_line(str(verdict.claim.get("note", "")))


def _kind(verdict: "Verdict") -> str:
    if verdict.claim.get("kind") == "question":
        return "question"
    if verdict.word in _HOLDS:
        return "holds"
    return {"refuted": "fails", "depends": "partly"}.get(verdict.word, "open")


def _places(verdict: "Verdict") -> list[str]:
    """Return where a claim holds: at which matches and settings, or along its sweep."""
    return [part.where for part in verdict.parts if part.word in _HOLDS]


def _shortly(places: Sequence[str]) -> list[str]:
    """Return places without the value's name after the first: `at width 16`, `32`, `64`."""
    name = places[0].rpartition(" ")[0] + " "
    alike = all(place.startswith(name) for place in places)
    return [places[0], *(place.removeprefix(name) if alike else place for place in places[1:])]


def _named(claim: Mapping[str, Any]) -> list[str]:
    found = claim.get("contradicts")
    return [str(note) for note in found] if isinstance(found, list) else []


def _all(evidence: "Evidence") -> Iterable[tuple[str, str, list[str]]]:
    """Yield each claim's comparison, line, and the lines that it contradicts, each line once."""
    seen: dict[tuple[str, str], list[str]] = {}
    for comparison in evidence.comparisons:
        for claim in comparison.asked.claims:
            key = (comparison.asked.id, str(claim.get("note", "")))
            seen.setdefault(key, []).extend(_named(claim))
    yield from ((place, note, back) for (place, note), back in seen.items())
