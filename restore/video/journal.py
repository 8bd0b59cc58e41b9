"""The work folder of a film in the making: its plan, and what has been encoded of it.

.film-restored.mp4.restore-work/
    plan.json            fingerprints of source, weights and options; runtime, dtype and batch
    00000.mkv 00000.json a segment, and its frames' pts; the second is written when the first is whole
    lock                 held by the run that works here; the system releases it however that run ends
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from restore.errors import InputError, OutputError
from restore.files import exists, output_error, write_atomically
from restore.options import Runtime as RuntimeName
from restore.video.film_memory import Memory

_PLAN = "plan.json"
_LOCK = "lock"
# Another run that ends may remove the folder after this one makes it and before this one locks it.
_LOCK_TRIALS = 5
_SAMPLE = 1 << 20


@dataclass(frozen=True)
class Plan:
    """What a film's result depends on. A run goes on only where all of it is as it was."""

    source: dict[str, Any]
    model: str
    options: dict[str, Any]
    codec: dict[str, Any]
    version: str


@dataclass(frozen=True)
class Runtime:
    """What the first run found fastest; later ones keep it, so that their frames equal the first one's."""

    runtime: RuntimeName
    dtype: str
    batch: int


@dataclass(frozen=True)
class Segment:
    """An encoded run of frames.

    Args:
        pts: of each frame, in the film's time base.
        losses: what could not be decoded on the way, summed up since the film's start.
        memory: of the scenes so far.
        last: the film ends here.
        end: where its last frame ends, in the film's time base; only the last segment's is to be used.
    """

    path: Path
    pts: list[int]
    losses: dict[str, Any]
    memory: Memory
    last: bool
    end: int


def fingerprint(path: Path) -> dict[str, Any]:
    """Size, time of change, and a hash of a film's beginning and end.

    Raises:
        InputError: it can't be read.
    """
    try:
        facts = path.stat()
        digest = hashlib.sha256()
        with path.open("rb") as stream:
            digest.update(stream.read(_SAMPLE))
            stream.seek(max(0, facts.st_size - _SAMPLE))
            digest.update(stream.read(_SAMPLE))
    except OSError as error:
        raise InputError(f"{path} can't be read: {error.strerror}") from error
    return {"size": facts.st_size, "mtime_ns": facts.st_mtime_ns, "sha256_of_ends": digest.hexdigest()}


class Journal:
    """The work folder beside `output`."""

    def __init__(self, output: Path) -> None:
        self.output = output
        self.folder = output.with_name(f".{output.name}.restore-work")

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other runs out of the folder. It is made first, and removed at the end if it is empty.

        Raises:
            OutputError: another run works on the film, or nothing can be written there.
        """
        lock = self._lock()
        try:
            yield
        finally:
            with contextlib.suppress(OSError):
                if [entry.name for entry in self.folder.iterdir()] == [_LOCK]:
                    # While it is held: whoever waits for this file finds out that it has gone.
                    (self.folder / _LOCK).unlink()
                    self.folder.rmdir()
            lock.release()

    def check_unlocked(self) -> None:
        """Raises OutputError where another run works on the film. Writes nothing."""
        if exists(self.folder / _LOCK):
            self._lock().release()

    def _lock(self) -> FileLock:
        lock = FileLock(self.folder / _LOCK)
        for trial in range(_LOCK_TRIALS):
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
                lock.acquire(blocking=False)
                return lock
            except Timeout as error:
                raise OutputError(
                    f"{self.output} is being made by another run", "Let it end, or stop it and run the same command"
                ) from error
            except OSError as error:
                if not isinstance(error, FileNotFoundError) or trial == _LOCK_TRIALS - 1:
                    raise output_error(self.output, error) from error
        raise AssertionError

    def open(self, plan: Plan) -> Runtime | None:
        """Find what an earlier run of the same plan has left: its runtime, or None for a new film.

        Raises:
            OutputError: the folder holds work of another plan, or can't be read.
        """
        path = self.folder / _PLAN
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            before, runtime = dict(found["plan"]), Runtime(**found["runtime"])
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise OutputError(f"{path} is damaged: {error}", "Begin anew with --restart") from error
        changes = _changes(before, _as_read(asdict(plan)))
        if changes:
            raise OutputError(
                f"{self.folder} holds unfinished work with another {', another '.join(changes)}",
                "Give the same as before to go on, or --restart to begin anew",
            )
        return runtime

    def begin(self, plan: Plan, runtime: Runtime) -> None:
        """Write down what the film depends on. Raises OutputError."""
        content = json.dumps({"plan": asdict(plan), "runtime": asdict(runtime)}, indent=2) + "\n"
        write_atomically(self.folder / _PLAN, lambda stream: stream.write(content.encode()))

    def segments(self) -> list[Segment]:
        """The whole ones, from the first on without a gap."""
        found: list[Segment] = []
        while True:
            record = self.folder / f"{len(found):05d}.json"
            path = record.with_suffix(".mkv")
            try:
                facts = json.loads(record.read_text(encoding="utf-8"))
                if path.stat().st_size != facts["bytes"]:
                    return found
            except (OSError, ValueError, KeyError):
                return found
            memory = Memory.from_json(facts["memory"])
            found.append(Segment(path, facts["pts"], facts["losses"], memory, facts["last"], facts["end"]))

    def part(self, number: int) -> Path:
        """Where segment `number` is encoded before it is whole."""
        return self.folder / f"{number:05d}.part"

    def add(
        self, number: int, pts: list[int], losses: dict[str, Any], memory: Memory, *, last: bool, end: int
    ) -> Segment:
        """Give a whole segment its name, and record it. Raises OutputError."""
        path = self.folder / f"{number:05d}.mkv"
        self.part(number).replace(path)
        facts = {"pts": pts, "losses": losses, "last": last, "end": end}
        facts |= {"bytes": path.stat().st_size, "memory": memory.as_json()}
        write_atomically(path.with_suffix(".json"), lambda stream: stream.write(json.dumps(facts).encode()))
        return Segment(path, pts, losses, memory, last, end)

    def remove_if_finished(self) -> None:
        """Remove what a run left that was killed after its film was complete: all of it is older than the film."""
        with contextlib.suppress(OSError, OutputError):
            finished = self.output.stat().st_mtime_ns
            if all(entry.stat().st_mtime_ns <= finished for entry in self.folder.iterdir()):
                with self.locked():
                    self.clear()

    def clear(self) -> None:
        """Throw all work away. The folder itself goes with the lock. Raises OutputError."""
        try:
            for entry in list(self.folder.iterdir()):
                if entry.is_dir() and not entry.is_symlink():
                    shutil.rmtree(entry)
                elif entry.name != _LOCK:
                    entry.unlink()
        except OSError as error:
            raise output_error(self.folder, error) from error


def _as_read(value: Any) -> Any:
    return json.loads(json.dumps(value))


def _changes(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """What differs between two plans, in words."""
    changes = []
    for part, value in new.items():
        before = old.get(part)
        if before == value:
            continue
        if part in ("options", "codec") and isinstance(before, dict):
            names = sorted(name for name in value | before if value.get(name) != before.get(name))
            kind = "codec's " if part == "codec" else ""
            changes += [f"{kind}{name} ({before.get(name)}, now {value.get(name)})" for name in names]
        else:
            changes.append(f"{part} ({before}, now {value})" if part == "version" else part)
    return changes
