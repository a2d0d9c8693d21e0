"""What a user should know of a plan before paying for it: what its numbers will not be good for."""

from typing import Any

from ablate.evidence import welch
from ablate.study import ComparisonAsked, Study
from ablate.suite import foretell
from ablate.suite.preflight import Checked
from ablate.suite.schema import OwnProfile

FEWEST_STEPS = 450  # below it short training gives wrong answers, not just noisy ones


def notices(study: Study, checked: list[Checked]) -> list[str]:
    """Return what is to be said of a study, a sentence each."""
    said = []
    trained = [
        (item, comparison)
        for item, comparison in zip(checked, study.comparisons, strict=True)
        if comparison.is_trained
    ]
    for reason in dict.fromkeys(
        item.opened.fallback_reason for item, _ in trained if item.opened.fallback_reason
    ):
        names = ", ".join(
            f"{item.comparison.id} ({item.opened.dataset.title} for {item.opened.requested})"
            for item, _ in trained
            if item.opened.fallback_reason == reason
        )
        said.append(f"fallback data for {names}: {reason}; nothing trained on it may be cited")
    for item, comparison in trained:
        if item.refused:
            said.append(
                f"{comparison.id}: {item.refused.dataset.title} are stored with a loss, which its "
                f"targets would show; it keeps to the suite's own data, {comparison.data.title}"
            )
        fewest = fewest_steps(comparison)
        if fewest < FEWEST_STEPS:
            said.append(
                f"{comparison.id}: {fewest} optimizer steps a trial; below {FEWEST_STEPS} short "
                "training gives wrong answers, so its trained numbers are screening only"
            )
        spread = item.comparison.profiles.get(study.profile, OwnProfile()).spread
        open_question = foretell.undecided(study, item, comparison)
        open_question = open_question or _undecidable(comparison, spread or item.comparison.spread)
        if open_question:
            said.append(open_question)
    counts = {len(row.seeds) for _, comparison in trained for row in comparison.rows}
    if not counts:
        pass  # nothing is trained
    elif max(counts) < 5:
        said.append(f"{max(counts)} seeds: screening only; verdicts need 5 or more")
    elif min(counts) < 5:
        said.append(
            f"{min(counts)} to {max(counts)} seeds a row: rows with fewer than 5 are screening only"
        )
    if study.dirty:
        said.append("the code has uncommitted changes: nothing of this run may be cited")
    return said


def _undecidable(comparison: ComparisonAsked, spread: float | None) -> str | None:
    """Say what differences these seeds will not show, if the suite knows how much runs vary."""
    margin = comparison.measure.margin
    pairs = [
        (len(row.seeds), len(reference.seeds))
        for row in comparison.rows
        for reference in comparison.rows
        if row.reference == reference.variant and "none" in reference.match
    ]
    if spread is None or margin == 0 or not pairs:
        return None
    unit = "points" if comparison.measure.unit == "%" else comparison.measure.unit
    said = f"{comparison.id}: where runs vary by {spread:g} {unit} (sd)"
    enough = welch.seeds_to_detect(margin, spread, spread)
    if min(min(pair) for pair in pairs) < 2:
        return f"{said}, one seed tells nothing; the margin of {margin:g} takes {enough} seeds"
    seen = sorted({round(welch.detectable(spread, a, spread, b), 2) for a, b in pairs})
    if seen[-1] <= margin:
        return None
    sizes = f"{seen[0]:g} to {seen[-1]:g}" if len(seen) > 1 else f"{seen[0]:g}"
    return (
        f"{said}, these seeds show differences of {sizes} {unit} in 8 of 10 cases: smaller ones "
        f"stay open, and so does whether two are the same within the margin of {margin:g}, which "
        f"takes {enough} seeds a row"
    )


def fewest_steps(comparison: ComparisonAsked) -> int:
    """Return the optimizer steps of the row that takes the fewest."""
    return min(steps(row.config, comparison.data.sizes["train"]) for row in comparison.rows)


def steps(config: dict[str, Any], images: int) -> int:
    """Return the optimizer steps of a trial on so many training images."""
    recipe = config["recipe"]
    return int(-(-images // recipe["batch_size"]) * recipe["epochs"])
