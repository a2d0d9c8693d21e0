"""Writes the pages: `reports/<suite>/` with its exports, `reports/index.html` and `claims.html`.

A reader never sees half a page: every file is written under another name and renamed, exports
before the page that links to them. What an earlier page had and this one has not is removed; files
that no page made are left alone. Where an earlier page is what would be made again, nothing is done
and no library for tables and figures is loaded.
"""

import contextlib
import json
import os
import re
import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path

from ablate import records
from ablate import study as studies
from ablate.evidence.collect import collect
from ablate.report import kept
from ablate.study import Study

_ID = re.compile(r"[A-Za-z0-9]+(-[A-Za-z0-9]+)*")
_LAST = ("claims.html", "index.html", kept.NAME)  # what is written after all else, in this order


def render(runs: Path, study: Study, reports: Path) -> Path:
    """Write a study's page and exports, from whatever records there are, and return the page.

    Raises:
        ValueError: an id would not do as a file name, an anchor and a LaTeX label.
        NoRoom: the disk is full; the page that was there before may be there still.
    """
    for id in (study.suite, *(comparison.table for comparison in study.comparisons)):
        if not _ID.fullmatch(id):
            raise ValueError(f"{id!r} is no id; it must be letters, digits and single hyphens")
    folder = reports / study.suite
    seen = kept.inputs(runs, study)  # first: what changes from here on is seen the next time
    key = kept.key_of_page(study, seen)
    if kept.is_current(folder, key):
        return folder / "index.html"
    from ablate.report.pages import suite_files
    from ablate.report.suite_page import page

    keys = {asked.id: kept.key_of_figures(study, asked, seen) for asked in study.comparisons}
    times = {asked.id: kept.key_of_times(study, asked, seen) for asked in study.comparisons}
    drawn = kept.figures(folder, [*keys.values(), *times.values()])
    gathered = page(collect(runs, study), drawn)
    files = suite_files(gathered)
    figures = {
        figure.id: (
            (times if figure is section.ecdf else keys)[section.comparison.asked.id],
            figure.drawn,
        )
        for section in gathered.sections
        for figure in section.figures
        if figure.pictures
    }
    return publish(folder, {**files, kept.NAME: kept.made(key, files, figures)})


def render_index(runs: Path, reports: Path, suites: Iterable[Path] = ()) -> Path:
    """Write the page of all suites and that of all claims, over the newest study of each suite.

    Args:
        runs: where the records are.
        reports: where the pages are.
        suites: files of suites, whether or not they were run: what they ask of which register.

    Returns:
        the page of all suites; `claims.html` lies beside it.

    Raises:
        NoRoom: the disk is full; the pages that were there before may be there still.
    """
    newest, unreadable = [], []
    for suite in studies.suites(runs):
        try:
            found = studies.newest(runs, suite)
        except studies.StudyError as error:
            unreadable.append(str(error).replace(f"{runs}{os.sep}", ""))
            continue
        if found is not None:
            newest.append(found)
    paths = sorted(suites)
    keys = {study.id: kept.key_of_page(study, kept.inputs(runs, study)) for study in newest}
    pages = [it.suite for it in newest if (reports / it.suite / "index.html").exists()]

    def key(registers: Iterable[Path]) -> str:
        files = kept.contents([*paths, *registers])
        return kept.key_of_index(keys, unreadable, pages, files)

    if kept.is_current(reports, key(kept.registers(reports))):
        return reports / "index.html"
    from ablate.evidence import gathered
    from ablate.evidence.verdicts import judge
    from ablate.report.claims_page import claims_page
    from ablate.report.index_page import index
    from ablate.report.pages import claims_files, index_files

    evidence = [collect(runs, study) for study in newest]
    judged = {it.study.suite: gathered.Judged(it.study, judge(it)) for it in evidence}
    citing, unread = gathered.read_all(paths)
    noted, unsound = gathered.gather(citing, judged)
    claims = claims_page(noted, judged, pages, [str(error) for error in (*unread, *unsound)])
    files = index_files(index(evidence, unreadable, judged, pages)) | claims_files(claims)
    registers = gathered.own_files(citing)
    return publish(reports, {**files, kept.NAME: kept.made(key(registers), files, {}, registers)})


def publish(folder: Path, files: Mapping[str, bytes]) -> Path:
    """Write files into a folder, the page after its exports, and remove what an earlier call left.

    Raises:
        NoRoom: the disk is full.
    """
    before = _made_before(folder)
    for name in sorted(files, key=lambda name: (name in _LAST, name == kept.NAME, name)):
        _write(folder / name, files[name])
    for name in before - files.keys():
        (folder / name).unlink(missing_ok=True)
    return folder / "index.html"


def _made_before(folder: Path) -> set[str]:
    """Return the names of the files that the page now in a folder was published with."""
    found = set()
    for record in ("manifest.json", kept.NAME):
        try:
            files = json.loads((folder / record).read_text(encoding="utf-8"))["files"]
        except (OSError, ValueError, KeyError, TypeError):
            continue  # no page yet, or not one of ours
        if isinstance(files, list | dict):
            found |= {it for it in files if isinstance(it, str) and Path(it).name == it}
    return found


def _write(path: Path, content: bytes) -> None:
    partial = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(content)
        partial.replace(path)
    except BaseException as error:  # Ctrl-C too: nothing half written is left
        with contextlib.suppress(OSError):
            partial.unlink()
        if isinstance(error, OSError) and (full := records.no_room(error, path)):
            raise full from error
        raise
