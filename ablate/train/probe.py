"""How long a trial will take: a few real steps of the real loop, timed."""

import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from ablate import networks
from ablate.data import Dataset, Split
from ablate.suite.schema import Recipe
from ablate.train import batches
from ablate.train.loop import EVALUATION_BATCH, Plan, begin, evaluate, train
from ablate.train.source import open_source
from ablate.train.trial import assemble

STEPS = 3


def seconds(config: Mapping[str, Any], dataset: Dataset, precision: str, device: str) -> float:
    """Return the expected seconds of one trial alone on this machine, to within a third or so."""
    threads = torch.get_num_threads()
    recipe = Recipe.model_validate(config["recipe"])
    batch = recipe.batch_size
    # The first epoch warms up. The rate makes no difference to time, and this one never diverges.
    short = recipe.model_copy(update={"epochs": 2, "lr": 1e-9})
    noise = np.random.default_rng(0)
    count = STEPS * batch
    images = noise.integers(0, 256, (count, *dataset.train.images.shape[1:]), dtype=np.uint8)
    rows = np.arange(count) % len(dataset.train.targets)
    sample = Split(images, np.ascontiguousarray(dataset.train.targets[rows]), None)
    torch.set_num_threads(recipe.threads)
    try:
        network, task, _ = assemble(config, dataset)
        networks.initialise(network, seed=0)
        plan = Plan(task, short, precision, device, seed=0)
        statistics = batches.channel_statistics(sample)
        data = open_source(sample, None, batches.PAD, statistics, device)
        # No epochs of a network without parameters.
        epochs = list(train(begin(network, plan), plan, data, None))
        evaluate(network, plan, data, "loss")  # warms up
        began = time.perf_counter()
        evaluate(network, plan, data, "loss")
        evaluation = time.perf_counter() - began
    finally:
        torch.set_num_threads(threads)
    sizes = config["data"]
    trained = min(sizes["train_images"] or 10**9, len(dataset.train.images)) * recipe.epochs
    tested = min(sizes["test_images"] or 10**9, len(dataset.test.images))
    validated = sizes["validation_images"] * recipe.epochs if epochs else 0
    before = min(tested, EVALUATION_BATCH) if task.before else 0
    step = epochs[-1].seconds if epochs else 0.0
    return (step * trained + evaluation * (tested + validated + before)) / count
