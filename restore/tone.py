"""Telling grey, toned (sepia, cyanotype, yellowed) and hand-tinted photos from those that were taken in colour."""

from __future__ import annotations

import math
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

Tone = Literal["neutral", "toned", "tinted", "color"]
FloatArray = npt.NDArray[np.float32]

_THUMBNAIL = 96
# All in Lab units; docs/archives.md says how they were found, and how often they err.
_NEUTRAL_CHROMA = 3.0
_TONED_PATCH, _TONED_SHARE = 3.2, 0.06
_PAINT = 5.0
_TINTED_REST = 1.3
_TURN = 5.0
_LEAST_REST = 0.5
# With fewer pixels any picture would look toned.
_FEWEST_PIXELS = 256
# Of the toning: its colour at so many lightnesses, linear in between, and how fast a pixel loses its say when it
# differs. The pulls keep colours that few pixels have near neutral, and the fading even.
_KNOTS, _ROUNDS, _SOFT = 8, 4, 1.5
_PULL_TO_GREY, _PULL_TO_EVEN = 0.5, 2.0
_FADING = (0.2, 3.0)


def has_color(tone: Tone) -> bool:
    """Whether a photo has colours of its own, photographed or painted, that colouring it would replace."""
    return tone in ("tinted", "color")


def find_tone(picture: Image.Image) -> Tone:
    """What a picture's colour is.

    Toning gives each lightness one colour, more or less of it from place to place where it has faded. It is found as
    most of the picture has it. A toned picture has nothing else; in a hand-tinted one, a few places differ by their
    paint, and the rest does not at all; in one taken in colour, everything differs a little.

    Args:
        picture: mode RGB, sRGB.
    """
    scale = min(1.0, _THUMBNAIL / max(picture.size))
    size = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
    small = np.asarray(picture.resize(size, Image.Resampling.BOX), np.float32)
    lab = np.asarray(cv2.cvtColor(small / np.float32(255), cv2.COLOR_RGB2LAB), np.float32)
    if np.percentile(_length(lab[..., 1:]), 99.5) < _NEUTRAL_CHROMA:
        return "neutral"
    if size[0] * size[1] < _FEWEST_PIXELS:
        return "color"
    toning = _toning(lab)
    # Few things of one lightness and colour each, such as a poster's, would look toned but for this.
    _, extents, _ = np.linalg.svd(toning.reshape(-1, 2), full_matrices=False)
    if extents[1] > _TURN * math.sqrt(size[0] * size[1]):
        return "color"
    rest = lab[..., 1:] - toning
    # Grain and compression differ from the toning too, and more where it is strong: averaging takes most of it away.
    patches = np.percentile(_length(np.asarray(cv2.blur(rest, (5, 5)))), 99.5)
    if patches < _TONED_PATCH + _TONED_SHARE * _length(toning).mean():
        return "toned"
    differs = _length(rest)
    bare = differs[differs < _PAINT]
    return "tinted" if bare.size > _LEAST_REST * differs.size and bare.mean() < _TINTED_REST else "color"


def _toning(lab: FloatArray) -> FloatArray:
    """The ab (H, W, 2) that toning gives each pixel: a colour for its lightness, times a fading that is quadratic in
    its place; both by least squares, in which pixels that differ count less and less."""
    height, width = lab.shape[:2]
    ab = lab[..., 1:].reshape(-1, 2)
    position = np.clip(lab[..., 0].ravel() * np.float32((_KNOTS - 1) / 100), 0, _KNOTS - 1)
    shares = np.maximum(0, 1 - np.abs(position[:, None] - np.arange(_KNOTS, dtype=np.float32)))
    y, x = (side.ravel() for side in np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j].astype(np.float32))
    places = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=1)
    pull = np.diag([1e-6] + [_PULL_TO_EVEN * len(ab)] * (places.shape[1] - 1))
    fading: npt.NDArray[np.floating] = np.ones(len(ab), np.float32)
    says = fading
    for _ in range(_ROUNDS):
        scaled = shares * fading[:, None]
        weighted = (scaled * says[:, None]).T
        colours = np.linalg.solve(weighted @ scaled + _PULL_TO_GREY * np.eye(_KNOTS), weighted @ ab)
        even = shares @ colours
        weighted = (places * says[:, None]).T
        strength = np.linalg.solve(
            (weighted * (even * even).sum(axis=1)) @ places + pull, weighted @ (ab * even).sum(axis=1)
        )
        fading = np.clip(places @ strength, *_FADING)
        fading /= fading.mean()
        differs = _length(ab - even * fading[:, None])
        says = 1 / (1 + (differs / max(1.0, _SOFT * float(np.median(differs)))) ** 2)
    return np.asarray(even * fading[:, None], np.float32).reshape(height, width, 2)


def _length(vectors: npt.NDArray[np.floating]) -> FloatArray:
    return np.asarray(np.hypot(vectors[..., 0], vectors[..., 1]), np.float32)
