"""Pictures for the tests, made at test time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image


def grey(width: int = 90, height: int = 60, seed: int = 0) -> npt.NDArray[np.uint8]:
    """A smooth scene with an edge and some grain."""
    rng = np.random.default_rng(seed)
    ramp = np.linspace(20, 200, width)[None, :] * np.linspace(0.6, 1.1, height)[:, None]
    ramp[:, width // 2 :] *= 0.7
    return np.clip(ramp + rng.normal(0, 3, (height, width)), 0, 255).astype(np.uint8)


def save_grey(path: Path, width: int = 90, height: int = 60, seed: int = 0, **options: Any) -> npt.NDArray[np.uint8]:
    """Save a grey picture in the suffix's format; returns its luma."""
    luma = grey(width, height, seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(luma).save(path, **options)
    return luma


def colourful(width: int = 90, height: int = 60) -> Image.Image:
    """A picture whose colour no one takes for toning: four fields of different hue."""
    picture = np.zeros((height, width, 3), np.uint8)
    picture[: height // 2, : width // 2] = (200, 60, 50)
    picture[: height // 2, width // 2 :] = (50, 170, 60)
    picture[height // 2 :, : width // 2] = (60, 70, 200)
    picture[height // 2 :, width // 2 :] = (210, 190, 60)
    return Image.fromarray(picture)


def luma_of(path: Path) -> npt.NDArray[np.int64]:
    """The grey of a picture file."""
    with Image.open(path) as image:
        return np.asarray(image.convert("L"), np.int64)


def chroma_of(path: Path) -> float:
    """Mean distance between the largest and the smallest channel: 0 for grey."""
    with Image.open(path) as image:
        return float(np.ptp(np.asarray(image.convert("RGB"), np.int64), axis=2).mean())


def files_below(folder: Path) -> set[str]:
    """Relative names of all files below a folder, hidden ones too, but not the state file of a run."""
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if not path.is_dir() and path.name != ".restore-state.jsonl"
    }
