"""Long reasons under the figures of a table, as notes of its caption."""

from collections.abc import Sequence
from dataclasses import replace
from string import ascii_lowercase

from ablate.evidence.spelling import one_line
from ablate.report.tables import Cell, Line, end

LONGEST = 40  # characters of a reason that a column has room for


def moved(lines: Sequence[Line]) -> tuple[tuple[Line, ...], tuple[str, ...]]:
    """Return lines in which each long reason of an invalid figure is a letter, and the notes.

    A reason that several figures have is told once.
    """
    letters: dict[str, str] = {}

    def short(cell: Cell) -> Cell:
        if cell.text != "invalid" or len(cell.below) != 1 or len(cell.below[0]) <= LONGEST:
            return cell
        letter = letters.setdefault(cell.below[0], _letter(len(letters)))
        return replace(cell, below=(f"note {letter}",))

    found = tuple(replace(line, cells=tuple(map(short, line.cells))) for line in lines)
    notes = (f"Note {letter}: {end(one_line(reason))}" for reason, letter in letters.items())
    return found, tuple(notes)


def _letter(index: int) -> str:
    before, at = divmod(index, len(ascii_lowercase))
    return (_letter(before - 1) if before else "") + ascii_lowercase[at]
