"""Ctrl-C and SIGTERM: the first asks for a gentle end, the second ends at once."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from types import FrameType
from typing import TypeVar

from restore.errors import Terminated

Item = TypeVar("Item")

_EXCEPTIONS: dict[int, type[BaseException]] = {signal.SIGINT: KeyboardInterrupt, signal.SIGTERM: Terminated}


def raise_on_sigterm() -> None:
    """Make SIGTERM an exception, as SIGINT is one already, so that what is half-written is cleaned up."""
    signal.signal(signal.SIGTERM, _raise)


def _raise(number: int, frame: FrameType | None) -> None:
    raise _EXCEPTIONS[number]


@contextlib.contextmanager
def stop_gently() -> Iterator[Callable[[], bool]]:
    """Yields a question: has a signal asked to stop? When the block has ended after one, its exception is raised.

    Outside the main thread, where Python allows no handlers, signals act as ever.
    """
    received: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return

    def handle(number: int, frame: FrameType | None) -> None:
        if received:
            _raise(number, frame)
        received.append(number)

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(received)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if received:
        raise _EXCEPTIONS[received[0]]


class Stopped(Exception):
    """Work ended because it was told to; what is done is kept. Never leaves the package."""


def unless_stopped(items: Iterable[Item], stopping: Callable[[], bool]) -> Iterator[Item]:
    """The same items. Raises Stopped once `stopping` says yes."""
    for item in items:
        if stopping():
            raise Stopped
        yield item


def leave_signals_to_parent() -> None:
    """For worker processes: what is sent to all of a run (by Ctrl-C, `timeout`, a service manager, `pkill`) is for the
    parent. They leave its group, and end when it tells them to, or is gone."""
    if hasattr(os, "setsid"):
        os.setsid()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
