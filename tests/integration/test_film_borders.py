"""A film with bars is coloured as the picture between them would be by itself, and the bars stay neutral."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import av.video.stream
import cv2
import numpy as np
import pytest
from skimage import data

from restore.metrics import reduced_ab
from restore.options import EngineOptions, VideoOptions
from restore.video.film import describe
from restore.video.pipeline import restore_film
from restore.video.reader import Reader, plane_array
from restore.video.rgb import rgb_from_planes

HEIGHT, WIDTH = 192, 256
FRAMES = 40


def write(path: Path, bars: tuple[int, int]) -> Path:
    """Two shots, grey, with bars of so many pixels above and below, and at the sides."""
    down, across = bars
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=Fraction(25))
        assert isinstance(stream, av.video.stream.VideoStream)
        stream.width, stream.height, stream.pix_fmt = WIDTH + 2 * across, HEIGHT + 2 * down, "yuv420p"
        for number in range(FRAMES):
            photo = data.coffee() if number < FRAMES // 2 else data.astronaut()
            grey = cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY)[60:, 40 + number :][:HEIGHT, :WIDTH].astype(np.float32)
            grain = np.random.default_rng(number).normal(0, 3, grey.shape)
            frame = av.VideoFrame(stream.width, stream.height, "yuv420p")
            for plane, value in enumerate((16, 128, 128)):
                plane_array(frame, plane)[:] = value
            inside = plane_array(frame, 0)[down : down + HEIGHT, across : across + WIDTH]
            inside[:] = np.clip(16 + 219 / 255 * (grey + grain), 16, 235).astype(np.uint8)
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("bars", [(36, 0), (0, 48)])
def test_colours_inside_are_those_of_the_cropped_film(tmp_path: Path, bars: tuple[int, int]) -> None:
    down, across = bars
    options = VideoOptions(codec="ffv1", pix_fmt="yuv420p")
    engine = EngineOptions(device="cpu")
    films = []
    for name, size in (("boxed", bars), ("cropped", (0, 0))):
        path = write(tmp_path / f"{name}.mkv", size)
        restore_film(path, tmp_path / f"{name}-out.mkv", options, engine)
        films.append(describe(tmp_path / f"{name}-out.mkv"))
    form = films[0].form
    chroma = 0.0
    for boxed, cropped in zip(*(Reader(film).frames() for film in films), strict=True):
        assert boxed.chroma is not None and cropped.chroma is not None
        for plane in boxed.chroma:
            outside = plane.copy()
            outside[down // 2 : (down + HEIGHT) // 2, across // 2 : (across + WIDTH) // 2] = 128
            assert (outside == 128).all()
        inside, alone = (rgb_from_planes((frame.luma, *frame.chroma), form) for frame in (boxed, cropped))  # type: ignore[misc]
        one, other = reduced_ab(inside[down : down + HEIGHT, across : across + WIDTH].copy()), reduced_ab(alone.copy())
        away = np.hypot(*np.moveaxis(one - other, 2, 0))
        assert away.mean() < 0.5 and np.percentile(away, 99) < 2
        chroma += float(np.hypot(*np.moveaxis(other, 2, 0)).mean()) / FRAMES
    assert chroma > 4
