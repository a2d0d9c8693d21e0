"""Trials that run out of memory: those beside others are tried again alone, and counted once."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from executor_jobs import WORK
from rich.console import Console
from small_records import study

from ablate import run as running
from ablate.display import display
from ablate.execute import Done, Event, Lost, Postponed
from ablate.suite.planned import Plan, TrialPlan

Step = tuple[str, Any]
KILLED = "its worker process was ended by SIGKILL (perhaps for lack of memory)"
Run = Callable[..., tuple[running.Outcome, list[str], list[tuple[str, Event]]]]


def trial(number: int, *steps: Step, seed: int = 0, seconds: float = 1) -> TrialPlan:
    job = {"steps": [list(step) for step in steps], "record": f"runs/trials/{number}"}
    label = f"kinds/{'abcdef'[number]}"
    return TrialPlan(f"{number}-{seed}", seed, "kinds", label, job, False, seconds)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Run trials; return the outcome, the lines for the user and the events, pages among them."""
    monkeypatch.setattr(running, "WORK", WORK)
    monkeypatch.setattr(running, "PAGE_AGE", 0)

    def run(
        trials: list[TrialPlan], executor: str, workers: int
    ) -> tuple[running.Outcome, list[str], list[tuple[str, Event]]]:
        plan = Plan(study(), trials, [], {}, [], [], None)
        file, events = io.StringIO(), []
        with display(plan, workers, Console(file=file, soft_wrap=True)) as shown:

            def show(item: Any, event: Event) -> None:
                events.append((item.label, event))
                shown.show(item, event)

            outcome = running.run(
                plan, tmp_path, executor, workers, show, lambda: events.append(("page", None))
            )
            assert shown.ended == len(trials)
            assert (shown.left, shown.running) == ({}, {})
        return outcome, file.getvalue().splitlines(), events

    return run


def together(folder: Path, *last: Step) -> list[list[Step]]:
    """Return the steps of two trials that meet before their last step."""
    folder.mkdir(exist_ok=True)
    a, b = str(folder / "a"), str(folder / "b")
    return [[("write", a), ("await", b), *last], [("write", b), ("await", a), ("sleep", 0.3)]]


def test_a_trial_that_is_killed_beside_others_is_tried_again_alone(
    run: Run, tmp_path: Path
) -> None:
    dies, stays = together(tmp_path, ("die beside others", None))
    trials = [trial(0, *dies), trial(1, *stays), trial(2), trial(2, seed=1)]
    outcome, lines, events = run(trials, "processes", 2)
    assert (outcome.ok, outcome.failed, outcome.unneeded, outcome.reasons) == (4, 0, 0, [])
    of_it = [type(event).__name__ for label, event in events if label == "kinds/a"]
    assert of_it == ["Started", "Postponed", "Started", "Done"]
    assert [label for label, _ in events[-2:]] == ["kinds/a"] * 2  # after all others
    assert f"  …     kinds/a seed 0  {KILLED}; it is tried again alone" in lines
    ends = [line for line in lines if line.startswith("[")]
    assert [line.split()[0] for line in ends] == ["[1/4]", "[2/4]", "[3/4]", "[4/4]"]
    assert all(" ok " in line for line in ends)
    assert "kinds/a" in ends[-1]


def test_a_trial_that_lacks_memory_alone_too_has_failed_and_the_rest_goes_on(
    run: Run, tmp_path: Path
) -> None:
    dies, stays = together(tmp_path, ("die", "SIGKILL"))
    lacks, others = together(tmp_path / "2", ("lack memory", "of the GPU"))
    trials = [
        trial(0, *dies),
        trial(1, *stays),
        trial(2, *lacks, seed=1),
        trial(3, *others, seed=1),
    ]
    outcome, lines, events = run(trials, "processes", 2)
    assert (outcome.ok, outcome.failed) == (2, 2)
    assert outcome.reasons == [
        f"kinds/a seed 0: {KILLED}",
        "kinds/c seed 1: out of memory: of the GPU",
    ]
    assert sum(isinstance(event, Postponed) for _, event in events) == 2
    assert [line.split()[1] for line in lines if line.startswith("[")] == ["ok"] * 2 + ["lost"] * 2


@pytest.mark.parametrize("executor", ["inline", "processes"])
def test_what_ran_alone_from_the_start_is_not_tried_again(run: Run, executor: str) -> None:
    trials = [trial(0, ("lack memory", "")), trial(1, ("die beside others", None)), trial(2)]
    outcome, _, events = run(trials, executor, 1)  # a single worker: all of it is alone
    assert (outcome.ok, outcome.failed) == (2, 1)
    assert outcome.reasons == ["kinds/a seed 0: out of memory"]
    assert not any(isinstance(event, Postponed) for _, event in events)


def test_other_losses_are_not_tried_again(run: Run, tmp_path: Path) -> None:
    raises, stays = together(tmp_path, ("raise", "no"))
    outcome, _, events = run([trial(0, *raises), trial(1, *stays)], "processes", 2)
    assert (outcome.ok, outcome.failed) == (1, 1)
    assert not any(isinstance(event, Postponed) for _, event in events)


def test_the_page_of_a_round_waits_for_what_is_tried_again(run: Run, tmp_path: Path) -> None:
    dies, stays = together(tmp_path, ("die beside others", None))
    trials = [trial(0, *dies), trial(1, *stays), trial(2, seed=1), trial(3, seed=1)]
    _, _, events = run(trials, "processes", 2)
    ended = [label for label, event in events if label == "page" or isinstance(event, Done | Lost)]
    assert ended.count("page") == 1  # of seed 1, which was complete before
    assert ended.index("page") > max(ended.index("kinds/c"), ended.index("kinds/d"))
    assert ended[-1] == "kinds/a"


@pytest.mark.parametrize(("workers", "order"), [(2, "bca"), (1, "abc")])
def test_side_by_side_the_longest_trial_of_a_seed_is_begun_first(
    run: Run, workers: int, order: str
) -> None:
    seconds = {0: 1, 1: 9, 2: 5}
    trials = [trial(k, seed=seed, seconds=seconds[k]) for seed in (0, 1) for k in seconds]
    _, _, events = run(trials, "inline", workers)  # which has one in truth, and so keeps order
    assert [label for label, event in events if isinstance(event, Done)] == [
        f"kinds/{name}" for name in order * 2
    ]
