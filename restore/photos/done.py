"""What earlier runs have done: the state files of the output folders, asked and kept up to date."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from itertools import product
from pathlib import Path
from typing import Any

from restore.colorizers.own import with_own_choices
from restore.files import exists
from restore.model_files import sha256
from restore.options import EngineOptions, PhotoOptions, effective
from restore.photos.ledger import Entry, Ledger, file_sha256, fingerprint
from restore.photos.plan import Planned, PlannedPhoto
from restore.report import Record
from restore.walk import PassedOver, Root

RENEWED = "renewed"
# Part of the settings also where they are defaults, as the first state files have them.
_ALWAYS = frozenset(
    (
        *("size", "style", "calm", "dropout"),
        *("saturation", "format", "quality", "already_color", "provenance", "confidence"),
    )
)
_CHANGED_RESULT = "the result has changed"


def settings_of(options: PhotoOptions, engine: EngineOptions, model_sha256: str) -> dict[str, Any]:
    """Whatever decides on a result, but for its source. Results from before there was an option stay done: one that the
    first state files did not know counts where it is not its default."""
    chosen = effective(engine) | effective(options)
    defaults = {entry.name: entry.default for entry in (*fields(engine), *fields(options))}
    return {"model": model_sha256} | {
        name: value for name, value in chosen.items() if name in _ALWAYS or value != defaults[name]
    }


def same_settings(options: PhotoOptions, engine: EngineOptions, checkpoint: Path) -> list[dict[str, Any]]:
    """The settings with what the model chooses by itself written out, and after them those that give the same results:
    version 0.1 noted None for what was left to the model; and results are the same with maps beside them."""
    own = with_own_choices(replace(engine, style=None, size=None), checkpoint)
    full = replace(engine, style=engine.style or own.style, size=engine.size or own.size)
    settings = settings_of(options, full, sha256(checkpoint))
    styles = dict.fromkeys((full.style, None if full.style == own.style else full.style))
    sizes = dict.fromkeys((full.size, None if full.size == own.size else full.size))
    maps = dict.fromkeys((options.confidence, True))
    return [
        settings | {"style": style, "size": size, "confidence": confidence}
        for style, size, confidence in product(styles, sizes, maps)
    ]


def folder_roots(roots: Sequence[Root], options: PhotoOptions) -> set[Path]:
    """The output folders that have a state file. A file's default output lies beside it, in a folder of originals:
    there is none there."""
    return {root.output for root in roots if not root.name or options.output is not None}


class DoneBefore:
    """The state files of a run's output folders."""

    def __init__(self, roots: Sequence[Root], options: PhotoOptions, engine: EngineOptions, checkpoint: Path) -> None:
        self._settings, *others = map(fingerprint, same_settings(options, engine, checkpoint))
        self._good = {self._settings, *others}
        self._ledgers = {folder: Ledger(folder) for folder in folder_roots(roots, options)}

    def state(self, planned: PlannedPhoto, result: Path) -> str:
        """Of a photo that an earlier run may have done: the reason to leave it, `RENEWED` where it is to be done
        again, or "" where nothing is known."""
        ledger = self._ledgers.get(planned.root)
        if ledger is None:
            return ""
        state = ledger.state(str(result.relative_to(planned.root)), planned.source, result, self._good)
        if state in ("", "done"):
            return state and "already done"
        # What someone has worked on is not ours to replace.
        return f"already done, and changed since: {result}" if state == _CHANGED_RESULT else RENEWED

    def hold(self, folder: Path) -> None:
        """Claim an output folder.

        Raises:
            OutputError: another run has it.
        """
        if folder in self._ledgers:
            self._ledgers[folder].hold()

    def check(self, planned: PlannedPhoto) -> None:
        """Raises OutputError where the output folder is gone."""
        if planned.root in self._ledgers:
            self._ledgers[planned.root].check()

    def note(self, planned: PlannedPhoto, record: Record) -> dict[str, str]:
        """Note a result; its hashes.

        Raises:
            OutputError: the disk is full, or the output folder is gone.
            OSError: the source or the result is.
        """
        assert record.output is not None
        self.check(planned)
        hashes = {"source": file_sha256(planned.source), "result": file_sha256(record.output)}
        ledger = self._ledgers.get(planned.root)
        if ledger is not None:
            stat = planned.source.stat()
            ledger.add(
                Entry(
                    str(record.output.relative_to(planned.root)),
                    str(planned.source),
                    stat.st_size,
                    stat.st_mtime_ns,
                    self._settings,
                    record.output.stat().st_size,
                    hashes["result"],
                    hashes["source"],
                    record.status,
                )
            )
        return hashes

    def close(self) -> None:
        """Give the folders back."""
        for ledger in self._ledgers.values():
            ledger.close()


def settled(planned: Planned, options: PhotoOptions, done: DoneBefore) -> Record | None:
    """The record of what needs no work; None for what does."""
    if isinstance(planned, PassedOver):
        return Record(planned.path, "failed" if planned.failed else "skipped", reason=planned.reason)
    if not options.overwrite:
        renewed = False
        for result in dict.fromkeys((planned.output, planned.copy)):
            state = done.state(planned, result)
            if state not in (RENEWED, ""):
                return Record(planned.source, "skipped", result, state, already_done=True)
            renewed = renewed or state == RENEWED
        if renewed:
            return None
        if exists(planned.output):
            return Record(planned.source, "skipped", planned.output, "already done", already_done=True)
        if exists(planned.copy) and planned.copy.stat().st_size == planned.source.stat().st_size:
            return Record(planned.source, "skipped", planned.copy, "already done", already_done=True)
    return None
