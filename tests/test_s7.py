"""The suite `s7`: every profile can be run, and it judges what the notes say."""

import pytest

from ablate import catalog
from ablate.suite.load import load
from ablate.suite.notices import FEWEST_STEPS
from ablate.suite.request import Request

pytestmark = pytest.mark.usefixtures("no_plugins")

S7 = str(catalog.PACKAGE.parent / "suites" / "s7.yaml")
PROFILES = ("smoke", "quick", "evening", "full", "assignment")

# Lines of the notes on merging, upsampling, depthwise and strided convolutions, receptive fields
# and the assignment; and further ones that only training answers.
CITED = [
    *("A:27", "A:31", "A:33", "A:105", "A:111", "A:113", "A:115", "B:31", "B:33", "B:34", "B:36"),
    *("B:41", "B:55", "B:60", "B:60b", "B:72", "C:201", "C:201b", "C:202", "C:203", "C:204"),
    *("C:205", "D:108", "B:156", "C:73", "E:53", "E:118", "E:126"),
]


@pytest.mark.parametrize("profile", PROFILES)
def test_every_profile_loads_without_a_problem(profile: str) -> None:
    loaded = load(Request(S7, profile=profile), profile)
    assert loaded.problems == []


@pytest.mark.parametrize("profile", ["evening", "full"])
def test_the_longer_profiles_judge_every_line(profile: str) -> None:
    """Each cited line has a claim whose variants are rows of the profile."""
    loaded = load(Request(S7, profile=profile), profile)
    judged = {
        claim.note
        for comparison in loaded.suite.comparisons
        if comparison.id in loaded.variants
        for claim in comparison.claims
        if set(claim.variants()) <= {v.name for v in loaded.variants[comparison.id]}
    }
    assert [line for line in CITED if line not in judged] == []


@pytest.mark.parametrize("profile", ["quick", "evening"])
def test_short_profiles_train_long_enough(profile: str) -> None:
    loaded = load(Request(S7, profile=profile), profile)
    seen = 0
    for variants in loaded.variants.values():
        for variant in variants:
            recipe = variant.trained.values["recipe"]
            images = variant.trained.values["data"]["train_images"]
            steps = -(-images // recipe["batch_size"]) * recipe["epochs"]
            assert steps >= FEWEST_STEPS
            seen += 1
    assert seen > 30
