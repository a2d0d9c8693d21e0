"""The folder is the catalog: a file's stem is its name, its folder's docstring is its contract.

A *room* is a folder below this package, written with slashes (`blocks/conv`, `data`, `metrics`).
Adding an entry is adding one file; files that begin with `_` are helpers, not entries. A user's own
files join through `plug`: such a file says which room it belongs to (`ROOM = "blocks/conv"`).

Listing and describing read the files without importing them, so they cost no import of torch.
"""

import ast
import difflib
import hashlib
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from pydantic import BaseModel, ConfigDict, create_model

PACKAGE = Path(__file__).parent
# What builds an entry from its options, and the keyword-only parameters of which are those options.
BUILDER = {"data": "load"}
# What a file of a room must define, if not only a builder.
DEFINES = {
    "execute": ["run"],
    "metrics": ["TITLE", "UNIT", "DIRECTION", "KIND", "measure"],
    "tasks": ["PRIMARY", "MARGIN", "build"],
}

_plugins: dict[tuple[str, str], Path] = {}


class UnknownName(LookupError):
    """No entry of that name; the message lists what there is and the nearest name."""


class PluginError(ValueError):
    """A plugin file that cannot be used; the message says why and what to do instead."""


def rooms() -> list[str]:
    """Return all rooms, sorted."""
    roles = sorted(
        path for path in (PACKAGE / "blocks").iterdir() if (path / "__init__.py").exists()
    )
    return [
        *(f"blocks/{path.name}" for path in roles),
        "data",
        "execute",
        "metrics",
        "networks",
        "tasks",
    ]


def names(room: str) -> list[str]:
    """Return the names in a room, plugins included, sorted.

    Raises:
        UnknownName: there is no such room.
    """
    return sorted({*_own(room), *(name for where, name in _plugins if where == room)})


@cache  # a network asks for each of its blocks, and matching builds hundreds of networks
def _own(room: str) -> list[str]:
    folder = PACKAGE / room
    if not folder.is_dir():
        raise UnknownName(f"there is no room {room!r} in the catalog")
    return [path.stem for path in folder.glob("*.py") if not path.stem.startswith("_")]


def path_of(room: str, name: str) -> Path:
    """Return the file of an entry.

    Raises:
        UnknownName: there is no such entry.
    """
    if name not in names(room):
        raise UnknownName(f"unknown {noun(room)} {name!r}; {suggest(name, names(room))}")
    return _plugins.get((room, name), PACKAGE / room / f"{name}.py")


def load(room: str, name: str) -> ModuleType:
    """Import an entry.

    Raises:
        UnknownName: there is no such entry.
        PluginError: it is a plugin that cannot be imported.
    """
    if name in _own(room) and (room, name) not in _plugins:  # the usual case, many times a network
        return importlib.import_module(f"ablate.{room.replace('/', '.')}.{name}")
    path = path_of(room, name)
    module_name = f"ablate_plugin.{room.replace('/', '.')}.{name}"
    if module_name not in sys.modules:
        spec = importlib.util.spec_from_file_location(module_name, path)
        assert spec is not None  # the file exists: `plug` read it
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[module_name] = module
        try:
            spec.loader.exec_module(module)
        except BaseException as error:
            del sys.modules[module_name]
            if not isinstance(error, Exception):
                raise
            reason = f"{type(error).__name__}: {error}"
            raise PluginError(f"the plugin {path.name} cannot be imported: {reason}") from error
    return sys.modules[module_name]


def describe(room: str, name: str) -> str:
    """Return the first line of an entry's docstring, without importing it."""
    tree = ast.parse(path_of(room, name).read_text(encoding="utf-8"))
    return (ast.get_docstring(tree) or "").partition("\n")[0]


@cache
def options(room: str, name: str) -> type[BaseModel]:
    """Return the options of an entry as a model: the keyword-only parameters of its builder.

    Parameters before the `*` are what the caller gives (channels, a stride); those after it are
    what a suite file may set.

    Raises:
        UnknownName: there is no such entry.
        PluginError: it is a plugin without a builder, or an option of its builder has no type.
    """
    builder = _defined(room, name, BUILDER.get(room, "build"))
    fields: dict[str, Any] = {}
    for parameter in inspect.signature(builder, eval_str=True).parameters.values():
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY:
            if parameter.annotation is inspect.Parameter.empty:
                where = f"the plugin {path_of(room, name).name}: the option {parameter.name!r}"
                raise PluginError(f"{where} has no type; write {parameter.name}: int, for example")
            default = ... if parameter.default is inspect.Parameter.empty else parameter.default
            fields[parameter.name] = (parameter.annotation, default)
    config = ConfigDict(extra="forbid", frozen=True, validate_default=True, allow_inf_nan=False)
    return create_model(f"{name} options", __config__=config, **fields)


def build(room: str, component: Mapping[str, Any], key: str, *context: Any) -> Any:
    """Call an entry's builder with what the caller gives and the component's validated options."""
    name = component[key]
    chosen = options(room, name).model_validate({k: v for k, v in component.items() if k != key})
    builder = getattr(load(room, name), BUILDER.get(room, "build"))
    return builder(
        *context, **{field: getattr(chosen, field) for field in type(chosen).model_fields}
    )


def plug(path: Path) -> tuple[str, str]:
    """Add a user's file to the catalog and return its room and name.

    The file is only read, not run: it is imported when a suite names it.

    Raises:
        PluginError: it cannot be read, names no room, or its name is taken.
    """
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise PluginError(
            f"cannot read the plugin {path}: {error.strerror}; "
            "plugins are looked for from the suite's folder on"
        ) from error
    except SyntaxError as error:
        where = f"line {error.lineno}: {error.msg}"
        raise PluginError(f"the plugin {path} is not valid Python: {where}") from error
    except ValueError as error:  # bytes that are no text
        raise PluginError(f"the plugin {path} is not valid Python: {error}") from error
    room = next(
        (
            node.value.value
            for node in tree.body
            if isinstance(node, ast.Assign)
            and any(isinstance(t, ast.Name) and t.id == "ROOM" for t in node.targets)
            and isinstance(node.value, ast.Constant)
        ),
        None,
    )
    if not isinstance(room, str):
        raise PluginError(
            f"the plugin {path} does not say where it belongs; "
            'write for example ROOM = "blocks/conv"'
        )
    if room not in rooms():
        raise PluginError(
            f"the plugin {path} belongs to ROOM = {room!r}, which there is not; "
            f"{suggest(room, rooms())}"
        )
    key = (room, path.stem)
    if path.stem in names(room) and _plugins.get(key) != path.resolve():
        raise PluginError(
            f"the plugin {path} takes a name that exists, {noun(room)} {path.stem!r}; "
            "give the file another name"
        )
    _plugins[key] = path.resolve()
    return key


def hold_to_contract(room: str, name: str) -> None:
    """Import an entry and see that it defines what files of its room do.

    Raises:
        PluginError: it cannot be imported or does not.
    """
    for word in DEFINES.get(room, [BUILDER.get(room, "build")]):
        _defined(room, name, word)
    if room not in DEFINES or "build" in DEFINES[room]:
        options(room, name)


def _defined(room: str, name: str, word: str) -> Any:
    found = getattr(load(room, name), word, None)
    if found is None:
        path = path_of(room, name)
        raise PluginError(f"the plugin {path.name} defines no {word!r}, as files of {room} do")
    return found


def digest(path: Path) -> str:
    """Return the SHA-256 of a file, in hex: the identity of a plugin's code."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def noun(room: str) -> str:
    """Return the words by which messages call an entry of a room (`conv block`, `data set`)."""
    words = {"data": "data set", "networks": "network family", "execute": "executor"}
    role = room.removeprefix("blocks/")
    return f"{role} block" if role != room else words.get(room, room.removesuffix("s"))


def alike(name: str, others: Iterable[str]) -> bool:
    """Whether one of the others is probably a misspelling of the name."""
    return bool(difflib.get_close_matches(name, list(others), n=1))


def suggest(name: str, known: Iterable[str]) -> str:
    """Return the end of a message on an unknown name: the nearest one, or all there are."""
    known = list(known)
    near = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(known) or 'none'}"
