"""The table of all suites: what each asks, what became of its claims, the strongest it found."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from ablate.evidence import citable
from ablate.evidence.collect import ComparisonEvidence, Evidence
from ablate.evidence.contrast import Contrast, contrasts
from ablate.evidence.effects import UNKNOWN, gain
from ablate.evidence.gathered import Judged
from ablate.evidence.spelling import (
    against,
    bounds,
    counted,
    decimals,
    difference_unit,
    listed,
    lower_first,
    number,
    one_line,
    row_name,
    signed,
    with_unit,
)
from ablate.evidence.verdicts import Word
from ablate.report import comparable
from ablate.report.claims_page import MARKS
from ablate.report.suite_page import data_used, describe_data, progress
from ablate.report.tables import Cell, Column, Line, Table, Value


@dataclass(frozen=True)
class Index:
    """All suites that have a study."""

    table: Table
    unreadable: tuple[str, ...]  # studies that cannot be read, each with what is wrong
    summary: str  # how many suites and trials, on what and when; "" without any
    warnings: tuple[tuple[str, str, str], ...]  # suite, link to its page or "", what is not to cite
    apart: tuple[str, ...]  # what must not be compared
    environment: tuple[tuple[str, str], ...]  # suite, and by what its records were made
    pages: tuple[str, ...]  # names of the suites that have a page


def index(
    found: Sequence[Evidence],
    unreadable: Sequence[str],
    judged: Mapping[str, Judged],
    pages: Iterable[str],
) -> Index:
    """Gather the page of all suites.

    Args:
        found: the newest study of each suite.
        unreadable: what is said of the studies that cannot be read.
        judged: the verdicts of each suite, by its name.
        pages: names of the suites that have a page to link to.
    """
    there = tuple(pages)
    strongest = {it.study.suite: _strongest(it) for it in found}
    widest = max((_reach(*it) for it in strongest.values() if it is not None), default=1.0)
    return Index(
        table=_table([
            _line(it, judged[it.study.suite], strongest[it.study.suite], widest, there)
            for it in found
        ]),
        unreadable=tuple(unreadable),
        summary=_summary(found, judged),
        warnings=tuple(_warnings(found, there)),
        apart=tuple(comparable.notes(found)),
        environment=tuple(_environment(it) for it in found),
        pages=there,
    )  # fmt: skip


def _table(lines: Sequence[Line]) -> Table:
    fields = (
        "suite",
        "title",
        "question",
        "claims",
        *(word.replace(" ", "_") for word in WORDS),
        "trials_ok",
        "trials_planned",
        "screening",
        "comparison",
        "variant",
        "match",
        "metric",
        "difference",
        "low",
        "high",
        "unit",
        "effect",
        "data",
        "device",
        "profile",
        "asked",
        "study",
        "reference_variant",
    )
    return Table(
        id="tbl-index",
        number="Table 1",
        title="All suites",
        notes=(
            "The newest study of each suite. Claims: what it asks of lines of the notes, by "
            "verdict. Strongest effect: of the rows whose 95 % interval (Welch, over seeds, or "
            "paired by seed where its suite says so) lies beyond the margin, the one with the "
            "largest difference from what it is compared with, counted in margins. The drawing "
            "has it in margins, on one scale for all suites; grey is less than the margin. "
            "Screening: not to be cited, for reasons that the suite's page gives. Numbers of "
            "different suites are of different networks and data.",
        ),
        columns=(
            Column("Suite", "and its question", numeric=False),
            Column("Claims", "by verdict", numeric=False),
            Column("Strongest effect", numeric=False),
            Column("Trials", "ok/planned", numeric=False),
            Column("Data", numeric=False),
            Column("Device", numeric=False),
            Column("Profile", numeric=False),
            Column("Asked", numeric=False, whole=True),
        ),
        fields=fields,
        lines=tuple(lines),
    )


# The verdicts on claims, in the order of the claims page.
WORDS: tuple[Word, ...] = (
    "supported",
    "supported in direction",
    "true but negligible",
    "refuted",
    "depends",
    "answered",
    "inconclusive",
    "invalid",
    "not tested",
)


def _summary(found: Sequence[Evidence], judged: Mapping[str, Judged]) -> str:
    if not found:
        return ""
    ok, planned = (sum(counts) for counts in zip(*map(progress, found), strict=True))
    claims = [it for one in judged.values() for it in one.verdicts]
    with_verdict = sum(it.word != "not tested" for it in claims)
    parts = [counted(len(found), "suite")]
    parts += [f"{number(with_verdict)} of {counted(len(claims), 'claim')} judged"] * bool(claims)
    trials = f"{number(ok)} of {counted(planned, 'trial')} ok"
    parts.append(trials if planned else "nothing is trained")
    if names := sorted({name for it in found for name in comparable.machines(it)}):
        parts.append(f"run on {listed(names)}")
    newest = max(it.study.created for it in found)[:10]
    return f"{'; '.join(parts)}; the newest asked {newest}."


def _warnings(found: Sequence[Evidence], pages: Sequence[str]) -> Iterable[tuple[str, str, str]]:
    """Yield every suite whose trained numbers may not be cited, with the first reason."""
    for evidence in found:
        suite, comparisons = evidence.study.suite, evidence.comparisons
        about = [why for it in comparisons if (why := citable.reasons(evidence.study, it))]
        if not about:
            continue
        reasons = list(dict.fromkeys(reason for why in about for reason in why))
        said = f"{len(about)} of {counted(len(comparisons), 'comparison')}: {reasons[0]}"
        if more := len(reasons) - 1:
            said += f" And {counted(more, 'more reason')}."
        yield suite, f"{suite}/index.html#screening" if suite in pages else "", one_line(said)


def _environment(evidence: Evidence) -> tuple[str, str]:
    study = evidence.study
    parts = [*comparable.machines(evidence), study.precision, *comparable.versions(evidence)]
    if study.commit:
        dirty = ", with changes that are in no commit" if study.dirty else ""
        parts.append(f"commit {one_line(study.commit)[:12]}{dirty}")
    return study.suite, "; ".join([*parts, f"engine {study.engine}", f"study {study.id}"])


def _line(
    evidence: Evidence,
    judged: Judged,
    strongest: "Found | None",
    widest: float,
    pages: Sequence[str],
) -> Line:
    study = evidence.study
    ok, planned = progress(evidence)
    screening = any(citable.reasons(study, c) for c in evidence.comparisons)
    data = list(dict.fromkeys(map(describe_data, data_used(evidence))))
    words = Counter(verdict.word for verdict in judged.verdicts)
    values: dict[str, Value] = {
        "suite": study.suite,
        "title": study.title,
        "question": study.question,
        "claims": len(judged.verdicts),
        **{word.replace(" ", "_"): words[word] for word in WORDS},
        "trials_ok": ok,
        "trials_planned": planned,
        "screening": screening,
        **_strongest_values(strongest),
        "data": "; ".join(data),
        "device": study.device,
        "profile": study.profile,
        "asked": study.created,
        "study": study.id,
        "reference_variant": strongest[1].row.asked.reference if strongest else None,
    }
    state = "partial, screening" if ok < planned else "screening" if screening else "citable"
    link = f"{study.suite}/index.html" if study.suite in pages else ""
    cells = (
        Cell(study.suite, (one_line(study.title), one_line(study.question)), link=link),
        _claims_cell(words),
        _strongest_cell(evidence, strongest, widest),
        Cell(f"{number(ok)}/{number(planned)}", (state,))
        if planned
        else Cell("none", tone="quiet"),
        _data_cell(evidence) if planned else Cell("nothing is trained", tone="quiet"),
        Cell(study.device, (study.precision,)),
        Cell(one_line(study.profile)),
        Cell(study.created[:10]),
    )
    return Line(cells, values)


def _claims_cell(words: Mapping[Word, int]) -> Cell:
    """Return how many claims have which verdict, with the symbols of the claims page."""
    total = sum(words.values())
    if not total:
        return Cell("none", tone="quiet")
    symbols = {"not tested": MARKS["not yet tested"][0]} | {it: MARKS[it][0] for it in MARKS}
    told = tuple(f"{symbols[it]} {number(words[it])} {it}" for it in WORDS if words[it])
    return Cell(counted(total, "claim"), told)


def _data_cell(evidence: Evidence) -> Cell:
    """Name the data of a suite's comparisons, and the training images where they are told."""
    used = [(data.title, data.sizes.get("train")) for data in data_used(evidence)]
    names = "; ".join(dict.fromkeys(one_line(title) for title, _ in used))
    sizes = dict.fromkeys(number(train) for _, train in used if train)
    return Cell(names, (f"{', '.join(sizes)} training images",) if sizes else ())


Found = tuple[ComparisonEvidence, Contrast]


def _strongest(evidence: Evidence) -> Found | None:
    beyond = [
        (comparison, contrast)
        for comparison in evidence.comparisons
        for contrast in contrasts(comparison)
        if contrast.interval is not None
        and contrast.effect is not None
        and contrast.effect.key in ("higher", "lower")
    ]
    return max(beyond, key=lambda found: _in_margins(*found), default=None)


def _in_margins(comparison: ComparisonEvidence, contrast: Contrast) -> float:
    assert contrast.difference is not None  # it has an effect
    return abs(contrast.difference) / (comparison.measure.margin or 1.0)


def _reach(comparison: ComparisonEvidence, contrast: Contrast) -> float:
    """Return how far an interval reaches from zero, in margins."""
    assert contrast.interval is not None  # as of all that `_strongest` returns
    low, high = contrast.interval.low, contrast.interval.high
    return max(abs(low), abs(high)) / (comparison.measure.margin or 1.0)


def _drawing(comparison: ComparisonEvidence, contrast: Contrast, widest: float) -> Markup:
    """Draw a difference with its interval, 160 by 20; the numbers stand beside it."""
    assert contrast.interval is not None  # as of all that `_strongest` returns
    assert contrast.difference is not None
    scale = 76 / (max(widest, 1.0) * (comparison.measure.margin or 1.0))
    low, mean, high, margin = (
        f"{80 + scale * value:.1f}"
        for value in (
            contrast.interval.low,
            contrast.difference,
            contrast.interval.high,
            -(comparison.measure.margin or 1.0),
        )
    )
    width = 2 * (80 - float(margin))
    tone = contrast.effect and gain(contrast.effect, comparison.measure.direction)
    colour = f"var(--{tone})" if tone else "currentColor"
    return Markup(
        '<svg class="spark" viewBox="0 0 160 20" width="160" height="20" aria-hidden="true">'
        f'<rect x="{margin}" y="2" width="{width:.1f}" height="16" fill="var(--band)"/>'
        '<path d="M80 0V20" stroke="var(--quiet)"/>'
        f'<path d="M{low} 10H{high}" stroke="{colour}" stroke-width="2"/>'
        f'<circle cx="{mean}" cy="10" r="4" fill="{colour}"/></svg>'
    )


def _strongest_cell(evidence: Evidence, strongest: Found | None, widest: float) -> Cell:
    if strongest is None:
        rows = [c for comparison in evidence.comparisons for c in contrasts(comparison)]
        effects = [c.effect for c in rows if c.effect is not None and not c.is_exact]
        if not effects:
            return Cell("none", tone="quiet")
        if UNKNOWN in effects:
            return Cell("? cannot tell yet", tone="quiet")
        return Cell("≈ no practical difference", tone="quiet")
    comparison, contrast = strongest
    measure, span = comparison.measure, contrast.interval
    assert contrast.effect is not None  # it has an effect, so it has these
    assert contrast.difference is not None
    assert span is not None
    places = decimals(measure.margin)
    change = f"{signed(contrast.difference, places)} {bounds(span.low, span.high, places)}"
    other = against(contrast.row.asked, comparison.asked.baseline)
    name = row_name(contrast.row.asked) + (f" {other}" if other else "")
    return Cell(
        f"{contrast.effect.symbol} {lower_first(measure.title)} {contrast.effect.words}",
        (with_unit(change, difference_unit(measure.unit)), name),
        tone=gain(contrast.effect, measure.direction),
        picture=_drawing(comparison, contrast, widest),
    )


def _strongest_values(strongest: Found | None) -> dict[str, Value]:
    comparison, contrast = strongest if strongest else (None, None)
    span = contrast.interval if contrast else None
    return {
        "comparison": comparison.asked.id if comparison else None,
        "variant": contrast.row.asked.variant if contrast else None,
        "match": "+".join(contrast.row.asked.match) if contrast else None,
        "metric": comparison.measure.name if comparison else None,
        "difference": contrast.difference if contrast else None,
        "low": span.low if span else None,
        "high": span.high if span else None,
        "unit": difference_unit(comparison.measure.unit) if comparison else None,
        "effect": contrast.effect.words if contrast and contrast.effect else None,
    }
