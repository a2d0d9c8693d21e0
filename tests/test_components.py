"""Reading components, and checking them against the catalog: places and messages, verbatim."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from torch import nn

from ablate import catalog
from ablate.components import Component, Conv, Head, Network, build, expand

DENSE = {"kind": "normal", "kernel": 3}


def read(value: Any, kind: type[Component] = Network) -> Component:
    return kind.model_validate(value)


def test_a_name_stands_for_the_mapping_with_only_that_name() -> None:
    assert read("normal", Conv) == read({"kind": "normal"}, Conv)
    assert read("staged") == read({"family": "staged"})


@pytest.mark.parametrize("value", [3, None, ["normal"], {}, {"family": "normal"}, True])
def test_anything_else_is_refused(value: Any) -> None:
    with pytest.raises(ValidationError) as caught:
        read(value, Conv)
    assert [error["msg"] for error in caught.value.errors()] == [
        "expected a name or {kind: name, …}"
    ]


def test_the_message_has_the_key_of_the_component() -> None:
    with pytest.raises(ValidationError, match=r"expected a name or \{family: name, …\}"):
        read({"kind": "staged"})


def test_reading_imports_no_torch() -> None:
    code = "import sys, ablate.components; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_canonical_form_spells_out_every_option() -> None:
    canonical, problems = expand(
        read({"family": "staged", "stages": [[8, {"channels": 9, "conv": "dilated"}]], "width": 4})
    )
    assert problems == []
    layer = {"channels": 8, "conv": None, "norm": None, "act": None}
    dilated = {"kind": "dilated", "kernel": 3, "dilation": 2}
    stage = {
        "layers": [layer, layer | {"channels": 9, "conv": dilated}],
        **dict.fromkeys(("conv", "down", "merge", "norm", "act")),
    }
    assert canonical == {
        "family": "staged",
        "stages": [stage],
        "width": 4.0,
        "stem": DENSE,
        "conv": DENSE,
        "down": {"kind": "maxpool"},
        "merge": {"kind": "none"},
        "span": 2,
        "norm": {"kind": "batch"},
        "act": {"kind": "relu"},
        "head": {"kind": "gap"},
    }
    assert next(iter(canonical)) == "family"
    assert isinstance(canonical["width"], float)


def test_what_the_caller_gives_is_free_of_the_limits_of_options() -> None:
    context = 2, 3, 2, nn.BatchNorm2d, nn.ReLU
    assert build(read("normal", Conv), *context, kernel=4).kernel_size == (4, 4)
    with pytest.raises(ValidationError, match="a kernel must be odd"):
        build(read({"kind": "normal", "kernel": 4}, Conv), *context)


def test_the_canonical_form_of_the_canonical_form_is_itself() -> None:
    canonical, _ = expand(read({"family": "staged", "stages": [[8], [8]], "conv": "dilated"}))
    assert expand(read(canonical)) == (canonical, [])


def test_all_problems_are_found_at_once_with_their_places() -> None:
    written = {
        "family": "staged",
        "stages": [
            [32, {"channels": 0, "conv": "dilatd"}],
            {
                "layers": [
                    3,
                    "x",
                    {
                        "channels": 3,
                        "conv": {"kind": "dilated", "dilation": 0, "kernl": 3, "kernel": 4},
                        "nor": "batch",
                    },
                    {"conv": "normal"},
                ],
                "down": 3,
                "convs": 1,
            },
            5,
            [],
        ],
        "width": "wide",
        "conf": "normal",
        "stem": {"kind": "depthwise_separable", "mid": "x"},
    }
    canonical, problems = expand(read(written), loc=("base", "network"))
    assert canonical == written
    layers = ("base", "network", "stages", 1, "layers")
    assert {(loc, message) for loc, _, message in problems} == {
        (
            ("base", "network", "stages", 0, "layers", 1, "channels"),
            "should be greater than 0, not 0",
        ),
        (
            ("base", "network", "stages", 0, "layers", 1, "conv", "kind"),
            "unknown conv block 'dilatd'; did you mean 'dilated'?",
        ),
        ((*layers, 1), "expected a number of channels or {channels: …}, not 'x'"),
        ((*layers, 2, "conv", "dilation"), "should be at least 1, not 0"),
        (
            (*layers, 2, "conv", "kernel"),
            "a kernel must be odd, so that the output lies on the input's grid; got 4",
        ),
        (
            (*layers, 2, "conv", "kernl"),
            "conv block 'dilated' has no option 'kernl'; did you mean 'kernel'?",
        ),
        ((*layers, 2, "nor"), "a layer has no 'nor'; did you mean 'norm'?"),
        ((*layers, 3, "channels"), "a layer needs 'channels'"),
        (("base", "network", "stages", 1, "down"), "expected a name or {kind: name, …}, not 3"),
        (
            ("base", "network", "stages", 1, "convs"),
            "a stage has no 'convs'; did you mean 'conv'?",
        ),
        (("base", "network", "stages", 2), "expected a list of layers or {layers: […], …}, not 5"),
        (
            ("base", "network", "stages", 3, "layers"),
            "should have at least 1 item",
        ),
        (
            ("base", "network", "width"),
            "should be a number, not 'wide'",
        ),
        (
            ("base", "network", "conf"),
            "network family 'staged' has no option 'conf'; did you mean 'conv'?",
        ),
        (("base", "network", "stem", "mid"), "should be 'none' or 'norm_act', not 'x'"),
    }
    assert len(problems) == 15


def test_the_type_of_a_problem() -> None:
    assert expand(read("stagd"))[1] == [
        (
            ("family",),
            "unknown_name",
            "unknown network family 'stagd'; did you mean 'staged'?",
        )
    ]
    assert expand(read("staged"))[1] == [
        (("stages",), "missing", "network family 'staged' needs the option 'stages'")
    ]
    assert expand(read({"kind": "gap", "hidden": 3}, Head))[1] == [
        (("hidden",), "extra_forbidden", "head block 'gap' has no option 'hidden'; there are: none")
    ]


def test_places_are_without_pydantics_names_of_union_members(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalog, "_plugins", {})
    plugin = tmp_path / "many_kernels.py"
    plugin.write_text(
        "from typing import Literal\n"
        "from ablate.components import Act\n"
        'ROOM = "blocks/conv"\n'
        "def build(i, o, stride, norm, act, *, kernels: list[int] | Literal['all'] | None = None,\n"
        "          between: list[Act | Literal['none']] = ['none']):\n"
        "    pass\n"
    )
    catalog.plug(plugin)
    component = {"kind": "many_kernels", "kernels": 3, "between": ["relu", {"kind": "rel"}]}
    problems = expand(read(component, Conv))[1]
    assert problems == [
        (("kernels",), "list_type", "should be a list or should be 'all', not 3"),
        (
            ("between", 1, "kind"),
            "unknown_name",
            "unknown act block 'rel'; did you mean 'relu'?",
        ),
        (("between", 1), "literal_error", "should be 'none'"),
    ]
    component = {"kind": "many_kernels", "kernels": [1, "x"]}
    assert [loc for loc, _, _ in expand(read(component, Conv))[1]] == [("kernels", 1), ("kernels",)]
    assert expand(read({"kind": "many_kernels", "between": ["relu"]}, Conv))[0] == {
        "kind": "many_kernels",
        "kernels": None,
        "between": [{"kind": "relu"}],
    }
