"""Contact sheets: rows of pictures beside each other (grey, ours, original), labelled by column, and by row too."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from restore.files import write_atomically

Rgb = npt.NDArray[np.uint8]

_MARGIN = 4
_LABEL_HEIGHT, _LABEL_SIZE = 20, 13
_PAPER = (255, 255, 255)
_INK = (0, 0, 0)


def thumbnail(picture: Rgb, cell: int) -> Rgb:
    """(H, W, 3) reduced (never enlarged) to fit a square of `cell` pixels: what a sheet keeps of a large picture."""
    image = Image.fromarray(picture)
    image.thumbnail((cell, cell), Image.Resampling.LANCZOS)
    return np.asarray(image)


def draw_sheet(
    rows: Sequence[Sequence[Rgb]], labels: Sequence[str], cell: int = 256, row_labels: Sequence[str] = ()
) -> Image.Image:
    """Draw a sheet.

    Args:
        rows: pictures (H, W, 3) uint8 RGB, one for each label in each row; larger ones are reduced to the cell.
        labels: what stands over each column.
        cell: width of a column, and the most that a row is high, in pixels.
        row_labels: what stands over each row, if anything.
    """
    if not rows or any(len(row) != len(labels) for row in rows):
        raise ValueError(f"each of one or more rows needs {len(labels)} pictures")
    small = [[thumbnail(picture, cell) for picture in row] for row in rows]
    heights = [max(picture.shape[0] for picture in row) for row in small]
    width = _MARGIN + len(labels) * (cell + _MARGIN)
    between = _MARGIN + (_LABEL_HEIGHT if row_labels else 0)
    sheet = Image.new("RGB", (width, _LABEL_HEIGHT + sum(heights) + len(rows) * between), _PAPER)
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(_LABEL_SIZE)
    lefts = [_MARGIN + column * (cell + _MARGIN) for column in range(len(labels))]
    for left, label in zip(lefts, labels, strict=True):
        draw.text((left + cell // 2, _LABEL_HEIGHT // 2), label, _INK, font, anchor="mm")
    top = _LABEL_HEIGHT
    for row, height, label in zip(small, heights, row_labels or [""] * len(rows), strict=True):
        if label:
            draw.text((_MARGIN, top + _LABEL_HEIGHT // 2), label, _INK, font, anchor="lm")
            top += _LABEL_HEIGHT
        for left, picture in zip(lefts, row, strict=True):
            place = (left + (cell - picture.shape[1]) // 2, top + (height - picture.shape[0]) // 2)
            sheet.paste(Image.fromarray(picture), place)
        top += height + _MARGIN
    return sheet


def contact_sheet(path: Path, rows: Sequence[Sequence[Rgb]], labels: Sequence[str], cell: int = 256) -> None:
    """Write `draw_sheet` to `path` as PNG, atomically.

    Raises:
        OutputError: the place can't be written to.
    """
    sheet = draw_sheet(rows, labels, cell)
    write_atomically(path, lambda stream: sheet.save(stream, format="PNG"))
