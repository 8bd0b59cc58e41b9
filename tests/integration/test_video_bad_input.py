"""Films that are damaged, odd, or no films: each gets one clear line or the right result, and ends."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from restore.errors import InputError, OutputError, RestoreError, UsageError
from restore.video.reader import plane_array
from tests.clips import Clip, luma_planes, make_clip, packets, picture_file
from tests.conftest import Restore


def refused(restore: Restore, kind: type[RestoreError], source: Path, output: Path, **options: Any) -> str:
    """The one line that a film is refused with. Nothing is left beside it."""
    before = sorted(output.parent.iterdir()) if output.parent.is_dir() else []
    with pytest.raises(kind) as raised:
        restore(source, output, **options)
    line = str(raised.value)
    assert "\n" not in line
    if output.parent.is_dir():
        assert sorted(output.parent.iterdir()) == before
    return line


def _text(path: Path) -> None:
    path.write_text("This is no film.\n" * 100)


def _noise(path: Path) -> None:
    path.write_bytes(np.random.default_rng(1).bytes(50_000))


def _nothing(path: Path) -> None:
    path.write_bytes(b"")


def _picture(path: Path) -> None:
    path.write_bytes(picture_file())


def _png(path: Path) -> None:
    Image.new("L", (64, 48), 90).save(path, "PNG")


def _sound(path: Path, **more: Any) -> None:
    with av.open(str(path), "w") as out:
        stream: Any = out.add_stream("aac", rate=48000)
        frame = av.AudioFrame.from_ndarray(np.zeros((2, 1024), np.float32), format="fltp", layout="stereo")
        frame.sample_rate, frame.pts = 48000, 0
        out.mux(stream.encode(frame))
        out.mux(stream.encode(None))


def _sound_with_cover(path: Path) -> None:
    made = make_clip(path.with_name("film.mp4"), Clip(sound=("aac",), cover=True))
    with av.open(str(made)) as source, av.open(str(path), "w", format="mp4") as out:
        wanted = [source.streams[1], source.streams[2]]
        copies = {stream.index: out.add_stream_from_template(stream, opaque=True) for stream in wanted}
        copies[2].disposition = av.stream.Disposition.attached_pic
        for packet in source.demux(wanted):
            if packet.size:
                packet.stream = copies[packet.stream_index]
                out.mux(packet)
    made.unlink()


def _header_cut_off(path: Path) -> None:
    make_clip(path, form="mp4")
    path.write_bytes(path.read_bytes()[:-600])


@pytest.mark.parametrize(
    ("name", "make", "said"),
    [
        ("text.txt", _text, "text, not a film"),
        ("text.mp4", _text, "not a film"),
        ("noise.mp4", _noise, "not a film that can be read"),
        ("empty.mp4", _nothing, "is empty"),
        ("photo.jpg", _picture, "restore photos"),
        ("photo.mp4", _png, "restore photos"),
        ("sound.m4a", _sound, "no video stream"),
        ("cover.m4a", _sound_with_cover, "no video stream"),
        ("cut.mp4", _header_cut_off, "cut off"),
    ],
)
def test_what_is_no_film_is_refused_by_name(
    restore: Restore, tmp_path: Path, name: str, make: Callable[[Path], None], said: str
) -> None:
    path = tmp_path / name
    make(path)
    line = refused(restore, InputError, path, tmp_path / "out.mkv")
    assert str(path) in line
    assert said in line


def test_what_is_not_there_or_a_folder(restore: Restore, tmp_path: Path) -> None:
    assert "does not exist" in refused(restore, InputError, tmp_path / "none.mp4", tmp_path / "out.mkv")
    (tmp_path / "reel").mkdir()
    assert "folder" in refused(restore, InputError, tmp_path / "reel", tmp_path / "out.mkv")


@pytest.mark.parametrize(("transfer", "name"), [(16, "PQ"), (18, "HLG")])
def test_hdr_is_refused(restore: Restore, tmp_path: Path, transfer: int, name: str) -> None:
    clip = Clip(codec="libx265", pixel_format="yuv420p10le", tags=(9, transfer, 9, 1))
    source = make_clip(tmp_path / "in.mp4", replace(clip, options={"x265-params": "log-level=error"}))
    line = refused(restore, InputError, source, tmp_path / "out.mp4")
    assert name in line
    assert "SDR" in line


def test_one_frame(restore: Restore, tmp_path: Path) -> None:
    for suffix in (".mp4", ".mkv"):
        source = make_clip(tmp_path / f"in{suffix}", Clip(times=(0,)))
        made = restore(source, tmp_path / f"out{suffix}", crf=0)
        assert made.frames == 1
        np.testing.assert_array_equal(luma_planes(made.output)[0], luma_planes(source)[0])


def test_a_cut_off_mp4_gives_what_there_is_and_counts_the_rest(restore: Restore, tmp_path: Path) -> None:
    clip = Clip(times=range(100), options={"g": "10", "bf": "0"}, muxer={"movflags": "faststart"})
    source = make_clip(tmp_path / "in.mp4", clip)
    source.write_bytes(source.read_bytes()[: source.stat().st_size * 2 // 3])
    made = restore(source, tmp_path / "out.mp4", crf=0)
    there = luma_planes(tmp_path / "out.mp4")[0]
    assert 30 < made.frames < 90
    assert len(there) == made.frames
    assert abs(made.losses["missing"] - (100 - made.frames)) <= 2
    np.testing.assert_array_equal(there[3], luma_planes_until_damage(source)[3])


def luma_planes_until_damage(path: Path, *, times: bool = False) -> list[Any]:
    """Of each frame that can be decoded, luma, or its time."""
    found: list[Any] = []
    with av.open(str(path)) as container:
        for packet in container.demux(video=0):
            try:
                frames = packet.decode()
            except av.error.FFmpegError:
                continue
            for frame in frames:
                found.append(frame.pts * frame.time_base if times else plane_array(frame, 0).copy())
    return found


def test_a_cut_off_matroska_counts_what_is_missing(restore: Restore, tmp_path: Path) -> None:
    source = make_clip(tmp_path / "in.mkv", Clip(times=range(100), options={"g": "10"}, sound=("aac",)))
    source.write_bytes(source.read_bytes()[: source.stat().st_size // 2])
    made = restore(source, tmp_path / "out.mkv")
    assert 20 < made.frames < 90
    assert made.losses["missing"] > 5


def test_damage_in_the_middle_is_counted_and_passed(restore: Restore, tmp_path: Path) -> None:
    source = make_clip(tmp_path / "in.mkv", Clip(codec="mpeg4", times=range(100), options={"g": "10"}, sound=("aac",)))
    content = bytearray(source.read_bytes())
    noise = np.random.default_rng(3).bytes(2000)
    middle = len(content) // 2
    content[middle : middle + len(noise)] = noise
    source.write_bytes(content)
    made = restore(source, tmp_path / "out.mkv")
    assert 80 <= made.frames <= 100
    times = luma_planes(tmp_path / "out.mkv")[1]
    assert times == sorted(times)
    assert float(times[-1]) == pytest.approx(3.96, abs=0.05)  # the end is there
    assert made.frames + made.losses["missing"] == 100


def test_packets_that_can_not_be_decoded_are_counted(restore: Restore, tmp_path: Path) -> None:
    source = make_clip(tmp_path / "in.mp4", Clip(times=range(30), options={"bf": "0", "g": "5"}))
    with av.open(str(source)) as container:
        places = [(packet.pos or 0, packet.size) for packet in container.demux(video=0) if packet.size]
    content = bytearray(source.read_bytes())
    for number in (10, 11, 20):
        begin, size = places[number]
        content[begin : begin + size] = bytes(size)
    source.write_bytes(content)
    made = restore(source, tmp_path / "out.mkv")
    there = luma_planes_until_damage(source, times=True)  # and what depends on those packets is gone as well
    assert 20 <= len(there) <= 27
    assert luma_planes(tmp_path / "out.mkv")[1] == there
    assert made.losses["packets"] == 3
    assert made.losses["missing"] == 30 - len(there)
    assert made.losses["first_error"]


def test_a_film_that_changes_its_size_is_told_where(restore: Restore, tmp_path: Path) -> None:
    small = make_clip(tmp_path / "a.ts", Clip(times=range(20)))
    large = make_clip(tmp_path / "b.ts", Clip(times=range(20, 40), columns=96))
    source = tmp_path / "in.ts"
    source.write_bytes(small.read_bytes() + large.read_bytes())
    with pytest.raises(InputError) as raised:
        restore(source, tmp_path / "out.mp4")
    assert "64×48 to 96×48" in str(raised.value)
    assert "Split it" in str(raised.value)
    assert not (tmp_path / "out.mp4").exists()


def test_joined_transport_streams_whose_clock_begins_anew(restore: Restore, tmp_path: Path) -> None:
    part = make_clip(tmp_path / "a.ts", Clip(times=range(100, 150), sound=("aac",)))
    source = tmp_path / "in.ts"
    source.write_bytes(part.read_bytes() * 2)
    made = restore(source, tmp_path / "out.mp4")
    assert made.frames == 100
    assert made.losses["timestamps"] >= 1
    times = luma_planes(tmp_path / "out.mp4")[1]
    assert times == sorted(set(times))
    assert float(times[-1] - times[0]) == pytest.approx(99 / 25, abs=0.1)
    assert len(packets(tmp_path / "out.mp4", 1)[0]) == len(packets(source, 1)[0])


@pytest.mark.parametrize("codec", ["ffv1", "qtrle"])
def test_alpha_is_left_out_and_told(restore: Restore, tmp_path: Path, codec: str) -> None:
    source = tmp_path / "in.mov" if codec == "qtrle" else tmp_path / "in.mkv"
    make_clip(source, Clip(codec=codec, pixel_format="argb" if codec == "qtrle" else "yuva420p"))
    made = restore(source, tmp_path / "out.mkv", crf=0)
    assert "alpha" in " ".join(made.notes) or "converted" in " ".join(made.notes)
    assert made.frames == 20


def test_outputs_that_can_not_be(restore: Restore, tmp_path: Path) -> None:
    source = make_clip(tmp_path / "in.mp4")
    content = source.read_bytes()
    assert "the film itself" in refused(restore, OutputError, source, source)
    (tmp_path / "link.mp4").symlink_to(source)
    assert "the film itself" in refused(restore, OutputError, source, tmp_path / "link.mp4", overwrite=True)
    (tmp_path / "there.mp4").write_bytes(b"precious")
    assert "there already" in refused(restore, OutputError, source, tmp_path / "there.mp4")
    assert (tmp_path / "there.mp4").read_bytes() == b"precious"
    assert "is a file" in refused(restore, OutputError, source, tmp_path / "there.mp4" / "out.mp4")
    assert "no container" in refused(restore, OutputError, source, tmp_path / "out.xyz")
    (tmp_path / "folder.mp4").mkdir()
    assert "is a folder" in refused(restore, OutputError, source, tmp_path / "folder.mp4")
    assert source.read_bytes() == content


def test_a_place_without_permission(restore: Restore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = make_clip(tmp_path / "in.mp4")
    monkeypatch.setattr("os.access", lambda *_: False)  # tests run as root, who may do anything
    assert "can't be written to" in refused(restore, OutputError, source, tmp_path / "out.mp4")


def test_codecs_and_settings_that_can_not_be(restore: Restore, tmp_path: Path) -> None:
    source = make_clip(tmp_path / "in.mp4", Clip(pixel_format="yuv420p10le"))
    out = tmp_path / "out.mkv"
    assert "not an encoder" in refused(restore, UsageError, source, out, codec="nonsense")
    assert "--preset" in refused(restore, UsageError, source, out, preset="nonsense")
    assert "10 bits" in refused(restore, OutputError, source, out, codec="mpeg4")
    odd = make_clip(tmp_path / "odd.mkv", Clip(codec="ffv1", columns=61, rows=47))
    assert "61×47" in refused(restore, OutputError, odd, out, codec="libsvtav1")


def test_avi_without_timestamps(restore: Restore, tmp_path: Path) -> None:
    source = make_clip(tmp_path / "in.avi", Clip(codec="mpeg4", sound=("libmp3lame",)))
    for suffix in (".mkv", ".mp4"):
        made = restore(source, tmp_path / f"out{suffix}", crf=0)
        assert made.frames == 20
        assert luma_planes(made.output)[1] == luma_planes(source)[1]
        assert packets(made.output, 1)[1] == packets(source, 1)[1]


def test_avi_with_frames_out_of_order(restore: Restore, tmp_path: Path) -> None:
    source = make_clip(tmp_path / "in.avi", Clip(options={"bf": "2"}))
    made = restore(source, tmp_path / "out.mkv", crf=0)
    planes, times = luma_planes(tmp_path / "out.mkv")
    assert [float(time - times[0]) for time in times] == pytest.approx([n / 25 for n in range(20)], abs=1e-3)
    for mine, due in zip(planes, luma_planes(source)[0], strict=True):
        np.testing.assert_array_equal(mine, due)
    assert not made.losses["timestamps"]


def test_sound_that_begins_before_the_picture(restore: Restore, tmp_path: Path) -> None:
    source = make_clip(tmp_path / "in.mp4", Clip(sound=("aac",)))  # the encoder's 1024 samples of run-up
    assert packets(source, 1)[0][0] == Fraction(-1024, 48000)
    made = restore(source, tmp_path / "out.mkv")
    picture, sound = luma_planes(made.output)[1], packets(made.output, 1)[0]
    # FFmpeg 8 moves all of it behind zero; later ones keep the run-up as Matroska's delay of the codec.
    assert float(picture[0]) == float(made.proof.shift)
    assert float(made.proof.shift) in (0, pytest.approx(0.021, abs=1e-3))
    assert float(picture[0] - sound[0]) == pytest.approx(1024 / 48000, abs=1e-3)


def test_a_source_that_goes_away_is_told(restore: Restore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = make_clip(tmp_path / "in.mp4")
    monkeypatch.setattr(
        "restore.video.pipeline.assemble", lambda *_: shutil.move(source, tmp_path / "away.mp4") and None
    )
    with pytest.raises(RestoreError, match=r"in\.mp4"):
        restore(source, tmp_path / "out.mp4")
