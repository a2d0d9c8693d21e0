"""Up blocks: how the resolution is doubled.

    build(in_channels: int, out_channels: int, *, options) -> nn.Module

The module maps (n, in_channels, h, w) to (n, out_channels, 2·h, 2·w) for every h, w >= 1. It has a
bias, since it may be the last layer of a network, and it ends without normalisation and activation,
which are up to the network. Beyond the border there are zeros, as with every convolution here,
unless a block says otherwise.

The child that owns the weights is called `conv` in every block.
"""
