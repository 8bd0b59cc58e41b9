"""Colouring photos: plan → read → guess in batches → write. The composition stands in `_Run.records`."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import numpy.typing as npt

from restore.errors import DeviceError, InputError, OutputError, RestoreError
from restore.files import is_disk_full, is_folder, output_error
from restore.merge import SmallChroma
from restore.model_files import find_checkpoint, sha256
from restore.options import EngineOptions, PhotoOptions
from restore.photos.confidence import Maps
from restore.photos.containers import NAMES, result_container
from restore.photos.done import DoneBefore, settled
from restore.photos.folders import OutputFolders
from restore.photos.forecast import Forecast
from restore.photos.large import NothingToColor, restore_large
from restore.photos.loading import EngineLoader
from restore.photos.looking import look_at
from restore.photos.negative import warn_of_negative
from restore.photos.page import open_page
from restore.photos.photo import Photo, look_at_photo
from restore.photos.plan import Planned, PlannedPhoto, find_roots, plan
from restore.photos.provenance import Provenance
from restore.photos.reading import Size, measure, read_photo
from restore.photos.writing import copy_as_is, encode, fit, remove_pictures, write_bytes
from restore.progress import Progress, SilentProgress
from restore.report import Record, Summary, open_report
from restore.stills import Still, guess
from restore.threads import map_in_threads, processors
from restore.tone import has_color
from restore.walk import Root

if TYPE_CHECKING:
    from restore.colorizers import Engine, LoadEngine

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True)
class _Loaded:
    """A photo read."""

    planned: PlannedPhoto
    photo: Photo
    seconds: float


@dataclass(frozen=True)
class _Large:
    """A photo too large to be in memory beside others, or of several pages: read, guessed and written in one go."""

    planned: PlannedPhoto
    size: Size


@dataclass(frozen=True)
class _Guessed:
    """A photo read, how the network sees it, and its ab (2, h, w), or that and doubt (3, h, w)."""

    loaded: _Loaded
    still: Still
    ab: FloatArray
    engine: Engine
    seconds: float


def restore_photos(
    options: PhotoOptions,
    engine_options: EngineOptions,
    progress: Progress | None = None,
    stopping: Callable[[], bool] = lambda: False,
    load: LoadEngine | None = None,
) -> Summary:
    """Colour photos, each written whole or not at all. A broken file is recorded, and the rest goes on.

    Args:
        stopping: asked often; once it says yes, files in hand are finished and no new ones are begun.
        load: gives the engine, such as `KeptEngines`; None loads it anew.

    Raises:
        InputError: an input is not there, or there is no photo in them.
        OutputError: the output can't be written, is full, or lies where originals are.
        ModelError, DeviceError, UsageError: the model or the device can't be had.
    """
    progress = progress or SilentProgress()
    roots = find_roots(options)
    checkpoint = find_checkpoint(engine_options.model)
    begin = time.monotonic()
    done = DoneBefore(roots, options, engine_options, checkpoint)
    run = _Run(options, engine_options, roots, stopping, done, progress, load)
    summary = Summary()
    with open_report(options.report) as report, open_page(options.sheet) as page:
        listings = [listing for listing in (report, page) if listing]
        progress.start(None)
        try:
            with contextlib.closing(run.records()) as records:
                for record in records:
                    summary.add(record)
                    for listing in listings:
                        listing.add(record)
                    progress.step(str(record.path), record.status, record.reason or record.warning)
        finally:
            done.close()
            summary.seconds = time.monotonic() - begin
            progress.finish(summary.counts_shown, summary.seconds)
            for listing in listings:
                listing.rest = run.about(checkpoint) | {"summary": summary.as_json()}
        if run.failure:
            raise run.failure
        if not summary.found and not stopping():
            names = ", ".join(str(root.source) for root in roots)
            raise InputError(f"no photos were found in {names}", f"{NAMES} files are photos")
    return summary


class _Run:
    """What the stages of one run share."""

    def __init__(
        self,
        options: PhotoOptions,
        engine_options: EngineOptions,
        roots: list[Root],
        stopping: Callable[[], bool],
        done: DoneBefore,
        progress: Progress,
        load: LoadEngine | None,
    ) -> None:
        self._done = done
        self._progress = progress
        self._options = options
        self._roots = roots
        self._stopping = stopping
        self._jobs = options.jobs or processors()
        self._lock = threading.Lock()
        self._large_lock = threading.Lock()
        self._loader = EngineLoader(engine_options, self._jobs, self._fail, options.confidence, load)
        self._folders = OutputFolders(roots, done)
        self.failure: RestoreError | None = None
        """What ended the run early: a full disk, a model or device that can't be had."""

    def records(self) -> Generator[Record, None, None]:
        """Every file's record, as it is through. Few photos are in memory: a batch and two more for each thread."""
        cv2.setNumThreads(1)  # the threads here keep the processors busy already
        self._forecast = Forecast(
            self._roots, self._options, self._done, self._wanted_engine, self._progress, self._fail, self._is_stopped
        )
        planned = self._until_stopped(plan(self._roots, self._options))
        read = (item for item in map_in_threads(self._read, planned, self._jobs, self._settled) if item is not None)
        held = self._loader.hold(read, _bytes_of)
        guessed = map_in_threads(self._guess, self._batches(held), self._jobs, _through_batch)
        written = map_in_threads(self._write, chain.from_iterable(guessed), self._jobs, _through)
        looked = look_at(written, self._options, self._fail)
        try:
            yield from (record for record in looked if record is not None)
        finally:
            self._forecast.close()
            self._loader.close()

    def about(self, checkpoint: Path) -> dict[str, Any]:
        """The report's keys on the model and the device; the device is None where nothing had to be coloured."""
        engine = self._loader.get()
        if engine is None:
            model = {"name": checkpoint.stem, "sha256": sha256(checkpoint)}
            return {"model": model, "device": None, "runtime": None, "dtype": None}
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

    def _settled(self, planned: Planned) -> Record | None:
        return settled(planned, self._options, self._done)

    def _read(self, planned: Planned) -> _Loaded | _Large | Record | None:
        assert isinstance(planned, PlannedPhoto)  # all others are settled
        self._forecast.wait()
        if self._is_stopped():
            return None
        begin = time.perf_counter()
        record = Record(planned.source, "failed", planned.output)
        try:
            self._prepare(planned)
            most = self._options.max_pixels * 1_000_000
            size = measure(planned.source, most)
            if size.is_large:
                return _Large(planned, size)
            photo = read_photo(planned.source, most)
            record = replace(record, **photo.facts())
            if has_color(photo.tone) and self._options.already_color != "recolor":
                return replace(self._pass_color(planned, record), seconds=time.perf_counter() - begin)
            if photo.pages > 1:  # a telephone's JPEG: the others are maps or another view of the same
                photo = replace(photo, notes=(*photo.notes, f"of its {photo.pages} pictures the first was taken"))
                record = replace(record, **photo.facts())
            photo = fit(photo, result_container(photo.container, self._options.format))
            self._loader.want()
        except _RunOver:
            return None
        except (RestoreError, OSError, MemoryError) as error:
            return self._failed(planned, record, error, begin)
        return _Loaded(planned, photo, time.perf_counter() - begin)

    def _pass_color(self, planned: PlannedPhoto, record: Record) -> Record:
        reason = "it is tinted by hand" if record.tone == "tinted" else "it has colour already"
        if self._options.already_color == "skip":
            return replace(record, status="skipped", output=None, reason=reason, already_done=True)
        self._done.check(planned)
        remove_pictures(planned.copy, record.pages or 1)
        copy_as_is(planned.source, planned.copy, self._options.keep_times)
        return self._note(planned, replace(record, status="kept", output=planned.copy, reason=reason))

    def _note(self, planned: PlannedPhoto, record: Record) -> Record:
        """Put a result into the state file; the record with the hashes of source and result."""
        try:
            return replace(record, sha256=self._done.note(planned, record))
        except OSError as error:
            self._fail(output_error(record.output or planned.output, error))
        except OutputError as error:
            self._fail(error)
        return record

    def _prepare(self, planned: PlannedPhoto) -> None:
        try:
            self._folders.claim(planned.root)
        except OutputError as error:
            self._fail(error)
            raise _RunOver from error
        self._folders.prepare(planned.output.parent)

    def _wanted_engine(self) -> Engine | None:
        self._loader.want()
        return self._loader.get()

    def _engine(self) -> Engine:
        engine = self._wanted_engine()
        if engine is None:
            raise _RunOver
        return engine

    def _batches(self, items: Iterable[_Loaded | _Large | Record]) -> Iterator[list[_Loaded] | _Large | Record]:
        batch: list[_Loaded] = []
        for item in items:
            if isinstance(item, Record | _Large):
                yield item
                continue
            batch.append(item)
            engine = self._loader.get()
            if engine is None or len(batch) >= engine.batch:
                yield batch
                batch = []
        if batch:
            yield batch

    def _guess(self, batch: list[_Loaded] | _Large | Record) -> list[_Guessed | _Large | Record]:
        if isinstance(batch, Record | _Large):
            return [batch]
        engine = self._loader.get()
        if engine is None or self._is_stopped():
            return []  # read, but nothing is lost by reading it again
        begin = time.perf_counter()
        try:
            stills = [look_at_photo(loaded.photo, engine) for loaded in batch]
            guesses = guess(engine, stills, self._options.confidence)
        except RestoreError as error:
            self._fail(error)
            return [Record(loaded.planned.source, "failed", reason=str(error)) for loaded in batch]
        seconds = (time.perf_counter() - begin) / len(batch)
        return [
            _Guessed(loaded, still, ab, engine, seconds)
            for loaded, still, ab in zip(batch, stills, guesses, strict=True)
        ]

    def _write(self, item: _Guessed | _Large | Record) -> Record | None:
        if isinstance(item, Record):
            return item
        if isinstance(item, _Large):
            return self._write_large(item)
        begin = time.perf_counter() - item.loaded.seconds - item.seconds
        planned, photo = item.loaded.planned, item.loaded.photo
        record = Record(planned.source, "done", planned.output, era=item.still.era, **photo.facts())
        record = replace(record, model=item.engine.model_name)
        try:
            chroma = item.still.chroma(item.ab, self._options.saturation)
            container = result_container(photo.container, self._options.format)
            photo = self._marked(photo, item.engine)
            self._done.check(planned)
            encoded = encode(photo, chroma, container, self._options.quality)
            remove_pictures(planned.output)
            maps = Maps(planned.output)
            maps.write(photo, item.still, item.ab, item.engine)
            times_of = planned.source if self._options.keep_times else None
            write_bytes(planned.output, encoded.data, times_of)
        except (RestoreError, OSError, MemoryError) as error:
            return self._failed(planned, record, error, begin)
        record = replace(record, notes=photo.notes + encoded.notes + maps.notes, **maps.facts())
        return replace(self._note(planned, record), seconds=time.perf_counter() - begin)

    def _marked(self, photo: Photo, engine: Engine) -> Photo:
        """The photo with the provenance of its colour in its XMP, unless that is not wanted, and with a warning."""
        photo = warn_of_negative(photo)
        if not self._options.provenance:
            return photo
        return Provenance(engine.model_name, engine.model_sha256, engine.era_for(photo.era)).mark(photo)

    def _write_large(self, item: _Large) -> Record | None:
        planned = item.planned
        record = Record(planned.source, "done", planned.output, pages=item.size.pages)
        maps = Maps(planned.output, item.size.pages)
        with self._large_lock:
            begin = time.perf_counter()
            try:
                self._done.check(planned)
                remove_pictures(planned.output, item.size.pages)
                outcome = restore_large(
                    planned.source,
                    planned.output,
                    item.size,
                    lambda photo, number: self._guess_page(photo, number, maps),
                    lambda photo: self._marked(photo, self._engine()),
                    self._options,
                    self._jobs,
                )
            except _RunOver:
                return None
            except NothingToColor as colored:
                try:
                    record = self._pass_color(planned, replace(record, tone=colored.tone))
                except (RestoreError, OSError) as error:
                    return self._failed(planned, record, error, begin)
                return replace(record, seconds=time.perf_counter() - begin)
            except (RestoreError, OSError, MemoryError) as error:
                if isinstance(error, DeviceError):
                    self._fail(error)
                return self._failed(planned, record, error, begin)
        outcome.notes.update(maps.notes)
        engine = self._engine()
        record = replace(record, model=engine.model_name, era=engine.era_for(outcome.era))
        record = replace(record, **outcome.facts(item.size.pages), **maps.facts())
        return replace(self._note(planned, record), seconds=time.perf_counter() - begin)

    def _guess_page(self, photo: Photo, number: int, maps: Maps) -> SmallChroma:
        engine = self._engine()
        still = look_at_photo(photo, engine)
        (ab,) = guess(engine, [still], self._options.confidence)
        maps.write(photo, still, ab, engine, number)
        return still.chroma(ab, self._options.saturation)

    def _failed(self, planned: PlannedPhoto, record: Record, error: Exception, begin: float) -> Record:
        """The record of a file that could not be done. No other could when the disk is full, or when the output folder
        can't even be made: these end the run."""
        if isinstance(error, OutputError) and (is_disk_full(error) or not is_folder(planned.root)):
            self._fail(error)
        reason = (
            str(error) if isinstance(error, RestoreError) else f"{record.path}: {str(error) or type(error).__name__}"
        )
        seconds = time.perf_counter() - begin
        return replace(record, status="failed", output=None, reason=reason, seconds=seconds, model=None, era=None)


def _bytes_of(item: _Loaded | _Large | Record) -> int:
    return item.photo.luma.nbytes if isinstance(item, _Loaded) else 0


def _through(item: _Guessed | _Large | Record) -> Record | None:
    return item if isinstance(item, Record) else None


def _through_batch(batch: list[_Loaded] | _Large | Record) -> list[_Guessed | _Large | Record] | None:
    return [batch] if isinstance(batch, Record) else None


class _RunOver(Exception):
    """The run has failed as a whole: this file is dropped, not failed."""
