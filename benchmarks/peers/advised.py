"""The plain loop with the usual advice taken.

bf16 autocast where the hardware has it, channels_last, a fused optimizer, workers that stay for all
epochs, nothing read from the loss before the end of an epoch. Not compiled: that takes longer than
a training run of this size.
"""

import time
from collections.abc import Mapping
from typing import Any

import torch
from torch.nn.functional import cross_entropy

from ablate.train.precision import autocast
from benchmarks import given


def train(job: Mapping[str, Any]) -> dict[str, Any]:
    """Train and test."""
    recipe = given.recipe(job)
    torch.set_num_threads(recipe.threads)
    torch.manual_seed(job["seed"])
    training, test = given.loaders(job, job["workers"], persistent=True)
    network = given.network(job).to(memory_format=torch.channels_last)
    optimizer = given.optimizer(job, network, fused=True)
    schedule = given.cycle(job, optimizer, recipe.epochs * len(training))
    steps = seen = 0
    began = time.perf_counter()
    for _ in range(recipe.epochs):
        network.train()
        summed = torch.zeros(())
        hits = torch.zeros((), dtype=torch.int64)
        for images, targets in training:
            images = images.contiguous(memory_format=torch.channels_last)
            with autocast(job["precision"], "cpu"):
                output = network(images)
            loss = cross_entropy(output.float(), targets, label_smoothing=recipe.label_smoothing)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
            optimizer.step()
            schedule.step()
            summed += loss.detach()
            hits += output.detach().argmax(1).eq(targets).sum()
            seen += len(targets)
            steps += 1
        summed.item()
        hits.item()
    seconds = time.perf_counter() - began
    network.eval()
    right = total = 0
    with torch.inference_mode():
        for images, targets in test:
            images = images.contiguous(memory_format=torch.channels_last)
            with autocast(job["precision"], "cpu"):
                right += network(images).argmax(1).eq(targets).sum().item()
            total += len(targets)
    return {
        "steps": steps,
        "images": seen,
        "train_seconds": seconds,
        "accuracy": 100 * right / total,
    }
