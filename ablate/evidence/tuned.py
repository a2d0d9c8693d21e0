"""What is said of the tuning of a comparison, in the terminal and on the page alike."""

from dataclasses import dataclass

from ablate.evidence.collect import ComparisonEvidence, Evidence, RowEvidence
from ablate.evidence.spelling import counted, listed, lower_first, number, one_line, row_name
from ablate.evidence.tuning import at_edge, choose


@dataclass(frozen=True)
class Cost:
    """What tuning took."""

    trials: int  # that were run; rows may share some, which count once
    seconds: float  # of compute
    share: float  # of what the whole comparison took so far


def lines(evidence: Evidence) -> list[str]:
    """Return what is said of the tuning of a study, as lines for a terminal."""
    return [
        f"{comparison.asked.id}: {line}"
        for comparison in evidence.comparisons
        for line in [*chosen_in_words(comparison), *sentences(comparison)]
    ]


def waiting(comparison: ComparisonEvidence) -> list[RowEvidence]:
    """Return the rows whose settings are not chosen yet."""
    return [row for row in comparison.rows if row.asked.tuned and row.asked.tuned.chosen is None]


def settings(row: RowEvidence) -> str:
    """Return the settings that a row chose: `recipe.lr 0.05`; "" where it chose none."""
    tuned = row.asked.tuned
    if tuned is None or tuned.chosen is None or not row.tuning:
        return ""
    return in_words(row, tuned.chosen)


def in_words(row: RowEvidence, cell: int) -> str:
    """Return the settings of one of a row's cells."""
    return ", ".join(
        f"{one_line(path)} {one_line(str(value))}"
        for path, value in row.tuning[cell].settings.items()
    )


def chosen_in_words(comparison: ComparisonEvidence) -> list[str]:
    """Say in a sentence which settings the rows chose, [] where none did."""
    parts = [f"{_name(row)} {chosen}" for row in comparison.rows if (chosen := settings(row))]
    return [f"tuning chose {'; '.join(parts)}"] if parts else []


def sentences(comparison: ComparisonEvidence) -> list[str]:
    """Return how a comparison was tuned, what to mind of it and what it took; [] if it was not."""
    if comparison.asked.tuning is None:
        return []
    return [
        _effort(comparison),
        *warnings(comparison),
        *_lost(comparison),
        *_cost_in_words(comparison),
    ]


def warnings(comparison: ComparisonEvidence) -> list[str]:
    """Return what may be wrong with what was chosen, a sentence each."""
    found = []
    if rows := waiting(comparison):
        names = listed([_name(row) for row in rows])
        found.append(f"Not chosen yet for {names}: trials of tuning are missing.")
    drawn = comparison.asked.tuning is not None and comparison.asked.tuning.drawn
    for row in comparison.rows:
        tuned = row.asked.tuned
        if tuned is None or tuned.chosen is None or not row.tuning:
            continue
        cell = row.tuning[tuned.chosen]
        if row.tuning and cell.score is None and cell.outcome != "missing":
            found.append(f"No cell of {_name(row)} has a score, so the first was taken.")
            continue
        if edges := at_edge(row.tuning, tuned.chosen):
            chosen = listed([f"{path} {cell.settings[path]}" for path in edges])
            found.append(
                f"{chosen} of {_name(row)} lies at the edge of what was tried: the best may lie "
                f"beyond, so widen the {'range' if drawn else 'grid'}."
            )
        now = choose(row.tuning, comparison.measure.direction)
        if now is None:
            found.append(f"Trials of the tuning of {_name(row)} are not there any more.")
        elif now != tuned.chosen:
            found.append(
                f"The records now choose {in_words(row, now)} for {_name(row)}; run the suite "
                "again to train it so."
            )
    return found


def cost(comparison: ComparisonEvidence) -> Cost:
    """Return what the tuning of a comparison took."""
    tried = {
        id: row.tuning[at]
        for row in comparison.rows
        if row.asked.tuned is not None and row.tuning
        for at, ids in enumerate(row.asked.tuned.trials)
        for id in ids.values()
    }
    cells = {id(cell): cell for cell in tried.values()}
    trials = comparison.trials().values()
    seconds = sum(cell.seconds for cell in cells.values())
    whole = seconds + sum(trial.record.seconds for trial in trials if trial.record)
    count = sum(cell.trials for cell in cells.values())
    return Cost(count, seconds, seconds / whole if whole else 0.0)


def _name(row: RowEvidence) -> str:
    return row_name(row.asked, row.is_baseline)


def _effort(comparison: ComparisonEvidence) -> str:
    asked = comparison.asked.tuning
    assert asked is not None
    paths = listed([one_line(path) for path in asked.cells[0]])
    how = "drawn at random once for all" if asked.drawn else "a grid"
    seeds = counted(len(asked.seeds), "seed")
    score = asked.score.removeprefix("validation_")
    title = lower_first("loss" if score == "loss" else comparison.measure.title)
    found = (
        f"Tuned with equal effort: every row was given the same {len(asked.cells)} cells of "
        f"{paths} ({how}), each with {seeds} that no row is trained with, and chose by the {title} "
        "of the validation images at the last epoch; test images were not looked at."
    )
    if fixed := [_name(row) for row in comparison.rows if row.asked.tuned is None]:
        found += f" Nothing of {listed(fixed)} is trained, so there was nothing to tune."
    return found


def _lost(comparison: ComparisonEvidence) -> list[str]:
    lost = [
        f"{_name(row)} with {in_words(row, at)} ({cell.outcome}: {one_line(cell.reason or '')})"
        for row in comparison.rows
        for at, cell in enumerate(row.tuning)
        if cell.outcome in ("diverged", "failed")
    ]
    if not lost:
        return []
    return [f"Cells that diverged or failed count as the worst: {listed(lost)}."]


def _cost_in_words(comparison: ComparisonEvidence) -> list[str]:
    took = cost(comparison)
    if not took.trials:
        return []
    return [
        f"Tuning took {counted(took.trials, 'trial')} and {number(took.seconds / 60, 1)} minutes "
        f"of compute, {number(100 * took.share)} % of this comparison's."
    ]
