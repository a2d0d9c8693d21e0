"""How long it takes to match the budgets of `s7`, beside counting every candidate in full.

All matches of parameters and MACs that the suite asks for are solved in a fresh process. What they
are held against makes the same search in another one, with every network that is tried built and,
for MACs, run on the meta device: nothing is remembered of those before it.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from benchmarks import fresh
from benchmarks.results import Row
from benchmarks.setting import Setting, Step

SECTION = "matching"
REPEATS = 5
SHAPE, CLASSES = (3, 32, 32), 10  # CIFAR-10's


def steps(setting: Setting) -> Iterator[Step]:
    """Yield a time both, each in a fresh process."""
    most = 4 if setting.quick else None
    for number in range(1 if setting.quick else REPEATS):
        yield Step(SECTION, {"repeat": number}, 10, partial(_measure, most))


def _measure(most: int | None) -> list[Row]:
    row = {
        name: fresh.call("benchmarks.matching:once", {"in_full": in_full, "most": most})
        for name, in_full in {"ours": False, "in_full": True}.items()
    }
    if row["ours"]["found"] != row["in_full"]["found"]:
        raise fresh.Failed("matching finds other widths than where every candidate is counted")
    return [row]


def once(argument: Mapping[str, Any]) -> Row:
    """Solve the matches of `s7` and return seconds, by the clock and of the CPU, and what is found.

    Args:
        argument: {"in_full": whether every candidate is counted in full, "most": how many matches
            of a kind, None for all}.
    """
    from ablate.suite import match

    asked = [one for kind in ("params", "macs") for one in _asked(kind)[: argument["most"]]]
    # The imports of blocks and the baselines' budgets are no part of the search.
    targets = [match.budget(other, kind, SHAPE, CLASSES) for kind, _, other, _ in asked]
    kept = match._quick_macs, match._once_for_channels
    if argument["in_full"]:
        match._quick_macs, match._once_for_channels = _run, _every_time
    clock, cpu = time.perf_counter(), time.process_time()
    try:
        found = [
            match.solve(network, kind, target, tolerance, SHAPE, CLASSES).value
            for (kind, network, _, tolerance), target in zip(asked, targets, strict=True)
        ]
    finally:
        match._quick_macs, match._once_for_channels = kept
    return {
        "seconds": time.perf_counter() - clock,
        "cpu_seconds": time.process_time() - cpu,
        "found": found,
    }


def _asked(kind: str) -> list[tuple[Any, dict[str, Any], dict[str, Any], float]]:
    """Return kind, network, the one it is compared with and tolerance of each match of `s7`."""
    from ablate import catalog
    from ablate.suite.load import load
    from ablate.suite.request import Request

    path = catalog.PACKAGE.parent / "suites" / "s7.yaml"
    loaded = load(Request(str(path), profile="full"), "full")
    asked = []
    for comparison in loaded.suite.comparisons:
        networks = {one.name: one.full.values["network"] for one in loaded.variants[comparison.id]}
        for match in comparison.matches("full"):
            if match.kind != kind or match.knob is not None:
                continue
            for name, network in networks.items():
                other = comparison.against.get(name, comparison.baseline)
                if name != comparison.baseline:
                    asked.append((kind, network, networks[other], match.tolerance))
    return asked


def _run(build: Callable[[float], Any], shape: tuple[int, int, int]) -> Callable[[float], int]:
    """Return what counts the MACs at a value of the knob by a forward pass."""
    from ablate.suite import match

    return lambda value: match._macs(build(value), shape)


def _every_time(
    count: Callable[[float], int], network: Mapping[str, Any]
) -> Callable[[float], int]:
    """Return the count as it is."""
    return count
