"""The form of a suite file: all mistakes at once, in words, each with its place.

What is wrong is left out and the rest is handed on, so that a mistake in one place does not hide
those elsewhere.
"""

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import BaseModel, Tag, ValidationError

from ablate import catalog
from ablate.suite import dotted
from ablate.suite.claims import KINDS
from ablate.suite.resolve import named, words
from ablate.suite.schema import Bound, Requirement, Suite
from ablate.suite.source import Loc, Problem, Source, SuiteError

# A suite still makes sense without these.
_OPTIONAL = {"source", "notes", "cites", "plugins", "seeds", "requirements", "profiles"}
_OPTIONAL |= {"variants", "base"}
# What stands in for a name or a text that is wrong or missing, of the suite or of a comparison.
_STAND_INS = {"id": "x", "title": "", "question": ""}


@dataclass(frozen=True)
class Form:
    """What could be read of a suite file."""

    suite: Suite  # without what is wrong
    places: dict[Loc, Loc]  # of what is left: where it stands in the file
    problems: list[Problem]

    def place(self, *loc: str | int) -> Loc:
        """Return where the file has what the suite has at `loc`."""
        for end in range(len(loc), 0, -1):
            if loc[:end] in self.places:
                return (*self.places[loc[:end]], *loc[end:])
        return loc


def structure(source: Source) -> Form:
    """Validate a suite file's form.

    Raises:
        SuiteError: so much is wrong that nothing else can be checked.
    """
    data = copy.deepcopy(source.data)
    if not isinstance(data, dict):
        message = "a suite is a mapping: id, title, question, base, comparisons, …"
        raise SuiteError(source.name, source.text, [Problem(source.position(()), message)])
    # Parts keep their identity while others are left out around them.
    originally = {id(part): loc for loc, part in _parts(data, ())}
    problems: list[Problem] = []
    while True:
        try:
            suite = Suite.model_validate(data)
        except ValidationError as error:
            wrong = {(*_in_file(e["loc"], data), e["type"]): e for e in error.errors()}
            if not problems:  # later errors are only what leaving something out has led to
                problems = list(_problems(source, wrong))
            # From the back, so that list indices stay right while items are left out.
            backwards = sorted({loc[:-1] for loc in wrong}, key=_backwards, reverse=True)
            if not all([_leave_out(data, loc) for loc in backwards]):
                raise SuiteError(source.name, source.text, problems) from None
        else:
            places = {loc: originally[id(part)] for loc, part in _parts(data, ())}
            return Form(suite, places, problems)


def _parts(data: Any, loc: Loc) -> Iterator[tuple[Loc, Any]]:
    if isinstance(data, dict | list):
        yield loc, data
        for step, part in data.items() if isinstance(data, dict) else enumerate(data):
            yield from _parts(part, (*loc, step))


def _backwards(loc: Loc) -> tuple[tuple[int, int, str], ...]:
    return tuple((0, s, "") if isinstance(s, int) else (1, 0, s) for s in loc)


def _problems(source: Source, wrong: dict[Loc, Any]) -> Iterator[Problem]:
    """Yield pydantic's errors, by place and type, in words."""
    unknown: dict[Loc, list[str]] = {}
    for loc, error in wrong.items():
        if error["type"] == "extra_forbidden":
            unknown.setdefault(loc[:-2], []).append(str(loc[-2]))
    for (*at, kind), error in wrong.items():
        loc = tuple(at)
        if kind == "missing" and catalog.alike(str(loc[-1]), unknown.get(loc[:-1], [])):
            continue  # it is there under a misspelt name, which is said
        if kind == "union_tag_invalid":
            loc = (*loc, "kind")
        # Where a key is wrong that may be any path or name, pydantic gives it as the input.
        at_key = kind in ("extra_forbidden", "missing") or error["input"] == error["loc"][-1]
        at_key = at_key or error["loc"][-1:] == ("[key]",)
        yield Problem(source.position(loc, key=at_key), _explain(error, loc))


def _explain(error: Any, loc: Loc) -> str:
    owner: Any = Suite
    name = "the suite"
    for step in error["loc"][:-1]:
        owner, name = _enter(owner, step, name)
    members = get_args(owner) or (owner,)  # of `Latency | None`
    models = [a for a in members if isinstance(a, type) and issubclass(a, BaseModel)]
    known = models[0].model_fields if len(models) == 1 else {}
    if error["type"] == "missing":
        return f"{name} has no {str(error['loc'][-1])!r}, which it needs"
    if error["type"] == "union_tag_not_found":
        return f"a claim needs its kind: {', '.join(KINDS)}"
    if error["type"] == "union_tag_invalid":
        tag = str(error["ctx"]["tag"])
        return f"unknown kind of claim {tag!r}; {catalog.suggest(tag, KINDS)}"
    return named(loc, words(error, known))


def _enter(owner: Any, step: str | int, name: str) -> tuple[Any, str]:
    """Follow one step of pydantic's location through the models, for words in messages."""
    if isinstance(owner, type) and issubclass(owner, BaseModel):
        if step in owner.model_fields:
            return owner.model_fields[str(step)].annotation, str(step)
        return (Bound if owner is Requirement else None), str(step)
    for member in _flat(owner):
        if any(isinstance(m, Tag) and m.tag == step for m in getattr(member, "__metadata__", ())):
            return member.__origin__, name
    models = [a for a in _flat(owner) if isinstance(a, type) and issubclass(a, BaseModel)]
    if isinstance(step, str) and len(models) > 1:
        for model in models:
            kind = model.model_fields.get("kind")
            if kind is not None and step in get_args(kind.annotation):
                return model, f"a claim of kind {step!r}"
    if len(models) == 1:
        return models[0], f"the {models[0].__name__.lower()}" if isinstance(step, int) else name
    return owner, name


def _flat(annotation: Any) -> Iterator[Any]:
    yield annotation
    for inner in get_args(annotation):
        yield from _flat(inner)


def _in_file(loc: Loc, data: Any) -> Loc:
    """Return pydantic's location without the steps that only pydantic has (tags of unions)."""
    found: list[str | int] = []
    for number, step in enumerate(loc):
        if step == "[key]":
            continue
        there = range(len(data)) if isinstance(data, list) else data
        if isinstance(data, dict | list) and step in there:
            found.append(step)
            data = dotted.get(data, (step,))
        elif number == len(loc) - 1 and isinstance(data, dict):
            found.append(step)  # a key that is missing
    return tuple(found)


def _leave_out(data: Any, loc: Loc) -> bool:
    """Remove what is at `loc`; False where the suite makes no sense without it.

    A key that is missing takes what it is missing from along, and so does one of a variant's
    settings: a variant without it would be another one.
    """
    if "variants" in loc[:-1]:
        loc = loc[: loc.index("variants") + 2]
    if _stand_in(data, loc):
        return True
    while loc:
        try:
            parent = dotted.get(data, loc[:-1])
        except dotted.PathError:
            return True  # left out already with what it was part of
        present = loc[-1] in (range(len(parent)) if isinstance(parent, list) else parent)
        if len(loc) == 1 and loc[0] in Suite.model_fields and not (present and loc[0] in _OPTIONAL):
            return False
        if present:
            parent.pop(loc[-1])
            return True
        loc = loc[:-1]
    return False


def _stand_in(data: Any, loc: Loc) -> bool:
    """Put something sound where a suite or a comparison cannot do without; False elsewhere."""
    if not loc or (len(loc) != 1 and (len(loc) != 3 or loc[0] != "comparisons")):
        return False
    try:
        owner, key = dotted.get(data, loc[:-1]), loc[-1]
    except dotted.PathError:
        return True  # left out already with what it was part of
    if key == "baseline" and isinstance(owner.get("variants"), dict) and owner["variants"]:
        owner[key] = next(iter(owner["variants"]))
    elif key in _STAND_INS:
        owner[key] = _STAND_INS[key]
    else:
        return False
    return True
