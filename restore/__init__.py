"""Colour for black-and-white archives: `from restore import Colorizer; Colorizer().colorize(image)`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.2.0"
__all__ = ["Colorizer", "Hint", "__version__"]

if TYPE_CHECKING:
    from restore.api import Colorizer
    from restore.hints import Hint


def __getattr__(name: str) -> Any:
    # Lazily, so that `restore --help` does not wait for torch.
    if name == "Colorizer":
        from restore.api import Colorizer

        return Colorizer
    if name == "Hint":
        from restore.hints import Hint

        return Hint
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
