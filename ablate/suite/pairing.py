"""Whether two networks may be compared seed by seed.

The same seed gives them the same data in the same order. Whether it gives them the same initial
weights too is decided by their parameters: each is drawn by its path, and so has the same values
where names and shapes agree. Only then is there something for which a seed stands in both.
"""

from torch import nn


def unlike(ours: nn.Module, theirs: nn.Module, name: str) -> str | None:
    """Say which is the first parameter that two networks do not share; None where they share all.

    Args:
        ours, theirs: the networks; they may be on the meta device.
        name: of the second one, for the message.
    """
    mine, other = _shapes(ours), _shapes(theirs)
    for path in [*mine, *(path for path in other if path not in mine)]:
        if path not in other:
            return f"{path} ({mine[path]}) is no parameter of {name!r}"
        if path not in mine:
            return f"{path} ({other[path]}) is a parameter of {name!r} alone"
        if mine[path] != other[path]:
            return f"{path} is {mine[path]}, and {other[path]} in {name!r}"
    return None


def _shapes(network: nn.Module) -> dict[str, str]:
    return {
        path: "x".join(map(str, parameter.shape)) or "a single number"
        for path, parameter in network.named_parameters()
    }
