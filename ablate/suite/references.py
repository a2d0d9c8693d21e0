"""Names in a suite that name nothing, and things that are there twice."""

from pathlib import Path

from ablate import catalog
from ablate.suite import dotted
from ablate.suite.source import Loc, Problem, Source
from ablate.suite.structure import Form


def references(form: Form, source: Source, path: Path) -> list[Problem]:
    """Return what is wrong with the names in a suite."""
    suite = form.suite
    found: list[tuple[Loc, bool, str]] = []
    if suite.id != path.stem:
        found.append(
            (("id",), False, f"the id {suite.id!r} and the file's name {path.name} differ")
        )
    ids = [comparison.id for comparison in suite.comparisons]
    metrics = catalog.names("metrics")
    for index, comparison in enumerate(suite.comparisons):
        at = form.place("comparisons", index)
        written = dotted.get(source.data, (*at, "variants"))  # also those that were left out
        if comparison.id in ids[:index]:
            found.append(
                ((*at, "id"), False, f"the id {comparison.id!r} is taken by another comparison")
            )
        if comparison.baseline not in written:
            hint = catalog.suggest(comparison.baseline, written)
            text = f"the baseline {comparison.baseline!r} is no variant of it; {hint}"
            found.append(((*at, "baseline"), False, text))
        if len(written) < 2:
            text = "a comparison needs a baseline and at least one other variant"
            found.append(((*at, "variants"), True, text))
        for name, variant in comparison.variants.items():
            if isinstance(variant, str) and variant not in suite.variants:
                text = f"unknown variant {variant!r}; {catalog.suggest(variant, suite.variants)}"
                found.append(((*at, "variants", name), False, text))
        if comparison.metric is not None and comparison.metric not in metrics:
            hint = catalog.suggest(comparison.metric, metrics)
            text = f"unknown metric {comparison.metric!r}; {hint}"
            found.append(((*at, "metric"), False, text))
        for number, claim in enumerate(comparison.claims):
            here = form.place("comparisons", index, "claims", number)
            root = claim.metric.partition(".")[0]
            if root not in metrics:
                text = f"unknown metric {claim.metric!r}; {catalog.suggest(root, metrics)}"
                found.append(((*here, "metric"), False, text))
            for name in claim.variants():
                if name not in written:
                    text = f"the claim is about {name!r}, which is no variant of this comparison; "
                    text += catalog.suggest(name, written)
                    key = next(k for k in ("expect", "of", "between") if hasattr(claim, k))
                    found.append(((*here, key), False, text))
    for index, requirement in enumerate(suite.requirements):
        at = form.place("requirements", index)
        known = [*suite.variants, *(v for c in suite.comparisons for v in c.variants)]
        if requirement.variant not in known:
            text = f"unknown variant {requirement.variant!r}; "
            text += catalog.suggest(requirement.variant, known)
            found.append(((*at, "variant"), False, text))
        for metric in requirement.__pydantic_extra__:
            if metric not in metrics:
                text = f"unknown metric {metric!r}; {catalog.suggest(metric, metrics)}"
                found.append(((*at, metric), True, text))
    for name, profile in suite.profiles.items():
        for number, wanted in enumerate(profile.comparisons or []):
            if wanted not in ids:
                text = f"unknown comparison {wanted!r}; {catalog.suggest(wanted, ids)}"
                found.append((("profiles", name, "comparisons", number), False, text))
    return [Problem(source.position(loc, key=key), text) for loc, key, text in found]
