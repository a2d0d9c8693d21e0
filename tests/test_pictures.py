"""Figures of pictures and spectra: every pixel as it was kept, every number from the arrays."""

import base64
import io
import re
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio
from small_records import record
from small_records import study as study_of
from small_runs import job, trained

from ablate import records
from ablate.evidence.collect import ComparisonEvidence, collect
from ablate.records import identity
from ablate.report.figures import Figure
from ablate.report.pictures import GAP, PANEL, Spectrum, pictures, spectra
from ablate.study import ComparisonAsked, DataUsed, Measure, Row

Array = np.ndarray[Any, Any]

SVG = "{http://www.w3.org/2000/svg}"


def upscaled(images: Array) -> Array:
    """Return images (n, h, w, c) of twice the size, every pixel as four."""
    return images.repeat(2, axis=1).repeat(2, axis=2)


def spectrum(residuals: Array) -> Array:
    """Return the mean power spectrum of (n, h, w, c), 4 pixels left out at each border."""
    inner = residuals[:, 4:-4, 4:-4].astype(np.float64)
    inner = inner - inner.mean(axis=(1, 2), keepdims=True)
    power = np.abs(np.fft.fft2(inner, axes=(1, 2))) ** 2 / (inner.shape[1] * inner.shape[2])
    return np.fft.fftshift(power.mean(axis=(0, 3))).astype(np.float32)


@dataclass
class Images:
    """Test images, and what networks of several kinds make of them."""

    side: int = 16  # of the inputs
    channels: int = 3
    count: int = 6

    def __post_init__(self) -> None:
        noise = np.random.RandomState(0)
        shape = (self.count, self.side, self.side, self.channels)
        coarse = noise.randint(40, 216, shape)
        fine = noise.randint(-30, 31, (self.count, 2 * self.side, 2 * self.side, self.channels))
        self.target = (upscaled(coarse) + fine).astype(np.uint8)
        cells = self.target.reshape(self.count, self.side, 2, self.side, 2, self.channels)
        self.input = cells.mean(axis=(2, 4)).round().astype(np.uint8)

    def arrays(self, strength: float, before: bool, salt: int = 0) -> dict[str, Array]:
        """Return what a trial keeps whose network leaves a checkerboard of some strength."""
        board = np.tile([[1.0, -1.0], [-1.0, 1.0]], (self.side, self.side))[None, :, :, None]
        noise = np.random.RandomState(salt).normal(0, 2, self.target.shape)
        output = upscaled(self.input) + strength * board + noise
        output = output.clip(0, 255).round().astype(np.uint8)
        kept = {
            "test_loss": np.zeros(self.count, np.float32),
            "final_pictures_input": self.input,
            "final_pictures_output": output,
            "final_pictures_target": self.target,
            "final_residual_spectrum": spectrum(output.astype(float) - self.target),
            "final_target_spectrum": spectrum(self.target.astype(float)),
        }
        if before:
            kept["initial_pictures_output"] = 255 - output
            kept["initial_residual_spectrum"] = spectrum(255.0 - output - self.target)
        return kept


def row(
    runs: Path, variant: str, trials: Mapping[int, dict[str, Array] | None], **changes: Any
) -> Row:
    """Write the records of a row by seed; None: a trial that failed."""
    ids = {}
    for seed, arrays in trials.items():
        spec = {"variant": variant, "seed": seed}
        ids[seed] = identity(spec)
        metrics = {
            "psnr": records.Measurement(value=21.5, unit="dB", title="PSNR", direction="higher")
        }
        ended: dict[str, Any] = {"metrics": metrics}
        if arrays is None:
            ended = {"metrics": {}, "status": "failed", "reason": "no memory"}
        elif changes.get("untrained"):
            ended["epochs"] = []
        records.write(runs, record(id=ids[seed], spec=spec, **ended), arrays)
    return Row(
        variant=variant,
        match=["none"],
        reference=None if variant in ("transposed", "bicubic") else "transposed",
        changes={},
        solved={},
        full_solved={},
        residual=None,
        full_residual=None,
        structure=[],
        config={},
        full_config={},
        trials=ids,
        facts="0" * 16,
        full_facts="0" * 16,
    )


def compared(runs: Path, *rows: Row, test: int = 6) -> ComparisonEvidence:
    """Return the evidence of one comparison as a page gets it."""
    asked = ComparisonAsked(
        id="upsample",
        title="Which upsampler?",
        table="tbl-s7-upsample",
        baseline=rows[0].variant,
        measure=Measure(name="psnr", title="PSNR", unit="dB", direction="higher", margin=0.1),
        data=DataUsed(
            name="patches",
            title="Photograph patches",
            digest="0f1e",
            requested="patches",
            sizes={"train": 100, "validation": 0, "test": test},
        ),
        rows=list(rows),
        claims=[],
    )
    (found,) = collect(runs, study_of(comparisons=[asked])).comparisons
    return found


IMAGES = Images()
FIRST = IMAGES.arrays(0, before=True)
OTHER = IMAGES.arrays(12, before=True, salt=1)
SECOND = IMAGES.arrays(20, before=True, salt=2)
PLAIN = IMAGES.arrays(0, before=True, salt=3)


@pytest.fixture(scope="module")
def comparison(tmp_path_factory: pytest.TempPathFactory) -> ComparisonEvidence:
    runs = tmp_path_factory.mktemp("runs")
    return compared(
        runs,
        row(runs, "transposed", {0: FIRST, 1: OTHER}),
        row(runs, "pixel_shuffle", {0: None, 1: SECOND}),
        row(runs, "bicubic", {0: PLAIN}, untrained=True),
        test=1200,
    )


@pytest.fixture(scope="module")
def shown(comparison: ComparisonEvidence) -> Figure:
    return made(pictures(comparison))


@pytest.fixture(scope="module")
def powers(comparison: ComparisonEvidence) -> Figure:
    return made(spectra(comparison))


def made(figure: Figure | None) -> Figure:
    assert figure is not None
    return figure


def embedded(markup: str) -> list[Array]:
    """Return the pictures in a figure's markup, in order, as (h, w, 4)."""
    found = re.findall(r'href="data:image/png;base64,\s*([^"]+)"', markup)
    files = (io.BytesIO(base64.b64decode(data)) for data in found)
    return [np.asarray(Image.open(file).convert("RGBA")) for file in files]


def words(markup: str) -> str:
    """Return all text in a figure's markup."""
    return " ".join(" ".join(ET.fromstring(markup).itertext()).split())


def description(markup: str) -> str:
    (found,) = re.findall(r"<desc [^>]*>(.*?)</desc>", markup)
    return str(found)


def psnr(output: Array, target: Array, border: int = 2) -> str:
    inner = slice(border, -border)
    ratio = peak_signal_noise_ratio(target[inner, inner], output[inner, inner], data_range=255)
    return f"{ratio:.2f} dB"


# --- where there is something to show -------------------------------------------------------------


def test_rows_that_keep_no_pictures_give_no_figure(tmp_path: Path) -> None:
    scores = {"test_correct": np.ones(6, bool)}
    found = compared(tmp_path, row(tmp_path, "transposed", {0: scores, 1: None}))
    assert pictures(found) is None
    assert spectra(found) is None


def test_a_row_without_a_finished_trial_is_named(tmp_path: Path) -> None:
    found = compared(
        tmp_path,
        row(tmp_path, "transposed", {0: FIRST}),
        row(tmp_path, "pixel_shuffle", {0: None}),
        row(tmp_path, "counted_only", {}),  # no trial was asked for
    )
    for figure in (made(pictures(found)), made(spectra(found))):
        assert figure.notes[-1] == (
            "Not shown, as no trial ended well that kept them: pixel shuffle (drop-in)."
        )
    assert len(made(pictures(found)).pictures) == 3  # input, target, transposed
    assert len(made(spectra(found)).pictures) == 2


def test_figures_have_permanent_ids_and_captions(shown: Figure, powers: Figure) -> None:
    assert (shown.id, shown.table) == ("fig-s7-upsample-pictures", "tbl-s7-upsample-runs")
    assert shown.title == "Test images: input, target, and what each row makes of the input"
    assert shown.notes == (
        "The first 3 of 1,200 test images (Photograph patches); every pixel is shown as a square.",
        "One column a row, from the lowest seed that ended well. Below each picture: its PSNR "
        "against the target, in 8 bits and without a border of 2 pixels.",
        "Last line: image 1 by the same network before its first step.",
        "So few pictures of one seed show what an effect looks like, not how large it is.",
    )
    assert (powers.id, powers.table) == ("fig-s7-upsample-spectra", "tbl-s7-upsample")
    assert powers.title == "Power spectra of the residuals, output − target, on the test images"
    assert powers.notes == (
        "Mean power over 1,000 test images (Photograph patches), their channels, and the seeds "
        "that ended well (1 to 2 seeds a row), without the images' borders. 0 dB: the mean power "
        "of the targets. All panels have one range of colours; the centre is empty, since the mean "
        "of each image is taken off.",
        "First panel: the targets themselves, the null. Rings: the lattice bins, half a cycle per "
        "pixel on either axis or both. A pattern that repeats every 2 pixels, as a checkerboard "
        "does, has all its power there: a peak that the targets lack is the network's own. White "
        "noise has 0.52 % of its power there.",
    )


# --- pictures -------------------------------------------------------------------------------------


def test_every_column_holds_the_pictures_as_they_were_kept(shown: Figure) -> None:
    wanted = [
        [*IMAGES.input[:3]],
        [*IMAGES.target[:3]],
        [*FIRST["final_pictures_output"][:3], FIRST["initial_pictures_output"][0]],
        [*SECOND["final_pictures_output"][:3], SECOND["initial_pictures_output"][0]],
        [*PLAIN["final_pictures_output"][:3]],  # never trained: there is no "before"
    ]
    for markup, images in zip(shown.pictures, wanted, strict=True):
        found = embedded(markup)
        assert len(found) == len(images)
        for picture, image in zip(found, images, strict=True):
            np.testing.assert_array_equal(picture[..., :3], image)
            assert (picture[..., 3] == 255).all()


def test_columns_say_what_they_are(shown: Figure) -> None:
    given, wanted, first, second, plain = map(words, shown.pictures)
    assert "Input 16 × 16 pixels image 1 image 2 image 3" in given
    assert "Target 32 × 32 pixels image 1 image 2 image 3" in wanted
    assert "transposed (baseline) after training, seed 0 image 1: " in first
    assert "pixel shuffle (drop-in) after training, seed 1 image 1: " in second  # seed 0 failed
    assert "not trained image 1: " in plain
    assert ["before training" in column for column in (given, wanted, first, second, plain)] == [
        False, False, True, True, False
    ]  # fmt: skip


def test_columns_give_the_psnr_of_their_pictures(shown: Figure) -> None:
    for markup, kept, beginning in (
        (shown.pictures[2], FIRST, "After training, seed 0. "),
        (shown.pictures[3], SECOND, "After training, seed 1. "),
        (shown.pictures[4], PLAIN, "Not trained. "),
    ):
        after = [
            psnr(*pair) for pair in zip(kept["final_pictures_output"], IMAGES.target, strict=True)
        ]
        before = psnr(kept["initial_pictures_output"][0], IMAGES.target[0])
        said = (
            f"{beginning}PSNR against the target: {after[0]} for image 1, {after[1]} for image 2 "
            f"and {after[2]} for image 3."
        )
        if kept is not PLAIN:
            said += f" Before training: {before} for image 1."
        assert description(markup) == said
        for at in range(3):
            assert f"image {at + 1}: {after[at]}" in words(markup)
    assert description(shown.pictures[0]) == "Test images 1, 2 and 3, 16 × 16 pixels."
    assert description(shown.pictures[1]) == "Test images 1, 2 and 3, 32 × 32 pixels."


def test_pixels_on_the_page_are_squares_of_whole_pixels(shown: Figure) -> None:
    for at, markup in enumerate(shown.pictures):
        svg = ET.fromstring(markup)
        assert svg.attrib["style"].startswith("width:160px;max-width:100%;")
        wide = float(svg.attrib["viewBox"].split()[2])
        images = list(svg.iter("image"))
        assert len(images) in (3, 4)
        for image in images:
            assert "image-rendering:pixelated" in image.attrib["style"]
            a, b, c, d, left, top = (
                float(number) * 160 / wide
                for number in image.attrib["transform"].removeprefix("matrix(")[:-1].split()
            )
            assert (b, c) == (0, 0)
            side = 10 if at == 0 else 5  # CSS pixels; an input pixel is as large as four
            assert (a, abs(d)) == pytest.approx((side, side), abs=1e-4)
            assert (left, top) == pytest.approx((round(left), round(top)), abs=1e-3)


def test_pixels_of_the_png_file_are_squares_of_whole_pixels(shown: Figure) -> None:
    sheet = np.asarray(Image.open(io.BytesIO(shown.files["png"])).convert("RGB"))
    columns = [
        upscaled(IMAGES.input)[:3],
        IMAGES.target[:3],
        FIRST["final_pictures_output"][:3],
        SECOND["final_pictures_output"][:3],
        PLAIN["final_pictures_output"][:3],
    ]
    places = []
    for at, images in enumerate(columns):
        left = 2 * at * (PANEL + GAP)
        strip = sheet[:, left : left + 320]
        for image in images:
            large = image.repeat(10, axis=0).repeat(10, axis=1)
            first = [y for y in range(len(strip) - 319) if (strip[y] == large[0]).all()]
            found = [y for y in first if (strip[y : y + 320] == large).all()]
            assert len(found) == 1
            places.append(found[0])
    assert places == places[:3] * 5  # what belongs together stands on one line
    assert places[0] < places[1] < places[2]


def test_one_channel_is_grey(tmp_path: Path) -> None:
    images = Images(channels=1)
    kept = images.arrays(5, before=True)
    found = compared(tmp_path, row(tmp_path, "transposed", {0: kept}))
    panels = made(pictures(found)).pictures
    for markup, name in zip(panels, ("input", "target", "output"), strict=True):
        grey = kept[f"final_pictures_{name}"][0]
        np.testing.assert_array_equal(embedded(markup)[0][..., :3], grey.repeat(3, axis=2))
    assert psnr(kept["final_pictures_output"][0], images.target[0]) in description(panels[2])
    assert len(made(spectra(found)).pictures) == 2


def test_of_large_pictures_the_middle_is_shown(tmp_path: Path) -> None:
    images = Images(side=37)
    kept = images.arrays(5, before=False)
    figure = made(pictures(compared(tmp_path, row(tmp_path, "transposed", {0: kept}))))
    given, wanted, ours = (embedded(markup)[0][..., :3] for markup in figure.pictures)
    np.testing.assert_array_equal(given, images.input[0, 2:34, 2:34])
    np.testing.assert_array_equal(wanted, images.target[0, 4:68, 4:68])
    np.testing.assert_array_equal(ours, kept["final_pictures_output"][0, 4:68, 4:68])
    assert figure.notes[1] == (
        "Of 74 × 74 pixels the middle 64 × 64 are shown, and as much of the input."
    )
    # Of all of it, like the metric.
    assert psnr(kept["final_pictures_output"][0], images.target[0]) in description(
        figure.pictures[2]
    )
    assert "before" not in " ".join(figure.notes)  # not kept


def test_a_picture_that_meets_its_target_has_no_psnr(tmp_path: Path) -> None:
    kept = FIRST | {"final_pictures_output": IMAGES.target}
    kept["final_residual_spectrum"] = np.zeros((24, 24), np.float32)
    found = compared(tmp_path, row(tmp_path, "transposed", {0: kept}))
    assert "no difference for image 1" in description(made(pictures(found)).pictures[2])
    assert description(made(spectra(found)).pictures[1]) == "Seed 0: no power at all."


def test_few_images_are_all_shown(tmp_path: Path) -> None:
    kept = Images(count=1).arrays(5, before=True)
    figure = made(pictures(compared(tmp_path, row(tmp_path, "transposed", {0: kept}), test=1)))
    assert [len(embedded(markup)) for markup in figure.pictures] == [1, 1, 2]
    assert figure.notes[0] == (
        "The first test image (Photograph patches); every pixel is shown as a square."
    )
    assert description(figure.pictures[0]) == "Test image 1, 16 × 16 pixels."


# --- spectra --------------------------------------------------------------------------------------


def test_the_lattice_has_the_share_that_the_phases_have() -> None:
    """Parseval: the variance of the four phases' means over that of all pixels, for one channel."""
    image = IMAGES.arrays(9, before=False)["final_pictures_output"][:1, :, :, :1].astype(float)
    inner = image[0, 4:-4, 4:-4, 0]
    means = [inner[y::2, x::2].mean() for y in (0, 1) for x in (0, 1)]
    found = Spectrum("", "", (), spectrum(image).astype(float))
    assert found.share == pytest.approx(np.var(means) / inner.var(), rel=1e-5)


def test_white_noise_has_its_share_of_the_lattice() -> None:
    noise = np.random.RandomState(0).normal(size=(4000, 16, 20, 1))
    found = Spectrum("", "", (), spectrum(noise).astype(float))  # of 8 x 12 pixels
    assert found.of_noise == 3 / 95
    assert found.share == pytest.approx(found.of_noise, rel=0.03)


def test_a_checkerboard_is_all_lattice() -> None:
    board = np.tile([[1.0, -1.0], [-1.0, 1.0]], (8, 8))[None, :, :, None]
    stripes = np.tile([[1.0, -1.0], [1.0, -1.0]], (8, 8))[None, :, :, None]
    both = spectrum(board).astype(float), spectrum(stripes).astype(float)
    assert [Spectrum("", "", (), power).share for power in both] == pytest.approx([1, 1])
    assert Spectrum("", "", (), np.zeros((8, 8))).share == 0


def heat_maps(figure: Figure) -> list[Array]:
    """Return the spectra in a figure's panels, without their bars of colours."""
    return [
        next(image for image in embedded(markup) if image.shape[:2] == (25, 25))
        for markup in figure.pictures
    ]


def coloured(null: Array, *powers: Array) -> list[Array]:
    """Return the colours of spectra (24, 24) in one range, 80 dB at most, as (25, 25, 4)."""
    elsewhere = np.ones((24, 24), bool)
    elsewhere[12, 12] = False
    zero = null[elsewhere].mean(dtype=np.float64)
    levels = [10 * np.log10(power.astype(float) / zero + 1e-99) for power in (null, *powers)]
    every = np.concatenate([level[elsewhere] for level in levels])
    low, high = max(every.min(), every.max() - 80), every.max()
    colours = matplotlib.colormaps["viridis"](np.arange(256), bytes=True)
    shades = [(256 * (level - low) / (high - low)).clip(0, 255).astype(int) for level in levels]
    # The first row and column come again at the far end.
    return [colours[np.pad(shade, ((0, 1), (0, 1)), mode="wrap")] for shade in shades]


def test_panels_have_the_powers_in_one_range_of_colours(powers: Figure) -> None:
    ours = (FIRST["final_residual_spectrum"] + OTHER["final_residual_spectrum"].astype(float)) / 2
    wanted = coloured(
        FIRST["final_target_spectrum"],
        ours,
        SECOND["final_residual_spectrum"],
        PLAIN["final_residual_spectrum"],
    )
    for found, expected in zip(heat_maps(powers), wanted, strict=True):
        assert np.abs(found.astype(int) - expected).max() <= 6  # the shade beside, by rounding


def test_what_is_far_below_the_rest_does_not_stretch_the_colours(tmp_path: Path) -> None:
    deep = FIRST["final_residual_spectrum"].copy()
    deep[3, 5] = 1e-30
    kept = FIRST | {"final_residual_spectrum": deep}
    figure = made(spectra(compared(tmp_path, row(tmp_path, "transposed", {0: kept}))))
    wanted = coloured(FIRST["final_target_spectrum"], deep)
    for found, expected in zip(heat_maps(figure), wanted, strict=True):
        assert np.abs(found.astype(int) - expected).max() <= 6


def test_panels_say_what_they_show(powers: Figure) -> None:
    ours = (FIRST["final_residual_spectrum"] + OTHER["final_residual_spectrum"].astype(float)) / 2
    null = FIRST["final_target_spectrum"].astype(float)
    zero = (null.sum() - null[12, 12]) / 575
    for markup, power, name, whose in (
        (powers.pictures[0], null, "Targets", "The targets themselves"),
        (powers.pictures[1], ours, "transposed (baseline)", "Mean over seeds 0 and 1"),
        (
            powers.pictures[2],
            SECOND["final_residual_spectrum"].astype(float),
            "pixel shuffle (drop-in)",
            "Seed 1",
        ),
    ):
        lattice = power[0, 0] + power[0, 12] + power[12, 0]
        share = f"{100 * lattice / (power.sum() - power[12, 12]):.2f} %"
        rest = np.delete(power.ravel(), 12 * 24 + 12)
        ends = [f"{10 * np.log10(end / zero):.1f} dB" for end in (rest.min(), rest.max())]
        assert description(markup) == (
            f"{whose}: {share} of the power at the lattice bins (white noise: 0.52 %); "
            f"from {ends[0]} to {ends[1]}."
        ).replace("-", "−")
        text = words(markup)
        assert name in text
        assert f"lattice bins: {share} of the power" in text
        assert text.count("cycles per pixel") == 2
        assert "power (dB)" in text


# --- on the page and elsewhere --------------------------------------------------------------------


def test_the_same_records_give_the_same_bytes(
    comparison: ComparisonEvidence, shown: Figure, powers: Figure
) -> None:
    settings = {"font.size": 20, "image.interpolation": "bicubic", "image.cmap": "hot"}
    with matplotlib.rc_context(settings):  # whatever the user's are
        again = made(pictures(comparison)), made(spectra(comparison))
    for before, after in zip((shown, powers), again, strict=True):
        assert before.pictures == after.pictures
        assert before.files == after.files
        assert set(before.files) == {"svg", "pdf", "png"}


def test_figures_fit_into_one_page(shown: Figure, powers: Figure) -> None:
    drawings = [markup for figure in (shown, powers) for markup in figure.pictures]
    ids = re.findall(r' id="([^"]+)"', "".join(drawings))
    assert len(ids) == len(set(ids))
    for markup in drawings:
        assert "#0101" not in markup  # the page's own colours, which a text has by itself
        assert "#1b1b1b" not in markup
        assert "<metadata" not in markup
        assert "<style" not in markup
        (labels,) = re.findall(r'role="img" aria-labelledby="([^"]+)"', markup)
        assert all(f'id="{id}"' in markup for id in labels.split())
        for reference in re.findall(r'href="([^"]+)"', markup):
            assert reference.startswith(("data:image/png;base64,", "#"))


def test_exported_figures_hold_no_text_and_no_date(shown: Figure, powers: Figure) -> None:
    for figure in (shown, powers):
        svg = figure.files["svg"].decode()
        assert ET.fromstring(svg).tag == f"{SVG}svg"
        assert "<text" not in svg
        assert "<dc:date>" not in svg
        assert b"CreationDate" not in figure.files["pdf"]
        assert figure.files["pdf"].startswith(b"%PDF")


def test_names_are_text_and_nothing_else(tmp_path: Path) -> None:
    name = "<b>$x$ & {style} with many words that need lines"
    found = compared(tmp_path, row(tmp_path, name, {0: FIRST}))
    for figure in (made(pictures(found)), made(spectra(found))):
        assert all("<b>" not in markup for markup in figure.pictures)
        # Cut where names are cut in all figures, over several lines.
        assert "<b>$x$ & {style} with many words that need" in words(figure.pictures[-1])


# --- of a real trial ------------------------------------------------------------------------------


def test_what_a_trial_keeps_is_what_is_drawn(tmp_path: Path, one_thread: None) -> None:
    targets = iter(Images(side=12, count=32).target)
    for split, count in (("train", 12), ("test", 4)):
        for name in ("first", "second"):
            folder = tmp_path / "images" / split / name
            folder.mkdir(parents=True)
            for at in range(count):
                Image.fromarray(next(targets)).save(folder / f"{at}.png")
    networks: dict[str, dict[str, Any]] = {
        "transposed": {
            "family": "post_upsampling",
            "layers": [4],
            "up": {"kind": "transposed", "kernel": 2},
        },
        "bicubic": {"family": "interpolation"},
    }
    kept, rows = [], []
    for name, network in networks.items():
        asked = job(
            tmp_path / "images", tmp_path / "runs", network=network, task="super_resolution"
        )
        trial = trained(asked)
        assert trial.status == "ok", trial.reason
        kept.append(trial)
        rows.append(row(tmp_path / "runs", name, {}).model_copy(update={"trials": {0: trial.id}}))
    found = compared(tmp_path / "runs", *rows, test=8)
    shown, powers = made(pictures(found)), made(spectra(found))
    assert [len(embedded(markup)) for markup in shown.pictures] == [3, 3, 4, 3]
    for markup, trial in zip(shown.pictures[2:], kept, strict=True):
        numbers = [float(n) for n in re.findall(r"([\d.]+) dB for image", description(markup))]
        # The metric takes outputs that are not rounded to 8 bits.
        np.testing.assert_allclose(numbers[:3], trial.arrays["test_psnr"][:3], atol=0.05)
    assert "Not trained." in description(shown.pictures[3])
    assert shown.notes[0].startswith("The first 3 of 8 test images")
    assert powers.notes[0].startswith("Mean power over 8 test images")
    # One image's lattice is its phase variance; of several it is near their mean.
    (share,) = re.findall(r": ([\d.]+) % of the power", description(powers.pictures[0]))
    assert float(share) == pytest.approx(
        100 * kept[0].arrays["test_target_phase_variance"].mean(), rel=0.3
    )
