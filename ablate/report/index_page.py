"""The table of all suites: what each asks, how far it is, and the strongest thing it found."""

from dataclasses import dataclass

from ablate.evidence import citable
from ablate.evidence.collect import ComparisonEvidence, Evidence
from ablate.evidence.contrast import Contrast, contrasts
from ablate.evidence.effects import UNKNOWN, gain
from ablate.evidence.spelling import (
    against,
    bounds,
    decimals,
    difference_unit,
    lower_first,
    number,
    one_line,
    row_name,
    signed,
    with_unit,
)
from ablate.report.suite_page import data_used, describe_data, progress
from ablate.report.tables import Cell, Column, Line, Table, Value


@dataclass(frozen=True)
class Index:
    """All suites that have a study."""

    table: Table
    unreadable: tuple[str, ...]  # studies that cannot be read, each with what is wrong


def index(found: list[Evidence], unreadable: list[str]) -> Index:
    """Gather the page of all suites."""
    fields = (
        "suite",
        "title",
        "question",
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
    table = Table(
        id="tbl-index",
        number="Table 1",
        title="All suites",
        notes=(
            "The newest study of each suite. Strongest effect: of the rows whose 95 % interval "
            "(Welch, over seeds, or paired by seed where its suite says so) lies beyond the "
            "margin, the one with the largest difference from what it is compared with, counted "
            "in margins. Screening: not to be cited, for reasons that the suite's page gives. "
            "Numbers of different suites are of different networks and data.",
        ),
        columns=(
            Column("Suite", numeric=False),
            Column("Question", numeric=False),
            Column("Trials", "ok/planned"),
            Column("State", numeric=False),
            Column("Strongest effect", numeric=False),
            Column("Data", numeric=False),
            Column("Device", numeric=False),
            Column("Profile", numeric=False),
            Column("Asked", numeric=False, whole=True),
        ),
        fields=fields,
        lines=tuple(_line(evidence) for evidence in found),
    )
    return Index(table, tuple(unreadable))


def _line(evidence: Evidence) -> Line:
    study = evidence.study
    ok, planned = progress(evidence)
    screening = any(citable.reasons(study, c) for c in evidence.comparisons)
    strongest = _strongest(evidence)
    data = list(dict.fromkeys(map(describe_data, data_used(evidence))))
    values: dict[str, Value] = {
        "suite": study.suite,
        "title": study.title,
        "question": study.question,
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
    cells = (
        Cell(study.suite, (one_line(study.title),), link=f"{study.suite}/index.html"),
        Cell(one_line(study.question)),
        Cell(f"{number(ok)}/{number(planned)}") if planned else Cell("none", tone="quiet"),
        Cell("partial, screening" if ok < planned else "screening" if screening else "citable"),
        _strongest_cell(evidence, strongest),
        _data_cell(evidence),
        Cell(f"{study.device}, {study.precision}"),
        Cell(one_line(study.profile)),
        Cell(study.created[:10]),
    )
    return Line(cells, values)


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


def _strongest_cell(evidence: Evidence, strongest: Found | None) -> Cell:
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
