"""Work for the tests of executors. Importable by the workers' processes, and light."""

import os
import signal
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ablate.execute import OutOfMemory

WORK = f"{__name__}:work"


def work(job: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Do what the job says, step by step, then yield its record. Steps are [verb, argument]."""
    try:
        for verb, argument in job["steps"]:
            match verb:
                case "say":
                    yield {"said": argument, "process": os.getpid()}
                case "sleep":
                    time.sleep(argument)
                case "write":  # whole, so that who waits for the file reads all of it
                    partial = Path(f"{argument}.{os.getpid()}")
                    partial.write_text(str(os.getpid()))
                    partial.rename(argument)
                case "await":
                    wait_for(Path(argument))
                case "raise":
                    raise RuntimeError(argument)
                case "exit":
                    raise SystemExit(argument)
                case "die":
                    os.kill(os.getpid(), getattr(signal, argument))
                case "die beside others":
                    if not job.get("alone"):
                        os.kill(os.getpid(), signal.SIGKILL)
                case "lack memory":
                    raise OutOfMemory(argument)
                case "variable":
                    yield {"said": os.environ.get(argument), "process": os.getpid()}
                case "leave a child":  # that holds everything open which this process has
                    if os.fork() == 0:
                        time.sleep(argument)
                        os._exit(0)
                case "end":
                    return
        yield {"record": job["record"], "status": "ok"}
    finally:
        if job.get("closed"):
            Path(job["closed"]).write_text(str(os.getpid()))
        if job.get("dies_after_its_end"):
            os.kill(os.getpid(), signal.SIGKILL)


def wait_for(path: Path, seconds: float = 60) -> str:
    """Return what a file says, as soon as it is there."""
    end = time.monotonic() + seconds
    while not path.exists():
        if time.monotonic() > end:
            raise TimeoutError(f"{path.name} was never written")
        time.sleep(0.01)
    return path.read_text()
