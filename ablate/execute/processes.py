"""Several worker processes on this machine, each with one job at a time.

Workers are started afresh (no fork: torch's threads do not survive one) and stay for many jobs, so
that torch is imported once each; yet not for ever, so that memory which a library forgets to give
back is not kept for days. A worker that dies takes only its own job with it; another one is started
in its place. Workers leave Ctrl-C and the end of a terminal to the parent, and end by themselves
when it is gone.
"""

import contextlib
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Final

from ablate.execute import Done, Event, Job, Lost, OutOfMemory, Started, perform, resolve

LIFETIME: Final = 3600.0  # seconds after which a worker takes no more jobs
_PATIENCE: Final = 3.0  # seconds that a worker may take to end, or be dead unnoticed


@dataclass(eq=False)
class _Worker:
    process: SpawnProcess
    pipe: Connection
    place: int
    index: int = -1  # of the job it was given last
    begun: bool = False  # it has begun that job
    proven: bool = False  # it has begun some job
    since: float = field(default_factory=time.monotonic)


def run(
    jobs: Sequence[Job], work: str, workers: int, places: Sequence[Mapping[str, str]] = ()
) -> Iterator[Event]:
    """Run jobs side by side, in order of their start; whoever is free takes the next."""
    waiting = list(range(len(jobs)))[::-1]
    crew: list[_Worker] = []  # all that live
    busy: list[_Worker] = []
    try:
        while waiting or busy:
            while waiting and len(busy) < workers:
                idle = [worker for worker in crew if worker not in busy]
                try:
                    worker = idle[0] if idle else _start(work, crew, places or [{}])
                except OSError as error:  # too many processes, too little memory
                    if busy:
                        break  # with those that there are
                    yield Started(waiting[-1])
                    yield Lost(waiting.pop(), f"no worker process can be started: {error}")
                    continue
                worker.index, worker.begun = waiting.pop(), False
                busy.append(worker)
                with contextlib.suppress(OSError):  # it died while idle, as is found below
                    worker.pipe.send((worker.index, jobs[worker.index]))
            if not busy:  # nobody could be started for what was left
                break
            ready = wait([worker.pipe for worker in busy], _PATIENCE)
            # A dead worker's pipe says nothing where a child of its own holds it.
            for worker in [w for w in busy if w.pipe in ready or w.process.exitcode is not None]:
                event = _hear(worker.pipe)
                if event is None:
                    busy.remove(worker)
                    loss = _loss(worker, by_itself=_end(worker, crew))
                    if worker.proven and not worker.begun:  # it died of an earlier job
                        waiting.append(worker.index)
                        continue
                    if not worker.begun:
                        yield Started(worker.index)
                    yield loss
                    continue
                worker.begun = worker.proven = True
                if not isinstance(event, Done | Lost):
                    yield event
                    continue
                busy.remove(worker)
                yield event
                full = isinstance(event, Lost) and event.out_of_memory
                if not waiting or full or time.monotonic() - worker.since > LIFETIME:
                    _end(worker, crew)  # now, for what it holds may be needed
    finally:
        for worker in crew:  # not a request, which a worker may have inherited to ignore
            worker.process.kill()
        for worker in crew:
            worker.process.join()
            worker.pipe.close()


def _hear(pipe: Connection) -> Event | None:
    """Return what a worker has to say, None where it is nothing."""
    with contextlib.suppress(EOFError, OSError):
        if pipe.poll():  # a last word, perhaps, of one that died since
            event: Event = pipe.recv()
            return event
    return None


def _start(work: str, crew: list[_Worker], places: Sequence[Mapping[str, str]]) -> _Worker:
    taken = [worker.place for worker in crew]
    place = min(range(len(places)), key=taken.count)
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, work, dict(places[place])), daemon=True)
    # A terminal tells workers too. They inherit that this is blocked, and so are never without that
    # protection, as they would be if they had to say so themselves.
    resource_tracker.ensure_running()  # now, for it ends by unblocking
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGHUP})
    try:
        process.start()
        crew.append(_Worker(process, ours, place))
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    theirs.close()  # so that the end of the worker is the end of the pipe
    return crew[-1]


def _end(worker: _Worker, crew: list[_Worker]) -> bool:
    """Tell a worker to end, or make it, and return whether it did so by itself."""
    worker.pipe.close()
    worker.process.join(_PATIENCE)
    by_itself = worker.process.exitcode is not None
    if not by_itself:
        worker.process.kill()
        worker.process.join()
    crew.remove(worker)
    return by_itself


def _loss(worker: _Worker, by_itself: bool) -> Lost:
    """Return the end of the job that a worker had when it died."""
    code = worker.process.exitcode
    if not by_itself:
        return Lost(worker.index, "its worker process fell silent and did not end")
    if code is None or code >= 0:
        return Lost(worker.index, f"its worker process ended with exit code {code}")
    reason = f"its worker process was ended by {signal.Signals(-code).name}"
    if code == -signal.SIGKILL:  # as the system does where memory runs out
        reason += " (perhaps for lack of memory)"
        return Lost(worker.index, reason, OutOfMemory.__name__)
    return Lost(worker.index, reason)


def _serve(pipe: Connection, work: str, place: Mapping[str, str]) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    os.environ.update(place)  # before anything is imported that looks at it
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
