"""From a small ab picture to a full-size colour one whose luma is the input's, exactly.

Two steps, both guided by luma so that colour ends where edges end: ab is brought to the working size by a guided filter
(He, Sun, Tang 2013), turned into Cb and Cr, and these go to full size as local linear functions of the full-size luma
(He & Sun 2015, "Fast guided filter", arXiv:1505.00996). Then chroma is fitted into gamut by scaling it; RGB is never
clipped, so the grey of the result is the luma that was scanned.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

import cv2
import numpy as np
import numpy.typing as npt

from restore.color import cbcr_from_ab
from restore.framing import WHOLE, Area
from restore.matrix import BT601, Matrix
from restore.resize import resized

FloatArray = npt.NDArray[np.float32]
Luma = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]

# Radii as shares of the working size, eps as variance of luma in [0, 1]. Chosen by full-size PSNR over held-out photos.
_AB_RADIUS = 1 / 32
_AB_EPS = 1e-3
_FULL_RADIUS = 2
_FULL_EPS = 1e-3
# Merged at a time: a strip's intermediates stay in the cache, and memory stays flat for huge scans.
_STRIP_PIXELS = 1 << 16
# Multiplications of a strip's matrix product. OpenBLAS starts threads beyond 2^18, which wait for each other: beside
# another busy process, that took fifty times as long.
_STRIP_PRODUCTS = 1 << 18


@dataclass(frozen=True)
class SmallChroma:
    """Chroma at working size as linear functions of luma: Cb = cb_gain · Y′ + cb_offset, and Cr likewise.

    Args:
        planes: (S, S, 4) float32: cb_gain, cb_offset, cr_gain, cr_offset, for Y′ in [0, 1] and Cb, Cr in [−0.5, 0.5].
        area: the part of the picture that they cover; all around it is neutral.
    """

    planes: FloatArray
    area: Area = WHOLE


def shrink_luma(luma: Luma, size: int) -> FloatArray:
    """The network's view of a picture: (H, W) of 8 or 16 bit to (size, size) float32 in [0, 1], by area averaging."""
    return _resized(luma, size, size)


def reduced_luma(luma: Luma, most: int) -> FloatArray:
    """The same, but no side becomes longer than it is: (min(H, most), min(W, most))."""
    return _resized(luma, *(min(side, most) for side in luma.shape))


def halved(luma: Luma, size: int) -> Luma:
    """A copy from which views of at most this size come out as from the luma itself, in less time."""
    height, width = luma.shape
    # Halving is a fast path of OpenCV's: 12 megapixels take 1 ms so, and 26 in one go.
    while height % 2 == width % 2 == 0 and min(height, width) >= 4 * size:
        height, width = height // 2, width // 2
        luma = cast(Luma, cv2.resize(luma, (width, height), interpolation=cv2.INTER_AREA))
    return luma


def _resized(luma: Luma, rows: int, columns: int) -> FloatArray:
    small = resized(halved(luma, max(rows, columns)), rows, columns)
    return np.asarray(small, np.float32) / np.float32(np.iinfo(luma.dtype).max)


def _mean(values: FloatArray, radius: int) -> FloatArray:
    side = 2 * radius + 1
    return np.asarray(cv2.blur(values, (side, side), borderType=cv2.BORDER_REFLECT), np.float32)


def guided_coefficients(guide: FloatArray, values: FloatArray, radius: int, eps: float) -> FloatArray:
    """Gain and offset of the guided filter for each channel.

    Args:
        guide: (H, W) in [0, 1].
        values: (H, W, C).

    Returns:
        (H, W, 2C): gain and offset of channel 0, of channel 1, …; values ≈ gain · guide + offset.
    """
    mean_guide = _mean(guide, radius)
    variance = _mean(guide * guide, radius) - mean_guide**2
    planes = []
    for channel in np.moveaxis(values, 2, 0):
        mean = _mean(channel, radius)
        gain = (_mean(guide * channel, radius) - mean_guide * mean) / (variance + np.float32(eps))
        planes += [_mean(gain, radius), _mean(mean - gain * mean_guide, radius)]
    return np.asarray(cv2.merge(planes), np.float32)


def small_chroma(
    small_luma: FloatArray, ab: FloatArray, saturation: float = 1.0, matrix: Matrix = BT601, area: Area = WHOLE
) -> SmallChroma:
    """What the network said, ready to be merged at any size.

    Args:
        small_luma: (S, S) in [0, 1], as `shrink_luma` gives it of the area.
        ab: (2, h, w) in Lab units, h and w at most S.
        saturation: factor on ab.
        matrix: the weights of the luma.
        area: what of the picture was seen.
    """
    size = small_luma.shape[0]
    channels = np.ascontiguousarray(ab.transpose(1, 2, 0))
    enlarged = cv2.resize(channels, (size, size), interpolation=cv2.INTER_LINEAR)
    fit = guided_coefficients(small_luma, np.asarray(enlarged, np.float32), max(1, round(size * _AB_RADIUS)), _AB_EPS)
    sharp = fit[..., 0::2] * small_luma[..., None] + fit[..., 1::2]
    sharp_ab = np.ascontiguousarray((sharp * np.float32(saturation)).transpose(2, 0, 1))
    planes = cbcr_from_ab(small_luma[None], sharp_ab, matrix=matrix).transpose(1, 2, 0)
    return SmallChroma(guided_coefficients(small_luma, planes, _FULL_RADIUS, _FULL_EPS), area)


def enlarged_doubt(
    small_luma: FloatArray, doubt: FloatArray, height: int, width: int, area: Area = WHOLE
) -> FloatArray:
    """A map of doubt at any size, guided by luma as ab is, so that it ends where colour does.

    Args:
        small_luma: (S, S) in [0, 1], as `shrink_luma` gives it of the area.
        doubt: (h, w) in Lab units.
        area: what of the picture was seen.

    Returns:
        (height, width), 0 and up; 0 around the area.
    """
    size = small_luma.shape[0]
    enlarged = np.asarray(cv2.resize(doubt, (size, size), interpolation=cv2.INTER_LINEAR), np.float32)
    fit = guided_coefficients(small_luma, enlarged[..., None], max(1, round(size * _AB_RADIUS)), _AB_EPS)
    sharp = np.maximum(fit[..., 0] * small_luma + fit[..., 1], np.float32(0))
    result = np.zeros((height, width), np.float32)
    inside = area.of(result)
    inside[:] = cv2.resize(sharp, inside.shape[::-1], interpolation=cv2.INTER_LINEAR)
    return result


class _RowSampler:
    """Bilinear enlargement of (S, S, 4) planes to (height, width, 4), a strip of rows at a time."""

    def __init__(self, planes: FloatArray, height: int, width: int) -> None:
        rows = cv2.resize(planes, (width, planes.shape[0]), interpolation=cv2.INTER_LINEAR)
        # Channel planes of their own: one contiguous pass each.
        self.rows = cv2.split(rows)
        position = (np.arange(height, dtype=np.float64) + 0.5) * planes.shape[0] / height - 0.5
        position = position.clip(0, planes.shape[0] - 1)
        self.first = position.astype(np.intp)
        self.second = np.minimum(self.first + 1, planes.shape[0] - 1)
        self.weight = (position - self.first).astype(np.float32)

    def strip(self, top: int, bottom: int) -> list[FloatArray]:
        """Rows top to bottom of each of the four planes."""
        low, high = int(self.first[top]), int(self.second[bottom - 1]) + 1
        first, second = self.first[top:bottom] - low, self.second[top:bottom] - low
        # A product with the few rows in reach is one pass, where gathering both rows and blending would be four.
        mix = np.zeros((bottom - top, high - low), np.float32)
        index = np.arange(bottom - top)
        mix[index, first] += 1 - self.weight[top:bottom]
        mix[index, second] += self.weight[top:bottom]
        return [mix @ plane[low:high] for plane in self.rows]


def _gamut_scale(cb: FloatArray, cr: FloatArray, below: FloatArray, above: FloatArray, matrix: Matrix) -> FloatArray:
    """The factor ≤ 1 on chroma that keeps R, G and B in range, with so much room `below` and `above` the luma."""
    red, blue = cr * np.float32(matrix.cr_to_r), cb * np.float32(matrix.cb_to_b)
    green, most = cb * np.float32(matrix.cb_to_g), cr * np.float32(matrix.cr_to_g)
    green += most
    tiny = np.float32(1e-6)
    np.maximum(red, green, out=most)
    np.maximum(most, blue, out=most)
    np.maximum(most, tiny, out=most)
    least = np.minimum(red, green, out=green)
    np.minimum(least, blue, out=least)
    np.minimum(least, -tiny, out=least)
    scale = np.divide(above, most, out=most)
    # Room and least have opposite signs: the negative quotient's size is what counts.
    np.divide(below, least, out=least)
    np.minimum(scale, np.negative(least, out=least), out=scale)
    return np.minimum(scale, np.float32(1), out=scale)


def _strips(height: int, width: int, size: int) -> list[tuple[int, int]]:
    """Rows from and to, of strips that are merged at a time.

    Args:
        size: rows of the planes that are enlarged; a strip of n rows is the product of (n, n · size / height + 2) and
            (n · size / height + 2, width).
    """
    ratio = size / height
    by_products = (math.sqrt(1 + ratio * _STRIP_PRODUCTS / width) - 1) / ratio
    rows = max(1, min(_STRIP_PIXELS // width, int(by_products)))
    return [(top, min(top + rows, height)) for top in range(0, height, rows)]


def _rounded(values: FloatArray, plus: int, like: Luma) -> Luma:
    """Values and a constant, in one pass: rounded to whole levels, and kept in the range of the type of `like`."""
    add: Any = cv2.add  # whose annotations know no numbers
    return cast(Luma, add(values, float(plus), dtype=cv2.CV_8U if like.dtype == np.uint8 else cv2.CV_16U))


class RgbMerger:
    """Colour rows whose grey is `luma`, made when they are asked for: a huge scan is never whole in memory as RGB.

    Red and blue are rounded first and green makes up for it, so that Y′ = 0.299 R + 0.587 G + 0.114 B is within 0.3 of
    a level of `luma`: Pillow's `convert("L")` gives back the input's very values.

    Args:
        luma: (H, W), 8 or 16 bit.
    """

    def __init__(self, luma: Luma, chroma: SmallChroma) -> None:
        self._luma = luma
        self._area = chroma.area
        self._inside = chroma.area.of(luma)
        self._size = chroma.planes.shape[0]
        self._full = np.float32(np.iinfo(luma.dtype).max)
        planes = chroma.planes * np.array((1, self._full, 1, self._full), np.float32)
        self._sampler = _RowSampler(planes, *self._inside.shape)

    def rows(self, top: int, bottom: int) -> Luma:
        """(bottom - top, W, 3) RGB of the depth of the luma."""
        result = np.empty((bottom - top, self._luma.shape[1], 3), self._luma.dtype)
        if not self._area.is_whole:
            result[:] = self._luma[top:bottom, :, None]
        rows, columns = self._area.box(*self._luma.shape)
        first, last = max(top, rows.start), min(bottom, rows.stop)
        height, width = self._inside.shape
        step = _strips(height, width, self._size)[0][1]
        for start in range(first, last, step):
            end = min(start + step, last)
            self._merge(start - rows.start, end - rows.start, result[start - top : end - top, columns])
        return result

    def _merge(self, top: int, bottom: int, result: Luma) -> None:
        blue, cb_offset, red, cr_offset = self._sampler.strip(top, bottom)
        levels = self._inside[top:bottom].astype(np.float32)
        # In place, so that a strip and what is made of it stay in the cache.
        for plane, offset in ((blue, cb_offset), (red, cr_offset)):
            plane *= levels
            plane += offset
        scale = _gamut_scale(blue, red, levels, self._full - levels, BT601)
        green = levels.copy()
        for plane, gain, weight in ((red, BT601.cr_to_r, BT601.red), (blue, BT601.cb_to_b, BT601.blue)):
            plane *= scale
            plane *= np.float32(gain)
            plane += levels
            np.rint(plane, out=plane)
            green -= np.multiply(plane, np.float32(weight), out=cb_offset)
        green *= np.float32(1 / BT601.green)
        # Only float32's own rounding can leave the range, by less than a level.
        cv2.merge([_rounded(plane, 0, result) for plane in (red, green, blue)], dst=result)


def merge_rgb(luma: Luma, chroma: SmallChroma) -> Luma:
    """Colour picture whose grey is `luma`, whole: see `RgbMerger`.

    Args:
        luma: (H, W), 8 or 16 bit.

    Returns:
        (H, W, 3) RGB of the same depth.
    """
    return RgbMerger(luma, chroma).rows(0, luma.shape[0])


@dataclass(frozen=True)
class YuvForm:
    """How a picture's Y′, Cb and Cr are stored.

    Args:
        depth: bits a sample, 8 to 16.
        full_range: black and white at the ends, as JPEG has it; else at 16 and 235 of 255, as film has it.
        across, down: luma samples for each chroma sample, 1 or 2.
        matrix: weights of Y′.
    """

    depth: int = 8
    full_range: bool = True
    across: int = 2
    down: int = 2
    matrix: Matrix = BT601

    @property
    def black(self) -> int:
        return 0 if self.full_range else 16 << self.depth - 8

    @property
    def luma_span(self) -> int:
        return (1 << self.depth) - 1 if self.full_range else 219 << self.depth - 8

    @property
    def chroma_span(self) -> int:
        return (1 << self.depth) - 1 if self.full_range else 224 << self.depth - 8

    @property
    def neutral(self) -> int:
        return 1 << self.depth - 1

    def normalise(self, view: FloatArray) -> FloatArray:
        """Luma as shares of the stored type's range, as `shrink_luma` gives it, to [0, 1] from black to white."""
        stored = (1 << (8 if self.depth == 8 else 16)) - 1
        return np.clip((view * np.float32(stored) - self.black) / np.float32(self.luma_span), 0, 1)


JPEG_420 = YuvForm()


def chroma_planes(luma: Luma, chroma: SmallChroma, form: YuvForm = JPEG_420) -> tuple[Luma, Luma]:
    """Cb and Cr at their own size, in gamut for the darkest and the brightest luma of the block that each belongs to.

    Args:
        luma: (H, W) of `form`.

    Returns:
        Twice (⌈H/down⌉, ⌈W/across⌉), of the type of `luma`. Blocks that don't lie wholly in the chroma's area are
        neutral.
    """
    height, width = -(-luma.shape[0] // form.down), -(-luma.shape[1] // form.across)
    if not chroma.area.is_whole:
        return _framed_planes(luma, chroma, form, (height, width))
    results = (np.empty((height, width), luma.dtype), np.empty((height, width), luma.dtype))
    span, gain = np.float32(form.luma_span), np.float32(form.chroma_span / form.luma_span)
    sampler = _RowSampler(chroma.planes * np.array((1, span, 1, span), np.float32), height, width)
    for top, bottom in _strips(height, width, chroma.planes.shape[0]):
        cb_gain, cb_offset, cr_gain, cr_offset = sampler.strip(top, bottom)
        rows = luma[form.down * top : form.down * bottom]
        dark, bright = (plane.astype(np.float32) for plane in _block_range(rows, form))
        if form.black:  # luma below black and above white is kept, but has no room for chroma
            dark, bright = ((plane - form.black).clip(0, span) for plane in (dark, bright))
        middle = dark + bright
        middle *= np.float32(0.5)
        # In place, so that strips and what is made of them stay in the cache.
        for plane, offset in ((cb_gain, cb_offset), (cr_gain, cr_offset)):
            plane *= middle
            plane += offset
        above = np.subtract(span, bright, out=bright)
        scale = _gamut_scale(cb_gain, cr_gain, dark, above, form.matrix)
        scale *= gain
        for plane, result in zip((cb_gain, cr_gain), results, strict=True):
            plane *= scale
            # In gamut, half a level at the upper end is all that can be too much.
            rounded = _rounded(plane, form.neutral, luma)
            result[top:bottom] = rounded if form.depth in (8, 16) else np.minimum(rounded, 2 * form.neutral - 1)
    return results


def _framed_planes(luma: Luma, chroma: SmallChroma, form: YuvForm, shape: tuple[int, int]) -> tuple[Luma, Luma]:
    """`chroma_planes` of this shape, for an area that is not the whole."""
    blocks, pixels = [], []
    for side, count, total, size in zip(
        chroma.area.box(*luma.shape), shape, luma.shape, (form.down, form.across), strict=True
    ):
        first, last = -(-side.start // size), count if side.stop == total else side.stop // size
        blocks.append(slice(first, last))
        pixels.append(slice(first * size, last * size))
    results = (np.full(shape, form.neutral, luma.dtype), np.full(shape, form.neutral, luma.dtype))
    inside = luma[tuple(pixels)]
    if inside.size:
        for plane, result in zip(chroma_planes(inside, SmallChroma(chroma.planes), form), results, strict=True):
            result[tuple(blocks)] = plane
    return results


def _block_range(rows: Luma, form: YuvForm) -> Iterator[Luma]:
    """The darkest and the brightest luma of each block. An odd last row or column is a block of its own edge repeated,
    as encoders pad it."""
    odd_rows, odd_columns = rows.shape[0] % form.down, rows.shape[1] % form.across
    if odd_rows or odd_columns:
        rows = cast(Luma, np.pad(rows, ((0, odd_rows), (0, odd_columns)), mode="edge"))
    # Columns apart first: every pass that follows is over neighbours in memory.
    columns: Any = (rows,) if form.across == 1 else cv2.split(rows.reshape(rows.shape[0], -1, 2))
    for pick in (np.minimum, np.maximum):
        block = columns[0] if form.across == 1 else pick(*columns)
        yield block if form.down == 1 else pick(block[0::2], block[1::2])
