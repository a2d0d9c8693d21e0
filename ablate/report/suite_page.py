"""Everything that one suite's page shows, gathered before the template lays it out."""

import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from io import StringIO
from typing import Any, TypeVar

from ruamel.yaml import YAML

from ablate.evidence import citable, holding
from ablate.evidence.answer import Answer, answers
from ablate.evidence.collect import ComparisonEvidence, Evidence, RowEvidence
from ablate.evidence.contrast import contrasts
from ablate.evidence.spelling import (
    between,
    bounds,
    counted,
    decimals,
    difference_unit,
    listed,
    number,
    one_line,
    row_name,
    variant_name,
)
from ablate.report import (
    cite,
    claims,
    comparison,
    ecdf,
    fields,
    figures,
    latency,
    measures,
    memory,
    noise,
    pareto,
    pictures,
    saving,
    summary,
    sweep_figure,
    sweeps,
    tuning,
)
from ablate.report.cite import Snippet
from ablate.report.figures import Drawn, Figure
from ablate.report.summary import Summary
from ablate.report.tables import Table
from ablate.study import DataUsed, Study

Numbered = TypeVar("Numbered", Table, Figure)

MOST_DATA = 3  # that the head of a page names; the method names all

# Of the environment: what differs with every trial and says nothing about its result.
NOISE = (
    *("load", "mhz_now", "sm_mhz", "memory_mhz", "watts", "celsius"),
    *("others", "pid", "bytes"),
)


@dataclass(frozen=True)
class Change:
    """How one row differs from the base and its network from that of its reference."""

    row: str
    settings: tuple[str, ...]
    structure: tuple[str, ...]


@dataclass(frozen=True)
class Section:
    """One comparison."""

    answer: Answer
    results: Table
    runs: Table | None  # None where no row is trained, as for what follows from it
    saving: Table | None  # None where no further widths were asked for, as are these two
    budgets: Table | None
    saved: Figure | None
    measures: Table | None
    latency: Table | None
    memory: Table | None
    facts: Table | None
    claims: Table | None
    sweeps: Table | None
    tuning: Table | None  # None where every row has the suite's settings
    forest: Figure | None
    cost: Figure | None  # None where all rows cost the same
    ecdf: Figure | None  # None where nothing was timed
    curves: Figure | None
    pictures: Figure | None  # None for a task that keeps none, as are the spectra
    spectra: Figure | None
    fields: Figure | None  # None where no effective receptive field was read
    swept: Figure | None  # None where no claim sweeps a setting
    changes: tuple[Change, ...]
    population: str | None  # the sentence on other images than the test images
    configs: tuple[tuple[str, str], ...]  # row and its configuration as YAML

    @property
    def comparison(self) -> ComparisonEvidence:
        return self.answer.comparison

    @property
    def tables(self) -> tuple[Table, ...]:
        found = (
            *(self.results, self.saving, self.budgets),
            *(self.measures, self.latency, self.memory),
            *(self.tuning, self.facts, self.claims, self.sweeps, self.runs),
        )
        return tuple(table for table in found if table is not None)

    @property
    def figures(self) -> tuple[Figure, ...]:
        found = (
            *(self.forest, self.cost, self.saved, self.pictures, self.ecdf),
            *(self.spectra, self.fields, self.curves, self.swept),
        )
        return tuple(figure for figure in found if figure is not None)


@dataclass(frozen=True)
class Page:
    """One suite."""

    evidence: Evidence
    sections: tuple[Section, ...]
    requirements: Table | None
    noise: Table | None  # None where no row has two seeds
    summary: Summary
    chips: tuple[str, ...]
    warnings: tuple[str, ...]  # why trained numbers may not be cited, each with its comparisons
    failures: tuple[str, ...]
    lost: int  # trials that ended without a result
    trials: int
    method: tuple[tuple[str, tuple[str, ...]], ...]  # heading and lines
    environment: tuple[tuple[str, str], ...]
    commands: tuple[str, ...]  # that make all of it again
    citation: tuple[str, ...]

    @property
    def study(self) -> Study:
        return self.evidence.study

    @property
    def source(self) -> str:
        """Where the suite's claims come from; "" if it does not say."""
        found = self.study.source or {}
        note = f"note {found['note']}" if found.get("note") else ""
        return one_line(", ".join(part for part in (note, found.get("title", "")) if part))

    @property
    def source_link(self) -> str:
        """Where the source can be read, if that is a web page."""
        url = (self.study.source or {}).get("url") or ""
        return url if url.startswith(("https://", "http://")) else ""

    @property
    def tables(self) -> tuple[Table, ...]:
        found = [table for section in self.sections for table in section.tables]
        return (*found, *(table for table in (self.requirements, self.noise) if table is not None))

    @property
    def snippets(self) -> dict[str, tuple[Snippet, ...]]:
        """Ready text for every table and figure, by id."""
        found = {table.id: cite.of_table(self.study, table) for table in self.tables}
        return found | {f.id: cite.of_figure(self.study, f) for f in self.figures if f.files}

    @property
    def figures(self) -> tuple[Figure, ...]:
        return tuple(figure for section in self.sections for figure in section.figures)


def page(evidence: Evidence, kept: Mapping[str, Drawn] = {}) -> Page:
    """Gather a suite's page.

    Args:
        evidence: what the records say.
        kept: figures by id that need not be drawn again.
    """
    study = evidence.study
    sections, requirements, noise_floor = _numbered(
        study,
        [_section(evidence, answer, kept) for answer in answers(evidence)],
        claims.requirements(evidence),
        noise.noise(evidence),
    )
    warnings = tuple(_warnings(sections))
    return Page(
        evidence=evidence,
        sections=tuple(map(_with_data, sections)),
        requirements=requirements,
        noise=noise_floor,
        summary=summary.summary(
            [section.answer for section in sections],
            [section.claims for section in sections if section.claims],
            warnings,
            holding.of_suite(evidence),
        ),
        chips=tuple(_chips(evidence)),
        warnings=warnings,
        failures=tuple(_failures(evidence)),
        lost=sum(t.outcome not in ("ok", "missing") for t in evidence.trials().values()),
        trials=progress(evidence)[1],
        method=tuple(_method(evidence)),
        environment=tuple(environment(evidence)),
        commands=tuple(_commands(study)),
        citation=tuple(cite.in_words(study, section.results) for section in sections),
    )


def progress(evidence: Evidence) -> tuple[int, int]:
    """Return how many trials ended well and how many were to be run."""
    ok = sum(trial.outcome == "ok" for trial in evidence.trials().values())
    needless = {
        trial.id
        for found in evidence.comparisons
        if citable.missing(evidence.study, found) == 0
        for trial in found.trials().values()
        if trial.outcome == "missing"
    }
    return ok, len(evidence.trials().keys() - needless)


def environment(evidence: Evidence) -> Iterable[tuple[str, str]]:
    """Yield each fact about where the trials were made, with all its values."""
    found: dict[str, set[str]] = {}
    for trial in evidence.trials().values():
        for name, value in _flat(trial.record.environment if trial.record else {}):
            found.setdefault(name, set()).add(value)
    for name in sorted(found):
        yield name, listed(sorted(found[name]))


def data_used(evidence: Evidence) -> list[DataUsed]:
    """Return the data that comparisons were trained on; where none is trained, those they name."""
    found = evidence.comparisons
    return [c.data for c in found if c.asked.is_trained] or [c.data for c in found]


def describe_data(data: DataUsed) -> str:
    """Say what data, how many images and which version of them."""
    order = ("train", "validation", "test")
    names = {"train": "training"}
    sizes = [
        f"{number(data.sizes[split])} {names.get(split, split)}"
        for split in (*order, *sorted(data.sizes.keys() - set(order)))
        if data.sizes.get(split)
    ]
    return (
        f"{one_line(data.title)}{': ' if sizes else ''}{listed(sizes)}{' images' if sizes else ''}"
    )


def _numbered(
    study: Study,
    sections: list[Section],
    requirements: Table | None,
    noise_floor: Table | None,
) -> tuple[tuple[Section, ...], Table | None, Table | None]:
    """Number tables and figures in the order of the page: `Table s7.1`; all runs come last."""
    last = {"Table": 0, "Figure": 0}

    def numbered(thing: Numbered | None) -> Numbered | None:
        return None if thing is None else given(thing)

    def given(thing: Numbered) -> Numbered:
        kind = type(thing).__name__
        last[kind] += 1
        number = f"{kind} {study.suite}.{last[kind]}"
        return replace(thing, number=number, code=cite.code(study))

    found = [
        replace(
            section,
            results=given(section.results),
            saving=numbered(section.saving),
            budgets=numbered(section.budgets),
            measures=numbered(section.measures),
            latency=numbered(section.latency),
            memory=numbered(section.memory),
            facts=numbered(section.facts),
            tuning=numbered(section.tuning),
            claims=numbered(section.claims),
            sweeps=numbered(section.sweeps),
            forest=numbered(section.forest),
            cost=numbered(section.cost),
            saved=numbered(section.saved),
            ecdf=numbered(section.ecdf),
            pictures=numbered(section.pictures),
            spectra=numbered(section.spectra),
            fields=numbered(section.fields),
            curves=numbered(section.curves),
            swept=numbered(section.swept),
        )
        for section in sections
    ]
    required, noise_floor = numbered(requirements), numbered(noise_floor)
    sections = [replace(section, runs=numbered(section.runs)) for section in found]
    return tuple(sections), required, noise_floor


def _with_data(section: Section) -> Section:
    """Give every figure what it has of the table with its values: fingerprint and standing."""
    tables = {table.id: table for table in section.tables}
    given: dict[str, Any] = {
        name: replace(
            it,
            fingerprint=it.fingerprint or tables[it.table].fingerprint,
            screening=(*tables[it.table].screening, *tables[it.table].caveats),
            about=one_line(section.comparison.asked.title),
        )
        for name, it in vars(section).items()
        if isinstance(it, Figure) and it.table in tables
    }
    return replace(section, **given)


def _section(evidence: Evidence, answer: Answer, kept: Mapping[str, Drawn]) -> Section:
    study, found = evidence.study, answer.comparison
    # Of the trials alone, so that a pass, which comes after them, changes no figure.
    drawn = replace(found, passes={}, lacking=())
    # While trials are missing, figures may not be cited, and any moment they are drawn again.
    exports = citable.missing(study, found) == 0
    is_trained = any(row.trials for row in found.rows)
    return Section(
        answer=answer,
        results=comparison.results(study, found),
        runs=comparison.runs(study, found),
        saving=saving.table(study, found),
        budgets=saving.points(study, found),
        saved=saving.figure(drawn, kept, saving.is_complete(found)),
        measures=measures.measures(study, found),
        latency=latency.latency(study, found),
        memory=memory.memory(study, found),
        facts=comparison.facts(study, found),
        claims=claims.claims(evidence, found),
        sweeps=sweeps.sweeps(study, found),
        tuning=tuning.tuning(study, found),
        forest=figures.forest(drawn, kept, exports) if is_trained else None,
        cost=pareto.cost(drawn, kept, exports) if is_trained else None,
        ecdf=ecdf.ecdf(found, kept, exports),
        curves=figures.curves(drawn, kept, exports) if is_trained else None,
        pictures=pictures.pictures(drawn, kept, exports),
        spectra=pictures.spectra(drawn, kept, exports),
        fields=fields.fields(drawn, kept, exports),
        swept=sweep_figure.figure(drawn, kept, exports),
        changes=tuple(_change(found, row) for row in found.rows),
        population=_population(found),
        configs=tuple(_configs(found)),
    )


def _change(found: ComparisonEvidence, row: RowEvidence) -> Change:
    alone = found.as_they_are and not row.is_reference
    name = variant_name(row.asked.variant) if alone else ""
    return Change(
        name or row_name(row.asked, row.is_baseline),
        tuple(comparison.differs(row)),
        tuple(map(one_line, row.asked.structure)),
    )


def _population(found: ComparisonEvidence) -> str | None:
    measure = found.measure
    places = decimals(measure.margin)
    parts = [
        f"{row_name(c.row.asked)} {bounds(*c.test_error.population, places)}"
        for c in contrasts(found)
        if c.test_error is not None and c.test_error.population is not None
    ]
    if not parts:
        return None
    unit = difference_unit(measure.unit)
    return (
        "For other images of the same source, where test images are drawn anew as well as seeds, "
        f"the 95 % intervals{f', in {unit},' if unit else ''} are wider: {listed(parts)}."
    )


def _chips(evidence: Evidence) -> Iterable[str]:
    study = evidence.study
    ok, planned = progress(evidence)
    yield f"{number(ok)} of {counted(planned, 'trial')} ok" if planned else "nothing is trained"
    rows = [row for found in evidence.comparisons for row in found.rows]
    if seeds := {len(row.values) for row in rows if row.trials}:
        yield f"{between(seeds, 'seed')} a row"
    data = list(dict.fromkeys(map(describe_data, data_used(evidence))))
    yield from data[:MOST_DATA]
    if len(data) > MOST_DATA:
        yield f"and {number(len(data) - MOST_DATA)} more shapes or data sets"
    yield f"{study.device}, {study.precision}"
    yield f"profile {one_line(study.profile)}"
    yield f"asked {study.created[:10]}"


def _warnings(sections: tuple[Section, ...]) -> Iterable[str]:
    """Yield each reason once, with the comparisons it holds for unless it holds for all."""
    where: dict[str, list[str]] = {}
    for section in sections:
        for reason in section.answer.reasons:
            where.setdefault(reason, []).append(one_line(section.comparison.asked.title))
    for reason, titles in where.items():
        # A title may be a question, which no colon can follow.
        yield reason if len(titles) == len(sections) else f"{reason} ({listed(titles)})"


def _failures(evidence: Evidence) -> Iterable[str]:
    """Yield every trial that ended without a result, and the facts and records that lack."""
    told = set()
    for found in evidence.comparisons:
        for row in found.rows:
            name = f"{found.asked.id}: {row_name(row.asked, row.is_baseline)}"
            for trial in row.having("failed", "diverged", "invalid"):
                if trial.id in told:
                    continue
                told.add(trial.id)
                after = f" after {counted(trial.steps, 'step')}" if trial.steps else ""
                what = "has no value" if trial.outcome == "invalid" else trial.outcome
                yield (
                    f"{name}, seed {trial.seed} {what}{after}: {one_line(trial.reason or '')} "
                    f"(trial {trial.id})"
                )
            yield from (f"{name}, no facts of the {one_line(lack)}" for lack in row.lacking)
            unread = [reading for reading in row.readings if reading.record is None]
            for reason in dict.fromkeys(reading.reason or "" for reading in unread):
                seeds = [str(r.seed) for r in unread if r.reason == reason]
                which = f"seed{'' if len(seeds) == 1 else 's'} {listed(seeds)}"
                yield f"{name}, {which}: no reading of the weights: {one_line(reason)}"
        yield from (f"{found.asked.id}: no {one_line(lack)}" for lack in found.lacking)
    yield from (f"damaged record, counted as missing: {one_line(d)}" for d in evidence.damaged)


def _method(evidence: Evidence) -> Iterable[tuple[str, tuple[str, ...]]]:
    study = evidence.study
    yield "Data", tuple(dict.fromkeys(s for data in data_used(evidence) for s in _data(data)))
    trained = [found for found in evidence.comparisons if found.asked.is_trained]
    if trained:
        yield "Recipe", tuple(dict.fromkeys(_recipe(c) for c in trained))
    steps = {t.steps for t in evidence.trials().values() if t.outcome == "ok" and t.steps}
    if steps:
        yield "Steps", (f"{between(steps, 'optimizer step')} a trial",)
    if trained:
        yield "Seeds", tuple(_seeds(study))
    if trained:
        yield "Intervals", tuple(dict.fromkeys(_intervals(found) for found in trained))
    if any(found.asked.claims for found in evidence.comparisons):
        yield (
            "Verdicts",
            (
                "decided by each interval against the margin that the suite fixed beforehand; "
                "where several trained or timed claims stand at one match, at the levels of Holm",
            ),
        )
    if any(found.passes for found in evidence.comparisons):
        yield (
            "Timing",
            (
                "all networks of a comparison in turns, in rounds, in fresh processes, after a "
                "warm-up; ratios within rounds, intervals over processes, a copy of the first "
                "network as control",
            ),
        )
    yield "Profile", (f"{one_line(study.profile)}", *(one_line(o) for o in study.overrides))
    yield "Device", (f"{one_line(study.device)} in {one_line(study.precision)}",)
    if study.commit:
        changes = ", with changes that are in no commit" if study.dirty else ""
        yield "Code", (f"commit {one_line(study.commit)}{changes}; engine {study.engine}",)
    else:
        yield "Code", (f"no commit on record; engine {study.engine}",)
    records = [t.record for t in evidence.trials().values() if t.record]
    if records:
        minutes = sum(record.seconds for record in records) / 60
        span = sorted([min(r.started for r in records)[:10], max(r.finished for r in records)[:10]])
        yield (
            "Computed",
            (
                f"{counted(len(records), 'trial')} in {number(minutes, 1)} minutes of compute, "
                f"{' to '.join(dict.fromkeys(span))}",
            ),
        )
    yield "Study", (f"{study.id}, asked {one_line(study.created)}",)


def _commands(study: Study) -> Iterable[str]:
    """Yield what to type to get the same records and the same page."""
    if study.commit:
        yield f"git checkout {shlex.quote(study.commit)}"
    typed = [
        word
        for said in study.overrides  # as they were typed: `--seeds 5`, `recipe.epochs=2`
        for word in (said.split(" ", 1) if said.startswith("--") else [said])
    ]
    words = ["python", "-m", "ablate", "run", study.suite]
    words += ["--profile", study.profile, "--device", study.device, *typed]
    yield one_line(shlex.join(words))


def _data(data: DataUsed) -> Iterable[str]:
    yield describe_data(data)
    if data.digest:
        yield f"digest {one_line(data.digest)}"
    if data.fallback_reason is not None:
        yield f"in place of {one_line(data.requested)}: {one_line(data.fallback_reason)}"
    yield from map(one_line, data.notes)
    if data.clustered:
        yield "Test examples come in clusters that share an origin; errors are computed by cluster."


def _recipe(found: ComparisonEvidence) -> str:
    recipe = found.baseline.asked.config.get("recipe")
    if not isinstance(recipe, Mapping):
        return "not on record"
    return ", ".join(
        f"{key.replace('_', ' ')} {comparison.shown(recipe[key]).strip('[]')}"
        for key in sorted(recipe)
        if recipe[key] not in (None, [])
    ).replace('"', "")


def _intervals(found: ComparisonEvidence) -> str:
    if found.asked.paired:
        return "95 %, Student's t of the differences paired by seed"
    return "95 %, Welch's t over seeds, unpaired; the test images are the same for all"


def _seeds(study: Study) -> Iterable[str]:
    yield listed([str(seed) for seed in study.seeds])
    if study.stop is not None:
        until, most = study.stop.get("until"), study.stop.get("at_most")
        yield (
            f"added until every interval's half-width is at most {until:g}, from 5 seeds a row on"
            + (f", {most:g} at most" if most is not None else "")
        )
    yield "the same seed gives every row the same images in the same order"


def _configs(found: ComparisonEvidence) -> Iterable[tuple[str, str]]:
    """Yield the baseline's configuration, and what differs from it in those of the other rows."""
    base = found.baseline
    yield row_name(base.asked, base.is_baseline), _yaml(base.asked.config)
    leaves = dict(_leaves(base.asked.config))
    for row in found.rows:
        if row is base:
            continue
        own = dict(_leaves(row.asked.config))
        lines = [
            f"{path}: {own.get(path, 'not there')}"
            for path in sorted(own.keys() | leaves.keys())
            if own.get(path) != leaves.get(path)
        ]
        name = row_name(row.asked, row.is_baseline)
        yield f"{name}: what differs from the baseline", "\n".join(lines) or "nothing"


def _leaves(value: Any, path: str = "") -> Iterable[tuple[str, str]]:
    """Yield every setting of a configuration with its dotted path."""
    parts = value.items() if isinstance(value, Mapping) else enumerate(value)
    for key, part in parts:
        where = f"{path}.{key}" if path else f"{key}"
        # A list of numbers is one setting, as `augment` is; one of layers is many.
        nested = isinstance(part, Mapping) or (
            isinstance(part, list) and any(isinstance(item, Mapping) for item in part)
        )
        if nested and part:
            yield from _leaves(part, where)
        else:
            yield where, comparison.shown(part)


def _yaml(value: Mapping[str, Any]) -> str:
    """Return a configuration as YAML with sorted keys."""
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = None
    yaml.width = 100
    out = StringIO()
    yaml.dump(dict(value), out)
    return out.getvalue()


def _flat(found: Mapping[str, Any], before: str = "") -> Iterable[tuple[str, str]]:
    for key, value in found.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{before}{key}.")
        elif key not in NOISE and value is not None:
            yield one_line(f"{before}{key}"), one_line(comparison.shown(value))
