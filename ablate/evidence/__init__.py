"""From records to evidence: what the trials of a study show, without judging any claim.

    collect.py   the records that a study asks for, row by row; what is missing, failed, damaged
    frame.py     the same as one tidy table, a row for every number
    welch.py     interval of a difference of means, and how small a difference could be seen
    sampling.py  how far a difference hangs on which test examples were drawn
    effects.py   the mark that an interval and a margin give: higher, lower, the same, cannot tell
    contrast.py  one row against its reference: all of the above in one value
    latency.py   times per call of the rows, over processes, and their ratios to the references'
    memory.py    peaks of memory of the rows
    requirements.py  what a variant must reach, judged part by part
    citable.py   the reasons why trained numbers may not be cited
    stop.py      whether the intervals are narrow enough to stop adding seeds
    spelling.py  numbers and names as people read them
    answer.py    what came out, in sentences

Nothing here imports torch; scipy and pandas are loaded by the modules that compute with them.
"""
