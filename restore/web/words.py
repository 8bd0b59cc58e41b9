"""Sizes, times and commands in words that the page shows."""

from __future__ import annotations

import shlex

from restore.options import EngineOptions
from restore.web.items import Item, Settings


def time_left(seconds: float) -> str:
    """Such as "about 3 minutes left"."""
    if seconds < 10:
        return "a few seconds left"
    if seconds < 55:
        return f"about {round(seconds, -1):.0f} seconds left"
    if seconds < 55 * 60:
        minutes = max(1, round(seconds / 60))
        return f"about {minutes} minute{'s' * (minutes > 1)} left"
    hours = max(1, round(seconds / 3600))
    return f"about {hours} hour{'s' * (hours > 1)} left"


def photo_facts(width: int | None, height: int | None, bits: int | None, pages: int | None) -> str:
    """Such as "4000 × 3000 pixels, 16 bit, 3 pages"."""
    words = [f"{width} × {height} pixels"] if width else []
    words += [f"{bits} bit"] if bits and bits != 8 else []
    words += [f"{pages} pages"] if pages and pages > 1 else []
    return ", ".join(words)


def command(item: Item, settings: Settings, engine: EngineOptions) -> str:
    """The same on the command line."""
    name = f"./{item.name}" if item.name.startswith("-") else item.name
    words = ["restore", "photos" if item.kind == "photo" else "video", name]
    if engine.model != "default":
        words += ["--model", engine.model]
    if engine.device != "auto":
        words += ["--device", engine.device]
    if settings.style:
        words += ["--style", settings.style]
    if settings.era != "auto":
        words += ["--era", settings.era]
    if settings.saturation != 1.0:
        words += ["--saturation", str(settings.saturation)]
    if settings.calm:
        words += ["--calm", str(settings.calm)]
    if settings.size:
        words += ["--size", str(settings.size)]
    if settings.recolor:
        words += ["--already-color", "recolor"]
    return shlex.join(words)
