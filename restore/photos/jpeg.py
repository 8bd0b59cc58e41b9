"""JPEG by way of libjpeg-turbo's own interface: grey in; Y′, Cb and Cr planes at 4:2:0 out, as they are.

There is no pass through RGB, and the encoder's luma is ours. Writing is twice as fast as by Pillow, which would need
the chroma enlarged, three planes interleaved and a copy of it all.
"""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import numpy.typing as npt
import simplejpeg
from PIL import Image

from restore.merge import SmallChroma, chroma_planes

Plane = npt.NDArray[np.uint8]

_FIRST_APP, _LAST_APP, _COMMENT = 0xE0, 0xEF, 0xFE


def encode_jpeg(luma: Plane, chroma: SmallChroma, quality: int, header_options: dict[str, Any]) -> bytes:
    """Merge and encode.

    Args:
        luma: (H, W).
        header_options: what Pillow's JPEG saver takes for the metadata: `dpi`, `exif`, `xmp`, `extra`, `comment` …

    Raises:
        ValueError: more than 65,500 pixels a side, or metadata that does not fit.
    """
    planes = _readable_to_even(luma), *chroma_planes(luma, chroma)
    data = memoryview(simplejpeg.encode_jpeg_yuv_planes(*planes, quality=quality))
    header = io.BytesIO()
    # Pillow knows how metadata is written; its segments take the place of the bare ones.
    Image.new("YCbCr", (8, 8)).save(header, "JPEG", **header_options)
    own = header.getbuffer()
    return b"".join((own[: _end_of_app_segments(own)], data[_end_of_app_segments(data) :]))


def _readable_to_even(luma: Plane) -> Plane:
    """The same plane in memory that has its edge again behind an odd last row or column: libjpeg-turbo reads it there,
    from other pixels or from beyond the array, where that may end the process."""
    height, width = luma.shape
    if height % 2 == width % 2 == 0:
        return luma
    return np.pad(luma, ((0, height % 2), (0, width % 2)), mode="edge")[:height, :width]


def decode_grey(data: bytes) -> Plane | None:
    """(H, W) of a grey JPEG: Pillow's values in half its time. None where anything is odd, for Pillow to say what."""
    try:
        return np.asarray(simplejpeg.decode_jpeg(data, "GRAY")[..., 0])
    except ValueError:
        return None


def _end_of_app_segments(data: memoryview) -> int:
    """Where the APPn segments and comments that follow the start marker end (ITU-T T.81, annex B)."""
    position = 2
    while data[position] == 0xFF and (_FIRST_APP <= data[position + 1] <= _LAST_APP or data[position + 1] == _COMMENT):
        position += 2 + int.from_bytes(data[position + 2 : position + 4])
    return position
