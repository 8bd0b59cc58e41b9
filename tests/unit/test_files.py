"""Files are written whole or not at all, and leftovers of the dead are removed."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path
from typing import BinaryIO

import pytest

from restore.errors import OutputError
from restore.files import check_writable, is_disk_full, open_atomically, remove_stale_parts, write_atomically


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("old")

    def fail(stream: BinaryIO) -> None:
        stream.write(b"new")
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OutputError, match="disk is full") as caught:
        write_atomically(tmp_path / "a", fail)
    assert is_disk_full(caught.value)
    assert (tmp_path / "a").read_text() == "old"
    assert names_in(tmp_path) == {"a"}


def test_longest_name_and_missing_folders(tmp_path: Path) -> None:
    names = ["ü" * 120 + f"{i}.jpg" for i in range(2)]
    with open_atomically(tmp_path / "x" / names[0]) as first, open_atomically(tmp_path / "x" / names[1]) as second:
        first.write(b"1")
        second.write(b"2")
    assert [(tmp_path / "x" / name).read_bytes() for name in names] == [b"1", b"2"]


def test_only_parts_of_the_dead_are_removed(tmp_path: Path) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    running = os.getppid()
    for name in (f".a.jpg.restore-{dead.pid}-3.part", f".b\nc.restore-{dead.pid}-0.part"):
        (tmp_path / name).touch()
    (tmp_path / f".e.restore-{os.getpid()}-999999.part").touch()  # its number came to us again
    kept = {f".a.jpg.restore-{running}-3.part", ".mine.part", f"a.restore-{dead.pid}-1.part", "a.jpg"}
    for name in kept:
        (tmp_path / name).touch()
    with open_atomically(tmp_path / "now") as stream:
        remove_stale_parts(tmp_path)
        stream.write(b"alive")
    assert names_in(tmp_path) == kept | {"now"}
    assert (tmp_path / "now").read_bytes() == b"alive"


def test_check_writable_creates_nothing(tmp_path: Path) -> None:
    check_writable(tmp_path / "a" / "b")
    assert names_in(tmp_path) == set()
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="is a file"):
        check_writable(tmp_path / "file" / "b")
