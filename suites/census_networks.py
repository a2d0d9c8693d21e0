"""Published networks that torchvision does not have, as their papers describe them.

For `census.yaml`: which layers they are made of. Each function returns a network that takes images
of 3x224x224 (Xception: 3x299x299 in the paper) and makes `num_classes` outputs.
"""

from torch import Tensor, nn
from torchvision.models.resnet import Bottleneck


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


def resnet50_v1(num_classes: int = 1000) -> nn.Module:
    """Return ResNet-50 (He et al. 2015, arXiv 1512.03385) with its strides where slim has them.

    In TensorFlow's slim, which the published table of receptive fields is of, the last block of a
    stage strides, in its 3x3, and its skip connection takes every second pixel; in torchvision's it
    is the first block of the next stage. Layers and parameters are the same.
    """
    layers: list[nn.Module] = [*_conv(3, 64, 7, stride=2), nn.MaxPool2d(3, 2, padding=1)]
    channels = 64
    for width, count in ((64, 3), (128, 4), (256, 6), (512, 3)):
        out = 4 * width
        for block in range(count):
            stride = 2 if block == count - 1 and width < 512 else 1
            skip: nn.Module | None = None
            if channels != out:
                conv = nn.Conv2d(channels, out, 1, bias=False)
                skip = nn.Sequential(conv, nn.BatchNorm2d(out))
            elif stride == 2:
                skip = nn.MaxPool2d(1, 2)
            layers.append(Bottleneck(channels, width, stride, skip))
            channels = out
    head = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, num_classes))
    return nn.Sequential(*layers, *head)


def sknet50(num_classes: int = 1000) -> nn.Module:
    """Return the network of Li et al. 2019 (arXiv 1903.06586), table 1, SK[2, 32, 16].

    It is ResNeXt-50 with another thing in the place of each grouped 3x3: see `_Selective`.
    """
    layers: list[nn.Module] = [*_conv(3, 64, 7, stride=2), nn.MaxPool2d(3, 2, padding=1)]
    channels = 64
    for width, count in ((128, 3), (256, 4), (512, 6), (1024, 3)):
        for block in range(count):
            stride = 2 if block == 0 and width > 128 else 1
            layers.append(_SelectiveUnit(channels, width, 2 * width, stride))
            channels = 2 * width
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


def _grouped(channels: int, stride: int, dilation: int) -> nn.Conv2d:
    """Return a 3x3 in 32 groups."""
    return nn.Conv2d(channels, channels, 3, stride, dilation, dilation, groups=32, bias=False)


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


class _Selective(nn.Module):
    """A selective kernel convolution: two grouped convolutions, and how much of each is taken.

    A 3x3 and a 3x3 of dilation 2 ("5x5") in 32 groups look at the same maps. What they make is
    added and pooled, and two layers draw from it a weight for each channel of either, which add up
    to one. The first makes a sixteenth of the channels, at least 32 (section 3.1).
    """

    def __init__(self, channels: int, stride: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            nn.Sequential(_grouped(channels, stride, dilation), nn.BatchNorm2d(channels), nn.ReLU())
            for dilation in (1, 2)
        )
        few = max(channels // 16, 32)
        self.fuse = nn.Sequential(nn.AdaptiveAvgPool2d(1), *_conv(channels, few, 1))
        self.select = nn.ModuleList(nn.Conv2d(few, channels, 1, bias=False) for _ in range(2))

    def forward(self, maps: Tensor) -> Tensor:
        first, second = (branch(maps) for branch in self.branches)
        fused = self.fuse(first + second)
        one, other = (select(fused) for select in self.select)
        share = (one - other).sigmoid()  # the softmax of two
        found: Tensor = share * first + (1 - share) * second
        return found


class _SelectiveUnit(nn.Module):
    """A bottleneck of 1x1, selective kernels and 1x1, added to what it reads."""

    def __init__(self, channels: int, width: int, out: int, stride: int) -> None:
        super().__init__()
        last = (nn.Conv2d(width, out, 1, bias=False), nn.BatchNorm2d(out))
        self.body = nn.Sequential(*_conv(channels, width, 1), _Selective(width, stride), *last)
        self.skip: nn.Module = nn.Identity()
        if channels != out:
            skip = (nn.Conv2d(channels, out, 1, stride, bias=False), nn.BatchNorm2d(out))
            self.skip = nn.Sequential(*skip)

    def forward(self, maps: Tensor) -> Tensor:
        found: Tensor = (self.skip(maps) + self.body(maps)).relu()
        return found
