"""Writing a coloured photo: into a container, with its metadata, whole or not at all."""

from __future__ import annotations

import io
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from PIL import ExifTags, Image, PngImagePlugin

from restore.errors import OutputError
from restore.files import write_atomically
from restore.merge import SmallChroma, merge_rgb
from restore.photos.containers import JPEG, PNG, TIFF, WEBP, Container
from restore.photos.jpeg import encode_jpeg
from restore.photos.reading import Metadata, Photo, Plane

_XMP_TAG = 700
_JPEG_MAX_SEGMENT = 65_000


def flatten(photo: Photo, container: Container) -> Plane:
    """The luma that the result will have: as it is, or laid on white where the container holds no alpha."""
    if photo.alpha is None or container.has_alpha:
        return photo.luma
    alpha = photo.alpha.astype(np.float32) / 255
    return np.rint(photo.luma * alpha + 255 * (1 - alpha)).astype(np.uint8)


def encode(photo: Photo, luma: Plane, chroma: SmallChroma, container: Container, quality: int) -> bytes:
    """Merge and encode, in memory: so that an encoder's complaint and a full disk are told apart.

    Args:
        luma: (H, W), from `flatten`.

    Raises:
        OutputError: the container can't hold such a picture (a WebP has at most 16,383 pixels a side).
    """
    options = _metadata_options(container, photo.metadata)
    try:
        if container is JPEG:
            return encode_jpeg(luma, chroma, quality, options)
        picture = Image.fromarray(merge_rgb(luma, chroma))
        if photo.alpha is not None and container.has_alpha:
            picture.putalpha(Image.fromarray(photo.alpha))
        if container is WEBP:
            options["quality"] = quality
        stream = io.BytesIO()
        picture.save(stream, container.name, **options)
        return stream.getvalue()
    except MemoryError:
        raise
    except Exception as error:
        raise OutputError(
            f"the result can't be encoded as {container.name}: {error}", "Try another --format"
        ) from error


def _metadata_options(container: Container, metadata: Metadata) -> dict[str, Any]:
    if container is TIFF:
        return _tiff_options(metadata)
    options: dict[str, Any] = {}
    if metadata.dpi and container is not WEBP:
        options["dpi"] = metadata.dpi
    exif, xmp = metadata.exif, metadata.xmp
    if container is JPEG:
        # A segment of a JPEG ends at 64 KiB; the others have no such limit.
        exif, xmp = (data if len(data) < _JPEG_MAX_SEGMENT else b"" for data in (exif, xmp))
    if exif and container in (JPEG, PNG, WEBP):
        options["exif"] = exif
    if xmp:
        if container is PNG:
            info = PngImagePlugin.PngInfo()
            info.add_itxt("XML:com.adobe.xmp", xmp.decode("utf-8", "replace"))
            options["pnginfo"] = info
        elif container in (JPEG, WEBP):
            options["xmp"] = xmp
    return options


def _tiff_options(metadata: Metadata) -> dict[str, Any]:
    tags = Image.Exif()
    if metadata.exif:
        tags.load(metadata.exif)
    nested = any(tags.get_ifd(ifd) for ifd in (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo))
    if metadata.xmp:
        tags[_XMP_TAG] = metadata.xmp
    # Pillow compresses by way of libtiff, through which it can't write nested folders of tags.
    options: dict[str, Any] = {"exif": tags, "compression": "raw" if nested else "tiff_adobe_deflate"}
    return options | ({"dpi": metadata.dpi} if metadata.dpi else {})


def write_bytes(path: Path, data: bytes) -> None:
    """Put an encoded photo at `path`.

    Raises:
        OutputError: it can't be written there, or the disk is full.
    """
    write_atomically(path, lambda stream: stream.write(data))


def copy_as_is(source: Path, target: Path) -> None:
    """Copy a file byte for byte.

    Raises:
        OSError: the source can't be read.
        OutputError: the target can't be written, or the disk is full.
    """
    with source.open("rb") as original:
        write_atomically(target, lambda stream: shutil.copyfileobj(original, stream, 1 << 20))
