"""Several worker processes on this machine, each with one job at a time.

Workers are started afresh (no fork: torch's threads do not survive one) and stay for many jobs, so
that torch is imported once each. A worker that dies takes only its own job with it; another one is
started in its place. Workers leave Ctrl-C to the parent, and end by themselves when it is gone.
"""

import contextlib
import multiprocessing
import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any

from ablate.execute import Done, Event, Job, Lost, Started, event, resolve


@dataclass(eq=False)
class _Worker:
    process: SpawnProcess
    pipe: Connection
    index: int | None = None  # of the job it works on


def run(jobs: Sequence[Job], work: str, workers: int) -> Iterator[Event]:
    """Run jobs side by side, in order of their start."""
    waiting = list(enumerate(jobs))[::-1]
    crew = [_start(work) for _ in range(min(workers, len(jobs)))]
    try:
        while waiting or any(worker.index is not None for worker in crew):
            for position, worker in enumerate(crew):
                if worker.index is None and waiting:
                    index, job = waiting.pop()
                    if not _give(worker, job):  # it died while idle: nothing is lost with it
                        worker = crew[position] = _start(work)
                        worker.pipe.send(job)
                    worker.index = index
                    yield Started(index)
            busy = {worker.pipe: worker for worker in crew if worker.index is not None}
            for pipe in wait(list(busy)):
                worker = busy[pipe]  # type: ignore[index]  # wait() is typed for sockets too
                happened = _receive(worker)
                if isinstance(happened, Done | Lost):
                    worker.index = None
                    if not worker.process.is_alive():
                        crew[crew.index(worker)] = _start(work)
                yield happened
    finally:
        for worker in crew:
            worker.pipe.close()
            worker.process.terminate()
        for worker in crew:
            worker.process.join()


def _start(work: str) -> _Worker:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, work), daemon=True)
    process.start()
    theirs.close()  # so that the end of the worker is the end of the pipe
    return _Worker(process, ours)


def _give(worker: _Worker, job: Job) -> bool:
    try:
        worker.pipe.send(job)
    except OSError:
        return False
    return True


def _receive(worker: _Worker) -> Event:
    assert worker.index is not None
    try:
        message: dict[str, Any] = worker.pipe.recv()
    except (EOFError, OSError):
        worker.process.join()
        return Lost(worker.index, _cause_of_death(worker.process.exitcode))
    if "lost" in message:
        return Lost(worker.index, message["lost"])
    return event(worker.index, message)


def _cause_of_death(exitcode: int | None) -> str:
    if exitcode is not None and exitcode < 0:
        name = signal.Signals(-exitcode).name
        hint = " (perhaps for lack of memory)" if name == "SIGKILL" else ""
        return f"its worker process was ended by {name}{hint}"
    return f"its worker process ended with exit code {exitcode}"


def _serve(pipe: Connection, work: str) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    function = resolve(work)
    # The pipe closes when the parent is gone; a job in progress then ends at its next message.
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):
        while True:
            job = pipe.recv()
            try:
                for message in function(job):
                    pipe.send(message)
            except (BrokenPipeError, ConnectionResetError):
                raise
            except Exception as error:  # contract: a lost job takes no other one with it
                pipe.send({"lost": f"{type(error).__name__}: {error}"})
