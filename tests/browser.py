"""Pages as a reader's browser shows them: headless Chromium, driven by Playwright.

    @pytest.fixture(scope="module")
    def chromium() -> Iterator[Browser]:
        with browser.chromium() as found:
            yield found

    def test_the_filter_hides_rows(chromium: Browser, made: Path) -> None:
        with browser.opened(chromium, made / "claims.html", width=360, dark=True) as page:
            page.get_by_label("Verdict").select_option("refuted")
            assert page.locator("tbody tr:visible").count() == 3
            assert browser.violations(page) == []

`page` is a Playwright page (locators, keyboard, `evaluate`, `screenshot`). Whatever a test does
with it, `opened` fails at its end if the page logged an error, asked for anything but its own file,
or was wider than the window. Where there is no Chromium, tests are skipped and say why. It is that
of the system (Debian's package `chromium`) or what `ABLATE_CHROMIUM` names, not Playwright's own.
"""

import io
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright
from pypdf import PdfReader

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
# A page from a file needs none of a browser's own traffic.
QUIET = ("--disable-quic", "--disable-background-networking", "--disable-component-update")

LETTERS = str.maketrans({"ﬀ": "ff", "ﬁ": "fi", "ﬂ": "fl", "ﬃ": "ffi", "ﬄ": "ffl"})  # one in print
SIDES = ("top", "right", "bottom", "left")

# What ends beyond the window, though nothing around it scrolls or is hidden on purpose.
CUT = """() => {
  const edge = document.documentElement.clientWidth + 1;
  const hidden = '.skip, [hidden], details:not([open]) > :not(summary)';
  const kept = (e) => e.closest(`.scroll, .forest, pre, ${hidden}`);
  return [...document.body.querySelectorAll('*')]
    .filter((e) => !kept(e) && !(e instanceof SVGElement && e.ownerSVGElement))
    .map((e) => [e, e.getBoundingClientRect()])
    .filter(([e, box]) => box.width > 0 && (box.right > edge || box.left < -1))
    .map(([e, box]) => `${e.tagName.toLowerCase()}.${e.className} ends at ${box.right}: ` +
      (e.textContent || '').trim().slice(0, 60));
}"""


def find() -> str | None:
    """Return the program of a Chromium; None where there is none.

    Raises:
        FileNotFoundError: `ABLATE_CHROMIUM` names no program, so that no machine that was prepared
            for these tests skips them unnoticed.
    """
    if named := os.environ.get("ABLATE_CHROMIUM"):
        if shutil.which(named) is None:
            raise FileNotFoundError(f"ABLATE_CHROMIUM is {named!r}, which is no program")
        return shutil.which(named)
    return next(filter(None, map(shutil.which, NAMES)), None)


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start a browser for the tests of a module; skip them where there is none."""
    program = find()
    if program is None:
        pytest.skip(f"no Chromium: none of {', '.join(NAMES)} is on PATH, ABLATE_CHROMIUM is unset")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=list(QUIET))
        yield browser
        browser.close()


@contextmanager
def opened(
    browser: Browser,
    file: Path,
    *,
    width: int = 1280,
    height: int = 800,
    dark: bool = False,
    script: bool = True,
    anchor: str = "",
) -> Iterator[Page]:
    """Open a page from a file, and check at the end that it did nothing that it should not.

    Args:
        browser: of `chromium`.
        file: the page.
        width: of the window in CSS pixels, as is `height`.
        height: of the window.
        dark: whether the reader prefers dark pages.
        script: whether scripts of the page run; `evaluate` works all the same, `violations` not.
        anchor: what the address ends in, with its `#`.
    """
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme="dark" if dark else "light",
        java_script_enabled=script,
    )
    page = context.new_page()
    logged: list[str] = []
    asked: list[str] = []
    page.on("console", lambda m: logged.append(m.text) if m.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: logged.append(str(error)))
    page.on("request", lambda request: asked.append(request.url.partition("#")[0]))
    try:
        page.goto(file.resolve().as_uri() + anchor)
        yield page
        assert logged == []
        # Data in the page itself (pictures) is no request.
        assert {url for url in asked if not url.startswith("data:")} <= {page.url.partition("#")[0]}
        assert cut(page) == []
    finally:
        context.close()


def cut(page: Page) -> list[str]:
    """Return what a reader cannot see without scrolling the page sideways."""
    found: list[str] = page.evaluate(CUT)
    wide, window = page.evaluate(
        "() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]"
    )
    return [*found, *([f"the page is {wide} px wide in {window} px"] if wide > window else [])]


def violations(page: Page) -> list[str]:
    """Return what axe finds wrong for readers with a disability, a line for each rule."""
    found: list[dict[str, Any]] = Axe().run(page).response["violations"]
    return [
        f"{rule['id']}: {rule['help']}: {[node['html'][:120] for node in rule['nodes'][:3]]}"
        for rule in found
    ]


def printed(page: Page) -> list[str]:
    """Print a page on A4 and return the words of each sheet, spaces made one."""
    pdf = PdfReader(io.BytesIO(page.pdf(format="A4", margin=dict.fromkeys(SIDES, "12mm"))))
    return [" ".join(sheet.extract_text().translate(LETTERS).split()) for sheet in pdf.pages]
