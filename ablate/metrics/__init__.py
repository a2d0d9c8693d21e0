"""Metrics: what is measured, one metric a file; the file's stem is its name.

Contract of a metric file:
    TITLE: Final      the name for people: "Parameters"
    UNIT: Final       of the value as stored, never scaled: "" for counts, "%", "s", "px", "MAC"
    DIRECTION: Final  which is better: "higher", "lower", or "none" where that depends
    KIND: Final       "fact", "trial", "pass", "reading" or "pair"
    measure(…)        -> records.Measurement, which repeats title, unit and direction; of a pass:
                      its raw values

A *fact* follows from the network's structure: `measure(network, input_shape)` with the network in
any mode on the CPU and the (channels, height, width) of one image. Values of parameters must not
matter, and the network must be left as it was: mode, buffers, gradients. It returns None where it
does not apply to the network (no overlap where nothing upsamples).

A metric of a *trial* follows from what the trained network did: `measure(outcome)`. It returns None
where it does not apply to the task (no accuracy without classes). A score per example that is a
formula of its own stands in the metric's file, as a function on tensors that tasks import.

A metric of a *pass* is measured on one machine, of networks as they are built: `measure(networks,
input_shape, setting, rounds)` returns raw arrays by name, with a column for each network, for one
setting of batch, precision and so on. `ALONE: Final` says whether each network is to be alone in a
process; else all are measured in turns. `ablate.passes` records what it returns, and evidence makes
figures of it.

A *reading* is of a network with given weights, those before and those after training:
`measure(network, input_shape)` returns the measurement and raw arrays by name, or None where it
does not apply; the network is left as it was. `ablate.readings` takes it from the weights that
trials have kept. Where nothing is trained, claims are about networks as they begin: with the values
that are given, and parameters drawn from the seed 0.

A metric of a *pair* is of two networks: `measure(first, second, input_shape)`.

Numbers in `detail` are parts that claims may name (`effective_receptive_field.ratio`), in the unit
of the value; one that is called `ratio` has none. `detail["titles"]` may have names for people of
some parts, where "Effective receptive field (ratio)" would not do.

A figure that cannot be vouched for has the value None and the reason in `detail["invalid"]`. An
exception is a bug of the metric or of the network, and makes the figure of a fact invalid. The
docstring gives the definition, the convention (what is counted, in which mode) and the source.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ablate import catalog
from ablate.records import Epoch, Measurement

if TYPE_CHECKING:
    from torch import nn


Kind = Literal["fact", "trial", "pass", "reading", "pair"]


def of_kind(kind: Kind) -> list[str]:
    """Return the names of the metrics of a kind, sorted."""
    known = catalog.names("metrics")
    return [name for name in known if kind == catalog.load("metrics", name).KIND]


def facts(
    network: "nn.Module", input_shape: tuple[int, int, int], names: Sequence[str] | None = None
) -> dict[str, Measurement]:
    """Return every fact that applies to a network on (channels, height, width) images, by name.

    Or those of some `names` alone. A network may do what no metric foresees (fail in its backward
    pass, say): then the figure is invalid, and the others are there all the same.
    """
    from ablate.metrics import _count  # with torch

    with _count.once():
        wanted = of_kind("fact") if names is None else names
        measured = {name: _measured(name, network, input_shape) for name in wanted}
    return {name: measurement for name, measurement in measured.items() if measurement is not None}


def at_the_beginning(
    network: "nn.Module", input_shape: tuple[int, int, int], names: Sequence[str]
) -> dict[str, Measurement]:
    """Return what some readings and facts are of a network as it begins, by name.

    Args:
        network: its parameters are drawn anew, from the seed 0.
        input_shape: (channels, height, width) of one image.
        names: of metrics; those that do not apply to the network are left out.
    """
    from ablate import networks  # with torch

    try:
        networks.initialise(network, 0)
    except RuntimeError as error:  # somebody's network, whose parameters no seed decides
        return {name: _invalid(name, error) for name in names}
    return facts(network, input_shape, names)


def _measured(
    name: str, network: "nn.Module", input_shape: tuple[int, int, int]
) -> Measurement | None:
    metric = catalog.load("metrics", name)
    try:
        found = metric.measure(network, input_shape)
    except Exception as error:
        return _invalid(name, error)
    # A reading's arrays are for pictures of trained weights.
    one: Measurement | None = found[0] if found and metric.KIND == "reading" else found
    return one


def _invalid(name: str, error: Exception) -> Measurement:
    metric = catalog.load("metrics", name)
    line = f"{type(error).__name__}: {' '.join(str(error).split())}"
    return Measurement(
        value=None,
        unit=metric.UNIT,
        title=metric.TITLE,
        direction=metric.DIRECTION,
        detail={"invalid": f"measuring it raised {line}"},
    )


def of_trial(outcome: "Outcome") -> dict[str, Measurement]:
    """Return every metric that applies to a finished trial, by name."""
    measured = {name: catalog.load("metrics", name).measure(outcome) for name in of_kind("trial")}
    return {name: measurement for name, measurement in measured.items() if measurement is not None}


@dataclass(frozen=True)
class Outcome:
    """What a finished trial showed.

    `test` holds one value per test example by score, each (n,): `loss` float32, `correct` bool, ….
    `initial` holds the same before the first step, of the first test examples; {} for tasks that do
    not ask for it.
    """

    test: dict[str, "np.ndarray[Any, Any]"]
    epochs: Sequence[Epoch]
    train_seconds: float  # training alone, without evaluation
    images: int  # training images seen, those of every epoch counted
    initial: dict[str, "np.ndarray[Any, Any]"] = field(default_factory=dict)
