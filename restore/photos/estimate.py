"""How long a run will take and how large its results will be, from a sample; and whether the disk can hold them."""

from __future__ import annotations

import contextlib
import math
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import cv2

from restore.errors import OutputError, RestoreError
from restore.files import free_space
from restore.options import PhotoOptions
from restore.photos.plan import PlannedPhoto
from restore.photos.sample import Sample, beside_bytes, color_sample, most_bytes
from restore.photos.survey import Kind, Survey
from restore.progress import duration, size
from restore.threads import map_in_threads, processors

if TYPE_CHECKING:
    from restore.colorizers import Engine

# The sample: of the bytes that are to be done, and of time. A scan costs little more than to be read.
_SHARE, _SECONDS = 1 / 64, 10.0
_LARGE_FILE, _LARGE_COST, _SMALL_COST = 20_000_000, 1 / 4, 10_000_000
# On a disk, files end in blocks; provenance and a line of the state file come to each.
_BLOCKS = 8192


@dataclass(frozen=True)
class Disk:
    """What a disk has to hold: bytes that may be needed beyond those that are replaced, and those that are free."""

    folder: Path
    needed: int
    free: int


@dataclass(frozen=True)
class Estimate:
    """What is to be expected of a run.

    Args:
        photos: to be done.
        seconds: for those; None where so little is to be done that no sample was taken.
        size: of their results, pairs and maps in bytes, likewise.
    """

    photos: int
    seconds: float | None
    size: int | None
    disks: tuple[Disk, ...]

    def __str__(self) -> str:
        said = f"{self.photos:,} photo{'s' * (self.photos != 1)} to colour"
        if self.seconds is not None and self.size is not None:
            said += f" in about {duration(self.seconds)}, {size(self.size)} in the end"
        room = (f"up to {size(disk.needed)} of disk needed, {size(disk.free)} free" for disk in self.disks)
        return "; ".join((said, *room))

    def check(self) -> None:
        """Raises OutputError where a disk can't hold the results."""
        for disk in self.disks:
            if disk.needed > disk.free:
                raise OutputError(
                    f"the results for {disk.folder} may need {size(disk.needed)} of disk; {size(disk.free)} are free",
                    "Free some space, choose another disk with --output, or give fewer photos at a time",
                )


@dataclass
class _Known:
    """What is known of a kind of photos: its samples, each with the bytes of its original, and the bytes of all pairs
    and maps."""

    kind: Kind
    beside: float
    samples: list[tuple[Sample, int]] = field(default_factory=list)
    most: float = 0.0

    def seconds(self) -> float:
        return self.kind.bytes * statistics.fmean(sample.seconds / length for sample, length in self.samples)

    def size(self) -> float:
        return self.kind.bytes * statistics.fmean(sample.size / length for sample, length in self.samples)

    def needed(self) -> float:
        """Bytes that will hardly be exceeded."""
        if not self.samples:
            return self.kind.bytes * self.most
        ratios = [sample.size / length for sample, length in self.samples]
        if len(ratios) == self.kind.count:
            return self.size()
        high = max(ratios)
        if len(ratios) >= 8:
            high = min(high, statistics.fmean(ratios) + 3 * statistics.stdev(ratios) / math.sqrt(len(ratios)))
        return self.kind.bytes * high * (1.05 if len(ratios) > 1 else 1.25)


def estimate(
    survey: Survey,
    options: PhotoOptions,
    engine: Callable[[], Engine | None],
    *,
    thorough: bool = False,
    stopping: Callable[[], bool] = lambda: False,
) -> Estimate:
    """Colour a sample, where enough is to be done to be worth it, or where the disk may be too small.

    Args:
        engine: asked only for a sample; None where it can't be had.
        thorough: take a sample in any case.
    """
    known = [
        _Known(kind, _beside(kind, options))
        for kind in sorted(survey.kinds.values(), key=lambda kind: kind.bytes, reverse=True)
    ]
    _take(known, options, engine, sum(one.kind.bytes for one in known) * _SHARE, stopping)
    if thorough or not all(disk.needed <= disk.free for disk in _disks(survey, known, options)):
        _take(known, options, engine, math.inf, stopping)
    disks = tuple(_disks(survey, known, options))
    sampled = [one for one in known if one.samples]
    if not sampled:
        return Estimate(survey.left, None, None, disks)
    # What was not sampled is little, and taken for the mean of the rest.
    more = sum(one.kind.bytes for one in known) / max(1, sum(one.kind.bytes for one in sampled))
    threads = min(options.jobs or processors(), survey.left)
    seconds = sum(one.seconds() for one in sampled) * more / threads
    results = sum(one.size() for one in sampled) * more
    return Estimate(survey.left, seconds, round(results + sum(one.beside for one in known)), disks)


def _cost(length: int) -> float:
    return length * (_LARGE_COST if length > _LARGE_FILE else 1)


def _take(
    known: list[_Known],
    options: PhotoOptions,
    engine: Callable[[], Engine | None],
    allowed: float,
    stopping: Callable[[], bool],
) -> None:
    """Colour photos of each kind in turn, so long as bytes and time allow; at least one of each where any number of
    bytes is allowed."""
    until = time.monotonic() + _SECONDS
    turn = threading.Lock()  # for large ones: memory holds one

    def wanted() -> Iterator[tuple[_Known, PlannedPhoto, int]]:
        left = allowed
        for place in range(max((len(one.kind.picks) for one in known), default=0)):
            for one in known:
                if place >= len(one.kind.picks) or not one.kind.bytes:
                    continue
                planned, length = one.kind.picks[place]
                late = time.monotonic() > until and (allowed < math.inf or place > 0)
                if stopping() or late or _cost(length) > left or place < len(one.samples):
                    continue
                left -= _cost(length)
                yield one, planned, length

    def color(item: tuple[_Known, PlannedPhoto, int]) -> tuple[_Known, int, Sample | None]:
        one, planned, length = item
        try:
            if length > _LARGE_FILE:
                with turn:
                    return one, length, color_sample(planned.source, options, ready)
            return one, length, color_sample(planned.source, options, ready)
        except (RestoreError, OSError, MemoryError):
            return one, length, None  # the run will tell

    items = wanted()
    first = next(items, None)
    loaded = engine() if first is not None else None
    if first is None or loaded is None:
        return
    ready = loaded
    cv2.setNumThreads(1)  # as in the run
    if _cost(first[2]) < _SMALL_COST:
        color(first)  # the first takes longer: libraries set themselves up
    for one, length, sample in map_in_threads(color, chain([first], items), options.jobs or processors()):
        if sample is not None:
            one.samples.append((sample, max(1, length)))


def _disks(survey: Survey, known: list[_Known], options: PhotoOptions) -> Iterator[Disk]:
    for one in known:
        if not one.samples and not one.most:
            one.most = max((_most(*pick, options) for pick in one.kind.picks), default=0.0)
    for disk, folder in {one.kind.disk: one.kind.folder for one in known}.items():
        here = (one for one in known if one.kind.disk == disk)
        needed = sum(one.needed() + one.beside + one.kind.count * _BLOCKS for one in here)
        yield Disk(folder, max(0, round(needed) - survey.replaced.get(disk, 0)), free_space(folder))


def _beside(kind: Kind, options: PhotoOptions) -> float:
    """Bytes of pairs and maps, as its picks tell."""
    found = []
    for planned, _ in kind.picks if options.compare or options.confidence else ():
        with contextlib.suppress(RestoreError, OSError, MemoryError):  # the run will tell
            found.append(beside_bytes(planned.source, options))
    return kind.count * statistics.fmean(found) if found else 0.0


def _most(planned: PlannedPhoto, length: int, options: PhotoOptions) -> float:
    """The most bytes for a byte of the original; none where it can't be read, as the run will tell."""
    try:
        return most_bytes(planned.source, options) / max(1, length)
    except (RestoreError, OSError, MemoryError):
        return 0.0
