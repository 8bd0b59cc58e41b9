"""From ab to the chroma planes of a frame, beside its own luma."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import cv2
import numpy as np

from restore.merge import SmallChroma, YuvForm, chroma_planes, small_chroma
from restore.video.color_frames import ColoredFrame
from restore.video.film_memory import Memory
from restore.video.reader import Plane


@dataclass(frozen=True)
class RenderedFrame:
    """What is encoded: Y, Cb and Cr as the codec's pixel format stores them."""

    index: int
    pts: int
    planes: tuple[Plane, Plane, Plane]
    memory: Memory


def render(colored: ColoredFrame, form: YuvForm, shift: int, saturation: float) -> RenderedFrame:
    """Chroma at its full size, guided by the luma.

    Args:
        form: of the encoded planes.
        shift: bits by which luma moves up to get there.
    """
    look = colored.look
    frame = look.frame
    luma = frame.luma
    if shift:
        luma = luma.astype(np.uint16) << np.uint16(shift)
    if colored.memory.keeps and frame.chroma is not None:
        cb, cr = (_converted(plane, luma, form, shift) for plane in frame.chroma)
    else:
        ab = colored.ab.transpose(2, 0, 1)
        chroma = look.tone.undone(small_chroma(look.view, ab, saturation, form.matrix, look.area))
        make = _by_field if frame.interlaced and form.down == 2 else chroma_planes
        cb, cr = make(luma, chroma, form)
    return RenderedFrame(frame.index, frame.pts, (luma, cb, cr), colored.memory)


def _converted(plane: Plane, luma: Plane, form: YuvForm, shift: int) -> Plane:
    """A decoded plane of chroma, in the size and depth that are encoded."""
    height, width = -(-luma.shape[0] // form.down), -(-luma.shape[1] // form.across)
    if plane.shape != (height, width):
        plane = cast(Plane, cv2.resize(plane, (width, height), interpolation=cv2.INTER_LINEAR))
    return plane.astype(np.uint16) << np.uint16(shift) if shift else plane


def _by_field(luma: Plane, chroma: SmallChroma, form: YuvForm) -> tuple[Plane, Plane]:
    """Interlaced 4:2:0: lines of chroma belong to the fields in turn, and must not mix what lies apart in time."""
    height, width = luma.shape
    results = (
        np.empty(((height + 1) // 2, -(-width // form.across)), luma.dtype),
        np.empty(((height + 1) // 2, -(-width // form.across)), luma.dtype),
    )
    for field in (0, 1):
        for plane, result in zip(chroma_planes(luma[field::2], chroma, form), results, strict=True):
            lines = result[field::2]
            lines[:] = plane[: len(lines)]
    return results
