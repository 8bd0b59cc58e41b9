"""Colour spaces: sRGB, CIE Lab (D65, 2°) and the luma Y′ with its Cb, Cr, on NumPy arrays and on torch tensors of any
device: one code for both, by way of the array API (https://data-apis.org/array-api). PyTorch is not imported here.

Shapes are (…, 3, H, W) for RGB and Lab, (…, 2, H, W) for ab and CbCr, (…, 1, H, W) for L and luma. RGB and luma are
encoded values in [0, 1]; L is in [0, 100], ab in about [−110, 110]; Cb and Cr are in [−0.5, 0.5].

Sources: IEC 61966-2-1 (sRGB), CIE 15 (Lab), ITU-T T.871 (JFIF: Y′ = 0.299 R + 0.587 G + 0.114 B, full range), ITU-R
BT.709 and BT.2020 (other weights, for film).
`skimage.color` is the oracle of the tests.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import numpy.typing as npt
from array_api_compat import array_namespace

from restore.matrix import BT601, Matrix

if TYPE_CHECKING:
    from torch import Tensor

Array = TypeVar("Array", "Tensor", npt.NDArray[np.floating[Any]])

# What networks see and give: L/50 − 1 and ab/110, both about [−1, 1].
AB_SCALE = 110.0


# The matrix and white that skimage uses.
_XYZ_FROM_RGB = (
    (0.412453, 0.357580, 0.180423),
    (0.212671, 0.715160, 0.072169),
    (0.019334, 0.119193, 0.950227),
)
_WHITE = (0.95047, 1.0, 1.08883)
_EPSILON = 0.008856  # (6/29)³, rounded as the oracle rounds it
_KAPPA = 7.787


def scale_l(lightness: Array) -> Array:
    """L in [0, 100] to the network's [−1, 1]."""
    return lightness / 50.0 - 1.0


def unscale_l(scaled: Array) -> Array:
    """The network's [−1, 1] to L in [0, 100]."""
    return (scaled + 1.0) * 50.0


def linear_from_srgb(encoded: Array) -> Array:
    """Encoded sRGB to linear light; values below zero go on along the linear foot of the curve."""
    xp = array_namespace(encoded)
    return xp.where(encoded <= 0.04045, encoded / 12.92, ((xp.clip(encoded, min=0.0) + 0.055) / 1.055) ** 2.4)


def srgb_from_linear(linear: Array) -> Array:
    """Linear light to encoded sRGB, unclipped; values below zero go on along the linear foot of the curve."""
    xp = array_namespace(linear)
    curve = 1.055 * xp.clip(linear, min=0.0031308) ** (1 / 2.4) - 0.055
    return xp.where(linear <= 0.0031308, linear * 12.92, curve)


def _channels(planes: Array) -> list[Array]:
    """Each channel of (…, C, H, W), as (…, H, W)."""
    return [planes[..., i, :, :] for i in range(planes.shape[-3])]


def _mix(matrix: npt.NDArray[np.float64], channels: Array) -> Array:
    """Multiply the three channels of (…, 3, H, W) by a 3×3 matrix.

    In plain sums: libraries of matrix products would start threads for it, which wait for each other on busy machines.
    """
    xp = array_namespace(channels)
    first, second, third = _channels(channels)
    rows = [first * float(row[0]) + second * float(row[1]) + third * float(row[2]) for row in matrix]
    return xp.stack(rows, axis=-3)


_RGB_TO_SCALED_XYZ = np.array(_XYZ_FROM_RGB) / np.array(_WHITE)[:, None]
_SCALED_XYZ_TO_RGB = np.linalg.inv(_RGB_TO_SCALED_XYZ)


def _lab_f(ratio: Array) -> Array:
    xp = array_namespace(ratio)
    return xp.where(ratio > _EPSILON, xp.clip(ratio, min=_EPSILON) ** (1 / 3), _KAPPA * ratio + 16.0 / 116.0)


def _lab_f_inverse(value: Array) -> Array:
    xp = array_namespace(value)
    return xp.where(value > 0.2068966, value * value * value, (value - 16.0 / 116.0) / _KAPPA)


def rgb_to_lab(rgb: Array) -> Array:
    """sRGB in [0, 1] to Lab, (…, 3, H, W) both. Within 0.01 of skimage in float32 (tests/unit/test_color.py)."""
    xp = array_namespace(rgb)
    fx, fy, fz = _channels(_lab_f(_mix(_RGB_TO_SCALED_XYZ, linear_from_srgb(rgb))))
    return xp.stack((116.0 * fy - 16.0, 500.0 * (fx - fy), 200.0 * (fy - fz)), axis=-3)


def lab_to_rgb(lab: Array) -> Array:
    """Lab to encoded sRGB, (…, 3, H, W) both, *unclipped*: out-of-gamut colours leave [0, 1].

    Fit them with `restore.merge`, which reduces chroma; clipping would change the luma.
    """
    xp = array_namespace(lab)
    lightness, a, b = _channels(lab)
    fy = (lightness + 16.0) / 116.0
    f = xp.stack((fy + a / 500.0, fy, fy - b / 200.0), axis=-3)
    return srgb_from_linear(_mix(_SCALED_XYZ_TO_RGB, _lab_f_inverse(f)))


def lightness_from_luma(luma: Array) -> Array:
    """L of the neutral grey whose encoded value is `luma` in [0, 1]; any shape."""
    return 116.0 * _lab_f(linear_from_srgb(luma)) - 16.0


def luma_from_rgb(rgb: Array, matrix: Matrix = BT601) -> Array:
    """Y′ of encoded RGB: (…, 3, H, W) to (…, 1, H, W)."""
    red, green, blue = (rgb[..., i : i + 1, :, :] for i in range(3))
    return matrix.red * red + matrix.green * green + matrix.blue * blue


def rgb_to_ycbcr(rgb: Array, matrix: Matrix = BT601) -> Array:
    """Encoded RGB in [0, 1] to Y′ in [0, 1] and Cb, Cr in [−0.5, 0.5], (…, 3, H, W) both (full range)."""
    xp = array_namespace(rgb)
    luma = luma_from_rgb(rgb, matrix)
    cb, cr = (rgb[..., 2:, :, :] - luma) / matrix.cb_to_b, (rgb[..., :1, :, :] - luma) / matrix.cr_to_r
    return xp.concat((luma, cb, cr), axis=-3)


def ycbcr_to_rgb(ycbcr: Array, matrix: Matrix = BT601) -> Array:
    """The inverse of `rgb_to_ycbcr`, unclipped."""
    xp = array_namespace(ycbcr)
    luma, cb, cr = _channels(ycbcr)
    green = luma + matrix.cb_to_g * cb + matrix.cr_to_g * cr
    return xp.stack((luma + matrix.cr_to_r * cr, green, luma + matrix.cb_to_b * cb), axis=-3)


def cbcr_from_ab(luma: Array, ab: Array, iterations: int = 2, matrix: Matrix = BT601) -> Array:
    """Cb, Cr of the colour that has this luma Y′ and these ab.

    A colour's L is not that of its grey (Y′ weighs encoded values, L linear light; for saturated red they are ten units
    apart), so L is solved for by fixed-point steps. With true ab the original colour comes back.

    Args:
        luma: (…, 1, H, W) in [0, 1].
        ab: (…, 2, H, W) in Lab units.

    Returns:
        (…, 2, H, W), about [−0.5, 0.5]; may lie out of gamut.
    """
    xp = array_namespace(luma, ab)
    target = lightness_from_luma(luma)
    lightness = target
    rgb = lab_to_rgb(xp.concat((lightness, ab), axis=-3))
    for _ in range(iterations):
        reached = lightness_from_luma(xp.clip(luma_from_rgb(rgb, matrix), min=0.0, max=1.5))
        lightness = xp.clip(lightness + target - reached, min=0.0, max=120.0)
        rgb = lab_to_rgb(xp.concat((lightness, ab), axis=-3))
    return rgb_to_ycbcr(rgb, matrix)[..., 1:, :, :]


def lab_from_array(rgb: npt.NDArray[np.uint8] | npt.NDArray[np.uint16]) -> npt.NDArray[np.float32]:
    """Lab of a full-size picture, in strips so that the intermediates stay small.

    Args:
        rgb: (H, W, 3), 8 or 16 bit.

    Returns:
        (H, W, 3) float32.
    """
    lab = np.empty(rgb.shape, np.float32)
    full = np.float32(np.iinfo(rgb.dtype).max)
    for top in range(0, rgb.shape[0], 256):
        strip = np.ascontiguousarray((rgb[top : top + 256].astype(np.float32) / full).transpose(2, 0, 1))
        lab[top : top + 256] = rgb_to_lab(strip).transpose(1, 2, 0)
    return lab
