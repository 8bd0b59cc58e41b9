"""Cuts, told from small luma frames alone."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import cv2
import numpy as np
import numpy.typing as npt

Item = TypeVar("Item")
Small = npt.NDArray[np.uint8]

_SIDE = 24
_BINS = 32
# Levels of 255: film grain and gate weave stay below.
_LEAST_STEP = 10.0
# A cut stands out from the steps beside it. Pans and fast action don't, nor do flashes, which are two steps in a row.
_ABOVE_NEIGHBOURS = 2.5
# Share of the histogram that changes; a pan keeps most of it.
_LEAST_HISTOGRAM_STEP = 0.15


@dataclass(frozen=True)
class _Look:
    """What frames are compared by."""

    small: npt.NDArray[np.float32]
    histogram: npt.NDArray[np.float64]

    def step_from(self, before: _Look) -> float:
        """How much has changed: mean difference in levels, 0 where the histogram has hardly moved."""
        moved = 0.5 * float(np.abs(self.histogram - before.histogram).sum())
        return float(np.abs(self.small - before.small).mean()) if moved >= _LEAST_HISTOGRAM_STEP else 0.0


def _look(frame: Small) -> _Look:
    small = cv2.resize(frame, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    counts = np.bincount(frame.ravel() // (256 // _BINS), minlength=_BINS)
    return _Look(np.asarray(small, np.float32), counts / frame.size)


def mark_cuts(frames: Iterable[tuple[Item, Small]]) -> Iterator[tuple[Item, bool]]:
    """Each item, and whether its frame begins a scene: the first one does, a dissolve does not. Holds one frame back.

    Args:
        frames: an item of any kind with its luma, (F, F) uint8.
    """
    held: tuple[Item, _Look] | None = None
    step_before, step_held = 0.0, math.inf
    for item, luma in frames:
        look = _look(luma)
        if held is not None:
            step = look.step_from(held[1])
            yield held[0], _is_cut(step_before, step_held, step)
            step_before, step_held = step_held if math.isfinite(step_held) else 0.0, step
        held = item, look
    if held is not None:
        yield held[0], _is_cut(step_before, step_held, 0.0)


def _is_cut(before: float, step: float, after: float) -> bool:
    return step >= max(_LEAST_STEP, _ABOVE_NEIGHBOURS * before, _ABOVE_NEIGHBOURS * after)
