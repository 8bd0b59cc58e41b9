"""Work in threads ends, and what goes wrong in it comes out."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from itertools import count, islice

import pytest

from restore.threads import ahead, map_in_threads


def failing_when_closed() -> Iterator[int]:
    try:
        yield from range(3)
    finally:
        raise OSError("its disk is gone")


class Closing:
    """An iterator whose end is well, and whose closing is not."""

    def __init__(self) -> None:
        self._items = iter(range(3))

    def __iter__(self) -> Closing:
        return self

    def __next__(self) -> int:
        return next(self._items)

    def close(self) -> None:
        raise OSError("its disk is gone")


@pytest.mark.parametrize("items", [failing_when_closed(), Closing()])
def test_what_fails_at_the_end_is_raised(items: Iterator[int]) -> None:
    found: list[int] = []
    with pytest.raises(OSError, match="disk is gone"):
        found.extend(ahead(items, 2))
    assert threading.active_count() == 1 or not any(thread.name == "ahead" for thread in threading.enumerate())


def test_a_consumer_that_leaves_ends_the_thread() -> None:
    assert list(islice(ahead(count(), 4), 3)) == [0, 1, 2]
    assert not any(thread.name == "ahead" for thread in threading.enumerate())


def test_errors_come_in_their_place() -> None:
    found = []
    with pytest.raises(ZeroDivisionError):
        for value in map_in_threads(lambda number: 6 // number, iter([1, 2, 3, 0, 6]), 2):
            found.append(value)
    assert found == [6, 3, 2]


def test_results_at_once_keep_their_order_and_do_not_wait_for_a_thread() -> None:
    begun = threading.Event()

    def slow(number: int) -> int:
        assert begun.wait(10)  # until all that is ready has been drawn
        return -number

    def numbers() -> Iterator[int]:
        for number in range(60):
            if number == 19:
                begun.set()
            yield number

    results = map_in_threads(slow, numbers(), 2, lambda number: number if number % 10 else None)
    assert next(results) == 0 and begun.is_set()
    assert list(results) == [number if number % 10 else -number for number in range(1, 60)]
    assert list(map_in_threads(slow, iter([]), 2)) == []
