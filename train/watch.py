"""What a run tells: JSON lines, TensorBoard, and a progress bar on a terminal or plain lines elsewhere."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from restore.errors import MissingDependencyError
from restore.files import output_error, write_atomically

METRICS_NAME = "metrics.jsonl"
_SECONDS_BETWEEN_LINES = 30.0


class Watch:
    """Progress and metrics of a run.

    Args:
        folder: where `metrics.jsonl` grows, one object a line with its step.
        step: where the run stands; lines of later steps, which a killed run left, are dropped.
        quiet: print nothing.
        active: write files; of processes that train together, only the first does.
        board: write TensorBoard's files beside.

    Raises:
        MissingDependencyError: `board`, but TensorBoard is not installed.
    """

    def __init__(
        self, folder: Path, step: int = 0, quiet: bool = False, active: bool = True, board: bool = False
    ) -> None:
        self.metrics_path = folder / METRICS_NAME
        self._metrics: TextIO | None = None
        self._board = _board(folder, step) if board and active else None
        if active:
            kept = [line for line in complete_lines(self.metrics_path) if json.loads(line)["step"] <= step]
            write_atomically(self.metrics_path, lambda stream: stream.write("".join(kept).encode()))
            self._metrics = self.metrics_path.open("a", encoding="utf-8")
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
        if self._metrics:
            self._metrics.close()
        if self._board:
            self._board.close()

    def say(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def record(self, step: int, **values: Any) -> None:
        """Append one line of metrics; its numbers become TensorBoard's curves."""
        if self._metrics is None:
            return
        try:
            self._metrics.write(json.dumps({"step": step, **values}) + "\n")
            self._metrics.flush()
        except OSError as error:
            raise output_error(self.metrics_path, error) from error
        if self._board:
            for name, value in {**values, **values.get("validation", {})}.items():
                if isinstance(value, int | float):
                    self._board.add_scalar(name, value, step)

    def advance(
        self, stage: str, step: int, done: float, losses: dict[str, float], speed: float, seconds_left: float
    ) -> None:
        """Show where a stage stands. `done` is in [0, 1], `speed` in images per second."""
        text = f"{stage}: {' '.join(f'{name} {value:.4f}' for name, value in losses.items())}  {speed:.0f} images/s"
        if self._progress:
            self._progress.update(self._task, description=text, completed=step, total=round(step / max(done, 1e-9)))
        elif time.monotonic() - self._last_line > _SECONDS_BETWEEN_LINES:
            self._last_line = time.monotonic()
            self.say(f"step {step}  {done:.1%}  {text}  {seconds_left / 60:.0f} min left")


def _board(folder: Path, step: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise MissingDependencyError(
            "--tensorboard needs the package tensorboard", "Install the extra: pip install 'restore-color[train]'"
        ) from error
    return SummaryWriter(str(folder / "tensorboard"), purge_step=step + 1)


def complete_lines(path: Path) -> list[str]:
    """The lines of a metrics file, without a last one that a kill cut short."""
    if not path.exists():
        return []
    return [line for line in path.read_text(encoding="utf-8").splitlines(keepends=True) if line.endswith("}\n")]
