"""The training loop: a generator that yields after each epoch, so that its caller stays in charge.

No callbacks: who wants progress, checkpoints or an early end does it between two epochs. Nothing
inside an epoch waits for the device; losses and counts are added up there and read once.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ablate.records import Epoch
from ablate.suite.schema import Recipe
from ablate.tasks import Task
from ablate.train import batches
from ablate.train.penalty import add_l1
from ablate.train.precision import autocast
from ablate.train.source import Source, plain, portions

EVALUATION_BATCH = 1000


class Diverged(Exception):
    """A loss is no longer a finite number; the message says which one and in which epoch."""


@dataclass(frozen=True)
class Plan:
    """What stays the same during a training run."""

    task: Task
    recipe: Recipe
    precision: str
    device: str
    seed: int


@dataclass
class State:
    """What training changes, between two epochs."""

    network: nn.Module
    optimizer: torch.optim.Optimizer | None  # None: the network has no parameters
    epochs: int = 0  # that are done


def begin(network: nn.Module, plan: Plan) -> State:
    """Return the state before the first epoch; the network moves to the device."""
    _move(network, plan)
    if next(network.parameters(), None) is None:
        return State(network, None)
    recipe = plan.recipe
    optimizer = torch.optim.SGD(
        parameter_groups(network, recipe),
        lr=recipe.lr,
        momentum=recipe.momentum,
        nesterov=recipe.momentum > 0,
        fused=plan.device in ("cpu", "cuda"),  # torch 2.6 has it for these
    )
    return State(network, optimizer)


def train(state: State, plan: Plan, data: Source, validation: Source | None) -> Iterator[Epoch]:
    """Train the network of a state from where it is, yielding what each epoch showed.

    A network without parameters is left as it is: there is nothing to train, and no epoch.

    Raises:
        Diverged: the training or the validation loss of an epoch is not finite.
    """
    if state.optimizer is None:
        return
    recipe, network, optimizer = plan.recipe, state.network, state.optimizer
    steps = -(-len(data) // recipe.batch_size)
    rates = learning_rates(recipe, steps * recipe.epochs)
    schedule = batches.schedules(
        len(data), recipe.batch_size, recipe.epochs, recipe.augment, data.pad, plan.seed
    )
    watched = plan.task.progress or plan.task.scores
    for number, epoch in enumerate(schedule, start=1):
        if number <= state.epochs:  # done before; what it drew is drawn again and let go
            continue
        began = time.perf_counter()
        network.train()
        done = (number - 1) * steps
        total = torch.zeros((), device=plan.device)
        counts: dict[str, Tensor] = {}
        for images, some in portions(data, epoch):
            for step in range(len(some.order)):
                for group in optimizer.param_groups:
                    group["lr"] = rates[done]
                hole = None if some.hole is None else some.hole[step]
                batch, targets = batches.gather(
                    images, some.order[step], some.shift[step], some.flip[step], hole
                )
                inputs, wanted = plan.task.examples(batch, targets)
                with autocast(plan.precision, plan.device):
                    output = network(inputs)
                loss = plan.task.loss(output.float(), wanted)
                optimizer.zero_grad(set_to_none=True)
                loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
                if recipe.l1:
                    add_l1(optimizer.param_groups)
                optimizer.step()
                total += loss.detach()
                for name, score in watched(output.detach().float(), wanted).items():
                    counts[name] = counts.get(name, 0) + score.float().mean()
                done += 1
        mean_loss = total.item() / steps
        seconds = time.perf_counter() - began
        if not np.isfinite(mean_loss):
            raise Diverged(f"the training loss was {mean_loss} in epoch {number}")
        means = {name: count.item() / steps for name, count in counts.items()}
        scores = {"train_loss": mean_loss} | _named("train", plan.task, means)
        if validation is not None:
            seen = evaluate(network, plan, validation, f"validation loss after epoch {number}")
            means = {name: float(values.mean()) for name, values in seen.items()}
            scores |= {"validation_loss": means["loss"]} | _named("validation", plan.task, means)
        state.epochs = number
        yield Epoch(
            epoch=number,
            step=done,
            seconds=seconds,
            images=steps * recipe.batch_size,
            learning_rate=rates[done - 1],
            scores=scores,
        )


@torch.no_grad()
def evaluate(
    network: nn.Module, plan: Plan, data: Source, what: str
) -> dict[str, np.ndarray[Any, Any]]:
    """Return the task's scores of every example, each of shape (n,).

    Args:
        network: to be evaluated, in evaluation mode and as it is.
        plan: of its training.
        data: the examples.
        what: how a message calls the mean loss.

    Raises:
        Diverged: the mean loss is not finite. The last step of a training run shows only here.
    """
    parts: dict[str, list[Tensor]] = {}
    for _, output, wanted in _predictions(network, plan, data):
        for name, score in plan.task.scores(output, wanted).items():
            parts.setdefault(name, []).append(score)
    scores = {name: torch.cat(values).cpu().numpy() for name, values in parts.items()}
    mean_loss = float(scores["loss"].mean(dtype=np.float64))
    if not np.isfinite(mean_loss):
        raise Diverged(f"the {what} was {mean_loss}")
    return scores


@torch.no_grad()
def keepsakes(network: nn.Module, plan: Plan, data: Source) -> dict[str, np.ndarray[Any, Any]]:
    """Return the arrays that the task keeps of the first batch of examples, {} if it keeps none."""
    if plan.task.keep is None:
        return {}
    kept = plan.task.keep(*next(_predictions(network, plan, data)))
    return {name: array.cpu().numpy() for name, array in kept.items()}


def _predictions(
    network: nn.Module, plan: Plan, data: Source
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Yield inputs, output (float32) and what was wanted of each batch, in evaluation mode."""
    _move(network, plan)
    network.eval()
    for images, targets in plain(data, EVALUATION_BATCH):
        inputs, wanted = plan.task.examples(images, targets)
        with autocast(plan.precision, plan.device):
            output = network(inputs)
        yield inputs, output.float(), wanted


def _move(network: nn.Module, plan: Plan) -> None:
    network.to(plan.device, memory_format=torch.channels_last)  # type: ignore[call-overload]  # the stub of Module.to lacks memory_format beside a device


def learning_rates(recipe: Recipe, steps: int) -> list[float]:
    """Return the learning rate of every step.

    One-cycle: up from lr/25 to the peak over the first `warmup` of the steps and down to almost
    nothing, both along a cosine, as torch's OneCycleLR does it.
    """
    if recipe.schedule == "constant":
        return [recipe.lr] * steps
    if steps < 2:  # a cycle needs a way up and a way down
        return [recipe.lr] * steps
    dummy = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=recipe.lr)
    # Where the way up is one step exactly, torch would divide by the zero steps between its ends.
    share = recipe.warmup * (1 + 1e-9) if recipe.warmup * steps == 1 else recipe.warmup
    cycle = torch.optim.lr_scheduler.OneCycleLR(
        dummy, recipe.lr, total_steps=steps, pct_start=share, cycle_momentum=False
    )
    rates = []
    for step in range(steps):
        rates.append(float(cycle.get_last_lr()[0]))
        dummy.step()
        if step + 1 < steps:
            cycle.step()
    return rates


def parameter_groups(network: nn.Module, recipe: Recipe) -> list[dict[str, Any]]:
    """Split parameters into those with weight decay and those without, by `recipe.no_decay`.

    The L1 penalty has the same parameters as weight decay.
    """
    spared: list[nn.Parameter] = []
    decayed: list[nn.Parameter] = []
    seen: set[nn.Parameter] = set()
    for module in network.modules():
        for name, parameter in module.named_parameters(recurse=False):
            if parameter in seen:  # shared by two modules: as the first one says
                continue
            seen.add(parameter)
            kinds = set()
            if name == "bias":
                kinds.add("bias")
            if isinstance(module, nn.modules.batchnorm._NormBase | nn.GroupNorm | nn.LayerNorm):
                kinds.add("norm")
            if (
                isinstance(module, nn.Conv2d)
                and name == "weight"
                and module.groups > 1
                and (module.weight.shape[1] == 1)
            ):
                kinds.add("depthwise")
            (spared if kinds & set(recipe.no_decay) else decayed).append(parameter)
    groups = [
        {"params": decayed, "weight_decay": recipe.weight_decay},
        {"params": spared, "weight_decay": 0.0},
    ]
    if recipe.l1:  # else the key is not there, as in checkpoints of before
        for group, strength in zip(groups, (recipe.l1, 0.0), strict=True):
            group["l1"] = strength
    return [group for group in groups if group["params"]]


def _named(split: str, task: Task, means: dict[str, float]) -> dict[str, float]:
    return {
        f"{split}_{name}": factor * means[score] for name, (score, factor) in task.means.items()
    }
