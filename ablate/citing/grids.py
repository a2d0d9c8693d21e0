"""Tables that stand in a text, Markdown's or LaTeX's, and what differs between two of them."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from ablate.evidence.spelling import one_line
from ablate.report.tables import from_latex, from_markdown

_BAR = re.compile(r"(?<!\\)(?:\\\\)*\|")
_RULE = re.compile(r"[\s|:-]+")
_FAR = 8  # lines between a table and its caption, at most


@dataclass(frozen=True)
class Grid:
    """A table as it was read: cells as plain text."""

    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    first: int  # its lines, counted from 0
    last: int


def nearest(lines: Sequence[str], at: int, like: Grid) -> Grid | None:
    """Return the table that a caption is of, or None: of those near it, which have most of its
    columns, the one with most of its rows, and of such the nearest.

    Args:
        lines: the text.
        at: the line of the caption.
        like: the table as it is today.
    """
    alike = [
        grid
        for grid in (*_pipes(lines), *_tabulars(lines))
        if 2 * len(set(grid.heads) & set(like.heads)) > len(grid.heads)
    ]

    def unlike(grid: Grid) -> tuple[int, int]:
        return -len(_names(grid) & _names(like)), _far(grid, at)

    return min((grid for grid in alike if _far(grid, at) <= _FAR), key=unlike, default=None)


def _far(grid: Grid, at: int) -> int:
    return max(at - grid.last, grid.first - at, 0)


def _names(grid: Grid) -> set[str]:
    return {row[0] for row in grid.rows if row}


def in_markdown(text: str) -> Grid:
    """Return the first pipe table of a text.

    Raises:
        ValueError: there is none.
    """
    found = next(_pipes(text.splitlines()), None)
    if found is None:
        raise ValueError("there is no pipe table")
    return found


def changes(old: Grid, new: Grid) -> list[str]:
    """Return what differs between two tables, a line for each cell, row or column."""
    said = [f"column {head}: not there any more" for head in old.heads if head not in new.heads]
    said += [f"column {head}: new" for head in new.heads if head not in old.heads]
    before, after = _by_name(old), _by_name(new)
    for name, cells in before.items():
        if name not in after:
            said.append(f"row {name}: not there any more")
            continue
        said += [
            f"{name}, {head}: {cell} → {after[name][head]}"
            for head, cell in cells.items()
            if head in after[name] and after[name][head] != cell
        ]
    return said + [f"row {name}: new" for name in after if name not in before]


def _by_name(grid: Grid) -> dict[str, dict[str, str]]:
    """Return the cells of each row by their columns. A row goes by as many cells as tell it."""
    wide = len(grid.heads)
    for count in range(1, wide + 1):
        names = [", ".join(row[:count]) for row in grid.rows]
        if len(set(names)) == len(names):
            break
    else:
        times = Counter[str]()
        names = []
        for row in grid.rows:
            times[row[0]] += 1
            names.append(f"{row[0]} ({times[row[0]]})")
    return {
        name: dict(zip(grid.heads, row, strict=False))
        for name, row in zip(names, grid.rows, strict=True)
    }


def _pipes(lines: Sequence[str]) -> Iterator[Grid]:
    at = 0
    while at < len(lines):
        end = at
        while end < len(lines) and lines[end].lstrip(" \t>").startswith("|"):
            end += 1
        if end - at > 1 and _RULE.fullmatch(lines[at + 1].strip(" \t>\r\n")):
            found = [_cells(line) for line in (lines[at], *lines[at + 2 : end])]
            yield Grid(found[0], tuple(found[1:]), at, end - 1)
        at = max(end, at + 1)


def _cells(line: str) -> tuple[str, ...]:
    """Return the cells of a line of a pipe table; a bar after a backslash is text."""
    inner = line.strip(" \t>\r\n")
    ends = [found.end() for found in _BAR.finditer(inner)]
    spans = pairwise(ends)
    return tuple(one_line(from_markdown(inner[start : end - 1])) for start, end in spans)


def _tabulars(lines: Sequence[str]) -> Iterator[Grid]:
    first = None
    for at, line in enumerate(lines):
        if r"\begin{tabular}" in line:
            first = at
        if r"\end{tabular}" in line and first is not None:
            inner = [line for line in lines[first + 1 : at] if line.rstrip().endswith(r"\\")]
            rows = [_latex_cells(line) for line in inner]
            if rows:
                heads = tuple(re.sub(r"^\\textbf\{(.*)\}$", r"\1", cell) for cell in rows[0])
                plain = [tuple(map(from_latex, cells)) for cells in (heads, *rows[1:])]
                yield Grid(plain[0], tuple(plain[1:]), first, at)
            first = None


def _latex_cells(line: str) -> tuple[str, ...]:
    cells = re.split(r"(?<!\\)&", line.strip().removesuffix(r"\\"))
    return tuple(cell.strip() for cell in cells)
