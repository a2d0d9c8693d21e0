"""Latency of the rows of a comparison, from passes that timed their full networks in turns.

Machines drift: a network that is timed a second later may meet another clock or another load. So
rows are compared within a round, where they were timed one right after the other. A process gives
one number, the mean of log(t / t_reference) over its rounds, without the lowest and the highest
quarter of them: a round in which something else ran would move a plain mean by whole per cents. The
ratio is exp of the mean over processes, with a t interval over *processes*: what differs between
them (where memory lies, which kernels were chosen) does so once a process, however many rounds it
has (Kalibera and Jones 2013, "Rigorous benchmarking in reasonable time", ISMM). Of a single process
the interval is over its rounds, and is called that.

The passes time a copy of their first network too, the A/A control. Its *floor* is how far from 1
its ratio came out, by the same rule as any row's: where that is above the smallest difference that
matters, the machine was too noisy, and nothing is said of any row. The floor never moves that
margin. (The far end of the control's interval would be stricter, but count twice what the intervals
of the rows hold already: with 3 processes it lies 2.5 deviations out, and of the passes of a quiet
machine on which processes differ by 0.5 % a half would be thrown away.)

Simulated on a machine with noise of 1 % a call, one call in a hundred hanging, and another 0.5 %
from process to process, 3 processes of 10 rounds, and a margin of 2 %: identical networks are never
called different, a difference of 5 % is found in 85 % of passes, with 5 processes in all of them
(tests/test_latency.py).
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from ablate.evidence import welch
from ablate.evidence.collect import ComparisonEvidence, RowEvidence
from ablate.evidence.effects import UNKNOWN, Effect, effect_of
from ablate.records import Record

Floats = np.ndarray[Any, np.dtype[np.float64]]

METRIC: Final = "latency"
MARGIN: Final = 0.02  # the smallest difference that matters, unless a suite says another
CITABLE: Final = 5  # processes
FREE: Final = 0.95  # share of its blocks' time for which a process of a quiet machine computes

_TRIM = 0.25  # of the rounds of a process, at either end
_SLOW = 0.75  # of a GPU's default clock: a round below it is left out
_WAITS = 0.9  # of a call's time on a GPU for which the host issues it: the GPU waits for the host
_P90, _P99 = 1_000, 10_000  # calls from which these percentiles are told


@dataclass(frozen=True)
class Ratio:
    """A ratio of times with its 95 % interval over processes, of a single one over its rounds."""

    value: float
    low: float | None  # None for a single round
    high: float | None


@dataclass(frozen=True)
class Timed:
    """What one row's network took per call."""

    seconds: float  # median over processes of the medians over rounds
    ratio: Ratio | None  # to its reference's; None for a reference
    effect: Effect | None  # of the ratio against the margin; None for a reference
    calls: int  # that were timed
    p90: float | None  # seconds; None where there are too few calls to say
    p99: float | None
    slowest: float  # call, seconds
    far: float  # share of the calls that took more than twice the median
    waits: bool  # most of the time of a GPU's call, the host was issuing it: launch-bound


@dataclass(frozen=True)
class Measured:
    """The times at one setting."""

    setting: Mapping[str, Any]  # phase, batch, precision, memory_format, mode, threads, device
    processes: int
    rounds: int  # of all processes together, those that were left out not counted
    dropped: int  # rounds in which a GPU's clock was low
    rows: Mapping[tuple[str, ...], Timed]  # by variant and match
    control: Ratio  # A/A: a copy of the first network to the network itself
    floor: float  # how far from 1 the control came out, as a ratio - 1
    margin: float  # the ratio - 1 that matters
    settled: bool  # in every process the warm-up reached its end
    on_cpu: float | None  # least share of any network's blocks that was computing; None on a GPU

    def of(self, row: RowEvidence) -> Timed | None:
        """Return what a row took, None where its network was not timed."""
        return self.rows.get(_key(row))

    @property
    def batch(self) -> int:
        """Images a call."""
        return int(self.setting["batch"])

    @property
    def unsteady(self) -> bool:
        """Whether the control came out above the margin, so that nothing can be said."""
        return self.floor > self.margin


def measured(comparison: ComparisonEvidence) -> tuple[Measured, ...]:
    """Return the times of a comparison's rows by setting, () where no pass has ended well."""
    passes = _alike(comparison.passes.get(METRIC, ()))
    if not passes:
        return ()
    configs = passes[0].spec["networks"]
    columns = {}
    for row in comparison.rows:
        ours = _column(row, configs)
        if ours is not None:
            reference = comparison.reference_of(row)
            theirs = None if reference is None else _column(reference, configs)
            columns[_key(row)] = (ours, theirs)
    return of_passes(passes, columns, comparison.asked.margins.get(METRIC, MARGIN))


def of_passes(
    passes: Sequence[Record],
    columns: Mapping[tuple[str, ...], tuple[int, int | None]],
    margin: float = MARGIN,
) -> tuple[Measured, ...]:
    """Return the times of networks by setting, () where there are none.

    Passes of other machines, networks or settings than the first one's are left out: their times
    are not to be compared with its. (A study asks for none.)

    Args:
        passes: the processes' records.
        columns: of each row its network's place among the passes', and its reference's.
        margin: the ratio - 1 that matters.
    """
    alike = _alike(passes)
    found = []
    for number, setting in enumerate(alike[0].spec["settings"] if alike else []):
        those = [r for r in alike if _usable(r, number)]
        if those:
            found.append(_measured(number, setting, those, columns, margin))
    return tuple(found)


def by_process(
    comparison: ComparisonEvidence, row: RowEvidence
) -> Iterator[tuple[str, Mapping[str, Any], float]]:
    """Yield a row's seconds a call in each process, median over its rounds, with the pass's id."""
    for record in _alike(comparison.passes.get(METRIC, ())):
        column = _column(row, record.spec["networks"])
        for number, setting in enumerate(record.spec["settings"]):
            if column is not None and _usable(record, number):
                times = record.arrays[f"seconds_{number}"][_kept(record, number), column]
                yield record.id, setting, float(np.median(times))


def samples(
    comparison: ComparisonEvidence,
) -> list[tuple[Mapping[str, Any], dict[int, Floats], Floats]]:
    """Return every time that counts, by setting; () where no pass has ended well.

    Returns: of each setting the seconds a call in each round of all processes, ascending, of the
        rows by their place in the comparison, and of the control, the first network's copy.
    """
    alike = _alike(comparison.passes.get(METRIC, ()))
    found = []
    for number, setting in enumerate(alike[0].spec["settings"] if alike else []):
        times = [
            record.arrays[f"seconds_{number}"].astype(np.float64)[_kept(record, number)]
            for record in alike
            if _usable(record, number)
        ]
        if times:
            every = np.sort(np.concatenate(times), axis=0)
            columns = [_column(row, alike[0].spec["networks"]) for row in comparison.rows]
            rows = {at: every[:, c] for at, c in enumerate(columns) if c is not None}
            found.append((setting, rows, every[:, -1]))
    return found


def _alike(passes: Sequence[Record]) -> list[Record]:
    """Return the passes that differ from the first in nothing but the process."""
    known = [r for r in passes if "settings" in r.spec]
    return [r for r in known if {**r.spec, "process": 0} == {**known[0].spec, "process": 0}]


def ratio_of(logs: Sequence[Floats]) -> Ratio:
    """Return the ratio of two networks' times.

    Args:
        logs: of each process, the logarithms of the ratios in its rounds, (rounds,).
    """
    from scipy.special import stdtrit

    values = [level(rounds) for rounds in logs] if len(logs) > 1 else logs[0].tolist()
    centre = welch.mean(values) if len(logs) > 1 else level(logs[0])
    spread = welch.deviation(values)
    if spread is None:
        return Ratio(math.exp(centre), None, None)
    reach = float(stdtrit(len(values) - 1, 0.5 + welch.LEVEL / 2)) * spread / len(values) ** 0.5
    low, middle, high = np.exp([centre - reach, centre, centre + reach]).tolist()
    return Ratio(middle, low, high)


def level(logs: Floats) -> float:
    """Return the mean of a process's rounds, without the lowest and the highest quarter of them."""
    cut = int(_TRIM * len(logs))
    return welch.mean(np.sort(logs)[cut : len(logs) - cut].tolist())


def floor_of(logs: Sequence[Floats]) -> float:
    """Return how far from 1 the A/A control came out, as a ratio - 1.

    Args:
        logs: of each process, the logarithms of the control's ratios in its rounds.
    """
    return math.expm1(abs(welch.mean([level(rounds) for rounds in logs])))


def effect(ratio: Ratio, margin: float, floor: float) -> Effect:
    """Return the mark of a ratio: beyond the margin, within it, or not to be told."""
    if ratio.low is None or ratio.high is None or floor > margin:
        return UNKNOWN
    return effect_of(math.log(ratio.low), math.log(ratio.high), math.log1p(margin))


def _usable(record: Record, number: int) -> bool:
    """Return whether a record holds times of all networks and the control, each above zero."""
    seconds = record.arrays.get(f"seconds_{number}")
    columns = len(record.spec["networks"]) + 1
    if seconds is None or seconds.ndim != 2 or seconds.shape[1] != columns or len(seconds) == 0:
        return False
    whole = np.all(np.isfinite(seconds) & (seconds > 0))
    return bool(whole and _kept(record, number).any())


def _kept(record: Record, number: int) -> "np.ndarray[Any, Any]":
    """Return which rounds count: all, but those in which a GPU was slowed down."""
    rounds = len(record.arrays[f"seconds_{number}"])
    clock = record.arrays.get(f"clock_{number}")
    default = record.arrays.get(f"default_clock_{number}")
    if clock is None or default is None or not np.isfinite(default):
        return np.ones(rounds, bool)
    slow = np.asarray(clock < _SLOW * default).any(axis=1)
    return np.logical_not(slow)


def _measured(
    number: int,
    setting: Mapping[str, Any],
    passes: Sequence[Record],
    columns: Mapping[tuple[str, ...], tuple[int, int | None]],
    margin: float,
) -> Measured:
    kept = [_kept(r, number) for r in passes]
    times = [
        r.arrays[f"seconds_{number}"].astype(np.float64)[rounds]
        for r, rounds in zip(passes, kept, strict=True)
    ]
    logs = [np.log(each) for each in times]
    control = [each[:, -1] - each[:, 0] for each in logs]
    floor = floor_of(control)
    rows = {}
    for key, (ours, theirs) in columns.items():
        ratio = None
        if theirs is not None:
            ratio = ratio_of([one[:, ours] - one[:, theirs] for one in logs])
        calls = np.concatenate([_calls(r, number, ours) for r in passes])
        seconds = float(np.median([np.median(one[:, ours]) for one in times]))
        rows[key] = Timed(
            seconds=seconds,
            ratio=ratio,
            effect=None if ratio is None else effect(ratio, margin, floor),
            calls=len(calls),
            p90=float(np.quantile(calls, 0.9)) if len(calls) >= _P90 else None,
            p99=float(np.quantile(calls, 0.99)) if len(calls) >= _P99 else None,
            slowest=float(calls.max()) if len(calls) else seconds,
            far=float((calls > 2 * seconds).mean()) if len(calls) else 0.0,
            waits=any(_waits(r, number, ours) for r in passes),
        )
    shares = [r.arrays[name] for r in passes if (name := f"on_cpu_{number}") in r.arrays]
    return Measured(
        setting=setting,
        processes=len(passes),
        rounds=sum(int(rounds.sum()) for rounds in kept),
        dropped=sum(int((~rounds).sum()) for rounds in kept),
        rows=rows,
        control=ratio_of(control),
        floor=floor,
        margin=margin,
        settled=all(bool(r.arrays.get(f"settled_{number}", True)) for r in passes),
        on_cpu=min((float(np.median(s, axis=0).min()) for s in shares), default=None),
    )


def _calls(record: Record, number: int, column: int) -> Floats:
    """Return the seconds of all calls of a network."""
    each = record.arrays.get(f"call_seconds_{number}")
    if each is None or each.ndim != 3:
        return np.empty(0)
    calls = each[:, column].ravel().astype(np.float64)
    kept: Floats = calls[np.isfinite(calls)]
    return kept


def _waits(record: Record, number: int, column: int) -> bool:
    issued = record.arrays.get(f"issued_{number}")
    if issued is None:
        return False
    share = issued[:, column] / record.arrays[f"seconds_{number}"][:, column]
    return bool(np.median(share) > _WAITS)


def _column(row: RowEvidence, configs: list[Any]) -> int | None:
    """Return which of the passes' networks is the row's full one."""
    network = row.asked.full_config.get("network")
    return configs.index(network) if network in configs else None


def _key(row: RowEvidence) -> tuple[str, ...]:
    return (row.asked.variant, *row.asked.match)
