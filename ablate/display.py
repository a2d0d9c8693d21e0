"""What a user sees while trials run: bars on a terminal, a line per trial elsewhere.

All of it goes to standard error; standard output holds the results.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)

from ablate import execute, records
from ablate.execute import Done, Event, Lost, Postponed, Started
from ablate.suite.planned import PassPlan, Plan, TrialPlan

HEARTBEAT = 30  # seconds between signs of life where there are no bars


class Display:
    """Follows the events of a run and says what they mean for the time left."""

    def __init__(self, plan: Plan, workers: int, console: Console, progress: Progress | None):
        self.total, self.workers = len(plan.missing) + len(plan.missing_passes), workers
        self.console, self.progress = console, progress
        self.left = {trial.id: trial.seconds for trial in plan.missing}
        self.alone = {found.id: found.seconds for found in plan.missing_passes}
        self.running: dict[str, float] = {}  # since when
        self.speeds: dict[str, float] = {}  # images a second, of what runs
        self.ended = 0
        self.expected = self.spent = 0.0
        self.last_word = time.monotonic()
        self.bars: dict[str, TaskID] = {}
        self.suite = progress.add_task(plan.study.suite, total=self.total) if progress else None

    def show(self, trial: TrialPlan | PassPlan, event: Event) -> None:
        """Show one event. A terminal that has gone away is no reason to end the run."""
        with suppress(OSError):
            self._show(trial, event)

    def _show(self, trial: TrialPlan | PassPlan, event: Event) -> None:
        if isinstance(event, Started):
            self.running[trial.id] = time.monotonic()
            if self.progress:
                self.bars[trial.id] = self.progress.add_task(trial.name, total=None)
        elif isinstance(event, execute.Progress) and isinstance(trial, PassPlan):
            if self.progress:
                self.progress.update(
                    self.bars[trial.id], total=event.message["of"], completed=event.message["done"]
                )
        elif isinstance(event, execute.Progress) and "notice" in event.message:
            self._say(f"  …     {trial.name}  {event.message['notice']}")
        elif isinstance(event, execute.Progress):
            epoch = event.message["epoch"]
            self.left[trial.id] = trial.seconds * (1 - epoch["epoch"] / event.message["epochs"])
            self._epoch(trial, epoch, event.message["epochs"])
        elif isinstance(event, Postponed):
            self._postpone(trial, event)
        else:
            self._end(trial, event)

    def _epoch(self, trial: TrialPlan | PassPlan, epoch: dict[str, float], epochs: int) -> None:
        self.speeds[trial.id] = epoch["images"] / epoch["seconds"]
        speed = f"{self.speeds[trial.id]:,.0f} images/s"
        if self.progress:
            self.progress.update(
                self.bars[trial.id], total=epochs, completed=epoch["epoch"], note=speed
            )
            self._note()
        elif time.monotonic() - self.last_word > HEARTBEAT:
            self._say(
                f"  …     {trial.name}  epoch {epoch['epoch']}/{epochs}  {speed}  {self.eta()}"
            )

    def _postpone(self, trial: TrialPlan | PassPlan, event: Postponed) -> None:
        self.running.pop(trial.id)
        self.speeds.pop(trial.id, None)
        self.left[trial.id] = trial.seconds  # all of it, once more
        if self.progress:
            self.progress.remove_task(self.bars.pop(trial.id))
        self._say(f"  …     {trial.name}  {event.reason}; it is tried again alone")

    def _end(self, trial: TrialPlan | PassPlan, event: Done | Lost) -> None:
        self.ended += 1
        took = time.monotonic() - self.running.pop(trial.id)
        self.speeds.pop(trial.id, None)
        if self.alone.pop(trial.id, None) is None:
            self.left.pop(trial.id)
            self.expected, self.spent = self.expected + trial.seconds, self.spent + took
        status = event.status if isinstance(event, Done) else "lost"
        if self.progress:
            self.progress.remove_task(self.bars.pop(trial.id))
            assert self.suite is not None
            self.progress.advance(self.suite)
            self._note()
        width = len(str(self.total))
        result = _result(event, trial) if isinstance(event, Done) else event.reason
        parts = [trial.name, result, f"{took:.0f} s", self.eta()]
        self._say(
            f"[{self.ended:>{width}}/{self.total}] {status:<8} "
            + "  ".join(part for part in parts if part)
        )

    def eta(self) -> str:
        """Return the time left in words, corrected by how long trials took against expectation."""
        if not self.left and not self.alone:
            return ""
        pace = self.spent / self.expected if self.expected else 1.0
        trials = sum(self.left.values()) * pace / self.workers
        return f"ETA {duration(trials + sum(self.alone.values()))}"

    def _note(self) -> None:
        assert self.progress is not None
        assert self.suite is not None
        together = f"{sum(self.speeds.values()):,.0f} images/s" if self.speeds else ""
        self.progress.update(self.suite, note="  ".join(filter(None, [together, self.eta()])))

    def _say(self, line: str) -> None:
        self.last_word = time.monotonic()
        self.console.print(line, markup=False, highlight=False, soft_wrap=True)


@contextmanager
def display(plan: Plan, workers: int, console: Console) -> Iterator[Display]:
    """Show a run: two kinds of bars on a terminal, lines where the output is not one."""
    if not console.is_terminal:
        yield Display(plan, workers, console, None)
        return
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[note]}", markup=False),
    )
    progress = _Noted(*columns, console=console, transient=True)
    try:
        progress.start()
        yield Display(plan, workers, console, progress)
    finally:
        with suppress(OSError):  # the terminal has gone away, which must not hide why
            progress.stop()


class _Noted(Progress):
    """A progress display in which every task has a note, empty at first."""

    def add_task(self, description: str, *args: object, **fields: object) -> TaskID:
        return super().add_task(description, *args, **({"note": ""} | fields))  # type: ignore[arg-type]  # passed on as they came


def duration(seconds: float) -> str:
    """Return a time span in words: 45 s, 3 min, 2 h 10 min."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"


def _result(event: Done, planned: TrialPlan | PassPlan) -> str:
    runs, id = event.record.parent.parent, event.record.name
    record = records.read(runs, "pass" if isinstance(planned, PassPlan) else "trial", id)
    if record is None or record.status != "ok":
        return (record.reason or "") if record else ""
    shown = [m for m in record.metrics.values() if m.direction == "higher" and m.value is not None]
    return "  ".join(f"{m.title.lower()} {m.value:.2f} {m.unit}".strip() for m in shown)
