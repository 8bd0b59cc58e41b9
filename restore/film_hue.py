"""How far colour moves where nothing does but the light: at places that are followed through a shot, and where the
exposure of a film is changed on purpose.

Frames are 8-bit sRGB, (H, W, 3) uint8; ab are in Lab units.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import cv2
import numpy as np
import numpy.typing as npt

from restore.metrics import Ab, Rgb, reduced_ab

FloatArray = npt.NDArray[np.float32]
Sums = npt.NDArray[np.float64]
Luma = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]

PROTOCOL = (
    "drift: places 16 px apart at that size, each the mean of 9 × 9 px, followed by the same flow while they are "
    "visible, 5 frames or more; hue: circular standard deviation of a place's hue, weighted by chroma; ab: root mean "
    "square distance to the place's own mean; disturbed: the film is coloured again with its exposure changed in 36 of "
    "60 frames (fall, flash, flicker, fade) and two frames torn; hue and ab between these frames and the undisturbed "
    "result with the same done to its RGB, hue weighted by the lesser chroma"
)

_PLACE = 16
_BOX = 9
_LEAST_FRAMES = 5


@dataclass(frozen=True)
class Step:
    """The motion from a frame to the next one.

    Args:
        onward: (h, w, 2), by how much each pixel of the earlier frame moves, x and y.
        visible: (h, w) bool, what of the later frame was to be seen in the earlier one.
    """

    onward: FloatArray
    visible: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Drift:
    """How far places stray from their own mean.

    Args:
        hue: degrees; NaN where nothing was followed, or nothing has colour.
        ab: Lab units; NaN where nothing was followed.
    """

    hue: float
    ab: float


class DriftMeter:
    """Drift of several colourings of one film at the same places, in flat memory.

    The hue's spread at a place is that of circular statistics (Mardia & Jupp 2000), √(−2 ln R), with each frame
    weighted by its chroma: R is the length of the sum of all ab, by the sum of their lengths.
    """

    def __init__(self, colourings: int) -> None:
        # Of the places that are followed now: a, b, chroma, its square, and the count of frames.
        self._sums: list[Sums] = []
        self._at = self._home = np.zeros((0, 2), np.float32)
        # Of those that were: chroma, chroma × spread, square of the distance, frames.
        self._totals = [np.zeros(4) for _ in range(colourings)]

    def add(self, colourings: Sequence[Ab], step: Step | None) -> None:
        """The next frame: (h, w, 2) for each colouring.

        Args:
            step: from the frame before; None at a cut and for the first frame.
        """
        if step is None or not len(self._home):
            self._close(np.ones(len(self._home), np.bool_))
            self._begin(colourings)
        else:
            self._close(self._move(step))
        x, y = np.rint(self._at).astype(np.intp).T
        for sums, ab in zip(self._sums, colourings, strict=True):
            a, b = cv2.blur(ab, (_BOX, _BOX), borderType=cv2.BORDER_REPLICATE)[y, x].T.astype(np.float64)
            sums += np.stack((a, b, np.hypot(a, b), a * a + b * b, np.ones_like(a)), axis=1)

    def drifts(self) -> list[Drift]:
        """Of each colouring, up to now."""
        results = []
        for number, sums in enumerate(self._sums or [np.zeros((0, 5))] * len(self._totals)):
            chroma, spread, squares, frames = self._totals[number] + _summary(sums)
            hue = math.degrees(spread / chroma) if chroma > 0 else math.nan
            results.append(Drift(hue, math.sqrt(squares / frames) if frames else math.nan))
        return results

    def _begin(self, colourings: Sequence[Ab]) -> None:
        height, width = colourings[0].shape[:2]
        columns, rows = (np.arange(min(_PLACE // 2, side - 1), side, _PLACE) for side in (width, height))
        self._home = np.stack(np.meshgrid(columns, rows), axis=-1).reshape(-1, 2).astype(np.float32)
        self._at = self._home.copy()
        self._sums = [np.zeros((len(self._home), 5)) for _ in colourings]

    def _move(self, step: Step) -> npt.NDArray[np.bool_]:
        """Take all places onward; which of them have been lost."""
        height, width = step.visible.shape
        x, y = np.rint(self._at).astype(np.intp).T
        self._at = self._at + step.onward[y, x]
        x, y = np.rint(self._at).astype(np.intp).T
        inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
        return ~(inside & step.visible[y.clip(0, height - 1), x.clip(0, width - 1)])

    def _close(self, lost: npt.NDArray[np.bool_]) -> None:
        """Count what was followed up to here, and begin anew where each place was at first."""
        for totals, sums in zip(self._totals, self._sums, strict=False):
            totals += _summary(sums[lost])
            sums[lost] = 0
        self._at[lost] = self._home[lost]


def _summary(sums: Sums) -> Sums:
    """Chroma, chroma × spread, squares and frames, summed up over the places that were followed for long enough."""
    a, b, chroma, squares, frames = sums[sums[:, 4] >= _LEAST_FRAMES].T
    length = np.hypot(a, b)
    share = np.clip(length / np.maximum(chroma, 1e-9), 1e-9, 1)
    spread = np.sqrt(-2 * np.log(share))
    away = np.maximum(squares - length * length / np.maximum(frames, 1), 0)
    return np.array([chroma.sum(), (chroma * spread).sum(), away.sum(), frames.sum()])


# What is done to a film on purpose, in each stretch of so many frames.
_PERIOD = 60
_FALL, _TORN, _FLASH, _FLICKER, _FADE = range(8, 20), (24, 25), (30,), range(34, 44), range(48, 60)
_DARKEST, _FADED = 0.35, 0.1


def is_disturbed(index: int) -> bool:
    """Whether something is done to a frame."""
    return _gain(index) != 1 or index % _PERIOD in _TORN


def _gain(index: int) -> float:
    place = index % _PERIOD
    if place in _FALL:
        way = 1 - abs(2 * (place - _FALL.start + 0.5) / len(_FALL) - 1)  # there and back
        return 1 - (1 - _DARKEST) * way
    if place in _FLICKER:
        return 0.7 if place % 2 else 1.15
    if place in _FADE:
        return _FADED ** ((place - _FADE.start + 1) / len(_FADE))
    return 2.0 if place in _FLASH else 1.0


def disturb(picture: Luma, index: int, black: int = 0, white: int = 255) -> Luma:
    """A frame as a worn film or its copying machine would have made it: of another exposure, or torn.

    Args:
        picture: (H, W) luma or (H, W, 3) RGB.
        black, white: levels that exposure leaves, and that it ends at.
    """
    gain = _gain(index)
    if gain != 1:
        exposed = np.clip((picture.astype(np.float32) - black) * np.float32(gain) + black, 0, white)
        return cast(Luma, np.rint(exposed).astype(picture.dtype))
    if index % _PERIOD in _TORN:
        torn = picture.copy()
        half = picture.shape[0] // 2
        torn[half:] = np.roll(picture[half:], picture.shape[1] // 4, axis=1)
        return torn
    return picture


@dataclass(frozen=True)
class Shift:
    """Between a disturbed frame and what it should be, summed over pixels.

    Args:
        hue: degrees × weight.
        weight: the lesser chroma, in Lab units.
        ab: distance in Lab units.
    """

    hue: float = 0.0
    weight: float = 0.0
    ab: float = 0.0
    pixels: int = 0

    def __add__(self, other: Shift) -> Shift:
        return Shift(self.hue + other.hue, self.weight + other.weight, self.ab + other.ab, self.pixels + other.pixels)

    def means(self) -> tuple[float, float]:
        """Degrees, and Lab units; NaN of nothing."""
        return (
            self.hue / self.weight if self.weight else math.nan,
            self.ab / self.pixels if self.pixels else math.nan,
        )


NO_SHIFT = Shift()


def shift_between(undisturbed: Rgb, disturbed: Rgb, index: int) -> Shift:
    """How far the colour of a disturbed frame is from that of the undisturbed one with the same done to it."""
    due = reduced_ab(np.asarray(disturb(undisturbed, index), np.uint8))
    found = reduced_ab(disturbed)
    weight = np.minimum(np.hypot(due[..., 0], due[..., 1]), np.hypot(found[..., 0], found[..., 1]))
    turn = np.abs(np.arctan2(found[..., 1], found[..., 0]) - np.arctan2(due[..., 1], due[..., 0]))
    turn = np.degrees(np.minimum(turn, 2 * np.pi - turn))
    away = np.hypot(*cv2.split(found - due))
    return Shift(
        float((turn * weight).sum(dtype=np.float64)),
        float(weight.sum(dtype=np.float64)),
        float(away.sum(dtype=np.float64)),
        weight.size,
    )
