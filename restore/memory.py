"""How the process keeps memory that it will need again, and gives back what it will not."""

from __future__ import annotations

import contextlib
import ctypes
import gc

# glibc's mallopt, as in its malloc.h.
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _MMAP_MAX = -1, -3, -4
_KEPT, _LARGEST, _ANY = 256 << 20, 32 << 20, (1 << 31) - 1


def keep_freed_memory() -> None:
    """Let freed pictures' memory be used for the next ones, up to some bytes, instead of going back to the system: that
    hands it out again page by page, which took a tenth of the time of colouring JPEGs. Does nothing where the C library
    is another. A process's own choice, so none for a library."""
    with contextlib.suppress(OSError, AttributeError, TypeError):  # no such library, or no such function in it
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_MMAP_THRESHOLD, _LARGEST)
        mallopt(_TRIM_THRESHOLD, _KEPT)


def keep_all_freed_memory() -> None:
    """The same without bounds, for training: each step needs as much as the one before, and tensors of any size."""
    with contextlib.suppress(OSError, AttributeError, TypeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_MMAP_MAX, 0)
        mallopt(_TRIM_THRESHOLD, _ANY)


def give_memory_back() -> None:
    """Hand back to the system what freed pictures took, for programs that run for hours. Takes a few milliseconds, and
    does nothing where the C library has no such call."""
    gc.collect()
    with contextlib.suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)
