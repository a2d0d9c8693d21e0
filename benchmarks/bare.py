"""The steps of a trial and nothing else: what the harness around the loop is measured against.

It reads the same images and makes the same tensors with the same functions in the same order, and
so ends with the same weights, bit by bit. It has no records, checkpoints or environment, counts
nothing during training, and keeps one number of the test. What training itself is made of (`begin`
and `gather` of `ablate.train`, say) is the same code: made faster, both gain.
"""

import functools
import json
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ablate import networks
from ablate.data import Dataset, open_data
from ablate.suite.schema import Recipe
from ablate.train import batches
from ablate.train.loop import EVALUATION_BATCH, Plan, begin, learning_rates
from ablate.train.precision import autocast
from ablate.train.seeds import number
from ablate.train.trial import assemble


def train(job: Mapping[str, Any]) -> tuple[nn.Module, float]:
    """Train the network of a trial's job and return it with its accuracy in per cent."""
    spec = job["spec"]
    config, seed, precision = spec["config"], spec["seed"], spec["precision"]
    recipe = Recipe.model_validate(config["recipe"])
    torch.set_num_threads(recipe.threads)
    dataset, statistics = _opened(json.dumps(job["data"], sort_keys=True))
    network, task, _ = assemble(config, dataset)
    networks.initialise(network, seed)
    torch.manual_seed(number(seed, "network"))
    sizes = config["data"]
    rows = batches.subset(len(dataset.train), sizes["train_images"], seed)
    tested = batches.subset(len(dataset.test), sizes["test_images"], seed=-1)
    data = batches.to_device(dataset.train, rows, batches.PAD, statistics, "cpu")
    test = batches.to_device(dataset.test, tested, 0, statistics, "cpu")
    state = begin(network, Plan(task, recipe, precision, "cpu", seed))
    optimizer = state.optimizer
    assert optimizer is not None
    steps = len(data) // recipe.batch_size
    rates = iter(learning_rates(recipe, steps * recipe.epochs))
    network.train()
    for epoch in batches.schedules(
        len(data), recipe.batch_size, recipe.epochs, recipe.augment, data.pad, seed
    ):
        for order, shift, flip in zip(epoch.order, epoch.shift, epoch.flip, strict=True):
            rate = next(rates)
            for group in optimizer.param_groups:
                group["lr"] = rate
            images, targets = batches.gather(data, order, shift, flip)
            with autocast(precision, "cpu"):
                output = network(images)
            loss = task.loss(output.float(), targets)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
            optimizer.step()
    network.eval()
    right = 0
    with torch.no_grad():
        for start in range(0, len(test), EVALUATION_BATCH):
            images, targets = batches.plain(test, start, start + EVALUATION_BATCH)
            with autocast(precision, "cpu"):
                output = network(images)
            right += int((output.argmax(1) == targets).sum())
    return network, 100 * right / len(test)


@functools.lru_cache(maxsize=1)  # once for all trials of a process, as a trial has it
def _opened(component: str) -> tuple[Dataset, tuple[Tensor, Tensor]]:
    dataset, _, _ = open_data(json.loads(component), fallback=None, allow_fallback=False)
    return dataset, batches.channel_statistics(dataset.train)
