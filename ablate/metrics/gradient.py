"""Gradient: how far backpropagation is from the slope that trying out finds.

The loss is the mean of what the network puts out for 16 inputs of standard normal numbers (numpy's
default generator, seed 0), in evaluation mode and float64. Of up to 64 weights, spread evenly over
all of them, each is moved by ±h (h = 1e-5) and the loss computed again: its slope is the difference
over 2·h, with an error of the order h² (central differences). Value: the largest absolute
difference of the gradient that backpropagation gives from these slopes, over the largest of them.

Detail: `step`, the same of one step of gradient descent (torch's SGD, learning rate `lr`): how far
the movement of the weights is from -lr · slope, over the largest such movement; `descent`, the
loss before that step less the loss after it; `loss`, before it; `tried`, the number of weights.

It does not apply to networks without parameters.
"""

import copy
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ablate.records import Measurement

TITLE: Final = "Distance of the gradient from finite differences"
UNIT: Final = ""
DIRECTION: Final = "none"
KIND: Final = "reading"

_INPUTS: Final = 16
_TRIED: Final = 64
_MOVE: Final = 1e-5
_RATE: Final = 0.01
_TITLES: Final = {
    "step": "Distance of a step of gradient descent from finite differences",
    "descent": "Fall of the loss in one step",
    "loss": "Loss",
}


def measure(
    network: nn.Module, input_shape: tuple[int, int, int]
) -> tuple[Measurement, dict[str, NDArray[Any]]] | None:
    """Return how far gradient and finite differences are apart, without arrays.

    None where the network has no parameters.
    """
    network = copy.deepcopy(network).double().eval()
    weights = list(network.requires_grad_().parameters())
    if not weights:
        return None
    given = np.random.default_rng(0).standard_normal((_INPUTS, *input_shape))
    inputs = torch.tensor(given, device="cpu")

    def loss() -> Tensor:
        made: Tensor = network(inputs)
        return made.mean()

    before = loss()
    before.backward()  # type: ignore[no-untyped-call]
    # A weight that nothing hangs on has no gradient.
    gradient = _flat([torch.zeros_like(w) if w.grad is None else w.grad for w in weights])
    values = _flat(weights)
    tried = np.unique(np.linspace(0, values.size - 1, _TRIED).round().astype(int))
    slopes = np.array([_slope(loss, weights, int(at)) for at in tried])
    largest = float(np.abs(slopes).max())
    detail: dict[str, Any] = {"titles": _TITLES, "loss": before.item()}
    detail |= {"tried": len(tried), "lr": _RATE}
    if largest == 0:
        return _measurement(None, {"invalid": "no weight matters to the output", **detail}), {}
    torch.optim.SGD(weights, lr=_RATE).step()
    moved = (_flat(weights) - values)[tried]
    detail["step"] = float(np.abs(moved + _RATE * slopes).max()) / (_RATE * largest)
    with torch.no_grad():
        detail["descent"] = before.item() - loss().item()
    return _measurement(float(np.abs(gradient[tried] - slopes).max()) / largest, detail), {}


def _slope(loss: Any, weights: list[nn.Parameter], at: int) -> float:
    """Return the central difference of a loss along one of all weights, counted through."""
    for weight in weights:
        if at < weight.numel():
            break
        at -= weight.numel()
    flat = weight.detach().view(-1)  # shares its memory
    value = flat[at].item()
    found = []
    with torch.no_grad():
        for move in (_MOVE, -_MOVE):
            flat[at] = value + move
            found.append(loss().item())
        flat[at] = value
    return float((found[0] - found[1]) / (2 * _MOVE))


def _flat(tensors: list[Any]) -> NDArray[np.float64]:
    """Return the numbers of several tensors one after another, as they are now."""
    return np.concatenate([tensor.detach().numpy().ravel() for tensor in tensors])


def _measurement(value: float | None, detail: dict[str, Any]) -> Measurement:
    return Measurement(value=value, unit=UNIT, title=TITLE, direction=DIRECTION, detail=detail)
