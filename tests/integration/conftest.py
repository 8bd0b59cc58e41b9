"""What tests of stopped films share."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from restore.options import EngineOptions, VideoOptions
from tests.films import Digest, digest, make_film
from tests.runs import FRAMES, SHORT, StopAfter, Work, options_for, segments_of


@pytest.fixture(scope="module")
def reel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_film(tmp_path_factory.mktemp("reel") / "film.mp4", FRAMES)


@pytest.fixture(scope="module")
def uninterrupted(
    reel: Path, tiny_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[dict[str, Any]], Digest]:
    """What a run gives that nothing stops, by the runtime, the dtype and the batch that the stopped one took."""
    from restore.video.pipeline import restore_film

    known: dict[str, Digest] = {}

    def run(runtime: dict[str, Any]) -> Digest:
        key = json.dumps(runtime)
        if key not in known:
            output = tmp_path_factory.mktemp("whole") / "film.mp4"
            assert restore_film(reel, output, VideoOptions(), EngineOptions(str(tiny_model), "cpu", **runtime))
            known[key] = digest(output)
        return known[key]

    return run


@pytest.fixture
def work(reel: Path, tmp_path: Path, tiny_model: Path) -> Work:
    return Work(reel, tmp_path, tiny_model)


@pytest.fixture
def short_segments(monkeypatch: pytest.MonkeyPatch) -> int:
    """Short films have several segments, too."""
    from restore.video import pipeline
    from restore.video.color_frames import WINDOW

    monkeypatch.setattr(pipeline, "SEGMENT", 2 * WINDOW)
    return 2 * WINDOW


@pytest.fixture
def unfinished(tmp_path: Path, tiny_model: Path, short_segments: int) -> Path:
    """A film whose work was stopped after its first segment."""
    from restore.video.films import restore_films

    film = make_film(tmp_path / "film.mp4", SHORT)
    progress = StopAfter(short_segments + 10)
    restore_films(options_for(film), EngineOptions(str(tiny_model)), progress, lambda: progress.reached)
    assert segments_of(film) == 1
    return film
