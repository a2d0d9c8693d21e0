"""Evidence: statistics against other implementations and simulation, and what the records show."""

import json
import math
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ablate import records
from ablate import study as studies
from ablate.evidence import answer, citable, contrast, effects, sampling, spelling, stop, welch
from ablate.evidence.collect import collect
from ablate.evidence.frame import COLUMNS, load
from ablate.records import Epoch, Measurement, Record
from ablate.study import ComparisonAsked, DataUsed, Measure, Row, Study

# --- a study and its records, made of numbers -----------------------------------------------------


@dataclass
class Lab:
    """Writes a study and records with chosen values, through the same functions as a real run."""

    runs: Path
    comparisons: list[ComparisonAsked] = field(default_factory=list)
    settings: dict[str, Any] = field(default_factory=dict)
    count: int = 0

    def row(
        self,
        variant: str,
        values: list[float | str | None],
        *,
        match: tuple[str, ...] = ("none",),
        params: float = 100_000,
        full_params: float | None = None,
        changes: dict[str, Any] | None = None,
        solved: dict[str, float] | None = None,
        residual: float | None = None,
        structure: tuple[str, ...] = (),
        steps: int = 628,
        correct: "np.ndarray[Any, Any] | None" = None,
        cluster: "np.ndarray[Any, Any] | None" = None,
        facts: dict[str, Measurement] | None = None,
        scores: tuple[str, ...] = ("train_accuracy", "validation_accuracy", "train_loss"),
    ) -> Row:
        """Write a row's records. A value is a number, "failed", "diverged", or None: missing.

        `correct` (seeds, n) are the examples that each seed's network gets right.
        """
        trials = {}
        for seed, value in enumerate(values):
            spec = {
                "variant": variant,
                "match": list(match),
                "seed": seed,
                "lab": [self.settings, self.count],
            }
            trials[seed] = records.identity(spec)
            arrays = {}
            if correct is not None:
                arrays["test_correct"] = correct[seed]
            if cluster is not None:
                arrays["test_cluster"] = cluster
            if value is not None:
                record = self._trial(trials[seed], spec, value, steps, scores)
                records.write(self.runs, record, arrays)
        ids = []
        for network, size in (("trained", params), ("full", full_params or params)):
            spec = {
                "facts": variant,
                "match": list(match),
                "size": size,
                "lab": [self.settings, self.count],
            }
            ids.append(records.identity(spec))
            records.write(self.runs, self._fact(ids[-1], spec, size, facts or {}))
            del network
        self.count += 1
        config = {
            "task": {"kind": "classify"},
            "data": {"name": "cifar10"},
            "network": {
                "family": "staged",
                "stages": [{"layers": [{"channels": 16}, {"channels": 16}]}],
                "width": 16.0,
            },
            "recipe": {"optimizer": "sgd", "lr": 0.1, "epochs": 4, "augment": ["crop", "flip"]},
        }
        return Row(
            variant=variant,
            match=list(match),
            changes=changes or {},
            solved=solved or {},
            full_solved={k: 2 * v for k, v in (solved or {}).items()},
            residual=residual,
            full_residual=residual,
            structure=list(structure),
            config=config,
            full_config=config,
            trials=trials,
            facts=ids[0],
            full_facts=ids[1],
        )

    def compare(self, *rows: Row, id: str = "depthwise", **changed: Any) -> None:
        """Add a comparison of rows, the first of which is the baseline."""
        data = {
            "name": "cifar10",
            "title": "CIFAR-10",
            "digest": "0f1e2d3c4b5a",
            "requested": "cifar10",
            "sizes": {"train": 10_000, "validation": 2_000, "test": 10_000},
        }
        asked = {
            "id": id,
            "title": "Normal or depthwise separable?",
            "table": f"tbl-{self.settings.get('suite', 's7')}-{id}",
            "baseline": rows[0].variant,
            "measure": Measure(
                name="accuracy", title="Accuracy", unit="%", direction="higher", margin=0.5
            ),
            "data": DataUsed(**(data | changed.pop("data", {}))),
            "rows": list(rows),
            "claims": [
                {"note": "A:113", "says": "8 times less parameters", "kind": "ratio",
                 "metric": "params", "of": "normal/depthwise", "about": 8, "primary": False},
                {"note": "B:72", "says": "not as strong as 3x3", "kind": "order",
                 "metric": "accuracy", "expect": "depthwise < normal", "margin": 0.5},
            ],
        }  # fmt: skip
        self.comparisons.append(ComparisonAsked(**(asked | changed)))

    def ask(self) -> Study:
        """Write the study down."""
        chosen = {
            "suite": "s7",
            "title": "EVA4 Session 7: advanced convolutions",
            "question": "Which of the session's design choices earn their cost?",
            "source": {"note": "A", "title": "EVA4 Session 7 notes"},
            "profile": "quick",
            "overrides": [],
            "seeds": sorted({s for c in self.comparisons for r in c.rows for s in r.trials}),
            "stop": None,
            "device": "cpu",
            "precision": "bf16",
            "engine": 1,
            "comparisons": self.comparisons,
            "requirements": [],
            "created": "2026-11-21T09:00:00+00:00",
            "commit": "3d688c5bd55e298b3bdbf4b2f81c7ce739778d0b",
            "dirty": False,
        } | self.settings
        made = Study(id=f"{chosen['suite']}-{self.settings.get('hash', '0a1b2c3d')}", **{
            name: value for name, value in chosen.items() if name != "hash"
        })  # fmt: skip
        return studies.ask(self.runs, made)

    def _trial(
        self, id: str, spec: dict[str, Any], value: float | str, steps: int, scores: tuple[str, ...]
    ) -> Record:
        ended = isinstance(value, float | int)
        final = float(value) if ended else 30.0
        epochs = [
            Epoch(
                epoch=epoch,
                step=steps * epoch // 4,
                seconds=6.5,
                images=10_000,
                learning_rate=0.1 * (1 - epoch / 4),
                scores={
                    name: 2.3 - 0.3 * epoch
                    if name.endswith("loss")
                    else final - 8 * (4 - epoch) - (name == "train_accuracy")
                    for name in scores
                },
            )
            for epoch in range(1, 5 if ended else 2)
        ]
        metrics = {
            "accuracy": Measurement(value=final, unit="%", title="Accuracy", direction="higher")
        }
        return Record(
            kind="trial",
            id=id,
            spec=spec,
            status="ok" if ended else value,  # type: ignore[arg-type]
            reason=None if ended else "the loss is not a number",
            metrics=metrics if ended else {},
            epochs=epochs,
            seconds=26.25,
            environment={
                "python": "3.11.9", "cpu": "Some CPU", "load": final, "packages": {"torch": "2.15.0"}
            },
            started="2026-11-21T09:00:00+00:00",
            finished="2026-11-21T09:00:26+00:00",
        )  # fmt: skip

    def _fact(
        self, id: str, spec: dict[str, Any], size: float, more: dict[str, Measurement]
    ) -> Record:
        def fact(value: float, title: str, unit: str = "", direction: Any = "lower") -> Measurement:
            return Measurement(value=value, unit=unit, title=title, direction=direction)

        return Record(
            kind="fact",
            id=id,
            spec=spec,
            status="ok",
            metrics={
                "params": fact(int(size), "Parameters"),
                "macs": fact(int(size) * 150, "MACs"),
                "receptive_field": fact(76, "Receptive field", "px", "none"),
            }
            | more,
            seconds=0.2,
            started="2026-11-21T09:00:00+00:00",
            finished="2026-11-21T09:00:00+00:00",
        )


NORMAL = [62.3, 62.9, 61.8, 62.5, 62.0]
DROP_IN = [58.4, 59.6, 58.0, 59.1, 58.2]
EQUAL = [65.2, 64.8, 65.4, 64.3, 65.1]


def three_rows(runs: Path, **settings: Any) -> Lab:
    """Return a lab with the comparison of the session: drop-in and at equal parameters."""
    lab = Lab(runs, settings=settings)
    lab.compare(
        lab.row("normal", NORMAL, params=82_010, full_params=324_330),  # type: ignore[arg-type]
        lab.row(
            "depthwise_separable",
            DROP_IN,  # type: ignore[arg-type]
            params=12_240,
            full_params=40_190,
            changes={"network.conv": "depthwise_separable"},
            structure=("- 6 Conv2d 3x3", "+ 6 Conv2d 3x3 depthwise", "+ 6 Conv2d 1x1"),
        ),
        lab.row(
            "depthwise_separable",
            EQUAL,  # type: ignore[arg-type]
            match=("params",),
            params=82_400,
            full_params=325_000,
            changes={"network.conv": "depthwise_separable"},
            solved={"network.width": 43.7},
            residual=0.0048,
            structure=("- 6 Conv2d 3x3", "+ 6 Conv2d 3x3 depthwise", "+ 6 Conv2d 1x1"),
        ),
    )
    return lab
