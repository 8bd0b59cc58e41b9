"""A function over an iterator in threads, bounded and in order."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from queue import Full, Queue
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def processors() -> int:
    """How many processors this process may use: in a container fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


# Results at once that may wait behind a call, for each worker: a run of them must not leave the other workers idle.
_AT_ONCE = 32


def map_in_threads(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    workers: int,
    at_once: Callable[[Item], Result | None] = lambda item: None,
) -> Generator[Result, None, None]:
    """`map`, with up to `workers` calls going on while the consumer is busy, and never more than one result beyond.

    `items` is drawn from in the consumer's thread. What `function` raises is raised where its result would have come;
    calls that have begun are waited for, those that have not are dropped.

    Args:
        at_once: asked first, in the consumer's thread: the result where that takes no work, else None. To hand a
            hundred thousand items to other threads and back takes three times as long as to see that they are done.
    """
    waiting: deque[Future[Result] | _Ready[Result]] = deque()
    calls = 0
    with ThreadPoolExecutor(workers) as pool:
        try:
            for item in items:
                result = at_once(item)
                if result is not None and not waiting:
                    yield result
                    continue
                calls += result is None
                waiting.append(pool.submit(function, item) if result is None else _Ready(result))
                while calls > workers or len(waiting) > _AT_ONCE * workers:
                    calls -= isinstance(waiting[0], Future)
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


class _Ready(Generic[Result]):
    """A result that is known already, as a future."""

    def __init__(self, value: Result) -> None:
        self._value = value

    def result(self) -> Result:
        return self._value

    def cancel(self) -> bool:
        return False


_END = object()


def ahead(items: Iterable[Item], depth: int) -> Generator[Item, None, None]:
    """The same items, drawn from `items` by a thread of its own, up to `depth` of them before they are asked for.

    What `items` raises is raised where its next item would have come. When the consumer ends early, the thread ends at
    its next item, and is waited for.
    """
    queue: Queue[tuple[object, BaseException | None]] = Queue(depth)
    stopped = threading.Event()

    def fill() -> None:
        error: BaseException | None = None
        try:
            for item in items:
                while not stopped.is_set():
                    try:
                        queue.put((item, None), timeout=0.1)
                        break
                    except Full:
                        continue
                if stopped.is_set():
                    return
        except BaseException as raised:  # noqa: BLE001  raised again in the consumer's thread
            error = raised
        finally:
            try:
                close = getattr(items, "close", None)
                if close is not None:
                    close()
            except BaseException as raised:  # noqa: BLE001  else the consumer would wait for ever
                error = error or raised
        while not stopped.is_set():
            try:
                queue.put((_END, error), timeout=0.1)
                return
            except Full:
                continue

    thread = threading.Thread(target=fill, name="ahead", daemon=True)
    thread.start()
    try:
        while True:
            item, error = queue.get()
            if error is not None:
                raise error
            if item is _END:
                return
            yield item  # type: ignore[misc]
    finally:
        stopped.set()
        thread.join()
