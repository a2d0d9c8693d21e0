"""An archive to deposit: whole, the same bytes each time, and enough to make the pages again."""

import hashlib
import json
import shutil
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pytest
from cited_suite import TABLE, command, made, newest

from ablate import citations
from ablate.citing import freeze
from ablate.report import kept
from ablate.suite.source import SuiteError

SUITE = "id: s7\nplugins: [blocks/mine.py]\ncites: ../my_notes.yaml\n"
REGISTER = """\
title: Notes
notes: {A: {title: First}}
rows:
  - {row: 1, note: "A:113", says: 8 times less parameters, kinds: [S]}
"""


@pytest.fixture(scope="module")
def cited(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory)


@pytest.fixture(scope="module")
def here(cited: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working directory as somebody's is: records, pages, and what belongs to no archive."""
    root = tmp_path_factory.mktemp("freeze")
    shutil.copytree(cited, root, dirs_exist_ok=True)
    (root / "reports/s7/my own.txt").write_text("not of the page")
    (root / "runs/trials/ffffffffffffffff").mkdir()
    (root / "runs/trials/ffffffffffffffff/record.json").write_text("{}")  # of another suite
    trial = next(iter(newest(root / "runs").comparisons[0].rows[0].trials.values()))
    for name in ("weights.pt", "traceback.txt"):
        (root / "runs/trials" / trial / name).write_text("not shown")
    (root / "suites/blocks").mkdir(parents=True)
    (root / "suites/s7.yaml").write_text(SUITE)
    (root / "suites/blocks/mine.py").write_text('"""Mine."""\n\nROOM = "blocks/act"\n')
    (root / "my_notes.yaml").write_text(REGISTER)
    (root / "CITATION.cff").write_text("cff-version: 1.2.0\n")
    return root


@pytest.fixture(scope="module")
def archive(here: Path) -> Path:
    code, out, err = command(here, "freeze", "s7")
    assert code == 0, err
    assert out.startswith("s7-0a1b2c3d.zip  ")
    assert out.rstrip().endswith(" KiB")
    few = "Fewer than 5 seeds: none (baseline) has 3 and add (drop-in) has 3."
    ids = "tbl-s7-merge, tbl-s7-merge-runs, fig-s7-merge-forest, fig-s7-merge-curves"
    assert f"not to be cited: {few} ({ids})\n" in err
    return here / "s7-0a1b2c3d.zip"


@pytest.fixture(scope="module")
def unpacked(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("unpacked")
    with zipfile.ZipFile(archive) as packed:
        packed.extractall(place)
    (folder,) = place.iterdir()
    assert folder.name == "s7-0a1b2c3d"
    return folder


def names(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_it_holds_what_the_pages_rest_on_and_nothing_else(here: Path, unpacked: Path) -> None:
    found = names(unpacked)
    study = newest(here / "runs")
    trials = {t for c in study.comparisons for row in c.rows for t in row.trials.values()}
    facts = {f for c in study.comparisons for row in c.rows for f in (row.facts, row.full_facts)}
    passes = {p for c in study.comparisons for ids in c.passes.values() for p in ids}
    assert {name for name in found if name.startswith("runs/")} == {
        *(f"runs/trials/{id}/record.json" for id in trials),
        *(f"runs/facts/{id}/record.json" for id in facts),
        *(f"runs/passes/{id}/{file}" for id in passes for file in ("record.json", "arrays.npz")),
        *(f"runs/studies/{study.id}/{file}" for file in ("study.json", "asked.jsonl")),
    }
    for name in found:
        if name.startswith("runs/") and not name.endswith("asked.jsonl"):
            assert (unpacked / name).read_bytes() == (here / name).read_bytes()
    assert {name for name in found if "/" not in name} == {
        *("README.md", "CITATION.cff", "SHA256SUMS", "my_notes.yaml"),
    }
    assert {name for name in found if name.startswith("suites/")} == {
        *("suites/s7.yaml", "suites/blocks/mine.py"),
    }
    manifest = json.loads((unpacked / "reports/s7/manifest.json").read_text("utf-8"))
    assert {name for name in found if name.startswith("reports/s7/")} == {
        f"reports/s7/{name}" for name in manifest["files"]
    }
    assert "reports/index.html" in found


def test_the_page_is_the_one_that_was_there(here: Path, unpacked: Path) -> None:
    for name in names(unpacked / "reports/s7"):
        assert (unpacked / "reports/s7" / name).read_bytes() == (
            here / "reports/s7" / name
        ).read_bytes()


def test_report_makes_the_same_pages_from_it(unpacked: Path, tmp_path: Path) -> None:
    shutil.copytree(unpacked, tmp_path / "again")
    shutil.rmtree(tmp_path / "again/reports")  # nothing to be kept: all is drawn anew
    code, _, err = command(tmp_path / "again", "report", "s7")
    assert code == 0, err
    again, was = (folder / "reports" for folder in (tmp_path / "again", unpacked))
    assert {name for name in names(again) if Path(name).name != kept.NAME} == names(was)
    for name in names(was):
        assert (again / name).read_bytes() == (was / name).read_bytes(), name


def test_the_checksums_are_those_of_all_files(unpacked: Path) -> None:
    told = dict(
        reversed(line.split("  ", 1))
        for line in (unpacked / "SHA256SUMS").read_text("utf-8").splitlines()
    )
    assert told == {
        name: hashlib.sha256((unpacked / name).read_bytes()).hexdigest()
        for name in names(unpacked) - {"SHA256SUMS"}
    }
    if shutil.which("sha256sum"):
        done = subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=unpacked)
        assert done.returncode == 0


def test_the_readme_says_what_is_what(unpacked: Path) -> None:
    text = (unpacked / "README.md").read_text("utf-8")
    manifest = json.loads((unpacked / "reports/s7/manifest.json").read_text("utf-8"))
    for id, told in (manifest["tables"] | manifest["figures"]).items():
        assert f"* `{id}`, data `{told['data']}`: " in text
    for part in (
        "# EVA4 Session 7: advanced convolutions",
        "study `s7-0a1b2c3d`, profile `quick`, asked 2026-11-21,",
        "21 trials, by commit 3d688c5bd55e298b3bdbf4b2f81c7ce739778d0b.",
        "* Fewer than 5 seeds: none (baseline) has 3 and add (drop-in) has 3. (tbl-s7-merge, ",
        "python -m ablate report s7",
    ):
        assert part in text
    for cell in text.split("`"):
        name = cell.removesuffix("*")
        if "/" in name and "*" not in cell and " " not in name:
            assert (unpacked / name).exists(), name


def test_the_same_bytes_each_time(
    archive: Path, here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = here / "runs/studies/s7-0a1b2c3d/asked.jsonl"
    with asked.open("a") as log:  # asked for again in the meantime
        log.write('{"at": "2027-01-01T00:00:00+00:00", "commit": null}\n')
    out = tmp_path / "again.zip"
    monkeypatch.chdir(here)
    citations.archive("s7", out, Path("runs"), Path("reports"))
    assert out.read_bytes() == archive.read_bytes()
    with zipfile.ZipFile(out) as packed:
        entries = packed.infolist()
    assert [entry.filename for entry in entries] == sorted(entry.filename for entry in entries)
    assert {entry.date_time for entry in entries} == {(2026, 11, 21, 9, 0, 0)}
    assert {entry.external_attr >> 16 for entry in entries} == {0o644}


def test_a_claim_that_was_changed_is_still_told(
    cited: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    """What older studies asked decides what may be cited, so they are in the archive."""
    shutil.copytree(cited, tmp_path, dirs_exist_ok=True)
    old = tmp_path / "runs/studies/s7-00000000"
    shutil.copytree(tmp_path / "runs/studies/s7-0a1b2c3d", old)
    stored = json.loads((old / "study.json").read_text("utf-8"))
    stored |= {"id": old.name, "created": "2026-11-20T09:00:00+00:00"}
    stored["comparisons"][0]["measure"]["margin"] = 0.1
    (old / "study.json").write_text(json.dumps(stored))
    (old / "asked.jsonl").unlink()
    new = tmp_path / "runs/studies/s7-0a1b2c3d/study.json"
    stored = json.loads(new.read_text("utf-8")) | {"created": "2026-11-22T09:00:00+00:00"}
    new.write_text(json.dumps(stored))
    monkeypatch.chdir(tmp_path)
    citations.archive("s7", None, Path("runs"), Path("reports"))
    with zipfile.ZipFile(tmp_path / "s7-0a1b2c3d.zip") as packed:
        found = packed.namelist()
        page = packed.read("s7-0a1b2c3d/reports/s7/index.html").decode()
    assert "s7-0a1b2c3d/runs/studies/s7-00000000/study.json" in found
    changed = "The margin was 0.1 when its first trials were trained, on 2026-11-21; it is 0.5 now."
    assert changed in capsys.readouterr().err
    assert changed in page


def test_a_suite_whose_file_is_elsewhere(here: Path, tmp_path: Path) -> None:
    runs = here / "runs"
    freeze.stage(runs, newest(runs), None, tmp_path / "reports", tmp_path)
    assert names(tmp_path / "suites") == {"README.md"}
    assert not (tmp_path / "reports").exists()


def test_what_cannot_be_archived(here: Path, tmp_path: Path) -> None:
    def refused(suite: str, out: Any) -> str:
        with pytest.raises(SuiteError) as error:
            citations.archive(suite, out, here / "runs", here / "reports")
        return str(error.value)

    assert refused("s77", None) == (
        f"freeze: there are no records of 's77' under {here / 'runs'}; "
        "`ablate run` makes them; did you mean 's7'?"
    )
    out = tmp_path / "no" / "such.zip"
    assert refused("s7", out) == f"freeze: {out} cannot be written: No such file or directory"
    assert TABLE in (here / f"reports/s7/{TABLE}.md").read_text("utf-8")  # the pages are as before
