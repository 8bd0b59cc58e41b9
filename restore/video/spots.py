"""Frames from here and there in a film, found by seeking."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

import av
import av.error
import av.video.stream

from restore.video.film import Film, open_film
from restore.video.reader import Frame, Reader, size_error

_PEEK_PACKETS = 5000
_LOOKS = 24


def keyframes(film: Film, count: int) -> list[int]:
    """pts of up to `count` keyframes spread over the film: reading from there costs no detour. May be empty."""
    found = {_keyframe_before(film, target) for target in _targets(film, count)}
    return sorted(pts for pts in found if pts is not None)


def frames_at(film: Film, starts: list[int], each: int) -> Iterator[Frame]:
    """`each` frames from each start on, numbered through; from the film's beginning where there are no starts."""
    number = 0
    from_here: list[int] | list[None] = starts or [None]
    for start in from_here:
        for frame in islice(Reader(film, 0, start).frames(), each):
            yield replace(frame, index=number)
            number += 1


def stills(film: Film, count: int) -> Iterator[Frame]:
    """Up to `count` frames spread evenly over the film, numbered through."""
    starts = sorted({pts for target in _targets(film, count) if (pts := frame_from(film, target)) is not None})
    return frames_at(film, starts, 1)


def check_size(film: Film) -> None:
    """Look at frames from here and there, so that a size that changes is told before the work and not after hours.

    Raises:
        InputError: some have another size than the first.
    """
    with open_film(film.path) as container:
        stream = container.streams[film.stream]
        assert isinstance(stream, av.video.stream.VideoStream)
        for target in _targets(film, _LOOKS):
            try:
                container.seek(target, stream=stream)
                frame = next(container.decode(stream), None)
            except (av.error.FFmpegError, OSError):
                continue  # Damage is counted when the film is read.
            if frame is not None and (frame.width, frame.height) != (film.width, film.height):
                pts = target if frame.pts is None else frame.pts
                raise size_error(film, (frame.width, frame.height), pts, "by")


def _targets(film: Film, count: int) -> list[int]:
    """Places in the middles of `count` equal parts of the film, in its time base."""
    start = film.begin if film.begin is not None else round((film.starts or 0) / film.time_base)
    length = int((film.seconds or 0) / film.time_base)
    return [start + length * (2 * part + 1) // (2 * count) for part in range(count)] if length else []


def _keyframe_before(film: Film, target: int) -> int | None:
    with open_film(film.path) as container:
        stream = container.streams[film.stream]
        try:
            container.seek(target, stream=stream)
            packets = islice(container.demux(stream), _PEEK_PACKETS)
            return next((packet.pts for packet in packets if packet.is_keyframe and packet.pts is not None), None)
        except (av.error.FFmpegError, OSError):
            return None


def frame_from(film: Film, target: int, seconds_before: int = 0) -> int | None:
    """pts of the first frame at or after a place; None where there is none.

    Args:
        seconds_before: decode from this much earlier where the container does not find a frame from its keyframe on.
    """
    with open_film(film.path) as container:
        stream = container.streams[film.stream]
        assert isinstance(stream, av.video.stream.VideoStream)
        stream.thread_type = "AUTO"
        try:
            container.seek(target - round(seconds_before / film.time_base), stream=stream)
            frames = container.decode(stream)
            return next((frame.pts for frame in frames if frame.pts is not None and frame.pts >= target), None)
        except (av.error.FFmpegError, OSError):
            return None
