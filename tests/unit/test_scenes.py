"""Cuts in synthetic film: found where they are, and nowhere else."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
from skimage import data

from restore.video.scenes import mark_cuts

Small = npt.NDArray[np.uint8]


def still(name: str, grain: int = 0) -> Small:
    grey = cv2.cvtColor(getattr(data, name)(), cv2.COLOR_RGB2GRAY)
    small = cv2.resize(grey, (96, 96), interpolation=cv2.INTER_AREA)
    noise = np.random.default_rng(grain).normal(0, 6, small.shape)
    return np.clip(small + noise, 0, 255).astype(np.uint8)


def found(frames: list[Small]) -> list[int]:
    marked = list(mark_cuts(enumerate(frames)))
    assert [item for item, _ in marked] == list(range(len(frames)))
    return [item for item, cut in marked if cut]


def test_hard_cuts_are_found_in_grainy_film() -> None:
    frames = [still("astronaut", i) for i in range(10)] + [still("coffee", i) for i in range(7)]
    frames += [still("rocket", i) for i in range(5)]
    assert found(frames) == [0, 10, 17]


def test_grain_alone_is_no_cut() -> None:
    assert found([still("chelsea", i) for i in range(30)]) == [0]


def test_a_dissolve_is_no_cut() -> None:
    one, other = still("astronaut").astype(float), still("coffee").astype(float)
    frames = [np.asarray(one + (other - one) * np.clip((t - 8) / 12, 0, 1), np.uint8) for t in range(30)]
    assert found(frames) == [0]


def test_a_flash_is_no_cut() -> None:
    frames = [still("astronaut", i) for i in range(12)]
    frames[6] = np.full_like(frames[6], 250)
    assert found(frames) == [0]


def test_a_pan_is_no_cut() -> None:
    wide = cv2.resize(cv2.cvtColor(data.coffee(), cv2.COLOR_RGB2GRAY), (300, 96), interpolation=cv2.INTER_AREA)
    assert found([np.ascontiguousarray(wide[:, 5 * t : 5 * t + 96]) for t in range(40)]) == [0]


def test_one_frame_and_none() -> None:
    assert found([still("coffee")]) == [0]
    assert found([]) == []
