"""Down blocks: how a stage ends, with half the resolution.

    build(layer: MakeLayer, *, options) -> nn.Module

`layer(stride)` makes the stage's last layer at that stride: a new `nn.Sequential` with the children
`conv`, `norm`, `act`, which maps (n, in, h, w) to (n, out, ceil(h / stride), ceil(w / stride)).
`layer(2, kernel)` makes it with a kernel of that side, which may be even, in place of its own; the
sides may then be rounded down. The block returns the module that takes that layer's place and maps
(n, in, h, w) to (n, out, h', w'), where h' and w' are h / 2 and w / 2, rounded up or down, whatever
the channels; it is never used on a side of less than 2 pixels.

A block adds its own children to the layer rather than wrapping it, so that the layer's parameters
keep their path and thus their initial values whichever way the stage ends. It is built a second
time, on a layer that does nothing but leave out pixels, to halve what a merge takes around the last
layer, so it relies on none of the layer's children.

An arm with one more convolution before the reduction is a stage with one more layer.
"""

from typing import Protocol

from torch import nn


class MakeLayer(Protocol):
    """Makes a stage's last layer."""

    def __call__(self, stride: int, kernel: int | None = None) -> nn.Sequential: ...
