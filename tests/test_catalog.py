"""The folder is the catalog: one new file is a new entry, in the package or as a suite's plugin."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tiny import SUITE, changed, checked, loaded

from ablate import catalog
from ablate.suite import plan as planning
from ablate.suite.load import load
from ablate.suite.plan import Plan
from ablate.suite.preflight import check
from ablate.suite.request import Request
from ablate.train import trial

ROOT = Path(catalog.__file__).parent.parent

BLOCK = '''\
"""A shifted convolution: a normal one whose output is moved by some pixels."""

from torch import nn


class Shift(nn.Module):
    """Moves the image to the right."""

    def __init__(self, pixels):
        super().__init__()
        self.pixels = pixels

    def forward(self, x):
        return x.roll(self.pixels, 3)

    def extra_repr(self):
        return f"pixels={self.pixels}"


def build(in_channels, out_channels, stride, norm, act, *, pixels: int = 1):
    """Return (n, in, h, w) -> (n, out, ceil(h / stride), ceil(w / stride))."""
    conv = nn.Conv2d(in_channels, out_channels, 3, stride=stride, padding=1, bias=False)
    return nn.Sequential(conv, Shift(pixels))


SAMPLES = [{}]
'''

DATA = '''\
"""Stripes: lying or standing."""

import numpy as np

from ablate.data import Split, assemble


def load(*, period: int = 4):
    """Return stripes of a period, 16x16."""
    across = np.arange(16) % period < period / 2
    standing = np.broadcast_to(across, (16, 16))
    images = np.stack([standing, standing.T] * 8)[..., None].astype(np.uint8) * 255
    split = Split(images, np.array([0, 1] * 8))
    return assemble(title="stripes", classes=["standing", "lying"], train=split, test=split)
'''

METRIC = '''\
"""Depth: how many convolutions stand in a network."""

from typing import Final

from torch import nn

from ablate.records import Measurement

TITLE: Final = "Depth"
UNIT: Final = ""
DIRECTION: Final = "none"
KIND: Final = "fact"


def measure(network, input_shape):
    """Return the number of convolutions."""
    depth = sum(isinstance(module, nn.Conv2d) for module in network.modules())
    return Measurement(value=depth, unit=UNIT, title=TITLE, direction=DIRECTION)
'''

# The simplest ones there are, as another file.
EXECUTOR = (ROOT / "ablate" / "execute" / "inline.py").read_text()
TASK = (ROOT / "ablate" / "tasks" / "classify.py").read_text()


@pytest.fixture
def tree(here: Path) -> Path:
    """The package and its suites, copied, with the tiny suite beside them."""
    shutil.copytree(ROOT / "ablate", here / "ablate")  # with what is compiled: times stay
    shutil.copytree(ROOT / "suites", here / "suites")
    (here / "tiny.yaml").write_text(SUITE)
    return here


# `python -m ablate` once and again in one process, each time with the package of the working
# directory read anew: importing torch takes longer than what the program does here.
PROGRAM = """
import contextlib, io, json, os, runpy, sys

for line in sys.stdin:
    folder, *sys.argv[1:] = json.loads(line)
    os.chdir(folder)
    sys.path[0] = folder
    for name in [name for name in sys.modules if name.partition(".")[0] == "ablate"]:
        del sys.modules[name]
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            runpy.run_module("ablate", run_name="__main__", alter_sys=True)
        except SystemExit as end:
            code = end.code
    print(json.dumps([code, out.getvalue(), err.getvalue()]), flush=True)
"""

Ablate = Callable[..., str]


@pytest.fixture(scope="module")
def program() -> "Iterator[subprocess.Popen[str]]":
    command = [sys.executable, "-c", PROGRAM]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, text=True) as process:
        yield process  # it ends with its input


@pytest.fixture
def ablate(program: "subprocess.Popen[str]", tree: Path) -> Ablate:
    """Run the copy's command line and return its standard output."""

    def run(*arguments: str) -> str:
        assert program.stdin is not None
        assert program.stdout is not None
        program.stdin.write(json.dumps([str(tree), *arguments]) + "\n")
        program.stdin.flush()
        code, out, err = json.loads(program.stdout.readline())
        assert code == 0, err
        return str(out)

    return run


def listed(ablate: Ablate, room: str) -> dict[str, str]:
    """Return the entries of a room as `ablate list` describes them."""
    entries: dict[str, str] = json.loads(ablate("list", "--json"))[room]
    return entries


def plan_of(ablate: Ablate, *arguments: str) -> dict[str, Any]:
    """Return the plan of the tiny suite as `ablate plan` prints it."""
    plan: dict[str, Any] = json.loads(ablate("plan", "tiny.yaml", "--json", *arguments))
    return plan


def test_a_block_is_one_file(tree: Path, ablate: Ablate) -> None:
    (tree / "ablate/blocks/conv/shifted.py").write_text(BLOCK)
    (tree / "tiny.yaml").write_text(changed(("conv: dilated", "conv: {kind: shifted, pixels: 2}")))
    description = "A shifted convolution: a normal one whose output is moved by some pixels."
    assert listed(ablate, "blocks/conv")["shifted"] == description
    row = plan_of(ablate)["study"]["comparisons"][0]["rows"][1]
    assert row["config"]["network"]["conv"] == {"kind": "shifted", "pixels": 2}
    assert row["structure"] == ["+ 1 Shift (pixels=2)"]


def test_a_data_set_is_one_file(tree: Path, ablate: Ablate) -> None:
    (tree / "ablate/data/stripes.py").write_text(DATA)
    assert listed(ablate, "data")["stripes"] == "Stripes: lying or standing."
    plan = plan_of(ablate, "--data", "stripes")
    assert plan["study"]["comparisons"][0]["data"]["title"] == "stripes"
    assert plan["study"]["comparisons"][0]["data"]["sizes"]["train"] == 16


def test_a_metric_is_one_file(tree: Path, ablate: Ablate) -> None:
    (tree / "ablate/metrics/depth.py").write_text(METRIC)
    assert listed(ablate, "metrics")["depth"] == "Depth: how many convolutions stand in a network."
    plan = plan_of(ablate)
    assert [facts["depth"] for facts in plan["facts"].values()] == [2, 2]


def test_a_task_is_one_file(tree: Path, ablate: Ablate) -> None:
    (tree / "ablate/tasks/sort_out.py").write_text(TASK.replace("MARGIN = 0.5", "MARGIN = 0.7"))
    (tree / "tiny.yaml").write_text(changed(("task: classify", "task: sort_out")))
    assert "sort_out" in listed(ablate, "tasks")
    comparison = plan_of(ablate)["study"]["comparisons"][0]  # for which its loss was trained with
    assert comparison["rows"][0]["config"]["task"]["kind"] == "sort_out"
    assert comparison["measure"]["margin"] == 0.7


def test_an_executor_is_one_file(tree: Path, ablate: Ablate) -> None:
    (tree / "ablate/execute/one_by_one.py").write_text(EXECUTOR)
    assert "one_by_one" in listed(ablate, "execute")
    said = ablate("run", "tiny.yaml", "--executor", "one_by_one", "seeds=1")
    assert "2 trained, 0 there already" in said.splitlines()
    trials = [json.loads(path.read_text()) for path in (tree / "runs/trials").glob("*/record.json")]
    assert [record["status"] for record in trials] == ["ok", "ok"]


def test_a_suite_is_one_file(tree: Path, ablate: Ablate) -> None:
    (tree / "suites/tiny.yaml").write_text(SUITE)
    assert listed(ablate, "suites")["tiny"] == "suites/tiny.yaml"
    assert load(Request("tiny"), "full").problems == []


# --- plugins --------------------------------------------------------------------------------------


def plugin(name: str, room: str, source: str) -> None:
    """Write a plugin beside the suite."""
    Path(name).write_text(f"{source}\nROOM = {room!r}\n")


def planned(text: str) -> Plan:
    """Return the plan of a suite as a new process would make it."""
    catalog._plugins.clear()
    catalog.options.cache_clear()
    for name in [name for name in sys.modules if name.startswith("ablate_plugin.")]:
        del sys.modules[name]
    found = loaded(text)
    return planning.make(found, check(found), Path("runs"), "cpu")


def ids(plan: Plan) -> list[str]:
    """Return the id of each row's first trial and of its facts."""
    rows = plan.study.comparisons[0].rows
    return [id for row in rows for id in (row.trials[0], row.facts)]


SHIFTED = changed(("conv: dilated", "conv: shifted"), add="plugins: [shifted.py]\n")


@pytest.mark.usefixtures("here", "no_plugins")
def test_a_block_of_ones_own_is_trained() -> None:
    plugin("shifted.py", "blocks/conv", BLOCK)
    plan = planned(SHIFTED)
    mine = next(t for t in plan.trials if t.label == "conv/shifted" or "dilated" in t.label)
    digest = catalog.digest(Path("shifted.py"))
    assert mine.job["spec"]["plugins"] == {"blocks/conv/shifted": digest}
    assert mine.job["plugins"] == [str(Path("shifted.py").resolve())]
    *epochs, last = trial.run(mine.job)
    assert [message["epoch"]["step"] for message in epochs] == [4]
    assert last["status"] == "ok"
    record = json.loads((Path(last["record"]) / "record.json").read_text())
    assert record["spec"]["plugins"] == {"blocks/conv/shifted": digest}
    assert record["spec"]["config"]["network"]["conv"] == {"kind": "shifted", "pixels": 1}


@pytest.mark.usefixtures("here", "no_plugins")
def test_what_a_plugin_decides_follows_its_file() -> None:
    plugin("shifted.py", "blocks/conv", BLOCK)
    baseline, base_facts, mine, facts = ids(planned(SHIFTED))
    assert ids(planned(SHIFTED)) == [baseline, base_facts, mine, facts]
    plugin("shifted.py", "blocks/conv", BLOCK.replace("x.roll(self.pixels, 3)", "x.flip(3)"))
    again = ids(planned(SHIFTED))
    assert again[:2] == [baseline, base_facts]
    assert again[2] != mine
    assert again[3] != facts  # which are counted anew


@pytest.mark.usefixtures("here", "no_plugins")
def test_a_baseline_is_shared_with_suites_without_the_plugin() -> None:
    plugin("shifted.py", "blocks/conv", BLOCK)
    assert ids(planned(SHIFTED))[:2] == ids(planned(SUITE))[:2]


@pytest.mark.usefixtures("here", "no_plugins")
def test_a_metric_of_ones_own_changes_no_trial() -> None:
    before = ids(planned(SUITE))
    plugin("depth.py", "metrics", METRIC)
    plan = planned(changed(add="plugins: [depth.py]\n"))
    after = ids(plan)
    assert after[0::2] == before[0::2]
    assert {record.metrics["depth"].value for record in plan.facts.values()} == {2}
    plugin("depth.py", "metrics", METRIC.replace("nn.Conv2d)", "nn.BatchNorm2d) * 10"))
    plan = planned(changed(add="plugins: [depth.py]\n"))
    assert {record.metrics["depth"].value for record in plan.facts.values()} == {20}


@pytest.mark.usefixtures("here", "no_plugins")
def test_a_data_set_of_ones_own_is_loaded() -> None:
    plugin("stripes.py", "data", DATA)
    text = changed(
        ("{name: folder, path: images}", "{name: stripes, period: 8}"),
        add="plugins: [stripes.py]\n",
    )
    item = checked(text)[0]
    assert item.opened.component == {"name": "stripes", "period": 8}
    assert item.shape == (1, 16, 16)


@pytest.mark.usefixtures("here", "no_plugins")
def test_a_plugin_may_lie_in_a_folder_beside_the_suite() -> None:
    Path("mine").mkdir()
    plugin("mine/shifted.py", "blocks/conv", BLOCK)
    assert loaded(changed(add="plugins: [mine/shifted.py]\n")).problems == []


# --- the catalog itself ---------------------------------------------------------------------------


def test_every_entry_is_described() -> None:
    for room in catalog.rooms():
        assert catalog.names(room), room
        for name in catalog.names(room):
            assert catalog.describe(room, name).endswith("."), f"{room}/{name}"


def test_every_room_holds_its_entries_to_its_contract() -> None:
    broken, held = {}, 0
    for room in catalog.rooms():
        for name in catalog.names(room):
            held += 1
            try:
                catalog.hold_to_contract(room, name)
            except catalog.PluginError as error:
                broken[room, name] = str(error)
    assert broken == {}
    files = [path for path in catalog.PACKAGE.rglob("*.py") if not path.name.startswith("_")]
    assert held == sum(_room(path) in catalog.rooms() for path in files)


def _room(path: Path) -> str:
    return path.parent.relative_to(catalog.PACKAGE).as_posix()


def test_listing_imports_nothing_heavy() -> None:
    code = (
        "import sys; from ablate import catalog;"
        "[catalog.describe(r, n) for r in catalog.rooms() for n in catalog.names(r)];"
        "sys.exit(bool({'torch', 'numpy', 'PIL', 'matplotlib', 'pandas'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("name", "end"),
    [
        ("dilatd", "did you mean 'dilated'?"),
        ("zzz", "there are: dilated, normal"),
    ],
)
def test_what_is_suggested_for_an_unknown_name(name: str, end: str) -> None:
    assert catalog.suggest(name, ["dilated", "normal"]) == end
    assert catalog.suggest(name, []) == "there are: none"
