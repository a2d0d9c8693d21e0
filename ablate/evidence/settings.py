"""Many settings in few words: what was found at eight settings is two sentences and not eight.

Up to `FEW` settings of one claim are told one by one. Of more, those that were decided alike are
told together: at which settings, from which ratio to which, and the intervals of these two. Which
settings those are is said in boxes ("batch 1, bf16"), where what is not named may be anything.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations, product
from typing import TYPE_CHECKING, Any

from ablate.evidence import sentences
from ablate.evidence.decide import Decision
from ablate.evidence.hypotheses import Group, Hypothesis
from ablate.evidence.latency import Measured
from ablate.evidence.spelling import listed, lower_first, number, one_line, variant_name

if TYPE_CHECKING:
    from ablate.evidence.verdicts import Part

FEW = 3
KEYS = ("batch", *sentences.SETTINGS)  # that may differ from setting to setting, as they are told

_LEADS = {"batch": "at", "threads": "with", "phase": "for", "device": "on"}  # the others: in

_Place = tuple[str, ...]  # a value for each key that differs
_Box = tuple[tuple[str, ...], ...]  # values for each of them


def told(groups: Sequence[Group], parts: Sequence["Part"], as_they_are: bool = False) -> str | None:
    """Say what was found at many settings; None where they are few, or no ratios of two networks.

    Args:
        groups: what was asked, one hypothesis each.
        parts: what was found, in the same order.
        as_they_are: there are no networks but the drop-ins, so that this need not be said.
    """
    ones = [group[0] for group in groups if len(group) == 1]
    if len(ones) < len(parts) or not all(_is_ratio(one) for one in ones):
        return None
    if len({str(part.setting) for part in parts}) <= FEW:
        return None
    by_match: dict[tuple[str, ...], list[int]] = {}
    for index, part in enumerate(parts):
        by_match.setdefault(part.match, []).append(index)
    said = []
    for match, here in by_match.items():
        among = [dict(parts[i].setting or {}) for i in here]
        lead = listed([sentences.WHERE.get(name, name) for name in match])
        lead = "" if as_they_are and match == ("none",) else f" {lead}"
        # What is open comes last.
        words = dict.fromkeys(sorted((parts[i].word for i in here), key=_is_open))
        for word in words:
            those = [i for i in here if parts[i].word == word]
            where = spelled([dict(parts[i].setting or {}) for i in those], among)
            found = _found([ones[i] for i in those], [parts[i] for i in those], among)
            said.append(f"{word}{lead} {where}: {found}")
    return one_line("; ".join(said))


def deciding(parts: Sequence["Part"]) -> list[str]:
    """Return the fewest things that tell how parts were decided: the match, the batch, …"""
    places = [{"match": str(part.match)} | dict(part.setting or {}) for part in parts]
    keys = [key for key in ("match", *KEYS) if len({str(p.get(key)) for p in places}) > 1]
    for size in range(1, len(keys) + 1):
        for chosen in combinations(keys, size):
            words: dict[tuple[str, ...], set[str]] = {}
            for place, part in zip(places, parts, strict=True):
                at = tuple(str(place.get(key)) for key in chosen)
                words.setdefault(at, set()).add(part.word)
            if all(len(found) == 1 for found in words.values()):
                return [f"the {key.replace('_', ' ')}" for key in chosen]
    return []


def spelled(chosen: Sequence[Mapping[str, Any]], among: Sequence[Mapping[str, Any]]) -> str:
    """Say at which settings of some: `at batch 32, bf16`, or `at all 8 settings (…)`."""
    keys = [key for key in KEYS if len({str(one.get(key)) for one in among}) > 1]
    values = [tuple(dict.fromkeys(str(one.get(key)) for one in among)) for key in keys]
    wanted = {tuple(str(one.get(key)) for key in keys) for one in chosen}
    if len(wanted) == len(among):
        whole = ", ".join(_values(key, these) for key, these in zip(keys, values, strict=True))
        return f"at all {number(len(among))} settings ({whole})"
    told = []
    for box in _boxes(wanted, values):
        named = {
            key: _values(key, these)
            for key, these, every in zip(keys, box, values, strict=True)
            if set(these) != set(every)
        }
        told.append(f"{_LEADS.get(next(iter(named)), 'in')} {', '.join(named.values())}")
    return "; ".join(told)


def joined(one: Hypothesis, ones: Sequence[Hypothesis]) -> Hypothesis:
    """Return a hypothesis with all that settings of some others have: in fp32 and bf16."""
    timed = [it.setting for it in ones if isinstance(it.setting, Measured)]
    if not isinstance(one.setting, Measured):
        return one
    both = {
        key: listed(values) if len(values) > 1 else one.setting.setting.get(key)
        for key in one.setting.setting
        if (values := list(dict.fromkeys(str(it.setting.get(key)) for it in timed)))
    }
    return replace(one, setting=replace(one.setting, setting=both))


def _is_open(word: str) -> bool:
    return word in ("inconclusive", "invalid", "not tested")


def _is_ratio(one: Hypothesis) -> bool:
    return (
        isinstance(one.setting, Measured)
        and one.lacks is None
        and not one.along
        and one.estimate is not None
        and not any(one.budgets)
    )


def _found(
    ones: Sequence[Hypothesis], parts: Sequence["Part"], among: Sequence[Mapping[str, Any]]
) -> str:
    """Say the ratios of some settings that were decided alike."""
    if len(parts) == 1:
        return parts[0].said
    first = ones[0]
    ours, theirs = (variant_name(row.asked.variant) for row in first.rows)
    least = min(parts, key=lambda part: part.estimate or 0.0)
    most = max(parts, key=lambda part: part.estimate or 0.0)
    levels = sorted({part.level for part in (least, most) if part.level is not None})
    intervals = listed([sentences.percent(level) for level in levels])
    tests = max(part.tests for part in parts)
    note = f"{intervals} % intervals"
    note += f", adjusted for {number(tests)} tests" if tests > 1 else ""
    extent = " to ".join(dict.fromkeys([_times(least.estimate), _times(most.estimate)]))
    said = (
        f"{lower_first(first.title)} of {ours} is {extent} times that of {theirs}, "
        f"{_span(least)} {_place(least, among)} and {_span(most)} {_place(most, among)} "
        f"({note}, {sentences.counted_runs(first)})"
    )
    meant = dict.fromkeys(
        sentences.meaning(one, Decision(_word(part), part.why))
        for one, part in zip(ones, parts, strict=True)
        if not one.noisy
    )
    open_ = _open(ones, parts) if parts[0].word == "inconclusive" else ""
    return ", ".join(text for text in (said, listed([m for m in meant if m]), open_) if text)


def _word(part: "Part") -> Any:
    return part.word


def _open(ones: Sequence[Hypothesis], parts: Sequence["Part"]) -> str:
    """Say what would decide what is open."""
    noisy = [one.setting.floor for one in ones if one.noisy and isinstance(one.setting, Measured)]
    seeds = [part.seeds for part in parts if part.seeds is not None]
    said = []
    if noisy:
        which = "" if len(noisy) == len(ones) else f" at {number(len(noisy))} of them"
        said.append(
            f"the machine is too noisy{which}: the A/A control differs by up to "
            f"{number(100 * max(noisy), 1)} %"
        )
    if seeds:
        said.append(f"about {number(max(seeds))} processes would decide")
    return ", ".join(said)


def _times(ratio: float | None) -> str:
    return sentences.times(ratio or 0.0)


def _span(part: "Part") -> str:
    if part.low is None or part.high is None:
        return "without bounds"
    return f"[{_times(part.low)}, {_times(part.high)}]"


def _place(part: "Part", among: Sequence[Mapping[str, Any]]) -> str:
    return spelled([dict(part.setting or {})], among)


def _values(key: str, values: Sequence[str]) -> str:
    """Spell values of one key: `batch 1 and 32`, `fp32`, `training step`."""
    these = listed([v if key == "memory_format" else v.replace("_", " ") for v in values])
    return f"{key} {these}" if key in ("batch", "threads") else these


def _boxes(places: set[_Place], values: Sequence[tuple[str, ...]]) -> list[_Box]:
    """Return places as few boxes, each a product of values of every key."""
    sides = tuple(
        tuple(value for value in every if any(place[k] == value for place in places))
        for k, every in enumerate(values)
    )
    if set(product(*sides)) == places:
        return [sides]
    found: list[list[_Box]] = []
    for k, side in enumerate(sides):
        rest: dict[frozenset[_Place], list[str]] = {}  # values that have the same of all else
        for value in side:
            others = frozenset((*p[:k], "", *p[k + 1 :]) for p in places if p[k] == value)
            rest.setdefault(others, []).append(value)
        if len(rest) > 1:
            parts = [{p for p in places if p[k] in these} for these in rest.values()]
            found.append([box for part in parts for box in _boxes(part, values)])
    return min(found, key=len)
