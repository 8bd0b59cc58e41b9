"""All results as one ZIP, sent while it is made."""

from __future__ import annotations

import io
import time
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

_CHUNK = 1 << 20


def named_apart(files: Iterable[tuple[str, Path]]) -> Iterator[tuple[str, Path]]:
    """The same files by names of which no two are alike, each when it is asked for."""
    taken: set[str] = set()
    for wanted, path in files:
        name, number = wanted, 1
        while name.casefold() in taken:
            number += 1
            pure = PurePosixPath(wanted)
            name = f"{pure.stem}-{number}{pure.suffix}"
        taken.add(name.casefold())
        yield name, path


class _Outlet(io.RawIOBase):
    """Collects what is written until it is taken."""

    def __init__(self) -> None:
        self._chunks: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        chunk = bytes(data)  # type: ignore[call-overload]
        self._chunks.append(chunk)
        return len(chunk)

    def take(self) -> bytes:
        taken, self._chunks = b"".join(self._chunks), []
        return taken


def zip_of(files: Iterable[tuple[str, Path]]) -> Iterator[bytes]:
    """A ZIP of files and their names, stored as they are: pictures and films don't get smaller. What is no longer there
    when its turn comes is left out."""
    outlet = _Outlet()
    with zipfile.ZipFile(outlet, "w", zipfile.ZIP_STORED) as archive:
        for name, path in files:
            try:
                source = path.open("rb")
            except FileNotFoundError:
                continue
            entry = zipfile.ZipInfo(name, time.localtime()[:6])
            entry.external_attr = 0o644 << 16
            with source, archive.open(entry, "w", force_zip64=True) as target:
                while chunk := source.read(_CHUNK):
                    target.write(chunk)
                    yield outlet.take()
    yield outlet.take()
