"""Read a suite with what the command line adds, and find all its mistakes at once.

A mistake in one place does not hide those elsewhere: what is wrong is left out and the rest is
checked all the same.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ablate import catalog
from ablate.suite.references import references
from ablate.suite.request import Applied, Request, apply
from ablate.suite.resolve import Draft, Layer, configure
from ablate.suite.schema import Comparison, Latency, Memory, OwnProfile, Profile, Suite
from ablate.suite.seeds import control_of, seeds_of
from ablate.suite.source import Loc, Problem, Source, SuiteError, parse
from ablate.suite.structure import structure


@dataclass(frozen=True)
class Variant:
    """A variant with its configuration as trained and as the full profile has it."""

    name: str
    changes: dict[str, Any]  # dotted path → value
    at: Loc  # where the file says it
    trained: Draft
    full: Draft


@dataclass(frozen=True)
class Loaded:
    """A suite that was read, as far as it makes sense; `problems` says what does not."""

    source: Source
    suite: Suite
    request: Request
    applied: Applied  # the command line
    places: dict[str, Loc]  # of each comparison that is run: where it stands in the file
    variants: dict[str, list[Variant]]  # by comparison; the baseline first
    plugins: dict[str, Path]  # by "room/name"
    problems: list[Problem]
    claims: dict[str, list[Loc]] = field(default_factory=dict)  # where those of each comparison are

    def latency(self, comparison: Comparison) -> Latency | None:
        """Return how a comparison's latency is measured, None if it is not.

        What is said later wins, as of seeds: by the suite, the comparison, the suite's profile, the
        comparison's profile.
        """
        found = (one.latency for one in self._said(comparison))
        return next((one for one in found if one is not None), None)

    def memory(self, comparison: Comparison) -> Memory | None:
        """Return how its peaks of memory are measured, likewise."""
        found = (one.memory for one in self._said(comparison))
        return next((one for one in found if one is not None), None)

    def _said(self, comparison: Comparison) -> tuple[OwnProfile, Profile, Comparison, Suite]:
        """Return who may say how a comparison is measured: what counts most comes first."""
        profile = self.applied.profile
        return (
            comparison.profiles.get(profile, OwnProfile()),
            self.suite.profiles.get(profile, Profile()),
            comparison,
            self.suite,
        )

    def seeds(self, comparison: Comparison, variant: str, profile: str | None = None) -> list[int]:
        """Return the seeds of a variant, under the profile that is run unless another is given."""
        name = self.applied.profile if profile is None else profile
        return seeds_of(self.suite, name, comparison, variant, self.applied.seeds)

    def is_static(self, comparison: Comparison) -> bool:
        """Return whether a comparison is measured and never trained, by the suite itself.

        Where only the profile or the command line says so, what takes training may be asked: it is
        not tested then.
        """
        said = self.suite.seeds if comparison.seeds is None else comparison.seeds
        return said == 0 and not any(
            self.seeds(comparison, variant.name) for variant in self.variants[comparison.id]
        )

    def control(self, comparison: Comparison, profile: str | None = None) -> int:
        """Return with how many further seeds its baseline is held against itself, likewise."""
        name = self.applied.profile if profile is None else profile
        return control_of(self.suite, name, comparison, self.request.control)


def find(name: str) -> Path:
    """Return the file of a suite, given by name or path.

    Raises:
        SuiteError: there is none; the message lists those there are.
    """
    path = Path(name)
    if path.suffix in (".yaml", ".yml"):
        if not path.is_file():
            text = f"there is no file {name}; suites by name: {', '.join(available()) or 'none'}"
            raise SuiteError(name, "", [Problem("suite", text)])
        return path
    known = available()
    if name in known:
        return known[name]
    problem = f"unknown suite {name!r}; {catalog.suggest(name, known)}"
    if not name:
        problem = f"which suite? {catalog.suggest('', known)}"
    raise SuiteError(name, "", [Problem("suite", problem)])


def available() -> dict[str, Path]:
    """Return the suites in `./suites`, or in those that come with the source tree."""
    for folder in (Path("suites"), catalog.PACKAGE.parent / "suites"):
        if folder.is_dir():
            return {path.stem: path for path in sorted(folder.glob("*.yaml"))}
    return {}


def load(request: Request, default_profile: str) -> Loaded:
    """Read a suite.

    Args:
        request: from the command line.
        default_profile: what to run where the request names none and the suite has it.

    Raises:
        SuiteError: the file cannot be read as a suite at all. Other problems are in the result.
    """
    path = find(request.suite)
    source = parse(path, str(path))
    form = structure(source)
    suite, problems = form.suite, list(form.problems)
    plugins, plugin_problems = _plugins(suite, source, path.parent)
    problems += plugin_problems
    problems += references(form, source, path)
    applied = apply(request, suite, default_profile)
    problems += applied.problems
    only = suite.profiles.get(applied.profile, Profile()).comparisons
    places, variants, claims = {}, {}, {}
    drafts = list(_not_compared(suite))
    for index, comparison in enumerate(suite.comparisons):
        at = form.place("comparisons", index)
        profiles = {*suite.profiles, "full"}
        if only is None or comparison.id in only:
            places[comparison.id] = at
            claims[comparison.id] = [
                form.place("comparisons", index, "claims", number)
                for number in range(len(comparison.claims))
            ]
            found = list(_variants(suite, comparison, at, applied))
            drafts += [draft for v in found for draft in (v.trained, v.full)]
            kept = comparison.profiles.get(applied.profile, OwnProfile()).variants
            variants[comparison.id] = sorted(
                (v for v in found if kept is None or v.name in kept),
                key=lambda v: v.name != comparison.baseline,
            )
            profiles -= {applied.profile, "full"}
        drafts += _not_run(suite, comparison, at, sorted(profiles))
    said = {problem.message for problem in plugin_problems}
    for draft in drafts:
        problems += [p for p in draft.located(source) if p.message not in said]
    return Loaded(source, suite, request, applied, places, variants, plugins, problems, claims)


def _plugins(suite: Suite, source: Source, folder: Path) -> tuple[dict[str, Path], list[Problem]]:
    plugins, problems = {}, []
    for index, written in enumerate(suite.plugins):
        path = folder / written
        try:
            room, name = catalog.plug(path)
            catalog.hold_to_contract(room, name)
            plugins[f"{room}/{name}"] = path.resolve()
        except catalog.PluginError as error:
            problems.append(Problem(source.position(("plugins", index)), str(error)))
    return plugins, problems


def _variants(suite: Suite, comparison: Comparison, at: Loc, applied: Applied) -> Iterator[Variant]:
    for name, last in _differences(suite, comparison, at):
        drafts = [
            configure([*_below(suite, comparison, at, profile), *applied.layers, last])
            for profile in (applied.profile, "full")
        ]
        assert last.at is not None  # it is from the file
        yield Variant(name, dict(last.settings), last.at, *drafts)


def _differences(suite: Suite, comparison: Comparison, at: Loc) -> Iterator[tuple[str, Layer]]:
    """Yield a comparison's variants by name, without those that name none of the suite's."""
    for name, written in comparison.variants.items():
        if not isinstance(written, str):
            yield name, Layer(f"variant {name}", written, (*at, "variants", name))
        elif written in suite.variants:
            yield name, Layer(f"variant {name}", suite.variants[written], ("variants", written))


def _not_run(
    suite: Suite, comparison: Comparison, at: Loc, profiles: Iterable[str]
) -> Iterator[Draft]:
    """Yield configurations that this run has no use for: a suite is sound as a whole or not."""
    for profile in profiles:
        for _, last in _differences(suite, comparison, at):
            yield configure([*_below(suite, comparison, at, profile), last])


def _not_compared(suite: Suite) -> Iterator[Draft]:
    """Yield the configurations of named variants that no comparison has."""
    used = {
        written
        for c in suite.comparisons
        for written in c.variants.values()
        if isinstance(written, str)
    }
    base = Layer("base", suite.base, ("base",))
    if not configure([base]).problems:
        for name in suite.variants.keys() - used:
            yield configure(
                [base, Layer(f"variant {name}", suite.variants[name], ("variants", name))]
            )


def _below(suite: Suite, comparison: Comparison, at: Loc, profile: str) -> Iterator[Layer]:
    """Yield what a comparison's variants have in common under a profile."""
    yield Layer("base", suite.base, ("base",))
    yield Layer(f"base of {comparison.id}", comparison.base, (*at, "base"))
    if profile in suite.profiles:
        difference = suite.profiles[profile].difference
        yield Layer(f"profile {profile}", difference, ("profiles", profile))
    own = comparison.profiles.get(profile, OwnProfile()).difference
    yield Layer(f"profile {profile} of {comparison.id}", own, (*at, "profiles", profile))
