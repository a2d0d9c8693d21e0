"""What a run chooses by itself is said with its reason, and what is asked for is done."""

import os
from pathlib import Path

import pytest
import tiny

from ablate import commands, environment, records
from ablate.suite.planned import Plan
from ablate.suite.request import Request
from ablate.train import precision

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def planned(here: Path, jobs: str, *overrides: str) -> tuple[Plan, int]:
    tiny.write(tiny.SUITE)
    asked = Request("tiny.yaml", overrides=tuple(overrides))
    return commands._plan(asked, "cpu", here / "runs", jobs)


def said(here: Path, jobs: str, *overrides: str) -> str:
    plan, workers = planned(here, jobs, *overrides)
    return commands._how(plan, workers, jobs)


def test_what_was_chosen_is_said_with_its_reason(here: Path) -> None:
    chosen, why = precision.choose("auto", "cpu")
    begin = f"trained in {chosen} ({why}) · "
    many = min(CORES, 4)  # trials that are missing
    if CORES == 1:
        assert said(here, "auto") == begin + "one trial at a time (one per core) · 1 thread each"
    else:
        reason = "no more are missing" if CORES >= 4 else "one per core"
        expected = f"{many} trials side by side ({reason}) · 1 thread each"
        assert said(here, "auto") == begin + expected
    assert said(here, "3") == begin + "3 trials side by side (asked for) · 1 thread each"
    assert said(here, "1") == begin + "one trial at a time (asked for) · 1 thread each"


def test_what_was_asked_for_is_said_so(here: Path) -> None:
    settings = ["recipe.precision=fp32", "recipe.threads=2", "recipe.exact=true"]
    assert said(here, "1", *settings) == (
        "trained in fp32 (asked for) · one trial at a time (asked for) · 2 threads each · "
        "deterministic kernels (asked for)"
    )


def test_images_get_half_of_the_memory_unless_more_or_less_is_asked_for() -> None:
    assert commands._memory(None, "cpu") == environment.memory() // 2
    assert commands._memory(0.5, "cpu") == 500_000_000
    assert commands._memory(3, "cuda") == 3_000_000_000
    assert commands._memory(None, "cuda") is None


@pytest.mark.skipif(not Path("/proc/meminfo").exists(), reason="Linux says it in another place too")
def test_memory_is_what_the_system_says() -> None:
    first = Path("/proc/meminfo").read_text(encoding="ascii").split("\n")[0]
    assert first.startswith("MemTotal:")
    kibibytes = int(first.split()[1])
    assert environment.memory() <= kibibytes * 1024 * 1.001
    groups = [Path("/sys/fs/cgroup", name) for name in ("memory.max", "memory")]
    if not any(path.exists() for path in groups):
        assert environment.memory() == pytest.approx(kibibytes * 1024, rel=0.001)


def test_images_beyond_the_memory_are_read_in_portions(here: Path) -> None:
    tiny.write(tiny.SUITE)
    seen = {}
    for memory in (1e-4, 1.0):  # 100 kB, of which a third for 16 images of 32x32
        runs = here / f"runs-{memory}"
        asked = Request("tiny.yaml", seeds="1")
        code = commands.run(
            asked, "cpu", runs, here / "reports", "1", "inline", False, memory=memory
        )
        assert code == 0
        for path in sorted((runs / "trials").iterdir()):
            record = records.read(runs, "trial", path.name)
            assert record is not None
            how = record.environment["execution"]["streamed"]
            seen.setdefault(path.name, {})[how] = (path / "arrays.npz").read_bytes()
    assert len(seen) == 2
    for arrays in seen.values():
        assert arrays[True] == arrays[False]
