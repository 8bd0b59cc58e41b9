"""A bounded queue of items and the threads that work it off."""

from __future__ import annotations

import threading
from collections.abc import Callable

from restore.web.items import Item


class Full(Exception):
    """So much is waiting already that no more is taken."""


class Lane:
    """Items are worked on in the order in which they were put in, each by one thread at a time.

    Args:
        threads: how many work.
        most: items that may wait.
        work: what is done with each. It catches its own errors.
    """

    def __init__(self, name: str, threads: int, most: int, work: Callable[[Item], None]) -> None:
        self._most = most
        self._work = work
        self._changed = threading.Condition()
        self._waiting: list[Item] = []
        self._closed = False
        # They may be in the middle of a large photo when the server ends, which does not wait for that.
        self._threads = [threading.Thread(target=self._run, name=f"{name}-{n}", daemon=True) for n in range(threads)]
        for thread in self._threads:
            thread.start()

    def put(self, item: Item, *, always: bool = False) -> None:
        """Put an item in, unless it waits already.

        Args:
            always: however many wait.

        Raises:
            Full: too many wait.
        """
        with self._changed:
            if item in self._waiting:
                return
            if len(self._waiting) >= self._most and not always:
                raise Full
            self._waiting.append(item)
            self._changed.notify()

    @property
    def is_full(self) -> bool:
        return len(self._waiting) >= self._most

    def take_out(self, item: Item) -> bool:
        """Take an item out, if it still waits."""
        with self._changed:
            if item not in self._waiting:
                return False
            self._waiting.remove(item)
            return True

    def places(self) -> dict[str, int]:
        """How many are before each item that waits, by its id."""
        with self._changed:
            return {item.id: place for place, item in enumerate(self._waiting)}

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or self._waiting)
                if self._closed:
                    return
                item = self._waiting.pop(0)
            self._work(item)

    def close(self, seconds: float) -> bool:
        """Begin nothing new, and wait for what is in hand; whether it ended within so many seconds."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join(seconds / len(self._threads))
        return not any(thread.is_alive() for thread in self._threads)
