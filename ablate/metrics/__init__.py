"""Metrics: what is measured, one metric a file; the file's stem is its name.

Contract of a metric file:
    TITLE: Final      the name for people: "Parameters"
    UNIT: Final       of the value as stored, never scaled: "" for counts, "%", "s", "px", "MAC"
    DIRECTION: Final  which is better: "higher", "lower", or "none" where that depends
    KIND: Final       "fact" or "trial"
    measure(…)        -> records.Measurement, which repeats title, unit and direction

A *fact* follows from the network's structure: `measure(network, input_shape)` with the network in
any mode on the CPU and the (channels, height, width) of one image. Values of parameters must not
matter, and the network must be left as it was: mode, buffers, gradients.

A metric of a *trial* follows from what the trained network did: `measure(outcome)`. It returns None
where it does not apply to the task (no accuracy without classes).

A figure that cannot be vouched for has the value None and the reason in `detail["invalid"]`. An
exception is a bug of the metric or of the network. The docstring gives the definition, the
convention (what is counted, in which mode) and the source.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ablate import catalog
from ablate.records import Epoch, Measurement

if TYPE_CHECKING:
    from torch import nn


def facts(network: "nn.Module", input_shape: tuple[int, int, int]) -> dict[str, Measurement]:
    """Return every fact of a network on images of (channels, height, width), by metric."""
    modules = {name: catalog.load("metrics", name) for name in catalog.names("metrics")}
    return {
        name: module.measure(network, input_shape)
        for name, module in modules.items()
        if module.KIND == "fact"
    }


def of_trial(outcome: "Outcome") -> dict[str, Measurement]:
    """Return every metric that applies to a finished trial, by name."""
    modules = {name: catalog.load("metrics", name) for name in catalog.names("metrics")}
    measured = {
        name: module.measure(outcome) for name, module in modules.items() if module.KIND == "trial"
    }
    return {name: measurement for name, measurement in measured.items() if measurement is not None}


@dataclass(frozen=True)
class Outcome:
    """What a finished trial showed.

    `test` holds one value per test example by score, each (n,): `loss` float32, `correct` bool, ….
    """

    test: dict[str, "np.ndarray[Any, Any]"]
    epochs: Sequence[Epoch]
    train_seconds: float  # training alone, without evaluation
    images: int  # training images seen, those of every epoch counted
