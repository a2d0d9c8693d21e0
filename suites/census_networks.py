"""Published networks that torchvision does not have, as their papers describe them.

For `census.yaml`: which layers they are made of. Each function returns a network that takes images
of 3x224x224 (Xception: 3x299x299 in the paper) and makes `num_classes` outputs.
"""

from torch import Tensor, nn


def alexnet_2012(num_classes: int = 1000) -> nn.Module:
    """Return the network of Krizhevsky, Sutskever, Hinton 2012 (NIPS 25), section 3.5.

    The second, fourth and fifth convolution look at the maps of their own GPU only, which is a
    convolution in two groups. torchvision's `alexnet` is a later one (Krizhevsky 2014, arXiv
    1404.5997), without. Padding as in torchvision, since the paper's 224 pixels do not give its 55.
    """
    return nn.Sequential(
        *(nn.Conv2d(3, 96, 11, stride=4, padding=2), nn.ReLU(), nn.LocalResponseNorm(5, k=2.0)),
        nn.MaxPool2d(3, 2),
        *(nn.Conv2d(96, 256, 5, padding=2, groups=2), nn.ReLU(), nn.LocalResponseNorm(5, k=2.0)),
        nn.MaxPool2d(3, 2),
        *(nn.Conv2d(256, 384, 3, padding=1), nn.ReLU()),
        *(nn.Conv2d(384, 384, 3, padding=1, groups=2), nn.ReLU()),
        *(nn.Conv2d(384, 256, 3, padding=1, groups=2), nn.ReLU()),
        *(nn.MaxPool2d(3, 2), nn.Flatten()),
        *(nn.Linear(256 * 6 * 6, 4096), nn.ReLU(), nn.Dropout()),
        *(nn.Linear(4096, 4096), nn.ReLU(), nn.Dropout()),
        nn.Linear(4096, num_classes),
    )


def mobilenet_v1(num_classes: int = 1000) -> nn.Module:
    """Return the network of Howard et al. 2017 (arXiv 1704.04861), table 1."""
    # Channels and stride of each depthwise separable convolution.
    rows = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5]
    rows += [(1024, 2), (1024, 1)]
    layers = [*_conv(3, 32, 3, stride=2)]
    channels = 32
    for out, stride in rows:
        layers += _conv(channels, channels, 3, stride=stride, groups=channels)
        layers += _conv(channels, out, 1)
        channels = out
    head = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, num_classes))
    return nn.Sequential(*layers, *head)


def xception(num_classes: int = 1000) -> nn.Module:
    """Return the network of Chollet 2016 (arXiv 1610.02357), figure 5, without its optional layers.

    Nothing stands between the two convolutions of a separable one (section 4.7).
    """
    entry = [_Block(64, 128, leads=False), _Block(128, 256), _Block(256, 728)]
    middle = [_Middle(728) for _ in range(8)]
    return nn.Sequential(
        *_conv(3, 32, 3, stride=2, padding=0),
        *_conv(32, 64, 3, padding=0),
        *(*entry, *middle, _Block(728, 1024, inner=728)),
        *(_separable(1024, 1536), nn.ReLU(), _separable(1536, 2048), nn.ReLU()),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2048, num_classes)),
    )


def _conv(
    channels: int,
    out: int,
    kernel: int,
    *,
    stride: int = 1,
    padding: int | None = None,
    groups: int = 1,
) -> list[nn.Module]:
    """Return convolution, batch normalisation and ReLU."""
    padding = kernel // 2 if padding is None else padding
    conv = nn.Conv2d(channels, out, kernel, stride, padding, groups=groups, bias=False)
    return [conv, nn.BatchNorm2d(out), nn.ReLU()]


def _separable(channels: int, out: int) -> nn.Sequential:
    """Return a depthwise separable 3x3 with batch normalisation after it."""
    return nn.Sequential(
        nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False),
        nn.Conv2d(channels, out, 1, bias=False),
        nn.BatchNorm2d(out),
    )


class _Block(nn.Module):
    """Two separable convolutions and a pooling, beside a strided 1x1."""

    def __init__(
        self, channels: int, out: int, *, inner: int | None = None, leads: bool = True
    ) -> None:
        super().__init__()
        inner = inner or out
        self.body = nn.Sequential(
            *([nn.ReLU()] if leads else []),
            *(_separable(channels, inner), nn.ReLU(), _separable(inner, out)),
            nn.MaxPool2d(3, 2, padding=1),
        )
        self.skip = nn.Sequential(
            nn.Conv2d(channels, out, 1, stride=2, bias=False), nn.BatchNorm2d(out)
        )

    def forward(self, images: Tensor) -> Tensor:
        found: Tensor = self.body(images) + self.skip(images)
        return found


class _Middle(nn.Module):
    """Three separable convolutions, added to what they read."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        parts = [(nn.ReLU(), _separable(channels, channels)) for _ in range(3)]
        self.body = nn.Sequential(*(layer for part in parts for layer in part))

    def forward(self, images: Tensor) -> Tensor:
        found: Tensor = images + self.body(images)
        return found
