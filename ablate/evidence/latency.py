"""Latency of the rows of a comparison, from a pass that timed their full networks in turns.

Machines drift: a network that is timed a second later may meet another clock or another load. So
rows are compared within a round, where they were timed one right after the other: the ratio is
exp(mean over rounds of log(t / t_reference)), with a t interval over the rounds. Calls within a
round are not independent and were brought to one value before (Kalibera and Jones 2013, "Rigorous
benchmarking in reasonable time", ISMM).

The pass times a copy of its first network too. How far that ratio (A/A) is from 1 says how far the
machine is to be believed. All rounds are of one process, so the intervals do not hold how processes
differ among each other.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ablate.evidence import welch
from ablate.evidence.collect import ComparisonEvidence, RowEvidence

Floats = np.ndarray[Any, np.dtype[np.float64]]

METRIC = "latency"
UNSTEADY = 0.02  # A/A: a copy that is surely faster or slower by more than this says "do not trust"

_ARRAY = re.compile(r"seconds_([1-9][0-9]*)")


@dataclass(frozen=True)
class Ratio:
    """A ratio of times with its 95 % interval over rounds."""

    value: float
    low: float | None  # None below two rounds
    high: float | None


@dataclass(frozen=True)
class Timed:
    """What one row's network took per call."""

    seconds: float  # median over the rounds
    ratio: Ratio | None  # to its reference's; None for a reference


@dataclass(frozen=True)
class Batch:
    """The times for batches of one size."""

    size: int  # images
    rounds: int
    rows: Mapping[tuple[str, ...], Timed]  # by variant and match
    control: Ratio  # A/A: a copy of the first network to the network itself

    def of(self, row: RowEvidence) -> Timed | None:
        """Return what a row took, None where its network was not timed."""
        return self.rows.get(_key(row))

    @property
    def unsteady(self) -> bool:
        """Whether the copy of the first network was surely faster or slower than the network."""
        low, high = self.control.low, self.control.high
        if low is None or high is None:
            return False
        return low > 1 + UNSTEADY or high < 1 / (1 + UNSTEADY)


def batches(comparison: ComparisonEvidence) -> tuple[Batch, ...]:
    """Return the times of a comparison's rows by batch size, () where no pass has ended well."""
    record = comparison.passes.get(METRIC)
    if record is None:
        return ()
    configs = record.spec.get("networks", [])
    found = []
    for name, seconds in record.arrays.items():
        size = _ARRAY.fullmatch(name)
        if size and _usable(seconds, len(configs)):
            found.append(_batch(int(size[1]), seconds.astype(np.float64), comparison, configs))
    return tuple(sorted(found, key=lambda batch: batch.size))


def _usable(seconds: "np.ndarray[Any, Any]", networks: int) -> bool:
    """Return whether an array holds times of all networks and the control, every one above zero."""
    whole = seconds.ndim == 2 and seconds.shape[0] > 0 and seconds.shape[1] == networks + 1
    return whole and networks > 0 and bool(np.all(np.isfinite(seconds) & (seconds > 0)))


def _batch(size: int, seconds: Floats, comparison: ComparisonEvidence, configs: list[Any]) -> Batch:
    rows = {}
    for row in comparison.rows:
        ours = _column(row, configs)
        if ours is None:
            continue
        reference = comparison.reference_of(row)
        theirs = _column(reference, configs) if reference is not None else None
        rows[_key(row)] = Timed(
            seconds=float(np.median(seconds[:, ours])),
            ratio=None if theirs is None else _ratio(seconds[:, ours], seconds[:, theirs]),
        )
    return Batch(size, len(seconds), rows, _ratio(seconds[:, -1], seconds[:, 0]))


def _column(row: RowEvidence, configs: list[Any]) -> int | None:
    """Return which of the pass's networks is the row's full one."""
    network = row.asked.full_config.get("network")
    return configs.index(network) if network in configs else None


def _ratio(ours: Floats, theirs: Floats) -> Ratio:
    """Return the ratio of two networks' times, (rounds,) each."""
    from scipy.special import stdtrit

    logs = np.log(ours / theirs)
    centre, spread = welch.mean(logs.tolist()), welch.deviation(logs.tolist())
    if spread is None:
        return Ratio(float(np.exp(centre)), None, None)
    reach = float(stdtrit(len(logs) - 1, 0.5 + welch.LEVEL / 2)) * spread / len(logs) ** 0.5
    low, middle, high = np.exp([centre - reach, centre, centre + reach]).tolist()
    return Ratio(middle, low, high)


def _key(row: RowEvidence) -> tuple[str, ...]:
    return (row.asked.variant, *row.asked.match)
