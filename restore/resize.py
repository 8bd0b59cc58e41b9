"""Pictures in the shape that networks want."""

from __future__ import annotations

from typing import Any

import cv2
import numpy.typing as npt


def resized(picture: npt.NDArray[Any], rows: int, columns: int) -> npt.NDArray[Any]:
    """(H, W) or (H, W, C) to (rows, columns), by area averaging; one smaller both ways is enlarged, bilinear."""
    smaller = picture.shape[0] > rows or picture.shape[1] > columns
    return cv2.resize(picture, (columns, rows), interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR)


def squared(picture: npt.NDArray[Any], side: int) -> npt.NDArray[Any]:
    """The same to (side, side)."""
    return resized(picture, side, side)
