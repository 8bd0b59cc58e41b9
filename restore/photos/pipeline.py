"""Colouring photos: plan → read → guess in batches → write. The composition stands in `_Run.records`."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import numpy.typing as npt

from restore.errors import InputError, OutputError, RestoreError
from restore.files import check_writable, exists, is_disk_full, is_folder, remove_stale_parts
from restore.merge import shrink_luma, small_chroma
from restore.model_files import find_checkpoint, sha256
from restore.options import EngineOptions, PhotoOptions
from restore.photos.containers import BY_FORMAT, Container
from restore.photos.plan import Planned, PlannedPhoto, find_roots, plan
from restore.photos.reading import Photo, Plane, read_photo, several_pictures
from restore.photos.writing import copy_as_is, encode, flatten, write_bytes
from restore.progress import Progress, SilentProgress
from restore.report import Record, Summary, open_report
from restore.threads import map_in_threads, processors
from restore.walk import PassedOver, Root

if TYPE_CHECKING:
    from restore.colorizers import Engine

FloatArray = npt.NDArray[np.float32]
# Photos that are read while the engine is loaded, in bytes of luma.
_READ_AHEAD = 320 << 20


@dataclass(frozen=True)
class _Loaded:
    """A photo read."""

    planned: PlannedPhoto
    photo: Photo
    luma: Plane
    seconds: float


@dataclass(frozen=True)
class _Guessed:
    """A photo read, the network's view of it, and its ab (2, h, w)."""

    loaded: _Loaded
    small: FloatArray
    ab: FloatArray
    model: str
    seconds: float


def restore_photos(
    options: PhotoOptions,
    engine_options: EngineOptions,
    progress: Progress | None = None,
    stopping: Callable[[], bool] = lambda: False,
) -> Summary:
    """Colour photos, each written whole or not at all. A broken file is recorded, and the rest goes on.

    Args:
        stopping: asked often; once it says yes, files in hand are finished and no new ones are begun.

    Raises:
        InputError: an input is not there, or there is no photo in them.
        OutputError: the output can't be written, is full, or lies where originals are.
        ModelError, DeviceError, UsageError: the model or the device can't be had.
    """
    progress = progress or SilentProgress()
    roots = find_roots(options)
    checkpoint = find_checkpoint(engine_options.model)
    begin = time.monotonic()
    run = _Run(options, engine_options, roots, stopping)
    summary = Summary()
    with open_report(options.report) as report:
        progress.start(sum(1 for _ in plan(roots, options)) if progress.wants_total else None)
        try:
            with contextlib.closing(run.records()) as records:
                for record in records:
                    summary.add(record)
                    if report:
                        report.add(record)
                    progress.step(str(record.path), record.status, record.reason)
        finally:
            summary.seconds = time.monotonic() - begin
            progress.finish(summary.counts_by_status, summary.seconds)
            if report:
                report.rest = run.about(checkpoint) | {"summary": summary.as_json()}
        if run.failure:
            raise run.failure
        if not summary.found and not stopping():
            names = ", ".join(str(root.source) for root in roots)
            raise InputError(f"no photos were found in {names}", "JPEG, PNG, TIFF, WebP and BMP files are photos")
    return summary


def preview(options: PhotoOptions) -> Iterator[Record]:
    """What `restore_photos` would do, as far as names tell; `done` means would be done.

    Raises:
        InputError, OutputError, UsageError: as `restore_photos`.
    """
    found = 0
    roots = find_roots(options)
    for planned in plan(roots, options):
        record = _settled(planned, options)
        if isinstance(planned, PlannedPhoto) or planned.failed:
            found += 1
        if isinstance(planned, PlannedPhoto) and record is None:
            record = Record(planned.source, "done", planned.output)
        if record:
            yield record
    if not found:
        raise InputError(f"no photos were found in {', '.join(str(root.source) for root in roots)}")


def _settled(planned: Planned, options: PhotoOptions) -> Record | None:
    """The record of what needs no work; None for what does."""
    if isinstance(planned, PassedOver):
        return Record(planned.path, "failed" if planned.failed else "skipped", reason=planned.reason)
    if not options.overwrite:
        if exists(planned.output):
            return Record(planned.source, "skipped", planned.output, "already done", already_done=True)
        if exists(planned.copy) and planned.copy.stat().st_size == planned.source.stat().st_size:
            return Record(planned.source, "skipped", planned.copy, "already done", already_done=True)
    return None


class _Run:
    """What the stages of one run share."""

    def __init__(
        self, options: PhotoOptions, engine_options: EngineOptions, roots: list[Root], stopping: Callable[[], bool]
    ) -> None:
        self._options = options
        self._engine_options = engine_options
        self._roots = roots
        self._input_folders = [root.source.resolve() for root in roots if not root.name]
        self._stopping = stopping
        self._jobs = options.jobs or processors()
        self._lock = threading.Lock()
        self._engine: Future[Engine | None] | None = None
        self._loader = ThreadPoolExecutor(1, thread_name_prefix="load")
        self._checked_roots: set[Path] = set()
        self._prepared_folders: set[Path] = set()
        self.failure: RestoreError | None = None
        """What ended the run early: a full disk, a model or device that can't be had."""

    def records(self) -> Generator[Record, None, None]:
        """Every file's record, as it is through. Few photos are in memory: a batch and two more for each thread."""
        cv2.setNumThreads(1)  # the threads here keep the processors busy already
        planned = self._until_stopped(plan(self._roots, self._options))
        read = self._held(map_in_threads(self._read, planned, self._jobs))
        guessed = map_in_threads(self._guess, self._batches(read), self._jobs)
        with self._loader:
            yield from map_in_threads(self._write, chain.from_iterable(guessed), self._jobs)

    def about(self, checkpoint: Path) -> dict[str, Any]:
        """The report's keys on the model and the device; the device is None where nothing had to be coloured."""
        engine = self._loaded_engine()
        if engine is None:
            return {
                "model": {"name": checkpoint.stem, "sha256": sha256(checkpoint)},
                "device": None,
                "runtime": None,
                "dtype": None,
            }
        model = {"name": engine.model_name, "sha256": engine.model_sha256}
        return {"model": model, "device": engine.device, "runtime": engine.runtime, "dtype": engine.dtype}

    def _until_stopped(self, items: Iterable[Planned]) -> Iterator[Planned]:
        for item in items:
            if self._is_stopped():
                return
            yield item

    def _is_stopped(self) -> bool:
        return self.failure is not None or self._stopping()

    def _fail(self, failure: RestoreError) -> None:
        """End the run: begin nothing new, and raise this when what is in hand is through."""
        with self._lock:
            self.failure = self.failure or failure

    def _read(self, planned: Planned) -> _Loaded | Record | None:
        settled = _settled(planned, self._options)
        if settled or isinstance(planned, PassedOver):
            return settled
        if self._is_stopped():
            return None
        begin = time.perf_counter()
        record = Record(planned.source, "failed", planned.output)
        try:
            self._prepare(planned)
            photo = read_photo(planned.source)
            height, width = photo.luma.shape
            record = replace(record, width=width, height=height, tone=photo.tone, notes=photo.notes)
            if photo.tone == "color" and self._options.already_color != "recolor":
                return replace(self._pass_color(planned, record), seconds=time.perf_counter() - begin)
            if photo.pages > 1:
                raise several_pictures(planned.source, photo.pages)
            luma = flatten(photo, self._container(photo))
            self._want_engine()
        except _RunOver:
            return None
        except (RestoreError, OSError, MemoryError) as error:
            return self._failed(planned, record, error, begin)
        return _Loaded(planned, photo, luma, time.perf_counter() - begin)

    def _pass_color(self, planned: PlannedPhoto, record: Record) -> Record:
        if self._options.already_color == "skip":
            return replace(record, status="skipped", output=None, reason="it has colour already", already_done=True)
        copy_as_is(planned.source, planned.copy)
        return replace(record, status="kept", output=planned.copy, reason="it has colour already")

    def _prepare(self, planned: PlannedPhoto) -> None:
        """Once for each folder, before the first write to it."""
        with self._lock:
            if self.failure:
                raise _RunOver
            if planned.root not in self._checked_roots:
                try:
                    check_writable(planned.root)
                except OutputError as error:
                    self.failure = error
                    raise _RunOver from error
                self._checked_roots.add(planned.root)
            folder = planned.output.parent
            if folder not in self._prepared_folders:
                resolved = folder.resolve()
                if any(resolved == source or source in resolved.parents for source in self._input_folders):
                    raise OutputError(f"{folder} leads into the input folder by a link", "Choose another with --output")
                remove_stale_parts(folder)
                self._prepared_folders.add(folder)

    def _want_engine(self) -> None:
        """Begin to load the engine, for the first photo that needs it: an archive that is done already costs no
        loading."""
        with self._lock:
            if self.failure:
                raise _RunOver
            if self._engine is None:
                self._engine = self._loader.submit(self._load_engine)

    def _load_engine(self) -> Engine | None:
        """The engine, or None when that failed. To import PyTorch, where it is needed, takes longer than forty photos
        to read."""
        from restore.colorizers import load_engine

        try:
            return load_engine(self._engine_options, callers=self._jobs)
        except RestoreError as error:
            self._fail(error)
            return None

    def _held(self, items: Iterable[_Loaded | Record | None]) -> Generator[_Loaded | Record, None, None]:
        """The same items. Those that arrive while the engine is loaded are held until it is there, or until memory
        bids to wait for it."""
        held: deque[_Loaded | Record] = deque()
        size = 0
        for item in items:
            if item is None:
                continue
            held.append(item)
            size += item.luma.nbytes if isinstance(item, _Loaded) else 0
            if self._engine is None or self._engine.done() or size > _READ_AHEAD:
                yield from held
                held.clear()
                size = 0
        yield from held

    def _container(self, photo: Photo) -> Container:
        return photo.container if self._options.format == "keep" else BY_FORMAT[self._options.format]

    def _batches(self, items: Iterable[_Loaded | Record]) -> Iterator[list[_Loaded] | Record]:
        batch: list[_Loaded] = []
        for item in items:
            if isinstance(item, Record):
                yield item
                continue
            batch.append(item)
            engine = self._loaded_engine()
            if engine is None or len(batch) >= engine.batch:
                yield batch
                batch = []
        if batch:
            yield batch

    def _loaded_engine(self) -> Engine | None:
        return self._engine.result() if self._engine else None

    def _guess(self, batch: list[_Loaded] | Record) -> list[_Guessed | Record]:
        if isinstance(batch, Record):
            return [batch]
        engine = self._loaded_engine()
        if engine is None or self._is_stopped():
            return []  # read, but nothing is lost by reading it again
        begin = time.perf_counter()
        try:
            small = [shrink_luma(loaded.luma, engine.size) for loaded in batch]
            guesses = engine.predict(small)
        except RestoreError as error:
            self._fail(error)
            return [Record(loaded.planned.source, "failed", reason=str(error)) for loaded in batch]
        seconds = (time.perf_counter() - begin) / len(batch)
        return [
            _Guessed(loaded, view, ab, engine.model_name, seconds)
            for loaded, view, ab in zip(batch, small, guesses, strict=True)
        ]

    def _write(self, item: _Guessed | Record) -> Record:
        if isinstance(item, Record):
            return item
        begin = time.perf_counter() - item.loaded.seconds - item.seconds
        loaded, photo = item.loaded, item.loaded.photo
        height, width = photo.luma.shape
        record = Record(
            loaded.planned.source,
            "done",
            loaded.planned.output,
            width=width,
            height=height,
            tone=photo.tone,
            notes=photo.notes,
            model=item.model,
        )
        try:
            chroma = small_chroma(item.small, item.ab, self._options.saturation)
            data = encode(photo, loaded.luma, chroma, self._container(photo), self._options.quality)
            write_bytes(loaded.planned.output, data)
        except (RestoreError, MemoryError) as error:
            return self._failed(loaded.planned, record, error, begin)
        return replace(record, seconds=time.perf_counter() - begin)

    def _failed(self, planned: PlannedPhoto, record: Record, error: Exception, begin: float) -> Record:
        """The record of a file that could not be done. No other could when the disk is full, or when the output folder
        can't even be made: these end the run."""
        if isinstance(error, OutputError) and (is_disk_full(error) or not is_folder(planned.root)):
            self._fail(error)
        reason = (
            str(error) if isinstance(error, RestoreError) else f"{record.path}: {str(error) or type(error).__name__}"
        )
        return replace(
            record, status="failed", output=None, reason=reason, seconds=time.perf_counter() - begin, model=None
        )


class _RunOver(Exception):
    """The run has failed as a whole: this file is dropped, not failed."""
