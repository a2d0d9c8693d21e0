"""ablate settles arguments about convolutional networks by experiment.

The way of the data, one direction: a suite file (`suite/`) becomes a study (`study.py`), the study
trials and facts, an executor (`execute/`) turns them into records (`records.py`) by training
(`train/`) networks (`networks/`, `blocks/`) on data (`data/`, `tasks/`) and measuring (`metrics/`);
statistics over records (`evidence/`) become pages (`report/`).
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas

__version__ = "0.1.0"


def load(suite: str | None = None, runs: str = "runs") -> "pandas.DataFrame":
    """Return every number of the newest study of a suite (default: of all) as one tidy table.

    The columns are an interface; `ablate.evidence.frame` describes them.
    """
    from ablate.evidence import frame  # pandas is loaded only where it is needed

    return frame.load(runs, suite)
