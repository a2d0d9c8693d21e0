"""Pages in a real browser: readable, quiet, within the window, on paper, and for everyone."""

import io
from collections.abc import Callable, Iterator
from pathlib import Path

import browser
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page
from small_records import study as study_of
from test_evidence import NORMAL, Lab, three_rows, two_rows
from test_pictures import Images, row

from ablate import study as studies
from ablate.report.inline_svg import inline
from ablate.report.render import render, render_index
from ablate.study import ComparisonAsked, DataUsed, Measure, Study

# --- pages of every shape -------------------------------------------------------------------------


def _written(root: Path, study: Study) -> None:
    render(root / "runs", study, root / "reports")
    render_index(root / "runs", root / "reports")


def ordinary(root: Path) -> None:
    """A drop-in and a match, latency, claims and a requirement."""
    lab = three_rows(
        root / "runs",
        requirements=[{"variant": "normal", "params": {"below": 1_000_000}, "uses": ["gap"]}],
    )
    (compared,) = lab.comparisons
    networks = []
    for at, asked in enumerate(compared.rows):
        asked.full_config["network"] = asked.full_config["network"] | {"width": 16.0 + at}
        networks.append(asked.full_config["network"])
    noise = np.random.RandomState(0)

    def process() -> dict[int, "np.ndarray[tuple[int, int], np.dtype[np.float64]]"]:
        each = np.exp(noise.normal(0, 0.02, (20, 4))) * [1.0, 0.6, 1.3, 1.0]
        return {1: 1e-3 * each, 64: 3e-2 * each}

    timed = lab.time(networks, process(), process(), process())
    lab.comparisons = [compared.model_copy(update={"passes": timed})]
    _written(root, lab.ask())


def only_a_baseline(root: Path) -> None:
    lab = Lab(root / "runs")
    lab.compare(lab.row("normal", NORMAL), claims=[])
    _written(root, lab.ask())


def one_seed(root: Path) -> None:
    _written(root, two_rows(root / "runs", [58.4], [62.3]).ask())


def twenty_seeds(root: Path) -> None:
    noise = np.random.RandomState(1)
    ours, theirs = noise.normal(58, 0.8, 20).tolist(), noise.normal(62, 0.8, 20).tolist()
    _written(root, two_rows(root / "runs", ours, theirs).ask())


def forty_variants(root: Path) -> None:
    lab, noise = Lab(root / "runs"), np.random.RandomState(2)
    rows = [
        lab.row(
            f"variant_{at}_with_a_long_name" if at else "normal",
            noise.normal(60 + noise.normal(0, 2), 0.5, 3).tolist(),
            params=80_000 + 3_000 * at,
            changes={"network.width": at} if at else {},
            scores=(),  # forty learning curves take their time
        )
        for at in range(41)
    ]
    lab.compare(*rows, claims=[])
    _written(root, lab.ask())


def all_failed(root: Path) -> None:
    _written(root, two_rows(root / "runs", ["failed"] * 3, ["diverged"] * 3).ask())


def nothing_trained(root: Path) -> None:
    lab = Lab(root / "runs")
    lab.compare(lab.row("normal", []), lab.row("depthwise", [], params=12_240), claims=[])
    _written(root, lab.ask())


def super_resolution(root: Path) -> None:
    images, runs = Images(), root / "runs"
    rows = [
        row(runs, name, {seed: images.arrays(4 * at, True, seed) for seed in range(2)})
        for at, name in enumerate(("transposed", "pixel_shuffle"))
    ]
    asked = ComparisonAsked(
        id="upsample",
        title="Which upsampler?",
        table="tbl-s7-upsample",
        baseline="transposed",
        measure=Measure(name="psnr", title="PSNR", unit="dB", direction="higher", margin=0.1),
        data=DataUsed(
            name="patches",
            title="Photograph patches",
            digest="0f1e",
            requested="patches",
            sizes={"train": 100, "validation": 0, "test": 6},
        ),
        rows=rows,
        claims=[],
    )
    study = study_of(suite="s7", id="s7-11111111", comparisons=[asked])
    _written(root, studies.ask(runs, study))


ODD: dict[str, Callable[[Path], None]] = {
    made.__name__: made
    for made in (
        *(ordinary, only_a_baseline, one_seed, twenty_seeds, forty_variants),
        *(all_failed, nothing_trained, super_resolution),
    )
}


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser.chromium() as found:
        yield found


@pytest.fixture(scope="module", params=ODD)
def reports(
    request: pytest.FixtureRequest, chromium: Browser, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    root = tmp_path_factory.mktemp(request.param)
    ODD[request.param](root)
    return root / "reports"


# --- what holds for each --------------------------------------------------------------------------


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (360, True)])
def test_a_page_is_for_everyone(chromium: Browser, reports: Path, width: int, dark: bool) -> None:
    file = reports / "s7/index.html"
    with browser.opened(chromium, file, width=width, dark=dark) as page:
        for wanted in ("h1", ".lead", ".sure", ".chips"):  # question, answer, how sure, on what
            for found in page.locator(wanted).all() or pytest.fail(f"no {wanted}"):
                box = found.bounding_box()
                assert box is not None
                assert box["height"] > 10
                assert box["y"] + box["height"] <= 800, wanted
                assert found.inner_text().strip()
        _unfold(page)
        assert browser.violations(page) == []


def test_nothing_is_cut_on_paper(chromium: Browser, reports: Path) -> None:
    with browser.opened(chromium, reports / "s7/index.html") as page:
        _unfold(page)
        tables = page.locator("table").all()
        last = [
            " ".join(t.locator("tr").last.locator("td").last.inner_text().split()) for t in tables
        ]
        page.emulate_media(media="print")
        # A4 less margins is 186 mm; wider than that is cut.
        page.set_viewport_size({"width": 703, "height": 900})
        assert browser.cut(page) == []
        words = "".join(browser.printed(page)).replace(" ", "")
    assert [text for text in last if text.replace(" ", "") not in words] == []


def _unfold(page: Page) -> None:
    page.evaluate("() => document.querySelectorAll('details').forEach((it) => (it.open = true))")


def test_the_index_is_for_everyone(chromium: Browser, tmp_path: Path) -> None:
    one_seed(tmp_path)
    for width, dark in ((1280, True), (360, False)):
        file = tmp_path / "reports/index.html"
        with browser.opened(chromium, file, width=width, dark=dark) as page:
            assert browser.violations(page) == []


# --- drawings -------------------------------------------------------------------------------------


def test_a_lean_drawing_looks_as_it_was_drawn(chromium: Browser, tmp_path: Path) -> None:
    """Pixel by pixel, beside what matplotlib wrote, in the same colours and the same font."""
    from matplotlib.figure import Figure

    noise = np.random.RandomState(0)
    drawing = Figure(figsize=(4, 3))
    ax = drawing.subplots()
    for at, marker in enumerate("|sov^."):
        x, y = noise.uniform(0, 10, (2, 12))
        ax.plot(x, y, marker, color=f"C{at}", alpha=0.6 if at % 2 else None, markersize=4 + at)
        ax.plot(np.sort(x), np.sort(y), color=f"C{at}", linewidth=0.8, linestyle="--")
    ax.fill_between([0, 4, 10], [1, 2, 1], [2, 3, 4], alpha=0.3, linewidth=0)
    ax.imshow(noise.uniform(0, 1, (4, 4)), extent=(6, 9, 6, 9), cmap="viridis")
    ax.set(xlim=(0, 10), ylim=(0, 10), xlabel="across", aspect="auto")
    ax.set_title("A title", fontsize=13, weight="bold", color="C1")
    ax.annotate("there", (2, 2), xytext=(4, 8), fontsize=7, arrowprops={"arrowstyle": "-"})
    ax.set_ylabel("up")
    out = io.BytesIO()
    import matplotlib

    with matplotlib.rc_context({"svg.fonttype": "none", "font.size": 9}):
        drawing.savefig(out, format="svg")
    before, after = out.getvalue().decode(), str(inline(out.getvalue(), "it", "T", "D", {}))
    assert len(after) < 0.6 * len(before)
    style = "svg{display:block;width:800px;height:auto;font-size:9px;fill:currentColor}"
    style += "svg text{font-family:sans-serif!important}body{margin:0}"
    seen = []
    for name, svg in (("before", before[before.index("<svg") :]), ("after", after)):
        file = tmp_path / f"{name}.html"
        file.write_text(f"<!doctype html><meta charset=utf-8><style>{style}</style>{svg}")
        with browser.opened(chromium, file) as page:
            seen.append(np.asarray(Image.open(io.BytesIO(page.locator("svg").screenshot()))))
    assert seen[0].shape == seen[1].shape
    apart = np.abs(seen[0].astype(int) - seen[1].astype(int)).max(axis=2)
    assert np.mean(apart > 64) < 0.001
    assert (seen[1] < 128).any()


# --- the helper itself ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        "<script>console.error('no')</script>",
        "<script>undefined_function()</script>",
        "<img src='other.png' alt=''>",
        "<div style='width:3000px'>wide</div>",
        "<div style='position:absolute;left:-40px'>cut</div>",
    ],
)
def test_what_a_page_must_not_do_is_found(chromium: Browser, tmp_path: Path, body: str) -> None:
    file = tmp_path / "page.html"
    file.write_text(f"<!doctype html><title>T</title>{body}", encoding="utf-8")
    with pytest.raises(AssertionError), browser.opened(chromium, file):
        pass


def test_what_hinders_readers_is_found(chromium: Browser, tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    file.write_text("<!doctype html><title>T</title><p style='color:#ddd'>pale</p>")
    with browser.opened(chromium, file) as page:
        found = browser.violations(page)
    assert [line.partition(":")[0] for line in found[:2]] == ["color-contrast", "html-has-lang"]


def test_a_named_browser_must_be_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ABLATE_CHROMIUM", "no-such-program")
    with pytest.raises(FileNotFoundError, match="ABLATE_CHROMIUM is 'no-such-program'"):
        browser.find()
