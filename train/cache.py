"""Decoded pictures on disk, so that from the second epoch on only crops are made: decoding is most of the data path.

An LMDB file: any number of processes read it without copies or locks, writes are transactions, and a run that is killed
leaves it whole. Pictures are kept as they are decoded, three bytes a pixel.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

import lmdb
import numpy as np
import numpy.typing as npt

from restore.errors import OutputError

_MOST = 1 << 44  # address space, not disk
_LEAVE_FREE = 0.05  # of the disk
_HEADER = np.dtype("<u4")


class PictureCache:
    """Pictures by name, shared by all processes that open the same folder.

    A process opens the file at first use: LMDB must not be carried over a fork.

    Raises:
        OutputError: the folder can't be made or written to.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._open: lmdb.Environment | None = None
        self._full = False
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._environment().close()
            self._open = None
        except (OSError, lmdb.Error) as error:
            raise OutputError(f"the cache {folder} can't be written to: {error}", "Give another --cache") from error

    def __getstate__(self) -> dict[str, object]:
        return {"folder": self.folder, "_open": None, "_full": self._full}

    def _environment(self) -> lmdb.Environment:
        if self._open is None:
            # What the system has not written yet is lost with the machine, and decoded again: no need to wait for it.
            self._open = lmdb.open(str(self.folder), map_size=_MOST, sync=False, metasync=False, max_readers=512)
        return self._open

    def get(self, name: str) -> npt.NDArray[np.uint8] | None:
        """(H, W, 3) uint8, or None where it is not there."""
        with self._environment().begin(buffers=True) as transaction:
            value = transaction.get(_key(name))
            if value is None:
                return None
            height, width = np.frombuffer(value, _HEADER, 2)
            # A copy, because the view ends with the transaction.
            return np.frombuffer(value, np.uint8, offset=2 * _HEADER.itemsize).reshape(height, width, 3).copy()

    def put(self, name: str, picture: npt.NDArray[np.uint8]) -> None:
        """Keep (H, W, 3) uint8. When the disk is nearly full nothing more is kept, and the run goes on."""
        if self._full:
            return
        usage = shutil.disk_usage(self.folder)
        if usage.free - picture.nbytes < _LEAVE_FREE * usage.total:
            self._full = True
            return
        header = np.array(picture.shape[:2], _HEADER).tobytes()
        try:
            with self._environment().begin(write=True) as transaction:
                transaction.put(_key(name), header + np.ascontiguousarray(picture).tobytes())
        except lmdb.Error:
            self._full = True


def _key(name: str) -> bytes:
    """LMDB's keys have at most 511 bytes; a path may be longer."""
    return hashlib.blake2b(os.fsencode(name), digest_size=20).digest()
