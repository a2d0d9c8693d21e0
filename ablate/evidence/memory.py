"""Peak memory of the rows of a comparison, from passes of which each saw one network alone.

A pass counts memory in two ways: what the process used, and the bytes of the tensors that were
alive together, which cannot be more. Where they are, by more than the process's own pages are known
to, what was freed before was kept and used again: that peak is invalid.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from ablate.evidence.collect import ComparisonEvidence, RowEvidence
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
            yield Peak(record.id, metric, setting, median, weights, inputs, not reset, invalid)


_BESIDE = ("weights", "inputs")
_EXACT = 32 * 65536  # bytes a core: Linux adds up pages in portions of 32, of 64 KiB at most


def _alike(passes: Sequence[Record]) -> list[Record]:
    return [r for r in passes if r.spec["machine"] == passes[0].spec["machine"]]
