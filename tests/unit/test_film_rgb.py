"""Planes as RGB, against FFmpeg's conversion and against our own in torch."""

from __future__ import annotations

import av
import numpy as np
import pytest
import torch

from restore.color import rgb_to_ycbcr
from restore.matrix import BT601, BT709, BT2020, Matrix
from restore.merge import YuvForm
from restore.video.reader import Plane, plane_array
from restore.video.rgb import grey_from_luma, rgb_from_planes

COLOURS = ((255, 0, 0), (20, 200, 60), (10, 30, 250), (128, 128, 128), (255, 255, 255), (0, 0, 0), (240, 200, 30))


def stored(rgb: tuple[int, ...], form: YuvForm, height: int, width: int) -> tuple[Plane, Plane, Plane]:
    """Planes of one colour."""
    colour = torch.tensor(rgb, dtype=torch.float64).reshape(3, 1, 1) / 255
    y, cb, cr = rgb_to_ycbcr(colour, form.matrix).flatten().tolist()
    small = (-(-height // form.down), -(-width // form.across))
    dtype = np.uint8 if form.depth == 8 else np.uint16
    values = (form.black + y * form.luma_span, *(form.neutral + c * form.chroma_span for c in (cb, cr)))
    # Full range has no room for the last half level of chroma.
    levels = [min(round(value), (1 << form.depth) - 1) for value in values]
    sizes = ((height, width), small, small)
    luma, blue, red = (np.full(size, level, dtype) for size, level in zip(sizes, levels, strict=True))
    return luma, blue, red


@pytest.mark.parametrize("matrix", [BT601, BT709, BT2020])
@pytest.mark.parametrize("full_range", [False, True])
@pytest.mark.parametrize(("depth", "across", "down"), [(8, 2, 2), (10, 2, 1), (8, 1, 1), (16, 2, 2)])
def test_colours_come_back(matrix: Matrix, full_range: bool, depth: int, across: int, down: int) -> None:
    form = YuvForm(depth, full_range, across, down, matrix)
    for colour in COLOURS:
        rgb = rgb_from_planes(stored(colour, form, 33, 21), form)
        assert rgb.shape == (33, 21, 3)
        assert abs(rgb.astype(int) - colour).max() <= 2, colour


def test_it_is_ffmpegs_conversion() -> None:
    rng = np.random.default_rng(0)
    frame = av.VideoFrame(64, 48, "yuv444p")
    for number in range(3):
        plane_array(frame, number)[:] = rng.integers(60, 180, (48, 64))
    planes = (plane_array(frame, 0), plane_array(frame, 1), plane_array(frame, 2))
    theirs = frame.to_ndarray(format="rgb24", src_colorspace="itu709", src_color_range="MPEG")
    ours = rgb_from_planes(planes, YuvForm(8, False, 1, 1, BT709))
    assert abs(ours.astype(int) - theirs).max() <= 2
    other = rgb_from_planes(planes, YuvForm(8, False, 1, 1, BT601))
    assert abs(other.astype(int) - theirs).max() > 10


def test_grey_is_what_neutral_chroma_gives() -> None:
    for form in (YuvForm(8, False), YuvForm(8, True), YuvForm(10, False, matrix=BT709)):
        luma = np.arange(form.black, form.black + form.luma_span, form.luma_span // 200)[None].repeat(4, axis=0)
        luma = luma.astype(np.uint8 if form.depth == 8 else np.uint16)
        neutral = np.full((2, -(-luma.shape[1] // 2)), form.neutral, luma.dtype)
        rgb = rgb_from_planes((luma, neutral, neutral), form)
        assert np.array_equal(rgb, np.repeat(grey_from_luma(luma, form)[..., None], 3, axis=2))


def test_chroma_of_odd_sizes_stays_in_its_place() -> None:
    form = YuvForm(8, False)
    luma = np.full((101, 75), 120, np.uint8)
    cb, cr = (np.full((51, 38), 128, np.uint8) for _ in range(2))
    cr[25:, 19:] = 200
    red = rgb_from_planes((luma, cb, cr), form)[..., 0].astype(int)
    assert (red[:49, :].max(), red[:, :37].max()) == (red[0, 0], red[0, 0])
    assert red[51:, 39:].min() == red[-1, -1] > red[0, 0] + 50
