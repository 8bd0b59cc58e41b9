"""What is refused as too large: a file of a few bytes may claim to be a picture of terabytes."""

from __future__ import annotations

from pathlib import Path

from restore.errors import InputError


def check_pixels(path: Path, width: int, height: int, most: int) -> None:
    """Raises InputError where a picture has more pixels than are allowed."""
    if width * height > most:
        raise InputError(
            f"{path} claims {width * height / 1e6:,.0f} million pixels ({width} × {height}), "
            f"and {most / 1e6:,.0f} are allowed",
            f"If it is sound, allow it with --max-pixels {-(-width * height // 1_000_000)}",
        )
