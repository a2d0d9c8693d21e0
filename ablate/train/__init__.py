"""Training: one visible loop.

seeds.py       a random stream per purpose, made on the CPU
batches.py     images on the device; one gather per batch with crop and flip
source.py      a split on the device whole, or in portions where memory is too small
precision.py   bf16 where the hardware has it, by rule and not by timing
exact.py       deterministic kernels, where they are asked for
allocator.py   freed memory stays with the process
penalty.py     the L1 penalty's part of a gradient
loop.py        the loop: a generator that yields after each epoch
checkpoint.py  what a trial needs to go on after its last whole epoch
trial.py       a spec in, a record out: what executors are given as their work
probe.py       how long a trial will take
"""

# Part of every trial's id. Raise it when a change alters what a trial computes; a short golden run
# in the tests fails when that is forgotten.
ENGINE = 2
