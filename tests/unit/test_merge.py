"""The promise: colouring never changes the grey."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from restore.framing import Area
from restore.merge import (
    RgbMerger,
    SmallChroma,
    YuvForm,
    chroma_planes,
    enlarged_doubt,
    merge_rgb,
    shrink_luma,
    small_chroma,
)

WEIGHTS = np.array([0.299, 0.587, 0.114])


def grey(rgb: npt.NDArray[np.generic]) -> npt.NDArray[np.float64]:
    return rgb.astype(np.float64) @ WEIGHTS


lumas8 = hnp.arrays(np.uint8, st.tuples(st.integers(1, 40), st.integers(1, 40)))
lumas16 = hnp.arrays(np.uint16, st.tuples(st.integers(1, 40), st.integers(1, 40)))
abs_ = hnp.arrays(np.float32, (2, 8, 8), elements=st.floats(-128, 128, width=32))


@settings(max_examples=150, deadline=None)
@given(lumas8, abs_, st.floats(0, 4))
def test_grey_of_8_bit_output_is_the_input(
    luma: npt.NDArray[np.uint8], ab: npt.NDArray[np.float32], saturation: float
) -> None:
    chroma = small_chroma(shrink_luma(luma, 32), ab, saturation)
    result = merge_rgb(luma, chroma)
    assert result.dtype == np.uint8
    assert np.array_equal(np.asarray(Image.fromarray(result).convert("L")), luma)


@settings(max_examples=150, deadline=None)
@given(lumas16, abs_)
def test_grey_of_16_bit_output_is_the_input(luma: npt.NDArray[np.uint16], ab: npt.NDArray[np.float32]) -> None:
    result = merge_rgb(luma, small_chroma(shrink_luma(luma, 32), ab))
    assert result.dtype == np.uint16
    assert np.abs(grey(result) - luma).max() <= 2


@settings(max_examples=100, deadline=None)
@given(lumas8, abs_)
def test_chroma_planes_stay_in_gamut(luma: npt.NDArray[np.uint8], ab: npt.NDArray[np.float32]) -> None:
    planes = chroma_planes(luma, small_chroma(shrink_luma(luma, 32), ab))
    y = luma.astype(np.float64)
    cb, cr = (
        plane.repeat(2, axis=0).repeat(2, axis=1)[: y.shape[0], : y.shape[1]].astype(np.float64) - 128
        for plane in planes
    )
    rgb = np.stack((y + 1.402 * cr, y - 0.344136 * cb - 0.714136 * cr, y + 1.772 * cb))
    # Rounding Cb and Cr to whole levels is all that may lead out of the gamut.
    assert rgb.min() >= -1.0
    assert rgb.max() <= 256.0


def test_ycbcr_chroma_is_that_of_rgb() -> None:
    """At half the size, but for the fit into gamut, which mid-grey luma doesn't need."""
    luma = np.random.default_rng(0).integers(120, 136, (37, 51), dtype=np.uint8)
    ab = np.random.default_rng(1).uniform(-20, 20, (2, 8, 8)).astype(np.float32)
    chroma = small_chroma(shrink_luma(luma, 32), ab)
    cb, cr = chroma_planes(luma, chroma)
    assert cb.shape == cr.shape == (19, 26)
    _, wide_cr, wide_cb = cv2.split(cv2.cvtColor(merge_rgb(luma, chroma), cv2.COLOR_RGB2YCrCb))
    assert cb.std() > 1
    for half, wide in ((cb, wide_cb), (cr, wide_cr)):
        expected = cv2.resize(wide[:36, :50], (25, 18), interpolation=cv2.INTER_AREA)
        assert np.abs(half[:18, :25].astype(int) - expected).max() <= 4
        assert np.abs(half[:18, :25].astype(int) - expected).mean() < 1


def test_strips_do_not_show() -> None:
    """A picture of many strips equals the same rows merged in one."""
    luma = np.tile(np.arange(256, dtype=np.uint8), (3000, 4))
    planes = np.random.default_rng(0).uniform(-0.3, 0.3, (16, 16, 4)).astype(np.float32)
    tall = merge_rgb(luma, SmallChroma(planes))
    enlarged = cv2.resize(planes, (1024, 3000), interpolation=cv2.INTER_LINEAR)
    y = luma / 255.0
    cr = enlarged[..., 2] * y + enlarged[..., 3]
    cb = enlarged[..., 0] * y + enlarged[..., 1]
    offsets = np.stack((1.402 * cr, -0.344136 * cb - 0.714136 * cr, 1.772 * cb), axis=-1)
    scale = np.minimum(1, np.minimum((1 - y) / (offsets.max(-1) + 1e-9), y / (1e-9 - offsets.min(-1))))
    expected = 255 * (y[..., None] + scale[..., None] * offsets)
    assert np.abs(tall - expected).max() < 1.5


def test_colour_ends_at_the_edge() -> None:
    """Left half dark and red, right half bright and blue, known only on a coarse grid that the edge cuts through."""
    size, edge = 512, 250
    luma = np.full((size, size), 70, np.uint8)
    luma[:, edge:] = 190
    ab = np.zeros((2, 32, 32), np.float32)
    share = np.clip((np.arange(32) + 1) - edge / 16, 0, 1)  # how much of each coarse column lies to the right
    ab[0] = 50 * (1 - share)
    ab[1] = -50 * share
    guided = merge_rgb(luma, small_chroma(shrink_luma(luma, 128), ab)).astype(float)
    bilinear_ab = cv2.resize(ab.transpose(1, 2, 0), (size, size), interpolation=cv2.INTER_LINEAR)

    def bleed(values: npt.NDArray[np.floating], far_left: float, far_right: float) -> float:
        """Mean distance from the colour of one's own side over 12 pixels on both sides of the edge, relative."""
        left = np.abs(values[edge - 12 : edge] - far_left).mean()
        right = np.abs(values[edge : edge + 12] - far_right).mean()
        return float((left + right) / 2 / abs(far_left - far_right))

    difference = (guided[..., 0] - guided[..., 2])[size // 2]
    ours = bleed(difference, difference[100], difference[400])
    plain = bleed(bilinear_ab[size // 2, :, 0] - bilinear_ab[size // 2, :, 1] * 0, 50.0, 0.0)
    assert ours < 0.5 * plain


def test_no_colour_changes_nothing() -> None:
    luma = np.random.default_rng(0).integers(0, 256, (64, 80), dtype=np.uint8)
    result = merge_rgb(luma, small_chroma(shrink_luma(luma, 32), np.zeros((2, 8, 8), np.float32)))
    assert np.array_equal(result, np.repeat(luma[..., None], 3, axis=2))


@pytest.mark.parametrize("shape", [(1, 1), (1, 5000), (5000, 1), (3, 2)])
def test_extreme_shapes(shape: tuple[int, int]) -> None:
    luma = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    chroma = small_chroma(shrink_luma(luma, 32), np.full((2, 8, 8), 30, np.float32))
    result = merge_rgb(luma, chroma)
    assert np.array_equal(np.asarray(Image.fromarray(result).convert("L")), luma)
    assert all(plane.shape == tuple((side + 1) // 2 for side in shape) for plane in chroma_planes(luma, chroma))


@pytest.mark.parametrize(("height", "width"), [(63, 64), (64, 63), (63, 65)])
def test_a_jpeg_of_odd_size_holds_nothing_of_what_lies_beside_it_in_memory(height: int, width: int) -> None:
    from restore.photos.jpeg import encode_jpeg

    rng = np.random.default_rng(0)
    chroma = small_chroma(rng.random((32, 32), np.float32), rng.normal(0, 20, (2, 8, 8)).astype(np.float32))
    luma, results = rng.integers(0, 256, (height, width), dtype=np.uint8), []
    for beyond in (0, 255):
        memory = np.full((height + 2) * width, beyond, np.uint8)
        place = memory[: height * width].reshape(height, width)
        place[:] = luma
        results.append(encode_jpeg(place, chroma, 95, {}))
    assert results[0] == results[1]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("box", [(17, 204, 33, 150), (0, 230, 1, 299), (40, 41, 0, 300)])
def test_an_area_is_merged_as_if_the_picture_were_cut_to_it(
    box: tuple[int, int, int, int], dtype: type[np.uint8] | type[np.uint16]
) -> None:
    top, bottom, left, right = box
    luma = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, (230, 300), dtype=dtype)
    area = Area(top / 230, bottom / 230, left / 300, right / 300)
    cut = luma[top:bottom, left:right]
    ab = np.random.default_rng(1).normal(0, 25, (2, 8, 8)).astype(np.float32)
    chroma = small_chroma(shrink_luma(cut, 32), ab, area=area)
    expected = np.repeat(luma[..., None], 3, axis=2)
    expected[top:bottom, left:right] = merge_rgb(cut, SmallChroma(chroma.planes))
    assert np.ptp(expected.astype(int), axis=2).max() > 20
    assert np.array_equal(merge_rgb(luma, chroma), expected)
    merger = RgbMerger(luma, chroma)
    assert np.array_equal(np.concatenate([merger.rows(0, 39), merger.rows(39, 44), merger.rows(44, 230)]), expected)


@pytest.mark.parametrize("form", [YuvForm(), YuvForm(down=1), YuvForm(10, full_range=False), YuvForm(across=1, down=1)])
def test_chroma_planes_are_neutral_around_an_area(form: YuvForm) -> None:
    luma = np.random.default_rng(0).integers(80, 180, (91, 121), dtype=np.uint8)
    if form.depth > 8:
        luma = luma.astype(np.uint16) << np.uint16(2)
    area = Area(15 / 91, 80 / 91, 21 / 121, 1.0)
    ab = np.full((2, 8, 8), 30, np.float32)
    planes = chroma_planes(luma, small_chroma(shrink_luma(area.of(luma), 32), ab, area=area), form)
    # Blocks that hold some of the border belong to it; the last column is a block of its own.
    inside = (slice(-(-15 // form.down), 80 // form.down), slice(-(-21 // form.across), None))
    for plane in planes:
        assert plane.shape == (-(-91 // form.down), -(-121 // form.across))
        assert np.abs(plane[inside].astype(int) - form.neutral).min() > 8
        outside = np.ones(plane.shape, bool)
        outside[inside] = False
        assert (plane[outside] == form.neutral).all()


def test_an_area_smaller_than_a_block_is_neutral() -> None:
    luma = np.full((64, 64), 128, np.uint8)
    chroma = SmallChroma(np.ones((32, 32, 4), np.float32), Area(3 / 64, 4 / 64, 3 / 64, 4 / 64))
    assert all((plane == 128).all() for plane in chroma_planes(luma, chroma))
    assert np.count_nonzero(np.ptp(merge_rgb(luma, chroma), axis=2)) == 1


def test_doubt_is_that_of_the_area_and_none_around_it() -> None:
    area = Area(0.25, 0.75, 0.5, 1.0)
    view = np.random.default_rng(0).random((32, 32), np.float32)
    doubt = np.random.default_rng(1).uniform(5, 30, (8, 8)).astype(np.float32)
    placed = enlarged_doubt(view, doubt, 80, 120, area)
    assert np.array_equal(placed[20:60, 60:], enlarged_doubt(view, doubt, 40, 60))
    placed[20:60, 60:] = 0
    assert not placed.any()
