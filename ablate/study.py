"""Studies: what was asked, written down before the first trial.

`runs/studies/<suite>-<hash>/study.json` holds the resolved suite: every row of every comparison
with its configuration, the ids of the trials, facts and readings it needs, the claims with their
margins, the profile, overrides, data and commit. A report is a function of one study and its
records. Asking the same again adds a line to `asked.jsonl` beside it and changes nothing else.
"""

import contextlib
import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from ablate import records

SCHEMA = 3
_REPAIR = "move it away and run its suite again, which writes it anew and trains nothing"


class StudyError(ValueError):
    """A study that cannot be read or found."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class DataUsed(_Frozen):
    """The data that a comparison's trials were given."""

    name: str  # of the data set that was used: cifar10, folder, photos
    title: str  # how pages call it, e.g. "CIFAR-10 images (folder)"
    digest: str
    requested: str  # of the data set that the suite names
    fallback_reason: str | None = None  # why another one than requested was used
    sizes: dict[str, int]  # images: train, validation, test (as trained: subsets applied)
    notes: list[str] = []  # what a reader must know about it (texture only, lossy files, …)
    clustered: bool = False  # test examples come in clusters that share an origin


class Measure(_Frozen):
    """The metric by which a comparison is read, and its smallest difference that matters."""

    name: str
    title: str
    unit: str
    direction: Literal["higher", "lower"]
    margin: float


class Tuning(_Frozen):
    """What is tuned in a comparison: the same cells for every row."""

    cells: list[dict[str, Any]]  # settings that are tried out, by dotted key
    drawn: bool  # at random, else the cells of a grid
    seeds: list[int]  # of each cell
    score: str  # of the last epoch, by which cells are judged: validation_accuracy


class Tuned(_Frozen):
    """How the settings of one row were chosen."""

    trials: list[dict[int, str]]  # of each cell: seed -> trial id
    chosen: int | None  # the cell that `Row.config` has; None while trials of cells are missing
    seeds: list[int]  # with which the row is trained once its settings are chosen


class Row(_Frozen):
    """One variant under one match: a line of the comparison's table."""

    variant: str
    match: list[str]  # "none", "params", "macs", "compute"; several if one network
    reference: str | None  # the variant it is compared with, as a drop-in; None: with no other
    changes: dict[str, Any]  # the variant's difference from the base, by dotted key
    solved: dict[str, float]  # what matching solved for, as trained, e.g. {"network.width": 37.2}
    full_solved: dict[str, float]  # the same for the full configuration
    residual: float | None  # of the match, as trained: budget / baseline's budget - 1
    full_residual: float | None
    structure: list[str]  # how the built network differs from the baseline's, as lines
    config: dict[str, Any]  # as trained
    full_config: dict[str, Any]  # of the full profile: what the arithmetic facts are about
    trials: dict[int, str]  # seed -> trial id; of all seeds that the study may use
    facts: str  # fact id of the network as trained
    full_facts: str  # fact id of the full network (the same where the two agree)
    readings: dict[int, str] = {}  # seed -> reading id; of the few seeds whose weights are read
    tuned: Tuned | None = None  # None: its settings are those of the suite

    @property
    def seeds(self) -> list[int]:
        """The seeds of its trials, also of those that wait for their settings to be chosen."""
        return self.tuned.seeds if self.tuned and self.tuned.chosen is None else list(self.trials)


class AtBudget(Row):
    """A variant at a multiple of the baseline's budget: a point of a curve, and no row."""

    factor: float  # budget / the baseline's, as asked; `match` names the budget


class Point(_Frozen):
    """What a claim asks of networks that no row has: with other settings, or of two together.

    The network is the full one of a variant, as a drop-in. Two variants are of a claim on what
    their networks compute.
    """

    variants: list[str]
    settings: dict[str, Any]  # dotted path -> value, over the variants' own
    facts: str  # fact id


class ComparisonAsked(_Frozen):
    """One comparison: a factor, its variants, and the claims about them."""

    id: str
    title: str
    table: str  # permanent id, e.g. tbl-s7-depthwise
    baseline: str
    measure: Measure
    data: DataUsed
    rows: list[Row]  # the baseline first
    claims: list[dict[str, Any]]
    # What is measured of the rows' networks on one machine: metric -> ids of its passes.
    passes: dict[str, list[str]] = {}
    margins: dict[str, float] = {}  # of metrics of passes: the smallest ratio - 1 that matters
    readings: list[str] = []  # metrics of the weights before and after training
    tuning: Tuning | None = None  # None: no settings are chosen
    points: list[Point] = []  # facts of further networks, which claims ask for
    budgets: list[AtBudget] = []  # every variant at other widths, the baseline first
    paired: bool = False  # differences are taken seed by seed, as the suite declared
    # seed -> trial id, of the baseline with further seeds: it is held against itself. In no row.
    control: dict[int, str] = {}

    @property
    def is_trained(self) -> bool:
        """Whether any row is trained; else they are measured alone."""
        return any(row.seeds for row in self.rows)


class Study(_Frozen):
    """Everything that was asked of one suite at once."""

    schema_version: int = SCHEMA
    id: str  # <suite>-<hash of everything below but `created`, `commit` and `dirty`>
    suite: str
    title: str
    question: str
    source: dict[str, str] | None
    notes: dict[str, str] = {}  # title by the letter with which claims cite it
    profile: str
    overrides: list[str]
    seeds: list[int]  # of all rows together; `Row.trials` says which a row has
    stop: dict[str, float] | None  # precision stopping: {"until": …, "at_most": …}
    device: str  # cpu, cuda, mps
    precision: str
    engine: int
    comparisons: list[ComparisonAsked]
    requirements: list[dict[str, Any]]
    created: str
    commit: str | None  # of the code, where it runs from a git checkout
    dirty: bool  # the checkout had changes that are in no commit


def folder(runs: Path, id: str) -> Path:
    """Return where a study lies."""
    return runs / "studies" / id


def ask(runs: Path, study: Study) -> Study:
    """Write a study down if it is new, note that it was asked, and return it as first written."""
    place = folder(runs, study.id)
    path = place / "study.json"
    line = json.dumps({"at": datetime.now(UTC).isoformat(), "commit": study.commit})
    if path.exists():
        study = load(runs, study.id)
    else:
        records.write_text(path, json.dumps(study.model_dump(mode="json"), indent=1) + "\n")
    try:
        with (place / "asked.jsonl").open("ab+") as log:
            if log.tell():
                log.seek(-1, os.SEEK_END)
                if log.read(1) != b"\n":  # a full disk cut the last line short
                    line = f"\n{line}"
            log.write(f"{line}\n".encode())
    except OSError as error:
        raise records.no_room(error, place / "asked.jsonl") or error from error
    return study


def load(runs: Path, id: str) -> Study:
    """Read a study.

    Raises:
        StudyError: it is not there, damaged, or of a newer version.
    """
    path = folder(runs, id) / "study.json"
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise StudyError(f"{path}: there is no such study") from error
    except (OSError, ValueError, RecursionError) as error:  # no UTF-8, no JSON
        raise StudyError(f"{path}: damaged: {error}; {_REPAIR}") from error
    if newer := records.is_newer(stored, SCHEMA):
        raise StudyError(f"{path}: {newer}")
    try:
        return Study.model_validate(_of_today(stored))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "study.json"
        raise StudyError(f"{path}: damaged: {where}: {first['msg']}; {_REPAIR}") from error


def _of_today(stored: Any) -> Any:
    """Return a stored study of an older schema as one of this.

    Schema 2 had no readings, and one pass for each metric. Schema 1 compared every row with the
    baseline, and did not say so.
    """
    if not isinstance(stored, dict) or stored.get("schema_version") not in (1, 2):
        return stored
    comparisons = [
        {
            **found,
            "rows": [
                {"reference": found.get("baseline") if at else None, **row}
                for at, row in enumerate(found.get("rows", []))
            ],
            "passes": {metric: [id] for metric, id in found.get("passes", {}).items()},
        }
        for found in stored.get("comparisons", [])
    ]
    return {**stored, "schema_version": SCHEMA, "comparisons": comparisons}


def newest(runs: Path, suite: str) -> Study | None:
    """Return the study of a suite that was asked last, or None if there is none."""
    asked = [(_last_asked(place), place.name) for place in _places(runs)]
    for _, id in sorted(asked, reverse=True):
        if id.rpartition("-")[0] == suite:
            return load(runs, id)
    return None


def suites(runs: Path) -> list[str]:
    """Return the names of the suites that have a study, sorted."""
    return sorted({place.name.rpartition("-")[0] for place in _places(runs)})


def _places(runs: Path) -> Iterator[Path]:
    root = runs / "studies"
    if root.is_dir():
        yield from (place for place in sorted(root.iterdir()) if (place / "study.json").exists())


def _last_asked(place: Path) -> str:
    try:
        lines = (place / "asked.jsonl").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""  # killed before it was noted: the study counts as the oldest
    for line in reversed(lines):
        with contextlib.suppress(ValueError, TypeError, KeyError):  # a line that was cut short
            return str(json.loads(line)["at"])
    return ""
