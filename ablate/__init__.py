"""ablate settles arguments about convolutional networks by experiment.

The way of the data, one direction: a suite file (`suite/`) becomes a study (`study.py`), the study
trials and facts, an executor (`execute/`) turns them into records (`records.py`) by training
(`train/`) networks (`networks/`, `blocks/`) on data (`data/`, `tasks/`) and measuring (`metrics/`);
statistics over records (`evidence/`) become pages (`report/`).
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from ablate.results import Results

__version__ = "0.1.0"


def load(suite: str | None = None, runs: "Path | str" = "runs") -> "Results":
    """Return what the newest study of a suite found (default: of all): data frames that show more.

    `ablate.results.Results` says what there is: comparisons, verdicts, trials and their columns,
    and the tables and figures of the pages by their ids.
    """
    from ablate import results  # pandas is loaded only where it is needed

    return results.load(suite, runs)
