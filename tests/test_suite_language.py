"""What a suite means: paths, layers, variants, seeds, profiles, claims, matches and trial ids."""

import copy
import json
import shutil
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from tiny import SUITE, changed, checked, loaded
from torch import nn

from ablate import catalog, commands, records
from ablate.suite import dotted, match
from ablate.suite import plan as planning
from ablate.suite.claims import KINDS
from ablate.suite.load import load
from ablate.suite.plan import Plan
from ablate.suite.preflight import check
from ablate.suite.request import Request
from ablate.suite.schema import Recipe
from ablate.train.trial import spec_of

pytestmark = pytest.mark.usefixtures("here", "no_plugins")

SUITES = catalog.PACKAGE.parent / "suites"
DATA = "name: folder, path: images"
VARIANT = "{network.conv: dilated}"


def config(text: str, variant: str = "dilated", **request: Any) -> dict[str, Any]:
    """Return a variant's configuration as trained."""
    found = loaded(text, **request)
    assert found.problems == []
    return next(v for v in found.variants["conv"] if v.name == variant).trained.values


def planned(text: str = SUITE, **request: Any) -> Plan:
    """Return the plan of a suite on the CPU."""
    found = loaded(text, **request)
    return planning.make(found, check(found), Path("runs"), "cpu")


def trials(plan: Plan) -> dict[str, dict[int, str]]:
    """Return the trial ids of a plan by row and seed."""
    return {
        f"{comparison.id}/{row.variant}/{'+'.join(row.match)}": row.trials
        for comparison in plan.study.comparisons
        for row in comparison.rows
    }


# --- paths ----------------------------------------------------------------------------------------

NAMES = st.from_regex(r"\A[A-Za-z_][A-Za-z0-9_-]*\Z")
STEPS = st.lists(st.one_of(NAMES, st.integers(0, 10**6)), max_size=8)


@given(NAMES, STEPS)
def test_reading_what_was_shown_gives_the_path_again(first: str, rest: list[str | int]) -> None:
    loc = (first, *rest)
    assert dotted.parse(dotted.show(loc)) == loc


@given(NAMES, STEPS)
def test_an_index_may_be_written_with_a_dot(first: str, rest: list[str | int]) -> None:
    written = ".".join(str(step) for step in (first, *rest))
    assert dotted.parse(written) == (first, *rest)


@pytest.mark.parametrize(
    "path",
    ["", ".", "a.", ".a", "a..b", "a[b]", "a[-1]", "a[1", "a]", "[1]", "1.a", "a b", "a[1]b"],
)
def test_what_is_no_path(path: str) -> None:
    with pytest.raises(dotted.PathError):
        dotted.parse(path)


def test_a_path_leads_into_what_was_written_in_short() -> None:
    before = config(SUITE, "normal")["network"]
    after = config(changed((VARIANT, "{network.stages.1.layers.0.conv: dilated}")))["network"]
    dilated = {"kind": "dilated", "kernel": 3, "dilation": 2}
    assert before["stages"][1]["layers"][0]["conv"] is None
    assert after["stages"][1]["layers"][0]["conv"] == dilated
    after["stages"][1]["layers"][0]["conv"] = None
    assert after == before


@pytest.mark.parametrize(
    ("difference", "path", "value"),
    [
        ("network.stages.1: [6, 7]", "network.stages[1].layers[1].channels", 7),
        ("network.stages.1.layers.0: 6", "network.stages[1].layers[0].channels", 6),
        ("network.stages.1.down: strided", "network.stages[1].down.kind", "strided"),
        ("network.conv.kernel: 5", "network.conv.kernel", 5),
        ("'network.stages[0].conv': dilated", "network.stages[0].conv.dilation", 2),
        ("network.width: 2.5", "network.width", 2.5),
        ("network.act: silu", "network.act.kind", "silu"),
        ("recipe.lr: 1", "recipe.lr", 1.0),
        ("data.train_images: 4", "data.train_images", 4),
        ("recipe: {epochs: 3}", "recipe.batch_size", 128),  # what it replaces is gone
        ("network.conv: dilated, network.conv.dilation: 5", "network.conv.dilation", 5),
    ],
)
def test_a_difference_sets_a_value(difference: str, path: str, value: Any) -> None:
    values = config(changed((VARIANT, f"{{{difference}}}")))
    assert dotted.get(values, dotted.parse(path)) == value


@pytest.mark.parametrize(
    ("difference", "expected"),
    [
        ("network.conv: dilated", {"kind": "dilated", "kernel": 3, "dilation": 2}),
        ("network.conv: {kind: dilated}", {"kind": "dilated", "kernel": 3, "dilation": 2}),
        ("network.conv.dilation: 4", {"kind": "dilated", "kernel": 5, "dilation": 4}),
        ("network.conv: normal", {"kind": "normal", "kernel": 3}),
    ],
)
def test_assigning_a_component_replaces_its_options(
    difference: str, expected: dict[str, Any]
) -> None:
    base = "[[4], [8]], conv: {kind: dilated, dilation: 3, kernel: 5}"
    text = changed(("[[4], [8]]", base), (VARIANT, f"{{{difference}}}"))
    assert config(text)["network"]["conv"] == expected


# --- layers ---------------------------------------------------------------------------------------

# Where the batch size is said, in the order in which what comes later counts.
LAYERS = {
    "base": (("batch_size: 4}", "batch_size: 10}"), {}),
    "base of the comparison": (
        ("    baseline", "    base: {recipe.batch_size: 11}\n    baseline"),
        {},
    ),
    "profile": (("quick: {", "quick: {recipe.batch_size: 12"), {}),
    "profile of the comparison": (
        ("variants:", "profiles: {quick: {recipe.batch_size: 13}}\n    variants:"),
        {},
    ),
    "command line": (None, {"overrides": ("recipe.batch_size=14",)}),
    "variant": ((VARIANT, "{recipe.batch_size: 15, network.conv: dilated}"), {}),
}


@pytest.mark.parametrize("last", range(len(LAYERS)))
def test_what_comes_later_counts(last: int) -> None:
    text, request = changed(add="profiles:\n  quick: {}\n"), {}
    for change, asked in list(LAYERS.values())[: last + 1]:
        text = text.replace(*change) if change else text
        request |= asked
    found = loaded(text, profile="quick", **request)
    variants = {variant.name: variant for variant in found.variants["conv"]}
    assert found.problems == []
    assert variants["dilated"].trained.values["recipe"]["batch_size"] == 10 + last
    assert variants["normal"].trained.values["recipe"]["batch_size"] == 10 + min(last, 4)
    # The full profile is another one; all else holds there as well.
    full = {0: 10, 1: 11, 2: 11, 3: 11, 4: 14, 5: 15}[last]
    assert variants["dilated"].full.values["recipe"]["batch_size"] == full


def test_what_matching_solves_for_counts_last() -> None:
    text = changed(("conv: dilated", "conv: dilated, network.width: 9"), add="    match: macs\n")
    row = checked(text)[0].rows[1]
    assert row.solved == {"network.width": 4.0}
    assert row.config["network"]["width"] == 4.0


def test_other_data_on_the_command_line_keep_only_the_sizes() -> None:
    written = "{name: cifar10, fallback: photos, train_images: 4, test_images: 2}"
    text = changed((f"{{{DATA}}}", written))
    assert config(text, data="folder:images")["data"] == {
        "name": "folder",
        "fallback": None,
        "train_images": 4,
        "validation_images": 0,
        "test_images": 2,
        "path": "images",
        "size": None,
        "title": None,
    }


# --- variants and comparisons ---------------------------------------------------------------------


def test_a_named_variant_is_what_it_stands_for() -> None:
    text = changed((VARIANT, "wide"), add="variants: {wide: {network.conv: dilated}}\n")
    assert config(text) == config(SUITE)


def test_a_named_variant_stands_on_the_base_of_each_comparison() -> None:
    second = """
  - id: lr
    title: With another rate?
    base: {recipe.lr: 0.5}
    baseline: as-is
    variants: {as-is: {}, swish: swish}
variants: {swish: {network.act: silu}}
"""
    found = loaded(changed((VARIANT, "swish"), add=second.lstrip("\n")))
    assert found.problems == []
    one, two = (found.variants[id][1].trained.values for id in ("conv", "lr"))
    assert one["network"] == two["network"]
    assert (one["recipe"]["lr"], two["recipe"]["lr"]) == (0.1, 0.5)


def test_the_baseline_comes_first_wherever_it_stands() -> None:
    text = changed(("baseline: normal", "baseline: dilated"))
    assert [row.variant.name for row in checked(text)[0].rows] == ["dilated", "normal"]


THREE = """\
  - id: act
    title: Which activation?
    baseline: relu
    variants: {relu: {}, silu: {network.act: silu}}
  - id: down
    title: Pool or stride?
    baseline: pool
    variants: {pool: {}, stride: {network.down: strided}}
profiles:
  smoke: {comparisons: [down, conv]}
"""


@pytest.mark.parametrize(
    ("profile", "run"), [("smoke", ["conv", "down"]), ("full", ["conv", "act", "down"])]
)
def test_a_profile_may_run_some_comparisons_only(profile: str, run: list[str]) -> None:
    found = loaded(changed(add=THREE), profile=profile)
    assert list(found.variants) == run
    assert [item.comparison.id for item in check(found)] == run


@pytest.mark.parametrize(
    ("asked", "default", "profile"),
    [
        (None, "smoke", "smoke"),
        (None, "quick", "full"),  # which the suite has not
        (None, "full", "full"),
        ("full", "smoke", "full"),
        ("smoke", "full", "smoke"),
    ],
)
def test_which_profile_is_run(asked: str | None, default: str, profile: str) -> None:
    found = loaded(changed(add=THREE), default=default, profile=asked)
    assert found.applied.profile == profile


@pytest.mark.parametrize("path", sorted(SUITES.glob("*.yaml")), ids=lambda path: path.stem)
@pytest.mark.parametrize("default", ["full", "quick"])
def test_the_suites_that_come_with_the_package_are_sound(
    path: Path, default: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(SUITES.parent)  # as make runs them
    assert load(Request(str(path)), default).problems == []


@pytest.mark.parametrize("path", sorted(SUITES.glob("*.yaml")), ids=lambda path: path.stem)
@pytest.mark.parametrize("profile", ["full", "quick"])
def test_every_variant_of_the_suites_that_come_with_the_package_can_be_built(
    path: Path, profile: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(SUITES.parent)
    found = load(Request(str(path)), profile)
    if profile not in (found.applied.profile, "full"):
        pytest.skip("it has one profile")
    if found.suite.seeds != 0:  # else no images are loaded
        found = load(Request(str(path), data="photos"), profile)
    checked = check(found)
    assert [item.comparison.id for item in checked] == list(found.variants)
    # Every variant has a row, and so has every match that gives another network.
    assert all(
        {row.variant.name for row in item.rows}
        == {v.name for v in found.variants[item.comparison.id]}
        for item in checked
    )


# --- seeds ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "seeds", "stop"),
    [
        ("3", [0, 1, 2], None),
        ("[7, 0, 3]", [7, 0, 3], None),
        ("{until: 0.3, at_most: 6}", [0, 1, 2, 3, 4, 5], {"until": 0.3, "at_most": 6.0}),
    ],
)
def test_the_forms_of_seeds(written: str, seeds: list[int], stop: dict[str, float] | None) -> None:
    of_profile = changed(add=f"profiles: {{p: {{seeds: {written}}}}}\n")
    for plan in (
        planned(changed(("seeds: 2", f"seeds: {written}"))),
        planned(of_profile, profile="p"),
        planned(overrides=(f"seeds={written}",)),
        planned(seeds=written),
    ):
        assert (plan.study.seeds, plan.study.stop) == (seeds, stop)


@pytest.mark.parametrize(
    ("typed", "seeds"),
    [
        ("5", [0, 1, 2, 3, 4]),
        ("0,3,7", [0, 3, 7]),
        (" 7, 3 ", [7, 3]),
        ("4", [0, 1, 2, 3]),
        ("2-4", [2, 3, 4]),
        ("3-3", [3]),
    ],
)
def test_seeds_on_the_command_line(typed: str, seeds: list[int]) -> None:
    for request in ({"seeds": typed}, {"overrides": (f"seeds={typed.strip()}",)}):
        assert seeds_of(changed(), **request) == {"normal": seeds, "dilated": seeds}


def seeds_of(text: str, **request: Any) -> dict[str, list[int]]:
    """Return the seeds of every variant of the first comparison."""
    found = loaded(text, **request)
    assert found.problems == []
    first = found.suite.comparisons[0]
    return {name: found.seeds(first, name) for name in first.variants}


def test_the_last_word_on_seeds() -> None:
    text = changed(add="profiles: {p: {seeds: 3}, q: {}}\n")
    assert seeds_of(text, profile="full")["normal"] == [0, 1]
    assert seeds_of(text, profile="q")["normal"] == [0, 1]
    assert seeds_of(text, profile="p")["normal"] == [0, 1, 2]
    assert seeds_of(text, profile="p", seeds="9,8")["normal"] == [9, 8]
    assert len(seeds_of(changed(("seeds: 2\n", "")))["normal"]) == 5


@pytest.mark.parametrize(
    ("suite", "profile", "own", "own_profile", "normal", "dilated"),
    [
        ("{each: 2, baseline: 4}", "", "", "", 4, 2),
        ("2", "{baseline: 4}", "", "", 4, 2),  # adds to what was said
        ("{each: 2, baseline: 4}", "3", "", "", 3, 3),  # replaces it
        ("{each: 2, baseline: 4}", "{each: 3}", "", "", 3, 3),
        ("{each: 2, baseline: 4}", "", "{dilated: 6}", "", 4, 6),
        ("2", "{each: 1}", "{dilated: 6}", "", 1, 1),  # a profile is said after a comparison
        ("2", "{each: 1}", "{dilated: 6}", "{dilated: 3}", 1, 3),
        ("2", "", "{baseline: 3, dilated: 4}", "{normal: 5}", 5, 4),
        ("2", "", "{each: 1}", "[7, 9]", 2, 2),
        ("2", "{each: 4}", "", "5", 5, 5),
    ],
)
def test_seeds_may_be_shared_out(
    suite: str, profile: str, own: str, own_profile: str, normal: int, dilated: int
) -> None:
    text = changed(("seeds: 2", f"seeds: {suite}"))
    text += f"    seeds: {own}\n" if own else ""
    text += f"    profiles: {{p: {{seeds: {own_profile}}}}}\n" if own_profile else ""
    text += f"profiles: {{p: {f'{{seeds: {profile}}}' if profile else '{}'}}}\n"
    counts = {name: len(seeds) for name, seeds in seeds_of(text, profile="p").items()}
    assert counts == {"normal": normal, "dilated": dilated}


def test_a_row_has_the_trials_of_its_own_seeds() -> None:
    plan = planned(changed(("seeds: 2", "seeds: {each: 1, baseline: 3}")))
    assert plan.study.seeds == [0, 1, 2]
    (comparison,) = plan.study.comparisons
    assert [sorted(row.trials) for row in comparison.rows] == [[0, 1, 2], [0]]
    assert [trial.label for trial in plan.trials] == ["conv/normal", "conv/dilated"] + [
        "conv/normal"
    ] * 2


# --- what is compared with what -------------------------------------------------------------------

ARMS = changed(
    add="""\
      wide: {network.width: 12}
      wide_dilated: {network.width: 12, network.conv: dilated}
    against: {wide_dilated: wide}
    match: [none, {params: 30%}]
"""
)


def test_a_row_is_compared_with_what_the_suite_says() -> None:
    (found,) = checked(ARMS)
    pairs = {(row.variant.name, tuple(row.matches)): row.reference for row in found.rows}
    # Dilation changes no budget, so equal parameters are the drop-in again.
    assert pairs == {
        ("normal", ("none",)): None,
        ("dilated", ("none", "params")): "normal",
        ("wide", ("none",)): None,  # there to be compared with, so matched to nothing
        ("wide_dilated", ("none", "params")): "wide",
    }


def test_a_budget_is_that_of_what_a_row_is_compared_with() -> None:
    (found,) = checked(ARMS.replace("12, network.conv: dilated", "12, network.conv: bottleneck"))
    by_row = {(row.variant.name, *row.matches): row for row in found.rows}
    wide = by_row["wide", "none"].config["network"]
    row = by_row["wide_dilated", "params"]
    counts = [
        count(catalog.build("networks", net, "family", found.shape, found.outputs), found.shape)
        for net in (row.config["network"], wide)
    ]
    assert row.residual == pytest.approx(counts[0]["params"] / counts[1]["params"] - 1)


def test_a_profile_may_keep_to_some_variants_and_matches() -> None:
    text = (
        ARMS + "    profiles: {p: {variants: [normal, dilated], match: macs}}\nprofiles: {p: {}}\n"
    )
    (kept,) = checked(text, profile="p")
    assert [(row.variant.name, row.matches) for row in kept.rows] == [
        ("normal", ["none"]),
        ("dilated", ["macs"]),
    ]
    (every,) = checked(text, profile="full")
    assert len(every.rows) == 4


def test_a_profile_may_keep_to_the_baseline() -> None:
    text = changed(add="    profiles: {p: {variants: [normal]}}\nprofiles: {p: {}}\n")
    plan = planned(text, profile="p")
    assert [row.variant for row in plan.study.comparisons[0].rows] == ["normal"]


# --- claims and requirements ----------------------------------------------------------------------

CLAIMS = {
    "order": ("metric: accuracy, expect: dilated < normal, margin: 0.5", ["dilated", "normal"]),
    "equivalence": (
        "metric: accuracy, expect: dilated = normal, margin: 2%",
        ["dilated", "normal"],
    ),
    "ratio": (
        "metric: params, of: normal / dilated, about: 1, at: {batch: 1}",
        ["normal", "dilated"],
    ),
    "range": ("metric: accuracy, of: normal, low: 0, high: 100", ["normal"]),
    "equality": ("metric: params, expect: normal=dilated", ["normal", "dilated"]),
    "count": ("metric: params, of: normal, equals: 438", ["normal"]),
    "trend": (
        "metric: params, of: normal, expect: rising, over: {network.width: [4, 8, 16]}",
        ["normal"],
    ),
    "requirement": ("metric: accuracy, of: dilated, at_least: 10", ["dilated"]),
    "question": ("metric: accuracy, between: [normal, dilated], margin: 1", ["normal", "dilated"]),
}


def test_claims_of_every_kind_and_requirements_reach_the_study() -> None:
    assert set(CLAIMS) == set(KINDS)
    lines = [
        f"      - {{note: 'A:{number}', says: '{kind} …', kind: {kind}, {rest}}}"
        for number, (kind, (rest, _)) in enumerate(CLAIMS.items())
    ]
    required = "requirements:\n  - {variant: dilated, params: {below: 1_000}, uses: [dilated]}\n"
    text = changed(add="    claims:\n" + "\n".join(lines) + "\n" + required)
    suite = loaded(text).suite
    assert [claim.variants() for claim in suite.comparisons[0].claims] == [
        names for _, names in CLAIMS.values()
    ]
    study = planned(text).study
    stored = study.comparisons[0].claims
    assert [claim["kind"] for claim in stored] == list(CLAIMS)
    assert [claim["note"] for claim in stored] == [f"A:{n}" for n in range(len(CLAIMS))]
    assert stored[1]["margin"] == "2%"
    assert stored[2]["at"] == {"batch": 1}
    assert stored[6]["over"] == {"network.width": [4, 8, 16]}
    bound = {"below": 1000.0, "above": None, "at_least": None, "at_most": None}
    assert study.requirements == [{"variant": "dilated", "uses": ["dilated"], "params": bound}]
    json.dumps(study.model_dump(mode="json"), allow_nan=False)


def test_a_margin_and_a_metric_may_be_the_tasks_own_or_the_comparisons() -> None:
    own = planned().study.comparisons[0].measure
    assert (own.name, own.margin, own.direction) == ("accuracy", 0.5, "higher")
    text = changed(add="    metric: test_loss\n    margin: 0\n")
    measure = planned(text).study.comparisons[0].measure
    assert (measure.name, measure.margin, measure.direction) == ("test_loss", 0.0, "lower")


# --- where a value comes from ---------------------------------------------------------------------


def test_config_shows_every_value_with_its_origin(capsys: pytest.CaptureFixture[str]) -> None:
    text = changed(
        ("    baseline", "    base: {recipe.warmup: 0.25}\n    baseline"),
        (VARIANT, "{network.stages.1.layers.0.conv: {kind: dilated, dilation: 3}}"),
        add="profiles:\n  quick:\n    network.width: 2\n    recipe.lr: 0.2\n",
    )
    Path("tiny.yaml").write_text(text)
    asked = Request("tiny.yaml", "quick", None, None, ("recipe.epochs=3",))
    commands.config(asked, None, None, "dilated")
    head, _, title, *lines = capsys.readouterr().out.splitlines()
    assert head == "# tiny.yaml, profile quick"
    assert title == "# conv/dilated, seeds 0, 1"
    shown = {}
    for line in lines:
        setting, _, origin = line.partition("  # ")
        path, value = setting.split(maxsplit=1)
        shown[path] = (json.loads(value), origin)
    expected = {
        "task.kind": ("classify", "tiny.yaml:5:9 (base)"),
        "data.name": ("folder", "tiny.yaml:6:16 (base)"),
        "data.path": ("images", "tiny.yaml:6:30 (base)"),
        "data.validation_images": (0, "default of tiny.yaml:6:9 (base)"),
        "network.family": ("staged", "tiny.yaml:7:21 (base)"),
        "network.stages[0].layers[0].channels": (4, "tiny.yaml:7:39 (base)"),
        "network.stages[1].layers[0].channels": (8, "tiny.yaml:7:44 (base)"),
        "network.stages[1].layers[0].conv.kind": ("dilated", "tiny.yaml:17:56 (variant dilated)"),
        "network.stages[1].layers[0].conv.dilation": (3, "tiny.yaml:17:75 (variant dilated)"),
        "network.stages[1].layers[0].conv.kernel": (
            3,
            "default of tiny.yaml:17:49 (variant dilated)",
        ),
        "network.width": (2.0, "tiny.yaml:20:20 (profile quick)"),
        "network.conv.kind": ("normal", "default of tiny.yaml:7:12 (base)"),
        "recipe.lr": (0.2, "tiny.yaml:21:16 (profile quick)"),
        "recipe.warmup": (0.25, "tiny.yaml:13:27 (base of conv)"),
        "recipe.epochs": (3, "command line"),
        "recipe.batch_size": (4, "tiny.yaml:8:35 (base)"),
        "recipe.momentum": (0.9, "default of tiny.yaml:8:11 (base)"),
    }
    assert {path: shown[path] for path in expected} == expected
    trained = next(v for v in loaded(text, profile="quick").variants["conv"] if v.name == "dilated")
    leaves = {
        dotted.show(loc) for loc, value in _leaves(trained.trained.values) if value is not None
    }
    assert set(shown) == leaves


def test_config_shows_what_data_on_the_command_line_sets(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("tiny.yaml").write_text(SUITE)
    commands.config(Request("tiny.yaml", data="folder:images"), None, "conv", "normal")
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["data.path", '"images"', "#", "--data"] in lines


# --- matched budgets ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "kinds", "tolerance"),
    [
        ("params", ["params"], 0.02),
        ("[none, macs]", ["none", "macs"], 0.02),
        ("{params: 1%}", ["params"], 0.01),
        ("[{macs: 2.5 %}, none]", ["macs", "none"], 0.025),
        ("{kind: params, tolerance: 0.1}", ["params"], 0.1),
        ("{params: 0.05}", ["params"], 0.05),
    ],
)
def test_the_forms_of_a_match(written: str, kinds: list[str], tolerance: float) -> None:
    found = loaded(changed(add=f"    match: {written}\n"))
    assert found.problems == []
    matches = found.suite.comparisons[0].match
    assert [match.kind for match in matches] == kinds
    assert matches[0].tolerance == tolerance


@pytest.mark.parametrize("written", ["[none, params, macs]", "[params, macs, none]"])
def test_rows_of_one_network_are_one_row(written: str) -> None:
    """A dilated convolution costs what a normal one does: nothing is to be solved."""
    baseline, row = checked(changed(add=f"    match: {written}\n"))[0].rows
    assert baseline.matches == ["none"]
    assert sorted(row.matches) == ["macs", "none", "params"]
    assert row.solved == {}
    assert row.config["network"]["width"] is None
    assert row.residual == 0.0


def test_rows_of_different_networks_stay_apart() -> None:
    text = changed(
        ("[[4], [8]]", "[[16, 16], [32, 32]]"),
        ("conv: dilated", "conv: depthwise_separable"),
        add="    match: [none, params, macs]\n",
    )
    rows = checked(text)[0].rows
    assert [row.matches for row in rows] == [["none"], ["none"], ["params"], ["macs"]]


def count(network: nn.Module, shape: tuple[int, int, int]) -> dict[str, int]:
    """Count parameters and MACs of a network module by module, in closed form."""
    total = {"params": 0, "macs": 0}

    def add(module: nn.Module, _: Any, output: torch.Tensor) -> None:
        if isinstance(module, nn.Conv2d):
            height, width = module.kernel_size
            taps = height * width * module.in_channels // module.groups
            total["params"] += taps * module.out_channels
            total["macs"] += taps * module.out_channels * output.shape[2] * output.shape[3]
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


@pytest.mark.parametrize("width", [16, 25, 40])
@pytest.mark.parametrize("kind", ["params", "macs"])
def test_a_solved_width_against_an_independent_count(kind: str, width: int) -> None:
    text = changed(
        ("[[4], [8]]", f"[[16, 16], [32, 32]], width: {width}"),
        ("conv: dilated", "conv: depthwise_separable"),
        add=f"    match: {kind}\n",
    )
    item = checked(text)[0]
    counts = [
        count(
            catalog.build("networks", row.config["network"], "family", item.shape, item.outputs),
            item.shape,
        )[kind]
        for row in item.rows
    ]
    row = item.rows[1]
    assert counts == [
        match.budget(row.config["network"], kind, item.shape, item.outputs) for row in item.rows
    ]
    assert abs(counts[1] / counts[0] - 1) <= 0.02
    assert row.residual == counts[1] / counts[0] - 1
    assert row.solved == {"network.width": row.config["network"]["width"]}
    # No other width is nearer.
    solved = row.config["network"]["width"]
    for other in (solved - 0.05, solved + 0.05, solved - 1, solved + 1):
        network = {**row.config["network"], "width": other}
        found = match.budget(network, kind, item.shape, item.outputs)
        assert abs(found - counts[0]) >= abs(counts[1] - counts[0])


# --- trial ids ------------------------------------------------------------------------------------


def test_ids_do_not_depend_on_names_and_order() -> None:
    before = trials(planned(changed(add=THREE)))
    base, _, rest = changed(add=THREE).partition("comparisons:\n")
    conv, _, rest = rest.partition("  - id: act\n")
    act, _, rest = rest.partition("  - id: down\n")
    down, _, profiles = rest.partition("profiles:\n")
    text = (
        f"{base}comparisons:\n  - id: down\n{down}  - id: act\n{act}{conv}profiles:\n{profiles}"
        "variants: {swish: {network.act: silu}}\n"
    )
    for old, new in (
        ("id: tiny", "id: other"),
        ("title: A tiny suite", "title: Another suite"),
        ("{family: staged, stages: [[4], [8]]}", "{stages: [[4], [8]], family: staged}"),
        ("{epochs: 1, batch_size: 4}", "{batch_size: 4, lr: 0.1, epochs: 1}"),
        ("      normal: {}\n      dilated:", "      plain: {}\n      spread:"),
        ("baseline: normal", "baseline: plain\n    margin: 3"),
        ("silu: {network.act: silu}", "silu: swish"),
        ("seeds: 2", "seeds: [1, 0]"),
    ):
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    Path("other.yaml").write_text(text)
    found = load(Request("other.yaml"), "full")
    after = trials(planning.make(found, check(found), Path("runs"), "cpu"))
    renamed = {
        key.replace("plain", "normal").replace("spread", "dilated"): ids
        for key, ids in after.items()
    }
    assert renamed == before


def _leaves(
    tree: Any, loc: tuple[str | int, ...] = ()
) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    """Yield path and value of everything in a configuration that has no parts with names."""
    if isinstance(tree, dict) and tree:
        for key, value in tree.items():
            yield from _leaves(value, (*loc, key))
    elif isinstance(tree, list) and any(isinstance(item, dict) for item in tree):
        for index, value in enumerate(tree):
            yield from _leaves(value, (*loc, index))
    else:
        yield loc, tree


def other(value: Any) -> Any:
    """Return another value, of whatever type."""
    if isinstance(value, bool) or value is None:
        return not value
    if isinstance(value, int | float):
        return value + 1
    return [*value, "more"] if isinstance(value, list) else f"{value}x"


def test_every_value_of_a_configuration_is_in_the_id() -> None:
    values = config(SUITE)
    assert {"task", "data", "network", "recipe"} == set(values)
    later = {"l1": 1e-5}  # options that stand in a configuration only where they are used
    assert set(values["recipe"]) == set(Recipe.model_fields) - later.keys()
    values["recipe"] |= later

    def identify(changed_values: dict[str, Any]) -> str:
        return records.identity(spec_of(changed_values, 0, "digest", "fp32", "cpu", {}))

    ids = {identify(values)}
    paths = [loc for loc, _ in _leaves(values)]
    # Which images they are is in the digest; where they lie and how they are called is in no id.
    free = [loc for loc in paths if loc[0] == "data" and not str(loc[1]).endswith("_images")]
    assert free == [("data", key) for key in values["data"] if not key.endswith("_images")]
    for loc in paths:
        varied = copy.deepcopy(values)
        dotted.put(varied, loc, other(dotted.get(values, loc)))
        if loc in free:
            assert identify(varied) == identify(values)
        else:
            ids.add(identify(varied))
    assert len(ids) == 1 + len(paths) - len(free)


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 1},
        {"digest": "b"},
        {"precision": "bf16"},
        {"device": "cuda"},
        {"plugins": {"x": "1"}},
    ],
)
def test_what_else_is_in_the_id(change: dict[str, Any]) -> None:
    asked = {"seed": 0, "digest": "a", "precision": "fp32", "device": "cpu", "plugins": {}}
    values = config(SUITE)
    one, two = (records.identity(spec_of(values, **{**asked, **c})) for c in ({}, change))
    assert one != two


def test_ids_follow_the_images_not_their_place(here: Path) -> None:
    before = trials(planned())
    shutil.copytree("images", "elsewhere")
    assert trials(planned(changed(("path: images", "path: elsewhere")))) == before
    assert trials(planned(data="folder:elsewhere")) == before
    path = here / "elsewhere" / "test" / "dog" / "3.png"
    picture = Image.open(path)
    picture.putpixel((31, 31), (1, 2, 3))
    picture.save(path)
    after = trials(planned(data="folder:elsewhere"))
    assert not {id for ids in after.values() for id in ids.values()} & {
        id for ids in before.values() for id in ids.values()
    }


def test_a_baseline_that_comparisons_share_is_trained_once() -> None:
    plan = planned(changed(add=THREE))
    ids = trials(plan)
    assert ids["conv/normal/none"] == ids["act/relu/none"] == ids["down/pool/none"]
    assert len(plan.trials) == len({trial.id for trial in plan.trials}) == 4 * 2
    assert {trial.label for trial in plan.trials} == {
        "conv/normal",
        "conv/dilated",
        "act/silu",
        "down/stride",
    }


@pytest.mark.parametrize("seeds", ["3", "[5, 0, 2]"])
def test_the_plan_goes_seed_by_seed(seeds: str) -> None:
    plan = planned(changed(("seeds: 2", f"seeds: {seeds}"), add=THREE))
    rounds = [trial.seed for trial in plan.trials]
    order = [seed for seed in rounds[:1]] + [b for a, b in pairwise(rounds) if a != b]
    assert order == plan.study.seeds == ([0, 1, 2] if seeds == "3" else [5, 0, 2])
    for seed in order:
        assert [trial.label for trial in plan.trials if trial.seed == seed] == [
            "conv/normal",
            "conv/dilated",
            "act/silu",
            "down/stride",
        ]


def test_a_plan_made_twice_is_the_same() -> None:
    one, two = (planned(changed(add=THREE)) for _ in range(2))
    assert one.study.id == two.study.id
    assert [t.id for t in one.trials] == [t.id for t in two.trials]


def test_another_question_is_another_study() -> None:
    ids = {
        planned(text).study.id
        for text in (SUITE, changed(add="    margin: 3\n"), changed(("seeds: 2", "seeds: 3")))
    }
    assert len(ids) == 3
