"""Matched budgets: against independent counts, over random networks, by any knob, and in words."""

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import changed, checked, loaded
from torch import nn
from torch.nn.modules.conv import _ConvTransposeNd

from ablate import catalog, commands
from ablate.components import Network, expand, options_of
from ablate.metrics import flops_train, params
from ablate.networks import signature
from ablate.suite import match
from ablate.suite import plan as planning
from ablate.suite.load import load
from ablate.suite.match import Budget
from ablate.suite.preflight import Checked, check
from ablate.suite.request import Request
from ablate.suite.source import SuiteError

pytestmark = pytest.mark.usefixtures("no_plugins", "one_thread")

CIFAR = (3, 32, 32)
S7 = catalog.PACKAGE.parent / "suites" / "s7.yaml"


def spelt(network: Mapping[str, Any]) -> dict[str, Any]:
    """Return a network with all its options."""
    component, problems = expand(Network.model_validate(network))
    assert problems == []
    return component


def built(
    network: Mapping[str, Any], shape: tuple[int, int, int] = CIFAR, n: int = 10
) -> nn.Module:
    module: nn.Module = catalog.build("networks", network, "family", shape, n)
    return module


def count(network: nn.Module, shape: tuple[int, int, int] = CIFAR) -> dict[str, int]:
    """Count parameters and MACs module by module, in closed form, from real values."""
    total = {"params": 0, "macs": 0}

    def add(module: nn.Module, given: tuple[torch.Tensor], output: torch.Tensor) -> None:
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            taps = math.prod(module.kernel_size) * module.in_channels * module.out_channels
            over = given[0] if isinstance(module, _ConvTransposeNd) else output
            total["macs"] += taps // module.groups * math.prod(over.shape[2:])
            total["params"] += taps // module.groups
            total["params"] += 0 if module.bias is None else module.out_channels
        elif isinstance(module, nn.BatchNorm2d):
            total["params"] += 2 * module.num_features
        elif isinstance(module, nn.Linear):
            total["params"] += (module.in_features + 1) * module.out_features
            total["macs"] += module.in_features * module.out_features

    for module in network.modules():
        module.register_forward_hook(add)
    with torch.no_grad():
        network.eval()(torch.zeros(1, *shape))
    return total


# --- s7 -------------------------------------------------------------------------------------------


def s7() -> dict[str, tuple[dict[str, Any], dict[str, Any]]]:
    """Return every network of `s7` that is compared with another, and that one."""
    found = load(Request(str(S7), profile="full"), "full")
    assert found.problems == []
    pairs = {}
    for comparison in found.suite.comparisons:
        if comparison.id in ("depthwise", "downsample", "conv", "merge", "merge-deep"):
            nets = {v.name: v.full.values["network"] for v in found.variants[comparison.id]}
            for name in nets.keys() - {comparison.baseline}:
                other = comparison.against.get(name, comparison.baseline)
                pairs[f"{comparison.id}/{name}"] = (nets[name], nets[other])
    return pairs


KINDS = s7()


@pytest.mark.parametrize("kind", ["params", "macs"])
@pytest.mark.parametrize("width", [16, 32, 64])
@pytest.mark.parametrize("name", sorted(KINDS))
def test_every_kind_of_s7_is_matched_or_the_nearest_budgets_are_named(
    name: str, width: int, kind: Budget
) -> None:
    network, other = (each | {"width": float(width)} for each in KINDS[name])
    target = match.budget(other, kind, CIFAR, 10)
    assert target == count(built(other))[kind]
    found = match.solve(network, kind, target, 0.02, CIFAR, 10)
    assert abs(found.residual) <= 0.02
    solved = count(built(network | {"width": found.value}))[kind]
    assert found.residual == solved / target - 1


def test_no_match_of_s7_builds_many_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Building them is what matching takes its time with; each network is built once."""
    built: list[list[str]] = []
    build = match._build

    def noted(*asked: Any) -> nn.Module:
        network = build(*asked)
        built.append(signature(network))
        return network

    monkeypatch.setattr(match, "_build", noted)
    kinds: list[Budget] = ["params", "macs"]
    for network, other in KINDS.values():
        for kind in kinds:
            target = match.budget(other, kind, CIFAR, 10)
            built.clear()
            assert abs(match.solve(network, kind, target, 0.02, CIFAR, 10).residual) <= 0.02
            assert len(built) <= 24
            # What was found is built again twice: to be counted in full, and for that to compare.
            assert len({tuple(each) for each in built}) >= len(built) - 2


@pytest.mark.parametrize(
    "network",
    [
        {"family": "staged", "stages": [[8, 8], [16]], "conv": "grouped", "merge": "concat"},
        {"family": "post_upsampling", "layers": [8, 12, 12], "up": "pixel_shuffle"},
    ],
)
def test_equal_channels_are_equal_networks(network: dict[str, Any]) -> None:
    """A family's `channels` decide which widths are counted: they tell all that a width changes."""
    component = Network.model_validate(spelt(network))
    family = catalog.load("networks", network["family"])
    known: dict[tuple[int, ...], list[str]] = {}
    widths = [step / 16 for step in range(40, 200)]
    for width in widths:
        options = options_of(component) | {"width": width}
        found = signature(built(spelt(network) | {"width": width}, CIFAR, 3))
        assert known.setdefault(tuple(family.channels(**options)), found) == found
    assert 2 < len(known) < len(widths)
    assert len({tuple(each) for each in known.values()}) == len(known)


# --- random networks ------------------------------------------------------------------------------

CONVS: list[Any] = [
    *("normal", "dilated", "stacked", "bottleneck", "depthwise_separable", "spatially_separable"),
    *({"kind": "grouped", "groups": groups, "then": "pointwise"} for groups in (2, 4)),
]
MERGES: list[Any] = ["none", "add", "concat", {"kind": "concat", "width": "constant"}]


@st.composite
def networks(draw: st.DrawFn) -> dict[str, Any]:
    """Return a staged network of a few narrow layers, in groups of 4 where they are grouped."""
    stages = [
        [4 * draw(st.integers(1, 3))] * draw(st.integers(1, 3))
        for _ in range(draw(st.integers(1, 3)))
    ]
    return spelt(
        {
            "family": "staged",
            "stages": stages,
            "conv": draw(st.sampled_from(CONVS)),
            "merge": draw(st.sampled_from(MERGES)),
            "down": draw(st.sampled_from(["maxpool", "strided"])),
            "norm": "none",  # which costs hardly anything but time here
        }
    )


@given(
    networks(),
    networks(),
    st.integers(4, 12),
    st.sampled_from(["params", "macs"]),
    st.sampled_from([0.005, 0.02]),
)
@settings(max_examples=15, deadline=None)
def test_no_width_of_a_random_network_is_nearer(
    network: dict[str, Any], other: dict[str, Any], width: int, kind: Budget, tolerance: float
) -> None:
    shape = (3, 8, 8)
    other |= {"width": float(width)}
    target = count(built(other, shape, 3), shape)[kind]
    found, said = None, ""
    try:
        found = match.solve(network, kind, target, tolerance, shape, 3)
    except match.Unreachable as error:
        said = str(error)
    if said.startswith("even at width 0.001"):  # one channel a layer is too many
        return
    if found is None:
        sides = re.findall(r"([\d,]+) \(width ([\d.]+)\)", said)
        named = [(int(budget.replace(",", "")), float(width)) for budget, width in sides]
        assert named[0][0] < (1 - tolerance) * target
        assert named[1][0] > (1 + tolerance) * target
    else:
        own = count(built(network | {"width": found.value}, shape, 3), shape)[kind]
        assert found.residual == own / target - 1
        assert abs(found.residual) <= tolerance
        named = [(own, found.value)]
    nearest = min(abs(budget - target) for budget, _ in named)
    widths = [named[0][1] + step / 4 for step in range(-9, 10)]
    budgets = [
        match.budget(network | {"width": width}, kind, shape, 3) for width in widths if width > 0
    ]
    assert budgets == sorted(budgets)  # so that what is near in width is near in budget
    assert min(abs(budget - target) for budget in budgets) >= nearest


# --- budgets that go up and down ------------------------------------------------------------------

# In groups as many as divide both sides: at odd channels it costs more than at the even ones above.
JAGGED = '''"""Grouped as finely as the channels allow."""

import math

from torch import nn

ROOM = "blocks/conv"


def build(i, o, stride, norm, act):
    return nn.Conv2d(i, o, 3, stride=stride, padding=1, groups=math.gcd(i, o, 8), bias=False)
'''
# One that says of few channels that they will not do, and has no `multiple` that could be asked.
FUSSY = JAGGED.replace(
    "    return",
    """    if o % 7:
        raise ValueError(f"{o} channels are no multiple of 7")
    return""",
)


def plugged(name: str, text: str, folder: Path) -> str:
    path = folder / f"{name}.py"
    path.write_text(text)
    catalog.plug(path)
    return name


def staged(**options: Any) -> dict[str, Any]:
    return spelt({"family": "staged", "stages": [[8, 8], [8]]} | options)


def test_a_budget_that_goes_up_and_down_is_matched_all_the_same(tmp_path: Path) -> None:
    jagged = staged(conv=plugged("jagged", JAGGED, tmp_path))
    budgets = [match.budget(jagged | {"width": w}, "params", CIFAR, 2) for w in (15.0, 16.0)]
    assert budgets[0] > 2 * budgets[1]
    for width in (12.0, 15.0, 21.0, 32.0):
        target = match.budget(staged(width=width), "params", CIFAR, 2)
        found = match.solve(jagged, "params", target, 0.05, CIFAR, 2)
        own = count(built(jagged | {"width": found.value}, n=2))["params"]
        assert found.residual == own / target - 1
        assert abs(found.residual) <= 0.05


def test_widths_that_give_no_network_are_passed_over(tmp_path: Path) -> None:
    fussy = staged(conv=plugged("fussy", FUSSY, tmp_path), stages=[[7, 7]])
    target = match.budget(fussy | {"width": 21.0}, "params", CIFAR, 2)
    assert match.solve(fussy, "params", target, 0.01, CIFAR, 2) == match.Solution(21.0, 0.0)
    never = staged(conv=plugged("never", FUSSY.replace("o % 7", "True"), tmp_path))
    with pytest.raises(match.Unreachable) as caught:
        match.solve(never, "params", target, 0.01, CIFAR, 2)
    assert str(caught.value) == (
        "its params cannot be counted: ValueError: 64 channels are no multiple of 7 "
        "(with every width that was tried)"
    )


# --- knobs ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["params", "macs"])
def test_a_knob_may_be_a_whole_number_by_which_budgets_fall(kind: Budget) -> None:
    bottleneck = staged(stages=[[32, 32], [64]], conv="bottleneck")
    wanted = staged(stages=[[32, 32], [64]], conv={"kind": "bottleneck", "ratio": 9})
    target = match.budget(wanted, kind, CIFAR, 10)
    knob = "network.conv.ratio"
    found = match.solve(bottleneck, kind, target, 0.02, CIFAR, 10, knob)
    assert (found.value, found.residual) == (9, 0)
    assert type(found.value) is int
    with pytest.raises(match.Unreachable) as caught:
        match.solve(bottleneck, kind, target * 100, 0.02, CIFAR, 10, knob)
    most = match.budget(match.put(bottleneck, ("conv", "ratio"), 1), kind, CIFAR, 10)
    assert str(caught.value) == (
        f"even at conv.ratio 1 it has {most:,} {kind}, fewer than {100 * target:,}; "
        "leave this match out"
    )


def test_a_knob_may_change_the_sizes_of_feature_maps() -> None:
    """A kernel of 4 puts out one pixel less of an odd side: MACs are counted anew."""
    strided = staged(stages=[[8], [8], [8]], down={"kind": "strided", "kernel": 3})
    for kernel in range(1, 8):
        wanted = match.put(strided, ("down", "kernel"), kernel)
        target = match.budget(wanted, "macs", (3, 15, 15), 2)
        knob = "network.down.kernel"
        found = match.solve(strided, "macs", target, 0.001, (3, 15, 15), 2, knob)
        solved = match.put(strided, ("down", "kernel"), found.value)
        assert count(built(solved, (3, 15, 15), 2), (3, 15, 15))["macs"] == target


def test_only_groups_that_divide_the_channels_are_tried() -> None:
    grouped = staged(stages=[[24, 24], [48]], conv={"kind": "grouped", "groups": 2})
    wanted = match.put(grouped, ("conv", "groups"), 12)
    target = match.budget(wanted, "params", CIFAR, 10)
    found = match.solve(grouped, "params", target, 0.01, CIFAR, 10, "network.conv.groups")
    assert (found.value, found.residual) == (12, 0)


def test_the_width_multiplier_of_somebodys_network_is_a_knob() -> None:
    def zoo(width: float) -> dict[str, Any]:
        source = {"source": "torchvision:mobilenet_v2", "options": {"width_mult": width}}
        return spelt({"family": "zoo", **source})

    target = match.budget(zoo(1.4), "params", CIFAR, 10)
    knob = "network.options.width_mult"
    found = match.solve(zoo(1.0), "params", target, 0.02, CIFAR, 10, knob)
    assert found.residual == 0
    assert params.measure(built(zoo(found.value)), CIFAR).value == target


@pytest.mark.parametrize(
    ("knob", "said"),
    [
        (
            "network.conv.ratio",
            "there is no conv.ratio to match params with: conv has no 'ratio'; ",
        ),
        ("network.stages[2].conv", "there is no stages[2].conv to match params with: stages has 2"),
        ("network.conv.kind", "conv.kind is no number to match params with"),
        ("network.widht", "the network family 'staged' has no option 'widht' to match params with"),
    ],
)
def test_a_knob_must_be_a_number_of_the_network(knob: str, said: str) -> None:
    with pytest.raises(match.Unreachable) as caught:
        match.solve(staged(), "params", 1000, 0.02, CIFAR, 10, knob)
    assert str(caught.value).startswith(said)


ATTENTIVE = """\
import torch
from torch import nn


class Attentive(nn.Module):
    def __init__(self, channels, outputs):
        super().__init__()
        self.embed, self.head = nn.Conv2d(3, channels, 4, stride=4), nn.Linear(channels, outputs)

    def forward(self, x):
        x = self.embed(x).flatten(2)
        return self.head((torch.softmax(x.mT @ x, 1) @ x.mT).mean(1))


def attentive(outputs, channels=8):
    return Attentive(channels, outputs)
"""


def test_products_outside_of_layers_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Attention is no layer, so what one width's layers do does not tell what others cost."""
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text(ATTENTIVE)

    def mine(channels: int) -> dict[str, Any]:
        options = {"channels": channels}
        return spelt({"family": "zoo", "source": "mine.py:attentive", "options": options})

    target = match.budget(mine(100), "macs", CIFAR, 10)
    assert target == 64 * 48 * 100 + 2 * 64 * 64 * 100 + 1000
    knob = "network.options.channels"
    assert match.solve(mine(32), "macs", target, 0.001, CIFAR, 10, knob).value == 100


# --- equal training compute -----------------------------------------------------------------------

COMPUTE = changed(
    ("conv: dilated", "conv: depthwise_separable"),
    ("[[4], [8]]", "[[8, 8], [16]]"),
    ("epochs: 1", "epochs: 16"),
)


def flops(item: Checked, row: int) -> int:
    """Return the training FLOPs of a row, all images of all epochs."""
    config = item.rows[row].config
    found = flops_train.measure(built(config["network"], item.shape, item.outputs), item.shape)
    assert found.value is not None
    return int(found.value) * 16 * config["recipe"]["epochs"]  # 16 images, 4 whole batches


@pytest.mark.usefixtures("here")
def test_equal_compute_is_more_epochs_for_what_costs_less() -> None:
    (item,) = checked(COMPUTE + "    match: [none, {compute: 5%}]\n")
    assert [row.matches for row in item.rows] == [["none"], ["none"], ["compute"]]
    drop_in, row = item.rows[1:]
    assert row.config["network"] == drop_in.config["network"]
    epochs = row.config["recipe"]["epochs"]
    assert type(epochs) is int  # as a suite file has it, so that the ids are the same
    assert row.solved == row.full_solved == {"recipe.epochs": epochs}
    assert row.residual == flops(item, 2) / flops(item, 0) - 1
    assert epochs == round(flops(item, 0) / (flops(item, 1) / 16)) > 16
    assert abs(row.residual) <= 0.05


@pytest.mark.usefixtures("here")
def test_images_of_a_batch_that_is_filled_up_cost_too() -> None:
    text = COMPUTE.replace("{network.conv: depthwise_separable}", "{recipe.batch_size: 10}")
    (item,) = checked(text + "    match: {compute: 10%}\n")
    # 16 images are 4 batches of 4, or 2 of 10: 256 and 20 images an epoch.
    assert item.rows[1].config["recipe"]["epochs"] == 13
    assert item.rows[1].residual == pytest.approx(13 * 20 / (16 * 16) - 1)


@pytest.mark.usefixtures("here")
def test_a_variant_that_costs_the_same_has_one_row() -> None:
    (item,) = checked(changed(add="    match: [none, params, macs, compute]\n"))
    assert [row.matches for row in item.rows[1:]] == [["none", "params", "macs", "compute"]]
    assert (item.rows[1].solved, item.rows[1].residual) == ({}, 0)


@pytest.mark.usefixtures("here")
def test_whole_epochs_may_be_too_coarse() -> None:
    text = COMPUTE.replace("epochs: 16", "epochs: 1") + "    match: {compute: 0.01%}\n"
    (item,) = checked(text.replace("{compute: 0.01%}", "none"))
    ratio = flops(item, 0) / flops(item, 1)
    below, above = (n / ratio - 1 for n in (int(ratio), int(ratio) + 1))
    with pytest.raises(SuiteError) as caught:
        checked(text)
    (problem,) = caught.value.problems
    enough = math.floor(100 * min(abs(below), abs(above))) + 1
    assert problem.message == (
        "conv/dilated at equal compute: no whole number of epochs comes within 0.0% of "
        f"{flops(item, 0):,} training FLOPs; the nearest: {int(ratio)} epochs ({below:+.1%}) and "
        f"{int(ratio) + 1} epochs ({above:+.1%}); widen the tolerance, for example match: "
        f"{{compute: {enough}%}}, or leave this match out"
    )


def test_what_is_not_trained_has_no_compute() -> None:
    with pytest.raises(match.Unreachable) as caught:
        match.training_flops(nn.Upsample(scale_factor=2), CIFAR)
    assert str(caught.value) == "nothing is trained, so there is no compute to match"


@pytest.mark.usefixtures("here")
def test_few_steps_of_a_costly_variant_are_said() -> None:
    text = changed(
        ("[[4], [8]]", "[[8], [8]]"),
        ("epochs: 1, batch_size: 4", "epochs: 200, batch_size: 4"),
        ("conv: dilated", "stages: [[16], [16]]"),
        add="    match: {compute: 10%}\n",
    )
    found = loaded(text)
    plan = planning.make(found, check(found), Path("runs"), "cpu")
    epochs = plan.study.comparisons[0].rows[1].config["recipe"]["epochs"]
    assert epochs < 112
    assert any(line.startswith(f"conv: {4 * epochs} optimizer steps") for line in plan.notices)


# --- what a suite says, and what it is told -------------------------------------------------------


@pytest.mark.usefixtures("here")
def test_a_suite_names_a_knob() -> None:
    text = changed(
        ("[[4], [8]]", "[[16], [32]], conv: bottleneck"),
        ("network.conv: dilated", "network.stages.1.conv: {kind: bottleneck, ratio: 8}"),
        add="    match: {params: 10%, knob: 'network.stages[1].conv.ratio'}\n",
    )
    (item,) = checked(text)
    row = item.rows[1]
    assert row.solved == {"network.stages[1].conv.ratio": 4}
    assert row.config["network"]["stages"][1]["conv"]["ratio"] == 4
    assert row.residual == 0


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (
            "{compute: 1%, knob: network.width}",
            "compute is matched by epochs; a knob is for params and macs, leave it out",
        ),
        (
            "{kind: none, knob: network.width}",
            "none is matched by nothing; a knob is for params and macs, leave it out",
        ),
        (
            "{params: 1%, knob: recipe.lr}",
            "'recipe.lr' is no number of the network; write for example network.conv.ratio",
        ),
        (
            "{params: 1%, knob: network}",
            "'network' is no number of the network; write for example network.conv.ratio",
        ),
        ("{params: 1%, knob: 'network..x'}", "'network..x' is no path; write for example "),
        (
            "{params: 1%, macs: 2%}",
            "a match is of one kind; write [{params: 1%}, {macs: 2%}] for rows of each",
        ),
        ("{compte: 1%}", "unknown match 'compte'; did you mean 'compute'?"),
    ],
)
@pytest.mark.usefixtures("here")
def test_what_is_wrong_with_a_match_is_said(written: str, said: str) -> None:
    found = loaded(changed(add=f"    match: {written}\n"))
    assert any(problem.message.startswith(said) for problem in found.problems), found.problems


@pytest.mark.usefixtures("here")
def test_a_variant_without_the_knob_is_refused_at_its_place() -> None:
    text = changed(add="    match: {params: 1%, knob: network.conv.ratio}\n")
    with pytest.raises(SuiteError) as caught:
        checked(text)
    assert str(caught.value).startswith(
        "tiny.yaml:16:7: conv/dilated at equal params: there is no conv.ratio to match params "
        "with: conv has no 'ratio'; "
    )


@pytest.mark.usefixtures("here")
def test_the_residual_that_is_further_off_is_kept_where_rows_are_one() -> None:
    text = changed(
        ("[[4], [8]]", "[[16, 16], [32, 32]]"),
        ("network.conv: dilated", "network.stages: [[16, 16], [32, 33]]"),
        add="    match: [none, {params: 40%}, {macs: 40%}]\n",
    )
    rows = checked(text)[0].rows
    alone = {
        kind: checked(text.replace("[none, {params: 40%}, {macs: 40%}]", f"{{{kind}: 40%}}"))[0]
        for kind in ("params", "macs")
    }
    for row in rows[1:]:
        found = [alone[k].rows[1].residual or 0.0 for k in row.matches if k != "none"]
        assert row.residual == max(found, key=abs, default=None)


@pytest.mark.usefixtures("here")
def test_a_plan_shows_what_was_solved_for_and_what_is_not_equal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = COMPUTE + "    match: [none, {params: 5%}, {compute: 5%}]\n"
    (item,) = checked(text)
    drop_in, wide, long = item.rows[1:]
    networks = [built(row.config["network"], item.shape, item.outputs) for row in item.rows]
    counts = [count(network, item.shape) for network in networks]
    commands.plan(Request("tiny.yaml"), "cpu", Path("runs"), False)
    lines = capsys.readouterr().out.splitlines()
    (said,) = [line for line in lines if "at equal params" in line]
    width = wide.solved["network.width"]
    assert said.startswith(
        f"  dilated at equal params, solved network.width {width:g} (full: {width:g}; "
        f"off by {wide.residual:+.2%}): "
    )
    ratio = counts[2]["macs"] / counts[0]["macs"]
    assert f"; not equal: MACs {100 * (ratio - 1):+.1f} %, activation memory " in said
    (said,) = [line for line in lines if "at equal compute" in line]
    assert f"solved recipe.epochs {long.solved['recipe.epochs']:g} " in said
    fewer = counts[0]["params"] / counts[1]["params"]
    assert f"; not equal: parameters {fewer:.2f}× fewer, MACs " in said
    (said,) = [line for line in lines if line.startswith("  dilated: ")]
    assert "not equal" not in said  # its costs stand in the table
    assert drop_in.residual is None
