"""A worn film: the light falls, flickers and fades, frames are torn and flash. It stays one scene of one colour."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import av.video.stream
import cv2
import numpy as np
import numpy.typing as npt
import pytest
from skimage import data

from restore.options import EngineOptions, VideoOptions
from restore.video.film import describe
from restore.video.pipeline import restore_film
from restore.video.reader import Reader, plane_array

HEIGHT, WIDTH, FRAMES = 144, 192, 64
FALL, TORN, FLASH, FLICKER, FADE = range(8, 20), (24, 25), 28, range(32, 40), range(44, 64)
Floats = npt.NDArray[np.float64]


def worn(luma: Floats, number: int) -> Floats:
    """What has happened to a frame, (H, W) from 0 to 219."""
    if number in TORN:
        torn = luma.copy()
        torn[HEIGHT // 2 :] = np.roll(luma[HEIGHT // 2 :], WIDTH // 3, axis=1)
        return torn
    if number == FLASH:
        return luma * 1.6 + 40
    if number in FALL:
        return luma * (0.4 + 0.6 * abs(number - 13.5) / 6)
    if number in FLICKER:
        return luma * (0.75, 1.1)[number % 2]
    return luma * max(0.0, 1 - (number - FADE.start + 1) / 16) if number in FADE else luma


def write(path: Path, *, is_worn: bool) -> Path:
    photo = cv2.resize(cv2.cvtColor(data.coffee(), cv2.COLOR_RGB2GRAY), (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=Fraction(25))
        assert isinstance(stream, av.video.stream.VideoStream)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for number in range(FRAMES):
            luma = photo * 0.75 + 10 + np.random.default_rng(number).normal(0, 2, photo.shape)
            frame = av.VideoFrame(WIDTH, HEIGHT, "yuv420p")
            for plane in (1, 2):
                plane_array(frame, plane)[:] = 128
            shown = worn(luma, number) if is_worn else luma
            plane_array(frame, 0)[:] = np.clip(np.rint(16 + shown), 16, 235).astype(np.uint8)
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.fixture(scope="module")
def chroma(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Floats], list[Floats], int]:
    """(2, h, w) Cb and Cr of each frame, of the sound film and of the worn one, and the latter's scenes."""
    folder = tmp_path_factory.mktemp("worn")
    found, scenes = [], 0
    for name in ("sound", "worn"):
        path, output = write(folder / f"{name}.mkv", is_worn=name == "worn"), folder / f"{name}-out.mkv"
        result = restore_film(path, output, VideoOptions(codec="ffv1", pix_fmt="yuv420p"), EngineOptions(device="cpu"))
        assert result is not None
        scenes = result.scenes
        frames = Reader(describe(output)).frames()
        found.append([np.stack(frame.chroma).astype(float) - 128 for frame in frames if frame.chroma is not None])
    return found[0], found[1], scenes


def turn(one: Floats, other: Floats) -> float:
    """Degrees between two frames' hues, weighted by the lesser chroma."""
    angle = np.abs(np.arctan2(one[1], one[0]) - np.arctan2(other[1], other[0]))
    weight = np.minimum(np.hypot(*one), np.hypot(*other))
    return float(np.degrees((np.minimum(angle, 2 * np.pi - angle) * weight).sum() / weight.sum()))


def strength(planes: Floats) -> float:
    return float(np.hypot(*planes).mean())


def test_it_is_one_scene(chroma: tuple[list[Floats], list[Floats], int]) -> None:
    assert chroma[2] == 1


@pytest.mark.parametrize("frames", [FALL, (FLASH,), FLICKER, FADE[:10], (26, 30, 41)], ids=str)
def test_hue_does_not_move(chroma: tuple[list[Floats], list[Floats], int], frames: range) -> None:
    sound, damaged, _ = chroma
    assert strength(sound[0]) > 4
    for number in frames:
        assert turn(sound[number], damaged[number]) < 8, number


def test_the_sound_half_of_a_torn_frame_keeps_its_colour(chroma: tuple[list[Floats], list[Floats], int]) -> None:
    sound, damaged, _ = chroma
    for number in TORN:
        upper = np.s_[:, : HEIGHT // 4 - 6]
        assert np.abs(sound[number][upper] - damaged[number][upper]).mean() < 1


def test_chroma_falls_with_the_light_and_black_has_none(chroma: tuple[list[Floats], list[Floats], int]) -> None:
    sound, damaged, _ = chroma
    for number in FADE[:12]:
        light = 1 - (number - FADE.start + 1) / 16
        assert strength(damaged[number]) == pytest.approx(light * strength(sound[number]), rel=0.25, abs=0.3)
    for number in FADE[16:]:
        assert np.abs(damaged[number]).max() <= 1
