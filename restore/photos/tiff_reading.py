"""Reading TIFF: every page, at its depth, with its tags and the way it is stored."""

from __future__ import annotations

import io
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import ExifTags, Image
from tifffile import COMPRESSION, EXTRASAMPLE, PHOTOMETRIC, TiffFile, TiffPage

from restore.errors import InputError
from restore.photos.containers import TIFF
from restore.photos.limits import check_pixels
from restore.photos.metadata import (
    Metadata,
    RawTag,
    dpi_of,
    exif_of,
    iptc_from_photoshop,
    photoshop_from_iptc,
    upright_xmp,
)
from restore.photos.photo import Photo, TiffForm, see, upright
from restore.photos.profiles import Samples, Space, strips

_SPACES: dict[int, Space] = {
    **{PHOTOMETRIC.MINISWHITE: "grey", PHOTOMETRIC.MINISBLACK: "grey", PHOTOMETRIC.MASK: "grey"},
    **{PHOTOMETRIC.RGB: "rgb", PHOTOMETRIC.PALETTE: "rgb", PHOTOMETRIC.YCBCR: "rgb", PHOTOMETRIC.SEPARATED: "cmyk"},
}
_CHANNELS: dict[Space, int] = {"grey": 1, "rgb": 3, "cmyk": 4}
# The structure of the file and the kind of its samples, which the result has of its own; pointers into the file; and
# what stands in other fields of `Metadata`. 37724: Photoshop's layers, which would not be the result's.
_STRUCTURE = frozenset(
    (
        *(254, 255, 256, 257, 258, 259, 262, 263, 264, 265, 266, 273, 274, 277, 278, 279, 280, 281, 282, 283, 284),
        *(288, 289, 290, 291, 292, 293, 296, 301, 317, 318, 319, 320, 321, 322, 323, 324, 325, 326, 327, 328, 330),
        *(332, 333, 334, 336, 337, 338, 339, 340, 341, 342, 347, 512, 513, 514, 515, 517, 518, 519, 520, 521),
        *(529, 530, 531, 532, 700, 33723, 34377, 34665, 34675, 34853, 37724, 40965),
    )
)
_XMP, _IPTC, _PHOTOSHOP, _ICC, _ORIENTATION, _SUB_IFDS = 700, 33723, 34377, 34675, 274, 330
_INCHES = {2: 1.0, 3: 2.54}


def measure(path: Path, max_pixels: int) -> tuple[int, int, int]:
    """Pages, pixels of the largest, and its bytes a sample."""
    with TiffFile(path) as tiff:
        pages = [page.aspage() for page in tiff.pages]
        for page in pages:
            check_pixels(path, page.imagewidth, page.imagelength, max_pixels)
        largest = max(pages, key=lambda page: page.imagewidth * page.imagelength)
        deep = largest.bitspersample > 8
        return len(pages), largest.imagewidth * largest.imagelength, 2 if deep else 1


def read_pages(path: Path, max_pixels: int, keep_color: bool = False) -> Generator[Photo, None, None]:
    """Every page of a file, one at a time."""
    with path.open("rb") as stream, TiffFile(stream) as tiff:
        count = len(tiff.pages)
        for number in range(count):
            page = tiff.pages[number].aspage()
            check_pixels(path, page.imagewidth, page.imagelength, max_pixels)
            yield _read(path, tiff, page, number, count, keep_color)


def _read(path: Path, tiff: TiffFile, page: TiffPage, number: int, count: int, keep_color: bool) -> Photo:
    notes: list[str] = []
    space = _SPACES.get(page.photometric)
    named = f"{path}" if count == 1 else f"page {number + 1} of {path}"
    if space is None:
        raise InputError(
            f"{named} has samples of kind {PHOTOMETRIC(page.photometric).name}, which can't be read", "Convert it"
        )
    values, space = _decode(named, page, space, notes)
    orientation = _tag(page, _ORIENTATION, 1)
    colour, alpha = _split(page, values, space)
    colors = see(upright(colour, orientation), space, _tag(page, _ICC, None), notes, keep_color=keep_color)
    if _tag(page, _SUB_IFDS, None):
        notes.append("its sub-images (such as thumbnails) were left out")
    form = TiffForm(
        int(page.compression),
        int(page.predictor),
        (page.tilelength, page.tilewidth) if page.is_tiled else None,
        None if page.is_tiled else int(page.rowsperstrip) or None,
        int(page.subfiletype),
        tiff.is_bigtiff,
        tiff.byteorder,
    )
    return Photo(
        colors.luma,
        None if alpha is None else upright(alpha, orientation),
        colors.tone,
        TIFF,
        _metadata(path, page, notes),
        count,
        colors.color,
        form,
        notes=tuple(notes),
        small=colors.small,
    )


def _decode(named: str, page: TiffPage, space: Space, notes: list[str]) -> tuple[Samples, Space]:
    """Samples (H, W) or (H, W, C) spread over 8 or 16 bits, black at 0, and their space."""
    if page.compression in (COMPRESSION.OJPEG,) or page.photometric == PHOTOMETRIC.YCBCR:
        return _decode_by_libtiff(page), "rgb"
    values: np.ndarray[Any, Any] = page.asarray(maxworkers=1)
    if page.planarconfig == 2 and values.ndim == 3:
        values = np.ascontiguousarray(np.moveaxis(values, 0, 2))
    if values.ndim == 3 and values.shape[2] == 1:
        values = values[..., 0]
    if values.ndim not in (2, 3):
        raise InputError(f"{named} is no flat picture but an array of shape {values.shape}", "Convert it first")
    if page.photometric == PHOTOMETRIC.PALETTE:
        assert page.colormap is not None
        palette = np.ascontiguousarray(page.colormap.T)  # 16 bit, also for those whose colours have 8
        deep = bool((palette % 257).any()) and bool((palette & 0xFF).any())
        table = palette if deep else np.asarray(palette >> 8, np.uint8)
        return table[values], space
    spread = _spread(named, page, values, notes)
    if page.photometric == PHOTOMETRIC.MINISWHITE:
        base = spread if spread.ndim == 2 else spread[..., 0]
        np.subtract(np.iinfo(base.dtype).max, base, out=base)
    return spread, space


def _decode_by_libtiff(page: TiffPage) -> Samples:
    """Y′CbCr, by way of Pillow's libtiff, which knows its sub-sampling and its old variants."""
    stream = page.parent.filehandle
    stream.seek(0)
    data = io.BytesIO(stream.read())
    with Image.open(data, formats=(TIFF.name,)) as image:
        image.seek(page.index)
        # Pillow turns some upright by itself, and forgets to do so for others: without the tag there is nothing to do.
        getattr(image, "tag_v2", {}).pop(_ORIENTATION, None)
        return np.asarray(image.convert("RGB"))


def _spread(named: str, page: TiffPage, values: np.ndarray[Any, Any], notes: list[str]) -> Samples:
    """Whole samples of 1 to 16 bits, or floats of 0 to 1, over all of 8 or 16 bits."""
    bits = page.bitspersample
    if values.dtype == np.bool_:
        return values.astype(np.uint8) * np.uint8(255)
    if values.dtype.kind == "f":
        least, most = (float(values.min()), float(values.max())) if values.size else (0.0, 0.0)
        if not (least >= 0.0 and most <= 1.0):
            raise InputError(
                f"{named} holds floating-point samples from {least:g} to {most:g}, whose white is unknown",
                "Scale them to 0 … 1, or convert it to 16 bit",
            )
        notes.append("its floating-point samples were scaled to 16 bit")
        scaled = np.empty(values.shape, np.uint16)
        for rows in strips(*values.shape[:2]):
            scaled[rows] = np.rint(values[rows].astype(np.float64) * 65535)
        return scaled
    if values.dtype.kind != "u" or bits > 16:
        raise InputError(f"{named} has {page.dtype} samples, which can't be read", "Convert it to 16 bit first")
    kind = np.uint8 if bits <= 8 else np.uint16
    if bits in (8, 16):
        return np.asarray(values, kind)
    full, most = (1 << bits) - 1, np.iinfo(kind).max
    return np.asarray((values.astype(np.uint32) * most + full // 2) // full, kind)


def _split(page: TiffPage, values: Samples, space: Space) -> tuple[Samples, Samples | None]:
    """Colour and alpha; further channels are left out, and premultiplied colour is divided by its alpha."""
    if values.ndim == 2:
        return values, None
    count = _CHANNELS[space]
    colour = values[..., 0] if count == 1 else values[..., :count]
    kinds = page.extrasamples
    if values.shape[2] <= count or (kinds and kinds[0] == EXTRASAMPLE.UNSPECIFIED and space == "cmyk"):
        return colour, None
    alpha = np.ascontiguousarray(values[..., count])
    if kinds and kinds[0] == EXTRASAMPLE.ASSOCALPHA:
        colour = colour.copy()
        full = np.float32(np.iinfo(values.dtype).max)
        for rows in strips(*alpha.shape):
            share = np.maximum(alpha[rows].astype(np.float32), 1) / full
            whole = colour[rows].astype(np.float32) / (share if colour.ndim == 2 else share[..., None])
            colour[rows] = np.rint(np.minimum(whole, full))
    return colour, alpha


def _tag(page: TiffPage, code: int, default: Any) -> Any:
    tag = page.tags.get(code)
    return default if tag is None else tag.value


def _bytes(value: Any) -> bytes:
    if isinstance(value, str):
        return value.encode()
    return bytes(value) if isinstance(value, bytes | bytearray | tuple | list) else b""


def _metadata(path: Path, page: TiffPage, notes: list[str]) -> Metadata:
    blocks, iptc = _bytes(_tag(page, _PHOTOSHOP, b"")), _bytes(_raw(page, _IPTC))
    if iptc and not iptc_from_photoshop(blocks):
        blocks = photoshop_from_iptc(iptc.rstrip(b"\0")) + blocks
    return Metadata(
        exif_of(lambda: _exif(path, page), TIFF, notes),
        upright_xmp(_bytes(_tag(page, _XMP, b"")).rstrip(b"\0")),
        _dpi(page),
        blocks,
        tags=tuple(_carried_tags(page)),
    )


def _exif(path: Path, page: TiffPage) -> Image.Exif:
    exif = Image.Exif()
    exif.endian, exif.bigtiff = page.parent.byteorder, page.parent.is_bigtiff
    with path.open("rb") as stream:
        exif.load_from_fp(stream, page.offset)
        for ifd in (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo):  # while the stream is open
            exif.get_ifd(ifd)
        list(exif.items())
    # What is carried is written with 32-bit offsets, whatever the file has.
    exif.bigtiff = False
    return exif


def _raw(page: TiffPage, code: int) -> bytes:
    """A tag's bytes as they stand in the file; tifffile takes some apart."""
    tag = page.tags.get(code)
    if tag is None:
        return b""
    stream = page.parent.filehandle
    stream.seek(tag.valueoffset)
    return bytes(stream.read(tag.valuebytecount))


def _dpi(page: TiffPage) -> tuple[float, float] | None:
    inches = _INCHES.get(int(_tag(page, 296, 2)))
    across, down = _tag(page, 282, None), _tag(page, 283, None)
    if inches is None or across is None or down is None:
        return None
    try:
        return dpi_of([inches * value[0] / value[1] for value in (across, down)])
    except (TypeError, IndexError, ZeroDivisionError):
        return None


def _carried_tags(page: TiffPage) -> Iterator[RawTag]:
    for tag in page.tags:
        value = tag.value
        if tag.code in _STRUCTURE or not isinstance(value, str | bytes | int | float | tuple):
            continue
        if isinstance(value, str):
            value = value.encode()
        yield tag.code, int(tag.dtype), len(value) if isinstance(value, bytes) else tag.count, value
