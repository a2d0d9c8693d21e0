"""Executors: they run jobs somewhere and hand back what happened. One executor a file.

Contract of an executor file:
    run(jobs, work, workers, places=()) -> Generator of Event
        jobs     a sequence of JSON objects, each the spec of one record
        work     "module:function"; called as `function(job)`, an iterator of JSON messages of which
                 the last is {"record": directory, "status": …}
        workers  how many jobs may run side by side
        places   environment variables for workers that have processes of their own, a mapping for
                 each place (a GPU); the workers are spread over the places evenly
    Events come as they happen. Jobs are begun in order; each begins with one `Started` and ends in
    exactly one `Done` or `Lost`. A job that is lost (it raised, its worker died, its record could
    not be written) never takes another one with it. Closing the generator stops what runs. Where a
    job is done, `perform` turns it into its events.

A job that says so by raising `OutOfMemory`, or whose worker the system killed, is lost with
`error` "OutOfMemory" (`Lost.out_of_memory`). Executors try nothing again; who follows the events
may, and tells with `Postponed`.
"""

import importlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Job = Mapping[str, Any]


class OutOfMemory(MemoryError):
    """A job needs more memory than it can have beside others; alone it may have enough."""


@dataclass(frozen=True)
class Started:
    """A job was begun."""

    index: int


@dataclass(frozen=True)
class Progress:
    """A message of a running job."""

    index: int
    message: dict[str, Any]


@dataclass(frozen=True)
class Done:
    """A job wrote its record."""

    index: int
    record: Path
    status: str


@dataclass(frozen=True)
class Lost:
    """A job ended without a record."""

    index: int
    reason: str
    error: str | None = None  # the name of the exception's type, where it was one

    @property
    def out_of_memory(self) -> bool:
        """Whether the job may have lacked no more than memory."""
        return self.error == OutOfMemory.__name__


@dataclass(frozen=True)
class Postponed:
    """A job was lost to others beside it, and will be begun once more. No executor says this."""

    index: int
    reason: str


Event = Started | Progress | Done | Lost | Postponed


def resolve(work: str) -> Callable[[Job], Iterator[dict[str, Any]]]:
    """Return the function that "module:function" names."""
    module, _, name = work.partition(":")
    function: Callable[[Job], Iterator[dict[str, Any]]] = getattr(
        importlib.import_module(module), name
    )
    return function


def perform(
    index: int, function: Callable[[Job], Iterator[dict[str, Any]]], job: Job
) -> Iterator[Event]:
    """Do one job here and now, yielding its events."""
    yield Started(index)
    try:
        for message in function(job):
            if "record" in message:
                yield Done(index, Path(message["record"]), message["status"])
                return
            yield Progress(index, message)
    except (Exception, SystemExit) as error:  # contract: a lost job takes no other one with it
        name = type(error).__name__
        if isinstance(error, MemoryError):
            yield Lost(index, f"out of memory: {error}".rstrip(": "), OutOfMemory.__name__)
        else:
            yield Lost(index, f"{name}: {error}", name)
    else:
        yield Lost(index, "it ended without a record")
