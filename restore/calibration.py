"""Is a model as often wrong as it says? Measured ab error by bins of stated doubt, and their rank correlation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]

# Counts are kept by steps of both, in Lab units: flat memory for any number of pixels.
_STEP = 0.25
_STEPS = 600  # to 150; what is beyond counts as that
_GROUPS = 10


@dataclass(frozen=True)
class Group:
    """A tenth of the pixels, by doubt.

    Args:
        least, most: doubt at its ends, in Lab units; `most` of the last group may be more.
        stated: mean doubt.
        measured: mean distance of the guessed ab from the true one.
    """

    least: float
    most: float
    stated: float
    measured: float
    pixels: int


class Calibration:
    """Doubt and error of any number of pixels."""

    def __init__(self) -> None:
        self._counts = np.zeros((_STEPS, _STEPS), np.int64)  # doubt × error
        self._sums = np.zeros((_STEPS, 2))  # of doubt and of error, by doubt

    def add(self, doubt: FloatArray, error: FloatArray) -> None:
        """Count a picture's pixels; both (H, W) in Lab units."""
        rows, columns = ((values.ravel() / _STEP).astype(np.intp).clip(0, _STEPS - 1) for values in (doubt, error))
        cells = np.bincount(rows * _STEPS + columns, minlength=_STEPS**2)
        self._counts += cells.reshape(_STEPS, _STEPS)
        for i, values in enumerate((doubt, error)):
            self._sums[:, i] += np.bincount(rows, values.ravel().astype(np.float64), _STEPS)

    def groups(self) -> list[Group]:
        """Ten groups of about as many pixels, the surest first; fewer where doubts are alike."""
        pixels = self._counts.sum(axis=1)
        if not pixels.any():
            return []
        # Each step goes to the tenth that its middle pixel is in.
        middle = (np.cumsum(pixels) - pixels / 2) / pixels.sum()
        tenths = np.minimum((middle * _GROUPS).astype(np.intp), _GROUPS - 1)
        groups = []
        for tenth in range(_GROUPS):
            steps = np.flatnonzero((tenths == tenth) & (pixels > 0))
            if len(steps):
                count = int(pixels[steps].sum())
                stated, measured = self._sums[steps].sum(axis=0) / count
                groups.append(Group(steps[0] * _STEP, (steps[-1] + 1) * _STEP, stated, measured, count))
        return groups

    def rank_correlation(self) -> float:
        """Spearman's ρ over all pixels: 1 where errors are ordered as doubts, 0 where doubt says nothing."""
        total = self._counts.sum()
        if not total:
            return float("nan")
        doubt, error = (_ranks(self._counts.sum(axis=axis)) for axis in (1, 0))
        covariance = float(doubt @ self._counts @ error) / total
        spreads = [
            np.sqrt((self._counts.sum(axis=axis) @ np.square(r)) / total) for axis, r in ((1, doubt), (0, error))
        ]
        return covariance / float(spreads[0] * spreads[1]) if spreads[0] and spreads[1] else float("nan")


def _ranks(counts: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """The mean rank of each step's pixels, less the mean of all."""
    return np.cumsum(counts) - counts / 2 - counts.sum() / 2
