"""Executors: they run jobs somewhere and hand back what happened. One executor a file.

Contract of an executor file:
    run(jobs, work, workers) -> Generator of Event
        jobs     a sequence of JSON objects, each the spec of one record
        work     "module:function"; called as `function(job)`, an iterator of JSON messages of which
                 the last is {"record": directory, "status": …}
        workers  how many jobs may run side by side
    Events come as they happen. Jobs are begun in order; each begins with one `Started` and ends in
    exactly one `Done` or `Lost`. A job that is lost (it raised, its worker died, its record could
    not be written) never takes another one with it. Closing the generator stops what runs. Where a
    job is done, `perform` turns it into its events.
"""

import importlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Job = Mapping[str, Any]


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


Event = Started | Progress | Done | Lost


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
        yield Lost(index, f"{name}: {error}", name)
    else:
        yield Lost(index, "it ended without a record")
