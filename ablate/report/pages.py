"""The files of the pages: HTML by the templates, exports, and what programs read."""

import json
import re
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

import ablate
from ablate.evidence.frame import frame
from ablate.report.claims_page import ClaimsPage
from ablate.report.index_page import Index
from ablate.report.suite_page import Page
from ablate.report.tables import Table, to_latex, to_markdown

SCHEMA = 1  # of manifest.json
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")  # not allowed in a page
# A number and its sign stay on one line, and so do the two ends of an interval.
_GLUE = re.compile(r"(?<=\d) (?=%)|(?<=\d,) (?=−?[\d.,]+\])")


def suite_files(gathered: Page) -> dict[str, bytes]:
    """Return the files of a suite's page by name."""
    files: dict[str, bytes] = {}
    for table in gathered.tables:
        files |= _exports(table)
    for figure in gathered.figures:
        files |= {f"{figure.id}.{kind}": content for kind, content in figure.files.items()}
    numbers = frame(gathered.evidence)
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


def index_files(gathered: Index) -> dict[str, bytes]:
    """Return the files of the page of all suites by name."""
    return _exports(gathered.table) | {
        "index.html": _html("index.html.j2", index=gathered, version=ablate.__version__)
    }


def claims_files(gathered: ClaimsPage) -> dict[str, bytes]:
    """Return the files of the page of all claims by name."""
    files = {"claims.html": _html("claims.html.j2", page=gathered, version=ablate.__version__)}
    for section in gathered.sections:
        files |= _exports(section.table)
    return files


def fragment(template: str, **context: object) -> str:
    """Return what a template makes of its context, for elsewhere than a page."""
    return _html(template, **context).decode()


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
            table.id: {
                "number": table.number,
                "title": table.title,
                "data": table.fingerprint,
                "screening": [*table.screening, *table.caveats],
            }
            for table in gathered.tables
        },
        "figures": {
            figure.id: {
                "number": figure.number,
                "title": figure.full_title,
                "data": figure.fingerprint,
                "screening": list(figure.screening),
                "caption": figure.caption,
                "table": figure.table,
                "files": sorted(figure.files),
            }
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
