"""`ablate measure`: what it prints of networks and suites, and what it refuses."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tiny import SUITE, changed

import ablate
from ablate import catalog, commands, measure, metrics, records
from ablate.suite.source import SuiteError

ROOT = Path(ablate.__file__).parent.parent
pytestmark = pytest.mark.usefixtures("here")

MINE = """\
import warnings

import torch
from torch import nn


def small(outputs):
    print("a network")
    warnings.warn("of mine")
    return nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, outputs)
    )


def with_convolution(outputs):
    return nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Conv2d(8, outputs, 1),
        nn.Flatten(),
    )


def with_silu(outputs):
    network = small(outputs)
    network[1] = nn.SiLU()
    return network


def deeper(outputs):
    return nn.Sequential(nn.Conv2d(3, 8, 3), small(outputs))


class Untraceable(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, images):
        return self.conv(images) if images.sum() >= 0 else self.conv(-images)


class Double(torch.autograd.Function):
    @staticmethod
    def forward(ctx, images, weight):
        return nn.functional.conv2d(images, weight)

    @staticmethod
    def backward(ctx, gradient):
        return gradient, None


class Opaque(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(3, 3, 1, 1))

    def forward(self, images):
        return Double.apply(images, self.weight)


class Failing(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, images):
        if self.training or len(images) > 1 or images.any():
            raise RuntimeError("zeros only")
        return self.conv(images)


class Two(nn.Module):
    def forward(self, images):
        return images, images
"""


@pytest.fixture(autouse=True)
def mine(here: Path) -> Path:
    path = here / "mine.py"
    path.write_text(MINE)
    return path


def printed(
    capsys: pytest.CaptureFixture[str], target: str, shape: str | None = "3x16x16", **asked: Any
) -> str:
    """What the command prints, standard output alone."""
    given = {"classes": 5, "as_json": False, "layers": False, "against": None, **asked}
    measure.measure(target, shape, runs=Path("runs"), **given)
    return capsys.readouterr().out


def refused(target: str, shape: str | None = None, **asked: Any) -> str:
    """What is said of a request that is wrong: one line."""
    given = {"classes": None, "as_json": False, "layers": False, "against": None, **asked}
    with pytest.raises(SuiteError) as raised:
        measure.measure(target, shape, runs=Path("runs"), **given)
    message = str(raised.value)
    assert "\n" not in message
    return message


# --- a network ------------------------------------------------------------------------------------


def test_every_fact_of_a_network_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    lines = printed(capsys, "mine.py:small").splitlines()
    assert lines[0] == "mine.py:small: one 3x16x16 image in, 5 out; random weights"
    rows = {line.split("  ")[0]: line for line in lines[2:]}
    # 8 kernels of 3 x 3 x 3 and their biases; 5 x 8 weights and biases
    assert rows["Parameters"].split()[1] == str(8 * 28 + 5 * 9)
    # on 14 x 14 pixels
    assert rows["MACs"].split()[1:3] == [f"{8 * 27 * 14 * 14 + 40:,}", "MAC"]
    assert rows["Receptive field"].split()[2:4] == ["3", "px"]
    assert "normal 1, linear 1, gap 1" in rows["Layers"]
    titles = {catalog.load("metrics", name).TITLE for name in metrics.of_kind("fact")}
    assert rows.keys() <= titles
    assert not Path("runs").exists()  # it is nobody's record


def test_the_table_by_layer(capsys: pytest.CaptureFixture[str]) -> None:
    lines = printed(capsys, "mine.py:small", layers=True).splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("layer "))
    assert lines[start].split() == [
        *("layer", "kind", "parameters", "MACs", "training/forward", "activation", "B"),
    ]
    cells = [line.split() for line in lines[start + 2 :]]
    assert cells == [
        # the image needs no gradient: weights alone; it is kept, 3 x 16 x 16 floats
        ["0", "Conv2d", "224", f"{8 * 27 * 196:,}", "2.00", f"{4 * 3 * 256:,}"],
        ["1", "ReLU", f"{4 * 8 * 196:,}"],
        ["4", "Linear", "45", "40", "3.00", str(4 * 8)],
    ]


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ("with_convolution", "equal: with weights tied in order, outputs differ by "),
        ("with_silu", "not equal: with weights tied in order, outputs differ by "),
        ("Untraceable", "cannot be said: weights cannot be tied in order: the first network has 4"),
        ("deeper", "cannot be said: weights cannot be tied in order: the first network has 4 tens"),
    ],
)
def test_a_network_against_another(
    other: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    last = printed(capsys, "mine.py:small", against=f"mine.py:{other}").splitlines()[-1]
    assert last.startswith(f"equal to mine.py:{other}? {words}")


def test_json_has_all_details(capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads(
        printed(capsys, "mine.py:small", as_json=True, against="mine.py:with_convolution")
    )
    assert (found["target"], found["input_shape"], found["outputs"]) == (
        "mine.py:small",
        [3, 16, 16],
        5,
    )
    facts = {name: records.Measurement(**fact) for name, fact in found["facts"].items()}
    assert (
        {"params", "macs", "layers", "activation_memory"}
        < set(facts)
        <= set(metrics.of_kind("fact"))
    )
    assert facts["layers"].detail["where"]["linear"] == ["4"]
    assert found["against"]["mine.py:with_convolution"]["detail"]["equal"] is True
    assert found["environment"]["ablate"] == ablate.__version__
    assert found["environment"]["packages"]["torch"]


def test_a_figure_that_cannot_be_had_is_invalid_and_says_why(
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = " ".join(printed(capsys, "mine.py:Untraceable").split())
    assert "Parameters 112" in text
    assert "Receptive field invalid" in text
    assert "cannot be used as inputs to control flow" in text
    assert "Layers 1 normal 1, read from modules" in text
    text = " ".join(printed(capsys, "mine.py:Opaque").split())
    assert "MACs invalid" in text
    text = " ".join(printed(capsys, "mine.py:Failing").split())
    assert "Parameters 112" in text
    assert "Activation memory invalid measuring it raised RuntimeError: zeros only" in text


def test_a_network_may_put_out_several_things(capsys: pytest.CaptureFixture[str]) -> None:
    first = printed(capsys, "mine.py:Two").splitlines()[0]
    assert first == "mine.py:Two: one 3x16x16 image in, tuple out; random weights"


def test_a_network_of_torchvision(capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads(
        printed(capsys, "torchvision:squeezenet1_1", None, classes=None, as_json=True)
    )
    assert found["input_shape"] == [3, 224, 224]
    # what torchvision publishes with its weights: parameters, and GMACs to three digits
    from torchvision.models import SqueezeNet1_1_Weights

    published = SqueezeNet1_1_Weights.DEFAULT.meta
    assert found["facts"]["params"]["value"] == published["num_params"]
    assert round(found["facts"]["macs"]["value"] / 1e9, 3) == published["_ops"]


# --- a suite --------------------------------------------------------------------------------------


def test_every_variant_of_a_suite(capsys: pytest.CaptureFixture[str]) -> None:
    Path("tiny.yaml").write_text(SUITE)
    lines = printed(capsys, "tiny.yaml", None, classes=None).splitlines()
    assert lines[:2] == ["tiny: A tiny suite", "full networks, not trained"]
    assert lines[3] == "conv: Normal or dilated?"
    assert lines[4].endswith(": 3x32x32, 2 outputs")
    assert lines[5].split()[:4] == ["variant", "match", "parameters", "MACs"]
    rows = [line.split() for line in lines[7:]]
    assert [row[:2] for row in rows] == [["normal", "none"], ["dilated", "none"]]
    # 4 and 8 channels of 3x3 without biases, their normalisations, and 2 classes of 8
    assert {row[2] for row in rows} == {str(4 * 27 + 8 * 36 + 2 * 12 + 2 * 9)}


def test_the_facts_of_a_suite_are_those_of_its_plan(capsys: pytest.CaptureFixture[str]) -> None:
    Path("tiny.yaml").write_text(changed(add="profiles: {small: {network.width: 0.5}}\n"))
    found = json.loads(printed(capsys, "tiny.yaml", None, classes=None, as_json=True))
    written = {path.parent.name: path.read_bytes() for path in Path("runs").rglob("record.json")}
    assert written.keys() == found["facts"].keys()
    again = json.loads(printed(capsys, "tiny.yaml", None, classes=None, as_json=True))
    assert again["facts"] == found["facts"]
    asked = commands.request("tiny.yaml", "small", None, None, ())
    commands.plan(asked, None, Path("runs"), as_json=True)
    for id, bytes_ in written.items():
        assert (Path("runs/facts") / id / "record.json").read_bytes() == bytes_
    (comparison,) = found["comparisons"]
    ids = [row["facts"] for row in comparison["rows"]]
    assert [row["variant"] for row in comparison["rows"]] == ["normal", "dilated"]
    assert [found["facts"][id]["network"]["conv"]["kind"] for id in ids] == ["normal", "dilated"]


# --- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "asked", "message"),
    [
        ("resnet18", {}, "target: unknown target 'resnet18'; did you mean 'torchvision:resnet18'?"),
        ("s77", {}, "target: unknown target 's77'; did you mean 's7'?"),
        (
            "xyzzy",
            {},
            "target: unknown target 'xyzzy'; give a suite (arithmetic, census, latency, s7, or ",
        ),
        ("none.yaml", {}, "suite: there is no file none.yaml; suites by name: "),
        ("torchvision:resnet19", {}, "target: torchvision has no network 'resnet19'; did you mean"),
        ("none.py:build", {}, "target: cannot read none.py: No such file or directory; "),
        ("mine.py:smal", {}, "target: mine.py has no function 'smal'; did you mean 'small'?"),
        ("mine.py:small", {"against": "mine.py:smal"}, "--against: mine.py has no function 'smal'"),
        ("mine.py:small", {"against": "s7"}, "--against: 's7' is no source of a network; write "),
        ("mine.py:small", {"shape": "3x16"}, "--input: '3x16' is no shape of an image; write chan"),
        ("mine.py:small", {"shape": "3x1.5x2"}, "--input: '3x1.5x2' is no shape of an image; wri"),
        ("mine.py:small", {"shape": "3x-1x2"}, "--input: '3x-1x2' is no shape of an image; write"),
        ("mine.py:small", {"shape": "3x0x2"}, "--input: '3x0x2' has a side of 0; an image has a "),
        (
            "mine.py:small",
            {"shape": "1x16x16"},
            "--input: every figure would be about one 1x16x16 image, which mine.py:small does not "
            "take; it says RuntimeError: Given groups=1, weight of size [8, 3, 3, 3], expected ",
        ),
        (
            "mine.py:small",
            {"shape": "3x2x2"},
            "--input: every figure would be about one 3x2x2 image, which mine.py:small does not ta",
        ),
        ("s7", {"shape": "3x8x8"}, "--input: is about one network, and s7 is a suite, which says "),
        ("s7", {"classes": 5}, "--classes: is about one network, and s7 is a suite, which says "),
        ("s7", {"layers": True}, "--layers: is about one network, and s7 is a suite"),
        ("s7", {"against": "s7"}, "--against: is about one network, and s7 is a suite"),
    ],
)
def test_what_is_wrong_is_one_line(target: str, asked: dict[str, Any], message: str) -> None:
    assert refused(target, **asked).startswith(message)
    assert not Path("runs").exists()


def call(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """Call the program in the working directory."""
    return subprocess.run(
        [sys.executable, "-m", "ablate", *arguments],
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_program_keeps_answer_and_noise_apart() -> None:
    options = ("--input", "3x16x16", "--classes", "5", "--json")
    done = call("measure", "mine.py:small", *options)
    assert done.returncode == 0
    assert done.stderr == "a network\n"  # what the file prints; what it warns of is left out
    assert json.loads(done.stdout)["outputs"] == 5
    done = call("measure", "mine.py:smal")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "target: mine.py has no function 'smal'; did you mean 'small'?\n"
