"""The tables in README.md, written from raw results between two markers."""

import math
import statistics
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from tabulate import tabulate

from ablate.evidence import welch
from benchmarks import (
    accuracy,
    matching,
    memory,
    overhead,
    planning,
    rerun,
    results,
    setting,
    speed,
)
from benchmarks.results import Row

BEGIN = "<!-- results: written by `python -m benchmarks` -->"
END = "<!-- end of results -->"

TITLES = {
    "ours": "**ablate**",
    "plain": "plain loop, fp32",
    "advised": "plain loop, well advised",
    "lightning": "Lightning",
    "timm": "loop of timm's parts",
    "ours-fp32": "**ablate**, held to fp32",
}
# What was wanted before anything was measured.
PLAIN, ADVISED, TOGETHER, FP32 = 2.4, 1.1, 1.25, 1.35
OVERHEAD, OVERHEAD_AT_MOST = 0.02, 0.04
RERUN_SECONDS, PLANNING_SECONDS, MATCHING_SECONDS = 3.0, 2.0, 2.0


def write(path: Path, folder: Path, about: Row) -> None:
    """Replace what stands between the markers of a Markdown file; the rest stays as it is.

    Args:
        path: of the file; it is made where it is missing.
        folder: of raw results.
        about: the environment and the images, as `results/…/about.json` has them.
    """
    old = path.read_text(encoding="utf-8") if path.exists() else f"# Benchmarks\n\n{BEGIN}\n{END}\n"
    before, marker, rest = old.partition(BEGIN)
    _, ending, after = rest.partition(END)
    if not marker or not ending:
        raise ValueError(f"{path}: there are no markers {BEGIN} and {END} in it")
    text = "\n\n".join(part for part in _parts(folder, about) if part)
    path.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}", encoding="utf-8")


def ratios(
    rows: Iterable[Row], place: Row, ours: str = "ours", mode: str | None = None
) -> list[float]:
    """Return how many times as long a contestant took as we did, round by round, both warm.

    Args:
        rows: of the section speed.
        place: network, batch, mode and contestant.
        ours: the contestant that it is held against.
        mode: of that one, where it is another.
    """
    against = place | {"contestant": ours, "mode": mode or place["mode"]}
    both = [by_round(rows, place), by_round(rows, against)]
    return [both[0][n]["seconds"] / both[1][n]["seconds"] for n in sorted(both[0].keys() & both[1])]


def by_round(rows: Iterable[Row], place: Row, temperature: str = "warm") -> dict[int, Row]:
    """Return a contestant's results by round, with the number of workers that suits it best."""
    found = results.having(rows, place)
    workers = speed.best_workers(found)
    wanted = {"temperature": temperature, "workers": workers}
    return {row["round"]: row for row in results.having(found, wanted)}


def least_seconds(
    needed: Sequence[Sequence[float]], rates: dict[str, float], precision: str
) -> float:
    """Return the time of one training image at the floor: by layer, arithmetic or memory.

    Args:
        needed: (FLOP, elements moved) by layer.
        rates: FLOP/s by precision, and bytes/s of a copy.
        precision: fp32 or bf16.
    """
    size = {"fp32": 4, "bf16": 2}[precision]
    return sum(
        max(flops / rates[precision], size * elements / rates["copy"]) for flops, elements in needed
    )


def overhead_interval(rows: Sequence[Row]) -> tuple[float, float, float]:
    """Return the geometric mean of trial over bare loop, minus 1, with its 95 % t interval."""
    from scipy.special import stdtrit

    logs = [math.log(row["trial"] / row["bare"]) for row in rows]
    centre, spread = welch.mean(logs), welch.deviation(logs)
    assert spread is not None
    reach = float(stdtrit(len(logs) - 1, 0.975)) * spread / math.sqrt(len(logs))
    low, middle, high = (math.expm1(centre + shift) for shift in (-reach, 0.0, reach))
    return middle, low, high


def _parts(folder: Path, about: Row) -> Iterator[str]:
    timed = results.load(folder, speed.SECTION)
    yield _about(about)
    sections: list[tuple[str, Callable[[], str]]] = [
        ("What was wanted, and what came", lambda: _targets(folder, about)),
        ("How many times as long as ablate", lambda: _ratios(timed)),
        ("Seconds per trained (variant, seed)", lambda: _speed(timed)),
        ("Accuracy", lambda: _accuracy(folder)),
        ("Overhead of the harness", lambda: _overhead(folder)),
        ("Running again, planning, matching, memory", lambda: _rest(folder)),
    ]
    for title, make in sections:
        if text := make():
            yield f"## {title}"
            yield text


def _about(about: Row) -> str:
    where = about["environment"]
    packages = ", ".join(
        f"{name} {version}" for name, version in where["packages"].items() if version
    )
    commit = (where["commit"] or "unknown")[:12] + (" with changes" if where["dirty"] else "")
    lines = [
        f"{where['cpu']}, {about['cores']} cores, {where['system']}; Python {where['python']}, "
        f"{packages}.",
        f"Images: {about['title']}. Precision that ablate chose: {about['precision']}. "
        f"Measured {about['date']}, commit {commit}.",
    ]
    if about["quick"]:
        lines.append("**Made with `--quick`: a proof that the benchmarks work. No number counts.**")
    absent = [name for name in setting.PACKAGES if where["packages"][name] is None]
    if absent:
        lines.append(f"Left out, since they are not installed: {' and '.join(absent)}.")
    if not about["photographs"]:
        lines.append("The images are noise: good for speed, useless for accuracy.")
    return "\n".join(lines)


def _places(rows: list[Row]) -> list[tuple[str, int]]:
    return list(dict.fromkeys((r["network"], r["batch"]) for r in rows if "temperature" in r))


def _ratios(rows: list[Row]) -> str:
    columns = [
        ("plain loop", "alone", "plain", "ours"),
        ("well advised", "alone", "advised", "ours"),
        ("well advised", "side by side", "advised", "ours"),
        ("Lightning", "alone", "lightning", "ours"),
        ("timm's parts", "alone", "timm", "ours"),
        ("plain loop, both fp32", "alone", "plain", "ours-fp32"),
    ]
    lines = []
    for network, batch in _places(rows):
        place = {"network": network, "batch": batch}
        cells = [
            _median(ratios(rows, place | {"mode": mode, "contestant": name}, ours), "{:.2f}")
            for _, mode, name, ours in columns
        ]
        lines.append([f"{network}, batch {batch}", *cells])
    if not lines:
        return ""
    headers = ["network", *(f"{title}, {mode}" for title, mode, _, _ in columns)]
    return (
        "Ratio of warm seconds within a round: median, and the range over rounds in brackets.\n\n"
        + _table(lines, headers)
    )


def _speed(rows: list[Row]) -> str:
    floors = [row["rates"] for row in rows if "rates" in row]
    needs = {row["network"]: row["needs"] for row in rows if "needs" in row}
    lines = []
    keys = dict.fromkeys((r["network"], r["batch"], r["mode"]) for r in rows if "temperature" in r)
    for network, batch, mode in keys:
        for name, title in TITLES.items():
            place = {"network": network, "batch": batch, "mode": mode, "contestant": name}
            warm, cold = by_round(rows, place), by_round(rows, place, "cold")
            if not warm:
                continue
            one = next(iter(warm.values()))
            threads = "1" if mode == "one thread" else str(max(map(int, floors[0])))
            least = statistics.median(
                least_seconds(needs[network], floor[threads], one["precision"]) for floor in floors
            )
            lines.append(
                [
                    f"{network}, {batch}, {mode}",
                    title,
                    f"{one['processes']} x {one['threads']}",
                    one["workers"] if name not in ("ours", "ours-fp32") else "",
                    one["precision"],
                    _median([row["seconds"] for row in warm.values()], "{:.2f}"),
                    _median([row["seconds"] for row in cold.values()], "{:.2f}"),
                    _median([row["cpu_seconds"] for row in warm.values()], "{:.2f}"),
                    _median([row["rate"] for row in warm.values()], "{:,.0f}"),
                    f"{least * statistics.median(r['rate'] for r in warm.values()):.0%}",
                    f"{max(r['peak_bytes'] for r in warm.values()) / 1e9:.2f}",
                ]
            )
    if not lines:
        return ""
    headers = ["network, batch, mode", "loop", "processes x threads", "workers", "precision"]
    headers += ["warm s", "cold s", "CPU s, warm", "images/s", "of the floor", "peak GB"]
    one = next(row for row in rows if "temperature" in row)
    top = floors[0][max(floors[0], key=int)]
    return (
        f"A trial: {one['images']:,} images seen in training, then the test. Medians, ranges over "
        "rounds in brackets. Cold is the first trial of a process, counted from its start; warm "
        "the second one. Images/s are those of the training loop, of all processes together. "
        f"Rates of the first round, all cores: fp32 {top['fp32'] / 1e9:,.0f} GFLOP/s, "
        f"bf16 {top['bf16'] / 1e9:,.0f} GFLOP/s, copy {top['copy'] / 1e9:,.1f} GB/s read and "
        "written.\n\n" + _table(lines, headers)
    )


def _accuracy(folder: Path) -> str:
    found = _accuracies(folder)
    if not found:
        return ""
    lines = [
        [TITLES[name], len(values), f"{welch.mean(values):.2f}", f"{welch.deviation(values):.2f}"]
        for name, values in found.items()
    ]
    text = _table(lines, ["loop", "seeds", "mean accuracy, %", "sd"])
    return f"{text}\n\n{_equivalence(found)}"


def _accuracies(folder: Path) -> dict[str, list[float]]:
    """Return the accuracies of both sides, {} where either has fewer than two."""
    rows = results.load(folder, accuracy.SECTION)
    found = {}
    for name in ("ours", "plain"):
        by_seed: dict[int, float] = {}
        for row in results.having(rows, {"contestant": name}):
            by_seed |= zip(row["seeds"], row["accuracy"], strict=True)
        found[name] = list(by_seed.values())
    return found if min(map(len, found.values())) > 1 else {}


def _equivalence(found: dict[str, list[float]]) -> str:
    interval = welch.interval(found["ours"], found["plain"], level=0.9)
    if interval is None:
        return "No seed differs from another: nothing can be said."
    verdict = "equivalent" if _equivalent(interval) else "not shown to be equivalent"
    return (
        f"Ours minus the plain loop: {interval.mean:+.2f} points, 90 % interval "
        f"{interval.low:+.2f} to {interval.high:+.2f}: {verdict} within ±{accuracy.MARGIN:g}."
    )


def _equivalent(interval: welch.Interval) -> bool:
    return max(-interval.low, interval.high) < accuracy.MARGIN


def _overhead(folder: Path) -> str:
    rows = results.load(folder, overhead.SECTION)
    if len(rows) < 2:
        return ""
    middle, low, high = overhead_interval(rows)
    return (
        f"A trial with its record, checkpoints and weights took {middle:+.2%} CPU time beside a "
        f"bare loop of the same steps (95 % interval {low:+.2%} to {high:+.2%}, {len(rows)} "
        f"rounds; medians {statistics.median(r['trial'] for r in rows):.2f} s and "
        f"{statistics.median(r['bare'] for r in rows):.2f} s)."
    )


def _rest(folder: Path) -> str:
    lines = []
    again = [row for row in results.load(folder, rerun.SECTION) if row["repeat"]]
    if again:
        lines.append(
            [
                f"a suite again, {again[0]['trials']} trials there",
                _median([row["seconds"] for row in again], "{:.2f} s"),
                _median([row["cpu_seconds"] for row in again], "{:.2f} s"),
            ]
        )
    plans = results.load(folder, planning.SECTION)
    for part, title in {
        "load": "reading the suite",
        "check": "building every network",
        "probe": "timing a few steps of every variant",
        "make": "the plan itself",
    }.items():
        if found := [row[part] for row in plans if part in row]:
            lines.append(
                [
                    f"a plan of {plans[0]['planned']:,} trials: {title}",
                    _median([row["seconds"] for row in found], "{:.2f} s"),
                    _median([row["cpu_seconds"] for row in found], "{:.2f} s"),
                ]
            )
    matched = results.load(folder, matching.SECTION)
    for side, title in {"ours": "", "in_full": ", every candidate counted in full"}.items():
        if found := [row[side] for row in matched]:
            lines.append(
                [
                    f"{len(found[0]['found'])} matches of s7{title}",
                    _median([row["seconds"] for row in found], "{:.2f} s"),
                    _median([row["cpu_seconds"] for row in found], "{:.2f} s"),
                ]
            )
    text = _table(lines, ["", "seconds", "CPU seconds"]) if lines else ""
    if matched:
        times = [row["in_full"]["cpu_seconds"] / row["ours"]["cpu_seconds"] for row in matched]
        text += (
            "\n\nCounting every network that matching tries in full takes "
            f"{_median(times, '{:.1f}')} times the CPU time, and finds the same."
        )
    for row in results.load(folder, memory.SECTION):
        held = row["held"]
        if held[0]["held"] is not None:
            text += (
                f"\n\nA worker that trains the {row['network']} network in batches of "
                f"{row['batch']} held "
                f"{held[0]['held'] / 1e6:,.0f} MB after its first trial and "
                f"{held[-1]['held'] / 1e6:,.0f} MB after trial {len(held)}; at most "
                f"{held[-1]['peak'] / 1e6:,.0f} MB at once."
            )
    return text.strip()


def _targets(folder: Path, about: Row) -> str:
    rows = results.load(folder, speed.SECTION)
    lines: list[list[str]] = []

    def add(what: str, wanted: str, came: str, met: bool) -> None:
        lines.append([what, wanted, came, "yes" if met else "**no**"])

    def ratio(
        network: str, mode: str, name: str, ours: str = "ours", our_mode: str | None = None
    ) -> list[float]:
        batches = [batch for known, batch in _places(rows) if known == network]
        place = {"network": network, "batch": min(batches, default=0), "mode": mode}
        return ratios(rows, place | {"contestant": name}, ours, our_mode)

    normal, depthwise = (ratio(name, "alone", "plain") for name in ("normal", "depthwise"))
    for what, wanted, found in (
        ("faster than the plain loop", PLAIN, normal),
        (
            "faster than the well-advised loop, both alone",
            ADVISED,
            ratio("normal", "alone", "advised"),
        ),
        (
            "trials side by side faster than the well-advised loop alone",
            TOGETHER,
            ratio("normal", "alone", "advised", our_mode="side by side"),
        ),
        (
            "faster than the well-advised loop, both side by side",
            TOGETHER,
            ratio("normal", "side by side", "advised"),
        ),
        (
            "faster than the plain loop, both in fp32",
            FP32,
            ratio("normal", "alone", "plain", "ours-fp32"),
        ),
    ):
        if found:
            middle = statistics.median(found)
            add(what, f"{wanted:g} times", f"{_median(found, '{:.2f}')} times", middle >= wanted)
    if normal and depthwise:
        first, second = statistics.median(normal), statistics.median(depthwise)
        add(
            "faster than the plain loop, depthwise network",
            f"more than {first:.2f} times",
            f"{_median(depthwise, '{:.2f}')} times",
            second > first,
        )
    if both := _accuracies(folder):
        interval = welch.interval(both["ours"], both["plain"], level=0.9)
        if interval is not None:
            came = f"{interval.low:+.2f} to {interval.high:+.2f}"
            margin = f"within ±{accuracy.MARGIN:g} points"
            add("accuracy as the plain loop's", margin, came, _equivalent(interval))
    spent = results.load(folder, overhead.SECTION)
    if len(spent) > 1:
        middle, _, high = overhead_interval(spent)
        add(
            "overhead over the bare loop",
            f"under {OVERHEAD:.0%}, at most {OVERHEAD_AT_MOST:.0%}",
            f"{middle:+.2%}, at most {high:+.2%}",
            middle < OVERHEAD and high < OVERHEAD_AT_MOST,
        )
    if again := [r["seconds"] for r in results.load(folder, rerun.SECTION) if r["repeat"]]:
        middle = statistics.median(again)
        add(
            "a suite again, everything there",
            f"under {RERUN_SECONDS:g} s",
            f"{middle:.2f} s",
            middle < RERUN_SECONDS,
        )
    plans = results.load(folder, planning.SECTION)
    if plans and not about["quick"]:
        middle = statistics.median(
            row["make"]["seconds"] + row["probe"]["seconds"] for row in plans
        )
        add(
            f"the plan of {plans[0]['planned']:,} trials, steps timed",
            f"under {PLANNING_SECONDS:g} s",
            f"{middle:.2f} s",
            middle < PLANNING_SECONDS,
        )
    matched = results.load(folder, matching.SECTION)
    if matched and not about["quick"]:
        middle = statistics.median(row["ours"]["cpu_seconds"] for row in matched)
        add(
            f"the {len(matched[0]['ours']['found'])} matches of s7, CPU time",
            f"under {MATCHING_SECONDS:g} s",
            f"{middle:.2f} s",
            middle < MATCHING_SECONDS,
        )
    if not lines:
        return ""
    return (
        "Of the smallest batch, the median over rounds, with the range in brackets.\n\n"
        + _table(lines, ["", "wanted", "came", "met"])
    )


def _median(values: Sequence[float], form: str) -> str:
    if not values:
        return ""
    middle = form.format(statistics.median(values))
    if len(values) == 1:
        return middle
    return f"{middle} ({form.format(min(values))}–{form.format(max(values))})"


def _table(lines: Sequence[Sequence[Any]], headers: Sequence[str]) -> str:
    return tabulate(lines, headers, tablefmt="github", disable_numparse=True)
