"""Activations.

    build(*, options) -> nn.Module

The module maps a tensor of any shape to the same shape and does not overwrite its input, which
other paths of a network may still read.
"""
