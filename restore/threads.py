"""A function over an iterator in threads, bounded and in order."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from queue import Full, Queue
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def processors() -> int:
    """How many processors this process may use: in a container fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def map_in_threads(
    function: Callable[[Item], Result], items: Iterable[Item], workers: int
) -> Generator[Result, None, None]:
    """`map`, with up to `workers` calls going on while the consumer is busy, and never more than one result beyond.

    `items` is drawn from in the consumer's thread. What `function` raises is raised where its result would have come;
    calls that have begun are waited for, those that have not are dropped.
    """
    waiting: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) > workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


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
