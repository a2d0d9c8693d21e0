"""Heads: closed forms of their parameters, and what two of them have in common."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ablate import catalog
from ablate.components import Network, expand

C, N, SIZE = 6, 10, (3, 5)


def head(kind: str, **options: Any) -> nn.Module:
    component = {"kind": kind, **options}
    module: nn.Module = catalog.build("blocks/head", component, "kind", C, N, SIZE)
    return module.double()


def features() -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(2, C, *SIZE, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize(
    ("kind", "options", "parameters"),
    [
        ("gap", {}, C * N + N),
        ("gmp", {}, C * N + N),
        ("fc_gap", {}, C * N + N),
        ("gap_fc", {}, C * C + C + C * N + N),
        ("gap_fc", {"hidden": 4}, C * 4 + 4 + 4 * N + N),
        ("flatten_fc", {}, C * 15 * N + N),
    ],
)
def test_parameters_are_as_documented(kind: str, options: dict[str, Any], parameters: int) -> None:
    assert sum(p.numel() for p in head(kind, **options).parameters()) == parameters


def test_a_mean_and_a_linear_layer_may_change_places() -> None:
    before, after = head("fc_gap"), head("gap")
    weights = dict(before.named_parameters())
    after.load_state_dict(
        {"linear.weight": weights["conv.weight"][:, :, 0, 0], "linear.bias": weights["conv.bias"]}
    )
    x = features()
    torch.testing.assert_close(before(x), after(x), rtol=1e-12, atol=1e-12)
    # The same weights after the largest in place of the mean give something else.
    largest = head("gmp")
    largest.load_state_dict(after.state_dict())
    wanted = x.amax((2, 3)) @ after.get_parameter("linear.weight").T
    torch.testing.assert_close(largest(x), wanted + after.get_parameter("linear.bias"))
    assert not torch.allclose(largest(x), after(x))


def test_flattening_with_equal_weights_everywhere_is_the_mean() -> None:
    flat, mean = head("flatten_fc"), head("gap")
    weight = mean.get_parameter("linear.weight")
    flat.load_state_dict(
        {
            "linear.weight": (weight / 15).repeat_interleave(15, dim=1),
            "linear.bias": mean.get_parameter("linear.bias"),
        }
    )
    torch.testing.assert_close(flat(features()), mean(features()), rtol=1e-12, atol=1e-12)


def test_a_hidden_layer_is_rectified() -> None:
    made = head("gap_fc")
    hidden, last = made.get_submodule("hidden"), made.get_submodule("linear")
    x = features()
    assert torch.equal(made(x), last(hidden(x.mean((2, 3))).clamp(min=0)))


@pytest.mark.parametrize("down", ["maxpool", "strided"])
def test_a_network_tells_its_head_the_size_of_its_features(down: str) -> None:
    """Odd sides round down with a pooling and up with a stride: 15 x 9 is 3 x 2 or 4 x 3."""
    stages = [[4], [4], [C]]
    network = {"family": "staged", "stages": stages, "down": down, "head": "flatten_fc"}
    spelt, problems = expand(Network.model_validate(network))
    assert problems == []
    built = catalog.build("networks", spelt, "family", (3, 15, 9), N)
    assert built.eval()(torch.zeros(2, 3, 15, 9)).shape == (2, N)
    places = {"maxpool": 3 * 2, "strided": 4 * 3}[down]
    assert built.head.linear.in_features == C * places
