"""The proof: a finished film is compared with its source before it gets its name."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.container
import av.stream

from restore.errors import CheckError
from restore.video.film import Film, open_film


@dataclass(frozen=True)
class Proof:
    """What was compared and found equal."""

    frames: int
    streams: int
    copied_packets: int

    def as_json(self) -> dict[str, Any]:
        return {"frames_and_pts": self.frames, "streams": self.streams, "copied_packets": self.copied_packets}


def check(result: Path, film: Film, pts: Sequence[int]) -> Proof:
    """Compare a film with its source: the streams, every frame's pts, and every copied packet's content.

    Raises:
        CheckError: they differ.
    """
    with open_film(film.path) as source, open_film(result) as made:
        kinds = [[stream.type for stream in container.streams] for container in (source, made)]
        if kinds[0] != kinds[1]:
            raise _differs(film, f"streams {', '.join(kinds[1])}", ", ".join(kinds[0]))
        theirs, ours = _Digests(source, film.stream), _Digests(made, film.stream)
    unit = made_unit = ours.time_base
    expected = [_rounded(stamp * film.time_base, unit) for stamp in pts]
    if len(ours.pts) != len(expected):
        raise _differs(film, f"{len(ours.pts)} frames", str(len(expected)))
    for number, (stamp, due) in enumerate(zip(sorted(ours.pts), expected, strict=True)):
        if abs(stamp - due) > (0 if unit == film.time_base else 1):
            raise _differs(film, f"frame {number} at {stamp * made_unit}", f"{due * made_unit}")
    for index, (count, digest) in theirs.copied.items():
        if ours.copied[index] != (count, digest):
            raise _differs(film, f"stream {index} with {ours.copied[index][0]} packets of other content", str(count))
    return Proof(len(expected), len(kinds[0]), sum(count for count, _ in theirs.copied.values()))


class _Digests:
    """What a container's packets say: pts of the picture; number and hash of each other stream's packets."""

    def __init__(self, container: av.container.InputContainer, picture: int) -> None:
        self.pts: list[int] = []
        self.time_base = container.streams[picture].time_base or Fraction(1)
        counts: dict[int, int] = {}
        hashes = {stream.index: hashlib.sha256() for stream in container.streams if stream.index != picture}
        for packet in container.demux():
            if not packet.size:
                continue
            if packet.stream_index == picture:
                self.pts.append(packet.pts or 0)
            else:
                counts[packet.stream_index] = counts.get(packet.stream_index, 0) + 1
                hashes[packet.stream_index].update(bytes(packet))
        self.copied = {index: (counts.get(index, 0), digest.hexdigest()) for index, digest in hashes.items()}


def _rounded(seconds: Fraction, unit: Fraction) -> int:
    return round(seconds / unit)


def _differs(film: Film, found: str, due: str) -> CheckError:
    return CheckError(
        f"the result of {film.path} failed its check: it has {found}, where {due} is due",
        "Its work is kept; please report this",
    )
