"""Random access to many encoded pictures: a folder tree, tar shards, or a text file of paths.

A source is a table of places, not of pictures: a million pictures take about 100 MB, and it travels to the worker
processes of a DataLoader as it is. No file stays open between two reads, so a source can be pickled, forked and read
from several threads; opening a local file costs microseconds, decoding a picture costs milliseconds.
"""

from __future__ import annotations

import os
import struct
import tarfile
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import numpy as np
import numpy.typing as npt
from PIL import Image

from restore.errors import InputError

PICTURE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp"})

# What Pillow raises for damaged files, depending on the format.
DECODE_ERRORS = (
    OSError,
    ValueError,
    SyntaxError,
    EOFError,
    KeyError,
    IndexError,
    TypeError,
    OverflowError,
    struct.error,
    Image.DecompressionBombError,
    InputError,
)

_NO_SHARD = -1


@dataclass(frozen=True)
class _Entry:
    """Where one picture lies: `size` bytes from `offset` of a shard, or a whole file below `root`."""

    name: str
    shard: int = _NO_SHARD
    offset: int = 0
    size: int = 0


class _Table:
    """Entries packed into arrays. Python objects would cost ten times the memory, and forked workers copy them."""

    def __init__(self, root: Path, shards: Sequence[Path], entries: Iterator[_Entry]) -> None:
        self.root = str(root)
        self.shards = [str(shard) for shard in shards]
        names = bytearray()
        ends, places = array("q", [0]), array("q")
        for entry in entries:
            names += os.fsencode(entry.name)
            ends.append(len(names))
            places.extend((entry.shard, entry.offset, entry.size))
        self._names = bytes(names)
        self._ends = np.array(ends, np.int64)
        self._places = np.array(places, np.int64).reshape(-1, 3)

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, row: int) -> _Entry:
        name = os.fsdecode(self._names[self._ends[row] : self._ends[row + 1]])
        shard, offset, size = (int(number) for number in self._places[row])
        return _Entry(name, shard, offset, size)


class PhotoSource:
    """Encoded pictures by index, in an order that is the same each time. Make one with `open_source`."""

    def __init__(self, table: _Table, rows: npt.NDArray[np.int64]) -> None:
        self._table = table
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    def name(self, i: int) -> str:
        """What to call picture `i` in a message: its path, or `shard.tar:member.webp`."""
        entry = self._table[self._rows[i]]
        if entry.shard == _NO_SHARD:
            return str(Path(self._table.root) / entry.name)
        return f"{self._table.shards[entry.shard]}:{entry.name}"

    def read(self, i: int) -> bytes:
        """The encoded file of picture `i`.

        Raises:
            InputError: it can't be read, or its shard has become shorter.
        """
        entry = self._table[self._rows[i]]
        try:
            if entry.shard == _NO_SHARD:
                return (Path(self._table.root) / entry.name).read_bytes()
            with Path(self._table.shards[entry.shard]).open("rb") as stream:
                stream.seek(entry.offset)
                data = stream.read(entry.size)
        except OSError as error:
            raise InputError(f"{self.name(i)} can't be read: {error.strerror or error}") from error
        if len(data) != entry.size:
            raise InputError(f"{self.name(i)} can't be read: its shard has become shorter", "Copy the shard again")
        return data

    def identity(self, i: int) -> str:
        """What changes when picture `i` does: where it lies, and the size and time of that file.

        Raises:
            OSError: the file is gone.
        """
        entry = self._table[self._rows[i]]
        # Plain strings: this is asked for every crop, and Path would take as long as cutting one.
        table = self._table
        path = f"{table.root}/{entry.name}" if entry.shard == _NO_SHARD else table.shards[entry.shard]
        status = os.stat(path)  # noqa: PTH116
        return f"{path}:{entry.offset}:{entry.size}:{status.st_size}:{status.st_mtime_ns}"

    def select(self, indices: Sequence[int] | npt.NDArray[np.int64]) -> PhotoSource:
        """The pictures with these indices, in this order; the table is shared."""
        return PhotoSource(self._table, self._rows[np.asarray(indices, np.int64)])


def open_source(path: Path) -> PhotoSource:
    """List the pictures of `path`, without decoding any.

    Args:
        path: a folder tree of pictures (any depth); a folder with `*.tar` shards, which are then used instead; one
            `.tar` shard; or a text file with one path a line, relative to the file's folder (`#` starts a comment
            line). Pictures are known by their suffix; hidden files are passed over. Folders and shards are taken in
            sorted order, shard members and listed paths in the order they stand in.

    Raises:
        InputError: nothing there, no picture in it, or a damaged shard.
    """
    path = path.expanduser()
    if path.is_dir():
        shards = _shards_in(path)
        table = _Table(path, shards, _shard_entries(shards) if shards else _tree_entries(path))
    elif not path.exists():
        raise InputError(f"{path} does not exist", "Give a folder of pictures, .tar shards or a text file of paths")
    elif path.suffix.lower() == ".tar":
        table = _Table(path.parent, [path], _shard_entries([path]))
    elif path.suffix.lower() in PICTURE_SUFFIXES:
        raise InputError(f"{path} is a single picture", "Give its folder, or a text file of paths")
    else:
        table = _Table(path.parent, [], _listed_entries(path))
    if len(table) == 0:
        kinds = " ".join(sorted(PICTURE_SUFFIXES))
        raise InputError(f"{path} holds no pictures", f"Pictures are known by their suffix: {kinds}")
    return PhotoSource(table, np.arange(len(table), dtype=np.int64))


def joined(parts: Sequence[tuple[PhotoSource, int]]) -> PhotoSource:
    """Several sources as one, in their order.

    Args:
        parts: sources, and how many times each of their pictures is there.
    """
    shards: list[Path] = []
    firsts = list[int]()  # of each source's shards, where they stand among all
    for source, _ in parts:
        firsts.append(len(shards))
        shards += [Path(shard).absolute() for shard in source._table.shards]

    def entries() -> Iterator[_Entry]:
        for (source, _), first in zip(parts, firsts, strict=True):
            root = Path(source._table.root).absolute()
            for row in source._rows:
                entry = source._table[row]
                if entry.shard == _NO_SHARD:
                    yield replace(entry, name=str(root / entry.name))
                else:
                    yield replace(entry, shard=entry.shard + first)

    table = _Table(Path("/"), shards, entries())
    ends = np.cumsum([0, *(len(source) for source, _ in parts)])
    rows = [
        np.tile(np.arange(start, end), times) for start, end, (_, times) in zip(ends, ends[1:], parts, strict=False)
    ]
    return PhotoSource(table, np.concatenate(rows))


def split(source: PhotoSource, share: float | int, seed: int) -> tuple[PhotoSource, PhotoSource]:
    """Split at random, the same way for the same seed; both parts keep the source's order.

    Args:
        share: how much goes to the second part (validation): a fraction (float) or a count (int), at least one picture.

    Returns:
        (train, validation), disjoint, together everything.

    Raises:
        InputError: one of the two would be empty.
    """
    total = len(source)
    count = share if isinstance(share, int) else max(1, round(share * total))
    if not 1 <= count < total:
        raise InputError(f"{total} pictures can't be split into {count} for validation and the rest", "Give more data")
    order = np.random.default_rng(seed).permutation(total)
    return source.select(np.sort(order[count:])), source.select(np.sort(order[:count]))


def _is_picture(name: str) -> bool:
    path = PurePosixPath(name)
    return path.suffix.lower() in PICTURE_SUFFIXES and not path.name.startswith(".")


def _scan(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted((entry for entry in entries if not entry.name.startswith(".")), key=lambda entry: entry.name)
    except OSError as error:
        raise InputError(f"folder {folder} can't be read: {error.strerror or error}") from error


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _shards_in(folder: Path) -> list[Path]:
    return [
        Path(entry.path) for entry in _scan(folder) if entry.name.lower().endswith(".tar") and not _is_folder(entry)
    ]


def _tree_entries(root: Path) -> Iterator[_Entry]:
    seen: set[tuple[int, int]] = set()

    def walk(folder: Path, below: str) -> Iterator[_Entry]:
        # Data sets are often folders of links, so links are followed; each folder once, so that a loop ends.
        status = folder.stat()
        if (status.st_dev, status.st_ino) in seen:
            return
        seen.add((status.st_dev, status.st_ino))
        for entry in _scan(folder):
            if _is_folder(entry):
                yield from walk(Path(entry.path), f"{below}{entry.name}/")
            elif _is_picture(entry.name) and (entry.is_symlink() or entry.is_file()):
                yield _Entry(below + entry.name)  # a dead link too: whoever reads it reports it

    return walk(root, "")


def _listed_entries(path: Path) -> Iterator[_Entry]:
    try:
        text = path.read_text("utf-8-sig")
    except OSError as error:
        raise InputError(f"{path} can't be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is no text file of paths", "Give a folder, .tar shards or UTF-8 text") from error
    for line in text.splitlines():
        name = line.strip()
        if name and not name.startswith("#") and _is_picture(name):
            yield _Entry(name)


def _shard_entries(shards: Sequence[Path]) -> Iterator[_Entry]:
    for number, shard in enumerate(shards):
        try:
            yield from _members(shard, number)
        except OSError as error:
            raise InputError(f"{shard} can't be read: {error.strerror or error}") from error
        except tarfile.TarError as error:
            raise InputError(
                f"{shard} is damaged or no tar file ({error})",
                "Copy it again; compressed tars must be unpacked first",
            ) from error


def _members(shard: Path, number: int) -> Iterator[_Entry]:
    with tarfile.open(shard, "r:") as tar:
        while (member := tar.next()) is not None:
            # Else tarfile keeps an object of a kilobyte for each.
            tar.members.clear()  # type: ignore[attr-defined]
            if member.isreg() and not member.issparse() and _is_picture(member.name):
                yield _Entry(member.name, number, member.offset_data, member.size)
        end = tar.offset
    # A tar cut between two members, or with rubbish there, looks finished to tarfile: ask for the zeros that end one.
    with shard.open("rb") as stream:
        stream.seek(end)
        block = stream.read(tarfile.BLOCKSIZE)
    if block != bytes(tarfile.BLOCKSIZE):
        raise tarfile.ReadError("it ends too early")
