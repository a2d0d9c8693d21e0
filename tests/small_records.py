"""Records and studies made of nothing, to be written, damaged and shown."""

from typing import Any

import numpy as np

from ablate import records
from ablate.records import Epoch, Measurement, Record, identity
from ablate.study import Study


def record(seed: int = 0, **changes: Any) -> Record:
    """Return a record of every kind of field."""
    spec = {"engine": 1, "config": {"recipe": {"lr": 0.1}}, "seed": seed}
    fields: dict[str, Any] = {
        "kind": "trial",
        "id": identity(spec),
        "spec": spec,
        "status": "ok",
        "metrics": {
            "accuracy": Measurement(
                value=91.25, unit="%", title="Accuracy", direction="higher", detail={"correct": 73}
            ),
            "test_loss": Measurement(
                value=None, unit="", title="Test loss", direction="lower", detail={"invalid": "no"}
            ),
        },
        "epochs": [
            Epoch(
                epoch=1,
                step=8,
                seconds=0.25,
                images=128,
                learning_rate=0.1,
                scores={"train_loss": 2.5},
            )
        ],
        "seconds": 1.5,
        "environment": {"python": "3.11", "load": None},
        "started": records.now(),
        "finished": records.now(),
    }
    return Record(**(fields | changes))


def arrays() -> dict[str, Any]:
    noise = np.random.default_rng(0)
    return {
        "test_correct": noise.random(80) < 0.9,
        "test_loss": noise.random(80).astype(np.float32),
        "test_cluster": noise.integers(0, 9, 80, dtype=np.int32),
    }


def study(**changes: Any) -> Study:
    fields: dict[str, Any] = {
        "id": "demo-11111111",
        "suite": "demo",
        "title": "Demo",
        "question": "Does it work?",
        "source": None,
        "profile": "quick",
        "overrides": [],
        "seeds": [0, 1],
        "stop": None,
        "device": "cpu",
        "precision": "fp32",
        "engine": 1,
        "comparisons": [],
        "requirements": [],
        "created": "2024-01-01T00:00:00+00:00",
        "commit": "abc",
        "dirty": False,
    }
    return Study(**(fields | changes))
