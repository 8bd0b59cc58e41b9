"""The proof: a finished film is compared with its source before it gets its name."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import av.container
import av.packet
import av.stream
import numpy as np

from restore.errors import CheckError
from restore.stopping import unless_stopped
from restore.video.assemble import copied_packets
from restore.video.film import Film, describe, open_film, picture_stream
from restore.video.pyav import fraction
from restore.video.reader import Reader
from restore.video.spots import frame_from
from restore.video.streams import (
    container_format,
    cover_bytes,
    is_cover,
    layout,
    lost_of_picture,
    made_streams,
)

# What a muxer's own rounding may add to a time, in units of the container.
_ROUNDING = 1
# Seconds: a header may tell where the picture ends in milliseconds.
_END_SLACK = Fraction(2, 1000)
# At most this many packets without a frame are examined.
_MOST_LOOKED_FOR = 20
_SECONDS_BEFORE = (0, 5, 30)
_ADTS_SYNC = 0xFFF
_EMPTY_TEXT = b"\0\0"


@dataclass(frozen=True)
class Proof:
    """What was compared and found equal.

    Args:
        shift: seconds by which all of the film was moved, because something in it begins before zero, or was cut off.
        silent: packets of the source's picture that give no frame, also when they are decoded apart from the film.
        luma: every luma plane was compared, too.
    """

    frames: int
    streams: int
    copied_packets: int
    shift: Fraction = Fraction(0)
    silent: int = 0
    luma: bool = False

    def as_json(self) -> dict[str, Any]:
        return {
            "frames_and_pts": self.frames,
            "streams": self.streams,
            "copied_packets": self.copied_packets,
            "moved_by_seconds": float(self.shift),
            "packets_without_frame": self.silent,
            "luma_equal": self.luma,
        }


def check(
    result: Path,
    film: Film,
    pts: Sequence[int],
    end: int,
    shift: int = 0,
    *,
    undamaged: bool = False,
    stopping: Callable[[], bool] = lambda: False,
) -> Proof:
    """Compare a film with its source: the streams, every frame's pts, every copied packet's content and time.

    Args:
        pts: when each frame is due, in the film's time base.
        end: where the last one ends.
        shift: by how much the whole film was moved.
        undamaged: the source was read without any losses: then each packet of its picture must have become a frame.

    Raises:
        Stopped: `stopping` said yes.
        CheckError: they differ.
    """
    with open_film(film.path) as source, open_film(result) as made:
        plan = layout(source, film, container_format(result))
        theirs = _read(source, list(source.streams), film, stopping)
        due = [theirs[index] for index in plan.all]
        streams = made_streams(made)
        if len(streams) < len(due):  # MP4 has no tracks without packets.
            due = [stream for stream in due if stream.count or stream.kind == "attachment"]
        copy = replace(film, path=result, stream=picture_stream(made, result).index, begin=None, stop=None)
        ours = list(_read(made, streams, copy, stopping).values())
        kinds = [[stream.kind for stream in found] for found in (ours, due)]
        if kinds[0] != kinds[1]:
            raise _differs(film, f"streams {', '.join(kinds[0])}", ", ".join(kinds[1]))
    silent = _check_packets(film, theirs[film.stream], pts) if undamaged else 0
    told = describe(result)
    lost = lost_of_picture(film, told)
    if lost:
        raise _differs(film, f"not {', '.join(lost)}", "it")
    earliest = min(stream.first for stream in due)
    moved = None
    for found, expected in zip(ours, due, strict=True):
        if expected.index == film.stream:
            moved = _check_picture(film, found, [stamp + shift for stamp in pts], earliest)
    assert moved is not None
    due_end = (end + shift) * film.time_base + moved
    # MP4 tells a length in order of decoding, which is not the order of display where frames are of uneven length.
    lengths = [after - before for before, after in pairwise([*pts, end])]
    uneven = (max(lengths) - min(lengths)) * film.time_base
    if told.ends is not None and abs(told.ends - due_end) > _END_SLACK + uneven:
        raise _differs(film, f"an end at {float(told.ends):.3f} s", f"{float(due_end):.3f} s")
    for found, expected in zip(ours, due, strict=True):
        if expected.index != film.stream:
            _check_copy(film, found, expected, moved + shift * film.time_base)
    copied = sum(stream.count for stream in due if stream.index != film.stream)
    return Proof(len(pts), len(due), copied, moved + shift * film.time_base, silent)


def check_luma(result: Path, film: Film, shift: int, stopping: Callable[[], bool] = lambda: False) -> None:
    """Compare every luma plane, where the codec is lossless.

    Args:
        shift: bits by which luma was moved up.

    Raises:
        Stopped: `stopping` said yes.
        CheckError: they differ.
    """
    made = describe(result)
    frames = unless_stopped(Reader(film).frames(), stopping)
    for before, after in zip(frames, Reader(made).frames(), strict=True):
        if not np.array_equal(before.luma.astype(np.uint16) << np.uint16(shift), after.luma):
            raise _differs(film, f"another luma in frame {before.index}", "the same luma")


def _check_packets(film: Film, source: _Stream, pts: Sequence[int]) -> int:
    """Compare frames with the packets that they came in, as the container counts them.

    Returns:
        The number of packets without a frame that are no error: some codecs have packets that are not shown.

    Raises:
        CheckError: a frame is missing that comes out when it is decoded by itself.
    """
    if film.by_decoding or film.field_order > 1 or not source.timed:
        return 0  # Packets do not tell when, or whether, they are shown; or there is one for each field.
    begin = min(source.times) if film.begin is None else film.begin
    due = {stamp for stamp in source.times if stamp >= begin and (film.stop is None or stamp < film.stop)}
    missing = sorted(due.difference(pts))
    for stamp in missing[:: -(-len(missing) // _MOST_LOOKED_FOR) or 1]:
        if any(frame_from(film, stamp, seconds) == stamp for seconds in _SECONDS_BEFORE):
            raise _differs(film, f"no frame at {float(stamp * film.time_base):.3f} s", "one")
    return len(missing)


def _check_picture(film: Film, found: _Stream, pts: Sequence[int], earliest: Fraction) -> Fraction:
    """Raises CheckError, or says by how much the muxer has moved the film, in seconds."""
    if len(found.times) != len(pts):
        raise _differs(film, f"{len(found.times)} frames", str(len(pts)))
    unit = found.unit
    slack = 0 if unit == film.time_base else _ROUNDING
    times = sorted(found.times)
    moved = (times[0] - round(pts[0] * film.time_base / unit)) * unit
    # Sound that begins before the picture may not begin before zero everywhere; then muxers move all of the film.
    if not (abs(moved) <= slack * unit or 0 < moved <= max(Fraction(0), -earliest) + unit):
        raise _differs(film, f"its first frame {float(moved):.3f} s later", "the same time")
    if abs(moved) <= slack * unit:
        moved = Fraction(0)
    for number, (stamp, due) in enumerate(zip(times, pts, strict=True)):
        wanted = round((due * film.time_base + moved) / unit)
        if abs(stamp - wanted) > slack:
            raise _differs(film, f"frame {number} at {float(stamp * unit):.6f} s", f"{float(wanted * unit):.6f} s")
    return moved


def _check_copy(film: Film, found: _Stream, expected: _Stream, moved: Fraction) -> None:
    where = f"stream {expected.index} of the source"
    if found.count != expected.count:
        raise _differs(film, f"{found.count} packets of {where}", str(expected.count))
    if found.digest.digest() != expected.digest.digest():
        raise _differs(film, f"packets of {where} with other content", "the same content")
    slack = found.unit * _ROUNDING + expected.unit
    for stamp, due in zip(found.times, expected.times, strict=True):
        if abs(stamp * found.unit - (due * expected.unit + moved)) > slack:
            raise _differs(
                film,
                f"a packet of {where} at {float(stamp * found.unit):.3f} s",
                f"{float(due * expected.unit + moved):.3f} s",
            )


@dataclass
class _Stream:
    """What a stream consists of.

    Args:
        times: pts in `unit`, in order of the packets.
        digest: over the packets' content.
        first: seconds at which it begins.
        timed: all of its packets have a pts.
    """

    index: int
    kind: str
    unit: Fraction
    times: array[int] = field(default_factory=lambda: array("q"))
    digest: Any = field(default_factory=hashlib.sha256)
    first: Fraction = Fraction(0)
    timed: bool = True

    @property
    def count(self) -> int:
        return len(self.times)


def _read(
    container: av.container.InputContainer,
    streams: list[av.stream.Stream],
    film: Film,
    stopping: Callable[[], bool],
) -> dict[int, _Stream]:
    units = {stream.index: fraction(stream.time_base) or Fraction(1) for stream in streams}
    found = {stream.index: _Stream(stream.index, stream.type, units[stream.index]) for stream in streams}
    as_files = set()
    for stream in streams:
        if stream.type == "attachment":
            found[stream.index].digest.update(stream.data)  # type: ignore[attr-defined]
        elif is_cover(stream):
            # A file in Matroska, a packet elsewhere.
            found[stream.index].kind = "attachment"
            found[stream.index].digest.update(cover_bytes(film.path, stream.index))
            as_files.add(stream.index)
    packed = [stream for stream in streams if stream.type != "attachment" and stream.index not in as_files]
    for packet in unless_stopped(copied_packets(container, packed, film), stopping):
        content = _content(packet)
        if content is None:
            continue
        one = found[packet.stream_index]
        if packet.is_discard and packet.stream_index == film.stream:
            continue
        stamp = packet.pts or 0
        one.timed &= packet.pts is not None
        if not one.times:
            one.first = stamp * one.unit
        one.times.append(stamp)
        one.digest.update(content)
    return found


def _content(packet: av.packet.Packet) -> bytes | None:
    """What a packet carries, without what belongs to its container; None where MP4 marks a gap between subtitles."""
    data = bytes(packet)
    name = packet.stream.codec_context.name if packet.stream.codec_context else ""
    if name == "mov_text" and data == _EMPTY_TEXT:
        return None
    if name == "aac" and len(data) > 7 and (data[0] << 4 | data[1] >> 4) == _ADTS_SYNC:
        return data[7:] if data[1] & 1 else data[9:]
    return data


def _differs(film: Film, found: str, due: str) -> CheckError:
    return CheckError(
        f"the result of {film.path} failed its check: it has {found}, where {due} is due",
        "Its work is kept; please report this",
    )
