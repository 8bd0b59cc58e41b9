"""Everything beside the picture comes out as it went in, or what can't is named before work begins."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from restore.errors import CheckError, InputError, OutputError, RestoreError
from restore.video import pipeline
from restore.video.check import check
from restore.video.film import describe
from restore.video.reader import Reader
from tests.clips import Clip, described, luma_planes, make_clip, packets, picture_file
from tests.conftest import Restore


def assert_copied(source: Path, result: Path, indexes: Iterable[int], moved: Fraction = Fraction(0)) -> None:
    """The packets of these streams are the same, at the same times within a millisecond."""
    for index in indexes:
        (before, content), (after, same) = packets(source, index), packets(result, index)
        assert before, f"stream {index} of the clip is empty"
        assert content == same, f"stream {index}"
        assert [round((time + moved) * 1000) for time in before] == pytest.approx(
            [round(time * 1000) for time in after], abs=1
        )


def test_matroska_film_keeps_everything(restore: Restore, tmp_path: Path) -> None:
    source, result = tmp_path / "in.mkv", tmp_path / "out.mkv"
    clip = Clip(
        sound=("aac", "libopus", "flac"),
        subtitles="subrip",
        second_picture=True,
        chapters=("Erstes", "Zweites"),
        attachments={"font.ttf": b"true type" * 50},
        shape=Fraction(4, 3),
        turn=90,
        metadata={"title": "Ein Film", "FOO": "bar"},
        muxer={"default_mode": "passthrough"},
    )
    make_clip(source, clip)
    proof = restore(source, result).proof
    assert described(result) == described(source)
    assert described(result)["rotation"] == 90
    assert described(result)["shape"] == Fraction(4, 3)
    assert_copied(source, result, range(1, 6))
    assert proof.streams == 7
    with av.open(str(result)) as made:
        assert made.streams.attachments[0].data == b"true type" * 50
        assert made.metadata["FOO"] == "bar"
        assert made.streams[5].disposition == av.stream.Disposition.forced


def test_mp4_film_keeps_everything(restore: Restore, tmp_path: Path) -> None:
    source, result = tmp_path / "in.mp4", tmp_path / "out.mp4"
    clip = Clip(
        sound=("aac", "ac3"),
        second_picture=True,
        chapters=("One", "Two"),
        cover=True,
        shape=Fraction(16, 15),
        turn=180,
        metadata={"title": "A film", "comment": "Reel 3"},
    )
    make_clip(source, clip)
    made = restore(source, result)
    assert described(result) == described(source)
    assert described(result)["rotation"] in (180, -180)
    assert_copied(source, result, (1, 2, 3, 5))
    assert made.notes == ()
    with av.open(str(source)) as before, av.open(str(result)) as after:
        assert after.metadata["comment"] == "Reel 3"
        assert after.streams.video[0].duration == before.streams.video[0].duration


def test_tags_that_mp4_has_no_place_for_are_kept_in_quicktimes_form(restore: Restore, tmp_path: Path) -> None:
    clip = Clip(metadata={"title": "A film", "archive_number": "A-17"})
    source = make_clip(tmp_path / "in.mkv", clip)
    restore(source, tmp_path / "out.mp4")
    with av.open(str(tmp_path / "out.mp4")) as made:
        found = {key.lower(): value for key, value in made.metadata.items()}
        assert found["archive_number"] == "A-17"
        assert found["title"] == "A film"


def test_tags_of_the_old_file_are_not_carried_as_lies(restore: Restore, tmp_path: Path) -> None:
    source = make_clip(tmp_path / "in.mp4", Clip(sound=("aac",)))
    restore(source, tmp_path / "out.mkv")
    with av.open(str(tmp_path / "out.mkv")) as made:
        assert not {"MAJOR_BRAND", "MINOR_VERSION", "COMPATIBLE_BRANDS"} & {key.upper() for key in made.metadata}
        assert "HANDLER_NAME" not in {key.upper() for key in made.streams[0].metadata}
    longer = make_clip(tmp_path / "long.mkv", Clip(times=range(50)))
    with av.open(str(longer)) as container:
        assert "DURATION" in container.streams[0].metadata
    restore(longer, tmp_path / "long.mp4")
    with av.open(str(tmp_path / "long.mp4")) as made:
        assert "DURATION" not in {key.upper() for key in made.streams[0].metadata}


@pytest.mark.parametrize("suffix", [".mov", ".mp4", ".mkv"])
def test_timecode_is_kept(restore: Restore, tmp_path: Path, suffix: str) -> None:
    source = make_clip(tmp_path / "in.mov", Clip(metadata={"timecode": "01:02:03:04"}, sound=("aac",)))
    restore(source, tmp_path / f"out{suffix}")
    with av.open(str(source)) as before, av.open(str(tmp_path / f"out{suffix}")) as after:
        tags = {key.lower(): value for key, value in after.streams[0].metadata.items()}
        assert tags["timecode"] == "01:02:03:04"
        if suffix == ".mov":
            assert [stream.type for stream in after.streams] == [stream.type for stream in before.streams]


def test_cover_becomes_an_attachment_in_matroska(restore: Restore, tmp_path: Path) -> None:
    source, result = tmp_path / "in.mp4", tmp_path / "out.mkv"
    make_clip(source, Clip(cover=True, sound=("aac",)))
    with av.open(str(source)) as container:
        index = next(s.index for s in container.streams.video if s.codec_context.name == "mjpeg")
    restore(source, result)
    with av.open(str(result)) as made:
        cover = made.streams[-1]
        assert cover.disposition == av.stream.Disposition.attached_pic
        assert packets(source, index)[1] == packets(result, cover.index)[1]
    restore(result, tmp_path / "back.mkv")
    restore(result, tmp_path / "back.mp4")
    for name in ("back.mkv", "back.mp4"):
        with av.open(str(tmp_path / name)) as made:
            assert made.streams[-1].disposition == av.stream.Disposition.attached_pic
            assert packets(source, index)[1] == packets(tmp_path / name, made.streams[-1].index)[1]


def test_twelve_sound_tracks(restore: Restore, tmp_path: Path) -> None:
    source, result = tmp_path / "in.mp4", tmp_path / "out.mp4"
    make_clip(source, Clip(sound=("aac",) * 12))
    restore(source, result)
    assert_copied(source, result, range(1, 13))
    assert described(result)["languages"] == described(source)["languages"]


@pytest.mark.parametrize(
    ("clip", "suffix", "options", "named", "better"),
    [
        (Clip(subtitles="subrip"), ".mp4", {}, "subtitle stream 1", ".mkv"),
        (Clip(attachments={"f.ttf": b"x" * 50}), ".mp4", {}, "f.ttf", ".mkv"),
        (Clip(sound=("libopus", "aac")), ".webm", {}, "audio stream 2 (aac)", ".mkv"),
        (Clip(), ".webm", {"codec": "libx264"}, "webm", ".mkv"),
        (Clip(shape=Fraction(4, 3)), ".mkv", {"codec": "ffv1"}, "pixel shape of 4/3", ".mp4"),
    ],
)
def test_what_the_container_can_not_hold_is_named_before_work(
    restore: Restore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    clip: Clip,
    suffix: str,
    options: dict[str, Any],
    named: str,
    better: str,
) -> None:
    source = make_clip(tmp_path / "in.mkv", clip)
    monkeypatch.setattr(pipeline, "encode_segment", lambda *_: pytest.fail("work began"))
    with pytest.raises(OutputError) as raised:
        restore(source, tmp_path / f"out{suffix}", **options)
    assert named in raised.value.message
    assert better in raised.value.hint
    assert str(source) in raised.value.message
    assert "\n" not in str(raised.value)
    assert [path.name for path in tmp_path.iterdir()] == ["in.mkv"]


def test_the_check_finds_what_is_not_as_it_was(tmp_path: Path) -> None:
    clip = Clip(sound=("aac",), shape=Fraction(4, 3))
    film = describe(make_clip(tmp_path / "in.mkv", clip))
    frames = list(Reader(film).frames())
    pts, end = [frame.pts for frame in frames], frames[-1].pts + 40
    assert check(tmp_path / "in.mkv", film, pts, end).frames == 20

    def wrong(changed: Clip, word: str) -> None:
        with pytest.raises(CheckError, match=word):
            check(make_clip(tmp_path / "out.mkv", changed), film, pts, end)

    wrong(replace(clip, sound=()), "streams video")
    wrong(replace(clip, sound=("aac", "aac")), "streams video, audio, audio")
    wrong(replace(clip, languages=("eng",), sound=("flac",)), "packets of stream 1")
    wrong(replace(clip, times=range(19)), "19 frames")
    wrong(replace(clip, times=[*range(19), 20]), "frame 19")
    wrong(replace(clip, times=range(3, 23)), "first frame")
    wrong(replace(clip, shape=None), "pixel shape")
    wrong(replace(clip, turn=90), "rotation")


def test_cover_in_a_result_is_compared(restore: Restore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = make_clip(tmp_path / "in.mp4", Clip(cover=True))
    monkeypatch.setattr("restore.video.streams.cover_bytes", lambda path, index: picture_file(16))
    with pytest.raises(RestoreError, match="other content"):
        restore(source, tmp_path / "out.mkv")


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
@pytest.mark.parametrize("begin", [0, 36_000 * 25])
def test_a_part_of_a_film(restore: Restore, tmp_path: Path, suffix: str, begin: int) -> None:
    clip = Clip(
        times=range(begin, begin + 50), sound=("aac",), chapters=("a", "b", "c", "d", "e", "f") if not begin else ()
    )
    source, result = make_clip(tmp_path / "in.mkv", clip), tmp_path / f"out{suffix}"
    made = restore(source, result, start=0.5, duration=0.4, crf=0)
    assert made.proof.luma
    (before, due), (after, times) = luma_planes(source), luma_planes(result)
    wanted = [place for place, time in enumerate(due) if Fraction(1, 2) <= time - due[0] < Fraction(9, 10)]
    assert len(after) == len(wanted) == 10
    for mine, place in zip(after, wanted, strict=True):
        np.testing.assert_array_equal(mine, before[place])
    zero = Fraction(begin, 25) + Fraction(1, 2)
    assert [float(time) for time in times] == pytest.approx([float(due[n] - zero) for n in wanted], abs=1e-3)
    sound, same = packets(source, 1)[0], packets(result, 1)[0]
    kept = [time - zero for time in sound if 0 <= time - zero < Fraction(4, 10)]
    assert [float(time) for time in same] == pytest.approx([float(time) for time in kept], abs=1.1e-3)
    if not begin:
        assert [c[0] for c in described(result)["chapters"]] == ["c", "d", "e"]
        assert [c[1] for c in described(result)["chapters"]] == [0, 100, 300]


def test_a_part_behind_the_end_is_refused(restore: Restore, tmp_path: Path) -> None:
    source = make_clip(tmp_path / "in.mkv")
    with pytest.raises(InputError, match=r"only 0\.8 s long"):
        restore(source, tmp_path / "out.mkv", start=3)
