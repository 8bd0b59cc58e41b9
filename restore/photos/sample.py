"""Colouring a photo in memory, to see how long it takes and how large it becomes."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from restore.merge import shrink_luma, small_chroma
from restore.options import PhotoOptions
from restore.photos.containers import TIFF, result_container
from restore.photos.photo import Photo
from restore.photos.reading import measure, read_pages
from restore.photos.steady import guess_alike
from restore.photos.view import network_view
from restore.photos.writing import encode, fit

if TYPE_CHECKING:
    from restore.colorizers import Engine

# Of a large scan, a band from its middle is merged and encoded, as its margins are smaller when compressed.
_BAND = 1 / 8
# Samples of a result's raw size: noise grows by LZW, by half at most, and there may be alpha.
_RAW_CHANNELS = 4.5


@dataclass(frozen=True)
class Sample:
    """Seconds of one thread, and bytes of the result."""

    seconds: float
    size: int


def color_sample(path: Path, options: PhotoOptions, engine: Engine) -> Sample:
    """Colour a photo as the run would, and throw the result away.

    Raises:
        RestoreError, OSError: what would be wrong with it in the run.
    """
    begin = time.perf_counter()
    most = options.max_pixels * 1_000_000
    size = measure(path, most)
    photo = next(read_pages(path, most))
    if photo.tone == "color" and options.already_color != "recolor":
        copied = path.stat().st_size if options.already_color == "keep" else 0
        return Sample(time.perf_counter() - begin, copied)
    container = TIFF if size.pages > 1 else result_container(photo.container, options.format)
    photo = fit(photo, container)
    small = shrink_luma(photo.luma, engine.size)
    chroma = small_chroma(small, guess_alike(engine, [network_view(small)])[0], options.saturation)
    read = time.perf_counter()
    band, part = _band(photo) if size.is_large else (photo, 1.0)
    data = len(encode(band, chroma, container, options.quality).data)
    seconds = read - begin + (time.perf_counter() - read) / part
    return Sample(seconds * size.pages, round(data / part) * size.pages)


def most_bytes(path: Path, options: PhotoOptions) -> int:
    """What a result can't be larger than, by the header of its original.

    Raises:
        RestoreError, OSError: it can't be read.
    """
    size = measure(path, options.max_pixels * 1_000_000)
    return round(size.bytes * size.pages * _RAW_CHANNELS)


def _band(photo: Photo) -> tuple[Photo, float]:
    """A band of whole rows, and its part of the photo."""
    height = photo.luma.shape[0]
    rows = min(height, max(64, round(height * _BAND)))
    top = (height - rows) // 2
    luma, alpha, color = (
        None if samples is None else samples[top : top + rows] for samples in (photo.luma, photo.alpha, photo.color)
    )
    assert luma is not None
    return replace(photo, luma=luma, alpha=alpha, color=color), rows / height
