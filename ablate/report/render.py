"""Writes the pages: `reports/<suite>/` with its exports, and `reports/index.html`.

A reader never sees half a page: every file is written under another name and renamed, exports
before the page that links to them. What an earlier page had and this one has not is removed; files
that no page made are left alone.
"""

import contextlib
import json
import os
import re
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from ablate import records
from ablate import study as studies
from ablate.evidence.collect import Evidence, collect
from ablate.evidence.frame import frame
from ablate.report.index_page import index
from ablate.report.suite_page import Page, page
from ablate.report.tables import Table, to_latex, to_markdown
from ablate.study import Study

SCHEMA = 1  # of manifest.json
_ID = re.compile(r"[A-Za-z0-9]+(-[A-Za-z0-9]+)*")
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")  # not allowed in a page
# A number and its sign stay on one line, and so do the two ends of an interval.
_GLUE = re.compile(r"(?<=\d) (?=%)|(?<=\d,) (?=−?[\d.,]+\])")


def render(runs: Path, study: Study, reports: Path) -> Path:
    """Write a study's page and exports, from whatever records there are, and return the page.

    Raises:
        ValueError: an id would not do as a file name, an anchor and a LaTeX label.
        NoRoom: the disk is full; the page that was there before may be there still.
    """
    for id in (study.suite, *(comparison.table for comparison in study.comparisons)):
        if not _ID.fullmatch(id):
            raise ValueError(f"{id!r} is no id; it must be letters, digits and single hyphens")
    return publish(reports / study.suite, suite_files(collect(runs, study)))


def render_index(runs: Path, reports: Path) -> Path:
    """Write the page of all suites over the newest study of each, and return it."""
    found, unreadable = [], []
    for suite in studies.suites(runs):
        try:
            newest = studies.newest(runs, suite)
        except studies.StudyError as error:
            unreadable.append(str(error).replace(f"{runs}{os.sep}", ""))
            continue
        if newest is not None:
            found.append(collect(runs, newest))
    gathered = index(found, unreadable)
    files = _exports(gathered.table)
    files["index.html"] = _html("index.html.j2", index=gathered)
    return publish(reports, files)


def suite_files(evidence: Evidence) -> dict[str, bytes]:
    """Return the files of a suite's page by name: a function of the evidence alone."""
    gathered = page(evidence)
    files: dict[str, bytes] = {}
    for table in gathered.tables:
        files |= _exports(table)
    for figure in gathered.figures:
        files |= {f"{figure.id}.{kind}": content for kind, content in figure.files.items()}
    numbers = frame(evidence)
    per_epoch = numbers["epoch"].notna()
    files["runs.csv"] = _csv(numbers[~per_epoch])
    files["curves.csv"] = _csv(numbers[per_epoch])
    entries = [
        snippet.text
        for snippets in gathered.snippets.values()
        for snippet in snippets
        if snippet.name == "BibTeX"
    ]
    files["cite.bib"] = ("\n\n".join(entries) + "\n").encode()
    files["index.html"] = _html("suite.html.j2", page=gathered)
    files["manifest.json"] = b""  # it names itself among the files
    files["manifest.json"] = _manifest(gathered, sorted(files))
    return files


def publish(folder: Path, files: Mapping[str, bytes]) -> Path:
    """Write files into a folder, `index.html` last, and remove what an earlier call left.

    Raises:
        NoRoom: the disk is full.
    """
    before = _made_before(folder)
    for name in sorted(files, key=lambda name: (name == "index.html", name)):
        _write(folder / name, files[name])
    for name in before - files.keys():
        (folder / name).unlink(missing_ok=True)
    return folder / "index.html"


def _exports(table: Table) -> dict[str, bytes]:
    return {
        f"{table.id}.csv": table.csv.encode(),
        f"{table.id}.md": to_markdown(table).encode(),
        f"{table.id}.tex": to_latex(table).encode(),
    }


def _csv(numbers: Any) -> bytes:
    text: str = numbers.to_csv(index=False, lineterminator="\n")
    return text.encode()


def _html(template: str, **context: object) -> bytes:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=_printable,
    )
    return environment.get_template(template).render(**context).encode()


def _printable(value: Any) -> Any:
    if isinstance(value, str) and not isinstance(value, Markup):
        return _GLUE.sub("\N{NO-BREAK SPACE}", _CONTROL.sub("\ufffd", value))
    return value


def _manifest(gathered: Page, files: list[str]) -> bytes:
    """Return what a program needs to check a page: what was asked, what came out, fingerprints."""
    evidence = gathered.evidence
    content = {
        "schema_version": SCHEMA,
        "suite": gathered.study.suite,
        "study": gathered.study.model_dump(mode="json"),
        "files": files,
        "tables": {
            table.id: {"number": table.number, "title": table.title, "data": table.fingerprint}
            for table in gathered.tables
        },
        "figures": {
            figure.id: {"number": figure.number, "title": figure.title, "table": figure.table}
            for figure in gathered.figures
        },
        "comparisons": {
            section.comparison.asked.id: {
                "findings": section.answer.findings,
                "scope": section.answer.scope,
                "screening": bool(section.answer.reasons),
                "reasons": section.answer.reasons,
                "data": section.comparison.data.name,
            }
            for section in gathered.sections
        },
        "trials": {
            id: {"outcome": trial.outcome, "seed": trial.seed, "reason": trial.reason}
            for id, trial in evidence.trials().items()
        },
        "failures": gathered.failures,
        "environment": dict(gathered.environment),
    }
    return (json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()


def _made_before(folder: Path) -> set[str]:
    """Return the names of the files that the page now in a folder was published with."""
    try:
        files = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["files"]
    except (OSError, ValueError, KeyError, TypeError):
        return set()  # no page yet, or not one of ours
    if not isinstance(files, list):
        return set()
    return {name for name in files if isinstance(name, str) and Path(name).name == name}


def _write(path: Path, content: bytes) -> None:
    partial = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(content)
        partial.replace(path)
    except BaseException as error:  # Ctrl-C too: nothing half written is left
        with contextlib.suppress(OSError):
            partial.unlink()
        if isinstance(error, OSError) and (full := records.no_room(error, path)):
            raise full from error
        raise
