"""The folders that results go into: checked and claimed once each, before the first write to them."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

from restore.errors import OutputError
from restore.files import check_writable, remove_stale_parts
from restore.photos.done import DoneBefore
from restore.walk import Root


class OutputFolders:
    """The output folders of a run, and those below them."""

    def __init__(self, roots: Sequence[Root], done: DoneBefore) -> None:
        self._inputs = [root.source.resolve() for root in roots if not root.name]
        self._done = done
        self._lock = threading.Lock()
        self._claimed: set[Path] = set()
        self._prepared: set[Path] = set()

    def claim(self, root: Path) -> None:
        """Raises OutputError where an output folder can't be written to, or another run has it."""
        with self._lock:
            if root not in self._claimed:
                check_writable(root)
                self._done.hold(root)
                self._claimed.add(root)

    def prepare(self, folder: Path) -> None:
        """Remove what a killed run left in a folder.

        Raises:
            OutputError: it leads to originals by a link.
        """
        with self._lock:
            if folder in self._prepared:
                return
            resolved = folder.resolve()
            if any(resolved == source or source in resolved.parents for source in self._inputs):
                raise OutputError(f"{folder} leads into the input folder by a link", "Choose another with --output")
            remove_stale_parts(folder)
            self._prepared.add(folder)
