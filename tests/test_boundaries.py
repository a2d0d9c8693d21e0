"""Which room may import which, what stays free of torch, and how quickly the program starts."""

import ast
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import ablate

PACKAGE = Path(ablate.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))

# The half of `suite/` that reads a suite: it names what the catalog has and builds nothing.
LANGUAGE = {
    f"suite.{name}"
    for name in (
        "claims",
        "dotted",
        "load",
        "references",
        "request",
        "resolve",
        "schema",
        "seeds",
        "source",
        "structure",
        "tune",
    )
}

# Room or module → what of the package it may import; itself always. A longer name goes before a
# shorter one that it begins with.
MAY_IMPORT: dict[str, set[str]] = {
    # what everything stands on
    "catalog": set(),
    "components": {"catalog"},
    "records": set(),
    "study": {"records"},
    "environment": set(),
    "lock": {"records"},
    "interrupt": set(),
    # what is trained on what
    "blocks": {"components", "catalog"},
    "networks": {"blocks", "components", "catalog"},
    "data": {"catalog"},
    # A task's scores are metrics of its examples; what is shown to a network is normalised.
    "tasks": {"data", "catalog", "metrics", "train.batches"},
    # Some facts are means over initialisations.
    "metrics": {"records", "catalog", "networks"},
    # A recipe's type is part of the suite language, and training is given one: `suite.schema` is
    # the one thing that training knows of suites.
    "train": {
        *("networks", "data", "tasks", "metrics", "records", "catalog", "components"),
        *("environment", "execute", "suite.schema"),
    },
    "passes": {"catalog", "environment", "metrics", "networks", "records", "train"},
    "readings": {"catalog", "environment", "networks", "records", "train"},
    # what is asked
    **{module: {"catalog", "components", *LANGUAGE} for module in LANGUAGE},
    "suite.planned": {"records", "study", "suite.tune"},
    "suite.remembered": {
        *("catalog", "environment", "records", "study", "data"),
        *("suite.cited", "suite.load", "suite.planned", "suite.request", "evidence.tuning"),
    },
    "suite": {
        *("catalog", "components", "records", "study", "environment", "execute", *LANGUAGE),
        *("networks", "data", "tasks", "metrics", "train", "passes", "readings"),
        *("evidence.decide", "evidence.power", "evidence.tuning", "evidence.welch"),
        *("evidence.register", "evidence.spelling"),
    },
    # who does it
    "execute": set(),
    # what came of it
    # A register of claims is a file of the same make as a suite.
    "evidence": {"catalog", "records", "study", "suite.claims", "suite.resolve", "suite.source"},
    "report": {"evidence", "records", "study"},
    "citing": {"catalog", "evidence", "records", "report", "study", "suite.source", "__init__"},
    # who brings it together
    "run": {"catalog", "records", "evidence", "execute", "suite"},
    "costs": {"catalog", "environment", "evidence", "execute", "passes", "records", "run", "suite"},
    "measure": {"catalog", "costs", "environment", "metrics", "networks", "records", "suite"},
    "display": {"records", "execute", "suite"},
    "commands": {
        *("catalog", "cli", "display", "environment", "evidence", "execute", "lock", "records"),
        *("advice", "report", "run", "study", "suite"),
    },
    "citations": {
        *("catalog", "citing", "cli", "commands", "evidence", "records", "study"),
        *("suite.load", "suite.source"),
    },
    "notes": {"cli", "evidence", "study", "suite.load", "suite.source", "suite.structure"},
    "cli": {
        *("catalog", "citations", "commands", "costs", "data", "interrupt", "measure", "notes"),
        *("completion", "records", "study", "terminal"),
        "suite.load",
        "suite.source",
    },
    "terminal": set(),
    "completion": {"catalog", "study", "suite.load", "suite.schema", "suite.source"},
    "advice": {"evidence", "records", "study", "suite.request"},
    "__main__": {"cli"},
    "results": {"catalog", "evidence", "report", "study"},
    "__init__": {"results"},
}

# Where torch may be imported; everywhere else it may not, not even inside a function.
TORCH = {
    *("blocks", "networks", "tasks", "metrics", "train", "passes", "readings"),
    "environment",
    *("measure", "suite.match", "suite.pairing", "suite.preflight", "suite.plan", "suite.sweeps"),
    "suite.taking",
}
TORCH_PACKAGES = {"torch", "torchvision", "timm", "fvcore"}


def module_name(path: Path) -> str:
    """Return a file's module within the package: `suite.load`, `blocks.conv`, `__init__`."""
    parts = list(path.relative_to(PACKAGE).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


def imports(path: Path) -> Iterator[str]:
    """Yield the full names of all modules that a file imports, also inside functions.

    What is imported for type checks alone is left out.
    """
    skipped: set[ast.AST] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if node in skipped:
            continue
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            skipped |= {inner for part in node.body for inner in ast.walk(part)}
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if _is_module(inner) else str(node.module)


def _is_module(name: str) -> bool:
    first, *rest = name.split(".")
    place = PACKAGE.joinpath(*rest)
    return first == "ablate" and (place.is_dir() or place.with_suffix(".py").exists())


def room_of(module: str) -> str:
    """Return the entry of the table that a module falls under."""
    parts = module.split(".")
    names = [".".join(parts[:end]) for end in range(len(parts), 0, -1)]
    found = next((name for name in names if name in MAY_IMPORT), None)
    assert found is not None, f"{module} is in no room: say in MAY_IMPORT what it may import"
    return found


def allowed(room: str, imported: str) -> bool:
    """Whether a room may import a module of the package."""
    return any(
        imported == name or imported.startswith(f"{name}.") for name in {room, *MAY_IMPORT[room]}
    )


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_a_room_imports_only_what_it_may(path: Path) -> None:
    room = room_of(module_name(path))
    own = {name.removeprefix("ablate.") for name in imports(path) if name.startswith("ablate.")}
    assert [name for name in sorted(own) if not allowed(room, name)] == []


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_torch_is_imported_only_where_it_may_be(path: Path) -> None:
    module = module_name(path)
    if not any(module == room or module.startswith(f"{room}.") for room in TORCH):
        heavy = {name for name in imports(path) if name.partition(".")[0] in TORCH_PACKAGES}
        # The only data set that torchvision can fetch; it is imported when it is to be fetched.
        assert heavy <= ({"torchvision.datasets"} if module == "data.cifar10" else set())


def test_the_table_is_about_what_there_is() -> None:
    modules = {module_name(path) for path in FILES}
    known = modules | {module.partition(".")[0] for module in modules}
    named = set(MAY_IMPORT) | TORCH | {name for names in MAY_IMPORT.values() for name in names}
    assert named <= known
    free = {"suite.planned", "suite.remembered"}
    assert {room for room in MAY_IMPORT if "." in room} <= LANGUAGE | free


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import torch.nn as nn", {"torch.nn"}),
        ("from ablate import catalog, records", {"ablate.catalog", "ablate.records"}),
        ("from ablate.suite import dotted", {"ablate.suite.dotted"}),
        ("from ablate.data import Dataset", {"ablate.data"}),
        ("def f():\n    from torch import nn", {"torch"}),
        ("if TYPE_CHECKING:\n    import torch\nelse:\n    import numpy", {"numpy"}),
    ],
)
def test_imports_are_found_wherever_they_stand(
    source: str, found: set[str], tmp_path: Path
) -> None:
    path = tmp_path / "module.py"
    path.write_text(source)
    assert set(imports(path)) == found


def loads(package: str, modules: list[str]) -> bool:
    """Whether importing modules, in a process of their own, loads a package."""
    code = f"import sys, {', '.join(modules)}; sys.exit({package!r} in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert done.returncode in (0, 1)
    assert not done.stderr.strip(), done.stderr.decode()
    return done.returncode == 1


def test_half_of_the_package_is_free_of_torch() -> None:
    free = {"catalog", "components", "records", "study", "cli", "commands", "run", *LANGUAGE}
    free |= {"suite.cited", "suite.planned", "suite.remembered", "notes"}
    free |= {"advice", "completion", "results", "suite.chosen", "terminal"}
    modules = [
        f"ablate.{name}"
        for name in map(module_name, FILES)
        if name in free or name.partition(".")[0] in {"evidence", "report", "execute", "data"}
    ]
    assert len(modules) > 30
    assert not loads("torch", modules)


def test_the_check_for_torch_can_fail() -> None:
    assert loads("torch", ["ablate.evidence", "ablate.networks"])


@pytest.mark.parametrize("package", ["torch", "numpy", "pandas", "matplotlib", "pydantic"])
def test_the_command_line_loads_nothing_before_it_is_needed(package: str) -> None:
    assert not loads(package, ["ablate", "ablate.cli"])


def test_help_comes_at_once() -> None:
    def seconds() -> float:
        began = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "ablate", "--help"], stdout=subprocess.DEVNULL, check=True
        )
        return time.perf_counter() - began

    assert min(seconds() for _ in range(5)) < 0.5


def test_no_module_is_a_grab_bag() -> None:
    assert {path.stem for path in FILES} & {"utils", "util", "helpers", "misc", "common"} == set()


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_everything_public_says_what_it_is(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    public = [
        node
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        and not node.name.startswith("_")
    ]
    assert ast.get_docstring(tree), "the module has no docstring"
    assert [node.name for node in public if not ast.get_docstring(node)] == []
