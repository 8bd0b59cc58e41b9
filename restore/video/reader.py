"""Decoding: frames in order of their display, each with its luma as it is in the film."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field

import av
import av.error
import av.video.frame
import numpy as np
import numpy.typing as npt

from restore.errors import InputError
from restore.video.film import Film, open_film

Plane = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]

_MAX_ERRORS_IN_A_ROW = 1000


@dataclass(frozen=True)
class Frame:
    """A decoded frame.

    Args:
        index: counted from the film's first frame.
        pts: in units of the film's time base; above its predecessor's.
        luma: (H, W), as decoded.
        chroma: Cb and Cr as decoded; None in grey film.
        interlaced: two fields, in alternate lines.
    """

    index: int
    pts: int
    luma: Plane
    chroma: tuple[Plane, Plane] | None
    interlaced: bool


@dataclass
class Losses:
    """What could not be decoded, and timestamps that had to be mended."""

    packets: int = 0
    frames: int = 0
    timestamps: int = 0
    first_error: str = ""

    def as_json(self) -> dict[str, int | str]:
        return asdict(self)


@dataclass
class Reader:
    """Reads a film's frames from one of them on.

    Args:
        first_index, first_pts: where to begin; None is the film's first frame. A film is decoded from the keyframe
            before, and what comes earlier is dropped, which gives the same frames as decoding from the start.
    """

    film: Film
    first_index: int = 0
    first_pts: int | None = None
    losses: Losses = field(default_factory=Losses)

    def frames(self) -> Iterator[Frame]:
        """Raises InputError where the film can't be read on, or its frames change their size."""
        index, last = self.first_index, None
        for decoded in self._decoded():
            pts = self._pts(decoded, last)
            if self.first_pts is not None and pts < self.first_pts:
                continue
            last = pts
            yield self._frame(decoded, index, pts)
            index += 1

    def _decoded(self) -> Iterator[av.video.frame.VideoFrame]:
        path = self.film.path
        with open_film(path) as container:
            stream = container.streams[self.film.stream]
            assert isinstance(stream, av.video.stream.VideoStream)
            stream.thread_type = "AUTO"
            if self.first_pts is not None:
                container.seek(self.first_pts, stream=stream)
            in_a_row = 0
            packets = container.demux(stream)
            while True:
                try:
                    packet = next(packets, None)
                    if packet is None:
                        return
                    decoded = stream.codec_context.decode(packet if packet.size else None)
                except (av.error.InvalidDataError, av.error.ExternalError, av.error.UndefinedError) as error:
                    self.losses.packets += 1
                    self.losses.first_error = self.losses.first_error or str(error)
                    in_a_row += 1
                    if in_a_row > _MAX_ERRORS_IN_A_ROW:
                        raise InputError(f"{path} is damaged: {in_a_row} packets in a row can't be decoded") from error
                    continue
                except av.error.EOFError:
                    return
                except (av.error.FFmpegError, OSError) as error:
                    raise InputError(f"{path} can't be read on: {error}", "Is its disk still there?") from error
                in_a_row = 0
                yield from decoded

    def _pts(self, decoded: av.video.frame.VideoFrame, last: int | None) -> int:
        """The frame's pts, made up from its neighbours where it is missing, and never at or before the last one."""
        step = max(1, decoded.duration or round(1 / (self.film.rate * self.film.time_base)))
        pts = decoded.pts if decoded.pts is not None else decoded.dts
        if pts is None:
            self.losses.timestamps += 1
            pts = 0 if last is None else last + step
        if last is not None and pts <= last:
            self.losses.timestamps += 1
            pts = last + 1
        return pts

    def _frame(self, decoded: av.video.frame.VideoFrame, index: int, pts: int) -> Frame:
        film = self.film
        if (decoded.width, decoded.height) != (film.width, film.height):
            seconds = float(pts * film.time_base)
            raise InputError(
                f"{film.path} changes its size from {film.width}×{film.height} to {decoded.width}×{decoded.height} "
                f"at {seconds:.1f} s",
                "Split it there first",
            )
        if decoded.is_corrupt:
            self.losses.frames += 1
        grey = film.pixel_format.startswith("gray")
        planar = film.pixel_format if grey else film.planar
        if decoded.format.name.replace("yuvj", "yuv") != planar:
            decoded = decoded.reformat(format=planar)
        planes = [plane_array(decoded, i) for i in range(1 if grey else 3)]
        return Frame(
            index,
            pts,
            planes[0],
            None if grey else (planes[1], planes[2]),
            bool(decoded.interlaced_frame),
        )


def plane_array(frame: av.video.frame.VideoFrame, number: int) -> Plane:
    """A plane of a planar frame, (h, w), without a copy: writing to it writes to the frame."""
    plane = frame.planes[number]
    dtype = np.uint8 if frame.format.components[number].bits == 8 else np.uint16
    lines = np.frombuffer(plane, dtype).reshape(plane.height, -1)  # type: ignore[call-overload]
    return lines[:, : plane.width]
