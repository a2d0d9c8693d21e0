"""The reasons why the trained numbers of a comparison may not be cited.

Whether numbers may be cited is computed from what happened, never from the name of a profile. What
may not is labelled "screening". Arithmetic (parameters, MACs, receptive field) is not concerned.
"""

from collections.abc import Sequence

from ablate.evidence import latency
from ablate.evidence.collect import ComparisonEvidence, RowEvidence
from ablate.evidence.spelling import between, counted, listed, row_name
from ablate.evidence.stop import settled_comparison
from ablate.study import Study

FEWEST_SEEDS = 5
FEWEST_STEPS = 450  # With 40 steps a variant stood 19 points below its twin, with 471 steps 3.6.
MOST_DIVERGED = 0.2  # of a row's trials; beyond it, a mean over the survivors describes no row
MOST_NAMED = 6  # rows in one sentence; of more, only the number is given


def reasons(study: Study, comparison: ComparisonEvidence) -> list[str]:
    """Return why a comparison's trained numbers may not be cited, as sentences; [] if they may.

    [] too where nothing is trained, so that there are none.
    """
    if not comparison.asked.is_trained:
        return []
    changed = [comparison.margin_changed] if comparison.margin_changed else []
    return [*_data(comparison), *_trials(study, comparison), *changed, *_code(study)]


def missing(study: Study, comparison: ComparisonEvidence) -> int:
    """Return how many trials are still to be run.

    Where seeds are added until the intervals are narrow, none are missing once they are.
    """
    if waiting := sum(len(row.asked.seeds) - len(row.trials) for row in comparison.rows):
        return waiting  # for tuning to choose their settings
    if settled_comparison(study, comparison):
        return 0
    return sum(trial.outcome == "missing" for trial in comparison.trials().values())


def of_times(study: Study, found: Sequence[latency.Measured]) -> list[str]:
    """Return why the times of a comparison may not be cited, as sentences; [] if they may."""
    reasons = []
    if (processes := min(one.processes for one in found)) < latency.CITABLE:
        reasons.append(f"Timed in {processes} of the {latency.CITABLE} processes that it takes.")
    if any(one.unsteady for one in found):
        reasons.append("The A/A control came out above the margin.")
    return [*reasons, *_code(study)]


def of_peaks(study: Study) -> list[str]:
    """Return why the peaks of memory of a study may not be cited, as sentences; [] if they may."""
    return _code(study)


def _data(comparison: ComparisonEvidence) -> list[str]:
    data = comparison.data
    if data.fallback_reason is None:
        return []
    why = data.fallback_reason.strip().rstrip(".")
    return [f"The data are {data.name}, in place of {data.requested}: {why}."]


def _trials(study: Study, comparison: ComparisonEvidence) -> list[str]:
    found: list[str] = []
    if absent := missing(study, comparison):
        total = max(absent, len(comparison.trials()))
        found.append(f"{absent} of {counted(total, 'trial')} {_are(absent)} missing.")
    lost = [t for t in comparison.trials().values() if t.outcome in ("failed", "invalid")]
    if lost:
        found.append(f"{counted(len(lost), 'trial')} failed or left no result.")
    few = [
        row
        for row in comparison.rows
        if row.trials and len(row.values) < FEWEST_SEEDS and not row.is_fixed
    ]
    if few:
        found.append(f"Fewer than {FEWEST_SEEDS} seeds: {_few(few)}.")
    # A network without parameters takes no steps: there is nothing to train.
    taken = [t.steps for t in comparison.trials().values() if t.outcome == "ok"]
    steps = [count for count in taken if count is not None]
    if steps and min(steps) < FEWEST_STEPS:
        found.append(
            f"Trained for {counted(min(steps), 'step')}; below {FEWEST_STEPS}, a difference may be "
            "no more than one of learning speed."
        )
    if gone := [row for row in comparison.rows if _diverged(row) > MOST_DIVERGED]:
        found.append(
            "Too many trials diverged for a mean over the rest to speak for the row: "
            + listed([row_name(row.asked, row.is_baseline) for row in gone])
            + "."
        )
    return found


def _few(rows: list[RowEvidence]) -> str:
    if len(rows) > MOST_NAMED:
        return f"{len(rows)} rows have {between({len(row.values) for row in rows}, 'seed')}"
    return listed([f"{row_name(row.asked, row.is_baseline)} has {len(row.values)}" for row in rows])


def _code(study: Study) -> list[str]:
    if study.commit is None:
        return ["No commit is on record, so the code that made the numbers cannot be named."]
    if study.dirty:
        return ["The code held changes that are in no commit."]
    return []


def _diverged(row: RowEvidence) -> float:
    ended = len(row.having("ok", "diverged"))
    return len(row.having("diverged")) / ended if ended else 0.0


def _are(n: int) -> str:
    return "is" if n == 1 else "are"
