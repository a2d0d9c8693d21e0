"""What a user sees while trials run: bars on a terminal, a line per trial elsewhere.

All of it goes to standard error; standard output holds the results.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Column

from ablate import execute, records
from ablate.execute import Done, Event, Lost, Postponed, Started
from ablate.suite.planned import PassPlan, Plan, ReadingPlan, TrialPlan

HEARTBEAT = 30.0  # seconds between signs of life where there are no bars
A_MOMENT = 3  # seconds of silence that nobody minds
MOST_NAMED = 2  # running trials that such a sign names

Planned = TrialPlan | ReadingPlan | PassPlan


class Display:
    """Follows the events of a run and says what they mean for the time left."""

    def __init__(self, plan: Plan, workers: int, console: Console, progress: Progress | None):
        beside = [*plan.missing_readings, *plan.missing_passes]
        self.total, self.workers = len(plan.missing) + len(beside), workers
        self.console, self.progress = console, progress
        self.left = {trial.id: trial.seconds for trial in plan.missing}
        self.readings = {reading.id: reading for reading in plan.missing_readings}
        self.alone = {found.id: found.seconds for found in plan.missing_passes}
        self.running: dict[str, float] = {}  # since when
        self.speeds: dict[str, float] = {}  # images a second, of what runs
        self.states: dict[str, str] = {}  # how far each is, in words
        self.talking = threading.Lock()  # the heart beats in a thread of its own
        self.ended = 0
        self.expected = self.spent = 0.0
        self.last_word = time.monotonic()
        self.bars: dict[str, TaskID] = {}
        self.suite = progress.add_task(plan.study.suite, total=self.total) if progress else None

    def show(self, trial: Planned, event: Event) -> None:
        """Show one event. A terminal that has gone away is no reason to end the run."""
        with suppress(OSError), self.talking:
            self._show(trial, event)

    def beat(self) -> None:
        """Give a sign of life, if nothing was said for long."""
        with suppress(OSError), self.talking:
            if not self.states or time.monotonic() - self.last_word < HEARTBEAT:
                return
            named = [f"{name}{state}" for name, state in self.states.items()][:MOST_NAMED]
            if more := len(self.states) - len(named):
                named.append(f"and {more} more")
            said = f"{self.ended} of {self.total} done, running: {', '.join(named)}"
            self._say("  …     " + "  ".join(filter(None, [said, self.eta()])))

    def _show(self, trial: Planned, event: Event) -> None:
        if isinstance(event, Started):
            self.running[trial.id] = time.monotonic()
            self.states[trial.name] = ""
            if self.progress:
                self.bars[trial.id] = self.progress.add_task(trial.name, total=None)
        elif isinstance(event, execute.Progress) and "notice" in event.message:
            self._say(f"  …     {trial.name}  {event.message['notice']}")
        elif isinstance(event, execute.Progress):
            if isinstance(trial, TrialPlan):
                self._epoch(trial, event.message["epoch"], event.message["epochs"])
                return
            done, of = event.message["done"], event.message["of"]
            self.states[trial.name] = f" {done} of {of}"
            if self.progress:
                self.progress.update(self.bars[trial.id], total=of, completed=done)
        elif isinstance(event, Postponed):
            self._postpone(trial, event)
        else:
            self._end(trial, event)

    def _epoch(self, trial: TrialPlan, epoch: dict[str, Any], epochs: int) -> None:
        self.left[trial.id] = trial.seconds * (1 - epoch["epoch"] / epochs)
        self.speeds[trial.id] = epoch["images"] / epoch["seconds"]
        speed = f"{self.speeds[trial.id]:,.0f} images/s"
        shown = "  ".join([*_scores(epoch.get("scores", {})), speed])
        self.states[trial.name] = f" epoch {epoch['epoch']}/{epochs}  {shown}"
        if self.progress:
            self.progress.update(
                self.bars[trial.id], total=epochs, completed=epoch["epoch"], note=shown
            )
            self._note()

    def _postpone(self, trial: Planned, event: Postponed) -> None:
        self.running.pop(trial.id)
        self.states.pop(trial.name, None)
        self.speeds.pop(trial.id, None)
        self.left[trial.id] = trial.seconds  # all of it, once more
        if self.progress:
            self.progress.remove_task(self.bars.pop(trial.id))
        self._say(f"  …     {trial.name}  {event.reason}; it is tried again alone")

    def _end(self, trial: Planned, event: Done | Lost) -> None:
        self.ended += 1
        took = time.monotonic() - self.running.pop(trial.id)
        self.states.pop(trial.name, None)
        self.speeds.pop(trial.id, None)
        if isinstance(trial, ReadingPlan):
            self.readings.pop(trial.id)
        elif isinstance(trial, PassPlan):
            self.alone.pop(trial.id)
        else:
            self.left.pop(trial.id)
            self.expected, self.spent = self.expected + trial.seconds, self.spent + took
        status = event.status if isinstance(event, Done) else "lost"
        if status != "ok" and isinstance(trial, TrialPlan):
            self._give_up_readings(trial.id)
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

    def _give_up_readings(self, trial: str) -> None:
        """Expect no more readings of a trial, which will have no weights."""
        given_up = [id for id, reading in self.readings.items() if reading.trial == trial]
        for id in given_up:
            del self.readings[id]
        self.total -= len(given_up)
        if self.progress and self.suite is not None:
            self.progress.update(self.suite, total=self.total)

    def eta(self) -> str:
        """Return the time left in words, corrected by how long trials took against expectation."""
        if not (self.left or self.readings or self.alone):
            return ""
        pace = self.spent / self.expected if self.expected else 1.0
        beside = sum(self.left.values()) * pace
        beside += sum(reading.seconds for reading in self.readings.values())
        return f"ETA {duration(beside / self.workers + sum(self.alone.values()))}"

    def _note(self) -> None:
        assert self.progress is not None
        assert self.suite is not None
        together = f"{sum(self.speeds.values()):,.0f} images/s" if self.speeds else ""
        note = "  ".join(filter(None, [together, self.eta()]))
        self.progress.update(self.suite, note=note, refresh=True)

    def _say(self, line: str) -> None:
        self.last_word = time.monotonic()
        self.console.print(line, markup=False, highlight=False, soft_wrap=True)


@contextmanager
def display(plan: Plan, workers: int, console: Console) -> Iterator[Display]:
    """Show a run: two kinds of bars on a terminal, lines where the output is not one."""
    if not console.is_terminal:
        with _heart(Display(plan, workers, console, None)) as shown:
            yield shown
        return
    columns = (
        TextColumn("{task.description}", markup=False, table_column=_cut(24)),
        BarColumn(bar_width=12, table_column=_cut(6)),
        MofNCompleteColumn(table_column=Column(no_wrap=True, min_width=5)),
        TimeElapsedColumn(table_column=Column(no_wrap=True, min_width=7)),
        TextColumn("{task.fields[note]}", markup=False, table_column=_cut(16)),
    )
    progress = _Noted(*columns, console=console, transient=True)
    try:
        progress.start()
        yield Display(plan, workers, console, progress)
    finally:
        with suppress(OSError):  # the terminal has gone away, which must not hide why
            progress.stop()


@contextmanager
def counting(what: str, console: Console) -> Iterator[Callable[[int, int], None]]:
    """Yield what is to be told how many of how many are done, and show it with the time left.

    On a terminal as a bar, elsewhere as a line now and then; for what takes a moment as nothing.
    """
    began = last_word = time.monotonic()
    columns = (
        TextColumn(what, markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[note]}", markup=False),
    )
    bar = _Noted(*columns, console=console, transient=True)
    task = bar.add_task(what)

    def show(done: int, total: int) -> None:
        nonlocal last_word
        now = time.monotonic()
        if now - began < A_MOMENT or done == total:
            return
        left = f"ETA {duration((now - began) / done * (total - done))}"
        with suppress(OSError):  # the terminal has gone away
            if console.is_terminal:
                bar.start()
                bar.update(task, total=total, completed=done, note=left)
            elif last_word == began or now - last_word > HEARTBEAT:
                line = f"  …     {what}: {done} of {total} taken  {left}"
                console.print(line, markup=False, highlight=False, soft_wrap=True)
                last_word = now

    try:
        yield show
    finally:
        with suppress(OSError):
            bar.stop()


@contextmanager
def _heart(shown: Display) -> Iterator[Display]:
    """Let a display give signs of life in between events, which may be many minutes apart."""
    stopped = threading.Event()

    def beat() -> None:
        while not stopped.wait(HEARTBEAT / 2):
            shown.beat()

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield shown
    finally:
        stopped.set()
        thread.join()


def _cut(width: int) -> Column:
    """Return a column that a narrow terminal cuts short, down to a width."""
    return Column(no_wrap=True, overflow="ellipsis", min_width=width)


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


def _scores(scores: Mapping[str, float]) -> Iterator[str]:
    """Yield the loss and what else says how good a network is after an epoch."""
    if "train_loss" in scores:
        yield f"loss {scores['train_loss']:.3f}"
    known = [name for name in scores if not name.endswith("_loss")]
    for name in sorted(known, key=lambda name: not name.startswith("validation_"))[:1]:
        yield f"{name.replace('_', ' ')} {scores[name]:.2f}"


def _result(event: Done, planned: Planned) -> str:
    runs, id = event.record.parent.parent, event.record.name
    kinds: dict[type, records.Kind] = {TrialPlan: "trial", ReadingPlan: "reading", PassPlan: "pass"}
    record = records.read(runs, kinds[type(planned)], id)
    if record is None or record.status != "ok":
        return (record.reason or "") if record else ""
    shown = [m for m in record.metrics.values() if m.direction == "higher" and m.value is not None]
    return "  ".join(f"{m.title.lower()} {m.value:.2f} {m.unit}".strip() for m in shown)
