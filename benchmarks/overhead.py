"""What the harness costs beside its own bare loop, in CPU time.

A round is a trial as executors are given it and the bare loop of the same steps, in one process
with one thread, now the one first, now the other. CPU time and not the clock: other work on the
machine disturbs it less. The first round of a process warms up and is dropped.
"""

import tempfile
import time
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import fresh
from benchmarks.results import Row
from benchmarks.setting import Setting, Sizes, Step

SECTION = "overhead"
# A fraction of a trial of s7's quick profile, so what a trial costs once weighs more than there.
SIZES = Sizes(width=16, batch=48, train=2688, epochs=2, test=1000)
QUICK = Sizes(width=4, batch=32, train=64, epochs=1, test=20)
PROCESSES, ROUNDS = 4, 6


def steps(setting: Setting) -> Iterator[Step]:
    """Yield a process at a time, with some rounds each."""
    processes, rounds = (1, 2) if setting.quick else (PROCESSES, ROUNDS)
    sizes = QUICK if setting.quick else SIZES
    for process in range(processes):
        argument = {"job": setting.job("normal", sizes, process, threads=1), "rounds": rounds}
        yield Step(
            SECTION,
            {"process": process},
            5 * (rounds + 1),
            partial(fresh.call, "benchmarks.overhead:rounds", argument),
        )


def rounds(argument: Mapping[str, Any]) -> list[Row]:
    """Return the CPU seconds of the trial and of the bare loop in each round.

    Args:
        argument: {"job", "rounds"}.
    """
    from ablate.train import trial
    from benchmarks import bare
    from benchmarks.peers.ours import as_trial

    found = []
    for number in range(argument["rounds"] + 1):
        with tempfile.TemporaryDirectory() as runs:
            job = as_trial(argument["job"], Path(runs))
            spent = {}
            for side in ("bare", "trial") if number % 2 else ("trial", "bare"):
                before = time.process_time()
                if side == "bare":
                    bare.train(job)
                else:
                    *_, last = trial.run(job)
                    if last["status"] != "ok":
                        raise RuntimeError(f"the trial ended as {last['status']}")
                spent[side] = time.process_time() - before
        if number:
            found.append({"round": number, **spent})
    return found
