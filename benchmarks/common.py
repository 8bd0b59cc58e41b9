"""What the benchmarks share: test pictures made on the spot, and the line that says what machine this is."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image
from skimage import data

PHOTOS = ("astronaut", "coffee", "chelsea", "rocket")


def machine() -> str:
    """Cores and the instruction sets that decide how fast bf16 is."""
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        flags = ""
    known = [name for name in ("amx_bf16", "avx512_bf16", "avx512f", "avx2") if name in flags]
    return f"{os.cpu_count()} cores, {platform.machine()}, {known[0] if known else 'no known vector unit'}"


def large_photo(number: int, width: int = 4000, height: int = 3000) -> npt.NDArray[np.uint8]:
    """A 12-MP colour picture: a photo of skimage enlarged, with film grain so that it compresses like a scan."""
    photo = getattr(data, PHOTOS[number % len(PHOTOS)])()
    large = cv2.resize(photo, (width, height), interpolation=cv2.INTER_CUBIC)
    grain = np.random.default_rng(number).normal(0, 4, (height, width, 1)).astype(np.float32)
    return np.clip(large + grain, 0, 255).astype(np.uint8)


def write_grey_archive(folder: Path, count: int) -> None:
    """`count` grey JPEGs of 12 MP."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        Image.fromarray(large_photo(number)).convert("L").save(folder / f"scan_{number:03d}.jpg", quality=92)


def write_colour_photos(folder: Path, count: int) -> None:
    """`count` colour JPEGs of 500 × 375 pixels, about the size of ImageNet's."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        Image.fromarray(large_photo(number, 500, 375)).save(folder / f"photo_{number:03d}.jpg", quality=92)
