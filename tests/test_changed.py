"""Claims that were changed after their trials, the order of files, and trials that must not mix."""

import json
import random
import shutil
from pathlib import Path
from typing import Any

import pytest
from small_runs import draw, job, trained
from test_command_line import call
from test_evidence import DROP_IN, NORMAL, Lab
from test_verdicts import ORDER, claim, judged

from ablate import commands, records
from ablate import study as studies
from ablate.evidence import changed, contrast, control
from ablate.evidence.answer import answers, lines
from ablate.evidence.collect import collect
from ablate.evidence.verdicts import judge
from ablate.records import Record
from ablate.report.render import render
from ablate.study import Study

BEFORE, AFTER = "2026-11-20T08:00:00+00:00", "2026-11-22T08:00:00+00:00"  # trials: on the 21st
ANSWER = {
    "kind": "question", "metric": "accuracy", "between": ["normal", "depthwise"], "margin": 0.5
}  # fmt: skip


def asked(
    runs: Path, created: str, *claims: dict[str, Any], rows: Any = None, **more: Any
) -> Study:
    """Write a study of the same rows down; its records are written with the first."""
    lab = Lab(runs, settings={})
    if rows is None:
        rows = [lab.row("normal", NORMAL), lab.row("depthwise", DROP_IN)]
    lab.settings = {
        "created": created,
        "hash": records.identity({"at": created, "claims": claims})[:8],
    }
    lab.compare(*rows, claims=[claim(**said) for said in claims], **more)
    return lab.ask()


def screening(runs: Path, study: Study) -> list[tuple[str, ...]]:
    return [verdict.screening for verdict in judge(collect(runs, study))]


def test_a_study_is_held_against_what_was_asked_before_its_trials(tmp_path: Path) -> None:
    first = asked(tmp_path, BEFORE, ORDER)
    rows = first.comparisons[0].rows
    same = asked(tmp_path, AFTER, ORDER, rows=rows)
    wider = asked(tmp_path, AFTER, ORDER | {"margin": 1.0}, rows=rows)
    turned = asked(
        tmp_path, AFTER, ORDER | {"margin": 1.0, "expect": "depthwise > normal"}, rows=rows
    )
    assert screening(tmp_path, first) == screening(tmp_path, same) == [()]
    assert screening(tmp_path, wider) == [
        ("The margin was 0.5 when its first trials were trained, on 2026-11-21; it is 1 now.",)
    ]
    assert screening(tmp_path, turned) == [
        (
            "The expectation was depthwise < normal when its first trials were trained, on "
            "2026-11-21; it is depthwise > normal now; the margin was 0.5 when its first trials "
            "were trained, on 2026-11-21; it is 1 now.",
        )
    ]
    # What is said of the words of the source, or linked, is judged no differently.
    words = asked(tmp_path, AFTER, ORDER | {"says": "it is so", "contradicts": ["A:2"]}, rows=rows)
    assert screening(tmp_path, words) == [()]


def test_a_claim_that_came_later_says_so(tmp_path: Path) -> None:
    first = asked(tmp_path, BEFORE, ORDER)
    rows = first.comparisons[0].rows
    more = asked(tmp_path, AFTER, ORDER, ANSWER | {"note": "A:9"}, rows=rows)
    added = "The claim was added after its first trials were trained, on 2026-11-21."
    assert screening(tmp_path, more) == [(), (added,)]
    # Arithmetic is the same before and after.
    ratio = {"kind": "ratio", "metric": "params", "of": "normal/depthwise", "about": 1.0}
    assert screening(tmp_path, asked(tmp_path, AFTER, ORDER, ratio, rows=rows)) == [(), ()]


def test_what_was_asked_before_the_trials_may_be_changed(tmp_path: Path) -> None:
    """The last study before the trials counts, and one whose rows it did not have says nothing."""
    second = "2026-11-20T09:00:00+00:00"
    first = asked(tmp_path, BEFORE, ORDER)
    rows = first.comparisons[0].rows
    asked(tmp_path, second, ORDER | {"margin": 1.0}, rows=rows)
    assert screening(tmp_path, asked(tmp_path, AFTER, ORDER | {"margin": 1.0}, rows=rows)) == [()]
    (back,) = screening(tmp_path, asked(tmp_path, AFTER, ORDER, rows=rows))
    assert back[0].startswith("The margin was 1 when")


def test_a_variant_that_is_new_has_no_trials_of_before(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    rows = [lab.row(name, DROP_IN) for name in ("normal", "dilated", "depthwise")]
    asked(tmp_path, BEFORE, rows=rows[:2])
    last = asked(tmp_path, BEFORE.replace("08", "09"), ORDER, rows=rows)
    assert screening(tmp_path, last) == [()]
    late = asked(tmp_path, AFTER, ORDER, rows=rows)
    assert screening(tmp_path, late) == [()]  # the second study had it in time


def test_a_margin_of_a_comparison_is_told_on_its_page(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    first = asked(runs, BEFORE, ORDER)
    measure = first.comparisons[0].measure
    changed_since = asked(
        runs,
        AFTER,
        ORDER,
        rows=first.comparisons[0].rows,
        measure=measure.model_copy(update={"margin": 2.0}),
    )
    said = "The margin was 0.5 when its first trials were trained, on 2026-11-21; it is 2 now."
    evidence = collect(runs, changed_since)
    assert answers(evidence)[0].reasons == (said,)
    assert screening(runs, changed_since) == [()]  # the claim has a margin of its own
    page = render(runs, first, tmp_path / "reports")
    assert said not in page.read_text(encoding="utf-8")
    assert said in render(runs, changed_since, tmp_path / "reports").read_text(encoding="utf-8")
    # A page that was made is made again when an older study turns up.
    before = page.read_bytes()
    (runs / "studies" / first.id / "study.json").unlink()
    render(runs, changed_since, tmp_path / "reports")
    assert page.read_bytes() != before


def test_studies_that_cannot_be_read_say_nothing(tmp_path: Path) -> None:
    first = asked(tmp_path, BEFORE, ORDER)
    later = asked(tmp_path, AFTER, ORDER | {"margin": 1.0}, rows=first.comparisons[0].rows)
    for text in ("", "[]", "{}", '{"suite": "s7", "created": "2026", "comparisons": [3]}'):
        (tmp_path / "studies" / first.id / "study.json").write_text(text)
        assert changed.earlier(tmp_path, later) == ()
    assert screening(tmp_path, later) == [()]


# --- the same verdicts in any order ---------------------------------------------------------------


def test_the_command_writes_the_same_bytes_whatever_the_order_of_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lab = Lab(tmp_path / "0")
    again = lab.row("normal", [62.0, 62.6, 61.7])
    lab.compare(
        lab.row("normal", NORMAL),
        lab.row("depthwise", DROP_IN),
        lab.row("dilated", ["failed", 60.0, 61.5, None, "diverged"]),
        claims=[
            claim(**ORDER),
            claim(**ANSWER),
            claim(**ORDER | {"expect": "dilated < normal"}),
            claim(kind="range", metric="accuracy", of="dilated", low=0, high=100),
        ],
        control={5 + seed: id for seed, id in again.trials.items()},
    )
    study = lab.ask()
    told = []
    for number in range(4):
        runs = tmp_path / str(number)
        shuffle = random.Random(number)
        if number:
            for kind in ("trials", "facts"):
                places = sorted((tmp_path / "0" / kind).iterdir())
                shuffle.shuffle(places)
                for place in places:
                    shutil.copytree(place, runs / kind / place.name)
            stored = json.loads((tmp_path / "0" / "studies" / study.id / "study.json").read_text())
            orders = []
            for row in stored["comparisons"][0]["rows"]:
                seeds = list(row["trials"].items())
                shuffle.shuffle(seeds)
                orders.append([seed for seed, _ in seeds])
                row["trials"] = dict(seeds)
            assert any(order != sorted(order) for order in orders)
            records.write_text(runs / "studies" / study.id / "study.json", json.dumps(stored))
        commands.verdicts("s7", True, False, runs)
        told.append(capsys.readouterr().out)
    assert len(json.loads(told[0])["verdicts"]) == 4
    assert len(set(told)) == 1


# --- what must not be compared --------------------------------------------------------------------


def test_trials_on_other_images_are_refused_by_table_sentence_and_verdict(tmp_path: Path) -> None:
    """Real trials of two data sets, which a study brings together that nobody could ask for."""
    runs = tmp_path / "runs"
    made: dict[str, dict[int, Record]] = {}
    for name, contrast_ in (("one", 0), ("other", 40)):
        folder = draw(tmp_path / name, train=8, test=4, contrast=contrast_)
        made[name] = {
            seed: trained(job(folder, runs, seed=seed, recipe={"epochs": 1, "batch_size": 8}))
            for seed in (0, 1)
        }
    lab = Lab(runs)
    rows = [
        lab.row("normal", [None]).model_copy(
            update={"trials": {seed: it.id for seed, it in made["one"].items()}}
        ),
        lab.row("depthwise", [None]).model_copy(
            update={"trials": {seed: it.id for seed, it in made["other"].items()}}
        ),
    ]
    digests = sorted(it[0].spec["data"][:12] for it in made.values())
    said = f"the trials differ in data ({digests[0]} and {digests[1]})"
    lab.compare(
        *rows,
        claims=[claim(**ORDER)],
        control={2 + seed: it.id for seed, it in made["other"].items()},
    )
    evidence = collect(runs, lab.ask())
    (verdict,) = judged(lab)
    assert (verdict.word, verdict.why) == ("invalid", said)
    (comparison,) = evidence.comparisons
    _, row = contrast.contrasts(comparison)
    assert (row.refused, row.difference, row.interval) == (said, None, None)
    finding = f"Depthwise in place of normal: accuracy not compared (drop-in): {said}."
    assert finding in lines(evidence)
    assert (control.sentence(comparison) or "").endswith(f"accuracy is not compared: {said}.")
    page = render(runs, lab.ask(), tmp_path / "reports").read_text(encoding="utf-8")
    assert "not compared" in page
    assert said in page


def test_trials_of_other_plugins_are_refused(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    rows = [lab.row("normal", NORMAL), lab.row("depthwise", DROP_IN)]
    lab.compare(*rows, claims=[claim(**ORDER)])
    for row, digest in zip(lab.comparisons[0].rows, ("aa", "bb"), strict=True):
        for seed, id in list(row.trials.items()):
            record = records.read(tmp_path, "trial", id)
            assert record is not None
            spec = record.spec | {"plugins": {"blocks/conv/mine": digest}}
            new = record.model_copy(update={"spec": spec, "id": records.identity(spec)})
            records.write(tmp_path, new)
            row.trials[seed] = new.id
    (verdict,) = judged(lab)
    assert (verdict.word, verdict.why) == (
        "invalid",
        "the trials differ in the code of blocks/conv/mine (aa and bb)",
    )


def test_the_program_says_what_was_changed(tmp_path: Path) -> None:
    first = asked(tmp_path, BEFORE, ORDER)
    asked(tmp_path, AFTER, ORDER | {"margin": 1.0}, rows=first.comparisons[0].rows)
    assert studies.newest(tmp_path, "s7") is not None
    done = call("verdicts", "s7", "--runs", str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert "(screening)" in done.stdout
    assert (
        "Screening, not to be cited (A:1): The margin was 0.5 when its first trials were trained, "
        "on 2026-11-21; it is 1 now."
    ) in done.stdout
