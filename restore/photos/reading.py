"""Reading a photo: upright, in sRGB, its luma exact, with the metadata that goes into the result."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image, ImageCms, ImageOps, UnidentifiedImageError

from restore.errors import InputError
from restore.photos.containers import CONTAINERS, JPEG, TIFF, Container
from restore.photos.jpeg import decode_grey
from restore.tone import Tone, find_tone

Plane = npt.NDArray[np.uint8]

# Pillow's own limit for its error; its warning, at half of that, large scans of plates and maps do reach.
_MAX_PIXELS = 2 * (Image.MAX_IMAGE_PIXELS or 89_478_485)
_SEVERAL_JPEGS = "MPO"  # Pillow's name
_MODES = ("1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr")
_SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
_SRGB_NAMES = ("srgb", "c2")  # c2: Facebook's minimal sRGB profile
_PROFILE_SPACES = {"L": "GRAY", "RGB": "RGB", "CMYK": "CMYK"}
# Of a TIFF's tags, what tells of the photo rather than of the file's structure.
_TIFF_TAGS = (270, 271, 272, 305, 306, 315, 33432)
_EXIF_IFDS = (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo)
_UNCALIBRATED, _SRGB_COLOR_SPACE = 0xFFFF, 1


@dataclass(frozen=True)
class Metadata:
    """What is carried into the result, as Pillow's savers take it."""

    exif: bytes = b""
    xmp: bytes = b""
    dpi: tuple[float, float] | None = None


@dataclass(frozen=True)
class Photo:
    """A photo in memory.

    Args:
        luma: (H, W), Pillow's `L` of the upright sRGB picture.
        alpha: (H, W), or None where there is none.
        container: the one it came in.
        pages: pictures in the file; more than one only in the JPEGs of phones, with a depth or brightness map beside
            the photo. Such a file can be copied as it is, not written anew.
        notes: what the user should know, such as a profile that had to be ignored.
    """

    luma: Plane
    alpha: Plane | None
    tone: Tone
    container: Container
    metadata: Metadata
    pages: int = 1
    notes: tuple[str, ...] = ()


def read_photo(path: Path) -> Photo:
    """Read a photo of 8 bit.

    Raises:
        InputError: empty, no picture, damaged, of a kind that this version can't carry without loss, or too large.
    """
    try:
        return _read(path)
    except InputError:
        raise
    except Image.DecompressionBombError:
        raise _too_large(path) from None
    except UnidentifiedImageError as error:
        if path.stat().st_size == 0:
            raise InputError(f"{path} is empty") from error
        raise InputError(f"{path} is not a picture that can be read", "JPEG, PNG, TIFF, WebP and BMP can be") from error
    except MemoryError as error:
        raise InputError(f"{path} is too large for this computer's memory") from error
    except OSError as error:
        if error.errno is not None:
            raise InputError(f"{path} can't be read: {error.strerror}") from error
        raise InputError(f"{path} is damaged: {error}") from error
    except (
        Exception
    ) as error:  # Pillow's decoders raise anything on broken files: SyntaxError, struct.error, KeyError …
        raise InputError(f"{path} is damaged: {type(error).__name__}: {error}") from error


def several_pictures(path: Path, pages: int) -> InputError:
    """What is said of a file of which only one picture could be kept."""
    return InputError(f"{path} holds {pages} pictures", "Split it first: this version takes one a file")


def _too_large(path: Path) -> InputError:
    return InputError(f"{path} has more than {_MAX_PIXELS // 1_000_000} million pixels", "Split or shrink it first")


def _read(path: Path) -> Photo:
    notes: list[str] = []
    # Not by its path: Pillow then maps plain TIFFs into memory, and garbles those that lie on their side (as of 13.0).
    with path.open("rb") as stream, Image.open(stream, formats=tuple(CONTAINERS)) as image:
        if image.width * image.height > _MAX_PIXELS:
            raise _too_large(path)
        pages = getattr(image, "n_frames", 1)
        if pages > 1 and image.format != _SEVERAL_JPEGS:
            raise several_pictures(path, pages)
        if _is_deep(image):
            raise InputError(f"{path} has more than 8 bits a channel", "Convert it first: this version takes 8 bit")
        if image.mode not in _MODES:
            raise InputError(f"{path} has colour mode {image.mode}, which this version can't read")
        container = JPEG if image.format == _SEVERAL_JPEGS else CONTAINERS[str(image.format)]
        if image.format == JPEG.name and _is_plain_grey(image):
            stream.seek(0)
            grey = decode_grey(stream.read())
            if grey is not None:
                return Photo(grey, None, "neutral", container, _metadata(image, container, notes), pages, tuple(notes))
        ImageOps.exif_transpose(image, in_place=True)
        metadata = _metadata(image, container, notes)
        alpha = _alpha(image)
        picture = _to_srgb(image, notes)
        tone: Tone = "neutral" if picture.mode == "L" else find_tone(picture)
        luma = np.asarray(picture.convert("L"))
    return Photo(luma, alpha, tone, container, metadata, pages, tuple(notes))


def _is_plain_grey(image: Image.Image) -> bool:
    """Grey as stored is grey as shown: upright, and no profile to apply."""
    return image.mode == "L" and not image.info.get("icc_profile") and _orientation(image) == 1


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # noqa: BLE001  as in _metadata; the careful path will tell
        return 0


def _is_deep(image: Image.Image) -> bool:
    # Pillow opens 16-bit colour as 8-bit modes, so the mode doesn't tell.
    if image.mode.startswith(("I", "F")):
        return True
    if image.format == TIFF.name:
        return max(image.tag_v2.get(258, (1,))) > 8  # type: ignore[attr-defined]
    return any(";16" in str(tile[3]) for tile in getattr(image, "tile", ()))


def _alpha(image: Image.Image) -> Plane | None:
    if not image.has_transparency_data:
        return None
    return np.asarray(image.convert("RGBA").getchannel("A"))


def _to_srgb(image: Image.Image, notes: list[str]) -> Image.Image:
    """The picture without alpha, as L (grey) or RGB, in sRGB."""
    if image.mode in ("1", "L", "LA", "La"):
        plain = image.convert("LA").getchannel("L") if image.mode == "La" else image.convert("L")
    elif image.mode == "CMYK":
        plain = image
    else:
        # By way of RGBA, as a palette's transparent entries must not become its background.
        plain = (image.convert("RGBA") if image.has_transparency_data else image).convert("RGB")
    converted = _apply_profile(plain, image.info.get("icc_profile"), notes)
    return converted if converted.mode == "L" else converted.convert("RGB")


def _apply_profile(picture: Image.Image, icc: bytes | None, notes: list[str]) -> Image.Image:
    if not icc:
        return picture
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
        space = profile.profile.xcolor_space.strip()
        if str(profile.profile.profile_description or "").lower().startswith(_SRGB_NAMES) and space == "RGB":
            return picture
        if space == "RGB" and picture.mode == "L":
            picture = picture.convert("RGB")  # a grey picture saved with its monitor's profile: R = G = B in it
        if space != _PROFILE_SPACES[picture.mode]:
            notes.append(f"its colour profile is for {space}, not for {picture.mode}, and was ignored")
            return picture
        converted = ImageCms.profileToProfile(
            picture,
            profile,
            _SRGB,
            renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
            outputMode="RGB",
            flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError) as error:
        notes.append(f"its colour profile is broken and was ignored ({error})")
        return picture
    assert converted is not None  # only inPlace=True returns None
    return converted.convert("L") if picture.mode == "L" else converted


def _metadata(image: Image.Image, container: Container, notes: list[str]) -> Metadata:
    dpi = _dpi(image.info.get("dpi"))
    xmp = image.info.get("xmp", b"")
    try:
        exif = _exif(image, container)
    except Exception as error:  # noqa: BLE001  camera makers write anything, and Pillow's parser raises anything
        notes.append(f"its EXIF data is broken and was left out ({type(error).__name__}: {error})")
        exif = b""
    return Metadata(exif, xmp if isinstance(xmp, bytes) else str(xmp).encode(), dpi)


def _exif(image: Image.Image, container: Container) -> bytes:
    source = image.getexif()
    carried = Image.Exif()
    for tag, value in source.items():
        if container is TIFF and tag not in _TIFF_TAGS:
            continue
        if tag != ExifTags.Base.Orientation and tag not in _EXIF_IFDS:
            carried[tag] = value
    for ifd in _EXIF_IFDS:
        values = dict(source.get_ifd(ifd))
        if values.get(ExifTags.Base.ColorSpace) == _UNCALIBRATED:
            values[ExifTags.Base.ColorSpace] = _SRGB_COLOR_SPACE
        if values:
            carried[ifd] = values
    return carried.tobytes() if len(carried) else b""


def _dpi(value: Any) -> tuple[float, float] | None:
    try:
        across, down = float(value[0]), float(value[1])
    except (TypeError, ValueError, IndexError, ZeroDivisionError):
        return None
    return (across, down) if 0 < across < 65_536 and 0 < down < 65_536 else None
