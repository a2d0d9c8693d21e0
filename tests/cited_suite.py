"""A small suite with most kinds of tables, written as records and rendered: for tests of citing.

`made` and `made_later` are made once a session, whichever test module asks first.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from test_evidence import DROP_IN, EQUAL, NORMAL, Lab

import ablate
from ablate import study as studies
from ablate.records import Measurement
from ablate.report.render import render, render_index

TABLE = "tbl-s7-depthwise"
FIGURE = "fig-s7-depthwise-forest"
COMMIT = "commit 3d688c5bd55e"


def _lower(value: float, title: str, unit: str) -> Measurement:
    return Measurement(value=value, unit=unit, title=title, direction="lower")


def write(runs: Path) -> None:
    """Write the records and the study of the suite `s7`."""
    asked = [{"variant": "normal", "params": {"below": 1_000_000}, "uses": ["gap"]}]
    lab = Lab(runs, settings={"requirements": asked})
    facts = {"kernels": Measurement(value=7, unit="", title="Kernels", direction="none")}
    took = [{"train_seconds": _lower(31.5 + seed, "Training time", "s")} for seed in range(5)]
    rows = [
        lab.row("normal", NORMAL, params=82_010, facts=facts, network={"conv": "normal"}),
        lab.row("depthwise", DROP_IN, params=12_240, facts=facts, network={"conv": "depthwise"}),
        lab.row("depthwise", EQUAL, match=("params",), params=82_400, measured=took,
                solved={"network.width": 43.7}, residual=0.0048, network={"conv": "wide"}),
    ]  # fmt: skip
    seconds = np.array([[0.001, 0.002, 0.003, 0.001], [0.003, 0.006, 0.009, 0.003]])
    networks = [row.full_config["network"] for row in rows]
    lab.compare(*rows, passes=lab.time(networks, {1: seconds}, {1: seconds}))
    lab.compare(
        lab.row("none", NORMAL[:3], params=50_000),
        lab.row("add", EQUAL[:3], params=50_000),
        id="merge",
        title="Add | or not?",
        claims=[],
    )
    lab.ask()


def newest(runs: Path) -> studies.Study:
    found = studies.newest(runs, "s7")
    assert found is not None
    return found


def rendered(root: Path) -> Path:
    """Write the pages of the records in `root`, and return `root`."""
    render(root / "runs", newest(root / "runs"), root / "reports")
    render_index(root / "runs", root / "reports")
    return root


def change(runs: Path, seed: int, accuracy: float) -> None:
    """Change what a trial of the drop-in row of `depthwise` came to."""
    trial = newest(runs).comparisons[0].rows[1].trials[seed]
    path = runs / "trials" / trial / "record.json"
    record = json.loads(path.read_text(encoding="utf-8"))
    record["metrics"]["accuracy"]["value"] = accuracy
    path.write_text(json.dumps(record), encoding="utf-8")


def made(factory: pytest.TempPathFactory) -> Path:
    """Return a folder with runs/ and reports/ of the suite, to be read alone."""
    if "made" not in _MADE:
        root = factory.mktemp("cited")
        write(root / "runs")
        _MADE["made"] = rendered(root)
    return _MADE["made"]


def made_later(factory: pytest.TempPathFactory) -> Path:
    """Return the same after one trial came to another accuracy, 50 for 58.4; to be read alone."""
    if "later" not in _MADE:
        root = factory.mktemp("later")
        shutil.copytree(made(factory), root, dirs_exist_ok=True)
        change(root / "runs", 0, 50.0)
        _MADE["later"] = rendered(root)
    return _MADE["later"]


_MADE: dict[str, Path] = {}


def command(here: Path, *words: str) -> tuple[int, str, str]:
    """Run `ablate` in a folder, in a process of its own; return exit code, output and errors."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "ablate", *words],
        cwd=here,
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(Path(ablate.__file__).parent.parent)},
    )
    return done.returncode, done.stdout, done.stderr
