"""Names in a suite that name nothing, and things that are there twice."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from ablate import catalog
from ablate.suite import dotted
from ablate.suite.claims import FUNCTION, RESULT, AtMost, Claim, RatioClaim
from ablate.suite.schema import Comparison, Requirement, Shares, setting
from ablate.suite.source import Loc, Problem, Source
from ablate.suite.structure import Form

Found = tuple[Loc, bool, str]  # where, whether the key is meant (not the value), message


def references(form: Form, source: Source, path: Path) -> list[Problem]:
    """Return what is wrong with the names in a suite."""
    return [
        Problem(source.position(at, key=key), text) for at, key, text in _all(form, source, path)
    ]


def _all(form: Form, source: Source, path: Path) -> Iterator[Found]:
    suite = form.suite
    if source.data.get("id") == suite.id != path.stem:  # otherwise it is wrong in itself
        text = f"the id {suite.id!r} is not the file's name; name the file {suite.id}.yaml"
        yield ("id",), False, text
    seen: set[str] = set()
    for index, comparison in enumerate(suite.comparisons):
        at = form.place("comparisons", index)
        if dotted.get(source.data, at).get("id") == comparison.id:
            if comparison.id in seen:
                text = f"the id {comparison.id!r} is taken by another comparison; choose another"
                yield (*at, "id"), False, text
            seen.add(comparison.id)
        yield from _comparison(comparison, at, source)
        variants = _written(source, *at, "variants")
        for number, claim in enumerate(comparison.claims):
            here = form.place("comparisons", index, "claims", number)
            yield from _claim(claim, here, comparison, variants)
    yield from _contradictions(form)
    used = {name for comparison in suite.comparisons for name in comparison.variants}
    for index, requirement in enumerate(suite.requirements):
        at = form.place("requirements", index)
        yield from _requirement(requirement, at, {*_written(source, "variants"), *used})
    ids = [comparison.id for comparison in suite.comparisons]
    yield from _shares(suite.seeds, ("seeds",), [])
    for name, profile in suite.profiles.items():
        yield from _shares(profile.seeds, ("profiles", name, "seeds"), [])
        for number, wanted in enumerate(profile.comparisons or []):
            if wanted not in ids:
                text = f"unknown comparison {wanted!r}; {catalog.suggest(wanted, ids)}"
                yield ("profiles", name, "comparisons", number), False, text


def _comparison(comparison: Comparison, at: Loc, source: Source) -> Iterator[Found]:
    variants, named = _written(source, *at, "variants"), _written(source, "variants")
    if comparison.baseline not in variants:
        hint = catalog.suggest(comparison.baseline, variants)
        text = f"the baseline {comparison.baseline!r} is no variant of this comparison; {hint}"
        yield (*at, "baseline"), False, text
    if len(variants) < 2:
        text = "a comparison needs a baseline and at least one other variant"
        yield (*at, "variants"), True, text
    for name, variant in comparison.variants.items():
        if isinstance(variant, str) and variant not in named:
            text = f"unknown variant {variant!r}; {catalog.suggest(variant, named)}"
            yield (*at, "variants", name), False, text
    if comparison.metric is not None:
        yield from _metric(comparison.metric, (*at, "metric"))
    for number, metric in enumerate(comparison.readings):
        yield from _metric(metric, (*at, "readings", number))
    yield from _against(comparison, at, variants)
    yield from _shares(comparison.seeds, (*at, "seeds"), variants)
    profiles = [*_written(source, "profiles"), "full"]
    for name, own in comparison.profiles.items():
        here = (*at, "profiles", name)
        if name not in profiles:
            text = f"unknown profile {name!r}; {catalog.suggest(name, profiles)}"
            yield here, True, text
        yield from _shares(own.seeds, (*here, "seeds"), variants)
        yield from _kept(comparison, own.variants, (*here, "variants"), variants)
        for number, metric in enumerate(own.readings or []):
            yield from _metric(metric, (*here, "readings", number))


def _against(comparison: Comparison, at: Loc, variants: list[str]) -> Iterator[Found]:
    for name, reference in comparison.against.items():
        here = (*at, "against", name)
        if name not in variants:
            yield here, True, f"unknown variant {name!r}; {catalog.suggest(name, variants)}"
        elif name == comparison.baseline:
            yield here, True, f"the baseline {name!r} is compared with no other; leave this out"
        if reference not in variants:
            hint = catalog.suggest(reference, variants)
            yield here, False, f"unknown variant {reference!r}; {hint}"
        elif reference == name:
            yield here, False, f"{name!r} cannot be compared with itself; name another variant"


def _shares(seeds: Any, at: Loc, variants: list[str]) -> Iterator[Found]:
    """Find names in shared-out seeds that are no variant's."""
    for name in seeds.variants if isinstance(seeds, Shares) else []:
        if name not in variants:
            known = ["each", "baseline", *variants]
            text = f"unknown variant {name!r}; {catalog.suggest(name, known)}"
            yield (*at, name), True, text


def _kept(
    comparison: Comparison, kept: list[str] | None, at: Loc, variants: list[str]
) -> Iterator[Found]:
    """Find what is wrong with the variants to which a profile keeps."""
    for number, name in enumerate(kept or []):
        if name not in variants:
            hint = catalog.suggest(name, variants)
            yield (*at, number), False, f"unknown variant {name!r}; {hint}"
            continue
        needed = comparison.against.get(name, comparison.baseline)
        if needed in variants and needed not in (kept or []):
            text = f"{name!r} is compared with {needed!r}, which is not among these; add it"
            yield (*at, number), False, text


def _claim(
    claim: Claim, at: Loc, comparison: Comparison, variants: Iterable[str]
) -> Iterator[Found]:
    if claim.metric != FUNCTION:
        yield from _metric(claim.metric.partition(".")[0], (*at, "metric"))
    key = next(key for key in ("of", "between", "expect") if hasattr(claim, key))
    for number, name in enumerate(claim.variants()):
        if name not in variants:
            hint = catalog.suggest(name, variants)
            text = f"the claim is about {name!r}, which is no variant of this comparison; {hint}"
            yield (*at, key, *([number] if key == "between" else [])), False, text
    matches = [match.kind for match in comparison.match]
    if claim.match == RESULT:
        yield from _same_result(claim, at, comparison)
    elif claim.match is not None and claim.match not in matches:
        text = f"the comparison is not matched by {claim.match}; add that to its `match:`"
        yield (*at, "match"), False, text
    for metric, most in getattr(claim, "within", {}).items():
        yield from _budget(metric, most, (*at, "within", metric))
    for path in claim.over if not claim.is_of_batches else ():
        try:
            setting(path)
        except ValueError as error:
            yield (*at, "over", path), True, str(error)


def _same_result(claim: Claim, at: Loc, comparison: Comparison) -> Iterator[Found]:
    """Find what is wrong with a claim on what is saved for the same result."""
    if not isinstance(claim, RatioClaim):
        text = (
            f"what is saved for the same result is a ratio; claim one, or leave `match: {RESULT}`"
        )
        yield (*at, "match"), False, text
    elif claim.metric not in ("params", "macs", "latency"):
        text = f"{claim.metric!r} is not saved; write params, macs or latency"
        yield (*at, "metric"), False, text
    kept = [comparison.budgets, *(own.budgets for own in comparison.profiles.values())]
    if not any(budgets is not None and budgets.factors for budgets in kept):
        text = (
            "what is saved for the same result takes networks of several widths; add them to the "
            "comparison, for example budgets: [0.5, 0.7, 1, 1.4]"
        )
        yield (*at, "match"), False, text


def _budget(metric: str, most: AtMost, at: Loc) -> Iterator[Found]:
    """Find what is wrong with a budget that a claim keeps to."""
    if metric not in catalog.names("metrics"):
        yield from _metric(metric, at, key=True)
        return
    measured = catalog.load("metrics", metric)
    if measured.KIND not in ("fact", "pass"):
        text = (
            f"{metric!r} is known after training only and is no budget; write for example params, "
            "macs or latency"
        )
        yield at, True, text
    elif measured.KIND == "pass" and measured.UNIT == "s" and not most.unit:
        text = f"{metric} is told in seconds; write the limit with its unit, for example 5 ms"
        yield (*at, "at_most"), False, text
    elif most.unit not in ("", measured.UNIT):
        named = f"in {measured.UNIT}" if measured.UNIT else "a number without a unit"
        yield (*at, "at_most"), False, f"{most.at_most!r} is no limit of {metric}, which is {named}"
    elif most.at and measured.KIND == "fact":
        text = f"{metric} is the same at every setting; leave this out"
        yield (*at, "at"), True, text


def _contradictions(form: Form) -> Iterator[Found]:
    """Find claims that are to contradict one that no comparison makes."""
    comparisons = enumerate(form.suite.comparisons)
    claims = [
        (form.place("comparisons", index, "claims", number), claim)
        for index, comparison in comparisons
        for number, claim in enumerate(comparison.claims)
    ]
    notes = sorted({claim.note for _, claim in claims})
    for place, claim in claims:
        for number, note in enumerate(claim.contradicts):
            at = (*place, "contradicts", number)
            if note == claim.note:
                yield at, False, f"{note!r} is this claim's own line; name another claim's"
            elif note not in notes:
                hint = catalog.suggest(note, notes)
                yield at, False, f"no claim of this suite cites {note!r}; {hint}"
            elif claim.contradicts.index(note) < number:
                yield at, False, f"{note!r} is given twice; give each claim once"


def _requirement(requirement: Requirement, at: Loc, known: Iterable[str]) -> Iterator[Found]:
    if requirement.variant not in known:
        hint = catalog.suggest(requirement.variant, sorted(known))
        yield (*at, "variant"), False, f"unknown variant {requirement.variant!r}; {hint}"
    for number, kind in enumerate(requirement.uses):
        kinds = catalog.load("metrics", "layers").KINDS
        if kind not in kinds:
            text = f"unknown kind of layer {kind!r}; {catalog.suggest(kind, kinds)}"
            yield (*at, "uses", number), False, text
    for metric in requirement.__pydantic_extra__:
        yield from _metric(metric, (*at, metric), key=True)


def _metric(name: str, at: Loc, *, key: bool = False) -> Iterator[Found]:
    known = catalog.names("metrics")
    if name not in known:
        yield at, key, f"unknown metric {name!r}; {catalog.suggest(name, known)}"


def _written(source: Source, *loc: str | int) -> list[str]:
    """Return the keys that the file has there, also of what is wrong and was left out."""
    try:
        return list(dotted.get(source.data, loc))
    except (dotted.PathError, TypeError):
        return []
