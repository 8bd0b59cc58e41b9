"""Pictures that a browser can show, of photos in any format: 8-bit sRGB, no larger than a screen."""

from __future__ import annotations

import contextlib
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from restore.colorizers import Engine
from restore.files import write_atomically
from restore.heatmap import heat_colors
from restore.merge import enlarged_doubt, shrink_luma
from restore.photos.photo import Photo
from restore.photos.profiles import Samples
from restore.photos.reading import read_pages
from restore.photos.view import network_view

LARGE, SMALL, CHOICE = 1600, 240, 320
"""Longest sides, in pixels."""


def read_first(photo: Path, max_pixels: int, *, keep_color: bool = False) -> Photo:
    """A photo's first page.

    Raises:
        InputError: it can't be read.
    """
    with contextlib.closing(read_pages(photo, max_pixels, keep_color=keep_color)) as pages:
        return next(pages)


def write_view(photo: Path, target: Path, max_pixels: int) -> None:
    """Write a photo's first page to `target` as a JPEG of at most `LARGE`, and to `small_of(target)` of `SMALL`.

    Raises:
        InputError: it can't be read.
        OutputError: the view can't be written.
    """
    page = read_first(photo, max_pixels, keep_color=True)
    large = _reduced(page.luma if page.color is None else page.color, LARGE)
    _write(_reduced(large, SMALL), small_of(target))
    _write(large, target)  # the last: once it is there, both are


def write_choice(picture: Samples, target: Path) -> None:
    """Write a picture to choose by, as a JPEG.

    Raises:
        OutputError: it can't be written.
    """
    _write(_reduced(picture, CHOICE), target)


def write_doubt(photo: Path, target: Path, engine: Engine, max_pixels: int) -> None:
    """Write where the model is sure of a photo's colours and where not, at the size of the photo's large view.

    Raises:
        InputError: the photo can't be read.
        UsageError: the model does not know.
        OutputError: the view can't be written.
    """
    engine.check_knows_doubt("this view")
    luma = read_first(photo, max_pixels).luma
    small = shrink_luma(luma, engine.size)
    (guess,) = engine.predict([network_view(small)], doubt=True)
    _write(heat_colors(enlarged_doubt(small, guess[2], *_reduced(luma, LARGE).shape)), target)


def _write(picture: Samples, target: Path) -> None:
    write_atomically(target, partial(Image.fromarray(picture).save, format="JPEG", quality=88))


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
