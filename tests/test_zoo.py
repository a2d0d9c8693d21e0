"""Other people's networks: where they come from, what is refused, and that trials can use them."""

import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from small_runs import draw, job, trained
from tiny import changed, checked
from torch import nn

from ablate import catalog, networks
from ablate.components import Network, expand
from ablate.networks import zoo
from ablate.suite.source import SuiteError

SHAPE = (3, 32, 32)

MINE = '''\
"""A user's file."""

from torch import nn
from torch.nn import functional


class Net(nn.Module):
    def __init__(self, outputs, squash=functional.relu):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1)
        self.linear = nn.Linear(8, outputs)
        self.squash = squash

    def forward(self, images):
        return self.linear(self.squash(self.conv(images)).mean((2, 3)))


def with_relu(outputs):
    return Net(outputs)


def with_silu(outputs):
    return Net(outputs, functional.silu)


def on_shape(input_shape, num_classes=3, *, width=4):
    channels, height, width_ = input_shape
    return nn.Sequential(
        nn.Conv2d(channels, width, 3), nn.Flatten(),
        nn.Linear(width * (height - 2) * (width_ - 2), num_classes),
    )


def alone():
    return nn.Conv2d(3, 5, 3)


def raises():
    return nn.Conv2d(3, 5, 3, groups=2)


def leaves():
    raise SystemExit("I am a script")


def number():
    return 7


def lazy():
    return nn.LazyConv2d(4, 3)


def demanding(depth):
    return nn.Conv2d(3, depth, 3)


class Scaled(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(nn.Conv2d(3, 4, 1).weight.detach())
        self.conv = nn.Conv2d(3, 4, 1)

    def forward(self, images):
        return nn.functional.conv2d(images, self.scale) + self.conv(images)


ready = nn.Conv2d(3, 4, 3)
DEPTH = 3
'''

# Where the file has a text, counted from 1.
LINES = {
    text: next(at for at, line in enumerate(MINE.splitlines(), start=1) if text in line)
    for text in ("groups=2", "SystemExit")
}


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file of networks in the working directory."""
    monkeypatch.chdir(tmp_path)
    path = Path("mine.py")
    path.write_text(MINE)
    return path


def said(source: str, outputs: int = 3, **options: Any) -> str:
    """What is said of a source that is refused."""
    with pytest.raises(ValueError, match=r"^\S") as raised:
        zoo.construct(source, SHAPE, outputs, options)
    message = str(raised.value)
    assert "\n" not in message
    return message


# --- torchvision and timm -------------------------------------------------------------------------


def test_a_network_of_torchvision_is_the_one_that_it_builds() -> None:
    from torchvision.models import shufflenet_v2_x0_5

    theirs = shufflenet_v2_x0_5(num_classes=7)
    ours = zoo.construct("torchvision:shufflenet_v2_x0_5", SHAPE, 7)
    assert networks.signature(ours) == networks.signature(theirs)
    assert ours.state_dict().keys() == theirs.state_dict().keys()


def test_options_go_to_what_builds_it() -> None:
    ours = zoo.construct("torchvision:squeezenet1_1", SHAPE, 7, {"dropout": 0.25})
    assert [m.p for m in ours.modules() if isinstance(m, nn.Dropout)] == [0.25]


def test_auxiliary_heads_are_off_unless_they_are_asked_for() -> None:
    # Szegedy et al. 2014, table 1, whose parameters torchvision publishes without the heads
    off = zoo.construct("torchvision:googlenet", SHAPE, 1000)
    assert sum(p.numel() for p in off.parameters()) == 6_624_904
    with torch.device("meta"):
        on = zoo.construct("torchvision:googlenet", SHAPE, 1000, {"aux_logits": True})
    assert sum(p.numel() for p in on.parameters()) == 13_004_888


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("torchvision:resnet19", "torchvision has no network 'resnet19'; did you mean 'resnet18'?"),
        ("torchvision:xyzzy", "torchvision has no network 'xyzzy'; there are "),
        ("keras:resnet18", "'keras:resnet18' is no source of a network; write torchvision:NAME, "),
        ("resnet18", "'resnet18' is no source of a network; write torchvision:NAME, timm:NAME or "),
    ],
)
def test_an_unknown_network_is_named(source: str, message: str) -> None:
    assert said(source).startswith(message)


@pytest.mark.parametrize("option", ["weights", "weights_backbone", "pretrained"])
def test_trained_weights_are_refused(option: str) -> None:
    assert said("torchvision:resnet18", **{option: None}) == (
        f"torchvision:resnet18: the option {option!r} asks for trained weights, and those of the "
        "zoo are random; leave it out"
    )


def test_nothing_is_downloaded_for_a_backbone(monkeypatch: pytest.MonkeyPatch) -> None:
    def download(*arguments: Any, **options: Any) -> None:
        raise AssertionError("weights would be downloaded")

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", download)
    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", download)
    with torch.device("meta"):
        zoo.construct("torchvision:fcn_resnet50", SHAPE, 3)


def test_an_option_that_it_does_not_know_is_said_in_its_words() -> None:
    assert said("torchvision:resnet18", groops=2) == (
        "torchvision:resnet18 cannot be built: TypeError: ResNet.__init__() got an unexpected "
        "keyword argument 'groops'"
    )


def test_a_network_of_timm() -> None:
    pytest.importorskip("timm")
    ours = zoo.construct("timm:resnet18", (1, 32, 32), 7)
    assert ours(torch.zeros(2, 1, 32, 32)).shape == (2, 7)
    assert said("timm:resnet19") == "timm has no network 'resnet19'; did you mean 'resnet18'?"


def test_without_timm_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)  # imports of it fail as they do without it
    assert said("timm:resnet18") == "timm is not installed here; `pip install timm`"


# --- files ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("function", "options", "shape"),
    [
        ("with_relu", {}, (2, 7)),
        ("on_shape", {}, (2, 7)),
        ("on_shape", {"num_classes": 2, "width": 3}, (2, 2)),
        ("alone", {}, (2, 5, 30, 30)),
        ("demanding", {"depth": 6}, (2, 6, 30, 30)),
        ("Net", {}, (2, 7)),
    ],
)
def test_a_function_is_given_what_it_takes(
    mine: Path, function: str, options: dict[str, Any], shape: tuple[int, ...]
) -> None:
    network = zoo.construct(f"{mine}:{function}", SHAPE, 7, options)
    assert network(torch.zeros(2, *SHAPE)).shape == shape


def test_each_call_builds_anew(mine: Path) -> None:
    first, second = (zoo.construct(f"{mine}:alone", SHAPE, 3) for _ in range(2))
    assert first is not second
    assert type(first) is type(second)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (
            "none.py:build",
            "cannot read none.py: No such file or directory; files are looked for from the working "
            "directory on",
        ),
        ("mine.py", "which function of mine.py? write mine.py:NAME; there are: Net, with_relu, "),
        ("mine.py:", "which function of mine.py? write mine.py:NAME; there are: Net, with_relu, "),
        ("mine.py:with_relo", "mine.py has no function 'with_relo'; did you mean 'with_relu'?"),
        (
            "mine.py:ready",
            "mine.py:ready is a network itself; let it be made by a function, anew at each call",
        ),
        ("mine.py:DEPTH", "mine.py:DEPTH is no function, but a value of type int"),
        ("mine.py:number", "mine.py:number returned 7, which is no nn.Module"),
        (
            "mine.py:raises",
            f"mine.py:{LINES['groups=2']} raised ValueError: in_channels must be di",
        ),
        ("mine.py:leaves", f"mine.py:{LINES['SystemExit']} raised SystemExit: I am a script"),
        (
            "mine.py:demanding",
            "mine.py:demanding cannot be called: missing a required argument: 'depth'; it is given "
            "input_shape and outputs (or num_classes) where it has parameters of these names, and "
            "a suite's `options`",
        ),
        ("mine.py:lazy", "mine.py:lazy has lazy layers, whose sizes are not known before the fir"),
    ],
)
def test_what_is_wrong_with_a_file_is_one_line(mine: Path, source: str, message: str) -> None:
    assert said(source).startswith(message)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("from torch import nn\nimport no_such_module\n", "ModuleNotFoundError: No module named '"),
        ("x = 1\ndef build(:\n", "SyntaxError: "),
        ("x = 1\n1 / 0\n", "ZeroDivisionError: division by zero"),
        ("x = 1\nraise SystemExit(3)\n", "SystemExit: 3"),
    ],
)
def test_a_file_that_cannot_be_imported_says_its_line(mine: Path, text: str, message: str) -> None:
    mine.write_text(text)
    for _ in range(2):  # the second time as the first
        assert said("mine.py:build").startswith(f"mine.py:2 raised {message}")


# --- in suites ------------------------------------------------------------------------------------


def expanded(source: str, **options: Any) -> tuple[dict[str, Any], list[str]]:
    component = Network.model_validate({"family": "zoo", "source": source, "options": options})
    spec, problems = expand(component)
    return spec, [message for _, _, message in problems]


def test_a_file_is_known_by_its_bytes(mine: Path) -> None:
    spec, problems = expanded("mine.py:with_relu")
    assert problems == []
    assert spec["source"] == f"mine.py:with_relu#{catalog.digest(mine)[:12]}"
    assert expand(Network.model_validate(spec)) == (spec, [])  # what a record holds is final
    mine.write_text(MINE.replace("8", "9"))
    assert expanded("mine.py:with_relu")[0]["source"] != spec["source"]
    with pytest.raises(ValueError, match=r"^mine.py has changed since it was planned; run the su"):
        catalog.build("networks", spec, "family", SHAPE, 3)


def test_what_is_wrong_with_a_source_is_found_before_anything_is_built(mine: Path) -> None:
    assert expanded("torchvision:resnet19")[1] == [
        "torchvision has no network 'resnet19'; did you mean 'resnet18'?"
    ]
    assert expanded("none.py:build")[1][0].startswith("cannot read none.py: ")


@pytest.mark.parametrize(
    ("source", "parameter"), [("torchvision:vit_b_16", "class_token and 25 more"), ("", "scale")]
)
def test_parameters_that_no_seed_decides_are_refused(
    mine: Path, source: str, parameter: str
) -> None:
    source = source or "mine.py:Scaled"
    with torch.device("meta"), pytest.raises(ValueError, match="reset_parameters") as raised:
        zoo.build((3, 224, 224), 3, source=source)
    assert str(raised.value) == (
        f"{source} has parameters that no module's reset_parameters sets ({parameter}), so a seed "
        "cannot decide them; it can be measured (`ablate measure`), but not trained"
    )


SUITE = changed(
    ("network: {family: staged, stages: [[4], [8]]}", "network: {family: zoo, source: SOURCE}"),
    ("dilated: {network.conv: dilated}", "other: {network.source: 'mine.py:with_silu'}"),
)


@pytest.mark.usefixtures("here")
def test_a_suite_tells_networks_apart_that_print_the_same() -> None:
    Path("mine.py").write_text(MINE)
    rows = checked(SUITE.replace("SOURCE", "'mine.py:with_relu'"))[0].rows
    assert [row.variant.name for row in rows] == ["normal", "other"]
    digest = catalog.digest(Path("mine.py"))[:12]
    assert rows[1].structure == [
        f"- 1 Zoo (mine.py:with_relu#{digest})",
        f"+ 1 Zoo (mine.py:with_silu#{digest})",
    ]
    with pytest.raises(SuiteError, match="'other' changes nothing: its configuration equals"):
        checked(SUITE.replace("SOURCE", "'mine.py:with_silu'"))


@pytest.mark.usefixtures("here")
def test_a_misspelt_source_is_said_at_its_place() -> None:
    Path("mine.py").write_text(MINE)
    with pytest.raises(SuiteError) as raised:
        checked(SUITE.replace("SOURCE", "'torchvision:resnet19'"))
    first = str(raised.value).splitlines()[0]
    assert first.startswith("tiny.yaml:7:")
    assert first.endswith("torchvision has no network 'resnet19'; did you mean 'resnet18'?")


def test_a_trial_trains_a_network_of_a_file(mine: Path, tmp_path: Path, one_thread: None) -> None:
    folder = draw(tmp_path / "images")
    network = expanded("mine.py:with_silu")[0]
    one, again, other = (
        trained(job(folder, tmp_path / runs, network=network, seed=seed))
        for runs, seed in (("a", 0), ("b", 0), ("c", 1))
    )
    losses = [
        [epoch.scores["train_loss"] for epoch in found.epochs] for found in (one, again, other)
    ]
    assert losses[0] == losses[1] != losses[2]  # a seed decides them, and nothing else
