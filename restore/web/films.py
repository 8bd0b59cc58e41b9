"""Films that come from a browser, and films that go to one."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import av.error

from restore.errors import InputError, OutputError
from restore.files import open_atomically
from restore.options import ServeOptions
from restore.stopping import Stopped
from restore.video.film import describe
from restore.video.pyav import fraction, open_input, open_output
from restore.web.items import Item

# Demuxers of files that hold all they are. Playlists, which name other files and hosts, are none of them.
_DEMUXERS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpeg,mpegts,mpegvideo,asf,flv,ogg,mxf,dv,rm,yuv4mpegpipe,nut,h264,hevc"
)
_PLAYED_VIDEO = {"h264": ("yuv420p", "yuvj420p"), "vp9": ("yuv420p",), "vp8": ("yuv420p",), "av1": ("yuv420p",)}
_PLAYED_SOUND = ("aac", "mp3", "opus", "vorbis", "flac")
_PLAYED_SUFFIXES = {".mp4": "video/mp4", ".m4v": "video/mp4", ".mov": "video/mp4", ".webm": "video/webm"}
_COPY_SIDE = 1280  # the longest of a copy made for the page
_COPY_RATE = 48_000  # of its sound: AAC does not have every rate that old films have


def check_film(item: Item, options: ServeOptions) -> int:
    """Look at a film before FFmpeg may choose what to do with it; how many frames it may have.

    Raises:
        InputError: it is none, is too long or too large.
    """
    try:
        with open_input(item.source, {"format_whitelist": _DEMUXERS, "protocol_whitelist": "file"}):
            pass
    except (av.error.FFmpegError, OSError) as error:
        raise InputError(
            f"{item.name} is not a film that can be read: it is damaged, cut off, or no film at all"
        ) from error
    film = describe(item.source)
    if film.width * film.height > options.max_megapixels * 1_000_000:
        raise InputError(
            f"{item.name} has pictures of {film.width} × {film.height}, and this page takes "
            f"{options.max_megapixels} million pixels",
            "Whoever started the page can allow more with --max-megapixels",
        )
    seconds = film.seconds or (film.frames / float(film.rate) if film.frames else 0)
    if seconds > options.max_minutes * 60:
        raise too_long(item, options)
    return round(options.max_minutes * 60 * film.rate)


def too_long(item: Item, options: ServeOptions) -> InputError:
    """The error to raise for a film of too many minutes."""
    return InputError(
        f"{item.name} is longer than {options.max_minutes} minutes, the most that this page takes",
        "Whoever started the page can allow more with --max-minutes",
    )


def media_type(film: Path) -> str | None:
    """What a browser is told of a film that it can play; None for one that most can't."""
    kind = _PLAYED_SUFFIXES.get(film.suffix.lower())
    if kind is None:
        return None
    with open_input(film) as container:
        video = container.streams.video[0].codec_context
        sounds = [stream.codec_context.name for stream in container.streams.audio]
    plays = video.pix_fmt in _PLAYED_VIDEO.get(video.codec.canonical_name, ()) and set(sounds) <= set(_PLAYED_SOUND)
    return kind if plays else None


def playable(film: Path) -> tuple[Path, str]:
    """The file that the page plays, and its media type: the film itself, or the copy that was made of it."""
    copy = _copy_of(film)
    return (copy, "video/mp4") if copy.exists() else (film, media_type(film) or "video/mp4")


def _copy_of(film: Path) -> Path:
    return film.with_name("playable.mp4")


def write_playable(film: Path, stopping: Callable[[], bool]) -> bool:
    """Write a copy for the page, H.264 and AAC, beside a film that browsers can't play. False when told to stop.

    Raises:
        OutputError: the copy can't be made.
    """
    if media_type(film):
        return True
    try:
        with (
            open_atomically(_copy_of(film)) as stream,
            open_input(film) as source,
            open_output(stream, "mp4", {"movflags": "faststart"}) as out,
        ):
            _transcode(source, out, stopping)
    except Stopped:
        return False
    except av.error.FFmpegError as error:
        raise OutputError(f"no copy of {film} could be made that browsers can play: {error.strerror}") from error
    return True


def _transcode(
    source: av.container.InputContainer, out: av.container.OutputContainer, stopping: Callable[[], bool]
) -> None:
    picture = source.streams.video[0]
    picture.thread_type = "AUTO"
    context = picture.codec_context
    scale = min(1.0, _COPY_SIDE / max(context.width, context.height))
    aspect = float(fraction(picture.sample_aspect_ratio) or 1)
    rate = fraction(picture.average_rate) or 25
    video = out.add_stream("libx264", rate=rate, options={"preset": "veryfast", "crf": "20"})
    video.width, video.height = (
        max(2, round(side * scale / 2) * 2) for side in (context.width * aspect, context.height)
    )
    video.pix_fmt = "yuv420p"
    video.time_base = video.codec_context.time_base = fraction(picture.time_base) or Fraction(1, 90_000)
    sound = source.streams.audio[0] if source.streams.audio else None
    audio = out.add_stream("aac", rate=_COPY_RATE) if sound else None
    resampler = av.AudioResampler("fltp", "stereo", _COPY_RATE) if sound else None
    for packet in source.demux(*([picture, sound] if sound else [picture])):
        if stopping():
            raise Stopped
        for frame in packet.decode():
            if isinstance(frame, av.VideoFrame):
                out.mux(video.encode(frame.reformat(video.width, video.height, "yuv420p")))
            elif isinstance(frame, av.AudioFrame) and audio is not None and resampler is not None:
                for piece in resampler.resample(frame):
                    out.mux(audio.encode(piece))
    out.mux(video.encode())
    if audio is not None:
        out.mux(audio.encode())
