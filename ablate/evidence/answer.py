"""What came out, in sentences: the same ones at the top of a page and at the end of a run."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ablate.evidence import citable, control, holding, saving, welch
from ablate.evidence.collect import ComparisonEvidence, Evidence, RowEvidence
from ablate.evidence.contrast import Contrast, contrasts
from ablate.evidence.effects import SAME, UNKNOWN
from ablate.evidence.naming import images, network
from ablate.evidence.spelling import (
    between,
    bounds,
    counted,
    decimals,
    difference_unit,
    listed,
    lower_first,
    match_name,
    number,
    ratio,
    signed,
    upper_first,
    variant_name,
    with_unit,
)
from ablate.study import Study

ALIKE = 0.05  # A budget within 5 % of the reference's goes without saying.


@dataclass(frozen=True)
class Answer:
    """What one comparison found, for which setting, and what speaks against citing it."""

    comparison: ComparisonEvidence
    findings: tuple[str, ...]  # a sentence for every variant, and what would settle an open one
    scope: str  # the network, data and budget that the findings hold for
    reasons: tuple[str, ...]  # why the numbers may not be cited; () if they may


def answers(evidence: Evidence) -> tuple[Answer, ...]:
    """Return the answer of every comparison of a study."""
    return tuple(
        Answer(
            comparison,
            _findings(evidence, comparison),
            scope(evidence.study, comparison),
            tuple(citable.reasons(evidence.study, comparison)),
        )
        for comparison in evidence.comparisons
    )


def lines(evidence: Evidence) -> list[str]:
    """Return the answers as lines for a terminal."""
    found = [said] if (said := holding.of_suite(evidence)) else []
    for answer in answers(evidence):
        found += [*answer.findings, f"  {answer.scope}"]
        if answer.reasons:
            found.append(f"  Screening, not to be cited. {' '.join(answer.reasons)}")
    return found


def scope(study: Study, comparison: ComparisonEvidence) -> str:
    """Return the sentence that says which network, data, budget and device the findings are of."""
    ok = [trial for trial in comparison.trials().values() if trial.outcome == "ok"]
    steps = {trial.steps for trial in ok if trial.steps is not None}
    seeds = [len(row.values) for row in comparison.rows if row.trials]
    if not seeds:
        what = "Facts and measurements" if comparison.passes else "Facts"
        return f"{what} of {counted(len(comparison.rows), 'network')} as built."
    parts = [
        f"Trained: {network(comparison.baseline.asked.config)}",
        images(comparison),
        *([between(steps, "optimizer step")] if steps else []),
        f"{study.device} in {study.precision}",
        f"{between(seeds, 'seed')} a row",
    ]
    how = "of the differences, paired by seed" if comparison.asked.paired else "Welch, over seeds"
    return "; ".join(parts) + f". Intervals: 95 %, {how}."


def _findings(evidence: Evidence, comparison: ComparisonEvidence) -> tuple[str, ...]:
    if not any(row.trials for row in comparison.rows):
        said = holding.of_comparison(evidence, comparison)
        return (said,) if said else ()
    by_variant: dict[tuple[str, str], list[Contrast]] = {}
    for contrast in contrasts(comparison):
        if contrast.reference is not None and contrast.effect is not None:
            names = (contrast.row.asked.variant, contrast.reference.asked.variant)
            by_variant.setdefault(names, []).append(contrast)
    title = lower_first(comparison.measure.title)
    found = [
        f"{upper_first(variant_name(variant))} in place of {variant_name(reference)}: {title} "
        + "; ".join(_part(comparison, contrast) for contrast in rows)
        + "."
        for (variant, reference), rows in by_variant.items()
    ]
    if len(comparison.rows) == 1:
        found += _alone(comparison)
    everything = [contrast for rows in by_variant.values() for contrast in rows]
    if open_question := _what_would_settle(comparison, everything):
        found.append(open_question)
    if itself := control.sentence(comparison):
        found.append(itself)
    return (*found, *saving.findings(comparison))


def _alone(comparison: ComparisonEvidence) -> Iterable[str]:
    """Say what a row shows that nothing is compared with."""
    (row,) = comparison.rows
    values = list(row.values.values())
    if not values:
        return
    measure, places = comparison.measure, decimals(comparison.measure.margin)
    mean = with_unit(number(welch.mean(values), places), measure.unit)
    title = lower_first(measure.title)
    yield (
        f"{upper_first(variant_name(row.asked.variant))}: {title} {mean}, the lowest of "
        f"{counted(len(values), 'seed')} {with_unit(number(min(values), places), measure.unit)}."
    )


def _part(comparison: ComparisonEvidence, contrast: Contrast) -> str:
    """Say what one row showed, in the middle of a sentence that began with the metric."""
    reference = contrast.reference
    assert reference is not None  # only what is compared with one is a finding
    where = _where(contrast.row, reference)
    difference, interval = contrast.difference, contrast.interval
    margin, places = comparison.measure.margin, decimals(comparison.measure.margin)
    unit = difference_unit(comparison.measure.unit)
    if contrast.refused:
        return f"not compared {where}: {contrast.refused}"
    if difference is None:
        return f"not known yet {where}, {_progress(contrast.row, reference)}"
    change = f"changes by {with_unit(signed(difference, places), unit)}"
    if contrast.is_exact:
        return f"{change} {where}: exact, nothing of either is trained"
    if contrast.left_out:
        where += f", without {counted(contrast.left_out, 'seed')} that only one of the two has"
    if interval is None:
        seeds = min(len(contrast.row.values), len(reference.values))
        seeds = seeds if contrast.pairs is None else contrast.pairs
        why = "from one seed" if seeds < 2 else "the seeds do not vary"
        return f"{change} {where}: cannot tell, {why}"
    span = bounds(interval.low, interval.high, places)
    if contrast.effect == SAME:
        return f"{change} {span} {where}: no practical difference, within ±{number(margin, places)}"
    if contrast.effect == UNKNOWN and interval.low <= 0 <= interval.high:
        return f"{change} {span} {where}: cannot tell"
    direction = "higher" if difference > 0 else "lower"
    size = f"{with_unit(number(abs(difference), places), unit)} {direction} {span} {where}"
    if contrast.effect == UNKNOWN:
        return f"{size}: cannot tell whether by more than {number(margin, places)}"
    return size


def _where(row: RowEvidence, reference: RowEvidence) -> str:
    """Say what the row held equal, and what its network costs against the reference's.

    The costs are those of the network that was trained, since the finding is about that one.
    """
    budgets = {
        "params": ratio(row.trained.get("params"), reference.trained.get("params")),
        "macs": ratio(row.trained.get("macs"), reference.trained.get("macs")),
    }
    names = {"params": "parameters", "macs": "MACs"}
    unequal = {
        key: found
        for key, found in budgets.items()
        if found is not None and key not in row.asked.match and abs(found - 1) > ALIKE
    }
    if "none" in row.asked.match:
        costs = [_cost(unequal["params"], names["params"])] if "params" in unequal else []
        return f"{f'with {listed(costs)} ' if costs else ''}({match_name(row.asked)})"
    costs = [_cost(found, names[key]) for key, found in unequal.items()]
    return f"at {match_name(row.asked)}" + (f" with {listed(costs)}" if costs else "")


def _cost(found: float, name: str) -> str:
    """Say `6.7 times fewer parameters`, with one decimal: a sentence is no table."""
    if found == 0:
        return f"no {name}"
    size = 1 / found if found < 1 else found
    spelled = number(size, 1 if size < 9.95 else 0)
    return f"{spelled} times fewer {name}" if found < 1 else f"{spelled} times the {name}"


def _progress(row: RowEvidence, reference: RowEvidence) -> str:
    trials = [*row.trials, *reference.trials]
    ended = sum(trial.outcome != "missing" for trial in trials)
    lost = sum(trial.outcome not in ("ok", "missing") for trial in trials)
    said = f"{number(ended)} of {counted(len(trials), 'trial')} done"
    return said + (f" and {number(lost)} without a result" if lost else "")


def _what_would_settle(
    comparison: ComparisonEvidence, everything: Sequence[Contrast]
) -> str | None:
    """Say how many seeds would show a difference of the margin's size, where a row cannot tell."""
    measure = comparison.measure
    still_open = [
        contrast
        for contrast in everything
        if contrast.effect == UNKNOWN and contrast.interval is not None
    ]
    needed = [c.seeds_to_detect for c in still_open if c.seeds_to_detect is not None]
    seen = [c.detectable for c in still_open if c.detectable is not None]
    if not seen:
        return None
    places, unit = decimals(measure.margin), difference_unit(measure.unit)
    text = (
        f"These seeds would show a difference of {with_unit(number(max(seen), places), unit)} "
        "in 8 of 10 cases"
    )
    if needed and measure.margin > 0:
        margin = with_unit(number(measure.margin, places), unit)
        text += f"; one of {margin} takes about {counted(max(needed), 'seed')} a row"
    return f"{text}."
