"""Writing files so that they are whole or not there."""

from __future__ import annotations

import contextlib
import errno
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from restore.errors import OutputError

_PART = re.compile(r"^\..*\.restore-(\d+)\.part$", re.DOTALL)
_MAX_NAME_BYTES = 255


def _part_path(path: Path) -> Path:
    """Where `path` is written before it gets its name: hidden, beside it, marked with this process."""
    ending = f".restore-{os.getpid()}.part"
    room = _MAX_NAME_BYTES - len(ending) - 1
    stem = os.fsdecode(os.fsencode(path.name)[:room])
    return path.with_name(f".{stem}{ending}")


def write_atomically(path: Path, write: Callable[[BinaryIO], Any]) -> None:
    """Let `write` fill a temporary file beside `path`, then rename it to `path`. A failure leaves nothing behind.

    Raises:
        OutputError: the folder can't be written to, or the disk is full.
    """
    part = _part_path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as stream:
            write(stream)
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(path)
    except OSError as error:
        raise output_error(path, error) from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


def output_error(path: Path, error: OSError) -> OutputError:
    """The error to raise when writing `path` failed."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return OutputError(f"{path} could not be written: the disk is full", "Free some space and run the same command again")
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
        if match and not _is_running(int(match.group(1))):
            with contextlib.suppress(OSError):
                (folder / name).unlink()


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return pid != os.getpid()
