"""Lightning's Trainer: its own bf16 precision, channels_last, no logging, no checkpoints."""

import logging
import time
import warnings
from collections.abc import Mapping
from typing import Any

import pytorch_lightning as lightning
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from benchmarks import given


class Module(lightning.LightningModule):  # type: ignore[misc]  # checked without Lightning, whose types are then unknown
    """The network with its loss and optimizer, as Lightning wants them."""

    def __init__(self, job: given.Job, network: nn.Module, steps: int) -> None:
        super().__init__()
        self.job, self.network, self.all_steps = job, network, steps
        self.smoothing = given.recipe(job).label_smoothing
        self.seen = self.right = self.total = 0
        self.began = self.seconds = 0.0

    def configure_optimizers(self) -> Any:
        optimizer = given.optimizer(self.job, self.network, fused=True)
        schedule = given.cycle(self.job, optimizer, self.all_steps)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }

    def on_train_start(self) -> None:
        self.began = time.perf_counter()

    def on_train_end(self) -> None:
        self.seconds = time.perf_counter() - self.began

    def training_step(self, batch: Any, index: int) -> Tensor:
        images, targets = batch
        self.seen += len(targets)
        output = self.network(images.contiguous(memory_format=torch.channels_last))
        return cross_entropy(output.float(), targets, label_smoothing=self.smoothing)

    def test_step(self, batch: Any, index: int) -> None:
        images, targets = batch
        output = self.network(images.contiguous(memory_format=torch.channels_last))
        self.right += output.argmax(1).eq(targets).sum().item()
        self.total += len(targets)


def train(job: Mapping[str, Any]) -> dict[str, Any]:
    """Train and test."""
    recipe = given.recipe(job)
    torch.set_num_threads(recipe.threads)
    torch.manual_seed(job["seed"])
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    training, test = given.loaders(job, job["workers"], persistent=True)
    network = given.network(job).to(memory_format=torch.channels_last)
    module = Module(job, network, recipe.epochs * len(training))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # advice on workers, which are chosen by measurement
        trainer = lightning.Trainer(
            accelerator="cpu",
            devices=1,
            precision="bf16-mixed" if job["precision"] == "bf16" else "32-true",
            max_epochs=recipe.epochs,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        trainer.fit(module, training)
        trainer.test(module, test, verbose=False)
    return {
        "steps": trainer.global_step,
        "images": module.seen,
        "train_seconds": module.seconds,
        "accuracy": 100 * module.right / module.total,
    }
