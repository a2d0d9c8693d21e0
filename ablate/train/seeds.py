"""A random stream per purpose, so that variants of one seed see the same data in the same order.

With one generator for everything, a network with one convolution more would draw more numbers at
initialisation and silently train on other batches. All streams are made on the CPU, so that they
do not depend on the device.
"""

import hashlib
from typing import Literal

import torch

Purpose = Literal["subset", "order", "augment", "cutout", "init", "network"]


def stream(seed: int, purpose: Purpose) -> torch.Generator:
    """Return the CPU generator of a trial's seed for one purpose."""
    return torch.Generator().manual_seed(number(seed, purpose))


def number(seed: int, purpose: Purpose) -> int:
    """Return what the generator of a trial's seed for one purpose is seeded with."""
    digest = hashlib.sha256(f"{purpose}:{seed}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
