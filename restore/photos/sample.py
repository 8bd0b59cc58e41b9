"""Colouring a photo in memory, to see how long it takes and how large it becomes."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from restore.heatmap import MAP_SIDE
from restore.options import PhotoOptions
from restore.photos.containers import TIFF, result_container
from restore.photos.photo import SMALL_SIDE, Photo
from restore.photos.reading import measure, read_pages
from restore.photos.writing import encode, fit
from restore.stills import colorize
from restore.tone import has_color

if TYPE_CHECKING:
    from restore.colorizers import Engine

# Of a scan beyond so many bytes of luma, bands are merged and encoded: so many, of so many rows.
_WHOLE_BYTES = 4_000_000
_BANDS, _ROWS = 6, 64
# A picture beside a result: words and frames, and bytes a pixel (0.05 to 0.7 were measured, 0.2 in the median).
_BESIDE, _BYTES_A_PIXEL = 10_000, 0.3
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
    if has_color(photo.tone) and options.already_color != "recolor":
        copied = path.stat().st_size if options.already_color == "keep" else 0
        return Sample(time.perf_counter() - begin, copied)
    container = TIFF if size.pages > 1 else result_container(photo.container, options.format)
    photo = fit(photo, container)
    chroma = colorize(photo.luma, engine, options.saturation, engine.era_for(photo.era))
    read = time.perf_counter()
    band, part = _bands(photo) if photo.luma.nbytes > _WHOLE_BYTES else (photo, 1.0)
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


def beside_bytes(path: Path, options: PhotoOptions) -> float:
    """About the size of the pair and the maps that the options ask for beside a result, by the header of its original.

    Raises:
        RestoreError, OSError: it can't be read.
    """
    size = measure(path, options.max_pixels * 1_000_000)
    pair, page = (_BESIDE + _BYTES_A_PIXEL * min(size.pixels, side**2) for side in (SMALL_SIDE, MAP_SIDE))
    return options.compare * 2 * pair + options.confidence * size.pages * page


def _bands(photo: Photo) -> tuple[Photo, float]:
    """Bands of whole rows from all over a photo, one below the other, and their part of it."""
    height = photo.luma.shape[0]
    if height < 2 * _BANDS * _ROWS:
        return photo, 1.0
    tops = [(2 * number + 1) * height // (2 * _BANDS) - _ROWS // 2 for number in range(_BANDS)]
    luma, alpha, color = (
        None if samples is None else np.concatenate([samples[top : top + _ROWS] for top in tops])
        for samples in (photo.luma, photo.alpha, photo.color)
    )
    assert luma is not None
    return replace(photo, luma=luma, alpha=alpha, color=color), _BANDS * _ROWS / height
