"""A part of a plan: the trials whose names match a pattern, or those that failed before.

What is asked stays the whole suite: pages say of the rest that it is missing, and another run does
it.
"""

from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path

from ablate import catalog, records
from ablate.suite.planned import Plan, TrialPlan, label_of
from ablate.suite.source import Problem, SuiteError


def part(plan: Plan, runs: Path, pattern: str | None, rerun_failed: bool) -> Plan:
    """Return a plan that runs no more than what was chosen of another.

    What is done already stays in it. Readings go with their trials, and passes, which measure the
    networks of a comparison together, with any row of their comparison.

    Args:
        plan: the whole.
        runs: the folder of all records.
        pattern: of the names of rows, `comparison/variant`, with `*` and `?`; without these two it
            may be any part of a name. None: all.
        rerun_failed: only what failed when it was last run.

    Raises:
        SuiteError: no row has such a name.
    """
    rows = [
        (comparison.id, label_of(comparison.id, row, row is comparison.rows[0]))
        for comparison in plan.study.comparisons
        for row in comparison.rows
    ]
    if pattern is not None and not any(_matches(pattern, label) for _, label in rows):
        hint = catalog.suggest(pattern, [label for _, label in rows])
        raise SuiteError("", "", [Problem("-k", f"no row matches {pattern!r}; {hint}")])

    def is_wanted(kind: records.Kind, id: str, is_matched: bool) -> bool:
        return is_matched and (not rerun_failed or _failed(runs, kind, id))

    def those(trials: list[TrialPlan]) -> list[TrialPlan]:
        return [t for t in trials if t.done or is_wanted("trial", t.id, _matches(pattern, t.label))]

    trials = those(plan.trials)
    taken = {trial.id for trial in trials}
    comparisons = {id for id, label in rows if _matches(pattern, label)}
    timed = {
        id
        for comparison in plan.study.comparisons
        if comparison.id in comparisons
        for ids in comparison.passes.values()
        for id in ids
    }
    return replace(
        plan,
        trials=trials,
        tuning=those(plan.tuning),
        readings=[it for it in plan.readings if it.done or it.trial in taken],
        passes=[it for it in plan.passes if it.done or is_wanted("pass", it.id, it.id in timed)],
    )


def _matches(pattern: str | None, label: str) -> bool:
    if pattern is None:
        return True
    return fnmatchcase(label, pattern if set("*?") & set(pattern) else f"*{pattern}*")


def _failed(runs: Path, kind: records.Kind, id: str) -> bool:
    record = records.read(runs, kind, id)
    return record is not None and record.status == "failed"
