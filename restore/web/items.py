"""What a visitor uploaded: a photo or a film, how it is to be coloured, and how far that is."""

from __future__ import annotations

import secrets
import shutil
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, Literal

from restore.errors import UsageError
from restore.options import EngineOptions, EraChoice, Style, VideoOptions

Kind = Literal["photo", "film"]
Task = Literal["colour", "stills"]
State = Literal["waiting", "working", "idle", "failed"]

STILLS = 4
"""How many stills of a film are shown before it is coloured."""
MAX_NAME = 120


@dataclass(frozen=True)
class Settings:
    """What a visitor may choose.

    Args:
        style, era, size, calm: as in `EngineOptions`.
        saturation: as in `PhotoOptions`.
        recolor: colour anew what is in colour already.
    """

    style: Style | None = None
    era: EraChoice = "auto"
    saturation: float = 1.0
    size: int | None = None
    calm: float = 0.0
    recolor: bool = False

    @staticmethod
    def from_json(values: object) -> Settings:
        """Settings as the page sends them.

        Raises:
            UsageError: something is unknown, or out of range.
        """
        if not isinstance(values, Mapping) or not values.keys() <= {each.name for each in fields(Settings)}:
            raise UsageError("these settings are unknown", "Reload the page")
        settings = Settings(**values)
        numbers = [settings.saturation, settings.calm, *([] if settings.size is None else [settings.size])]
        if any(isinstance(each, bool) or not isinstance(each, int | float) or abs(each) > 1e6 for each in numbers):
            raise UsageError("these settings are no numbers", "Reload the page")
        if not isinstance(settings.recolor, bool) or not isinstance(settings.size, int | None):
            raise UsageError("these settings are of another kind", "Reload the page")
        # The options' own checks.
        VideoOptions(saturation=settings.saturation)
        EngineOptions(style=settings.style, era=settings.era, size=settings.size, calm=settings.calm)
        return settings

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Result:
    """What came of an item.

    Args:
        number: of this result among the item's, from 1 on.
        settings: what it was made with.
        kept: it was in colour already, and is a copy.
        facts: in a few words: size, depth, pages.
        notes: what the user should know.
    """

    number: int
    path: Path
    settings: Settings
    kept: bool = False
    facts: str = ""
    notes: tuple[str, ...] = ()

    def folder(self, item: Item) -> Path:
        """Where it lies, and what is made of it."""
        return item.folder / str(self.number)


@dataclass(eq=False)
class Item:
    """An uploaded file. Its name is shown, and is no name on disk.

    Args:
        folder: its own, with everything that comes of it.
        task: what is to be done, or was done last.
        message: what went wrong, or what the visitor should know.
        share: how much of the work is done, 0 to 1; None where that is not known.
        told: how far the work is, in words.
        early: the number of the result in hand, once its view is there; else 0.
        again: it was asked for with other settings while it was worked on.
    """

    kind: Kind
    name: str
    folder: Path
    source: Path
    size: int
    settings: Settings = field(default_factory=Settings)
    task: Task = "colour"
    state: State = "idle"
    message: str = ""
    share: float | None = None
    told: str = ""
    early: int = 0
    result: Result | None = None
    stills: Result | None = None
    again: bool = False
    gone: bool = False
    number: int = 0
    id: str = field(default_factory=lambda: secrets.token_hex(8))
    stopped: threading.Event = field(default_factory=threading.Event)
    viewing: threading.Lock = field(default_factory=threading.Lock)

    def drop(self) -> None:
        """End its work, and remove its files. A worker that has it in hand removes what it writes after that."""
        self.gone = True
        self.stopped.set()
        shutil.rmtree(self.folder, ignore_errors=True)

    def told_of(self, text: str) -> str:
        """A message about it, with its name in place of the paths that nobody but the server knows."""
        text = text.replace(str(self.source), self.name)
        return text.replace(f"{self.folder}/", "").replace(str(self.folder), self.name)

    @property
    def download_name(self) -> str:
        """What its result is called: as `restore photos` calls a single file's."""
        own = PurePosixPath(self.name)
        suffix = self.result.path.suffix if self.result else self.source.suffix
        return f"{own.stem}-restored{own.suffix if own.suffix.lower() == suffix else suffix}"


def shown_name(name: str) -> str:
    """A file's name as a browser sends it, without folders and what can't be printed, and not too long."""
    name = PureWindowsPath(PurePosixPath(name).name).name
    name = "".join(sign for sign in name if sign.isprintable()).strip() or "file"
    if len(name) <= MAX_NAME:
        return name
    suffix = PurePosixPath(name).suffix[:12]
    return name[: MAX_NAME - len(suffix)] + suffix
