"""Frames as pictures, for looking at and for measuring: never in the way from film to film."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from restore.merge import YuvForm
from restore.video.reader import Plane

Rgb = npt.NDArray[np.uint8]


def rgb_from_planes(planes: tuple[Plane, Plane, Plane], form: YuvForm) -> Rgb:
    """(H, W, 3) 8-bit RGB by the film's own matrix and range, clipped; chroma is enlarged bilinearly.

    Args:
        planes: Y, Cb and Cr as `form` stores them.
    """
    height, width = planes[0].shape
    # Padded to whole blocks, as encoders do: then a sample of chroma is as wide as its block, at odd sizes too.
    size = (planes[1].shape[1] * form.across, planes[1].shape[0] * form.down)
    luma = planes[0].astype(np.float32)
    cb, cr = (
        cv2.resize(plane.astype(np.float32), size, interpolation=cv2.INTER_LINEAR)[:height, :width]
        for plane in planes[1:]
    )
    matrix = form.matrix
    y, c = 255 / form.luma_span, 255 / form.chroma_span
    weights = np.array(
        [[y, 0, c * matrix.cr_to_r], [y, c * matrix.cb_to_g, c * matrix.cr_to_g], [y, c * matrix.cb_to_b, 0]]
    )
    offset = -weights @ (form.black, form.neutral, form.neutral)
    rgb = cv2.transform(cv2.merge([luma, cb, cr]), np.column_stack([weights, offset]))
    return np.clip(np.rint(rgb, out=rgb), 0, 255, out=rgb).astype(np.uint8)


def grey_from_luma(luma: Plane, form: YuvForm) -> npt.NDArray[np.uint8]:
    """(H, W) 8-bit, black at 0 and white at 255: what each channel is where there is no chroma."""
    grey = (luma.astype(np.float32) - form.black) * np.float32(255 / form.luma_span)
    return np.clip(np.rint(grey, out=grey), 0, 255, out=grey).astype(np.uint8)
