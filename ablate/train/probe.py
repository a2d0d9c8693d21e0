"""How long a trial will take: a few real steps of the real loop, timed."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from ablate import networks
from ablate.data import Dataset, Split
from ablate.suite.schema import Recipe
from ablate.train import batches
from ablate.train.loop import Plan, train
from ablate.train.trial import assemble

STEPS = 3
EVALUATION_SHARE = 1 / 3  # of an image's training cost: a forward pass without the backward one


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
        data = batches.to_device(sample, None, batches.PAD, statistics, device)
        *_, last = train(network, plan, data, None)
    finally:
        torch.set_num_threads(threads)
    sizes = config["data"]
    trained = min(sizes["train_images"] or 10**9, len(dataset.train.images)) * recipe.epochs
    tested = min(sizes["test_images"] or 10**9, len(dataset.test.images))
    validated = sizes["validation_images"] * recipe.epochs
    work = float(trained + EVALUATION_SHARE * (tested + validated))
    return last.seconds / count * work
