"""What is asked, in the form in which a study writes it down."""

from ablate import catalog, environment, records
from ablate.evidence.tuning import score_name
from ablate.study import ComparisonAsked, DataUsed, Measure, Row, Study, Tuning
from ablate.suite.load import Loaded
from ablate.suite.preflight import BuiltRow, Checked
from ablate.suite.seeds import rule, union
from ablate.train import ENGINE, precision


def row_of(
    built: BuiltRow, trials: dict[int, str], fact: str, full: str, readings: dict[int, str]
) -> Row:
    """Return a row with the ids of its trials and readings by seed, and its facts' ids."""
    return Row(
        variant=built.variant.name,
        match=built.matches,
        reference=built.reference,
        changes=built.variant.changes,
        solved=built.solved,
        full_solved=built.full_solved,
        residual=built.residual,
        full_residual=built.full_residual,
        structure=built.structure,
        config=built.config,
        full_config=built.full_config,
        trials=trials,
        facts=fact,
        full_facts=full,
        readings=readings,
        tuned=built.tuned,
    )


def comparison_of(
    loaded: Loaded,
    item: Checked,
    rows: list[Row],
    passes: dict[str, list[str]],
    control: dict[int, str],
) -> ComparisonAsked:
    """Return a comparison as asked: its rows, its measure and margin, its data and claims."""
    comparison, opened = item.comparison, item.opened
    task = catalog.load("tasks", rows[0].config["task"]["kind"])
    name = comparison.metric or task.PRIMARY
    metric = catalog.load("metrics", name)
    dataset, sizes = opened.dataset, rows[0].config["data"]
    tune = comparison.tuned(loaded.applied.profile)
    timed = loaded.latency(comparison)
    used = {
        "train": min(sizes["train_images"] or 10**9, len(dataset.train.images)),
        "validation": 0 if dataset.validation is None else len(dataset.validation.images),
        "test": min(sizes["test_images"] or 10**9, len(dataset.test.images)),
    }
    if not any(row.seeds for row in rows):
        used = {}  # how many images there are says nothing where none is trained on
    return ComparisonAsked(
        id=comparison.id,
        title=comparison.title,
        table=f"tbl-{loaded.suite.id}-{comparison.id}",
        baseline=comparison.baseline,
        measure=Measure(
            name=name,
            title=metric.TITLE,
            unit=metric.UNIT,
            direction=metric.DIRECTION,
            margin=task.MARGIN if comparison.margin is None else comparison.margin,
        ),
        data=DataUsed(
            name=str(opened.component["name"]),
            title=dataset.title,
            digest=dataset.digest,
            requested=opened.requested,
            fallback_reason=opened.fallback_reason,
            sizes=used,
            notes=list(dataset.notes),
            clustered=dataset.test.clusters is not None,
        ),
        rows=rows,
        claims=[claim.model_dump(mode="json") for claim in comparison.claims],
        passes=passes,
        margins={} if timed is None else {"latency": timed.margin},
        readings=comparison.metrics_read(loaded.applied.profile),
        paired=comparison.paired,
        control=control,
        tuning=None
        if tune is None
        else Tuning(
            cells=tune.cells,
            drawn=tune.random is not None,
            seeds=tune.tuning_seeds,
            score=score_name(name),
        ),
    )


def study_of(loaded: Loaded, asked: list[ComparisonAsked], device: str) -> Study:
    """Return the study of these comparisons; its id is a hash of all that is asked."""
    commit, dirty = environment.code()
    suite, applied = loaded.suite, loaded.applied
    until = rule(suite, applied.profile, applied.seeds)
    used = {
        precision.choose(row.config["recipe"]["precision"], device)[0]
        for comparison in asked
        for row in comparison.rows
    }
    study = Study(
        id="",
        suite=suite.id,
        title=suite.title,
        question=suite.question,
        source=suite.source.model_dump(exclude_none=True) if suite.source else None,
        notes=suite.notes,
        profile=applied.profile,
        overrides=loaded.request.typed,
        seeds=union(row.seeds for comparison in asked for row in comparison.rows),
        stop={"until": until.until, "at_most": float(until.at_most)} if until else None,
        device=device,
        precision=", ".join(sorted(used)),
        engine=ENGINE,
        comparisons=asked,
        requirements=[item.model_dump(mode="json") for item in suite.requirements],
        created=records.now(),
        commit=commit,
        dirty=dirty,
    )
    content = study.model_dump(mode="json", exclude={"id", "created", "commit", "dirty"})
    return study.model_copy(update={"id": f"{suite.id}-{records.identity(content)[:8]}"})
