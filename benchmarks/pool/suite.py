"""The suite of the pool, on any images and with any number of trials."""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

import ablate

HERE = Path(__file__).parent
# Its pools, as (comparison, variant), and those of equals that the worse ones are held against.
POOLS = {
    "narrow": ("pool", "narrow"),
    "dead": ("pool", "dead"),
    "wide": ("pool", "wide"),
    "mislabelled": ("mislabelled", "mislabelled"),
}
WORSE = {"dead": "narrow", "mislabelled": "wide"}

Suite = dict[str, Any]


def adapted(images: Mapping[str, Any], trials: int) -> Suite:
    """Return `pool.yaml` as it is to be run from any folder.

    Args:
        images: the data set, with its options, as a suite names it.
        trials: of the narrow network's pool, the one that is held against itself; the others are
            half as many.
    """
    suite: Suite = YAML(typ="safe").load(HERE / "pool.yaml")
    suite["plugins"] = [str(HERE / name) for name in suite["plugins"]]
    suite["base"]["data"]["of"] = dict(images)
    suite["seeds"] = trials // 2
    suite["comparisons"][0]["seeds"] = {"baseline": trials}
    return suite


def write(suite: Suite, folder: Path) -> Path:
    """Write a suite into a folder and return its file."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{suite['id']}.yaml"
    path.write_text(json.dumps(suite, indent=1), encoding="utf-8")  # JSON is YAML
    return path


def pools(runs: Path) -> dict[str, list[float]]:
    """Return the test accuracies of each pool, in per cent, in the order of their seeds."""
    frame = ablate.load("pool", runs=str(runs)).numbers
    final = frame["seed"].notna() & frame["epoch"].isna() & frame["value"].notna()
    frame = frame[final & (frame["metric"] == "accuracy") & (frame["split"] == "test")]
    return {
        name: frame[(frame["comparison"] == comparison) & (frame["variant"] == variant)]
        .sort_values("seed")["value"]
        .tolist()
        for name, (comparison, variant) in POOLS.items()
    }


def train(suite: Suite, runs: Path) -> int:
    """Train what is missing in a folder of records and return the exit code of `ablate run`."""
    command = [sys.executable, "-m", "ablate", "run", str(write(suite, runs)), "--profile", "full"]
    places = ["--runs", str(runs), "--reports", str(runs / "reports")]
    return subprocess.run([*command, *places], check=False).returncode
