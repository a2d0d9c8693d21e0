"""Overlap unevenness: how unequally the outputs of upsampling layers are touched by their inputs.

A transposed convolution spreads every input over a window of outputs. Where the stride does not
divide the kernel, windows overlap on some outputs more than on others, in a lattice as fine as the
stride: a checkerboard, before anything is learnt (Odena, Dumoulin, Olah 2016, "Deconvolution and
checkerboard artifacts", Distill, doi:10.23915/distill.00003). Along an axis, output i is touched by

    #{tap: dilation · tap - padding ≡ i (mod stride)}

inputs, and in the plane by the product of both; the value is the standard deviation of that count
over its mean, away from the borders, 0 where all outputs are touched equally. Of several layers the
worst counts. A pixel shuffle and an interpolation have 0: each output is computed once, by a
convolution of stride 1. It is a matter of structure: trained weights may even out an uneven
overlap, and make a lattice on an even one.

It does not apply to networks that upsample nothing. Layers of stride 1 do not, and unpooling, whose
places depend on the data, is left out.

Detail: `by_layer`, the value of each upsampling layer by its path (of a function, the name of its
call); `worst`, the path of the first with the largest; `touched`, of each transposed convolution
the number of inputs that touch the outputs [row][column] of one period, from the top left pixel.
"""

import math
from collections.abc import Iterable
from typing import Any, Final

from torch import fx, nn
from torch.nn import functional

from ablate.metrics import layers
from ablate.records import Measurement

TITLE: Final = "Overlap unevenness"
UNIT: Final = ""
DIRECTION: Final = "lower"
KIND: Final = "fact"


def measure(network: nn.Module, input_shape: tuple[int, int, int]) -> Measurement | None:
    """Return the variation of how many inputs touch an output; None where nothing upsamples."""
    by_layer: dict[str, float] = {}
    touched: dict[str, list[list[int]]] = {}
    for path, module in network.named_modules():
        if isinstance(module, nn.ConvTranspose2d):
            if max(module.stride) > 1:
                rows, columns = (
                    touches(
                        module.kernel_size[axis],
                        module.stride[axis],
                        module.dilation[axis],
                        int(module.padding[axis]),
                    )
                    for axis in (0, 1)
                )
                by_layer[path] = unevenness([rows, columns])
                touched[path] = table(rows, columns)
        elif _spreads_nothing(module):
            by_layer[path] = 0.0
    by_layer |= {node.name: 0.0 for node in layers.trace(network) or [] if _interpolates(node)}
    if not by_layer:
        return None
    worst = max(by_layer, key=by_layer.__getitem__)
    return Measurement(
        value=by_layer[worst],
        unit=UNIT,
        title=TITLE,
        direction=DIRECTION,
        detail={"by_layer": by_layer, "worst": worst, "touched": touched},
    )


def touches(kernel: int, stride: int, dilation: int, padding: int) -> list[int]:
    """Return how many windows of a sliding kernel meet each pixel of one period, on one axis.

    The windows lie on the finer grid, `stride` pixels apart, and pixel 0 is the first that is no
    padding: outputs of a transposed convolution, inputs of a convolution or a pooling.
    """
    counts = [0] * stride
    for tap in range(kernel):
        counts[(dilation * tap - padding) % stride] += 1
    return counts


def unevenness(axes: Iterable[list[int]]) -> float:
    """Return the standard deviation over the mean of the product of counts along several axes."""
    # The mean of the square of a product of axes is the product of their means of squares. In whole
    # numbers, so that equal counts come to 0 exactly.
    squares, means = 1, 1
    for counts in axes:
        squares *= len(counts) * sum(count**2 for count in counts)
        means *= sum(counts) ** 2
    return math.sqrt((squares - means) / means)


def table(rows: list[int], columns: list[int]) -> list[list[int]]:
    """Return the counts in the plane, [row][column]."""
    return [[row * column for column in columns] for row in rows]


def _spreads_nothing(module: nn.Module) -> bool:
    """Whether a module upsamples by computing each output once."""
    if isinstance(module, nn.PixelShuffle):
        return module.upscale_factor > 1
    return isinstance(module, nn.Upsample) and _enlarges(module.scale_factor)


def _interpolates(node: fx.Node) -> bool:
    """Whether a node of a graph is a function that does so."""
    if node.op != "call_function":
        return False
    if node.target is functional.pixel_shuffle:
        return bool(layers.arguments(node, "input", "upscale_factor")["upscale_factor"] != 1)
    return node.target is functional.interpolate and _enlarges(
        layers.arguments(node, "input", "size", "scale_factor").get("scale_factor")
    )


def _enlarges(factor: Any) -> bool:
    """Whether a factor enlarges; where a size is given in its place, it is taken to."""
    sides = factor if isinstance(factor, list | tuple) else [factor]
    return any(not isinstance(side, int | float) or side > 1 for side in sides)
