"""The other end of `fresh`: calls one function for every line of JSON that comes in.

    python -m benchmarks.serve module:function

A line goes in, {"argument": …}; a line comes out, {"result", "cpu_seconds", "peak_bytes"}. CPU time
is that of the process and of the children it has waited for; in the first answer from its start on.
"""

import json
import os
import resource
import sys
from pathlib import Path

from ablate.execute import resolve


def main() -> None:
    """Serve until the input ends."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what libraries print goes the way of errors
    function = resolve(sys.argv[1])
    spent = 0.0
    for line in sys.stdin:
        result = function(json.loads(line)["argument"])
        before, spent = spent, cpu_seconds()
        answer = {
            "result": result,
            "cpu_seconds": spent - before,
            "peak_bytes": peak_bytes(),
        }
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def cpu_seconds() -> float:
    """Return the CPU time of this process and of those of its children that have ended."""
    own, children = (
        resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def peak_bytes() -> int:
    """Return the most memory that this process ever held at once."""
    try:
        # Not `ru_maxrss` on Linux: it begins with the memory of the process that started this one.
        status = Path("/proc/self/status").read_text(encoding="ascii")
        return int(status.partition("VmHWM:")[2].split()[0]) * 1024
    except (OSError, IndexError):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    main()
