"""`ablate`: a trial as an executor is given it, with its record, its arrays and its weights."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ablate import records
from ablate.train import trial


def train(job: Mapping[str, Any]) -> dict[str, Any]:
    """Run the trial and read from its record what came of it."""
    with tempfile.TemporaryDirectory() as runs:
        given = as_trial(job, Path(runs))
        for _ in trial.run(given):
            pass
        record = records.read(Path(runs), "trial", records.identity(given["spec"]))
    assert record is not None  # the run has written it
    if record.status != "ok":
        raise RuntimeError(f"the trial ended as {record.status}: {record.reason}")
    return {
        "steps": record.epochs[-1].step,
        "images": sum(epoch.images for epoch in record.epochs),
        "train_seconds": sum(epoch.seconds for epoch in record.epochs),
        "accuracy": record.metrics["accuracy"].value,
    }


def as_trial(job: Mapping[str, Any], runs: Path) -> dict[str, Any]:
    """Return the job of a benchmark as the job of an executor."""
    spec = trial.spec_of(
        job["config"], job["seed"], job["digest"], job["precision"], "cpu", plugins={}
    )
    return {"spec": spec, "data": job["data"], "plugins": [], "runs": str(runs)}
