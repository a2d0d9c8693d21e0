"""The suite `census`: its counts, accuracies that others publish, and claims on each of several."""

import importlib.util
import math
import sys
import warnings
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from tiny import changed, loaded, write
from torch import nn
from torchvision import models

from ablate import commands, networks, study
from ablate.cli import Exit
from ablate.evidence import requirements, sentences
from ablate.evidence.collect import collect
from ablate.evidence.requirements import Part
from ablate.evidence.verdicts import judge
from ablate.metrics import layers, published_accuracy
from ablate.networks import zoo
from ablate.records import Measurement
from ablate.report.comparison import results
from ablate.suite.load import Loaded, load
from ablate.suite.request import Request
from ablate.suite.source import SuiteError

ROOT = Path(__file__).parent.parent
SUITE = ROOT / "suites" / "census.yaml"
IMAGENET = (3, 224, 224)


def census() -> Loaded:
    return load(Request(str(SUITE)), "full")


def own() -> ModuleType:
    """Import the file of networks that torchvision does not have, as any file of modules."""
    spec = importlib.util.spec_from_file_location(
        "census_networks", ROOT / "suites" / "census_networks.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["census_networks"] = module
    spec.loader.exec_module(module)
    return module


def built(source: str) -> Any:
    """Build a network of the suite without ablate."""
    collection, _, name = source.partition(":")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what torchvision will initialise otherwise
        if collection != "torchvision":
            return getattr(own(), name.partition("#")[0])()
        more = {"aux_logits": False} if name in ("googlenet", "inception_v3") else {}
        return models.get_model(name, weights=None, **more)


# --- what networks are made of --------------------------------------------------------------------

# Convolutions of several groups, k x 1 or 1 x k, and 1x1 to more channels: counted by hand off the
# papers' tables, without looking at any network.
BY_HAND = {
    # Section 3.5 and figure 2: the second, fourth and fifth read the maps of one GPU.
    "suites/census_networks.py:alexnet_2012": (3, 0, 0),
    "torchvision:alexnet": (0, 0, 0),
    "torchvision:googlenet": (0, 0, 0),
    # Szegedy et al. 2015, arXiv 1512.00567, figures 6 and 7: see test_census.py.
    "torchvision:inception_v3": (0, 6 * 4 + 2 + 4 * 2, 1),
    # Each of 16 blocks, and each stage's projection, makes more channels.
    "torchvision:resnet50": (0, 0, 16 + 4),
    "suites/census_networks.py:resnet50_v1": (0, 0, 16 + 4),
    "torchvision:resnet152": (0, 0, 50 + 4),
    "torchvision:vgg16": (0, 0, 0),
    # The block's first 1x1 makes 128 of 64 once.
    "torchvision:resnext50_32x4d": (16, 0, 1 + 16 + 4),
    # As ResNeXt-50 with two convolutions for each grouped one, and an attention: of what they made
    # together two 1x1 make weights for as many channels (Li et al. 2019, arXiv 1903.06586).
    "suites/census_networks.py:sknet50": (2 * 16, 0, 1 + 16 + 4 + 2 * 16),
    # Figure 5: two separable convolutions in each of four blocks, three in each of eight, and two.
    # Channels grow in: 64-128, 128-256, 256-728, 728-1024, 1024-1536, 1536-2048, and four skips.
    "suites/census_networks.py:xception": (2 * 4 + 3 * 8 + 2, 0, 6 + 4),
    # Table 1: thirteen; channels grow at 64, 128, 256, 512 and 1024.
    "suites/census_networks.py:mobilenet_v1": (13, 0, 5),
    "torchvision:mobilenet_v2": (17, 0, 16 + 1),
    "torchvision:squeezenet1_1": (0, 0, 8 + 1),
    # 1 + 2 + 7 + 12 blocks of 32, 64, 160 and 400 channels (Radosavovic et al. 2020, arXiv
    # 2003.13678, RegNetX-400MF): after the stem's 32 a 1x1 grows where a stage begins, and a skip.
    "torchvision:regnet_x_400mf": (1 + 2 + 7 + 12, 0, 3 + 3),
}


def sources() -> list[str]:
    suite = census().suite
    named: dict[str, Any] = {name: dict(value) for name, value in suite.variants.items()}
    found = ["torchvision:resnet50"]
    for comparison in suite.comparisons:
        for variant in comparison.variants.values():
            settings = named[variant] if isinstance(variant, str) else variant
            found += [str(value) for path, value in settings.items() if path == "network.source"]
    return [*dict.fromkeys(found)]


@pytest.mark.parametrize("source", sorted(BY_HAND))
def test_the_layers_of_the_suite_s_networks(source: str) -> None:
    network = built(source)
    convolutions = [m for m in network.modules() if isinstance(m, nn.Conv2d)]
    groups = sum(conv.groups != 1 for conv in convolutions)
    thin = sum(sorted(conv.kernel_size)[0] == 1 < max(conv.kernel_size) for conv in convolutions)
    one = [c for c in convolutions if c.weight.shape[2:].numel() == 1 and c.groups == 1]
    grows = sum(conv.weight.shape[0] > conv.weight.shape[1] for conv in one)
    detail = layers.measure(network, IMAGENET).detail
    measured = tuple(detail[kind] for kind in ("multigroup", "asymmetric", "pointwise_expand"))
    assert measured == (groups, thin, grows) == BY_HAND[source]
    assert detail["multigroup"] == detail["grouped"] + detail["depthwise"]
    if "resnext" in source or "regnet" in source or "2012" in source:
        assert detail["depthwise"] == 0


def test_the_suite_has_the_networks_that_were_counted() -> None:
    left = {f"torchvision:{name}" for name in (
        "densenet121", "mnasnet1_0", "mobilenet_v3_small", "mobilenet_v3_large",
        "shufflenet_v2_x1_0", "efficientnet_b0", "efficientnet_b4",
    )}  # fmt: skip
    assert {source.partition("#")[0] for source in sources()} == BY_HAND.keys() | left


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        # As Caffe counts its copy of the network: "60,965,224".
        ("alexnet_2012", 60_965_224),
        # As Keras counts what is trainable; the papers say 4.2 and 22.855952 million.
        ("mobilenet_v1", 4_231_976),
        ("xception", 22_855_952),
    ],
)
def test_networks_that_torchvision_does_not_have(name: str, parameters: int) -> None:
    network = built(f"suites/census_networks.py:{name}").eval()
    assert sum(p.numel() for p in network.parameters()) == parameters
    with torch.no_grad():
        assert network(torch.zeros(1, *IMAGENET)).shape == (1, 1000)


def test_the_suite_is_sound_and_trains_nothing() -> None:
    found = census()
    notes = {claim.note for comparison in found.suite.comparisons for claim in comparison.claims}
    assert notes == {
        *("A:33b", "A:37", "A:39", "A:57", "A:59", "A:115b", "A:121", "B:15"),
        *("B:66", "B:70", "B:78", "C:162", "C:176", "C:184"),
    }
    assert all(found.is_static(comparison) for comparison in found.suite.comparisons)


# --- what they are said to reach ------------------------------------------------------------------


def published(source: str, **options: Any) -> Measurement | None:
    return published_accuracy.measure(zoo.Zoo(nn.Identity(), source, options), IMAGENET)


def test_an_accuracy_is_that_of_the_first_weights() -> None:
    # As torchvision's documentation lists them under "Classification".
    found = published("torchvision:resnet50", num_classes=1000)
    assert found is not None
    assert (found.value, found.unit) == (76.13, "%")
    assert found.detail["weights"] == "IMAGENET1K_V1"
    assert (found.detail["best"], found.detail["best_weights"]) == (80.858, "IMAGENET1K_V2")
    # Weights for detection have no accuracy.
    found = published("torchvision:vgg16")
    assert found is not None
    assert found.detail["by_weights"] == {"IMAGENET1K_V1": 71.592}
    for name, accuracy in (("efficientnet_b0", 77.692), ("inception_v3", 77.294)):
        found = published(f"torchvision:{name}")
        assert found is not None
        assert found.value is not None
        assert math.isclose(found.value, accuracy)


def test_only_networks_as_they_were_published_have_an_accuracy() -> None:
    assert published("torchvision:mobilenet_v2", width_mult=0.5) is None
    assert published("suites/census_networks.py:xception#012345678901") is None
    assert published("torchvision:mnasnet1_3") is not None
    assert published_accuracy.measure(nn.Conv2d(3, 8, 3), IMAGENET) is None


# --- a claim on each of several -------------------------------------------------------------------

STATIC = """\
id: tiny
title: Structure alone
question: What follows from the structure?
base:
  task: classify
  data: {name: cifar10}
  network: {family: staged, stages: [[4], [8]]}
seeds: 0
comparisons:
  - id: conv
    title: Which have depthwise layers?
    baseline: normal
    variants:
      normal: {}
      depthwise: {network.conv: depthwise_separable}
      dilated: {network.conv: dilated}
    claims:
"""

# What is required, and of which.
REQUIRED = [
    ("metric: layers.depthwise, at_least: 1", "all"),
    ("metric: layers.depthwise, at_least: 1", "depthwise"),
    ("metric: layers.depthwise, at_most: 0", "normal, dilated"),
    ("metric: layers.depthwise, at_least: 1", "normal, dilated"),
    ("metric: layers.wooden, at_least: 1", "normal, dilated"),
    ("metric: layers.wooden, at_least: 1", "normal"),
]


def test_a_requirement_of_several_is_met_by_each(here: Path) -> None:
    claims = [
        f'      - {{note: "A:{number}", says: x, kind: requirement, {what}, of: "{of}"}}\n'
        for number, (what, of) in enumerate(REQUIRED, 1)
    ]
    write(STATIC + "".join(claims))
    asked = Request("tiny.yaml", "full")
    assert commands.run(asked, "cpu", Path("runs"), Path("reports"), "1", None, False) == Exit.OK
    known = study.newest(here / "runs", "tiny")
    assert known is not None
    evidence = collect(here / "runs", known)
    found = judge(evidence)
    # Of two layers the first, which reads the image, is left a normal one.
    assert [(verdict.word, verdict.sentence) for verdict in found] == [
        (
            "refuted",
            "Refuted: depthwise layers ≥ 1 of each: normal 0, depthwise 1 and dilated 0; not by "
            "normal and dilated.",
        ),
        ("supported", "Supported: depthwise layers ≥ 1 of depthwise, found 1."),
        ("supported", "Supported: depthwise layers ≤ 0 of each: normal 0 and dilated 0."),
        (
            "refuted",
            "Refuted: depthwise layers ≥ 1 of each: normal 0 and dilated 0; by none of them.",
        ),
        (
            "not tested",
            "Not tested: Layers ≥ 1 of each; not tested of normal (invalid: normal (baseline): "
            "layers.wooden was not counted); not tested of dilated (invalid: dilated (drop-in): "
            "layers.wooden was not counted).",
        ),
        (
            "not tested",
            "Not tested: Layers ≥ 1 of normal, invalid: normal (baseline): "
            "layers.wooden was not counted.",
        ),
    ]
    assert [dict(each) for each in found[0].parts[0].each] == [
        {"variants": ["normal"], "word": "refuted", "estimate": 0},
        {"variants": ["depthwise"], "word": "supported", "estimate": 1},
        {"variants": ["dilated"], "word": "refuted", "estimate": 0},
    ]
    # What is claimed of networks that are not trained is a column of their table.
    table = results(known, evidence.comparisons[0])
    (at,) = (n for n, column in enumerate(table.columns) if column.title == "Depthwise layers")
    assert [line.cells[at].text for line in table.lines] == ["0", "1", "0"]
    assert [line.values["layers.depthwise_full"] for line in table.lines] == [0, 1, 0]
    page = (here / "reports" / "tiny" / "index.html").read_text()
    assert "depthwise layers ≥ 1 of each: normal 0, depthwise 1 and dilated 0" in page


def part(verdict: requirements.Verdict, found: str = "", reason: str = "") -> Part:
    return Part("accuracy", "at_least", 80, "Accuracy ≥ 80 %", found, None, verdict, reason)


@pytest.mark.parametrize(
    ("verdicts", "word"),
    [
        (["met", "met"], "met"),
        (["met", "not met"], "not met"),
        (["not tested", "not met"], "not met"),
        (["met", "not tested"], "not tested"),
        (["not tested", "not tested"], "not tested"),
    ],
)
def test_the_table_of_requirements_together(
    verdicts: list[requirements.Verdict], word: str
) -> None:
    assert requirements.together([part(verdict) for verdict in verdicts]) == word


def test_what_is_said_of_each() -> None:
    def said(**parts: Part) -> str:
        of_each: Mapping[str, Part] = parts
        return sentences.of_each(of_each)

    wait = "it is not trained"
    assert said(a_b=part("met", "81 %"), c=part("not tested", "", wait)) == (
        "Accuracy ≥ 80 % of each: a b 81 %; not tested of c (it is not trained)"
    )
    assert said(a=part("not tested", "", wait), b=part("not tested", "", wait)) == (
        "Accuracy ≥ 80 % of each; not tested of a and b (it is not trained)"
    )
    assert said(a=part("not met", "79 %"), b=part("met", "81 %")) == (
        "Accuracy ≥ 80 % of each: a 79 % and b 81 %; not by a"
    )


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("of", "more", "message"),
    [
        ("normal, dilatd", "", "the claim is about 'dilatd', which is no variant of this"),
        ("normal,", "", "'normal,' has a comma too many; write for example `strided, maxpool`"),
        ("normal, normal", "", "'normal, normal' names 'normal' twice; name each variant once"),
        ("normal, all", "", "`all` stands for every variant of the comparison; write it alone"),
        (
            "all",
            ", over: {network.width: [4, 8]}",
            "a sweep (`over`) is of one variant that is named; name one in `of`",
        ),
    ],
)
def test_what_a_requirement_of_several_may_not_say(of: str, more: str, message: str) -> None:
    claim = f'{{note: "A:1", says: x, kind: requirement, metric: params, of: "{of}", at_least: 1'
    text = changed(add=f"    claims:\n      - {claim}{more}}}\n")
    try:
        found = [problem.message for problem in loaded(text).problems]
    except SuiteError as error:
        found = [problem.message for problem in error.problems]
    assert len(found) == 1
    assert message in found[0]


def test_other_people_s_networks_differ_in_what_they_are() -> None:
    one = zoo.Zoo(nn.Conv2d(3, 8, 3), "torchvision:one", {"num_classes": 10})
    other = zoo.Zoo(nn.Linear(3, 8), "torchvision:other", {})
    assert networks.difference(one, other) == [
        "- 1 Zoo (torchvision:one, num_classes=10)",
        "+ 1 Zoo (torchvision:other)",
    ]
    wider = zoo.Zoo(nn.Conv2d(3, 16, 3), "torchvision:one", {"num_classes": 20})
    assert "first layer: 8 -> 16 channels" in networks.difference(one, wider)
