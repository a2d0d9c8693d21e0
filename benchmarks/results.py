"""Raw results: one JSON object a line, one file a section, one folder for what may be compared.

What was measured with other code, packages, images or sizes lies in another folder. A line that was
cut short by an interruption is measured again.
"""

import contextlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

Row = dict[str, Any]


def append(folder: Path, section: str, rows: Iterable[Row]) -> None:
    """Add results to a section, all or none as far as `load` is concerned."""
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(list(rows), allow_nan=False)
    with (folder / f"{section}.jsonl").open("a", encoding="utf-8") as file:
        file.write(f"\n{text}")  # the line break before it ends what an interruption cut short


def load(folder: Path, section: str) -> list[Row]:
    """Return all results of a section, in the order in which they were measured."""
    path = folder / f"{section}.jsonl"
    rows: list[Row] = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
        with contextlib.suppress(json.JSONDecodeError):
            rows += json.loads(line) if line else []
    return rows


def having(rows: Iterable[Row], wanted: Mapping[str, Any]) -> list[Row]:
    """Return the rows with all of these values."""
    return [row for row in rows if all(row.get(k) == v for k, v in wanted.items())]
