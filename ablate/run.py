"""Run a plan: jobs to the executor, events to the display, the report between rounds of seeds.

Side by side, the longest trial of a comparison's seed is begun first, so that no worker is left
with it in the end. A trial that ran out of memory beside others is run again alone when these are
done. Readings of the weights follow, side by side too. What is timed comes last, when nothing runs
beside it.

The report is rendered when all trials of a comparison's seed are in, so the first results stand on
a page long before the last trial; no more than a twentieth of the time goes into pages.
"""

import errno
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from ablate import catalog, records
from ablate.evidence.stop import FEWEST_SEEDS, settled
from ablate.execute import Done, Event, Lost, Postponed, Started
from ablate.records import Record
from ablate.suite.planned import PassPlan, Plan, ReadingPlan, TrialPlan

WORK = "ablate.train.trial:run"
READING = "ablate.readings:run"
PASS = "ablate.passes:run"
PAGE_AGE = 20  # a page stands so many times as long as it took to make, before it is renewed


@dataclass
class Outcome:
    """How a run went."""

    ok: int = 0
    failed: int = 0
    diverged: int = 0
    read: int = 0  # readings that were taken
    kept: int = 0  # were there already
    unneeded: int = 0  # precision was reached before them
    reasons: list[str] = field(default_factory=list)  # of what did not end well, one line each
    tried: int = 0  # trials of tuning, before the others

    def add_tuning(self, tuning: "Outcome") -> None:
        """Add how the tuning before it went. A cell that diverges is a result, and no failure."""
        self.tried = tuning.ok + tuning.diverged
        self.failed += tuning.failed
        self.reasons = [*tuning.reasons, *self.reasons]


def run(
    plan: Plan,
    runs: Path,
    executor: str,
    workers: int,
    show: Callable[[TrialPlan | ReadingPlan | PassPlan, Event], None],
    render: Callable[[], object],
    places: Sequence[Mapping[str, str]] = (),
    memory: int | None = None,
) -> Outcome:
    """Run what is missing of a plan.

    Args:
        plan: from `ablate.suite.plan.make`; its study was written down before.
        runs: the folder of all records.
        executor: a name in `execute/`.
        workers: how many trials may run side by side.
        show: is told every event.
        render: called when all trials of a comparison's seed are in, except after the last.
        places: environment variables of workers, for each GPU, as executors are given them.
        memory: bytes that the images of all trials side by side may take; those of a trial that do
            not fit into its share are read in portions. None: any number.

    Raises:
        NoRoom: the disk is full. No trial is begun that could not be kept.
    """
    outcome = Outcome(kept=len(plan.trials) - len(plan.missing), unneeded=len(plan.missing))
    rounds, stands_until = _Countdown(plan.missing), 0.0
    for batch in _batches(plan, runs):
        # Closed at once, whatever happens: nobody waits for a report beside workers that train on.
        with closing(_train(batch, executor, workers, places, memory)) as events:
            for trial, event in events:
                _count(event, trial, outcome)
                show(trial, event)
                if isinstance(event, Lost):
                    _stop_if_full(event)
                is_round = isinstance(event, Done | Lost) and rounds.ended(trial)
                if is_round and time.monotonic() >= stands_until:
                    began = time.monotonic()
                    render()
                    stands_until = began + (1 + PAGE_AGE) * (time.monotonic() - began)
        outcome.unneeded -= len(batch)
    _read(plan, runs, executor, workers, show, outcome)
    _measure(plan, show, outcome)
    return outcome


def _train(
    batch: Sequence[TrialPlan],
    executor: str,
    workers: int,
    places: Sequence[Mapping[str, str]],
    memory: int | None,
) -> Generator[tuple[TrialPlan, Event], None, None]:
    """Run trials; those that lacked memory beside others once more, each alone in a new process."""
    if workers > 1:
        batch = _longest_first(batch)
    # Tells a trial that there is nothing to hope for in a second try.
    alone = {"alone": True, "memory": memory}
    share = {"memory": None if memory is None else memory // workers}
    jobs = [trial.job | (alone if workers == 1 else share) for trial in batch]
    postponed = []
    running: set[int] = set()
    crowded: set[int] = set()  # had others beside them at some time
    execute = catalog.load("execute", executor).run
    with closing(execute(jobs, WORK, workers, places)) as events:
        for event in events:
            if isinstance(event, Started):
                running.add(event.index)
                crowded |= running if len(running) > 1 else set()
            elif isinstance(event, Done | Lost):
                running.remove(event.index)
            if isinstance(event, Lost) and event.out_of_memory and event.index in crowded:
                postponed.append(batch[event.index])
                event = Postponed(event.index, event.reason)
            yield batch[event.index], event
    execute = catalog.load("execute", "processes").run
    for trial in postponed:
        with closing(execute([trial.job | alone], WORK, 1, places[:1])) as events:
            for event in events:
                yield trial, event


def _read(
    plan: Plan,
    runs: Path,
    executor: str,
    workers: int,
    show: Callable[[ReadingPlan, Event], None],
    outcome: Outcome,
) -> None:
    """Take the readings that are missing, of the trials that have weights."""
    wanted = [r for r in plan.missing_readings if records.weights(runs, r.trial) is not None]
    if not wanted:
        return
    execute = catalog.load("execute", executor).run
    with closing(execute([planned.job for planned in wanted], READING, workers)) as events:
        for event in events:
            planned = wanted[event.index]
            show(planned, event)
            _count_beside(event, planned, "reading", outcome)
            outcome.read += isinstance(event, Done) and event.status == "ok"


def _measure(plan: Plan, show: Callable[[PassPlan, Event], None], outcome: Outcome) -> None:
    """Run the passes that are missing: one at a time, and every repetition in a fresh process."""
    execute = catalog.load("execute", "processes").run
    for together in process_by_process(plan.missing_passes):
        with closing(execute([planned.job for planned in together], PASS, 1)) as events:
            for event in events:
                show(together[event.index], event)
                _count_beside(event, together[event.index], "pass", outcome)


def process_by_process(passes: Sequence[PassPlan]) -> Iterator[list[PassPlan]]:
    """Yield the passes that one process measures, in order."""
    waiting: list[PassPlan] = []
    for planned in passes:
        if waiting and (planned.process is None or planned.process != waiting[-1].process):
            yield waiting
            waiting = []
        waiting.append(planned)
    if waiting:
        yield waiting


def _count_beside(
    event: Event, planned: ReadingPlan | PassPlan, kind: records.Kind, outcome: Outcome
) -> None:
    """Count what is measured beside the trials, where it did not end well."""
    if isinstance(event, Lost):
        _stop_if_full(event)
        outcome.reasons.append(f"{planned.name}: {event.reason}")
        outcome.failed += 1
    elif isinstance(event, Done) and event.status != "ok":
        record = records.read(event.record.parent.parent, kind, planned.id)
        reason = record.reason if record else "its record is gone"
        outcome.reasons.append(f"{planned.name} {event.status}: {reason}")
        outcome.failed += 1


def _stop_if_full(event: Lost) -> None:
    """Raise `NoRoom` where that is what an event tells of."""
    if event.error == records.NoRoom.__name__:
        raise records.NoRoom(errno.ENOSPC, event.reason.removeprefix(f"{event.error}: "))


def _batches(plan: Plan, runs: Path) -> Iterator[list[TrialPlan]]:
    """Yield what to run next: everything at once, or seed by seed until precision is reached."""
    missing = plan.missing
    if plan.study.stop is None:
        if missing:
            yield missing
        return
    first = set(plan.study.seeds[:FEWEST_SEEDS])
    # Those of no row are a control's, whose number is fixed.
    rounds = [[t for t in missing if t.seed in first or t.seed not in plan.study.seeds]]
    rounds += [[t for t in missing if t.seed == seed] for seed in plan.study.seeds[FEWEST_SEEDS:]]
    for number, batch in enumerate(rounds):
        # Seeds of later rounds may be there from before; only those up to this round may count.
        allowed = plan.study.seeds[: FEWEST_SEEDS + number - 1] if number else []
        if number and settled(plan.study, _records(plan, runs, allowed)):
            return
        if batch:
            yield batch


def _longest_first(trials: Sequence[TrialPlan]) -> list[TrialPlan]:
    """Return trials in the order of their comparisons' seeds, the longest of each first."""
    rounds: dict[tuple[str, int], list[TrialPlan]] = {}
    for trial in trials:
        rounds.setdefault((trial.comparison, trial.seed), []).append(trial)
    return [t for together in rounds.values() for t in sorted(together, key=lambda t: -t.seconds)]


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
    """Tells when the last trial of a comparison's seed has ended, if others are yet to come."""

    def __init__(self, trials: Sequence[TrialPlan]) -> None:
        self.left = Counter((trial.comparison, trial.seed) for trial in trials)

    def ended(self, trial: TrialPlan) -> bool:
        self.left[trial.comparison, trial.seed] -= 1
        return self.left[trial.comparison, trial.seed] == 0 and any(self.left.values())
