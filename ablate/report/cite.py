"""Ready text to link, include and cite a table or a figure in the reader's own notes."""

from dataclasses import dataclass

from ablate.evidence.spelling import one_line
from ablate.report.figures import Figure
from ablate.report.tables import Table, end, latex
from ablate.study import Study


@dataclass(frozen=True)
class Snippet:
    """Text to copy, and where it belongs."""

    name: str
    text: str


def of_table(study: Study, table: Table) -> tuple[Snippet, ...]:
    """Return what to write to show or cite a table."""
    place = f"reports/{study.suite}"
    return (
        Snippet("Link", f"{place}/index.html#{table.id}"),
        Snippet(
            "MyST",
            f"```{{csv-table}} {one_line(table.title)}\n:file: {place}/{table.id}.csv\n"
            f":header-rows: 1\n:name: {table.id}\n```",
        ),
        Snippet("Quarto", f"::: {{#{table.id}}}\n{{{{< include {place}/{table.id}.md >}}}}\n:::"),
        Snippet("LaTeX", f"\\input{{{place}/{table.id}.tex}}\nTable~\\ref{{{table.id}}}"),
        Snippet("pandas", f'import pandas\n\npandas.read_csv("{place}/{table.id}.csv")'),
        Snippet("BibTeX", bibtex(study, table)),
    )


def of_figure(study: Study, figure: Figure) -> tuple[Snippet, ...]:
    """Return what to write to show or link a figure."""
    place = f"reports/{study.suite}"
    words = one_line(figure.title).replace("]", "\\]")
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
    )


def bibtex(study: Study, table: Table) -> str:
    """Return the entry of one table: what it says, of which data, made by which code."""
    code = f"commit {study.commit[:12]}" if study.commit else "commit unknown"
    note = f"Table {table.id}, data {table.fingerprint}, study {study.id}, {code}"
    return "\n".join(
        [
            f"@misc{{ablate-{study.suite}-{table.fingerprint},",
            "  author = {{ablate}},",
            f"  title = {{{{{latex(one_line(study.title))}: {latex(one_line(table.title))}}}}},",
            f"  year = {{{latex(study.created[:4])}}},",
            f"  note = {{{latex(note)}}},",
            f"  howpublished = {{\\texttt{{reports/{study.suite}/index.html\\#{table.id}}}}},",
            "}",
        ]
    )


def in_words(study: Study, table: Table) -> str:
    """Return a sentence that cites a table in running text."""
    code = f", commit {one_line(study.commit)[:12]}" if study.commit else ""
    return (
        f"{end(study.title)} {table.number} ({table.id}), data {table.fingerprint}{code}, "
        f"{study.created[:10]}."
    )
