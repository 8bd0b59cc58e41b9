"""Film clips that tests make for themselves, with real encoders and muxers."""

from __future__ import annotations

import hashlib
import io
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.container
import av.stream
import numpy as np
import numpy.typing as npt
from av.codec.context import Flags
from PIL import Image

from restore.video.reader import plane_array

Planes = list[npt.NDArray[Any]]

ROWS = 48
COLUMNS = 64


@dataclass(frozen=True)
class Clip:
    """What a clip consists of.

    Args:
        times: pts of its frames, in units of `time_base`.
        turn: degrees by which players turn it.
        fields: `tff` or `bff` for interlaced frames.
        woven: the second field shows a later moment than the first, as a television camera's does.
        color: the picture is in colour, not grey.
        sound: codecs of its sound tracks, `sound_rate` samples a second.
        subtitles: codec of its subtitles.
        chapters: their titles.
        attachments: names and contents of files in it.
        cover: it carries a cover picture.
        shape: sample aspect ratio.
        tags: primaries, transfer, matrix, range.
    """

    codec: str = "libx264"
    pixel_format: str = "yuv420p"
    columns: int = COLUMNS
    rows: int = ROWS
    times: Sequence[int] = tuple(range(20))
    time_base: Fraction = Fraction(1, 25)
    rate: int = 25
    options: dict[str, str] = field(default_factory=dict)
    turn: int = 0
    fields: str = ""
    woven: bool = False
    color: bool = False
    sound: Sequence[str] = ()
    sound_rate: int = 48000
    languages: Sequence[str] = ("eng", "deu", "fra")
    subtitles: str = ""
    second_picture: bool = False
    chapters: Sequence[str] = ()
    attachments: dict[str, bytes] = field(default_factory=dict)
    cover: bool = False
    shape: Fraction | None = None
    tags: tuple[int, int, int, int] | None = None
    metadata: dict[str, str] = field(default_factory=dict)
    muxer: dict[str, str] = field(default_factory=dict)


def make_clip(path: Path, clip: Clip | None = None, form: str | None = None) -> Path:
    """Write a clip."""
    clip = clip or Clip()
    with av.open(str(path), "w", format=form, container_options=clip.muxer) as out:
        out.metadata.update(clip.metadata)
        video = _video_stream(out, clip, clip.codec, clip.pixel_format)
        video.metadata["language"] = "und"
        packets = list(_encoded(video, clip))
        if clip.second_picture:
            second = out.add_stream("mpeg4", rate=clip.rate)
            second.width, second.height, second.pix_fmt = 32, 32, "yuv420p"
            for number in range(5):
                frame = av.VideoFrame(32, 32, "yuv420p")
                frame.pts, frame.time_base = number, Fraction(1, clip.rate)
                packets += second.encode(frame)
            packets += second.encode(None)
        begin = clip.times[0] * clip.time_base
        for number, codec in enumerate(clip.sound):
            packets += _sound(out, codec, number, clip, begin)
        if clip.subtitles:
            packets += _subtitles(out, clip.subtitles, begin)
        for name, content in clip.attachments.items():
            out.add_attachment(name, "application/x-truetype-font", content)
        if clip.cover:
            packets += _cover(out)
        out.set_chapters(
            [
                {
                    "id": number + 1,
                    "start": number * 200,
                    "end": number * 200 + 200,
                    "time_base": Fraction(1, 1000),
                    "metadata": {"title": title},
                }
                for number, title in enumerate(clip.chapters)
            ]
        )
        packets.sort(key=lambda packet: (packet.dts or 0) * (packet.time_base or Fraction(1)))
        out.mux(packets)
    return path


def _video_stream(out: av.container.OutputContainer, clip: Clip, codec: str, pixel_format: str) -> Any:
    video: Any = out.add_stream(codec, rate=clip.rate, options=clip.options)
    video.width, video.height, video.pix_fmt = clip.columns, clip.rows, pixel_format
    context = video.codec_context
    context.time_base = clip.time_base
    video.time_base = clip.time_base
    if clip.shape:
        context.sample_aspect_ratio = clip.shape
    if clip.tags:
        context.color_primaries, context.color_trc, context.colorspace, context.color_range = clip.tags
    if clip.turn:
        video.set_display_rotation(clip.turn)
    if clip.fields:
        context.flags |= Flags.interlaced_dct | Flags.interlaced_me
        context.field_order = 2 if clip.fields == "tff" else 3
    return video


def _encoded(video: Any, clip: Clip) -> Iterator[Any]:
    mark = _field_marker(clip) if clip.fields else lambda frame: frame
    for number, pts in enumerate(clip.times):
        frame = draw(clip, number)
        frame.pts, frame.time_base = pts, clip.time_base
        yield from video.encode(mark(frame))
    yield from video.encode(None)


def _field_marker(clip: Clip) -> Callable[[Any], Any]:
    graph = av.filter.Graph()
    source = graph.add_buffer(
        width=clip.columns, height=clip.rows, format=av.VideoFormat(clip.pixel_format), time_base=clip.time_base
    )
    graph.link_nodes(source, graph.add("setfield", clip.fields), graph.add("buffersink")).configure()

    def mark(frame: Any) -> Any:
        graph.vpush(frame)
        return graph.vpull()

    return mark


def draw(clip: Clip, number: int) -> Any:
    """A frame with a moving disc over a slope and noise: something in every place."""
    frame = av.VideoFrame(clip.columns, clip.rows, clip.pixel_format)
    pixel = frame.format
    y, x = np.mgrid[: clip.rows, : clip.columns]
    noise = np.random.default_rng(number).integers(0, 8, (clip.rows, clip.columns))
    moved: Any = 2 * number
    if clip.woven:
        moved = 2 * number + 6 * (y % 2 == (1 if clip.fields == "tff" else 0))
    disc = (x - 8 - moved) ** 2 + (y - clip.rows // 2) ** 2 < 100
    shade = 40 + (x + y) % 128 + noise + 60 * disc
    if pixel.is_rgb or pixel.has_palette or not pixel.is_planar or pixel.components[0].bits == 1:
        grey = av.VideoFrame.from_ndarray(shade.astype(np.uint8), format="gray")
        return grey.reformat(format=clip.pixel_format, src_color_range=2, dst_color_range=2)
    depth = pixel.components[0].bits
    fine = (shade << (depth - 8)) + (np.arange(clip.columns) % (1 << (depth - 8)))
    planes = len(frame.planes)
    np.copyto(plane_array(frame, 0), fine.astype(np.uint16 if depth > 8 else np.uint8), casting="unsafe")
    for place in range(1, planes):
        plane = plane_array(frame, place)
        plane[:] = 1 << (depth - 1)
        if clip.color:
            plane[: plane.shape[0] // 2] += np.uint8(40) if depth == 8 else np.uint16(40 << (depth - 8))
    return frame


def _sound(out: Any, codec: str, number: int, clip: Clip, begin: Fraction) -> list[Any]:
    rate = clip.sound_rate
    stream: Any = out.add_stream(codec, rate=rate)
    stream.metadata["language"] = clip.languages[number % len(clip.languages)]
    stream.metadata["title"] = f"Track {number}"
    if number:
        stream.disposition = av.stream.Disposition(0)
    kind = "flt" if codec == "libopus" else stream.codec_context.format.name
    seconds = (clip.times[-1] - clip.times[0]) * clip.time_base + Fraction(1, clip.rate)
    samples = int(seconds * rate)
    size = 960 if codec == "libopus" else 1024
    packets = []
    tone = np.sin(np.arange(samples) * (number + 2) * math.tau * 110 / rate)
    start = round(begin * rate)
    for first in range(0, samples, size):
        part = tone[first : first + size].astype(np.float32)
        frame = av.AudioFrame.from_ndarray(part[None], format="fltp", layout="mono")
        frame.sample_rate, frame.time_base, frame.pts = rate, Fraction(1, rate), start + first
        for piece in av.AudioResampler(kind, "stereo", rate).resample(frame):
            piece.pts = start + first
            packets += stream.encode(piece)
    return packets + stream.encode(None)


def _subtitles(out: Any, codec: str, begin: Fraction) -> list[Any]:
    stream = out.add_mux_stream(codec) if codec != "mov_text" else None
    if stream is None:
        return []
    stream.time_base = Fraction(1, 1000)
    stream.metadata["language"] = "fra"
    stream.disposition = av.stream.Disposition.forced
    packets = []
    for number in range(3):
        packet = av.Packet(f"Ligne {number} — été".encode())
        packet.stream, packet.time_base = stream, Fraction(1, 1000)
        packet.pts = packet.dts = round(begin * 1000) + 200 * number
        packet.duration = 150
        packets.append(packet)
    return packets


def picture_file(side: int = 24) -> bytes:
    buffer = io.BytesIO()
    Image.effect_noise((side, side), 60).convert("RGB").save(buffer, "JPEG")
    return buffer.getvalue()


def _cover(out: Any) -> list[Any]:
    stream = out.add_mux_stream("mjpeg", width=24, height=24)
    stream.time_base = Fraction(1, 90000)
    stream.disposition = av.stream.Disposition.attached_pic
    packet = av.Packet(picture_file())
    packet.stream, packet.time_base, packet.pts, packet.dts = stream, Fraction(1, 90000), 0, 0
    packet.is_keyframe = True
    return [packet]


def luma_planes(path: Path) -> tuple[Planes, list[Fraction]]:
    """Luma of each decoded frame of a planar film, and its time in seconds."""
    planes, times = [], []
    with av.open(str(path)) as container:
        video = next(s for s in container.streams.video if not s.disposition & av.stream.Disposition.attached_pic)
        for frame in container.decode(video):
            planes.append(plane_array(frame, 0).copy())
            times.append((frame.pts or 0) * (frame.time_base or Fraction(1)))
    return planes, times


def packets(path: Path, index: int) -> tuple[list[Fraction], str]:
    """Times of a stream's packets, and a hash over their content."""
    times, digest = [], hashlib.sha256()
    with av.open(str(path)) as container:
        for packet in container.demux(container.streams[index]):
            if packet.size:
                times.append((packet.pts or 0) * (packet.time_base or Fraction(1)))
                digest.update(bytes(packet))
    return times, digest.hexdigest()


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
