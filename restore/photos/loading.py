"""The engine of a run, loaded while photos are read."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

from restore.errors import RestoreError
from restore.options import EngineOptions

if TYPE_CHECKING:
    from restore.colorizers import Engine, LoadEngine

Item = TypeVar("Item")

_READ_AHEAD = 320 << 20  # bytes of luma


class EngineLoader:
    """Loads the engine for the first photo that needs it: an archive that is done already costs no loading.

    Args:
        callers: see `Engine`.
        fail: told what went wrong, when the model or the device can't be had.
        doubt: the model must know how sure it is, for --confidence.
        load: what loads; None is `load_engine`.
    """

    def __init__(
        self,
        options: EngineOptions,
        callers: int,
        fail: Callable[[RestoreError], None],
        doubt: bool = False,
        load: LoadEngine | None = None,
    ) -> None:
        self._options = options
        self._load_engine = load
        self._callers = callers
        self._fail = fail
        self._doubt = doubt
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="load")
        self._engine: Future[Engine | None] | None = None

    def close(self) -> None:
        """Wait for a loading that has begun."""
        self._pool.shutdown()

    def want(self) -> None:
        """Begin to load, unless that has been done."""
        with self._lock:
            if self._engine is None:
                self._engine = self._pool.submit(self._load)

    def get(self) -> Engine | None:
        """The engine, waited for where it is wanted; None where it is not, or can't be had."""
        return self._engine.result() if self._engine else None

    def _load(self) -> Engine | None:
        # To import PyTorch, where it is needed, takes longer than to read forty photos.
        from restore.colorizers import load_engine

        try:
            engine = (self._load_engine or load_engine)(self._options, callers=self._callers)
            if self._doubt:
                engine.check_knows_doubt("--confidence")
            return engine
        except RestoreError as error:
            self._fail(error)
            return None

    def hold(self, items: Iterable[Item], bytes_of: Callable[[Item], int]) -> Generator[Item, None, None]:
        """The same items. Those that arrive while the engine is loaded are held until it is there, or
        until they fill the memory allowed for them."""
        held: deque[Item] = deque()
        size = 0
        for item in items:
            held.append(item)
            size += bytes_of(item)
            if self._engine is None or self._engine.done() or size > _READ_AHEAD:
                yield from held
                held.clear()
                size = 0
        yield from held
