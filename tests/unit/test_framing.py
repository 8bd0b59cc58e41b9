"""Borders are found where they are, and a picture without borders is left whole."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from skimage import data

from restore.framing import SIDE, WHOLE, Area, find_area, refined

Grey = npt.NDArray[np.uint8]
FloatArray = npt.NDArray[np.float32]


def small(luma: npt.NDArray[np.uint8]) -> FloatArray:
    height, width = luma.shape
    size = min(width, SIDE), min(height, SIDE)
    return np.asarray(cv2.resize(luma, size, interpolation=cv2.INTER_AREA), np.float32) / np.float32(255)


def photo(name: str = "astronaut") -> Grey:
    picture = getattr(data, name)()
    return picture if picture.ndim == 2 else np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY))


def padded(luma: Grey, sides: tuple[int, int, int, int], tone: int, noise: float = 0.0) -> Grey:
    """With borders of so many pixels at top, bottom, left and right."""
    bordered = np.pad(luma, (sides[:2], sides[2:]), constant_values=tone).astype(np.float64)
    bordered += np.random.default_rng(0).normal(0, noise, bordered.shape)
    bordered[sides[0] : bordered.shape[0] - sides[1], sides[2] : bordered.shape[1] - sides[3]] = luma
    return np.rint(np.clip(bordered, 0, 255)).astype(np.uint8)


def box_of(luma: Grey) -> tuple[int, int, int, int]:
    """Rows of border that are found at each side."""
    rows, columns = refined(find_area([small(luma)]), luma).box(*luma.shape)
    return rows.start, luma.shape[0] - rows.stop, columns.start, luma.shape[1] - columns.stop


@pytest.mark.parametrize("noise", [0.0, 3.0])
@pytest.mark.parametrize("tone", [0, 22, 128, 255])
@pytest.mark.parametrize("sides", [(60, 60, 0, 0), (0, 0, 71, 70), (33, 35, 50, 52), (20, 21, 20, 90)])
def test_borders_are_found_to_the_pixel(sides: tuple[int, int, int, int], tone: int, noise: float) -> None:
    assert box_of(padded(photo(), sides, tone, noise)) == sides


def test_nested_borders_are_found() -> None:
    margin = padded(photo("coffee"), (16, 16, 16, 40), 244, 2.0)
    mount = padded(margin, (40, 44, 50, 52), 150, 3.0)
    bed = padded(mount, (30, 0, 35, 61), 60, 4.0)
    assert box_of(bed) == (86, 60, 101, 153)


def test_a_large_scan_is_cut_to_the_pixel() -> None:
    large = cv2.resize(photo(), None, fx=6, fy=6, interpolation=cv2.INTER_CUBIC)
    assert box_of(padded(large, (211, 198, 333, 301), 40, 5.0)) == (211, 198, 333, 301)


def test_jpeg_noise_on_the_border_moves_it_by_two_pixels_at_most() -> None:
    sides = (50, 50, 35, 37)
    _, code = cv2.imencode(".jpg", padded(photo(), sides, 0), [cv2.IMWRITE_JPEG_QUALITY, 60])
    found = box_of(np.asarray(cv2.imdecode(code, cv2.IMREAD_GRAYSCALE)))
    assert np.abs(np.subtract(found, sides)).max() <= 2


def test_a_print_that_lies_askew_is_kept_whole() -> None:
    print_ = photo()
    turn = cv2.getRotationMatrix2D((256, 256), 1.0, 1.0)
    turn[:, 2] += 50
    scan = cv2.warpAffine(print_, turn, (612, 612), flags=cv2.INTER_AREA, borderValue=90)
    corners = cv2.transform(np.array([[[0, 0], [511, 0], [0, 511], [511, 511]]], np.float64), turn)[0]
    rows, columns = refined(find_area([small(scan)]), scan).box(*scan.shape)
    assert 0 < rows.start <= corners[:, 1].min() + 1 and corners[:, 1].max() - 1 <= rows.stop < 612
    assert 0 < columns.start <= corners[:, 0].min() + 1 and corners[:, 0].max() - 1 <= columns.stop < 612


def _vignette() -> Grey:
    y, x = np.mgrid[-1:1:512j, -1:1:512j]
    return np.asarray(photo() * np.clip(1.6 - 1.5 * (x**2 + y**2), 0, 1), np.uint8)


def _black_stage() -> Grey:
    stage = np.full((480, 640), 4, np.uint8)
    cv2.ellipse(stage, (330, 260), (60, 150), 0, 0, 360, 190, -1)
    cv2.ellipse(stage, (180, 300), (40, 110), 0, 0, 360, 140, -1)
    return cv2.GaussianBlur(stage, (0, 0), 3)


def _sky_over_the_sea(tone: int) -> Grey:
    scene = np.full((480, 640), tone, np.uint8)
    rng = np.random.default_rng(1)
    scene[200:] = cv2.GaussianBlur(rng.integers(40, 160, (280, 640)).astype(np.uint8), (0, 0), 2)
    return scene


def _fog() -> Grey:
    hills = 180 + 8 * np.sin(np.arange(640) / 90)[None] + np.linspace(0, -20, 480)[:, None]
    return np.asarray(hills, np.uint8)


def _studio() -> Grey:
    backdrop = np.full((600, 500), 252, np.uint8)
    cv2.ellipse(backdrop, (250, 180), (70, 95), 0, 0, 360, 150, -1)
    cv2.ellipse(backdrop, (250, 560), (190, 290), 0, 0, 360, 60, -1)
    return backdrop


@pytest.mark.parametrize(
    "make",
    [
        _vignette,
        _black_stage,
        lambda: _sky_over_the_sea(255),
        lambda: _sky_over_the_sea(3),
        lambda: _sky_over_the_sea(3)[::-1].copy(),
        _fog,
        _studio,
        lambda: np.zeros((300, 400), np.uint8),
        lambda: np.full((300, 400), 255, np.uint8),
        *(lambda name=name: photo(name) for name in ("astronaut", "camera", "coffee", "chelsea", "moon", "rocket")),
    ],
)
def test_pictures_without_borders_stay_whole(make: Callable[[], Grey]) -> None:
    assert find_area([small(make())]) == WHOLE


def test_tiny_pictures_stay_whole() -> None:
    for shape in ((1, 1), (2, 40), (30, 3), (20, 20)):
        assert find_area([np.full(shape, 0.5, np.float32)]) == WHOLE


def test_a_shot_is_decided_by_its_bright_frames() -> None:
    """A fade from black and a torn frame change nothing; the night alone has no border."""
    bright = padded(photo(), (64, 64, 0, 0), 16, 1.0)
    frames = [np.asarray(16 + (bright - 16.0) * gain, np.uint8) for gain in np.linspace(0, 1, 12)]
    torn = padded(photo(), (20, 108, 0, 0), 16, 1.0)
    shot = [small(frame) for frame in [*frames, torn, bright, bright]]
    rows, columns = find_area(shot).box(*bright.shape)
    assert 61 <= rows.start <= 64 and 576 <= rows.stop <= 579 and columns == slice(0, 512)
    assert find_area(shot[:1]) == WHOLE


def test_frames_together_show_what_dark_ones_hide() -> None:
    """Where each frame is as dark as the bar along half of the edge, at another place each time."""
    shot = []
    for first in range(0, 512, 128):
        picture = photo("camera").copy()
        picture[:, np.r_[first : first + 300] % 512] = 0
        shot.append(small(padded(picture, (80, 80, 0, 0), 0)))
    rows, _ = find_area(shot).box(672, 512)
    assert rows.start in (78, 79, 80) and rows.stop in (592, 593, 594)


def test_shares_of_an_area_give_back_its_pixels() -> None:
    area = Area(37 / 1081, 1000 / 1081, 3 / 719, 718 / 719)
    assert area.box(1081, 719) == (slice(37, 1000), slice(3, 718))
    assert area.of(np.zeros((1081, 719))).shape == (963, 715)
    assert all(stop.stop > stop.start for stop in Area(0.999, 1.0, 0.999, 1.0).box(2, 2))
