"""ablate settles arguments about convolutional networks by experiment.

The way of the data, one direction: a suite file (`suite/`) becomes a study (`study.py`), the study
trials and facts, an executor (`execute/`) turns them into records (`records.py`) by training
(`train/`) networks (`networks/`, `blocks/`) on data (`data/`, `tasks/`) and measuring (`metrics/`);
statistics over records (`evidence/`) become pages (`report/`).
"""

__version__ = "0.1.0"
