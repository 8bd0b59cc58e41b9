"""Contact sheets: rows of pictures beside each other (grey, ours, original), labelled by column."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from restore.files import write_atomically

Rgb = npt.NDArray[np.uint8]

_MARGIN = 4
_LABEL_HEIGHT = 20
_PAPER = (255, 255, 255)
_INK = (0, 0, 0)


def thumbnail(picture: Rgb, cell: int) -> Rgb:
    """(H, W, 3) reduced (never enlarged) to fit a square of `cell` pixels: what a sheet keeps of a large picture."""
    image = Image.fromarray(picture)
    image.thumbnail((cell, cell), Image.Resampling.LANCZOS)
    return np.asarray(image)


def draw_sheet(rows: Sequence[Sequence[Rgb]], labels: Sequence[str], cell: int = 256) -> Image.Image:
    """Draw a sheet.

    Args:
        rows: pictures (H, W, 3) uint8 RGB, one for each label in each row; larger ones are reduced to the cell.
        labels: what stands over each column.
        cell: side of a cell in pixels.
    """
    if not rows or any(len(row) != len(labels) for row in rows):
        raise ValueError(f"each of one or more rows needs {len(labels)} pictures")
    pitch = cell + _MARGIN
    sheet = Image.new("RGB", (_MARGIN + len(labels) * pitch, _LABEL_HEIGHT + len(rows) * pitch), _PAPER)
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default()
    for column, label in enumerate(labels):
        middle = _MARGIN + column * pitch + cell // 2
        draw.text((middle, _LABEL_HEIGHT // 2), label, _INK, font, anchor="mm")
    for line, row in enumerate(rows):
        for column, picture in enumerate(row):
            small = thumbnail(picture, cell)
            left = _MARGIN + column * pitch + (cell - small.shape[1]) // 2
            top = _LABEL_HEIGHT + line * pitch + (cell - small.shape[0]) // 2
            sheet.paste(Image.fromarray(small), (left, top))
    return sheet


def contact_sheet(path: Path, rows: Sequence[Sequence[Rgb]], labels: Sequence[str], cell: int = 256) -> None:
    """Write `draw_sheet` to `path` as PNG, atomically.

    Raises:
        OutputError: the place can't be written to.
    """
    sheet = draw_sheet(rows, labels, cell)
    write_atomically(path, lambda stream: sheet.save(stream, format="PNG"))
