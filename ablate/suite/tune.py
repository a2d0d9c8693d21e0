"""The cells of tuning: settings that are tried out for every row of a comparison alike.

A grid has every combination of its values. Random search (Bergstra and Bengio 2012, JMLR 13) draws
so many distinct cells once; all rows are given the same ones, so that none has better luck. Draws
follow from a number in the suite file and the setting's name alone: every run, on any machine, has
the same, and a setting that is added leaves the draws of the others as they were.
"""

import itertools
import math
import random
from collections.abc import Iterator, Mapping
from typing import Any

from ablate.suite import dotted

FIRST_SEED = 10_000  # tuning counts its seeds from here, where no counted seed of a row comes
DIGITS = 3  # significant ones of what is drawn: nobody can tell finer values apart
_TRIES = 1000  # draws for each cell before it is given up that there is another one

Cell = dict[str, Any]  # dotted path → value


def grid(values: Mapping[str, list[Any]]) -> list[Cell]:
    """Return every combination of some settings' values; the last setting changes fastest."""
    return [dict(zip(values, cell, strict=True)) for cell in itertools.product(*values.values())]


def drawn(ranges: Mapping[str, Any], count: int, seed: int) -> list[Cell]:
    """Return so many distinct random cells.

    Args:
        ranges: of each setting a list of values, all of them as likely, or what has `low`, `high`
            and `log`: a uniform draw between two numbers, or one of their logarithms.
        count: of cells.
        seed: of the draws.

    Raises:
        ValueError: there are not so many.
    """
    streams = {path: random.Random(f"{seed}:{path}") for path in ranges}
    found: list[Cell] = []
    for _ in range(count * _TRIES):
        cell = {path: _draw(streams[path], wanted) for path, wanted in ranges.items()}
        if cell not in found:
            found.append(cell)
        if len(found) == count:
            return found
    raise ValueError(
        f"there are only {len(found)} different cells to draw, not {count}; "
        f"ask for at most {len(found)} trials, or give more values"
    )


def _draw(stream: random.Random, wanted: Any) -> Any:
    share = stream.random()
    if isinstance(wanted, list):
        return wanted[int(share * len(wanted))]
    if wanted.log:
        low, high = math.log(wanted.low), math.log(wanted.high)
        value = math.exp(low + share * (high - low))
    else:
        value = wanted.low + share * (wanted.high - wanted.low)
    # Rounding must not leave the range.
    return min(max(float(f"{value:.{DIGITS}g}"), wanted.low), wanted.high)


def overlapping(paths: Iterator[str] | list[str]) -> tuple[str, str] | None:
    """Return two settings one of which is part of the other (or the same), None if there are no."""
    for one, other in itertools.combinations(paths, 2):
        if overlap(one, other):
            return one, other
    return None


def overlap(one: str, other: str) -> bool:
    """Whether one setting is part of another, or the same."""
    mine, theirs = dotted.parse(one), dotted.parse(other)
    return mine[: len(theirs)] == theirs[: len(mine)]


def shown(cell: Mapping[str, Any]) -> str:
    """Return a cell for people: `recipe.lr 0.05, recipe.l1 0`."""
    return ", ".join(f"{path} {value}" for path, value in cell.items())
