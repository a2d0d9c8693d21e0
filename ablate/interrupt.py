"""Ctrl-C, `kill` and a terminal that is closed end the program soon, whatever it is at.

The first signal raises KeyboardInterrupt in the main thread, once, so that workers are stopped and
the terminal is left in order. Nothing on disk needs more time than that: what is written is renamed
into place whole. A program that has not ended after `GRACE` (a library is in a long call, or took
the KeyboardInterrupt for itself), or that is told a second time, is ended where it stands. Its
worker processes then end by themselves.
"""

import contextlib
import os
import select
import signal
import sys
import threading
import time
from types import FrameType
from typing import Final, NoReturn

GRACE: Final = 1.0  # seconds
CODE: Final = 130  # the program's exit code, as shells have it
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

_heard = 0  # signals so far
_ending = threading.Lock()  # held by who ends the program


def listen() -> None:
    """Begin to follow these signals, those excepted that are ignored already (`nohup`)."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    # Python runs handlers in the main thread alone, which may be in a long call; this is at once.
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    for number in _SIGNALS:
        if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
            signal.signal(number, _handle)
    threading.Thread(target=_watch, args=(reader,), daemon=True).start()


def heard() -> bool:
    """Return whether there was a signal: an error after it may be no more than its echo."""
    return _heard > 0


def end(message: str = "") -> NoReturn:
    """End the program with `CODE`, with all output written and without leave of any library."""
    with contextlib.suppress(OSError, ValueError):  # perhaps it is the terminal that went away
        if message:
            print(message, file=sys.stderr)
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(CODE)


def _handle(number: int, frame: FrameType | None) -> None:
    global _heard
    _heard += 1
    if _heard > 1:
        _end_now()
    sys.unraisablehook = lambda _: None  # where nobody can catch KeyboardInterrupt, nor print it
    raise KeyboardInterrupt


def _watch(pipe: int) -> None:
    """Wait for a signal, and then for the second or until the time is up."""
    while not _ours(pipe):
        pass
    while select.select([pipe], [], [], GRACE)[0]:
        if _ours(pipe):
            break
    _end_now()


def _ours(pipe: int) -> bool:
    """Return whether the next signal, waited for, is one of those that end the program."""
    return os.read(pipe, 1)[0] in _SIGNALS


def _end_now() -> NoReturn:
    """End the program, waiting for nothing: neither for a lock of another thread nor a reader."""
    if not _ending.acquire(blocking=False):
        time.sleep(GRACE)  # the handler and the watching thread may both come here: one speaks
        os._exit(CODE)
    with contextlib.suppress(OSError, ValueError):
        if select.select([], [2], [], 0)[1]:
            cursor = b"\x1b[?25h" if os.isatty(2) else b""  # which a bar may have hidden
            os.write(2, cursor + b"\ninterrupted\n")
    os._exit(CODE)
