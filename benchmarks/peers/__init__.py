"""Training loops that are compared. One a file; the file's stem is its name.

Contract of a peer file:
    train(job) -> dict
        trains one (variant, seed) from nothing, tests it, and returns
            steps          optimizer steps
            images         training images seen, those of every epoch counted
            train_seconds  of the loop alone, without reading, building and testing
            accuracy       per cent of the test images

`job` is a JSON object made by `benchmarks.work.job`. Network with its initial weights, images,
normalisation, loss, parameter groups and learning rates come from `benchmarks.given` and are the
same for all. Loops that read with a
DataLoader give it `job["workers"]` workers. `ours` is `ablate` itself.
"""
