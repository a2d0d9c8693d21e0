"""One job after the other in this process: the simplest executor, and the one to debug with."""

from collections.abc import Iterator, Mapping, Sequence

from ablate.execute import Event, Job, perform, resolve


def run(
    jobs: Sequence[Job],
    work: str,
    workers: int = 1,
    places: Sequence[Mapping[str, str]] = (),
) -> Iterator[Event]:
    """Run jobs in order; `workers` and `places` have no effect here."""
    function = resolve(work)
    for index, job in enumerate(jobs):
        yield from perform(index, function, job)
