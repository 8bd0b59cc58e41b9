"""Decoding: frames in order of their display, each with its luma as it is in the film."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from itertools import chain
from typing import Any

import av
import av.container
import av.error
import av.filter
import av.packet
import av.video.frame
import av.video.stream
import numpy as np
import numpy.typing as npt

from restore.errors import InputError
from restore.video.film import Film, open_film
from restore.video.pyav import fraction

Plane = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]

MAX_ERRORS_IN_A_ROW = 1000
# A step back in time that is longer is a new beginning of the clock, not a stumble.
JUMP_SECONDS = 1
DAMAGE = (av.error.InvalidDataError, av.error.ExternalError, av.error.UndefinedError, av.error.BugError)
_FULL_RANGE = 2
# Containers that tell where keyframes are. Others are searched by timestamps, which may occur twice in a film: a part
# of one is read from the start, and a resumed one only as far as its frames are known.
_INDEXED = ("mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm")
# Seconds before the wanted frame: a keyframe may be shown later than frames that follow it in the file.
_STEPS_BACK = (0, 1, 5, 20)
# Formats whose samples stand in the upper bits of 16, and by how much.
_HIGH_BITS = {"p010le": 6, "p210le": 6, "p410le": 6, "p012le": 4, "p212le": 4, "p412le": 4}


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
        packets: that the container or the decoder could not make sense of, or that are marked as damaged.
        frames: that were decoded with damage, as far as the decoder tells.
        missing: frames that the header promises and that did not come, as far as it says.
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
            the container can't find that frame, the film is decoded from the start. So is a part of a film.
        end: where the last frame that was read ends, in units of the film's time base.
        plan: pts of each frame that was read, for comparing with what became of them.
        plan_begin: the first one's index.
    """

    film: Film
    first_index: int = 0
    first_pts: int | None = None
    losses: Losses = field(default_factory=Losses)
    end: int = 0
    plan: array[int] = field(default_factory=lambda: array("q"))
    plan_begin: int = 0
    _last: int = 0
    _count: int = 0
    _delay: int | None = None

    def frames(self) -> Iterator[Frame]:
        """Raises InputError where the film can't be read on, or its frames change their size."""
        begin = self.first_pts if self.first_pts is not None else self.film.begin
        # With a clock that began anew, the film's own times are others than those that frames were given.
        if begin is not None and not self.losses.timestamps:
            frames = self._from(begin)
            first = next(frames, None)
            if first is not None and self.first_pts in (None, first.pts):
                yield first
                yield from frames
                return
        self.losses = Losses()
        self.plan = array("q")
        yield from (frame for frame in self._all() if frame.index >= self.first_index)

    def _from(self, begin: int) -> Iterator[Frame]:
        """From a time on, if seeking finds it."""
        index = self.first_index
        timeline = self._timeline()
        for decoded in self._decoded(begin):
            pts = timeline.place(self._stamp(decoded), self._length(decoded))
            self.losses.timestamps = timeline.mended
            if self._is_behind(pts):
                break
            if pts >= begin:
                yield self._frame(decoded, index, pts)
                index += 1
        self._finish()

    def _all(self) -> Iterator[Frame]:
        timeline, index = self._timeline(), 0
        for decoded in self._decoded(None):
            pts = timeline.place(self._stamp(decoded), self._length(decoded))
            self.losses.timestamps = timeline.mended
            if self._is_behind(pts):
                break
            if self.film.begin is None or pts >= self.film.begin:
                yield self._frame(decoded, index, pts)
                index += 1
        self._finish()

    def _stamp(self, decoded: av.video.frame.VideoFrame) -> int | None:
        if not self.film.by_decoding:
            return decoded.pts if decoded.pts is not None else decoded.dts
        if decoded.dts is None:  # The last ones, which no packet has pushed out.
            return self._last + self._length(decoded)
        if self._delay is None:
            begin = self.film.starts or Fraction(0)
            self._delay = decoded.dts - round(begin / self.film.time_base)
        return decoded.dts - self._delay

    def _is_behind(self, pts: int) -> bool:
        return self.film.stop is not None and pts >= self.film.stop

    def _timeline(self) -> Timeline:
        return Timeline(round(JUMP_SECONDS / self.film.time_base))

    def _length(self, decoded: av.video.frame.VideoFrame) -> int:
        return max(1, decoded.duration or round(1 / (self.film.rate * self.film.time_base)))

    def _finish(self) -> None:
        """At the last frame: the header knows best where it ends, and what should have come."""
        film = self.film
        if film.stop is not None:
            self.end = min(self.end, max(self._last + 1, film.stop))
        if self.losses.timestamps:
            return  # Then the header's times are not those of the frames.
        seconds = self.end * film.time_base
        cut_off = max(0, round(((film.ends or seconds) - seconds) * film.rate))
        if film.ends is not None and cut_off <= 1:  # Headers round.
            self.end = max(self._last + 1, round(film.ends / film.time_base))
        if film.constant and film.starts is not None:
            due = round(((film.ends or seconds) - film.starts) * film.rate)
            self.losses.missing = max(0, due - self._count)
        else:
            self.losses.missing = cut_off if cut_off > 1 else 0

    def _decoded(self, begin: int | None) -> Iterator[av.video.frame.VideoFrame]:
        frames = self._as_stored(begin)
        return _deinterlaced(frames, self.film) if self.film.deinterlace else frames

    def _as_stored(self, begin: int | None) -> Iterator[av.video.frame.VideoFrame]:
        """From the start, or from before `begin`: nothing, where that can't be found for certain."""
        with open_film(self.film.path) as container:
            stream = container.streams[self.film.stream]
            assert isinstance(stream, av.video.stream.VideoStream)
            stream.thread_type = "AUTO"
            packets = container.demux(stream)
            if begin is not None:
                # A deinterlaced frame depends on its neighbours.
                before = round(3 / (self.film.rate * self.film.time_base)) if self.film.deinterlace else 0
                begin -= before
                keyframe = self._seek(container, stream, begin)
                if keyframe is None:
                    return
                packets = chain([keyframe], container.demux(stream))
            in_a_row = 0
            while True:
                try:
                    packet = next(packets, None)
                    if packet is None:
                        return
                    self.losses.packets += packet.is_corrupt
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
                if begin is not None and decoded:
                    if decoded[0].pts is None or decoded[0].pts > begin:
                        return  # The decoder needs more before it shows what was looked for.
                    begin = None
                yield from decoded

    def _seek(
        self, container: av.container.InputContainer, stream: av.video.stream.VideoStream, begin: int
    ) -> av.packet.Packet | None:
        """The packet of a keyframe that is shown at or before `begin`; those that are shown later follow it."""
        if self.film.by_decoding or (self.first_pts is None and container.format.name not in _INDEXED):
            return None
        for seconds in _STEPS_BACK:
            try:
                container.seek(begin - round(seconds / self.film.time_base), stream=stream)
                packet = next(container.demux(stream), None)
            except (av.error.FFmpegError, OSError):
                return None
            if packet is not None and packet.is_keyframe and packet.pts is not None and packet.pts <= begin:
                return packet
        return None

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
            raise size_error(film, (decoded.width, decoded.height), pts, "at")
        if decoded.is_corrupt:
            self.losses.frames += 1
        self._count, self._last, self.end = index + 1, pts, pts + self._length(decoded)
        if not self.plan:
            self.plan_begin = index
        self.plan.append(pts)
        interlaced = bool(decoded.interlaced_frame) and not film.deinterlace
        planes = _as_planes(decoded, film)
        if decoded.format.name in _HIGH_BITS:  # FFmpeg's conversion is not exact.
            luma = plane_array(decoded, 0).view("<u2") >> np.uint16(_HIGH_BITS[decoded.format.name])
        else:
            luma = plane_array(planes, 0)
        chroma = None if film.grey else (plane_array(planes, 1), plane_array(planes, 2))
        return Frame(index, pts, luma, chroma, interlaced)


def size_error(film: Film, size: tuple[int, int], pts: int, word: str) -> InputError:
    """The error to raise where a film's frames have another size from somewhere on."""
    zero = film.begin if film.begin is not None else round((film.starts or 0) / film.time_base)
    seconds = float((pts - zero) * film.time_base)
    return InputError(
        f"{film.path} changes its size from {film.width}×{film.height} to {size[0]}×{size[1]} {word} {seconds:.1f} s",
        "Split it there first, or take a part of it with --start and --duration",
    )


def _as_planes(decoded: av.video.frame.VideoFrame, film: Film) -> av.video.frame.VideoFrame:
    """Grey, or the film's planar Y, Cb and Cr; luma stays what it was."""
    pixel = decoded.format
    if film.grey:
        wanted = "gray" if film.form.depth == 8 else f"gray{film.form.depth}le"
    else:
        wanted = film.planar
    if pixel.name.replace("yuvj", "yuv") in (wanted, film.planar):
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
        frame = _with_chroma(_as_planes(frame, film), film)
        if graph is None:
            graph = _deinterlacer(frame, film)
        graph.vpush(frame)
        yield from _pulled(graph, film)
    if graph is not None:
        graph.vpush(None)
        yield from _pulled(graph, film)


def _with_chroma(frame: av.video.frame.VideoFrame, film: Film) -> av.video.frame.VideoFrame:
    """A grey frame with neutral chroma: the filter knows grey of 8 and 16 bits only."""
    if not film.grey:
        return frame
    whole = av.VideoFrame(frame.width, frame.height, film.planar)
    np.copyto(plane_array(whole, 0), plane_array(frame, 0))
    for number in (1, 2):
        plane_array(whole, number)[:] = 1 << (film.form.depth - 1)
    whole.pts, whole.time_base, whole.duration = frame.pts, film.time_base, frame.duration
    return whole


def _deinterlacer(frame: av.video.frame.VideoFrame, film: Film) -> av.filter.Graph:
    graph = av.filter.Graph()
    source = graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=film.time_base)
    parity = "bff" if film.bottom_first else "tff"
    graph.link_nodes(source, graph.add("bwdif", f"mode=send_frame:deint=all:parity={parity}"), graph.add("buffersink"))
    graph.configure()
    return graph


def _pulled(graph: av.filter.Graph, film: Film) -> Iterator[av.video.frame.VideoFrame]:
    while True:
        try:
            frame = graph.vpull()
        except (av.error.BlockingIOError, av.error.EOFError):
            return
        time_base = fraction(frame.time_base)
        if frame.pts is not None and time_base:
            ticks = time_base / film.time_base
            frame.pts, frame.duration = round(frame.pts * ticks), round(frame.duration * ticks)
            frame.time_base = film.time_base
        yield frame


def plane_array(frame: av.video.frame.VideoFrame, number: int) -> Plane:
    """A plane of a planar frame, (h, w), without a copy: writing to it writes to the frame."""
    plane: Any = frame.planes[number]  # a buffer, which not every version's annotations tell
    dtype: Any = np.uint8 if frame.format.components[number].bits == 8 else np.uint16
    lines: Plane = np.frombuffer(plane, dtype).reshape(plane.height, -1)
    return lines[:, : plane.width]
