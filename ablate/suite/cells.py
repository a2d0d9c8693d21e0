"""What tuning tries out for each row of a comparison, and what is wrong with it.

A cell's settings come after the variant's and before what matching solved for. So what a variant or
a match sets is not for tuning: choosing it would undo what the row is about.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ablate.evidence.tuning import score_name
from ablate.suite import dotted, match, tune
from ablate.suite.load import Loaded, Variant
from ablate.suite.resolve import Layer, configure, override
from ablate.suite.schema import Comparison, OwnProfile, Tune
from ablate.suite.source import Loc, Problem

# What training compute follows from, beside the network.
_COMPUTE = ("recipe.epochs", "recipe.batch_size")


@dataclass(frozen=True)
class BuiltCell:
    """One cell of one row: its settings and the configurations with them."""

    settings: tune.Cell
    config: dict[str, Any]  # as trained
    full_config: dict[str, Any]


def wrong(
    loaded: Loaded, comparison: Comparison, metric: str, known: Iterable[str]
) -> list[Problem]:
    """Return what is wrong with the tuning of a comparison as a whole, [] where nothing is tuned.

    Args:
        loaded: the suite.
        comparison: one of its comparisons.
        metric: by which it is read.
        known: the names of the scores that every epoch has of the validation split.
    """
    asked = comparison.tuned(loaded.applied.profile)
    if asked is None:
        return []
    at = _place(loaded, comparison)
    here = loaded.source.position(at, key=True)
    found = []
    if score_name(metric) not in {score_name(name) for name in known}:
        found.append(
            Problem(
                here,
                f"the comparison is read by {metric!r}, which epochs do not have of validation "
                "images, so no cell can be judged by it; comparisons that tune are read by one "
                f"of: {', '.join(sorted(known))}",
            )
        )
    if comparison.trained_at(loaded.applied.profile) is not None:
        message = (
            "`budgets:` trains networks of other widths at the settings of the suite, which is no "
            "equal tuning; leave `budgets:` or `tune:` out"
        )
        found.append(Problem(here, message))
    asked_twice = {
        seed
        for variant in loaded.variants[comparison.id]
        for seed in loaded.seeds(comparison, variant.name)
    } & set(asked.tuning_seeds)
    if asked_twice:
        listed = ", ".join(map(str, sorted(asked_twice)))
        message = (
            f"seed {listed} is one of tuning's own ({tune.FIRST_SEED} and up), and would judge "
            "what was chosen by it; give the rows other seeds"
        )
        found.append(Problem(here, message))
    for path in asked.paths:
        if reason := _not_free(loaded, comparison, path):
            found.append(
                Problem(loaded.source.position(_setting(at, asked, path), key=True), reason)
            )
    return found


def of_row(
    loaded: Loaded,
    comparison: Comparison,
    variant: Variant,
    solved: Mapping[str, float],
    full_solved: Mapping[str, float],
) -> tuple[list[BuiltCell], list[Problem]]:
    """Return the cells of a row and the values among them that do not fit its configuration.

    Args:
        loaded, comparison: whose row it is.
        variant: of the row.
        solved, full_solved: what matching solved for, by path.
    """
    asked = comparison.tuned(loaded.applied.profile)
    if asked is None:
        return [], []
    at = _place(loaded, comparison)
    at = (*at, "random") if asked.random else at
    found: list[BuiltCell] = []
    problems: dict[str, Problem] = {}
    for settings in asked.cells:
        layer = Layer(f"tuning of {comparison.id}", settings, at)
        configs = []
        for draft, values in ((variant.trained, solved), (variant.full, full_solved)):
            drafted = configure([*draft.layers, layer])
            for problem in drafted.located(loaded.source):
                problems.setdefault(problem.message, problem)
            config = drafted.values
            for path, value in values.items() if not drafted.problems else ():
                config = match.put(config, dotted.parse(path), value)
            configs.append(config)
        found.append(BuiltCell(settings, *configs))
    return ([], list(problems.values())) if problems else (found, [])


def place(loaded: Loaded, comparison: Comparison) -> Any:
    """Return where the file says what a comparison tunes."""
    return loaded.source.position(_place(loaded, comparison), key=True)


def overridden(loaded: Loaded) -> Iterator[str]:
    """Say which settings of the command line tuning does not heed."""
    for text in loaded.request.overrides:
        path, _ = override(text)
        for comparison in loaded.suite.comparisons:
            asked = comparison.tuned(loaded.applied.profile)
            if asked is None or comparison.id not in loaded.variants or path == "seeds":
                continue
            if any(tune.overlap(path, tuned) for tuned in asked.paths):
                yield f"{comparison.id} tunes what {text} sets, and chooses for itself"


def _not_free(loaded: Loaded, comparison: Comparison, path: str) -> str | None:
    """Return why a setting is not for tuning here, None if it is."""
    for variant in loaded.variants[comparison.id]:
        own = next((key for key in variant.changes if tune.overlap(key, path)), None)
        if own is not None:
            return (
                f"variant {variant.name!r} sets {own} itself, so it cannot be tuned; leave it out "
                "of one of the two"
            )
    of_network = dotted.parse(path)[0] == "network"
    for kind in (wanted.kind for wanted in comparison.matches(loaded.applied.profile)):
        if kind != "none" and (of_network or (kind == "compute" and path in _COMPUTE)):
            return (
                f"{path} decides the {_BUDGETS[kind]} that `match: {kind}` holds equal, so it "
                "cannot be tuned; leave it out, or the match"
            )
    return None


_BUDGETS = {"params": "parameters", "macs": "MACs", "compute": "training compute"}


def _place(loaded: Loaded, comparison: Comparison) -> Loc:
    at, profile = loaded.places[comparison.id], loaded.applied.profile
    own = comparison.profiles.get(profile, OwnProfile()).tune
    return (*at, "tune") if own is None else (*at, "profiles", profile, "tune")


def _setting(at: Loc, asked: Tune, path: str) -> Loc:
    return (*at, "random", path) if asked.random else (*at, path)
