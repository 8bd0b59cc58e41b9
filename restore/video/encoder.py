"""Encoding: a run of frames into a file of its own, that begins with a keyframe and needs no other."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import av
import av.container
import av.error
import av.filter
import av.packet
import av.video.frame
import av.video.stream
import numpy as np
from av.codec.context import Flags

from restore.errors import OutputError, UsageError
from restore.files import output_error
from restore.video.codec import VideoCodec
from restore.video.film import Film
from restore.video.pyav import fraction, open_output
from restore.video.reader import plane_array
from restore.video.render import RenderedFrame

# Of a segment's file. It holds every codec; its timestamps, in whole milliseconds, are places in the segment only: the
# film's own pts are put in place of them when segments are joined.
CONTAINER = "matroska"

_MOST_REORDERED = 100  # seconds by which a packet may be decoded before it is shown: sixteen frames, however slow


def encode_segment(path: Path, frames: Iterable[RenderedFrame], film: Film, codec: VideoCodec) -> list[int]:
    """Encode frames into `path` and give back their pts, in the film's time base.

    Raises:
        UsageError: the encoder refuses its settings.
        OutputError: it can't be written, or the disk is full.
    """
    written: list[int] = []
    try:
        with open_output(path, CONTAINER) as container:
            stream = add_picture(container, film, codec)
            fields = _FieldMarker(film, codec) if film.interlaced else None
            for place, rendered in enumerate(frames):
                frame = _frame(rendered, film, codec)
                frame.pts, frame.time_base = place, 1 / film.rate
                if fields:
                    frame = fields.mark(frame)
                container.mux(encode(stream, frame))
                written.append(rendered.pts)
            container.mux(encode(stream, None))
    except (av.error.ArgumentError, av.error.OptionNotFoundError, av.error.ExternalError) as error:
        raise UsageError(f"{codec.name} refuses its settings: {error.strerror}", "Check --preset and --crf") from error
    except (av.error.FFmpegError, OSError) as error:
        raise film_output_error(path, error) from error
    if not written:
        raise OutputError(f"{path} would have no frames")
    return written


def film_output_error(path: Path, error: av.error.FFmpegError | OSError) -> OutputError:
    """The error to raise when writing a film failed; FFmpeg's errors are not all OSErrors."""
    return output_error(path, OSError(error.errno, error.strerror))


def add_picture(container: av.container.OutputContainer, film: Film, codec: VideoCodec) -> av.video.stream.VideoStream:
    """A stream that encodes the film's picture."""
    options = dict(codec.options)
    if codec.name == "libsvtav1":
        os.environ.setdefault("SVT_LOG", "1")  # Errors only: it prints pages otherwise, and has no option against it.
    if film.interlaced and film.bottom_first and codec.name == "libx264":
        # Otherwise x264 learns this from the frames, changes its mode after the start, and is no longer lossless.
        options["x264-params"] = "bff=1"
    stream = container.add_stream(codec.name, rate=film.rate, options=options)
    assert isinstance(stream, av.video.stream.VideoStream)
    context = stream.codec_context
    stream.width, stream.height, stream.pix_fmt = film.width, film.height, codec.pixel_format
    context.time_base = 1 / film.rate
    context.sample_aspect_ratio = film.sample_aspect_ratio
    context.color_primaries, context.color_trc = film.tags.primaries, film.tags.transfer
    context.colorspace, context.color_range = film.tags.matrix, film.tags.range
    context.thread_type = "AUTO"
    if film.interlaced:
        context.flags |= Flags.interlaced_dct | Flags.interlaced_me
        context.field_order = film.field_order
    return stream


def encode(stream: av.video.stream.VideoStream, frame: av.video.frame.VideoFrame | None) -> list[av.packet.Packet]:
    """The packets that come of a frame, or the last ones of all."""
    packets = stream.encode(frame)
    for packet in packets:
        set_dts(packet)
    return packets


def set_dts(packet: av.packet.Packet) -> None:
    """x265 gives a random dts where a run has fewer frames than it reorders, which muxers refuse, or write."""
    if packet.pts is not None and packet.dts is not None:
        early = (packet.pts - packet.dts) * (fraction(packet.time_base) or 0)
        if not 0 <= early < _MOST_REORDERED:
            packet.dts = packet.pts


class _FieldMarker:
    """Tells the encoder which field of a frame comes first: FFmpeg's `setfield` filter can, PyAV's frames can't."""

    def __init__(self, film: Film, codec: VideoCodec) -> None:
        self._graph = av.filter.Graph()
        source = self._graph.add_buffer(
            width=film.width,
            height=film.height,
            format=av.VideoFormat(codec.pixel_format),
            time_base=1 / film.rate,
        )
        order = self._graph.add("setfield", "bff" if film.bottom_first else "tff")
        self._graph.link_nodes(source, order, self._graph.add("buffersink"))
        self._graph.configure()

    def mark(self, frame: av.video.frame.VideoFrame) -> av.video.frame.VideoFrame:
        self._graph.vpush(frame)
        return self._graph.vpull()


def _frame(rendered: RenderedFrame, film: Film, codec: VideoCodec) -> av.video.frame.VideoFrame:
    frame = av.VideoFrame(film.width, film.height, codec.pixel_format)
    for number, plane in enumerate(rendered.planes):
        np.copyto(plane_array(frame, number), plane)
    frame.color_range, frame.colorspace = film.tags.range, film.tags.matrix
    return frame
