"""Components: the parts of a configuration that name an entry of the catalog.

A component is written as a name (`normal`) or as a mapping of its name and options
(`{kind: dilated, dilation: 2}`). Reading one looks at no entry and imports nothing heavy; `expand`
then checks names and options against the catalog, through every component nested in them, and
returns the canonical form: a plain dict with the name first and every option spelt out.

An entry's builder declares a nested component by its type (`conv: Conv = NORMAL`).
"""

import json
import types
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Self, Union, cast, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError, ValidationInfo, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError, to_jsonable_python

from ablate import catalog

Loc = tuple[str | int, ...]
Problem = tuple[Loc, str, str]  # where, pydantic's error type or "unknown_name", message

_EXPAND = object()  # the validation context under which components are checked against the catalog

# Pydantic's types of errors in plain words; in braces what its error knows.
_PLAIN = {
    "dict_type": "should be a mapping",
    "finite_number": "should be a finite number",
    "float_parsing": "should be a number",
    "float_type": "should be a number",
    "greater_than_equal": "should be at least {ge:g}",
    "int_from_float": "should be a whole number",
    "int_parsing": "should be a whole number",
    "int_type": "should be a whole number",
    "less_than_equal": "should be at most {le:g}",
    "list_type": "should be a list",
    "model_type": "should be a mapping",
    "string_too_long": "should have at most {max_length} characters",
    "string_type": "should be text",
    "too_short": "should have at least {min_length} item",
}


def plain(error: Any) -> tuple[str, str]:
    """Return one of pydantic's errors in words: what there should be, and `, not 3` or nothing.

    Args:
        error: an item of `ValidationError.errors()`.
    """
    context = error.get("ctx", {})
    if "said" in context:  # by `_refusal`, in words already
        return str(error["msg"]), ""
    if error["type"] == "value_error":  # a validator's own words, without pydantic's prefix
        return str(context["error"]), ""
    if error["type"] in _PLAIN:
        words = _PLAIN[error["type"]].format(**context)
        words += "s" if context.get("min_length", 1) > 1 else ""
    else:
        words = str(error["msg"]).replace("Input should be", "should be", 1)
    value = error["input"]
    if value is None or isinstance(value, str | int | float):
        shown = repr(value) if isinstance(value, str) else json.dumps(value)
        if value is None:
            empty = {"dict_type": "{}", "list_type": "[]"}.get(error["type"])
            return words, ", not nothing" + (f"; write {empty} for an empty one" if empty else "")
        quoted = f'; put it in quotes: "{shown}"' if error["type"] == "string_type" else ""
        return words, f", not {shown}{quoted}"
    if isinstance(value, list | dict) and error["type"].endswith("_type"):
        return words, f", not a {'list' if isinstance(value, list) else 'mapping'}"
    return words, ""


def name_of(component: "Component") -> str:
    """Return the name of the entry that a component stands for."""
    name: str = getattr(component, component.key)
    return name


def options_of(component: "Component") -> dict[str, Any]:
    """Return a component's options, validated, as its entry's functions take them."""
    chosen = catalog.options(component.room, name_of(component)).model_validate(_extras(component))
    return {field: getattr(chosen, field) for field in type(chosen).model_fields}


def build(component: "Component", *context: Any, **given: Any) -> Any:
    """Build what a component stands for.

    Args:
        context: what its builder is given besides options.
        given: options that the caller decides, in the place of the component's own and free of the
            limits that those have.
    """
    builder = catalog.load(component.room, name_of(component)).build
    return builder(*context, **(options_of(component) | given))


def expand(component: "Component", loc: Loc = ()) -> tuple[dict[str, Any], list[Problem]]:
    """Check a component against the catalog and return its canonical form and all its problems.

    The canonical form holds only JSON types: the name under its key first, then every option with
    its value, defaults and None included, nested components likewise. With problems it is the
    component as it was written.

    Each problem is (where, type, message). Its place is `loc` and what follows: option names and
    list indices of the *spelt-out* form (`("stages", 2, "layers", 1, "conv", "dilation")`), even
    where the file has a shorthand; an unknown name is at the key (`("conv", "kind")`); a missing
    or unknown option is at its own name. Mistakes in a suite are never exceptions here.
    """
    try:
        return _canonical(component), []
    except ValidationError as error:
        written = to_jsonable_python(component.model_dump())
        problems = [(loc + e["loc"], e["type"], e["msg"]) for e in error.errors(include_url=False)]
        return written, problems


def _canonical(component: "Component") -> dict[str, Any]:
    """Return the canonical form; raise a `ValidationError` with places and messages for people."""
    name = name_of(component)
    try:
        options = catalog.options(component.room, name)
    except (catalog.UnknownName, catalog.PluginError) as error:
        raise _refusal(name, [((component.key,), "unknown_name", str(error))]) from None
    entry = f"{catalog.noun(component.room)} {name!r}"
    try:
        chosen = options.model_validate(_extras(component), context=_EXPAND)
    except ValidationError as error:
        raise _refusal(name, _readable(error, options, entry)) from None
    return {component.key: name, **_declared(component), **_plain(chosen)}


def _plain(value: Any) -> Any:
    """Return a validated value in JSON types."""
    if isinstance(value, Component):  # expanded already, by its own validator
        return {value.key: name_of(value), **_declared(value), **_extras(value)}
    if isinstance(value, BaseModel):
        return {name: _plain(getattr(value, name)) for name in type(value).model_fields}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [_plain(item) for item in value]
    return to_jsonable_python(value)


def _declared(component: "Component") -> dict[str, Any]:
    """Return the fields that a component has whatever entry it names (a data set's sizes)."""
    return {
        field: _plain(getattr(component, field))
        for field in type(component).model_fields
        if field != component.key
    }


def _extras(component: "Component") -> dict[str, Any]:
    return component.model_extra or {}


def _refusal(title: str, problems: Sequence[Problem]) -> ValidationError:
    """Return problems as pydantic's error, so that the models around them add where they are."""
    return ValidationError.from_exception_data(
        title,
        [
            InitErrorDetails(
                type=PydanticCustomError(kind, message, {"said": True}), loc=loc, input=None
            )
            for loc, kind, message in problems
        ],
    )


def _readable(error: ValidationError, options: type[BaseModel], entry: str) -> list[Problem]:
    """Return pydantic's errors on an entry's options with places and messages for people."""
    errors = error.errors(include_url=False)
    unknown: dict[Loc, list[str]] = {}
    for item in errors:
        if item["type"] == "extra_forbidden":
            loc, _ = _place(item["loc"], options)
            unknown.setdefault(loc[:-1], []).append(str(loc[-1]))
    found: dict[Loc, tuple[str, str, list[str]]] = {}
    for item in errors:
        loc, owners = _place(item["loc"], options)
        message, end = plain(item)
        if owners and item["type"] in ("extra_forbidden", "missing"):
            option = loc[-1]
            at_top = len(loc) == 1
            owner = entry if at_top else f"a {owners[0].__name__.lower()}"
            if item["type"] == "missing":
                message = f"{owner} needs {'the option ' if at_top else ''}{option!r}"
            else:
                known = sorted({field for owner in owners for field in owner.model_fields})
                no = "no option" if at_top else "no"
                message = f"{owner} has {no} {option!r}; {catalog.suggest(str(option), known)}"
            end = ""
            if item["type"] == "missing" and catalog.alike(str(option), unknown.get(loc[:-1], [])):
                continue  # it is there under a misspelt name, which is said
        # Several errors at one place are the members of a union, each with its own complaint.
        messages = found.setdefault(loc, (item["type"], end, []))[2]
        if message not in messages:
            messages.append(message)
    return [(loc, kind, " or ".join(said) + end) for loc, (kind, end, said) in found.items()]


def _place(loc: Loc, model: type[BaseModel]) -> tuple[Loc, list[type[BaseModel]]]:
    """Return an error's place without pydantic's names of union members, and its owners.

    The owners are the models that the last part was looked up in, `Stage` for an unknown key of a
    stage; none inside a component, whose own validator has found the words already.
    """
    reached: list[Any] = [model]
    owners: list[type[BaseModel]] = []
    place: list[str | int] = []
    for part in loc:
        members = [_members(kind) for kind in reached]
        reached = [member for several in members for member in several]
        if any(len(several) > 1 for several in members):
            continue  # the part says which member of the union complains
        place.append(part)
        models = [
            kind for kind in reached if isinstance(kind, type) and issubclass(kind, BaseModel)
        ]
        owners = [kind for kind in models if not issubclass(kind, Component)]
        reached = [inner for kind in reached for inner in _inside(kind, part)]
    return tuple(place), owners


def _members(kind: Any) -> list[Any]:
    """Return the types that a value may have: a union's without None, else the type itself."""
    if get_origin(kind) is Annotated:
        return _members(get_args(kind)[0])
    if get_origin(kind) in (Union, types.UnionType):
        return [arg for arg in get_args(kind) if arg is not type(None)]
    return [kind]


def _inside(kind: Any, part: str | int) -> list[Any]:
    """Return the type found at a field or index of a type; [] where it is not known."""
    if get_origin(kind) is Annotated:
        return _inside(get_args(kind)[0], part)
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        field = kind.model_fields.get(str(part))
        return [] if field is None else [field.annotation]
    arguments = [arg for arg in get_args(kind) if arg is not Ellipsis]
    return arguments[-1:]  # of list[T], tuple[T, ...] and dict[K, T]


class Component(BaseModel):
    """A named entry of the catalog and the options it was given, as written."""

    model_config = ConfigDict(frozen=True, extra="allow")

    room: ClassVar[str]
    key: ClassVar[str] = "kind"

    @model_validator(mode="before")
    @classmethod
    def _spelt_out(cls, value: Any) -> Any:
        if isinstance(value, str):
            return {cls.key: value}
        if isinstance(value, cls) or (isinstance(value, Mapping) and cls.key in value):
            return value
        message = f"expected a name or {{{cls.key}: name, …}}"
        raise PydanticCustomError("component", message)

    @model_validator(mode="after")
    def _checked(self, info: ValidationInfo) -> Self:
        if info.context is not _EXPAND:
            return self
        return cast(Self, self.model_construct(**_canonical(self)))


class Conv(Component):
    """A convolution block."""

    room = "blocks/conv"
    kind: str


class Down(Component):
    """A block that halves the resolution."""

    room = "blocks/down"
    kind: str


class Merge(Component):
    """How what went around some layers joins what came through them."""

    room = "blocks/merge"
    kind: str


class Up(Component):
    """How the resolution is doubled."""

    room = "blocks/up"
    kind: str


class Norm(Component):
    """A normalisation."""

    room = "blocks/norm"
    kind: str


class Act(Component):
    """An activation."""

    room = "blocks/act"
    kind: str


class Head(Component):
    """What turns features into outputs."""

    room = "blocks/head"
    kind: str


class Network(Component):
    """A network of some family."""

    room = "networks"
    key = "family"
    family: str


class Task(Component):
    """What is predicted."""

    room = "tasks"
    kind: str
