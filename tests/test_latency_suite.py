"""The suite `latency`: its claims, what a comparison says of how it is timed, times along batches,
and many settings in few words.
"""

from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats
from test_evidence import Lab
from test_verdicts import claim
from tiny import changed, checked, loaded

from ablate import commands, passes, records
from ablate.evidence import register, settings
from ablate.evidence.collect import collect
from ablate.evidence.verdicts import Verdict, judge
from ablate.records import Record
from ablate.report.latency import latency as table
from ablate.suite import plan as planning
from ablate.suite import unmeasured
from ablate.suite.load import Loaded, load
from ablate.suite.preflight import Checked, check
from ablate.suite.request import Request
from ablate.suite.source import SuiteError, parse
from ablate.suite.structure import structure
from ablate.train import precision

ROOT = Path(__file__).parent.parent
SUITE = ROOT / "suites" / "latency.yaml"
PROFILES = ("smoke", "quick", "full")


@pytest.fixture(scope="module")
def suite() -> dict[str, tuple[Loaded, list[Checked]]]:
    """The suite under each profile, with its networks built."""
    found = {name: load(Request(str(SUITE), profile=name), "full") for name in PROFILES}
    return {name: (one, check(one)) for name, one in found.items()}


# --- the suite ------------------------------------------------------------------------------------


def test_every_row_on_times_is_cited_or_says_why_not() -> None:
    """Rows of kind L: here or in `s7` by a claim on times or peaks of memory."""
    cited = set()
    for name in ("latency", "s7"):
        path = ROOT / "suites" / f"{name}.yaml"
        for comparison in structure(parse(path, path.name)).suite.comparisons:
            cited |= {
                one.note
                for one in comparison.claims
                if one.metric in ("latency", "inference_memory", "training_memory")
            }
    timed = [row for row in register.course().rows if "L" in row.kinds]
    assert len(timed) == 11  # counted in the notes' table
    lacking = [row.note for row in timed if row.note not in cited and not row.untestable]
    assert lacking == []
    assert [row.note for row in timed if row.untestable] == ["C:199"]


def test_nothing_is_trained_or_loaded(suite: dict[str, tuple[Loaded, list[Checked]]]) -> None:
    for one, items in suite.values():
        assert all(one.is_static(item.comparison) for item in items)
        assert all(item.opened.dataset.digest == "" for item in items)


def test_the_plan_of_each_profile(
    suite: dict[str, tuple[Loaded, list[Checked]]], tmp_path: Path
) -> None:
    def timed(name: str, only: str) -> list[dict[str, Any]]:
        one, items = suite[name]
        (item,) = [item for item in items if item.comparison.id == only]
        asking = one.latency(item.comparison), one.memory(item.comparison)
        found = planning.passes_of(one, item, *asking, tmp_path, "cpu", {}, [])
        return [plan.job["spec"] for plan in found["latency"]]

    quick = timed("quick", "depthwise")
    assert [spec["process"] for spec in quick] == [0, 1, 2]
    assert {
        (it["batch"], it["precision"], it["memory_format"]) for it in quick[0]["settings"]
    } == set(product([1, 32], ["fp32", "bf16"], ["channels_last", "contiguous"]))
    assert len(quick[0]["networks"]) == 3  # the baseline, a drop-in, and one of equal MACs
    assert {it["batch"] for it in timed("quick", "mobile")[0]["settings"]} == {1}
    along = timed("quick", "batch-size")[0]["settings"]
    assert {(it["phase"], it["batch"]) for it in along} == set(
        product(["inference", "training_step"], [1, 8, 32])
    )
    for only in ("depthwise", "mobile", "batch-size"):
        assert len(timed("full", only)) == 5  # to be cited
    assert [len(items) for _, items in suite.values()] == [1, 7, 7]
    expected = sum(
        passes.expected_seconds(spec)
        for only in ("depthwise", "layer", "dilation", "downsample", "padding", "mobile")
        for spec in timed("quick", only)
    )
    assert expected < 240
    (smoke,) = {len(timed("smoke", "layer"))}
    assert smoke == 2


@pytest.mark.usefixtures("one_thread")
def test_a_smoke_run_judges_its_claims(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    request = Request(str(SUITE), profile="smoke")
    plan, _ = commands._plan(request, "cpu", Path("runs"), "1")
    assert plan.missing == []
    for one in plan.missing_passes:
        *_, last = passes.run(one.job)
        assert last["status"] == "ok"
    evidence = collect(Path("runs"), plan.study)
    found = judge(evidence)
    assert [verdict.claim["note"] for verdict in found] == ["E:45", "C:184b"]
    for verdict in found:
        assert verdict.word not in ("not tested", "invalid")
        (part,) = verdict.parts
        assert part.setting is not None
        assert (part.setting["batch"], part.margin, part.runs) == (1, 0.05, (2,))
        assert part.estimate is not None
        assert part.estimate > 0
    made = table(evidence.study, evidence.comparisons[0])
    assert made is not None
    assert [column.title for column in made.columns] == ["Row", "Time", "Ratio"]
    assert len(made.lines) == 3


# --- how a comparison is timed --------------------------------------------------------------------

OTHER = (
    "comparisons:\n"
    "  - id: other\n"
    "    title: Other\n"
    "    baseline: a\n"
    "    variants: {a: {}, b: {network.norm: none}}\n"
)


def asked(profile: str, *own: str, add: str = "latency: {batches: [1]}\n") -> Any:
    """Return how the comparison `other` is timed, and the one that says nothing of itself."""
    text = changed(add=f"{add}profiles: {{p: {{latency: {{batches: [3]}}}}, q: {{}}}}\n")
    text = text.replace("comparisons:\n", OTHER + "".join(f"    {line}\n" for line in own))
    found = loaded(text, profile=profile)
    assert found.problems == []
    timed = [found.latency(comparison) for comparison in found.suite.comparisons]
    return [None if one is None else one.batches for one in timed]


@pytest.mark.usefixtures("here")
def test_what_is_said_nearest_to_a_comparison_is_how_it_is_timed() -> None:
    own, of_profile = "latency: {batches: [5]}", "profiles: {p: {latency: {batches: [7]}}}"
    assert asked("q") == [[1], [1]]
    assert asked("p") == [[3], [3]]
    assert asked("q", own) == [[5], [1]]
    assert asked("p", own) == [[3], [3]]  # as of seeds: the suite's profile comes later
    assert asked("p", own, of_profile) == [[7], [3]]
    assert asked("q", own, of_profile) == [[5], [1]]
    assert asked("q", own, add="") == [[5], None]


@pytest.mark.usefixtures("here")
def test_memory_of_one_comparison_alone() -> None:
    text = changed(add="").replace("    variants:\n", "    memory: {batches: [4]}\n    variants:\n")
    found = loaded(text.replace("comparisons:\n", OTHER))
    plan = planning.make(found, check(found), Path("runs"), "cpu")
    assert [c.id for c in plan.study.comparisons if c.passes] == ["conv"]
    assert [one.job["spec"]["settings"][0]["batch"] for one in plan.passes] == [4] * 4
    assert {c.id: c.margins for c in plan.study.comparisons} == {"other": {}, "conv": {}}


@pytest.mark.usefixtures("here")
def test_what_is_wrong_with_it_is_said_where_it_stands() -> None:
    text = changed(add="").replace("    variants:\n", "    latency: {batch: [4]}\n    variants:\n")
    with pytest.raises(SuiteError, match=r"tiny\.yaml:\d+:\d+: unknown key 'batch'; did you mean"):
        checked(text)


# --- hardware without bf16 ------------------------------------------------------------------------


def spec_in(*precisions: str) -> dict[str, Any]:
    network = {"family": "layers", "layers": [{"kind": "conv", "channels": 2, "kernel": 3}]}
    planned = passes.settings("cpu", batches=[1], precisions=precisions)
    return passes.spec_of("latency", [network], (1, 5, 5), 0, {}, planned, 3)


@pytest.mark.usefixtures("one_thread")
def test_bf16_without_hardware_for_it_is_left_out_and_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = spec_in("fp32", "bf16")
    both = passes.expected_seconds(spec_in("fp32", "fp32"))
    monkeypatch.setattr(precision, "_cpu_features", lambda: {"avx512f"})
    assert passes.expected_seconds(spec) < both
    (*_, last) = passes.run({"spec": spec, "plugins": [], "runs": str(tmp_path)})
    assert last["status"] == "ok"
    found = records.read(tmp_path, "pass", records.identity(spec))
    assert found is not None
    assert found.environment["unmeasured"] == {
        "1": "bf16 is not timed here: the CPU has no bf16 arithmetic"
    }
    assert [name for name in found.arrays if name.startswith("seconds")] == ["seconds_0"]
    # Where nothing else was asked for, the pass fails, with that reason.
    (*_, last) = passes.run({"spec": spec_in("bf16"), "plugins": [], "runs": str(tmp_path)})
    assert last["status"] == "failed"
    for features in ({"avx512_bf16"}, {"amx_bf16"}):
        monkeypatch.setattr(precision, "_cpu_features", lambda features=features: features)
        assert all(passes.unfit("latency", it) is None for it in spec["settings"])
    monkeypatch.setattr(precision, "_cpu_features", set)
    here = load(Request(str(SUITE), profile="quick"), "full")
    assert unmeasured.notices(here, "cpu") == [
        "bf16 is not timed here: the CPU has no bf16 arithmetic"
    ]
    assert unmeasured.notices(load(Request(str(SUITE), profile="smoke"), "full"), "cpu") == []
    assert unmeasured.notices(here, "cuda") == [
        "latency and memory of a suite's networks: not measured on cuda yet, only on cpu; add "
        "--device cpu (make: DEVICE=cpu)"
    ]
    assert passes.unfit("inference_memory", spec["settings"][1]) is None


# --- records of many settings ---------------------------------------------------------------------

# By setting (rounds, networks + 1), or None where it was not timed.
Times = Mapping[tuple[Any, ...], "np.ndarray[Any, Any] | None"]
KEYS = ("batch", "precision", "memory_format", "phase")


def lab_of(runs: Path, processes: Sequence[Times], *claims: dict[str, Any], **more: Any) -> Lab:
    """Return a lab with a network and its variant, timed as given in each process."""
    lab = Lab(runs)
    rows = [lab.row(name, [], network={"conv": name}) for name in ("normal", "depthwise")]
    if len(next(iter(processes[0].values()), [[]])[0]) == 4:  # a wider one and the control
        wide = {"conv": "depthwise", "width": 90.0}
        rows.append(lab.row("depthwise", [], match=("macs",), network=wide))
    ids = []
    for process, times in enumerate(processes):
        spec = {
            "metric": "latency",
            "networks": [row.full_config["network"] for row in rows],
            "settings": [
                {"precision": "fp32", "memory_format": "channels_last", "phase": "inference"}
                | dict(zip(KEYS, at, strict=False))
                | {"mode": "eager", "threads": 1, "device": "cpu"}
                for at in times
            ],
            "process": process,
            "machine": {"cpu": "A CPU", "cores": 2, "torch": "2.15.0"},
        }
        made = Record(
            kind="pass",
            id=records.identity(spec),
            spec=spec,
            status="ok",
            seconds=1.0,
            environment={"cpu": "A CPU", **more},
            started="2026-11-21T09:10:00+00:00",
            finished="2026-11-21T09:10:12+00:00",
        )
        arrays = {f"seconds_{n}": it for n, it in enumerate(times.values()) if it is not None}
        records.write(runs, made, arrays)
        ids.append(made.id)
    asked = [claim(**said) for said in claims]
    lab.compare(*rows, passes={"latency": ids}, margins={"latency": 0.05}, claims=asked)
    return lab


def judged(lab: Lab) -> list[Verdict]:
    return [*judge(collect(lab.runs, lab.ask()))]


FASTER = {"kind": "order", "metric": "latency", "expect": "depthwise < normal", "margin": "5%"}
ALL = [*product([1, 32], ["fp32", "bf16"], ["channels_last", "contiguous"])]


def eight(ratio_at: Mapping[tuple[Any, ...], float], copy: float = 1.0) -> list[Times]:
    """Return the times of three processes in which the variant takes these shares."""
    return [
        {
            at: np.full((6, 3), 0.01 * at[0]) * [1.0, ratio_at.get(at, 0.5) * wobble, copy]
            for at in ALL
        }
        for wobble in (0.995, 1.0, 1.005)
    ]


def test_settings_that_agree_are_one_sentence(tmp_path: Path) -> None:
    shares = {(1, "bf16", "contiguous"): 0.7, (32, "fp32", "channels_last"): 0.4}
    (found,) = judged(lab_of(tmp_path, eight(shares), FASTER))
    assert (found.word, len(found.parts)) == ("supported", 8)
    assert {part.tests for part in found.parts} == {8}
    logs = np.log([0.4 * wobble for wobble in (0.995, 1.0, 1.005)])
    low, high = np.exp(stats.t.interval(found.parts[4].level, 2, logs.mean(), stats.sem(logs)))
    assert found.sentence.startswith(
        "Supported at all 8 settings (batch 1 and 32, fp32 and bf16, channels_last "
        "and contiguous): latency of depthwise is 0.40 to 0.70 times that of normal, "
        f"[{low:.2f}, {high:.2f}] at batch 32, fp32, channels_last and ["
    )
    assert "more than the margin of 5 % (the full networks" in found.sentence
    assert found.sentence.count("latency of") == 1


@pytest.mark.parametrize(
    ("slower", "why", "said"),
    [
        ([at for at in ALL if at[1] == "bf16"], "on the precision", "refuted in bf16"),
        (
            [at for at in ALL if at[0] == 1 and at[1] == "bf16"],
            "on the batch and the precision",
            "refuted at batch 1, bf16",
        ),
        (
            [(1, "bf16", "contiguous")],
            "on the batch, the precision and the memory format",
            "refuted at batch 1, bf16, contiguous",
        ),
    ],
)
def test_settings_that_disagree_are_told_by_what_decides(
    tmp_path: Path, slower: list[tuple[Any, ...]], why: str, said: str
) -> None:
    (found,) = judged(lab_of(tmp_path, eight(dict.fromkeys(slower, 1.5)), FASTER))
    assert (found.word, found.why) == ("depends", why)
    assert f"{said}: latency of depthwise is 1.50 " in found.sentence
    assert found.sentence.startswith(f"Depends {why}, supported ")
    assert "the opposite of the claim" in found.sentence


def test_each_match_is_told_for_itself(tmp_path: Path) -> None:
    times = [
        {at: np.insert(it, 2, 2.0 * it[:, 1] / 0.5, axis=1) for at, it in each.items()}
        for each in eight({})
    ]
    (found,) = judged(lab_of(tmp_path, times, FASTER))
    assert (found.word, found.why, len(found.parts)) == ("depends", "on the match", 16)
    first, second = found.sentence.split("; refuted at equal MACs at all 8 settings (")
    assert first.startswith("Depends on the match, supported as a drop-in at all 8 settings (")
    assert "latency of depthwise is 0.50 times that of normal" in first
    assert "latency of depthwise is 2.00 times that of normal" in second
    assert "the opposite of the claim" in second


def test_a_machine_that_is_too_noisy_is_said_once(tmp_path: Path) -> None:
    (found,) = judged(lab_of(tmp_path, eight({}, copy=1.08), FASTER))
    assert (found.word, len(found.why)) == ("inconclusive", 0)
    assert "the machine is too noisy: the A/A control differs by up to 8.0 %" in found.sentence
    assert found.sentence.count("noisy") == 1


def places(*chosen: tuple[Any, ...]) -> str:
    among = [dict(zip(KEYS, at, strict=False)) for at in ALL]
    return settings.spelled([dict(zip(KEYS, at, strict=False)) for at in chosen], among)


def test_settings_are_told_as_boxes() -> None:
    assert places(*(at for at in ALL if at[0] == 1)) == "at batch 1"
    assert places(*(at for at in ALL if at[2] == "contiguous")) == "in contiguous"
    assert places(ALL[0]) == "at batch 1, fp32, channels_last"
    three = [at for at in ALL if at[0] == 1 and at[1:] != ("bf16", "contiguous")]
    assert places(*three) == "at batch 1, fp32; at batch 1, bf16, channels_last"
    but_one = [at for at in ALL if at != (32, "bf16", "contiguous")]
    told = places(*but_one)
    # Whatever the boxes are, they hold those seven and not the eighth.
    boxes = [set(box.partition(" ")[2].split(", ")) for box in told.split("; ")]
    held = {at for at in ALL for box in boxes if box <= {f"batch {at[0]}", *map(str, at[1:])}}
    assert held == set(but_one)


def test_a_table_of_many_settings_goes_down_the_page(tmp_path: Path) -> None:
    lab = lab_of(tmp_path, eight({(32, "bf16", "contiguous"): 1.5}))
    evidence = collect(lab.runs, lab.ask())
    made = table(evidence.study, evidence.comparisons[0])
    assert made is not None
    assert [column.group for column in made.columns] == [
        *("", "", "Batch of 1", "Batch of 1", "Batch of 32", "Batch of 32")
    ]
    assert [line.cells[1].text for line in made.lines[::2]] == [
        *("fp32, channels_last", "fp32, contiguous", "bf16, channels_last", "bf16, contiguous")
    ]
    last = made.lines[-1]
    assert (last.values["precision"], last.values["memory_format"]) == ("bf16", "contiguous")
    assert last.values["ratio_batch_32"] == pytest.approx(1.5, rel=1e-4)
    assert last.values["median_batch_1_seconds"] == pytest.approx(0.005, rel=1e-4)
    assert any("over 8 settings, each with its interval in the CSV" in it for it in made.notes)


def test_the_page_says_what_could_not_be_timed(tmp_path: Path) -> None:
    times = [{at: it if at[1] == "fp32" else None for at, it in one.items()} for one in eight({})]
    why = "bf16 is not timed here: the CPU has no bf16 arithmetic"
    lacking = {str(n): why for n, at in enumerate(ALL) if at[1] == "bf16"}
    lab = lab_of(tmp_path, times, FASTER, unmeasured=lacking)
    evidence = collect(lab.runs, lab.ask())
    made = table(evidence.study, evidence.comparisons[0])
    assert made is not None
    assert f"Not timed in bf16: {why}." in made.notes
    assert {line.cells[1].text for line in made.lines} == {"channels_last", "contiguous"}
    (found,) = judged(lab)
    assert (found.word, len(found.parts)) == ("supported", 4)


# --- along batches --------------------------------------------------------------------------------

ALONG = {
    **{"kind": "trend", "metric": "latency", "of": "depthwise", "expect": "falling"},
    **{"margin": "10%", "over": {"batch": [1, 4, 16]}},
}
# Milliseconds an image of the variant at batches of 1, 4 and 16, by process.
FALLS = ([4.0, 2.0, 1.9], [4.1, 2.1, 1.95], [3.9, 1.9, 1.85])


def along(*of: Sequence[float], copy: float = 1.0) -> list[Times]:
    return [
        {
            (batch,): np.full((6, 3), 1e-3 * ms * batch) * [2.0, 1.0, 2.0 * copy]
            for batch, ms in zip((1, 4, 16), each, strict=True)
        }
        for each in of
    ]


def test_time_an_image_along_batches(tmp_path: Path) -> None:
    (found,) = judged(lab_of(tmp_path, along(*FALLS), ALONG))
    logs = np.log([each[2] / each[0] for each in FALLS])
    low, high = np.exp(stats.t.interval(0.95, 2, logs.mean(), stats.sem(logs)))
    (part,) = found.parts
    assert (part.estimate, part.low, part.high) == pytest.approx(
        (np.exp(logs.mean()), low, high), rel=1e-9
    )
    assert (found.word, part.runs, part.margin) == ("supported", (3,), 0.1)
    assert part.setting is not None
    assert "batch" not in part.setting
    means = [stats.gmean([each[k] for each in FALLS]) for k in range(3)]
    assert found.sentence.startswith(
        f"Supported: time an image of depthwise is {means[0]:.2f} ms at batch 1, "
        f"{means[1]:.2f} at 4 and {means[2]:.2f} at 16, first within 10 % of the least at batch 4; "
        f"{means[2] / means[0]:.2f} times from the first to the last [{low:.2f}, {high:.2f}] "
        "(95 % interval, 3 processes), more than the margin of 10 % (the full networks"
    )


@pytest.mark.parametrize(
    ("times", "said", "word", "why"),
    [
        (FALLS, {"expect": "rising"}, "refuted", "falls on the way"),
        (([4.0, 2.0, 3.0], [4.1, 2.1, 3.1], [3.9, 1.95, 2.9]), {}, "refuted", "rises on the way"),
        (([4.0, 3.95, 3.9], [4.1, 4.06, 4.0], [3.9, 3.86, 3.81]), {}, "true but negligible", ""),
        (([4.0, 2.0, 1.9], [4.1, 3.9, 1.2], [3.9, 1.1, 2.9]), {}, "inconclusive", ""),
        (([4.0, 2.0, 1.9],), {}, "inconclusive", ""),
        (FALLS, {"over": {"batch": [1, 8]}}, "not tested", "not timed at batch 8"),
    ],
)
def test_kinds_of_trends_along_batches(
    tmp_path: Path, times: Any, said: dict[str, Any], word: str, why: str
) -> None:
    (found,) = judged(lab_of(tmp_path, along(*times), ALONG | said))
    assert (found.word, found.why) == (word, why)


def test_a_trend_on_a_noisy_machine_says_so(tmp_path: Path) -> None:
    (found,) = judged(lab_of(tmp_path, along(*FALLS, copy=1.2), ALONG))
    assert (found.word, found.why) == ("inconclusive", "the machine is too noisy")


def test_each_phase_is_a_part_of_a_trend(tmp_path: Path) -> None:
    steps = [
        {
            (batch, "fp32", "channels_last", phase): it * (3 if phase == "training_step" else 1)
            for (batch,), it in each.items()
            for phase in ("inference", "training_step")
        }
        for each in along(*FALLS)
    ]
    lab = lab_of(tmp_path, steps, ALONG)
    (found,) = judged(lab)
    assert [part.where for part in found.parts] == [
        "as a drop-in for inference",
        "as a drop-in for a training step",
    ]
    assert [part.word for part in found.parts] == ["supported"] * 2
    evidence = collect(lab.runs, lab.ask())
    made = table(evidence.study, evidence.comparisons[0])
    assert made is not None
    assert [line.cells[1].text for line in made.lines[::2]] == [
        f"{phase}, batch {batch}"
        for batch in (1, 4, 16)
        for phase in ("inference", "training step")
    ]
    assert made.lines[-1].values["batch"] == 16
    assert made.lines[-1].values["median_seconds"] == pytest.approx(3 * 0.0304, rel=1e-3)
    # What a call takes an image.
    assert made.lines[-1].cells[-1].text == "5.70"


@pytest.mark.usefixtures("here")
def test_batches_that_make_no_trend_are_refused() -> None:
    said = "kind: trend, metric: latency, of: normal, expect: falling"
    claims = [
        "margin: 0.1, over: {batch: [1, 4]}",
        "margin: 10%, over: {batch: [4, 1]}",
        "margin: 10%, at: {batch: 1}, over: {batch: [0, 1]}",
        "margin: 10%, over: {network.width: [4, 8]}",
    ]
    listed = "".join(
        f"      - {{note: 'A:{n}', says: so, {said}, {one}}}\n" for n, one in enumerate(claims, 1)
    )
    text = changed(("seeds: 2", "seeds: 0\nlatency: {}"), add=f"    claims:\n{listed}")
    with pytest.raises(SuiteError) as caught:
        checked(text)
    found = [it for it in str(caught.value).splitlines() if it.startswith("tiny.yaml")]
    assert [it.split(": ", 1)[1] for it in found] == [
        "between batches a margin is a share; write for example 10% in place of 0.1",
        "the values of a trend go up, each once; write [1, 4]",
        "the batches are those of `over`; leave this out",
        "0 is no batch size; write 1 or more",
        "'latency' is no fact of a network; what `over` sweeps is not trained and not timed: claim "
        "one of " + found[-1].split("claim one of ")[1],
    ]
    sound = changed(("seeds: 2", "seeds: 0\nlatency: {}"), add="    claims:\n" + (
        f"      - {{note: 'A:1', says: so, {said}, margin: 10%, over: {{batch: [1, 64]}}}}\n"
    ))  # fmt: skip
    assert checked(sound)[0].comparison.claims[0].is_of_batches
