"""Cuts, told from small luma frames alone, and frames that something has happened to: torn ones, flashes, blank ones.

A cut must hold: where one of the next frames shows again what was there before, the frames between are disturbed, and
the shot goes on. A frame that stands alone between two shots is disturbed as well, and counts to the first of them.
"""

from __future__ import annotations

import statistics
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import Any, TypeVar

import cv2
import numpy as np
import numpy.typing as npt

from restore.video.packed import packed, unpacked

Item = TypeVar("Item")
Small = npt.NDArray[np.uint8]

AHEAD = 3
"""Frames that are looked at beyond one, to tell what it is."""

_SIDE, _COARSE = 48, 24
_BINS = 32
# Levels of 255: film grain and gate weave stay below.
_LEAST_STEP, _LEAST_DISTURBANCE = 10.0, 6.0
# A cut stands out from the steps around it. Pans and fast action don't.
_ABOVE_NEIGHBOURS = 2.5
# So does a frame that something has happened to, though less: half a frame may be as it should be.
_ABOVE_MOVES = 1.3
# Share of the histogram that changes; a pan keeps most of it.
_LEAST_HISTOGRAM_STEP = 0.15
# What is left of a step when a shot is back where it was.
_BACK = 0.4
# Correlation from which on two frames show the same, and by how much of the frame they may be shifted.
_ALIKE, _SHIFT = 0.8, 6
# Spread of luma in levels below which nothing is to be seen, and after how many such frames the shot is over.
_BLANK, _MOST_BLANK = 2.5, 3


class _Look:
    """What frames are compared by.

    Args:
        small: (48, 48) uint8.
    """

    def __init__(self, small: Small) -> None:
        self.small = small

    @classmethod
    def of(cls, frame: Small) -> _Look:
        return cls(np.asarray(cv2.resize(frame, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA), np.uint8))

    @cached_property
    def coarse(self) -> npt.NDArray[np.float32]:
        return np.asarray(cv2.resize(self.small, (_COARSE, _COARSE), interpolation=cv2.INTER_AREA), np.float32)

    @cached_property
    def histogram(self) -> npt.NDArray[np.float64]:
        return np.bincount(self.small.ravel() // (256 // _BINS), minlength=_BINS) / self.small.size

    @cached_property
    def blank(self) -> bool:
        return float(self.small.std()) < _BLANK

    def difference(self, other: _Look) -> float:
        """Mean difference in levels."""
        return float(np.abs(self.coarse - other.coarse).mean())

    def step_from(self, before: _Look) -> float:
        """How much has changed, 0 where the histogram has hardly moved."""
        moved = 0.5 * float(np.abs(self.histogram - before.histogram).sum())
        return self.difference(before) if moved >= _LEAST_HISTOGRAM_STEP else 0.0

    def is_like(self, other: _Look) -> bool:
        """Whether both show the same, whatever the exposure, and somewhat shifted."""
        if self.blank or other.blank:
            return self.blank and other.blank
        middle = self.small[_SHIFT:-_SHIFT, _SHIFT:-_SHIFT]
        return float(cv2.matchTemplate(other.small, middle, cv2.TM_CCOEFF_NORMED).max()) >= _ALIKE


@dataclass(frozen=True)
class SceneState:
    """What is remembered after a frame.

    Args:
        last: (48, 48) uint8, the last frame that was neither disturbed nor blank; None before the first frame.
        steps, moves: the last changes from one such frame to the next, as `step_from` and `difference` tell them.
        disturbed, blank: how many such frames there were in a row.
    """

    last: Small | None = None
    steps: tuple[float, ...] = ()
    moves: tuple[float, ...] = ()
    disturbed: int = 0
    blank: int = 0

    def as_json(self) -> dict[str, Any]:
        """For the journal; `from_json` gives the very same back."""
        return {
            "last": packed(self.last),
            "steps": self.steps,
            "moves": self.moves,
            "disturbed": self.disturbed,
            "blank": self.blank,
        }

    @classmethod
    def from_json(cls, facts: dict[str, Any]) -> SceneState:
        """The inverse of `as_json`."""
        return cls(
            unpacked(facts["last"]), tuple(facts["steps"]), tuple(facts["moves"]), facts["disturbed"], facts["blank"]
        )


@dataclass(frozen=True)
class Mark:
    """What a frame is.

    Args:
        cut: it begins a scene.
        disturbed: something has happened to it, or nothing is to be seen in it: its shot goes on beside it.
        state: after it.
    """

    cut: bool
    disturbed: bool
    state: SceneState


def mark_scenes(frames: Iterable[tuple[Item, Small]], state: SceneState | None = None) -> Iterator[tuple[Item, Mark]]:
    """Each item, and what its frame is: the first one begins a scene, a dissolve does not. Holds `AHEAD` frames back.

    Args:
        frames: an item of any kind with its luma, (F, F) uint8.
        state: after the frame before, where this is not the film's first.
    """
    state = state or SceneState()
    waiting: deque[tuple[Item, _Look]] = deque()
    for item, luma in frames:
        waiting.append((item, _Look.of(luma)))
        if len(waiting) > AHEAD:
            mark = _mark([look for _, look in waiting], state)
            yield waiting.popleft()[0], mark
            state = mark.state
    while waiting:
        mark = _mark([look for _, look in waiting], state)
        yield waiting.popleft()[0], mark
        state = mark.state


def _mark(looks: list[_Look], state: SceneState) -> Mark:
    """Of the first of these frames."""
    look, following = looks[0], looks[1:]
    if state.last is None:
        return _good(look, state)
    last = _Look(state.last)
    if look.blank:
        return Mark(False, True, replace(state, blank=state.blank + 1))
    if state.blank > _MOST_BLANK:
        return _good(look, state, last if look.is_like(last) else None)
    away = look.difference(last)
    if away < max(_LEAST_DISTURBANCE, _ABOVE_MOVES * statistics.median(state.moves or (0.0,))):
        return _good(look, state, last)
    if any(one.difference(last) <= _BACK * away for one in following):
        return _disturbed(state)
    if look.is_like(last):
        return _good(look, state, last)
    if any(one.is_like(last) for one in following if not one.blank):
        return _disturbed(state)
    if not _stands_out(look, following, last, state):
        return _good(look, state, last)
    holds = not following or following[0].step_from(look) < _LEAST_STEP or following[0].is_like(look)
    if holds or state.disturbed >= AHEAD:
        return _good(look, state)
    return _disturbed(state)


def _stands_out(look: _Look, following: list[_Look], last: _Look, state: SceneState) -> bool:
    step = look.step_from(last)
    after = [other.step_from(one) for one, other in pairwise([look, *following])]
    neighbours = (statistics.median(steps) for steps in (state.steps, after) if steps)
    return step >= max(_LEAST_STEP, *(_ABOVE_NEIGHBOURS * neighbour for neighbour in neighbours), 0.0)


def _good(look: _Look, state: SceneState, last: _Look | None = None) -> Mark:
    """A frame that goes on from the last one, or without one begins a scene."""
    if last is None:
        return Mark(True, False, SceneState(look.small))
    steps, moves = (*state.steps, look.step_from(last)), (*state.moves, look.difference(last))
    return Mark(False, False, SceneState(look.small, steps[-AHEAD:], moves[-AHEAD:]))


def _disturbed(state: SceneState) -> Mark:
    return Mark(False, True, replace(state, disturbed=state.disturbed + 1))
