"""Executors: they run jobs somewhere and hand back what happened. One executor a file.

Contract of an executor file:
    run(jobs, work, workers) -> Iterator[Event]
        jobs     a sequence of JSON objects, each the spec of one record
        work     "module:function"; called as `function(job)`, an iterator of JSON messages of which
                 the last is {"record": directory, "status": …}
        workers  how many jobs may run side by side
    Events come as they happen. Each job ends in exactly one `Done` or `Lost`; a job that is lost
    (its worker died, its record could not be written) never takes another one with it. Closing the
    iterator stops what runs.
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


Event = Started | Progress | Done | Lost


def resolve(work: str) -> Callable[[Job], Iterator[dict[str, Any]]]:
    """Return the function that "module:function" names."""
    module, _, name = work.partition(":")
    function: Callable[[Job], Iterator[dict[str, Any]]] = getattr(
        importlib.import_module(module), name
    )
    return function


def event(index: int, message: dict[str, Any]) -> Event:
    """Return the event that a job's message stands for."""
    if "record" in message:
        return Done(index, Path(message["record"]), message["status"])
    return Progress(index, message)
