"""A suite that is run again when everything is there: what it takes to say so.

The whole command, from the start of Python to its end, with an up-to-date report.
"""

import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from benchmarks import fresh, planning
from benchmarks.results import Row
from benchmarks.setting import Setting, Step

SECTION = "rerun"
REPEATS = 5


def steps(setting: Setting) -> Iterator[Step]:
    """Yield the run that trains, then those that find everything there."""
    for number in range((2 if setting.quick else REPEATS) + 1):
        yield Step(
            SECTION,
            {"repeat": number},
            4 if number else 120,
            partial(_run, setting, number),
        )


def _run(setting: Setting, number: int) -> list[Row]:
    place = (setting.folder / "rerun").resolve()
    if number == 0:
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
    command = [sys.executable, "-m", "ablate", "run"]
    if setting.quick:
        path = place / "planning.yaml"
        path.write_text(planning.suite(setting.data["component"], 2, 1), encoding="utf-8")
        command += [str(path), "--profile", "full"]
    else:
        component = setting.data["component"]
        data = f"folder:{component['path']}" if component["name"] == "folder" else "cifar10"
        command += ["s7", "--profile", "smoke", "--data", data]
    before = _children()
    began = time.perf_counter()
    done = subprocess.run(
        [*command, "--runs", str(place / "runs"), "--reports", str(place / "reports")],
        cwd=fresh.ROOT,
        env=os.environ | {"COLUMNS": "120"},
        capture_output=True,
        text=True,
        check=False,
    )
    seconds = time.perf_counter() - began
    if done.returncode:
        last = "\n".join((done.stdout + done.stderr).strip().splitlines()[-15:])
        raise fresh.Failed(f"{' '.join(command)} ended with exit code {done.returncode}\n{last}")
    records = len(list(Path(place / "runs" / "trials").glob("*/record.json")))
    return [{"seconds": seconds, "cpu_seconds": _children() - before, "trials": records}]


def _children() -> float:
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime
