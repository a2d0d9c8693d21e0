"""Whether the speed is bought with accuracy: ours beside the plain loop, over seeds.

Both train the same network from the same initial weights on the same images; the order and the
draws of the augmentation are each one's own. The difference of the means is held against a margin
that was set before: equivalent is what has its whole 90 % Welch interval within it, which is two
one-sided tests at 5 % (Schuirmann 1987, doi 10.1007/BF01068419).
"""

from collections.abc import Iterator
from functools import partial

from benchmarks import fresh
from benchmarks.results import Row
from benchmarks.setting import Setting, Sizes, Step

SECTION = "accuracy"
MARGIN = 2.0  # percentage points
SIZES = Sizes(width=16, batch=48, train=5376, epochs=4, test=5000)  # 448 steps, as s7's quick
QUICK = Sizes(width=4, batch=32, train=64, epochs=1, test=20)
GUESSES = {"ours": 15, "plain": 40}  # seconds of a step of two seeds on two cores


def steps(setting: Setting) -> Iterator[Step]:
    """Yield ours and the plain loop in turns, as many seeds at a time as there are cores.

    None with noise for images: there is nothing to learn in it.
    """
    if not setting.photographs:
        return
    for first in range(0, setting.seeds, setting.cores):
        seeds = list(range(first, min(first + setting.cores, setting.seeds)))
        for peer in GUESSES:
            key = {"contestant": peer, "seeds": seeds}
            yield Step(SECTION, key, GUESSES[peer], partial(_measure, setting, peer, seeds))


def _measure(setting: Setting, peer: str, seeds: list[int]) -> list[Row]:
    sizes = QUICK if setting.quick else SIZES
    precision = "fp32" if peer == "plain" else setting.precision
    jobs = [setting.job("normal", sizes, seed, 1, precision) for seed in seeds]
    (turn,) = fresh.turns(f"benchmarks.peers.{peer}:train", [jobs], threads=1)
    return [
        {
            "precision": precision,
            "accuracy": [result["accuracy"] for result in turn.results],
            "steps": turn.results[0]["steps"],
            "seconds": turn.seconds,
        }
    ]
