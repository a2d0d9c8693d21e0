"""The page of all suites: what each found, on what it ran, and what must not be compared."""

import csv
import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from test_claims_page import RATIO, WORSE, lab_of
from test_contradictions import BETTER
from test_evidence import DROP_IN, NORMAL, Lab
from test_report import Page, everything, read
from test_verdicts import claim

from ablate import study
from ablate.evidence.collect import Evidence, collect
from ablate.records import Record
from ablate.report import comparable
from ablate.report.render import render_index

FIVEFOLD = [NORMAL[0] - 5 * (NORMAL[0] - value) for value in DROP_IN]
NAME = "<script>alert(1)</script>"


@dataclass
class On(Lab):
    """A lab whose trials were made on another machine."""

    machine: dict[str, Any] | None = None

    def _trial(self, *args: Any) -> Record:
        made = super()._trial(*args)
        return made.model_copy(update={"environment": self.machine or made.environment})


GPU = {"gpu": "A <b>GPU</b>", "cpu": "A CPU", "python": "3.12.1", "packages": {"torch": "2.6.0"}}


def trained(
    runs: Path, suite: str, lower: list[float], machine: dict[str, Any] | None = None, **asked: Any
) -> Lab:
    """Return a suite in which a variant loses, with two claims: that it does, that it wins."""
    lab = On(runs, settings={"suite": suite, **asked}, machine=machine)
    said = [claim(**it) for it in (WORSE | {"match": "none"}, BETTER | {"match": "none"})]
    data = asked.get("data", {})
    lab.settings.pop("data", None)
    lab.compare(lab.row("normal", NORMAL), lab.row("depthwise", lower), claims=said, data=data)
    return lab


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Arithmetic, a suite that may not be cited, and one on another machine that has a page."""
    root = tmp_path_factory.mktemp("index")
    runs = root / "runs"
    for lab in (
        lab_of("count", RATIO | {"about": 8}, trained=False, runs=runs),
        trained(runs, "small", DROP_IN, title=NAME, question="Is it?", dirty=True),
        trained(runs, "wide", FIVEFOLD, GPU, profile="full", device="cuda"),
    ):
        lab.ask()
    (root / "reports" / "wide").mkdir(parents=True)
    (root / "reports" / "wide" / "index.html").write_text("<p>its page</p>", encoding="utf-8")
    render_index(runs, root / "reports")
    return root


@pytest.fixture(scope="module")
def page(root: Path) -> Page:
    return read(root / "reports" / "index.html")


def test_each_suite_has_a_row_with_its_answer(page: Page, root: Path) -> None:
    """The verdicts and the effects of the page are those of the lists above, by hand and scipy."""
    assert "3 suites; 5 of 5 claims judged; 20 of 20 trials ok; run on cpu (A CPU) and cuda" in (
        page.prose
    )
    assert "count The arithmetic" not in page.prose
    assert "1 claim ✓ 1 supported none none nothing is trained cpu bf16" in page.prose
    assert f"small {NAME} Is it?" in page.prose
    rows = {
        row["suite"]: row
        for row in csv.DictReader(
            io.StringIO((root / "reports" / "tbl-index.csv").read_text(encoding="utf-8"))
        )
    }
    assert [rows[it]["supported"] + rows[it]["refuted"] for it in rows] == ["10", "11", "11"]
    for suite, lower in (("small", DROP_IN), ("wide", FIVEFOLD)):
        low, high = scipy_interval(lower, NORMAL)
        assert float(rows[suite]["low"]) == pytest.approx(low, abs=1e-6)
        assert float(rows[suite]["high"]) == pytest.approx(high, abs=1e-6)
        mean = sum(lower) / 5 - sum(NORMAL) / 5
        said = f"▼ accuracy lower −{abs(mean):.1f} [−{abs(low):.1f}, −{abs(high):.1f}] points"
        assert said in page.prose
    assert "10/10 screening CIFAR-10 10,000 training images cpu bf16 quick" in page.prose
    assert "10/10 citable CIFAR-10 10,000 training images cuda bf16 full" in page.prose


def scipy_interval(ours: list[float], theirs: list[float]) -> tuple[float, float]:
    from scipy import stats

    found = stats.ttest_ind(ours, theirs, equal_var=False).confidence_interval()
    return float(found.low), float(found.high)


def test_the_drawings_are_on_one_scale(page: Page) -> None:
    """In margins of half a point: the widest interval ends 76 pixels from the middle."""
    drawn = re.findall(r'<svg class="spark".*?</svg>', page.text)
    assert len(drawn) == 2  # of what is trained
    widest = max(map(abs, scipy_interval(FIVEFOLD, NORMAL)))
    for svg, lower in zip(drawn, (DROP_IN, FIVEFOLD), strict=True):
        bar = re.search(r'd="M([\d.]+) 10H([\d.]+)"', svg)
        assert bar is not None
        expected = [80 + 76 * bound / widest for bound in scipy_interval(lower, NORMAL)]
        assert [float(it) for it in bar.groups()] == pytest.approx(expected, abs=0.051)
        band = re.search(r'rect x="([\d.]+)" y="2" width="([\d.]+)"', svg)
        assert band is not None
        assert float(band[1]) == pytest.approx(80 - 76 * 0.5 / widest, abs=0.051)
        assert float(band[2]) == pytest.approx(2 * 76 * 0.5 / widest, abs=0.11)
        assert 'aria-hidden="true"' in svg


def test_what_must_not_be_compared_is_said(page: Page) -> None:
    assert (
        "Times (latency, training) of small and wide must not be compared: different devices "
        "(small: on cpu (A CPU); wide: on cuda (A <b>GPU</b>))." in page.prose
    )
    assert (
        "Trained results of small and wide must not be compared: different profiles "
        "(small: profile quick; wide: profile full)." in page.prose
    )
    assert "different data" not in page.prose  # it is the same


def evidence(lab: Lab) -> Evidence:
    return collect(lab.runs, lab.ask())


def test_only_what_differs_is_kept_apart(tmp_path: Path) -> None:
    one = evidence(trained(tmp_path, "one", DROP_IN))
    same = evidence(trained(tmp_path, "same", FIVEFOLD))
    assert comparable.notes([one, same]) == []
    static = evidence(lab_of("count", trained=False, runs=tmp_path))
    assert comparable.machines(static) == ()
    assert comparable.notes([one, static]) == []
    other = trained(tmp_path, "other", DROP_IN, data={"title": "Photos"}, precision="fp32")
    assert comparable.notes([one, evidence(other), same]) == [
        "Trained results of one, other and same must not be compared: different data (one and "
        "same: CIFAR-10 (10,000 training images); other: Photos (10,000 training images)).",
        "Trained results of one, other and same must not be compared: different precisions (one "
        "and same: in bf16; other: in fp32).",
    ]


def test_a_suite_of_two_machines_says_so(tmp_path: Path) -> None:
    lab = trained(tmp_path, "one", DROP_IN)
    assert isinstance(lab, On)
    lab.machine = {"cpu": "Another", "cores": 4}
    rows = [lab.row("normal", [61.0, 62.0]), lab.row("other", [61.0, 62.0])]
    lab.compare(*rows, id="merge")
    found = evidence(lab)
    assert comparable.machines(found) == ("cpu (A CPU)", "cpu (Another, 4 cores)")
    assert comparable.notes([found]) == [
        "The times of one were measured on cpu (A CPU) and cpu (Another, 4 cores): compare only "
        "what stands in one table of latency, which is of one machine."
    ]
    assert comparable.versions(found) == ("Python 3.11.9", "torch 2.15.0")


def test_what_may_not_be_cited_is_said_first(page: Page) -> None:
    banner = page.prose.index("Screening: trained numbers that are not to be cited.")
    assert banner < page.prose.index("Table 1. All suites.")
    said = "small, 1 of 1 comparison: The code held changes that are in no commit."
    assert page.prose[banner:].startswith(
        f"Screening: trained numbers that are not to be cited. {said}"
    )
    assert "wide, 1 of 1" not in page.prose


def test_it_says_how_to_read_and_to_cite_and_where_it_is_from(page: Page) -> None:
    for heading in ("How to read", "How to cite", "Files and environment"):
        assert heading in page.prose
    for word in ("▲ higher", "≈ no practical difference", "? cannot tell", "✓ supported"):
        assert word in page.prose
    (figure,) = [a for a in page.all("svg") if a.get("class") == "example"]
    assert figure["role"] == "img"
    assert set((figure["aria-labelledby"] or "").split()) <= {*page.ids}
    assert (
        "cuda (A <b>GPU</b>); bf16; Python 3.12.1; torch 2.6.0; commit 3d688c5bd55e; engine 1; "
        "study wide-0a1b2c3d" in page.prose
    )
    assert re.search(r"ablate \d+\.\d+\.\d+\. tbl-index, data [0-9a-f]{8}", page.prose)


def test_links_lead_to_pages_that_are_there(page: Page, root: Path) -> None:
    hrefs = [attrs["href"] or "" for attrs in page.all("a")]
    assert "wide/index.html" in hrefs
    assert "claims.html" in hrefs
    assert not [href for href in hrefs if href.startswith("small")]  # it has no page yet
    for href in hrefs:
        file, _, anchor = href.partition("#")
        if file.startswith("wide/"):
            continue  # that is no real page here
        assert (root / "reports" / file).exists()
        assert not anchor or file or anchor in page.ids


def test_nothing_becomes_markup(page: Page) -> None:
    assert page.all("script") == []
    assert page.all("b") == [{"id": "tbl-index-title"}]  # not that of the GPU's name
    assert len(page.all("h1")) == 1
    assert len(page.all("caption")) == 1
    assert all("scope" in attrs for attrs in page.all("th"))
    for tag, attrs in page.elements:
        assert "src" not in attrs
        assert tag not in ("link", "img", "iframe", "object")
    assert len(set(page.ids)) == len(page.ids)


def test_the_same_records_give_the_same_bytes(root: Path, tmp_path: Path) -> None:
    (tmp_path / "wide").mkdir()
    (tmp_path / "wide" / "index.html").write_text("<p>its page</p>", encoding="utf-8")
    render_index(root / "runs", tmp_path)
    assert everything(tmp_path) == everything(root / "reports")
    # A page that comes to be is linked to.
    (tmp_path / "small").mkdir()
    (tmp_path / "small" / "index.html").write_text("<p>its page</p>", encoding="utf-8")
    again = read(render_index(root / "runs", tmp_path))
    assert "small/index.html" in [attrs["href"] for attrs in again.all("a")]
    assert study.suites(root / "runs") == ["count", "small", "wide"]
