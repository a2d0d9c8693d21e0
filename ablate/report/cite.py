"""Ready text to link, include and cite a table or a figure in the reader's own notes."""

from dataclasses import dataclass
from typing import Protocol

from ablate.evidence.spelling import one_line
from ablate.report.tables import end, latex
from ablate.study import Study


class Citable(Protocol):
    """What text to cite needs to know of a table or a figure."""

    @property
    def id(self) -> str: ...
    @property
    def full_title(self) -> str: ...
    @property
    def number(self) -> str: ...
    @property
    def fingerprint(self) -> str: ...
    @property
    def caption(self) -> str: ...


@dataclass(frozen=True)
class Snippet:
    """Text to copy, and where it belongs."""

    name: str
    text: str


def of_table(study: Study, table: Citable) -> tuple[Snippet, ...]:
    """Return what to write to show or cite a table."""
    place = f"reports/{study.suite}"
    return (
        Snippet("Link", f"{place}/index.html#{table.id}"),
        Snippet(
            "MyST",
            f"```{{csv-table}} {one_line(table.full_title)}\n:file: {place}/{table.id}.csv\n"
            f":header-rows: 1\n:name: {table.id}\n```",
        ),
        Snippet("Quarto", f"::: {{#{table.id}}}\n{{{{< include {place}/{table.id}.md >}}}}\n:::"),
        Snippet("LaTeX", f"\\input{{{place}/{table.id}.tex}}\nTable~\\ref{{{table.id}}}"),
        Snippet("pandas", f'import pandas\n\npandas.read_csv("{place}/{table.id}.csv")'),
        Snippet("BibTeX", bibtex(study, table)),
    )


def of_figure(study: Study, figure: Citable) -> tuple[Snippet, ...]:
    """Return what to write to show or link a figure."""
    place = f"reports/{study.suite}"
    words = one_line(figure.full_title).replace("]", "\\]")
    return (
        Snippet("Link", f"{place}/index.html#{figure.id}"),
        Snippet("Quarto, Pandoc", f"![{words}]({place}/{figure.id}.svg){{#{figure.id}}}"),
        Snippet(
            "MyST",
            f"```{{figure}} {place}/{figure.id}.svg\n:name: {figure.id}\n{words}\n```",
        ),
        Snippet(
            "LaTeX",
            f"\\includegraphics[width=\\linewidth]{{{place}/{figure.id}.pdf}}",
        ),
        Snippet("BibTeX", bibtex(study, figure)),
    )


def bibtex(study: Study, thing: Citable) -> str:
    """Return the entry of a table or a figure: of which data it is, and made by which code.

    Its key has the fingerprint, and a figure's, which may share its table's, its id too.
    """
    is_table = thing.id.startswith("tbl-")
    key = f"ablate-{study.suite if is_table else thing.id}-{thing.fingerprint}"
    kind = "Table" if is_table else "Figure"
    note = f"{kind} {thing.id}, data {thing.fingerprint}, study {study.id}, "
    note += code(study) or "commit unknown"
    title = f"{latex(one_line(study.title))}: {latex(one_line(thing.full_title))}"
    return "\n".join(
        [
            f"@misc{{{key},",
            "  author = {{ablate}},",
            f"  title = {{{{{title}}}}},",
            f"  year = {{{latex(study.created[:4])}}},",
            f"  note = {{{latex(note)}}},",
            f"  howpublished = {{\\texttt{{reports/{study.suite}/index.html\\#{thing.id}}}}},",
            "}",
        ]
    )


def in_words(study: Study, table: Citable) -> str:
    """Return a sentence that cites a table in running text."""
    by = f", {code(study)}" if study.commit else ""
    return (
        f"{end(study.title)} {table.number} ({table.id}), data {table.fingerprint}{by}, "
        f"{study.created[:10]}."
    )


def code(study: Study) -> str:
    """Return by which code a study was run, `commit 3d688c5bd55e`; "" where that is unknown."""
    if not study.commit:
        return ""
    return f"commit {one_line(study.commit)[:12]}{', with changes' if study.dirty else ''}"
