"""Training: one visible loop.

seeds.py      a random stream per purpose, made on the CPU
batches.py    the data set on the device; one gather per batch with crop and flip
precision.py  bf16 where the hardware has it, by rule and not by timing
loop.py       the loop: a generator that yields after each epoch
trial.py      a spec in, a record out: what executors are given as their work
"""

# Part of every trial's id. Raise it when a change alters what a trial computes; a short golden run
# in the tests fails when that is forgotten.
ENGINE = 1
