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

_plugins: dict[tuple[str, str], Path] = {}


class UnknownName(LookupError):
    """No entry of that name; the message lists what there is and the nearest name."""


class PluginError(ValueError):
    """A plugin file that cannot be used."""


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
    folder = PACKAGE / room
    if not folder.is_dir():
        raise UnknownName(f"there is no room {room!r} in the catalog")
    own = {path.stem for path in folder.glob("*.py") if not path.stem.startswith("_")}
    return sorted(own | {name for where, name in _plugins if where == room})


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
    """
    path = path_of(room, name)
    if (room, name) not in _plugins:
        return importlib.import_module(f"ablate.{room.replace('/', '.')}.{name}")
    module_name = f"ablate_plugin.{room.replace('/', '.')}.{name}"
    if module_name not in sys.modules:
        spec = importlib.util.spec_from_file_location(module_name, path)
        assert spec is not None  # the file exists: `plug` read it
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[module_name] = module
        try:
            spec.loader.exec_module(module)
        except BaseException:
            del sys.modules[module_name]
            raise
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
    """
    builder = getattr(load(room, name), BUILDER.get(room, "build"))
    fields: dict[str, Any] = {}
    for parameter in inspect.signature(builder, eval_str=True).parameters.values():
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY:
            default = ... if parameter.default is inspect.Parameter.empty else parameter.default
            fields[parameter.name] = (parameter.annotation, default)
    config = ConfigDict(extra="forbid", frozen=True, validate_default=True)
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
        raise PluginError(f"cannot read the plugin {path}: {error.strerror}") from error
    except (SyntaxError, UnicodeDecodeError) as error:
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
    if not isinstance(room, str) or not (PACKAGE / room).is_dir():
        raise PluginError(
            f"the plugin {path} does not say where it belongs; "
            'write for example ROOM = "blocks/conv"'
        )
    key = (room, path.stem)
    if path.stem in names(room) and _plugins.get(key) != path.resolve():
        raise PluginError(f"the plugin {path} takes a name that exists: {noun(room)} {path.stem!r}")
    _plugins[key] = path.resolve()
    return key


def digest(path: Path) -> str:
    """Return the SHA-256 of a file, in hex: the identity of a plugin's code."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def noun(room: str) -> str:
    """Return the words by which messages call an entry of a room (`conv block`, `data set`)."""
    words = {"data": "data set", "networks": "network family", "execute": "executor"}
    role = room.removeprefix("blocks/")
    return f"{role} block" if role != room else words.get(room, room.removesuffix("s"))


def suggest(name: str, known: Iterable[str]) -> str:
    """Return the end of a message on an unknown name: the nearest one, or all there are."""
    known = list(known)
    near = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(known) or 'none'}"
