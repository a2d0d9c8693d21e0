"""What five trials against five find: false verdicts among equals, and effects that were planted.

`python -m benchmarks.pool` trains `pool.yaml` (or goes on) and prints the rates. There are four
pools: 40 trials of a narrow network, and 20 of it with an eighth of the channels dead; 20 of a wide
one, and 20 of it with a tenth of the training labels wrong. 2,000 random pairs of five trials are
judged as `evidence/` judges them: within each pool of equals, and of each worse one against its
equals.
"""
