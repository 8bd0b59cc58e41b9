"""One colour for what does not move: what each place of a shot was given on average, for as long as it stays in place.

A place takes part as far as its luma, and that around it, is still what was remembered. What passes before it takes its
own colours, and what was hidden gets its old ones back. Where the camera moves, hardly anything is in place, and
nothing is held.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from restore.merge import FloatArray
from restore.video.packed import packed, unpacked

_GRID = 48
# Difference of luma, averaged over so many cells around, over which a place's part falls to 1/e.
_SIGMA, _AROUND = 5.0, 5
# Shares of the places in place, from where on they are held, and from where on entirely.
_FEW, _MANY = 0.3, 0.6
_HOLD = 0.95
_MOST_SHIFT = 20.0  # Lab units: what is further away is another thing, not another shade
# Frames that a place's first colour counts for, being a mean over time already, and that its memory counts for at most.
_FIRST, _MOST = 72.0, 480.0
# What is left of a memory after each frame in which its place shows something else.
_KEPT = 0.97
_FOLLOW = 0.05  # share by which the remembered luma moves towards the frame's


@dataclass(frozen=True)
class Places:
    """What is remembered of a shot's places; never changed, only replaced.

    Args:
        luma: (G, G) in levels of 255.
        ab: (G, G, 2) in Lab units.
        frames: (G, G), how many each place's colour is the mean of.
    """

    luma: FloatArray
    ab: FloatArray
    frames: FloatArray

    @classmethod
    def begin(cls, small: npt.NDArray[np.uint8], ab: FloatArray) -> Places:
        """With a shot's first frame: (F, F) luma and (F, F, 2) ab."""
        return cls(_grid(small.astype(np.float32)), _grid(ab), np.full((_GRID, _GRID), _FIRST, np.float32))

    def hold(self, small: npt.NDArray[np.uint8], ab: FloatArray) -> tuple[FloatArray, Places]:
        """A frame's ab with the colours that its places had, and what is remembered after it."""
        luma, now = _grid(small.astype(np.float32)), _grid(ab)
        change = cv2.blur(np.abs(luma - self.luma), (_AROUND, _AROUND), borderType=cv2.BORDER_REFLECT)
        in_place = np.exp(-np.square(change / _SIGMA))
        held = np.float32(min(1.0, max(0.0, (float(in_place.mean()) - _FEW) / (_MANY - _FEW))))
        shift = np.clip(self.ab - now, -_MOST_SHIFT, _MOST_SHIFT) * (in_place * held * np.float32(_HOLD))[..., None]
        side = ab.shape[0]
        enlarged = cv2.resize(shift, (side, side), interpolation=cv2.INTER_LINEAR)
        return np.asarray(ab + enlarged, np.float32), self._after(luma, now, in_place)

    def _after(self, luma: FloatArray, ab: FloatArray, in_place: FloatArray) -> Places:
        frames = self.frames * (np.float32(_KEPT) + np.float32(1 - _KEPT) * in_place)
        is_new = frames < 1
        frames = np.minimum(frames + in_place, np.float32(_MOST))
        part = np.where(is_new, 1, in_place / np.maximum(frames, 1)).astype(np.float32)
        follow = np.where(is_new, 1, in_place * np.float32(_FOLLOW)).astype(np.float32)
        return Places(
            self.luma + (luma - self.luma) * follow,
            self.ab + (ab - self.ab) * part[..., None],
            np.where(is_new, 1, frames).astype(np.float32),
        )

    def as_json(self) -> dict[str, Any]:
        """For the journal; `from_json` gives the very same back."""
        return {"luma": packed(self.luma), "ab": packed(self.ab), "frames": packed(self.frames)}

    @classmethod
    def from_json(cls, facts: dict[str, Any]) -> Places:
        """The inverse of `as_json`."""
        return cls(unpacked(facts["luma"]), unpacked(facts["ab"]), unpacked(facts["frames"]))


def _grid(values: FloatArray) -> FloatArray:
    return np.asarray(cv2.resize(values, (_GRID, _GRID), interpolation=cv2.INTER_AREA), np.float32)
