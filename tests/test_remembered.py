"""Plans that were made before: when they are used, and that nothing that changed stays hidden."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tiny import SUITE, changed, write

from ablate import catalog, commands, environment, records
from ablate.run import WORK
from ablate.suite import remembered
from ablate.suite.planned import Plan
from ablate.suite.request import Request

ROOT = Path(__file__).parent.parent
RUNS = Path("runs")
# An activation of the user's own, with a helper beside it.
BLOCK = """\
from torch import nn

import shared

ROOM = "blocks/act"
SAMPLES = [{}]


def build() -> nn.Module:
    return nn.SiLU() if shared.ON else nn.ReLU()
"""
# A data set that may not be there.
GHOST = """\
from pathlib import Path

from ablate.data import Unavailable, catalog

ROOM = "data"


def load():
    if {absent}:
        raise Unavailable("it is not there")
    return catalog.load("data", "folder").load(path="images")
"""


def asked(**request: Any) -> Request:
    return Request("tiny.yaml", **request)


def planned(request: Request | None = None) -> Plan:
    made, _ = commands._plan(request or asked(), None, RUNS, "1", keep=True)
    return made


def recalled(request: Request | None = None) -> Plan | None:
    return remembered.recall(remembered.inputs(request or asked(), None), RUNS)


def entries() -> list[Path]:
    return sorted((RUNS / "plans").glob("*.json"))


def train(plan: Plan) -> None:
    from ablate.execute import inline

    for _ in inline.run([trial.job for trial in plan.missing], WORK, 1):
        pass


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The records of a suite that was run, to be copied."""
    return tmp_path_factory.mktemp("finished") / "runs"


@pytest.fixture
def done(here: Path, finished: Path) -> Path:
    """A working directory in which the tiny suite was run and its plan kept."""
    write(SUITE)
    if not finished.exists():
        train(planned())
        shutil.copytree(RUNS, finished)
    else:
        shutil.copytree(finished, RUNS)
        shutil.rmtree(RUNS / "plans")
        planned()
    assert recalled() is not None
    return here


@pytest.mark.usefixtures("here")
def test_a_plan_is_not_recalled_before_its_trials_are_there() -> None:
    write(SUITE)
    plan = planned()
    assert len(entries()) == 1
    assert recalled() is None
    train(plan)
    found = recalled()
    assert found is not None
    assert [trial.id for trial in found.trials] == [trial.id for trial in plan.trials]
    assert found.missing == []


@pytest.mark.usefixtures("done")
def test_a_recalled_plan_says_what_a_made_one_says() -> None:
    found = recalled()
    assert found is not None
    shutil.rmtree(RUNS / "plans")
    made = planned()  # the folder may be deleted at any time

    def told(plan: Plan) -> Any:
        said = commands._plan_json(plan, 1)
        said["study"].pop("created")
        return json.loads(json.dumps(said))

    assert told(found) == told(made)
    assert found.facts == made.facts
    assert (found.notices, found.other) == (made.notices, made.other)
    assert len(entries()) == 1


@pytest.mark.usefixtures("done")
def test_who_only_looks_keeps_nothing() -> None:
    shutil.rmtree(RUNS / "plans")
    commands.plan(asked(), None, RUNS, as_json=False)
    commands.run(asked(), None, RUNS, Path("reports"), "1", None, dry_run=True)
    assert entries() == []


# --- every input of a plan, changed ---------------------------------------------------------------


def _suite(patch: pytest.MonkeyPatch, here: Path) -> None:
    write(changed(("seeds: 2", "seeds: 2 # so many")))


def _code(patch: pytest.MonkeyPatch, here: Path) -> None:
    package = here / "package"
    shutil.copytree(catalog.PACKAGE / "suite", package)
    patch.setattr(catalog, "PACKAGE", package)
    before = remembered._code()
    with (package / "seeds.py").open("a") as file:
        file.write("\n")
    assert remembered._code() != before


def _new_file(patch: pytest.MonkeyPatch, here: Path) -> None:
    package = here / "package"
    shutil.copytree(catalog.PACKAGE / "suite", package)
    patch.setattr(catalog, "PACKAGE", package)
    before = remembered._code()
    (package / "empty.py").touch()
    assert remembered._code() != before


def _commit(patch: pytest.MonkeyPatch, here: Path) -> None:
    commit, dirty = environment.code()
    patch.setattr(environment, "code", lambda: (commit, not dirty))


def _python(patch: pytest.MonkeyPatch, here: Path) -> None:
    patch.setattr(sys, "version", "3.99.0")


def _package(patch: pytest.MonkeyPatch, here: Path) -> None:
    (here / "site" / "torch-99.dist-info").mkdir(parents=True)
    patch.syspath_prepend(here / "site")


def _gpu(patch: pytest.MonkeyPatch, here: Path) -> None:
    (here / "nvidia0").touch()
    patch.setattr(remembered, "_DEVICES", (str(here / "nvidia*"),))


def _driver(patch: pytest.MonkeyPatch, here: Path) -> None:
    (here / "version").write_text("580")
    patch.setattr(remembered, "_DRIVERS", (str(here / "version"),))


def _features(patch: pytest.MonkeyPatch, here: Path) -> None:
    patch.setattr(remembered, "_cpu", lambda: iter(["flags : fpu"]))


def _cores(patch: pytest.MonkeyPatch, here: Path) -> None:
    patch.setattr(os, "cpu_count", lambda: 99)


def _visible(patch: pytest.MonkeyPatch, here: Path) -> None:
    patch.setenv("CUDA_VISIBLE_DEVICES", "7")


def _image(patch: pytest.MonkeyPatch, here: Path) -> None:
    source = (here / "images").resolve()
    (here / "images").unlink()
    shutil.copytree(source, here / "images")
    path = next((here / "images" / "train").rglob("*.png"))
    path.write_bytes(next((here / "images" / "test").rglob("*.png")).read_bytes())


def _no_images(patch: pytest.MonkeyPatch, here: Path) -> None:
    (here / "images").unlink()


CHANGES: list[Callable[[pytest.MonkeyPatch, Path], None]] = [
    *(_suite, _code, _new_file, _commit, _python, _package, _gpu, _driver, _features, _cores),
    *(_visible, _image, _no_images),
]


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_of_what_a_plan_follows_from_is_seen(
    done: Path, change: Callable[[pytest.MonkeyPatch, Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    change(monkeypatch, done)
    assert recalled() is None


@pytest.mark.parametrize(
    "other",
    [
        {"profile": "full"},
        {"data": "folder:images"},
        {"seeds": "2"},
        {"overrides": ("recipe.epochs=1",)},
    ],
)
@pytest.mark.usefixtures("done")
def test_another_request_has_a_plan_of_its_own(other: dict[str, Any]) -> None:
    assert recalled(asked(**other)) is None
    assert remembered.recall(remembered.inputs(asked(), "cpu"), RUNS) is None
    assert recalled() is not None


@pytest.mark.usefixtures("here")
def test_a_fallback_is_decided_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    text = changed(
        ("data: {name: folder, path: images}", "data: {name: ghost, fallback: spare}"),
        ("seeds: 2", "seeds: 1"),
        add="plugins: [ghost.py, spare.py]\n",
    )
    Path("ghost.py").write_text(GHOST.replace("{absent}", "not Path('ghost.txt').exists()"))
    Path("spare.py").write_text(GHOST.replace("{absent}", "False"))
    write(text)
    monkeypatch.setattr(catalog, "_plugins", {})
    plan = planned()
    assert plan.study.comparisons[0].data.fallback_reason == "it is not there"
    train(plan)
    assert recalled() is not None
    Path("ghost.txt").touch()
    assert recalled() is None


@pytest.mark.usefixtures("no_plugins")
def test_plugins_and_what_they_import_are_looked_at(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(here)
    monkeypatch.delitem(sys.modules, "shared", raising=False)
    (here / "shared.py").write_text("ON = True\n")
    (here / "my_act.py").write_text(BLOCK)
    write(
        changed(
            ("network.conv: dilated", "network.act: my_act"),
            ("seeds: 2", "seeds: 1"),
            add="plugins: [my_act.py]\n",
        )
    )
    old = 1_000_000_000
    for name in ("shared.py", "my_act.py"):
        os.utime(here / name, (old, old))
    train(planned(asked(overrides=("network.norm=none",))))
    assert recalled(asked(overrides=("network.norm=none",))) is not None
    for name in ("shared.py", "my_act.py"):
        text = (here / name).read_text()
        (here / name).write_text(f"{text}# changed\n")
        assert recalled(asked(overrides=("network.norm=none",))) is None
        (here / name).write_text(text)
        assert recalled(asked(overrides=("network.norm=none",))) is not None
    del sys.modules["shared"]


def test_a_plan_is_not_kept_where_its_suite_changes_meanwhile(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ablate.suite import plan as planning

    make = planning.make

    def slowly(*given: Any) -> Plan:
        with (here / "tiny.yaml").open("a") as file:
            file.write("\n")
        return make(*given)

    write(SUITE)
    monkeypatch.setattr(planning, "make", slowly)
    planned()
    assert entries() == []


# --- every record of a plan -----------------------------------------------------------------------


def _remove(path: Path) -> None:
    shutil.rmtree(path)


def _cut_record(path: Path) -> None:
    text = (path / "record.json").read_text()
    (path / "record.json").write_text(text[: len(text) // 2])


def _cut_arrays(path: Path) -> None:
    content = (path / "arrays.npz").read_bytes()
    (path / "arrays.npz").write_bytes(content[: len(content) // 2])


def _fail(path: Path) -> None:
    stored = json.loads((path / "record.json").read_text())
    (path / "record.json").write_text(json.dumps({**stored, "status": "failed", "reason": "x"}))


def _newer(path: Path) -> None:
    stored = json.loads((path / "record.json").read_text())
    (path / "record.json").write_text(json.dumps({**stored, "schema_version": 999}))


@pytest.mark.parametrize("harm", [_remove, _cut_record, _cut_arrays, _fail, _newer])
@pytest.mark.usefixtures("done")
def test_a_trial_that_is_not_there_and_sound_is_seen(harm: Callable[[Path], None]) -> None:
    found = recalled()
    assert found is not None
    harm(records.folder(RUNS, "trial", found.trials[-1].id))
    assert recalled() is None
    assert not (RUNS / "damaged").exists()  # that is for planning, which says so
    if harm in (_cut_record, _cut_arrays):
        made = planned()
        assert [trial.done for trial in made.trials] == [True, True, True, False]
        assert len(made.damaged) == 1


@pytest.mark.parametrize("harm", [_remove, _cut_record])
@pytest.mark.usefixtures("done")
def test_a_fact_that_is_not_there_and_sound_is_seen(harm: Callable[[Path], None]) -> None:
    found = recalled()
    assert found is not None
    harm(records.folder(RUNS, "fact", next(iter(found.facts))))
    assert recalled() is None


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text[: len(text) // 2],
        lambda text: "",
        lambda text: "[]",
        lambda text: text.replace("Normal or dilated?", "Normal or sooner?"),
        lambda text: text.replace('"schema": 1', '"schema": 0'),
    ],
)
@pytest.mark.usefixtures("done")
def test_a_kept_plan_that_was_spoilt_is_not_used(spoil: Callable[[str], str]) -> None:
    (entry,) = entries()
    text = entry.read_text()
    entry.write_text(spoil(text))
    assert entry.read_text() != text
    assert recalled() is None
    planned()
    assert recalled() is not None


# --- what it costs --------------------------------------------------------------------------------


@pytest.mark.usefixtures("done")
def test_a_plan_of_which_all_is_there_needs_no_torch() -> None:
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from ablate import commands\n"
        "from ablate.suite.request import Request\n"
        "commands.plan(Request('tiny.yaml'), None, Path('runs'), False)\n"
        "print({'torch', 'torchvision', 'matplotlib', 'pandas', 'scipy'} & set(sys.modules))"
    )
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    told = [
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environ
        ).stdout.splitlines()
        for _ in range(2)
    ]
    assert told[1][-1] == "set()"
    assert told[1][-2] == "0 trials to run, 4 there already"
    assert told[0][:-1] == told[1][:-1]


@pytest.mark.usefixtures("done")
def test_running_again_what_is_there_loads_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from ablate import commands\n"
        "from ablate.suite.request import Request\n"
        "commands.run(\n"
        "    Request('tiny.yaml'), None, Path('runs'), Path('reports'), 'auto', None, False\n"
        ")\n"
        "print({'torch', 'torchvision', 'matplotlib', 'pandas', 'seaborn'} & set(sys.modules))"
    )
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    told = [
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environ
        )
        for _ in range(3)
    ]
    assert told[2].stdout.splitlines()[-1] == "set()"
    assert "0 trials to run, 4 there already" in told[2].stderr
    assert "0 trained, 4 there already" in told[2].stdout
    assert told[1].stdout.splitlines()[:-1] == told[2].stdout.splitlines()[:-1]
