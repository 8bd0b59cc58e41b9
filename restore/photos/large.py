"""Large scans and documents of several pages: one at a time, page by page, so that memory holds one page of luma."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO

from restore.errors import InputError, RestoreError
from restore.files import write_atomically
from restore.merge import RgbMerger, SmallChroma
from restore.options import Era, PhotoOptions
from restore.photos.containers import TIFF, Container, result_container
from restore.photos.photo import Photo
from restore.photos.profiles import srgb_profile
from restore.photos.reading import Size, read_pages
from restore.photos.tiff_writing import TiffResult
from restore.photos.writing import border_notes, cant_encode, encode, fit, with_times, write_bytes
from restore.tone import Tone, has_color


@dataclass
class Outcome:
    """What became of the pages.

    Args:
        colored: so many pages were coloured; with none, nothing was written.
        width, height, bits, tone, era: of the first page.
    """

    colored: int = 0
    width: int = 0
    height: int = 0
    bits: int = 8
    tone: Tone = "neutral"
    era: Era = "period"
    notes: Counter[str] = field(default_factory=Counter)

    def meet(self, photo: Photo) -> None:
        """Take a page's facts down."""
        if not self.width:
            self.height, self.width = photo.luma.shape
            self.bits = 8 * photo.luma.dtype.itemsize
            self.tone, self.era = photo.tone, photo.era

    def facts(self, pages: int) -> dict[str, Any]:
        """What the record says of a file of so many pages."""
        notes = (f"{note} ({count} of {pages} pages)" if count < pages else note for note, count in self.notes.items())
        size = {"width": self.width, "height": self.height, "bits": self.bits}
        return size | {"tone": self.tone, "notes": tuple(notes)}


class NothingToColor(Exception):
    """All pages are in colour.

    Args:
        tone: of the first.
    """

    def __init__(self, tone: Tone) -> None:
        super().__init__()
        self.tone = tone


def restore_large(
    source: Path,
    output: Path,
    size: Size,
    guess: Callable[[Photo, int], SmallChroma],
    mark: Callable[[Photo], Photo],
    options: PhotoOptions,
    workers: int,
) -> Outcome:
    """Colour a file page by page. Pages in colour stay as they are, beside those that are coloured.

    Args:
        guess: given a page and its number, from 1.

    Raises:
        NothingToColor: no page needs it; nothing was written.
        InputError: the file can't be read, or the result's container holds one page and it has several.
        OutputError: the result can't be written.
    """
    outcome = Outcome()
    pages = read_pages(source, options.max_pixels * 1_000_000)
    first = next(pages)
    outcome.meet(first)
    container = result_container(first.container, options.format)
    if size.pages > 1 and container is not TIFF:
        raise InputError(
            f"{source} has {size.pages} pages, of which {container.name} holds one", "Use --format keep or tif"
        )
    if container is TIFF:
        _write_tiff(source, output, size, _chain(first, pages), guess, mark, options, workers, outcome)
    else:
        _write_other(source, output, container, first, guess, mark, options, outcome)
    return outcome


def _chain(first: Photo, rest: Iterator[Photo]) -> Iterator[Photo]:
    yield first
    del first  # a page's luma may be half of what memory holds
    yield from rest


def _keeps(photo: Photo, options: PhotoOptions) -> bool:
    return has_color(photo.tone) and options.already_color != "recolor"


def _write_other(
    source: Path,
    output: Path,
    container: Container,
    photo: Photo,
    guess: Callable[[Photo, int], SmallChroma],
    mark: Callable[[Photo], Photo],
    options: PhotoOptions,
    outcome: Outcome,
) -> None:
    if _keeps(photo, options):
        raise NothingToColor(outcome.tone)
    photo = mark(fit(photo, container))
    encoded = encode(photo, guess(photo, 1), container, options.quality)
    outcome.colored = 1
    outcome.notes.update((*photo.notes, *encoded.notes))
    write_bytes(output, encoded.data, source if options.keep_times else None)


def _write_tiff(
    source: Path,
    output: Path,
    size: Size,
    pages: Iterator[Photo],
    guess: Callable[[Photo, int], SmallChroma],
    mark: Callable[[Photo], Photo],
    options: PhotoOptions,
    workers: int,
    outcome: Outcome,
) -> None:
    def write(stream: BinaryIO) -> None:
        result: TiffResult | None = None
        for number, photo in enumerate(pages, 1):
            photo = replace(fit(photo, TIFF), pages=1)
            if result is None:
                raw = size.bytes * 3 * size.pages
                result = TiffResult(stream, photo, raw, srgb_profile(), options.quality, workers)
            merger, notes = None, []
            if not _keeps(photo, options):
                photo = mark(photo)
                chroma = guess(photo, number)
                merger, notes = RgbMerger(photo.luma, chroma), border_notes(chroma)
                outcome.colored += 1
            notes += photo.notes
            try:
                result.add(photo, photo.metadata, merger, notes)
            except (RestoreError, OSError, MemoryError):
                raise
            except Exception as error:
                raise cant_encode(TIFF, error) from error
            outcome.notes.update(notes)
        if not outcome.colored:
            raise NothingToColor(outcome.tone)
        assert result is not None
        result.close()

    write_atomically(output, with_times(write, source if options.keep_times else None))
