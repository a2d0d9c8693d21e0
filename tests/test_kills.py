"""A run that is killed again and again ends in the same bytes as one that never was.

`ABLATE_KILLS=50` kills it so often, instead of the ten times that there is time for in CI;
`ABLATE_KILLS_SEED` chooses other moments.
"""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import tiny
from test_checkpoint import results  # what is compared of one trial

from ablate import records

KILLS = int(os.environ.get("ABLATE_KILLS", "10"))
SEED = int(os.environ.get("ABLATE_KILLS_SEED", "4"))
# Eight trials of a second or so, each of many epochs.
SUITE = tiny.changed(
    ("epochs: 1, batch_size: 4", "epochs: 60, batch_size: 2"), ("seeds: 2", "seeds: 4")
)


def start(runs: Path) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "ablate", "run", "tiny.yaml", "--jobs", "2"]
    folders = ["--runs", str(runs), "--reports", str(runs.parent / "reports")]
    return subprocess.Popen(
        [*command, *folders],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def finished(runs: Path) -> dict[str, bytes]:
    """Return every trial's record as it lies there."""
    return {path.parent.name: path.read_bytes() for path in runs.glob("trials/[!.]*/record.json")}


def outcome(runs: Path) -> dict[str, Any]:
    found = {}
    for id in finished(runs):
        record = records.read(runs, "trial", id)
        assert record is not None
        found[id] = results({"runs": str(runs), "spec": record.spec})
    return found


def wait_for_training(program: "subprocess.Popen[str]", runs: Path, checkpoints: set[Path]) -> None:
    """Wait until a trial has written its first checkpoint, or there is nothing left to train."""
    while program.poll() is None and not set(runs.glob("checkpoints/*.pt")) - checkpoints:
        time.sleep(0.01)


def test_a_run_that_is_killed_again_and_again_ends_in_the_same_bytes(here: Path) -> None:
    tiny.write(SUITE)
    began = time.monotonic()
    whole = start(here / "whole")
    said, _ = whole.communicate(timeout=300)
    assert whole.returncode == 0, said
    length = time.monotonic() - began
    expected = outcome(here / "whole")
    assert len(expected) == 8

    moments, kills, resumed, rounds = random.Random(SEED), 0, 0, 0
    while kills < KILLS:  # in rounds, each on records of its own, until these are whole
        runs = here / f"killed-{rounds}"
        rounds += 1
        known: dict[str, bytes] = {}
        while kills < KILLS:
            program = start(runs)
            if moments.random() < 0.3:
                time.sleep(moments.uniform(0, length))  # while it starts, plans, trains or reports
            else:
                wait_for_training(program, runs, set(runs.glob("checkpoints/*")))
                time.sleep(moments.uniform(0, 1.5))
            if program.poll() is not None:
                said, _ = program.communicate()
                assert program.returncode == 0, said
                break
            if moments.random() < 0.5:
                os.killpg(program.pid, signal.SIGKILL)  # workers too
            else:
                program.kill()  # they end by themselves
            program.communicate(timeout=60)
            kills += 1
            assert finished(runs).items() >= known.items()  # nothing is lost or trained twice
            known = finished(runs)
        last = start(runs)
        said, _ = last.communicate(timeout=300)
        assert last.returncode == 0, said
        assert finished(runs).items() >= known.items()
        assert outcome(runs) == expected
        for id in expected:
            record = records.read(runs, "trial", id)
            assert record is not None
            resumed += "resumed_after" in record.environment["execution"]
        assert not list(runs.glob("checkpoints/*.pt"))
    print(f"{KILLS} kills in {rounds} rounds, {resumed} trials went on from a checkpoint")
    assert resumed > 0
