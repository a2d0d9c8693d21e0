"""Normalisations.

    build(channels: int, *, options) -> nn.Module

The module maps (n, channels, h, w) to the same shape.
"""
