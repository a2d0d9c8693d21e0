"""The command line: `python -m benchmarks.pool`. What is trained already is not trained again."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from ablate import catalog
from ablate.evidence import welch
from benchmarks.pool.rates import RUNS, SPLITS, rates
from benchmarks.pool.suite import WORSE, adapted, pools, train


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--data", default="photos", help="A data set, or folder:PATH.  [default: photos]")
@click.option(
    "--runs",
    type=click.Path(path_type=Path),
    default=Path("runs-pool"),
    help="Folder of the records.  [default: runs-pool]",
)
@click.option(
    "--trials",
    type=click.IntRange(4 * RUNS),
    default=40,
    help="Of the first pool; of each other, half of that.  [default: 40]",
)
def main(data: str, runs: Path, trials: int) -> None:
    """Train four pools of trials and print what 5 of them against 5 find.

    Ctrl-C keeps what is trained; the same command goes on.
    """
    suite = adapted(_images(data), trials)
    if code := train(suite, runs):
        sys.exit(code)  # it has said why
    for line in lines(pools(runs), suite["comparisons"][0]["margin"]):
        click.echo(line)


def lines(found: Mapping[str, list[float]], margin: float, splits: int = SPLITS) -> list[str]:
    """Return what the pools show, in words.

    Args:
        found: test accuracies in per cent, by pool.
        margin: the smallest difference that matters, in percentage points.
        splits: how many of each.
    """
    said = []
    for name, values in found.items():
        before = WORSE.get(name)
        of = rates(values, None if before is None else found[before], margin, splits)
        said.append(_spread(name, values))
        if before is None:
            said.append(
                f"  {RUNS} against {RUNS} others of them, {splits:,} times: a claim of order is "
                f"decided in {of.decided:.1%}, one of equivalence refuted in {of.apart:.1%}, a row "
                f"marked in {of.marked:.1%}; all of that is wrong"
            )
        else:
            lost = welch.mean(found[before]) - welch.mean(values)
            said.append(
                f"  {RUNS} against {RUNS} of {before}, {splits:,} times: {lost:.2f} points less, "
                f"found in {of.supported:.1%}; where they are above the printed detectable effect "
                f"({of.visible:.1%}), in {of.found:.1%}"
            )
    return said


def _spread(name: str, values: list[float]) -> str:
    spread = welch.deviation(values) or 0.0
    return f"{name}: {len(values)} trials, {welch.mean(values):.2f} %, sd {spread:.2f}"


def _images(data: str) -> dict[str, Any]:
    name, _, path = data.partition(":")
    known = catalog.names("data")
    if name not in known:
        hint = catalog.suggest(name, known)
        raise click.BadParameter(f"unknown data set {name!r}; {hint}", param_hint="--data")
    if (name == "folder") != bool(path):
        raise click.BadParameter("write a data set's name, or folder:PATH", param_hint="--data")
    # The records are found again from anywhere.
    return {"name": name} | ({"path": str(Path(path).expanduser().resolve())} if path else {})


if __name__ == "__main__":
    main()
