"""Kept pages: nothing is drawn again that need not be, and nothing is kept that has changed."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from test_evidence import Lab, two_rows

import ablate
from ablate import records
from ablate import study as studies
from ablate.report import kept
from ablate.report.render import render, render_index
from ablate.study import Study

HEAVY = ("jinja2", "matplotlib", "pandas", "scipy", "seaborn")


def everything(folder: Path) -> dict[str, bytes]:
    """Return the contents of all files below a folder."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def pages(runs: Path, reports: Path) -> dict[str, bytes]:
    """Render the pages of all suites and return all their files."""
    for suite in studies.suites(runs):
        render(runs, newest(runs, suite), reports)
    render_index(runs, reports)
    return everything(reports)


def newest(runs: Path, suite: str = "s7") -> Study:
    found = studies.newest(runs, suite)
    assert found is not None
    return found


def loaded(runs: Path, reports: Path, package: Path | None = None) -> set[str]:
    """Render in a process of its own and return which heavy libraries that loaded."""
    code = (
        "import sys; from pathlib import Path; from ablate import study;"
        "from ablate.report.render import render, render_index;"
        f"runs, reports = Path({str(runs)!r}), Path({str(reports)!r});"
        "[render(runs, study.newest(runs, suite), reports) for suite in study.suites(runs)];"
        "render_index(runs, reports);"
        f"print(*(name for name in {HEAVY} if name in sys.modules))"
    )
    place = str(package or Path(ablate.__file__).parent.parent)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"PYTHONPATH": place},
        cwd=reports.parent,
    )
    return set(done.stdout.split())


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two comparisons with their pages, and a second suite; the folder holds runs/ and reports/."""
    root = tmp_path_factory.mktemp("original")
    lab = Lab(root / "runs")
    for id in ("depthwise", "merge"):
        lab.compare(
            lab.row("normal", [62.0, 61.0, 62.5]),
            lab.row("other", [58.0, 57.0, 57.5]),
            id=id,
            table=f"tbl-s7-{id}",
        )
    lab.ask()
    two_rows(root / "runs", [58.0], [62.0], suite="s8").ask()
    pages(root / "runs", root / "reports")
    return root


@pytest.fixture
def made(original: Path, tmp_path: Path) -> Path:
    """A copy of it, to be changed."""
    shutil.copytree(original, tmp_path, dirs_exist_ok=True)
    return tmp_path


# --- what has not changed is kept -----------------------------------------------------------------


def test_pages_that_are_there_load_no_library(made: Path) -> None:
    before = everything(made / "reports")
    assert loaded(made / "runs", made / "reports") == set()
    assert everything(made / "reports") == before
    (made / "reports" / "s7" / "cite.bib").unlink()  # the test can fail: a file is gone
    assert {"pandas", "jinja2"} <= loaded(made / "runs", made / "reports")
    assert everything(made / "reports") == before


def test_pages_that_are_there_are_not_written(made: Path) -> None:
    def written() -> dict[Path, int]:
        return {path: path.stat().st_mtime_ns for path in (made / "reports").rglob("*")}

    before = written()
    pages(made / "runs", made / "reports")
    assert written() == before


def test_kept_and_drawn_are_the_same_bytes(made: Path, tmp_path: Path) -> None:
    again = pages(made / "runs", made / "reports")
    assert again == pages(made / "runs", tmp_path / "fresh")
    shutil.rmtree(made / "reports" / "s7")
    assert again == pages(made / "runs", made / "reports")


def test_figures_are_kept_where_only_tables_change(made: Path) -> None:
    changed = newest(made / "runs").model_copy(update={"title": "Another title"})
    path = studies.folder(made / "runs", changed.id) / "study.json"
    path.write_text(json.dumps(changed.model_dump(mode="json")), encoding="utf-8")
    used = loaded(made / "runs", made / "reports")
    assert "pandas" in used  # for the tables
    assert "matplotlib" not in used
    kept_ones = everything(made / "reports")
    assert b"Another title" in kept_ones["s7/index.html"]
    shutil.rmtree(made / "reports")
    assert "matplotlib" in loaded(made / "runs", made / "reports")
    assert everything(made / "reports") == kept_ones


def drawn_again(made: Path, change: Callable[[], object]) -> set[str]:
    """Return the figures that rendering after a change draws: those not kept of the page before."""
    study = newest(made / "runs")
    change()
    study = newest(made / "runs")
    seen = kept.inputs(made / "runs", study)
    keys = [kept.key_of_figures(study, asked, seen) for asked in study.comparisons]
    there = kept.figures(made / "reports" / "s7", keys)
    return FIGURES - there.keys()


FIGURES = {f"fig-s7-{id}-{kind}" for id in ("depthwise", "merge") for kind in ("forest", "curves")}


def test_a_trial_draws_only_its_comparison_again(made: Path) -> None:
    study = newest(made / "runs")
    assert drawn_again(made, lambda: None) == set()
    trial = study.comparisons[1].rows[1].trials[2]
    gone = drawn_again(made, lambda: records.set_aside(made / "runs", "trial", trial))
    assert gone == {"fig-s7-merge-forest", "fig-s7-merge-curves"}
    before = everything(made / "reports" / "s7")
    after = everything(render(made / "runs", study, made / "reports").parent)
    for kind in ("svg", "pdf", "png"):
        name = f"fig-s7-depthwise-forest.{kind}"
        assert after[name] == before[name]
        assert f"fig-s7-merge-forest.{kind}" not in after  # a trial is missing
    assert after == everything(render(made / "runs", study, made / "fresh").parent)


def test_a_pass_draws_no_figure_again(made: Path) -> None:
    study = newest(made / "runs")
    timed = study.comparisons[0].model_copy(update={"passes": {"latency": ["0123456789abcdef"]}})
    later = study.model_copy(update={"comparisons": [timed, study.comparisons[1]]})

    def keys(of: Study) -> list[str]:
        seen = kept.inputs(made / "runs", of)
        return [kept.key_of_figures(of, asked, seen) for asked in of.comparisons]

    assert keys(later) == keys(study)
    assert kept.key_of_page(later, kept.inputs(made / "runs", later)) != kept.key_of_page(
        study, kept.inputs(made / "runs", study)
    )


# --- what has changed is made again ---------------------------------------------------------------


def edit(path: Path, change: Callable[[bytes], bytes]) -> None:
    path.write_bytes(change(path.read_bytes()))


@pytest.mark.parametrize(
    "name",
    ["index.html", "manifest.json", "cite.bib", "runs.csv", "tbl-s7-merge.md",
     "fig-s7-merge-curves.svg", "fig-s7-merge-curves.pdf", "fig-s7-merge-forest.png"],
)  # fmt: skip
@pytest.mark.parametrize(
    "change",
    [
        lambda content: content[: len(content) // 2],
        lambda content: content.replace(b"1", b"2", 1),
        lambda content: b"",
    ],
    ids=["truncated", "edited", "emptied"],
)
def test_files_that_were_touched_are_made_again(
    original: Path, made: Path, name: str, change: Callable[[bytes], bytes]
) -> None:
    path = made / "reports" / "s7" / name
    edit(path, change)
    assert path.read_bytes() != (original / "reports" / "s7" / name).read_bytes()
    assert pages(made / "runs", made / "reports") == everything(original / "reports")


def test_a_picture_that_was_edited_in_the_page_is_drawn_again(original: Path, made: Path) -> None:
    page = made / "reports" / "s7" / "index.html"
    edit(page, lambda text: text.replace(b">normal (baseline)</text>", b">mine</text>", 1))
    assert b">mine</text>" in page.read_bytes()
    keys = [
        figure["key"]
        for figure in json.loads(page.with_name(kept.NAME).read_text())["figures"].values()
    ]
    assert FIGURES - kept.figures(page.parent, keys).keys() == {"fig-s7-depthwise-forest"}
    assert pages(made / "runs", made / "reports") == everything(original / "reports")


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "3", '{"page": 3, "files": [], "figures": []}', '{"files": {}, "figures": 3}',
     '{"figures": {"fig-s7-merge-forest": null}}', '{"figures": {"../x": {"key": 1}}}'],
)  # fmt: skip
def test_notes_of_something_else_keep_nothing(original: Path, made: Path, text: str) -> None:
    for folder in (made / "reports", made / "reports" / "s7"):
        (folder / kept.NAME).write_text(text, encoding="utf-8")
    assert pages(made / "runs", made / "reports") == everything(original / "reports")


def test_notes_without_files_are_not_of_a_page(made: Path) -> None:
    path = made / "reports" / kept.NAME
    key = json.loads(path.read_text(encoding="utf-8"))["page"]
    assert kept.is_current(made / "reports", key)
    path.write_text(json.dumps({"page": key, "files": {}, "figures": {}}), encoding="utf-8")
    assert not kept.is_current(made / "reports", key)


def first_trial(runs: Path) -> Path:
    return records.folder(runs, "trial", newest(runs).comparisons[0].rows[0].trials[0])


def set_value(runs: Path) -> None:
    path = first_trial(runs) / "record.json"
    record = json.loads(path.read_text(encoding="utf-8"))
    record["metrics"]["accuracy"]["value"] = 12.5
    path.write_text(json.dumps(record), encoding="utf-8")


def set_fact(runs: Path) -> None:
    path = records.folder(runs, "fact", newest(runs).comparisons[0].rows[0].facts) / "record.json"
    record = json.loads(path.read_text(encoding="utf-8"))
    record["metrics"]["params"]["value"] = 7
    path.write_text(json.dumps(record), encoding="utf-8")


def set_question(runs: Path) -> None:
    path = studies.folder(runs, newest(runs).id) / "study.json"
    study = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(study | {"question": "Really?"}), encoding="utf-8")


def damage_arrays(runs: Path) -> None:
    (first_trial(runs) / "arrays.npz").write_bytes(b"not an archive")


@pytest.mark.parametrize(
    "change",
    [
        set_value,
        set_fact,
        set_question,
        damage_arrays,
        lambda runs: shutil.rmtree(first_trial(runs)),
        lambda runs: (first_trial(runs) / "record.json").unlink(),
        lambda runs: (first_trial(runs) / "record.json").write_text("{"),
    ],
    ids=["score", "fact", "study", "arrays", "no trial", "no record", "damaged record"],
)
def test_what_a_page_is_made_from_makes_it_anew(
    original: Path, made: Path, tmp_path: Path, change: Callable[[Path], Any]
) -> None:
    change(made / "runs")
    again = pages(made / "runs", made / "reports")
    before = everything(original / "reports")
    for page in ("index.html", "s7/index.html"):
        assert again[page] != before[page] or (change is set_fact and page == "index.html")
    assert again["s8/index.html"] == before["s8/index.html"]
    assert again == pages(made / "runs", tmp_path / "fresh")


def test_another_suite_makes_the_index_anew(original: Path, made: Path) -> None:
    two_rows(made / "runs", [58.0], [62.0], suite="s9").ask()
    again, before = pages(made / "runs", made / "reports"), everything(original / "reports")
    assert b"s9/index.html" in again["index.html"]
    assert {name for name in before if again[name] != before[name]} == {
        kept.NAME, "index.html", "tbl-index.csv", "tbl-index.md", "tbl-index.tex",
        "claims.html", "tbl-claims.csv", "tbl-claims.md", "tbl-claims.tex",  # it claims things too
    }  # fmt: skip
    (studies.folder(made / "runs", newest(made / "runs", "s9").id) / "study.json").write_text("{")
    render_index(made / "runs", made / "reports")
    assert "damaged" in (made / "reports" / "index.html").read_text(encoding="utf-8")


def test_a_newer_study_of_a_suite_makes_its_page_anew(original: Path, made: Path) -> None:
    two_rows(made / "runs", [51.0], [52.0], hash="11111111").ask()
    again = pages(made / "runs", made / "reports")
    assert again["s7/index.html"] != everything(original / "reports")["s7/index.html"]
    assert "s7/fig-s7-merge-forest.svg" not in again


@pytest.mark.parametrize("name", ["report/templates/style.css", "report/welcome.j2", "records.py"])
def test_another_state_of_the_package_makes_pages_anew(made: Path, name: str) -> None:
    package = made / "copy" / "ablate"
    shutil.copytree(Path(ablate.__file__).parent, package)
    loaded(made / "runs", made / "reports", package.parent)
    assert loaded(made / "runs", made / "reports", package.parent) == set()
    with (package / name).open("a") as file:
        file.write("\n")
    assert "matplotlib" in loaded(made / "runs", made / "reports", package.parent)


@pytest.mark.parametrize("library", ["matplotlib", "jinja2", "numpy"])
def test_another_version_of_a_library_makes_pages_anew(made: Path, library: str) -> None:
    package = made / "copy" / "ablate"
    shutil.copytree(Path(ablate.__file__).parent, package)
    loaded(made / "runs", made / "reports", package.parent)
    assert loaded(made / "runs", made / "reports", package.parent) == set()
    told = package.parent / f"{library}-0.1.dist-info"  # it is found before the installed one
    told.mkdir()
    (told / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {library}\nVersion: 0.1\n")
    assert "matplotlib" in loaded(made / "runs", made / "reports", package.parent)


def test_what_changes_while_a_page_is_made_is_seen_the_next_time(
    made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run may end a trial between the look at the records and their reading."""
    from ablate.report import render as rendering

    study, trial = newest(made / "runs"), first_trial(made / "runs")
    trial.rename(made / "away")
    read = rendering.collect

    def meanwhile(*given: Any) -> Any:
        (made / "away").rename(trial)
        return read(*given)

    monkeypatch.setattr(rendering, "collect", meanwhile)
    render(made / "runs", study, made / "reports")
    monkeypatch.undo()
    render(made / "runs", study, made / "reports")
    fresh = render(made / "runs", study, made / "fresh").parent
    assert everything(made / "reports" / "s7") == everything(fresh)
