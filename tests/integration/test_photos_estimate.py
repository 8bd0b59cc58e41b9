"""`restore photos` tells time and size before it begins, counts beside its work, and refuses too small a disk."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from restore.options import EngineOptions, PhotoOptions
from tests.conftest import Result
from tests.pictures import files_below, save_grey

Run = Callable[..., Result]
UNITS = {"bytes": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9}


def expected(said: str) -> tuple[int, float, float]:
    """Photos, bytes in the end and bytes needed, as they were told."""
    found = re.search(r"(\S+) photos? to colour in about .*, ([\d.]+) (\w+) in the end; up to ([\d.]+) (\w+) of", said)
    assert found, said
    count, size, unit, needed, unit_needed = found.groups()
    return int(count.replace(",", "")), float(size) * UNITS[unit], float(needed) * UNITS[unit_needed]


def written(folder: Path) -> int:
    """Bytes of blocks on the disk."""
    return sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file())


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """Photos whose results are from twice to two hundred times as large as they are, and some that give none."""
    for i in range(50):
        save_grey(tmp_path / "in" / f"{i}.jpg", 300 + 20 * i, 400, seed=i, quality=50 + i)
    for i in range(4):
        save_grey(tmp_path / "in" / f"{i}.png", 300, 200, seed=i)
        (tmp_path / "in" / f"broken{i}.jpg").write_bytes(b"\xff\xd8\xff" * 500)
        fax = np.zeros((900, 700), bool)
        fax[100 * i : 100 * i + 60] = True
        Image.fromarray(fax).save(tmp_path / "in" / f"fax{i}.tif", compression="group4")
        noise = np.random.default_rng(i).integers(0, 65536, (300, 300), np.uint16)
        tifffile.imwrite(tmp_path / "in" / f"deep{i}.tif", noise, compression="lzw")
    return tmp_path / "in"


def test_the_estimate_holds(mixed: Path, restore_photos: Run) -> None:
    output = mixed.parent / "in-restored"
    foretold = restore_photos(mixed, "--dry-run", with_report=False)
    assert foretold.code == 0 and not output.exists()
    count, size, needed = expected(foretold.out)
    run = restore_photos(mixed)
    assert run.code == 8 and "to colour in about" in run.out.splitlines()[0]
    results = sum(path.stat().st_size for path in output.rglob("[!.]*"))
    assert count == 66 and 0.8 * results < size < 1.25 * results
    assert written(output) <= needed < 2 * results
    # Only what is not done counts.
    for path in output.glob("*.jpg"):
        path.unlink()
    count, size, needed = expected(restore_photos(mixed, "--dry-run", with_report=False).out)
    (output / ".restore-state.jsonl").unlink()
    before = written(output)
    restore_photos(mixed)
    assert count == 54 and written(output) - before <= needed
    # What is replaced makes room.
    again = restore_photos(mixed, "--overwrite", "--dry-run", with_report=False)
    assert expected(again.out)[2] < needed


def test_pairs_and_maps_count_by_their_size(tmp_path: Path, restore_photos: Run) -> None:
    for i in range(24):
        save_grey(tmp_path / "in" / f"{i}.jpg", 160, 120, seed=i)
    save_grey(tmp_path / "in" / "large.jpg", 1400, 1100)
    output, options = tmp_path / "in-restored", ("--compare", "--confidence")
    told = restore_photos(tmp_path / "in", "--dry-run", *options, model="default", with_report=False)
    _, size, needed = expected(told.out)
    assert restore_photos(tmp_path / "in", *options, model="default").code == 0
    assert written(output) <= needed < 2 * written(output)
    # Noise gets hardly any colour, and so is written smaller than what the estimate knows of photos.
    assert 0.5 * written(output) < size < 1.8 * written(output)


def test_little_is_done_without_an_estimate(tmp_path: Path, restore_photos: Run) -> None:
    for i in range(5):
        save_grey(tmp_path / "in" / f"{i}.jpg", seed=i)
    assert "about" not in restore_photos(tmp_path / "in").out
    assert "about" not in restore_photos(tmp_path / "in", "--dry-run", with_report=False).out  # nothing is left


def test_a_disk_that_is_too_small_is_refused(tmp_path: Path, small_disk: Path, restore_photos: Run) -> None:
    for i in range(12):
        save_grey(tmp_path / "in" / f"{i}.png", 700, 500, seed=i)
    for options in ([], ["--dry-run"]):
        result = restore_photos(tmp_path / "in", "--output", small_disk / "out", *options, with_report=False)
        assert result.code == 4 and "may need" in result.err and "2.1 MB are free" in result.err
        assert result.err.count("\n") == 1 and not files_below(small_disk) and not (small_disk / "out").exists()
    # By their headers these may not fit either, so a sample tells.
    assert restore_photos(tmp_path / "in" / "1.png", "--output", small_disk / "out").code == 0
    assert restore_photos(tmp_path / "in", "--output", small_disk / "out", "--format", "webp").code == 0


class Counted:
    """Progress that remembers what became known when."""

    wants_total = True

    def __init__(self) -> None:
        self.events: list[str] = []
        self.total_known = threading.Event()

    def note(self, text: str) -> None:
        self.events.append("estimate")

    def start(self, total: int | None) -> None:
        self.events.append(f"start {total}")

    def expect(self, total: int) -> None:
        self.events.append(f"total {total}")
        self.total_known.set()

    def step(self, name: str, status: str, detail: str = "") -> None:
        if "step" not in self.events:
            self.events.append("step")

    def finish(self, counts: Mapping[str, int], seconds: float) -> None:
        self.events.append(f"finish {counts['done']}")


def test_work_does_not_wait_for_a_slow_count(tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from restore.photos import forecast
    from restore.photos.pipeline import restore_photos

    for i in range(80):
        save_grey(tmp_path / "in" / f"{i}.png", seed=i)
    options, engine = PhotoOptions([tmp_path / "in"]), EngineOptions(str(tiny_model))
    first = Counted()
    restore_photos(options, engine, first)
    assert first.events == ["start None", "total 80", "estimate", "step", "finish 80"]
    slow, walk = Counted(), forecast.plan

    def plan_slowly(*arguments: Any) -> Any:
        for item in walk(*arguments):
            time.sleep(0.02)
            yield item

    monkeypatch.setattr(forecast, "plan", plan_slowly)
    monkeypatch.setattr(forecast, "_PATIENCE", 0.1)
    restore_photos(PhotoOptions([tmp_path / "in"], output=tmp_path / "out"), engine, slow)
    assert slow.events[:2] == ["start None", "step"] and slow.events[-1] == "finish 80"
    # A finished archive is not waited for, and the estimate of nothing is not told.
    done = Counted()
    restore_photos(options, engine, done)
    assert "estimate" not in done.events and done.events[-1] == "finish 0"


def test_verify_counts_beside_its_work(tmp_path: Path) -> None:
    from restore.photos.verify import verify_photos

    class Patient(Counted):
        def step(self, name: str, status: str, detail: str = "") -> None:
            assert self.total_known.wait(20)

    for folder in ("in", "in-restored"):
        save_grey(tmp_path / folder / "a.png")
    progress = Patient()
    verify_photos(PhotoOptions([tmp_path / "in"]), progress)
    assert progress.events == ["start None", "total 1", "finish 1"]
