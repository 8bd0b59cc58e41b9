"""Measures of coloured films: what colour does from frame to frame, and how far it is from the original's.

Frames are 8-bit sRGB, (H, W, 3) uint8. Meters take any number of frames in flat memory.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from restore.film_hue import NO_SHIFT, DriftMeter, Shift, Step
from restore.film_hue import PROTOCOL as _HUE_PROTOCOL
from restore.metrics import Ab, Rgb, colorfulness, reduced, reduced_ab, squared_error

Shares = npt.NDArray[np.float64]
Small = npt.NDArray[np.uint8]
FloatArray = npt.NDArray[np.float32]

CDC_STEPS = (1, 2, 4)
LEAST_FRAMES = max(CDC_STEPS) + 1
"""A clip of fewer frames has no CDC."""

PROTOCOL = (
    "8-bit sRGB of the film's own matrix and range, chroma enlarged bilinearly; the film's Y plane was coloured; "
    "full size but for the warp error; PSNR of the squared error over all frames of a clip; colourfulness: mean over "
    "frames; CDC at distances 1, 2, 4, natural logarithm; ab warp error: mean square over both channels and all pixels "
    "visible in both neighbours, short side reduced to 256 px by area averaging (never enlarged), DIS flow (medium) of "
    "the luma; pairs with less than half of their pixels visible, such as cuts, left out; " + _HUE_PROTOCOL + "; means "
    "over clips"
)

# A pixel is visible in both frames where forward and backward flow agree within 1 px and 5 % of the motion, and the
# luma found there is within 16 levels of 255, more than grain makes.
_AGREEMENT = 1.0
_AGREEMENT_SHARE = 0.05
_LUMA_STEP = 16
_LEAST_VISIBLE = 0.5
# OpenCV's flow crashes on some smaller frames.
_LEAST_SIDE = 16


def cdc(frames: Iterable[Rgb]) -> float:
    """Colour distribution consistency of one clip (TCVC, ColorMNet): lower is steadier, 0 where nothing changes.

    The mean over channels and time of JS(h_t, h_{t+d}), h the 256-bin histogram as shares, averaged over d = 1, 2, 4;
    natural logarithm, so at most ln 2. Grey film scores well: print the original's CDC and colourfulness beside it.

    Args:
        frames: (H, W, 3) uint8, at least five.

    Raises:
        ValueError: fewer.
    """
    meter = CdcMeter()
    for frame in frames:
        meter.add(channel_shares(frame))
    if not meter.enough:
        raise ValueError(f"CDC needs at least {LEAST_FRAMES} frames")
    return meter.value()


def channel_shares(frame: Rgb) -> Shares:
    """256-bin histogram of each channel, (3, 256), as shares of the pixels."""
    counts = [cv2.calcHist([frame], [channel], None, [256], [0, 256]).ravel() for channel in range(3)]
    return np.stack(counts).astype(np.float64) / (frame.shape[0] * frame.shape[1])


class CdcMeter:
    """CDC of a clip, frame by frame."""

    def __init__(self) -> None:
        self._recent: deque[Shares] = deque(maxlen=max(CDC_STEPS))
        self._sums = dict.fromkeys(CDC_STEPS, 0.0)
        self._pairs = dict.fromkeys(CDC_STEPS, 0)

    def add(self, shares: Shares) -> None:
        """The next frame's `channel_shares`."""
        for step in CDC_STEPS:
            if len(self._recent) >= step:
                self._sums[step] += _jensen_shannon(self._recent[-step], shares)
                self._pairs[step] += 1
        self._recent.append(shares)

    @property
    def enough(self) -> bool:
        return all(self._pairs.values())

    def value(self) -> float:
        """NaN before the fifth frame."""
        if not self.enough:
            return math.nan
        return float(np.mean([self._sums[step] / self._pairs[step] for step in CDC_STEPS]))


def _jensen_shannon(p: Shares, q: Shares) -> float:
    """Mean over rows of ½KL(p‖m) + ½KL(q‖m), m = (p + q)/2; (channels, bins) of shares."""
    middle = (p + q) / 2

    def divergence(shares: Shares) -> Shares:
        ratio = np.divide(shares, middle, out=np.ones_like(shares), where=shares > 0)
        return (shares * np.log(ratio)).sum(axis=1)

    return float(np.mean(divergence(p) + divergence(q)) / 2)


class WarpMeter:
    """ab warp error of several colourings of one film, all by the same motion, which is that of the luma.

    Each frame's predecessor is warped onto it; what is left of a difference in ab, where a pixel is visible in both, is
    flicker. The flow is dense inverse search (Kroeger et al. 2016, arXiv:1603.03590), both ways.
    """

    def __init__(self, colourings: int) -> None:
        self._flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        self._squares = [0.0] * colourings
        self._values = 0
        self._before: tuple[Small, Sequence[Ab]] | None = None
        self.left_out = 0
        """Pairs of which too little was visible."""

    def add(self, luma: Small, colourings: Sequence[Ab]) -> Step | None:
        """The next frame: (h, w) luma, and (h, w, 2) in Lab units for each colouring.

        Returns:
            The motion from the frame before, None where too little of that is visible.
        """
        luma = np.ascontiguousarray(luma)
        before, self._before = self._before, (luma, colourings)
        if before is None:
            return None
        if min(luma.shape) < _LEAST_SIDE:
            self.left_out += 1
            return None
        there, onward = self._motion(luma, before[0]), self._motion(before[0], luma)
        visible = _visible(luma, before[0], there, onward)
        if np.count_nonzero(visible) < _LEAST_VISIBLE * visible.size:
            self.left_out += 1
            return None
        self._values += 2 * int(np.count_nonzero(visible))
        for number, (now, then) in enumerate(zip(colourings, before[1], strict=True)):
            difference = (now - _warped(then, there))[visible]
            self._squares[number] += float(np.square(difference).sum(dtype=np.float64))
        return Step(onward, visible)

    def errors(self) -> list[float]:
        """Mean square over both channels of all visible pixels, for each colouring; NaN without any."""
        return [squares / self._values if self._values else math.nan for squares in self._squares]

    def _motion(self, frame: Small, neighbour: Small) -> FloatArray:
        return np.asarray(self._flow.calc(frame, neighbour, None), np.float32)  # type: ignore[call-overload]


def _visible(luma: Small, before: Small, there: FloatArray, onward: FloatArray) -> npt.NDArray[np.bool_]:
    height, width = luma.shape
    x, y = _positions(there)
    inside = (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
    returned = np.hypot(*cv2.split(_warped(onward, there) + there))
    agree = returned < _AGREEMENT + _AGREEMENT_SHARE * np.hypot(there[..., 0], there[..., 1])
    alike = np.abs(luma - _warped(before.astype(np.float32), there)) <= _LUMA_STEP
    return np.asarray(inside & agree & alike, np.bool_)


def _positions(there: FloatArray) -> tuple[FloatArray, FloatArray]:
    rows, columns = np.indices(there.shape[:2], np.float32)
    return columns + there[..., 0], rows + there[..., 1]


def _warped(picture: FloatArray, there: FloatArray) -> FloatArray:
    x, y = _positions(there)
    return np.asarray(cv2.remap(picture, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.float32)


@dataclass(frozen=True)
class FrameFigures:
    """What is kept of a frame, original and coloured: small, so that frames themselves need not be.

    Args:
        squares, grey_squares: squared error of RGB, summed, of the coloured frame and of one left grey.
        values: channels × pixels.
        luma: short side at most 256 px, as are `abs`.
        abs, shares, colorfulness: of the original, and of the coloured frame.
        shift: how far colour moved where the frame was disturbed on purpose.
    """

    squares: float
    grey_squares: float
    values: int
    luma: Small
    abs: tuple[Ab, Ab]
    shares: tuple[Shares, Shares]
    colorfulness: tuple[float, float]
    shift: Shift


def compare(original: Rgb, coloured: Rgb, luma: Small, shift: Shift = NO_SHIFT) -> FrameFigures:
    """Measure a frame by itself.

    Args:
        luma: (H, W) uint8, black at 0 and white at 255: what was coloured.
        shift: see `shift_between`.
    """
    return FrameFigures(
        squared_error(original, coloured),
        squared_error(original, np.repeat(luma[..., None], 3, axis=2)),
        original.size,
        reduced(luma),
        (reduced_ab(original), reduced_ab(coloured)),
        (channel_shares(original), channel_shares(coloured)),
        (colorfulness(original), colorfulness(coloured)),
        shift,
    )


@dataclass(frozen=True)
class Steadiness:
    """How colour behaves: the original's, and that of the coloured film.

    Args:
        hue_drift, ab_drift: degrees and Lab units; see `Drift`.
    """

    colorfulness: float
    cdc: float
    warp_error: float
    hue_drift: float
    ab_drift: float


@dataclass(frozen=True)
class FilmScores:
    """Figures of one clip.

    Args:
        psnr: dB; infinite where all frames equal the original's.
        grey_psnr: of the film left grey.
        pairs_left_out: of the warp error.
        hue_shift, ab_shift: degrees and Lab units by which colour moves where frames are disturbed; NaN without.
    """

    frames: int
    psnr: float
    grey_psnr: float
    model: Steadiness
    original: Steadiness
    pairs_left_out: int
    hue_shift: float
    ab_shift: float


class FilmMeter:
    """Measures one clip, frame by frame."""

    def __init__(self) -> None:
        self.frames = 0
        self._squares, self._grey_squares, self._values = 0.0, 0.0, 0
        self._colorfulness = [0.0, 0.0]
        self._cdc = (CdcMeter(), CdcMeter())
        self._warp = WarpMeter(2)
        self._drift = DriftMeter(2)
        self._shift = NO_SHIFT

    def add(self, figures: FrameFigures) -> None:
        """The next frame."""
        self.frames += 1
        self._squares += figures.squares
        self._grey_squares += figures.grey_squares
        self._values += figures.values
        for number in range(2):
            self._colorfulness[number] += figures.colorfulness[number]
            self._cdc[number].add(figures.shares[number])
        self._drift.add(figures.abs, self._warp.add(figures.luma, figures.abs))
        self._shift += figures.shift

    def scores(self) -> FilmScores:
        """Raises ValueError before the fifth frame."""
        if self.frames < LEAST_FRAMES:
            raise ValueError(f"a film is measured from {LEAST_FRAMES} frames on")
        original, model = (
            Steadiness(total / self.frames, meter.value(), error, drift.hue, drift.ab)
            for total, meter, error, drift in zip(
                self._colorfulness, self._cdc, self._warp.errors(), self._drift.drifts(), strict=True
            )
        )
        psnr, grey = (_decibels(squares, self._values) for squares in (self._squares, self._grey_squares))
        return FilmScores(self.frames, psnr, grey, model, original, self._warp.left_out, *self._shift.means())


def _decibels(squares: float, values: int) -> float:
    return math.inf if squares == 0 else 10 * math.log10(255**2 * values / squares)
