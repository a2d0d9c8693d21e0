"""What a verdict says, in words made of its numbers: the same in terminal, page and export."""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from ablate.evidence import failures, requirements, several, welch
from ablate.evidence.collect import ComparisonEvidence, RowEvidence
from ablate.evidence.decide import Decision
from ablate.evidence.family import ALPHA
from ablate.evidence.hypotheses import Hypothesis
from ablate.evidence.latency import Measured
from ablate.evidence.memory import Peak
from ablate.evidence.naming import images, network
from ablate.evidence.spelling import (
    between,
    bounds,
    byte_count,
    counted,
    decimals,
    difference_unit,
    listed,
    lower_first,
    number,
    one_line,
    quantity,
    signed,
    variant_name,
    with_unit,
)
from ablate.study import Study

WHERE = {
    "none": "as a drop-in",
    "params": "at equal parameters",
    "macs": "at equal MACs",
    "result": "for the same result",
}
# Of what was timed, what may differ from setting to setting, and what stands before it.
SETTINGS = {
    **{"phase": "for", "precision": "in", "memory_format": "", "mode": ""},
    **{"threads": "with threads", "device": "on"},
}


def where(hypothesis: Hypothesis, settings: Sequence[Measured | Peak] = ()) -> str:
    """Say what the rows hold equal, and at which setting they were timed.

    Args:
        settings: all that the claim is about: only what differs between them is named.
    """
    # What is said of a baseline alone holds at every match.
    alone = len(hypothesis.rows) == 1 and hypothesis.rows[0].is_reference
    parts = [] if alone else [listed([WHERE.get(m, m) for m in hypothesis.match])]
    if hypothesis.setting is not None:
        if not hypothesis.along:
            parts.append(f"at batch {number(hypothesis.setting.batch)}")
        for key in SETTINGS:
            if len({str(one.setting.get(key)) for one in settings}) > 1:
                said = str(hypothesis.setting.setting.get(key))
                said = "a training step" if said == "training_step" else said
                parts.append(f"{SETTINGS[key]} {said}".strip())
    return one_line(" ".join(parts))


def scope(study: Study, comparison: ComparisonEvidence, hypothesis: Hypothesis) -> str:
    """Name the network, the data, the budget and the device that a finding holds for."""
    if hypothesis.source == "trained":
        return trained_scope(study, comparison, hypothesis.rows)
    config = hypothesis.rows[0].asked.full_config
    if hypothesis.setting is None:
        return arithmetic(comparison, config)
    full = f"the full networks, {network(config)}"
    setting = hypothesis.setting.setting
    threads = setting.get("threads")
    said = [
        full,
        f"{setting.get('phase')} in {setting.get('precision')}".replace("_", " "),
        *([str(setting["mode"])] if "mode" in setting else []),
        *([counted(threads, "thread")] if isinstance(threads, int) else []),
        str(setting.get("device")),
    ]
    return one_line(", ".join(said))


def arithmetic(comparison: ComparisonEvidence, config: dict[str, Any]) -> str:
    """Say that a finding is arithmetic and, where that tells more than a name, of which network."""
    named = network(config)
    if comparison.as_they_are and " " not in named:  # a family alone, as of lists of layers
        return "arithmetic"
    return f"arithmetic of the full networks, {named}"


def trained_scope(study: Study, comparison: ComparisonEvidence, rows: Sequence[RowEvidence]) -> str:
    """Name network, data, budget and device of what was trained."""
    ended = [trial for row in rows for trial in row.having("ok", "invalid")]
    steps = {trial.steps for trial in ended if trial.steps is not None}
    said = [
        network(comparison.baseline.asked.config),
        images(comparison),
        *([between(steps, "optimizer step")] if steps else []),
        f"{study.device} in {study.precision}",
    ]
    return one_line(", ".join(said))


def finding(
    hypothesis: Hypothesis, decision: Decision, level: float, tests: int, seeds: int | None
) -> str:
    """Say what was found and what that means for the claim.

    Args:
        hypothesis: with something to decide.
        decision: of it.
        level: at which it was decided.
        tests: in its family; 1 where nothing is adjusted for.
        seeds: runs of the row with fewest that would decide; None where none would.
    """
    parts = [_statement(hypothesis, level, tests), _meaning(hypothesis, decision)]
    if decision.word == "inconclusive" and decision.why != "below the margin either way":
        parts.append(_open(hypothesis, seeds))
    parts.append(_failures(hypothesis))
    return ", ".join(part for part in parts if part)


def answer(
    hypotheses: Sequence[Hypothesis],
    decisions: Sequence[Decision],
    level: float,
    tests: int,
    seeds: Sequence[int | None],
    best: RowEvidence,
) -> str:
    """Say which of several variants is best, and by how much; or that it cannot be told yet.

    Args:
        hypotheses: one for every pair that the best one is in.
        decisions: of them, by `hypotheses.apart`.
        level: of every interval.
        tests: pairs that it is adjusted for.
        seeds: that would decide each pair.
        best: the row whose mean is best.
    """
    name = variant_name(best.asked.variant)
    said: dict[str, list[str]] = {"ahead": [], "equal": [], "open": []}
    for one, decision in zip(hypotheses, decisions, strict=True):
        other = next(row for row in one.rows if row is not best)
        gap = f"{variant_name(other.asked.variant)} by {_size(one, level, best is one.rows[0])}"
        if decision.word == "inconclusive":
            said["open"].append(gap)
        elif decision.why == "equivalent":
            said["equal"].append(gap)
        else:
            low, high = _interval(one, level)
            reach = max(abs(low), abs(high))
            small = reach <= (math.log1p(one.margin) if one.scale == "ratio" else one.margin)
            said["ahead"].append(gap + (f", less than the {_margin(one)} that matter" * small))
    first = hypotheses[0]
    quality = "highest" if first.direction == "none" else "best"
    title, note = lower_first(first.title), _note(first, level, tests)
    wanted = [n for n in seeds if n is not None]
    would = ""
    if wanted:
        hardest = hypotheses[list(seeds).index(max(wanted))]
        would = f"; {_assumed(hardest)}about {_runs(first, max(wanted))} would tell"
    if first.noisy:
        would = f"; {_open(first, None)}"
    if said["open"] and not said["ahead"] and not said["equal"]:
        far = listed(said["open"])
        return f"{name} has the {quality} {title} so far, over {far}{note}{would}"
    parts = []
    if said["ahead"]:
        parts.append(f"ahead of {listed(said['ahead'])}")
    if said["equal"]:
        within = f"within {_margin(first)}" if first.margin > 0 else "the same"
        parts.append(f"without a practical difference from {listed(said['equal'])} ({within})")
    if said["open"]:
        parts.append(f"not yet told apart from {listed(said['open'])}")
    return f"{name} has the {quality} {title}, {', '.join(parts)}{note}{would}"


def finding_of_several(
    group: Sequence[Hypothesis],
    decision: Decision,
    level: float,
    tests: int,
    seeds: Sequence[int | None],
) -> str:
    """Say of a claim over several variants how each stands to the one that it is about.

    Args:
        group: its parts, each with something to decide or over the budget.
        decision: of the whole, by `several.decision`.
        level: of the whole.
        tests: in its family.
        seeds: that would decide each part that is not over its budget; None where none would.
    """
    first = group[0]
    strict = several.adjusted(group, level)
    # One part alone has decided: at the level that the parts share.
    alone = decision.word in ("refuted", "true but negligible") and strict > level
    drawn = strict if alone else level
    rest = several.left(group, level)
    said = []
    if decision.why == several.OVER:
        said.append(f"{_names(first)[first.about]} is over the budget")
    elif rest:
        said.append(_each(rest, drawn, tests * (round((1 - level) / (1 - strict)) if alone else 1)))
        said.append(_all_meaning(rest, decision, drawn))
    said += budgets_told(group, strict)
    if decision.word == "inconclusive" and not decision.why:
        still = [
            (one, needed)
            for one, needed in zip(rest, seeds, strict=True)
            if (found := several.part(one, level)).word == "inconclusive" and not found.why
        ]
        if still:
            said.append(_open(*max(still, key=lambda open_: open_[1] or math.inf)))
    said.append(_failures(first) if len(group) == 1 else "")
    return ", ".join(text for text in said if text)


def budgets_told(group: Sequence[Hypothesis], level: float) -> list[str]:
    """Say which variants are over a budget, and of which it is not known; [] without a budget."""
    by_name = {
        variant_name(row.asked.variant): budgets
        for one in group
        if any(one.budgets)
        for row, budgets in zip(one.rows, one.budgets, strict=True)
    }
    found: dict[tuple[str, str], list[str]] = {}
    for name, budgets in by_name.items():
        for budget in budgets:
            state = budget.state(level)
            if state != "within":
                spelled = f"{name} ({budget.found(level)})"
                found.setdefault((state, budget.asked), []).append(spelled)
    asked = dict.fromkeys(budget.asked for found in by_name.values() for budget in found)
    lead = [f"compared are networks with {listed(list(asked))}"] if asked else []
    words = {"over": "left out as over it", "unknown": "not known to be within it"}
    if len(asked) > 1:
        words = {"over": "left out for {}", "unknown": "not known to have {}"}
    return lead + [
        f"{words[state].format(limit)}: {listed(names)}" for (state, limit), names in found.items()
    ]


def _each(group: Sequence[Hypothesis], level: float, tests: int) -> str:
    """Say the numbers of every part: `accuracy of a is 1.2 [0.8, 1.6] points above b and …`."""
    first = group[0]
    side = first.about
    title, note = lower_first(first.title), _note(first, level, tests)
    if len({one.runs for one in group}) > 1:
        fewest = min(group, key=lambda one: min(one.runs, default=0))
        note = _note(fewest, level, tests)[:-1] + " at least)"
    one = [_names(part)[side] for part in group]
    other = [_names(part)[1 - side] for part in group]
    if first.is_exact and first.source == "arithmetic":
        values = {
            name: _value(part, mean)
            for part in group
            for name, mean in zip(_names(part), part.means, strict=True)
        }
        return f"{title} of {listed([f'{name} {value}' for name, value in values.items()])}"
    told: dict[str, list[str]] = {}
    for part, mine, theirs in zip(group, one, other, strict=True):
        told.setdefault(mine, []).append(f"{_gap(part, level, side)} {theirs}")
    joined = [f"{title} of {mine} is {listed(gaps)}" for mine, gaps in told.items()]
    return f"{'; '.join(joined)}{note}"


def _gap(hypothesis: Hypothesis, level: float, side: int) -> str:
    """Spell how one row stands to the other: `1.2 [0.8, 1.6] points above`, `0.5 times that of`."""
    low, high = _interval(hypothesis, level)
    if hypothesis.scale == "ratio":
        found = hypothesis.estimate
        value = found.value if found else math.log(hypothesis.means[0] / hypothesis.means[1])
        if side == 1:
            value, low, high = -value, -high, -low
        span = f" [{_times(math.exp(low))}, {_times(math.exp(high))}]" if math.isfinite(low) else ""
        return f"{_times(math.exp(value))}{span} times that of"
    value = hypothesis.means[0] - hypothesis.means[1]
    if side == 1:
        value, low, high = -value, -high, -low
    if value == 0 and hypothesis.is_exact:
        return "the same as that of"
    if value < 0:
        value, low, high, direction = -value, -high, -low, "below"
    else:
        direction = "above"
    text = _number(hypothesis, value)
    if not hypothesis.is_exact and math.isfinite(low):
        text += f" [{_number(hypothesis, low)}, {_number(hypothesis, high)}]"
    return f"{with_unit(text, _unit(hypothesis))} {direction} that of"


def _all_meaning(group: Sequence[Hypothesis], decision: Decision, level: float) -> str:
    """Say what the parts mean for the claim, and which of them decided."""
    first = group[0]
    margin = _margin(first) if first.margin > 0 else ""
    names = {id(one): variant_name(one.rows[1 - one.about].asked.variant) for one in group}
    words = {id(one): several.part(one, level) for one in group}

    def those(*wanted: str) -> str:
        return listed([names[id(one)] for one in group if words[id(one)].word in wanted])

    if decision.word == "refuted":
        if first.sides == 1:
            return f"more than {margin} from {those('refuted')}"
        what = "the same as" if decision.why == "equal" else "the opposite of the claim for"
        return f"{what} {those('refuted')}"
    if decision.word == "inconclusive":
        if decision.why:
            return f"less than the {margin} that matter, whichever way"
        if not (still := those("inconclusive")):
            return ""
        what = "not told apart from" if first.sides == 2 else f"not known to be within {margin} of"
        return f"{what} {still}"
    if not margin:
        return ""
    if decision.word == "supported":
        return f"each within {margin}" if first.sides == 1 else f"each by more than {margin}"
    if decision.word == "true but negligible":
        return f"less than the {margin} that matter from {those('true but negligible')}"
    return f"not known whether by more than {margin} from {those('supported in direction')}"


def of_each(parts: Mapping[str, requirements.Part]) -> str:
    """Say what each of several variants has of what is required, and which of them fail.

    Args:
        parts: by variant, all of one limit.
    """
    asked = next((part.asked for part in parts.values() if part.found), "")
    asked = asked or next(iter(parts.values())).asked
    found = [f"{variant_name(name)} {part.found}" for name, part in parts.items() if part.found]
    said = [f"{asked} of each: {listed(found)}" if found else f"{asked} of each"]
    failing = [name for name, part in parts.items() if part.verdict == "not met"]
    if failing and len(failing) < len(parts):
        said.append(f"not by {listed([variant_name(name) for name in failing])}")
    elif failing:
        said.append("by none of them")
    untold: dict[str, list[str]] = {}  # one reason of several variants is said once
    for name, part in parts.items():
        if part.verdict == "not tested":
            untold.setdefault(part.reason, []).append(variant_name(name))
    said += [f"not tested of {listed(names)} ({why})" for why, names in untold.items()]
    return "; ".join(said)


def short(hypothesis: Hypothesis) -> str:
    """Say the number of a fact alone: `7.89 times`, `44 px`, `1,024 against 512`."""
    assert hypothesis.estimate is not None  # facts are exact
    if hypothesis.scale == "ratio":
        return f"{_times(math.exp(hypothesis.estimate.value))} times"
    if hypothesis.scale == "value":
        return _value(hypothesis, hypothesis.means[0])
    return " against ".join(_value(hypothesis, mean) for mean in hypothesis.means)


def claimed(hypothesis: Hypothesis) -> str:
    """Spell the numbers that a claim wants, of one that names any."""
    return _claimed(hypothesis)


def margin(hypothesis: Hypothesis) -> str:
    """Spell the smallest difference that matters."""
    return _margin(hypothesis)


def meaning(hypothesis: Hypothesis, decision: Decision) -> str:
    """Say what a decision means for the claim; "" where its word says it."""
    return _meaning(hypothesis, decision)


def times(ratio: float) -> str:
    """Spell a ratio."""
    return _times(ratio)


def _statement(hypothesis: Hypothesis, level: float, tests: int) -> str:
    """Say the numbers: `accuracy of a is 3.6 points lower than that of b [-4.9, -2.4] (…)`."""
    title, names = lower_first(hypothesis.title), _names(hypothesis)
    note = _note(hypothesis, level, tests)
    if hypothesis.along:
        return _along(hypothesis, level) + note
    if hypothesis.scale == "value":
        span = "" if hypothesis.is_exact else f" {_span(hypothesis, level)}"
        value = hypothesis.means[0]
        if hypothesis.is_exact and hypothesis.estimate is not None:
            value = hypothesis.estimate.value
        # Parameters are, a loss is.
        many = re.search(r"[^s]s$", re.split(r" of | \(", title)[0])
        said = "are" if many else "is"
        return f"{title} of {names[0]} {said} {_value(hypothesis, value)}{span}{note}"
    if hypothesis.is_exact and hypothesis.source == "arithmetic":
        ours, theirs = (_value(hypothesis, mean) for mean in hypothesis.means)
        said = f"{title} of {names[0]} {ours}, of {names[1]} {theirs}"
        if hypothesis.scale == "ratio" and hypothesis.estimate is not None:
            said += f": {_times(math.exp(hypothesis.estimate.value))} times"
        return said
    span = "" if hypothesis.is_exact or hypothesis.estimate is None else _span(hypothesis, level)
    if hypothesis.scale == "ratio":
        found = hypothesis.estimate
        value = math.exp(found.value) if found else hypothesis.means[0] / hypothesis.means[1]
        if hypothesis.beyond:
            return f"{title} of {names[0]} is {_bound(hypothesis, level)} that of {names[1]}{note}"
        said = f"{title} of {names[0]} is {_times(value)} times that of {names[1]}"
        return f"{said} {span}{note}".replace("  ", " ")
    value = hypothesis.means[0] - hypothesis.means[1]
    unit = _unit(hypothesis)
    if value == 0 and hypothesis.is_exact:
        return f"{title} of {names[0]} and {names[1]} is the same{note}"
    low, high = _interval(hypothesis, level)
    if low > 0 or high < 0:
        size = with_unit(_number(hypothesis, abs(value)), unit)
        direction = "higher" if value > 0 else "lower"
        said = f"{title} of {names[0]} is {size} {direction} than that of {names[1]}"
    else:
        size = with_unit(_number(hypothesis, value, plus=True), unit)
        said = f"{title} of {names[0]} differs from that of {names[1]} by {size}"
    return f"{said} {span}{note}".replace("  ", " ")


def _along(hypothesis: Hypothesis, level: float) -> str:
    """Say what a call takes an image at each batch, and from which batch on that hardly changes."""
    title, (name,) = lower_first(hypothesis.title), _names(hypothesis)
    (first, *rest), (batch, *others) = hypothesis.means, hypothesis.along
    told = [f"{quantity(1000 * first)} ms at batch {number(batch)}"]
    told += [f"{quantity(1000 * s)} at {number(b)}" for s, b in zip(rest, others, strict=True)]
    ends = f"{_times(hypothesis.means[-1] / first)} times from the first to the last"
    near = min(hypothesis.means) * (1 + hypothesis.margin)
    enough = next(b for s, b in zip(hypothesis.means, hypothesis.along, strict=True) if s <= near)
    least = f"first within {_margin(hypothesis)} of the least at batch {number(enough)}"
    return (
        f"{title} of {name} is {listed(told)}, {least}; {ends} {_span(hypothesis, level)}".rstrip()
    )


def _meaning(hypothesis: Hypothesis, decision: Decision) -> str:
    """Say what an interval means for the claim; "" where the word says it."""
    if hypothesis.wanted is not None:
        claimed = _claimed(hypothesis)
        return f"{decision.why} ({claimed})" if decision.why else f"claimed {claimed}"
    if hypothesis.noisy:
        return ""
    margin = _margin(hypothesis) if hypothesis.margin > 0 else ""
    if hypothesis.sides == 1 and margin:
        return {
            "supported": f"within {margin}",
            "refuted": f"more than {margin} apart",
        }.get(decision.word, "")
    meant = {
        ("supported", ""): f"more than the margin of {margin}" * bool(margin),
        ("supported in direction", ""): f"not known whether by more than the margin of {margin}",
        ("true but negligible", ""): f"less than the {margin} that matter",
        ("refuted", "opposite"): "the opposite of the claim",
        ("refuted", "different"): "not the same",
        ("refuted", "falls on the way"): f"falls on the way by more than {margin}",
        ("refuted", "rises on the way"): f"rises on the way by more than {margin}",
        ("inconclusive", "below the margin either way"): f"less than the {margin} that matter, "
        "whichever way",
    }
    return meant.get((decision.word, decision.why), "")


def _open(hypothesis: Hypothesis, seeds: int | None) -> str:
    """Say what would decide."""
    if hypothesis.noisy and isinstance(hypothesis.setting, Measured):
        floor, margin = hypothesis.setting.floor, hypothesis.margin
        return (
            f"the machine is too noisy: the A/A control differs by {number(100 * floor, 1)} %, "
            f"the margin is {_share(margin)}"
        )
    if hypothesis.beyond:
        return "wider and narrower networks may decide"
    if hypothesis.source == "peak":
        return "other rounds or processes may differ by more than that"
    if hypothesis.estimate is None:
        if hypothesis.source == "timed":
            return "no interval could be had from these rounds"
        if min(hypothesis.runs, default=0) < 2:
            return "a single seed has no interval"
        return "the seeds do not vary, which says nothing of others"
    if hypothesis.is_unbounded:
        return "it takes more seeds to say how many would decide"
    if hypothesis.along:
        return "more processes may decide"
    if seeds is None:
        return f"even {_runs(hypothesis, welch.MOST_SEEDS)} would not decide"
    return f"{_assumed(hypothesis)}about {_runs(hypothesis, seeds)} would decide"


def _assumed(hypothesis: Hypothesis) -> str:
    """Say which true value a number of seeds is planned for: `were the true one 1.0 points, `."""
    truth = hypothesis.planned
    if truth is None:
        return ""
    if truth == 0:
        return "were they truly the same, "
    if hypothesis.scale == "ratio":
        return f"were the true ratio {_times(math.exp(truth))}, "
    size = with_unit(_number(hypothesis, abs(truth)), _unit(hypothesis))
    return f"were the true difference {size}, "


def _runs(hypothesis: Hypothesis, seeds: int) -> str:
    """Spell so many runs of the row with the fewest, the others in proportion."""
    if hypothesis.source == "timed":
        return f"{number(seeds)} processes"
    fewest = min(hypothesis.runs, default=1)
    each = [math.ceil(seeds * runs / fewest) for runs in hypothesis.runs]
    if len(set(each)) == 1:
        return f"{counted(seeds, 'seed')}{' a row' if len(each) > 1 else ''}"
    return f"{listed([number(runs) for runs in each])} seeds"


def _note(hypothesis: Hypothesis, level: float, tests: int) -> str:
    """Say what the interval is of, and what it is adjusted for."""
    if hypothesis.is_exact and (hypothesis.source != "trained" or not hypothesis.runs):
        return " (exact, nothing is trained)" * (hypothesis.source == "trained")
    n = counted_runs(hypothesis)
    if hypothesis.source == "peak":
        return f" ({n})"
    if hypothesis.estimate is None or hypothesis.is_exact:
        return f" ({n})"
    said = f"{percent(coverage(level, hypothesis.sides))} % interval"
    if hypothesis.sides == 1:
        said += f" for two one-sided tests at {percent(1 - level)} %"
    if hypothesis.paired:
        said += ", paired by seed"
    if tests > 1 and level > 1 - ALPHA:
        said += f", adjusted for {tests} tests"
    if hypothesis.left_out:
        n += f", without {counted(hypothesis.left_out, 'seed')} that only one of the two has"
    return f" ({said}, {n})"


def counted_runs(hypothesis: Hypothesis) -> str:
    """Spell how many runs a hypothesis stands on."""
    if isinstance(hypothesis.setting, Peak):
        return f"band over {counted(hypothesis.setting.rounds, 'round')} of one process each"
    if isinstance(hypothesis.setting, Measured):
        processes = hypothesis.setting.processes
        if processes == 1:
            return f"{counted(hypothesis.setting.rounds, 'round')} of one process"
        return f"{number(processes)} processes"
    runs = hypothesis.runs
    if len(set(runs)) == 1:
        return f"{counted(runs[0], 'seed')}{' a row' if len(runs) > 1 else ''}"
    return f"{listed([number(n) for n in runs])} seeds"


def coverage(level: float, sides: int) -> float:
    """Return how often the drawn interval covers: two one-sided tests at 5 % draw one of 90 %."""
    return level if sides == 2 else 2 * level - 1


def percent(share: float) -> str:
    """Spell a share in per cent with one decimal, unless that is 0."""
    return number(100 * share, 1).removesuffix(".0")


def _failures(hypothesis: Hypothesis) -> str:
    """Say that one row fails more often than the other, where that is no accident."""
    if hypothesis.source != "trained" or len(hypothesis.rows) != 2:
        return ""
    failed = [len(row.having("failed", "diverged", "invalid")) for row in hypothesis.rows]
    ended = [len(row.trials) - len(row.having("missing")) for row in hypothesis.rows]
    if not any(failed):
        return ""
    p = failures.compare(failed[0], ended[0], failed[1], ended[1])
    if p >= ALPHA:
        return ""
    said = [
        f"{name} in {number(lost)} of {counted(of, 'trial')}"
        for name, lost, of in zip(_names(hypothesis), failed, ended, strict=True)
    ]
    return f"failures differ: {listed(said)} (p {p:.2g}, Boschloo)"


def failure_rates(rows: Sequence[RowEvidence]) -> str:
    """Say the same of rows whose numbers cannot be judged."""
    return _failures(Hypothesis((), tuple(rows), None, None, source="trained"))


def _interval(hypothesis: Hypothesis, level: float) -> tuple[float, float]:
    """Return the drawn bounds, on the scale of the decision; of no interval, all numbers."""
    if hypothesis.estimate is None:
        return -math.inf, math.inf
    return hypothesis.estimate.bounds(level, hypothesis.sides)


def _span(hypothesis: Hypothesis, level: float) -> str:
    if hypothesis.estimate is None:
        return ""
    low, high = _interval(hypothesis, level)
    if hypothesis.scale == "ratio":
        return f"[{_times(math.exp(low))}, {_times(math.exp(high))}]"
    return f"[{_number(hypothesis, low)}, {_number(hypothesis, high)}]"


def _bound(hypothesis: Hypothesis, level: float) -> str:
    """Spell a ratio of which only a bound is known, or nothing."""
    low, high = _interval(hypothesis, level)
    if math.isfinite(low):
        return f"at least {_times(math.exp(low))} times"
    return f"at most {_times(math.exp(high))} times" if math.isfinite(high) else "any multiple of"


def _size(hypothesis: Hypothesis, level: float, ours: bool) -> str:
    """Spell a difference with its interval as seen from one of its sides."""
    low, high = _interval(hypothesis, level)
    if hypothesis.scale == "ratio":
        found = hypothesis.estimate
        value = found.value if found else math.log(hypothesis.means[0] / hypothesis.means[1])
        if not ours:
            value, low, high = -value, -high, -low
        text = f"{_times(math.exp(value))} times"
        if hypothesis.is_exact or math.isinf(low):
            return text
        return f"{text} [{_times(math.exp(low))}, {_times(math.exp(high))}]"
    value = hypothesis.means[0] - hypothesis.means[1]
    if not ours:
        value, low, high = -value, -high, -low
    # Of a metric that is better where it is lower, too, a lead is a positive number.
    if value < 0:
        value, low, high = -value, -high, -low
    text = with_unit(_number(hypothesis, value), _unit(hypothesis))
    if hypothesis.is_exact or math.isinf(low):
        return text
    if hypothesis.unit:
        text = _number(hypothesis, value)
        span = bounds(low, high, _places(hypothesis))
        return with_unit(f"{text} {span}", _unit(hypothesis))
    return f"{text} [{_number(hypothesis, low)}, {_number(hypothesis, high)}]"


def _unit(hypothesis: Hypothesis) -> str:
    """Return the unit of a difference; bytes bring their own."""
    return "" if hypothesis.unit == "B" else difference_unit(hypothesis.unit)


def _margin(hypothesis: Hypothesis) -> str:
    if hypothesis.scale == "ratio":
        return _share(hypothesis.margin)
    text = _number(hypothesis, hypothesis.margin)
    return with_unit(text, _unit(hypothesis))


def _share(margin: float) -> str:
    return f"{percent(margin)} %"


def _claimed(hypothesis: Hypothesis) -> str:
    """Spell the numbers that a claim wants: `7.2 to 8.8 times`, `at least 2 times`, `9`."""
    assert hypothesis.wanted is not None  # asked of claims with numbers only
    low, high = hypothesis.wanted
    if hypothesis.scale == "ratio":
        ends, unit = (_times(low), _times(high)), "times"
    else:
        least, most = (
            "" if math.isinf(end) else _plain(end, hypothesis.unit) for end in (low, high)
        )
        ends = (least, most)
        unit = "" if hypothesis.unit == "B" else hypothesis.unit
    if low == high:
        return with_unit(ends[0], unit)
    if math.isinf(high):
        return f"at least {with_unit(ends[0], unit)}"
    if math.isinf(low) or (low <= 0 and hypothesis.scale == "ratio"):
        return f"at most {with_unit(ends[1], unit)}"
    return f"{ends[0]} to {with_unit(ends[1], unit)}"


def _value(hypothesis: Hypothesis, value: float) -> str:
    """Spell a value of a row with its unit."""
    if hypothesis.source in ("arithmetic", "peak"):
        # Bytes bring their own, and a title may say it: MACs are not counted in MAC.
        told = hypothesis.unit == "B" or hypothesis.unit in hypothesis.title
        return with_unit(_plain(value, hypothesis.unit), "" if told else hypothesis.unit)
    return with_unit(_number(hypothesis, value), hypothesis.unit)


def _plain(value: float, unit: str) -> str:
    """Spell a number whole: a claim of 1,000,000 is not to be read off "1.0 M"."""
    if unit == "B":
        return byte_count(value)
    return number(value) if float(value).is_integer() else quantity(value)


def _number(hypothesis: Hypothesis, value: float, plus: bool = False) -> str:
    """Spell a number of what was trained, with as many decimals as its margin asks for."""
    if hypothesis.source in ("arithmetic", "peak"):
        text = _plain(value, hypothesis.unit)
        return f"+{text}" if plus and value > 0 else text
    places = _places(hypothesis)
    return signed(value, places) if plus else number(value, places)


def _places(hypothesis: Hypothesis) -> int:
    if hypothesis.margin > 0:
        return decimals(hypothesis.margin)
    # Three digits of what is smallest beside it: the interval's half.
    error = hypothesis.estimate.error if hypothesis.estimate else 0.0
    return decimals(5 * error) if error > 0 else 2


def _times(ratio: float) -> str:
    """Spell a ratio: a per cent shows near 1."""
    if math.isinf(ratio):
        return "∞"
    return number(ratio, 3 if abs(ratio - 1) < 0.1 else 2 if ratio < 9.995 else 1)


def _names(hypothesis: Hypothesis) -> list[str]:
    return [variant_name(row.asked.variant) for row in hypothesis.rows]


def quoted(claim: Mapping[str, Any]) -> str:
    """Return the words of a claim's source, in quotation marks."""
    return f"“{one_line(str(claim.get('says', '')))}”"
