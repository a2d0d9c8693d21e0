"""Equal tuning: which cell each row chose, by the validation split alone, and what that took.

A row's cell is the one with the best score of the validation images at the last epoch (no epoch is
picked), a mean over the seeds of tuning; of equal scores the earlier cell counts. A cell with a
trial that diverged or failed is worse than all that have a score. Test images are never looked at:
the measurements of a record are of these, and are not read here.

Every row has the same cells and the same seeds. Equal effort is what a fair comparison takes: a
variant that is tuned against one that is not wins by the tuning (Lucic et al. 2018, arXiv
1711.10337).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ablate.records import Record
from ablate.study import ComparisonAsked, Row

# Metrics that epochs know by another name.
_IN_HISTORY = {"test_loss": "loss"}


def score_name(metric: str) -> str:
    """Return the name under which epochs have a metric of the validation split."""
    return f"validation_{_IN_HISTORY.get(metric, metric)}"


@dataclass(frozen=True)
class Cell:
    """What became of one cell of one row."""

    settings: Mapping[str, Any]  # dotted path → value
    outcome: Literal["ok", "failed", "diverged", "missing"]
    score: float | None  # mean over the seeds; None unless the outcome is "ok"
    reason: str | None  # why there is none
    trials: int  # that there are
    seconds: float  # that they took


def cell(settings: Mapping[str, Any], found: Sequence[Record | None], score: str) -> Cell:
    """Return what became of a cell.

    Args:
        settings: by dotted path.
        found: the record of each of its seeds, None where there is none.
        score: the name of what is judged, of the last epoch.
    """
    there = [record for record in found if record is not None]
    taken = (len(there), sum(record.seconds for record in there))
    if len(there) < len(found):
        return Cell(settings, "missing", None, "not run yet", *taken)
    for record in there:
        if record.status != "ok":
            return Cell(settings, record.status, None, record.reason or "no reason given", *taken)
    scores = [record.epochs[-1].scores.get(score) if record.epochs else None for record in there]
    known = [value for value in scores if value is not None and math.isfinite(value)]
    if len(known) < len(scores):
        reason = f"its last epoch has no {score.replace('_', ' ')}"
        return Cell(settings, "failed", None, reason, *taken)
    return Cell(settings, "ok", math.fsum(known) / len(known), None, *taken)


def cells(asked: ComparisonAsked, row: Row, found: Mapping[str, Record | None]) -> tuple[Cell, ...]:
    """Return the cells of a row in order, () for one that is not tuned.

    Args:
        asked: the row's comparison.
        row: one of its rows.
        found: by id, the records of the trials of its tuning.
    """
    if asked.tuning is None or row.tuned is None:
        return ()
    return tuple(
        cell(settings, [found.get(id) for id in trials.values()], asked.tuning.score)
        for settings, trials in zip(asked.tuning.cells, row.tuned.trials, strict=True)
    )


def choose(found: Sequence[Cell], direction: Literal["higher", "lower"]) -> int | None:
    """Return which cell is the best, None while trials are missing.

    | cells                            | chosen                        |
    |----------------------------------|-------------------------------|
    | one has a trial that is missing  | none yet                      |
    | some have a score                | the best; of equals the first |
    | all diverged or failed           | the first                     |
    """
    if not found or any(one.outcome == "missing" for one in found):
        return None
    sign = 1 if direction == "higher" else -1
    worst = -math.inf
    return max(
        range(len(found)),
        key=lambda at: (worst if (s := found[at].score) is None else sign * s, -at),
    )


def at_edge(found: Sequence[Cell], chosen: int) -> list[str]:
    """Return the settings whose chosen value is the lowest or highest number that was tried.

    Zero as the lowest is no edge: it switches something off, and less of it there is not.
    """
    edges = []
    for path, value in found[chosen].settings.items():
        tried = [one.settings[path] for one in found]
        if any(isinstance(it, bool) or not isinstance(it, int | float) for it in tried):
            continue
        low, high = min(tried), max(tried)
        if low < high and (value == high or (value == low != 0)):
            edges.append(path)
    return edges
