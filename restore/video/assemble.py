"""Joining the segments with everything else of the film: sound, subtitles and the rest go over by packet."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import av
import av.container
import av.error
import av.packet
import av.stream

from restore.errors import InputError, OutputError
from restore.video.encoder import film_output_error
from restore.video.film import Film, open_film
from restore.video.journal import Segment

# What each container calls itself to FFmpeg.
_FORMATS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska", ".webm": "webm"}


def container_format(path: Path) -> str:
    """FFmpeg's name of the container for a file name.

    Raises:
        OutputError: none that this program writes.
    """
    try:
        return _FORMATS[path.suffix.lower()]
    except KeyError:
        known = ", ".join(_FORMATS)
        raise OutputError(f"{path}: {path.suffix or 'no suffix'} is no container for films", f"Use {known}") from None


def assemble(target: Path, film: Film, segments: Sequence[Segment]) -> None:
    """Write the film.

    Raises:
        InputError: the source has gone.
        OutputError: the container can't hold a stream, or it can't be written.
    """
    try:
        with (
            open_film(film.path) as source,
            av.open(str(segments[0].path)) as first,
            av.open(str(target), "w", format=container_format(target)) as out,
        ):
            copies = _add_streams(out, source, first, film)
            out.metadata.update(source.metadata)
            out.set_chapters(source.chapters())
            video = out.streams[film.stream]
            _mux(out, video, _video_packets(segments, film), _other_packets(source, copies))
    except (av.error.FFmpegError, OSError) as error:
        raise film_output_error(target, error) from error


def _add_streams(
    out: av.container.OutputContainer,
    source: av.container.InputContainer,
    first: av.container.InputContainer,
    film: Film,
) -> dict[int, av.stream.Stream]:
    """Streams in the source's order; those that are copied, by their index."""
    copies: dict[int, av.stream.Stream] = {}
    for stream in source.streams:
        added: av.stream.Stream
        if stream.index == film.stream:
            added = out.add_stream_from_template(first.streams.video[0])
            added.time_base = film.time_base
        else:
            try:
                added = out.add_stream_from_template(stream)
            except (ValueError, av.error.FFmpegError) as error:
                name = f"{stream.type} stream {stream.index}"
                raise OutputError(
                    f"{out.format.name} can't hold {name} of {film.path}: {error}", "Use .mkv for --output"
                ) from error
            copies[stream.index] = added
        added.metadata.update(stream.metadata)
        added.disposition = stream.disposition
    return copies


def decoding_times(pts: Sequence[int], in_decode_order: Sequence[int]) -> Iterator[int]:
    """dts of packets, rising, and never above the packet's pts.

    Packet n gets the pts of the frame that is shown n − D'th, D being how far packets run ahead of their display; the
    first D, for which there is none, go back from the first pts in steps of the first frame's length.

    Args:
        pts: of all frames, in order of display.
        in_decode_order: the place in display of each packet's frame.
    """
    delay = max(place_in_file - place for place_in_file, place in enumerate(in_decode_order))
    step = max(1, pts[1] - pts[0]) if len(pts) > 1 else 1
    for number in range(len(pts)):
        behind = number - delay
        yield pts[behind] if behind >= 0 else pts[0] + behind * step


def _video_packets(segments: Sequence[Segment], film: Film) -> Iterator[av.packet.Packet]:
    pts = array("q")
    places = array("q")
    for segment in segments:
        stamps = [packet.pts or 0 for packet in _packets(segment)]
        rank = {stamp: place for place, stamp in enumerate(sorted(stamps))}
        places.extend(len(pts) + rank[stamp] for stamp in stamps)
        pts.extend(segment.pts)
        if len(stamps) != len(segment.pts):
            raise OutputError(f"{segment.path} holds {len(stamps)} frames, not {len(segment.pts)}", "Use --restart")
    times = decoding_times(pts, places)
    number = 0
    for segment in segments:
        for packet in _packets(segment):
            place = places[number]
            packet.time_base = film.time_base
            packet.pts, packet.dts = pts[place], next(times)
            if place + 1 < len(pts):
                packet.duration = pts[place + 1] - pts[place]
            number += 1
            yield packet


def _packets(segment: Segment) -> Iterator[av.packet.Packet]:
    with av.open(str(segment.path)) as container:
        for packet in container.demux(container.streams.video[0]):
            if packet.size:
                yield packet


def _other_packets(
    source: av.container.InputContainer, copies: dict[int, av.stream.Stream]
) -> Iterator[tuple[av.packet.Packet, av.stream.Stream]]:
    wanted = [stream for stream in source.streams if stream.index in copies]
    if not wanted:
        return
    try:
        for packet in source.demux(wanted):
            if packet.size:
                yield packet, copies[packet.stream_index]
    except av.error.FFmpegError as error:
        raise InputError(f"{source.name} can't be read on: {error.strerror}") from error


def _mux(
    out: av.container.OutputContainer,
    video: av.stream.Stream,
    frames: Iterator[av.packet.Packet],
    others: Iterator[tuple[av.packet.Packet, av.stream.Stream]],
) -> None:
    """Interleave by time, so that the muxer has little to hold back."""
    frame, other = next(frames, None), next(others, None)
    while frame is not None or other is not None:
        if other is None or (frame is not None and _seconds(frame) <= _seconds(other[0])):
            assert frame is not None
            frame.stream = video
            out.mux_one(frame)
            frame = next(frames, None)
        else:
            packet, stream = other
            packet.stream = stream
            out.mux_one(packet)
            other = next(others, None)


def _seconds(packet: av.packet.Packet) -> Fraction:
    stamp = packet.dts if packet.dts is not None else packet.pts
    return (stamp or 0) * (packet.time_base or Fraction(1))
