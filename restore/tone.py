"""Telling grey and toned (sepia, cyanotype, yellowed) photos from those that have colour."""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

Tone = Literal["neutral", "toned", "color"]

_THUMBNAIL = 96
_BANDS = 12
# All in Lab units. The limits were set on colour photos of many kinds and on scans of old prints: 0.8 % of the colour
# photos, those with next to no colour, pass for toned; a print whose toning is patchy passes for colour.
_NEUTRAL_CHROMA = 3.0
_TONED_SPREAD = 3.5
_TONED_SIDEWAYS = 1.5
_TONED_TURN = 5.0
# With fewer pixels every one is a band of its own, and any picture would look toned.
_FEWEST_PIXELS = 256


def find_tone(picture: Image.Image) -> Tone:
    """What a picture's colour is.

    Toning gives each luminance one colour: in narrow bands of L the spread of ab is small, and what spread there is
    (fading, yellowing) lies along the hue of the toning. Objects of different colour spread it in all directions, or
    give each luminance another hue, where there are few of them.

    Args:
        picture: mode RGB, sRGB.
    """
    scale = min(1.0, _THUMBNAIL / max(picture.size))
    size = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
    small = picture.resize(size, Image.Resampling.BOX)
    lab = cv2.cvtColor(np.asarray(small, np.float32) / np.float32(255), cv2.COLOR_RGB2LAB)
    lightness, ab = lab[..., 0].ravel(), lab[..., 1:].reshape(-1, 2)
    if np.percentile(np.hypot(ab[:, 0], ab[:, 1]), 99.5) < _NEUTRAL_CHROMA:
        return "neutral"
    if len(ab) < _FEWEST_PIXELS:
        return "color"
    band = np.minimum((lightness * _BANDS / 100).astype(np.intp), _BANDS - 1)
    count = np.maximum(np.bincount(band, minlength=_BANDS), 1)
    means = np.stack([np.bincount(band, ab[:, i], _BANDS) / count for i in (0, 1)], axis=1)
    hue = np.linalg.svd(ab, full_matrices=False)[2][0]
    across = np.array([-hue[1], hue[0]])
    spread = ab - means[band]
    toned = (
        _rms(np.hypot(spread[:, 0], spread[:, 1])) < _TONED_SPREAD
        and _rms(spread @ across) < _TONED_SIDEWAYS
        and _rms(ab @ across) < _TONED_TURN
    )
    return "toned" if toned else "color"


def _rms(values: npt.NDArray[np.floating]) -> float:
    return float(np.sqrt(np.square(values).mean()))
