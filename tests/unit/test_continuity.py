"""What comes back has the colour it had; what is another thing keeps its own."""

from __future__ import annotations

import json

import cv2
import numpy as np
import numpy.typing as npt
from skimage import data

from restore.video.continuity import Continuity

SIDE = 96


def luma(name: str, gain: float = 1.0) -> npt.NDArray[np.uint8]:
    grey = cv2.resize(
        cv2.cvtColor(getattr(data, name)(), cv2.COLOR_RGB2GRAY), (SIDE, SIDE), interpolation=cv2.INTER_AREA
    )
    return np.clip(grey * gain, 0, 255).astype(np.uint8)


def flat(a: float, b: float) -> npt.NDArray[np.float32]:
    return np.full((SIDE, SIDE, 2), (a, b), np.float32)


def shot_and_reverse_shot() -> Continuity:
    memory = Continuity()
    memory = memory.begin(luma("astronaut"), flat(20, 10))
    return memory.begin(luma("coffee"), flat(-10, 5))


def test_a_returning_set_up_gets_its_colours_back() -> None:
    memory = shot_and_reverse_shot().begin(luma("astronaut", 0.9), flat(12, 16))
    assert memory.scene == 3
    assert len(memory.setups) == 2
    held = memory.hold(luma("astronaut", 0.9), flat(12, 16))
    assert np.abs(held.mean((0, 1)) - (20, 10)).max() < 0.35 * 8
    other = memory.begin(luma("coffee"), flat(-4, 5))
    assert np.abs(other.hold(luma("coffee"), flat(-4, 5)).mean((0, 1)) - (-10, 5)).max() < 0.35 * 6


def test_a_new_set_up_keeps_its_own_colours() -> None:
    memory = shot_and_reverse_shot().begin(luma("rocket"), flat(3, 4))
    assert len(memory.setups) == 3
    assert np.allclose(memory.hold(luma("rocket"), flat(3, 4)), flat(3, 4))


def test_slow_drift_is_held() -> None:
    memory = Continuity().begin(luma("chelsea"), flat(20, 10))
    drifted = flat(26, 4)
    assert np.abs(memory.hold(luma("chelsea"), drifted) - flat(20, 10)).max() < 2


def test_an_object_of_other_luma_takes_no_foreign_colour_over() -> None:
    memory = Continuity().begin(luma("chelsea"), flat(20, 10))
    crossed, ab = luma("chelsea"), flat(20, 10)
    crossed[36:60, 36:60] = 255
    ab[36:60, 36:60] = (-30, -30)
    held = memory.hold(crossed, ab)
    assert np.abs(held[44:52, 44:52] - (-30, -30)).max() < 3


def test_the_journal_gives_the_very_same_back() -> None:
    memory = shot_and_reverse_shot()
    again = Continuity.from_json(json.loads(json.dumps(memory.as_json())))
    frame, ab = luma("coffee", 1.1), flat(1, 2)
    assert np.array_equal(again.hold(frame, ab), memory.hold(frame, ab))
    assert again.as_json() == memory.as_json()


def test_memory_is_bounded() -> None:
    memory, rng = Continuity(), np.random.default_rng(0)
    for _ in range(200):
        memory = memory.begin(rng.integers(0, 256, (8, 8), dtype=np.uint8).repeat(12, 0).repeat(12, 1), flat(1, 1))
    assert len(memory.setups) <= 64
    assert memory.scene == 200
