"""One photo at several sizes, saturations and styles, as a labelled sheet: so that nobody has to guess (`--sweep`)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from restore.colorizers import Engine, LoadEngine, load_engine
from restore.errors import OutputError, UsageError
from restore.files import exists, write_atomically
from restore.merge import merge_rgb
from restore.options import MAX_SIZE, MIN_SIZE, SIZE_STEP, EngineOptions, Style
from restore.photos.photo import Photo, look_at_photo, small_copy
from restore.photos.reading import DEFAULT_MAX_PIXELS, read_pages
from restore.sheet import Rgb, draw_sheet
from restore.stills import guess

SATURATIONS = (0.6, 0.8, 1.0, 1.25, 1.5)
_OF_WORKING_SIZE = (2 / 3, 1, 4 / 3, 2)
_STYLES: tuple[Style, ...] = ("natural", "vivid")
_CELL = 288


@dataclass(frozen=True)
class Row:
    """A style and a working size, and the photo at each of `SATURATIONS`: (h, w, 3) sRGB, small.

    Args:
        own: the working size is the model's own.
    """

    style: Style | None
    size: int
    own: bool
    pictures: list[Rgb]


def sweep(photo: Photo, options: EngineOptions, load: LoadEngine = load_engine) -> Iterator[Row]:
    """The photo at several styles, working sizes and saturations.

    Args:
        options: a style or a size that they name is the only one.
        load: gives engines, such as `KeptEngines`.

    Raises:
        ModelError, DeviceError, UsageError: the model or the device can't be had.
    """
    luma = small_copy(photo.luma)
    for style, engine in _engines(options, load):
        for size in [options.size] if options.size else _sizes(engine.size):
            still = look_at_photo(photo, engine, size)
            (ab,) = guess(engine, [still])
            colored = (merge_rgb(luma, still.chroma(ab, saturation)) for saturation in SATURATIONS)
            own = not options.size and size == engine.size
            yield Row(style, size, own, [np.asarray(picture, np.uint8) for picture in colored])


def draw_sweep(photo: Path | Photo, options: EngineOptions, max_pixels: int = DEFAULT_MAX_PIXELS) -> Rgb:
    """The sheet: a row for each style and working size, a column for each saturation, labelled as options are typed.

    Args:
        photo: of a document of several pages, the first is taken.
        options: a style or a size that they name is the only one.

    Returns:
        (H, W, 3) sRGB.

    Raises:
        InputError: the photo can't be read.
        ModelError, DeviceError, UsageError: the model or the device can't be had.
    """
    if not isinstance(photo, Photo):
        photo = next(read_pages(photo, max_pixels))
    rows, labels = [], []
    for row in sweep(photo, options):
        rows.append([photo.view(), *row.pictures])
        own = " (the model's own)" if row.own else ""
        labels.append(f"--style {row.style} --size {row.size}{own}" if row.style else f"--size {row.size}{own}")
    columns = ("before", *(f"--saturation {saturation:g}" for saturation in SATURATIONS))
    return np.asarray(draw_sheet(rows, columns, _CELL, labels))


def _engines(options: EngineOptions, load: LoadEngine) -> list[tuple[Style | None, Engine]]:
    """An engine for each style; for a model that has none, its only one."""
    if options.style:
        return [(options.style, load(options))]
    try:
        return [(style, load(replace(options, style=style))) for style in _STYLES]
    except UsageError:
        return [(None, load(options))]


def _sizes(own: int) -> list[int]:
    steps = (round(own * share / SIZE_STEP) * SIZE_STEP for share in _OF_WORKING_SIZE)
    return sorted({min(max(size, MIN_SIZE), MAX_SIZE) for size in steps})


def check_sweep_path(path: Path, photo: Path, *, overwrite: bool) -> None:
    """Refuse a place that may hold something else.

    Raises:
        UsageError: its name is not that of a PNG.
        OutputError: it is there already, or is the photo itself.
    """
    if path.resolve() == photo.resolve():
        raise OutputError(f"--sweep {path} is the photo itself", "Give another name")
    if path.suffix.lower() != ".png":
        raise UsageError(f"--sweep {path} is no .png file", "Give the name of one")
    if exists(path) and not overwrite:
        raise OutputError(f"--sweep {path} exists", "Give another name, or --overwrite if it is an earlier sweep")


def write_sweep(path: Path, photo: Path | Photo, options: EngineOptions, max_pixels: int = DEFAULT_MAX_PIXELS) -> None:
    """Write `draw_sweep` to `path` as PNG, whole or not at all.

    Raises:
        OutputError: it can't be written there.
        InputError, ModelError, DeviceError, UsageError: as `draw_sweep`.
    """
    sheet = draw_sweep(photo, options, max_pixels)
    data = cv2.imencode(".png", sheet[..., ::-1])[1].tobytes()
    write_atomically(path, lambda stream: stream.write(data))
