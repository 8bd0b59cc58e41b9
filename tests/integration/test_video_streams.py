"""Everything of a film but its chroma comes out as it went in: luma, times, other streams, and how it is shown."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from restore.errors import CheckError, InputError, OutputError, RestoreError
from restore.options import EngineOptions, VideoOptions
from restore.video import pipeline
from restore.video.check import check, check_luma
from restore.video.film import describe
from restore.video.pipeline import FilmResult, restore_film
from restore.video.reader import Reader, Timeline, plane_array
from tests.clips import Clip, luma_planes, make_clip, packets, picture_file

Restore = Callable[..., FilmResult]


@pytest.fixture
def restore(tiny_model: Path) -> Restore:
    def run(source: Path, output: Path, **options: Any) -> FilmResult:
        result = restore_film(
            source, output, VideoOptions(**options), EngineOptions(model=str(tiny_model), device="cpu")
        )
        assert result is not None
        return result

    return run


def assert_copied(source: Path, result: Path, indexes: Iterable[int], moved: Fraction = Fraction(0)) -> None:
    """The packets of these streams are the same, at the same times within a millisecond."""
    for index in indexes:
        (before, content), (after, same) = packets(source, index), packets(result, index)
        assert before, f"stream {index} of the clip is empty"
        assert content == same, f"stream {index}"
        assert [round((time + moved) * 1000) for time in before] == pytest.approx(
            [round(time * 1000) for time in after], abs=1
        )


def described(path: Path) -> dict[str, Any]:
    """What a player is told."""
    with av.open(str(path)) as container:
        video = container.streams.video[0]
        frame = next(container.decode(video))
        streams = [stream for stream in container.streams if stream.type != "data"]
        return {
            "kinds": [stream.type for stream in streams],
            "languages": [stream.metadata.get("language", "und") for stream in streams],
            "titles": [stream.metadata.get("title", stream.metadata.get("name")) for stream in streams],
            "dispositions": [stream.disposition for stream in streams],
            "chapters": [
                (c["metadata"]["title"], round(1000 * c["start"] * (c["time_base"] or 1))) for c in container.chapters()
            ],
            "shape": video.sample_aspect_ratio,
            "rotation": frame.rotation,
            "title": container.metadata.get("title"),
            "size": (frame.width, frame.height),
            "start": video.start_time * video.time_base if video.start_time and video.time_base else 0,
        }


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


LOSSLESS = [
    ("yuv420p", "ffv1"),
    ("gray", "ffv1"),
    ("gray10le", "ffv1"),
    ("yuv420p10le", "ffv1"),
    ("yuv422p", "ffv1"),
    ("yuv444p12le", "ffv1"),
    ("yuv420p", "libx264"),
    ("gray", "libx264"),
    ("gray10le", "libx264"),
    ("yuv422p10le", "libx264"),
    ("yuv444p", "libx264"),
    ("yuv420p", "libx265"),
    ("yuv420p10le", "libx265"),
    ("yuv420p", "libvpx-vp9"),
]


@pytest.mark.parametrize(("pixel_format", "codec"), LOSSLESS)
def test_lossless_codecs_give_the_luma_back_bit_for_bit(
    restore: Restore, tmp_path: Path, pixel_format: str, codec: str
) -> None:
    source, result = tmp_path / "in.mkv", tmp_path / "out.mkv"
    make_clip(source, Clip(codec="ffv1", pixel_format=pixel_format))
    made = restore(source, result, codec=codec, crf=None if codec == "ffv1" else 0)
    assert made.codec.lossless
    assert made.proof.luma
    (before, due), (after, times) = luma_planes(source), luma_planes(result)
    assert len(after) == 20
    assert times == due
    for mine, theirs in zip(after, before, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    with av.open(str(result)) as container:  # and it has colour
        chroma = next(container.decode(video=0)).reformat(format="yuv444p").to_ndarray()[1:]
        assert chroma.std() > 1


@pytest.mark.parametrize(("suffix", "codec"), [(".mkv", None), (".webm", None), (".mkv", "ffv1"), (".mp4", "libx265")])
def test_odd_sizes(restore: Restore, tmp_path: Path, suffix: str, codec: str | None) -> None:
    source, result = tmp_path / "in.mkv", tmp_path / f"out{suffix}"
    make_clip(source, Clip(codec="ffv1", columns=61, rows=47))
    restore(source, result, codec=codec, crf=None if codec == "ffv1" else 0)
    assert described(result)["size"] == (61, 47)
    for mine, theirs in zip(luma_planes(result)[0], luma_planes(source)[0], strict=True):
        np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize(
    ("pixel_format", "expected"),
    [
        ("yuyv422", "yuv422p"),
        ("nv12", "yuv420p"),
        ("yuv410p", "yuv420p"),
        ("yuv411p", "yuv420p"),
        ("yuv440p", "yuv420p"),
        ("gray10be", "yuv420p10le"),
        ("ya8", "yuv420p"),
        ("yuva420p", "yuv420p"),
        ("rgb24", "yuv444p"),
    ],
)
def test_other_pixel_formats_keep_their_luma(
    restore: Restore, tmp_path: Path, pixel_format: str, expected: str
) -> None:
    source, result = tmp_path / "in.nut", tmp_path / "out.mkv"
    clip = Clip(codec="rawvideo", pixel_format=pixel_format, times=range(4))
    make_clip(source, clip)
    made = restore(source, result, codec="ffv1")
    assert made.codec.pixel_format == expected
    if pixel_format in ("ya8", "yuva420p"):
        assert "alpha" in " ".join(made.notes)
    for number, plane in enumerate(luma_planes(result)[0]):
        np.testing.assert_array_equal(plane, _luma_of(source, number))


def _luma_of(source: Path, number: int) -> Any:
    """Luma as the raw bytes of the film's packets say."""
    with av.open(str(source)) as container:
        raw = [bytes(packet) for packet in container.demux(video=0) if packet.size][number]
        kind = container.streams.video[0].codec_context.pix_fmt
        size = (48, 64)
    data = np.frombuffer(raw, np.uint8)
    if kind == "yuyv422":
        return data.reshape(48, 128)[:, ::2]
    if kind == "ya8":
        return data.reshape(48, 128)[:, ::2]
    if kind == "rgb24":
        return data.reshape(48, 64, 3)[..., 0]
    if kind == "gray10be":
        return data.view(">u2").reshape(size)
    return data[: 48 * 64].reshape(size)


def test_luma_in_the_upper_bits_of_sixteen_is_moved_down_exactly(tmp_path: Path) -> None:
    film = describe(make_clip(tmp_path / "in.mkv", Clip(pixel_format="yuv420p10le")))
    film = replace(film, pixel_format="p010le")
    frame = av.VideoFrame(64, 48, "p010le")
    due = np.arange(64 * 48).reshape(48, 64) % 1024
    plane_array(frame, 0)[:] = due << 6
    np.frombuffer(frame.planes[1], np.uint16)[:] = 512 << 6
    found = Reader(film)._frame(frame, 0, 0)
    np.testing.assert_array_equal(found.luma, due)
    assert found.chroma is not None
    assert abs(found.chroma[0].astype(int) - 512).max() <= 1


def test_codecs_that_know_only_ten_bits_get_luma_moved_by_two(
    restore: Restore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make_clip(tmp_path / "in.mp4")
    handed = _spy(monkeypatch)
    made = restore(source, tmp_path / "out.mov", codec="prores_ks")
    assert "2 bits" in " ".join(made.notes)
    for mine, theirs in zip(handed, luma_planes(source)[0], strict=True):
        np.testing.assert_array_equal(mine, theirs.astype(np.uint16) * 4)
    again = restore(source, tmp_path / "out.mkv", codec="ffv1", pix_fmt="yuv420p10le")
    assert again.codec.shift == 2
    for mine, theirs in zip(luma_planes(tmp_path / "out.mkv")[0], luma_planes(source)[0], strict=True):
        np.testing.assert_array_equal(mine, theirs.astype(np.uint16) * 4)


@pytest.mark.parametrize("codec", ["libx264", "libx265", "libvpx-vp9", "mpeg4"])
def test_lossy_codecs_are_handed_the_luma_as_it_is(
    restore: Restore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, codec: str
) -> None:
    source = make_clip(tmp_path / "in.mp4")
    handed = _spy(monkeypatch)
    restore(source, tmp_path / "out.mkv", codec=codec)
    for mine, theirs in zip(handed, luma_planes(source)[0], strict=True):
        np.testing.assert_array_equal(mine, theirs)


def _spy(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The luma planes that come to the encoder."""
    handed: list[Any] = []
    encode = pipeline.encode_segment

    def watched(path: Path, frames: Iterator[Any], *rest: Any) -> list[int]:
        def each() -> Iterator[Any]:
            for frame in frames:
                handed.append(frame.planes[0].copy())
                yield frame

        return encode(path, each(), *rest)

    monkeypatch.setattr(pipeline, "encode_segment", watched)
    return handed


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
    monkeypatch.setattr(Reader, "_seek", lambda self, container, stream, pts: False)
    found = list(Reader(film, 7, frames[7].pts).frames())
    assert [frame.index for frame in found] == list(range(7, 20))
    np.testing.assert_array_equal(found[0].luma, frames[7].luma)


@pytest.mark.parametrize(
    ("codec", "suffix"), [("libx264", ".mp4"), ("libx264", ".mkv"), ("ffv1", ".mkv"), ("libvpx-vp9", ".webm")]
)
@pytest.mark.parametrize("tags", [(5, 6, 5, 2), (1, 1, 1, 1), (6, 6, 6, 1)])
def test_colour_tags_and_range_are_true(
    restore: Restore, tmp_path: Path, codec: str, suffix: str, tags: tuple[int, int, int, int]
) -> None:
    source = make_clip(tmp_path / "in.mp4", Clip(tags=tags))
    restore(source, tmp_path / f"out{suffix}", codec=codec)
    told = describe(tmp_path / f"out{suffix}").tags
    assert (told.matrix, told.range) == tags[2:]
    assert (told.primaries, told.transfer) == tags[:2]


def test_grey_film_that_names_no_matrix_gets_one(restore: Restore, tmp_path: Path) -> None:
    source = make_clip(tmp_path / "in.mkv", Clip(pixel_format="gray"))
    restore(source, tmp_path / "out.mp4")
    with av.open(str(tmp_path / "out.mp4")) as made:
        context = made.streams.video[0].codec_context
        assert context.pix_fmt == "yuv420p"
        assert context.colorspace in (5, 6)


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


def test_luma_that_differs_is_found(tmp_path: Path) -> None:
    film = describe(make_clip(tmp_path / "in.mkv", Clip(codec="ffv1")))
    check_luma(tmp_path / "in.mkv", film, 0)
    with pytest.raises(CheckError, match="luma in frame"):
        check_luma(make_clip(tmp_path / "out.mkv", Clip(options={"crf": "40"})), film, 0)
