"""Reading results again: are they there, whole, what was written, and is their luma that of their originals?"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from itertools import zip_longest
from pathlib import Path

import numpy as np

from restore.errors import InputError, RestoreError
from restore.files import exists
from restore.options import PhotoOptions
from restore.photos.containers import WEBP
from restore.photos.done import folder_roots
from restore.photos.ledger import Entry, file_sha256, read_entries
from restore.photos.plan import PlannedPhoto, find_roots, plan
from restore.photos.profiles import Samples, strips
from restore.photos.reading import measure, read_pages
from restore.photos.writing import fit
from restore.progress import Progress, SilentProgress, counted
from restore.report import Record, Summary, open_report
from restore.threads import map_in_threads, processors
from restore.walk import PassedOver

# Lossy containers round luma: its mean may differ by so many of 255 levels at quality 95, and by more below.
_LOSSY_MEAN, _LOSSY_BY_QUALITY = 3.0, 0.25
# Of 65,535 and of 255: green makes up for the rounding of red and blue, see `merge.RgbMerger`.
_MOST_16, _MOST_8 = 2, 0


def verify_photos(
    options: PhotoOptions,
    progress: Progress | None = None,
    stopping: Callable[[], bool] = lambda: False,
) -> Summary:
    """Check the results of an earlier run with the same inputs, output and format. Nothing is written but the report.

    A result passes (`done`) that is there, can be read, has the SHA-256 that the state file knows, and the luma of its
    original; copies are compared byte for byte.

    Raises:
        InputError: an input is not there, or there is no photo in them.
    """
    progress = progress or SilentProgress()
    roots = find_roots(options)
    known = {folder / entry.name: entry for folder in folder_roots(roots, options) for entry in read_entries(folder)}
    begin, summary, large = time.monotonic(), Summary(), threading.Lock()

    def check(planned: PlannedPhoto) -> Record:
        start = time.perf_counter()
        try:
            output = _check(planned, known, options, large)
        except (RestoreError, OSError, MemoryError) as error:
            return Record(
                planned.source, "failed", reason=str(error) or type(error).__name__, seconds=time.perf_counter() - start
            )
        return Record(planned.source, "done", output, seconds=time.perf_counter() - start)

    def photos() -> Iterator[PlannedPhoto]:
        for item in plan(roots, options):
            if stopping():
                return
            if not isinstance(item, PassedOver):
                yield item

    with open_report(options.report) as report:
        progress.start(None)
        try:
            with counted(plan(roots, options), progress):
                for record in map_in_threads(check, photos(), options.jobs or processors()):
                    summary.add(record)
                    if report:
                        report.add(record)
                    progress.step(str(record.path), record.status, record.reason)
        finally:
            summary.seconds = time.monotonic() - begin
            progress.finish(summary.counts_by_status, summary.seconds)
            if report:
                report.rest = {"verify": True, "summary": summary.as_json()}
    if not summary.found and not stopping():
        raise InputError("no photos were found in " + ", ".join(str(root.source) for root in roots))
    return summary


def _check(
    planned: PlannedPhoto, known: dict[Path, Entry], options: PhotoOptions, large: AbstractContextManager[object]
) -> Path:
    """The result that was checked.

    Args:
        large: held while large ones are in memory.

    Raises:
        InputError: what is wrong with it.
    """
    for output in dict.fromkeys((planned.output, planned.copy)):
        entry = known.get(output)
        if not exists(output):
            if entry is not None:
                raise InputError(f"{output} is gone")
            continue
        if entry is not None and file_sha256(planned.source) != entry.source_sha256:
            raise InputError(f"{planned.source} is not the original that {output} was made from")
        if entry is not None and file_sha256(output) != entry.sha256:
            raise InputError(f"{output} is not what was written: its SHA-256 differs")
        if output == planned.copy and (entry is None or entry.status == "kept"):
            if file_sha256(planned.source) == file_sha256(output):
                return output
            if entry is not None:
                raise InputError(f"{output} is no true copy of {planned.source}")
        is_large = measure(planned.source, options.max_pixels * 1_000_000).is_large
        with large if is_large else nullcontext():
            _compare(planned.source, output, options)
        return output
    raise InputError(f"{planned.output} is not there")


def _compare(source: Path, output: Path, options: PhotoOptions) -> None:
    most = options.max_pixels * 1_000_000
    for original, result in zip_longest(read_pages(source, most), read_pages(output, most)):
        if original is None or result is None:
            raise InputError(f"{output} has not as many pages as {source}")
        wanted = fit(original, result.container)
        if wanted.luma.shape != result.luma.shape:
            raise InputError(f"{output} has other dimensions than {source}")
        largest, mean = _difference(wanted.luma, result.luma)
        lossy = result.container.quality and not (result.container is WEBP and result.lossless)
        lossy = lossy or (result.tiff is not None and result.tiff.compression == 7)
        if lossy:
            allowed = _LOSSY_MEAN + _LOSSY_BY_QUALITY * max(0, 95 - options.quality)
            found = mean * 255 / np.iinfo(result.luma.dtype).max
            if found > allowed:
                raise InputError(f"the luma of {output} is {found:.1f} levels from that of {source} in the mean")
        elif largest > (_MOST_8 if result.luma.dtype == np.uint8 else _MOST_16):
            raise InputError(f"the luma of {output} is up to {largest} levels from that of {source}")


def _difference(wanted: Samples, found: Samples) -> tuple[int, float]:
    """The largest difference and the mean one, of (H, W) luma each."""
    largest = total = 0
    for rows in strips(*wanted.shape):
        difference = np.abs(wanted[rows].astype(np.int32) - found[rows])
        largest, total = max(largest, int(difference.max())), total + int(difference.sum(dtype=np.int64))
    return largest, total / wanted.size
