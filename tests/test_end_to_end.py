"""The whole way, as a user goes it: the command line in processes of its own, on real images.

What is slow is shared: each of a chain of fixtures runs the program once, on what the one before
left behind. The tree is not installed for it, and the working directory is not the tree.
"""

import contextlib
import hashlib
import json
import os
import re
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_runs import draw

from ablate import commands, records
from ablate import run as running
from ablate.cli import _is_users
from ablate.execute import Done, Event, Lost
from ablate.suite.plan import stored
from ablate.suite.planned import PassPlan, ReadingPlan, TrialPlan
from ablate.suite.request import Request
from ablate.suite.source import SuiteError

ROOT = Path(__file__).parent.parent

BASE = """
base:
  task: classify
  data: {{name: folder, path: {images}}}
  network: {{family: staged, stages: [[{width}], [{width}]]}}
  recipe: {{epochs: 4, batch_size: 16, lr: 0.05}}
"""

DOWN = (
    """
id: down
title: How to halve
question: Pooling or strides?
seeds: 6
latency: {{batches: [1], rounds: 3, processes: 2}}
plugins: [gate.py]
"""
    + BASE
    + """
comparisons:
  - id: halving
    title: Pooling or strides?
    baseline: pooled
    base: {{network.act: gate}}
    variants: {{pooled: {{}}, strided: {{network.down: strided}}}}
    claims:
      - {{note: "A:1", says: pooling is better, kind: order, metric: accuracy,
         expect: strided < pooled, margin: 0.5}}
"""
)

ACT = (
    """
id: act
title: Activations
question: Which activation?
seeds: 2
plugins: [swish_in_place.py]
"""
    + BASE
    + """
comparisons:
  - id: kinds
    title: Which activation?
    baseline: usual
    variants:
      usual: {{}}
      mistaken: {{network.act: swish_in_place}}
      hot: {{recipe.lr: 1.0e+30}}
"""
)

# A run that is to be disturbed waits for it as soon as so many trials are there.
GATE = '''"""ReLU that waits in training, where it is told to."""

import os
import time
from pathlib import Path

import torch
from torch import nn

ROOM = "blocks/act"
SAMPLES = [{}]


class Gate(nn.Module):
    def forward(self, x):
        while self.training and "HOLD_AT" in os.environ:
            trials = Path(os.environ["HOLD_IN"]).glob("[!.]*")
            if len(list(trials)) < int(os.environ["HOLD_AT"]):
                break
            time.sleep(0.01)
        return torch.relu(x)


def build() -> nn.Module:
    return Gate()
'''

# A mistake that people make: the forward pass is right, and the gradient needs what it overwrites.
SWISH = '''"""Swish: x times its sigmoid."""

import torch
from torch import nn

ROOM = "blocks/act"
SAMPLES = [{}]


class Swish(nn.Module):
    def forward(self, x):
        gate = torch.sigmoid(x)
        gate *= x
        return gate


def build() -> nn.Module:
    return Swish()
'''


@dataclass(frozen=True)
class Files:
    """What lay in a folder, by path: a digest of the bytes, the time of the last change, its id."""

    found: dict[str, tuple[str, int, int]]

    def bytes(self) -> dict[str, str]:
        return {path: digest for path, (digest, _, _) in self.found.items()}

    def trials(self) -> set[str]:
        return {Path(path).parts[0] for path in self.found if not path.startswith(".")}

    def of(self, trials: set[str]) -> dict[str, tuple[str, int, int]]:
        return {path: what for path, what in self.found.items() if Path(path).parts[0] in trials}


def look(folder: Path) -> Files:
    found = {}
    for path in sorted(folder.rglob("*")) if folder.is_dir() else []:
        if path.is_file():
            state = path.stat()
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            found[str(path.relative_to(folder))] = (digest, state.st_mtime_ns, state.st_ino)
    return Files(found)


@dataclass(frozen=True)
class Step:
    """One run of the program."""

    code: int
    out: str
    err: str
    before: Files  # of runs/trials
    after: Files
    seconds: float  # since it was disturbed, or began

    @property
    def new(self) -> set[str]:
        return self.after.trials() - self.before.trials()

    def planned(self) -> tuple[int, int]:
        """Return how many trials the plan wanted to run, and how many it found."""
        found = re.search(r"^(\d+) trials to run, (\d+) there already", self.err, re.MULTILINE)
        assert found is not None, self.err
        return int(found[1]), int(found[2])


@dataclass(frozen=True)
class Lab:
    """A place to run the program in."""

    place: Path
    runs: Path

    def start(
        self, *arguments: str, room: int | None = None, hold_at: int | None = None
    ) -> "subprocess.Popen[str]":
        """Start the program in a group of its own, as a terminal does."""
        folders = ["--runs", str(self.runs), "--reports", str(self.runs / "reports")]
        if arguments[0] == "plan":
            folders = folders[:2]
        environment = os.environ | {
            "PYTHONPATH": str(ROOT),
            "ABLATE_DATA": str(self.place / "prepared"),
        }
        if hold_at is not None:
            environment |= {"HOLD_AT": str(hold_at), "HOLD_IN": str(self.trials)}
        return subprocess.Popen(
            [sys.executable, "-m", "ablate", *arguments, *folders],
            cwd=self.place / "elsewhere",
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            preexec_fn=lambda: _as_in_a_terminal(room),
        )

    def step(
        self,
        *arguments: str,
        disturb: Callable[["subprocess.Popen[str]"], None] | None = None,
        room: int | None = None,
    ) -> Step:
        """Run the program to its end, or disturb it once it has made a trial."""
        before = look(self.trials)
        hold_at = None if disturb is None else len(before.trials()) + 1
        program = self.start(*arguments, room=room, hold_at=hold_at)
        began = time.monotonic()
        try:
            if disturb is not None:
                self._await_a_trial(program, before.trials())
                began = time.monotonic()
                disturb(program)
            out, err = program.communicate(timeout=120)
        finally:
            took = time.monotonic() - began
            with contextlib.suppress(ProcessLookupError):
                os.killpg(program.pid, signal.SIGKILL)
        assert _is_gone(program.pid), "processes of the run are left"
        return Step(program.returncode, out, err, before, look(self.trials), took)

    @property
    def trials(self) -> Path:
        return self.runs / "trials"

    @property
    def page(self) -> Path:
        return self.runs / "reports" / "index.html"

    def manifest(self, suite: str) -> dict[str, Any]:
        text = (self.runs / "reports" / suite / "manifest.json").read_text()
        found: dict[str, Any] = json.loads(text)
        return found

    def outcomes(self, suite: str) -> list[str]:
        return sorted(trial["outcome"] for trial in self.manifest(suite)["trials"].values())

    def _await_a_trial(self, program: "subprocess.Popen[str]", before: set[str]) -> None:
        end = time.monotonic() + 120
        while not {p.name for p in self.trials.glob("[!.]*")} - before:
            assert program.poll() is None, program.communicate()
            assert time.monotonic() < end
            time.sleep(0.01)


def _as_in_a_terminal(room: int | None) -> None:
    """Have Ctrl-C heard, which a shell's background jobs, as these tests may be one, ignore.

    Let no file grow beyond `room` bytes, if given, which is how a full disk looks from here.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if room is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))


def _is_gone(group: int) -> bool:
    """Return whether every process of a group ends by itself within some seconds."""
    end = time.monotonic() + 20
    while time.monotonic() < end:
        living = []
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                state, _, its_group = stat.read_text().rpartition(")")[2].split()[:3]
                if int(its_group) == group and state != "Z":
                    living.append(stat)
        if not living:
            return True
        time.sleep(0.02)
    return False


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Suites and images in one folder, an empty working directory beside them."""
    place = tmp_path_factory.mktemp("lab")
    (place / "elsewhere").mkdir()
    (place / "suites").mkdir()
    images = draw(place / "images")
    (place / "suites" / "down.yaml").write_text(DOWN.format(images=images, width=4))
    (place / "suites" / "act.yaml").write_text(ACT.format(images=images, width=48))
    (place / "suites" / "gate.py").write_text(GATE)
    (place / "suites" / "swish_in_place.py").write_text(SWISH)
    return place


# --- a run that everything happens to -------------------------------------------------------------


@pytest.fixture(scope="module")
def lab(place: Path) -> Lab:
    return Lab(place, place / "runs-disturbed")


RUN = ("run", "../suites/down.yaml", "--jobs")
TRIALS = 12  # 2 variants, 6 seeds
PASSES = 2


@pytest.fixture(scope="module")
def parent_killed(lab: Lab) -> Step:
    return lab.step(*RUN, "2", disturb=lambda program: program.kill())


@pytest.fixture(scope="module")
def group_killed(lab: Lab, parent_killed: Step) -> Step:
    return lab.step(*RUN, "1", disturb=lambda program: os.killpg(program.pid, signal.SIGKILL))


@pytest.fixture(scope="module")
def ctrl_c(lab: Lab, group_killed: Step) -> Step:
    return lab.step(*RUN, "2", disturb=lambda program: os.killpg(program.pid, signal.SIGINT))


@pytest.fixture(scope="module")
def page_after_ctrl_c(lab: Lab, ctrl_c: Step) -> list[str]:
    assert lab.step("report", "down").out.splitlines()[1] == str(lab.page)
    return lab.outcomes("down")


@pytest.fixture(scope="module")
def terminated(lab: Lab, page_after_ctrl_c: list[str]) -> Step:
    return lab.step(*RUN, "1", disturb=lambda program: program.terminate())


@pytest.fixture(scope="module")
def broken(lab: Lab, terminated: Step) -> dict[str, str]:
    """Damage two records, and return their ids by what is wrong."""
    one, two = sorted(terminated.after.trials())[:2]
    (lab.trials / one / "record.json").write_text('{"kind": "trial", ')
    arrays = lab.trials / two / "arrays.npz"
    arrays.write_bytes(arrays.read_bytes()[:100])
    return {"record": one, "arrays": two}


@pytest.fixture(scope="module")
def finished(lab: Lab, broken: dict[str, str]) -> Step:
    return lab.step(*RUN, "1")


@pytest.fixture(scope="module")
def reports_when_finished(lab: Lab, finished: Step) -> Files:
    return look(lab.runs / "reports")


@pytest.fixture(scope="module")
def again(lab: Lab, reports_when_finished: Files) -> Step:
    return lab.step(*RUN, "1")


def check_that_finished_trials_stay(step: Step) -> None:
    kept = step.before.trials()
    assert step.after.of(kept) == step.before.of(kept)  # bytes, times and files themselves


def test_workers_end_when_the_program_is_killed(lab: Lab, parent_killed: Step) -> None:
    assert parent_killed.code == -signal.SIGKILL  # that all processes are gone, `step` has seen
    assert parent_killed.planned() == (TRIALS, 0)
    assert 1 <= len(parent_killed.new) < TRIALS
    for id in parent_killed.new:
        assert records.read(lab.runs, "trial", id) is not None
    study = next((lab.runs / "studies").iterdir())
    assert (study / "study.json").exists()  # written down before the first trial


def test_after_a_kill_only_what_is_missing_is_run(parent_killed: Step, group_killed: Step) -> None:
    there = len(parent_killed.after.trials())
    assert group_killed.code == -signal.SIGKILL
    assert group_killed.planned() == (TRIALS - there, there)
    assert len(group_killed.new) >= 1
    check_that_finished_trials_stay(group_killed)


def test_ctrl_c_says_how_to_go_on(lab: Lab, ctrl_c: Step) -> None:
    assert ctrl_c.code == 130
    assert ctrl_c.out == ""
    assert "Traceback" not in ctrl_c.err
    assert ctrl_c.err.endswith(
        "\ninterrupted; what is finished is kept, running the same again goes on where it stopped\n"
        f"`ablate report down --runs {lab.runs} --reports {lab.page.parent}` writes the page of "
        "what there is\n"
    )
    assert ctrl_c.seconds < 2
    assert "lost" not in ctrl_c.err  # workers leave it to the parent
    check_that_finished_trials_stay(ctrl_c)
    assert 1 <= len(ctrl_c.new) < TRIALS


def test_after_ctrl_c_the_report_of_what_there_is_can_be_had(
    ctrl_c: Step, page_after_ctrl_c: list[str]
) -> None:
    there = len(ctrl_c.after.trials())
    assert page_after_ctrl_c == ["missing"] * (TRIALS - there) + ["ok"] * there


def test_a_polite_request_to_end_is_ctrl_c(ctrl_c: Step, terminated: Step) -> None:
    there = len(ctrl_c.after.trials())
    assert terminated.planned() == (TRIALS - there, there)
    assert terminated.code == 130
    assert "Traceback" not in terminated.err
    assert "\ninterrupted; what is finished is kept, " in terminated.err
    assert terminated.seconds < 2
    check_that_finished_trials_stay(terminated)
    assert 1 <= len(terminated.new) < TRIALS - there


def test_a_damaged_record_is_named_set_aside_and_made_again(
    lab: Lab, terminated: Step, broken: dict[str, str], finished: Step
) -> None:
    there = len(terminated.after.trials()) - 2
    assert finished.planned() == (TRIALS - there, there)
    for id, what in (
        (broken["record"], "cannot be read: Expecting property name enclosed in double quotes"),
        (broken["arrays"], "arrays.npz cannot be read: File is not a zip file"),
    ):
        (aside,) = (lab.runs / "damaged").glob(f"trial-{id}-*")
        named = f"damaged: {lab.trials / id}: {what}"
        (line,) = (line for line in finished.err.splitlines() if line.startswith(named))
        assert line.endswith(f"; set aside as {aside}, it is made again")
        assert records.read(lab.runs, "trial", id) is not None
        if id == broken["arrays"]:  # the same trial, so the same numbers
            assert (
                finished.after.of({id})[f"{id}/weights.pt"][0]
                == (terminated.after.of({id})[f"{id}/weights.pt"][0])
            )
    sound = terminated.after.trials() - set(broken.values())
    assert finished.after.of(sound) == terminated.after.of(sound)


def test_a_run_ends_with_results_and_a_complete_report(
    lab: Lab, terminated: Step, finished: Step
) -> None:
    assert finished.code == 0, finished.err
    assert len(finished.after.trials()) == TRIALS
    there = len(terminated.after.trials()) - 2
    lines = finished.out.splitlines()
    assert lines[-2:] == [
        f"{TRIALS - there} trained, {there} there already",
        f"report: {lab.page.as_uri()}",
    ]
    assert "in place of pooled: accuracy" in finished.out
    assert lab.outcomes("down") == ["ok"] * TRIALS
    timed = list((lab.runs / "passes").iterdir())
    assert len(timed) == PASSES
    for one in timed:
        seconds = np.load(one / "arrays.npz")["seconds_0"]
        assert seconds.shape == (3, 3)  # rounds; pooled, strided and pooled again
        assert (seconds > 0).all()
    assert lab.manifest("down")["failures"] == []
    assert "down/index.html" in lab.page.read_text()


def test_progress_goes_to_standard_error_line_by_line(finished: Step) -> None:
    wanted, _ = finished.planned()
    lines = [line for line in finished.err.splitlines() if line.startswith("[")]
    everything = wanted + PASSES  # and what is timed when all are trained
    assert len(lines) == everything
    width = len(str(everything))
    for number, line in enumerate(lines[:-PASSES], start=1):
        assert re.fullmatch(
            rf"\[{number:>{width}}/{everything}\] ok       halving/(pooled|strided) seed \d"
            r"  accuracy \d+\.\d\d %  \d+ s  ETA \d+ (s|min)",
            line,
        )
    last = rf"\[{everything}/{everything}\] ok       latency of halving, process 2 of 2  \d+ s"
    assert re.fullmatch(last, lines[-1])
    assert re.search(
        rf"^{wanted} trials to run, .*, then 2 passes of latency; ETA \d+ (s|min) \(",
        finished.err,
        re.MULTILINE,
    )
    assert "\x1b" not in finished.err
    assert "\r" not in finished.err


def test_seeds_are_run_one_after_the_other(finished: Step) -> None:
    seeds = [int(seed) for seed in re.findall(r"^\[.* seed (\d)", finished.err, re.MULTILINE)]
    assert seeds == sorted(seeds)


def test_a_second_run_trains_nothing_and_changes_nothing(
    lab: Lab, finished: Step, reports_when_finished: Files, again: Step
) -> None:
    assert again.code == 0
    assert again.planned() == (0, TRIALS)
    assert f"0 trained, {TRIALS} there already" in again.out.splitlines()
    assert again.after == finished.after
    assert look(lab.runs / "reports").bytes() == reports_when_finished.bytes()
    without = [line for line in finished.out.splitlines() if " there already" not in line]
    assert [line for line in again.out.splitlines() if " there already" not in line] == without


def test_it_was_one_study_that_was_asked_six_times(lab: Lab, again: Step) -> None:
    (study,) = (lab.runs / "studies").iterdir()
    assert len((study / "asked.jsonl").read_text().splitlines()) == 6
    assert {path.name for path in study.iterdir()} == {"study.json", "asked.jsonl"}


def test_nothing_is_written_beside_runs_reports_and_cache(place: Path, again: Step) -> None:
    assert list((place / "elsewhere").iterdir()) == []
    expected = {"act.yaml", "down.yaml", "gate.py", "swish_in_place.py"}
    assert {path.name for path in (place / "suites").iterdir()} - {"__pycache__"} == expected


# --- seeds until the interval is narrow -----------------------------------------------------------


@pytest.fixture(scope="module")
def precise(place: Path) -> Lab:
    return Lab(place, place / "runs-precise")


@pytest.fixture(scope="module")
def planned(precise: Lab) -> Step:
    return precise.step("plan", "../suites/down.yaml", "--json")


@pytest.fixture(scope="module")
def easily_settled(precise: Lab, planned: Step) -> Step:
    return precise.step(*RUN, "1", "--seeds", "{until: 1000, at_most: 7}")


@pytest.fixture(scope="module")
def never_settled(precise: Lab, easily_settled: Step) -> Step:
    return precise.step(*RUN, "1", "--seeds", "{until: 0.001, at_most: 7}")


def test_a_plan_is_json_and_trains_nothing(precise: Lab, planned: Step) -> None:
    assert planned.code == 0
    plan = json.loads(planned.out)
    assert plan["study"]["suite"] == "down"
    assert len(plan["trials"]) == TRIALS
    assert not any(trial["done"] for trial in plan["trials"])
    assert [trial["seed"] for trial in plan["trials"]] == [s for s in range(6) for _ in range(2)]
    assert plan["seconds"] > 0
    assert planned.after.found == {}


def test_a_plan_writes_no_study(planned: Step, easily_settled: Step, precise: Lab) -> None:
    studies = sorted((precise.runs / "studies").iterdir())
    assert json.loads(planned.out)["study"]["id"] not in {study.name for study in studies}


def test_seeds_end_when_the_interval_is_narrow_enough(easily_settled: Step) -> None:
    assert easily_settled.code == 0, easily_settled.err
    assert easily_settled.planned() == (14, 0)
    assert len(easily_settled.new) == 10  # five seeds: a spread of fewer is not to be trusted
    assert (
        "10 trained, 0 there already, 4 not needed (the intervals are narrow enough)"
        in easily_settled.out.splitlines()
    )


def test_seeds_go_to_the_limit_when_it_never_is(never_settled: Step) -> None:
    assert never_settled.code == 0, never_settled.err
    assert never_settled.planned() == (4, 10)
    assert len(never_settled.after.trials()) == 14
    assert "4 trained, 10 there already" in never_settled.out.splitlines()
    check_that_finished_trials_stay(never_settled)


def test_arrays_do_not_depend_on_how_many_trials_run_beside(
    lab: Lab, parent_killed: Step, precise: Lab, never_settled: Step
) -> None:
    assert parent_killed.new <= never_settled.after.trials()
    for id in parent_killed.new:  # by one of two workers
        two, one = (records.read(where.runs, "trial", id) for where in (lab, precise))
        assert one is not None
        assert two is not None
        assert one.arrays.keys() == two.arrays.keys()
        for name in one.arrays:
            assert one.arrays[name].tobytes() == two.arrays[name].tobytes()
        weights = [(where.trials / id / "weights.pt").read_bytes() for where in (lab, precise)]
        assert weights[0] == weights[1]


def test_trials_of_a_variant_differ_by_seed(precise: Lab, never_settled: Step) -> None:
    losses = set()
    for id in never_settled.after.trials():
        record = records.read(precise.runs, "trial", id)
        assert record is not None
        losses.add(float(np.mean(record.arrays["test_loss"])))
    assert len(losses) == 14


# --- a full disk, a mistaken block, a rate that is too high ---------------------------------------


@pytest.fixture(scope="module")
def hard(place: Path) -> Lab:
    return Lab(place, place / "runs-hard")


ROOM = 50_000  # bytes: a study fits, the weights of 48 x 48 x 9 do not


@pytest.fixture(scope="module")
def disk_full(hard: Lab) -> Step:
    return hard.step("run", "../suites/act.yaml", "--jobs", "1", room=ROOM)


@pytest.fixture(scope="module")
def with_failures(hard: Lab, disk_full: Step) -> Step:
    return hard.step("run", "../suites/act.yaml", "--jobs", "1")


def test_a_full_disk_ends_the_run_with_one_clear_line(hard: Lab, disk_full: Step) -> None:
    assert disk_full.code == 2
    assert disk_full.out == ""
    assert "Traceback" not in disk_full.err
    last = disk_full.err.splitlines()[-1]
    found = re.fullmatch(
        r"no room left to write (\S+): File too large; free some space and run the same command "
        "again, what was finished is kept",
        last,
    )
    assert found is not None, last
    assert Path(found[1]).parent == hard.trials
    assert disk_full.after.found == {}  # nothing half written
    assert disk_full.err.count(" lost ") == 1  # no trial is begun that could not be kept


def test_with_room_again_the_run_goes_on(disk_full: Step, with_failures: Step) -> None:
    assert with_failures.planned() == disk_full.planned() == (6, 0)
    assert len(with_failures.after.trials()) == 6


MISTAKE = "RuntimeError: one of the variables needed for gradient computation has been modified"


def test_what_fails_and_what_diverges_stops_nothing_else(hard: Lab, with_failures: Step) -> None:
    assert with_failures.code == 1
    assert "Traceback" not in with_failures.err
    found = [records.read(hard.runs, "trial", id) for id in with_failures.after.trials()]
    by_status: dict[str, list[records.Record]] = {}
    for record in found:
        assert record is not None
        by_status.setdefault(record.status, []).append(record)
    assert {status: len(of) for status, of in by_status.items()} == {
        "ok": 2,
        "failed": 2,
        "diverged": 2,
    }
    for record in by_status["failed"]:
        assert record.spec["config"]["network"]["act"] == {"kind": "swish_in_place"}
        assert (record.reason or "").startswith(MISTAKE)
        trace = hard.trials / record.id / "traceback.txt"
        assert MISTAKE in trace.read_text()
    for record in by_status["diverged"]:
        assert record.spec["config"]["recipe"]["lr"] == 1e30
        assert record.reason == "the training loss was nan in epoch 1"


def test_reasons_are_in_the_output(with_failures: Step) -> None:
    for seed in (0, 1):
        assert (
            f"not ok: kinds/hot seed {seed} diverged: the training loss was nan in epoch 1\n"
            in with_failures.out
        )
        assert f"not ok: kinds/mistaken seed {seed} failed: {MISTAKE}" in with_failures.out
        assert re.search(
            rf"^\[\d/6\] diverged kinds/hot seed {seed}  the training loss was nan",
            with_failures.err,
            re.MULTILINE,
        )
    assert "\n2 trained, 0 there already, 2 failed, 2 diverged\n" in with_failures.out
    assert "\nrunning the same again tries what failed once more\n" in with_failures.out


def test_reasons_are_in_the_report(hard: Lab, with_failures: Step) -> None:
    manifest = hard.manifest("act")
    outcomes = [trial["outcome"] for trial in manifest["trials"].values()]
    assert sorted(outcomes) == ["diverged"] * 2 + ["failed"] * 2 + ["ok"] * 2
    reasons = {trial["reason"] for trial in manifest["trials"].values()}
    assert any((reason or "").startswith(MISTAKE) for reason in reasons)
    page = (hard.page.parent / "act" / "index.html").read_text()
    for text in (MISTAKE, "the training loss was nan in epoch 1", "mistaken", "hot"):
        assert text in page


@pytest.mark.usefixtures("no_plugins")
def test_a_dry_run_writes_nothing_and_says_what_is_tried_again(
    hard: Lab,
    with_failures: Step,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("ABLATE_DATA", str(hard.place / "prepared"))
    before = look(hard.runs)
    asked = Request(str(hard.place / "suites" / "act.yaml"))
    reports = hard.runs / "reports"
    assert commands.run(asked, "cpu", hard.runs, reports, "1", None, dry_run=True) == 0
    assert look(hard.runs) == before
    out, err = capfd.readouterr()
    assert out == ""
    assert "2 trials to run, 4 there already" in err  # what diverged would do so again
    assert re.search(r"^ *mistaken .* 0/2 done", err, re.MULTILINE)
    assert re.search(r"^ *hot .* 2/2 done", err, re.MULTILINE)

    assert commands.run(replace(asked, seeds="3"), "cpu", hard.runs, reports, "1", None, True) == 0
    assert look(hard.runs) == before  # no study of other seeds either


# --- the report in between ------------------------------------------------------------------------


@pytest.mark.usefixtures("no_plugins")
def test_pages_are_made_between_rounds_of_seeds(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ABLATE_DATA", str(place / "prepared"))
    suite = str(place / "suites" / "down.yaml")
    events: list[str] = []

    def rounds(seeds: str, age: float) -> list[str]:
        events.clear()
        monkeypatch.setattr(running, "PAGE_AGE", age)
        asked = Request(suite, None, None, seeds, ("recipe.epochs=1",))
        plan, _ = commands._plan(asked, "cpu", tmp_path, "1")

        def note(item: TrialPlan | ReadingPlan | PassPlan, event: Event) -> None:
            if _ends(event):
                events.append(item.name.partition(",")[0].split()[-1])

        running.run(plan, tmp_path, "inline", 1, note, lambda: events.append("page"))
        return events

    timed = "halving"  # what takes the time comes when all is trained
    assert rounds("0,1,2", 0) == ["0", "0", "page", "1", "1", "page", "2", "2", timed, timed]
    # A page stands for a multiple of the time that it took, so the second one is still to come.
    assert rounds("3,4,5", 1e9) == ["3", "3", "page", "4", "4", "5", "5"]
    assert rounds("0-5", 0) == []


def _ends(event: Event) -> bool:
    return isinstance(event, Done | Lost)


# --- what is wrong with the request ---------------------------------------------------------------


def test_images_that_cannot_be_read_end_it_before_anything_is_written(place: Path) -> None:
    torn = draw(place / "torn", train=2, test=2)
    image = torn / "train" / "dark" / "001.png"
    image.write_bytes(image.read_bytes()[:60])
    lab = Lab(place, place / "runs-torn")
    step = lab.step("run", "../suites/down.yaml", "--data", f"folder:{torn}")
    assert step.code == 2
    assert step.out == ""
    assert "train/dark/001.png: damaged or cut short" in step.err
    assert "Traceback" not in step.err
    assert not lab.runs.exists()


def test_an_unknown_executor_is_refused_before_anything_is_planned(tmp_path: Path) -> None:
    with pytest.raises(SuiteError) as caught:
        commands.run(Request("down"), None, tmp_path, tmp_path, "auto", "proceses", False)
    assert str(caught.value) == (
        "--executor: unknown executor 'proceses'; did you mean 'processes'?"
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("jobs", ["0", "-1", "two", "1.5", "²", ""])
def test_a_number_of_jobs_that_is_none_is_refused(jobs: str) -> None:
    with pytest.raises(SuiteError) as caught:
        commands._workers(jobs, "cpu", 4)
    assert str(caught.value) == f"--jobs: {jobs!r} is neither a number of 1 or more nor auto"


def test_no_more_jobs_are_planned_than_there_are_trials() -> None:
    assert commands._workers("8", "cpu", 3) == 3
    assert commands._workers("2", "cpu", 3) == 2
    assert commands._workers("2", "cpu", 0) == 1
    assert commands._workers("auto", "cuda", 30) == 1


def test_records_of_a_newer_version_are_left_alone(precise: Lab, never_settled: Step) -> None:
    id = min(never_settled.after.trials())
    path = precise.trials / id / "record.json"
    text = path.read_text()
    path.write_text(text.replace('"schema_version": 1', '"schema_version": 2', 1))
    set_aside: list[str] = []
    try:
        with pytest.raises(records.NewerRecord) as caught:
            stored(precise.runs, "trial", id, set_aside)
        assert path.exists()
    finally:
        path.write_text(text)
    assert set_aside == []
    assert _is_users(caught.value)  # exit code 2, and the message alone
