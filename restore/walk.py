"""What to do with which file: a lazy walk over the inputs, the names of the outputs, and what is refused."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Protocol

from restore.errors import InputError, OutputError, UsageError
from restore.files import exists, is_folder

OUTPUT_SUFFIX = "-restored"


class Selection(Protocol):
    """Which inputs, and where to: the options that photos and films share."""

    @property
    def inputs(self) -> Sequence[Path]: ...
    @property
    def output(self) -> Path | None: ...
    @property
    def recursive(self) -> bool: ...
    @property
    def include(self) -> Sequence[str]: ...
    @property
    def exclude(self) -> Sequence[str]: ...
    @property
    def overwrite(self) -> bool: ...


@dataclass(frozen=True)
class Kind:
    """What is looked for.

    Args:
        noun: what messages call it.
        claims: whether a file's name says that it is one.
        sniffs: whether a file whose name does not say so is one all the same.
        suffix: of the result, for the suffix of a source.
        also: where else something may be written, for a source and its output.
        output_may_be_file: --output may name the result itself, where the input is a single file.
    """

    noun: str
    claims: Callable[[str], bool]
    sniffs: Callable[[Path], bool]
    suffix: Callable[[str], str]
    also: Callable[[Path, Path], Path] = lambda source, output: output
    output_may_be_file: bool = False


@dataclass(frozen=True)
class Found:
    """A file to work on, where its result goes, and the output folder of the run that it belongs to."""

    source: Path
    output: Path
    root: Path


@dataclass(frozen=True)
class PassedOver:
    """Something met on the way that is nothing to work on: skipped, or failed where its name claims that it is."""

    path: Path
    reason: str
    failed: bool = False


@dataclass(frozen=True)
class Root:
    """An input and where its results go: the folder `output`, and there, for a file, the name `name`."""

    source: Path
    output: Path
    name: str = ""


def find_roots(options: Selection, kind: Kind) -> list[Root]:
    """Check the inputs and the output against each other, before any work.

    Raises:
        InputError: an input is not there.
        UsageError: --output names a file of the kind.
        OutputError: the output lies in an input, around one, or in place of one.
    """
    inputs = _distinct(options.inputs)
    if options.output is not None and _is_result(options.output, inputs, kind):
        roots = [Root(inputs[0], options.output.parent, options.output.name)]
        _refuse_originals(roots, options, kind)
        return roots
    if options.output is not None:
        _check_is_folder(options.output, kind)
    roots = []
    taken: set[str] = set()
    beside: dict[Path, set[str]] = {}
    for source in inputs:
        if is_folder(source):
            roots.append(Root(source, _folder_output(source, options.output, alone=len(inputs) == 1, taken=taken)))
        elif options.output is not None:
            roots.append(Root(source, options.output, _free_name(source.name, kind, taken)))
        else:
            name = f"{source.stem}{OUTPUT_SUFFIX}{source.suffix}"
            roots.append(
                Root(source, source.parent, _free_name(name, kind, beside.setdefault(source.parent.resolve(), set())))
            )
    _refuse_originals(roots, options, kind)
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


def _is_result(output: Path, inputs: Sequence[Path], kind: Kind) -> bool:
    """Whether --output names the result of the only input, rather than a folder."""
    single = len(inputs) == 1 and not is_folder(inputs[0])
    return kind.output_may_be_file and single and kind.claims(output.name) and not is_folder(output)


def _check_is_folder(output: Path, kind: Kind) -> None:
    if is_folder(output):
        return
    if exists(output):
        raise OutputError(f"--output {output} is a file, not a folder", "Name a folder")
    if kind.claims(output.name):
        raise UsageError(
            f"--output {output} looks like a {kind.noun}, but is the folder that results go into",
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


def _refuse_originals(roots: Sequence[Root], options: Selection, kind: Kind) -> None:
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
        copy = kind.also(root.source, target)
        if root.source.resolve() in (target, copy) or (options.overwrite and files & {target, copy}):
            raise OutputError(f"output {root.output / root.name} is itself an input", "Choose another with --output")


def walk(roots: Sequence[Root], options: Selection, kind: Kind) -> Iterator[Found | PassedOver]:
    """Everything that the inputs hold, folder by folder, sorted. Holds one folder's names in memory at a time."""
    for root in roots:
        if not root.name:
            yield from _walk(root.source, Path(), root, options, kind)
        elif _is_wanted(Path(root.source.name), options):
            yield _named_file(root, kind)


def _named_file(root: Root, kind: Kind) -> Found | PassedOver:
    source = root.source
    if not os.path.isfile(source):  # noqa: PTH113  Path.is_file raises where this user may not look
        return PassedOver(source, "it is no regular file", failed=kind.claims(source.name))
    if not kind.claims(source.name) and not kind.sniffs(source):
        return PassedOver(source, f"it is no {kind.noun}")
    return Found(source, root.output / root.name, root.output)


def _walk(folder: Path, relative: Path, root: Root, options: Selection, kind: Kind) -> Iterator[Found | PassedOver]:
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
        refusal = _refuse_entry(entry, path, kind)
        if refusal:
            yield refusal
            continue
        yield Found(path, root.output / relative / _free_name(entry.name, kind, taken), root.output)
    if options.recursive:
        for entry in folders:
            inside = relative / entry.name
            if not _matches(inside, options.exclude):
                yield from _walk(folder / entry.name, inside, root, options, kind)


def _refuse_entry(entry: os.DirEntry[str], path: Path, kind: Kind) -> PassedOver | None:
    """Why an entry of a folder is nothing to work on, or None."""
    claims = kind.claims(entry.name)
    try:
        if entry.is_symlink():
            if entry.is_dir():
                return PassedOver(path, "it is a link to a folder; links to folders are not followed")
            if not exists(path):
                return PassedOver(path, "it is a link that leads nowhere", failed=claims)
        if not entry.is_file():
            return PassedOver(path, "it is no regular file", failed=claims)
        if not claims and not kind.sniffs(path):
            return PassedOver(path, f"it is no {kind.noun}")
    except OSError as error:
        return PassedOver(path, f"it can't be read: {error.strerror or error}", failed=claims)
    return None


def _is_wanted(inside: Path, options: Selection) -> bool:
    return (not options.include or _matches(inside, options.include)) and not _matches(inside, options.exclude)


def _matches(inside: Path, globs: Sequence[str]) -> bool:
    """Whether a glob fits the relative path or the name. Case does not count: cameras write .JPG."""
    path, name = inside.as_posix().casefold(), inside.name.casefold()
    return any(fnmatchcase(path, glob.casefold()) or fnmatchcase(name, glob.casefold()) for glob in globs)


def _free_name(name: str, kind: Kind, taken: set[str]) -> str:
    """The output's name for a source's: with the suffix it gets, and never twice in a folder, also on disks that
    don't tell X from x. `taken` gets to know it."""
    wanted = kind.suffix(Path(name).suffix)
    candidate = Path(name).stem + wanted
    if candidate.casefold() in taken:
        candidate = name + wanted
    number = 1
    while candidate.casefold() in taken:
        number += 1
        candidate = f"{name}-{number}{wanted}"
    taken.add(candidate.casefold())
    return candidate
