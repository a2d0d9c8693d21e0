"""One configuration out of many differences, every value with its origin.

The order, later over earlier: the suite's base, the comparison's base, the suite's profile, the
comparison's profile, the command line, the variant, what matching solved for. A variant comes after
the command line because it *is* its difference: an override must not silently undo the factor.
"""

import copy
import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from ablate import catalog
from ablate.components import Component, Network, Task, expand, plain
from ablate.suite import dotted
from ablate.suite.schema import PARTS, Data, Recipe
from ablate.suite.source import Loc, Problem, Source, SuiteError, read

COMPONENTS: dict[str, type[Component]] = {"task": Task, "data": Data, "network": Network}
# What a message gives as an example where a part is missing.
EXAMPLES = {
    "task": "task: classify",
    "data": "data: cifar10",
    "network": "network: {family: staged, stages: [[32], [64]]}",
}
# Of a data component: how much of the data is used, whatever data set it is.
SIZES = ("train_images", "validation_images", "test_images")


@dataclass(frozen=True)
class Layer:
    """One difference and where it was written."""

    name: str  # for people: "base", "profile quick", "command line", "variant depthwise"
    settings: Mapping[str, Any]  # dotted path → value
    at: Loc | None = None  # of the mapping within the suite file; None: not from the file


@dataclass(frozen=True)
class Origin:
    """Which layer set a path, and where that stands."""

    layer: str
    path: Loc
    at: Loc | None  # of the value within the suite file


@dataclass(frozen=True)
class Fault:
    """A mistake at a place of the configuration."""

    loc: Loc  # spelt out: stages, 2, layers, 1, conv, kind
    kind: str  # pydantic's type of error, or a word like it
    message: str


@dataclass
class Draft:
    """A configuration in the making."""

    layers: list[Layer] = field(default_factory=list)
    values: dict[str, Any] = field(default_factory=dict)
    origins: list[Origin] = field(default_factory=list)
    problems: list[tuple[Origin | None, Fault]] = field(default_factory=list)

    def origin(self, loc: Loc) -> Origin | None:
        """Return what set a value, the last setting that reaches it; None for a default."""
        for origin in reversed(self.origins):
            if loc[: len(origin.path)] == origin.path:
                return origin
        return None

    def located(self, source: Source) -> list[Problem]:
        """Return the problems, each with its place in the file or on the command line."""
        return [_locate(source, origin, fault) for origin, fault in self.problems]


def configure(layers: Iterable[Layer]) -> Draft:
    """Apply layers in order and validate the result.

    The draft's values are canonical (every option spelt out, JSON types) where it has no problems.
    """
    draft = Draft(list(layers))
    for layer in draft.layers:
        _apply(draft, layer)
    _validate(draft)
    return draft


def override(text: str) -> tuple[str, Any]:
    """Split `recipe.epochs=2` into its path and its value, which is read as YAML.

    Raises:
        ValueError: it is not of that form.
    """
    path, equals, value = text.partition("=")
    if not equals or not path:
        raise ValueError(f"{text!r} is no setting; write for example recipe.epochs=2")
    try:
        return path.strip(), read(value, "").data
    except SuiteError as error:
        raise ValueError(f"{text!r}: {error.problems[0].message}") from None


def replace_data(values: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Return a data component for another data set, with the sizes of the old one."""
    old = values.get("data")
    sizes = {size: old[size] for size in SIZES if size in old} if isinstance(old, dict) else {}
    return {**sizes, **new}


def _apply(draft: Draft, layer: Layer) -> None:
    for path, value in layer.settings.items():
        loc = dotted.parse(path)
        at = None if layer.at is None else (*layer.at, path)
        origin = Origin(layer.name, loc, at)
        part = str(loc[0])
        if part == "data" and layer.name == "--data":
            value = replace_data(draft.values, value)
        sound = len(loc) == 1 or _spell_out(draft, part)
        try:
            dotted.put(draft.values, loc, copy.deepcopy(value))
        except dotted.PathError as error:
            if sound:  # a path into a part that is wrong may lead nowhere for that reason alone
                draft.problems.append((origin, Fault(loc, "path", str(error))))
        else:
            draft.origins.append(origin)


def _spell_out(draft: Draft, part: str) -> bool:
    """Put a part into its canonical form, so that paths lead into what was written in short.

    A part with problems, or one that is not there, stays as it is, and False is returned; that is
    reported when the whole is validated.
    """
    if part == "recipe":
        return isinstance(draft.values.setdefault("recipe", {}), dict)
    if part not in draft.values:
        return False
    values, problems = _component(part, draft.values[part])
    if not problems:
        draft.values[part] = values
    return not problems


def _validate(draft: Draft) -> None:
    for part in PARTS:
        if part == "recipe":
            values, faults = _recipe(draft.values.get("recipe", {}))
        elif part not in draft.values:
            message = f"`base:` has no {part!r}, which every trial needs; add {EXAMPLES[part]}"
            values, faults = {}, [Fault((part,), "missing", message)]
        else:
            values, faults = _component(part, draft.values[part])
        draft.values[part] = values
        draft.problems += [(draft.origin(fault.loc), fault) for fault in faults]
    fallback = draft.values["data"].get("fallback")
    refused = _no_fallback(fallback) if isinstance(fallback, str) else None
    if refused is not None:
        fault = Fault(("data", "fallback"), "unknown_name", refused)
        draft.problems.append((draft.origin(fault.loc), fault))


def _no_fallback(name: str) -> str | None:
    """Return why a data set cannot take another one's place, None if it can."""
    known = catalog.names("data")
    if name not in known:
        return f"unknown data set {name!r}; {catalog.suggest(name, known)}"
    fields = catalog.options("data", name).model_fields
    needed = next((option for option, field in fields.items() if field.is_required()), None)
    if needed is None:
        return None
    return f"data set {name!r} needs the option {needed!r}, so it cannot be a fallback"


def _component(part: str, written: Any) -> tuple[dict[str, Any], list[Fault]]:
    model = COMPONENTS[part]
    try:
        component = model.model_validate(written)
    except ValidationError as error:
        return {}, _faults(error, (part,), model.model_fields)
    values, problems = expand(component, (part,))
    return values, [Fault(loc, kind, message) for loc, kind, message in problems]


def _recipe(written: Any) -> tuple[dict[str, Any], list[Fault]]:
    try:
        return Recipe.model_validate(written).model_dump(mode="json"), []
    except ValidationError as error:
        return {}, _faults(error, ("recipe",), Recipe.model_fields)


def _faults(error: ValidationError, at: Loc, known: Iterable[str]) -> list[Fault]:
    return [Fault((*at, *e["loc"]), e["type"], words(e, known)) for e in error.errors()]


def words(error: Any, known: Iterable[str]) -> str:
    """Return one of pydantic's errors in words for people.

    Args:
        error: an item of `ValidationError.errors()`.
        known: the keys that may stand where an unknown one was found.
    """
    last = error["loc"][-1] if error["loc"] else ""
    if error["type"] == "extra_forbidden":
        return f"unknown key {last!r}; {catalog.suggest(str(last), known)}"
    if error["type"] == "missing":
        return f"the key {last!r} is missing"
    return "".join(plain(error))


def named(loc: Loc, message: str) -> str:
    """Return a message that says of something what it should be, with the name of that thing."""
    if not message.startswith("should "):
        return message
    names = [at for at, step in enumerate(loc) if isinstance(step, str)]
    return f"{dotted.show(loc[names[-1] :] if names else loc)} {message}"


def trace(source: Source, origin: Origin, loc: Loc) -> tuple[Loc, bool]:
    """Return where the file says a value, as far in as it says it, and whether it says it at all.

    `loc` is spelt out (stages, 2, layers, 1, conv, kind); the file may have it in short (a stage as
    a list, a block by its name), so steps that it does not have are skipped.
    """
    assert origin.at is not None
    at, skipped = origin.at, []
    for step in loc[len(origin.path) :]:
        if (*at, step) in source.values:
            at = (*at, step)
        elif step != "layers":
            skipped.append(step)
    return at, not skipped or (skipped[0] in SHORT and not _has_parts(source, at))


SHORT = ("channels", "kind", "family", "name")  # what a value in short stands for


def _has_parts(source: Source, at: Loc) -> bool:
    return any(loc[: len(at)] == at and len(loc) > len(at) for loc in source.values)


def settings(draft: Draft) -> list[Layer]:
    """Return a draft's settings one by one, each as a layer of its own."""
    return [
        dataclasses.replace(layer, settings={path: value})
        for layer in draft.layers
        for path, value in layer.settings.items()
    ]


def _locate(source: Source, origin: Origin | None, fault: Fault) -> Problem:
    if origin is None:
        return Problem(source.position(("base",), key=True), fault.message)
    if origin.at is None:
        path, says = dotted.show(fault.loc), fault.message.startswith("should ")
        return Problem(origin.layer, f"{path}{'' if says else ':'} {fault.message}")
    at, _ = trace(source, origin, fault.loc)
    key = fault.kind == "path" or (
        # `network.widht: 16`: the path itself, or the mapping's key, names what there is not
        fault.kind == "extra_forbidden"
        and (len(fault.loc) == len(origin.path) or at[-1] == fault.loc[-1])
    )
    return Problem(source.position(at, key=key), named(fault.loc, fault.message))
