"""Peers side by side on the same work: seconds per trained (variant, seed).

Every measurement is of fresh processes that train twice: the first trial is cold, from the start of
the process on, with imports and reading; the second one, of another seed, is warm. Rounds are
interleaved: in each, all contestants train the same work one after the other, and what drifts falls
on all. A round begins with the rates of the floor.

In the first round every contestant tries all its numbers of DataLoader workers; it keeps to the one
with the shortest warm trial, and that counts in its favour in the first round as well.

Modes: `alone` is one process with all cores, as one trains a single network; `one thread` is one
process with one thread while the other cores idle; `side by side` is one process a core, each with
one thread, as one trains many.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial

from benchmarks import fresh, results
from benchmarks.results import Row
from benchmarks.setting import Setting, Sizes, Step
from benchmarks.work import NETWORKS

SECTION = "speed"
SIZES = Sizes(width=32, batch=128, train=1536, epochs=2, test=1000)
BATCHES = (128, 512)
QUICK = Sizes(width=4, batch=32, train=64, epochs=1, test=20)


@dataclass(frozen=True)
class Contestant:
    """A peer and how it is run."""

    peer: str
    workers: tuple[int, ...]  # numbers of DataLoader workers that are tried
    fp32: bool  # whether it is held to fp32
    guess: float  # seconds of a step alone on two cores, for the time left; decides nothing
    package: str | None = None  # that it needs


CONTESTANTS = {
    "ours": Contestant("ours", (0,), False, 7),  # which has no DataLoader
    "plain": Contestant("plain", (0, 2), True, 11),
    "advised": Contestant("advised", (0, 1, 2), False, 8),
    "lightning": Contestant("lightning", (0, 2), False, 11, "pytorch-lightning"),
    "timm": Contestant("timm_parts", (0, 2), False, 8, "timm"),
    "ours-fp32": Contestant("ours", (0,), True, 9),
}
MODES = {
    "alone": tuple(CONTESTANTS),
    "one thread": ("ours", "plain", "advised"),
    "side by side": ("ours", "advised", "lightning", "timm"),
}


def steps(setting: Setting) -> Iterator[Step]:
    """Yield what is to be measured, round by round."""
    sizes = QUICK if setting.quick else SIZES
    batches = (sizes.batch,) if setting.quick else BATCHES
    versions = setting.environment["packages"]
    there = [name for name, c in CONTESTANTS.items() if c.package is None or versions[c.package]]
    if setting.precision == "fp32":
        there.remove("ours-fp32")  # it is what `ours` is
    for network in NETWORKS:
        key = {"round": 0, "network": network}
        yield Step(SECTION, key, 3, partial(_needs, setting, network, sizes))
    for number in range(1, setting.rounds + 1):
        yield Step(SECTION, {"round": number, "contestant": "floor"}, 6, partial(_rates, setting))
        for network in list(NETWORKS)[: 1 if setting.quick else None]:
            for batch in batches:
                for mode in MODES if setting.cores > 1 else ["alone"]:
                    if mode == "one thread" and (setting.quick or batch != batches[0]):
                        continue
                    names = [name for name in there if name in MODES[mode]]
                    if mode == "side by side" and batch != batches[0]:
                        names = [name for name in names if name in ("ours", "advised")]
                    shift = number % len(names)  # nobody is always first
                    for name in names[shift:] + names[:shift]:
                        yield _step(
                            setting, replace(sizes, batch=batch), number, network, mode, name
                        )


def best_workers(rows: list[Row]) -> int | None:
    """Return the number of workers with the shortest warm trial of the first round, if any."""
    tried = results.having(rows, {"round": 1, "temperature": "warm"})
    return min(tried, key=lambda row: row["seconds"])["workers"] if tried else None


def _step(setting: Setting, sizes: Sizes, number: int, network: str, mode: str, name: str) -> Step:
    place = {"network": network, "batch": sizes.batch, "mode": mode, "contestant": name}
    contestant = CONTESTANTS[name]
    # Side by side every core has a process already: more than one worker each is never of use.
    most = {"alone": 2, "one thread": 2, "side by side": 1}[mode]
    tried = [count for count in contestant.workers if count <= (0 if setting.quick else most)]
    guess = (
        contestant.guess
        * (len(tried) if number == 1 else 1)
        * (0.7 if network == "depthwise" else 1)
    )
    guess *= {"alone": 1.0, "one thread": 1.6, "side by side": 1.6}[mode]

    def measure() -> list[Row]:
        chosen = best_workers(results.having(results.load(setting.folder, SECTION), place))
        counts = tried if number == 1 or chosen is None else (chosen,)
        return [row for count in counts for row in _measure(setting, sizes, place, number, count)]

    return Step(SECTION, {"round": number} | place, guess, measure)


def _measure(setting: Setting, sizes: Sizes, place: Row, number: int, workers: int) -> list[Row]:
    contestant = CONTESTANTS[place["contestant"]]
    processes = setting.cores if place["mode"] == "side by side" else 1
    threads = setting.cores if place["mode"] == "alone" else 1
    precision = "fp32" if contestant.fp32 else setting.precision

    def turn(first: int) -> list[Row]:
        seeds = range(first, first + processes)
        return [
            setting.job(place["network"], sizes, seed, threads, precision, workers)
            for seed in seeds
        ]

    first = 1000 * number
    turns = fresh.turns(
        f"benchmarks.peers.{contestant.peer}:train", [turn(first), turn(first + processes)], threads
    )
    rows = []
    for temperature, done in zip(("cold", "warm"), turns, strict=True):
        one = done.results[0]
        rows.append(
            {
                "temperature": temperature,
                "precision": precision,
                "processes": processes,
                "threads": threads,
                "workers": workers,
                "seconds": done.seconds / processes,  # per trained (variant, seed)
                "cpu_seconds": done.cpu_seconds / processes,
                "peak_bytes": done.peak_bytes,
                "steps": one["steps"],
                "images": one["images"],
                # Those of all processes: images per second of the training loops.
                "rate": sum(r["images"] / r["train_seconds"] for r in done.results),
                "accuracy": [r["accuracy"] for r in done.results],
            }
        )
    return rows


def _needs(setting: Setting, network: str, sizes: Sizes) -> list[Row]:
    job = setting.job(network, sizes, seed=0, threads=1)
    return [{"needs": fresh.call("benchmarks.floor:needs", job)}]


def _rates(setting: Setting) -> list[Row]:
    seconds = 0.05 if setting.quick else 1.0
    counts = sorted({1, setting.cores})
    return [
        {
            "rates": {
                str(count): fresh.call(
                    "benchmarks.floor:rates", {"threads": count, "seconds": seconds}, count
                )
                for count in counts
            }
        }
    ]
