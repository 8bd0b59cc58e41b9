"""Decoding: frames in order of their display, each with its luma as it is in the film."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field

import av
import av.container
import av.error
import av.filter
import av.video.frame
import av.video.stream
import numpy as np
import numpy.typing as npt

from restore.errors import InputError
from restore.video.film import Film, open_film

Plane = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]

MAX_ERRORS_IN_A_ROW = 1000
# A step back in time that is longer is a new beginning of the clock, not a stumble.
JUMP_SECONDS = 1
DAMAGE = (av.error.InvalidDataError, av.error.ExternalError, av.error.UndefinedError, av.error.BugError)
_FULL_RANGE = 2


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
    """What could not be decoded, and timestamps that had to be mended.

    Args:
        packets: that the container or the decoder could not make sense of.
        frames: that were decoded with damage.
        missing: frames that the header promises beyond the last one, as far as it says.
    """

    packets: int = 0
    frames: int = 0
    timestamps: int = 0
    missing: int = 0
    first_error: str = ""

    def as_json(self) -> dict[str, int | str]:
        return asdict(self)


@dataclass
class Timeline:
    """Makes timestamps rise: fills in missing ones, and goes on where a clock begins anew.

    Args:
        jump: a step back that is longer is taken for a new beginning.
    """

    jump: int
    last: int | None = None
    offset: int = 0
    mended: int = 0

    def place(self, stamp: int | None, step: int) -> int:
        """The time of what comes next; `step` is how far it lies behind its predecessor where nothing else tells."""
        after = None if self.last is None else self.last + step
        if stamp is None:
            self.mended += 1
            placed = after or 0
        else:
            placed = stamp + self.offset
            if self.last is not None and after is not None and placed <= self.last:
                self.mended += 1
                if self.last - placed > self.jump:
                    self.offset += after - placed
                    placed = after
                else:
                    placed = self.last + 1
        self.last = placed
        return placed


@dataclass
class Reader:
    """Reads a film's frames from one of them on.

    Args:
        first_index, first_pts: where to begin; None is the film's first frame. A film is decoded from the keyframe
            before, and what comes earlier is dropped, which gives the same frames as decoding from the start. Where
            the container can't find that frame, the film is decoded from the start.
        end: where the last frame that was read ends, in units of the film's time base.
    """

    film: Film
    first_index: int = 0
    first_pts: int | None = None
    losses: Losses = field(default_factory=Losses)
    end: int = 0

    def frames(self) -> Iterator[Frame]:
        """Raises InputError where the film can't be read on, or its frames change their size."""
        if self.first_pts is not None:
            frames = self._from(self.first_pts)
            first = next(frames, None)
            if first is not None and first.pts == self.first_pts:
                yield first
                yield from frames
                return
            self.losses = Losses()
        yield from (frame for frame in self._all() if frame.index >= self.first_index)

    def _from(self, first_pts: int) -> Iterator[Frame]:
        """From a frame on, if seeking finds it."""
        index = self.first_index
        timeline = self._timeline()
        for decoded in self._decoded(first_pts):
            pts = timeline.place(_stamp(decoded), self._length(decoded))
            if pts >= first_pts:
                yield self._frame(decoded, index, pts)
                index += 1
        self._count_missing()

    def _all(self) -> Iterator[Frame]:
        timeline = self._timeline()
        for index, decoded in enumerate(self._decoded(None)):
            pts = timeline.place(_stamp(decoded), self._length(decoded))
            self.losses.timestamps = timeline.mended
            yield self._frame(decoded, index, pts)
        self._count_missing()

    def _timeline(self) -> Timeline:
        return Timeline(round(JUMP_SECONDS / self.film.time_base))

    def _length(self, decoded: av.video.frame.VideoFrame) -> int:
        return max(1, decoded.duration or round(1 / (self.film.rate * self.film.time_base)))

    def _count_missing(self) -> None:
        if self.film.ends is not None:
            shortfall = round((self.film.ends - self.end * self.film.time_base) * self.film.rate)
            # One frame is within what headers round.
            self.losses.missing = shortfall if shortfall > 1 else 0

    def _decoded(self, first_pts: int | None) -> Iterator[av.video.frame.VideoFrame]:
        frames = self._as_stored(first_pts)
        return _deinterlaced(frames, self.film) if self.film.deinterlace else frames

    def _as_stored(self, first_pts: int | None) -> Iterator[av.video.frame.VideoFrame]:
        with open_film(self.film.path) as container:
            stream = container.streams[self.film.stream]
            assert isinstance(stream, av.video.stream.VideoStream)
            stream.thread_type = "AUTO"
            if first_pts is not None and not self._seek(container, stream, first_pts):
                return
            in_a_row = 0
            packets = container.demux(stream)
            while True:
                try:
                    packet = next(packets, None)
                    if packet is None:
                        return
                    decoded = stream.codec_context.decode(packet if packet.size else None)
                except DAMAGE as error:
                    in_a_row += 1
                    self._lost(error, in_a_row)
                    packets = container.demux(stream)  # The failed one has ended.
                    continue
                except av.error.EOFError:
                    return
                except (av.error.FFmpegError, OSError) as error:
                    raise InputError(f"{self.film.path} can't be read on: {error}", "Is its disk there?") from error
                in_a_row = 0
                yield from decoded

    def _seek(
        self, container: av.container.InputContainer, stream: av.video.stream.VideoStream, first_pts: int
    ) -> bool:
        # A deinterlaced frame depends on its neighbours.
        before = round(3 / (self.film.rate * self.film.time_base)) if self.film.deinterlace else 0
        try:
            container.seek(first_pts - before, stream=stream)
        except (av.error.FFmpegError, OSError):
            return False
        return True

    def _lost(self, error: Exception, in_a_row: int) -> None:
        self.losses.packets += 1
        self.losses.first_error = self.losses.first_error or str(error)
        if in_a_row > MAX_ERRORS_IN_A_ROW:
            raise InputError(
                f"{self.film.path} is damaged: {in_a_row} packets in a row can't be decoded", "Repair it first"
            ) from error

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
        self.end = pts + self._length(decoded)
        interlaced = bool(decoded.interlaced_frame) and not film.deinterlace
        decoded = _as_planes(decoded, film)
        luma = plane_array(decoded, 0)
        chroma = None if _is_grey(decoded) else (plane_array(decoded, 1), plane_array(decoded, 2))
        return Frame(index, pts, luma, chroma, interlaced)


def _stamp(decoded: av.video.frame.VideoFrame) -> int | None:
    return decoded.pts if decoded.pts is not None else decoded.dts


def _is_grey(frame: av.video.frame.VideoFrame) -> bool:
    return len(frame.format.components) == 1


def _as_planes(decoded: av.video.frame.VideoFrame, film: Film) -> av.video.frame.VideoFrame:
    """Grey, or the film's planar Y, Cb and Cr; luma stays what it was."""
    pixel = decoded.format
    if len(pixel.components) < 3 and not (pixel.is_rgb or pixel.has_palette):
        wanted = "gray" if film.form.depth == 8 else f"gray{film.form.depth}le"
    else:
        wanted = film.planar
    if pixel.name.replace("yuvj", "yuv") == wanted:
        return decoded
    if pixel.is_rgb or pixel.has_palette:
        matrix = film.tags.matrix
        return decoded.reformat(format=wanted, dst_colorspace=matrix, dst_color_range=_FULL_RANGE)
    # As it is: without a range of its own, FFmpeg takes grey for full range and stretches it.
    decoded.color_range = film.tags.range
    return decoded.reformat(format=wanted, src_color_range=film.tags.range, dst_color_range=film.tags.range)


def _deinterlaced(frames: Iterator[av.video.frame.VideoFrame], film: Film) -> Iterator[av.video.frame.VideoFrame]:
    """A progressive frame for each frame, with its pts."""
    graph = None
    for frame in frames:
        frame = _as_planes(frame, film)
        if graph is None:
            graph = _deinterlacer(frame, film)
        graph.vpush(frame)
        yield from _pulled(graph, film)
    if graph is not None:
        graph.vpush(None)
        yield from _pulled(graph, film)


def _deinterlacer(frame: av.video.frame.VideoFrame, film: Film) -> av.filter.Graph:
    graph = av.filter.Graph()
    source = graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=film.time_base)
    parity = "auto" if frame.interlaced_frame else ("bff" if film.bottom_first else "tff")
    graph.link_nodes(source, graph.add("bwdif", f"mode=send_frame:deint=all:parity={parity}"), graph.add("buffersink"))
    graph.configure()
    return graph


def _pulled(graph: av.filter.Graph, film: Film) -> Iterator[av.video.frame.VideoFrame]:
    while True:
        try:
            frame = graph.vpull()
        except (av.error.BlockingIOError, av.error.EOFError):
            return
        if frame.pts is not None and frame.time_base:
            ticks = frame.time_base / film.time_base
            frame.pts, frame.duration = round(frame.pts * ticks), round(frame.duration * ticks)
            frame.time_base = film.time_base
        yield frame


def plane_array(frame: av.video.frame.VideoFrame, number: int) -> Plane:
    """A plane of a planar frame, (h, w), without a copy: writing to it writes to the frame."""
    plane = frame.planes[number]
    dtype = np.uint8 if frame.format.components[number].bits == 8 else np.uint16
    lines = np.frombuffer(plane, dtype).reshape(plane.height, -1)  # type: ignore[call-overload]
    return lines[:, : plane.width]
