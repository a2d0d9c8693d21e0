"""Facts: taken here or by workers they are the same, and a worker that dies is told of."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from ablate import records
from ablate.suite import taking
from ablate.suite.source import SuiteError

SHAPE = (3, 32, 32)
NAMES = ["params", "macs", "receptive_field", "gradient_phase_variance", "activation_memory"]

# A network whose making ends the process, as the system does where memory runs out.
DEADLY = '''"""Ends its process."""

import os
import signal

from torch import nn


def build() -> nn.Module:
    os.kill(os.getpid(), signal.SIGKILL)
    return nn.Identity()
'''


def staged(channels: int) -> dict[str, Any]:
    return {"family": "staged", "stages": [[channels], [2 * channels]]}


def wanted(*networks: dict[str, Any]) -> taking.Wanted:
    specs = [taking.spec_of([network], NAMES, SHAPE, 10, {}) for network in networks]
    return {records.identity(spec): (f"net/{n}", spec) for n, spec in enumerate(specs)}


def content(record: records.Record | None) -> str:
    assert record is not None
    return records.canonical([record.spec, {k: v.model_dump() for k, v in record.metrics.items()}])


def test_what_takes_a_moment_begins_no_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[int] = []

    def beside(jobs: Sequence[Any], workers: int) -> list[Any]:
        begun.append(len(jobs))
        return []

    monkeypatch.setattr(taking, "_beside", beside)
    assert len(taking.take(wanted(staged(4)), tmp_path, workers=2, patience=600)) == 1
    assert begun == [0]


def test_workers_take_the_same_facts_and_one_that_dies_takes_no_other_with_it(
    tmp_path: Path,
) -> None:
    file = tmp_path / "deadly.py"
    file.write_text(DEADLY)
    deadly = {"family": "zoo", "source": f"{file}:build", "options": {}}
    told: list[tuple[int, int]] = []
    with pytest.raises(SuiteError) as caught:
        taking.take(
            wanted(deadly, staged(4), staged(6)),
            *(tmp_path / "there", (), 2, lambda *done: told.append(done), 0),
        )
    assert str(caught.value) == (
        "net/0: its facts could not be taken: its worker process was ended by SIGKILL (perhaps for "
        "lack of memory)"
    )
    assert told == [(1, 3), (2, 3)]
    here = taking.take(wanted(staged(4), staged(6)), tmp_path / "here")
    assert len(here) == 2
    for id, record in here.items():
        assert set(NAMES) == record.metrics.keys()
        assert content(records.read(tmp_path / "there", "fact", id)) == content(record)
