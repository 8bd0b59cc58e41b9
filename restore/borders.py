"""What a border is: even rows or columns at a picture's outer edge that end in a straight step along their length.

That alone may be a sky over the sea, so it counts only with others of its tone: all around, on opposite sides, or at a
corner; a single one has to be thin and black. Where there is doubt, there is no border.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, TypeVar, cast

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]
Array = TypeVar("Array", bound=npt.NDArray[Any])

SIDES = ("top", "bottom", "left", "right")

# Shares of the range of luma. What differs more from a border's tone than its noise explains is no border; of what is
# noisier than the most, nothing is said.
_LEAST_TOLERANCE, _MOST_TOLERANCE = 5 / 255, 16 / 255
_NOISE_REACH = 3.5
# What the step from border to picture is at least, beside the tolerance.
_LEAST_STEP = 8 / 255
# Two sides of the same border differ by no more, beside the tolerance; of one that is lit unevenly, by no more.
_ALIKE, _SHADED = 2 / 255, 16 / 255
# Borders are looked for in so much of height and width from each side.
_REACH = 0.45
# Pixels by which an edge may lean over its length, and between leans that are tried: an edge is as wide as three.
_LEAN, _LEAN_STEP = 10, 2
_LEAST_SUPPORT = 0.5  # of one edge at least, before more is asked
_LEAST_REFINED = 0.6  # of the length of an edge that is placed anew
_LEAST_SIDE = 24  # pixels of what is left inside
_LEAST_EVEN = 0.8  # of the outermost row
_LEAST_LENGTH = 0.2  # of an edge, that there are steps at
_BLACK, _WHITE = 8 / 255, 250 / 255
# A single border is as dark as this, takes no more of the picture, and ends in such a step.
_DARK, _MOST_SINGLE, _LEAST_SINGLE = 16 / 255, 0.15, 30 / 255
# A border that takes more than this, and twice what its neighbours take, has to be clear.
_DEEP = 0.06


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
        tolerance = _tolerance(deviation)
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
        beside: share of the row along the edge that has it, or nearly so.
        step: median difference between border and picture.
    """

    depth: int
    lean: int
    support: float
    neutral: float
    even: float
    beside: float
    step: float


@dataclass(frozen=True)
class _Border:
    """What may be a border: sides whose outermost rows are even, and of one tone.

    Args:
        deviation: (h, w) how far the picture is from that tone.
        tolerance: so far the border's own pixels are.
        level: the tone.
    """

    sides: list[str]
    deviation: FloatArray
    tolerance: float
    level: float


def find_layer(frames: FloatArray, skips: dict[str, int], outer: float | None) -> tuple[dict[str, int], float]:
    """Rows of the outermost border at each side that has one, and its tone.

    Args:
        frames: (F, h, w).
        skips: rows at each side that are part of an outer border.
        outer: the tone of that.
    """
    if min(frames.shape[1:]) >= _LEAST_SIDE:
        for border in _possible(frames, skips):
            edges = _edges(border, skips)
            certain = _certain(edges, border, outer)
            if certain:
                return {side: edges[side].depth for side in certain}, border.level
    return {}, 0.0


def _possible(frames: FloatArray, skips: dict[str, int]) -> Iterator[_Border]:
    tones = {side: _Tone.of(turned(frames, side)[:, skips[side]]) for side in SIDES}
    even = sorted((side for side in SIDES if tones[side].share >= _LEAST_EVEN), key=lambda side: tones[side].tolerance)
    while even:
        first = tones[even[0]]
        apart = {side: float(np.abs(tones[side].levels - first.levels).mean()) for side in even}
        same = [side for side in even if apart[side] <= first.tolerance + _ALIKE]
        shaded = [side for side in even if apart[side] <= _SHADED]
        if len(shaded) > len(same):
            yield _shaded_border(frames, shaded, tones, skips)
        levels = np.mean([tones[side].levels for side in same], axis=0)
        tolerance = max(tones[side].tolerance for side in same)
        yield _Border(same, _over_time(np.abs(frames - levels[:, None, None])), tolerance, float(levels.mean()))
        even = [side for side in even if side not in same]


def _shaded_border(frames: FloatArray, sides: list[str], tones: dict[str, _Tone], skips: dict[str, int]) -> _Border:
    """One whose tone changes evenly over the picture, as a scanner's light does."""
    height, width = frames.shape[1:]
    y, x = np.mgrid[-0.5 : 0.5 : height * 1j, -0.5 : 0.5 : width * 1j].astype(np.float32)
    places = np.stack((x, y, np.ones_like(x)))
    rows, at = [], []
    for side in sides:
        row = turned(frames, side)[:, skips[side]]
        typical = (np.abs(row - tones[side].levels[:, None]) <= tones[side].tolerance).mean(axis=0) > 0.5
        rows.append(row[:, typical])
        at.append(turned(places, side)[:, skips[side], typical])
    values, where = np.concatenate(rows, axis=1), np.concatenate(at, axis=1)
    planes = np.linalg.lstsq(where.T, values.T, rcond=None)[0].T.astype(np.float32)
    deviations = np.abs(frames - np.tensordot(planes, places, 1))
    return _Border(
        sides, _over_time(deviations), _tolerance(np.abs(values - planes @ where)), float(planes[:, 2].mean())
    )


def _over_time(deviations: FloatArray) -> FloatArray:
    """(F, h, w) to (h, w): what is even is so in all frames, but a torn one has no say."""
    if len(deviations) == 1:
        return deviations[0]
    return np.asarray(np.sort(deviations, axis=0)[-2 if len(deviations) > 2 else -1], np.float32)


def _edges(border: _Border, skips: dict[str, int]) -> dict[str, _Edge]:
    """Where the border ends at each of its sides, as far as it does."""
    height, width = border.deviation.shape
    edges: dict[str, _Edge] = {}
    # Twice: where a side's edge ends at those of its neighbours is known only then.
    for _ in range(2):
        for side in border.sides:
            cut = {other: edges[other].depth if other in edges and other != side else 0 for other in SIDES}
            part = border.deviation[cut["top"] : height - cut["bottom"], cut["left"] : width - cut["right"]]
            reach = int(_REACH * (height if side in ("top", "bottom") else width))
            edge = _edge(turned(part, side)[skips[side] : reach], border.tolerance, _LEAN)
            if edge is not None:
                edges[side] = replace(edge, depth=edge.depth + skips[side])
            else:
                edges.pop(side, None)
        if max((edge.support for edge in edges.values()), default=0.0) < _LEAST_SUPPORT:
            return {}
    return edges


def _edge(deviation: FloatArray, tolerance: float, most_lean: int) -> _Edge | None:
    """The straight step at which a side's border ends; None where there is none.

    Args:
        deviation: (h, n) difference from the border's tone, with the side at the first row.
        tolerance: of the border's own pixels.
        most_lean: rows that it may lean by.
    """
    length = deviation.shape[1]
    even = deviation <= tolerance
    differs = tolerance + _LEAST_STEP
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
        float(np.count_nonzero(steps[0] <= differs)) / length,
        float(np.median(steps[3][found])),
    )


def step_after(rows: FloatArray) -> int | None:
    """Rows of border before the step that is known to be in these.

    Args:
        rows: (h, n) luma in [0, 1], border in the first.

    Returns:
        None where the step is not clear.
    """
    tone = _Tone.of(rows[None, 0])
    edge = _edge(np.abs(rows - tone.levels[0]), tone.tolerance, _LEAN)
    return None if edge is None or edge.support < _LEAST_REFINED else edge.depth


def _certain(edges: dict[str, _Edge], border: _Border, outer: float | None) -> set[str]:
    """The sides at which there is a border, beyond doubt.

    Args:
        outer: tone of the border around this one.
    """
    level, shape = border.level, border.deviation.shape

    def having(support: float, even: float, neutral: float) -> set[str]:
        return {
            side
            for side, edge in edges.items()
            if edge.support >= support and edge.even >= even and edge.beside >= 0.9 and edge.neutral <= neutral
        }

    # Perforations and writing are not of the border's tone.
    around = having(0.6, 0.65, 0.6)
    if len(around) >= 3:
        return around - _too_deep({side: edges[side] for side in around}, shape)
    # Where black or white bars are, dark or bright parts of the picture end without a step.
    pure = level <= _BLACK or level >= _WHITE
    for pair in ({"top", "bottom"}, {"left", "right"}):
        depths = [edges[side].depth for side in pair & around]
        if len(depths) == 2 and max(depths) - min(depths) <= 1 + 0.1 * max(depths):
            return pair
        if pair <= having(0.7, 0.9, 0.5 if pure else 0.25):
            return pair
    corner = having(0.8, 0.97, 0.5 if pure else 0.35)
    if len(corner) == 2:
        return corner
    single = {
        side
        for side in having(0.9, 0.97, 0.5)
        if edges[side].depth <= _MOST_SINGLE * shape[side in ("left", "right")]
        and edges[side].step >= _LEAST_SINGLE
        and not edges[side].lean
    }
    # One inside another goes on behind a print's shadow.
    goes_on = outer is not None and abs(level - outer) <= _SHADED
    return single if len(single) == 1 and (level <= _DARK or goes_on) else set()


def _too_deep(edges: dict[str, _Edge], shape: tuple[int, ...]) -> set[str]:
    """The side whose border goes on into a sky or a floor of the same tone, for all that can be told."""
    shares = {side: edge.depth / shape[side in ("left", "right")] for side, edge in edges.items()}
    second, deepest = sorted(shares, key=lambda side: shares[side])[-2:]
    edge = edges[deepest]
    clear = edge.support >= 0.95 and abs(edge.lean) <= _LEAN_STEP
    return {deepest} if shares[deepest] > max(_DEEP, 2 * shares[second]) and not clear else set()


def turned(planes: Array, side: str) -> Array:
    """Planes (…, h, w) so that the side's outermost row is the first."""
    if side in ("left", "right"):
        planes = planes.swapaxes(-1, -2)
    return cast(Array, planes[..., ::-1, :]) if side in ("bottom", "right") else planes


def _tolerance(deviations: FloatArray) -> float:
    """What the noise of a border explains, given absolute deviations (F, n) from its tone."""
    noise = 1.4826 * float(_median(deviations).mean())
    return min(max(_NOISE_REACH * noise, _LEAST_TOLERANCE), _MOST_TOLERANCE)


def _median(rows: FloatArray) -> FloatArray:
    """Of (F, n) along n; numpy's own takes ten times as long for so few."""
    middle = rows.shape[1] // 2
    return np.asarray(np.partition(rows, middle, axis=1)[:, middle], np.float32)
