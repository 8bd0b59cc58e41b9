"""Luma comes out bit for bit, at every depth and in every form that films have, and its colour tags are true."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from restore.errors import CheckError
from restore.video import pipeline
from restore.video.check import check_luma
from restore.video.film import describe
from restore.video.reader import Reader, plane_array
from tests.clips import Clip, described, luma_planes, make_clip
from tests.conftest import Restore

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


def test_luma_that_differs_is_found(tmp_path: Path) -> None:
    film = describe(make_clip(tmp_path / "in.mkv", Clip(codec="ffv1")))
    check_luma(tmp_path / "in.mkv", film, 0)
    with pytest.raises(CheckError, match="luma in frame"):
        check_luma(make_clip(tmp_path / "out.mkv", Clip(options={"crf": "40"})), film, 0)
