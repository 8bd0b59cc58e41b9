"""What to do with which photo: the walk that films share, with the names and first bytes of pictures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from restore import walk
from restore.options import Format, PhotoOptions
from restore.photos.containers import SNIFF_BYTES, claims_picture, result_suffix, sniffs_as_picture
from restore.walk import Kind, PassedOver, Root

_PAIR_MARK, _MAP_MARK = ".restore-compare", ".restore-confidence"
# In the names of pictures beside results. A file with such a mark is no photo: no result can have such a name.
_MARKS = {_PAIR_MARK: "it is a before/after picture of --compare", _MAP_MARK: "it is a map of --confidence"}


@dataclass(frozen=True)
class PlannedPhoto:
    """A photo to colour.

    Args:
        source: the original.
        output: where the coloured photo goes.
        copy: where the original is copied if it has colour already: as `output`, under its own suffix.
        root: the output folder of the run that it belongs to.
    """

    source: Path
    output: Path
    copy: Path
    root: Path


Planned = PlannedPhoto | PassedOver


def find_roots(options: PhotoOptions) -> list[Root]:
    """Check the inputs and the output against each other, before any work.

    Raises:
        InputError: an input is not there.
        UsageError: --output names a picture.
        OutputError: the output lies in an input, around one, or in place of one.
    """
    return walk.find_roots(options, _kind(options.format))


def plan(roots: Sequence[Root], options: PhotoOptions) -> Iterator[Planned]:
    """Everything that the inputs hold, folder by folder, sorted. Holds one folder's names in memory at a time."""
    for item in walk.walk(roots, options, _kind(options.format)):
        if isinstance(item, PassedOver):
            yield item
        elif reason := _reason_to_pass(item.source.name):
            yield PassedOver(item.source, reason)
        else:
            yield PlannedPhoto(item.source, item.output, _copy_path(item.source, item.output), item.root)


def pair_path(result: Path) -> Path:
    """Where the before/after picture of a result goes: beside it, and named after all of its name."""
    return result.with_name(f"{result.name}{_PAIR_MARK}.jpg")


def map_path(result: Path, page: int | None = None) -> Path:
    """Where the map of confidence of a result, or of one of its pages, goes: beside it."""
    number = "" if page is None else f"-page-{page}"
    return result.with_name(f"{result.name}{_MAP_MARK}{number}.png")


def _kind(format: Format) -> Kind:
    return Kind("picture", claims_picture, _sniffs, lambda own: result_suffix(own, format), _copy_path)


def _sniffs(path: Path) -> bool:
    try:
        with path.open("rb") as stream:
            return sniffs_as_picture(stream.read(SNIFF_BYTES))
    except OSError:
        return False


def _copy_path(source: Path, output: Path) -> Path:
    """Where the original is copied as it is: unique where `output` is, as only its suffix differs."""
    return output if output.suffix.lower() == source.suffix.lower() else output.with_name(output.stem + source.suffix)


def _reason_to_pass(name: str) -> str | None:
    return next((reason for mark, reason in _MARKS.items() if mark in name.casefold()), None)
