"""The page of `--sheet`: every photo before and after, with the facts of the report, in one file of its own.

Photos are appended as they come: memory does not grow, and what a stopped run has done is on the page. What the page
looks like stands in page.html, page.css and page.js.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from contextlib import AbstractContextManager
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, BinaryIO

from restore import __version__
from restore.files import output_error
from restore.progress import printable
from restore.report import STATUSES, Record, open_listing


def open_page(path: Path | None) -> AbstractContextManager[PageWriter | None]:
    """The page: see `open_listing`."""
    return open_listing(path, "--sheet", ".html", PageWriter)


class PageWriter:
    """Appends photos to a stream that becomes the page.

    Args:
        rest: what `restore.report.ReportWriter` has there: model, device, summary.
    """

    def __init__(self, path: Path, stream: BinaryIO) -> None:
        self._path = path
        self._stream = stream
        self.rest: dict[str, Any] = {}
        css, js = _text("page.css"), _text("page.js")
        # The browser runs this script and no other, whatever a file's name holds, and fetches nothing.
        digest = base64.b64encode(hashlib.sha256(js.encode()).digest()).decode()
        self._write("head", css=css, js=js, digest=digest, choices=("all", *STATUSES))

    def _write(self, macro: str, **values: Any) -> None:
        text: str = getattr(_template(), macro)(**values)
        try:
            self._stream.write(text.encode())
        except OSError as error:
            raise output_error(self._path, error) from error

    def add(self, record: Record) -> None:
        """Append one file: pictures, and what the report says of it."""
        self._write(
            "photo",
            record=record,
            name=printable(record.path.name),
            facts=[(name, printable(value)) for name, value in _facts(record) if value],
            notes=[printable(note) for note in record.notes],
            views=[f"data:image/webp;base64,{base64.b64encode(view).decode()}" for view in record.views],
        )

    def close(self) -> None:
        """End the page with what is to be said of the run."""
        self._write("tail", version=__version__, rest=self.rest)


def _facts(record: Record) -> Sequence[tuple[str, str]]:
    size = f"{record.width} × {record.height}, {record.bits} bit" if record.width else ""
    pages = f", {record.pages} pages" if record.pages and record.pages > 1 else ""
    return (
        ("reason", record.reason),
        ("size", size + pages),
        ("tone", record.tone),
        ("model", record.model or ""),
        ("doubt", "" if record.doubt is None else f"{record.doubt:.1f}"),
        ("seconds", f"{record.seconds:.2f}" if record.seconds else ""),
        ("original", str(record.path)),
        ("result", str(record.output or "")),
        ("pair", record.compare.name if record.compare else ""),
    )


@cache
def _template() -> Any:
    """The macros of page.html, which escape whatever they are given."""
    from jinja2 import Environment, StrictUndefined  # half as long to import as all else of a run that is done already

    page = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True).from_string(_text("page.html"))
    return page.module


def _text(name: str) -> str:
    return files(__package__).joinpath(name).read_text("utf-8")
