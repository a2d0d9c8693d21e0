"""What a worker of the harness holds after many trials: whether it grows.

Peak memory of all peers is measured along with their speed.
"""

import tempfile
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import fresh
from benchmarks.results import Row
from benchmarks.setting import Setting, Sizes, Step

SECTION = "memory"
SIZES = Sizes(width=32, batch=512, train=1024, epochs=1, test=1000)
QUICK = Sizes(width=4, batch=32, train=64, epochs=1, test=20)
TRIALS = 12


def steps(setting: Setting) -> Iterator[Step]:
    """Yield one worker process per network."""
    sizes, trials = (QUICK, 3) if setting.quick else (SIZES, TRIALS)
    for network in ("normal",) if setting.quick else ("normal", "depthwise"):
        jobs = [setting.job(network, sizes, seed, threads=1) for seed in range(trials)]
        yield Step(
            SECTION,
            {"network": network, "batch": sizes.batch},
            4 * trials,
            partial(_measure, jobs),
        )


def _measure(jobs: list[dict[str, Any]]) -> list[Row]:
    return [{"held": fresh.call("benchmarks.memory:after_each", jobs)}]


def after_each(jobs: list[Mapping[str, Any]]) -> list[Row]:
    """Return the bytes that this process holds after each trial, and at most so far."""
    from ablate.train import trial
    from benchmarks.peers.ours import as_trial
    from benchmarks.serve import peak_bytes

    found = []
    for job in jobs:
        with tempfile.TemporaryDirectory() as runs:
            for _ in trial.run(as_trial(job, Path(runs))):
                pass
        found.append({"held": _held(), "peak": peak_bytes()})
    return found


def _held() -> int | None:
    """Return the resident memory of this process now; None where Linux's /proc is not."""
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii")
    except OSError:
        return None
    return int(status.partition("VmRSS:")[2].split()[0]) * 1024
