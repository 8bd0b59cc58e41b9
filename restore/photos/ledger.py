"""The state file of an output folder: what was done, of which file, with which options; and who works on it now.

It lies in the output folder as `.restore-state.jsonl`: a line for each result, appended when the result has its name.
A line that a kill cut short is not counted, and the next run begins a new one after it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import threading
from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

from restore.errors import OutputError
from restore.files import output_error

try:
    import fcntl
except ImportError:  # not on Windows, where a second run is not noticed
    fcntl = None  # type: ignore[assignment]

STATE_NAME = ".restore-state.jsonl"


@dataclass(frozen=True)
class Entry:
    """One result.

    Args:
        name: the result's path below the output folder.
        source: the original's path, as it was given.
        size, mtime_ns: of the original.
        settings: fingerprint of the options and the model, see `fingerprint`.
        result_size: in bytes.
        sha256: of the result.
        source_sha256: of the original.
        status: `done` or `kept`.
    """

    name: str
    source: str
    size: int
    mtime_ns: int
    settings: str
    result_size: int
    sha256: str
    source_sha256: str
    status: str


def fingerprint(settings: dict[str, Any]) -> str:
    """A short hash of whatever decides on a result's pixels and form."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16]


class Ledger:
    """The state of one output folder. Reading holds a line's hash of 16 bytes and its place a result: 100,000 results
    take about 20 MB.

    Raises:
        OutputError: another run works on the folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._path = folder / STATE_NAME
        self._lock = threading.Lock()
        self._stream: BinaryIO | None = None
        self._made = False
        self._known: dict[bytes, tuple[int, int, bytes, int]] = {}
        for entry in read_entries(folder):
            self._known[_key(entry.name)] = (entry.size, entry.mtime_ns, _short(entry.settings), entry.result_size)

    def hold(self) -> None:
        """Claim the folder for this run; it is made where it is not there.

        Raises:
            OutputError: another run has it, or it can't be written to.
        """
        if self._stream is not None:
            return
        try:
            self._made = not self.folder.exists()
            self.folder.mkdir(parents=True, exist_ok=True)
            stream = self._path.open("a+b")
            if fcntl is not None:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._end_torn_line(stream)
        except BlockingIOError:
            stream.close()
            raise OutputError(
                f"another run of restore works on {self.folder}", "Wait for its end, or choose another --output"
            ) from None
        except OSError as error:
            raise output_error(self._path, error) from error
        self._stream = stream

    def check(self) -> None:
        """Raises OutputError where the folder was removed, or moved, since this run claimed it."""
        if self._stream is None:
            return
        try:
            there = self._path.stat().st_ino == os.fstat(self._stream.fileno()).st_ino
        except OSError:
            there = False
        if not there:
            raise OutputError(f"{self.folder} was removed or moved during the run", "Run the same command again")

    def state(self, name: str, source: Path, output: Path, settings: Collection[str]) -> str:
        """What is known of a result: "" nothing, `done` with one of the settings, or what has changed since."""
        known = self._known.get(_key(name))
        if known is None:
            return ""
        try:
            stat, result = source.stat(), output.stat()
        except OSError:
            return ""
        size, mtime, done_with, result_size = known
        if result.st_size != result_size:
            return "the result has changed"
        if (stat.st_size, stat.st_mtime_ns) != (size, mtime):
            return "the original has changed"
        return "done" if done_with.hex() in settings else "the options or the model have changed"

    def add(self, entry: Entry) -> None:
        """Note a result that has its name.

        Raises:
            OutputError: the disk is full, or the folder is gone.
        """
        line = json.dumps(asdict(entry)).encode("ascii") + b"\n"
        with self._lock:
            self.check()
            if self._stream is None:
                return
            try:
                self._stream.write(line)
                self._stream.flush()
            except OSError as error:
                raise output_error(self._path, error) from error

    @staticmethod
    def _end_torn_line(stream: BinaryIO) -> None:
        if stream.seek(0, os.SEEK_END):
            stream.seek(-1, os.SEEK_END)
            if stream.read(1) != b"\n":
                stream.write(b"\n")

    def close(self) -> None:
        """Give the folder back; nothing is left of a run that did nothing."""
        if self._stream is None:
            return
        with contextlib.suppress(OSError):
            if os.fstat(self._stream.fileno()).st_size == 0:
                self._path.unlink()
                if self._made:
                    self.folder.rmdir()
        with contextlib.suppress(OSError):
            self._stream.close()
        self._stream = None


def read_entries(folder: Path) -> Iterator[Entry]:
    """The lines of a state file that are whole, oldest first; a later one of the same name replaces an earlier."""
    try:
        stream = (folder / STATE_NAME).open("rb")
    except OSError:
        return
    with stream:
        for line in stream:
            try:
                yield Entry(**json.loads(line))
            except (ValueError, TypeError):
                continue  # torn by a kill, or by a disk that was full


def file_sha256(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _key(name: str) -> bytes:
    return hashlib.blake2b(os.fsencode(name), digest_size=12).digest()


def _short(settings: str) -> bytes:
    return bytes.fromhex(settings)
