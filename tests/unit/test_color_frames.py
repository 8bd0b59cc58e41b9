"""The stages from frames to ab: a frame's result depends on the film alone, not on where work began."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import cast

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from skimage import data

from restore.colorizers import Engine
from restore.merge import YuvForm
from restore.options import Era
from restore.video.color_frames import RUN_UP, WINDOW, ColoredFrame, ColorSettings, color_frames
from restore.video.film_memory import Memory
from restore.video.reader import Frame

FORM = YuvForm(full_range=False)
Chroma = tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]


class GuessingEngine:
    """Stands for the network: a colour that follows the picture's content, and counts how often it was asked."""

    size = 96
    batch = 4
    asked = 0

    def era_for(self, told: Era) -> Era | None:
        return None

    def predict(
        self, lumas: Sequence[npt.NDArray[np.float32]], eras: Sequence[Era] | None = None
    ) -> list[npt.NDArray[np.float32]]:
        assert eras is None
        self.asked += len(lumas)
        small = [cv2.resize(luma, (24, 24), interpolation=cv2.INTER_AREA) for luma in lumas]
        return [np.stack((40 * view - 20, 20 * np.sin(9 * view))).astype(np.float32) for view in small]


def film(count: int) -> list[Frame]:
    """Pans over three photos in turn, 37 frames each."""
    frames = []
    for index in range(count):
        name = ("coffee", "astronaut", "rocket")[index // 37 % 3]
        grey = cv2.resize(cv2.cvtColor(getattr(data, name)(), cv2.COLOR_RGB2GRAY), (160, 120))
        left = index % 37
        grain = np.random.default_rng(index).normal(0, 3, (96, 112))
        luma = np.clip(grey[10:106, left : left + 112] * 0.8 + 20 + grain, 0, 255).astype(np.uint8)
        frames.append(Frame(index, index * 512, luma, None, False))
    return frames


def worn(frames: list[Frame]) -> list[Frame]:
    """The same film with torn frames, flicker, a fade to black in each scene, and long black between two of them."""
    rng = np.random.default_rng(11)
    result = []
    for frame in frames:
        place, luma = frame.index % 37, frame.luma.astype(np.float32) - 16
        gain = 1 + 0.25 * rng.uniform(-1, 1) if 5 < place < 12 else 1.0
        if place > 22:
            gain = 0.85 ** (place - 22)
        luma = np.clip(16 + luma * gain, 16, 235)
        if place in (17, 18):
            luma[48:] = np.roll(luma[48:], 40, axis=1)
        if 100 <= frame.index < 140:
            luma[:] = 16
        result.append(replace(frame, luma=luma.astype(np.uint8)))
    return result


def run(frames: list[Frame], memory: Memory | None = None, **changes: object) -> list[ColoredFrame]:
    engine = changes.pop("engine", GuessingEngine())
    settings = {"form": FORM, "smooth": 0.8, "stride": 3, "keep_color": True, "jobs": 2} | changes
    return list(color_frames(iter(frames), cast(Engine, engine), ColorSettings(**settings), memory))  # type: ignore[arg-type]


@pytest.mark.parametrize("is_worn", [False, True])
def test_beginning_in_the_middle_gives_the_same_frames(is_worn: bool) -> None:
    frames = film(5 * WINDOW + 11)
    frames = worn(frames) if is_worn else frames
    whole = run(frames)
    assert [colored.look.frame.index for colored in whole] == list(range(len(frames)))
    assert any(colored.look.disturbed for colored in whole) == is_worn
    assert any(not colored.look.tone.is_even for colored in whole) == is_worn
    for start in (WINDOW, 2 * WINDOW, 3 * WINDOW, 4 * WINDOW):
        memory = Memory.from_json(json.loads(json.dumps(whole[start - 1].memory.as_json())))
        later = run(frames[start - RUN_UP :], memory)
        assert [colored.look.frame.index for colored in later] == list(range(start, len(frames)))
        for one, other in zip(whole[start:], later, strict=True):
            assert np.array_equal(one.ab, other.ab)
            assert np.array_equal(one.look.view, other.look.view)
            assert one.look.tone == other.look.tone
        assert json.dumps(whole[-1].memory.as_json()) == json.dumps(later[-1].memory.as_json())


def test_scenes_are_counted_and_the_network_is_asked_for_every_third_frame() -> None:
    engine = GuessingEngine()
    frames = film(111)
    colored = run(frames, engine=engine)
    assert [one.look.frame.index for one in colored if one.look.cut] == [0, 37, 74]
    assert colored[-1].memory.scene == 3
    assert 37 <= engine.asked <= 37 + 2


def test_without_smoothing_each_frame_is_what_the_network_says_of_it() -> None:
    frames = film(50)
    for one in run(frames, smooth=0.0):
        expected = GuessingEngine().predict([one.look.view])[0].transpose(1, 2, 0)
        assert np.allclose(one.ab, cv2.resize(expected, (96, 96), interpolation=cv2.INTER_LINEAR), atol=1e-4)


def test_scenes_in_colour_are_told_from_grey_and_toned_ones() -> None:
    """Three scenes: grey with neutral chroma planes, toned, and in colour after two dark frames."""
    photo = cv2.resize(data.coffee(), (112, 96), interpolation=cv2.INTER_AREA)
    planes = [np.ascontiguousarray(plane) for plane in cv2.split(cv2.cvtColor(photo, cv2.COLOR_RGB2YCrCb))]
    neutral = np.full((48, 56), 128, np.uint8)
    toned = (neutral - 12, neutral + 8)
    colorful = tuple(cv2.resize(plane, (56, 48), interpolation=cv2.INTER_AREA) for plane in (planes[2], planes[1]))
    frames: list[Frame] = []
    for index, frame in enumerate(film(111)):
        chroma = ((neutral, neutral), toned, colorful)[index // 37]
        luma = planes[0] if index >= 74 else frame.luma
        if index in (74, 75):
            luma, chroma = np.full_like(luma, 18), (neutral, neutral)
        frames.append(Frame(index, index, luma, cast(Chroma, chroma), False))
    kept = [one.memory.keeps for one in run(frames)]
    assert not any(kept[:74])
    assert all(kept[-30:])
    assert not any(one.memory.keeps for one in run(frames, keep_color=False))


def test_a_film_of_one_frame() -> None:
    assert len(run(film(1))) == 1
    assert run([]) == []
