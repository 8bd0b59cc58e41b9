"""Telling the user how far a run is: silent for the library, a bar on a terminal, plain lines in a pipe."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from rich.progress import Progress as RichBar
    from rich.progress import TaskID

_LINE_SECONDS = 10.0


class Progress(Protocol):
    """What a run tells. `start` comes first, `finish` last."""

    wants_total: bool

    def start(self, total: int | None) -> None:
        """Work begins on `total` units; None where that is not known."""

    def step(self, name: str, status: str, detail: str = "") -> None:
        """One unit is through."""

    def finish(self, counts: Mapping[str, int], seconds: float) -> None:
        """All is through, or as much as was done before the end."""


class SilentProgress:
    """Says nothing."""

    wants_total = False

    def start(self, total: int | None) -> None:
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

    def start(self, total: int | None) -> None:
        self._total = total
        self._begin = self._last = time.monotonic()

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
