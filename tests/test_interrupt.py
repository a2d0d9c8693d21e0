"""Ctrl-C and its like, at any moment: the program ends soon, says what is kept, leaves nothing."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from executor_jobs import wait_for
from small_runs import draw

from ablate import records
from ablate.commands import _report_command
from ablate.interrupt import GRACE

ROOT = Path(__file__).parent.parent
SOON = 2.0  # seconds that a run may take to end

SUITE = """
id: held
title: A suite that waits
question: Is it heard?
base:
  task: classify
  data: {{name: folder, path: {images}}}
  network: {{family: staged, stages: [[4], [4]], act: held}}
  recipe: {{epochs: 1, batch_size: 16}}
seeds: 2
latency: {{batches: [1], rounds: 3, processes: 1}}
plugins: [held.py]
comparisons:
  - id: halving
    title: Pooling or strides?
    baseline: pooled
    variants: {{pooled: {{}}, strided: {{network.down: strided}}}}
"""

# Waits for ever, and says so, where HOLD says and as soon as there are so many trials.
HELD = '''"""ReLU that waits, where it is told to."""

import os
import time
from pathlib import Path

import torch
from torch import nn

ROOM = "blocks/act"
SAMPLES = [{}]


def hold(where):
    if os.environ.get("HOLD") == where:
        trials = list(Path(os.environ["TRIALS"]).glob("[!.]*"))
        while len(trials) >= int(os.environ["HOLD_AT"]):
            Path(os.environ["HELD"]).touch()
            time.sleep(0.01)


class Held(nn.Module):
    def forward(self, x):
        if x.device.type != "meta":
            hold("" if self.training else "latency")
        return torch.relu(x)


def build() -> nn.Module:
    hold("planning")
    return Held()
'''

# Draws pages for ever as soon as it is to draw one.
DRAWS = """
    import os, shutil
    from pathlib import Path
    from ablate import cli, commands

    render = commands.render

    def again_and_again(runs, reports, chosen):
        while True:
            Path(os.environ["HELD"]).touch()
            render(runs, reports, chosen)
            shutil.rmtree(reports)

    commands.render = again_and_again
    cli.main()
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("held")
    images = draw(place / "images")
    (place / "held.yaml").write_text(SUITE.format(images=images))
    (place / "held.py").write_text(HELD)
    return place


def _hear_all() -> None:
    """Let a program hear what the tests themselves may have been started to ignore (`nohup`)."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def start(
    place: Path,
    *arguments: str,
    hold: str = "",
    at: int = 0,
    program: Sequence[str] = ("-m", "ablate"),
) -> "subprocess.Popen[str]":
    """Start a run in a group of its own, as a terminal does, with Ctrl-C heard."""
    (place / "here").unlink(missing_ok=True)
    return subprocess.Popen(
        [sys.executable, *program, *arguments],
        cwd=place,
        env=os.environ
        | {
            "PYTHONPATH": str(ROOT),
            "ABLATE_DATA": str(place / "prepared"),
            "OMP_NUM_THREADS": "1",
            "HOLD": hold,
            "HOLD_AT": str(at),
            "HELD": str(place / "here"),
            "TRIALS": str(place / "runs" / "trials"),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=_hear_all,
    )


def press(
    program: "subprocess.Popen[str]", *numbers: signal.Signals, group: bool = False
) -> tuple[str, float]:
    """Send signals, return what was said and how long it took the program to end, with 130."""
    began = time.monotonic()
    try:
        for number in numbers or (signal.SIGINT,):
            (os.killpg if group else os.kill)(program.pid, number)
            time.sleep(0.05)
        out, said = program.communicate(timeout=30)
    finally:
        took = time.monotonic() - began
        with contextlib.suppress(ProcessLookupError):
            os.killpg(program.pid, signal.SIGKILL)
    assert (program.returncode, out) == (130, ""), said
    assert "Traceback" not in said
    assert "rror" not in said
    return said, took


def await_hold(place: Path, program: "subprocess.Popen[str]") -> None:
    """Wait until a program has come to where it is to be interrupted."""
    end = time.monotonic() + 60
    while not (place / "here").exists():
        if program.poll() is not None or time.monotonic() > end:
            program.kill()
            raise AssertionError(program.communicate())
        time.sleep(0.01)


def unfinished(folder: Path) -> list[Path]:
    """Return what was written under another name and not renamed."""
    return [path for path in folder.rglob(".*") if re.search(r"\.[0-9a-f]{8}$", path.name)]


RUN = ("run", "held.yaml", "--device", "cpu", "--jobs", "1")
KEPT = (
    "\ninterrupted; what is finished is kept, running the same again goes on where it stopped\n"
    "`ablate report held` writes the page of what there is\n"
)


def test_a_run_ends_soon_whatever_it_is_at(place: Path) -> None:
    """In training too: see `test_end_to_end.py`."""
    trials = place / "runs" / "trials"
    draws = ("-c", textwrap.dedent(DRAWS))
    took = {}
    for moment, program, number, group in (
        ("planning", ("-m", "ablate"), signal.SIGINT, False),
        ("drawing", draws, signal.SIGTERM, False),
        ("latency", ("-m", "ablate"), signal.SIGHUP, True),
    ):
        at = 4 if moment == "latency" else 0
        running = start(place, *RUN, hold=moment, at=at, program=program)
        await_hold(place, running)
        time.sleep(0.3 if moment == "drawing" else 0)  # into the pictures
        before = {path.name for path in trials.glob("*")}
        said, took[moment] = press(running, number, group=group)
        # A library that draws may keep the KeyboardInterrupt to itself: then the grace ends it.
        ends = {"planning": ("\ninterrupted\n",), "drawing": (KEPT, "\ninterrupted\n")}
        assert said.endswith(ends.get(moment, (KEPT,)))
        assert unfinished(place / "runs") == unfinished(place / "reports") == []
        assert {path.name for path in trials.glob("*")} >= before
        for id in before:
            assert records.read(place / "runs", "trial", id) is not None
    assert max(took.values()) < SOON, took
    assert len(list(trials.iterdir())) == 4
    assert not list((place / "runs" / "passes").glob("*"))


def test_the_report_to_ask_for_is_the_one_of_these_folders() -> None:
    assert _report_command("s7", Path("runs"), Path("reports")) == "ablate report s7"
    assert _report_command("s7", Path("my runs"), Path("/r")) == (
        "ablate report s7 --runs 'my runs' --reports /r"
    )


# --- programs that do not listen ------------------------------------------------------------------

DEAF = """
    import time
    while True:
        try:
            time.sleep(60)
        except KeyboardInterrupt:
            pass
"""
BUSY = """
    import hashlib
    hashlib.pbkdf2_hmac("sha256", b"", b"", 2**31 - 1)  # a call that comes back in minutes
"""
TORN = """
    import time
    from ablate import cli

    def broken(**_):  # as an import may be that Ctrl-C breaks off
        try:
            time.sleep(60)
        except KeyboardInterrupt:
            raise ImportError("partially initialized module")

    cli.run.callback = broken
    cli.main()
"""


def script(place: Path, code: str, grace: float = GRACE) -> "subprocess.Popen[str]":
    listens = f"""
        import sys
        from pathlib import Path
        from ablate import interrupt
        interrupt.GRACE = {grace}
        interrupt.listen()
        Path({str(place / "here")!r}).touch()
    """
    program = ("-c", textwrap.dedent(listens) + textwrap.dedent(code))
    found = start(place, "run", "held.yaml", program=program)
    await_hold(place, found)
    time.sleep(0.2)  # into the code
    return found


@pytest.mark.parametrize("code", [DEAF, BUSY], ids=["deaf", "busy"])
def test_a_program_that_does_not_end_is_ended(place: Path, code: str) -> None:
    said, took = press(script(place, code))
    assert said == "\ninterrupted\n"
    assert GRACE - 0.1 < took < SOON


@pytest.mark.parametrize("code", [DEAF, BUSY], ids=["deaf", "busy"])
def test_the_second_ctrl_c_ends_it_at_once(place: Path, code: str) -> None:
    said, took = press(script(place, code, grace=60), signal.SIGINT, signal.SIGINT)
    assert said == "\ninterrupted\n"
    assert took < GRACE


def test_an_error_that_an_interruption_causes_is_none(place: Path) -> None:
    said, _ = press(script(place, TORN))
    assert said == "interrupted\n"


def test_who_is_not_read_is_ended_too(place: Path) -> None:
    """Standard error is full, as with a terminal that is stopped."""
    program = script(place, "import os\nwhile True: os.write(2, bytes(9999))")
    os.kill(program.pid, signal.SIGINT)
    assert program.wait(timeout=SOON + 1) == 130
    program.communicate()


def test_what_is_ignored_stays_ignored(place: Path) -> None:
    """`nohup ablate run`: the terminal may go."""
    code = "import time\nprint('goes on', flush=True)\ntime.sleep(1)"
    program = script(place, f"import signal\nsignal.signal(1, signal.SIG_IGN)\n{code}")
    program.send_signal(signal.SIGHUP)
    assert program.communicate(timeout=20) == ("goes on\n", "")
    assert program.returncode == 0


def test_workers_end_with_a_program_that_is_ended(place: Path) -> None:
    code = """
        from ablate import catalog
        from executor_jobs import WORK

        job = {"steps": [["write", "worker"], ["sleep", 60]], "record": "r"}
        events = catalog.load("execute", "processes").run([job], WORK, 1)
        while True:
            try:
                next(events)
                while True:
                    pass
            except KeyboardInterrupt:
                pass
    """
    sys_path = f"import sys\nsys.path.insert(0, {str(Path(__file__).parent)!r})\n"
    (place / "worker").unlink(missing_ok=True)
    program = script(place, sys_path + textwrap.dedent(code))
    worker = int(wait_for(place / "worker"))
    time.sleep(0.5)  # until the program, too, is where it does not listen
    press(program)
    end = time.monotonic() + 10
    while Path(f"/proc/{worker}").exists():
        assert time.monotonic() < end
        time.sleep(0.02)
