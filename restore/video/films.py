"""Many films: find them, colour one after the other, and say what became of each."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from restore.colorizers import Engine, LoadEngine, load_engine
from restore.errors import DeviceError, InputError, ModelError, OutputError, RestoreError
from restore.files import check_writable, exists, is_disk_full
from restore.model_files import find_checkpoint, sha256
from restore.options import EngineOptions, FilmsOptions
from restore.report import Record, Summary, open_report
from restore.video.estimate import estimate
from restore.video.journal import Journal
from restore.video.pipeline import FilmResult, load_film_engine, prepare, run
from restore.video.preview import preview_path, write_preview
from restore.video.progress import FilmProgress, SilentFilms
from restore.video.streams import container_format
from restore.walk import Found, Kind, PassedOver, Root, find_roots, walk

_SUFFIXES = frozenset(
    f".{suffix}"
    for suffix in (
        *("mp4", "m4v", "mov", "mkv", "webm", "avi", "divx", "mpg", "mpeg", "m2v", "vob", "m2ts", "mts", "wmv", "asf"),
        *("flv", "f4v", "ogv", "3gp", "3g2", "mxf", "dv", "rm", "rmvb", "y4m", "nut"),
    )
)
# A container that holds nearly everything, for films in containers that this program does not write.
_ANY_CONTAINER = ".mkv"
_TS_PACKET, _TS_SYNC = 188, 0x47


def restore_films(
    options: FilmsOptions,
    engine_options: EngineOptions,
    progress: FilmProgress | None = None,
    stopping: Callable[[], bool] = lambda: False,
    load: LoadEngine = load_engine,
) -> Summary:
    """Colour films, each written whole or not at all. A broken film is recorded, and the rest goes on.

    Args:
        stopping: asked often; once it says yes, the film in hand is left in its work folder, and the same call goes on
            with it.
        load: gives engines, such as `KeptEngines`.

    Raises:
        InputError: an input is not there, or there is no film in them.
        OutputError: the output is full, or lies where originals are.
        ModelError, DeviceError: the model or the device can't be had.
        RestoreError: what was wrong with the film, where a single one was named.
    """
    progress = progress or SilentFilms()
    kind = _kind(options)
    roots = find_roots(options, kind)
    checkpoint = find_checkpoint(engine_options.model)
    begin = time.monotonic()
    films = _Films(options, engine_options, roots, progress, stopping, load)
    summary = Summary()
    with open_report(options.report) as report:
        try:
            with closing(films.records(walk(roots, options, kind))) as records:
                for record in records:
                    summary.add(record)
                    if report:
                        report.add(record)
                    if record.status == "done" and options.dry_run:
                        continue  # its estimate was told
                    if not films.failure:  # which is told at the end
                        progress.step(str(record.path), record.status, record.reason or _short(record))
        finally:
            summary.seconds = time.monotonic() - begin
            if not options.dry_run:
                progress.finish(summary.counts_by_status, summary.seconds)
            if report:
                model = {"name": checkpoint.stem, "sha256": sha256(checkpoint)}
                report.rest = {"model": model, "summary": summary.as_json()}
        if films.failure:
            raise films.failure
        if not summary.found and not stopping():
            names = ", ".join(str(root.source) for root in roots)
            raise InputError(f"no films were found in {names}", "Name them, or a folder that holds them")
    return summary


def _kind(options: FilmsOptions) -> Kind:
    named = set(options.inputs)

    def sniffs(path: Path) -> bool:
        # A file that the user named is always tried: FFmpeg says what is wrong with it.
        return path in named or (path.suffix.lower() == ".ts" and _is_transport_stream(path))

    return Kind("film", claims_film, sniffs, _result_suffix, output_may_be_file=True)


def claims_film(name: str) -> bool:
    """Whether a file name's suffix is a film's."""
    return Path(name).suffix.lower() in _SUFFIXES


def _is_transport_stream(path: Path) -> bool:
    """TypeScript has that suffix, too."""
    try:
        with path.open("rb") as stream:
            return stream.read(_TS_PACKET + 1)[::_TS_PACKET] == bytes((_TS_SYNC, _TS_SYNC))
    except OSError:
        return False


def _result_suffix(own: str) -> str:
    try:
        container_format(Path(f"film{own}"))
    except OutputError:
        return _ANY_CONTAINER
    return own


class _Films:
    """What the films of one run share."""

    def __init__(
        self,
        options: FilmsOptions,
        engine_options: EngineOptions,
        roots: list[Root],
        progress: FilmProgress,
        stopping: Callable[[], bool],
        load: LoadEngine,
    ) -> None:
        self._options = options
        self._engine_options = engine_options
        self._input_folders = [root.source.resolve() for root in roots if not root.name]
        self._alone = len(roots) == 1 and bool(roots[0].name)
        self._progress = progress
        self._stopping = stopping
        self._load = load
        self._engine: tuple[EngineOptions, Engine] | None = None
        self.failure: RestoreError | None = None
        """What ended the run: a full disk, a model or device that can't be had, or the only film's own error."""

    def records(self, items: Iterator[Found | PassedOver]) -> Generator[Record, None, None]:
        """Each film's record, as it is through."""
        for item in items:
            if self._stopping():
                return
            begin = time.monotonic()
            try:
                record = self._record(item)
            except (RestoreError, OSError, MemoryError) as error:
                record = self._failed(item, error)
            if record is None:
                return
            yield replace(record, seconds=time.monotonic() - begin)
            if self.failure:
                return

    def _record(self, item: Found | PassedOver) -> Record | None:
        """None when told to stop."""
        if isinstance(item, PassedOver):
            return Record(item.path, "failed" if item.failed else "skipped", reason=item.reason)
        resolved = item.output.parent.resolve()
        if any(resolved == folder or folder in resolved.parents for folder in self._input_folders):
            message = f"{item.output.parent} leads into the input folder by a link"
            raise OutputError(message, "Choose another with --output")
        if self._options.preview:
            return self._preview(item, self._options.preview)
        if exists(item.output) and not self._options.overwrite:
            if not self._options.dry_run:
                Journal(item.output).remove_if_finished()
                if self._alone:  # Perhaps it is another film's of the same name.
                    self._progress.note(f"{item.source}: {item.output} is there already; --overwrite makes it again")
            return Record(item.source, "skipped", item.output, "already done", already_done=True)
        return self._film(item)

    def _film(self, item: Found) -> Record | None:
        job = prepare(item.source, item.output, self._options.video, self._engine_options)
        if not self._options.dry_run:
            job.journal.check_unlocked()
        engine = self._load_engine(job.engine_options)
        expected = estimate(job, engine, self._stopping)
        if self._stopping():
            return None
        self._progress.note(f"{item.source} -> {item.output}: {expected}")
        for note in job.notes:
            self._progress.note(f"{item.source}: {note}")
        expected.check()
        if self._options.dry_run:
            return Record(item.source, "done", item.output, width=job.film.width, height=job.film.height)
        self._progress.begin(str(item.source), sum(len(segment.pts) for segment in job.done))
        result = run(job, engine, self._progress.frame, self._stopping)
        if result is None:
            return None
        return Record(
            item.source,
            "done",
            item.output,
            width=result.film.width,
            height=result.film.height,
            notes=(*result.notes, *_losses(result)),
            model=engine.model_name,
            era=engine.era_for(result.film.era),
            film=_facts(result),
        )

    def _preview(self, item: Found, count: int) -> Record | None:
        path = preview_path(item.output)
        check_writable(path.parent)
        # A result or unfinished work with other options does not matter here: previews are for trying options.
        options = replace(self._options.video, restart=True, overwrite=True)
        job = prepare(item.source, item.output, options, self._engine_options)
        engine = self._load_engine(job.engine_options)
        write_preview(path, job.film, job.codec, job.options, engine, count, self._stopping)
        if self._stopping():
            return None
        record = Record(item.source, "done", path, width=job.film.width, height=job.film.height)
        return replace(record, model=engine.model_name, era=engine.era_for(job.film.era))

    def _load_engine(self, options: EngineOptions) -> Engine:
        """The engine, loaded once for all films but those that an earlier run began otherwise."""
        if self._engine is not None:
            loaded_for, engine = self._engine
            kept = replace(loaded_for, runtime=engine.runtime, dtype=engine.dtype, batch=engine.batch)
            if options in (loaded_for, kept):
                return engine
        engine = load_film_engine(options, self._load)
        self._engine = options, engine
        return engine

    def _failed(self, item: Found | PassedOver, error: Exception) -> Record:
        source = item.path if isinstance(item, PassedOver) else item.source
        if not isinstance(error, RestoreError):
            error = InputError(f"{source} could not be coloured: {str(error) or type(error).__name__}")
        if self._alone or isinstance(error, ModelError | DeviceError) or is_disk_full(error):
            self.failure = error
        return Record(source, "failed", reason=str(error))


def _facts(result: FilmResult) -> dict[str, Any]:
    codec = result.codec
    coloured = result.frames - result.resumed_at
    return {
        "frames": result.frames,
        "resumed_at": result.resumed_at,
        "fps": round(coloured / result.seconds, 2) if coloured and result.seconds else None,
        "scenes": result.scenes,
        "losses": result.losses,
        "checked": result.proof.as_json(),
        "codec": {"name": codec.name, "pixel_format": codec.pixel_format, "options": codec.options},
        "device": result.engine["device"],
        "runtime": result.engine["runtime"],
        "dtype": result.engine["dtype"],
    }


def _losses(result: FilmResult) -> list[str]:
    """What could not be read of the film, in words."""
    words = {
        "packets": "packets could not be decoded",
        "frames": "frames were decoded with damage",
        "timestamps": "timestamps were corrected",
        "missing": "frames are missing",
    }
    return [f"{result.losses[name]} {text}" for name, text in words.items() if result.losses.get(name)]


def _short(record: Record) -> str:
    """A film's record for the screen."""
    words = [f"{record.output}"] if record.output else []
    if record.film:
        frames, scenes = record.film["frames"], record.film["scenes"]
        words.append(f"{frames:,} frame{'s' * (frames != 1)} in {scenes} scene{'s' * (scenes != 1)}")
        if record.film["fps"]:
            words.append(f"{record.film['fps']:.1f} fps")
    return "; ".join((", ".join(words), *record.notes))
