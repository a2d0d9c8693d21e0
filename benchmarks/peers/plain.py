"""A loop as users write it: DataLoader, PIL transforms, fp32, the loss read after every step.

After the pattern of widely copied CIFAR-10 scripts, which use two workers.
"""

import time
from collections.abc import Mapping
from typing import Any

import torch
from torch.nn.functional import cross_entropy

from benchmarks import given


def train(job: Mapping[str, Any]) -> dict[str, Any]:
    """Train and test, in fp32 whatever the job's precision."""
    recipe = given.recipe(job)
    torch.set_num_threads(recipe.threads)
    torch.manual_seed(job["seed"])
    training, test = given.loaders(job, job["workers"], persistent=False)
    network = given.network(job)
    optimizer = given.optimizer(job, network)
    schedule = given.cycle(job, optimizer, recipe.epochs * len(training))
    steps = seen = hits = 0
    summed = 0.0
    began = time.perf_counter()
    for _ in range(recipe.epochs):
        network.train()
        for images, targets in training:
            optimizer.zero_grad()
            output = network(images)
            loss = cross_entropy(output, targets, label_smoothing=recipe.label_smoothing)
            loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
            optimizer.step()
            schedule.step()
            summed += loss.item()
            hits += output.argmax(1).eq(targets).sum().item()
            seen += len(targets)
            steps += 1
    seconds = time.perf_counter() - began
    network.eval()
    right = total = 0
    with torch.no_grad():
        for images, targets in test:
            right += network(images).argmax(1).eq(targets).sum().item()
            total += len(targets)
    return {
        "steps": steps,
        "images": seen,
        "train_seconds": seconds,
        "accuracy": 100 * right / total,
    }
