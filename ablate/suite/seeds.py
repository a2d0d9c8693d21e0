"""How many seeds each variant gets.

A baseline that many variants are compared with deserves more of them (about √k times as many as
each of k variants, Dunnett 1955): one unlucky baseline otherwise shifts every row.
"""

from collections.abc import Iterable, Iterator

from ablate.suite.schema import Comparison, Seeds, Shares, Suite, Until


def seeds_of(
    suite: Suite, profile: str, comparison: Comparison, variant: str, typed: Seeds | None
) -> list[int]:
    """Return the seeds of a variant, in the order in which they are run.

    What is said later wins: by the suite, the comparison, the suite's profile, the comparison's
    profile. A count, a list, a rule or `each` replaces all that was said before it; `baseline` and
    names of variants only add to it. A comparison of which the suite says that it is not trained
    (`is_static`) has no seeds, whatever the command line says.

    Args:
        suite: the suite.
        profile: that is run.
        comparison: of the variant.
        variant: its name.
        typed: what the command line says; it holds for all variants.
    """
    if is_static(suite, profile, comparison):
        return []
    said = [typed] if typed is not None else list(_said(suite, profile, comparison))
    common: list[int] = []
    own: dict[str, int] = {}
    for seeds in said:
        if isinstance(seeds, Shares):
            if seeds.each is not None:
                common, own = list(range(seeds.each)), {}
            own |= {comparison.baseline: seeds.baseline} if seeds.baseline is not None else {}
            own |= seeds.variants
        elif isinstance(seeds, Until):
            common, own = list(range(seeds.at_most)), {}
        else:
            common, own = list(range(seeds)) if isinstance(seeds, int) else seeds, {}
    return list(range(own[variant])) if variant in own else common


def is_static(suite: Suite, profile: str, comparison: Comparison) -> bool:
    """Return whether the suite says that a comparison is not trained: `seeds: 0`.

    What stands nearest to it decides: its profile, the comparison, the suite's profile, the suite.
    So it stays untrained under a profile that gives seeds to all others.
    """
    of_suite, of_comparison = suite.profiles.get(profile), comparison.profiles.get(profile)
    said = (
        of_comparison.seeds if of_comparison else None,
        comparison.seeds,
        of_suite.seeds if of_suite else None,
        suite.seeds,
    )
    return next(seeds for seeds in said if seeds is not None) == 0


def rule(suite: Suite, profile: str, typed: Seeds | None) -> Until | None:
    """Return the rule by which seeds are added, None where their number is fixed."""
    asked = suite.profiles[profile].seeds if profile in suite.profiles else None
    wanted = typed if typed is not None else asked if asked is not None else suite.seeds
    return wanted if isinstance(wanted, Until) else None


def control_of(suite: Suite, profile: str, comparison: Comparison, typed: int | None) -> int:
    """Return with how many further seeds a comparison's baseline is held against itself.

    What is said later wins, as of seeds; 0 where nothing says anything.

    Args:
        suite, profile, comparison: as of `seeds_of`.
        typed: what the command line says; it holds for all comparisons.
    """
    if typed is not None:
        return typed
    of_suite, of_comparison = suite.profiles.get(profile), comparison.profiles.get(profile)
    said = (
        of_comparison.control if of_comparison else None,
        of_suite.control if of_suite else None,
        comparison.control,
        suite.control,
    )
    return next((count for count in said if count is not None), 0)


def union(lists: Iterable[list[int]]) -> list[int]:
    """Return all seeds of some lists, each once, in the order of the longest list that has it."""
    ordered = sorted(lists, key=len, reverse=True)
    return list(dict.fromkeys(seed for seeds in ordered for seed in seeds))


def _said(suite: Suite, profile: str, comparison: Comparison) -> Iterator[Seeds]:
    yield suite.seeds
    of_suite = suite.profiles.get(profile)
    of_comparison = comparison.profiles.get(profile)
    for seeds in (
        comparison.seeds,
        of_suite.seeds if of_suite else None,
        of_comparison.seeds if of_comparison else None,
    ):
        if seeds is not None:
            yield seeds
