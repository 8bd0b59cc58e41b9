"""The proof: what is lost between the source and the result is found, wherever on the way; what is right passes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest

from restore.errors import CheckError
from restore.video import pipeline
from restore.video.reader import Reader
from tests.clips import Clip, make_clip
from tests.conftest import Restore, Result
from tests.films import make_film

Run = Callable[..., Result]


def without(number: int, items: Iterator[Any]) -> Iterator[Any]:
    return (item for place, item in enumerate(items) if place != number)


@pytest.mark.parametrize("lost", [0, 30, 59])
def test_a_frame_lost_in_the_colour_stages_is_an_error(
    tmp_path: Path, restore_video: Run, monkeypatch: pytest.MonkeyPatch, lost: int
) -> None:
    film = make_film(tmp_path / "film.mp4", 60)
    right = pipeline.color_frames
    with monkeypatch.context() as patched:
        patched.setattr(pipeline, "color_frames", lambda *arguments: without(lost, right(*arguments)))
        # The sample of the estimate loses one, too, and does not care.
        result = restore_video(film)
    assert result.code == 9, result.err
    assert "lost on their way" in result.err and result.err.count("\n") == 1
    assert not (tmp_path / "film-restored.mp4").exists()
    assert restore_video(film).code == 0


def test_a_lost_frame_is_found_with_its_segment(
    tmp_path: Path, restore: Restore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not hours later."""
    film = make_film(tmp_path / "film.mp4", 250)
    seen: list[int] = []
    right = pipeline.encode_segment

    def noted(path: Path, *rest: Any) -> list[int]:
        seen.append(int(path.stem))
        return right(path, *rest)

    render_frames = pipeline.render_frames
    monkeypatch.setattr(pipeline, "SEGMENT", 96)
    monkeypatch.setattr(pipeline, "encode_segment", noted)
    monkeypatch.setattr(pipeline, "render_frames", lambda *arguments: _closing(without(120, render_frames(*arguments))))
    with pytest.raises(CheckError, match="from frame 96 on"):
        restore(film, tmp_path / "out.mp4")
    assert seen == [0, 1]
    assert (tmp_path / ".out.mp4.restore-work" / "00000.mkv").exists()


def _closing(items: Iterator[Any]) -> Iterator[Any]:
    yield from items


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts"])
@pytest.mark.parametrize("lost", [0, 7, 19])
def test_a_frame_lost_by_the_reader_is_an_error(
    tmp_path: Path, restore: Restore, monkeypatch: pytest.MonkeyPatch, suffix: str, lost: int
) -> None:
    film = make_clip(tmp_path / f"film{suffix}", Clip(options={"bf": "2"}))
    right = Reader._decoded
    monkeypatch.setattr(Reader, "_decoded", lambda self, begin: without(lost, right(self, begin)))
    with pytest.raises(CheckError, match="no frame at"):
        restore(film, tmp_path / "out.mkv")
    assert not (tmp_path / "out.mkv").exists()


def test_packets_that_show_nothing_are_no_loss(tmp_path: Path, restore: Restore) -> None:
    """As VP8's pictures that are only referred to; here packets of HEVC that hold a delimiter alone."""
    clip = make_clip(tmp_path / "clip.mkv", Clip(codec="libx265", options={"x265-params": "log-level=error:bframes=0"}))
    source = tmp_path / "in.mkv"
    with av.open(str(clip)) as reader, av.open(str(source), "w") as out:
        copy = out.add_stream_from_template(reader.streams.video[0])
        for number, packet in enumerate(list(reader.demux(video=0))[:20]):
            packet.stream = copy
            out.mux(packet)
            if number in (7, 12):
                empty = av.Packet(b"\0\0\0\3\x46\1\x50")
                empty.stream, empty.time_base = copy, Fraction(1, 1000)
                empty.pts = empty.dts = 40 * number + 20
                out.mux(empty)
    made = restore(source, tmp_path / "out.mkv")
    assert made.frames == 20 and not any(made.losses.values())
    assert made.proof.silent == 2


def test_a_part_of_a_film_passes(tmp_path: Path, restore: Restore) -> None:
    source = make_clip(tmp_path / "in.mp4", Clip(times=range(100), options={"g": "12", "bf": "3"}))
    made = restore(source, tmp_path / "out.mp4", start=1.0, duration=1.5)
    assert made.frames in (37, 38) and made.proof.silent == 0
