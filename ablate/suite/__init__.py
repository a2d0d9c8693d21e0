"""From a suite file to a plan: everything that happens before the first trial.

    source.py    YAML text with the position of every key and value; problems with line and caret
    schema.py    what a suite file may say (pydantic)
    dotted.py    paths such as `network.stages[2].layers[1].conv`
    resolve.py   base, comparison, profile, overrides and variant → one configuration, with origins
    match.py     widths re-solved until parameters or MACs agree with the baseline's
    preflight.py builds every variant, refuses those that change nothing
    plan.py      the study with the ids of its trials and facts, what is cached, the time it takes

`load.py` runs these in order and reports all problems of a suite at once.
"""
