"""Heat maps of doubt, with a scale: dark blue where the model is sure, yellow where it can only guess."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from restore.sheet import Rgb

# Made to look alike, and even, to people of normal and of colour-deficient sight: Nuñez, Anderton & Renslow 2018.
_COLORS = cv2.COLORMAP_CIVIDIS
TOP = 40.0
"""Lab units of doubt at the scale's end; more looks the same."""
MAP_SIDE = 1024
"""The longest side of a photo's map, in pixels."""

_LEAST_WIDTH = 320  # the scale's words need so much
_BAR, _MARGIN, _TEXT = 14, 8, 12
_STEP = 10
_PAPER, _INK = (255, 255, 255), (0, 0, 0)


def heat_colors(doubt: npt.NDArray[np.float32]) -> Rgb:
    """(H, W) doubt in Lab units to (H, W, 3) RGB."""
    levels = np.rint(np.clip(doubt / TOP, 0, 1) * 255).astype(np.uint8)
    return np.asarray(cv2.applyColorMap(levels, _COLORS)[..., ::-1])


def map_size(width: int, height: int) -> tuple[int, int]:
    """Width and height of the map of a picture of such a size: its shape, at most 1,024 pixels a side."""
    scale = min(1.0, MAP_SIDE / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))


def draw_heat_map(doubt: npt.NDArray[np.float32], caption: str) -> Image.Image:
    """The map with its scale and a line of words under it.

    Args:
        doubt: (H, W) in Lab units.
    """
    height, width = doubt.shape
    full = max(width, _LEAST_WIDTH) + 2 * _MARGIN
    # Under the map: the bar, its figures, and two lines.
    sheet = Image.new("RGB", (full, height + _BAR + 5 * _MARGIN + 3 * _TEXT), _PAPER)
    sheet.paste(Image.fromarray(heat_colors(doubt)), ((full - width) // 2, _MARGIN))
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(_TEXT)
    top, span = height + 2 * _MARGIN, full - 4 * _MARGIN
    ramp = np.linspace(0, TOP, span, dtype=np.float32)[None].repeat(_BAR, axis=0)
    sheet.paste(Image.fromarray(heat_colors(ramp)), (2 * _MARGIN, top))
    for value in range(0, int(TOP) + 1, _STEP):
        text = f"{value}" if value < TOP else f"{value}+"
        draw.text((2 * _MARGIN + value / TOP * (span - 1), top + _BAR + 4), text, _INK, font, anchor="mt")
    below = top + _BAR + _TEXT + 2 * _MARGIN
    for line in ("how far off the colour may be, in Lab units: 5 sure, 40 a guess", caption):
        draw.text((2 * _MARGIN, below), line, _INK, font, anchor="lt")
        below += _TEXT + 4
    return sheet
