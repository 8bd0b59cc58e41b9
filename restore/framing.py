"""Where the picture is inside its borders: bars of films, scanner beds, margins, mounts, several nested ones.

Borders are taken off layer by layer, from outside inwards; where one is in doubt, the picture is left whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar, cast

import cv2
import numpy as np
import numpy.typing as npt

from restore.borders import SIDES, find_layer, step_after, turned

FloatArray = npt.NDArray[np.float32]
Luma = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]
Array = TypeVar("Array", bound=npt.NDArray[Any])

SIDE = 256
"""Longest side of the small luma in which borders are looked for; a border thinner than a pixel of it is not seen."""

_LAYERS = 4
# Pixels that may lie between borders: those that hold some of both, and a print's shadow on a scanner bed.
_SKIPS = (1, 4)
_MOST_FRAMES = 9


@dataclass(frozen=True)
class Area:
    """The picture inside its borders, as shares of height and width: 0 ≤ top < bottom ≤ 1, 0 ≤ left < right ≤ 1."""

    top: float = 0.0
    bottom: float = 1.0
    left: float = 0.0
    right: float = 1.0

    @property
    def is_whole(self) -> bool:
        """Whether there is no border."""
        return self == WHOLE

    def box(self, height: int, width: int) -> tuple[slice, slice]:
        """Its rows and columns in a picture of so many pixels, at least one of each."""
        top, left = min(round(self.top * height), height - 1), min(round(self.left * width), width - 1)
        return (
            slice(top, max(round(self.bottom * height), top + 1)),
            slice(left, max(round(self.right * width), left + 1)),
        )

    def of(self, picture: Array) -> Array:
        """The part of a picture (H, W, …) that lies in it: a view, no copy."""
        return cast(Array, picture[self.box(*picture.shape[:2])])


WHOLE = Area()


def find_area(views: Sequence[FloatArray]) -> Area:
    """The picture's area, cut to whole pixels of the views, so that none of the picture is lost.

    Args:
        views: small lumas (h, w) in [0, 1], of one still, or of a shot's frames, all of one size; of these the
            brightest decide.

    Returns:
        `WHOLE` where no border is certain.
    """
    frames = np.stack(_brightest(views))
    height, width = frames.shape[1:]
    found, outer = dict.fromkeys(SIDES, 0), None
    for _ in range(_LAYERS):
        rest = frames[:, found["top"] : height - found["bottom"], found["left"] : width - found["right"]]
        for skip in _SKIPS if any(found.values()) else (0,):
            depths, level = find_layer(rest, {side: skip * (found[side] > 0) for side in SIDES}, outer)
            if depths:
                break
        else:
            break
        found, outer = {side: found[side] + depths.get(side, 0) for side in SIDES}, level
    return Area(found["top"] / height, 1 - found["bottom"] / height, found["left"] / width, 1 - found["right"] / width)


def refined(area: Area, luma: Luma) -> Area:
    """The same area, its edges put where they are in the full-size luma. An edge that isn't clear there stays.

    Args:
        luma: (H, W), 8 or 16 bit.
    """
    for side in SIDES:
        area = replace(area, **{side: _refined_side(area, luma, side)})
    return area


def _refined_side(area: Area, luma: Luma, side: str) -> float:
    share = getattr(area, side)
    if share == getattr(WHOLE, side):
        return share
    # Along the edge, only what lies between its neighbours.
    across = side in ("left", "right")
    between = replace(area, left=0.0, right=1.0) if across else replace(area, top=0.0, bottom=1.0)
    rows = turned(between.of(luma), side)
    height, length = rows.shape
    depth = share if side in ("top", "left") else 1 - share
    edge, pixel = depth * height, height / SIDE
    # Soft edges are seen in a coarse picture only, sharp ones are placed in a fine one.
    while pixel > 1:
        finer = max(1.0, pixel / 4)
        first, last = max(0, round(edge - 2 * pixel)), min(height, round(edge + 3 * pixel))
        size = min(length, SIDE), max(1, round((last - first) / finer))
        window: npt.NDArray[Any] = np.ascontiguousarray(rows[first:last])
        small = cv2.resize(window, size, interpolation=cv2.INTER_AREA).astype(np.float32)
        small /= np.float32(np.iinfo(luma.dtype).max)
        found = step_after(small)
        if found is None:
            break
        edge = first + found * (last - first) / size[1]
        pixel = finer
    share = round(edge) / height
    return share if side in ("top", "left") else 1 - share


def _brightest(views: Sequence[FloatArray]) -> list[FloatArray]:
    """The brighter half, and of these so many, spread over time."""
    order = np.argsort([-float(view.mean()) for view in views], kind="stable")
    bright = np.sort(order[: (len(views) + 1) // 2])
    places = np.linspace(0, len(bright) - 1, min(len(bright), _MOST_FRAMES)).round().astype(int)
    return [views[place] for place in bright[places]]
