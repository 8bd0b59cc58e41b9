"""Pictures that a browser can show, of photos in any format: 8-bit sRGB, no larger than a screen."""

from __future__ import annotations

import contextlib
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from restore.files import write_atomically
from restore.photos.profiles import Samples
from restore.photos.reading import read_pages

LARGE, SMALL = 1600, 240
"""Longest sides, in pixels."""


def write_view(photo: Path, target: Path, max_pixels: int) -> None:
    """Write a photo's first page to `target` as a JPEG of at most `LARGE`, and to `small_of(target)` of `SMALL`.

    Raises:
        InputError: it can't be read.
        OutputError: the view can't be written.
    """
    with contextlib.closing(read_pages(photo, max_pixels, keep_color=True)) as pages:
        page = next(pages)
    picture = page.luma if page.color is None else page.color
    for path, side in ((target, LARGE), (small_of(target), SMALL)):
        picture = _reduced(picture, side)
        write_atomically(path, partial(Image.fromarray(picture).save, format="JPEG", quality=88))


def small_of(target: Path) -> Path:
    """Where the small view lies, for the large one."""
    return target.with_stem(f"{target.stem}-small")


def _reduced(picture: Samples, side: int) -> Samples:
    height, width = picture.shape[:2]
    scale = side / max(height, width)
    if scale < 1:
        size = max(1, round(width * scale)), max(1, round(height * scale))
        picture = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), picture.dtype)
    return picture if picture.dtype == np.uint8 else np.asarray(picture >> 8, np.uint8)
