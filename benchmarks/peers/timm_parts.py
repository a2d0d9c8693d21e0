"""A loop of timm's own parts, as its training script puts them together.

The script itself is not in timm's wheel. From it: loader with prefetcher, optimizer factory, label
smoothing loss, bf16 autocast without a scaler, channels_last, meters fed after every step. timm has
no crop with padding: its first transform is replaced, as the training scripts of DeiT and Swin do
for images of 32 pixels.
"""

import time
from collections.abc import Mapping
from typing import Any

import torch
from timm.data import create_loader
from timm.loss import LabelSmoothingCrossEntropy
from timm.optim import create_optimizer_v2
from timm.utils import AverageMeter, accuracy
from torchvision.transforms import RandomCrop

from ablate.train import batches
from ablate.train.loop import EVALUATION_BATCH, parameter_groups
from ablate.train.precision import autocast
from benchmarks import given


def train(job: Mapping[str, Any]) -> dict[str, Any]:
    """Train and test."""
    recipe = given.recipe(job)
    torch.set_num_threads(recipe.threads)
    torch.manual_seed(job["seed"])
    training, test = loaders(job)
    network = given.network(job).to(memory_format=torch.channels_last)
    optimizer = create_optimizer_v2(
        parameter_groups(network, recipe),  # timm's own would not spare depthwise filters
        opt="sgd",  # with Nesterov momentum
        lr=recipe.lr,
        momentum=recipe.momentum,
        fused=True,
    )
    schedule = given.cycle(job, optimizer, recipe.epochs * len(training))
    loss_of = LabelSmoothingCrossEntropy(smoothing=recipe.label_smoothing)
    steps = seen = 0
    began = time.perf_counter()
    for _ in range(recipe.epochs):
        network.train()
        losses = AverageMeter()
        for images, targets in training:
            images = images.contiguous(memory_format=torch.channels_last)
            with autocast(job["precision"], "cpu"):
                output = network(images)
                loss = loss_of(output, targets)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            losses.update(loss.item(), len(targets))
            seen += len(targets)
            steps += 1
    seconds = time.perf_counter() - began
    network.eval()
    top = AverageMeter()
    with torch.inference_mode():
        for images, targets in test:
            images = images.contiguous(memory_format=torch.channels_last)
            with autocast(job["precision"], "cpu"):
                output = network(images)
            top.update(accuracy(output, targets)[0].item(), len(targets))
    return {"steps": steps, "images": seen, "train_seconds": seconds, "accuracy": top.avg}


def loaders(job: Mapping[str, Any]) -> tuple[Any, Any]:
    """Return timm's loaders of the training and the test examples."""
    train, test = given.pictures(job)
    height, width, channels = train.images.shape[1:]
    mean, std = given.normalisation(job)
    common: dict[str, Any] = {
        "input_size": (channels, height, width),
        "mean": mean,
        "std": std,
        "num_workers": job["workers"],
        "persistent_workers": job["workers"] > 0,
        "device": torch.device("cpu"),
    }
    training = create_loader(
        train,
        batch_size=given.recipe(job).batch_size,
        is_training=True,
        color_jitter=None,
        **common,
    )
    train.transform.transforms[0] = RandomCrop((height, width), padding=batches.PAD)  # type: ignore[union-attr]  # timm has set it
    tested = create_loader(test, batch_size=EVALUATION_BATCH, crop_pct=1.0, **common)
    return training, tested
