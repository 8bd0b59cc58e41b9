"""Runs of `restore video` that are stopped, and what they leave."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from restore.options import EngineOptions, FilmsOptions, VideoOptions

FRAMES = 1100  # two whole segments and a part of one
SHORT = 250  # of films that are cut into short segments


class Work:
    """A command that is stopped, and what it leaves."""

    def __init__(self, reel: Path, folder: Path, model: Path) -> None:
        self.film = folder / "film.mp4"
        shutil.copy2(reel, self.film)
        self.output = folder / "film-restored.mp4"
        self.journal = folder / ".film-restored.mp4.restore-work"
        self.command = [sys.executable, "-m", "restore", "video", str(self.film), "--model", str(model)]

    def start(self, segments: int) -> subprocess.Popen[str]:
        """The command in a process of its own, once so many segments are whole."""
        process = subprocess.Popen(self.command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        until = time.monotonic() + 240
        while time.monotonic() < until and process.poll() is None:
            if (self.journal / "plan.json").exists() and len(self.whole()) >= segments:
                return process
            time.sleep(0.002)
        process.kill()
        raise AssertionError(f"not so far in time: {process.communicate()}")

    def whole(self) -> list[Path]:
        return sorted(self.journal.glob("[0-9]*.json"))

    def runtime(self) -> dict[str, Any]:
        return dict(json.loads((self.journal / "plan.json").read_text())["runtime"])


def options_for(film: Path, **video: Any) -> FilmsOptions:
    return FilmsOptions([film], video=VideoOptions(**video))


def engine_for(model: Path) -> EngineOptions:
    return EngineOptions(str(model), "cpu", dtype="float32", batch=4)


class StopAfter:
    """Progress that lets something happen when so many frames are through."""

    def __init__(self, frames: int, happen: Callable[[], None] = lambda: None) -> None:
        self.frames, self.happen, self.reached = frames, happen, False
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)

    def begin(self, name: str, done: int) -> None:
        pass

    def frame(self, done: int, total: int | None, scene: int) -> None:
        if done >= self.frames and not self.reached:
            self.reached = True
            self.happen()

    def step(self, name: str, status: str, detail: str = "") -> None:
        pass

    def finish(self, counts: object, seconds: float) -> None:
        pass


def segments_of(film: Path) -> int:
    folder = film.with_name(f".{film.stem}-restored{film.suffix}.restore-work")
    return len(list(folder.glob("[0-9]*.json")))
