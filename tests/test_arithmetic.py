"""The suite `arithmetic`: its verdicts against loops in numpy, never against the code under test.

What is recomputed here knows nothing of torch: windows are slid, taps are followed back to the
pixels that they see, and weights are counted, one after another.
"""

from collections.abc import Iterator
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ablate import commands, study
from ablate.cli import Exit
from ablate.evidence.collect import collect
from ablate.evidence.verdicts import Verdict, judge
from ablate.suite.request import Request

SUITE = Path(__file__).parent.parent / "suites" / "arithmetic.yaml"
Array = NDArray[np.float64]
KERNEL = np.arange(1.0, 10.0).reshape(3, 3)
Window = tuple[int, int, int, int]  # kernel, stride, padding, dilation


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory: pytest.TempPathFactory) -> list[Verdict]:
    """All verdicts of the suite, from one real run of it."""
    place = tmp_path_factory.mktemp("arithmetic")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        patch.setenv("ABLATE_DATA", str(place / "no data"))
        asked = Request(str(SUITE), "full")
        done = commands.run(asked, "cpu", Path("runs"), Path("reports"), "1", None, False)
        assert done == Exit.OK
        assert not (place / "runs" / "trials").exists()
        assert not (place / "no data").exists()  # nothing was fetched
        made = study.newest(Path("runs"), "arithmetic")
        assert made is not None
        return list(judge(collect(Path("runs"), made)))


class Said:
    """Finds verdicts by comparison, note and a part of what the note says."""

    def __init__(self, found: list[Verdict]) -> None:
        self.found = found

    def __call__(self, comparison: str, note: str, says: str = "", **claim: Any) -> Verdict:
        [one] = [
            it
            for it in self.found
            if (it.comparison, it.claim["note"]) == (comparison, note)
            and says in str(it.claim["says"])
            and all(it.claim.get(key) == value for key, value in claim.items())
        ]
        return one


@pytest.fixture(scope="module")
def said(verdicts: list[Verdict]) -> Said:
    return Said(verdicts)


def check(verdict: Verdict, word: str, *numbers: str) -> None:
    assert verdict.word == word
    for number in numbers:
        assert number in verdict.sentence


# --- recomputed -----------------------------------------------------------------------------------


def places(size: int, window: Window) -> list[int]:
    """Return where a window begins at each of its steps over a row of so many pixels."""
    kernel, stride, padding, dilation = window
    last = size + padding - dilation * (kernel - 1)
    return list(range(-padding, last, stride))


def size_after(size: int, windows: list[Window]) -> list[int]:
    """Return how many steps each of several windows has, one after another."""
    sizes = [size]
    for window in windows:
        sizes.append(len(places(sizes[-1], window)))
    return sizes[1:]


def sees(windows: list[Window]) -> int:
    """Return the pixels from the first to the last that one output sees, followed tap by tap."""
    seen = {0}
    for kernel, stride, _, dilation in reversed(windows):
        seen = {at * stride + tap * dilation for at in seen for tap in range(kernel)}
    return max(seen) - min(seen) + 1


def weights(outputs: int, inputs: int, kernel: tuple[int, int]) -> int:
    """Count the weights of a convolution."""
    return sum(1 for _ in product(range(outputs), range(inputs), *map(range, kernel)))


def convolved(
    image: Array, kernels: Array, stride: int = 1, padding: int = 0, dilation: int = 1
) -> tuple[Array, int]:
    """Return a convolution of (c, h, w) with (out, c, k, k), and its multiplications."""
    _, height, width = image.shape
    outputs, inputs, side, _ = kernels.shape
    window = (side, stride, padding, dilation)
    rows, columns = places(height, window), places(width, window)
    found = np.zeros((outputs, len(rows), len(columns)))
    count = 0
    for out, (i, top), (j, left) in product(range(outputs), enumerate(rows), enumerate(columns)):
        for channel, a, b in product(range(inputs), range(side), range(side)):
            row, column = top + dilation * a, left + dilation * b
            count += 1
            if 0 <= row < height and 0 <= column < width:
                found[out, i, j] += kernels[out, channel, a, b] * image[channel, row, column]
    return found, count


def scattered(image: Array, kernel: Array, stride: int) -> tuple[Array, int]:
    """Return a transposed convolution of (h, w): each pixel's kernel, summed where they overlap."""
    side, (height, width) = len(kernel), image.shape
    found = np.zeros(((height - 1) * stride + side, (width - 1) * stride + side))
    count = 0
    for i, j, a, b in product(range(height), range(width), range(side), range(side)):
        found[i * stride + a, j * stride + b] += image[i, j] * kernel[a, b]
        count += 1
    return found, count


def noise(*shape: int) -> Array:
    return np.random.default_rng(7).standard_normal(shape)


def conv3(stride: int = 1, dilation: int = 1) -> Window:
    return (3, stride, 0, dilation)


BOARD: list[Window] = [conv3(), conv3(2), conv3(), (2, 2, 0, 1), conv3(2), conv3()]


# --- shapes and counts ----------------------------------------------------------------------------


def test_every_claim_is_decided(verdicts: list[Verdict]) -> None:
    assert len(verdicts) >= 140
    undecided = {"inconclusive", "invalid", "not tested", "supported in direction"}
    assert undecided.isdisjoint(it.word for it in verdicts)
    refuted = [it.claim["note"] for it in verdicts if it.word == "refuted"]
    of_values = ["B:148", "B:37b", *["B:108"] * 2, *["B:22"] * 3, *["D:119"] * 2]  # test_values.py
    assert sorted(refuted) == sorted(
        ["B:155", "A:img1", "B:60", "A:87", "B:137", "B:137", "A:43", "C:36", "D:28", *of_values]
    )
    assert len({it.claim["note"] for it in verdicts}) >= 70


def test_16_channels_to_32(said: Said) -> None:
    normal, depthwise = weights(32, 16, (3, 3)), weights(16, 1, (3, 3))
    separable = depthwise + weights(32, 16, (1, 1))
    [side] = size_after(100, [conv3()])
    assert (normal, separable, side) == (4608, 656, 98)
    check(said("separable", "D:59", metric="params"), "supported", f"{normal:,}")
    for metric, number in (("height", side), ("width", side), ("channels", 32)):
        check(said("separable", "D:59", metric=f"output_shape.{metric}"), "supported", str(number))
    check(said("separable", "D:65", "656"), "supported", str(separable))
    check(said("separable", "C:171", of="separable"), "supported", str(separable))
    ratio = f"{normal / separable:.2f} times"
    check(said("separable", "D:57"), "supported", ratio)
    pixels = side * side
    check(
        said("separable", "C:156"), "supported", f"{normal * pixels:,}", f"{separable * pixels:,}"
    )
    check(said("separable", "B:154"), "supported")
    with_norm = normal + 2 * 32  # a scale and a shift for each channel
    check(said("separable", "B:155"), "refuted", f"{with_norm:,}")


def test_eight_times_and_nine_times(said: Said) -> None:
    sweep = said("eight-or-nine", "A:113")
    channels = [int(value) for value in sweep.claim["over"]["network.width"]]
    times = {
        c: weights(c, c, (3, 3)) / (weights(c, 1, (3, 3)) + weights(c, c, (1, 1)))
        for c in channels
        if c <= 256  # more would be counted for long; the closed form is of the same two counts
    }
    times |= {c: 9 * c * c / (9 * c + c * c) for c in channels if c > 256}
    eight = [c for c in channels if 7.2 <= times[c] <= 8.8]
    nine = [c for c in channels if 8.1 <= times[c] <= 9.9]
    check(sweep, "depends", f"at {len(eight)} of 8 widths, from {eight[0]} to {eight[-1]}")
    check(
        said("eight-or-nine", "B:60"), "depends", f"at {len(nine)} of 8 widths, from {nine[0]} on"
    )
    held = [", ".join(map(str, them[:-1])) + f" and {them[-1]}" for them in (eight, nine)]
    both = f"A:113 holds at width {held[0]}; B:60 holds at width {held[1]}."
    check(sweep, "depends", f"Contradicts B:60, which depends: {both}")
    assert f"{times[16]:.2f} times at 16, {times[1024]:.2f} times at 1024" in sweep.sentence


def test_the_ratio_on_the_board_is_not_as_printed(said: Said) -> None:
    normal, depthwise = weights(512, 256, (3, 3)), weights(256, 1, (3, 3))
    times = normal / (depthwise + weights(512, 256, (1, 1)))
    assert round(times, 1) != 8.5
    check(said("board", "A:img1"), "refuted", f"{times:.2f} times", "8.45 to 8.55 times")
    check(said("board", "B:60"), "refuted", f"{normal / depthwise:.1f} times")


def test_a_1x1_of_28x28(said: Said) -> None:
    found, _ = convolved(noise(192, 2, 2), noise(32, 192, 1, 1))
    assert found.shape == (32, 2, 2)
    [side] = size_after(28, [(1, 1, 0, 1)])
    check(said("pointwise", "A:img2", metric="output_shape.channels"), "supported", "32")
    check(said("pointwise", "A:img2", metric="output_shape.height"), "supported", str(side))
    check(said("pointwise", "A:47"), "supported", "of pointwise 32, of untouched 192")


def test_4_3_and_5_3_and_how_to_get_7(said: Said) -> None:
    image, kernel = noise(1, 5, 5), KERNEL[None, None]
    assert convolved(image[:, :4, :4], kernel)[0].shape == (1, 2, 2)
    check(said("four-three", "E:6"), "supported", "is 2")
    assert convolved(image, kernel)[0].shape == (1, 3, 3)
    check(said("five-three", "E:6"), "supported", "is 3")
    check(said("five-three", "C:126", "we get 3x3"), "supported", "is 3")
    padded, work = convolved(image, kernel, padding=2)
    spread, less = scattered(image[0], KERNEL, 1)
    assert padded.shape[1:] == spread.shape == (7, 7)
    np.testing.assert_allclose(spread, convolved(image, kernel[..., ::-1, ::-1], padding=2)[0][0])
    check(said("five-three", "A:97"), "supported", "is 7")
    for note in ("A:99", "C:128"):
        check(said("five-three", note), "supported", f"padded 2 {work}", f"transposed {less}")
    assert convolved(image, kernel, padding=1)[0].shape == (1, 5, 5)
    check(said("five-three", "D:111", "half"), "supported", "is 5")
    dilated = [convolved(image, kernel, padding=p, dilation=2)[0].shape[1] for p in (1, 2)]
    assert dilated == [3, 5]
    check(said("five-three", "A:87", "In pytorch"), "refuted", "dilated 3", "padded 1 5")
    check(said("five-three", "A:87", "padded"), "supported", "dilated 2 5")


def test_larger_strides_spread_further(said: Said) -> None:
    sides = [len(scattered(noise(5, 5), KERNEL, stride)[0]) for stride in (1, 2, 3, 4)]
    assert all(before < after for before, after in pairwise(sides))
    check(said("five-three", "D:47"), "supported", f"from {sides[0]} to {sides[3]}")
    check(said("five-three", "B:49"), "supported", f"from {sides[1]} to {sides[3]}")


def test_a_stride_and_a_pooling_give_the_same_size_for_a_quarter_of_the_work(said: Said) -> None:
    [strided] = size_after(112, [(3, 2, 1, 1)])
    whole, pooled = size_after(112, [(3, 1, 1, 1), (2, 2, 0, 1)])
    assert strided == pooled == 56
    check(said("reduce", "B:35"), "supported", f"{128 * 56 * 56:,}")
    work = [weights(128, 64, (3, 3)) * side**2 for side in (whole, strided)]
    check(said("reduce", "B:41"), "supported", f"{work[0]:,}", f"{work[1]:,}", "4.00 times")


def test_addition_or_concatenation(said: Said) -> None:
    one, other = noise(512, 1, 1), noise(512, 1, 1)
    ahead = len(np.concatenate([one, other])) - len(one + other)
    check(said("join", "A:147", metric="output_shape.channels"), "answered", f"by {ahead}")
    more = weights(512, ahead, (3, 3))
    check(said("join", "A:147", metric="params"), "answered", f"by {more:,}")


def test_groups(said: Said) -> None:
    work = {g: weights(64, 64 // g, (3, 3)) * 32 * 32 for g in (1, 64)}
    check(said("grouped", "C:184b", "main"), "supported", f"from {work[1]:,} to {work[64]:,}")
    check(said("grouped", "C:184b", of="normal/grouped"), "supported", "4.00 times")


def test_one_row_and_one_column(said: Said) -> None:
    assert [weights(1, 1, k) for k in ((3, 3), (3, 1), (1, 3))] == [9, 3, 3]
    check(said("spatially-separable", "A:129", metric="params"), "supported", "rows 6", "1.50")
    check(said("spatially-separable", "D:101", metric="params"), "supported", "14", "49")
    check(said("spatially-separable", "D:101", metric="receptive_field"), "supported", "7 px")


# --- receptive fields -----------------------------------------------------------------------------


def test_the_calculation_on_the_board(said: Said) -> None:
    sizes = size_after(112, BOARD)
    fields = [sees(BOARD[: n + 1]) for n in range(6)]
    assert fields == [3, 5, 9, 11, 19, 35]
    variants = ["first", "first_2", "first_3", "first_4", "first_5", "all_6"]
    printed = [110, 55, 53, 26, 12, 10]
    for variant, field, size, claimed in zip(variants, fields, sizes, printed, strict=True):
        check(
            said("calculation", "B:137", metric="receptive_field", of=variant),
            "supported", f"is {field} px",
        )  # fmt: skip
        word = "supported" if size == claimed else "refuted"
        check(
            said("calculation", "B:137", metric="output_shape.height", of=variant),
            word, f"is {size}",
        )  # fmt: skip
    assert [size for size, claimed in zip(sizes, printed, strict=True) if size != claimed] == [
        54, 52,
    ]  # fmt: skip


def test_what_sees_how_far(said: Said) -> None:
    one, two, five = sees([conv3()]), sees([conv3(), conv3()]), sees([(5, 1, 0, 1)])
    dilated, dilated_4 = sees([conv3(1, 2)]), sees([conv3(1, 4)])
    check(said("see-5x5", "C:71"), "supported", f"is {one} px")
    check(said("see-5x5", "A:43"), "refuted", f"is {one} px")
    check(said("see-5x5", "C:61"), "supported", f"two 3x3 {two} px, of one 5x5 {five} px")
    check(said("see-5x5", "D:16", metric="receptive_field"), "supported", f"dilated {dilated} px")
    check(said("see-5x5", "D:16", metric="params"), "supported", f"are {weights(1, 1, (3, 3))}")
    check(said("see-5x5", "D:7", "k=2"), "supported", f"is {dilated} px")
    check(said("see-5x5", "D:7", "k=4"), "supported", f"is {dilated_4} px")
    check(said("see-5x5", "C:73"), "answered", "one 5x5 by 16", "two 3x3 by 9")


def test_doubling_dilations(said: Said) -> None:
    layers = [conv3(1, dilation) for dilation in (1, 2, 4, 8, 16)]
    first, last = sees(layers[:1]), sees(layers)
    assert [sees(layers[: n + 1]) for n in range(5)] == [2 ** (n + 2) - 1 for n in range(5)]
    check(said("doubling", "C:82", "(global view)"), "supported", f"{first} px to {last} px")
    check(said("doubling", "C:82", "… exponentially"), "supported", f"is {last} px")
    counted = 5 * weights(1, 1, (3, 3))
    check(said("doubling", "C:82", "linear"), "supported", f"{counted} against {counted} at 5")
    wave = [(2, 1, 0, dilation) for dilation in (1, 2, 4, 8)]
    check(said("sequence", "A:93"), "supported", f"is {sees(wave)} px")


def test_a_stride_is_felt_in_the_layers_after_it(said: Said) -> None:
    assert sees([conv3(2)]) == sees([conv3()])
    check(said("stride", "A:45", "no change"), "supported", "3 px")
    strided, plain = sees([conv3(2), conv3(), conv3()]), sees([conv3()] * 3)
    after = f"strided {strided} px, of plain {plain} px"
    check(said("stride", "A:45", "consecutive"), "supported", after)
    check(said("stride", "B:33"), "supported", f"{strided / plain:.2f} times")
    pooled = [conv3(), conv3(), (2, 2, 0, 1)] * 3 + [conv3(), conv3()]
    for note in ("C:119b", "C:201"):
        check(said("whole-image", note), "supported", f"found {sees(pooled)} px")


# --- equal functions ------------------------------------------------------------------------------


def test_the_worked_example_is_not_as_printed(said: Said) -> None:
    image = np.array(
        [[2, 2, 3, 3, 3], [0, 1, 3, 0, 3], [2, 3, 0, 1, 3], [3, 3, 2, 1, 2], [3, 3, 0, 2, 3]], float
    )
    kernel = np.array([[2, 0, 1], [1, 0, 0], [0, 1, 1]], float)
    found, _ = convolved(image[None], kernel[None, None], stride=2, padding=1)
    assert found[0].tolist() == [[1, 5, 6], [7, 8, 3], [3, 10, 4]]
    printed = np.array([[1, 6, 5], [7, 10, 9], [7, 10, 8]])
    apart = np.abs(found[0] - printed).max() / max(found.max(), printed.max())
    check(said("worked", "C:36", "recomputed"), "supported")
    check(said("worked", "C:36", "1 6 5"), "refuted", f"{100 * apart:.0f} %")


def test_a_dilated_kernel_is_one_with_zeros_in_it(said: Said) -> None:
    stuffed = np.zeros((5, 5))
    stuffed[::2, ::2] = KERNEL
    image = noise(1, 9, 9)
    one, _ = convolved(image, KERNEL[None, None], dilation=2)
    other, _ = convolved(image, stuffed[None, None])
    np.testing.assert_array_equal(one, other)
    for note in ("A:63", "D:5", "D:6", "D:16b"):
        check(said("dilated-kernel", note), "supported", "compute the same")


def test_a_transposed_convolution_spreads_and_does_not_undo(said: Said) -> None:
    image = noise(5, 5)
    apart = np.zeros((1, 9, 9))
    apart[0, ::2, ::2] = image
    slid, _ = convolved(apart, KERNEL[None, None, ::-1, ::-1], padding=2)
    np.testing.assert_allclose(scattered(image, KERNEL, 2)[0], slid[0])
    for note in ("A:95", "A:103", "B:52"):
        check(said("transposed", note), "supported", "compute the same")
    back, _ = scattered(convolved(image[None], KERNEL[None, None])[0][0], KERNEL, 1)
    assert back.shape == image.shape
    assert np.abs(back - image).max() > 1
    check(said("transposed", "D:28"), "refuted", "differ by")


def parts() -> Iterator[tuple[Array, Array, Array]]:
    """Yield what each of two paths of a ResNeXt block has: 1x1, 2x2 and 1x1 kernels."""
    first, middle = np.array([[1.0, 2], [3, 4]]), np.arange(1.0, 9).reshape(2, 2, 2)
    last = np.array([[5.0, 6], [7, 8]])
    for path in range(2):
        yield (
            first[path].reshape(1, 2, 1, 1),
            middle[path].reshape(1, 1, 2, 2),
            last[:, path].reshape(2, 1, 1, 1),
        )


def test_groups_are_paths(said: Said) -> None:
    image = noise(2, 6, 6)
    paths = list(parts())
    # Grouped, as one loop over all channels: zeros wherever a kernel would look into another group.
    grouped = np.zeros((2, 2, 2, 2))
    for path, (_, kernel, _) in enumerate(paths):
        grouped[path, path] = kernel[0, 0]
    one, _ = convolved(image, grouped)
    apart = [convolved(image[n : n + 1], kernel)[0] for n, (_, kernel, _) in enumerate(paths)]
    np.testing.assert_allclose(one, np.concatenate(apart))
    for note in ("A:123", "B:68"):
        check(said("parallel", note), "supported", "paths and grouped compute the same")

    def through(*kernels: Array) -> Array:
        found = image
        for kernel in kernels:
            found, _ = convolved(found, kernel)
        return found

    reduced = np.concatenate([first for first, _, _ in paths])
    widened = np.concatenate([last for _, _, last in paths], axis=1)
    block = through(reduced, grouped, widened)
    np.testing.assert_allclose(block, sum(through(*path) for path in paths))
    both = np.concatenate([through(first, middle) for first, middle, _ in paths])
    np.testing.assert_allclose(block, convolved(both, widened)[0])
    for variant in ("block_paths", "block_concat"):
        check(said("parallel", "C:193", expect=f"{variant} = block_grouped"), "supported")


def test_two_1x1_are_one(said: Said) -> None:
    image = noise(2, 6, 6)
    first, second = np.array([[1.0, 2], [3, 4]]), np.array([[5.0, 6], [7, 8]])
    product_of_both = second @ first
    assert product_of_both.tolist() == [[23, 34], [31, 46]]
    two = convolved(convolved(image, first[..., None, None])[0], second[..., None, None])[0]
    np.testing.assert_allclose(two, convolved(image, product_of_both[..., None, None])[0])
    check(said("consecutive", "A:57"), "supported", "compute the same")
