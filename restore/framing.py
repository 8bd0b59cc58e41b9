"""Where the picture is inside its borders: bars of films, scanner beds, margins, mounts, several nested ones.

A border is a run of even rows or columns from an outer edge inwards that ends in a straight step along its whole
length. That alone may be a sky over the sea, so it counts only with others of its tone: all around, on opposite sides,
or at a corner; a single one has to be thin and black. Where that is in doubt, the picture is left whole. Borders are
taken off layer by layer, from outside inwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar, cast

import cv2
import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]
Luma = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]
Array = TypeVar("Array", bound=npt.NDArray[Any])

SIDE = 256
"""Longest side of the small luma in which borders are looked for; a border thinner than a pixel of it is not seen."""

_SIDES = ("top", "bottom", "left", "right")


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

# Shares of the range of luma. What differs more from a border's tone than its noise explains is no border; of what is
# noisier than the most, nothing is said.
_LEAST_TOLERANCE, _MOST_TOLERANCE = 5 / 255, 16 / 255
_NOISE_REACH = 3.5
# What the step from border to picture is at least, beside the tolerance.
_LEAST_STEP = 8 / 255
# Two sides of the same border differ by no more, beside the tolerance.
_ALIKE = 2 / 255
# Borders are looked for in so much of height and width from each side.
_REACH = 0.45
# Pixels by which an edge may lean over its length, and between leans that are tried: an edge is as wide as three.
_LEAN, _LEAN_STEP = 6, 2
_LAYERS = 4
_LEAST_REFINED = 0.6  # of an edge, that is found again in the full-size luma
_LEAST_SIDE = 24  # pixels of what is left inside
_LEAST_EVEN = 0.8  # of the outermost row
_LEAST_LENGTH = 0.2  # of an edge, that there are steps at
_BLACK, _WHITE = 8 / 255, 250 / 255
# A single border is as dark as this, takes no more of the picture, and ends in such a step.
_DARK, _MOST_SINGLE, _LEAST_SINGLE = 16 / 255, 0.15, 30 / 255
_MOST_FRAMES = 9


@dataclass(frozen=True)
class _Tone:
    """What the outermost row of a side is like.

    Args:
        levels: (F,) median luma in each frame.
        tolerance: that far its pixels differ from it, by noise.
        share: of the row that does not differ more.
    """

    levels: FloatArray
    tolerance: float
    share: float

    @classmethod
    def of(cls, rows: FloatArray) -> _Tone:
        """Of (F, n)."""
        levels = _median(rows)
        deviation = np.abs(rows - levels[:, None])
        noise = 1.4826 * float(_median(deviation).mean())
        tolerance = min(max(_NOISE_REACH * noise, _LEAST_TOLERANCE), _MOST_TOLERANCE)
        return cls(levels, tolerance, float(np.count_nonzero(deviation <= tolerance)) / deviation.size)


@dataclass(frozen=True)
class _Edge:
    """Where a side's border ends.

    Args:
        depth: rows of border, where it is thinnest.
        lean: rows from one end of the edge to the other.
        support: share of its length where there is a step, of where there could be one.
        neutral: share of its length where the picture has the border's tone.
        even: share of the border's pixels that have its tone.
        step: median difference between border and picture.
    """

    depth: int
    lean: int
    support: float
    neutral: float
    even: float
    step: float


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
    found = dict.fromkeys(_SIDES, 0)
    for _ in range(_LAYERS):
        rest = frames[:, found["top"] : height - found["bottom"], found["left"] : width - found["right"]]
        layer = _layer(rest, {side: int(found[side] > 0) for side in _SIDES})
        if not any(layer.values()):
            break
        found = {side: found[side] + layer[side] for side in _SIDES}
    return Area(found["top"] / height, 1 - found["bottom"] / height, found["left"] / width, 1 - found["right"] / width)


def refined(area: Area, luma: Luma) -> Area:
    """The same area, its edges put where they are in the full-size luma. An edge that isn't clear there stays.

    Args:
        luma: (H, W), 8 or 16 bit.
    """
    for side in _SIDES:
        area = replace(area, **{side: _refined_side(area, luma, side)})
    return area


def _refined_side(area: Area, luma: Luma, side: str) -> float:
    share = getattr(area, side)
    if share == getattr(WHOLE, side):
        return share
    # Along the edge, only what lies between its neighbours.
    across = side in ("left", "right")
    between = replace(area, left=0.0, right=1.0) if across else replace(area, top=0.0, bottom=1.0)
    rows = _turned(between.of(luma), side)
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
        tone = _Tone.of(small[None, 0])
        found = _edge(np.abs(small - tone.levels[0]), tone.tolerance, _LEAN)
        if found is None or found.support < _LEAST_REFINED:
            break
        edge = first + found.depth * (last - first) / size[1]
        pixel = finer
    share = round(edge) / height
    return share if side in ("top", "left") else 1 - share


def _brightest(views: Sequence[FloatArray]) -> list[FloatArray]:
    """The brighter half, and of these so many, spread over time."""
    order = np.argsort([-float(view.mean()) for view in views], kind="stable")
    bright = np.sort(order[: (len(views) + 1) // 2])
    places = np.linspace(0, len(bright) - 1, min(len(bright), _MOST_FRAMES)).round().astype(int)
    return [views[place] for place in bright[places]]


def _layer(frames: FloatArray, skips: dict[str, int]) -> dict[str, int]:
    """Rows of the outermost border at each side, 0 where there is none.

    Args:
        frames: (F, h, w).
        skips: rows at each side that are part of an outer border.
    """
    none = dict.fromkeys(_SIDES, 0)
    if min(frames.shape[1:]) < _LEAST_SIDE:
        return none
    tones = {side: _Tone.of(_turned(frames, side)[:, skips[side]]) for side in _SIDES}
    even = sorted((side for side in _SIDES if tones[side].share >= _LEAST_EVEN), key=lambda side: tones[side].tolerance)
    while even:
        first = tones[even[0]]
        alike = [side for side in even if np.abs(tones[side].levels - first.levels).mean() <= first.tolerance + _ALIKE]
        even = [side for side in even if side not in alike]
        depths = _around(frames, {side: tones[side] for side in alike}, skips)
        if depths:
            return none | depths
    return none


def _around(frames: FloatArray, tones: dict[str, _Tone], skips: dict[str, int]) -> dict[str, int]:
    """Rows of border at the sides that have these tones, of those where it is certain."""
    levels = np.mean([tone.levels for tone in tones.values()], axis=0)
    tolerance = max(tone.tolerance for tone in tones.values())
    deviation = np.abs(frames - levels[:, None, None])
    # A torn frame of several has no say.
    deviation = deviation[0] if len(deviation) == 1 else np.sort(deviation, axis=0)[-2 if len(deviation) > 2 else -1]
    height, width = deviation.shape
    edges: dict[str, _Edge] = {}
    # Twice: where a side's edge ends at those of its neighbours is known only then.
    for _ in range(2):
        for side in tones:
            cut = {other: edges[other].depth if other in edges and other != side else 0 for other in _SIDES}
            part = deviation[cut["top"] : height - cut["bottom"], cut["left"] : width - cut["right"]]
            part = _turned(part, side)
            reach = int(_REACH * (height if side in ("top", "bottom") else width))
            edge = _edge(part[skips[side] : reach], tolerance, _LEAN)
            if edge is not None:
                edges[side] = replace(edge, depth=edge.depth + skips[side])
            else:
                edges.pop(side, None)
        if not edges:
            return {}
    certain = _certain(edges, float(levels.mean()), (height, width))
    return {side: edges[side].depth for side in certain}


def _edge(deviation: FloatArray, tolerance: float, most_lean: int) -> _Edge | None:
    """The straight step at which a side's border ends; None where there is none.

    Args:
        deviation: (h, n) difference from the border's tone, with the side at the first row.
        tolerance: of the border's own pixels.
        most_lean: rows that it may lean by.
    """
    length = deviation.shape[1]
    even = deviation <= tolerance
    differs = tolerance + max(_LEAST_STEP, tolerance)
    # The pixel between may hold some of both.
    ends = even[:-2] & ~even[1:-1] & (deviation[2:] > differs)
    rows, places = np.divmod(np.flatnonzero(ends), length)
    if len(rows) < _LEAST_LENGTH * length:
        return None
    along = places / length - 0.5
    most, middle, lean = 0.0, 0, 0
    for tried in range(-most_lean, most_lean + 1, _LEAN_STEP):
        counts = np.bincount(np.rint(rows - tried * along + most_lean).astype(np.intp), minlength=3)
        near = np.convolve(counts, (1, 1, 1), "same")
        place = int(near.argmax())
        score = near[place] - 0.01 * abs(tried)  # of equals, the one that leans least
        if score > most:
            most, middle, lean = score, place - most_lean, tried
    line = np.rint(middle + lean * (np.arange(length) / length - 0.5)).astype(np.intp)
    near_line = np.abs(rows - line[places]) <= 1
    rows, places = rows[near_line], places[near_line]
    depth = int(np.median(rows - line[places])) + int(line.min()) + 1
    found = np.zeros(length, bool)
    found[places] = True
    inside = (line + np.arange(-1, 5)[:, None]).clip(0, len(deviation) - 1)
    steps = np.take_along_axis(deviation, inside, 0)
    neutral = (steps <= differs).all(axis=0) & ~found
    possible = length - int(np.count_nonzero(neutral))
    if depth < 1 or possible < _LEAST_LENGTH * length:
        return None
    return _Edge(
        depth,
        lean,
        int(np.count_nonzero(found)) / possible,
        1 - possible / length,
        float(np.count_nonzero(even[:depth])) / (depth * length),
        float(np.median(steps[3][found])),
    )


def _certain(edges: dict[str, _Edge], level: float, shape: tuple[int, int]) -> set[str]:
    """The sides at which there is a border, beyond doubt.

    Args:
        level: tone of the border.
        shape: height and width within it.
    """

    def having(support: float, even: float, neutral: float) -> set[str]:
        return {
            side
            for side, edge in edges.items()
            if edge.support >= support and edge.even >= even and edge.neutral <= neutral
        }

    around = having(0.6, 0.8, 0.6)
    if len(around) >= 3:
        return around
    # Where black or white bars are, dark or bright parts of the picture end without a step.
    neutral = 0.5 if level <= _BLACK or level >= _WHITE else 0.25
    opposite = having(0.7, 0.9, neutral)
    if opposite in ({"top", "bottom"}, {"left", "right"}):
        return opposite
    corner = having(0.85, 0.95, neutral)
    if len(corner) == 2:
        return corner
    single = {
        side
        for side in having(0.9, 0.97, neutral)
        if edges[side].depth <= _MOST_SINGLE * shape[side in ("left", "right")] and edges[side].step >= _LEAST_SINGLE
    }
    return single if len(single) == 1 and level <= _DARK else set()


def _turned(planes: Array, side: str) -> Array:
    """Planes (…, h, w) so that the side's outermost row is the first."""
    if side in ("left", "right"):
        planes = planes.swapaxes(-1, -2)
    return cast(Array, planes[..., ::-1, :]) if side in ("bottom", "right") else planes


def _median(rows: FloatArray) -> FloatArray:
    """Of (F, n) along n; numpy's own takes ten times as long for so few."""
    middle = rows.shape[1] // 2
    return np.asarray(np.partition(rows, middle, axis=1)[:, middle], np.float32)
