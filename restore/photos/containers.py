"""The containers that photos come in: names, suffixes, first bytes, and what each can hold."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from restore.options import Format


@dataclass(frozen=True)
class Container:
    """A file format.

    Args:
        name: Pillow's.
        suffixes: the first is the usual one.
        has_alpha: holds transparency.
        bits: the most that it is written with here.
        quality: whether it is written with loss, at a quality of 1 to 100.
    """

    name: str
    suffixes: tuple[str, ...]
    has_alpha: bool
    bits: int = 8
    quality: bool = False


JPEG = Container("JPEG", (".jpg", ".jpeg", ".jpe", ".jfif"), has_alpha=False, quality=True)
PNG = Container("PNG", (".png",), has_alpha=True, bits=16)
TIFF = Container("TIFF", (".tif", ".tiff", ".btf", ".tf8"), has_alpha=True, bits=16)
WEBP = Container("WEBP", (".webp",), has_alpha=True, quality=True)
BMP = Container("BMP", (".bmp", ".dib"), has_alpha=False)
GIF = Container("GIF", (".gif",), has_alpha=True)
JPEG2000 = Container("JPEG2000", (".jp2", ".j2k", ".jpx", ".jpf", ".j2c", ".jpc"), has_alpha=True, bits=16)
AVIF = Container("AVIF", (".avif",), has_alpha=True, quality=True)
HEIF = Container("HEIF", (".heic", ".heif", ".hif"), has_alpha=True, quality=True)

CONTAINERS = {container.name: container for container in (JPEG, PNG, TIFF, WEBP, BMP, GIF, JPEG2000, AVIF, HEIF)}
BY_FORMAT: dict[Format, Container] = {
    "jpg": JPEG,
    "png": PNG,
    "tif": TIFF,
    "webp": WEBP,
    "jp2": JPEG2000,
    "avif": AVIF,
}
NAMES = "JPEG, PNG, TIFF, WebP, BMP, GIF, JPEG 2000, AVIF and HEIC"

_READABLE = frozenset(suffix for container in CONTAINERS.values() for suffix in container.suffixes)
# Names that claim a picture which this version can't read: a failure, said plainly, rather than a file passed over.
_UNREADABLE = frozenset(
    f".{suffix}"
    for suffix in (
        *("jxl", "jxr", "psd", "tga", "pcx", "pict", "pcd", "exr", "hdr"),
        *("pbm", "pgm", "ppm", "pnm", "dng", "cr2", "cr3", "nef", "arw", "raf", "rw2", "orf"),
    )
)
_BMP_HEADER_SIZES = (12, 40, 52, 56, 64, 108, 124)
_TIFF_STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_STARTS = (
    *(b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a", b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51"),
    *_TIFF_STARTS,
)
_HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"mif1", b"msf1", b"avif", b"avis")
SNIFF_BYTES = 32


def claims_picture(name: str) -> bool:
    """Whether a file name's suffix is a picture's."""
    return Path(name).suffix.lower() in _READABLE | _UNREADABLE


def sniffs_as_picture(start: bytes) -> bool:
    """Whether a file that starts with these bytes is one of the containers."""
    return (
        start.startswith(_STARTS)
        or (start[:4] == b"RIFF" and start[8:12] == b"WEBP")
        or (start[4:8] == b"ftyp" and start[8:12] in _HEIF_BRANDS)
        or (start[:2] == b"BM" and int.from_bytes(start[14:18], "little") in _BMP_HEADER_SIZES)
    )


def is_tiff(start: bytes) -> bool:
    """Whether a file that starts with these bytes is a TIFF, of 32-bit or 64-bit offsets."""
    return start.startswith(_TIFF_STARTS)


def result_suffix(own: str, format: Format) -> str:
    """The suffix of a result, for its source's: where --format asks for another, or the source's can't hold colour."""
    if format != "keep":
        return own if own.lower() in BY_FORMAT[format].suffixes else BY_FORMAT[format].suffixes[0]
    return PNG.suffixes[0] if own.lower() in GIF.suffixes else own


def result_container(source: Container, format: Format) -> Container:
    """The container of a result. A GIF has no more than 256 colours, so PNG takes its place."""
    if format != "keep":
        return BY_FORMAT[format]
    return PNG if source is GIF else source
