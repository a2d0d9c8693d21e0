"""Claims judged: a word, the numbers, and one sentence that names what it holds for.

A verdict has a part for each match and each setting of latency that its claim is about, each judged
for itself and never averaged. Parts that were decided differently make the whole *depend*; a part
that is open leaves the whole open.

A *family* is all trained and timed claims of one comparison at one match, or those that the suite
declares primary: with many claims, each at 95 %, one of them would soon be wrong by chance. Their
levels are Holm's (family.py), and intervals are drawn at the level that decided. Two claims that
ask the same count once, and one over several variants is one (several.py). A question is a family
of its own, of all pairs of its variants: it is answered, not judged, and must not cost the claims
their power. Arithmetic is exact and in none.

=====================  ============================================================================
word                   when
=====================  ============================================================================
supported, supported   as the tables of decide.py say of the kind of claim
in direction, true but
negligible, refuted
inconclusive           the interval leaves it open, the A/A control came out above the margin, or a
                       part of several is open
invalid                more than 20 % of a row's trials diverged, a figure cannot be vouched for,
                       or the trials differ in data, precision, device or engine
depends                parts were decided differently
answered               a question: each pair with the best is ordered, or within the margin
not tested             there is nothing yet that could be judged; the reason says what
=====================  ============================================================================
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, get_args

from pydantic import TypeAdapter, ValidationError

from ablate.evidence import (
    batches,
    changed,
    citable,
    contradictions,
    control,
    family,
    hypotheses,
    latency,
    noise,
    power,
    requirements,
    saving,
    sentences,
    settings,
    several,
    sweeps,
    tuned,
    welch,
)
from ablate.evidence.collect import ComparisonEvidence, Evidence
from ablate.evidence.decide import Decision
from ablate.evidence.hypotheses import Group, Hypothesis
from ablate.evidence.latency import Measured
from ablate.evidence.sources import Kind, Lacks
from ablate.evidence.spelling import (
    counted,
    listed,
    number,
    one_line,
    upper_first,
    variant_name,
)
from ablate.study import Study
from ablate.suite.claims import Claim, Question, RequirementClaim

Word = Literal[
    "supported",
    "supported in direction",
    "true but negligible",
    "refuted",
    "inconclusive",
    "invalid",
    "depends",
    "answered",
    "not tested",
]


@dataclass(frozen=True)
class Part:
    """What was found at one match, and at one setting of what was timed."""

    match: tuple[str, ...]
    setting: Mapping[str, Any] | None
    word: Word
    why: str
    where: str  # "at equal parameters"
    said: str  # the finding, or why there is none
    source: Kind
    estimate: float | None = None  # ours - theirs in the metric's unit, a ratio, or a value
    low: float | None = None  # of the interval as drawn; of what is exact, the estimate
    high: float | None = None
    level: float | None = None  # how often the interval covers; None of what is exact
    tests: int = 1  # that the level is adjusted for
    margin: float | None = None  # in the metric's unit; of latency a ratio - 1
    runs: tuple[int, ...] = ()  # seeds of each row that is trained, or processes
    seeds: int | None = None  # of the row with fewest that would decide what is open
    # All of the above is on this test set. For other images of its source the interval is wider.
    population: tuple[float, float] | None = None  # at the same level; None where nothing is said
    superiority: float | None = None  # how likely a run of ours is above one of theirs
    sign: tuple[int, int] | None = None  # on how many seeds the difference has the mean's sign, of
    too_few: bool = False  # fewer seeds than a verdict needs
    each: tuple[Mapping[str, Any], ...] = ()  # of several variants, the numbers of every two
    paired: bool = False  # of the differences seed by seed


@dataclass(frozen=True)
class Verdict:
    """A claim, judged."""

    comparison: str
    claim: Mapping[str, Any]  # as the study has it
    word: Word
    why: str
    sentence: str
    screening: tuple[str, ...]  # why it may not be cited; () if it may
    primary: bool | None  # whether in the family; None where the suite declares none primary
    parts: tuple[Part, ...] = field(default=())
    # Note, comparison and word of what contradicts it; the sentence says what both come to.
    contradicts: tuple[Mapping[str, str], ...] = ()

    @property
    def finding(self) -> str:
        """The sentence without what contradicts the claim."""
        return self.sentence.partition(" Contradicts ")[0]

    @property
    def too_few(self) -> bool:
        """Whether a part stands on fewer seeds than a verdict needs."""
        return any(part.too_few for part in self.parts)

    @property
    def fails(self) -> bool:
        """Whether a strict reader stops here: it is refuted, or has too few seeds."""
        return self.word == "refuted" or self.too_few

    def as_json(self) -> dict[str, Any]:
        """Return everything as JSON has it."""
        return asdict(self) | {"claim": dict(self.claim), "too_few": self.too_few}


def judge(evidence: Evidence) -> tuple[Verdict, ...]:
    """Return the verdict on every claim of a study, in the order of its comparisons."""
    alone = {it.asked.id: _alone(evidence, it) for it in evidence.comparisons}
    return tuple(
        verdict
        for comparison in evidence.comparisons
        for verdict in _linked(evidence, comparison, alone)
    )


def report_lines(evidence: Evidence, found: Sequence[Verdict]) -> list[str]:
    """Return verdicts as lines for a terminal, by comparison, with what speaks against citing."""
    lines: list[str] = []
    for comparison in evidence.comparisons:
        here = [verdict for verdict in found if verdict.comparison == comparison.asked.id]
        saved = saving.findings(comparison)
        if not (here or saved):
            continue
        lines += [f"{one_line(comparison.asked.id)}: {one_line(comparison.asked.title)}", ""]
        for verdict in here:
            lines += [f"  {_heading(verdict)}", f"    {verdict.sentence}"]
        beside = [*standing(here), *filter(None, [control.sentence(comparison)]), *saved]
        beside += [*tuned.chosen_in_words(comparison), *tuned.sentences(comparison)]
        lines += [*(f"  {line}" for line in beside), ""]
    counts = Counter(verdict.word for verdict in found)
    told = [f"{counts[word]} {word}" for word in get_args(Word) if counts[word]]
    return [*lines, f"{counted(len(found), 'claim')}{': ' if told else ''}{', '.join(told)}"]


def standing(found: Sequence[Verdict]) -> list[str]:
    """Say once why some verdicts may not be cited, each reason with the claims it is about."""
    about: dict[str, list[str]] = {}
    for verdict in found:
        for reason in verdict.screening:
            about.setdefault(reason, []).append(one_line(str(verdict.claim.get("note", ""))))
    return [
        f"Screening, not to be cited ({', '.join(dict.fromkeys(notes))}): {reason}"
        for reason, notes in about.items()
    ]


def short_lines(found: Sequence[Verdict]) -> list[str]:
    """Return a line for every verdict, to stand below the answers of a run."""
    return [_heading(verdict) for verdict in found]


def _heading(verdict: Verdict) -> str:
    """Return a claim and its word: `A:113 "8 times less parameters": supported`."""
    note = one_line(str(verdict.claim.get("note", "")))
    standing = " (screening)" if verdict.screening else ""
    return f"{note} {sentences.quoted(verdict.claim)}: {verdict.word}{standing}"


def judge_comparison(evidence: Evidence, comparison: ComparisonEvidence) -> tuple[Verdict, ...]:
    """Return the verdict on every claim of one comparison, in the order of the suite."""
    alone = {comparison.asked.id: _alone(evidence, comparison)}
    for claim in comparison.asked.claims:
        linked = {place for place, _ in contradictions.partners(evidence, comparison, claim)}
        for other in evidence.comparisons:
            if other.asked.id in linked - alone.keys():
                alone[other.asked.id] = _alone(evidence, other)
    return _linked(evidence, comparison, alone)


def _linked(
    evidence: Evidence, comparison: ComparisonEvidence, alone: Mapping[str, tuple[Verdict, ...]]
) -> tuple[Verdict, ...]:
    """Return the verdicts of a comparison, each told of those whose claims contradict its own."""
    found = []
    for verdict in alone[comparison.asked.id]:
        others = [
            other
            for place, note in contradictions.partners(evidence, comparison, verdict.claim)
            for other in alone[place]
            if other.claim.get("note") == note
        ]
        told = contradictions.told(verdict, others, contradictions.absent(evidence, verdict.claim))
        named = tuple(
            {"note": str(it.claim["note"]), "comparison": it.comparison, "word": it.word}
            for it in others
        )
        sentence = " ".join([verdict.sentence, *told])
        found.append(replace(verdict, sentence=sentence, contradicts=named))
    return tuple(found)


def _alone(evidence: Evidence, comparison: ComparisonEvidence) -> tuple[Verdict, ...]:
    """Return the verdicts of a comparison without what contradicts them."""
    names = [row.asked.variant for row in comparison.rows]
    claims = [
        several.spelled_out(claim, names) if isinstance(claim, RequirementClaim) else claim
        for claim in map(_read, comparison.asked.claims)
    ]
    asked = [
        claim
        if claim is None or (isinstance(claim, RequirementClaim) and not claim.over)
        else sweeps.judge(comparison, claim)
        if sweeps.is_about(claim)
        else batches.of(comparison, claim)
        if batches.is_about(claim)
        else hypotheses.of(comparison, claim, evidence.study.device)
        for claim in claims
    ]
    declared = any(claim is not None and claim.primary for claim in claims)
    members = [
        group
        for claim, groups in zip(claims, asked, strict=True)
        if isinstance(groups, list) and claim is not None and not isinstance(claim, Question)
        for group in groups
        if claim.primary or not declared
    ]
    levels = _levels(members)
    found = []
    for stored, claim, groups in zip(comparison.asked.claims, claims, asked, strict=True):
        if claim is None:
            parts: Lacks | list[Part] = Lacks("not tested", "this claim cannot be read")
        elif isinstance(groups, sweeps.Judged):
            found.append(_swept(comparison, stored, groups))
            continue
        elif isinstance(claim, RequirementClaim) and not claim.over:
            parts = list(_required(evidence, comparison, claim))
        elif isinstance(groups, list):
            timed = [group[0].setting for group in groups]
            settings = [one for one in timed if one is not None]
            judging = _answered if isinstance(claim, Question) else _judged
            parts = [
                judging(group, levels, sentences.where(group[0], settings)) for group in groups
            ]
        else:
            assert isinstance(groups, Lacks)
            parts = groups
        primary = claim.primary if claim is not None and declared else None
        scopes = _scopes(evidence.study, comparison, groups)
        changes = comparison.changed.get(changed.key_of(stored), "")
        reasons = _screening(evidence.study, comparison, claim, parts, groups, changes)
        found.append(_verdict(comparison, stored, parts, primary, scopes, reasons, groups))
    return tuple(found)


def swept(comparison: ComparisonEvidence) -> list[tuple[Mapping[str, Any], sweeps.Judged]]:
    """Return the claims of a comparison that sweep settings, as the study has them, and how."""
    found: list[tuple[Mapping[str, Any], sweeps.Judged]] = []
    for stored in comparison.asked.claims:
        claim = _read(stored)
        is_swept = claim is not None and claim.over and sweeps.is_about(claim)
        judged = sweeps.judge(comparison, claim) if claim is not None and is_swept else None
        if isinstance(judged, sweeps.Judged):
            found.append((stored, judged))
    return found


def _read(stored: Mapping[str, Any]) -> Claim | None:
    """Return a claim as the suite had it; None where it is of another version, or damaged."""
    try:
        claim: Claim = _ADAPTER.validate_python(dict(stored))
    except ValidationError:
        return None
    return claim


_ADAPTER: TypeAdapter[Any] = TypeAdapter(Claim)


Levels = Mapping[tuple[str, str], tuple[float, int]]  # by match and hypothesis: level and tests


def _levels(members: Iterable[Group]) -> Levels:
    """Return the level of each hypothesis that needs statistics, and how many share its family."""
    families: dict[str, dict[str, float]] = {}
    for group in members:
        # What is still to come counts from the beginning, or levels would change with every trial.
        lacks = [one.lacks for one in several.left(group, welch.LEVEL) if one.lacks is not None]
        open_ = any(it.pending for it in lacks) if lacks else several.is_uncertain(group)
        if open_:
            rate = 1.0 if lacks else several.decided_at(group)
            families.setdefault(group[0].match[0], {})[group[0].key] = rate
    return {
        (match, key): (level, len(rates))
        for match, rates in families.items()
        for key, level in zip(rates, family.holm(list(rates.values())), strict=True)
    }


def _decision(hypothesis: Hypothesis, level: float) -> Decision:
    if hypothesis.estimate is None or hypothesis.noisy:
        return Decision("inconclusive")
    return hypothesis.decide(*hypothesis.estimate.bounds(level, hypothesis.sides))


def _seeds(hypothesis: Hypothesis, decision: Decision, level: float) -> int | None:
    """Return how many runs of the row with fewest would decide what is open."""
    if decision.word != "inconclusive" or hypothesis.estimate is None or hypothesis.noisy:
        return None
    if decision.why == "below the margin either way" or hypothesis.beyond:
        return None  # which way, nobody need know; and no seeds measure other widths
    runs = min(hypothesis.runs, default=0)
    if runs < 2 or hypothesis.is_unbounded:
        return None
    return power.seeds_to_decide(
        hypothesis.estimate,
        runs,
        hypothesis.decide,
        truth=hypothesis.planned,
        level=level,
        sides=hypothesis.sides,
    )


def _judged(group: Group, levels: Levels, where: str) -> Part:
    """Return the part of a verdict that one hypothesis gives."""
    alone = (1 - family.ALPHA, 1)
    level, tests = levels.get((group[0].match[0], group[0].key), alone)
    if len(group) > 1 or any(group[0].budgets):
        return _judged_together(group, level, tests, where)
    (one,) = group
    if one.lacks is not None:
        return _lacking(one, one.lacks, where)
    decision = _decision(one, level)
    seeds = _seeds(one, decision, level)
    said = sentences.finding(one, decision, level, tests, seeds)
    return Part(
        match=one.match,
        setting=None if one.setting is None else dict(one.setting.setting),
        word=decision.word,
        why=decision.why or ("the machine is too noisy" if one.noisy else ""),
        where=where,
        said=said,
        source=one.source,
        tests=tests,
        seeds=seeds,
        **_numbers(one, level),
    )


def _judged_together(group: Group, level: float, tests: int, where: str) -> Part:
    """Return the part of a verdict that a claim over several variants gives (see several.py)."""
    rest = several.left(group, level)
    if lacking := [one for one in rest if one.lacks is not None]:
        return _lacking(_worst(lacking), where=where)
    decision = several.decision(group, level)
    if not rest and decision.word != "refuted":
        told = sentences.budgets_told(group, several.adjusted(group, level))
        return _lacking(group[0], Lacks("not tested", ", ".join(told)), where)
    each = [several.part(one, level) for one in rest]
    seeds = [_seeds(one, found, level) for one, found in zip(rest, each, strict=True)]
    most = max((n for n in seeds if n is not None), default=None)
    return Part(
        match=group[0].match,
        setting=None if group[0].setting is None else dict(group[0].setting.setting),
        word=decision.word,
        why=decision.why or ("the machine is too noisy" if any(o.noisy for o in rest) else ""),
        where=where,
        said=sentences.finding_of_several(group, decision, level, tests, seeds),
        source=group[0].source,
        tests=tests,
        seeds=most if decision.word == "inconclusive" else None,
        **(_numbers(rest[0], level) if len(rest) == 1 else {"too_few": _too_few(rest)}),
        each=tuple(
            {"variants": [row.asked.variant for row in one.rows], "word": found.word}
            | {key: value for key, value in _numbers(one, level).items() if key in _EACH}
            for one, found in zip(rest, each, strict=True)
        ),
    )


_EACH = ("estimate", "low", "high", "level", "margin", "runs")


def _worst(lacking: Sequence[Hypothesis]) -> Hypothesis:
    """Return which of some hypotheses that lack something says most: the first that is invalid."""
    return next((one for one in lacking if _word(one) == "invalid"), lacking[0])


def _answered(group: Group, levels: Levels, where: str) -> Part:
    """Return the part of an answer: the best row against each other."""
    asked = group
    told = sentences.budgets_told(asked, welch.LEVEL)
    group = tuple(one for one in asked if several.states(one, welch.LEVEL) <= {"within", "unknown"})
    if not group and told:
        return _lacking(asked[0], Lacks("not tested", ", ".join(told)), where)
    if lacking := [one for one in group if one.lacks is not None]:
        return _lacking(_worst(lacking), where=where)
    # All of its intervals hold together, whichever row turns out to be the best.
    level = 1 - family.ALPHA / len(group)
    means = {
        id(row): (mean, row) for one in group for mean, row in zip(one.means, one.rows, strict=True)
    }
    sign = -1 if group[0].direction == "lower" else 1
    best = max(means.values(), key=lambda found: sign * found[0])[1]
    with_best = [one for one in group if any(row is best for row in one.rows)]
    decisions = [_decision(one, level) for one in with_best]
    seeds = [_seeds(one, d, level) for one, d in zip(with_best, decisions, strict=True)]
    is_open = any(decision.word == "inconclusive" for decision in decisions)
    # Nor is it known whether the best may be compared at all, where its own budget is open.
    is_open |= any(several.state_of(one, best, welch.LEVEL) == "unknown" for one in with_best)
    said = sentences.answer(with_best, decisions, level, len(group), seeds, best)
    said = "; ".join([said, *told])
    closest = with_best[0] if len(with_best) == 1 else None
    return Part(
        match=group[0].match,
        setting=None if group[0].setting is None else dict(group[0].setting.setting),
        word="inconclusive" if is_open else "answered",
        why="the machine is too noisy" if any(one.noisy for one in group) else "",
        where=where,
        said=said,
        source=group[0].source,
        tests=len(group),
        seeds=max((n for n in seeds if n is not None), default=None),
        **(_numbers(closest, level) if closest is not None else {"too_few": _too_few(with_best)}),
    )


def _numbers(one: Hypothesis, level: float) -> dict[str, Any]:
    """Return a hypothesis's numbers as readers have them: a ratio, not its logarithm."""
    spelled: Callable[[float], float] = math.exp if one.scale == "ratio" else float
    found: dict[str, Any] = {
        "margin": one.margin if one.wanted is None else None,
        "runs": one.runs,
        "too_few": _too_few([one]),
        "paired": one.paired,
    }
    if one.estimate is None:
        return found
    low, high = one.estimate.bounds(level, one.sides)
    if len(one.by_seed) == 2 and one.scale == "difference":
        ours, theirs = one.by_seed
        found["superiority"] = noise.probability_of_superiority(
            [*ours.values()], [*theirs.values()]
        )
        found["sign"] = noise.sign_consistency(ours, theirs)
    if one.test_error is not None and not one.is_exact:
        wider = noise.on_population(one.estimate, one.test_error)
        found["population"] = wider.bounds(level, one.sides)
    return found | {
        "estimate": spelled(one.estimate.value),
        "low": None if math.isinf(low) else spelled(low),
        "high": None if math.isinf(high) else spelled(high),
        "level": None if one.is_exact else sentences.coverage(level, one.sides),
    }


def _too_few(group: Sequence[Hypothesis]) -> bool:
    return any(
        one.source == "trained" and any(n < citable.FEWEST_SEEDS for n in one.runs) for one in group
    )


def _lacking(one: Hypothesis, lacks: Lacks | None = None, where: str = "") -> Part:
    """Return the part of a verdict where there is nothing to decide; by default what it lacks."""
    lacks = lacks or one.lacks
    assert lacks is not None  # as was asked
    trained = one.source == "trained"
    told = [lacks.why, sentences.failure_rates(one.rows) if trained else ""]
    said = ", ".join(text for text in told if text)
    few = trained and any(
        row.trials and not row.is_fixed and len(row.values) < citable.FEWEST_SEEDS
        for row in one.rows
    )
    return Part(one.match, None, lacks.word, lacks.why, where, said, one.source, too_few=few)


def _word(one: Hypothesis) -> str:
    return one.lacks.word if one.lacks is not None else ""


def _required(
    evidence: Evidence, comparison: ComparisonEvidence, claim: RequirementClaim
) -> Iterable[Part]:
    """Yield what requirements.py says of a claim's limits, one part for each."""
    words: dict[requirements.Verdict, Word] = {
        "met": "supported",
        "not met": "refuted",
        "not tested": "not tested",
    }
    bounds = {"at_least": claim.at_least, "at_most": claim.at_most}
    names = claim.variants()
    asked = [{"variant": name, claim.metric: bounds} for name in names]
    study = evidence.study.model_copy(update={"requirements": asked})
    found = requirements.judged(Evidence(study, (comparison,), ()))
    rows = [row for row in comparison.rows if row.asked.variant in names]
    is_fact = any(claim.metric.partition(".")[0] in row.full for row in rows)
    few = not is_fact and any(0 < len(row.values) < citable.FEWEST_SEEDS for row in rows)
    source: Kind = "arithmetic" if is_fact else "trained"
    for parts in zip(*(one.parts for one in found), strict=True):  # of one limit, by variant
        verdict = requirements.together(parts)
        each = dict(zip(names, parts, strict=True))
        if len(names) > 1:
            yield Part(
                ("none",), None, words[verdict], "", "", sentences.of_each(each), source,
                too_few=few,
                each=tuple(
                    {"variants": [name], "word": words[part.verdict], "estimate": part.value}
                    for name, part in each.items()
                ),
            )  # fmt: skip
            continue
        (part,) = parts
        said = f"{part.asked} of {variant_name(claim.of)}"
        said += f", found {part.found}" if part.found else ""
        said += f", {part.reason}" if part.reason else ""
        value = part.value
        yield Part(
            ("none",), None, words[verdict], part.reason, sentences.WHERE["none"], said, source,
            value, value, value, too_few=few,
        )  # fmt: skip


def _verdict(
    comparison: ComparisonEvidence,
    stored: Mapping[str, Any],
    parts: Lacks | list[Part],
    primary: bool | None,
    scopes: Sequence[str],
    screening: Sequence[str],
    groups: object,
) -> Verdict:
    """Put the parts of a verdict together."""
    if isinstance(parts, Lacks):
        sentence = f"{upper_first(parts.word)}: {parts.why}."
        return Verdict(comparison.asked.id, stored, parts.word, parts.why, sentence, (), primary)
    word, why = _together(parts)
    found: dict[tuple[str, str], list[str]] = {}  # what is said of several places, once
    for part in parts:
        is_open = stored.get("kind") == "question" and part.word == "inconclusive"
        lead = "we cannot tell yet" if is_open else part.word
        where = part.where
        if comparison.as_they_are:
            where = where.removeprefix(sentences.WHERE["none"]).strip()
        found.setdefault((lead, part.said), []).append(where)
    text = "; ".join(
        f"{each} {listed(places)}".strip() + f": {said}" for (each, said), places in found.items()
    )
    if isinstance(groups, list):
        text = settings.told(groups, parts, comparison.as_they_are) or text
    if word == "depends":
        text = f"depends {why}, {text}"
    if primary is False and any(part.level is not None for part in parts):
        text += "; not among the primary claims, so it is not adjusted for them"
    scope = f" ({'; '.join(scopes)})" if scopes else ""
    sentence = f"{upper_first(one_line(text))}{scope}."
    return Verdict(
        comparison.asked.id, stored, word, why, sentence, tuple(screening), primary, tuple(parts)
    )


def _swept(
    comparison: ComparisonEvidence, stored: Mapping[str, Any], found: sweeps.Judged
) -> Verdict:
    """Return the verdict on other networks than the rows', with a part for each of them.

    Of a trend they are decided together.
    """
    is_trend = stored.get("kind") == "trend"
    parts = tuple(
        Part(
            match=("none",),
            setting=dict(place.settings) or None,
            word=found.word if is_trend else place.word,
            why=found.why if is_trend else place.why,
            where=place.where or sentences.WHERE["none"],
            said=place.said,
            source="arithmetic",
            estimate=place.estimate,
            low=place.estimate,
            high=place.estimate,
        )
        for place in found.places
    )
    of = sentences.arithmetic(comparison, found.rows[0].asked.full_config)
    sentence = f"{upper_first(one_line(found.said))} ({one_line(of)})."
    return Verdict(comparison.asked.id, stored, found.word, found.why, sentence, (), None, parts)


def _together(parts: Sequence[Part]) -> tuple[Word, str]:
    """Return the word of all parts together, and why."""
    words = {part.word for part in parts}
    if len(words) == 1:
        return parts[0].word, parts[0].why if len(parts) == 1 else ""
    decided = words - _OPEN
    if decided == {"supported", "supported in direction"}:
        decided = {"supported in direction"}
    if len(decided) > 1:
        return "depends", f"on {_what_differs(parts)}"
    for word in ("invalid", "inconclusive"):
        if word in words:
            there = [part for part in parts if part.word == word]
            if len(there) > settings.FEW:
                return word, f"at {number(len(there))} of {number(len(parts))} settings"
            return word, listed([part.where for part in there])
    if "not tested" in words:
        there = [part for part in parts if part.word == "not tested"]
        return "inconclusive", f"not tested {listed([part.where for part in there])}"
    return decided.pop(), ""


_OPEN: set[Word] = {"invalid", "inconclusive", "not tested"}


def _what_differs(parts: Sequence[Part]) -> str:
    """Say what the parts that disagree differ in."""
    if len({str(part.setting) for part in parts}) > settings.FEW:
        return listed(settings.deciding(parts)) or "the setting"
    matches = {part.match for part in parts}
    places = {str(part.setting) for part in parts}
    named = ["the match"] * (len(matches) > 1) + ["the setting"] * (len(places) > 1)
    batches = {part.setting.get("batch") for part in parts if part.setting is not None}
    if len(batches) > 1 and len(places) == len(batches):
        named[-1] = "the batch"
    return listed(named) or "the limit"


def _scopes(study: Study, comparison: ComparisonEvidence, groups: object) -> list[str]:
    """Return what the parts hold for, each scope once."""
    if not isinstance(groups, list):
        return []
    known = [one for group in groups for one in group if one.lacks is None]
    known = [settings.joined(one, known) for one in known]
    return list(dict.fromkeys(sentences.scope(study, comparison, one) for one in known))


def _screening(
    study: Study,
    comparison: ComparisonEvidence,
    claim: Claim | None,
    parts: Lacks | list[Part],
    groups: object,
    changes: str,
) -> list[str]:
    """Return why a verdict may not be cited: of the rows that it is about, and of no others.

    `changes` is what the claim was before its trials existed, "" where it is the same.
    """
    if claim is None or isinstance(parts, Lacks):
        return []
    sources = {part.source for part in parts if part.word != "not tested"}
    found = []
    if "trained" in sources:
        about = [row for row in comparison.rows if row.asked.variant in claim.variants()]
        if isinstance(groups, list):
            asked = {id(row) for group in groups for one in group for row in one.rows}
            about = [row for row in comparison.rows if id(row) in asked]
        # A claim has a margin of its own.
        found = citable.reasons(study, replace(comparison, rows=tuple(about), margin_changed=""))
        found += [changes] if changes else []
    if isinstance(groups, list):
        members = [one for group in groups for one in group]
        timed = [it for one in members if isinstance(it := one.setting, Measured)]
        if any(it.unit == "s" for one in members for side in one.budgets for it in side):
            timed += latency.measured(comparison)
        found += citable.of_times(study, timed) if timed else []
    if "peak" in sources:
        found += citable.of_peaks(study)
    return list(dict.fromkeys(found))
