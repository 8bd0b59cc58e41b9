"""Measures of colour: PSNR, colourfulness, ab RMSE, AuC; films have more (`film_metrics`).

Pictures are 8-bit sRGB, (H, W, 3) uint8.

Protocol: PSNR and colourfulness at full size, averaged over pictures; ab measures with the short side reduced to 256 px
by area averaging (never enlarged), pooled over all pixels. Accumulators take any number of pictures in flat memory.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

import cv2
import numpy as np
import numpy.typing as npt

from restore.color import lab_from_array
from restore.plausibility import PlausibilityMeter, PlausibilityScores

Rgb = npt.NDArray[np.uint8]
Ab = npt.NDArray[np.float32]

PROTOCOL = (
    "8-bit sRGB; greyed as Pillow's L; PSNR and colourfulness at full size, mean over pictures; all else with the "
    "short side reduced to 256 px by area averaging (never enlarged), pooled over pixels: ab RMSE (over both "
    "channels), AuC; magenta: hue -75 to 15 degrees and chroma above 18, false where the original's is below 10; "
    "wrong hue: more than 60 degrees off where both chromas are above 15, of all pixels; palette distance: "
    "Jensen-Shannon, to base 2, of the joint histograms of 20 hues and 10 chromas"
)
AB_SHORT_SIDE = 256

_MAX_ERROR = 150  # the last threshold of AuC
_BIN_WIDTH = 10
_BIN_REACH = 11  # bins are centred on multiples of 10 from −110 to 110
_BIN_SIDE = 2 * _BIN_REACH + 1


def psnr(original: Rgb, result: Rgb) -> float:
    """Peak signal-to-noise ratio in dB over all channels (peak 255); infinite for equal pictures.

    Args:
        original, result: (H, W, 3) uint8 of one shape.
    """
    squares = squared_error(original, result)
    return math.inf if squares == 0 else 10 * math.log10(255**2 * original.size / squares)


def squared_error(original: Rgb, result: Rgb) -> float:
    """Summed over pixels and channels; (H, W, 3) uint8 of one shape."""
    _check_pair(original, result)
    return float(cv2.norm(original, result, cv2.NORM_L2SQR))


def colorfulness(rgb: Rgb) -> float:
    """Colourfulness of Hasler & Süsstrunk (2003): 0 for grey, about 30 to 60 for photos.

    √(σ²rg + σ²yb) + 0.3 √(μ²rg + μ²yb) with rg = R − G and yb = ½(R + G) − B, in levels of 255.
    """
    return _colorfulness(*_opponents(rgb))


def colorfulness_abs(rgb: Rgb) -> float:
    """The variant in the published code of DDColor and ColorMNet: the same with |rg| and |yb|. Its values are lower."""
    red_green, yellow_blue = _opponents(rgb)
    return _colorfulness(np.abs(red_green), np.abs(yellow_blue))


def _opponents(rgb: Rgb) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.int16]]:
    """R − G and *twice* yb, R + G − 2B, so that both are whole numbers."""
    red, green, blue = (channel.astype(np.int16) for channel in cv2.split(rgb))
    return red - green, red + green - 2 * blue


def _colorfulness(red_green: npt.NDArray[np.int16], doubled_yellow_blue: npt.NDArray[np.int16]) -> float:
    (mean_rg, std_rg), (mean_yb, std_yb) = (
        (float(mean[0, 0]), float(std[0, 0])) for mean, std in map(cv2.meanStdDev, (red_green, doubled_yellow_blue))
    )
    return math.hypot(std_rg, std_yb / 2) + 0.3 * math.hypot(mean_rg, mean_yb / 2)


def reduced_ab(rgb: Rgb) -> Ab:
    """ab in Lab units, (h, w, 2), of the picture with its short side reduced to 256 px by area averaging."""
    return lab_from_array(reduced(rgb))[..., 1:]


def reduced(picture: Rgb) -> Rgb:
    """(H, W) or (H, W, 3) uint8 with its short side reduced to 256 px by area averaging; never enlarged."""
    height, width = picture.shape[:2]
    scale = AB_SHORT_SIDE / min(height, width)
    if scale >= 1:
        return picture
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)


class AbErrors:
    """ab errors of any number of pictures, as a table of counts: ab bin of the original × error rounded up.

    Class rebalancing weighs a pixel by the inverse of its bin's share among all originals. That share is known only at
    the end, but it is the same for all pixels of a bin, so counts by bin are enough.
    """

    def __init__(self) -> None:
        self._counts = np.zeros((_BIN_SIDE**2, _MAX_ERROR + 2), np.int64)  # the last column: beyond 150
        self._squares = 0.0

    def add(self, original: Ab, result: Ab) -> None:
        """Count a picture's pixels; (h, w, 2) in Lab units both."""
        if original.shape != result.shape:
            raise ValueError(f"ab of shapes {original.shape} and {result.shape} can't be compared")
        squares = np.square(original - result).sum(axis=-1)
        self._squares += float(squares.sum(dtype=np.float64))
        column = np.minimum(np.ceil(np.sqrt(squares)), _MAX_ERROR + 1).astype(np.intp)
        grid = np.clip(np.rint(original / _BIN_WIDTH), -_BIN_REACH, _BIN_REACH).astype(np.intp) + _BIN_REACH
        row = grid[..., 0] * _BIN_SIDE + grid[..., 1]
        flat = (row * self._counts.shape[1] + column).ravel()
        self._counts += np.bincount(flat, minlength=self._counts.size).reshape(self._counts.shape)

    def merge(self, other: AbErrors) -> None:
        """Count the pixels of `other` as well."""
        self._counts += other._counts
        self._squares += other._squares

    def rmse(self) -> float:
        """Root of the squared error's mean over all pixels and both channels, in Lab units."""
        values = 2 * int(self._counts.sum())
        return math.sqrt(self._squares / values) if values else math.nan

    def auc(self) -> float:
        """Area under the share of pixels whose error is at most t, for t = 0 … 150, in % (Zhang et al. 2016)."""
        return _area(self._counts.sum(axis=0))

    def auc_rebalanced(self) -> float:
        """The same with each pixel weighted by the inverse of its ab bin's share: the mean over the bins met, in %."""
        met = self._counts[self._counts.sum(axis=1) > 0]
        return float(np.mean([_area(row) for row in met])) if len(met) else math.nan


def _area(counts: npt.NDArray[np.int64]) -> float:
    """Trapezoid area under the cumulative share at t = 0 … 150, in % of the most it can be."""
    total = counts.sum()
    if total == 0:
        return math.nan
    share = np.cumsum(counts)[: _MAX_ERROR + 1] / total
    return float(100 * (share[1:] + share[:-1]).sum() / 2 / _MAX_ERROR)


@dataclass(frozen=True)
class ColorScores:
    """Figures of one way of colouring over a set of pictures.

    Args:
        psnr: mean dB; infinite where a result equals its original.
        colorfulness: mean (Hasler & Süsstrunk).
        colorfulness_abs: mean of the |rg|, |yb| variant.
        ab_rmse: Lab units.
        auc, auc_rebalanced: %.
    """

    psnr: float
    colorfulness: float
    colorfulness_abs: float
    ab_rmse: float
    auc: float
    auc_rebalanced: float


@dataclass(frozen=True)
class PhotoScores:
    """What `PhotoMeter` measured; the figures depend on the pictures, so read `model` beside `grey`.

    Args:
        count: pictures measured.
        original_colorfulness, original_colorfulness_abs: means over the originals.
        grey: the baseline that adds no colour at all.
        plausibility, grey_plausibility: how believable the two are.
    """

    count: int
    model: ColorScores
    grey: ColorScores
    plausibility: PlausibilityScores
    grey_plausibility: PlausibilityScores
    original_colorfulness: float
    original_colorfulness_abs: float

    @property
    def colorfulness_percent(self) -> float:
        """The model's mean colourfulness in % of the originals'."""
        return 100 * self.model.colorfulness / self.original_colorfulness if self.original_colorfulness else math.nan


@dataclass
class _Tally:
    psnr: float = 0.0
    colorfulness: float = 0.0
    colorfulness_abs: float = 0.0
    errors: AbErrors = field(default_factory=AbErrors)

    def add(self, original: Rgb, original_ab: Ab, result: Rgb, result_ab: Ab) -> None:
        self.psnr += psnr(original, result)
        self.colorfulness += colorfulness(result)
        self.colorfulness_abs += colorfulness_abs(result)
        self.errors.add(original_ab, result_ab)

    def merge(self, other: _Tally) -> None:
        self.psnr += other.psnr
        self.colorfulness += other.colorfulness
        self.colorfulness_abs += other.colorfulness_abs
        self.errors.merge(other.errors)

    def scores(self, count: int) -> ColorScores:
        return ColorScores(
            psnr=self.psnr / count,
            colorfulness=self.colorfulness / count,
            colorfulness_abs=self.colorfulness_abs / count,
            ab_rmse=self.errors.rmse(),
            auc=self.errors.auc(),
            auc_rebalanced=self.errors.auc_rebalanced(),
        )


class PhotoMeter:
    """Compares coloured pictures with their originals, and an all-grey output beside them."""

    def __init__(self) -> None:
        self.count = 0
        self._model, self._grey = _Tally(), _Tally()
        self._plausibility = PlausibilityMeter()
        self._original, self._original_abs = 0.0, 0.0

    def add(self, original: Rgb, coloured: Rgb, luma: npt.NDArray[np.uint8] | None = None) -> None:
        """Measure one pair, (H, W, 3) uint8 each.

        Args:
            luma: (H, W), the grey that was coloured; None takes it from the original, as Pillow's L does.
        """
        _check_pair(original, coloured)
        grey = np.repeat((grey_of(original) if luma is None else luma)[..., None], 3, axis=2)
        original_ab, coloured_ab = reduced_ab(original), reduced_ab(coloured)
        self._model.add(original, original_ab, coloured, coloured_ab)
        self._grey.add(original, original_ab, grey, reduced_ab(grey))
        self._plausibility.add(original_ab, coloured_ab)
        self._original += colorfulness(original)
        self._original_abs += colorfulness_abs(original)
        self.count += 1

    def merge(self, other: PhotoMeter) -> None:
        """Count the pictures of `other` as well, which another process measured."""
        self._model.merge(other._model)
        self._grey.merge(other._grey)
        self._plausibility.merge(other._plausibility)
        self._original += other._original
        self._original_abs += other._original_abs
        self.count += other.count

    def scores(self) -> PhotoScores:
        """The figures so far. Raises ValueError before the first picture."""
        if self.count == 0:
            raise ValueError("no picture has been measured")
        return PhotoScores(
            count=self.count,
            model=self._model.scores(self.count),
            grey=self._grey.scores(self.count),
            plausibility=self._plausibility.scores(),
            grey_plausibility=self._plausibility.grey_scores(),
            original_colorfulness=self._original / self.count,
            original_colorfulness_abs=self._original_abs / self.count,
        )


def measure(pairs: Iterable[tuple[Rgb, Rgb]]) -> PhotoScores:
    """Scores of (original, coloured) pairs; see `PhotoMeter`."""
    meter = PhotoMeter()
    for original, coloured in pairs:
        meter.add(original, coloured)
    return meter.scores()


def grey_of(rgb: Rgb) -> npt.NDArray[np.uint8]:
    """Y′ of (H, W, 3), the very values of Pillow's `convert("L")` (its 16-bit fixed point, rounded)."""
    weights = np.array([19595, 38470, 7471], np.uint32)
    return ((rgb.astype(np.uint32) @ weights + 0x8000) >> 16).astype(np.uint8)


def _check_pair(original: Rgb, result: Rgb) -> None:
    if original.shape != result.shape or original.dtype != np.uint8 or result.dtype != np.uint8:
        raise ValueError(
            f"pictures of {original.shape} {original.dtype} and {result.shape} {result.dtype} can't be compared"
        )


_GREY_SPREAD = 8
_GREY_SHARE = 0.001


def is_grey(rgb: Rgb) -> bool:
    """Whether a picture, (H, W, 3), has no colour worth measuring, but for the noise of its encoding."""
    spread = rgb.max(axis=2) - rgb.min(axis=2)
    return bool(np.count_nonzero(spread > _GREY_SPREAD) <= _GREY_SHARE * spread.size)
