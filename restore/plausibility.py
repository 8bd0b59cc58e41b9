"""Measures of what people complain about: purple where nothing is, too much of it, wrong hues, a wrong palette.

Colours are ab in Lab units, as `restore.metrics.reduced_ab` gives them. Accumulators take any number of pictures in
flat memory; shares are pooled over all pixels. docs/measures.md says what each figure tells, and how it can be fooled.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

Ab = npt.NDArray[np.float32]

MAGENTA_HUES = (-75.0, 15.0)  # degrees of atan2(b, a): violet over magenta to pink
MAGENTA_CHROMA = 18.0  # more than this is seen as a colour of its own
GREY_CHROMA = 10.0  # less than this is seen as grey, or nearly
COLOR_CHROMA = 15.0  # hues are compared where both have more
WRONG_HUE = 60.0  # degrees: red for yellow, yellow for green, blue for purple
SPOTTED_SHARE = 0.05  # of a picture's pixels: a picture with more false magenta is one that people point at

HUE_BINS = 20
CHROMA_EDGES = (4.0, 8.0, 12.0, 16.0, 24.0, 32.0, 48.0, 64.0, 96.0)
"""Between the ten bins of chroma: as wide as the eye tells steps, finer where pixels are many. Below the first all
hues are one: hue there is the noise of rounding to 8 bits."""

_CHROMA_BINS = len(CHROMA_EDGES) + 1
_CHROMA_STEP = 4.0  # of which all edges are multiples, so that a table tells a chroma's bin
_ROWS = np.searchsorted(CHROMA_EDGES, np.arange(CHROMA_EDGES[-1] / _CHROMA_STEP + 1) * _CHROMA_STEP, "right").astype(
    np.int32
)
_LIMIT = math.cos(math.radians(WRONG_HUE))


@dataclass(frozen=True)
class PlausibilityScores:
    """How believable results are, over a set of pictures.

    Args:
        false_magenta: share of pixels, in %, that are magenta where the original is grey or nearly.
        spotted: pictures of which more than 5 % is false magenta.
        magenta, original_magenta: share of pixels, in %, that are magenta at all, of the results and of the originals.
        wrong_hue: share of all pixels, in %, whose hue is more than 60° off where result and original have colour.
        palette_distance: Jensen–Shannon distance (root of the divergence, logarithm to base 2) between the joint
            histograms of hue and chroma of all results and of all originals: 0 for one palette, 1 for none in common.
    """

    false_magenta: float
    spotted: int
    magenta: float
    original_magenta: float
    wrong_hue: float
    palette_distance: float

    @property
    def magenta_ratio(self) -> float:
        """The results' magenta by the originals'; not a number where they have none."""
        return self.magenta / self.original_magenta if self.original_magenta else math.nan


class PlausibilityMeter:
    """Counts pixels of any number of pictures."""

    def __init__(self) -> None:
        self.pictures = 0
        self._pixels = 0
        self._false = 0
        self._spotted = 0
        self._wrong = 0
        self._magenta = np.zeros(2, np.int64)  # of originals and results
        self._palettes = np.zeros((2, _CHROMA_BINS * HUE_BINS), np.int64)

    def add(self, original_ab: Ab, result_ab: Ab) -> None:
        """Count a picture's pixels; (h, w, 2) in Lab units both.

        Raises:
            ValueError: they differ in shape.
        """
        if original_ab.shape != result_ab.shape or original_ab.shape[-1] != 2:
            raise ValueError(f"ab of shapes {original_ab.shape} and {result_ab.shape} can't be compared")
        original, result = _Colours(original_ab), _Colours(result_ab)
        false = int(np.count_nonzero(result.magenta & (original.chroma < GREY_CHROMA)))
        # The cosine of the angle between them, without its division.
        product = original.a * result.a + original.b * result.b
        coloured = (original.chroma > COLOR_CHROMA) & (result.chroma > COLOR_CHROMA)

        self.pictures += 1
        self._pixels += product.size
        self._false += false
        self._spotted += false > SPOTTED_SHARE * product.size
        self._wrong += int(np.count_nonzero(coloured & (product < _LIMIT * original.chroma * result.chroma)))
        for i, colours in enumerate((original, result)):
            self._magenta[i] += np.count_nonzero(colours.magenta)
            self._palettes[i] += np.bincount(colours.cells(), minlength=self._palettes.shape[1])

    def merge(self, other: PlausibilityMeter) -> None:
        """Count the pictures of `other` as well."""
        self.pictures += other.pictures
        self._pixels += other._pixels
        self._false += other._false
        self._spotted += other._spotted
        self._wrong += other._wrong
        self._magenta += other._magenta
        self._palettes += other._palettes

    def palettes(self) -> npt.NDArray[np.int64]:
        """Pixels of originals and results by chroma and hue, (2, 10, 20)."""
        return self._palettes.reshape(2, _CHROMA_BINS, HUE_BINS).copy()

    def scores(self) -> PlausibilityScores:
        """The figures so far. Raises ValueError before the first picture."""
        if not self._pixels:
            raise ValueError("no picture has been measured")
        percent = 100 / self._pixels
        return PlausibilityScores(
            false_magenta=self._false * percent,
            spotted=int(self._spotted),
            magenta=int(self._magenta[1]) * percent,
            original_magenta=int(self._magenta[0]) * percent,
            wrong_hue=self._wrong * percent,
            palette_distance=jensen_shannon_distance(*self._palettes),
        )

    def grey_scores(self) -> PlausibilityScores:
        """What results without any colour would have scored: only their palette is wrong."""
        grey = np.zeros_like(self._palettes[0])
        grey[0] = self._pixels
        distance = jensen_shannon_distance(self._palettes[0], grey)
        return replace(
            self.scores(), false_magenta=0.0, spotted=0, magenta=0.0, wrong_hue=0.0, palette_distance=distance
        )


class _Colours:
    """What is counted of a picture's colours, (h, w) each.

    Args:
        ab: (h, w, 2) in Lab units.
    """

    def __init__(self, ab: Ab) -> None:
        self.a, self.b = np.ascontiguousarray(ab[..., 0]), np.ascontiguousarray(ab[..., 1])
        self.chroma = np.sqrt(self.a * self.a + self.b * self.b)
        self.hue = np.arctan2(self.b, self.a) * np.float32(180 / math.pi)
        low, high = MAGENTA_HUES
        self.magenta = (self.chroma > MAGENTA_CHROMA) & (self.hue >= low) & (self.hue <= high)

    def cells(self) -> npt.NDArray[np.int32]:
        """Which bin of the palette each pixel is in, (pixels,)."""
        step = np.minimum((self.chroma.ravel() / _CHROMA_STEP).astype(np.int32), len(_ROWS) - 1)
        row = _ROWS[step]
        column = ((self.hue.ravel() + 180) * np.float32(HUE_BINS / 360)).astype(np.int32)
        column[column == HUE_BINS] = 0  # 180° is −180°
        return np.where(row == 0, 0, row * HUE_BINS + column)


def jensen_shannon_distance(first: npt.NDArray[np.int64], second: npt.NDArray[np.int64]) -> float:
    """Root of the Jensen–Shannon divergence, to base 2, of two histograms of one shape: 0 to 1 (Endres & Schindelin
    2003). Not a number where one is empty."""
    if not first.any() or not second.any():
        return math.nan
    p, q = first / first.sum(), second / second.sum()
    middle = (p + q) / 2
    return math.sqrt(max(0.0, (_divergence(p, middle) + _divergence(q, middle)) / 2))


def _divergence(p: npt.NDArray[np.float64], q: npt.NDArray[np.float64]) -> float:
    met = p > 0
    return float((p[met] * np.log2(p[met] / q[met])).sum())
