"""The registers in use, each row with what the newest studies of all suites found of it.

A register is in use that a suite is about: by its file, if it is there, else by the lines that the
claims of its newest study cite. Where none is, the course's is. What a suite's file asks beyond its
newest study, be it by its profile, stands at its row without a verdict.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from ablate.evidence import register
from ablate.evidence.register import COURSE_FILE, Register
from ablate.evidence.registered import Cited, Entry, join
from ablate.evidence.verdicts import Verdict
from ablate.study import Study
from ablate.suite.source import Problem, SuiteError, parse


@dataclass(frozen=True)
class Citing:
    """A suite, and the lines that its claims cite."""

    name: str
    notes: list[str]
    register: Path | None  # the file of the register that it is about


@dataclass(frozen=True)
class Judged:
    """The newest study of a suite, with the verdicts on its claims."""

    study: Study
    verdicts: Sequence[Verdict]


@dataclass(frozen=True)
class Noted:
    """A register with everything that was found of its rows."""

    path: Path
    register: Register
    entries: tuple[Entry, ...]

    @property
    def file(self) -> str:
        """How messages and pages call it."""
        return name_of(self.path)


def name_of(path: Path) -> str:
    """Return how messages and pages call a register."""
    return path.name if path == COURSE_FILE else os.path.normpath(path)


def read(path: Path) -> Citing:
    """Read off a suite's file what it cites, whether or not it could be run.

    Raises:
        SuiteError: it cannot be read as YAML, or is no mapping.
    """
    stat = path.stat() if path.exists() else None
    return _read(path, stat and (stat.st_mtime_ns, stat.st_size))


@cache  # while a suite runs, the pages are written again and again
def _read(path: Path, _: object) -> Citing:
    source = parse(path, str(path))
    if not isinstance(source.data, dict):
        raise SuiteError(source.name, source.text, [Problem(source.position(()), _NO_SUITE)])
    return of(source.data, path)


def read_all(paths: Iterable[Path]) -> tuple[list[Citing], list[SuiteError]]:
    """Read off suites' files what they cite; also return what is wrong with those that fail."""
    found, wrong = [], []
    for path in paths:
        try:
            found.append(read(path))
        except SuiteError as error:
            wrong.append(error)
    return found, wrong


def own_files(suites: Iterable[Citing]) -> list[Path]:
    """Return the files of the registers that suites are about, without the package's own."""
    found = {it.register for it in suites if it.register not in (None, COURSE_FILE)}
    return sorted(path for path in found if path is not None)


_NO_SUITE = "a suite is a mapping: id, title, question, base, comparisons"


def of(data: Mapping[str, Any], path: Path) -> Citing:
    """Return what a suite cites.

    Args:
        data: of its file, of any shape.
        path: of its file.
    """
    notes = [
        str(claim["note"])
        for comparison in _dicts(data.get("comparisons"))
        for claim in _dicts(comparison.get("claims"))
        if "note" in claim
    ]
    cites = data.get("cites")
    name = data.get("id")
    of_register = register.path_of(cites if isinstance(cites, str) else None, path.parent, notes)
    return Citing(name if isinstance(name, str) else path.stem, notes, of_register)


def _dicts(found: object) -> Iterable[dict[str, Any]]:
    return (it for it in found if isinstance(it, dict)) if isinstance(found, list) else ()


def gather(
    suites: Sequence[Citing], judged: Mapping[str, Judged]
) -> tuple[list[Noted], list[SuiteError]]:
    """Bring rows and verdicts together.

    Args:
        suites: by their files.
        judged: by the suite's name; of suites that have a file and of others.

    Returns:
        the registers in use, and what is wrong with those that cannot be read.
    """
    files = {it.name: it for it in suites}
    found: dict[Path, list[Cited]] = {}
    paths: dict[Path, Path] = {}
    for name in dict.fromkeys([*files, *judged]):
        claims = list(_claims(name, judged[name])) if name in judged else []
        lines = [claim.note for claim in claims]
        path = register.path_of(None, Path(), lines)
        if name in files:
            path = files[name].register
            claims += [Cited(name, note) for note in files[name].notes if note not in lines]
        if path is not None:
            paths.setdefault(path.resolve(), path)
            found.setdefault(path.resolve(), []).extend(claims)
    noted, wrong = [], []
    for path in paths.values() or [COURSE_FILE]:
        try:
            known = load(path)
        except SuiteError as error:
            wrong.append(error)
            continue
        noted.append(Noted(path, known, tuple(join(known, found.get(path.resolve(), [])))))
    return noted, wrong


def load(path: Path) -> Register:
    """Read a register; that which comes with the package once.

    Raises:
        SuiteError: as of `register.load`.
    """
    return register.course() if path == COURSE_FILE else register.load(path)


def _claims(name: str, judged: Judged) -> Iterable[Cited]:
    """Yield the claims of a study with their verdicts."""
    tables = {it.id: it.table for it in judged.study.comparisons}
    for verdict in judged.verdicts:
        note = str(verdict.claim.get("note", ""))
        yield Cited(name, note, verdict, judged.study.id, tables.get(verdict.comparison))
