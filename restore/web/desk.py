"""What visitors ask for, done by the library calls of the command line: `restore_photos` and `restore_films`."""

from __future__ import annotations

import json
import shutil
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from restore.colorizers import Engine, KeptEngines
from restore.errors import InputError, OutputError, RestoreError, UsageError
from restore.memory import give_memory_back
from restore.options import EngineOptions, FilmsOptions, PhotoOptions, ServeOptions, VideoOptions
from restore.photos.pipeline import restore_photos
from restore.photos.reading import measure
from restore.photos.sweep import SATURATIONS, sweep
from restore.progress import SilentProgress, say
from restore.threads import processors
from restore.tone import has_color
from restore.video.films import restore_films
from restore.video.progress import SilentFilms
from restore.web.films import check_film, too_long, write_playable
from restore.web.items import STILLS, Item, Result, Settings, Task
from restore.web.lanes import Lane
from restore.web.views import (
    read_first,
    read_to_show,
    write_choice,
    write_doubt,
    write_early_view,
    write_view,
    write_view_of,
)
from restore.web.words import photo_facts, time_left

MOST_WAITING = 100
"""Photos, and likewise films, of all visitors together."""
_PHOTOS_AT_A_TIME = 2
_VIEWS_AT_A_TIME = 2
_VIEW = "view.jpg"
_PAGES = 10  # of the most pixels, that a document may have
_NO_LIMIT = 1 << 62  # of pixels: what a header claims is measured first, and said in the page's own words


class Desk:
    """The queues, the engines, and what is done with an item.

    Raises:
        ModelError, DeviceError: the model or the device can't be had.
    """

    def __init__(self, options: ServeOptions) -> None:
        self.options = options
        self.engines = KeptEngines(most=4)
        engine = self.engines(options.engine, callers=processors())
        self.working_size = engine.size
        self.has_styles = _has_styles(options.engine, self.engines)
        self.knows_eras = engine.knows_eras
        self.knows_doubt = _knows_doubt(engine)
        self.photos = Lane("photos", min(_PHOTOS_AT_A_TIME, processors()), MOST_WAITING, self._work)
        self.films = Lane("films", 1, MOST_WAITING, self._work)
        self.changes = 0
        """Rises with everything that a page would show otherwise."""
        self._closing = threading.Event()
        self._guard, self._counting = threading.Lock(), threading.Lock()
        self._views = threading.Semaphore(_VIEWS_AT_A_TIME)

    @property
    def is_full(self) -> bool:
        """Whether no more is taken for now."""
        return self.photos.is_full or self.films.is_full

    def lane(self, item: Item) -> Lane:
        return self.photos if item.kind == "photo" else self.films

    def ask(self, item: Item, task: Task, settings: Settings) -> None:
        """Ask for an item to be worked on. Asked for again while it waits or is in hand, the last settings count.

        Raises:
            Full: too much is waiting.
        """
        with self._guard:
            if item.state == "working":
                item.again = True
            else:
                self.lane(item).put(item)
                item.state, item.message, item.told, item.share = "waiting", "", "", None
                item.stopped.clear()
            item.task, item.settings = task, settings
            self.tell_change()

    def cancel(self, item: Item) -> None:
        """Stop the work on an item; what was there before it stays."""
        with self._guard:
            item.again = False
            item.stopped.set()
            if self.lane(item).take_out(item):
                self._end(item, "cancelled")

    def drop(self, item: Item) -> None:
        """Forget an item and its files."""
        self.lane(item).take_out(item)
        item.drop()
        self.tell_change()

    def tell_change(self) -> None:
        """Note that a page would show something otherwise."""
        with self._counting:
            self.changes += 1

    def view(self, item: Item, number: int) -> Path | None:
        """A JPEG of the original, or of a result: that which is there, or that in hand, once `Item.early` tells so.

        Args:
            number: of the result; 0 is the original. Browsers keep what they get for a number, so none is answered with
                an older one, nor with the one in hand, which may fail. For one that another has taken the place of, it
                is that: no page asks for its number again. None where there is no such result.

        Raises:
            RestoreError: it can't be read any more.
        """
        if number and number == item.early:
            return item.folder / str(number) / _VIEW
        with item.viewing:  # meanwhile no result is removed
            result = item.result
            if number and (result is None or number > result.number):
                return None
            path, folder = (result.path, result.folder(item)) if number and result else (item.source, item.folder)
            target = folder / _VIEW
            if not target.exists():
                with self._views:
                    write_view(path, target, self.options.max_megapixels * 1_000_000)
        return target

    def doubt_view(self, item: Item, number: int) -> Path | None:
        """A JPEG of how sure the model was of a result's colours, to be laid over its view; as for `view`, None where
        there is no such result.

        Raises:
            RestoreError: the original can't be read any more, or the model does not know.
        """
        with item.viewing:
            result = item.result
            if result is None or number > result.number:
                return None
            target = result.folder(item) / "doubt.jpg"
            if not target.exists():
                with self._views:
                    engine = self.engines(self.engine_options(result.settings), callers=processors())
                    write_doubt(item.source, target, engine, self.options.max_megapixels * 1_000_000)
        return target

    def choices(self, item: Item, settings: Settings) -> list[dict[str, Any]]:
        """The photo at several styles and strengths: settings to choose from, each with a small picture's name.

        Raises:
            RestoreError: the original can't be read any more.
        """
        with item.viewing, self._views:
            photo = read_first(item.source, self.options.max_megapixels * 1_000_000)
            options = replace(self.engine_options(settings), style=None, size=settings.size or self.working_size)
            choices: list[dict[str, Any]] = []
            for row in sweep(photo, options, self.engines):
                for saturation, picture in zip(SATURATIONS, row.pictures, strict=True):
                    name = f"choice-{len(choices)}.jpg"
                    write_choice(picture, item.folder / name)
                    chosen = replace(settings, style=row.style, saturation=saturation)
                    choices.append({"settings": chosen.as_json(), "picture": name})
        return choices

    def close(self, seconds: float) -> bool:
        """Stop all work; whether it has ended within so many seconds."""
        self._closing.set()
        ended = [lane.close(seconds / 2) for lane in (self.photos, self.films)]  # both, whatever the first says
        return all(ended)

    def _work(self, item: Item) -> None:
        with self._guard:
            if item.gone:
                return
            if item.state == "working":  # asked for again just as it was taken in hand
                item.again = True
                return
            item.state = "working"
            item.number += 1
            number, task, settings = item.number, item.task, item.settings
            self.tell_change()
        out = item.folder / str(number)
        message = ""
        try:
            result = self._do(item, task, settings, out, number)
        except RestoreError as error:
            result, message = None, item.told_of(str(error))
        except OSError as error:
            result, message = None, f"{item.name} could not be worked on: {error.strerror or error}."
        except MemoryError:
            result, message = None, f"{item.name} is too large for this computer's memory."
        except Exception as error:  # noqa: BLE001  one upload never stops the others
            say(f"restore: error: unexpected {type(error).__name__}: {error}. Please report it", error=True)
            result, message = None, f"{item.name} could not be worked on, by a fault of the program. Please report it."
        with self._guard:
            old = self._settle(item, task, result, message, out)
        if old is not None:
            with item.viewing:
                shutil.rmtree(old.folder(item), ignore_errors=True)
        give_memory_back()

    def _settle(self, item: Item, task: Task, result: Result | None, message: str, out: Path) -> Result | None:
        """Put a result into its item; the one that it takes the place of."""
        old = None
        if result is None or item.gone:
            shutil.rmtree(item.folder if item.gone else out, ignore_errors=True)
        elif task == "stills":
            old, item.stills = item.stills, result
        else:
            old, item.result = item.result, result
        item.early = 0  # the last: there is always one to see
        if item.again and not item.gone:
            item.again, item.state = False, "waiting"
            item.stopped.clear()
            self.lane(item).put(item, always=True)
            self.tell_change()
            return old
        self._end(item, message or ("cancelled" if result is None else ""), failed=bool(message))
        return old

    def _end(self, item: Item, message: str, *, failed: bool = False) -> None:
        item.state, item.message, item.told, item.share = "failed" if failed else "idle", message, "", None
        self.tell_change()

    def _do(self, item: Item, task: Task, settings: Settings, out: Path, number: int) -> Result | None:
        """None when it was cancelled."""
        if item.kind == "photo":
            return self._colour_photo(item, settings, out, number)
        return self._colour_film(item, settings, out, number, only_stills=task == "stills")

    def _stopping(self, item: Item) -> Callable[[], bool]:
        return lambda: item.stopped.is_set() or self._closing.is_set()

    def engine_options(self, settings: Settings) -> EngineOptions:
        """The server's engine, with what the visitor chose."""
        own = self.options.engine
        return EngineOptions(
            model=own.model,
            device=own.device,
            style=settings.style,
            era=settings.era,
            size=settings.size,
            calm=settings.calm,
        )

    def _colour_photo(self, item: Item, settings: Settings, out: Path, number: int) -> Result | None:
        self._check_pixels(item)
        report = out / "report.json"
        options = PhotoOptions(
            [item.source],
            output=out / "result",
            saturation=settings.saturation,
            already_color="recolor" if settings.recolor else "keep",
            max_pixels=self.options.max_megapixels,
            report=report,
        )
        out.mkdir()
        self._look_ahead(item, settings, out / _VIEW, number)
        restore_photos(options, self.engine_options(settings), SilentProgress(), self._stopping(item), self.engines)
        files = json.loads(report.read_text(encoding="ascii"))["files"]
        if not files:
            return None
        (record,) = files
        if record["status"] not in ("done", "kept"):
            raise InputError(record["error"] or record["reason"])
        facts = photo_facts(record["width"], record["height"], record["bits"], record["pages"])
        kept = record["status"] == "kept"
        return Result(number, Path(record["output"]), settings, kept, facts, tuple(record["notes"]))

    def _look_ahead(self, item: Item, settings: Settings, target: Path, number: int) -> None:
        """Make the view of the original, and that of a result before the result, which may take long to encode."""
        with item.viewing:  # who asks for the original meanwhile need not read it again
            page = read_to_show(item.source, self.options.max_megapixels * 1_000_000)
            if not (item.folder / _VIEW).exists():
                write_view_of(page, item.folder / _VIEW)
        if settings.recolor or not has_color(page.tone):
            engine = self.engines(self.engine_options(settings), callers=processors())
            write_early_view(page, target, engine, settings.saturation)
            item.early = number
            self.tell_change()

    def _check_pixels(self, item: Item) -> None:
        size, most = measure(item.source, _NO_LIMIT), self.options.max_megapixels
        hint = "Whoever started the page can allow more with --max-megapixels"
        if size.pixels > most * 1_000_000:
            raise InputError(
                f"{item.name} has {size.pixels / 1e6:,.0f} million pixels, and this page takes {most}", hint
            )
        if size.pages * size.pixels > most * _PAGES * 1_000_000:
            raise InputError(f"{item.name} has {size.pages:,} pages, which are more than this page takes", hint)

    def _colour_film(
        self, item: Item, settings: Settings, out: Path, number: int, *, only_stills: bool
    ) -> Result | None:
        most_frames = check_film(item, self.options)
        options = FilmsOptions(
            [item.source],
            output=out / "result",
            video=VideoOptions(saturation=settings.saturation, already_color="recolor" if settings.recolor else "keep"),
            preview=STILLS if only_stills else None,
            report=out / "report.json",
        )
        out.mkdir()
        progress = _FilmProgress(item, self, most_frames)
        stopping = self._stopping(item)
        restore_films(
            options,
            self.engine_options(settings),
            progress,
            lambda: stopping() or progress.is_too_long,
            self.engines,
        )
        if progress.is_too_long:
            raise too_long(item, self.options)
        files = json.loads((out / "report.json").read_text(encoding="ascii"))["files"]
        if not files:
            return None
        (record,) = files
        result = Path(record["output"])
        if only_stills:
            return Result(number, result, settings)
        progress.tell("making a copy that this page can play")
        notes = list(record["notes"])
        try:
            if not write_playable(result, stopping):
                return None
        except OutputError:  # the result itself is whole
            notes.append("this page can't play the result: download it to see it")
        return Result(number, result, settings, facts=_film_facts(record), notes=tuple(notes))


def _has_styles(options: EngineOptions, engines: KeptEngines) -> bool:
    try:
        engines(replace(options, style="natural"), callers=processors())
    except UsageError:
        return False
    return True


def _knows_doubt(engine: Engine) -> bool:
    try:
        engine.check_knows_doubt("--confidence")
    except UsageError:
        return False
    return True


def _film_facts(record: Mapping[str, Any]) -> str:
    return f"{record['width']} × {record['height']} pixels, {record['film']['frames']:,} pictures"


class _FilmProgress(SilentFilms):
    """Tells the page how far a film is.

    Args:
        most: frames that are allowed; headers may say less than there are.
    """

    def __init__(self, item: Item, desk: Desk, most: int) -> None:
        self._item = item
        self._desk = desk
        self._most = most
        self._begin = time.monotonic()
        self.is_too_long = False

    def tell(self, text: str) -> None:
        self._item.told = text
        self._desk.tell_change()

    def begin(self, name: str, done: int) -> None:
        self._begin = time.monotonic()

    def frame(self, done: int, total: int | None, scene: int) -> None:
        self.is_too_long = done > self._most
        if not total:
            self.tell(f"{done:,} pictures are done")
            return
        self._item.share = min(1.0, done / total)
        passed = time.monotonic() - self._begin
        self.tell(time_left(passed / done * max(0, total - done)) if passed > 3 else "")
