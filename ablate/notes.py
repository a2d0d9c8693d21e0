"""The commands about notes: registers of what they claim, and what all suites found of it."""

import json
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from ablate import study
from ablate.cli import Exit
from ablate.evidence import gathered, register
from ablate.evidence.collect import collect
from ablate.evidence.gathered import Citing, Judged
from ablate.evidence.register import COURSE_FILE, Register
from ablate.evidence.registered import Cited, Entry, as_json, heading, join, lines
from ablate.evidence.spelling import counted, listed
from ablate.evidence.verdicts import judge
from ablate.suite.load import available
from ablate.suite.source import Problem, SuiteError, parse
from ablate.suite.structure import structure

_SKELETON = """\
# What my notes claim, a row for each claim.
#
# `row` is its number, which it keeps for ever. `note` is the note and the line of the claim, and
# a further claim on that line has a letter behind it (N:12b). `says` has the note's own words.
# `kinds` say what is needed to judge it:
#   S  arithmetic: shapes, parameters, MACs, receptive fields, exact equality; nothing is trained
#   X  a census of published architectures
#   L  latency or memory
#   T  trained networks
#   P  a protocol or an assignment
#   D  a definition or a pointer: nothing to judge
# A row on which there can be no verdict says why: untestable: "what is meant is not said".
title: My notes

notes:
  N: {title: "The first lecture"}  # and url: "https://…", where they can be read

rows:
  - {row: 1, note: "N:12", says: "two 3x3 have fewer parameters than one 5x5", kinds: [S]}
  - {row: 2, note: "N:12b", says: "and they are as good", kinds: [T]}
  - {row: 3, note: "N:30", says: "a kernel is also called a filter", kinds: [D]}

# The numbers of rows that no suite tests yet; `ablate notes check` says which others there are.
later: [1, 2]

# Claims that do not go together. Each side cites rows, or has words alone.
contradictions:
  - topic: Are two 3x3 as good as a 5x5?
    sides:
      - [{note: "N:12b", says: as good}]
      - [{says: "practice: many networks begin with a 7x7"}]
"""


def new(file: Path) -> None:
    """Write the skeleton of a register.

    Raises:
        SuiteError: the file is there already, or cannot be written.
    """
    if file.suffix not in (".yaml", ".yml"):
        raise _refused("notes new", f"a register is a YAML file; write {file.name}.yaml")
    if _same(file.parent, Path("suites")):
        there = f"every YAML file in suites/ is a suite; write it elsewhere, as {file.name}"
        raise _refused("notes new", there)
    try:
        with file.open("x", encoding="utf-8") as out:
            out.write(_SKELETON)
    except FileExistsError as error:
        message = f"{file} is there already, and is left as it is; choose another name"
        raise _refused("notes new", message) from error
    except OSError as error:
        raise _refused("notes new", f"{file} cannot be written: {error.strerror}") from error
    print(
        f"{file} is written, with three rows to be replaced by yours. Then\n"
        f"  ablate notes check {file}\n"
        "    says what is wrong in it, and which rows no suite tests\n"
        f"  cites: {os.path.relpath(file, 'suites')}\n"
        "    in a suite of suites/ says that its claims are of this register\n"
        "  ablate verdicts --all\n"
        "    brings its rows and the verdicts of all suites together"
    )


def check(files: Sequence[Path]) -> None:
    """Say of registers which rows no suite tests; of those that suites cite where none is given.

    Raises:
        SuiteError: a register or a suite is wrong.
    """
    suites = _suites()
    chosen = [(path, register.load(path)) for path in files] or list(_cited(suites))
    for number, (path, known) in enumerate(chosen):
        own = [it for it in suites if it.register is not None and _same(it.register, path)]
        entries = join(known, (Cited(it.name, note) for it in own for note in it.notes))
        print("\n" * (number > 0) + "\n".join(_checked(path, known, entries, own)))


def _checked(
    path: Path, known: Register, entries: Sequence[Entry], own: Sequence[Citing]
) -> Iterator[str]:
    """Yield what there is to say of a register and the suites that are about it."""
    tested = [entry for entry in entries if entry.is_tested]
    names = listed([it.name for it in own])
    what = [f"{len(tested)} tested by {names}" if own else "no suite is about it"]
    definitions = sum(entry.row.is_definition for entry in entries)
    what += [counted(definitions, "definition")] * (definitions > 0)
    what += [f"{len(known.later)} for later"] * bool(known.later)
    yield f"{gathered.name_of(path)}: {counted(len(entries), 'row')}: {', '.join(what)}"
    missing = untested(known, entries)
    if missing:
        yield "  no suite tests these rows; cite them in a claim, or write them under `later`:"
        yield from (f"    {heading(entry.row)}" for entry in missing)
    stale = [str(entry.row.row) for entry in tested if entry.row.row in known.later]
    if stale:
        yield f"  tested now, so no longer for later: {', '.join(stale)}"
    for suite in own:
        for note in dict.fromkeys(suite.notes):
            if (hint := known.unknown(note)) is not None:
                yield f"  {suite.name} cites {note}, which is no row; {hint}"


def untested(known: Register, entries: Sequence[Entry]) -> list[Entry]:
    """Return the rows that no suite tests, and that do not say why."""
    return [
        entry
        for entry in entries
        if not entry.is_tested
        and not entry.row.is_definition
        and entry.row.untestable is None
        and entry.row.row not in known.later
    ]


def verdicts(
    as_json_: bool, strict: bool, runs: Path, page: Path = Path("reports/claims.html")
) -> Exit:
    """Print all rows of the registers in use with what the newest studies found of them.

    Args:
        as_json_: for programs.
        strict: whether a claim that does not hold is an exit code.
        runs: where the records are.
        page: that says the same, where there is one; nothing is written.
    """
    suites = _suites()
    judged = {}
    for name in study.suites(runs):
        newest = study.newest(runs, name)
        if newest is not None:
            judged[name] = Judged(newest, judge(collect(runs, newest)))
    found, wrong = gathered.gather(suites, judged)
    if wrong:
        raise wrong[0]
    if as_json_:
        everything = [{"file": it.file} | as_json(it.register, it.entries) for it in found]
        print(json.dumps({"registers": everything}, indent=1))
    else:
        print("\n\n".join("\n".join(lines(it.register, it.entries)) for it in found))
        said = f"with filters: {page}" if page.exists() else f"`ablate report` writes {page} of it"
        print(f"\nas a page, {said}", file=sys.stderr)
    fails = any(verdict.fails for it in judged.values() for verdict in it.verdicts)
    return Exit.REFUTED if strict and fails else Exit.OK


def _suites() -> list[Citing]:
    """Return what all suites of the working directory cite.

    Raises:
        SuiteError: one is wrong in its form.
    """
    found = []
    for path in available().values():
        source = parse(path, str(path))
        form = structure(source)
        if form.problems:
            raise SuiteError(source.name, source.text, form.problems)
        assert isinstance(source.data, dict)  # or its form would have a problem
        found.append(gathered.of(source.data, path))
    return found


def _cited(suites: Sequence[Citing]) -> Iterator[tuple[Path, Register]]:
    """Yield the registers that suites are about; the course's where there are none."""
    files = {it.register.resolve(): it.register for it in suites if it.register is not None}
    for path in files.values() or [COURSE_FILE]:
        yield path, gathered.load(path)


def _same(one: Path, other: Path) -> bool:
    return one.resolve() == other.resolve()


def _refused(where: str, message: str) -> SuiteError:
    return SuiteError("", "", [Problem(where, message)])
