"""The commands about citing: from pages into notes, back to today's numbers, and an archive."""

import contextlib
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from ablate import catalog, records, study
from ablate.citing import blocks, formats, freeze, published, texts, verify
from ablate.citing.published import Item
from ablate.cli import Exit
from ablate.evidence.spelling import byte_count, counted
from ablate.suite.load import available
from ablate.suite.source import Problem, SuiteError

Known = dict[str, dict[str, Item]]  # what can be cited, by suite and id


def cite(suite: str, id: str | None, format: str, runs: Path, reports: Path) -> None:
    """Print a table or a figure as text to paste; without an id, what there is to be cited.

    Raises:
        SuiteError: there is no such suite, table, figure or format.
    """
    known = _items(suite, runs, reports)
    if id is None:
        print("\n".join(published.listing(known)))
        return
    item = published.find(known, id)
    print(formats.text(item, format, Path()))
    for reason in item.screening:
        print(f"not to be cited: {reason}", file=sys.stderr)


def check(
    targets: Sequence[Path], id: str | None, fingerprint: str | None, runs: Path, reports: Path
) -> Exit:
    """Say whether numbers that were cited still hold; return the exit code.

    Args:
        targets: files of notes; or, with the two that follow, one suite.
        id: of a table or a figure.
        fingerprint: that it had when it was cited.
        runs: the folder of all records.
        reports: the folder of the pages.

    Raises:
        SuiteError: a file cannot be read, or what was asked for is not clear.
    """
    if id is not None or fingerprint is not None:
        if id is None or fingerprint is None or len(targets) != 1:
            raise _refused("verify", "--table and --data go together, with one suite")
        suite = str(targets[0])
        known = {suite: _items(suite, runs, reports)}
        found = [verify.judge(verify.Citation(suite, id, fingerprint, 0, ()), known)]
        if published.suite_of(id, known) is None:
            raise _refused("verify", published.unknown(known[suite], id))
    else:
        for name in map(str, targets):
            if not Path(name).exists() and name in _suites(runs, reports):
                raise _refused("verify", f"of {name}, say what: --table ID --data FINGERPRINT")
        cited = [one for notes in _read(targets) for one in verify.citations(notes)]
        known = _known([one.id for one in cited], runs, reports)
        found = [verify.judge(one, known) for one in cited]
    for one in found:
        print(one)
    print(verify.summary(found, map(str, targets)), file=sys.stderr)
    return Exit.OK if all(one.standing == "holds" for one in found) else Exit.STALE


def update(files: Sequence[Path], only_check: bool, runs: Path, reports: Path) -> Exit:
    """Refresh the marked blocks of files, or say which are stale; return the exit code.

    Raises:
        SuiteError: anything is wrong in any file; nothing was written then.
    """
    notes = _read(files)
    found = [blocks.find(one) for one in notes]
    if problems := [problem for _, wrong in found for problem in wrong]:
        raise SuiteError("", "", problems)
    known = _known([block.id for in_file, _ in found for block in in_file], runs, reports)
    per_file = [(one, in_file) for one, (in_file, _) in zip(notes, found, strict=True)]
    refreshed = blocks.refresh(per_file, known)
    for one in refreshed:
        for block in one.stale:
            print(f"{block.where}: {block.id} {'is stale' if only_check else 'is refreshed'}")
        if only_check:
            print(one.diff, end="")
        elif one.stale:
            texts.replace(one.notes.path, one.content)
    for id in dict.fromkeys(block.id for one in refreshed for block in one.blocks):
        suite = published.suite_of(id, known)
        for reason in known[suite][id].screening if suite else ():
            print(f"{id} is not to be cited: {reason}", file=sys.stderr)
    total, stale = (sum(len(getattr(it, name)) for it in refreshed) for name in ("blocks", "stale"))
    word = "stale" if only_check else "refreshed"
    print(f"{counted(total, 'block')}, {stale} {word}", file=sys.stderr)
    return Exit.STALE if only_check and stale else Exit.OK


def archive(suite: str, out: Path | None, runs: Path, reports: Path) -> None:
    """Write an archive of a suite that can be deposited.

    Raises:
        SuiteError: the suite was never run, or the archive cannot be written there.
    """
    from ablate.commands import render

    asked = _newest(suite, runs)
    if asked is None:
        known = study.suites(runs)
        hint = f"; {catalog.suggest(suite, known)}" if known else ""
        message = f"there are no records of {suite!r} under {runs}; `ablate run` makes them{hint}"
        raise _refused("freeze", message)
    path = out or Path(f"{asked.id}.zip")
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        freeze.stage(runs, asked, available().get(suite), reports, folder)
        with contextlib.chdir(folder):  # what a page says of suites it reads in ./suites
            render(Path("runs"), Path("reports"), asked)
        items = published.items(folder / "reports", suite)
        freeze.describe(folder, asked, items.values())
        try:
            size = freeze.pack(folder, asked, path)
        except records.NoRoom:
            raise
        except OSError as error:
            message = f"{path} cannot be written: {error.strerror}"
            raise _refused("freeze", message) from error
    print(f"{path}  {byte_count(size)}")
    for line in freeze.not_to_cite(items.values(), most=4):
        print(f"not to be cited: {line}", file=sys.stderr)


def _items(suite: str, runs: Path, reports: Path) -> dict[str, Item]:
    """Return what can be cited of a suite, its page brought up to date where records are."""
    from ablate.commands import render

    asked = _newest(suite, runs)
    if asked is not None:
        render(runs, reports, asked)
    elif suite not in (known := _suites(runs, reports)):
        hint = f"; {catalog.suggest(suite, known)}" if known else ""
        message = f"there is no page of {suite!r} under {reports}, nor records under {runs}"
        raise _refused("cite", f"{message}; `ablate run` makes both{hint}")
    return published.items(reports, suite)


def _known(ids: Iterable[str], runs: Path, reports: Path) -> Known:
    """Return what can be cited of the suites that ids are of; of the others, that they are there.

    Where no id is of any, no page is brought up to date.
    """
    suites = _suites(runs, reports)
    wanted = {published.suite_of(id, suites) for id in ids}
    return {suite: _items(suite, runs, reports) if suite in wanted else {} for suite in suites}


def _suites(runs: Path, reports: Path) -> list[str]:
    return sorted({*study.suites(runs), *published.suites(reports)})


def _newest(suite: str, runs: Path) -> study.Study | None:
    return study.newest(runs, suite)


def _read(files: Sequence[Path]) -> list[texts.Notes]:
    """Read files, each once; what is wrong is said of all at once."""
    found, problems, seen = [], [], set[Path]()
    for path in files:
        if path.resolve() not in seen:
            seen.add(path.resolve())
            try:
                found.append(texts.read(path))
            except SuiteError as error:
                problems += error.problems
    if problems:
        raise SuiteError("", "", problems)
    return found


def _refused(command: str, message: str) -> SuiteError:
    return SuiteError("", "", [Problem(command, message)])
