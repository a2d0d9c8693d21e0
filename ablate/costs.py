"""What `ablate measure --latency --memory` does: passes over networks that nobody trains.

Those of a suite are the passes that a run would measure, and are kept in its records; those of a
network that is no suite's are kept nowhere. Every process is a fresh one, and they run one at a
time.
"""

import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ablate import catalog, environment, passes, records
from ablate.evidence import latency, memory
from ablate.evidence.effects import Effect
from ablate.evidence.latency import Measured, Ratio, Timed
from ablate.evidence.memory import Peak
from ablate.evidence.spelling import byte_count, counted, number, quantity
from ablate.execute import Done, Lost
from ablate.records import Record
from ablate.run import PASS, process_by_process
from ablate.suite.load import Loaded
from ablate.suite.plan import passes_of
from ablate.suite.planned import PassPlan
from ablate.suite.preflight import Checked
from ablate.suite.schema import Latency, Memory

_METRICS = {"inference": "inference_memory", "training_step": "training_memory"}
PEAKS = 3  # repetitions of what uses memory
_EFFECTS = {"higher": "slower", "lower": "faster"}


@dataclass(frozen=True)
class Asked:
    """What is to be measured beside the facts; a suite's own word goes before these."""

    latency: bool = False
    memory: bool = False
    batches: Sequence[int] = (1,)
    precisions: Sequence[str] = ("fp32",)
    modes: Sequence[str] = ("eager",)
    phases: Sequence[str] = ("inference",)
    threads: int = 1
    processes: int = passes.PROCESSES
    rounds: int = passes.ROUNDS
    device: str = "cpu"

    @property
    def anything(self) -> bool:
        """Whether there is anything to measure."""
        return self.latency or self.memory


NOTHING = Asked()


@dataclass(frozen=True)
class Costs:
    """What came of it."""

    latency: tuple[Measured, ...]  # rows by name
    memory: Mapping[str, list[Peak]]  # by name
    unmeasured: list[str]  # what could not be measured, each with the reason


def of_networks(
    configs: Mapping[str, Mapping[str, Any]], shape: Sequence[int], outputs: int, asked: Asked
) -> Costs:
    """Measure networks, the first of which the others are compared with.

    Args:
        configs: of the networks ("family" and its options) by name.
        shape: (channels, height, width) of one image.
        outputs: that they are built for.
        asked: what is measured.
    """
    planned: list[tuple[dict[str, Any], str, int | None]] = []

    def settings(phases: Sequence[str], modes: Sequence[str]) -> list[dict[str, Any]]:
        return passes.settings(
            asked.device,
            asked.threads,
            phases=phases,
            batches=asked.batches,
            precisions=asked.precisions,
            modes=modes,
        )

    if asked.latency:
        every = settings(asked.phases, asked.modes)
        for process in range(asked.processes):
            spec = passes.spec_of(
                "latency", list(configs.values()), shape, outputs, {}, every, asked.rounds, process
            )
            planned.append((spec, f"latency, process {process + 1} of {asked.processes}", process))
    if asked.memory:
        for phase in asked.phases:
            metric = _METRICS[phase]
            for name, config in configs.items():
                every = settings([phase], ["eager"])
                spec = passes.spec_of(metric, [config], shape, outputs, {}, every, PEAKS)
                planned.append((spec, f"{metric.replace('_', ' ')} of {name}", None))
    with tempfile.TemporaryDirectory() as folder:
        those = [
            PassPlan(
                records.identity(spec),
                name,
                {"spec": spec, "plugins": [], "runs": folder},
                False,
                0.0,
                process,
            )
            for spec, name, process in planned
        ]
        found, unmeasured = take(those, Path(folder))
    columns: dict[tuple[str, ...], tuple[int, int | None]] = {
        (name,): (at, 0 if at else None) for at, name in enumerate(configs)
    }
    timed = [r for r in found if r.spec["metric"] == latency.METRIC]
    peaks = {
        name: [
            peak
            for r in found
            if r.spec["metric"] in memory.METRICS and r.spec["networks"] == [dict(config)]
            for peak in memory.of_pass(r)
        ]
        for name, config in configs.items()
    }
    return Costs(latency.of_passes(timed, columns), peaks, unmeasured)


def of_suite(
    loaded: Loaded, item: Checked, asked: Asked, runs: Path, plugins: dict[str, str]
) -> Costs:
    """Measure the full networks of a comparison, as its suite says how, else as is asked."""
    chosen = {"batches": list(asked.batches), "precisions": list(asked.precisions)}
    timed = loaded.latency(item.comparison) or Latency.model_validate(
        {
            **chosen,
            "modes": list(asked.modes),
            "phases": list(asked.phases),
            "threads": asked.threads,
            "processes": asked.processes,
            "rounds": asked.rounds,
        }
    )
    peaks = loaded.memory(item.comparison) or Memory.model_validate(
        {**chosen, "threads": asked.threads}
    )
    planned = passes_of(
        loaded,
        item,
        timed if asked.latency else None,
        peaks if asked.memory else None,
        runs,
        asked.device,
        plugins,
        [],
    )
    found, unmeasured = take([one for those in planned.values() for one in those], runs)
    records = [r for r in found if r.spec["metric"] == latency.METRIC]
    networks = records[0].spec["networks"] if records else []
    place = {
        (built.variant.name, *built.matches): networks.index(built.full_config["network"])
        for built in item.rows
        if networks
    }
    drop_in = {name: at for (name, *matches), at in place.items() if "none" in matches}
    columns = {
        (built.variant.name, *built.matches): (
            place[built.variant.name, *built.matches],
            drop_in.get(built.reference) if built.reference else None,
        )
        for built in item.rows
        if networks
    }
    memories = {
        _row(built.variant.name, built.matches): [
            peak
            for r in found
            if r.spec["metric"] in memory.METRICS
            and r.spec["networks"] == [built.full_config["network"]]
            for peak in memory.of_pass(r)
        ]
        for built in item.rows
    }
    return Costs(latency.of_passes(records, columns, timed.margin), memories, unmeasured)


def take(planned: Sequence[PassPlan], runs: Path) -> tuple[list[Record], list[str]]:
    """Measure passes that are not there yet, telling of each; return all that ended well.

    The second list says what did not.
    """
    lost = []
    execute = catalog.load("execute", "processes").run
    for together in process_by_process([one for one in planned if not one.done]):
        with closing(execute([one.job for one in together], PASS, 1)) as events:
            for event in events:
                name = together[event.index].name
                if isinstance(event, Lost):
                    lost.append(f"{name}: {event.reason}")
                elif isinstance(event, Done):
                    print(f"{name} measured", file=sys.stderr)
    found = []
    for one in planned:
        record = records.read(runs, "pass", one.id)
        if record is None:
            continue
        for place, reason in record.environment.get("unmeasured", {}).items():
            setting = record.spec["settings"][int(place)]
            lost.append(f"{one.name}: {_words(setting)}: {reason}")
        if record.status == "ok":
            _ = record.arrays  # read while its folder is there
            found.append(record)
    return found, list(dict.fromkeys(lost))


def gpu_notice(device: str) -> str | None:
    """Return what to say of a GPU that somebody else uses, None where nobody does."""
    if device != "cuda":
        return None
    state = environment.gpu_state()
    return None if state is None else environment.others_on_gpu(state)


def tables(costs: Costs) -> "list[tuple[str, list[str], list[list[str]], list[str]]]":
    """Return what was measured as tables: title, heads, rows and notes of each."""
    found = []
    for one in costs.latency:
        rows = [[_row(*_parts(key)), *_timed(timed)] for key, timed in one.rows.items()]
        title = f"latency, {_words(one.setting)}"
        found.append((title, ["network", "ms a call", "p90", "ratio", ""], rows, _notes(one)))
    settings = {
        (peak.metric, int(peak.setting["batch"]), str(peak.setting["precision"])): peak.setting
        for peaks in costs.memory.values()
        for peak in peaks
    }
    for key, setting in settings.items():
        rows = [
            [
                name,
                "invalid"
                if peak.invalid
                else ("≤ " if peak.is_bound else "") + byte_count(peak.value),
                byte_count(peak.weights),
                byte_count(peak.inputs),
            ]
            for name, peaks in costs.memory.items()
            for peak in peaks
            if (peak.metric, int(peak.setting["batch"]), str(peak.setting["precision"])) == key
        ]
        title = f"peak memory, {_words(setting)}, beside weights and inputs"
        invalid = [
            f"{name}: {peak.invalid}"
            for name, peaks in costs.memory.items()
            for peak in peaks
            if peak.invalid
        ]
        found.append((title, ["network", "peak", "weights", "inputs"], rows, invalid))
    return found


def as_json(costs: Costs) -> dict[str, Any]:
    """Return what was measured as JSON objects."""
    return {
        "latency": [
            {
                "setting": dict(one.setting),
                "processes": one.processes,
                "rounds": one.rounds,
                "dropped_rounds": one.dropped,
                "control": _ratio(one.control),
                "floor": one.floor,
                "margin": one.margin,
                "settled": one.settled,
                "on_cpu": one.on_cpu,
                "networks": {
                    _row(*_parts(key)): {
                        "seconds": timed.seconds,
                        "calls": timed.calls,
                        "p90_seconds": timed.p90,
                        "p99_seconds": timed.p99,
                        "slowest_seconds": timed.slowest,
                        "beyond_twice_the_median": timed.far,
                        "launch_bound": timed.waits,
                        "ratio": None if timed.ratio is None else _ratio(timed.ratio),
                        "effect": None if timed.effect is None else _effect(timed.effect),
                    }
                    for key, timed in one.rows.items()
                },
            }
            for one in costs.latency
        ],
        "memory": {
            name: [
                {
                    "metric": peak.metric,
                    "setting": dict(peak.setting),
                    "peak_bytes": peak.value,
                    "is_bound": peak.is_bound,
                    "invalid": peak.invalid,
                    "weights_bytes": peak.weights,
                    "inputs_bytes": peak.inputs,
                }
                for peak in peaks
            ]
            for name, peaks in costs.memory.items()
        },
        "unmeasured": costs.unmeasured,
    }


def _parts(key: tuple[str, ...]) -> tuple[str, Sequence[str]]:
    name, *matches = key
    return name, matches


def _row(name: str, matches: Sequence[str]) -> str:
    equal = [match for match in matches if match != "none"]
    return f"{name} (equal {', '.join(equal)})" if equal and "none" not in matches else name


def _timed(timed: Timed) -> list[str]:
    p90 = "" if timed.p90 is None else quantity(1000 * timed.p90)
    if timed.ratio is None or timed.effect is None:
        return [quantity(1000 * timed.seconds), p90, "", ""]
    return [
        quantity(1000 * timed.seconds),
        p90,
        spelled(timed.ratio),
        f"{timed.effect.symbol} {_effect(timed.effect)}",
    ]


def spelled(ratio: Ratio) -> str:
    """Spell a ratio with its interval."""
    if ratio.low is None or ratio.high is None:
        return f"{number(ratio.value, 2)} [no interval]"
    return f"{number(ratio.value, 2)} [{number(ratio.low, 2)}, {number(ratio.high, 2)}]"


def _notes(one: Measured) -> list[str]:
    found = [
        f"{counted(one.rounds, 'round')} in turns, in "
        f"{'one fresh process' if one.processes == 1 else f'{one.processes} fresh processes'}",
        f"A/A control, a copy of the first network to itself: {spelled(one.control)}",
    ]
    if one.unsteady:
        found.append(
            f"the machine is too noisy for a verdict: the copy differed from the network by "
            f"{100 * one.floor:.1f} %, more than the margin of {100 * one.margin:g} %"
        )
    if one.on_cpu is not None and one.on_cpu < latency.FREE:
        found.append(
            f"the machine was not left alone: other programs took up to "
            f"{100 * (1 - one.on_cpu):.0f} % of the time of some network's calls"
        )
    if not one.settled:
        found.append("times had not settled within 2 % when the warm-up ended")
    if one.dropped:
        found.append(f"{counted(one.dropped, 'round')} left out: the GPU's clock was low")
    return found


def _words(setting: Mapping[str, Any]) -> str:
    said = [
        str(setting["phase"]).replace("_", " "),
        f"batch of {setting['batch']}",
        str(setting["precision"]),
        str(setting["memory_format"]),
        str(setting["mode"]),
        str(setting["device"]),
        counted(int(setting["threads"]), "thread"),
    ]
    return ", ".join(said)


def _effect(effect: Effect) -> str:
    return _EFFECTS.get(effect.key, effect.words)


def _ratio(ratio: Ratio) -> dict[str, float | None]:
    return {"value": ratio.value, "low": ratio.low, "high": ratio.high}
