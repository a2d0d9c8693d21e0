"""What `ablate measure` does: the facts of one network, or of all networks of a suite, at once.

Nothing is trained. Facts of a suite are the records that a plan uses and makes; of a network that
is no suite's, nothing is written.
"""

import contextlib
import difflib
import json
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from tabulate import tabulate
from torch import nn

from ablate import catalog, costs, environment, metrics
from ablate.metrics import equality
from ablate.networks import zoo
from ablate.records import Measurement, Record
from ablate.suite.load import available, load
from ablate.suite.plan import facts_of, pick_device
from ablate.suite.preflight import Checked, check, one_thread
from ablate.suite.request import Request
from ablate.suite.source import Problem, SuiteError

Shape = tuple[int, int, int]

SHAPE = "3x224x224"
CLASSES = 1000

# The facts that a suite's tables show, and their heads; `--json` has all.
_COLUMNS = {
    "params": "parameters",
    "macs": "MACs",
    "flops_train": "training FLOPs",
    "receptive_field": "RF",
    "activation_memory": "activation B",
    "layers": "layers",
}
# The facts that are given by layer too, and their heads.
_BY_LAYER = {
    "params": "parameters",
    "macs": "MACs",
    "flops_train": "training/forward",
    "activation_memory": "activation B",
}
_WIDE = 66  # characters of a detail in a line
_SHORT = 30  # characters of a text in a detail that is shown


@dataclass(frozen=True)
class Measured:
    """One network that was measured."""

    target: str
    shape: Shape
    outputs: int
    network: nn.Module
    shown: str  # what it puts out for one image: its shape, or its type where it is no tensor
    facts: dict[str, Measurement]
    against: dict[str, Measurement] = field(default_factory=dict)  # by the other network's source
    costs: "costs.Costs | None" = None  # None where none were asked for


def measure(
    target: str,
    shape: str | None,
    classes: int | None,
    as_json: bool,
    layers: bool,
    against: str | None,
    runs: Path,
    asked: costs.Asked = costs.NOTHING,
) -> None:
    """Print the facts of a network or a suite, and what else is asked for.

    Args:
        target: a suite, by name or path, or the source of a network (`networks.zoo`).
        shape: of one image, `CxHxW`; None: the usual one. Not for a suite, which has its own, as
            it has `classes`.
        layers: a table by layer, too.
        against: the source of a network that it is compared with.
        runs: where what is measured of a suite is recorded.
        asked: latency and memory.

    Raises:
        SuiteError: what is asked for is not there, or cannot be measured; the message says which.
    """
    if zoo.is_source(target):
        found = _network(target, _shape(shape or SHAPE), classes or CLASSES, against, asked)
        if as_json:
            print(json.dumps(_network_json(found), indent=1))
        else:
            _print_network(found, layers)
        return
    if Path(target).suffix not in (".yaml", ".yml") and target not in available():
        raise _wrong("target", _unknown(target))
    own = {"--input": shape, "--classes": classes, "--layers": layers, "--against": against}
    given = [option for option, value in own.items() if value]
    if given:
        message = f"is about one network, and {target} is a suite, which says its own"
        if given[0] in ("--layers", "--against"):
            message = f"is about one network, and {target} is a suite"
        raise _wrong(given[0], message)
    _suite(target, as_json, runs, asked)


def device_of(device: str | None, timed: bool) -> str:
    """Return where latency and memory are measured; facts are computed on the CPU.

    Raises:
        SuiteError: the device is not there, nothing is to be measured on it, or it cannot be.
    """
    if device is None:
        return "cpu"
    if device not in ("cpu", "cuda"):
        raise _wrong("--device", f"latency and memory are measured on cpu or cuda, not {device!r}")
    if not timed:
        raise _wrong("--device", "says where --latency and --memory are measured; ask for either")
    chosen = pick_device(device)
    notice = costs.gpu_notice(chosen)
    if notice:
        print(notice, file=sys.stderr)
    return chosen


def _wrong(where: str, message: str) -> SuiteError:
    return SuiteError("", "", [Problem(where, message)])


def _unknown(target: str) -> str:
    """Return what to say of a target that is nothing: the nearest name, else what there is."""
    suites = available()
    known = {name: f"torchvision:{name}" for name in zoo.names("torchvision")}
    known |= {name: name for name in suites}
    near = difflib.get_close_matches(target, known, n=1)
    if near:
        return f"unknown target {target!r}; did you mean {known[near[0]]!r}?"
    return (
        f"unknown target {target!r}; give a suite ({', '.join(suites) or 'there is none'}, or a "
        ".yaml file) or a network: torchvision:NAME, timm:NAME or FILE.py:FUNCTION"
    )


def _shape(text: str) -> Shape:
    """Return channels, height and width of `3x224x224`.

    Raises:
        SuiteError: it is no such text.
    """
    sides = text.lower().replace("×", "x").split("x")
    if len(sides) != 3 or not all(side.isascii() and side.isdecimal() for side in sides):
        raise _wrong(
            "--input",
            f"{text!r} is no shape of an image; write channels, height and width: {SHAPE}",
        )
    channels, height, width = map(int, sides)
    if not channels * height * width:
        raise _wrong("--input", f"{text!r} has a side of 0; an image has a pixel at least")
    return channels, height, width


def _x(sides: Sequence[int]) -> str:
    return "x".join(map(str, sides))


# --- one network ----------------------------------------------------------------------------------


@one_thread()
def _network(
    target: str, shape: Shape, outputs: int, against: str | None, asked: costs.Asked
) -> Measured:
    # What somebody else's code prints and warns of is not part of the answer.
    with contextlib.redirect_stdout(sys.stderr), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        network = _constructed("target", target, shape, outputs)
        other = None if against is None else _constructed("--against", against, shape, outputs)
        shown = _output(target, network, shape)
        facts = _facts(network, shape)
        compared = {}
        if against is not None and other is not None:
            compared[against] = equality.measure(network, other, shape)
    cost = None
    if asked.anything:
        configs = {source: _config(source) for source in (target, against) if source is not None}
        cost = costs.of_networks(configs, shape, outputs, asked)
    return Measured(target, shape, outputs, network, shown, facts, compared, cost)


def _config(source: str) -> dict[str, Any]:
    """Return a source as a network's configuration, with the digest of a file."""
    options = catalog.options("networks", "zoo").model_validate({"source": source})
    return {"family": "zoo", **options.model_dump()}


def _constructed(where: str, source: str, shape: Shape, outputs: int) -> nn.Module:
    try:
        return zoo.construct(source, shape, outputs)
    except ValueError as error:
        raise _wrong(where, str(error)) from error


def _output(target: str, network: nn.Module, shape: Shape) -> str:
    """Return the shape of what a network makes of one image, or its type.

    Raises:
        SuiteError: it does not take it.
    """
    modes = {module: module.training for module in network.modules()}
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            made = network.eval()(torch.zeros(1, *shape))
    except Exception as error:  # a forward run can fail in every way there is
        line = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise _wrong(
            "--input",
            f"every figure would be about one {_x(shape)} image, which {target} does not take; "
            f"it says {line}",
        ) from error
    finally:
        for module, training in modes.items():
            module.training = training
    return _x(made.shape[1:]) if isinstance(made, torch.Tensor) else type(made).__name__


def _facts(network: nn.Module, shape: Shape) -> dict[str, Measurement]:
    """Return every fact that applies, those of a suite's tables first."""
    found = metrics.facts(network, shape)
    return {name: found[name] for name in dict.fromkeys([*_COLUMNS, *found]) if name in found}


def _print_network(found: Measured, layers: bool) -> None:
    print(f"{found.target}: one {_x(found.shape)} image in, {found.shown} out; random weights\n")
    rows = [
        (fact.title, _value(fact), fact.unit if fact.value is not None else "", _detail(fact))
        for fact in found.facts.values()
    ]
    align, widths = ("left", "right", "left", "left"), [None, None, None, _WIDE]
    print(
        tabulate(rows, tablefmt="plain", disable_numparse=True, colalign=align, maxcolwidths=widths)
    )
    for other, compared in found.against.items():
        print(f"\n{_compared(other, compared)}")
    if found.costs is not None:
        _print_costs(found.costs)
    if layers:
        head, *table = _layer_table(found)
        sides = ("left", "left", *["right"] * (len(head) - 2))
        print("\n" + tabulate(table, head, disable_numparse=True, colalign=sides))


def _print_costs(found: "costs.Costs", indent: str = "") -> None:
    for title, heads, rows, notes in costs.tables(found):
        align = ("left", *["right"] * (len(heads) - 1))
        text = tabulate(rows, heads, disable_numparse=True, colalign=align)
        print(f"\n{title}\n{text}".replace("\n", f"\n{indent}"))
        for note in notes:
            print(f"{indent}{note}")
    for reason in found.unmeasured:
        print(f"{indent}not measured: {reason}")


def _value(fact: Measurement) -> str:
    return "invalid" if fact.value is None else _number(fact.value)


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:,.4g}"


def _detail(fact: Measurement) -> str:
    """Return what of a detail fits into lines: the reason why it is invalid, else what is short."""
    if fact.value is None:
        return str(fact.detail.get("invalid", ""))
    return ", ".join(
        f"{name.replace('_', ' ')} {value if isinstance(value, str) else _number(value)}"
        for name, value in fact.detail.items()
        if _is_number(value) or (isinstance(value, str) and 0 < len(value) <= _SHORT)
    )


def _is_number(value: Any) -> bool:
    """Whether a value of a detail is a number that says something: nought of a kind says little."""
    return isinstance(value, int | float) and not isinstance(value, bool) and value != 0


def _compared(other: str, found: Measurement) -> str:
    if found.value is None:
        words = "not equal" if found.detail["equal"] is False else "cannot be said"
        return f"equal to {other}? {words}: {found.detail['invalid']}"
    words = "equal" if found.detail["equal"] else "not equal"
    return (
        f"equal to {other}? {words}: with weights tied {found.detail['tied']}, outputs differ by "
        f"{found.value:.2g} of the largest (equal up to {found.detail['tolerance']:g}; "
        f"{found.detail['inputs']} random images, float64)"
    )


def _layer_table(found: Measured) -> Iterator[list[str]]:
    """Yield the heads, then a row for each layer that a fact knows, in the network's order."""
    columns = {
        title: {path: _of_layer(value) for path, value in by_layer.items()}
        for name, title in _BY_LAYER.items()
        if name in found.facts and (by_layer := found.facts[name].detail.get("by_layer"))
    }
    modules = dict(found.network.named_modules())
    paths = [path for path in modules if any(path in column for column in columns.values())]
    yield ["layer", "kind", *columns]
    for path in paths:
        cells = [column.get(path, "") for column in columns.values()]
        yield [path or "(the network)", type(modules[path]).__name__, *cells]


def _of_layer(value: Any) -> str:
    if isinstance(value, Mapping):  # FLOPs
        forward, training = value["forward"], value["training"]
        return f"{training / forward:.2f}" if forward else ""
    return _number(value)


def _network_json(found: Measured) -> dict[str, Any]:
    return {
        "target": found.target,
        "input_shape": list(found.shape),
        "outputs": found.outputs,
        "facts": _dumped(found.facts),
        "against": _dumped(found.against),
        **({} if found.costs is None else {"costs": costs.as_json(found.costs)}),
        "environment": environment.describe("cpu"),
    }


def _dumped(facts: Mapping[str, Measurement]) -> dict[str, Any]:
    return {name: fact.model_dump(mode="json") for name, fact in facts.items()}


# --- a suite --------------------------------------------------------------------------------------


@one_thread()
def _suite(name: str, as_json: bool, runs: Path, asked: costs.Asked) -> None:
    """Print the facts of every row of a suite, as its full profile has them."""
    loaded = load(Request(name, profile="full"), "full")
    checked = check(loaded)
    plugins = {entry: catalog.digest(path) for entry, path in loaded.plugins.items()}
    damaged: list[str] = []
    facts, rows = facts_of(loaded, checked, runs, plugins, damaged)
    found = [
        costs.of_suite(loaded, item, asked, runs, plugins) if asked.anything else None
        for item in checked
    ]
    if as_json:
        made = _suite_json(loaded.suite.id, checked, rows, facts)
        for comparison, cost in zip(made["comparisons"], found, strict=True):
            comparison |= {} if cost is None else {"costs": costs.as_json(cost)}
        print(json.dumps(made, indent=1))
        return
    print(f"{loaded.suite.id}: {loaded.suite.title}\nfull networks, not trained")
    for line in damaged:
        print(f"damaged: {line}")
    for item, ids, cost in zip(checked, rows, found, strict=True):
        print(f"\n{item.comparison.id}: {item.comparison.title}")
        print(f"  {item.opened.dataset.title}: {_x(item.shape)}, {item.outputs} outputs")
        table = [
            [built.variant.name, ", ".join(built.matches), *_cells(facts[id])]
            for built, id in zip(item.rows, ids, strict=True)
        ]
        heads = ["variant", "match", *_COLUMNS.values()]
        align = ("left", "left", *["right"] * len(_COLUMNS))
        text = tabulate(table, heads, disable_numparse=True, colalign=align)
        print("  " + text.replace("\n", "\n  "))
        for built, id in zip(item.rows, ids, strict=True):
            for fact in facts[id].metrics.values():
                if fact.value is None:
                    print(f"  {built.variant.name}: {fact.title} is invalid: {_detail(fact)}")
        if cost is not None:
            _print_costs(cost, "  ")


def _cells(record: Record) -> list[str]:
    known = record.metrics
    return [_value(known[name]) if name in known else "" for name in _COLUMNS]


def _suite_json(
    suite: str, checked: list[Checked], rows: list[list[str]], facts: Mapping[str, Record]
) -> dict[str, Any]:
    return {
        "suite": suite,
        "profile": "full",
        "comparisons": [
            {
                "id": item.comparison.id,
                "title": item.comparison.title,
                "input_shape": list(item.shape),
                "outputs": item.outputs,
                "rows": [
                    {"variant": built.variant.name, "match": built.matches, "facts": id}
                    for built, id in zip(item.rows, ids, strict=True)
                ],
            }
            for item, ids in zip(checked, rows, strict=True)
        ],
        "facts": {
            id: {"network": record.spec["network"], "facts": _dumped(record.metrics)}
            for id, record in facts.items()
        },
        "environment": environment.describe("cpu"),
    }
