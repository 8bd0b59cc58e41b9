"""One interface to all supported versions of PyAV: their differences are handled here only.

PyAV 19 needs Python 3.12 or later, so Python 3.11 has PyAV 18.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import av
import av.container

# How tags become strings: those that are no UTF-8 keep their bytes, as surrogates, and are written as they were read.
# PyAV 19 does that by itself, and has no such argument.
_TAGS: dict[str, Any] = {"metadata_errors": "surrogateescape"} if int(av.__version__.partition(".")[0]) < 19 else {}


class _Ratio(Protocol):
    @property
    def numerator(self) -> int: ...
    @property
    def denominator(self) -> int: ...


def open_input(source: Path | BinaryIO, options: Mapping[str, str] | None = None) -> av.container.InputContainer:
    """Open for reading.

    Args:
        options: the demuxer's.

    Raises:
        av.error.FFmpegError, OSError: it can't be read.
    """
    file = str(source) if isinstance(source, Path) else source
    return av.open(file, "r", options=dict(options or {}), **_TAGS)


def open_output(
    target: Path | BinaryIO, form: str, options: Mapping[str, str] | None = None
) -> av.container.OutputContainer:
    """Open for writing.

    Args:
        form: FFmpeg's name of the container.
        options: the muxer's.

    Raises:
        av.error.FFmpegError, OSError: it can't be written.
    """
    file = str(target) if isinstance(target, Path) else target
    return av.open(file, "w", format=form, container_options=dict(options or {}), **_TAGS)


def fraction(value: _Ratio | None) -> Fraction | None:
    """A time base, rate or ratio of PyAV's; None where it is unset.

    PyAV 18 has fractions, or None. PyAV 19 has a type of its own: unset ones are 0/1, 0/0 or 1/0, and products of two
    of them are rounded to 32 bits.
    """
    return Fraction(value.numerator, value.denominator) if value else None


def readable(tag: str) -> str:
    """A tag, or its name, for people: what is no UTF-8 can neither be printed nor written as it is."""
    return tag.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
