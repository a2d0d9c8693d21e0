"""Build every variant before anything trains, and refuse those that change nothing.

What only building can tell is found here: shapes that do not fit, budgets that cannot be matched,
variants whose network is the baseline's. All problems of all variants come together.
"""

import contextlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import nn

from ablate import catalog, metrics, networks
from ablate.data import DataError, Dataset, open_data, outline, with_validation
from ablate.study import Tuned
from ablate.suite import budgets, cells, cited, claimed, dotted, match, pairing
from ablate.suite.cells import BuiltCell
from ablate.suite.load import Loaded, Variant
from ablate.suite.resolve import SIZES, Draft, Layer, configure, override, settings, trace
from ablate.suite.schema import Comparison, Match
from ablate.suite.source import Loc, Position, Problem, SuiteError
from ablate.tasks import Task
from ablate.train.trial import assemble

Shape = tuple[int, int, int]


@dataclass(frozen=True)
class Source:
    """What was asked of `open_data`, and what it gave."""

    asked: dict[str, Any]  # the component: a name and its own options
    fallback: str | None
    dataset: Dataset
    used: str  # the name of the data set that was loaded
    reason: str | None  # why it is the fallback


@dataclass(frozen=True)
class Opened:
    """A data set as a comparison uses it."""

    source: Source
    dataset: Dataset  # with its validation split
    component: dict[str, Any]  # of the data set that is really used: its name and own options
    requested: str
    fallback_reason: str | None


@dataclass(frozen=True)
class BuiltRow:
    """One variant under one match, built and found sound."""

    variant: Variant
    matches: list[str]
    reference: str | None  # the variant it is compared with; None: with no other
    config: dict[str, Any]  # as trained
    full_config: dict[str, Any]
    solved: dict[str, float]
    full_solved: dict[str, float]
    residual: float | None
    full_residual: float | None
    structure: list[str]  # of the full network against the full baseline
    opened: Opened
    cells: list[BuiltCell] = field(default_factory=list)  # what tuning tries out; []: it is not
    tuned: Tuned | None = None  # what came of that, so far; a plan says it


@dataclass
class Checked:
    """A comparison that passed: its data and its rows, the baseline first."""

    comparison: Comparison
    opened: Opened
    shape: Shape
    outputs: int
    rows: list[BuiltRow] = field(default_factory=list)
    # Every variant at other widths, the baseline first, each with its multiple of the budget.
    budgets: list[tuple[BuiltRow, float]] = field(default_factory=list)
    refused: Opened | None = None  # the data of `--data`, where the task cannot use them
    sources: list[Source] = field(default_factory=list)  # all data that were looked at for it


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Let torch compute with one thread: for an image or two, more cost more than they bring."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@one_thread()
def check(loaded: Loaded) -> list[Checked]:
    """Build every variant of every comparison.

    Raises:
        SuiteError: with the problems of the file and those found by building, all together.
    """
    found = [*loaded.problems, *cited.problems(loaded)]
    cache = _Cache()
    every = [variant for variants in loaded.variants.values() for variant in variants]
    cache.uses.update(_key(variant.trained.values) for variant in every)
    checked = []
    for comparison in loaded.suite.comparisons:
        variants = loaded.variants.get(comparison.id, [])
        if variants:
            found += [*_metric(loaded, comparison), *_readings(loaded, comparison)]
        sound = [v for v in variants if not v.trained.problems and not v.full.problems]
        if not sound or sound[0].name != comparison.baseline:
            continue  # what is wrong with them is among the problems
        static = loaded.is_static(comparison)
        sound, refused = _lossless(sound, cache, static)
        data = {}
        for variant in sound:
            opened = _other_test(variant, sound[0]) or _open(variant, cache, static)
            if isinstance(opened, Opened):
                data[variant.name] = opened
            else:
                place = _place_of(loaded, variant, opened.loc, Position(0, 0))
                found.append(Problem(place, opened.message))
        if comparison.baseline not in data:
            continue
        usable = [v for v in sound if v.name in data]
        result = _build(loaded, comparison, usable, data, cache, found)
        if result is not None:
            found += claimed.problems(loaded, result)
            looked_at = [*data.values(), *([refused] if refused else [])]
            # What was not loaded need not be looked at again.
            loaded_from = [one.source for one in looked_at if one.source.dataset.digest]
            sources = list({id(source): source for source in loaded_from}.values())
            checked.append(replace(result, refused=refused, sources=sources))
    if found:
        raise SuiteError(loaded.source.name, loaded.source.text, found)
    return checked


@dataclass(frozen=True)
class _Refused:
    """Why a variant has no data, and the part of its configuration that is to blame."""

    loc: Loc
    message: str


def _metric(loaded: Loaded, comparison: Comparison) -> list[Problem]:
    """Return what is wrong with the metric by which a comparison is to be read."""
    name, known = comparison.metric, catalog.names("metrics")
    if name is None or name not in known:
        return []  # the latter is among the problems
    measured = metrics.of_kind("trial")
    if name in measured:
        return []
    message = (
        f"{name!r} is {_what(name)}, which no trial measures; a comparison is read by one "
        f"of: {', '.join(measured)} (a claim may be about any metric)"
    )
    place = loaded.source.position((*loaded.places[comparison.id], "metric"))
    return [Problem(place, message)]


def _what(metric: str) -> str:
    """Return what a metric is, in words."""
    kind = catalog.load("metrics", metric).KIND
    words = {
        "fact": "a fact of the network",
        "trial": "a measure of the whole trial",
        "pass": "measured in a pass of its own",
        "reading": "read from the weights when all is trained",
        "pair": "a measure of two networks",
    }
    return words.get(kind, f"of the kind {kind!r}")


def _readings(loaded: Loaded, comparison: Comparison) -> Iterator[Problem]:
    """Find metrics among a comparison's readings that are of another kind."""
    at = loaded.places[comparison.id]
    lists = {(*at, "readings"): comparison.readings} | {
        (*at, "profiles", name, "readings"): own.readings or []
        for name, own in comparison.profiles.items()
    }
    known, read = catalog.names("metrics"), metrics.of_kind("reading")
    for place, names in lists.items():
        for number, name in enumerate(names):
            if name not in known or name in read:
                continue  # the former is among the problems
            message = (
                f"{name!r} is {_what(name)}, and not read from weights; "
                f"{catalog.suggest(name, read)}"
            )
            yield Problem(loaded.source.position((*place, number)), message)


@dataclass(frozen=True)
class _Cache:
    """What was opened and built, so that nothing is opened twice, nor built for each comparison."""

    sources: dict[str, Source | _Refused] = field(default_factory=dict)
    opened: dict[str, Opened | _Refused] = field(default_factory=dict)
    built: dict[str, tuple[nn.Module, Task, Shape]] = field(default_factory=dict)
    uses: Counter[str] = field(default_factory=Counter)  # that are yet to come of what is built


def _open(variant: Variant, cache: _Cache, static: bool = False) -> Opened | _Refused:
    """Return a variant's data; of those that nothing is trained on, no more than their shape."""
    values = variant.trained.values["data"]
    own = {k: v for k, v in values.items() if k not in (*SIZES, "fallback")}
    fallback, held_out = values["fallback"], values["validation_images"]
    if static and (shape := outline(own)):
        key = repr((own, "outline"))
        found = Opened(Source(own, None, shape, own["name"], None), shape, own, own["name"], None)
        return cache.opened.setdefault(key, found)
    key = repr((own, fallback))
    if key not in cache.sources:
        try:
            given = open_data(own, fallback, allow_fallback=fallback is not None)
            cache.sources[key] = Source(own, fallback, *given)
        except DataError as error:
            cache.sources[key] = _Refused(("data", "name"), str(error))
    source = cache.sources[key]
    if isinstance(source, _Refused):
        return source
    key = repr((own, fallback, held_out))
    if key not in cache.opened:
        try:
            dataset = with_validation(source.dataset, held_out)
            component = own if source.used == own["name"] else {"name": source.used}
            cache.opened[key] = Opened(source, dataset, component, own["name"], source.reason)
        except DataError as error:
            cache.opened[key] = _Refused(("data", "validation_images"), str(error))
    return cache.opened[key]


def _lossless(
    variants: list[Variant], cache: _Cache, static: bool
) -> tuple[list[Variant], Opened | None]:
    """Return variants with the suite's own data where those of `--data` will not do.

    A task that takes images as what should come out cannot use images that were stored with a loss.
    What was refused comes along.
    """
    baseline = variants[0].trained
    task = catalog.load("tasks", baseline.values["task"]["kind"])
    own = [layer for layer in baseline.layers if layer.name != "--data"]
    if not getattr(task, "LOSSLESS", False) or len(own) == len(baseline.layers):
        return variants, None
    opened = _open(variants[0], cache, static)
    if not isinstance(opened, Opened) or not opened.dataset.lossy:
        return variants, None

    def without(draft: Draft) -> Draft:
        return configure([layer for layer in draft.layers if layer.name != "--data"])

    kept = [replace(v, trained=without(v.trained), full=without(v.full)) for v in variants]
    return kept, opened


def _other_test(variant: Variant, baseline: Variant) -> _Refused | None:
    """Return what is wrong where a variant would be tested on other images than the baseline."""
    ours, theirs = variant.trained.values["data"], baseline.trained.values["data"]
    free = {"train_images", "validation_images"}
    other = [k for k in {**theirs, **ours} if k not in free and ours.get(k) != theirs.get(k)]
    if not other:
        return None
    return _Refused(
        ("data", other[0]),
        f"variant {variant.name!r} would be tested on other images than {baseline.name!r}; "
        "put what all variants share into the comparison's `base:`",
    )


def _place_of(
    loaded: Loaded, variant: Variant, loc: Loc, default: Position | str
) -> Position | str:
    """Return where the file (or the command line) sets a value of a variant's configuration."""
    origin = variant.trained.origin(loc)
    if origin is None:
        return default
    if origin.at is None:
        return origin.layer  # `--data`, or the command line's settings
    return loaded.source.position(trace(loaded.source, origin, loc)[0])


@dataclass(frozen=True)
class _Built:
    """A variant with its networks, as trained and full."""

    variant: Variant
    trained: nn.Module
    full: nn.Module
    task: Task
    shape: Shape
    opened: Opened


def _build(
    loaded: Loaded,
    comparison: Comparison,
    variants: list[Variant],
    data: dict[str, Opened],
    cache: _Cache,
    found: list[Problem],
) -> Checked | None:
    built: dict[str, _Built] = {}
    complaints: set[str] = set()
    for variant in variants:
        dataset = data[variant.name].dataset
        draft = variant.trained
        try:
            trained, task, shape = _shared(draft.values, dataset, cache)
            full, draft = trained, variant.full
            if draft.values != variant.trained.values:
                full, _, _ = _network(draft.values, dataset)
            opened = data[variant.name]
            built[variant.name] = _Built(variant, trained, full, task, shape, opened)
        except _Unbuildable as error:
            if str(error) not in complaints:  # what is wrong with the base is said once
                place = _culprit(loaded, draft, dataset)
                found.append(Problem(place, f"{comparison.id}/{variant.name}: {error}"))
            complaints.add(str(error))
    if comparison.baseline not in built:
        return None
    baseline = built[comparison.baseline]
    result = Checked(comparison, baseline.opened, baseline.shape, baseline.task.outputs)
    result.rows.append(_row(baseline, Match(kind="none"), None, result))
    for name, one in built.items():
        reference = reference_of(comparison, name)
        if one is baseline or (reference is not None and reference not in built):
            continue  # what is wrong with what it is compared with is said
        place = loaded.source.position((*loaded.places[comparison.id], "variants", name), key=True)
        against = None if reference is None else built[reference]
        same = _same(one, baseline, None)
        if against is not None and against is not one:
            same = same or _same(one, against, reference)
        if same:
            typed = _typed_over(one.variant, loaded)
            instead = f"without {typed} it would" if typed else "let it differ, or leave it out"
            message = f"variant {name!r} changes nothing: {same}; {instead}"
            found.append(Problem(place, message))
            continue
        matches = comparison.matches(loaded.applied.profile)
        if against is None:  # it is there to be compared with, as it is
            matches = [Match(kind="none")]
        rows, problems = _rows(one, against, matches, baseline, result)
        result.rows += rows
        found += [Problem(place, problem) for problem in problems]
    for name, one in built.items():
        if any(row.variant is one.variant for row in result.rows):
            points, problems = _at_budgets(loaded, one, baseline, result)
            result.budgets += points
            place = loaded.source.position(
                (*loaded.places[comparison.id], "variants", name), key=True
            )
            found += [Problem(place, problem) for problem in problems]
    result.rows = _with_cells(loaded, comparison, built, result.rows, found)
    return result


def _at_budgets(
    loaded: Loaded, one: _Built, baseline: _Built, checked: Checked
) -> tuple[list[tuple[BuiltRow, float]], list[str]]:
    """Return a variant at multiples of the baseline's budget, and what cannot be reached."""
    wanted = checked.comparison.trained_at(loaded.applied.profile)
    points: list[tuple[BuiltRow, float]] = []
    problems: list[str] = []
    for factor in wanted.factors if wanted else []:
        assert wanted is not None  # it has factors
        found: list[tuple[dict[str, Any], dict[str, float], float]] = []
        for own, net, base in (
            (one.variant.trained, one.trained, baseline.variant.trained),
            (one.variant.full, one.full, baseline.variant.full),
        ):
            if factor == 1 and one is baseline:
                found.append((own.values, {}, 0.0))
                continue
            try:
                solved = budgets.solve(
                    own.values["network"],
                    base.values["network"],
                    wanted.kind,
                    factor,
                    checked.shape,
                    checked.outputs,
                )
            except match.Unreachable as error:
                name = f"{checked.comparison.id}/{one.variant.name}"
                problems.append(f"{name} at {factor:g} times the {wanted.kind}: {error}")
                break
            config = match.put(own.values, dotted.parse(match.KNOB), solved.value)
            same = networks.signature(assemble(config, one.opened.dataset)[0])
            if same == networks.signature(net):  # it is what the row without a match trains
                config = own.values
            found.append((config, {match.KNOB: solved.value}, solved.residual))
        if len(found) == 2:
            (config, solved_at, residual), (full, full_at, full_residual) = found
            reference = reference_of(checked.comparison, one.variant.name)
            row = BuiltRow(one.variant, [wanted.kind], reference, config, full, solved_at, full_at,
                           residual, full_residual, [], one.opened)  # fmt: skip
            points.append((row, factor))
    return points, list(dict.fromkeys(problems))


def _with_cells(
    loaded: Loaded,
    comparison: Comparison,
    built: Mapping[str, _Built],
    rows: list[BuiltRow],
    found: list[Problem],
) -> list[BuiltRow]:
    """Return rows with what tuning tries out for them, every network of it built."""
    baseline = built[comparison.baseline]
    kind = baseline.variant.trained.values["task"]["kind"]
    metric = comparison.metric or catalog.load("tasks", kind).PRIMARY
    problems = cells.wrong(loaded, comparison, metric, [*baseline.task.means, "test_loss"])
    static = loaded.is_static(comparison)  # which is refused elsewhere
    if problems or static or comparison.tuned(loaded.applied.profile) is None:
        found += problems
        return rows
    place, said, tuned = cells.place(loaded, comparison), set[str](), []
    for row in rows:
        dataset, name = row.opened.dataset, f"{comparison.id}/{row.variant.name}"
        tried, problems = cells.of_row(loaded, comparison, row.variant, row.solved, row.full_solved)
        if dataset.validation is None:
            message = (
                "tuning is judged on a validation split, and there is none; set "
                "data.validation_images, for example 1000: so many training images are held out"
            )
            problems.append(Problem(place, message))
        networks_tried = {
            repr(config["network"]): config
            for cell in tried
            for config in (cell.config, cell.full_config)
            if config["network"] not in (row.config["network"], row.full_config["network"])
        }
        for config in networks_tried.values():
            try:
                _network(config, dataset)
            except _Unbuildable as error:
                problems.append(Problem(place, f"{name}: a network to be tried: {error}"))
        found += [problem for problem in problems if problem.message not in said]
        said |= {problem.message for problem in problems}
        if next(built[row.variant.name].trained.parameters(), None) is None:
            tried = []  # what has no parameters is not trained
        tuned.append(replace(row, cells=tried))
    return tuned


def _rows(
    one: _Built,
    against: _Built | None,
    matches: list[Match],
    baseline: _Built,
    checked: Checked,
) -> tuple[list[BuiltRow], list[str]]:
    """Return a variant's rows, one for each match that gives another training, and what fails."""
    rows: list[BuiltRow] = []
    problems: list[str] = []
    signatures: list[list[Any]] = []
    for kind in matches:
        try:
            row = _row(one, kind, against, checked)
        except match.Unreachable as error:
            name = f"{checked.comparison.id}/{one.variant.name}"
            problems.append(f"{name} at equal {kind.kind}: {error}")
            continue
        nets = [
            own
            if config["network"] == draft.values["network"]
            else assemble(config, one.opened.dataset)[0]
            for config, draft, own in (
                (row.config, one.variant.trained, one.trained),
                (row.full_config, one.variant.full, one.full),
            )
        ]
        if checked.comparison.paired and against is not None:
            unlike = pairing.unlike(nets[0], against.trained, against.variant.name)
            if unlike is not None:
                where = "" if kind.kind == "none" else f" at equal {kind.kind}"
                problems.append(
                    f"{checked.comparison.id}/{one.variant.name}{where}: runs can be paired by "
                    f"seed only where all parameters have the same names and shapes: {unlike}; "
                    "leave `paired` out, or this variant"
                )
                continue
        row = replace(row, structure=networks.difference((against or baseline).full, nets[1]))
        recipes = [config["recipe"] for config in (row.config, row.full_config)]
        signature = [*(networks.signature(net) for net in nets), *recipes]
        if signature in signatures:
            index = signatures.index(signature)
            rows[index] = _merged(rows[index], row)
        else:
            signatures.append(signature)
            rows.append(row)
    return rows, problems


class _Unbuildable(Exception):
    """A network that cannot be built or used; the message says why."""


def _shared(
    config: Mapping[str, Any], dataset: Dataset, cache: _Cache
) -> tuple[nn.Module, Task, Shape]:
    """Return what `_network` does; what a later comparison has too is kept for it, no longer."""
    key = _key(config)
    found = cache.built.pop(key, None) or _network(config, dataset)
    cache.uses[key] -= 1
    if cache.uses[key] > 0:
        cache.built[key] = found
    return found


def _key(config: Mapping[str, Any]) -> str:
    """Return what says which network a configuration means, on which images."""
    recipe = config.get("recipe")
    smoothing = recipe.get("label_smoothing") if isinstance(recipe, Mapping) else None  # of a task
    return repr([*(config.get(part) for part in ("network", "task", "data")), smoothing])


def _network(config: Mapping[str, Any], dataset: Dataset) -> tuple[nn.Module, Task, Shape]:
    """Build the network of a configuration and send an empty image through.

    Raises:
        _Unbuildable: shapes do not fit, or a block (perhaps a user's own) raises.
    """
    try:
        network, task, shape = assemble(config, dataset)
    except ValueError as error:
        raise _Unbuildable(str(error)) from error
    except Exception as error:
        raise _Unbuildable(f"building it raises {_line(error)}") from error
    network.eval()
    height, width, channels = dataset.train.images.shape[1:]
    targets = torch.from_numpy(dataset.train.targets[:1].copy())
    inputs, wanted = task.examples(torch.zeros(1, channels, height, width), targets)
    try:
        with torch.no_grad():
            output = network(inputs)
    except Exception as error:
        size = "x".join(map(str, shape))
        raise _Unbuildable(f"the network does not take {size} images: {_line(error)}") from error
    try:
        task.loss(output, wanted)
    except Exception as error:
        reason = str(error) if isinstance(error, ValueError) else _line(error)
        raise _Unbuildable(f"the network is none for this task: {reason}") from error
    return network, task, shape


def _line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


def _culprit(loaded: Loaded, draft: Draft, dataset: Dataset) -> Position | str:
    """Return the place of the setting since which the network of a draft cannot be built."""
    steps = settings(draft)
    blamed = steps[-1]
    while len(steps) > 1:
        *before, last = steps
        earlier = configure(before)
        if earlier.problems:  # not complete without the last one: it was wrong from the start
            of_network = (step for step in reversed(steps) if _path(step).startswith("network"))
            blamed = next(of_network, last)
            break
        try:
            _network(earlier.values, dataset)
        except _Unbuildable:
            steps = before
        else:
            blamed = last
            break
    if blamed.at is None:
        return f"{blamed.name}: {_path(blamed)}"
    return loaded.source.position((*blamed.at, _path(blamed)))


def _path(step: Layer) -> str:
    return next(iter(step.settings))


def _typed_over(variant: Variant, loaded: Loaded) -> str:
    """Return the command line's settings of what a variant changes too, as they were typed."""
    paths = [dotted.parse(path) for path in variant.changes]
    return " ".join(
        text
        for text in loaded.request.overrides
        if any(_overlap(dotted.parse(override(text)[0]), path) for path in paths)
    )


def _overlap(one: Loc, other: Loc) -> bool:
    return one[: len(other)] == other[: len(one)]


def _same(one: _Built, other: _Built, name: str | None) -> str | None:
    """Return why a variant is another one over again (None: the baseline), None if it is not."""
    ours, theirs = one.variant.trained.values, other.variant.trained.values
    if ours == theirs:
        whose = f"that of {name!r}" if name else "the baseline's"
        return f"its configuration equals {whose}"
    rest = [part for part in ours if part != "network"]
    if all(ours[part] == theirs[part] for part in rest) and (
        networks.signature(other.trained) == networks.signature(one.trained)
    ):
        return f"it builds the same network as {repr(name) if name else 'the baseline'}"
    return None


def reference_of(comparison: Comparison, variant: str) -> str | None:
    """Return the variant that another one is compared with, None for one that others are."""
    if variant == comparison.baseline:
        return None
    if variant in comparison.against.values() and variant not in comparison.against:
        return None
    return comparison.against.get(variant, comparison.baseline)


def _row(one: _Built, kind: Match, reference: _Built | None, checked: Checked) -> BuiltRow:
    """Return a variant at a budget, solved for as trained and for the full profile.

    Raises:
        match.Unreachable: nothing meets the reference's budget.
    """
    variant, opened = one.variant, one.opened
    own = [variant.trained.values, variant.full.values]
    name = None if reference is None else reference.variant.name
    if kind.kind == "none" or reference is None:
        return BuiltRow(variant, ["none"], name, own[0], own[1], {}, {}, None, None, [], opened)
    if kind.kind == "compute":
        path, solutions = "recipe.epochs", _epochs(one, reference, kind.tolerance)
    else:
        path, solutions = kind.knob or match.KNOB, _knobs(one, reference, kind, checked)
    trained, full = solutions
    return BuiltRow(
        variant,
        [kind.kind],
        name,
        match.put(own[0], dotted.parse(path), trained.value),
        match.put(own[1], dotted.parse(path), full.value),
        {path: trained.value},
        {path: full.value},
        trained.residual,
        full.residual,
        [],
        opened,
    )


def _knobs(
    one: _Built, reference: _Built, kind: Match, checked: Checked
) -> tuple[match.Solution, match.Solution]:
    """Return the values of a knob, as trained and full, at which the reference's budget is met.

    Raises:
        match.Unreachable: none does.
    """
    assert kind.kind in ("params", "macs")
    found: dict[str, match.Solution] = {}
    for draft, base in (
        (one.variant.trained, reference.variant.trained),
        (one.variant.full, reference.variant.full),
    ):
        network, other = draft.values["network"], base.values["network"]
        key = repr((network, other))
        if key not in found:
            target = match.budget(other, kind.kind, checked.shape, checked.outputs)
            found[key] = match.solve(
                network,
                kind.kind,
                target,
                kind.tolerance,
                checked.shape,
                checked.outputs,
                kind.knob or match.KNOB,
            )
    trained, *others = found.values()
    return trained, others[0] if others else trained


def _epochs(
    one: _Built, reference: _Built, tolerance: float
) -> tuple[match.Solution, match.Solution]:
    """Return the epochs, as trained and full, that cost as much training as the reference's.

    Raises:
        match.Unreachable: no whole number does.
    """

    def each(built: _Built, network: nn.Module, config: Mapping[str, Any]) -> int:
        """Return the FLOPs of one epoch, in which the last batch is filled up."""
        images, batch = len(built.opened.dataset.train), config["recipe"]["batch_size"]
        used = min(images, config["data"]["train_images"] or images)
        seen: int = -(-used // batch) * batch
        return match.training_flops(network, built.shape) * seen

    def solved(ours: nn.Module, theirs: nn.Module, own: Draft, base: Draft) -> match.Solution:
        target = each(reference, theirs, base.values) * base.values["recipe"]["epochs"]
        return match.solve_epochs(each(one, ours, own.values), target, tolerance)

    variant, other = one.variant, reference.variant
    trained = solved(one.trained, reference.trained, variant.trained, other.trained)
    if variant.full.values == variant.trained.values and other.full.values == other.trained.values:
        return trained, trained
    return trained, solved(one.full, reference.full, variant.full, other.full)


def _merged(one: BuiltRow, other: BuiltRow) -> BuiltRow:
    """Return two rows of one training as one: the drop-in if it is among them."""
    kept, left = (other, one) if one.solved and not other.solved else (one, other)
    return replace(
        kept,
        matches=[*one.matches, *other.matches],
        residual=_larger(kept.residual, left.residual),
        full_residual=_larger(kept.full_residual, left.full_residual),
    )


def _larger(one: float | None, other: float | None) -> float | None:
    """Return the residual that is further off; None, of a drop-in, is none."""
    return max((it for it in (one, other) if it is not None), key=abs, default=None)
