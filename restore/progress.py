"""Telling the user how far a run is: silent for the library, a bar on a terminal, plain lines in a pipe."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Protocol

from restore.errors import RestoreError

if TYPE_CHECKING:
    from rich.progress import Progress as RichBar
    from rich.progress import TaskID

_LINE_SECONDS = 10.0


class Progress(Protocol):
    """What a run tells. `start` comes first, `finish` last."""

    wants_total: bool

    def note(self, text: str) -> None:
        """Something to know about the run."""

    def start(self, total: int | None) -> None:
        """Work begins on `total` units; None where that is not known."""

    def expect(self, total: int) -> None:
        """The number of units has become known. May come from another thread, and after the end."""

    def step(self, name: str, status: str, detail: str = "") -> None:
        """One unit is through."""

    def finish(self, counts: Mapping[str, int], seconds: float) -> None:
        """All is through, or as much as was done before the end."""


class SilentProgress:
    """Says nothing."""

    wants_total = False

    def note(self, text: str) -> None:
        pass

    def start(self, total: int | None) -> None:
        pass

    def expect(self, total: int) -> None:
        pass

    def step(self, name: str, status: str, detail: str = "") -> None:
        pass

    def finish(self, counts: Mapping[str, int], seconds: float) -> None:
        pass


def printable(text: str) -> str:
    """A file's name in one line that any terminal can print: control characters and invalid bytes are escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode("ascii") for c in text)


def say(text: str, *, error: bool = False) -> None:
    """Print one line, to stdout or stderr."""
    stream = sys.stderr if error else sys.stdout
    encoding = stream.encoding or "utf-8"
    # A terminal in the C locale can't print every name; better escaped than the end of the run.
    stream.write(printable(text).encode(encoding, "backslashreplace").decode(encoding) + "\n")
    stream.flush()


def _failure(name: str, detail: str) -> str:
    return f"failed: {detail}" if name in detail else f"failed: {name}: {detail}"


class QuietProgress(SilentProgress):
    """Prints failures to stderr, and nothing else."""

    def step(self, name: str, status: str, detail: str = "") -> None:
        if status == "failed":
            say(_failure(name, detail), error=True)


class LineProgress(QuietProgress):
    """Plain lines: failures to stderr; to stdout how far it is now and then, or every unit when verbose."""

    def __init__(self, *, verbose: bool = False) -> None:
        self._verbose = verbose
        self._steps = 0
        self._begin = self._last = 0.0
        self._total: int | None = None

    def note(self, text: str) -> None:
        say(text)

    def start(self, total: int | None) -> None:
        self._total = total
        self._begin = self._last = time.monotonic()

    def expect(self, total: int) -> None:
        self._total = total

    def step(self, name: str, status: str, detail: str = "") -> None:
        super().step(name, status, detail)
        self._steps += 1
        now = time.monotonic()
        if self._verbose:
            if status != "failed":
                say(f"{status}: {name}" + (f" ({detail})" if detail else ""))
        elif now - self._last >= _LINE_SECONDS:
            self._last = now
            of = f" of {self._total}" if self._total is not None else ""
            say(f"{self._steps}{of} files, {self._steps / (now - self._begin):.1f} a second")

    def finish(self, counts: Mapping[str, int], seconds: float) -> None:
        say(", ".join(f"{count} {status}" for status, count in counts.items()) + f" in {seconds:.1f} s")


class BarProgress(QuietProgress):
    """A rich bar with rate and time left on a terminal, and a table at the end."""

    wants_total = True

    def __init__(self, *, verbose: bool = False) -> None:
        self._verbose = verbose
        self._bar: RichBar | None = None
        self._task: TaskID | None = None

    def start(self, total: int | None) -> None:
        from rich import progress

        class Rate(progress.ProgressColumn):
            def render(self, task: progress.Task) -> str:
                return f"{task.speed:.1f}/s" if task.speed else ""

        self._bar = progress.Progress(
            progress.TextColumn("{task.description}"),
            progress.BarColumn(),
            progress.MofNCompleteColumn(),
            Rate(),
            progress.TimeRemainingColumn(),
            # Into a file, errors must not be drawn on the terminal instead.
            redirect_stderr=sys.stderr.isatty(),
        )
        self._task = self._bar.add_task("photos", total=total)
        self._bar.start()

    def note(self, text: str) -> None:
        say(text)

    def expect(self, total: int) -> None:
        bar, task = self._bar, self._task
        if bar is not None and task is not None:
            bar.update(task, total=total)

    def step(self, name: str, status: str, detail: str = "") -> None:
        super().step(name, status, detail)
        if self._bar is None or self._task is None:
            return
        if self._verbose and status != "failed":
            say(f"{status}: {name}" + (f" ({detail})" if detail else ""))
        self._bar.advance(self._task)

    def finish(self, counts: Mapping[str, int], seconds: float) -> None:
        from rich.console import Console
        from rich.table import Table

        if self._bar is not None:
            self._bar.stop()
            self._bar = None
        table = Table(box=None)
        for status in counts:
            table.add_column(status, justify="right")
        table.add_column("time", justify="right")
        table.add_row(*(str(count) for count in counts.values()), f"{seconds:.1f} s")
        Console().print(table)


def make_progress(*, quiet: bool = False, verbose: bool = False) -> Progress:
    """The progress that suits where stdout goes."""
    if quiet:
        return QuietProgress()
    return BarProgress(verbose=verbose) if sys.stdout.isatty() else LineProgress(verbose=verbose)


@contextlib.contextmanager
def counted(items: Iterable[object], progress: Progress) -> Iterator[None]:
    """While the block runs, a thread counts `items` and tells the total, where it is wanted. What goes wrong in them is
    not told: who works on them will meet it, too."""
    ended = threading.Event()

    def count() -> None:
        total = 0
        with contextlib.suppress(RestoreError, OSError):
            for _ in items:
                if ended.is_set():
                    return
                total += 1
            progress.expect(total)

    thread = threading.Thread(target=count, name="count")
    if progress.wants_total:
        thread.start()
    try:
        yield
    finally:
        ended.set()
        if progress.wants_total:
            thread.join()


def duration(seconds: float) -> str:
    """Such as "45 s", "3 min 20 s" or "1 h 41 min"."""
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def size(count: int) -> str:
    """Such as "12 MB"."""
    value, units = float(count), ["bytes", "kB", "MB", "GB", "TB"]
    while value >= 1000 and len(units) > 1:
        value /= 1000
        del units[0]
    return f"{value:.1f} {units[0]}" if value < 10 and units[0] != "bytes" else f"{value:.0f} {units[0]}"
