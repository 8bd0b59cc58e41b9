"""Decoded pictures on disk, so that from the second epoch on only crops are made: decoding is most of the data path.

One LMDB file (https://www.symas.com/lmdb): any number of processes read it by memory mapping, without copies and locks;
writes are transactions, so a run that is killed leaves it whole. Pictures are kept three bytes a pixel.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt

from restore.errors import MissingDependencyError, OutputError

try:
    import lmdb
except ImportError as error:
    raise MissingDependencyError(
        "--cache needs the package lmdb", "Install the extra: pip install 'restore-color[train]'"
    ) from error

Rgb = npt.NDArray[np.uint8]

_ADDRESSES = 1 << 44  # bytes of address space, not of disk: the bound is counted here, and may differ between runs
_LEAVE_FREE = 0.05  # of the disk, for checkpoints and everybody else
_PROCESSES = 1024  # that may read at a time
_SHAPE = np.dtype("<u4")


class PictureCache:
    """Pictures by key, shared by all processes that name the same folder.

    Args:
        folder: of a local disk; made where it is missing.
        gigabytes: the most that it may take; None leaves a twentieth of the disk free.

    Raises:
        OutputError: the folder can't be written to, or holds something else or a damaged cache.
    """

    def __init__(self, folder: Path, gigabytes: float | None = None) -> None:
        self.folder = folder
        self.most = None if gigabytes is None else int(gigabytes * 1e9)
        self.full = ""  # why nothing more is kept
        with self._told():
            folder.mkdir(parents=True, exist_ok=True)
            environment = _environment(folder)
            environment.reader_check()  # readers that were killed would keep their places
            self.pictures, self.bytes = environment.stat()["entries"], _used(environment)
            self.close()
        if (folder / "data.mdb").stat().st_size < self.bytes:
            raise OutputError(f"the cache {folder} is damaged: it has been cut off", "Delete it")

    def close(self) -> None:
        """Before processes are forked, which must not inherit an open one; it opens itself again when it is used."""
        if self.folder in _open:
            _open.pop(self.folder)[1].close()

    @contextmanager
    def batch(self) -> Iterator[Callable[[str, Callable[[], Rgb]], Rgb]]:
        """Yields a function of a key and of how to make its picture, (H, W, 3), which gives that picture.

        What it gives is read-only, and there only as long as the block: made ones are kept at its end, in one go.

        Raises:
            OutputError: the cache is damaged.
        """
        made: dict[bytes, Rgb] = {}
        with self._told():
            environment = _environment(self.folder)
            with environment.begin(buffers=True) as reader:

                def picture(name: str, make: Callable[[], Rgb]) -> Rgb:
                    key = hashlib.blake2b(os.fsencode(name), digest_size=20).digest()  # LMDB's are 511 bytes at most
                    value = reader.get(key)
                    if value is None:
                        made[key] = made[key] if key in made else make()
                        return made[key]
                    height, width = np.frombuffer(value, _SHAPE, 2)
                    return np.frombuffer(value, np.uint8, offset=2 * _SHAPE.itemsize).reshape(height, width, 3)

                yield picture
            if made and not self.full:
                self._keep(environment, made)

    def _keep(self, environment: lmdb.Environment, made: dict[bytes, Rgb]) -> None:
        """Write pictures, or find out that there is no room, and go on without."""
        size = sum(picture.nbytes for picture in made.values())
        disk = shutil.disk_usage(self.folder)
        if self.most is not None and _used(environment) + size > self.most:
            self.full = f"it has reached {self.most / 1e9:g} GB"
        elif disk.free - size < _LEAVE_FREE * disk.total:
            self.full = "its disk is nearly full"
        if self.full:
            return
        try:
            with environment.begin(write=True) as writer:
                for key, picture in made.items():
                    shape = np.array(picture.shape[:2], _SHAPE).tobytes()
                    writer.put(key, shape + np.ascontiguousarray(picture).tobytes(), overwrite=False)
        except lmdb.Error as error:  # a full disk may be told as an "input/output error"
            self.full = f"writing failed ({error}); is its disk full?"

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except (OSError, lmdb.Error) as error:
            raise OutputError(
                f"the cache {self.folder} can't be used: {error}", "Give another --cache, or delete this one"
            ) from error


_open: dict[Path, tuple[int, lmdb.Environment]] = {}  # LMDB allows one handle in a process, and none from another


def _environment(folder: Path) -> lmdb.Environment:
    """This process's."""
    if folder not in _open or _open[folder][0] != os.getpid():
        # Pictures reach the disk before they are referred to: a power cut may forget the last ones, and harms no other.
        environment = lmdb.open(str(folder), map_size=_ADDRESSES, metasync=False, max_readers=_PROCESSES)
        _open[folder] = os.getpid(), environment
    return _open[folder][1]


def _used(environment: lmdb.Environment) -> int:
    """Bytes on the disk."""
    return int((environment.info()["last_pgno"] + 1) * environment.stat()["psize"])
