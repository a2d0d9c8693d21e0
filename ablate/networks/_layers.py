"""Layers, the units that families are built of: convolution, normalisation, activation."""

import math
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError
from torch import nn

from ablate import catalog, components
from ablate.blocks import Unfit
from ablate.components import Act, Component, Conv, Norm


class Layer(BaseModel):
    """One layer: convolution, normalisation, activation. Short form: its number of channels."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    channels: Annotated[int, Field(gt=0)]
    conv: Conv | None = None
    norm: Norm | None = None
    act: Act | None = None

    @model_validator(mode="before")
    @classmethod
    def _spelt_out(cls, value: Any) -> Any:
        if isinstance(value, int) and not isinstance(value, bool):
            return {"channels": value}
        if isinstance(value, Mapping | cls):
            return value
        raise PydanticCustomError("layer", "expected a number of channels or {channels: …}")


@dataclass(frozen=True)
class LayerPlan:
    """A layer with nothing left open."""

    channels: int
    conv: Conv
    norm: Norm
    act: Act


def make_layer(
    in_channels: int, out_channels: int, layer: LayerPlan, stride: int, kernel: int | None = None
) -> nn.Sequential:
    """Return (n, in, h, w) -> (n, out, ceil(h / stride), ceil(w / stride)).

    Args:
        out_channels: in the place of the layer's own.
        kernel: the side of the convolution's kernel, in the place of its own; it may be even.

    Raises:
        Unfit: the convolution does not suit the channels or has no kernel that could be set.
    """
    given = {} if kernel is None else {"kernel": kernel}
    if given and "kernel" not in components.options_of(layer.conv):
        name = components.name_of(layer.conv)
        raise Unfit(f"conv block {name!r} has no kernel that could be set to {kernel}")
    make_norm, make_act = makers(layer.norm, layer.act)
    context = in_channels, out_channels, stride, make_norm, make_act
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    layers["conv"] = components.build(layer.conv, *context, **given)
    layers["norm"] = make_norm(out_channels)
    layers["act"] = make_act()
    return nn.Sequential(layers)


def makers(norm: Norm, act: Act) -> tuple[partial[nn.Module], partial[nn.Module]]:
    """Return what blocks are given to make their own normalisations and activations with."""
    return partial(components.build, norm), partial(components.build, act)


def multiple(component: Component) -> int:
    """Return the number that must divide the channels of a block."""
    block = catalog.load(component.room, components.name_of(component))
    if not hasattr(block, "multiple"):
        return 1
    number: int = block.multiple(**components.options_of(component))
    return number


def rounded(channels: float, step: int, up: float) -> int:
    """Return channels that were scaled as a whole number of steps, one at least.

    Args:
        step: what must divide them.
        up: the remainder, in steps, is rounded up where it is at least 1 - `up`.
    """
    return max(1, math.floor(channels / step + up)) * step


@contextmanager
def located(where: str) -> Iterator[None]:
    """Say where it is that something does not fit."""
    try:
        yield
    except Unfit as error:
        raise ValueError(f"{where}: {error}") from error
