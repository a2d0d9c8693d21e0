"""The table of the noise floor: what seeds alone do, and the smallest effect they let be seen."""

from collections.abc import Sequence

from ablate.evidence import control
from ablate.evidence.collect import ComparisonEvidence, Evidence
from ablate.evidence.contrast import contrasts
from ablate.evidence.spelling import (
    between,
    bounds,
    decimals,
    difference_unit,
    lower_first,
    number,
    one_line,
    signed,
    variant_name,
    with_unit,
)
from ablate.report.comparison import NONE
from ablate.report.tables import Cell, Column, Line, Table, Value


def noise(evidence: Evidence) -> Table | None:
    """Return the table of a suite's noise, a line a comparison; None where no row has two seeds."""
    study = evidence.study
    lines = [line for found in evidence.comparisons if (line := _line(study.suite, found))]
    if not lines:
        return None
    return Table(
        id=f"tbl-{study.suite}-noise",
        title="Noise floor",
        notes=(
            "How much results vary where nothing but the seed does. A seed decides the initial "
            "weights, the order and augmentation of the data, any subset. sd: the largest standard "
            "deviation over seeds of a row. Itself: the baseline against the same with further "
            "seeds, an A/A control, with its 95 % interval (Welch); – where the suite asks for "
            "none (`control: 5`, or `--control 5`). Smallest effect: the smallest true difference "
            "that the row with the widest interval shows in 8 of 10 cases. Seeds for the margin: a "
            "row, to so show a difference of the margin.",
        ),
        columns=(
            Column("Comparison", numeric=False),
            Column("Read by", numeric=False),
            Column("sd"),
            Column("Itself", "[95 %]"),
            Column("Smallest effect"),
            Column("Margin"),
            Column("Seeds", "a row"),
            Column("Seeds for the margin", "a row"),
        ),
        fields=tuple(lines[0].values),
        lines=tuple(lines),
    )


def _line(suite: str, found: ComparisonEvidence) -> Line | None:
    measure = found.measure
    rows = contrasts(found)
    spreads = [c.deviation for c in rows if c.deviation is not None and not c.row.is_fixed]
    if not spreads:
        return None
    itself = control.of(found)
    seen = max((c.detectable for c in rows if c.detectable is not None), default=None)
    needed = max((c.seeds_to_detect for c in rows if c.seeds_to_detect is not None), default=None)
    places, unit = decimals(measure.margin), difference_unit(measure.unit)
    seeds = [len(row.values) for row in found.rows if row.values and not row.is_fixed]
    difference, low, high = (
        (itself.difference, itself.low, itself.high) if itself else (None, None, None)
    )

    def spelled(value: float | None, more: int = 0) -> Cell:
        return NONE if value is None else Cell(with_unit(number(value, places + more), unit))

    return Line(
        (
            Cell(
                one_line(found.asked.title),
                (f"baseline {variant_name(found.asked.baseline)}",),
                link=f"#{found.asked.table}",
            ),
            Cell(lower_first(measure.title)),
            spelled(max(spreads), 1),
            _itself(difference, low, high, places),
            spelled(seen),
            spelled(measure.margin),
            Cell(between(seeds, "seed").partition(" seed")[0]),
            NONE if needed is None else Cell(number(needed)),
        ),
        _values(suite, found, max(spreads), (difference, low, high), seen, needed, seeds),
    )


def _itself(difference: float | None, low: float | None, high: float | None, places: int) -> Cell:
    if difference is None:
        return NONE
    if low is None or high is None:
        return Cell(f"{signed(difference, places)} [no interval]")
    return Cell(f"{signed(difference, places)} {bounds(low, high, places)}")


def _values(
    suite: str,
    found: ComparisonEvidence,
    spread: float,
    itself: Sequence[float | None],
    seen: float | None,
    needed: int | None,
    seeds: Sequence[int],
) -> dict[str, Value]:
    return {
        "suite": suite,
        "comparison": found.asked.id,
        "baseline": found.asked.baseline,
        "metric": found.measure.name,
        "unit": difference_unit(found.measure.unit),
        "sd": spread,
        "difference": itself[0],
        "low": itself[1],
        "high": itself[2],
        "detectable": seen,
        "margin": found.measure.margin,
        "least_seeds": min(seeds),
        "seeds_to_detect": needed,
    }
