"""What stays in place keeps one colour; what moves keeps its own."""

from __future__ import annotations

import json

import cv2
import numpy as np
import numpy.typing as npt
from skimage import data

from restore.video.places import Places

SIDE = 96


def luma(left: int = 0, grain: int = 0) -> npt.NDArray[np.uint8]:
    grey = cv2.cvtColor(data.astronaut(), cv2.COLOR_RGB2GRAY)[:288, left : left + 288]
    small = cv2.resize(grey, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    return np.clip(small + np.random.default_rng(grain).normal(0, 2, small.shape), 0, 255).astype(np.uint8)


def flat(a: float, b: float) -> npt.NDArray[np.float32]:
    return np.full((SIDE, SIDE, 2), (a, b), np.float32)


def test_colour_of_a_still_set_up_does_not_wander() -> None:
    places, held = Places.begin(luma(), flat(20, 10)), []
    for number in range(100):
        ab, places = places.hold(luma(grain=number), flat(20 - 0.2 * number, 10 + 0.2 * number))
        held.append(ab.mean((0, 1)))
    assert np.abs(held[-1] - held[0]).max() < 0.5 * 20


def test_a_patch_that_grows_and_fades_is_hardly_seen() -> None:
    places, most = Places.begin(luma(), flat(5, 5)), 0.0
    for number in range(60):
        ab = flat(5, 5)
        ab[30:60, 30:60] += 12 * np.sin(np.pi * number / 60)
        held, places = places.hold(luma(grain=number), ab)
        most = max(most, float(np.abs(held[34:56, 34:56] - 5).max()))
    assert most < 5


def test_who_passes_takes_no_colour_over_and_leaves_none_behind() -> None:
    places = Places.begin(luma(), flat(20, 10))
    for number in range(30):
        crossed, ab = luma(grain=number), flat(20, 10)
        crossed[20:70, 3 * number : 3 * number + 24] = 230
        ab[20:70, 3 * number : 3 * number + 24] = (-30, -30)
        held, places = places.hold(crossed, ab)
        if number == 10:
            assert np.abs(held[40:50, 38:46] - (-30, -30)).max() < 6
    held, _ = places.hold(luma(), flat(0, 0))
    assert np.abs(held[40:50, 38:46] - (20, 10)).max() < 0.25 * 20


def test_what_is_there_for_good_gets_its_own_colour() -> None:
    """A door opens: its place has another luma from now on."""
    places = Places.begin(luma(), flat(20, 10))
    opened, ab = luma(), flat(20, 10)
    opened[20:70, 30:60] = 30
    ab[20:70, 30:60] = (-10, 0)
    for _ in range(240):
        held, places = places.hold(opened, ab)
    shifted = ab + 4
    held, _ = places.hold(opened, shifted)
    assert np.abs(held[35:55, 38:52] - ab[35:55, 38:52]).max() < 1.5


def test_a_pan_holds_nothing() -> None:
    places = Places.begin(luma(), flat(20, 10))
    for number in range(1, 30):
        held, places = places.hold(luma(4 * number), flat(20 - number, 10))
    assert np.abs(held - flat(20 - 29, 10)).mean() < 1.5


def test_the_journal_gives_the_very_same_back() -> None:
    _, places = Places.begin(luma(), flat(20, 10)).hold(luma(grain=1), flat(18, 9))
    again = Places.from_json(json.loads(json.dumps(places.as_json())))
    one, other = places.hold(luma(grain=2), flat(10, 10)), again.hold(luma(grain=2), flat(10, 10))
    assert np.array_equal(one[0], other[0])
    assert one[1].as_json() == other[1].as_json()
