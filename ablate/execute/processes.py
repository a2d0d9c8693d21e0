"""Several worker processes on this machine, each with one job at a time.

Workers are started afresh (no fork: torch's threads do not survive one) and stay for many jobs, so
that torch is imported once each. A worker that dies takes only its own job with it; another one is
started in its place. Workers leave Ctrl-C to the parent, and end by themselves when it is gone.
"""

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess

from ablate.execute import Done, Event, Job, Lost, Started, perform, resolve


@dataclass(eq=False)
class _Worker:
    process: SpawnProcess
    pipe: Connection
    index: int = -1  # of the job it was given last
    begun: bool = False  # it has begun that job
    proven: bool = False  # it has begun some job


def run(jobs: Sequence[Job], work: str, workers: int) -> Iterator[Event]:
    """Run jobs side by side, in order of their start."""
    waiting = list(range(len(jobs)))[::-1]
    crew: list[_Worker] = []  # all that live
    idle: list[_Worker] = []
    busy: dict[object, _Worker] = {}  # by pipe
    try:
        while waiting or busy:
            while waiting and len(busy) < workers:
                worker = idle.pop() if idle else _start(work, crew)
                worker.index, worker.begun = waiting.pop(), False
                busy[worker.pipe] = worker
                with contextlib.suppress(OSError):  # it died while idle: its pipe says so below
                    worker.pipe.send((worker.index, jobs[worker.index]))
            for pipe in wait([worker.pipe for worker in busy.values()]):
                worker = busy[pipe]
                try:
                    event: Event = worker.pipe.recv()
                except (EOFError, OSError):
                    del busy[pipe]
                    worker.process.join()
                    worker.pipe.close()
                    crew.remove(worker)
                    if worker.proven and not worker.begun:  # it died of an earlier job
                        waiting.append(worker.index)
                        continue
                    if not worker.begun:
                        yield Started(worker.index)
                    yield Lost(worker.index, _cause_of_death(worker.process.exitcode))
                    continue
                worker.begun = worker.proven = True
                if isinstance(event, Done | Lost):
                    idle.append(busy.pop(pipe))
                yield event
    finally:
        for worker in crew:  # not a request, which a worker may have inherited to ignore
            worker.process.kill()
        for worker in crew:
            worker.process.join()
            worker.pipe.close()


def _start(work: str, crew: list[_Worker]) -> _Worker:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, work), daemon=True)
    # A terminal sends Ctrl-C to workers too. They inherit that it is blocked, and so are never
    # without that protection, as they would be if they had to say so themselves.
    resource_tracker.ensure_running()  # now, for it ends by unblocking
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        process.start()
        crew.append(_Worker(process, ours))
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    theirs.close()  # so that the end of the worker is the end of the pipe
    return crew[-1]


def _cause_of_death(exitcode: int | None) -> str:
    if exitcode is not None and exitcode < 0:
        name = signal.Signals(-exitcode).name
        hint = " (perhaps for lack of memory)" if name == "SIGKILL" else ""
        return f"its worker process was ended by {name}{hint}"
    return f"its worker process ended with exit code {exitcode}"


def _serve(pipe: Connection, work: str) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    function = resolve(work)
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):
        while True:
            index, job = pipe.recv()
            for event in perform(index, function, job):
                pipe.send(event)


def _end_with_parent() -> None:
    """End this process at once when its parent is gone, in whatever it is at."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)
