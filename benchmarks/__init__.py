"""Benchmarks: how fast `ablate` trains beside other loops on the same work, and what it costs.

    python -m benchmarks --help        `make benchmark` runs everything

    __main__.py   the command line: what is measured, in which order, and what is there already
    setting.py    the machine, the images and the sizes that a run of the benchmarks is about
    work.py       the job that every peer is given: network, recipe, images
    given.py      what peers take from the harness, so that only their loops differ
    peers/        one training loop a file
    fresh.py      functions called in fresh processes, and how long that took
    serve.py      the other end of it
    floor.py      what the machine can do at most, and what a network needs
    speed.py      peers side by side: seconds per trained (variant, seed)
    accuracy.py   whether the speed is bought with accuracy
    overhead.py   a trial beside its own bare loop, bare.py
    rerun.py      a suite that is run again when everything is there
    planning.py   a plan of 10,000 trials
    memory.py     what a worker holds after many trials
    results.py    raw results: one JSON object a line
    page.py       the tables in README.md

Nothing but what runs in a fresh process imports torch: what is measured starts from nothing, and
the process that measures stays small.
"""
