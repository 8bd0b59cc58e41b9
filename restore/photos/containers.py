"""The containers that photos come in: names, suffixes, first bytes, and what each can hold."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from restore.options import Format


@dataclass(frozen=True)
class Container:
    """A file format. `name` is Pillow's; the first of `suffixes` is the usual one."""

    name: str
    suffixes: tuple[str, ...]
    has_alpha: bool


JPEG = Container("JPEG", (".jpg", ".jpeg", ".jpe", ".jfif"), has_alpha=False)
PNG = Container("PNG", (".png",), has_alpha=True)
TIFF = Container("TIFF", (".tif", ".tiff"), has_alpha=True)
WEBP = Container("WEBP", (".webp",), has_alpha=True)
BMP = Container("BMP", (".bmp", ".dib"), has_alpha=False)

CONTAINERS = {container.name: container for container in (JPEG, PNG, TIFF, WEBP, BMP)}
BY_FORMAT: dict[Format, Container] = {"jpg": JPEG, "png": PNG, "tif": TIFF, "webp": WEBP}

_READABLE = frozenset(suffix for container in CONTAINERS.values() for suffix in container.suffixes)
# Names that claim a picture which this version can't read: a failure, said plainly, rather than a file passed over.
_UNREADABLE = frozenset(
    f".{suffix}"
    for suffix in (
        *("gif", "heic", "heif", "avif", "jp2", "j2k", "jxl", "jxr", "psd", "tga", "pcx", "pict", "pcd", "exr", "hdr"),
        *("pbm", "pgm", "ppm", "pnm", "dng", "cr2", "cr3", "nef", "arw", "raf", "rw2", "orf"),
    )
)
_BMP_HEADER_SIZES = (12, 40, 52, 56, 64, 108, 124)
SNIFF_BYTES = 32


def claims_picture(name: str) -> bool:
    """Whether a file name's suffix is a picture's."""
    return Path(name).suffix.lower() in _READABLE | _UNREADABLE


def sniffs_as_picture(start: bytes) -> bool:
    """Whether a file that starts with these bytes is one of the containers."""
    return (
        start.startswith((b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"II*\0", b"MM\0*"))
        or (start[:4] == b"RIFF" and start[8:12] == b"WEBP")
        or (start[:2] == b"BM" and int.from_bytes(start[14:18], "little") in _BMP_HEADER_SIZES)
    )
