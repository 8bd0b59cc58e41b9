"""Stills before and after, spread over a film, as one sheet: how it would look, without encoding it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from restore.colorizers import Engine
from restore.errors import InputError
from restore.options import VideoOptions
from restore.sheet import Rgb, contact_sheet, thumbnail
from restore.video.codec import VideoCodec
from restore.video.film import Film
from restore.video.pipeline import render_frames
from restore.video.reader import Frame
from restore.video.rgb import grey_from_luma, rgb_from_planes
from restore.video.spots import stills

_CELL = 480


def preview_path(output: Path) -> Path:
    """Where the sheet of a film goes whose result would be `output`."""
    return output.with_name(f"{output.stem}-preview.png")


def write_preview(
    path: Path,
    film: Film,
    codec: VideoCodec,
    options: VideoOptions,
    engine: Engine,
    count: int,
    stopping: Callable[[], bool] = lambda: False,
) -> int:
    """Write `count` stills, before and after, to `path`; how many there are. None is written when told to stop.

    Raises:
        InputError: no frame can be decoded.
        OutputError: the sheet can't be written.
    """
    before: list[Rgb] = []
    rows: list[list[Rgb]] = []

    def noted() -> Iterator[Frame]:
        for frame in stills(film, count):
            if stopping():
                return
            before.append(_before(frame, film))
            yield frame

    # Stills have no neighbours to be smoothed with.
    alone = replace(options, smooth=0.0)
    with contextlib.closing(render_frames(noted(), film, codec, alone, engine)) as rendered:
        for number, frame in enumerate(rendered):
            after = thumbnail(rgb_from_planes(frame.planes, codec.form), _CELL)
            rows.append([before[number], after])
    if stopping():
        return 0
    if not rows:
        raise InputError(f"{film.path} has no frame that can be decoded")
    contact_sheet(path, rows, ("before", "after"), _CELL)
    return len(rows)


def _before(frame: Frame, film: Film) -> Rgb:
    if frame.chroma is not None:
        return thumbnail(rgb_from_planes((frame.luma, *frame.chroma), film.form), _CELL)
    grey = grey_from_luma(frame.luma, film.form)
    return thumbnail(grey[..., None].repeat(3, axis=2), _CELL)
