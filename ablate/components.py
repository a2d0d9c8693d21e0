"""Components: the parts of a configuration that name an entry of the catalog.

A component is written as a name (`normal`) or as a mapping of its name and options
(`{kind: dilated, dilation: 2}`). Reading one looks at no entry and imports nothing heavy; `expand`
then checks names and options against the catalog, through every component nested in them, and
returns the canonical form: a plain dict with the name first and every option spelt out.

An entry's builder declares a nested component by its type (`conv: Conv = NORMAL`).
"""

import types
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Self, Union, cast, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError, ValidationInfo, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError, to_jsonable_python

from ablate import catalog

Loc = tuple[str | int, ...]
Problem = tuple[Loc, str, str]  # where, pydantic's error type or "unknown_name", message

_EXPAND = object()  # the validation context under which components are checked against the catalog


def name_of(component: "Component") -> str:
    """Return the name of the entry that a component stands for."""
    name: str = getattr(component, component.key)
    return name


def build(component: "Component", *context: Any) -> Any:
    """Build what a component stands for: `catalog.build` with the component's room and options."""
    return catalog.build(component.room, component.model_dump(), component.key, *context)


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
    except catalog.UnknownName as error:
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
            InitErrorDetails(type=PydanticCustomError(kind, message), loc=loc, input=None)
            for loc, kind, message in problems
        ],
    )


def _readable(error: ValidationError, options: type[BaseModel], entry: str) -> list[Problem]:
    """Return pydantic's errors on an entry's options with places and messages for people."""
    found: dict[Loc, tuple[str, list[str]]] = {}
    for item in error.errors(include_url=False):
        loc, owners = _place(item["loc"], options)
        message = item["msg"]
        if isinstance(item.get("ctx", {}).get("error"), ValueError):
            message = str(item["ctx"]["error"])  # its own text, without pydantic's prefix
        elif owners and item["type"] in ("extra_forbidden", "missing"):
            option = loc[-1]
            at_top = len(loc) == 1
            owner = entry if at_top else f"a {owners[0].__name__.lower()}"
            if item["type"] == "missing":
                message = f"{owner} needs {'the option ' if at_top else ''}{option!r}"
            else:
                known = sorted({field for owner in owners for field in owner.model_fields})
                no = "no option" if at_top else "no"
                message = f"{owner} has {no} {option!r}; {catalog.suggest(str(option), known)}"
        # Several errors at one place are the members of a union, each with its own complaint.
        messages = found.setdefault(loc, (item["type"], []))[1]
        if message not in messages:
            messages.append(message)
    return [(loc, kind, " or ".join(messages)) for loc, (kind, messages) in found.items()]


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
