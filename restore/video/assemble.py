"""Joining the segments with everything else of the film: sound, subtitles and the rest are copied packet by packet."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import av
import av.container
import av.error
import av.packet
import av.stream
import av.video.stream

from restore.errors import InputError, OutputError
from restore.stopping import unless_stopped
from restore.video.encoder import film_output_error
from restore.video.film import Film, open_film
from restore.video.journal import Segment
from restore.video.pyav import fraction, open_input, open_output
from restore.video.reader import DAMAGE, JUMP_SECONDS, MAX_ERRORS_IN_A_ROW, Timeline
from restore.video.streams import add_streams, container_format, is_cover, layout, muxer_options, shifted_chapters


def assemble(
    target: Path, film: Film, segments: Sequence[Segment], stopping: Callable[[], bool] = lambda: False
) -> None:
    """Write the film.

    Raises:
        Stopped: `stopping` said yes.
        InputError: the source has gone.
        OutputError: the container can't hold a stream, or it can't be written.
    """
    form = container_format(target)
    shift = time_shift(film, segments)
    try:
        with open_film(film.path) as source, open_input(segments[0].path) as first:
            plan = layout(source, film, form)
            options = muxer_options(source, film, form)
            with open_output(target, form, options) as out:
                added = add_streams(out, source, film, plan, lambda: _add_film(out, first, film))
                out.set_chapters(shifted_chapters(source, film, shift))
                video = added.pop(film.stream)
                frames = _video_packets(segments, film, shift, stopping)
                others = _other_packets(source, added, film, shift)
                _mux(out, video, frames, unless_stopped(others, stopping))
    except (av.error.FFmpegError, OSError) as error:
        raise film_output_error(target, error) from error


def time_shift(film: Film, segments: Sequence[Segment]) -> int:
    """By how much all of a film is moved, in its ticks, so that its picture does not begin before zero.

    No container shows what lies there: MP4 cuts it off, Matroska has no such times. A part of a film begins at zero.
    """
    return max(0, -segments[0].pts[0]) if film.begin is None else -film.begin


def _add_film(
    out: av.container.OutputContainer, first: av.container.InputContainer, film: Film
) -> av.video.stream.VideoStream:
    added = out.add_stream_from_template(first.streams.video[0], opaque=True)
    added.time_base = film.time_base
    context = added.codec_context
    context.sample_aspect_ratio = film.sample_aspect_ratio
    context.framerate = film.rate
    if film.interlaced:
        context.field_order = film.field_order
    return added


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


def _video_packets(
    segments: Sequence[Segment], film: Film, shift: int, stopping: Callable[[], bool]
) -> Iterator[av.packet.Packet]:
    pts = array("q")
    places = array("q")
    for segment in unless_stopped(segments, stopping):
        stamps = [packet.pts or 0 for packet in _packets(segment)]
        rank = {stamp: place for place, stamp in enumerate(sorted(stamps))}
        places.extend(len(pts) + rank[stamp] for stamp in stamps)
        pts.extend(stamp + shift for stamp in segment.pts)
        if len(stamps) != len(segment.pts):
            raise OutputError(f"{segment.path} holds {len(stamps)} frames, not {len(segment.pts)}", "Use --restart")
    times = decoding_times(pts, places)
    end = max(segments[-1].end + shift, pts[-1] + 1)
    number, begin = 0, None
    for segment in segments:
        for packet in unless_stopped(_packets(segment), stopping):
            place = places[number]
            packet.time_base = film.time_base
            packet.pts, packet.dts = pts[place], next(times)
            begin = packet.dts if begin is None else begin
            packet.duration = (pts[place + 1] if place + 1 < len(pts) else end) - pts[place]
            number += 1
            if number == len(pts):
                # MP4 keeps a film's length as the sum of its steps in order of decoding.
                packet.duration = min(max(1, end - pts[0] + begin - packet.dts), end - pts[place])
            yield packet


def _packets(segment: Segment) -> Iterator[av.packet.Packet]:
    with open_input(segment.path) as container:
        for packet in container.demux(container.streams.video[0]):
            if packet.size:
                yield packet


def _other_packets(
    source: av.container.InputContainer, added: dict[int, av.stream.Stream], film: Film, shift: int
) -> Iterator[tuple[av.packet.Packet, av.stream.Stream]]:
    wanted = [source.streams[index] for index in added]
    for packet in copied_packets(source, wanted, film) if wanted else ():
        ticks = round(shift * film.time_base / (fraction(packet.time_base) or 1))
        packet.dts = None if packet.dts is None else packet.dts + ticks
        packet.pts = None if packet.pts is None else packet.pts + ticks
        yield packet, added[packet.stream_index]


def copied_packets(
    source: av.container.InputContainer, streams: Sequence[av.stream.Stream], film: Film
) -> Iterator[av.packet.Packet]:
    """Packets that are copied beside the picture, with times that rise. The picture's own are left as they are.

    Raises:
        InputError: nothing can be read any more.
    """
    timelines = {stream.index: Timeline(round(JUMP_SECONDS / (fraction(stream.time_base) or 1))) for stream in streams}
    begun: set[int] = set()
    for packet in packets_of(source, streams, film.path):
        stream = packet.stream
        if stream.index == film.stream:
            yield packet
            continue
        _place(packet, timelines[stream.index])
        if not is_cover(stream):
            seconds = (packet.pts or 0) * (fraction(packet.time_base) or Fraction(1))
            if film.begin is not None and seconds < film.begin * film.time_base:
                continue
            if film.stop is not None and seconds >= film.stop * film.time_base:
                continue
            if film.begin is not None and stream.type == "video" and stream.index not in begun:
                if not packet.is_keyframe:  # No frame can be shown before the first keyframe.
                    continue
                begun.add(stream.index)
        yield packet


def _place(packet: av.packet.Packet, times: Timeline) -> None:
    """Let a copied packet's times rise, as muxers demand. Packets of one time are left alone."""
    if packet.dts is None and packet.pts is not None:
        return  # The first packets of streams with B-frames; muxers know what to do.
    if packet.dts is not None and packet.dts + times.offset == times.last:
        placed = times.last
    else:
        placed = times.place(packet.dts, packet.duration or 1)
    packet.pts = placed if packet.pts is None or packet.dts is None else packet.pts + placed - packet.dts
    packet.dts = placed


def packets_of(
    source: av.container.InputContainer, streams: Sequence[av.stream.Stream], path: Path
) -> Iterator[av.packet.Packet]:
    """The packets of a file, including those that follow an unreadable one.

    Raises:
        InputError: nothing can be read any more.
    """
    in_a_row = 0
    packets = source.demux(streams)
    while True:
        try:
            packet = next(packets, None)
        except (av.error.FFmpegError, OSError) as error:
            in_a_row += 1
            if in_a_row > MAX_ERRORS_IN_A_ROW or not isinstance(error, DAMAGE):
                raise InputError(f"{path} can't be read on: {error.strerror}", "Is its disk there?") from error
            packets = source.demux(streams)  # The failed one has ended.
            continue
        in_a_row = 0
        if packet is None:
            return
        if packet.size:
            yield packet


def _mux(
    out: av.container.OutputContainer,
    video: av.stream.Stream,
    frames: Iterator[av.packet.Packet],
    others: Iterator[tuple[av.packet.Packet, av.stream.Stream]],
) -> None:
    """Interleave by time, so that the muxer has to buffer little."""
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
    return (stamp or 0) * (fraction(packet.time_base) or Fraction(1))
