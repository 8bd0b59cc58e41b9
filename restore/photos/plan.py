"""What to do with which photo: the walk that films share, with the names and first bytes of pictures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from restore import walk
from restore.options import Format, PhotoOptions
from restore.photos.containers import SNIFF_BYTES, claims_picture, result_suffix, sniffs_as_picture
from restore.walk import Kind, PassedOver, Root

PAIR_MARK = ".restore-compare"
"""At the end of a pair's stem. No file with this mark is taken for a photo, so no result can have a pair's name."""


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
        elif is_pair(item.source.name):
            yield PassedOver(item.source, "it is a before/after picture of --compare")
        else:
            yield PlannedPhoto(item.source, item.output, _copy_path(item.source, item.output), item.root)


def pair_path(result: Path) -> Path:
    """Where the before/after picture of a result goes: beside it, and named after all of its name."""
    return result.with_name(f"{result.name}{PAIR_MARK}.jpg")


def is_pair(name: str) -> bool:
    """Whether a file's name is that of a before/after picture."""
    return PurePath(name).stem.casefold().endswith(PAIR_MARK)


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
