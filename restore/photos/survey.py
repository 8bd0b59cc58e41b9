"""What a run will find, before it begins: counts, bytes, and some photos of each kind, in memory that does not grow."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from restore.files import nearest_existing
from restore.photos.plan import Planned, PlannedPhoto
from restore.report import Record
from restore.walk import PassedOver

# Photos of a kind that are remembered for the sample.
_PICKS = 16


@dataclass
class Kind:
    """Photos to be done that are alike: of one suffix, of about one size, for one disk.

    Args:
        disk: the system's number of it.
        folder: an output folder on that disk.
        count: so many.
        bytes: of all of them.
        picks: some, each as likely as any other, and their bytes.
    """

    disk: int
    folder: Path
    count: int = 0
    bytes: int = 0
    picks: list[tuple[PlannedPhoto, int]] = field(default_factory=list)


class Survey:
    """Everything that was met so far.

    Args:
        total: files, also those that need nothing.
        kinds: what is left to be done.
        replaced: bytes of results, by disk, that will make room for new ones.
    """

    def __init__(self) -> None:
        self.total = 0
        self.kinds: dict[tuple[int, str, int], Kind] = {}
        self.replaced: dict[int, int] = {}
        self._random = random.Random(0)
        self._disk = cache(_disk)

    @property
    def left(self) -> int:
        """Photos to be done."""
        return sum(kind.count for kind in self.kinds.values())

    def add(self, planned: Planned, settled: Record | None) -> None:
        """Count a file, with its record where it needs no work."""
        self.total += 1
        if settled is not None or isinstance(planned, PassedOver):
            return
        try:
            size = planned.source.stat().st_size
        except OSError:
            return  # its turn will tell what is wrong with it
        disk = self._disk(planned.root)
        # A fax of a page and a scan of it have one suffix, and results of one size: a byte of theirs is not the same.
        key = disk, planned.source.suffix.lower(), size.bit_length() // 2
        kind = self.kinds.setdefault(key, Kind(disk, planned.root))
        kind.count += 1
        kind.bytes += size
        if len(kind.picks) < _PICKS:
            kind.picks.append((planned, size))
        elif (place := self._random.randrange(kind.count)) < _PICKS:
            kind.picks[place] = planned, size
        for old in dict.fromkeys((planned.output, planned.copy)):
            try:
                self.replaced[disk] = self.replaced.get(disk, 0) + old.stat().st_size
            except OSError:
                continue


def _disk(folder: Path) -> int:
    return nearest_existing(folder).stat().st_dev
