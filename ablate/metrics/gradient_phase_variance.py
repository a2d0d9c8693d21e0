"""Phase variance of gradients: the lattice that downsampling layers put into what they send back.

The backward pass of a layer that reduces by s is one that enlarges by s, and draws lattices as
upsampling does (Odena, Dumoulin, Olah 2016, "Deconvolution and checkerboard artifacts", Distill,
doi:10.23915/distill.00003). Each layer is given normal noise; the measure of `phase_variance` is
taken of the gradient of a sum of its outputs with respect to that input: the share of its variance
that repeats every s pixels. The mean over 20 initialisations (seeds 0 to 19 of the layer's own
distributions) and as many draws of the noise, 8 pixels left out at each border.

In that sum each output has a weight of its own, uniform from 0 to 1. With weights of 1 the gradient
of a strided convolution is periodic, so that all of its variance would be lattice, 1 however faint;
and with weights of zero mean the phases' means would cancel and no lattice be seen in any layer.
As in `up_phase_variance`, the mean of the weights makes the lattice and their noise is what it is
compared with. The gradient is taken with its sign, channel by channel. Its magnitude would show
alone how many outputs see a pixel, which `input_coverage` counts; the sign shows also what
independent weights do where all pixels are seen equally often. So the two differ: a strided
convolution has an expected

    (s² - 1) μ² / ((s² - 1) μ² + s² σ²),   of the weights in the sum μ = 1/2 and σ² = 1/12,

9/13 = 0.69 for s = 2, whatever its kernel (numerator and denominator averaged by themselves): with
an even coverage (kernel 2 or 4), with an uneven one (3), and with a kernel of 1, which leaves three
pixels of four without a gradient. Pooling whose windows overlap evenly has no lattice: averages
send back the same to every phase, 0.0000, and where a maximum sends its gradient depends on the
input and on no phase, about as white noise. White noise has `null` in the detail,
(s² - 1) / (pixels - 1).

It does not apply to networks that reduce nothing. A layer is the innermost module that reduces the
resolution of its one input, as `_resampling` finds it; global pooling is none. Of several layers
the worst counts. What else sends gradients to the same input is not looked at, nor the layers
before, which spread what they are sent.

Detail: `by_layer`, the mean of each layer by its path; `worst`, the path of the largest; of that
layer the 20 `values`, their deviation `sd` and `null`.
"""

from collections.abc import Iterator
from typing import Final

import torch
from torch import Tensor, nn

from ablate.metrics import _resampling
from ablate.metrics.up_phase_variance import over_initialisations
from ablate.records import Measurement

TITLE: Final = "Phase variance of gradients"
UNIT: Final = ""
DIRECTION: Final = "lower"
KIND: Final = "fact"

_PIXELS: Final = 32  # of the side of what is looked at of a gradient


def measure(network: nn.Module, input_shape: tuple[int, int, int]) -> Measurement | None:
    """Return the phase variance of the gradients of reductions; None where nothing reduces."""
    try:
        found = {
            layer.path: over_initialisations(layer, _gradients(layer))
            for layer in _resampling.reducing(network, input_shape)
        }
    except _resampling.NoLattice as error:
        return _resampling.invalid(TITLE, error)
    return _resampling.of_worst(TITLE, found)


def _gradients(layer: _resampling.Layer) -> Iterator[Tensor]:
    """Yield what a layer sends back to noise, at each initialisation."""
    generator = torch.Generator().manual_seed(0)
    for module in layer.initialised():
        noise = torch.randn(1, layer.channels, *layer.sides(_PIXELS), generator=generator)
        noise.requires_grad_()
        with torch.enable_grad():
            output = module(noise.clone())  # which a layer may overwrite
            weights = torch.rand(output.shape, generator=generator)
            (gradient,) = torch.autograd.grad(output, noise, weights)
        yield gradient
