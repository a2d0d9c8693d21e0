"""From records to evidence: what the trials of a study show, and what that says of its claims.

    collect.py   the records that a study asks for, row by row; what is missing, failed, damaged
    frame.py     the same as one tidy table, a row for every number
    welch.py     interval of a difference of means, and how small a difference could be seen
    sampling.py  how far a difference hangs on which test examples were drawn
    effects.py   the mark that an interval and a margin give: higher, lower, the same, cannot tell
    contrast.py  one row against its reference: all of the above in one value
    latency.py   times per call of the rows, over processes, and their ratios to the references'
    memory.py    peaks of memory of the rows, and between what they may lie
    decide.py    what an interval says of a claim: one decision table a kind
    family.py    at which level several claims are decided together
    power.py     how many seeds would decide a claim
    failures.py  whether one row fails more often than another
    noise.py     what the spread over seeds is made of
    requirements.py  what a variant must reach, judged part by part
    tuning.py    which settings each row chose, by the validation split; tuned.py: in words
    paired.py    differences by seed, where a comparison declares them
    control.py   the baseline against itself: the noise floor
    changed.py   claims and margins that are not what they were before the first trial
    citable.py   the reasons why trained numbers may not be cited
    stop.py      whether the intervals are narrow enough to stop adding seeds
    spelling.py  numbers and names as people read them
    naming.py    a network and images in a few words
    holding.py   how many claims hold, and which do not
    answer.py    what came out, in sentences
    sources.py   what the rows have of a claim's metric: a fact, what was trained, what was timed
    hypotheses.py  from a claim to what is to be decided, at each match and setting
    curve.py     the metric over budgets: a fitted curve, and where it meets another or a level
    saving.py    what a variant saves for the same result
    blocks.py    parameters of the blocks in which two networks differ
    batches.py   times an image along batch sizes
    sweeps.py    claims on networks that no row has: swept settings, trends, equal functions
    several.py   one claim over several variants: the best of, each of
    within.py    which rows keep to the budget of a claim
    contradictions.py  claims that contradict each other, each told of the other
    settings.py  many settings in few words
    sentences.py   what was decided, in words made of its numbers
    verdicts.py  claims judged: families, words, sentences
    register.py  what notes claim, line by line; registers/: the one that comes with the package
    registered.py  its rows, each with what the suites found of it
    gathered.py  all registers in use, with the newest studies of all suites

Nothing here imports torch; scipy and pandas are loaded by the modules that compute with them.
"""
