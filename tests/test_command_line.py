"""The program as it is called: exit codes, and what goes to which stream."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tiny import SUITE, changed

import ablate

ROOT = Path(ablate.__file__).parent.parent
pytestmark = pytest.mark.usefixtures("here")


def call(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """Call the program in the working directory."""
    return subprocess.run(
        [sys.executable, "-m", "ablate", *arguments],
        env=_environment(),
        capture_output=True,
        text=True,
        check=False,
    )


def _environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


def test_version_and_help() -> None:
    assert call("--version").stdout == f"ablate, version {ablate.__version__}\n"
    for arguments in (["--help"], ["run", "-h"]):
        done = call(*arguments)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith("Usage: ablate ")


# Click's own words differ from version to version; which of them suggest a command does as well.
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], ["Exit codes: 0 all well; 1 some trials failed"]),
        (["plan"], ["Error: Missing argument 'SUITE'."]),
        (["plan", "tiny", "--sedes", "5"], ["No such option", "--sedes", "--seeds"]),
        (["pln", "tiny"], ["No such command 'pln'."]),
        (["list", "--jso"], ["No such option", "--jso", "--json"]),
    ],
)
def test_a_misuse_is_said_on_the_error_stream(arguments: list[str], words: list[str]) -> None:
    done = call(*arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert [word for word in words if word not in done.stderr] == []
    assert "Traceback" not in done.stderr


def test_a_suite_that_is_wrong_is_said_on_the_error_stream() -> None:
    Path("tiny.yaml").write_text(changed(("conv: dilated", "conv: dilatd")))
    done = call("run", "tiny.yaml", "recipe.epochs=two")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "tiny.yaml:16:31: unknown conv block 'dilatd'; did you mean 'dilated'?\n"
        "  16 |       dilated: {network.conv: dilatd}\n"
        "     |                               ^\n"
        "command line: recipe.epochs should be a whole number, not 'two'\n"
    )
    assert not Path("runs").exists()
    assert not Path("reports").exists()


def test_debug_shows_where_an_error_was_raised() -> None:
    done = call("--debug", "plan", "tinny.yaml")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("Traceback (most recent call last):\n")
    assert done.stderr.splitlines()[-1].startswith("suite: there is no file tinny.yaml; ")


@pytest.mark.parametrize("arguments", [["list"], ["list", "--json"], ["config", "tiny.yaml"]])
def test_a_reader_may_leave_early(arguments: list[str]) -> None:
    """`ablate list | head -1`, with a reader that is gone before the first line."""
    Path("tiny.yaml").write_text(SUITE)
    with subprocess.Popen(
        [sys.executable, "-m", "ablate", *arguments],
        env=_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait() == 0
