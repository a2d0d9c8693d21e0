"""One definition of a table; HTML (by the template), CSV, Markdown and LaTeX come from it.

People read the cells, programs the values: a line has both. The CSV holds raw numbers, one to a
column, with the unit in the column's name and nothing where there is nothing.
"""

import csv
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from markupsafe import Markup

from ablate.evidence.spelling import one_line
from ablate.report.fingerprint import NO_DATA, of_text

Value = str | float | int | bool | None

_MARKDOWN = str.maketrans(
    {c: f"\\{c}" for c in "\\`*_{}[]|$~@#"} | {"<": "&lt;", ">": "&gt;", "&": "&amp;"}
)
# Characters that LaTeX reads as commands, and those for which pdflatex has no letter.
_LATEX = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "[": "{[}",  # after a line's end it would be read as that command's option
    "]": "{]}",
    "\N{MINUS SIGN}": "$-$",
    "\N{PLUS-MINUS SIGN}": r"$\pm$",
    "\N{MULTIPLICATION SIGN}": r"$\times$",
    "\N{ALMOST EQUAL TO}": r"$\approx$",
    "\N{LESS-THAN OR EQUAL TO}": r"$\leq$",
    "\N{GREATER-THAN OR EQUAL TO}": r"$\geq$",
    "\N{GREEK CAPITAL LETTER DELTA}": r"$\Delta$",
    "\N{BLACK UP-POINTING TRIANGLE}": r"$\bigtriangleup$",
    "\N{BLACK DOWN-POINTING TRIANGLE}": r"$\bigtriangledown$",
    "\N{UPWARDS ARROW}": r"$\uparrow$",
    "\N{DOWNWARDS ARROW}": r"$\downarrow$",
    "\N{DAGGER}": r"\dag{}",
    "\N{MIDDLE DOT}": r"$\cdot$",
    "\N{HORIZONTAL ELLIPSIS}": r"\ldots{}",
    "\N{NO-BREAK SPACE}": "~",
    "\N{EM DASH}": "---",
    "\N{EN DASH}": "--",
    "\N{RIGHT SINGLE QUOTATION MARK}": "'",
}
_NARROW = 8  # A LaTeX table with more columns than this is scaled to the width of the text.


@dataclass(frozen=True)
class Cell:
    """What stands in one place of a table: a text, and smaller ones below it."""

    text: str
    below: tuple[str, ...] = ()
    tone: str = ""  # better, worse or quiet; the text must say it too
    link: str = ""  # a page beside this one
    picture: Markup | None = None  # of the same numbers, for the page alone

    @property
    def flat(self) -> str:
        """The cell on one line."""
        return one_line(self.text) + (
            f" ({'; '.join(map(one_line, self.below))})" if self.below else ""
        )


@dataclass(frozen=True)
class Column:
    """A column as people read it."""

    title: str
    below: str = ""  # unit and direction
    group: str = ""  # a heading over neighbouring columns
    numeric: bool = True
    whole: bool = False  # its cells stay on one line

    @property
    def flat(self) -> str:
        """The heading on one line."""
        title = f"{self.title}, {self.below}" if self.below else self.title
        return f"{title} ({self.group})" if self.group else title


@dataclass(frozen=True)
class Line:
    """A row: its cells in the order of the columns, its values by the names of the fields."""

    cells: tuple[Cell, ...]
    values: Mapping[str, Value]
    reference: bool = False  # the row that the others are compared with
    shown: bool = True  # False: its numbers are in the CSV, another line says the same of all


@dataclass(frozen=True)
class Table:
    """A table with a permanent id and a caption that says what its numbers are."""

    id: str
    title: str
    notes: tuple[str, ...]  # the sentences of the caption
    columns: tuple[Column, ...]
    fields: tuple[str, ...]  # of the CSV
    lines: tuple[Line, ...]
    screening: tuple[str, ...] = ()  # why the numbers may not be cited; () if they may
    caveats: tuple[str, ...] = ()  # why some of them may not, as the notes say already
    number: str = ""  # as printed: "Table s7.1"; given once the page's order is known
    code: str = ""  # by which it was made, "commit 3d688c5bd55e"; given with the number

    @cached_property
    def csv(self) -> str:
        """The canonical CSV: raw numbers, one to a column."""
        return to_csv(self.fields, [line.values for line in self.lines])

    @cached_property
    def fingerprint(self) -> str:
        """What stands for the numbers of the canonical CSV."""
        fields = [field for field in self.fields if field not in NO_DATA]
        return of_text(to_csv(fields, [line.values for line in self.lines]))

    @property
    def heading(self) -> str:
        """Number and title: what the caption begins with."""
        return f"{self.number}. {end(self.title)}"

    @property
    def full_title(self) -> str:
        """The title where the table stands by itself: the same as on the page."""
        return self.title

    @property
    def caption(self) -> str:
        """The caption as one text."""
        standing = ["Screening, not to be cited.", *self.screening] if self.screening else []
        return " ".join([self.heading, *standing, *self.notes, self.data_note])

    @property
    def data_note(self) -> str:
        """Id, fingerprint and commit, by which a table is cited and found again."""
        return data_note(self.id, self.fingerprint, self.code)

    @property
    def shown(self) -> tuple[Line, ...]:
        """The lines that people read."""
        return tuple(line for line in self.lines if line.shown)

    @property
    def groups(self) -> list[tuple[str, int]]:
        """The headings over columns and how many columns each spans, in order; "" for none."""
        found: list[tuple[str, int]] = []
        for column in self.columns:
            if found and column.group and found[-1][0] == column.group:
                found[-1] = (column.group, found[-1][1] + 1)
            else:
                found.append((column.group, 1))
        return found

    @property
    def grouped(self) -> bool:
        return any(column.group for column in self.columns)


def data_note(id: str, fingerprint: str, code: str) -> str:
    """Return the end of a caption: `tbl-s7-merge, data a4c24395, commit 3d688c5bd55e.`"""
    return f"{', '.join([id, f'data {fingerprint}', *([code] if code else [])])}."


def end(text: str) -> str:
    """Bring a title onto one line that ends a sentence."""
    text = one_line(text)
    return text if text.endswith((".", "!", "?", "…")) else f"{text}."


def to_csv(fields: Sequence[str], lines: Sequence[Mapping[str, Value]]) -> str:
    """Return lines as CSV: a header, LF, empty for None, numbers with ten digits.

    Ten digits are more than any measurement has, and few enough that another version of a library,
    which may round the last of sixteen otherwise, gives the same text.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(fields)
    for line in lines:
        writer.writerow([_raw(line[field]) for field in fields])
    return out.getvalue()


def to_markdown(table: Table) -> str:
    """Return a pipe table and its caption as the paragraph below, for Pandoc, Quarto and MyST."""
    from tabulate import tabulate

    text = tabulate(
        [[markdown(cell.flat) for cell in line.cells] for line in table.shown],
        headers=[markdown(column.flat) for column in table.columns],
        tablefmt="pipe",
        disable_numparse=True,  # cells are texts; 62.30 must not become 62.3
        colalign=[_side(column, "right", "left") for column in table.columns],
    )
    return f"{text}\n\n{markdown(table.caption)}\n"


def markdown(text: str) -> str:
    """Return text so that Markdown shows it as it is."""
    return one_line(text).translate(_MARKDOWN)


def from_markdown(text: str) -> str:
    """Return the text that `markdown` made this of."""
    plain = re.sub(r"\\([^A-Za-z0-9\s])", r"\1", text)
    return plain.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def to_latex(table: Table) -> str:
    """Return a booktabs table with caption and label. Compiles with pdflatex."""
    sides = "".join(_side(column, "r", "l") for column in table.columns)
    wide = len(table.columns) > _NARROW
    head = [rf"\textbf{{{latex(column.flat)}}}" for column in table.columns]
    body = [" & ".join(latex(cell.flat) for cell in line.cells) + r" \\" for line in table.shown]
    return "\n".join(
        [
            rf"% needs \usepackage{{booktabs}}{' and graphicx' if wide else ''}",
            r"\begin{table}",
            r"\centering",
            rf"\caption[{latex(one_line(table.title))}]{{{latex(table.caption)}}}",
            rf"\label{{{table.id}}}",
            *([r"\resizebox{\linewidth}{!}{%"] if wide else []),
            rf"\begin{{tabular}}{{{sides}}}",
            r"\toprule",
            " & ".join(head) + r" \\",
            r"\midrule",
            *body,
            r"\bottomrule",
            r"\end{tabular}" + ("}" if wide else ""),
            r"\end{table}",
            "",
        ]
    )


def latex(text: str) -> str:
    """Return text so that LaTeX prints it: a letter that pdflatex lacks by its code point."""
    return "".join(
        _LATEX.get(c) or (c if ord(c) < 0x180 else f"{{[}}U+{ord(c):04X}{{]}}")
        for c in one_line(text)
    )


def from_latex(text: str) -> str:
    """Return the text that `latex` made this of."""
    known = {written: c for c, written in _LATEX.items()}
    form = "|".join(map(re.escape, sorted(known, key=len, reverse=True)))
    plain = re.sub(form, lambda found: known[found[0]], text)
    return re.sub(r"\[U\+([0-9A-F]{4,6})\]", lambda found: chr(int(found[1], 16)), plain)


def _side(column: Column, right: str, left: str) -> str:
    return right if column.numeric else left


def _raw(value: Value) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return format(value, ".10g") if isinstance(value, float) else str(value)
