"""What can be kept of an earlier page: all of it, or the figures of some comparisons.

A page is a function of its study, the records, this package and the libraries that it draws with.
`.made.json` beside a page holds a digest of these, one of every file, and for each figure one of
what it was drawn from and one of how it looks. What was made from the same and is intact is what
would be made again: it is kept. Nothing heavy is imported to find that out.
"""

import hashlib
import importlib.metadata
import json
import platform
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

import ablate
from ablate import records
from ablate.report.figures import Drawn
from ablate.study import ComparisonAsked, Study

NAME = ".made.json"
LIBRARIES = (
    *("matplotlib", "contourpy", "fonttools", "kiwisolver", "numpy", "pillow", "seaborn"),  # draw
    *("jinja2", "markupsafe", "pandas", "pydantic", "ruamel.yaml", "scipy", "tabulate"),  # write
)
_PICTURE = re.compile("<svg .*?</svg>", re.DOTALL)  # none is within another

Inputs = Mapping[str, Sequence[str]]  # `trial <id>` -> what is there of the record


def _digest(*parts: bytes) -> str:
    state = hashlib.sha256()
    for part in parts:  # with their lengths, so that no two lists of parts look the same
        state.update(f"{len(part)}\n".encode())
        state.update(part)
    return state.hexdigest()


def _maker() -> str:
    """Return a digest of all that makes pages: this package and the libraries, by their versions.

    Any file of the package counts, also one that no page depends on: to draw once more is cheap, to
    keep what should be drawn again is wrong.
    """
    root = Path(ablate.__file__).parent
    parts = [f"Python {platform.python_version()}".encode()]
    for name in LIBRARIES:
        try:
            parts.append(f"{name} {importlib.metadata.version(name)}".encode())
        except importlib.metadata.PackageNotFoundError:
            parts.append(name.encode())
    for path in sorted(root.rglob("*")):
        if path.suffix in (".py", ".j2", ".css", ".js", ".yaml"):
            parts += [path.relative_to(root).as_posix().encode(), path.read_bytes()]
    return _digest(*parts)


# As the code is when it is loaded: a file that is edited later is not what this process runs.
_MAKER = _maker()


def inputs(runs: Path, study: Study) -> Inputs:
    """Return what there is of every record of a study, to be read before the records are."""
    # What an older study of the suite asked decides what is said of claims that were changed.
    older = (runs / "studies").glob(f"{study.suite}-*/study.json")
    studies = {f"study {path.parent.name}": [_content(path)] for path in sorted(older)}
    seen = studies | {
        name: [_content(place / file) for file in ("", "record.json", "arrays.npz")]
        for name, place in asked(runs, study).items()
    }
    for row in (row for comparison in study.comparisons for row in comparison.rows):
        for seed, id in row.readings.items():  # where there is none, the page says why
            if not records.folder(runs, "reading", id).exists():
                weights = records.weights(runs, row.trials[seed])
                seen[f"weights {row.trials[seed]}"] = ["none" if weights is None else "there"]
    return seen


def asked(runs: Path, study: Study) -> dict[str, Path]:
    """Return where every record of a study lies or would lie, by its kind and id."""
    found: dict[str, Path] = {}

    def ask(kind: records.Kind, ids: Iterable[str]) -> None:
        found.update({f"{kind} {id}": records.folder(runs, kind, id) for id in ids})

    for comparison in study.comparisons:
        for ids in comparison.passes.values():
            ask("pass", ids)
        for row in (*comparison.rows, *comparison.budgets):
            ask("trial", row.trials.values())
            for cell in row.tuned.trials if row.tuned else ():
                ask("trial", cell.values())
            ask("fact", (row.facts, row.full_facts))
            ask("reading", row.readings.values())
        ask("fact", [point.facts for point in comparison.points])
        ask("trial", comparison.control.values())
    return found


def _content(path: Path) -> str:
    """Return a digest of a file, or what is in its place."""
    if path.is_dir():
        return "folder"
    try:
        return _digest(path.read_bytes())
    except OSError as error:
        return f"error {error.errno}"


def key_of_page(study: Study, seen: Inputs) -> str:
    """Return a digest of all that the page of a study depends on."""
    return _key(_MAKER, study.model_dump(mode="json"), seen)


def key_of_index(
    studies: Mapping[str, str],
    unreadable: Sequence[str],
    pages: Sequence[str],
    files: Mapping[str, str],
) -> str:
    """Return a digest of all that the pages over all suites depend on.

    Args:
        studies: the key of each suite's page, by its study, in order.
        unreadable: what is said of the studies that cannot be read.
        pages: names of the suites that have a page to link to.
        files: what `contents` returns of suites and registers.
    """
    return _key(_MAKER, studies, list(unreadable), list(pages), files)


def contents(files: Iterable[Path]) -> dict[str, str]:
    """Return a digest of each file, or what is in its place."""
    return {str(path): _content(path) for path in files}


def registers(folder: Path) -> list[Path]:
    """Return the files of the registers that the pages in a folder were made of.

    As long as the suites are the same, so is the list.
    """
    found = _made_before(folder).get("registers")
    return [Path(str(name)) for name in found] if isinstance(found, list) else []


def key_of_figures(study: Study, comparison: ComparisonAsked, seen: Inputs) -> str:
    """Return a digest of all that the figures of a comparison depend on: all but its passes."""
    ids = {
        name
        for row in (*comparison.rows, *comparison.budgets)
        for name in (
            *(f"trial {id}" for id in row.trials.values()),
            *(f"fact {id}" for id in (row.facts, row.full_facts)),
            *(f"reading {id}" for id in row.readings.values()),
        )
    } | {f"fact {point.facts}" for point in comparison.points}
    asked = comparison.model_dump(mode="json", exclude={"passes", "control"})
    # When a study stops decides whether trials are missing, and hence whether there are exports.
    return _key(_MAKER, asked, study.stop, {id: seen[id] for id in ids})


def key_of_times(study: Study, comparison: ComparisonAsked, seen: Inputs) -> str:
    """Return a digest of all that the figure of a comparison's times depends on: its passes too."""
    passes = [f"pass {id}" for ids in comparison.passes.values() for id in ids]
    figures = key_of_figures(study, comparison, seen)
    return _key(figures, comparison.passes, {id: seen[id] for id in passes})


def _key(*parts: Any) -> str:
    return _digest(records.canonical(parts).encode())


def made(
    key: str,
    files: Mapping[str, bytes],
    figures: Mapping[str, tuple[str, Drawn]],
    registers: Iterable[Path] = (),
) -> bytes:
    """Return the content of `.made.json`.

    Args:
        key: of the page.
        files: all others of the page.
        figures: by id, each with the key of what it was drawn from.
        registers: files of which the page of all claims was made.
    """
    content = {
        "page": key,
        "files": {name: _digest(content) for name, content in files.items()},
        "figures": {
            id: {"key": drawn_from, "kinds": sorted(drawn.files), "digest": _look(drawn)}
            for id, (drawn_from, drawn) in figures.items()
        },
    }
    if named := [str(path) for path in registers]:
        content["registers"] = named
    return (json.dumps(content, indent=1, sort_keys=True) + "\n").encode()


def is_current(folder: Path, key: str) -> bool:
    """Return whether the page in a folder was made from what a key stands for, and is intact."""
    before = _made_before(folder)
    files = before.get("files")
    if before.get("page") != key or not isinstance(files, dict) or not files:
        return False
    try:
        return all(_digest((folder / name).read_bytes()) == files[name] for name in files)
    except OSError:
        return False


def figures(folder: Path, keys: Iterable[str]) -> dict[str, Drawn]:
    """Return the figures of the page in a folder, by id, that are intact and have one of the keys.

    Args:
        folder: of the page.
        keys: of the comparisons as they are now.
    """
    current, found = set(keys), {}
    try:
        page = (folder / "index.html").read_text(encoding="utf-8")
        for id, figure in _made_before(folder).get("figures", {}).items():
            if figure["key"] in current:
                drawn = _drawn(folder, page, id, figure["kinds"])
                if _look(drawn) == figure["digest"]:
                    found[id] = drawn
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        pass  # changed by hand: what is left of it is drawn again
    return found


def files(folder: Path) -> list[str]:
    """Return the names of the files of the page in a folder; [] where there is none."""
    found = _made_before(folder).get("files")
    return [name for name in found if Path(name).name == name] if isinstance(found, dict) else []


def _made_before(folder: Path) -> dict[str, Any]:
    try:
        content = json.loads((folder / NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}  # no page yet, or not one of ours
    return content if isinstance(content, dict) else {}


def _drawn(folder: Path, page: str, id: str, kinds: Sequence[str]) -> Drawn:
    """Read a figure back: its pictures stand in the page, and its files beside it."""
    _, _, after = page.partition(f'<figure id="{id}">')
    pictures = _PICTURE.findall(after.partition("</figure>")[0])
    return Drawn(
        tuple(map(Markup, pictures)),
        {kind: (folder / f"{id}.{kind}").read_bytes() for kind in kinds},
    )


def _look(drawn: Drawn) -> str:
    pictures = (picture.encode() for picture in drawn.pictures)
    files = (part for kind in sorted(drawn.files) for part in (kind.encode(), drawn.files[kind]))
    return _digest(*pictures, *files)
