"""What a user sees of a run, on a terminal, elsewhere, and where the terminal has gone away."""

import io
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO

import pytest
from rich.console import Console
from small_records import record, study

from ablate import records
from ablate.display import display, duration
from ablate.execute import Done, Event, Lost, Postponed, Progress, Started
from ablate.suite.plan import Plan, TrialPlan


def trials(count: int, seconds: float = 10) -> list[TrialPlan]:
    return [
        TrialPlan(f"{seed}", seed, "kinds", f"kinds/a{seed}", {}, False, seconds)
        for seed in range(count)
    ]


def plan(planned: list[TrialPlan]) -> Plan:
    return Plan(study(), planned, [], {}, [], [], None)


def epoch(number: int, **more: Any) -> dict[str, Any]:
    return {"epoch": {"epoch": number, "images": 640, "seconds": 0.5, **more}, "epochs": 4}


def shown(events: list[tuple[int, Event]], console: Console, workers: int = 1) -> None:
    """Show events of trials, of which one more is planned than there are events of."""
    planned = trials(max(index for index, _ in events) + 2)
    with display(plan(planned), workers, console) as seen:
        for index, event in events:
            seen.show(planned[index], event)


def lines(events: list[tuple[int, Event]], workers: int = 1) -> list[str]:
    file = io.StringIO()
    shown(events, Console(file=file, soft_wrap=True), workers)
    return file.getvalue().splitlines()


def test_elsewhere_than_on_a_terminal_each_trial_is_a_line(tmp_path: Path) -> None:
    path = records.write(tmp_path, record())
    diverged = record(seed=1, status="diverged", reason="the training loss was nan in epoch 2")
    other = records.write(tmp_path, diverged.model_copy(update={"metrics": {}}))
    assert lines(
        [
            (0, Started(0)),
            (0, Progress(0, epoch(1))),
            (0, Done(0, path, "ok")),
            (1, Started(1)),
            (1, Done(1, other, "diverged")),
            (2, Started(2)),
            (2, Lost(2, "its worker process was ended by SIGKILL")),
        ]
    ) == [
        "[1/4] ok       kinds/a0 seed 0  accuracy 91.25 %  0 s  ETA 1 s",
        "[2/4] diverged kinds/a1 seed 1  the training loss was nan in epoch 2  0 s  ETA 1 s",
        "[3/4] lost     kinds/a2 seed 2  its worker process was ended by SIGKILL  0 s  ETA 1 s",
    ]


def test_the_time_left_counts_epochs_and_workers() -> None:
    planned = trials(3, seconds=400)
    for workers, expected in ((1, "ETA 18 min"), (2, "ETA 9 min")):
        with display(plan(planned), workers, Console(file=io.StringIO())) as seen:
            seen.show(planned[0], Started(0))
            seen.show(planned[0], Progress(0, epoch(1)))
            assert seen.eta() == expected  # 3/4 of one trial and two whole ones


def test_the_time_left_learns_from_the_trials_that_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 0.0, 30.0, 30.0])
    monkeypatch.setattr("ablate.display.time.monotonic", lambda: next(clock))
    planned = trials(3)
    with display(plan(planned), 1, Console(file=io.StringIO())) as seen:
        seen.show(planned[0], Started(0))
        seen.show(planned[0], Lost(0, "no"))
        assert seen.eta() == "ETA 60 s"  # each took three times the ten seconds


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "1 s"),
        (1.4, "1 s"),
        (89, "89 s"),
        (90, "2 min"),
        (3600, "60 min"),
        (7140, "119 min"),
        (7200, "2 h 0 min"),
        (90_000, "25 h 0 min"),
    ],
)
def test_durations_in_words(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_a_terminal_has_bars_and_keeps_the_lines(tmp_path: Path) -> None:
    path = records.write(tmp_path, record())
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, width=100, color_system=None)
    events = [(0, Started(0)), (0, Progress(0, epoch(3))), (0, Done(0, path, "ok"))]
    shown(events, console)
    text = file.getvalue()
    assert "demo" in text  # the suite's bar
    assert "[1/2] ok       kinds/a0 seed 0  accuracy 91.25 %  0 s  ETA 1 s" in text


def test_what_a_trial_has_to_say_is_a_line(tmp_path: Path) -> None:
    assert lines(
        [(0, Started(0)), (0, Progress(0, {"notice": "no checkpoint after epoch 1"}))]
    ) == ["  …     kinds/a0 seed 0  no checkpoint after epoch 1"]


def test_a_trial_that_is_tried_again_alone_counts_once(tmp_path: Path) -> None:
    path = records.write(tmp_path, record())
    assert lines(
        [
            (0, Started(0)),
            (0, Postponed(0, "out of memory")),
            (0, Started(0)),
            (0, Done(0, path, "ok")),
        ]
    ) == [
        "  …     kinds/a0 seed 0  out of memory; it is tried again alone",
        "[1/2] ok       kinds/a0 seed 0  accuracy 91.25 %  0 s  ETA 1 s",
    ]


def test_the_suites_bar_has_the_speed_of_all_that_runs() -> None:
    planned = trials(3, seconds=400)
    console = Console(file=io.StringIO(), force_terminal=True, width=100)
    with display(plan(planned), 2, console) as seen:
        assert seen.progress is not None
        for trial in planned[:2]:
            seen.show(trial, Started(trial.seed))
            seen.show(trial, Progress(trial.seed, epoch(2)))
        suite, one, other = seen.progress.tasks
        assert suite.fields["note"] == "2,560 images/s  ETA 7 min"
        assert one.fields["note"] == other.fields["note"] == "1,280 images/s"
        assert (one.completed, one.total) == (2, 4)
        seen.show(planned[0], Lost(0, "no"))
        assert suite.fields["note"].startswith("1,280 images/s  ETA")


@pytest.fixture
def terminal() -> Iterator[tuple[TextIO, int]]:
    """A terminal as a program sees it, and the end that whoever closes it closes."""
    ours, theirs = os.openpty()
    file = os.fdopen(theirs, "w")
    yield file, ours
    with suppress(OSError):  # what could not be written cannot be written now
        file.close()


@pytest.mark.parametrize("bars", [False, True])
def test_a_terminal_that_is_closed_does_not_end_the_run(
    terminal: tuple[TextIO, int], bars: bool, tmp_path: Path
) -> None:
    path = records.write(tmp_path, record())
    planned = trials(2)
    file, other_end = terminal
    console = Console(file=file, force_terminal=bars)
    with display(plan(planned), 1, console) as seen:
        seen.show(planned[0], Started(0))
        os.close(other_end)
        with pytest.raises(OSError, match="Input/output error"):
            console.print("gone")
        for event in (Progress(0, epoch(1)), Done(0, path, "ok")):
            seen.show(planned[0], event)
        assert seen.ended == 1


def test_a_terminal_that_is_closed_does_not_hide_why_the_run_ends(
    terminal: tuple[TextIO, int],
) -> None:
    planned = trials(2)
    file, other_end = terminal

    def interrupted() -> None:
        with display(plan(planned), 1, Console(file=file, force_terminal=True)) as seen:
            seen.show(planned[0], Started(0))
            os.close(other_end)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
