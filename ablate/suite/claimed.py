"""What is wrong with claims that only their comparison and its networks can tell.

Whether anything is trained, which networks a sweep leads to, which parts they have: all of it is
found before the first trial, each problem where the file has it.
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING

from ablate import catalog, metrics
from ablate.suite import dotted, sweeps
from ablate.suite.claims import FUNCTION, Claim, Equality, Question, Trend
from ablate.suite.load import Loaded, Variant
from ablate.suite.schema import PARTS, Comparison
from ablate.suite.source import Loc, Problem

if TYPE_CHECKING:
    from ablate.suite.preflight import Checked

MOST = 64  # networks of each variant that one claim may sweep
BLOCK = "block"

Found = tuple[Loc, bool, str]  # where below the claim, whether the key is meant, message


def problems(loaded: Loaded, item: "Checked") -> Iterator[Problem]:
    """Find what is wrong with the claims of a comparison that was built."""
    comparison = item.comparison
    static = loaded.is_static(comparison)
    if static:
        yield from _static(loaded, comparison)
    elif not item.outputs:
        place = loaded.source.position((*loaded.places[comparison.id], "id"))
        text = "its task asks for no outputs, so there is nothing to train for; write `seeds: 0`"
        yield Problem(place, f"{comparison.id}: {text}")
    for claim, at in zip(comparison.claims, loaded.claims[comparison.id], strict=True):
        for below, key, text in _claim(loaded, item, claim, static):
            yield Problem(loaded.source.position((*at, *below), key=key), text)


def _static(loaded: Loaded, comparison: Comparison) -> Iterator[Problem]:
    """Find what is asked of a comparison that takes training, where nothing is trained."""
    at, profile = loaded.places[comparison.id], loaded.applied.profile
    why = "this comparison is not trained (seeds: 0)"
    if comparison.metrics_read(profile):
        place = loaded.source.position((*at, "readings"))
        yield Problem(place, f"readings are of trained weights, and {why}; leave them out")
    if any(match.kind == "compute" for match in comparison.matches(profile)):
        place = loaded.source.position((*at, "match"))
        yield Problem(place, f"training compute is matched by epochs, and {why}; leave it out")
    if comparison.trained_at(profile) is not None:
        place = loaded.source.position((*at, "budgets"))
        yield Problem(place, f"variants are trained at other budgets, and {why}; leave them out")
    if comparison.tuned(profile) is not None:
        place = loaded.source.position((*at, "tune"))
        yield Problem(place, f"settings are tuned by training, and {why}; leave it out")
    if comparison.paired:
        place = loaded.source.position((*at, "paired"))
        yield Problem(place, f"differences are paired by seed, and {why}; leave it out")


def _claim(loaded: Loaded, item: "Checked", claim: Claim, static: bool) -> Iterator[Found]:
    variants = {one.name: one for one in loaded.variants[item.comparison.id]}
    if not set(claim.variants()) <= variants.keys():
        return  # a profile leaves some out, or it is among the problems
    head, _, part = claim.metric.partition(".")
    if claim.metric == FUNCTION:
        yield from _function(claim)
    elif head not in catalog.names("metrics"):
        return  # it is among the problems
    else:
        kind = catalog.load("metrics", head).KIND
        if kind == "pair":
            text = f"{head!r} is of two networks; claim `kind: equality, metric: {FUNCTION}`"
            yield ("metric",), False, text
            return
        if claim.is_of_batches:
            yield from _batches(claim)
            return
        is_swept = bool(claim.over) or isinstance(claim, Trend)
        known = ", ".join([*metrics.of_kind("fact"), *metrics.of_kind("reading")])
        if static and kind == "trial" and not is_swept:
            text = (
                f"{head!r} is measured of trained networks, and this comparison is not trained "
                f"(seeds: 0); claim latency or a fact ({known}), or give it seeds"
            )
            yield ("metric",), False, text
        if is_swept and kind not in ("fact", "reading"):
            text = (
                f"{head!r} is no fact of a network; what `over` sweeps is not trained and not "
                f"timed: claim one of {known}"
            )
            yield ("metric",), False, text
            return
        if part == BLOCK:
            yield from _block(item, claim)
        elif kind == "fact" and "layer" in claim.at:
            yield ("at",), True, f"`at: {{layer: …}}` is for parts of a network: {head}.{BLOCK}"
    faults = list(_form(claim, variants))
    yield from faults
    if claim.over and not faults:
        yield from _points(item, claim, variants)


def _function(claim: Claim) -> Iterator[Found]:
    if not isinstance(claim, Equality):
        text = "two networks compute the same function or not; claim it with `kind: equality`"
        yield ("kind",), False, text
    if claim.match not in (None, "none"):
        yield ("match",), False, "functions are compared of drop-in networks; leave out `match`"


def _block(item: "Checked", claim: Claim) -> Iterator[Found]:
    """Find parts that networks do not have."""
    if claim.metric != f"params.{BLOCK}":
        text = f"of blocks only parameters are counted; write params.{BLOCK}"
        yield ("metric",), False, text
        return
    layer = claim.at.get("layer")
    if layer is None:
        if len(claim.variants()) != 2:
            text = (
                "the blocks in which two variants differ take two variants; of one, say which "
                "part: `at: {layer: …}`"
            )
            yield ("metric",), False, text
        return
    rows = {row.variant.name: row for row in item.rows if "none" in row.matches}
    for name in dict.fromkeys(claim.variants()):
        owners = sweeps.by_layer(rows[name].full_config["network"], item.shape, item.outputs)
        parts = {".".join(path[:end]) for path in map(_steps, owners) for end in range(1, 9)}
        if layer not in parts:
            hint = catalog.suggest(str(layer), sorted(parts))
            text = f"the network of {name!r} has no parameters at {layer!r}; {hint}"
            yield ("at", "layer"), False, text
            break  # what is misspelt is so of both


def _steps(path: str) -> list[str]:
    return path.split(".")


def _form(claim: Claim, variants: dict[str, Variant]) -> Iterator[Found]:
    """Find sweeps that make no sense, whatever the networks are."""
    if isinstance(claim, Trend):
        yield from _trend(claim)
    if not claim.over:
        return
    if isinstance(claim, Question):
        text = "a question is not asked along a sweep; claim an order, or a trend"
        yield ("over",), True, text
    elif len(claim.variants()) > 2:
        text = "a sweep is of one variant, or of two that are compared; make a claim for each"
        yield ("over",), True, text
    if claim.match not in (None, "none"):
        text = "a sweep is of the drop-in networks; leave out `match`"
        yield ("match",), False, text
    for path, values in sweeps.values(claim).items():
        try:
            root, *rest = dotted.parse(path)
        except dotted.PathError:
            return  # it is among the problems
        if root not in PARTS:
            return  # likewise
        if root != "network" or not rest:
            text = f"{path!r} is no setting of a network; sweep for example network.width"
            yield ("over", path), True, text
            continue
        for number, value in enumerate(values):
            if value in values[:number]:
                yield ("over", path, number), False, f"{value} is given twice; give it once"
        if len(claim.variants()) == 2:
            yield from _undone(claim, path, variants)
    size = len(sweeps.combinations(claim))
    if size > MOST:
        text = f"these are {size} combinations of values; a claim may sweep {MOST}"
        yield ("over",), True, text


def _undone(claim: Claim, path: str, variants: dict[str, Variant]) -> Iterator[Found]:
    """Find settings in which the variants differ: swept, they would differ no more."""
    swept = dotted.parse(path)
    for name in claim.variants():
        for own in variants[name].changes:
            if dotted.parse(own)[: len(swept)] == swept:
                text = (
                    f"variant {name!r} sets {own}, which the sweep of {path} would undo; sweep "
                    "what the two have in common"
                )
                yield ("over", path), True, text


def _batches(claim: Claim) -> Iterator[Found]:
    """Find batch sizes that make no trend."""
    if claim.match not in (None, "none"):
        yield ("match",), False, "a sweep is of the drop-in networks; leave out `match`"
    if "batch" in claim.at:
        yield ("at", "batch"), True, "the batches are those of `over`; leave this out"
    if isinstance(margin := getattr(claim, "margin", 0.0), float) and margin > 0:
        text = f"between batches a margin is a share; write for example 10% in place of {margin:g}"
        yield ("margin",), False, text
    values = sweeps.values(claim)["batch"]
    for number, value in enumerate(values):
        if not isinstance(value, int) or value < 1:
            yield ("over", "batch", number), False, f"{value!r} is no batch size; write 1 or more"
    numbers = [value for value in values if isinstance(value, int)]
    if numbers != sorted(set(numbers)):
        ordered = ", ".join(map(str, sorted(set(numbers))))
        text = f"the values of a trend go up, each once; write [{ordered}]"
        yield ("over", "batch"), False, text


def _trend(claim: Trend) -> Iterator[Found]:
    if not claim.over:
        text = "a trend is along a sweep; add for example `over: {network.width: [16, 32, 64]}`"
        yield ("kind",), False, text
    elif len(claim.over) > 1:
        yield ("over",), True, "a trend is along one setting; sweep one"
    for path, values in claim.over.items():
        numbers = [value for value in values if isinstance(value, float | int)]
        if len(numbers) == len(values) and any(b < a for a, b in pairwise(numbers)):
            ordered = ", ".join(f"{value:g}" for value in sorted(numbers))
            text = f"the values of a trend go up; write [{ordered}]"
            yield ("over", path), False, text


def _points(item: "Checked", claim: Claim, variants: dict[str, Variant]) -> Iterator[Found]:
    """Find values that no network can be built with; what is wrong with several is said once."""
    told: set[tuple[str, str]] = set()
    for settings in sweeps.combinations(claim):
        for name in dict.fromkeys(claim.variants()):
            found = sweeps.draft(variants[name], settings)
            faults = [(origin, fault.message) for origin, fault in found.problems]
            if not faults:
                network = found.values["network"]
                why = sweeps.cannot_be_built(network, item.shape, item.outputs)
                faults = [(None, f"cannot be built: {why}")] if why else []
            for origin, message in faults:
                path = next(
                    (p for p in settings if origin and dotted.parse(p) == origin.path),
                    list(settings)[-1],
                )
                value = settings[path]
                if (path, message) in told:
                    continue
                told.add((path, message))
                said = ", ".join(f"{p} {v}" for p, v in settings.items())
                place = sweeps.values(claim)[path].index(value)
                yield ("over", path, place), False, f"{name} at {said}: {message}"
