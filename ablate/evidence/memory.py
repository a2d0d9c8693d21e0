"""Peak memory of the rows of a comparison, from passes of which each saw one network alone.

A pass counts memory in two ways: what the process used, and the bytes of the tensors that were
alive together, which cannot be more. Where they are, by more than the process's own pages are known
to, what was freed before was kept and used again: that peak is invalid.

What is known of a peak is a *band*, not an interval: a network is measured in one process, a few
rounds one after the other, and rounds of one process are no sample of processes. What differs
between processes is what libraries keep in small blocks, some hundred KB whatever the network
needs: 4 processes each of two networks of `s7`, in inference and in a training step, at batch 1 and
64, in fp32 and bf16, came out at most 0.7 MiB apart. So a band reaches from the lowest to the
highest round, and on by 1 MiB and 128 KiB for each thread, by which the kernel's count of pages may
be off. A claim is decided where the whole band decides it. It has no level, and counts in no
family.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from ablate.evidence.collect import ComparisonEvidence, RowEvidence
from ablate.evidence.decide import Estimate, Sides
from ablate.records import Record

METRICS: Final = ("inference_memory", "training_memory")


@dataclass(frozen=True)
class Peak:
    """What one network needed at one setting, in bytes."""

    id: str  # of the pass
    metric: str
    setting: Mapping[str, Any]  # phase, batch, precision, memory_format, mode, threads, device
    value: int  # median over the rounds, above what was there before
    weights: int
    inputs: int
    is_bound: bool  # the system could not forget an earlier peak: it was no more than this
    invalid: str | None  # why the value is not to be believed
    lowest: int  # of the rounds, as the value
    highest: int
    rounds: int

    @property
    def batch(self) -> int:
        """Images a call."""
        return int(self.setting["batch"])

    @property
    def unusable(self) -> str:
        """Why nothing can be decided by it; "" where something can."""
        if self.is_bound:
            return "this system tells only an upper bound of the peak"
        return self.invalid or ""

    @property
    def band(self) -> "Band":
        """Between which values another process may find it, in bytes."""
        slack = _SLACK + _PER_THREAD * int(self.setting.get("threads", 1))
        low, high = max(0, self.lowest - slack), self.highest + slack
        return Band(float(self.value), low=float(low), high=float(high))


@dataclass(frozen=True)
class Band(Estimate):
    """A number of which only is known between which others it lies, the same at every level."""

    low: float = 0.0
    high: float = 0.0

    def bounds(self, level: float = 0.95, sides: Sides = 2) -> tuple[float, float]:
        """Return the two ends."""
        return self.low, self.high

    def within(self, reach: float) -> tuple[float, float]:
        """Return the two ends."""
        return self.low, self.high


def difference(ours: Peak, theirs: Peak) -> Band:
    """Return ours - theirs, in bytes, from the one end of their bands to the other."""
    one, other = ours.band, theirs.band
    return Band(one.value - other.value, low=one.low - other.high, high=one.high - other.low)


def log_ratio(ours: Peak, theirs: Peak) -> Band:
    """Return log(ours / theirs), from the one end of their bands to the other."""
    one, other = ours.band, theirs.band
    least, most, value = _log(one.low), _log(other.low), _log(one.value) - _log(other.value)
    return Band(value, low=least - _log(other.high), high=_log(one.high) - most)


def _log(count: float) -> float:
    return math.log(count) if count > 0 else -math.inf


def peaks(comparison: ComparisonEvidence, row: RowEvidence) -> list[Peak]:
    """Return what a row's full network needed, [] where no pass has ended well.

    What other machines saw than the first is left out: it is not to be compared.
    """
    network = row.asked.full_config.get("network")
    found: list[Peak] = []
    for metric in METRICS:
        for record in _alike(comparison.passes.get(metric, ())):
            if record.spec["networks"] == [network]:
                found += of_pass(record)
    return found


def of_pass(record: Record) -> Iterator[Peak]:
    """Yield what the network of a pass needed, by setting."""
    for number, setting in enumerate(record.spec["settings"]):
        peak = record.arrays.get(f"peak_{number}")
        if peak is not None and peak.size:
            weights, inputs = (int(record.arrays[f"{it}_{number}"][0]) for it in _BESIDE)
            reset = bool(record.arrays[f"reset_{number}"].all())
            median = round(float(np.median(peak)))
            metric = record.spec["metric"]
            tensors = int(record.arrays[f"tensors_{number}"][0])
            invalid = None
            if tensors > median + _EXACT * record.environment.get("cores", 1):
                invalid = (
                    f"the process used {median:,} bytes and its tensors {tensors:,}: it went on in "
                    "memory that was freed before"
                )
            yield Peak(
                id=record.id,
                metric=metric,
                setting=setting,
                value=median,
                weights=weights,
                inputs=inputs,
                is_bound=not reset,
                invalid=invalid,
                lowest=int(peak.min()),
                highest=int(peak.max()),
                rounds=peak.size,
            )


_BESIDE = ("weights", "inputs")
_SLACK = 2**20  # bytes: half as much again as processes were seen to differ by
_PER_THREAD = 128 * 2**10  # bytes
_EXACT = 32 * 65536  # bytes a core: Linux adds up pages in portions of 32, of 64 KiB at most


def _alike(passes: Sequence[Record]) -> list[Record]:
    return [r for r in passes if r.spec["machine"] == passes[0].spec["machine"]]
