"""Run a plan: jobs to the executor, events to the display, the report between rounds of seeds.

The report is rendered when all trials of a seed are in, so the first results stand on a page long
before the last trial; not more often than every half minute, for a page takes seconds.
"""

import errno
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from ablate import catalog, records
from ablate.evidence.stop import FEWEST_SEEDS, settled
from ablate.execute import Done, Event, Lost
from ablate.records import Record
from ablate.suite.plan import Plan, TrialPlan

WORK = "ablate.train.trial:run"
PAGE_AGE = 30  # seconds that a page stands before the next round of seeds renews it


@dataclass
class Outcome:
    """How a run went."""

    ok: int = 0
    failed: int = 0
    diverged: int = 0
    kept: int = 0  # were there already
    unneeded: int = 0  # precision was reached before them
    reasons: list[str] = field(default_factory=list)  # of what did not end well, one line each


def run(
    plan: Plan,
    runs: Path,
    executor: str,
    workers: int,
    show: Callable[[TrialPlan, Event], None],
    render: Callable[[], object],
) -> Outcome:
    """Run what is missing of a plan.

    Args:
        plan: from `ablate.suite.plan.make`; its study was written down before.
        runs: the folder of all records.
        executor: a name in `execute/`.
        workers: how many trials may run side by side.
        show: is told every event.
        render: called when all trials of a seed are in, except after the last.

    Raises:
        NoRoom: the disk is full. No trial is begun that could not be kept.
    """
    outcome = Outcome(kept=len(plan.trials) - len(plan.missing), unneeded=len(plan.missing))
    execute = catalog.load("execute", executor).run
    open_seeds, rendered = _Countdown(plan.missing), time.monotonic()
    for batch in _batches(plan, runs):
        # Closed at once, whatever happens: nobody waits for a report beside workers that train on.
        with closing(execute([trial.job for trial in batch], WORK, workers)) as events:
            for event in events:
                trial = batch[event.index]
                _count(event, trial, outcome)
                show(trial, event)
                if isinstance(event, Lost) and event.error == records.NoRoom.__name__:
                    reason = event.reason.removeprefix(f"{event.error}: ")
                    raise records.NoRoom(errno.ENOSPC, reason)
                is_round = isinstance(event, Done | Lost) and open_seeds.ended(trial)
                if is_round and time.monotonic() - rendered >= PAGE_AGE:
                    render()
                    rendered = time.monotonic()
        outcome.unneeded -= len(batch)
    return outcome


def _batches(plan: Plan, runs: Path) -> Iterator[list[TrialPlan]]:
    """Yield what to run next: everything at once, or seed by seed until precision is reached."""
    missing = plan.missing
    if plan.study.stop is None:
        if missing:
            yield missing
        return
    first = set(plan.study.seeds[:FEWEST_SEEDS])
    rounds = [[t for t in missing if t.seed in first]]
    rounds += [[t for t in missing if t.seed == seed] for seed in plan.study.seeds[FEWEST_SEEDS:]]
    for number, batch in enumerate(rounds):
        # Seeds of later rounds may be there from before; only those up to this round may count.
        allowed = plan.study.seeds[: FEWEST_SEEDS + number - 1] if number else []
        if number and settled(plan.study, _records(plan, runs, allowed)):
            return
        if batch:
            yield batch


def _records(plan: Plan, runs: Path, seeds: Sequence[int]) -> dict[str, Record]:
    found = {}
    for trial in plan.trials:
        if trial.seed in seeds:
            record = records.read(runs, "trial", trial.id)
            if record is not None:
                found[trial.id] = record
    return found


def _count(event: Event, trial: TrialPlan, outcome: Outcome) -> None:
    if isinstance(event, Lost):
        outcome.failed += 1
        outcome.reasons.append(f"{trial.label} seed {trial.seed}: {event.reason}")
    elif isinstance(event, Done) and event.status == "ok":
        outcome.ok += 1
    elif isinstance(event, Done):
        if event.status == "diverged":
            outcome.diverged += 1
        else:
            outcome.failed += 1
        record = records.read(event.record.parent.parent, "trial", trial.id)
        reason = record.reason if record else "its record is gone"
        outcome.reasons.append(f"{trial.label} seed {trial.seed} {event.status}: {reason}")


class _Countdown:
    """Tells when the last trial of a seed has ended, if others are yet to come."""

    def __init__(self, trials: Sequence[TrialPlan]) -> None:
        self.left: dict[int, int] = {}
        for trial in trials:
            self.left[trial.seed] = self.left.get(trial.seed, 0) + 1

    def ended(self, trial: TrialPlan) -> bool:
        self.left[trial.seed] -= 1
        return self.left[trial.seed] == 0 and any(self.left.values())
