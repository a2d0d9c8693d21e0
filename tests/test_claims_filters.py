"""The page of all claims in a browser: filters, addresses, and what it is without a script."""

import unicodedata
from collections.abc import Iterator
from pathlib import Path

import browser
import pytest
from playwright.sync_api import Browser, Page
from test_claims_page import made  # noqa: F401  (a fixture)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser.chromium() as found:
        yield found


@pytest.fixture(scope="module")
def file(made: Path) -> Path:  # noqa: F811
    return made / "claims.html"


def mine(page: Page) -> list[str]:
    """Return the rows of the small register that can be seen, in the order of the page."""
    seen: list[str] = page.locator("tr[data-verdict]:visible").evaluate_all(
        "rows => rows.map((row) => row.id)"
    )
    return [id.removeprefix("mine-") for id in seen if id.startswith("mine-")]


def address(page: Page) -> str:
    return page.url.partition("#")[2]


ALL = ["A-1", "B-1", "B-2", "B-4", "B-5", "B-6", "B-7", "B-8"]  # the definition is folded


def test_filters_hide_rows_and_the_address_keeps_them(chromium: Browser, file: Path) -> None:
    with browser.opened(chromium, file) as page:
        assert mine(page) == ALL
        said = page.get_by_role("status")
        assert said.inner_text() == "270 lines"  # 261 of the course and 9 of one's own
        page.get_by_label("Verdict").select_option("refuted")
        assert (mine(page), address(page)) == (["B-2"], "verdict=refuted")
        assert said.inner_text() == "2 of 270 lines fit"  # the other is of the course
        page.get_by_label("Verdict").select_option("not yet tested")
        page.get_by_label("Note", exact=True).select_option("mine-B")
        assert mine(page) == ["B-5", "B-6", "B-7"]
        assert said.inner_text() == "3 of 270 lines fit"
        page.get_by_label("Kind").select_option("T")
        assert mine(page) == ["B-6", "B-7"]
        page.get_by_label("Search").fill("Sundays one")  # every word, in any case, anywhere
        assert mine(page) == ["B-6"]
        assert address(page) == "q=Sundays+one&verdict=not+yet+tested&note=mine-B&kind=T"
        page.reload()
        assert mine(page) == ["B-6"]
        assert page.get_by_label("Search").input_value() == "Sundays one"
        # A note of which no row is left has no heading either.
        assert not page.get_by_role("link", name="One", exact=True).first.is_visible()
        page.get_by_role("button", name="All claims").click()
        page.wait_for_function("document.getElementById('shown').textContent === '270 lines'")
        assert (mine(page), address(page)) == (ALL, "")


def test_filters_by_suite(chromium: Browser, file: Path) -> None:
    with browser.opened(chromium, file, anchor="#suite=count") as page:
        assert mine(page) == ["B-1", "B-8"]
        page.get_by_label("Suite").select_option("none")
        assert mine(page) == ["A-1", "B-4", "B-5", "B-6", "B-7", "B-3"]


def test_sorting_moves_rows_and_brings_them_back(chromium: Browser, file: Path) -> None:
    with browser.opened(chromium, file, anchor="#note=mine-B") as page:
        page.get_by_label("Sort by").select_option("verdict")
        assert mine(page) == ["B-1", "B-2", "B-8", "B-5", "B-6", "B-7", "B-4", "B-3"]
        page.get_by_label("Sort by").select_option("suite")
        assert mine(page)[:4] == ["B-1", "B-8", "B-2", "B-4"]  # count and one, count one, one, none
        page.get_by_label("Sort by").select_option("")
        assert mine(page) == [*ALL[1:], "B-3"]
        assert browser.violations(page) == []


def test_an_address_of_a_row_shows_it_whatever_was_filtered(chromium: Browser, file: Path) -> None:
    with browser.opened(chromium, file, anchor="#verdict=refuted") as page:
        assert mine(page) == ["B-2"]
        page.evaluate("location.hash = '#mine-B-3'")  # as a link does: in what is folded
        page.locator("#mine-B-3").wait_for(state="visible")
        assert page.get_by_label("Verdict").input_value() == ""
        assert mine(page) == [*ALL, "B-3"]
        assert page.locator("#mine-B-3").evaluate(
            "row => row.getBoundingClientRect().top < innerHeight"
        )
        page.get_by_role("link", name="✗ 1 refuted").first.click()  # of the counts
        assert mine(page) == ["B-2"]


@pytest.mark.parametrize("anchor", ["#verdict=nonsense&note=x&sort=up&other=1", "#%E0%A4%A", "#="])
def test_an_address_that_means_nothing_shows_all(
    chromium: Browser, file: Path, anchor: str
) -> None:
    with browser.opened(chromium, file, anchor=anchor) as page:
        assert mine(page) == ALL


def test_it_is_used_with_the_keyboard(chromium: Browser, file: Path) -> None:
    with browser.opened(chromium, file) as page:
        page.get_by_label("Search").focus()
        page.keyboard.type("sharper")
        assert mine(page) == ["B-7"]
        names = []
        for _ in range(6):
            page.keyboard.press("Tab")
            names.append(page.evaluate("document.activeElement.id || document.activeElement.type"))
        assert names == ["verdict", "suite", "note", "kind", "sort", "reset"]
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline == "solid"
        page.keyboard.press("Enter")
        page.wait_for_function("document.getElementById('shown').textContent === '270 lines'")
        page.get_by_label("Search").focus()
        page.keyboard.type("sharper")
        page.keyboard.press("Enter")  # sends nothing anywhere
        assert (mine(page), page.url.startswith("file:")) == (["B-7"], True)


@pytest.mark.parametrize("script", [True, False])
@pytest.mark.parametrize("width", [1280, 360])
def test_it_is_read_with_and_without_script(
    chromium: Browser, file: Path, width: int, script: bool
) -> None:
    with browser.opened(chromium, file, width=width, dark=width == 360, script=script) as page:
        assert page.locator("#filters").is_visible() == script
        assert mine(page) == ALL
        if script and width == 360:  # the light one is above
            page.get_by_label("Note", exact=True).select_option("mine-B")  # few rows: it takes long
            assert browser.violations(page) == []


def test_on_paper_nothing_is_cut(chromium: Browser, file: Path) -> None:
    with browser.opened(chromium, file, anchor="#note=mine-B") as page:
        # Fonts print some letters as one; they are two again.
        words = unicodedata.normalize("NFKC", " ".join(browser.printed(page)))
        assert "one asks it, but not in profile quick." in words  # of the last column
        assert "What became of the notes' claims" in words
        assert "8 of 270 lines fit" in words  # what was asked for cannot be asked on paper
        assert "Sort by" not in words
