"""Dotted paths: `network.stages[2].layers[1].conv` names one value of a configuration."""

import re
from typing import Any

from ablate.suite.source import Loc

# An index is written [2], or .2 where brackets would need quotes (inside YAML's { }).
_STEP = re.compile(r"\.?([A-Za-z_][A-Za-z0-9_-]*)|(?:\[(\d+)\]|\.(\d+))(?=[.\[]|$)")


class PathError(ValueError):
    """A path that is misspelt or leads nowhere; the message says at which step."""


def parse(path: str) -> Loc:
    """Split a dotted path into its steps: names and list indices.

    Raises:
        PathError: it is not of the form `name.name[0].name`.
    """
    steps: list[str | int] = []
    at = 0
    while at < len(path):
        match = _STEP.match(path, at)
        index = match and (match[2] or match[3])
        if (
            not match
            or (not steps and (index or path[0] == "."))
            or (steps and not index and path[at] != ".")
        ):
            raise PathError(f"{path!r} is no path; write for example network.stages[2].conv")
        steps.append(int(index) if index else match[1])
        at = match.end()
    if not steps:
        raise PathError("an empty path")
    return tuple(steps)


def show(loc: Loc) -> str:
    """Join steps into a dotted path: the inverse of `parse`."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in loc)
    return text.removeprefix(".")


def get(tree: Any, loc: Loc) -> Any:
    """Return the value at a path.

    Raises:
        PathError: the path leads nowhere.
    """
    for depth, step in enumerate(loc):
        tree = _enter(tree, step, loc[:depth])
    return tree


def put(tree: dict[str, Any], loc: Loc, value: Any) -> None:
    """Set the value at a path; the last name may be new, what leads to it must exist.

    Raises:
        PathError: the path leads nowhere.
    """
    parent = get(tree, loc[:-1])
    last = loc[-1]
    if isinstance(last, str) and isinstance(parent, dict):
        parent[last] = value
    else:
        _enter(parent, last, loc[:-1])  # raises unless it is an existing item of a list
        parent[last] = value


def _enter(tree: Any, step: str | int, so_far: Loc) -> Any:
    place = show(so_far) or "the configuration"
    if isinstance(step, int):
        if not isinstance(tree, list):
            raise PathError(f"{place} is no list, so [{step}] leads nowhere")
        if step >= len(tree):
            raise PathError(f"{place} has {len(tree)} items, counted from 0; there is no [{step}]")
        return tree[step]
    if not isinstance(tree, dict):
        raise PathError(f"{place} has no parts, so .{step} leads nowhere")
    if step not in tree:
        from ablate.catalog import suggest

        raise PathError(f"{place} has no {step!r}; {suggest(step, tree)}")
    return tree[step]
