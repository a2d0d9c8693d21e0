"""Heads: what turns the last features into a task's outputs.

    build(channels: int, outputs: int, size: tuple[int, int], *, options) -> nn.Module

The module maps (n, channels, *size) to (n, outputs); `size` is (h, w), each at least 1, of the
features of the images that the network is built for. A task says how many outputs it needs.
"""
