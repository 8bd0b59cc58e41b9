"""Smoothing in time on synthetic scenes whose true colours are known."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from restore.options import VideoOptions
from restore.video.motion import MotionEstimator
from restore.video.smooth import Moment, share_kept
from restore.video.smooth import smooth as smooth_all

SIDE = 96
DEFAULT = share_kept(VideoOptions().smooth)
Scene = tuple[list[npt.NDArray[np.uint8]], list[npt.NDArray[np.float32]]]


def texture(seed: int) -> npt.NDArray[np.uint8]:
    noise = np.random.default_rng(seed).uniform(0, 255, (SIDE, SIDE)).astype(np.float32)
    smooth_noise = cv2.GaussianBlur(noise, (0, 0), 2)
    return np.asarray(cv2.normalize(smooth_noise, None, 60, 160, cv2.NORM_MINMAX), np.uint8)  # type: ignore[call-overload]


def moving_square(frames: int = 24) -> Scene:
    """A red square with a texture of its own crosses a still, blue background by two pixels a frame."""
    background, object_luma = texture(0), texture(1) // 2 + 120
    lumas, truth = [], []
    for t in range(frames):
        left = 8 + 2 * t
        luma, ab = background.copy(), np.full((SIDE, SIDE, 2), (0, -30), np.float32)
        luma[36:60, left : left + 24] = object_luma[36:60, 20:44]
        ab[36:60, left : left + 24] = (50, 30)
        lumas.append(luma)
        truth.append(ab)
    return lumas, truth


def smooth(frames: list[Moment], strength: float) -> list[npt.NDArray[np.float32]]:
    return [result.ab for result in smooth_all(frames, strength)]


def moments(
    lumas: list[npt.NDArray[np.uint8]],
    guesses: list[npt.NDArray[np.float32] | None],
    cuts: tuple[int, ...] = (),
) -> list[Moment]:
    motion = MotionEstimator(SIDE)
    result: list[Moment] = []
    for t, (luma, guess) in enumerate(zip(lumas, guesses, strict=True)):
        before = None
        if t and t not in cuts:
            before, after = motion.between(luma, lumas[t - 1])
            result[-1] = Moment(result[-1].guess, result[-1].from_previous, after)
        result.append(Moment(guess, before, None))
    return result


def flickering(truth: list[npt.NDArray[np.float32]]) -> list[npt.NDArray[np.float32] | None]:
    rng = np.random.default_rng(2)
    return [ab + rng.normal(0, 8, 2).astype(np.float32) for ab in truth]


def test_flicker_goes_and_the_moving_object_leaves_no_trail() -> None:
    lumas, truth = moving_square()
    guesses = flickering(truth)
    smoothed = smooth(moments(lumas, guesses), DEFAULT)
    before = np.mean([np.abs(guess - ab).mean() for guess, ab in zip(guesses, truth, strict=True)])
    after = np.mean([np.abs(result - ab).mean() for result, ab in zip(smoothed, truth, strict=True)])
    assert after < 0.5 * before
    t = 12
    behind = smoothed[t][40:56, 8 + 2 * t - 16 : 8 + 2 * t - 4]  # where the square was two to eight frames ago
    ahead = smoothed[t][40:56, 8 + 2 * t + 28 : 8 + 2 * t + 40]  # where it will be
    for place in (behind, ahead):
        assert np.abs(place.mean((0, 1)) - truth[t][0, 0]).max() < 8
    inside = smoothed[t][40:56, 8 + 2 * t + 4 : 8 + 2 * t + 20]
    assert np.abs(inside.mean((0, 1)) - (50, 30)).max() < 8


def test_nothing_lags_behind() -> None:
    """A brightness-neutral change of colour is followed as early as late: the error is the same on both sides of it."""
    lumas = [texture(0)] * 20
    guesses: list[npt.NDArray[np.float32] | None] = [
        np.full((SIDE, SIDE, 2), 20.0 if t < 10 else -20.0, np.float32) for t in range(20)
    ]
    smoothed = smooth(moments(lumas, guesses), DEFAULT)
    for back in range(10):
        assert smoothed[9 - back].mean() == pytest.approx(-smoothed[10 + back].mean(), abs=0.2)


def test_nothing_bleeds_over_a_cut() -> None:
    lumas = [texture(0)] * 8 + [texture(5)] * 8
    guesses: list[npt.NDArray[np.float32] | None] = [
        np.full((SIDE, SIDE, 2), 40.0 if t < 8 else -40.0, np.float32) for t in range(16)
    ]
    smoothed = smooth(moments(lumas, guesses, cuts=(8,)), DEFAULT)
    assert np.abs(smoothed[7] - 40).max() < 1e-3
    assert np.abs(smoothed[8] + 40).max() < 1e-3


def test_frames_that_the_network_has_not_seen_take_their_neighbours_colour_along_the_motion() -> None:
    lumas, truth = moving_square()
    guesses: list[npt.NDArray[np.float32] | None] = [ab if t % 3 == 0 else None for t, ab in enumerate(truth)]
    smoothed = smooth(moments(lumas, guesses), DEFAULT)
    for t in (7, 8, 13, 14):
        inside = smoothed[t][40:56, 8 + 2 * t + 4 : 8 + 2 * t + 20]
        assert np.abs(inside.mean((0, 1)) - (50, 30)).max() < 6
        outside = smoothed[t][:24]
        assert np.abs(outside - (0, -30)).max() < 2


def test_strength_zero_changes_nothing() -> None:
    lumas, truth = moving_square(6)
    guesses = flickering(truth)
    for result, guess in zip(smooth(moments(lumas, guesses), 0.0), guesses, strict=True):
        assert guess is not None
        assert np.allclose(result, guess, atol=1e-4)


def test_frames_without_any_guess_are_refused() -> None:
    lumas = [texture(0)] * 4
    with pytest.raises(ValueError, match="guess"):
        smooth(moments(lumas, [None] * 4), DEFAULT)


def test_strength_goes_from_nothing_to_nearly_all() -> None:
    shares = [share_kept(smooth / 10) for smooth in range(11)]
    assert shares[0] == 0.0 and 0.9 < shares[8] < shares[10] < 1.0
    assert shares == sorted(shares)


def test_grain_does_not_stop_colours_from_going_on() -> None:
    """A still scene whose guesses flicker by 8 units: hardly any of it is left, in spite of three levels of grain."""
    rng = np.random.default_rng(5)
    grainy = [np.clip(texture(0) + rng.normal(0, 3, (SIDE, SIDE)), 0, 255).astype(np.uint8) for _ in range(48)]
    guesses = flickering([np.full((SIDE, SIDE, 2), (20, 10), np.float32)] * 48)
    means = [ab.mean((0, 1)) for ab in smooth(moments(grainy, guesses), DEFAULT)]
    assert np.abs(np.diff(means, axis=0)).mean() < 0.4


def test_disturbed_frames_are_passed_over_and_take_their_neighbours_colours() -> None:
    """Frames 6 and 7 show something else: their guesses don't count, and the chain goes on past them."""
    lumas = [texture(0)] * 6 + [texture(7), texture(8)] + [texture(0)] * 6
    guesses: list[npt.NDArray[np.float32] | None] = [np.full((SIDE, SIDE, 2), 30.0, np.float32)] * 6
    guesses += [None, None] + [np.full((SIDE, SIDE, 2), 10.0, np.float32)] * 6
    motion = MotionEstimator(SIDE)
    chain = moments(lumas, guesses)
    there, back = motion.between(lumas[8], lumas[5])
    chain[5] = replace(chain[5], from_next=back, on=3)
    chain[8] = replace(chain[8], from_previous=there, back=3)
    for place in (6, 7):
        before, after = (motion.between(lumas[place], lumas[end])[0] for end in (5, 8))
        chain[place] = Moment(None, before, after, back=place - 5, on=8 - place)
    means = [float(ab.mean()) for ab in smooth(chain, DEFAULT)]
    assert means[5] > means[6] > means[8]
    assert means[5] < 25 and means[8] > 15  # each knows of the others, beyond what lies between
    assert all(10 <= mean <= 30 for mean in means)


def test_guesses_count_by_their_weight() -> None:
    lumas = [texture(0)] * 12
    guesses: list[npt.NDArray[np.float32] | None] = [np.full((SIDE, SIDE, 2), 40.0, np.float32)] * 6
    guesses += [np.full((SIDE, SIDE, 2), -40.0, np.float32)] * 6
    weighted = [
        replace(moment, weight=1.0 if place < 6 else 0.01) for place, moment in enumerate(moments(lumas, guesses))
    ]
    assert min(float(ab.mean()) for ab in smooth(weighted, DEFAULT)) > 30


def test_going_on_from_the_sums_of_a_frame_gives_what_lies_behind_it() -> None:
    lumas, truth = moving_square()
    whole = smooth_all(moments(lumas, flickering(truth)), DEFAULT)
    later = smooth_all(moments(lumas, flickering(truth))[10:], DEFAULT, whole[9].sums)
    for one, other in zip(whole[10:], later, strict=True):
        assert np.array_equal(one.ab, other.ab) and np.array_equal(one.sums, other.sums)
