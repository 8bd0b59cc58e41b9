"""A photo in memory, made from decoded samples of any kind."""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
from PIL import Image

from restore.photos.containers import Container
from restore.photos.metadata import Metadata
from restore.photos.profiles import Samples, Space, luma_from_rgb, to_srgb
from restore.tone import Tone, find_tone

# Enough for telling tones; the reduction beforehand keeps a float copy of a huge scan away.
_TONE_SIDE = 384


@dataclass(frozen=True)
class TiffForm:
    """How a TIFF page is stored, so that its result is stored alike.

    Args:
        compression: tag 259.
        predictor: tag 317.
        tile: height and width, or None for strips.
        rows: of a strip, or None.
        subfiletype: tag 254: page, mask, reduced picture.
        bigtiff: 64-bit offsets.
        byteorder: `<` or `>`.
    """

    compression: int = 8
    predictor: int = 1
    tile: tuple[int, int] | None = None
    rows: int | None = None
    subfiletype: int = 0
    bigtiff: bool = False
    byteorder: str = "<"


@dataclass(frozen=True)
class Photo:
    """A photo in memory, or one page of it.

    Args:
        luma: (H, W), 8 or 16 bit: Y′ of the upright sRGB picture, at 8 bit Pillow's `L`.
        alpha: (H, W) of the same depth, or None where there is none.
        tone: what its colour is.
        container: the one it came in.
        metadata: what is carried into the result.
        pages: pictures in the file.
        color: (H, W, 3) sRGB of the same depth, where the tone is `color`, or where it was asked for.
        tiff: how it is stored, if it is a TIFF.
        lossless: whether a container that can be both, WebP, holds it without loss.
        notes: what the user should know, such as a profile that had to be ignored.
    """

    luma: Samples
    alpha: Samples | None
    tone: Tone
    container: Container
    metadata: Metadata = field(default_factory=Metadata)
    pages: int = 1
    color: Samples | None = None
    tiff: TiffForm | None = None
    lossless: bool = False
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Colors:
    """What decoded samples come to in sRGB: see `Photo`."""

    luma: Samples
    tone: Tone
    color: Samples | None


def see(values: Samples, space: Space, icc: bytes | None, notes: list[str], *, keep_color: bool = False) -> Colors:
    """Decoded samples, upright, as luma and tone.

    Args:
        values: (H, W) for grey, (H, W, 3) for RGB, (H, W, 4) for CMYK; 8 or 16 bit.
        keep_color: whatever the tone.
    """
    converted = to_srgb(values, space, icc, notes)
    if converted.ndim == 2:
        return Colors(converted, "neutral", None)
    tone = find_tone(_small(converted))
    return Colors(luma_from_rgb(converted), tone, converted if keep_color or tone == "color" else None)


def _small(rgb: Samples) -> Image.Image:
    height, width = rgb.shape[:2]
    scale = min(1.0, _TONE_SIDE / max(height, width))
    if rgb.dtype == np.uint8 and scale == 1.0:
        return Image.fromarray(rgb)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA).astype(np.float32)
    return Image.fromarray(np.rint(small * np.float32(255 / np.iinfo(rgb.dtype).max)).astype(np.uint8))


def to_depth(samples: Samples, bits: int) -> Samples:
    """The same samples at no more than `bits`: 16 bit rounded to 8, or as they are."""
    if bits >= 16 or samples.dtype == np.uint8:
        return samples
    return np.asarray((samples.astype(np.uint32) + 128) // 257, np.uint8)


def upright(values: Samples, orientation: int) -> Samples:
    """Samples (H, W) or (H, W, C) as they are to be looked at, for an EXIF orientation of 1 to 8."""
    if orientation in (5, 6, 7, 8):
        values = values.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        values = values[::-1]
    if orientation in (2, 3, 6, 7):
        values = values[:, ::-1]
    return np.ascontiguousarray(values)
