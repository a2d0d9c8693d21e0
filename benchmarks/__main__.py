"""The command line: `python -m benchmarks`. What is measured already is not measured again."""

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import click

from benchmarks import (
    accuracy,
    matching,
    memory,
    overhead,
    page,
    planning,
    rerun,
    results,
    setting,
    speed,
)
from benchmarks.fresh import Failed
from benchmarks.setting import HERE, Refused, Setting, Step

SECTIONS = {
    module.SECTION: module
    for module in (overhead, rerun, planning, matching, memory, speed, accuracy)
}
USAGE, FAILED, INTERRUPTED = 2, 3, 130


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--only",
    type=click.Choice(list(SECTIONS)),
    multiple=True,
    help="A section; may be given more than once.  [default: all]",
)
@click.option("--quick", is_flag=True, help="A proof in a minute that all of this works.")
@click.option(
    "--images",
    type=click.Path(path_type=Path),
    help="A folder with train/<class>/* and test/<class>/*.  "
    "[default: CIFAR-10; noise where that cannot be had]",
)
@click.option("--rounds", type=click.IntRange(1), help="Of the section speed.  [default: 3]")
@click.option("--seeds", type=click.IntRange(2), help="Of the section accuracy.  [default: 10]")
@click.option(
    "--results",
    "place",
    type=click.Path(path_type=Path),
    default=HERE / "results",
    help="Folder of raw results.  [default: benchmarks/results]",
)
@click.option(
    "--page",
    "target",
    type=click.Path(path_type=Path),
    help="File that the tables go into.  [default: benchmarks/README.md, or none with --quick]",
)
@click.option("--write", is_flag=True, help="Measure nothing; write the tables of what is there.")
def main(
    only: tuple[str, ...],
    quick: bool,
    images: Path | None,
    rounds: int | None,
    seeds: int | None,
    place: Path,
    target: Path | None,
    write: bool,
) -> None:
    """Measure how fast ablate trains beside other loops, and what it costs.

    Leave the machine alone meanwhile. Ctrl-C keeps what is measured; the same command goes on.
    """
    try:
        if write:
            folder = _newest(place)
        else:
            made = setting.make(place, images, quick, rounds, seeds)
            folder = made.folder
            _describe(made)
            _measure(list(_steps(made, only or tuple(SECTIONS))), folder)
        about = json.loads((folder / "about.json").read_text(encoding="utf-8"))
        path = target or (folder / "README.md" if about["quick"] else HERE / "README.md")
        page.write(path, folder, about)
    except Refused as error:
        _end(str(error), USAGE)
    except Failed as error:
        _end(str(error), FAILED)
    except KeyboardInterrupt:
        _end("interrupted; what is measured is kept, running the same again goes on", INTERRUPTED)
    click.echo(str(path))


def _steps(made: Setting, sections: tuple[str, ...]) -> Iterator[Step]:
    for name, module in SECTIONS.items():
        if name in sections:
            yield from module.steps(made)


def _measure(steps: list[Step], folder: Path) -> None:
    """Do the steps that are missing, one after the other, saying what and how long still."""
    there = {step.section: results.load(folder, step.section) for step in steps}
    missing = [step for step in steps if not results.having(there[step.section], step.key)]
    click.echo(f"{len(steps) - len(missing)} of {len(steps)} steps are there", err=True)
    spent = guessed = 0.0
    for number, step in enumerate(missing, start=1):
        # What is done says how wrong the guesses are on this machine.
        left = sum(each.guess for each in missing[number - 1 :]) * (spent or 1) / (guessed or 1)
        what = " ".join(f"{key} {value}" for key, value in step.key.items())
        click.echo(
            f"[{number}/{len(missing)}, about {left / 60:.0f} min left] {step.section}: {what}",
            err=True,
        )
        began = time.perf_counter()
        rows = step.measure()
        results.append(folder, step.section, [step.key | row for row in rows])
        spent += time.perf_counter() - began
        guessed += step.guess


def _describe(made: Setting) -> None:
    """Write beside the results what they are about."""
    made.folder.mkdir(parents=True, exist_ok=True)
    about = {
        "environment": made.environment,
        "cores": made.cores,
        "precision": made.precision,
        "title": made.title,
        "photographs": made.photographs,
        "quick": made.quick,
        "date": time.strftime("%Y-%m-%d"),
    }
    (made.folder / "about.json").write_text(json.dumps(about, indent=1), encoding="utf-8")


def _newest(place: Path) -> Path:
    found = [path.parent for path in place.glob("*/about.json")]
    if not found:
        raise Refused(f"there are no results in {place}; run this without --write first")
    return max(found, key=lambda folder: (folder / "about.json").stat().st_mtime)


def _end(message: str, code: int) -> None:
    click.echo(message, err=True)
    sys.exit(code)


if __name__ == "__main__":
    main()
