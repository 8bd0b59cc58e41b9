"""A photo in memory, made from decoded samples of any kind."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from restore.options import Era
from restore.photos.containers import Container
from restore.photos.metadata import Metadata
from restore.photos.profiles import Samples, Space, luma_from_rgb, to_srgb
from restore.stills import Still, look
from restore.tone import Tone, find_tone, has_color

if TYPE_CHECKING:
    from restore.colorizers import Engine

SMALL_SIDE = 768
"""The longest side of what is looked at, by programs (tones) and by people (before and after)."""

Rgb8 = npt.NDArray[np.uint8]


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
        color: (H, W, 3) sRGB of the same depth, where it has colours of its own, or where it was asked for.
        small: (h, w, 3) sRGB of 8 bit, as it is to be looked at, at most `SMALL_SIDE` a side; None where it is grey.
        era: that its file tells of; the first page's, where there are several.
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
    small: Rgb8 | None = None
    era: Era = "period"

    def facts(self) -> dict[str, Any]:
        """What the record of a photo of one page says of it: keywords of `Record`."""
        height, width = self.luma.shape
        bits = 8 * self.luma.dtype.itemsize
        return {"width": width, "height": height, "bits": bits, "pages": 1, "tone": self.tone, "notes": self.notes}

    def view(self) -> Rgb8:
        """The photo to be looked at: (h, w, 3) sRGB, at most `SMALL_SIDE` a side."""
        return small_copy(self.luma)[..., None].repeat(3, axis=2) if self.small is None else self.small


def look_at_photo(photo: Photo, engine: Engine, size: int | None = None) -> Still:
    """A photo as the network sees it, with the era that the options say, or else its file.

    Args:
        size: side of the view; None is the engine's own.
    """
    return look(photo.luma, size or engine.size, era=engine.era_for(photo.era))


@dataclass(frozen=True)
class Colors:
    """What decoded samples come to in sRGB: see `Photo`."""

    luma: Samples
    tone: Tone
    color: Samples | None
    small: Rgb8 | None


def see(values: Samples, space: Space, icc: bytes | None, notes: list[str], *, keep_color: bool = False) -> Colors:
    """Decoded samples, upright, as luma and tone.

    Args:
        values: (H, W) for grey, (H, W, 3) for RGB, (H, W, 4) for CMYK; 8 or 16 bit.
        keep_color: whatever the tone.
    """
    converted = to_srgb(values, space, icc, notes)
    if converted.ndim == 2:
        return Colors(converted, "neutral", None, None)
    small = small_copy(converted)
    tone = find_tone(Image.fromarray(small))
    return Colors(luma_from_rgb(converted), tone, converted if keep_color or has_color(tone) else None, small)


def small_copy(samples: Samples) -> Rgb8:
    """Samples (H, W) or (H, W, 3) reduced to at most `SMALL_SIDE` a side and 8 bit."""
    height, width = samples.shape[:2]
    scale = min(1.0, SMALL_SIDE / max(height, width))
    if scale < 1.0:  # before all else: a float copy of a huge scan would not fit into memory
        size = max(1, round(width * scale)), max(1, round(height * scale))
        samples = cv2.resize(samples, size, interpolation=cv2.INTER_AREA)
    return np.asarray(to_depth(samples, 8), np.uint8)


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
