"""The command line: thin. Torch, pandas and matplotlib are loaded only by what needs them.

Exit codes: 0 all well, 1 some trials failed (the report is written), 2 the request or a suite is
wrong, 3 an error in ablate itself, 4 what was to hold does not (a claim, with `verdicts --strict`;
a citation, with `verify`; a block of notes, with `notes update --check`), 130 interrupted.
"""

import json
import os
import sys
import traceback
from collections.abc import Callable
from enum import IntEnum
from pathlib import Path
from typing import Any, NoReturn

import click

from ablate import __version__, interrupt, terminal


class Exit(IntEnum):
    """What the exit codes mean."""

    OK = 0
    FAILED = 1  # some trials failed; the report is written
    USAGE = 2  # the request, the suite or the data is wrong; nothing was trained
    INTERNAL = 3  # an error in ablate itself
    REFUTED = 4  # with `verdicts --strict`: a claim is refuted or has too few seeds
    STALE = 4  # of `verify` and `notes update --check`: what is cited is not what there is today
    INTERRUPTED = interrupt.CODE


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="ablate")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def cli(debug: bool) -> None:
    """Settle arguments about convolutional networks: matched ablations, honest verdicts.

    \b
      ablate list              the suites and the blocks, data sets, … they may use
      ablate plan s7           what a suite would run, how long it takes; trains nothing
      ablate run s7            train and measure what is missing, write reports/index.html
      ablate report s7         write the report of what there is
      ablate verdicts s7       which of the claims hold, and why; --strict for the CI of notes
      ablate verdicts --all    every claim of the notes, with what all suites found of it
      ablate notes new FILE    a register of your own notes; notes check: what no suite tests
      ablate cite s7 [ID]      a table or figure to paste into notes; without ID, what there is
      ablate verify FILE…      do numbers that notes cite still hold? notes update refreshes them
      ablate freeze s7         an archive to deposit: the pages, and the records they rest on
      ablate config s7         every value of the configuration and where it comes from
      ablate measure TARGET    what a network costs: torchvision:NAME, FILE.py:FUNCTION, a suite

    Exit codes: 0 all well; 1 some trials failed, the report is written; 2 the request, the suite
    or the data is wrong; 3 an error in ablate; 4 with `verdicts --strict`, a claim is refuted or
    has too few seeds, with `verify` or `notes update --check`, what notes cite is not what there
    is today; 130 interrupted.

    \b
    Completion by TAB, of commands, suites, profiles and settings; in zsh and fish alike:
      eval "$(_ABLATE_COMPLETE=bash_source ablate)"

    NO_COLOR=1 switches colours off.
    """


def _offer(what: str) -> Callable[[click.Context, click.Parameter, str], Any]:
    """Return what completes a word in the shell, imported only when it is asked to."""

    def offer(context: click.Context, parameter: click.Parameter, begun: str) -> Any:
        from ablate import completion

        return getattr(completion, what)(context, parameter, begun)

    return offer


def _request_options(command: Callable[..., Any]) -> Callable[..., Any]:
    options = [
        click.argument("suite", shell_complete=_offer("suites")),
        click.argument(
            "overrides", nargs=-1, metavar="[KEY=VALUE]...", shell_complete=_offer("settings")
        ),
        click.option(
            "--profile",
            shell_complete=_offer("profiles"),
            help="smoke, quick, full, …  [default: full on a CUDA GPU, else quick]",
        ),
        click.option(
            "--data",
            shell_complete=_offer("data"),
            help="Another data set: cifar10, photos, patches, folder:PATH. It has no fallback.",
        ),
        click.option("--seeds", help="How many (5), which ones (0,3,7) or from-to (0-4)."),
        click.option(
            "--control",
            type=click.IntRange(min=0, max=10_000),
            help="Further seeds of each baseline, held against itself: the noise floor (A/A).",
        ),
        click.option(
            "--device", help="cpu, cuda or mps.  [default: cuda where there is one, else cpu]"
        ),
    ]
    for option in reversed(options):
        command = option(command)
    return command


_PATH = click.Path(path_type=Path)
_runs = click.option(
    "--runs",
    type=click.Path(path_type=Path),
    default=Path("runs"),
    show_default=True,
    help="Folder of all records.",
)
_reports = click.option(
    "--reports",
    type=click.Path(path_type=Path),
    default=Path("reports"),
    show_default=True,
    help="Folder of the rendered pages.",
)


_strict = click.option(
    "--strict",
    is_flag=True,
    help="Refuse, with exit code 2, seeds that are too few for the claims' verdicts.",
)


@cli.command()
@_request_options
@_runs
@_reports
@click.option(
    "--jobs",
    default="auto",
    show_default=True,
    help="Trials side by side: a number, or auto (one per core on a CPU, one per GPU).",
)
@click.option(
    "-k",
    "pattern",
    metavar="PATTERN",
    help="Only rows whose name, comparison/variant, has this in it or matches it with * and ?.",
)
@click.option("--rerun-failed", is_flag=True, help="Only what failed when it was last run.")
@click.option(
    "--executor",
    shell_complete=_offer("executors"),
    help="inline or processes.  [default: processes for more than one job]",
)
@click.option(
    "--memory",
    type=click.FloatRange(min=0, min_open=True),
    metavar="GB",
    help="For the images of all trials side by side; what does not fit is read in portions.  "
    "[default: half of the machine's on a CPU, all that is asked for on a GPU]",
)
@click.option("--dry-run", is_flag=True, help="Print the plan and stop.")
@_strict
def run(
    suite: str,
    overrides: tuple[str, ...],
    profile: str | None,
    data: str | None,
    seeds: str | None,
    control: int | None,
    device: str | None,
    runs: Path,
    reports: Path,
    jobs: str,
    pattern: str | None,
    rerun_failed: bool,
    executor: str | None,
    memory: float | None,
    dry_run: bool,
    strict: bool,
) -> None:
    """Train and measure what is missing of SUITE and write its report.

    KEY=VALUE changes a setting for this run, for example recipe.epochs=2 or network.width=8.
    Running the same again trains nothing; after an interruption it does only what is missing.
    """
    interrupt.listen()  # before the imports, which take a while
    from ablate import commands

    request = commands.request(suite, profile, data, seeds, overrides, control)
    only = commands.Only(pattern or None, rerun_failed)
    sys.exit(
        commands.run(request, device, runs, reports, jobs, executor, dry_run, memory, strict, only)
    )


@cli.command()
@_request_options
@_runs
@click.option("--json", "as_json", is_flag=True, help="As JSON on standard output.")
@_strict
def plan(
    suite: str,
    overrides: tuple[str, ...],
    profile: str | None,
    data: str | None,
    seeds: str | None,
    control: int | None,
    device: str | None,
    runs: Path,
    as_json: bool,
    strict: bool,
) -> None:
    """Say what SUITE would run: comparisons, variants, seeds, costs and time. Trains nothing."""
    from ablate import commands

    request = commands.request(suite, profile, data, seeds, overrides, control)
    commands.plan(request, device, runs, as_json, strict)


@cli.command()
@_request_options
@click.option("--comparison", help="Only this one.")
@click.option("--variant", help="Only this one.")
def config(
    suite: str,
    overrides: tuple[str, ...],
    profile: str | None,
    data: str | None,
    seeds: str | None,
    control: int | None,
    device: str | None,
    comparison: str | None,
    variant: str | None,
) -> None:
    """Print every value of SUITE's configurations with its origin."""
    from ablate import commands

    request = commands.request(suite, profile, data, seeds, overrides, control)
    commands.config(request, device, comparison, variant)


@cli.command()
@click.argument("target")
@click.option(
    "--input",
    "shape",
    metavar="CxHxW",
    help="Channels, height and width of one image.  [default: 3x224x224]",
)
@click.option("--classes", type=click.IntRange(min=1), help="Outputs.  [default: 1000]")
@click.option("--json", "as_json", is_flag=True, help="As JSON on standard output, with details.")
@click.option("--layers", is_flag=True, help="Layer by layer, too.")
@click.option(
    "--against",
    metavar="NETWORK",
    help="Another network: do both compute the same with the same weights?",
)
@click.option("--latency", is_flag=True, help="How long a call takes, too: minutes, by themselves.")
@click.option("--memory", is_flag=True, help="The peak of memory of a call, too.")
@click.option(
    "--batch",
    "batches",
    type=click.IntRange(min=1),
    multiple=True,
    help="Images of a call; may be given several times.  [default: 1]",
)
@click.option(
    "--precision",
    "precisions",
    type=click.Choice(["fp32", "bf16"]),
    multiple=True,
    help="Likewise.  [default: fp32]",
)
@click.option(
    "--phase",
    "phases",
    type=click.Choice(["inference", "training_step"]),
    multiple=True,
    help="What a call is; likewise.  [default: inference]",
)
@click.option(
    "--mode",
    "modes",
    type=click.Choice(["eager", "compiled"]),
    multiple=True,
    help="Likewise; compiled by torch.compile.  [default: eager]",
)
@click.option("--threads", type=click.IntRange(min=1), default=1, show_default=True)
@click.option(
    "--processes",
    type=click.IntRange(min=1),
    default=3,
    show_default=True,
    help="Fresh processes in which latency is measured; to be cited it takes 5.",
)
@click.option("--device", help="cpu or cuda.  [default: cpu]")
@_runs
def measure(
    target: str,
    shape: str | None,
    classes: int | None,
    as_json: bool,
    layers: bool,
    against: str | None,
    latency: bool,
    memory: bool,
    batches: tuple[int, ...],
    precisions: tuple[str, ...],
    phases: tuple[str, ...],
    modes: tuple[str, ...],
    threads: int,
    processes: int,
    device: str | None,
    runs: Path,
) -> None:
    """Print every fact of TARGET: parameters, MACs, receptive field, memory and more.

    \b
    TARGET is a network or a suite, whose full networks are all measured:
      torchvision:mobilenet_v2   a network of torchvision
      timm:resnet18              one of timm, where it is installed
      my_file.py:build           what a function in your file returns; its parameters input_shape
                                 and outputs (or num_classes), if it has them, are given
      s7, my_suite.yaml          a suite, by its name or file

    Weights are random, nothing is downloaded and nothing trained. A figure that cannot be vouched
    for is "invalid" and says why. What is measured of a suite is kept in --runs, and how its
    latency and memory are measured is what the suite says, if it says so.
    """
    interrupt.listen()
    from ablate import costs
    from ablate import measure as measuring

    asked = costs.Asked(
        latency,
        memory,
        batches or (1,),
        precisions or ("fp32",),
        modes or ("eager",),
        phases or ("inference",),
        threads,
        processes,
        device=measuring.device_of(device, latency or memory),
    )
    measuring.measure(target, shape or None, classes, as_json, layers, against or None, runs, asked)


@cli.command()
@click.argument("suites", nargs=-1, shell_complete=_offer("studied"))
@_runs
@_reports
def report(suites: tuple[str, ...], runs: Path, reports: Path) -> None:
    """Write the pages of SUITES (default: all that were run) from the records that there are."""
    from ablate import commands

    commands.report(suites, runs, reports)


@cli.command()
@click.argument("suite", required=False, shell_complete=_offer("studied"))
@click.option("--all", "every", is_flag=True, help="All claims of the notes, by their register.")
@click.option("--json", "as_json", is_flag=True, help="As JSON on standard output, with numbers.")
@click.option(
    "--strict", is_flag=True, help="Exit code 4 if a claim is refuted or has too few seeds."
)
@_runs
@_reports
def verdicts(
    suite: str | None, every: bool, as_json: bool, strict: bool, runs: Path, reports: Path
) -> None:
    """Say of every claim of SUITE whether it holds, from the records of its newest study.

    \b
    supported                what the claim says, by more than the margin
    supported in direction   what it says; whether by more than the margin is open
    true but negligible      what it says, but by less than the margin
    refuted                  the opposite, a difference where none was claimed, or another number
    inconclusive             not to be told from these runs; says how many seeds would tell
    invalid                  diverged trials, or a figure that cannot be vouched for
    depends                  on the match, or on where it was timed: each is said
    answered                 a question, with its answer
    not tested               nothing is there yet to judge it by

    With --strict the exit code is 4 if a claim is refuted, or if what was trained for it has fewer
    than 5 seeds a row. Trains nothing.

    With --all instead of SUITE: every row of the notes' register in one line, with what the newest
    studies of all suites found, and what that says where the notes contradict each other. The same
    with filters and links is claims.html among the pages, which `ablate report` writes.
    """
    if every == (suite is not None):
        raise click.UsageError("Missing argument 'SUITE'." if suite is None else _EITHER)
    if suite is None:
        from ablate import notes

        sys.exit(notes.verdicts(as_json, strict, runs, reports / "claims.html"))
    from ablate import commands

    sys.exit(commands.verdicts(suite, as_json, strict, runs))


_EITHER = "Give a SUITE or --all, not both."


@cli.group()
def notes() -> None:
    """Registers: what notes claim, line by line, and which of it suites test."""


@notes.command()
@click.argument("file", type=click.Path(path_type=Path))
def new(file: Path) -> None:
    """Write the skeleton of a register of your own notes; it overwrites nothing."""
    from ablate import notes

    notes.new(file)


@notes.command()
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
def check(files: tuple[Path, ...]) -> None:
    """Say what is wrong in the registers FILES, and which rows no suite tests.

    Without FILES: in those that the suites are about.
    """
    from ablate import notes

    notes.check(files)


@notes.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--check", "only_check", is_flag=True, help="Change nothing; exit code 4 if a block is stale."
)
@_runs
@_reports
def update(files: tuple[Path, ...], only_check: bool, runs: Path, reports: Path) -> None:
    """Refresh the marked blocks of the notes FILES: Markdown, LaTeX, notebooks, …

    \b
      <!-- ablate: tbl-s7-depthwise format=md -->     % ablate: tbl-s7-depthwise
      …                                               …
      <!-- /ablate -->                                % /ablate

    Between such lines stands what the page says today; the formats are those of `ablate cite`.
    Nothing outside of them is touched, and where anything is wrong nothing is written.
    """
    from ablate import citations

    sys.exit(citations.update(files, only_check, runs, reports))


@cli.command()
@click.argument("suite", shell_complete=_offer("studied"))
@click.argument("id", required=False)
@click.option(
    "--format",
    "format_",
    default="md",
    show_default=True,
    metavar="FORMAT",
    help="md, latex, bibtex, myst, quarto; of tables csv, of figures svg.",
)
@_runs
@_reports
def cite(suite: str, id: str | None, format_: str, runs: Path, reports: Path) -> None:
    """Print the table or figure ID of SUITE, ready to paste, with caption, fingerprint and commit.

    Without ID: what can be cited of the suite, and what is screening, not to be cited.
    """
    from ablate import citations

    citations.cite(suite, id, format_, runs, reports)


@cli.command()
@click.argument("targets", nargs=-1, required=True, metavar="FILE... | SUITE", type=_PATH)
@click.option("--table", metavar="ID", help="Of a table or figure of SUITE.")
@click.option("--data", metavar="FINGERPRINT", help="That it had when it was cited.")
@_runs
@_reports
def verify(
    targets: tuple[Path, ...], table: str | None, data: str | None, runs: Path, reports: Path
) -> None:
    """Say whether numbers that were cited still hold, by the fingerprint beside them.

    FILEs are notes (Markdown, LaTeX, BibTeX, MyST, Quarto, notebooks) that cite as captions do:
    `tbl-s7-depthwise, data a4c24395`. Exit code 4 if one has changed or is unknown.
    """
    from ablate import citations

    sys.exit(citations.check(targets, table, data, runs, reports))


@cli.command()
@click.argument("suite", shell_complete=_offer("studied"))
@click.option("--out", type=_PATH, metavar="FILE.zip", help="[default: the study's id, .zip]")
@_runs
@_reports
def freeze(suite: str, out: Path | None, runs: Path, reports: Path) -> None:
    """Write an archive of SUITE that can be deposited: its pages and the records they rest on."""
    from ablate import citations

    citations.archive(suite, out, runs, reports)


@cli.command("list")
@click.option("--json", "as_json", is_flag=True, help="As JSON on standard output.")
def list_(as_json: bool) -> None:
    """List the suites and everything that a suite may name."""
    from ablate import catalog
    from ablate.suite.load import available

    suites = {name: str(path) for name, path in available().items()}
    rooms = {
        room: {name: catalog.describe(room, name) for name in catalog.names(room)}
        for room in catalog.rooms()
    }
    if as_json:
        click.echo(json.dumps({"suites": suites} | rooms, indent=1))
        return
    click.echo("suites\n" + "\n".join(f"  {name:<22}{path}" for name, path in suites.items()))
    for room, entries in rooms.items():
        click.echo(f"\n{room}")
        for name, line in entries.items():
            click.echo(f"  {name:<22}{line}")


def main() -> NoReturn:
    """Run the command line; every error becomes one clear message and an exit code."""
    debug = "--debug" in sys.argv or bool(os.environ.get("ABLATE_DEBUG"))
    terminal.spell_out()
    output = sys.stdout
    try:
        cli.main(prog_name="ablate", standalone_mode=False)
        _leave(Exit.OK)
    except SystemExit as error:  # of a command; or click's, which wraps the output of no reader
        _leave(error.code if sys.stdout is output else Exit.OK)
    except click.exceptions.Abort:
        interrupt.end("interrupted")
    except click.ClickException as error:
        error.show()
        sys.exit(Exit.USAGE)
    except KeyboardInterrupt:
        interrupt.end("interrupted")
    except Exception as error:
        if interrupt.heard():  # an import that is broken off may raise anything
            interrupt.end("interrupted")
        if debug:
            traceback.print_exc()
        if _is_users(error):
            _fail(str(error), Exit.USAGE)
        _fail(
            f"an error in ablate itself: {type(error).__name__}: {error}\n"
            "Run again with --debug before the command to see where; what was finished is kept.",
            Exit.INTERNAL,
        )


def _is_users(error: Exception) -> bool:
    """Whether an error says what to do about the request, the suite, the data or the disk."""
    from ablate.records import NewerRecord, NoRoom
    from ablate.study import StudyError
    from ablate.suite.source import SuiteError

    kinds: list[type[Exception]] = [NewerRecord, NoRoom, StudyError, SuiteError]
    if "ablate.data" in sys.modules:
        kinds.append(sys.modules["ablate.data"].DataError)
    return isinstance(error, tuple(kinds))


def _leave(code: str | int | None) -> NoReturn:
    """Exit, with all output written unless its reader has gone (`ablate list | head`)."""
    if code == Exit.INTERRUPTED:
        interrupt.end()
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for the flush at exit
    sys.exit(code)


def _fail(message: str, code: Exit) -> NoReturn:
    click.echo(message, err=True)
    sys.exit(code)
