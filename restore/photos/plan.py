"""What to do with which file: a lazy walk over the inputs, the names of the outputs, and what is refused."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from restore.errors import InputError, OutputError, UsageError
from restore.files import exists, is_folder
from restore.options import Format, PhotoOptions
from restore.photos.containers import BY_FORMAT, SNIFF_BYTES, claims_picture, sniffs_as_picture

OUTPUT_SUFFIX = "-restored"


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


@dataclass(frozen=True)
class PassedOver:
    """Something met on the way that is no photo to colour: skipped, or failed where its name claims a picture."""

    path: Path
    reason: str
    failed: bool = False


Planned = PlannedPhoto | PassedOver


@dataclass(frozen=True)
class Root:
    """An input and where its results go: the folder `output`, and there, for a file, the name `name`."""

    source: Path
    output: Path
    name: str = ""


def find_roots(options: PhotoOptions) -> list[Root]:
    """Check the inputs and the output against each other, before any work.

    Raises:
        InputError: an input is not there.
        UsageError: --output names a picture.
        OutputError: the output lies in an input, around one, or in place of one.
    """
    inputs = _distinct(options.inputs)
    if options.output is not None:
        _check_is_folder(options.output)
    roots: list[Root] = []
    taken: set[str] = set()
    beside: dict[Path, set[str]] = {}
    for source in inputs:
        if is_folder(source):
            roots.append(Root(source, _folder_output(source, options.output, alone=len(inputs) == 1, taken=taken)))
        elif options.output is not None:
            roots.append(Root(source, options.output, _free_name(source.name, options.format, taken)))
        else:
            name = f"{source.stem}{OUTPUT_SUFFIX}{source.suffix}"
            roots.append(
                Root(
                    source,
                    source.parent,
                    _free_name(name, options.format, beside.setdefault(source.parent.resolve(), set())),
                )
            )
    _refuse_originals(roots, options)
    return roots


def _distinct(inputs: Sequence[Path]) -> list[Path]:
    found: dict[Path, Path] = {}
    for path in inputs:
        if not os.path.lexists(path):
            raise InputError(f"input {path} does not exist, or may not be read", "Check its spelling")
        try:
            found.setdefault(path.resolve(strict=True), path)
        except (OSError, RuntimeError) as error:  # RuntimeError: a loop of links, before Python 3.13
            raise InputError(f"input {path} is a link that leads nowhere") from error
    return list(found.values())


def _check_is_folder(output: Path) -> None:
    if is_folder(output):
        return
    if exists(output):
        raise OutputError(f"--output {output} is a file, not a folder", "Name a folder")
    if claims_picture(output.name):
        raise UsageError(
            f"--output {output} looks like a picture, but is the folder that results go into",
            "Name a folder; each result keeps the name of its original",
        )


def _folder_output(source: Path, output: Path | None, *, alone: bool, taken: set[str]) -> Path:
    resolved = source.resolve()
    if output is None:
        if not resolved.name:
            raise UsageError(f"{source} has no folder beside it for the results", "Name one with --output")
        # Beside the folder as it was named, also where that is a link; "." and ".." have no name of their own.
        named = source if source.name not in ("", "..") else resolved
        return named.with_name(f"{named.name}{OUTPUT_SUFFIX}")
    if alone:
        return output
    name, number = resolved.name or "root", 1
    while name.casefold() in taken:
        number += 1
        name = f"{resolved.name or 'root'}-{number}"
    taken.add(name.casefold())
    return output / name


def _refuse_originals(roots: Sequence[Root], options: PhotoOptions) -> None:
    folders = [root.source.resolve() for root in roots if not root.name]
    files = {root.source.resolve() for root in roots if root.name}
    for place in [*(root.output for root in roots), *([options.output] if options.output else [])]:
        output = place.resolve()
        for folder in folders:
            if output == folder or folder in output.parents:
                raise OutputError(f"output {place} lies in the input folder {folder}", "Choose another with --output")
            # A file's default output is its own folder, which may hold other inputs: there only its name counts.
            if options.output is not None and output in folder.parents:
                raise OutputError(f"output {place} holds the input folder {folder}", "Choose another with --output")
    for root in (root for root in roots if root.name):
        target = root.output.resolve() / root.name
        copy = _copy_path(root.source, target)
        if root.source.resolve() in (target, copy) or (options.overwrite and files & {target, copy}):
            raise OutputError(f"output {root.output / root.name} is itself an input", "Choose a folder with --output")


def plan(roots: Sequence[Root], options: PhotoOptions) -> Iterator[Planned]:
    """Everything that the inputs hold, folder by folder, sorted. Holds one folder's names in memory at a time."""
    for root in roots:
        if not root.name:
            yield from _walk(root.source, Path(), root, options)
        elif _is_wanted(Path(root.source.name), options):
            yield _plan_file(root)


def _plan_file(root: Root) -> Planned:
    source = root.source
    if not os.path.isfile(source):  # noqa: PTH113  Path.is_file raises where this user may not look
        return PassedOver(source, "it is no regular file", failed=claims_picture(source.name))
    if not claims_picture(source.name) and not _sniffs(source):
        return PassedOver(source, "it is no picture")
    output = root.output / root.name
    return PlannedPhoto(source, output, _copy_path(source, output), root.output)


def _walk(folder: Path, relative: Path, root: Root, options: PhotoOptions) -> Iterator[Planned]:
    try:
        with os.scandir(folder) as entries:
            found = sorted((entry for entry in entries if not entry.name.startswith(".")), key=lambda entry: entry.name)
    except OSError as error:
        if not relative.parts:
            raise InputError(f"input {folder} can't be read: {error.strerror or error}") from error
        yield PassedOver(folder, f"the folder can't be read: {error.strerror or error}", failed=True)
        return
    folders = [entry for entry in found if entry.is_dir(follow_symlinks=False)]
    taken = {entry.name.casefold() for entry in folders}
    for entry in found:
        inside = relative / entry.name
        if entry.is_dir(follow_symlinks=False) or not _is_wanted(inside, options):
            continue
        path = folder / entry.name
        refusal = _refuse_entry(entry, path)
        if refusal:
            yield refusal
            continue
        output = root.output / relative / _free_name(entry.name, options.format, taken)
        yield PlannedPhoto(path, output, _copy_path(path, output), root.output)
    if options.recursive:
        for entry in folders:
            inside = relative / entry.name
            if not _matches(inside, options.exclude):
                yield from _walk(folder / entry.name, inside, root, options)


def _refuse_entry(entry: os.DirEntry[str], path: Path) -> PassedOver | None:
    """Why an entry of a folder is no photo, or None."""
    claims = claims_picture(entry.name)
    try:
        if entry.is_symlink():
            if entry.is_dir():
                return PassedOver(path, "it is a link to a folder; links to folders are not followed")
            if not exists(path):
                return PassedOver(path, "it is a link that leads nowhere", failed=claims)
        if not entry.is_file():
            return PassedOver(path, "it is no regular file", failed=claims)
        if not claims and not _sniffs(path):
            return PassedOver(path, "it is no picture")
    except OSError as error:
        return PassedOver(path, f"it can't be read: {error.strerror or error}", failed=claims)
    return None


def _sniffs(path: Path) -> bool:
    try:
        with path.open("rb") as stream:
            return sniffs_as_picture(stream.read(SNIFF_BYTES))
    except OSError:
        return False


def _is_wanted(inside: Path, options: PhotoOptions) -> bool:
    return (not options.include or _matches(inside, options.include)) and not _matches(inside, options.exclude)


def _matches(inside: Path, globs: Sequence[str]) -> bool:
    """Whether a glob fits the relative path or the name. Case does not count: cameras write .JPG."""
    path, name = inside.as_posix().casefold(), inside.name.casefold()
    return any(fnmatchcase(path, glob.casefold()) or fnmatchcase(name, glob.casefold()) for glob in globs)


def _free_name(name: str, format: Format, taken: set[str]) -> str:
    """The output's name for a source's: with the format's suffix, and never twice in a folder, also on disks that
    don't tell X from x. `taken` gets to know it."""
    stem, suffix = Path(name).stem, Path(name).suffix
    wanted = suffix
    if format != "keep" and suffix.lower() not in BY_FORMAT[format].suffixes:
        wanted = BY_FORMAT[format].suffixes[0]
    candidate = stem + wanted
    if candidate.casefold() in taken:
        candidate = name + wanted
    number = 1
    while candidate.casefold() in taken:
        number += 1
        candidate = f"{name}-{number}{wanted}"
    taken.add(candidate.casefold())
    return candidate


def _copy_path(source: Path, output: Path) -> Path:
    """Where the original is copied as it is: unique where `output` is, as only its suffix differs."""
    return output if output.suffix.lower() == source.suffix.lower() else output.with_name(output.stem + source.suffix)
