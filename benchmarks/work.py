"""The job that every peer is given, as JSON: one (variant, seed) to train and test."""

from collections.abc import Sequence
from typing import Any

from ablate.components import Network, Task, expand
from ablate.suite.schema import Recipe

# The network of the suite `s7`, and its first rival. A depthwise separable network has an eighth of
# the arithmetic and nearly as much memory to move, so it shows another side of a loop.
STAGES = [[32, 32], [64, 64], [128, 128], [128, 128]]
NETWORKS = {"normal": "normal", "depthwise": "depthwise_separable"}


def job(
    network: str,
    *,
    width: int,
    batch: int,
    epochs: int,
    sizes: tuple[int, int],
    precision: str,
    threads: int,
    data: dict[str, Any],
    statistics: tuple[Sequence[float], Sequence[float]],
    seed: int,
    workers: int = 0,
) -> dict[str, Any]:
    """Return what a peer is given.

    Args:
        network: a name in `NETWORKS`.
        width: channels of the first layer; the others in proportion.
        batch: images per step.
        epochs: passes over the training images.
        sizes: training images, drawn anew for each seed, and test images, the same for all.
        precision: fp32 or bf16.
        threads: of torch, in each process.
        data: {"component": canonical data set, "digest": of its images}.
        statistics: mean and standard deviation per channel of all training images, 0…255.
        seed: of everything that is drawn.
        workers: of the peers' DataLoaders.

    Raises:
        ValueError: the last batch of an epoch would be a short one. Loops treat it differently, so
            there is none here: all make the same steps.
    """
    if sizes[0] % batch:
        raise ValueError(f"{sizes[0]} training images are no whole number of batches of {batch}")
    parts = []
    for part in (
        Task.model_validate("classify"),
        Network.model_validate(
            {"family": "staged", "stages": STAGES, "conv": NETWORKS[network], "width": width}
        ),
    ):
        expanded, problems = expand(part)
        assert not problems, problems
        parts.append(expanded)
    recipe = Recipe(epochs=epochs, batch_size=batch, threads=threads)
    return {
        "config": {
            "task": parts[0],
            "network": parts[1],
            "recipe": recipe.model_dump(mode="json"),
            "data": {"train_images": sizes[0], "validation_images": 0, "test_images": sizes[1]},
        },
        "data": data["component"],
        "digest": data["digest"],
        "mean": list(statistics[0]),
        "std": list(statistics[1]),
        "precision": precision,
        "seed": seed,
        "workers": workers,
    }
