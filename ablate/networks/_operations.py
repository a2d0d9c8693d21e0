"""What the notes do to values, as modules: operations that no block and no module of torch is."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


class Affine(nn.Module):
    """Channels shifted or scaled: (n, c, h, w) -> (n, c, h, w)."""

    by: Tensor

    def __init__(self, kind: str, by: float | list[float], channels: int) -> None:
        super().__init__()
        self.kind = kind
        self.written = by
        self.register_buffer("by", _each(by, channels, "by")[:, None, None])

    def forward(self, x: Tensor) -> Tensor:
        return x + self.by if self.kind == "shift" else x * self.by

    def extra_repr(self) -> str:
        return f"{self.kind} by {self.written}"


class GivenNorm(nn.Module):
    """A batch normalisation without parameters: (n, c, h, w) -> (n, c, h, w).

    Its statistics are given, and the same in either mode, or those of the batch, in either mode.
    """

    mean: Tensor | None
    variance: Tensor | None
    gamma: Tensor
    beta: Tensor

    def __init__(self, values: Mapping[str, Any], eps: float, channels: int) -> None:
        super().__init__()
        if (values["mean"] is None) != (values["variance"] is None):
            raise ValueError("`mean` and `variance` go together; give both, or neither")
        self.written = dict(values)
        self.eps = eps
        for name in ("mean", "variance", "gamma", "beta"):
            given = values[name]
            self.register_buffer(name, None if given is None else _each(given, channels, name))

    def forward(self, x: Tensor) -> Tensor:
        training = self.mean is None
        return functional.batch_norm(
            x, self.mean, self.variance, self.gamma, self.beta, training=training, eps=self.eps
        )

    def extra_repr(self) -> str:
        given = {**self.written, "eps": self.eps}
        return ", ".join(f"{name}={value}" for name, value in given.items())


class _Windowed(nn.Module):
    def __init__(
        self, kernel: tuple[int, int], stride: tuple[int, int], padding: tuple[int, int]
    ) -> None:
        super().__init__()
        self.kernel = kernel
        self.stride = stride
        self.padding = padding

    def extra_repr(self) -> str:
        return f"kernel={self.kernel}, stride={self.stride}, padding={self.padding}"


class Unfolded(_Windowed):
    """The pixels of each window as channels: (n, c, h, w) -> (n, c·k·k, h', w')."""

    def forward(self, x: Tensor) -> Tensor:
        sides = [
            (x.shape[2 + i] + 2 * self.padding[i] - self.kernel[i]) // self.stride[i] + 1
            for i in range(2)  # by index, as `torch.fx` needs it
        ]
        columns = functional.unfold(x, self.kernel, 1, self.padding, self.stride)
        return columns.reshape(x.shape[0], columns.shape[1], *sides)


class Folded(_Windowed):
    """Windows laid out, summed where they overlap: (n, c·k·k, h, w) -> (n, c, h', w')."""

    def forward(self, x: Tensor) -> Tensor:
        sides = [
            (x.shape[2 + i] - 1) * self.stride[i] - 2 * self.padding[i] + self.kernel[i]
            for i in range(2)
        ]
        return functional.fold(
            x.flatten(2), tuple(sides), self.kernel, 1, self.padding, self.stride
        )


class Begun(nn.Module):
    """Layers with kernels that are drawn in one way; biases and the rest begin as always."""

    def __init__(self, layers: nn.Sequential, init: str | float) -> None:
        super().__init__()
        self.layers = layers
        self.init = init

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = self.layers(x)
        return made

    def reset_parameters(self) -> None:
        for parameter in self.layers.parameters():
            if parameter.dim() < 2:
                continue
            if self.init == "he":
                nn.init.kaiming_normal_(parameter)
            elif self.init == "xavier":
                nn.init.xavier_normal_(parameter)
            else:
                nn.init.normal_(parameter, std=float(self.init))

    def extra_repr(self) -> str:
        return f"init={self.init}"


class Loss(nn.Module):
    """The cross entropy of each image: (n, classes) -> (n, 1)."""

    wanted: Tensor

    def __init__(self, classes: int, target: int, smoothing: float) -> None:
        super().__init__()
        _there(target, classes)
        self.target = target
        self.smoothing = smoothing
        self.register_buffer("wanted", torch.eye(classes)[target])

    def forward(self, x: Tensor) -> Tensor:
        wanted = torch.zeros_like(x) + self.wanted
        loss = functional.cross_entropy(x, wanted, reduction="none", label_smoothing=self.smoothing)
        return loss.unsqueeze(1)

    def extra_repr(self) -> str:
        return f"target={self.target}, smoothing={self.smoothing}"


def smoothed(classes: int, target: int, smoothing: float) -> list[float]:
    """Return what torch's cross entropy takes a label for: the distribution that it is against.

    Its gradient is the softmax less that distribution, so it is read off the gradient at equal
    logits, where the softmax is 1 / classes.

    Raises:
        ValueError: there is no such class.
    """
    _there(target, classes)
    logits = torch.zeros(1, classes, dtype=torch.float64, device="cpu", requires_grad=True)
    label = torch.tensor([target], device="cpu")
    with torch.enable_grad():
        loss = functional.cross_entropy(logits, label, label_smoothing=smoothing)
    [gradient] = torch.autograd.grad(loss, logits)
    found: list[float] = (1 / classes - gradient[0]).tolist()
    return found


def _there(target: int, classes: int) -> None:
    if target >= classes:
        raise ValueError(f"there are {classes} classes, counted from 0; {target} is none of them")


def _each(values: float | list[float], channels: int, name: str) -> Tensor:
    """Return a number for each channel."""
    if isinstance(values, list) and len(values) != channels:
        raise ValueError(f"`{name}` has {len(values)} numbers, and {channels} channels come in")
    return torch.tensor(values if isinstance(values, list) else [values] * channels)
