"""Colour management: samples of any space and depth to sRGB, by LittleCMS at the depth that they have."""

from __future__ import annotations

import io
import struct
from functools import cache
from typing import Any, Literal

import imagecodecs
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageCms

Samples = npt.NDArray[Any]  # of uint8 or uint16
Space = Literal["grey", "rgb", "cmyk"]

_SRGB_NAMES = ("srgb", "c2")  # c2: Facebook's minimal sRGB profile
_ICC_SPACES: dict[Space, str] = {"grey": "GRAY", "rgb": "RGB", "cmyk": "CMYK"}
_CMS_SPACES = {"GRAY": "gray", "RGB": "rgb", "CMYK": "cmyk"}
_BLACK_POINT_COMPENSATION = 0x2000
_STRIP_PIXELS = 1 << 20
_ICC_DATE = slice(24, 36)  # ICC.1, 7.2.8: year, month, day, hours, minutes, seconds
_DATE = struct.pack(">6H", 2026, 7, 1, 0, 0, 0)
_WEIGHTS = np.array((0.299, 0.587, 0.114), np.float32)


@cache
def srgb_profile() -> bytes:
    """The ICC profile that results carry. The same bytes in every run: LittleCMS would put the time into its header."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return profile[: _ICC_DATE.start] + _DATE + profile[_ICC_DATE.stop :]


def to_srgb(values: Samples, space: Space, icc: bytes | None, notes: list[str]) -> Samples:
    """Samples in sRGB.

    Args:
        values: (H, W) for grey, (H, W, 3) for RGB, (H, W, 4) for CMYK, where 0 is no ink.
        icc: the profile that the file carries.
        notes: gets a line where the profile had to be ignored.

    Returns:
        (H, W) grey, or (H, W, 3) RGB, of the same depth.
    """
    if icc:
        try:
            return _apply(values, space, icc)
        except _WrongSpace as error:
            notes.append(f"its colour profile is for {error}, not for {space}, and was ignored")
        except (ImageCms.PyCMSError, imagecodecs.CmsError, OSError, ValueError, TypeError) as error:
            notes.append(f"its colour profile is broken and was ignored ({error})")
    return _from_ink(values) if space == "cmyk" else values


class _WrongSpace(Exception):
    """The profile is for other samples than the picture's."""


def _apply(values: Samples, space: Space, icc: bytes) -> Samples:
    profile = ImageCms.ImageCmsProfile(io.BytesIO(icc)).profile
    meant = profile.xcolor_space.strip()
    if meant == "RGB" and str(profile.profile_description or "").lower().startswith(_SRGB_NAMES) and space != "cmyk":
        return values
    if space == "grey" and meant in ("GRAY", "RGB"):
        # Every level once, instead of every pixel. In a monitor's profile, grey is R = G = B.
        levels = np.arange(np.iinfo(values.dtype).max + 1, dtype=values.dtype)[None]
        table = _transform(levels if meant == "GRAY" else np.stack([levels] * 3, axis=2), icc, meant)
        # Unlike indexing, this takes no index array eight bytes wide for each pixel.
        return np.take(luma_from_rgb(table)[0], values)
    if meant != _ICC_SPACES[space]:
        raise _WrongSpace(meant)
    result = np.empty((*values.shape[:2], 3), values.dtype)
    for rows in strips(*values.shape[:2]):
        result[rows] = _transform(values[rows], icc, meant)
    return result


def _transform(values: Samples, icc: bytes, meant: str) -> Samples:
    converted: Any = imagecodecs.cms_transform(
        np.ascontiguousarray(values),
        icc,
        srgb_profile(),
        colorspace=_CMS_SPACES[meant],
        outcolorspace="rgb",
        intent=1,  # relative colorimetric
        flags=_BLACK_POINT_COMPENSATION,
    )
    return converted


def _from_ink(values: Samples) -> Samples:
    """CMYK without a profile: what is left of white after each ink and black."""
    full = np.float32(np.iinfo(values.dtype).max)
    result = np.empty((*values.shape[:2], 3), values.dtype)
    for rows in strips(*values.shape[:2]):
        ink = values[rows].astype(np.float32) / full
        result[rows] = np.rint((1 - ink[..., :3]) * (1 - ink[..., 3:]) * full)
    return result


def luma_from_rgb(rgb: Samples) -> Samples:
    """Y′ = 0.299 R + 0.587 G + 0.114 B, (H, W, 3) to (H, W) of the same depth; at 8 bit Pillow's very values."""
    if rgb.dtype == np.uint8:
        return np.asarray(Image.fromarray(rgb).convert("L"))
    luma = np.empty(rgb.shape[:2], rgb.dtype)
    for rows in strips(*rgb.shape[:2]):
        luma[rows] = np.rint(rgb[rows].astype(np.float32) @ _WEIGHTS)
    return luma


def strips(height: int, width: int) -> list[slice]:
    """Rows to work on at a time, so that intermediates stay small beside a large picture."""
    step = max(1, _STRIP_PIXELS // max(1, width))
    return [slice(top, min(top + step, height)) for top in range(0, height, step)]
