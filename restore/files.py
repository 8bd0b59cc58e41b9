"""Writing files so that they are whole or not there."""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from restore.errors import OutputError

_PART = re.compile(r"^\..*\.restore-(\d+)-\d+\.part$", re.DOTALL)
_MAX_NAME_BYTES = 255
_numbers = itertools.count()
# Parts that this process is writing now: all others that carry its id are a dead process's, whose id it got again.
_live: set[Path] = set()


def _part_path(path: Path) -> Path:
    """Where `path` is written before it gets its name: hidden, beside it, marked with this process, unique."""
    ending = f".restore-{os.getpid()}-{next(_numbers)}.part"
    room = _MAX_NAME_BYTES - len(ending) - 1
    stem = os.fsdecode(os.fsencode(path.name)[:room])
    return path.with_name(f".{stem}{ending}")


@contextlib.contextmanager
def open_atomically(path: Path) -> Iterator[BinaryIO]:
    """A stream whose content appears at `path`, by rename, when the block ends well; else nothing is left behind.

    Raises:
        OutputError: the folder can't be written to, or the disk is full.
    """
    part = _part_path(path)
    _live.add(part)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("w+b") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(path)
    except OSError as error:
        raise output_error(path, error) from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        _live.discard(part)


def write_atomically(path: Path, write: Callable[[BinaryIO], Any]) -> None:
    """Let `write` fill a temporary file beside `path`, then rename it to `path`. A failure leaves nothing behind.

    Raises:
        OutputError: the folder can't be written to, or the disk is full.
    """
    with open_atomically(path) as stream:
        write(stream)


def exists(path: Path) -> bool:
    """`Path.exists`, but no rather than an error where this user may not look, or the name is too long."""
    return os.path.exists(path)  # noqa: PTH110


def is_folder(path: Path) -> bool:
    """`Path.is_dir`, but no rather than an error where this user may not look."""
    return os.path.isdir(path)  # noqa: PTH112


def nearest_existing(folder: Path) -> Path:
    """The folder itself, or the one above it that is there."""
    while not exists(folder) and folder != folder.parent:
        folder = folder.parent
    return folder


def free_space(folder: Path) -> int:
    """Bytes that this user may still write to a folder's disk; the folder need not exist yet."""
    return shutil.disk_usage(nearest_existing(folder)).free


def check_writable(folder: Path) -> None:
    """Tell early that nothing can be written to `folder`, which need not exist yet. Creates nothing.

    Raises:
        OutputError: it is a file, or lies where this user may not write.
    """
    existing = nearest_existing(folder)
    if not is_folder(existing):
        raise OutputError(f"{folder} can't be a folder: {existing} is a file", "Choose another place with --output")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise OutputError(f"{folder} can't be written to", "Choose another place with --output")


def is_disk_full(error: BaseException | None) -> bool:
    """Whether an error, or the one that caused it, says that the disk or the quota is full."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            return True
        error = error.__cause__
    return False


def output_error(path: Path, error: OSError) -> OutputError:
    """The error to raise when writing `path` failed."""
    if is_disk_full(error):
        return OutputError(
            f"{path} could not be written: the disk is full", "Free some space and run the same command again"
        )
    reason = error.strerror or str(error)
    return OutputError(f"{path} could not be written: {reason}", "Choose another place with --output")


def remove_stale_parts(folder: Path) -> None:
    """Remove what a killed run left in `folder`: part files of processes that are gone."""
    try:
        names = [entry.name for entry in os.scandir(folder)]
    except OSError:
        return
    for name in names:
        match = _PART.match(name)
        path = folder / name
        if match and path not in _live and not _is_running(int(match.group(1))):
            with contextlib.suppress(OSError):
                path.unlink()


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return pid != os.getpid()
