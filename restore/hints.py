"""Colours that a person gives for places of a picture, and how a model sees them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from restore.color import rgb_to_lab
from restore.errors import UsageError

_NAMED = re.compile(r"#[0-9a-fA-F]{6}")
_MOST_CHROMA = 128.0  # |a| and |b| of sRGB stay below 108
_HELP = "Give '#rrggbb', (r, g, b) of 0 to 255, or (a, b) in Lab units"


@dataclass(frozen=True)
class Hint:
    """The colour of a place.

    Args:
        x, y: the place as fractions of the picture's width and height, from its upper left corner.
        color: `#rrggbb`, (r, g, b) of 0 to 255, or (a, b) in Lab units. Hue and chroma are taken of it; how light the
            place is, the picture knows.
        radius: of the disc that has the colour, as a fraction of the picture's shorter side. A pixel of what the model
            sees is coloured at least.

    Raises:
        UsageError: a place outside the picture, no colour, or a radius that is none.
    """

    x: float
    y: float
    color: str | tuple[float, ...]
    radius: float = 0.01

    def __post_init__(self) -> None:
        if not (0 <= self.x <= 1 and 0 <= self.y <= 1):
            raise UsageError(
                f"a hint at x {self.x:g}, y {self.y:g} lies outside the picture", "Give fractions of 0 to 1"
            )
        if not 0 <= self.radius <= 1:
            raise UsageError(f"a hint's radius of {self.radius:g} is out of range", "Give a fraction of 0 to 1")
        self.ab  # noqa: B018  a colour that can't be read is said here

    @property
    def ab(self) -> tuple[float, float]:
        """Its a and b in Lab units."""
        color = self.color
        if isinstance(color, str):
            if not _NAMED.fullmatch(color):
                raise UsageError(f"a hint's color {color!r} can't be read", _HELP)
            color = tuple(bytes.fromhex(color[1:]))
        if len(color) == 2 and all(abs(value) <= _MOST_CHROMA for value in color):
            return float(color[0]), float(color[1])
        if len(color) != 3 or not all(0 <= value <= 255 for value in color):
            raise UsageError(f"a hint's color {color!r} can't be read", _HELP)
        _, a, b = rgb_to_lab(np.array(color, np.float64).reshape(3, 1, 1) / 255)
        return float(a.item()), float(b.item())


def within(
    hints: Sequence[Hint], rows: tuple[float, float], columns: tuple[float, float], shorter: float
) -> list[Hint]:
    """Hints of a picture as those of a part of it; those beside the part are left out.

    Args:
        rows, columns: where the part begins and ends, as fractions of the picture.
        shorter: the part's shorter side, as a fraction of the picture's.
    """
    (top, bottom), (left, right) = rows, columns
    return [
        replace(
            hint,
            x=(hint.x - left) / (right - left),
            y=(hint.y - top) / (bottom - top),
            radius=min(hint.radius / shorter, 1.0),
        )
        for hint in hints
        if left <= hint.x <= right and top <= hint.y <= bottom
    ]


def draw_hints(hints: Sequence[Hint], size: int, height: int, width: int) -> npt.NDArray[np.float32]:
    """Hints as the engine takes them.

    Args:
        hints: where they overlap, the later one counts.
        size: side of the square that the model sees, which the picture is squeezed into.
        height, width: of the picture, in any unit.

    Returns:
        (3, size, size): a and b in Lab units, and a mask that is 1 where there is a hint; else all are 0.
    """
    drawn = np.zeros((3, size, size), np.float32)
    for hint in hints:
        disc = inside(hint.x, hint.y, hint.radius, size, height, width)
        drawn[:, disc] = np.array([[*hint.ab, 1.0]], np.float32).T
    return drawn


def inside(x: float, y: float, radius: float, size: int, height: int, width: int) -> npt.NDArray[np.bool_]:
    """(size, size): which pixels lie in a hint's disc; the one at its middle does."""
    middles = (np.arange(size, dtype=np.float32) + 0.5) / size
    short = min(height, width)
    down, across = (middles - y) * height / short, (middles - x) * width / short
    disc = np.square(down)[:, None] + np.square(across) <= radius**2
    disc[min(int(y * size), size - 1), min(int(x * size), size - 1)] = True
    return disc
