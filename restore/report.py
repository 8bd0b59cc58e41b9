"""The report of a run: one JSON file with a record for every file met, written as it goes, so memory stays flat."""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Literal, Protocol, TypeVar

from restore import __version__
from restore.errors import OutputError
from restore.files import exists, is_folder, open_atomically, output_error, remove_stale_parts
from restore.options import Era

Status = Literal["done", "kept", "skipped", "failed"]
STATUSES: tuple[Status, ...] = ("done", "kept", "skipped", "failed")

NEGATIVE = "it looks like a negative: if it is one, invert it first"
"""The note that is said during the run, too."""


@dataclass(frozen=True)
class Record:
    """What became of one file.

    Args:
        reason: why it was kept, skipped or failed; "" where it was done.
        bits: a sample of the source, or rather of what is left of it in the result: 8 or 16.
        pages: pictures in the file.
        tone: `neutral`, `toned`, `tinted` or `color`, "" where the file was not looked at.
        notes: what the user should know about a file that was done all the same.
        model: the model that coloured it.
        era: whose palette the model took; None where it knows no eras.
        sha256: of `source` and `result`, where a result was written.
        already_done: it needed nothing.
        compare: its before/after picture.
        views: of its original and, unless that is a copy, of its result: small pictures, encoded, for a page.
        confidence: maps beside the result of how sure the model is, one for each page that was coloured.
        doubt: how far the colour is expected to be off on average, in Lab units, where maps were asked for.
        film: what only films have: frames, scenes, speed, losses, and what was checked.
    """

    path: Path
    status: Status
    output: Path | None = None
    reason: str = ""
    seconds: float = 0.0
    width: int | None = None
    height: int | None = None
    bits: int | None = None
    pages: int | None = None
    tone: str = ""
    notes: tuple[str, ...] = ()
    model: str | None = None
    era: Era | None = None
    sha256: Mapping[str, str] | None = None
    already_done: bool = False
    compare: Path | None = None
    views: tuple[bytes, ...] = field(default=(), repr=False)
    confidence: tuple[Path, ...] = ()
    doubt: float | None = None
    film: Mapping[str, Any] | None = None

    @property
    def warning(self) -> str:
        """The note that is not for the report alone, or ""."""
        return next((note for note in self.notes if note.startswith(NEGATIVE)), "")

    def as_json(self) -> dict[str, Any]:
        """The record as it stands in the report."""
        facts = {
            "path": str(self.path),
            "output": str(self.output) if self.output else None,
            "status": self.status,
            "error": self.reason if self.status == "failed" else None,
            "reason": (self.reason or None) if self.status != "failed" else None,
            "seconds": round(self.seconds, 3),
            "width": self.width,
            "height": self.height,
            "bits": self.bits,
            "pages": self.pages,
            "tone": self.tone or None,
            "notes": list(self.notes),
            "model": self.model,
            "era": self.era,
            "sha256": dict(self.sha256) if self.sha256 else None,
        }
        if self.compare:
            facts["compare"] = str(self.compare)
        if self.confidence:
            facts |= {"confidence": [str(path) for path in self.confidence], "doubt": round(self.doubt or 0.0, 2)}
        return facts | ({"film": dict(self.film)} if self.film is not None else {})


@dataclass
class Summary:
    """Counts of a run so far."""

    counts: Counter[str] = field(default_factory=Counter)
    already_done: int = 0
    negatives: int = 0
    seconds: float = 0.0

    def add(self, record: Record) -> None:
        """Count a record."""
        self.counts[record.status] += 1
        self.already_done += record.already_done
        self.negatives += bool(record.warning)

    @property
    def counts_by_status(self) -> dict[str, int]:
        """Every status and how many files have it, in their usual order."""
        return {status: self.counts[status] for status in STATUSES}

    @property
    def counts_shown(self) -> dict[str, int]:
        """What is printed at the end: every status, and probable negatives where there are some."""
        return self.counts_by_status | ({"probably negative": self.negatives} if self.negatives else {})

    @property
    def failed(self) -> int:
        return self.counts["failed"]

    @property
    def found(self) -> int:
        """Files that are pictures, or claim to be: all but those that were passed over as none."""
        return self.counts["done"] + self.counts["kept"] + self.failed + self.already_done

    def as_json(self) -> dict[str, Any]:
        """The summary as it stands in the report."""
        return self.counts_by_status | {"seconds": round(self.seconds, 3)}


class Listing(Protocol):
    """A file that tells of each record, and then of the run."""

    rest: dict[str, Any]

    def add(self, record: Record) -> None:
        """Append one file's record."""

    def close(self) -> None:
        """Append the rest."""


AnyListing = TypeVar("AnyListing", bound=Listing)


class ReportWriter:
    """Appends records to a stream that becomes the report.

    Args:
        rest: the keys that follow the list of files; filled in by whoever runs, as it gets to know them.
    """

    def __init__(self, path: Path, stream: BinaryIO) -> None:
        self._path = path
        self._stream = stream
        self._separator = "\n"
        self.rest: dict[str, Any] = {}
        self._write(f'{{"version": {json.dumps(__version__)}, "files": [')

    def _write(self, text: str) -> None:
        try:
            # JSON escapes everything beyond ASCII, also the bytes of names that are no valid text.
            self._stream.write(text.encode("ascii"))
        except OSError as error:
            raise output_error(self._path, error) from error

    def add(self, record: Record) -> None:
        """Append one file's record."""
        self._write(self._separator + json.dumps(record.as_json()))
        self._separator = ",\n"

    def close(self) -> None:
        """End the list and write the rest."""
        self._write("\n]")
        for key, value in self.rest.items():
            self._write(f",\n{json.dumps(key)}: {json.dumps(value)}")
        self._write("}\n")


def open_report(path: Path | None) -> contextlib.AbstractContextManager[ReportWriter | None]:
    """The report: see `open_listing`."""
    return open_listing(path, "--report", ".json", ReportWriter)


@contextlib.contextmanager
def open_listing(
    path: Path | None, option: str, suffix: str, make: Callable[[Path, BinaryIO], AnyListing]
) -> Iterator[AnyListing | None]:
    """A listing that appears at `path` when the block ends, also when it ends by an error; None without a path.

    Args:
        option: that names the path, for errors.
        suffix: that an existing file must have to be replaced.

    Raises:
        OutputError: it can't be written there. Said before any work begins, as the stream is opened at once.
    """
    if path is None:
        yield None
        return
    if is_folder(path):
        raise OutputError(f"{option} {path} is a folder", f"Give the name of a {suffix} file")
    if exists(path) and path.suffix.lower() != suffix:
        raise OutputError(f"{option} {path} exists and is no {suffix} file", f"Give the name of a {suffix} file")
    remove_stale_parts(path.parent)
    failure: BaseException | None = None
    with open_atomically(path) as stream:
        listing = make(path, stream)
        try:
            yield listing
        except BaseException as error:  # noqa: BLE001  raised again below, when the listing is whole
            failure = error
        listing.close()
    if failure is not None:
        raise failure
