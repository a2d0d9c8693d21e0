"""Claims on networks that no row has: swept settings, trends, blocks, and equal functions."""

import re
from pathlib import Path

import pytest

from ablate import catalog, records, study
from ablate.evidence import blocks, verdicts
from ablate.evidence.collect import collect
from ablate.evidence.frame import frame
from ablate.evidence.verdicts import Verdict
from ablate.report.sweeps import sweeps as table
from ablate.suite import plan as planning
from ablate.suite import remembered
from ablate.suite.preflight import check
from ablate.suite.request import Request
from ablate.suite.source import SuiteError
from tests.tiny import changed, checked, loaded

WIDTHS = [16, 32, 64, 128, 256, 512]
RUNS = Path("runs")


def suite(*claims: str, variants: str = "depthwise: {network.conv: depthwise_separable}") -> str:
    """Return the tiny suite, untrained, with some claims."""
    listed = "".join(
        f"      - {{note: 'A:{n}', says: so, {claim}}}\n" for n, claim in enumerate(claims, 1)
    )
    return changed(
        ("seeds: 2", "seeds: 0"),
        ("stages: [[4], [8]]", "stages: [[16, 16], [32]]"),
        ("      dilated: {network.conv: dilated}\n", f"      {variants}\n"),
        add=f"    claims:\n{listed}",
    )


def planned(text: str) -> study.Study:
    found = loaded(text)
    return planning.make(found, check(found), RUNS, "cpu").study


def judged(text: str) -> list[Verdict]:
    return [*verdicts.judge(collect(RUNS, planned(text)))]


def refused(text: str) -> str:
    with pytest.raises(SuiteError) as caught:
        checked(text)
    return "\n".join(
        line for line in str(caught.value).splitlines() if line.startswith("tiny.yaml")
    )


def closed_form(width: int, kernel: int = 3) -> float:
    """Return a normal convolution's parameters over a depthwise separable one's, Ci = Co."""
    return kernel**2 * width * width / (kernel**2 * width + width * width)


@pytest.mark.usefixtures("here")
def test_a_ratio_of_blocks_is_the_closed_form_and_says_where_it_holds() -> None:
    claim = "kind: ratio, metric: params.block, of: normal/depthwise, about: 8"
    where = f"at: {{layer: features.stage1.layer2.conv}}, over: {{network.width: {WIDTHS}}}"
    (found,) = judged(suite(f"{claim}, {where}"))
    for width, part in zip(WIDTHS, found.parts, strict=True):
        assert part.where == f"at width {width}"
        assert part.setting == {"network.width": width}
        assert part.estimate == pytest.approx(closed_form(width), rel=1e-12)
        holds = 7.2 <= closed_form(width) <= 8.8
        assert part.word == ("supported" if holds else "refuted")
    assert (found.word, found.why) == ("depends", "on the width")
    assert found.sentence == (
        "Depends on the width: holds at 3 of 6 widths, from 64 to 256; parameters of "
        "features.stage1.layer2.conv, normal to depthwise: 5.76 times at 16, 8.84 times at 512, "
        "claimed 7.20 to 8.80 times (arithmetic of the full networks, staged 16-16 | 32)."
    )
    assert found.screening == ()


@pytest.mark.usefixtures("here")
def test_blocks_that_differ_are_summed() -> None:
    (found,) = judged(suite("kind: ratio, metric: params.block, of: normal/depthwise, at_least: 6"))
    # The stem is a normal convolution in both, and so it is in no sum.
    normal = 9 * (16 * 16 + 16 * 32)
    depthwise = (9 * 16 + 16 * 16) + (9 * 16 + 16 * 32)
    assert found.parts[0].estimate == pytest.approx(normal / depthwise, rel=1e-12)
    assert found.word == "supported"


def test_a_block_is_the_outermost_role_of_a_path() -> None:
    paths = {
        "features.stage1.layer2.conv.depthwise": "features.stage1.layer2.conv",
        "features.stage1.layer2.conv.norm": "features.stage1.layer2.conv",
        "features.stage1.merge2.project.conv": "features.stage1.merge2",
        "features.stage1.layer2.norm": "features.stage1.layer2.norm",
        "head.up.conv": "head",
        "layer1.0.downsample.0": "layer1.0.downsample.0",
        "": "",
    }
    assert {path: blocks.block_of(path) for path in paths} == paths
    roles = {entry.name for entry in (catalog.PACKAGE / "blocks").iterdir() if entry.is_dir()}
    assert all(blocks.ROLE.fullmatch(role) for role in roles if not role.startswith("_"))


def test_blocks_in_common_and_blocks_of_one_network_alone() -> None:
    ours = {"a.conv": 10, "a.norm": 4, "merge1.project": 3}
    theirs = {"a.conv.depthwise": 2, "a.conv.pointwise": 3, "a.norm": 4}
    assert blocks.where_they_differ(ours, theirs) == (13, 5)
    assert blocks.where_they_differ(ours, dict(ours)) == (0, 0)
    # One layer more within a block: the whole block counts, on both sides.
    more = {**theirs, "a.conv.norm": 2}
    assert blocks.where_they_differ(more, theirs) == (7, 5)
    assert blocks.at_path(theirs, "a.conv") == 5
    assert blocks.at_path(theirs, "a.con") == 0


SAME = "over: {network.width: [8, 16, 32]}"
KINDS = [
    # Convolutions of 3, w, w, 2w channels; normalisations; the head of 2w inputs and two classes.
    (f"kind: order, metric: macs, expect: depthwise < normal, margin: 0, {SAME}", "supported",
     "Supported at all 3 widths, 8 to 32: MACs, depthwise against normal: "),
    (f"kind: order, metric: params, expect: depthwise > normal, margin: 0, {SAME}", "refuted",
     "Refuted at all 3 widths, 8 to 32, opposite: parameters, depthwise against normal: "),
    (f"kind: order, metric: params, expect: depthwise < normal, margin: 2000, {SAME}", "depends",
     "Depends on the width: holds at 2 of 3 widths, from 16 on; parameters, depthwise against "),
    (f"kind: order, metric: params, expect: depthwise < normal, margin: 99999, {SAME}",
     "true but negligible", "True but negligible at all 3 widths, 8 to 32: "),
    (f"kind: order, metric: params, expect: depthwise < normal, margin: 10%, {SAME}", "supported",
     "Supported at all 3 widths, 8 to 32: "),
    (f"kind: equivalence, metric: receptive_field, expect: depthwise = normal, margin: 0, {SAME}",
     "supported", "Supported at all 3 widths, 8 to 32: receptive field, depthwise against normal: "
     "10 px against 10 px throughout ("),
    (f"kind: equality, metric: params, expect: depthwise = normal, {SAME}", "refuted",
     "Refuted at all 3 widths, 8 to 32: parameters, depthwise against normal: "),
    (f"kind: range, metric: params, of: normal, low: 1000, high: 12000, {SAME}", "depends",
     "Depends on the width: holds at 2 of 3 widths, up to 16; parameters of normal: "),
    (f"kind: count, metric: receptive_field, of: normal, equals: 10, {SAME}", "supported",
     "Supported at all 3 widths, 8 to 32: receptive field of normal: 10 px throughout, "),
    (f"kind: requirement, metric: params, of: normal, at_most: 12000, {SAME}", "depends",
     "Depends on the width: holds at 2 of 3 widths, up to 16; parameters of normal: "),
    ("kind: ratio, metric: params, of: normal/depthwise, at_least: 3.2, "
     "over: {network.width: [8, 32], network.norm: [batch, none]}", "depends",
     "Depends on the width and norm: holds at 3 of 4 combinations of width and norm, at width 8, "
     "norm none, width 32, norm batch and width 32, norm none; "),
]  # fmt: skip


@pytest.mark.usefixtures("here")
def test_every_kind_of_claim_may_sweep() -> None:
    found = judged(suite(*(claim for claim, _, _ in KINDS)))
    said = [(verdict.word, verdict.sentence) for verdict in found]
    for (claim, word, begins), (spoken, sentence) in zip(KINDS, said, strict=True):
        assert spoken == word, (claim, sentence)
        assert sentence.startswith(begins), (claim, sentence)


def parameters(width: int) -> int:
    """Count the parameters of the tiny network with the first layer at some width."""
    convolutions = 9 * (3 * width + width * width + width * 2 * width)
    return convolutions + 2 * (width + width + 2 * width) + (2 * width * 2 + 2)


@pytest.mark.usefixtures("here")
def test_a_trend_is_of_all_values_together() -> None:
    sweep = "over: {network.width: [8, 16, 32]}"
    rising, falling, small, share, merge = judged(
        suite(
            f"kind: trend, metric: params, of: normal, expect: rising, {sweep}",
            f"kind: trend, metric: params, of: normal, expect: falling, {sweep}",
            f"kind: trend, metric: params, of: normal, expect: rising, margin: 99999, {sweep}",
            f"kind: trend, metric: params, of: normal, expect: rising, margin: 2000%, {sweep}",
            "kind: trend, metric: receptive_field, of: normal, expect: rising, "
            "over: {network.conv: [normal, dilated, depthwise_separable]}",
        )
    )
    ends = f"{parameters(8):,} to {parameters(32):,}"
    assert rising.sentence == (
        f"Supported: parameters of normal: up from {ends} over 3 widths, 8 to 32, at every step "
        "(arithmetic of the full networks, staged 16-16 | 32)."
    )
    assert [part.estimate for part in rising.parts] == [parameters(w) for w in (8, 16, 32)]
    assert (falling.word, falling.why) == ("refuted", "opposite")
    assert small.word == "true but negligible"
    assert "less than the 99,999 that matter" in small.sentence
    least = 1 + 2000 / 100  # of the first value
    word = "supported" if parameters(32) > least * parameters(8) else "true but negligible"
    assert share.word == word
    assert (merge.word, merge.why) == ("refuted", "falls on the way")
    assert (
        "falls on the way, from 16 px at dilated to 10 px at depthwise separable" in merge.sentence
    )


@pytest.mark.usefixtures("here")
def test_extremes_between_the_ends_are_told() -> None:
    claim = (
        "kind: range, metric: receptive_field, of: normal, low: 1, high: 12, "
        "over: {network.conv: [normal, dilated, depthwise_separable]}"
    )
    (found,) = judged(suite(claim))
    assert "10 px at normal, 16 px at dilated, 10 px at depthwise separable" in found.sentence
    assert "holds at 2 of 3 convs, at normal and depthwise separable" in found.sentence


@pytest.mark.usefixtures("here")
def test_facts_of_a_sweep_are_records_and_nothing_else_is_asked_anew() -> None:
    sweep = "over: {network.width: [8, 512]}"
    claim = f"kind: ratio, metric: params, of: normal/depthwise, at_least: 2, {sweep}"
    plain = planned(suite().replace("    claims:\n", ""))
    found = planned(suite(claim))
    (before,), (after,) = plain.comparisons, found.comparisons
    assert [row.full_facts for row in before.rows] == [row.full_facts for row in after.rows]
    assert before.points == []
    assert [(p.variants, p.settings) for p in after.points] == [
        ([name], {"network.width": width}) for width in (8, 512) for name in ("normal", "depthwise")
    ]
    record = records.read(RUNS, "fact", after.points[2].facts)
    assert record is not None
    assert set(record.metrics) == {"params"}  # what is claimed, and no pass through 512 channels
    assert record.metrics["params"].value == parameters(512)
    evidence = collect(RUNS, found)
    numbers = frame(evidence)
    swept = numbers[numbers.network == "swept"]
    assert sorted(swept["at"].unique()) == ["network.width=512", "network.width=8"]
    assert set(numbers[numbers.network == "full"].metric) > {"params", "macs"}
    lines = table(found, evidence.comparisons[0])
    assert lines is not None
    assert [line.values["ratio"] for line in lines.lines] == [
        pytest.approx(part.estimate) for part in verdicts.judge(evidence)[0].parts
    ]
    assert [cell.text for cell in lines.lines[0].cells][2] == "width 8"
    # A record that is lost is missed, and its claim is not judged from the rest.
    lost = records.folder(RUNS, "fact", after.points[0].facts)
    (lost / "record.json").unlink()
    (verdict,) = verdicts.judge(collect(RUNS, found))
    assert verdict.word == "invalid"
    assert planned(suite(claim)).id == found.id
    assert (lost / "record.json").exists()


@pytest.mark.usefixtures("here")
def test_a_plan_is_remembered_only_with_the_facts_of_its_sweeps() -> None:
    claim = (
        "kind: range, metric: params, of: normal, low: 1, high: 2, over: {network.width: [8, 16]}"
    )
    found = loaded(suite(claim))
    items = check(found)
    asked = Request("tiny.yaml")
    given = remembered.inputs(asked, "cpu")
    made = planning.make(found, items, RUNS, "cpu")
    remembered.keep(given, asked, "cpu", found, items, made, RUNS)
    known = remembered.recall(given, RUNS)
    assert known is not None
    assert known.study.comparisons[0].points == made.study.comparisons[0].points
    lost = records.folder(RUNS, "fact", made.study.comparisons[0].points[0].facts)
    lost.rename(lost.with_name("elsewhere"))
    assert remembered.recall(given, RUNS) is None


# --- functions ------------------------------------------------------------------------------------

NETS = '''\
"""Networks that compute the same by other means, or not."""
from torch import nn

def pointwise(input_shape, outputs):
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(3, outputs, 1), nn.Flatten())

def linear(input_shape, outputs):
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, outputs))

def doubled(input_shape, outputs):
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.ReLU(), nn.Linear(3, outputs))

def untied(input_shape, outputs):
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, outputs, bias=False))
'''


def functions(here: Path, other: str) -> str:
    (here / "nets.py").write_text(NETS)
    return (
        suite("kind: equality, metric: function, expect: normal = depthwise")
        .replace(
            "{family: staged, stages: [[16, 16], [32]]}",
            '{family: zoo, source: "nets.py:pointwise"}',
        )
        .replace("{network.conv: depthwise_separable}", f'{{network.source: "nets.py:{other}"}}')
    )


def test_two_networks_that_compute_the_same_are_found_to(here: Path) -> None:
    (found,) = judged(functions(here, "linear"))
    assert found.word == "supported"
    assert found.sentence.startswith(
        "Supported: normal and depthwise compute the same, weights tied in order: they differ by "
    )
    assert found.parts[0].estimate is not None
    assert found.parts[0].estimate < 1e-12
    (other,) = judged(functions(here, "doubled"))
    assert (other.word, other.why) == ("refuted", "different")
    assert "normal and depthwise differ by " in other.sentence
    assert " % of the largest output, weights tied in order" in other.sentence


def test_networks_that_cannot_be_tied_are_refused(here: Path) -> None:
    with pytest.raises(SuiteError) as caught:
        planned(functions(here, "untied"))
    assert str(caught.value).splitlines()[0] == (
        "tiny.yaml:18:57: whether 'normal' and 'depthwise' compute the same cannot be told: "
        "weights cannot be tied in order: the first network has 2 tensors of parameters and "
        "running averages, the second 1; claim it of networks with the same tensors in one order"
    )


# --- what is wrong --------------------------------------------------------------------------------

RANGE = "kind: range, metric: params, of: normal, low: 1, high: 2"
RATIO = "kind: ratio, metric: params, of: normal/depthwise, about: 8"
TREND = "kind: trend, metric: params, of: normal, expect: rising"
WRONG = {
    "a metric that is trained": (
        f"{RANGE.replace('params', 'accuracy')}, {SAME}",
        "'accuracy' is no fact of a network; what `over` sweeps is not trained and not timed: "
        "claim one of activation_memory, ",
    ),
    "latency": (
        f"kind: order, metric: latency, expect: depthwise < normal, margin: 1%, {SAME}",
        "'latency' is no fact of a network; what `over` sweeps",
    ),
    "a question": (
        f"kind: question, metric: params, between: [normal, depthwise], margin: 1, {SAME}",
        "a question is not asked along a sweep; claim an order, or a trend",
    ),
    "a value twice": (
        f"{RATIO}, over: {{network.width: [8, 8]}}",
        "8 is given twice; give it once",
    ),
    "no setting of a network": (
        f"{RANGE}, over: {{recipe.lr: [0.1, 0.2]}}",
        "'recipe.lr' is no setting of a network; sweep for example network.width",
    ),
    "what a variant sets": (
        f"{RATIO}, over: {{network.conv: [normal, dilated]}}",
        "variant 'depthwise' sets network.conv, which the sweep of network.conv would undo; sweep "
        "what the two have in common",
    ),
    "too many values": (
        f"{RANGE}, over: {{network.width: {[*range(1, 34)]}, network.norm: [batch, none]}}",
        "these are 66 combinations of values; a claim may sweep 64",
    ),
    "a bad value": (
        f"{RANGE}, over: {{network.width: [8, -1]}}",
        "normal at network.width -1: should be greater than 0, not -1",
    ),
    "an unknown key": (
        f"{RANGE}, over: {{network.widht: [8, 16]}}",
        "normal at network.widht 8: network family 'staged' has no option 'widht'; did you mean "
        "'width'?",
    ),
    "a trend along nothing": (
        TREND,
        "a trend is along a sweep; add for example `over: {network.width: [16, 32, 64]}`",
    ),
    "a trend along two settings": (
        f"{TREND}, over: {{network.width: [8, 16], network.norm: [batch, none]}}",
        "a trend is along one setting; sweep one",
    ),
    "a trend that goes down": (
        f"{TREND}, over: {{network.width: [16, 8]}}",
        "the values of a trend go up; write [8, 16]",
    ),
    "a function that is no equality": (
        "kind: range, metric: function, of: normal, low: 1, high: 2",
        "two networks compute the same function or not; claim it with `kind: equality`",
    ),
    "the metric of functions": (
        "kind: equality, metric: equality, expect: normal = depthwise",
        "'equality' is of two networks; claim `kind: equality, metric: function`",
    ),
    "blocks of one variant": (
        "kind: range, metric: params.block, of: normal, low: 1, high: 2",
        "the blocks in which two variants differ take two variants; of one, say which part: "
        "`at: {layer: …}`",
    ),
    "blocks of another metric": (
        "kind: ratio, metric: macs.block, of: normal/depthwise, about: 8",
        "of blocks only parameters are counted; write params.block",
    ),
    "a part that is not there": (
        f"{RATIO.replace('params', 'params.block')}, at: {{layer: features.stage1.layer2.cnov}}",
        "the network of 'normal' has no parameters at 'features.stage1.layer2.cnov'; did you mean "
        "'features.stage1.layer2.conv'",
    ),
    "a part of a whole": (
        f"{RATIO}, at: {{layer: features.stage1}}",
        "`at: {layer: …}` is for parts of a network: params.block",
    ),
}  # fmt: skip


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_said_before_anything_is_measured(name: str) -> None:
    claim, message = WRONG[name]
    said = refused(suite(claim))
    assert message in said
    assert said.startswith("tiny.yaml:18:")
    assert len(said.splitlines()) == 1, said


@pytest.mark.usefixtures("here")
def test_a_network_that_cannot_be_built_is_named_with_its_value() -> None:
    down = "over: {network.stages: [a, b]}"
    assert "normal at network.stages a: " in refused(suite(f"{RANGE}, {down}"))
    # Of sixteen channels three groups do not make whole ones.
    grouped = suite(
        f"{RANGE.replace('of: normal', 'of: depthwise')}, over: {{network.conv.groups: [2, 3]}}",
        variants="depthwise: {network.conv: {kind: grouped, groups: 4}}",
    )
    assert re.search(
        r"tiny\.yaml:18:\d+: depthwise at network\.conv\.groups 3: cannot be built: .*groups",
        refused(grouped),
    )
