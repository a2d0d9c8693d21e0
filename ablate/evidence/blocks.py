"""Parameters of parts of networks: of the blocks in which two differ, or of one part of each.

A *block* is the module that a role of `ablate/blocks` stands for in a layer's path, the outermost
one: `features.stage1.layer2.conv` of `features.stage1.layer2.conv.depthwise`; a layer whose path
names no role is a block by itself. Two networks *differ* in a block where the layers below its path
are not the same or have not as many parameters. `params.block` is the sum over these blocks in each
of the two. So of a normal and a depthwise network of equal channels it is the ratio of their
convolutions, without the stem, the normalisations and the head, which they have in common. A block
that only one of them has counts in that one.

With `at: {layer: …}` it is the parameters at that path of each network, and of all below it.

Both are sums of `by_layer` in the detail of `params`: parameters by the module that owns them.
"""

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ablate.evidence.sources import Lacks, Values
from ablate.evidence.spelling import one_line, row_name
from ablate.suite.claims import Claim

if TYPE_CHECKING:
    from ablate.evidence.collect import RowEvidence

METRIC = "params.block"
# The roles of `ablate/blocks`, perhaps with a number: `merge2` is the merge after layer 2.
ROLE = re.compile(r"(conv|down|up|merge|norm|act|head)\d*")


def values(claim: Claim, rows: "Sequence[RowEvidence]") -> list[Values | Lacks]:
    """Return what the full networks of some rows have of `params.block`, for each row."""
    owners = [_owners(row) for row in rows]
    if lacking := [found for found in owners if isinstance(found, Lacks)]:
        return [*lacking]
    known = [found for found in owners if not isinstance(found, Lacks)]
    layer = claim.at.get("layer")
    if isinstance(layer, str):
        title = f"Parameters of {one_line(layer)}"
        return [
            _value(at_path(found, layer), title)
            if any(path == layer or path.startswith(f"{layer}.") for path in found)
            else Lacks("invalid", f"{row_name(row.asked, row.is_baseline)} has no {layer}")
            for row, found in zip(rows, known, strict=True)
        ]
    if len(known) != 2:
        return [Lacks("not tested", f"{METRIC} of one variant takes `at: {{layer: …}}`")]
    sums = where_they_differ(*known)
    if not any(sums):
        return [Lacks("invalid", "the two networks differ in no block with parameters")]
    return [_value(found, "Parameters of differing blocks") for found in sums]


def at_path(by_layer: Mapping[str, int], path: str) -> int:
    """Return the parameters at a path and below it."""
    return sum(n for own, n in by_layer.items() if own == path or own.startswith(f"{path}."))


def where_they_differ(ours: Mapping[str, int], theirs: Mapping[str, int]) -> tuple[int, int]:
    """Return the parameters of all blocks in which two networks differ, in each of them.

    Args:
        ours, theirs: parameters by the path of the module that owns them.
    """
    mine, other = _blocks(ours), _blocks(theirs)
    differing = [block for block in {**mine, **other} if mine.get(block) != other.get(block)]
    one, two = (
        sum(sum(side.get(block, {}).values()) for block in differing) for side in (mine, other)
    )
    return one, two


def block_of(path: str) -> str:
    """Return the path of the block that a layer is in."""
    steps = path.split(".")
    at = next((at for at, step in enumerate(steps) if ROLE.fullmatch(step)), len(steps) - 1)
    return ".".join(steps[: at + 1])


def _blocks(by_layer: Mapping[str, int]) -> dict[str, dict[str, int]]:
    """Return the layers of each block with their parameters."""
    found: dict[str, dict[str, int]] = {}
    for path, count in by_layer.items():
        found.setdefault(block_of(path), {})[path] = count
    return found


def _owners(row: "RowEvidence") -> dict[str, int] | Lacks:
    known = row.full.get("params")
    found = None if known is None else known.detail.get("by_layer")
    if isinstance(found, dict):
        return {str(path): int(count) for path, count in found.items()}
    why = one_line("; ".join(row.lacking)) or "its parameters were not counted by layer"
    return Lacks("invalid", f"{row_name(row.asked, row.is_baseline)}: {why}")


def _value(count: int, title: str) -> Values:
    return Values((float(count),), (), title, "", "lower", True)
