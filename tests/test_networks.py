"""Networks of known sizes, initialisation by path, and what is said of their differences."""

import itertools
import math
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from torch import Tensor, nn

from ablate import catalog, networks
from ablate.blocks.merge.add import Add
from ablate.blocks.merge.concat import Concat
from ablate.components import Network, expand
from ablate.metrics import macs, receptive_field
from ablate.networks.staged import Skips
from ablate.suite import match

Shape = tuple[int, int, int]
CIFAR: Shape = (3, 32, 32)
IMAGENET: Shape = (3, 224, 224)
BASE: dict[str, Any] = {"stages": [[32, 32], [64, 64], [128, 128], [128, 128]]}
# Howard et al. 2017, table 1: a stage ends in each of its strides of 2.
MOBILENET: dict[str, Any] = {
    "stages": [[32], [64, 128], [128, 256], [256, 512], [*[512] * 5, 1024], [1024]],
    "conv": {"kind": "depthwise_separable", "mid": "norm_act"},
    "down": "strided",
}
VGG16: dict[str, Any] = {
    "stages": [
        [64, 64],
        [128, 128],
        [256] * 3,
        [512] * 3,
        {"layers": [512] * 3, "down": "maxpool"},
    ]
}


def staged(shape: Shape = CIFAR, outputs: int = 10, **options: Any) -> nn.Module:
    """A staged network with the options that a suite would give."""
    component, problems = expand(Network.model_validate({"family": "staged", **options}))
    assert problems == []
    network: nn.Module = catalog.build("networks", component, "family", shape, outputs)
    return network


def parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def layers(network: nn.Module, kind: type[nn.Module]) -> list[str]:
    return [path for path, module in network.named_modules() if isinstance(module, kind)]


@pytest.mark.parametrize("family", catalog.names("networks"))
def test_a_family_keeps_its_contract(family: str) -> None:
    for options in catalog.load("networks", family).SAMPLES:
        component, problems = expand(Network.model_validate({"family": family, **options}))
        assert problems == []
        network = catalog.build("networks", component, "family", CIFAR, 3)
        networks.initialise(network, 0)
        images = torch.randn(4, *CIFAR, generator=torch.Generator().manual_seed(0))
        torch.manual_seed(0)  # for dropout: it may leave nothing over
        output = network(images)
        assert output.shape in [(4, 3), (4, 3, 64, 64)]
        if parameters(network):
            output.square().sum().backward()
        assert all(p.grad is not None and p.grad.any() for p in network.parameters())
        assert torch.equal(network.eval()(images), torch.fx.symbolic_trace(network)(images))
        if family != "zoo":  # whose networks are other people's
            assert {"features", "head"} == dict(network.named_children()).keys()
            assert torch.equal(network.head(network.features(images)), network(images))
        with torch.device("meta"):
            unreal = catalog.build("networks", component, "family", CIFAR, 3)
        assert networks.signature(unreal) == networks.signature(network)


def test_the_base_network_has_the_size_that_was_worked_out_by_hand() -> None:
    network = staged(**BASE)
    assert parameters(network) == 584_170
    assert receptive_field.measure(network, CIFAR).value == 68
    assert receptive_field.measure(staged(**BASE, down="strided"), CIFAR).value == 61
    assert parameters(staged(**BASE, down="strided")) == 584_170


DEEPER = [[32, 32, 32], [64, 64, 64], [128, 128, 128], [128, 128]]


@pytest.mark.parametrize(
    ("options", "seen"),
    [
        ({}, 68),
        ({"down": "strided"}, 61),
        ({"stages": DEEPER}, 82),
        ({"stages": DEEPER, "down": "strided"}, 75),
        ({"down": {"kind": "strided", "kernel": 4}}, 68),
        ({"down": "avgpool"}, 68),
        ({"down": "blurpool"}, 82),  # 3 taps more than the maximum's 2, at jumps of 1, 2 and 4
        ({"down": {"kind": "blurpool", "of": "conv"}}, 75),
        ({"merge": "add"}, 68),
        ({"merge": "concat", "down": "strided"}, 61),
        # 7 layers of 4 more, at jumps of 1, 2, 2, 4, 4, 8, 8
        ({"conv": {"kind": "normal", "kernel": 5}}, 68 + 2 * 29),
        ({"conv": "stacked"}, 68 + 2 * 29),
        ({"conv": "dilated"}, 68 + 2 * 29),
        ({"conv": "grouped"}, 68),
        ({"conv": {"kind": "grouped", "then": "shuffle"}}, 68),
        ({"conv": "spatially_separable"}, 68),
        ({"conv": "bottleneck"}, 68),
    ],
)
def test_receptive_fields_of_the_base_network(options: dict[str, Any], seen: int) -> None:
    with torch.device("meta"):
        network = staged(**{**BASE, **options})
    assert receptive_field.measure(network, CIFAR).value == seen


DEEP = [[32] * 5, [64] * 5, [128] * 5, [128] * 5]


@pytest.mark.parametrize(
    ("options", "more"),
    [
        ({"merge": "none"}, 0),
        ({"merge": "none", "span": 1}, 0),
        ({"merge": "add"}, 0),
        # 1x1 convolutions and their normalisations after every stage
        ({"merge": {"kind": "add", "project": "pointwise"}}, 32**2 + 64**2 + 2 * 128**2 + 2 * 352),
        (
            {"merge": {"kind": "concat", "project": "pointwise"}},
            2 * (32**2 + 64**2 + 2 * 128**2) + 2 * 352,
        ),
        # the first layers of the stages that follow, and the head, read twice the channels
        ({"merge": "concat"}, 9 * (32 * 64 + 64 * 128 + 128 * 128) + 128 * 10),
        # the second layers have half their channels: of weights, and of normalisations
        (
            {"merge": {"kind": "concat", "width": "constant"}},
            -9 * (32**2 + 64**2 + 2 * 128**2) // 2 - 352,
        ),
    ],
)
def test_the_size_of_the_base_network_with_merges(options: dict[str, Any], more: int) -> None:
    assert parameters(staged(**BASE, **options)) == 584_170 + more


def skips(network: nn.Module) -> dict[str, str]:
    """What is gone around, by stage."""
    return {
        path.removeprefix("features."): module.extra_repr()
        for path, module in network.named_modules()
        if isinstance(module, Skips)
    }


@pytest.mark.parametrize(
    ("options", "around"),
    [
        ({"stages": BASE["stages"]}, ["layer 2"] * 4),
        ({"stages": BASE["stages"], "span": 1}, ["layer 2"] * 4),
        ({"stages": DEEP}, ["layers 2-3, layers 4-5"] * 4),
        ({"stages": DEEP, "span": 1}, ["layer 2, layer 3, layer 4, layer 5"] * 4),
        ({"stages": DEEP, "span": 3}, ["layers 2-4, layer 5"] * 4),
        ({"stages": DEEP, "span": 9}, ["layers 2-5"] * 4),
    ],
)
def test_layers_after_a_stages_first_are_gone_around(
    options: dict[str, Any], around: list[str]
) -> None:
    for merge in ("add", "concat"):
        network = staged(**options, merge=merge)
        expected = {f"stage{i}": f"around {text}" for i, text in enumerate(around, start=1)}
        assert skips(network) == expected


def test_a_stage_may_merge_otherwise_or_not_at_all() -> None:
    stages = [[8, 8], {"layers": [8, 8], "merge": "none"}, {"layers": [8, 8], "merge": "concat"}]
    network = staged(stages=stages, merge="add")
    assert set(skips(network)) == {"stage1", "stage3"}
    assert type(network.get_submodule("features.stage2")) is nn.Sequential
    assert layers(network, Add) == ["features.stage1.merge2"]
    assert layers(network, Concat) == ["features.stage3.merge2"]
    assert network.get_submodule("head.linear").in_features == 16


def test_stages_of_one_layer_have_nothing_to_go_around() -> None:
    plain, merged = staged(stages=[[8], [8]]), staged(stages=[[8], [8]], merge="add")
    assert networks.signature(plain) == networks.signature(merged)


def test_concatenations_along_a_stage_add_up() -> None:
    network = staged(stages=[[8] * 5, [8]], merge="concat")
    inputs = {
        path.removeprefix("features.").removesuffix(".conv"): module.in_channels
        for path, module in network.named_modules()
        if isinstance(module, nn.Conv2d)
    }
    assert inputs == {
        "stage1.layer1": 3,
        "stage1.layer2": 8,
        "stage1.layer3": 8,
        "stage1.layer4": 16,
        "stage1.layer5": 8,
        "stage2.layer1": 24,
    }


@pytest.mark.parametrize("down", catalog.names("blocks/down"))
@pytest.mark.parametrize("size", [12, 13])
def test_a_merge_comes_after_the_reduction_of_both(down: str, size: int) -> None:
    # With layers that are nothing, a sum is twice what goes around, and what goes around is what
    # the reduction alone makes of its input.
    network = staged((3, size, size), stages=[[4, 4], [4]], down=down, merge="add").eval()
    stage = network.get_submodule("features.stage1")
    x = torch.rand(2, 4, size, size, generator=torch.Generator().manual_seed(0))
    dirac = stage.get_submodule("layer2.conv")
    nn.init.dirac_(dirac.weight)
    stage.get_submodule("layer2.norm").eps = 0.0
    through, around = stage.get_submodule("layer2")(x), stage.get_submodule("around2")(x)
    torch.testing.assert_close(through, around)
    stage.add_module("layer1", nn.Identity())
    torch.testing.assert_close(stage(x), 2 * around)


def test_a_merge_leaves_the_paths_of_the_layers_as_they_are() -> None:
    plain = dict(staged(**BASE).named_parameters())
    added = dict(staged(**BASE, merge="add").named_parameters())
    assert {path: p.shape for path, p in plain.items()} == {p: w.shape for p, w in added.items()}
    for merge in ("concat", {"kind": "add", "project": "pointwise"}):
        assert plain.keys() <= dict(staged(**BASE, merge=merge).named_parameters()).keys()
    projected = staged(**BASE, merge={"kind": "add", "project": "pointwise"})
    assert "features.stage1.merge2.project.conv" in dict(projected.named_modules())


def test_mobilenet_v1_has_the_papers_size() -> None:
    # Howard et al. 2017, table 4: 4.2 million parameters, 569 million mult-adds
    network = staged(IMAGENET, 1000, **MOBILENET)
    assert round(parameters(network) / 1e6, 1) == 4.2
    cost = macs.measure(network, IMAGENET).value
    assert cost is not None
    assert round(cost / 1e6) == 569
    # Araujo et al. 2019, table of receptive fields
    assert receptive_field.measure(network, IMAGENET).value == 315


def test_mobilenets_twin_of_full_convolutions_has_the_papers_size() -> None:
    # Howard et al. 2017, table 4: 29.3 million parameters, 4866 million mult-adds. The latter is
    # without the classifier's million, which the 569 of MobileNet itself include.
    network = staged(IMAGENET, 1000, **{**MOBILENET, "conv": "normal"})
    assert round(parameters(network) / 1e6, 1) == 29.3
    cost = macs.measure(network, IMAGENET)
    assert round(cost.detail["by_operator"]["conv"] / 1e6) == 4866
    assert cost.detail["by_operator"]["linear"] == 1024 * 1000


def test_vgg16_has_the_published_size() -> None:
    # Araujo et al. 2019: 212 pixels, after the fifth pooling
    with torch.device("meta"):
        network = staged(IMAGENET, 1000, **VGG16, norm="none")
    assert receptive_field.measure(network, IMAGENET).value == 212
    # Simonyan and Zisserman 2015: 138,357,544 parameters, of which 123,642,856 are in the three
    # linear layers and 4,224 are biases of convolutions.
    assert parameters(network.features) == 138_357_544 - 123_642_856 - 4_224


def test_modules_have_readable_paths() -> None:
    paths = dict(staged(**BASE, conv=MOBILENET["conv"]).named_modules())
    for path in (
        "features.stage1.layer1.conv",
        "features.stage1.layer2.pool",
        "features.stage4.layer2.conv.pointwise",
        "features.stage2.layer1.norm",
        "features.stage2.layer1.act",
        "head.linear",
    ):
        assert path in paths


def test_the_stem_stays_dense_unless_something_says_otherwise() -> None:
    conv = "depthwise_separable"
    assert len(layers(staged(**BASE, conv=conv), nn.Conv2d)) == 1 + 7 * 2
    assert len(layers(staged(**BASE, conv=conv, stem=conv), nn.Conv2d)) == 8 * 2
    assert len(layers(staged(stages=[{"layers": [8], "conv": conv}]), nn.Conv2d)) == 2
    assert len(layers(staged(stages=[[{"channels": 8, "conv": conv}]]), nn.Conv2d)) == 2


def test_a_layer_overrules_its_stage_and_a_stage_the_network() -> None:
    network = staged(
        stages=[
            [8],
            {
                "layers": [8, {"channels": 8, "act": "relu", "norm": "batch", "conv": "normal"}],
                "act": "silu",
                "norm": "none",
                "conv": "dilated",
                "down": "strided",
            },
            [8],
        ],
        conv={"kind": "normal", "kernel": 5},
    )
    modules = dict(network.named_modules())
    convs = {
        path: (module.kernel_size[0], module.dilation[0], module.stride[0])
        for path, module in modules.items()
        if isinstance(module, nn.Conv2d)
    }
    assert convs == {
        "features.stage1.layer1.conv": (3, 1, 1),
        "features.stage2.layer1.conv": (3, 2, 1),
        "features.stage2.layer2.conv": (3, 1, 2),
        "features.stage3.layer1.conv": (5, 1, 1),
    }
    assert layers(network, nn.SiLU) == ["features.stage2.layer1.act"]
    assert layers(network, nn.Identity) == ["features.stage2.layer1.norm"]
    assert layers(network, nn.MaxPool2d) == ["features.stage1.layer1.pool"]


def test_the_last_stage_halves_only_where_it_says_so() -> None:
    assert staged(stages=[[8], [8]]).features(torch.zeros(2, *CIFAR)).shape[2:] == (16, 16)
    ended = staged(stages=[[8], {"layers": [8], "down": "maxpool"}])
    assert ended.features(torch.zeros(2, *CIFAR)).shape[2:] == (8, 8)


@pytest.mark.parametrize(
    ("width", "channels"),
    [
        (None, [32, 48, 64]),
        (32, [32, 48, 64]),
        (16, [16, 24, 32]),
        # 10.8, 16.2 and 21.6: of three layers the first rounds up from 5/6 on, the last from 1/6 on
        (10.8, [10, 16, 22]),
    ],
)
def test_the_width_scales_all_channels(width: float | None, channels: list[int]) -> None:
    network = staged(stages=[[32, 48], [64]], width=width)
    found = [m.out_channels for m in network.modules() if isinstance(m, nn.Conv2d)]
    assert found == channels


def out_channels(network: nn.Module) -> dict[str, int]:
    """The channels of the convolutions that are layers, by stage and layer."""
    return {
        ".".join(path.split(".")[1:3]): module.out_channels
        for path, module in network.named_modules()
        if isinstance(module, nn.Conv2d)
    }


def test_layers_gain_their_channels_one_after_another() -> None:
    with torch.device("meta"):
        sizes = [parameters(staged(**BASE, width=width / 50)) for width in range(450, 500)]
    steps = [after / before - 1 for before, after in itertools.pairwise(sizes)]
    assert min(steps) >= 0
    assert max(steps) < 0.025  # two layers at most; with all rounded alike it would be 0.05


@pytest.mark.parametrize("width", [7.1, 10.4, 13.9])
def test_layers_that_are_merged_stay_equal(width: float) -> None:
    with torch.device("meta"):
        found = out_channels(staged(stages=DEEP, width=width, merge="add"))
    for stage in range(1, 5):
        assert len({found[f"stage{stage}.layer{layer}"] for layer in range(1, 6)}) == 1


@pytest.mark.parametrize(
    ("options", "channels"),
    [
        # 9, 18, 36, 36: the whole first stage, since the second reads it in groups
        ({"conv": {"kind": "grouped", "groups": 4}}, [8, 16, 36, 36]),
        ({"conv": {"kind": "grouped", "groups": 8}}, [8, 16, 40, 40]),
        # the third stage is read by grouped convolutions, the second and first are not
        (
            {"stages": [[32, 32], [64, 64], [128, 128], {"layers": [128, 128], "conv": "grouped"}]},
            [9, 18, 36, 36],
        ),
        (
            {"stages": [[32, 32], {"layers": [64, 64], "conv": "grouped"}, [128, 128], [128, 128]]},
            [8, 16, 36, 36],
        ),
        ({"merge": {"kind": "concat", "width": "constant"}}, [8, 18, 36, 36]),
        (
            {
                "merge": {"kind": "concat", "width": "constant"},
                "conv": {"kind": "grouped", "groups": 4},
            },
            [8, 16, 40, 40],
        ),
    ],
)
def test_scaled_channels_are_multiples_of_what_their_blocks_need(
    options: dict[str, Any], channels: list[int]
) -> None:
    found = out_channels(staged(**{**BASE, **options}, width=9))
    assert [found[f"stage{stage}.layer1"] for stage in range(1, 5)] == channels


def test_a_width_never_leaves_a_layer_without_channels() -> None:
    found = staged(stages=[[32, 2]], width=1e-6)
    assert [m.out_channels for m in found.modules() if isinstance(m, nn.Conv2d)] == [1, 1]


@pytest.mark.parametrize(
    ("shape", "stages", "message"),
    [
        (
            (3, 32, 32),
            6 * [[4]] + [[4]],
            "stage 6: the 32x32 input is down to 1x1 after stage 5, which 'maxpool' cannot halve; "
            "use fewer downsamplings or larger images",
        ),
        (
            (3, 1, 8),
            [[4], [4]],
            "stage 1: the 1x8 input is down to 1x8 from the start, which 'maxpool' cannot halve; "
            "use fewer downsamplings or larger images",
        ),
    ],
)
def test_an_image_that_is_too_small_is_refused(shape: Shape, stages: Any, message: str) -> None:
    with pytest.raises(ValueError, match="cannot halve") as caught:
        staged(shape, stages=stages)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"stages": [[32, 30], [64]], "conv": "grouped"},
            "stage 1, layer 2: 30 channels do not fall into 4 groups; 28 or 32 would",
        ),
        (
            {"stages": [[32], [64]], "stem": "grouped"},
            "stage 1, layer 1: 3 channels do not fall into 4 groups; 4 would",
        ),
        (
            {"stages": [[32], [64, 64, 64, 96]], "merge": "add"},
            "stage 2, layer 4: 64 channels that go around cannot be added to 96 that come through; "
            "give the layers equal channels, or the stage `merge: none`",
        ),
        (
            {"stages": [[32], [64, 64, 96]], "merge": "add"},
            "stage 2, layers 2-3: 64 channels that go around cannot be added to 96 that come "
            "through; give the layers equal channels, or the stage `merge: none`",
        ),
        (
            {"stages": [[32], [64]], "stem": "stacked", "down": {"kind": "strided", "kernel": 4}},
            "stage 1, layer 1: stacked convolutions cannot have a kernel of 4: "
            "those at stride 1 keep the size",
        ),
    ],
)
def test_what_does_not_suit_a_block_is_refused_with_its_place(
    options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match="stage") as caught:
        staged(**options)
    assert str(caught.value) == message


@pytest.mark.usefixtures("no_plugins")
def test_a_convolution_without_a_kernel_cannot_be_given_one(tmp_path: Path) -> None:
    plugin = tmp_path / "pixelwise.py"
    plugin.write_text(
        "from torch import nn\n"
        'ROOM = "blocks/conv"\n'
        "def build(i, o, stride, norm, act):\n"
        "    return nn.Conv2d(i, o, 1, stride=stride, bias=False)\n"
    )
    catalog.plug(plugin)
    assert staged(stages=[[8], [8]], stem="pixelwise", down="strided")
    with pytest.raises(ValueError, match="has no kernel") as caught:
        staged(stages=[[8], [8]], stem="pixelwise", down={"kind": "strided", "kernel": 4})
    assert str(caught.value) == (
        "stage 1, layer 1: conv block 'pixelwise' has no kernel that could be set to 4"
    )


def test_sizes_are_followed_as_the_down_block_rounds_them() -> None:
    # 5 -> 3 -> 2 -> 1 rounding up, 5 -> 2 -> 1 rounding down
    assert staged((3, 5, 5), stages=[[4]] * 4, down="strided")
    with pytest.raises(ValueError, match="down to 1x1 after stage 2"):
        staged((3, 5, 5), stages=[[4]] * 4, down="maxpool")


NORMAL, ADD, CONCAT = {"kind": "normal"}, {"kind": "add"}, {"kind": "concat"}
MATCHED: list[dict[str, Any]] = [
    {"conv": {**NORMAL, "kernel": 5}},
    {"conv": "stacked"},
    {"conv": "depthwise_separable"},
    {"conv": {"kind": "depthwise_separable", "mid": "norm_act"}},
    {"conv": "spatially_separable"},
    {"conv": "bottleneck"},
    {"conv": "grouped"},
    {"conv": {"kind": "grouped", "groups": 8}},
    {"conv": {"kind": "grouped", "groups": 2, "then": "shuffle"}},
    {"conv": {"kind": "grouped", "then": "pointwise"}},
    {"merge": CONCAT},
    {"merge": {**CONCAT, "width": "constant"}},
    {"merge": {**CONCAT, "project": "pointwise"}},
    {"merge": {**ADD, "project": "pointwise"}},
]


@pytest.mark.parametrize(
    ("changes", "kind", "width"),
    [
        *((changes, "params", width) for changes in MATCHED for width in (16, 32, 64)),
        # Slow to count, so only those of the coarsest steps.
        *((changes, "macs", 16) for changes in MATCHED if "group" in str(changes)),
    ],
    ids=str,
)
def test_some_width_meets_the_budget_of_the_base_network(
    changes: dict[str, Any], kind: Literal["params", "macs"], width: int
) -> None:
    base = {"family": "staged", **BASE, "width": width}
    target = match.budget(base, kind, CIFAR, 10)
    solution = match.solve({**base, **changes}, kind, target, 0.02, CIFAR, 10)
    assert abs(solution.residual) <= 0.02


class Gain(nn.Module):
    """A block that starts its child in its own way."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(3, 3)

    def reset_parameters(self) -> None:
        nn.init.constant_(self.inner.weight, 2.0)

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x)


class Lost(nn.Module):
    """A parameter without a `reset_parameters`."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(3))


def weights(network: nn.Module, path: str) -> Tensor:
    return network.get_parameter(path)


def test_modules_of_one_path_and_shape_start_alike_in_every_variant() -> None:
    base, deeper = staged(**BASE), staged(stages=[[32, 32, 32], [64, 64], [128, 128], [128, 128]])
    strided = staged(**BASE, down="strided", act="silu")
    for network in (base, deeper, strided):
        networks.initialise(network, 5)
    shared = {path for path, p in base.named_parameters() if "stage2.layer1" not in path}
    for path in shared:
        assert torch.equal(weights(base, path), weights(deeper, path)), path
    for path, parameter in base.named_parameters():
        assert torch.equal(parameter, weights(strided, path)), path


def test_seeds_and_paths_give_different_weights() -> None:
    one, other = staged(stages=[[8, 8, 8]]), staged(stages=[[8, 8, 8]])
    networks.initialise(one, 0)
    networks.initialise(other, 1)
    path = "features.stage1.layer2.conv.weight"
    assert not torch.equal(weights(one, path), weights(other, path))
    assert not torch.equal(weights(one, path), weights(one, path.replace("layer2", "layer3")))
    networks.initialise(other, 0)
    assert all(torch.equal(p, q) for p, q in zip(one.parameters(), other.parameters(), strict=True))


def test_the_weights_are_those_that_torch_draws_by_default() -> None:
    network = staged(stages=[[64, 256]])
    networks.initialise(network, 0)
    drawn = weights(network, "features.stage1.layer2.conv.weight")
    bound = 1 / math.sqrt(64 * 9)
    assert drawn.abs().max() <= bound
    assert drawn.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.01)
    assert torch.equal(weights(network, "features.stage1.layer1.norm.weight"), torch.ones(64))


def test_running_averages_start_afresh() -> None:
    network = staged(stages=[[8]])
    network(torch.ones(2, *CIFAR))
    networks.initialise(network, 0)
    norm = network.get_submodule("features.stage1.layer1.norm")
    assert torch.equal(norm.running_mean, torch.zeros(8))
    assert norm.num_batches_tracked == 0


def test_the_global_generator_is_left_alone() -> None:
    network = staged(stages=[[8]])
    torch.manual_seed(7)
    before = torch.get_rng_state()
    networks.initialise(network, 0)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_block_has_the_last_word_on_its_children() -> None:
    block = Gain()
    networks.initialise(block, 0)
    assert torch.equal(block.inner.weight, torch.full((3, 3), 2.0))
    assert not block.inner.bias.isnan().any()


def test_a_parameter_that_nothing_sets_is_refused() -> None:
    with pytest.raises(RuntimeError, match=r"no reset_parameters sets 1\.scale; give its module"):
        networks.initialise(nn.Sequential(nn.Linear(3, 3), Lost()), 0)


def test_initialising_elsewhere_than_on_the_cpu_is_refused() -> None:
    with pytest.raises(RuntimeError, match="weight is on meta; initialise on the CPU, then move"):
        networks.initialise(nn.Linear(3, 3, device="meta"), 0)


class Residual(nn.Module):
    def __init__(self, *inner: nn.Module) -> None:
        super().__init__()
        self.inner = nn.Sequential(*inner)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.inner(x)


def test_a_signature_has_no_names_and_no_containers() -> None:
    inner = nn.Sequential(nn.ReLU(), nn.Identity())
    assert networks.signature(nn.Sequential(nn.Linear(2, 3), inner)) == [
        "Linear(in_features=2, out_features=3, bias=True)",
        "ReLU()",
    ]


def test_a_signature_tells_what_lies_in_what() -> None:
    one = nn.Sequential(Residual(nn.ReLU(), nn.Sigmoid()))
    other = nn.Sequential(Residual(nn.ReLU()), nn.Sigmoid())
    assert networks.signature(one) == [
        "Residual()",
        "Residual() > ReLU()",
        "Residual() > Sigmoid()",
    ]
    assert networks.signature(one) != networks.signature(other)
    assert networks.difference(one, other) == ["same layers, arranged otherwise"]


def test_a_signature_tells_shared_modules_from_equal_ones() -> None:
    shared = nn.Linear(2, 2)
    one = nn.Sequential(shared, nn.ReLU(), shared)
    other = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 2))
    linear = "Linear(in_features=2, out_features=2, bias=True)"
    assert networks.signature(one) == [linear, "ReLU()", f"{linear} = 0"]
    assert networks.signature(other) == [linear, "ReLU()", linear]


@pytest.mark.parametrize(
    ("changes", "lines"),
    [
        ({}, []),
        ({"stem": {"kind": "normal", "kernel": 3}, "width": 32}, []),
        (
            {"conv": "depthwise_separable"},
            ["- 7 Conv2d 3x3", "+ 7 Conv2d 3x3 depthwise", "+ 7 Conv2d 1x1"],
        ),
        (
            {"conv": "depthwise_separable", "width": 87.3},
            [
                "- 7 Conv2d 3x3",
                "+ 7 Conv2d 3x3 depthwise",
                "+ 7 Conv2d 1x1",
                "first layer: 32 -> 87 channels",
            ],
        ),
        (
            {"down": "strided"},
            ["- 3 Conv2d 3x3", "- 3 MaxPool2d 2x2", "+ 3 Conv2d 3x3 stride 2"],
        ),
        ({"act": "silu", "norm": "none"}, ["- 8 BatchNorm2d", "- 8 ReLU", "+ 8 SiLU"]),
        (
            {"conv": {"kind": "dilated", "dilation": 3}},
            ["- 7 Conv2d 3x3", "+ 7 Conv2d 3x3 dilation 3"],
        ),
        (
            {"conv": {"kind": "grouped", "then": "shuffle"}},
            ["- 7 Conv2d 3x3", "+ 7 Conv2d 3x3 groups 4", "+ 7 ChannelShuffle groups 4"],
        ),
        (
            {"conv": "spatially_separable", "down": "strided"},
            [
                "- 7 Conv2d 3x3",
                "- 3 MaxPool2d 2x2",
                "+ 3 Conv2d 3x1 stride 2x1",
                "+ 3 Conv2d 1x3 stride 1x2",
                "+ 4 Conv2d 3x1",
                "+ 4 Conv2d 1x3",
            ],
        ),
        (
            {"down": "blurpool"},
            [
                "- 3 MaxPool2d 2x2",
                "+ 3 MaxPool2d 2x2 stride 1",
                "+ 3 AvgPool2d 2x2 stride 1",
                "+ 3 AvgPool2d 2x2",
            ],
        ),
        (
            {"down": {"kind": "strided", "kernel": 4}},
            ["- 3 Conv2d 3x3", "- 3 MaxPool2d 2x2", "+ 3 Conv2d 4x4 stride 2"],
        ),
        (
            {"merge": "add"},
            ["+ 4 Skips (around layer 2)", "+ 3 MaxPool2d 2x2", "+ 4 Add"],
        ),
        (
            {"merge": {"kind": "concat", "project": "pointwise", "width": "constant"}},
            [
                "+ 4 Skips (around layer 2)",
                "+ 4 BatchNorm2d",
                "+ 4 ReLU",
                "+ 3 MaxPool2d 2x2",
                "+ 4 Concat (width=constant)",
                "+ 4 Conv2d 1x1",
            ],
        ),
        ({"width": 33}, ["same layers, other channels", "first layer: 32 -> 33 channels"]),
        (
            {"stages": [[32, 32], [64, 64], [128, 128], [128, 129]]},
            ["same layers, other channels"],
        ),
        (
            {"stages": [[32, 32, 64], [64], [128, 128], [128, 128]]},
            ["same layers, arranged otherwise"],
        ),
    ],
)
def test_a_difference_is_said_in_short_lines(changes: dict[str, Any], lines: list[str]) -> None:
    with torch.device("meta"):
        assert networks.difference(staged(**BASE), staged(**{**BASE, **changes})) == lines


def test_options_are_shown_where_layers_of_one_kind_differ_in_them() -> None:
    one = nn.Sequential(nn.Conv2d(3, 8, 3, bias=False), nn.LeakyReLU(0.1))
    other = nn.Sequential(nn.Conv2d(3, 8, 3, bias=False), nn.LeakyReLU(0.2))
    assert networks.difference(one, other) == [
        "- 1 LeakyReLU (negative_slope=0.1)",
        "+ 1 LeakyReLU (negative_slope=0.2)",
    ]
    padded = nn.Sequential(nn.Conv2d(3, 8, 3, bias=False, padding=1), nn.LeakyReLU(0.1))
    assert networks.difference(one, padded) == [
        "- 1 Conv2d 3x3 (kernel_size=(3, 3), stride=(1, 1), bias=False)",
        "+ 1 Conv2d 3x3 (kernel_size=(3, 3), stride=(1, 1), padding=(1, 1), bias=False)",
    ]
