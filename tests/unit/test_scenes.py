"""Cuts in synthetic film: found where they are, and nowhere else."""

from __future__ import annotations

import json

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from skimage import data

from restore.video.scenes import SceneState, mark_scenes

Small = npt.NDArray[np.uint8]


def still(name: str, grain: int = 0) -> Small:
    grey = cv2.cvtColor(getattr(data, name)(), cv2.COLOR_RGB2GRAY)
    small = cv2.resize(grey, (96, 96), interpolation=cv2.INTER_AREA)
    noise = np.random.default_rng(grain).normal(0, 6, small.shape)
    return np.clip(small + noise, 0, 255).astype(np.uint8)


def marked(frames: list[Small]) -> tuple[list[int], list[int]]:
    """Frames that begin a scene, and those that are disturbed."""
    marks = list(mark_scenes(enumerate(frames)))
    assert [item for item, _ in marks] == list(range(len(frames)))
    return [item for item, mark in marks if mark.cut], [item for item, mark in marks if mark.disturbed]


def found(frames: list[Small]) -> list[int]:
    cuts, disturbed = marked(frames)
    assert not disturbed
    return cuts


def test_hard_cuts_are_found_in_grainy_film() -> None:
    frames = [still("astronaut", i) for i in range(10)] + [still("coffee", i) for i in range(7)]
    frames += [still("rocket", i) for i in range(5)]
    assert found(frames) == [0, 10, 17]


def test_grain_alone_is_no_cut() -> None:
    assert found([still("chelsea", i) for i in range(30)]) == [0]


def test_a_dissolve_is_no_cut() -> None:
    one, other = still("astronaut").astype(float), still("coffee").astype(float)
    frames = [np.asarray(one + (other - one) * np.clip((t - 8) / 12, 0, 1), np.uint8) for t in range(30)]
    assert found(frames) == [0]


def torn(frame: Small) -> Small:
    """The lower part has slipped sideways, as between two perforations, and what lies beside it is black."""
    result = np.roll(frame, 30, axis=1)
    result[:30], result[60:, :30] = frame[:30], 0
    return result


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("kind", ["flash", "torn", "black", "other"])
def test_a_shot_goes_on_behind_disturbed_frames(kind: str, count: int) -> None:
    frames = [still("astronaut", i) for i in range(14)]
    for place in range(6, 6 + count):
        frames[place] = {
            "flash": np.clip(frames[place] * 1.5 + 110, 0, 255).astype(np.uint8),
            "torn": np.roll(torn(frames[place]), 7 * place, axis=0),
            "black": np.zeros_like(frames[place]),
            "other": still("coffee", place),  # a slip of the projector, or of the splicer
        }[kind]
    assert marked(frames) == ([0], list(range(6, 6 + count)))


def test_flicker_is_no_cut() -> None:
    gains = 1 + 0.3 * np.random.default_rng(3).uniform(-1, 1, 40)
    assert marked([np.clip(still("coffee", i) * gain, 0, 255).astype(np.uint8) for i, gain in enumerate(gains)])[0] == [
        0
    ]


def test_a_splice_in_a_shot_is_no_cut() -> None:
    """Frames are missing, and the picture stands elsewhere in the gate from there on."""
    frames = [still("astronaut", i) for i in range(8)]
    frames += [
        np.clip(np.roll(still("astronaut", i), (5, -6), (0, 1)) * 0.8, 0, 255).astype(np.uint8) for i in range(8)
    ]
    assert found(frames) == [0]


def test_a_cut_behind_a_flash_or_a_torn_frame_is_found() -> None:
    """The frame between two shots counts to the first."""
    for between in (np.full((96, 96), 245, np.uint8), torn(still("rocket")), np.roll(torn(still("chelsea")), 20, 0)):
        frames = [still("astronaut", i) for i in range(8)] + [between] + [still("coffee", i) for i in range(8)]
        assert marked(frames) == ([0, 9], [8])


def test_shots_of_two_frames_are_cut() -> None:
    frames = [still("astronaut", i) for i in range(6)] + [still("coffee", i) for i in range(2)]
    frames += [still("rocket", i) for i in range(6)]
    assert found(frames) == [0, 6, 8]


def test_a_fade_through_black_ends_a_shot_and_a_dip_of_the_light_does_not() -> None:
    one, other = still("astronaut").astype(float), still("coffee").astype(float)
    down, up = np.linspace(1, 0, 12), np.linspace(0, 1, 12)
    out = [one * gain for gain in down] + [one * 0] * 6
    new = marked([np.asarray(f, np.uint8) for f in [one] * 4 + out + [other * gain for gain in up] + [other] * 4])
    assert len(new[0]) == 2 and 4 + len(out) <= new[0][1] <= 4 + len(out) + 2
    same = marked([np.asarray(f, np.uint8) for f in [one] * 4 + out + [one * gain for gain in up] + [one] * 4])
    assert same[0] == [0]


def test_going_on_from_a_state_gives_the_same_marks() -> None:
    rng = np.random.default_rng(7)
    frames = [still(("astronaut", "coffee", "rocket")[i // 23 % 3], i) for i in range(90)]
    for place in rng.choice(90, 20, replace=False):
        frames[place] = torn(frames[place]) if place % 2 else np.full((96, 96), place, np.uint8)
    whole = list(mark_scenes(enumerate(frames)))
    for start in range(1, 90):
        state = SceneState.from_json(json.loads(json.dumps(whole[start - 1][1].state.as_json())))
        later = list(mark_scenes(enumerate(frames[start:], start), state))
        assert [(i, mark.cut, mark.disturbed) for i, mark in later] == [
            (i, mark.cut, mark.disturbed) for i, mark in whole[start:]
        ]


def test_a_pan_is_no_cut() -> None:
    wide = cv2.resize(cv2.cvtColor(data.coffee(), cv2.COLOR_RGB2GRAY), (300, 96), interpolation=cv2.INTER_AREA)
    assert found([np.ascontiguousarray(wide[:, 5 * t : 5 * t + 96]) for t in range(40)]) == [0]


def test_one_frame_and_none() -> None:
    assert found([still("coffee")]) == [0]
    assert found([]) == []
