"""What a plan is: a study with the state of everything that it needs. Making one is in `plan.py`.

Trials go seed by seed, all variants of one seed before the next, so that a run that is interrupted
is balanced, and drift of the machine falls on all variants alike.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ablate import records
from ablate.records import Record
from ablate.study import ComparisonAsked, Row, Study
from ablate.suite.tune import shown


@dataclass(frozen=True)
class TrialPlan:
    """One trial of the plan and what is known of it."""

    id: str
    seed: int
    comparison: str  # that needs it first
    label: str  # of the row there: "depthwise/normal"
    job: dict[str, Any]  # for the executor; of a plan that was remembered {}, all of it being done
    done: bool
    seconds: float  # what it took, or is expected to take

    @property
    def name(self) -> str:
        """How people are told of it."""
        return f"{self.label} seed {self.seed}"


@dataclass(frozen=True)
class PassPlan:
    """What is measured over the networks of a comparison together, and what is known of it."""

    id: str
    name: str  # for people: "latency of depthwise, process 1 of 3"
    job: dict[str, Any]  # for the executor; as of a trial
    done: bool
    seconds: float
    # Passes of one number may be measured in one process, one after the other; None: in none but
    # its own.
    process: int | None = None


@dataclass(frozen=True)
class ReadingPlan:
    """What is measured of a trial's weights, and what is known of it."""

    id: str
    trial: str
    name: str  # for people: "reading of conv/normal seed 0"
    job: dict[str, Any]  # for the executor; as of a trial
    done: bool
    seconds: float


@dataclass(frozen=True)
class Following:
    """The trials of a row that follow when its settings are chosen."""

    label: str  # of the row, as of a trial
    count: int
    seconds: float  # that each is expected to take


@dataclass(frozen=True)
class Basis:
    """What of a plan follows from what is asked, whatever records there are."""

    study: Study
    notices: list[str]
    # Trial id → how many core-seconds of the full profile stand for each second of that trial. None
    # where the plan is of the full profile itself, or its trials are too short to tell.
    full: dict[str, float] | None
    too_few: list[str] = field(default_factory=list)  # what `--strict` refuses, in words


@dataclass(frozen=True)
class Plan:
    """Everything that `ablate run` will do, before it does it."""

    study: Study
    trials: list[TrialPlan]  # each once, seed-major
    passes: list[PassPlan]  # after the trials, one at a time
    facts: dict[str, Record]
    damaged: list[str]  # records that were set aside, in words
    notices: list[str]  # what the user should know before paying for it
    other: tuple[str, float] | None  # another profile and its core-seconds, for who wants more
    basis: Basis | None = None
    # After the trials, before the passes; those that nothing can be read for are left out.
    readings: list[ReadingPlan] = field(default_factory=list)
    # Before the trials, which follow from them where they are tuned.
    tuning: list[TrialPlan] = field(default_factory=list)
    following: list[Following] = field(default_factory=list)

    @property
    def missing_tuning(self) -> list[TrialPlan]:
        """The trials of tuning that are yet to be run, in order."""
        return [trial for trial in self.tuning if not trial.done]

    @property
    def too_few(self) -> list[str]:
        """What is said of claims that have fewer seeds than their verdicts need."""
        return self.basis.too_few if self.basis is not None else []

    @property
    def missing(self) -> list[TrialPlan]:
        """The trials that are yet to be run, in order."""
        return [trial for trial in self.trials if not trial.done]

    @property
    def missing_readings(self) -> list[ReadingPlan]:
        """The readings that are yet to be taken, in order."""
        return [found for found in self.readings if not found.done]

    @property
    def missing_passes(self) -> list[PassPlan]:
        """The passes that are yet to be measured, in order."""
        return [found for found in self.passes if not found.done]


@dataclass(frozen=True)
class Slot:
    """A trial that a study asks for."""

    id: str
    seed: int
    comparison: str
    label: str


def slots(study: Study) -> list[Slot]:
    """Return the trials of a study, each once, in the order in which they are to run."""
    found: dict[str, Slot] = {}
    for comparison in study.comparisons:
        for row in comparison.rows:
            label = label_of(comparison.id, row, row is comparison.rows[0])
            for seed, id in row.trials.items():
                if id not in found:
                    found[id] = Slot(id, seed, comparison.id, label)
    for comparison in study.comparisons:
        for point in comparison.budgets:
            label = f"{comparison.id}/{point.variant} ({point.factor:g}x {point.match[0]})"
            for seed, id in point.trials.items():
                found.setdefault(id, Slot(id, seed, comparison.id, label))
        label = f"{comparison.id}/{comparison.baseline} (control)"
        for seed, id in comparison.control.items():
            found.setdefault(id, Slot(id, seed, comparison.id, label))
    place = {seed: number for number, seed in enumerate(study.seeds)}
    # Seeds of no row are a control's: last, one after the other.
    return sorted(found.values(), key=lambda slot: (place.get(slot.seed, len(place)), slot.seed))


def label_of(comparison: str, row: Row, is_baseline: bool) -> str:
    """Return how people are told of a row's trials: `depthwise/separable (equal params)`."""
    label = f"{comparison}/{row.variant}"
    if row.match != ["none"] and not is_baseline:
        label += f" (equal {', '.join(m for m in row.match if m != 'none')})"
    return label


def tuning_slots(study: Study) -> list[Slot]:
    """Return the trials of a study's tuning, each once: all rows of a cell before the next."""
    found: dict[str, Slot] = {}
    for comparison in study.comparisons:
        for at, cell in enumerate(comparison.tuning.cells if comparison.tuning else []):
            for row in comparison.rows:
                of_row = label_of(comparison.id, row, row is comparison.rows[0])
                label = f"{of_row} tried with {shown(cell)}"
                for seed, id in row.tuned.trials[at].items() if row.tuned else ():
                    found.setdefault(id, Slot(id, seed, comparison.id, label))
    return list(found.values())


def tuning_alone(plan: Plan) -> Plan:
    """Return the tuning of a plan as a plan of its own, to be run first."""
    study = plan.study.model_copy(update={"stop": None})
    return replace(plan, study=study, trials=plan.tuning, passes=[], readings=[], tuning=[])


@dataclass(frozen=True)
class ReadingSlot:
    """A reading that a study asks for."""

    id: str
    trial: str
    name: str


def reading_slots(study: Study) -> list[ReadingSlot]:
    """Return the readings of a study, each once, in the order of their trials."""
    rows = [row for comparison in study.comparisons for row in comparison.rows]
    of_trial: dict[str, list[str]] = {}  # more than one where comparisons ask for other metrics
    for row in rows:
        for seed, id in row.readings.items():
            of_trial.setdefault(row.trials[seed], []).append(id)
    return [
        ReadingSlot(id, slot.id, f"reading of {slot.label} seed {slot.seed}")
        for slot in slots(study)
        for id in dict.fromkeys(of_trial.get(slot.id, []))
    ]


def bring_together(
    basis: Basis,
    trials: list[TrialPlan],
    passes: list[PassPlan],
    facts: dict[str, Record],
    damaged: list[str],
    commits: Iterable[str | None],
    readings: list[ReadingPlan],
    tuning: list[TrialPlan],
    following: list[Following],
) -> Plan:
    """Return the plan of a basis and what there is.

    Args:
        basis: what is asked.
        trials: as `slots` has them.
        passes: of all comparisons.
        facts: by id.
        damaged: what was set aside, in words.
        commits: of the trials that are there already: what code each was trained by.
        readings: as `reading_slots` has them, but for those that nothing can be read for.
        tuning: as `tuning_slots` has them.
        following: of rows whose settings are not chosen yet.
    """
    other = None
    if basis.full is not None:
        full = basis.full
        other = ("full", sum(trial.seconds * full.get(trial.id, 0.0) for trial in trials))
    said = [*basis.notices, *_other_code(commits, basis.study.commit)]
    if unread := len(reading_slots(basis.study)) - len(readings):
        said.append(
            f"{unread} {'reading' if unread == 1 else 'readings'} cannot be taken: the trials have "
            "no weights (they diverged, or their weights were deleted)"
        )
    return Plan(
        *(basis.study, trials, passes, facts, damaged, said, other, basis, readings),
        *(tuning, following),
    )


def _other_code(commits: Iterable[str | None], current: str | None) -> list[str]:
    """Say which trials come from other code; what changes their result changes `ENGINE`."""
    others = Counter(commit for commit in commits if commit and current and commit != current)
    return [
        f"{count} trials that are there already come from commit {commit[:12]}"
        for commit, count in others.items()
        if commit
    ]


def stored(runs: Path, kind: records.Kind, id: str, damaged: list[str]) -> Record | None:
    """Return a record; set a damaged one aside, name it in `damaged` and return None.

    Raises:
        NewerRecord: it is of a newer version of ablate.
    """
    try:
        return records.read(runs, kind, id)
    except records.NewerRecord:
        raise
    except records.DamagedRecord as error:
        moved = records.set_aside(runs, kind, id)
        damaged.append(f"{error}; set aside as {moved}, it is made again")
        return None


def by_row(plan: Plan) -> Iterator[tuple[ComparisonAsked, Row, int, int]]:
    """Yield every row, then every point of a curve, with its trials that are done and planned."""
    done = {trial.id for trial in plan.trials if trial.done}
    for comparison in plan.study.comparisons:
        for row in (*comparison.rows, *comparison.budgets):
            yield comparison, row, len(done & set(row.trials.values())), len(row.trials)
