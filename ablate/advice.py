"""What a user should do about what a run showed: a sentence each, with what to type."""

import math
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from ablate.evidence import citable, latency
from ablate.evidence.collect import ComparisonEvidence, Evidence
from ablate.evidence.contrast import Contrast, contrasts
from ablate.evidence.effects import UNKNOWN
from ablate.evidence.spelling import between, counted, listed, number, row_name
from ablate.suite.request import Request


def crowded(load: float | None, cores: int) -> list[str]:
    """Say that other programs compute on this machine, before anything is trained or timed.

    Args:
        load: processes that computed on average of the last minute; None where it is not told.
        cores: that may be used.
    """
    if load is None or load <= cores:
        return []
    return [
        f"the load is {load:.1f} on {counted(cores, 'core')}: other programs compute here too, so "
        "trials take longer than planned and times are noisy; end them for what is timed"
    ]


def afterwards(evidence: Evidence, runs: Path) -> list[str]:
    """Say what of a finished run is noisy, and what to do about it."""
    return [line for found in evidence.comparisons for line in _about(found, runs)]


def next_step(evidence: Evidence, asked: Request, places: Sequence[str], failed: int) -> str:
    """Return the one thing to do next, with what to type.

    Args:
        evidence: what the records say now.
        asked: what was run.
        places: options of the same command that are no part of the request.
        failed: how many trials failed, as opposed to diverged.
    """
    study = evidence.study
    if failed:
        again = command(asked, [*places, "--rerun-failed"])
        return f"`{again}` tries what failed once more"
    trained = [found for found in evidence.comparisons if found.asked.is_trained]
    if missing := sum(citable.missing(study, found) for found in trained):
        return f"`{command(asked, places)}` trains what is missing, {counted(missing, 'trial')}"
    short = [few for found in trained if (few := _epochs_wanted(found)) is not None]
    if short:
        return (
            f"train longer, with recipe.epochs={max(short)} or another profile: below "
            f"{citable.FEWEST_STEPS} optimizer steps short training gives wrong answers"
        )
    planned = [len(row.asked.seeds) for found in trained for row in found.rows if row.trials]
    if planned and min(planned) < citable.FEWEST_SEEDS and study.stop is None:
        more = replace(asked, seeds=str(citable.FEWEST_SEEDS))
        return (
            f"`{command(more, places)}`, since a verdict needs {citable.FEWEST_SEEDS} seeds a row"
        )
    still_open = [c for found in trained for c in contrasts(found) if c.effect == UNKNOWN]
    needed = sorted(filter(None, map(_more_seeds, still_open)))
    if needed and study.stop is None:
        more = replace(asked, seeds=str(needed[0]))
        return (
            f"`{command(more, places)}` shows in 8 of 10 cases one more of "
            f"{counted(len(still_open), 'open difference')}, if it is as large as the margin"
        )
    return f"`ablate cite {study.suite}` lists its tables and figures for your notes"


def command(asked: Request, places: Sequence[str]) -> str:
    """Return what to type for a run.

    Args:
        asked: the request.
        places: further options.
    """
    settings = [
        text for text in asked.overrides if asked.seeds is None or not text.startswith("seeds=")
    ]
    words = ["ablate", "run", asked.suite, *settings]
    for option, value in (
        ("--profile", asked.profile),
        ("--data", asked.data),
        ("--seeds", asked.seeds),
        ("--control", asked.control),
    ):
        if value is not None:
            words += [option, str(value)]
    return shlex.join([*words, *places])


def _about(found: ComparisonEvidence, runs: Path) -> Iterator[str]:
    id = found.asked.id
    for row in found.rows:
        lost = len(row.having("diverged"))
        if lost:
            name = row_name(row.asked, row.is_baseline)
            rate = row.asked.config.get("recipe", {}).get("lr")
            lower = f"recipe.lr is {rate:g} there; " if isinstance(rate, float | int) else ""
            yield (
                f"{id}: {lost} of {counted(len(row.trials), 'trial')} of {name} diverged, which is "
                f"a result and stays in the table; {lower}a lower one, or `tune`, may train it"
            )
    unsteady = [it for it in latency.measured(found) if it.unsteady]
    if unsteady:
        floor, margin = max(it.floor for it in unsteady), unsteady[0].margin
        folders = listed([str(runs / "passes" / it) for it in found.asked.passes[latency.METRIC]])
        yield (
            f"{id}: times are noisy, two copies of one network came out {100 * floor:.1f} % apart "
            f"at {between({it.batch for it in unsteady}, 'image')} a call, above the margin of "
            f"{number(100 * margin, 1)} %, so nothing is said there; on a machine with nothing "
            f"else to do, delete {folders} and run the same again"
        )
    threads = {
        count
        for trial in found.trials().values()
        if trial.record and (count := trial.record.environment.get("threads")) is not None
    }
    if len(threads) > 1:
        yield (
            f"{id}: its trials were trained with {listed(sorted(map(str, threads)))} threads, "
            "which changes rounding and time"
        )


def _epochs_wanted(found: ComparisonEvidence) -> int | None:
    """Return the epochs that make enough optimizer steps, None where there are enough."""
    epochs = []
    for trial in found.trials().values():
        if trial.outcome == "ok" and trial.record and trial.record.epochs and trial.steps:
            per_epoch = trial.steps / trial.record.epochs[-1].epoch
            if trial.steps < citable.FEWEST_STEPS:
                epochs.append(math.ceil(citable.FEWEST_STEPS / per_epoch))
    return max(epochs, default=None)


def _more_seeds(contrast: Contrast) -> int | None:
    """Return the seeds that would tell a difference of the margin's size, if there are fewer."""
    needed = contrast.seeds_to_detect
    return needed if needed is not None and needed > len(contrast.row.values) else None
