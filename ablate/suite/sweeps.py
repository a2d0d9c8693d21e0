"""What claims are about that no row of a comparison has: other networks, or networks with values.

A claim with `over` sweeps settings of the full networks of its variants, and one on `function` asks
whether two of them compute the same. Both are arithmetic: facts of networks as drop-ins, without
training. So is a claim on a reading where nothing is trained: it is of the network as it begins.
Here is which networks these are, and whether they can be built.

Of a swept network only those facts are measured that claims are about.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING, Any

import torch

from ablate import catalog, records
from ablate.records import Record
from ablate.study import Point
from ablate.suite import taking
from ablate.suite.claims import ALL, FUNCTION, Claim, RequirementClaim
from ablate.suite.load import Loaded, Variant
from ablate.suite.resolve import Draft, Layer, configure
from ablate.suite.source import Loc, Problem
from ablate.suite.taking import PAIR

if TYPE_CHECKING:
    from ablate.suite.preflight import Checked

Shape = tuple[int, int, int]


@dataclass(frozen=True)
class Wanted:
    """A network that claims ask for, or two of which they ask whether these compute the same."""

    variants: tuple[str, ...]
    settings: dict[str, Any]  # over the variants' own
    networks: tuple[dict[str, Any], ...]  # spelt out
    metrics: tuple[str, ...]  # sorted
    at: Loc  # of the first claim that asks for it


def values(claim: Claim) -> dict[str, list[float | int | str]]:
    """Return the values that a claim sweeps, by path.

    16.0, as which YAML's 16 is read here, becomes 16 again: a number of groups takes no other.
    """
    return {
        path: [int(v) if isinstance(v, float) and v.is_integer() else v for v in given]
        for path, given in claim.over.items()
    }


def combinations(claim: Claim) -> list[dict[str, Any]]:
    """Return the settings at which a claim is asked, in the order of its values; [{}] of none."""
    swept = values(claim)
    return [dict(zip(swept, each, strict=True)) for each in product(*swept.values())]


def draft(variant: Variant, settings: Mapping[str, Any]) -> Draft:
    """Return the configuration of a variant's full network with other settings."""
    return configure([*variant.full.layers, Layer("over", settings)])


def cannot_be_built(network: Mapping[str, Any], shape: Shape, outputs: int) -> str | None:
    """Return why a network cannot be built for images (c, h, w), or not take them; None if it can.

    It is tried without values first, and only what fails is tried with them.
    """
    error: Exception | None = None
    for device in ("meta", "cpu"):
        try:
            built = taking.build(network, shape, outputs, device).eval()
            with torch.no_grad():
                built(torch.zeros(1, *shape, device=device))
        except Exception as caught:  # somebody's network can fail in every way there is
            error = caught
        else:
            return None
    assert error is not None  # it has failed twice
    said = " ".join(str(error).split())
    return said if isinstance(error, ValueError) else f"{type(error).__name__}: {said}"


def by_layer(network: Mapping[str, Any], shape: Shape, outputs: int) -> dict[str, int]:
    """Return the parameters of a network by the path of the module that owns them."""
    counted = catalog.load("metrics", "params").measure(
        taking.build(network, shape, outputs, "meta"), shape
    )
    found: dict[str, int] = counted.detail["by_layer"]
    return found


def wanted(loaded: Loaded, item: "Checked") -> list[Wanted]:
    """Return what the claims of a comparison ask for beside its rows, each network once."""
    found: dict[str, Wanted] = {}
    variants = {one.name: one for one in loaded.variants[item.comparison.id]}
    places = loaded.claims[item.comparison.id]
    is_static = loaded.is_static(item.comparison)
    for claim, at in zip(item.comparison.claims, places, strict=True):
        is_pair = claim.metric == FUNCTION
        metric = PAIR if is_pair else claim.metric.partition(".")[0]
        of_values = is_static and _is_reading(metric)
        names = [*variants] if of_values and _of_all(claim) else claim.variants()
        asked = bool(claim.over) or is_pair or of_values
        if claim.is_of_batches or not asked or not set(names) <= variants.keys():
            continue
        for settings in combinations(claim):
            networks = {
                name: draft(variants[name], settings).values["network"]
                if settings
                else variants[name].full.values["network"]
                for name in names
            }
            for group in [tuple(names)] if is_pair else [(name,) for name in names]:
                one = Wanted(group, settings, tuple(networks[n] for n in group), (metric,), at)
                key = records.canonical([group, settings])
                other = found.get(key, one)
                found[key] = replace(other, metrics=tuple(sorted({*other.metrics, *one.metrics})))
    return list(found.values())


def point(one: Wanted, item: "Checked", plugins: Mapping[str, str]) -> Point:
    """Return what is wanted with the id of its fact record.

    Args:
        one: what is wanted.
        item: the comparison that it is wanted for.
        plugins: name → SHA-256 of each plugin file that may decide its facts.
    """
    id = records.identity(spec_of(one, item, plugins))
    return Point(variants=list(one.variants), settings=one.settings, facts=id)


def spec_of(one: Wanted, item: "Checked", plugins: Mapping[str, str]) -> dict[str, Any]:
    """Return what determines the facts that are wanted; the arguments are those of `point`."""
    return taking.spec_of(one.networks, one.metrics, item.shape, item.outputs, plugins)


def untied(loaded: Loaded, one: Wanted, record: Record) -> Iterator[Problem]:
    """Find two networks of which nothing can be said whether they compute the same."""
    found = record.metrics.get(PAIR)
    if found is None or found.value is not None or found.detail.get("equal") is False:
        return
    first, second = one.variants
    yield Problem(
        loaded.source.position((*one.at, "metric")),
        f"whether {first!r} and {second!r} compute the same cannot be told: "
        f"{found.detail.get('invalid')}; claim it of networks with the same tensors in one order",
    )


def _is_reading(metric: str) -> bool:
    kind: str = catalog.load("metrics", metric).KIND
    return kind == "reading"


def _of_all(claim: Claim) -> bool:
    """Return whether a claim is about all variants, without naming them."""
    said = claim.of if isinstance(claim, RequirementClaim) else getattr(claim, "expect", "")
    return ALL in re.split(r"[\s,<>=]+", said)
