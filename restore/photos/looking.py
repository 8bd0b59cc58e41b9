"""Before and after, to be looked at: pairs beside the results (`--compare`), small pictures for the page (`--sheet`).

Both are made from the files themselves, so that they show what was written, also by an earlier run.
"""

from __future__ import annotations

import filecmp
import io
import threading
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

from PIL import Image

from restore.errors import OutputError, RestoreError
from restore.files import exists, is_disk_full
from restore.options import PhotoOptions
from restore.photos.photo import Photo, Rgb8
from restore.photos.plan import pair_path
from restore.photos.reading import measure, read_pages
from restore.photos.writing import write_bytes
from restore.report import Record
from restore.sheet import draw_sheet, thumbnail
from restore.threads import map_in_threads, processors

_PAGE_SIDE, _PAGE_QUALITY = 320, 72
_PAIR_QUALITY = 90


def look_at(
    records: Iterator[Record | None], options: PhotoOptions, fail: Callable[[RestoreError], None]
) -> Iterator[Record | None]:
    """The same records, with pairs written and views made where the options ask for them.

    What can't be shown is noted; the photo itself is done.

    Args:
        fail: told where the disk is full.
    """
    if not options.compare and options.sheet is None:
        return records
    looker = _Looker(options, fail)
    return map_in_threads(looker.look, records, options.jobs or processors())


class _Looker:
    def __init__(self, options: PhotoOptions, fail: Callable[[RestoreError], None]) -> None:
        self._options = options
        self._fail = fail
        self._large = threading.Lock()

    def look(self, record: Record | None) -> Record | None:
        if record is None or not (record.output or record.already_done):
            return record
        try:
            return self._look(record)
        except (RestoreError, OSError, MemoryError) as error:
            if isinstance(error, OutputError) and is_disk_full(error):
                self._fail(error)
            return replace(record, notes=(*record.notes, f"before and after could not be made: {error}"))

    def _look(self, record: Record) -> Record:
        result = None if record.output is None or _is_copy(record.path, record.output) else record.output
        pair = pair_path(result) if result and self._options.compare else None
        due = pair is not None and (record.status == "done" or not exists(pair))
        if not due and self._options.sheet is None:
            return replace(record, compare=pair)
        original = self._read(record.path)
        if record.width is None:  # an earlier run's
            record = replace(record, **original.facts() | {"pages": original.pages})
        before = original.view()
        after = None if result is None else self._read(result).view()
        if due and pair is not None and after is not None:
            sheet = draw_sheet([[before, after]], ("before", "after"), max(after.shape))
            write_bytes(pair, _encode(sheet, "JPEG"))
        views: tuple[bytes, ...] = ()
        if self._options.sheet is not None:
            views = tuple(_page_view(view) for view in (before, after) if view is not None)
        return replace(record, compare=pair, views=views)

    def _read(self, path: Path) -> Photo:
        """The first page, without its full-size samples in colour. Of large files, one at a time is in memory."""
        most = self._options.max_pixels * 1_000_000
        with self._large if measure(path, most).is_large else nullcontext():
            return replace(next(read_pages(path, most)), color=None)


def _is_copy(source: Path, output: Path) -> bool:
    """Whether a result is its original: a photo in colour, kept."""
    return source.stat().st_size == output.stat().st_size and filecmp.cmp(source, output, shallow=False)


def _page_view(view: Rgb8) -> bytes:
    return _encode(Image.fromarray(thumbnail(view, _PAGE_SIDE)), "WEBP")


def _encode(image: Image.Image, format: str) -> bytes:
    stream = io.BytesIO()
    image.save(stream, format, quality=_PAIR_QUALITY if format == "JPEG" else _PAGE_QUALITY)
    return stream.getvalue()
