"""Read a suite with what the command line adds, and find all its mistakes at once.

A mistake in one place does not hide those elsewhere: what is wrong is left out and the rest is
checked all the same.
"""

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from ablate import catalog
from ablate.suite import dotted, schema
from ablate.suite.resolve import Draft, Layer, configure, override, words
from ablate.suite.schema import Comparison, Suite, Until
from ablate.suite.source import Loc, Problem, Source, SuiteError, parse


@dataclass(frozen=True)
class Request:
    """What the user asked for on the command line. None: not said."""

    suite: str  # a name in `suites/`, or the path of a YAML file
    profile: str | None = None
    data: str | None = None  # a data set's name, or folder:PATH
    seeds: str | None = None  # "5", "0,3,7" or "0-4"
    overrides: tuple[str, ...] = ()


@dataclass(frozen=True)
class Variant:
    """A variant with its configuration as trained and as the full profile has it."""

    name: str
    changes: dict[str, Any]  # dotted path → value
    at: Loc  # where the file says it
    trained: Draft
    full: Draft


@dataclass(frozen=True)
class Loaded:
    """A suite that was read, as far as it makes sense; `problems` says what does not."""

    source: Source
    suite: Suite
    profile: str
    overrides: list[str]  # as typed, for the study
    seeds: list[int]
    stop: dict[str, float] | None
    variants: dict[str, list[Variant]]  # by comparison; the baseline first
    plugins: dict[str, Path]
    problems: list[Problem]


def find(name: str) -> Path:
    """Return the file of a suite, given by name or path.

    Raises:
        SuiteError: there is none; the message lists those there are.
    """
    path = Path(name)
    if path.suffix in (".yaml", ".yml"):
        if not path.is_file():
            raise SuiteError(name, "", [Problem("suite", f"there is no file {name}")])
        return path
    known = available()
    if name in known:
        return known[name]
    problem = f"unknown suite {name!r}; {catalog.suggest(name, known)}"
    if not name:
        problem = f"which suite? {catalog.suggest('', known)}"
    raise SuiteError(name, "", [Problem("suite", problem)])


def available() -> dict[str, Path]:
    """Return the suites in `./suites`, or in those that come with the source tree."""
    for folder in (Path("suites"), catalog.PACKAGE.parent / "suites"):
        if folder.is_dir():
            return {path.stem: path for path in sorted(folder.glob("*.yaml"))}
    return {}


def load(request: Request, default_profile: str) -> Loaded:
    """Read a suite.

    Args:
        request: from the command line.
        default_profile: what to run where the request names none and the suite has it.

    Raises:
        SuiteError: the file cannot be read as a suite at all. Other problems are in the result.
    """
    path = find(request.suite)
    source = parse(path, str(path))
    suite, problems = _structure(source)
    plugins, plugin_problems = _plugins(suite, source, path.parent)
    problems += plugin_problems
    problems += _references(suite, source, path)
    profile, settings, seeds, stop, line_problems = _command_line(request, suite, default_profile)
    problems += line_problems
    variants = {}
    for index, comparison in enumerate(suite.comparisons):
        only = suite.profiles.get(profile, schema.Profile()).comparisons
        if only is None or comparison.id in only:
            found = list(_variants(suite, comparison, index, source, profile, settings))
            variants[comparison.id] = sorted(found, key=lambda v: v.name != comparison.baseline)
            for variant in found:
                for draft in (variant.trained, variant.full):
                    problems += draft.located(source)
    return Loaded(
        source, suite, profile, _typed(request), seeds, stop, variants, plugins, problems
    )


def _structure(source: Source) -> tuple[Suite, list[Problem]]:
    """Validate the file's form; what is wrong is left out, so that the rest can be checked."""
    data = copy.deepcopy(source.data)
    problems: list[Problem] = []
    if not isinstance(data, dict):
        message = "a suite is a mapping: id, title, question, base, comparisons, …"
        raise SuiteError(source.name, source.text, [Problem(source.position(()), message)])
    for _ in range(20):  # leaving something out can leave something else incomplete, once or twice
        try:
            return Suite.model_validate(data), problems
        except ValidationError as error:
            fatal = False
            # From the back, so that list indices stay right while items are left out.
            for e in sorted(error.errors(), key=lambda e: str(e["loc"]), reverse=True):
                loc = _in_file(e["loc"], source.data)
                key = e["type"] == "extra_forbidden" or e["loc"][-1:] == ("[key]",)
                missing = e["type"] == "missing"
                position = source.position(loc, key=key or missing)
                problems.append(Problem(position, _explain(e, loc)))
                fatal |= not _leave_out(data, loc)
            if fatal:
                break
    raise SuiteError(source.name, source.text, problems)


def _explain(error: Any, loc: Loc) -> str:
    owner: Any = Suite
    name = "the suite"
    for step in error["loc"][:-1]:
        owner, name = _enter(owner, step, name)
    known = owner.model_fields if isinstance(owner, type) and issubclass(owner, BaseModel) else {}
    if error["type"] == "extra_forbidden":
        return words(error, known)
    if error["type"] == "missing":
        return f"{name} has no {str(error['loc'][-1])!r}, which it needs"
    if error["type"] in ("union_tag_invalid", "union_tag_not_found"):
        kinds = str(error["ctx"].get("expected_tags", "")).replace("'", "")
        tag = error["ctx"].get("tag")
        if tag is None:
            return f"a claim needs its kind: {kinds}"
        return f"unknown kind of claim {tag!r}; {catalog.suggest(str(tag), kinds.split(', '))}"
    where = dotted.show(tuple(step for step in loc[-1:] if isinstance(step, str)))
    text = words(error, known)
    return f"{where}: {text}" if where and error["type"] != "value_error" else text


def _enter(owner: Any, step: str | int, name: str) -> tuple[Any, str]:
    """Follow one step of pydantic's location through the models, for words in messages."""
    from typing import get_args

    if isinstance(owner, type) and issubclass(owner, BaseModel):
        field = owner.model_fields.get(str(step))
        return (field.annotation, str(step)) if field else (None, str(step))
    models = [a for a in _flat(owner) if isinstance(a, type) and issubclass(a, BaseModel)]
    if isinstance(step, str) and len(models) > 1:
        for model in models:
            kind = model.model_fields.get("kind")
            if kind is not None and step in get_args(kind.annotation):
                return model, f"a claim of kind {step!r}"
    if len(models) == 1:
        return models[0], f"the {models[0].__name__.lower()}"
    return owner, name


def _flat(annotation: Any) -> Iterator[Any]:
    from typing import get_args

    yield annotation
    for inner in get_args(annotation):
        yield from _flat(inner)


def _in_file(loc: Loc, data: Any) -> Loc:
    """Return pydantic's location without the steps that only pydantic has (tags of unions)."""
    found: list[str | int] = []
    for number, step in enumerate(loc):
        if step == "[key]":
            continue
        if isinstance(data, dict) and step in data or (
            isinstance(data, list) and isinstance(step, int) and step < len(data)
        ):
            found.append(step)
            data = data[step]  # type: ignore[index]
        elif number == len(loc) - 1 and isinstance(data, dict):
            found.append(step)  # a key that is missing
    return tuple(found)


def _leave_out(data: Any, loc: Loc) -> bool:
    """Remove what is at `loc`; False where the suite makes no sense without it.

    A key that is missing takes what it is missing from along.
    """
    optional = {"source", "plugins", "seeds", "requirements", "profiles", "variants", "base"}
    while loc:
        try:
            parent = dotted.get(data, loc[:-1]) if len(loc) > 1 else data
        except dotted.PathError:
            return True  # left out already with what it was part of
        present = loc[-1] in parent if isinstance(parent, dict) else True
        if len(loc) == 1 and (not present or loc[0] not in optional) and loc[0] in Suite.model_fields:
            return False
        if present:
            parent.pop(loc[-1])
            return True
        loc = loc[:-1]
    return False


def _plugins(
    suite: Suite, source: Source, folder: Path
) -> tuple[dict[str, Path], list[Problem]]:
    plugins, problems = {}, []
    for index, written in enumerate(suite.plugins):
        path = (folder / written).resolve()
        try:
            room, name = catalog.plug(path)
            plugins[f"{room}/{name}"] = path
        except catalog.PluginError as error:
            problems.append(Problem(source.position(("plugins", index)), str(error)))
    return plugins, problems


def _references(suite: Suite, source: Source, path: Path) -> list[Problem]:
    """Find names that name nothing, and things that are there twice."""
    found: list[tuple[Loc, bool, str]] = []
    if suite.id != path.stem:
        found.append((("id",), False, f"the id {suite.id!r} and the file's name {path.name} differ"))
    ids = [comparison.id for comparison in suite.comparisons]
    metrics = catalog.names("metrics")
    for index, comparison in enumerate(suite.comparisons):
        at: Loc = ("comparisons", index)
        if comparison.id in ids[:index]:
            found.append(((*at, "id"), False, f"the id {comparison.id!r} is taken by another comparison"))
        if comparison.baseline not in comparison.variants:
            hint = catalog.suggest(comparison.baseline, comparison.variants)
            text = f"the baseline {comparison.baseline!r} is no variant of it; {hint}"
            found.append(((*at, "baseline"), False, text))
        if len(comparison.variants) < 2:
            text = "a comparison needs a baseline and at least one other variant"
            found.append(((*at, "variants"), True, text))
        for name, variant in comparison.variants.items():
            if isinstance(variant, str) and variant not in suite.variants:
                text = f"unknown variant {variant!r}; {catalog.suggest(variant, suite.variants)}"
                found.append(((*at, "variants", name), False, text))
        if comparison.metric is not None and comparison.metric not in metrics:
            text = f"unknown metric {comparison.metric!r}; {catalog.suggest(comparison.metric, metrics)}"
            found.append(((*at, "metric"), False, text))
        for number, claim in enumerate(comparison.claims):
            here = (*at, "claims", number)
            root = claim.metric.partition(".")[0]
            if root not in metrics:
                text = f"unknown metric {claim.metric!r}; {catalog.suggest(root, metrics)}"
                found.append(((*here, "metric"), False, text))
            for name in claim.variants():
                if name not in comparison.variants:
                    text = f"the claim is about {name!r}, which is no variant of this comparison; "
                    text += catalog.suggest(name, comparison.variants)
                    key = next(k for k in ("expect", "of", "between") if hasattr(claim, k))
                    found.append(((*here, key), False, text))
    for index, requirement in enumerate(suite.requirements):
        known = [*suite.variants, *(v for c in suite.comparisons for v in c.variants)]
        if requirement.variant not in known:
            text = f"unknown variant {requirement.variant!r}; "
            text += catalog.suggest(requirement.variant, known)
            found.append((("requirements", index, "variant"), False, text))
        for metric in requirement.__pydantic_extra__:
            if metric not in metrics:
                text = f"unknown metric {metric!r}; {catalog.suggest(metric, metrics)}"
                found.append((("requirements", index, metric), True, text))
    for name, profile in suite.profiles.items():
        for number, wanted in enumerate(profile.comparisons or []):
            if wanted not in ids:
                text = f"unknown comparison {wanted!r}; {catalog.suggest(wanted, ids)}"
                found.append((("profiles", name, "comparisons", number), False, text))
    return [Problem(source.position(loc, key=key), text) for loc, key, text in found]


def _command_line(
    request: Request, suite: Suite, default_profile: str
) -> tuple[str, list[Layer], list[int], dict[str, float] | None, list[Problem]]:
    """Return profile, settings, seeds and stopping rule, and what is wrong with the arguments."""
    problems: list[Problem] = []
    known = sorted({*suite.profiles, "full"})
    profile = request.profile or (default_profile if default_profile in known else "full")
    if profile not in known:
        hint = catalog.suggest(profile, known)
        problems.append(Problem("--profile", f"unknown profile {profile!r}; {hint}"))
        profile = "full"
    layers: list[Layer] = []
    if request.data is not None:
        name, colon, path = request.data.partition(":")
        if name not in catalog.names("data"):
            hint = catalog.suggest(name, catalog.names("data"))
            problems.append(Problem("--data", f"unknown data set {name!r}; {hint}"))
        elif colon and name != "folder":
            problems.append(Problem("--data", f"{name} takes no path; write --data {name}"))
        elif name == "folder" and not path:
            problems.append(Problem("--data", "which folder? write --data folder:PATH"))
        else:
            chosen = {"name": name} | ({"path": str(Path(path).expanduser())} if path else {})
            layers.append(Layer("--data", {"data": chosen}))
    settings: dict[str, Any] = {}
    for text in request.overrides:
        try:
            key, value = override(text)
            if key != "seeds":
                schema._path(key)
        except ValueError as error:
            problems.append(Problem("command line", str(error)))
            continue
        if key in settings or (key == "seeds" and request.seeds is not None):
            problems.append(Problem("command line", f"{key} is given twice; give it once"))
        settings[key] = value
    asked = suite.profiles[profile].seeds if profile in suite.profiles else None
    wanted: Any = suite.seeds if asked is None else asked
    if "seeds" in settings or request.seeds is not None:
        wanted = settings.pop("seeds", None) if request.seeds is None else request.seeds
        try:
            wanted = _Seeds(seeds=_seed_words(wanted)).seeds
        except (ValidationError, ValueError) as error:
            text = words(error.errors()[0], ()) if isinstance(error, ValidationError) else str(error)
            problems.append(Problem("command line: seeds", text))
            wanted = 1
    layers.append(Layer("command line", settings))
    if isinstance(wanted, Until):
        stop = {"until": wanted.until, "at_most": float(wanted.at_most)}
        return profile, layers, list(range(wanted.at_most)), stop, problems
    seeds = list(range(wanted)) if isinstance(wanted, int) else wanted
    return profile, layers, seeds, None, problems


class _Seeds(schema.Strict):
    seeds: schema.Seeds


def _seed_words(written: Any) -> Any:
    """Read `5` (so many), `0,3,7` (these) and `0-4` (from … to)."""
    if not isinstance(written, str):
        return written
    text = written.strip()
    try:
        if text.startswith("{") or text.startswith("["):
            return override(f"seeds={text}")[1]
        if "," in text:
            return [int(part) for part in text.split(",")]
        first, dash, last = text.partition("-")
        return list(range(int(first), int(last) + 1)) if dash else int(text)
    except ValueError:
        raise ValueError(f"{written!r} is neither a count (5), a list (0,3,7) nor a range (0-4)") from None


def _variants(
    suite: Suite,
    comparison: Comparison,
    index: int,
    source: Source,
    profile: str,
    settings: list[Layer],
) -> Iterator[Variant]:
    at: Loc = ("comparisons", index)
    for name, written in comparison.variants.items():
        if isinstance(written, str):
            changes, where = suite.variants.get(written, {}), ("variants", written)
        else:
            changes, where = written, (*at, "variants", name)

        def layers(
            chosen: str, changes: Mapping[str, Any] = changes, where: Loc = where, name: str = name
        ) -> Iterator[Layer]:
            yield Layer("base", suite.base, ("base",))
            yield Layer(f"base of {comparison.id}", comparison.base, (*at, "base"))
            if chosen in suite.profiles:
                difference = suite.profiles[chosen].difference
                yield Layer(f"profile {chosen}", difference, ("profiles", chosen))
            here = comparison.profiles.get(chosen, {})
            yield Layer(f"profile {chosen} of {comparison.id}", here, (*at, "profiles", chosen))
            yield from settings
            yield Layer(f"variant {name}", changes, where)

        yield Variant(
            name, dict(changes), where, configure(layers(profile)), configure(layers("full"))
        )


def _typed(request: Request) -> list[str]:
    words = [f"--data {request.data}"] if request.data else []
    words += [f"--seeds {request.seeds}"] if request.seeds else []
    return [*words, *request.overrides]
