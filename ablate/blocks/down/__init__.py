"""Down blocks: how a stage ends, with half the resolution.

    build(layer: Callable[[int], nn.Sequential], *, options) -> nn.Module

`layer(stride)` makes the stage's last layer at that stride: a new `nn.Sequential` with the children
`conv`, `norm`, `act`, which maps (n, in, h, w) to (n, out, ceil(h / stride), ceil(w / stride)).
The block returns the module that takes that layer's place and maps (n, in, h, w) to
(n, out, h', w'), where h' and w' are h / 2 and w / 2, rounded up or down; it is never used on a
side of less than 2 pixels.

A block adds its own children to the layer rather than wrapping it, so that the layer's parameters
keep their path and thus their initial values whichever way the stage ends.
"""
