"""Input unevenness: how unequally the pixels of the input of strided layers are looked at.

The counterpart of overlap unevenness for downsampling. A convolution or a pooling with a stride
looks at its input through windows that lie `stride` pixels apart. Along an axis, input i is seen by

    #{tap: dilation · tap - padding ≡ i (mod stride)}

outputs, and in the plane by the product of both: [[1, 2], [2, 4]] in each 2x2 pixels for a 3x3
kernel of stride 2, and [[1, 0], [0, 0]] for one of 1x1, which never sees three pixels of four. The
value is the standard deviation of that count over its mean, away from the borders, 0 where all
pixels are seen equally often. Of several layers the worst counts, each by itself: what else sees
the same input is not looked at. The gradient of a strided convolution has the same lattice (Odena,
Dumoulin, Olah 2016, "Deconvolution and checkerboard artifacts", Distill,
doi:10.23915/distill.00003).

It does not apply to networks in which nothing has a stride. Adaptive pooling has none.

Detail: `by_layer`, the value of each layer with a stride by its path (of a function, the name of
its call); `worst`, the path of the first with the largest; `seen`, of each such layer the number of
outputs that see the inputs [row][column] of one period, from the top left pixel.
"""

from collections.abc import Iterator
from typing import Any, Final

from torch import fx, nn
from torch.nn import functional
from torch.nn.modules.utils import _pair

from ablate.metrics import layers
from ablate.metrics.overlap import table, touches, unevenness
from ablate.records import Measurement

TITLE: Final = "Input unevenness"
UNIT: Final = ""
DIRECTION: Final = "lower"
KIND: Final = "fact"

# Kernel, stride, dilation and padding, each an integer for both axes or one for either.
_Window = tuple[Any, Any, Any, Any]


def measure(network: nn.Module, input_shape: tuple[int, int, int]) -> Measurement | None:
    """Return the variation of how many outputs see an input; None where nothing has a stride."""
    by_layer: dict[str, float] = {}
    seen: dict[str, list[list[int]]] = {}
    for name, window in _windows(network):
        kernel, stride, dilation, padding = (_pair(setting) for setting in window)
        if max(stride) > 1:
            rows, columns = (
                touches(kernel[axis], stride[axis], dilation[axis], padding[axis])
                for axis in (0, 1)
            )
            by_layer[name] = unevenness([rows, columns])
            seen[name] = table(rows, columns)
    if not by_layer:
        return None
    worst = max(by_layer, key=by_layer.__getitem__)
    return Measurement(
        value=by_layer[worst],
        unit=UNIT,
        title=TITLE,
        direction=DIRECTION,
        detail={"by_layer": by_layer, "worst": worst, "seen": seen},
    )


def _windows(network: nn.Module) -> Iterator[tuple[str, _Window]]:
    """Yield the name and window of every convolution and pooling."""
    for path, module in network.named_modules():
        if isinstance(module, nn.Conv2d):
            # A padding that is a word: "valid" is none, and "same" goes with no stride.
            padding = 0 if isinstance(module.padding, str) else module.padding
            yield path, (module.kernel_size, module.stride, module.dilation, padding)
        elif isinstance(module, nn.MaxPool2d):
            yield path, (module.kernel_size, module.stride, module.dilation, module.padding)
        elif isinstance(module, nn.AvgPool2d):
            yield path, (module.kernel_size, module.stride, 1, module.padding)
        elif isinstance(module, nn.LPPool2d):
            yield path, (module.kernel_size, module.stride or module.kernel_size, 1, 0)
    for node in layers.trace(network) or []:
        window = _window_of_call(node)
        if window is not None:
            yield node.name, window


def _window_of_call(node: fx.Node) -> _Window | None:
    """Return the window of a pooling that is a function, no module."""
    if node.op != "call_function" or node.target not in (
        functional.max_pool2d,
        functional.avg_pool2d,
    ):
        return None
    # Of max pooling's arguments torch passes on all after the kernel by name.
    given = layers.arguments(node, "input", "kernel_size", "stride", "padding")
    kernel = given["kernel_size"]
    stride = given.get("stride")
    window = kernel, stride or kernel, given.get("dilation", 1), given.get("padding", 0)
    # A window as large as the map, which is known only when it runs, is no lattice.
    known = all(isinstance(side, int) for setting in window for side in _pair(setting))
    return window if known else None
