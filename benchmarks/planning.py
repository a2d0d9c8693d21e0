"""How long it takes to plan 10,000 trials: a suite of 10 variants with 1,000 seeds each.

Nothing of it is there yet. The plan trains a few steps of every variant to say how long the rest
takes; that probe is counted on its own, since it does not grow with the seeds.
"""

import tempfile
import time
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import fresh
from benchmarks.results import Row
from benchmarks.setting import Setting, Step

SECTION = "planning"
VARIANTS, SEEDS, REPEATS = 10, 1000, 3


def steps(setting: Setting) -> Iterator[Step]:
    """Yield a fresh process a time."""
    variants, seeds = (2, 5) if setting.quick else (VARIANTS, SEEDS)
    argument = {"suite": suite(setting.data["component"], variants, seeds)}
    for number in range(1 if setting.quick else REPEATS):
        yield Step(
            SECTION,
            {"repeat": number, "trials": variants * seeds},
            15,
            partial(_measure, argument),
        )


def suite(component: Mapping[str, Any], variants: int, seeds: int) -> str:
    """Return the text of a suite whose variants differ in the width of their network."""
    data = ", ".join(f'{key}: "{value}"' for key, value in component.items() if value is not None)
    # One line a variant; a block of them would have to be indented by hand.
    names = "\n".join(f"      w{n}: {{network.width: {8 + n}}}" for n in range(1, variants))
    return f"""\
id: planning
title: Many trials
question: How long does a plan take?
base:
  task: classify
  data: {{{data}}}
  network: {{family: staged, stages: [[8, 8], [16, 16], [32, 32]]}}
  recipe: {{epochs: 1, batch_size: 32}}
seeds: {seeds}
comparisons:
  - id: width
    title: How wide?
    baseline: w0
    variants:
      w0: {{}}
{names}
"""


def _measure(argument: Mapping[str, Any]) -> list[Row]:
    return [fresh.call("benchmarks.planning:once", argument)]


def once(argument: Mapping[str, Any]) -> Row:
    """Return the seconds of each part of planning, by the clock and of the CPU."""
    from ablate.suite import plan as planning
    from ablate.suite.load import load
    from ablate.suite.preflight import check
    from ablate.suite.request import Request
    from ablate.train import probe

    spent: Row = {}

    def timed(name: str, function: Any, *arguments: Any, **options: Any) -> Any:
        clock, cpu = time.perf_counter(), time.process_time()
        result = function(*arguments, **options)
        before = spent.get(name, {"seconds": 0.0, "cpu_seconds": 0.0})
        spent[name] = {
            "seconds": before["seconds"] + time.perf_counter() - clock,
            "cpu_seconds": before["cpu_seconds"] + time.process_time() - cpu,
        }
        return result

    original = probe.seconds
    probe.seconds = partial(timed, "probe", original)
    try:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "planning.yaml"
            path.write_text(argument["suite"], encoding="utf-8")
            loaded = timed("load", load, Request(str(path)), "full")
            checked = timed("check", check, loaded)
            made = timed("make", planning.make, loaded, checked, Path(folder) / "runs", "cpu")
    finally:
        probe.seconds = original
    for kind in ("seconds", "cpu_seconds"):
        spent["make"][kind] -= spent.get("probe", {kind: 0.0})[kind]
    return {"planned": len(made.trials), **spent}
