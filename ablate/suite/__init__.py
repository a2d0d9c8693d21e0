"""From a suite file to a plan: everything that happens before the first trial.

    source.py      YAML text with the position of every key and value; problems with line and caret
    schema.py      what a suite file may say; claims.py: the claims in it
    structure.py   the file held against the schema, all mistakes at once
    references.py  names that name nothing
    request.py     what the command line adds
    dotted.py      paths such as `network.stages[2].layers[1].conv`
    resolve.py     base, comparison, profile, command line and variant → one configuration
    seeds.py       how many seeds each variant gets
    load.py        all of these in order: a suite file in, configurations and problems out
    tune.py        the cells that tuning tries out; cells.py: of each row, as configurations
    match.py       widths or epochs re-solved until a budget agrees with the baseline's
    budgets.py     widths solved to multiples of the baseline's budget: points of curves
    preflight.py   builds every variant, refuses those that change nothing
    claimed.py     what of claims only the built networks can tell
    cited.py       the register whose lines they cite
    sweeps.py      networks that no row has, and that claims are about all the same
    taking.py      facts: what no training is needed for, taken where it is missing
    ask.py         comparisons and rows as a study writes them down
    planned.py     what a plan is: a study with the state of its trials, facts, readings and passes
    plan.py        making one: what is there, and the time left
    pairing.py     whether the parameters of paired rows agree
    unmeasured.py  what is to be timed and this machine does not time
    notices.py     what the plan's numbers will not be good for; foretell.py: of claims, by seeds
    remembered.py  plans that were made before

Up to `load.py`, in `cited.py`, in `planned.py` and in `remembered.py` nothing needs torch.
"""
