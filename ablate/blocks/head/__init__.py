"""Heads: what turns the last features into a task's outputs.

    build(channels: int, outputs: int, *, options) -> nn.Module

The module maps (n, channels, h, w), h, w >= 1, to (n, outputs). A task says how
many outputs it needs.
"""
