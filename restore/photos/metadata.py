"""What a photo says of itself: EXIF, XMP, IPTC, resolution, texts and TIFF tags, on the way into the result.

Orientation has one rule: it is applied to the pixels, and the tag goes, in EXIF and in XMP alike.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from PIL import ExifTags, Image, PngImagePlugin

from restore.era import era_of
from restore.options import Era
from restore.photos.containers import BMP, JPEG, JPEG2000, PNG, TIFF, Container

RawTag = tuple[int, int, int, Any]  # code, type, count, value, as tifffile gives and takes them

_EXIF_IFDS = (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo)
_UNCALIBRATED, _SRGB_COLOR_SPACE = 0xFFFF, 1
# Of a TIFF's first folder, what tells of the photo rather than of the file's structure.
_TIFF_TAGS = (270, 271, 272, 305, 306, 315, 33432)
# Of the pixels as they were: of no use, or wrong, for those of the result.
_STALE_EXIF = (ExifTags.Base.ExifImageWidth, ExifTags.Base.ExifImageHeight)
_XMP_ORIENTATION = re.compile(rb'\s*tiff:Orientation="\d+"|<tiff:Orientation>\d+</tiff:Orientation>')
_XMP_KEYWORD = "XML:com.adobe.xmp"
_JPEG_MAX_SEGMENT = 65_000
_PHOTOSHOP = b"Photoshop 3.0\0"
_IPTC_RESOURCE = 0x0404


@dataclass(frozen=True)
class Metadata:
    """What is carried into the result.

    Args:
        exif: with `Exif\\0\\0` before it, as Pillow's savers take it.
        photoshop: image resource blocks, among which IPTC has its place.
        texts: keywords and values, of PNG.
        comment: of JPEG.
        tags: of a TIFF, beyond its structure and beyond what stands in the other fields.
    """

    exif: bytes = b""
    xmp: bytes = b""
    dpi: tuple[float, float] | None = None
    photoshop: bytes = b""
    texts: tuple[tuple[str, str], ...] = ()
    comment: bytes = b""
    tags: tuple[RawTag, ...] = ()

    def era(self) -> Era:
        """The era that it tells of; see `restore.era`."""

        def read() -> Image.Exif:
            exif = Image.Exif()
            exif.load(self.exif)
            return exif

        return era_of(read, self.xmp, iptc_from_photoshop(self.photoshop))


def from_pillow(image: Image.Image, container: Container, notes: list[str]) -> Metadata:
    """The metadata of an opened picture."""
    xmp = image.info.get("xmp", b"")
    if not isinstance(xmp, bytes):
        xmp = str(xmp).encode()
    texts = getattr(image, "text", {}) if container is PNG else {}
    comment = image.info.get("comment", b"") if container is JPEG else b""
    return Metadata(
        exif_of(image.getexif, container, notes),
        upright_xmp(xmp),
        dpi_of(image.info.get("dpi")),
        _photoshop(image),
        tuple((key, str(value)) for key, value in texts.items() if key != _XMP_KEYWORD and not key.startswith("Raw ")),
        comment if isinstance(comment, bytes) else str(comment).encode(),
    )


def exif_of(read: Any, container: Container, notes: list[str]) -> bytes:
    """EXIF to carry, from what `read` gives; nothing, with a note, where it is broken."""
    try:
        return _carried_exif(read(), container)
    except Exception as error:  # noqa: BLE001  camera makers write anything, and Pillow's parser raises anything
        notes.append(f"its EXIF data is broken and was left out ({type(error).__name__}: {error})")
        return b""


def _carried_exif(source: Image.Exif, container: Container) -> bytes:
    carried = Image.Exif()
    for tag, value in source.items():
        if container is TIFF and tag not in _TIFF_TAGS:
            continue
        if tag != ExifTags.Base.Orientation and tag not in _EXIF_IFDS:
            carried[tag] = value
    for ifd in _EXIF_IFDS:
        values = {tag: value for tag, value in source.get_ifd(ifd).items() if tag not in _STALE_EXIF}
        if values.get(ExifTags.Base.ColorSpace) == _UNCALIBRATED:
            values[ExifTags.Base.ColorSpace] = _SRGB_COLOR_SPACE
        if values:
            carried[ifd] = values
    return carried.tobytes() if len(carried) else b""


def upright_xmp(xmp: bytes) -> bytes:
    """XMP without orientation."""
    return _XMP_ORIENTATION.sub(b"", xmp)


def dpi_of(value: Any) -> tuple[float, float] | None:
    """Dots an inch, or None where the file says nothing of use."""
    try:
        across, down = float(value[0]), float(value[1])
    except (TypeError, ValueError, IndexError, ZeroDivisionError):
        return None
    return (across, down) if 0 < across < 65_536 and 0 < down < 65_536 else None


def _photoshop(image: Image.Image) -> bytes:
    blocks = [data for name, data in getattr(image, "applist", ()) if name == "APP13" and data.startswith(_PHOTOSHOP)]
    return b"".join(data[len(_PHOTOSHOP) :] for data in blocks)


def photoshop_from_iptc(iptc: bytes) -> bytes:
    """IPTC as the one image resource block that holds it."""
    size = len(iptc).to_bytes(4, "big")
    return b"8BIM" + _IPTC_RESOURCE.to_bytes(2, "big") + b"\0\0" + size + iptc + b"\0" * (len(iptc) % 2)


def iptc_from_photoshop(blocks: bytes) -> bytes:
    """IPTC among image resource blocks, or nothing."""
    position = 0
    while blocks[position : position + 4] == b"8BIM":
        number = int.from_bytes(blocks[position + 4 : position + 6], "big")
        name = blocks[position + 6] + 1
        start = position + 6 + name + name % 2
        size = int.from_bytes(blocks[start : start + 4], "big")
        if number == _IPTC_RESOURCE:
            return blocks[start + 4 : start + 4 + size]
        position = start + 4 + size + size % 2
    return b""


def saver_options(container: Container, metadata: Metadata, icc: bytes, notes: list[str]) -> dict[str, Any]:
    """What Pillow's savers take, for all containers but TIFF. What finds no room is noted."""
    options: dict[str, Any] = {"icc_profile": icc}
    if metadata.dpi and container.name in ("JPEG", "PNG", "BMP"):
        options["dpi"] = metadata.dpi
    parts = {"EXIF": metadata.exif, "XMP": metadata.xmp, "IPTC": metadata.photoshop, "comment": metadata.comment}
    if container is JPEG:
        for name, data in parts.items():
            if len(data) >= _JPEG_MAX_SEGMENT:  # a segment of a JPEG ends at 64 KiB
                notes.append(f"its {name} is too long for a JPEG and was left out")
                parts[name] = b""
    if container.name in ("JPEG", "PNG", "WEBP", "AVIF", "HEIF"):
        if parts["EXIF"]:
            options["exif"] = parts["EXIF"]
        if parts["XMP"] and container is not PNG:
            options["xmp"] = parts["XMP"]
    if container is PNG:
        options["pnginfo"] = _png_texts(metadata)
    if container is JPEG:
        if parts["IPTC"]:
            payload = _PHOTOSHOP + parts["IPTC"]
            options["extra"] = b"\xff\xed" + (len(payload) + 2).to_bytes(2, "big") + payload
        if parts["comment"]:
            options["comment"] = parts["comment"]
    if container is BMP and parts["XMP"]:
        notes.append("BMP holds no tags: that its colour is a guess stands in no place but the report")
    if container is JPEG2000 and parts["EXIF"]:
        notes.append("its EXIF data has no place in JPEG2000 and was left out")
    if container is not JPEG and parts["IPTC"] and iptc_from_photoshop(parts["IPTC"]):
        notes.append(f"its IPTC data has no place in {container.name} and was left out")
    return options


def _png_texts(metadata: Metadata) -> PngImagePlugin.PngInfo:
    info = PngImagePlugin.PngInfo()
    if metadata.xmp:
        info.add_itxt(_XMP_KEYWORD, metadata.xmp.decode("utf-8", "replace"))
    texts = dict(metadata.texts)
    if metadata.comment:
        texts.setdefault("Comment", metadata.comment.decode("utf-8", "replace"))
    for key, value in texts.items():
        if value.isascii():
            info.add_text(key, value)
        else:
            info.add_itxt(key, value)
    return info
