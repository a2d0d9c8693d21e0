"""What a suite requires of a variant, judged part by part.

A requirement is about the full network of the variant as a drop-in. What follows from its structure
(parameters, receptive field, which layers it holds) is arithmetic and decided at once. What takes
training (accuracy) is decided only where that network was trained as the full profile trains it, on
all images of the data that were asked for: then every seed must reach it. Anything else is not
tested, which is neither met nor missed.

Where each of several variants must reach it, one that does not decides:

=================  ==========
of the variants    together
=================  ==========
some: not met      not met
all: met           met
otherwise          not tested
=================  ==========
"""

import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ablate.evidence import citable, sources, welch
from ablate.evidence.collect import ComparisonEvidence, Evidence, RowEvidence, Trial
from ablate.evidence.spelling import (
    byte_count,
    counted,
    decimals,
    listed,
    number,
    one_line,
    quantity,
    variant_name,
    with_unit,
)
from ablate.records import Measurement
from ablate.study import Study

Verdict = Literal["met", "not met", "not tested"]
Bound = Literal["below", "above", "at_least", "at_most"]

SIGNS: dict[Bound, str] = {"below": "<", "above": ">", "at_least": "≥", "at_most": "≤"}
_HOLDS: dict[Bound, Callable[[float, float], bool]] = {
    "below": operator.lt,
    "above": operator.gt,
    "at_least": operator.ge,
    "at_most": operator.le,
}


@dataclass(frozen=True)
class Part:
    """One thing that is required, what was found, and whether that is enough."""

    metric: str  # "layers" for a kind of layer
    bound: Bound | Literal["uses"]
    limit: float | str  # a number, or the kind of layer
    asked: str  # in words: "parameters < 1,000,000"
    found: str  # in words; "" where there is nothing
    value: float | None  # that the limit was held against: of several seeds the one farthest off
    verdict: Verdict
    reason: str = ""  # why it is not tested


@dataclass(frozen=True)
class Judged:
    """A requirement with all its parts."""

    requirement: Mapping[str, Any]  # as the suite has it
    variant: str
    parts: tuple[Part, ...]

    @property
    def verdict(self) -> str:
        """Of all parts together: one that is not met decides, an untested one leaves it open."""
        verdicts = {part.verdict for part in self.parts}
        if "not met" in verdicts:
            return "not met"
        return "not tested yet" if "not tested" in verdicts else "met"


def judged(evidence: Evidence) -> tuple[Judged, ...]:
    """Return every requirement of a study's suite with what its records say of it."""
    found = []
    for requirement in evidence.study.requirements:
        variant = str(requirement.get("variant", ""))
        place = _find(evidence, variant)
        parts = tuple(_parts(evidence.study, requirement, place))
        found.append(Judged(requirement, variant, parts))
    return tuple(found)


def together(parts: Sequence[Part]) -> Verdict:
    """Decide whether each of several variants meets a limit, by the table above."""
    verdicts = {part.verdict for part in parts}
    if "not met" in verdicts:
        return "not met"
    return "not tested" if "not tested" in verdicts else "met"


Place = tuple[ComparisonEvidence, RowEvidence]


def _find(evidence: Evidence, variant: str) -> Place | None:
    """Return the first row that holds a variant as a drop-in."""
    for comparison in evidence.comparisons:
        for row in comparison.rows:
            if row.asked.variant == variant and "none" in row.asked.match:
                return comparison, row
    return None


def _parts(study: Study, requirement: Mapping[str, Any], place: Place | None) -> Iterator[Part]:
    for metric, bounds in sorted(requirement.items()):
        if not isinstance(bounds, Mapping):
            continue
        for bound in SIGNS:
            if bounds.get(bound) is not None:
                yield _bounded(study, metric, bound, float(bounds[bound]), place)
    for kind in requirement.get("uses") or []:
        yield _used(str(kind), place)


def _bounded(study: Study, metric: str, bound: Bound, limit: float, place: Place | None) -> Part:
    """Judge a number: a fact, or what the trials of every seed measured."""
    comparison, row = place if place else (None, None)
    fact = sources.measured(row, metric) if row else None
    measured = [*_measured(row, metric).values()] if row else []
    known = fact or (measured[0] if measured else None)
    unit = known.unit if known else ""
    title = known.title if known else metric.replace("_", " ")
    places = None
    if comparison is not None and metric == comparison.measure.name:
        unit, title = comparison.measure.unit, comparison.measure.title
        places = decimals(comparison.measure.margin) + 1

    def part(found: str, value: float | None, verdict: Verdict, reason: str = "") -> Part:
        asked = f"{title} {SIGNS[bound]} {_spelled(limit, unit)}"
        return Part(metric, bound, limit, asked, found, value, verdict, reason)

    if row is None or comparison is None:
        return part("", None, "not tested", _NOWHERE)
    if fact is not None:
        if fact.value is None:
            reason = f"invalid: {one_line(str(fact.detail.get('invalid', 'no value')))}"
            return part("", None, "not tested", reason)
        met = _HOLDS[bound](fact.value, limit)
        return part(_spelled(fact.value, unit), fact.value, "met" if met else "not met")
    values = [float(m.value) for m in measured if m.value is not None]
    found = _over_seeds(values, unit, places)
    if not measured and metric != comparison.measure.name and (why := _lacking(row)):
        return part("", None, "not tested", why)
    if why := _not_as_asked(comparison, row, metric):
        return part(found, None, "not tested", why)
    wrong = [value for value in values if not _HOLDS[bound](value, limit)]
    worst = (min if bound in ("above", "at_least") else max)(values, default=None)
    diverged = row.having("diverged")
    if wrong or diverged:
        lost = f"{counted(len(diverged), 'seed')} diverged" if diverged else ""
        return part("; ".join(filter(None, [found, lost])), worst, "not met")
    if why := _not_all_there(study, comparison, row, len(values)):
        return part(found, worst, "not tested", why)
    return part(found, worst, "met")


def _used(kind: str, place: Place | None) -> Part:
    """Judge whether the network holds a kind of layer."""

    def part(found: str, value: float | None, verdict: Verdict, reason: str = "") -> Part:
        asked = f"uses {variant_name(kind)}"
        return Part("layers", "uses", kind, asked, found, value, verdict, reason)

    if place is None:
        return part("", None, "not tested", _NOWHERE)
    layers = place[1].full.get("layers")
    if layers is None or layers.value is None:
        return part("", None, "not tested", _lacking(place[1]) or "its layers were not counted")
    count = layers.detail.get(kind)
    if not isinstance(count, int):
        return part("", None, "not tested", "layers of this kind were not counted")
    return part(counted(count, "layer"), count, "met" if count >= 1 else "not met")


def _not_as_asked(comparison: ComparisonEvidence, row: RowEvidence, metric: str) -> str:
    """Say why the trials of a row are not those that a requirement is about; "" if they are."""
    if not row.trials:
        return "it is not trained"
    reasons = []
    config, full = row.asked.config, row.asked.full_config
    if row.full_differs:
        reasons.append("the network that was trained is not the full one")
    images = _setting(config, "data", "train_images")
    if images is not None:
        reasons.append(f"it was trained on a subset, {number(float(images))} images")
    data = comparison.data
    if data.fallback_reason is not None:
        name, asked = one_line(data.name), one_line(data.requested)
        reasons.append(f"the data are {name}, in place of {asked}")
    if config.get("recipe") != full.get("recipe"):
        reasons.append("the recipe is not that of the full profile")
    if reasons:
        return listed(reasons)
    if not any(trial.outcome != "missing" for trial in row.trials):
        return "no trial has ended yet"
    if row.having("ok", "invalid") and not _measured(row, metric):
        return "its trials did not measure it"
    return ""


def _not_all_there(
    study: Study, comparison: ComparisonEvidence, row: RowEvidence, values: int
) -> str:
    """Say how many seeds lack; "" where none does, or only such as precision made needless."""
    needless = citable.missing(study, comparison) == 0
    planned = len(row.trials) - (len(row.having("missing")) if needless else 0)
    if values >= planned:
        return ""
    return f"{number(values)} of {counted(planned, 'seed')} have a value"


def _measured(row: RowEvidence, metric: str) -> dict[int, Measurement]:
    """Return what each seed's trial measured, of those that ended well."""

    def found(trial: Trial) -> Measurement | None:
        return trial.record.metrics.get(metric) if trial.record else None

    trials = row.having("ok", "invalid")
    return {trial.seed: it for trial in trials if (it := found(trial)) is not None}


def _over_seeds(values: list[float], unit: str, places: int | None) -> str:
    if not values:
        return ""
    mean = _spelled(welch.mean(values), unit, places)
    if len(values) == 1:
        return f"{mean}, 1 seed"
    lowest = _spelled(min(values), unit, places)
    return f"lowest {lowest}, mean {mean}, {counted(len(values), 'seed')}"


def _spelled(value: float, unit: str, places: int | None = None) -> str:
    """Spell a number whole: a limit of 1,000,000 is not to be read off "1.0 M"."""
    if unit == "B":
        return byte_count(value)
    if places is not None:
        return with_unit(number(value, places), unit)
    return with_unit(number(value) if float(value).is_integer() else quantity(value), unit)


def _lacking(row: RowEvidence) -> str:
    return one_line("; ".join(row.lacking))


def _setting(config: Mapping[str, Any], *path: str) -> Any:
    found: Any = config
    for key in path:
        found = found.get(key) if isinstance(found, Mapping) else None
    return found


_NOWHERE = "no comparison of this study has it as a drop-in"
