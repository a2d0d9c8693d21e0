"""An archive of a suite that can be deposited: its pages, and the records that they rest on.

The pages can be made again from the archive, byte for byte, by the same versions of ablate and of
the libraries that it draws with. The archive's own bytes depend on its content alone: names are
sorted and all dates are that of the study. (Another version of zlib may pack the same content into
other bytes; `SHA256SUMS` holds for both.)

What is left out: weights and checkpoints, which are large and which no page shows, tracebacks,
which hold the names of somebody's folders, and every record of other suites.
"""

import hashlib
import importlib.metadata
import json
import os
import platform
import shutil
import uuid
import zipfile
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path

from ablate import __version__, catalog, records, study
from ablate.citing.published import Item
from ablate.evidence.spelling import counted, one_line
from ablate.report import kept
from ablate.study import Study
from ablate.suite.source import parse

_OF_RECORD = ("record.json", "arrays.npz")
_SUMS = "SHA256SUMS"


def stage(runs: Path, asked: Study, suite_file: Path | None, reports: Path, into: Path) -> None:
    """Copy into a folder what the pages of a study are made of, and nothing else.

    Args:
        runs: the folder of all records.
        asked: the study.
        suite_file: of the suite, None where it is not known.
        reports: where its page may lie; figures that need not be drawn again are taken from there.
        into: an empty folder.
    """
    for place in kept.asked(runs, asked).values():
        for name in _OF_RECORD:
            _copy(place / name, into / "runs" / place.relative_to(runs) / name)
    for path in (runs / "studies").glob(f"{asked.suite}-*/study.json"):  # older ones: what changed
        _copy(path, into / "runs" / path.relative_to(runs))
    # The study that is shown is the newest of its suite, however often any was asked for.
    note = study.folder(into / "runs", asked.id) / "asked.jsonl"
    note.write_text(json.dumps({"at": asked.created, "commit": asked.commit}) + "\n", "utf-8")
    (into / "suites").mkdir()
    if suite_file is None:
        said = f"No suite of the name {asked.suite} was found in suites/; study.json holds it."
        (into / "suites" / "README.md").write_text(f"{said}\n", encoding="utf-8")
    else:
        _copy_suite(suite_file, into)
    citation = [folder / "CITATION.cff" for folder in (Path(), catalog.PACKAGE.parent)]
    for path in [path for path in citation if path.exists()][:1]:
        _copy(path, into / path.name)
    for name in (*kept.files(reports / asked.suite), kept.NAME):
        _copy(reports / asked.suite / name, into / "reports" / asked.suite / name)


def describe(folder: Path, asked: Study, items: Iterable[Item]) -> None:
    """Write the archive's own files once its pages are there: README.md and SHA256SUMS."""
    for path in [path for path in folder.rglob(kept.NAME) if path.is_file()]:
        path.unlink()  # of the making of this very page: no part of what it says
    text = "\n".join(_readme(folder, asked, list(items)))
    (folder / "README.md").write_text(f"{text}\n", encoding="utf-8")
    sums = [
        f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}\n"
        for name in _names(folder)
        if name != _SUMS
    ]
    (folder / _SUMS).write_text("".join(sums), encoding="utf-8")


def pack(folder: Path, asked: Study, out: Path) -> int:
    """Write a folder as a ZIP archive, whole or not at all, and return the archive's bytes.

    Raises:
        NoRoom: the disk is full; what was there before is intact.
        OSError: the archive cannot be written there.
    """
    made = datetime.fromisoformat(asked.created)
    partial = out.with_name(f".{out.name}.{uuid.uuid4().hex[:8]}")
    try:
        with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as archive:
            for name in _names(folder):
                entry = zipfile.ZipInfo(f"{asked.id}/{name}", made.timetuple()[:6])
                entry.create_system, entry.external_attr = 3, 0o644 << 16  # Unix, rw-r--r--
                entry.compress_type = zipfile.ZIP_DEFLATED
                archive.writestr(entry, (folder / name).read_bytes())
        os.replace(partial, out)
    except BaseException as error:  # Ctrl-C too: nothing half written is left
        partial.unlink(missing_ok=True)
        if isinstance(error, OSError) and (full := records.no_room(error, out)):
            raise full from error
        raise
    return out.stat().st_size


def not_to_cite(items: Iterable[Item], most: int | None = None) -> list[str]:
    """Return what may not be cited, a line for each reason with the ids that it is of.

    Args:
        items: of the page.
        most: how many ids a line names; None: all.
    """
    of: dict[str, list[str]] = {}
    for item in items:
        for reason in item.screening:
            of.setdefault(one_line(reason), []).append(item.id)
    return [
        f"{reason} ({', '.join(ids[:most])}{f' and {left} more' if left > 0 else ''})"
        for reason, ids in of.items()
        for left in [len(ids) - (most or len(ids))]
    ]


def _copy_suite(suite_file: Path, into: Path) -> None:
    """Copy a suite's file, and the plugins and the register that it names beside or above it."""
    _copy(suite_file, into / "suites" / suite_file.name)
    data = parse(suite_file, str(suite_file)).data
    data = data if isinstance(data, dict) else {}
    plugins = data.get("plugins")
    for named in [*(plugins if isinstance(plugins, list) else []), data.get("cites")]:
        if isinstance(named, str):
            target = Path(os.path.normpath(into / "suites" / named))
            if target.is_relative_to(into):
                _copy(suite_file.parent / named, target)


def _copy(source: Path, target: Path) -> None:
    if source.is_file():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)


def _names(folder: Path) -> list[str]:
    found = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return sorted(path.as_posix() for path in found)


def _readme(folder: Path, asked: Study, items: Sequence[Item]) -> Iterable[str]:
    suite = asked.suite
    code = "an unknown commit"
    if asked.commit:
        code = f"commit {one_line(asked.commit)}{', with changes' if asked.dirty else ''}"
    trials = sum(1 for _ in folder.glob("runs/trials/*/record.json"))
    yield f"# {one_line(asked.title)}"
    yield ""
    profile = f"profile `{one_line(asked.profile)}`, asked {asked.created[:10]}"
    yield f"{one_line(asked.question)} Everything that the suite `{suite}` found, and what it rests"
    yield f"on: study `{asked.id}`, {profile},"
    yield f"{counted(trials, 'trial')}, by {code}. Open `reports/index.html`."
    yield ""
    yield "| here | is |"
    yield "|---|---|"
    yield f"| `reports/{suite}/index.html` | the page; it needs no network and no script |"
    yield f"| `reports/{suite}/tbl-*`, `fig-*` | every table as CSV, Markdown and LaTeX, every |"
    yield "| | figure as SVG, PDF and PNG |"
    yield f"| `reports/{suite}/runs.csv`, `curves.csv` | every number of every trial, every epoch |"
    yield f"| `reports/{suite}/manifest.json`, `cite.bib` | what was asked, fingerprints, BibTeX |"
    yield "| `runs/studies` | what was asked, and when, with every setting (`study.json`) |"
    yield "| `runs/trials`, `facts`, `passes`, `readings` | raw records, without weights |"
    yield "| `suites` | the suite's file as it was when this archive was made |"
    yield f"| `CITATION.cff`, `{_SUMS}` | how to cite the software; checksums |"
    yield ""
    yield "## Check it, and make the pages again"
    yield ""
    yield "```sh"
    yield f"sha256sum --check {_SUMS}"
    yield f"python -m ablate report {suite}  # here; the same bytes by the same versions"
    yield "```"
    yield ""
    yield f"Made by ablate {__version__} with {', '.join(_versions())}."
    yield ""
    yield "## What may not be cited"
    yield ""
    reasons = not_to_cite(items)
    yield from [f"* {reason}" for reason in reasons] or ["Everything here may be cited."]
    yield ""
    yield "## Tables and figures"
    yield ""
    yield "An id and a fingerprint of its data stand for good; `ablate verify` compares them with"
    yield "the numbers of another time."
    yield ""
    for item in items:
        yield f"* `{item.id}`, data `{item.fingerprint}`: {one_line(item.title)}"


def _versions() -> Iterable[str]:
    """Yield what draws and writes pages, with its version."""
    yield f"Python {platform.python_version()}"
    for name in kept.LIBRARIES:
        try:
            yield f"{name} {importlib.metadata.version(name)}"
        except importlib.metadata.PackageNotFoundError:
            continue
