"""Ctrl-C and SIGTERM while training: the step in hand is finished first, so that the saved state is a whole one."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any

from restore.errors import Terminated


class Interrupts:
    """Inside this context the first SIGINT or SIGTERM waits for `check`; a second one is raised at once."""

    def __init__(self) -> None:
        self._received: int | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():  # Python allows handlers there only
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._receive)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _receive(self, number: int, _: FrameType | None) -> None:
        if self._received is not None:
            raise _exception(number)
        self._received = number

    def check(self) -> None:
        """Raise KeyboardInterrupt or Terminated if a signal has come."""
        if self._received is not None:
            raise _exception(self._received)


def _exception(number: int) -> BaseException:
    return KeyboardInterrupt() if number == signal.SIGINT else Terminated()


def in_worker() -> None:
    """A decoding process leaves Ctrl-C to its parent, and dies of SIGTERM without a word."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
