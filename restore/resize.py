"""Pictures in the shape that networks want."""

from __future__ import annotations

from typing import Any

import cv2
import numpy.typing as npt


def squared(picture: npt.NDArray[Any], side: int) -> npt.NDArray[Any]:
    """(H, W) or (H, W, C) to (side, side), by area averaging; one that is smaller both ways is enlarged, bilinear."""
    smaller = picture.shape[0] > side or picture.shape[1] > side
    return cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR)
