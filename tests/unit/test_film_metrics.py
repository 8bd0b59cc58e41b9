"""Measures of films against direct computations, and against motion and flicker that are known."""

from __future__ import annotations

import math

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from skimage import data

from restore.film_metrics import FilmMeter, WarpMeter, cdc, channel_shares, compare
from restore.metrics import Rgb, colorfulness, grey_of

SIDE = 160


@pytest.fixture(scope="module")
def astronaut() -> Rgb:
    return np.asarray(data.astronaut(), np.uint8)


def noisy(rgb: Rgb, seed: int, spread: int) -> Rgb:
    noise = np.random.default_rng(seed).integers(-spread, spread + 1, rgb.shape)
    return np.clip(rgb.astype(int) + noise, 0, 255).astype(np.uint8)


def direct_cdc(frames: list[Rgb]) -> float:
    # Comes with scikit-image; gives the root of the divergence.
    from scipy.spatial.distance import jensenshannon  # type: ignore[import-untyped]

    def divergence(one: Rgb, other: Rgb) -> float:
        histograms = [[np.histogram(f[..., c], 256, (0, 256))[0] for c in range(3)] for f in (one, other)]
        return float(np.mean([jensenshannon(p, q) ** 2 for p, q in zip(*histograms, strict=True)]))

    return float(np.mean([np.mean([divergence(a, b) for a, b in zip(frames, frames[d:])]) for d in (1, 2, 4)]))  # noqa: B905


def test_cdc_is_the_published_formula(astronaut: Rgb) -> None:
    frames = [noisy(astronaut, seed, spread=1 + 6 * seed) for seed in range(8)]
    assert cdc(iter(frames)) == pytest.approx(direct_cdc(frames), rel=1e-9)
    assert cdc(frames) > 1e-4


def test_cdc_of_a_still_is_zero_and_of_flashing_is_known(astronaut: Rgb) -> None:
    assert cdc([astronaut] * 6) == 0.0
    black, white = np.zeros((4, 4, 3), np.uint8), np.full((4, 4, 3), 255, np.uint8)
    # Each neighbour differs wholly (ln 2); at distances 2 and 4 all are the same.
    assert cdc([black, white] * 4) == pytest.approx(math.log(2) / 3)
    with pytest.raises(ValueError, match="at least 5 frames"):
        cdc([astronaut] * 4)


def test_shares_are_those_of_a_histogram(astronaut: Rgb) -> None:
    expected = [np.histogram(astronaut[..., c], 256, (0, 256))[0] / astronaut[..., c].size for c in range(3)]
    assert np.allclose(channel_shares(astronaut), expected)


def pan(picture: Rgb, frames: int, step: tuple[int, int]) -> list[Rgb]:
    """A window that moves over a picture by so many whole pixels a frame."""
    down, across = step
    return [picture[i * down :, i * across :][:SIDE, :SIDE] for i in range(frames)]


def flat(a: float, b: float) -> npt.NDArray[np.float32]:
    return np.full((SIDE, SIDE, 2), (a, b), np.float32)


def test_colour_that_moves_with_the_picture_has_no_warp_error_and_colour_that_stays_has(astronaut: Rgb) -> None:
    grey = grey_of(astronaut)
    ab = cv2.GaussianBlur(astronaut[..., :2].astype(np.float32) - 128, (0, 0), 3)
    meter = WarpMeter(2)
    for luma, moving in zip(pan(grey, 6, (2, 3)), pan(ab, 6, (2, 3)), strict=True):
        meter.add(luma, (moving, ab[:SIDE, :SIDE]))
    moving_error, staying_error = meter.errors()
    assert meter.left_out == 0
    assert moving_error < 0.5
    assert staying_error > 20 * moving_error


def test_flicker_of_known_size_has_its_square_as_error(astronaut: Rgb) -> None:
    meter = WarpMeter(3)
    for number, luma in enumerate(pan(grey_of(astronaut), 5, (1, 2))):
        sign = 1 if number % 2 else -1
        meter.add(luma, (flat(3 * sign, 0), flat(2 * sign, -5 * sign), flat(40, -20)))
    one, both, steady = meter.errors()
    assert one == pytest.approx((6**2 + 0) / 2)
    assert both == pytest.approx((4**2 + 10**2) / 2)
    assert steady == 0


def test_what_was_hidden_before_does_not_count(astronaut: Rgb) -> None:
    """A square moves over a still ground; where it was, the ground comes into sight in a colour never seen before."""
    ground = grey_of(astronaut)[:SIDE, :SIDE]
    texture = np.random.default_rng(0).integers(0, 256, (60, 60)).astype(np.uint8)
    square = cv2.GaussianBlur(texture, (0, 0), 1.5)
    meter, naive = WarpMeter(1), 0.0
    before: npt.NDArray[np.float32] | None = None
    for left in (30, 42):
        luma, ab = ground.copy(), flat(0, 0)
        luma[50:110, left : left + 60] = square
        if left == 42:
            ab[50:110, 30:42] = 90
        meter.add(luma, (ab,))
        naive = float(np.mean((ab - (ab if before is None else before)) ** 2))
        before = ab
    assert naive > 100
    assert meter.errors()[0] < 0.25 * naive


def test_a_cut_is_left_out(astronaut: Rgb) -> None:
    one, other = grey_of(astronaut)[:SIDE, :SIDE], grey_of(np.asarray(data.coffee(), np.uint8))[:SIDE, :SIDE]
    meter = WarpMeter(1)
    for luma, ab in ((one, flat(0, 0)), (one, flat(2, 0)), (other, flat(50, 50)), (other, flat(52, 50))):
        meter.add(luma, (ab,))
    assert meter.left_out == 1
    assert meter.errors() == [pytest.approx(2.0)]
    alone = WarpMeter(1)
    alone.add(one, (flat(0, 0),))
    assert math.isnan(alone.errors()[0])


@pytest.mark.parametrize("size", [(2, 2), (10, 40), (16, 300)])
def test_tiny_frames_crash_nothing(astronaut: Rgb, size: tuple[int, int]) -> None:
    height, width = size
    meter = WarpMeter(1)
    for left in range(3):
        meter.add(
            grey_of(astronaut)[200 : 200 + height, left : left + width], (np.zeros((height, width, 2), np.float32),)
        )
    assert meter.left_out == (0 if height >= 16 else 2)


def test_film_meter_pools_errors_and_tells_original_from_result(astronaut: Rgb) -> None:
    frames = pan(astronaut, 6, (3, 3))
    coloured = [noisy(frame, seed, 4 + 5 * seed) for seed, frame in enumerate(frames)]
    meter = FilmMeter()
    for original, result in zip(frames, coloured, strict=True):
        meter.add(compare(original, result, grey_of(original)))
    scores = meter.scores()
    error = np.mean((np.stack(frames).astype(float) - np.stack(coloured)) ** 2)
    grey_error = np.mean((np.stack(frames).astype(float) - np.stack([grey_of(f) for f in frames])[..., None]) ** 2)
    assert scores.frames == 6
    assert scores.psnr == pytest.approx(10 * math.log10(255**2 / error))
    assert scores.grey_psnr == pytest.approx(10 * math.log10(255**2 / grey_error))
    assert scores.original.cdc == pytest.approx(cdc(frames))
    assert scores.model.cdc == pytest.approx(cdc(coloured))
    assert scores.original.colorfulness == pytest.approx(np.mean([colorfulness(frame) for frame in frames]))
    assert scores.model.colorfulness == pytest.approx(np.mean([colorfulness(frame) for frame in coloured]))
    assert scores.model.warp_error > 5 * scores.original.warp_error


def test_film_meter_of_a_perfect_result_and_of_too_few_frames(astronaut: Rgb) -> None:
    meter = FilmMeter()
    for frame in pan(astronaut, 4, (1, 1)):
        meter.add(compare(frame, frame, grey_of(frame)))
    with pytest.raises(ValueError, match="from 5 frames on"):
        meter.scores()
    meter.add(compare(astronaut[:SIDE, :SIDE], astronaut[:SIDE, :SIDE], grey_of(astronaut)[:SIDE, :SIDE]))
    scores = meter.scores()
    assert scores.psnr == math.inf
    assert scores.model == scores.original
