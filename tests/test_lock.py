"""Two runs on one folder of records: the second waits, says for whom, and trains nothing twice."""

import errno
import fcntl
import json
import os
import re
import signal
import socket
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from executor_jobs import wait_for
from small_runs import draw

from ablate import commands, records
from ablate.cli import Exit
from ablate.lock import alone
from ablate.suite.request import Request
from ablate.suite.source import SuiteError

ROOT = Path(__file__).parent.parent

HOLDER = """
    import sys, time
    from pathlib import Path
    from ablate.lock import alone

    runs, here = map(Path, sys.argv[1:])
    with alone(runs, "s7", lambda holder: None):
        here.write_text("held")
        time.sleep(60)
"""
SUITE = """
id: twice
title: One of two
question: Who trains?
base:
  task: classify
  data: {{name: folder, path: {images}}}
  network: {{family: staged, stages: [[4], [4]]}}
  recipe: {{epochs: 1, batch_size: 16}}
seeds: 1
comparisons:
  - id: halving
    title: Pooling or strides?
    baseline: pooled
    variants: {{pooled: {{}}, strided: {{network.down: strided}}}}
"""


def start(*arguments: str, cwd: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, *arguments],
        cwd=cwd,
        env=os.environ
        | {
            "PYTHONPATH": str(ROOT),
            "OMP_NUM_THREADS": "1",
            "ABLATE_DATA": str(cwd / "prepared"),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def holder(runs: Path) -> "subprocess.Popen[str]":
    """Start a process that holds the lock."""
    here = runs.parent / "here"
    program = start("-c", textwrap.dedent(HOLDER), str(runs), str(here), cwd=runs.parent)
    wait_for(here)
    return program


def heard(program: "subprocess.Popen[str]", words: str) -> str:
    """Read what a program says until a line with these words."""
    assert program.stderr is not None
    lines = []
    for line in program.stderr:
        lines.append(line)
        if words in line:
            break
    return "".join(lines)


def never(holder: str) -> None:
    raise AssertionError(f"waits for {holder}")


def test_who_waits_is_told_for_whom_and_goes_on_when_that_one_is_killed(tmp_path: Path) -> None:
    program = holder(tmp_path / "runs")
    said = []

    def wait(holder: str) -> None:
        said.append(holder)
        program.kill()
        program.communicate()

    with alone(tmp_path / "runs", "s8", wait) as notice:
        assert notice is None
    (words,) = said
    found = re.fullmatch(r"s7, process (\d+) on (\S+), since (\S+)", words)
    assert found is not None
    assert (int(found[1]), found[2]) == (program.pid, socket.gethostname())
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", found[3])
    with alone(tmp_path / "runs", "s8", never):  # and it was given back
        pass


def test_other_folders_of_records_are_free(tmp_path: Path) -> None:
    program = holder(tmp_path / "runs")
    with alone(tmp_path / "others", "s8", never) as notice:
        assert notice is None
        assert json.loads((tmp_path / "others" / ".lock").read_text())["process"] == os.getpid()
        held = json.loads((tmp_path / "runs" / ".lock").read_text())
        assert (held["process"], program.poll()) == (program.pid, None)  # both at once
    program.kill()
    program.communicate()


def test_a_lock_that_nobody_signed_yet_is_a_lock(tmp_path: Path) -> None:
    said = []
    with (tmp_path / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)

        def wait(holder: str) -> None:
            said.append(holder)
            file.close()

        with alone(tmp_path, "s8", wait):
            pass
    assert said == ["which has just begun"]


def test_a_folder_that_stays_empty_is_not_left(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    with pytest.raises(SuiteError), alone(runs, "s8", never):
        raise SuiteError("", "", [])
    assert not runs.exists()
    with alone(runs, "s8", never):
        (runs / "trials").mkdir()
    assert {path.name for path in runs.iterdir()} == {".lock", "trials"}
    empty = tmp_path / "mine"
    empty.mkdir()
    with alone(empty, "s8", never):
        pass
    assert empty.exists()  # it was there before


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK])
def test_without_locks_it_goes_on_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with alone(tmp_path / "runs", "s8", never) as notice:
        assert notice == (
            f"the file system of {tmp_path / 'runs'} has no locks ({os.strerror(number)}); "
            "see to it that no other run uses it at the same time"
        )
    assert not (tmp_path / "runs").exists()


def test_a_full_disk_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(fcntl, "flock", full)
    with pytest.raises(records.NoRoom), alone(tmp_path, "s8", never):
        pass


def test_the_second_of_two_runs_waits_and_trains_nothing_twice(tmp_path: Path) -> None:
    images = draw(tmp_path / "images")
    (tmp_path / "twice.yaml").write_text(SUITE.format(images=images))
    first = holder(tmp_path / "runs")
    call = ("-m", "ablate", "run", "twice.yaml", "--device", "cpu", "--jobs", "1")
    second = start(*call, cwd=tmp_path)
    third = start(*call, cwd=tmp_path)
    for program in (second, third):
        said = heard(program, "waiting")
        assert said.startswith(f"another run uses runs: s7, process {first.pid} on ")
        assert said.endswith(
            "\nwaiting for its end, so that nothing is trained twice; Ctrl-C stops waiting\n"
        )
    time.sleep(1)
    assert second.poll() is third.poll() is None
    first.kill()
    first.communicate()
    ended = [program.communicate(timeout=100) for program in (second, third)]
    assert [second.returncode, third.returncode] == [0, 0], ended
    told = [re.findall(r"^\d trained, \d there already", out, re.MULTILINE) for out, _ in ended]
    assert sorted(told) == [["0 trained, 2 there already"], ["2 trained, 0 there already"]]


@pytest.mark.usefixtures("one_thread")
def test_what_needs_no_lock_does_not_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ABLATE_DATA", str(tmp_path / "prepared"))
    runs, right, wrong = tmp_path / "runs", tmp_path / "twice.yaml", tmp_path / "wrong.yaml"
    right.write_text(SUITE.format(images=draw(tmp_path / "images")))
    wrong.write_text(right.read_text().replace("[[4], [4]]", "[]"))

    def run(suite: Path, dry_run: bool) -> Exit:
        return commands.run(Request(str(suite)), "cpu", runs, tmp_path, "1", None, dry_run)

    first = holder(runs)
    assert run(right, dry_run=True) == Exit.OK
    assert "2 trials to run, 0 there already" in capfd.readouterr().err
    with pytest.raises(SuiteError, match="stages"):  # now, and not when the other has ended
        run(wrong, dry_run=False)
    assert first.poll() is None
    first.kill()
    first.communicate()


def test_ctrl_c_stops_waiting(tmp_path: Path) -> None:
    (tmp_path / "twice.yaml").write_text(SUITE.format(images=draw(tmp_path / "images")))
    first = holder(tmp_path / "runs")
    program = start("-m", "ablate", "run", "twice.yaml", "--device", "cpu", cwd=tmp_path)
    heard(program, "waiting")
    began = time.monotonic()
    program.send_signal(signal.SIGINT)
    out, said = program.communicate(timeout=30)
    assert time.monotonic() - began < 2
    assert (program.returncode, out, said) == (130, "", "\ninterrupted\n")
    assert first.poll() is None  # it is none of its business
    first.kill()
    first.communicate()
