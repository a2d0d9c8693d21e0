"""What of several suites may not be held against each other, and why: times and trained results.

Times are those of a machine; what is trained hangs on the data, on how many seeds and steps a
profile gives, and on the precision. Facts of networks (parameters, MACs, receptive fields) hold
wherever they are computed, and are not concerned.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from ablate.evidence.collect import Evidence, RowEvidence
from ablate.evidence.spelling import counted, listed, number, one_line
from ablate.study import DataUsed


def machines(evidence: Evidence) -> tuple[str, ...]:
    """Return on what the trials and passes of a study were run, each device once; () for nothing.

    `cpu (AMD EPYC, 2 cores)`, `cuda (NVIDIA H200)`; sorted.
    """
    return tuple(sorted({_machine(evidence.study.device, it) for it in _environments(evidence)}))


def _environments(evidence: Evidence) -> Iterator[Mapping[str, Any]]:
    for comparison in evidence.comparisons:
        for trial in comparison.trials().values():
            if trial.record is not None:
                yield trial.record.environment
        for made in comparison.passes.values():
            yield from (record.environment for record in made)


def _machine(device: str, environment: Mapping[str, Any]) -> str:
    gpu, cpu, cores = (environment.get(key) for key in ("gpu", "cpu", "cores"))
    if gpu:
        parts = [str(gpu)]
    else:
        parts = [str(cpu)] if cpu else []
        parts += [counted(cores, "core")] if isinstance(cores, int) else []
    return one_line(f"{device} ({', '.join(parts)})" if parts else device)


def notes(found: Sequence[Evidence]) -> list[str]:
    """Return in sentences what must not be compared between suites, or within one; [] for nothing.

    Args:
        found: the newest study of each suite.
    """
    said = []
    for evidence in found:
        if len(names := machines(evidence)) > 1:
            said.append(
                f"The times of {evidence.study.suite} were measured on {listed(names)}: compare "
                "only what stands in one table of latency, which is of one machine."
            )
    timed = {it.study.suite: f"on {listed(machines(it))}" for it in found if machines(it)}
    said += _apart("Times (latency, training)", "devices", timed)
    trained = [it for it in found if any(_is_trained(c.rows) for c in it.comparisons)]
    for what, of in _SETTINGS.items():
        said += _apart("Trained results", what, {it.study.suite: of(it) for it in trained})
    return said


def _is_trained(rows: Iterable[RowEvidence]) -> bool:
    return any(row.trials for row in rows)


def _data(evidence: Evidence) -> str:
    used = [it.data for it in evidence.comparisons if _is_trained(it.rows)]
    return listed(list(dict.fromkeys(map(_with_size, used))))


def _with_size(data: DataUsed) -> str:
    size = data.sizes.get("train")
    return one_line(data.title) + (f" ({number(size)} training images)" if size else "")


# What differs → what a study has of it, in words.
_SETTINGS: dict[str, Callable[[Evidence], str]] = {
    "data": _data,
    "profiles": lambda it: f"profile {one_line(it.study.profile)}",
    "precisions": lambda it: f"in {it.study.precision}",
}


def _apart(what: str, differ: str, of: Mapping[str, str]) -> Iterator[str]:
    """Yield the sentence that says which suites differ in something; none where all are alike."""
    alike: dict[str, list[str]] = {}
    for suite, words in of.items():
        alike.setdefault(words, []).append(suite)
    if len(alike) > 1:
        each = "; ".join(f"{listed(suites)}: {words}" for words, suites in alike.items())
        yield f"{what} of {listed(list(of))} must not be compared: different {differ} ({each})."


def versions(evidence: Evidence) -> tuple[str, ...]:
    """Return the versions of Python and torch that a study was run with: `torch 2.6.0`, sorted."""
    found = set()
    for it in _environments(evidence):
        packages = it.get("packages")
        torch = packages.get("torch") if isinstance(packages, Mapping) else None
        told = {"Python": it.get("python"), "torch": torch}
        found |= {one_line(f"{name} {version}") for name, version in told.items() if version}
    return tuple(sorted(found))
