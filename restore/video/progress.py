"""Telling how far a film is: a bar on a terminal, plain lines in a pipe, or nothing."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

from restore.progress import QuietProgress, duration, say

if TYPE_CHECKING:
    from rich.progress import Progress as RichBar
    from rich.progress import TaskID

_LINE_SECONDS = 10.0


class FilmProgress(Protocol):
    """What a run over films tells. `begin`, `frame` and `step` come for each film, `finish` last."""

    def note(self, text: str) -> None:
        """Something to know about the film in hand."""

    def begin(self, name: str, done: int) -> None:
        """A film begins, of which `done` frames are there already."""

    def frame(self, done: int, total: int | None, scene: int) -> None:
        """So many frames are there now."""

    def step(self, name: str, status: str, detail: str = "") -> None:
        """A film is through."""

    def finish(self, counts: Mapping[str, int], seconds: float) -> None:
        """All is through, or as much as was done before the end."""


class QuietFilms(QuietProgress):
    """Prints failures to stderr, and nothing else."""

    def note(self, text: str) -> None:
        pass

    def begin(self, name: str, done: int) -> None:
        pass

    def frame(self, done: int, total: int | None, scene: int) -> None:
        pass


class SilentFilms(QuietFilms):
    """Says nothing: for the library."""

    def step(self, name: str, status: str, detail: str = "") -> None:
        pass


class LineFilms(QuietFilms):
    """Plain lines, for pipes and logs: one every ten seconds with frames, speed, time left and scene."""

    def __init__(self, *, verbose: bool = False, every: float = _LINE_SECONDS) -> None:
        self._verbose = verbose
        self._every = every
        self._name = ""
        self._done_before = 0
        self._begin = self._last = 0.0

    def note(self, text: str) -> None:
        say(text)

    def begin(self, name: str, done: int) -> None:
        self._name, self._done_before = name, done
        self._begin = self._last = time.monotonic()
        if done:
            say(f"{name}: going on after {done:,} frames")

    def frame(self, done: int, total: int | None, scene: int) -> None:
        now = time.monotonic()
        if now - self._last >= self._every:
            self._last = now
            say(f"{self._name}: {position(done, total, scene, (done - self._done_before) / (now - self._begin))}")

    def step(self, name: str, status: str, detail: str = "") -> None:
        super().step(name, status, detail)
        if status == "done" or (self._verbose and status != "failed"):
            say(f"{status}: {name}" + (f" ({detail})" if detail else ""))

    def finish(self, counts: Mapping[str, int], seconds: float) -> None:
        told = [f"{count} {status}" for status, count in counts.items() if count]
        say(", ".join(told or ["nothing done"]) + f" in {duration(seconds)}")


class BarFilms(LineFilms):
    """A bar for each film on a terminal."""

    def __init__(self, *, verbose: bool = False) -> None:
        super().__init__(verbose=verbose)
        self._bar: RichBar | None = None
        self._task: TaskID | None = None

    def begin(self, name: str, done: int) -> None:
        from rich import progress

        super().begin(name, done)
        self._bar = progress.Progress(
            progress.TextColumn("{task.fields[film]}", markup=False),
            progress.BarColumn(),
            progress.TextColumn("{task.fields[position]}", markup=False),
            redirect_stderr=sys.stderr.isatty(),
        )
        self._task = self._bar.add_task("", total=None, completed=done, film=name, position="")
        self._bar.start()

    def frame(self, done: int, total: int | None, scene: int) -> None:
        if self._bar is None or self._task is None:
            return
        speed = (done - self._done_before) / max(1e-9, time.monotonic() - self._begin)
        self._bar.update(self._task, completed=done, total=total, position=position(done, total, scene, speed))

    def step(self, name: str, status: str, detail: str = "") -> None:
        self._stop()
        super().step(name, status, detail)

    def finish(self, counts: Mapping[str, int], seconds: float) -> None:
        self._stop()
        super().finish(counts, seconds)

    def _stop(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


def make_film_progress(*, quiet: bool = False, verbose: bool = False) -> FilmProgress:
    """The progress that suits where stdout goes."""
    if quiet:
        return QuietFilms()
    return BarFilms(verbose=verbose) if sys.stdout.isatty() else LineFilms(verbose=verbose)


def position(done: int, total: int | None, scene: int, speed: float) -> str:
    """Such as "1,200 of 150,000 frames, 24.5 fps, scene 14, 1 h 41 min left"."""
    of = f" of {total:,}" if total is not None else ""
    left = f", {duration((total - done) / speed)} left" if total is not None and total > done and speed > 0 else ""
    return f"{done:,}{of} frames, {speed:.1f} fps, scene {scene}{left}"
