"""How long a film will take and how large it will be, from a short sample that is coloured and encoded."""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path

import av
import av.error

from restore.colorizers import Engine
from restore.errors import OutputError
from restore.files import free_space
from restore.progress import duration, size
from restore.video.encoder import encode_segment
from restore.video.film import Film, open_film
from restore.video.pipeline import Job, render_frames
from restore.video.pyav import open_input
from restore.video.reader import Frame
from restore.video.spots import check_size, frames_at, keyframes

# The sample: a twentieth of the film within these bounds, from up to so many places.
_LEAST, _MOST, _SHARE, _PLACES = 16, 240, 20, 5
_PLACE = 8
# How often films are cut, roughly: encoders begin each scene with a keyframe, and the sample has more than its share.
_FRAMES_A_SCENE = 100
_PEEK_PACKETS = 2000


@dataclass(frozen=True)
class Estimate:
    """What is to be expected of a film.

    Args:
        frames: still to be coloured; None where the film does not say its length.
        seconds: for those.
        size: of the result in bytes.
        needed: bytes of disk beyond what an earlier run has written: the segments, and the film that they are joined
            to, are there side by side for a while.
        free: bytes on the target's disk.
    """

    output: Path
    frames: int | None
    seconds: float | None
    size: int | None
    needed: int | None
    free: int

    def __str__(self) -> str:
        if self.frames is None or self.seconds is None or self.size is None:
            return f"its length is unknown, and so are time and size; {size(self.free)} of disk are free"
        return (
            f"{self.frames:,} frames to colour in about {duration(self.seconds)}, {size(self.size)} in the end; "
            f"{size(self.needed or 0)} of disk needed, {size(self.free)} free"
        )

    def check(self) -> None:
        """Raises OutputError where the disk can't hold the result."""
        if self.needed is not None and self.needed > self.free:
            raise OutputError(
                f"{self.output} needs about {size(self.needed)} of disk while it is made; {size(self.free)} are free",
                "Free some space, choose another disk with --output, or a higher --crf",
            )


def estimate(job: Job, engine: Engine, stopping: Callable[[], bool] = lambda: False) -> Estimate:
    """Colour and encode a sample of a film.

    Raises:
        RestoreError: what would be wrong with the film, too.
    """
    total = job.film.frames
    done_frames = sum(len(segment.pts) for segment in job.done)
    done_bytes = sum(segment.path.stat().st_size for segment in job.done)
    free = free_space(job.output.parent)
    whole = bool(job.done) and job.done[-1].last
    if not whole:
        check_size(job.film)
    if not whole and total is None:
        return Estimate(job.output, None, None, None, None, free)
    left = 0 if whole else max(0, (total or 0) - done_frames)
    seconds, bytes_a_frame = (0.0, 0.0) if whole else _sample(job, engine, total or 0, stopping)
    picture = done_bytes + round(left * bytes_a_frame)
    other = _other_bytes(job.film)
    return Estimate(job.output, left, left * seconds, picture + other, 2 * picture + other - done_bytes, free)


def _sample(job: Job, engine: Engine, total: int, stopping: Callable[[], bool]) -> tuple[float, float]:
    """Seconds and bytes for a frame of a film with `total` frames."""
    wanted = min(_MOST, max(_LEAST, total // _SHARE))
    starts = keyframes(job.film, min(_PLACES, wanted // _PLACE))
    frames = _until(frames_at(job.film, starts, wanted // max(1, len(starts))), stopping)
    with tempfile.TemporaryDirectory(prefix="restore-") as folder:
        path = Path(folder) / "sample"
        begin = time.perf_counter()
        with contextlib.closing(render_frames(frames, job.film, job.codec, job.options, engine)) as rendered:
            first = next(rendered, None)
            if first is None:
                return 0.0, 0.0
            count = len(encode_segment(path, chain([first], rendered), job.film, job.codec))
        return (time.perf_counter() - begin) / count, _bytes_a_frame(path)


def _until(frames: Iterator[Frame], stopping: Callable[[], bool]) -> Iterator[Frame]:
    for frame in frames:
        if stopping():
            return
        yield frame


def _bytes_a_frame(path: Path) -> float:
    keys: list[int] = []
    others: list[int] = []
    with open_input(path) as container:
        for packet in container.demux(container.streams.video[0]):
            if packet.size:
                (keys if packet.is_keyframe else others).append(packet.size)
    if not others:
        return sum(keys) / len(keys)
    return sum(others) / len(others) + sum(keys) / len(keys) / _FRAMES_A_SCENE


def _other_bytes(film: Film) -> int:
    """Sound and all that is copied: its share of packets in the middle of the film, of the film's size."""
    sizes, part = {True: 0, False: 0}, 1.0
    with open_film(film.path) as container, contextlib.suppress(av.error.FFmpegError, OSError):
        length = (container.duration or 0) / 1_000_000
        part = min(1.0, film.seconds / length) if film.seconds and length else 1.0
        if container.duration:
            container.seek((container.start_time or 0) + container.duration // 2)
        for packet in islice(container.demux(), _PEEK_PACKETS):
            sizes[packet.stream_index == film.stream] += packet.size
    return round(film.path.stat().st_size * part * sizes[False] / (sum(sizes.values()) or 1))
