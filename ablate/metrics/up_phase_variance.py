"""Phase variance of upsampling: the lattice that upsampling layers start with, in noise.

The measure of `phase_variance` on what each layer makes of white noise with a mean (independent
values, uniform from 0 to 1, much like activations behind a ReLU), by itself and at initialisation:
the share of the output's variance that repeats every s pixels, for a layer that enlarges by s. The
mean makes the lattice (a constant input has a periodic output, see `dc_gain`), the noise is what it
is compared with. The mean over 20 initialisations (seeds 0 to 19 of the layer's own distributions)
and as many draws of the noise, 8 pixels left out at each border.

Weights that are drawn independently, with zero mean, have an expected share of

    (s² - 1) μ² / ((s² - 1) μ² + s² σ²),   of the noise μ = 1/2 and σ² = 1/12,

whatever the kernel (numerator and denominator averaged by themselves): 9/13 = 0.69 for s = 2, 0.73
for s = 3. Interpolation with or without a convolution after it, and phases that start equal (ICNR),
stay below 0.001. White noise itself has `null` in the detail, (s² - 1) / (pixels - 1); interpolated
noise has less, since interpolation takes out just the lattice's frequencies.

It does not apply to networks that enlarge nothing. Of several layers the worst counts. A layer is
the innermost module that enlarges its one input and has parameters, as `_resampling` finds it.

Detail: `by_layer`, the mean of each layer by its path; `worst`, the path of the largest; of that
layer the 20 `values`, their deviation `sd` and `null`.

Sources: Aitken et al. 2017, arXiv 1707.02937 (a lattice that comes of the initialisation alone);
Odena, Dumoulin, Olah 2016, "Deconvolution and checkerboard artifacts", Distill.
"""

from collections.abc import Iterable, Iterator
from typing import Final

import torch
from torch import Tensor, nn

from ablate.metrics import _resampling, phase_variance
from ablate.records import Measurement

TITLE: Final = "Phase variance of upsampling"
UNIT: Final = ""
DIRECTION: Final = "lower"
KIND: Final = "fact"

_PIXELS: Final = 80  # of the side of what is looked at of an output


def measure(network: nn.Module, input_shape: tuple[int, int, int]) -> Measurement | None:
    """Return the phase variance of upsampled noise; None where nothing upsamples."""
    try:
        found = {
            layer.path: over_initialisations(layer, _outputs(layer))
            for layer in _resampling.enlarging(network, input_shape)
        }
    except _resampling.NoLattice as error:
        return _resampling.invalid(TITLE, error)
    return _resampling.of_worst(TITLE, found)


def over_initialisations(
    layer: _resampling.Layer, maps: Iterable[Tensor]
) -> tuple[list[float], float]:
    """Return the phase variance of what each initialisation gave, and that of white noise.

    Args:
        layer: what gave it.
        maps: (1, c, h, w) on the finer grid, one for each initialisation, with their borders.
    """
    inner = [layer.inner(it) for it in maps]
    height, width = inner[0].shape[2:]
    null = phase_variance.of_white_noise(height, width, layer.stride)
    return [phase_variance.per_image(it, layer.stride).item() for it in inner], null


def _outputs(layer: _resampling.Layer) -> Iterator[Tensor]:
    """Yield what a layer makes of noise, at each initialisation."""
    generator = torch.Generator().manual_seed(0)
    for module in layer.initialised():
        noise = torch.rand(1, layer.channels, *layer.sides(_PIXELS), generator=generator)
        with torch.no_grad():
            yield module(noise)
