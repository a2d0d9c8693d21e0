"""The baseline against itself (A/A): what these runs call a difference where there is none.

A control trains the baseline of a comparison again, with seeds that no row has. The two groups
differ in nothing but their seeds, so what stands between them is noise, and the spread of both
together says how small an effect can be seen beside it. The control's runs are in no row: the
baseline would otherwise have more runs than the study says.

==============================  ========================================================
interval of the difference      means
==============================  ========================================================
holds 0                         no difference, as it must be
does not hold 0, but begins     a difference, as one control in 20 shows one
within the margin
begins beyond the margin        a warning: by chance it is rarer still, so runs are not
                                independent, or the baseline was not the same
none                            nothing yet
==============================  ========================================================
"""

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal

from ablate.evidence import sources, welch
from ablate.evidence.collect import ComparisonEvidence, RowEvidence, Trial
from ablate.evidence.spelling import (
    bounds,
    counted,
    decimals,
    difference_unit,
    lower_first,
    number,
    one_line,
    signed,
    upper_first,
    variant_name,
    with_unit,
)

State = Literal["no difference", "by chance", "beyond the margin", "not known"]


@dataclass(frozen=True)
class Control:
    """What a baseline's further seeds show against its own."""

    comparison: str
    state: State
    seeds: tuple[int, int]  # with a value: of the baseline's row, and of the control
    planned: int  # seeds of the control
    difference: float | None  # of the means, baseline - control, in the unit of differences
    low: float | None  # of the interval, 95 %, by Welch
    high: float | None
    # Smallest true difference that rows of so many seeds, ours and the baseline's, show in 8 of 10
    # cases.
    detectable: float | None
    compared: tuple[int, int]
    refused: str = ""  # why the two are not compared

    def as_json(self) -> dict[str, Any]:
        """Return everything as JSON has it."""
        return asdict(self)


def of(comparison: ComparisonEvidence) -> Control | None:
    """Return what a comparison's control shows, None where none was asked for."""
    if not comparison.control:
        return None
    baseline = comparison.baseline
    ours, theirs = list(baseline.values.values()), _values(comparison.control)
    again = RowEvidence(baseline.asked, comparison.control, {}, {}, False, ())
    refused = sources.mixed((baseline, again))
    found = None if refused else welch.interval(ours, theirs)
    compared = (_fewest(comparison), len(ours))
    has_both = bool(ours and theirs) and not refused
    seen = None
    if found is not None and min(compared) > 1:
        spread = _pooled(ours, theirs)
        seen = welch.detectable(spread, compared[0], spread, compared[1], estimated=True)
    return Control(
        comparison=comparison.asked.id,
        state=_state(found, comparison.measure.margin),
        seeds=(len(ours), len(theirs)),
        planned=len(comparison.control),
        difference=welch.mean(ours) - welch.mean(theirs) if has_both else None,
        low=found.low if found else None,
        high=found.high if found else None,
        detectable=seen,
        compared=compared,
        refused=refused,
    )


def sentence(comparison: ComparisonEvidence) -> str | None:
    """Say what a comparison's control shows, None where none was asked for."""
    found = of(comparison)
    if found is None:
        return None
    measure = comparison.measure
    places, unit = decimals(measure.margin), difference_unit(measure.unit)
    name = variant_name(comparison.asked.baseline)
    lead = f"The baseline against itself, {name} with other seeds: {lower_first(measure.title)}"
    runs = f"({number(found.seeds[0])} against {counted(found.seeds[1], 'seed')})"
    if found.refused:
        return f"{lead} is not compared: {one_line(found.refused)}."
    if found.difference is None:
        done = sum(trial.outcome != "missing" for trial in comparison.control)
        return f"{lead} not known yet, {number(done)} of {counted(found.planned, 'trial')} done."
    change = with_unit(signed(found.difference, places), unit)
    if found.low is None or found.high is None:
        return f"{lead} differs by {change} {runs}: cannot tell, no interval can be had of these."
    low, high = found.low, found.high
    change = with_unit(f"{signed(found.difference, places)} {bounds(low, high, places)}", unit)
    margin = with_unit(number(measure.margin, places), unit)
    meaning = {
        "no difference": "no difference, as it must be",
        "by chance": "a difference where there is none, as one control in 20 shows",
        "beyond the margin": (
            f"warning: a difference beyond the margin of {margin} where there is none, so these "
            "intervals promise too much; ask for more seeds, and look whether the runs are "
            "independent"
        ),
    }[found.state]
    said = f"{lead} differs by {change} {runs}: {meaning}"
    if found.detectable is not None:
        ours, theirs = found.compared
        each = counted(ours, "seed") if ours == theirs else f"{ours} against {theirs} seeds"
        unpaired = ", unpaired," if comparison.asked.paired else ""
        size = with_unit(number(found.detectable, places), unit)
        said += f"; the smallest effect that {each}{unpaired} can see in 8 of 10 cases: {size}"
    return upper_first(f"{said}.")


def _state(found: welch.Interval | None, margin: float) -> State:
    if found is None:
        return "not known"
    if found.low <= 0 <= found.high:
        return "no difference"
    return "beyond the margin" if found.low > margin or found.high < -margin else "by chance"


def _values(control: tuple[Trial, ...]) -> list[float]:
    return [trial.value for trial in control if trial.value is not None]


def _fewest(comparison: ComparisonEvidence) -> int:
    """Return the fewest seeds with a value of a row that is compared with the baseline.

    Of the baseline itself where there is no such row.
    """
    compared = [
        len(row.values)
        for row in comparison.rows
        if row.trials and not row.is_fixed and comparison.reference_of(row) is comparison.baseline
    ]
    return min(compared, default=len(comparison.baseline.values))


def _pooled(ours: list[float], theirs: list[float]) -> float:
    """Return the spread (sd) of two groups of the same kind, each around its own mean."""
    squares = [(len(side) - 1) * (welch.deviation(side) or 0.0) ** 2 for side in (ours, theirs)]
    return math.sqrt(sum(squares) / (len(ours) + len(theirs) - 2))
