"""Which networks compute the same function of tied weights, and which do not."""

import copy
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models import resnet18

from ablate.metrics import equality
from ablate.records import Measurement

SHAPE = (4, 12, 12)
Weights = Mapping[str, Tensor]


def conv(inputs: int, outputs: int, kernel: int = 3, **options: Any) -> nn.Conv2d:
    """A convolution that keeps the resolution at stride 1."""
    padding = options.get("dilation", 1) * (kernel // 2)
    return nn.Conv2d(inputs, outputs, kernel, **{"padding": padding, **options})


class Calls(nn.Module):
    """A network that is a function and what it needs."""

    def __init__(self, function: Callable[..., Any], *parts: nn.Module) -> None:
        super().__init__()
        self.function = function
        self.parts = nn.ModuleList(parts)

    def forward(self, x: Tensor) -> Any:
        return self.function(x, *self.parts)


# --- tied in order --------------------------------------------------------------------------------


def interleaved(x: Tensor, f: nn.Module) -> Tensor:
    """Four channels become the four pixels of a 2x2 square."""
    output = torch.empty(len(x), 1, 24, 24, dtype=x.dtype)
    for number, channel in enumerate(f(x).unbind(1)):
        output[:, 0, number // 2 :: 2, number % 2 :: 2] = channel
    return output


EQUAL: dict[str, tuple[nn.Module, nn.Module]] = {
    "a 1x1 convolution is a linear layer at every pixel": (
        conv(4, 6, 1),
        Calls(lambda x, f: f(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2), nn.Linear(4, 6)),
    ),
    "a convolution as large as its input is a linear layer": (
        nn.Sequential(nn.Conv2d(4, 5, 12), nn.Flatten()),
        nn.Sequential(nn.Flatten(), nn.Linear(4 * 144, 5)),
    ),
    "stride 2 is stride 1 and then every second output": (
        conv(4, 6, stride=2),
        Calls(lambda x, f: f(x)[:, :, ::2, ::2], conv(4, 6)),
    ),
    "a pixel shuffle interleaves": (
        nn.Sequential(conv(4, 4), nn.PixelShuffle(2)),
        Calls(interleaved, conv(4, 4)),
    ),
    "dropout is nothing in evaluation": (
        nn.Sequential(conv(4, 6), nn.Dropout(0.9)),
        conv(4, 6),
    ),
    "max pooling and ReLU commute": (
        nn.Sequential(conv(4, 6), nn.MaxPool2d(2), nn.ReLU()),
        nn.Sequential(conv(4, 6), nn.ReLU(), nn.MaxPool2d(2)),
    ),
    "global pooling and a linear layer commute": (
        nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 6)),
        nn.Sequential(conv(4, 6, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten()),
    ),
    "two maxima of 3 are one of 5": (
        nn.Sequential(conv(4, 6), nn.MaxPool2d(3, 1), nn.MaxPool2d(3, 1)),
        nn.Sequential(conv(4, 6), nn.MaxPool2d(5, 1)),
    ),
    "a whole ResNet and its copy": (resnet18(num_classes=3), resnet18(num_classes=3)),
}


@pytest.mark.parametrize("name", EQUAL)
def test_networks_that_are_equal(name: str) -> None:
    shape = (3, 32, 32) if "ResNet" in name else SHAPE
    for first, second in (EQUAL[name], EQUAL[name][::-1]):
        measured = equality.measure(first, second, shape)
        assert measured.value is not None
        assert measured.value <= 1e-12
        assert measured.detail["equal"] is True
        assert measured.detail["tied"] == "in order"


DIFFERENT: dict[str, tuple[nn.Module, nn.Module]] = {
    "activations": (
        nn.Sequential(conv(4, 6), nn.ReLU()),
        nn.Sequential(conv(4, 6), nn.SiLU()),
    ),
    "two convolutions, without an activation between and with": (
        nn.Sequential(conv(4, 6), conv(6, 4)),
        nn.Sequential(conv(4, 6), nn.ReLU(), conv(6, 4)),
    ),
    "normalisation before the activation and after": (
        nn.Sequential(conv(4, 6), nn.BatchNorm2d(6), nn.ReLU()),
        nn.Sequential(conv(4, 6), nn.ReLU(), nn.BatchNorm2d(6)),
    ),
    "dilation": (conv(4, 6), conv(4, 6, dilation=2)),
    "average and maximum": (
        nn.Sequential(conv(4, 6), nn.MaxPool2d(2)),
        nn.Sequential(conv(4, 6), nn.AvgPool2d(2)),
    ),
    "average pooling and ReLU do not commute": (
        nn.Sequential(conv(4, 6), nn.AvgPool2d(2), nn.ReLU()),
        nn.Sequential(conv(4, 6), nn.ReLU(), nn.AvgPool2d(2)),
    ),
    "a shuffle of channels": (
        conv(4, 6, groups=2),
        nn.Sequential(conv(4, 6, groups=2), nn.ChannelShuffle(2)),
    ),
    "which way asymmetric kernels come": (
        nn.Sequential(nn.Conv2d(4, 4, (1, 3)), nn.Conv2d(4, 4, (3, 1))),
        nn.Sequential(nn.Conv2d(4, 4, (3, 1)), nn.Conv2d(4, 4, (1, 3))),
    ),
    "padding": (conv(4, 6), conv(4, 6, padding_mode="circular")),
    # what begins as nothing: at a scale of zero both are the identity
    "what is added with a scale that begins at zero": (
        Calls(lambda x, f, n: x + n(f(x)), conv(4, 4), nn.BatchNorm2d(4)),
        Calls(lambda x, f, n: x + n(f(x).relu()), conv(4, 4), nn.BatchNorm2d(4)),
    ),
}


@pytest.mark.parametrize("name", DIFFERENT)
def test_networks_that_are_not_equal(name: str) -> None:
    first, second = DIFFERENT[name]
    for network in (first, second):
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                nn.init.zeros_(module.weight)
    measured = equality.measure(first, second, SHAPE)
    assert measured.value is not None
    assert measured.value > 1e-2  # far above the tolerance
    assert measured.detail["equal"] is False


@pytest.mark.parametrize(("eps", "equal"), [(1e-5, True), (1.001e-5, False), (1e-3, False)])
def test_the_least_difference_is_seen(eps: float, equal: bool) -> None:
    first, second = (
        nn.Sequential(conv(4, 6), nn.BatchNorm2d(6, eps=e), nn.ReLU()) for e in (1e-5, eps)
    )
    assert equality.measure(first, second, SHAPE).detail["equal"] is equal


# --- tied by a rule -------------------------------------------------------------------------------


def spread(weights: Weights) -> dict[str, Tensor]:
    """A 3x3 kernel as every second tap of a 5x5 one."""
    wide = torch.zeros(6, 4, 5, 5, dtype=torch.float64)
    wide[:, :, ::2, ::2] = weights["weight"]
    return {"weight": wide, "bias": weights["bias"]}


def block_diagonal(weights: Weights) -> dict[str, Tensor]:
    """A grouped kernel as one of all channels, with zeros between the groups."""
    grouped = weights["weight"]
    outputs, inputs = len(grouped), grouped.shape[1]
    groups = 4 // inputs
    full = torch.zeros(outputs, 4, 3, 3, dtype=torch.float64)
    for number, kernel in enumerate(grouped):
        group = number // (outputs // groups)
        full[number, group * inputs : (group + 1) * inputs] = kernel
    return {"weight": full, "bias": weights["bias"]}


def channel_by_channel(weights: Weights) -> dict[str, Tensor]:
    return {
        f"parts.{i}.{name}": tensor[i : i + 1] for name, tensor in weights.items() for i in range(4)
    }


def halves(weights: Weights) -> dict[str, Tensor]:
    return weights | {"parts.2.weight": torch.cat([weights["parts.2.weight"]] * 2, 1)}


def product(weights: Weights) -> dict[str, Tensor]:
    """Two 1x1 kernels as one."""
    first, second = weights["0.weight"][:, :, 0, 0], weights["1.weight"][:, :, 0, 0]
    bias = second @ weights["0.bias"] + weights["1.bias"]
    return {"weight": (second @ first)[:, :, None, None], "bias": bias}


def stacked(weights: Weights) -> dict[str, Tensor]:
    """Two 3x3 kernels as one 5x5: for each tap of both, at the sum of their places."""
    first, second = weights["0.weight"], weights["1.weight"]
    wide = torch.zeros(5, 4, 5, 5, dtype=torch.float64)
    for a in range(3):
        for b in range(3):
            for c in range(3):
                for d in range(3):
                    wide[:, :, a + c, b + d] += second[:, :, c, d] @ first[:, :, a, b]
    bias = second.sum((2, 3)) @ weights["0.bias"] + weights["1.bias"]
    return {"weight": wide, "bias": bias}


def folded(weights: Weights) -> dict[str, Tensor]:
    """A normalisation by running averages as part of the convolution before it."""
    scale = weights["1.weight"] / (weights["1.running_var"] + 1e-5).sqrt()
    shift = weights["1.bias"] - weights["1.running_mean"] * scale
    return {
        "weight": weights["0.weight"] * scale[:, None, None, None],
        "bias": weights["0.bias"] * scale + shift,
    }


def outer(weights: Weights) -> dict[str, Tensor]:
    """3x1 and 1x3 of each channel as its 3x3."""
    return {"weight": weights["0.weight"] * weights["1.weight"]}


def shuffled(weights: Weights) -> dict[str, Tensor]:
    """A transposed 2x2 kernel of stride 2 as 1x1 kernels for the four pixels."""
    kernel = weights["weight"]  # (in, out, 2, 2)
    return {
        "0.weight": kernel.permute(1, 2, 3, 0).reshape(12, 4, 1, 1),
        "0.bias": weights["bias"].repeat_interleave(4),
    }


def quarter(weights: Weights) -> dict[str, Tensor]:
    return {**weights, "1.weight": torch.full((6, 1, 2, 2), 0.25, dtype=torch.float64)}


RULES: dict[str, tuple[nn.Module, nn.Module, equality.Tie, bool]] = {
    "a dilated 3x3 is a 5x5 with zeros": (
        conv(4, 6, dilation=2),
        conv(4, 6, 5),
        spread,
        True,
    ),
    "a grouped convolution is one of all channels with zeros": (
        conv(4, 6, groups=2),
        conv(4, 6),
        block_diagonal,
        True,
    ),
    "so is a depthwise one": (conv(4, 8, groups=4), conv(4, 8), block_diagonal, True),
    "depthwise, each channel by itself": (
        conv(4, 4, groups=4),
        Calls(
            lambda x, *own: torch.cat([f(x[:, i : i + 1]) for i, f in enumerate(own)], 1),
            *(conv(1, 1) for _ in range(4)),
        ),
        channel_by_channel,
        True,
    ),
    "concatenation with equal halves is addition": (
        Calls(lambda x, f, g, h: h(f(x) + g(x)), conv(4, 6), conv(4, 6, 5), conv(6, 3)),
        Calls(
            lambda x, f, g, h: h(torch.cat([f(x), g(x)], 1)),
            *(conv(4, 6), conv(4, 6, 5), conv(12, 3)),
        ),
        halves,
        True,
    ),
    "but not where an activation comes before": (
        Calls(lambda x, f, g, h: h((f(x) + g(x)).relu()), conv(4, 6), conv(4, 6, 5), conv(6, 3)),
        Calls(
            lambda x, f, g, h: h(torch.cat([f(x), g(x)], 1).relu()),
            *(conv(4, 6), conv(4, 6, 5), conv(12, 3)),
        ),
        halves,
        False,
    ),
    "two 1x1 are one": (
        nn.Sequential(conv(4, 9, 1), conv(9, 6, 1)),
        conv(4, 6, 1),
        product,
        True,
    ),
    "but not with an activation between": (
        nn.Sequential(Calls(lambda x: x), conv(4, 9, 1), nn.ReLU(), conv(9, 6, 1)),
        conv(4, 6, 1),
        lambda weights: product(
            {f"{i}.{n}": weights[f"{2 * i + 1}.{n}"] for i in (0, 1) for n in ("weight", "bias")}
        ),
        False,
    ),
    "two 3x3 without padding are one 5x5": (
        nn.Sequential(nn.Conv2d(4, 7, 3), nn.Conv2d(7, 5, 3)),
        nn.Conv2d(4, 5, 5),
        stacked,
        True,
    ),
    # since the second one's zeros beyond the border are not what the first would put there
    "but not with padding": (
        nn.Sequential(conv(4, 7), conv(7, 5)),
        conv(4, 5, 5),
        stacked,
        False,
    ),
    "normalisation by running averages is part of a convolution": (
        nn.Sequential(conv(4, 6), nn.BatchNorm2d(6)),
        conv(4, 6),
        folded,
        True,
    ),
    "3x1 and 1x3 are a 3x3 of rank one": (
        nn.Sequential(
            nn.Conv2d(4, 4, (3, 1), padding=(1, 0), groups=4, bias=False),
            nn.Conv2d(4, 4, (1, 3), padding=(0, 1), groups=4, bias=False),
        ),
        conv(4, 4, groups=4, bias=False),
        outer,
        True,
    ),
    "a transposed 2x2 of stride 2 is a 1x1 and a pixel shuffle": (
        nn.ConvTranspose2d(4, 3, 2, stride=2),
        nn.Sequential(nn.Conv2d(4, 12, 1), nn.PixelShuffle(2)),
        shuffled,
        True,
    ),
    "average pooling is a depthwise convolution of stride 2": (
        nn.Sequential(conv(4, 6), nn.AvgPool2d(2)),
        nn.Sequential(conv(4, 6), nn.Conv2d(6, 6, 2, stride=2, groups=6, bias=False)),
        quarter,
        True,
    ),
}


@pytest.mark.parametrize("name", RULES)
def test_networks_that_are_tied_by_a_rule(name: str) -> None:
    first, second, tie, equal = RULES[name]
    measured = equality.compare(first, second, SHAPE, tie)
    assert measured.value is not None
    assert measured.value <= 1e-13 if equal else measured.value > 1e-2
    assert measured.detail["equal"] is equal
    assert measured.detail["tied"] == "as given"


@pytest.mark.parametrize(
    ("tie", "message"),
    [
        (lambda w: {"weight": w["weight"]}, r"the tie leaves out \['bias'\], and nothing is not "),
        (lambda w: {**w, "wait": w["bias"]}, r"leaves out nothing, and \['wait'\] is not in the s"),
        (lambda w: {**w, "bias": w["weight"]}, "the tie gives bias as 6x4x3x3, and it is 6"),
    ],
)
def test_a_tie_must_fit(tie: equality.Tie, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        equality.compare(conv(4, 6), conv(4, 6), SHAPE, tie)


# --- what cannot be said --------------------------------------------------------------------------


def single_precision(x: Tensor, f: nn.Module) -> Tensor:
    return functional.conv2d(x, torch.ones(6, 4, 3, 3)) + f(x)[:, :, :10, :10]


@pytest.mark.parametrize(
    ("second", "reason"),
    [
        (
            conv(4, 6, bias=False),
            "weights cannot be tied in order: the first network has 2 tensors of parameters and "
            "running averages, the second 1",
        ),
        (
            conv(4, 6, 5),
            "weights cannot be tied in order: weight of the first network is 6x4x3x3, weight of "
            "the second 6x4x5x5",
        ),
        (
            nn.ConvTranspose2d(4, 6, 3, padding=1),  # as many elements, in other rows
            "weights cannot be tied in order: weight of the first network is 6x4x3x3, weight of "
            "the second 4x6x3x3",
        ),
        (
            Calls(lambda x, f: (f(x), x), conv(4, 6)),
            "the second network puts out a tuple, and not one tensor",
        ),
        (
            Calls(lambda x, f: f(x) / 0, conv(4, 6)),
            "the second network puts out numbers that are not finite",
        ),
        (Calls(single_precision, conv(4, 6)), "the second network cannot be run in float64: "),
        (
            Calls(lambda x, f: f(x[:, :, ::2]).view(3), conv(4, 6)),
            "the second network cannot be run in float64: RuntimeError: ",
        ),
    ],
)
def test_what_cannot_be_compared_is_invalid(second: nn.Module, reason: str) -> None:
    measured = equality.measure(conv(4, 6), second, SHAPE)
    assert measured.value is None
    assert measured.detail["invalid"].startswith(reason)
    assert measured.detail["equal"] is None


def test_outputs_of_other_shapes_are_not_equal() -> None:
    measured = equality.measure(conv(4, 6), conv(4, 6, stride=2), SHAPE)
    assert measured.value is None
    assert measured.detail["invalid"] == (
        "the outputs differ in shape, 6x12x12 and 6x6x6: the networks are not equal"
    )
    assert measured.detail["equal"] is False
    assert measured.detail["shapes"] == [[6, 12, 12], [6, 6, 6]]


def test_nothing_but_zeros_compares_nothing() -> None:
    nothing = Calls(lambda x, f: f(x) * 0, conv(4, 6))
    measured = equality.measure(nothing, nothing, SHAPE)
    assert measured.value is None
    assert measured.detail["equal"] is None
    assert measured.detail["invalid"] == "both put out nothing but zeros, which compares nothing"


def test_networks_are_left_as_they_were() -> None:
    first = nn.Sequential(conv(4, 6), nn.BatchNorm2d(6), nn.Dropout(0.5))
    second = nn.Sequential(conv(4, 6), nn.BatchNorm2d(6))
    second.eval()
    before, randomness = copy.deepcopy([first, second]), torch.random.get_rng_state()
    measured = equality.measure(first, second, SHAPE)
    assert measured == equality.measure(first, second, SHAPE)
    assert measured == Measurement.model_validate_json(measured.model_dump_json())
    assert torch.equal(randomness, torch.random.get_rng_state())
    for network, kept in zip((first, second), before, strict=True):
        assert network.training == kept.training
        for key, tensor in kept.state_dict().items():
            assert torch.equal(tensor, network.state_dict()[key])


def test_what_draws_draws_the_same() -> None:
    def noisy(x: Tensor, f: nn.Module) -> Tensor:
        output: Tensor = f(x)
        return output + torch.randn_like(output)

    networks = (Calls(noisy, conv(4, 6)), Calls(noisy, conv(4, 6)))
    assert equality.measure(*networks, SHAPE).detail["equal"] is True


def test_shared_weights_are_tied_once() -> None:
    shared = conv(4, 4)
    twice = nn.Sequential(shared, nn.ReLU(), shared)
    again = Calls(lambda x, f: f(f(x).relu()), conv(4, 4))
    assert equality.measure(twice, again, SHAPE).detail["equal"] is True
    apart = nn.Sequential(conv(4, 4), nn.ReLU(), conv(4, 4))
    assert equality.measure(twice, apart, SHAPE).value is None
