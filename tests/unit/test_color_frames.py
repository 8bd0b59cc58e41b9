"""The stages from frames to ab: a frame's result depends on the film alone, not on where work began."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import cv2
import numpy as np
import numpy.typing as npt
from skimage import data

from restore.colorizers import Engine
from restore.merge import YuvForm
from restore.video.color_frames import RUN_UP, WINDOW, ColoredFrame, ColorSettings, color_frames
from restore.video.continuity import Continuity
from restore.video.reader import Frame

FORM = YuvForm(full_range=False)
Chroma = tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]


class GuessingEngine:
    """Stands for the network: a colour that follows the picture's content, and counts how often it was asked."""

    size = 96
    batch = 4
    asked = 0

    def predict(self, lumas: Sequence[npt.NDArray[np.float32]]) -> list[npt.NDArray[np.float32]]:
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


def run(frames: list[Frame], memory: Continuity | None = None, **changes: object) -> list[ColoredFrame]:
    engine = changes.pop("engine", GuessingEngine())
    settings = {"form": FORM, "smooth": 0.8, "stride": 3, "keep_color": True, "jobs": 2} | changes
    return list(color_frames(iter(frames), cast(Engine, engine), ColorSettings(**settings), memory))  # type: ignore[arg-type]


def test_beginning_in_the_middle_gives_the_same_frames() -> None:
    frames = film(5 * WINDOW + 11)
    whole = run(frames)
    assert [colored.look.frame.index for colored in whole] == list(range(len(frames)))
    for start in (WINDOW, 3 * WINDOW):
        later = run(frames[start - RUN_UP :], whole[start - 1].memory)
        assert [colored.look.frame.index for colored in later] == list(range(start, len(frames)))
        for one, other in zip(whole[start:], later, strict=True):
            assert np.array_equal(one.ab, other.ab)
            assert one.memory.scene == other.memory.scene


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
