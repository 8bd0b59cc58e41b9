"""Pictures that a browser can show, of photos in any format: 8-bit sRGB, no larger than a screen."""

from __future__ import annotations

import contextlib
from pathlib import Path

import cv2
import numpy as np
from PIL import ExifTags, Image

from restore.colorizers import Engine
from restore.era import era_of_picture
from restore.files import output_error
from restore.heatmap import heat_colors
from restore.merge import merge_rgb
from restore.photos.containers import JPEG
from restore.photos.photo import Photo, look_at_photo, see
from restore.photos.profiles import Samples, srgb_profile
from restore.photos.reading import read_pages
from restore.stills import guess

LARGE, SMALL, CHOICE = 1600, 240, 320
"""Longest sides, in pixels."""


def read_first(photo: Path, max_pixels: int, *, keep_color: bool = False) -> Photo:
    """A photo's first page.

    Raises:
        InputError: it can't be read.
    """
    with contextlib.closing(read_pages(photo, max_pixels, keep_color=keep_color)) as pages:
        return next(pages)


def read_to_show(photo: Path, max_pixels: int) -> Photo:
    """A photo's first page, its colours kept; smaller than it is, where that is quicker and enough for `LARGE`.

    Raises:
        InputError: it can't be read.
    """
    return _read_reduced(photo, max_pixels) or read_first(photo, max_pixels, keep_color=True)


def write_view(photo: Path, target: Path, max_pixels: int) -> None:
    """Write a photo's first page to `target` as a JPEG of at most `LARGE`, and to `small_of(target)` of `SMALL`.

    Raises:
        InputError: it can't be read.
        OutputError: the view can't be written.
    """
    write_view_of(read_to_show(photo, max_pixels), target)


def write_view_of(page: Photo, target: Path) -> None:
    """`write_view` for a page that was read with its colours kept.

    Raises:
        OutputError: the view can't be written.
    """
    _write_both(_reduced(page.luma if page.color is None else page.color, LARGE), target)


def write_early_view(page: Photo, target: Path, engine: Engine, saturation: float) -> None:
    """Write what `write_view` will make of a page's result, before there is one: the same guess, put onto the luma at
    the view's size.

    Raises:
        OutputError: the view can't be written.
    """
    still = look_at_photo(page, engine)
    chroma = still.chroma(guess(engine, [still])[0], saturation)
    _write_both(merge_rgb(_reduced(page.luma, LARGE), chroma), target)


def _write_both(large: Samples, target: Path) -> None:
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
    page = read_first(photo, max_pixels)
    still = look_at_photo(page, engine)
    doubt = still.doubt(guess(engine, [still], doubt=True)[0], *_reduced(page.luma, LARGE).shape)
    _write(heat_colors(doubt), target)


def _write(picture: Samples, target: Path) -> None:
    part = target.with_suffix(".part")  # no need to be sure that it is on disk, as for results
    try:
        Image.fromarray(picture).save(part, format="JPEG", quality=88)
        part.replace(target)
    except OSError as error:
        raise output_error(target, error) from error


def _read_reduced(photo: Path, max_pixels: int) -> Photo | None:
    """A JPEG decoded to a half, a quarter or an eighth of its size, in a fraction of the time; None where the careful
    path is needed, or the file can't be read."""
    try:
        with Image.open(photo, formats=("JPEG",)) as image:
            is_plain = image.format == "JPEG" and image.mode in ("L", "RGB")
            is_upright = image.getexif().get(ExifTags.Base.Orientation, 1) == 1
            is_srgb = image.info.get("icc_profile") in (None, srgb_profile())
            if not (is_plain and is_upright and is_srgb and image.width * image.height <= max_pixels):
                return None
            scale = min(1.0, LARGE / max(image.size))
            image.draft(image.mode, (max(1, int(image.width * scale)), max(1, int(image.height * scale))))
            picture = np.asarray(image)
            colors = see(picture, "grey" if picture.ndim == 2 else "rgb", None, [], keep_color=True)
            era = era_of_picture(image)
            return Photo(colors.luma, None, colors.tone, JPEG, color=colors.color, small=colors.small, era=era)
    except Exception:  # noqa: BLE001  the careful path tells what is wrong
        return None


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
