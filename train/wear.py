"""Marks that time leaves on photographs, on the *input* of training: frames, dirt, scratches, halation, uneven light,
coarse grain, tone curves, strong fading, lost sharpness, JPEG blocks.

A picture is given to OpenCV and NumPy by itself, because most of them get few of these; each takes 0.02 to 0.3 ms of a
processor at 128 pixels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from restore.threads import map_in_threads, processors

Plane = npt.NDArray[np.float32]

_SHARE = 0.5  # of the pictures that get a mark, at full strength; of those with a frame half as many
_FRAME = 0.1  # the widest frame at a side, as a share of it
_PICTURES_A_THREAD = 4


def framed(rgb: Tensor, strength: float, seeds: Sequence[int]) -> Tensor:
    """Pictures with a frame around some of them: the edge of a film, a mount, a margin. It is grey, so that what the
    network should say of it is no colour.

    Args:
        rgb: (N, 3, H, W) uint8.
        strength: 0 to 1: how many get one.
        seeds: one for each picture, whose frame follows from it alone.

    Returns:
        The same where nothing changes, else a copy.
    """
    height, width = rgb.shape[2:]
    result = rgb
    for row, seed in enumerate(seeds):
        rng = np.random.default_rng((seed, 1))
        if rng.random() >= strength * _SHARE / 2:
            continue
        if result is rgb:
            result = rgb.clone()
        level = int(rng.choice((rng.integers(0, 40), rng.integers(200, 256), rng.integers(256))))
        sides = rng.uniform(-_FRAME, _FRAME, 4).clip(0) * (height, height, width, width)
        top, bottom, left, right = (round(side) for side in sides)
        picture = result[row]
        picture[:, :top] = picture[:, height - bottom :] = level
        picture[:, :, :left] = picture[:, :, width - right :] = level
    return result


def worn(luma: Tensor, strength: float, seeds: Sequence[int]) -> Tensor:
    """Luma as an old print or film would show it.

    Args:
        luma: (N, 1, H, W) in [0, 1].
        strength: 0 to 1: how many pictures get each mark, and how strong it is at most.
        seeds: one for each picture, whose marks follow from it alone, whatever it is batched with.
    """
    planes = luma.cpu().numpy().copy()

    def wear(first: int) -> None:
        for row in range(first, min(first + _PICTURES_A_THREAD, len(planes))):
            planes[row, 0] = _worn(planes[row, 0], strength, np.random.default_rng((seeds[row], 2)))

    for _ in map_in_threads(wear, range(0, len(planes), _PICTURES_A_THREAD), processors()):
        pass
    return torch.from_numpy(planes).clamp_(0, 1).to(luma.device)


def _worn(plane: Plane, strength: float, rng: np.random.Generator) -> Plane:
    """In the order in which it happens: light, film, print, handling, scan."""
    for mark in (_halation, _uneven_light, _tone_curve, _coarse_grain, _fading, _dirt, _scratches, _softness, _blocks):
        if rng.random() < strength * _SHARE:
            plane = mark(plane, strength, rng)
    return plane


def _halation(plane: Plane, strength: float, rng: np.random.Generator) -> Plane:
    """Lights glow into what is around them."""
    glow = cv2.GaussianBlur(np.maximum(plane - 0.6, 0), (0, 0), float(rng.uniform(0.01, 0.05)) * len(plane))
    return np.asarray(plane + np.float32(rng.uniform(0, 2) * strength) * glow, np.float32)


def _uneven_light(plane: Plane, strength: float, rng: np.random.Generator) -> Plane:
    """Darker corners, or one side darker than the other."""
    height, width = plane.shape
    across = np.linspace(-1, 1, width, dtype=np.float32) - np.float32(rng.normal(0, 0.2))
    down = (np.linspace(-1, 1, height, dtype=np.float32) - np.float32(rng.normal(0, 0.2)))[:, None]
    corners, slope, angle = rng.uniform(0, 0.3) * strength, rng.uniform(0, 0.3) * strength, rng.uniform(0, 2 * math.pi)
    light = 1 - np.float32(corners) * (across**2 + down**2)
    light += np.float32(slope * math.cos(angle)) * across + np.float32(slope * math.sin(angle)) * down
    return plane * light


def _tone_curve(plane: Plane, strength: float, rng: np.random.Generator) -> Plane:
    """Hard or soft middle tones; monotone, black stays black and white white."""
    bend = np.float32(rng.uniform(-0.9, 0.9) * strength / (2 * math.pi))
    return plane - bend * np.sin(np.float32(2 * math.pi) * plane)


def _coarse_grain(plane: Plane, strength: float, rng: np.random.Generator) -> Plane:
    """Grain larger than a pixel, strongest in the middle tones."""
    height, width = plane.shape
    scale = rng.uniform(1.2, 3)
    small = rng.standard_normal((math.ceil(height / scale), math.ceil(width / scale)), np.float32)
    grain = cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
    return plane + np.float32(rng.uniform(0, 0.12) * strength) * grain * (4 * plane * (1 - plane)).clip(0.2)


def _fading(plane: Plane, strength: float, rng: np.random.Generator) -> Plane:
    """What is left of the contrast: a quarter at the least."""
    span = 1 - rng.uniform(0.3, 0.75) * strength
    return np.float32(span) * plane + np.float32(rng.random() * (1 - span))


def _dirt(plane: Plane, strength: float, rng: np.random.Generator) -> Plane:
    """Specks of dust, dark or light."""
    plane = plane.copy()
    for x, y in rng.uniform(0, plane.shape[::-1], (int(rng.integers(1, 1 + round(1 + 15 * strength))), 2)):
        axes = (1 + rng.exponential(0.006, 2) * len(plane)).astype(int).tolist()
        cv2.ellipse(plane, (int(x), int(y)), axes, float(rng.uniform(0, 180)), 0, 360, float(rng.integers(2)), -1)
    return plane


def _scratches(plane: Plane, strength: float, rng: np.random.Generator) -> Plane:
    """Lines, most of them nearly upright, as a projector makes them."""
    plane = plane.copy()
    height, width = plane.shape
    for _ in range(int(rng.integers(1, 1 + round(1 + 4 * strength)))):
        x, lean = rng.uniform(0, width), rng.normal(0, 0.02 if rng.random() < 0.7 else 1.0) * width
        top, bottom = sorted(rng.uniform(-0.5, 1.5, 2) * height)
        drawn = plane.copy()
        ends = ((int(x), int(top)), (int(x + lean), int(bottom)))
        cv2.line(drawn, *ends, float(rng.integers(2)), 1)
        plane += np.float32(rng.uniform(0.2, 1.0)) * (drawn - plane)
    return plane


def _softness(plane: Plane, strength: float, rng: np.random.Generator) -> Plane:
    """A small or blurred print: as if it had been reduced to a third of its size at the least."""
    height, width = plane.shape
    scale = 1 - rng.uniform(0, 0.65) * strength
    small = cv2.resize(
        plane, (max(1, round(width * scale)), max(1, round(height * scale))), interpolation=cv2.INTER_AREA
    )
    return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC), np.float32)


def _blocks(plane: Plane, strength: float, rng: np.random.Generator) -> Plane:
    """A JPEG of a quality of 15 at the least."""
    quality = round(90 - 75 * strength * rng.random())
    levels = np.rint(plane.clip(0, 1) * 255).astype(np.uint8)
    _, data = cv2.imencode(".jpg", levels, (cv2.IMWRITE_JPEG_QUALITY, quality))
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE), np.float32) / np.float32(255)
