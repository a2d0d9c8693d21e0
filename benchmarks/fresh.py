"""Functions called in fresh processes, timed from the start of the process on."""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent


class Failed(RuntimeError):
    """A fresh process ended without an answer; the message ends with what it said last."""


@dataclass(frozen=True)
class Turn:
    """One call in each of some processes, begun together and over when all have answered."""

    seconds: float
    cpu_seconds: float  # of all processes
    peak_bytes: int  # of the largest one, so far
    results: list[Any]  # by process


def turns(function: str, arguments: Sequence[Sequence[Any]], threads: int) -> Iterator[Turn]:
    """Yield turns: in each, every process is given one argument.

    Args:
        function: "module:function".
        arguments: by turn, then by process. The first turn begins with the start of the processes
            and so counts imports, the later ones find them warm.
        threads: of numerical libraries, in each process.

    Raises:
        Failed: a process ended without an answer.
    """
    with contextlib.ExitStack() as stack:
        began = time.perf_counter()
        served = [stack.enter_context(_server(function, threads)) for _ in arguments[0]]
        for turn in arguments:
            for (process, _), argument in zip(served, turn, strict=True):
                assert process.stdin is not None
                with contextlib.suppress(BrokenPipeError):  # its missing answer says so
                    process.stdin.write(json.dumps({"argument": argument}) + "\n")
                    process.stdin.flush()
            answers = [_answer(function, process, said) for process, said in served]
            now = time.perf_counter()
            yield Turn(
                now - began,
                sum(answer["cpu_seconds"] for answer in answers),
                max(answer["peak_bytes"] for answer in answers),
                [answer["result"] for answer in answers],
            )
            began = time.perf_counter()


def call(function: str, argument: Any, threads: int = 1) -> Any:
    """Return what one function returns in a fresh process."""
    (turn,) = turns(function, [[argument]], threads)
    return turn.results[0]


@contextlib.contextmanager
def _server(function: str, threads: int) -> Iterator[tuple[subprocess.Popen[str], Any]]:
    environment = os.environ | {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as said:
        process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.serve", function],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=said,
            text=True,
            cwd=ROOT,
            env=environment,
        )
        with process:
            try:
                yield process, said
            finally:
                process.kill()  # it has answered, or nobody waits for its answer any more


def _answer(function: str, process: subprocess.Popen[str], said: Any) -> Any:
    assert process.stdout is not None
    line = process.stdout.readline()
    if line:
        return json.loads(line)
    code = process.wait()
    said.seek(0)
    last = "\n".join(said.read().strip().splitlines()[-15:])
    raise Failed(f"{function}: its process ended with exit code {code}\n{last}")
