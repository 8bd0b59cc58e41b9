"""What a film remembers from scene to scene, so that what comes back has the colour it had.

A set-up (one camera position) is known by its luma on a coarse grid, and remembered with the ab that its first frame
was given on the same grid. While a scene still looks like its set-up, each cell's mean ab is drawn back to the
remembered one: that holds colours against slow drift, and gives a returning set-up its old colours, as in shot and
reverse shot. A cell takes part only as far as its luma is still the remembered one, so a pan or an actor crossing takes
no foreign colour over.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from restore.merge import FloatArray
from restore.video.packed import packed, unpacked

_GRID = 8
_MOST_SETUPS = 64
# Mean difference of the grids' luma, in levels of 255 and after matching brightness and contrast, up to which a new
# scene is a known set-up.
_ALIKE = 16.0
# Differences of luma over which a cell's, and the whole frame's, part falls to 1/e.
_CELL_SIGMA, _FRAME_SIGMA = 12.0, 16.0
_HOLD = 0.8
_MOST_SHIFT = 15.0  # Lab units: what is further away is another thing, not another shade


@dataclass(frozen=True)
class SetUp:
    """A camera position: luma (G, G) in levels of 255, ab (G, G, 2) in Lab units, and the scene that had it last."""

    luma: FloatArray
    ab: FloatArray
    scene: int


@dataclass(frozen=True)
class Continuity:
    """The memory after a frame; never changed, only replaced.

    Args:
        scene: number of the scene, from 1; 0 before the first frame.
        current: the scene's set-up.
        keeps: the scene is in colour already, and is left as it is.
    """

    setups: tuple[SetUp, ...] = ()
    scene: int = 0
    current: SetUp | None = None
    keeps: bool = False

    def begin(self, small: npt.NDArray[np.uint8], ab: FloatArray) -> Continuity:
        """A scene begins with this frame: (F, F) luma and its (F, F, 2) ab."""
        luma = _grid(small.astype(np.float32))
        number = self.scene + 1
        known = min(self.setups, key=lambda setup: _distance(setup.luma, luma), default=None)
        if known is not None and _distance(known.luma, luma) <= _ALIKE:
            others = tuple(setup for setup in self.setups if setup is not known)
            current = replace(known, scene=number)
        else:
            others = self.setups[-(_MOST_SETUPS - 1) :]  # in order of use: the one that was not seen longest goes
            current = SetUp(luma, _grid(ab), number)
        return Continuity((*others, current), number, current)

    def hold(self, small: npt.NDArray[np.uint8], ab: FloatArray) -> FloatArray:
        """The frame's ab, drawn back to its set-up's where it still shows the same."""
        if self.current is None:
            return ab
        change = np.abs(_matched(_grid(small.astype(np.float32)), self.current.luma) - self.current.luma)
        part = np.exp(-np.square(change / _CELL_SIGMA)) * np.exp(-np.square(change.mean() / _FRAME_SIGMA)) * _HOLD
        shift = np.clip(self.current.ab - _grid(ab), -_MOST_SHIFT, _MOST_SHIFT) * part[..., None]
        side = ab.shape[0]
        enlarged = cv2.resize(shift.astype(np.float32), (side, side), interpolation=cv2.INTER_LINEAR)
        return np.asarray(ab + enlarged, np.float32)

    def as_json(self) -> dict[str, Any]:
        """For the journal; `from_json` gives the very same back."""
        place = next((i for i, setup in enumerate(self.setups) if setup is self.current), None)
        setups = [{"luma": packed(setup.luma), "ab": packed(setup.ab), "scene": setup.scene} for setup in self.setups]
        return {"setups": setups, "scene": self.scene, "current": place, "keeps": self.keeps}

    @classmethod
    def from_json(cls, facts: dict[str, Any]) -> Continuity:
        """The inverse of `as_json`."""
        setups = tuple(
            SetUp(unpacked(entry["luma"]), unpacked(entry["ab"]), entry["scene"]) for entry in facts["setups"]
        )
        current = None if facts["current"] is None else setups[facts["current"]]
        return cls(setups, facts["scene"], current, facts["keeps"])


def _grid(values: FloatArray) -> FloatArray:
    return np.asarray(cv2.resize(values, (_GRID, _GRID), interpolation=cv2.INTER_AREA), np.float32)


def _matched(luma: FloatArray, model: FloatArray) -> FloatArray:
    """`luma` with the brightness and contrast of `model`, as far as exposure and fading may differ between takes."""
    gain = np.clip((model.std() + 1) / (luma.std() + 1), 0.7, 1.4)
    lift = np.clip(model.mean() - luma.mean() * gain, -40, 40)
    return np.asarray(luma * gain + lift, np.float32)


def _distance(known: FloatArray, luma: FloatArray) -> float:
    return float(np.abs(_matched(luma, known) - known).mean())
