"""What a film is, read from its header: its picture's form, its timing, and everything beside the picture."""

from __future__ import annotations

import contextlib
import re
import struct
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

import av
import av.container
import av.error
import av.stream
import av.video.frame
import av.video.stream

from restore.era import era_of_film
from restore.errors import InputError
from restore.matrix import BT601, BT709, BT2020, Matrix
from restore.merge import YuvForm
from restore.options import Era
from restore.video.pyav import fraction, open_input

# ITU-T H.273 codes, as FFmpeg numbers them.
_UNSPECIFIED = 2
_MATRICES: dict[int, Matrix] = {1: BT709, 5: BT601, 6: BT601, 9: BT2020, 10: BT2020}
_HDR_TRANSFERS = {16: "PQ (SMPTE ST 2084)", 18: "HLG (ARIB STD-B67)"}
_FULL_RANGE = 2
_HD_HEIGHT = 720
# AVFieldOrder.
_PROGRESSIVE, _TOP_FIRST, _BOTTOM_FIRST = 1, 2, (3, 4)
# Demuxers of FFmpeg that accept files which are no films.
_PICTURE_FORMATS, _TEXT_FORMATS = ("image2",), ("tty",)
_PEEK_PACKETS = 200
_DURATION_TAG = re.compile(r"(\d+):(\d+):(\d+(?:\.\d+)?)")


@dataclass(frozen=True)
class ColorTags:
    """How the output's colour is to be read, as numbers of ITU-T H.273 (`range`: 1 limited, 2 full)."""

    primaries: int
    transfer: int
    matrix: int
    range: int


@dataclass(frozen=True)
class Film:
    """A film's picture.

    Args:
        pixel_format: as decoded, before it is brought to `planar`.
        planar: the planar Y, Cb, Cr format that frames are handed on in; grey becomes 4:2:0 of the same depth.
        form: how its planes are stored.
        time_base: seconds a unit of pts.
        rate: frames a second as the header says.
        frames: how many there are by the header, or an estimate; None where neither can be told.
        seconds: length by the header, None where it does not say.
        stream: index of the video stream in the container.
        starts, ends: seconds at which its picture starts and ends by the header; None where the header does not say.
        constant: its frames are of even length, by the header.
        by_decoding: its container says when frames are decoded, and not when they are shown: AVI.
        field_order: of its frames as FFmpeg numbers them; 0 and 1 are progressive.
        display_matrix: how players rotate it, nine numbers as FFmpeg stores them; None for no rotation.
        deinterlace: its frames are to be made progressive when they are read.
        begin, stop: units of `time_base` between which it is taken; None is all of it.
        era: that its container tells of.
        notes: what the user should know.
    """

    path: Path
    width: int
    height: int
    pixel_format: str
    planar: str
    form: YuvForm
    tags: ColorTags
    time_base: Fraction
    rate: Fraction
    frames: int | None
    seconds: float | None
    stream: int
    sample_aspect_ratio: Fraction
    starts: Fraction | None = None
    ends: Fraction | None = None
    constant: bool = False
    by_decoding: bool = False
    field_order: int = 0
    display_matrix: tuple[int, ...] | None = None
    deinterlace: bool = False
    begin: int | None = None
    stop: int | None = None
    era: Era = "period"
    notes: tuple[str, ...] = ()

    @property
    def grey(self) -> bool:
        """Whether its frames have luma only, or luma and an alpha channel."""
        pixel = av.VideoFormat(self.pixel_format)
        return len(pixel.components) < 3 and not pixel.is_rgb and not pixel.has_palette

    @property
    def interlaced(self) -> bool:
        """Whether its frames, as they are read, consist of two fields."""
        return self.field_order > _PROGRESSIVE and not self.deinterlace

    @property
    def bottom_first(self) -> bool:
        """Whether the lower field is shown first."""
        return self.field_order in _BOTTOM_FIRST


def open_film(path: Path) -> av.container.InputContainer:
    """Open for reading.

    Raises:
        InputError: it is no film, or can't be read.
    """
    try:
        return open_input(path)
    except av.error.PermissionError as error:
        raise InputError(f"{path} can't be read: permission denied") from error
    except av.error.FileNotFoundError as error:
        raise InputError(f"{path} does not exist") from error
    except (av.error.FFmpegError, OSError) as error:
        if path.is_dir():
            raise InputError(f"{path} is a folder, not a film") from error
        if path.stat().st_size == 0:
            raise InputError(f"{path} is empty") from error
        reason = "it is damaged, cut off, or no film at all"
        raise InputError(f"{path} is not a film that can be read: {reason} ({error.strerror})") from error


def picture_stream(container: av.container.InputContainer, path: Path) -> av.video.stream.VideoStream:
    """The first video stream that is no cover picture.

    Raises:
        InputError: there is none, or no decoder for it.
    """
    kind = container.format.name
    if kind in _TEXT_FORMATS:
        raise InputError(f"{path} is text, not a film")
    if kind in _PICTURE_FORMATS or kind.endswith("_pipe"):
        raise InputError(f"{path} is a picture, not a film", "`restore photos` takes pictures")
    for stream in container.streams.video:
        if stream.disposition & av.stream.Disposition.attached_pic:
            continue
        if stream.codec_context is None:
            raise InputError(f"{path} has a video codec that this FFmpeg can't decode", "Convert it first")
        return stream
    raise InputError(f"{path} has no video stream", "`restore photos` takes pictures")


def describe(path: Path, *, deinterlace: bool = False) -> Film:
    """Read a film's header and its first frame.

    Args:
        deinterlace: make its frames progressive when they are read, if it is interlaced; notes tell.

    Raises:
        InputError: no film; HDR; a pixel format that can't be carried.
    """
    with open_film(path) as container:
        return describe_open(container, path, deinterlace=deinterlace)


def describe_open(container: av.container.InputContainer, path: Path, *, deinterlace: bool = False) -> Film:
    """`describe` for an open container. Errors are the same."""
    stream = picture_stream(container, path)
    context = stream.codec_context
    if not context.width or not context.height or context.pix_fmt is None:
        raise InputError(f"{path} is damaged: its video stream does not say what its frames are")
    transfer = int(context.color_trc)
    if transfer in _HDR_TRANSFERS:
        raise InputError(f"{path} is HDR: {_HDR_TRANSFERS[transfer]}", "Convert it to SDR (BT.709) first")
    notes: list[str] = []
    planar, form = _planar(path, context.pix_fmt, context, notes)
    rate = fraction(stream.average_rate) or fraction(stream.guessed_rate) or Fraction(25)
    time_base = fraction(stream.time_base)
    starts = None if stream.start_time is None else stream.start_time * (time_base or Fraction(0))
    ends = _end(stream)
    seconds = float(ends) if ends else container.duration / 1_000_000 if container.duration else None
    film = Film(
        path,
        context.width,
        context.height,
        context.pix_fmt,
        planar,
        form,
        _tags(context, form),
        time_base or Fraction(1, 90_000),
        rate,
        stream.frames or (round(seconds * rate) if seconds else None),
        seconds,
        stream.index,
        fraction(stream.sample_aspect_ratio) or Fraction(1),
        starts,
        None if ends is None else ends + (starts or 0),
        stream.average_rate == stream.base_rate,
        container.format.name == "avi",
        deinterlace=deinterlace,
        era=era_of_film(container.metadata),
        notes=tuple(notes),
    )
    return _with_first_frame(film, _peek(container, stream), context)


def cut_out(film: Film, start: float | None, duration: float | None) -> Film:
    """A part of a film, counted in seconds from where its picture begins.

    Raises:
        InputError: it ends before.
    """
    if start is None and duration is None:
        return film
    if film.seconds is not None and (start or 0) >= film.seconds:
        raise InputError(f"{film.path} is only {film.seconds:.1f} s long", "Give an earlier --start")
    zero = film.starts or Fraction(0)
    begin = zero + Fraction(start or 0)
    stop = None if duration is None else begin + Fraction(duration)
    left = [film.seconds - (start or 0)] if film.seconds else []
    seconds = min([*left, *([duration] if duration is not None else [])], default=None)
    return replace(
        film,
        begin=round(begin / film.time_base),
        stop=None if stop is None else round(stop / film.time_base),
        seconds=seconds,
        frames=round(seconds * film.rate) if seconds else None,
        ends=None if film.ends is None or (stop is not None and stop < film.ends) else film.ends,
        constant=False,
    )


def _peek(
    container: av.container.InputContainer, stream: av.video.stream.VideoStream
) -> av.video.frame.VideoFrame | None:
    """The first frame; None where it does not decode at once."""
    for packet in islice(container.demux(stream), _PEEK_PACKETS):
        with contextlib.suppress(av.error.FFmpegError):
            for frame in stream.codec_context.decode(packet if packet.size else None):
                return frame
    return None


def _with_first_frame(film: Film, frame: av.video.frame.VideoFrame | None, context: Any) -> Film:
    """What only frames tell, or tell best: fields, and how the film is to be turned."""
    order = int(context.field_order)
    if order <= _PROGRESSIVE and frame is not None and frame.interlaced_frame:
        order = _TOP_FIRST
    side_data: Any = frame.side_data if frame is not None else {}
    turned = side_data.get("DISPLAYMATRIX")
    matrix = None if turned is None else struct.unpack("9i", bytes(turned))
    fields = order > _PROGRESSIVE
    notes = film.notes
    if film.deinterlace:
        done = "its fields were made progressive frames: every second line of them is new" if fields else None
        notes += (done or "it is progressive by its header and first frame: nothing was deinterlaced",)
    deinterlace = film.deinterlace and fields
    return replace(film, field_order=order, display_matrix=matrix, deinterlace=deinterlace, notes=notes)


def _end(stream: av.video.stream.VideoStream) -> Fraction | None:
    """How long the picture is by its own header: Matroska keeps that in a tag."""
    time_base = fraction(stream.time_base)
    if stream.duration and time_base:
        return stream.duration * time_base
    for key, value in stream.metadata.items():
        match = _DURATION_TAG.fullmatch(value.strip())
        if key.upper().partition("-")[0] == "DURATION" and match:
            hours, minutes, seconds = match.groups()
            # Matroska's tag is the time at which the stream ends, counted from the file's zero.
            total = int(hours) * 3600 + int(minutes) * 60 + Fraction(seconds)
            return total - (stream.start_time or 0) * (time_base or Fraction(0))
    return None


def _planar(path: Path, name: str, context: Any, notes: list[str]) -> tuple[str, YuvForm]:
    """The planar form of a pixel format, and how its samples are stored."""
    pixel = av.VideoFormat(name)
    depth = pixel.components[0].bits
    full = name.startswith("yuvj") or int(context.color_range) == _FULL_RANGE
    if pixel.has_palette or pixel.is_rgb:
        notes.append(f"its pixels are {name}, and were converted to YCbCr of full range")
        return "yuv444p", YuvForm(8, True, 1, 1, _matrix(context))
    grey = len(pixel.components) < 3
    if len(pixel.components) in (2, 4):
        notes.append("its alpha channel was left out")
    if depth == 1:
        notes.append("its pixels are black or white, and were converted to grey")
        depth, full = 8, True
    if depth not in (8, 10, 12, 14, 16) or name.startswith("grayf"):
        raise InputError(f"{path} has {depth} bits a sample ({name})", "Convert it to 8 or 10 bits first")
    across = 2 if grey else -(-64 // pixel.chroma_width(64))
    down = 2 if grey else -(-64 // pixel.chroma_height(64))
    if across > 2 or down > 2 or (across, down) == (1, 2):
        notes.append(f"its chroma layout ({name}) became 4:2:0")
        across = down = 2
    layout = {(2, 2): "420", (2, 1): "422", (1, 1): "444"}[across, down]
    suffix = "" if depth == 8 else f"{depth}le"
    return f"yuv{layout}p{suffix}", YuvForm(depth, full, across, down, _matrix(context))


def _matrix(context: Any) -> Matrix:
    """The stream's own where it says; else what players take for its size."""
    return _MATRICES.get(int(context.colorspace), BT709 if context.height >= _HD_HEIGHT else BT601)


def _tags(context: Any, form: YuvForm) -> ColorTags:
    matrix = int(context.colorspace)
    if matrix not in _MATRICES:
        # Grey film often says nothing, or "RGB": now that there is chroma, its matrix has to be told.
        matrix = 1 if form.matrix is BT709 else 6
    primaries, transfer = int(context.color_primaries), int(context.color_trc)
    return ColorTags(primaries or _UNSPECIFIED, transfer or _UNSPECIFIED, matrix, _FULL_RANGE if form.full_range else 1)
