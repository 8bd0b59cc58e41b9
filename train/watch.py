"""What a run tells: JSON lines in its folder, and a progress bar on a terminal or plain lines elsewhere."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from restore.files import write_atomically

_SECONDS_BETWEEN_LINES = 30.0


class Watch:
    """Progress and metrics of a run.

    Args:
        folder: where `metrics.jsonl` grows, one object a line with its step.
        step: where the run stands; lines of later steps, which a killed run left, are dropped.
        quiet: print nothing.
    """

    def __init__(self, folder: Path, step: int = 0, quiet: bool = False) -> None:
        path = self.metrics_path = folder / "metrics.jsonl"
        kept = [line for line in _complete_lines(path) if json.loads(line)["step"] <= step]
        write_atomically(path, lambda stream: stream.write("".join(kept).encode()))
        self._metrics = path.open("a", encoding="utf-8")
        self._console = Console(stderr=True, quiet=quiet)
        self._progress: Progress | None = None
        if sys.stderr.isatty() and not quiet:
            self._progress = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
                console=self._console,
            )
            self._task = self._progress.add_task("training", total=None)
        self._last_line = 0.0

    def __enter__(self) -> Watch:
        if self._progress:
            self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._progress:
            self._progress.stop()
        self._metrics.close()

    def say(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def record(self, step: int, **values: Any) -> None:
        """Append one line of metrics."""
        self._metrics.write(json.dumps({"step": step, **values}) + "\n")
        self._metrics.flush()

    def advance(self, step: int, done: float, loss: float, rate: float, seconds_left: float) -> None:
        """Show where the run stands. `done` is in [0, 1], `rate` in images per second."""
        text = f"loss {loss:.4f}  {rate:.0f} images/s"
        if self._progress:
            self._progress.update(self._task, description=text, completed=step, total=round(step / max(done, 1e-9)))
        elif time.monotonic() - self._last_line > _SECONDS_BETWEEN_LINES:
            self._last_line = time.monotonic()
            self.say(f"step {step}  {done:.1%}  {text}  {seconds_left / 60:.0f} min left")


def _complete_lines(path: Path) -> list[str]:
    """The lines of a metrics file, without a last one that a kill cut short."""
    if not path.exists():
        return []
    return [line for line in path.read_text(encoding="utf-8").splitlines(keepends=True) if line.endswith("}\n")]
