"""JPEG 2000 by OpenJPEG: lossless, 8 and 16 bit. XMP stands in a box of its own."""

from __future__ import annotations

import imagecodecs

from restore.photos.profiles import Samples

_XMP_UUID = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")


def encode_jpeg2000(samples: Samples, xmp: bytes) -> bytes:
    """Encode RGB or RGBA (H, W, 3 or 4) without loss."""
    data = imagecodecs.jpeg2k_encode(samples, level=0, reversible=True, codecformat="jp2")
    if not xmp:
        return bytes(data)
    return bytes(data) + (24 + len(xmp)).to_bytes(4, "big") + b"uuid" + _XMP_UUID + xmp


def xmp_of(data: bytes) -> bytes:
    """XMP of a JP2 file, or nothing."""
    position = 0
    while position + 8 <= len(data):
        size, start = int.from_bytes(data[position : position + 4], "big"), position + 8
        if size == 1:
            size, start = int.from_bytes(data[start : start + 8], "big"), position + 16
        end = position + size if size else len(data)
        if data[position + 4 : position + 8] == b"uuid" and data[start : start + 16] == _XMP_UUID:
            return data[start + 16 : end]
        if end <= position:
            break
        position = end
    return b""
