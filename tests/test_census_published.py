"""Two networks of the census, against their papers and the published receptive fields."""

import pytest
from test_census_suite import own
from torch import nn

from ablate.metrics import receptive_field

IMAGENET = (3, 224, 224)


def by_hand(windows: list[tuple[int, int]]) -> int:
    """Return the receptive field of (kernel, stride) windows one after the other."""
    field, jump = 1, 1
    for kernel, stride in windows:
        field, jump = field + (kernel - 1) * jump, jump * stride
    return field


def test_the_residual_network_of_the_published_table() -> None:
    blocks: list[tuple[int, int]] = []
    for count, stride in ((3, 2), (4, 2), (6, 2), (3, 1)):  # the last 3x3 of a stage strides
        blocks += [(3, 1)] * (count - 1) + [(3, stride)]
    # Araujo, Norris, Sim 2019, table "resnet_v1_50".
    assert by_hand([(7, 2), (3, 2), *blocks]) == 483
    network = own().resnet50_v1()
    assert receptive_field.measure(network, IMAGENET).value == 483
    # He et al. 2015: ResNet-50 as torchvision publishes it, wherever it strides.
    assert sum(it.numel() for it in network.parameters()) == 25_557_032


def test_the_selective_network_has_what_its_paper_says() -> None:
    network = own().sknet50()
    expected = 3 * 64 * 49 + 2 * 64 + 2048 * 1000 + 1000  # stem and head
    before = 64
    for width, count in ((128, 3), (256, 4), (512, 6), (1024, 3)):
        few, out = max(width // 16, 32), 2 * width
        for _ in range(count):
            branch = 9 * width * width // 32 + 2 * width
            attention = width * few + 2 * few + 2 * few * width
            expected += before * width + 2 * width + 2 * branch + attention
            expected += width * out + 2 * out
            expected += before * out + 2 * out if before != out else 0
            before = out
    found = sum(it.numel() for it in network.parameters())
    assert found == expected
    assert found == pytest.approx(27.5e6, abs=0.05e6)  # Li et al. 2019, table 1
    dilations = [it.dilation for it in network.modules() if isinstance(it, nn.Conv2d)]
    assert dilations.count((2, 2)) == 3 + 4 + 6 + 3
