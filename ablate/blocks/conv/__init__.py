"""Convolution blocks: what stands in the place of a convolution.

    build(in_channels: int, out_channels: int, stride: int,
          norm: Callable[[int], nn.Module], act: Callable[[], nn.Module], *, options) -> nn.Module

The module maps (n, in_channels, h, w) to (n, out_channels, ceil(h / stride), ceil(w / stride)) for
every h, w >= 1. The network puts a normalisation and an activation after it: `norm(channels)` and
`act()` are for use *between* the block's own layers, where it has any. No bias: the normalisation
that follows has one.

At stride 1 the padding keeps the size, so kernels are odd (`OddKernel`). At stride 2 the outputs
are those of stride 1 with every second row and column left out, so that a stride changes the
reduction and nothing else.

A block's option `kernel` may be given an even value at stride 2 by a down block, never by a suite
file. Padded by (kernel - 1) // 2 pixels, an output then lies between two pixels, and the sides may
be rounded down. A block without that option cannot be used there.
"""

from typing import Annotated

from pydantic import AfterValidator, Field


def _odd(kernel: int) -> int:
    if kernel % 2 == 0:
        raise ValueError(
            f"a kernel must be odd, so that the output lies on the input's grid; got {kernel}"
        )
    return kernel


OddKernel = Annotated[int, Field(ge=1), AfterValidator(_odd)]
