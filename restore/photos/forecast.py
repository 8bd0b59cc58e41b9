"""Counting and estimating beside a run: a thread walks ahead, and work waits for what it finds out."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING

from restore.errors import OutputError, RestoreError
from restore.options import PhotoOptions
from restore.photos.done import DoneBefore, settled
from restore.photos.estimate import estimate
from restore.photos.plan import plan
from restore.photos.survey import Survey
from restore.progress import Progress
from restore.walk import Root

if TYPE_CHECKING:
    from restore.colorizers import Engine

# A walk that takes longer, over a slow network, goes on while the work has begun.
_PATIENCE = 60.0
_TICK = 0.05


class Forecast:
    """Tells the total, and the estimate where a sample was worth it. Begins at once where the total is wanted, else
    with the first photo that is to be done: a run over a finished archive walks once.

    Args:
        engine: the run's, waited for; None where it can't be had. Asked for a sample only.
        fail: told when a disk can't hold the results.
    """

    def __init__(
        self,
        roots: Sequence[Root],
        options: PhotoOptions,
        done: DoneBefore,
        engine: Callable[[], Engine | None],
        progress: Progress,
        fail: Callable[[RestoreError], None],
        stopping: Callable[[], bool],
    ) -> None:
        self._roots, self._options, self._done = roots, options, done
        self._engine, self._progress, self._fail, self._stopping = engine, progress, fail, stopping
        self._closed = threading.Event()
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="forecast")
        self._result: Future[None] | None = None
        self._until = 0.0
        if progress.wants_total:
            self._begin()

    def wait(self) -> None:
        """Return when the estimate is there, when it takes too long, or when the run is to stop."""
        result = self._begin()
        while not result.done() and not self._is_over() and time.monotonic() < self._until:
            wait([result], _TICK)
        if result.done():
            result.result()

    def close(self) -> None:
        """End the thread, and wait for it."""
        self._closed.set()
        self._pool.shutdown()

    def _begin(self) -> Future[None]:
        with self._lock:
            if self._result is None:
                self._until = time.monotonic() + _PATIENCE
                self._result = self._pool.submit(self._run)
            return self._result

    def _is_over(self) -> bool:
        return self._closed.is_set() or self._stopping()

    def _run(self) -> None:
        survey = Survey()
        # What is wrong with a folder, the run's own walk will tell.
        with contextlib.suppress(RestoreError, OSError):
            for planned in plan(self._roots, self._options):
                if self._is_over():
                    return
                survey.add(planned, settled(planned, self._options, self._done))
        self._progress.expect(survey.total)
        if not survey.left:
            return
        expected = estimate(survey, self._options, self._engine, stopping=self._is_over)
        if self._is_over():
            return
        if expected.seconds is not None:
            self._progress.note(str(expected))
        try:
            expected.check()
        except OutputError as error:
            self._fail(error)
