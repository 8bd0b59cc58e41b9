"""Every frame keeps its time and its fields, wherever clocks begin, wrap, or are read from."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from restore.video.film import Film, cut_out, describe
from restore.video.reader import Reader, Timeline
from tests.clips import Clip, luma_planes, make_clip, packets
from tests.conftest import Restore, Result

Run = Callable[..., Result]


@pytest.mark.parametrize("pair", [(".mkv", ".mkv"), (".mp4", ".mp4"), (".mp4", ".mkv"), (".mkv", ".mp4")])
def test_variable_rate_keeps_each_time(restore: Restore, tmp_path: Path, pair: tuple[str, str]) -> None:
    source, result = tmp_path / f"in{pair[0]}", tmp_path / f"out{pair[1]}"
    times = [0, 3003, 6006, 18000, 18180, 90000, 93600, 97200]
    make_clip(source, Clip(times=times, time_base=Fraction(1, 90000)))
    restore(source, result)
    due = luma_planes(source)[1]
    assert len(due) == len(times)
    slack = 0 if ".mkv" in pair[0] or pair == (".mp4", ".mp4") else Fraction(1, 1000)
    for mine, theirs in zip(luma_planes(result)[1], due, strict=True):
        assert abs(mine - theirs) <= slack


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_last_frame_lasts_as_long_as_it_did(restore: Restore, tmp_path: Path, suffix: str) -> None:
    source = make_clip(tmp_path / "in.mp4", Clip(times=range(10)))
    restore(source, tmp_path / f"out{suffix}")
    with av.open(str(source)) as before, av.open(str(tmp_path / f"out{suffix}")) as after:
        assert after.duration == before.duration == 400_000


@pytest.mark.parametrize(
    "pair", [(".mkv", ".mkv"), (".mkv", ".mp4"), (".mp4", ".mp4"), (".ts", ".mp4"), (".ts", ".mkv")]
)
def test_film_that_starts_at_ten_hours(restore: Restore, tmp_path: Path, pair: tuple[str, str]) -> None:
    source, result = tmp_path / f"in{pair[0]}", tmp_path / f"out{pair[1]}"
    make_clip(
        source,
        Clip(times=range(900_000, 900_020), sound=("aac",), muxer={"mpegts_copyts": "1"} if ".ts" in pair[0] else {}),
    )
    made = restore(source, result)
    due, times = luma_planes(source)[1], luma_planes(result)[1]
    assert due[0] == pytest.approx(36000, abs=0.1)
    moved = made.proof.shift
    assert moved == 0
    assert [float(time) for time in times] == pytest.approx([float(time) for time in due], abs=1e-3)
    (sound, _), (same, _) = packets(source, 1), packets(result, 1)
    assert [float(time) for time in same] == pytest.approx([float(time) for time in sound], abs=1.1e-3)


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_mpegts_whose_clock_wraps_and_film_that_begins_before_zero(
    restore: Restore, tmp_path: Path, suffix: str
) -> None:
    source, result = tmp_path / "in.ts", tmp_path / f"out{suffix}"
    begin = 2**33 - 45_000  # half a second before the clock wraps: FFmpeg counts that as −0.5 s
    clip = Clip(
        times=range(begin, begin + 25 * 3600, 3600),
        time_base=Fraction(1, 90_000),
        sound=("aac",),
        muxer={"mpegts_copyts": "1"},
    )
    make_clip(source, clip)
    due = luma_planes(source)[1]
    assert due[0] == Fraction(-1, 2)
    made = restore(source, result)
    times = luma_planes(result)[1]
    assert times[0] >= 0
    assert [float(time - times[0]) for time in times] == pytest.approx([n / 25 for n in range(25)], abs=1e-3)
    assert "moved" in " ".join(made.notes)
    sound, same = packets(source, 1)[0], packets(result, 1)[0]
    assert len(sound) == len(same)
    apart = [float((mine - times[0]) - (theirs - due[0])) for mine, theirs in zip(same, sound, strict=True)]
    assert apart == pytest.approx([0] * len(apart), abs=2e-3)


def test_a_clock_that_begins_anew_goes_on() -> None:
    times = Timeline(jump=100)
    placed = [times.place(stamp, 10) for stamp in (0, 10, 20, None, 40, 35, 50, -5000, -4990, -4980)]
    assert placed == [0, 10, 20, 30, 40, 41, 50, 60, 70, 80]
    assert times.mended == 3


@pytest.mark.parametrize("fields", ["tff", "bff"])
@pytest.mark.parametrize("codec", ["libx264", "ffv1"])
def test_interlaced_film_stays_interlaced(restore: Restore, tmp_path: Path, fields: str, codec: str) -> None:
    source, result = tmp_path / "in.mkv", tmp_path / "out.mkv"
    make_clip(source, Clip(fields=fields))
    restore(source, result, codec=codec, crf=None if codec == "ffv1" else 0)
    before, after = describe(source), describe(result)
    assert before.interlaced
    assert after.interlaced
    assert before.bottom_first == after.bottom_first == (fields == "bff")
    assert all(frame.interlaced for frame in Reader(after).frames())
    for mine, theirs in zip(luma_planes(result)[0], luma_planes(source)[0], strict=True):
        np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize("pixel_format", ["yuv420p", "gray", "gray10le", "yuv422p10le"])
def test_deinterlacing_gives_a_frame_for_each_frame(restore: Restore, tmp_path: Path, pixel_format: str) -> None:
    source, result = tmp_path / "in.mkv", tmp_path / "out.mkv"
    clip = Clip(fields="tff", codec="ffv1", pixel_format=pixel_format)
    make_clip(source, clip)
    restore(source, result, deinterlace=True, codec="ffv1")
    assert not describe(result).interlaced
    (before, due), (after, times) = luma_planes(source), luma_planes(result)
    assert times == due
    assert after[5].dtype == before[5].dtype
    changed = np.abs(after[5].astype(int) - before[5])
    assert changed[::2].max() == 0  # the first field is the film's own
    assert changed[1::2].max() > 0  # the other was made to fit


def test_reading_from_the_middle_deinterlaces_alike(tmp_path: Path) -> None:
    film = describe(make_clip(tmp_path / "in.mkv", Clip(fields="tff", options={"g": "4"})), deinterlace=True)
    frames = list(Reader(film).frames())
    assert len(frames) == 20
    for first in (4, 8, 11):
        found = list(Reader(film, first, frames[first].pts).frames())
        assert [frame.index for frame in found] == list(range(first, 20))
        for mine, theirs in zip(found, frames[first:], strict=True):
            np.testing.assert_array_equal(mine.luma, theirs.luma)


def test_a_frame_that_seeking_does_not_find_is_found_by_counting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    film = describe(make_clip(tmp_path / "in.mkv"))
    frames = list(Reader(film).frames())
    monkeypatch.setattr(Reader, "_seek", lambda self, container, stream, begin: None)
    found = list(Reader(film, 7, frames[7].pts).frames())
    assert [frame.index for frame in found] == list(range(7, 20))
    np.testing.assert_array_equal(found[0].luma, frames[7].luma)


_OPEN = {"x264-params": "open-gop=1:keyint=12:min-keyint=12:scenecut=0:bframes=3"}


@pytest.mark.parametrize(
    ("suffix", "clip", "seeks"),
    [
        (".mp4", Clip(options={"g": "12", "bf": "3"}), True),
        (".mkv", Clip(options={"g": "12", "bf": "3"}), True),
        (".mkv", Clip(options=_OPEN), True),
        (".mp4", Clip(options=_OPEN), True),
        (".mkv", Clip(codec="mpeg2video", options={"g": "12", "bf": "2"}), True),
        (".mkv", Clip(codec="libx265", options={"x265-params": "log-level=error:keyint=12:open-gop=1"}), True),
        (".mkv", Clip(options={"x264-params": "intra-refresh=1:keyint=12"}), True),
        (".mkv", Clip(options={"g": "12"}, fields="tff"), True),
        (".mp4", Clip(times=[2 * n + n * n // 60 for n in range(120)], options={"g": "12"}), True),
        (".ts", Clip(options={"g": "12"}), False),
        (".avi", Clip(codec="mpeg4", options={"g": "12"}), False),
    ],
)
def test_a_part_is_read_from_the_keyframe_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, clip: Clip, seeks: bool
) -> None:
    """It holds the very frames that decoding from the start gives; what is not found for certain is decoded so."""
    times = clip.times if len(clip.times) > 20 else range(120)
    path = make_clip(tmp_path / f"in{suffix}", replace(clip, times=times))
    whole = describe(path, deinterlace=bool(clip.fields))
    assert whole.seconds is not None
    for share in (0.0, 0.31, 0.5, 0.77, 0.97):
        film = cut_out(whole, share * whole.seconds, 2.0)
        reader = Reader(film)
        found = list(reader.frames())
        with monkeypatch.context() as patched:
            patched.setattr(Reader, "_seek", lambda self, container, stream, begin: None)
            linear = Reader(film)
            due = list(linear.frames())
        assert [(frame.index, frame.pts) for frame in found] == [(frame.index, frame.pts) for frame in due]
        assert len(found) > 0
        assert reader.end == linear.end and reader.losses.as_json() == linear.losses.as_json()
        for mine, theirs in zip(found, due, strict=True):
            np.testing.assert_array_equal(mine.luma, theirs.luma)
        if share == 0.77 and seeks:
            assert decoded_for(film, monkeypatch) < 80
        if share == 0.77 and not seeks:
            assert decoded_for(film, monkeypatch) >= 92


def decoded_for(film: Film, monkeypatch: pytest.MonkeyPatch) -> int:
    """Frames that are decoded to get a film's first."""
    count = 0
    right = Reader._as_stored

    def counted(self: Reader, begin: int | None) -> Iterator[Any]:
        nonlocal count
        for frame in right(self, begin):
            count += 1
            yield frame

    with monkeypatch.context() as patched:
        patched.setattr(Reader, "_as_stored", counted)
        next(Reader(film).frames())
    return count


def combing(path: Path) -> float:
    """How far lines stick out from both of their neighbours, in levels."""
    found = []
    for plane in luma_planes(path)[0]:
        luma = plane.astype(int)
        found.append(np.abs(luma[1:-1] - (luma[:-2] + luma[2:]) / 2).mean())
    return float(np.mean(found))


@pytest.mark.parametrize("fields", ["tff", "bff"])
def test_deinterlacing(tmp_path: Path, restore_video: Run, fields: str) -> None:
    source = make_clip(tmp_path / "in.mkv", Clip(codec="ffv1", fields=fields, woven=True))
    still = make_clip(tmp_path / "still.mkv", Clip(codec="ffv1", fields=fields))
    lossless = ("--codec", "ffv1", "--output", tmp_path / "out.mkv", "--overwrite")
    assert restore_video(source, *lossless).code == 0
    assert combing(tmp_path / "out.mkv") == combing(source)
    result = restore_video(source, *lossless, "--deinterlace")
    assert result.code == 0, result.err
    combed, bare = combing(source), combing(still)  # the latter has noise alone
    assert combing(tmp_path / "out.mkv") < bare + 0.1 * (combed - bare)
    (record,) = result.report["files"]
    assert any("fields were made progressive" in note for note in record["notes"])
    assert record["film"]["checked"]["luma_equal"]
    (frames, times), (due, wanted) = luma_planes(tmp_path / "out.mkv"), luma_planes(source)
    assert times == wanted
    first = 0 if fields == "tff" else 1
    for mine, theirs in zip(frames, due, strict=True):
        np.testing.assert_array_equal(mine[first::2], theirs[first::2])


def test_deinterlacing_leaves_progressive_film_alone(tmp_path: Path, restore_video: Run) -> None:
    source = make_clip(tmp_path / "in.mp4")
    result = restore_video(source, "--deinterlace", "--crf", 0, "--output", tmp_path / "out.mp4")
    assert result.code == 0, result.err
    for mine, theirs in zip(luma_planes(tmp_path / "out.mp4")[0], luma_planes(source)[0], strict=True):
        np.testing.assert_array_equal(mine, theirs)
    assert any("nothing was deinterlaced" in note for note in result.report["files"][0]["notes"])
    assert "nothing was deinterlaced" in result.out
