"""DC-gain variation: how differently the phases of upsampling layers answer to a constant input.

Where every channel of the input is constant, a layer that enlarges by s has an output that repeats
every s pixels: each of its s x s phases is a filter of its own, and answers by the sum of that
filter's weights, its gain at zero frequency. No checkerboard comes of it exactly if the gains of
all phases are equal (Kinoshita, Kiya 2020, "Fixed smooth convolutional layer for avoiding
checkerboard artifacts in CNNs", arXiv 2002.02117). An even overlap does not make them equal, random
weights make them differ (Aitken et al. 2017, arXiv 1707.02937): this is the lattice that a layer
starts with, whatever `overlap` says. The value is

    rms of the deviation between phases / rms of the mean over phases

over inputs and output channels, 8 pixels away from the borders, for 16 constant inputs (each
channel at a level of its own, drawn normally), the mean over 20 initialisations (seeds 0 to 19 of
the layer's own distributions). Weights that are drawn independently, with zero mean, make it
√(s² - 1) whatever the kernel, 1.73 for s = 2: s² - 1 parts of their variance lie between the phases
and one in the phases' mean. A bias that all phases share lowers it. It is 0 for an interpolation,
with a convolution after it or none, and where the phases start equal (ICNR).

A single input of ones has the same expectation of numerator and denominator, but one random number
for each output channel: with three of them (a kernel of 2, 32 inputs) the ratio is 2.7 ± 1.9 over
20 initialisations, where 16 inputs give 1.6 ± 0.3, and with one channel it has no finite mean.

It does not apply to networks that enlarge nothing. Of several layers the worst counts. A layer is
the innermost module that enlarges its one input and has parameters, as `_resampling` finds it. The
figure is a mean of draws: two of them differ by chance by some √2 · sd / √20.

Detail: `by_layer`, the mean of each layer by its path; `worst`, the path of the largest; of that
layer the 20 `values`, their deviation `sd` and `null`, what a layer without a lattice has, 0.
"""

from typing import Final

import torch
from torch import Tensor, nn

from ablate.metrics import _resampling
from ablate.records import Measurement

TITLE: Final = "DC-gain variation"
UNIT: Final = ""
DIRECTION: Final = "lower"
KIND: Final = "fact"

INPUTS: Final = 16
_PIXELS: Final = 8  # of the side of what is looked at of an output
# Of the phases' mean: float32 rounds by less, and what deviates by less is constant.
_ROUNDING: Final = 1e-5


def measure(network: nn.Module, input_shape: tuple[int, int, int]) -> Measurement | None:
    """Return the DC-gain variation at initialisation; None where nothing upsamples."""
    try:
        found = {
            layer.path: (_at_initialisations(layer), 0.0)
            for layer in _resampling.enlarging(network, input_shape)
        }
    except _resampling.NoLattice as error:
        return _resampling.invalid(TITLE, error)
    return _resampling.of_worst(TITLE, found)


def of_responses(responses: Tensor, stride: tuple[int, int]) -> float:
    """Return the variation between the phases of what constants are answered by.

    Args:
        responses: (n, c, h, w), h and w multiples of the stride.
        stride: rows and columns of the lattice's period.
    """
    n, c, height, width = responses.shape
    rows, columns = stride
    cells = responses.reshape(n, c, height // rows, rows, width // columns, columns)
    phases = cells.mean((2, 4)).flatten(2)
    deviation = phases.var(2, correction=0).mean().sqrt().item()
    mean = phases.mean(2).square().mean().sqrt().item()
    return deviation / mean if deviation > _ROUNDING * mean else 0.0


def _at_initialisations(layer: _resampling.Layer) -> list[float]:
    generator = torch.Generator().manual_seed(0)
    values = []
    for module in layer.initialised():
        levels = torch.randn(INPUTS, layer.channels, 1, 1, generator=generator)
        with torch.no_grad():
            responses = module(levels.expand(-1, -1, *layer.sides(_PIXELS)))
        values.append(of_responses(layer.inner(responses), layer.stride))
    return values
