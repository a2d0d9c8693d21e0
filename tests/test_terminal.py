"""The terminal: bars, lines and signs of life, parts of a run, what to do next, completion."""

import fcntl
import io
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import threading
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.shell_completion import BashComplete
from rich.console import Console
from small_records import record, study
from test_evidence import DROP_IN, NORMAL, Lab

import ablate
from ablate import advice, commands, display, records, terminal
from ablate.cli import Exit, cli, main
from ablate.evidence.collect import collect
from ablate.execute import Done, Progress, Started
from ablate.suite import chosen
from ablate.suite.planned import Plan, ReadingPlan, TrialPlan
from ablate.suite.request import Request
from ablate.suite.source import SuiteError
from tests import tiny

ROOT = Path(ablate.__file__).parent.parent
ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
COLOUR = re.compile(r"\x1b\[[0-9;]*(3[0-8]|9[0-7])[0-9;]*m")


def environment(**more: str) -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"} | more


def call(*arguments: str, **more: str) -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run(
        [sys.executable, "-m", "ablate", *arguments],
        env=environment(**more),
        capture_output=True,
        check=False,
    )


def on_a_terminal(*arguments: str, columns: int = 100, **more: str) -> tuple[int, str]:
    """Run the program on a pseudo-terminal; return its exit code and all that was written."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    program = [sys.executable, "-m", "ablate", *arguments]
    given = environment(TERM="xterm-256color", **more)
    with subprocess.Popen(program, stdout=theirs, stderr=theirs, env=given) as process:
        os.close(theirs)
        written = b""
        while True:
            try:
                part = os.read(ours, 65536)
            except OSError:  # as Linux says that nobody has the other end any more
                break
            if not part:
                break
            written += part
        os.close(ours)
    return process.returncode, written.decode()


# --- bars and lines -------------------------------------------------------------------------------


@pytest.fixture
def lab(here: Path) -> Path:
    Path("tiny.yaml").write_text(tiny.changed(("epochs: 1", "epochs: 2")))
    return here


RUN = ("run", "tiny.yaml", "--profile", "full", "--device", "cpu", "--jobs", "1")


def test_a_terminal_has_two_bars_and_a_part_may_be_run(lab: Path) -> None:
    code, written = on_a_terminal(*RUN, "-k", "conv/normal", NO_COLOR="1")
    assert code == Exit.OK, written
    assert not COLOUR.search(written)
    lines = ESCAPE.sub("", written).replace("\r", "\n").splitlines()
    suite = [line for line in lines if re.match(r"tiny [ ━╸╺]+ [012]/2 +\d:\d\d:\d\d", line)]
    assert suite
    assert any(re.search(r"ETA \d+ (s|min)", line) for line in suite)
    trial = (
        r"conv/normal seed \d [ ━╸╺]+ 1/2 +\d:\d\d:\d\d loss \d\.\d{3}  train accuracy \d+\.\d\d"
    )
    assert any(re.match(trial, line) for line in lines), lines[-40:]
    both = [re.match("tiny ", a) and "seed" in b for a, b in pairwise(lines)]
    assert any(both)  # one below the other
    ended = [line for line in lines if line.startswith("[")]
    heads = [f"[{number}/2] ok       conv/normal seed {number - 1}  " for number in (1, 2)]
    assert [line[: len(heads[0])] for line in ended] == heads
    after = lines[lines.index("2 trained, 0 there already") :]
    again = "ablate run tiny.yaml --profile full --device cpu"
    assert f"next: `{again}` trains what is missing, 2 trials" in after
    assert [line for line in after if line][-1].startswith("report: file:///")


def epoch(number: int, **scores: float) -> dict[str, Any]:
    return {
        "epoch": {"epoch": number, "images": 640, "seconds": 0.5, "scores": scores},
        "epochs": 4,
    }


def trials(count: int) -> list[TrialPlan]:
    return [TrialPlan(f"{n}", n, "kinds", f"kinds/a{n}", {}, False, 10.0) for n in range(count)]


def a_plan(planned: list[TrialPlan], **more: Any) -> Plan:
    return Plan(study(), planned, [], {}, [], [], None, **more)


def test_signs_of_life_say_what_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    clock = [0.0]
    monkeypatch.setattr("ablate.display.time.monotonic", lambda: clock[0])
    file = io.StringIO()
    planned = trials(5)
    path = records.write(tmp_path, record())
    shown = display.Display(a_plan(planned), 3, Console(file=file, soft_wrap=True), None)
    shown.show(planned[0], Started(0))
    shown.show(planned[0], Done(0, path, "ok"))
    for trial in planned[1:4]:
        shown.show(trial, Started(trial.seed))
    scores = {"train_loss": 1.25, "train_accuracy": 51.0, "validation_accuracy": 50.5}
    shown.show(planned[1], Progress(1, epoch(2, **scores)))
    clock[0] = display.HEARTBEAT - 1
    shown.beat()  # something was said a moment ago
    clock[0] = display.HEARTBEAT + 1
    shown.beat()
    shown.beat()  # and once is enough
    first, life = file.getvalue().splitlines()
    assert first.startswith("[1/5] ok")
    assert life == (
        "  …     1 of 5 done, running: kinds/a1 seed 1 epoch 2/4  loss 1.250  "
        "validation accuracy 50.50  1,280 images/s, kinds/a2 seed 2, and 1 more  ETA 1 s"
    )


def test_where_there_is_no_terminal_the_heart_beats_by_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said = threading.Event()

    class File(io.StringIO):
        def write(self, text: str) -> int:
            if "…" in text:
                said.set()
            return super().write(text)

    monkeypatch.setattr(display, "HEARTBEAT", 0.01)
    before = threading.active_count()
    planned = trials(2)
    with display.display(a_plan(planned), 1, Console(file=File())) as shown:
        shown.show(planned[0], Started(0))
        assert said.wait(60)  # no event comes, and it says something all the same
    assert threading.active_count() == before


def test_colours_are_switched_off_by_no_color() -> None:
    def written(**environ: str) -> str:
        file = io.StringIO()
        console = Console(file=file, force_terminal=True, _environ={"TERM": "xterm", **environ})
        with display.display(a_plan(trials(2)), 1, console):
            pass
        return file.getvalue()

    assert COLOUR.search(written())
    assert not COLOUR.search(written(NO_COLOR="1"))


# --- letters that a terminal cannot show ----------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("4.0 points lower [−5.2, −2.7]", "4.0 points lower [-5.2, -2.7]"),
        ("▲ ▼ ≈ ±0.5 × … ·", "^ v ~ +/-0.5 x ... -"),
        ("“fewer”: supported", '"fewer": supported'),
        ("Größe naïve", "Grosse naive".replace("ss", "?")),
        ("日本", "??"),
        ("a\N{NO-BREAK SPACE}b", "a b"),
    ],
)
def test_text_as_ascii_has_it(text: str, plain: str) -> None:
    assert terminal.ascii_of(text) == plain


def timed(runs: Path, noise: float = 0.001) -> Lab:
    """Return a lab of two trained rows, timed; the control's times vary by a noise."""
    made = Lab(runs)
    networks = [{"family": "staged", "width": width} for width in (16.0, 24.0)]
    draw = np.random.default_rng(0)
    rows = [
        made.row("normal", NORMAL, network=networks[0]),
        made.row("depthwise", DROP_IN, network=networks[1]),
    ]
    times = [{1: 1e-3 * draw.lognormal(0, 0.001, (20, 3)) * [1, 2, 1 + noise]} for _ in range(3)]
    configs = [row.full_config["network"] for row in rows]
    made.compare(*rows, passes=made.time(configs, *times))
    return made


def test_no_message_is_lost_to_an_encoding(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    timed(tmp_path).ask()
    commands.verdicts("s7", False, False, tmp_path)
    usual = capsys.readouterr().out
    assert "“8 times less parameters”" in usual
    plain = call("verdicts", "s7", "--runs", str(tmp_path), PYTHONIOENCODING="ascii")
    assert (plain.returncode, plain.stderr) == (0, b"")
    assert plain.stdout.decode("ascii") == terminal.ascii_of(usual)


# --- a part of a plan -----------------------------------------------------------------------------


@pytest.fixture
def planned(tmp_path: Path) -> Plan:
    """A plan of six trials, of which two are done, one failed, and of which three have readings."""
    lab = timed(tmp_path)
    lab.compare(lab.row("normal", NORMAL[:3]), lab.row("Add", DROP_IN[:3]), id="merge")
    asked = lab.ask()
    found = []
    for comparison in asked.comparisons:
        for row in comparison.rows:
            label = f"{comparison.id}/{row.variant}"
            for seed, id in list(row.trials.items())[:2]:
                done = label == "merge/normal"
                found.append(TrialPlan(id, seed, comparison.id, label, {}, done, 1.0))
    lost = found[0]
    stored = records.read(tmp_path, "trial", lost.id)
    assert stored is not None
    failed = stored.model_copy(update={"status": "failed", "reason": "no", "metrics": {}})
    (records.folder(tmp_path, "trial", lost.id) / "record.json").unlink()
    records.set_aside(tmp_path, "trial", lost.id)
    records.write(tmp_path, failed)
    readings = [ReadingPlan(f"r{t.id}", t.id, f"reading of {t.name}", {}, False, 1) for t in found]
    return replace(a_plan(found), study=asked, readings=readings)


@pytest.mark.parametrize(
    ("pattern", "labels"),
    [
        ("depthwise/depthwise", ["depthwise/depthwise"] * 2),
        ("merge", ["merge/Add"] * 2),
        ("*/normal", ["depthwise/normal"] * 2),
        ("m?rge/*", ["merge/Add"] * 2),
        (None, ["depthwise/normal"] * 2 + ["depthwise/depthwise"] * 2 + ["merge/Add"] * 2),
    ],
)
def test_a_pattern_chooses_rows(
    planned: Plan, tmp_path: Path, pattern: str | None, labels: list[str]
) -> None:
    part = chosen.part(planned, tmp_path, pattern, False)
    assert [trial.label for trial in part.missing] == labels
    wanted = {trial.id for trial in part.trials}
    assert {reading.trial for reading in part.readings} == wanted
    assert len([trial for trial in part.trials if trial.done]) == 2  # what is there stays


def test_only_what_failed_is_run_again(planned: Plan, tmp_path: Path) -> None:
    part = chosen.part(planned, tmp_path, None, True)
    assert [(trial.label, trial.seed) for trial in part.missing] == [("depthwise/normal", 0)]
    assert chosen.part(planned, tmp_path, "merge", True).missing == []


def test_a_pattern_that_matches_nothing_names_the_nearest(planned: Plan, tmp_path: Path) -> None:
    with pytest.raises(SuiteError) as error:
        chosen.part(planned, tmp_path, "merge/add", False)
    assert str(error.value) == "-k: no row matches 'merge/add'; did you mean 'merge/Add'?"


def test_a_run_tries_again_what_failed(lab: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = Request("tiny.yaml", "full")

    def run(only: commands.Only, dry_run: bool = False) -> str:
        code = commands.run(
            asked, "cpu", Path("runs"), Path("reports"), "1", None, dry_run, only=only
        )
        assert code == Exit.OK
        said = capsys.readouterr()
        return said.err if dry_run else said.out

    assert "4 trained, 0 there already" in run(commands.EVERYTHING)
    one, other, *_ = sorted(Path("runs/trials").iterdir())
    for place in (one, other):
        stored = records.read(Path("runs"), "trial", place.name)
        assert stored is not None
        records.set_aside(Path("runs"), "trial", place.name)
        if place == one:
            records.write(Path("runs"), stored.model_copy(update={"status": "failed"}))
    assert "1 trials to run, 2 there already" in run(commands.Only(None, True), dry_run=True)
    assert "1 trained, 2 there already" in run(commands.Only(None, True))
    assert one.is_dir()
    assert not other.is_dir()


# --- what to do next ------------------------------------------------------------------------------


def next_step(lab: Lab, *places: str, failed: int = 0, **request: Any) -> str:
    evidence = collect(lab.runs, lab.ask())
    return advice.next_step(evidence, Request("s7", **request), places, failed)


def test_what_failed_is_tried_again_first(tmp_path: Path) -> None:
    asked = {"profile": "quick", "overrides": ("recipe.lr=0.1", "seeds=3")}
    assert next_step(timed(tmp_path), "--runs", "a b", failed=2, **asked) == (
        "`ablate run s7 recipe.lr=0.1 seeds=3 --profile quick --runs 'a b' --rerun-failed` tries "
        "what failed once more"
    )


def test_then_what_is_missing(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.compare(lab.row("normal", [60.0, 61.0]), lab.row("depthwise", [60.0, None]))
    assert next_step(lab, seeds="2") == (
        "`ablate run s7 --seeds 2` trains what is missing, 1 trial"
    )


def test_then_steps_and_seeds(tmp_path: Path) -> None:
    lab = Lab(tmp_path / "a")
    lab.compare(lab.row("normal", NORMAL, steps=200), lab.row("depthwise", DROP_IN, steps=200))
    assert next_step(lab) == (  # of 50 steps an epoch
        "train longer, with recipe.epochs=9 or another profile: below 450 optimizer steps short "
        "training gives wrong answers"
    )
    lab = Lab(tmp_path / "b")
    lab.compare(lab.row("normal", NORMAL[:3]), lab.row("depthwise", DROP_IN[:3]))
    assert next_step(lab, seeds="3") == (
        "`ablate run s7 --seeds 5`, since a verdict needs 5 seeds a row"
    )


def test_then_seeds_that_tell_what_is_open(tmp_path: Path) -> None:
    lab = Lab(tmp_path / "a")
    lab.compare(lab.row("normal", NORMAL), lab.row("depthwise", [62.5, 62.1, 62.9, 61.7, 62.6]))
    said = next_step(lab)
    found = re.fullmatch(
        r"`ablate run s7 --seeds (\d+)` shows in 8 of 10 cases one more of 1 open difference, if "
        "it is as large as the margin",
        said,
    )
    assert found is not None, said
    spread = np.std(NORMAL, ddof=1), np.std([62.5, 62.1, 62.9, 61.7, 62.6], ddof=1)
    # Two-sided at 5 %, in 8 of 10 cases: 2.8 standard errors of the difference, or a little more.
    assert int(found[1]) == pytest.approx(7.85 * (spread[0] ** 2 + spread[1] ** 2) / 0.5**2, abs=2)


def test_and_where_all_is_told_to_cite_it(tmp_path: Path) -> None:
    assert next_step(timed(tmp_path)) == (
        "`ablate cite s7` lists its tables and figures for your notes"
    )


# --- advice ---------------------------------------------------------------------------------------


def test_a_machine_that_others_use_is_noticed() -> None:
    assert advice.crowded(2.0, 2) == advice.crowded(None, 2) == []
    assert advice.crowded(5.21, 2) == [
        "the load is 5.2 on 2 cores: other programs compute here too, so trials take longer than "
        "planned and times are noisy; end them for what is timed"
    ]


def afterwards(lab: Lab) -> list[str]:
    return advice.afterwards(collect(lab.runs, lab.ask()), Path("runs"))


def test_a_control_that_is_noisy_is_advised_on(tmp_path: Path) -> None:
    assert afterwards(timed(tmp_path / "quiet")) == []
    lab = timed(tmp_path / "noisy", noise=0.05)
    ids = lab.comparisons[0].passes["latency"]
    folders = f"runs/passes/{ids[0]}, runs/passes/{ids[1]} and runs/passes/{ids[2]}"
    assert afterwards(lab) == [
        "depthwise: times are noisy, two copies of one network came out 5.0 % apart at 1 image a "
        "call, above the margin of 2.0 %, so nothing is said there; on a machine with nothing else "
        f"to do, delete {folders} and run the same again"
    ]


def test_divergence_and_threads_are_advised_on(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.compare(lab.row("normal", NORMAL), lab.row("hot", [60.0, "diverged", "diverged", 61, 62]))
    trial = lab.comparisons[0].rows[0].trials[0]
    stored = records.read(tmp_path, "trial", trial)
    assert stored is not None
    records.set_aside(tmp_path, "trial", trial)
    records.write(tmp_path, stored.model_copy(update={"environment": {"threads": 4}}))
    stored = records.read(tmp_path, "trial", lab.comparisons[0].rows[0].trials[1])
    assert stored is not None
    records.set_aside(tmp_path, "trial", stored.id)
    records.write(tmp_path, stored.model_copy(update={"environment": {"threads": 1}}))
    assert afterwards(lab) == [
        "depthwise: 2 of 5 trials of hot (drop-in) diverged, which is a result and stays in the "
        "table; recipe.lr is 0.1 there; a lower one, or `tune`, may train it",
        "depthwise: its trials were trained with 1 and 4 threads, which changes rounding and time",
    ]


# --- completion -----------------------------------------------------------------------------------


def offered(*words: str) -> list[str]:
    *before, begun = words
    complete = BashComplete(cli, {}, "ablate", "_ABLATE_COMPLETE")
    return [item.value for item in complete.get_completions(list(before), begun)]


def test_tab_completes(here: Path, tmp_path: Path) -> None:
    tiny.write(tiny.changed(add="profiles: {quick: {seeds: 1}, brief: {seeds: 1}}\n"))
    Path("suites").mkdir()
    Path("tiny.yaml").rename("suites/tiny.yaml")
    assert "verdicts" in offered("ver")
    assert offered("run", "t") == ["tiny"]
    assert offered("run", "tiny", "--profile", "") == ["brief", "full", "quick"]
    assert offered("run", "nothing", "--profile", "") == ["full"]
    assert offered("run", "tiny", "recipe.ep") == ["recipe.epochs="]
    assert set(offered("run", "tiny", "network.")) == {
        "network.conv=", "network.family=", "network.stages=",
    }  # fmt: skip
    assert offered("plan", "tiny", "--data", "fo") == ["folder:"]
    assert offered("run", "tiny", "--executor", "in") == ["inline"]
    assert offered("report", "") == []
    timed(Path("runs")).ask()
    assert offered("report", "") == offered("verdicts", "s") == ["s7"]


def test_completion_survives_a_suite_that_is_wrong(here: Path) -> None:
    Path("tiny.yaml").write_text("profiles: [a]\ncomparisons: {}\nbase: 3\nvariants: 4\n")
    assert offered("run", "tiny.yaml", "--profile", "f") == ["full"]
    assert offered("run", "tiny.yaml", "recipe.mo") == ["recipe.momentum="]
    Path("tiny.yaml").write_text("{")
    assert offered("run", "tiny.yaml", "--profile", "f") == ["full"]


def test_bash_takes_the_script_and_completes(tmp_path: Path) -> None:
    program = tmp_path / "ablate"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m ablate "$@"\n')
    program.chmod(0o755)
    script = (
        'eval "$(_ABLATE_COMPLETE=bash_source ablate)"; COMP_WORDS=(ablate verdi); COMP_CWORD=1; '
        "_ablate_completion ablate; echo ${COMPREPLY[@]}"
    )
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", script],
        env=environment(PATH=path),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("verdicts\n", "")


# --- exit codes, and what is not loaded -----------------------------------------------------------


def test_exit_codes_are_documented() -> None:
    codes = {code.value for code in Exit}
    assert codes == {0, 1, 2, 3, 4, 130}
    told = call("--help").stdout.decode()
    paragraph = told[told.index("Exit codes:") :].partition("\n\n")[0]
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    listed = readme[readme.index("Exit codes:") :].partition("\n\n")[0]
    for text in (paragraph, listed):
        numbers = {int(one) for one in re.findall(r"\b(\d+)\s+(?=[a-z])", text)}
        assert codes <= numbers


def test_an_error_of_the_program_has_a_code_of_its_own(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["ablate", "list"])
    monkeypatch.setattr("ablate.catalog.rooms", lambda: 1 / 0)
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == Exit.INTERNAL
    assert capsys.readouterr().err == (
        "an error in ablate itself: ZeroDivisionError: division by zero\n"
        "Run again with --debug before the command to see where; what was finished is kept.\n"
    )


def test_a_claim_that_does_not_hold_has_a_code_of_its_own(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    better = [value + 5 for value in NORMAL]
    lab.compare(lab.row("normal", NORMAL), lab.row("depthwise", better))
    lab.ask()
    assert commands.verdicts("s7", False, False, tmp_path) == Exit.OK
    strict = call("verdicts", "s7", "--strict", "--runs", str(tmp_path))
    assert strict.returncode == Exit.REFUTED
    assert b"refuted" in strict.stdout


@pytest.fixture(scope="module")
def studied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    runs = tmp_path_factory.mktemp("studied")
    timed(runs).ask()
    return runs


def test_nothing_but_plans_and_trials_loads_torch(studied: Path, tmp_path: Path) -> None:
    """Help, lists, completion, verdicts and pages: in one process, after which torch is not there.

    Checked by what is loaded, not by the time, which tells nothing on a machine that is busy.
    """
    places = ["--runs", str(studied)]
    lines = [
        ["--help"], ["run", "--help"], ["list"], ["list", "--json"],
        ["verdicts", "s7", *places], ["verdicts", "--all", *places],
        ["report", "s7", *places, "--reports", str(tmp_path)],
    ]  # fmt: skip
    code = (
        "import contextlib, io, sys\n"
        "from click.shell_completion import BashComplete\n"
        "from ablate.cli import cli\n"
        "complete = BashComplete(cli, {}, 'ablate', '_ABLATE_COMPLETE')\n"
        "assert complete.get_completions(['run'], 's7')\n"
        "assert complete.get_completions(['run', 's7', '--profile'], 'q')\n"
        "print('completion', sorted({'torch', 'pandas'} & sys.modules.keys()))\n"
        f"for words in {lines!r}:\n"
        "    with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):\n"
        "        cli.main(words, prog_name='ablate', standalone_mode=False)\n"
        "    print(words[0], sorted({'torch'} & sys.modules.keys()))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in done.stderr
    told = ["completion", *(words[0] for words in lines)]
    assert done.stdout.splitlines() == [f"{word} []" for word in told]
