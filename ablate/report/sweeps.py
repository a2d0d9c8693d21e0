"""The table of what claims sweep: a line for every value, with the numbers and what they mean."""

import json
import math
from collections.abc import Mapping
from typing import Any

from ablate.evidence.collect import ComparisonEvidence
from ablate.evidence.spelling import (
    byte_count,
    lower_first,
    number,
    one_line,
    quantity,
    upper_first,
    variant_name,
)
from ablate.evidence.sweeps import Judged, Place
from ablate.evidence.verdicts import swept
from ablate.report.comparison import NONE
from ablate.report.tables import Cell, Column, Line, Table, Value, end
from ablate.study import Study

TONES = {"supported": "better", "refuted": "worse", "invalid": "worse", "not tested": "quiet"}


def sweeps(study: Study, comparison: ComparisonEvidence) -> Table | None:
    """Return the table of all values that the claims of a comparison sweep; None without any."""
    lines = [
        Line(_cells(claim, found, place, first), _values(study, comparison, claim, found, place))
        for claim, found in swept(comparison)
        for first, place in zip((True, *(False for _ in found.places)), found.places, strict=False)
    ]
    if not lines:
        return None
    return Table(
        id=f"{comparison.asked.table}-sweeps",
        title=f"{end(comparison.asked.title)} Sweeps",
        notes=(
            "Arithmetic of the full networks as drop-ins, with other settings than theirs: exact, "
            "nothing is trained. Each value is judged by itself; a trend is judged over all.",
        ),
        columns=(
            Column("Line", numeric=False, whole=True),
            Column("Fact", numeric=False),
            Column("At", numeric=False),
            Column("First"),
            Column("Second"),
            Column("Ratio"),
            Column("Claimed"),
            Column("There", numeric=False),
        ),
        fields=tuple(lines[0].values),
        lines=tuple(lines),
    )


def _cells(
    claim: Mapping[str, Any], found: Judged, place: Place, is_first: bool
) -> tuple[Cell, ...]:
    names = [variant_name(row.asked.variant) for row in found.rows]
    values = [
        Cell(_spelled(value, found.unit), (name,))
        for value, name in zip(place.values, names, strict=False)
    ]
    ratio = _ratio(place)
    told = found.unit in ("", "B") or found.unit in found.title
    title = found.title if told else f"{found.title}, {found.unit}"
    word = "–" if claim.get("kind") == "trend" else upper_first(place.word)
    return (
        Cell(one_line(str(claim.get("note", "")))),
        Cell(title) if is_first else Cell(title, tone="quiet"),
        Cell(_at(place)),
        *[*values, NONE, NONE][:2],
        Cell(number(ratio, 2)) if ratio is not None else NONE,
        Cell(_band(found)) if found.wanted is not None else NONE,
        Cell(word, (place.why,) if place.why else (), TONES.get(place.word, "")),
    )


def _values(
    study: Study,
    comparison: ComparisonEvidence,
    claim: Mapping[str, Any],
    found: Judged,
    place: Place,
) -> dict[str, Value]:
    names = [row.asked.variant for row in found.rows]
    low, high = found.wanted or (None, None)
    return {
        "suite": study.suite,
        "comparison": comparison.asked.id,
        "note": str(claim.get("note", "")),
        "kind": str(claim.get("kind", "")),
        "metric": str(claim.get("metric", "")),
        "unit": found.unit,
        "at": json.dumps(dict(place.settings), sort_keys=True),
        "first": names[0],
        "second": names[1] if len(names) > 1 else None,
        "first_value": place.values[0] if place.values else None,
        "second_value": place.values[1] if len(place.values) > 1 else None,
        "ratio": _ratio(place),
        "claimed_low": None if low is None or math.isinf(low) else low,
        "claimed_high": None if high is None or math.isinf(high) else high,
        "verdict": None if claim.get("kind") == "trend" else place.word,
        "why": place.why or None,
        "study": study.id,
    }


def _ratio(place: Place) -> float | None:
    """Return the ratio of two values, None where there is none."""
    if len(place.values) != 2 or not place.values[1]:
        return None
    return place.values[0] / place.values[1]


def _at(place: Place) -> str:
    return one_line(
        ", ".join(
            f"{lower_first(path.removeprefix('network.'))} {_plain(value)}"
            for path, value in place.settings.items()
        )
    )


def _band(found: Judged) -> str:
    """Spell the numbers that a claim wants: `7.2 to 8.8`, `≤ 20,000`."""
    assert found.wanted is not None  # asked of claims with numbers only
    low, high = found.wanted
    if math.isinf(high):
        return f"≥ {_spelled(low, found.unit)}"
    if math.isinf(low) or (found.scale == "ratio" and low <= 0):
        return f"≤ {_spelled(high, found.unit)}"
    if low == high:
        return _spelled(low, found.unit)
    return f"{_spelled(low, found.unit)} to {_spelled(high, found.unit)}"


def _spelled(value: float, unit: str) -> str:
    if unit == "B":
        return byte_count(value)
    return number(value) if float(value).is_integer() else quantity(value)


def _plain(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
