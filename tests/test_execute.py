"""Executors: the contract for each of them, and what may happen to worker processes."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Generator, Iterator
from multiprocessing import active_children
from pathlib import Path
from typing import Any

import pytest
from executor_jobs import WORK, wait_for

from ablate import catalog
from ablate.execute import Done, Event, Lost, Progress, Started

ROOT = Path(__file__).parent.parent
Run = Callable[..., Generator[Event, None, None]]
EXECUTORS = catalog.names("execute")


@pytest.fixture(params=EXECUTORS)
def run(request: pytest.FixtureRequest) -> Run:
    found: Run = catalog.load("execute", request.param).run
    return found


@pytest.fixture(scope="module")
def processes() -> Run:
    found: Run = catalog.load("execute", "processes").run
    return found


@pytest.fixture(autouse=True)
def _no_process_is_left() -> Iterator[None]:
    yield
    assert active_children() == []


@pytest.fixture
def ctrl_c_is_heard() -> Iterator[None]:
    """Ctrl-C as in a terminal: it is ignored where the tests are a shell's background job."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def job(*steps: tuple[str, Any], **more: Any) -> dict[str, Any]:
    return {"steps": [list(step) for step in steps], "record": "runs/trials/1", **more}


def of(index: int, events: list[Event]) -> list[Event]:
    return [event for event in events if event.index == index]


def ends(events: list[Event]) -> dict[int, Done | Lost]:
    """Return how each job ended, having checked that each begins and ends once."""
    for index in {event.index for event in events}:
        kinds = [type(event) for event in of(index, events)]
        middle = [Progress] * (len(kinds) - 2)
        assert kinds in ([Started, *middle, Done], [Started, *middle, Lost])
    return {event.index: event for event in events if isinstance(event, Done | Lost)}


def gone(process: int, seconds: float = 20) -> bool:
    """Return whether a process ends within so many seconds; one that nobody has buried has."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return True
        stat = Path(f"/proc/{process}/stat")
        if stat.exists() and stat.read_text().rpartition(")")[2].split()[0] == "Z":
            return True
        time.sleep(0.02)
    return False


# --- the contract ---------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [1, 3])
def test_every_job_begins_once_and_ends_once(run: Run, workers: int) -> None:
    jobs = [job(*[("say", word) for word in "abc"[:k]], record=f"runs/trials/{k}") for k in (2, 0)]
    jobs += [job(("raise", "no")), job(("say", "d"), record="runs/trials/3"), job(("end", None))]
    events = list(run(jobs, WORK, workers))
    assert ends(events) == {
        0: Done(0, Path("runs/trials/2"), "ok"),
        1: Done(1, Path("runs/trials/0"), "ok"),
        2: Lost(2, "RuntimeError: no", "RuntimeError"),
        3: Done(3, Path("runs/trials/3"), "ok"),
        4: Lost(4, "it ended without a record"),
    }
    said = {
        k: [e.message["said"] for e in of(k, events) if isinstance(e, Progress)] for k in (0, 3)
    }
    assert said == {0: ["a", "b"], 3: ["d"]}
    assert sorted(e.index for e in events if isinstance(e, Started)) == [0, 1, 2, 3, 4]


def test_one_worker_takes_the_jobs_in_order(run: Run) -> None:
    events = list(run([job(("say", k)) for k in range(4)], WORK, 1))
    assert [event.index for event in events] == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]
    assert len({e.message["process"] for e in events if isinstance(e, Progress)}) == 1


def test_without_jobs_there_are_no_events(run: Run) -> None:
    assert list(run([], WORK, 2)) == []


def test_a_job_that_asks_the_program_to_end_is_lost_alone(run: Run) -> None:
    events = list(run([job(("exit", 7)), job()], WORK, 1))
    assert ends(events)[0] == Lost(0, "SystemExit: 7", "SystemExit")
    assert isinstance(ends(events)[1], Done)


def test_a_lack_of_memory_is_told_from_other_errors(run: Run) -> None:
    jobs = [job(("lack memory", "CUDA")), job(("lack memory", "")), job(("raise", "memory"))]
    found = ends(list(run(jobs, WORK, 1)))
    assert found == {
        0: Lost(0, "out of memory: CUDA", "OutOfMemory"),
        1: Lost(1, "out of memory", "OutOfMemory"),
        2: Lost(2, "RuntimeError: memory", "RuntimeError"),
    }
    lost = [end for end in found.values() if isinstance(end, Lost)]
    assert [end.out_of_memory for end in lost] == [True, True, False]


def test_events_come_as_they_happen(run: Run, tmp_path: Path) -> None:
    events = run([job(("say", "a"), ("await", str(tmp_path / "go")))], WORK, 1)
    assert isinstance(next(events), Started)
    assert isinstance(next(events), Progress)
    (tmp_path / "go").touch()  # the job waits for it, having spoken
    assert [type(event) for event in events] == [Done]


def test_closing_stops_what_runs_and_begins_nothing_more(run: Run, tmp_path: Path) -> None:
    jobs = [
        job(("say", "a"), ("say", "b"), ("sleep", 60)),
        job(("write", str(tmp_path / "second"))),
    ]
    events = run(jobs, WORK, 1)
    assert isinstance(next(events), Started)
    said = next(events)
    assert isinstance(said, Progress)
    began = time.monotonic()
    events.close()
    assert time.monotonic() - began < 20
    assert said.message["process"] == os.getpid() or gone(said.message["process"], seconds=0.1)
    assert list(tmp_path.iterdir()) == []
    assert list(events) == []


def test_closing_lets_a_job_in_this_process_clean_up(tmp_path: Path) -> None:
    events = catalog.load("execute", "inline").run(
        [job(("say", "a"), closed=str(tmp_path / "closed"))], WORK, 1
    )
    assert isinstance(next(events), Started)
    assert isinstance(next(events), Progress)
    events.close()
    assert (tmp_path / "closed").exists()


@pytest.mark.usefixtures("ctrl_c_is_heard")
def test_ctrl_c_in_this_process_is_no_lost_job() -> None:
    with pytest.raises(KeyboardInterrupt):
        list(catalog.load("execute", "inline").run([job(("die", "SIGINT"), ("sleep", 5))], WORK, 1))


# --- worker processes -----------------------------------------------------------------------------


def test_jobs_run_side_by_side_and_no_more_than_allowed(processes: Run, tmp_path: Path) -> None:
    a, b = str(tmp_path / "a"), str(tmp_path / "b")
    meeting = [job(("write", a), ("await", b)), job(("write", b), ("await", a))]
    running = most = 0
    events = []
    for event in processes([*meeting, *[job(("say", "x"))] * 4], WORK, 2):
        running += isinstance(event, Started) - isinstance(event, Done | Lost)
        most = max(most, running)
        events.append(event)
    assert {type(end) for end in ends(events).values()} == {Done}
    assert most == 2
    assert [e.index for e in events if isinstance(e, Started)][:2] in ([0, 1], [1, 0])
    workers = {e.message["process"] for e in events if isinstance(e, Progress)}
    assert workers <= {int((tmp_path / name).read_text()) for name in "ab"}  # they stay
    assert os.getpid() not in workers


def test_no_more_workers_are_started_than_there_are_jobs(processes: Run) -> None:
    events = processes([job(("say", "a"))], WORK, 50)
    next(events)
    assert len(active_children()) == 1
    events.close()


def test_a_worker_that_is_killed_loses_its_own_job_alone(processes: Run) -> None:
    jobs = [job(("say", k)) for k in range(5)]
    jobs[1] = job(("say", 1), ("die", "SIGKILL"))
    events = list(processes(jobs, WORK, 1))
    found = ends(events)
    reason = "its worker process was ended by SIGKILL (perhaps for lack of memory)"
    assert found.pop(1) == Lost(1, reason, "OutOfMemory")
    assert {type(end) for end in found.values()} == {Done}
    workers = [e.message["process"] for e in events if isinstance(e, Progress)]
    assert len(set(workers[:2])) == len(set(workers[2:])) == 1
    assert workers[1] != workers[2]


def test_other_deaths_of_a_worker_are_named(processes: Run) -> None:
    found = ends(list(processes([job(("die", "SIGTERM")), job()], WORK, 1)))
    assert found[0] == Lost(0, "its worker process was ended by SIGTERM")
    assert isinstance(found[1], Done)


def test_side_by_side_a_death_harms_no_other_job(processes: Run, tmp_path: Path) -> None:
    a, b = str(tmp_path / "a"), str(tmp_path / "b")
    dies = job(("write", a), ("await", b), ("die", "SIGKILL"))
    waits = job(("write", b), ("await", a), ("sleep", 0.3))
    found = ends(list(processes([dies, waits, job(), job()], WORK, 2)))
    assert [type(found[index]) for index in range(4)] == [Lost, Done, Done, Done]


def test_a_worker_that_dies_between_two_jobs_loses_neither(processes: Run) -> None:
    jobs = [job(dies_after_its_end=True), job(("say", "a"))] * 3
    events = list(processes(jobs, WORK, 1))
    assert {type(end) for end in ends(events).values()} == {Done}


def test_workers_that_cannot_even_begin_lose_every_job(
    processes: Run, capfd: pytest.CaptureFixture[str]
) -> None:
    events = list(processes([job(), job()], "no_such_module:work", 2))
    assert set(ends(events).values()) == {
        Lost(index, "its worker process ended with exit code 1") for index in (0, 1)
    }
    assert "No module named 'no_such_module'" in capfd.readouterr().err


def test_closing_ends_every_worker_at_once(processes: Run, tmp_path: Path) -> None:
    files = [tmp_path / str(k) for k in range(3)]
    jobs = [job(("write", str(file)), ("say", "a"), ("sleep", 60)) for file in files]
    events = processes(jobs, WORK, 3)
    spoken = 0
    while spoken < 3:  # all three are at work
        spoken += isinstance(next(events), Progress)
    workers = [int(file.read_text()) for file in files]
    assert not any(gone(worker, seconds=0.05) for worker in workers)
    events.close()
    assert all(gone(worker, seconds=0.05) for worker in workers)


def test_an_error_of_who_follows_the_events_ends_every_worker(processes: Run) -> None:
    events = processes([job(("say", "a"), ("sleep", 60))], WORK, 1)
    assert isinstance(next(events), Started)
    with pytest.raises(KeyboardInterrupt):
        events.throw(KeyboardInterrupt())
    assert active_children() == []


def test_workers_leave_ctrl_c_to_the_parent_from_their_first_moment(processes: Run) -> None:
    over = threading.Event()
    hits = 0

    def press() -> None:
        nonlocal hits
        while not over.wait(0.005):
            for child in active_children():
                assert child.pid is not None
                with contextlib.suppress(ProcessLookupError):  # it has just ended
                    os.kill(child.pid, signal.SIGINT)
                    hits += 1

    thread = threading.Thread(target=press)
    thread.start()
    try:
        events = list(processes([job(("sleep", 0.2)), job()], WORK, 2))
    finally:
        over.set()
        thread.join()
    assert hits > 10
    assert {type(end) for end in ends(events).values()} == {Done}
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, [])  # of the parent


def test_a_worker_that_lacked_memory_takes_no_other_job(processes: Run) -> None:
    events = list(processes([job(("say", 0), ("lack memory", "")), job(("say", 1))], WORK, 1))
    assert len({e.message["process"] for e in events if isinstance(e, Progress)}) == 2


def test_workers_are_replaced_in_time(processes: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    module = sys.modules[processes.__module__]
    assert module.LIFETIME > 600  # seldom: it takes seconds
    monkeypatch.setattr(module, "LIFETIME", 0)
    events = list(processes([job(("say", k)) for k in range(3)], WORK, 1))
    assert {type(end) for end in ends(events).values()} == {Done}
    assert len({e.message["process"] for e in events if isinstance(e, Progress)}) == 3


def test_a_worker_for_which_there_is_no_more_work_ends(processes: Run, tmp_path: Path) -> None:
    events = processes([job(("say", "a")), job(("await", str(tmp_path / "go")))], WORK, 2)
    done = next(event for event in events if isinstance(event, Done))
    assert done.index == 0
    threading.Timer(1, (tmp_path / "go").touch).start()
    living = []
    for _ in events:
        living.append(len(active_children()))
    assert living[-1] == 1


def test_a_death_is_heard_of_though_a_child_holds_the_pipe(processes: Run) -> None:
    began = time.monotonic()
    steps = (("say", "a"), ("leave a child", 25), ("die", "SIGKILL"))
    found = ends(list(processes([job(*steps), job()], WORK, 1)))
    assert [type(found[index]) for index in (0, 1)] == [Lost, Done]
    assert time.monotonic() - began < 20


def test_workers_that_cannot_be_started_lose_the_jobs_that_nobody_else_does(
    processes: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = sys.modules[processes.__module__]
    start, allowed = module._start, [True]

    def limited(*arguments: Any) -> Any:
        if allowed.pop():
            allowed[:] = [False] * 9
            return start(*arguments)
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(module, "_start", limited)
    found = ends(list(processes([job(("sleep", 0.1)) for _ in range(3)], WORK, 3)))
    assert {type(end) for end in found.values()} == {Done}  # one does the work of three
    allowed[:] = [False] * 9
    reason = "no worker process can be started: [Errno 11] Resource temporarily unavailable"
    assert ends(list(processes([job(), job()], WORK, 2))) == {
        index: Lost(index, reason) for index in (0, 1)
    }


def test_workers_are_spread_over_places_and_their_successors_too(
    processes: Run, tmp_path: Path
) -> None:
    places = [{"ABLATE_TEST_GPU": "3"}, {"ABLATE_TEST_GPU": "GPU-5ab"}]
    a, b = str(tmp_path / "a"), str(tmp_path / "b")
    ask = ("variable", "ABLATE_TEST_GPU")
    jobs = [
        job(ask, ("write", a), ("await", b), ("die", "SIGKILL")),
        job(ask, ("write", b), ("await", str(tmp_path / "c"))),
        job(ask, ("write", str(tmp_path / "c"))),
    ]
    events = list(processes(jobs, WORK, 2, places))
    said = {e.index: e.message["said"] for e in events if isinstance(e, Progress)}
    assert {said[0], said[1]} == {"3", "GPU-5ab"}
    assert said[2] == said[0]  # whose worker died
    assert "ABLATE_TEST_GPU" not in os.environ


def test_more_workers_than_places_share_them(processes: Run, tmp_path: Path) -> None:
    places = [{"ABLATE_TEST_GPU": name} for name in "01"]
    names = [str(tmp_path / name) for name in "abcd"]
    waits = [("await", name) for name in names]
    jobs = [job(("variable", "ABLATE_TEST_GPU"), ("write", name), *waits) for name in names]
    events = list(processes(jobs, WORK, 4, places))
    said = sorted(e.message["said"] for e in events if isinstance(e, Progress))
    assert said == ["0", "0", "1", "1"]


PARENT = """
    import sys
    from ablate import catalog
    from executor_jobs import WORK

    steps = [[["say", "a"], ["write", name], ["sleep", 60]] for name in sys.argv[1:]]
    jobs = [{"steps": each, "record": "r"} for each in steps]
    for event in catalog.load("execute", "processes").run(jobs, WORK, len(jobs)):
        pass
"""


def parent(names: list[Path]) -> "subprocess.Popen[str]":
    """Start a program with a worker for each file, which then sleeps."""
    paths = os.pathsep.join([str(ROOT), str(Path(__file__).parent)])
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(PARENT), *map(str, names)],
        env=os.environ | {"PYTHONPATH": paths},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def test_workers_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    names = [tmp_path / "a", tmp_path / "b"]
    program = parent(names)
    workers = [int(wait_for(name)) for name in names]
    program.kill()
    assert program.wait(20) == -signal.SIGKILL
    assert all(gone(worker) for worker in workers)  # in the middle of their job
    program.communicate()


def test_ctrl_c_in_a_terminal_ends_parent_and_workers_with_one_voice(tmp_path: Path) -> None:
    names = [tmp_path / "a", tmp_path / "b"]
    program = parent(names)
    workers = [int(wait_for(name)) for name in names]
    os.killpg(program.pid, signal.SIGINT)
    _, said = program.communicate(timeout=20)
    assert program.returncode == -signal.SIGINT  # as Python ends on KeyboardInterrupt
    assert len(re.findall("^KeyboardInterrupt$", said, re.MULTILINE)) == 1
    assert said.count("Traceback") == 1
    assert all(gone(worker, seconds=0.05) for worker in workers)
