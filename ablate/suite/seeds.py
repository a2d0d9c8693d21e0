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
    names of variants only add to it.

    Args:
        suite: the suite.
        profile: that is run.
        comparison: of the variant.
        variant: its name.
        typed: what the command line says; it holds for all variants.
    """
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


def rule(suite: Suite, profile: str, typed: Seeds | None) -> Until | None:
    """Return the rule by which seeds are added, None where their number is fixed."""
    asked = suite.profiles[profile].seeds if profile in suite.profiles else None
    wanted = typed if typed is not None else asked if asked is not None else suite.seeds
    return wanted if isinstance(wanted, Until) else None


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
