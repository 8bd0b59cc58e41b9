"""Which era a picture or a film is of, by what its file says of itself: for `--era auto`.

`modern` where a digital camera or a phone took it, or where it is dated 1970 or later; `period` otherwise. A scanner's
file bears the scanner's name and the day of scanning, which tell nothing of the picture in it. A date before 1970 says
`period`, whatever else there is: an archive has entered it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from PIL import ExifTags, Image

from restore.options import Era

FIRST_MODERN = 1970
_FIRST_PHOTOGRAPH, _LAST = 1826, 2100  # other years are placeholders

_SCANNERS = re.compile(
    "scan|silverfast|epson|canon ?lide|coolscan|plustek|flextight|imacon|microtek|umax|mustek|reflecta|noritsu|pakon"
    "|zeutschel|bookeye|opticfilm",
    re.IGNORECASE,
)
# Exif 2.32, tag FileSource.
_DIGITAL_CAMERA, _OF_SCANNERS = 3, (1, 2)
_EXPOSURE = (ExifTags.Base.ExposureTime, ExifTags.Base.FNumber, ExifTags.Base.ISOSpeedRatings)
_MAKERS = (ExifTags.Base.Make, ExifTags.Base.Model)

_XMP_DATE = re.compile(rb"\b(?:photoshop:DateCreated|exif:DateTimeOriginal)(?:\s*=\s*[\"']|>)\s*(\d{4})")
# IPTC-IIM 4.2: record 2, data set 55, Date Created, CCYYMMDD.
_IPTC_DATE = re.compile(rb"\x1c\x02\x37\x00\x08(\d{4})")
_IPTC_BLOCK, _IPTC_TAG = 0x0404, 33723

# What phones write into their films: QuickTime's and Android's keys.
_PHONE_TAGS = ("com.apple.quicktime.make", "com.android.version")


def era_of(read: Callable[[], Image.Exif], xmp: bytes, iptc: bytes) -> Era:
    """The era of a photo.

    Args:
        read: gives its EXIF; where that is broken, it tells nothing.
        iptc: data sets, as they stand in an image resource block.
    """
    shot: Mapping[int, Any]
    try:
        exif = read()
        shot = exif.get_ifd(ExifTags.IFD.Exif)
    except Exception:  # noqa: BLE001  camera makers write anything, and Pillow's parser raises anything
        exif, shot = Image.Exif(), {}
    years = [int(year) for year in _XMP_DATE.findall(xmp) + _IPTC_DATE.findall(iptc)]
    years += [int(year) for year in re.findall(r"^\s*(\d{4})", _text(shot.get(ExifTags.Base.DateTimeOriginal)))]
    years = [year for year in years if _FIRST_PHOTOGRAPH <= year <= _LAST]
    if any(year < FIRST_MODERN for year in years) or _is_of_scanner(exif, shot):
        return "period"
    return "modern" if years or _is_of_camera(exif, shot) else "period"


def era_of_picture(image: Image.Image) -> Era:
    """The era of an opened picture."""
    xmp = image.info.get("xmp", b"")
    blocks = image.info.get("photoshop")  # of a JPEG; a TIFF has a tag
    iptc = blocks.get(_IPTC_BLOCK) if isinstance(blocks, dict) else getattr(image, "tag_v2", {}).get(_IPTC_TAG)
    xmp = xmp if isinstance(xmp, bytes) else str(xmp).encode()
    return era_of(image.getexif, xmp, iptc if isinstance(iptc, bytes) else b"")


def era_of_film(tags: Mapping[str, str]) -> Era:
    """The era of a film by its container's tags. Dates there are those of digitising."""
    names = {name.lower() for name, value in tags.items() if value}  # Matroska has them in capitals
    return "modern" if names.intersection(_PHONE_TAGS) else "period"


def _is_of_scanner(exif: Image.Exif, shot: Mapping[int, Any]) -> bool:
    names = " ".join(_text(exif.get(tag)) for tag in (*_MAKERS, ExifTags.Base.Software))
    return _file_source(shot) in _OF_SCANNERS or bool(_SCANNERS.search(names))


def _is_of_camera(exif: Image.Exif, shot: Mapping[int, Any]) -> bool:
    named = any(_text(exif.get(tag)) for tag in _MAKERS)
    return _file_source(shot) == _DIGITAL_CAMERA or (named and any(shot.get(tag) for tag in _EXPOSURE))


def _file_source(shot: Mapping[int, Any]) -> int:
    value = shot.get(ExifTags.Base.FileSource, 0)
    if isinstance(value, bytes):
        return value[0] if value else 0
    return value if isinstance(value, int) else 0


def _text(value: object) -> str:
    if isinstance(value, bytes):
        value = value.decode("latin-1")
    return value.strip("\0 ") if isinstance(value, str) else ""
