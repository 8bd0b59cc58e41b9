"""Drift of followed places, and what frames are disturbed by, against values that are known."""

from __future__ import annotations

import math

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from skimage import color, data

from restore.film_hue import DriftMeter, Shift, Step, disturb, is_disturbed, shift_between
from restore.film_metrics import FilmMeter, WarpMeter, compare
from restore.metrics import Rgb

SIDE = 128
FloatArray = npt.NDArray[np.float32]
STILL = Step(np.zeros((SIDE, SIDE, 2), np.float32), np.ones((SIDE, SIDE), np.bool_))


def flat(hue: float, chroma: float = 30.0) -> FloatArray:
    angle = math.radians(hue)
    return np.full((SIDE, SIDE, 2), (chroma * math.cos(angle), chroma * math.sin(angle)), np.float32)


def test_hue_that_swings_has_the_circular_deviation_of_its_angles() -> None:
    meter = DriftMeter(3)
    for number in range(10):
        sign = 1 if number % 2 else -1
        meter.add((flat(50 + 10 * sign), flat(50), flat(50, 20 + 5 * sign)), STILL if number else None)
    swinging, steady, paling = meter.drifts()
    assert swinging.hue == pytest.approx(math.degrees(math.sqrt(-2 * math.log(math.cos(math.radians(10))))), rel=1e-4)
    assert swinging.ab == pytest.approx(30 * math.sin(math.radians(10)), rel=1e-4)
    assert steady.hue == pytest.approx(0, abs=0.02)
    assert steady.ab == pytest.approx(0, abs=1e-2)
    assert paling.hue == pytest.approx(0, abs=0.02)  # the same hue, now stronger, now weaker
    assert paling.ab == pytest.approx(5, rel=1e-4)


def test_places_count_by_their_chroma() -> None:
    """Half of the picture swings by 10°, at 40 units; the other half stands still, at 10."""
    meter = DriftMeter(1)
    for number in range(8):
        ab = flat(0, 10)
        ab[:, : SIDE // 2] = flat(10 if number % 2 else -10, 40)[:, : SIDE // 2]
        meter.add((ab,), STILL if number else None)
    (drift,) = meter.drifts()
    assert drift.hue == pytest.approx(0.8 * 10, rel=0.02)


def test_a_cut_begins_anew_and_short_stretches_do_not_count() -> None:
    meter = DriftMeter(1)
    for number in range(12):
        meter.add((flat(0 if number < 6 else 90),), None if number in (0, 6) else STILL)
    assert meter.drifts()[0].hue == pytest.approx(0, abs=0.02)
    short = DriftMeter(1)
    for number in range(4):
        short.add((flat(90 * number),), STILL if number else None)
    assert math.isnan(short.drifts()[0].hue)
    assert math.isnan(DriftMeter(1).drifts()[0].ab)


def test_places_are_followed_along_the_motion() -> None:
    """A pan: colour that moves with the picture stays what it was, colour that stays on the screen does not."""
    photo = np.asarray(data.astronaut(), np.uint8)
    grey = cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY)
    ab = cv2.GaussianBlur(photo[..., :2].astype(np.float32) - 128, (0, 0), 3)
    warp, meter = WarpMeter(2), DriftMeter(2)
    for number in range(10):
        moving = np.ascontiguousarray(ab[2 * number :, 3 * number :][:SIDE, :SIDE])
        both = (moving, ab[:SIDE, :SIDE])
        step = warp.add(np.ascontiguousarray(grey[2 * number :, 3 * number :][:SIDE, :SIDE]), both)
        assert (step is None) == (number == 0)
        meter.add(both, step)
    with_it, on_screen = meter.drifts()
    assert with_it.hue < 0.3 * on_screen.hue
    assert with_it.ab < 0.3 * on_screen.ab


def test_what_is_hidden_is_lost() -> None:
    """A place that changes its colour where it is not visible is followed no further."""
    meter = DriftMeter(1)
    hidden = Step(STILL.onward, np.zeros((SIDE, SIDE), np.bool_))
    for number in range(12):
        step = None if number == 0 else hidden if number == 6 else STILL
        meter.add((flat(0 if number < 6 else 120),), step)
    assert meter.drifts()[0].hue == pytest.approx(0, abs=0.02)


def test_memory_is_flat() -> None:
    meter = DriftMeter(1)
    sizes = set()
    for number in range(50):
        meter.add((flat(number),), STILL if number % 9 else None)
        sizes.add(sum(sums.nbytes for sums in meter._sums))
    assert len(sizes) == 1


def test_frames_are_disturbed_where_the_protocol_says() -> None:
    luma = np.full((4, 8), 100, np.uint8)
    luma[:, 0] = 16
    values = np.sort(luma)
    exposed = [index for index in range(60) if not np.array_equal(np.sort(disturb(luma, index)), values)]
    torn = [index for index in range(60) if is_disturbed(index) and index not in exposed]
    assert torn == [24, 25]
    assert exposed == [*range(8, 20), 30, *range(34, 44), *range(48, 60)]
    assert np.array_equal(disturb(luma, 24)[:2], luma[:2])
    assert disturb(luma, 24)[2].tolist() == np.roll(luma[2], 2).tolist()
    for index in range(60, 120):
        assert np.array_equal(disturb(luma, index), disturb(luma, index - 60))


def test_exposure_leaves_black_and_ends_at_white() -> None:
    luma = np.array([[16, 100, 220]], np.uint8)
    assert disturb(luma, 30, 16, 235).tolist() == [[16, 184, 235]]
    assert disturb(luma, 59, 16, 235).tolist() == [[16, 24, 36]]
    deep = disturb(luma.astype(np.uint16) << 2, 59, 64, 940)
    assert deep.dtype == np.uint16 and deep.tolist() == [[64, 98, 146]]


def test_shift_is_none_where_the_disturbed_frame_is_what_it_should_be() -> None:
    photo = np.asarray(data.coffee(), np.uint8)
    for index in (12, 24, 30, 35, 50):
        hue, ab = shift_between(photo, np.asarray(disturb(photo, index), np.uint8), index).means()
        assert hue == 0 and ab == 0


def test_shift_is_the_angle_and_the_distance_between_two_colours() -> None:
    one, other = np.full((32, 32, 3), (150, 110, 90), np.uint8), np.full((32, 32, 3), (130, 120, 90), np.uint8)
    due, found = (color.rgb2lab(disturb(one, 35)[:1, :1])[0, 0, 1:], color.rgb2lab(other[:1, :1])[0, 0, 1:])
    hue, ab = shift_between(one, other, 35).means()
    angle = math.degrees(abs(math.atan2(due[1], due[0]) - math.atan2(found[1], found[0])))
    assert hue == pytest.approx(angle, abs=0.1)
    assert ab == pytest.approx(float(np.hypot(*(due - found))), abs=0.05)


def test_shifts_add_up() -> None:
    assert (Shift(10, 2, 8, 4) + Shift(2, 2, 0, 4)).means() == (3, 1)
    assert all(math.isnan(value) for value in Shift().means())


def test_film_meter_tells_drift_and_shift() -> None:
    photo: Rgb = np.asarray(data.astronaut(), np.uint8)[:SIDE, :SIDE]
    meter = FilmMeter()
    for number in range(6):
        tinted = np.clip(photo.astype(int) + np.array((12 * (-1) ** number, 0, 0)), 0, 255).astype(np.uint8)
        grey = cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY)
        meter.add(compare(photo, tinted, np.asarray(grey, np.uint8), Shift(4, 2, 3, 1) if number == 3 else Shift()))
    scores = meter.scores()
    assert scores.original.hue_drift == pytest.approx(0, abs=0.05)
    assert scores.model.hue_drift > 1
    assert scores.model.ab_drift > 2
    assert (scores.hue_shift, scores.ab_shift) == (2, 3)
