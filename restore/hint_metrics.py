"""Does a model do what it is told? Random hints of an original's true colours, and how far results are from them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from restore.color import lab_from_array
from restore.hints import Hint, draw_hints, inside

Rgb = npt.NDArray[np.uint8]
FloatArray = npt.NDArray[np.float32]


def random_hints(original: Rgb, count: int, size: int, seed: tuple[int, ...]) -> FloatArray:
    """Hints at uniform places, each the mean of the original's ab in its disc.

    Args:
        original: (H, W, 3) uint8.
        size: of the square that the model sees.

    Returns:
        (3, size, size), as `draw_hints` gives them.
    """
    height, width = original.shape[:2]
    ab = _small_ab(original, size)
    hints = []
    for x, y in np.random.default_rng(seed).random((count, 2)).tolist():
        a, b = ab[inside(x, y, Hint.radius, size, height, width)].mean(axis=0).tolist()
        hints.append(Hint(x, y, (a, b)))
    return draw_hints(hints, size, height, width)


@dataclass
class HintMeter:
    """How far results are from what was told, over the pixels of any number of pictures, as the model sees them.

    Args:
        pixels: that were told a color.
        error: sum over them of the distance of ab between what was told and the result, in Lab units.
        chroma: sum of the colors' chroma, which is an all-grey result's distance.
    """

    pixels: int = 0
    error: float = 0.0
    chroma: float = 0.0

    def add(self, hints: FloatArray, result: Rgb) -> None:
        """Count a picture.

        Args:
            hints: (3, S, S), as `draw_hints` gives them.
            result: (H, W, 3) uint8.
        """
        told = hints[2] > 0
        colors = hints[:2, told].T
        self.pixels += len(colors)
        self.error += float(np.linalg.norm(_small_ab(result, hints.shape[1])[told] - colors, axis=1).sum())
        self.chroma += float(np.linalg.norm(colors, axis=1).sum())

    @property
    def mean_error(self) -> float:
        """Mean distance in Lab units; not finite where nothing was told."""
        return self.error / self.pixels if self.pixels else math.nan

    @property
    def mean_chroma(self) -> float:
        """The same of an all-grey result."""
        return self.chroma / self.pixels if self.pixels else math.nan


def _small_ab(rgb: Rgb, size: int) -> FloatArray:
    """ab in Lab units, (size, size, 2), of a picture squeezed into a square by area averaging."""
    return lab_from_array(np.asarray(cv2.resize(rgb, (size, size), interpolation=cv2.INTER_AREA), np.uint8))[..., 1:]
