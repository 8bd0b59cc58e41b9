"""Which part of a picture a sample shows, and how it gets its size."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from train.config import TrainConfig

Rgb = npt.NDArray[np.uint8]

_MAX_ASPECT = math.log(4 / 3)  # the engine squeezes photos into a square, so training sees them squeezed too
_RESIZED_AREA = (0.08, 1.0)  # torchvision's RandomResizedCrop, as is its aspect ratio of 3:4 to 4:3
_TRIES = 10
_PILLOW = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}


@dataclass(frozen=True)
class Framing:
    """How samples are cut; see `TrainConfig` for what the fields mean."""

    size: int
    kind: str = "random"
    crop: float = 0.6
    resize: str = "auto"
    flip: float = 0.5

    @classmethod
    def of(cls, config: TrainConfig) -> Framing:
        return cls(config.size, config.framing, config.crop, config.resize, config.flip)

    @property
    def least(self) -> int:
        """The short side that a picture should still have, where it is decoded at a fraction of its size."""
        smallest = {"random": self.crop, "resized": math.sqrt(_RESIZED_AREA[0]), "whole": 1.0}[self.kind]
        # Bicubic or bilinear resizing is part of a published set-up: a reduced JPEG would be another filter before it.
        return round(self.size / smallest) if self.resize in ("auto", "area") else 1 << 30

    def shrunk(self, picture: Rgb) -> Rgb:
        """(H, W, 3) to one whose short side is `least`, by area averaging; a smaller one stays as it is."""
        scale = self.least / min(picture.shape[:2])
        if scale >= 1:
            return picture
        height, width = (max(self.least, round(side * scale)) for side in picture.shape[:2])
        return np.asarray(cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA), np.uint8)

    def cut(self, picture: Rgb, rng: np.random.Generator) -> Rgb:
        """(H, W, 3) of any size to (size, size, 3), mirrored or not."""
        left, top, width, height = self._box(picture.shape[1], picture.shape[0], rng)
        crop = picture[top : top + height, left : left + width]
        crop = self._resized(crop)
        return np.asarray(cv2.flip(crop, 1) if rng.random() < self.flip else crop, np.uint8)

    def _resized(self, crop: Rgb) -> Rgb:
        size = (self.size, self.size)
        if self.resize in _PILLOW:
            # The published filters are Pillow's, which widen where they shrink; OpenCV's do not.
            return np.asarray(Image.fromarray(np.ascontiguousarray(crop)).resize(size, _PILLOW[self.resize]))
        height, width = crop.shape[:2]
        method = _by_shrinking(width / self.size, height / self.size) if self.resize == "auto" else cv2.INTER_AREA
        return np.asarray(cv2.resize(crop, size, interpolation=method), np.uint8)

    def _box(self, width: int, height: int, rng: np.random.Generator) -> tuple[int, int, int, int]:
        if self.kind == "whole":
            return 0, 0, width, height
        if self.kind == "resized":
            crop_w, crop_h = _resized(width, height, rng)
        else:
            side = min(height, width) * rng.uniform(self.crop, 1.0)
            stretch = math.exp(rng.uniform(-_MAX_ASPECT, _MAX_ASPECT) / 2)
            crop_w, crop_h = min(width, max(1, round(side * stretch))), min(height, max(1, round(side / stretch)))
        left, top = int(rng.integers(width - crop_w + 1)), int(rng.integers(height - crop_h + 1))
        return left, top, crop_w, crop_h


def _resized(width: int, height: int, rng: np.random.Generator) -> tuple[int, int]:
    """A random share of the area and a random aspect ratio; what fits in none of ten tries is the largest square."""
    for _ in range(_TRIES):
        area = width * height * rng.uniform(*_RESIZED_AREA)
        aspect = math.exp(rng.uniform(-_MAX_ASPECT, _MAX_ASPECT))
        crop_w, crop_h = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < crop_w <= width and 0 < crop_h <= height:
            return crop_w, crop_h
    return min(width, height), min(width, height)


def _by_shrinking(*shrinking: float) -> int:
    """Area averaging takes ten times as long as the bilinear one, which sees nearly every pixel up to a factor of 2."""
    if max(shrinking) >= 2:
        return cv2.INTER_AREA
    return cv2.INTER_LINEAR if max(shrinking) > 1 else cv2.INTER_CUBIC
