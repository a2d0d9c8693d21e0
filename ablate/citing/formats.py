"""A table or a figure as text to paste, with its caption, fingerprint and commit."""

import os
from pathlib import Path

from ablate.citing.published import Item
from ablate.evidence.spelling import one_line
from ablate.report.cite import bibtex
from ablate.report.tables import latex, markdown
from ablate.suite.source import Problem, SuiteError

OF_TABLES = ("md", "latex", "csv", "bibtex", "myst", "quarto")
OF_FIGURES = ("md", "latex", "svg", "bibtex", "myst", "quarto")
ALL = tuple(dict.fromkeys((*OF_TABLES, *OF_FIGURES)))


def text(item: Item, format: str, beside: Path) -> str:
    """Return what to paste, without an empty line at its end.

    Args:
        item: what to cite.
        format: one of `ALL`.
        beside: the folder of the file that it is for, from which the files of figures are named.

    Raises:
        SuiteError: there is no such form of it.
    """
    if refused := refusal(item, format):
        raise SuiteError("", "", [Problem("--format", refused)])
    if format == "bibtex":
        return bibtex(item.study, item)
    if item.is_table:
        return _table(item, format).rstrip("\n")
    if format == "svg":
        return item.export("svg").rstrip("\n")
    return _figure(item, format, Path(os.path.relpath(item.folder, beside)).as_posix())


def refusal(item: Item, format: str) -> str | None:
    """Return why something has no such form, None if it has."""
    if format in (OF_TABLES if item.is_table else OF_FIGURES):
        return None
    if format not in ALL:
        return f"unknown format {format!r}; known: {', '.join(ALL)}"
    if item.is_table:
        return f"{format} is for figures, and {item.id} is a table; it has {', '.join(OF_TABLES)}"
    return (
        f"{format} is for tables, and {item.id} is a figure; its values are those of "
        f"{item.values}, and it has {', '.join(OF_FIGURES)}"
    )


def _table(item: Item, format: str) -> str:
    if format in ("csv", "latex"):
        return item.export({"csv": "csv", "latex": "tex"}[format])
    written = item.export("md")
    if format == "md":
        return written
    rows, _, caption = written.rstrip("\n").rpartition("\n\n")
    if format == "myst":
        return f"```{{table}} {caption}\n:name: {item.id}\n\n{rows}\n```"
    return f"::: {{#{item.id}}}\n\n{rows}\n\n{caption}\n\n:::"


def _figure(item: Item, format: str, place: str) -> str:
    caption = markdown(item.caption)
    if format == "myst":
        return f"```{{figure}} {place}/{item.id}.svg\n:name: {item.id}\n\n{caption}\n```"
    if format == "quarto":
        return f"![{caption}]({place}/{item.id}.svg){{#{item.id}}}"
    if format == "md":
        return f"![{markdown(item.title)}]({place}/{item.id}.svg)\n\n{caption}"
    return "\n".join(
        [
            r"% needs \usepackage{graphicx}",
            r"\begin{figure}",
            r"\centering",
            rf"\includegraphics[width=\linewidth]{{{place}/{item.id}.pdf}}",
            rf"\caption[{latex(one_line(item.title))}]{{{latex(item.caption)}}}",
            rf"\label{{{item.id}}}",
            r"\end{figure}",
        ]
    )
