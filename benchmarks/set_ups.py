"""Shot and reverse shot: how far a set-up's colours drift when a film comes back to it, with and without the memory.

    python benchmarks/set_ups.py [CLIP…]

Photos become set-ups, which a film cuts between in turn. Every return has other grain, another exposure and another
framing. Three films are made: with a still camera, with one that pans the same way each time, and with one that pans
on from where it was. As it is known where each frame lies in its photo, the same places are compared: each return with
the set-up's first shot. Colour clips that are given are cut into shots, and shown in turn; of those only mean colours
can be compared, as it is not known what moves in them.

Printed are means over the returns: the shift of ab in Lab units, and the change of hue in degrees (of what has colour)
and of chroma.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from unittest import mock

import cv2
import numpy as np
import numpy.typing as npt
from common import PHOTOS
from skimage import data

from restore.colorizers import Engine
from restore.merge import YuvForm
from restore.options import EngineOptions
from restore.video.color_frames import ColorSettings, color_frames
from restore.video.continuity import Continuity
from restore.video.film import describe
from restore.video.pipeline import load_film_engine
from restore.video.reader import Frame, Reader

FloatArray = npt.NDArray[np.float32]

WIDTH, HEIGHT = 640, 360
FORM = YuvForm(full_range=False)
SHOT = 40  # frames
RETURNS = 4
WORLD = 48  # cells a side of a photo
GRAIN = 4.0
LEAST_CHROMA = 8.0  # Lab units: below, hue means nothing


@dataclass(frozen=True)
class View:
    """Where a frame lies in its set-up's picture, in shares of it."""

    setup: int
    visit: int
    left: float
    top: float
    width: float


# From the visit and the time in the shot, 0 to 1, to where the frame lies: left, top and width in shares of the photo.
Camera = Callable[[int, float], tuple[float, float, float]]


def still(visit: int, time: float) -> tuple[float, float, float]:
    return 0.1 + 0.01 * visit, 0.12 - 0.01 * visit, 0.75


def pan(visit: int, time: float) -> tuple[float, float, float]:
    return 0.02 + 0.22 * time + 0.01 * visit, 0.1 + 0.04 * time, 0.72


def pan_onward(visit: int, time: float) -> tuple[float, float, float]:
    """There and back over several shots."""
    place = (0.6 * (visit + time)) % 2
    return 0.02 + 0.26 * (place if place <= 1 else 2 - place), 0.1, 0.7


def film(camera: Camera) -> Iterator[tuple[Frame, View]]:
    rng = np.random.default_rng(0)
    photos = [cv2.cvtColor(getattr(data, name)(), cv2.COLOR_RGB2GRAY).astype(np.float32) for name in PHOTOS]
    for number in range((1 + RETURNS) * len(photos) * SHOT):
        shot, place = divmod(number, SHOT)
        visit, setup = divmod(shot, len(photos))
        photo = photos[setup]
        left, top, width = camera(visit, place / SHOT)
        view = View(setup, visit, left, top, width)
        high, wide = photo.shape
        scale = WIDTH / (width * wide)
        matrix = np.array([[scale, 0, -left * wide * scale], [0, scale, -top * high * scale]])
        grey = cv2.warpAffine(photo, matrix, (WIDTH, HEIGHT), flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REFLECT)
        exposed = grey * (1 + 0.04 * ((visit * 7) % 5 - 2)) + rng.normal(0, GRAIN, grey.shape)
        luma = np.clip(16 + 219 / 255 * exposed, 16, 235).astype(np.uint8)
        yield Frame(number, number, luma, None, False), view


def places(ab: FloatArray, view: View, photo_shape: tuple[int, ...]) -> FloatArray:
    """(WORLD, WORLD, 2): the frame's ab at places of its photo, NaN outside the frame."""
    high, wide = photo_shape[:2]
    side = ab.shape[0]
    x = ((np.arange(WORLD) + 0.5) / WORLD - view.left) / view.width * side
    y = ((np.arange(WORLD) + 0.5) / WORLD - view.top) * high / (view.width * wide * HEIGHT / WIDTH) * side
    grid = np.meshgrid(x.astype(np.float32), y.astype(np.float32))
    found = cv2.remap(ab, grid[0] - 0.5, grid[1] - 0.5, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    outside = (grid[0] < 0) | (grid[0] >= side) | (grid[1] < 0) | (grid[1] >= side)
    found[outside] = np.nan
    return np.asarray(found, np.float32)


def drift(first: FloatArray, later: FloatArray) -> tuple[float, float, float]:
    """Shift of ab, change of hue and of chroma between two pictures (…, 2) of the same places."""
    seen = np.isfinite(first).all(-1) & np.isfinite(later).all(-1)
    one, other = first[seen], later[seen]
    chroma = [np.hypot(picture[:, 0], picture[:, 1]) for picture in (one, other)]
    angle = np.degrees(np.arctan2(other[:, 1], other[:, 0]) - np.arctan2(one[:, 1], one[:, 0]))
    angle = np.abs((angle + 180) % 360 - 180)[np.minimum(*chroma) > LEAST_CHROMA]
    shift = float(np.hypot(*(other - one).T).mean())
    return shift, float(angle.mean()) if len(angle) else 0.0, float(np.abs(chroma[1] - chroma[0]).mean())


def colored(frames: Iterator[Frame], engine: Engine, form: YuvForm, smooth: float) -> Iterator[FloatArray]:
    settings = ColorSettings(form, smooth, 3, keep_color=False, jobs=2)
    return (frame.ab for frame in color_frames(frames, engine, settings))


def of_photos(camera: Camera, engine: Engine, smooth: float) -> list[tuple[float, float, float]]:
    """Drift of each return."""
    shapes = [getattr(data, name)().shape for name in PHOTOS]
    views: list[View] = []

    def noted() -> Iterator[Frame]:
        for frame, view in film(camera):
            views.append(view)
            yield frame

    shots: dict[tuple[int, int], list[FloatArray]] = {}
    for number, ab in enumerate(colored(noted(), engine, FORM, smooth)):
        view = views[number]
        shots.setdefault((view.setup, view.visit), []).append(places(ab, view, shapes[view.setup]))
    with np.errstate(all="ignore"):
        means = {shot: mean_of(found) for shot, found in shots.items()}
    return [drift(means[setup, 0], mean) for (setup, visit), mean in means.items() if visit]


def mean_of(pictures: list[FloatArray]) -> FloatArray:
    """Over the pictures in which a place is seen; NaN where it is in none."""
    stack = np.stack(pictures)
    seen = np.isfinite(stack)
    return np.asarray(np.where(seen, stack, 0).sum(0) / np.where(seen.any(0), seen.sum(0), np.nan), np.float32)


def of_clips(clips: list[Path], engine: Engine, smooth: float) -> list[tuple[float, float, float]]:
    """Drift of the mean colour of each return. The clips are brought to one size, and only their luma is used."""
    shots: list[list[FloatArray]] = []
    setups: list[int] = []
    readers = [(describe(clip).form, Reader(describe(clip)).frames()) for clip in clips]

    def frames() -> Iterator[Frame]:
        number = 0
        for _ in range(1 + RETURNS):
            for setup, (form, reader) in enumerate(readers):
                for frame in islice(reader, SHOT):
                    grey = 16 + 219 * form.normalise(cv2.resize(frame.luma, (WIDTH, HEIGHT)) / np.float32(255))
                    setups.append(setup)
                    yield Frame(number, number, grey.clip(0, 255).astype(np.uint8), None, False)
                    number += 1

    for number, ab in enumerate(colored(frames(), engine, FORM, smooth)):
        if number == 0 or setups[number] != setups[number - 1]:
            shots.append([])
        shots[-1].append(ab.mean((0, 1))[None])
    means = [np.mean(shot, axis=0) for shot in shots]
    of_shots = [setups[sum(len(shot) for shot in shots[:place])] for place in range(len(shots))]
    firsts = {setup: of_shots.index(setup) for setup in set(of_shots)}
    return [drift(means[firsts[setup]], means[place]) for place, setup in enumerate(of_shots) if place != firsts[setup]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", nargs="*", type=Path, metavar="CLIP", help="colour clips, two or more, 8 bit")
    parser.add_argument("--model", default="default")
    parser.add_argument("--smooth", type=float, default=0.8)
    arguments = parser.parse_args()
    if len(arguments.clips) == 1:
        parser.error("one clip has no reverse shot: give two or more")
    # One dtype for all runs: the engine's choice by speed may differ between them.
    engine = load_film_engine(EngineOptions(model=arguments.model, dtype="float32"))
    films: dict[str, Callable[[], list[tuple[float, float, float]]]] = {
        "still camera": lambda: of_photos(still, engine, arguments.smooth),
        "same pan": lambda: of_photos(pan, engine, arguments.smooth),
        "pan onward": lambda: of_photos(pan_onward, engine, arguments.smooth),
    }
    if arguments.clips:
        films["clips"] = lambda: of_clips(arguments.clips, engine, arguments.smooth)
    print(f"{'':14}{'without: ab':>12}{'hue':>7}{'chroma':>8}{'with: ab':>12}{'hue':>7}{'chroma':>8}")
    for name, measure in films.items():
        with mock.patch.object(Continuity, "hold", lambda self, small, ab: ab):
            without = np.mean(measure(), axis=0)
        kept = np.mean(measure(), axis=0)
        figures = "".join(f"{one[0]:12.2f}{one[1]:6.1f}°{one[2]:8.2f}" for one in (without, kept))
        print(f"{name:14}{figures}", flush=True)


if __name__ == "__main__":
    main()
