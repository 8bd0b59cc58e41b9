"""Giving memory back to the system: what a large photo took would stay with this process otherwise."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import sys


def give_memory_back() -> None:
    """Hand back what the C library holds for the next allocation. Takes a few milliseconds; does nothing where that
    library has no such call."""
    gc.collect()
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).malloc_trim(0)
