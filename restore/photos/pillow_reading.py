"""Reading what Pillow reads, all but TIFF; deep PNG and JPEG 2000 by their own libraries, which keep 16 bit."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import BinaryIO

import imagecodecs
import numpy as np
from PIL import ExifTags, Image, ImageOps

from restore.errors import InputError, MissingDependencyError
from restore.photos.containers import AVIF, CONTAINERS, GIF, HEIF, JPEG, JPEG2000, PNG, TIFF, WEBP, Container
from restore.photos.jpeg import decode_grey
from restore.photos.jpeg2000 import xmp_of
from restore.photos.limits import check_pixels
from restore.photos.metadata import Metadata, from_pillow, upright_xmp
from restore.photos.photo import Photo, see, upright
from restore.photos.profiles import Samples, Space

_SEVERAL_JPEGS = "MPO"  # Pillow's name
_FORMATS = tuple(name for name in CONTAINERS if name not in (TIFF.name, HEIF.name))
_MODES = ("1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "I;16", "I;16B", "I")
_HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"mif1", b"msf1")


def measure(path: Path, max_pixels: int) -> tuple[int, int, int]:
    """Pages, pixels and bytes a sample, from the header."""
    with path.open("rb") as stream, _open(path, stream, max_pixels) as image:
        return 1, image.width * image.height, 2 if _is_deep(image, stream) else 1


def read_pages(path: Path, max_pixels: int, keep_color: bool = False) -> Generator[Photo, None, None]:
    """The one photo of a file."""
    with path.open("rb") as stream, _open(path, stream, max_pixels) as image:
        yield _read(path, stream, image, keep_color)


def _open(path: Path, stream: BinaryIO, max_pixels: int) -> Image.Image:
    start = stream.read(12)
    stream.seek(0)
    Image.MAX_IMAGE_PIXELS = None  # its limit is below the scans of today; ours is below, for every container
    formats = _FORMATS
    if start[4:8] == b"ftyp" and start[8:12] in _HEIF_BRANDS:
        _register_heif(path)
        formats = (HEIF.name, AVIF.name)
    image = Image.open(stream, formats=formats)
    try:
        check_pixels(path, *image.size, max_pixels)
    except InputError:
        image.close()
        raise
    return image


def _register_heif(path: Path) -> None:
    try:
        import pillow_heif
    except ImportError:
        raise MissingDependencyError(
            f"{path} is a HEIC, which takes an optional package", "pip install 'restore-color[heic]'"
        ) from None
    pillow_heif.register_heif_opener()


def _read(path: Path, stream: BinaryIO, image: Image.Image, keep_color: bool) -> Photo:
    notes: list[str] = []
    pages = int(getattr(image, "n_frames", 1))
    if pages > 1 and image.format not in (_SEVERAL_JPEGS, GIF.name, HEIF.name):
        raise InputError(f"{path} holds {pages} pictures", "Split it first: of this format, one a file is taken")
    if image.mode not in _MODES:
        raise InputError(f"{path} has colour mode {image.mode}, which can't be read", "Convert it first")
    container = JPEG if image.format == _SEVERAL_JPEGS else CONTAINERS[str(image.format)]
    if container is JPEG and _is_plain_grey(image):
        stream.seek(0)
        grey = decode_grey(stream.read())
        if grey is not None:
            return Photo(grey, None, "neutral", container, from_pillow(image, container, notes), pages, None, None)
    if container is GIF and pages > 1:
        notes.append(f"of its {pages} pictures the first was taken")
        pages = 1
    if container is HEIF:
        pages = 1  # the others are thumbnails and maps of the same photo
        bits = int(image.info.get("bit_depth") or 8)
        if bits > 8:
            notes.append(f"its {bits} bits a sample were reduced to 8")
    deep = _is_deep(image, stream)
    if container is AVIF and _avif_bits(stream) > 8:
        raise InputError(f"{path} is an AVIF of more than 8 bits, which can't be kept", "Convert it to TIFF first")
    if not deep:
        ImageOps.exif_transpose(image, in_place=True)
    icc = image.info.get("icc_profile")
    metadata = _metadata(image, stream, container, notes)
    if deep:
        orientation = _orientation(image)
        values, alpha = (
            samples if samples is None else upright(samples, orientation) for samples in _decode_deep(stream, container)
        )
        assert values is not None
        space: Space = "grey" if values.ndim == 2 else "rgb"
    else:
        alpha = _alpha(image)
        values, space = _plain(image)
    colors = see(values, space, icc, notes, keep_color=keep_color)
    lossless = container is WEBP and _is_lossless_webp(stream)
    return Photo(
        colors.luma,
        alpha,
        colors.tone,
        container,
        metadata,
        pages,
        colors.color,
        None,
        lossless,
        tuple(notes),
        colors.small,
    )


def _metadata(image: Image.Image, stream: BinaryIO, container: Container, notes: list[str]) -> Metadata:
    metadata = from_pillow(image, container, notes)
    if container is JPEG2000 and not metadata.xmp:
        stream.seek(0)
        return Metadata(metadata.exif, upright_xmp(xmp_of(stream.read())), metadata.dpi)
    return metadata


def _is_plain_grey(image: Image.Image) -> bool:
    """Grey as stored is grey as shown: upright, and no profile to apply."""
    return image.mode == "L" and not image.info.get("icc_profile") and _orientation(image) == 1


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # noqa: BLE001  as in metadata.exif_of; the careful path will tell
        return 0


def _is_deep(image: Image.Image, stream: BinaryIO) -> bool:
    # Pillow opens 16-bit colour as 8-bit modes, so the mode doesn't tell.
    if image.mode.startswith("I"):
        return True
    if image.format == JPEG2000.name:
        return _jpeg2000_bits(stream) > 8
    return image.format == PNG.name and any(";16" in str(tile[3]) for tile in getattr(image, "tile", ()))


def _jpeg2000_bits(stream: BinaryIO) -> int:
    """Of the samples, from the SIZ marker, which each codestream begins with (ISO/IEC 15444-1, A.5.1)."""
    position = stream.tell()
    stream.seek(0)
    start = stream.read(1 << 16)
    stream.seek(position)
    siz = start.find(b"\xff\x4f\xff\x51")
    return (start[siz + 42] & 0x7F) + 1 if 0 <= siz < len(start) - 42 else 8


def _avif_bits(stream: BinaryIO) -> int:
    """Of an AVIF's samples, from its configuration box (AV1-ISOBMFF, 2.3.3)."""
    stream.seek(0)
    start = stream.read(1 << 16)
    box = start.find(b"av1C")
    flags = start[box + 6] if 0 <= box < len(start) - 6 else 0
    return (12 if flags & 0x20 else 10) if flags & 0x40 else 8


def _is_lossless_webp(stream: BinaryIO) -> bool:
    stream.seek(0)
    return b"VP8L" in stream.read(1 << 12)


def _decode_deep(stream: BinaryIO, container: Container) -> tuple[Samples, Samples | None]:
    """Grey (H, W) or RGB (H, W, 3), and alpha, of 16 bit."""
    stream.seek(0)
    data = stream.read()
    decoded = imagecodecs.png_decode(data) if container is PNG else imagecodecs.jpeg2k_decode(data)
    values = _to_16_bit(np.asarray(decoded), 16 if container is PNG else _jpeg2000_bits(stream))
    if values.ndim == 2:
        return values, None
    channels = values.shape[2]
    alpha = np.ascontiguousarray(values[..., -1]) if channels in (2, 4) else None
    colour = values[..., 0] if channels <= 2 else values[..., :3]
    return np.ascontiguousarray(colour), alpha


def _to_16_bit(values: Samples, bits: int) -> Samples:
    """Samples of 9 to 16 bits spread over all of 16."""
    if bits == 16:
        return values
    full = (1 << bits) - 1
    return np.asarray((values.astype(np.uint32) * 65535 + full // 2) // full, np.uint16)


def _alpha(image: Image.Image) -> Samples | None:
    if not image.has_transparency_data:
        return None
    return np.asarray(image.convert("RGBA").getchannel("A"))


def _plain(image: Image.Image) -> tuple[Samples, Space]:
    """8-bit samples without alpha, and their space."""
    if image.mode in ("1", "L", "LA", "La"):
        return np.asarray(image.convert("LA").getchannel("L") if image.mode == "La" else image.convert("L")), "grey"
    if image.mode == "CMYK":
        return np.asarray(image), "cmyk"
    # By way of RGBA, as a palette's transparent entries must not become its background.
    return np.asarray((image.convert("RGBA") if image.has_transparency_data else image).convert("RGB")), "rgb"
