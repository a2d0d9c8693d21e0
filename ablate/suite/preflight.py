"""Build every variant before anything trains, and refuse those that change nothing.

What only building can tell is found here: shapes that do not fit, budgets that cannot be matched,
variants whose network is the baseline's. All problems of all variants come together.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import nn

from ablate import networks
from ablate.data import DataError, Dataset, hold_out, open_data
from ablate.suite import match
from ablate.suite.load import Loaded, Variant
from ablate.suite.resolve import SIZES, trace
from ablate.suite.schema import Comparison, Match
from ablate.suite.source import Loc, Position, Problem, SuiteError
from ablate.tasks import Task
from ablate.train.trial import assemble

Shape = tuple[int, int, int]


@dataclass(frozen=True)
class Opened:
    """A data set as a comparison uses it."""

    dataset: Dataset
    component: dict[str, Any]  # of the data set that is really used: its name and own options
    requested: str
    fallback_reason: str | None


@dataclass(frozen=True)
class BuiltRow:
    """One variant under one match, built and found sound."""

    variant: Variant
    matches: list[str]
    config: dict[str, Any]  # as trained
    full_config: dict[str, Any]
    solved: dict[str, float]
    full_solved: dict[str, float]
    residual: float | None
    full_residual: float | None
    structure: list[str]  # of the full network against the full baseline


@dataclass
class Checked:
    """A comparison that passed: its data and its rows, the baseline first."""

    comparison: Comparison
    opened: Opened
    shape: Shape
    outputs: int
    rows: list[BuiltRow] = field(default_factory=list)


def check(loaded: Loaded) -> list[Checked]:
    """Build every variant of every comparison.

    Raises:
        SuiteError: with the problems of the file and those found by building, all together.
    """
    found = list(loaded.problems)
    cache: dict[str, Opened | DataError] = {}
    checked = []
    for comparison in loaded.suite.comparisons:
        variants = loaded.variants.get(comparison.id, [])
        sound = [v for v in variants if not v.trained.problems and not v.full.problems]
        if not sound or sound[0].name != comparison.baseline:
            continue  # what is wrong with them is among the problems
        opened = _open(sound[0], cache)
        if isinstance(opened, DataError):
            place = _place_of(loaded, sound[0], ("data", "name"), Position(0, 0))
            found.append(Problem(place, str(opened)))
            continue
        result = _build(loaded, comparison, sound, opened, found)
        if result is not None:
            checked.append(result)
    if found:
        raise SuiteError(loaded.source.name, loaded.source.text, found)
    return checked


def _open(baseline: Variant, cache: dict[str, Opened | DataError]) -> Opened | DataError:
    values = baseline.trained.values["data"]
    own = {k: v for k, v in values.items() if k not in (*SIZES, "fallback")}
    key = repr((own, values["fallback"], values["validation_images"]))
    if key not in cache:
        try:
            fallback = values["fallback"]
            dataset, used, reason = open_data(own, fallback, allow_fallback=fallback is not None)
            if values["validation_images"]:
                dataset = hold_out(dataset, values["validation_images"])
            component = own if used == own["name"] else {"name": used}
            cache[key] = Opened(dataset, component, own["name"], reason)
        except DataError as error:
            cache[key] = error
    return cache[key]


def _place_of(
    loaded: Loaded, variant: Variant, loc: Loc, default: Position | str
) -> Position | str:
    """Return where the file (or the command line) sets a value of a variant's configuration."""
    origin = variant.trained.origin(loc)
    if origin is None:
        return default
    if origin.at is None:
        return origin.layer
    return loaded.source.position(trace(loaded.source, origin, loc)[0])


def _build(
    loaded: Loaded,
    comparison: Comparison,
    variants: list[Variant],
    opened: Opened,
    found: list[Problem],
) -> Checked | None:
    built = {}
    complaints: set[str] = set()
    for variant in variants:
        place: Position | str = loaded.source.position(variant.at, key=True)
        if variant is variants[0]:
            place = _place_of(loaded, variant, ("network",), place)
        try:
            trained, task, shape = assemble(variant.trained.values, opened.dataset)
            full, _, _ = assemble(variant.full.values, opened.dataset)
            _trace(trained, shape)
            built[variant.name] = (trained, full, task, shape)
        except ValueError as error:
            if str(error) not in complaints:  # what is wrong with the base is said once
                found.append(Problem(place, f"{comparison.id}/{variant.name}: {error}"))
            complaints.add(str(error))
    baseline = variants[0]
    if baseline.name not in built:
        return None
    base_net, base_full, task, shape = built[baseline.name]
    result = Checked(comparison, opened, shape, task.outputs)
    result.rows.append(_row(baseline, Match(kind="none"), baseline, result))
    for variant in variants[1:]:
        if variant.name not in built:
            continue
        place = loaded.source.position(variant.at, key=True)
        network, full, own_task, _ = built[variant.name]
        same = _no_change(baseline, variant, base_net, network, task, own_task)
        if same:
            found.append(Problem(place, f"variant {variant.name!r} changes nothing: {same}"))
            continue
        for kind in comparison.match:
            try:
                row = _row(variant, kind, baseline, result)
            except match.Unreachable as error:
                found.append(
                    Problem(place, f"{comparison.id}/{variant.name} at equal {kind.kind}: {error}")
                )
                continue
            full, _, _ = assemble(row.full_config, opened.dataset)
            _add(result.rows, replace(row, structure=networks.difference(base_full, full)))
    return result


def _no_change(
    baseline: Variant, variant: Variant, base: nn.Module, network: nn.Module, task: Task, own: Task
) -> str | None:
    """Return why a variant is the baseline over again, None if it is not."""
    ours, theirs = variant.trained.values, baseline.trained.values
    if ours == theirs:
        return "its configuration equals the baseline's"
    rest = [part for part in ours if part != "network"]
    if all(ours[part] == theirs[part] for part in rest) and (
        networks.signature(base) == networks.signature(network)
    ):
        return "it builds the same network as the baseline"
    return None


def _row(variant: Variant, kind: Match, baseline: Variant, checked: Checked) -> BuiltRow:
    """Return a variant at a budget, its widths solved for as trained and for the full profile.

    Raises:
        match.Unreachable: no width meets the baseline's budget.
    """
    own = [variant.trained.values, variant.full.values]
    if kind.kind == "none":
        return BuiltRow(variant, ["none"], own[0], own[1], {}, {}, None, None, [])
    solutions = []
    for config, base in zip(own, (baseline.trained.values, baseline.full.values), strict=True):
        shape, outputs = checked.shape, checked.outputs
        target = match.budget(base["network"], kind.kind, shape, outputs)
        solutions.append(
            match.solve(config["network"], kind.kind, target, kind.tolerance, shape, outputs)
        )
    trained, full = solutions
    return BuiltRow(
        variant,
        [kind.kind],
        _with_width(own[0], trained.width),
        _with_width(own[1], full.width),
        {f"network.{match.KNOB}": trained.width},
        {f"network.{match.KNOB}": full.width},
        trained.residual,
        full.residual,
        [],
    )


def _add(rows: list[BuiltRow], row: BuiltRow) -> None:
    """Add a row, or its match to the row of the same network if there is one."""
    for index, other in enumerate(rows[1:], start=1):
        if other.variant is row.variant and other.config == row.config:
            rows[index] = replace(other, matches=[*other.matches, *row.matches])
            return
    rows.append(row)


def _with_width(config: Mapping[str, Any], width: float) -> dict[str, Any]:
    return {**config, "network": {**config["network"], match.KNOB: width}}


def _trace(network: nn.Module, shape: Shape) -> None:
    """Send an empty image through, so that shapes that do not fit are found before training."""
    network.eval()
    try:
        with torch.no_grad():
            network(torch.zeros(1, *shape))
    except RuntimeError as error:
        raise ValueError(f"the network does not take {shape} images: {error}") from error
