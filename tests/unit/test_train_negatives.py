"""What tells negatives is trained and exported by `train/negatives.py`: on few pictures, but all the way."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from restore.photos import negative
from train import negatives


def _outdoors(seed: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """A bright sky over a dark ground, with a horizon and grain of its own."""
    random = np.random.default_rng(seed)
    rows = np.linspace(0, 1, 96)[:, None] + np.linspace(-0.1, 0.1, 96) * random.normal()
    levels = np.where(rows < random.uniform(0.35, 0.65), 190 - 40 * rows, 90 - 50 * rows)
    return np.asarray((levels + random.normal(0, 8, levels.shape)).clip(0, 255), np.uint8)


def test_a_detector_learns_and_restore_photos_can_use_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for part, count in (("data", 60), ("val", 10)):
        (tmp_path / part).mkdir()
        for number in range(count):
            Image.fromarray(_outdoors(number + 1000 * (part == "val"))).save(tmp_path / part / f"{number}.png")
    made = tmp_path / "negative.onnx"
    options = {"data": tmp_path / "data", "val": tmp_path / "val", "output": made, "steps": 20}
    arguments = [str(word) for name, value in options.items() for word in (f"--{name}", value)]
    monkeypatch.setattr(sys, "argv", ["negatives", *arguments])
    negatives.main()
    assert "10 pictures: false alarms" in capsys.readouterr().out

    monkeypatch.setattr(negative, "files", lambda package: tmp_path)
    negative._session.cache_clear()
    try:
        found = [negative.looks_negative(255 - _outdoors(seed)) for seed in range(2000, 2010)]
        alarms = [negative.looks_negative(_outdoors(seed)) for seed in range(2000, 2010)]
    finally:
        negative._session.cache_clear()
    assert sum(found) >= 8 and sum(alarms) <= 2
