"""What the commands of the command line do. Imported only when one of them runs."""

import contextlib
import importlib
import json
import os
import shlex
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from tabulate import tabulate

from ablate import advice, catalog, environment, lock, study
from ablate.cli import Exit
from ablate.display import counting, display, duration
from ablate.evidence.spelling import fewer_or_more, lower_first, ratio
from ablate.execute import Event
from ablate.records import Record, sweep
from ablate.suite import dotted, remembered
from ablate.suite.load import Loaded, Variant, available, load
from ablate.suite.planned import PassPlan, Plan, ReadingPlan, TrialPlan, by_row, tuning_alone
from ablate.suite.request import Request
from ablate.suite.resolve import trace
from ablate.suite.source import Problem, SuiteError
from ablate.suite.tune import shown

talk = Console(stderr=True, highlight=False, soft_wrap=True)


def request(
    suite: str,
    profile: str | None,
    data: str | None,
    seeds: str | None,
    overrides: Sequence[str],
    control: int | None = None,
) -> Request:
    """Return what was asked, empty options (as make passes them) taken as not said."""
    return Request(suite, profile or None, data or None, seeds or None, tuple(overrides), control)


@dataclass(frozen=True)
class Only:
    """What a run is confined to; see `ablate.suite.chosen`."""

    pattern: str | None = None
    rerun_failed: bool = False


EVERYTHING = Only()


def run(
    asked: Request,
    device: str | None,
    runs: Path,
    reports: Path,
    jobs: str,
    executor: str | None,
    dry_run: bool,
    memory: float | None = None,
    strict: bool = False,
    only: Only = EVERYTHING,
) -> Exit:
    """Plan, train what is missing, report; return the exit code."""
    known = catalog.names("execute")
    if executor and executor not in known:
        message = f"unknown executor {executor!r}; {catalog.suggest(executor, known)}"
        raise SuiteError("", "", [Problem("--executor", message)])
    _workers(jobs, "cpu", 0)  # what is no number is refused before anything is built
    if dry_run:
        plan, workers = _plan(asked, device, runs, jobs)
        _print_plan(_part(plan, runs, only), workers, jobs, talk)
        _refuse(plan, strict)
        return Exit.OK

    def wait(holder: str) -> None:
        from ablate.suite.preflight import check

        check(_load(asked, device))  # what is wrong is said now, and not in some hours
        talk.print(
            f"another run uses {runs}: {holder}\n"
            "waiting for its end, so that nothing is trained twice; Ctrl-C stops waiting",
            markup=False,
        )

    with lock.alone(runs, asked.suite, wait) as notice:
        if notice:
            talk.print(f"note: {notice}", markup=False)
        return _run(asked, device, runs, reports, jobs, executor, memory, strict, only)


def _run(
    asked: Request,
    device: str | None,
    runs: Path,
    reports: Path,
    jobs: str,
    executor: str | None,
    memory: float | None,
    strict: bool,
    only: Only,
) -> Exit:
    """Do what `run` says, with `runs` for this process alone."""
    from ablate import run as running

    plan, workers = _plan(asked, device, runs, jobs, keep=True)
    plan = _part(plan, runs, only)
    _print_plan(plan, workers, jobs, talk)
    _refuse(plan, strict)
    if plan.study.device == "cuda" and (plan.missing or plan.missing_tuning):
        notice = environment.others_on_gpu(environment.gpu_state())
        if notice:
            talk.print(f"note: {notice}", markup=False)
    if plan.missing_tuning or plan.missing or plan.missing_readings or plan.missing_passes:
        _load_reporting()
        for line in advice.crowded(_load_average(), _cores()):
            talk.print(f"note: {line}", markup=False)
    chosen = study.ask(runs, plan.study)

    def go_through(plan: Plan) -> "running.Outcome":
        with display(plan, workers, talk) as shown:

            def show(planned: TrialPlan | ReadingPlan | PassPlan, event: Event) -> None:
                shown.show(planned, event)

            return running.run(
                plan,
                runs,
                executor or ("processes" if workers > 1 else "inline"),
                workers,
                show,
                lambda: render(runs, reports, chosen),
                _places(plan.study.device) if plan.missing else [],
                _memory(memory, plan.study.device),
            )

    try:
        tried = None
        if plan.missing_tuning:  # what is trained at the chosen settings is known after it
            tried = go_through(tuning_alone(plan))
            plan, workers = _plan(asked, device, runs, jobs, keep=True)
            plan = _part(plan, runs, only)
            _print_plan(plan, workers, jobs, talk)
            chosen = study.ask(runs, plan.study)
        outcome = go_through(plan)
        if tried is not None:
            outcome.add_tuning(tried)
        page = render(runs, reports, chosen)
    except KeyboardInterrupt:
        with contextlib.suppress(OSError):  # perhaps it is the terminal that went away
            talk.print(
                "\ninterrupted; what is finished is kept, running the same again goes on where it "
                f"stopped\n`{_report_command(chosen.suite, runs, reports)}` writes the page of "
                "what there is",
                markup=False,
            )
        return Exit.INTERRUPTED
    device_asked = ["--device", device] if device else []
    places = [*device_asked, *_unusual(runs, reports)]
    _close(plan, chosen, outcome, runs, page, asked, places)
    return Exit.FAILED if outcome.failed or outcome.diverged else Exit.OK


def plan(
    asked: Request, device: str | None, runs: Path, as_json: bool, strict: bool = False
) -> None:
    """Print the plan."""
    made, workers = _plan(asked, device, runs, "auto")
    if as_json:
        print(json.dumps(_plan_json(made, workers), indent=1))
    else:
        _print_plan(made, workers, "auto", Console(highlight=False, soft_wrap=True))
    _refuse(made, strict)


def _part(plan: Plan, runs: Path, only: Only) -> Plan:
    """Return what a run is confined to of a plan."""
    from ablate.suite import chosen

    return chosen.part(plan, runs, only.pattern, only.rerun_failed)


def _refuse(plan: Plan, strict: bool) -> None:
    """Raise `SuiteError` where verdicts are wanted that the seeds of a plan are too few for."""
    if strict and plan.too_few:
        raise SuiteError("", "", [Problem("--strict", said) for said in plan.too_few])


def config(asked: Request, device: str | None, comparison: str | None, variant: str | None) -> None:
    """Print every value of the configurations with its origin."""
    loaded = _load(asked, device)
    if loaded.problems:
        raise SuiteError(loaded.source.name, loaded.source.text, loaded.problems)
    for name, option, known in (
        (comparison, "--comparison", list(loaded.variants)),
        (variant, "--variant", [v.name for vs in loaded.variants.values() for v in vs]),
    ):
        if name is not None and name not in known:
            message = f"there is no {name!r}; {catalog.suggest(name, known)}"
            raise SuiteError("", "", [Problem(option, message)])
    print(f"# {loaded.source.name}, profile {loaded.applied.profile}")
    by_id = {compared.id: compared for compared in loaded.suite.comparisons}
    for id, variants in loaded.variants.items():
        for item in variants:
            if comparison in (None, id) and variant in (None, item.name):
                seeds = ", ".join(map(str, loaded.seeds(by_id[id], item.name)))
                print(f"\n# {id}/{item.name}, seeds {seeds}")
                tuned = by_id[id].tuned(loaded.applied.profile)
                if tuned is not None:
                    print(f"# chosen anew by tuning, so not as below: {', '.join(tuned.paths)}")
                print(_aligned(_values(item, loaded)))


def report(suites: Sequence[str], runs: Path, reports: Path) -> None:
    """Render the newest study of each suite, then the pages over all suites; print their places."""
    from ablate.report import render as rendering

    for newest in _newest("report", suites, runs):
        print(rendering.render(runs, newest, reports))
    page = rendering.render_index(runs, reports, available().values())
    print(page, page.with_name("claims.html"), sep="\n")


def verdicts(suite: str, as_json: bool, strict: bool, runs: Path) -> Exit:
    """Print what the newest study of a suite says of its claims; return the exit code."""
    from ablate.evidence import control, saving
    from ablate.evidence.collect import collect
    from ablate.evidence.verdicts import judge, report_lines

    (newest,) = _newest("verdicts", [suite], runs)
    evidence = collect(runs, newest)
    found = judge(evidence)
    if as_json:
        said = {
            "study": newest.id,
            "verdicts": [verdict.as_json() for verdict in found],
            "savings": [one for it in evidence.comparisons for one in saving.as_json(it)],
            "controls": [one.as_json() for it in evidence.comparisons if (one := control.of(it))],
        }
        print(json.dumps(said, indent=1))
    else:
        print("\n".join(report_lines(evidence, found)))
    return Exit.REFUTED if strict and any(verdict.fails for verdict in found) else Exit.OK


def _newest(command: str, suites: Sequence[str], runs: Path) -> list[study.Study]:
    """Return the newest study of each suite, by default of all that have one."""
    known = study.suites(runs)
    unknown = [name for name in suites if name not in known]
    if unknown or not known:
        what = f"no study of {unknown[0]!r}" if unknown else "no studies"
        hint = f"; {catalog.suggest(unknown[0], known)}" if unknown and known else ""
        message = f"there are {what} under {runs}{hint}; `ablate run` makes one"
        raise SuiteError("", "", [Problem(command, message.replace("are no study", "is no study"))])
    newest = [study.newest(runs, name) for name in suites or known]
    return [found for found in newest if found is not None]  # each is among the known


def _report_command(suite: str, runs: Path, reports: Path) -> str:
    """Return what to type for a suite's report, with the folders that are not the usual ones."""
    return shlex.join(["ablate", "report", suite, *_unusual(runs, reports)])


def _unusual(runs: Path, reports: Path) -> list[str]:
    """Return the options that say which folders, of those that are not the usual ones."""
    words = []
    for option, folder in (("--runs", runs), ("--reports", reports)):
        if folder != Path(option.removeprefix("--")):
            words += [option, str(folder)]
    return words


def _load_reporting() -> None:
    """Import what pages are made with before the first trial.

    Python cannot always begin an import again that Ctrl-C broke off, and a library that is missing
    or broken is better found now.
    """
    backends = (f"matplotlib.backends.backend_{kind}" for kind in ("agg", "pdf", "svg"))
    for name in ("ablate.report.pages", "pandas", "scipy.special", "seaborn", *backends):
        importlib.import_module(name)


def _load(asked: Request, device: str | None) -> Loaded:
    from ablate.suite import plan as planning

    profile = "full" if planning.pick_device(device or None) == "cuda" else "quick"
    return load(asked, profile)


def _plan(
    asked: Request, device: str | None, runs: Path, jobs: str, keep: bool = False
) -> tuple[Plan, int]:
    """Return the plan and how many trials may run side by side. Only making one takes torch.

    Where it is made and `keep` is set, it is kept for the next time.
    """
    sweep(runs)
    given = remembered.inputs(asked, device or None)
    known = remembered.recall(given, runs)
    if known is not None:
        return known, _workers(jobs, known.study.device, 0)
    from ablate.suite import plan as planning
    from ablate.suite.preflight import check

    chosen = planning.pick_device(device or None)
    loaded = _load(asked, device)
    checked = check(loaded)
    side_by_side = _workers(jobs, chosen, _MANY), _workers(jobs, "cpu", _MANY)
    with counting("facts of networks", talk) as show:
        made = planning.make(loaded, checked, runs, chosen, *side_by_side, show)
    if keep:
        remembered.keep(given, asked, device or None, loaded, checked, made, runs)
    most = len(made.missing_tuning) or len(made.missing) or len(made.missing_readings)
    return made, _workers(jobs, chosen, most)


_MANY = 10**9  # trials: more than any machine has workers for


def _workers(jobs: str, device: str, trials: int) -> int:
    if jobs == "auto":
        places = _cores() if device == "cpu" or not trials else len(_places(device))
        return max(1, min(places, trials))
    if not jobs.isdecimal() or int(jobs) == 0:
        message = f"{jobs!r} is neither a number of 1 or more nor auto"
        raise SuiteError("", "", [Problem("--jobs", message)])
    return max(1, min(int(jobs), trials))


def _cores() -> int:
    """Return the cores that this process may use."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return cores or 1


def _load_average() -> float | None:
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else None


def _places(device: str) -> list[dict[str, str]]:
    """Return what gives a worker its GPU, for each of them; [] where there is none to choose."""
    gpus = environment.gpus() if device == "cuda" else []
    return [{"CUDA_VISIBLE_DEVICES": gpu} for gpu in gpus]


def _memory(gigabytes: float | None, device: str) -> int | None:
    """Return the bytes that images may take: those that were asked for, else half of the CPU's."""
    if gigabytes is not None:
        return int(gigabytes * 1e9)
    return environment.memory() // 2 if device == "cpu" else None


def _print_plan(plan: Plan, workers: int, jobs: str, out: Console) -> None:
    asked = plan.study
    seeds = f"seeds {', '.join(map(str, asked.seeds))}" if asked.seeds else "measured, not trained"
    if asked.stop:
        seeds = f"up to {len(asked.seeds)} seeds, until ±{asked.stop['until']:g}"
    out.print(f"{asked.suite}: {asked.title}", markup=False)
    out.print(
        f"profile {asked.profile} · {seeds} · {asked.device}, {asked.precision} · study {asked.id}",
        markup=False,
    )
    if plan.missing_tuning or plan.missing:
        out.print(_how(plan, workers, jobs), markup=False)
    for line in plan.damaged:
        out.print(f"damaged: {line}", markup=False)
    for comparison in asked.comparisons:
        sizes = comparison.data.sizes
        out.print(f"\n{comparison.id}: {comparison.title}", markup=False)
        out.print(
            f"  {comparison.data.title}: {sizes['train']:,} training, {sizes['validation']:,} "
            f"validation, {sizes['test']:,} test images"
            if sizes
            else f"  images as in {comparison.data.title}; nothing is trained"
        )
        table = tabulate(list(_table(plan, comparison.id)), _HEADERS, colalign=_ALIGN)
        out.print("  " + table.replace("\n", "\n  "), markup=False)
        if comparison.control:
            out.print(f"  {_control(plan, comparison)}", markup=False)
        for line in _tuning(comparison):
            out.print(f"  {line}", markup=False)
        for point in comparison.budgets:
            if point.solved:
                out.print(f"  {_at_budget(point)}", markup=False)
        for row in comparison.rows[1:]:
            said = [*row.structure, *_unequal(plan, comparison, row)]
            if said:
                lines = "; ".join(said)
                out.print(f"  {_name(row, comparison.baseline)}: {lines}", markup=False)
    out.print()
    for notice in plan.notices:
        out.print(f"note: {notice}", markup=False)
    left = sum(trial.seconds for trial in plan.missing)
    cached = len(plan.trials) - len(plan.missing)
    todo = f"{len(plan.missing)} trials to run, {cached} there already"
    alone = sum(found.seconds for found in plan.missing_passes)
    if plan.tuning:
        first = f"{len(plan.missing_tuning)} trials of tuning to run"
        first += f", {len(plan.tuning) - len(plan.missing_tuning)} there already"
        tuning = sum(trial.seconds for trial in plan.missing_tuning)
        left += tuning + sum(row.count * row.seconds for row in plan.following)
        if plan.missing_tuning:
            first += f" (ETA {duration(tuning / workers)})"
        if plan.following:
            count = sum(row.count for row in plan.following)
            first += f", then {count} trials at the settings that they choose"
        todo = f"{first}; {todo}" if plan.trials else first
    if plan.missing_readings:
        readings = len(plan.missing_readings)
        left += sum(found.seconds for found in plan.missing_readings)
        todo += f", then {readings} {'reading' if readings == 1 else 'readings'} of weights"
    if plan.missing_passes:
        passes = len(plan.missing_passes)
        todo += f", then {passes} {'pass' if passes == 1 else 'passes'} of {_what(plan)}"
    if left or alone:
        side = f", {workers} side by side" if workers > 1 and left else ""
        todo += f"; ETA {duration(left / workers + alone)} ({duration(left + alone)} of work{side})"
    out.print(todo, markup=False)


def _tuning(comparison: study.ComparisonAsked) -> Iterator[str]:
    """Say what is tuned in a comparison, and what was chosen so far."""
    asked = comparison.tuning
    if asked is None:
        return
    cells = "; ".join(shown(cell) for cell in asked.cells)
    yield (
        f"tuned by {asked.score.replace('_', ' ')}, each row alike, over {len(asked.cells)} cells "
        f"with {len(asked.seeds)} {'seed' if len(asked.seeds) == 1 else 'seeds'} each: {cells}"
    )
    for row in comparison.rows:
        if row.tuned is not None and row.tuned.chosen is not None:
            budget = f" at equal {', '.join(row.match)}" if row.solved else ""
            yield f"{row.variant}{budget}: chosen {shown(asked.cells[row.tuned.chosen])}"


def _what(plan: Plan) -> str:
    """Return what the passes that are missing measure."""
    metrics = {found.job["spec"]["metric"] for found in plan.missing_passes}
    timed = "latency" in metrics
    return " and ".join(["latency"] * timed + ["memory"] * (len(metrics) > timed))


def _how(plan: Plan, workers: int, jobs: str) -> str:
    """Return what was chosen for the trials to come, and why. It takes torch, as they do."""
    from ablate.suite import plan as planning

    missing = plan.missing_tuning or plan.missing
    device, recipe = plan.study.device, missing[0].job["spec"]["config"]["recipe"]
    chosen, why = planning.precision_of(missing[0])
    many = f"{workers} trials side by side" if workers > 1 else "one trial at a time"
    if jobs != "auto":
        reason = "asked for"
    elif workers == len(missing):
        reason = "no more are missing"
    else:
        reason = "one per core" if device == "cpu" else "one per GPU"
    threads = recipe["threads"]
    each = f"{threads} {'thread' if threads == 1 else 'threads'} each" if device == "cpu" else ""
    exact = "deterministic kernels (asked for)" if recipe["exact"] else ""
    parts = [f"{chosen} ({why})", f"{many} ({reason})", each, exact]
    return "trained in " + " · ".join(part for part in parts if part)


_HEADERS = ["variant", "match", "trials", "parameters", "MACs", "RF", "as trained", "each"]
_ALIGN = ("left", "left", "left", "right", "right", "right", "left", "right")


def _table(plan: Plan, comparison: str) -> Iterator[list[str]]:
    seconds = {trial.id: trial.seconds for trial in plan.trials}
    for asked, row, done, total in by_row(plan):
        if asked.id != comparison:
            continue
        full, trained = plan.facts[row.full_facts], plan.facts[row.facts]
        # None of a row that `-k` leaves out.
        known = [seconds[id] for id in row.trials.values() if id in seconds]
        small = ""
        if row.facts != row.full_facts and asked.is_trained:
            small = f"{_fact(trained, 'params')} / {_fact(trained, 'macs')} MACs"
        yield [
            row.variant,
            _match(row, asked),
            _done(row, done, total),
            _fact(full, "params"),
            _fact(full, "macs"),
            _fact(full, "receptive_field"),
            small,
            duration(known[0]) if known else "",
        ]


def _done(row: study.Row, done: int, total: int) -> str:
    if row.tuned is not None and row.tuned.chosen is None:
        return f"0/{len(row.seeds)}, to be tuned"
    return f"{done}/{total} done" if total else "none"


def _fact(record: Record, name: str) -> str:
    value = record.metrics[name].value
    return "invalid" if value is None else f"{value:,}"


def _match(row: study.Row, asked: study.ComparisonAsked) -> str:
    if isinstance(row, study.AtBudget):
        return f"{row.factor:g}x {row.match[0]}"
    if row.reference is None:
        return "baseline" if row is asked.rows[0] else "reference"
    return ", ".join(row.match)


def _control(plan: Plan, comparison: study.ComparisonAsked) -> str:
    """Say with which further seeds the baseline is held against itself."""
    done = {trial.id for trial in plan.trials if trial.done} & set(comparison.control.values())
    seeds = list(comparison.control)
    which = f"seed {seeds[0]}" if len(seeds) == 1 else f"seeds {seeds[0]} to {seeds[-1]}"
    return (
        f"control: {comparison.baseline} against itself, with {which}, "
        f"{len(done)}/{len(seeds)} done"
    )


def _at_budget(point: study.AtBudget) -> str:
    budget = f"{point.factor:g} times the {point.match[0]}"
    return f"{point.variant} at {budget}, solved {_solved(point)}"


def _solved(row: study.Row) -> str:
    return ", ".join(
        f"{key} {value:g} (full: {row.full_solved[key]:g}; off by {row.residual:+.2%})"
        for key, value in row.solved.items()
    )


def _name(row: study.Row, baseline: str) -> str:
    solved = _solved(row)
    budget = f" at equal {', '.join(row.match)}" if row.solved else ""
    against = f" against {row.reference}" if row.reference not in (None, baseline) else ""
    return f"{row.variant}{against}{budget}" + (f", solved {solved}" if solved else "")


def _unequal(plan: Plan, comparison: study.ComparisonAsked, row: study.Row) -> Iterator[str]:
    """Say what is not equal where a budget is: other costs of the full network."""
    references = [
        other
        for other in comparison.rows
        if other.variant == row.reference and "none" in other.match
    ]
    if not row.solved or not references:
        return
    ours, theirs = (plan.facts[it.full_facts].metrics for it in (row, references[0]))
    said = []
    for name in _COSTS:
        found = ratio(ours.get(name), theirs.get(name))
        if name not in row.match and found is not None and abs(found - 1) > _ALIKE:
            cost = fewer_or_more(found, is_count=name in ("params", "macs"))
            said.append(f"{lower_first(ours[name].title)} {cost}")
    if said:
        yield f"not equal: {', '.join(said)}"


_COSTS = ("params", "macs", "receptive_field", "activation_memory")
_ALIKE = 0.02  # costs that differ by no more than what matches are held to need no word


def _plan_json(plan: Plan, workers: int) -> dict[str, Any]:
    return {
        "study": plan.study.model_dump(mode="json"),
        "trials": [
            {"id": t.id, "seed": t.seed, "row": t.label, "done": t.done, "seconds": t.seconds}
            for t in plan.trials
        ],
        "facts": {
            id: {name: found.value for name, found in record.metrics.items()}
            for id, record in plan.facts.items()
        },
        "passes": [
            {"id": p.id, "name": p.name, "done": p.done, "seconds": p.seconds} for p in plan.passes
        ],
        "readings": [
            {"id": r.id, "trial": r.trial, "name": r.name, "done": r.done, "seconds": r.seconds}
            for r in plan.readings
        ],
        "tuning": [
            {"id": t.id, "seed": t.seed, "row": t.label, "done": t.done, "seconds": t.seconds}
            for t in plan.tuning
        ],
        "following": [
            {"row": row.label, "trials": row.count, "seconds": row.seconds}
            for row in plan.following
        ],
        "workers": workers,
        "seconds": sum(row.count * row.seconds for row in plan.following) / workers
        + sum(trial.seconds for trial in plan.missing_tuning) / workers
        + sum(trial.seconds for trial in plan.missing) / workers
        + sum(found.seconds for found in plan.missing_readings) / workers
        + sum(found.seconds for found in plan.missing_passes),
        "notices": plan.notices,
        "too_few": plan.too_few,
        "damaged": plan.damaged,
    }


def _values(item: Variant, loaded: Loaded) -> Iterator[tuple[str, str, str]]:
    """Yield path, value and origin of every leaf of a configuration that is set."""
    for loc, value in _leaves(item.trained.values, ()):
        origin = item.trained.origin(loc)
        if value is None:
            continue
        if origin is None:
            where = "default"
        elif origin.at is None:
            where = origin.layer
        else:
            at, said = trace(loaded.source, origin, loc)
            position = loaded.source.position(at)
            where = f"{loaded.source.name}:{position.line}:{position.column} ({origin.layer})"
            if not said:
                where = f"default of {where}"
        yield dotted.show(loc), json.dumps(value, ensure_ascii=False), where


def _leaves(tree: Any, loc: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    if isinstance(tree, dict) and tree:
        for key, value in tree.items():
            yield from _leaves(value, (*loc, key))
    elif isinstance(tree, list) and any(isinstance(item, dict | list) for item in tree):
        for index, value in enumerate(tree):
            yield from _leaves(value, (*loc, index))
    else:
        yield loc, tree


def _aligned(rows: Iterator[tuple[str, str, str]]) -> str:
    found = list(rows)
    widths = [min(max(len(row[i]) for row in found), 44) for i in (0, 1)]
    return "\n".join(f"{p:<{widths[0]}}  {v:<{widths[1]}}  # {o}" for p, v, o in found)


def render(runs: Path, reports: Path, chosen: study.Study) -> Path:
    """Bring the pages of a study and of all suites up to date, and return the latter's."""
    from ablate.report import render as rendering

    rendering.render(runs, chosen, reports)
    return rendering.render_index(runs, reports, available().values())


def _close(
    plan: Plan,
    chosen: study.Study,
    outcome: Any,
    runs: Path,
    page: Path,
    asked: Request,
    places: list[str],
) -> None:
    """Say what came out: the page's sentences, then what did not go well, then where to look."""
    from ablate.evidence import tuned
    from ablate.evidence.answer import lines
    from ablate.evidence.collect import collect
    from ablate.evidence.verdicts import judge, short_lines

    sys.stderr.flush()
    print()
    evidence = collect(runs, chosen)
    for line in [*lines(evidence), *tuned.lines(evidence), *short_lines(judge(evidence))]:
        print(line)
    for reason in outcome.reasons:
        print(f"not ok: {reason}")
    counts = f"{outcome.ok} trained, {outcome.kept} there already"
    if outcome.tried:
        counts = f"{outcome.tried} tried for tuning, {counts}"
    if outcome.read:
        counts += f", {outcome.read} {'reading' if outcome.read == 1 else 'readings'} of weights"
    for number, word in ((outcome.failed, "failed"), (outcome.diverged, "diverged")):
        if number:
            counts += f", {number} {word}"
    if outcome.unneeded:
        counts += f", {outcome.unneeded} not needed (the intervals are narrow enough)"
    print(f"\n{counts}")
    if outcome.failed:
        print("running the same again tries what failed once more")
    if plan.other:
        profile, seconds = plan.other
        print(f"profile {profile} would take about {duration(seconds)} of one such core")
    sys.stdout.flush()
    with contextlib.suppress(OSError):  # perhaps it is the terminal that went away
        for line in advice.afterwards(evidence, runs):
            talk.print(f"advice: {line}", markup=False)
        step = advice.next_step(evidence, asked, places, outcome.failed)
        talk.print(f"next: {step}", markup=False)
    print(f"report: {page.resolve().as_uri()}")
