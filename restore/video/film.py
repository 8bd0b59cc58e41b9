"""What a film is, read from its header: its picture's form, its timing, and everything beside the picture."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.container
import av.error
import av.video.stream

from restore.color import BT601, BT709, BT2020, Matrix
from restore.errors import InputError
from restore.merge import YuvForm

# ITU-T H.273 codes, as FFmpeg numbers them.
_UNSPECIFIED = 2
_MATRICES: dict[int, Matrix] = {1: BT709, 5: BT601, 6: BT601, 9: BT2020, 10: BT2020}
_HDR_TRANSFERS = {16: "PQ (SMPTE ST 2084)", 18: "HLG (ARIB STD-B67)"}
_FULL_RANGE = 2
_HD_HEIGHT = 720


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
    notes: tuple[str, ...] = ()


def open_film(path: Path) -> av.container.InputContainer:
    """Open for reading.

    Raises:
        InputError: it is no film, or can't be read.
    """
    try:
        return av.open(str(path), metadata_errors="replace")
    except av.error.PermissionError as error:
        raise InputError(f"{path} can't be read: permission denied") from error
    except av.error.FFmpegError as error:
        if path.stat().st_size == 0:
            raise InputError(f"{path} is empty") from error
        raise InputError(f"{path} is not a film that can be read: {error.strerror}") from error


def picture_stream(container: av.container.InputContainer, path: Path) -> av.video.stream.VideoStream:
    """The first video stream that is no cover picture.

    Raises:
        InputError: there is none.
    """
    for stream in container.streams.video:
        if not stream.disposition & av.stream.Disposition.attached_pic:
            return stream
    raise InputError(f"{path} has no video stream", "`restore photos` takes pictures")


def describe(path: Path) -> Film:
    """Read a film's header.

    Raises:
        InputError: no film; HDR; a pixel format that can't be carried.
    """
    with open_film(path) as container:
        stream = picture_stream(container, path)
        context = stream.codec_context
        if not context.width or not context.height or context.pix_fmt is None:
            raise InputError(f"{path} is damaged: its video stream does not say what its frames are")
        transfer = int(context.color_trc)
        if transfer in _HDR_TRANSFERS:
            raise InputError(f"{path} is HDR: {_HDR_TRANSFERS[transfer]}", "Convert it to SDR (BT.709) first")
        notes: list[str] = []
        planar, form = _planar(path, context.pix_fmt, context, notes)
        rate = stream.average_rate or stream.guessed_rate or Fraction(25)
        seconds = _seconds(container, stream)
        frames = stream.frames or (round(seconds * rate) if seconds else None)
        return Film(
            path,
            context.width,
            context.height,
            context.pix_fmt,
            planar,
            form,
            _tags(context, form),
            stream.time_base or Fraction(1, 90_000),
            rate,
            frames,
            seconds,
            stream.index,
            stream.sample_aspect_ratio or Fraction(1),
            tuple(notes),
        )


def _seconds(container: av.container.InputContainer, stream: av.video.stream.VideoStream) -> float | None:
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    return container.duration / 1_000_000 if container.duration else None


def _planar(path: Path, name: str, context: Any, notes: list[str]) -> tuple[str, YuvForm]:
    """The planar form of a pixel format, and how its samples are stored."""
    pixel = av.VideoFormat(name)
    depth = pixel.components[0].bits
    full = name.startswith("yuvj") or int(context.color_range) == _FULL_RANGE
    grey = name.startswith("gray")
    if pixel.has_palette or pixel.is_rgb or not (grey or len(pixel.components) >= 3):
        notes.append(f"its pixels are {name}, and were converted to YCbCr first")
        return "yuv444p", YuvForm(8, full, 1, 1, _matrix(context))
    if len(pixel.components) == 4 or name.startswith("ya"):
        notes.append("its alpha channel was left out")
    if depth not in (8, 10, 12, 14, 16):
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
